/* sink_test.c - the kinesis sink through the harness: what is sent, what is sent again, who is
 * told. */
#include "plugins/kinesis/sink_test.h"

TEST(a_request_is_exactly_what_the_service_reads)
{
    struct harness *h = sink(", linger = '0ms'");

    answer(h, OK("77"));
    harness_feed_one(h, "a", "hello", "key \"1\"\n");
    EQ_INT(n_puts(h), 1);
    EQ_STR(harness_request_header(h, put_at(h, 0), "x-amz-target"), "Kinesis_20131202.PutRecords");
    YES(body_is(h, 0,
                "{\"StreamName\":\"orders\",\"Records\":[{\"Data\":\"aGVsbG8=\",\"PartitionKey\":"
                "\"key \\\"1\\\"\\n\"}]}"));
    EQ_INT(harness_outcome(h, 0), KP_DELIVERED);
    REQUIRE(harness_receipt(h, 0) != NULL);
    EQ_INT(harness_receipt(h, 0)->sequence.len, 2);
    YES(memcmp(harness_receipt(h, 0)->sequence.ptr, "77", 2) == 0);
    YES(memcmp(harness_receipt(h, 0)->shard.ptr, "shardId-000000000001", 20) == 0);
    harness_free(h);
}

TEST(lanes_are_merged_into_one_request_after_linger)
{
    struct harness *h = sink("");

    harness_feed(h, "a", (const char *const[]){"1", "2", NULL});
    harness_feed(h, "b", (const char *const[]){"3", NULL});
    EQ_INT(n_puts(h), 0);
    harness_advance(h, 99);
    EQ_INT(n_puts(h), 0);
    answer_many(h, 3);
    harness_advance(h, 1);
    EQ_INT(n_puts(h), 1);
    EQ_INT(entries_in(h, 0), 3);
    EQ_INT(harness_count(h, KP_DELIVERED), 3);
    harness_free(h);
}

TEST(flush_sends_without_lingering)
{
    struct harness *h = sink(", linger = '1m'");

    harness_feed(h, "a", (const char *const[]){"1", NULL});
    EQ_INT(n_puts(h), 0);
    answer_many(h, 1);
    harness_flush(h);
    EQ_INT(harness_count(h, KP_DELIVERED), 1);
    harness_free(h);
}

TEST(a_request_has_at_most_500_records_and_strict_order_sends_one_at_a_time)
{
    struct harness *h = sink("");
    const char **list = many(1200);

    harness_feed(h, "a", list);
    EQ_INT(n_puts(h), 1);
    EQ_INT(entries_in(h, 0), 500);
    answer_many(h, 500);
    harness_advance(h, 0);
    EQ_INT(n_puts(h), 2);
    answer_many(h, 500);
    answer_many(h, 200);
    harness_advance(h, 0); /* the rest does not linger: its batch is under way */
    EQ_INT(n_puts(h), 3);
    EQ_INT(entries_in(h, 2), 200);
    EQ_INT(harness_count(h, KP_DELIVERED), 1200);
    harness_free(h);
    free_many(list);
}

TEST(without_order_the_requests_of_a_batch_go_side_by_side)
{
    struct harness *h = sink(", order = 'none', in_flight = 2");
    const char **list = many(1200);

    harness_feed(h, "a", list);
    EQ_INT(n_puts(h), 2);
    answer_many(h, 500);
    answer_many(h, 500);
    answer_many(h, 200);
    harness_advance(h, 0);
    EQ_INT(harness_count(h, KP_DELIVERED), 1200);
    harness_free(h);
    free_many(list);
}

TEST(only_the_failed_entries_are_sent_again_in_order)
{
    struct harness *h = sink(", linger = '0ms'");

    answer(h, OK("1") "," THROTTLE "," OK("2") "," THROTTLE);
    harness_feed(h, "a", (const char *const[]){"w", "x", "y", "z", NULL});
    EQ_INT(harness_count(h, KP_DELIVERED), 0); /* the batch is still in hand */
    EQ_INT(n_puts(h), 1);
    answer(h, OK("3") "," OK("4"));
    harness_advance(h, 2000);
    EQ_INT(n_puts(h), 2);
    EQ_INT(entries_in(h, 1), 2);
    YES(body_has(h, 1, "[{\"Data\":\"eA==\"")); /* x, then z */
    YES(body_has(h, 1, "{\"Data\":\"eg==\""));
    EQ_INT(harness_count(h, KP_DELIVERED), 4);
    YES(memcmp(harness_receipt(h, 1)->sequence.ptr, "3", 1) == 0);
    YES(memcmp(harness_receipt(h, 2)->sequence.ptr, "2", 1) == 0);
    harness_free(h);
}

