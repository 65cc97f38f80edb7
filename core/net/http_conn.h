/* http_conn.h - one connection of the HTTP server, and what all of a server's share.
 *
 * The connection is the socket, TLS, what is to be sent and the time-outs. What is
 * spoken on it is its protocol's: http1.c or http2.c. A protocol says where bytes
 * that come shall lie, takes them in run(), and puts what is to be sent into `out`.
 *
 * Owned by: its server until the socket is closed, then by the open exchange if there is one.
 * Threads: the worker's only.   Not here: listening and time-outs (http_server.c).
 */
#ifndef KPIPE_NET_HTTP_CONN_H
#define KPIPE_NET_HTTP_CONN_H

#include <kpipe/ext/server.h>
#include <netinet/in.h>
#include <uv.h>

#include "core/net/http1.h"
#include "core/net/http_output.h"
#include "core/net/http_parse.h"
#include "core/net/http_reply.h"

struct tls;
struct tls_context;
struct http_conn;
struct http2;

#define HTTP_SCRATCH  ((size_t)64 << 10)
#define HTTP_FLUSH_AT 65536 /* of answers collected */

struct kp_server {
    uv_loop_t *loop; /* [borrowed] */
    kp_node *node;   /* [borrowed] */
    kp_server_fn fn;
    void *arg; /* [borrowed] */
    struct http_limits limits;
    int64_t idle_timeout_ms, read_timeout_ms;
    int64_t write_timeout_ms; /* without progress */
    uint32_t max_connections, port;
    struct tls_context *tls; /* [owned] NULL: plain */
    bool has_http2, sniffs_tls;

    uv_tcp_t listener;
    uv_timer_t sweep;   /* runs while there are connections */
    unsigned n_handles; /* of libuv, not closed yet, and reads of files */
    bool is_stopped;    /* takes no new connections */
    bool is_closing;    /* freed when the last handle is closed */
    struct http_conn *conns;
    kp_exchange *lost; /* open, but their peers have gone */
    uint32_t n_conns;
    uint32_t n_refused; /* of them: being told that there are too many */
    int64_t date_s;     /* second of `date` */
    char date[HTTP_DATE_SIZE];
    char *scratch; /* [owned] HTTP_SCRATCH bytes: ciphertext, and what is not kept */
};

/* What is spoken on a connection. Each is called while the socket is open, but closed(). */
struct http_protocol {
    /* Where plain bytes that come shall lie; len 0: nowhere for now. */
    uv_buf_t (*room)(struct http_conn *conn);
    void (*took)(struct http_conn *conn, size_t n); /* so many are there now */
    /* Does all that can be done now. */
    void (*run)(struct http_conn *conn);
    /* All that was put has been sent. true: that made more to do. */
    bool (*sent)(struct http_conn *conn);
    /* A handler has a request, or the protocol goes on for another reason. */
    bool (*is_busy)(const struct http_conn *conn);
    bool (*wants_more)(const struct http_conn *conn); /* bytes, while busy or being written */
    /* A handler wants to know when the peer goes. */
    bool (*is_watched)(const struct http_conn *conn);
    void (*stop)(struct http_conn *conn);    /* takes no more requests */
    void (*expired)(struct http_conn *conn); /* the deadline has passed; not being written */
    /* Lets go of all; the socket is closed. Frees the connection, now or when its exchange ends. */
    void (*closed)(struct http_conn *conn);
};

struct http_conn {
    uv_tcp_t tcp;
    struct kp_server *server; /* [borrowed] NULL once the socket is closed */
    struct http_conn *prev, *next;
    const struct http_protocol *protocol;
    struct http1 http1;
    struct http2 *http2; /* [owned] NULL: not spoken */
    struct tls *tls;     /* [owned] NULL: plain */

    struct http_output out;     /* answers not yet sent */
    struct http_out cipher;     /* the same encrypted */
    uv_write_t write;           /* under way */
    struct http_output sending; /* what it points to */
    size_t unsent;              /* when the deadline of the write was set */
    unsigned rounds;            /* of output without a turn of the loop */

    uint64_t number;
    int64_t deadline;  /* by the loop's clock, ms */
    int64_t cut_until; /* a reset waits no longer for what was sent */
    size_t lingered;
    bool is_sniffing;  /* TLS or not: the first byte tells */
    bool is_choosing;  /* HTTP/2 or not: the first bytes tell */
    bool is_begun;     /* a part of a request is there */
    bool is_running;   /* http_conn_run() is on the stack */
    bool is_writing;   /* the socket takes no more for now */
    bool is_ending;    /* no more requests; closed when all is sent */
    bool is_cutting;   /* the end is a reset */
    bool is_lingering; /* our side is closed, waiting for the peer's */
    bool is_paused;    /* not reading */
    bool is_gone;      /* uv_close() was called */
    bool is_closed;    /* and has ended */
    bool is_refused;   /* counted in n_refused */
    bool has_eof;      /* no more requests will come */
    bool is_half;      /* the peer has closed its side of the socket */
    uint8_t peer_len;
    char peer[INET6_ADDRSTRLEN + 9];
};

/* Called when a handle of the server was closed; may free it. */
void http_server_handle_gone(struct kp_server *server);

void http_conn_accept(struct kp_server *server, uv_stream_t *listener); /* http_accept.c */

void http_conn_run(struct http_conn *conn);     /* does all that can be done now */
void http_conn_flush(struct http_conn *conn);   /* sends what the socket takes now */
void http_conn_cut(struct http_conn *conn);     /* at once */
void http_conn_end(struct http_conn *conn);     /* when all is sent */
void http_conn_expired(struct http_conn *conn); /* its deadline has passed */
void http_conn_look(struct http_conn *conn);    /* has a peer gone that is not read from? */
void http_conn_read(struct http_conn *conn, bool wanted);
void http_conn_free(struct http_conn *conn); /* its memory, when the socket is closed */

int64_t http_conn_now(const struct http_conn *conn);
const char *http_conn_date(const struct http_conn *conn);
size_t http_conn_waiting(const struct http_conn *conn); /* bytes put and not sent */

#endif
