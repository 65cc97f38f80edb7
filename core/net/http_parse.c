/* http_parse.c - see http_parse.h.
 *
 * One function per state; each takes what it can understand as a whole (a line,
 * a run of body bytes) or asks for more. Offsets are relative to the request's
 * first byte, because the memory may move.
 */
#include "core/net/http_parse.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/net/http_syntax.h"

#define MAX_METHOD          16
#define MAX_EXTENSION       256   /* of one chunk, bytes */
#define MAX_EXTENSIONS      16384 /* of one body, bytes */
#define MAX_CHUNK_LINE      (8 + 1 + MAX_EXTENSION + 2)
#define MAX_CONTENT_LENGTH  19 /* digits: below 2^63 or refused */
#define LEAST_TO_BE_COMPACT 4096

enum step { STEP_AGAIN, STEP_MORE };

static enum step refuse(struct http_parser *parser, int status, const char *problem)
{
    parser->state = HTTP_REFUSED;
    parser->status = status;
    parser->problem = problem;
    return STEP_AGAIN;
}

/* ---- lines */

enum line { LINE_MORE, LINE_OK, LINE_TOO_LONG, LINE_BARE_LF };

/* A whole line from `at`, at most `max` bytes with its CRLF; *ret_len is without. */
static enum line line_get(struct http_parser *parser, const char *request, size_t len, size_t max,
                          size_t *ret_len)
{
    size_t end = len - parser->at > max ? parser->at + max : len;
    const char *lf = NULL;

    if (parser->scan < parser->at)
        parser->scan = parser->at;
    if (parser->scan < end)
        lf = memchr(request + parser->scan, '\n', end - parser->scan);
    if (!lf) {
        parser->scan = end;
        return end - parser->at >= max ? LINE_TOO_LONG : LINE_MORE;
    }
    *ret_len = (size_t)(lf - request) - parser->at;
    if (!*ret_len || lf[-1] != '\r')
        return LINE_BARE_LF;
    --*ret_len;
    return LINE_OK;
}

/* ---- the request line */

static enum step step_start(struct http_parser *parser, const char *request, size_t len)
{
    const char *p = request + parser->at;

    if (parser->at == len)
        return STEP_MORE;
    if (*p == '\r' && !parser->saw_blank_line) {
        if (len - parser->at < 2)
            return STEP_MORE;
        if (p[1] != '\n')
            return refuse(parser, 400, "a line ends in a bare CR");
        parser->saw_blank_line = true;
        parser->at += 2;
        return STEP_AGAIN;
    }
    if (!http_is_token_byte(*p))
        return refuse(parser, 400, "the request does not begin with a method");
    parser->head_at = parser->at;
    parser->state = HTTP_LINE;
    return STEP_AGAIN;
}

