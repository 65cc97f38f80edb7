/* The status of streams of the local AWS' Kinesis, and how often it may be asked. */
#include "plugins/local-aws/kinesis/kinesis_test.h"

#define ARN    "arn:aws:kinesis:us-east-1:000000000000:stream/s"
#define SLOWLY "transition = '500ms', no_limits = true"

static void has_status(struct harness *h, const char *status)
{
    json_t *out = kinesis_ask(h, 200, "DescribeStream", "{'StreamName': 's'}");

    EQ_STR(kinesis_text(out, "StreamDescription.StreamStatus"), status);
    json_decref(out);
}

TEST(a_stream_is_creating_before_it_is_active)
{
    struct harness *h = kinesis_with("s", 2, SLOWLY);
    json_t *out = kinesis_ask(h, 200, "DescribeStream", "{'StreamName': 's'}");

    EQ_STR(kinesis_text(out, "StreamDescription.StreamStatus"), "CREATING");
    EQ_INT(json_array_size(kinesis_at(out, "StreamDescription.Shards")), 0);
    NO(json_is_true(kinesis_at(out, "StreamDescription.HasMoreShards")));
    json_decref(out);
    out = kinesis_ask(h, 200, "ListStreams", "{}");
    EQ_STR(kinesis_text(out, "StreamSummaries.0.StreamStatus"), "CREATING");
    json_decref(out);
    kinesis_refused(
        kinesis_do(h, 400, "PutRecord", "{'StreamName': 's', 'PartitionKey': 'a', 'Data': ''}"),
        "ResourceNotFoundException", "Stream s under account 000000000000 not found.");
    kinesis_refused(kinesis_do(h, 400, "GetShardIterator",
                               "{'StreamName': 's', 'ShardId': '0', 'ShardIteratorType': "
                               "'LATEST'}"),
                    "ResourceNotFoundException",
                    "Shard shardId-000000000000 in stream s under account 000000000000 does not "
                    "exist");
    kinesis_refused(kinesis_do(h, 400, "SplitShard",
                               "{'StreamName': 's', 'ShardToSplit': '0', 'NewStartingHashKey': "
                               "'9999'}"),
                    "ResourceInUseException",
                    "Stream s under account 000000000000 not ACTIVE, instead in state CREATING");
    kinesis_refused(kinesis_do(h, 400, "ListShards", "{'StreamName': 's'}"),
                    "ResourceInUseException",
                    "Stream s under account 000000000000 not ACTIVE, instead in state CREATING");
    kinesis_refused(kinesis_do(h, 400, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}"),
                    "ResourceInUseException",
                    "Stream s under account 000000000000 already exists.");
    harness_advance(h, 499);
    has_status(h, "CREATING");
    harness_advance(h, 1);
    has_status(h, "ACTIVE");
    kinesis_put(h, "s", "a", "MA==");
    harness_free(h);
}

TEST(five_streams_are_creating_at_most)
{
    struct harness *h = kinesis_start(kptest_dir(), SLOWLY);

    for (int i = 0; i < 5; i++)
        kinesis_do(h, 200, "CreateStream", "{'StreamName': 's%d', 'ShardCount': 1}", i);
    kinesis_refused(kinesis_do(h, 400, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}"),
                    "LimitExceededException",
                    "The account 000000000000 in us-east-1 has 5 streams in state CREATING, and "
                    "may have 5.");
    harness_advance(h, 500);
    kinesis_do(h, 200, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}");
    harness_free(h);
}

/* What makes a stream UPDATING, and what is refused while it is. */
static const struct {
    const char *operation, *body;
} changes[] = {
    {"SplitShard", "{'StreamName': 's', 'ShardToSplit': '0', 'NewStartingHashKey': '9999'}"},
    {"MergeShards", "{'StreamName': 's', 'ShardToMerge': '2', 'AdjacentShardToMerge': '3'}"},
    {"UpdateShardCount",
     "{'StreamName': 's', 'TargetShardCount': 3, 'ScalingType': 'UNIFORM_SCALING'}"},
    {"StartStreamEncryption",
     "{'StreamName': 's', 'EncryptionType': 'KMS', 'KeyId': 'alias/aws/kinesis'}"},
    {"StopStreamEncryption",
     "{'StreamName': 's', 'EncryptionType': 'KMS', 'KeyId': 'alias/aws/kinesis'}"},
    {"IncreaseStreamRetentionPeriod", "{'StreamName': 's', 'RetentionPeriodHours': 48}"},
    {"DecreaseStreamRetentionPeriod", "{'StreamName': 's', 'RetentionPeriodHours': 24}"},
    {"EnableEnhancedMonitoring", "{'StreamName': 's', 'ShardLevelMetrics': ['ALL']}"},
    {"DisableEnhancedMonitoring", "{'StreamName': 's', 'ShardLevelMetrics': ['ALL']}"},
    {"UpdateMaxRecordSize", "{'StreamARN': '" ARN "', 'MaxRecordSizeInKiB': 2048}"},
    {"UpdateStreamMode",
     "{'StreamARN': '" ARN "', 'StreamModeDetails': {'StreamMode': 'ON_DEMAND'}}"},
};

