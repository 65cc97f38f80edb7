/* write.c - see write.h. */
#include "plugins/local-aws/kinesis/write.h"

#include <stdio.h>

#include "sdk/wire/base64.h"
#include "sdk/wire/cbor.h"
#include "sdk/wire/json.h"

struct write write_to(struct kpw_buf *out, bool is_cbor)
{
    return (struct write){.out = out, .is_cbor = is_cbor};
}

/* Before each item of a list and each key. */
static void separate(struct write *w)
{
    if (w->has_item && !w->is_cbor)
        kpw_buf_putc(w->out, ',');
    w->has_item = true;
}

static void begin(struct write *w, char json, uint8_t cbor)
{
    separate(w);
    kpw_buf_putc(w->out, w->is_cbor ? (char)cbor : json);
    w->has_item = false;
}

static void end(struct write *w, char json)
{
    kpw_buf_putc(w->out, w->is_cbor ? (char)KPW_CBOR_BREAK : json);
    w->has_item = true;
}

void write_object(struct write *w)
{
    begin(w, '{', KPW_CBOR_MAP_ANY);
}

void write_object_end(struct write *w)
{
    end(w, '}');
}

void write_list(struct write *w)
{
    begin(w, '[', KPW_CBOR_LIST_ANY);
}

void write_list_end(struct write *w)
{
    end(w, ']');
}

void write_key(struct write *w, const char *name)
{
    size_t len = strlen(name);

    separate(w);
    w->has_item = false; /* its value follows */
    if (w->is_cbor) {
        kpw_cbor_put_head(w->out, KPW_CBOR_MAJOR_TEXT, len);
        kpw_buf_append(w->out, name, len);
        return;
    }
    kpw_buf_putc(w->out, '"');
    kpw_buf_append(w->out, name, len);
    kpw_buf_append(w->out, "\":", 2);
}

void write_string(struct write *w, const void *ptr, size_t len)
{
    separate(w);
    if (w->is_cbor)
        kpw_cbor_put_text(w->out, ptr, len);
    else
        kpw_json_put_string(w->out, ptr, len);
}

void write_int(struct write *w, int64_t n)
{
    separate(w);
    if (w->is_cbor)
        kpw_cbor_put_int(w->out, n);
    else
        kpw_json_put_int(w->out, n);
}

void write_bool(struct write *w, bool value)
{
    separate(w);
    if (w->is_cbor)
        kpw_cbor_put_bool(w->out, value);
    else
        kpw_json_put_bool(w->out, value);
}

void write_time(struct write *w, int64_t ms)
{
    separate(w);
    if (w->is_cbor)
        kpw_cbor_put_time_ms(w->out, ms);
    else
        kpw_buf_appendf(w->out, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
}

void write_blob(struct write *w, const void *ptr, size_t len)
{
    separate(w);
    if (w->is_cbor) {
        kpw_cbor_put_bytes(w->out, ptr, len);
        return;
    }
    kpw_buf_putc(w->out, '"');
    kpw_base64_put(w->out, ptr, len);
    kpw_buf_putc(w->out, '"');
}

void write_format(struct write *w, const char *format, ...)
{
    char text[WRITE_FORMAT_MAX];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    write_string(w, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

/* The head is put in front when the length is known; these texts are short. */
size_t write_text_begin(struct write *w)
{
    separate(w);
    if (!w->is_cbor)
        kpw_buf_putc(w->out, '"');
    return w->out->len;
}

void write_text_end(struct write *w, size_t begun)
{
    char head[KPW_CBOR_HEAD_MAX];
    size_t len = w->out->len - begun, n;

    if (!w->is_cbor) {
        kpw_buf_putc(w->out, '"');
        return;
    }
    n = kpw_cbor_head(head, KPW_CBOR_MAJOR_TEXT, len);
    if (!kpw_buf_reserve(w->out, n))
        return;
    memmove(w->out->ptr + begun + n, w->out->ptr + begun, len);
    memcpy(w->out->ptr + begun, head, n);
    w->out->len += n;
}

void write_member(struct write *w, const char *name, const char *text)
{
    write_key(w, name);
    write_string(w, text, strlen(text));
}

void write_member_slice(struct write *w, const char *name, struct kpw_slice text)
{
    write_key(w, name);
    write_string(w, text.ptr, text.len);
}

void write_member_int(struct write *w, const char *name, int64_t n)
{
    write_key(w, name);
    write_int(w, n);
}

void write_member_bool(struct write *w, const char *name, bool value)
{
    write_key(w, name);
    write_bool(w, value);
}

void write_member_time(struct write *w, const char *name, int64_t ms)
{
    write_key(w, name);
    write_time(w, ms);
}
