/* source_test.c - the kinesis source through the harness, the service's answers written by hand. */
#include "plugins/kinesis/source_test.h"

TEST(records_come_out_with_key_sequence_and_payload)
{
    struct harness *h = source("");

    list_one(h);
    records(h, 100, 102, "it-2", 0);
    harness_start(h);
    REQUIRE(harness_out_count(h) == 3);
    EQ_STR(harness_out(h, 0)->data, "record");
    EQ_STR(harness_out(h, 1)->key, "k101");
    EQ_STR(harness_out(h, 2)->sequence, "102");
    EQ_STR(harness_out(h, 2)->lane, SHARD);
    EQ_STR(harness_position(h, SHARD), "102");
    YES(body_has(h, "ListShards", 0, "\"StreamName\":\"orders\""));
    YES(body_has(h, "GetShardIterator", 0, "\"TRIM_HORIZON\""));
    YES(body_has(h, "GetRecords", 0, "\"ShardIterator\":\"it-1\""));
    harness_free(h);
}

TEST(a_checkpoint_resumes_behind_its_sequence_number)
{
    struct harness *h = source(", start = 'latest', deaggregate = false");

    harness_checkpoint(h, SHARD, "4242", 0);
    list_one(h);
    harness_start(h);
    YES(body_has(h, "GetShardIterator", 0,
                 "\"AFTER_SEQUENCE_NUMBER\",\"StartingSequenceNumber\":\"4242\""));
    harness_free(h);
}

/* ---- start and end */

TEST(checkpoints_of_the_kcl_are_understood)
{
    struct harness *h = source(", start = 'latest'");

    harness_checkpoint(h, SHARD, "TRIM_HORIZON", 0);
    list_one(h);
    harness_start(h);
    YES(body_has(h, "GetShardIterator", 0, "\"TRIM_HORIZON\""));
    harness_free(h);
    h = source(", start = 'latest'");
    harness_checkpoint(h, SHARD, "LATEST", 0);
    list_one(h);
    harness_start(h);
    YES(body_has(h, "GetShardIterator", 0, "\"LATEST\""));
    harness_free(h);
    h = source("");
    harness_checkpoint(h, SHARD, "SHARD_END", 0);
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    harness_start(h);
    EQ_INT(requests_of(h, "GetShardIterator"), 0);
    NO(harness_lane_is_open(h, SHARD));
    harness_free(h);
}

TEST(start_chooses_the_iterator)
{
    struct harness *h = source(", start = 'latest'");

    list_one(h);
    harness_start(h);
    YES(body_has(h, "GetShardIterator", 0, "\"LATEST\""));
    harness_free(h);
    h = source(", start = 'at-timestamp', timestamp = '2023-11-14T22:13:20.5Z'");
    list_one(h);
    harness_start(h);
    YES(body_has(h, "GetShardIterator", 0, "\"AT_TIMESTAMP\",\"Timestamp\":1700000000.500"));
    harness_free(h);
    YES(strstr(harness_config_error("kinesis", KP_SOURCE, "{ " STREAM ", start = 'at-timestamp' }"),
               "needs a timestamp") != NULL);
    YES(strstr(harness_config_error("kinesis", KP_SOURCE,
                                    "{ " STREAM ", start = 'at-timestamp', timestamp = 'soon' }"),
               "timestamp must look like") != NULL);
    YES(strstr(harness_config_error("kinesis", KP_SOURCE,
                                    "{ " STREAM ", start = 'at-timestamp', timestamp = '1e300' }"),
               "timestamp must look like") != NULL);
}

TEST(an_expired_iterator_is_replaced_behind_the_last_record)
{
    struct harness *h = source("");

    list_one(h);
    records(h, 1, 2, "it-2", 500);
    refuse(h, "GetRecords", 400, "ExpiredIteratorException");
    answer(h, "GetShardIterator", "{\"ShardIterator\":\"it-9\"}");
    records(h, 3, 3, "it-10", 0);
    harness_start(h);
    harness_advance(h, 2000);
    REQUIRE(harness_out_count(h) == 3);
    YES(body_has(h, "GetShardIterator", 1, "\"StartingSequenceNumber\":\"2\""));
    YES(body_has(h, "GetRecords", 2, "it-9"));
    EQ_STR(harness_position(h, SHARD), "3");
    harness_free(h);
}

