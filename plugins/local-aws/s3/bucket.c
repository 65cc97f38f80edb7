/* bucket.c - buckets: create, find, list, delete. Their documents: documents.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/s3/document.h"
#include "plugins/local-aws/s3/receive.h"
#include "sdk/wire/base64.h"

enum { BUCKETS_MAX = 10000 };

static bool is_default_region(const char *region)
{
    return strcmp(region, "us-east-1") == 0;
}

/* A listing of buckets under way. */
struct list {
    struct s3_call *call;
    char after[64]; /* what the last page ended with; "": from the first on */
    long max, count;
    char last[64];
    bool is_truncated;
};

static bool is_wanted(const struct list *l, const struct s3_bucket *bucket)
{
    const struct s3_parameter *prefix = s3_parameter(l->call, "prefix");
    const struct s3_parameter *region = s3_parameter(l->call, "bucket-region");

    return strcmp(bucket->name, l->after) > 0 &&
           (!prefix || strncmp(bucket->name, prefix->value, prefix->len) == 0) &&
           (!region || strcmp(bucket->region, region->value) == 0);
}

static void put_bucket(void *arg, const struct s3_bucket *bucket)
{
    struct list *l = arg;
    struct kpw_buf *body = &l->call->body;
    char time[32];

    if (!is_wanted(l, bucket))
        return;
    l->is_truncated = l->count == l->max;
    if (l->is_truncated)
        return;
    l->count++;
    memcpy(l->last, bucket->name, sizeof(l->last));
    s3_iso_time(bucket->created_ms, time);
    kpw_xml_put_open(body, "Bucket", NULL);
    kpw_xml_put_element_cstr(body, "Name", bucket->name);
    kpw_xml_put_element_cstr(body, "CreationDate", time);
    kpw_xml_put_element_cstr(body, "BucketRegion", bucket->region);
    kpw_xml_put_close(body, "Bucket");
}

static bool invalid_argument(struct s3_call *call, const char *text, const char *name)
{
    const struct s3_parameter *p = s3_parameter(call, name);

    s3_refuse(call, "InvalidArgument", text, "ArgumentName", name, "ArgumentValue",
              s3_is_text(p->value, p->len) ? p->value : "", NULL);
    return false;
}

static bool read_page(struct list *l)
{
    const struct s3_parameter *max = s3_parameter(l->call, "max-buckets");
    const struct s3_parameter *token = s3_parameter(l->call, "continuation-token");
    char *end;
    size_t n = 0;

    l->max = BUCKETS_MAX;
    if (max) {
        l->max = strtol(max->value, &end, 10);
        if (max->len == 0 || *end != '\0' || l->max < 1 || l->max > BUCKETS_MAX)
            return invalid_argument(l->call,
                                    "Argument max-buckets must be an integer between 1 and 10000",
                                    "max-buckets");
    }
    if (!token)
        return true;
    if (token->len == 0 || kpw_base64_decoded_max(token->len) >= sizeof(l->after) ||
        !kpw_base64_decode_url(token->value, token->len, l->after, &n))
        return invalid_argument(l->call, "The continuation token provided is incorrect",
                                "continuation-token");
    l->after[n] = '\0';
    return true;
}

void s3_list_buckets(struct s3_call *call)
{
    const struct s3_parameter *prefix = s3_parameter(call, "prefix");
    struct list l = {.call = call};
    char token[100];

    if (!read_page(&l))
        return;
    s3_begin_xml(call, "ListAllMyBucketsResult");
    kpw_buf_puts(&call->body, "<Owner><ID>" S3_OWNER_ID "</ID></Owner><Buckets>");
    s3_bucket_each(call->store, put_bucket, &l);
    kpw_xml_put_close(&call->body, "Buckets");
    if (l.is_truncated)
        kpw_xml_put_element(&call->body, "ContinuationToken", token,
                            kpw_base64_encode_url(l.last, strlen(l.last), false, token));
    if (prefix)
        kpw_xml_put_element(&call->body, "Prefix", prefix->value, prefix->len);
    kpw_xml_put_close(&call->body, "ListAllMyBucketsResult");
}

/* The LocationConstraint of the body into `out`; false: the XML is broken. */
static bool read_constraint(struct kpw_slice body, struct kpw_buf *out)
{
    struct kpw_xml xml;
    enum kpw_xml_type type;

    kpw_xml_init(&xml, body.ptr, body.len);
    while ((type = kpw_xml_next(&xml)) != KPW_XML_END) {
        if (type == KPW_XML_ERROR)
            return false;
        if (type == KPW_XML_OPEN && kpw_slice_is(kpw_xml_local(xml.value), "LocationConstraint") &&
            !kpw_xml_text(&xml, out))
            return false;
    }
    return true;
}

