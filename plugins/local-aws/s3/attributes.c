/* attributes.c - GetObjectAttributes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/s3/call.h"
#include "plugins/local-aws/s3/layout.h"
#include "sdk/wire/time.h"

enum { LIST_MAX = 1000 };
enum attribute { ETAG, CHECKSUM, PARTS, CLASS, SIZE, N_ATTRIBUTES };

static bool invalid(struct s3_call *call, const char *text)
{
    s3_refuse(call, "InvalidArgument", text, "ArgumentName", "x-amz-object-attributes", NULL);
    return false;
}

static bool mark(struct kpw_slice name, bool wanted[N_ATTRIBUTES])
{
    static const char *const names[N_ATTRIBUTES] = {"ETag", "Checksum", "ObjectParts",
                                                    "StorageClass", "ObjectSize"};

    for (int i = 0; i < N_ATTRIBUTES; i++)
        if (kpw_slice_is(name, names[i])) {
            wanted[i] = true;
            return true;
        }
    return false;
}

/* The header may come more than once, and hold a list each time. */
static bool read_wanted(struct s3_call *call, bool wanted[N_ATTRIBUTES])
{
    size_t n = 0;

    for (size_t i = 0; i < call->request->n_headers; i++) {
        const kp_http_header *h = &call->request->headers[i];
        struct kpw_slice rest = kpw_slice(h->value.ptr, h->value.len);

        if (!kpw_slice_is_nocase(kpw_slice(h->name.ptr, h->name.len), "x-amz-object-attributes"))
            continue;
        while (rest.len > 0) {
            const char *comma = memchr(rest.ptr, ',', rest.len);
            size_t len = comma ? (size_t)(comma - rest.ptr) : rest.len;

            if (!mark(kpw_slice_trim(kpw_slice(rest.ptr, len)), wanted))
                return invalid(call, "Invalid attribute name specified.");
            n++;
            len = comma ? len + 1 : len;
            rest = kpw_slice(rest.ptr + len, rest.len - len);
        }
    }
    return n > 0 ||
           invalid(call, "The x-amz-object-attributes header specifying the attributes to be "
                         "retrieved is either missing or empty");
}

/* ---- parts ---- */

/* A header with a number; `fallback` when it is absent or no number. */
static long number_of(const struct s3_call *call, const char *name, long fallback)
{
    struct kpw_slice text = s3_header(call, name);
    char digits[12];

    if (!text.ptr || text.len == 0 || text.len >= sizeof(digits))
        return fallback;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    return strspn(digits, "0123456789") == text.len ? strtol(digits, NULL, 10) : fallback;
}

static void put_part(struct s3_call *call, const struct s3_layout_part *part,
                     enum s3_algorithm algorithm)
{
    char member[32];

    snprintf(member, sizeof(member), "Checksum%s", s3_sum_name(algorithm));
    kpw_xml_put_open(&call->body, "Part", NULL);
    kpw_xml_put_element_int(&call->body, "PartNumber", part->number);
    kpw_xml_put_element_int(&call->body, "Size", (int64_t)part->size);
    kpw_xml_put_element(&call->body, member, part->checksum.ptr, part->checksum.len);
    kpw_xml_put_close(&call->body, "Part");
}

/* S3 lists parts only if the upload asked for checksums; it counts them always. */
static void put_parts(struct s3_call *call, const struct s3_meta *meta, const char *layout)
{
    long after = number_of(call, "x-amz-part-number-marker", 0), last = after, n = 0;
    long max = number_of(call, "x-amz-max-parts", LIST_MAX);
    struct s3_layout_part part = {.checksum = {NULL, 0}};
    const char *at = NULL;
    bool is_truncated = false;

    kpw_xml_put_open(&call->body, "ObjectParts", NULL);
    kpw_xml_put_element_int(&call->body, "PartsCount", meta->parts);
    max = max < LIST_MAX ? max : LIST_MAX;
    while (s3_layout_next(layout, &at, &part) && part.checksum.len > 0) {
        if ((long)part.number <= after)
            continue;
        is_truncated = n == max;
        if (is_truncated)
            break;
        put_part(call, &part, meta->algorithm);
        last = (long)part.number;
        n++;
    }
    if (part.checksum.len > 0) {
        kpw_xml_put_element_int(&call->body, "PartNumberMarker", after);
        kpw_xml_put_element_int(&call->body, "NextPartNumberMarker", last);
        kpw_xml_put_element_int(&call->body, "MaxParts", max);
        kpw_xml_put_element_cstr(&call->body, "IsTruncated", is_truncated ? "true" : "false");
    }
    kpw_xml_put_close(&call->body, "ObjectParts");
}

static void put_checksum(struct s3_call *call, const struct s3_meta *meta)
{
    char member[32];

    snprintf(member, sizeof(member), "Checksum%s", s3_sum_name(meta->algorithm));
    kpw_xml_put_open(&call->body, "Checksum", NULL);
    kpw_xml_put_element_cstr(&call->body, member, meta->checksum);
    kpw_xml_put_element_cstr(&call->body, "ChecksumType",
                             meta->is_composite ? "COMPOSITE" : "FULL_OBJECT");
    kpw_xml_put_close(&call->body, "Checksum");
}

static void answer(struct s3_call *call, const struct s3_meta *meta,
                   const bool wanted[N_ATTRIBUTES])
{
    const char *class = s3_stored(meta, "x-amz-storage-class");
    struct s3_key key = s3_key(call);
    char date[KPW_HTTP_DATE_SIZE], *layout = NULL;

    kpw_http_date_format(meta->modified_ms / 1000, date);
    s3_begin_xml(call, "GetObjectAttributesResponse");
    s3_add_header(call, "last-modified", "%s", date);
    if (wanted[ETAG])
        kpw_xml_put_element_cstr(&call->body, "ETag", meta->etag);
    if (wanted[CHECKSUM] && meta->algorithm != S3_SUM_NONE)
        put_checksum(call, meta);
    if (wanted[PARTS] && meta->parts > 0) {
        layout = s3_object_layout(call->store, &key);
        put_parts(call, meta, layout ? layout : "");
        free(layout);
    }
    if (wanted[CLASS])
        kpw_xml_put_element_cstr(&call->body, "StorageClass", class[0] ? class : "STANDARD");
    if (wanted[SIZE])
        kpw_xml_put_element_int(&call->body, "ObjectSize", (int64_t)meta->size);
    kpw_xml_put_close(&call->body, "GetObjectAttributesResponse");
}

void s3_get_attributes(struct s3_call *call)
{
    bool wanted[N_ATTRIBUTES] = {false};
    struct s3_key key = s3_key(call);
    struct s3_object object;

    if (!s3_check_version(call) || !read_wanted(call, wanted))
        return;
    if (!s3_object_find(call->store, &key, &object)) {
        s3_no_such_key(call);
        return;
    }
    answer(call, &object.meta, wanted);
    s3_object_fini(&object);
}
