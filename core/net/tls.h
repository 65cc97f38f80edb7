/* tls.h - the server's side of TLS over memory, by OpenSSL.
 *
 * Bytes from the peer go in by tls_feed(), plain bytes come out of tls_read();
 * what is to be sent to the peer collects in `out`. No sockets here.
 *
 * Owned by: a server and its connections.   Threads: the worker's only.
 */
#ifndef KPIPE_NET_TLS_H
#define KPIPE_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct http_out;
struct tls_context;
struct tls;

/* Certificate chain and key are PEM files; TLS 1.2 at least, forward secrecy, AEAD only. */
struct tls_context *tls_context_new(const char *cert, const char *key, struct error *err);
void tls_context_offer_http2(struct tls_context *context); /* by ALPN, before http/1.1 */
void tls_context_free(struct tls_context *context);        /* NULL is fine */

struct tls *tls_new(struct tls_context *context);
void tls_free(struct tls *tls); /* NULL is fine */

void tls_feed(struct tls *tls, const char *p, size_t n);
bool tls_chose_http2(const struct tls *tls); /* by ALPN */
size_t tls_backlog(const struct tls *tls);   /* bytes fed and not yet looked at */

enum tls_result { TLS_OK, TLS_NOTHING, TLS_ENDED, TLS_BROKEN };

/* Up to `cap` plain bytes; TLS_NOTHING: none for now. Does the handshake on the way. */
enum tls_result tls_read(struct tls *tls, char *p, size_t cap, size_t *ret_n);
/* Encrypts all n bytes; false: the connection is of no use any more. */
bool tls_write(struct tls *tls, const char *p, size_t n);
void tls_shutdown(struct tls *tls);
/* Moves what is to be sent behind what `out` holds. */
void tls_take_output(struct tls *tls, struct http_out *out);

#endif
