/* aws_call.c - see aws_call.h. All texts go into one buffer that is made large enough first, so
 * that nothing moves and, after a few calls, nothing is allocated. */
#include "core/aws/aws_call.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/mem.h"

#define DEFAULT_TIMEOUT_MS 30000
#define DEFAULT_TYPE       "application/x-amz-json-1.1"
#define MAX_BUCKET         63

/* ---- services */

static bool ends_with(struct kpw_slice text, const char *end)
{
    size_t n = strlen(end);

    return text.len > n && !memcmp(text.ptr + text.len - n, end, n);
}

void aws_service_init(struct aws_service *service, struct aws_config *config, const char *name)
{
    const struct aws_endpoint *endpoint = aws_config_find_endpoint(config, name);
    const char *host = strstr(endpoint->url, "://") + 3, *path = strchr(host, '/');
    size_t n = path ? (size_t)(path - host) : strlen(host);

    *service = (struct aws_service){
        .name = mem_dup(name),
        .endpoint = endpoint,
        .origin = kpw_slice(endpoint->url, (size_t)(host - endpoint->url) + n),
        .host = kpw_slice(host, n),
        .prefix = kpw_slice_cstr(path),
        .is_https = endpoint->url[4] == 's',
        .is_s3 = !strcmp(name, "s3"),
        .is_dynamodb = !strcmp(name, "dynamodb"),
        .bucket = {AWS_RETRY_TOKENS},
    };
    /* The port of the scheme is left out by every HTTP client. */
    if (ends_with(service->host, service->is_https ? ":443" : ":80"))
        service->host.len -= service->is_https ? 4 : 3;
}

void aws_service_fini(struct aws_service *service)
{
    kpw_sigv4_cache_fini(&service->cache);
    free(service->name);
}

/* ---- taking a request */

static void buf_again(struct kpw_buf *buf)
{
    if (buf->failed)
        kpw_buf_fini(buf);
    kpw_buf_clear(buf);
}

/* Core does not go on without memory. */
static void must_have(const struct kpw_buf *buf)
{
    if (buf->failed)
        bug("out of memory for a request");
}

static struct kpw_slice copy(struct kp_aws_call *call, const void *ptr, size_t len)
{
    size_t at = call->texts.len;

    kpw_buf_append(&call->texts, ptr, len);
    kpw_buf_putc(&call->texts, '\0');
    must_have(&call->texts);
    return kpw_slice(call->texts.ptr + at, len);
}

static const char *copy_text(struct kp_aws_call *call, const char *text)
{
    return text ? copy(call, text, strlen(text)).ptr : NULL;
}

