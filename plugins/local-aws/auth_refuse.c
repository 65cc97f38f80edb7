/* auth_refuse.c - why a signature was refused, in the words and the form of the service.
 *
 * Three families: the JSON and CBOR services answer 400, the query services 403, S3 403 or 400 with
 * further elements. What was wrong in the request may be shown to who sent it; nothing here is
 * secret, the canonical texts hold no key.
 */
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/auth.h"
#include "sdk/wire/time.h"
#include "sdk/wire/uri.h"
#include "sdk/wire/xml.h"

/* An error being made. */
struct words {
    int status;
    const char *code;
    const char *query_code; /* what the query protocol calls it; NULL: the same */
    struct kpw_buf text, extra;
};

static struct kpw_slice header_of(const struct auth_case *c, const char *name)
{
    kp_slice value = local_header(c->request, name);

    return kpw_slice(value.ptr, value.len);
}

static void say(struct words *w, int status, const char *code, const char *text)
{
    w->status = status;
    w->code = code;
    kpw_buf_puts(&w->text, text);
}

static void put_extra(struct words *w, const char *name, struct kpw_slice value)
{
    kpw_xml_put_element(&w->extra, name, value.ptr, value.len);
}

/* ---- all services but S3 */

/* The names in JSON and in the query protocol. */
struct names {
    const char *json, *query;
};
static const struct names mismatch = {"InvalidSignatureException", "SignatureDoesNotMatch"};
static const struct names incomplete = {"IncompleteSignatureException", "IncompleteSignature"};
static const struct names missing = {"MissingAuthenticationTokenException",
                                     "MissingAuthenticationToken"};
static const struct names unknown = {"UnrecognizedClientException", "InvalidClientTokenId"};
static const struct names expired = {"ExpiredTokenException", "ExpiredToken"};

static void say_as(const struct auth_case *c, struct words *w, const struct names *names,
                   const char *text)
{
    bool is_query = c->target->form == LOCAL_FORM_QUERY;

    say(w, is_query && names != &incomplete ? 403 : 400, is_query ? names->query : names->json,
        text);
    w->query_code = names->query;
}

/* "Authorization header requires 'Credential' parameter. ... Authorization=..." */
static void header_lacks(const struct auth_case *c, struct kpw_buf *out)
{
    static const char *const parts[] = {"Credential", "Signature", "SignedHeaders"};
    struct kpw_slice header = header_of(c, "authorization");

    for (size_t i = 0; i < 3; i++) {
        char name[20];
        int n = snprintf(name, sizeof name, "%s=", parts[i]);

        if (!memmem(header.ptr, header.len, name, (size_t)n))
            kpw_buf_appendf(out, "Authorization header requires '%s' parameter. ", parts[i]);
    }
    if (!header_of(c, "x-amz-date").len && !header_of(c, "date").len)
        kpw_buf_puts(out, "Authorization header requires existence of either a 'X-Amz-Date' or a "
                          "'Date' header. ");
    kpw_buf_puts(out, "Authorization=");
    kpw_buf_append(out, header.ptr, header.len);
}

/* "AWS query-string parameters must include 'X-Amz-Credential'. ..." */
static void query_lacks(const struct auth_case *c, struct kpw_buf *out)
{
    static const char *const parts[] = {"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature",
                                        "X-Amz-SignedHeaders", "X-Amz-Date"};
    struct kpw_slice query = {c->request->query.ptr, c->request->query.len}, value;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!kpw_query_find(query, parts[i], &value) || !value.len)
            kpw_buf_appendf(out, "AWS query-string parameters must include '%s'. ", parts[i]);
    kpw_buf_puts(out, "Re-examine the query-string parameters.");
}

static bool has_query_form(const struct auth_case *c)
{
    struct kpw_slice value;

    return kpw_query_find(kpw_slice(c->request->query.ptr, c->request->query.len),
                          "X-Amz-Algorithm", &value);
}

