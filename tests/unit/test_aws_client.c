/* test_aws_client.c - calls against a server that verifies signatures: answers, retries, clock,
 * credentials that expire, cancelling. */
#include "tests/unit/aws_world.h"

#include <stdlib.h>

#include "core/aws/aws_call.h"
#include "core/base/budget.h"
#include "core/base/mem.h"
#include "core/base/slab.h"
#include "core/net/http_client.h"

static struct aws_config *config;
static struct aws_client *client;
static struct {
    int n, status;
    char error[128], message[256], body[256];
    bool is_error, retryable, throttled, has_http;
    int64_t retry_after_ms;
} got;

static void on_answer(kp_node *node, void *arg, const kp_aws_response *response)
{
    (void)node, (void)arg;
    got.n++;
    got.status = response->status;
    got.is_error = response->error != NULL;
    snprintf(got.error, sizeof got.error, "%s", response->error ? response->error : "");
    snprintf(got.message, sizeof got.message, "%s", response->message);
    snprintf(got.body, sizeof got.body, "%.*s", (int)response->body.len,
             response->body.ptr ? response->body.ptr : "");
    got.retryable = response->retryable;
    got.throttled = response->throttled;
    got.has_http = response->http != NULL;
    got.retry_after_ms = response->retry_after_ms;
}

/* A world with keys in the environment and all services at its server. */
static void open_world(void)
{
    struct error err = ERROR_INIT;

    world_begin();
    memset(&got, 0, sizeof got);
    world_env("AWS_REGION", "eu-central-1");
    world_env("AWS_ENDPOINT_URL", world_url());
    world_env("AWS_ACCESS_KEY_ID", "AKENV");
    world_env("AWS_SECRET_ACCESS_KEY", "secret-of-AKENV");
    config = aws_config_new(NULL, &err);
    REQUIRE(config != NULL);
    client = aws_client_new(world_loop(), world_http(), config);
}

static void close_world(void)
{
    aws_client_free(client);
    world_end(); /* runs the loop to its end */
    aws_config_free(config);
}

static kp_aws_request list_shards(void)
{
    return (kp_aws_request){.size = sizeof(kp_aws_request),
                            .service = "kinesis",
                            .target = "Kinesis_20131202.ListShards",
                            .body = {"{\"StreamName\":\"a\"}", 18}};
}

static kp_aws_call *start(const kp_aws_request *request)
{
    return aws_client_call(client, NULL, request, on_answer, NULL);
}

static void call(const kp_aws_request *request)
{
    int before = got.n;

    (void)start(request);
    EQ_INT(got.n, before); /* never from inside call() */
    WORLD_UNTIL(got.n > before);
}

TEST(a_json_call_is_signed_and_its_answer_comes_once)
{
    kp_aws_request request = list_shards();

    open_world();
    world_script("/", 200, NULL, "{\"Shards\":[]}");
    call(&request);
    EQ_INT(got.status, 200);
    NO(got.is_error);
    EQ_STR(got.body, "{\"Shards\":[]}");
    EQ_STR(world_line(0), "POST /");
    EQ_STR(world_body(0), "{\"StreamName\":\"a\"}");
    EQ_STR(world_header(0, "content-type"), "application/x-amz-json-1.1");
    EQ_STR(world_header(0, "x-amz-target"), "Kinesis_20131202.ListShards");
    EQ_STR(world_header(0, "amz-sdk-request"), "attempt=1; max=3");
    EQ_INT(strlen(world_header(0, "amz-sdk-invocation-id")), 36);
    YES(strstr(world_header(0, "authorization"), "/eu-central-1/kinesis/aws4_request") != NULL);
    EQ_INT(strncmp(world_header(0, "user-agent"), "kpipe/", 6), 0);
    close_world();
}

