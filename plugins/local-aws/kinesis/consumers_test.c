/* Consumers of the local AWS' Kinesis: register, describe, list, deregister. */
#include "plugins/local-aws/kinesis/kinesis_test.h"

#define ARN "arn:aws:kinesis:us-east-1:000000000000:stream/s"

/* [static buffer, 4 in turn] Registers a consumer and returns its ARN. */
static const char *add(struct harness *h, const char *name)
{
    static char arns[4][300];
    static unsigned turn;
    char *arn = arns[turn++ % 4];
    json_t *out = kinesis_ask(h, 200, "RegisterStreamConsumer",
                              "{'StreamARN': '" ARN "', 'ConsumerName': '%s'}", name);

    snprintf(arn, sizeof arns[0], "%s", kinesis_text(out, "Consumer.ConsumerARN"));
    EQ_STR(kinesis_text(out, "Consumer.ConsumerName"), name);
    EQ_STR(kinesis_text(out, "Consumer.ConsumerStatus"), "CREATING");
    YES(json_real_value(kinesis_at(out, "Consumer.ConsumerCreationTimestamp")) > 1e9);
    YES(kinesis_at(out, "Consumer.StreamARN") == NULL);
    json_decref(out);
    return arn;
}

static int64_t count(struct harness *h)
{
    json_t *out = kinesis_ask(h, 200, "DescribeStreamSummary", "{'StreamName': 's'}");
    int64_t n = kinesis_int(out, "StreamDescriptionSummary.ConsumerCount");

    json_decref(out);
    return n;
}

TEST(a_consumer_is_registered_described_and_deregistered)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    const char *arn = add(h, "reader");
    json_t *out;

    YES(!strncmp(arn, ARN "/consumer/reader:", sizeof ARN + 16));
    out = kinesis_ask(h, 200, "DescribeStreamConsumer", "{'ConsumerARN': '%s'}", arn);
    EQ_STR(kinesis_text(out, "ConsumerDescription.ConsumerStatus"), "ACTIVE");
    EQ_STR(kinesis_text(out, "ConsumerDescription.StreamARN"), ARN);
    EQ_STR(kinesis_text(out, "ConsumerDescription.ConsumerARN"), arn);
    json_decref(out);
    kinesis_do(h, 200, "DescribeStreamConsumer",
               "{'StreamARN': '" ARN "', 'ConsumerName': 'reader', 'ConsumerARN': '%s'}", arn);
    EQ_INT(count(h), 1);
    kinesis_do(h, 200, "DeregisterStreamConsumer",
               "{'StreamARN': '" ARN "', 'ConsumerName': 'reader'}");
    EQ_INT(count(h), 0);
    kinesis_refused(kinesis_do(h, 400, "DescribeStreamConsumer", "{'ConsumerARN': '%s'}", arn),
                    "ResourceNotFoundException", NULL);
    kinesis_refused(kinesis_do(h, 400, "DeregisterStreamConsumer",
                               "{'StreamARN': '" ARN "', 'ConsumerName': 'reader'}"),
                    "ResourceNotFoundException",
                    "Consumer reader under stream s not found for account 000000000000.");
    harness_free(h);
}

