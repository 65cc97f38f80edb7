/* request.c - the text of one PutRecords request, built straight from the records.
 *
 * Data is base64-encoded into the growing text; nothing else is allocated. What the service would
 * refuse for sure (too large, a key that is too long or no UTF-8, a hash key out of range) is
 * rejected here, with a reason, so that it does not spoil the request for its neighbours.
 */
#include "plugins/kinesis/sink.h"

#include "sdk/wire/base64.h"
#include "sdk/wire/json.h"
#include "sdk/wire/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEEP_ROOM (1024 * 1024) /* larger texts are freed after use */

void request_begin(struct sink *sink, struct request *request)
{
    request->count = 0;
    request->payload = 0;
    if (request->body.failed)
        kpw_buf_fini(&request->body);
    kpw_buf_clear(&request->body);
    kpw_buf_appendf(&request->body, "{\"StreamName\":\"%s\",\"Records\":[]}",
                    sink->config->stream->name);
}

void request_end(struct request *request)
{
    if (request->body.cap > KEEP_ROOM)
        kpw_buf_fini(&request->body);
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
    return (size_t)snprintf(out, 20, "%016" PRIx64, kpw_random_next(&sink->random));
}

/* Adds ,"PartitionKey":"..." and moves *ret_len on. False: the record was rejected. */
static bool add_key(struct sink *sink, struct request *request, kp_batch *b, uint32_t i,
                    size_t *ret_len)
{
    const kp_record *r = kp_at(b, i);
    char random[20];
    kp_slice key;

    if (!resolve(sink, &sink->config->partition_key, b, i, &key)) {
        kp->reject(b, i, "partition_key: %.*s", (int)key.len, key.ptr);
        return false;
    }
    if (key.len == 0)
        key = (kp_slice){r->key, r->key_len};
    if (key.len == 0)
        key = (kp_slice){random, random_key(sink, random)};
    if (key.len > PUT_KEY_MAX && characters(key) > PUT_KEY_MAX) {
        kp->reject(b, i, "the partition key has %zu characters, Kinesis takes 256",
                   characters(key));
        return false;
    }
    if (!kpw_utf8_valid(key.ptr, key.len)) { /* what is written out would be mended */
        kp->reject(b, i, "the partition key is not UTF-8");
        return false;
    }
    kpw_buf_puts(&request->body, ",\"PartitionKey\":");
    kpw_json_put_string(&request->body, key.ptr, key.len);
    *ret_len += key.len;
    return true;
}

static bool add_hash_key(struct sink *sink, struct request *request, kp_batch *b, uint32_t i)
{
    kp_slice hash;

    if (!resolve(sink, &sink->config->hash_key, b, i, &hash)) {
        kp->reject(b, i, "hash_key: %.*s", (int)hash.len, hash.ptr);
        return false;
    }
    if (hash.len == 0)
        return true;
    if (!is_hash_key(hash)) {
        kp->reject(b, i, "hash_key \"%.*s\" is not a decimal number from 0 to 2^128-1",
                   (int)(hash.len < 60 ? hash.len : 60), hash.ptr);
        return false;
    }
    kpw_buf_puts(&request->body, ",\"ExplicitHashKey\":\"");
    kpw_buf_append(&request->body, hash.ptr, hash.len);
    kpw_buf_puts(&request->body, "\"");
    return true;
}

/* ---- records -------------------------------------------------------------------------------- */

/* Takes back what was written behind `before` and closes the text again. */
static void undo(struct kpw_buf *t, size_t before)
{
    t->failed = false; /* memory is asked for anew by the next record */
    t->len = before;
    memcpy(t->ptr + before - 2, "]}", 2);
}

static bool too_large(const struct sink *sink, kp_batch *b, uint32_t i, size_t len)
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
    size_t before = t->len, len = r->data_len;

    if (t->failed)
        return NO_MEMORY;
    if (too_large(sink, pending->b, i, len))
        return REFUSED;
    if (request->count == PUT_RECORDS_MAX ||
        (request->count && request->payload + len + PUT_KEY_MAX * 4 > PUT_BYTES_MAX))
        return FULL;
    t->len -= 2; /* "]}" */
    kpw_buf_puts(t, request->count ? ",{\"Data\":\"" : "{\"Data\":\"");
    kpw_base64_put(t, r->data, r->data_len);
    kpw_buf_puts(t, "\"");
    if (!add_key(sink, request, pending->b, i, &len) ||
        !add_hash_key(sink, request, pending->b, i) || too_large(sink, pending->b, i, len)) {
        undo(t, before);
        return REFUSED;
    }
    kpw_buf_puts(t, "}]}");
    if (t->failed) {
        undo(t, before);
        return NO_MEMORY;
    }
    request->payload += len;
    request->entries[request->count++] = (struct entry){pending, i};
    return ADDED;
}
