/* http2.c - see http2.h: streams, the protocol of a connection, time-outs and end.
 *
 * nghttp2 is given bytes as they come and asked for bytes when the socket takes
 * some. Its callbacks (http2_session.c) only note what happened; handlers are
 * called by run(), when no callback is on the stack.
 */
#include "core/net/http2.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/net/http2_stream.h"

#define MAX_LOOK_MS 250
#define MAX_ROUNDS  8

enum http2_preface http2_is_preface(const char *p, size_t n)
{
    size_t len = NGHTTP2_CLIENT_MAGIC_LEN;

    if (memcmp(p, NGHTTP2_CLIENT_MAGIC, n < len ? n : len))
        return HTTP2_NO;
    return n < len ? HTTP2_MAYBE : HTTP2_YES;
}

/* ---- streams */

static void unref(struct http2 *http2)
{
    if (!--http2->refs)
        free(http2);
}

static void stop_ready(struct http2_stream *stream)
{
    if (stream->is_ready)
        TAILQ_REMOVE(&stream->http2->ready, stream, ready_link);
    stream->is_ready = false;
}

void http2_stream_free(struct http2_stream *stream)
{
    struct http2 *http2 = stream->http2;

    stop_ready(stream);
    if (stream->is_live)
        TAILQ_REMOVE(&http2->live, stream, link);
    else if (stream->is_lost)
        TAILQ_REMOVE(&http2->lost, stream, link);
    http2->n_streams--;
    http2_request_free(stream);
    http2_answer_free(stream);
    free(stream);
    unref(http2);
}

struct http2_stream *http2_stream_new(struct http2 *http2, int32_t id)
{
    struct http2_stream *stream = mem_new(sizeof *stream);

    stream->http2 = http2;
    http2->refs++;
    http2->n_streams++;
    stream->id = id;
    stream->deadline = http_conn_now(http2->conn) + http2->conn->server->read_timeout_ms;
    stream->is_live = true;
    TAILQ_INSERT_TAIL(&http2->live, stream, link);
    return stream;
}

void http2_reset(struct http2_stream *stream, uint32_t code)
{
    nghttp2_submit_rst_stream(stream->http2->session, NGHTTP2_FLAG_NONE, stream->id, code);
}

static void lose(struct http2_stream *stream, struct kp_server *server)
{
    if (http_exchange_lost(&stream->exchange, server))
        http2_stream_free(stream);
}

static void tell_lost(struct http2 *http2)
{
    struct http2_stream *stream;

    while ((stream = TAILQ_FIRST(&http2->lost))) {
        TAILQ_REMOVE(&http2->lost, stream, link);
        stream->is_lost = false;
        lose(stream, http2->conn->server);
    }
}

/* ---- the protocol of a connection */

static void pump(struct http2 *http2)
{
    struct http_conn *conn = http2->conn;
    const uint8_t *p;
    ssize_t n;

    while (!conn->is_writing && conn->out.bytes.len < HTTP_FLUSH_AT) {
        n = nghttp2_session_mem_send(http2->session, &p);
        if (n < 0)
            http_conn_cut(conn);
        if (n <= 0)
            return;
        http_out_add(&conn->out.bytes, (const char *)p, (size_t)n);
    }
    http2->has_more = true;
}

static void hand_over(struct http2 *http2)
{
    struct kp_server *server = http2->conn->server;
    struct http2_stream *stream;
    kp_server_request request;

    while (!http2->conn->is_gone && (stream = TAILQ_FIRST(&http2->ready))) {
        stop_ready(stream);
        http2_request_fill(stream, &request);
        http_exchange_open(&stream->exchange, &http2_answers, http2->conn);
        server->fn(server->node, server->arg, &stream->exchange, &request);
    }
}

/* True if somebody was told that there is room again. */
static bool tell_drained(struct http2 *http2)
{
    struct http2_stream *stream, *next;
    bool told = false;

    for (stream = TAILQ_FIRST(&http2->live); stream && !http2->conn->is_gone; stream = next) {
        next = TAILQ_NEXT(stream, link);
        if (!stream->queued)
            told |= http_exchange_tell_drained(&stream->exchange, http2->conn->server);
    }
    return told;
}

static void run(struct http_conn *conn)
{
    struct http2 *http2 = conn->http2;
    bool goes_on = false;
    int round = 0;

    if (conn->has_eof) {
        http_conn_cut(conn);
        return;
    }
    http2->has_more = false;
    hand_over(http2);
    do {
        pump(http2);
        if (http2->n_calls) /* nobody is told of anything inside a call of his own */
            break;
        tell_lost(http2);
        goes_on = tell_drained(http2);
    } while (goes_on && ++round < MAX_ROUNDS && !conn->is_gone);
    if (conn->is_gone)
        return;
    http2->has_more |= goes_on;
    if (!conn->is_writing)
        conn->deadline = http2->look_at;
    if (!nghttp2_session_want_read(http2->session) && !nghttp2_session_want_write(http2->session))
        conn->is_ending = true;
}

