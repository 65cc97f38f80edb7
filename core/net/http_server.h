/* http_server.h - a strict HTTP/1.1 and HTTP/2 server on a libuv loop; the rows of kp_server_ext.
 *
 * Verdicts do not depend on how the bytes were split. Anything ambiguous (two
 * lengths, obs-fold, bare LF, bad characters) is refused with 400 and the
 * connection closed: RFC 9112, and lambda-apigw section 6 of the specification.
 *
 * An exchange holds its connection's memory until it is answered or aborted, also
 * when the peer or the server has gone: each must be, once, unless its handler was
 * told that the peer has gone. After http_server_close() nobody is told anything.
 * Where somebody wants to know of it, an HTTP/1.1 peer has gone when it closes its
 * side of the socket; else it still gets its answer.
 * A request that takes longer than read_timeout is answered 408; a connection
 * without one for idle_timeout is closed without a word. SIGPIPE must be ignored.
 *
 * Owned by: a worker.   Threads: its worker only.
 */
#ifndef KPIPE_NET_HTTP_SERVER_H
#define KPIPE_NET_HTTP_SERVER_H

#include <kpipe/ext/server.h>
#include <uv.h>

struct error;

kp_server *http_server_listen(uv_loop_t *loop, kp_node *node, const kp_server_config *config,
                              kp_server_fn fn, void *arg, struct error *err);
uint32_t http_server_port(const kp_server *server);
kp_node *http_server_node(const kp_server *server); /* as given to http_server_listen() */
void http_server_respond(kp_exchange *exchange, int status, const kp_http_header *headers,
                         size_t n_headers, kp_slice body, kp_slab *keep);
void http_server_abort(kp_exchange *exchange); /* what came before it is still sent */
void http_server_start(kp_exchange *exchange, int status, const kp_http_header *headers,
                       size_t n_headers, const kp_server_stream *stream);
size_t http_server_write(kp_exchange *exchange, kp_slice piece, kp_slab *keep);
void http_server_finish(kp_exchange *exchange);
void http_server_respond_file(kp_exchange *exchange, int status, const kp_http_header *headers,
                              size_t n_headers, const kp_server_file *file);
void http_server_watch(kp_exchange *exchange, void (*gone)(kp_node *, void *arg, kp_exchange *),
                       void *arg);
void http_server_respond_cut(kp_exchange *exchange, int status, const kp_http_header *headers,
                             size_t n_headers, kp_slice body);
void http_server_stop(kp_server *server);
void http_server_close(kp_server *server); /* NULL is fine; the loop must run once more */

#endif