TEST(later_records_of_a_lane_wait_for_those_sent_again)
{
    struct harness *h = sink("");
    const char **list = many(501);
    char *body;
    size_t len;
    FILE *out = open_memstream(&body, &len);

    REQUIRE(out != NULL);
    fputs("{\"FailedRecordCount\":1,\"Records\":[" THROTTLE, out);
    for (int i = 1; i < 500; i++)
        fputs("," OK("5"), out);
    fputs("]}", out);
    fclose(out);
    harness_aws_answer(h, "PutRecords", 200, NULL, body, 0);
    harness_feed(h, "a", list);
    EQ_INT(n_puts(h), 1);
    answer_many(h, 2);
    harness_advance(h, 2000);
    EQ_INT(n_puts(h), 2);
    YES(body_has(h, 1, "[{\"Data\":\"cjA=\"")); /* r0 first, then r500 */
    EQ_INT(harness_count(h, KP_DELIVERED), 501);
    harness_free(h);
    free_many(list);
    free(body);
}

TEST(failed_calls_back_off_and_are_made_again)
{
    struct harness *h = sink(", linger = '0ms'");

    refuse(h, 500, "InternalFailure");
    harness_aws_answer(h, "PutRecords", 0, NULL, "", 0);
    harness_aws_answer(h, "PutRecords", 200, NULL, "{\"Records\":[]}", 0); /* too few */
    answer_many(h, 2);
    harness_feed(h, "a", (const char *const[]){"1", "2", NULL});
    EQ_INT(n_puts(h), 1);
    harness_advance(h, 20000);
    EQ_INT(n_puts(h), 4);
    EQ_INT(harness_count(h, KP_DELIVERED), 2);
    harness_free(h);
}

TEST(records_of_a_call_that_failed_count_as_sent_again)
{
    struct harness *h = sink(", linger = '0ms'");

    refuse(h, 500, "InternalFailure");
    answer_many(h, 3);
    harness_feed(h, "a", (const char *const[]){"1", "2", "3", NULL});
    harness_advance(h, 1000);
    EQ_INT(harness_count(h, KP_DELIVERED), 3);
    EQ_INT(harness_counter(h, "records_sent_again"), 3);
    harness_free(h);
}

TEST(a_call_that_is_throttled_as_a_whole_fails_at_once_where_that_is_wanted)
{
    struct harness *h = sink(", linger = '0ms', fail_if_throttled = true");

    refuse(h, 400, "ProvisionedThroughputExceededException");
    harness_feed(h, "a", (const char *const[]){"1", "2", NULL});
    harness_advance(h, 1000);
    EQ_INT(n_puts(h), 1);
    EQ_INT(harness_count(h, KP_REJECTED), 2);
    EQ_STR(harness_reason(h, 0), "ProvisionedThroughputExceededException: said the service");
    harness_free(h);
}

TEST(a_stream_that_never_takes_them_gives_the_records_back)
{
    struct harness *h = sink(", linger = '0ms', attempts = 3");

    for (int i = 0; i < 3; i++)
        answer(h, THROTTLE);
    harness_feed(h, "a", (const char *const[]){"1", NULL});
    harness_advance(h, 60000);
    EQ_INT(n_puts(h), 3);
    EQ_INT(harness_count(h, KP_RETRY), 1);
    YES(strstr(harness_reason(h, 0), "ProvisionedThroughputExceededException") != NULL);
    harness_free(h);
}

TEST(a_throttled_batch_is_not_hammered)
{
    struct harness *h = sink(", linger = '0ms', attempts = 1000");

    for (int i = 0; i < 100; i++)
        answer(h, THROTTLE);
    harness_feed(h, "a", (const char *const[]){"1", NULL});
    harness_advance(h, 10000);
    YES(n_puts(h) >= 3);
    YES(n_puts(h) <= 25);
    answer_many(h, 1);
    for (int i = 0; i < 200 && !harness_count(h, KP_DELIVERED); i++)
        harness_advance(h, 5000);
    EQ_INT(harness_count(h, KP_DELIVERED), 1);
    harness_free(h);
}

TEST(a_record_that_can_never_fit_is_rejected_alone)
{
    struct harness *h = sink(", linger = '0ms', max_record = '10B'");

    struct harness_input in[] = {{.data = "short", .key = "k"},
                                 {.data = "much too long for it", .key = "k"},
                                 {.data = "1234567890", .key = "k"}};

    answer_many(h, 1);
    harness_feed_records(h, "a", in, 3);
    EQ_INT(harness_count(h, KP_DELIVERED), 1);
    EQ_INT(harness_outcome(h, 1), KP_REJECTED);
    YES(strstr(harness_reason(h, 1), "20 bytes") != NULL);
    YES(strstr(harness_reason(h, 2), "11 bytes with its key") != NULL);
    harness_free(h);
}

