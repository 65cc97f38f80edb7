/* The front end of the local AWS: which service, which signature. */
#include "plugins/local-aws/local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/harness/harness.h"
#include "sdk/wire/sigv4.h"
#include "tests/kptest.h"

static kp_slice slice(const char *text)
{
    return (kp_slice){text, strlen(text)};
}

/* Headers come as name, value, ... NULL. */
static struct local_target target_of(const char *query, const char *body,
                                     const char *const *headers)
{
    kp_http_header list[8];
    kp_server_request request = {.size = sizeof request,
                                 .method = slice("POST"),
                                 .path = slice("/"),
                                 .query = slice(query),
                                 .headers = list,
                                 .body = slice(body)};
    struct local_target target;

    for (; *headers; headers += 2)
        list[request.n_headers++] = (kp_http_header){slice(headers[0]), slice(headers[1])};
    local_dispatch(&request, &target);
    return target;
}

#define TARGET_OF(query, body, ...) target_of(query, body, (const char *const[]){__VA_ARGS__, NULL})
#define SIGNED(service)                                                             \
    "authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/" service \
                     "/aws4_request, SignedHeaders=host, Signature=00"

TEST(the_scope_of_the_signature_names_the_service)
{
    struct local_target t = TARGET_OF("", "", SIGNED("s3"), "host", "kinesis.localhost");

    EQ_INT(t.service, LOCAL_S3);
    YES(t.region.len == 9 && !memcmp(t.region.ptr, "eu-west-1", 9));
    EQ_INT(TARGET_OF("", "Action=SendMessage&X=1", SIGNED("sqs"), "content-type",
                     "application/x-www-form-urlencoded; charset=utf-8")
               .service,
           LOCAL_SQS);
    EQ_INT(TARGET_OF("X-Amz-Credential=test%2F20260101%2Fus-east-1%2Fs3%2Faws4_request", "",
                     "accept", "*/*")
               .service,
           LOCAL_S3);
}

TEST(the_target_names_service_and_operation)
{
    struct local_target t = TARGET_OF("", "{}", "x-amz-target", "Kinesis_20131202.PutRecords");

    EQ_INT(t.service, LOCAL_KINESIS);
    EQ_STR(t.operation, "PutRecords");
    t = TARGET_OF("", "{}", "x-amz-target", "DynamoDB_20120810.GetItem", SIGNED("dynamodb"));
    EQ_INT(t.service, LOCAL_DYNAMODB);
    EQ_STR(t.operation, "GetItem");
    EQ_INT(TARGET_OF("", "{}", "x-amz-target", "AmazonSQS.SendMessage").service, LOCAL_SQS);
    EQ_INT(TARGET_OF("", "{}", "x-amz-target", "Unknown_1.Thing").service, LOCAL_NONE);
    t = TARGET_OF(
        "", "", "x-amz-target",
        "Kinesis_20131202.AnOperationWithANameThatIsLongerThanTheNamesOfAllOperationsAreAnywhere");
    EQ_STR(t.operation, "");
}

TEST(host_action_and_nothing_are_asked_last)
{
    struct local_target t;

    EQ_INT(TARGET_OF("", "", "host", "000000000000.data-kinesis.us-east-1.amazonaws.com").service,
           LOCAL_KINESIS);
    EQ_INT(TARGET_OF("", "", "host", "bucket.s3.localhost:4566").service, LOCAL_S3);
    t = TARGET_OF("Action=GetCallerIdentity&Version=2011-06-15", "", "accept", "*/*");
    EQ_INT(t.service, LOCAL_STS);
    YES(t.is_query);
    EQ_INT(TARGET_OF("Action=ListQueues", "", "accept", "*/*").service, LOCAL_SQS);
    EQ_INT(TARGET_OF("list-type=2", "", "host", "127.0.0.1:4566").service, LOCAL_S3);
}

/* ---- signatures */

