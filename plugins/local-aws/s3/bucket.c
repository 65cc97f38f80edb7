/* bucket.c - buckets and the documents kept for them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/s3/call.h"

#define OWNER_ID "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a"

static bool is_default_region(const char *region)
{
    return strcmp(region, "us-east-1") == 0;
}

static void put_bucket(void *arg, const struct s3_bucket *bucket)
{
    struct s3_call *call = arg;
    const struct s3_parameter *prefix = s3_parameter(call, "prefix");
    char time[32];

    if (prefix && strncmp(bucket->name, prefix->value, prefix->len) != 0)
        return;
    s3_iso_time(bucket->created_ms, time);
    kpw_xml_put_open(&call->body, "Bucket", NULL);
    kpw_xml_put_element_cstr(&call->body, "Name", bucket->name);
    kpw_xml_put_element_cstr(&call->body, "CreationDate", time);
    kpw_xml_put_element_cstr(&call->body, "BucketRegion", bucket->region);
    kpw_xml_put_close(&call->body, "Bucket");
}

void s3_list_buckets(struct s3_call *call)
{
    s3_begin_xml(call, "ListAllMyBucketsResult");
    kpw_buf_puts(&call->body, "<Owner><ID>" OWNER_ID "</ID></Owner><Buckets>");
    s3_bucket_each(call->store, put_bucket, call);
    kpw_buf_puts(&call->body, "</Buckets></ListAllMyBucketsResult>");
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

static bool check_constraint(struct s3_call *call)
{
    struct kpw_buf region = KPW_BUF_INIT;
    struct kpw_slice body = s3_body(call);
    const char *given;
    char text[200];
    bool ok = true;

    if (body.len > 0 && !read_constraint(body, &region)) {
        s3_refuse(call, "MalformedXML",
                  "The XML you provided was not well-formed or did not validate against our "
                  "published schema",
                  NULL);
        ok = false;
    }
    given = region.len ? kpw_buf_cstr(&region) : NULL;
    if (ok && (given ? strcmp(given, call->region) != 0 : !is_default_region(call->region))) {
        snprintf(text, sizeof(text),
                 "The %.60s location constraint is incompatible for the region specific endpoint "
                 "this request was sent to.",
                 given ? given : "unspecified");
        s3_refuse(call, "IllegalLocationConstraintException", text, NULL);
        ok = false;
    }
    kpw_buf_fini(&region);
    return ok;
}

void s3_create_bucket(struct s3_call *call)
{
    struct s3_bucket bucket;

    if (!check_constraint(call))
        return;
    if (s3_bucket_find(call->store, call->bucket, &bucket)) {
        if (!is_default_region(call->region)) {
            s3_refuse(call, "BucketAlreadyOwnedByYou",
                      "Your previous request to create the named bucket succeeded and you already "
                      "own it.",
                      "BucketName", call->bucket, NULL);
            return;
        }
    } else if (!s3_bucket_add(call->store, call->bucket, call->region, call->now_ms)) {
        s3_trouble(call);
        return;
    }
    s3_ok(call, 200);
    s3_add_header(call, "location", "/%s", call->bucket);
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

/* ---- documents ---- */

#define OPEN_ROOT(name) "<" name " xmlns=\"" S3_NAMESPACE "\">"
#define EMPTY(name)     OPEN_ROOT(name) "</" name ">"

