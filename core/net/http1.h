/* http1.h - HTTP/1.1 and 1.0 on a connection: one request after the other.
 *
 * Owned by: its connection, a part of it.   Threads: the worker's only.
 */
#ifndef KPIPE_NET_HTTP1_H
#define KPIPE_NET_HTTP1_H

#include "core/net/http_exchange.h"
#include "core/net/http_parse.h"

struct http_protocol;

struct http1 {
    struct kp_exchange exchange;
    struct http_parser parser;
    char *in; /* [owned] the request at in_from, and what was sent ahead */
    size_t in_from, in_to, in_cap;
    bool has_said_continue;
    bool is_chunked, omits_body, closes; /* the answer under way */
};

extern const struct http_protocol http1_protocol;

void http1_init(struct http_conn *conn);
/* An answer of the server itself, after which the connection ends. */
void http1_answer_problem(struct http_conn *conn, int status, const char *problem);

#endif
