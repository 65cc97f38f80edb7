/* http_accept.c - the beginning of a connection: see http_conn.h. */
#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>

#include "core/base/mem.h"
#include "core/net/http_conn.h"
#include "core/net/tls.h"

#define MAX_REFUSED 64 /* connections being told that there are too many */

static _Atomic uint64_t last_number;

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
    http1_answer_problem(conn, 503, "there are too many connections");
    http_conn_end(conn);
}

void http_conn_accept(struct kp_server *server, uv_stream_t *listener)
{
    struct http_conn *conn = mem_new(sizeof *conn);
    bool is_one_too_many = server->n_conns - server->n_refused >= server->max_connections;

    conn->server = server;
    conn->tcp.data = conn;
    conn->is_paused = true;
    conn->number = atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1;
    http1_init(conn);
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
        http_conn_now(conn) + (server->tls ? server->read_timeout_ms : server->idle_timeout_ms);
    conn->is_choosing = server->has_http2;
    conn->is_sniffing = server->sniffs_tls;
    if (server->tls && !server->sniffs_tls)
        conn->tls = tls_new(server->tls);
    http_conn_read(conn, true);
}
