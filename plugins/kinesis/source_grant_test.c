/* source_grant_test.c - the kinesis source as the host shares its shards: offers, grants, shards
 * that are taken away, and those that do not come on. */
#include "plugins/kinesis/source.h"
#include "plugins/kinesis/source_test.h"
#include "sdk/harness/internal.h"

#define SECOND "shardId-000000000001"
#define CLOSED                                                                 \
    "{\"ShardId\":\"shardId-000000000002\",\"ParentShardId\":\"" SHARD         \
    "\",\"AdjacentParentShardId\":\"" SECOND                                   \
    "\",\"HashKeyRange\":{\"StartingHashKey\":\"3\",\"EndingHashKey\":\"7\"}," \
    "\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"1\",\"EndingSequenceNumber\":\"2\"}}"
#define ALL "{\"Shards\":[" ONE "," TWO "," CLOSED "]}"

/* A source that reads SHARD from `start` on; nothing was listed. */
static struct harness *granted(const char *more, const char *start)
{
    struct harness *h = source(more);

    harness_hold_grants(h, true);
    harness_start(h);
    harness_grant(h, SHARD, start);
    return h;
}

static const struct source *state_of(const struct harness *h)
{
    return h->state;
}

/* ---- offers */

TEST(all_shards_are_offered_with_what_is_known_of_them)
{
    struct harness *h = source("");

    harness_hold_grants(h, true);
    answer(h, "ListShards", ALL);
    harness_start(h);
    EQ_INT(harness_offered_count(h), 3);
    EQ_STR(harness_offered(h, SHARD), "  0..340282366920938463463374607431768211455 open");
    EQ_STR(harness_offered(h, "shardId-000000000002"), SHARD " " SECOND " 3..7 closed");
    EQ_STR(harness_offered_begin(h), "TRIM_HORIZON");
    NO(harness_offered_is_fixed(h));
    harness_advance(h, 1000);
    EQ_INT(harness_requests(h), 1); /* nothing is read that was not granted */
    harness_free(h);
    h = source(", start = 'latest'");
    answer(h, "ListShards", ALL);
    harness_start(h);
    EQ_STR(harness_offered_begin(h), "LATEST");
    harness_free(h);
    h = source(", start = 'at-timestamp', timestamp = '1700000000'");
    answer(h, "ListShards", ALL);
    harness_start(h);
    EQ_STR(harness_offered_begin(h), "AT_TIMESTAMP");
    harness_free(h);
}

TEST(the_stream_is_listed_every_half_minute_and_when_the_host_asks)
{
    struct harness *h = source("");

    harness_hold_grants(h, true);
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    answer(h, "ListShards", "{\"Shards\":[" TWO "]}");
    answer(h, "ListShards", ALL);
    harness_start(h);
    harness_advance(h, 29000);
    EQ_INT(harness_offered_count(h), 1);
    harness_advance(h, 1000);
    CU_ASSERT_PTR_NULL(harness_offered(h, SHARD)); /* gone */
    CU_ASSERT_PTR_NOT_NULL(harness_offered(h, SECOND));
    harness_ask_offer(h);
    EQ_INT(harness_offered_count(h), 3);
    harness_free(h);
}

TEST(the_instances_of_other_workers_list_nothing_and_read_what_they_are_granted)
{
    struct harness *h;

    harness_use_worker(1);
    h = granted("", "TRIM_HORIZON");
    harness_use_worker(0);
    EQ_INT(requests_of(h, "ListShards"), 0);
    answer(h, "GetShardIterator", ITERATOR);
    records(h, 1, 2, "it-2", 0);
    harness_catch_up(h);
    EQ_INT(requests_of(h, "ListShards"), 0);
    EQ_INT(harness_out_count(h), 2);
    records(h, 1, 0, "it-3", 0);
    harness_advance(h, 1000);
    YES(harness_has_caught_up(h));
    harness_free(h);
}

