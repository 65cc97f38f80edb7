/* sink.c - sink "kinesis": PutRecords of many lanes' records, failed entries sent again.
 *
 * Batches wait in order of arrival, also several of one lane, so that small ones travel together. A
 * request takes records from the front until it is full (500 records, 5 MiB); with order = "strict"
 * a lane has one request under way at a time and its failed records go again before any later one,
 * so it keeps its order up to what the service itself mixes inside one request. Waiting for company
 * (linger) ends when enough is there to be worth a request, or when a batch has already begun to go
 * out.
 *
 * A throttled batch pauses for the time the stream needs to take what it refused, judged by what it
 * took in the last second, so it is neither hammered nor left idle. After `attempts` requests
 * without any success the rest of the batch is given back to the host as retry.
 *
 * Owned by: the sink node.   Threads: its worker.
 */
#include "plugins/kinesis/sink.h"

#include "plugins/kinesis/elements.h"
#include "plugins/kinesis/receipt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORTH_RECORDS 100 /* that many are sent without lingering */
#define WORTH_BYTES   (128 * 1024)
#define RETRY_BASE_MS 100
#define RETRY_MAX_MS  5000
#define PAUSE_MIN_MS  20

static void send_all(struct sink *sink);

/* ---- batches in hand ------------------------------------------------------------------------ */

static kp_status sink_process(kp_node *node, void *state, kp_batch *b)
{
    struct sink *sink = state;
    struct pending *pending, *before = NULL, **end = &sink->pending;

    if (b->count == 0) {
        kp->done(node, b);
        return KP_OK;
    }
    pending = calloc(1, sizeof(*pending));
    if (pending)
        pending->again = malloc(b->count * sizeof(*pending->again));
    if (!pending || !pending->again) {
        free(pending);
        for (uint32_t i = 0; i < b->count; i++)
            kp->retry(b, i, RETRY_BASE_MS, "out of memory");
        kp->done(node, b);
        return KP_OK;
    }
    pending->b = b;
    pending->open = b->count;
    pending->most = PUT_RECORDS_MAX;
    pending->since = kp->now_ms();
    for (; *end; end = &(*end)->next_pending)
        if ((*end)->b->lane == b->lane)
            before = *end;
    if (sink->config->order == ORDER_STRICT)
        pending->before = before;
    *end = pending;
    send_all(sink);
    return KP_OK;
}

/* The next batch of its lane is the first one now. */
static void free_lane(struct pending *done)
{
    struct pending *p = done->next_pending;

    while (p && p->before != done)
        p = p->next_pending;
    if (p)
        p->before = NULL;
}

/* Gives back the batches whose records all have an outcome. */
static void finish_batches(struct sink *sink)
{
    struct pending **at = &sink->pending;

    while (*at) {
        struct pending *pending = *at;

        if (pending->open) {
            at = &pending->next_pending;
            continue;
        }
        free_lane(pending);
        *at = pending->next_pending;
        kp->done(sink->node, pending->b);
        free(pending->again);
        free(pending);
        at = &sink->pending; /* done() may have brought the next batch */
    }
}

static uint32_t left_to_send(const struct pending *pending)
{
    return pending->n_again + (pending->b->count - pending->next);
}

/* Could it go now? With strict order a batch goes when nothing of it is under way, and nothing of
 * its lane is before it that does not go with it. */
static bool is_ready(const struct sink *sink, const struct pending *pending, int64_t now)
{
    const struct pending *before = pending->before;

    if (!left_to_send(pending) || pending->not_before > now)
        return false;
    if (sink->config->order == ORDER_NONE)
        return true;
    return pending->in_flight == 0 && (!before || before->open == 0 || before->is_ready);
}

/* All of the batch before it must be in the same request. */
static bool may_join(const struct pending *pending, const struct request *request)
{
    const struct pending *before = pending->before;

    return !before || before->open == 0 ||
           (before->filling == request && before->in_flight && !left_to_send(before));
}

/* ---- pace ----------------------------------------------------------------------------------- */

