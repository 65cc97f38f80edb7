/* send.c - which records go into the next request, and when.
 *
 * A request takes targets in turn, of each all that waits there and may go: up to what the shard's
 * pace allows, up to 500 entries. So a shard that is throttled, paced or under way (order =
 * "strict") is passed over and delays no other, and one with a long queue gets whole requests.
 *
 * Waiting for company (linger) ends when enough is there to be worth a request, or when a batch has
 * already begun to go out.
 */
#include "plugins/kinesis/sink.h"

#include <stdlib.h>

#define WORTH_RECORDS 100 /* that many are sent without lingering */
#define WORTH_BYTES   (128 * 1024)
#define WORTH_USERS   10000 /* with aggregates */
#define WORTH_TEXT    (256 * 1024)
/* Of the backlog no more is taken while enough records for the requests under way and the next
 * ones, and some per shard, could go: with aggregates so many ... */
#define USERS_AT_HAND       32768
#define USERS_AT_HAND_SHARD 64
#define AT_HAND_SHARD       8  /* ... and without */
#define SHARES              4  /* of these one shard has one at most */
#define PROBES              10 /* entries for a shard that throttles all */
#define GRID_MS             10 /* shards that wait for their pace wake up together */

static void call_ended(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct request *request = arg;
    struct sink *sink = request->sink;

    (void)node;
    request->call = NULL;
    sink->in_flight--;
    outcome_of(request, response);
    request_end(request);
    send_all(sink);
}

static void send_request(struct sink *sink, struct request *request)
{
    kp_aws_request call = {
        .size = sizeof(call),
        .service = "kinesis",
        .target = "Kinesis_20131202.PutRecords",
        .content_type = wire_content_type(request->is_cbor),
        .body = {request->body.ptr, request->body.len},
        .timeout_ms = sink->config->timeout_ms,
        .attempts = 1,
    };

    sink->in_flight++;
    sink->sent++;
    kp->count(sink->node, "requests", 1);
    request->call = sink->aws->call(sink->node, &call, call_ended, request);
}

static struct request *free_request(struct sink *sink)
{
    for (int64_t i = 0; i < sink->config->in_flight; i++) {
        struct request **at = &sink->requests[i];

        if (!*at) {
            *at = calloc(1, sizeof(**at));
            if (!*at)
                return NULL;
            (*at)->sink = sink;
            if (sink->config->order == ORDER_KEY)
                (*at)->keys = calloc(KEY_SEATS, sizeof(*(*at)->keys));
            if ((*at)->keys || sink->config->order != ORDER_KEY)
                return *at;
            request_free(*at);
            *at = NULL;
            return NULL;
        }
        if (!(*at)->call && !(*at)->n_wrong)
            return *at;
    }
    return NULL;
}

/* ---- what may go ----------------------------------------------------------------------------- */

static bool is_aggregated(const struct sink *sink, uint32_t target)
{
    return sink->aggregates && target + 1 < sink->n_targets;
}

/* When its records may go: now or earlier, later, or -1: when an answer is there. */
static int64_t ready_at(struct sink *sink, uint32_t index, int64_t now)
{
    struct target *target = &sink->targets[index];
    int64_t at;

    if (target->in_flight && (sink->config->order != ORDER_NONE || target->is_probed))
        return -1;
    if (target->not_before > now)
        return target->not_before;
    at = pace_ready_ms(&target->pace, is_aggregated(sink, index) ? 1 : target->n, target->bytes,
                       now);
    return at > now ? (at + GRID_MS - 1) / GRID_MS * GRID_MS : now;
}

/* Forgets targets where nothing waits any more. */
static void tidy(struct sink *sink)
{
    uint32_t n = 0, turn = sink->turn;

    for (uint32_t k = 0; k < sink->n_active; k++) {
        uint32_t index = sink->active[k];

        if (k == turn)
            sink->turn = n;
        if (sink->targets[index].head)
            sink->active[n++] = index;
        else
            sink->targets[index].is_listed = false;
    }
    sink->n_active = n;
    if (turn >= n && sink->turn >= n)
        sink->turn = 0;
}

struct worth {
    uint64_t at_hand;        /* records that wait for nothing but a request */
    uint64_t records, bytes; /* that may go now */
    int64_t due;             /* when the first of them has lingered long enough, -1: none */
    bool is_due;
};

static void weigh(const struct sink *sink, const struct target *target, struct worth *worth)
{
    const struct pending *oldest = target->head->pending;
    int64_t due = oldest->since + sink->config->linger_ms;

    worth->records += target->n;
    worth->bytes += target->bytes;
    worth->is_due = worth->is_due || oldest->has_begun;
    if (worth->due < 0 || due < worth->due)
        worth->due = due;
}

