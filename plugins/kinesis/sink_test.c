/* sink_test.c - the kinesis sink through the harness: what is sent, what is sent again, who is
 * told. */
#include "sdk/harness/harness.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/kpl.h"
#include "tests/kptest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM  "stream = k.resource.stream { name = 'orders', shards = 2 }"
#define OK(seq) "{\"SequenceNumber\":\"" seq "\",\"ShardId\":\"shardId-000000000001\"}"
#define THROTTLE                                                                         \
    "{\"ErrorCode\":\"ProvisionedThroughputExceededException\",\"ErrorMessage\":\"Rate " \
    "exceeded\"}"

static struct harness *sink(const char *more)
{
    char options[600];

    snprintf(options, sizeof(options), "{ " STREAM "%s }", more);
    return harness_new("kinesis", KP_SINK, options);
}

static void answer(struct harness *h, const char *entries)
{
    char body[4000];

    snprintf(body, sizeof(body), "{\"FailedRecordCount\":0,\"Records\":[%s]}", entries);
    harness_aws_answer(h, "PutRecords", 200, NULL, body, 0);
}

static void answer_many(struct harness *h, int n)
{
    char *body;
    size_t len;
    FILE *out = open_memstream(&body, &len);

    REQUIRE(out != NULL);
    fputs("{\"FailedRecordCount\":0,\"Records\":[", out);
    for (int i = 0; i < n; i++)
        fprintf(out, "%s{\"SequenceNumber\":\"%d\",\"ShardId\":\"shardId-000000000000\"}",
                i ? "," : "", i + 1);
    fputs("],\"EncryptionType\":\"NONE\"}", out);
    fclose(out);
    harness_aws_answer(h, "PutRecords", 200, NULL, body, 0);
    free(body);
}

static void refuse(struct harness *h, int status, const char *error)
{
    char body[300];

    snprintf(body, sizeof(body), "{\"__type\":\"%s\",\"message\":\"said the service\"}", error);
    harness_aws_answer(h, "PutRecords", status, error, body, 0);
}

static bool body_is(const struct harness *h, size_t i, const char *text)
{
    size_t len;
    const char *body = harness_request_body(h, i, &len);

    return len == strlen(text) && memcmp(body, text, len) == 0;
}

static bool body_has(const struct harness *h, size_t i, const char *text)
{
    size_t len;
    const char *body = harness_request_body(h, i, &len);

    return memmem(body, len, text, strlen(text)) != NULL;
}

static int entries_in(const struct harness *h, size_t i)
{
    size_t len;
    const char *body = harness_request_body(h, i, &len), *end = body + len;
    int n = 0;

    while ((body = memmem(body, (size_t)(end - body), "\"Data\"", 6))) {
        body += 6;
        n++;
    }
    return n;
}

/* [owned by caller] n records "r0", "r1" ... */
static const char **many(int n)
{
    const char **list = calloc((size_t)n + 1, sizeof(*list));

    REQUIRE(list != NULL);
    for (int i = 0; i < n; i++) {
        char text[16];

        snprintf(text, sizeof(text), "r%d", i);
        list[i] = strdup(text);
    }
    return list;
}

static void free_many(const char **list)
{
    for (int i = 0; list[i]; i++)
        free((char *)(uintptr_t)list[i]);
    free(list);
}

TEST(a_request_is_exactly_what_the_service_reads)
{
    struct harness *h = sink(", linger = '0ms'");

    answer(h, OK("77"));
    harness_feed_one(h, "a", "hello", "key \"1\"\n");
    EQ_INT(harness_requests(h), 1);
    EQ_STR(harness_request_header(h, 0, "x-amz-target"), "Kinesis_20131202.PutRecords");
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
    EQ_INT(harness_requests(h), 0);
    harness_advance(h, 99);
    EQ_INT(harness_requests(h), 0);
    answer_many(h, 3);
    harness_advance(h, 1);
    EQ_INT(harness_requests(h), 1);
    EQ_INT(entries_in(h, 0), 3);
    EQ_INT(harness_count(h, KP_DELIVERED), 3);
    harness_free(h);
}

