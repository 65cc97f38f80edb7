/* request.c - the text of one PutRecords request, built straight from the records.
 *
 * Data goes into the growing text, as it is (CBOR) or in base64; nothing else is allocated.
 */
#include "plugins/kinesis/sink.h"

#include "sdk/wire/base64.h"
#include "sdk/wire/cbor.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/json.h"

#include <stdlib.h>
#include <string.h>

#define KEEP_ROOM (1024 * 1024) /* larger texts are freed after use */

static void write_begin(struct kpw_buf *t, bool is_cbor, const char *stream)
{
    if (is_cbor) {
        kpw_cbor_put_map(t, 2);
        kpw_cbor_put_cstr(t, "StreamName");
        kpw_cbor_put_cstr(t, stream);
        kpw_cbor_put_cstr(t, "Records");
        kpw_cbor_put_list_any(t);
    } else {
        kpw_buf_appendf(t, "{\"StreamName\":\"%s\",\"Records\":[", stream);
    }
}

void request_begin(struct sink *sink, struct request *request)
{
    request->count = request->n_slots = request->n_digests = request->n_users = 0;
    request->payload = 0;
    request->judgements = 0;
    if (request->keys)
        memset(request->keys, 0, KEY_SEATS * sizeof(*request->keys));
    if (request->body.failed)
        kpw_buf_fini(&request->body);
    kpw_buf_clear(&request->body);
    request->is_cbor = sink->wire.is_cbor;
    request->generation = sink->generation;
    request->map = sink->map ? map_ref(sink->map) : NULL;
    write_begin(&request->body, request->is_cbor, sink->config->stream->name);
}

/* The digests of all aggregates at once. */
static void write_digests(struct request *request)
{
    struct kpw_slice texts[PUT_RECORDS_MAX];
    uint8_t digests[PUT_RECORDS_MAX][KPW_MD5_SIZE];
    char *body = request->body.ptr;

    for (uint32_t i = 0; i < request->n_digests; i++)
        texts[i] = kpw_slice(body + request->digests[i].at, request->digests[i].len);
    kpw_md5_many(texts, request->n_digests, digests);
    for (uint32_t i = 0; i < request->n_digests; i++)
        memcpy(body + request->digests[i].at + request->digests[i].len, digests[i], KPW_MD5_SIZE);
}

bool request_seal(struct request *request)
{
    if (request->is_cbor)
        kpw_cbor_put_break(&request->body);
    else
        kpw_buf_puts(&request->body, "]}");
    if (request->body.failed)
        return false;
    if (request->n_digests)
        write_digests(request);
    return true;
}

void request_end(struct request *request)
{
    if (request->n_wrong)
        return; /* its items are needed still */
    if (request->count && request->generation != request->sink->generation)
        request->sink->n_old--;
    request->count = request->n_slots = 0;
    map_unref(request->map);
    request->map = NULL;
    if (request->body.cap > KEEP_ROOM)
        kpw_buf_fini(&request->body);
}

void request_free(struct request *request)
{
    if (!request)
        return;
    for (uint32_t s = 0; s < request->n_slots; s++)
        free(request->slots[s].wrong);
    map_unref(request->map);
    kpw_buf_fini(&request->body);
    free(request->users);
    free(request->keys);
    free(request);
}

struct slot *request_new_slot(struct request *request, uint32_t target)
{
    struct slot *slot = &request->slots[request->n_slots++];

    *slot = (struct slot){.target = target, .users = USERS_NONE};
    request->sink->targets[target].in_flight++;
    return slot;
}

/* ---- entries -------------------------------------------------------------------------------- */

/* Names with their heads, as they are in CBOR. */
#define DATA_OF_2                  \
    "\xa2\x64" /* a map of two: */ \
    "Data"
#define DATA_OF_3 \
    "\xa3\x64"    \
    "Data"
#define KEY_NAME "\x6cPartitionKey"
#define HASH_NAME \
    "\x6f"        \
    "ExplicitHashKey"
#define NAMES_MAX 96 /* bytes of an entry in CBOR beside data, key and hash key */

static char *put(char *to, const void *ptr, size_t len)
{
    if (len)
        memcpy(to, ptr, len);
    return to + len;
}

static char *put_head(char *to, size_t data_len, bool has_hash)
{
    to = put(to, has_hash ? DATA_OF_3 : DATA_OF_2, sizeof(DATA_OF_2) - 1);
    return to + kpw_cbor_head(to, KPW_CBOR_MAJOR_BYTES, data_len);
}

