/* words.c - texts of metadata as HTTP headers carry them (RFC 2047). */
#include "plugins/local-aws/s3/words.h"

#include <stdlib.h>
#include <string.h>

#include "sdk/wire/base64.h"
#include "sdk/wire/utf8.h"

static bool is_ascii(struct kpw_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x80)
            return false;
    return true;
}

static void put_latin1(struct kpw_slice text, struct kpw_buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c < 0x80) {
            kpw_buf_putc(out, (char)c);
        } else {
            kpw_buf_putc(out, (char)(0xC0 | c >> 6));
            kpw_buf_putc(out, (char)(0x80 | (c & 0x3F)));
        }
    }
}

/* ---- decoding */

/* "=?charset?B?text?=" */
struct word {
    struct kpw_slice charset, text;
    char encoding; /* 'b' or 'q' */
    size_t len;    /* of the whole */
};

static bool next_field(const char **at, const char *end, struct kpw_slice *ret)
{
    const char *mark = *at < end ? memchr(*at, '?', (size_t)(end - *at)) : NULL;

    if (!mark)
        return false;
    *ret = kpw_slice(*at, (size_t)(mark - *at));
    *at = mark + 1;
    return true;
}

static bool read_word(const char *at, const char *end, struct word *ret)
{
    const char *from = at;
    struct kpw_slice encoding;

    if (end - at < 8 || memcmp(at, "=?", 2) != 0)
        return false;
    at += 2;
    if (!next_field(&at, end, &ret->charset) || !next_field(&at, end, &encoding) ||
        !next_field(&at, end, &ret->text) || at == end || *at != '=' || encoding.len != 1)
        return false;
    ret->encoding = (char)(encoding.ptr[0] | 0x20);
    ret->len = (size_t)(at + 1 - from);
    return ret->encoding == 'b' || ret->encoding == 'q';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode_q(struct kpw_slice text, char *out, size_t *ret_len)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '=') {
            int high = i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(text.ptr[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[n++] = c == '_' && text.ptr[i] == '_' ? ' ' : c;
    }
    *ret_len = n;
    return true;
}

static bool has_control(struct kpw_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7F)
            return true;
    return false;
}

static bool put_word(const struct word *word, struct kpw_buf *out)
{
    char *raw = malloc(kpw_base64_decoded_max(word->text.len) + word->text.len);
    struct kpw_slice text;
    size_t n = 0;
    bool ok =
        raw && (word->encoding == 'b' ? kpw_base64_decode(word->text.ptr, word->text.len, raw, &n)
                                      : decode_q(word->text, raw, &n));

    text = kpw_slice(raw, n);
    ok = ok && !has_control(text);
    if (ok && kpw_slice_is_nocase(word->charset, "iso-8859-1"))
        put_latin1(text, out);
    else if (ok &&
             (kpw_slice_is_nocase(word->charset, "utf-8") ||
              kpw_slice_is_nocase(word->charset, "us-ascii")) &&
             kpw_utf8_valid(text.ptr, text.len))
        kpw_buf_put_slice(out, text);
    else
        ok = false;
    free(raw);
    return ok;
}

static size_t blanks(const char *at, const char *end)
{
    size_t n = 0;

    while (at + n < end && (at[n] == ' ' || at[n] == '\t'))
        n++;
    return n;
}

void s3_words_decode(struct kpw_slice value, struct kpw_buf *out)
{
    const char *at = value.ptr, *end = at + value.len;
    bool after_word = false;
    struct word word;

    if (!is_ascii(value)) {
        if (kpw_utf8_valid(value.ptr, value.len))
            kpw_buf_put_slice(out, value);
        else
            put_latin1(value, out);
        return;
    }
    while (at < end) {
        /* Blanks between two words belong to neither. */
        size_t n = after_word ? blanks(at, end) : 0;

        after_word = read_word(at + n, end, &word) && put_word(&word, out);
        if (after_word) {
            at += n + word.len;
            continue;
        }
        kpw_buf_putc(out, *at++);
    }
}

void s3_words_encode(struct kpw_slice text, struct kpw_buf *out)
{
    if (is_ascii(text)) {
        kpw_buf_put_slice(out, text);
        return;
    }
    kpw_buf_puts(out, "=?UTF-8?B?");
    kpw_base64_put(out, text.ptr, text.len);
    kpw_buf_puts(out, "?=");
}
