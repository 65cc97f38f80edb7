/* slice.c - the growable buffer: doubles, fails once and stays failed. */
#include "sdk/wire/slice.h"

#include <stdio.h>
#include <stdlib.h>

static char *fail(struct kpw_buf *buf)
{
    buf->failed = true;
    return NULL;
}

char *kpw_buf_reserve(struct kpw_buf *buf, size_t more)
{
    size_t need, cap;
    char *ptr;

    if (buf->failed || more >= SIZE_MAX / 2 - buf->len)
        return fail(buf);
    if (buf->limit && buf->len + more > buf->limit)
        return fail(buf);
    need = buf->len + more + 1;
    if (need <= buf->cap)
        return buf->ptr + buf->len;
    cap = buf->cap < 64 ? 64 : buf->cap * 2;
    if (cap < need)
        cap = need;
    if (!(ptr = realloc(buf->ptr, cap)))
        return fail(buf);
    buf->ptr = ptr;
    buf->cap = cap;
    return ptr + buf->len;
}

void kpw_buf_append(struct kpw_buf *buf, const void *ptr, size_t len)
{
    char *to;

    if (!len || !(to = kpw_buf_reserve(buf, len)))
        return;
    memcpy(to, ptr, len);
    buf->len += len;
}

void kpw_buf_vappendf(struct kpw_buf *buf, const char *format, va_list args)
{
    va_list again;
    char *to = kpw_buf_reserve(buf, 0);
    size_t room;
    int n;

    if (!to)
        return;
    room = buf->cap - buf->len;
    va_copy(again, args);
    n = vsnprintf(to, room, format, again);
    va_end(again);
    if (n < 0 || !kpw_buf_reserve(buf, (size_t)n)) {
        buf->failed = true;
        return;
    }
    if ((size_t)n >= room) /* was cut off: there is room now */
        vsnprintf(buf->ptr + buf->len, (size_t)n + 1, format, args);
    buf->len += (size_t)n;
}

void kpw_buf_appendf(struct kpw_buf *buf, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    kpw_buf_vappendf(buf, format, args);
    va_end(args);
}

char *kpw_buf_cstr(struct kpw_buf *buf)
{
    char *end = kpw_buf_reserve(buf, 0);

    if (!end)
        return NULL;
    *end = '\0';
    return buf->ptr;
}

char *kpw_buf_take(struct kpw_buf *buf, size_t *ret_len)
{
    size_t len = buf->len;
    char *ptr = kpw_buf_cstr(buf);

    if (ptr) {
        *ret_len = len;
        buf->ptr = NULL; /* moved */
    }
    kpw_buf_fini(buf);
    return ptr;
}

void kpw_buf_fini(struct kpw_buf *buf)
{
    free(buf->ptr);
    *buf = (struct kpw_buf){.limit = buf->limit};
}