TEST(a_change_makes_a_stream_updating_and_no_second_one_fits)
{
    struct harness *h = kinesis_with("s", 2, SLOWLY);

    harness_advance(h, 500);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        kinesis_do(h, 200, changes[i].operation, "%s", changes[i].body);
        has_status(h, "UPDATING");
        kinesis_put(h, "s", "a", "MA=="); /* data goes on */
        for (size_t c = 0; c < sizeof changes / sizeof *changes; c++)
            kinesis_refused(
                kinesis_do(h, 400, changes[c].operation, "%s", changes[c].body),
                "ResourceInUseException",
                "Stream s under account 000000000000 not ACTIVE, instead in state UPDATING");
        harness_advance(h, 500);
        has_status(h, "ACTIVE");
    }
    harness_free(h);
}

TEST(a_stream_is_deleting_before_it_is_gone)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, SLOWLY);
    char *iterator;

    kinesis_do(h, 200, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}");
    harness_advance(h, 500);
    kinesis_put(h, "s", "a", "MA==");
    iterator = kinesis_iterator(h, "s", 0, "TRIM_HORIZON", NULL);
    kinesis_do(h, 200, "DeleteStream", "{'StreamName': 's'}");
    has_status(h, "DELETING");
    kinesis_refused(kinesis_do(h, 400, "DeleteStream", "{'StreamName': 's'}"),
                    "ResourceInUseException",
                    "Stream s under account 000000000000 not ACTIVE, instead in state DELETING");
    kinesis_refused(
        kinesis_do(h, 400, "PutRecord", "{'StreamName': 's', 'PartitionKey': 'a', 'Data': ''}"),
        "ResourceNotFoundException", NULL);
    kinesis_refused(kinesis_do(h, 400, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}"),
                    "ResourceInUseException", NULL);
    harness_free(h);

    h = kinesis_start(dir, SLOWLY); /* and stays so */
    has_status(h, "DELETING");
    harness_advance(h, 1000); /* its clock begins anew */
    kinesis_refused(kinesis_do(h, 400, "DescribeStream", "{'StreamName': 's'}"),
                    "ResourceNotFoundException", NULL);
    kinesis_refused(kinesis_do(h, 400, "GetRecords", "{'ShardIterator': '%s'}", iterator),
                    "ResourceNotFoundException",
                    "Shard shardId-000000000000 in stream s under account 000000000000 does not "
                    "exist");
    kinesis_do(h, 200, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}");
    free(iterator);
    harness_free(h);
}

TEST(a_stream_is_not_busy_for_longer_when_the_option_is_gone)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, "transition = '1m'");

    kinesis_do(h, 200, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}");
    has_status(h, "CREATING");
    harness_free(h);
    h = kinesis_start(dir, NULL);
    has_status(h, "ACTIVE");
    harness_free(h);
}

/* ---- rates */

TEST(calls_of_the_control_plane_are_limited_per_account_and_per_stream)
{
    static const struct {
        const char *operation, *body;
        int per_s;
        bool is_of_stream;
    } cases[] = {
        {"ListStreams", "{}", 5, false},
        {"DescribeLimits", "{}", 1, false},
        {"DescribeStream", "{'StreamName': 's'}", 10, false},
        {"DescribeStreamSummary", "{'StreamName': 's'}", 20, false},
        {"ListTagsForStream", "{'StreamName': 's'}", 5, false},
        {"ListStreamConsumers", "{'StreamARN': '" ARN "'}", 5, true},
        {"EnableEnhancedMonitoring", "{'StreamName': 's', 'ShardLevelMetrics': ['ALL']}", 5, true},
        {"IncreaseStreamRetentionPeriod", "{'StreamName': 's', 'RetentionPeriodHours': 48}", 5,
         true},
        {"ListTagsForResource", "{'ResourceARN': '" ARN "'}", 5, false},
    };
    struct harness *h = kinesis_with("s", 1, NULL);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int n = 0; n < cases[i].per_s; n++)
            kinesis_do(h, 200, cases[i].operation, "%s", cases[i].body);
        kinesis_refused(
            kinesis_do(h, 400, cases[i].operation, "%s", cases[i].body), "LimitExceededException",
            cases[i].is_of_stream ? "Rate exceeded for stream s under account 000000000000."
                                  : "Rate exceeded for account 000000000000.");
        harness_advance(h, 1000);
        kinesis_do(h, 200, cases[i].operation, "%s", cases[i].body);
    }
    harness_free(h);
}

