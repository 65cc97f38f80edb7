/* sigv4_verify.c - reading what a request says about its signature, and proving it.
 *
 * Parsing trusts nothing: every part exactly once, nothing unknown. Proving makes the canonical
 * request from the bytes of the request, so a part that was changed on the way, or that the two
 * sides read differently, gives another signature.
 */
#include "sdk/wire/sigv4.h"

#include "sdk/wire/sigv4_form.h"
#include "sdk/wire/uri.h"

/* ---- parsing */

/* The value of the only header of that name. False: it is there more than once. */
static bool only_header(const struct kpw_sigv4_request *request, const char *name,
                        struct kpw_slice *ret)
{
    bool found = false;

    *ret = (struct kpw_slice){NULL, 0};
    for (size_t i = 0; i < request->n_headers; i++) {
        if (!kpw_slice_is_nocase(request->headers[i].name, name))
            continue;
        if (found)
            return false;
        found = true;
        *ret = kpw_slice_trim(request->headers[i].value);
    }
    return true;
}

/* Takes what stands before `c` off the text; all of it when there is none. */
static struct kpw_slice cut(struct kpw_slice *text, char c)
{
    const char *at = text->len ? memchr(text->ptr, c, text->len) : NULL;
    struct kpw_slice part = *text;

    if (!at) {
        text->len = 0;
        return part;
    }
    part.len = (size_t)(at - text->ptr);
    text->ptr += part.len + 1;
    text->len -= part.len + 1;
    return part;
}

/* "KEY/20150830/us-east-1/service/aws4_request"; the key id may have slashes, the rest not. */
static bool split_credential(struct kpw_slice credential, struct kpw_sigv4_auth *ret)
{
    struct kpw_slice *const parts[3] = {&ret->service, &ret->region, &ret->day};
    size_t ends[5] = {credential.len}, at = credential.len;

    for (size_t i = 0; i < credential.len; i++)
        if ((uint8_t)credential.ptr[i] <= ' ' || credential.ptr[i] == 0x7f)
            return false;
    for (int i = 1; i < 5; i++) {
        while (at && credential.ptr[at - 1] != '/')
            at--;
        if (!at)
            return false;
        ends[i] = --at;
    }
    for (int i = 0; i < 3; i++) {
        *parts[i] = kpw_slice(credential.ptr + ends[i + 2] + 1, ends[i + 1] - ends[i + 2] - 1);
        if (!parts[i]->len)
            return false;
    }
    ret->key_id = kpw_slice(credential.ptr, ends[4]);
    ret->scope = kpw_slice(credential.ptr + ends[4] + 1, credential.len - ends[4] - 1);
    return ret->key_id.len > 0;
}

static enum kpw_sigv4_reason parse_authorization(struct kpw_slice text, struct kpw_sigv4_auth *ret)
{
    struct kpw_slice credential = {NULL, 0};
    struct kpw_slice *const parts[3] = {&credential, &ret->signed_headers, &ret->signature};
    static const char *const names[3] = {"Credential", "SignedHeaders", "Signature"};

    if (!kpw_slice_is(cut(&text, ' '), SIGV4_ALGORITHM))
        return KPW_SIGV4_ALGORITHM;
    while (text.len) {
        struct kpw_slice value = kpw_slice_trim(cut(&text, ',')), name = cut(&value, '=');
        int i = 0;

        while (i < 3 && !kpw_slice_is(name, names[i]))
            i++;
        if (i == 3 || !value.len || parts[i]->len)
            return KPW_SIGV4_MALFORMED;
        *parts[i] = value;
    }
    if (!ret->signed_headers.len || !ret->signature.len || !split_credential(credential, ret))
        return KPW_SIGV4_MALFORMED;
    return KPW_SIGV4_OK;
}

