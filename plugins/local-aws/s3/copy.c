/* copy.c - CopyObject and UploadPartCopy. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plugins/local-aws/s3/multipart.h"

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

static bool read_source(struct s3_call *call, struct source *source)
{
    struct kpw_slice text = s3_header(call, "x-amz-copy-source");
    const char *query = memchr(text.ptr, '?', text.len);
    struct s3_bucket bucket;
    char *slash;
    long n;

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

/* Copies `len` bytes (or up to the end) and takes their digests. */
static bool copy_content(struct s3_call *call, int from, uint64_t len, struct s3_temp *temp,
                         struct s3_meta *meta)
{
    char piece[65536];
    struct s3_sum md5 = {0}, sum = {0};
    uint8_t raw[S3_SUM_RAW_MAX];
    ssize_t n = 0;
    bool ok = s3_sum_init(&md5, S3_MD5) && s3_sum_init(&sum, meta->algorithm) &&
              s3_temp_open(call->store, temp);

    meta->size = 0;
    while (ok && meta->size < len) {
        uint64_t left = len - meta->size;

        n = read(from, piece, left < sizeof(piece) ? (size_t)left : sizeof(piece));
        if (n <= 0)
            break;
        s3_sum_add(&md5, piece, (size_t)n);
        s3_sum_add(&sum, piece, (size_t)n);
        meta->size += (uint64_t)n;
        ok = s3_temp_write(temp, piece, (size_t)n);
    }
    ok = ok && n >= 0;
    if (ok) {
        s3_sum_end(&md5, raw);
        s3_hex(raw, 16, meta->etag);
        s3_base64(raw, s3_sum_end(&sum, raw), meta->checksum);
    } else {
        s3_trouble(call);
    }
    s3_sum_fini(&md5);
    s3_sum_fini(&sum);
    return ok;
}

static bool check_self_copy(struct s3_call *call, const struct source *source, bool replaces)
{
    bool same = strcmp(source->key.bucket, call->bucket) == 0 && source->key.len == call->key_len &&
                memcmp(source->key.key, call->key_bytes, call->key_len) == 0;

    if (!same || replaces || s3_header(call, "x-amz-storage-class").ptr)
        return true;
    s3_refuse(call, "InvalidRequest",
              "This copy request is illegal because it is trying to copy an object to itself "
              "without changing the object's metadata, storage class, website redirect location or "
              "encryption attributes.",
              NULL);
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

static void answer_copy(struct s3_call *call, const struct s3_meta *meta)
{
    begin_answer(call, "CopyObjectResult", meta);
    kpw_xml_put_element_cstr(&call->body, "ChecksumType", "FULL_OBJECT");
    kpw_xml_put_close(&call->body, "CopyObjectResult");
}

void s3_copy_object(struct s3_call *call)
{
    struct source source;
    struct s3_object old = {0};
    struct s3_temp temp = {-1, ""};
    struct s3_meta meta = {.modified_ms = call->now_ms};
    struct s3_key key = s3_key(call);
    struct kpw_slice wanted = s3_header(call, "x-amz-checksum-algorithm");
    bool replaces = kpw_slice_is_nocase(s3_header(call, "x-amz-metadata-directive"), "REPLACE");
    int from = -1;

    if (!read_source(call, &source) || !check_self_copy(call, &source, replaces) ||
        !s3_may_write(call, "if-match", "if-none-match"))
        return;
    if (!s3_object_find(call->store, &source.key, &old) ||
        (from = s3_object_open(call->store, &old)) < 0) {
        s3_refuse(call, "NoSuchKey", "The specified key does not exist.", "Key", source.key.key,
                  NULL);
        goto out;
    }
    if (!check_source_conditions(call, &old.meta))
        goto out;
    meta.headers = replaces ? s3_stored_headers(call) : json_incref(old.meta.headers);
    meta.algorithm = wanted.ptr ? s3_sum_named(wanted.ptr, wanted.len) : old.meta.algorithm;
    if (meta.algorithm == S3_SUM_NONE)
        meta.algorithm = S3_CRC64NVME;
    if (!meta.headers || !copy_content(call, from, UINT64_MAX, &temp, &meta))
        goto out;
    if (s3_object_publish(call->store, &key, &temp, &meta))
        answer_copy(call, &meta);
    else
        s3_trouble(call);
out:
    if (from >= 0)
        close(from);
    s3_temp_drop(call->store, &temp);
    s3_meta_fini(&meta);
    s3_object_fini(&old);
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

static void answer_part_copy(struct s3_call *call, const struct s3_meta *meta)
{
    begin_answer(call, "CopyPartResult", meta);
    kpw_xml_put_close(&call->body, "CopyPartResult");
}

static void copy_part(struct s3_call *call, const struct s3_upload *upload, uint32_t number,
                      const struct s3_object *old)
{
    struct s3_temp temp = {-1, ""};
    struct s3_part part = {.number = number, .modified_ms = call->now_ms};
    struct s3_meta meta = {.algorithm = upload->algorithm, .modified_ms = call->now_ms};
    uint64_t first, len;
    int from = s3_object_open(call->store, old);

    if (meta.algorithm == S3_SUM_NONE)
        meta.algorithm = S3_CRC64NVME;
    if (from < 0 || !choose_range(call, &old->meta, &first, &len)) {
        if (from < 0)
            s3_trouble(call);
        goto out;
    }
    if (lseek(from, (off_t)first, SEEK_SET) < 0) {
        s3_trouble(call);
        goto out;
    }
    if (!copy_content(call, from, len, &temp, &meta))
        goto out;
    part.size = meta.size;
    part.algorithm = meta.algorithm;
    memcpy(part.etag, meta.etag, sizeof(part.etag));
    memcpy(part.checksum, meta.checksum, sizeof(part.checksum));
    if (s3_part_put(call->store, upload->id, &part, &temp))
        answer_part_copy(call, &meta);
    else
        s3_trouble(call);
out:
    if (from >= 0)
        close(from);
    s3_temp_drop(call->store, &temp);
    s3_meta_fini(&meta);
}

void s3_upload_part_copy(struct s3_call *call, const struct s3_upload *upload, uint32_t number)
{
    struct source source;
    struct s3_object old = {0};

    if (!read_source(call, &source))
        return;
    if (!s3_object_find(call->store, &source.key, &old))
        s3_refuse(call, "NoSuchKey", "The specified key does not exist.", "Key", source.key.key,
                  NULL);
    else if (check_source_conditions(call, &old.meta))
        copy_part(call, upload, number, &old);
    s3_object_fini(&old);
}