TEST(texts_of_a_request_are_copied_and_odd_paths_verify)
{
    char path[] = "/bucket/a%20b//c/../%C3%A4+d", query[] = "prefix=a%2Fb&list-type=2",
         name[] = "x-amz-meta-a";
    kp_http_header header = {{name, strlen(name)}, {"  two  words ", 13}};
    kp_aws_request request = {.size = sizeof request,
                              .service = "s3",
                              .method = "PUT",
                              .path = path,
                              .query = query,
                              .headers = &header,
                              .n_headers = 1,
                              .body = {"hello", 5}};

    open_world();
    world_script("/", 200, NULL, "");
    (void)start(&request);
    memset(path, 'x', sizeof path - 1);
    memset(query, 'x', sizeof query - 1);
    memset(name, 'x', sizeof name - 1);
    WORLD_UNTIL(got.n);
    EQ_INT(got.status, 200);
    EQ_STR(world_line(0), "PUT /bucket/a%20b//c/../%C3%A4+d?prefix=a%2Fb&list-type=2");
    EQ_STR(world_header(0, "x-amz-content-sha256"),
           "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    close_world();
}

TEST(errors_have_code_and_message_and_are_not_retried_without_reason)
{
    kp_aws_request request = list_shards();

    open_world();
    world_script("/", 400, NULL,
                 "{\"__type\":\"com.amazonaws.kinesis#ResourceNotFoundException\","
                 "\"message\":\"Stream a \\\"x\\\" not found\"}");
    call(&request);
    EQ_INT(got.status, 400);
    EQ_STR(got.error, "ResourceNotFoundException");
    EQ_STR(got.message, "Stream a \"x\" not found");
    NO(got.retryable);
    YES(got.has_http);
    EQ_INT(world_n_seen(), 1);
    close_world();
}

TEST(errors_in_cbor_are_understood)
{
    kp_aws_request request = list_shards();

    open_world();
    world_script("/", 400, NULL,
                 "\xbf\x66__type\x78\x19ResourceNotFoundException\x67message\x69not there\xff");
    call(&request);
    EQ_STR(got.error, "ResourceNotFoundException");
    EQ_STR(got.message, "not there");
    world_script("/", 400, NULL, "\xa1\x66__type"); /* torn: the status speaks */
    call(&request);
    EQ_STR(got.error, "BadRequest");
    close_world();
}

TEST(transient_faults_are_retried_with_the_same_id_until_it_works)
{
    kp_aws_request request = list_shards();

    open_world();
    world_script("/", 500, NULL, "");
    world_script("/", 502, NULL, "<html>bad gateway</html>");
    world_script("/", 200, NULL, "{}");
    call(&request);
    EQ_INT(got.status, 200);
    EQ_INT(got.n, 1);
    EQ_INT(world_n_seen(), 3);
    EQ_STR(world_header(2, "amz-sdk-request"), "attempt=3; max=3");
    EQ_STR(world_header(0, "amz-sdk-invocation-id"), world_header(2, "amz-sdk-invocation-id"));
    close_world();
}

TEST(after_three_attempts_the_last_fault_is_the_answer)
{
    kp_aws_request request = list_shards();

    open_world();
    for (int i = 0; i < 4; i++)
        world_script("/", 503, "Retry-After: 0\r\n", "<html>");
    call(&request);
    EQ_INT(got.status, 503);
    EQ_STR(got.error, "ServiceUnavailable");
    YES(got.retryable);
    NO(got.throttled);
    EQ_INT(world_n_seen(), 3);
    close_world();
}

TEST(one_attempt_means_one_and_tells_what_the_service_asks_for)
{
    kp_aws_request request = list_shards();

    open_world();
    request.attempts = 1;
    world_script("/", 400, "Retry-After: 3\r\n",
                 "{\"__type\":\"ProvisionedThroughputExceededException\",\"message\":\"slow\"}");
    call(&request);
    EQ_STR(got.error, "ProvisionedThroughputExceededException");
    YES(got.retryable && got.throttled);
    EQ_INT(got.retry_after_ms, 3000);
    EQ_INT(world_n_seen(), 1);
    close_world();
}

TEST(without_tokens_there_is_no_retry_and_a_success_pays_one_back)
{
    kp_aws_request request = list_shards();
    struct aws_retry_bucket bucket = {AWS_RETRY_TOKENS};
    int paid = 0;

    /* 35 transient retries cost 490, the 36th is not to be had */
    while (aws_retry_take(&bucket, &aws_retry_2026, AWS_FAULT_TRANSIENT))
        paid++;
    EQ_INT(paid, 35);
    EQ_INT(bucket.tokens, 10);
    open_world();
    for (int i = 0; i < 60; i++)
        world_script("/", 500, NULL, "");
    world_env("AWS_MAX_ATTEMPTS", "1");
    request.attempts = 100;
    clock_fake(clock_wall_ms());
    (void)start(&request);
    /* the delays are up to 20 s: only the fake clock makes that bearable */
    for (uint64_t until = uv_hrtime() + 20000000000; !got.n && uv_hrtime() < until;) {
        clock_fake_move(20000);
        aws_client_tick(client);
        world_turn();
    }
    EQ_INT(got.n, 1);
    EQ_STR(got.error, "InternalServerError");
    EQ_INT(world_n_seen(), 36); /* 35 retries and no more tokens */
    request.attempts = 2;
    call(&request);
    EQ_INT(world_n_seen(), 37); /* still none */
    close_world();
}

TEST(a_throttled_call_waits_longer_and_gets_through)
{
    kp_aws_request request = list_shards();

    open_world();
    world_script("/", 400, NULL, "{\"__type\":\"LimitExceededException\"}");
    world_script("/", 200, NULL, "{}");
    clock_fake(clock_wall_ms());
    (void)start(&request);
    WORLD_UNTIL(world_n_seen() == 1);
    for (uint64_t until = uv_hrtime() + 20000000000; !got.n && uv_hrtime() < until;) {
        clock_fake_move(100);
        aws_client_tick(client);
        world_turn();
    }
    EQ_INT(got.status, 200);
    EQ_INT(world_n_seen(), 2);
    close_world();
}

TEST(a_wrong_clock_is_corrected_from_the_answer_once_for_all_calls)
{
    kp_aws_request request = list_shards();

    open_world();
    world_skew(7200);
    request.attempts = 1;
    for (int i = 0; i < 3; i++)
        world_script("/", 200, NULL, "{}");
    (void)start(&request);
    call(&request); /* two at once: both were signed with the wrong time */
    WORLD_UNTIL(got.n == 2);
    EQ_INT(got.status, 200);
    EQ_INT(world_n_seen(), 4);
    call(&request);
    EQ_INT(got.status, 200);
    EQ_INT(world_n_seen(), 5); /* no detour any more */
    close_world();
}

TEST(a_signature_that_is_wrong_for_another_reason_is_not_sent_again)
{
    kp_aws_request request = list_shards();

    open_world();
    world_script("/", 403, NULL, "{\"__type\":\"SignatureDoesNotMatch\",\"Message\":\"no\"}");
    call(&request);
    EQ_STR(got.error, "SignatureDoesNotMatch");
    EQ_STR(got.message, "no");
    EQ_INT(world_n_seen(), 1);
    close_world();
}

TEST(a_dead_endpoint_is_a_network_error_and_a_silent_one_a_timeout)
{
    kp_aws_request request = list_shards();

    open_world();
    request.attempts = 1;
    world_script("/", WORLD_CUT, NULL, "");
    call(&request);
    EQ_STR(got.error, "NetworkError");
    EQ_INT(got.status, 0);
    YES(got.retryable);
    NO(got.has_http);
    request.timeout_ms = 50;
    world_script("/", WORLD_HOLD, NULL, "");
    call(&request);
    EQ_STR(got.error, "Timeout");
    YES(got.retryable);
    close_world();
}

TEST(an_answer_that_is_too_long_is_said_to_be_so_and_not_asked_for_again)
{
    kp_aws_request request = list_shards();

    open_world();
    request.max_body = 4;
    world_script("/", 200, NULL, "12345");
    call(&request);
    EQ_STR(got.error, "BodyTooLarge");
    NO(got.retryable);
    EQ_INT(world_n_seen(), 1);
    close_world();
}

TEST(an_answer_can_go_into_a_slab)
{
    struct budget budget = {.name = "test"};
    kp_aws_request request = list_shards();
    kp_slab *slab;

    open_world();
    budget_force(&budget, 64);
    slab = slab_new(&budget, 64);
    request.into = slab;
    request.into_capacity = 64;
    world_script("/", 200, NULL, "in the slab");
    call(&request);
    EQ_STR(got.body, "in the slab");
    EQ_INT(memcmp(slab->data, "in the slab", 11), 0);
    slab_unref(slab);
    close_world();
}

TEST(cancelled_and_forgotten_calls_have_no_answer)
{
    kp_node *one = (kp_node *)(void *)&got, *other = (kp_node *)(void *)&client;
    kp_aws_request request = list_shards();
    kp_aws_call *first;

    open_world();
    world_script("/", WORLD_HOLD, NULL, "");
    world_script("/", WORLD_HOLD, NULL, "");
    world_script("/", 500, NULL, "");
    world_script("/", 200, NULL, "{}");
    first = start(&request);
    (void)aws_client_call(client, one, &request, on_answer, NULL);
    WORLD_UNTIL(world_n_seen() == 2);
    aws_client_cancel(first);
    aws_client_forget(client, one);
    (void)aws_client_call(client, one, &request, on_answer, NULL); /* waits for its retry */
    clock_fake(clock_wall_ms());
    WORLD_UNTIL(world_n_seen() == 3);
    for (int i = 0; i < 5; i++)
        world_turn();
    aws_client_forget(client, one);
    (void)aws_client_call(client, other, &request, on_answer, NULL);
    WORLD_UNTIL(got.n);
    EQ_INT(got.n, 1);
    EQ_INT(got.status, 200);
    close_world();
}

TEST(freeing_the_client_ends_what_is_under_way)
{
    kp_aws_request request = list_shards();

    open_world();
    world_script("/", WORLD_HOLD, NULL, "");
    (void)start(&request);
    WORLD_UNTIL(world_n_seen() == 1);
    (void)start(&request);
    close_world();
    EQ_INT(got.n, 0);
}

TEST(a_request_that_cannot_be_sent_is_answered_with_the_reason)
{
    kp_aws_request request = list_shards();

    open_world();
    request.path = "/a b";
    call(&request);
    EQ_STR(got.error, "InvalidRequest");
    NO(got.retryable);
    request.path = NULL;
    request.service = "Kinesis/../x";
    call(&request);
    EQ_STR(got.error, "InvalidRequest");
    EQ_INT(world_n_seen(), 0);
    close_world();
}

TEST(a_shorter_request_struct_of_an_older_plugin_is_fine)
{
    kp_aws_request request = list_shards();

    open_world();
    request.size = (uint32_t)offsetof(kp_aws_request, into);
    request.into = (kp_slab *)(void *)&got; /* not looked at */
    world_script("/", 200, NULL, "{}");
    call(&request);
    EQ_STR(got.body, "{}");
    close_world();
}

TEST(a_200_of_s3_with_an_error_inside_is_an_error)
{
    kp_aws_request request = {.size = sizeof request,
                              .service = "s3",
                              .method = "POST",
                              .path = "/b/k",
                              .query = "uploadId=1",
                              .attempts = 1};

    open_world();
    world_script("/", 200, NULL,
                 "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code>"
                 "<Message>again &amp; again</Message></Error>");
    call(&request);
    EQ_STR(got.error, "InternalError");
    EQ_STR(got.message, "again & again");
    YES(got.retryable);
    close_world();
}

TEST(the_embedded_aws_gets_its_own_keys_and_nothing_else_is_looked_at)
{
    struct error err = ERROR_INIT;
    kp_aws_request request = list_shards();

    open_world();
    aws_client_free(client);
    aws_config_free(config);
    world_env("AWS_PROFILE", "no-such");
    world_env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    config = aws_config_new(world_url(), &err);
    REQUIRE(config != NULL);
    client = aws_client_new(world_loop(), world_http(), config);
    EQ_STR(aws_config_region(config), "us-east-1");
    EQ_STR(aws_config_endpoint(config, "dynamodb"), world_url());
    world_script("/", 200, NULL, "{}");
    call(&request);
    EQ_INT(got.status, 200);
    YES(strstr(world_header(0, "authorization"), "Credential=test/") != NULL);
    close_world();
}

/* ---- the bucket in the host */

static void s3_url(const char *path, char *url, char *host, size_t cap)
{
    struct kp_aws_call s3 = {0};
    struct aws_service service;
    struct aws_identity *identity = aws_identity_new("AKENV", "secret", NULL);
    kp_aws_request request = {.size = sizeof request, .service = "s3", .path = path};
    kp_http_request http;
    const struct kpw_sigv4_header *headers;

    aws_service_init(&service, config, "s3");
    s3.service = &service;
    REQUIRE(aws_call_take(&s3, config, &request));
    REQUIRE(aws_call_sign(&s3, config, identity, &http));
    headers = (const void *)s3.signed_.ptr;
    snprintf(url, cap, "%s", http.url);
    snprintf(host, cap, "%.*s", (int)headers[0].value.len, headers[0].value.ptr);
    EQ_STR(s3.payload, KPW_SIGV4_UNSIGNED); /* TLS covers it */
    aws_call_fini(&s3);
    aws_service_fini(&service);
    aws_identity_unref(identity);
}

TEST(on_aws_itself_the_bucket_becomes_part_of_the_host)
{
    struct error err = ERROR_INIT;
    char url[300], host[300];

    world_begin();
    world_env("AWS_REGION", "eu-west-1");
    config = aws_config_new(NULL, &err);
    REQUIRE(config != NULL);
    s3_url("/my-bucket/a/b%20c", url, host, sizeof url);
    EQ_STR(url, "https://my-bucket.s3.eu-west-1.amazonaws.com/a/b%20c");
    EQ_STR(host, "my-bucket.s3.eu-west-1.amazonaws.com");
    s3_url("/my-bucket", url, host, sizeof url);
    EQ_STR(url, "https://my-bucket.s3.eu-west-1.amazonaws.com/");
    s3_url("/my.bucket/key", url, host, sizeof url); /* no certificate would fit */
    EQ_STR(url, "https://s3.eu-west-1.amazonaws.com/my.bucket/key");
    EQ_STR(host, "s3.eu-west-1.amazonaws.com");
    s3_url("/", url, host, sizeof url);
    EQ_STR(url, "https://s3.eu-west-1.amazonaws.com/");
    world_end();
    aws_config_free(config);
}

TEST(an_endpoint_of_ones_own_keeps_the_path_unless_the_profile_says_virtual)
{
    struct error err = ERROR_INIT;
    char url[300], host[300];

    world_begin();
    world_env("AWS_REGION", "eu-west-1");
    world_env("AWS_ENDPOINT_URL_S3", "https://s3.local:443/base/");
    config = aws_config_new(NULL, &err);
    REQUIRE(config != NULL);
    s3_url("/my-bucket/key", url, host, sizeof url);
    EQ_STR(url, "https://s3.local:443/base/my-bucket/key");
    EQ_STR(host, "s3.local"); /* the scheme's own port is not part of Host */
    aws_config_free(config);
    world_file(".aws/config", "[default]\ns3 =\n  addressing_style = virtual\n");
    world_env("AWS_ENDPOINT_URL_S3", "https://s3.local:9000/base");
    config = aws_config_new(NULL, &err);
    REQUIRE(config != NULL);
    s3_url("/my-bucket/key", url, host, sizeof url);
    EQ_STR(url, "https://my-bucket.s3.local:9000/base/key");
    EQ_STR(host, "my-bucket.s3.local:9000");
    world_end();
    aws_config_free(config);
}

TEST(the_same_calls_in_a_loop_allocate_nothing_of_their_own)
{
    kp_aws_request request = list_shards();
    const void *before[4];
    struct kp_aws_call *used;

    open_world();
    for (int i = 0; i < 5; i++)
        world_script("/", 200, NULL, "{}");
    used = start(&request);
    WORLD_UNTIL(got.n == 1);
    memcpy(before,
           (const void *[]){used->texts.ptr, used->signed_.ptr, used->sent.ptr, used->url.ptr},
           sizeof before);
    for (int i = 0; i < 4; i++) {
        int n = got.n;

        YES(start(&request) == used); /* and its memory */
        WORLD_UNTIL(got.n > n);
        YES(used->texts.ptr == before[0] && used->signed_.ptr == before[1] &&
            used->sent.ptr == before[2] && used->url.ptr == before[3]);
    }
    close_world();
}
