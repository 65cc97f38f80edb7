/* object.c - GetObject, HeadObject, DeleteObject(s), attributes and tags. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plugins/local-aws/s3/call.h"
#include "plugins/local-aws/s3/range.h"
#include "sdk/wire/time.h"
#include "sdk/wire/uri.h"

/* ---- conditions of reads and copies ---- */

static bool date_of(const struct s3_call *call, const char *name, int64_t *ret_s)
{
    struct kpw_slice text = s3_header(call, name);

    return text.ptr && kpw_http_date_parse(text, ret_s);
}

/* In the order of RFC 9110; *ret_condition names what failed. `prefix`: "" or "x-amz-copy-source-".
 */
enum s3_verdict s3_judge(const struct s3_call *call, const struct s3_meta *meta, const char *prefix,
                         const char **ret_condition)
{
    char match[48], none[48], unmodified[56], modified[56];
    int64_t at, since = meta->modified_ms / 1000;
    struct kpw_slice value;

    snprintf(match, sizeof(match), "%sif-match", prefix);
    snprintf(none, sizeof(none), "%sif-none-match", prefix);
    snprintf(unmodified, sizeof(unmodified), "%sif-unmodified-since", prefix);
    snprintf(modified, sizeof(modified), "%sif-modified-since", prefix);
    value = s3_header(call, match);
    if (value.ptr && !s3_etag_in(value, meta->etag)) {
        *ret_condition = prefix[0] ? "x-amz-copy-source-If-Match" : "If-Match";
        return S3_FAILED;
    }
    if (!value.ptr && date_of(call, unmodified, &at) && since > at) {
        *ret_condition =
            prefix[0] ? "x-amz-copy-source-If-Unmodified-Since" : "If-Unmodified-Since";
        return S3_FAILED;
    }
    value = s3_header(call, none);
    if (value.ptr && s3_etag_in(value, meta->etag)) {
        *ret_condition = "x-amz-copy-source-If-None-Match";
        return S3_NOT_MODIFIED;
    }
    /* A date in the future is no condition. */
    if (!value.ptr && date_of(call, modified, &at) && since <= at && at <= call->now_ms / 1000) {
        *ret_condition = "x-amz-copy-source-If-Modified-Since";
        return S3_NOT_MODIFIED;
    }
    return S3_GO_ON;
}

/* ---- answers ---- */

static void add_stored_headers(struct s3_call *call, const struct s3_meta *meta)
{
    static const char *const overrides[] = {
        "content-type",  "content-language",    "expires",
        "cache-control", "content-disposition", "content-encoding"};
    char parameter[48];
    const char *name;
    json_t *value;
    bool has_type = false;

    call->names = json_incref(meta->headers);
    json_object_foreach(meta->headers, name, value)
    {
        const char *text = json_string_value(value);
        bool overridden = false;

        if (strcmp(name, "x-amz-tagging") == 0)
            continue;
        if (strcmp(name, "x-amz-storage-class") == 0 && strcmp(text, "STANDARD") == 0)
            continue;
        snprintf(parameter, sizeof(parameter), "response-%.30s", name);
        overridden = s3_parameter(call, parameter) != NULL;
        has_type = has_type || strcmp(name, "content-type") == 0;
        if (!overridden)
            s3_add_header(call, name, "%s", text);
    }
    for (size_t i = 0; i < sizeof(overrides) / sizeof(overrides[0]); i++) {
        const struct s3_parameter *p;

        snprintf(parameter, sizeof(parameter), "response-%s", overrides[i]);
        p = s3_parameter(call, parameter);
        /* A line end in it would start a header of its own. */
        if (p && !strpbrk(p->value, "\r\n"))
            s3_add_header(call, overrides[i], "%s", p->value);
        has_type = has_type || (p && i == 0);
    }
    if (!has_type)
        s3_add_header(call, "content-type", "binary/octet-stream");
}

static unsigned count_tags(const struct s3_meta *meta)
{
    const char *tags = json_string_value(json_object_get(meta->headers, "x-amz-tagging"));
    unsigned n = tags && tags[0] ? 1 : 0;

    for (; tags && *tags; tags++)
        n += *tags == '&';
    return n;
}

