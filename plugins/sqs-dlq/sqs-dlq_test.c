/* sqs-dlq_test.c - the messages themselves, who shares one, what is sent again. */
#include "sdk/harness/harness.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/json.h"
#include "tests/kptest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE "queue = k.resource.queue { name = 'orders-failed' }"
#define URL   "http://127.0.0.1:4566/123456789012/orders-failed"
#define SEQ   "49590338271490256608559692538361571095921575989136588898"

static struct harness *dlq(const char *more)
{
    char options[400];
    struct harness *h;

    snprintf(options, sizeof(options), "{ " QUEUE "%s }", more);
    h = harness_new("sqs-dlq", KP_SINK, options);
    harness_aws_answer(h, "GetQueueUrl", 200, NULL, "{\"QueueUrl\":\"" URL "\"}", 0);
    return h;
}

/* Member `path` of the nth request, unescaped [owned by caller]; NULL: there is none. */
static char *member(const struct harness *h, size_t nth, const char *path)
{
    struct kpw_slice raw;
    size_t len;
    const char *body = harness_request_body(h, nth, &len);
    char *text;

    if (kpw_json_find(kpw_slice(body, len), path, &raw) != KPW_JSON_STRING)
        return NULL;
    text = malloc(raw.len + 1);
    REQUIRE(text != NULL);
    text[kpw_json_unescape_to(raw, text)] = 0;
    return text;
}

/* The body of message e of the nth request [owned by caller]. */
static char *message(const struct harness *h, size_t nth, int e)
{
    char path[60];

    snprintf(path, sizeof(path), "$.Entries[%d].MessageBody", e);
    return member(h, nth, path);
}

static void is_at(const char *json, const char *path, const char *expected)
{
    struct kpw_slice value = {NULL, 0};

    (void)kpw_json_find(kpw_slice_cstr(json), path, &value);
    if (!kpw_slice_is(value, expected))
        printf("\n%s is %.*s\n", path, (int)value.len, value.ptr);
    YES(kpw_slice_is(value, expected));
}

/* An answer for the nth request: the entries whose bit is set in `fail` failed. */
static void answer(struct harness *h, size_t nth, unsigned fail, const char *failure)
{
    struct kpw_buf ok = KPW_BUF_INIT, bad = KPW_BUF_INIT, all = KPW_BUF_INIT;
    char *text;

    for (int e = 0; (text = message(h, nth, e)); e++) {
        uint8_t sum[KPW_MD5_SIZE];
        char hex[33] = "";

        kpw_md5(text, strlen(text), sum);
        kpw_hex(sum, sizeof(sum), hex);
        if (fail & 1U << e)
            kpw_buf_appendf(&bad, "%s{\"Id\":\"%d\",%s}", bad.len ? "," : "", e, failure);
        else
            kpw_buf_appendf(&ok,
                            "%s{\"Id\":\"%d\",\"MessageId\":\"m-%d\",\"MD5OfMessageBody\":\"%s\"}",
                            ok.len ? "," : "", e, e, hex);
        free(text);
    }
    kpw_buf_appendf(&all, "{\"Successful\":[%s],\"Failed\":[%s]}", ok.len ? kpw_buf_cstr(&ok) : "",
                    bad.len ? kpw_buf_cstr(&bad) : "");
    harness_aws_answer(h, "SendMessageBatch", 200, NULL, kpw_buf_cstr(&all), 0);
    harness_advance(h, 0);
    kpw_buf_fini(&ok);
    kpw_buf_fini(&bad);
    kpw_buf_fini(&all);
}

#define SLICE(s)         \
    {                    \
        s, sizeof(s) - 1 \
    }