static enum kpw_sigv4_reason parse_header_form(const struct kpw_sigv4_request *request,
                                               struct kpw_slice authorization,
                                               struct kpw_sigv4_auth *ret)
{
    enum kpw_sigv4_reason reason = parse_authorization(authorization, ret);
    struct kpw_slice amz_date, date;

    if (reason)
        return reason;
    if (!only_header(request, "x-amz-security-token", &ret->token) ||
        !only_header(request, "x-amz-content-sha256", &ret->payload))
        return KPW_SIGV4_MALFORMED;
    if (!only_header(request, "x-amz-date", &amz_date) || !only_header(request, "date", &date))
        return KPW_SIGV4_NO_DATE;
    if (amz_date.len)
        return kpw_amz_date_parse(amz_date, &ret->date_s) ? KPW_SIGV4_OK : KPW_SIGV4_NO_DATE;
    return kpw_amz_date_parse(date, &ret->date_s) || kpw_http_date_parse(date, &ret->date_s)
               ? KPW_SIGV4_OK
               : KPW_SIGV4_NO_DATE;
}

enum parameter {
    ALGORITHM,
    CREDENTIAL,
    DATE,
    EXPIRES,
    HEADERS,
    SIGNATURE,
    TOKEN,
    PAYLOAD,
    N_NAMES
};
static const char *const parameter_names[N_NAMES] = {
    "X-Amz-Algorithm",     "X-Amz-Credential", "X-Amz-Date",           "X-Amz-Expires",
    "X-Amz-SignedHeaders", "X-Amz-Signature",  "X-Amz-Security-Token", "X-Amz-Content-Sha256",
};

/* Decodes the parameters that belong to the signature into auth->text. */
static enum kpw_sigv4_reason collect_parameters(struct kpw_slice query, struct kpw_buf *text,
                                                struct kpw_slice values[N_NAMES])
{
    struct kpw_query q;

    /* All values fit in, so the text does not move under the slices; the name goes behind them. */
    if (!kpw_buf_reserve(text, query.len))
        return KPW_SIGV4_NO_MEMORY;
    kpw_query_init(&q, query);
    while (kpw_query_next(&q)) {
        size_t at = text->len;
        int i = 0;

        if (!kpw_uri_decode_put(text, q.name, false))
            return text->failed ? KPW_SIGV4_NO_MEMORY : KPW_SIGV4_BAD_REQUEST;
        while (i < N_NAMES &&
               !kpw_slice_is(kpw_slice(text->ptr + at, text->len - at), parameter_names[i]))
            i++;
        text->len = at;
        if (i == N_NAMES)
            continue;
        if (values[i].ptr)
            return KPW_SIGV4_MALFORMED;
        if (!kpw_uri_decode_put(text, q.value, false))
            return text->failed ? KPW_SIGV4_NO_MEMORY : KPW_SIGV4_BAD_REQUEST;
        values[i] = kpw_slice(text->ptr + at, text->len - at);
    }
    return KPW_SIGV4_OK;
}

static bool parse_expires(struct kpw_slice text, uint32_t *ret)
{
    uint32_t n = 0;

    if (!text.len || text.len > 6)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        n = n * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    *ret = n;
    return n >= 1 && n <= KPW_SIGV4_MAX_EXPIRES;
}

static enum kpw_sigv4_reason parse_query_form(const struct kpw_sigv4_request *request,
                                              struct kpw_sigv4_auth *ret)
{
    struct kpw_slice values[N_NAMES] = {{NULL, 0}}, payload;
    enum kpw_sigv4_reason reason = collect_parameters(request->query, &ret->text, values);