static bool sent(struct http_conn *conn)
{
    return conn->http2->has_more;
}

static uv_buf_t room(struct http_conn *conn)
{
    return uv_buf_init(conn->server->scratch, HTTP_SCRATCH);
}

static void take(struct http2 *http2, const char *p, size_t n)
{
    if (http2->has_failed || !n)
        return;
    if (nghttp2_session_mem_recv(http2->session, (const uint8_t *)p, n) < 0) {
        http2->has_failed = true; /* a GOAWAY is on its way, if the peer speaks HTTP/2 at all */
        nghttp2_session_terminate_session(http2->session, NGHTTP2_PROTOCOL_ERROR);
    }
}

static void took(struct http_conn *conn, size_t n)
{
    take(conn->http2, conn->server->scratch, n);
}

static bool is_busy(const struct http_conn *conn)
{
    return !conn->is_ending;
}

static bool wants_more(const struct http_conn *conn)
{
    (void)conn;
    return true;
}

static bool is_watched(const struct http_conn *conn)
{
    (void)conn;
    return false; /* it is always read from */
}

static void say_goodbye(struct http2 *http2)
{
    nghttp2_submit_goaway(http2->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(http2->session), NGHTTP2_NO_ERROR,
                          NULL, 0);
}

static void stop(struct http_conn *conn)
{
    say_goodbye(conn->http2);
    http_conn_run(conn);
}

/* ---- time-outs */

static void look_later(struct http2 *http2)
{
    const struct kp_server *server = http2->conn->server;
    int64_t every = server->idle_timeout_ms < server->read_timeout_ms ? server->idle_timeout_ms
                                                                      : server->read_timeout_ms;

    every /= 4;
    http2->look_at = http_conn_now(http2->conn) + (every > MAX_LOOK_MS ? MAX_LOOK_MS
                                                   : every < 1         ? 1
                                                                       : every);
}

static void look_at_stream(struct http2_stream *stream, int64_t now)
{
    if (stream->deadline > now)
        return;
    if (!stream->is_complete && !stream->is_refused) {
        http2_request_refuse(stream, 408, "the request took too long");
        http2_answer_refusal(stream);
    } else if (stream->queued) {
        http2_reset(stream, NGHTTP2_CANCEL); /* the peer has not opened its window since */
    }
}

static void expired(struct http_conn *conn)
{
    struct http2 *http2 = conn->http2;
    struct http2_stream *stream;
    int64_t now = http_conn_now(conn);

    look_later(http2);
    TAILQ_FOREACH(stream, &http2->live, link)
    look_at_stream(stream, now);
    if (TAILQ_EMPTY(&http2->live) && http2->idle_until <= now)
        nghttp2_session_terminate_session(http2->session, NGHTTP2_NO_ERROR);
    http_conn_run(conn);
}

/* ---- beginning and end */

void http2_begin(struct http_conn *conn)
{
    struct http2 *http2 = mem_new(sizeof *http2);
    struct http1 *h = &conn->http1;
    int64_t now = http_conn_now(conn);

    http2->conn = conn;
    http2->refs = 1;
    TAILQ_INIT(&http2->live);
    TAILQ_INIT(&http2->lost);
    TAILQ_INIT(&http2->ready);
    http2->frames = HTTP2_FRAMES;
    http2->frames_at = now;
    http2->idle_until = now + conn->server->idle_timeout_ms;
    http2->peer_len = conn->peer_len;
    memcpy(http2->peer, conn->peer, sizeof http2->peer);
    http2->session = http2_session_new(http2);
    look_later(http2);
    conn->http2 = http2;
    conn->protocol = &http2_protocol;
    conn->is_begun = false;
    if (conn->server->is_stopped)
        say_goodbye(http2);
    take(http2, h->in + h->in_from, h->in_to - h->in_from);
    free(h->in);
    h->in = NULL;
    h->in_from = h->in_to = h->in_cap = 0;
}

static void closed(struct http_conn *conn)
{
    struct kp_server *server = conn->server;
    struct http2 *http2 = conn->http2;
    struct http2_stream *stream;

    tell_lost(http2);
    nghttp2_session_del(http2->session);
    http2->session = NULL;
    while ((stream = TAILQ_FIRST(&http2->live))) {
        TAILQ_REMOVE(&http2->live, stream, link);
        stream->is_live = false;
        lose(stream, server);
    }
    http2->conn = NULL;
    conn->server = NULL;
    unref(http2);
    http_conn_free(conn);
}

const struct http_protocol http2_protocol = {
    .room = room,
    .took = took,
    .run = run,
    .sent = sent,
    .is_busy = is_busy,
    .wants_more = wants_more,
    .is_watched = is_watched,
    .stop = stop,
    .expired = expired,
    .closed = closed,
};
