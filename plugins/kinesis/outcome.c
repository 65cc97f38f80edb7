/* outcome.c - what the answer of PutRecords means for each record of the request.
 *
 * Taken: delivered, with shard and sequence number. Throttled or an internal failure: sent again,
 * before anything later of its lane. Anything else: rejected with the service's text.
 *
 * An aggregate in another shard than the map said (the stream was split or merged meanwhile) counts
 * as delivered when all its hash keys lie in that shard's range: its readers take it. Else readers
 * leave it out whole, as KCL and the kinesis source do, and its records are sent again. Which of
 * the two holds is known when the map is there that has the shard.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/kinesis/sink.h"

#define PAUSE_MIN_MS 20
#define JUDGE_TRIES  5 /* maps that do not know the shard yet */

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
    pending->open -= sink_left(pending);
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
    for (uint32_t n = 0; n < request->count; n++) {
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
        e->pending->most = request->sink->most;
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

static void deliver(struct request *request, const struct slot *slot, const kp_receipt *receipt)
{
    for (uint32_t n = slot->first; n != ENTRY_NONE; n = request->entries[n].next) {
        struct entry *e = &request->entries[n];

        e->pending->in_flight--;
        kp->deliver(e->pending->b, e->i, receipt);
        e->pending->open--;
        e->pending->tries = 0;
    }
}

/* An aggregate went elsewhere: keeps what the answer said of it. */
static bool keep_wrong(struct slot *slot, const kp_receipt *receipt)
{
    slot->wrong = malloc(receipt->shard.len + receipt->sequence.len + 1);
    if (!slot->wrong)
        return false;
    memcpy(slot->wrong, receipt->shard.ptr, receipt->shard.len);
    memcpy(slot->wrong + receipt->shard.len, receipt->sequence.ptr, receipt->sequence.len);
    slot->wrong_shard = (uint32_t)receipt->shard.len;
    slot->wrong_sequence = (uint32_t)receipt->sequence.len;
    return true;
}

/* True: the slot waits for judgement. A single record is where it belongs, whatever the map said.
 */
static bool is_elsewhere(struct request *request, struct slot *slot, const kp_receipt *receipt)
{
    struct sink *sink = request->sink;
    const struct shard_map *map = request->map;

    if (!map || (slot->shard != MAP_NONE && map_named(map, receipt->shard) == slot->shard))
        return false;
    if (map == sink->loader.map)
        map_load(&sink->loader);
    if (slot->n == 1 || !keep_wrong(slot, receipt))
        return false;
    kp->count(sink->node, "wrong_shard_records", slot->n);
    request->n_wrong++;
    return true;
}

static void slot_answered(void *arg, uint32_t n, const struct put_result *result)
{
    struct answer *answer = arg;
    struct request *request = answer->request;
    struct slot *slot = &request->slots[n];
    kp_receipt receipt = {
        .size = sizeof(receipt),
        .status = 200,
        .shard = {result->shard, result->shard_len},
        .sequence = {result->sequence, result->sequence_len},
    };

    if (result->error_len) {
        for (uint32_t e = slot->first; e != ENTRY_NONE; e = request->entries[e].next) {
            request->entries[e].pending->in_flight--;
            entry_failed(answer, &request->entries[e], result);
        }
        return;
    }
    answer->taken += slot->n;
    if (!is_elsewhere(request, slot, &receipt))
        deliver(request, slot, &receipt);
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
        pending->most = pending->most * 2 < sink->most ? pending->most * 2 : sink->most;
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

    if (!put_results_parse(response->body.ptr, response->body.len, request->n_slots, slot_answered,
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

void outcome_of(struct request *request, const kp_aws_response *response)
{
    struct sink *sink = request->sink;

    if (wire_refused(&sink->wire, request->is_cbor, response)) {
        take_all_back(request); /* again, in JSON */
        return;
    }
    switch (calls_judge(response)) {
    case CALLS_FINE: call_answered(request, response); break;
    case CALLS_AGAIN: call_failed(request, response->error, response->message); break;
    case CALLS_REQUEST: split(request, response->error, response->message); break;
    default:
        call_failed(request, response->error, response->message);
        sink->failed = true;
        (void)calls_fail(sink->node, "PutRecords", sink->config->stream, response);
        break;
    }
    if (request->n_wrong)
        outcome_judge(sink);
}

void outcome_unsent(struct request *request)
{
    call_failed(request, "OutOfMemory", "no room for a request");
    request_end(request);
}

/* ---- aggregates that went elsewhere
 * -------------------------------------------------------------- */

static bool holds_all(const struct listed_shard *shard, const struct request *request,
                      const struct slot *slot)
{
    for (uint32_t n = slot->first; n != ENTRY_NONE; n = request->entries[n].next)
        if (request->entries[n].hash < shard->low || request->entries[n].hash > shard->high)
            return false;
    return true;
}

/* False: this map does not know the shard. */
static bool judge_slot(struct request *request, struct slot *slot, const struct shard_map *map)
{
    kp_receipt receipt = {
        .size = sizeof(receipt),
        .status = 200,
        .shard = {slot->wrong, slot->wrong_shard},
        .sequence = {slot->wrong + slot->wrong_shard, slot->wrong_sequence},
    };
    uint32_t shard = map_named(map, receipt.shard);

    if (shard == MAP_NONE && request->judgements < JUDGE_TRIES)
        return false;
    if (shard != MAP_NONE && holds_all(&map->shards[shard], request, slot)) {
        deliver(request, slot, &receipt);
    } else {
        for (uint32_t n = slot->first; n != ENTRY_NONE; n = request->entries[n].next) {
            request->entries[n].pending->in_flight--;
            send_again(request->entries[n].pending, request->entries[n].i);
        }
    }
    free(slot->wrong);
    slot->wrong = NULL;
    request->n_wrong--;
    return true;
}

static void judge(struct request *request, const struct shard_map *map)
{
    request->judgements++;
    for (uint32_t s = 0; s < request->n_slots; s++)
        if (request->slots[s].wrong)
            (void)judge_slot(request, &request->slots[s], map);
    if (!request->n_wrong)
        request_end(request);
}

void outcome_judge(struct sink *sink)
{
    for (int i = 0; i < IN_FLIGHT_MAX; i++) {
        struct request *request = sink->requests[i];

        if (!request || request->call || !request->n_wrong)
            continue;
        if (sink->loader.map != request->map)
            judge(request, sink->loader.map);
        if (request->n_wrong) /* the map that was loaded last is older than the change */
            map_load(&sink->loader);
    }
}
