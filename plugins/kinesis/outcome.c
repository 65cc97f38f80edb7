/* outcome.c - what the answer of PutRecords means for each record of the request.
 *
 * Taken: delivered, with shard and sequence number. Throttled or an internal failure: sent again,
 * before anything later of its shard, and that shard waits; others do not. Anything else: rejected
 * with the service's text.
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

#define PAUSE_MS    50 /* of a shard without pace that took only some */
#define AHEAD       8
#define JUDGE_TRIES 5 /* maps that do not know the shard yet */

static const char throttled[] = "ProvisionedThroughputExceededException";
static const char internal[] = "InternalFailure";

/* ---- slots ---------------------------------------------------------------------------------- */

static void complain(struct sink *sink, const char *error, const char *message)
{
    kp->count(sink->node, "put_errors", 1);
    if (!sink->has_complained)
        kp->log(sink->node, KP_LOG_WARN, "put.failed", "stream=%s error=%s message=%s",
                sink->config->stream->name, error, message ? message : "");
    sink->has_complained = true;
}

/* The slot is under way no longer. Returns its records. */
static struct item *leave(struct request *request, struct slot *slot)
{
    struct target *target = targets_of(request->sink, request, slot);
    struct item *chain = slot->first;

    if (target)
        target->in_flight--;
    slot->first = NULL;
    return chain;
}

static void deliver_item(struct sink *sink, struct item *item, const kp_receipt *receipt)
{
    kp->deliver(item->pending->b, item->i, receipt);
    sink_ended(sink, item);
}

/* They left the caches long ago: what will be written is asked for some records before. */
static void deliver_users(struct sink *sink, struct item *const *users, uint32_t n,
                          const kp_receipt *receipt)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i + 2 * AHEAD < n)
            __builtin_prefetch(users[i + 2 * AHEAD]);
        if (i + AHEAD < n) {
            const struct item *ahead = users[i + AHEAD];

            __builtin_prefetch(&kp_at(ahead->pending->b, ahead->i)->outcome, 1);
        }
        deliver_item(sink, users[i], receipt);
    }
}

static void deliver(struct request *request, struct slot *slot, const kp_receipt *receipt)
{
    struct item *item = leave(request, slot), *next;

    if (slot->users != USERS_NONE) {
        deliver_users(request->sink, request->users + slot->users, slot->n, receipt);
        return;
    }
    for (; item; item = next) {
        next = item->next;
        deliver_item(request->sink, item, receipt);
    }
}

static void reject(struct request *request, struct slot *slot, const char *error,
                   const char *message)
{
    struct item *item = leave(request, slot), *next;

    for (; item; item = next) {
        next = item->next;
        kp->reject(item->pending->b, item->i, "%s: %s", error, message);
        sink_ended(request->sink, item);
    }
}

static void send_again(struct request *request, struct slot *slot)
{
    struct target *target = targets_of(request->sink, request, slot);

    kp->count(request->sink->node, "records_sent_again", slot->n);
    targets_put_back(request->sink, target, leave(request, slot));
}

/* ---- what the targets learn from it ---------------------------------------------------------- */

struct lesson {
    const char *error, *message; /* of what was refused last */
    int64_t now, wait_ms;        /* wait_ms: of all that took nothing; 0: each for itself */
};

static void back_off(struct sink *sink, struct target *target, const struct lesson *lesson)
{
    int64_t wait = lesson->wait_ms;

    target->tries++;
    if (target->tries >= (uint64_t)sink->config->attempts && !sink->config->ttl_ms)
        target_give_back(sink, target, lesson->error, lesson->message);
    if (!wait)
        wait = calls_backoff_ms(&sink->random, target->tries ? target->tries - 1 : 0, RETRY_BASE_MS,
                                RETRY_MAX_MS);
    target->not_before = lesson->now + wait;
}

/* What went in gives a target back some of the size that split() took away. */
static void trust(struct target *target)
{
    target->tries = 0;
    target->most = target->most < PUT_RECORDS_MAX ? target->most * 2 : 0;
}

static void learn_one(struct sink *sink, struct target *target, const struct lesson *lesson)
{
    if (target->took)
        trust(target);
    target->is_probed = target->throttled ? !target->took : target->is_probed && !target->took;
    if (target->throttled)
        pace_throttled(&target->pace, lesson->now);
    else if (target->took)
        pace_taken(&target->pace, lesson->now);
    if (target->refused && !target->took)
        back_off(sink, target, lesson);
    else if (target->refused && (target->pace.ceiling <= 0 || !target->throttled))
        target->not_before = lesson->now + calls_backoff_ms(&sink->random, 0, PAUSE_MS, PAUSE_MS);
    target->took = target->refused = target->throttled = 0;
}