static void say_incomplete(const struct auth_case *c, struct words *w)
{
    bool has_header = header_of(c, "authorization").len > 0;

    if (has_header && has_query_form(c)) {
        say_as(c, w, &mismatch,
               "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP "
               "header.");
        return;
    }
    say_as(c, w, &incomplete, "");
    if (has_header)
        header_lacks(c, &w->text);
    else
        query_lacks(c, &w->text);
}

/* The date of a request that has one which is not to be read. */
static void say_bad_date(const struct auth_case *c, struct words *w)
{
    struct kpw_slice date = header_of(c, "x-amz-date");

    if (!date.len)
        date = header_of(c, "date");
    if (!date.len)
        kpw_query_find(kpw_slice(c->request->query.ptr, c->request->query.len), "X-Amz-Date",
                       &date);
    if (!date.len) {
        say_incomplete(c, w);
        return;
    }
    say_as(c, w, &incomplete, "Date must be in ISO-8601 'basic format'. Got '");
    kpw_buf_put_slice(&w->text, date);
    kpw_buf_puts(&w->text, "'. See http://en.wikipedia.org/wiki/ISO_8601");
}

static void say_scope(const struct auth_case *c, struct words *w)
{
    const struct kpw_sigv4_auth *auth = c->auth;
    const char *service = local_scope(c->target->service);
    char date[KPW_AMZ_DATE_SIZE];

    kpw_amz_date_format(auth->date_s, date);
    say_as(c, w, &mismatch, "");
    if (!kpw_slice_is(auth->service, service))
        kpw_buf_appendf(&w->text, "Credential should be scoped to correct service: '%s'. ",
                        service);
    else if (!kpw_slice_eq(auth->day, kpw_slice(date, 8)))
        kpw_buf_appendf(&w->text,
                        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of "
                        "date from HTTP: '%.*s' != '%.8s', from '%s'.",
                        (int)auth->day.len, auth->day.ptr, date, date);
    else
        kpw_buf_puts(&w->text,
                     "Credential should be scoped with a valid terminator: 'aws4_request'. ");
}

/* "Signature expired: T is now earlier than L (N - 15 min.)" */
static void say_time(const struct auth_case *c, struct words *w)
{
    bool is_late = c->reason == KPW_SIGV4_EXPIRED;
    int64_t window_s = is_late && c->auth->is_query ? (int64_t)c->auth->expires_s : AUTH_WINDOW_S;
    char then[KPW_AMZ_DATE_SIZE], limit[KPW_AMZ_DATE_SIZE], now[KPW_AMZ_DATE_SIZE];

    kpw_amz_date_format(c->auth->date_s, then);
    kpw_amz_date_format(is_late ? c->now_s - window_s : c->now_s + window_s, limit);
    kpw_amz_date_format(c->now_s, now);
    say_as(c, w, &mismatch, "");
    if (is_late)
        kpw_buf_appendf(&w->text, "Signature expired: %s is now earlier than %s (%s - %lld min.)",
                        then, limit, now, (long long)window_s / 60);
    else
        kpw_buf_appendf(&w->text,
                        "Signature not yet current: %s is still later than %s (%s + %lld min.)",
                        then, limit, now, (long long)window_s / 60);
}

static struct kpw_slice next_name(struct kpw_slice *list)
{
    const char *at = list->len ? memchr(list->ptr, ';', list->len) : NULL;
    struct kpw_slice name = kpw_slice(list->ptr, at ? (size_t)(at - list->ptr) : list->len);

    *list = at ? kpw_slice(at + 1, list->len - name.len - 1) : kpw_slice(NULL, 0);
    return name;
}

static bool is_signed(const struct auth_case *c, kp_slice name)
{
    struct kpw_slice list = c->auth->signed_headers;

    while (list.len) {
        struct kpw_slice one = next_name(&list);

        if (one.len == name.len && !strncasecmp(one.ptr, name.ptr, name.len))
            return true;
    }
    return false;
}

static bool host_is_signed(const struct auth_case *c)
{
    return is_signed(c, (kp_slice){"host", 4}) || is_signed(c, (kp_slice){":authority", 10});
}