static kp_failure failure(uint64_t batch)
{
    return (kp_failure){
        .size = sizeof(kp_failure),
        .attempts = 4,
        .batch = batch,
        .stage = SLICE("handler"),
        .condition = SLICE("RetryAttemptsExhausted"),
        .reason = SLICE("the function failed"),
        .detail = SLICE("{\"errorMessage\":\"no\"}"),
        .lane = SLICE("shardId-000000000001"),
        .stream = SLICE("arn:aws:kinesis:us-east-1:123456789012:stream/orders"),
    };
}

TEST(a_failed_batch_is_one_message_in_lambdas_form)
{
    struct harness *h = dlq("");
    kp_failure f = failure(1);
    struct harness_input in[] = {
        {.data = "b", .key = "k2", .sequence = "100", .arrival_ms = 1657719660500, .failure = &f},
        {.data = "a", .key = "k1", .sequence = "99", .arrival_ms = 1657719660000, .failure = &f},
    };
    char *text, *url;

    harness_feed_records(h, "shardId-000000000001", in, 2);
    EQ_INT(harness_requests(h), 2); /* the URL, then the batch */
    EQ_STR(harness_request_header(h, 1, "x-amz-target"), "AmazonSQS.SendMessageBatch");
    EQ_STR(harness_request_header(h, 1, "content-type"), "application/x-amz-json-1.0");
    url = member(h, 1, "$.QueueUrl");
    EQ_STR(url, URL);
    free(url);
    text = message(h, 1, 0);
    REQUIRE(text != NULL);
    YES(kpw_json_valid(text, strlen(text)));
    is_at(text, "$.requestContext.functionArn",
          "arn:aws:lambda:us-east-1:123456789012:function:handler");
    is_at(text, "$.requestContext.condition", "RetryAttemptsExhausted");
    is_at(text, "$.requestContext.approximateInvokeCount", "4");
    is_at(text, "$.responseContext",
          "{\"statusCode\":200,\"executedVersion\":\"$LATEST\",\"functionError\":\"Unhandled\"}");
    is_at(text, "$.version", "1.0");
    is_at(text, "$.timestamp", "2023-11-14T22:13:20.000Z");
    is_at(text, "$.KinesisBatchInfo",
          "{\"shardId\":\"shardId-000000000001\",\"startSequenceNumber\":\"99\","
          "\"endSequenceNumber\":\"100\","
          "\"approximateArrivalOfFirstRecord\":\"2022-07-13T13:41:00.000Z\","
          "\"approximateArrivalOfLastRecord\":\"2022-07-13T13:41:00.500Z\",\"batchSize\":2,"
          "\"streamArn\":\"arn:aws:kinesis:us-east-1:123456789012:stream/orders\"}");
    is_at(text, "$.kpipe.pipeline", "harness");
    is_at(text, "$.kpipe.stage", "handler");
    is_at(text, "$.kpipe.reason", "the function failed");
    is_at(text, "$.kpipe.records",
          "[{\"data\":\"Yg==\",\"partitionKey\":\"k2\",\"sequence\":\"100\",\"subSequence\":0},"
          "{\"data\":\"YQ==\",\"partitionKey\":\"k1\",\"sequence\":\"99\",\"subSequence\":0}]");
    free(text);
    CU_ASSERT_PTR_NULL(message(h, 1, 1));
    answer(h, 1, 0, "");
    EQ_INT(harness_count(h, KP_DELIVERED), 2);
    harness_free(h);
}

TEST(a_record_that_is_too_old_has_no_response_and_a_mere_answer_no_function_error)
{
    struct harness *h = dlq(", payload = false");
    kp_failure old = failure(1), answered = failure(2);
    struct harness_input in[] = {{.data = "a", .sequence = SEQ, .failure = &old},
                                 {.data = "b", .sequence = SEQ, .failure = &answered}};
    char *text;

    old.condition = (kp_slice)SLICE("RecordAgeExceeded");
    answered.detail = (kp_slice){NULL, 0};
    harness_feed_records(h, "s", in, 2);
    text = message(h, 1, 0);
    REQUIRE(text != NULL);
    CU_ASSERT_PTR_NULL(strstr(text, "responseContext"));
    CU_ASSERT_PTR_NULL(strstr(text, "\"data\""));
    free(text);
    text = message(h, 1, 1);
    REQUIRE(text != NULL);
    YES(strstr(text, "\"functionError\":null") != NULL);
    free(text);
    answer(h, 1, 0, "");
    EQ_INT(harness_count(h, KP_DELIVERED), 2);
    harness_free(h);
}

