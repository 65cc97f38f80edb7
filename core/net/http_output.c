/* http_output.c - see http_output.h. */
#include "core/net/http_output.h"

#include <stdlib.h>

#include "core/base/slab.h"

#define KEEP_MEMORY 65536 /* more is given back after use */

void http_output_put(struct http_output *output, kp_slice piece, kp_slab **keep)
{
    if (!*keep || piece.len < HTTP_WORTH_KEEPING || output->n_kept == HTTP_KEPT) {
        http_out_add(&output->bytes, piece.ptr, piece.len);
        return;
    }
    output->kept[output->n_kept++] = (struct http_kept){output->bytes.len, piece, *keep};
    output->kept_bytes += piece.len;
    *keep = NULL; /* moved */
}

size_t http_output_len(const struct http_output *output)
{
    return output->bytes.len + output->kept_bytes;
}

unsigned http_output_bufs(const struct http_output *output, uv_buf_t bufs[HTTP_OUTPUT_BUFS])
{
    unsigned n = 0;
    size_t from = 0;

    for (unsigned i = 0; i < output->n_kept; i++) {
        const struct http_kept *kept = &output->kept[i];

        if (kept->at > from)
            bufs[n++] = uv_buf_init(output->bytes.ptr + from, (unsigned)(kept->at - from));
        bufs[n++] = uv_buf_init((char *)kept->slice.ptr, (unsigned)kept->slice.len);
        from = kept->at;
    }
    if (output->bytes.len > from)
        bufs[n++] = uv_buf_init(output->bytes.ptr + from, (unsigned)(output->bytes.len - from));
    return n;
}

void http_out_clear(struct http_out *out)
{
    out->len = 0;
    if (out->cap > KEEP_MEMORY) {
        free(out->ptr);
        *out = (struct http_out){0};
    }
}

void http_output_clear(struct http_output *output)
{
    for (unsigned i = 0; i < output->n_kept; i++)
        slab_unref(output->kept[i].slab);
    output->n_kept = 0;
    output->kept_bytes = 0;
    http_out_clear(&output->bytes);
}

void http_output_fini(struct http_output *output)
{
    http_output_clear(output);
    free(output->bytes.ptr);
    output->bytes = (struct http_out){0};
}