static void learn(struct request *request, const struct lesson *lesson)
{
    struct sink *sink = request->sink;

    if (request->generation != sink->generation)
        return;
    for (uint32_t s = 0; s < request->n_slots; s++)
        learn_one(sink, &sink->targets[request->slots[s].target], lesson);
}

/* ---- calls that failed ------------------------------------------------------------------------
 */

static void take_all_back(struct request *request)
{
    for (uint32_t s = 0; s < request->n_slots; s++) {
        struct target *target = targets_of(request->sink, request, &request->slots[s]);

        if (target)
            target->refused++;
        targets_put_back(request->sink, target, leave(request, &request->slots[s]));
    }
}

/* The whole call failed and may be made again: by the same clock for all its targets, so that they
 * travel together again. */
static void call_failed(struct request *request, const char *error, const char *message,
                        int64_t after_ms)
{
    struct sink *sink = request->sink;
    struct lesson lesson = {error, message ? message : "", kp->now_ms(), 0};
    unsigned tries = UINT32_MAX;

    complain(sink, error, message);
    take_all_back(request);
    for (uint32_t s = 0; s < request->n_slots; s++) {
        const struct target *target = targets_of(sink, request, &request->slots[s]);

        if (target && target->tries < tries)
            tries = target->tries;
    }
    lesson.wait_ms = calls_backoff_ms(&sink->random, tries, RETRY_BASE_MS, RETRY_MAX_MS);
    if (lesson.wait_ms < after_ms)
        lesson.wait_ms = after_ms;
    learn(request, &lesson);
}

/* The same of a request that was sent. */
static void call_lost(struct request *request, const kp_aws_response *response)
{
    struct sink *sink = request->sink;

    if (response->throttled && sink->config->fail_if_throttled) {
        for (uint32_t s = 0; s < request->n_slots; s++)
            reject(request, &request->slots[s], response->error,
                   response->message ? response->message : "");
        return;
    }
    kp->count(sink->node, "records_sent_again", request->count);
    call_failed(request, response->error, response->message, response->retry_after_ms);
}

/* The service refuses the request because of some record in it: halves find it. */
static void split(struct request *request, const char *error, const char *message)
{
    struct sink *sink = request->sink;

    if (request->count == 1) {
        struct target *target = targets_of(sink, request, request->slots);

        reject(request, request->slots, error, message ? message : "");
        if (target)
            trust(target);
        return;
    }
    for (uint32_t s = 0; s < request->n_slots; s++) {
        struct target *target = targets_of(sink, request, &request->slots[s]);

        if (target)
            target->refused += request->slots[s].n;
        targets_put_back(sink, target, leave(request, &request->slots[s]));
    }
    for (uint32_t s = 0; s < request->n_slots; s++) {
        struct target *target = targets_of(sink, request, &request->slots[s]);

        if (!target || !target->refused)
            continue;
        target->most = target->refused > 1 ? target->refused / 2 : 1;
        target->refused = 0;
    }
}

/* ---- answers ----------------------------------------------------------------------------------
 */

struct answer {
    struct request *request;
    uint32_t taken, throttled; /* slots */
    char error[64], message[200];
};

