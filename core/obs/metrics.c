/* metrics.c - see metrics.h: the server. The text is in metrics_text.c. */
#include "core/obs/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/net/http_listen.h"
#include "core/net/http_server.h"
#include "core/run/host.h"
#include "sdk/wire/slice.h"

enum { MAX_CONNECTIONS = 64, MAX_HEADER = 16 << 10, MAX_BODY = 1 };

struct metrics {
    struct host *host; /* [borrowed] */
    kp_server *server; /* [owned] */
};

static void answer(kp_exchange *exchange, int status, const char *type, kp_slice body)
{
    const kp_http_header headers[] = {
        {{"content-type", 12}, {type, strlen(type)}},
        {{"cache-control", 13}, {"no-store", 8}},
        {{"allow", 5}, {"GET, HEAD", 9}},
    };

    http_server_respond(exchange, status, headers, status == 405 ? 3 : 2, body, NULL);
}

static void say(kp_exchange *exchange, int status, const char *text)
{
    answer(exchange, status, "text/plain; charset=utf-8", (kp_slice){text, strlen(text)});
}

static void answer_metrics(const struct host *host, kp_exchange *exchange)
{
    struct kpw_buf out = KPW_BUF_INIT;

    metrics_write(host, &out);
    if (out.failed)
        say(exchange, 503, "out of memory\n");
    else
        answer(exchange, 200, "text/plain; version=0.0.4; charset=utf-8",
               (kp_slice){out.ptr, out.len});
    kpw_buf_fini(&out);
}

static void answer_ready(const struct host *host, kp_exchange *exchange)
{
    if (host_is_over(host))
        say(exchange, 503, "it has failed or ends\n");
    else if (!host->started_ms)
        say(exchange, 503, "it starts\n");
    else if (host->n_signals)
        say(exchange, 503, "it drains\n");
    else
        say(exchange, 200, "ok\n");
}

static bool is(kp_slice slice, const char *text)
{
    return kpw_slice_is(kpw_slice(slice.ptr, slice.len), text);
}

static void on_request(kp_node *node, void *arg, kp_exchange *exchange,
                       const kp_server_request *request)
{
    struct metrics *metrics = arg;

    (void)node;
    if (!is(request->method, "GET") && !is(request->method, "HEAD"))
        say(exchange, 405, "only GET and HEAD\n");
    else if (is(request->path, "/metrics"))
        answer_metrics(metrics->host, exchange);
    else if (is(request->path, "/live"))
        say(exchange, 200, "ok\n");
    else if (is(request->path, "/ready"))
        answer_ready(metrics->host, exchange);
    else
        say(exchange, 404, "there are /metrics, /live and /ready\n");
}

/* A port alone is one of this machine. */
static void whole_address(const char *address, char *out, size_t size)
{
    bool is_port = *address && !address[strspn(address, "0123456789")];

    snprintf(out, size, "%s%s", is_port ? "127.0.0.1:" : "", address);
}

bool metrics_is_address(const char *address)
{
    char whole[80];

    whole_address(address, whole, sizeof whole);
    return http_listen_is_address(whole);
}

struct metrics *metrics_open(struct host *host, const char *address, struct error *err)
{
    struct metrics *metrics = mem_new(sizeof *metrics);
    kp_server_config config = {.size = sizeof config,
                               .max_header = MAX_HEADER,
                               .max_body = MAX_BODY,
                               .max_connections = MAX_CONNECTIONS};
    char whole[80];

    whole_address(address, whole, sizeof whole);
    config.listen = whole;
    metrics->host = host;
    metrics->server = http_server_listen(&host->loop, NULL, &config, on_request, metrics, err);
    if (!metrics->server) {
        error_context(err, "--metrics");
        free(metrics);
        return NULL;
    }
    log_info("metrics.opened", "listen=%.*s:%u", (int)(strrchr(whole, ':') - whole), whole,
             metrics_port(metrics));
    return metrics;
}

uint32_t metrics_port(const struct metrics *metrics)
{
    return http_server_port(metrics->server);
}

void metrics_close(struct metrics *metrics)
{
    if (!metrics)
        return;
    http_server_close(metrics->server);
    free(metrics);
}
