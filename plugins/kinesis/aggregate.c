/* aggregate.c - many user records as one record of the stream, in the format of the KPL.
 *
 * All records of a target have hash keys of one shard, so readers who check that (KCL does) find
 * nothing foreign in its aggregates. As the KPL writes them: the partition key is "a", the explicit
 * hash key that of the first user record, and a single record goes as it is, with its own keys. In
 * CBOR they are written where they stay, and their digests at the end of the request, all at once.
 */
#include <stdlib.h>
#include <string.h>

#include "plugins/kinesis/sink.h"

#define ENTRY_FRAME  64 /* the keys of an aggregate's entry and what is around them, at most */
#define ENOUGH_BYTES (256 * 1024) /* of one request: more would not stay in the caches */
#define KEEP_ROOM    (128 * 1024) /* a writer that grew larger is not kept */

void aggregate_fini(struct sink *sink)
{
    kpw_kpl_writer_fini(&sink->kpl);
    kpw_buf_fini(&sink->scratch);
}

/* `text`: room for an explicit hash key. */
static struct kpw_kpl_record record_of(const struct item *item, char text[KPW_U128_SIZE])
{
    struct kpw_kpl_record record = {.data = kpw_slice(item->data, item->len),
                                    .partition_key = kpw_slice(item->key, item->key_len)};

    if (item->has_hash)
        record.explicit_hash_key = kpw_slice(text, kpw_u128_format(item->hash, text));
    return record;
}

/* How many user records may still come together. */
static uint64_t most_users(const struct sink *sink, const struct request *request,
                           const struct target *target)
{
    uint64_t most = USERS_MAX - request->count;

    if ((uint64_t)sink->config->aggregate_count < most)
        most = (uint64_t)sink->config->aggregate_count;
    if (target->most && target->most < most)
        most = target->most;
    return most;
}

/* Bytes the aggregate may have: by the options, and by what the request holds already. */
static size_t most_bytes(const struct sink *sink, const struct request *request)
{
    const struct sink_config *c = sink->config;
    size_t most = (size_t)(c->aggregate_size < c->max_record ? c->aggregate_size : c->max_record);
    size_t left = request->payload < PUT_BYTES_MAX ? PUT_BYTES_MAX - request->payload : 0;

    left = left > ENTRY_FRAME ? left - ENTRY_FRAME : 0;
    return left < most ? left : most;
}

/* Does one more go in? The first one has to, whatever it takes, if the request takes it. */
static bool fits(const struct sink *sink, const struct request *request, uint32_t n, size_t cost,
                 size_t most)
{
    if (n)
        return kpw_kpl_size(&sink->kpl) + cost <= most;
    return !request->count || request->payload + cost + ENTRY_FRAME <= PUT_BYTES_MAX;
}

/* Keeps where the record is. Without memory for that it is found by its chain. */
static void note_user(struct request *request, struct slot *slot, struct item *item)
{
    uint32_t room = request->users_room ? request->users_room * 2 : 1024;
    struct item **users;

    if (request->n_users == request->users_room) {
        users = reallocarray(request->users, room, sizeof(*users));
        if (!users) {
            slot->users = USERS_NONE;
            return;
        }
        request->users = users;
        request->users_room = room;
    }
    request->users[request->n_users++] = item;
}

/* Moves records into the slot. False: out of memory. */
static bool gather(struct sink *sink, struct request *request, struct target *target,
                   struct slot *slot)
{
    uint64_t users = most_users(sink, request, target);
    size_t bytes = most_bytes(sink, request);
    struct item **end = &slot->first;

    while (target->head && slot->n < users) {
        struct item *item = target->head;
        char text[KPW_U128_SIZE];
        struct kpw_kpl_record record = record_of(item, text);

        __builtin_prefetch(item->next);
        if (!fits(sink, request, slot->n, kpw_kpl_cost(&record), bytes))
            return true;
        if (!kpw_kpl_add(&sink->kpl, &record))
            return false;
        *end = target_pop(target);
        item->state = ITEM_SENT;
        item->pending->has_begun = true;
        end = &item->next;
        note_user(request, slot, item);
        slot->n++;
    }
    return true;
}

static size_t write_aggregate(struct sink *sink, struct request *request, const struct item *first)
{
    size_t size = kpw_kpl_size(&sink->kpl);
    char text[KPW_U128_SIZE];
    kp_slice key = {"a", 1}, hash = {text, kpw_u128_format(first->hash, text)};

    if (request->is_cbor) {
        request_write_head(request, size, true);
        kpw_kpl_finish_open(&sink->kpl, &request->body, &request->digests[request->n_digests++]);
        request_write_keys(request, key, hash);
        return size + 1;
    }
    kpw_buf_clear(&sink->scratch);
    kpw_kpl_finish(&sink->kpl, &sink->scratch);
    if (sink->scratch.failed)
        request->body.failed = true; /* found when it is sealed */
    else
        request_write_json(request, (kp_slice){sink->scratch.ptr, sink->scratch.len}, key, hash);
    if (sink->scratch.failed || sink->scratch.cap > KEEP_ROOM)
        kpw_buf_fini(&sink->scratch);
    return size + 1;
}

enum add_result aggregate_add(struct sink *sink, struct request *request, uint32_t index)
{
    struct target *target = &sink->targets[index];
    struct slot made = {.target = index, .users = request->n_users}, *slot;
    size_t bytes;

    if (request->n_slots == PUT_RECORDS_MAX || request->count == USERS_MAX ||
        request->payload >= ENOUGH_BYTES)
        return FULL;
    if (!gather(sink, request, target, &made)) {
        kpw_kpl_writer_fini(&sink->kpl);
        targets_put_back(sink, target, made.first);
        return NO_MEMORY;
    }
    if (!made.n)
        return FULL;
    if (made.n > 1) {
        bytes = write_aggregate(sink, request, made.first);
    } else {
        bytes = (size_t)made.first->len + made.first->key_len;
        request_write_item(request, made.first);
    }
    kpw_kpl_reset(&sink->kpl);
    if (sink->kpl.records.cap > KEEP_ROOM)
        kpw_kpl_writer_fini(&sink->kpl);
    slot = request_new_slot(request, index);
    *slot = made;
    request->count += made.n;
    request->payload += bytes + ENTRY_FRAME;
    pace_take(&target->pace, bytes);
    return ADDED;
}
