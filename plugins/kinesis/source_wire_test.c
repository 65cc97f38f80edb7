/* source_wire_test.c - what the kinesis source reads beside plain JSON: aggregates of the KPL, and
 * CBOR. */
#include "plugins/kinesis/source_test.h"

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

TEST(a_checkpoint_inside_an_aggregate_that_now_stays_whole_reads_it_again)
{
    struct harness *h = source(", deaggregate = false");

    harness_checkpoint(h, SHARD, "100", 1); /* 2 of its records and more may not be settled */
    list_one(h);
    records(h, 100, 101, "it-2", 0);
    harness_start(h);
    YES(body_has(h, "GetShardIterator", 0, "\"AT_SEQUENCE_NUMBER\""));
    REQUIRE(harness_out_count(h) == 2);
    EQ_STR(harness_out(h, 0)->sequence, "100");
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

/* ---- CBOR */

static void answer_cbor(struct harness *h, const char *operation, const struct kpw_buf *body)
{
    harness_answer(h, &(struct harness_reply){.aws = true,
                                              .match = operation,
                                              .status = 200,
                                              .body = body->ptr,
                                              .body_len = body->len});
}

/* Two records; the payload of the second is in chunks, as is its key; times with and without tag.
 */
static void records_cbor(struct harness *h)
{
    struct kpw_buf t = KPW_BUF_INIT;

    kpw_cbor_put_map_any(&t);
    kpw_cbor_put_cstr(&t, "Unknown");
    kpw_cbor_put_list(&t, 1);
    kpw_cbor_put_null(&t);
    kpw_cbor_put_cstr(&t, "Records");
    kpw_cbor_put_list_any(&t);
    kpw_cbor_put_map(&t, 4);
    kpw_cbor_put_cstr(&t, "Data");
    kpw_cbor_put_bytes(&t, "re\0rd", 5);
    kpw_cbor_put_cstr(&t, "PartitionKey");
    kpw_cbor_put_cstr(&t, "k1");
    kpw_cbor_put_cstr(&t, "SequenceNumber");
    kpw_cbor_put_cstr(&t, "101");
    kpw_cbor_put_cstr(&t, "ApproximateArrivalTimestamp");
    kpw_cbor_put_time_ms(&t, 1700000000123);
    kpw_cbor_put_map_any(&t);
    kpw_cbor_put_cstr(&t, "SequenceNumber");
    kpw_cbor_put_cstr(&t, "102");
    kpw_cbor_put_cstr(&t, "ApproximateArrivalTimestamp");
    kpw_cbor_put_uint(&t, 1700000000124);
    kpw_cbor_put_cstr(&t, "Data");
    kpw_buf_append(&t,
                   "\x5f\x42"
                   "ab"
                   "\x40\x43"
                   "cde"
                   "\xff",
                   10);
    kpw_cbor_put_cstr(&t, "PartitionKey");
    kpw_buf_append(&t,
                   "\x7f\x61k\x61"
                   "2"
                   "\xff",
                   6);
    kpw_cbor_put_break(&t);
    kpw_cbor_put_break(&t);
    kpw_cbor_put_cstr(&t, "NextShardIterator");
    kpw_cbor_put_cstr(&t, "it-2");
    kpw_cbor_put_cstr(&t, "MillisBehindLatest");
    kpw_cbor_put_uint(&t, 0);
    kpw_cbor_put_break(&t);
    answer_cbor(h, "GetRecords", &t);
    kpw_buf_fini(&t);
}

static const char *type_of(const struct harness *h, size_t nth)
{
    for (size_t i = 0; i < harness_requests(h); i++)
        if (strstr(harness_request_line(h, i), "GetRecords") && nth-- == 0)
            return harness_request_header(h, i, "content-type");
    return "";
}

TEST(records_are_read_in_cbor_where_the_endpoint_speaks_it)
{
    struct harness *h = source(", wire = 'auto'");

    list_one(h);
    records_cbor(h);
    harness_start(h);
    EQ_STR(type_of(h, 0), "application/x-amz-cbor-1.1");
    YES(!memcmp(request_of(h, "GetRecords", 0), "\xa2\x6dShardIterator\x64it-1\x65Limit\x18", 27));
    REQUIRE(harness_out_count(h) == 2);
    EQ_INT(harness_out(h, 0)->data_len, 5);
    YES(!memcmp(harness_out(h, 0)->data, "re\0rd", 5));
    EQ_STR(harness_out(h, 0)->key, "k1");
    EQ_INT(harness_out(h, 0)->arrival_ms, 1700000000123);
    EQ_STR(harness_out(h, 1)->data, "abcde");
    EQ_STR(harness_out(h, 1)->key, "k2");
    EQ_INT(harness_out(h, 1)->arrival_ms, 1700000000124);
    EQ_STR(harness_position(h, SHARD), "102");
    records_cbor(h);
    harness_advance(h, 300);
    EQ_STR(type_of(h, 1), "application/x-amz-cbor-1.1");
    harness_free(h);
}

TEST(an_endpoint_without_cbor_is_asked_again_in_json)
{
    struct harness *h = source(", wire = 'auto'");

    list_one(h);
    refuse(h, "GetRecords", 415, "UnsupportedMediaType");
    records(h, 1, 2, "it-2", 0);
    harness_start(h);
    EQ_INT(harness_out_count(h), 2);
    EQ_STR(type_of(h, 1), "application/x-amz-json-1.1");
    EQ_INT(harness_counter(h, "read_errors"), 0);
    harness_free(h);
    h = source(", wire = 'auto'"); /* understands CBOR and answers in JSON all the same */
    list_one(h);
    records(h, 1, 2, "it-2", 0);
    records(h, 3, 3, "it-3", 0);
    harness_start(h);
    harness_advance(h, 300);
    EQ_INT(harness_out_count(h), 3);
    EQ_STR(type_of(h, 0), "application/x-amz-cbor-1.1");
    EQ_STR(type_of(h, 1), "application/x-amz-json-1.1");
    harness_free(h);
}

TEST(a_failure_that_says_nothing_about_the_wire_does_not_decide_it)
{
    struct harness *h = source(", wire = 'auto'");

    list_one(h);
    refuse(h, "GetRecords", 500, "InternalFailure");
    records_cbor(h);
    harness_start(h);
    harness_advance(h, 2000);
    EQ_INT(harness_out_count(h), 2);
    EQ_STR(type_of(h, 1), "application/x-amz-cbor-1.1");
    harness_free(h);
}

TEST(an_endpoint_that_breaks_at_cbor_is_asked_in_json_after_some_tries)
{
    struct harness *h = source(", wire = 'auto'");

    list_one(h);
    for (int i = 0; i < 3; i++)
        refuse(h, "GetRecords", 502, "BadGateway");
    records(h, 1, 2, "it-2", 0);
    harness_start(h);
    harness_advance(h, 10000);
    EQ_INT(harness_out_count(h), 2);
    EQ_STR(type_of(h, 2), "application/x-amz-cbor-1.1");
    EQ_STR(type_of(h, 3), "application/x-amz-json-1.1");
    EQ_STR(type_of(h, 4), "application/x-amz-json-1.1");
    harness_free(h);
}

TEST(a_broken_cbor_answer_is_asked_for_again)
{
    static const struct kpw_slice broken[] = {
        KPW_LIT("\xa0"), /* no records */
        KPW_LIT("\xa1\x67Records\x81\xa1\x64"
                "Data\x41"
                "x"), /* no sequence number */
        KPW_LIT("\xa1\x67Records\x81\xa2\x64"
                "Data\x61x\x6eSequenceNumber\x61"
                "1"),                       /* text */
        KPW_LIT("\xa1\x67Records\x80\x00"), /* something behind it */
        KPW_LIT("\xa1\x67Records\x9f"),
    };

    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct harness *h = source(", wire = 'cbor'");
        struct kpw_buf body = {(char *)(uintptr_t)broken[i].ptr, broken[i].len, 0, 0, false};

        list_one(h);
        answer_cbor(h, "GetRecords", &body);
        records_cbor(h);
        harness_start(h);
        EQ_INT(harness_counter(h, "read_errors"), 1);
        harness_advance(h, 2000);
        EQ_INT(harness_out_count(h), 2);
        harness_free(h);
    }
}
