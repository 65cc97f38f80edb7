/* u128.c - decimal texts of 128 bits and of any length. */
#include "sdk/wire/u128.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool kpw_u128_parse(struct kpw_slice text, kpw_u128 *ret)
{
    kpw_u128 n = 0;

    if (!text.len || text.len > KPW_U128_SIZE)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i]) || __builtin_mul_overflow(n, (kpw_u128)10, &n) ||
            __builtin_add_overflow(n, (kpw_u128)(text.ptr[i] - '0'), &n))
            return false;
    }
    *ret = n;
    return true;
}

size_t kpw_u128_format(kpw_u128 n, char out[KPW_U128_SIZE])
{
    char digits[KPW_U128_SIZE];
    size_t at = sizeof digits, len;

    do {
        digits[--at] = (char)('0' + (int)(n % 10));
        n /= 10;
    } while (n);
    len = sizeof digits - at;
    memcpy(out, digits + at, len);
    out[len] = '\0';
    return len;
}

kpw_u128 kpw_u128_from_bytes(const uint8_t bytes[16])
{
    kpw_u128 n = 0;

    for (int i = 0; i < 16; i++)
        n = n << 8 | bytes[i];
    return n;
}

bool kpw_decimal_valid(struct kpw_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i]))
            return false;
    }
    return text.len > 0;
}

static struct kpw_slice without_zeros(struct kpw_slice a)
{
    while (a.len && a.ptr[0] == '0')
        a.ptr++, a.len--;
    return a;
}

int kpw_decimal_compare(struct kpw_slice a, struct kpw_slice b)
{
    a = without_zeros(a);
    b = without_zeros(b);
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len ? memcmp(a.ptr, b.ptr, a.len) : 0;
}
