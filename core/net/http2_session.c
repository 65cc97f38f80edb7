/* http2_session.c - what nghttp2 calls for the frames of a connection.
 *
 * Requests collect in their streams, and those that are complete in `ready`. Limits
 * are kept here: of streams, bodies, and frames that bring nothing.
 */
#include "core/base/error.h"
#include "core/net/http2_stream.h"

#define MAX_HEAD_BLOCK    (1 << 20) /* of an answer, bytes */
#define MAX_CONTINUATIONS ((size_t)9 * (HTTP2_FRAMES + 1))

/* nghttp2 counts each piece of a frame's head that comes as a frame, and by default bears 8: so
 * its verdict would depend on how the bytes were split. spend_frame() counts them instead. Older
 * versions know no limit and lack the function. */
#pragma weak nghttp2_option_set_max_continuations
void nghttp2_option_set_max_continuations(nghttp2_option *option, size_t max);

static struct http2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* The stream is closed. Its handler, if it still has it, is told by run(). */
static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct http2_stream *stream = stream_of(session, id);
    struct http2 *http2 = arg;

    (void)code;
    if (!stream)
        return 0;
    http2->idle_until = http_conn_now(http2->conn) + http2->conn->server->idle_timeout_ms;
    if (stream->exchange.stage == HTTP_NO_EXCHANGE) {
        http2_stream_free(stream);
        return 0;
    }
    TAILQ_REMOVE(&http2->live, stream, link);
    TAILQ_INSERT_TAIL(&http2->lost, stream, link);
    stream->is_live = false;
    stream->is_lost = true;
    stream->exchange.conn = NULL;
    http2_answer_free(stream);
    return 0;
}

/* ---- frames that bring nothing */

static void spend_frame(struct http2 *http2)
{
    int64_t now = http_conn_now(http2->conn);

    http2->frames += (now - http2->frames_at) * HTTP2_FRAMES_PER_S / 1000;
    http2->frames_at = now;
    if (http2->frames > HTTP2_FRAMES)
        http2->frames = HTTP2_FRAMES;
    if (--http2->frames >= 0)
        return;
    http2->has_failed = true;
    nghttp2_session_terminate_session(http2->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *arg)
{
    (void)session;
    switch (head->type) {
    case NGHTTP2_PRIORITY:
    case NGHTTP2_RST_STREAM:
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PING:
    case NGHTTP2_CONTINUATION: spend_frame(arg); break;
    case NGHTTP2_DATA:
        if (!head->length && !(head->flags & NGHTTP2_FLAG_END_STREAM))
            spend_frame(arg);
        break;
    default: break;
    }
    return 0;
}

/* ---- requests */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct http2 *http2 = arg;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (http2->n_streams >= HTTP2_EXCHANGES) {
        spend_frame(http2);
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                  NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id,
                                         http2_stream_new(http2, frame->hd.stream_id));
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    struct http2_stream *stream = stream_of(session, frame->hd.stream_id);

    (void)flags, (void)arg;
    if (stream && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        http2_request_field(stream, (kp_slice){(const char *)name, name_len},
                            (kp_slice){(const char *)value, value_len});
    return 0; /* trailers are checked by nghttp2 and left out */
}

static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *arg)
{
    (void)session, (void)frame, (void)name, (void)value, (void)flags, (void)arg;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream, instead of leaving it out */
}

static void say_continue(struct http2_stream *stream)
{
    static const nghttp2_nv status = {(uint8_t *)":status", (uint8_t *)"100", 7, 3, 0};

    nghttp2_submit_headers(stream->http2->session, NGHTTP2_FLAG_NONE, stream->id, NULL, &status, 1,
                           NULL);
}

/* A part of the request ends with this frame. */
static void took_part(struct http2_stream *stream, const nghttp2_frame *frame)
{
    struct http2 *http2 = stream->http2;
    bool is_last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        http2_request_head(stream, &http2->conn->server->limits);
        stream->is_complete = is_last;
        if (stream->status)
            http2_answer_refusal(stream);
        else if (stream->expects && !is_last)
            say_continue(stream);
    }
    if (!is_last)
        return;
    stream->is_complete = true;
    if (stream->is_refused || stream->is_ready)
        return;
    stream->is_ready = true;
    TAILQ_INSERT_TAIL(&http2->ready, stream, ready_link);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct http2_stream *stream;

    (void)arg;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    stream = stream_of(session, frame->hd.stream_id);
    if (stream)
        took_part(stream, frame);
    return 0;
}

static size_t max_bodies(const struct http2 *http2)
{
    size_t four = http2->conn->server->limits.max_body * 4;

    return four > HTTP2_BODIES ? four : HTTP2_BODIES;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                   void *arg)
{
    struct http2_stream *stream = stream_of(session, id);
    struct http2 *http2 = arg;

    (void)flags;
    if (!stream || stream->is_refused)
        return 0;
    if (n > http2->conn->server->limits.max_body - stream->body.len) {
        http2_request_refuse(stream, 413, "the body is too long");
        http2_answer_refusal(stream);
        return 0;
    }
    if (n > max_bodies(http2) - http2->body_bytes) { /* may be sent again later */
        stream->is_refused = true;
        http2_request_free(stream);
        http2_reset(stream, NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    http_out_add(&stream->body, (const char *)p, n);
    http2->body_bytes += n;
    return 0;
}

/* ---- answers */

/* An early answer has gone out: the rest of the request is not wanted. */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct http2_stream *stream;

    (void)arg;
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    stream = stream_of(session, frame->hd.stream_id);
    if (stream && !stream->is_complete)
        http2_reset(stream, NGHTTP2_NO_ERROR);
    return 0;
}

/* The head of an answer is larger than can be sent. */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int error,
                             void *arg)
{
    struct http2_stream *stream;

    (void)error, (void)arg;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    stream = stream_of(session, frame->hd.stream_id);
    if (stream)
        http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
    return 0;
}

/* ---- the session */

static void greet(nghttp2_session *session, const struct kp_server *server)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)server->limits.max_head},
    };

    if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
                                sizeof settings / sizeof *settings) ||
        nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, HTTP2_WINDOW))
        bug("nghttp2 is out of memory");
}

nghttp2_session *http2_session_new(struct http2 *http2)
{
    nghttp2_session_callbacks *calls = NULL;
    nghttp2_session *session = NULL;
    nghttp2_option *option = NULL;

    if (nghttp2_session_callbacks_new(&calls) || nghttp2_option_new(&option))
        bug("nghttp2 is out of memory");
    nghttp2_session_callbacks_set_on_begin_frame_callback(calls, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(calls, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(calls, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(calls, on_frame_not_send);
    nghttp2_session_callbacks_set_send_data_callback(calls, http2_send_data);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_send_header_block_length(option, MAX_HEAD_BLOCK);
    if (nghttp2_option_set_max_continuations)
        nghttp2_option_set_max_continuations(option, MAX_CONTINUATIONS);
    if (nghttp2_session_server_new2(&session, calls, http2, option))
        bug("nghttp2 is out of memory");
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(calls);
    greet(session, http2->conn->server);
    return session;
}
