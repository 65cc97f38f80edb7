/* source_test.c - the kinesis source through the harness, the service's answers written by hand. */
#include "sdk/harness/harness.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/kpl.h"
#include "tests/kptest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM   "stream = k.resource.stream { name = 'orders', shards = 2 }"
#define ONE      "{\"ShardId\":\"shardId-000000000000\",\"HashKeyRange\":{\"StartingHashKey\":\"0\"}}"
#define TWO      "{\"ShardId\":\"shardId-000000000001\",\"HashKeyRange\":{\"StartingHashKey\":\"9\"}}"
#define ITERATOR "{\"ShardIterator\":\"it-1\"}"
#define SHARD    "shardId-000000000000"

static struct harness *source(const char *more)
{
    char options[500];

    snprintf(options, sizeof(options), "{ " STREAM "%s }", more);
    return harness_new("kinesis", KP_SOURCE, options);
}

static void answer(struct harness *h, const char *operation, const char *body)
{
    harness_aws_answer(h, operation, 200, NULL, body, 0);
}

static void refuse(struct harness *h, const char *operation, int status, const char *error)
{
    char body[300];

    snprintf(body, sizeof(body), "{\"__type\":\"%s\",\"message\":\"said the service\"}", error);
    harness_aws_answer(h, operation, status, error, body, 0);
}

/* One answer of GetRecords: records with sequence numbers from..to, "cmVjb3Jk" is "record". */
static void records(struct harness *h, int from, int to, const char *next, int behind_ms)
{
    char *body, iterator[100] = "";
    size_t len;
    FILE *out = open_memstream(&body, &len);

    REQUIRE(out != NULL);
    fputs("{\"Records\":[", out);
    for (int i = from; i <= to; i++)
        fprintf(out,
                "%s{\"SequenceNumber\":\"%d\",\"ApproximateArrivalTimestamp\":1700000000.25,"
                "\"Data\":\"cmVjb3Jk\",\"PartitionKey\":\"k%d\"}",
                i > from ? "," : "", i, i);
    if (next)
        snprintf(iterator, sizeof(iterator), "\"NextShardIterator\":\"%s\",", next);
    fprintf(out, "],%s\"MillisBehindLatest\":%d}", iterator, behind_ms);
    fclose(out);
    answer(h, "GetRecords", body);
    free(body);
}

static void list_one(struct harness *h)
{
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    answer(h, "GetShardIterator", ITERATOR);
}

/* The nth request of that operation (from 0), or NULL. */
static const char *request_of(const struct harness *h, const char *operation, size_t nth)
{
    for (size_t i = 0; i < harness_requests(h); i++)
        if (strstr(harness_request_line(h, i), operation) && nth-- == 0)
            return harness_request_body(h, i, &(size_t){0});
    return NULL;
}

static size_t requests_of(const struct harness *h, const char *operation)
{
    size_t n = 0;

    for (size_t i = 0; i < harness_requests(h); i++)
        n += strstr(harness_request_line(h, i), operation) != NULL;
    return n;
}

static bool body_has(const struct harness *h, const char *operation, size_t nth, const char *text)
{
    const char *body = request_of(h, operation, nth);

    return body && strstr(body, text);
}

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

/* ---- aggregates of the KPL */

/* An answer with an aggregate of users "0", "1", ... of key "k" between two plain records; `hash`
 * is the explicit hash key of all, or NULL. Sequence numbers 100, 101, 102. */
static void aggregate(struct harness *h, int n, const char *hash, bool is_damaged)
{
    struct kpw_kpl_writer w = {0};
    struct kpw_buf out = KPW_BUF_INIT, text = KPW_BUF_INIT;
    size_t len;

    for (int i = 0; i < n; i++) {
        char data[12];
        struct kpw_kpl_record r = {kpw_slice(data, (size_t)sprintf(data, "%d", i)),
                                   kpw_slice_cstr("k"), kpw_slice_cstr(hash)};

        REQUIRE(kpw_kpl_add(&w, &r));
    }
    kpw_kpl_finish(&w, &out);
    out.ptr[out.len - 1] ^= (char)is_damaged;
    kpw_buf_puts(&text, "{\"Records\":[{\"SequenceNumber\":\"100\",\"Data\":\"cmVjb3Jk\","
                        "\"PartitionKey\":\"first\"},{\"SequenceNumber\":\"101\","
                        "\"PartitionKey\":\"a\",\"Data\":\"");
    len = kpw_base64_encode(out.ptr, out.len, kpw_buf_reserve(&text, out.len * 2 + 4));
    text.len += len;
    kpw_buf_puts(&text, "\"},{\"SequenceNumber\":\"102\",\"Data\":\"cmVjb3Jk\","
                        "\"PartitionKey\":\"last\"}],\"NextShardIterator\":\"it-2\","
                        "\"MillisBehindLatest\":0}");
    answer(h, "GetRecords", kpw_buf_cstr(&text));
    kpw_buf_fini(&text);
    kpw_buf_fini(&out);
    kpw_kpl_writer_fini(&w);
}