/* The texts are known to be UTF-8. */
static char *put_keys(char *to, kp_slice key, kp_slice hash)
{
    to = put(to, KEY_NAME, sizeof(KEY_NAME) - 1);
    to += kpw_cbor_head(to, KPW_CBOR_MAJOR_TEXT, key.len);
    to = put(to, key.ptr, key.len);
    if (!hash.len)
        return to;
    to = put(to, HASH_NAME, sizeof(HASH_NAME) - 1);
    to += kpw_cbor_head(to, KPW_CBOR_MAJOR_TEXT, hash.len);
    return put(to, hash.ptr, hash.len);
}

void request_write_head(struct request *request, size_t data_len, bool has_hash)
{
    char *to = kpw_buf_reserve(&request->body, NAMES_MAX);

    if (to)
        request->body.len += (size_t)(put_head(to, data_len, has_hash) - to);
}

void request_write_keys(struct request *request, kp_slice key, kp_slice hash)
{
    char *to = kpw_buf_reserve(&request->body, NAMES_MAX + key.len + hash.len);

    if (to)
        request->body.len += (size_t)(put_keys(to, key, hash) - to);
}

void request_write_json(struct request *request, kp_slice data, kp_slice key, kp_slice hash)
{
    struct kpw_buf *t = &request->body;

    kpw_buf_puts(t, request->n_slots ? ",{\"Data\":\"" : "{\"Data\":\"");
    kpw_base64_put(t, data.ptr, data.len);
    kpw_buf_puts(t, "\",\"PartitionKey\":");
    kpw_json_put_string(t, key.ptr, key.len);
    if (hash.len) {
        kpw_buf_puts(t, ",\"ExplicitHashKey\":\"");
        kpw_buf_append(t, hash.ptr, hash.len);
        kpw_buf_puts(t, "\"");
    }
    kpw_buf_puts(t, "}");
}

void request_write_item(struct request *request, const struct item *item)
{
    char text[KPW_U128_SIZE], *to, *at;
    kp_slice key = {item->key, item->key_len};
    kp_slice hash = {text, item->has_hash ? kpw_u128_format(item->hash, text) : 0};

    if (!request->is_cbor) {
        request_write_json(request, (kp_slice){item->data, item->len}, key, hash);
        return;
    }
    to = kpw_buf_reserve(&request->body, NAMES_MAX + item->len + key.len + hash.len);
    if (!to)
        return;
    at = put(put_head(to, item->len, item->has_hash), item->data, item->len);
    request->body.len += (size_t)(put_keys(at, key, hash) - to);
}

/* Where it is, or the free seat where it belongs. A key is known by its hash key: one that shares
 * its lower half with another waits for nothing, once in 2^64. */
static uint64_t *seat_of(const struct request *request, uint64_t key)
{
    uint64_t at = key % KEY_SEATS;

    while (request->keys[at] && request->keys[at] != key)
        at = (at + 1) % KEY_SEATS;
    return &request->keys[at];
}

static uint64_t key_of(const struct item *item)
{
    uint64_t key = (uint64_t)item->hash;

    return key ? key : 1;
}

bool request_has_key(const struct request *request, const struct item *item)
{
    return request->keys && *seat_of(request, key_of(item));
}

enum add_result request_add(struct sink *sink, struct request *request, uint32_t index)
{
    struct target *target = &sink->targets[index];
    struct item *item = target->head;
    struct kpw_buf *t = &request->body;
    size_t before = t->len, bytes = (size_t)item->len + item->key_len;
    struct slot *slot;

    __builtin_prefetch(item->next);
    if (request->n_slots == PUT_RECORDS_MAX ||
        (request->count && request->payload + bytes > PUT_BYTES_MAX))
        return FULL;
    request_write_item(request, item);
    if (t->failed) {
        t->failed = false; /* memory is asked for anew by the next record */
        t->len = before;
        return NO_MEMORY;
    }
    slot = request_new_slot(request, index);
    slot->first = target_pop(target);
    slot->n = 1;
    if (request->keys)
        *seat_of(request, key_of(item)) = key_of(item);
    item->state = ITEM_SENT;
    item->pending->has_begun = true;
    request->count++;
    request->payload += bytes;
    pace_take(&target->pace, bytes);
    return ADDED;
}
