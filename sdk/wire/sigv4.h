/* sigv4.h - AWS Signature Version 4: signing and verifying requests.
 *
 * A request is described as it goes over the wire (raw path, raw query, headers with Host), so that
 * both sides derive the canonical form from the same bytes. A kpw_sigv4_cache, kept by the caller,
 * holds the derived key of the last (secret, day, region, service) and the memory of the
 * canonical texts: signing in a loop neither derives the key again nor allocates.
 *
 *     struct kpw_sigv4_cache cache = {0};
 *     kpw_sigv4_sign(&cache, &request, &credentials, &options, &signed_);
 *     send X-Amz-Date: signed_.date, Authorization: signed_.authorization, with a session token
 *     X-Amz-Security-Token, with KPW_SIGV4_CONTENT_SHA256 also X-Amz-Content-Sha256:
 * signed_.payload
 *
 * Threads: [any]; a cache belongs to one thread at a time.
 * Not here: SigV4A (ECDSA); taking a chunked body apart (only its signatures, at the end).
 */
#ifndef KPIPE_WIRE_SIGV4_H
#define KPIPE_WIRE_SIGV4_H

#include "sdk/wire/hash.h"
#include "sdk/wire/slice.h"
#include "sdk/wire/time.h"

#define KPW_SIGV4_MAX_HEADERS 128
#define KPW_SIGV4_MAX_EXPIRES 604800
#define KPW_SIGV4_HEX         65 /* a signature in hex and a NUL */

#define KPW_SIGV4_UNSIGNED          "UNSIGNED-PAYLOAD"
#define KPW_SIGV4_STREAMING         "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
#define KPW_SIGV4_STREAMING_TRAILER "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"

enum kpw_sigv4_flags {
    KPW_SIGV4_SINGLE_ENCODE = 1 << 0,  /* the path is encoded once, not twice */
    KPW_SIGV4_NO_NORMALIZE = 1 << 1,   /* "//", "/./" and "/../" of the path count */
    KPW_SIGV4_CONTENT_SHA256 = 1 << 2, /* sign: adds that header; verify: it must be there */
    KPW_SIGV4_UNSIGNED_BODY = 1 << 3,  /* sign: the body is not covered */
    KPW_SIGV4_TOKEN_AFTER = 1 << 4,    /* the session token is sent but not signed */
    KPW_SIGV4_ALLOW_UNSIGNED = 1 << 5, /* verify: UNSIGNED-PAYLOAD and STREAMING-... are fine */
    KPW_SIGV4_BODY_LATER = 1 << 6,     /* verify: the body is not there yet, see kpw_sigv4_auth */
    KPW_SIGV4_LENIENT = 1 << 7,        /* verify: x-amz-* headers need not be signed */
};
/* How S3 does it, for both sides. */
#define KPW_SIGV4_S3                                                               \
    (KPW_SIGV4_SINGLE_ENCODE | KPW_SIGV4_NO_NORMALIZE | KPW_SIGV4_CONTENT_SHA256 | \
     KPW_SIGV4_ALLOW_UNSIGNED)

enum kpw_sigv4_reason {
    KPW_SIGV4_OK = 0,
    KPW_SIGV4_NO_MEMORY,
    KPW_SIGV4_BAD_REQUEST,     /* no host, too many headers, a broken query */
    KPW_SIGV4_MISSING,         /* verify: neither an Authorization header nor X-Amz-Algorithm */
    KPW_SIGV4_MALFORMED,       /* a part of the authorization is missing, twice, or no such thing */
    KPW_SIGV4_ALGORITHM,       /* not AWS4-HMAC-SHA256 */
    KPW_SIGV4_NO_DATE,         /* neither X-Amz-Date nor Date, or not a date */
    KPW_SIGV4_WRONG_SCOPE,     /* day, region, service or terminator of the scope are others */
    KPW_SIGV4_WRONG_KEY,       /* another access key id than that of the credentials */
    KPW_SIGV4_WRONG_TOKEN,     /* the session token is missing or another one */
    KPW_SIGV4_TOO_EARLY,       /* dated further ahead than the window */
    KPW_SIGV4_EXPIRED,         /* older than the window, or past X-Amz-Expires */
    KPW_SIGV4_BAD_EXPIRES,     /* X-Amz-Expires is not 1 to 604800 */
    KPW_SIGV4_HEADER_MISSING,  /* a signed header is not in the request */
    KPW_SIGV4_HEADER_UNSIGNED, /* host or an x-amz-* header is not signed */
    KPW_SIGV4_WRONG_BODY,      /* the body has another SHA-256 than x-amz-content-sha256 */
    KPW_SIGV4_WRONG_SIGNATURE,
};
/* A sentence for each. [static] */
const char *kpw_sigv4_reason_text(enum kpw_sigv4_reason reason);

struct kpw_sigv4_header {
    struct kpw_slice name, value;
};

/* Everything is [borrowed] for the call. */
struct kpw_sigv4_request {
    struct kpw_slice method;
    struct kpw_slice path;                  /* as on the wire; empty counts as "/" */
    struct kpw_slice query;                 /* as on the wire, without '?' */
    const struct kpw_sigv4_header *headers; /* in order; one name may come more than once */
    size_t n_headers;
    struct kpw_slice body;
    /* When set: the hex SHA-256 of the body, so that it is not hashed again. For signing also a
     * literal such as KPW_SIGV4_STREAMING. */
    struct kpw_slice payload;
};

struct kpw_sigv4_credentials {
    struct kpw_slice key_id, secret;
    struct kpw_slice token; /* empty: none */
};

