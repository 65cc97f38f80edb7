/* test_aws_retry.c - delays, costs and the meaning of answers, as arithmetic. */
#include "core/aws/aws_answer.h"
#include "core/aws/aws_retry.h"
#include "tests/kptest.h"

static int64_t wait_ms(const struct aws_retry_mode *mode, enum aws_fault fault, int retry,
                       double unit)
{
    return aws_retry_delay_ms(
        &(struct aws_retry_delay){.mode = mode, .fault = fault, .retry = retry, .unit = unit});
}

TEST(delays_have_full_jitter_and_double_up_to_twenty_seconds)
{
    EQ_INT(wait_ms(&aws_retry_2026, AWS_FAULT_TRANSIENT, 1, 0.0), 0);
    EQ_INT(wait_ms(&aws_retry_2026, AWS_FAULT_TRANSIENT, 1, 0.5), 25);
    EQ_INT(wait_ms(&aws_retry_2026, AWS_FAULT_TRANSIENT, 3, 0.5), 100);
    EQ_INT(wait_ms(&aws_retry_2026, AWS_FAULT_THROTTLE, 1, 0.5), 500);
    EQ_INT(wait_ms(&aws_retry_2026, AWS_FAULT_THROTTLE, 2, 0.5), 1000);
    EQ_INT(wait_ms(&aws_retry_2026, AWS_FAULT_THROTTLE, 60, 0.5), 10000);
    EQ_INT(wait_ms(&aws_retry_before_2026, AWS_FAULT_TRANSIENT, 1, 0.5), 500);
    EQ_INT(aws_retry_delay_ms(&(struct aws_retry_delay){.mode = &aws_retry_2026,
                                                        .fault = AWS_FAULT_TRANSIENT,
                                                        .is_dynamodb = true,
                                                        .retry = 2,
                                                        .unit = 0.5}),
           25);
}

TEST(a_hint_of_the_service_is_kept_within_five_seconds_of_the_backoff)
{
    struct aws_retry_delay delay = {
        .mode = &aws_retry_2026, .fault = AWS_FAULT_THROTTLE, .retry = 1, .unit = 0.5};

    delay.hint_ms = 300;
    EQ_INT(aws_retry_delay_ms(&delay), 500);
    delay.hint_ms = 2000;
    EQ_INT(aws_retry_delay_ms(&delay), 2000);
    delay.hint_ms = 60000;
    EQ_INT(aws_retry_delay_ms(&delay), 5500);
    delay.mode = &aws_retry_before_2026;
    EQ_INT(aws_retry_delay_ms(&delay), 500);
}

TEST(retries_cost_tokens_and_successes_pay_back_up_to_the_brim)
{
    struct aws_retry_bucket bucket = {AWS_RETRY_TOKENS};

    EQ_INT(aws_retry_take(&bucket, &aws_retry_2026, AWS_FAULT_TRANSIENT), 14);
    EQ_INT(aws_retry_take(&bucket, &aws_retry_2026, AWS_FAULT_THROTTLE), 5);
    EQ_INT(aws_retry_take(&bucket, &aws_retry_before_2026, AWS_FAULT_TRANSIENT), 5);
    EQ_INT(aws_retry_take(&bucket, &aws_retry_before_2026, AWS_FAULT_TIMEOUT), 10);
    EQ_INT(bucket.tokens, 466);
    aws_retry_refund(&bucket, 14);
    EQ_INT(bucket.tokens, 480);
    aws_retry_refund(&bucket, 0);
    EQ_INT(bucket.tokens, 481);
    aws_retry_refund(&bucket, 400);
    EQ_INT(bucket.tokens, 500);
    bucket.tokens = 4;
    EQ_INT(aws_retry_take(&bucket, &aws_retry_2026, AWS_FAULT_THROTTLE), 0);
    EQ_INT(bucket.tokens, 4);
}

/* ---- answers */

static struct aws_answer answer;

static void read_answer(int status, const char *name, const char *value, const char *body)
{
    kp_http_header header = {{name, name ? strlen(name) : 0}, {value, value ? strlen(value) : 0}};
    kp_http_response response = {.size = sizeof response,
                                 .status = status,
                                 .headers = &header,
                                 .n_headers = name != NULL,
                                 .body = {body, strlen(body)}};

    aws_answer_read(&answer, &response, false);
}

TEST(codes_are_found_in_all_the_places_where_services_put_them)
{
    static const struct {
        int status;
        const char *name, *value, *body, *code, *message;
        enum aws_fault fault;
    } cases[] = {
        {400, NULL, NULL, "{\"__type\":\"a.b#ValidationException\",\"Message\":\"m\"}",
         "ValidationException", "m", AWS_FAULT_NONE},
        {400, NULL, NULL, "{\"code\":\"Throttling\"}", "Throttling", "", AWS_FAULT_THROTTLE},
        {404, "x-amzn-errortype", "ResourceNotFoundException:http://x/", "{\"message\":\"m\\n\"}",
         "ResourceNotFoundException", "m\n", AWS_FAULT_NONE},
        {400, "x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender",
         "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"m\"}",
         "AWS.SimpleQueueService.NonExistentQueue", "m", AWS_FAULT_NONE},
        {503, NULL, NULL,
         "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>m</Message></Error>",
         "SlowDown", "m", AWS_FAULT_THROTTLE},
        {403, NULL, NULL,
         "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>ExpiredToken</Code>"
         "<Message>&lt;m&gt;</Message></Error></ErrorResponse>",
         "ExpiredToken", "<m>", AWS_FAULT_NONE},
        {404, NULL, NULL, "", "NotFound", "", AWS_FAULT_NONE},
        {418, NULL, NULL, "tea", "Http418", "", AWS_FAULT_NONE},
        {429, NULL, NULL, "{}", "TooManyRequests", "", AWS_FAULT_THROTTLE},
        {500, NULL, NULL, "<html><p>x</html>", "InternalServerError", "", AWS_FAULT_TRANSIENT},
        {400, NULL, NULL, "{\"__type\":\"Bad Code\\n\"}", "Bad_Code\\n", "", AWS_FAULT_NONE},
        {504, NULL, NULL, "{\"__type\":", "GatewayTimeout", "", AWS_FAULT_TRANSIENT},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        read_answer(cases[i].status, cases[i].name, cases[i].value, cases[i].body);
        YES(answer.is_error);
        EQ_STR(answer.code, cases[i].code);
        EQ_STR(kpw_buf_cstr(&answer.message), cases[i].message);
        EQ_INT(answer.fault, cases[i].fault);
    }
    read_answer(403, NULL, NULL, "{\"__type\":\"ExpiredTokenException\"}");
    YES(answer.is_expired && !answer.is_skewed);
    read_answer(403, NULL, NULL, "{\"__type\":\"RequestTimeTooSkewed\"}");
    YES(!answer.is_expired && answer.is_skewed);
    read_answer(200, NULL, NULL, "<Error><Code>x</Code></Error>");
    NO(answer.is_error);
    aws_answer_fini(&answer);
}

TEST(the_wait_that_a_service_asks_for_is_read_in_both_forms)
{
    read_answer(503, "retry-after", "2", "");
    EQ_INT(answer.retry_after_ms, 2000);
    read_answer(503, "x-amz-retry-after", "150", "");
    EQ_INT(answer.retry_after_ms, 150);
    read_answer(503, "retry-after", "Fri, 31 Dec 1999 23:59:59 GMT", "");
    EQ_INT(answer.retry_after_ms, 0);
    read_answer(503, "retry-after", "99999999999999999999", "");
    YES(answer.retry_after_ms <= 3600000);
    aws_answer_fini(&answer);
}