static bool take_version(struct http_parser *parser, const char *p, size_t n)
{
    bool is_shaped = n == 8 && !memcmp(p, "HTTP/", 5) && p[5] >= '0' && p[5] <= '9' &&
                     p[6] == '.' && p[7] >= '0' && p[7] <= '9';

    if (!is_shaped) {
        refuse(parser, 400, "the request line does not end in a version");
        return false;
    }
    if (p[5] != '1' || p[7] > '1') {
        refuse(parser, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
        return false;
    }
    parser->is_10 = p[7] == '0';
    return true;
}

/* The length of "http://host:80" in front of the path; 0: the target does not begin so. */
static size_t take_authority(struct http_parser *parser, const char *request)
{
    const char *p = request + parser->target.at, *end = p + parser->target.len, *stop;
    size_t scheme = 0;

    if (parser->target.len > 7 && http_same_nocase(p, "http://", 7))
        scheme = 7;
    else if (parser->target.len > 8 && http_same_nocase(p, "https://", 8))
        scheme = 8;
    for (stop = p + scheme; stop < end && *stop != '/' && *stop != '?';)
        stop++;
    parser->authority = (struct http_span){parser->target.at + scheme, (size_t)(stop - p) - scheme};
    if (!scheme || !http_is_authority(p + scheme, parser->authority.len))
        return 0;
    return (size_t)(stop - p);
}

/* Finds path and query of a target in origin, absolute or asterisk form. */
static bool take_target(struct http_parser *parser, const char *request)
{
    const char *p = request + parser->target.at, *end = p + parser->target.len, *mark;

    if (!http_is_target(p, parser->target.len))
        return false;
    if (parser->target.len == 1 && *p == '*') {
        parser->path = parser->target;
        return parser->method.len == 7 && !memcmp(request + parser->method.at, "OPTIONS", 7);
    }
    if (*p != '/') {
        size_t n = take_authority(parser, request);

        if (!n)
            return false;
        p += n;
    }
    mark = memchr(p, '?', (size_t)(end - p));
    if (mark)
        parser->query = (struct http_span){(size_t)(mark + 1 - request), (size_t)(end - mark) - 1};
    else
        mark = end;
    parser->path = (struct http_span){(size_t)(p - request), (size_t)(mark - p)};
    return true;
}

static enum step step_line(struct http_parser *parser, const char *request, size_t len)
{
    const char *p = request + parser->at, *first, *second;
    size_t n;

    switch (line_get(parser, request, len, parser->limits.max_head, &n)) {
    case LINE_MORE: return STEP_MORE;
    case LINE_TOO_LONG: return refuse(parser, 414, "the request line is too long");
    case LINE_BARE_LF: return refuse(parser, 400, "a line ends in a bare LF");
    case LINE_OK: break;
    }
    first = memchr(p, ' ', n);
    second = first ? memchr(first + 1, ' ', n - (size_t)(first + 1 - p)) : NULL;
    if (!second)
        return refuse(parser, 400, "the request line has not three parts");
    parser->method = (struct http_span){parser->at, (size_t)(first - p)};
    parser->target =
        (struct http_span){(size_t)(first + 1 - request), (size_t)(second - first) - 1};
    if (!http_is_token(p, parser->method.len))
        return refuse(parser, 400, "the method has bad characters");
    if (!take_version(parser, second + 1, n - (size_t)(second + 1 - p)))
        return STEP_AGAIN;
    if (parser->method.len > MAX_METHOD)
        return refuse(parser, 501, "the method is not known");
    if (http_is_nocase(p, parser->method.len, "connect"))
        return refuse(parser, 400, "this is no proxy");
    if (!take_target(parser, request))
        return refuse(parser, 400, "the request target is not valid");
    parser->at += n + 2;
    parser->state = HTTP_FIELDS;
    return STEP_AGAIN;
}

/* ---- fields */

enum known { HOST, LENGTH, CODING, CONNECTION, EXPECT, SINGLE };

/* What the server itself understands, and what must not be there twice because the one reader
 * would take the first and the other the last. */
static const struct known_field {
    const char *name;
    size_t len;
    enum known what;
} known_fields[] = {
    {"host", 4, HOST},
    {"content-length", 14, LENGTH},
    {"transfer-encoding", 17, CODING},
    {"connection", 10, CONNECTION},
    {"expect", 6, EXPECT},
    {"content-type", 12, SINGLE},
    {"authorization", 13, SINGLE},
    {"x-api-key", 9, SINGLE},
    {"x-amz-date", 10, SINGLE},
    {"x-amz-security-token", 20, SINGLE},
};

static bool take_length(struct http_parser *parser, const char *p, size_t n)
{
    uint64_t length = 0;

    if (!n || n > MAX_CONTENT_LENGTH)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        length = length * 10 + (uint64_t)(p[i] - '0');
    }
    parser->length = length;
    return true;
}

static void take_known(struct http_parser *parser, const char *request,
                       const struct known_field *known, struct http_span value)
{
    unsigned bit = 1U << (known - known_fields);
    const char *p = request + value.at;

    if (known->what != CONNECTION && (parser->seen & bit)) {
        refuse(parser, 400, "a header field that may be there once is there twice");
        return;
    }
    parser->seen |= bit;
    switch (known->what) {
    case HOST:
        parser->host = value;
        if (!http_is_authority(p, value.len))
            refuse(parser, 400, "the Host header is not valid");
        break;
    case LENGTH:
        if (!take_length(parser, p, value.len))
            refuse(parser, 400, "the Content-Length header is not valid");
        break;
    case CODING:
        parser->is_chunked = true;
        if (!http_is_nocase(p, value.len, "chunked"))
            refuse(parser, 501, "the transfer coding is not known");
        break;
    case CONNECTION:
        parser->says_close |= http_list_has(p, value.len, "close");
        parser->says_keep_alive |= http_list_has(p, value.len, "keep-alive");
        break;
    case EXPECT:
        parser->wants_continue = true;
        if (!http_is_nocase(p, value.len, "100-continue"))
            refuse(parser, 417, "the expectation is not known");
        break;
    case SINGLE: break;
    }
}

