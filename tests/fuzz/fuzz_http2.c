/* fuzz_http2.c - the bytes of a client's connection, given to the server's HTTP/2 side.
 *
 * The first byte seeds the split. The bytes are sent over a socket pair's worth of
 * loopback after the preface and an empty SETTINGS frame, in the pieces of the
 * seed. Requests are answered at once, in pieces, later, by a cut or not at all,
 * by the first byte of their path; whatever the bytes, each exchange ends once and
 * all memory is given back.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/net/http_server.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
#define HELD    64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uv_loop_t loop;
static kp_server *server;
static kp_exchange *held[HELD];
static size_t n_held;

static void on_gone(kp_node *node, void *arg, kp_exchange *x)
{
    size_t *n = arg;

    (void)node;
    for (size_t i = 0; i < n_held; i++) {
        if (held[i] != x)
            continue;
        held[i] = held[--n_held];
        (*n)++;
        return;
    }
    abort(); /* told twice, or of one that has ended */
}

static size_t n_gone;

static void hold(kp_exchange *x)
{
    if (n_held == HELD)
        http_server_abort(x);
    else
        held[n_held++] = x;
}

static void check(const kp_server_request *r)
{
    if (!r->path.len || !r->method.len || !r->n_headers || r->body.len > 512)
        abort();
    for (size_t i = 0; i < r->n_headers; i++)
        for (size_t k = 0; k < r->headers[i].name.len; k++)
            if (r->headers[i].name.ptr[k] >= 'A' && r->headers[i].name.ptr[k] <= 'Z')
                abort();
}

static void on_request(kp_node *node, void *arg, kp_exchange *x, const kp_server_request *r)
{
    static const kp_server_stream stream = {.size = sizeof stream, .gone = on_gone, .arg = &n_gone};
    static char body[3000];

    (void)node, (void)arg;
    check(r);
    switch (r->path.len > 1 ? r->path.ptr[1] : 'a') {
    case 'a': http_server_respond(x, 200, NULL, 0, r->body, NULL); break;
    case 'b': http_server_respond_cut(x, 200, NULL, 0, (kp_slice){body, sizeof body}); break;
    case 'c': http_server_abort(x); break;
    case 'd':
        hold(x);
        if (n_held && held[n_held - 1] == x)
            http_server_watch(x, on_gone, &n_gone);
        break;
    default:
        http_server_start(x, 200, NULL, 0, n_held < HELD ? &stream : NULL);
        http_server_write(x, (kp_slice){body, sizeof body}, NULL);
        if (n_held < HELD)
            hold(x);
        else
            http_server_finish(x);
        break;
    }
}

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port = htons((uint16_t)http_server_port(server));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to))
        abort();
    return fd;
}

/* Half of those that wait are answered before the connection ends, the others after it. */
static void answer_some(size_t leave)
{
    while (n_held > leave)
        http_server_abort(held[--n_held]);
}

static void read_some(int fd)
{
    char junk[65536];

    uv_run(&loop, UV_RUN_NOWAIT);
    while (recv(fd, junk, sizeof junk, MSG_DONTWAIT) > 0)
        ;
}

static void send_all(int fd, const uint8_t *data, size_t size, unsigned seed)
{
    if (send(fd, PREFACE, sizeof PREFACE - 1, MSG_NOSIGNAL) < 0)
        return;
    for (size_t n; size; data += n, size -= n) {
        n = seed & 1 ? size : (size_t)rand_r(&seed) % 60 + 1;
        if (n > size)
            n = size;
        if (send(fd, data, n, MSG_NOSIGNAL) < 0)
            return; /* the server has ended it */
        read_some(fd);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kp_server_config config = {.size = sizeof config,
                               .listen = "127.0.0.1:0",
                               .max_header = 1024,
                               .max_body = 512,
                               .http2 = true};
    struct error err = ERROR_INIT;
    struct linger hard = {.l_onoff = 1};
    int fd;

    if (size < 2 || size > 4096)
        return 0;
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&loop);
    server = http_server_listen(&loop, NULL, &config, on_request, NULL, &err);
    if (!server)
        abort();
    fd = dial();
    read_some(fd);
    send_all(fd, data + 1, size - 1, data[0]);
    read_some(fd);
    answer_some(n_held / 2);
    read_some(fd);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    uv_run(&loop, UV_RUN_NOWAIT);
    http_server_close(server);
    uv_run(&loop, UV_RUN_DEFAULT);
    answer_some(0);
    if (uv_loop_close(&loop))
        abort();
    return 0;
}
