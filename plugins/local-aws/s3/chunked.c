/* chunked.c - bodies in the aws-chunked encoding. */
#include "plugins/local-aws/s3/chunked.h"

#include <string.h>
#include <strings.h>

struct line {
    const char *name, *value;
    size_t name_len, value_len;
};

void s3_chunked_init(struct s3_chunked *chunked, const char *body, size_t len)
{
    *chunked = (struct s3_chunked){.at = body, .end = body + len, .last = S3_CHUNK_MIN};
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

/* ";chunk-signature=HEX" up to the line's end; other extensions are passed over. */
static void take_signature(struct s3_chunked *chunked, const char *p, const char *newline)
{
    static const char name[] = ";chunk-signature=";
    const char *at = memmem(p, (size_t)(newline - p), name, sizeof(name) - 1);

    chunked->signature = NULL;
    chunked->signature_len = 0;
    if (!at)
        return;
    at += sizeof(name) - 1;
    chunked->signature = at;
    while (at < newline && *at != '\r' && *at != ';')
        at++;
    chunked->signature_len = (size_t)(at - chunked->signature);
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
    take_signature(chunked, p, newline);
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
    chunked->is_small = chunked->is_small || chunked->last < S3_CHUNK_MIN;
    chunked->last = size;
    *data = chunked->at;
    *len = size;
    chunked->at += size;
    if (chunked->end - chunked->at < 2 || memcmp(chunked->at, "\r\n", 2) != 0)
        return broken(chunked);
    chunked->at += 2;
    return true;
}

/* The next line of the trailer that has a name and a value; false: there is none. */
static bool next_line(const char **at, const char *end, struct line *ret)
{
    while (*at < end) {
        const char *newline = memchr(*at, '\n', (size_t)(end - *at));
        const char *stop = newline ? newline : end, *colon;

        ret->name = *at;
        colon = memchr(*at, ':', (size_t)(stop - *at));
        *at = newline ? newline + 1 : end;
        if (!colon)
            continue;
        ret->name_len = (size_t)(colon - ret->name);
        for (colon++; colon < stop && (*colon == ' ' || *colon == '\t');)
            colon++;
        while (stop > colon && (stop[-1] == '\r' || stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        ret->value = colon;
        ret->value_len = (size_t)(stop - colon);
        return true;
    }
    return false;
}

static bool has_name(const struct line *line, const char *name)
{
    return line->name_len == strlen(name) && strncasecmp(line->name, name, line->name_len) == 0;
}

bool s3_chunked_trailer(const struct s3_chunked *chunked, const char *name, const char **value,
                        size_t *len)
{
    const char *at = chunked->trailer;
    struct line line;

    while (at && next_line(&at, chunked->trailer + chunked->trailer_len, &line)) {
        if (!has_name(&line, name))
            continue;
        *value = line.value;
        *len = line.value_len;
        return true;
    }
    return false;
}

size_t s3_chunked_trailer_block(const struct s3_chunked *chunked, char *out, const char **signature,
                                size_t *len)
{
    const char *at = chunked->trailer;
    struct line line;
    size_t n = 0;

    *signature = NULL;
    *len = 0;
    while (at && next_line(&at, chunked->trailer + chunked->trailer_len, &line)) {
        if (has_name(&line, "x-amz-trailer-signature")) {
            *signature = line.value;
            *len = line.value_len;
            continue;
        }
        for (size_t i = 0; i < line.name_len; i++)
            out[n++] = (char)(line.name[i] >= 'A' && line.name[i] <= 'Z' ? line.name[i] | 0x20
                                                                         : line.name[i]);
        out[n++] = ':';
        memcpy(out + n, line.value, line.value_len);
        n += line.value_len;
        out[n++] = '\n';
    }
    return n;
}
