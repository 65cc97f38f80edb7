/* http_listen.c - see http_listen.h. Addresses are numbers: no name is looked up. */
#include "core/net/http_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/error.h"

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

static bool read_port(const char *text, uint16_t *ret_port)
{
    unsigned port = 0;

    if (!*text || strlen(text) > 5)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        port = port * 10 + (unsigned)(*text - '0');
    }
    *ret_port = htons((uint16_t)port);
    return port <= 65535;
}

/* Returns the length of the address, 0 when it is none. */
static socklen_t read_address(const char *listen, union address *ret)
{
    const char *colon = strrchr(listen, ':');
    char host[INET6_ADDRSTRLEN + 2];
    size_t n = colon ? (size_t)(colon - listen) : 0;
    uint16_t port;

    memset(ret, 0, sizeof *ret);
    if (!n || n >= sizeof host || !read_port(colon + 1, &port))
        return 0;
    memcpy(host, listen, n);
    host[n] = '\0';
    if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        ret->in6.sin6_family = AF_INET6;
        ret->in6.sin6_port = port;
        return inet_pton(AF_INET6, host + 1, &ret->in6.sin6_addr) == 1 ? sizeof ret->in6 : 0;
    }
    ret->in.sin_family = AF_INET;
    ret->in.sin_port = port;
    if (!strcmp(host, "localhost"))
        memcpy(host, "127.0.0.1", sizeof "127.0.0.1");
    return inet_pton(AF_INET, host, &ret->in.sin_addr) == 1 ? sizeof ret->in : 0;
}

bool http_listen_is_address(const char *listen)
{
    union address address;

    return read_address(listen, &address) > 0;
}

void http_listen_error(const char *listen, int sys, struct error *err)
{
    switch (sys) {
    case EADDRINUSE: error_set(err, ERROR_SYSTEM, "%s is in use by another program", listen); break;
    case EACCES:
        error_set(err, ERROR_SYSTEM, "%s: this user may not listen on a port below 1024", listen);
        break;
    case EADDRNOTAVAIL:
        error_set(err, ERROR_SYSTEM, "%s is not an address of this machine", listen);
        break;
    default: error_sys(err, sys, "cannot listen on %s", listen); return;
    }
    if (err)
        err->sys = sys;
}

int http_listen_socket(const char *listen, bool reuse_port, struct error *err)
{
    union address address;
    socklen_t len = listen ? read_address(listen, &address) : 0;
    int fd, one = 1;

    if (!len) {
        error_set(err, ERROR_CONFIG, "'%s' is not an address such as 127.0.0.1:8080 or [::1]:8080",
                  listen ? listen : "");
        return -1;
    }
    fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        http_listen_error(listen, errno, err);
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (address.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if ((reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one)) ||
        bind(fd, &address.any, len)) {
        http_listen_error(listen, errno, err);
        close(fd);
        return -1;
    }
    return fd;
}

uint32_t http_listen_port(int fd)
{
    union address address;
    socklen_t len = sizeof address;

    if (getsockname(fd, &address.any, &len))
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.in6.sin6_port : address.in.sin_port);
}
