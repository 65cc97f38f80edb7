/* copy.c - CopyObject and UploadPartCopy: the source is opened first, so whatever happens to its
 * key meanwhile, the copy is of what was there then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/local-aws/s3/multipart.h"

#define SOURCE_MAX (UINT64_C(5) << 30) /* bytes of one copy */

/* A copy under way. */
struct copy {
    struct s3_call *call;   /* [borrowed] */
    struct s3_object old;   /* the source [owned] */
    int from;               /* its content [owned] */
    uint64_t first, len;    /* of it */
    struct s3_temp temp;    /* [owned] */
    struct s3_meta meta;    /* of the copy [owned] */
    uint32_t number;        /* of a part */
    struct s3_sum md5, sum; /* [owned] */
    bool failed;
};

static struct copy *copy_new(struct s3_call *call)
{
    struct copy *copy = calloc(1, sizeof(*copy));

    if (copy) {
        copy->call = call;
        copy->from = copy->temp.fd = -1;
    } else {
        s3_trouble(call);
    }
    return copy;
}

static void copy_free(struct copy *copy)
{
    if (copy->from >= 0)
        close(copy->from);
    s3_temp_drop(copy->call->store, &copy->temp);
    s3_sum_fini(&copy->md5);
    s3_sum_fini(&copy->sum);
    s3_meta_fini(&copy->meta);
    s3_object_fini(&copy->old);
    copy->call->state = NULL;
    free(copy);
}

/* ---- the source ---- */

static bool bad_source(struct s3_call *call)
{
    s3_refuse(call, "InvalidArgument", "Invalid copy source object key", "ArgumentName",
              "x-amz-copy-source", NULL);
    return false;
}

struct source {
    char text[S3_KEY_MAX + 80]; /* "bucket/key", decoded; the slash is a NUL */
    struct s3_key key;
};

/* "?versionId=null" or nothing behind the key. */
static bool check_source_version(struct s3_call *call, struct kpw_slice query)
{
    if (query.len == 0 || kpw_slice_is(query, "?versionId=null"))
        return true;
    s3_refuse(call, "InvalidArgument", "Invalid version id specified", "ArgumentName",
              "x-amz-copy-source", NULL);
    return false;
}

static bool read_source(struct s3_call *call, struct source *source)
{
    struct kpw_slice text = s3_header_or_parameter(call, "x-amz-copy-source");
    const char *query = memchr(text.ptr, '?', text.len);
    struct s3_bucket bucket;
    char *slash;
    long n;

    if (query &&
        !check_source_version(call, kpw_slice(query, text.len - (size_t)(query - text.ptr))))
        return false;
    if (query)
        text.len = (size_t)(query - text.ptr);
    if (text.len > 0 && text.ptr[0] == '/') {
        text.ptr++;
        text.len--;
    }
    n = s3_decode(text.ptr, text.len, source->text, sizeof(source->text));
    slash = n > 0 ? strchr(source->text, '/') : NULL;
    if (!slash || slash[1] == '\0' || !s3_is_text(source->text, (size_t)n))
        return bad_source(call);
    *slash = '\0';
    source->key =
        (struct s3_key){source->text, slash + 1, (size_t)n - (size_t)(slash + 1 - source->text)};
    if (s3_bucket_find(call->store, source->text, &bucket))
        return true;
    s3_refuse(call, "NoSuchBucket", "The specified bucket does not exist", "BucketName",
              source->text, NULL);
    return false;
}

static bool check_source_conditions(struct s3_call *call, const struct s3_meta *meta)
{
    const char *condition = "";

    if (s3_judge(call, meta, "x-amz-copy-source-", &condition) == S3_GO_ON)
        return true;
    s3_precondition_failed(call, condition);
    return false;
}

