/* slice.h - a view of bytes, and the growable buffer that every writer here fills.
 *
 * A slice owns nothing: it is valid as long as the bytes it points at. A buffer owns its bytes and
 * remembers a failure: after running out of memory (or over its limit) every append does nothing,
 * so a writer checks `failed` once at its end instead of after each call.
 *
 * Threads: [any]; one buffer belongs to one thread at a time.
 */
#ifndef KPIPE_WIRE_SLICE_H
#define KPIPE_WIRE_SLICE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct kpw_slice {
    const char *ptr; /* [borrowed] may be NULL only when len is 0 */
    size_t len;
};

/* A slice of a string literal; also fit for static initialisers. */
#define KPW_LIT(s)            \
    {                         \
        ("" s), sizeof(s) - 1 \
    }

static inline struct kpw_slice kpw_slice(const void *ptr, size_t len)
{
    return (struct kpw_slice){(const char *)ptr, len};
}

/* NULL gives the empty slice. */
static inline struct kpw_slice kpw_slice_cstr(const char *s)
{
    return (struct kpw_slice){s, s ? strlen(s) : 0};
}

static inline bool kpw_slice_eq(struct kpw_slice a, struct kpw_slice b)
{
    return a.len == b.len && (!a.len || !memcmp(a.ptr, b.ptr, a.len));
}

/* Equal to a NUL-terminated text; with a literal the length is known at compile time. */
static inline bool kpw_slice_is(struct kpw_slice a, const char *s)
{
    size_t n = strlen(s);

    return a.len == n && (!n || !memcmp(a.ptr, s, n));
}

/* The same without regard to the case of ASCII letters (header names). */
static inline bool kpw_slice_is_nocase(struct kpw_slice a, const char *s)
{
    size_t n = strlen(s);

    return a.len == n && (!n || !strncasecmp(a.ptr, s, n));
}

static inline bool kpw_slice_starts(struct kpw_slice a, const char *s)
{
    size_t n = strlen(s);

    return a.len >= n && (!n || !memcmp(a.ptr, s, n));
}

/* Without the blanks and tabs at both ends. */
static inline struct kpw_slice kpw_slice_trim(struct kpw_slice a)
{
    while (a.len && (a.ptr[0] == ' ' || a.ptr[0] == '\t'))
        a.ptr++, a.len--;
    while (a.len && (a.ptr[a.len - 1] == ' ' || a.ptr[a.len - 1] == '\t'))
        a.len--;
    return a;
}

/* A growable buffer. All zero (KPW_BUF_INIT) is an empty one without limit. */
struct kpw_buf {
    char *ptr; /* [owned by the buffer] NULL while nothing was reserved */
    size_t len, cap;
    size_t limit; /* largest len allowed; 0: none */
    bool failed;  /* out of memory or over the limit; sticky until kpw_buf_fini() */
};

#define KPW_BUF_INIT         \
    {                        \
        NULL, 0, 0, 0, false \
    }

/* Makes room for `more` bytes after len (and one for a NUL). Returns where to write them, or NULL
 * when the buffer failed; the caller then adds to len what it wrote. */
char *kpw_buf_reserve(struct kpw_buf *buf, size_t more);
void kpw_buf_append(struct kpw_buf *buf, const void *ptr, size_t len);
/* printf into the buffer; independent of the locale only for what has no decimal point. */
void kpw_buf_appendf(struct kpw_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void kpw_buf_vappendf(struct kpw_buf *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
/* The content with a NUL behind it, which len does not count. NULL when the buffer failed.
 * [borrowed until the next change] */
char *kpw_buf_cstr(struct kpw_buf *buf);
/* Hands the bytes over [owned by the caller, free()]; the buffer is empty afterwards. NULL when it
 * failed (what it held is freed). */
char *kpw_buf_take(struct kpw_buf *buf, size_t *ret_len);
/* Frees the bytes; the buffer is empty, has not failed and may be used again. Keeps `limit`. */
void kpw_buf_fini(struct kpw_buf *buf);

/* Empties the buffer and keeps its memory; does not forget a failure. */
static inline void kpw_buf_clear(struct kpw_buf *buf)
{
    buf->len = 0;
}

static inline void kpw_buf_putc(struct kpw_buf *buf, char c)
{
    char *to = kpw_buf_reserve(buf, 1);

    if (to) {
        *to = c;
        buf->len++;
    }
}

static inline void kpw_buf_puts(struct kpw_buf *buf, const char *s)
{
    kpw_buf_append(buf, s, strlen(s));
}

static inline void kpw_buf_put_slice(struct kpw_buf *buf, struct kpw_slice s)
{
    kpw_buf_append(buf, s.ptr, s.len);
}

static inline struct kpw_slice kpw_buf_slice(const struct kpw_buf *buf)
{
    return (struct kpw_slice){buf->ptr, buf->len};
}

#endif
