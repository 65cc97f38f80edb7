/* The control plane of the local AWS' Kinesis: encryption, monitoring, policies, modes, settings.
 */
#include "plugins/local-aws/kinesis/kinesis_test.h"

#define ARN "arn:aws:kinesis:us-east-1:000000000000:stream/s"

/* [owned by caller] StreamDescriptionSummary of s. */
static json_t *summary(struct harness *h)
{
    json_t *out = kinesis_ask(h, 200, "DescribeStreamSummary", "{'StreamName': 's'}");
    json_t *inner = json_incref(kinesis_at(out, "StreamDescriptionSummary"));

    json_decref(out);
    return inner;
}

/* ---- encryption */

TEST(what_is_put_while_a_stream_is_encrypted_is_marked)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, NULL);
    json_t *out;

    kinesis_do(h, 200, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}");
    kinesis_put(h, "s", "plain", "MA==");
    kinesis_do(h, 200, "StartStreamEncryption",
               "{'StreamName': 's', 'EncryptionType': 'KMS', 'KeyId': 'alias/aws/kinesis'}");
    out = kinesis_ask(h, 200, "PutRecord",
                      "{'StreamName': 's', 'PartitionKey': 'a\\tb', 'Data': 'MQ=='}");
    EQ_STR(kinesis_text(out, "EncryptionType"), "KMS");
    json_decref(out);
    out = kinesis_ask(h, 200, "PutRecords",
                      "{'StreamName': 's', 'Records': [{'PartitionKey': 'c', 'Data': 'Mg=='}]}");
    EQ_STR(kinesis_text(out, "EncryptionType"), "KMS");
    YES(kinesis_at(out, "Records.0.EncryptionType") == NULL);
    json_decref(out);
    harness_free(h);

    h = kinesis_start(dir, NULL);
    out = summary(h);
    EQ_STR(kinesis_text(out, "EncryptionType"), "KMS");
    EQ_STR(kinesis_text(out, "KeyId"), "alias/aws/kinesis");
    json_decref(out);
    kinesis_do(h, 200, "StopStreamEncryption",
               "{'StreamARN': '" ARN "', 'EncryptionType': 'KMS', 'KeyId': 'alias/aws/kinesis'}");
    kinesis_put(h, "s", "plain", "Mw==");
    out = kinesis_all(h, "s", 0);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 4);
    YES(kinesis_at(out, "Records.0.EncryptionType") == NULL);
    EQ_STR(kinesis_text(out, "Records.1.EncryptionType"), "KMS");
    EQ_STR(kinesis_text(out, "Records.1.PartitionKey"), "a\tb");
    EQ_STR(kinesis_text(out, "Records.2.EncryptionType"), "KMS");
    YES(kinesis_at(out, "Records.3.EncryptionType") == NULL);
    json_decref(out);
    out = summary(h);
    EQ_STR(kinesis_text(out, "EncryptionType"), "NONE");
    YES(kinesis_at(out, "KeyId") == NULL);
    json_decref(out);
    harness_free(h);
}

TEST(a_key_is_an_id_an_alias_or_an_arn_of_either)
{
    static const char *const good[] = {
        "1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab",
        "alias/mine", "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:us-east-1:000000000000:alias/a/b"};
    static const char *const bad[] = {"x", "alias/", "arn:aws:kms:us-east-1:alias/a",
                                      "arn:aws:s3:us-east-1:000000000000:alias/a"};
    struct harness *h = kinesis_with("s", 1, NULL);
    char text[100];

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        kinesis_do(h, 200, "StartStreamEncryption",
                   "{'StreamName': 's', 'EncryptionType': 'KMS', 'KeyId': '%s'}", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "Invalid keyId '%s'", bad[i]);
        kinesis_refused(kinesis_do(h, 400, "StartStreamEncryption",
                                   "{'StreamName': 's', 'EncryptionType': 'KMS', 'KeyId': '%s'}",
                                   bad[i]),
                        "KMSNotFoundException", text);
    }
    kinesis_refused(
        kinesis_do(h, 400, "StartStreamEncryption",
                   "{'StreamName': 's', 'EncryptionType': 'NONE', 'KeyId': 'alias/mine'}"),
        "InvalidArgumentException", NULL);
    kinesis_refused(
        kinesis_do(h, 400, "StartStreamEncryption", "{'StreamName': 's', 'EncryptionType': 'AES'}"),
        "ValidationException",
        "2 validation errors detected: Value 'AES' at 'encryptionType' failed to "
        "satisfy constraint: Member must satisfy enum value set: [NONE, KMS]; Value "
        "null at 'keyId' failed to satisfy constraint: Member must not be null");
    harness_free(h);
}

