/* num.c - DynamoDB's numbers: decimals of up to 38 digits, kept and computed exactly.
 *
 * A sum is done on a strip of digits that covers every position a number can
 * have (10^125 down to 10^-167), so no case of alignment can go wrong.
 */
#include "plugins/local-aws/dynamodb/num.h"

#include <string.h>

enum {
    EXPONENT_MAX = 125,
    EXPONENT_MIN = -130,
    STRIP_TOP = EXPONENT_MAX + 1, /* one more for the carry */
    STRIP = STRIP_TOP - EXPONENT_MIN + DDB_NUM_DIGITS + 1,
    EXPONENT_CAP = 100000, /* larger ones are out of range anyway, and must not overflow an int */
};

static const char not_a_number[] = "The parameter cannot be converted to a numeric value";
static const char too_large[] =
    "Number overflow. Attempting to store a number with magnitude larger than supported range";
static const char too_small[] =
    "Number underflow. Attempting to store a number with magnitude smaller than supported range";
static const char too_long[] = "Attempting to store more than 38 significant digits in a Number";

struct scan {
    const char *at, *end;
};

static bool is_digit(const struct scan *s)
{
    return s->at < s->end && *s->at >= '0' && *s->at <= '9';
}

static bool take(struct scan *s, char a, char b)
{
    if (s->at >= s->end || (*s->at != a && *s->at != b))
        return false;
    s->at++;
    return true;
}

/* Digits of the mantissa; false when there are more than fit. Zeros that may turn out to trail are
 * only counted until another digit follows. */
static bool scan_mantissa(struct scan *s, struct ddb_num *num, bool *ret_any)
{
    int zeros = 0, point = 0;
    bool after_point = false, fits = true;

    *ret_any = false;
    num->n = 0;
    for (;; s->at++) {
        if (!after_point && s->at < s->end && *s->at == '.') {
            after_point = true;
            continue;
        }
        if (!is_digit(s))
            break;
        *ret_any = true;
        if (*s->at == '0') {
            if (num->n == 0)
                point -= after_point;
            else
                zeros++, point += !after_point;
            continue;
        }
        if (num->n + zeros + 1 > DDB_NUM_DIGITS) {
            fits = false;
        } else {
            memset(num->digits + num->n, 0, (size_t)zeros);
            num->n += zeros;
            num->digits[num->n++] = (uint8_t)(*s->at - '0');
        }
        zeros = 0;
        point += !after_point;
    }
    num->exponent = point - 1;
    return fits;
}

static bool scan_exponent(struct scan *s, int *ret)
{
    bool negative;
    int value = 0;

    *ret = 0;
    if (!take(s, 'e', 'E'))
        return true;
    negative = take(s, '-', '-');
    if (!negative)
        take(s, '+', '+');
    if (!is_digit(s))
        return false;
    for (; is_digit(s); s->at++)
        if (value < EXPONENT_CAP)
            value = value * 10 + (*s->at - '0');
    *ret = negative ? -value : value;
    return true;
}

static const char *check_range(const struct ddb_num *num)
{
    if (num->n > 0 && num->exponent > EXPONENT_MAX)
        return too_large;
    if (num->n > 0 && num->exponent < EXPONENT_MIN)
        return too_small;
    return NULL;
}

const char *ddb_num_parse(struct ddb_num *num, const char *text, size_t len)
{
    struct scan s = {text, text + len};
    bool any, fits;
    int exponent;

    /* A value of a request is at most 400 KiB; no sane number is longer than this, and `point`
     * must stay an int. */
    memset(num, 0, sizeof(*num));
    if (len > EXPONENT_CAP)
        return not_a_number;
    num->negative = take(&s, '-', '-');
    if (!num->negative)
        take(&s, '+', '+');
    fits = scan_mantissa(&s, num, &any);
    if (!any || !scan_exponent(&s, &exponent) || s.at != s.end)
        return not_a_number;
    if (!fits)
        return too_long;
    if (num->n == 0) {
        num->negative = false;
        num->exponent = 0;
        return NULL;
    }
    num->exponent += exponent;
    return check_range(num);
}

