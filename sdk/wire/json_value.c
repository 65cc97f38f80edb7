/* json_value.c - what a raw JSON value means: texts, numbers, and values found by path. */
#include "sdk/wire/json.h"
#include "sdk/wire/json_scan.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- texts */

/* \uXXXX, with its second half if it is the first of a pair. */
static size_t unescape_unicode(const char *at, const char *end, char *out, size_t *ret_len)
{
    int high = end - at >= 6 ? json_hex4(at + 2) : -1, low;

    if (high < 0) { /* not what the scanner lets through */
        *out = *at;
        *ret_len = 1;
        return 1;
    }
    if (high < 0xd800 || high > 0xdfff) {
        *ret_len = json_put_utf8((uint32_t)high, out);
        return 6;
    }
    low = high < 0xdc00 && end - at >= 12 && at[6] == '\\' && at[7] == 'u' ? json_hex4(at + 8) : -1;
    if (low < 0xdc00 || low > 0xdfff) {
        *ret_len = json_put_utf8(0xfffd, out);
        return 6;
    }
    *ret_len =
        json_put_utf8(0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00), out);
    return 12;
}

/* Unescapes what begins with the backslash at `at`; returns how long it was. */
static size_t unescape_one(const char *at, const char *end, char *out, size_t *ret_len)
{
    *ret_len = 1;
    if (end - at < 2) {
        *out = *at;
        return 1;
    }
    switch (at[1]) {
    case 'b': *out = '\b'; return 2;
    case 'f': *out = '\f'; return 2;
    case 'n': *out = '\n'; return 2;
    case 'r': *out = '\r'; return 2;
    case 't': *out = '\t'; return 2;
    case 'u': return unescape_unicode(at, end, out, ret_len);
    default: *out = at[1]; return 2;
    }
}

size_t kpw_json_unescape_to(struct kpw_slice raw, char *out)
{
    const char *at = raw.ptr, *end = raw.len ? raw.ptr + raw.len : raw.ptr;
    char *to = out;

    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t n = (size_t)((escape ? escape : end) - at);

        memmove(to, at, n);
        to += n;
        if (!escape)
            break;
        at = escape + unescape_one(escape, end, to, &n);
        to += n;
    }
    return (size_t)(to - out);
}

/* Against a limit only what is really written may count. */
static void unescape_pieces(struct kpw_slice raw, struct kpw_buf *out)
{
    const char *at = raw.ptr, *end = raw.len ? raw.ptr + raw.len : raw.ptr;

    while (at < end && !out->failed) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        char one[4];
        size_t n;

        kpw_buf_append(out, at, (size_t)((escape ? escape : end) - at));
        if (!escape)
            break;
        at = escape + unescape_one(escape, end, one, &n);
        kpw_buf_append(out, one, n);
    }
}

void kpw_json_unescape(struct kpw_slice raw, struct kpw_buf *out)
{
    char *to;

    if (out->limit)
        unescape_pieces(raw, out);
    else if ((to = kpw_buf_reserve(out, raw.len)))
        out->len += kpw_json_unescape_to(raw, to);
}

/* Piece by piece, so that no memory is needed. */
static bool text_equals(struct kpw_slice raw, const char *s, size_t len)
{
    const char *at = raw.ptr, *end = raw.len ? raw.ptr + raw.len : raw.ptr;

    while (at < end) {
        char one[4];
        size_t n = 1;

        if (*at == '\\')
            at += unescape_one(at, end, one, &n);
        else
            one[0] = *at++;
        if (n > len || memcmp(one, s, n))
            return false;
        s += n;
        len -= n;
    }
    return !len;
}

bool kpw_json_text_is(struct kpw_slice raw, const char *s)
{
    return text_equals(raw, s, strlen(s));
}

/* ---- numbers */