TEST(a_latest_iterator_that_expired_goes_on_from_its_time_not_from_now)
{
    struct harness *h = source(", start = 'latest'");

    list_one(h);
    refuse(h, "GetRecords", 400, "ExpiredIteratorException");
    harness_start(h);
    harness_advance(h, 2000);
    YES(body_has(h, "GetShardIterator", 1, "\"AT_TIMESTAMP\",\"Timestamp\":1700000000.000"));
    harness_free(h);
}

TEST(a_time_of_our_clock_that_the_service_has_not_come_to_is_tried_again)
{
    struct harness *h = source(", start = 'latest'");

    list_one(h);
    refuse(h, "GetRecords", 400, "ExpiredIteratorException");
    refuse(h, "GetShardIterator", 400, "InvalidArgumentException"); /* our clock is ahead */
    answer(h, "GetShardIterator", ITERATOR);
    records(h, 7, 7, "it-2", 0);
    harness_start(h);
    harness_advance(h, 2000);
    YES(body_has(h, "GetShardIterator", 2, "AT_TIMESTAMP"));
    CU_ASSERT_PTR_NULL(harness_failed(h));
    EQ_INT(harness_out_count(h), 1);
    harness_free(h);
}

TEST(throttles_and_server_errors_back_off_and_lose_nothing)
{
    struct harness *h = source("");

    list_one(h);
    refuse(h, "GetRecords", 400, "ProvisionedThroughputExceededException");
    refuse(h, "GetRecords", 500, "InternalFailure");
    harness_aws_answer(h, "GetRecords", 0, NULL, "", 0);
    answer(h, "GetRecords", "{\"Records\":[{\"Data\":17}]}");
    records(h, 7, 8, "it-2", 0);
    harness_start(h);
    EQ_INT(requests_of(h, "GetRecords"), 1); /* not at once */
    harness_advance(h, 30000);
    REQUIRE(harness_out_count(h) == 2);
    EQ_STR(harness_out(h, 0)->sequence, "7");
    YES(body_has(h, "GetRecords", 4, "it-1")); /* the same iterator every time */
    CU_ASSERT_PTR_NULL(harness_failed(h));
    harness_free(h);
}

TEST(five_reads_a_second_are_never_exceeded)
{
    struct harness *h = source("");

    list_one(h);
    for (int i = 0; i < 20; i++)
        records(h, i, i, "it", 1000); /* always behind */
    harness_start(h);
    EQ_INT(requests_of(h, "GetRecords"), 5);
    harness_advance(h, 999);
    EQ_INT(requests_of(h, "GetRecords"), 5);
    harness_advance(h, 1);
    EQ_INT(requests_of(h, "GetRecords"), 10);
    harness_advance(h, 2000);
    EQ_INT(requests_of(h, "GetRecords"), 20);
    harness_free(h);
}

TEST(a_quiet_shard_is_polled_ever_more_slowly_up_to_poll)
{
    struct harness *h = source(", poll = '1s'");

    list_one(h);
    harness_start(h);
    for (size_t answered = 0, at = 0; at < 100; at++) {
        for (; answered < requests_of(h, "GetRecords"); answered++)
            records(h, 1, 0, "it", 0);
        harness_advance(h, 100);
    }
    YES(requests_of(h, "GetRecords") >= 10);
    YES(requests_of(h, "GetRecords") <= 13);
    harness_free(h);
}

TEST(caught_up_is_said_after_a_read_that_began_later_and_brought_all)
{
    struct harness *h = source("");

    list_one(h);
    records(h, 1, 2, "it-2", 0);
    harness_start(h);
    NO(harness_has_caught_up(h));
    records(h, 3, 3, "it-3", 250);
    harness_catch_up(h);
    NO(harness_has_caught_up(h));
    records(h, 4, 4, "it-4", 0);
    harness_advance(h, 1000);
    EQ_INT(harness_out_count(h), 4);
    NO(harness_has_caught_up(h)); /* there may be new shards */
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    YES(harness_has_caught_up(h));
    harness_free(h);
}