TEST(call_rates_are_lifted_with_the_other_limits)
{
    struct harness *h = kinesis_with("s", 1, "no_limits = true");

    for (int i = 0; i < 50; i++) {
        kinesis_do(h, 200, "DescribeLimits", "{}");
        free(kinesis_iterator(h, "s", 0, "LATEST", NULL));
    }
    harness_free(h);
}

TEST(iterators_are_limited_per_shard)
{
    struct harness *h = kinesis_with("s", 2, NULL);

    for (int i = 0; i < 5; i++)
        free(kinesis_iterator(h, "s", 0, "LATEST", NULL));
    kinesis_refused(kinesis_do(h, 400, "GetShardIterator",
                               "{'StreamName': 's', 'ShardId': '0', 'ShardIteratorType': "
                               "'LATEST'}"),
                    "ProvisionedThroughputExceededException",
                    "Rate exceeded for shard shardId-000000000000 in stream s under account "
                    "000000000000.");
    free(kinesis_iterator(h, "s", 1, "LATEST", NULL));
    harness_advance(h, 200);
    free(kinesis_iterator(h, "s", 0, "LATEST", NULL));
    harness_free(h);
}

TEST(a_stream_is_scaled_ten_times_a_day)
{
    struct harness *h = kinesis_with("s", 2, NULL);

    for (int i = 0; i < 10; i++)
        kinesis_do(h, 200, "UpdateShardCount",
                   "{'StreamName': 's', 'TargetShardCount': %d, 'ScalingType':"
                   " 'UNIFORM_SCALING'}",
                   i % 2 ? 2 : 3);
    harness_advance(h, 1000);
    kinesis_refused(kinesis_do(h, 400, "UpdateShardCount",
                               "{'StreamName': 's', 'TargetShardCount': 3, 'ScalingType':"
                               " 'UNIFORM_SCALING'}"),
                    "LimitExceededException", NULL);
    kinesis_refused(kinesis_do(h, 400, "UpdateShardCount",
                               "{'StreamName': 's', 'TargetShardCount': 10001, 'ScalingType':"
                               " 'UNIFORM_SCALING'}"),
                    "InvalidArgumentException",
                    "UpdateShardCount cannot scale beyond 10000 shards. Target: 10001.");
    harness_advance(h, 24 * 3600000);
    kinesis_do(h, 200, "UpdateShardCount",
               "{'StreamName': 's', 'TargetShardCount': 3, 'ScalingType': 'UNIFORM_SCALING'}");
    harness_free(h);
}

TEST(ids_of_shards_are_read_before_the_stream_is_looked_for)
{
    struct harness *h = kinesis_with("s", 1, NULL);

    kinesis_refused(kinesis_do(h, 400, "SplitShard",
                               "{'StreamName': 'no', 'ShardToSplit': 'x', 'NewStartingHashKey': "
                               "'9999'}"),
                    "ResourceNotFoundException",
                    "Could not find shard x in stream no under account 000000000000.");
    kinesis_refused(kinesis_do(h, 400, "MergeShards",
                               "{'StreamName': 's', 'ShardToMerge': '0', 'AdjacentShardToMerge': "
                               "'7'}"),
                    "ResourceNotFoundException",
                    "Could not find shard shardId-000000000007 in stream s under account "
                    "000000000000.");
    harness_free(h);
}

TEST(no_limits_raises_the_account_s_limit_of_shards)
{
    struct harness *h = kinesis_with("s", 501, "no_limits = true");

    kinesis_refused(kinesis_do(h, 400, "CreateStream", "{'StreamName': 't', 'ShardCount': 9500}"),
                    "LimitExceededException",
                    "This request would exceed the shard limit for the account 000000000000 in "
                    "us-east-1. Current shard count for the account: 501. Limit: 10000. Number of "
                    "additional shards that would have resulted from this request: 9500. Refer to "
                    "the AWS Service Limits page "
                    "(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for "
                    "current limits and how to request higher limits.");
    YES(strstr(kinesis_do(h, 200, "DescribeLimits", "{}"), "\"ShardLimit\":10000") != NULL);
    harness_free(h);
}

TEST(a_split_within_the_limit_of_the_account_only)
{
    struct harness *h = kinesis_with("s", 500, NULL);

    kinesis_refused(kinesis_do(h, 400, "SplitShard",
                               "{'StreamName': 's', 'ShardToSplit': '0', 'NewStartingHashKey': "
                               "'9999'}"),
                    "LimitExceededException",
                    "This request would exceed the shard limit for the account 000000000000 in "
                    "us-east-1. Current shard count for the account: 500. Limit: 500. Number of "
                    "additional shards that would have resulted from this request: 1. Refer to "
                    "the AWS Service Limits page "
                    "(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for "
                    "current limits and how to request higher limits.");
    harness_free(h);
}
