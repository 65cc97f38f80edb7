/* synth.c - a CloudFormation template of the resources, with the properties of the AWS solution:
 * encrypted streams, private and encrypted buckets that survive the stack, encrypted queues.
 *
 * Logical ids are the kind and the name without what CloudFormation does not allow, and a number
 * when two would be equal.
 */
#include "plugins/provision/provision.h"

#include <ctype.h>
#include <string.h>

#define ID_MAX  200
#define HOUR_MS 3600000

/* "stream", "taxi-trips" gives "StreamTaxiTrips". */
static void logical_id(const kp_resource *r, char *out)
{
    bool upper = true;
    size_t n = 0;

    for (const char *parts[] = {r->kind, "-", r->name, NULL}, **part = parts; *part; part++) {
        for (const char *p = *part; *p && n < ID_MAX - 8; p++) {
            if (isalnum((unsigned char)*p))
                out[n++] = upper ? (char)toupper((unsigned char)*p) : *p;
            upper = !isalnum((unsigned char)*p);
        }
    }
    out[n] = 0;
}

/* The id of resource i: made different from those before it. */
static void unique_id(const kp_resource *const *resources, size_t i, char *out)
{
    char other[ID_MAX];
    unsigned same = 0;

    logical_id(resources[i], out);
    for (size_t k = 0; k < i; k++) {
        logical_id(resources[k], other);
        same += strcmp(other, out) == 0;
    }
    if (same)
        snprintf(out + strlen(out), 8, "%u", same + 1);
}

static void put(FILE *out, const char *name, const char *value)
{
    fprintf(out, "        \"%s\": ", name);
    json_string(out, value);
}

static void stream(FILE *out, const kp_resource *r)
{
    const char *key = property(r, "encryption");
    long long hours = (property_number(r, "retention", 24LL * HOUR_MS) + HOUR_MS - 1) / HOUR_MS;

    put(out, "Name", r->name);
    if (property_is(r, "mode", "on-demand"))
        fputs(",\n        \"StreamModeDetails\": {\"StreamMode\": \"ON_DEMAND\"}", out);
    else
        fprintf(out, ",\n        \"ShardCount\": %lld", property_number(r, "shards", 1));
    fprintf(out, ",\n        \"RetentionPeriodHours\": %lld", hours < 24 ? 24 : hours);
    if (key && strcmp(key, "none") == 0)
        return;
    fputs(",\n        \"StreamEncryption\": {\"EncryptionType\": \"KMS\", \"KeyId\": ", out);
    json_string(out, key && *key ? key : "alias/aws/kinesis");
    fputs("}", out);
}

static void bucket(FILE *out, const kp_resource *r)
{
    put(out, "BucketName", r->name);
    fputs(",\n        \"BucketEncryption\": {\"ServerSideEncryptionConfiguration\": "
          "[{\"ServerSideEncryptionByDefault\": {\"SSEAlgorithm\": \"AES256\"}}]},\n"
          "        \"PublicAccessBlockConfiguration\": {\"BlockPublicAcls\": true, "
          "\"BlockPublicPolicy\": true, \"IgnorePublicAcls\": true, "
          "\"RestrictPublicBuckets\": true},\n"
          "        \"LifecycleConfiguration\": {\"Rules\": [{\"Id\": \"multipart-upload-rule\", "
          "\"Status\": \"Enabled\", \"AbortIncompleteMultipartUpload\": "
          "{\"DaysAfterInitiation\": 7}}]}",
          out);
}

static void queue(FILE *out, const kp_resource *r)
{
    long long retention = property_number(r, "retention", 0);
    long long visibility = property_number(r, "visibility", 0);

    put(out, "QueueName", r->name);
    fputs(",\n        \"KmsMasterKeyId\": \"alias/aws/sqs\"", out);
    if (retention > 0)
        fprintf(out, ",\n        \"MessageRetentionPeriod\": %lld", retention / 1000);
    if (visibility > 0)
        fprintf(out, ",\n        \"VisibilityTimeout\": %lld", visibility / 1000);
    if (property_is(r, "fifo", "true"))
        fputs(",\n        \"FifoQueue\": true", out);
}

static void table(FILE *out, const kp_resource *r)
{
    put(out, "TableName", r->name);
    fputs(",\n        \"AttributeDefinitions\": [{\"AttributeName\": \"leaseKey\", "
          "\"AttributeType\": \"S\"}],\n"
          "        \"KeySchema\": [{\"AttributeName\": \"leaseKey\", \"KeyType\": \"HASH\"}],\n"
          "        \"BillingMode\": \"PAY_PER_REQUEST\"",
          out);
}

static const struct form {
    const char *kind, *type;
    bool is_kept; /* survives the stack: it holds results */
    void (*properties)(FILE *, const kp_resource *);
} forms[] = {
    {"stream", "AWS::Kinesis::Stream", false, stream},
    {"bucket", "AWS::S3::Bucket", true, bucket},
    {"queue", "AWS::SQS::Queue", false, queue},
    {"table", "AWS::DynamoDB::Table", false, table},
};

static const struct form *form_of(const kp_resource *r)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++)
        if (strcmp(forms[i].kind, r->kind) == 0)
            return &forms[i];
    return NULL;
}

static void outputs(FILE *out, const kp_resource *const *resources, size_t n)
{
    const char *comma = "";
    char id[ID_MAX];

    fputs("  \"Outputs\": {", out);
    for (size_t i = 0; i < n; i++) {
        if (!form_of(resources[i]))
            continue;
        unique_id(resources, i, id);
        fprintf(out, "%s\n    \"%sName\": {\"Value\": {\"Ref\": \"%s\"}}", comma, id, id);
        comma = ",";
    }
    fputs("\n  }\n", out);
}

void synth(FILE *out, const char *pipeline, const kp_resource *const *resources, size_t n)
{
    const char *comma = "";
    char id[ID_MAX], about[300];

    snprintf(about, sizeof(about), "Resources of the kpipe pipeline %s", pipeline);
    fputs("{\n  \"AWSTemplateFormatVersion\": \"2010-09-09\",\n  \"Description\": ", out);
    json_string(out, about);
    fputs(",\n  \"Resources\": {", out);
    for (size_t i = 0; i < n; i++) {
        const struct form *form = form_of(resources[i]);

        if (!form)
            continue;
        unique_id(resources, i, id);
        fprintf(out, "%s\n    \"%s\": {\n      \"Type\": \"%s\",\n", comma, id, form->type);
        if (form->is_kept)
            fputs("      \"DeletionPolicy\": \"Retain\",\n      \"UpdateReplacePolicy\": "
                  "\"Retain\",\n",
                  out);
        fputs("      \"Properties\": {\n", out);
        form->properties(out, resources[i]);
        fputs("\n      }\n    }", out);
        comma = ",";
    }
    fputs("\n  },\n", out);
    outputs(out, resources, n);
    fputs("}\n", out);
}