static void lower_name(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] |= 0x20;
}

/* Splits "Name: value" at `at`; false: it is none. */
static bool split_field(const struct http_parser *parser, char *request, size_t n,
                        struct http_field *ret_field)
{
    size_t at = parser->at, end = at + n, value;
    const char *colon = memchr(request + at, ':', n);

    if (!colon || !http_is_token(request + at, (size_t)(colon - request) - at))
        return false; /* also a blank before the colon, and a folded line */
    ret_field->name = (struct http_span){at, (size_t)(colon - request) - at};
    value = at + ret_field->name.len + 1;
    while (value < end && (request[value] == ' ' || request[value] == '\t'))
        value++;
    while (end > value && (request[end - 1] == ' ' || request[end - 1] == '\t'))
        end--;
    ret_field->value = (struct http_span){value, end - value};
    lower_name(request + at, ret_field->name.len);
    return http_is_value(request + value, end - value);
}

static const struct known_field *find_known(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof known_fields / sizeof *known_fields; i++)
        if (known_fields[i].len == n && !memcmp(known_fields[i].name, name, n))
            return &known_fields[i];
    return NULL;
}

unsigned http_once_bit(const char *name, size_t n)
{
    const struct known_field *known = find_known(name, n);

    return known && known->what != CONNECTION ? 1U << (known - known_fields) : 0;
}

static void take_field(struct http_parser *parser, const char *request,
                       const struct http_field *field)
{
    const struct known_field *known = find_known(request + field->name.at, field->name.len);

    if (parser->n_fields == parser->fields_cap)
        mem_room(&parser->fields, &parser->fields_cap, parser->n_fields, sizeof *parser->fields);
    parser->fields[parser->n_fields++] = *field;
    if (known)
        take_known(parser, request, known, field->value);
}

static bool hosts_differ(const struct http_parser *parser, const char *request)
{
    return parser->authority.len != parser->host.len ||
           !http_same_nocase(request + parser->authority.at, request + parser->host.at,
                             parser->host.len);
}

/* All fields are there: what they mean together. */
static enum step finish_head(struct http_parser *parser, const char *request)
{
    bool has_length = parser->seen & (1U << LENGTH), has_host = parser->seen & (1U << HOST);

    if (!has_host && !parser->is_10)
        return refuse(parser, 400, "the Host header is missing");
    if (parser->authority.len && has_host && hosts_differ(parser, request))
        return refuse(parser, 400, "the Host header and the request target differ");
    if (parser->is_chunked && (has_length || parser->is_10))
        return refuse(parser, 400, "the length of the body is ambiguous");
    if (parser->length > parser->limits.max_body)
        return refuse(parser, 413, "the body is too long");
    parser->wants_continue =
        parser->wants_continue && !parser->is_10 && (parser->is_chunked || parser->length);
    parser->body_at = parser->at;
    parser->state = parser->is_chunked ? HTTP_CHUNK_SIZE : HTTP_BODY;
    return STEP_AGAIN;
}

static enum step step_fields(struct http_parser *parser, char *request, size_t len)
{
    size_t used = parser->at - parser->head_at, n;
    struct http_field field;

    switch (line_get(parser, request, len, parser->limits.max_head - used, &n)) {
    case LINE_MORE: return STEP_MORE;
    case LINE_TOO_LONG: return refuse(parser, 431, "the header fields are too long");
    case LINE_BARE_LF: return refuse(parser, 400, "a line ends in a bare LF");
    case LINE_OK: break;
    }
    if (!n) {
        parser->at += 2;
        return finish_head(parser, request);
    }
    if (!split_field(parser, request, n, &field))
        return refuse(parser, 400, "a header field is not valid");
    if (parser->n_fields == HTTP_MAX_FIELDS)
        return refuse(parser, 431, "there are too many header fields");
    take_field(parser, request, &field);
    parser->at += n + 2;
    return STEP_AGAIN;
}

