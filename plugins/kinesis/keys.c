/* keys.c - the keys of the records of a batch, and the shard each of them belongs to.
 *
 * What the service would refuse for sure (too large, a key that is empty, too long or no UTF-8, a
 * hash key out of range) is rejected here, with a reason, so that it never spoils a request for
 * others. Keys that come from a function are copied into the batch: they are valid until its next
 * call only. All partition keys of a batch are hashed together.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/kinesis/sink.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/utf8.h"

#define RANDOM_KEY   16 /* characters */
#define SPREAD_FRAME 12 /* what a record takes in an aggregate beside its data */

/* What the records of one batch share. */
struct taking {
    struct sink *sink;
    kp_batch *b;
    const char *spread; /* the copy of sink->spread.key in this batch, NULL: none yet */
    uint32_t n;         /* keys to be hashed */
    bool has_failed;    /* out of memory */
};

/* ---- keys the file asks for */

enum found { FOUND, FOUND_NONE, FOUND_NOT /* it was rejected, or there is no memory */ };

static char *copy(struct taking *taking, const char *text, size_t len)
{
    char *to = kp->alloc(taking->b, len + 1);

    if (to)
        memcpy(to, text, len);
    else
        taking->has_failed = true;
    return to;
}

static enum found resolve(struct taking *taking, const kp_value *value, const char *option,
                          uint32_t i, kp_slice *ret)
{
    struct sink *sink = taking->sink;

    if (value->kind == KP_V_NONE)
        return FOUND_NONE;
    if (value->kind == KP_V_TEXT) {
        *ret = slice_of(value->text);
        return FOUND;
    }
    switch (sink->lua->value(sink->node, value, taking->b, i, ret)) {
    case KP_LUA_TEXT:
        if (ret->len > PUT_KEY_MAX * 4) /* rejected by the caller, who only counts */
            return FOUND;
        ret->ptr = copy(taking, ret->ptr, ret->len);
        return ret->ptr ? FOUND : FOUND_NOT;
    case KP_LUA_ERROR:
        kp->reject(taking->b, i, "%s: %.*s", option, (int)ret->len, ret->ptr);
        return FOUND_NOT;
    default: return FOUND_NONE;
    }
}

static size_t characters(kp_slice text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return n;
}

bool keys_partition_valid(kp_slice key, struct key_fault *ret_fault)
{
    if (!key.len)
        snprintf(ret_fault->text, sizeof(ret_fault->text), "is empty");
    else if (key.len > PUT_KEY_MAX && characters(key) > PUT_KEY_MAX)
        snprintf(ret_fault->text, sizeof(ret_fault->text), "has %zu characters, Kinesis takes 256",
                 characters(key));
    else if (!kpw_utf8_valid(key.ptr, key.len)) /* what is written out would be mended */
        snprintf(ret_fault->text, sizeof(ret_fault->text), "is not UTF-8");
    else
        return true;
    return false;
}

static bool check_key(struct taking *taking, uint32_t i, kp_slice key)
{
    struct key_fault fault;

    if (keys_partition_valid(key, &fault))
        return true;
    kp->reject(taking->b, i, "the partition key %s", fault.text);
    return false;
}

/* ---- keys of records that have none */

static void draw(struct sink *sink)
{
    struct spread *spread = &sink->spread;
    uint64_t n = kpw_random_next(&sink->random);
    uint8_t digest[KPW_MD5_SIZE];

    spread->len = kpw_hex(&n, sizeof(n), spread->key);
    kpw_md5(spread->key, spread->len, digest);
    spread->hash = kpw_u128_from_bytes(digest);
    spread->bytes_left = sink->config->aggregate_size;
    spread->sent = sink->sent;
}

/* One after the other they fill an aggregate, which has one key: that of another would only be
 * longer and end up in another shard. */
static const char *spread_key(struct taking *taking, struct item *item)
{
    struct sink *sink = taking->sink;
    struct spread *spread = &sink->spread;

    if (spread->bytes_left <= 0 || spread->sent != sink->sent || !spread->len) {
        draw(sink);
        taking->spread = NULL;
    }
    if (!taking->spread)
        taking->spread = copy(taking, spread->key, spread->len);
    spread->bytes_left -= (int64_t)item->len + SPREAD_FRAME;
    item->hash = spread->hash;
    return taking->spread;
}

static const char *random_key(struct taking *taking, struct item *item)
{
    uint64_t n;
    char *to;

    item->key_len = RANDOM_KEY;
    if (taking->sink->aggregates)
        return spread_key(taking, item);
    to = kp->alloc(taking->b, RANDOM_KEY);
    taking->has_failed = taking->has_failed || !to;
    if (!to)
        return NULL;
    n = kpw_random_next(&taking->sink->random);
    kpw_hex(&n, sizeof(n), to);
    return to;
}

