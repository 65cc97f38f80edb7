/* serve.c - server/1 on the harness's real loop, and the one client that asks it.
 *
 * The server is core/net's own, so what a test sees is what users get. The client
 * is a blocking exchange on one connection; the loop runs while it waits.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/net/http_server.h"
#include "sdk/harness/internal.h"

#define EXCHANGE_MS 10000

/* ---- server/1 */

static kp_server *listen_row(kp_node *node, const kp_server_config *config, kp_server_fn fn,
                             void *arg)
{
    struct harness *h = harness_of(node);
    struct error err = ERROR_INIT;
    kp_server *server = http_server_listen(&h->loop, node, config, fn, arg, &err);

    if (!server) {
        kp_status status = harness_host.fail(node, "%s", err.text);

        (void)status;
        return NULL;
    }
    mem_room(&h->servers, &h->servers_cap, h->n_servers, sizeof(kp_server *));
    h->servers[h->n_servers++] = server;
    return server;
}

static void close_row(kp_server *server)
{
    struct harness *h = harness_current;

    for (size_t i = 0; server && i < h->n_servers; i++) {
        if (h->servers[i] != server)
            continue;
        memmove(&h->servers[i], &h->servers[i + 1], (--h->n_servers - i) * sizeof(kp_server *));
        break;
    }
    http_server_close(server);
}

const kp_server_ext harness_server_ext = {
    .size = sizeof(kp_server_ext),
    .listen = listen_row,
    .port = http_server_port,
    .respond = http_server_respond,
    .abort = http_server_abort,
    .stop = http_server_stop,
    .close = close_row,
};

uint32_t harness_port(const struct harness *h)
{
    return h->n_servers ? http_server_port(h->servers[0]) : 0;
}

void harness_serve_fini(struct harness *h)
{
    while (h->n_servers)
        http_server_close(h->servers[--h->n_servers]);
    free(h->servers);
    free(h->response);
}

/* ---- the client */

struct exchange {
    struct harness *h;
    int fd;
    const char *out;
    size_t out_len, sent;
    size_t len, cap;
    int64_t end_ms;
};

static int connect_to(uint32_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr))
        harness_die("cannot connect to 127.0.0.1:%u: %s", port, strerror(errno));
    return fd;
}

/* Moves bytes both ways once; false when the server has closed the connection. */
static bool exchange_step(struct exchange *x)
{
    struct harness *h = x->h;
    ssize_t n;

    if (x->sent < x->out_len) {
        n = send(x->fd, x->out + x->sent, x->out_len - x->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            x->sent += (size_t)n;
    }
    if (x->cap - x->len < 65536)
        h->response = mem_grow(h->response, (x->cap = x->cap * 2 + 131072) + 1);
    n = recv(x->fd, h->response + x->len, x->cap - x->len, MSG_DONTWAIT);
    if (n > 0)
        x->len += (size_t)n;
    h->response[x->len] = '\0';
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void exchange_run(struct exchange *x)
{
    while (exchange_step(x)) {
        if (harness_real_ms() > x->end_ms)
            harness_die("no answer within %d s", EXCHANGE_MS / 1000);
        harness_loop_wait(x->h, 1);
    }
}

/* The body of a chunked answer moves together in place. */
static void unchunk(char *body)
{
    char *to = body, *from = body;

    for (;;) {
        size_t n = strtoul(from, &from, 16);

        from = strstr(from, "\r\n");
        if (!from || !n)
            break;
        memmove(to, from + 2, n);
        to += n;
        from += 2 + n + 2;
    }
    *to = '\0';
}

int harness_request(struct harness *h, const char *method, const char *target, const char *headers,
                    const char *body, size_t body_len, const char **ret_body)
{
    char *head = mem_fmt("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                         "Content-Length: %zu\r\n%s\r\n",
                         method, target, body_len, headers ? headers : "");
    size_t head_len = strlen(head);
    char *out = mem_grow(head, head_len + body_len + 1); /* head: moved */
    struct exchange x = {.h = h, .out = out, .out_len = head_len + body_len};
    char *end;
    const char *coding;

    if (body_len)
        memcpy(out + head_len, body, body_len);
    x.fd = connect_to(harness_port(h));
    x.end_ms = harness_real_ms() + EXCHANGE_MS;
    exchange_run(&x);
    close(x.fd);
    free(out);
    end = strstr(h->response, "\r\n\r\n");
    h->response_head = end ? (size_t)(end - h->response) + 4 : x.len;
    h->response_len = x.len - h->response_head;
    coding = harness_response_header(h, "transfer-encoding");
    if (coding && !strcasecmp(coding, "chunked"))
        unchunk(h->response + h->response_head);
    if (ret_body)
        *ret_body = h->response + h->response_head;
    return x.len > 12 && !strncmp(h->response, "HTTP/1.1 ", 9) ? atoi(h->response + 9) : 0;
}

int harness_get(struct harness *h, const char *method, const char *path, const char *body,
                const char **ret_body)
{
    return harness_request(h, method, path, NULL, body, body ? strlen(body) : 0, ret_body);
}

const char *harness_response_header(struct harness *h, const char *name)
{
    static char value[1000];
    size_t name_len = strlen(name), len;
    const char *line = h->response ? strstr(h->response, "\r\n") : NULL;

    while (line && line + 2 < h->response + h->response_head && line[2] != '\r') {
        line += 2;
        if (!strncasecmp(line, name, name_len) && line[name_len] == ':') {
            line += name_len + 1;
            line += strspn(line, " \t");
            len = strcspn(line, "\r");
            snprintf(value, sizeof value, "%.*s", (int)len, line);
            return value;
        }
        line = strstr(line, "\r\n");
    }
    return NULL;
}
