/* http_conn.c - see http_conn.h.
 *
 * What a protocol puts collects in `out` and is written when nothing more can be
 * done for now, so that pipelined answers share a write. What the socket does not
 * take at once becomes the write under way; what is put meanwhile collects anew.
 */
#include "core/net/http_conn.h"

#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/net/tls.h"

#define LINGER_MS    2000
#define LINGER_BYTES 1048576 /* read and thrown away at most */
#define MAX_ROUNDS   16

int64_t http_conn_now(const struct http_conn *conn)
{
    return (int64_t)uv_now(conn->server->loop);
}

const char *http_conn_date(const struct http_conn *conn)
{
    struct kp_server *server = conn->server;
    int64_t wall_ms = clock_wall_ms();

    if (wall_ms / 1000 != server->date_s) {
        server->date_s = wall_ms / 1000;
        http_date(wall_ms, server->date);
    }
    return server->date;
}

/* ---- end of life */

void http_conn_free(struct http_conn *conn)
{
    http_parser_fini(&conn->http1.parser);
    free(conn->http1.in);
    free(conn);
}

static void on_closed(uv_handle_t *handle)
{
    struct http_conn *conn = handle->data;
    struct kp_server *server = conn->server;

    http_output_fini(&conn->out);
    http_output_fini(&conn->sending);
    free(conn->cipher.ptr);
    tls_free(conn->tls);
    conn->tls = NULL;
    conn->is_closed = true;
    conn->protocol->closed(conn);
    http_server_handle_gone(server);
}

/* False: it is on its way already. */
static bool begin_close(struct http_conn *conn)
{
    struct kp_server *server = conn->server;

    if (conn->is_gone)
        return false;
    conn->is_gone = true;
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        server->conns = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    server->n_conns--;
    server->n_refused -= conn->is_refused;
    return true;
}

