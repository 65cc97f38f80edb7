/* multipart.c - multipart uploads: begin, parts, abort, and the listing of parts.
 *
 * Not here: putting the parts together (complete.c), the listing of uploads (list_uploads.c), what
 * is kept (uploads.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/local-aws/s3/document.h"
#include "plugins/local-aws/s3/multipart.h"
#include "plugins/local-aws/s3/receive.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/random.h"

#define OWNER "<ID>" S3_OWNER_ID "</ID>"

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

/* A part on its way in. */
struct incoming {
    struct s3_receive receive; /* [owned] */
    uint32_t number;
};

static void end_part(struct s3_call *call)
{
    struct incoming *in = call->state;

    s3_receive_fini(&in->receive);
    free(in);
    call->state = NULL;
}

static void receive_part(struct s3_call *call)
{
    struct incoming *in = call->state;

    s3_receive_run(&in->receive, s3_body(call));
}

/* Meanwhile the upload may have been completed or aborted. */
static void keep_part(struct s3_call *call)
{
    struct incoming *in = call->state;
    const struct s3_meta *meta = &in->receive.meta;
    struct s3_part part = {.number = in->number,
                           .size = meta->size,
                           .algorithm = meta->algorithm,
                           .modified_ms = call->now_ms};
    struct s3_upload upload = {.id = ""};

    memcpy(part.etag, meta->etag, sizeof(part.etag));
    memcpy(part.checksum, meta->checksum, sizeof(part.checksum));
    if (call->status == 0 && s3_find_upload(call, &upload)) {
        if (!s3_part_put(call->store, upload.id, &part, &in->receive.temp)) {
            s3_trouble(call);
        } else {
            s3_ok(call, 200);
            s3_add_header(call, "etag", "\"%s\"", part.etag);
            s3_add_header(call, s3_sum_header(part.algorithm), "%s", part.checksum);
            s3_add_header(call, "x-amz-server-side-encryption", "AES256");
        }
        s3_upload_fini(&upload);
    }
    end_part(call);
}

static void take_part(struct s3_call *call, const struct s3_upload *upload, uint32_t number)
{
    struct incoming *in = calloc(1, sizeof(*in));

    if (!in) {
        s3_trouble(call);
        return;
    }
    in->number = number;
    call->state = in;
    if (s3_receive_begin(&in->receive, call, upload->algorithm) &&
        same_algorithm(call, upload, in->receive.algorithm))
        s3_in_steps(call, s3_body(call).len, receive_part, keep_part);
    else
        end_part(call);
}

void s3_upload_part(struct s3_call *call)
{
    struct s3_upload upload;
    uint32_t number;

    if (!read_part_number(call, &number) || !s3_find_upload(call, &upload))
        return;
    if (s3_header_or_parameter(call, "x-amz-copy-source").ptr)
        s3_upload_part_copy(call, &upload, number);
    else
        take_part(call, &upload, number);
    s3_upload_fini(&upload);
}

/* ---- listings ---- */

bool s3_read_count(struct s3_call *call, const char *name, long fallback, long *ret)
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

    if (!s3_read_count(call, "part-number-marker", 0, &after) ||
        !s3_read_count(call, "max-parts", LIST_MAX, &max) || !s3_find_upload(call, &upload))
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