/* What GET answers when nothing was put: a document, or an error. */
static const struct config {
    const char *name, *document; /* NULL: error */
    const char *code, *message;
} configs[] = {
    {"versioning", EMPTY("VersioningConfiguration"), NULL, NULL},
    {"encryption",
     OPEN_ROOT("ServerSideEncryptionConfiguration") "<Rule><ApplyServerSideEncryptionByDefault>"
                                                    "<SSEAlgorithm>AES256</SSEAlgorithm>"
                                                    "</ApplyServerSideEncryptionByDefault>"
                                                    "<BucketKeyEnabled>false</BucketKeyEnabled>"
                                                    "</Rule></ServerSideEncryptionConfiguration>",
     NULL, NULL},
    {"acl",
     OPEN_ROOT("AccessControlPolicy") "<Owner><ID>" OWNER_ID
                                      "</ID></Owner><AccessControlList><Grant><Grantee "
                                      "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
                                      "xsi:type=\"CanonicalUser\"><ID>" OWNER_ID
                                      "</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant>"
                                      "</AccessControlList></AccessControlPolicy>",
     NULL, NULL},
    {"notification", EMPTY("NotificationConfiguration"), NULL, NULL},
    {"logging", EMPTY("BucketLoggingStatus"), NULL, NULL},
    {"accelerate", EMPTY("AccelerateConfiguration"), NULL, NULL},
    {"requestPayment",
     OPEN_ROOT("RequestPaymentConfiguration") "<Payer>BucketOwner</Payer>"
                                              "</RequestPaymentConfiguration>",
     NULL, NULL},
    {"policy", NULL, "NoSuchBucketPolicy", "The bucket policy does not exist"},
    {"policyStatus", NULL, "NoSuchBucketPolicy", "The bucket policy does not exist"},
    {"lifecycle", NULL, "NoSuchLifecycleConfiguration",
     "The lifecycle configuration does not exist"},
    {"tagging", NULL, "NoSuchTagSet", "The TagSet does not exist"},
    {"cors", NULL, "NoSuchCORSConfiguration", "The CORS configuration does not exist"},
    {"publicAccessBlock", NULL, "NoSuchPublicAccessBlockConfiguration",
     "The public access block configuration was not found"},
    {"object-lock", NULL, "ObjectLockConfigurationNotFoundError",
     "Object Lock configuration does not exist for this bucket"},
    {"ownershipControls", NULL, "OwnershipControlsNotFoundError",
     "The bucket ownership controls were not found"},
    {"replication", NULL, "ReplicationConfigurationNotFoundError",
     "The replication configuration was not found"},
    {"website", NULL, "NoSuchWebsiteConfiguration",
     "The specified bucket does not have a website configuration"},
};

static void get_location(struct s3_call *call)
{
    struct s3_bucket bucket;

    s3_begin_xml(call, "LocationConstraint");
    if (s3_bucket_find(call->store, call->bucket, &bucket) && !is_default_region(bucket.region))
        kpw_xml_put_text(&call->body, bucket.region, strlen(bucket.region));
    kpw_xml_put_close(&call->body, "LocationConstraint");
}

static void get_config(struct s3_call *call, const struct config *config)
{
    char *stored = s3_config_get(call->store, call->bucket, config->name);
    const char *text = stored ? stored : config->document;

    if (text) {
        s3_ok(call, 200);
        s3_add_header(call, "content-type", "%s",
                      text[0] == '{' ? "application/json" : "application/xml");
        kpw_buf_puts(&call->body, text);
    } else {
        s3_refuse(call, config->code, config->message, "BucketName", call->bucket, NULL);
    }
    free(stored);
}

static void put_config(struct s3_call *call, const struct config *config)
{
    struct kpw_slice body = s3_body(call);
    bool is_policy = strcmp(config->name, "policy") == 0;

    if (is_policy && (body.len == 0 || body.ptr[0] != '{')) {
        s3_refuse(call, "MalformedPolicy",
                  "Policies must be valid JSON and the first byte must be '{'", NULL);
        return;
    }
    if (!s3_is_text(body.ptr, body.len)) {
        s3_refuse(call, "MalformedXML",
                  "The XML you provided was not well-formed or did not validate against our "
                  "published schema",
                  NULL);
        return;
    }
    if (s3_config_put(call->store, call->bucket, config->name, body.ptr, body.len))
        s3_ok(call, is_policy ? 204 : 200);
    else
        s3_trouble(call);
}

void s3_bucket_config(struct s3_call *call, const char *name)
{
    struct kpw_slice method = kpw_slice(call->request->method.ptr, call->request->method.len);

    if (strcmp(name, "location") == 0) {
        get_location(call);
        return;
    }
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
        if (strcmp(configs[i].name, name) != 0)
            continue;
        if (kpw_slice_is(method, "PUT"))
            put_config(call, &configs[i]);
        else if (kpw_slice_is(method, "DELETE") &&
                 s3_config_remove(call->store, call->bucket, name))
            s3_ok(call, 204);
        else if (kpw_slice_is(method, "DELETE"))
            s3_trouble(call);
        else
            get_config(call, &configs[i]);
        return;
    }
}
