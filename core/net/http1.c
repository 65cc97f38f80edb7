/* http1.c - see http1.h.
 *
 * Bytes are read into one block; the request at its beginning is understood there
 * and handed over as slices of it. While a write or a request is under way, nothing
 * is parsed and the block does not move; reading goes on until it is full.
 */
#include "core/net/http1.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/net/http2.h"
#include "core/net/http_conn.h"
#include "core/net/tls.h"

#define FIRST_BLOCK 8192
#define LEAST_ROOM  2048
#define KEEP_BLOCK  65536 /* larger memory is given back after use */

static const struct http_answers http1_answers;

static struct http_conn *conn_of(kp_exchange *x)
{
    return (struct http_conn *)((char *)x - offsetof(struct http_conn, http1.exchange));
}

static bool is_open(const struct http_conn *conn)
{
    return conn->http1.exchange.stage != HTTP_NO_EXCHANGE;
}

void http1_init(struct http_conn *conn)
{
    conn->protocol = &http1_protocol;
    http_parser_init(&conn->http1.parser, &conn->server->limits);
}

/* ---- memory for what is read */

/* The block must neither grow nor move: somebody looks at it, or the peer does not read. */
static bool is_waiting(const struct http_conn *conn)
{
    return is_open(conn) || conn->is_writing || conn->is_ending;
}

static void make_room(struct http1 *h)
{
    if (h->in_from == h->in_to) {
        h->in_from = h->in_to = 0;
        if (h->in_cap > KEEP_BLOCK) {
            free(h->in);
            h->in = NULL;
            h->in_cap = 0;
        }
    }
    if (h->in_cap - h->in_to >= LEAST_ROOM)
        return;
    if (h->in_from) {
        h->in_to -= h->in_from;
        memmove(h->in, h->in + h->in_from, h->in_to);
        h->in_from = 0;
    }
    if (h->in_cap - h->in_to < LEAST_ROOM) {
        size_t expected = http_parser_expected(&h->parser) + LEAST_ROOM;

        h->in_cap = h->in_cap ? h->in_cap * 2 : FIRST_BLOCK;
        if (h->in_cap < expected && h->in_cap >= expected / 8)
            h->in_cap = expected; /* spares some copies, and gives little to mere promises */
        h->in = mem_grow(h->in, h->in_cap);
    }
}

static uv_buf_t room(struct http_conn *conn)
{
    struct http1 *h = &conn->http1;

    if (!is_waiting(conn))
        make_room(h);
    else if (conn->tls)
        return uv_buf_init(NULL, 0);
    return uv_buf_init(h->in + h->in_to, (unsigned)(h->in_cap - h->in_to));
}

static void took(struct http_conn *conn, size_t n)
{
    conn->http1.in_to += n;
}

static bool wants_more(const struct http_conn *conn)
{
    return conn->http1.in_to < conn->http1.in_cap;
}

/* ---- answers */

void http1_answer_problem(struct http_conn *conn, int status, const char *problem)
{
    static const kp_http_header type = {{"Content-Type", 12}, {"application/json", 16}};
    char body[200];
    int n = snprintf(body, sizeof body, "{\"message\":\"%s\"}", problem);
    struct http_reply reply = {.status = status,
                               .headers = &type,
                               .n_headers = 1,
                               .body_len = (size_t)n,
                               .date = http_conn_date(conn),
                               .closes = true};

    http_reply_head(&conn->out.bytes, &reply);
    http_out_add(&conn->out.bytes, body, (size_t)n);
    conn->is_ending = true;
}

static bool is_head(const struct http1 *h)
{
    return h->parser.method.len == 4 &&
           !memcmp(h->in + h->in_from + h->parser.method.at, "HEAD", 4);
}

static bool answer_begin(kp_exchange *x, struct http_reply *reply)
{
    struct http_conn *conn = conn_of(x);
    struct http1 *h = &conn->http1;
    bool is_endless = reply->body_len == HTTP_LENGTH_UNKNOWN;

    reply->date = http_conn_date(conn);
    reply->omits_body = !http_reply_has_body(reply->status) || is_head(h);
    reply->is_10 = h->parser.is_10;
    reply->is_chunked = is_endless && !reply->is_10 && http_reply_has_body(reply->status);
    reply->closes = !http_parser_keeps_alive(&h->parser) || conn->server->is_stopped ||
                    (is_endless && reply->is_10);
    h->omits_body = reply->omits_body;
    h->is_chunked = reply->is_chunked && !reply->omits_body;
    h->closes = reply->closes;
    if (http_reply_head(&conn->out.bytes, reply))
        return true;
    http1_answer_problem(conn, 500, "the answer cannot be sent");
    h->omits_body = true;
    h->is_chunked = false;
    return false;
}

