/* fuzz_http.c - the HTTP request parser: any bytes, any split, one verdict.
 *
 * The first byte seeds the split; the rest is a stream of requests. It is read as a
 * whole, byte by byte and in random pieces, in blocks of exact size; what is
 * understood must be the same each time, and inside the block.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_limits limits = {.max_head = 512, .max_body = 1024};

struct reading {
    char *block; /* [owned] */
    size_t len;
    struct http_parser parser;
    uint64_t hash; /* of all that was understood */
    unsigned n_requests;
    int status;
};

static void hash_slice(struct reading *r, kp_slice slice)
{
    if (slice.len &&
        (slice.len > r->len || slice.ptr < r->block || slice.ptr > r->block + r->len - slice.len) &&
        !(slice.len == 1 && slice.ptr[0] == '/'))
        abort();
    for (size_t i = 0; i < slice.len; i++)
        r->hash = (r->hash ^ (uint8_t)slice.ptr[i]) * 1099511628211U;
    r->hash = (r->hash ^ slice.len) * 1099511628211U;
}

static void understand(struct reading *r)
{
    kp_server_request request = {0};

    if (r->parser.at > r->len || r->parser.body_len > limits.max_body)
        abort();
    http_parser_request(&r->parser, r->block, &request);
    hash_slice(r, request.method);
    hash_slice(r, request.target);
    hash_slice(r, request.path);
    hash_slice(r, request.query);
    hash_slice(r, request.body);
    for (size_t i = 0; i < request.n_headers; i++) {
        hash_slice(r, request.headers[i].name);
        hash_slice(r, request.headers[i].value);
    }
    r->n_requests++;
}

static void put(struct reading *r, const uint8_t *more, size_t n)
{
    char *block = malloc(r->len + n + !(r->len + n));

    if (r->len)
        memcpy(block, r->block, r->len);
    if (n)
        memcpy(block + r->len, more, n);
    free(r->block);
    r->block = block;
    r->len += n;
}

/* False: nothing after this is looked at. */
static bool feed(struct reading *r)
{
    for (;;) {
        switch (http_parser_feed(&r->parser, r->block, r->len)) {
        case HTTP_MORE: r->len = http_parser_compact(&r->parser, r->block, r->len); return true;
        case HTTP_BAD: r->status = r->parser.status; return false;
        case HTTP_DONE: break;
        }
        understand(r);
        if (!http_parser_keeps_alive(&r->parser))
            return false;
        r->len -= r->parser.at;
        memmove(r->block, r->block + r->parser.at, r->len);
        http_parser_reset(&r->parser);
    }
}

static struct reading read_in_pieces(const uint8_t *data, size_t size, unsigned seed, size_t piece)
{
    struct reading r = {0};
    bool goes_on = true;

    http_parser_init(&r.parser, &limits);
    for (size_t n; size && goes_on; data += n, size -= n) {
        n = piece ? piece : (size_t)rand_r(&seed) % 40 + 1;
        if (n > size)
            n = size;
        put(&r, data, n);
        goes_on = feed(&r);
    }
    http_parser_fini(&r.parser);
    free(r.block);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reading whole, bytes, pieces;

    if (size < 2 || size > 4096)
        return 0;
    whole = read_in_pieces(data + 1, size - 1, 0, size);
    bytes = read_in_pieces(data + 1, size - 1, 0, 1);
    pieces = read_in_pieces(data + 1, size - 1, data[0], 0);
    if (whole.hash != bytes.hash || whole.hash != pieces.hash || whole.status != bytes.status ||
        whole.status != pieces.status || whole.n_requests != bytes.n_requests ||
        whole.n_requests != pieces.n_requests)
        abort();
    return 0;
}