TEST(what_does_not_name_one_consumer_is_refused)
{
    struct harness *h = kinesis_with("s", 1, "no_limits = true");
    const char *arn = add(h, "reader");

    kinesis_refused(kinesis_do(h, 400, "DescribeStreamConsumer", "{'ConsumerName': 'reader'}"),
                    "InvalidArgumentException",
                    "ConsumerARN, or both ConsumerName and StreamARN, must be provided.");
    kinesis_refused(kinesis_do(h, 400, "DescribeStreamConsumer",
                               "{'ConsumerARN': '%s', 'ConsumerName': 'other'}", arn),
                    "InvalidArgumentException",
                    "ConsumerARN, ConsumerName and StreamARN name different consumers.");
    kinesis_refused(kinesis_do(h, 400, "DescribeStreamConsumer",
                               "{'ConsumerARN': '%s', 'StreamARN': '" ARN "x'}", arn),
                    "InvalidArgumentException", NULL);
    kinesis_refused(kinesis_do(h, 400, "DescribeStreamConsumer",
                               "{'ConsumerARN': '" ARN
                               "/consumer/reader:17'}"), /* another generation */
                    "ResourceNotFoundException", "Consumer " ARN "/consumer/reader:17 not found.");
    kinesis_refused(kinesis_do(h, 400, "RegisterStreamConsumer",
                               "{'StreamARN': '" ARN "', 'ConsumerName': 'reader'}"),
                    "ResourceInUseException",
                    "Consumer reader under stream s already exists for account 000000000000.");
    kinesis_refused(kinesis_do(h, 400, "RegisterStreamConsumer",
                               "{'StreamARN': 'arn:aws:kinesis:us-east-1:000000000000:stream/no',"
                               " 'ConsumerName': 'c'}"),
                    "ResourceNotFoundException", "Stream no under account 000000000000 not found.");
    kinesis_refused(
        kinesis_do(h, 400, "RegisterStreamConsumer",
                   "{'StreamARN': 'stream/s', 'ConsumerName': 'a b'}"),
        "ValidationException",
        "2 validation errors detected: Value 'stream/s' at 'streamARN' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: "
        "arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+; Value 'a b' at 'consumerName' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+");
    kinesis_refused(
        kinesis_do(h, 400, "DescribeStreamConsumer", "{'ConsumerARN': '" ARN "/consumer/reader'}"),
        "ValidationException",
        "1 validation error detected: Value '" ARN "/consumer/reader' at 'consumerARN' failed to "
        "satisfy constraint: Member must satisfy regular expression pattern: "
        "^(arn):aws.*:kinesis:.*:\\d{12}:.*stream\\/[a-zA-Z0-9_.-]+\\/consumer\\/[a-zA-Z0-9_.-]+:"
        "[0-9]+");
    harness_free(h);
}

TEST(a_stream_has_twenty_consumers_at_most)
{
    struct harness *h = kinesis_with("s", 1, "no_limits = true");
    char name[20];

    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "c%d", i);
        add(h, name);
    }
    kinesis_refused(kinesis_do(h, 400, "RegisterStreamConsumer",
                               "{'StreamARN': '" ARN "', 'ConsumerName': 'more'}"),
                    "LimitExceededException", NULL);
    EQ_INT(count(h), 20);
    harness_free(h);
}

TEST(consumers_are_listed_by_name_and_in_pages)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    json_t *out;
    char *token;

    add(h, "b");
    add(h, "c");
    add(h, "a");
    out = kinesis_ask(h, 200, "ListStreamConsumers", "{'StreamARN': '" ARN "', 'MaxResults': 2}");
    EQ_INT(json_array_size(kinesis_at(out, "Consumers")), 2);
    EQ_STR(kinesis_text(out, "Consumers.0.ConsumerName"), "a");
    EQ_STR(kinesis_text(out, "Consumers.1.ConsumerStatus"), "ACTIVE");
    YES(kinesis_at(out, "Consumers.0.StreamARN") == NULL);
    token = strdup(kinesis_text(out, "NextToken"));
    json_decref(out);
    kinesis_do(h, 200, "DeregisterStreamConsumer",
               "{'StreamARN': '" ARN "', 'ConsumerName': 'b'}"); /* the page's last one */
    out = kinesis_ask(h, 200, "ListStreamConsumers", "{'StreamARN': '" ARN "', 'NextToken': '%s'}",
                      token);
    EQ_INT(json_array_size(kinesis_at(out, "Consumers")), 1);
    EQ_STR(kinesis_text(out, "Consumers.0.ConsumerName"), "c");
    YES(kinesis_at(out, "NextToken") == NULL);
    json_decref(out);
    kinesis_refused(kinesis_do(h, 400, "ListStreamConsumers",
                               "{'StreamARN': '" ARN "', 'StreamCreationTimestamp': 17}"),
                    "ResourceNotFoundException", NULL);
    kinesis_refused(
        kinesis_do(h, 400, "ListStreamConsumers", "{'StreamARN': '" ARN "', 'NextToken': 'x'}"),
        "InvalidArgumentException", "Invalid NextToken.");
    harness_advance(h, 300001);
    kinesis_refused(kinesis_do(h, 400, "ListStreamConsumers",
                               "{'StreamARN': '" ARN "', 'NextToken': '%s'}", token),
                    "ExpiredNextTokenException", NULL);
    free(token);
    harness_free(h);
}

