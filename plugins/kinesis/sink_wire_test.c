/* sink_wire_test.c - what the kinesis sink writes beside plain JSON: aggregates of the KPL, and
 * CBOR. */
#include "plugins/kinesis/sink_test.h"

/* ---- aggregates */

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

/* What the nth entry of the last PutRecords holds: "abc" of the user records' data, in `out`; its
 * keys as "key/hash". */
static void entry_of(const struct harness *h, int nth, char out[200])
{
    size_t len, n, last = n_puts(h) - 1;
    const char *body, *at, *end;
    struct kpw_kpl_reader reader = {0};
    char data[2000];

    body = at = put_body(h, last, &len);
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
    struct harness *h = aggregating(", aggregate_count = 2, order = 'none'");

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
    h = aggregating(
        ", aggregate_size = '64B', order = 'none'"); /* 20 and 7 + 3 a record, counted with care */
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
    harness_advance(h, 10);
    EQ_INT(harness_counter(h, "shard_maps"), 2);
    harness_advance(h, 980);
    EQ_INT(harness_counter(h, "shard_maps"), 2); /* the last one brought nothing: a second passes */
    harness_advance(h, 20);
    EQ_INT(harness_counter(h, "shard_maps"), 3);
    list(h, "{\"Shards\":[" LISTED("2", "0", LAST, OPEN) "]}");
    harness_advance(h, 1400);
    EQ_INT(harness_counter(h, "shard_maps"), 3);
    EQ_INT(harness_count(h, KP_DELIVERED), 1);
    harness_advance(h, 100); /* a second and a half */
    EQ_INT(harness_counter(h, "shard_maps"), 4);
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

    refuse(h, 400, "ValidationException"); /* aabb */
    refuse(h, 400, "ValidationException"); /* a */
    answer(h, TAKEN("1", "2"));            /* b */
    answer(h, TAKEN("0", "3"));            /* the other a */
    answer(h, TAKEN("1", "4"));
    feed_keyed(h, "x", "abab");
    harness_advance(h, 10);
    EQ_INT(harness_count(h, KP_DELIVERED), 4);
    EQ_INT(harness_count(h, KP_REJECTED), 1);
    EQ_INT(harness_outcome(h, 1), KP_REJECTED);
    harness_free(h);
}

/* ---- CBOR */

static void taken_cbor(struct harness *h)
{
    static const char body[] = "\xbf\x67Records\x9f\xbf\x67ShardId\x61"
                               "0"
                               "\x6eSequenceNumber\x62"
                               "77"
                               "\xff\xa2\x69"
                               "ErrorCode\x6fInternalFailure\x6c"
                               "ErrorMessage\x60\xff\xff";

    harness_answer(h, &(struct harness_reply){.aws = true,
                                              .match = "PutRecords",
                                              .status = 200,
                                              .body = body,
                                              .body_len = sizeof body - 1});
}

TEST(payloads_go_out_as_they_are_in_cbor)
{
    static const char want[] = "\xa2\x6aStreamName\x66orders\x67Records\x9f"
                               "\xa2\x64"
                               "Data\x45hello\x6cPartitionKey\x61k"
                               "\xa2\x64"
                               "Data\x40\x6cPartitionKey\x63\xe2\x82\xac\xff";
    struct harness *h = sink(", wire = 'auto', linger = '0ms'");
    size_t len;
    const char *body;

    taken_cbor(h);
    harness_feed_records(h, "a",
                         (struct harness_input[]){{.data = "hello", .key = "k"},
                                                  {.data = "", .key = "\xe2\x82\xac"}},
                         2);
    EQ_STR(harness_request_header(h, put_at(h, 0), "content-type"), "application/x-amz-cbor-1.1");
    body = put_body(h, 0, &len);
    EQ_INT(len, sizeof want - 1);
    YES(len == sizeof want - 1 && !memcmp(body, want, len));
    answer(h, OK("78")); /* JSON from now on would be read too */
    harness_advance(h, 2000);
    EQ_INT(harness_count(h, KP_DELIVERED), 2);
    YES(!memcmp(harness_receipt(h, 0)->sequence.ptr, "77", 2));
    YES(!memcmp(harness_receipt(h, 1)->sequence.ptr, "78", 2));
    harness_free(h);
}

TEST(an_endpoint_without_cbor_gets_the_same_records_in_json)
{
    struct harness *h = sink(", wire = 'auto', linger = '0ms'");

    refuse(h, 415, "UnsupportedMediaType");
    answer_many(h, 2);
    harness_feed(h, "a", (const char *const[]){"1", "2", NULL});
    harness_advance(h, 0);
    EQ_INT(n_puts(h), 2);
    EQ_STR(harness_request_header(h, put_at(h, 1), "content-type"), "application/x-amz-json-1.1");
    EQ_INT(harness_count(h, KP_DELIVERED), 2);
    EQ_INT(harness_counter(h, "put_errors"), 0);
    harness_free(h);
}

/* Emulators and proxies that answer every request in CBOR with 500 or 502. */
TEST(an_endpoint_that_breaks_at_cbor_gets_json_after_some_tries)
{
    struct harness *h = sink(", wire = 'auto', linger = '0ms'");

    for (int i = 0; i < 3; i++)
        refuse(h, 502, "BadGateway");
    answer_many(h, 1);
    harness_feed(h, "a", (const char *const[]){"1", NULL});
    harness_advance(h, 10000);
    EQ_INT(n_puts(h), 4);
    EQ_STR(harness_request_header(h, put_at(h, 2), "content-type"), "application/x-amz-cbor-1.1");
    EQ_STR(harness_request_header(h, put_at(h, 3), "content-type"), "application/x-amz-json-1.1");
    EQ_INT(harness_count(h, KP_DELIVERED), 1);
    answer_many(h, 1);
    refuse(h, 502, "BadGateway"); /* what is known stays so */
    harness_feed(h, "a", (const char *const[]){"2", NULL});
    harness_feed(h, "a", (const char *const[]){"3", NULL});
    harness_advance(h, 10000);
    EQ_STR(harness_request_header(h, put_at(h, n_puts(h) - 1), "content-type"),
           "application/x-amz-json-1.1");
    harness_free(h);
}

TEST(a_service_that_is_down_is_tried_in_both_forms)
{
    struct harness *h = sink(", wire = 'auto', linger = '0ms', record_ttl = '10m'");

    for (int i = 0; i < 6; i++)
        refuse(h, 503, "ServiceUnavailable");
    taken_cbor(h); /* the first of two */
    answer_many(h, 1);
    harness_feed(h, "a", (const char *const[]){"1", "2", NULL});
    harness_advance(h, 60000);
    EQ_INT(n_puts(h), 8);
    EQ_STR(harness_request_header(h, put_at(h, 3), "content-type"), "application/x-amz-json-1.1");
    EQ_STR(harness_request_header(h, put_at(h, 6), "content-type"), "application/x-amz-cbor-1.1");
    EQ_INT(harness_count(h, KP_DELIVERED), 2);
    harness_free(h);
}

TEST(a_hash_key_goes_along_in_cbor)
{
    struct harness *h = sink(", wire = 'cbor', linger = '0ms', hash_key = '12'");

    taken_cbor(h);
    harness_feed_one(h, "a", "x", "k");
    YES(body_has(h, 0,
                 "\x6f"
                 "ExplicitHashKey\x62"
                 "12"));
    harness_free(h);
}