/* Sign and digits of an integer; false when it is none or does not fit 64 bits. */
static bool magnitude(struct kpw_slice number, bool *ret_negative, uint64_t *ret)
{
    const char *at = number.ptr, *end;
    bool is_integer;

    *ret = 0;
    if (!number.len)
        return false;
    end = at + number.len;
    if (json_number_end(at, end, &is_integer) != end || !is_integer)
        return false;
    *ret_negative = *at == '-';
    for (at += *ret_negative; at < end; at++) {
        if (__builtin_mul_overflow(*ret, (uint64_t)10, ret) ||
            __builtin_add_overflow(*ret, (uint64_t)(*at - '0'), ret))
            return false;
    }
    return true;
}

bool kpw_json_to_int64(struct kpw_slice number, int64_t *ret)
{
    uint64_t n;
    bool negative;

    if (!magnitude(number, &negative, &n) || n > (uint64_t)INT64_MAX + negative)
        return false;
    *ret = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

bool kpw_json_to_uint64(struct kpw_slice number, uint64_t *ret)
{
    uint64_t n;
    bool negative;

    if (!magnitude(number, &negative, &n) || (negative && n))
        return false;
    *ret = n;
    return true;
}

/* A decimal number as digits without leading zeros, times ten to the exponent. More digits than
 * MAX_DIGITS cannot change how it is rounded, except that they are not all zero. */
#define MAX_DIGITS 780

struct decimal {
    bool negative, is_inexact;
    uint32_t n_digits;
    int64_t exponent;
    char digits[MAX_DIGITS + 32];
};

static void add_digits(struct decimal *d, const char *at, const char *end, bool is_fraction)
{
    for (; at < end; at++) {
        if (d->n_digits < MAX_DIGITS) {
            if (d->n_digits || *at != '0')
                d->digits[d->n_digits++] = *at;
            d->exponent -= is_fraction;
        } else {
            d->is_inexact |= *at != '0';
            d->exponent += !is_fraction;
        }
    }
}

/* The exponent's digits; anything beyond a million is as good as a million. */
static int64_t read_exponent(const char *at, const char *end)
{
    bool negative = *at == '-';
    int64_t e = 0;

    for (at += negative || *at == '+'; at < end; at++) {
        if (e < 10000000)
            e = e * 10 + (*at - '0');
    }
    return negative ? -e : e;
}

/* `number` is known to be one. */
static void read_decimal(struct kpw_slice number, struct decimal *d)
{
    const char *at = number.ptr, *end = at + number.len, *from;

    d->negative = *at == '-';
    d->is_inexact = false;
    d->n_digits = 0;
    d->exponent = 0;
    from = at + d->negative;
    at = json_digits_end(from, end);
    add_digits(d, from, at, false);
    if (at < end && *at == '.') {
        from = at + 1;
        at = json_digits_end(from, end);
        add_digits(d, from, at, true);
    }
    if (at < end)
        d->exponent += read_exponent(at + 1, end);
}

static locale_t c_locale(void)
{
    static locale_t made;
    locale_t now = __atomic_load_n(&made, __ATOMIC_ACQUIRE), none = NULL;

    if (now)
        return now;
    now = newlocale(LC_ALL_MASK, "C", NULL);
    if (!__atomic_compare_exchange_n(&made, &none, now, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        freelocale(now);
        now = none;
    }
    return now;
}

/* Any number, by the C library, which rounds exactly. */
static double slow_double(struct decimal *d)
{
    char *to = d->digits + d->n_digits;
    int64_t exponent = d->exponent;
    char end[24];

    if (!d->n_digits)
        *to++ = '0';
    if (d->is_inexact) {
        *to++ = '1';
        exponent--;
    }
    if (exponent > 100000)
        exponent = 100000;
    if (exponent < -100000)
        exponent = -100000;
    snprintf(end, sizeof end, "e%d", (int)exponent);
    strcpy(to, end);
    return strtod_l(d->digits, NULL, c_locale());
}

/* Up to 2^53 times or divided by up to 10^22 needs one rounding only. */
static bool fast_double(const struct decimal *d, double *ret)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    uint64_t n = 0;

    if (d->n_digits > 15 || d->exponent < -22 || d->exponent > 22)
        return false;
    for (uint32_t i = 0; i < d->n_digits; i++)
        n = n * 10 + (uint64_t)(d->digits[i] - '0');
    *ret = d->exponent < 0 ? (double)n / powers[-d->exponent] : (double)n * powers[d->exponent];
    return true;
}

bool kpw_json_to_double(struct kpw_slice number, double *ret)
{
    struct decimal d;
    bool is_integer;
    double value;

    if (!number.len || json_number_end(number.ptr, number.ptr + number.len, &is_integer) !=
                           number.ptr + number.len)
        return false;
    read_decimal(number, &d);
    if (!fast_double(&d, &value))
        value = slow_double(&d);
    if (isinf(value))
        return false;
    *ret = d.negative ? -value : value;
    return true;
}

/* ---- values by path */

struct step {
    bool is_index;
    struct kpw_slice name;
    uint64_t index;
};

/* "[12]", "['a b']" or "[\"a b\"]"; *path stands at the bracket. */
static bool bracket_step(const char **path, struct step *ret)
{
    const char *at = *path + 1, *close;
    char quote = *at;

    if (quote == '\'' || quote == '"') {
        if (!(close = strchr(at + 1, quote)) || close[1] != ']')
            return false;
        ret->is_index = false;
        ret->name = (struct kpw_slice){at + 1, (size_t)(close - at - 1)};
        *path = close + 2;
        return true;
    }
    close = at + strspn(at, "0123456789");
    ret->is_index = true;
    if (*close != ']' ||
        !kpw_json_to_uint64((struct kpw_slice){at, (size_t)(close - at)}, &ret->index))
        return false;
    *path = close + 1;
    return true;
}

static bool next_step(const char **path, bool is_first, struct step *ret)
{
    size_t n;

    if (**path == '[')
        return bracket_step(path, ret);
    if (**path == '.')
        ++*path;
    else if (!is_first)
        return false;
    n = strcspn(*path, ".[");
    *ret = (struct step){.name = {*path, n}};
    *path += n;
    return n > 0;
}

/* Goes from an object or array into its member. Returns the type of the member's token, END when
 * there is no such member. */
static enum kpw_json_type enter(struct kpw_json *r, const struct step *step)
{
    if (r->type != (step->is_index ? KPW_JSON_ARRAY : KPW_JSON_OBJECT))
        return r->type == KPW_JSON_ERROR ? KPW_JSON_ERROR : KPW_JSON_END;
    for (uint64_t i = 0;; i++) {
        switch (kpw_json_next(r)) {
        case KPW_JSON_ERROR: return KPW_JSON_ERROR;
        case KPW_JSON_ARRAY_END:
        case KPW_JSON_OBJECT_END: return KPW_JSON_END;
        default: break;
        }
        if (step->is_index && i == step->index)
            return r->type;
        if (!step->is_index &&
            (r->has_escape ? text_equals(r->value, step->name.ptr, step->name.len)
                           : kpw_slice_eq(r->value, step->name)))
            return kpw_json_next(r);
        if (!kpw_json_skip(r))
            return KPW_JSON_ERROR;
    }
}

enum kpw_json_type kpw_json_find(struct kpw_slice doc, const char *path, struct kpw_slice *ret)
{
    struct kpw_json r;
    struct step step = {.is_index = false};
    enum kpw_json_type type;
    bool is_first = *path != '$';

    *ret = (struct kpw_slice){NULL, 0};
    path += *path == '$';
    kpw_json_init(&r, doc.ptr, doc.len);
    type = kpw_json_next(&r);
    for (; *path; is_first = false) {
        if (!next_step(&path, is_first, &step))
            return KPW_JSON_ERROR;
        type = enter(&r, &step);
        if (type == KPW_JSON_END || type == KPW_JSON_ERROR)
            return type;
    }
    if ((type == KPW_JSON_OBJECT || type == KPW_JSON_ARRAY) && !kpw_json_skip(&r))
        return KPW_JSON_ERROR;
    if (type != KPW_JSON_ERROR)
        *ret = r.value;
    return type;
}
