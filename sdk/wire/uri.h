/* uri.h - percent encoding as AWS wants it, query strings, and paths that stay inside.
 *
 * Unreserved characters (A-Z a-z 0-9 - . _ ~) stay; every other byte is %XX in upper case.
 *
 * Threads: [any]
 */
#ifndef KPIPE_WIRE_URI_H
#define KPIPE_WIRE_URI_H

#include "sdk/wire/slice.h"

/* Encodes into `out`, which has room for 3 * len bytes. Returns the length. `keep_slash`: '/' stays
 * (paths). */
size_t kpw_uri_encode(const void *ptr, size_t len, bool keep_slash, char *out);
void kpw_uri_put(struct kpw_buf *buf, const void *ptr, size_t len, bool keep_slash);

/* Decodes %XX, and '+' to a blank when `plus_is_blank` (forms). `out` needs len bytes and may be
 * `ptr`. False: a '%' without two hex digits. */
bool kpw_uri_decode(const void *ptr, size_t len, bool plus_is_blank, char *out, size_t *ret_len);
/* The same, appended to a buffer. */
bool kpw_uri_decode_put(struct kpw_buf *buf, struct kpw_slice text, bool plus_is_blank);

/* Splits "/path?query" at the first '?'; a fragment (from '#') belongs to neither. */
void kpw_uri_split(struct kpw_slice target, struct kpw_slice *ret_path,
                   struct kpw_slice *ret_query);

/* Walks "a=1&b&c=". Names and values are raw slices, not decoded; empty parts ("&&") are passed
 * over. */
struct kpw_query {
    struct kpw_slice rest;
    struct kpw_slice name, value; /* of the current pair */
    bool has_value;               /* there was a '=' */
};
void kpw_query_init(struct kpw_query *q, struct kpw_slice text);
bool kpw_query_next(struct kpw_query *q);
/* Finds the first pair whose decoded name is `name`; *ret_value is raw. */
bool kpw_query_find(struct kpw_slice text, const char *name, struct kpw_slice *ret_value);
/* The same for a form body or query, decoded ('+' is a blank) and appended to `out`. False: there
 * is no such pair or its value is not rightly encoded. */
bool kpw_form_get(struct kpw_slice text, const char *name, struct kpw_buf *out);

/* RFC 3986 section 5.2.4 on an absolute path, and runs of '/' become one. ".." above the root stays
 * at the root. A slash at the end is kept. */
void kpw_path_normalize(struct kpw_slice path, struct kpw_buf *out);

/* True if a decoded relative path may be joined to a directory: not empty, no NUL, no leading '/',
 * no empty, "." or ".." part, no part over 255 bytes, 4095 bytes at most. One '/' at the end is
 * fine. */
bool kpw_path_is_safe(const void *ptr, size_t len);

#endif
