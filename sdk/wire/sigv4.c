/* sigv4.c - signing: the header form, the query form, and the chunks of a body.
 *
 * The canonical form is in sigv4_form.c, verifying in sigv4_verify.c.
 */
#include "sdk/wire/sigv4.h"

#include "sdk/wire/sigv4_form.h"
#include "sdk/wire/uri.h"

static const char *const reason_texts[] = {
    [KPW_SIGV4_OK] = "The signature is right.",
    [KPW_SIGV4_NO_MEMORY] = "Out of memory.",
    [KPW_SIGV4_BAD_REQUEST] = "No host, too many headers, or a broken path or query.",
    [KPW_SIGV4_MISSING] = "The request is not signed.",
    [KPW_SIGV4_MALFORMED] = "A part of the authorization is missing, twice or unknown.",
    [KPW_SIGV4_ALGORITHM] = "The algorithm is not AWS4-HMAC-SHA256.",
    [KPW_SIGV4_NO_DATE] = "The request has no valid date.",
    [KPW_SIGV4_WRONG_SCOPE] = "The credential has another day, region or service.",
    [KPW_SIGV4_WRONG_KEY] = "The access key id is unknown.",
    [KPW_SIGV4_WRONG_TOKEN] = "The session token is missing or another one.",
    [KPW_SIGV4_TOO_EARLY] = "The signature is not yet current.",
    [KPW_SIGV4_EXPIRED] = "The signature has expired.",
    [KPW_SIGV4_BAD_EXPIRES] = "X-Amz-Expires is not a number from 1 to 604800.",
    [KPW_SIGV4_HEADER_MISSING] = "A signed header is not in the request.",
    [KPW_SIGV4_HEADER_UNSIGNED] = "Host or an x-amz-* header is not signed.",
    [KPW_SIGV4_WRONG_BODY] = "The body has another SHA-256 than x-amz-content-sha256.",
    [KPW_SIGV4_WRONG_SIGNATURE] = "The signature does not match.",
};

const char *kpw_sigv4_reason_text(enum kpw_sigv4_reason reason)
{
    return (unsigned)reason < sizeof reason_texts / sizeof *reason_texts ? reason_texts[reason]
                                                                         : "Unknown reason.";
}

void kpw_sigv4_cache_fini(struct kpw_sigv4_cache *cache)
{
    kpw_wipe(cache->key_name.ptr, cache->key_name.cap);
    kpw_wipe(&cache->key, sizeof cache->key);
    kpw_buf_fini(&cache->canonical);
    kpw_buf_fini(&cache->to_sign);
    kpw_buf_fini(&cache->key_name);
    kpw_buf_fini(&cache->text);
    kpw_buf_fini(&cache->pairs);
    kpw_buf_fini(&cache->output);
}

/* ---- signing */

