/* http_exchange.h - a request on its way to an answer, whatever its connection speaks.
 *
 * The rows of kp_server_ext that answer (http_server.h) are made of a protocol's
 * few steps: begin, put, end. An exchange ends by its answer, by abort(), or when
 * its peer has gone and somebody wanted to know of it. Of peers that have gone
 * nobody is told inside a call of the handler's, always from the loop.
 *
 * Owned by: its connection (HTTP/1.1) or stream (HTTP/2); that lives until the exchange has ended.
 * Threads: the worker's only.
 */
#ifndef KPIPE_NET_HTTP_EXCHANGE_H
#define KPIPE_NET_HTTP_EXCHANGE_H

#include <kpipe/ext/server.h>

#include "core/net/http_reply.h"

struct http_conn;

/* How a protocol answers. None of these is called for a peer that has gone, but forget(). */
struct http_answers {
    /* Puts the head. false: it cannot be sent, and an answer of the server's own was put. */
    bool (*begin)(kp_exchange *x, struct http_reply *reply);
    /* A piece of the body; left out where the answer has none. *keep is moved or left alone. */
    void (*put)(kp_exchange *x, kp_slice piece, kp_slab **keep);
    /* Sends what was put, as far as it goes. Returns the bytes that wait. */
    size_t (*push)(kp_exchange *x);
    /* The answer is complete, the exchange over. */
    void (*end)(kp_exchange *x);
    /* Resets the connection or stream; `sends`: after what was put so far. */
    void (*reset)(kp_exchange *x, bool sends);
    /* The exchange is over and its peer has gone: frees what was kept for it. */
    void (*forget)(kp_exchange *x);
};

enum http_stage { HTTP_NO_EXCHANGE, HTTP_ASKED, HTTP_ANSWERING };

typedef void (*http_tell_fn)(kp_node *, void *arg, kp_exchange *);

struct kp_exchange {
    const struct http_answers *answers;
    struct http_conn *conn; /* [borrowed] NULL: the peer has gone */
    enum http_stage stage;
    bool is_own;        /* drained and gone are the server's, not the handler's */
    bool wants_drained; /* bytes waited when push() was last asked */
    http_tell_fn drained, gone;
    void *drained_arg, *gone_arg;

    struct kp_server *server; /* [borrowed] of one whose peer has gone, until the server is freed */
    kp_exchange *prev, *next; /* of those */
};

/* A new request is about to be handed over. */
void http_exchange_open(kp_exchange *x, const struct http_answers *answers, struct http_conn *conn);

/* The peer ends its side of the socket: is that the end of the exchange? */
bool http_exchange_is_watched(const kp_exchange *x);

/* Tells the writer that there is room again, if it waits for that. Returns whether it did. */
bool http_exchange_tell_drained(kp_exchange *x, struct kp_server *server);

/* [loop] The peer has gone. false: the handler still has the exchange and will end it. */
bool http_exchange_lost(kp_exchange *x, struct kp_server *server);

/* [loop] Tells those that asked only after the peer had gone. */
void http_exchange_tell_lost(struct kp_server *server);
/* The server is freed; exchanges may still be open. */
void http_exchange_leave(struct kp_server *server);

/* For answers of the server itself (http_file.c): like the rows of kp_server_ext. */
struct http_own_answer {
    int status;
    const kp_http_header *headers; /* [borrowed] */
    size_t n_headers, len;
    http_tell_fn drained, gone;
    void *arg;
};
/* false: nothing is to be sent, the exchange is over. */
bool http_exchange_begin_own(kp_exchange *x, const struct http_own_answer *answer);

#endif