TEST(caught_up_waits_until_the_lane_took_the_records)
{
    struct harness *h = source("");

    list_one(h);
    harness_start(h);
    harness_set_room(h, false);
    records(h, 1, 2, "it-2", 0);
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    harness_catch_up(h);
    harness_advance(h, 1000);
    NO(harness_has_caught_up(h));
    records(h, 1, 0, "it-3", 0);
    harness_set_room(h, true);
    harness_advance(h, 1000);
    YES(harness_has_caught_up(h));
    EQ_INT(harness_out_count(h), 2);
    harness_free(h);
}

TEST(a_full_answer_does_not_count_as_caught_up)
{
    struct harness *h = source("");

    list_one(h);
    records(h, 1, 1, "it-2", 0);
    harness_start(h);
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    records(h, 2, 401, "it-3", 0); /* as many as were asked for, and more */
    harness_catch_up(h);
    harness_advance(h, 200);
    EQ_INT(harness_out_count(h), 401);
    NO(harness_has_caught_up(h));
    records(h, 1, 0, "it-4", 0);
    harness_advance(h, 1000);
    YES(harness_has_caught_up(h));
    harness_free(h);
}

TEST(caught_up_waits_for_shards_that_came_since_the_last_listing)
{
    struct harness *h = source("");

    list_one(h);
    records(h, 1, 1, "it-2", 0);
    harness_start(h);
    refuse(h, "ListShards", 400, "LimitExceededException"); /* is asked again */
    answer(h, "ListShards", "{\"Shards\":[" ONE "," TWO "]}");
    records(h, 1, 0, "it-3", 0);
    harness_catch_up(h);
    harness_advance(h, 1000);
    NO(harness_has_caught_up(h)); /* the second shard was not read yet */
    answer(h, "GetShardIterator", "{\"ShardIterator\":\"two\"}");
    answer(h, "ListShards", "{\"Shards\":[" ONE "," TWO "]}");
    records(h, 9, 9, "two-2", 0);
    records(h, 1, 0, "it-4", 0);
    records(h, 1, 0, "two-3", 0);
    harness_advance(h, 1000);
    YES(harness_has_caught_up(h));
    EQ_INT(harness_out_count(h), 2);
    harness_free(h);
}

TEST(a_split_is_followed_parent_before_children)
{
    struct harness *h = source(", start = 'latest'");
    const char *children =
        "{\"Shards\":[" ONE ",{\"ShardId\":\"shardId-000000000002\",\"ParentShardId\":\"" SHARD
        "\"},{\"ShardId\":\"shardId-000000000003\",\"ParentShardId\":\"" SHARD "\"}]}";

    list_one(h);
    answer(h, "ListShards", children);
    records(h, 1, 3, NULL, 0); /* the last records of the parent */
    harness_hold(h, true);
    harness_start(h);
    harness_advance(h, 1000);
    EQ_INT(harness_out_count(h), 3);
    EQ_INT(requests_of(h, "ListShards"), 1);
    EQ_INT(requests_of(h, "GetShardIterator"), 1); /* the parent's records are still open */
    answer(h, "GetShardIterator", "{\"ShardIterator\":\"left\"}");
    answer(h, "GetShardIterator", "{\"ShardIterator\":\"right\"}");
    records(h, 11, 11, "left-2", 0);
    records(h, 21, 21, "right-2", 0);
    harness_hold(h, false);
    for (size_t i = 0; i < 3; i++)
        harness_settle_out(h, i, KP_DELIVERED, NULL);
    harness_advance(h, 100);
    EQ_INT(requests_of(h, "GetShardIterator"), 3);
    YES(body_has(h, "GetShardIterator", 1, "\"TRIM_HORIZON\"")); /* nothing between is left out */
    YES(body_has(h, "GetShardIterator", 2, "\"shardId-000000000003\""));
    REQUIRE(harness_out_count(h) == 5);
    EQ_STR(harness_position(h, "shardId-000000000002"), "11");
    EQ_STR(harness_position(h, "shardId-000000000003"), "21");
    harness_free(h);
}

#define MERGED                                                                          \
    "{\"ShardId\":\"shardId-000000000002\",\"ParentShardId\":\"shardId-000000000000\"," \
    "\"AdjacentParentShardId\":\"shardId-000000000001\"}"