/* The headers that should have been signed, `mark` between them. */
static void put_unsigned(const struct auth_case *c, const char *mark, struct kpw_buf *out)
{
    size_t n = 0;

    for (size_t i = 0; i < c->request->n_headers; i++) {
        kp_slice name = c->request->headers[i].name;

        if (name.len < 6 || memcmp(name.ptr, "x-amz-", 6) != 0 || is_signed(c, name))
            continue;
        if (n++)
            kpw_buf_puts(out, mark);
        kpw_buf_append(out, name.ptr, name.len);
    }
}

static void say_unsigned(const struct auth_case *c, struct words *w)
{
    say_as(c, w, &mismatch, "'");
    if (host_is_signed(c))
        put_unsigned(c, "', '", &w->text);
    else
        kpw_buf_puts(&w->text, "Host' or ':authority");
    kpw_buf_puts(&w->text, "' must be a 'SignedHeader' in the AWS Authorization.");
}

static void say_mismatch(const struct auth_case *c, struct words *w)
{
    say_as(c, w, &mismatch,
           "The request signature we calculated does not match the signature you provided. Check "
           "your AWS Secret Access Key and signing method. Consult the service documentation for "
           "details.");
    if (c->reason != KPW_SIGV4_WRONG_SIGNATURE)
        return;
    kpw_buf_puts(&w->text, "\n\nThe Canonical String for this request should have been\n'");
    kpw_buf_put_slice(&w->text, kpw_buf_slice(&c->cache->canonical));
    kpw_buf_puts(&w->text, "'\n\nThe String-to-Sign should have been\n'");
    kpw_buf_put_slice(&w->text, kpw_buf_slice(&c->cache->to_sign));
    kpw_buf_puts(&w->text, "'\n");
}

static void say_service(const struct auth_case *c, struct words *w)
{
    switch (c->reason) {
    case KPW_SIGV4_MISSING: say_as(c, w, &missing, "Missing Authentication Token"); break;
    case KPW_SIGV4_WRONG_KEY:
        say_as(c, w, &unknown, "The security token included in the request is invalid.");
        break;
    case KPW_SIGV4_WRONG_TOKEN:
        if (c->is_token_old)
            say_as(c, w, &expired, "The security token included in the request is expired");
        else
            say_as(c, w, &unknown, "The security token included in the request is invalid.");
        break;
    case KPW_SIGV4_TOO_EARLY:
    case KPW_SIGV4_EXPIRED: say_time(c, w); break;
    case KPW_SIGV4_WRONG_SCOPE: say_scope(c, w); break;
    case KPW_SIGV4_HEADER_UNSIGNED: say_unsigned(c, w); break;
    case KPW_SIGV4_HEADER_MISSING: /* counts as empty there, so the signature is another */
    case KPW_SIGV4_WRONG_BODY:     /* they sign what has come, not what the header says */
    case KPW_SIGV4_WRONG_SIGNATURE: say_mismatch(c, w); break;
    case KPW_SIGV4_NO_DATE: say_bad_date(c, w); break;
    case KPW_SIGV4_BAD_EXPIRES:
        say_as(c, w, &incomplete, "X-Amz-Expires must be a number from 1 to 604800.");
        break;
    default: say_incomplete(c, w); break;
    }
}

/* ---- S3 */

static void s3_time(const struct auth_case *c, struct words *w)
{
    char then[KPW_ISO8601_SIZE], now[KPW_ISO8601_SIZE], date[KPW_AMZ_DATE_SIZE];

    kpw_iso8601_format_s(c->now_s, now);
    if (c->auth->is_query) {
        int64_t end_s = c->auth->date_s + (int64_t)c->auth->expires_s;

        if (c->reason == KPW_SIGV4_TOO_EARLY) {
            say(w, 403, "AccessDenied", "Request is not valid yet");
        } else {
            say(w, 403, "AccessDenied", "Request has expired");
            kpw_xml_put_element_int(&w->extra, "X-Amz-Expires", c->auth->expires_s);
            kpw_iso8601_format_s(end_s, then);
            kpw_xml_put_element_cstr(&w->extra, "Expires", then);
        }
        kpw_xml_put_element_cstr(&w->extra, "ServerTime", now);
        return;
    }
    say(w, 403, "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.");
    kpw_amz_date_format(c->auth->date_s, date);
    kpw_xml_put_element_cstr(&w->extra, "RequestTime", date);
    kpw_xml_put_element_cstr(&w->extra, "ServerTime", now);
    kpw_xml_put_element_int(&w->extra, "MaxAllowedSkewMilliseconds", AUTH_WINDOW_S * 1000);
}

