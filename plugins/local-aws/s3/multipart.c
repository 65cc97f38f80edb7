/* multipart.c - multipart uploads: begin, parts, abort, and the two listings.
 *
 * Not here: putting the parts together (complete.c), what is kept (uploads.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/local-aws/s3/multipart.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/random.h"

#define OWNER "<ID>75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a</ID>"

enum { LIST_MAX = 1000 };

void s3_no_such_upload(struct s3_call *call, const char *id)
{
    s3_refuse(call, "NoSuchUpload",
              "The specified upload does not exist. The upload ID may be invalid, or the upload "
              "may have been aborted or completed.",
              "UploadId", id, NULL);
}

bool s3_find_upload(struct s3_call *call, struct s3_upload *upload)
{
    const struct s3_parameter *id = s3_parameter(call, "uploadId");
    struct s3_key key = s3_key(call);

    if (s3_upload_find(call->store, &key, id ? id->value : "", upload))
        return true;
    s3_upload_fini(upload);
    s3_no_such_upload(call, id && s3_is_text(id->value, id->len) ? id->value : "");
    return false;
}

/* ---- beginning ---- */

static bool bad_request(struct s3_call *call, const char *text)
{
    s3_refuse(call, "InvalidRequest", text, NULL);
    return false;
}

/* "The FULL_OBJECT checksum type cannot be used with the sha1 checksum algorithm." */
static bool bad_pair(struct s3_call *call, const char *type, enum s3_algorithm algorithm)
{
    char text[140], name[16];

    snprintf(name, sizeof(name), "%s", s3_sum_name(algorithm));
    for (char *p = name; *p; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p);
    snprintf(text, sizeof(text),
             "The %s checksum type cannot be used with the %s checksum algorithm.", type, name);
    return bad_request(call, text);
}

static bool read_algorithm(struct s3_call *call, struct s3_upload *upload)
{
    struct kpw_slice algorithm = s3_header_or_parameter(call, "x-amz-checksum-algorithm");
    struct kpw_slice type = s3_header_or_parameter(call, "x-amz-checksum-type");
    bool full = kpw_slice_is_nocase(type, "FULL_OBJECT");

    if (!algorithm.ptr)
        return !type.ptr || bad_request(call, "The x-amz-checksum-type header can only be used "
                                              "with the x-amz-checksum-algorithm header.");
    upload->algorithm = s3_sum_named(algorithm.ptr, algorithm.len);
    if (upload->algorithm == S3_SUM_NONE)
        return bad_request(call, "Checksum algorithm provided is unsupported. Please try again "
                                 "with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, "
                                 "SHA256]");
    if (type.ptr && !full && !kpw_slice_is_nocase(type, "COMPOSITE"))
        return bad_request(call, "Value for x-amz-checksum-type header is invalid.");
    if (full && (upload->algorithm == S3_SHA1 || upload->algorithm == S3_SHA256))
        return bad_pair(call, "FULL_OBJECT", upload->algorithm);
    if (type.ptr && !full && upload->algorithm == S3_CRC64NVME)
        return bad_pair(call, "COMPOSITE", upload->algorithm);
    upload->is_composite = !full && upload->algorithm != S3_CRC64NVME;
    return true;
}

static void add_algorithm_headers(struct s3_call *call, const struct s3_upload *upload)
{
    if (upload->algorithm == S3_SUM_NONE)
        return;
    s3_add_header(call, "x-amz-checksum-algorithm", "%s", s3_sum_name(upload->algorithm));
    s3_add_header(call, "x-amz-checksum-type", "%s",
                  upload->is_composite ? "COMPOSITE" : "FULL_OBJECT");
}

static void make_id(char out[S3_UPLOAD_ID_MAX])
{
    uint8_t raw[24];

    kpw_random_secret(raw, sizeof(raw));
    out[kpw_hex(raw, sizeof(raw), out)] = '\0';
}

void s3_create_upload(struct s3_call *call)
{
    struct s3_upload upload = {.created_ms = call->now_ms};
    struct s3_key key = s3_key(call);

    upload.headers = s3_stored_headers(call);
    if (!upload.headers || !read_algorithm(call, &upload))
        goto out;
    make_id(upload.id);
    if (!s3_upload_add(call->store, &key, &upload)) {
        s3_trouble(call);
        goto out;
    }
    s3_begin_xml(call, "InitiateMultipartUploadResult");
    kpw_xml_put_element_cstr(&call->body, "Bucket", call->bucket);
    kpw_xml_put_element(&call->body, "Key", call->key_bytes, call->key_len);
    kpw_xml_put_element_cstr(&call->body, "UploadId", upload.id);
    kpw_xml_put_close(&call->body, "InitiateMultipartUploadResult");
    add_algorithm_headers(call, &upload);
    s3_add_header(call, "x-amz-server-side-encryption", "AES256");
out:
    s3_upload_fini(&upload);
}