TEST(the_encryption_changes_twenty_five_times_a_day)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, NULL);

    kinesis_do(h, 200, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}");
    for (int i = 0; i < 25; i++)
        kinesis_do(h, 200, "StartStreamEncryption",
                   "{'StreamName': 's', 'EncryptionType': 'KMS', 'KeyId': 'alias/a'}");
    harness_free(h);
    h = kinesis_start(dir, NULL); /* it is remembered */
    kinesis_refused(kinesis_do(h, 400, "StartStreamEncryption",
                               "{'StreamName': 's', 'EncryptionType': 'KMS', 'KeyId': 'alias/a'}"),
                    "LimitExceededException",
                    "StartStreamEncryption was called 25 times for stream s under account "
                    "000000000000 within 24 hours, and may be called 25 times.");
    kinesis_do(h, 200, "StopStreamEncryption",
               "{'StreamName': 's', 'EncryptionType': 'KMS', 'KeyId': 'alias/a'}");
    harness_advance(h, 24 * 3600000 + 1);
    kinesis_do(h, 200, "StartStreamEncryption",
               "{'StreamName': 's', 'EncryptionType': 'KMS', 'KeyId': 'alias/a'}");
    harness_free(h);
}

/* ---- enhanced monitoring */

TEST(metrics_of_shards_are_switched_on_and_off)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, NULL);
    json_t *out;

    kinesis_do(h, 200, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}");
    out = kinesis_ask(h, 200, "EnableEnhancedMonitoring",
                      "{'StreamName': 's', 'ShardLevelMetrics': ['OutgoingBytes',"
                      " 'IncomingBytes']}");
    EQ_INT(json_array_size(kinesis_at(out, "CurrentShardLevelMetrics")), 0);
    EQ_INT(json_array_size(kinesis_at(out, "DesiredShardLevelMetrics")), 2);
    EQ_STR(kinesis_text(out, "StreamARN"), ARN);
    json_decref(out);
    harness_free(h);
    h = kinesis_start(dir, NULL);
    out = kinesis_ask(h, 200, "EnableEnhancedMonitoring",
                      "{'StreamName': 's', 'ShardLevelMetrics': ['ALL']}");
    EQ_INT(json_array_size(kinesis_at(out, "CurrentShardLevelMetrics")), 2);
    EQ_INT(json_array_size(kinesis_at(out, "DesiredShardLevelMetrics")), 7);
    json_decref(out);
    out = kinesis_ask(h, 200, "DisableEnhancedMonitoring",
                      "{'StreamARN': '" ARN "', 'ShardLevelMetrics': ['IncomingBytes']}");
    EQ_INT(json_array_size(kinesis_at(out, "DesiredShardLevelMetrics")), 6);
    json_decref(out);
    out = summary(h);
    EQ_INT(json_array_size(kinesis_at(out, "EnhancedMonitoring.0.ShardLevelMetrics")), 6);
    json_decref(out);
    kinesis_refused(
        kinesis_do(h, 400, "EnableEnhancedMonitoring",
                   "{'StreamName': 's', 'ShardLevelMetrics': ['ALL', 'x']}"),
        "ValidationException",
        "1 validation error detected: Value '[ALL, x]' at 'shardLevelMetrics' failed to satisfy "
        "constraint: Member must satisfy constraint: [Member must satisfy enum value set: "
        "[IncomingBytes, IncomingRecords, OutgoingBytes, OutgoingRecords, "
        "WriteProvisionedThroughputExceeded, ReadProvisionedThroughputExceeded, "
        "IteratorAgeMilliseconds, ALL]]");
    harness_free(h);
}