static void note_accepted(struct sink *sink, uint64_t n)
{
    int64_t second = kp->now_ms() / 1000;

    if (second != sink->second) {
        sink->accepted_before = second == sink->second + 1 ? sink->accepted : 0;
        sink->accepted = 0;
        sink->second = second;
    }
    sink->accepted += n;
}

/* How long the stream needs to take n more records. */
static int64_t pause_ms(struct sink *sink, uint32_t n)
{
    uint64_t rate = sink->accepted > sink->accepted_before ? sink->accepted : sink->accepted_before;
    int64_t ms = rate ? (int64_t)(n * 1000 / rate) : RETRY_BASE_MS * 2;

    if (ms < PAUSE_MIN_MS)
        ms = PAUSE_MIN_MS;
    if (ms > 1000)
        ms = 1000;
    return calls_backoff_ms(&sink->random, 0, ms, ms); /* ms / 2 .. ms * 3 / 2 */
}

/* ---- outcomes ------------------------------------------------------------------------------- */

static void give_back(struct pending *pending, const char *error, const char *message)
{
    for (uint32_t i = 0; i < pending->n_again; i++)
        kp->retry(pending->b, pending->again[i], 0, "%s: %s", error, message);
    for (uint32_t i = pending->next; i < pending->b->count; i++)
        kp->retry(pending->b, i, 0, "%s: %s", error, message);
    pending->open -= left_to_send(pending);
    pending->n_again = 0;
    pending->next = pending->b->count;
}

/* With strict order what comes behind it on its lane goes back too, else it would overtake. */
static void give_up(const struct sink *sink, struct pending *pending, const char *error,
                    const char *message)
{
    kp_lane *lane = pending->b->lane;

    give_back(pending, error, message);
    for (struct pending *p = pending->next_pending; p; p = p->next_pending)
        if (sink->config->order == ORDER_STRICT && p->b->lane == lane && p->in_flight == 0)
            give_back(p, error, message);
}

/* Puts the record back in its place among those to send again. */
static void send_again(struct pending *pending, uint32_t i)
{
    uint32_t at = pending->n_again++;

    while (at && pending->again[at - 1] > i) {
        pending->again[at] = pending->again[at - 1];
        at--;
    }
    pending->again[at] = i;
}

static void complain(struct sink *sink, const char *error, const char *message)
{
    kp->count(sink->node, "put_errors", 1);
    if (!sink->has_complained)
        kp->log(sink->node, KP_LOG_WARN, "put.failed", "stream=%s error=%s message=%s",
                sink->config->stream->name, error, message ? message : "");
    sink->has_complained = true;
}

static void take_all_back(struct request *request)
{
    for (uint32_t n = request->count; n--;) {
        struct entry *e = &request->entries[n];

        e->pending->in_flight--;
        send_again(e->pending, e->i);
    }
}

static void back_off(struct sink *sink, struct pending *pending, const char *error,
                     const char *message)
{
    pending->tries++;
    if (pending->in_flight == 0 && pending->tries >= (uint64_t)sink->config->attempts)
        give_up(sink, pending, error, message);
    pending->not_before = kp->now_ms() + calls_backoff_ms(&sink->random, pending->tries - 1,
                                                          RETRY_BASE_MS, RETRY_MAX_MS);
}

/* The whole call failed and may be made again. */
static void call_failed(struct request *request, const char *error, const char *message)
{
    struct sink *sink = request->sink;
    struct pending *last = NULL;

    complain(sink, error, message);
    take_all_back(request);
    for (uint32_t n = 0; n < request->count; n++) {
        if (request->entries[n].pending != last) /* entries of a batch are neighbours */
            back_off(sink, request->entries[n].pending, error, message ? message : "");
        last = request->entries[n].pending;
    }
}

/* The service refuses the request because of some record in it: halves find it. */
static void split(struct request *request, const char *error, const char *message)
{
    if (request->count == 1) {
        struct entry *e = &request->entries[0];

        e->pending->in_flight--;
        e->pending->open--;
        e->pending->most = PUT_RECORDS_MAX;
        kp->reject(e->pending->b, e->i, "%s: %s", error, message ? message : "");
        return;
    }
    take_all_back(request);
    for (uint32_t n = 0; n < request->count; n++)
        request->entries[n].pending->most = request->count / 2;
}

