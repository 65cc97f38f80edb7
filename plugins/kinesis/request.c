/* request.c - the text of one PutRecords request, built straight from the records.
 *
 * Data goes into the growing text, as it is (CBOR) or in base64; nothing else is allocated. What
 * the service would refuse for sure (too large, a key that is too long or no UTF-8, a hash key out
 * of range) is rejected here, with a reason, so that it does not spoil the request for its
 * neighbours.
 */
#include "plugins/kinesis/sink.h"

#include "sdk/wire/base64.h"
#include "sdk/wire/cbor.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/json.h"
#include "sdk/wire/utf8.h"

#include <stdio.h>
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
    request->count = request->n_slots = 0;
    request->payload = 0;
    request->judgements = 0;
    if (request->body.failed)
        kpw_buf_fini(&request->body);
    kpw_buf_clear(&request->body);
    request->is_cbor = sink->wire.is_cbor;
    write_begin(&request->body, request->is_cbor, sink->config->stream->name);
    if (sink->loader.map)
        aggregate_begin(sink, request);
}

bool request_seal(struct sink *sink, struct request *request)
{
    if (request->map)
        aggregate_seal(sink, request);
    if (request->is_cbor)
        kpw_cbor_put_break(&request->body);
    else
        kpw_buf_puts(&request->body, "]}");
    return !request->body.failed;
}

void request_end(struct request *request)
{
    if (request->n_wrong)
        return; /* its entries are needed still */
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
    free(request->entries);
    free(request);
}

bool request_reserve(struct request *request)
{
    uint32_t room = request->room ? request->room * 2 : PUT_RECORDS_MAX;
    struct entry *entries;

    if (request->count < request->room)
        return true;
    entries = reallocarray(request->entries, room, sizeof(*entries));
    if (!entries)
        return false;
    request->entries = entries;
    request->room = room;
    return true;
}

void request_push(struct request *request, uint32_t slot, const struct entry *entry)
{
    struct slot *at = &request->slots[slot];

    if (slot == request->n_slots) {
        *at = (struct slot){.first = request->count, .shard = MAP_NONE};
        request->n_slots++;
    } else {
        request->entries[at->last].next = request->count;
    }
    at->last = request->count;
    at->n++;
    request->entries[request->count] = *entry;
    request->entries[request->count++].next = ENTRY_NONE;
}

/* Payloads as they are; the service's names with their heads. */
static void write_cbor(struct kpw_buf *t, const struct put_entry *entry)
{
    kpw_cbor_put_map(t, entry->hash.len ? 3 : 2);
    kpw_cbor_put_cstr(t, "Data");
    kpw_cbor_put_bytes(t, entry->data.ptr, entry->data.len);
    kpw_cbor_put_cstr(t, "PartitionKey");
    kpw_cbor_put_text(t, entry->key.ptr, entry->key.len);
    if (entry->hash.len) {
        kpw_cbor_put_cstr(t, "ExplicitHashKey");
        kpw_cbor_put_text(t, entry->hash.ptr, entry->hash.len);
    }
}

static void write_json(struct kpw_buf *t, bool is_first, const struct put_entry *entry)
{
    kpw_buf_puts(t, is_first ? "{\"Data\":\"" : ",{\"Data\":\"");
    kpw_base64_put(t, entry->data.ptr, entry->data.len);
    kpw_buf_puts(t, "\",\"PartitionKey\":");
    kpw_json_put_string(t, entry->key.ptr, entry->key.len);
    if (entry->hash.len) {
        kpw_buf_puts(t, ",\"ExplicitHashKey\":\"");
        kpw_buf_append(t, entry->hash.ptr, entry->hash.len);
        kpw_buf_puts(t, "\"");
    }
    kpw_buf_puts(t, "}");
}

