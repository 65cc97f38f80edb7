/* xml_value.c - what the pull reader found as texts, and elements by path. */
#include "sdk/wire/xml.h"
#include "sdk/wire/json_scan.h"
#include "sdk/wire/xml_scan.h"

/* Line ends become LF; references become characters unless the text is of a CDATA section. */
static void unescape(struct kpw_slice raw, bool with_references, struct kpw_buf *out)
{
    const char *at = raw.ptr, *from = at, *end = raw.len ? at + raw.len : at, *next;
    char utf8[4];
    uint32_t c;

    while (at < end) {
        if (*at == '\r') {
            kpw_buf_append(out, from, (size_t)(at - from));
            kpw_buf_putc(out, '\n');
            at += at + 1 < end && at[1] == '\n' ? 2 : 1;
            from = at;
        } else if (*at == '&' && with_references && (next = xml_reference_end(at, end, &c))) {
            kpw_buf_append(out, from, (size_t)(at - from));
            kpw_buf_append(out, utf8, json_put_utf8(c, utf8));
            at = from = next;
        } else {
            at++;
        }
    }
    kpw_buf_append(out, from, (size_t)(end - from));
}

void kpw_xml_unescape(struct kpw_slice raw, struct kpw_buf *out)
{
    unescape(raw, true, out);
}

bool kpw_xml_skip(struct kpw_xml *x)
{
    uint32_t outside = x->depth - 1;

    if (x->type != KPW_XML_OPEN)
        return x->type != KPW_XML_ERROR;
    while (x->depth > outside) {
        if (kpw_xml_next(x) == KPW_XML_ERROR)
            return false;
    }
    return true;
}

bool kpw_xml_text(struct kpw_xml *x, struct kpw_buf *out)
{
    size_t len = out->len;

    if (x->type != KPW_XML_OPEN)
        return false;
    for (;;) {
        switch (kpw_xml_next(x)) {
        case KPW_XML_TEXT: unescape(x->value, x->has_entity, out); break;
        case KPW_XML_CLOSE: return true;
        default: out->len = len; return false;
        }
    }
}

/* The next part of "Error/Code"; empty at the end. */
static struct kpw_slice next_part(const char **path)
{
    struct kpw_slice part = {*path, strcspn(*path, "/")};

    *path += part.len;
    *path += **path == '/';
    return part;
}

static struct kpw_slice part_of(const char *path, uint32_t n)
{
    struct kpw_slice part = next_part(&path);

    while (n--)
        part = next_part(&path);
    return part;
}

bool kpw_xml_find(struct kpw_slice doc, const char *path, struct kpw_buf *out)
{
    struct kpw_xml x;

    kpw_xml_init(&x, doc.ptr, doc.len);
    for (;;) {
        enum kpw_xml_type type = kpw_xml_next(&x);

        if (type == KPW_XML_END || type == KPW_XML_ERROR)
            return false;
        if (type != KPW_XML_OPEN)
            continue;
        /* every open element around this one is on the path */
        if (!kpw_slice_eq(kpw_xml_local(x.value), part_of(path, x.depth - 1))) {
            if (!kpw_xml_skip(&x))
                return false;
        } else if (!part_of(path, x.depth).len) {
            return kpw_xml_text(&x, out);
        }
    }
}

void kpw_xml_position(const struct kpw_xml *x, uint32_t *ret_line, uint32_t *ret_column)
{
    const char *line = x->start;

    *ret_line = 1;
    for (const char *at = x->start; at < x->at; at++) {
        if (*at == '\n') {
            ++*ret_line;
            line = at + 1;
        }
    }
    *ret_column = (uint32_t)(x->at - line) + 1;
}