TEST(flush_sends_without_lingering)
{
    struct harness *h = sink(", linger = '1m'");

    harness_feed(h, "a", (const char *const[]){"1", NULL});
    EQ_INT(harness_requests(h), 0);
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
    EQ_INT(harness_requests(h), 1);
    EQ_INT(entries_in(h, 0), 500);
    answer_many(h, 500);
    harness_advance(h, 0);
    EQ_INT(harness_requests(h), 2);
    answer_many(h, 500);
    answer_many(h, 200);
    harness_advance(h, 0); /* the rest does not linger: its batch is under way */
    EQ_INT(harness_requests(h), 3);
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
    EQ_INT(harness_requests(h), 2);
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
    EQ_INT(harness_requests(h), 1);
    answer(h, OK("3") "," OK("4"));
    harness_advance(h, 2000);
    EQ_INT(harness_requests(h), 2);
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
    EQ_INT(harness_requests(h), 1);
    answer_many(h, 2);
    harness_advance(h, 2000);
    EQ_INT(harness_requests(h), 2);
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
    EQ_INT(harness_requests(h), 1);
    harness_advance(h, 20000);
    EQ_INT(harness_requests(h), 4);
    EQ_INT(harness_count(h, KP_DELIVERED), 2);
    harness_free(h);
}

TEST(a_stream_that_never_takes_them_gives_the_records_back)
{
    struct harness *h = sink(", linger = '0ms', attempts = 3");

    for (int i = 0; i < 3; i++)
        answer(h, THROTTLE);
    harness_feed(h, "a", (const char *const[]){"1", NULL});
    harness_advance(h, 60000);
    EQ_INT(harness_requests(h), 3);
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
    YES(harness_requests(h) >= 3);
    YES(harness_requests(h) <= 25);
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
    EQ_INT(harness_requests(h), 0);
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

    h = sink(", linger = '0ms', hash_key = '340282366920938463463374607431768211456'");
    harness_feed_one(h, "a", "x", "own");
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    harness_free(h);
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
    EQ_INT(harness_requests(h), 2);
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    YES(strstr(harness_reason(h, 0), "InternalFailure") != NULL);
    harness_free(h);
}

TEST(an_answer_that_never_comes_is_tried_again_and_counts_once)
{
    struct harness *h = sink(", linger = '0ms'");

    harness_feed(h, "a", (const char *const[]){"1", "2", NULL});
    EQ_INT(harness_requests(h), 1);
    harness_advance(h, 31000); /* longer than one attempt may take */
    EQ_INT(harness_requests(h), 2);
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
    EQ_INT(harness_requests(h), 0);
    harness_advance(h, 50);
    EQ_INT(harness_requests(h), 1); /* a linger after the first */
    EQ_INT(entries_in(h, 0), 5);
    harness_feed_one(h, "a", "y", "k");
    harness_feed_one(h, "a", "z", "k");
    harness_advance(h, 1000);
    EQ_INT(harness_requests(h), 1); /* one request of a lane at a time */
    answer_many(h, 5);
    harness_advance(h, 0);
    EQ_INT(harness_requests(h), 2); /* they have lingered long enough */
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
    EQ_INT(harness_requests(h), 1);
    harness_feed_one(h, "b", "4", "k"); /* another lane may */
    EQ_INT(harness_requests(h), 2);
    YES(body_has(h, 1, "\"NA==\""));
    answer_many(h, 1);
    harness_advance(h, 5000);
    EQ_INT(harness_requests(h), 3);
    YES(body_has(h, 2, "[{\"Data\":\"Mg==\"")); /* "2", then "3" behind it */
    EQ_INT(entries_in(h, 2), 2);
    answer_many(h, 2);
    EQ_INT(harness_count(h, KP_DELIVERED), 4);
    harness_free(h);
}

TEST(what_is_behind_a_batch_that_goes_back_goes_back_too)
{
    struct harness *h = sink(", linger = '0ms', attempts = 2");

    answer(h, THROTTLE);
    harness_feed_one(h, "a", "1", "k");
    harness_feed_one(h, "a", "2", "k");
    EQ_INT(harness_requests(h), 1);
    answer(h, THROTTLE "," THROTTLE);
    harness_advance(h, 10000);
    EQ_INT(harness_requests(h), 2);
    EQ_INT(harness_outcome(h, 0), KP_RETRY); /* twice without success */
    EQ_INT(harness_outcome(h, 1), KP_RETRY); /* only once, but it must not overtake */
    harness_free(h);
}

