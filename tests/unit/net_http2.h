/* net_http2.h - an HTTP/2 client of nghttp2 on a plain peer, for a server in the same thread. */
#ifndef KPIPE_TESTS_NET_HTTP2_H
#define KPIPE_TESTS_NET_HTTP2_H

#include <nghttp2/nghttp2.h>

#include "tests/unit/net_peer.h"

#define H2_STREAMS 4000

struct h2_answer {
    int status;
    char head[600]; /* "name: value\n" each */
    char *body;     /* [owned] NUL after it */
    size_t len, cap;
    bool closed;
    uint32_t error; /* when closed */
    int n_continue;
    const char *send; /* the request's body */
    size_t left;
    bool stalls; /* does not end the request */
};

struct h2 {
    struct peer peer;
    nghttp2_session *session;
    struct h2_answer answers[H2_STREAMS];
    unsigned n_open, n_closed;
    bool goaway;
    uint32_t goaway_error;
    bool failed; /* the server's bytes are no HTTP/2 */
};

static inline struct h2_answer *h2_answer(struct h2 *c, int32_t id)
{
    REQUIRE(id > 0 && id < H2_STREAMS);
    return &c->answers[id];
}

static inline int h2_on_header(nghttp2_session *session, const nghttp2_frame *frame,
                               const uint8_t *name, size_t name_len, const uint8_t *value,
                               size_t value_len, uint8_t flags, void *arg)
{
    struct h2_answer *answer = h2_answer(arg, frame->hd.stream_id);
    size_t len = strlen(answer->head);

    (void)session, (void)flags, (void)value_len;
    if (name_len == 7 && !memcmp(name, ":status", 7)) {
        answer->status = atoi((const char *)value);
        answer->n_continue += answer->status == 100;
    } else {
        snprintf(answer->head + len, sizeof answer->head - len, "%s: %s\n", (const char *)name,
                 (const char *)value);
    }
    return 0;
}

static inline int h2_on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p,
                             size_t n, void *arg)
{
    struct h2_answer *answer = h2_answer(arg, id);

    (void)session, (void)flags;
    if (answer->cap - answer->len <= n)
        answer->body = realloc(answer->body, answer->cap = (answer->cap + n) * 2 + 1000);
    memcpy(answer->body + answer->len, p, n);
    answer->len += n;
    answer->body[answer->len] = '\0';
    return 0;
}

static inline int h2_on_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
    struct h2 *c = arg;

    (void)session;
    h2_answer(c, id)->closed = true;
    h2_answer(c, id)->error = error;
    c->n_closed++;
    return 0;
}

static inline int h2_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2 *c = arg;

    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        c->goaway = true;
        c->goaway_error = frame->goaway.error_code;
    }
    return 0;
}

static inline ssize_t h2_on_send(nghttp2_session *session, int32_t id, uint8_t *buf, size_t max,
                                 uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct h2_answer *answer = source->ptr;
    size_t n = answer->left < max ? answer->left : max;

    (void)session, (void)id, (void)arg;
    if (!n && answer->stalls)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(buf, answer->send, n);
    answer->send += n;
    answer->left -= n;
    if (!answer->left && !answer->stalls)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* `window`: of its streams and the connection, 0: the standard's 65535; no more is ever given
 * unless `opens`. */
static inline struct h2 *h2_open(uint32_t port, int window, bool opens)
{
    struct h2 *c = calloc(1, sizeof *c);
    nghttp2_session_callbacks *calls;
    nghttp2_option *option;
    nghttp2_settings_entry setting = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)window};

    nghttp2_session_callbacks_new(&calls);
    nghttp2_session_callbacks_set_on_header_callback(calls, h2_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, h2_on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, h2_on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, h2_on_frame);
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, !opens);
    nghttp2_option_set_peer_max_concurrent_streams(option, H2_STREAMS);
    nghttp2_option_set_max_send_header_block_length(option, 1 << 20);
    REQUIRE(!nghttp2_session_client_new2(&c->session, calls, c, option));
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(calls);
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, &setting, window != 0);
    c->peer = peer_connect(port, 0);
    return c;
}

static inline void h2_close(struct h2 *c)
{
    nghttp2_session_del(c->session);
    for (size_t i = 0; i < H2_STREAMS; i++)
        free(c->answers[i].body);
    peer_close(&c->peer);
    free(c);
}

/* Sends what is to be sent, `piece` bytes at a time (0: all at once). */
static inline void h2_push(struct h2 *c, size_t piece)
{
    const uint8_t *p;
    ssize_t n;

    while (!c->peer.closed && (n = nghttp2_session_mem_send(c->session, &p)) > 0)
        for (size_t part; n > 0; p += part, n -= (ssize_t)part) {
            part = piece && piece < (size_t)n ? piece : (size_t)n;
            while (part) { /* a server that has enough closes: that ends the sending */
                ssize_t sent = send(c->peer.fd, p, part, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (sent < 0 && errno != EAGAIN)
                    return;
                if (sent > 0) {
                    part = (size_t)sent;
                    break;
                }
                peer_turn(c->peer.fd, POLLOUT);
            }
            if (piece)
                peer_turn(-1, 0);
        }
}

static inline void h2_take(struct h2 *c)
{
    peer_pull(&c->peer);
    if (c->peer.len &&
        nghttp2_session_mem_recv(c->session, (const uint8_t *)c->peer.in, c->peer.len) < 0)
        c->failed = true;
    c->peer.len = 0;
}

static inline void h2_step(struct h2 *c)
{
    h2_push(c, 0);
    h2_take(c);
    h2_push(c, 0);
}

#define H2_WAIT(c, condition) PEER_WAIT((h2_step(c), (condition)), (c)->peer.fd, POLLIN)

#define NV(name, value)                                                       \
    (nghttp2_nv)                                                              \
    {                                                                         \
        (uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value), 0 \
    }

/* A request without a body when `body` is NULL; `extra`: header fields behind the usual ones. */
static inline int32_t h2_request(struct h2 *c, const char *method, const char *path,
                                 const nghttp2_nv *extra, size_t n_extra, const char *body,
                                 size_t len)
{
    nghttp2_nv nv[200] = {NV(":method", method), NV(":scheme", "http"), NV(":authority", "a"),
                          NV(":path", path)};
    int32_t id = (int32_t)nghttp2_session_get_next_stream_id(c->session);
    struct h2_answer *answer = h2_answer(c, id);
    nghttp2_data_provider provider = {.source.ptr = answer, .read_callback = h2_on_send};

    REQUIRE(n_extra < 190);
    for (size_t i = 0; i < n_extra; i++)
        nv[4 + i] = extra[i];
    answer->send = body;
    answer->left = len;
    c->n_open++;
    REQUIRE(nghttp2_submit_request(c->session, NULL, nv, 4 + n_extra, body ? &provider : NULL,
                                   NULL) == id);
    return id;
}

static inline int32_t h2_get(struct h2 *c, const char *path)
{
    return h2_request(c, "GET", path, NULL, 0, NULL, 0);
}

#endif
