/* name.c - names of buckets and keys, and where a key lives as a file. */
#include "plugins/local-aws/s3/name.h"

#include <string.h>

#include "sdk/wire/utf8.h"

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* "192.168.0.1": four runs of digits. */
static bool looks_like_ipv4(const char *name, size_t len)
{
    int dots = 0;

    for (size_t i = 0; i < len; i++) {
        if (name[i] == '.')
            dots++;
        else if (name[i] < '0' || name[i] > '9')
            return false;
    }
    return dots == 3;
}

bool s3_is_bucket_name(const char *name, size_t len)
{
    if (len < 3 || len > 63 || !is_lower_or_digit(name[0]) || !is_lower_or_digit(name[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_lower_or_digit(name[i]) && name[i] != '-' && name[i] != '.')
            return false;
        if (name[i] == '.' && name[i + 1] == '.')
            return false;
    }
    return !looks_like_ipv4(name, len);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static long decode(const char *text, size_t len, char *out, size_t size, bool plus_is_blank)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (n + 1 >= size)
            return -1;
        if (c == '%') {
            int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return -1;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        out[n++] = c;
    }
    out[n] = '\0';
    return (long)n;
}

long s3_decode(const char *text, size_t len, char *out, size_t size)
{
    return decode(text, len, out, size, false);
}

long s3_decode_query(const char *text, size_t len, char *out, size_t size)
{
    return decode(text, len, out, size, true);
}

static size_t put_hex(char *out, unsigned char c)
{
    static const char digits[] = "0123456789ABCDEF";

    out[0] = '%';
    out[1] = digits[c >> 4];
    out[2] = digits[c & 15];
    return 3;
}

size_t s3_encode_listed(const char *text, size_t len, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~' || c == '/' || c == '*';

        if (plain)
            out[n++] = c;
        else if (c == ' ')
            out[n++] = '+';
        else
            n += put_hex(out + n, (unsigned char)c);
    }
    out[n] = '\0';
    return n;
}

bool s3_is_text(const char *text, size_t len)
{
    return kpw_utf8_valid(text, len) && !(len && memchr(text, '\0', len));
}

/* ---- paths ---- */

struct path {
    char *out;
    size_t n, size;
    s3_kind_fn kind;
    void *arg;
    bool full;
};

static void append(struct path *p, const char *text, size_t len)
{
    if (p->full || p->n + len + 1 > p->size) {
        p->full = true;
        return;
    }
    memcpy(p->out + p->n, text, len);
    p->n += len;
    p->out[p->n] = '\0';
}

static enum s3_kind kind_of(const struct path *p)
{
    return p->kind && !p->full ? p->kind(p->arg, p->out) : S3_FREE;
}

/* One more folder of the path is complete: its name must not be a file's. */
static void end_folder(struct path *p)
{
    if (kind_of(p) == S3_FILE)
        append(p, "%d", 2);
    append(p, "/", 1);
}

static size_t encode_byte(char c, char out[3])
{
    unsigned char u = (unsigned char)c;

    if (c == '%' || u < 0x20 || u == 0x7F)
        return put_hex(out, u);
    out[0] = c;
    return 1;
}

static void append_segment(struct path *p, const char *segment, size_t len)
{
    bool dots = (len == 1 && segment[0] == '.') || (len == 2 && memcmp(segment, "..", 2) == 0);
    size_t in_part = 0;

    if (len == 0)
        append(p, "%e", 2);
    for (size_t i = 0; i < len; i++) {
        char byte[3];
        size_t n = dots ? put_hex(byte, '.') : encode_byte(segment[i], byte);

        if (in_part + n > S3_SEGMENT_MAX) {
            append(p, "%+", 2);
            end_folder(p);
            in_part = 0;
        }
        append(p, byte, n);
        in_part += n;
    }
}

bool s3_key_path(struct kpw_slice key, s3_kind_fn kind, void *arg, char *out, size_t size)
{
    struct path p = {out, 0, size, kind, arg, false};
    size_t from = 0;

    out[0] = '\0';
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] != '/')
            continue;
        append_segment(&p, key.ptr + from, i - from);
        end_folder(&p);
        from = i + 1;
    }
    append_segment(&p, key.ptr + from, key.len - from);
    if (kind_of(&p) == S3_FOLDER)
        append(&p, "%f", 2);
    return !p.full;
}