/* ---- policies, tags by ARN */

TEST(a_policy_is_put_replaced_read_and_deleted)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    json_t *out = kinesis_ask(h, 200, "GetResourcePolicy", "{'ResourceARN': '" ARN "'}");

    EQ_STR(kinesis_text(out, "Policy"), "{}");
    json_decref(out);
    kinesis_do(h, 200, "PutResourcePolicy", "{'ResourceARN': '" ARN "', 'Policy': '{\\'a\\':1}'}");
    kinesis_do(h, 200, "PutResourcePolicy", "{'ResourceARN': '" ARN "', 'Policy': '{\\'b\\':2}'}");
    out = kinesis_ask(h, 200, "GetResourcePolicy", "{'ResourceARN': '" ARN "'}");
    EQ_STR(kinesis_text(out, "Policy"), "{\"b\":2}");
    json_decref(out);
    kinesis_do(h, 200, "DeleteResourcePolicy", "{'ResourceARN': '" ARN "'}");
    out = kinesis_ask(h, 200, "GetResourcePolicy", "{'ResourceARN': '" ARN "'}");
    EQ_STR(kinesis_text(out, "Policy"), "{}");
    json_decref(out);
    kinesis_refused(
        kinesis_do(h, 400, "PutResourcePolicy", "{'ResourceARN': '" ARN "', 'Policy': '[]'}"),
        "InvalidArgumentException", "The policy is not a JSON object of at most 20480 bytes.");
    kinesis_refused(kinesis_do(h, 400, "PutResourcePolicy",
                               "{'ResourceARN': 'arn:aws:kinesis:us-east-1:000000000000:stream/no',"
                               " 'Policy': '{}'}"),
                    "ResourceNotFoundException", "Stream no under account 000000000000 not found.");
    kinesis_refused(
        kinesis_do(h, 400, "GetResourcePolicy", "{'ResourceARN': 'arn:aws:kinesis:1:stream/s'}"),
        "ValidationException",
        "1 validation error detected: Value 'arn:aws:kinesis:1:stream/s' at 'resourceARN' failed "
        "to satisfy constraint: Member must satisfy regular expression pattern: "
        "arn:aws.*:kinesis:.*:\\d{12}:.*stream/\\S+");
    harness_free(h);
}

TEST(the_two_ways_to_tag_a_stream_share_their_tags)
{
    struct harness *h = kinesis_start(kptest_dir(), NULL);
    json_t *out;

    kinesis_do(h, 200, "CreateStream",
               "{'StreamName': 's', 'ShardCount': 1, 'Tags': {'made': 'with'}}");
    kinesis_do(h, 200, "AddTagsToStream", "{'StreamName': 's', 'Tags': {'b': '2'}}");
    kinesis_do(h, 200, "TagResource", "{'ResourceARN': '" ARN "', 'Tags': {'a': '', 'b': '3'}}");
    out = kinesis_ask(h, 200, "ListTagsForStream", "{'StreamName': 's'}");
    EQ_INT(json_array_size(kinesis_at(out, "Tags")), 3);
    EQ_STR(kinesis_text(out, "Tags.1.Value"), "3");
    json_decref(out);
    kinesis_do(h, 200, "UntagResource", "{'ResourceARN': '" ARN "', 'TagKeys': ['made', 'zz']}");
    out = kinesis_ask(h, 200, "ListTagsForResource", "{'ResourceARN': '" ARN "'}");
    EQ_INT(json_array_size(kinesis_at(out, "Tags")), 2);
    EQ_STR(kinesis_text(out, "Tags.0.Key"), "a");
    YES(kinesis_at(out, "HasMoreTags") == NULL);
    json_decref(out);
    kinesis_refused(
        kinesis_do(h, 400, "TagResource", "{'ResourceARN': '" ARN "', 'Tags': {'a%%b': '2'}}"),
        "InvalidArgumentException",
        "Failed to add tags to stream s under account 000000000000 because some tags contained "
        "illegal characters. The allowed characters are Unicode letters, white-spaces, "
        "'_',',','/','=','+','-','@'.");
    kinesis_refused(kinesis_do(h, 400, "CreateStream",
                               "{'StreamName': 't', 'ShardCount': 1, 'Tags': {'a;b': '2'}}"),
                    "InvalidArgumentException", NULL);
    harness_free(h);
}

