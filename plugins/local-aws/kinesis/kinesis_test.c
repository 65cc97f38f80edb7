/* Kinesis Data Streams of the local AWS: operations as a client sees them. */
#include "plugins/local-aws/kinesis/kinesis_test.h"

#include "plugins/local-aws/kinesis/seq.h"

/* ---- streams */

TEST(a_created_stream_is_described_and_listed)
{
    struct harness *h = kinesis_with("orders", 3, NULL);
    json_t *out = kinesis_ask(h, 200, "DescribeStream", "{'StreamName': 'orders'}");

    EQ_STR(kinesis_text(out, "StreamDescription.StreamStatus"), "ACTIVE");
    EQ_STR(kinesis_text(out, "StreamDescription.StreamARN"),
           "arn:aws:kinesis:us-east-1:000000000000:stream/orders");
    EQ_INT(kinesis_int(out, "StreamDescription.RetentionPeriodHours"), 24);
    EQ_INT(json_array_size(kinesis_at(out, "StreamDescription.Shards")), 3);
    EQ_STR(kinesis_text(out, "StreamDescription.Shards.0.HashKeyRange.EndingHashKey"),
           "113427455640312821154458202477256070484");
    EQ_STR(kinesis_text(out, "StreamDescription.Shards.2.HashKeyRange.StartingHashKey"),
           "226854911280625642308916404954512140970");
    EQ_STR(kinesis_text(out, "StreamDescription.Shards.2.HashKeyRange.EndingHashKey"),
           "340282366920938463463374607431768211455");
    EQ_STR(kinesis_text(out, "StreamDescription.Shards.1.ShardId"), "shardId-000000000001");
    json_decref(out);
    out = kinesis_ask(h, 200, "DescribeStreamSummary",
                      "{'StreamARN': 'arn:aws:kinesis:us-east-1:000000000000:stream/orders'}");
    EQ_INT(kinesis_int(out, "StreamDescriptionSummary.OpenShardCount"), 3);
    json_decref(out);
    kinesis_do(h, 200, "CreateStream", "{'StreamName': 'about', 'ShardCount': 1}");
    out = kinesis_ask(h, 200, "ListStreams", "{'Limit': 1}");
    EQ_STR(kinesis_text(out, "StreamNames.0"), "about");
    YES(json_is_true(kinesis_at(out, "HasMoreStreams")));
    out = (json_decref(out), kinesis_ask(h, 200, "ListStreams",
                                         "{'ExclusiveStartStreamName': "
                                         "'about'}"));
    EQ_STR(kinesis_text(out, "StreamNames.0"), "orders");
    NO(json_is_true(kinesis_at(out, "HasMoreStreams")));
    json_decref(out);
    harness_free(h);
}

TEST(lists_go_on_with_their_token)
{
    struct harness *h = kinesis_with("a", 5, NULL);
    json_t *out;
    char *token;

    kinesis_do(h, 200, "CreateStream", "{'StreamName': 'b', 'ShardCount': 1}");
    out = kinesis_ask(h, 200, "ListStreams", "{'Limit': 1}");
    token = strdup(kinesis_text(out, "NextToken"));
    json_decref(out);
    out = kinesis_ask(h, 200, "ListStreams", "{'NextToken': '%s'}", token);
    EQ_STR(kinesis_text(out, "StreamNames.0"), "b");
    json_decref(out);
    kinesis_refused(kinesis_do(h, 400, "ListShards", "{'NextToken': '%s'}", token),
                    "InvalidArgumentException", "Invalid NextToken.");
    free(token);

    out = kinesis_ask(h, 200, "ListShards", "{'StreamName': 'a', 'MaxResults': 3}");
    EQ_INT(json_array_size(kinesis_at(out, "Shards")), 3);
    token = strdup(kinesis_text(out, "NextToken"));
    json_decref(out);
    out = kinesis_ask(h, 200, "ListShards", "{'NextToken': '%s'}", token);
    EQ_INT(json_array_size(kinesis_at(out, "Shards")), 2);
    EQ_STR(kinesis_text(out, "Shards.0.ShardId"), "shardId-000000000003");
    NO(kinesis_at(out, "NextToken") != NULL);
    json_decref(out);
    harness_advance(h, 300001);
    kinesis_refused(kinesis_do(h, 400, "ListShards", "{'NextToken': '%s'}", token),
                    "ExpiredNextTokenException", NULL);
    kinesis_refused(kinesis_do(h, 400, "ListShards", "{}"), "InvalidArgumentException",
                    "Either NextToken or StreamName should be provided.");
    kinesis_refused(
        kinesis_do(h, 400, "ListShards", "{'StreamName': 'a', 'NextToken': '%s'}", token),
        "InvalidArgumentException", "NextToken and StreamName cannot be provided together.");
    free(token);
    harness_free(h);
}