/* What proxies change, so it must not be signed. */
static bool is_changing(struct kpw_slice name)
{
    static const char *const names[] = {"user-agent",        "x-amzn-trace-id", "expect",
                                        "transfer-encoding", "connection",      "authorization"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (kpw_slice_is_nocase(name, names[i]))
            return true;
    return false;
}

static bool is_added(struct kpw_slice name)
{
    return kpw_slice_is_nocase(name, "x-amz-date") ||
           kpw_slice_is_nocase(name, "x-amz-security-token") ||
           kpw_slice_is_nocase(name, "x-amz-content-sha256");
}

static enum kpw_sigv4_reason add_headers(struct kpw_sigv4_cache *cache,
                                         const struct kpw_sigv4_request *request, bool is_query)
{
    bool has_host = false;

    for (size_t i = 0; i < request->n_headers; i++) {
        const struct kpw_sigv4_header *header = &request->headers[i];

        if (is_changing(header->name))
            continue;
        if (!header->name.len || (!is_query && is_added(header->name)) ||
            !sigv4_form_add_header(cache, header->name, header->value))
            return cache->pairs.failed ? KPW_SIGV4_NO_MEMORY : KPW_SIGV4_BAD_REQUEST;
        has_host = has_host || kpw_slice_is_nocase(header->name, "host");
    }
    return has_host ? KPW_SIGV4_OK : KPW_SIGV4_BAD_REQUEST;
}

/* The payload line of the canonical request. False: it is longer than any there is. */
static bool payload_line(const struct kpw_sigv4_request *request, uint32_t flags,
                         char out[KPW_SIGV4_HEX])
{
    struct kpw_slice payload = request->payload;

    if (!payload.len && (flags & KPW_SIGV4_UNSIGNED_BODY))
        payload = kpw_slice_cstr(KPW_SIGV4_UNSIGNED);
    if (!payload.len) {
        kpw_sha256_hex(request->body.ptr, request->body.len, out);
        return true;
    }
    if (payload.len >= KPW_SIGV4_HEX)
        return false;
    memcpy(out, payload.ptr, payload.len);
    out[payload.len] = '\0';
    return true;
}

/* The three headers that signing adds. */
static bool add_own_headers(struct kpw_sigv4_cache *cache,
                            const struct kpw_sigv4_credentials *credentials, uint32_t flags,
                            const struct kpw_sigv4_signed *ret)
{
    bool ok = sigv4_form_add_header(cache, kpw_slice_cstr("x-amz-date"), kpw_slice_cstr(ret->date));

    if (ok && credentials->token.len && !(flags & KPW_SIGV4_TOKEN_AFTER))
        ok = sigv4_form_add_header(cache, kpw_slice_cstr("x-amz-security-token"),
                                   credentials->token);
    if (ok && (flags & KPW_SIGV4_CONTENT_SHA256))
        ok = sigv4_form_add_header(cache, kpw_slice_cstr("x-amz-content-sha256"),
                                   kpw_slice_cstr(ret->payload));
    return ok;
}

static void put_credential(struct kpw_buf *out, struct kpw_slice key_id,
                           const struct sigv4_scope *scope)
{
    kpw_buf_put_slice(out, key_id);
    kpw_buf_putc(out, '/');
    sigv4_put_scope(scope, out);
}

static struct sigv4_parts parts_of(const struct kpw_sigv4_request *request, uint32_t flags,
                                   const char *payload)
{
    return (struct sigv4_parts){
        .method = request->method,
        .path = request->path,
        .query = request->query,
        .payload = kpw_slice_cstr(payload),
        .flags = flags,
    };
}

static struct sigv4_scope scope_of(const struct kpw_sigv4_credentials *credentials,
                                   const struct kpw_sigv4_options *options, const char *date)
{
    return (struct sigv4_scope){
        .secret = credentials->secret,
        .day = kpw_slice(date, SIGV4_DAY),
        .region = options->region,
        .service = options->service,
        .date = date,
    };
}

static bool has_names(const struct kpw_sigv4_request *request,
                      const struct kpw_sigv4_credentials *credentials,
                      const struct kpw_sigv4_options *options)
{
    return request->method.len && credentials->key_id.len && options->region.len &&
           options->service.len;
}

enum kpw_sigv4_reason kpw_sigv4_sign(struct kpw_sigv4_cache *cache,
                                     const struct kpw_sigv4_request *request,
                                     const struct kpw_sigv4_credentials *credentials,
                                     const struct kpw_sigv4_options *options,
                                     struct kpw_sigv4_signed *ret)
{
    struct kpw_buf *out = &cache->output;
    struct sigv4_parts parts;
    struct sigv4_scope scope;
    enum kpw_sigv4_reason reason;

    sigv4_form_begin(cache);
    kpw_amz_date_format(options->now_s, ret->date);
    if (!has_names(request, credentials, options) ||
        !payload_line(request, options->flags, ret->payload))
        return KPW_SIGV4_BAD_REQUEST;
    if ((reason = add_headers(cache, request, false)))
        return reason;
    if (!add_own_headers(cache, credentials, options->flags, ret))
        return cache->pairs.failed ? KPW_SIGV4_NO_MEMORY : KPW_SIGV4_BAD_REQUEST;
    sigv4_form_sort_headers(cache);
    parts = parts_of(request, options->flags, ret->payload);
    scope = scope_of(credentials, options, ret->date);
    if ((reason = sigv4_form_write(cache, &parts)) ||
        (reason = sigv4_form_sign(cache, &scope, ret->signature)))
        return reason;
    kpw_buf_puts(out, SIGV4_ALGORITHM " Credential=");
    put_credential(out, credentials->key_id, &scope);
    kpw_buf_puts(out, ", SignedHeaders=");
    sigv4_form_put_names(cache, out);
    kpw_buf_puts(out, ", Signature=");
    kpw_buf_puts(out, ret->signature);
    ret->authorization = kpw_buf_slice(out);
    return out->failed ? KPW_SIGV4_NO_MEMORY : KPW_SIGV4_OK;
}

/* ---- the query form */

static void put_encoded(struct kpw_sigv4_cache *cache, struct kpw_slice text)
{
    kpw_uri_put(&cache->output, text.ptr, text.len, false);
}

/* The query up to where the signature comes. */
static void put_presigned_query(struct kpw_sigv4_cache *cache,
                                const struct kpw_sigv4_request *request,
                                const struct kpw_sigv4_credentials *credentials,
                                const struct kpw_sigv4_options *options,
                                const struct sigv4_scope *scope)
{
    struct kpw_buf *out = &cache->output, *text = &cache->text;

    kpw_buf_put_slice(out, request->query);
    if (request->query.len)
        kpw_buf_putc(out, '&');
    kpw_buf_puts(out, "X-Amz-Algorithm=" SIGV4_ALGORITHM "&X-Amz-Credential=");
    put_credential(text, credentials->key_id, scope);
    put_encoded(cache, kpw_buf_slice(text));
    kpw_buf_puts(out, "&X-Amz-Date=");
    kpw_buf_puts(out, scope->date);
    kpw_buf_puts(out, "&X-Amz-SignedHeaders=");
    kpw_buf_clear(text);
    sigv4_form_put_names(cache, text);
    put_encoded(cache, kpw_buf_slice(text));
    kpw_buf_appendf(out, "&X-Amz-Expires=%u", options->expires_s);
    if (credentials->token.len) {
        kpw_buf_puts(out, "&X-Amz-Security-Token=");
        put_encoded(cache, credentials->token);
    }
}

enum kpw_sigv4_reason kpw_sigv4_presign(struct kpw_sigv4_cache *cache,
                                        const struct kpw_sigv4_request *request,
                                        const struct kpw_sigv4_credentials *credentials,
                                        const struct kpw_sigv4_options *options,
                                        struct kpw_slice *ret_query)
{
    char date[KPW_AMZ_DATE_SIZE], payload[KPW_SIGV4_HEX], signature[KPW_SIGV4_HEX];
    struct sigv4_parts parts;
    struct sigv4_scope scope;
    enum kpw_sigv4_reason reason;

    sigv4_form_begin(cache);
    kpw_amz_date_format(options->now_s, date);
    if (!options->expires_s || options->expires_s > KPW_SIGV4_MAX_EXPIRES)
        return KPW_SIGV4_BAD_EXPIRES;
    if (!has_names(request, credentials, options) ||
        !payload_line(request, options->flags, payload))
        return KPW_SIGV4_BAD_REQUEST;
    if ((reason = add_headers(cache, request, true)))
        return reason;
    sigv4_form_sort_headers(cache);
    scope = scope_of(credentials, options, date);
    put_presigned_query(cache, request, credentials, options, &scope);
    if (cache->output.failed)
        return KPW_SIGV4_NO_MEMORY;
    parts = parts_of(request, options->flags, payload);
    parts.query = kpw_buf_slice(&cache->output);
    parts.skip_token = options->flags & KPW_SIGV4_TOKEN_AFTER;
    if ((reason = sigv4_form_write(cache, &parts)) ||
        (reason = sigv4_form_sign(cache, &scope, signature)))
        return reason;
    kpw_buf_puts(&cache->output, "&X-Amz-Signature=");
    kpw_buf_puts(&cache->output, signature);
    *ret_query = kpw_buf_slice(&cache->output);
    return cache->output.failed ? KPW_SIGV4_NO_MEMORY : KPW_SIGV4_OK;
}

/* ---- chunks */

/* Takes a line off. */
static struct kpw_slice line_of(struct kpw_slice *text)
{
    const char *end = text->len ? memchr(text->ptr, '\n', text->len) : NULL;
    struct kpw_slice line = *text;

    if (!end) {
        text->len = 0;
        return line;
    }
    line.len = (size_t)(end - text->ptr);
    text->ptr += line.len + 1;
    text->len -= line.len + 1;
    return line;
}

bool kpw_sigv4_chunks_init(struct kpw_sigv4_chunks *chunks, const struct kpw_sigv4_cache *cache,
                           struct kpw_slice signature)
{
    struct kpw_slice text = kpw_buf_slice(&cache->to_sign), date, scope;

    (void)line_of(&text);
    date = line_of(&text);
    scope = line_of(&text);
    if (!cache->key_name.len || date.len != KPW_AMZ_DATE_SIZE - 1 || !scope.len ||
        scope.len >= sizeof chunks->scope || signature.len != KPW_SIGV4_HEX - 1)
        return false;
    memset(chunks, 0, sizeof *chunks);
    chunks->key = cache->key;
    memcpy(chunks->date, date.ptr, date.len);
    memcpy(chunks->scope, scope.ptr, scope.len);
    memcpy(chunks->previous, signature.ptr, signature.len);
    return true;
}

static size_t put_line(char *at, const char *line)
{
    size_t len = strlen(line);

    memcpy(at, line, len);
    at[len] = '\n';
    return len + 1;
}

/* Signs algorithm, date, scope, the previous signature, `extra` unless NULL, and a hash. */
static void sign_next(struct kpw_sigv4_chunks *chunks, const char *algorithm, const char *extra,
                      const uint8_t sha256[KPW_SHA256_SIZE], char out[KPW_SIGV4_HEX])
{
    char text[512]; /* 28 + 17 + 160 + 65 + 65 + 64 at most */
    uint8_t digest[KPW_SHA256_SIZE];
    size_t len = put_line(text, algorithm);

    len += put_line(text + len, chunks->date);
    len += put_line(text + len, chunks->scope);
    len += put_line(text + len, chunks->previous);
    if (extra)
        len += put_line(text + len, extra);
    len += kpw_hex(sha256, KPW_SHA256_SIZE, text + len);
    kpw_hmac_sign(&chunks->key, text, len, digest);
    out[kpw_hex(digest, sizeof digest, out)] = '\0';
    memcpy(chunks->previous, out, KPW_SIGV4_HEX);
}

void kpw_sigv4_chunk_sign_hash(struct kpw_sigv4_chunks *chunks,
                               const uint8_t sha256[KPW_SHA256_SIZE], char out[KPW_SIGV4_HEX])
{
    sign_next(chunks, SIGV4_ALGORITHM "-PAYLOAD", KPW_SHA256_EMPTY, sha256, out);
}

void kpw_sigv4_chunk_sign(struct kpw_sigv4_chunks *chunks, const void *ptr, size_t len,
                          char out[KPW_SIGV4_HEX])
{
    uint8_t digest[KPW_SHA256_SIZE];

    kpw_sha256(ptr, len, digest);
    kpw_sigv4_chunk_sign_hash(chunks, digest, out);
}

void kpw_sigv4_trailer_sign(struct kpw_sigv4_chunks *chunks, struct kpw_slice block,
                            char out[KPW_SIGV4_HEX])
{
    uint8_t digest[KPW_SHA256_SIZE];

    kpw_sha256(block.ptr, block.len, digest);
    sign_next(chunks, SIGV4_ALGORITHM "-TRAILER", NULL, digest, out);
}