/* ---- one record */

static bool find_key(struct taking *taking, struct item *item, const kp_record *r)
{
    kp_slice key = {NULL, 0};
    enum found found =
        resolve(taking, &taking->sink->config->partition_key, "partition_key", item->i, &key);

    if (found == FOUND_NOT)
        return false;
    if (found == FOUND_NONE && !r->key_len) {
        item->key = random_key(taking, item);
        return item->key != NULL;
    }
    if (found == FOUND_NONE)
        key = (kp_slice){r->key, r->key_len};
    if (!check_key(taking, item->i, key))
        return false;
    item->key = key.ptr;
    item->key_len = (uint16_t)key.len;
    return true;
}

bool keys_parse_hash(kp_slice text, kpw_u128 *ret)
{
    if (text.len > 1 && text.ptr[0] == '0')
        return false;
    return kpw_decimal_valid(kpw_slice(text.ptr, text.len)) &&
           kpw_u128_parse(kpw_slice(text.ptr, text.len), ret);
}

static bool find_hash(struct taking *taking, struct item *item)
{
    kp_slice hash = {NULL, 0};
    enum found found = resolve(taking, &taking->sink->config->hash_key, "hash_key", item->i, &hash);

    if (found != FOUND)
        return found == FOUND_NONE;
    if (hash.len && !keys_parse_hash(hash, &item->hash)) {
        kp->reject(taking->b, item->i,
                   "hash_key \"%.*s\" is not a decimal number from 0 to 2^128-1",
                   (int)(hash.len < 60 ? hash.len : 60), hash.ptr);
        return false;
    }
    item->has_hash = hash.len > 0;
    return true;
}

static bool fits(struct taking *taking, const struct item *item, size_t len)
{
    if (len <= (uint64_t)taking->sink->config->max_record)
        return true;
    kp->reject(taking->b, item->i, "the record has %zu bytes with its key, max_record is %lld", len,
               (long long)taking->sink->config->max_record);
    return false;
}

static bool is_to_be_hashed(const struct sink *sink, const struct item *item)
{
    return sink->knows_shards && !item->has_hash && !item->hash;
}

static void take_record(struct taking *taking, struct item *item)
{
    const kp_record *r = kp_at(taking->b, item->i);
    struct sink *sink = taking->sink;

    item->data = r->data;
    item->len = r->data_len;
    if (!fits(taking, item, item->len) || !find_key(taking, item, r) || !find_hash(taking, item) ||
        !fits(taking, item, (size_t)item->len + item->key_len))
        return;
    item->state = ITEM_QUEUED;
    if (is_to_be_hashed(sink, item))
        sink->texts[taking->n++] = kpw_slice(item->key, item->key_len);
}

/* ---- the batch */

static bool reserve(struct sink *sink, uint32_t n)
{
    uint8_t(*digests)[KPW_MD5_SIZE];
    struct kpw_slice *texts;

    if (!sink->knows_shards || n <= sink->digests_room)
        return true;
    digests = reallocarray(sink->digests, n, sizeof(*digests));
    if (digests)
        sink->digests = digests;
    texts = reallocarray(sink->texts, n, sizeof(*texts));
    if (texts)
        sink->texts = texts;
    if (!digests || !texts)
        return false;
    sink->digests_room = n;
    return true;
}

bool keys_take_batch(struct sink *sink, struct pending *pending)
{
    struct taking taking = {.sink = sink, .b = pending->b};
    uint32_t count = pending->b->count, at = 0;

    if (!reserve(sink, count))
        return false;
    for (uint32_t i = 0; i < count && !taking.has_failed; i++) {
        pending->items[i] = (struct item){.pending = pending, .i = i, .state = ITEM_ENDED};
        take_record(&taking, &pending->items[i]);
    }
    if (taking.has_failed)
        return false;
    if (taking.n)
        kpw_md5_many(sink->texts, taking.n, sink->digests);
    for (uint32_t i = 0; i < count; i++) {
        struct item *item = &pending->items[i];

        if (item->state == ITEM_ENDED) {
            pending->open--;
            continue;
        }
        if (is_to_be_hashed(sink, item))
            item->hash = kpw_u128_from_bytes(sink->digests[at++]);
        targets_add(sink, item);
    }
    return true;
}

void keys_fini(struct sink *sink)
{
    free(sink->digests);
    free(sink->texts);
    sink->digests = NULL;
    sink->texts = NULL;
    sink->digests_room = 0;
}