static void answer_put(kp_exchange *x, kp_slice piece, kp_slab **keep)
{
    struct http_conn *conn = conn_of(x);
    char size[20];

    if (conn->http1.omits_body || !piece.len)
        return;
    if (!conn->http1.is_chunked) {
        http_output_put(&conn->out, piece, keep);
        return;
    }
    http_out_add(&conn->out.bytes, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", piece.len));
    http_output_put(&conn->out, piece, keep);
    http_out_add(&conn->out.bytes, "\r\n", 2);
}

static size_t answer_push(kp_exchange *x)
{
    struct http_conn *conn = conn_of(x);

    http_conn_run(conn);
    return http_conn_waiting(conn);
}

/* The request is answered: the next one begins behind it. */
static void answer_end(kp_exchange *x)
{
    struct http_conn *conn = conn_of(x);
    struct http1 *h = &conn->http1;

    if (h->is_chunked)
        http_out_add(&conn->out.bytes, "0\r\n\r\n", 5);
    conn->is_ending |= h->closes;
    h->in_from += h->parser.at;
    h->has_said_continue = h->is_chunked = h->omits_body = false;
    x->stage = HTTP_NO_EXCHANGE;
    conn->is_begun = false;
    conn->deadline = http_conn_now(conn) + conn->server->idle_timeout_ms;
    http_parser_reset(&h->parser);
    http_conn_run(conn);
}

static void answer_reset(kp_exchange *x, bool sends)
{
    struct http_conn *conn = conn_of(x);

    x->stage = HTTP_NO_EXCHANGE;
    if (sends) {
        conn->is_cutting = conn->is_ending = true;
        http_conn_run(conn);
        return;
    }
    http_conn_flush(conn); /* answers to requests before this one */
    http_conn_cut(conn);
}

static void answer_forget(kp_exchange *x)
{
    struct http_conn *conn = conn_of(x);

    if (conn->is_closed)
        http_conn_free(conn);
}

static const struct http_answers http1_answers = {
    answer_begin, answer_put, answer_push, answer_end, answer_reset, answer_forget,
};

/* ---- requests */

static void hand_over(struct http_conn *conn)
{
    struct kp_server *server = conn->server;
    struct http1 *h = &conn->http1;
    kp_server_request request = {.peer = {conn->peer, conn->peer_len},
                                 .connection = conn->number,
                                 .is_tls = conn->tls != NULL,
                                 .http_version = h->parser.is_10 ? 10 : 11};

    http_parser_request(&h->parser, h->in + h->in_from, &request);
    http_exchange_open(&h->exchange, &http1_answers, conn);
    server->fn(server->node, server->arg, &h->exchange, &request);
}

static void say_continue(struct http_conn *conn)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct http1 *h = &conn->http1;

    if (h->has_said_continue || !h->parser.wants_continue || !http_parser_head_done(&h->parser))
        return;
    h->has_said_continue = true;
    http_out_add(&conn->out.bytes, line, sizeof line - 1);
}

static void begin_request(struct http_conn *conn)
{
    if (conn->is_begun)
        return;
    conn->is_begun = true;
    conn->deadline = http_conn_now(conn) + conn->server->read_timeout_ms;
}

/* Takes one request from what was read. False: there is none that could be taken now. */
static bool take_request(struct http_conn *conn)
{
    struct http1 *h = &conn->http1;
    char *request;

    if (conn->out.n_kept || conn->out.bytes.len >= HTTP_FLUSH_AT)
        http_conn_flush(conn);
    if (conn->is_gone || is_waiting(conn) || h->in_from == h->in_to)
        return false;
    begin_request(conn);
    request = h->in + h->in_from;
    switch (http_parser_feed(&h->parser, request, h->in_to - h->in_from)) {
    case HTTP_MORE:
        h->in_to = h->in_from + http_parser_compact(&h->parser, request, h->in_to - h->in_from);
        say_continue(conn);
        return false;
    case HTTP_BAD: http1_answer_problem(conn, h->parser.status, h->parser.problem); return false;
    case HTTP_DONE: hand_over(conn); break;
    }
    return !is_open(conn);
}

/* False: it is not HTTP/1.1 that is spoken here, or that is not known yet. */
static bool choose(struct http_conn *conn)
{
    struct http1 *h = &conn->http1;

    if (h->in_from == h->in_to || conn->is_ending)
        return false;
    switch (http2_is_preface(h->in + h->in_from, h->in_to - h->in_from)) {
    case HTTP2_NO: break;
    case HTTP2_MAYBE: begin_request(conn); return false;
    case HTTP2_YES:
        conn->is_choosing = false;
        http2_begin(conn);
        conn->protocol->run(conn);
        return false;
    }
    conn->is_choosing = false;
    if (!conn->tls || !tls_chose_http2(conn->tls))
        return true;
    http_conn_cut(conn);
    return false;
}

static void run(struct http_conn *conn)
{
    if (conn->is_choosing && !choose(conn))
        return;
    while (take_request(conn))
        ;
    if (conn->is_half && !conn->is_gone && http_exchange_is_watched(&conn->http1.exchange))
        http_conn_cut(conn);
}

static bool sent(struct http_conn *conn)
{
    return http_exchange_tell_drained(&conn->http1.exchange, conn->server);
}

static bool is_watched(const struct http_conn *conn)
{
    return http_exchange_is_watched(&conn->http1.exchange);
}

static bool is_idle(const struct http_conn *conn)
{
    return !is_open(conn) && !conn->is_begun && !conn->is_writing && !conn->is_ending;
}

static void stop(struct http_conn *conn)
{
    if (is_idle(conn))
        http_conn_end(conn);
}

static void expired(struct http_conn *conn)
{
    if (is_open(conn))
        return;
    if (conn->is_begun)
        http1_answer_problem(conn, 408, "the request took too long");
    http_conn_end(conn);
}

static void closed(struct http_conn *conn)
{
    struct kp_server *server = conn->server;

    conn->server = NULL;
    if (http_exchange_lost(&conn->http1.exchange, server))
        http_conn_free(conn);
}

const struct http_protocol http1_protocol = {
    .room = room,
    .took = took,
    .run = run,
    .sent = sent,
    .is_busy = is_open,
    .wants_more = wants_more,
    .is_watched = is_watched,
    .stop = stop,
    .expired = expired,
    .closed = closed,
};