static bool open_source(struct copy *copy, const struct source *source)
{
    struct s3_call *call = copy->call;

    if (!s3_object_find(call->store, &source->key, &copy->old) ||
        (copy->from = s3_object_open(call->store, &copy->old)) < 0) {
        s3_refuse(call, "NoSuchKey", "The specified key does not exist.", "Key", source->key.key,
                  NULL);
        return false;
    }
    copy->len = copy->old.meta.size;
    return check_source_conditions(call, &copy->old.meta);
}

/* ---- the bytes ---- */

static bool start_content(struct copy *copy, enum s3_algorithm algorithm)
{
    struct s3_call *call = copy->call;

    copy->meta.algorithm = algorithm != S3_SUM_NONE ? algorithm : S3_CRC64NVME;
    copy->meta.modified_ms = call->now_ms;
    if (copy->len > SOURCE_MAX) {
        s3_refuse(call, "InvalidRequest",
                  "The specified copy source is larger than the maximum allowable size for a copy "
                  "source: 5368709120",
                  NULL);
        return false;
    }
    if (s3_sum_init(&copy->md5, S3_MD5) && s3_sum_init(&copy->sum, copy->meta.algorithm) &&
        s3_temp_open(call->store, &copy->temp))
        return true;
    s3_trouble(call);
    return false;
}

static bool copy_bytes(struct copy *copy)
{
    char piece[65536];

    while (copy->meta.size < copy->len) {
        uint64_t left = copy->len - copy->meta.size;
        ssize_t n = pread(copy->from, piece, left < sizeof(piece) ? (size_t)left : sizeof(piece),
                          (off_t)(copy->first + copy->meta.size));

        if (n <= 0 || !s3_temp_write(&copy->temp, piece, (size_t)n))
            return false;
        s3_sum_add(&copy->md5, piece, (size_t)n);
        s3_sum_add(&copy->sum, piece, (size_t)n);
        copy->meta.size += (uint64_t)n;
    }
    return !copy->call->store->sync || s3_temp_sync(&copy->temp);
}

static void copy_content(struct s3_call *call)
{
    struct copy *copy = call->state;
    uint8_t raw[S3_SUM_RAW_MAX];

    copy->failed = !copy_bytes(copy);
    if (copy->failed)
        return;
    s3_sum_end(&copy->md5, raw);
    s3_hex(raw, 16, copy->meta.etag);
    s3_base64(raw, s3_sum_end(&copy->sum, raw), copy->meta.checksum);
}

/* Opens the element of the answer and puts what both kinds of copy say. */
static void begin_answer(struct s3_call *call, const char *element, const struct s3_meta *meta)
{
    char time[32], member[32];

    s3_iso_time(meta->modified_ms, time);
    s3_begin_xml(call, element);
    kpw_xml_put_element_cstr(&call->body, "LastModified", time);
    kpw_buf_appendf(&call->body, "<ETag>&quot;%s&quot;</ETag>", meta->etag);
    snprintf(member, sizeof(member), "Checksum%s", s3_sum_name(meta->algorithm));
    kpw_xml_put_element_cstr(&call->body, member, meta->checksum);
}

/* ---- whole objects ---- */

static bool is_directive(struct s3_call *call, const char *header, const char *error,
                         bool *ret_replace)
{
    struct kpw_slice value = s3_header_or_parameter(call, header);
    char text[40];

    *ret_replace = kpw_slice_is(value, "REPLACE");
    if (!value.ptr || *ret_replace || kpw_slice_is(value, "COPY"))
        return true;
    snprintf(text, sizeof(text), "%.*s", (int)(value.len < 30 ? value.len : 30), value.ptr);
    s3_refuse(call, "InvalidArgument", error, "ArgumentName", header, "ArgumentValue", text, NULL);
    return false;
}