TEST(an_instance_without_a_shard_has_caught_up)
{
    struct harness *h;

    harness_use_worker(1);
    h = source("");
    harness_use_worker(0);
    harness_start(h);
    harness_catch_up(h);
    YES(harness_has_caught_up(h));
    harness_free(h);
}

TEST(named_shards_are_offered_alone_and_shared_with_nobody)
{
    struct harness *h = source(", shards = { '" SECOND "' }");

    answer(h, "ListShards", ALL);
    answer(h, "GetShardIterator", ITERATOR);
    harness_start(h);
    EQ_INT(harness_offered_count(h), 1);
    CU_ASSERT_PTR_NOT_NULL(harness_offered(h, SECOND));
    YES(harness_offered_is_fixed(h));
    YES(body_has(h, "GetShardIterator", 0, SECOND));
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}"); /* it leaves the list one day */
    harness_advance(h, 30000);
    CU_ASSERT_PTR_NULL(harness_failed(h));
    harness_free(h);
}

TEST(a_named_shard_that_is_not_there_is_one_clear_failure)
{
    struct harness *h = source(", shards = { '" SHARD "', 'shardId-000000000007' }");

    answer(h, "ListShards", "{\"Shards\":[" ONE "," TWO "]}");
    harness_start(h);
    REQUIRE(harness_failed(h) != NULL);
    EQ_STR(harness_failed(h),
           "stream orders has no shard shardId-000000000007; it has " SHARD ", " SECOND);
    harness_free(h);
    YES(strstr(harness_config_error("kinesis", KP_SOURCE, "{ " STREAM ", shards = { 'a', 'a' } }"),
               "shards names a twice") != NULL);
    YES(strstr(harness_config_error("kinesis", KP_SOURCE, "{ " STREAM ", shards = {} }"),
               "shards is empty") != NULL);
}

/* ---- grants */

static void begins(const char *more, const char *start, const char *want)
{
    struct harness *h = granted(more, start);

    YES(body_has(h, "GetShardIterator", 0, want));
    harness_free(h);
}

TEST(a_grant_says_where_a_shard_begins_whatever_start_says)
{
    begins("", "LATEST", "\"LATEST\"");
    begins(", start = 'latest'", "TRIM_HORIZON", "\"TRIM_HORIZON\"");
    begins(", start = 'at-timestamp', timestamp = '1700000000'", "AT_TIMESTAMP",
           "\"AT_TIMESTAMP\",\"Timestamp\":1700000000.000");
    begins(", start = 'at-timestamp', timestamp = '1700000000'", "LATEST", "\"LATEST\"");
    begins("", "42", "\"AT_SEQUENCE_NUMBER\",\"StartingSequenceNumber\":\"42\"");
    /* another worker's time is not known: from the oldest record, so that none is lost */
    begins("", "AT_TIMESTAMP", "\"TRIM_HORIZON\"");
    begins("", "SOMETHING_NEW", "\"TRIM_HORIZON\"");
}

TEST(a_shard_that_was_read_to_its_end_is_only_ended_again)
{
    struct harness *h = granted("", "SHARD_END");

    EQ_INT(requests_of(h, "Get"), 0);
    EQ_STR(harness_position(h, SHARD), "SHARD_END");
    NO(harness_lane_is_open(h, SHARD));
    harness_free(h);
}

TEST(shards_that_came_to_their_end_leave_nothing_behind)
{
    struct harness *h = source("");

    harness_hold_grants(h, true);
    harness_start(h);
    for (int i = 0; i < 100; i++) {
        char id[40];

        snprintf(id, sizeof(id), "shardId-%012d", i);
        answer(h, "GetShardIterator", ITERATOR);
        records(h, i, i, NULL, 0);
        harness_grant(h, id, "TRIM_HORIZON");
        EQ_STR(harness_position(h, id), "SHARD_END");
    }
    EQ_INT(harness_out_count(h), 100);
    harness_advance(h, 1);
    CU_ASSERT_PTR_NULL(state_of(h)->shards);
    harness_free(h);
}

