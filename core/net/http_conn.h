/* http_conn.h - one connection of the HTTP server, and what all of a server's share.
 *
 * Owned by: its server until the socket is closed, then by the open exchange if there is one.
 * Threads: the worker's only.   Not here: listening and time-outs (http_server.c).
 */
#ifndef KPIPE_NET_HTTP_CONN_H
#define KPIPE_NET_HTTP_CONN_H

#include <kpipe/ext/server.h>
#include <netinet/in.h>
#include <uv.h>

#include "core/net/http_parse.h"
#include "core/net/http_reply.h"

struct tls;
struct tls_context;
struct http_conn;

#define HTTP_SCRATCH ((size_t)64 << 10)

struct kp_server {
    uv_loop_t *loop; /* [borrowed] */
    kp_node *node;   /* [borrowed] */
    kp_server_fn fn;
    void *arg; /* [borrowed] */
    struct http_limits limits;
    int64_t idle_timeout_ms, read_timeout_ms;
    uint32_t max_connections, port;
    struct tls_context *tls; /* [owned] NULL: plain */

    uv_tcp_t listener;
    uv_timer_t sweep;   /* runs while there are connections */
    unsigned n_handles; /* of libuv, not closed yet */
    bool is_stopped;    /* takes no new connections */
    bool is_closing;    /* freed when the last handle is closed */
    struct http_conn *conns;
    uint32_t n_conns;
    uint32_t n_refused; /* of them: being told that there are too many */
    int64_t date_s;     /* second of `date` */
    char date[HTTP_DATE_SIZE];
    char *scratch; /* [owned] HTTP_SCRATCH bytes: ciphertext, and what is thrown away */
};

struct kp_exchange {
    struct http_conn *conn;
};

struct http_conn {
    uv_tcp_t tcp;
    struct kp_server *server; /* [borrowed] NULL once the socket is closed */
    struct http_conn *prev, *next;
    struct kp_exchange exchange;
    struct http_parser parser;
    struct tls *tls; /* [owned] NULL: plain */
    char *in;        /* [owned] the request at in_from, and what was sent ahead */
    size_t in_from, in_to, in_cap;
    struct http_out out;    /* answers not yet sent */
    struct http_out cipher; /* the same encrypted */
    kp_slab *keep;          /* [owned reference] body sent behind `out`, not copied */
    kp_slice keep_body;
    uv_write_t write;
    struct http_out sending; /* what the write under way points to */
    kp_slab *sending_keep;   /* [owned reference] too */
    size_t unsent;           /* when the deadline of the write was set */
    uint64_t number;
    int64_t deadline; /* by the loop's clock, ms */
    size_t drained;
    bool is_open;      /* a request is with the handler */
    bool is_begun;     /* a part of a request is there */
    bool is_running;   /* conn_run() is on the stack */
    bool is_writing;   /* the socket takes no more for now */
    bool is_ending;    /* no more requests; closed when all is sent */
    bool is_lingering; /* our side is closed, waiting for the peer's */
    bool is_paused;    /* not reading */
    bool is_gone;      /* uv_close() was called */
    bool is_closed;    /* and has ended */
    bool is_refused;   /* counted in n_refused */
    bool has_eof;      /* no more requests will come */
    bool is_half;      /* the peer has closed its side of the socket */
    bool has_said_continue;
    uint8_t peer_len;
    char peer[INET6_ADDRSTRLEN + 9];
};

/* Called when a handle of the server was closed; may free it. */
void http_server_handle_gone(struct kp_server *server);

void http_conn_accept(struct kp_server *server, uv_stream_t *listener);
void http_conn_cut(struct http_conn *conn);     /* at once */
void http_conn_end(struct http_conn *conn);     /* when all is sent */
void http_conn_expired(struct http_conn *conn); /* its deadline has passed */
bool http_conn_is_idle(const struct http_conn *conn);

#endif
