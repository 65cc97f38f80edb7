/* The front end of the local AWS: which service, who is not here, and its life. */
#include "plugins/local-aws/local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/harness/harness.h"
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

TEST(the_path_of_rpc_v2_cbor_names_service_and_operation)
{
    kp_http_header list[] = {{slice("smithy-protocol"), slice("rpc-v2-cbor")}};
    kp_server_request request = {.size = sizeof request,
                                 .method = slice("POST"),
                                 .path = slice("/service/GraniteServiceVersion20100801/operation/"
                                               "PutMetricData"),
                                 .headers = list,
                                 .n_headers = 1};
    struct local_target target;

    local_dispatch(&request, &target);
    EQ_INT(target.service, LOCAL_CLOUDWATCH);
    EQ_INT(target.form, LOCAL_FORM_RPC_CBOR);
    EQ_STR(target.operation, "PutMetricData");
    request.n_headers = 0; /* an object of S3 */
    local_dispatch(&request, &target);
    EQ_INT(target.service, LOCAL_S3);
}

TEST(versions_and_marks_tell_the_protocols_apart)
{
    struct local_target t = TARGET_OF("", "Action=PutMetricData&Version=2010-08-01", "content-type",
                                      "application/x-www-form-urlencoded");

    EQ_INT(t.service, LOCAL_CLOUDWATCH);
    EQ_INT(t.form, LOCAL_FORM_QUERY);
    t = TARGET_OF("", "", "x-amz-target", "GraniteServiceVersion20100801.ListMetrics");
    EQ_INT(t.service, LOCAL_CLOUDWATCH);
    EQ_INT(t.form, LOCAL_FORM_JSON_11);
    t = TARGET_OF("", "", "x-amz-target", "Kinesis_20131202.PutRecord", "content-type",
                  "application/x-amz-cbor-1.1");
    EQ_INT(t.form, LOCAL_FORM_CBOR_11);
    t = TARGET_OF("", "", "x-amz-target", "AmazonSQS.SendMessage", "content-type",
                  "application/x-amz-json-1.0");
    EQ_INT(t.form, LOCAL_FORM_JSON_10);
    EQ_INT(TARGET_OF("", "", SIGNED("monitoring")).service, LOCAL_CLOUDWATCH);
}

TEST(a_bucket_may_have_the_name_of_a_service)
{
    EQ_INT(TARGET_OF("", "", "host", "kinesis.s3.us-east-1.amazonaws.com").service, LOCAL_S3);
    EQ_INT(TARGET_OF("", "", "host", "sqs.us-east-1.amazonaws.com").service, LOCAL_SQS);
}

TEST(a_host_of_another_service_is_not_taken_for_a_bucket)
{
    struct local_target t = TARGET_OF("", "", "host", "lambda.us-east-1.amazonaws.com:443");

    EQ_INT(t.service, LOCAL_NONE);
    EQ_STR(t.asked, "lambda");
}

TEST(an_operation_under_the_prefix_of_another_service_is_unknown)
{
    struct local_target t =
        TARGET_OF("", "{}", "x-amz-target", "DynamoDB_20120810.PutRecords", SIGNED("kinesis"));

    EQ_INT(t.service, LOCAL_KINESIS);
    EQ_STR(t.operation, "");
}

