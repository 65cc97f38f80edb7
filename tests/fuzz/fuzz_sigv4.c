/* fuzz_sigv4.c - the verifier of SigV4 on hostile requests, and that what is signed verifies.
 *
 * The input is lines: method, path, query, then "name:value" headers up to an empty line, then the
 * body. All parts are blocks of their exact size, for the address sanitizer.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/sigv4.h"

#define MAX_HEADERS 140

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct kpw_sigv4_credentials credentials = {
    KPW_LIT("AKIDEXAMPLE"), KPW_LIT("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), {NULL, 0}};

static struct kpw_slice line_of(struct kpw_slice *rest)
{
    const char *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    struct kpw_slice line = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    char *copy = malloc(line.len ? line.len : 1);

    if (line.len)
        memcpy(copy, line.ptr, line.len);
    if (rest->len)
        rest->ptr += line.len + (end != NULL);
    rest->len -= line.len + (end != NULL);
    return kpw_slice(copy, line.len);
}

static void try_verify(struct kpw_sigv4_cache *cache, const struct kpw_sigv4_request *r,
                       uint32_t flags, enum kpw_sigv4_reason *ret)
{
    struct kpw_sigv4_options options = {
        .now_s = 1440938160, .flags = flags, .window_s = 900}; /* 20150830T123600Z */
    struct kpw_sigv4_auth auth;

    *ret = kpw_sigv4_parse(r, &auth);
    if (!*ret)
        *ret = kpw_sigv4_verify(cache, r, &auth, &credentials, &options);
    kpw_sigv4_auth_fini(&auth);
}

/* What can be presigned must verify. */
static void round_trip(struct kpw_sigv4_cache *cache, struct kpw_sigv4_request r)
{
    struct kpw_sigv4_options options = {.region = KPW_LIT("us-east-1"),
                                        .service = KPW_LIT("service"),
                                        .now_s = 1440938160,
                                        .expires_s = 60,
                                        .flags = KPW_SIGV4_LENIENT};
    enum kpw_sigv4_reason reason;
    struct kpw_slice query, copy;

    try_verify(cache, &r, 0, &reason);
    if (reason != KPW_SIGV4_MISSING || kpw_sigv4_presign(cache, &r, &credentials, &options, &query))
        return;
    copy = kpw_slice(malloc(query.len), query.len);
    memcpy((char *)(uintptr_t)copy.ptr, query.ptr, query.len);
    r.query = copy;
    try_verify(cache, &r, KPW_SIGV4_LENIENT, &reason);
    /* x-amz-content-sha256 and parameters of the authorization may have been in the input */
    if (reason == KPW_SIGV4_WRONG_SIGNATURE)
        abort();
    free((char *)(uintptr_t)copy.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kpw_slice rest = {(const char *)data, size};
    struct kpw_sigv4_header headers[MAX_HEADERS];
    struct kpw_slice lines[MAX_HEADERS + 4];
    struct kpw_sigv4_request r = {.headers = headers};
    struct kpw_sigv4_cache cache = {0};
    enum kpw_sigv4_reason reason;
    size_t n = 3;

    r.method = lines[0] = line_of(&rest);
    r.path = lines[1] = line_of(&rest);
    r.query = lines[2] = line_of(&rest);
    while (rest.len && r.n_headers < MAX_HEADERS) {
        struct kpw_slice line = lines[n++] = line_of(&rest);
        const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;

        if (!line.len)
            break;
        headers[r.n_headers].name = kpw_slice(line.ptr, colon ? (size_t)(colon - line.ptr) : 0);
        headers[r.n_headers++].value =
            colon ? kpw_slice(colon + 1, line.len - (size_t)(colon + 1 - line.ptr)) : line;
    }
    r.body = rest;
    try_verify(&cache, &r, 0, &reason);
    try_verify(&cache, &r, KPW_SIGV4_S3, &reason);
    try_verify(&cache, &r, KPW_SIGV4_S3 | KPW_SIGV4_LENIENT | KPW_SIGV4_TOKEN_AFTER, &reason);
    round_trip(&cache, r);
    for (size_t i = 0; i < n; i++)
        free((char *)(uintptr_t)lines[i].ptr);
    kpw_sigv4_cache_fini(&cache);
    return 0;
}
