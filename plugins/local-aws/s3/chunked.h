/* chunked.h - bodies in the aws-chunked encoding, signed or not, with or without a trailer.
 *
 * The body is complete when it is looked at, so decoding yields slices of it and
 * copies nothing. Signatures are handed out and proven elsewhere (receive.c).
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
    bool is_small;       /* a chunk before the last one is smaller than S3 takes */
    const char *trailer; /* lines behind the last chunk, once s3_chunked_next() said false */
    size_t trailer_len;
    /* chunk-signature of the chunk last read, at the end that of the empty one; len 0: none */
    const char *signature;
    size_t signature_len;
    size_t last; /* private: length of the chunk last read */
};

#define S3_CHUNK_MIN 8192 /* bytes; the last one with data may be smaller */

void s3_chunked_init(struct s3_chunked *chunked, const char *body, size_t len);
/* The next piece of data; false at the end, or when is_bad. */
bool s3_chunked_next(struct s3_chunked *chunked, const char **data, size_t *len);
/* After the end: the trailing header of that name (lower case); false: there is none. */
bool s3_chunked_trailer(const struct s3_chunked *chunked, const char *name, const char **value,
                        size_t *len);

/* The trailer as it is signed: "name:value" LF per line, names in lower case, without the line of
 * its signature, which goes to *signature (len 0: none). Writes into `out`, which has room for
 * trailer_len + 1 bytes; returns the length. */
size_t s3_chunked_trailer_block(const struct s3_chunked *chunked, char *out, const char **signature,
                                size_t *len);

#endif
