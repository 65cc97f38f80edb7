/* range.c - the Range header as S3 reads it. */
#include "plugins/local-aws/s3/range.h"

#include <stdbool.h>
#include <string.h>

struct bounds {
    bool has_first, has_last;
    uint64_t first, last;
};

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

/* "bytes=1-", "bytes=-5", "bytes=0-9"; false: malformed, or more than one range. */
static bool bounds(const char *text, size_t len, struct bounds *ret)
{
    const char *p = text, *end = text + len;

    if (len < 6 || memcmp(p, "bytes=", 6) != 0)
        return false;
    p += 6;
    ret->has_first = number(&p, end, &ret->first);
    if (p == end || *p++ != '-')
        return false;
    ret->has_last = number(&p, end, &ret->last);
    if (p != end || !(ret->has_first || ret->has_last))
        return false;
    return !(ret->has_first && ret->has_last) || ret->first <= ret->last;
}

enum s3_range s3_range_parse(const char *text, size_t len, uint64_t size, uint64_t *first,
                             uint64_t *last)
{
    struct bounds b;

    if (!bounds(text, len, &b))
        return S3_RANGE_WHOLE;
    *first = b.first;
    *last = b.last;
    if (!b.has_first) {
        if (*last == 0 || size == 0)
            return S3_RANGE_UNSATISFIABLE;
        *first = *last < size ? size - *last : 0;
        *last = size - 1;
        return S3_RANGE_PART;
    }
    if (*first >= size)
        return S3_RANGE_UNSATISFIABLE;
    if (!b.has_last || *last >= size)
        *last = size - 1;
    return S3_RANGE_PART;
}
