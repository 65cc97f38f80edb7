/* http_output.h - what is to be sent: bytes, and memory of others between them that is not copied.
 *
 * Owned by: a connection.   Threads: any, one at a time.
 */
#ifndef KPIPE_NET_HTTP_OUTPUT_H
#define KPIPE_NET_HTTP_OUTPUT_H

#include <kpipe/plugin.h>
#include <uv.h>

#include "core/net/http_reply.h"

#define HTTP_KEPT          4
#define HTTP_OUTPUT_BUFS   (2 * HTTP_KEPT + 1)
#define HTTP_WORTH_KEEPING 16384 /* smaller pieces are copied all the same */

struct http_kept {
    size_t at; /* sent before this byte of `bytes` */
    kp_slice slice;
    kp_slab *slab; /* [owned reference] */
};

struct http_output {
    struct http_out bytes;
    struct http_kept kept[HTTP_KEPT];
    unsigned n_kept;
    size_t kept_bytes;
};

/* With *keep the piece may stay where it is; then the reference is moved and *keep NULL. */
void http_output_put(struct http_output *output, kp_slice piece, kp_slab **keep);
size_t http_output_len(const struct http_output *output);

/* What is to be sent, in its order [borrowed]; returns how many there are. */
unsigned http_output_bufs(const struct http_output *output, uv_buf_t bufs[HTTP_OUTPUT_BUFS]);

void http_output_clear(struct http_output *output); /* keeps a little memory */
void http_output_fini(struct http_output *output);

void http_out_clear(struct http_out *out); /* the same for bytes alone */

#endif