void s3_abort_upload(struct s3_call *call)
{
    struct s3_upload upload;

    if (!s3_find_upload(call, &upload))
        return;
    if (s3_upload_remove(call->store, upload.id))
        s3_ok(call, 204);
    else
        s3_trouble(call);
    s3_upload_fini(&upload);
}

/* ---- parts ---- */

static bool read_part_number(struct s3_call *call, uint32_t *ret)
{
    const struct s3_parameter *p = s3_parameter(call, "partNumber");
    const char *text = p ? p->value : "";
    char *end;
    long number = strtol(text, &end, 10);

    *ret = (uint32_t)number;
    if (*text >= '0' && *text <= '9' && *end == '\0' && number >= 1 && number <= S3_PARTS_MAX)
        return true;
    s3_refuse(call, "InvalidArgument",
              "Part number must be an integer between 1 and 10000, inclusive", "ArgumentName",
              "partNumber", "ArgumentValue", text, NULL);
    return false;
}

static bool same_algorithm(struct s3_call *call, const struct s3_upload *upload,
                           enum s3_algorithm algorithm)
{
    char text[140];

    if (upload->algorithm == S3_SUM_NONE || upload->algorithm == algorithm)
        return true;
    snprintf(text, sizeof(text),
             "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: "
             "%s",
             s3_sum_header(upload->algorithm) + strlen("x-amz-checksum-"),
             s3_sum_header(algorithm) + strlen("x-amz-checksum-"));
    return bad_request(call, text);
}

static void take_part(struct s3_call *call, const struct s3_upload *upload, uint32_t number)
{
    struct s3_temp temp = {-1, ""};
    struct s3_meta meta = {0};
    struct s3_part part = {.number = number, .modified_ms = call->now_ms};

    if (!s3_receive(call, upload->algorithm, &temp, &meta) ||
        !same_algorithm(call, upload, meta.algorithm))
        goto out;
    part.size = meta.size;
    part.algorithm = meta.algorithm;
    memcpy(part.etag, meta.etag, sizeof(part.etag));
    memcpy(part.checksum, meta.checksum, sizeof(part.checksum));
    if (!s3_part_put(call->store, upload->id, &part, &temp)) {
        s3_trouble(call);
        goto out;
    }
    s3_ok(call, 200);
    s3_add_header(call, "etag", "\"%s\"", part.etag);
    s3_add_header(call, s3_sum_header(part.algorithm), "%s", part.checksum);
    s3_add_header(call, "x-amz-server-side-encryption", "AES256");
out:
    s3_temp_drop(call->store, &temp);
    s3_meta_fini(&meta);
}

void s3_upload_part(struct s3_call *call)
{
    struct s3_upload upload;
    uint32_t number;

    if (!read_part_number(call, &number) || !s3_find_upload(call, &upload))
        return;
    if (s3_header(call, "x-amz-copy-source").ptr)
        s3_upload_part_copy(call, &upload, number);
    else
        take_part(call, &upload, number);
    s3_upload_fini(&upload);
}

/* ---- listings ---- */

/* A number 0 or above from the query; `fallback` when absent. False: answered. */
static bool read_count(struct s3_call *call, const char *name, long fallback, long *ret)
{
    const struct s3_parameter *p = s3_parameter(call, name);
    char *end;

    *ret = fallback;
    if (!p || p->len == 0)
        return true;
    *ret = strtol(p->value, &end, 10);
    if (*end == '\0' && *ret >= 0)
        return true;
    s3_refuse(call, "InvalidArgument", "Provided argument is not an integer or out of range",
              "ArgumentName", name, "ArgumentValue", p->value, NULL);
    return false;
}

static void put_part(struct s3_call *call, const struct s3_part *part)
{
    char time[32], member[32];

    s3_iso_time(part->modified_ms, time);
    kpw_xml_put_open(&call->body, "Part", NULL);
    kpw_xml_put_element_int(&call->body, "PartNumber", part->number);
    kpw_xml_put_element_cstr(&call->body, "LastModified", time);
    kpw_buf_appendf(&call->body, "<ETag>&quot;%s&quot;</ETag>", part->etag);
    kpw_xml_put_element_int(&call->body, "Size", (int64_t)part->size);
    snprintf(member, sizeof(member), "Checksum%s", s3_sum_name(part->algorithm));
    kpw_xml_put_element_cstr(&call->body, member, part->checksum);
    kpw_xml_put_close(&call->body, "Part");
}