TEST(a_merged_shard_waits_for_both_parents)
{
    struct harness *h = source("");

    answer(h, "ListShards", "{\"Shards\":[" ONE "," TWO "," MERGED "]}");
    answer(h, "GetShardIterator", ITERATOR);
    answer(h, "GetShardIterator", ITERATOR);
    records(h, 1, 1, NULL, 0);
    records(h, 2, 2, "more", 0);
    harness_start(h);
    EQ_INT(requests_of(h, "GetShardIterator"), 2);
    records(h, 3, 3, NULL, 0);
    answer(h, "ListShards", "{\"Shards\":[" MERGED "]}"); /* both left the list meanwhile */
    harness_advance(h, 100);
    EQ_INT(requests_of(h, "GetShardIterator"), 2);
    harness_advance(h, 2000);
    EQ_INT(requests_of(h, "GetShardIterator"), 3);
    YES(body_has(h, "GetShardIterator", 2, "\"shardId-000000000002\""));
    EQ_STR(harness_offered(h, "shardId-000000000002"),
           "shardId-000000000000 shardId-000000000001 "
           "0..340282366920938463463374607431768211455 open");
    harness_free(h);
}

TEST(the_checkpoint_of_a_shard_that_was_read_to_its_end_says_so)
{
    struct harness *h = source("");

    harness_hold(h, true);
    list_one(h);
    records(h, 1, 2, NULL, 0);
    harness_start(h);
    NO(harness_lane_is_open(h, SHARD));
    CU_ASSERT_PTR_NULL(harness_position(h, SHARD)); /* records are on their way */
    harness_settle_out(h, 0, KP_DELIVERED, NULL);
    harness_settle_out(h, 1, KP_DELIVERED, NULL);
    EQ_STR(harness_position(h, SHARD), "SHARD_END");
    EQ_INT(requests_of(h, "ListShards"), 2); /* its children are looked for */
    harness_free(h);
}

TEST(listing_follows_its_pages)
{
    struct harness *h = source("");

    answer(h, "ListShards", "{\"Shards\":[" ONE "],\"NextToken\":\"to\\\"ken\"}");
    answer(h, "ListShards", "{\"Shards\":[" TWO "]}");
    harness_start(h);
    YES(body_has(h, "ListShards", 1, "{\"NextToken\":\"to\\\"ken\"}"));
    EQ_INT(requests_of(h, "GetShardIterator"), 2);
    harness_free(h);
}

TEST(batches_have_at_most_the_asked_number_of_records)
{
    struct harness *h = source(", batch = { records = 100 }");

    list_one(h);
    records(h, 1, 250, "it-2", 0);
    harness_hold(h, true);
    harness_start(h);
    EQ_INT(harness_out_count(h), 250);
    for (size_t i = 0; i < 100; i++)
        harness_settle_out(h, i, KP_DELIVERED, NULL);
    harness_advance(h, 0);
    EQ_STR(harness_position(h, SHARD), "100");
    harness_free(h);
}

TEST(a_batch_waits_to_become_full_but_not_longer_than_wait)
{
    struct harness *h = source(", batch = { records = 10, wait = '2s' }");

    list_one(h);
    records(h, 1, 4, "it-2", 0);
    records(h, 5, 8, "it-3", 0);
    harness_start(h);
    harness_advance(h, 1000);
    EQ_INT(harness_out_count(h), 0);
    harness_advance(h, 1000);
    EQ_INT(harness_out_count(h), 8);
    EQ_STR(harness_position(h, SHARD), "8");
    harness_free(h);
}

TEST(nothing_is_read_while_memory_is_short)
{
    struct harness *h = source("");

    list_one(h);
    harness_set_room(h, false);
    harness_start(h);
    EQ_INT(requests_of(h, "GetRecords"), 0);
    records(h, 1, 1, "it-2", 0);
    harness_set_room(h, true);
    EQ_INT(harness_out_count(h), 1);
    harness_free(h);
}