static bool check_self_copy(struct s3_call *call, const struct source *source, bool replaces)
{
    static const char *const changes[] = {"x-amz-storage-class", "x-amz-website-redirect-location",
                                          "x-amz-server-side-encryption"};
    bool same = strcmp(source->key.bucket, call->bucket) == 0 && source->key.len == call->key_len &&
                memcmp(source->key.key, call->key_bytes, call->key_len) == 0;

    if (!same || replaces)
        return true;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        if (s3_header_or_parameter(call, changes[i]).ptr)
            return true;
    s3_refuse(call, "InvalidRequest",
              "This copy request is illegal because it is trying to copy an object to itself "
              "without changing the object's metadata, storage class, website redirect location or "
              "encryption attributes.",
              NULL);
    return false;
}

/* Takes `name` from one of two sets of headers. */
static void take(json_t *to, const json_t *from, const char *name)
{
    json_t *value = json_object_get(from, name);

    if (value)
        json_object_set(to, name, value);
    else
        json_object_del(to, name);
}

/* Metadata goes along or is replaced, so do tags; the rest is always as the request says. */
static json_t *copied_headers(struct s3_call *call, const json_t *old, bool replaces,
                              bool replaces_tags)
{
    static const char *const asked[] = {"x-amz-storage-class", "x-amz-website-redirect-location",
                                        "x-amz-acl", "x-amz-server-side-encryption",
                                        "x-amz-server-side-encryption-aws-kms-key-id"};
    json_t *given = s3_stored_headers(call);
    json_t *headers = given ? json_copy(replaces ? given : (json_t *)old) : NULL;

    for (size_t i = 0; headers && i < sizeof(asked) / sizeof(asked[0]); i++)
        take(headers, given, asked[i]);
    if (headers)
        take(headers, replaces_tags ? given : old, "x-amz-tagging");
    json_decref(given);
    return headers;
}

static bool read_algorithm(struct s3_call *call, const struct s3_meta *old, enum s3_algorithm *ret)
{
    struct kpw_slice wanted = s3_header_or_parameter(call, "x-amz-checksum-algorithm");

    *ret = wanted.ptr ? s3_sum_named(wanted.ptr, wanted.len) : old->algorithm;
    if (!wanted.ptr || *ret != S3_SUM_NONE)
        return true;
    s3_refuse(call, "InvalidRequest",
              "Checksum algorithm provided is unsupported. Please try again with any of the valid "
              "types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
              NULL);
    return false;
}

static void publish(struct s3_call *call)
{
    struct copy *copy = call->state;
    struct s3_key key = s3_key(call);
    struct s3_bucket bucket;

    if (copy->failed) {
        s3_trouble(call);
    } else if (!s3_bucket_find(call->store, call->bucket, &bucket)) {
        s3_no_such_bucket(call);
    } else if (s3_may_write(call, "if-match", "if-none-match")) {
        if (s3_object_publish(call->store, &key, &copy->temp, &copy->meta)) {
            begin_answer(call, "CopyObjectResult", &copy->meta);
            kpw_xml_put_element_cstr(&call->body, "ChecksumType", "FULL_OBJECT");
            kpw_xml_put_close(&call->body, "CopyObjectResult");
            s3_add_encryption(call, &copy->meta);
        } else {
            s3_trouble(call);
        }
    }
    copy_free(copy);
}

/* All that can be refused before a byte moves. */
static bool prepare(struct copy *copy)
{
    struct s3_call *call = copy->call;
    enum s3_algorithm algorithm;
    bool replaces, replaces_tags;
    struct source source;

    if (!is_directive(call, "x-amz-metadata-directive", "Unknown metadata directive.", &replaces) ||
        !is_directive(call, "x-amz-tagging-directive", "Unknown tagging directive.",
                      &replaces_tags) ||
        !read_source(call, &source) || !check_self_copy(call, &source, replaces) ||
        !s3_may_write(call, "if-match", "if-none-match") || !open_source(copy, &source) ||
        !read_algorithm(call, &copy->old.meta, &algorithm))
        return false;
    copy->meta.headers = copied_headers(call, copy->old.meta.headers, replaces, replaces_tags);
    return copy->meta.headers && start_content(copy, algorithm);
}