TEST(aggregates_are_taken_apart)
{
    struct harness *h = source("");

    list_one(h);
    aggregate(h, 3, NULL, false);
    harness_start(h);
    REQUIRE(harness_out_count(h) == 5);
    EQ_STR(harness_out(h, 0)->key, "first");
    for (size_t i = 0; i < 3; i++) {
        const struct harness_record *r = harness_out(h, 1 + i);

        EQ_INT(r->data[0], '0' + (int)i);
        EQ_STR(r->key, "k");
        EQ_STR(r->sequence, "101");
        EQ_INT(r->sub_sequence, i);
    }
    EQ_STR(harness_out(h, 4)->sequence, "102");
    EQ_INT(harness_out(h, 4)->sub_sequence, 0);
    EQ_STR(harness_position(h, SHARD), "102");
    harness_free(h);
}

TEST(a_batch_may_end_inside_an_aggregate_and_so_does_its_checkpoint)
{
    struct harness *h = source(", batch = { records = 2 }");

    list_one(h);
    aggregate(h, 4, NULL, false); /* first 0 | 1 2 | 3 last */
    harness_hold(h, true);
    harness_start(h);
    REQUIRE(harness_out_count(h) == 6);
    for (size_t i = 0; i < 4; i++)
        harness_settle_out(h, i, KP_DELIVERED, NULL);
    EQ_STR(harness_position(h, SHARD), "101");
    EQ_INT(harness_position_sub(h, SHARD), 2);
    for (size_t i = 4; i < 6; i++)
        harness_settle_out(h, i, KP_DELIVERED, NULL);
    EQ_STR(harness_position(h, SHARD), "102");
    EQ_INT(harness_position_sub(h, SHARD), 0);
    harness_free(h);
}

TEST(a_checkpoint_inside_an_aggregate_goes_on_in_its_middle)
{
    struct harness *h = source("");

    harness_checkpoint(h, SHARD, "101", 1);
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    answer(h, "GetShardIterator", ITERATOR);
    aggregate(h, 4, NULL, false);
    refuse(h, "GetRecords", 400, "ExpiredIteratorException");
    answer(h, "GetShardIterator", ITERATOR);
    harness_start(h);
    harness_advance(h, 1000);
    YES(body_has(h, "GetShardIterator", 0,
                 "\"AT_SEQUENCE_NUMBER\",\"StartingSequenceNumber\":\"101\""));
    YES(body_has(h, "GetShardIterator", 1, "\"AFTER_SEQUENCE_NUMBER\"")); /* all of it is read */
    harness_free(h);
}

/* The service answers from the record of the checkpoint on. */
static void resume(uint64_t sub, int n, size_t want, const char *first, uint64_t first_sub)
{
    struct harness *h = source("");

    harness_checkpoint(h, SHARD, "100", sub);
    list_one(h);
    if (n)
        aggregate(h, n, NULL, false);
    else
        records(h, 100, 102, "it-2", 0);
    harness_start(h);
    EQ_INT(harness_out_count(h), want);
    if (want) {
        EQ_STR(harness_out(h, 0)->sequence, first);
        EQ_INT(harness_out(h, 0)->sub_sequence, first_sub);
    }
    EQ_STR(harness_position(h, SHARD), "102");
    harness_free(h);
}

TEST(the_settled_record_of_a_checkpoint_is_left_out)
{
    struct harness *h;

    resume(0, 0, 2, "101", 0);
    resume(0, 3, 4, "101", 0); /* "100" is plain here */
    resume(7, 3, 4, "101", 0); /* whatever the checkpoint thought it was */
    /* an aggregate that is settled in part, as it comes first */
    h = source("");
    harness_checkpoint(h, SHARD, "5", 1);
    list_one(h);
    answer(h, "GetRecords",
           "{\"Records\":[{\"SequenceNumber\":\"5\",\"PartitionKey\":\"a\",\"Data\":\""
           "84mawgoBYQoBYhoFCAAaATAaBQgBGgExGgUIARoBMuy1Es2+Rs2Za2tB6GoQnwg=\"}],"
           "\"NextShardIterator\":\"it-2\",\"MillisBehindLatest\":0}");
    harness_start(h);
    REQUIRE(harness_out_count(h) == 1);
    EQ_STR(harness_out(h, 0)->data, "2");
    EQ_INT(harness_out(h, 0)->sub_sequence, 2);
    EQ_INT(harness_position_sub(h, SHARD), 2);
    harness_free(h);
}

TEST(a_damaged_aggregate_is_a_plain_record)
{
    struct harness *h = source("");

    list_one(h);
    aggregate(h, 3, NULL, true);
    harness_start(h);
    REQUIRE(harness_out_count(h) == 3);
    EQ_STR(harness_out(h, 1)->key, "a");
    EQ_INT(harness_out(h, 1)->data_len, KPW_KPL_OVERHEAD + 3 + 3 * 7);
    harness_free(h);
}