static bool illegal_constraint(struct s3_call *call, const char *given)
{
    char text[200];

    snprintf(text, sizeof(text),
             "The %.60s location constraint is incompatible for the region specific endpoint this "
             "request was sent to.",
             given ? given : "unspecified");
    s3_refuse(call, "IllegalLocationConstraintException", text, NULL);
    return false;
}

static bool check_region(struct s3_call *call, const char *given)
{
    if (!given)
        return is_default_region(call->region) || illegal_constraint(call, NULL);
    if (is_default_region(given)) {
        s3_refuse(call, "InvalidLocationConstraint",
                  "The specified location-constraint is not valid", "LocationConstraint", given,
                  NULL);
        return false;
    }
    if (strcmp(given, "EU") == 0 && strcmp(call->region, "eu-west-1") == 0)
        return true; /* its name of old */
    return strcmp(given, call->region) == 0 || illegal_constraint(call, given);
}

static bool check_constraint(struct s3_call *call)
{
    struct kpw_buf region = KPW_BUF_INIT;
    struct kpw_slice body = s3_body(call);
    bool ok = s3_check_document(call, S3_IF_SENT);

    if (ok && body.len > 0 && !read_constraint(body, &region)) {
        s3_malformed_xml(call);
        ok = false;
    }
    ok = ok && check_region(call, region.len ? kpw_buf_cstr(&region) : NULL);
    kpw_buf_fini(&region);
    return ok;
}

static bool check_demands(struct s3_call *call)
{
    struct kpw_slice acl = s3_header(call, "x-amz-acl");

    if (kpw_slice_is_nocase(s3_header(call, "x-amz-bucket-object-lock-enabled"), "true")) {
        s3_not_implemented(call, "x-amz-bucket-object-lock-enabled", NULL);
        return false;
    }
    return !acl.ptr || s3_is_canned_acl(call, acl);
}

/* What headers say of a bucket beside its name is kept as its documents. */
static bool keep_headers(struct s3_call *call)
{
    struct kpw_slice acl = s3_header(call, "x-amz-acl");
    struct kpw_slice owner = s3_header(call, "x-amz-object-ownership");
    struct kpw_buf text = KPW_BUF_INIT;
    bool ok = !acl.ptr || s3_config_put(call->store, call->bucket, "acl", acl.ptr, acl.len);

    if (ok && owner.ptr) {
        kpw_buf_puts(&text, S3_OPEN_ROOT("OwnershipControls") "<Rule>");
        kpw_xml_put_element(&text, "ObjectOwnership", owner.ptr, owner.len);
        kpw_buf_puts(&text, "</Rule></OwnershipControls>");
        ok = !text.failed &&
             s3_config_put(call->store, call->bucket, "ownershipControls", text.ptr, text.len);
    }
    kpw_buf_fini(&text);
    return ok;
}

void s3_create_bucket(struct s3_call *call)
{
    struct kpw_slice host = s3_header(call, "host");
    struct s3_bucket bucket;

    if (!check_constraint(call) || !check_demands(call))
        return;
    if (s3_bucket_find(call->store, call->bucket, &bucket)) {
        if (!is_default_region(call->region)) {
            s3_refuse(call, "BucketAlreadyOwnedByYou",
                      "Your previous request to create the named bucket succeeded and you already "
                      "own it.",
                      "BucketName", call->bucket, NULL);
            return;
        }
    } else if (!s3_bucket_add(call->store, call->bucket, call->region, call->now_ms) ||
               !keep_headers(call)) {
        s3_trouble(call);
        return;
    }
    s3_ok(call, 200);
    if (is_default_region(call->region) || call->is_virtual)
        s3_add_header(call, "location", "/%s", call->bucket);
    else
        s3_add_header(call, "location", "http://%s.%.*s/", call->bucket,
                      (int)(host.len < 300 ? host.len : 300), host.ptr ? host.ptr : "");
}

void s3_head_bucket(struct s3_call *call)
{
    struct s3_bucket bucket;

    if (!s3_bucket_find(call->store, call->bucket, &bucket)) {
        s3_trouble(call);
        return;
    }
    s3_ok(call, 200);
    s3_add_header(call, "x-amz-bucket-region", "%s", bucket.region);
    s3_add_header(call, "content-type", "application/xml");
}

void s3_delete_bucket(struct s3_call *call)
{
    if (!s3_bucket_is_empty(call->store, call->bucket))
        s3_refuse(call, "BucketNotEmpty", "The bucket you tried to delete is not empty",
                  "BucketName", call->bucket, NULL);
    else if (!s3_bucket_remove(call->store, call->bucket))
        s3_trouble(call);
    else
        s3_ok(call, 204);
}