TEST(keys_that_kinesis_refuses_are_rejected_with_a_reason)
{
    struct harness *h = sink(", linger = '0ms'");
    char key[300];

    memset(key, 'k', 257);
    key[257] = 0;
    harness_feed_one(h, "a", "x", key);
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    harness_feed_one(h, "b", "x", "bad \xff key");
    EQ_INT(harness_outcome(h, 1), KP_REJECTED);
    EQ_STR(harness_reason(h, 1), "the partition key is not UTF-8");
    EQ_INT(n_puts(h), 0);
    harness_free(h);
}

TEST(keys_come_from_text_field_and_function)
{
    struct harness *h = sink(", linger = '0ms', partition_key = k.field '$.user'");

    answer_many(h, 1);
    harness_feed_one(h, "a", "{\"user\":\"ann\"}", "own");
    YES(body_has(h, 0, "\"PartitionKey\":\"ann\""));
    answer_many(h, 1);
    harness_feed_one(h, "a", "{\"other\":1}", "own"); /* no such field: the record's own */
    YES(body_has(h, 1, "\"PartitionKey\":\"own\""));
    harness_free(h);

    h = sink(", linger = '0ms', partition_key = 'all', hash_key = "
             "'340282366920938463463374607431768211455'");
    answer_many(h, 1);
    harness_feed_one(h, "a", "x", "own");
    YES(body_has(h, 0, "\"PartitionKey\":\"all\",\"ExplicitHashKey\":\"3402823669"));
    harness_free(h);

    h = sink(", linger = '0ms', partition_key = function(e) return 'f-' .. e.id end");
    answer_many(h, 1);
    harness_feed_one(h, "a", "{\"id\":7}", "own");
    YES(body_has(h, 0, "\"PartitionKey\":\"f-7\""));
    harness_free(h);

    h = sink(", linger = '0ms', hash_key = k.field '$.hash'");
    harness_feed_one(h, "a", "{\"hash\":\"340282366920938463463374607431768211456\"}", "own");
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    harness_free(h);
}