void request_write(struct request *request, bool is_first, const struct put_entry *entry)
{
    if (request->is_cbor)
        write_cbor(&request->body, entry);
    else
        write_json(&request->body, is_first, entry);
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* A key as the file asks for it. An empty slice: there is none. False: the function failed. */
static bool resolve(struct sink *sink, const kp_value *value, const kp_batch *b, uint32_t i,
                    kp_slice *ret)
{
    *ret = (kp_slice){NULL, 0};
    if (value->kind == KP_V_NONE)
        return true;
    if (value->kind == KP_V_TEXT) {
        *ret = (kp_slice){value->text, strlen(value->text)};
        return true;
    }
    switch (sink->lua->value(sink->node, value, b, i, ret)) {
    case KP_LUA_TEXT: return true;
    case KP_LUA_ERROR: return false;
    default: *ret = (kp_slice){NULL, 0}; return true;
    }
}

static size_t characters(kp_slice text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return n;
}

/* Decimal, no sign, at most 2^128 - 1. */
static bool is_hash_key(kp_slice text)
{
    static const char most[] = "340282366920938463463374607431768211455";

    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    if (text.len > 1 && text.ptr[0] == '0')
        return false;
    return text.len && (text.len < 39 || (text.len == 39 && memcmp(text.ptr, most, 39) <= 0));
}

static size_t random_key(struct sink *sink, char out[20])
{
    uint64_t n = kpw_random_next(&sink->random);

    return kpw_hex(&n, sizeof(n), out);
}

static bool find_key(struct sink *sink, kp_batch *b, uint32_t i, struct record_keys *keys)
{
    const kp_record *r = kp_at(b, i);
    kp_slice *key = &keys->key;

    if (!resolve(sink, &sink->config->partition_key, b, i, key)) {
        kp->reject(b, i, "partition_key: %.*s", (int)key->len, key->ptr);
        return false;
    }
    if (key->len == 0)
        *key = (kp_slice){r->key, r->key_len};
    if (key->len == 0)
        *key = (kp_slice){keys->random, random_key(sink, keys->random)};
    if (key->len > PUT_KEY_MAX && characters(*key) > PUT_KEY_MAX) {
        kp->reject(b, i, "the partition key has %zu characters, Kinesis takes 256",
                   characters(*key));
        return false;
    }
    if (!kpw_utf8_valid(key->ptr, key->len)) { /* what is written out would be mended */
        kp->reject(b, i, "the partition key is not UTF-8");
        return false;
    }
    return true;
}

static bool find_hash(struct sink *sink, kp_batch *b, uint32_t i, struct record_keys *keys)
{
    kp_slice *hash = &keys->hash;

    if (!resolve(sink, &sink->config->hash_key, b, i, hash)) {
        kp->reject(b, i, "hash_key: %.*s", (int)hash->len, hash->ptr);
        return false;
    }
    if (hash->len == 0 || is_hash_key(*hash))
        return true;
    kp->reject(b, i, "hash_key \"%.*s\" is not a decimal number from 0 to 2^128-1",
               (int)(hash->len < 60 ? hash->len : 60), hash->ptr);
    return false;
}

bool request_keys(struct sink *sink, kp_batch *b, uint32_t i, struct record_keys *keys)
{
    if (!find_key(sink, b, i, keys))
        return false;
    if (sink->config->hash_key.kind > KP_V_TEXT) { /* its function makes the other's text invalid */
        memcpy(keys->room, keys->key.ptr, keys->key.len);
        keys->key.ptr = keys->room;
    }
    return find_hash(sink, b, i, keys);
}

/* ---- records -------------------------------------------------------------------------------- */

bool request_too_large(const struct sink *sink, kp_batch *b, uint32_t i, size_t len)
{
    if (len <= (uint64_t)sink->config->max_record)
        return false;
    kp->reject(b, i, "the record has %zu bytes with its key, max_record is %lld", len,
               (long long)sink->config->max_record);
    return true;
}

enum add_result request_add(struct sink *sink, struct request *request, struct pending *pending,
                            uint32_t i)
{
    const kp_record *r = kp_at(pending->b, i);
    struct kpw_buf *t = &request->body;
    size_t before = t->len;
    struct record_keys keys;

    if (request->map)
        return aggregate_add(sink, request, pending, i);
    if (t->failed || !request_reserve(request))
        return NO_MEMORY;
    if (request_too_large(sink, pending->b, i, r->data_len))
        return REFUSED;
    if (request->count == PUT_RECORDS_MAX ||
        (request->count && request->payload + r->data_len + PUT_KEY_MAX * 4 > PUT_BYTES_MAX))
        return FULL;
    if (!request_keys(sink, pending->b, i, &keys) ||
        request_too_large(sink, pending->b, i, r->data_len + keys.key.len))
        return REFUSED;
    request_write(request, request->count == 0,
                  &(struct put_entry){{r->data, r->data_len}, keys.key, keys.hash});
    if (t->failed) {
        t->failed = false; /* memory is asked for anew by the next record */
        t->len = before;
        return NO_MEMORY;
    }
    request_push(request, request->n_slots, &(struct entry){.pending = pending, .i = i});
    request->payload += r->data_len + keys.key.len;
    return ADDED;
}
