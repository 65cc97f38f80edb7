/* http2_request.c - a request of the header fields of a stream.
 *
 * nghttp2 has refused by now what RFC 9113 section 8 forbids (upper case, fields of
 * a connection, pseudo-header fields that are missing, twice or late, a body of
 * another length than announced). The rest is as strict as http_parse.c.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/net/http2_stream.h"
#include "core/net/http_syntax.h"

#define MAX_METHOD 16

void http2_request_refuse(struct http2_stream *stream, int status, const char *problem)
{
    if (stream->status)
        return;
    stream->status = status;
    stream->problem = problem;
}

static bool is_name(kp_slice name, const char *text)
{
    return name.len == strlen(text) && !memcmp(name.ptr, text, name.len);
}

static struct http_span add_text(struct http2_stream *stream, kp_slice text)
{
    struct http_span span = {stream->text.len, text.len};

    http_out_add(&stream->text, text.ptr, text.len);
    return span;
}

static const char *text_of(const struct http2_stream *stream, struct http_span span)
{
    return stream->text.ptr + span.at;
}

static void add_field(struct http2_stream *stream, kp_slice name, kp_slice value)
{
    if (stream->n_fields == HTTP_MAX_FIELDS) {
        http2_request_refuse(stream, 431, "there are too many header fields");
        return;
    }
    if (stream->n_fields == stream->fields_cap)
        mem_room(&stream->fields, &stream->fields_cap, stream->n_fields, sizeof *stream->fields);
    stream->fields[stream->n_fields].name = add_text(stream, name);
    stream->fields[stream->n_fields++].value = add_text(stream, value);
}

/* Crumbs of cookies become one field again: RFC 9113 section 8.2.3. */
static void add_crumb(struct http2_stream *stream, kp_slice name, kp_slice value)
{
    if (!stream->cookie_field) {
        add_field(stream, name, (kp_slice){"", 0});
        stream->cookie_field = stream->n_fields;
    } else {
        http_out_add(&stream->cookie, "; ", 2);
    }
    http_out_add(&stream->cookie, value.ptr, value.len);
}

static void take_pseudo(struct http2_stream *stream, kp_slice name, kp_slice value)
{
    if (is_name(name, ":method")) {
        stream->method = add_text(stream, value);
    } else if (is_name(name, ":path")) {
        stream->path = add_text(stream, value);
    } else if (is_name(name, ":authority")) {
        stream->has_authority = true;
        stream->authority = add_text(stream, value);
        add_field(stream, (kp_slice){"host", 4}, value);
    }
}

static void take_length(struct http2_stream *stream, kp_slice value)
{
    stream->length = 0;
    for (size_t i = 0; i < value.len; i++) { /* digits below 2^63, nghttp2 has seen to that */
        if (value.ptr[i] < '0' || value.ptr[i] > '9' || stream->length > (UINT64_MAX - 9) / 10) {
            http2_request_refuse(stream, 400, "the content-length header is not valid");
            return;
        }
        stream->length = stream->length * 10 + (uint64_t)(value.ptr[i] - '0');
    }
}

static void take_plain(struct http2_stream *stream, kp_slice name, kp_slice value)
{
    unsigned once = http_once_bit(name.ptr, name.len);

    if (once & stream->seen)
        http2_request_refuse(stream, 400, "a header field that may be there once is there twice");
    stream->seen |= once;
    if (is_name(name, "cookie")) {
        add_crumb(stream, name, value);
        return;
    }
    if (is_name(name, "host")) {
        stream->has_host = true;
        stream->host = add_text(stream, value);
        if (stream->has_authority) /* shown as "host" already */
            return;
    } else if (is_name(name, "content-length")) {
        take_length(stream, value);
    } else if (is_name(name, "expect")) {
        stream->expects = true;
        if (!http_is_nocase(value.ptr, value.len, "100-continue"))
            http2_request_refuse(stream, 417, "the expectation is not known");
    }
    add_field(stream, name, value);
}

void http2_request_field(struct http2_stream *stream, kp_slice name, kp_slice value)
{
    stream->list_bytes += name.len + value.len + 32; /* RFC 9113 section 6.5.2 */
    if (stream->list_bytes > stream->http2->conn->server->limits.max_head)
        http2_request_refuse(stream, 431, "the header fields are too long");
    if (stream->status)
        return;
    while (value.len && (*value.ptr == ' ' || *value.ptr == '\t'))
        value.ptr++, value.len--;
    while (value.len && (value.ptr[value.len - 1] == ' ' || value.ptr[value.len - 1] == '\t'))
        value.len--;
    if (!http_is_value(value.ptr, value.len))
        http2_request_refuse(stream, 400, "a header field is not valid");
    else if (name.len && *name.ptr == ':')
        take_pseudo(stream, name, value);
    else if (!http_is_token(name.ptr, name.len))
        http2_request_refuse(stream, 400, "a header field is not valid");
    else
        take_plain(stream, name, value);
}

