/* aggregate.c - many user records as one record of the stream, in the format of the KPL.
 *
 * Each record goes to the aggregate of the shard that its hash key belongs to, so that readers who
 * check that (KCL does) find nothing foreign in it. One aggregate a shard is open at a time; it
 * ends when its size or count is reached, and all end with the request. As the KPL writes them: the
 * partition key is "a", the explicit hash key that of the first user record, and a single record
 * goes as it is, with its own keys.
 */
#include <stdlib.h>
#include <string.h>

#include "plugins/kinesis/sink.h"
#include "sdk/wire/hash.h"

#define ENTRY_FRAME 64 /* the keys of an aggregate's entry and what is around them, at most */
#define KEEP_ROOM   (128 * 1024) /* a writer that grew larger is not kept */

static void map_loaded(void *arg)
{
    struct sink *sink = arg;

    sink->most = USERS_MAX;
    for (struct pending *p = sink->pending; p; p = p->next_pending)
        if (p->most == PUT_RECORDS_MAX)
            p->most = USERS_MAX;
    outcome_judge(sink);
    sink_finish_batches(sink);
    sink_send_all(sink);
}

bool aggregate_init(struct sink *sink)
{
    sink->aggregator = calloc(1, sizeof(*sink->aggregator));
    sink->loader = (struct map_loader){
        .node = sink->node,
        .stream = sink->config->stream,
        .aws = sink->aws,
        .timers = sink->timers,
        .loaded = map_loaded,
        .arg = sink,
    };
    return sink->aggregator && map_loader_init(&sink->loader);
}

void aggregate_fini(struct sink *sink)
{
    struct aggregator *a = sink->aggregator;

    if (!a)
        return;
    map_loader_fini(&sink->loader);
    for (size_t i = 0; i < PUT_RECORDS_MAX; i++)
        kpw_kpl_writer_fini(&a->writers[i]);
    kpw_kpl_reader_fini(&a->reader);
    kpw_buf_fini(&a->out);
    free(a->open);
    free(a);
    sink->aggregator = NULL;
}

void aggregate_begin(struct sink *sink, struct request *request)
{
    struct aggregator *a = sink->aggregator;
    const struct shard_map *map = sink->loader.map;

    if (a->open_room < map->n_open) {
        uint32_t *open = reallocarray(a->open, map->n_open, sizeof(*open));

        if (!open)
            return; /* records go as they are */
        a->open = open;
        a->open_room = map->n_open;
    }
    if (map->n_open)
        memset(a->open, 0, map->n_open * sizeof(*a->open));
    request->map = map_ref(sink->loader.map);
}

static kpw_u128 hash_of(const struct record_keys *keys)
{
    uint8_t digest[KPW_MD5_SIZE];
    kpw_u128 hash;

    if (keys->hash.len && kpw_u128_parse(kpw_slice(keys->hash.ptr, keys->hash.len), &hash))
        return hash;
    kpw_md5(keys->key.ptr, keys->key.len, digest);
    return kpw_u128_from_bytes(digest);
}

/* The slot the record goes into; n_slots: a new one. */
static uint32_t choose_slot(const struct sink *sink, const struct request *request, uint32_t shard,
                            size_t cost)
{
    const struct aggregator *a = sink->aggregator;
    size_t most = (size_t)(sink->config->aggregate_size < sink->config->max_record
                               ? sink->config->aggregate_size
                               : sink->config->max_record);
    const struct kpw_kpl_writer *w;

    if (shard == MAP_NONE || !a->open[shard])
        return request->n_slots;
    w = &a->writers[a->open[shard] - 1];
    return kpw_kpl_size(w) + cost <= most && w->n < (uint64_t)sink->config->aggregate_count
               ? a->open[shard] - 1
               : request->n_slots;
}

/* Puts the record, whose keys are known, into its slot. */
static enum add_result put(struct sink *sink, struct request *request, struct pending *pending,
                           uint32_t i, const struct record_keys *keys)
{
    const kp_record *r = kp_at(pending->b, i);
    struct aggregator *a = sink->aggregator;
    kpw_u128 hash = hash_of(keys);
    uint32_t shard = map_find(request->map, hash), slot;
    struct kpw_kpl_record record = {
        .data = kpw_slice(r->data, r->data_len),
        .partition_key = kpw_slice(keys->key.ptr, keys->key.len),
        .explicit_hash_key = kpw_slice(keys->hash.len ? keys->hash.ptr : NULL, keys->hash.len),
    };
    size_t cost = kpw_kpl_cost(&record);

    if (request->count && request->payload + cost + ENTRY_FRAME > PUT_BYTES_MAX)
        return FULL;
    slot = choose_slot(sink, request, shard, cost);
    if (slot == PUT_RECORDS_MAX)
        return FULL;
    if (!request_reserve(request) || !kpw_kpl_add(&a->writers[slot], &record))
        return NO_MEMORY;
    request->payload += cost + (slot == request->n_slots ? ENTRY_FRAME : 0);
    request_push(request, slot, &(struct entry){.pending = pending, .i = i, .hash = hash});
    request->slots[slot].shard = shard;
    if (shard != MAP_NONE)
        a->open[shard] = slot + 1;
    return ADDED;
}

enum add_result aggregate_add(struct sink *sink, struct request *request, struct pending *pending,
                              uint32_t i)
{
    const kp_record *r = kp_at(pending->b, i);
    struct record_keys keys;

    if (request->count == sink->most)
        return FULL;
    if (request_too_large(sink, pending->b, i, r->data_len) ||
        !request_keys(sink, pending->b, i, &keys) ||
        request_too_large(sink, pending->b, i, r->data_len + keys.key.len))
        return REFUSED;
    return put(sink, request, pending, i, &keys);
}

static kp_slice kp_of(struct kpw_slice s)
{
    return (kp_slice){s.ptr, s.len};
}

/* One user record as it is: the aggregate of one says what its keys were. */
static bool write_single(struct aggregator *a, struct request *request, bool is_first)
{
    const struct kpw_kpl_record *r;

    if (kpw_kpl_read(&a->reader, a->out.ptr, a->out.len) != KPW_KPL_AGGREGATE)
        return false; /* out of memory */
    r = a->reader.records;
    request_write(
        request, is_first,
        &(struct put_entry){kp_of(r->data), kp_of(r->partition_key), kp_of(r->explicit_hash_key)});
    return true;
}

void aggregate_seal(struct sink *sink, struct request *request)
{
    struct aggregator *a = sink->aggregator;
    struct kpw_buf *t = &request->body;

    for (uint32_t s = 0; s < request->n_slots; s++) {
        char text[KPW_U128_SIZE];
        size_t len = kpw_u128_format(request->entries[request->slots[s].first].hash, text);

        kpw_buf_clear(&a->out);
        kpw_kpl_finish(&a->writers[s], &a->out);
        if (a->out.failed)
            t->failed = true;
        else if (request->slots[s].n > 1)
            request_write(request, s == 0,
                          &(struct put_entry){{a->out.ptr, a->out.len}, {"a", 1}, {text, len}});
        else if (!write_single(a, request, s == 0))
            t->failed = true;
        if (a->writers[s].records.cap > KEEP_ROOM)
            kpw_kpl_writer_fini(&a->writers[s]);
    }
    if (a->out.failed)
        kpw_buf_fini(&a->out);
}
