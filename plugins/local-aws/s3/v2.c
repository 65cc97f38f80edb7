/* v2.c - signatures of version 2: HMAC-SHA1 over a few lines about the request. */
#include "plugins/local-aws/s3/v2.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/auth.h"
#include "plugins/local-aws/s3/form.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/time.h"
#include "sdk/wire/uri.h"

enum { PAIRS_MAX = S3_PARAMETERS_MAX + 64, SIGNATURE_SIZE = 20 };

/* What is signed. All [borrowed] from the request and the call. */
struct v2 {
    struct s3_call *call;
    struct kpw_slice key_id, signature;
    struct kpw_slice expires;
    bool adds_slash; /* "/bucket" counts as "/bucket/", as some clients sign it */
};

struct pair {
    struct kpw_slice name, value;
};

static bool has_authorization(const kp_server_request *request)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        kp_slice name = request->headers[i].name;

        if (kpw_slice_is_nocase(kpw_slice(name.ptr, name.len), "authorization"))
            return true;
    }
    return false;
}

bool s3_proves_itself(const kp_server_request *request)
{
    struct kpw_slice query = kpw_slice(request->query.ptr, request->query.len), ignored;

    if (has_authorization(request) || kpw_query_find(query, "X-Amz-Algorithm", &ignored))
        return false;
    return s3_is_form(request) || kpw_query_find(query, "AWSAccessKeyId", &ignored);
}

/* ---- what the request says ---- */

static struct kpw_slice parameter(const struct s3_call *call, const char *name)
{
    const struct s3_parameter *p = s3_parameter(call, name);

    return p ? kpw_slice(p->value, p->len) : kpw_slice(NULL, 0);
}

static bool read_proof(struct v2 *v)
{
    v->key_id = parameter(v->call, "AWSAccessKeyId");
    v->signature = parameter(v->call, "Signature");
    v->expires = parameter(v->call, "Expires");
    return v->key_id.len > 0 && v->signature.len > 0 && v->expires.len > 0;
}

static bool number_of(struct kpw_slice text, int64_t *ret)
{
    char digits[16];

    if (text.len == 0 || text.len >= sizeof(digits))
        return false;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    *ret = strtoll(digits, NULL, 10);
    return strspn(digits, "0123456789") == text.len;
}

bool s3_check_expiry(struct s3_call *call)
{
    struct kpw_slice seconds = parameter(call, "X-Amz-Expires");
    char text[16] = "", end[KPW_ISO8601_SIZE], now[KPW_ISO8601_SIZE];
    int64_t end_s = INT64_MAX, from_s, lasts_s;

    if (kpw_amz_date_parse(parameter(call, "X-Amz-Date"), &from_s) && number_of(seconds, &lasts_s))
        end_s = from_s + lasts_s;
    else if (parameter(call, "AWSAccessKeyId").len == 0 ||
             !number_of(parameter(call, "Expires"), &end_s))
        return true;
    if (end_s >= call->now_ms / 1000)
        return true;
    snprintf(text, sizeof(text), "%.*s", (int)seconds.len, seconds.len ? seconds.ptr : "");
    kpw_iso8601_format_s(end_s, end);
    kpw_iso8601_format_s(call->now_ms / 1000, now);
    if (text[0])
        s3_refuse(call, "AccessDenied", "Request has expired", "X-Amz-Expires", text, "Expires",
                  end, "ServerTime", now, NULL);
    else
        s3_refuse(call, "AccessDenied", "Request has expired", "Expires", end, "ServerTime", now,
                  NULL);
    return false;
}

static bool check_time(const struct v2 *v)
{
    int64_t ignored;

    if (number_of(v->expires, &ignored))
        return s3_check_expiry(v->call);
    s3_refuse(v->call, "AccessDenied", "Invalid date (should be seconds since epoch)", NULL);
    return false;
}

/* ---- what is signed ---- */

static int compare_names(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
    int order = n ? strncasecmp(x->name.ptr, y->name.ptr, n) : 0;

    if (order == 0)
        order = (x->name.len > y->name.len) - (x->name.len < y->name.len);
    return order != 0 ? order : (x > y) - (x < y);
}

