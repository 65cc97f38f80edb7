/* http2_stream.h - private to http2*.c: a session and its streams.
 *
 * A stream holds one request and its answer. It is freed when it is closed and its
 * exchange has ended. http2.c drives the session, http2_session.c takes its frames,
 * http2_request.c makes a request of header fields, http2_answer.c answers.
 */
#ifndef KPIPE_NET_HTTP2_STREAM_H
#define KPIPE_NET_HTTP2_STREAM_H

#include <nghttp2/nghttp2.h>
#include <sys/queue.h>

#include "core/net/http2.h"
#include "core/net/http_conn.h"

struct http2_stream;
TAILQ_HEAD(http2_streams, http2_stream);

struct http2 {
    nghttp2_session *session;   /* [owned] NULL: the connection is closed */
    struct http_conn *conn;     /* [borrowed] until then */
    unsigned refs;              /* the connection's and the streams' */
    struct http2_streams live;  /* not closed */
    struct http2_streams lost;  /* closed, their exchanges open and not yet told */
    struct http2_streams ready; /* of the live: to be handed over; by their `ready_link` */
    unsigned n_streams;         /* of any kind */
    size_t body_bytes;          /* of requests, in memory */
    unsigned n_calls;           /* of handlers, on the stack */
    int64_t frames_at;          /* when `frames` was counted */
    int64_t frames;             /* may still come */
    int64_t idle_until, look_at;
    bool has_more;   /* to be sent than was put */
    bool has_failed; /* takes nothing more */
    uint8_t peer_len;
    char peer[INET6_ADDRSTRLEN + 9];
};

struct http2_piece {
    struct http2_piece *next;
    kp_slice left; /* not yet sent */
    kp_slab *slab; /* [owned reference] NULL: the bytes follow this struct */
};

struct http2_stream {
    kp_exchange exchange;
    struct http2 *http2; /* [reference] */
    TAILQ_ENTRY(http2_stream) link, ready_link;
    int32_t id;
    int64_t deadline; /* of the request, then of progress of the answer */

    /* the request, http2_request.c */
    struct http_out text;      /* names and values */
    struct http_field *fields; /* [owned] places in text */
    size_t n_fields, fields_cap, list_bytes;
    struct http_span method, path, authority, host;
    struct http_out cookie;
    size_t cookie_field; /* + 1 */
    unsigned seen;
    bool has_authority, has_host, expects, is_head;
    uint64_t length; /* Content-Length */
    struct http_out body;
    kp_http_header *headers; /* [owned] */
    int status;              /* not 0: refused */
    const char *problem;

    bool is_live, is_lost, is_ready; /* its lists */
    bool is_complete;                /* all of the request is there */
    bool is_refused; /* the server answers itself; the rest of the request is dropped */

    /* the answer, http2_answer.c */
    struct http2_piece *first, *last;
    size_t queued;
    bool omits_body;
    bool is_finished; /* nothing more is put */
    bool is_cut;      /* the end is a reset */
    bool is_deferred; /* nghttp2 waits for more */
};

/* http2_request.c */
/* A header field. */
void http2_request_field(struct http2_stream *stream, kp_slice name, kp_slice value);
/* All fields are there. Fills status and problem if they make no request. */
void http2_request_head(struct http2_stream *stream, const struct http_limits *limits);
void http2_request_refuse(struct http2_stream *stream, int status, const char *problem);
/* The parts of a complete request [borrowed from stream]. */
void http2_request_fill(struct http2_stream *stream, kp_server_request *ret);
void http2_request_free(struct http2_stream *stream);

/* http2_answer.c */
extern const struct http_answers http2_answers;
/* An answer of the server itself. */
void http2_answer_problem(struct http2_stream *stream, int status, const char *problem);
void http2_answer_refusal(struct http2_stream *stream); /* with its status and problem */
int http2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t n,
                    nghttp2_data_source *source, void *arg);
void http2_answer_free(struct http2_stream *stream);

/* http2_session.c */
nghttp2_session *http2_session_new(struct http2 *http2);

/* http2.c */
struct http2_stream *http2_stream_new(struct http2 *http2, int32_t id);
void http2_reset(struct http2_stream *stream, uint32_t code);
void http2_stream_free(struct http2_stream *stream);

#endif