static void add_object_headers(struct s3_call *call, const struct s3_meta *meta)
{
    char date[KPW_HTTP_DATE_SIZE];

    kpw_http_date_format(meta->modified_ms / 1000, date);
    s3_add_header(call, "etag", "\"%s\"", meta->etag);
    s3_add_header(call, "last-modified", "%s", date);
    s3_add_header(call, "accept-ranges", "bytes");
    s3_add_header(call, "x-amz-server-side-encryption", "AES256");
    if (count_tags(meta) > 0)
        s3_add_header(call, "x-amz-tagging-count", "%u", count_tags(meta));
}

static void invalid_range(struct s3_call *call, uint64_t size)
{
    struct kpw_slice range = s3_header(call, "range");
    char actual[24], asked[80];

    snprintf(actual, sizeof(actual), "%llu", (unsigned long long)size);
    snprintf(asked, sizeof(asked), "%.*s", (int)(range.len < 70 ? range.len : 70), range.ptr);
    s3_refuse(call, "InvalidRange", "The requested range is not satisfiable", "ActualObjectSize",
              actual, "RangeRequested", asked, NULL);
}

/* The bytes to send; false: answered. */
static bool choose_part(struct s3_call *call, const struct s3_meta *meta, uint64_t *first,
                        uint64_t *len)
{
    struct kpw_slice range = s3_header(call, "range");
    const struct s3_parameter *part = s3_parameter(call, "partNumber");
    uint64_t last = 0;

    *first = 0;
    *len = meta->size;
    call->status = 200;
    if (part && range.ptr) {
        s3_refuse(call, "InvalidRequest",
                  "Cannot specify both Range header and partNumber query parameter", NULL);
        return false;
    }
    if (part && meta->parts > 0) {
        s3_refuse(call, "NotImplemented",
                  "A header you provided implies functionality that is not implemented", "Header",
                  "partNumber", NULL);
        return false;
    }
    if (part && strcmp(part->value, "1") != 0) {
        s3_refuse(call, "InvalidPartNumber", "The requested partnumber is not satisfiable",
                  "ActualPartCount", "1", "PartNumberRequested", part->value, NULL);
        return false;
    }
    if (!range.ptr)
        return true;
    switch (s3_range_parse(range.ptr, range.len, meta->size, first, &last)) {
    case S3_RANGE_WHOLE: *first = 0; return true;
    case S3_RANGE_UNSATISFIABLE: invalid_range(call, meta->size); return false;
    case S3_RANGE_PART: break;
    }
    *len = last - *first + 1;
    call->status = 206;
    s3_add_header(call, "content-range", "bytes %llu-%llu/%llu", (unsigned long long)*first,
                  (unsigned long long)last, (unsigned long long)meta->size);
    return true;
}

/* An object with its content open; false: answered. */
static bool open_object(struct s3_call *call, struct s3_object *object)
{
    struct s3_key key = s3_key(call);

    if (!s3_object_find(call->store, &key, object)) {
        s3_no_such_key(call);
        return false;
    }
    call->file = s3_object_open(call->store, object);
    if (call->file >= 0)
        return true;
    /* Someone removed the file by hand: the object is gone. */
    if (errno == ENOENT && s3_object_delete(call->store, &key))
        s3_no_such_key(call);
    else
        s3_trouble(call);
    return false;
}

void s3_get_object(struct s3_call *call)
{
    struct s3_object object = {0};
    const char *condition = "";
    enum s3_verdict verdict;
    uint64_t first, len;

    if (!open_object(call, &object))
        return;
    verdict = s3_judge(call, &object.meta, "", &condition);
    if (verdict == S3_FAILED) {
        s3_precondition_failed(call, condition);
    } else if (verdict == S3_NOT_MODIFIED) {
        call->status = 304;
        add_object_headers(call, &object.meta);
    } else if (choose_part(call, &object.meta, &first, &len)) {
        add_object_headers(call, &object.meta);
        add_stored_headers(call, &object.meta);
        if (len == object.meta.size &&
            kpw_slice_is_nocase(s3_header_or_parameter(call, "x-amz-checksum-mode"), "ENABLED"))
            s3_add_checksum(call, &object.meta);
        call->file_from = first;
        call->file_len = len;
    }
    if (call->file_len == 0 && call->file >= 0) {
        close(call->file);
        call->file = -1;
    }
    s3_object_fini(&object);
}

