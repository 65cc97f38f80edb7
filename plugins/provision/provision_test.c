/* provision_test.c - what is called for which resource, and what the template says. */
#include "plugins/provision/provision.h"
#include "sdk/harness/harness.h"
#include "sdk/harness/internal.h"
#include "sdk/wire/json.h"
#include "tests/kptest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const kp_property stream_properties[] = {
    {"shards", "4"}, {"retention", "172800000"}, {"encryption", "alias/aws/kinesis"}};
static const kp_property plain_properties[] = {{"shards", "2"}};
static const kp_property queue_properties[] = {{"retention", "1209600000"}};
static const kp_resource big = {sizeof(kp_resource), "stream", "orders", stream_properties, 3};
static const kp_resource plain = {sizeof(kp_resource), "stream", "trips", plain_properties, 1};
static const kp_resource lake = {sizeof(kp_resource), "bucket", "orders-lake", NULL, 0};
static const kp_resource failed = {sizeof(kp_resource), "queue", "orders-failed", queue_properties,
                                   1};
static const kp_resource handler = {sizeof(kp_resource), "function", "handler", NULL, 0};

static struct harness *provisioner(const char *options, const kp_resource *const *resources,
                                   size_t n)
{
    struct harness *h = harness_new("provision", KP_PROVISIONER, options);

    h->info.resources = resources;
    h->info.n_resources = n;
    return h;
}

static void status(struct harness *h, const char *text)
{
    char body[200];

    snprintf(body, sizeof(body), "{\"StreamDescriptionSummary\":{\"StreamStatus\":\"%s\"}}", text);
    harness_aws_answer(h, "DescribeStreamSummary", 200, NULL, body, 0);
}

static const char *body_of(const struct harness *h, const char *line)
{
    for (size_t i = 0; i < harness_requests(h); i++)
        if (strstr(harness_request_line(h, i), line))
            return harness_request_body(h, i, &(size_t){0});
    return "";
}

TEST(what_exists_is_left_as_it_is)
{
    const kp_resource *const all[] = {&plain, &lake, &failed, &handler};
    struct harness *h = provisioner("{}", all, 4);

    status(h, "ACTIVE");
    harness_aws_answer(h, "s3 HEAD /orders-lake", 200, NULL, "", 0);
    harness_aws_answer(h, "GetQueueUrl", 200, NULL, "{\"QueueUrl\":\"http://x/1/q\"}", 0);
    harness_start(h);
    YES(harness_has_ended(h));
    EQ_INT(harness_requests(h), 3);
    harness_free(h);
}

TEST(a_missing_stream_is_made_awaited_and_set_up)
{
    const kp_resource *const all[] = {&big};
    struct harness *h = provisioner("{}", all, 1);

    harness_aws_answer(h, "DescribeStreamSummary", 400, "ResourceNotFoundException", "", 0);
    harness_aws_answer(h, "CreateStream", 200, NULL, "", 0);
    status(h, "CREATING");
    status(h, "CREATING");
    status(h, "ACTIVE");
    harness_aws_answer(h, "IncreaseStreamRetentionPeriod", 200, NULL, "", 0);
    harness_aws_answer(h, "StartStreamEncryption", 400, "ResourceInUseException", "", 0);
    harness_aws_answer(h, "StartStreamEncryption", 200, NULL, "", 0);
    harness_start(h);
    NO(harness_has_ended(h));
    harness_advance(h, 5000);
    YES(harness_has_ended(h));
    EQ_STR(body_of(h, "CreateStream"), "{\"StreamName\":\"orders\",\"ShardCount\":4}");
    EQ_STR(body_of(h, "IncreaseStreamRetentionPeriod"),
           "{\"StreamName\":\"orders\",\"RetentionPeriodHours\":48}");
    EQ_STR(
        body_of(h, "StartStreamEncryption"),
        "{\"StreamName\":\"orders\",\"EncryptionType\":\"KMS\",\"KeyId\":\"alias/aws/kinesis\"}");
    harness_free(h);
}

TEST(a_setting_the_endpoint_does_not_know_is_left_out)
{
    const kp_resource *const all[] = {&big};
    struct harness *h = provisioner("{}", all, 1);

    harness_aws_answer(h, "DescribeStreamSummary", 400, "ResourceNotFoundException", "", 0);
    harness_aws_answer(h, "CreateStream", 200, NULL, "", 0);
    status(h, "ACTIVE");
    harness_aws_answer(h, "IncreaseStreamRetentionPeriod", 400, "UnknownOperationException", "", 0);
    harness_aws_answer(h, "StartStreamEncryption", 400, "UnknownOperationException", "", 0);
    harness_start(h);
    YES(harness_has_ended(h));
    harness_free(h);
}