TEST(a_stream_that_is_not_there_or_there_already_is_named)
{
    struct harness *h = kinesis_with("s", 1, NULL);

    kinesis_refused(kinesis_do(h, 400, "DescribeStream", "{'StreamName': 'no'}"),
                    "ResourceNotFoundException", "Stream no under account 000000000000 not found.");
    kinesis_refused(kinesis_do(h, 400, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}"),
                    "ResourceInUseException",
                    "Stream s under account 000000000000 already exists.");
    kinesis_do(h, 200, "DeleteStream", "{'StreamName': 's'}");
    kinesis_refused(kinesis_do(h, 400, "DeleteStream", "{'StreamName': 's'}"),
                    "ResourceNotFoundException", NULL);
    kinesis_do(h, 200, "CreateStream", "{'StreamName': 's', 'ShardCount': 2}");
    EQ_INT(kinesis_count(h, "s", 0), 0);
    harness_free(h);
}

TEST(a_stream_may_be_called_dot_dot)
{
    struct harness *h = kinesis_with("..", 1, NULL);

    kinesis_put(h, "..", "k", "YQ==");
    EQ_INT(kinesis_count(h, "..", 0), 1);
    kinesis_do(h, 200, "DeleteStream", "{'StreamName': '..'}");
    harness_free(h);
}

TEST(the_shard_limit_of_the_account_holds)
{
    struct harness *h = kinesis_with("s", 400, NULL);

    kinesis_refused(kinesis_do(h, 400, "CreateStream", "{'StreamName': 't', 'ShardCount': 101}"),
                    "LimitExceededException", NULL);
    harness_free(h);
}

/* ---- front door */

static int ask_raw(struct harness *h, const char *method, const char *headers, const char *body,
                   const char **ret)
{
    return harness_request(h, method, "/", headers, body, strlen(body), ret);
}

#define TARGET "X-Amz-Target: Kinesis_20131202.ListStreams\r\n"
#define TYPE   "Content-Type: application/x-amz-json-1.1\r\n"

TEST(the_front_door_checks_in_the_order_of_the_service)
{
    struct harness *h = kinesis_start(kptest_dir(), NULL);
    const char *body;

    EQ_INT(ask_raw(h, "GET", TARGET TYPE, "", &body), 403);
    YES(strstr(body, "<AccessDeniedException>") != NULL);
    EQ_INT(ask_raw(h, "POST", TARGET TYPE, "", &body), 400);
    EQ_STR(body, "{\"__type\":\"SerializationException\"}");
    EQ_INT(ask_raw(h, "POST", TARGET "Content-Type: text/plain\r\n", "{}", &body), 404);
    EQ_STR(body, "<UnknownOperationException/>\n");
    EQ_INT(ask_raw(h, "POST", TARGET TYPE, "{", &body), 400);
    EQ_STR(body, "{\"__type\":\"SerializationException\"}");
    EQ_INT(ask_raw(h, "POST", TARGET "Content-Type: application/json\r\n", "{}", &body), 404);
    EQ_STR(body, "{\"Output\":{\"__type\":\"com.amazon.coral.service#UnknownOperationException\"},"
                 "\"Version\":\"1.0\"}");
    EQ_INT(ask_raw(h, "POST", "X-Amz-Target: Kinesis_20131202.Nothing\r\n" TYPE, "{}", &body), 400);
    EQ_STR(body, "{\"__type\":\"UnknownOperationException\"}");
    EQ_INT(ask_raw(h, "OPTIONS", TARGET "Origin: http://x\r\n", "", &body), 200);
    EQ_STR(harness_response_header(h, "access-control-max-age"), "172800");
    EQ_INT(ask_raw(h, "POST", TARGET "Content-Type: application/x-amz-cbor-1.1\r\n", "\xa0", &body),
           200);
    EQ_INT(ask_raw(h, "POST", TARGET "Content-Type: application/x-amz-json-1.1; charset=utf-8\r\n",
                   "{}", &body),
           200);
    YES(strlen(harness_response_header(h, "x-amzn-requestid")) == 36);
    harness_free(h);
}

/* ---- shards that come and go */

