/* json.h - reading JSON as a pull scanner, and writing it.
 *
 * The scanner walks a range of memory and returns tokens whose values are slices of that memory:
 * no allocation, no tree. It is strict RFC 8259: one value, UTF-8 checked, no comments, no byte
 * order mark, at most KPW_JSON_DEPTH levels. Duplicate keys are the caller's business.
 *
 *     struct kpw_json r;
 *     kpw_json_init(&r, text, len);
 *     if (kpw_json_next(&r) != KPW_JSON_OBJECT) ...
 *     while (kpw_json_next(&r) == KPW_JSON_KEY) {
 *         if (kpw_slice_is(r.value, "StreamName")) ... kpw_json_next(&r) ...
 *         else kpw_json_skip(&r);
 *     }
 *     if (r.type != KPW_JSON_OBJECT_END) ...       the text is broken
 *
 * Threads: [any]; one reader belongs to one thread at a time.
 */
#ifndef KPIPE_WIRE_JSON_H
#define KPIPE_WIRE_JSON_H

#include "sdk/wire/slice.h"

#define KPW_JSON_DEPTH 512

enum kpw_json_type {
    KPW_JSON_END = 0, /* the text is over (and was one whole value); kpw_json_find: not there */
    KPW_JSON_OBJECT,
    KPW_JSON_OBJECT_END,
    KPW_JSON_ARRAY,
    KPW_JSON_ARRAY_END,
    KPW_JSON_KEY,    /* value: the name without quotes, escapes as they are */
    KPW_JSON_STRING, /* value: the text without quotes, escapes as they are */
    KPW_JSON_NUMBER, /* value: the literal */
    KPW_JSON_TRUE,
    KPW_JSON_FALSE,
    KPW_JSON_NULL,
    KPW_JSON_ERROR, /* `error` says what, kpw_json_position() where; stays so */
};

struct kpw_json {
    /* what the last kpw_json_next() found */
    enum kpw_json_type type;
    struct kpw_slice value; /* [borrowed from the text] of objects and arrays: the bracket */
    bool has_escape;        /* KEY, STRING: value must go through kpw_json_unescape() */
    bool is_integer;        /* NUMBER: without fraction and exponent */
    const char *error;      /* [static] of KPW_JSON_ERROR, else NULL */
    /* private */
    const char *start, *at, *end;
    uint32_t depth;
    uint32_t expect;
    uint64_t is_object[KPW_JSON_DEPTH / 64]; /* one bit per open level */
};

void kpw_json_init(struct kpw_json *r, const void *ptr, size_t len);

/* The next token. After END or ERROR it returns the same again. */
enum kpw_json_type kpw_json_next(struct kpw_json *r);

/* Skips what the last token began: after KEY the whole value, after OBJECT or ARRAY the rest up to
 * its end; after anything else nothing. Skipped text is checked as strictly as read text.
 * Afterwards r->value is the raw text of what was skipped (with brackets or quotes) and r->type is
 * the type of its last token; returns false when the text is broken. */
bool kpw_json_skip(struct kpw_json *r);

/* The value behind a KEY or in an array: kpw_json_next() and, for objects and arrays, a skip to
 * their end. Returns the type (OBJECT, ARRAY, STRING, NUMBER, TRUE, FALSE, NULL; ARRAY_END at the
 * end of an array; ERROR) and sets *ret as kpw_json_find() does. */
enum kpw_json_type kpw_json_value(struct kpw_json *r, struct kpw_slice *ret);

/* True if the text is exactly one JSON value. */
bool kpw_json_valid(const void *ptr, size_t len);

/* Finds "$.a.b[0]", "$['a b'].c", "$" or the same without "$." in front. Returns the type; *ret is
 * the raw text of the value: for a string the part between the quotes, for objects and arrays with
 * brackets. KPW_JSON_END: not there (*ret is empty). KPW_JSON_ERROR: the path or the text up to
 * the value is broken; what follows the value is not looked at. Of equal keys the first counts;
 * keys written with escapes are compared unescaped. */
enum kpw_json_type kpw_json_find(struct kpw_slice doc, const char *path, struct kpw_slice *ret);

/* Where `at` of a text lies: line and column from 1, the column in bytes. */
void kpw_json_position(const struct kpw_json *r, uint32_t *ret_line, uint32_t *ret_column);

/* Appends the unescaped text of a KEY or STRING. A lone surrogate (\ud800) becomes U+FFFD. */
void kpw_json_unescape(struct kpw_slice raw, struct kpw_buf *out);
/* The same into memory of at least raw.len bytes (the result is never longer; `out` may be
 * raw.ptr). Returns the length. */
size_t kpw_json_unescape_to(struct kpw_slice raw, char *out);
/* True if the raw text, unescaped, equals `s`. */
bool kpw_json_text_is(struct kpw_slice raw, const char *s);

/* Numbers: false when out of range or, for integers, written with fraction or exponent. Zero may
 * be -0. kpw_json_to_double refuses overflow; what is too small becomes 0. Exactly rounded, the
 * locale does not matter. */
bool kpw_json_to_int64(struct kpw_slice number, int64_t *ret);
bool kpw_json_to_uint64(struct kpw_slice number, uint64_t *ret);
bool kpw_json_to_double(struct kpw_slice number, double *ret);

/* ---- writer: values on a kpw_buf; commas and brackets are the caller's */

/* "text" with quotes. Escapes quote, backslash and control characters; other bytes as they are.
 * Bytes that are not UTF-8 become U+FFFD each, so that the result is always JSON. */
void kpw_json_put_string(struct kpw_buf *buf, const void *ptr, size_t len);
void kpw_json_put_cstr(struct kpw_buf *buf, const char *s);
void kpw_json_put_int(struct kpw_buf *buf, int64_t n);
void kpw_json_put_uint(struct kpw_buf *buf, uint64_t n);
/* The fewest digits that read back as the same double; integers below 2^53 without exponent. NaN
 * and infinities, which JSON does not have, become null. The locale does not matter. */
void kpw_json_put_double(struct kpw_buf *buf, double n);
void kpw_json_put_bool(struct kpw_buf *buf, bool b);
/* "name": with the comma in front unless the buffer ends with '{', '[' or is empty. */
void kpw_json_put_key(struct kpw_buf *buf, const char *name);
/* A member as a whole: key, then value. */
void kpw_json_put_member(struct kpw_buf *buf, const char *name, const void *ptr, size_t len);
void kpw_json_put_member_cstr(struct kpw_buf *buf, const char *name, const char *s);
void kpw_json_put_member_int(struct kpw_buf *buf, const char *name, int64_t n);
void kpw_json_put_member_bool(struct kpw_buf *buf, const char *name, bool b);

#endif
