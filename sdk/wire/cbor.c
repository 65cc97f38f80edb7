/* cbor.c - the scanner. An open level remembers how many items it still has; a map counts its keys
 * and values, so that an even number is the turn of a key. */
#include "sdk/wire/cbor.h"
#include "sdk/wire/utf8.h"

#include <endian.h>
#include <math.h>

enum { LEVEL_MAP = 1, LEVEL_ANY = 2 }; /* LEVEL_ANY: ends with a break; `left` is 0 or 1 */
enum { INFO_8 = 24, INFO_16, INFO_32, INFO_64, INFO_ANY = 31, MAJOR_OTHER = 7 };

void kpw_cbor_init(struct kpw_cbor *r, const void *ptr, size_t len)
{
    r->type = KPW_CBOR_NULL;
    r->is_key = r->is_indefinite = r->is_chunked = false;
    r->value = kpw_slice(NULL, 0);
    r->number = 0;
    r->real = 0;
    r->error = NULL;
    r->offset = 0;
    r->start = r->at = ptr;
    r->end = len ? r->at + len : r->at;
    r->is_over = r->has_tag = false;
    r->depth = 0;
}

static enum kpw_cbor_type fail(struct kpw_cbor *r, const char *error)
{
    r->error = error;
    return r->type = KPW_CBOR_ERROR;
}

static enum kpw_cbor_type cut_off(struct kpw_cbor *r)
{
    return fail(r, "the bytes end inside an item");
}

/* ---- heads */

static uint64_t big_endian(const char *at, unsigned info)
{
    uint16_t n16;
    uint32_t n32;
    uint64_t n64;

    switch (info) {
    case INFO_8: return (uint8_t)*at;
    case INFO_16: memcpy(&n16, at, sizeof n16); return be16toh(n16);
    case INFO_32: memcpy(&n32, at, sizeof n32); return be32toh(n32);
    default: memcpy(&n64, at, sizeof n64); return be64toh(n64);
    }
}

/* The number behind the first byte of a head, which is `info`; moves on. False: failed. */
static bool read_number(struct kpw_cbor *r, unsigned info)
{
    size_t size;

    if (info < INFO_8) {
        r->number = info;
        return true;
    }
    if (info > INFO_64) {
        fail(r, "a head is reserved");
        return false;
    }
    size = (size_t)1 << (info - INFO_8);
    if ((size_t)(r->end - r->at) < size) {
        cut_off(r);
        return false;
    }
    r->number = big_endian(r->at, info);
    r->at += size;
    return true;
}

/* ---- items */

/* An item takes its place in the level it is in; a tag does not. */
static void count_item(struct kpw_cbor *r)
{
    uint32_t top = r->depth - 1;

    r->has_tag = false;
    if (!r->depth)
        r->is_over = true;
    else if (r->level[top] & LEVEL_ANY)
        r->left[top] ^= 1;
    else
        r->left[top]--;
}

static enum kpw_cbor_type scalar(struct kpw_cbor *r, enum kpw_cbor_type type)
{
    count_item(r);
    return r->type = type;
}

static enum kpw_cbor_type string(struct kpw_cbor *r, enum kpw_cbor_type type)
{
    size_t len = (size_t)r->number;

    if (r->number > (uint64_t)(r->end - r->at))
        return cut_off(r);
    r->value = kpw_slice(r->at, len);
    r->at += len;
    if (type == KPW_CBOR_TEXT && !kpw_utf8_valid(r->value.ptr, len))
        return fail(r, "a text is not UTF-8");
    return scalar(r, type);
}

/* A chunk: a string of the same kind with a length. False: failed. */
static bool read_chunk(struct kpw_cbor *r, unsigned major, struct kpw_slice *ret)
{
    uint8_t head = (uint8_t)*r->at++;

    if (head >> 5 != major || (head & 31) == INFO_ANY)
        return fail(r, "a chunk is of another kind"), false;
    if (!read_number(r, head & 31))
        return false;
    if (r->number > (uint64_t)(r->end - r->at))
        return cut_off(r), false;
    *ret = kpw_slice(r->at, (size_t)r->number);
    r->at += ret->len;
    if (major == KPW_CBOR_MAJOR_TEXT && !kpw_utf8_valid(ret->ptr, ret->len))
        return fail(r, "a text is not UTF-8"), false;
    return true;
}

