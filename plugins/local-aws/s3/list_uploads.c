/* list_uploads.c - ListMultipartUploads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/s3/document.h"
#include "plugins/local-aws/s3/multipart.h"

#define OWNER "<ID>" S3_OWNER_ID "</ID>"

enum { LIST_MAX = 1000 };

struct uploads {
    struct s3_call *call;
    struct kpw_slice prefix, delimiter, key_marker, id_marker;
    long max, count;
    bool encode, truncated;
    struct kpw_buf list, prefixes; /* XML [owned] */
    struct kpw_buf last_key;       /* the last key or common prefix shown [owned] */
    bool last_is_prefix;
    char last_id[S3_UPLOAD_ID_MAX];
};

static struct kpw_slice text_of(const struct s3_call *call, const char *name)
{
    const struct s3_parameter *p = s3_parameter(call, name);

    return p ? kpw_slice(p->value, p->len) : kpw_slice("", 0);
}

static void put_name(struct uploads *u, struct kpw_buf *out, const char *element,
                     struct kpw_slice text)
{
    char *encoded;

    if (!u->encode) {
        kpw_xml_put_element(out, element, text.ptr, text.len);
        return;
    }
    encoded = malloc(3 * text.len + 1);
    if (encoded)
        kpw_xml_put_element(out, element, encoded, s3_encode_listed(text.ptr, text.len, encoded));
    else
        out->failed = true;
    free(encoded);
}

/* Negative, zero or positive, in order of bytes. */
static int compare(struct kpw_slice a, struct kpw_slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool begins_with(struct kpw_slice text, struct kpw_slice start)
{
    return text.len >= start.len && (start.len == 0 || !memcmp(text.ptr, start.ptr, start.len));
}

/* A marker that is a common prefix stands for all keys with it. */
static bool is_prefix_marker(const struct uploads *u)
{
    size_t n = u->delimiter.len;

    return n > 0 && u->key_marker.len >= n &&
           memcmp(u->key_marker.ptr + u->key_marker.len - n, u->delimiter.ptr, n) == 0;
}

static bool is_behind_markers(const struct uploads *u, const struct s3_upload *upload)
{
    int order = compare(upload->key, u->key_marker);

    if (u->key_marker.len == 0)
        return true;
    if (is_prefix_marker(u) && begins_with(upload->key, u->key_marker))
        return false;
    return order > 0 || (order == 0 && u->id_marker.len > 0 &&
                         compare(kpw_slice_cstr(upload->id), u->id_marker) > 0);
}

/* The key up to the first delimiter behind the prefix; len 0: there is none. */
static struct kpw_slice common_prefix(const struct uploads *u, struct kpw_slice key)
{
    const char *from = key.ptr + u->prefix.len, *at = NULL;

    if (u->delimiter.len > 0)
        at = memmem(from, key.len - u->prefix.len, u->delimiter.ptr, u->delimiter.len);
    return kpw_slice(key.ptr, at ? (size_t)(at - key.ptr) + u->delimiter.len : 0);
}

static void put_one(struct uploads *u, const struct s3_upload *upload)
{
    char time[32];

    s3_iso_time(upload->created_ms, time);
    kpw_xml_put_open(&u->list, "Upload", NULL);
    put_name(u, &u->list, "Key", upload->key);
    kpw_xml_put_element_cstr(&u->list, "UploadId", upload->id);
    kpw_buf_puts(&u->list, "<Initiator>" OWNER "</Initiator><Owner>" OWNER "</Owner>"
                           "<StorageClass>STANDARD</StorageClass>");
    kpw_xml_put_element_cstr(&u->list, "Initiated", time);
    if (upload->algorithm != S3_SUM_NONE) {
        kpw_xml_put_element_cstr(&u->list, "ChecksumAlgorithm", s3_sum_name(upload->algorithm));
        kpw_xml_put_element_cstr(&u->list, "ChecksumType",
                                 upload->is_composite ? "COMPOSITE" : "FULL_OBJECT");
    }
    kpw_xml_put_close(&u->list, "Upload");
}

static void remember(struct uploads *u, struct kpw_slice name, const char *id)
{
    kpw_buf_clear(&u->last_key);
    kpw_buf_put_slice(&u->last_key, name);
    snprintf(u->last_id, sizeof(u->last_id), "%s", id);
    u->last_is_prefix = id[0] == '\0';
}

static bool put_upload(void *arg, const struct s3_upload *upload)
{
    struct uploads *u = arg;
    struct kpw_slice prefix;

    if (!begins_with(upload->key, u->prefix) || !is_behind_markers(u, upload))
        return true;
    prefix = common_prefix(u, upload->key);
    if (prefix.len > 0 && u->last_is_prefix && kpw_slice_eq(prefix, kpw_buf_slice(&u->last_key)))
        return true;
    if (u->count == u->max) {
        u->truncated = true;
        return false;
    }
    u->count++;
    if (prefix.len > 0) {
        kpw_xml_put_open(&u->prefixes, "CommonPrefixes", NULL);
        put_name(u, &u->prefixes, "Prefix", prefix);
        kpw_xml_put_close(&u->prefixes, "CommonPrefixes");
        remember(u, prefix, "");
    } else {
        put_one(u, upload);
        remember(u, upload->key, upload->id);
    }
    return true;
}

static void answer_uploads(struct uploads *u)
{
    struct kpw_buf *body = &u->call->body;

    s3_begin_xml(u->call, "ListMultipartUploadsResult");
    kpw_xml_put_element_cstr(body, "Bucket", u->call->bucket);
    put_name(u, body, "KeyMarker", u->key_marker);
    kpw_xml_put_element(body, "UploadIdMarker", u->id_marker.ptr, u->id_marker.len);
    put_name(u, body, "NextKeyMarker", kpw_slice(u->last_key.ptr, u->last_key.len));
    kpw_xml_put_element_cstr(body, "NextUploadIdMarker", u->last_id);
    put_name(u, body, "Prefix", u->prefix);
    if (u->delimiter.len > 0)
        put_name(u, body, "Delimiter", u->delimiter);
    if (u->encode)
        kpw_xml_put_element_cstr(body, "EncodingType", "url");
    kpw_xml_put_element_int(body, "MaxUploads", u->max);
    kpw_xml_put_element_cstr(body, "IsTruncated", u->truncated ? "true" : "false");
    kpw_buf_put_slice(body, kpw_buf_slice(&u->list));
    kpw_buf_put_slice(body, kpw_buf_slice(&u->prefixes));
    body->failed = body->failed || u->list.failed || u->prefixes.failed || u->last_key.failed;
    kpw_xml_put_close(body, "ListMultipartUploadsResult");
}

void s3_list_uploads(struct s3_call *call)
{
    struct uploads u = {.call = call,
                        .prefix = text_of(call, "prefix"),
                        .delimiter = text_of(call, "delimiter"),
                        .key_marker = text_of(call, "key-marker"),
                        .id_marker = text_of(call, "upload-id-marker"),
                        .encode = s3_parameter(call, "encoding-type") != NULL};

    if (!s3_read_count(call, "max-uploads", LIST_MAX, &u.max))
        return;
    if (u.max > LIST_MAX)
        u.max = LIST_MAX;
    s3_upload_each(call->store, call->bucket, put_upload, &u);
    answer_uploads(&u);
    kpw_buf_fini(&u.list);
    kpw_buf_fini(&u.prefixes);
    kpw_buf_fini(&u.last_key);
}
