/* xml_put.c - writing XML: nothing but text needs care. */
#include "sdk/wire/xml.h"
#include "sdk/wire/utf8.h"
#include "sdk/wire/xml_scan.h"

void kpw_xml_put_declaration(struct kpw_buf *buf)
{
    kpw_buf_puts(buf, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
}

void kpw_xml_put_open(struct kpw_buf *buf, const char *name, const char *ns)
{
    kpw_buf_putc(buf, '<');
    kpw_buf_puts(buf, name);
    if (ns) {
        kpw_buf_puts(buf, " xmlns=\"");
        kpw_xml_put_text(buf, ns, strlen(ns));
        kpw_buf_putc(buf, '"');
    }
    kpw_buf_putc(buf, '>');
}

void kpw_xml_put_close(struct kpw_buf *buf, const char *name)
{
    kpw_buf_puts(buf, "</");
    kpw_buf_puts(buf, name);
    kpw_buf_putc(buf, '>');
}

/* What stands for the character at `at` in a text, NULL when it may stay. *ret_len is its length in
 * the input. */
static const char *replacement(const char *at, const char *end, size_t *ret_len)
{
    uint32_t c;

    *ret_len = 1;
    switch (*at) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    case '\r': return "&#13;"; /* a plain one would be read as a line feed */
    default: break;
    }
    *ret_len = kpw_utf8_decode(at, end, &c);
    if (*ret_len && xml_is_char(c))
        return NULL;
    *ret_len += !*ret_len;
    return "\xef\xbf\xbd";
}

void kpw_xml_put_text(struct kpw_buf *buf, const void *ptr, size_t len)
{
    const char *at = ptr, *from = ptr, *end = len ? at + len : at;
    size_t n;

    for (; at < end; at += n) {
        const char *text = replacement(at, end, &n);

        if (!text)
            continue;
        kpw_buf_append(buf, from, (size_t)(at - from));
        kpw_buf_puts(buf, text);
        from = at + n;
    }
    kpw_buf_append(buf, from, (size_t)(end - from));
}

void kpw_xml_put_element(struct kpw_buf *buf, const char *name, const void *ptr, size_t len)
{
    kpw_xml_put_open(buf, name, NULL);
    kpw_xml_put_text(buf, ptr, len);
    kpw_xml_put_close(buf, name);
}

void kpw_xml_put_element_cstr(struct kpw_buf *buf, const char *name, const char *s)
{
    kpw_xml_put_element(buf, name, s, strlen(s));
}

void kpw_xml_put_element_int(struct kpw_buf *buf, const char *name, int64_t n)
{
    kpw_xml_put_open(buf, name, NULL);
    kpw_buf_appendf(buf, "%lld", (long long)n);
    kpw_xml_put_close(buf, name);
}