static void s3_scope(const struct auth_case *c, struct words *w)
{
    const struct kpw_sigv4_auth *auth = c->auth;
    char date[KPW_AMZ_DATE_SIZE];

    kpw_amz_date_format(auth->date_s, date);
    if (auth->is_query)
        say(w, 400, "AuthorizationQueryParametersError",
            "Error parsing the X-Amz-Credential parameter; ");
    else
        say(w, 400, "AuthorizationHeaderMalformed", "The authorization header is malformed; ");
    if (!kpw_slice_is(auth->service, "s3"))
        kpw_buf_appendf(&w->text, "incorrect service \"%.*s\". This endpoint belongs to \"s3\".",
                        (int)auth->service.len, auth->service.ptr);
    else if (!kpw_slice_eq(auth->day, kpw_slice(date, 8)))
        kpw_buf_appendf(&w->text,
                        "Invalid credential date \"%.*s\". This date is not the same as "
                        "X-Amz-Date: \"%.8s\".",
                        (int)auth->day.len, auth->day.ptr, date);
    else
        kpw_buf_puts(&w->text, "incorrect terminal \"aws4_request\" is missing.");
}

/* "41 57 53 34" */
static void put_bytes(struct words *w, const char *name, const struct kpw_buf *text)
{
    kpw_xml_put_open(&w->extra, name, NULL);
    for (size_t i = 0; i < text->len; i++)
        kpw_buf_appendf(&w->extra, i ? " %02x" : "%02x", (unsigned)(uint8_t)text->ptr[i]);
    kpw_xml_put_close(&w->extra, name);
}

static void s3_mismatch(const struct auth_case *c, struct words *w)
{
    say(w, 403, "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your "
        "key and signing method.");
    put_extra(w, "AWSAccessKeyId", c->auth->key_id);
    if (c->reason != KPW_SIGV4_WRONG_SIGNATURE)
        return;
    put_extra(w, "StringToSign", kpw_buf_slice(&c->cache->to_sign));
    put_extra(w, "SignatureProvided", c->auth->signature);
    put_bytes(w, "StringToSignBytes", &c->cache->to_sign);
    put_extra(w, "CanonicalRequest", kpw_buf_slice(&c->cache->canonical));
    put_bytes(w, "CanonicalRequestBytes", &c->cache->canonical);
}

static void s3_argument(struct words *w, const char *text, const char *name, struct kpw_slice value)
{
    say(w, 400, "InvalidArgument", text);
    kpw_xml_put_element_cstr(&w->extra, "ArgumentName", name);
    put_extra(w, "ArgumentValue", value);
}

static void s3_body(const struct auth_case *c, struct words *w)
{
    struct kpw_slice claimed = c->auth->payload;
    char real[KPW_SHA256_HEX + 1];
    uint8_t bytes[KPW_SHA256_SIZE];

    if (claimed.len != KPW_SHA256_HEX || !kpw_hex_decode(claimed.ptr, claimed.len, bytes)) {
        s3_argument(w,
                    "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
                    "STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
                    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
                    "x-amz-content-sha256", claimed);
        return;
    }
    kpw_sha256_hex(c->request->body.ptr, c->request->body.len, real);
    say(w, 400, "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.");
    put_extra(w, "ClientComputedContentSHA256", claimed);
    kpw_xml_put_element_cstr(&w->extra, "S3ComputedContentSHA256", real);
}