TEST(records_that_failed_together_share_a_message_wherever_they_stand)
{
    struct harness *h = dlq("");
    kp_failure one = failure(1), two = failure(2);
    struct harness_input in[] = {{.data = "a", .failure = &one},
                                 {.data = "b", .failure = &two},
                                 {.data = "c", .failure = &one}};
    char *text;

    harness_feed_records(h, "s", in, 3);
    text = message(h, 1, 0);
    REQUIRE(text != NULL);
    is_at(text, "$.KinesisBatchInfo.batchSize", "2");
    is_at(text, "$.kpipe.records[1].data", "Yw==");
    free(text);
    text = message(h, 1, 1);
    REQUIRE(text != NULL);
    is_at(text, "$.KinesisBatchInfo.batchSize", "1");
    free(text);
    answer(h, 1, 0, "");
    EQ_INT(harness_count(h, KP_DELIVERED), 3);
    harness_free(h);
}

TEST(a_message_that_would_be_too_long_keeps_what_identifies_its_records)
{
    struct harness *h = dlq(", max_message = '8KiB'");
    kp_failure f = failure(1);
    struct harness_input in[100] = {0};
    char *data = malloc(6001), *text;

    REQUIRE(data != NULL);
    memset(data, 'x', 6000);
    data[6000] = 0;
    for (int i = 0; i < 100; i++)
        in[i] = (struct harness_input){.data = data, .key = "key", .failure = &f};
    harness_feed_records(h, "s", in, 100);
    text = message(h, 1, 0);
    REQUIRE(text != NULL);
    YES(strlen(text) <= 8192);
    YES(kpw_json_valid(text, strlen(text)));
    is_at(text, "$.kpipe.truncated", "true");
    is_at(text, "$.KinesisBatchInfo.batchSize", "100");
    is_at(text, "$.kpipe.records[0].partitionKey", "key");
    CU_ASSERT_PTR_NULL(strstr(text, "\"data\""));
    free(text);
    answer(h, 1, 0, "");
    EQ_INT(harness_count(h, KP_DELIVERED), 100);
    harness_free(h);
    free(data);
}

TEST(ten_messages_make_a_request)
{
    struct harness *h = dlq("");
    kp_failure f[25];
    struct harness_input in[25] = {0};

    for (uint64_t i = 0; i < 25; i++) {
        f[i] = failure(i + 1);
        in[i] = (struct harness_input){.data = "x", .failure = &f[i]};
    }
    harness_feed_records(h, "s", in, 25);
    EQ_INT(harness_requests(h), 3); /* two batches of ten are under way */
    answer(h, 1, 0, "");
    answer(h, 2, 0, "");
    EQ_INT(harness_requests(h), 4);
    answer(h, 3, 0, "");
    EQ_INT(harness_count(h, KP_DELIVERED), 25);
    harness_free(h);
}

TEST(only_the_entries_that_failed_are_sent_again)
{
    struct harness *h = dlq("");
    kp_failure f[3] = {failure(1), failure(2), failure(3)};
    struct harness_input in[] = {{.data = "a", .failure = &f[0]},
                                 {.data = "b", .failure = &f[1]},
                                 {.data = "c", .failure = &f[2]}};
    char *text;

    harness_feed_records(h, "s", in, 3);
    answer(h, 1, 2, "\"SenderFault\":false,\"Code\":\"InternalError\",\"Message\":\"later\"");
    EQ_INT(harness_requests(h), 2);
    harness_advance(h, 1000);
    REQUIRE(harness_requests(h) == 3);
    text = message(h, 2, 0);
    REQUIRE(text != NULL);
    is_at(text, "$.kpipe.records[0].data", "Yg==");
    free(text);
    CU_ASSERT_PTR_NULL(message(h, 2, 1));
    answer(h, 2, 0, "");
    EQ_INT(harness_count(h, KP_DELIVERED), 3);
    harness_free(h);
}

