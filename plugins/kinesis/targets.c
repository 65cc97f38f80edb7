/* targets.c - the queues of records, one per shard.
 *
 * A queue is a list through its items, in order of arrival. What comes back from a request goes in
 * at its place, found from where the last one went in, so a whole request costs as much as its
 * records. A new map is rare: then all batches in hand are walked.
 */
#include <stdlib.h>
#include <string.h>

#include "plugins/kinesis/sink.h"

static void set_pace(struct sink *sink, struct target *target, bool is_shard)
{
    double ceiling =
        is_shard && !kp->info(sink->node)->no_limits ? (double)sink->config->rate_limit / 100 : 0;

    pace_init(&target->pace, ceiling, kp->now_ms());
}

bool targets_init(struct sink *sink)
{
    sink->n_targets = 1;
    sink->targets = calloc(1, sizeof(*sink->targets));
    sink->active = calloc(1, sizeof(*sink->active));
    if (!sink->targets || !sink->active)
        return false;
    set_pace(sink, sink->targets, false);
    return true;
}

void targets_fini(struct sink *sink)
{
    free(sink->targets);
    free(sink->active);
    map_unref(sink->map);
    sink->targets = NULL;
    sink->active = NULL;
    sink->map = NULL;
}

/* ---- queues */

static struct target *target_for(struct sink *sink, const struct item *item)
{
    uint32_t shard = sink->map ? map_find(sink->map, item->hash) : MAP_NONE;

    return &sink->targets[shard == MAP_NONE ? sink->n_targets - 1 : shard];
}

static void list(struct sink *sink, struct target *target)
{
    if (target->is_listed)
        return;
    target->is_listed = true;
    sink->active[sink->n_active++] = (uint32_t)(target - sink->targets);
}

void targets_add(struct sink *sink, struct item *item)
{
    struct target *target = target_for(sink, item);

    item->state = ITEM_QUEUED;
    item->next = NULL;
    if (target->tail)
        target->tail->next = item;
    else
        target->head = item;
    target->tail = item;
    target->n++;
    target->bytes += item->len;
    list(sink, target);
}

struct item *target_pop(struct target *target)
{
    struct item *item = target->head;

    target->head = item->next;
    if (!target->head)
        target->tail = NULL;
    target->hint = NULL;
    target->n--;
    target->bytes -= item->len;
    item->next = NULL;
    return item;
}

static bool is_before(const struct item *a, const struct item *b)
{
    return a->pending != b->pending ? a->pending->order < b->pending->order : a->i < b->i;
}

static void insert(struct sink *sink, struct target *target, struct item *item)
{
    struct item **at = &target->head;

    if (target->hint && is_before(target->hint, item))
        at = &target->hint->next;
    while (*at && is_before(*at, item))
        at = &(*at)->next;
    item->state = ITEM_QUEUED;
    item->next = *at;
    *at = item;
    if (!item->next)
        target->tail = item;
    target->hint = item;
    target->n++;
    target->bytes += item->len;
    list(sink, target);
}

void targets_put_back(struct sink *sink, struct target *target, struct item *chain)
{
    while (chain) {
        struct item *next = chain->next;

        insert(sink, target ? target : target_for(sink, chain), chain);
        chain = next;
    }
}

void target_give_back(struct sink *sink, struct target *target, const char *error,
                      const char *message)
{
    while (target->head) {
        struct item *item = target_pop(target);

        kp->retry(item->pending->b, item->i, 0, "%s: %s", error, message);
        sink_ended(sink, item);
    }
    target->tries = 0;
}

static void expire(struct sink *sink, struct target *target)
{
    struct item *item = target_pop(target);

    kp->reject(item->pending->b, item->i,
               "older than record_ttl: stream %s did not take it within %lld ms",
               sink->config->stream->name, (long long)sink->config->ttl_ms);
    kp->count(sink->node, "expired_records", 1);
    sink_ended(sink, item);
}

int64_t targets_expire(struct sink *sink, int64_t now)
{
    int64_t ttl = sink->config->ttl_ms, first = -1;

    for (uint32_t k = 0; k < sink->n_active; k++) {
        struct target *target = &sink->targets[sink->active[k]];

        while (target->head && target->head->pending->since + ttl <= now)
            expire(sink, target);
        if (target->head && (first < 0 || target->head->pending->since + ttl < first))
            first = target->head->pending->since + ttl;
    }
    return first;
}

/* ---- another map */

/* A shard that was there before goes on as it was. */
static void carry_over(struct sink *sink, struct target *targets, const struct shard_map *map)
{
    for (uint32_t s = 0; sink->map && s < map->n_open; s++) {
        uint32_t was = map_find(sink->map, map->shards[s].low);

        if (was == MAP_NONE || strcmp(sink->map->shards[was].id, map->shards[s].id) != 0)
            continue;
        targets[s].pace = sink->targets[was].pace;
        targets[s].tries = sink->targets[was].tries;
        targets[s].not_before = sink->targets[was].not_before;
        targets[s].most = sink->targets[was].most;
        targets[s].is_probed = sink->targets[was].is_probed;
    }
}

static uint32_t n_busy(const struct sink *sink)
{
    uint32_t n = 0;

    for (int i = 0; i < IN_FLIGHT_MAX; i++)
        n += sink->requests[i] && (sink->requests[i]->call || sink->requests[i]->n_wrong);
    return n;
}

void targets_renew(struct sink *sink)
{
    struct shard_map *map = sink->loader.map;
    uint32_t n = map->n_open + 1;
    struct target *targets = calloc(n, sizeof(*targets));
    uint32_t *active = calloc(n, sizeof(*active));

    if (!targets || !active) { /* goes on with the map it has */
        free(targets);
        free(active);
        return;
    }
    for (uint32_t t = 0; t < n; t++)
        set_pace(sink, &targets[t], t + 1 < n);
    carry_over(sink, targets, map);
    targets_fini(sink);
    sink->targets = targets;
    sink->n_targets = n;
    sink->active = active;
    sink->n_active = sink->turn = 0;
    sink->map = map_ref(map);
    sink->generation++;
    sink->n_old = n_busy(sink);
    sink->aggregates = sink->config->aggregate && map->n_open;
    for (struct pending *p = sink->pending; p; p = p->next)
        for (uint32_t i = 0; i < p->b->count; i++)
            if (p->items[i].state == ITEM_QUEUED)
                targets_add(sink, &p->items[i]);
}
