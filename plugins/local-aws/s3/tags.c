/* tags.c - tags of objects: kept as the header x-amz-tagging has them, "k=v&k2=v2". */
#include "plugins/local-aws/s3/tags.h"

#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/s3/receive.h"
#include "sdk/wire/uri.h"
#include "sdk/wire/utf8.h"

enum { KEY_MAX = 128, VALUE_MAX = 256 }; /* characters */

static size_t characters(struct kpw_slice text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return n;
}

/* ---- the header ---- */

static bool bad_header(struct s3_call *call)
{
    s3_refuse(call, "InvalidArgument",
              "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query "
              "parameters without tag name duplicates.",
              "ArgumentName", "x-amz-tagging", NULL);
    return false;
}

static bool invalid_tag(struct s3_call *call, const char *text, const char *member,
                        struct kpw_slice value)
{
    char shown[300];

    snprintf(shown, sizeof(shown), "%.*s", (int)(value.len < 290 ? value.len : 290),
             value.len ? value.ptr : "");
    s3_refuse(call, "InvalidTag", text, member, shown, NULL);
    return false;
}

static bool check_lengths(struct s3_call *call, struct kpw_slice key, struct kpw_slice value)
{
    if (key.len == 0 || characters(key) > KEY_MAX)
        return invalid_tag(call, "The TagKey you have provided is invalid", "TagKey", key);
    if (characters(value) > VALUE_MAX)
        return invalid_tag(call, "The TagValue you have provided is invalid", "TagValue", value);
    return true;
}

/* Is the name of `q` that of a pair before it? Both raw: SDKs encode one way. */
static bool is_repeated(struct kpw_slice all, const struct kpw_query *q)
{
    struct kpw_query other;

    kpw_query_init(&other, all);
    while (kpw_query_next(&other) && other.name.ptr != q->name.ptr)
        if (kpw_slice_eq(other.name, q->name))
            return true;
    return false;
}

static bool too_many(struct s3_call *call, size_t max)
{
    if (max == S3_OBJECT_TAGS_MAX)
        s3_refuse(call, "BadRequest", "Object tags cannot be greater than 10", NULL);
    else
        s3_refuse(call, "BadRequest", "Bucket tag count cannot be greater than 50", NULL);
    return false;
}

bool s3_check_tagging_header(struct s3_call *call, struct kpw_slice value)
{
    struct kpw_buf key = KPW_BUF_INIT, text = KPW_BUF_INIT;
    struct kpw_query q;
    bool ok = true;
    size_t n = 0;

    kpw_query_init(&q, value);
    while (ok && kpw_query_next(&q)) {
        kpw_buf_clear(&key);
        kpw_buf_clear(&text);
        if (!kpw_uri_decode_put(&key, q.name, true) || !kpw_uri_decode_put(&text, q.value, true) ||
            !kpw_utf8_valid(key.ptr, key.len) || !kpw_utf8_valid(text.ptr, text.len) ||
            is_repeated(value, &q))
            ok = bad_header(call);
        else
            ok = check_lengths(call, kpw_buf_slice(&key), kpw_buf_slice(&text));
        n++;
    }
    kpw_buf_fini(&key);
    kpw_buf_fini(&text);
    return ok && (n <= S3_OBJECT_TAGS_MAX || too_many(call, S3_OBJECT_TAGS_MAX));
}

unsigned s3_tags_count(const char *text)
{
    unsigned n = text[0] ? 1 : 0;

    for (; *text; text++)
        n += *text == '&';
    return n;
}

/* ---- the document ---- */

/* A tag being read. */
struct tag {
    struct kpw_buf key, value; /* [owned] */
    bool has_key, has_value;
};

static bool add_tag(struct s3_call *call, const struct tag *tag, struct kpw_buf *out)
{
    struct kpw_slice all = kpw_buf_slice(out);
    size_t from = out->len;
    struct kpw_query q;

    if (!check_lengths(call, kpw_buf_slice(&tag->key), kpw_buf_slice(&tag->value)))
        return false;
    kpw_buf_puts(out, out->len ? "&" : "");
    from = out->len;
    kpw_uri_put(out, tag->key.ptr, tag->key.len, false);
    kpw_query_init(&q, all);
    while (kpw_query_next(&q))
        if (kpw_slice_eq(q.name, kpw_slice(out->ptr + from, out->len - from)))
            return invalid_tag(call, "Cannot provide multiple Tags with the same key", "TagKey",
                               kpw_buf_slice(&tag->key));
    kpw_buf_putc(out, '=');
    kpw_uri_put(out, tag->value.ptr, tag->value.len, false);
    return true;
}

