/* fuzz_s3_chunked.c - bodies in the aws-chunked encoding: every piece lies inside the body. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/s3/chunked.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
        behind = piece + len;
        sum += len;
    }
    if (sum > size)
        abort();
    if (!chunked.is_bad && s3_chunked_trailer(&chunked, "x-amz-checksum-crc32", &piece, &len) &&
        (piece < behind || len > size - (size_t)(piece - body)))
        abort();
    free(body);
    return 0;
}
