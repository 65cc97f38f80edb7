/* http_parse.h - a strict, incremental HTTP/1.1 request parser without I/O.
 *
 * The caller collects the bytes of one request in one block of memory, which may
 * move between calls, and feeds it from its first byte each time more has come.
 * The verdict depends on the bytes only, never on how they were split: a line is
 * judged when its end is there, or when it is longer than allowed.
 * Names of headers are made lower case and chunked bodies are joined in place.
 *
 * Facts: RFC 9112 (framing, section 2.2 to 7), RFC 9110 (fields, Host, Expect).
 * Whatever two readers could understand differently is refused.
 *
 * Owned by: a connection.   Threads: any, one at a time.
 */
#ifndef KPIPE_NET_HTTP_PARSE_H
#define KPIPE_NET_HTTP_PARSE_H

#include <kpipe/ext/server.h>
#include <stdbool.h>
#include <stdint.h>

#define HTTP_MAX_FIELDS 100

struct http_limits {
    size_t max_head; /* request line and headers, bytes; trailers have the same limit */
    size_t max_body; /* bytes, after the chunks were joined */
};

enum http_verdict {
    HTTP_MORE, /* incomplete */
    HTTP_DONE, /* a request of `at` bytes */
    HTTP_BAD,  /* `status` and `problem` say why; nothing after it can be trusted */
};

enum http_state {
    HTTP_START,
    HTTP_LINE,
    HTTP_FIELDS,
    HTTP_BODY, /* of a known length */
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK_DATA,
    HTTP_CHUNK_END,
    HTTP_TRAILERS,
    HTTP_COMPLETE,
    HTTP_REFUSED,
};

/* A piece of the request, relative to its first byte. */
struct http_span {
    size_t at, len;
};

struct http_field {
    struct http_span name, value;
};

struct http_parser {
    struct http_limits limits;
    enum http_state state;
    size_t at;   /* the next byte to be understood */
    size_t scan; /* no line feed between at and here */
    bool saw_blank_line;

    struct http_span method, target;
    struct http_span authority; /* of a target in absolute form, len 0: none */
    struct http_span path, query;
    struct http_field *fields; /* [owned] */
    size_t n_fields, fields_cap;
    size_t head_at; /* first byte of the request line */

    unsigned seen; /* fields that may be there once only, by bit */
    struct http_span host;
    bool is_10;           /* HTTP/1.0 */
    bool says_close;      /* Connection: close */
    bool says_keep_alive; /* Connection: keep-alive */
    bool wants_continue;  /* Expect: 100-continue, and a body follows */
    bool is_chunked;
    size_t length; /* Content-Length */

    size_t body_at, body_len; /* what is there of it */
    size_t chunk_left;
    size_t trailers_at, n_trailers, extension_bytes;

    int status; /* when refused: the answer's */
    const char *problem;
    kp_http_header *headers; /* [owned] made of fields by http_parser_request() */
    size_t headers_cap;
};

void http_parser_init(struct http_parser *parser, const struct http_limits *limits);
void http_parser_fini(struct http_parser *parser);
void http_parser_reset(struct http_parser *parser); /* for the next request; keeps memory */

/* `len`: all bytes there are of this request and what follows it. */
enum http_verdict http_parser_feed(struct http_parser *parser, char *request, size_t len);

/* Moves what is not yet understood over the chunk sizes that are; returns the new length. */
size_t http_parser_compact(struct http_parser *parser, char *request, size_t len);

/* Bytes of the whole request as far as known by now; for the size of the caller's memory. */
size_t http_parser_expected(const struct http_parser *parser);

/* The bit of a field that may be there once only; 0: it may come more often. */
unsigned http_once_bit(const char *name, size_t n);

bool http_parser_head_done(const struct http_parser *parser);
bool http_parser_keeps_alive(const struct http_parser *parser);

/* The parts of a complete request [borrowed from request and parser]; peer and connection are left
 * as they are. */
void http_parser_request(struct http_parser *parser, const char *request,
                         kp_server_request *ret_request);

#endif