size_t ddb_num_text(const struct ddb_num *num, char out[DDB_NUM_TEXT_MAX])
{
    char *p = out;

    if (num->negative)
        *p++ = '-';
    if (num->n == 0 || num->exponent < 0)
        *p++ = '0';
    if (num->exponent < 0) {
        *p++ = '.';
        for (int i = -1; i > num->exponent; i--)
            *p++ = '0';
    }
    for (int i = 0; i < num->n; i++) {
        if (num->exponent >= 0 && i == num->exponent + 1)
            *p++ = '.';
        *p++ = (char)('0' + num->digits[i]);
    }
    for (int i = num->n; num->n > 0 && i <= num->exponent; i++)
        *p++ = '0';
    *p = '\0';
    return (size_t)(p - out);
}

/* Order of the absolute values of two numbers that are not zero. */
static int compare_magnitude(const struct ddb_num *a, const struct ddb_num *b)
{
    int common = a->n < b->n ? a->n : b->n;
    int order;

    if (a->exponent != b->exponent)
        return a->exponent < b->exponent ? -1 : 1;
    order = memcmp(a->digits, b->digits, (size_t)common);
    if (order == 0)
        order = a->n - b->n;
    return (order > 0) - (order < 0);
}

static int sign_of(const struct ddb_num *num)
{
    if (num->n == 0)
        return 0;
    return num->negative ? -1 : 1;
}

int ddb_num_compare(const struct ddb_num *a, const struct ddb_num *b)
{
    int sa = sign_of(a), sb = sign_of(b);

    if (sa != sb)
        return sa < sb ? -1 : 1;
    return sa == 0 ? 0 : sa * compare_magnitude(a, b);
}

/* Adds (or takes away) the digits of num at their places of the strip; a carry stays in the cell
 * as a value outside 0..9. */
static void lay_down(int strip[STRIP], const struct ddb_num *num, int sign)
{
    for (int i = 0; i < num->n; i++)
        strip[STRIP_TOP - num->exponent + i] += sign * num->digits[i];
}

static const char *pick_up(struct ddb_num *num, int strip[STRIP], bool negative)
{
    int first = 0, last = STRIP - 1;

    for (int i = STRIP - 1; i > 0; i--) {
        int carry = strip[i] >= 0 ? strip[i] / 10 : -((9 - strip[i]) / 10);

        strip[i - 1] += carry;
        strip[i] -= carry * 10;
    }
    memset(num, 0, sizeof(*num));
    while (first < STRIP && strip[first] == 0)
        first++;
    if (first == STRIP)
        return NULL;
    while (strip[last] == 0)
        last--;
    if (last - first + 1 > DDB_NUM_DIGITS)
        return too_long;
    num->negative = negative;
    num->n = last - first + 1;
    num->exponent = STRIP_TOP - first;
    for (int i = 0; i < num->n; i++)
        num->digits[i] = (uint8_t)strip[first + i];
    return check_range(num);
}

const char *ddb_num_add(struct ddb_num *sum, const struct ddb_num *a, const struct ddb_num *b,
                        bool subtract)
{
    int strip[STRIP] = {0};
    struct ddb_num minus_b = *b, large;
    bool b_first;

    if (subtract && b->n > 0)
        minus_b.negative = !b->negative;
    /* The larger magnitude goes in positive, so that the strip never ends up below zero. */
    b_first = a->n == 0 || (b->n > 0 && compare_magnitude(a, b) < 0);
    large = b_first ? minus_b : *a;
    lay_down(strip, a, a->negative == large.negative ? 1 : -1);
    lay_down(strip, &minus_b, minus_b.negative == large.negative ? 1 : -1);
    return pick_up(sum, strip, large.negative);
}

size_t ddb_num_key(const struct ddb_num *num, uint8_t out[DDB_NUM_KEY_MAX])
{
    size_t n = 0;
    unsigned biased = (unsigned)(num->exponent + 0x4000);

    if (num->n == 0) {
        out[0] = 0x80;
        return 1;
    }
    out[n++] = 0xC0;
    out[n++] = (uint8_t)(biased >> 8);
    out[n++] = (uint8_t)biased;
    for (int i = 0; i < num->n; i++)
        out[n++] = (uint8_t)(num->digits[i] + 1);
    out[n++] = 0; /* ends the digits: a shorter number sorts first, or last when negative */
    if (num->negative)
        for (size_t i = 0; i < n; i++)
            out[i] = (uint8_t)~out[i];
    return n;
}

size_t ddb_num_size(const struct ddb_num *num)
{
    return (size_t)(num->n + 1) / 2 + 1 + (num->negative ? 1 : 0);
}
