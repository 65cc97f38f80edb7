/* utf8.c - see utf8.h. */
#include "sdk/wire/utf8.h"

bool kpw_utf8_valid(const void *ptr, size_t len)
{
    const char *at = ptr, *end = len ? at + len : at;

    while (at < end) {
        size_t n = kpw_utf8_len(at, end);

        if (!n)
            return false;
        at += n;
    }
    return true;
}
