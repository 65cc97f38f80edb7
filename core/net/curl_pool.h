/* curl_pool.h - libcurl multi handles driven by a libuv loop.
 *
 * A multi handle keeps its connections in lists that are walked for every
 * request, so one handle carries at most CURL_POOL_CONNECTIONS of them and the
 * pool opens further handles when more transfers are under way.
 *
 * Owned by: an HTTP client.   Threads: the loop's only.
 * Not here: requests and answers (http_client.h).
 */
#ifndef KPIPE_NET_CURL_POOL_H
#define KPIPE_NET_CURL_POOL_H

#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

#define CURL_POOL_CONNECTIONS 50
#define CURL_POOL_STREAMS     4000 /* transfers over HTTP/2 on the connections of one handle */

struct error;
struct curl_pool;
struct curl_lane; /* one multi handle of a pool [owned by the pool] */

/* A transfer has ended; it has already been removed. Never called from inside curl_pool_add(). */
typedef void (*curl_pool_fn)(void *arg, CURL *easy, CURLcode result);

struct curl_pool *curl_pool_new(uv_loop_t *loop, curl_pool_fn fn, void *arg, struct error *err);
/* All transfers must have been removed. The memory goes when the loop has run once more. */
void curl_pool_free(struct curl_pool *pool);

/* Sets the options by which the pool sees a transfer's sockets; once per easy handle. */
void curl_pool_adopt(struct curl_pool *pool, CURL *easy);

/* NULL: curl refused the handle. is_http2: many such transfers share a connection. */
struct curl_lane *curl_pool_add(struct curl_pool *pool, CURL *easy, bool is_http2);
void curl_pool_remove(struct curl_lane *lane, CURL *easy);

#endif
