/* http_conn.c - see http_conn.h.
 *
 * Bytes are read into one block; the request at its beginning is understood there
 * and handed over as slices of it. Answers collect in `out` and are written when
 * nothing more can be answered for now, so that pipelined requests share a write.
 * While a write or a request is under way, nothing is parsed and the block does not
 * move; reading goes on until it is full.
 */
#include "core/net/http_conn.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/base/slab.h"
#include "core/net/http_server.h"
#include "core/net/tls.h"

#define FIRST_BLOCK      8192
#define LEAST_ROOM       2048
#define KEEP_BLOCK       65536 /* larger memory is given back after use */
#define WORTH_KEEPING    16384 /* smaller bodies are copied all the same */
#define FLUSH_AT         65536 /* of pipelined answers */
#define WRITE_TIMEOUT_MS 30000 /* without progress */
#define LINGER_MS        2000
#define LINGER_BYTES     1048576 /* read and thrown away at most */
#define MAX_REFUSED      64      /* connections being told that there are too many */

static _Atomic uint64_t last_number;

static void conn_run(struct http_conn *conn);

static int64_t now_of(const struct http_conn *conn)
{
    return (int64_t)uv_now(conn->server->loop);
}

/* ---- end of life */

static void conn_free(struct http_conn *conn)
{
    http_parser_fini(&conn->parser);
    free(conn->in);
    free(conn);
}

static void drop_keep(struct http_conn *conn)
{
    slab_unref(conn->keep);
    conn->keep = NULL;
    conn->keep_body = (kp_slice){0};
}

static void on_closed(uv_handle_t *handle)
{
    struct http_conn *conn = handle->data;
    struct kp_server *server = conn->server;

    drop_keep(conn);
    slab_unref(conn->sending_keep);
    tls_free(conn->tls);
    free(conn->sending.ptr);
    free(conn->out.ptr);
    free(conn->cipher.ptr);
    conn->server = NULL;
    conn->is_closed = true;
    if (!conn->is_open) /* else the handler still looks at the request */
        conn_free(conn);
    http_server_handle_gone(server);
}

void http_conn_cut(struct http_conn *conn)
{
    struct kp_server *server = conn->server;

    if (conn->is_gone)
        return;
    conn->is_gone = true;
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        server->conns = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    server->n_conns--;
    server->n_refused -= conn->is_refused;
    if (!server->conns)
        uv_timer_stop(&server->sweep);
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

/* ---- memory for what is read */

/* The block must neither grow nor move: somebody looks at it, or the peer does not read. */
static bool is_waiting(const struct http_conn *conn)
{
    return conn->is_open || conn->is_writing || conn->is_ending;
}

static void make_room(struct http_conn *conn)
{
    if (is_waiting(conn))
        return;
    if (conn->in_from == conn->in_to) {
        conn->in_from = conn->in_to = 0;
        if (conn->in_cap > KEEP_BLOCK) {
            free(conn->in);
            conn->in = NULL;
            conn->in_cap = 0;
        }
    }
    if (conn->in_cap - conn->in_to >= LEAST_ROOM)
        return;
    if (conn->in_from) {
        conn->in_to -= conn->in_from;
        memmove(conn->in, conn->in + conn->in_from, conn->in_to);
        conn->in_from = 0;
    }
    if (conn->in_cap - conn->in_to < LEAST_ROOM) {
        size_t expected = http_parser_expected(&conn->parser) + LEAST_ROOM;

        conn->in_cap = conn->in_cap ? conn->in_cap * 2 : FIRST_BLOCK;
        if (conn->in_cap < expected && conn->in_cap >= expected / 8)
            conn->in_cap = expected; /* spares some copies, and gives little to mere promises */
        conn->in = mem_grow(conn->in, conn->in_cap);
    }
}

/* Plain bytes out of what the TLS connection holds, as far as there is room. */
static void pull_plain(struct http_conn *conn)
{
    enum tls_result result = TLS_OK;
    size_t n;

    while (result == TLS_OK) {
        make_room(conn);
        if (conn->in_to == conn->in_cap)
            return;
        result = tls_read(conn->tls, conn->in + conn->in_to, conn->in_cap - conn->in_to, &n);
        conn->in_to += n;
    }
    if (result == TLS_ENDED)
        conn->has_eof = true;
    if (result == TLS_BROKEN) {
        conn->has_eof = conn->is_ending = true; /* an alert may have to be sent */
        conn->in_from = conn->in_to;
    }
}

/* ---- reading */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct http_conn *conn = handle->data;

    (void)suggested;
    if (conn->tls || conn->is_lingering) {
        *buf = uv_buf_init(conn->server->scratch, HTTP_SCRATCH);
        return;
    }
    make_room(conn);
    *buf = uv_buf_init(conn->in + conn->in_to, (unsigned)(conn->in_cap - conn->in_to));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct http_conn *conn = stream->data;

    if (n == 0)
        return;
    if (n < 0) {
        if (n != UV_EOF || conn->is_lingering) {
            http_conn_cut(conn);
            return;
        }
        conn->has_eof = conn->is_half = conn->is_paused = true;
        uv_read_stop(stream);
    } else if (conn->is_lingering) {
        conn->drained += (size_t)n;
        if (conn->drained > LINGER_BYTES)
            http_conn_cut(conn);
        return;
    } else if (conn->tls) {
        tls_feed(conn->tls, buf->base, (size_t)n);
    } else {
        conn->in_to += (size_t)n;
    }
    conn_run(conn);
}

