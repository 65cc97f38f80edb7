/* documents.c - what is kept for a bucket as it was put, and what GET tells when nothing was.
 *
 * Nothing acts on the documents: rules do not expire objects, policies allow all. A document that
 * would make a promise about contents (versions, locks, replication) is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/s3/document.h"
#include "plugins/local-aws/s3/receive.h"
#include "plugins/local-aws/s3/tags.h"

#define EMPTY(name) S3_OPEN_ROOT(name) "</" name ">"

/* What a kind of document can do. */
struct kind {
    const char *name, *root;
    const char *document;                /* GET without a PUT; NULL: an error */
    const char *code, *message;          /* the error */
    bool (*check)(struct s3_call *call); /* beside being XML of that root; NULL: all is fine */
    bool may_delete;
};

/* ---- checks */

bool s3_check_xml(struct s3_call *call, const char *root)
{
    struct kpw_slice body = s3_body(call);
    enum kpw_xml_type type;
    struct kpw_xml xml;
    bool ok;

    kpw_xml_init(&xml, body.ptr ? body.ptr : "", body.len);
    type = kpw_xml_next(&xml);
    ok = type == KPW_XML_OPEN && kpw_slice_is(kpw_xml_local(xml.value), root) &&
         s3_is_text(body.ptr, body.len);
    while (ok && type != KPW_XML_END) {
        type = kpw_xml_next(&xml);
        ok = type != KPW_XML_ERROR;
    }
    if (!ok)
        s3_malformed_xml(call);
    return ok;
}

/* Contents have no versions here: "Suspended" says no more than that. */
static bool check_versioning(struct s3_call *call)
{
    struct kpw_buf status = KPW_BUF_INIT;
    bool found = kpw_xml_find(s3_body(call), "VersioningConfiguration/Status", &status);
    bool is_off = found && kpw_slice_is(kpw_buf_slice(&status), "Suspended");

    if (!found)
        s3_refuse(call, "IllegalVersioningConfigurationException",
                  "The Versioning element must be specified", NULL);
    else if (kpw_slice_is(kpw_buf_slice(&status), "Enabled"))
        s3_refuse(call, "NotImplemented",
                  "Versioning is not implemented by the local AWS: a bucket keeps one version of "
                  "each object",
                  "Header", "versioning", NULL);
    else if (!is_off)
        s3_malformed_xml(call);
    kpw_buf_fini(&status);
    return is_off;
}

static bool check_tagging(struct s3_call *call)
{
    struct kpw_buf tags = KPW_BUF_INIT;
    bool ok = s3_tags_read(call, S3_BUCKET_TAGS_MAX, &tags);

    kpw_buf_fini(&tags);
    return ok;
}

static bool refuse_replication(struct s3_call *call)
{
    s3_refuse(call, "InvalidRequest",
              "Versioning must be 'Enabled' on the bucket to apply a replication configuration",
              NULL);
    return false;
}

static bool refuse_lock(struct s3_call *call)
{
    s3_refuse(call, "InvalidBucketState",
              "Object Lock configuration cannot be enabled on existing buckets", NULL);
    return false;
}

static bool malformed_policy(struct s3_call *call, const char *text)
{
    s3_refuse(call, "MalformedPolicy", text, NULL);
    return false;
}

static bool check_policy(struct s3_call *call)
{
    struct kpw_slice body = s3_body(call);
    json_t *policy =
        body.len > 0 && body.ptr[0] == '{' ? json_loadb(body.ptr, body.len, 0, NULL) : NULL;
    bool ok = true;

    if (!policy)
        ok = malformed_policy(call, "Policies must be valid JSON and the first byte must be '{'");
    else if (!json_object_get(policy, "Statement"))
        ok = malformed_policy(call, "Missing required field Statement");
    json_decref(policy);
    return ok;
}

/* ---- kinds */

static const struct kind kinds[] = {
    {"versioning", "VersioningConfiguration", EMPTY("VersioningConfiguration"), NULL, NULL,
     check_versioning, false},
    {"policy", NULL, NULL, "NoSuchBucketPolicy", "The bucket policy does not exist", check_policy,
     true},
    {"lifecycle", "LifecycleConfiguration", NULL, "NoSuchLifecycleConfiguration",
     "The lifecycle configuration does not exist", NULL, true},
    {"encryption", "ServerSideEncryptionConfiguration",
     S3_OPEN_ROOT(
         "ServerSideEncryptionConfiguration") "<Rule><ApplyServerSideEncryptionByDefault>"
                                              "<SSEAlgorithm>AES256</SSEAlgorithm>"
                                              "</ApplyServerSideEncryptionByDefault>"
                                              "<BucketKeyEnabled>false</BucketKeyEnabled>"
                                              "</Rule></ServerSideEncryptionConfiguration>",
     NULL, NULL, NULL, true},
    {"tagging", "Tagging", NULL, "NoSuchTagSet", "The TagSet does not exist", check_tagging, true},
    {"cors", "CORSConfiguration", NULL, "NoSuchCORSConfiguration",
     "The CORS configuration does not exist", NULL, true},
    {"notification", "NotificationConfiguration", EMPTY("NotificationConfiguration"), NULL, NULL,
     NULL, false},
    {"logging", "BucketLoggingStatus", EMPTY("BucketLoggingStatus"), NULL, NULL, NULL, false},
    {"website", "WebsiteConfiguration", NULL, "NoSuchWebsiteConfiguration",
     "The specified bucket does not have a website configuration", NULL, true},
    {"replication", "ReplicationConfiguration", NULL, "ReplicationConfigurationNotFoundError",
     "The replication configuration was not found", refuse_replication, true},
    {"accelerate", "AccelerateConfiguration", EMPTY("AccelerateConfiguration"), NULL, NULL, NULL,
     false},
    {"requestPayment", "RequestPaymentConfiguration",
     S3_OPEN_ROOT("RequestPaymentConfiguration") "<Payer>BucketOwner</Payer>"
                                                 "</RequestPaymentConfiguration>",
     NULL, NULL, NULL, false},
    {"publicAccessBlock", "PublicAccessBlockConfiguration", NULL,
     "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found",
     NULL, true},
    {"ownershipControls", "OwnershipControls", NULL, "OwnershipControlsNotFoundError",
     "The bucket ownership controls were not found", NULL, true},
    {"object-lock", "ObjectLockConfiguration", NULL, "ObjectLockConfigurationNotFoundError",
     "Object Lock configuration does not exist for this bucket", refuse_lock, false},
};

