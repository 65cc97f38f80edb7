/* source_fanout_test.c - the kinesis source with enhanced fan-out: consumer, subscriptions, events.
 */
#include "plugins/kinesis/source_test.h"
#include "sdk/wire/eventstream.h"

#define ARN     "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
#define ARN_C   ARN "/consumer/app:1"
#define FAN_OUT ", mode = 'fan-out', consumer = 'app'"

static void summary(struct harness *h)
{
    answer(h, "DescribeStreamSummary",
           "{\"StreamDescriptionSummary\":{\"StreamARN\":\"" ARN "\"}}");
}

static void consumer(struct harness *h, const char *status)
{
    char body[300];

    snprintf(body, sizeof(body),
             "{\"ConsumerDescription\":{\"ConsumerARN\":\"" ARN_C "\",\"ConsumerStatus\":\"%s\"}}",
             status);
    answer(h, "DescribeStreamConsumer", body);
}

/* A source whose one shard is subscribed to. */
static struct harness *subscribed(const char *more)
{
    char options[200];
    struct harness *h;

    snprintf(options, sizeof(options), FAN_OUT "%s", more);
    h = source(options);
    summary(h);
    consumer(h, "ACTIVE");
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    return h;
}

static void put_event(struct kpw_buf *buf, const char *kind, const char *type, const char *payload)
{
    struct kpw_event_writer w;
    char name[40];

    kpw_event_begin(&w, buf);
    kpw_event_put_string(&w, ":message-type", kpw_slice_cstr(kind));
    snprintf(name, sizeof(name), ":%s-type", kind);
    kpw_event_put_string(&w, name, kpw_slice_cstr(type));
    kpw_event_put_string(&w, ":content-type", kpw_slice_cstr("application/x-amz-json-1.1"));
    kpw_event_payload(&w);
    kpw_buf_puts(buf, payload);
    kpw_event_end(&w);
}

/* Records with sequence numbers from..to; `next` NULL: the shard ends with its children. */
static void put_records(struct kpw_buf *buf, int from, int to, const char *next, int behind_ms)
{
    char *payload;
    size_t len;
    FILE *out = open_memstream(&payload, &len);

    REQUIRE(out != NULL);
    fputs("{\"Records\":[", out);
    for (int i = from; i <= to; i++)
        fprintf(out,
                "%s{\"SequenceNumber\":\"%d\",\"ApproximateArrivalTimestamp\":1700000000.25,"
                "\"Data\":\"cmVjb3Jk\",\"PartitionKey\":\"k%d\"}",
                i > from ? "," : "", i, i);
    fputs("],", out);
    if (next)
        fprintf(out, "\"ContinuationSequenceNumber\":\"%s\",", next);
    else
        fputs("\"ChildShards\":[{\"ShardId\":\"shardId-000000000002\",\"ParentShards\":[]}],", out);
    fprintf(out, "\"MillisBehindLatest\":%d}", behind_ms);
    fclose(out);
    put_event(buf, "event", "SubscribeToShardEvent", payload);
    free(payload);
}

static void push(struct harness *h, struct kpw_buf *buf)
{
    YES(harness_piece(h, "SubscribeToShard", buf->ptr, buf->len));
    harness_advance(h, 0);
    kpw_buf_clear(buf);
}

static void push_records(struct harness *h, int from, int to, const char *next, int behind_ms)
{
    struct kpw_buf buf = KPW_BUF_INIT;

    put_records(&buf, from, to, next, behind_ms);
    push(h, &buf);
    kpw_buf_fini(&buf);
}