struct kpw_sigv4_options {
    struct kpw_slice region, service;
    int64_t now_s;      /* sign: the date; verify: the clock */
    uint32_t flags;     /* kpw_sigv4_flags */
    uint32_t expires_s; /* presign: 1..604800 */
    uint32_t window_s;  /* verify: allowed difference of the clocks; AWS: 300, S3: 900 */
};

/* The key of one (secret, day, region, service) and reusable memory. All zero is an empty one. */
struct kpw_sigv4_cache {
    /* after sign, presign or verify, for explanations and tests [owned by the cache] */
    struct kpw_buf canonical; /* the canonical request */
    struct kpw_buf to_sign;   /* the string to sign */
    /* private */
    struct kpw_buf key_name; /* what `key` belongs to; holds the secret */
    struct kpw_hmac_key key;
    struct kpw_buf text, pairs, output;
};
/* Frees the memory and wipes the secret. */
void kpw_sigv4_cache_fini(struct kpw_sigv4_cache *cache);

/* ---- signing */

struct kpw_sigv4_signed {
    char date[KPW_AMZ_DATE_SIZE];
    char signature[KPW_SIGV4_HEX];
    char payload[KPW_SIGV4_HEX];    /* value of x-amz-content-sha256 */
    struct kpw_slice authorization; /* [borrowed from the cache until its next use] */
};

/* The header form. The headers to sign are all of the request but those that proxies change
 * (user-agent, x-amzn-trace-id, expect, transfer-encoding, connection, authorization); X-Amz-Date,
 * X-Amz-Security-Token and X-Amz-Content-Sha256 are signed as if they were there and must not be
 * in the list. */
enum kpw_sigv4_reason kpw_sigv4_sign(struct kpw_sigv4_cache *cache,
                                     const struct kpw_sigv4_request *request,
                                     const struct kpw_sigv4_credentials *credentials,
                                     const struct kpw_sigv4_options *options,
                                     struct kpw_sigv4_signed *ret);

/* The query form: *ret_query is the query to send, the request's own first [borrowed from the cache
 * until its next use]. With KPW_SIGV4_UNSIGNED_BODY (S3) the body is not covered. */
enum kpw_sigv4_reason kpw_sigv4_presign(struct kpw_sigv4_cache *cache,
                                        const struct kpw_sigv4_request *request,
                                        const struct kpw_sigv4_credentials *credentials,
                                        const struct kpw_sigv4_options *options,
                                        struct kpw_slice *ret_query);

/* ---- verifying: parse, look the secret up by key id, verify */

struct kpw_sigv4_auth {
    bool is_query;           /* presigned */
    struct kpw_slice key_id; /* all [borrowed from the request or from `text`] */
    struct kpw_slice scope;  /* day/region/service/aws4_request */
    struct kpw_slice day, region, service;
    struct kpw_slice signed_headers; /* a;b;c */
    struct kpw_slice signature;
    struct kpw_slice token;   /* empty: none */
    struct kpw_slice payload; /* x-amz-content-sha256; empty: none */
    int64_t date_s;
    uint32_t expires_s;  /* query form */
    struct kpw_buf text; /* [owned] decoded parts of the query */
};

/* Reads what the request says about itself; proves nothing. kpw_sigv4_auth_fini() is needed after
 * every result. */
enum kpw_sigv4_reason kpw_sigv4_parse(const struct kpw_sigv4_request *request,
                                      struct kpw_sigv4_auth *ret);
void kpw_sigv4_auth_fini(struct kpw_sigv4_auth *auth);

/* Proves the request that `auth` was parsed from. An empty region or service in the options accepts
 * any. The body is proven too: by `payload` of the request if set, else by hashing `body`. With
 * KPW_SIGV4_BODY_LATER and auth->payload in hex, the caller compares the body's SHA-256 with
 * auth->payload when it has come; when the payload is not in hex or not there, the body must be
 * there already. */
enum kpw_sigv4_reason kpw_sigv4_verify(struct kpw_sigv4_cache *cache,
                                       const struct kpw_sigv4_request *request,
                                       const struct kpw_sigv4_auth *auth,
                                       const struct kpw_sigv4_credentials *credentials,
                                       const struct kpw_sigv4_options *options);

/* ---- signatures of an aws-chunked body */

struct kpw_sigv4_chunks {
    struct kpw_hmac_key key;
    char date[KPW_AMZ_DATE_SIZE];
    char scope[160];
    char previous[KPW_SIGV4_HEX]; /* signature of the last chunk, at first of the headers */
};

/* Starts behind a request that this cache has just signed or verified. False: it has not, or the
 * scope is too long. */
bool kpw_sigv4_chunks_init(struct kpw_sigv4_chunks *chunks, const struct kpw_sigv4_cache *cache,
                           struct kpw_slice signature);
/* Signs the next chunk (the last one is empty) and goes on; `out` is its signature. A verifier
 * compares it with kpw_equal_ct(). */
void kpw_sigv4_chunk_sign(struct kpw_sigv4_chunks *chunks, const void *ptr, size_t len,
                          char out[KPW_SIGV4_HEX]);
/* The same from the chunk's SHA-256. */
void kpw_sigv4_chunk_sign_hash(struct kpw_sigv4_chunks *chunks,
                               const uint8_t sha256[KPW_SHA256_SIZE], char out[KPW_SIGV4_HEX]);
/* Signs the trailer: its headers as "name:value" LF each. */
void kpw_sigv4_trailer_sign(struct kpw_sigv4_chunks *chunks, struct kpw_slice block,
                            char out[KPW_SIGV4_HEX]);

#endif