/* ---- aggregates. Of 2^128, "low" shards take the first half; MD5("a") begins with 0c, "b" 92, "c"
 * 4a, "d" 82, "e" e1: a and c are in the first half, the others in the second. */

#define HALF  "170141183460469231731687303715884105728"
#define BELOW "170141183460469231731687303715884105727"
#define LAST  "340282366920938463463374607431768211455"
#define LISTED(id, low, high, rest)                                                           \
    "{\"ShardId\":\"shardId-00000000000" id "\",\"HashKeyRange\":{\"StartingHashKey\":\"" low \
    "\",\"EndingHashKey\":\"" high "\"}," rest "}"
#define OPEN "\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"1\"}"
#define CLOSED \
    "\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"1\",\"EndingSequenceNumber\":\"9\"}"
#define TWO_SHARDS \
    "{\"Shards\":[" LISTED("1", HALF, LAST, OPEN) "," LISTED("0", "0", BELOW, OPEN) "]}"

static void list(struct harness *h, const char *body)
{
    harness_aws_answer(h, "ListShards", 200, NULL, body, 0);
}

/* A sink that knows its two shards. */
static struct harness *aggregating(const char *more)
{
    char options[300];
    struct harness *h;

    snprintf(options, sizeof(options), ", aggregate = true, linger = '10ms'%s", more);
    h = sink(options);
    list(h, TWO_SHARDS);
    answer(h, OK("1"));
    harness_feed_one(h, "warm", "{}", "b");
    harness_advance(h, 10);
    EQ_INT(harness_count(h, KP_DELIVERED), 1);
    return h;
}

/* One batch; each record's key is its payload. */
static void feed_keyed(struct harness *h, const char *lane, const char *keys)
{
    struct harness_input inputs[16] = {0};
    char texts[16][2] = {0};
    size_t n = 0;

    for (; keys[n]; n++) {
        texts[n][0] = keys[n];
        inputs[n].data = inputs[n].key = texts[n];
    }
    harness_feed_records(h, lane, inputs, n);
}

/* What the nth entry of the last PutRecords holds: "abc" of the user records' data, in `out`; its
 * keys as "key/hash". */
static void entry_of(const struct harness *h, int nth, char out[200])
{
    size_t len, n, last = harness_requests(h) - 1;
    const char *body, *at, *end;
    struct kpw_kpl_reader reader = {0};
    char data[2000];

    while (!strstr(harness_request_line(h, last), "PutRecords"))
        last--;
    body = at = harness_request_body(h, last, &len);
    for (int i = 0; i <= nth; i++) {
        at = memmem(at, len - (size_t)(at - body), "\"Data\":\"", 8);
        REQUIRE(at != NULL);
        at += 8;
    }
    end = strchr(at, '"');
    REQUIRE(kpw_base64_decode(at, (size_t)(end - at), data, &n));
    if (kpw_kpl_read(&reader, data, n) == KPW_KPL_AGGREGATE) {
        for (size_t i = 0; i < reader.n; i++)
            *out++ = reader.records[i].data.ptr[0];
        *out = 0;
    } else {
        out += sprintf(out, "plain %.*s", (int)n, data);
    }
    sprintf(out, " %.*s", (int)(strchr(end, '}') - end - 2), end + 2);
    kpw_kpl_reader_fini(&reader);
}

#define ENTRY_IS(h, nth, text)  \
    do {                        \
        char got_[200];         \
        entry_of(h, nth, got_); \
        EQ_STR(got_, text);     \
    } while (0)

#define TAKEN(shard, seq) \
    "{\"SequenceNumber\":\"" seq "\",\"ShardId\":\"shardId-00000000000" shard "\"}"

