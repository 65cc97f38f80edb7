/* source.c - source "kinesis": the records of a stream, one lane per shard.
 *
 * The element: options, start, wake, grants, catch_up, stop. The shards are found by discover.c
 * and read by shard.c.
 */
#include "plugins/kinesis/source.h"

#include "plugins/kinesis/elements.h"
#include "sdk/wire/json.h"
#include "sdk/wire/time.h"

#include <stdlib.h>
#include <string.h>

#define YEAR_10000 253402300800 /* Unix seconds */

/* "2024-05-01T12:00:00Z" or Unix seconds. */
static bool read_timestamp(const char *text, double *ret_seconds)
{
    struct kpw_slice slice = kpw_slice_cstr(text);
    int64_t ms;

    if (kpw_iso8601_parse(slice, &ms) && ms >= 0) {
        *ret_seconds = (double)ms / 1000;
        return true;
    }
    return kpw_json_to_double(slice, ret_seconds) && *ret_seconds >= 0 && *ret_seconds < YEAR_10000;
}

static kp_status source_validate(kp_node *node, const void *config)
{
    const struct source_config *c = config;
    bool has_time = c->timestamp && *c->timestamp;
    double seconds;

    if (has_time != (c->start == START_AT_TIMESTAMP))
        return kp->fail(node, has_time ? "timestamp needs start = \"at-timestamp\""
                                       : "start = \"at-timestamp\" needs a timestamp");
    if (has_time && !read_timestamp(c->timestamp, &seconds))
        return kp->fail(node,
                        "timestamp must look like \"2024-05-01T12:00:00Z\" or be Unix seconds, "
                        "got \"%s\"",
                        c->timestamp);
    if (c->consumer && *c->consumer && !consumer_is_valid(c->consumer))
        return kp->fail(node,
                        "consumer must be a name of 1 to 128 letters, digits, \"_\", \".\" and "
                        "\"-\", or the ARN of a consumer, got \"%.200s\"",
                        c->consumer);
    if (c->shards.items && !c->shards.count)
        return kp->fail(node, "shards is empty; leave it out to read all of the stream");
    for (size_t i = 1; i < c->shards.count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(c->shards.items[i], c->shards.items[j]) == 0)
                return kp->fail(node, "shards names %s twice", c->shards.items[i]);
    return KP_OK;
}

static void list_rang(kp_node *node, void *arg)
{
    (void)node;
    discover_now(arg);
}

static void reaper_rang(kp_node *node, void *arg)
{
    struct source *source = arg;
    struct shard **at = &source->shards;

    (void)node;
    while (*at) {
        struct shard *shard = *at;

        if (shard->state != SHARD_CLOSED) {
            at = &shard->next;
            continue;
        }
        *at = shard->next;
        shard_free(shard);
    }
}

static bool make_timers(struct source *source)
{
    source->list_timer = source->timers->create(source->node, list_rang, source);
    source->reaper = source->timers->create(source->node, reaper_rang, source);
    source->watch = source->timers->create(source->node, watch_rang, source);
    return source->list_timer && source->reaper && source->watch;
}

static kp_status source_open(kp_node *node, const void *config, void *state)
{
    struct source *source = state;

    source->config = config;
    source->node = node;
    source->info = kp->info(node);
    source->aws = kp->extension("aws/1");
    source->timers = kp->extension("timer/1");
    for (int i = 0; i < WAITS_FOR_MAX_; i++)
        queue_init(&source->queues[i]);
    if (!source->aws || !source->timers)
        return kp->fail(node, "this host has no aws/1 and timer/1");
    if (source->config->start == START_AT_TIMESTAMP)
        (void)read_timestamp(source->config->timestamp, &source->start_s);
    kpw_random_init(&source->random);
    wire_init(&source->wire, source->config->wire);
    return make_timers(source) ? KP_OK : kp->fail(node, "out of memory");
}

static kp_status source_start(kp_node *node, void *state)
{
    struct source *source = state;

    (void)node;
    source->is_pushed = source->config->mode != MODE_POLLING;
    if (source->is_pushed)
        consumer_begin(source);
    watch_start(source);
    if (discover_offers(source))
        discover_now(source);
    return KP_OK;
}

static void source_wake(kp_node *node, void *state, kp_lane *lane, void *lane_state)
{
    (void)node;
    if (lane)
        shard_go(lane_state);
    else
        shard_wake_waiting(state);
}

static void source_grant(kp_node *node, void *state, const kp_grant *grant)
{
    (void)node;
    shard_grant(state, grant);
}