struct answer {
    struct request *request;
    uint32_t taken, throttled, again;
};

static const char throttled[] = "ProvisionedThroughputExceededException";
static const char internal[] = "InternalFailure";

static void entry_failed(struct answer *answer, struct entry *e, const struct put_result *result)
{
    struct sink *sink = answer->request->sink;
    char error[64], message[200];

    snprintf(error, sizeof(error), "%.*s", (int)result->error_len, result->error);
    snprintf(message, sizeof(message), "%.*s", (int)result->message_len, result->message);
    if (strcmp(error, throttled) == 0) {
        answer->throttled++;
    } else if (strcmp(error, internal) != 0 && strncmp(error, "KMS", 3) != 0) {
        kp->reject(e->pending->b, e->i, "%s: %s", error, message);
        e->pending->open--;
        return;
    } else {
        complain(sink, error, message);
    }
    answer->again++;
    send_again(e->pending, e->i);
}

static void entry_answered(void *arg, uint32_t n, const struct put_result *result)
{
    struct answer *answer = arg;
    struct entry *e = &answer->request->entries[n];
    kp_receipt receipt = {
        .size = sizeof(receipt),
        .status = 200,
        .shard = {result->shard, result->shard_len},
        .sequence = {result->sequence, result->sequence_len},
    };

    e->pending->in_flight--;
    if (result->error_len) {
        entry_failed(answer, e, result);
        return;
    }
    kp->deliver(e->pending->b, e->i, &receipt);
    e->pending->open--;
    e->pending->tries = 0;
    answer->taken++;
}

/* What went in gives its batch back some of the size that split() took away; batches that have
 * records to send again pause. */
static void pause_batches(struct sink *sink, struct request *request, const struct answer *answer)
{
    struct pending *last = NULL;

    kp->count(sink->node, "throttled_records", answer->throttled);
    for (uint32_t n = 0; n < request->count; n++) {
        struct pending *pending = request->entries[n].pending;

        if (pending == last)
            continue;
        last = pending;
        pending->most = pending->most * 2 < PUT_RECORDS_MAX ? pending->most * 2 : PUT_RECORDS_MAX;
        if (pending->n_again == 0 || answer->again == 0) /* what split() left goes on at once */
            continue;
        if (answer->taken)
            pending->not_before = kp->now_ms() + pause_ms(sink, pending->n_again);
        else
            back_off(sink, pending, answer->throttled ? throttled : internal,
                     "the stream took none of its records");
    }
}

static void call_answered(struct request *request, const kp_aws_response *response)
{
    struct sink *sink = request->sink;
    struct answer answer = {.request = request};

    if (!put_results_parse(response->body.ptr, response->body.len, request->count, entry_answered,
                           &answer)) {
        call_failed(request, "MalformedAnswer", "the answer of PutRecords is not understood");
        return;
    }
    note_accepted(sink, answer.taken);
    if (sink->has_complained && answer.taken)
        kp->log(sink->node, KP_LOG_INFO, "put.recovered", "stream=%s", sink->config->stream->name);
    if (answer.taken)
        sink->has_complained = false;
    pause_batches(sink, request, &answer);
}

static void put_ended(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct request *request = arg;
    struct sink *sink = request->sink;

    request->call = NULL;
    sink->in_flight--;
    switch (calls_judge(response)) {
    case CALLS_FINE: call_answered(request, response); break;
    case CALLS_AGAIN: call_failed(request, response->error, response->message); break;
    case CALLS_REQUEST: split(request, response->error, response->message); break;
    default:
        call_failed(request, response->error, response->message);
        sink->failed = true;
        (void)calls_fail(node, "PutRecords", sink->config->stream, response);
        break;
    }
    request->count = 0;
    request_end(request);
    finish_batches(sink);
    send_all(sink);
}

/* ---- sending -------------------------------------------------------------------------------- */

