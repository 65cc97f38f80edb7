/* cbor_put.c - writing CBOR on a buffer. */
#include "sdk/wire/cbor.h"
#include "sdk/wire/utf8.h"

#include <endian.h>
#include <math.h>

enum { HEAD_8 = 24, HEAD_16, HEAD_32, HEAD_64, MAJOR_OTHER = 7 };

/* Writes the lowest `size` bytes, 1 to 8; returns `size`. */
static size_t put_big_endian(char *to, uint64_t n, size_t size)
{
    uint64_t word = htobe64(n << (64 - 8 * size));

    memcpy(to, &word, size);
    return size;
}

size_t kpw_cbor_head(char *to, enum kpw_cbor_major major, uint64_t n)
{
    uint8_t high = (uint8_t)(major << 5);

    if (n < HEAD_8) {
        *to = (char)(high | n);
        return 1;
    }
    if (n <= UINT8_MAX) {
        *to = (char)(high | HEAD_8);
        to[1] = (char)n;
        return 2;
    }
    if (n <= UINT16_MAX) {
        *to = (char)(high | HEAD_16);
        return 1 + put_big_endian(to + 1, n, 2);
    }
    if (n <= UINT32_MAX) {
        *to = (char)(high | HEAD_32);
        return 1 + put_big_endian(to + 1, n, 4);
    }
    *to = (char)(high | HEAD_64);
    return 1 + put_big_endian(to + 1, n, 8);
}

void kpw_cbor_put_head(struct kpw_buf *buf, enum kpw_cbor_major major, uint64_t n)
{
    char *to = kpw_buf_reserve(buf, KPW_CBOR_HEAD_MAX);

    if (to)
        buf->len += kpw_cbor_head(to, major, n);
}

void kpw_cbor_put_uint(struct kpw_buf *buf, uint64_t n)
{
    kpw_cbor_put_head(buf, KPW_CBOR_MAJOR_UINT, n);
}

void kpw_cbor_put_int(struct kpw_buf *buf, int64_t n)
{
    if (n < 0)
        kpw_cbor_put_head(buf, KPW_CBOR_MAJOR_NEGATIVE, ~(uint64_t)n);
    else
        kpw_cbor_put_uint(buf, (uint64_t)n);
}

void kpw_cbor_put_bytes(struct kpw_buf *buf, const void *ptr, size_t len)
{
    kpw_cbor_put_head(buf, KPW_CBOR_MAJOR_BYTES, len);
    kpw_buf_append(buf, ptr, len);
}

static void put_mended(struct kpw_buf *buf, const char *at, const char *end)
{
    size_t len = 0, n;

    for (const char *c = at; c < end; c += n ? n : 1)
        len += (n = kpw_utf8_len(c, end)) ? n : 3;
    kpw_cbor_put_head(buf, KPW_CBOR_MAJOR_TEXT, len);
    for (; at < end; at += n ? n : 1) {
        n = kpw_utf8_len(at, end);
        kpw_buf_append(buf, n ? at : "\xef\xbf\xbd", n ? n : 3);
    }
}

void kpw_cbor_put_text(struct kpw_buf *buf, const void *ptr, size_t len)
{
    if (!kpw_utf8_valid(ptr, len)) {
        put_mended(buf, ptr, (const char *)ptr + len);
        return;
    }
    kpw_cbor_put_head(buf, KPW_CBOR_MAJOR_TEXT, len);
    kpw_buf_append(buf, ptr, len);
}

void kpw_cbor_put_cstr(struct kpw_buf *buf, const char *s)
{
    kpw_cbor_put_text(buf, s, strlen(s));
}

static void put_other(struct kpw_buf *buf, unsigned n)
{
    kpw_buf_putc(buf, (char)(MAJOR_OTHER << 5 | n));
}

void kpw_cbor_put_bool(struct kpw_buf *buf, bool b)
{
    put_other(buf, b ? 21 : 20);
}

void kpw_cbor_put_null(struct kpw_buf *buf)
{
    put_other(buf, 22);
}

/* The bits of a half float that is exactly `n`; false: there is none. */
static bool to_half(float n, uint16_t *ret)
{
    uint32_t bits, fraction;
    int exponent;

    memcpy(&bits, &n, sizeof bits);
    fraction = bits & 0x7fffff;
    exponent = (int)(bits >> 23 & 0xff) - 127;
    *ret = (uint16_t)(bits >> 16 & 0x8000);
    if (!(bits << 1))
        return true;
    if (exponent == 128 || (exponent >= -14 && exponent <= 15)) { /* infinite, or normal there */
        *ret |= (uint16_t)((exponent == 128 ? 31 : exponent + 15) << 10 | fraction >> 13);
        return !(fraction & 0x1fff);
    }
    if (exponent < -24 || exponent > 15)
        return false;
    fraction |= 0x800000;
    *ret |= (uint16_t)(fraction >> (-1 - exponent));
    return !(fraction & ((1u << (-1 - exponent)) - 1));
}

void kpw_cbor_put_double(struct kpw_buf *buf, double n)
{
    char text[9];
    float single = (float)n;
    uint16_t half = 0x7e00;
    uint64_t bits = 0;
    size_t size = 8;

    if (isnan(n) || ((double)single == n && to_half(single, &half))) {
        bits = half;
        size = 2;
    } else if ((double)single == n) {
        uint32_t low;

        memcpy(&low, &single, sizeof low);
        bits = low;
        size = 4;
    } else {
        memcpy(&bits, &n, sizeof bits);
    }
    text[0] = (char)(MAJOR_OTHER << 5 | (size == 2 ? HEAD_16 : size == 4 ? HEAD_32 : HEAD_64));
    kpw_buf_append(buf, text, 1 + put_big_endian(text + 1, bits, size));
}

void kpw_cbor_put_map(struct kpw_buf *buf, size_t n)
{
    kpw_cbor_put_head(buf, KPW_CBOR_MAJOR_MAP, n);
}

void kpw_cbor_put_list(struct kpw_buf *buf, size_t n)
{
    kpw_cbor_put_head(buf, KPW_CBOR_MAJOR_ARRAY, n);
}

void kpw_cbor_put_map_any(struct kpw_buf *buf)
{
    kpw_buf_putc(buf, (char)KPW_CBOR_MAP_ANY);
}

void kpw_cbor_put_list_any(struct kpw_buf *buf)
{
    kpw_buf_putc(buf, (char)KPW_CBOR_LIST_ANY);
}

void kpw_cbor_put_break(struct kpw_buf *buf)
{
    kpw_buf_putc(buf, (char)KPW_CBOR_BREAK);
}

void kpw_cbor_put_time_ms(struct kpw_buf *buf, int64_t ms)
{
    kpw_cbor_put_head(buf, KPW_CBOR_MAJOR_TAG, KPW_CBOR_TAG_TIME);
    kpw_cbor_put_int(buf, ms);
}
