/* json_scan.h - steps that the JSON and XML readers and writers share; private to sdk/wire.
 *
 * Threads: [any]; no state.
 */
#ifndef KPIPE_WIRE_JSON_SCAN_H
#define KPIPE_WIRE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* True for a byte that a JSON string may hold as it is and that is ASCII. */
static inline bool json_is_plain(char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

/* The first byte that is a quote, a backslash, a control character or not ASCII; or `end`. */
static inline const char *json_plain_end(const char *at, const char *end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    const __m128i blank = _mm_set1_epi8(' ');

    for (; end - at >= 16; at += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
        /* signed: bytes from 0x80 on are below the blank too */
        __m128i stop = _mm_cmplt_epi8(v, blank);
        int mask;

        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(v, quote));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(v, backslash));
        mask = _mm_movemask_epi8(stop);
        if (mask)
            return at + __builtin_ctz((unsigned)mask);
    }
#endif
    while (at < end && json_is_plain(*at))
        at++;
    return at;
}

/* Writes a character as UTF-8, 1 to 4 bytes; returns how many. */
static inline size_t json_put_utf8(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static inline const char *json_digits_end(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* The end of the number that begins at `at`; NULL when there is none. */
static inline const char *json_number_end(const char *at, const char *end, bool *ret_is_integer)
{
    const char *from;

    *ret_is_integer = true;
    at += at < end && *at == '-';
    from = at;
    at = json_digits_end(at, end);
    if (at == from || (*from == '0' && at - from > 1))
        return NULL;
    if (at < end && *at == '.') {
        *ret_is_integer = false;
        from = at + 1;
        if ((at = json_digits_end(from, end)) == from)
            return NULL;
    }
    if (at < end && (*at | 0x20) == 'e') {
        *ret_is_integer = false;
        at++;
        at += at < end && (*at == '+' || *at == '-');
        from = at;
        if ((at = json_digits_end(from, end)) == from)
            return NULL;
    }
    return at;
}

/* The value of four hex digits, or -1. */
static inline int json_hex4(const char *at)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        char c = at[i], low = (char)(c | 0x20);

        if (c >= '0' && c <= '9')
            value = value << 4 | (c - '0');
        else if (low >= 'a' && low <= 'f')
            value = value << 4 | (low - 'a' + 10);
        else
            return -1;
    }
    return value;
}

#endif