TEST(records_are_aggregated_for_the_shard_their_hash_key_belongs_to)
{
    struct harness *h = aggregating("");

    answer(h, TAKEN("0", "10") "," TAKEN("1", "20"));
    feed_keyed(h, "x", "aacebd");
    harness_advance(h, 10);
    ENTRY_IS(
        h, 0,
        "aac "
        "\"PartitionKey\":\"a\",\"ExplicitHashKey\":\"16955237001963240173058271559858726497\"");
    ENTRY_IS(
        h, 1,
        "ebd "
        "\"PartitionKey\":\"a\",\"ExplicitHashKey\":\"299611584147932843547128611849858313266\"");
    EQ_INT(harness_count(h, KP_DELIVERED), 7); /* one ticket a user record */
    EQ_INT(harness_receipt(h, 1)->sequence.len, 2);
    YES(!memcmp(harness_receipt(h, 3)->sequence.ptr, "10", 2));
    YES(!memcmp(harness_receipt(h, 4)->sequence.ptr, "20", 2));
    YES(!memcmp(harness_receipt(h, 4)->shard.ptr, "shardId-000000000001", 20));
    harness_free(h);
}

TEST(until_the_shards_are_known_and_alone_records_go_as_they_are)
{
    struct harness *h = sink(", aggregate = true, linger = '10ms'");

    answer(h, TAKEN("0", "1") "," TAKEN("0", "2"));
    feed_keyed(h, "x", "ac"); /* ListShards is not answered yet */
    harness_advance(h, 10);
    ENTRY_IS(h, 0, "plain a \"PartitionKey\":\"a\"");
    ENTRY_IS(h, 1, "plain c \"PartitionKey\":\"c\"");
    list(h, TWO_SHARDS);
    answer(h, TAKEN("0", "3"));
    feed_keyed(h, "x", "c");
    harness_advance(h, 10);
    ENTRY_IS(h, 0, "plain c \"PartitionKey\":\"c\"");
    EQ_INT(harness_count(h, KP_DELIVERED), 3);
    harness_free(h);
}

TEST(an_aggregate_ends_at_its_size_and_at_its_count)
{
    struct harness *h = aggregating(", aggregate_count = 2");

    answer(h, TAKEN("0", "1") "," TAKEN("0", "2") "," TAKEN("0", "3"));
    feed_keyed(h, "x", "aaaca");
    harness_advance(h, 10);
    ENTRY_IS(
        h, 0,
        "aa \"PartitionKey\":\"a\",\"ExplicitHashKey\":\"16955237001963240173058271559858726497\"");
    ENTRY_IS(
        h, 1,
        "ac \"PartitionKey\":\"a\",\"ExplicitHashKey\":\"16955237001963240173058271559858726497\"");
    ENTRY_IS(h, 2, "plain a \"PartitionKey\":\"a\"");
    EQ_INT(harness_count(h, KP_DELIVERED), 6);
    harness_free(h);
    h = aggregating(", aggregate_size = '64B'"); /* 20 and 7 + 3 a record, counted with care */
    answer(h, TAKEN("0", "1") "," TAKEN("0", "2"));
    feed_keyed(h, "x", "aaaaa");
    harness_advance(h, 10);
    ENTRY_IS(
        h, 0,
        "aaaa "
        "\"PartitionKey\":\"a\",\"ExplicitHashKey\":\"16955237001963240173058271559858726497\"");
    ENTRY_IS(h, 1, "plain a \"PartitionKey\":\"a\"");
    EQ_INT(harness_count(h, KP_DELIVERED), 6);
    harness_free(h);
}

TEST(a_throttled_aggregate_goes_again_in_the_order_of_its_records)
{
    struct harness *h = aggregating("");

    answer(h, THROTTLE "," TAKEN("1", "2"));
    feed_keyed(h, "x", "abca");
    harness_advance(h, 10);
    EQ_INT(harness_count(h, KP_DELIVERED), 1); /* the batch is in hand */
    answer(h, TAKEN("0", "3"));
    harness_advance(h, 3000);
    ENTRY_IS(
        h, 0,
        "aca "
        "\"PartitionKey\":\"a\",\"ExplicitHashKey\":\"16955237001963240173058271559858726497\"");
    EQ_INT(harness_count(h, KP_DELIVERED), 5);
    harness_free(h);
}

