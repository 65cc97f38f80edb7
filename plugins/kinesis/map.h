/* map.h - the shards of a stream as a producer sees them: which one takes a hash key.
 *
 * A map is what one ListShards brought and never changes; whoever uses one holds a reference, so an
 * answer is judged by the map its request was made with. The loader gets the next one when somebody
 * has seen that the last one is wrong.
 *
 * Threads: the worker of the node.
 */
#ifndef KPIPE_KINESIS_MAP_H
#define KPIPE_KINESIS_MAP_H

#include <kpipe/ext/aws.h>
#include <kpipe/ext/timer.h>
#include <kpipe/plugin.h>

#include "plugins/kinesis/listing.h"
#include "sdk/wire/random.h"
#include "sdk/wire/slice.h"
#include "sdk/wire/u128.h"

#define MAP_NONE UINT32_MAX

struct shard_map {
    uint32_t refs;
    struct listed_shard *shards; /* [owned] the open ones first, in order of their hash keys */
    struct shard_range {
        kpw_u128 low, high;
    } * ranges; /* [owned] of the open ones, close together: these are searched for each record */
    uint32_t n, n_open, room;
};

struct shard_map *map_ref(struct shard_map *map);
void map_unref(struct shard_map *map); /* NULL is fine */

/* The open shard that takes the hash key, or MAP_NONE: the listing had a hole there. */
uint32_t map_find(const struct shard_map *map, kpw_u128 hash);
/* Open or closed; MAP_NONE: the map does not know it. */
uint32_t map_named(const struct shard_map *map, kp_slice id);

struct map_loader {
    kp_node *node;
    const kp_resource *stream;
    const kp_aws_ext *aws;
    const kp_timer_ext *timers;
    void (*loaded)(void *arg); /* there is a new map */
    void *arg;
    struct shard_map *map;  /* [owned reference] the last whole one, NULL: none yet */
    struct shard_map *next; /* [owned] what the listing under way has so far */
    kp_aws_call *call;
    kp_timer *timer; /* [owned by node] */
    struct kpw_buf body;
    unsigned tries;
    int64_t loaded_ms, pause_ms; /* of the last map, and how long it is good for */
    bool is_wanted;              /* a listing is under way or will be when the timer rings */
    struct kpw_random random;
};

/* Fields up to `arg` are the caller's. False: out of memory. */
bool map_loader_init(struct map_loader *loader);
/* Gets a new map, unless that is going on already: at once, or, when the last one brought nothing
 * new, a second after it, and longer the more of them did not. Errors back off and are tried again.
 */
void map_load(struct map_loader *loader);
void map_loader_fini(struct map_loader *loader);

#endif