    if (reason)
        return reason;
    ret->is_query = true;
    if (!kpw_slice_is(values[ALGORITHM], SIGV4_ALGORITHM))
        return KPW_SIGV4_ALGORITHM;
    ret->signed_headers = values[HEADERS];
    ret->signature = values[SIGNATURE];
    ret->token = values[TOKEN];
    if (!ret->signed_headers.len || !ret->signature.len || !values[EXPIRES].ptr ||
        !split_credential(values[CREDENTIAL], ret) ||
        !only_header(request, "x-amz-content-sha256", &payload))
        return KPW_SIGV4_MALFORMED;
    ret->payload = payload.len ? payload : values[PAYLOAD];
    if (!kpw_amz_date_parse(values[DATE], &ret->date_s))
        return KPW_SIGV4_NO_DATE;
    return parse_expires(values[EXPIRES], &ret->expires_s) ? KPW_SIGV4_OK : KPW_SIGV4_BAD_EXPIRES;
}

enum kpw_sigv4_reason kpw_sigv4_parse(const struct kpw_sigv4_request *request,
                                      struct kpw_sigv4_auth *ret)
{
    struct kpw_slice authorization, ignored;
    bool is_query = kpw_query_find(request->query, "X-Amz-Algorithm", &ignored);

    *ret = (struct kpw_sigv4_auth){0};
    if (!only_header(request, "authorization", &authorization))
        return KPW_SIGV4_MALFORMED;
    if (!authorization.len)
        return is_query ? parse_query_form(request, ret) : KPW_SIGV4_MISSING;
    return is_query ? KPW_SIGV4_MALFORMED : parse_header_form(request, authorization, ret);
}

void kpw_sigv4_auth_fini(struct kpw_sigv4_auth *auth)
{
    kpw_buf_fini(&auth->text);
}

/* ---- proving */

static bool equal_ct(struct kpw_slice a, struct kpw_slice b)
{
    return a.len == b.len && kpw_equal_ct(a.ptr, b.ptr, a.len);
}

static enum kpw_sigv4_reason check_scope(const struct kpw_sigv4_auth *auth,
                                         const struct kpw_sigv4_options *options, const char *date)
{
    const char *terminator = auth->service.ptr + auth->service.len + 1;
    size_t len = (size_t)(auth->scope.ptr + auth->scope.len - terminator);

    if (!kpw_slice_is(kpw_slice(terminator, len), SIGV4_TERMINATOR) ||
        !kpw_slice_eq(auth->day, kpw_slice(date, SIGV4_DAY)) ||
        (options->region.len && !kpw_slice_eq(auth->region, options->region)) ||
        (options->service.len && !kpw_slice_eq(auth->service, options->service)))
        return KPW_SIGV4_WRONG_SCOPE;
    return KPW_SIGV4_OK;
}

static enum kpw_sigv4_reason check_time(const struct kpw_sigv4_auth *auth,
                                        const struct kpw_sigv4_options *options)
{
    int64_t ago_s = options->now_s - auth->date_s;

    if (-ago_s > (int64_t)options->window_s)
        return KPW_SIGV4_TOO_EARLY;
    return ago_s > (int64_t)(auth->is_query ? auth->expires_s : options->window_s)
               ? KPW_SIGV4_EXPIRED
               : KPW_SIGV4_OK;
}

static bool is_listed(struct kpw_slice list, struct kpw_slice name)
{
    while (list.len) {
        struct kpw_slice one = cut(&list, ';');

        if (one.len == name.len && (!one.len || !strncasecmp(one.ptr, name.ptr, one.len)))
            return true;
    }
    return false;
}

static bool must_be_signed(struct kpw_slice name, uint32_t flags)
{
    if (kpw_slice_is_nocase(name, "host"))
        return true;
    if (flags & KPW_SIGV4_LENIENT)
        return false;
    if ((flags & KPW_SIGV4_TOKEN_AFTER) && kpw_slice_is_nocase(name, "x-amz-security-token"))
        return false;
    return name.len >= 6 && !strncasecmp(name.ptr, "x-amz-", 6);
}

/* What the host may be signed as by HTTP/2's clients; requests show it as "host". */
#define AUTHORITY ":authority"

