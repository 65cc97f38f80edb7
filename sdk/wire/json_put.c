/* json_put.c - writing JSON on a buffer: whole runs that need no escape are copied at once. */
#include "sdk/wire/json.h"
#include "sdk/wire/json_scan.h"
#include "sdk/wire/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void put_escape(struct kpw_buf *buf, char c)
{
    static const char digits[] = "0123456789abcdef";
    char text[6] = {'\\', c, '0', '0', 0, 0};
    size_t n = 2;

    switch (c) {
    case '"':
    case '\\': break;
    case '\b': text[1] = 'b'; break;
    case '\f': text[1] = 'f'; break;
    case '\n': text[1] = 'n'; break;
    case '\r': text[1] = 'r'; break;
    case '\t': text[1] = 't'; break;
    default:
        text[1] = 'u';
        text[4] = digits[(uint8_t)c >> 4];
        text[5] = digits[c & 15];
        n = 6;
    }
    kpw_buf_append(buf, text, n);
}

void kpw_json_put_string(struct kpw_buf *buf, const void *ptr, size_t len)
{
    const char *at = ptr, *end = len ? at + len : at;

    kpw_buf_putc(buf, '"');
    while (at < end && !buf->failed) {
        const char *plain = json_plain_end(at, end);
        size_t n;

        while (plain < end && (uint8_t)*plain >= 0x80 && (n = kpw_utf8_len(plain, end)))
            plain = json_plain_end(plain + n, end);
        kpw_buf_append(buf, at, (size_t)(plain - at));
        if (plain == end)
            break;
        if ((uint8_t)*plain >= 0x80)
            kpw_buf_append(buf, "\xef\xbf\xbd", 3);
        else
            put_escape(buf, *plain);
        at = plain + 1;
    }
    kpw_buf_putc(buf, '"');
}

void kpw_json_put_cstr(struct kpw_buf *buf, const char *s)
{
    kpw_json_put_string(buf, s, strlen(s));
}

void kpw_json_put_uint(struct kpw_buf *buf, uint64_t n)
{
    char text[20];
    size_t at = sizeof text;

    do {
        text[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    kpw_buf_append(buf, text + at, sizeof text - at);
}

void kpw_json_put_int(struct kpw_buf *buf, int64_t n)
{
    if (n < 0)
        kpw_buf_putc(buf, '-');
    kpw_json_put_uint(buf, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

/* The decimal point of the locale may be any text: what is no part of a number is the point. */
static size_t fix_point(char *text)
{
    size_t n = strspn(text, "+-0123456789"), skip = strcspn(text + n, "0123456789eE");

    if (text[n] && text[n] != 'e' && skip) {
        text[n] = '.';
        memmove(text + n + 1, text + n + skip, strlen(text + n + skip) + 1);
    }
    return strlen(text);
}

void kpw_json_put_double(struct kpw_buf *buf, double n)
{
    char text[64];

    if (isnan(n) || isinf(n)) {
        kpw_buf_append(buf, "null", 4);
        return;
    }
    if (fabs(n) < 9007199254740992.0 && n == (double)(int64_t)n && !(n == 0 && signbit(n))) {
        kpw_json_put_int(buf, (int64_t)n);
        return;
    }
    /* Written and read back in the same locale; 17 digits always suffice. */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, n);
        if (strtod(text, NULL) == n)
            break;
    }
    kpw_buf_append(buf, text, fix_point(text));
}

void kpw_json_put_bool(struct kpw_buf *buf, bool b)
{
    kpw_buf_puts(buf, b ? "true" : "false");
}

void kpw_json_put_key(struct kpw_buf *buf, const char *name)
{
    char last = buf->len ? buf->ptr[buf->len - 1] : '{';

    if (last != '{' && last != '[')
        kpw_buf_putc(buf, ',');
    kpw_json_put_cstr(buf, name);
    kpw_buf_putc(buf, ':');
}

void kpw_json_put_member(struct kpw_buf *buf, const char *name, const void *ptr, size_t len)
{
    kpw_json_put_key(buf, name);
    kpw_json_put_string(buf, ptr, len);
}

void kpw_json_put_member_cstr(struct kpw_buf *buf, const char *name, const char *s)
{
    kpw_json_put_member(buf, name, s, strlen(s));
}

void kpw_json_put_member_int(struct kpw_buf *buf, const char *name, int64_t n)
{
    kpw_json_put_key(buf, name);
    kpw_json_put_int(buf, n);
}

void kpw_json_put_member_bool(struct kpw_buf *buf, const char *name, bool b)
{
    kpw_json_put_key(buf, name);
    kpw_json_put_bool(buf, b);
}
