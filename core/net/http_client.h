/* http_client.h - asynchronous HTTP client: libcurl's multi interface on a libuv loop.
 *
 * Easy handles and connections are reused; at most 50 connections per multi
 * handle, several handles per client when more are wanted. It implements the
 * rows of kp_http_ext; the node is only passed through.
 *
 * Owned by: a worker.   Threads: its worker only.
 */
#ifndef KPIPE_NET_HTTP_CLIENT_H
#define KPIPE_NET_HTTP_CLIENT_H

#include <kpipe/ext/http.h>
#include <uv.h>

struct error;
struct http_client;

struct http_client *http_client_new(uv_loop_t *loop, struct error *err);
/* Cancels what is under way and closes all handles on the loop; the loop must run once more. */
void http_client_free(struct http_client *client);
/* Before the first request: certificates are checked by that file (PEM), not by the system's. */
void http_client_trust(struct http_client *client, const char *ca_file);

kp_http_call *http_client_send(struct http_client *client, kp_node *node,
                               const kp_http_request *request, kp_http_fn fn, void *arg);
void http_client_cancel(kp_http_call *call);
void http_client_resume(kp_http_call *call); /* of an answer in pieces */
/* Cancels all calls of one node. */
void http_client_forget(struct http_client *client, const kp_node *node);

#endif
