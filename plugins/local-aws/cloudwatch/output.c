/* output.c - one answer in three forms. Nesting is remembered for XML's closing tags. */
#include "plugins/local-aws/cloudwatch/output.h"

#include <math.h>

#include "sdk/wire/cbor.h"
#include "sdk/wire/json.h"
#include "sdk/wire/time.h"
#include "sdk/wire/xml.h"

/* What stands before a value. */
static void put_name(struct cw_out *out, const char *name)
{
    struct kpw_buf *buf = &out->buf;

    if (out->form == CW_XML)
        kpw_xml_put_open(buf, name ? name : "member", NULL);
    else if (out->form == CW_CBOR && name)
        kpw_cbor_put_cstr(buf, name);
    else if (out->form == CW_JSON && name)
        kpw_json_put_key(buf, name);
    else if (out->form == CW_JSON && buf->len && buf->ptr[buf->len - 1] != '[')
        kpw_buf_putc(buf, ',');
}

static void end_name(struct cw_out *out, const char *name)
{
    if (out->form == CW_XML)
        kpw_xml_put_close(&out->buf, name ? name : "member");
}

static void open(struct cw_out *out, const char *name, bool is_list)
{
    put_name(out, name);
    if (out->depth < CW_DEPTH) {
        out->names[out->depth] = name;
        out->is_list[out->depth] = is_list;
    }
    out->depth++;
    if (out->form == CW_JSON)
        kpw_buf_putc(&out->buf, is_list ? '[' : '{');
    else if (out->form == CW_CBOR && is_list)
        kpw_cbor_put_list_any(&out->buf);
    else if (out->form == CW_CBOR)
        kpw_cbor_put_map_any(&out->buf);
}

void cw_open_object(struct cw_out *out, const char *name)
{
    open(out, name, false);
}

void cw_open_list(struct cw_out *out, const char *name)
{
    open(out, name, true);
}

void cw_open_map(struct cw_out *out, const char *name)
{
    open(out, name, false);
}

void cw_put_entry(struct cw_out *out, const char *key, double value)
{
    if (out->form != CW_XML) {
        cw_put_real(out, key, value);
        return;
    }
    kpw_xml_put_open(&out->buf, "entry", NULL);
    cw_put_text(out, "key", key);
    cw_put_real(out, "value", value);
    kpw_xml_put_close(&out->buf, "entry");
}

void cw_close(struct cw_out *out)
{
    unsigned depth = --out->depth;

    if (depth >= CW_DEPTH)
        return;
    if (out->form == CW_JSON)
        kpw_buf_putc(&out->buf, out->is_list[depth] ? ']' : '}');
    else if (out->form == CW_CBOR)
        kpw_cbor_put_break(&out->buf);
    else
        end_name(out, out->names[depth]);
}

void cw_out_begin(struct cw_out *out, enum cw_form form)
{
    *out = (struct cw_out){.form = form};
    if (form == CW_JSON)
        kpw_buf_putc(&out->buf, '{');
    else if (form == CW_CBOR)
        kpw_cbor_put_map_any(&out->buf);
}

void cw_out_end(struct cw_out *out)
{
    if (out->form == CW_JSON)
        kpw_buf_putc(&out->buf, '}');
    else if (out->form == CW_CBOR)
        kpw_cbor_put_break(&out->buf);
}

void cw_out_fini(struct cw_out *out)
{
    kpw_buf_fini(&out->buf);
}

/* ---- values */

void cw_put_text(struct cw_out *out, const char *name, const char *text)
{
    put_name(out, name);
    if (out->form == CW_JSON)
        kpw_json_put_cstr(&out->buf, text);
    else if (out->form == CW_CBOR)
        kpw_cbor_put_cstr(&out->buf, text);
    else
        kpw_xml_put_text(&out->buf, text, strlen(text));
    end_name(out, name);
}

void cw_put_real(struct cw_out *out, const char *name, double value)
{
    put_name(out, name);
    if (out->form == CW_CBOR)
        kpw_cbor_put_double(&out->buf, value);
    else
        kpw_json_put_double(&out->buf, value);
    end_name(out, name);
}

void cw_put_int(struct cw_out *out, const char *name, int64_t value)
{
    put_name(out, name);
    if (out->form == CW_CBOR)
        kpw_cbor_put_int(&out->buf, value);
    else
        kpw_json_put_int(&out->buf, value);
    end_name(out, name);
}

void cw_put_bool(struct cw_out *out, const char *name, bool value)
{
    put_name(out, name);
    if (out->form == CW_CBOR)
        kpw_cbor_put_bool(&out->buf, value);
    else
        kpw_buf_puts(&out->buf, value ? "true" : "false");
    end_name(out, name);
}

void cw_put_time(struct cw_out *out, const char *name, int64_t ms)
{
    char text[KPW_ISO8601_SIZE];

    put_name(out, name);
    if (out->form == CW_XML) {
        kpw_buf_append(&out->buf, text,
                       ms % 1000 ? kpw_iso8601_format(ms, text)
                                 : kpw_iso8601_format_s(ms / 1000, text));
    } else if (out->form == CW_JSON) {
        kpw_json_put_double(&out->buf, (double)ms / 1000);
    } else { /* rpc-v2-cbor counts seconds */
        kpw_cbor_put_head(&out->buf, KPW_CBOR_MAJOR_TAG, KPW_CBOR_TAG_TIME);
        if (ms % 1000)
            kpw_cbor_put_double(&out->buf, (double)ms / 1000);
        else
            kpw_cbor_put_int(&out->buf, ms / 1000);
    }
    end_name(out, name);
}
