/* net_peer.h - the other end of a server under test, in the same thread as its loop.
 *
 * A peer is a plain socket. Waiting for something lets the loop run and ends when
 * it has happened; after 10 s of real time the test fails.
 */
#ifndef KPIPE_TESTS_NET_PEER_H
#define KPIPE_TESTS_NET_PEER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "core/base/clock.h"
#include "tests/kptest.h"

struct peer {
    int fd;
    uint32_t port; /* its own */
    char *in;      /* [owned] NUL after it */
    size_t len, cap;
    bool closed; /* by the server */
    bool reset;  /* not in the orderly way */
};

static uv_loop_t peer_loop;

/* Lets the loop run once; sleeps until it or the peer's socket has something to do. */
static inline void peer_turn(int fd, short events)
{
    struct pollfd fds[2] = {{.fd = uv_backend_fd(&peer_loop), .events = POLLIN},
                            {.fd = fd, .events = events}};
    int timeout;

    uv_update_time(&peer_loop);
    timeout = uv_backend_timeout(&peer_loop);
    poll(fds, fd >= 0 ? 2 : 1, timeout < 0 || timeout > 1000 ? 1000 : timeout);
    uv_run(&peer_loop, UV_RUN_NOWAIT);
}

#define PEER_WAIT(condition, fd, events)                            \
    for (int64_t until_ = clock_mono_ms() + 10000; !(condition);) { \
        REQUIRE(clock_mono_ms() < until_);                          \
        peer_turn(fd, events);                                      \
    }

static inline struct peer peer_connect(uint32_t port, int receive_buffer)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in own;
    socklen_t len = sizeof own;
    struct peer peer = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (receive_buffer)
        setsockopt(peer.fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    REQUIRE(!connect(peer.fd, (struct sockaddr *)&to, sizeof to));
    REQUIRE(!getsockname(peer.fd, (struct sockaddr *)&own, &len));
    peer.port = ntohs(own.sin_port);
    return peer;
}

static inline void peer_close(struct peer *peer)
{
    close(peer->fd);
    free(peer->in);
    peer->in = NULL;
}

/* Reads what is there now. */
static inline void peer_pull(struct peer *peer)
{
    ssize_t n;

    do {
        if (peer->cap - peer->len < 65537)
            peer->in = realloc(peer->in, peer->cap = peer->cap * 2 + 131072);
        n = recv(peer->fd, peer->in + peer->len, peer->cap - peer->len - 1, MSG_DONTWAIT);
        if (n > 0)
            peer->len += (size_t)n;
    } while (n > 0);
    peer->in[peer->len] = '\0';
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        peer->closed = true;
        peer->reset |= n < 0;
    }
}

static inline void peer_send_n(struct peer *peer, const char *p, size_t n)
{
    while (n) {
        ssize_t sent = send(peer->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent < 0) {
            REQUIRE(errno == EAGAIN);
            peer_turn(peer->fd, POLLOUT);
            continue;
        }
        p += sent;
        n -= (size_t)sent;
    }
}

static inline void peer_send(struct peer *peer, const char *text)
{
    peer_send_n(peer, text, strlen(text));
}

static inline bool peer_has(struct peer *peer, const char *text)
{
    peer_pull(peer);
    return strstr(peer->in, text) != NULL;
}

/* Forgets what was read up to and with the text. */
static inline void peer_expect(struct peer *peer, const char *text)
{
    char *end;

    PEER_WAIT(peer_has(peer, text) || peer->closed, peer->fd, POLLIN);
    end = strstr(peer->in, text);
    if (!end)
        fprintf(stderr, "no \"%s\" in \"%s\"\n", text, peer->in);
    REQUIRE(end != NULL);
    end += strlen(text);
    peer->len -= (size_t)(end - peer->in);
    memmove(peer->in, end, peer->len + 1);
}

static inline void peer_expect_close(struct peer *peer)
{
    PEER_WAIT((peer_pull(peer), peer->closed), peer->fd, POLLIN);
    NO(peer->reset);
}

/* How often a text is in what was read. */
static inline size_t peer_count(const struct peer *peer, const char *text)
{
    size_t n = 0;

    for (const char *p = peer->in; p && (p = strstr(p, text)); p += strlen(text))
        n++;
    return n;
}

#endif