/* Every name of the list must be there. */
static bool all_listed_are_there(const struct kpw_sigv4_request *request, struct kpw_slice list)
{
    while (list.len) {
        struct kpw_slice name = cut(&list, ';');
        size_t i = 0;

        if (kpw_slice_is(name, AUTHORITY))
            name = kpw_slice_cstr("host");
        while (i < request->n_headers &&
               !(request->headers[i].name.len == name.len && name.len &&
                 !strncasecmp(request->headers[i].name.ptr, name.ptr, name.len)))
            i++;
        if (i == request->n_headers)
            return false;
    }
    return true;
}

static size_t count(struct kpw_slice text, char c)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == c;
    return n;
}

/* Adds the header under the names it is signed by. */
static enum kpw_sigv4_reason collect_header(struct kpw_sigv4_cache *cache,
                                            const struct kpw_sigv4_header *header,
                                            const struct kpw_sigv4_auth *auth, uint32_t flags)
{
    const struct kpw_slice names[] = {header->name, kpw_slice_cstr(AUTHORITY)};
    size_t n_names = kpw_slice_is_nocase(header->name, "host") ? 2 : 1;
    bool is_signed = false;

    for (size_t i = 0; i < n_names; i++) {
        if (!is_listed(auth->signed_headers, names[i]))
            continue;
        is_signed = true;
        if (!sigv4_form_add_header(cache, names[i], header->value))
            return cache->pairs.failed ? KPW_SIGV4_NO_MEMORY : KPW_SIGV4_BAD_REQUEST;
    }
    return is_signed || !must_be_signed(header->name, flags) ? KPW_SIGV4_OK
                                                             : KPW_SIGV4_HEADER_UNSIGNED;
}

static enum kpw_sigv4_reason collect_headers(struct kpw_sigv4_cache *cache,
                                             const struct kpw_sigv4_request *request,
                                             const struct kpw_sigv4_auth *auth, uint32_t flags)
{
    enum kpw_sigv4_reason reason = KPW_SIGV4_OK;

    if (!is_listed(auth->signed_headers, kpw_slice_cstr("host")) &&
        !is_listed(auth->signed_headers, kpw_slice_cstr(AUTHORITY)))
        return KPW_SIGV4_HEADER_UNSIGNED;
    /* bounds the work below */
    if (count(auth->signed_headers, ';') >= KPW_SIGV4_MAX_HEADERS)
        return KPW_SIGV4_BAD_REQUEST;
    if (!all_listed_are_there(request, auth->signed_headers))
        return KPW_SIGV4_HEADER_MISSING;
    for (size_t i = 0; !reason && i < request->n_headers; i++)
        reason = collect_header(cache, &request->headers[i], auth, flags);
    if (!reason)
        sigv4_form_sort_headers(cache);
    return reason;
}

/* Hex in either case, as bytes. */
static bool digest_of(struct kpw_slice hex, uint8_t out[KPW_SHA256_SIZE])
{
    return hex.len == KPW_SHA256_HEX && kpw_hex_decode(hex.ptr, hex.len, out);
}

static bool is_mode(struct kpw_slice payload)
{
    return kpw_slice_is(payload, KPW_SIGV4_UNSIGNED) || kpw_slice_starts(payload, "STREAMING-");
}

/* The body of the request is hashed unless its hash is known. */
static bool real_digest(const struct kpw_sigv4_request *request, uint8_t out[KPW_SHA256_SIZE])
{
    if (request->payload.len)
        return digest_of(request->payload, out);
    kpw_sha256(request->body.ptr, request->body.len, out);
    return true;
}