static bool is_due(const struct sink *sink, const struct worth *worth, int64_t now)
{
    uint64_t records = WORTH_RECORDS, bytes = WORTH_BYTES;

    if (sink->aggregates) {
        records = WORTH_USERS;
        bytes = sink->config->aggregate_size > WORTH_TEXT ? (uint64_t)sink->config->aggregate_size
                                                          : WORTH_TEXT;
        if ((uint64_t)sink->config->aggregate_count < records)
            records = (uint64_t)sink->config->aggregate_count;
    }
    return worth->due >= 0 && (sink->flushing || worth->is_due || worth->due <= now ||
                               worth->records >= records || worth->bytes >= bytes);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static uint64_t enough_at_hand(const struct sink *sink)
{
    if (sink->aggregates)
        return USERS_AT_HAND + (uint64_t)sink->n_targets * USERS_AT_HAND_SHARD;
    return (uint64_t)(sink->config->in_flight + 2) * 2 * PUT_RECORDS_MAX +
           (uint64_t)sink->n_targets * AT_HAND_SHARD;
}

/* What waits, and how it could go. Returns when more of it may, -1: nothing else waits for a time.
 * Of one shard not all is at hand, lest a single one that is under way keeps the others waiting. */
static int64_t weigh_all(struct sink *sink, int64_t now, struct worth *worth)
{
    uint32_t shards = sink->n_targets > 1 ? sink->n_targets - 1 : 1;
    uint64_t share = enough_at_hand(sink) / (shards < SHARES ? shards : SHARES);
    int64_t later = -1;

    *worth = (struct worth){.due = -1};
    tidy(sink);
    for (uint32_t k = 0; k < sink->n_active; k++) {
        const struct target *target = &sink->targets[sink->active[k]];
        int64_t at = ready_at(sink, sink->active[k], now);

        if (at > now) {
            later = sooner(later, at);
            continue;
        }
        worth->at_hand += target->n < share ? target->n : share;
        if (at >= 0)
            weigh(sink, target, worth);
    }
    return later;
}

/* When there is something to send: 0 now, else the time; -1: nothing to wait for but answers. */
static int64_t send_at(struct sink *sink, int64_t now)
{
    struct worth worth;
    int64_t later = weigh_all(sink, now, &worth);

    while (sink->backlog && worth.at_hand < enough_at_hand(sink)) {
        worth.at_hand += sink->backlog->b->count;
        sink_take_next(sink);
        if (!sink->backlog || worth.at_hand >= enough_at_hand(sink))
            later = weigh_all(sink, now, &worth); /* some may wait for their shard */
    }
    if (sink->config->order != ORDER_NONE && sink->n_old)
        return -1; /* keys may be under way to another target than they belong to now */
    return is_due(sink, &worth, now) ? 0 : sooner(later, worth.due);
}

/* ---- filling --------------------------------------------------------------------------------- */

/* Takes what waits there and may go. False: the request is full. */
static bool fill_from(struct sink *sink, struct request *request, uint32_t index)
{
    struct target *target = &sink->targets[index];
    bool is_ordered = sink->config->order != ORDER_NONE, aggregated = is_aggregated(sink, index);
    uint32_t before = request->count, slots = request->n_slots;
    enum add_result result = ADDED;

    while (target->head && result == ADDED && pace_has_room(&target->pace)) {
        if ((target->most && request->count - before >= target->most) ||
            (target->is_probed && request->n_slots - slots >= PROBES))
            break;
        if (!aggregated && request_has_key(request, target->head))
            break;
        result =
            aggregated ? aggregate_add(sink, request, index) : request_add(sink, request, index);
        if (aggregated && is_ordered)
            break; /* entries of one shard may change places, records of one entry do not */
    }
    if (result == NO_MEMORY)
        target->not_before = kp->now_ms() + RETRY_BASE_MS;
    return result == ADDED;
}

static void fill(struct sink *sink, struct request *request, int64_t now)
{
    uint32_t k, n = sink->n_active, turn = sink->turn;

    request_begin(sink, request);
    for (k = 0; k < n; k++) {
        uint32_t index = sink->active[(turn + k) % n];
        struct target *target = &sink->targets[index];
        int64_t at = ready_at(sink, index, now);

        if (at < 0 || at > now || (target->most && request->count))
            continue; /* a target under suspicion goes alone */
        if (!fill_from(sink, request, index) || target->most)
            break;
    }
    sink->turn = n ? (turn + k) % n : 0; /* what did not fit is the first of the next one */
}

/* Rejects what is too old. Returns when the next record will be, -1: none waits. */
static int64_t expire(struct sink *sink, int64_t now)
{
    int64_t ttl = sink->config->ttl_ms, first;

    if (!ttl)
        return -1;
    while (sink->backlog && sink->backlog->since + ttl <= now)
        sink_take_next(sink);
    first = targets_expire(sink, now);
    return sink->backlog ? sooner(first, sink->backlog->since + ttl) : first;
}

/* Sends all that can go. Returns when to look again: the time, 0: when a request is free, -1: when
 * an answer is there. */
static int64_t send_round(struct sink *sink)
{
    int64_t now, expires, at = -1;
    struct request *request;

    while (!sink->failed) {
        now = kp->now_ms();
        expires = expire(sink, now);
        at = send_at(sink, now);
        request = at == 0 ? free_request(sink) : NULL;
        if (!request)
            return at ? sooner(at, expires) : at;
        fill(sink, request, now);
        if (!request->count)
            request_end(request);
        else if (request_seal(request))
            send_request(sink, request);
        else
            outcome_unsent(request);
    }
    return at;
}

void send_all(struct sink *sink)
{
    int64_t at;

    if (sink->is_sending)
        return;
    sink->is_sending = true;
    sink->timers->stop(sink->timer);
    at = send_round(sink);
    while (sink->finished) { /* what is given back may bring the next batch */
        sink_finish_batches(sink);
        at = send_round(sink);
    }
    if (at == 0 && sink->in_flight == 0) /* no memory for a request */
        at = kp->now_ms() + RETRY_BASE_MS;
    if (at > 0)
        sink->timers->start(sink->timer, at - kp->now_ms(), 0);
    if (!sink->pending && !sink->backlog)
        sink->flushing = false;
    sink->is_sending = false;
}