/* ---- shards that are taken away */

TEST(a_revoked_shard_settles_what_was_submitted_and_goes_on_behind_it)
{
    struct harness *h = granted(", batch = { records = 2 }, deaggregate = false", "TRIM_HORIZON");
    size_t reads;

    answer(h, "GetShardIterator", ITERATOR);
    harness_hold(h, true);
    records(h, 1, 4, "it-2", 0);
    harness_advance(h, 0);
    REQUIRE(harness_out_count(h) == 4);
    reads = requests_of(h, "GetRecords");
    harness_revoke(h, SHARD, false);
    CU_ASSERT_PTR_NULL(state_of(h)->shards);
    for (size_t i = 0; i < 4; i++)
        harness_settle_out(h, i, KP_DELIVERED, NULL);
    EQ_STR(harness_position(h, SHARD), "4");
    harness_advance(h, 60000);
    EQ_INT(requests_of(h, "GetRecords"), reads); /* it is another's */
    harness_grant(h, SHARD, NULL);
    YES(body_has(h, "GetShardIterator", 1,
                 "\"AFTER_SEQUENCE_NUMBER\",\"StartingSequenceNumber\":\"4\""));
    harness_free(h);
}

TEST(what_was_read_and_not_submitted_goes_with_a_revoked_shard)
{
    struct harness *h = granted(", batch = { records = 10, wait = '10s' }", "TRIM_HORIZON");

    answer(h, "GetShardIterator", ITERATOR);
    records(h, 1, 4, "it-2", 0);
    harness_advance(h, 1000);
    EQ_INT(harness_out_count(h), 0); /* the batch waits to become full */
    harness_revoke(h, SHARD, false);
    harness_advance(h, 20000);
    EQ_INT(harness_out_count(h), 0);
    CU_ASSERT_PTR_NULL(harness_position(h, SHARD));
    answer(h, "GetShardIterator", ITERATOR);
    records(h, 1, 4, "it-2", 0);
    harness_grant(h, SHARD, NULL);
    harness_advance(h, 20000);
    EQ_INT(harness_out_count(h), 4);
    EQ_STR(harness_position(h, SHARD), "4");
    harness_free(h);
}

/* Lost while a call is under way, while an answer waits for the lane, while memory is short and
 * while a call is made again: nothing comes after it, all comes to the next owner. */
TEST(a_shard_that_is_lost_under_load_is_left_at_once)
{
    for (int state = 0; state < 4; state++) {
        struct harness *h = granted("", "TRIM_HORIZON");
        size_t before, calls;

        answer(h, "GetShardIterator", ITERATOR);
        harness_hold(h, true);
        for (int i = 0; i < (state == 1 ? 6 : 1); i++)
            records(h, i * 3000 + 1, i * 3000 + 3000, "it", 1000);
        harness_advance(h, 5000);
        if (state == 2) {
            harness_set_room(h, false);
            records(h, 3001, 6000, "it", 1000);
            harness_advance(h, 1000);
        }
        if (state == 3) {
            refuse(h, "GetRecords", 500, "InternalFailure");
            harness_advance(h, 0);
        }
        before = harness_out_count(h);
        calls = requests_of(h, "GetRecords");
        harness_revoke(h, SHARD, true);
        harness_set_room(h, true);
        harness_advance(h, 60000);
        EQ_INT(harness_out_count(h), before);
        EQ_INT(requests_of(h, "GetRecords"), calls);
        CU_ASSERT_PTR_NULL(state_of(h)->shards);
        harness_hold(h, false);
        for (size_t i = 0; i < before; i++)
            harness_settle_out(h, i, KP_DELIVERED, NULL);
        CU_ASSERT_PTR_NULL(harness_position(h, SHARD)); /* no checkpoint of what is another's */
        harness_free(h);
    }
}