static void put_parts(struct s3_call *call, const struct s3_upload *upload, long after, long max)
{
    size_t n, from = 0, to;
    struct s3_part *parts = s3_part_list(call->store, upload->id, &n);

    while (from < n && (long)parts[from].number <= after)
        from++;
    to = n - from > (size_t)max ? from + (size_t)max : n;
    kpw_xml_put_element_int(&call->body, "PartNumberMarker", after);
    kpw_xml_put_element_int(&call->body, "NextPartNumberMarker",
                            to > from ? parts[to - 1].number : 0);
    kpw_xml_put_element_int(&call->body, "MaxParts", max);
    kpw_xml_put_element_cstr(&call->body, "IsTruncated", to < n ? "true" : "false");
    for (size_t i = from; i < to; i++)
        put_part(call, &parts[i]);
    free(parts);
}

void s3_list_parts(struct s3_call *call)
{
    struct s3_upload upload;
    long after, max;

    if (!read_count(call, "part-number-marker", 0, &after) ||
        !read_count(call, "max-parts", LIST_MAX, &max) || !s3_find_upload(call, &upload))
        return;
    s3_begin_xml(call, "ListPartsResult");
    kpw_xml_put_element_cstr(&call->body, "Bucket", call->bucket);
    kpw_xml_put_element(&call->body, "Key", call->key_bytes, call->key_len);
    kpw_xml_put_element_cstr(&call->body, "UploadId", upload.id);
    put_parts(call, &upload, after, max < LIST_MAX ? max : LIST_MAX);
    kpw_buf_puts(&call->body, "<Initiator>" OWNER "</Initiator><Owner>" OWNER "</Owner>");
    kpw_xml_put_element_cstr(&call->body, "StorageClass", "STANDARD");
    if (upload.algorithm != S3_SUM_NONE) {
        kpw_xml_put_element_cstr(&call->body, "ChecksumAlgorithm", s3_sum_name(upload.algorithm));
        kpw_xml_put_element_cstr(&call->body, "ChecksumType",
                                 upload.is_composite ? "COMPOSITE" : "FULL_OBJECT");
    }
    kpw_xml_put_close(&call->body, "ListPartsResult");
    s3_upload_fini(&upload);
}

struct uploads {
    struct s3_call *call;
    struct kpw_slice prefix, key_marker, id_marker;
    long max, count;
    bool encode, truncated;
    struct kpw_buf list;     /* XML [owned] */
    struct kpw_buf last_key; /* [owned] */
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

static bool is_behind_markers(const struct uploads *u, const struct s3_upload *upload)
{
    int order = compare(upload->key, u->key_marker);

    if (u->key_marker.len == 0 || order > 0)
        return true;
    return order == 0 && u->id_marker.len > 0 &&
           compare(kpw_slice_cstr(upload->id), u->id_marker) > 0;
}

static bool put_upload(void *arg, const struct s3_upload *upload)
{
    struct uploads *u = arg;
    char time[32];

    if (upload->key.len < u->prefix.len ||
        memcmp(upload->key.ptr, u->prefix.ptr, u->prefix.len) != 0 || !is_behind_markers(u, upload))
        return true;
    if (u->count == u->max) {
        u->truncated = true;
        return false;
    }
    u->count++;
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
    kpw_buf_clear(&u->last_key);
    kpw_buf_put_slice(&u->last_key, upload->key);
    snprintf(u->last_id, sizeof(u->last_id), "%s", upload->id);
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
    if (u->encode)
        kpw_xml_put_element_cstr(body, "EncodingType", "url");
    kpw_xml_put_element_int(body, "MaxUploads", u->max);
    kpw_xml_put_element_cstr(body, "IsTruncated", u->truncated ? "true" : "false");
    kpw_buf_put_slice(body, kpw_buf_slice(&u->list));
    body->failed = body->failed || u->list.failed || u->last_key.failed;
    kpw_xml_put_close(body, "ListMultipartUploadsResult");
}

void s3_list_uploads(struct s3_call *call)
{
    struct uploads u = {.call = call,
                        .prefix = text_of(call, "prefix"),
                        .key_marker = text_of(call, "key-marker"),
                        .id_marker = text_of(call, "upload-id-marker"),
                        .encode = s3_parameter(call, "encoding-type") != NULL};

    if (text_of(call, "delimiter").len > 0) {
        s3_refuse(call, "NotImplemented",
                  "A header you provided implies functionality that is not implemented", "Header",
                  "delimiter", NULL);
        return;
    }
    if (!read_count(call, "max-uploads", LIST_MAX, &u.max))
        return;
    if (u.max > LIST_MAX)
        u.max = LIST_MAX;
    s3_upload_each(call->store, call->bucket, put_upload, &u);
    answer_uploads(&u);
    kpw_buf_fini(&u.list);
    kpw_buf_fini(&u.last_key);
}