static void send_request(struct sink *sink, struct request *request)
{
    kp_aws_request call = {
        .size = sizeof(call),
        .service = "kinesis",
        .target = "Kinesis_20131202.PutRecords",
        .body = {request->body.ptr, request->body.len},
        .attempts = 1,
    };

    sink->in_flight++;
    request->call = sink->aws->call(sink->node, &call, put_ended, request);
}

static struct request *free_request(struct sink *sink)
{
    for (int64_t i = 0; i < sink->config->in_flight; i++) {
        struct request **at = &sink->requests[i];

        if (!*at) {
            *at = calloc(1, sizeof(**at));
            if (*at)
                (*at)->sink = sink;
            return *at;
        }
        if (!(*at)->call)
            return *at;
    }
    return NULL;
}

/* Takes records of one batch, first those to send again. True: there is room for another batch. */
static bool take_from(struct sink *sink, struct request *request, struct pending *pending)
{
    uint32_t sent_again = 0;
    enum add_result result = ADDED;

    while (left_to_send(pending) > sent_again && request->count < pending->most) {
        bool again = sent_again < pending->n_again;
        uint32_t i = again ? pending->again[sent_again] : pending->next;

        result = request_add(sink, request, pending, i);
        if (result == FULL || result == NO_MEMORY)
            break;
        if (again)
            sent_again++;
        else
            pending->next++;
        if (result == REFUSED)
            pending->open--;
        else
            pending->in_flight++;
    }
    pending->filling = request;
    pending->n_again -= sent_again;
    memmove(pending->again, pending->again + sent_again,
            pending->n_again * sizeof(*pending->again));
    if (result == NO_MEMORY)
        pending->not_before = kp->now_ms() + RETRY_BASE_MS;
    return result == ADDED || result == REFUSED
               ? request->count < PUT_RECORDS_MAX && pending->most == PUT_RECORDS_MAX
               : false;
}

static void fill(struct sink *sink, struct request *request)
{
    request_begin(sink, request);
    for (struct pending *p = sink->pending; p; p = p->next_pending) {
        if (!p->is_ready || !may_join(p, request))
            continue;
        if (p->most < PUT_RECORDS_MAX && request->count)
            continue; /* a batch under suspicion goes alone */
        if (!take_from(sink, request, p))
            break;
    }
}

/* Is what can go by now worth a request of its own? */
struct worth {
    uint64_t records, bytes;
};

static bool is_worth_it(struct worth *worth, const struct pending *p)
{
    worth->records += left_to_send(p);
    for (uint32_t i = p->next; i < p->b->count && worth->bytes < WORTH_BYTES; i++)
        worth->bytes += kp_at(p->b, i)->data_len;
    return worth->records >= WORTH_RECORDS || worth->bytes >= WORTH_BYTES;
}

/* When there is something to send: 0 now, else the time; -1: nothing to wait for. Marks the batches
 * that can go. */
static int64_t send_at(struct sink *sink)
{
    int64_t now = kp->now_ms(), at = -1;
    struct worth worth = {0};
    bool is_due = false;

    for (struct pending *p = sink->pending; p; p = p->next_pending) {
        int64_t due = p->since + sink->config->linger_ms;

        p->is_ready = is_ready(sink, p, now);
        if (p->is_ready)
            is_due = is_due || sink->flushing || p->next || due <= now || is_worth_it(&worth, p);
        else if (left_to_send(p) && p->not_before > now)
            due = p->not_before;
        else
            continue; /* what it waits for will call */
        if (at < 0 || due < at)
            at = due;
    }
    return is_due ? 0 : at;
}

static void send_all(struct sink *sink)
{
    int64_t at = -1;
    struct request *request;

    if (sink->is_sending || sink->failed)
        return;
    sink->is_sending = true;
    sink->timers->stop(sink->timer);
    while (!sink->failed && (at = send_at(sink)) == 0 && (request = free_request(sink))) {
        fill(sink, request);
        if (request->count)
            send_request(sink, request);
        else
            request_end(request);
        finish_batches(sink); /* those of which every record was refused */
    }
    if (at == 0 && sink->in_flight == 0) /* no memory for a request */
        at = kp->now_ms() + RETRY_BASE_MS;
    if (at > 0)
        sink->timers->start(sink->timer, at - kp->now_ms(), 0);
    if (!sink->pending)
        sink->flushing = false;
    sink->is_sending = false;
}

