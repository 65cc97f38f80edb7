/* route.c - which bucket, which key, which operation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/s3/call.h"
#include "plugins/local-aws/local.h"
#include "plugins/local-aws/s3/form.h"
#include "plugins/local-aws/s3/v2.h"
#include "sdk/wire/uri.h"

/* ---- bucket and key ---- */

/* Where `mark` begins in the host the last time; 0: nowhere behind a first character. */
static size_t last_mark(struct kpw_slice host, const char *mark)
{
    size_t n = strlen(mark);

    for (size_t at = host.len >= n ? host.len - n : 0; at > 0; at--)
        if (strncasecmp(host.ptr + at, mark, n) == 0)
            return at;
    return 0;
}

/* Length of the bucket name in front of a virtual-host style Host, else 0:
 * "bucket.s3.us-east-1.amazonaws.com", "bucket.s3.localhost:4566", "bucket.localhost:4566". */
static size_t bucket_in_host(struct kpw_slice host)
{
    static const char *const marks[] = {".s3.", ".s3-", ".localhost"};
    const char *port = host.len ? memchr(host.ptr, ':', host.len) : NULL;
    size_t at = 0;

    if (port)
        host.len = (size_t)(port - host.ptr);
    if (host.len >= 3 &&
        (strncasecmp(host.ptr, "s3.", 3) == 0 || strncasecmp(host.ptr, "s3-", 3) == 0))
        return 0;
    for (size_t i = 0; at == 0 && i < sizeof(marks) / sizeof(marks[0]); i++)
        at = last_mark(host, marks[i]);
    return at;
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
    call->is_virtual = in_host > 0;
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

/* A sub-resource that is not there; true: answered. */
static bool is_missing(struct s3_call *call, const char *const names[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (has(call, names[i])) {
            s3_not_implemented(call, names[i], NULL);
            return true;
        }
    return false;
}

/* Are all parameters of the kind that says nothing of what is asked for? */
static bool is_plain(const struct s3_call *call)
{
    for (size_t i = 0; i < call->n_parameters; i++) {
        const char *name = call->parameters[i].name;

        if (strncasecmp(name, "x-amz-", 6) != 0 && strcmp(name, "x-id") != 0)
            return false;
    }
    return true;
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

/* Whoever expects another owner must not read or write here. */
static bool is_expected_owner(struct s3_call *call)
{
    static const char *const names[] = {"x-amz-expected-bucket-owner",
                                        "x-amz-source-expected-bucket-owner"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct kpw_slice owner = s3_header_or_parameter(call, names[i]);

        if (owner.ptr && !kpw_slice_is(owner, call->account)) {
            s3_refuse(call, "AccessDenied", "Access Denied", NULL);
            return false;
        }
    }
    return true;
}

/* False: answered. */
static bool find_bucket(struct s3_call *call)
{
    struct s3_bucket bucket;

    if (s3_bucket_find(call->store, call->bucket, &bucket))
        return is_expected_owner(call);
    s3_no_such_bucket(call);
    return false;
}

static void route_bucket_post(struct s3_call *call)
{
    if (has(call, "delete"))
        s3_delete_objects(call);
    else if (s3_is_form(call->request))
        s3_post_form(call);
    else
        s3_not_allowed(call, "BUCKET");
}

static void route_bucket(struct s3_call *call)
{
    static const char *const missing[] = {"inventory",
                                          "analytics",
                                          "metrics",
                                          "intelligent-tiering",
                                          "session",
                                          "metadataTable",
                                          "metadataConfiguration",
                                          "abac"};

    if (is(call, "PUT") && is_plain(call)) {
        s3_create_bucket(call);
        return;
    }
    if (!find_bucket(call))
        return;
    if (is_missing(call, missing, sizeof(missing) / sizeof(missing[0])) || s3_bucket_document(call))
        return;
    if (is(call, "HEAD"))
        s3_head_bucket(call);
    else if (is(call, "DELETE"))
        s3_delete_bucket(call);
    else if (is(call, "GET"))
        route_bucket_get(call);
    else if (is(call, "POST"))
        route_bucket_post(call);
    else
        s3_not_allowed(call, "BUCKET");
}

static void route_object_put(struct s3_call *call)
{
    if (has(call, "uploadId"))
        s3_upload_part(call);
    else if (s3_header_or_parameter(call, "x-amz-copy-source").ptr)
        s3_copy_object(call);
    else
        s3_put_object(call);
}

/* First match wins; NULL: any method or no parameter needed. */
static const struct object_route {
    const char *method, *parameter;
    void (*run)(struct s3_call *);
} object_routes[] = {
    {"GET", "tagging", s3_object_tagging},
    {"PUT", "tagging", s3_object_tagging},
    {"DELETE", "tagging", s3_object_tagging},
    {"GET", "acl", s3_object_acl},
    {"PUT", "acl", s3_object_acl},
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
    static const char *const missing[] = {"retention", "legal-hold", "torrent",
                                          "restore",   "select",     "renameObject"};

    if (!find_bucket(call) || is_missing(call, missing, sizeof(missing) / sizeof(missing[0])))
        return;
    for (size_t i = 0; i < sizeof(object_routes) / sizeof(object_routes[0]); i++) {
        const struct object_route *route = &object_routes[i];

        if ((route->method && !is(call, route->method)) ||
            (route->parameter && !has(call, route->parameter)))
            continue;
        route->run(call);
        return;
    }
    s3_not_allowed(call, "OBJECT");
}

/* auth.c has let through what brings a proof of its own: a form is proven by post.c, and nothing
 * else than an upload may come of it. False: answered. */
static bool is_proven(struct s3_call *call)
{
    bool is_upload = call->key_len == 0 && call->bucket[0] && is_plain(call);

    if (!call->local->verify_signatures)
        return s3_check_expiry(call);
    if (!s3_proves_itself(call->request))
        return true;
    if (!s3_is_form(call->request))
        return s3_check_v2(call);
    if (is_upload)
        return true;
    s3_refuse(call, "AccessDenied", "Access Denied", NULL);
    return false;
}

void s3_route(struct s3_call *call)
{
    if (!s3_store_settle(call->store)) {
        s3_trouble(call);
        return;
    }
    if (!read_path(call) || !read_query(call) || !is_proven(call))
        return;
    if (call->bucket[0] == '\0' && is(call, "GET"))
        s3_list_buckets(call);
    else if (call->bucket[0] == '\0')
        s3_not_allowed(call, "SERVICE");
    else if (call->key_len == 0)
        route_bucket(call);
    else
        route_object(call);
}
