/* http_call.c - see http_call.h.
 *
 * Only the options that differ between requests are set again. The list of
 * header lines is built in the call's own array: curl reads it and never frees it.
 */
#include "core/net/http_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/slab.h"

#define DEFAULT_TIMEOUT_MS 60000
#define DEFAULT_MAX_BODY   ((size_t)16 << 20)
#define MAX_HEAD           ((size_t)256 << 10) /* of an answer, bytes */
#define KEEP_BODY          ((size_t)16 << 10)  /* memory kept between calls, bytes */
#define READ_SIZE          ((size_t)64 << 10)  /* at a time, bytes */
#define READ_SIZE_LEAST    ((size_t)4 << 10)
#define WRITE_SIZE_LEAST   ((size_t)16 << 10) /* libcurl takes no less */
#define HEAD_ROOM          ((size_t)1 << 10)  /* for an answer's head and its frames */
#define CONNECT_TIMEOUT_MS 10000L /* of answers in pieces, whose whole time has no limit */

/* ---- bytes */

static void bytes_room(struct http_bytes *bytes, size_t more)
{
    size_t cap = bytes->cap ? bytes->cap : 512;

    if (bytes->cap - bytes->len >= more)
        return;
    while (cap - bytes->len < more)
        cap *= 2;
    bytes->ptr = mem_grow(bytes->ptr, cap);
    bytes->cap = cap;
}

static void bytes_add(struct http_bytes *bytes, const char *p, size_t n)
{
    bytes_room(bytes, n);
    if (n)
        memcpy(bytes->ptr + bytes->len, p, n);
    bytes->len += n;
}

/* ---- the answer's head */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void take_header(struct kp_http_call *call, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    size_t at = call->head.len, name_len, from;
    struct http_pair *pair;

    if (!colon || colon == line)
        return;
    name_len = (size_t)(colon - line);
    from = name_len + 1;
    while (len > from && is_blank(line[len - 1]))
        len--;
    while (from < len && is_blank(line[from]))
        from++;
    bytes_add(&call->head, line, len);
    for (size_t i = at; i < at + name_len; i++)
        if (call->head.ptr[i] >= 'A' && call->head.ptr[i] <= 'Z')
            call->head.ptr[i] |= 0x20;
    if (call->n_pairs == call->pairs_cap)
        mem_room(&call->pairs, &call->pairs_cap, call->n_pairs, sizeof *call->pairs);
    pair = &call->pairs[call->n_pairs++];
    *pair = (struct http_pair){at, name_len, at + from, len - from};
}

static bool is_success(const struct kp_http_call *call)
{
    long status = 0;

    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

/* Called by curl with one line at a time: of interim answers, the answer, and trailers. */
static size_t on_header(char *line, size_t one, size_t len, void *arg)
{
    struct kp_http_call *call = arg;

    (void)one;
    if (call->body_len || (call->piece && call->head_done && is_success(call)))
        return len; /* a trailer */
    if (len >= 5 && !memcmp(line, "HTTP/", 5)) {
        call->head.len = call->n_pairs = 0;
        call->head_done = false;
        return len;
    }
    if (call->head.len + len > MAX_HEAD) {
        snprintf(call->problem, sizeof call->problem,
                 "the answer's headers are longer than %zu KiB", MAX_HEAD >> 10);
        return 0;
    }
    if (len <= 2 && is_blank(line[0]))
        call->head_done = true;
    else if (!call->head_done)
        take_header(call, line, len);
    return len;
}

/* ---- the answer's body */

static size_t on_body(char *data, size_t one, size_t len, void *arg)
{
    struct kp_http_call *call = arg;

    (void)one;
    if (call->piece && is_success(call))
        return call->piece(call->node, call->arg, (kp_slice){data, len}) ? len
                                                                         : CURL_WRITEFUNC_PAUSE;
    if (len > call->body_max - call->body_len) {
        snprintf(call->problem, sizeof call->problem, "the answer's body is longer than %zu bytes",
                 call->body_max);
        return 0;
    }
    if (call->into)
        memcpy(call->into->data + call->body_len, data, len);
    else
        bytes_add(&call->body, data, len);
    call->body_len += len;
    return len;
}

/* ---- the request */

static bool is_token(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];

        if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", c))
            return false;
    }
    return n > 0;
}