static size_t text_len(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static size_t size_of_texts(const struct aws_service *service, const kp_aws_request *request)
{
    size_t n = sizeof DEFAULT_TYPE + sizeof "POST" + sizeof "/" + MAX_BUCKET + service->host.len +
               2 + text_len(request->target) + text_len(request->content_type) +
               text_len(request->method) + text_len(request->path) + text_len(request->query);

    for (size_t i = 0; i < request->n_headers; i++)
        n += request->headers[i].name.len + request->headers[i].value.len + 2;
    return n;
}

static void add_signed(struct kp_aws_call *call, const char *name, struct kpw_slice value)
{
    struct kpw_sigv4_header header = {kpw_slice_cstr(name), value};

    kpw_buf_append(&call->signed_, &header, sizeof header);
}

/* A bucket that is a host name without dots, which the service's certificate would not cover. */
static bool is_host_name(struct kpw_slice bucket)
{
    if (bucket.len < 3 || bucket.len > MAX_BUCKET || bucket.ptr[0] == '-' ||
        bucket.ptr[bucket.len - 1] == '-')
        return false;
    for (size_t i = 0; i < bucket.len; i++)
        if (!((bucket.ptr[i] >= 'a' && bucket.ptr[i] <= 'z') ||
              (bucket.ptr[i] >= '0' && bucket.ptr[i] <= '9') || bucket.ptr[i] == '-'))
            return false;
    return true;
}

/* Paths come as /bucket/key. AWS's own endpoint wants the bucket in the host (path-style is for
 * what is no host name), others get the path as it is. True: *path has lost its bucket. */
static bool take_bucket(const struct kp_aws_call *call, const struct aws_config *config,
                        struct kpw_slice *path, struct kpw_slice *ret_bucket)
{
    const char *slash;

    if (!call->service->is_s3 || config->addressing == AWS_ADDRESSING_PATH ||
        (call->service->endpoint->is_custom && config->addressing != AWS_ADDRESSING_VIRTUAL) ||
        path->len < 2)
        return false;
    slash = memchr(path->ptr + 1, '/', path->len - 1);
    *ret_bucket = kpw_slice(path->ptr + 1, slash ? (size_t)(slash - path->ptr - 1) : path->len - 1);
    if (!is_host_name(*ret_bucket))
        return false;
    *path = slash ? kpw_slice(slash, path->len - ret_bucket->len - 1) : kpw_slice("/", 1);
    return true;
}

/* Writes the URL and returns the value of Host. */
static struct kpw_slice make_url(struct kp_aws_call *call, const struct aws_config *config)
{
    const struct aws_service *service = call->service;
    struct kpw_slice path = kpw_slice_cstr(call->request.path), bucket = {NULL, 0};
    struct kpw_slice host = service->host;
    size_t scheme = service->is_https ? 8 : 7;
    struct kpw_buf *url = &call->url;

    kpw_buf_append(url, service->origin.ptr, scheme);
    if (take_bucket(call, config, &path, &bucket)) {
        struct kpw_slice whole = copy(call, bucket.ptr, bucket.len);

        call->texts.ptr[call->texts.len - 1] = '.'; /* instead of the NUL */
        host = copy(call, host.ptr, host.len);
        host = kpw_slice(whole.ptr, bucket.len + 1 + host.len);
        kpw_buf_put_slice(url, bucket);
        kpw_buf_putc(url, '.');
    }
    kpw_buf_append(url, service->origin.ptr + scheme, service->origin.len - scheme);
    call->path_at = url->len;
    kpw_buf_put_slice(url, service->prefix);
    kpw_buf_put_slice(url, path);
    call->path_len = url->len - call->path_at;
    call->query_len = call->request.query ? strlen(call->request.query) : 0;
    if (call->query_len) {
        kpw_buf_putc(url, '?');
        kpw_buf_append(url, call->request.query, call->query_len);
    }
    if (!kpw_buf_cstr(url))
        must_have(url);
    return host;
}

static bool is_url_text(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f || *text == '#')
            return false;
    return true;
}

static bool refuse(struct kp_aws_call *call, const char *message)
{
    aws_answer_set(&call->answer, "InvalidRequest", message);
    return false;
}

static void copy_all(struct kp_aws_call *call, const kp_aws_request *request)
{
    kp_aws_request *own = &call->request;

    *own = (kp_aws_request){.size = sizeof *own};
    memcpy(own, request, request->size < sizeof *own ? request->size : sizeof *own);
    own->service = call->service->name;
    own->target = copy_text(call, request->target);
    own->method = copy_text(call, request->method ? request->method : "POST");
    own->path = copy_text(call, request->path ? request->path : "/");
    own->query = copy_text(call, request->query);
    own->content_type = copy_text(call, request->content_type ? request->content_type
                                        : request->target     ? DEFAULT_TYPE
                                                              : NULL);
}

bool aws_call_take(struct kp_aws_call *call, const struct aws_config *config,
                   const kp_aws_request *request)
{
    struct kpw_slice host;

    buf_again(&call->texts);
    buf_again(&call->signed_);
    buf_again(&call->url);
    call->payload[0] = '\0';
    if (!kpw_buf_reserve(&call->texts, size_of_texts(call->service, request)))
        must_have(&call->texts);
    copy_all(call, request);
    if (*call->request.path != '/' || !is_url_text(call->request.path) ||
        (call->request.query && !is_url_text(call->request.query)))
        return refuse(call, "the path or the query is not percent-encoded");
    host = make_url(call, config);
    add_signed(call, "host", host);
    if (call->request.content_type)
        add_signed(call, "content-type", kpw_slice_cstr(call->request.content_type));
    if (call->request.target)
        add_signed(call, "x-amz-target", kpw_slice_cstr(call->request.target));
    for (size_t i = 0; i < request->n_headers; i++) {
        kp_slice name = request->headers[i].name, value = request->headers[i].value;

        add_signed(call, copy(call, name.ptr, name.len).ptr, copy(call, value.ptr, value.len));
    }
    must_have(&call->signed_);
    return true;
}

/* ---- an attempt */

static struct kpw_slice slice_of(const char *text)
{
    return kpw_slice_cstr(text);
}

