/* signed_test.h - requests with real signatures, for a service that verifies them.
 *
 * Threads: the test's only.
 */
#ifndef KPIPE_LOCAL_AWS_S3_SIGNED_TEST_H
#define KPIPE_LOCAL_AWS_S3_SIGNED_TEST_H

#include "plugins/local-aws/s3/s3_test.h"
#include "sdk/wire/sigv4.h"

/* Who signs, and how. All [borrowed]. */
struct signer {
    const char *service, *key_id, *secret, *token; /* token NULL: none */
    const char *payload;                           /* a literal for x-amz-content-sha256, or NULL */
    int64_t skew_s;
};

static inline struct signer signer_s3(const char *payload)
{
    return (struct signer){"s3", "test", "test", NULL, payload, 0};
}

static inline struct harness *start_signed(void)
{
    struct harness *h = harness_new("local-aws", KP_SERVICE, "{ verify_signatures = true }");

    harness_start(h);
    REQUIRE(harness_url(h) != NULL);
    return h;
}

/* The lines of a signed request's headers: `lines` ("Name: value\r\n" each), all signed, and those
 * of the signature. *ret_chunks, unless NULL, goes on from there. [static buffer] */
static inline const char *sign(const struct signer *s, const char *method, const char *target,
                               const char *lines, struct kpw_slice data,
                               struct kpw_sigv4_chunks *ret_chunks)
{
    static char out[4000];
    struct kpw_sigv4_header headers[20] = {{KPW_LIT("host"), KPW_LIT("127.0.0.1")}};
    struct kpw_sigv4_cache cache = {.key_name = KPW_BUF_INIT};
    struct kpw_sigv4_credentials credentials = {
        kpw_slice_cstr(s->key_id), kpw_slice_cstr(s->secret), kpw_slice_cstr(s->token)};
    bool is_s3 = strcmp(s->service, "s3") == 0;
    struct kpw_sigv4_options options = {
        .region = KPW_LIT("us-east-1"),
        .service = kpw_slice_cstr(s->service),
        .now_s = kp->wall_ms() / 1000 + s->skew_s,
        .flags = is_s3 ? KPW_SIGV4_S3 : 0,
    };
    const char *query = strchr(target, '?');
    struct kpw_sigv4_request request = {
        .method = kpw_slice_cstr(method),
        .path = kpw_slice(target, query ? (size_t)(query - target) : strlen(target)),
        .query = kpw_slice_cstr(query ? query + 1 : NULL),
        .headers = headers,
        .n_headers = 1,
        .body = data,
        .payload = kpw_slice_cstr(s->payload),
    };
    struct kpw_sigv4_signed made;

    for (const char *at = lines, *end; (end = strstr(at, "\r\n")); at = end + 2) {
        const char *colon = strchr(at, ':');

        REQUIRE(colon != NULL && request.n_headers < 20);
        headers[request.n_headers++] = (struct kpw_sigv4_header){
            kpw_slice(at, (size_t)(colon - at)), kpw_slice(colon + 2, (size_t)(end - colon - 2))};
    }
    REQUIRE(kpw_sigv4_sign(&cache, &request, &credentials, &options, &made) == KPW_SIGV4_OK);
    if (ret_chunks)
        REQUIRE(kpw_sigv4_chunks_init(ret_chunks, &cache, kpw_slice_cstr(made.signature)));
    snprintf(out, sizeof(out), "%sX-Amz-Date: %s\r\nAuthorization: %.*s\r\n", lines, made.date,
             (int)made.authorization.len, made.authorization.ptr);
    if (is_s3)
        snprintf(out + strlen(out), sizeof(out) - strlen(out), "X-Amz-Content-Sha256: %s\r\n",
                 made.payload);
    if (s->token)
        snprintf(out + strlen(out), sizeof(out) - strlen(out), "X-Amz-Security-Token: %s\r\n",
                 s->token);
    kpw_sigv4_cache_fini(&cache);
    return out;
}

static inline int ask_signed(struct harness *h, const struct signer *s, const char *method,
                             const char *target, const char *data)
{
    return harness_request(h, method, target,
                           sign(s, method, target, "", kpw_slice_cstr(data), NULL), data,
                           strlen(data), &body);
}

#endif