static void set_reading(struct http_conn *conn, bool wanted)
{
    if (wanted == !conn->is_paused || (wanted && conn->is_half))
        return;
    conn->is_paused = !wanted;
    if (!wanted)
        uv_read_stop((uv_stream_t *)&conn->tcp);
    else if (uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read))
        http_conn_cut(conn);
}

/* ---- writing */

static void shrink(struct http_out *out)
{
    out->len = 0;
    if (out->cap > KEEP_BLOCK) {
        free(out->ptr);
        *out = (struct http_out){0};
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct http_conn *conn = write->data;

    if (conn->is_gone)
        return;
    conn->is_writing = false;
    shrink(&conn->sending);
    slab_unref(conn->sending_keep);
    conn->sending_keep = NULL;
    conn->deadline = now_of(conn) + (conn->is_begun ? conn->server->read_timeout_ms
                                                    : conn->server->idle_timeout_ms);
    if (status < 0)
        http_conn_cut(conn);
    else
        conn_run(conn);
}

static unsigned collect_output(struct http_conn *conn, uv_buf_t bufs[2])
{
    unsigned n = 0;

    if (!conn->tls) {
        if (conn->out.len)
            bufs[n++] = uv_buf_init(conn->out.ptr, (unsigned)conn->out.len);
        if (conn->keep_body.len)
            bufs[n++] = uv_buf_init((char *)conn->keep_body.ptr, (unsigned)conn->keep_body.len);
        return n;
    }
    if (!tls_write(conn->tls, conn->out.ptr, conn->out.len) ||
        !tls_write(conn->tls, conn->keep_body.ptr, conn->keep_body.len))
        conn->is_ending = true;
    shrink(&conn->out);
    drop_keep(conn);
    tls_take_output(conn->tls, &conn->cipher);
    if (conn->cipher.len)
        bufs[n++] = uv_buf_init(conn->cipher.ptr, (unsigned)conn->cipher.len);
    return n;
}

/* The rest of the output belongs to the write; answers that come meanwhile collect anew. */
static void write_rest(struct http_conn *conn, const uv_buf_t *bufs, unsigned n)
{
    struct http_out *source = conn->tls ? &conn->cipher : &conn->out, spare = conn->sending;
    uv_stream_t *stream = (uv_stream_t *)&conn->tcp;

    conn->sending = *source;
    *source = spare;
    conn->sending_keep = conn->keep;
    conn->keep = NULL; /* moved */
    conn->keep_body = (kp_slice){0};
    conn->write.data = conn;
    conn->is_writing = true;
    if (uv_write(&conn->write, stream, bufs, n, on_written)) {
        http_conn_cut(conn);
        return;
    }
    conn->unsent = uv_stream_get_write_queue_size(stream);
    conn->deadline = now_of(conn) + WRITE_TIMEOUT_MS;
}

/* Writes what the socket takes now and leaves the rest to the loop. */
static void flush(struct http_conn *conn)
{
    uv_buf_t bufs[2], *buf = bufs;
    unsigned n = conn->is_writing || conn->is_gone ? 0 : collect_output(conn, bufs);
    int sent;

    if (!n)
        return;
    sent = uv_try_write((uv_stream_t *)&conn->tcp, bufs, n);
    if (sent < 0 && sent != UV_EAGAIN) {
        http_conn_cut(conn);
        return;
    }
    for (; n && sent > 0 && (size_t)sent >= buf->len; n--)
        sent -= (int)buf++->len;
    if (!n) {
        shrink(&conn->out);
        shrink(&conn->cipher);
        drop_keep(conn);
        return;
    }
    if (sent > 0) {
        buf->base += sent;
        buf->len -= (size_t)sent;
    }
    write_rest(conn, buf, n);
}

/* Our side is closed; the peer may still be sending, and a close now would throw away what it has
 * not yet read. */
static void linger(struct http_conn *conn)
{
    uv_os_fd_t fd;

    if (conn->tls) {
        uv_buf_t buf;

        tls_shutdown(conn->tls);
        tls_take_output(conn->tls, &conn->cipher);
        buf = uv_buf_init(conn->cipher.ptr, (unsigned)conn->cipher.len);
        if (conn->cipher.len)
            uv_try_write((uv_stream_t *)&conn->tcp, &buf, 1);
        conn->cipher.len = 0;
    }
    if (conn->is_half || uv_fileno((uv_handle_t *)&conn->tcp, &fd) || shutdown(fd, SHUT_WR)) {
        http_conn_cut(conn);
        return;
    }
    conn->is_lingering = true;
    conn->deadline = now_of(conn) + LINGER_MS;
    set_reading(conn, true);
}

/* ---- answers */

static const char *date_of(struct kp_server *server)
{
    int64_t wall_ms = clock_wall_ms();

    if (wall_ms / 1000 != server->date_s) {
        server->date_s = wall_ms / 1000;
        http_date(wall_ms, server->date);
    }
    return server->date;
}

/* An answer of the server itself, after which the connection ends. */
static void answer_problem(struct http_conn *conn, int status, const char *problem)
{
    static const kp_http_header type = {{"Content-Type", 12}, {"application/json", 16}};
    char body[200];
    int n = snprintf(body, sizeof body, "{\"message\":\"%s\"}", problem);
    struct http_reply reply = {.status = status,
                               .headers = &type,
                               .n_headers = 1,
                               .body_len = (size_t)n,
                               .date = date_of(conn->server),
                               .closes = true};

    http_reply_head(&conn->out, &reply);
    http_out_add(&conn->out, body, (size_t)n);
    conn->is_ending = true;
}

static void put_body(struct http_conn *conn, kp_slice body, kp_slab **keep)
{
    if (*keep && !conn->keep && body.len >= WORTH_KEEPING) {
        conn->keep = *keep;
        conn->keep_body = body;
        *keep = NULL; /* moved */
    } else {
        http_out_add(&conn->out, body.ptr, body.len);
    }
}

/* The request is answered: the next one begins behind it. */
static void next_request(struct http_conn *conn)
{
    conn->in_from += conn->parser.at;
    conn->is_open = conn->is_begun = conn->has_said_continue = false;
    conn->deadline = now_of(conn) + conn->server->idle_timeout_ms;
    http_parser_reset(&conn->parser);
}

/* True: the peer is gone, and with it the last reason to keep the connection's memory. */
static bool is_orphan(struct http_conn *conn)
{
    if (!conn->is_open)
        bug("an HTTP exchange is answered twice");
    if (!conn->is_gone)
        return false;
    conn->is_open = false;
    if (conn->is_closed)
        conn_free(conn);
    return true;
}

void http_server_respond(kp_exchange *exchange, int status, const kp_http_header *headers,
                         size_t n_headers, kp_slice body, kp_slab *keep)
{
    struct http_conn *conn = exchange->conn;
    struct http_reply reply;
    bool is_head;

    if (is_orphan(conn)) {
        slab_unref(keep);
        return;
    }
    is_head = conn->parser.method.len == 4 &&
              !memcmp(conn->in + conn->in_from + conn->parser.method.at, "HEAD", 4);
    reply = (struct http_reply){.status = status,
                                .headers = headers,
                                .n_headers = n_headers,
                                .body_len = body.len,
                                .date = date_of(conn->server),
                                .is_10 = conn->parser.is_10,
                                .closes = !http_parser_keeps_alive(&conn->parser) ||
                                          conn->server->is_stopped};
    if (!http_reply_head(&conn->out, &reply))
        answer_problem(conn, 500, "the answer cannot be sent");
    else if (!is_head && http_reply_has_body(status))
        put_body(conn, body, &keep);
    slab_unref(keep);
    conn->is_ending |= reply.closes;
    next_request(conn);
    conn_run(conn);
}

void http_server_abort(kp_exchange *exchange)
{
    struct http_conn *conn = exchange->conn;

    if (is_orphan(conn))
        return;
    conn->is_open = false;
    flush(conn); /* answers to requests before this one */
    http_conn_cut(conn);
}

/* ---- requests */

static void hand_over(struct http_conn *conn)
{
    struct kp_server *server = conn->server;
    kp_server_request request = {.peer = {conn->peer, conn->peer_len}, .connection = conn->number};

    http_parser_request(&conn->parser, conn->in + conn->in_from, &request);
    conn->is_open = true;
    server->fn(server->node, server->arg, &conn->exchange, &request);
}

static void say_continue(struct http_conn *conn)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (conn->has_said_continue || !conn->parser.wants_continue ||
        !http_parser_head_done(&conn->parser))
        return;
    conn->has_said_continue = true;
    http_out_add(&conn->out, line, sizeof line - 1);
}

