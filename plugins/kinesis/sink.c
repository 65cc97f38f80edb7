/* sink.c - sink "kinesis": PutRecords of many lanes' records, failed entries sent again.
 *
 * Batches wait in order of arrival, their records in the queues of their shards (targets.c), so
 * that small ones travel together and one shard does not delay another. With order = "strict" a
 * shard has one request under way at a time and what it refused goes again before any later record
 * of it: so records of one key, which all belong to one shard, keep their order, up to what the
 * service itself mixes inside one request; with aggregates one entry a shard, and nothing is left
 * to be mixed.
 *
 * A batch that comes while enough is there to be sent waits in the backlog as it is: its records
 * are looked at when they are soon to go, so what is under way stays small and in the caches.
 *
 * After `attempts` requests in a row of which a shard took nothing, what waits for it is given back
 * to the host as retry.
 *
 * Owned by: the sink node.   Threads: its worker.
 */
#include "plugins/kinesis/sink.h"

#include "plugins/kinesis/elements.h"

#include <stdlib.h>
#include <string.h>

/* ---- batches in hand ------------------------------------------------------------------------ */

static kp_status sink_process(kp_node *node, void *state, kp_batch *b)
{
    struct sink *sink = state;
    struct pending *pending = b->count ? malloc(sizeof(*pending)) : NULL;

    if (!pending) {
        for (uint32_t i = 0; i < b->count; i++)
            kp->retry(b, i, RETRY_BASE_MS, "out of memory");
        kp->done(node, b);
        return KP_OK;
    }
    *pending = (struct pending){
        .b = b, .order = sink->arrivals++, .since = kp->now_ms(), .open = b->count};
    *sink->backlog_end = pending;
    sink->backlog_end = &pending->next;
    if (sink->knows_shards && !sink->map)
        map_load(&sink->loader); /* until it is there records go as they are */
    send_all(sink);
    return KP_OK;
}

static void add_finished(struct sink *sink, struct pending *pending)
{
    pending->next = sink->finished;
    sink->finished = pending;
}

void sink_take_next(struct sink *sink)
{
    struct pending *pending = sink->backlog;
    kp_batch *b = pending->b;

    sink->backlog = pending->next;
    if (!sink->backlog)
        sink->backlog_end = &sink->backlog;
    pending->next = NULL;
    pending->previous = sink->pending_last;
    pending->items = reallocarray(NULL, b->count, sizeof(*pending->items));
    if (!pending->items || !keys_take_batch(sink, pending)) {
        for (uint32_t i = 0; i < b->count; i++)
            kp->retry(b, i, RETRY_BASE_MS, "out of memory");
        pending->open = 0;
    }
    if (!pending->open) { /* nothing of it waits */
        add_finished(sink, pending);
        return;
    }
    *(sink->pending_last ? &sink->pending_last->next : &sink->pending) = pending;
    sink->pending_last = pending;
}

void sink_finish_batches(struct sink *sink)
{
    struct pending *pending;

    while ((pending = sink->finished)) {
        sink->finished = pending->next;
        kp->done(sink->node, pending->b);
        free(pending->items);
        free(pending);
    }
}

static void map_loaded(void *arg)
{
    struct sink *sink = arg;

    targets_renew(sink);
    outcome_judge(sink);
    send_all(sink);
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
    sink->flushing = sink->pending || sink->backlog;
    send_all(sink);
}

/* ---- the element ---------------------------------------------------------------------------- */

static kp_status sink_validate(kp_node *node, const void *config)
{
    const struct sink_config *c = config;
    struct key_fault fault;
    kpw_u128 hash;

    if (c->partition_key.kind == KP_V_TEXT && !*c->partition_key.text)
        return kp->fail(node, "partition_key is empty; leave it out for the records' own keys");
    if (c->partition_key.kind == KP_V_TEXT &&
        !keys_partition_valid(slice_of(c->partition_key.text), &fault))
        return kp->fail(node, "partition_key %s", fault.text);
    if (c->hash_key.kind == KP_V_TEXT && !keys_parse_hash(slice_of(c->hash_key.text), &hash))
        return kp->fail(node, "hash_key \"%.60s\" is not a decimal number from 0 to 2^128-1",
                        c->hash_key.text);
    return KP_OK;
}

static bool make_parts(struct sink *sink)
{
    const struct sink_config *c = sink->config;

    sink->loader = (struct map_loader){
        .node = sink->node,
        .stream = c->stream,
        .aws = sink->aws,
        .timers = sink->timers,
        .loaded = map_loaded,
        .arg = sink,
    };
    sink->knows_shards = c->aggregate || c->order != ORDER_NONE ||
                         (c->rate_limit && !kp->info(sink->node)->no_limits);
    sink->timer = sink->timers->create(sink->node, timer_rang, sink);
    return map_loader_init(&sink->loader) && targets_init(sink) && sink->timer;
}

static kp_status sink_open(kp_node *node, const void *config, void *state)
{
    struct sink *sink = state;

    sink->config = config;
    sink->node = node;
    sink->backlog_end = &sink->backlog;
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
    wire_init(&sink->wire, sink->config->wire);
    return make_parts(sink) ? KP_OK : kp->fail(node, "out of memory");
}

static void release_list(kp_node *node, struct pending *pending)
{
    while (pending) {
        struct pending *next = pending->next;

        kp->release(node, pending->b); /* what has no outcome counts as retry */
        free(pending->items);
        free(pending);
        pending = next;
    }
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
    release_list(node, sink->pending);
    release_list(node, sink->backlog);
    release_list(node, sink->finished);
    sink->pending = sink->pending_last = sink->finished = sink->backlog = NULL;
    sink->backlog_end = &sink->backlog;
    aggregate_fini(sink);
    keys_fini(sink);
    targets_fini(sink);
    map_loader_fini(&sink->loader);
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
    {"order", KP_T_ENUM, offsetof(struct sink_config, order), "strict", "strict|key|none",
     "strict: one request of a shard at a time; key: with at most one record of a key; none: "
     "several",
     NULL},
    {"in_flight", KP_T_INT, offsetof(struct sink_config, in_flight), "4", "1..64",
     "PutRecords requests under way at a time", NULL},
    {"attempts", KP_T_INT, offsetof(struct sink_config, attempts), "10", "1..1000",
     "requests in a row of which a shard took nothing before its records go back to the host's "
     "retry",
     NULL},
    {"rate_limit", KP_T_INT, offsetof(struct sink_config, rate_limit), "150", "0..100000",
     "most to a shard, in per cent of its 1,000 records and 1 MiB a second; 0: no pacing", NULL},
    {"record_ttl", KP_T_DURATION, offsetof(struct sink_config, ttl_ms), "0ms", "0ms..365d",
     "records that were not taken within that time are rejected; 0: they wait", NULL},
    {"fail_if_throttled", KP_T_BOOL, offsetof(struct sink_config, fail_if_throttled), "false", NULL,
     "reject what is throttled instead of sending it again", NULL},
    {"timeout", KP_T_DURATION, offsetof(struct sink_config, timeout_ms), "30s", "100ms..10m",
     "how long one request may take", NULL},
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
    .validate = sink_validate,
    .open = sink_open,
    .process = sink_process,
    .flush = sink_flush,
    .close = sink_close,
};
