/* kpl.c - see kpl.h. */
#include "sdk/wire/kpl.h"

#include <stdlib.h>

#include "sdk/wire/hash.h"

enum { FIELD_KEYS = 1, FIELD_HASHES = 2, FIELD_RECORDS = 3 };
enum { RECORD_KEY = 1, RECORD_HASH = 2, RECORD_DATA = 3 };
enum {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_GROUP = 3,
    WIRE_END = 4,
    WIRE_FIXED32 = 5
};
enum { GROUPS_MAX = 32, VARINT_MAX = 10, SLOTS_MIN = 64 };

/* ---- protobuf, as much as the format needs */

struct cursor {
    const uint8_t *at, *end;
};

static bool read_varint(struct cursor *c, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 7 * VARINT_MAX && c->at < c->end; shift += 7) {
        uint8_t byte = *c->at++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = value;
            return true;
        }
    }
    return false;
}

static bool read_tag(struct cursor *c, uint64_t *ret_field, unsigned *ret_type)
{
    uint64_t tag;

    if (!read_varint(c, &tag) || tag >> 3 == 0 || tag >> 32)
        return false;
    *ret_field = tag >> 3;
    *ret_type = tag & 7;
    return true;
}

static bool read_bytes(struct cursor *c, struct kpw_slice *ret)
{
    uint64_t len;

    if (!read_varint(c, &len) || len > (uint64_t)(c->end - c->at))
        return false;
    *ret = kpw_slice(c->at, (size_t)len);
    c->at += len;
    return true;
}

static bool skip_fixed(struct cursor *c, size_t n)
{
    if ((size_t)(c->end - c->at) < n)
        return false;
    c->at += n;
    return true;
}

/* A field of a newer format. Groups (proto2) end with the tag of their own number. */
static bool skip(struct cursor *c, uint64_t field, unsigned type)
{
    uint64_t open[GROUPS_MAX], number;
    unsigned depth = 0;
    struct kpw_slice bytes;

    for (;;) {
        if (type == WIRE_GROUP) {
            if (depth == GROUPS_MAX)
                return false;
            open[depth++] = field;
        } else if (type == WIRE_END) {
            if (!depth || open[--depth] != field)
                return false;
        } else if (!(type == WIRE_VARINT    ? read_varint(c, &number)
                     : type == WIRE_FIXED64 ? skip_fixed(c, 8)
                     : type == WIRE_FIXED32 ? skip_fixed(c, 4)
                                            : type == WIRE_BYTES && read_bytes(c, &bytes))) {
            return false;
        }
        if (!depth)
            return true;
        if (!read_tag(c, &field, &type))
            return false;
    }
}

/* ---- reading */

/* Indexes stand in the place of the keys until all tables are read. */
struct raw_record {
    uint64_t key, hash;
    struct kpw_slice data;
    bool has_key, has_hash, has_data;
};

static bool read_record(struct kpw_slice message, struct raw_record *ret)
{
    struct cursor c = {(const uint8_t *)message.ptr, (const uint8_t *)message.ptr + message.len};

    *ret = (struct raw_record){0};
    while (c.at < c.end) {
        uint64_t field;
        unsigned type;
        bool ok;

        if (!read_tag(&c, &field, &type))
            return false;
        if (field == RECORD_KEY && type == WIRE_VARINT)
            ok = ret->has_key = read_varint(&c, &ret->key);
        else if (field == RECORD_HASH && type == WIRE_VARINT)
            ok = ret->has_hash = read_varint(&c, &ret->hash);
        else if (field == RECORD_DATA && type == WIRE_BYTES)
            ok = ret->has_data = read_bytes(&c, &ret->data);
        else
            ok = skip(&c, field, type);
        if (!ok)
            return false;
    }
    return ret->has_key && ret->has_data;
}

static bool make_room(void *items, size_t n, size_t *cap, size_t size)
{
    void **at = items;
    size_t more = *cap ? *cap * 2 : 64;
    void *grown;

    if (n < *cap)
        return true;
    grown = realloc(*at, more * size);
    if (!grown)
        return false;
    *at = grown;
    *cap = more;
    return true;
}

static enum kpw_kpl_verdict add_key(struct kpw_slice key, struct kpw_slice **keys, size_t *n,
                                    size_t *cap)
{
    if (!make_room(keys, *n, cap, sizeof **keys))
        return KPW_KPL_NO_MEMORY;
    (*keys)[(*n)++] = key;
    return KPW_KPL_AGGREGATE;
}

static enum kpw_kpl_verdict add_record(struct kpw_kpl_reader *r, struct kpw_slice message)
{
    struct raw_record raw;
    struct kpw_kpl_record *record;

    if (!read_record(message, &raw) || raw.key > SIZE_MAX - 1 || raw.hash > SIZE_MAX - 1)
        return KPW_KPL_PLAIN;
    if (!make_room(&r->records, r->n, &r->cap, sizeof *r->records))
        return KPW_KPL_NO_MEMORY;
    record = &r->records[r->n++];
    record->data = raw.data;
    record->partition_key = kpw_slice(NULL, (size_t)raw.key);
    record->explicit_hash_key = kpw_slice(NULL, raw.has_hash ? (size_t)raw.hash + 1 : 0);
    return KPW_KPL_AGGREGATE;
}

