/* route.c - which bucket, which key, which operation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/s3/call.h"
#include "sdk/wire/uri.h"

/* ---- bucket and key ---- */

/* Length of the bucket name in front of a virtual-host style Host, else 0. */
static size_t bucket_in_host(struct kpw_slice host)
{
    static const char *const marks[] = {".s3.", ".s3-", ".localhost"};
    size_t best = 0;

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        size_t n = strlen(marks[i]);

        for (size_t at = 1; at + n <= host.len && best == 0; at++)
            if (strncasecmp(host.ptr + at, marks[i], n) == 0)
                best = at;
    }
    return best;
}

static bool bad_uri(struct s3_call *call)
{
    s3_refuse(call, "InvalidURI", "Couldn't parse the specified URI.", NULL);
    return false;
}

static bool set_bucket(struct s3_call *call, const char *text, size_t len)
{
    char name[256];
    long n = s3_decode(text, len < 240 ? len : 240, name, sizeof(name));

    if (n < 0)
        return bad_uri(call);
    if (len >= 240 || !s3_is_bucket_name(name, (size_t)n)) {
        s3_refuse(call, "InvalidBucketName", "The specified bucket is not valid.", "BucketName",
                  s3_is_text(name, (size_t)n) ? name : "", NULL);
        return false;
    }
    memcpy(call->bucket, name, (size_t)n + 1);
    return true;
}

static bool set_key(struct s3_call *call, const char *text, size_t len)
{
    char key[3 * S3_KEY_MAX + 2];
    char size[24];
    long n = s3_decode(text, len, key, sizeof(key));

    if (n < 0 && len < sizeof(key))
        return bad_uri(call);
    if (n < 0 || n > S3_KEY_MAX) {
        snprintf(size, sizeof(size), "%ld", n < 0 ? (long)len : n);
        s3_refuse(call, "KeyTooLongError", "Your key is too long", "Size", size, "MaxSizeAllowed",
                  "1024", NULL);
        return false;
    }
    if (!s3_is_text(key, (size_t)n))
        return bad_uri(call);
    memcpy(call->key_bytes, key, (size_t)n + 1);
    call->key_len = (size_t)n;
    return true;
}

static bool read_path(struct s3_call *call)
{
    struct kpw_slice path = kpw_slice(call->request->path.ptr, call->request->path.len);
    struct kpw_slice host = s3_header(call, "host");
    size_t in_host = bucket_in_host(host);
    const char *slash;

    if (path.len == 0 || path.ptr[0] != '/')
        return bad_uri(call);
    path.ptr++;
    path.len--;
    if (in_host > 0)
        return set_bucket(call, host.ptr, in_host) && set_key(call, path.ptr, path.len);
    if (path.len == 0)
        return true;
    slash = memchr(path.ptr, '/', path.len);
    if (!slash)
        return set_bucket(call, path.ptr, path.len);
    return set_bucket(call, path.ptr, (size_t)(slash - path.ptr)) &&
           set_key(call, slash + 1, path.len - (size_t)(slash - path.ptr) - 1);
}

/* ---- parameters ---- */

static bool add_parameter(struct s3_call *call, const struct kpw_query *q, char **room, size_t left)
{
    struct s3_parameter *p = &call->parameters[call->n_parameters];
    long n = s3_decode_query(q->name.ptr, q->name.len, *room, left), m;

    if (n < 0 || call->n_parameters == S3_PARAMETERS_MAX)
        return false;
    p->name = *room;
    *room += n + 1;
    m = s3_decode_query(q->value.ptr, q->value.len, *room, left - (size_t)n - 1);
    if (m < 0)
        return false;
    p->value = *room;
    p->len = (size_t)m;
    *room += m + 1;
    call->n_parameters++;
    return true;
}

static bool read_query(struct s3_call *call)
{
    struct kpw_slice text = kpw_slice(call->request->query.ptr, call->request->query.len);
    size_t size = text.len + 2 * S3_PARAMETERS_MAX + 4;
    struct kpw_query q;
    char *room;

    if (text.len == 0)
        return true;
    room = call->texts = malloc(size);
    if (!room) {
        s3_trouble(call);
        return false;
    }
    kpw_query_init(&q, text);
    while (kpw_query_next(&q))
        if (!add_parameter(call, &q, &room, size - (size_t)(room - call->texts)))
            return bad_uri(call);
    return true;
}

/* ---- operations ---- */

static bool is(const struct s3_call *call, const char *method)
{
    return kpw_slice_is(kpw_slice(call->request->method.ptr, call->request->method.len), method);
}

