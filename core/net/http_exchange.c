/* http_exchange.c - see http_exchange.h. */
#include "core/net/http_exchange.h"

#include <string.h>

#include "core/base/error.h"
#include "core/base/slab.h"
#include "core/net/http_conn.h"
#include "core/net/http_server.h"

static bool is_lost(const kp_exchange *x)
{
    return !x->conn || x->conn->is_gone;
}

void http_exchange_open(kp_exchange *x, const struct http_answers *answers, struct http_conn *conn)
{
    *x = (kp_exchange){.answers = answers, .conn = conn, .stage = HTTP_ASKED};
}

bool http_exchange_is_watched(const kp_exchange *x)
{
    return x->stage != HTTP_NO_EXCHANGE && x->gone && !x->is_own;
}

/* ---- exchanges whose peer has gone */

static void leave(kp_exchange *x)
{
    if (!x->server)
        return;
    if (x->prev)
        x->prev->next = x->next;
    else
        x->server->lost = x->next;
    if (x->next)
        x->next->prev = x->prev;
    x->server = NULL;
    x->prev = x->next = NULL;
}

static void forget(kp_exchange *x)
{
    leave(x);
    x->stage = HTTP_NO_EXCHANGE;
    x->answers->forget(x);
}

/* True if somebody was told: then the exchange is over. */
static bool tell_gone(kp_exchange *x, struct kp_server *server)
{
    http_tell_fn gone = x->gone;

    /* A plugin that closes its server, or was closed, is told nothing more. */
    if (!gone || (server->is_closing && !x->is_own))
        return false;
    leave(x);
    x->stage = HTTP_NO_EXCHANGE;
    gone(server->node, x->gone_arg, x);
    return true;
}

bool http_exchange_lost(kp_exchange *x, struct kp_server *server)
{
    x->conn = NULL;
    if (x->stage == HTTP_NO_EXCHANGE || tell_gone(x, server))
        return true;
    x->server = server;
    x->next = server->lost;
    if (server->lost)
        server->lost->prev = x;
    server->lost = x;
    return false;
}

void http_exchange_tell_lost(struct kp_server *server)
{
    for (kp_exchange *x = server->lost; x;) {
        const struct http_answers *answers = x->answers;
        kp_exchange *told = x;

        x = x->next;
        if (tell_gone(told, server)) {
            answers->forget(told);
            x = server->lost; /* the handler may have ended others */
        }
    }
}

void http_exchange_leave(struct kp_server *server)
{
    while (server->lost)
        leave(server->lost);
}

bool http_exchange_tell_drained(kp_exchange *x, struct kp_server *server)
{
    if (x->stage != HTTP_ANSWERING || !x->wants_drained)
        return false;
    x->wants_drained = false;
    if (!x->drained || (server->is_closing && !x->is_own))
        return false;
    x->drained(server->node, x->drained_arg, x);
    return true;
}

/* ---- whole answers */

/* False: the peer has gone and the exchange is over. */
static bool may_answer(kp_exchange *x)
{
    if (x->stage != HTTP_ASKED)
        bug("an HTTP exchange is answered twice");
    if (is_lost(x)) {
        forget(x);
        return false;
    }
    x->stage = HTTP_ANSWERING;
    return true;
}

void http_server_respond(kp_exchange *x, int status, const kp_http_header *headers,
                         size_t n_headers, kp_slice body, kp_slab *keep)
{
    struct http_reply reply = {
        .status = status, .headers = headers, .n_headers = n_headers, .body_len = body.len};

    if (may_answer(x)) {
        if (x->answers->begin(x, &reply))
            x->answers->put(x, body, &keep);
        x->answers->end(x);
    }
    slab_unref(keep);
}

void http_server_respond_cut(kp_exchange *x, int status, const kp_http_header *headers,
                             size_t n_headers, kp_slice body)
{
    struct http_reply reply = {
        .status = status, .headers = headers, .n_headers = n_headers, .body_len = body.len};
    kp_slab *keep = NULL;

    if (!may_answer(x))
        return;
    if (x->answers->begin(x, &reply))
        x->answers->put(x, (kp_slice){body.ptr, body.len / 2}, &keep);
    x->answers->reset(x, true);
}

void http_server_abort(kp_exchange *x)
{
    if (x->stage == HTTP_NO_EXCHANGE)
        bug("an HTTP exchange is aborted after its end");
    if (is_lost(x))
        forget(x);
    else
        x->answers->reset(x, false);
}

/* ---- answers in pieces */

void http_server_watch(kp_exchange *x, http_tell_fn gone, void *arg)
{
    if (x->stage == HTTP_NO_EXCHANGE)
        bug("an HTTP exchange is watched after its end");
    x->gone = gone;
    x->gone_arg = arg;
    if (!is_lost(x))
        x->answers->push(x); /* the peer may have closed its side before */
}

void http_server_start(kp_exchange *x, int status, const kp_http_header *headers, size_t n_headers,
                       const kp_server_stream *stream)
{
    struct http_reply reply = {.status = status,
                               .headers = headers,
                               .n_headers = n_headers,
                               .body_len = HTTP_LENGTH_UNKNOWN};
    kp_server_stream known = {0};

    if (x->stage != HTTP_ASKED)
        bug("an HTTP exchange is answered twice");
    if (stream)
        memcpy(&known, stream, stream->size < sizeof known ? stream->size : sizeof known);
    x->stage = HTTP_ANSWERING;
    x->drained = known.drained;
    x->drained_arg = known.arg;
    if (known.gone) {
        x->gone = known.gone;
        x->gone_arg = known.arg;
    }
    if (is_lost(x))
        return;
    x->answers->begin(x, &reply);
    x->answers->push(x);
}

size_t http_server_write(kp_exchange *x, kp_slice piece, kp_slab *keep)
{
    size_t waiting = 0;

    if (x->stage != HTTP_ANSWERING)
        bug("an HTTP exchange is written to before start() or after its end");
    if (!is_lost(x)) {
        x->answers->put(x, piece, &keep);
        waiting = x->answers->push(x);
        x->wants_drained = waiting > 0;
    }
    slab_unref(keep);
    return waiting;
}

void http_server_finish(kp_exchange *x)
{
    if (x->stage != HTTP_ANSWERING)
        bug("an HTTP exchange is finished before start() or after its end");
    if (is_lost(x))
        forget(x);
    else
        x->answers->end(x);
}

bool http_exchange_begin_own(kp_exchange *x, const struct http_own_answer *answer)
{
    struct http_reply reply = {.status = answer->status,
                               .headers = answer->headers,
                               .n_headers = answer->n_headers,
                               .body_len = answer->len};

    if (!may_answer(x))
        return false;
    x->is_own = true;
    x->drained = answer->drained;
    x->gone = answer->gone;
    x->drained_arg = x->gone_arg = answer->arg;
    if (x->answers->begin(x, &reply) && answer->len && !reply.omits_body)
        return true;
    x->answers->end(x);
    return false;
}