static int ask_signed(struct harness *h, const char *secret, int64_t skew_s, const char *service,
                      const char *key_id, const char **ret)
{
    static const char type[] = "application/x-amz-json-1.1";
    static const char operation[] = "Kinesis_20131202.ListStreams";
    struct kpw_sigv4_header list[] = {{KPW_LIT("host"), KPW_LIT("127.0.0.1")},
                                      {KPW_LIT("content-type"), kpw_slice_cstr(type)},
                                      {KPW_LIT("x-amz-target"), kpw_slice_cstr(operation)}};
    struct kpw_sigv4_request request = {.method = KPW_LIT("POST"),
                                        .path = KPW_LIT("/"),
                                        .headers = list,
                                        .n_headers = 3,
                                        .body = KPW_LIT("{}")};
    struct kpw_sigv4_credentials credentials = {
        kpw_slice_cstr(key_id), kpw_slice_cstr(secret), {NULL, 0}};
    struct kpw_sigv4_options options = {.region = KPW_LIT("us-east-1"),
                                        .service = kpw_slice_cstr(service),
                                        .now_s = kp->wall_ms() / 1000 + skew_s};
    struct kpw_sigv4_cache cache = {0};
    struct kpw_sigv4_signed out;
    char headers[1000];
    int status;

    REQUIRE(kpw_sigv4_sign(&cache, &request, &credentials, &options, &out) == KPW_SIGV4_OK);
    snprintf(headers, sizeof headers,
             "Content-Type: %s\r\nX-Amz-Target: %s\r\nX-Amz-Date: %s\r\nAuthorization: %.*s\r\n",
             type, operation, out.date, (int)out.authorization.len, out.authorization.ptr);
    kpw_sigv4_cache_fini(&cache);
    status = harness_request(h, "POST", "/", headers, "{}", 2, ret);
    return status;
}

static struct harness *start(const char *options)
{
    struct harness *h = harness_new("local-aws", KP_SERVICE, options);

    harness_start(h);
    return h;
}

TEST(only_rightly_signed_requests_pass_when_signatures_are_verified)
{
    struct harness *h = start("{ verify_signatures = true }");
    const char *body;

    EQ_INT(ask_signed(h, "test", 0, "kinesis", "test", &body), 200);
    EQ_INT(ask_signed(h, "test", 299, "kinesis", "test", &body), 200);
    EQ_INT(ask_signed(h, "guess", 0, "kinesis", "test", &body), 400);
    YES(strstr(body, "\"InvalidSignatureException\"") != NULL);
    YES(strstr(body, "The request signature we calculated does not match") != NULL);
    EQ_INT(ask_signed(h, "test", 0, "kinesis", "other", &body), 400);
    YES(strstr(body, "\"UnrecognizedClientException\"") != NULL);
    EQ_INT(ask_signed(h, "test", -400, "kinesis", "test", &body), 400);
    YES(strstr(body, "\"InvalidSignatureException\"") != NULL);
    harness_free(h);
}

TEST(what_is_not_signed_is_refused_in_the_form_of_its_service)
{
    struct harness *h = start("{ verify_signatures = true }");
    const char *body;

    EQ_INT(harness_request(h, "POST", "/", "X-Amz-Target: Kinesis_20131202.ListStreams\r\n", "{}",
                           2, &body),
           400);
    EQ_STR(body, "{\"__type\":\"MissingAuthenticationTokenException\",\"message\":\"Missing "
                 "Authentication Token\"}");
    EQ_INT(harness_get(h, "GET", "/bucket/key", NULL, &body), 403);
    YES(strstr(body, "<Error><Code>AccessDenied</Code>") != NULL);
    EQ_INT(harness_get(h, "POST", "/?Action=ListQueues", NULL, &body), 403);
    YES(strstr(body, "<Code>MissingAuthenticationToken</Code>") != NULL);
    EQ_INT(harness_request(h, "POST", "/",
                           "X-Amz-Target: Kinesis_20131202.ListStreams\r\nAuthorization: "
                           "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kinesis/"
                           "aws4_request\r\n",
                           "{}", 2, &body),
           400);
    YES(strstr(body, "IncompleteSignatureException") != NULL);
    YES(strstr(body, "Authorization header requires 'Signature' parameter. Authorization header "
                     "requires 'SignedHeaders' parameter.") != NULL);
    harness_free(h);
}

TEST(another_key_pair_may_be_configured)
{
    struct harness *h = start("{ verify_signatures = true, access_key = 'me' }");
    const char *body;

    EQ_INT(ask_signed(h, "test", 0, "kinesis", "me", &body), 200);
    EQ_INT(ask_signed(h, "test", 0, "kinesis", "test", &body), 400);
    harness_free(h);
}

TEST(the_caller_learns_who_he_is)
{
    struct harness *h = start("{}");
    const char *body;

    EQ_INT(harness_request(h, "POST", "/", "Content-Type: application/x-www-form-urlencoded\r\n",
                           "Action=GetCallerIdentity&Version=2011-06-15", 43, &body),
           200);
    YES(strstr(body, "<Account>000000000000</Account>") != NULL);
    harness_free(h);
}

TEST(a_folder_that_cannot_be_made_is_named)
{
    YES(strstr(harness_config_error("local-aws", KP_SERVICE, "{ dir = '/dev/null/x' }"),
               "cannot use the folder /dev/null/x") != NULL);
}