TEST(a_resource_has_fifty_tags_at_most)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    struct kpw_buf tags = KPW_BUF_INIT;

    for (int i = 0; i < 51; i++)
        kpw_buf_appendf(&tags, "%s'k%d': 'v'", i ? ", " : "", i);
    REQUIRE(kpw_buf_cstr(&tags) != NULL);
    kinesis_refused(
        kinesis_do(h, 400, "TagResource", "{'ResourceARN': '" ARN "', 'Tags': {%s}}", tags.ptr),
        "InvalidArgumentException",
        "Failed to add tags to stream s under account 000000000000 because a given stream cannot "
        "have more than 10 tags associated with it.");
    kinesis_refused(kinesis_do(h, 400, "CreateStream",
                               "{'StreamName': 't', 'ShardCount': 1, 'Tags': {%s}}", tags.ptr),
                    "InvalidArgumentException", NULL);
    kpw_buf_fini(&tags);
    harness_free(h);
}

/* ---- addressing */

TEST(a_name_and_an_arn_must_be_of_the_same_stream)
{
    struct harness *h = kinesis_with("s", 1, "no_limits = true");
    static const char *const operations[] = {
        "DescribeStream",
        "DescribeStreamSummary",
        "ListShards",
        "ListTagsForStream",
    };
    char *iterator;

    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        kinesis_do(h, 200, operations[i],
                   "{'StreamName': 's', 'StreamARN': '" ARN "',"
                   " 'StreamId': 'aaaaaaaaaaaaaaaaaaaa-bbb'}");
        kinesis_refused(
            kinesis_do(h, 400, operations[i], "{'StreamName': 't', 'StreamARN': '" ARN "'}"),
            "InvalidArgumentException", "StreamName and StreamARN name different streams.");
        kinesis_refused(kinesis_do(h, 400, operations[i], "{}"), "InvalidArgumentException", NULL);
    }
    iterator = kinesis_iterator(h, "s", 0, "LATEST", NULL);
    kinesis_do(h, 200, "GetRecords", "{'ShardIterator': '%s', 'StreamARN': '" ARN "'}", iterator);
    kinesis_refused(kinesis_do(h, 400, "GetRecords",
                               "{'ShardIterator': '%s', 'StreamARN': '" ARN "x'}", iterator),
                    "InvalidArgumentException",
                    "StreamARN and ShardIterator name different streams.");
    free(iterator);
    kinesis_refused(kinesis_do(h, 400, "UpdateMaxRecordSize", "{'MaxRecordSizeInKiB': 2048}"),
                    "InvalidArgumentException", "Either StreamName or StreamARN must be provided.");
    harness_free(h);
}

/* ---- modes, sizes, throughput, settings */

TEST(an_on_demand_stream_begins_with_four_shards_and_keeps_its_own_count)
{
    struct harness *h = kinesis_start(kptest_dir(), NULL);
    json_t *out;

    kinesis_refused(kinesis_do(h, 400, "CreateStream",
                               "{'StreamName': 's', 'ShardCount': 1, 'StreamModeDetails':"
                               " {'StreamMode': 'ON_DEMAND'}}"),
                    "ValidationException", NULL);
    kinesis_refused(
        kinesis_do(h, 400, "CreateStream",
                   "{'StreamName': 's', 'StreamModeDetails': {'StreamMode': 'PROVISIONED'}}"),
        "ValidationException", NULL);
    kinesis_do(h, 200, "CreateStream",
               "{'StreamName': 's', 'StreamModeDetails': {'StreamMode': 'ON_DEMAND'}}");
    out = summary(h);
    EQ_INT(kinesis_int(out, "OpenShardCount"), 4);
    EQ_STR(kinesis_text(out, "StreamModeDetails.StreamMode"), "ON_DEMAND");
    EQ_INT(kinesis_int(out, "MaxRecordSizeInKiB"), 1024);
    json_decref(out);
    kinesis_refused(kinesis_do(h, 400, "UpdateShardCount",
                               "{'StreamName': 's', 'TargetShardCount': 8, 'ScalingType':"
                               " 'UNIFORM_SCALING'}"),
                    "ValidationException",
                    "Stream s under account 000000000000 is in ON_DEMAND mode.");
    kinesis_refused(kinesis_do(h, 400, "MergeShards",
                               "{'StreamName': 's', 'ShardToMerge': '0',"
                               " 'AdjacentShardToMerge': '1'}"),
                    "ValidationException", NULL);
    out = kinesis_ask(h, 200, "DescribeLimits", "{}");
    EQ_INT(kinesis_int(out, "OnDemandStreamCount"), 1);
    json_decref(out);
    harness_free(h);
}