void s3_copy_object(struct s3_call *call)
{
    struct copy *copy = copy_new(call);

    if (!copy)
        return;
    if (!prepare(copy)) {
        copy_free(copy);
        return;
    }
    call->state = copy;
    s3_in_steps(call, copy->len, copy_content, publish);
}

/* ---- parts that are copied ---- */

static bool bad_range(struct s3_call *call, const char *text)
{
    struct kpw_slice range = s3_header(call, "x-amz-copy-source-range");
    char value[80];

    snprintf(value, sizeof(value), "%.*s", (int)(range.len < 70 ? range.len : 70), range.ptr);
    s3_refuse(call, "InvalidArgument", text, "ArgumentName", "x-amz-copy-source-range",
              "ArgumentValue", value, NULL);
    return false;
}

/* "bytes=first-last" and nothing else. */
static bool read_numbers(struct kpw_slice range, uint64_t *first, uint64_t *last)
{
    char text[64];
    unsigned long long a, b;
    int n = 0;

    if (range.len >= sizeof(text))
        return false;
    memcpy(text, range.ptr, range.len);
    text[range.len] = '\0';
    if (strspn(text + (range.len < 6 ? range.len : 6), "0123456789-") + 6 != range.len ||
        sscanf(text, "bytes=%llu-%llu%n", &a, &b, &n) != 2 || (size_t)n != range.len || a > b)
        return false;
    *first = a;
    *last = b;
    return true;
}

static bool choose_range(struct s3_call *call, const struct s3_meta *meta, uint64_t *first,
                         uint64_t *len)
{
    struct kpw_slice range = s3_header(call, "x-amz-copy-source-range");
    uint64_t last;
    char text[100];

    *first = 0;
    *len = meta->size;
    if (!range.ptr)
        return true;
    if (!read_numbers(range, first, &last))
        return bad_range(call,
                         "The x-amz-copy-source-range value must be of the form bytes=first-last "
                         "where first and last are the zero-based offsets of the first and last "
                         "bytes to copy");
    if (last >= meta->size) {
        snprintf(text, sizeof(text), "Range specified is not valid for source object of size: %llu",
                 (unsigned long long)meta->size);
        return bad_range(call, text);
    }
    *len = last - *first + 1;
    return true;
}

static void keep_part(struct s3_call *call)
{
    struct copy *copy = call->state;
    const struct s3_meta *meta = &copy->meta;
    struct s3_part part = {.number = copy->number,
                           .size = meta->size,
                           .algorithm = meta->algorithm,
                           .modified_ms = call->now_ms};
    struct s3_upload upload = {.id = ""};

    memcpy(part.etag, meta->etag, sizeof(part.etag));
    memcpy(part.checksum, meta->checksum, sizeof(part.checksum));
    if (copy->failed) {
        s3_trouble(call);
    } else if (s3_find_upload(call, &upload)) {
        if (s3_part_put(call->store, upload.id, &part, &copy->temp)) {
            begin_answer(call, "CopyPartResult", meta);
            kpw_xml_put_close(&call->body, "CopyPartResult");
        } else {
            s3_trouble(call);
        }
        s3_upload_fini(&upload);
    }
    copy_free(copy);
}

void s3_upload_part_copy(struct s3_call *call, const struct s3_upload *upload, uint32_t number)
{
    struct copy *copy = copy_new(call);
    struct source source;

    if (!copy)
        return;
    copy->number = number;
    if (!read_source(call, &source) || !open_source(copy, &source) ||
        !choose_range(call, &copy->old.meta, &copy->first, &copy->len) ||
        !start_content(copy, upload->algorithm)) {
        copy_free(copy);
        return;
    }
    call->state = copy;
    s3_in_steps(call, copy->len, copy_content, keep_part);
}