/* A payload that the request states: a literal, or the hash that the body must have. */
static enum kpw_sigv4_reason check_stated_body(const struct kpw_sigv4_request *request,
                                               const struct kpw_sigv4_auth *auth, uint32_t flags)
{
    uint8_t claimed[KPW_SHA256_SIZE], real[KPW_SHA256_SIZE];

    if (is_mode(auth->payload))
        return flags & KPW_SIGV4_ALLOW_UNSIGNED ? KPW_SIGV4_OK : KPW_SIGV4_WRONG_BODY;
    if (!digest_of(auth->payload, claimed))
        return KPW_SIGV4_WRONG_BODY;
    if (flags & KPW_SIGV4_BODY_LATER)
        return KPW_SIGV4_OK;
    return real_digest(request, real) && kpw_equal_ct(claimed, real, sizeof real)
               ? KPW_SIGV4_OK
               : KPW_SIGV4_WRONG_BODY;
}

/* Finds the payload line; the body is compared with it. `hex` is memory for it. */
static enum kpw_sigv4_reason check_body(const struct kpw_sigv4_request *request,
                                        const struct kpw_sigv4_auth *auth, uint32_t flags,
                                        char hex[KPW_SIGV4_HEX], struct kpw_slice *ret_line)
{
    uint8_t real[KPW_SHA256_SIZE];

    *ret_line = auth->payload;
    if (auth->payload.len)
        return check_stated_body(request, auth, flags);
    if (flags & KPW_SIGV4_CONTENT_SHA256) {
        if (!auth->is_query)
            return KPW_SIGV4_HEADER_MISSING;
        if (flags & KPW_SIGV4_ALLOW_UNSIGNED) { /* how S3 presigns */
            *ret_line = kpw_slice_cstr(KPW_SIGV4_UNSIGNED);
            return KPW_SIGV4_OK;
        }
    }
    if (!real_digest(request, real))
        return KPW_SIGV4_WRONG_BODY;
    hex[kpw_hex(real, sizeof real, hex)] = '\0';
    *ret_line = kpw_slice(hex, KPW_SHA256_HEX);
    return KPW_SIGV4_OK;
}

static enum kpw_sigv4_reason check_signature(struct kpw_sigv4_cache *cache,
                                             const struct sigv4_scope *scope,
                                             struct kpw_slice claimed)
{
    char signature[KPW_SIGV4_HEX];
    enum kpw_sigv4_reason reason = sigv4_form_sign(cache, scope, signature);

    if (reason)
        return reason;
    return equal_ct(claimed, kpw_slice(signature, KPW_SIGV4_HEX - 1)) ? KPW_SIGV4_OK
                                                                      : KPW_SIGV4_WRONG_SIGNATURE;
}

enum kpw_sigv4_reason kpw_sigv4_verify(struct kpw_sigv4_cache *cache,
                                       const struct kpw_sigv4_request *request,
                                       const struct kpw_sigv4_auth *auth,
                                       const struct kpw_sigv4_credentials *credentials,
                                       const struct kpw_sigv4_options *options)
{
    char date[KPW_AMZ_DATE_SIZE], hex[KPW_SIGV4_HEX];
    struct sigv4_parts parts = {
        .method = request->method,
        .path = request->path,
        .query = request->query,
        .flags = options->flags,
        .skip_token = auth->is_query && (options->flags & KPW_SIGV4_TOKEN_AFTER),
    };
    struct sigv4_scope scope = {credentials->secret, auth->day, auth->region, auth->service, date};
    enum kpw_sigv4_reason reason;

    sigv4_form_begin(cache);
    kpw_amz_date_format(auth->date_s, date);
    if ((reason = check_scope(auth, options, date)))
        return reason;
    if (!kpw_slice_eq(auth->key_id, credentials->key_id))
        return KPW_SIGV4_WRONG_KEY;
    if (!equal_ct(auth->token, credentials->token))
        return KPW_SIGV4_WRONG_TOKEN;
    if ((reason = check_time(auth, options)) ||
        (reason = collect_headers(cache, request, auth, options->flags)) ||
        (reason = check_body(request, auth, options->flags, hex, &parts.payload)) ||
        (reason = sigv4_form_write(cache, &parts)))
        return reason;
    return check_signature(cache, &scope, auth->signature);
}
