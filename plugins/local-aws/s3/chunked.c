/* chunked.c - bodies in the aws-chunked encoding. */
#include "plugins/local-aws/s3/chunked.h"

#include <string.h>
#include <strings.h>

void s3_chunked_init(struct s3_chunked *chunked, const char *body, size_t len)
{
    *chunked = (struct s3_chunked){body, body + len, false, NULL, 0};
}

static bool broken(struct s3_chunked *chunked)
{
    chunked->is_bad = true;
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "1a;chunk-signature=..\r\n": the number, and `at` behind the line. */
static bool take_header(struct s3_chunked *chunked, size_t *ret_size)
{
    const char *p = chunked->at;
    const char *newline = memchr(p, '\n', (size_t)(chunked->end - p));
    size_t size = 0;

    if (!newline || hex_digit(*p) < 0)
        return false;
    for (; p < newline && hex_digit(*p) >= 0; p++) {
        if (size > (size_t)(chunked->end - chunked->at))
            return false; /* more than the whole body holds */
        size = size * 16 + (size_t)hex_digit(*p);
    }
    if (*p != ';' && *p != '\r' && *p != '\n')
        return false;
    chunked->at = newline + 1;
    *ret_size = size;
    return true;
}

bool s3_chunked_next(struct s3_chunked *chunked, const char **data, size_t *len)
{
    size_t size;

    if (chunked->is_bad || chunked->trailer)
        return false;
    if (chunked->at == chunked->end || !take_header(chunked, &size))
        return broken(chunked);
    if (size == 0) {
        chunked->trailer = chunked->at;
        chunked->trailer_len = (size_t)(chunked->end - chunked->at);
        return false;
    }
    if ((size_t)(chunked->end - chunked->at) < size)
        return broken(chunked);
    *data = chunked->at;
    *len = size;
    chunked->at += size;
    if (chunked->end - chunked->at < 2 || memcmp(chunked->at, "\r\n", 2) != 0)
        return broken(chunked);
    chunked->at += 2;
    return true;
}

bool s3_chunked_trailer(const struct s3_chunked *chunked, const char *name, const char **value,
                        size_t *len)
{
    const char *p = chunked->trailer, *end = p + chunked->trailer_len;
    size_t n = strlen(name);

    while (p && p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline ? newline : end;

        if ((size_t)(stop - p) > n && strncasecmp(p, name, n) == 0 && p[n] == ':') {
            p += n + 1;
            while (p < stop && (*p == ' ' || *p == '\t'))
                p++;
            while (stop > p && (stop[-1] == '\r' || stop[-1] == ' '))
                stop--;
            *value = p;
            *len = (size_t)(stop - p);
            return true;
        }
        p = newline ? newline + 1 : end;
    }
    return false;
}