static void slot_failed(struct answer *answer, struct slot *slot, const struct put_result *result)
{
    struct sink *sink = answer->request->sink;
    struct target *target = targets_of(sink, answer->request, slot);
    bool is_throttled;

    snprintf(answer->error, sizeof(answer->error), "%.*s", (int)result->error_len, result->error);
    snprintf(answer->message, sizeof(answer->message), "%.*s", (int)result->message_len,
             result->message);
    is_throttled = strcmp(answer->error, throttled) == 0;
    answer->throttled += is_throttled;
    if (target && is_throttled)
        target->throttled++;
    if (is_throttled
            ? sink->config->fail_if_throttled
            : strcmp(answer->error, internal) != 0 && strncmp(answer->error, "KMS", 3) != 0) {
        reject(answer->request, slot, answer->error, answer->message);
        return;
    }
    if (!is_throttled)
        complain(sink, answer->error, answer->message);
    if (target)
        target->refused++;
    send_again(answer->request, slot);
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

static bool is_shard(const struct shard_map *map, uint32_t target, kp_slice id)
{
    return target < map->n_open && strlen(map->shards[target].id) == id.len &&
           !memcmp(map->shards[target].id, id.ptr, id.len);
}

/* True: the slot waits for judgement. A single record is where it belongs, whatever the map said.
 */
static bool is_elsewhere(struct request *request, struct slot *slot, const kp_receipt *receipt)
{
    struct sink *sink = request->sink;

    if (!request->map || is_shard(request->map, slot->target, receipt->shard))
        return false;
    if (request->map == sink->loader.map)
        map_load(&sink->loader);
    if (slot->n == 1 || !keep_wrong(slot, receipt))
        return false;
    kp->count(sink->node, "wrong_shard_records", slot->n);
    request->n_wrong++;
    return true;
}

/* Records that went as they are: as in deliver_users(). */
static void prefetch_slots(const struct request *request, uint32_t n)
{
    const struct item *ahead;

    if (n + 2 * AHEAD < request->n_slots)
        __builtin_prefetch(request->slots[n + 2 * AHEAD].first);
    if (n + AHEAD >= request->n_slots || !(ahead = request->slots[n + AHEAD].first))
        return;
    __builtin_prefetch(&kp_at(ahead->pending->b, ahead->i)->outcome, 1);
}

static void slot_answered(void *arg, uint32_t n, const struct put_result *result)
{
    struct answer *answer = arg;
    struct request *request = answer->request;
    struct slot *slot = &request->slots[n];
    struct target *target = targets_of(request->sink, request, slot);
    kp_receipt receipt = {
        .size = sizeof(receipt),
        .status = 200,
        .shard = {result->shard, result->shard_len},
        .sequence = {result->sequence, result->sequence_len},
    };

    prefetch_slots(request, n);
    if (result->error_len) {
        slot_failed(answer, slot, result);
        return;
    }
    answer->taken++;
    if (target)
        target->took++;
    if (!is_elsewhere(request, slot, &receipt))
        deliver(request, slot, &receipt);
}

static void call_answered(struct request *request, const kp_aws_response *response)
{
    struct sink *sink = request->sink;
    struct answer answer = {.request = request};

    if (!put_results_parse(response->body.ptr, response->body.len, request->n_slots, slot_answered,
                           &answer)) {
        call_lost(request, &(kp_aws_response){
                               .error = "MalformedAnswer",
                               .message = "the answer of PutRecords is not understood, or has not "
                                          "an entry for each"});
        return;
    }
    kp->count(sink->node, "kinesis_records", answer.taken);
    kp->count(sink->node, "throttled_records", answer.throttled);
    if (sink->has_complained && answer.taken)
        kp->log(sink->node, KP_LOG_INFO, "put.recovered", "stream=%s", sink->config->stream->name);
    if (answer.taken)
        sink->has_complained = false;
    learn(request, &(struct lesson){answer.error, answer.message, kp->now_ms(), 0});
}

void outcome_of(struct request *request, const kp_aws_response *response)
{
    struct sink *sink = request->sink;

    if (wire_refused(&sink->wire, request->is_cbor, response)) { /* again, in JSON */
        take_all_back(request);
        for (uint32_t s = 0; s < request->n_slots; s++) {
            struct target *target = targets_of(sink, request, &request->slots[s]);

            if (target)
                target->refused = 0;
        }
        return;
    }
    switch (calls_judge(response)) {
    case CALLS_FINE: call_answered(request, response); break;
    case CALLS_AGAIN: call_lost(request, response); break;
    case CALLS_REQUEST: split(request, response->error, response->message); break;
    default:
        call_failed(request, response->error, response->message, 0);
        sink->failed = true;
        (void)calls_fail(sink->node, "PutRecords", sink->config->stream, response);
        break;
    }
    if (request->n_wrong)
        outcome_judge(sink);
}

void outcome_unsent(struct request *request)
{
    call_failed(request, "OutOfMemory", "no room for a request", 0);
    request_end(request);
}

/* ---- aggregates that went elsewhere -----------------------------------------------------------
 */

static bool holds_all(const struct listed_shard *shard, const struct slot *slot)
{
    for (const struct item *item = slot->first; item; item = item->next)
        if (item->hash < shard->low || item->hash > shard->high)
            return false;
    return true;
}

static void judge_slot(struct request *request, struct slot *slot, const struct shard_map *map)
{
    kp_receipt receipt = {
        .size = sizeof(receipt),
        .status = 200,
        .shard = {slot->wrong, slot->wrong_shard},
        .sequence = {slot->wrong + slot->wrong_shard, slot->wrong_sequence},
    };
    uint32_t shard = map_named(map, receipt.shard);

    if (shard == MAP_NONE && request->judgements < JUDGE_TRIES)
        return; /* this map does not know it */
    if (shard != MAP_NONE && holds_all(&map->shards[shard], slot))
        deliver(request, slot, &receipt);
    else
        send_again(request, slot);
    free(slot->wrong);
    slot->wrong = NULL;
    request->n_wrong--;
}

static void judge(struct request *request, const struct shard_map *map)
{
    request->judgements++;
    for (uint32_t s = 0; s < request->n_slots; s++)
        if (request->slots[s].wrong)
            judge_slot(request, &request->slots[s], map);
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