TEST(the_mode_changes_twice_a_day)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, NULL);
    json_t *out;

    kinesis_do(h, 200, "CreateStream", "{'StreamName': 's', 'ShardCount': 3}");
    for (int i = 0; i < 2; i++) {
        kinesis_do(h, 200, "UpdateStreamMode",
                   "{'StreamARN': '" ARN "', 'StreamModeDetails': {'StreamMode': '%s'}}",
                   i ? "PROVISIONED" : "ON_DEMAND");
    }
    kinesis_do(h, 200, "UpdateStreamMode", /* no change does not count */
               "{'StreamARN': '" ARN "', 'StreamModeDetails': {'StreamMode': 'PROVISIONED'}}");
    kinesis_refused(kinesis_do(h, 400, "UpdateStreamMode",
                               "{'StreamARN': '" ARN
                               "', 'StreamModeDetails': {'StreamMode': 'ON_DEMAND'}}"),
                    "LimitExceededException", NULL);
    harness_advance(h, 24 * 3600000 + 1);
    kinesis_do(h, 200, "UpdateStreamMode",
               "{'StreamARN': '" ARN "', 'StreamModeDetails': {'StreamMode': 'ON_DEMAND'}}");
    harness_free(h);
    h = kinesis_start(dir, NULL);
    out = summary(h);
    EQ_STR(kinesis_text(out, "StreamModeDetails.StreamMode"), "ON_DEMAND");
    EQ_INT(kinesis_int(out, "OpenShardCount"), 3);
    json_decref(out);
    harness_free(h);
}

TEST(larger_records_are_allowed_per_stream)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, "no_limits = true");
    char *body = kinesis_many("s", 1, 1500 << 10);
    json_t *out;

    kinesis_do(h, 200, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}");
    kinesis_refused(kinesis_send(h, 400, "PutRecords", body), "ValidationException", NULL);
    kinesis_do(h, 200, "UpdateMaxRecordSize",
               "{'StreamARN': '" ARN "', 'MaxRecordSizeInKiB': 2048}");
    harness_free(h);
    h = kinesis_start(dir, "no_limits = true");
    kinesis_send(h, 200, "PutRecords", body);
    out = summary(h);
    EQ_INT(kinesis_int(out, "MaxRecordSizeInKiB"), 2048);
    json_decref(out);
    kinesis_refused(kinesis_do(h, 400, "UpdateMaxRecordSize",
                               "{'StreamARN': '" ARN "', 'MaxRecordSizeInKiB': 1023}"),
                    "ValidationException",
                    "1 validation error detected: Value '1023' at 'maxRecordSizeInKiB' failed to "
                    "satisfy constraint: Member must have value greater than or equal to 1024");
    kinesis_do(h, 200, "CreateStream",
               "{'StreamName': 't', 'ShardCount': 1, 'MaxRecordSizeInKiB': 10240}");
    free(body);
    harness_free(h);
}

