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
#define WORTH_USERS   10000 /* with aggregates */
#define WORTH_TEXT    (256 * 1024)

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
    pending->most = sink->most;
    pending->since = kp->now_ms();
    for (; *end; end = &(*end)->next_pending)
        if ((*end)->b->lane == b->lane)
            before = *end;
    if (sink->config->order == ORDER_STRICT)
        pending->before = before;
    *end = pending;
    if (sink->aggregator && !sink->loader.map)
        map_load(&sink->loader); /* until it is there records go as they are */
    sink_send_all(sink);
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
void sink_finish_batches(struct sink *sink)
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

/* Could it go now? With strict order a batch goes when nothing of it is under way, and nothing of
 * its lane is before it that does not go with it. */
static bool is_ready(const struct sink *sink, const struct pending *pending, int64_t now)
{
    const struct pending *before = pending->before;

    if (!sink_left(pending) || pending->not_before > now)
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
           (before->filling == request && before->in_flight && !sink_left(before));
}

static void put_ended(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct request *request = arg;
    struct sink *sink = request->sink;

    (void)node;
    request->call = NULL;
    sink->in_flight--;
    outcome_of(request, response);
    request_end(request);
    sink_finish_batches(sink);
    sink_send_all(sink);
}

/* ---- sending -------------------------------------------------------------------------------- */

static void send_request(struct sink *sink, struct request *request)
{
    kp_aws_request call = {
        .size = sizeof(call),
        .service = "kinesis",
        .target = "Kinesis_20131202.PutRecords",
        .content_type = wire_content_type(request->is_cbor),
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
        if (!(*at)->call && !(*at)->n_wrong)
            return *at;
    }
    return NULL;
}

/* Takes records of one batch, first those to send again. True: there is room for another batch. */
static bool take_from(struct sink *sink, struct request *request, struct pending *pending)
{
    uint32_t sent_again = 0;
    enum add_result result = ADDED;

    while (sink_left(pending) > sent_again && request->count < pending->most) {
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
               ? request->count < sink->most && pending->most == sink->most
               : false;
}

static void fill(struct sink *sink, struct request *request)
{
    request_begin(sink, request);
    for (struct pending *p = sink->pending; p; p = p->next_pending) {
        if (!p->is_ready || !may_join(p, request))
            continue;
        if (p->most < sink->most && request->count)
            continue; /* a batch under suspicion goes alone */
        if (!take_from(sink, request, p))
            break;
    }
}

/* Is what can go by now worth a request of its own? */
struct worth {
    uint64_t records, bytes;
};

static bool is_worth_it(const struct sink *sink, struct worth *worth, const struct pending *p)
{
    uint64_t records = sink->loader.map ? WORTH_USERS : WORTH_RECORDS;
    uint64_t bytes = sink->loader.map ? WORTH_TEXT : WORTH_BYTES;

    worth->records += sink_left(p);
    for (uint32_t i = p->next; i < p->b->count && worth->bytes < bytes; i++)
        worth->bytes += kp_at(p->b, i)->data_len;
    return worth->records >= records || worth->bytes >= bytes;
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
            is_due =
                is_due || sink->flushing || p->next || due <= now || is_worth_it(sink, &worth, p);
        else if (sink_left(p) && p->not_before > now)
            due = p->not_before;
        else
            continue; /* what it waits for will call */
        if (at < 0 || due < at)
            at = due;
    }
    return is_due ? 0 : at;
}

void sink_send_all(struct sink *sink)
{
    int64_t at = -1;
    struct request *request;

    if (sink->is_sending || sink->failed)
        return;
    sink->is_sending = true;
    sink->timers->stop(sink->timer);
    while (!sink->failed && (at = send_at(sink)) == 0 && (request = free_request(sink))) {
        fill(sink, request);
        if (!request->count)
            request_end(request);
        else if (request_seal(sink, request))
            send_request(sink, request);
        else
            outcome_unsent(request);
        sink_finish_batches(sink); /* those of which every record was refused */
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
    sink_send_all(arg);
}

static void sink_flush(kp_node *node, void *state)
{
    struct sink *sink = state;

    (void)node;
    sink->flushing = sink->pending != NULL;
    sink_send_all(sink);
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
    sink->most = PUT_RECORDS_MAX;
    wire_init(&sink->wire, sink->config->wire);
    if (sink->config->aggregate && !aggregate_init(sink))
        return kp->fail(node, "out of memory");
    sink->timer = sink->timers->create(node, timer_rang, sink);
    return sink->timer ? KP_OK : kp->fail(node, "out of memory");
}

static void sink_close(kp_node *node, void *state)
{
    struct sink *sink = state;

    for (int i = 0; i < IN_FLIGHT_MAX; i++) {
        if (sink->requests[i] && sink->requests[i]->call)
            sink->aws->cancel(sink->requests[i]->call);
        request_free(sink->requests[i]);
        sink->requests[i] = NULL;
    }
    while (sink->pending) {
        struct pending *next = sink->pending->next_pending;

        kp->release(node, sink->pending->b); /* counts as retry */
        free(sink->pending->again);
        free(sink->pending);
        sink->pending = next;
    }
    aggregate_fini(sink);
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
    {"aggregate", KP_T_BOOL, offsetof(struct sink_config, aggregate), "false", NULL,
     "put many records into one of the stream, as the KPL does", NULL},
    {"aggregate_size", KP_T_BYTES, offsetof(struct sink_config, aggregate_size), "50KiB",
     "64B..10MiB", "largest aggregate", NULL},
    {"aggregate_count", KP_T_INT, offsetof(struct sink_config, aggregate_count), "100000",
     "1..1000000", "most records of one aggregate", NULL},
    {"wire", KP_T_ENUM, offsetof(struct sink_config, wire), "auto", "auto|json|cbor",
     WIRE_OPTION_HELP, NULL},
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