static bool is_amz(struct kpw_slice name)
{
    return name.len > 6 && strncasecmp(name.ptr, "x-amz-", 6) == 0;
}

/* "x-amz-meta-a:1" LF each, in order of names; a presigned URL may carry them as parameters. */
static void put_amz_headers(const struct v2 *v, struct kpw_buf *out)
{
    const struct s3_call *call = v->call;
    struct pair pairs[PAIRS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < call->request->n_headers && n < PAIRS_MAX; i++) {
        const kp_http_header *h = &call->request->headers[i];

        pairs[n].name = kpw_slice(h->name.ptr, h->name.len);
        pairs[n].value = kpw_slice_trim(kpw_slice(h->value.ptr, h->value.len));
        n += is_amz(pairs[n].name);
    }
    for (size_t i = 0; i < call->n_parameters && n < PAIRS_MAX; i++) {
        const struct s3_parameter *p = &call->parameters[i];

        pairs[n] = (struct pair){kpw_slice_cstr(p->name), kpw_slice(p->value, p->len)};
        n += is_amz(pairs[n].name);
    }
    qsort(pairs, n, sizeof(pairs[0]), compare_names);
    for (size_t i = 0; i < n; i++) {
        bool again = i > 0 && pairs[i].name.len == pairs[i - 1].name.len &&
                     strncasecmp(pairs[i].name.ptr, pairs[i - 1].name.ptr, pairs[i].name.len) == 0;

        for (size_t k = 0; !again && k < pairs[i].name.len; k++)
            kpw_buf_putc(out, (char)(pairs[i].name.ptr[k] >= 'A' && pairs[i].name.ptr[k] <= 'Z'
                                         ? pairs[i].name.ptr[k] | 0x20
                                         : pairs[i].name.ptr[k]));
        if (again)
            out->len--; /* the line goes on */
        kpw_buf_putc(out, again ? ',' : ':');
        kpw_buf_put_slice(out, pairs[i].value);
        kpw_buf_putc(out, '\n');
    }
}