static enum kpw_kpl_verdict read_field(struct kpw_kpl_reader *r, struct cursor *c)
{
    struct kpw_slice bytes;
    uint64_t field;
    unsigned type;

    if (!read_tag(c, &field, &type))
        return KPW_KPL_PLAIN;
    if (type != WIRE_BYTES || field < FIELD_KEYS || field > FIELD_RECORDS)
        return skip(c, field, type) ? KPW_KPL_AGGREGATE : KPW_KPL_PLAIN;
    if (!read_bytes(c, &bytes))
        return KPW_KPL_PLAIN;
    if (field == FIELD_RECORDS)
        return add_record(r, bytes);
    return field == FIELD_KEYS ? add_key(bytes, &r->keys, &r->n_keys, &r->keys_cap)
                               : add_key(bytes, &r->hashes, &r->n_hashes, &r->hashes_cap);
}

/* Puts the keys in the place of their indexes. */
static enum kpw_kpl_verdict resolve(struct kpw_kpl_reader *r)
{
    for (size_t i = 0; i < r->n; i++) {
        struct kpw_kpl_record *record = &r->records[i];
        size_t hash = record->explicit_hash_key.len;

        if (record->partition_key.len >= r->n_keys || hash > r->n_hashes)
            return KPW_KPL_PLAIN;
        record->partition_key = r->keys[record->partition_key.len];
        record->explicit_hash_key = hash ? r->hashes[hash - 1] : kpw_slice(NULL, 0);
    }
    return KPW_KPL_AGGREGATE;
}

enum kpw_kpl_verdict kpw_kpl_read(struct kpw_kpl_reader *r, const void *ptr, size_t len)
{
    const uint8_t *bytes = ptr;
    enum kpw_kpl_verdict verdict = KPW_KPL_AGGREGATE;
    uint8_t digest[KPW_MD5_SIZE];
    struct cursor c;

    r->n = r->n_keys = r->n_hashes = 0;
    if (!kpw_kpl_looks_like(ptr, len))
        return KPW_KPL_PLAIN;
    c = (struct cursor){bytes + 4, bytes + len - KPW_MD5_SIZE};
    kpw_md5(c.at, (size_t)(c.end - c.at), digest);
    if (memcmp(digest, c.end, sizeof digest) != 0)
        return KPW_KPL_PLAIN;
    while (c.at < c.end && verdict == KPW_KPL_AGGREGATE)
        verdict = read_field(r, &c);
    if (verdict == KPW_KPL_AGGREGATE)
        verdict = resolve(r);
    if (verdict != KPW_KPL_AGGREGATE)
        r->n = 0;
    return verdict;
}

void kpw_kpl_reader_fini(struct kpw_kpl_reader *r)
{
    free(r->records);
    free(r->keys);
    free(r->hashes);
    *r = (struct kpw_kpl_reader){0};
}

/* ---- writing */

static size_t varint_size(uint64_t value)
{
    size_t n = 1;

    while (value >>= 7)
        n++;
    return n;
}

static char *put_varint(char *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (char)(value | 0x80);
        value >>= 7;
    }
    *at++ = (char)value;
    return at;
}

static char *put_tag(char *at, unsigned field, unsigned type)
{
    *at++ = (char)(field << 3 | type);
    return at;
}

static char *put_bytes(char *at, unsigned field, struct kpw_slice bytes)
{
    at = put_varint(put_tag(at, field, WIRE_BYTES), bytes.len);
    if (bytes.len)
        memcpy(at, bytes.ptr, bytes.len);
    return at + bytes.len;
}