TEST(one_answer_waits_and_one_is_on_its_way_while_the_lane_is_busy)
{
    struct harness *h = source("");

    list_one(h);
    for (int i = 0; i < 6; i++)
        records(h, i * 3000 + 1, i * 3000 + 3000, "it", 1000);
    harness_hold(h, true); /* the lane takes 10,000 */
    harness_start(h);
    harness_advance(h, 5000);
    YES(harness_out_count(h) >= 10000);
    EQ_INT(requests_of(h, "GetRecords"), harness_out_count(h) / 3000 + 2);
    harness_hold(h, false);
    for (size_t i = 0; i < 12000; i++)
        harness_settle_out(h, i, KP_DELIVERED, NULL);
    harness_advance(h, 5000);
    EQ_INT(harness_out_count(h), 18000);
    EQ_STR(harness_position(h, SHARD), "18000");
    harness_free(h);
}

TEST(the_next_answer_is_asked_for_before_this_one_is_taken)
{
    struct harness *h = source(", batch = { records = 1 }");

    list_one(h);
    records(h, 1, 3, "it-2", 1000);
    harness_set_room(h, true);
    harness_hold(h, true);
    harness_start(h);
    EQ_INT(requests_of(h, "GetRecords"), 2);
    YES(body_has(h, "GetRecords", 1, "it-2"));
    harness_free(h);
}

TEST(an_answer_takes_the_memory_it_needs_and_one_without_end_is_asked_for_in_pieces)
{
    struct harness *h = source("");
    size_t size = 17 << 20;
    char *big = malloc(size + 1);
    const char *second, *third;

    REQUIRE(big != NULL);
    memset(big, ' ', size);
    big[size] = 0;
    list_one(h);
    records(h, 1, 1, "it-2", 0);
    records(h, 2, 8001, "it-3", 0); /* after a small one more than a megabyte */
    answer(h, "GetRecords", big);
    records(h, 8002, 8002, "it-4", 0);
    harness_start(h);
    harness_advance(h, 10000);
    EQ_INT(harness_out_count(h), 8002);
    second = request_of(h, "GetRecords", 2);
    third = request_of(h, "GetRecords", 3);
    REQUIRE(second && third);
    YES(atoi(strstr(third, "\"Limit\":") + 8) < atoi(strstr(second, "\"Limit\":") + 8) / 2);
    EQ_INT(harness_counter(h, "read_errors"), 0);
    harness_free(h);
    free(big);
}

TEST(an_answer_waits_in_the_connection_while_memory_is_short)
{
    struct harness *h = source("");

    list_one(h);
    harness_start(h); /* its call is under way with little memory */
    harness_set_room(h, false);
    records(h, 1, 2000, "it-2", 0);
    harness_advance(h, 5000);
    EQ_INT(harness_out_count(h), 0);
    harness_set_room(h, true);
    harness_advance(h, 0);
    EQ_INT(harness_out_count(h), 2000);
    YES(body_has(h, "GetRecords", 1, "it-2"));
    harness_free(h);
}

static int limit_of(const struct harness *h, size_t nth)
{
    const char *body = request_of(h, "GetRecords", nth), *limit = strstr(body ? body : "", "Limit");

    return limit ? atoi(limit + strlen("Limit\":")) : 0;
}

TEST(less_is_asked_for_where_memory_is_short)
{
    struct harness *h = source("");

    list_one(h);
    for (int i = 0; i < 4; i++)
        records(h, i * 500 + 1, i * 500 + 500, "it", 60000); /* far behind */
    refuse(h, "GetRecords", 500, "InternalFailure");
    harness_start(h);
    harness_advance(h, 100);
    EQ_INT(requests_of(h, "GetRecords"), 5);
    harness_set_room(h, false);
    harness_advance(h, 2000);
    harness_set_room(h, true);
    harness_advance(h, 0);
    YES(limit_of(h, 4) > 1000);
    EQ_INT(limit_of(h, 5), limit_of(h, 4) / 2);
    harness_free(h);
}

TEST(an_answer_that_waited_too_long_for_memory_is_no_failure)
{
    struct harness *h = source("");

    list_one(h);
    harness_start(h);
    harness_set_room(h, false);
    records(h, 1, 2000, "it-2", 0);
    harness_advance(h, 40000); /* the call has timed out */
    records(h, 1, 2000, "it-2", 0);
    EQ_INT(requests_of(h, "GetRecords"), 1);
    harness_set_room(h, true);
    harness_advance(h, 0);
    EQ_INT(harness_out_count(h), 2000);
    EQ_INT(harness_counter(h, "read_errors"), 0);
    harness_free(h);
}