void s3_get_attributes(struct s3_call *call)
{
    struct kpw_slice wanted = s3_header(call, "x-amz-object-attributes");
    struct s3_object object;
    struct s3_key key = s3_key(call);
    char member[32];

    if (!s3_object_find(call->store, &key, &object)) {
        s3_no_such_key(call);
        return;
    }
    s3_begin_xml(call, "GetObjectAttributesResponse");
    if (memmem(wanted.ptr, wanted.len, "ETag", 4))
        kpw_xml_put_element_cstr(&call->body, "ETag", object.meta.etag);
    if (memmem(wanted.ptr, wanted.len, "Checksum", 8) && object.meta.algorithm != S3_SUM_NONE) {
        snprintf(member, sizeof(member), "Checksum%s", s3_sum_name(object.meta.algorithm));
        kpw_xml_put_open(&call->body, "Checksum", NULL);
        kpw_xml_put_element_cstr(&call->body, member, object.meta.checksum);
        kpw_xml_put_element_cstr(&call->body, "ChecksumType",
                                 object.meta.is_composite ? "COMPOSITE" : "FULL_OBJECT");
        kpw_xml_put_close(&call->body, "Checksum");
    }
    if (memmem(wanted.ptr, wanted.len, "StorageClass", 12))
        kpw_xml_put_element_cstr(&call->body, "StorageClass", "STANDARD");
    if (memmem(wanted.ptr, wanted.len, "ObjectSize", 10))
        kpw_xml_put_element_int(&call->body, "ObjectSize", (int64_t)object.meta.size);
    kpw_xml_put_close(&call->body, "GetObjectAttributesResponse");
    s3_object_fini(&object);
}

/* ---- deleting ---- */

static bool may_delete(struct s3_call *call, const struct s3_key *key)
{
    struct kpw_slice match = s3_header(call, "if-match");
    struct s3_object object;
    bool exists, same;

    if (!match.ptr)
        return true;
    exists = s3_object_find(call->store, key, &object);
    same = exists && s3_etag_in(match, object.meta.etag);
    s3_object_fini(&object);
    if (!exists)
        s3_no_such_key(call);
    else if (!same)
        s3_precondition_failed(call, "If-Match");
    return same;
}

void s3_delete_object(struct s3_call *call)
{
    struct s3_key key = s3_key(call);

    if (!may_delete(call, &key))
        return;
    if (s3_object_delete(call->store, &key))
        s3_ok(call, 204);
    else
        s3_trouble(call);
}

static void malformed(struct s3_call *call)
{
    s3_refuse(call, "MalformedXML",
              "The XML you provided was not well-formed or did not validate against our published "
              "schema",
              NULL);
}

/* What a DeleteObjects document asks for, element by element. */
struct deletion {
    struct s3_call *call;
    struct kpw_buf keys; /* each with a NUL behind it [owned] */
    size_t count;
    bool quiet;
};

static bool read_deletion(struct deletion *d)
{
    struct kpw_slice body = s3_body(d->call);
    struct kpw_buf text = KPW_BUF_INIT;
    enum kpw_xml_type type;
    struct kpw_xml xml;
    bool ok = true;

    kpw_xml_init(&xml, body.ptr, body.len);
    while (ok && (type = kpw_xml_next(&xml)) != KPW_XML_END) {
        struct kpw_slice name = kpw_xml_local(xml.value);

        ok = type != KPW_XML_ERROR;
        if (type != KPW_XML_OPEN)
            continue;
        kpw_buf_clear(&text);
        if (kpw_slice_is(name, "Key")) {
            ok = kpw_xml_text(&xml, &text) && text.len > 0 && s3_is_text(text.ptr, text.len);
            kpw_buf_append(&d->keys, text.ptr, text.len);
            kpw_buf_putc(&d->keys, '\0');
            d->count++;
        } else if (kpw_slice_is(name, "Quiet")) {
            ok = kpw_xml_text(&xml, &text);
            d->quiet = kpw_slice_is(kpw_buf_slice(&text), "true");
        }
    }
    kpw_buf_fini(&text);
    return ok && d->count >= 1 && d->count <= 1000 && !d->keys.failed;
}