TEST(an_aggregate_that_a_merged_shard_took_is_delivered_once)
{
    struct harness *h = aggregating("");

    answer(h, TAKEN("2", "10") "," TAKEN("2", "20"));
    feed_keyed(h, "x", "acbd");
    harness_advance(h, 10);
    EQ_INT(harness_count(h, KP_DELIVERED), 1); /* until the range of shard 2 is known */
    list(h, "{\"Shards\":[" LISTED("0", "0", BELOW, CLOSED) "," LISTED(
                "1", HALF, LAST, CLOSED) "," LISTED("2", "0", LAST, OPEN) "]}");
    harness_advance(h, 0);
    EQ_INT(harness_count(h, KP_DELIVERED), 5);
    EQ_INT(harness_counter(h, "wrong_shard_records"), 4);
    YES(!memcmp(harness_receipt(h, 3)->sequence.ptr, "20", 2));
    answer(h, TAKEN("2", "30"));
    feed_keyed(h, "x", "ab");
    harness_advance(h, 10);
    ENTRY_IS(
        h, 0,
        "ab \"PartitionKey\":\"a\",\"ExplicitHashKey\":\"16955237001963240173058271559858726497\"");
    EQ_INT(harness_count(h, KP_DELIVERED), 7);
    harness_free(h);
}

TEST(an_aggregate_that_is_half_in_a_split_shard_is_written_again_for_both)
{
    struct harness *h = aggregating("");

    /* c (4a...) is behind the new border at 2^126, a (0c...) is before it */
    answer(h, TAKEN("2", "10"));
    feed_keyed(h, "x", "aca");
    harness_advance(h, 10);
    EQ_INT(harness_count(h, KP_DELIVERED), 1);
    answer(h, TAKEN("2", "11") "," TAKEN("3", "21"));
    list(h, "{\"Shards\":[" LISTED("0", "0", BELOW, CLOSED) "," LISTED(
                "1", HALF, LAST,
                OPEN) "," LISTED("2", "0", "85070591730234615865843651857942052863",
                                 OPEN) "," LISTED("3", "85070591730234615865843651857942052864",
                                                  BELOW, OPEN) "]}");
    harness_advance(h, 10);
    ENTRY_IS(
        h, 0,
        "aa \"PartitionKey\":\"a\",\"ExplicitHashKey\":\"16955237001963240173058271559858726497\"");
    ENTRY_IS(h, 1, "plain c \"PartitionKey\":\"c\"");
    EQ_INT(harness_count(h, KP_DELIVERED), 4);
    harness_free(h);
}

TEST(a_map_that_is_older_than_the_change_is_loaded_again)
{
    struct harness *h = aggregating("");

    answer(h, TAKEN("2", "10"));
    feed_keyed(h, "x", "aa");
    list(h, TWO_SHARDS); /* the listing lags behind */
    list(h, TWO_SHARDS);
    list(h, "{\"Shards\":[" LISTED("2", "0", LAST, OPEN) "]}");
    harness_advance(h, 10);
    EQ_INT(harness_count(h, KP_DELIVERED), 3);
    harness_free(h);
}

TEST(explicit_hash_keys_choose_the_shard_and_stay_with_the_record)
{
    struct harness *h = aggregating(", hash_key = k.field '$.h', partition_key = k.field '$.p'");

    answer(h, TAKEN("0", "1") "," TAKEN("1", "2"));
    harness_feed(h, "x",
                 (const char *const[]){"{\"h\":\"7\",\"p\":\"b\"}",
                                       "{\"h\":\"" HALF "\",\"p\":\"a\"}",
                                       "{\"h\":\"8\",\"p\":\"b\"}", NULL});
    harness_advance(h, 10);
    ENTRY_IS(h, 0, "{{ \"PartitionKey\":\"a\",\"ExplicitHashKey\":\"7\"");
    {
        char got[200];

        entry_of(h, 1, got);
        YES(strstr(got, "\"PartitionKey\":\"a\",\"ExplicitHashKey\":\"" HALF "\"") != NULL);
    }
    EQ_INT(harness_count(h, KP_DELIVERED), 4);
    harness_free(h);
}

TEST(a_record_that_is_refused_as_a_whole_request_is_found_among_aggregates)
{
    struct harness *h = aggregating("");

    for (int i = 0; i < 3; i++) /* abab, ab, a */
        refuse(h, 400, "ValidationException");
    answer(h, TAKEN("1", "2") "," TAKEN("0", "3")); /* bb, a */
    feed_keyed(h, "x", "abab");
    harness_advance(h, 10);
    EQ_INT(harness_count(h, KP_DELIVERED), 4);
    EQ_INT(harness_count(h, KP_REJECTED), 1);
    EQ_INT(harness_outcome(h, 1), KP_REJECTED);
    harness_free(h);
}