TEST(a_split_shard_ends_and_names_its_children)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    char *iterator = kinesis_iterator(h, "s", 0, "TRIM_HORIZON", NULL);
    struct kinesis_seq start, end;
    json_t *out;

    kinesis_put(h, "s", "a", "MA==");
    kinesis_refused(kinesis_do(h, 400, "SplitShard",
                               "{'StreamName': 's', 'ShardToSplit': '0', 'NewStartingHashKey': "
                               "'1'}"),
                    "InvalidArgumentException",
                    "NewStartingHashKey 1 used in SplitShard() on shard shardId-000000000000 in "
                    "stream s under account 000000000000 is not both greater than one plus the "
                    "shard's StartingHashKey 0 and less than the shard's EndingHashKey "
                    "340282366920938463463374607431768211455.");
    kinesis_do(h, 200, "SplitShard",
               "{'StreamName': 's', 'ShardToSplit': '0', 'NewStartingHashKey': "
               "'170141183460469231731687303715884105728'}");
    kinesis_put(h, "s", "a", "MQ=="); /* md5 in the lower half */
    EQ_INT(kinesis_count(h, "s", 1), 1);
    out = kinesis_get(h, &iterator, 0);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 1);
    YES(iterator == NULL);
    EQ_STR(kinesis_text(out, "ChildShards.0.ShardId"), "shardId-000000000001");
    EQ_STR(kinesis_text(out, "ChildShards.1.ShardId"), "shardId-000000000002");
    EQ_STR(kinesis_text(out, "ChildShards.1.ParentShards.0"), "shardId-000000000000");
    json_decref(out);
    out = kinesis_ask(h, 200, "ListShards",
                      "{'StreamName': 's', 'ShardFilter': {'Type': 'AT_LATEST'}}");
    EQ_INT(json_array_size(kinesis_at(out, "Shards")), 2);
    EQ_STR(kinesis_text(out, "Shards.0.ParentShardId"), "shardId-000000000000");
    json_decref(out);
    out = kinesis_ask(h, 200, "ListShards", "{'StreamName': 's'}");
    EQ_INT(json_array_size(kinesis_at(out, "Shards")), 3);
    EQ_INT(kinesis_seq_parse(kpw_slice_cstr(kinesis_text(
                                 out, "Shards.0.SequenceNumberRange.EndingSequenceNumber")),
                             &end),
           KINESIS_SEQ_OK);
    EQ_INT(kinesis_seq_parse(kpw_slice_cstr(kinesis_text(
                                 out, "Shards.1.SequenceNumberRange.StartingSequenceNumber")),
                             &start),
           KINESIS_SEQ_OK);
    EQ_INT(start.created_s, end.time_s + 1); /* so a child's numbers are above its parent's */
    json_decref(out);
    harness_free(h);
}

TEST(two_shards_become_one)
{
    struct harness *h = kinesis_with("s", 3, NULL);
    json_t *out;

    kinesis_refused(kinesis_do(h, 400, "MergeShards",
                               "{'StreamName': 's', 'ShardToMerge': '2', 'AdjacentShardToMerge': "
                               "'1'}"),
                    "InvalidArgumentException",
                    "Shards shardId-000000000002 and shardId-000000000001 in stream s under "
                    "account 000000000000 are not an adjacent pair of shards eligible for merging");
    kinesis_do(h, 200, "MergeShards",
               "{'StreamName': 's', 'ShardToMerge': '1', 'AdjacentShardToMerge': '2'}");
    out = kinesis_ask(h, 200, "DescribeStream", "{'StreamName': 's'}");
    EQ_STR(kinesis_text(out, "StreamDescription.Shards.3.AdjacentParentShardId"),
           "shardId-000000000002");
    json_decref(out);
    kinesis_refused(kinesis_do(h, 400, "SplitShard",
                               "{'StreamName': 's', 'ShardToSplit': '1', 'NewStartingHashKey': "
                               "'200000000000000000000000000000000000000'}"),
                    "ResourceInUseException", NULL);
    harness_free(h);
}