static bool is_value(kp_slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_name(kp_slice name, const char *expected)
{
    return name.len == strlen(expected) && !strncasecmp(name.ptr, expected, name.len);
}

/* Room for all lines of the request, so that they do not move while they are written. */
static void reserve_lines(struct kp_http_call *call, const kp_http_request *request)
{
    size_t n = request->n_headers + 2, bytes = sizeof "Expect:" + sizeof "Content-Type:";

    for (size_t i = 0; i < request->n_headers; i++)
        bytes += request->headers[i].name.len + request->headers[i].value.len + 3;
    call->text.len = 0;
    bytes_room(&call->text, bytes);
    if (call->lines_cap < n) {
        call->lines_cap = n + 8;
        call->lines = mem_grow(call->lines, call->lines_cap * sizeof *call->lines);
    }
}

static void add_line(struct kp_http_call *call, size_t *n, kp_slice name, kp_slice value)
{
    struct http_bytes *text = &call->text;

    call->lines[(*n)++].data = text->ptr + text->len;
    bytes_add(text, name.ptr, name.len);
    if (value.len) {
        bytes_add(text, ": ", 2);
        bytes_add(text, value.ptr, value.len);
        bytes_add(text, "", 1);
    } else {
        bytes_add(text, ";", 2); /* curl's way to send an empty value */
    }
}

/* curl's way to leave out a header that it would add. */
static void add_without(struct kp_http_call *call, size_t *n, const char *line)
{
    call->lines[(*n)++].data = call->text.ptr + call->text.len;
    bytes_add(&call->text, line, strlen(line) + 1);
}

static bool follows_from_body(kp_slice name)
{
    return is_name(name, "content-length") || is_name(name, "transfer-encoding") ||
           is_name(name, "expect");
}

static bool prepare_headers(struct kp_http_call *call, const kp_http_request *request)
{
    bool has_type = false;
    size_t n = 0;

    reserve_lines(call, request);
    for (size_t i = 0; i < request->n_headers; i++) {
        kp_slice name = request->headers[i].name, value = request->headers[i].value;

        if (!is_token(name.ptr, name.len) || !is_value(value)) {
            snprintf(call->problem, sizeof call->problem, "header '%.*s' has bad characters",
                     (int)(name.len < 100 ? name.len : 100), name.ptr);
            return false;
        }
        has_type |= is_name(name, "content-type");
        if (!follows_from_body(name))
            add_line(call, &n, name, value);
    }
    add_without(call, &n, "Expect:");
    if (!has_type)
        add_without(call, &n, "Content-Type:");
    for (size_t i = 0; i < n; i++)
        call->lines[i].next = i + 1 < n ? &call->lines[i + 1] : NULL;
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->lines);
    return true;
}

/* A method that may carry a body says its length even when it is 0. */
static void prepare_method(struct kp_http_call *call, const kp_http_request *request)
{
    const char *method = request->method;
    bool is_get = !strcmp(method, "GET"), is_post = !strcmp(method, "POST");
    bool has_body =
        request->body.len || is_post || !strcmp(method, "PUT") || !strcmp(method, "PATCH");

    curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, NULL);
    if (!has_body && !strcmp(method, "HEAD")) {
        curl_easy_setopt(call->easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (has_body) {
        curl_easy_setopt(call->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS,
                         request->body.len ? request->body.ptr : "");
    } else {
        curl_easy_setopt(call->easy, CURLOPT_HTTPGET, 1L);
    }
    if (has_body ? !is_post : !is_get)
        curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, method);
}

/* libcurl 7.88 breaks a connection of prior knowledge when it is used again: those are one each. */
static void prepare_version(struct kp_http_call *call, const kp_http_request *request)
{
    bool is_h2 = request->http2, is_tls = !strncasecmp(request->url, "https:", 6);
    bool is_own = is_h2 && !is_tls;

    call->is_http2 = is_h2 && is_tls;
    curl_easy_setopt(call->easy, CURLOPT_HTTP_VERSION,
                     (long)(is_own  ? CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE
                            : is_h2 ? CURL_HTTP_VERSION_2TLS
                                    : CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(call->easy, CURLOPT_PIPEWAIT, (long)call->is_http2);
    curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, (long)is_own);
    curl_easy_setopt(call->easy, CURLOPT_FORBID_REUSE, (long)is_own);
}

/* An answer in pieces may go on for ever; only the way to the peer has an end. */
static void prepare_times(struct kp_http_call *call, const kp_http_request *request)
{
    int64_t timeout_ms = request->timeout_ms > 0 ? request->timeout_ms
                         : request->piece        ? 0
                                                 : DEFAULT_TIMEOUT_MS;

    curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS,
                     request->piece ? CONNECT_TIMEOUT_MS : 0L);
}

/* A thousand small answers at a time would otherwise each have 64 KiB to be read into. */
static void prepare_reading(struct kp_http_call *call, const kp_http_request *request)
{
    size_t most = request->expected_body ? request->expected_body + HEAD_ROOM : READ_SIZE;
    size_t size = READ_SIZE_LEAST;

    while (size < most && size < READ_SIZE)
        size *= 2;
    if (size != call->read_size)
        curl_easy_setopt(call->easy, CURLOPT_BUFFERSIZE, (long)size);
    call->read_size = size;
    /* What is written goes through memory too; over HTTP/2 it is kept until the answer has ended.
     */
    curl_easy_setopt(call->easy, CURLOPT_UPLOAD_BUFFERSIZE,
                     (long)(request->body.len < WRITE_SIZE_LEAST ? WRITE_SIZE_LEAST : READ_SIZE));
}