static void check_target(struct http2_stream *stream)
{
    const char *path = text_of(stream, stream->path);
    const char *method = text_of(stream, stream->method);
    bool is_options = stream->method.len == 7 && !memcmp(method, "OPTIONS", 7);

    if (!stream->method.len || !http_is_token(method, stream->method.len))
        http2_request_refuse(stream, 400, "the method has bad characters");
    else if (stream->method.len > MAX_METHOD)
        http2_request_refuse(stream, 501, "the method is not known");
    else if (http_is_nocase(method, stream->method.len, "connect"))
        http2_request_refuse(stream, 400, "this is no proxy");
    else if (!stream->path.len || !http_is_target(path, stream->path.len) ||
             (*path != '/' && !(is_options && stream->path.len == 1 && *path == '*')))
        http2_request_refuse(stream, 400, "the request target is not valid");
    stream->is_head = stream->method.len == 4 && !memcmp(method, "HEAD", 4);
}

static void check_host(struct http2_stream *stream)
{
    const char *authority = text_of(stream, stream->authority),
               *host = text_of(stream, stream->host);

    if (!stream->has_authority && !stream->has_host)
        http2_request_refuse(stream, 400, "the Host header is missing");
    else if ((stream->has_authority && !http_is_authority(authority, stream->authority.len)) ||
             (stream->has_host && !http_is_authority(host, stream->host.len)))
        http2_request_refuse(stream, 400, "the Host header is not valid");
    else if (stream->has_authority && stream->has_host &&
             (stream->authority.len != stream->host.len ||
              !http_same_nocase(authority, host, stream->host.len)))
        http2_request_refuse(stream, 400, "the Host header and the request target differ");
}

void http2_request_head(struct http2_stream *stream, const struct http_limits *limits)
{
    http_out_room(&stream->text, 1); /* so that nothing points to NULL */
    if (stream->cookie_field)
        stream->fields[stream->cookie_field - 1].value =
            add_text(stream, (kp_slice){stream->cookie.ptr, stream->cookie.len});
    check_target(stream);
    check_host(stream);
    if (stream->length > limits->max_body)
        http2_request_refuse(stream, 413, "the body is too long");
}

static kp_slice slice(const struct http2_stream *stream, struct http_span span)
{
    return (kp_slice){stream->text.ptr + span.at, span.len};
}

void http2_request_fill(struct http2_stream *stream, kp_server_request *ret)
{
    kp_slice target = slice(stream, stream->path);
    const char *mark = memchr(target.ptr, '?', target.len);
    size_t path_len = mark ? (size_t)(mark - target.ptr) : target.len;

    stream->headers = mem_new((stream->n_fields + 1) * sizeof *stream->headers);
    for (size_t i = 0; i < stream->n_fields; i++)
        stream->headers[i] = (kp_http_header){slice(stream, stream->fields[i].name),
                                              slice(stream, stream->fields[i].value)};
    *ret = (kp_server_request){
        .size = sizeof *ret,
        .method = slice(stream, stream->method),
        .target = target,
        .path = {target.ptr, path_len},
        .query = mark ? (kp_slice){mark + 1, target.len - path_len - 1} : (kp_slice){"", 0},
        .headers = stream->headers,
        .n_headers = stream->n_fields,
        .body = {stream->body.len ? stream->body.ptr : "", stream->body.len},
        .peer = {stream->http2->peer, stream->http2->peer_len},
        .connection = stream->http2->conn->number,
        .head_only = stream->is_head,
        .is_tls = stream->http2->conn->tls != NULL,
        .http_version = 20,
    };
}

void http2_request_free(struct http2_stream *stream)
{
    stream->http2->body_bytes -= stream->body.len;
    free(stream->text.ptr);
    free(stream->cookie.ptr);
    free(stream->body.ptr);
    free(stream->fields);
    free(stream->headers);
    stream->text = stream->cookie = stream->body = (struct http_out){0};
    stream->fields = NULL;
    stream->headers = NULL;
    stream->n_fields = stream->fields_cap = 0;
}