/* ---- the body */

static enum step step_body(struct http_parser *parser, size_t len)
{
    parser->body_len = len - parser->body_at;
    if (parser->body_len < parser->length) {
        parser->at = len;
        return STEP_MORE;
    }
    parser->body_len = parser->length;
    parser->at = parser->body_at + parser->length;
    parser->state = HTTP_COMPLETE;
    return STEP_AGAIN;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "1f" or "1f;extension"; false: neither. */
static bool chunk_size(struct http_parser *parser, const char *p, size_t n)
{
    size_t size = 0, digits = 0;

    while (digits < n && digits < 9 && hex_digit(p[digits]) >= 0)
        size = size << 4 | (size_t)hex_digit(p[digits++]);
    if (!digits || digits > 8)
        return false;
    if (n > digits) {
        parser->extension_bytes += n - digits;
        if (p[digits] != ';' || !http_is_value(p + digits, n - digits) ||
            n - digits - 1 > MAX_EXTENSION || parser->extension_bytes > MAX_EXTENSIONS)
            return false;
    }
    parser->chunk_left = size;
    return true;
}

static enum step step_chunk_size(struct http_parser *parser, const char *request, size_t len)
{
    size_t n;

    switch (line_get(parser, request, len, MAX_CHUNK_LINE, &n)) {
    case LINE_MORE: return STEP_MORE;
    case LINE_TOO_LONG:
    case LINE_BARE_LF: return refuse(parser, 400, "a chunk is not valid");
    case LINE_OK: break;
    }
    if (!chunk_size(parser, request + parser->at, n))
        return refuse(parser, 400, "a chunk is not valid");
    if (parser->chunk_left > parser->limits.max_body - parser->body_len)
        return refuse(parser, 413, "the body is too long");
    parser->at += n + 2;
    parser->trailers_at = parser->at;
    parser->state = parser->chunk_left ? HTTP_CHUNK_DATA : HTTP_TRAILERS;
    return STEP_AGAIN;
}

static enum step step_chunk_data(struct http_parser *parser, char *request, size_t len)
{
    size_t n = len - parser->at;

    if (n > parser->chunk_left)
        n = parser->chunk_left;
    memmove(request + parser->body_at + parser->body_len, request + parser->at, n);
    parser->body_len += n;
    parser->at += n;
    parser->chunk_left -= n;
    if (parser->chunk_left)
        return STEP_MORE;
    parser->state = HTTP_CHUNK_END;
    return STEP_AGAIN;
}

static enum step step_chunk_end(struct http_parser *parser, const char *request, size_t len)
{
    const char *p = request + parser->at;
    size_t n = len - parser->at;

    if (n && p[0] != '\r')
        return refuse(parser, 400, "a chunk is not valid");
    if (n < 2)
        return STEP_MORE;
    if (p[1] != '\n')
        return refuse(parser, 400, "a chunk is not valid");
    parser->at += 2;
    parser->state = HTTP_CHUNK_SIZE;
    return STEP_AGAIN;
}

/* Trailers are checked like headers and then forgotten: nothing may get in by the back door. */
static enum step step_trailers(struct http_parser *parser, char *request, size_t len)
{
    size_t used = parser->at - parser->trailers_at, n;
    struct http_field field;

