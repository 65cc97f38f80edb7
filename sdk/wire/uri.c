/* uri.c - percent encoding by a table of unreserved characters, and path rules. */
#include "sdk/wire/uri.h"

#include <limits.h>

/* One bit per character below 128: A-Z a-z 0-9 - . _ ~ */
static const uint64_t unreserved[2] = {0x03ff600000000000, 0x47fffffe87fffffe};

static bool is_unreserved(uint8_t c)
{
    return c < 128 && (unreserved[c >> 6] >> (c & 63) & 1);
}

size_t kpw_uri_encode(const void *ptr, size_t len, bool keep_slash, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    const uint8_t *in = ptr;
    char *to = out;

    for (size_t i = 0; i < len; i++) {
        uint8_t c = in[i];

        if (is_unreserved(c) || (c == '/' && keep_slash)) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '%';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    return (size_t)(to - out);
}

void kpw_uri_put(struct kpw_buf *buf, const void *ptr, size_t len, bool keep_slash)
{
    char *to;

    if (len > SIZE_MAX / 8) {
        buf->failed = true;
        return;
    }
    /* Against a limit only what is really written may count. */
    if (buf->limit) {
        for (size_t i = 0; i < len && !buf->failed; i++) {
            char three[3];

            kpw_buf_append(buf, three, kpw_uri_encode((const char *)ptr + i, 1, keep_slash, three));
        }
        return;
    }
    if ((to = kpw_buf_reserve(buf, 3 * len)))
        buf->len += kpw_uri_encode(ptr, len, keep_slash, to);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool kpw_uri_decode(const void *ptr, size_t len, bool plus_is_blank, char *out, size_t *ret_len)
{
    const char *in = ptr;
    char *to = out;

    for (size_t i = 0; i < len; i++) {
        int high, low;

        if (in[i] != '%') {
            *to++ = plus_is_blank && in[i] == '+' ? ' ' : in[i];
            continue;
        }
        if (len - i < 3 || (high = hex_digit(in[i + 1])) < 0 || (low = hex_digit(in[i + 2])) < 0)
            return false;
        *to++ = (char)(high << 4 | low);
        i += 2;
    }
    *ret_len = (size_t)(to - out);
    return true;
}

/* Against a limit only what is really written may count: the length is found out first. */
static bool decoded_len(struct kpw_slice text, size_t *ret)
{
    size_t n = 0, one, used;
    char c;

    for (size_t i = 0; i < text.len; i += used, n++) {
        used = text.ptr[i] == '%' ? 3 : 1;
        if (used > text.len - i || !kpw_uri_decode(text.ptr + i, used, false, &c, &one))
            return false;
    }
    *ret = n;
    return true;
}

bool kpw_uri_decode_put(struct kpw_buf *buf, struct kpw_slice text, bool plus_is_blank)
{
    size_t n = text.len;
    char *to;

    if (buf->limit && !decoded_len(text, &n))
        return false;
    to = kpw_buf_reserve(buf, n);
    if (!to || !kpw_uri_decode(text.ptr, text.len, plus_is_blank, to, &n))
        return false;
    buf->len += n;
    return true;
}

/* ---- query strings */

void kpw_uri_split(struct kpw_slice target, struct kpw_slice *ret_path, struct kpw_slice *ret_query)
{
    const char *hash = target.len ? memchr(target.ptr, '#', target.len) : NULL;
    const char *mark;

    if (hash)
        target.len = (size_t)(hash - target.ptr);
    mark = target.len ? memchr(target.ptr, '?', target.len) : NULL;
    *ret_path = target;
    *ret_query = (struct kpw_slice){target.ptr, 0};
    if (mark) {
        ret_path->len = (size_t)(mark - target.ptr);
        *ret_query = (struct kpw_slice){mark + 1, target.len - ret_path->len - 1};
    }
}

void kpw_query_init(struct kpw_query *q, struct kpw_slice text)
{
    *q = (struct kpw_query){.rest = text};
}

bool kpw_query_next(struct kpw_query *q)
{
    while (q->rest.len) {
        const char *end = memchr(q->rest.ptr, '&', q->rest.len);
        size_t len = end ? (size_t)(end - q->rest.ptr) : q->rest.len;
        const char *equals = len ? memchr(q->rest.ptr, '=', len) : NULL;

        q->name = (struct kpw_slice){q->rest.ptr, len};
        q->value = (struct kpw_slice){q->rest.ptr + len, 0};
        q->has_value = equals;
        if (equals) {
            q->name.len = (size_t)(equals - q->rest.ptr);
            q->value = (struct kpw_slice){equals + 1, len - q->name.len - 1};
        }
        q->rest.ptr += len + (end != NULL);
        q->rest.len -= len + (end != NULL);
        if (len)
            return true;
    }
    return false;
}

/* Compares without writing the decoded name anywhere. */
static bool name_is(struct kpw_slice raw, const char *name, bool plus_is_blank)
{
    size_t n = strlen(name), at = 0, used;

    for (size_t i = 0; i < raw.len; i += used) {
        char c;
        size_t one;

        used = raw.ptr[i] == '%' ? 3 : 1;
        if (used > raw.len - i || !kpw_uri_decode(raw.ptr + i, used, plus_is_blank, &c, &one))
            return false;
        if (at == n || name[at++] != c)
            return false;
    }
    return at == n;
}

static bool find(struct kpw_slice text, const char *name, bool is_form, struct kpw_slice *ret)
{
    struct kpw_query q;

    kpw_query_init(&q, text);
    while (kpw_query_next(&q)) {
        if (name_is(q.name, name, is_form)) {
            *ret = q.value;
            return true;
        }
    }
    return false;
}

bool kpw_query_find(struct kpw_slice text, const char *name, struct kpw_slice *ret_value)
{
    return find(text, name, false, ret_value);
}

bool kpw_form_get(struct kpw_slice text, const char *name, struct kpw_buf *out)
{
    struct kpw_slice value;

    return find(text, name, true, &value) && kpw_uri_decode_put(out, value, true);
}

/* ---- paths */

/* Takes the last "/part" off what was written since `base`. */
static void drop_part(struct kpw_buf *out, size_t base)
{
    while (out->len > base && out->ptr[out->len - 1] != '/')
        out->len--;
    if (out->len > base)
        out->len--;
}

/* Takes the next part and the slashes before it off `rest`; an empty one behind the last. */
static struct kpw_slice take_part(struct kpw_slice *rest)
{
    struct kpw_slice part;
    const char *slash;

    while (rest->len && rest->ptr[0] == '/')
        rest->ptr++, rest->len--;
    part = *rest;
    if (rest->len && (slash = memchr(rest->ptr, '/', rest->len)))
        part.len = (size_t)(slash - rest->ptr);
    rest->ptr += part.len;
    rest->len -= part.len;
    return part;
}

void kpw_path_normalize(struct kpw_slice path, struct kpw_buf *out)
{
    size_t base = out->len;
    bool slash_at_end = true;

    while (path.len && !out->failed) {
        struct kpw_slice part = take_part(&path);
        bool is_parent = kpw_slice_is(part, "..");
        bool is_name = part.len && !is_parent && !kpw_slice_is(part, ".");

        slash_at_end = path.len || !is_name;
        if (is_parent)
            drop_part(out, base);
        if (is_name) {
            kpw_buf_putc(out, '/');
            kpw_buf_put_slice(out, part);
        }
    }
    if (slash_at_end && !out->failed)
        kpw_buf_putc(out, '/');
}

bool kpw_path_is_safe(const void *ptr, size_t len)
{
    const char *at = ptr, *end = at + len;

    if (!len || len >= PATH_MAX || memchr(ptr, '\0', len))
        return false;
    while (at < end) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t n = (size_t)((slash ? slash : end) - at);

        if (!n || n > NAME_MAX)
            return false;
        if (at[0] == '.' && (n == 1 || (n == 2 && at[1] == '.')))
            return false;
        at += n + 1; /* a slash at the end leads to `end`, its lack one further */
    }
    return true;
}