static enum kpw_cbor_type chunked_string(struct kpw_cbor *r, unsigned major)
{
    const char *from = r->at;
    struct kpw_slice chunk = {NULL, 0};
    uint64_t total = 0;
    size_t n = 0;

    while (r->at < r->end && (uint8_t)*r->at != KPW_CBOR_BREAK) {
        if (!read_chunk(r, major, &chunk))
            return KPW_CBOR_ERROR;
        total += chunk.len;
        n++;
    }
    if (r->at == r->end)
        return cut_off(r);
    r->is_chunked = n > 1;
    r->value = n > 1 ? kpw_slice(from, (size_t)(r->at - from)) : chunk;
    r->number = total;
    r->at++;
    return scalar(r, major == KPW_CBOR_MAJOR_TEXT ? KPW_CBOR_TEXT : KPW_CBOR_BYTES);
}

static enum kpw_cbor_type container(struct kpw_cbor *r, bool is_map)
{
    uint64_t room = (uint64_t)(r->end - r->at), items = r->number;

    if (r->depth == KPW_CBOR_DEPTH)
        return fail(r, "it is nested too deeply");
    if (r->is_indefinite)
        items = 0;
    else if (items > (is_map ? room / 2 : room))
        return cut_off(r);
    count_item(r);
    r->left[r->depth] = is_map ? items * 2 : items;
    r->level[r->depth++] = (uint8_t)((is_map ? LEVEL_MAP : 0) | (r->is_indefinite ? LEVEL_ANY : 0));
    return r->type = is_map ? KPW_CBOR_MAP : KPW_CBOR_ARRAY;
}

static double half(uint64_t bits)
{
    int exponent = (int)(bits >> 10 & 31);
    double fraction = (double)(bits & 0x3ff), n;

    if (exponent == 0)
        n = ldexp(fraction, -24);
    else if (exponent < 31)
        n = ldexp(fraction + 1024, exponent - 25);
    else
        n = fraction != 0 ? (double)NAN : (double)INFINITY;
    return bits & 0x8000 ? -n : n;
}

/* Floats and simple values. */
static enum kpw_cbor_type other(struct kpw_cbor *r, unsigned info)
{
    uint32_t low;
    float single;

    switch (info) {
    case 20: return scalar(r, KPW_CBOR_FALSE);
    case 21: return scalar(r, KPW_CBOR_TRUE);
    case 22: return scalar(r, KPW_CBOR_NULL);
    case 23: return scalar(r, KPW_CBOR_UNDEFINED);
    case INFO_8:
        return r->number < 32 ? fail(r, "a simple value is in the wrong form")
                              : scalar(r, KPW_CBOR_SIMPLE);
    case INFO_16: r->real = half(r->number); return scalar(r, KPW_CBOR_FLOAT);
    case INFO_32:
        low = (uint32_t)r->number;
        memcpy(&single, &low, sizeof single);
        r->real = (double)single;
        return scalar(r, KPW_CBOR_FLOAT);
    case INFO_64: memcpy(&r->real, &r->number, sizeof r->real); return scalar(r, KPW_CBOR_FLOAT);
    default: return scalar(r, KPW_CBOR_SIMPLE);
    }
}

/* The item whose first byte was read. */
static enum kpw_cbor_type item(struct kpw_cbor *r, uint8_t head)
{
    unsigned major = head >> 5, info = head & 31;

    if (info == INFO_ANY) {
        r->is_indefinite = true;
        if (major == KPW_CBOR_MAJOR_BYTES || major == KPW_CBOR_MAJOR_TEXT)
            return chunked_string(r, major);
        if (major == KPW_CBOR_MAJOR_ARRAY || major == KPW_CBOR_MAJOR_MAP)
            return container(r, major == KPW_CBOR_MAJOR_MAP);
        return fail(r, "a head is reserved");
    }
    if (!read_number(r, info))
        return KPW_CBOR_ERROR;
    switch (major) {
    case KPW_CBOR_MAJOR_UINT: return scalar(r, KPW_CBOR_UINT);
    case KPW_CBOR_MAJOR_NEGATIVE: return scalar(r, KPW_CBOR_NEGATIVE);
    case KPW_CBOR_MAJOR_BYTES: return string(r, KPW_CBOR_BYTES);
    case KPW_CBOR_MAJOR_TEXT: return string(r, KPW_CBOR_TEXT);
    case KPW_CBOR_MAJOR_ARRAY: return container(r, false);
    case KPW_CBOR_MAJOR_MAP: return container(r, true);
    case KPW_CBOR_MAJOR_TAG: r->has_tag = true; return r->type = KPW_CBOR_TAG;
    default: return other(r, info);
    }
}

