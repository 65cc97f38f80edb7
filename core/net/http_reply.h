/* http_reply.h - writing HTTP answers: status line, headers, body.
 *
 * Owned by: a connection.   Threads: any, one at a time.   Facts: RFC 9112 section 4, RFC 9110.
 */
#ifndef KPIPE_NET_HTTP_REPLY_H
#define KPIPE_NET_HTTP_REPLY_H

#include <kpipe/ext/http.h>
#include <stdbool.h>
#include <stdint.h>

struct http_out {
    char *ptr; /* [owned] */
    size_t len, cap;
};

struct http_reply {
    int status;
    const kp_http_header *headers; /* [borrowed] */
    size_t n_headers;
    size_t body_len;  /* or HTTP_LENGTH_UNKNOWN */
    const char *date; /* [borrowed] 29 bytes, see http_date() */
    bool is_10;       /* the peer speaks HTTP/1.0 */
    bool is_chunked;  /* the length is unknown, and the peer can read chunks */
    bool closes;      /* the connection ends with this answer */
    bool omits_body;  /* to HEAD, or the status has none */
};

#define HTTP_LENGTH_UNKNOWN SIZE_MAX

void http_out_room(struct http_out *out, size_t more);
void http_out_add(struct http_out *out, const char *p, size_t n);

/* Puts the head of the answer into `out`. false: the status or a header cannot be sent; nothing
 * was put. Headers that belong to the server (Content-Length, Connection, Date,
 * Transfer-Encoding, Keep-Alive, Upgrade) are left out. */
bool http_reply_head(struct http_out *out, const struct http_reply *reply);
bool http_reply_has_body(int status);
bool http_reply_is_sendable(const struct http_reply *reply, size_t *ret_bytes); /* upper bound */
bool http_reply_is_servers(kp_slice name);                                      /* one of those */

/* "Sun, 06 Nov 1994 08:49:37 GMT" and a NUL. */
#define HTTP_DATE_SIZE 30
void http_date(int64_t wall_ms, char *ret_date);

const char *http_reason(int status);

#endif
