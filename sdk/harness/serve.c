/* serve.c - server/1 on the harness's real loop, and the one client that asks it.
 *
 * The server is core/net's own, so what a test sees is what users get. The client
 * uses one connection per request and moves its bytes whenever the loop runs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
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

/* ---- the client */

struct harness_exchange {
    struct harness_exchange *next;
    int fd;
    char *out, *in; /* [owned] */
    size_t out_len, sent, len, cap;
    bool closed; /* by the server: the answer is complete */
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

/* Moves what can be moved now, in both directions. */
static void exchange_step(struct harness_exchange *x)
{
    ssize_t n = 1;

    while (x->sent < x->out_len && n > 0) {
        n = send(x->fd, x->out + x->sent, x->out_len - x->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            x->sent += (size_t)n;
    }
    do {
        if (x->cap - x->len < 65536)
            x->in = mem_grow(x->in, (x->cap = x->cap * 2 + 131072) + 1);
        n = recv(x->fd, x->in + x->len, x->cap - x->len, MSG_DONTWAIT);
        if (n > 0)
            x->len += (size_t)n;
    } while (n > 0);
    x->in[x->len] = '\0';
    x->closed = n == 0 || (errno != EAGAIN && errno != EINTR);
}

void harness_serve_step(struct harness *h)
{
    for (struct harness_exchange *x = h->exchanges; x; x = x->next)
        if (!x->closed)
            exchange_step(x);
}

static void exchange_free(struct harness_exchange *x)
{
    close(x->fd);
    free(x->out);
    free(x->in);
    free(x);
}

struct harness_exchange *harness_request_begin(struct harness *h, const char *method,
                                               const char *target, const char *headers,
                                               const char *body, size_t body_len)
{
    struct harness_exchange *x = mem_new(sizeof *x);
    size_t head_len;

    x->out = mem_fmt("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                     "Content-Length: %zu\r\n%s\r\n",
                     method, target, body_len, headers ? headers : "");
    head_len = strlen(x->out);
    x->out = mem_grow(x->out, head_len + body_len + 1);
    x->out_len = head_len + body_len;
    if (body_len)
        memcpy(x->out + head_len, body, body_len);
    x->fd = connect_to(harness_port(h));
    x->next = h->exchanges;
    h->exchanges = x;
    exchange_step(x);
    return x;
}

bool harness_request_answered(struct harness_exchange *x)
{
    return x->closed;
}

static bool is_answered(void *arg)
{
    return harness_request_answered(arg);
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

int harness_request_end(struct harness *h, struct harness_exchange *x, const char **ret_body)
{
    struct harness_exchange **link = &h->exchanges;
    const char *coding;
    char *end;
    size_t len = 0;

    harness_wait(h, is_answered, x);
    while (*link != x)
        link = &(*link)->next;
    *link = x->next;
    free(h->response);
    h->response = x->in; /* moved */
    len = x->len;
    x->in = NULL;
    exchange_free(x);
    end = strstr(h->response, "\r\n\r\n");
    h->response_head = end ? (size_t)(end - h->response) + 4 : len;
    coding = harness_response_header(h, "transfer-encoding");
    if (coding && !strcasecmp(coding, "chunked"))
        unchunk(h->response + h->response_head);
    if (ret_body)
        *ret_body = h->response + h->response_head;
    return len > 12 && !strncmp(h->response, "HTTP/1.1 ", 9) ? atoi(h->response + 9) : 0;
}

int harness_request(struct harness *h, const char *method, const char *target, const char *headers,
                    const char *body, size_t body_len, const char **ret_body)
{
    return harness_request_end(h, harness_request_begin(h, method, target, headers, body, body_len),
                               ret_body);
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

void harness_serve_fini(struct harness *h)
{
    while (h->n_servers)
        http_server_close(h->servers[--h->n_servers]);
    for (struct harness_exchange *x = h->exchanges, *next; x; x = next) {
        next = x->next;
        exchange_free(x);
    }
    free(h->servers);
    free(h->response);
}