/* Takes one request from what was read. False: there is none that could be taken now. */
static bool take_request(struct http_conn *conn)
{
    char *request;

    if (conn->keep || conn->out.len >= FLUSH_AT)
        flush(conn);
    if (conn->is_gone || is_waiting(conn) || conn->in_from == conn->in_to)
        return false;
    if (!conn->is_begun) {
        conn->is_begun = true;
        conn->deadline = now_of(conn) + conn->server->read_timeout_ms;
    }
    request = conn->in + conn->in_from;
    switch (http_parser_feed(&conn->parser, request, conn->in_to - conn->in_from)) {
    case HTTP_MORE:
        conn->in_to = conn->in_from +
                      http_parser_compact(&conn->parser, request, conn->in_to - conn->in_from);
        say_continue(conn);
        return false;
    case HTTP_BAD: answer_problem(conn, conn->parser.status, conn->parser.problem); return false;
    case HTTP_DONE: hand_over(conn); break;
    }
    return !conn->is_open;
}

/* Does all that can be done now: requests, answers, the end. */
static void conn_run(struct http_conn *conn)
{
    if (conn->is_running || conn->is_gone)
        return;
    conn->is_running = true;
    if (conn->tls && !is_waiting(conn))
        pull_plain(conn);
    while (take_request(conn))
        ;
    flush(conn);
    conn->is_running = false;
    if (conn->is_gone)
        return;
    if (conn->is_open || conn->is_writing)
        set_reading(conn,
                    conn->tls ? tls_backlog(conn->tls) < HTTP_SCRATCH : conn->in_to < conn->in_cap);
    else if (conn->is_ending)
        linger(conn);
    else if (conn->has_eof)
        http_conn_cut(conn);
    else
        set_reading(conn, true);
}

