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
    .start = http_server_start,
    .write = http_server_write,
    .finish = http_server_finish,
    .respond_file = http_server_respond_file,
    .watch = http_server_watch,
    .respond_cut = http_server_respond_cut,
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
    char *so_far; /* [owned] of the body, for the test to look at */
    bool holds;   /* does not read */
    bool closed;  /* by the server: nothing more will come */
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
        if (!x->closed && !x->holds)
            exchange_step(x);
}

static void exchange_free(struct harness_exchange *x)
{
    close(x->fd);
    free(x->out);
    free(x->in);
    free(x->so_far);
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

/* ---- the answer */

/* The value of a header in the head [static buffer], or NULL. */
static const char *header_of(const char *head, size_t head_len, const char *name)
{
    static char value[1000];
    size_t name_len = strlen(name);
    const char *line = head ? strstr(head, "\r\n") : NULL;

    while (line && line + 2 < head + head_len && line[2] != '\r') {
        line += 2;
        if (!strncasecmp(line, name, name_len) && line[name_len] == ':') {
            line += name_len + 1;
            line += strspn(line, " \t");
            snprintf(value, sizeof value, "%.*s", (int)strcspn(line, "\r"), line);
            return value;
        }
        line = strstr(line, "\r\n");
    }
    return NULL;
}

/* Chunks move together in place, as far as they are there. Returns the length of the body. */
static size_t unchunk(char *body, size_t len, bool *ret_whole)
{
    char *to = body, *from = body, *end = body + len, *data;
    size_t n;

    *ret_whole = false;
    while (from < end && (data = strstr(from, "\r\n"))) {
        n = strtoul(from, NULL, 16);
        data += 2;
        if (!n) {
            *ret_whole = data + 2 <= end;
            break;
        }
        if (n > (size_t)(end - data))
            n = (size_t)(end - data);
        memmove(to, data, n);
        to += n;
        from = data + n + 2;
    }
    *to = '\0';
    return (size_t)(to - body);
}

/* Takes an answer, or what is there of it, apart; its body is then bare. NULL: no whole head. */
static char *take_body(char *answer, size_t len, size_t *ret_len, bool *ret_whole)
{
    char *body = answer ? strstr(answer, "\r\n\r\n") : NULL;
    const char *value;

    *ret_len = 0;
    *ret_whole = false;
    if (!body)
        return NULL;
    body += 4;
    *ret_len = len - (size_t)(body - answer);
    value = header_of(answer, (size_t)(body - answer), "transfer-encoding");
    if (value && !strcasecmp(value, "chunked")) {
        *ret_len = unchunk(body, *ret_len, ret_whole);
        return body;
    }
    value = header_of(answer, (size_t)(body - answer), "content-length");
    *ret_whole = !value || strtoull(value, NULL, 10) == *ret_len;
    return body;
}

const char *harness_answer_so_far(struct harness_exchange *x, size_t *ret_len)
{
    size_t len;
    bool whole;

    free(x->so_far);
    x->so_far = mem_dupn(x->in ? x->in : "", x->len);
    return take_body(x->so_far, x->len, ret_len ? ret_len : &len, &whole);
}

void harness_request_hold(struct harness_exchange *x, bool holds)
{
    x->holds = holds;
    if (!holds)
        exchange_step(x);
}

static void unlink_exchange(struct harness *h, struct harness_exchange *x)
{
    struct harness_exchange **link = &h->exchanges;

    while (*link != x)
        link = &(*link)->next;
    *link = x->next;
}

void harness_request_drop(struct harness *h, struct harness_exchange *x)
{
    struct linger hard = {.l_onoff = 1};

    setsockopt(x->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    unlink_exchange(h, x);
    exchange_free(x);
}

int harness_request_end(struct harness *h, struct harness_exchange *x, const char **ret_body)
{
    size_t len;
    char *body;

    x->holds = false;
    harness_wait(h, is_answered, x);
    unlink_exchange(h, x);
    free(h->response);
    h->response = x->in; /* moved */
    len = x->len;
    x->in = NULL;
    exchange_free(x);
    body = take_body(h->response, len, &h->response_len, &h->response_whole);
    if (!body)
        body = h->response + len;
    h->response_head = (size_t)(body - h->response);
    if (ret_body)
        *ret_body = body;
    return len > 12 && !strncmp(h->response, "HTTP/1.1 ", 9) ? atoi(h->response + 9) : 0;
}

size_t harness_answer_len(const struct harness *h)
{
    return h->response_len;
}

bool harness_answer_is_whole(const struct harness *h)
{
    return h->response_whole;
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
    return header_of(h->response, h->response_head, name);
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