static bool take_text(struct kpw_xml *xml, struct kpw_buf *out, bool *is_there)
{
    bool first = !*is_there;

    *is_there = true;
    kpw_buf_clear(out);
    return first && kpw_xml_text(xml, out);
}

/* The members of one <Tag>, up to its end. */
static bool read_tag(struct kpw_xml *xml, struct tag *tag)
{
    bool ok = true;

    tag->has_key = tag->has_value = false;
    while (ok && kpw_xml_next(xml) != KPW_XML_CLOSE) {
        struct kpw_slice name = kpw_xml_local(xml->value);

        if (xml->type == KPW_XML_TEXT)
            continue;
        if (xml->type == KPW_XML_OPEN && kpw_slice_is(name, "Key"))
            ok = take_text(xml, &tag->key, &tag->has_key);
        else
            ok = xml->type == KPW_XML_OPEN && kpw_slice_is(name, "Value") &&
                 take_text(xml, &tag->value, &tag->has_value);
    }
    return ok && tag->has_key && tag->has_value;
}

bool s3_tags_read(struct s3_call *call, size_t max, struct kpw_buf *out)
{
    struct kpw_slice body = s3_body(call);
    struct tag tag = {.has_key = false};
    enum kpw_xml_type type;
    struct kpw_xml xml;
    size_t n = 0;
    bool ok = s3_check_document(call, S3_IF_SENT);

    kpw_xml_init(&xml, body.ptr ? body.ptr : "", body.len);
    while (ok && (type = kpw_xml_next(&xml)) != KPW_XML_END) {
        bool is_tag = type == KPW_XML_OPEN && kpw_slice_is(kpw_xml_local(xml.value), "Tag");

        if (type == KPW_XML_ERROR || (is_tag && !read_tag(&xml, &tag))) {
            s3_malformed_xml(call);
            ok = false;
        } else if (is_tag) {
            ok = (++n <= max || too_many(call, max)) && add_tag(call, &tag, out);
        }
    }
    kpw_buf_fini(&tag.key);
    kpw_buf_fini(&tag.value);
    return ok;
}

/* ---- ?tagging of an object ---- */

static void get_tags(struct s3_call *call, const struct s3_meta *meta)
{
    struct kpw_buf key = KPW_BUF_INIT, value = KPW_BUF_INIT;
    struct kpw_query q;

    s3_begin_xml(call, "Tagging");
    kpw_xml_put_open(&call->body, "TagSet", NULL);
    kpw_query_init(&q, kpw_slice_cstr(s3_stored(meta, "x-amz-tagging")));
    while (kpw_query_next(&q)) {
        kpw_buf_clear(&key);
        kpw_buf_clear(&value);
        kpw_uri_decode_put(&key, q.name, true);
        kpw_uri_decode_put(&value, q.value, true);
        kpw_xml_put_open(&call->body, "Tag", NULL);
        kpw_xml_put_element(&call->body, "Key", key.ptr, key.len);
        kpw_xml_put_element(&call->body, "Value", value.ptr, value.len);
        kpw_xml_put_close(&call->body, "Tag");
    }
    kpw_xml_put_close(&call->body, "TagSet");
    kpw_xml_put_close(&call->body, "Tagging");
    kpw_buf_fini(&key);
    kpw_buf_fini(&value);
}

static void change_tags(struct s3_call *call, struct s3_meta *meta, bool put)
{
    struct kpw_buf tags = KPW_BUF_INIT;
    struct s3_key key = s3_key(call);

    if (put && !s3_tags_read(call, S3_OBJECT_TAGS_MAX, &tags)) {
        kpw_buf_fini(&tags);
        return;
    }
    if (tags.len > 0)
        json_object_set_new(meta->headers, "x-amz-tagging", json_stringn(tags.ptr, tags.len));
    else
        json_object_del(meta->headers, "x-amz-tagging");
    if (!tags.failed && s3_object_touch(call->store, &key, meta))
        s3_ok(call, put ? 200 : 204);
    else
        s3_trouble(call);
    kpw_buf_fini(&tags);
}

void s3_object_tagging(struct s3_call *call)
{
    struct kpw_slice method = kpw_slice(call->request->method.ptr, call->request->method.len);
    struct s3_key key = s3_key(call);
    struct s3_object object;

    if (!s3_check_version(call))
        return;
    if (!s3_object_find(call->store, &key, &object)) {
        s3_no_such_key(call);
        return;
    }
    if (kpw_slice_is(method, "GET"))
        get_tags(call, &object.meta);
    else
        change_tags(call, &object.meta, kpw_slice_is(method, "PUT"));
    s3_object_fini(&object);
}