TEST(a_consumer_is_registered_and_waited_for_and_its_events_are_records)
{
    struct harness *h = source(FAN_OUT);
    struct kpw_buf buf = KPW_BUF_INIT;

    summary(h);
    refuse(h, "DescribeStreamConsumer", 400, "ResourceNotFoundException");
    answer(h, "RegisterStreamConsumer", "{\"Consumer\":{\"ConsumerStatus\":\"CREATING\"}}");
    consumer(h, "CREATING");
    consumer(h, "ACTIVE");
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    harness_start(h);
    EQ_INT(requests_of(h, "SubscribeToShard"), 0);
    YES(body_has(h, "RegisterStreamConsumer", 0,
                 "{\"StreamARN\":\"" ARN "\",\"ConsumerName\":\"app\"}"));
    harness_advance(h, 600);
    EQ_INT(requests_of(h, "SubscribeToShard"), 1);
    YES(body_has(h, "SubscribeToShard", 0,
                 "{\"ConsumerARN\":\"" ARN_C "\",\"ShardId\":\"" SHARD
                 "\",\"StartingPosition\":{\"Type\":\"TRIM_HORIZON\"}}"));
    put_event(&buf, "event", "initial-response", "{}");
    put_records(&buf, 100, 101, "101", 0);
    push(h, &buf);
    REQUIRE(harness_out_count(h) == 2);
    EQ_STR(harness_out(h, 1)->data, "record");
    EQ_STR(harness_out(h, 1)->key, "k101");
    EQ_STR(harness_out(h, 1)->lane, SHARD);
    EQ_STR(harness_position(h, SHARD), "101");
    EQ_INT(requests_of(h, "GetRecords") + requests_of(h, "GetShardIterator"), 0);
    kpw_buf_fini(&buf);
    harness_free(h);
}

TEST(events_may_come_in_any_pieces)
{
    struct harness *h = subscribed("");
    struct kpw_buf buf = KPW_BUF_INIT;

    harness_start(h);
    put_event(&buf, "event", "initial-response", "{}");
    put_records(&buf, 1, 2, "2", 5);
    put_event(&buf, "event", "SomethingNewer", "{}");
    put_records(&buf, 3, 3, "3", 0);
    for (size_t i = 0; i < buf.len; i++) {
        REQUIRE(harness_piece(h, "SubscribeToShard", buf.ptr + i, 1));
        harness_advance(h, 0);
    }
    EQ_INT(harness_out_count(h), 3);
    EQ_STR(harness_position(h, SHARD), "3");
    kpw_buf_fini(&buf);
    harness_free(h);
}

TEST(a_subscription_that_ended_is_made_again_behind_the_continuation)
{
    struct harness *h = subscribed("");

    harness_start(h);
    push_records(h, 1, 2, "2", 0);
    push_records(h, 1, 0, "77", 0); /* nothing came, but time went on */
    harness_advance(h, 50000);
    answer(h, "SubscribeToShard", "");
    harness_advance(h, 1);
    EQ_INT(requests_of(h, "SubscribeToShard"), 2);
    YES(body_has(h, "SubscribeToShard", 1,
                 "{\"Type\":\"AFTER_SEQUENCE_NUMBER\",\"SequenceNumber\":\"77\"}"));
    answer(h, "SubscribeToShard", ""); /* at once again: one call a second */
    harness_advance(h, 0);
    EQ_INT(requests_of(h, "SubscribeToShard"), 2);
    harness_advance(h, 1000);
    EQ_INT(requests_of(h, "SubscribeToShard"), 3);
    EQ_INT(harness_counter(h, "read_errors"), 0);
    harness_free(h);
}

TEST(a_checkpoint_is_where_the_first_subscription_begins)
{
    struct harness *h = subscribed("");

    harness_checkpoint(h, SHARD, "100", 0);
    harness_start(h);
    YES(body_has(h, "SubscribeToShard", 0,
                 "{\"Type\":\"AT_SEQUENCE_NUMBER\",\"SequenceNumber\":\"100\"}"));
    push_records(h, 100, 101, "101", 0);
    REQUIRE(harness_out_count(h) == 1); /* 100 was settled */
    EQ_STR(harness_out(h, 0)->sequence, "101");
    harness_free(h);
}

TEST(what_is_pushed_waits_for_room_and_then_the_connection_does)
{
    struct harness *h = subscribed("");
    struct kpw_buf buf = KPW_BUF_INIT;
    int sent = 0;

    harness_start(h);
    harness_set_room(h, false);
    for (;; sent++) { /* until the plugin holds a MiB */
        kpw_buf_clear(&buf);
        put_records(&buf, sent * 1000, sent * 1000 + 999, "1", 100);
        if (!harness_piece(h, "SubscribeToShard", buf.ptr, buf.len))
            break;
        REQUIRE(sent < 100);
    }
    YES(sent > 3);
    EQ_INT(harness_out_count(h), 0);
    harness_set_room(h, true);
    harness_advance(h, 1000);
    EQ_INT(harness_out_count(h), (sent + 1) * 1000); /* with the piece that was held back */
    kpw_buf_fini(&buf);
    harness_free(h);
}

