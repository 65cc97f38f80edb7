/* watch.c - what is said of each shard, and a look at those that do not come on.
 *
 * A shard that should be read and of which nothing was heard for a minute begins anew: its call is
 * given up, its iterator or subscription replaced. Whatever the cause was, it does not stay so.
 */
#include "plugins/kinesis/source.h"

#define LOOK_MS  10000
#define STUCK_MS 60000 /* without a good answer, beside the longest pause between two */

void watch_start(struct source *source)
{
    source->timers->start(source->watch, LOOK_MS, LOOK_MS);
}

/* As CloudWatch's GetRecords.IteratorAgeMilliseconds: how old what was read last is; 0: all is. */
static int64_t age_of(const struct shard *shard)
{
    const struct kinesis_answer *a = &shard->answer;
    int64_t age = a->count ? kp->wall_ms() - a->entries[a->count - 1].arrival_ms : shard->behind_ms;

    return shard->behind_ms == 0 || age < 0 ? 0 : age;
}

void watch_fetched(struct shard *shard)
{
    const struct kinesis_answer *a = &shard->answer;

    shard->watched_ms = shard->fetched_ms = kp->now_ms();
    shard->answer_bytes = 0;
    for (size_t i = 0; i < a->count; i++)
        shard->answer_bytes += a->entries[i].data_len + a->entries[i].key_len;
    if (a->count) {
        kp->lane_count(shard->lane, "records", (int64_t)a->count);
        kp->lane_count(shard->lane, "bytes", shard->answer_bytes);
    }
    kp->lane_gauge(shard->lane, "millis_behind_latest", shard->behind_ms);
    kp->lane_gauge(shard->lane, "iterator_age_ms", age_of(shard));
    kp->lane_gauge(shard->lane, "fetch_age_ms", 0);
}

/* What it has is not taken: it need not read. A subscription looks after itself. */
static bool is_held_up(const struct shard *shard)
{
    const struct source *source = shard->source;

    if (source->is_pushed && (shard->call || !source->consumer_arn))
        return true;
    return shard->answer_slab || shard->fill.batch || shard->in.is_held || shard->in.is_whole ||
           shard->at_end;
}

static void look_at(struct shard *shard, int64_t now)
{
    const struct source *source = shard->source;

    kp->lane_gauge(shard->lane, "fetch_age_ms", now - shard->fetched_ms);
    if (is_held_up(shard))
        shard->watched_ms = now;
    if (now >= shard->watched_ms + STUCK_MS + source->config->poll_ms) {
        kp->log(source->node, KP_LOG_WARN, "shard.stuck", "stream=%s shard=%s quiet_ms=%lld",
                source->config->stream->name, shard->id, (long long)(now - shard->fetched_ms));
        kp->lane_count(shard->lane, "rebuilds", 1);
        shard->watched_ms = now;
        shard_rebuild(shard);
    }
}

void watch_rang(kp_node *node, void *arg)
{
    struct source *source = arg;

    (void)node;
    for (struct shard *shard = source->shards; shard && !source->has_failed; shard = shard->next)
        if (shard->state != SHARD_CLOSED)
            look_at(shard, kp->now_ms());
}