TEST(a_stream_with_consumers_is_deleted_on_demand_only)
{
    struct harness *h = kinesis_with("s", 1, NULL);

    add(h, "reader");
    kinesis_refused(kinesis_do(h, 400, "DeleteStream", "{'StreamName': 's'}"),
                    "ResourceInUseException",
                    "Stream s under account 000000000000 has 1 consumers. Deregister them, or set "
                    "EnforceConsumerDeletion.");
    kinesis_do(h, 200, "DeleteStream", "{'StreamName': 's', 'EnforceConsumerDeletion': true}");
    kinesis_do(h, 200, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}");
    EQ_INT(count(h), 0);
    harness_free(h);
}

TEST(consumers_their_tags_and_policies_survive_a_restart)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, NULL);
    char arn[300];
    json_t *out;

    kinesis_do(h, 200, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}");
    out = kinesis_ask(h, 200, "RegisterStreamConsumer",
                      "{'StreamARN': '" ARN "', 'ConsumerName': 'r', 'Tags': {'a': '1'}}");
    snprintf(arn, sizeof arn, "%s", kinesis_text(out, "Consumer.ConsumerARN"));
    json_decref(out);
    kinesis_do(h, 200, "PutResourcePolicy", "{'ResourceARN': '%s', 'Policy': '{}'}", arn);
    kinesis_do(h, 200, "PutResourcePolicy", "{'ResourceARN': '" ARN "', 'Policy': '{\\'a\\':1}'}");
    harness_free(h);

    h = kinesis_start(dir, NULL);
    out = kinesis_ask(h, 200, "DescribeStreamConsumer", "{'ConsumerARN': '%s'}", arn);
    EQ_STR(kinesis_text(out, "ConsumerDescription.ConsumerStatus"), "ACTIVE");
    json_decref(out);
    out = kinesis_ask(h, 200, "ListTagsForResource", "{'ResourceARN': '%s'}", arn);
    EQ_STR(kinesis_text(out, "Tags.0.Key"), "a");
    EQ_STR(kinesis_text(out, "Tags.0.Value"), "1");
    json_decref(out);
    out = kinesis_ask(h, 200, "GetResourcePolicy", "{'ResourceARN': '" ARN "'}");
    EQ_STR(kinesis_text(out, "Policy"), "{\"a\":1}");
    json_decref(out);
    kinesis_do(h, 200, "DeregisterStreamConsumer", "{'ConsumerARN': '%s'}", arn);
    harness_free(h);
    h = kinesis_start(dir, NULL);
    EQ_INT(count(h), 0);
    harness_free(h);
}

TEST(a_consumer_is_creating_and_deleting_for_a_while)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, "transition = '500ms', no_limits = true");
    const char *arn;
    json_t *out;

    kinesis_do(h, 200, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}");
    harness_advance(h, 500);
    arn = add(h, "r");
    out = kinesis_ask(h, 200, "DescribeStreamConsumer", "{'ConsumerARN': '%s'}", arn);
    EQ_STR(kinesis_text(out, "ConsumerDescription.ConsumerStatus"), "CREATING");
    json_decref(out);
    kinesis_refused(kinesis_do(h, 400, "DeregisterStreamConsumer", "{'ConsumerARN': '%s'}", arn),
                    "ResourceInUseException",
                    "Consumer r with creation timestamp 1700000000 under stream s and account "
                    "000000000000 is not in ACTIVE status.");
    kinesis_refused(
        kinesis_do(h, 400, "PutResourcePolicy", "{'ResourceARN': '%s', 'Policy': '{}'}", arn),
        "ResourceInUseException", NULL);
    for (int i = 0; i < 4; i++)
        kinesis_do(h, 200, "RegisterStreamConsumer",
                   "{'StreamARN': '" ARN "', 'ConsumerName': 'c%d'}", i);
    kinesis_refused(kinesis_do(h, 400, "RegisterStreamConsumer",
                               "{'StreamARN': '" ARN "', 'ConsumerName': 'c5'}"),
                    "LimitExceededException",
                    "Stream s under account 000000000000 has 5 consumers in state CREATING, and "
                    "may have 5.");
    harness_advance(h, 500);
    kinesis_do(h, 200, "DeregisterStreamConsumer", "{'ConsumerARN': '%s'}", arn);
    EQ_INT(count(h), 5);
    harness_free(h);

    h = kinesis_start(dir, "transition = '500ms'"); /* it goes on being deleted */
    harness_advance(h, 1500);                       /* its clock begins anew */
    EQ_INT(count(h), 4);
    harness_free(h);
}