static enum kpw_cbor_type close_level(struct kpw_cbor *r)
{
    r->depth--;
    return r->type = r->level[r->depth] & LEVEL_MAP ? KPW_CBOR_MAP_END : KPW_CBOR_ARRAY_END;
}

static enum kpw_cbor_type read_break(struct kpw_cbor *r, uint8_t level, uint64_t left)
{
    bool has_key = level & LEVEL_MAP && left; /* whose value is missing */

    if (!(level & LEVEL_ANY) || r->has_tag || has_key)
        return fail(r, "a break is out of place");
    return close_level(r);
}

/* Inside a level, whose next item it is. */
static enum kpw_cbor_type next_inside(struct kpw_cbor *r)
{
    uint8_t level = r->level[r->depth - 1];
    uint64_t left = r->left[r->depth - 1];

    r->is_key = level & LEVEL_MAP && !(left & 1);
    if (!(level & LEVEL_ANY) && !left && !r->has_tag)
        return close_level(r);
    if (r->at == r->end)
        return cut_off(r);
    if ((uint8_t)*r->at == KPW_CBOR_BREAK) {
        r->at++;
        return read_break(r, level, left);
    }
    return item(r, (uint8_t)*r->at++);
}

enum kpw_cbor_type kpw_cbor_next(struct kpw_cbor *r)
{
    if (r->type == KPW_CBOR_ERROR || r->type == KPW_CBOR_END)
        return r->type;
    r->offset = (size_t)(r->at - r->start);
    r->is_key = r->is_indefinite = r->is_chunked = false;
    if (r->depth)
        return next_inside(r);
    if (r->is_over)
        return r->at == r->end ? (r->type = KPW_CBOR_END) : fail(r, "something follows the item");
    if (r->at == r->end)
        return cut_off(r);
    return item(r, (uint8_t)*r->at++);
}

/* ---- more of reading */

bool kpw_cbor_skip(struct kpw_cbor *r)
{
    size_t from = r->offset;
    uint32_t depth;

    if (r->type != KPW_CBOR_MAP && r->type != KPW_CBOR_ARRAY && r->type != KPW_CBOR_TAG)
        return r->type != KPW_CBOR_ERROR;
    while (r->type == KPW_CBOR_TAG)
        kpw_cbor_next(r);
    if (r->type == KPW_CBOR_MAP || r->type == KPW_CBOR_ARRAY)
        for (depth = r->depth - 1; r->type != KPW_CBOR_ERROR && r->depth > depth;)
            kpw_cbor_next(r);
    if (r->type == KPW_CBOR_ERROR)
        return false;
    r->value = kpw_slice(r->start + from, (size_t)(r->at - r->start) - from);
    return true;
}

bool kpw_cbor_skip_value(struct kpw_cbor *r)
{
    kpw_cbor_next(r);
    return kpw_cbor_skip(r);
}

bool kpw_cbor_valid(const void *ptr, size_t len)
{
    struct kpw_cbor r;

    kpw_cbor_init(&r, ptr, len);
    return kpw_cbor_skip_value(&r) && kpw_cbor_next(&r) == KPW_CBOR_END;
}

void kpw_cbor_join_to(const struct kpw_cbor *r, char *out)
{
    struct kpw_cbor chunks;

    if (!r->is_chunked) {
        if (r->value.len)
            memmove(out, r->value.ptr, r->value.len);
        return;
    }
    kpw_cbor_init(&chunks, r->value.ptr, r->value.len);
    while (chunks.at < chunks.end) {
        uint8_t head = (uint8_t)*chunks.at++;

        if (!read_number(&chunks, head & 31))
            return;                                     /* cannot be: they were read before */
        memmove(out, chunks.at, (size_t)chunks.number); /* out may be where the value begins */
        out += chunks.number;
        chunks.at += chunks.number;
    }
}

bool kpw_cbor_to_int64(const struct kpw_cbor *r, int64_t *ret)
{
    if (r->number > INT64_MAX || (r->type != KPW_CBOR_UINT && r->type != KPW_CBOR_NEGATIVE))
        return false;
    *ret = r->type == KPW_CBOR_UINT ? (int64_t)r->number : -1 - (int64_t)r->number;
    return true;
}