static bool is_sub_resource(const char *name)
{
    static const char *const names[] = {"accelerate",
                                        "acl",
                                        "analytics",
                                        "cors",
                                        "defaultObjectAcl",
                                        "delete",
                                        "inventory",
                                        "lifecycle",
                                        "location",
                                        "logging",
                                        "metrics",
                                        "notification",
                                        "object-lock",
                                        "partNumber",
                                        "policy",
                                        "replication",
                                        "requestPayment",
                                        "response-cache-control",
                                        "response-content-disposition",
                                        "response-content-encoding",
                                        "response-content-language",
                                        "response-content-type",
                                        "response-expires",
                                        "restore",
                                        "select",
                                        "select-type",
                                        "storageClass",
                                        "tagging",
                                        "torrent",
                                        "uploadId",
                                        "uploads",
                                        "versionId",
                                        "versioning",
                                        "versions",
                                        "website"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* "/bucket/key?acl&versionId=1": the path as sent, and parameters that say what is asked for. */
static void put_resource(const struct v2 *v, struct kpw_buf *out)
{
    const struct s3_call *call = v->call;
    struct pair pairs[S3_PARAMETERS_MAX];
    struct kpw_slice query = kpw_slice(call->request->query.ptr, call->request->query.len);
    size_t n = 0;

    if (call->is_virtual)
        kpw_buf_appendf(out, "/%s", call->bucket);
    kpw_buf_append(out, call->request->path.ptr, call->request->path.len);
    if (v->adds_slash)
        kpw_buf_putc(out, '/');
    for (size_t i = 0; i < call->n_parameters; i++) {
        const struct s3_parameter *p = &call->parameters[i];

        if (is_sub_resource(p->name))
            pairs[n++] = (struct pair){kpw_slice_cstr(p->name), kpw_slice(p->value, p->len)};
    }
    qsort(pairs, n, sizeof(pairs[0]), compare_names);
    for (size_t i = 0; i < n; i++) {
        struct kpw_query q;
        bool has_value = false;

        kpw_query_init(&q, query);
        while (kpw_query_next(&q))
            has_value = has_value || (q.has_value && kpw_slice_eq(q.name, pairs[i].name));
        kpw_buf_putc(out, i ? '&' : '?');
        kpw_buf_put_slice(out, pairs[i].name);
        if (has_value) {
            kpw_buf_putc(out, '=');
            kpw_buf_put_slice(out, pairs[i].value);
        }
    }
}

static void put_line(struct kpw_buf *out, struct kpw_slice text)
{
    kpw_buf_put_slice(out, text);
    kpw_buf_putc(out, '\n');
}

static void put_string_to_sign(const struct v2 *v, struct kpw_buf *out)
{
    put_line(out, kpw_slice(v->call->request->method.ptr, v->call->request->method.len));
    put_line(out, s3_header_or_parameter(v->call, "content-md5"));
    put_line(out, s3_header_or_parameter(v->call, "content-type"));
    put_line(out, v->expires);
    put_amz_headers(v, out);
    put_resource(v, out);
}

/* ---- the proof ---- */

bool s3_v2_is_right(struct kpw_slice secret, struct kpw_slice text, struct kpw_slice given)
{
    uint8_t ours[EVP_MAX_MD_SIZE], theirs[S3_SUM_RAW_MAX];

    return s3_unbase64(given.ptr, given.len, theirs, SIGNATURE_SIZE) &&
           HMAC(EVP_sha1(), secret.ptr, (int)secret.len, (const unsigned char *)text.ptr, text.len,
                ours, NULL) &&
           kpw_equal_ct(ours, theirs, SIGNATURE_SIZE);
}

static void refuse_signature(const struct v2 *v, struct kpw_buf *text)
{
    struct kpw_buf key = KPW_BUF_INIT, signature = KPW_BUF_INIT;

    kpw_buf_put_slice(&key, v->key_id);
    kpw_buf_put_slice(&signature, v->signature);
    s3_refuse(v->call, "SignatureDoesNotMatch",
              "The request signature we calculated does not match the signature you provided. "
              "Check your key and signing method.",
              "AWSAccessKeyId", kpw_buf_cstr(&key) ? key.ptr : "", "StringToSign",
              kpw_buf_cstr(text) ? text->ptr : "", "SignatureProvided",
              kpw_buf_cstr(&signature) ? signature.ptr : "", NULL);
    kpw_buf_fini(&key);
    kpw_buf_fini(&signature);
}

static bool check_key(const struct v2 *v, struct kpw_sigv4_credentials *ret)
{
    struct kpw_slice token = s3_header_or_parameter(v->call, "x-amz-security-token");

    if (!auth_secret(v->call->local, (kp_slice){v->key_id.ptr, v->key_id.len}, ret))
        s3_refuse(v->call, "InvalidAccessKeyId",
                  "The AWS Access Key Id you provided does not exist in our records.", NULL);
    else if (token.len != ret->token.len || !kpw_equal_ct(token.ptr, ret->token.ptr, token.len))
        s3_refuse(v->call, "InvalidToken", "The provided token is malformed or otherwise invalid.",
                  NULL);
    else
        return true;
    return false;
}

static bool is_signed(const struct v2 *v, struct kpw_slice secret, struct kpw_buf *text)
{
    kpw_buf_clear(text);
    put_string_to_sign(v, text);
    return !text->failed && s3_v2_is_right(secret, kpw_buf_slice(text), v->signature);
}

bool s3_check_v2(struct s3_call *call)
{
    struct v2 v = {.call = call};
    struct kpw_sigv4_credentials credentials;
    struct kpw_buf text = KPW_BUF_INIT;
    bool ok;

    if (!read_proof(&v)) {
        s3_refuse(call, "AccessDenied",
                  "Query-string authentication requires the Signature, Expires and AWSAccessKeyId "
                  "parameters",
                  NULL);
        return false;
    }
    if (!check_key(&v, &credentials) || !check_time(&v))
        return false;
    v.adds_slash = call->key_len == 0 && call->bucket[0] && !call->is_virtual &&
                   call->request->path.ptr[call->request->path.len - 1] != '/';
    ok = v.adds_slash && is_signed(&v, credentials.secret, &text);
    v.adds_slash = false;
    ok = ok || is_signed(&v, credentials.secret, &text);
    if (!ok)
        refuse_signature(&v, &text);
    kpw_buf_fini(&text);
    return ok;
}