bool http_call_prepare(struct kp_http_call *call, const kp_http_request *request)
{
    size_t max = request->max_body;

    call->problem[0] = call->curl_problem[0] = '\0';
    call->head.len = call->n_pairs = call->body.len = call->body_len = 0;
    call->head_done = false;
    call->into = request->into;
    if (request->into)
        max = max && max < request->into_capacity ? max : request->into_capacity;
    call->body_max = max || request->into ? max : DEFAULT_MAX_BODY;

    if (!request->url || !request->method || !is_token(request->method, strlen(request->method))) {
        snprintf(call->problem, sizeof call->problem, "the request has no URL or no valid method");
        return false;
    }
    if (!prepare_headers(call, request))
        return false;
    prepare_method(call, request);
    call->piece = request->piece;
    prepare_version(call, request);
    prepare_times(call, request);
    prepare_reading(call, request);
    if (curl_easy_setopt(call->easy, CURLOPT_URL, request->url) != CURLE_OK) {
        snprintf(call->problem, sizeof call->problem, "the URL is too long");
        return false;
    }
    return true;
}

void http_call_refuse(struct kp_http_call *call, const char *problem)
{
    call->head.len = call->n_pairs = call->body.len = call->body_len = 0;
    snprintf(call->problem, sizeof call->problem, "%s", problem);
}

/* ---- the answer */

static void response_headers(struct kp_http_call *call, kp_http_response *response)
{
    if (call->headers_cap < call->n_pairs) {
        call->headers_cap = call->pairs_cap;
        call->headers = mem_grow(call->headers, call->headers_cap * sizeof *call->headers);
    }
    for (size_t i = 0; i < call->n_pairs; i++) {
        const struct http_pair *pair = &call->pairs[i];

        call->headers[i].name = (kp_slice){call->head.ptr + pair->name, pair->name_len};
        call->headers[i].value = (kp_slice){call->head.ptr + pair->value, pair->value_len};
    }
    response->headers = call->headers;
    response->n_headers = call->n_pairs;
}

kp_http_response http_call_response(struct kp_http_call *call, CURLcode result)
{
    kp_http_response response = {.size = sizeof response};
    long status = 0, sent = 0;

    response.took_ms = (clock_mono_ns() - call->began_ns) / 1000000;
    if (result == CURLE_OK) {
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        response.connected = true;
        response.status = (int32_t)status;
        response.body = (kp_slice){call->into ? call->into->data : call->body.ptr, call->body_len};
        response_headers(call, &response);
        return response;
    }
    if (call->state != HTTP_CALL_FAILED)
        curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent);
    response.connected = sent > 0;
    response.timed_out = result == CURLE_OPERATION_TIMEDOUT;
    response.error = call->problem[0]        ? call->problem
                     : call->curl_problem[0] ? call->curl_problem
                                             : curl_easy_strerror(result);
    return response;
}

void http_call_resume(struct kp_http_call *call)
{
    if (call->state == HTTP_CALL_RUNNING && call->piece)
        curl_easy_pause(call->easy, CURLPAUSE_CONT);
}

/* ---- life */

void http_call_trim(struct kp_http_call *call)
{
    if (call->body.cap > KEEP_BODY) {
        free(call->body.ptr);
        call->body = (struct http_bytes){0};
    }
    call->into = NULL;
}

/* curl looks the variables up for every request, which costs; without any there is no need. */
static bool has_proxy_variable(void)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i]))
            return true;
    return false;
}

/* The options that are the same for all requests. */
static void set_constants(struct kp_http_call *call)
{
    CURL *easy = call->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_problem);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "kpipe/" KPIPE_VERSION);
    if (!has_proxy_variable())
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
}

struct kp_http_call *http_call_new(struct http_client *client)
{
    struct kp_http_call *call = mem_new(sizeof *call);

    call->client = client;
    return call;
}

bool http_call_open(struct kp_http_call *call)
{
    call->easy = curl_easy_init();
    if (!call->easy)
        return false;
    set_constants(call);
    return true;
}

void http_call_free(struct kp_http_call *call)
{
    if (call->easy)
        curl_easy_cleanup(call->easy);
    free(call->lines);
    free(call->text.ptr);
    free(call->head.ptr);
    free(call->pairs);
    free(call->headers);
    free(call->body.ptr);
    free(call);
}
