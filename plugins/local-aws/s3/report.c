/* report.c - S3's part of /_kpipe/state, and the names of its operations. */
#include "plugins/local-aws/s3/report.h"

#include <stdio.h>
#include <string.h>

#include "sdk/wire/uri.h"

void s3_report(struct local *local, struct kpw_buf *out)
{
    static const char *const counts[] = {"objects", "bytes", NULL};
    static const struct local_report report = {
        "buckets",
        "SELECT b.name, count(o.size), coalesce(sum(o.size), 0) FROM s3_bucket b"
        " LEFT JOIN s3_object o ON o.bucket = b.name GROUP BY b.name ORDER BY b.name",
        counts};

    local_report_rows(local, out, &report);
}

/* ---- names */

enum place { SERVICE, BUCKET, OBJECT };

/* First match wins; NULL: no parameter (or header) needed. */
static const struct name_row {
    enum place place;
    const char *method, *parameter, *name;
} rows[] = {
    {SERVICE, "GET", NULL, "ListBuckets"},
    {BUCKET, "PUT", NULL, "CreateBucket"},
    {BUCKET, "DELETE", NULL, "DeleteBucket"},
    {BUCKET, "HEAD", NULL, "HeadBucket"},
    {BUCKET, "POST", "delete", "DeleteObjects"},
    {BUCKET, "POST", NULL, "PostObject"},
    {BUCKET, "GET", "list-type", "ListObjectsV2"},
    {BUCKET, "GET", "uploads", "ListMultipartUploads"},
    {BUCKET, "GET", "versions", "ListObjectVersions"},
    {BUCKET, "GET", "location", "GetBucketLocation"},
    {BUCKET, "GET", NULL, "ListObjects"},
    {OBJECT, "PUT", "uploadId", "UploadPart"},
    {OBJECT, "PUT", "x-amz-copy-source", "CopyObject"},
    {OBJECT, "PUT", NULL, "PutObject"},
    {OBJECT, "GET", "uploadId", "ListParts"},
    {OBJECT, "GET", "attributes", "GetObjectAttributes"},
    {OBJECT, "GET", NULL, "GetObject"},
    {OBJECT, "HEAD", NULL, "HeadObject"},
    {OBJECT, "POST", "uploads", "CreateMultipartUpload"},
    {OBJECT, "POST", "uploadId", "CompleteMultipartUpload"},
    {OBJECT, "DELETE", "uploadId", "AbortMultipartUpload"},
    {OBJECT, "DELETE", NULL, "DeleteObject"},
};

/* Sub-resources whose calls are named after them: GET ?tagging is GetBucketTagging. */
static const struct sub_row {
    const char *parameter, *bucket, *object;
} subs[] = {
    {"tagging", "BucketTagging", "ObjectTagging"},
    {"acl", "BucketAcl", "ObjectAcl"},
    {"policy", "BucketPolicy", NULL},
    {"lifecycle", "BucketLifecycleConfiguration", NULL},
    {"versioning", "BucketVersioning", NULL},
    {"encryption", "BucketEncryption", NULL},
    {"cors", "BucketCors", NULL},
    {"notification", "BucketNotificationConfiguration", NULL},
    {"publicAccessBlock", "PublicAccessBlock", NULL},
    {"ownershipControls", "BucketOwnershipControls", NULL},
};

static bool has(const kp_server_request *request, const char *name)
{
    struct kpw_slice value;

    return kpw_query_find(kpw_slice(request->query.ptr, request->query.len), name, &value) ||
           local_header(request, name).len;
}

static bool is(const kp_server_request *request, const char *method)
{
    return kpw_slice_is(kpw_slice(request->method.ptr, request->method.len), method);
}

/* Is the bucket in the host, as in "bucket.s3.localhost"? */
static bool is_virtual(const kp_server_request *request)
{
    kp_slice host = local_header(request, "host");

    return host.len > 1 && (memmem(host.ptr + 1, host.len - 1, ".s3.", 4) ||
                            memmem(host.ptr + 1, host.len - 1, ".s3-", 4) ||
                            memmem(host.ptr + 1, host.len - 1, ".localhost", 10));
}

static enum place place_of(const kp_server_request *request)
{
    struct kpw_slice path = {request->path.ptr, request->path.len};
    const char *slash;

    if (path.len)
        path = kpw_slice(path.ptr + 1, path.len - 1);
    if (is_virtual(request))
        return path.len ? OBJECT : BUCKET;
    if (!path.len)
        return SERVICE;
    slash = memchr(path.ptr, '/', path.len);
    return slash && slash + 1 < path.ptr + path.len ? OBJECT : BUCKET;
}

static bool name_sub(const kp_server_request *request, enum place place,
                     struct local_target *target)
{
    const char *verb = is(request, "GET")      ? "Get"
                       : is(request, "PUT")    ? "Put"
                       : is(request, "DELETE") ? "Delete"
                                               : NULL;

    for (size_t i = 0; verb && place != SERVICE && i < sizeof subs / sizeof *subs; i++) {
        const char *what = place == BUCKET ? subs[i].bucket : subs[i].object;

        if (!what || !has(request, subs[i].parameter))
            continue;
        snprintf(target->operation, sizeof target->operation, "%s%s", verb, what);
        return true;
    }
    return false;
}

void s3_classify(const kp_server_request *request, struct local_target *target)
{
    enum place place = place_of(request);

    if (request->query.len && name_sub(request, place, target))
        return;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].place == place && is(request, rows[i].method) &&
            (!rows[i].parameter || has(request, rows[i].parameter))) {
            snprintf(target->operation, sizeof target->operation, "%s", rows[i].name);
            return;
        }
}