TEST(a_shard_that_ends_starts_its_children)
{
    struct harness *h = subscribed("");

    harness_start(h);
    answer(h, "ListShards",
           "{\"Shards\":[" ONE ",{\"ShardId\":\"shardId-000000000002\",\"ParentShardId\":\"" SHARD
           "\"}]}");
    push_records(h, 1, 2, NULL, 0);
    NO(harness_lane_is_open(h, SHARD));
    EQ_STR(harness_position(h, SHARD), "SHARD_END");
    EQ_INT(requests_of(h, "SubscribeToShard"), 2);
    YES(body_has(h, "SubscribeToShard", 1, "shardId-000000000002"));
    YES(body_has(h, "SubscribeToShard", 1, "TRIM_HORIZON"));
    harness_free(h);
}

TEST(exceptions_silence_and_broken_streams_begin_again)
{
    struct harness *h = subscribed("");
    struct kpw_buf buf = KPW_BUF_INIT;

    harness_start(h);
    push_records(h, 1, 1, "1", 0);
    put_event(&buf, "exception", "InternalFailureException", "{\"message\":\"sorry\"}");
    push(h, &buf);
    YES(strstr(harness_log(h), "InternalFailureException") != NULL);
    harness_advance(h, 5000);
    EQ_INT(requests_of(h, "SubscribeToShard"), 2);
    push_records(h, 2, 2, "2", 0);
    put_records(&buf, 3, 3, "3", 0);
    buf.ptr[20] ^= 1; /* a checksum is wrong now */
    push(h, &buf);
    harness_advance(h, 5000);
    EQ_INT(requests_of(h, "SubscribeToShard"), 3);
    YES(body_has(h, "SubscribeToShard", 2, "\"AFTER_SEQUENCE_NUMBER\",\"SequenceNumber\":\"2\""));
    harness_advance(h, 57000);
    EQ_INT(requests_of(h, "SubscribeToShard"), 3);
    harness_advance(h, 6000); /* a minute without a word */
    EQ_INT(requests_of(h, "SubscribeToShard"), 4);
    refuse(h, "SubscribeToShard", 400, "ResourceInUseException");
    harness_advance(h, 0);
    harness_advance(h, 4900);
    EQ_INT(requests_of(h, "SubscribeToShard"), 4);
    harness_advance(h, 200);
    EQ_INT(requests_of(h, "SubscribeToShard"), 5);
    push_records(h, 3, 3, "3", 0);
    EQ_INT(harness_out_count(h), 3);
    EQ_INT(harness_counter(h, "read_errors"), 4);
    kpw_buf_fini(&buf);
    harness_free(h);
}

TEST(whether_all_is_read_is_answered_by_a_subscription_of_after_the_question)
{
    struct harness *h = subscribed("");

    harness_start(h);
    push_records(h, 1, 1, "1", 0);
    harness_advance(h, 5000);
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    harness_catch_up(h);
    EQ_INT(requests_of(h, "SubscribeToShard"), 2);
    NO(harness_has_caught_up(h));
    push_records(h, 2, 2, "2", 10); /* still behind */
    NO(harness_has_caught_up(h));
    push_records(h, 3, 2, "2", 0);
    YES(harness_has_caught_up(h));
    harness_free(h);
}

TEST(a_shard_is_not_subscribed_to_again_within_five_seconds)
{
    struct harness *h = subscribed(""); /* the service refuses that as a resource in use */

    harness_start(h);
    push_records(h, 1, 1, "1", 0);
    harness_advance(h, 2000);
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    harness_catch_up(h);
    EQ_INT(requests_of(h, "SubscribeToShard"), 1);
    harness_advance(h, 2900);
    EQ_INT(requests_of(h, "SubscribeToShard"), 1);
    harness_advance(h, 200);
    EQ_INT(requests_of(h, "SubscribeToShard"), 2);
    push_records(h, 2, 1, "1", 0);
    YES(harness_has_caught_up(h));
    harness_aws_answer(h, "SubscribeToShard", 0, "ConnectionReset", NULL, 0);
    harness_advance(h, 4000);
    EQ_INT(requests_of(h, "SubscribeToShard"), 2);
    harness_advance(h, 2000);
    EQ_INT(requests_of(h, "SubscribeToShard"), 3);
    harness_free(h);
}

TEST(bytes_are_those_of_data_and_keys_as_where_it_is_polled)
{
    struct harness *h = subscribed("");

    harness_start(h);
    push_records(h, 1, 3, "3", 0);
    EQ_INT(harness_lane_counter(h, SHARD, "bytes"), 3 * 8);
    EQ_INT(harness_lane_counter(h, SHARD, "records"), 3);
    harness_free(h);
}