static void s3_malformed(const struct auth_case *c, struct words *w)
{
    struct kpw_slice header = header_of(c, "authorization");

    if (header.len && has_query_form(c))
        s3_argument(w,
                    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
                    "Signature query string parameter or the Authorization header should be "
                    "specified",
                    "Authorization", header);
    else if (!header.len)
        say(w, 400, "AuthorizationQueryParametersError",
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
            "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.");
    else if (c->reason == KPW_SIGV4_ALGORITHM)
        s3_argument(w, "Unsupported Authorization Type", "Authorization", header);
    else
        say(w, 400, "AuthorizationHeaderMalformed",
            "The authorization header is malformed; the authorization header requires three "
            "components: Credential, SignedHeaders, and Signature.");
}

static void s3_token(const struct auth_case *c, struct words *w)
{
    if (c->is_token_old)
        say(w, 400, "ExpiredToken", "The provided token has expired.");
    else
        say(w, 400, "InvalidToken", "The provided token is malformed or otherwise invalid.");
    put_extra(w, "Token-0", c->auth->token);
}

static void say_s3(const struct auth_case *c, struct words *w)
{
    switch (c->reason) {
    case KPW_SIGV4_MISSING: say(w, 403, "AccessDenied", "Access Denied"); break;
    case KPW_SIGV4_WRONG_KEY:
        say(w, 403, "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.");
        put_extra(w, "AWSAccessKeyId", c->auth->key_id);
        break;
    case KPW_SIGV4_WRONG_TOKEN: s3_token(c, w); break;
    case KPW_SIGV4_TOO_EARLY:
    case KPW_SIGV4_EXPIRED: s3_time(c, w); break;
    case KPW_SIGV4_WRONG_SCOPE: s3_scope(c, w); break;
    case KPW_SIGV4_HEADER_UNSIGNED:
        say(w, 403, "AccessDenied",
            "There were headers present in the request which were not signed");
        kpw_xml_put_open(&w->extra, "HeadersNotSigned", NULL);
        if (!host_is_signed(c))
            kpw_buf_puts(&w->extra, "host");
        else
            put_unsigned(c, ", ", &w->extra);
        kpw_xml_put_close(&w->extra, "HeadersNotSigned");
        break;
    case KPW_SIGV4_HEADER_MISSING:
        if (c->auth->payload.len || c->auth->is_query)
            s3_mismatch(c, w);
        else
            say(w, 400, "InvalidRequest",
                "Missing required header for this request: x-amz-content-sha256");
        break;
    case KPW_SIGV4_WRONG_BODY: s3_body(c, w); break;
    case KPW_SIGV4_WRONG_SIGNATURE: s3_mismatch(c, w); break;
    case KPW_SIGV4_NO_DATE:
        say(w, 403, "AccessDenied",
            "AWS authentication requires a valid Date or x-amz-date header");
        break;
    case KPW_SIGV4_BAD_EXPIRES:
        say(w, 400, "AuthorizationQueryParametersError",
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires "
            "must be less than 604800 seconds");
        break;
    default: s3_malformed(c, w); break;
    }
}

void auth_refuse(const struct auth_case *c, kp_exchange *x)
{
    struct words w = {.status = 400, .text = KPW_BUF_INIT, .extra = KPW_BUF_INIT};

    if (c->target->form == LOCAL_FORM_S3)
        say_s3(c, &w);
    else
        say_service(c, &w);
    kp->log(c->local->node, KP_LOG_INFO, "local.refused", "service=%s error=%s reason=\"%s\"",
            local_rows[c->target->service]->name, w.code, kpw_sigv4_reason_text(c->reason));
    local_refuse(c->local, x, c->target,
                 &(struct local_refusal){.status = w.status,
                                         .code = w.code,
                                         .query_code = w.query_code,
                                         .prefix = "com.amazon.coral.service#",
                                         .message = kpw_buf_cstr(&w.text),
                                         .extra = w.extra.len ? kpw_buf_cstr(&w.extra) : NULL});
    kpw_buf_fini(&w.text);
    kpw_buf_fini(&w.extra);
}
