/* services.c - the calls that find and make streams, buckets, queues and tables.
 *
 * All of them are safe to repeat: each resource is looked for first, and an answer that says it
 * exists already counts as success.
 */
#include "plugins/provision/provision.h"

#include "sdk/wire/json.h"

#include <stdlib.h>
#include <string.h>

const char *property(const kp_resource *resource, const char *name)
{
    for (size_t i = 0; i < resource->n_properties; i++)
        if (strcmp(resource->properties[i].name, name) == 0)
            return resource->properties[i].value;
    return NULL;
}

bool property_is(const kp_resource *resource, const char *name, const char *value)
{
    const char *is = property(resource, name);

    return is && strcmp(is, value) == 0;
}

long long property_number(const kp_resource *resource, const char *name, long long otherwise)
{
    const char *value = property(resource, name);

    return value && *value ? strtoll(value, NULL, 10) : otherwise;
}

void json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            fprintf(out, "\\u%04x", (unsigned)*text);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

/* The string at `path` of an answer. */
static bool json_text(kp_slice body, const char *path, char *out, size_t cap)
{
    struct kpw_slice text;

    if (kpw_json_find(kpw_slice(body.ptr, body.len), path, &text) != KPW_JSON_STRING ||
        text.len >= cap)
        return false;
    out[kpw_json_unescape_to(text, out)] = 0;
    return true;
}

static bool is(const kp_aws_response *response, const char *code)
{
    return response->error && strcmp(response->error, code) == 0;
}

static void member(FILE *out, const char *name, const char *text)
{
    json_string(out, name);
    fputc(':', out);
    json_string(out, text);
}

/* {"NAME":"the resource's name"} to an operation of a JSON protocol. */
static void named_call(const kp_resource *resource, kp_aws_request *request, FILE *body,
                       const char *service, const char *target, const char *name)
{
    request->service = service;
    request->target = target;
    fputc('{', body);
    member(body, name, resource->name);
    fputc('}', body);
}

/* A call whose success needs no further look; `exists` is the code of "there is one already". */
static enum found judge_simple(const kp_aws_response *response, const char *exists)
{
    if (!response->error || (exists && is(response, exists)))
        return FOUND_READY;
    return FOUND_ERROR;
}

/* A status at `path` of the answer: ACTIVE, or something on its way. */
static enum found judge_status(const kp_aws_response *response, const char *path)
{
    char status[32];

    if (is(response, "ResourceNotFoundException"))
        return FOUND_NOTHING;
    if (response->error)
        return FOUND_ERROR;
    if (!json_text(response->body, path, status, sizeof(status)))
        return FOUND_ERROR;
    return strcmp(status, "ACTIVE") == 0 || strcmp(status, "UPDATING") == 0 ? FOUND_READY
                                                                            : FOUND_BUSY;
}

/* ---- streams -------------------------------------------------------------------------------- */

static bool stream_probe(const kp_resource *r, const char *region, kp_aws_request *request,
                         FILE *body)
{
    (void)region;
    named_call(r, request, body, "kinesis", "Kinesis_20131202.DescribeStreamSummary", "StreamName");
    return true;
}

static enum found stream_found(const kp_aws_response *response)
{
    return judge_status(response, "$.StreamDescriptionSummary.StreamStatus");
}

static bool stream_create(const kp_resource *r, const char *region, kp_aws_request *request,
                          FILE *body)
{
    (void)region;
    request->service = "kinesis";
    request->target = "Kinesis_20131202.CreateStream";
    fputc('{', body);
    member(body, "StreamName", r->name);
    if (property_is(r, "mode", "on-demand"))
        fputs(",\"StreamModeDetails\":{\"StreamMode\":\"ON_DEMAND\"}}", body);
    else
        fprintf(body, ",\"ShardCount\":%lld}", property_number(r, "shards", 1));
    return true;
}

static enum found created(const kp_aws_response *response)
{
    return is(response, "ResourceInUseException") ? FOUND_READY : judge_simple(response, NULL);
}

#define HOUR_MS 3600000

static bool stream_retention(const kp_resource *r, const char *region, kp_aws_request *request,
                             FILE *body)
{
    long long hours = (property_number(r, "retention", 0) + HOUR_MS - 1) / HOUR_MS;

    (void)region;
    if (hours <= 24)
        return false;
    request->service = "kinesis";
    request->target = "Kinesis_20131202.IncreaseStreamRetentionPeriod";
    fputc('{', body);
    member(body, "StreamName", r->name);
    fprintf(body, ",\"RetentionPeriodHours\":%lld}", hours);
    return true;
}

static bool stream_encryption(const kp_resource *r, const char *region, kp_aws_request *request,
                              FILE *body)
{
    const char *key = property(r, "encryption");

    (void)region;
    if (!key || !*key || strcmp(key, "none") == 0)
        return false;
    request->service = "kinesis";
    request->target = "Kinesis_20131202.StartStreamEncryption";
    fputc('{', body);
    member(body, "StreamName", r->name);
    fputs(",\"EncryptionType\":\"KMS\",", body);
    member(body, "KeyId", key);
    fputc('}', body);
    return true;
}

static enum found setting_made(const kp_aws_response *response)
{
    if (is(response, "UnknownOperationException"))
        return FOUND_SKIP;
    if (is(response, "ResourceInUseException"))
        return FOUND_BUSY;
    return judge_simple(response, NULL);
}

