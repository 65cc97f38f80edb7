/* http_server.c - see http_server.h: listening, time-outs, stop and close.
 *
 * One timer looks at the deadlines of all connections, so that a request costs no
 * timer of its own; a deadline is late by a quarter of the shortest time-out at most.
 */
#include "core/net/http_server.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/net/http_conn.h"
#include "core/net/http_listen.h"
#include "core/net/tls.h"

#define DEFAULT_MAX_HEAD        ((size_t)64 << 10)
#define DEFAULT_MAX_BODY        ((size_t)10 << 20)
#define DEFAULT_IDLE_MS         60000
#define DEFAULT_READ_MS         30000
#define WRITE_MS                30000
#define DEFAULT_MAX_CONNECTIONS 10000
#define BACKLOG                 1024
#define MAX_SWEEP_MS            500

/* ---- time-outs */

static void on_sweep(uv_timer_t *timer)
{
    struct kp_server *server = timer->data;
    int64_t now = (int64_t)uv_now(server->loop);

    for (struct http_conn *conn = server->conns, *next; conn; conn = next) {
        next = conn->next;
        if (conn->deadline <= now)
            http_conn_expired(conn);
        else if (conn->is_paused)
            http_conn_look(conn);
    }
    http_exchange_tell_lost(server);
    if (!server->conns && !server->lost)
        uv_timer_stop(timer);
}

static void start_sweep(struct kp_server *server)
{
    int64_t every = server->idle_timeout_ms < server->read_timeout_ms ? server->idle_timeout_ms
                                                                      : server->read_timeout_ms;

    every /= 4;
    if (every > MAX_SWEEP_MS)
        every = MAX_SWEEP_MS;
    if (every < 1)
        every = 1;
    uv_timer_start(&server->sweep, on_sweep, (uint64_t)every, (uint64_t)every);
}

/* ---- listening */

static void on_connection(uv_stream_t *listener, int status)
{
    struct kp_server *server = listener->data;

    if (status < 0) /* out of descriptors: libuv has dropped the connection */
        return;
    if (!uv_is_active((uv_handle_t *)&server->sweep))
        start_sweep(server);
    http_conn_accept(server, listener);
}

static struct kp_server *server_new(uv_loop_t *loop, const kp_server_config *config)
{
    struct kp_server *server = mem_new(sizeof *server);

    server->loop = loop;
    server->limits.max_head = config->max_header ? config->max_header : DEFAULT_MAX_HEAD;
    server->limits.max_body = config->max_body ? config->max_body : DEFAULT_MAX_BODY;
    server->idle_timeout_ms =
        config->idle_timeout_ms > 0 ? config->idle_timeout_ms : DEFAULT_IDLE_MS;
    server->read_timeout_ms =
        config->read_timeout_ms > 0 ? config->read_timeout_ms : DEFAULT_READ_MS;
    server->write_timeout_ms = WRITE_MS;
    server->max_connections =
        config->max_connections ? config->max_connections : DEFAULT_MAX_CONNECTIONS;
    server->date_s = -1;
    server->scratch = mem_new(HTTP_SCRATCH);
    uv_tcp_init(loop, &server->listener);
    uv_timer_init(loop, &server->sweep);
    server->listener.data = server->sweep.data = server;
    server->n_handles = 2;
    return server;
}

/* Fails with the listener still in the state in which http_server_close() can take it. */
static bool start_listening(struct kp_server *server, const kp_server_config *config,
                            struct error *err)
{
    int fd = http_listen_socket(config->listen, config->reuse_port, err), result;

    if (fd < 0)
        return false;
    server->port = http_listen_port(fd);
    result = uv_tcp_open(&server->listener, fd);
    if (result) {
        close(fd);
    } else {
        result = uv_listen((uv_stream_t *)&server->listener, BACKLOG, on_connection);
    }
    if (result)
        http_listen_error(config->listen, -result, err);
    return !result;
}

kp_server *http_server_listen(uv_loop_t *loop, kp_node *node, const kp_server_config *config,
                              kp_server_fn fn, void *arg, struct error *err)
{
    kp_server_config known = {0};
    struct tls_context *tls = NULL;
    struct kp_server *server;

    memcpy(&known, config, config->size < sizeof known ? config->size : sizeof known);
    if (!known.tls_cert != !known.tls_key) {
        error_set(err, ERROR_CONFIG, "TLS needs both a certificate and a key");
        return NULL;
    }
    if (known.tls_cert) {
        tls = tls_context_new(known.tls_cert, known.tls_key, err);
        if (!tls)
            return NULL;
        if (known.http2)
            tls_context_offer_http2(tls);
    }
    server = server_new(loop, &known);
    server->node = node;
    server->fn = fn;
    server->arg = arg;
    server->tls = tls;
    server->has_http2 = known.http2;
    server->sniffs_tls = tls && known.tls_sniff;
    if (!start_listening(server, &known, err)) {
        http_server_close(server);
        return NULL;
    }
    return server;
}

uint32_t http_server_port(const kp_server *server)
{
    return server->port;
}

kp_node *http_server_node(const kp_server *server)
{
    return server->node;
}

/* ---- the end */

void http_server_handle_gone(struct kp_server *server)
{
    if (--server->n_handles || !server->is_closing)
        return;
    http_exchange_leave(server);
    tls_context_free(server->tls);
    free(server->scratch);
    free(server);
}

static void on_handle_closed(uv_handle_t *handle)
{
    http_server_handle_gone(handle->data);
}

void http_server_stop(kp_server *server)
{
    if (server->is_stopped)
        return;
    server->is_stopped = true;
    uv_close((uv_handle_t *)&server->listener, on_handle_closed);
    for (struct http_conn *conn = server->conns, *next; conn; conn = next) {
        next = conn->next;
        if (!conn->is_ending)
            conn->protocol->stop(conn);
    }
}

void http_server_close(kp_server *server)
{
    if (!server || server->is_closing)
        return;
    server->is_closing = true;
    if (!server->is_stopped)
        uv_close((uv_handle_t *)&server->listener, on_handle_closed);
    server->is_stopped = true;
    while (server->conns)
        http_conn_cut(server->conns);
    uv_close((uv_handle_t *)&server->sweep, on_handle_closed);
}