TEST(a_body_that_arrived_damaged_is_sent_again)
{
    struct harness *h = dlq("");

    harness_feed_one(h, "s", "hello", "k");
    harness_aws_answer(h, "SendMessageBatch", 200, NULL,
                       "{\"Successful\":[{\"Id\":\"0\",\"MessageId\":\"m\",\"MD5OfMessageBody\":"
                       "\"00000000000000000000000000000000\"}]}",
                       0);
    harness_advance(h, 1000);
    REQUIRE(harness_requests(h) == 3);
    answer(h, 2, 0, "");
    EQ_INT(harness_count(h, KP_DELIVERED), 1);
    harness_free(h);
}

TEST(calls_that_fail_are_made_again_and_in_the_end_given_back)
{
    struct harness *h = dlq("");

    for (int i = 0; i < 8; i++)
        harness_aws_answer(h, "SendMessageBatch", 503, "ServiceUnavailable", "", 0);
    harness_feed_one(h, "s", "hello", "k");
    harness_advance(h, 120000);
    EQ_INT(harness_requests(h), 9);
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    EQ_STR(harness_reason(h, 0), "ServiceUnavailable");
    harness_free(h);
}

TEST(as_a_plain_sink_payloads_are_messages)
{
    struct harness *h = dlq("");
    char *text;

    harness_feed(h, "s", (const char *const[]){"one \"quoted\"", "bad \x01", "two", NULL});
    EQ_INT(harness_requests(h), 2);
    text = message(h, 1, 0);
    EQ_STR(text, "one \"quoted\"");
    free(text);
    text = message(h, 1, 1);
    EQ_STR(text, "two");
    free(text);
    answer(h, 1, 0, "");
    EQ_INT(harness_outcome(h, 0), KP_DELIVERED);
    EQ_INT(harness_outcome(h, 1), KP_REJECTED);
    EQ_INT(harness_outcome(h, 2), KP_DELIVERED);
    harness_free(h);
}

TEST(a_message_sqs_calls_wrong_is_rejected)
{
    struct harness *h = dlq("");

    harness_feed_one(h, "s", "hello", "k");
    answer(h, 1, 1, "\"SenderFault\":true,\"Code\":\"InvalidMessageContents\",\"Message\":\"no\"");
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    EQ_STR(harness_reason(h, 0), "InvalidMessageContents: no");
    harness_free(h);
}

TEST(a_missing_queue_a_missing_permission_and_a_fifo_queue_are_named)
{
    struct harness *h = harness_new("sqs-dlq", KP_SINK, "{ " QUEUE " }");

    harness_aws_answer(h, "GetQueueUrl", 400, "QueueDoesNotExist", "", 0);
    harness_feed_one(h, "s", "hello", "k");
    REQUIRE(harness_failed(h) != NULL);
    YES(strstr(harness_failed(h), "queue orders-failed does not exist in us-east-1") != NULL);
    harness_free(h);
    h = dlq("");
    harness_aws_answer(h, "SendMessageBatch", 403, "AccessDenied", "", 0);
    harness_feed_one(h, "s", "hello", "k");
    REQUIRE(harness_failed(h) != NULL);
    YES(strstr(harness_failed(h), "not allowed: sqs:SendMessage on queue orders-failed") != NULL);
    harness_free(h);
    YES(strstr(
            harness_config_error("sqs-dlq", KP_SINK,
                                 "{ queue = k.resource.queue { name = 'a.fifo', fifo = true } }"),
            "FIFO") != NULL);
}