void http_conn_end(struct http_conn *conn)
{
    conn->is_ending = true;
    conn_run(conn);
}

bool http_conn_is_idle(const struct http_conn *conn)
{
    return !conn->is_open && !conn->is_begun && !conn->is_writing && !conn->is_ending;
}

void http_conn_expired(struct http_conn *conn)
{
    size_t unsent = uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp);

    if (conn->is_lingering) {
        http_conn_cut(conn);
    } else if (conn->is_writing) {
        if (unsent >= conn->unsent) {
            http_conn_cut(conn); /* the peer has read nothing since */
            return;
        }
        conn->unsent = unsent;
        conn->deadline = now_of(conn) + WRITE_TIMEOUT_MS;
    } else if (!conn->is_open) {
        if (conn->is_begun)
            answer_problem(conn, 408, "the request took too long");
        http_conn_end(conn);
    }
}

/* ---- beginning */

static void set_peer(struct http_conn *conn)
{
    struct sockaddr_storage address;
    char host[INET6_ADDRSTRLEN] = "";
    int len = sizeof address, n;

    if (uv_tcp_getpeername(&conn->tcp, (struct sockaddr *)&address, &len))
        return;
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;

        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        n = snprintf(conn->peer, sizeof conn->peer, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address;

        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        n = snprintf(conn->peer, sizeof conn->peer, "%s:%u", host, ntohs(in->sin_port));
    }
    conn->peer_len = (uint8_t)n;
}

static void put_first(struct http_conn *conn)
{
    struct kp_server *server = conn->server;

    conn->next = server->conns;
    if (server->conns)
        server->conns->prev = conn;
    server->conns = conn;
    server->n_conns++;
}

/* One connection too many: it is told so, unless very many are just being told. */
static void refuse_conn(struct http_conn *conn)
{
    struct kp_server *server = conn->server;

    if (server->tls || server->n_refused >= MAX_REFUSED) {
        http_conn_cut(conn);
        return;
    }
    conn->is_refused = true;
    server->n_refused++;
    answer_problem(conn, 503, "there are too many connections");
    http_conn_end(conn);
}

void http_conn_accept(struct kp_server *server, uv_stream_t *listener)
{
    struct http_conn *conn = mem_new(sizeof *conn);
    bool is_one_too_many = server->n_conns - server->n_refused >= server->max_connections;

    conn->server = server;
    conn->exchange.conn = conn;
    conn->tcp.data = conn;
    conn->is_paused = true;
    conn->number = atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1;
    http_parser_init(&conn->parser, &server->limits);
    uv_tcp_init(server->loop, &conn->tcp);
    server->n_handles++;
    put_first(conn);
    if (uv_accept(listener, (uv_stream_t *)&conn->tcp)) {
        http_conn_cut(conn);
        return;
    }
    uv_tcp_nodelay(&conn->tcp, 1);
    if (is_one_too_many) {
        refuse_conn(conn);
        return;
    }
    set_peer(conn);
    conn->deadline =
        now_of(conn) + (server->tls ? server->read_timeout_ms : server->idle_timeout_ms);
    if (server->tls)
        conn->tls = tls_new(server->tls);
    set_reading(conn, true);
}