/* Eight bytes at a time: keys are short, and the table is one aggregate's. */
static uint32_t hash_of(struct kpw_slice key)
{
    uint64_t h = key.len * 0x9e3779b97f4a7c15u, word;
    size_t i = 0;

    for (; i + 8 <= key.len; i += 8) {
        memcpy(&word, key.ptr + i, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    word = 0;
    if (i < key.len)
        memcpy(&word, key.ptr + i, key.len - i);
    h = (h ^ word) * 0xff51afd7ed558ccdu;
    return (uint32_t)(h >> 32);
}

static struct kpw_kpl_slot *slot_of(const struct kpw_kpl_table *t, const char *base,
                                    struct kpw_slice key)
{
    uint32_t i = hash_of(key) & (t->cap - 1);

    while (t->slots[i].index &&
           !kpw_slice_eq(key, kpw_slice(base + t->slots[i].at, t->slots[i].len)))
        i = (i + 1) & (t->cap - 1);
    return &t->slots[i];
}

static bool grow_table(struct kpw_kpl_table *t, const char *base)
{
    struct kpw_kpl_table grown = {.n = t->n, .cap = t->cap ? t->cap * 2 : SLOTS_MIN};

    grown.slots = calloc(grown.cap, sizeof *grown.slots);
    if (!grown.slots)
        return false;
    for (uint32_t i = 0; i < t->cap; i++)
        if (t->slots[i].index)
            *slot_of(&grown, base, kpw_slice(base + t->slots[i].at, t->slots[i].len)) = t->slots[i];
    free(t->slots);
    *t = grown;
    return true;
}

/* Finds the key or puts it into its table. */
static bool index_of(struct kpw_kpl_table *t, struct kpw_buf *out, unsigned field,
                     struct kpw_slice key, uint32_t *ret)
{
    struct kpw_kpl_slot *slot;
    size_t size = 1 + varint_size(key.len) + key.len;
    char *at;

    if (t->n >= t->cap / 2 && !grow_table(t, out->ptr))
        return false;
    slot = slot_of(t, out->ptr, key);
    if (!slot->index) {
        at = kpw_buf_reserve(out, size);
        if (!at)
            return false;
        put_bytes(at, field, key);
        out->len += size;
        *slot = (struct kpw_kpl_slot){(uint32_t)(out->len - key.len), (uint32_t)key.len, ++t->n};
    }
    *ret = slot->index - 1;
    return true;
}

size_t kpw_kpl_cost(const struct kpw_kpl_record *record)
{
    size_t key = record->partition_key.len, hash = record->explicit_hash_key.len;
    size_t inner = 1 + VARINT_MAX / 2 + 1 + varint_size(record->data.len) + record->data.len;
    size_t tables = 1 + varint_size(key) + key;

    if (record->explicit_hash_key.ptr) {
        inner += 1 + VARINT_MAX / 2;
        tables += 1 + varint_size(hash) + hash;
    }
    return tables + 1 + varint_size(inner) + inner;
}

bool kpw_kpl_add(struct kpw_kpl_writer *w, const struct kpw_kpl_record *record)
{
    bool has_hash = record->explicit_hash_key.ptr != NULL;
    uint32_t key, hash = 0;
    size_t inner, size;
    char *at;

    if (!index_of(&w->key_table, &w->keys, FIELD_KEYS, record->partition_key, &key) ||
        (has_hash &&
         !index_of(&w->hash_table, &w->hashes, FIELD_HASHES, record->explicit_hash_key, &hash)))
        return false;
    inner = 1 + varint_size(key) + (has_hash ? 1 + varint_size(hash) : 0) + 1 +
            varint_size(record->data.len) + record->data.len;
    size = 1 + varint_size(inner) + inner;
    at = kpw_buf_reserve(&w->records, size);
    if (!at)
        return false;
    at = put_varint(put_tag(at, FIELD_RECORDS, WIRE_BYTES), inner);
    at = put_varint(put_tag(at, RECORD_KEY, WIRE_VARINT), key);
    if (has_hash)
        at = put_varint(put_tag(at, RECORD_HASH, WIRE_VARINT), hash);
    put_bytes(at, RECORD_DATA, record->data);
    w->records.len += size;
    w->n++;
    return true;
}

static void empty_table(struct kpw_kpl_table *t)
{
    if (t->n)
        memset(t->slots, 0, t->cap * sizeof *t->slots);
    t->n = 0;
}

void kpw_kpl_reset(struct kpw_kpl_writer *w)
{
    kpw_buf_clear(&w->keys);
    kpw_buf_clear(&w->hashes);
    kpw_buf_clear(&w->records);
    empty_table(&w->key_table);
    empty_table(&w->hash_table);
    w->n = 0;
}

void kpw_kpl_finish_open(struct kpw_kpl_writer *w, struct kpw_buf *out,
                         struct kpw_kpl_place *ret_place)
{
    size_t size = kpw_kpl_size(w);

    *ret_place = (struct kpw_kpl_place){out->len + 4, size - KPW_KPL_OVERHEAD};
    if (kpw_buf_reserve(out, size)) {
        kpw_buf_append(out, KPW_KPL_MAGIC, 4);
        kpw_buf_put_slice(out, kpw_buf_slice(&w->keys));
        kpw_buf_put_slice(out, kpw_buf_slice(&w->hashes));
        kpw_buf_put_slice(out, kpw_buf_slice(&w->records));
        memset(out->ptr + out->len, 0, KPW_MD5_SIZE);
        out->len += KPW_MD5_SIZE;
    }
    kpw_kpl_reset(w);
}

void kpw_kpl_finish(struct kpw_kpl_writer *w, struct kpw_buf *out)
{
    struct kpw_kpl_place place;

    kpw_kpl_finish_open(w, out, &place);
    if (!out->failed)
        kpw_md5(out->ptr + place.at, place.len, (uint8_t *)out->ptr + place.at + place.len);
}

void kpw_kpl_writer_fini(struct kpw_kpl_writer *w)
{
    kpw_buf_fini(&w->keys);
    kpw_buf_fini(&w->hashes);
    kpw_buf_fini(&w->records);
    free(w->key_table.slots);
    free(w->hash_table.slots);
    *w = (struct kpw_kpl_writer){0};
}