/* ---- what is done with them */

static void get(struct s3_call *call, const struct kind *kind)
{
    char *stored = s3_config_get(call->store, call->bucket, kind->name);
    const char *text = stored ? stored : kind->document;

    if (text) {
        s3_ok(call, 200);
        s3_add_header(call, "content-type", "%s",
                      text[0] == '{' ? "application/json" : "application/xml");
        kpw_buf_puts(&call->body, text);
    } else {
        s3_refuse(call, kind->code, kind->message, "BucketName", call->bucket, NULL);
    }
    free(stored);
}

static void put(struct s3_call *call, const struct kind *kind)
{
    struct kpw_slice body = s3_body(call);

    if (!s3_check_document(call, S3_IF_SENT) || (kind->root && !s3_check_xml(call, kind->root)) ||
        (kind->check && !kind->check(call)))
        return;
    if (s3_config_put(call->store, call->bucket, kind->name, body.ptr, body.len))
        s3_ok(call, kind->root ? 200 : 204);
    else
        s3_trouble(call);
}

static void drop(struct s3_call *call, const struct kind *kind)
{
    if (s3_config_remove(call->store, call->bucket, kind->name))
        s3_ok(call, 204);
    else
        s3_trouble(call);
}

static void serve(struct s3_call *call, const struct kind *kind, struct kpw_slice method)
{
    if (kpw_slice_is(method, "GET"))
        get(call, kind);
    else if (kpw_slice_is(method, "PUT"))
        put(call, kind);
    else if (kpw_slice_is(method, "DELETE") && kind->may_delete)
        drop(call, kind);
    else
        s3_not_allowed(call, "BUCKET");
}

/* ---- kinds of their own */

static void serve_location(struct s3_call *call)
{
    struct s3_bucket bucket;

    s3_begin_xml(call, "LocationConstraint");
    if (s3_bucket_find(call->store, call->bucket, &bucket) &&
        strcmp(bucket.region, "us-east-1") != 0)
        kpw_xml_put_text(&call->body, bucket.region, strlen(bucket.region));
    kpw_xml_put_close(&call->body, "LocationConstraint");
}

static void serve_acl(struct s3_call *call, struct kpw_slice method)
{
    char *acl;

    if (kpw_slice_is(method, "PUT")) {
        acl = s3_read_acl(call);
        if (acl && s3_config_put(call->store, call->bucket, "acl", acl, strlen(acl)))
            s3_ok(call, 200);
        else if (acl)
            s3_trouble(call);
    } else {
        acl = s3_config_get(call->store, call->bucket, "acl");
        s3_answer_acl(call, acl ? acl : "");
    }
    free(acl);
}

/* Somebody is allowed something without a condition, and it is everybody. */
static bool is_public(const json_t *statement)
{
    const json_t *who = json_object_get(statement, "Principal");
    const char *effect = json_string_value(json_object_get(statement, "Effect"));
    const char *name = json_string_value(json_is_object(who) ? json_object_get(who, "AWS") : who);

    return effect && strcmp(effect, "Allow") == 0 && name && strcmp(name, "*") == 0 &&
           !json_object_get(statement, "Condition");
}

static void serve_policy_status(struct s3_call *call)
{
    char *text = s3_config_get(call->store, call->bucket, "policy");
    json_t *policy = text ? json_loads(text, 0, NULL) : NULL;
    const json_t *statements = json_object_get(policy, "Statement");
    bool open = is_public(statements);

    for (size_t i = 0; i < json_array_size(statements); i++)
        open = open || is_public(json_array_get(statements, i));
    if (text) {
        s3_begin_xml(call, "PolicyStatus");
        kpw_xml_put_element_cstr(&call->body, "IsPublic", open ? "TRUE" : "FALSE");
        kpw_xml_put_close(&call->body, "PolicyStatus");
    } else {
        s3_refuse(call, "NoSuchBucketPolicy", "The bucket policy does not exist", "BucketName",
                  call->bucket, NULL);
    }
    json_decref(policy);
    free(text);
}

bool s3_bucket_document(struct s3_call *call)
{
    struct kpw_slice method = kpw_slice(call->request->method.ptr, call->request->method.len);

    if (s3_parameter(call, "location"))
        serve_location(call);
    else if (s3_parameter(call, "acl"))
        serve_acl(call, method);
    else if (s3_parameter(call, "policyStatus"))
        serve_policy_status(call);
    else
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
            if (s3_parameter(call, kinds[i].name)) {
                serve(call, &kinds[i], method);
                return true;
            }
    return call->status != 0;
}