static void source_revoke(kp_node *node, void *state, kp_lane *lane, void *lane_state, bool is_lost)
{
    struct source *source = state;
    struct shard *shard = lane_state;

    if (!lane)
        return;
    kp->log(node, KP_LOG_INFO, "shard.left", "stream=%s shard=%s lost=%s",
            source->config->stream->name, shard->id, is_lost ? "yes" : "no");
    shard_close(shard);
    discover_caught_up(source);
}

static void source_offer(kp_node *node, void *state)
{
    (void)node;
    discover_now(state);
}

static void source_catch_up(kp_node *node, void *state)
{
    struct source *source = state;

    (void)node;
    source->epoch++;
    if (discover_offers(source))
        discover_now(source); /* shards that came since the last listing hold records too */
    for (struct shard *shard = source->shards; shard; shard = shard->next)
        shard_hurry(shard);
    discover_caught_up(source);
}

static void source_stop(kp_node *node, void *state)
{
    struct source *source = state;

    (void)node;
    source->stopped = true;
    source->timers->stop(source->watch);
    discover_stop(source);
    consumer_fini(source);
    for (struct shard *shard = source->shards; shard; shard = shard->next)
        shard_stop(shard);
}

static void source_close(kp_node *node, void *state)
{
    struct source *source = state;

    (void)node;
    discover_fini(source);
    consumer_fini(source);
    while (source->shards) {
        struct shard *next = source->shards->next;

        shard_free(source->shards);
        source->shards = next;
    }
    if (source->timers) {
        source->timers->destroy(source->list_timer);
        source->timers->destroy(source->reaper);
        source->timers->destroy(source->watch);
    }
    source->list_timer = source->reaper = source->watch = NULL;
    free(source->spare);
    source->spare = NULL;
}

static const kp_option batch_options[] = {
    {"records", KP_T_INT, offsetof(struct source_batch, records), "10000", "1..10000",
     "most records of one batch", NULL},
    {"wait", KP_T_DURATION, offsetof(struct source_batch, wait_ms), "0ms", "0ms..5m",
     "how long a batch may wait to become full", NULL},
    {0},
};

static const kp_option source_options[] = {
    {"stream", KP_T_RESOURCE, offsetof(struct source_config, stream), KP_REQUIRED, "stream",
     "the stream to read", NULL},
    {"start", KP_T_ENUM, offsetof(struct source_config, start), "trim-horizon",
     "trim-horizon|latest|at-timestamp", "where a shard without a checkpoint begins", NULL},
    {"timestamp", KP_T_STRING, offsetof(struct source_config, timestamp), KP_OPTIONAL, NULL,
     "of start = \"at-timestamp\": 2024-05-01T12:00:00Z or Unix seconds", NULL},
    {"batch", KP_T_GROUP, offsetof(struct source_config, batch), KP_OPTIONAL, NULL,
     "size of the batches", batch_options},
    {"poll", KP_T_DURATION, offsetof(struct source_config, poll_ms), "1s", "10ms..1m",
     "longest pause between two reads of a quiet shard", NULL},
    {"wait", KP_T_BOOL, offsetof(struct source_config, wait), "false", NULL,
     "wait for a stream that does not exist yet", NULL},
    {"deaggregate", KP_T_BOOL, offsetof(struct source_config, deaggregate), "true", NULL,
     "take the aggregated records of the KPL apart", NULL},
    {"wire", KP_T_ENUM, offsetof(struct source_config, wire), "auto", "auto|json|cbor",
     WIRE_OPTION_HELP, NULL},
    {"mode", KP_T_ENUM, offsetof(struct source_config, mode), "polling", "polling|fan-out|auto",
     "fan-out: SubscribeToShard, a consumer's own 2 MB/s a shard; auto: polling where that fails",
     NULL},
    {"consumer", KP_T_STRING, offsetof(struct source_config, consumer), KP_OPTIONAL, NULL,
     "of fan-out: name or ARN of the consumer; default: the application's name", NULL},
    {"shards", KP_T_LIST, offsetof(struct source_config, shards), KP_OPTIONAL, NULL,
     "read exactly these shards, without sharing any with other processes", NULL},
    {0},
};

const kp_element kinesis_source = {
    .size = sizeof(kp_element),
    .kind = KP_SOURCE,
    .flags = KP_STREAM,
    .name = "kinesis",
    .help = "the records of a Kinesis data stream, one lane per shard",
    .options = source_options,
    .config_size = sizeof(struct source_config),
    .state_size = sizeof(struct source),
    .validate = source_validate,
    .open = source_open,
    .start = source_start,
    .wake = source_wake,
    .catch_up = source_catch_up,
    .stop = source_stop,
    .close = source_close,
    .grant = source_grant,
    .revoke = source_revoke,
    .offer = source_offer,
};