TEST(a_shard_of_fan_out_that_is_revoked_ends_its_subscription)
{
    struct harness *h = source(
        ", mode = 'fan-out', consumer = 'arn:aws:kinesis:us-east-1:1:stream/o/consumer/c:1'");

    harness_hold_grants(h, true);
    harness_start(h);
    harness_grant(h, SHARD, "TRIM_HORIZON");
    EQ_INT(requests_of(h, "SubscribeToShard"), 1);
    harness_revoke(h, SHARD, false);
    harness_advance(h, 120000);
    EQ_INT(requests_of(h, "SubscribeToShard"), 1);
    harness_free(h);
}

/* ---- shards that do not come on */

TEST(a_shard_that_is_silent_for_a_minute_begins_anew)
{
    struct harness *h = granted("", "TRIM_HORIZON");

    answer(h, "GetShardIterator", ITERATOR);
    records(h, 1, 2, "it-2", 0);
    answer(h, "GetShardIterator", "{\"ShardIterator\":\"again\"}");
    harness_advance(h, 50000); /* its calls get no answer */
    EQ_INT(requests_of(h, "GetShardIterator"), 1);
    EQ_INT(harness_lane_gauge_of(h, SHARD, "fetch_age_ms"), 50000);
    harness_advance(h, 25000);
    EQ_INT(requests_of(h, "GetShardIterator"), 2);
    YES(body_has(h, "GetShardIterator", 1, "\"StartingSequenceNumber\":\"2\""));
    EQ_INT(harness_lane_counter(h, SHARD, "rebuilds"), 1);
    YES(strstr(harness_log(h), "warn shard.stuck") != NULL);
    records(h, 3, 3, "it-3", 0);
    harness_advance(h, 1000);
    EQ_INT(harness_out_count(h), 3);
    harness_free(h);
}

TEST(a_shard_whose_records_are_not_taken_is_not_thought_to_be_stuck)
{
    struct harness *h = granted("", "TRIM_HORIZON");

    answer(h, "GetShardIterator", ITERATOR);
    harness_hold(h, true);
    for (int i = 0; i < 6; i++)
        records(h, i * 3000 + 1, i * 3000 + 3000, "it", 1000);
    harness_advance(h, 600000);
    EQ_INT(harness_lane_counter(h, SHARD, "rebuilds"), 0);
    EQ_INT(requests_of(h, "GetShardIterator"), 1);
    /* and then its iterator is too old to be used */
    answer(h, "GetShardIterator", "{\"ShardIterator\":\"fresh\"}");
    records(h, 18001, 18001, "it-9", 0);
    harness_hold(h, false);
    for (size_t i = 0; i < 12000; i++)
        harness_settle_out(h, i, KP_DELIVERED, NULL);
    harness_advance(h, 1000);
    EQ_INT(harness_out_count(h), 18001);
    EQ_INT(requests_of(h, "GetShardIterator"), 2);
    YES(body_has(h, "GetShardIterator", 1, "\"StartingSequenceNumber\":\"18000\""));
    YES(body_has(h, "GetRecords", 6, "fresh"));
    EQ_INT(harness_counter(h, "read_errors"), 0);
    harness_free(h);
}

/* ---- many shards */

static void grant_many(struct harness *h, int n)
{
    harness_hold_grants(h, true);
    harness_start(h);
    for (int i = 0; i < n; i++) {
        char id[40];

        snprintf(id, sizeof(id), "shardId-%012d", i);
        harness_grant(h, id, "TRIM_HORIZON");
    }
}