    switch (line_get(parser, request, len, parser->limits.max_head - used, &n)) {
    case LINE_MORE: return STEP_MORE;
    case LINE_TOO_LONG: return refuse(parser, 431, "the trailer fields are too long");
    case LINE_BARE_LF: return refuse(parser, 400, "a line ends in a bare LF");
    case LINE_OK: break;
    }
    if (n) {
        if (!split_field(parser, request, n, &field))
            return refuse(parser, 400, "a trailer field is not valid");
        if (parser->n_trailers++ == HTTP_MAX_FIELDS)
            return refuse(parser, 431, "there are too many trailer fields");
    } else {
        parser->state = HTTP_COMPLETE;
    }
    parser->at += n + 2;
    return STEP_AGAIN;
}

/* ---- driving */

static enum step step(struct http_parser *parser, char *request, size_t len)
{
    switch (parser->state) {
    case HTTP_START: return step_start(parser, request, len);
    case HTTP_LINE: return step_line(parser, request, len);
    case HTTP_FIELDS: return step_fields(parser, request, len);
    case HTTP_BODY: return step_body(parser, len);
    case HTTP_CHUNK_SIZE: return step_chunk_size(parser, request, len);
    case HTTP_CHUNK_DATA: return step_chunk_data(parser, request, len);
    case HTTP_CHUNK_END: return step_chunk_end(parser, request, len);
    case HTTP_TRAILERS: return step_trailers(parser, request, len);
    case HTTP_COMPLETE:
    case HTTP_REFUSED: break;
    }
    return STEP_MORE;
}

enum http_verdict http_parser_feed(struct http_parser *parser, char *request, size_t len)
{
    while (parser->state < HTTP_COMPLETE)
        if (step(parser, request, len) == STEP_MORE)
            return HTTP_MORE;
    return parser->state == HTTP_COMPLETE ? HTTP_DONE : HTTP_BAD;
}

size_t http_parser_compact(struct http_parser *parser, char *request, size_t len)
{
    size_t end = parser->body_at + parser->body_len, gap;

    if (!parser->is_chunked || !http_parser_head_done(parser) || parser->state >= HTTP_COMPLETE)
        return len;
    gap = parser->at - end;
    if (gap < LEAST_TO_BE_COMPACT || parser->state == HTTP_TRAILERS)
        return len;
    memmove(request + end, request + parser->at, len - parser->at);
    parser->at -= gap;
    parser->scan = parser->at;
    return len - gap;
}

size_t http_parser_expected(const struct http_parser *parser)
{
    if (parser->state == HTTP_BODY)
        return parser->body_at + parser->length;
    if (parser->state == HTTP_CHUNK_DATA)
        return parser->at + parser->chunk_left + 2;
    return parser->at;
}

bool http_parser_head_done(const struct http_parser *parser)
{
    return parser->state >= HTTP_BODY && parser->state != HTTP_REFUSED;
}

bool http_parser_keeps_alive(const struct http_parser *parser)
{
    return !parser->says_close && (!parser->is_10 || parser->says_keep_alive);
}

static kp_slice slice(const char *request, struct http_span span)
{
    return (kp_slice){request + span.at, span.len};
}

void http_parser_request(struct http_parser *parser, const char *request,
                         kp_server_request *ret_request)
{
    if (parser->headers_cap < parser->n_fields) {
        parser->headers_cap = parser->fields_cap;
        parser->headers = mem_grow(parser->headers, parser->headers_cap * sizeof *parser->headers);
    }
    for (size_t i = 0; i < parser->n_fields; i++) {
        parser->headers[i].name = slice(request, parser->fields[i].name);
        parser->headers[i].value = slice(request, parser->fields[i].value);
    }
    ret_request->size = sizeof *ret_request;
    ret_request->method = slice(request, parser->method);
    ret_request->target = slice(request, parser->target);
    ret_request->path = parser->path.len ? slice(request, parser->path) : (kp_slice){"/", 1};
    ret_request->query = slice(request, parser->query);
    ret_request->headers = parser->headers;
    ret_request->n_headers = parser->n_fields;
    ret_request->body = (kp_slice){request + parser->body_at, parser->body_len};
    ret_request->head_only = parser->method.len == 4 && !memcmp(ret_request->method.ptr, "HEAD", 4);
}

void http_parser_init(struct http_parser *parser, const struct http_limits *limits)
{
    memset(parser, 0, sizeof *parser);
    parser->limits = *limits;
}

void http_parser_reset(struct http_parser *parser)
{
    struct http_parser fresh = {.limits = parser->limits,
                                .fields = parser->fields,
                                .fields_cap = parser->fields_cap,
                                .headers = parser->headers,
                                .headers_cap = parser->headers_cap};

    *parser = fresh;
}

void http_parser_fini(struct http_parser *parser)
{
    free(parser->fields);
    free(parser->headers);
    memset(parser, 0, sizeof *parser);
}
