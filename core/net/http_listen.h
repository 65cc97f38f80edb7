/* http_listen.h - a bound TCP socket from an address such as "127.0.0.1:8080" or "[::1]:0". */
#ifndef KPIPE_NET_HTTP_LISTEN_H
#define KPIPE_NET_HTTP_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

struct error;

/* Returns the socket [owned by caller], bound but not yet listening, or -1. */
int http_listen_socket(const char *listen, bool reuse_port, struct error *err);

/* False when it is no address: nothing is opened. */
bool http_listen_is_address(const char *listen);

/* Says why bind() or listen() failed. */
void http_listen_error(const char *listen, int sys, struct error *err);

uint32_t http_listen_port(int fd);

#endif
