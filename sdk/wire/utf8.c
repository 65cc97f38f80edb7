/* utf8.c - see utf8.h. */
#include "sdk/wire/utf8.h"

#include <string.h>

/* Skips eight ASCII bytes at a time; what is left has another byte among the next eight. */
static const char *skip_ascii(const char *at, const char *end)
{
    uint64_t word;

    for (; end - at >= (ptrdiff_t)sizeof word; at += sizeof word) {
        memcpy(&word, at, sizeof word);
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    return at;
}

bool kpw_utf8_valid(const void *ptr, size_t len)
{
    const char *at = ptr, *end = len ? at + len : at;

    for (at = len ? skip_ascii(at, end) : at; at < end; at = skip_ascii(at, end)) {
        size_t n = kpw_utf8_len(at, end);

        if (!n)
            return false;
        at += n;
    }
    return true;
}