static void timer_rang(kp_node *node, void *arg)
{
    (void)node;
    send_all(arg);
}

static void sink_flush(kp_node *node, void *state)
{
    struct sink *sink = state;

    (void)node;
    sink->flushing = sink->pending != NULL;
    send_all(sink);
}

/* ---- the element ---------------------------------------------------------------------------- */

static kp_status sink_open(kp_node *node, const void *config, void *state)
{
    struct sink *sink = state;

    sink->config = config;
    sink->node = node;
    sink->aws = kp->extension("aws/1");
    sink->timers = kp->extension("timer/1");
    if (!sink->aws || !sink->timers)
        return kp->fail(node, "this host has no aws/1 and timer/1");
    if (sink->config->partition_key.kind > KP_V_TEXT || sink->config->hash_key.kind > KP_V_TEXT) {
        sink->lua = kp->extension("lua/1");
        if (!sink->lua)
            return kp->fail(node, "this host has no lua/1, which keys from fields need");
    }
    kpw_random_init(&sink->random);
    sink->timer = sink->timers->create(node, timer_rang, sink);
    return sink->timer ? KP_OK : kp->fail(node, "out of memory");
}

static void sink_close(kp_node *node, void *state)
{
    struct sink *sink = state;

    for (int i = 0; i < IN_FLIGHT_MAX; i++) {
        if (!sink->requests[i])
            continue;
        if (sink->requests[i]->call)
            sink->aws->cancel(sink->requests[i]->call);
        kpw_buf_fini(&sink->requests[i]->body);
        free(sink->requests[i]);
        sink->requests[i] = NULL;
    }
    while (sink->pending) {
        struct pending *next = sink->pending->next_pending;

        kp->release(node, sink->pending->b); /* counts as retry */
        free(sink->pending->again);
        free(sink->pending);
        sink->pending = next;
    }
    if (sink->timer)
        sink->timers->destroy(sink->timer);
    sink->timer = NULL;
}

static const kp_option sink_options[] = {
    {"stream", KP_T_RESOURCE, offsetof(struct sink_config, stream), KP_REQUIRED, "stream",
     "the stream to write to", NULL},
    {"partition_key", KP_T_VALUE, offsetof(struct sink_config, partition_key), KP_OPTIONAL, NULL,
     "a text, k.field or function; default: the record's own key, else a random one", NULL},
    {"hash_key", KP_T_VALUE, offsetof(struct sink_config, hash_key), KP_OPTIONAL, NULL,
     "explicit hash key, 0 to 2^128-1 in decimal, instead of the key's MD5", NULL},
    {"linger", KP_T_DURATION, offsetof(struct sink_config, linger_ms), "100ms", "0ms..1m",
     "how long a few records may wait for more", NULL},
    {"order", KP_T_ENUM, offsetof(struct sink_config, order), "strict", "strict|none",
     "strict: one request of a lane at a time; none: several", NULL},
    {"in_flight", KP_T_INT, offsetof(struct sink_config, in_flight), "4", "1..64",
     "PutRecords requests under way at a time", NULL},
    {"attempts", KP_T_INT, offsetof(struct sink_config, attempts), "10", "1..1000",
     "requests in a row without any success before a batch goes back to the host's retry", NULL},
    {"max_record", KP_T_BYTES, offsetof(struct sink_config, max_record), "1MiB", "1B..10MiB",
     "largest record with its key; larger ones are rejected", NULL},
    {0},
};

const kp_element kinesis_sink = {
    .size = sizeof(kp_element),
    .kind = KP_SINK,
    .flags = KP_CONCURRENT,
    .name = "kinesis",
    .help = "PutRecords into a Kinesis data stream, failed entries sent again",
    .options = sink_options,
    .config_size = sizeof(struct sink_config),
    .state_size = sizeof(struct sink),
    .open = sink_open,
    .process = sink_process,
    .flush = sink_flush,
    .close = sink_close,
};
