/* http_syntax.c - see http_syntax.h. */
#include "core/net/http_syntax.h"

#include <stdint.h>
#include <string.h>

enum { TOKEN = 1, VALUE = 2, HOST = 4, HEX = 8 };

/* clang-format off */
#define T (TOKEN | VALUE)
#define N (TOKEN | VALUE | HOST)       /* name characters that a host may have, too */
#define X (TOKEN | VALUE | HOST | HEX)
#define V VALUE
#define S (VALUE | HOST)               /* sub-delims that no token may have */
static const uint8_t classes[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, V, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    V, N, V, T, N, T, N, N, S, S, N, N, S, N, N, V,  /*   ! " # $ % & ' ( ) * + , - . / */
    X, X, X, X, X, X, X, X, X, X, V, S, V, S, V, V,  /* 0 to 9 : ; < = > ? */
    V, X, X, X, X, X, X, N, N, N, N, N, N, N, N, N,  /* @ A to O */
    N, N, N, N, N, N, N, N, N, N, N, V, V, V, T, N,  /* P to Z [ \ ] ^ _ */
    T, X, X, X, X, X, X, N, N, N, N, N, N, N, N, N,  /* ` a to o */
    N, N, N, N, N, N, N, N, N, N, N, V, T, V, N, 0,  /* p to z { | } ~ */
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
};
/* clang-format on */

static bool is(char c, unsigned what)
{
    return (classes[(uint8_t)c] & what) != 0;
}

static bool all_are(const char *p, size_t n, unsigned what)
{
    unsigned common = what;

    for (size_t i = 0; i < n; i++)
        common &= classes[(uint8_t)p[i]];
    return common == what;
}

bool http_is_token_byte(char c)
{
    return is(c, TOKEN);
}

bool http_is_token(const char *p, size_t n)
{
    return n && all_are(p, n, TOKEN);
}

bool http_is_value(const char *p, size_t n)
{
    return all_are(p, n, VALUE);
}

/* Two hexadecimal digits after a '%', within n bytes. */
static bool is_escape(const char *p, size_t n)
{
    return n >= 3 && is(p[1], HEX) && is(p[2], HEX) && !(p[1] == '0' && p[2] == '0');
}

bool http_is_target(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] <= ' ' || p[i] >= 0x7f || p[i] == '#')
            return false;
        if (p[i] == '%' && !is_escape(p + i, n - i))
            return false;
    }
    return n > 0;
}

static bool is_port(const char *p, size_t n)
{
    unsigned port = 0;

    if (n > 5)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        port = port * 10 + (unsigned)(p[i] - '0');
    }
    return port <= 65535;
}

/* The bytes between the brackets of an IPv6 address; its value is nobody's concern here. */
static bool is_literal(const char *p, size_t n)
{
    size_t colons = 0;

    for (size_t i = 0; i < n; i++) {
        if (p[i] == ':')
            colons++;
        else if (!is(p[i], HEX) && p[i] != '.')
            return false;
    }
    return colons >= 2 && n <= 45;
}

bool http_is_authority(const char *p, size_t n)
{
    size_t host = 0;

    if (n && p[0] == '[') {
        const char *end = memchr(p, ']', n);

        if (!end || !is_literal(p + 1, (size_t)(end - p) - 1))
            return false;
        host = (size_t)(end - p) + 1;
    } else {
        for (; host < n && p[host] != ':'; host++)
            if (p[host] == '%' ? !is_escape(p + host, n - host) : !is(p[host], HOST))
                return false;
    }
    if (!host)
        return false;
    return host == n || (p[host] == ':' && is_port(p + host + 1, n - host - 1));
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool http_same_nocase(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool http_is_nocase(const char *p, size_t n, const char *word)
{
    return n == strlen(word) && http_same_nocase(p, word, n);
}

bool http_list_has(const char *p, size_t n, const char *word)
{
    const char *end = p + n;

    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma ? comma : end;

        while (p < stop && (*p == ' ' || *p == '\t'))
            p++;
        while (stop > p && (stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        if (http_is_nocase(p, (size_t)(stop - p), word))
            return true;
        p = comma ? comma + 1 : end;
    }
    return false;
}
