/* cbor.h - reading CBOR as a pull scanner, and writing it.
 *
 * The scanner walks a range of memory and returns items whose strings are slices of that memory:
 * no allocation, no tree. It takes all that is well-formed (RFC 8949): every width of a number,
 * definite and indefinite lengths, strings in chunks, tags, three kinds of floats. It refuses
 * reserved heads, text that is not UTF-8, more than KPW_CBOR_DEPTH levels, containers that claim
 * more items than bytes are left, and anything behind the one item. Whether keys are text, and what
 * equal keys mean, is the caller's business, and so is the meaning of tags.
 *
 *     struct kpw_cbor r;
 *     kpw_cbor_init(&r, ptr, len);
 *     if (kpw_cbor_next(&r) != KPW_CBOR_MAP) ...
 *     while (kpw_cbor_next(&r) == KPW_CBOR_TEXT) {
 *         if (kpw_slice_is(r.value, "StreamName")) ... kpw_cbor_next(&r) ...
 *         else kpw_cbor_skip_value(&r);
 *     }
 *     if (r.type != KPW_CBOR_MAP_END) ...       broken, or a key that is no text
 *
 * Facts: RFC 8949 (section 3, appendix A and C).
 * Threads: [any]; one reader belongs to one thread at a time.
 */
#ifndef KPIPE_WIRE_CBOR_H
#define KPIPE_WIRE_CBOR_H

#include "sdk/wire/slice.h"

#define KPW_CBOR_DEPTH 64

enum kpw_cbor_type {
    KPW_CBOR_END = 0, /* the bytes are over (and were one whole item) */
    KPW_CBOR_MAP,
    KPW_CBOR_MAP_END,
    KPW_CBOR_ARRAY,
    KPW_CBOR_ARRAY_END,
    KPW_CBOR_UINT,     /* `number` */
    KPW_CBOR_NEGATIVE, /* -1 - `number` */
    KPW_CBOR_BYTES,    /* `value` */
    KPW_CBOR_TEXT,     /* `value` */
    KPW_CBOR_TAG,      /* `number`; the item it is for comes next */
    KPW_CBOR_FLOAT,    /* `real` */
    KPW_CBOR_FALSE,
    KPW_CBOR_TRUE,
    KPW_CBOR_NULL,
    KPW_CBOR_UNDEFINED,
    KPW_CBOR_SIMPLE, /* `number`: another simple value */
    KPW_CBOR_ERROR,  /* `error` says what, `offset` where; stays so */
};

struct kpw_cbor {
    /* what the last kpw_cbor_next() found */
    enum kpw_cbor_type type;
    bool is_key;            /* the item is the key of a map, or a tag of one */
    bool is_indefinite;     /* MAP, ARRAY: ends where a break stands */
    bool is_chunked;        /* BYTES, TEXT: `value` is the chunks with their heads, and goes through
                               kpw_cbor_join_to() */
    struct kpw_slice value; /* [borrowed from the input] BYTES, TEXT */
    uint64_t number;        /* see the types; MAP, ARRAY: pairs or items unless is_indefinite;
                               BYTES, TEXT: length without the heads of chunks */
    double real;
    const char *error; /* [static] of KPW_CBOR_ERROR, else NULL */
    size_t offset;     /* bytes before the item */
    /* private */
    const char *start, *at, *end;
    bool is_over, has_tag;
    uint32_t depth;
    uint64_t left[KPW_CBOR_DEPTH]; /* items that an open level still has */
    uint8_t level[KPW_CBOR_DEPTH]; /* bits LEVEL_ of cbor.c */
};

void kpw_cbor_init(struct kpw_cbor *r, const void *ptr, size_t len);

/* The next item, or the end of a map or an array (of those with a length too). After END or ERROR
 * it returns the same again. */
enum kpw_cbor_type kpw_cbor_next(struct kpw_cbor *r);

/* Skips what the last item began: after MAP or ARRAY the rest up to its end, after TAG the item
 * behind it; after anything else nothing. What is skipped is checked as strictly as what is read.
 * Afterwards r->value is the encoded bytes of what was skipped, with its head. False: broken. */
bool kpw_cbor_skip(struct kpw_cbor *r);

/* The value behind a key: kpw_cbor_next(), then kpw_cbor_skip(). False: broken. */
bool kpw_cbor_skip_value(struct kpw_cbor *r);

/* True if the bytes are exactly one item. */
bool kpw_cbor_valid(const void *ptr, size_t len);

/* The content of BYTES or TEXT, r->number bytes, into memory of that size, which may be the place
 * where the value stands. */
void kpw_cbor_join_to(const struct kpw_cbor *r, char *out);

/* UINT or NEGATIVE as a signed number; false: another type, or out of range. */
bool kpw_cbor_to_int64(const struct kpw_cbor *r, int64_t *ret);

/* ---- writer: items on a kpw_buf, in the shortest form; the nesting is the caller's */

enum kpw_cbor_major { /* the upper three bits of a head */
                      KPW_CBOR_MAJOR_UINT = 0,
                      KPW_CBOR_MAJOR_NEGATIVE,
                      KPW_CBOR_MAJOR_BYTES,
                      KPW_CBOR_MAJOR_TEXT,
                      KPW_CBOR_MAJOR_ARRAY,
                      KPW_CBOR_MAJOR_MAP,
                      KPW_CBOR_MAJOR_TAG,
};
#define KPW_CBOR_HEAD_MAX 9
#define KPW_CBOR_BREAK    0xff
#define KPW_CBOR_MAP_ANY  0xbf /* head of a map that ends with a break */
#define KPW_CBOR_LIST_ANY 0x9f
#define KPW_CBOR_TAG_TIME 1 /* seconds since the epoch; milliseconds for AWS' services */

/* Writes a head of 1 to 9 bytes; returns how many. For writers that have the memory already. */
size_t kpw_cbor_head(char *to, enum kpw_cbor_major major, uint64_t n);

void kpw_cbor_put_head(struct kpw_buf *buf, enum kpw_cbor_major major, uint64_t n);
void kpw_cbor_put_uint(struct kpw_buf *buf, uint64_t n);
void kpw_cbor_put_int(struct kpw_buf *buf, int64_t n);
void kpw_cbor_put_bytes(struct kpw_buf *buf, const void *ptr, size_t len);
/* Bytes that are not UTF-8 become U+FFFD each, so that the result is always well-formed. */
void kpw_cbor_put_text(struct kpw_buf *buf, const void *ptr, size_t len);
void kpw_cbor_put_cstr(struct kpw_buf *buf, const char *s);
void kpw_cbor_put_bool(struct kpw_buf *buf, bool b);
void kpw_cbor_put_null(struct kpw_buf *buf);
/* The shortest of the three forms that keeps the value. */
void kpw_cbor_put_double(struct kpw_buf *buf, double n);
/* Definite lengths: then `n` pairs or items follow, and no break. */
void kpw_cbor_put_map(struct kpw_buf *buf, size_t n);
void kpw_cbor_put_list(struct kpw_buf *buf, size_t n);
/* Indefinite lengths. */
void kpw_cbor_put_map_any(struct kpw_buf *buf);
void kpw_cbor_put_list_any(struct kpw_buf *buf);
void kpw_cbor_put_break(struct kpw_buf *buf);
/* A point in time as AWS' services write it: tag 1, then an integer of milliseconds. */
void kpw_cbor_put_time_ms(struct kpw_buf *buf, int64_t ms);

#endif