TEST(calls_of_quiet_shards_take_turns)
{
    struct harness *h = source("");

    grant_many(h, 64);
    EQ_INT(requests_of(h, "GetShardIterator"), 25);
    for (int i = 0; i < 10; i++)
        answer(h, "GetShardIterator", ITERATOR);
    harness_advance(h, 0); /* a read takes its turn too */
    EQ_INT(requests_of(h, "GetShardIterator") + requests_of(h, "GetRecords"), 35);
    harness_revoke(h, SHARD, true);
    harness_revoke(h, "shardId-000000000063", false); /* it waits */
    for (int i = 0; i < 53; i++)
        answer(h, "GetShardIterator", ITERATOR);
    for (int i = 0; i < 62; i++)
        records(h, i, i, "it-2", 0);
    harness_advance(h, 200);
    EQ_INT(harness_out_count(h), 62);
    EQ_INT(state_of(h)->slots_used, 0);
    EQ_INT(state_of(h)->queues[FOR_SLOT].n, 0);
    harness_free(h);
}

TEST(the_farther_the_service_the_more_quiet_shards_are_asked_at_a_time)
{
    struct harness *h = granted("", "TRIM_HORIZON");

    answer(h, "GetShardIterator", ITERATOR);
    harness_advance(h, 100); /* of the way there and back */
    records(h, 1, 1, "it-2", 0);
    harness_advance(h, 0);
    for (int i = 1; i <= 127; i++) {
        char id[40];

        snprintf(id, sizeof(id), "shardId-%012d", i);
        harness_grant(h, id, "TRIM_HORIZON");
    }
    EQ_INT(requests_of(h, "GetShardIterator"), 1 + 24 + 128 * 104 / 256);
    harness_free(h);
}

TEST(shards_that_were_refused_memory_go_on_in_their_order)
{
    struct harness *h = source("");

    grant_many(h, 3);
    harness_set_room(h, false);
    for (int i = 0; i < 3; i++)
        answer(h, "GetShardIterator", ITERATOR);
    harness_advance(h, 0);
    EQ_INT(state_of(h)->queues[FOR_ROOM].n, 3);
    harness_revoke(h, SECOND, true);
    EQ_INT(state_of(h)->queues[FOR_ROOM].n, 2);
    records(h, 1, 1, "it-2", 0);
    records(h, 2, 2, "it-2", 0);
    harness_set_room(h, true);
    harness_advance(h, 0);
    REQUIRE(harness_out_count(h) == 2);
    EQ_STR(harness_out(h, 0)->lane, SHARD);
    EQ_STR(harness_out(h, 1)->lane, "shardId-000000000002");
    EQ_INT(state_of(h)->queues[FOR_ROOM].n, 0);
    harness_free(h);
}

/* ---- what is said of a shard */

TEST(counters_and_gauges_of_a_shard_follow_its_answers)
{
    struct harness *h = granted("", "TRIM_HORIZON");

    answer(h, "GetShardIterator", ITERATOR);
    records(h, 1, 3, "it-2", 5000); /* written when the test's clock began */
    harness_advance(h, 0);
    EQ_INT(harness_lane_counter(h, SHARD, "records"), 3);
    EQ_INT(harness_lane_counter(h, SHARD, "bytes"), 3 * 8);
    EQ_INT(harness_lane_counter(h, SHARD, "calls"), 2);
    EQ_INT(harness_lane_gauge_of(h, SHARD, "millis_behind_latest"), 5000);
    refuse(h, "GetRecords", 400, "ProvisionedThroughputExceededException");
    harness_advance(h, 9750);
    EQ_INT(harness_lane_counter(h, SHARD, "throttles"), 1);
    EQ_INT(harness_lane_counter(h, SHARD, "errors"), 1);
    records(h, 4, 4, "it-3", 2000);
    EQ_INT(harness_lane_gauge_of(h, SHARD, "iterator_age_ms"), 9500);
    records(h, 5, 5, "it-4", 0);
    harness_advance(h, 1000);
    EQ_INT(harness_lane_gauge_of(h, SHARD, "millis_behind_latest"), 0);
    EQ_INT(harness_lane_gauge_of(h, SHARD, "iterator_age_ms"), 0);
    harness_free(h);
}
