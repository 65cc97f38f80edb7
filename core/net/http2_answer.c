/* http2_answer.c - answers of HTTP/2 streams.
 *
 * What is put waits in the stream's pieces; nghttp2 asks for it when the peer's
 * windows and the connection's output have room, so that what is under way stays
 * small and no stream keeps the others from theirs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/slab.h"
#include "core/net/http2_stream.h"

#define MAX_PROBLEM 200

static struct http2_stream *stream_of(kp_exchange *x)
{
    return (struct http2_stream *)x; /* its first member */
}

/* ---- pieces */

static void drop_piece(struct http2_stream *stream)
{
    struct http2_piece *piece = stream->first;

    stream->first = piece->next;
    if (!stream->first)
        stream->last = NULL;
    slab_unref(piece->slab);
    free(piece);
}

void http2_answer_free(struct http2_stream *stream)
{
    while (stream->first)
        drop_piece(stream);
    stream->queued = 0;
}

static void progressed(struct http2_stream *stream)
{
    struct http_conn *conn = stream->http2->conn;

    stream->deadline = http_conn_now(conn) + conn->server->write_timeout_ms;
}

/* More can be sent than nghttp2 was told last. */
static void resume(struct http2_stream *stream)
{
    if (!stream->is_deferred)
        return;
    stream->is_deferred = false;
    nghttp2_session_resume_data(stream->http2->session, stream->id);
}

static void put(struct http2_stream *stream, kp_slice bytes, kp_slab **keep)
{
    bool keeps = *keep && bytes.len >= HTTP_WORTH_KEEPING;
    struct http2_piece *piece;

    if (!bytes.len || stream->omits_body)
        return;
    piece = mem_new(sizeof *piece + (keeps ? 0 : bytes.len));
    if (keeps) {
        piece->slab = *keep;
        *keep = NULL; /* moved */
        piece->left = bytes;
    } else {
        memcpy(piece + 1, bytes.ptr, bytes.len);
        piece->left = (kp_slice){(char *)(piece + 1), bytes.len};
    }
    if (stream->last)
        stream->last->next = piece;
    else
        stream->first = piece;
    stream->last = piece;
    if (!stream->queued)
        progressed(stream);
    stream->queued += bytes.len;
    resume(stream);
}

/* ---- what nghttp2 asks for */

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t max,
                       uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct http2_stream *stream = source->ptr;

    (void)session, (void)id, (void)buf, (void)arg;
    if (!stream->queued && stream->is_cut)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    if (!stream->queued && !stream->is_finished) {
        stream->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (stream->queued <= max && stream->is_finished && !stream->is_cut)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)(stream->queued < max ? stream->queued : max);
}