TEST(keys_of_the_file_that_no_record_could_have_are_refused_before_the_start)
{
    static const char *const bad[][2] = {
        {"partition_key = ''", "partition_key is empty"},
        {"partition_key = string.rep('x', 257)", "partition_key has 257 characters"},
        {"partition_key = '\\xff'", "partition_key is not UTF-8"},
        {"hash_key = ''", "hash_key \"\" is not a decimal number"},
        {"hash_key = 'abc'", "hash_key \"abc\" is not a decimal number"},
        {"hash_key = '012'", "hash_key \"012\" is not a decimal number"},
        {"hash_key = '340282366920938463463374607431768211456'", "from 0 to 2^128-1"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char options[300];

        snprintf(options, sizeof options, "{ " STREAM ", %s }", bad[i][0]);
        YES(strstr(harness_config_error("kinesis", KP_SINK, options), bad[i][1]) != NULL);
    }
}

TEST(a_key_has_256_characters_at_most_however_many_bytes)
{
    struct harness *h = sink(", linger = '0ms'");
    char key[4 * 257 + 1];

    for (int i = 0; i < 257; i++)
        memcpy(key + 4 * i, "\xf0\x9f\x98\x80", 5);
    harness_feed_one(h, "a", "x", key);
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    EQ_STR(harness_reason(h, 0), "the partition key has 257 characters, Kinesis takes 256");
    key[4 * 256] = 0;
    answer_many(h, 1);
    harness_feed_one(h, "a", "x", key);
    EQ_INT(harness_outcome(h, 1), KP_DELIVERED);
    YES(body_has(h, 0, key));
    harness_free(h);
}

TEST(an_empty_key_that_was_asked_for_is_rejected)
{
    struct harness *h = sink(", linger = '0ms', partition_key = k.field '$.user'");

    harness_feed_one(h, "a", "{\"user\":\"\"}", "own");
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    EQ_STR(harness_reason(h, 0), "the partition key is empty");
    harness_free(h);
    YES(strstr(harness_config_error("kinesis", KP_SINK, "{ " STREAM ", partition_key = '' }"),
               "partition_key is empty") != NULL);
}

TEST(a_record_without_key_gets_a_random_one)
{
    struct harness *h = sink(", linger = '0ms'");

    answer_many(h, 2);
    harness_feed_one(h, "a", "x", "");
    YES(body_has(h, 0, "\"PartitionKey\":\""));
    NO(body_has(h, 0, "\"PartitionKey\":\"\""));
    harness_free(h);
}

TEST(a_request_the_service_refuses_is_halved_until_the_bad_record_stands_alone)
{
    struct harness *h = sink(", linger = '0ms'");

    refuse(h, 400, "ValidationException"); /* 1 2 3 4 */
    answer_many(h, 2);                     /* 1 2 */
    refuse(h, 400, "ValidationException"); /* 3 4 */
    refuse(h, 400, "ValidationException"); /* 3 */
    answer_many(h, 1);                     /* 4 */
    harness_feed(h, "a", (const char *const[]){"1", "2", "3", "4", NULL});
    harness_advance(h, 1000);
    EQ_INT(harness_count(h, KP_DELIVERED), 3);
    EQ_INT(harness_outcome(h, 2), KP_REJECTED);
    YES(strstr(harness_reason(h, 2), "ValidationException") != NULL);
    harness_free(h);
}

TEST(an_entry_of_unknown_error_is_rejected_others_go_on)
{
    struct harness *h = sink(", linger = '0ms'");

    answer(h, OK("1") ",{\"ErrorCode\":\"InvalidArgumentException\",\"ErrorMessage\":\"too big\"}");
    harness_feed(h, "a", (const char *const[]){"1", "2", NULL});
    EQ_INT(harness_outcome(h, 0), KP_DELIVERED);
    EQ_INT(harness_outcome(h, 1), KP_REJECTED);
    EQ_STR(harness_reason(h, 1), "InvalidArgumentException: too big");
    harness_free(h);
}

TEST(a_missing_stream_and_a_missing_permission_fail_clearly)
{
    struct harness *h = sink(", linger = '0ms'");

    refuse(h, 400, "ResourceNotFoundException");
    harness_feed(h, "a", (const char *const[]){"1", NULL});
    REQUIRE(harness_failed(h) != NULL);
    YES(strstr(harness_failed(h),
               "stream orders does not exist in us-east-1 (kinesis:PutRecords") != NULL);
    harness_free(h);
    h = sink(", linger = '0ms'");
    refuse(h, 400, "AccessDeniedException");
    harness_feed(h, "a", (const char *const[]){"1", NULL});
    REQUIRE(harness_failed(h) != NULL);
    YES(strstr(harness_failed(h), "not allowed: kinesis:PutRecords on stream orders") != NULL);
    harness_free(h);
}

TEST(a_call_that_takes_nothing_names_what_the_service_said)
{
    struct harness *h = sink(", linger = '0ms', attempts = 2");

    for (int i = 0; i < 2; i++)
        answer(h, "{\"ErrorCode\":\"InternalFailure\",\"ErrorMessage\":\"oops\"}");
    harness_feed(h, "a", (const char *const[]){"1", NULL});
    harness_advance(h, 10000);
    EQ_INT(n_puts(h), 2);
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    YES(strstr(harness_reason(h, 0), "InternalFailure") != NULL);
    harness_free(h);
}

TEST(an_answer_that_never_comes_is_tried_again_and_counts_once)
{
    struct harness *h = sink(", linger = '0ms'");

    harness_feed(h, "a", (const char *const[]){"1", "2", NULL});
    EQ_INT(n_puts(h), 1);
    harness_advance(h, 31000); /* longer than one attempt may take */
    EQ_INT(n_puts(h), 2);
    EQ_INT(harness_count(h, KP_DELIVERED), 0);
    answer_many(h, 2);
    EQ_INT(harness_count(h, KP_DELIVERED), 2);
    harness_free(h);
}

TEST(what_is_under_way_at_the_end_stays_open)
{
    struct harness *h = sink(", linger = '0ms'");

    refuse(h, 400, "AccessDeniedException");
    harness_feed(h, "a", (const char *const[]){"1", NULL});
    REQUIRE(harness_failed(h) != NULL);
    EQ_INT(harness_outcome(h, 0), KP_NONE); /* not lost: it is read again after the repair */
    harness_free(h);
}

TEST(small_batches_of_one_lane_travel_together)
{
    struct harness *h = sink("");

    for (int i = 0; i < 5; i++) {
        harness_feed_one(h, "a", "x", "k");
        harness_advance(h, 10);
    }
    EQ_INT(n_puts(h), 0);
    harness_advance(h, 50);
    EQ_INT(n_puts(h), 1); /* a linger after the first */
    EQ_INT(entries_in(h, 0), 5);
    harness_feed_one(h, "a", "y", "k");
    harness_feed_one(h, "a", "z", "k");
    harness_advance(h, 1000);
    EQ_INT(n_puts(h), 1); /* one request of a lane at a time */
    answer_many(h, 5);
    harness_advance(h, 0);
    EQ_INT(n_puts(h), 2); /* they have lingered long enough */
    EQ_INT(entries_in(h, 1), 2);
    answer_many(h, 2);
    EQ_INT(harness_count(h, KP_DELIVERED), 7);
    harness_free(h);
}

TEST(a_later_batch_never_overtakes_what_is_sent_again)
{
    struct harness *h = sink(", linger = '0ms'");

    answer(h, OK("1") "," THROTTLE);
    harness_feed(h, "a", (const char *const[]){"1", "2", NULL});
    harness_feed_one(h, "a", "3", "k"); /* may not go while "2" pauses */
    EQ_INT(n_puts(h), 1);
    harness_advance(h, 5000);
    EQ_INT(n_puts(h), 2);
    YES(body_has(h, 1, "[{\"Data\":\"Mg==\"")); /* "2", then "3" behind it */
    EQ_INT(entries_in(h, 1), 2);
    answer_many(h, 2);
    EQ_INT(harness_count(h, KP_DELIVERED), 3);
    harness_free(h);
}

TEST(what_is_behind_a_batch_that_goes_back_goes_back_too)
{
    struct harness *h = sink(", linger = '0ms', attempts = 2");

    answer(h, THROTTLE);
    harness_feed_one(h, "a", "1", "k");
    harness_feed_one(h, "a", "2", "k");
    EQ_INT(n_puts(h), 1);
    answer(h, THROTTLE "," THROTTLE);
    harness_advance(h, 10000);
    EQ_INT(n_puts(h), 2);
    EQ_INT(harness_outcome(h, 0), KP_RETRY); /* twice without success */
    EQ_INT(harness_outcome(h, 1), KP_RETRY); /* only once, but it must not overtake */
    harness_free(h);
}

TEST(what_several_requests_bring_back_goes_again_in_its_order)
{
    struct harness *h = sink(", order = 'none', in_flight = 2");
    const char **list = many(1000);

    refuse(h, 500, "InternalFailure");
    refuse(h, 500, "InternalFailure");
    harness_feed(h, "a", list);
    EQ_INT(n_puts(h), 2);
    answer_many(h, 500);
    answer_many(h, 500);
    harness_advance(h, 5000);
    EQ_INT(n_puts(h), 4);
    YES(body_has(h, 2, "[{\"Data\":\"cjA=\""));    /* r0 */
    YES(body_has(h, 3, "{\"Data\":\"cjk5OQ==\"")); /* r999 */
    EQ_INT(harness_count(h, KP_DELIVERED), 1000);
    harness_free(h);
    free_many(list);
}

/* A map that comes while records are under way: they may come back, and belong elsewhere by then.
 */
TEST(with_another_map_later_records_of_a_key_wait_for_what_is_under_way)
{
    struct harness *h = sink(", linger = '0ms'");

    list(h, TWO_SHARDS);
    answer(h, TAKEN("1", "1"));
    feed_keyed(h, "x", "b");
    harness_advance(h, 10);
    EQ_INT(harness_counter(h, "shard_maps"), 1);
    harness_aws_answer(h, "PutRecords", 200, NULL, "{\"Records\":[" THROTTLE "]}", 3000);
    feed_keyed(h, "x", "a");
    list(h, "{\"Shards\":[" LISTED("0", "0", BELOW, OPEN) "," LISTED("3", HALF, LAST, OPEN) "]}");
    answer(h, TAKEN("3", "1"));
    feed_keyed(h, "y", "b"); /* another shard has it than the map says */
    harness_advance(h, 10);
    EQ_INT(harness_counter(h, "shard_maps"), 2);
    EQ_INT(n_puts(h), 3);
    feed_keyed(h, "x", "a");
    harness_advance(h, 2000);
    EQ_INT(n_puts(h), 3);
    answer(h, TAKEN("0", "5") "," TAKEN("0", "6"));
    harness_advance(h, 5000);
    EQ_INT(n_puts(h), 4);
    EQ_INT(entries_in(h, 3), 2); /* the first of them and the second behind it */
    EQ_INT(harness_count(h, KP_DELIVERED), 4);
    YES(memcmp(harness_receipt(h, 1)->sequence.ptr, "5", 1) == 0);
    YES(memcmp(harness_receipt(h, 3)->sequence.ptr, "6", 1) == 0);
    harness_free(h);
}
