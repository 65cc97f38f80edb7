/* range.h - the Range header as S3 reads it. */
#ifndef KPIPE_LOCAL_AWS_S3_RANGE_H
#define KPIPE_LOCAL_AWS_S3_RANGE_H

#include <stddef.h>
#include <stdint.h>

enum s3_range {
    S3_RANGE_WHOLE = 0,     /* none, malformed or not supported: the whole object, 200 */
    S3_RANGE_PART,          /* 206: first..last */
    S3_RANGE_UNSATISFIABLE, /* 416 */
};

enum s3_range s3_range_parse(const char *text, size_t len, uint64_t size, uint64_t *first,
                             uint64_t *last);

#endif