TEST(warm_throughput_needs_the_mode_and_the_commitment)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, "no_limits = true");
    json_t *out;

    kinesis_do(h, 200, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}");
    kinesis_refused(kinesis_do(h, 400, "UpdateStreamWarmThroughput",
                               "{'StreamName': 's', 'WarmThroughputMiBps': 100}"),
                    "ValidationException",
                    "WarmThroughputMiBps is only valid for streams in ON_DEMAND mode.");
    kinesis_do(h, 200, "UpdateStreamMode",
               "{'StreamARN': '" ARN "', 'StreamModeDetails': {'StreamMode': 'ON_DEMAND'}}");
    kinesis_refused(kinesis_do(h, 400, "UpdateStreamWarmThroughput",
                               "{'StreamName': 's', 'WarmThroughputMiBps': 100}"),
                    "ValidationException", NULL);
    kinesis_do(h, 200, "UpdateAccountSettings",
               "{'MinimumThroughputBillingCommitment': {'Status': 'ENABLED'}}");
    out = kinesis_ask(h, 200, "UpdateStreamWarmThroughput",
                      "{'StreamName': 's', 'WarmThroughputMiBps': 100}");
    EQ_INT(kinesis_int(out, "WarmThroughput.TargetMiBps"), 100);
    EQ_STR(kinesis_text(out, "StreamName"), "s");
    json_decref(out);
    kinesis_refused(kinesis_do(h, 400, "UpdateStreamWarmThroughput",
                               "{'StreamName': 's', 'WarmThroughputMiBps': 10241}"),
                    "InvalidArgumentException", NULL);
    kinesis_refused(kinesis_do(h, 400, "UpdateStreamWarmThroughput",
                               "{'StreamName': 's', 'WarmThroughputMiBps': -1}"),
                    "ValidationException",
                    "1 validation error detected: Value '-1' at 'warmThroughputMiBps' failed to "
                    "satisfy constraint: Member must have value greater than or equal to 0");
    kinesis_do(h, 200, "CreateStream",
               "{'StreamName': 't', 'StreamModeDetails': {'StreamMode': 'ON_DEMAND'},"
               " 'WarmThroughputMiBps': 7}");
    harness_free(h);
    h = kinesis_start(dir, NULL);
    out = summary(h);
    EQ_INT(kinesis_int(out, "WarmThroughput.CurrentMiBps"), 100);
    json_decref(out);
    harness_free(h);
}

TEST(the_commitment_of_the_account_lasts_a_day_at_least)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, "no_limits = true");
    json_t *out = kinesis_ask(h, 200, "DescribeAccountSettings", "{}");
    double started;

    EQ_STR(kinesis_text(out, "MinimumThroughputBillingCommitment.Status"), "DISABLED");
    YES(kinesis_at(out, "MinimumThroughputBillingCommitment.StartedAt") == NULL);
    json_decref(out);
    out = kinesis_ask(h, 200, "UpdateAccountSettings",
                      "{'MinimumThroughputBillingCommitment': {'Status': 'ENABLED'}}");
    EQ_STR(kinesis_text(out, "MinimumThroughputBillingCommitment.Status"), "ENABLED");
    started = json_real_value(kinesis_at(out, "MinimumThroughputBillingCommitment.StartedAt"));
    YES(json_real_value(kinesis_at(
            out, "MinimumThroughputBillingCommitment.EarliestAllowedEndAt")) == started + 86400);
    json_decref(out);
    harness_advance(h, 3600000);
    out = kinesis_ask(h, 200, "UpdateAccountSettings",
                      "{'MinimumThroughputBillingCommitment': {'Status': 'DISABLED'}}");
    EQ_STR(kinesis_text(out, "MinimumThroughputBillingCommitment.Status"),
           "ENABLED_UNTIL_EARLIEST_ALLOWED_END");
    json_decref(out);
    harness_free(h);
    h = kinesis_start(dir, NULL);
    harness_advance(h, 24 * 3600000);
    out = kinesis_ask(h, 200, "DescribeAccountSettings", "{}");
    EQ_STR(kinesis_text(out, "MinimumThroughputBillingCommitment.Status"), "DISABLED");
    YES(json_real_value(kinesis_at(out, "MinimumThroughputBillingCommitment.EndedAt")) ==
        started + 86400);
    json_decref(out);
    kinesis_refused(
        kinesis_do(h, 400, "UpdateAccountSettings",
                   "{'MinimumThroughputBillingCommitment': {'Status': 'ON'}}"),
        "ValidationException",
        "1 validation error detected: Value 'ON' at 'minimumThroughputBillingCommitment.status' "
        "failed to satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED]");
    harness_free(h);
}