static void add_sent(struct kp_aws_call *call, const char *name, struct kpw_slice value)
{
    kp_http_header header = {{name, strlen(name)}, {value.ptr, value.len}};

    kpw_buf_append(&call->sent, &header, sizeof header);
}

static void add_all_sent(struct kp_aws_call *call, const struct aws_identity *identity)
{
    const struct kpw_sigv4_header *headers = (const void *)call->signed_.ptr;
    size_t n = call->signed_.len / sizeof *headers;

    buf_again(&call->sent);
    for (size_t i = 1; i < n; i++) { /* Host is the URL's */
        kp_http_header header = {{headers[i].name.ptr, headers[i].name.len},
                                 {headers[i].value.ptr, headers[i].value.len}};

        kpw_buf_append(&call->sent, &header, sizeof header);
    }
    add_sent(call, "x-amz-date", slice_of(call->made.date));
    add_sent(call, "authorization", call->made.authorization);
    if (identity->token)
        add_sent(call, "x-amz-security-token", slice_of(identity->token));
    if (call->service->is_s3)
        add_sent(call, "x-amz-content-sha256", slice_of(call->payload));
    add_sent(call, "amz-sdk-invocation-id", slice_of(call->id));
    add_sent(call, "amz-sdk-request", slice_of(call->attempt_text));
    add_sent(call, "user-agent", slice_of("kpipe/" KPIPE_VERSION));
    must_have(&call->sent);
}

static uint32_t flags_of(const struct aws_service *service)
{
    if (!service->is_s3)
        return 0;
    /* TLS covers the body; without it the body is hashed, as the SDKs do */
    return KPW_SIGV4_S3 | (service->is_https ? KPW_SIGV4_UNSIGNED_BODY : 0);
}

bool aws_call_sign(struct kp_aws_call *call, const struct aws_config *config,
                   const struct aws_identity *identity, kp_http_request *ret)
{
    struct aws_service *service = call->service;
    const kp_aws_request *own = &call->request;
    struct kpw_sigv4_request request = {
        .method = slice_of(own->method),
        .path = kpw_slice(call->url.ptr + call->path_at, call->path_len),
        .query = kpw_slice(call->url.ptr + call->path_at + call->path_len + (call->query_len != 0),
                           call->query_len),
        .headers = (const void *)call->signed_.ptr,
        .n_headers = call->signed_.len / sizeof *request.headers,
        .body = {own->body.ptr, own->body.len},
        .payload = slice_of(call->payload),
    };
    struct kpw_sigv4_credentials credentials = {
        slice_of(identity->key_id), slice_of(identity->secret), slice_of(identity->token)};
    struct kpw_sigv4_options options = {.region = slice_of(config->region),
                                        .service = slice_of(service->name),
                                        .now_s = (clock_wall_ms() + service->skew_ms) / 1000,
                                        .flags = flags_of(service)};
    struct kpw_sigv4_signed *made = &call->made;
    enum kpw_sigv4_reason reason =
        kpw_sigv4_sign(&service->cache, &request, &credentials, &options, made);

    if (reason)
        return refuse(call, kpw_sigv4_reason_text(reason));
    call->skew_ms = service->skew_ms;
    memcpy(call->payload, made->payload, sizeof call->payload);
    snprintf(call->attempt_text, sizeof call->attempt_text, "attempt=%d; max=%d", call->attempt,
             call->max_attempts);
    add_all_sent(call, identity);
    *ret = (kp_http_request){
        .size = sizeof *ret,
        .method = own->method,
        .url = call->url.ptr,
        .headers = (const void *)call->sent.ptr,
        .n_headers = call->sent.len / sizeof(kp_http_header),
        .body = own->body,
        .timeout_ms = own->timeout_ms > 0 ? own->timeout_ms
                      : own->piece        ? 0
                                          : DEFAULT_TIMEOUT_MS,
        .max_body = own->max_body,
        .into = own->into,
        .into_capacity = own->into_capacity,
        .http2 = own->http2,
        .expected_body = own->expected_body,
    };
    return true;
}

void aws_call_fini(struct kp_aws_call *call)
{
    kpw_buf_fini(&call->texts);
    kpw_buf_fini(&call->signed_);
    kpw_buf_fini(&call->sent);
    kpw_buf_fini(&call->url);
    aws_answer_fini(&call->answer);
}