int http2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t n,
                    nghttp2_data_source *source, void *arg)
{
    struct http2_stream *stream = source->ptr;
    struct http2 *http2 = arg;
    struct http_out *out = &http2->conn->out.bytes;

    (void)session, (void)frame;
    if (out->len >= HTTP_FLUSH_AT) {
        http2->has_more = true;
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    http_out_add(out, (const char *)head, 9);
    stream->queued -= n;
    while (n) {
        kp_slice *left = &stream->first->left;
        size_t part = n < left->len ? n : left->len;

        http_out_add(out, left->ptr, part);
        left->ptr += part;
        left->len -= part;
        n -= part;
        if (!left->len)
            drop_piece(stream);
    }
    progressed(stream);
    return 0;
}

/* ---- the head */

/* Names in lower case, in `names`, which does not move meanwhile. */
static size_t add_header(nghttp2_nv *nv, struct http_out *names, const kp_http_header *header)
{
    char *name = names->ptr + names->len;

    for (size_t i = 0; i < header->name.len; i++) {
        char c = header->name.ptr[i];

        name[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    names->len += header->name.len;
    *nv = (nghttp2_nv){(uint8_t *)name, (uint8_t *)header->value.ptr, header->name.len,
                       header->value.len, NGHTTP2_NV_FLAG_NONE};
    return 1;
}

static size_t add_text(nghttp2_nv *nv, const char *name, const char *value)
{
    *nv = (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
                       NGHTTP2_NV_FLAG_NONE};
    return 1;
}

static void submit(struct http2_stream *stream, const struct http_reply *reply, size_t bytes)
{
    nghttp2_nv *nv = mem_new((reply->n_headers + 3) * sizeof *nv);
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = on_read};
    struct http_out names = {0};
    char status[12], length[24];
    size_t n = 0;

    http_out_room(&names, bytes);
    snprintf(status, sizeof status, "%d", reply->status);
    n += add_text(nv + n, ":status", status);
    n += add_text(nv + n, "date", http_conn_date(stream->http2->conn));
    for (size_t i = 0; i < reply->n_headers; i++)
        if (!http_reply_is_servers(reply->headers[i].name))
            n += add_header(nv + n, &names, &reply->headers[i]);
    if (http_reply_has_body(reply->status) && reply->body_len != HTTP_LENGTH_UNKNOWN) {
        snprintf(length, sizeof length, "%zu", reply->body_len);
        n += add_text(nv + n, "content-length", length);
    }
    stream->omits_body = reply->omits_body;
    nghttp2_submit_response(stream->http2->session, stream->id, nv, n,
                            reply->omits_body || !reply->body_len ? NULL : &provider);
    free(names.ptr);
    free(nv);
}

void http2_answer_problem(struct http2_stream *stream, int status, const char *problem)
{
    static const kp_http_header type = {{"content-type", 12}, {"application/json", 16}};
    char body[MAX_PROBLEM];
    int n = snprintf(body, sizeof body, "{\"message\":\"%s\"}", problem);
    struct http_reply reply = {.status = status,
                               .headers = &type,
                               .n_headers = 1,
                               .body_len = (size_t)n,
                               .omits_body = stream->is_head};
    kp_slab *none = NULL;

    stream->is_refused = true;
    submit(stream, &reply, type.name.len);
    put(stream, (kp_slice){body, (size_t)n}, &none);
    stream->is_finished = true;
    stream->omits_body = true; /* of a handler that does not know of it */
}

void http2_answer_refusal(struct http2_stream *stream)
{
    http2_answer_problem(stream, stream->status, stream->problem);
    http2_request_free(stream);
}

/* ---- answering */

static bool answer_begin(kp_exchange *x, struct http_reply *reply)
{
    struct http2_stream *stream = stream_of(x);
    size_t bytes;

    reply->omits_body = stream->is_head || !http_reply_has_body(reply->status);
    if (!http_reply_is_sendable(reply, &bytes)) {
        http2_answer_problem(stream, 500, "the answer cannot be sent");
        return false;
    }
    submit(stream, reply, bytes);
    return true;
}

static void answer_put(kp_exchange *x, kp_slice piece, kp_slab **keep)
{
    put(stream_of(x), piece, keep);
}

static void run(struct http2 *http2)
{
    http2->n_calls++;
    http_conn_run(http2->conn);
    http2->n_calls--;
}

static size_t answer_push(kp_exchange *x)
{
    run(stream_of(x)->http2);
    return stream_of(x)->queued;
}

/* The handler has ended the exchange: its request is not needed any more. */
static void let_go(struct http2_stream *stream)
{
    stream->exchange.stage = HTTP_NO_EXCHANGE;
    http2_request_free(stream);
}

static void answer_end(kp_exchange *x)
{
    struct http2_stream *stream = stream_of(x);
    struct http2 *http2 = stream->http2;

    let_go(stream);
    stream->is_finished = true;
    resume(stream);
    run(http2);
}

static void answer_reset(kp_exchange *x, bool sends)
{
    struct http2_stream *stream = stream_of(x);
    struct http2 *http2 = stream->http2;

    let_go(stream);
    if (sends) {
        stream->is_cut = stream->is_finished = true;
        resume(stream);
    } else {
        http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
    }
    run(http2);
}

static void answer_forget(kp_exchange *x)
{
    http2_stream_free(stream_of(x));
}

const struct http_answers http2_answers = {
    answer_begin, answer_put, answer_push, answer_end, answer_reset, answer_forget,
};