TEST(aggregates_stay_whole_when_the_file_says_so)
{
    struct harness *h = source(", deaggregate = false");

    list_one(h);
    aggregate(h, 3, NULL, false);
    harness_start(h);
    REQUIRE(harness_out_count(h) == 3);
    EQ_STR(harness_out(h, 1)->key, "a");
    harness_free(h);
}

TEST(an_aggregate_with_a_record_of_another_shard_is_left_out_whole)
{
    static const char *const hashes[] = {"9", "10", "20", "21"};

    for (int i = 0; i < 4; i++) {
        struct harness *h = source("");

        answer(h, "ListShards",
               "{\"Shards\":[{\"ShardId\":\"" SHARD
               "\",\"HashKeyRange\":{\"StartingHashKey\":\"10\","
               "\"EndingHashKey\":\"20\"}}]}");
        answer(h, "GetShardIterator", ITERATOR);
        aggregate(h, 2, hashes[i], false);
        harness_start(h);
        EQ_INT(harness_out_count(h), i == 1 || i == 2 ? 4 : 2);
        EQ_STR(harness_position(h, SHARD), "102");
        harness_free(h);
    }
}

TEST(hash_keys_are_the_md5_of_the_partition_key)
{
    static const char *const ranges[] = {/* MD5("k") = 8ce4b16b22b58894aa86c421e8759df3 */
                                         "\"187279361568289349169310600456257773043\"",
                                         "\"187279361568289349169310600456257773044\""};

    for (int i = 0; i < 2; i++) {
        struct harness *h = source("");
        char list[300];

        snprintf(list, sizeof list,
                 "{\"Shards\":[{\"ShardId\":\"" SHARD "\",\"HashKeyRange\":{\"StartingHashKey\":%s,"
                 "\"EndingHashKey\":\"340282366920938463463374607431768211455\"}}]}",
                 ranges[i]);
        answer(h, "ListShards", list);
        answer(h, "GetShardIterator", ITERATOR);
        aggregate(h, 2, NULL, false);
        harness_start(h);
        EQ_INT(harness_out_count(h), i == 0 ? 4 : 2);
        harness_free(h);
    }
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
    records(h, 9, 9, "two-2", 0);
    records(h, 1, 0, "it-4", 0);
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
    EQ_INT(requests_of(h, "ListShards"), 2);
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

TEST(a_merged_shard_waits_for_both_parents)
{
    struct harness *h = source("");

    answer(h, "ListShards",
           "{\"Shards\":[" ONE "," TWO
           ",{\"ShardId\":\"shardId-000000000002\",\"ParentShardId\":\"shardId-000000000000\","
           "\"AdjacentParentShardId\":\"shardId-000000000001\"}]}");
    answer(h, "GetShardIterator", ITERATOR);
    answer(h, "GetShardIterator", ITERATOR);
    records(h, 1, 1, NULL, 0);
    records(h, 2, 2, "more", 0);
    harness_start(h);
    EQ_INT(requests_of(h, "GetShardIterator"), 2);
    records(h, 3, 3, NULL, 0);
    answer(h, "ListShards", "{\"Shards\":[]}"); /* both left the list meanwhile */
    harness_advance(h, 2000);
    EQ_INT(requests_of(h, "GetShardIterator"), 3);
    YES(body_has(h, "GetShardIterator", 2, "\"shardId-000000000002\""));
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

TEST(one_answer_is_read_ahead_while_the_lane_is_busy)
{
    struct harness *h = source("");

    list_one(h);
    for (int i = 0; i < 5; i++)
        records(h, i * 3000 + 1, i * 3000 + 3000, "it", 1000);
    harness_hold(h, true); /* the lane takes 10,000 */
    harness_start(h);
    harness_advance(h, 5000);
    YES(harness_out_count(h) >= 10000);
    EQ_INT(requests_of(h, "GetRecords"), harness_out_count(h) / 3000 + 1);
    harness_free(h);
}

TEST(an_answer_that_does_not_fit_is_asked_for_in_smaller_pieces)
{
    struct harness *h = source("");
    size_t size = 600 * 1024;
    char *big = malloc(size + 1);
    const char *first, *second;

    REQUIRE(big != NULL);
    memset(big, ' ', size);
    big[size] = 0;
    list_one(h);
    answer(h, "GetRecords", big);
    records(h, 1, 1, "it-2", 0);
    harness_start(h);
    harness_advance(h, 10000);
    EQ_INT(harness_out_count(h), 1);
    first = request_of(h, "GetRecords", 0);
    second = request_of(h, "GetRecords", 1);
    REQUIRE(first && second);
    YES(atoi(strstr(second, "\"Limit\":") + 8) < atoi(strstr(first, "\"Limit\":") + 8) / 2);
    harness_free(h);
    free(big);
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
