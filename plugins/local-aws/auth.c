/* auth.c - proving SigV4 signatures (verify_signatures), and the refusals in each protocol's form.
 *
 * The JSON services answer 400, S3 and the query protocol 403, each with its own names of errors.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/local.h"
#include "sdk/wire/sigv4.h"
#include "sdk/wire/xml.h"

struct auth {
    struct kpw_sigv4_cache cache;
    struct kpw_sigv4_credentials credentials; /* [borrowed from config] */
};

bool auth_open(struct local *local)
{
    const struct local_config *config = local->config;
    const char *secret = config->secret_key && *config->secret_key ? config->secret_key : "test";
    struct auth *auth = calloc(1, sizeof *auth);

    if (!auth)
        return false;
    auth->credentials.key_id = kpw_slice_cstr(config->access_key);
    auth->credentials.secret = kpw_slice_cstr(secret);
    local->auth = auth;
    return true;
}

void auth_close(struct local *local)
{
    if (local->auth)
        kpw_sigv4_cache_fini(&local->auth->cache);
    free(local->auth);
    local->auth = NULL;
}

/* ---- refusals */

struct refusal {
    const char *json, *query, *s3; /* names of the error */
    const char *text;
    int s3_status;
};

static const struct refusal *refusal_of(enum kpw_sigv4_reason reason)
{
    static const struct refusal
        mismatch = {"InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch",
                    "The request signature we calculated does not match the signature you "
                    "provided. Check your AWS Secret Access Key and signing method. Consult the "
                    "service documentation for details.",
                    403},
        missing = {"MissingAuthenticationTokenException", "MissingAuthenticationToken",
                   "AccessDenied", "Missing Authentication Token", 403},
        unknown = {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId",
                   "The security token included in the request is invalid.", 403},
        skew = {"InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.", 403},
        scope = {"InvalidSignatureException", "SignatureDoesNotMatch",
                 "AuthorizationHeaderMalformed",
                 "Credential should be scoped to a valid day, service and aws4_request.", 400},
        unsigned_ = {"InvalidSignatureException", "SignatureDoesNotMatch", "AccessDenied",
                     "'Host' or ':authority' and all X-Amz-* headers must be a 'SignedHeader' in "
                     "the AWS Authorization.",
                     403},
        body = {"InvalidSignatureException", "SignatureDoesNotMatch", "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                400},
        malformed = {"IncompleteSignatureException", "IncompleteSignature",
                     "AuthorizationHeaderMalformed", NULL, 400};

    switch (reason) {
    case KPW_SIGV4_MISSING: return &missing;
    case KPW_SIGV4_WRONG_KEY:
    case KPW_SIGV4_WRONG_TOKEN: return &unknown;
    case KPW_SIGV4_TOO_EARLY:
    case KPW_SIGV4_EXPIRED: return &skew;
    case KPW_SIGV4_WRONG_SCOPE: return &scope;
    case KPW_SIGV4_HEADER_MISSING:
    case KPW_SIGV4_HEADER_UNSIGNED: return &unsigned_;
    case KPW_SIGV4_WRONG_BODY: return &body;
    case KPW_SIGV4_WRONG_SIGNATURE: return &mismatch;
    default: return &malformed;
    }
}

/* "Authorization header requires 'Credential' parameter. ... Authorization=..." */
static void incomplete_text(const kp_server_request *request, enum kpw_sigv4_reason reason,
                            struct kpw_buf *out)
{
    static const char *const parts[] = {"Credential", "Signature", "SignedHeaders"};
    kp_slice header = local_header(request, "authorization");

    if (!header.len) {
        kpw_buf_puts(out, kpw_sigv4_reason_text(reason));
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        char name[20];
        int n = snprintf(name, sizeof name, "%s=", parts[i]);

        if (!memmem(header.ptr, header.len, name, (size_t)n))
            kpw_buf_appendf(out, "Authorization header requires '%s' parameter. ", parts[i]);
    }
    if (!local_header(request, "x-amz-date").len && !local_header(request, "date").len)
        kpw_buf_puts(out, "Authorization header requires existence of either a 'X-Amz-Date' or a "
                          "'Date' header. ");
    kpw_buf_puts(out, "Authorization=");
    kpw_buf_append(out, header.ptr, header.len);
}

static void refuse_xml(struct local *local, kp_exchange *x, const struct local_target *target,
                       const struct refusal *refusal, const char *text)
{
    bool is_s3 = target->service == LOCAL_S3;
    struct kpw_buf body = KPW_BUF_INIT;
    char id[KPW_UUID_SIZE];

    local_request_id(local, id);
    kpw_buf_puts(&body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    kpw_buf_puts(&body, is_s3 ? "<Error>" : "<ErrorResponse><Error><Type>Sender</Type>");
    kpw_buf_appendf(&body, "<Code>%s</Code><Message>", is_s3 ? refusal->s3 : refusal->query);
    kpw_xml_put_text(&body, text, strlen(text));
    kpw_buf_puts(&body, "</Message>");
    if (!is_s3)
        kpw_buf_puts(&body, "</Error>");
    kpw_buf_appendf(&body, "<RequestId>%s</RequestId>%s", id,
                    is_s3 ? "</Error>" : "</ErrorResponse>");
    local_answer(local, x,
                 &(struct local_answer){.status = is_s3 ? refusal->s3_status : 403,
                                        .content_type = is_s3 ? "application/xml" : "text/xml",
                                        .request_id = id,
                                        .body = {body.ptr, body.failed ? 0 : body.len}});
    kpw_buf_fini(&body);
}

static void refuse(struct local *local, kp_exchange *x, const kp_server_request *request,
                   const struct local_target *target, enum kpw_sigv4_reason reason)
{
    const struct refusal *refusal = refusal_of(reason);
    struct kpw_buf text = KPW_BUF_INIT;
    const char *words;

    if (refusal->text)
        kpw_buf_puts(&text, refusal->text);
    else
        incomplete_text(request, reason, &text);
    words = kpw_buf_cstr(&text) ? text.ptr : "";
    kp->log(local->node, KP_LOG_INFO, "local.refused", "reason=\"%s\"",
            kpw_sigv4_reason_text(reason));
    if (target->service == LOCAL_S3 || target->is_query)
        refuse_xml(local, x, target, refusal, words);
    else
        local_error_json(
            local, x,
            &(struct local_error){
                .status = 400,
                .content_type = target->service == LOCAL_KINESIS ? LOCAL_JSON_11 : LOCAL_JSON_10,
                .prefix = target->service == LOCAL_KINESIS ? NULL : "com.amazon.coral.service#",
                .type = refusal->json,
                .message = words});
    kpw_buf_fini(&text);
}

/* ---- proving */

static const char *service_text(enum local_service service)
{
    static const char *const names[] = {
        [LOCAL_NONE] = "",   [LOCAL_KINESIS] = "kinesis", [LOCAL_DYNAMODB] = "dynamodb",
        [LOCAL_SQS] = "sqs", [LOCAL_S3] = "s3",           [LOCAL_STS] = "sts",
    };

    return names[service];
}

static enum kpw_sigv4_reason prove(struct local *local, const kp_server_request *request,
                                   const struct local_target *target)
{
    struct kpw_sigv4_header headers[KPW_SIGV4_MAX_HEADERS];
    struct kpw_sigv4_request plain = {
        .method = {request->method.ptr, request->method.len},
        .path = {request->path.ptr, request->path.len},
        .query = {request->query.ptr, request->query.len},
        .headers = headers,
        .body = {request->body.ptr, request->body.len},
    };
    struct kpw_sigv4_options options = {
        .service = kpw_slice_cstr(service_text(target->service)),
        .now_s = kp->wall_ms() / 1000,
        .flags = target->service == LOCAL_S3 ? KPW_SIGV4_S3 : 0,
        .window_s = target->service == LOCAL_S3 ? 900 : 300,
    };
    struct kpw_sigv4_auth auth;
    enum kpw_sigv4_reason reason;

    if (request->n_headers > KPW_SIGV4_MAX_HEADERS)
        return KPW_SIGV4_BAD_REQUEST;
    for (size_t i = 0; i < request->n_headers; i++) {
        const kp_http_header *h = &request->headers[i];

        headers[plain.n_headers++] =
            (struct kpw_sigv4_header){{h->name.ptr, h->name.len}, {h->value.ptr, h->value.len}};
    }
    reason = kpw_sigv4_parse(&plain, &auth);
    if (reason == KPW_SIGV4_OK)
        reason = kpw_sigv4_verify(&local->auth->cache, &plain, &auth, &local->auth->credentials,
                                  &options);
    kpw_sigv4_auth_fini(&auth);
    return reason;
}

bool auth_check(struct local *local, kp_exchange *x, const kp_server_request *request,
                const struct local_target *target)
{
    enum kpw_sigv4_reason reason = prove(local, request, target);

    if (reason == KPW_SIGV4_OK)
        return true;
    refuse(local, x, request, target, reason);
    return false;
}
