/* sigv4_form.h - the canonical form that signer and verifier share; private to sdk/wire.
 *
 * Use: form_begin, form_add_header for each header to sign, form_sort_headers, form_write,
 * form_sign. Nothing allocates once the buffers of the cache have grown to their size.
 *
 * Threads: [any]; a cache belongs to one thread at a time.
 */
#ifndef KPIPE_WIRE_SIGV4_FORM_H
#define KPIPE_WIRE_SIGV4_FORM_H

#include "sdk/wire/sigv4.h"

#define SIGV4_ALGORITHM  "AWS4-HMAC-SHA256"
#define SIGV4_TERMINATOR "aws4_request"
#define SIGV4_DAY        8 /* characters of a date that are its day */

/* A header or a query parameter. */
struct sigv4_pair {
    struct kpw_slice name, value; /* [borrowed from the request or the cache] */
    size_t order;                 /* equal headers keep their order */
};

/* What the canonical request is made of beside the headers. */
struct sigv4_parts {
    struct kpw_slice method, path, query, payload;
    uint32_t flags;  /* kpw_sigv4_flags: KPW_SIGV4_SINGLE_ENCODE, KPW_SIGV4_NO_NORMALIZE */
    bool skip_token; /* X-Amz-Security-Token of the query does not count */
};

/* Whose signature it is. */
struct sigv4_scope {
    struct kpw_slice secret, day, region, service;
    const char *date; /* X-Amz-Date form */
};

/* Appends "day/region/service/aws4_request". */
void sigv4_put_scope(const struct sigv4_scope *scope, struct kpw_buf *out);
/* Empties what the last request left, except the key. */
void sigv4_form_begin(struct kpw_sigv4_cache *cache);
/* False: too many, or out of memory. */
bool sigv4_form_add_header(struct kpw_sigv4_cache *cache, struct kpw_slice name,
                           struct kpw_slice value);
void sigv4_form_sort_headers(struct kpw_sigv4_cache *cache);
/* Appends "host;x-amz-date" of the sorted headers. */
void sigv4_form_put_names(const struct kpw_sigv4_cache *cache, struct kpw_buf *out);
/* Fills cache->canonical. */
enum kpw_sigv4_reason sigv4_form_write(struct kpw_sigv4_cache *cache,
                                       const struct sigv4_parts *parts);
/* Fills cache->to_sign from cache->canonical, derives the key unless it is there, signs. */
enum kpw_sigv4_reason sigv4_form_sign(struct kpw_sigv4_cache *cache,
                                      const struct sigv4_scope *scope, char out[KPW_SIGV4_HEX]);

#endif