TEST(a_consumer_that_cannot_be_is_refused_before_the_start)
{
    static const char *const bad[] = {"bad name!", "arn:foo", "arn:aws:kinesis:eu-1:1:stream/s",
                                      "arn:aws:kinesis:eu-1:1:stream/s/consumer/"};
    char options[400], name[130];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(options, sizeof options, "{ " STREAM ", mode = 'auto', consumer = '%s' }", bad[i]);
        YES(strstr(harness_config_error("kinesis", KP_SOURCE, options), "consumer must be") !=
            NULL);
    }
    memset(name, 'x', 129);
    name[129] = 0;
    snprintf(options, sizeof options, "{ " STREAM ", mode = 'auto', consumer = '%s' }", name);
    YES(strstr(harness_config_error("kinesis", KP_SOURCE, options), "consumer must be") != NULL);
    harness_free(source(", mode = 'auto', consumer = 'My_app.v-2'"));
}

TEST(a_consumer_of_a_given_arn_that_is_gone_fails_clearly)
{
    struct harness *h = source(", mode = 'fan-out', consumer = '" ARN_C "'");

    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    for (int i = 0; i < 8; i++) {
        refuse(h, "SubscribeToShard", 400, "ResourceNotFoundException");
        answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    }
    harness_start(h);
    harness_advance(h, 120000);
    REQUIRE(harness_failed(h) != NULL);
    YES(strstr(harness_failed(h), ARN_C) != NULL);
    YES(requests_of(h, "SubscribeToShard") <= 8);
    harness_free(h);
}

TEST(auto_goes_over_to_polling_where_fan_out_cannot_be_had)
{
    struct harness *h = source(", mode = 'auto', consumer = 'app'");

    summary(h);
    refuse(h, "DescribeStreamConsumer", 403, "AccessDeniedException");
    list_one(h);
    records(h, 1, 2, "it-2", 0);
    harness_start(h);
    EQ_INT(harness_out_count(h), 2);
    YES(strstr(harness_log(h), "fanout.left") != NULL);
    harness_free(h);

    h = source(", mode = 'auto', consumer = 'app'"); /* subscriptions that always fail */
    summary(h);
    consumer(h, "ACTIVE");
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    for (int i = 0; i < 5; i++)
        refuse(h, "SubscribeToShard", 500, "InternalFailure");
    answer(h, "GetShardIterator", ITERATOR);
    records(h, 1, 2, "it-2", 0);
    harness_start(h);
    harness_advance(h, 60000);
    EQ_INT(requests_of(h, "SubscribeToShard"), 5);
    EQ_INT(harness_out_count(h), 2);
    harness_free(h);
}

TEST(a_time_that_is_not_yet_there_is_tried_again)
{
    struct harness *h = subscribed(", start = 'latest'");

    harness_start(h);
    refuse(h, "SubscribeToShard", 500, "InternalFailure");
    refuse(h, "SubscribeToShard", 400, "InvalidArgumentException"); /* our clock is ahead */
    harness_advance(h, 5000);
    EQ_INT(requests_of(h, "SubscribeToShard"), 3);
    YES(body_has(h, "SubscribeToShard", 0, "\"LATEST\""));
    YES(body_has(h, "SubscribeToShard", 2, "\"AT_TIMESTAMP\""));
    push_records(h, 1, 1, "1", 0);
    EQ_INT(harness_out_count(h), 1);
    CU_ASSERT_PTR_NULL(harness_failed(h));
    harness_free(h);
}

TEST(fan_out_that_cannot_be_had_fails_clearly)
{
    struct harness *h = source(FAN_OUT);

    summary(h);
    refuse(h, "DescribeStreamConsumer", 403, "AccessDeniedException");
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    harness_start(h);
    REQUIRE(harness_failed(h) != NULL);
    YES(strstr(harness_failed(h), "kinesis:DescribeStreamConsumer on stream orders") != NULL);
    harness_free(h);
}

TEST(a_consumer_of_which_the_arn_is_given_is_used_as_it_is)
{
    struct harness *h = source(", mode = 'fan-out', consumer = '" ARN_C "'");

    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    harness_start(h);
    EQ_INT(requests_of(h, "SubscribeToShard"), 1);
    EQ_INT(requests_of(h, "Describe"), 0);
    harness_free(h);
}
