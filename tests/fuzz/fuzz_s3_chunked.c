/* fuzz_s3_chunked.c - bodies in the aws-chunked encoding: every piece, signature and line of the
 * trailer lies inside the body, and the trailer as it is signed is no longer than it was sent. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/s3/chunked.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(const char *body, size_t size, const char *part, size_t len)
{
    if (len > 0 && (part < body || len > size - (size_t)(part - body)))
        abort();
}

/* Signing works on what next_line() finds, so each line must be found again in the block. */
static void check_block(const struct s3_chunked *chunked, const char *body, size_t size)
{
    char *block = malloc(chunked->trailer_len + 1);
    const char *signature;
    size_t len, n = s3_chunked_trailer_block(chunked, block, &signature, &len);

    if (n > chunked->trailer_len + 1 || (n > 0 && block[n - 1] != '\n'))
        abort();
    for (size_t i = 0; i < n; i++)
        if (block[i] == '\r' && block[i + 1] == '\n')
            abort();
    check_inside(body, size, signature, len);
    free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *body = malloc(size ? size : 1); /* its end is watched by the sanitizer */
    struct s3_chunked chunked;
    const char *piece, *behind = body;
    size_t len, sum = 0;

    memcpy(body, data, size);
    s3_chunked_init(&chunked, body, size);
    while (s3_chunked_next(&chunked, &piece, &len)) {
        if (len == 0 || piece < behind || len > size - (size_t)(piece - body))
            abort();
        check_inside(body, size, chunked.signature, chunked.signature_len);
        behind = piece + len;
        sum += len;
    }
    if (sum > size)
        abort();
    if (!chunked.is_bad && s3_chunked_trailer(&chunked, "x-amz-checksum-crc32", &piece, &len) &&
        (piece < behind || len > size - (size_t)(piece - body)))
        abort();
    if (!chunked.is_bad) {
        check_inside(body, size, chunked.signature, chunked.signature_len);
        check_block(&chunked, body, size);
    }
    free(body);
    return 0;
}