TEST(a_new_shard_count_leaves_equal_ranges)
{
    struct harness *h = kinesis_with("s", 4, NULL);
    json_t *out = kinesis_ask(h, 200, "UpdateShardCount",
                              "{'StreamName': 's', 'TargetShardCount': 3, 'ScalingType': "
                              "'UNIFORM_SCALING'}");

    EQ_INT(kinesis_int(out, "CurrentShardCount"), 4);
    json_decref(out);
    out = kinesis_ask(h, 200, "ListShards",
                      "{'StreamName': 's', 'ShardFilter': {'Type': 'AT_LATEST'}}");
    EQ_INT(json_array_size(kinesis_at(out, "Shards")), 3);
    json_decref(out);
    kinesis_do(h, 200, "PutRecord",
               "{'StreamName': 's', 'PartitionKey': 'a', 'Data': '', 'ExplicitHashKey': "
               "'113427455640312821154458202477256070485'}");
    kinesis_refused(kinesis_do(h, 400, "UpdateShardCount",
                               "{'StreamName': 's', 'TargetShardCount': 7, 'ScalingType': "
                               "'UNIFORM_SCALING'}"),
                    "InvalidArgumentException", NULL);
    harness_free(h);
}

/* ---- retention, tags */

TEST(records_expire_with_the_retention)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    char *old = NULL;
    json_t *out;

    kinesis_put(h, "s", "a", "MA==");
    harness_advance(h, 12 * 3600000);
    kinesis_put(h, "s", "a", "MQ==");
    harness_advance(h, 12 * 3600000 + 1);
    out = kinesis_all(h, "s", 0);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 1);
    EQ_STR(kinesis_text(out, "Records.0.Data"), "MQ==");
    json_decref(out);
    old = kinesis_iterator(h, "s", 0, "TRIM_HORIZON", NULL);
    harness_advance(h, 12 * 3600000);
    EQ_INT(kinesis_count(h, "s", 0), 0);
    kinesis_put(h, "s", "a", "Mg==");
    EQ_INT(kinesis_count(h, "s", 0), 1);
    free(old);
    harness_free(h);
}

TEST(numbers_go_on_growing_when_all_records_have_expired)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    char before[60];

    snprintf(before, sizeof before, "%s", kinesis_put(h, "s", "a", "MA=="));
    harness_advance(h, 48 * 3600000);
    YES(strcmp(before, kinesis_put(h, "s", "a", "MQ==")) < 0);
    EQ_INT(kinesis_count(h, "s", 0), 1);
    harness_free(h);
}

TEST(the_retention_changes_within_its_bounds)
{
    struct harness *h = kinesis_with("s", 1, NULL);

    kinesis_do(h, 200, "IncreaseStreamRetentionPeriod",
               "{'StreamName': 's', 'RetentionPeriodHours': 48}");
    kinesis_refused(kinesis_do(h, 400, "IncreaseStreamRetentionPeriod",
                               "{'StreamName': 's', 'RetentionPeriodHours': 36}"),
                    "InvalidArgumentException",
                    "Requested retention period (36 hours) for stream s can not be shorter than "
                    "existing retention period (48 hours). Use DecreaseRetentionPeriod API.");
    kinesis_refused(kinesis_do(h, 400, "DecreaseStreamRetentionPeriod",
                               "{'StreamName': 's', 'RetentionPeriodHours': 23}"),
                    "InvalidArgumentException",
                    "Minimum allowed retention period is 24 hours. Requested retention period (23 "
                    "hours) is too short.");
    kinesis_do(h, 200, "DecreaseStreamRetentionPeriod",
               "{'StreamName': 's', 'RetentionPeriodHours': 24}");
    harness_free(h);
}

TEST(tags_are_added_listed_and_removed)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    json_t *out;

    kinesis_do(h, 200, "AddTagsToStream", "{'StreamName': 's', 'Tags': {'b': '2', 'a': '1'}}");
    kinesis_do(h, 200, "AddTagsToStream", "{'StreamName': 's', 'Tags': {'b': '3'}}");
    out = kinesis_ask(h, 200, "ListTagsForStream", "{'StreamName': 's', 'Limit': 1}");
    EQ_STR(kinesis_text(out, "Tags.0.Key"), "a");
    YES(json_is_true(kinesis_at(out, "HasMoreTags")));
    json_decref(out);
    kinesis_do(h, 200, "RemoveTagsFromStream", "{'StreamName': 's', 'TagKeys': ['a', 'zz']}");
    out = kinesis_ask(h, 200, "ListTagsForStream", "{'StreamName': 's'}");
    EQ_INT(json_array_size(kinesis_at(out, "Tags")), 1);
    EQ_STR(kinesis_text(out, "Tags.0.Value"), "3");
    json_decref(out);
    kinesis_refused(
        kinesis_do(h, 400, "AddTagsToStream", "{'StreamName': 's', 'Tags': {'a;b': '2'}}"),
        "InvalidArgumentException",
        "Some tags contain invalid characters. Valid characters: Unicode letters, "
        "digits, white space, _ . / = + - % @.");
    harness_free(h);
}
