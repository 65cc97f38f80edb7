/* map.c - see map.h. */
#include "plugins/kinesis/map.h"

#include <stdlib.h>
#include <string.h>

#include "plugins/kinesis/calls.h"

#define RETRY_BASE_MS 1000
#define RETRY_MAX_MS  30000

/* ---- maps */

struct shard_map *map_ref(struct shard_map *map)
{
    map->refs++;
    return map;
}

void map_unref(struct shard_map *map)
{
    if (!map || --map->refs)
        return;
    free(map->shards);
    free(map->ranges);
    free(map);
}

uint32_t map_find(const struct shard_map *map, kpw_u128 hash)
{
    uint32_t from = 0, to = map->n_open, at;

    if (!to)
        return MAP_NONE;
    at = (uint32_t)((kpw_u128)(uint64_t)(hash >> 64) * to >> 64); /* shards of equal size */
    if (map->ranges[at].low <= hash && hash <= map->ranges[at].high)
        return at;
    while (from < to) { /* the first whose range does not end before it */
        uint32_t middle = from + (to - from) / 2;

        if (map->ranges[middle].high < hash)
            from = middle + 1;
        else
            to = middle;
    }
    return from < map->n_open && map->ranges[from].low <= hash ? from : MAP_NONE;
}

uint32_t map_named(const struct shard_map *map, kp_slice id)
{
    for (uint32_t i = 0; i < map->n; i++)
        if (strlen(map->shards[i].id) == id.len && !memcmp(map->shards[i].id, id.ptr, id.len))
            return i;
    return MAP_NONE;
}

static int compare(const void *a, const void *b)
{
    const struct listed_shard *x = a, *y = b;

    if (x->is_open != y->is_open)
        return x->is_open ? -1 : 1;
    return x->low < y->low ? -1 : x->low > y->low;
}

static bool add_shard(void *arg, const struct listed_shard *listed)
{
    struct shard_map *map = arg;

    if (map->n == map->room) {
        uint32_t room = map->room ? map->room * 2 : 16;
        struct listed_shard *shards = reallocarray(map->shards, room, sizeof(*shards));

        if (!shards)
            return false;
        map->shards = shards;
        map->room = room;
    }
    map->shards[map->n++] = *listed;
    map->n_open += listed->is_open;
    return true;
}

/* ---- the loader */

static void page_arrived(kp_node *node, void *arg, const kp_aws_response *response);

static void send_page(struct map_loader *loader, const struct listing_token *token)
{
    struct kpw_buf *t = &loader->body;
    kp_aws_request request = {
        .size = sizeof(request),
        .service = "kinesis",
        .target = "Kinesis_20131202.ListShards",
        .attempts = 1,
    };

    listing_request(t, loader->stream->name, token);
    request.body = (kp_slice){t->ptr, t->failed ? 0 : t->len};
    loader->call = loader->aws->call(loader->node, &request, page_arrived, loader);
}

static void load_failed(struct map_loader *loader, const char *error)
{
    map_unref(loader->next);
    loader->next = NULL;
    if (!loader->tries)
        kp->log(loader->node, KP_LOG_WARN, "map.failed", "stream=%s error=%s", loader->stream->name,
                error);
    loader->timers->start(
        loader->timer,
        calls_backoff_ms(&loader->random, loader->tries, RETRY_BASE_MS, RETRY_MAX_MS), 0);
    loader->tries++;
}

static bool is_same(const struct shard_map *a, const struct shard_map *b)
{
    if (!a || a->n_open != b->n_open)
        return false;
    for (uint32_t i = 0; i < a->n_open; i++)
        if (strcmp(a->shards[i].id, b->shards[i].id) != 0)
            return false;
    return true;
}

static bool order_shards(struct shard_map *map)
{
    if (map->n)
        qsort(map->shards, map->n, sizeof(*map->shards), compare);
    map->ranges = calloc(map->n_open + 1, sizeof(*map->ranges));
    for (uint32_t i = 0; map->ranges && i < map->n_open; i++)
        map->ranges[i] = (struct shard_range){map->shards[i].low, map->shards[i].high};
    return map->ranges != NULL;
}

static void load_done(struct map_loader *loader)
{
    struct shard_map *map = loader->next;

    if (!order_shards(map)) {
        load_failed(loader, "OutOfMemory");
        return;
    }
    if (!is_same(loader->map, map))
        loader->pause_ms = 0;
    else if (loader->pause_ms < RETRY_BASE_MS)
        loader->pause_ms = RETRY_BASE_MS;
    else
        loader->pause_ms =
            loader->pause_ms < RETRY_MAX_MS * 2 / 3 ? loader->pause_ms * 3 / 2 : RETRY_MAX_MS;
    loader->loaded_ms = kp->now_ms();
    map_unref(loader->map);
    loader->map = map;
    loader->next = NULL;
    loader->is_wanted = false;
    loader->tries = 0;
    kp->count(loader->node, "shard_maps", 1);
    loader->loaded(loader->arg);
}

static void page_arrived(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct map_loader *loader = arg;
    struct listing_token token;

    (void)node;
    loader->call = NULL;
    if (response->error) {
        load_failed(loader, response->error);
        return;
    }
    if (!listing_parse(response->body.ptr, response->body.len, add_shard, loader->next, &token)) {
        load_failed(loader, "MalformedAnswer");
        return;
    }
    if (token.text)
        send_page(loader, &token);
    else
        load_done(loader);
    listing_token_fini(&token);
}

static void begin(struct map_loader *loader)
{
    loader->next = calloc(1, sizeof(*loader->next));
    if (!loader->next) {
        load_failed(loader, "OutOfMemory");
        return;
    }
    loader->next->refs = 1;
    send_page(loader, NULL);
}

static void timer_rang(kp_node *node, void *arg)
{
    (void)node;
    begin(arg);
}

bool map_loader_init(struct map_loader *loader)
{
    kpw_random_init(&loader->random);
    loader->timer = loader->timers->create(loader->node, timer_rang, loader);
    return loader->timer != NULL;
}

void map_load(struct map_loader *loader)
{
    int64_t now = kp->now_ms();

    if (loader->is_wanted)
        return;
    loader->is_wanted = true;
    if (loader->map && now < loader->loaded_ms + loader->pause_ms)
        loader->timers->start(loader->timer, loader->loaded_ms + loader->pause_ms - now, 0);
    else
        begin(loader);
}

void map_loader_fini(struct map_loader *loader)
{
    if (loader->call)
        loader->aws->cancel(loader->call);
    loader->call = NULL;
    if (loader->timer)
        loader->timers->destroy(loader->timer);
    loader->timer = NULL;
    map_unref(loader->map);
    map_unref(loader->next);
    loader->map = loader->next = NULL;
    kpw_buf_fini(&loader->body);
}
