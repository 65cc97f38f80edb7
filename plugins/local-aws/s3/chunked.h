/* chunked.h - bodies in the aws-chunked encoding, signed or not, with or without a trailer.
 *
 * The body is complete when it is looked at, so decoding yields slices of it and
 * copies nothing. Chunk signatures are skipped (see the request's own signature).
 *
 * Threads: any; nothing is shared.
 */
#ifndef KPIPE_LOCAL_AWS_S3_CHUNKED_H
#define KPIPE_LOCAL_AWS_S3_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>

struct s3_chunked {
    const char *at, *end;
    bool is_bad;         /* the framing is broken, or the body ends too early */
    const char *trailer; /* lines behind the last chunk, once s3_chunked_next() said false */
    size_t trailer_len;
};

void s3_chunked_init(struct s3_chunked *chunked, const char *body, size_t len);
/* The next piece of data; false at the end, or when is_bad. */
bool s3_chunked_next(struct s3_chunked *chunked, const char **data, size_t *len);
/* After the end: the trailing header of that name (lower case); false: there is none. */
bool s3_chunked_trailer(const struct s3_chunked *chunked, const char *name, const char **value,
                        size_t *len);

#endif