static void delete_one(struct deletion *d, const char *name)
{
    struct s3_key key = {d->call->bucket, name, strlen(name)};
    struct kpw_buf *body = &d->call->body;
    bool done = s3_object_delete(d->call->store, &key);

    if (done && d->quiet)
        return;
    kpw_xml_put_open(body, done ? "Deleted" : "Error", NULL);
    kpw_xml_put_element(body, "Key", name, strlen(name));
    if (!done) {
        kpw_xml_put_element_cstr(body, "Code", "InternalError");
        kpw_xml_put_element_cstr(body, "Message",
                                 "We encountered an internal error. Please try again.");
    }
    kpw_xml_put_close(body, done ? "Deleted" : "Error");
}

void s3_delete_objects(struct s3_call *call)
{
    struct deletion d = {.call = call};
    const char *name;

    if (!read_deletion(&d)) {
        malformed(call);
        kpw_buf_fini(&d.keys);
        return;
    }
    s3_begin_xml(call, "DeleteResult");
    name = d.keys.ptr;
    for (size_t i = 0; i < d.count; i++, name += strlen(name) + 1)
        delete_one(&d, name);
    kpw_xml_put_close(&call->body, "DeleteResult");
    kpw_buf_fini(&d.keys);
}

/* ---- tags: kept as the header x-amz-tagging, "k=v&k2=v2" ---- */

static void get_tags(struct s3_call *call, const struct s3_meta *meta)
{
    const char *tags = json_string_value(json_object_get(meta->headers, "x-amz-tagging"));
    struct kpw_query q;

    s3_begin_xml(call, "Tagging");
    kpw_xml_put_open(&call->body, "TagSet", NULL);
    kpw_query_init(&q, kpw_slice_cstr(tags));
    while (kpw_query_next(&q)) {
        struct kpw_buf key = KPW_BUF_INIT, value = KPW_BUF_INIT;

        kpw_uri_decode_put(&key, q.name, true);
        kpw_uri_decode_put(&value, q.value, true);
        kpw_xml_put_open(&call->body, "Tag", NULL);
        kpw_xml_put_element(&call->body, "Key", key.ptr, key.len);
        kpw_xml_put_element(&call->body, "Value", value.ptr, value.len);
        kpw_xml_put_close(&call->body, "Tag");
        kpw_buf_fini(&key);
        kpw_buf_fini(&value);
    }
    kpw_xml_put_close(&call->body, "TagSet");
    kpw_xml_put_close(&call->body, "Tagging");
}

/* The document's tags in the header's form. */
static bool read_tags(struct s3_call *call, struct kpw_buf *out)
{
    struct kpw_slice body = s3_body(call);
    struct kpw_buf text = KPW_BUF_INIT;
    enum kpw_xml_type type;
    struct kpw_xml xml;
    bool ok = true;

    kpw_xml_init(&xml, body.ptr, body.len);
    while (ok && (type = kpw_xml_next(&xml)) != KPW_XML_END) {
        struct kpw_slice name = kpw_xml_local(xml.value);
        bool is_key = kpw_slice_is(name, "Key");

        ok = type != KPW_XML_ERROR;
        if (type != KPW_XML_OPEN || (!is_key && !kpw_slice_is(name, "Value")))
            continue;
        kpw_buf_clear(&text);
        ok = kpw_xml_text(&xml, &text);
        kpw_buf_puts(out, is_key ? out->len ? "&" : "" : "=");
        kpw_uri_put(out, text.ptr, text.len, false);
    }
    kpw_buf_fini(&text);
    return ok && !out->failed;
}

static void change_tags(struct s3_call *call, struct s3_meta *meta, bool put)
{
    struct kpw_buf tags = KPW_BUF_INIT;
    struct s3_key key = s3_key(call);

    if (put && !read_tags(call, &tags)) {
        malformed(call);
        kpw_buf_fini(&tags);
        return;
    }
    if (tags.len > 0)
        json_object_set_new(meta->headers, "x-amz-tagging", json_stringn(tags.ptr, tags.len));
    else
        json_object_del(meta->headers, "x-amz-tagging");
    if (s3_object_touch(call->store, &key, meta))
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
