/* apigw-proxy_test.c - routes, bodies, answers, throttle and keys, over real connections. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sdk/harness/harness.h"
#include "tests/kptest.h"

static struct harness *open_with(const char *more)
{
    char options[600];
    struct harness *h;

    snprintf(options, sizeof options, "{ listen = '127.0.0.1:0'%s%s }", *more ? ", " : "", more);
    h = harness_new("apigw-proxy", KP_SOURCE, options);
    harness_start(h);
    return h;
}

static int post(struct harness *h, const char *path, const char *body, const char **ret_body)
{
    return harness_request(h, "POST", path, NULL, body, strlen(body), ret_body);
}

/* ---- a client that sends and waits for the answer in two steps */

static int send_post(struct harness *h, const char *path, const char *body)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)harness_port(h)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char request[2000];
    int n = snprintf(request, sizeof request,
                     "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", path,
                     strlen(body), body);

    REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    REQUIRE(send(fd, request, (size_t)n, 0) == n);
    return fd;
}

struct waiting {
    struct harness *h;
    size_t out;
    int fd;
};

static bool has_out(void *arg)
{
    struct waiting *w = arg;

    return harness_out_count(w->h) >= w->out;
}

static bool has_answer(void *arg)
{
    struct pollfd fd = {.fd = ((struct waiting *)arg)->fd, .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

static void wait_out(struct harness *h, size_t n)
{
    struct waiting w = {h, n, -1};

    harness_wait(h, has_out, &w);
}

/* The whole answer [static] */
static const char *read_answer(struct harness *h, int fd)
{
    static char text[4000];
    struct waiting w = {h, 0, fd};
    ssize_t n;

    harness_wait(h, has_answer, &w);
    n = recv(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    close(fd);
    return text;
}

static kp_slice slice(const char *text)
{
    return (kp_slice){text, strlen(text)};
}

static void deliver(struct harness *h, size_t i, const char *shard, const char *sequence)
{
    kp_receipt receipt = {
        .size = sizeof receipt, .status = 200, .shard = slice(shard), .sequence = slice(sequence)};

    harness_settle_out(h, i, KP_DELIVERED, &receipt);
}

static void deliver_body(struct harness *h, size_t i, const char *body)
{
    kp_receipt receipt = {.size = sizeof receipt, .status = 200, .body = slice(body)};

    harness_settle_out(h, i, KP_DELIVERED, &receipt);
}

/* ---- the stream in front of which the door stands */

TEST(a_record_is_answered_with_its_place_in_the_stream)
{
    struct harness *h = open_with("");
    const char *answer;
    int fd;

    harness_hold(h, true);
    fd = send_post(h, "/record", "{\"partitionKey\":\"k\\u00e9\",\"data\":\"a\\\"b\\n\"}");
    wait_out(h, 1);
    EQ_STR(harness_out(h, 0)->data, "a\"b\n");
    EQ_STR(harness_out(h, 0)->key, "k\xc3\xa9");
    deliver(h, 0, "shardId-000000000001", "4966");
    answer = read_answer(h, fd);
    YES(strncmp(answer, "HTTP/1.1 200 ", 13) == 0);
    YES(strstr(answer, "{\"SequenceNumber\":\"4966\",\"ShardId\":\"shardId-000000000001\"}") !=
        NULL);
    YES(strstr(answer, "x-amzn-RequestId: ") != NULL);
    YES(strstr(answer, "Content-Type: application/json\r\n") != NULL);
    harness_free(h);
}

TEST(records_are_answered_one_by_one)
{
    struct harness *h = open_with("");
    const char *answer;
    int fd;

    harness_hold(h, true);
    fd = send_post(h, "/prod/records/",
                   "{\"records\":[{\"data\":\"1\",\"partitionKey\":\"a\"},"
                   "{\"partitionKey\":\"b\",\"more\":[{}],\"data\":\"2\"}]}");
    wait_out(h, 2);
    EQ_STR(harness_out(h, 1)->data, "2");
    EQ_STR(harness_out(h, 1)->key, "b");
    deliver(h, 0, "shardId-000000000000", "1");
    harness_settle_out(h, 1, KP_REJECTED, NULL);
    answer = read_answer(h, fd);
    YES(strncmp(answer, "HTTP/1.1 207 ", 13) == 0);
    YES(strstr(answer, "{\"FailedRecordCount\":1,\"Records\":[{\"SequenceNumber\":\"1\","
                       "\"ShardId\":\"shardId-000000000000\"},"
                       "{\"ErrorCode\":\"InternalFailure\",\"ErrorMessage\":") != NULL);
    harness_free(h);
}

TEST(without_a_stream_the_door_numbers_itself)
{
    struct harness *h = open_with("");
    const char *body;

    EQ_INT(post(h, "/record", "{\"partitionKey\":\"k\",\"data\":\"\"}", &body), 200);
    YES(strncmp(body, "{\"SequenceNumber\":\"49", 21) == 0);
    YES(strstr(body, "\",\"ShardId\":\"shardId-000000000000\"}") != NULL);
    EQ_INT(harness_out_count(h), 1);
    EQ_INT(harness_out(h, 0)->data_len, 0);
    harness_free(h);
}

TEST(a_single_record_may_keep_its_quotes)
{
    struct harness *h = open_with("quoted_single_record = true");
    const char *body;

    EQ_INT(post(h, "/record", "{\"partitionKey\":\"k\",\"data\":\"Hello \\\"World\\\"!\"}", &body),
           200);
    EQ_STR(harness_out(h, 0)->data, "\"Hello \\\"World\\\"!\"");
    EQ_INT(post(h, "/records", "{\"records\":[{\"partitionKey\":\"k\",\"data\":\"x\"}]}", &body),
           200);
    EQ_STR(harness_out(h, 1)->data, "x");
    harness_free(h);
}

TEST(bodies_that_are_not_the_model_are_refused)
{
    static const char *const bodies[] = {"",
                                         "x",
                                         "[]",
                                         "{}",
                                         "{\"data\":\"a\"}",
                                         "{\"partitionKey\":\"a\"}",
                                         "{\"data\":1,\"partitionKey\":\"a\"}",
                                         "{\"data\":\"a\",\"partitionKey\":null}",
                                         "{\"data\":\"a\",\"partitionKey\":\"a\"",
                                         "{\"data\":\"a\",\"partitionKey\":\"a\"}}",
                                         "{\"data\":\"a\\x\",\"partitionKey\":\"a\"}",
                                         "{\"data\":\"\\ud800\",\"partitionKey\":"};
    struct harness *h = open_with("");
    const char *body;

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        int status = post(h, "/record", bodies[i], &body);

        EQ_INT(status, 400);
        EQ_STR(body, "{\"message\": \"Invalid request body\"}");
        EQ_STR(harness_response_header(h, "x-amzn-errortype"), "BadRequestException");
    }
    EQ_INT(post(h, "/records", "{\"records\":{}}", &body), 400);
    EQ_INT(post(h, "/records", "{\"records\":[{\"data\":\"a\",\"partitionKey\":\"a\"},1]}", &body),
           400);
    EQ_INT(post(h, "/records", "{\"records\":[{\"data\":\"a\"}]}", &body), 400);
    EQ_INT(harness_out_count(h), 0);
    harness_free(h);
}

TEST(kinesis_limits_are_answered_in_its_words)
{
    struct harness *h = open_with("");
    const char *body;
    char *many = malloc(32 * 501 + 20);
    size_t len = (size_t)sprintf(many, "{\"records\":[");

    EQ_INT(post(h, "/records", "{\"records\":[]}", &body), 400);
    YES(strstr(body, "\"code\":\"ValidationException\"") != NULL);
    for (int i = 0; i < 501; i++)
        len +=
            (size_t)sprintf(many + len, "%s{\"data\":\"\",\"partitionKey\":\"a\"}", i ? "," : "");
    strcpy(many + len, "]}");
    EQ_INT(post(h, "/records", many, &body), 400);
    EQ_INT(harness_out_count(h), 0);
    free(many);
    harness_free(h);
}

TEST(unknown_routes_miss_a_token)
{
    struct harness *h = open_with("");
    const char *body;

    EQ_INT(post(h, "/orders", "{}", &body), 403);
    EQ_STR(body, "{\"message\":\"Missing Authentication Token\"}");
    EQ_STR(harness_response_header(h, "x-amzn-errortype"), "MissingAuthenticationTokenException");
    EQ_INT(harness_get(h, "GET", "/record", NULL, &body), 403);
    EQ_INT(post(h, "/test/record", "{}", &body), 403);
    harness_free(h);
}

TEST(other_media_types_are_not_supported)
{
    struct harness *h = open_with("");
    const char *body, *good = "{\"data\":\"a\",\"partitionKey\":\"a\"}";

    EQ_INT(harness_request(h, "POST", "/record", "Content-Type: text/plain\r\n", good, strlen(good),
                           &body),
           415);
    EQ_STR(body, "{\"message\": \"Unsupported Media Type\"}");
    EQ_INT(harness_request(h, "POST", "/record",
                           "Content-Type: application/json; charset=utf-8\r\n", good, strlen(good),
                           &body),
           200);
    harness_free(h);
}

TEST(a_key_opens_the_door)
{
    struct harness *h;
    const char *body, *good = "{\"data\":\"a\",\"partitionKey\":\"a\"}";

    setenv("KPIPE_TEST_KEY", "a-key-of-twenty-chars!", 1);
    h = open_with("api_key = k.secret 'env:KPIPE_TEST_KEY'");
    EQ_INT(post(h, "/record", good, &body), 403);
    EQ_STR(body, "{\"message\":\"Forbidden\"}");
    EQ_INT(harness_request(h, "POST", "/record", "x-api-key: a-key-of-twenty-chars\r\n", good,
                           strlen(good), &body),
           403);
    EQ_INT(harness_request(h, "POST", "/record", "X-Api-Key: a-key-of-twenty-chars!\r\n", good,
                           strlen(good), &body),
           200);
    harness_free(h);
}

TEST(the_bucket_lets_a_burst_pass_and_then_the_rate)
{
    struct harness *h = open_with("throttle = { rate = 10, burst = 3 }");
    const char *body, *good = "{\"data\":\"a\",\"partitionKey\":\"a\"}";

    for (int i = 0; i < 3; i++)
        EQ_INT(post(h, "/record", good, &body), 200);
    EQ_INT(post(h, "/record", good, &body), 429);
    EQ_STR(body, "{\"message\":\"Too Many Requests\"}");
    EQ_STR(harness_response_header(h, "x-amzn-errortype"), "TooManyRequestsException");
    harness_advance(h, 99);
    EQ_INT(post(h, "/record", good, &body), 429);
    harness_advance(h, 1);
    EQ_INT(post(h, "/record", good, &body), 200);
    EQ_INT(post(h, "/record", good, &body), 429);
    harness_advance(h, 60000);
    for (int i = 0; i < 3; i++)
        EQ_INT(post(h, "/record", good, &body), 200);
    EQ_INT(post(h, "/record", good, &body), 429);
    EQ_INT(harness_out_count(h), 7);
    harness_free(h);
}

TEST(a_rate_of_zero_lets_nothing_pass)
{
    struct harness *h = open_with("throttle = { rate = 0, burst = 3 }");
    const char *body;

    EQ_INT(post(h, "/record", "{\"data\":\"a\",\"partitionKey\":\"a\"}", &body), 429);
    harness_free(h);
}

TEST(who_waits_too_long_hears_so)
{
    struct harness *h = open_with("timeout = '2s'");
    const char *answer;
    int fd;

    harness_hold(h, true);
    fd = send_post(h, "/record", "{\"data\":\"a\",\"partitionKey\":\"a\"}");
    wait_out(h, 1);
    harness_advance(h, 3000);
    answer = read_answer(h, fd);
    YES(strncmp(answer, "HTTP/1.1 504 ", 13) == 0);
    YES(strstr(answer, "{\"message\": \"Endpoint request timed out\"}") != NULL);
    deliver(h, 0, "s", "1"); /* too late for the client, not for the record */
    harness_free(h);
}

TEST(without_room_requests_wait)
{
    struct harness *h = open_with("");
    const char *answer;
    int fd;

    harness_set_room(h, false);
    fd = send_post(h, "/record", "{\"data\":\"a\",\"partitionKey\":\"a\"}");
    for (int i = 0; i < 20; i++)
        harness_advance(h, 10);
    EQ_INT(harness_out_count(h), 0);
    harness_set_room(h, true);
    answer = read_answer(h, fd);
    YES(strncmp(answer, "HTTP/1.1 200 ", 13) == 0);
    EQ_INT(harness_out_count(h), 1);
    harness_free(h);
}

TEST(what_was_not_taken_at_the_end_is_refused)
{
    struct harness *h = open_with("");
    const char *answer;
    int fd;

    harness_set_room(h, false);
    fd = send_post(h, "/record", "{\"data\":\"a\",\"partitionKey\":\"a\"}");
    for (int i = 0; i < 20; i++)
        harness_advance(h, 10);
    harness_stop(h);
    answer = read_answer(h, fd);
    YES(strncmp(answer, "HTTP/1.1 503 ", 13) == 0);
    EQ_INT(harness_out_count(h), 0);
    harness_free(h);
}

TEST(errors_may_be_mapped_as_the_construct_does)
{
    struct harness *h = open_with("error_mapping = 'construct'");
    const char *body;

    EQ_INT(post(h, "/records", "{\"records\":[]}", &body), 200);
    YES(strncmp(body, "{\"__type\":\"ValidationException\",\"message\":", 42) == 0);
    harness_free(h);
}

/* ---- the function behind the door */

static int ask(struct harness *h, const char *target)
{
    return send_post(h, target, "");
}

TEST(a_request_becomes_a_proxy_event)
{
    struct harness *h = open_with("mode = 'proxy-event', routes = { 'ANY /orders/{proxy+}' }");
    const char *event;
    int fd;

    harness_hold(h, true);
    fd = ask(h, "/prod/orders/7/items?a=1&b=x%20y+z&a=2&c");
    wait_out(h, 1);
    event = harness_out(h, 0)->data;
    YES(strstr(event, "\"resource\":\"/orders/{proxy+}\"") != NULL);
    YES(strstr(event, "\"path\":\"/orders/7/items\"") != NULL);
    YES(strstr(event, "\"httpMethod\":\"POST\"") != NULL);
    YES(strstr(event, "\"queryStringParameters\":{\"a\":\"2\",\"b\":\"x y z\",\"c\":\"\"}") !=
        NULL);
    YES(strstr(event, "\"multiValueQueryStringParameters\":{\"a\":[\"1\",\"2\"],\"b\":[\"x y z\"],"
                      "\"c\":[\"\"]}") != NULL);
    YES(strstr(event, "\"pathParameters\":{\"proxy\":\"7/items\"}") != NULL);
    YES(strstr(event, "\"sourceIp\":\"127.0.0.1\"") != NULL);
    YES(strstr(event, "\"host\":\"x\"") != NULL);
    YES(strstr(event, "\"body\":null,\"isBase64Encoded\":false}") != NULL);
    deliver_body(h, 0, "{\"statusCode\":201,\"headers\":{\"X-A\":\"b\"},\"body\":\"made\"}");
    event = read_answer(h, fd);
    YES(strncmp(event, "HTTP/1.1 201 ", 13) == 0);
    YES(strstr(event, "X-A: b\r\n") != NULL);
    YES(strstr(event, "\r\n\r\nmade") != NULL);
    harness_free(h);
}

TEST(binary_bodies_travel_as_base64)
{
    struct harness *h = open_with("mode = 'proxy-event'");
    const char *answer;
    int fd;

    harness_hold(h, true);
    fd = send_post(h, "/x", "\xff\x01");
    wait_out(h, 1);
    YES(strstr(harness_out(h, 0)->data, "\"body\":\"/wE=\",\"isBase64Encoded\":true}") != NULL);
    deliver_body(h, 0, "{\"statusCode\":200,\"body\":\"aGk=\",\"isBase64Encoded\":true}");
    answer = read_answer(h, fd);
    YES(strstr(answer, "\r\n\r\nhi") != NULL);
    harness_free(h);
}

TEST(a_malformed_answer_is_a_bad_gateway)
{
    static const char *const answers[] = {
        "null",
        "\"text\"",
        "{}",
        "{\"statusCode\":\"x\"}",
        "{\"statusCode\":200,\"body\":{}}",
        "{\"statusCode\":200",
        "{\"statusCode\":99}",
        "{\"statusCode\":101}",
        "{\"statusCode\":200,\"headers\":{\"x\":\"a\\r\\nset-cookie: b\"}}",
        "{\"statusCode\":200,\"headers\":{\"x y\":\"a\"}}",
        "{\"statusCode\":200,\"multiValueHeaders\":{\"x\":[\"a\\u0000\"]}}",
        "{\"statusCode\":200,\"headers\":[]}",
        "{\"statusCode\":200,\"body\":\"?\",\"isBase64Encoded\":true}"};
    struct harness *h = open_with("mode = 'proxy-event'");

    harness_hold(h, true);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        int fd = ask(h, "/");
        const char *answer;

        wait_out(h, i + 1);
        deliver_body(h, i, answers[i]);
        answer = read_answer(h, fd);
        YES(strncmp(answer, "HTTP/1.1 502 ", 13) == 0);
        YES(strstr(answer, "{\"message\": \"Internal server error\"}") != NULL);
    }
    harness_free(h);
}

TEST(a_failed_function_is_a_bad_gateway)
{
    struct harness *h = open_with("mode = 'proxy-event', routes = { 'POST /predictFare' }");
    const char *body;
    int fd;

    EQ_INT(post(h, "/other", "", &body), 403);
    EQ_INT(harness_get(h, "GET", "/predictFare", NULL, &body), 403);
    harness_hold(h, true);
    fd = ask(h, "/predictFare");
    wait_out(h, 1);
    harness_settle_out(h, 0, KP_REJECTED, NULL);
    YES(strncmp(read_answer(h, fd), "HTTP/1.1 502 ", 13) == 0);
    harness_free(h);
}

TEST(many_connections_share_batches_and_each_gets_its_own_answer)
{
    enum { N = 50 };
    struct harness *h = open_with("");
    int fds[N];
    char body[100], want[40];

    harness_hold(h, true);
    for (int i = 0; i < N; i++) {
        snprintf(body, sizeof body, "{\"data\":\"%d\",\"partitionKey\":\"a\"}", i);
        fds[i] = send_post(h, "/record", body);
    }
    wait_out(h, N);
    for (int i = 0; i < N; i++)
        deliver(h, (size_t)i, "s", harness_out(h, (size_t)i)->data);
    for (int i = 0; i < N; i++) {
        snprintf(want, sizeof want, "{\"SequenceNumber\":\"%d\",", i);
        YES(strstr(read_answer(h, fds[i]), i ? want : "{\"SequenceNumber\":\"") != NULL);
    }
    harness_free(h);
}

static void refused(const char *options, const char *why)
{
    const char *error = harness_config_error("apigw-proxy", KP_SOURCE, options);

    REQUIRE(error != NULL);
    if (!strstr(error, why))
        fprintf(stderr, "'%s' is not in: %s\n", why, error);
    YES(strstr(error, why) != NULL);
}

TEST(wrong_options_are_refused)
{
    refused("{ }", "listen");
    refused("{ listen = '127.0.0.1:0', tls_cert = 'x' }", "belong together");
    refused("{ listen = '127.0.0.1:0', api_key = 'a-key-of-twenty-chars!' }", "k.secret");
    setenv("KPIPE_TEST_KEY", "short", 1);
    refused("{ listen = '127.0.0.1:0', api_key = k.secret 'env:KPIPE_TEST_KEY' }", "20 characters");
    refused("{ listen = '127.0.0.1:0', mode = 'proxy-event', routes = { '/x' } }", "route '/x'");
    refused("{ listen = '127.0.0.1:0', mode = 'proxy-event', routes = { 'GET /{a}' } }", "route");
    refused("{ listen = '127.0.0.1:0', routes = { 'GET /x' } }", "routes are for");
}