/* ---- buckets -------------------------------------------------------------------------------- */

static char *bucket_path(const kp_resource *r)
{
    static _Thread_local char path[80]; /* names have 3 to 63 characters of [a-z0-9.-] */

    snprintf(path, sizeof(path), "/%s", r->name);
    return path;
}

static bool bucket_probe(const kp_resource *r, const char *region, kp_aws_request *request,
                         FILE *body)
{
    (void)region;
    (void)body;
    request->service = "s3";
    request->method = "HEAD";
    request->path = bucket_path(r);
    return true;
}

static enum found bucket_found(const kp_aws_response *response)
{
    return response->status == 404 ? FOUND_NOTHING : judge_simple(response, NULL);
}

static bool bucket_create(const kp_resource *r, const char *region, kp_aws_request *request,
                          FILE *body)
{
    request->service = "s3";
    request->method = "PUT";
    request->path = bucket_path(r);
    if (strcmp(region, "us-east-1") != 0)
        fprintf(body,
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                "<LocationConstraint>%s</LocationConstraint></CreateBucketConfiguration>",
                region);
    return true;
}

static enum found bucket_created(const kp_aws_response *response)
{
    return judge_simple(response, "BucketAlreadyOwnedByYou");
}

/* ---- queues --------------------------------------------------------------------------------- */

static bool queue_probe(const kp_resource *r, const char *region, kp_aws_request *request,
                        FILE *body)
{
    (void)region;
    named_call(r, request, body, "sqs", "AmazonSQS.GetQueueUrl", "QueueName");
    request->content_type = "application/x-amz-json-1.0";
    return true;
}

static enum found queue_found(const kp_aws_response *response)
{
    if (is(response, "QueueDoesNotExist") ||
        is(response, "AWS.SimpleQueueService.NonExistentQueue"))
        return FOUND_NOTHING;
    return judge_simple(response, NULL);
}

static bool queue_create(const kp_resource *r, const char *region, kp_aws_request *request,
                         FILE *body)
{
    static const struct {
        const char *property, *attribute;
    } attributes[] = {{"retention", "MessageRetentionPeriod"}, {"visibility", "VisibilityTimeout"}};
    const char *comma = "";

    (void)region;
    request->service = "sqs";
    request->target = "AmazonSQS.CreateQueue";
    request->content_type = "application/x-amz-json-1.0";
    fputc('{', body);
    member(body, "QueueName", r->name);
    fputs(",\"Attributes\":{", body);
    for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++) {
        long long ms = property_number(r, attributes[i].property, 0);

        if (ms <= 0)
            continue;
        fprintf(body, "%s\"%s\":\"%lld\"", comma, attributes[i].attribute, ms / 1000);
        comma = ",";
    }
    if (property_is(r, "fifo", "true"))
        fprintf(body, "%s\"FifoQueue\":\"true\"", comma);
    fputs("}}", body);
    return true;
}

static enum found queue_created(const kp_aws_response *response)
{
    return judge_simple(response, "QueueNameExists");
}

/* ---- the lease table ------------------------------------------------------------------------ */

static bool table_probe(const kp_resource *r, const char *region, kp_aws_request *request,
                        FILE *body)
{
    (void)region;
    named_call(r, request, body, "dynamodb", "DynamoDB_20120810.DescribeTable", "TableName");
    request->content_type = "application/x-amz-json-1.0";
    return true;
}

static enum found table_found(const kp_aws_response *response)
{
    return judge_status(response, "$.Table.TableStatus");
}

static bool table_create(const kp_resource *r, const char *region, kp_aws_request *request,
                         FILE *body)
{
    (void)region;
    request->service = "dynamodb";
    request->target = "DynamoDB_20120810.CreateTable";
    request->content_type = "application/x-amz-json-1.0";
    fputc('{', body);
    member(body, "TableName", r->name);
    fputs(",\"AttributeDefinitions\":[{\"AttributeName\":\"leaseKey\",\"AttributeType\":\"S\"}],"
          "\"KeySchema\":[{\"AttributeName\":\"leaseKey\",\"KeyType\":\"HASH\"}],"
          "\"BillingMode\":\"PAY_PER_REQUEST\"}",
          body);
    return true;
}

static const struct service services[] = {
    {
        .kind = "stream",
        .noun = "stream",
        .probe = {"kinesis:DescribeStreamSummary", stream_probe, stream_found},
        .create = {"kinesis:CreateStream", stream_create, created},
        .settings = {{"kinesis:IncreaseStreamRetentionPeriod", stream_retention, setting_made},
                     {"kinesis:StartStreamEncryption", stream_encryption, setting_made}},
    },
    {
        .kind = "bucket",
        .noun = "bucket",
        .probe = {"s3:ListBucket", bucket_probe, bucket_found},
        .create = {"s3:CreateBucket", bucket_create, bucket_created},
    },
    {
        .kind = "queue",
        .noun = "queue",
        .probe = {"sqs:GetQueueUrl", queue_probe, queue_found},
        .create = {"sqs:CreateQueue", queue_create, queue_created},
    },
    {
        .kind = "table",
        .noun = "table",
        .probe = {"dynamodb:DescribeTable", table_probe, table_found},
        .create = {"dynamodb:CreateTable", table_create, created},
    },
};

const struct service *service_of(const char *kind)
{
    for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++)
        if (strcmp(services[i].kind, kind) == 0)
            return &services[i];
    return NULL;
}