TEST(a_missing_stream_is_one_clear_failure)
{
    struct harness *h = source("");

    refuse(h, "ListShards", 400, "ResourceNotFoundException");
    harness_start(h);
    REQUIRE(harness_failed(h) != NULL);
    YES(strstr(harness_failed(h), "stream orders does not exist in us-east-1") != NULL);
    harness_free(h);
}

TEST(a_missing_stream_can_be_waited_for)
{
    struct harness *h = source(", wait = true");

    refuse(h, "ListShards", 400, "ResourceNotFoundException");
    refuse(h, "ListShards", 400, "ResourceNotFoundException");
    list_one(h);
    records(h, 1, 1, "it-2", 0);
    harness_start(h);
    EQ_INT(harness_out_count(h), 0);
    harness_advance(h, 2000);
    EQ_INT(harness_out_count(h), 1);
    harness_free(h);
}

TEST(a_missing_permission_names_action_and_stream)
{
    struct harness *h = source("");

    list_one(h);
    refuse(h, "GetRecords", 403, "AccessDeniedException");
    harness_start(h);
    REQUIRE(harness_failed(h) != NULL);
    YES(strstr(harness_failed(h), "not allowed: kinesis:GetRecords on stream orders") != NULL);
    harness_free(h);
}

TEST(a_shard_that_vanished_ends_and_a_stream_that_vanished_fails)
{
    struct harness *h = source("");

    list_one(h);
    refuse(h, "GetRecords", 400, "ResourceNotFoundException");
    answer(h, "ListShards", "{\"Shards\":[" TWO "]}");
    harness_start(h);
    harness_advance(h, 1000);
    CU_ASSERT_PTR_NULL(harness_failed(h));
    harness_free(h);

    h = source("");
    list_one(h);
    refuse(h, "GetRecords", 400, "ResourceNotFoundException");
    refuse(h, "ListShards", 400, "ResourceNotFoundException");
    harness_start(h);
    REQUIRE(harness_failed(h) != NULL);
    YES(strstr(harness_failed(h), "stream orders does not exist") != NULL);
    harness_free(h);
}

TEST(a_shard_of_a_stream_that_was_made_anew_fails_clearly)
{
    struct harness *h = source("");

    list_one(h);
    records(h, 1, 2, "it-2", 0);
    refuse(h, "GetRecords", 400, "ResourceNotFoundException");
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    harness_aws_answer(
        h, "GetShardIterator", 400, "InvalidArgumentException",
        "{\"__type\":\"InvalidArgumentException\",\"message\":\"StartingSequenceNumber 2 "
        "used in GetShardIterator on shard " SHARD
        " is invalid because it did not come from this stream.\"}",
        0);
    harness_start(h);
    harness_advance(h, 5000);
    YES(body_has(h, "GetShardIterator", 1, "\"AFTER_SEQUENCE_NUMBER\""));
    REQUIRE(harness_failed(h) != NULL);
    EQ_STR(harness_failed(h),
           "shard " SHARD " of stream orders cannot go on behind record 2: the service says that "
           "it did not come from this stream. Either the stream was made anew, or the leases are "
           "of another one: `kpipe leases reset` forgets where they stand, or give the pipeline "
           "another `application`");
    EQ_STR(harness_position(h, SHARD), "2");
    harness_free(h);
}

TEST(failing_allocations_delay_but_do_not_lose)
{
    for (int nth = 1; nth < 6; nth++) {
        struct harness *h = source("");

        list_one(h);
        records(h, 1, 3, "it-2", 0);
        records(h, 4, 5, "it-3", 0);
        harness_fail_alloc(h, nth);
        harness_start(h);
        harness_advance(h, 5000);
        EQ_INT(harness_out_count(h), 5);
        EQ_STR(harness_position(h, SHARD), "5");
        harness_free(h);
    }
}

TEST(stopping_in_the_middle_of_everything_leaks_nothing)
{
    struct harness *h = source("");

    list_one(h);
    harness_start(h); /* a GetRecords is under way */
    harness_stop(h);
    harness_free(h);
    h = source("");
    harness_start(h); /* a ListShards is under way */
    harness_stop(h);
    harness_free(h);
}