void http_conn_cut(struct http_conn *conn)
{
    if (begin_close(conn))
        uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

/* A reset throws away what the peer has not yet acknowledged: that is waited for. */
static void reset_when_sent(struct http_conn *conn)
{
    int64_t now = http_conn_now(conn);
    uv_os_fd_t fd;
    int unsent = 0;

    if (!conn->cut_until)
        conn->cut_until = now + conn->server->write_timeout_ms;
    if (now < conn->cut_until && !uv_fileno((uv_handle_t *)&conn->tcp, &fd) &&
        !ioctl(fd, SIOCOUTQ, &unsent) && unsent) {
        conn->deadline = now; /* looked at again by the next sweep */
        return;
    }
    if (begin_close(conn) && uv_tcp_close_reset(&conn->tcp, on_closed))
        uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

/* ---- reading */

/* Plain bytes out of what the TLS connection holds, as far as there is room. */
static void pull_plain(struct http_conn *conn)
{
    enum tls_result result = TLS_OK;
    uv_buf_t room;
    size_t n;

    while (result == TLS_OK && !conn->is_gone) {
        room = conn->protocol->room(conn);
        if (!room.len)
            return;
        result = tls_read(conn->tls, room.base, room.len, &n);
        conn->protocol->took(conn, n);
    }
    if (result == TLS_ENDED)
        conn->has_eof = true;
    if (result == TLS_BROKEN)
        conn->has_eof = conn->is_ending = true; /* an alert may have to be sent */
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct http_conn *conn = handle->data;

    (void)suggested;
    if (conn->is_sniffing)
        *buf = uv_buf_init(conn->server->scratch, 1);
    else if (conn->tls || conn->is_lingering)
        *buf = uv_buf_init(conn->server->scratch, HTTP_SCRATCH);
    else
        *buf = conn->protocol->room(conn);
}

/* The first byte of a connection that may be plain or TLS. */
static void sniff(struct http_conn *conn, char first)
{
    uv_buf_t room;

    conn->is_sniffing = false;
    if (first == 0x16) { /* a TLS handshake record, RFC 8446 section 5.1 */
        conn->tls = tls_new(conn->server->tls);
        tls_feed(conn->tls, &first, 1);
        return;
    }
    room = conn->protocol->room(conn);
    *room.base = first;
    conn->protocol->took(conn, 1);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct http_conn *conn = stream->data;

    if (n == 0)
        return;
    conn->rounds = 0;
    if (n < 0) {
        if (n != UV_EOF || conn->is_lingering) {
            http_conn_cut(conn);
            return;
        }
        conn->has_eof = conn->is_half = conn->is_paused = true;
        uv_read_stop(stream);
    } else if (conn->is_lingering) {
        conn->lingered += (size_t)n;
        if (conn->lingered > LINGER_BYTES)
            http_conn_cut(conn);
        return;
    } else if (conn->is_sniffing) {
        sniff(conn, *buf->base);
    } else if (conn->tls) {
        tls_feed(conn->tls, buf->base, (size_t)n);
    } else {
        conn->protocol->took(conn, (size_t)n);
    }
    http_conn_run(conn);
}

void http_conn_read(struct http_conn *conn, bool wanted)
{
    if (wanted == !conn->is_paused || (wanted && conn->is_half))
        return;
    conn->is_paused = !wanted;
    if (!wanted)
        uv_read_stop((uv_stream_t *)&conn->tcp);
    else if (uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read))
        http_conn_cut(conn);
}

void http_conn_look(struct http_conn *conn)
{
    struct pollfd poller = {.events = POLLRDHUP};
    uv_os_fd_t fd;

    if (!conn->protocol->is_watched(conn) || uv_fileno((uv_handle_t *)&conn->tcp, &fd))
        return;
    poller.fd = fd;
    if (poll(&poller, 1, 0) > 0)
        http_conn_cut(conn);
}

/* ---- writing */

static void on_written(uv_write_t *write, int status)
{
    struct http_conn *conn = write->data;
    struct kp_server *server = conn->server;

    if (conn->is_gone)
        return;
    conn->is_writing = false;
    conn->rounds = 0;
    http_output_clear(&conn->sending);
    conn->deadline =
        http_conn_now(conn) + (conn->is_begun ? server->read_timeout_ms : server->idle_timeout_ms);
    if (status < 0)
        http_conn_cut(conn);
    else
        http_conn_run(conn);
}

size_t http_conn_waiting(const struct http_conn *conn)
{
    size_t n = http_output_len(&conn->out) + conn->cipher.len;

    return conn->is_writing ? n + uv_stream_get_write_queue_size((const uv_stream_t *)&conn->tcp)
                            : n;
}

static unsigned collect_output(struct http_conn *conn, uv_buf_t bufs[HTTP_OUTPUT_BUFS])
{
    unsigned n = http_output_bufs(&conn->out, bufs);

    if (!conn->tls)
        return n;
    for (unsigned i = 0; i < n; i++)
        if (!tls_write(conn->tls, bufs[i].base, bufs[i].len))
            conn->is_ending = true;
    http_output_clear(&conn->out);
    tls_take_output(conn->tls, &conn->cipher);
    if (!conn->cipher.len)
        return 0;
    bufs[0] = uv_buf_init(conn->cipher.ptr, (unsigned)conn->cipher.len);
    return 1;
}

/* The rest of the output belongs to the write; what is put meanwhile collects anew. */
static void write_rest(struct http_conn *conn, const uv_buf_t *bufs, unsigned n)
{
    uv_stream_t *stream = (uv_stream_t *)&conn->tcp;

    if (conn->tls) {
        struct http_out spare = conn->sending.bytes;

        conn->sending.bytes = conn->cipher;
        conn->cipher = spare;
    } else {
        struct http_output spare = conn->sending;

        conn->sending = conn->out;
        conn->out = spare;
    }
    conn->write.data = conn;
    conn->is_writing = true;
    if (uv_write(&conn->write, stream, bufs, n, on_written)) {
        http_conn_cut(conn);
        return;
    }
    conn->unsent = uv_stream_get_write_queue_size(stream);
    conn->deadline = http_conn_now(conn) + conn->server->write_timeout_ms;
}

void http_conn_flush(struct http_conn *conn)
{
    uv_buf_t bufs[HTTP_OUTPUT_BUFS], *buf = bufs;
    unsigned n = conn->is_writing || conn->is_gone ? 0 : collect_output(conn, bufs);
    int sent = 0;

    if (!n)
        return;
    if (conn->rounds++ < MAX_ROUNDS) /* else others have their turn first */
        sent = uv_try_write((uv_stream_t *)&conn->tcp, bufs, n);
    if (sent < 0 && sent != UV_EAGAIN) {
        http_conn_cut(conn);
        return;
    }
    for (; n && sent > 0 && (size_t)sent >= buf->len; n--)
        sent -= (int)buf++->len;
    if (!n) {
        http_output_clear(&conn->out);
        http_out_clear(&conn->cipher);
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
    conn->deadline = http_conn_now(conn) + LINGER_MS;
    http_conn_read(conn, true);
}

/* ---- driving */

/* Nothing can be done for now: read on, or end. */
static void settle(struct http_conn *conn)
{
    if (conn->protocol->is_busy(conn) || conn->is_writing)
        http_conn_read(conn, conn->tls ? tls_backlog(conn->tls) < HTTP_SCRATCH
                                       : conn->protocol->wants_more(conn));
    else if (conn->is_cutting)
        reset_when_sent(conn);
    else if (conn->is_ending)
        linger(conn);
    else if (conn->has_eof)
        http_conn_cut(conn);
    else
        http_conn_read(conn, true);
}

void http_conn_run(struct http_conn *conn)
{
    if (conn->is_running || conn->is_gone || conn->is_lingering)
        return;
    conn->is_running = true;
    if (conn->tls)
        pull_plain(conn);
    do {
        if (!conn->is_gone)
            conn->protocol->run(conn);
        http_conn_flush(conn);
    } while (!conn->is_gone && !conn->is_writing && !http_conn_waiting(conn) &&
             conn->protocol->sent(conn));
    conn->is_running = false;
    if (!conn->is_gone)
        settle(conn);
}

void http_conn_end(struct http_conn *conn)
{
    conn->is_ending = true;
    http_conn_run(conn);
}

void http_conn_expired(struct http_conn *conn)
{
    size_t unsent = uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp);

    conn->rounds = 0;
    if (conn->is_lingering) {
        http_conn_cut(conn);
    } else if (conn->is_writing) {
        if (unsent >= conn->unsent) {
            http_conn_cut(conn); /* the peer has read nothing since */
            return;
        }
        conn->unsent = unsent;
        conn->deadline = http_conn_now(conn) + conn->server->write_timeout_ms;
    } else if (conn->is_cutting) {
        http_conn_run(conn);
    } else {
        conn->protocol->expired(conn);
    }
}
