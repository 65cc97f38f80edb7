/* s3_range.c - the Range header as S3 reads it. */
#include "plugins/local-aws/s3_range.h"

#include <stdbool.h>
#include <string.h>

static bool number(const char **p, const char *end, uint64_t *ret)
{
    const char *from = *p;

    *ret = 0;
    for (; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
        if (*ret > (UINT64_MAX - 9) / 10)
            *ret = UINT64_MAX / 20; /* stays larger than any object */
        *ret = *ret * 10 + (uint64_t)(**p - '0');
    }
    return *p > from;
}

enum s3_range s3_range_parse(const char *text, size_t len, uint64_t size, uint64_t *first,
                             uint64_t *last)
{
    const char *p = text, *end = text + len;
    bool has_first, has_last;

    if (len < 6 || memcmp(p, "bytes=", 6) != 0)
        return S3_RANGE_WHOLE;
    p += 6;
    has_first = number(&p, end, first);
    if (p == end || *p++ != '-')
        return S3_RANGE_WHOLE;
    has_last = number(&p, end, last);
    if (p != end || (!has_first && !has_last) || (has_first && has_last && *first > *last))
        return S3_RANGE_WHOLE;
    if (!has_first) {
        if (*last == 0 || size == 0)
            return S3_RANGE_UNSATISFIABLE;
        *first = *last < size ? size - *last : 0;
        *last = size - 1;
        return S3_RANGE_PART;
    }
    if (*first >= size)
        return S3_RANGE_UNSATISFIABLE;
    if (!has_last || *last >= size)
        *last = size - 1;
    return S3_RANGE_PART;
}