TEST(two_processes_may_make_the_same_things)
{
    const kp_resource *const all[] = {&plain, &lake, &failed};
    struct harness *h = provisioner("{}", all, 3);

    harness_aws_answer(h, "DescribeStreamSummary", 400, "ResourceNotFoundException", "", 0);
    harness_aws_answer(h, "CreateStream", 400, "ResourceInUseException", "", 0);
    status(h, "ACTIVE");
    harness_aws_answer(h, "s3 HEAD", 404, "NoSuchBucket", "", 0);
    harness_aws_answer(h, "s3 PUT", 409, "BucketAlreadyOwnedByYou", "", 0);
    harness_aws_answer(h, "s3 HEAD", 200, NULL, "", 0);
    harness_aws_answer(h, "GetQueueUrl", 400, "AWS.SimpleQueueService.NonExistentQueue", "", 0);
    harness_aws_answer(h, "CreateQueue", 200, NULL, "{\"QueueUrl\":\"http://x/1/q\"}", 0);
    harness_aws_answer(h, "GetQueueUrl", 200, NULL, "{\"QueueUrl\":\"http://x/1/q\"}", 0);
    harness_start(h);
    YES(harness_has_ended(h));
    EQ_STR(body_of(h, "CreateQueue"), "{\"QueueName\":\"orders-failed\",\"Attributes\":{"
                                      "\"MessageRetentionPeriod\":\"1209600\"}}");
    harness_free(h);
}

TEST(a_lease_table_is_made_when_it_is_named)
{
    struct harness *h = provisioner("{ lease_table = 'orders-app' }", NULL, 0);

    harness_aws_answer(h, "DescribeTable", 400, "ResourceNotFoundException", "", 0);
    harness_aws_answer(h, "CreateTable", 200, NULL, "{}", 0);
    harness_aws_answer(h, "DescribeTable", 200, NULL, "{\"Table\":{\"TableStatus\":\"ACTIVE\"}}",
                       0);
    harness_start(h);
    YES(harness_has_ended(h));
    YES(strstr(body_of(h, "CreateTable"), "\"TableName\":\"orders-app\"") != NULL);
    YES(strstr(body_of(h, "CreateTable"), "\"AttributeName\":\"leaseKey\"") != NULL);
    harness_free(h);
}

TEST(a_missing_permission_names_action_and_resource)
{
    const kp_resource *const all[] = {&plain};
    struct harness *h = provisioner("{}", all, 1);

    harness_aws_answer(h, "DescribeStreamSummary", 400, "ResourceNotFoundException", "", 0);
    harness_aws_answer(h, "CreateStream", 400, "AccessDeniedException", "{\"message\":\"no\"}", 0);
    harness_start(h);
    REQUIRE(harness_failed(h) != NULL);
    EQ_STR(harness_failed(h), "not allowed: kinesis:CreateStream on stream trips in us-east-1 "
                              "(AccessDeniedException: no)");
    NO(harness_has_ended(h));
    harness_free(h);
}

TEST(a_stream_that_never_becomes_active_is_reported)
{
    const kp_resource *const all[] = {&plain};
    struct harness *h = provisioner("{}", all, 1);

    status(h, "CREATING");
    harness_start(h);
    for (int i = 0; i < 1000 && !harness_failed(h); i++) {
        status(h, "CREATING");
        harness_next_timer(h);
    }
    REQUIRE(harness_failed(h) != NULL);
    YES(strstr(harness_failed(h), "stream trips is still not usable after 300 s") != NULL);
    harness_free(h);
}

TEST(the_template_is_json_with_the_properties_of_the_solution)
{
    const kp_resource *const all[] = {&big, &plain, &lake, &failed, &handler};
    struct kpw_slice value;
    struct kpw_slice doc;
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    REQUIRE(out != NULL);
    synth(out, "pattern \"1\"", all, 5);
    fclose(out);
    doc = kpw_slice(text, len);
    YES(kpw_json_valid(text, len));
    EQ_INT(kpw_json_find(doc, "$.Resources.StreamOrders.Properties.ShardCount", &value),
           KPW_JSON_NUMBER);
    YES(kpw_slice_is(value, "4"));
    (void)kpw_json_find(doc, "$.Resources.StreamOrders.Properties.RetentionPeriodHours", &value);
    YES(kpw_slice_is(value, "48"));
    (void)kpw_json_find(doc, "$.Resources.StreamTrips.Properties.StreamEncryption.KeyId", &value);
    YES(kpw_slice_is(value, "alias/aws/kinesis"));
    (void)kpw_json_find(doc, "$.Resources.BucketOrdersLake.DeletionPolicy", &value);
    YES(kpw_slice_is(value, "Retain"));
    (void)kpw_json_find(doc, "$.Resources.QueueOrdersFailed.Type", &value);
    YES(kpw_slice_is(value, "AWS::SQS::Queue"));
    EQ_INT(kpw_json_find(doc, "$.Resources.FunctionHandler", &value), KPW_JSON_END);
    (void)kpw_json_find(doc, "$.Outputs.StreamOrdersName.Value.Ref", &value);
    YES(kpw_slice_is(value, "StreamOrders"));
    free(text);
}

TEST(equal_logical_ids_are_told_apart)
{
    static const kp_resource a = {sizeof(kp_resource), "stream", "a-b", NULL, 0};
    static const kp_resource b = {sizeof(kp_resource), "stream", "a.b", NULL, 0};
    const kp_resource *const all[] = {&a, &b};
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    REQUIRE(out != NULL);
    synth(out, "p", all, 2);
    fclose(out);
    YES(strstr(text, "\"StreamAB\"") != NULL);
    YES(strstr(text, "\"StreamAB2\"") != NULL);
    free(text);
}