TEST(the_operations_of_s3_have_their_names)
{
    static const char *const cases[][5] = {
        {"GET", "/", "", "127.0.0.1:1", "ListBuckets"},
        {"PUT", "/bucket", "", "127.0.0.1:1", "CreateBucket"},
        {"GET", "/bucket/", "list-type=2&prefix=a", "127.0.0.1:1", "ListObjectsV2"},
        {"GET", "/", "location", "bucket.s3.localhost", "GetBucketLocation"},
        {"PUT", "/a/b", "", "bucket.s3.localhost", "PutObject"},
        {"PUT", "/bucket/a", "partNumber=1&uploadId=x", "127.0.0.1:1", "UploadPart"},
        {"GET", "/bucket/a", "tagging", "127.0.0.1:1", "GetObjectTagging"},
        {"DELETE", "/bucket", "lifecycle=", "127.0.0.1:1", "DeleteBucketLifecycleConfiguration"},
        {"POST", "/bucket", "delete", "127.0.0.1:1", "DeleteObjects"},
        {"HEAD", "/bucket/a", "", "127.0.0.1:1", "HeadObject"},
        {"PATCH", "/bucket/a", "", "127.0.0.1:1", ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kp_http_header host = {slice("host"), slice(cases[i][3])};
        kp_server_request request = {.size = sizeof request,
                                     .method = slice(cases[i][0]),
                                     .path = slice(cases[i][1]),
                                     .query = slice(cases[i][2]),
                                     .headers = &host,
                                     .n_headers = 1};
        struct local_target target = {.service = LOCAL_S3};

        local_s3.classify(&request, &target);
        EQ_STR(target.operation, cases[i][4]);
    }
}

/* ---- services that are not here */

static struct harness *start(const char *options)
{
    struct harness *h = harness_new("local-aws", KP_SERVICE, options);

    harness_start(h);
    return h;
}

#define SIGNED_LINE(service)                                                      \
    "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/" service \
    "/aws4_request, SignedHeaders=host, Signature=00\r\n"
#define SERVED "it serves Kinesis, S3, DynamoDB, SQS, STS and CloudWatch."

TEST(a_service_that_is_not_here_is_named_in_the_form_of_its_protocol)
{
    struct harness *h = start("{}");
    const char *body;

    EQ_INT(harness_request(h, "POST", "/", "X-Amz-Target: Firehose_20150804.PutRecord\r\n", "{}", 2,
                           &body),
           400);
    EQ_STR(body, "{\"__type\":\"UnknownOperationException\",\"message\":\"The local AWS does not "
                 "serve \\\"Firehose\\\": " SERVED "\"}");
    EQ_INT(
        harness_request(h, "GET", "/2015-03-31/functions/", SIGNED_LINE("lambda"), NULL, 0, &body),
        404);
    EQ_STR(body, "{\"message\":\"The local AWS does not serve \\\"lambda\\\": " SERVED "\"}");
    EQ_STR(harness_response_header(h, "x-amzn-errortype"), "UnknownOperationException");
    EQ_INT(harness_request(
               h, "POST", "/",
               SIGNED_LINE("cloudformation") "Content-Type: application/x-www-form-urlencoded\r\n",
               "Action=ListStacks&Version=2010-05-15", 36, &body),
           400);
    YES(strstr(body, "<Code>UnknownOperation</Code><Message>The local AWS does not serve "
                     "&quot;cloudformation&quot;: " SERVED "</Message>") != NULL);
    harness_free(h);
}

TEST(a_service_that_has_no_rpc_answers_it_in_cbor)
{
    struct harness *h = start("{}");
    const char *body;

    EQ_INT(harness_request(h, "POST", "/service/Thing_20200101/operation/Do",
                           "smithy-protocol: rpc-v2-cbor\r\n", "", 0, &body),
           404);
    EQ_STR(harness_response_header(h, "smithy-protocol"), "rpc-v2-cbor");
    EQ_STR(harness_response_header(h, "content-type"), "application/cbor");
    YES(strstr(body, "UnknownOperationException") != NULL);
    EQ_INT(harness_request(h, "POST", "/service/Kinesis_20131202/operation/ListStreams",
                           "smithy-protocol: rpc-v2-cbor\r\n", "\xa0", 1, &body),
           404);
    YES(strstr(body, "does not speak rpc-v2-cbor for Kinesis.") != NULL);
    harness_free(h);
}

TEST(an_unknown_operation_of_a_service_is_refused_in_its_form)
{
    static const struct {
        const char *headers, *body;
        int status;
        const char *part;
    } cases[] = {
        {"Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Kinesis_20131202.Fly\r\n", "{}",
         400, "\"__type\":\"UnknownOperationException\""},
        {"Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: DynamoDB_20120810.Fly\r\n",
         "{}", 400, "com.amazon.coral.service#UnknownOperationException"},
        {"Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: AmazonSQS.Fly\r\n", "{}", 400,
         "UnknownOperationException"},
        {"Content-Type: application/x-www-form-urlencoded\r\n", "Action=Fly&Version=2012-11-05",
         400, "<Code>InvalidAction</Code>"},
        {"Content-Type: application/x-www-form-urlencoded\r\n", "Action=Fly&Version=2011-06-15",
         400, "<Code>InvalidAction</Code>"},
        {"Content-Type: application/x-www-form-urlencoded\r\n", "Action=Fly&Version=2010-08-01",
         400, "<Code>InvalidAction</Code>"},
    };
    struct harness *h = start("{}");

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *body = "";

        EQ_INT(harness_request(h, "POST", "/", cases[i].headers, cases[i].body,
                               strlen(cases[i].body), &body),
               cases[i].status);
        if (!strstr(body, cases[i].part))
            fprintf(stderr, "case %zu: %s\n", i, body);
        YES(strstr(body, cases[i].part) != NULL);
    }
    harness_free(h);
}

/* ---- life */

TEST(other_machines_are_let_in_with_a_warning_and_without_faults)
{
    struct harness *h = start("{ listen = '0.0.0.0:0' }");
    const char *body;

    YES(strstr(harness_log(h), "warn local.open listen=0.0.0.0:0 signatures=unchecked") != NULL);
    EQ_INT(harness_get(h, "GET", "/_kpipe/faults", NULL, &body), 403);
    EQ_INT(harness_get(h, "GET", "/_kpipe/health", NULL, &body), 200);
    EQ_INT(harness_get(h, "GET", "/_kpipe/state", NULL, &body),
           200); /* the test is of this machine */
    harness_free(h);
    h = start("{ listen = '0.0.0.0:0', faults = 'on' }");
    EQ_INT(harness_get(h, "GET", "/_kpipe/faults", NULL, &body), 200);
    harness_free(h);
    h = start("{}");
    NO(strstr(harness_log(h), "local.open") != NULL);
    harness_free(h);
}

TEST(a_certificate_is_made_once_and_kept)
{
    const char *dir = kptest_dir();
    char options[300], path[300];
    struct stat first, second;
    struct harness *h;

    snprintf(options, sizeof options, "{ dir = '%s', tls = true }", dir);
    h = start(options);
    harness_free(h);
    snprintf(path, sizeof path, "%s/tls.key", dir);
    REQUIRE(stat(path, &first) == 0);
    EQ_INT(first.st_mode & 0777, 0600);
    snprintf(path, sizeof path, "%s/tls.crt", dir);
    REQUIRE(stat(path, &first) == 0);
    h = start(options);
    harness_free(h);
    REQUIRE(stat(path, &second) == 0);
    EQ_INT(first.st_ino, second.st_ino);
    YES(strstr(harness_config_error("local-aws", KP_SERVICE, "{ tls_cert = '/x.pem' }"),
               "tls_cert and tls_key go together") != NULL);
}

TEST(a_folder_belongs_to_one_process)
{
    struct harness *h = start("{}");
    char options[4200], wanted[60];

    snprintf(options, sizeof options, "{ dir = '%s/local' }", harness_dir(h));
    snprintf(wanted, sizeof wanted, "is in use by process %ld", (long)getpid());
    YES(strstr(harness_config_error("local-aws", KP_SERVICE, options), wanted) != NULL);
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