static bool has(const struct s3_call *call, const char *parameter)
{
    return s3_parameter(call, parameter) != NULL;
}

static void not_allowed(struct s3_call *call, const char *what)
{
    char method[24];

    snprintf(method, sizeof(method), "%.*s",
             (int)(call->request->method.len < 20 ? call->request->method.len : 20),
             call->request->method.ptr);
    s3_refuse(call, "MethodNotAllowed",
              "The specified method is not allowed against this resource.", "Method", method,
              "ResourceType", what, NULL);
}

/* Sub-resources of a bucket that are kept as they are put. */
static const char *config_named(const struct s3_call *call)
{
    static const char *const names[] = {
        "versioning",  "policy",      "lifecycle",      "encryption",        "tagging",
        "acl",         "cors",        "notification",   "logging",           "website",
        "replication", "accelerate",  "requestPayment", "publicAccessBlock", "ownershipControls",
        "object-lock", "policyStatus"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (has(call, names[i]))
            return names[i];
    return NULL;
}

static void route_bucket_get(struct s3_call *call)
{
    if (has(call, "uploads"))
        s3_list_uploads(call);
    else if (has(call, "versions"))
        s3_list_versions(call);
    else
        s3_list_objects(call, has(call, "list-type"));
}

static void route_bucket(struct s3_call *call)
{
    struct s3_bucket bucket;
    const char *config = config_named(call);

    if (is(call, "PUT") && !config) {
        s3_create_bucket(call);
        return;
    }
    if (!s3_bucket_find(call->store, call->bucket, &bucket)) {
        s3_refuse(call, "NoSuchBucket", "The specified bucket does not exist", "BucketName",
                  call->bucket, NULL);
        return;
    }
    if (has(call, "location") || config)
        s3_bucket_config(call, config ? config : "location");
    else if (is(call, "HEAD"))
        s3_head_bucket(call);
    else if (is(call, "DELETE"))
        s3_delete_bucket(call);
    else if (is(call, "GET"))
        route_bucket_get(call);
    else if (is(call, "POST") && has(call, "delete"))
        s3_delete_objects(call);
    else
        not_allowed(call, "BUCKET");
}

static void route_object_put(struct s3_call *call)
{
    if (has(call, "uploadId"))
        s3_upload_part(call);
    else if (s3_header(call, "x-amz-copy-source").ptr)
        s3_copy_object(call);
    else
        s3_put_object(call);
}

/* Sub-resources of an object that are not there. */
static bool is_missing_feature(const struct s3_call *call)
{
    static const char *const names[] = {"acl",     "retention", "legal-hold",
                                        "torrent", "restore",   "select"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (has(call, names[i]))
            return true;
    return false;
}

/* First match wins; NULL: any method or no parameter needed. */
static const struct object_route {
    const char *method, *parameter;
    void (*run)(struct s3_call *);
} object_routes[] = {
    {NULL, "tagging", s3_object_tagging},
    {"PUT", NULL, route_object_put},
    {"GET", "uploadId", s3_list_parts},
    {"GET", "attributes", s3_get_attributes},
    {"GET", NULL, s3_get_object},
    {"HEAD", NULL, s3_get_object},
    {"POST", "uploads", s3_create_upload},
    {"POST", "uploadId", s3_complete_upload},
    {"DELETE", "uploadId", s3_abort_upload},
    {"DELETE", NULL, s3_delete_object},
};

static void route_object(struct s3_call *call)
{
    struct s3_bucket bucket;

    if (!s3_bucket_find(call->store, call->bucket, &bucket)) {
        s3_refuse(call, "NoSuchBucket", "The specified bucket does not exist", "BucketName",
                  call->bucket, NULL);
        return;
    }
    if (is_missing_feature(call)) {
        s3_refuse(call, "NotImplemented",
                  "A header you provided implies functionality that is not implemented", NULL);
        return;
    }
    for (size_t i = 0; i < sizeof(object_routes) / sizeof(object_routes[0]); i++) {
        const struct object_route *route = &object_routes[i];

        if ((route->method && !is(call, route->method)) ||
            (route->parameter && !has(call, route->parameter)))
            continue;
        route->run(call);
        return;
    }
    not_allowed(call, "OBJECT");
}

void s3_route(struct s3_call *call)
{
    if (!read_path(call) || !read_query(call))
        return;
    if (call->bucket[0] == '\0' && is(call, "GET"))
        s3_list_buckets(call);
    else if (call->bucket[0] == '\0')
        not_allowed(call, "SERVICE");
    else if (call->key_len == 0)
        route_bucket(call);
    else
        route_object(call);
    if (call->body.failed)
        s3_trouble(call);
}
