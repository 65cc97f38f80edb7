/* utf8.h - what is UTF-8 and what is not: one strict reading for all that takes in text.
 *
 * Facts: The Unicode Standard, table 3-7, well-formed byte sequences: no longer form than needed,
 * no surrogates (U+D800 to U+DFFF), nothing above U+10FFFF. U+0000 is a character like others.
 *
 * Threads: [any]; no state.
 */
#ifndef KPIPE_WIRE_UTF8_H
#define KPIPE_WIRE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool kpw_utf8_is_later(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

/* For a sequence of three: too long a form, or a surrogate. */
static inline bool kpw_utf8_is_odd_three(const uint8_t *p)
{
    return (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f);
}

/* For a sequence of four: too long a form, or above U+10FFFF. */
static inline bool kpw_utf8_is_odd_four(const uint8_t *p)
{
    return p[0] > 0xf4 || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
}

/* Length of the sequence at `at` (1 to 4), 0 when it is none or is cut off. `at` < `end`. */
static inline size_t kpw_utf8_len(const char *at, const char *end)
{
    const uint8_t *p = (const uint8_t *)at;
    size_t room = (size_t)(end - at);

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || room < 2 || !kpw_utf8_is_later(p[1]))
        return 0;
    if (p[0] < 0xe0)
        return 2;
    if (room < 3 || !kpw_utf8_is_later(p[2]))
        return 0;
    if (p[0] < 0xf0)
        return kpw_utf8_is_odd_three(p) ? 0 : 3;
    return room < 4 || !kpw_utf8_is_later(p[3]) || kpw_utf8_is_odd_four(p) ? 0 : 4;
}

/* The same, and the character itself; *ret is 0 when there is none. */
static inline size_t kpw_utf8_decode(const char *at, const char *end, uint32_t *ret)
{
    const uint8_t *p = (const uint8_t *)at;
    size_t n = kpw_utf8_len(at, end);

    switch (n) {
    case 1: *ret = p[0]; break;
    case 2: *ret = (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f); break;
    case 3:
        *ret = (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
        break;
    case 4:
        *ret = (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 |
               (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
        break;
    default: *ret = 0; break;
    }
    return n;
}

/* True when all of it is UTF-8; so is nothing (ptr may be NULL then). */
bool kpw_utf8_valid(const void *ptr, size_t len);

#endif
