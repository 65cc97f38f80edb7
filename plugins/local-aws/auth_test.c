/* Signatures that are verified: what passes, and how each refusal reads. */
#include "plugins/local-aws/local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/harness/harness.h"
#include "sdk/wire/sigv4.h"
#include "tests/kptest.h"

#define JSON_TYPE "application/x-amz-json-1.1"
#define PLAIN     "Content-Type: " JSON_TYPE "\r\nX-Amz-Target: " LIST "\r\n"
#define LIST      "Kinesis_20131202.ListStreams"

/* A request to be signed; what is NULL or 0 gets a sensible value. */
struct asked {
    const char *service, *scope; /* "kinesis"; scope: the service in the credential */
    const char *key, *secret, *token;
    const char *path, *query, *method, *body;
    int64_t skew_s;
    uint32_t expires_s;    /* presigned */
    const char *sent_body; /* instead of the signed one */
    const char *more;      /* further headers, not signed */
    const char *day;       /* of the scope, instead of the date's */
};

static struct harness *start(const char *options)
{
    struct harness *h = harness_new("local-aws", KP_SERVICE, options);

    harness_start(h);
    return h;
}

static const char * or (const char *text, const char *fallback)
{
    return text ? text : fallback;
}

/* Replaces the day of "Credential=KEY/20260101/". */
static void set_day(char *text, const char *day)
{
    char *at = strstr(text, "Credential=");

    REQUIRE(at != NULL);
    at = strchr(at, '/');
    memcpy(at + 1, day, 8);
}

static int ask(struct harness *h, const struct asked *a, const char **ret)
{
    const char *service = or (a->service, "kinesis"), *body = or (a->body, "{}");
    bool is_kinesis = !strcmp(service, "kinesis"), is_s3 = !strcmp(service, "s3");
    struct kpw_sigv4_header list[] = {{KPW_LIT("host"), KPW_LIT("127.0.0.1")},
                                      {KPW_LIT("content-type"), KPW_LIT(JSON_TYPE)},
                                      {KPW_LIT("x-amz-target"), KPW_LIT(LIST)}};
    struct kpw_sigv4_request request = {.method = kpw_slice_cstr(or (a->method, "POST")),
                                        .path = kpw_slice_cstr(or (a->path, "/")),
                                        .query = kpw_slice_cstr(or (a->query, "")),
                                        .headers = list,
                                        .n_headers = is_kinesis ? 3 : 1,
                                        .body = kpw_slice_cstr(body)};
    struct kpw_sigv4_credentials credentials = {kpw_slice_cstr(or (a->key, "test")),
                                                kpw_slice_cstr(or (a->secret, "test")),
                                                kpw_slice_cstr(or (a->token, ""))};
    struct kpw_sigv4_options options = {.region = KPW_LIT("us-east-1"),
                                        .service = kpw_slice_cstr(or (a->scope, service)),
                                        .now_s = kp->wall_ms() / 1000 + a->skew_s,
                                        .expires_s = a->expires_s,
                                        .flags = !is_s3 ? 0
                                                 : a->expires_s
                                                     ? KPW_SIGV4_S3 | KPW_SIGV4_UNSIGNED_BODY
                                                     : KPW_SIGV4_S3};
    struct kpw_sigv4_cache cache = {0};
    struct kpw_sigv4_signed out;
    struct kpw_slice query;
    char headers[4000], target[2000], more[400];
    int status;

    snprintf(more, sizeof more, "%s%s",
             is_kinesis ? "Content-Type: " JSON_TYPE "\r\nX-Amz-Target: " LIST "\r\n" : "",
             or (a->more, ""));
    snprintf(target, sizeof target, "%s%s%s", or (a->path, "/"), a->query ? "?" : "",
             or (a->query, ""));
    if (a->expires_s) {
        REQUIRE(kpw_sigv4_presign(&cache, &request, &credentials, &options, &query) ==
                KPW_SIGV4_OK);
        snprintf(target, sizeof target, "%s?%.*s", or (a->path, "/"), (int)query.len, query.ptr);
        snprintf(headers, sizeof headers, "%s", more);
    } else {
        REQUIRE(kpw_sigv4_sign(&cache, &request, &credentials, &options, &out) == KPW_SIGV4_OK);
        snprintf(headers, sizeof headers, "%sX-Amz-Date: %s\r\n%s%s%s%s%s%sAuthorization: %.*s\r\n",
                 more, out.date, a->token ? "X-Amz-Security-Token: " : "", or (a->token, ""),
                 a->token ? "\r\n" : "", is_s3 ? "X-Amz-Content-Sha256: " : "",
                 is_s3 ? out.payload : "", is_s3 ? "\r\n" : "", (int)out.authorization.len,
                 out.authorization.ptr);
        if (a->day)
            set_day(headers, a->day);
    }
    kpw_sigv4_cache_fini(&cache);
    body = or (a->sent_body, body);
    status = harness_request(h, or (a->method, "POST"), target, headers, body, strlen(body), ret);
    return status;
}

#define ASK(h, body, ...) ask(h, &(struct asked){__VA_ARGS__}, body)

static void has(const char *body, const char *part)
{
    if (!strstr(body, part))
        fprintf(stderr, "wanted %s in %s\n", part, body);
    YES(strstr(body, part) != NULL);
}

TEST(only_rightly_signed_requests_pass)
{
    struct harness *h = start("{ verify_signatures = true }");
    const char *body;

    EQ_INT(ASK(h, &body, .skew_s = 0), 200);
    EQ_INT(ASK(h, &body, .skew_s = 890), 200);
    EQ_INT(ASK(h, &body, .skew_s = -890), 200);
    EQ_INT(ASK(h, &body, .service = "s3", .method = "GET", .body = ""), 200);
    EQ_INT(ASK(h, &body, .service = "sqs", .method = "GET", .body = "",
               .query = "Action=ListQueues&Version=2012-11-05"),
           200);
    harness_free(h);
}

TEST(a_mismatch_shows_what_was_expected_and_no_secret)
{
    struct harness *h;
    const char *body;

    setenv("LOCAL_TEST_SECRET", "hush-hush", 1);
    h = start("{ verify_signatures = true, secret_key = k.secret 'env:LOCAL_TEST_SECRET' }");
    EQ_INT(ASK(h, &body, .secret = "hush-hush"), 200);

    EQ_INT(ASK(h, &body, .secret = "guess"), 400);
    has(body, "\"__type\":\"InvalidSignatureException\"");
    has(body, "The request signature we calculated does not match the signature you provided.");
    has(body, "The Canonical String for this request should have "
              "been\\n'POST\\n/\\n\\ncontent-type:" JSON_TYPE);
    has(body, "The String-to-Sign should have been\\n'AWS4-HMAC-SHA256\\n");
    NO(strstr(body, "hush-hush") != NULL);
    NO(strstr(harness_log(h), "hush-hush") != NULL);
    EQ_INT(ASK(h, &body, .secret = "guess", .service = "sqs", .method = "GET", .body = "",
               .query = "Action=ListQueues&Version=2012-11-05"),
           403);
    has(body, "<Code>SignatureDoesNotMatch</Code>");
    EQ_INT(ASK(h, &body, .secret = "guess", .service = "s3", .method = "GET", .body = ""), 403);
    has(body, "<Error><Code>SignatureDoesNotMatch</Code>");
    has(body, "<AWSAccessKeyId>test</AWSAccessKeyId><StringToSign>AWS4-HMAC-SHA256\n");
    has(body, "<StringToSignBytes>41 57 53 34 2d");
    has(body, "<CanonicalRequest>GET\n/\n\nhost:127.0.0.1\n");
    has(body, "<CanonicalRequestBytes>47 45 54 0a");
    harness_free(h);
}

TEST(every_part_of_a_signed_request_is_covered)
{
    struct harness *h = start("{ verify_signatures = true }");
    const char *body;

    EQ_INT(ASK(h, &body, .sent_body = "{ }"), 400);
    has(body, "InvalidSignatureException");
    EQ_INT(ASK(h, &body, .more = "X-Amz-Extra: 1\r\n"), 400);
    has(body, "'x-amz-extra' must be a 'SignedHeader' in the AWS Authorization.");
    EQ_INT(ASK(h, &body, .more = "X-Other: 1\r\n"), 200);
    EQ_INT(ASK(h, &body, .service = "s3", .method = "PUT", .path = "/bucket", .body = ""), 200);
    EQ_INT(ASK(h, &body, .service = "s3", .method = "POST", .path = "/bucket",
               .query = "delete=", .body = "<Delete><Object><Key>a</Key></Object></Delete>",
               .sent_body = "<Delete><Object><Key>b</Key></Object></Delete>",
               .more = "Content-MD5: saCew/2Dq5dQ6qnZCXppLg==\r\n"),
           400);
    has(body, "<Code>XAmzContentSHA256Mismatch</Code>");
    EQ_INT(ASK(h, &body, .service = "s3", .method = "PUT", .path = "/bucket/k", .body = "one",
               .sent_body = "two"),
           400);
    has(body, "<Code>XAmzContentSHA256Mismatch</Code>");
    has(body, "<ClientComputedContentSHA256>7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add"
              "73ff431ed</ClientComputedContentSHA256>");
    has(body, "<S3ComputedContentSHA256>3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe68"
              "5e2f3</S3ComputedContentSHA256>");
    EQ_INT(
        ASK(h, &body, .service = "s3", .method = "GET", .body = "", .more = "X-Amz-Meta-A: 1\r\n"),
        403);
    has(body, "<HeadersNotSigned>x-amz-meta-a</HeadersNotSigned>");
    harness_free(h);
}

TEST(keys_nobody_knows_are_refused)
{
    struct harness *h = start("{ verify_signatures = true }");
    const char *body;

    EQ_INT(ASK(h, &body, .key = "other"), 400);
    has(body, "\"UnrecognizedClientException\",\"message\":\"The security token included in the "
              "request is invalid.\"");
    EQ_INT(ASK(h, &body, .key = "other", .service = "sts", .method = "GET", .body = "",
               .query = "Action=GetCallerIdentity&Version=2011-06-15"),
           403);
    has(body, "<Code>InvalidClientTokenId</Code>");
    EQ_INT(ASK(h, &body, .key = "other", .service = "s3", .method = "GET", .body = ""), 403);
    has(body, "<Code>InvalidAccessKeyId</Code>");
    has(body, "<AWSAccessKeyId>other</AWSAccessKeyId>");
    EQ_INT(ASK(h, &body, .token = "made-up"), 400);
    has(body, "UnrecognizedClientException");
    harness_free(h);
}

TEST(another_key_pair_may_be_configured)
{
    struct harness *h = start("{ verify_signatures = true, access_key = 'me' }");
    const char *body;

    EQ_INT(ASK(h, &body, .key = "me"), 200);
    EQ_INT(ASK(h, &body, .key = "test"), 400);
    harness_free(h);
}

TEST(clocks_may_be_a_quarter_of_an_hour_apart)
{
    struct harness *h = start("{ verify_signatures = true }");
    const char *body;

    EQ_INT(ASK(h, &body, .skew_s = -1000), 400);
    has(body, "\"InvalidSignatureException\",\"message\":\"Signature expired: ");
    has(body, " is now earlier than ");
    has(body, " - 15 min.)\"");
    EQ_INT(ASK(h, &body, .skew_s = 1000), 400);
    has(body, "Signature not yet current: ");
    has(body, " + 15 min.)\"");
    EQ_INT(ASK(h, &body, .skew_s = 1000, .service = "s3", .method = "GET", .body = ""), 403);
    has(body, "<Code>RequestTimeTooSkewed</Code>");
    has(body, "<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>");
    harness_free(h);
}

TEST(a_presigned_request_is_good_until_it_expires)
{
    struct harness *h = start("{ verify_signatures = true }");
    const char *body;

    EQ_INT(ASK(h, &body, .service = "s3", .method = "GET", .body = "", .expires_s = 60), 200);
    EQ_INT(
        ASK(h, &body, .service = "s3", .method = "GET", .body = "", .expires_s = 60, .skew_s = -50),
        200);
    EQ_INT(
        ASK(h, &body, .service = "s3", .method = "GET", .body = "", .expires_s = 60, .skew_s = -70),
        403);
    has(body, "<Code>AccessDenied</Code><Message>Request has expired</Message>");
    has(body, "<X-Amz-Expires>60</X-Amz-Expires><Expires>");
    EQ_INT(ASK(h, &body, .service = "s3", .method = "GET", .body = "", .expires_s = 60,
               .skew_s = 2000),
           403);
    has(body, "Request is not valid yet");
    EQ_INT(ASK(h, &body, .service = "s3", .method = "GET", .body = "", .expires_s = 60,
               .secret = "guess"),
           403);
    has(body, "SignatureDoesNotMatch");
    EQ_INT(harness_get(h, "GET", "/bucket/k?X-Amz-Algorithm=AWS4-HMAC-SHA256", NULL, &body), 400);
    has(body, "<Code>AuthorizationQueryParametersError</Code>");
    harness_free(h);
}

TEST(a_scope_must_be_for_this_day_and_this_service)
{
    struct harness *h = start("{ verify_signatures = true }");
    const char *body;

    EQ_INT(ASK(h, &body, .day = "20200101"), 400);
    has(body, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
              "HTTP: '20200101' != '");
    EQ_INT(ASK(h, &body, .scope = "firehose"), 400);
    has(body, "Credential should be scoped to correct service: 'kinesis'. ");
    EQ_INT(ASK(h, &body, .service = "s3", .method = "GET", .body = "", .day = "20200101"), 400);
    has(body, "<Code>AuthorizationHeaderMalformed</Code>");
    has(body, "Invalid credential date &quot;20200101&quot;.");
    harness_free(h);
}

TEST(what_is_not_signed_is_refused_in_the_form_of_its_service)
{
    struct harness *h = start("{ verify_signatures = true }");
    const char *body;

    EQ_INT(harness_request(h, "POST", "/", PLAIN, "{}", 2, &body), 400);
    EQ_STR(body, "{\"__type\":\"MissingAuthenticationTokenException\",\"message\":\"Missing "
                 "Authentication Token\"}");
    EQ_INT(harness_request(h, "POST", "/", "X-Amz-Target: DynamoDB_20120810.ListTables\r\n", "{}",
                           2, &body),
           400);
    has(body, "\"__type\":\"com.amazon.coral.service#MissingAuthenticationTokenException\"");
    EQ_INT(harness_get(h, "GET", "/bucket/key", NULL, &body), 403);
    has(body, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message>");
    EQ_INT(harness_get(h, "POST", "/?Action=ListQueues", NULL, &body), 403);
    has(body, "<Code>MissingAuthenticationToken</Code>");
    EQ_INT(harness_request(h, "POST", "/",
                           "X-Amz-Target: " LIST "\r\nContent-Type: application/x-amz-cbor-1.1\r\n",
                           "\xa0", 1, &body),
           400);
    EQ_STR(harness_response_header(h, "content-type"), "application/x-amz-cbor-1.1");
    harness_free(h);
}

TEST(what_lacks_in_an_authorization_is_told)
{
    struct harness *h = start("{ verify_signatures = true }");
    const char *body;

    EQ_INT(harness_request(h, "POST", "/",
                           PLAIN "Authorization: AWS4-HMAC-SHA256 "
                                 "Credential=test/20260101/us-east-1/kinesis/aws4_request\r\n",
                           "{}", 2, &body),
           400);
    has(body, "IncompleteSignatureException");
    has(body, "Authorization header requires 'Signature' parameter. Authorization header requires "
              "'SignedHeaders' parameter. Authorization header requires existence of either a "
              "'X-Amz-Date' or a 'Date' header. Authorization=AWS4-HMAC-SHA256 Credential=");
    EQ_INT(harness_request(h, "POST", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=1", PLAIN,
                           "{}", 2, &body),
           400);
    has(body, "AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string "
              "parameters must include 'X-Amz-Signature'. AWS query-string parameters must include "
              "'X-Amz-SignedHeaders'. Re-examine the query-string parameters.");
    EQ_INT(harness_request(h, "POST", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256",
                           PLAIN "Authorization: AWS4-HMAC-SHA256 x\r\n", "{}", 2, &body),
           400);
    has(body, "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP "
              "header.");
    EQ_INT(harness_request(h, "GET", "/bucket", "Authorization: Basic abc\r\n", NULL, 0, &body),
           400);
    has(body, "<Code>InvalidArgument</Code><Message>Unsupported Authorization Type</Message>");
    harness_free(h);
}

/* The text between two marks. [static buffer, 3 in turn] */
static const char *between(const char *text, const char *from, const char *to)
{
    static char out[3][400];
    static unsigned turn;
    char *ret = out[turn++ % 3];
    const char *a = strstr(text, from), *b = a ? strstr(a, to) : NULL;

    REQUIRE(b != NULL);
    snprintf(ret, sizeof out[0], "%.*s", (int)(b - a - (ptrdiff_t)strlen(from)), a + strlen(from));
    return ret;
}

TEST(temporary_credentials_sign_until_they_expire)
{
    struct harness *h = start("{ verify_signatures = true }");
    const char *body, *key, *secret, *token;

    EQ_INT(ASK(h, &body, .service = "sts", .method = "GET", .body = "",
               .query = "Action=AssumeRole&DurationSeconds=900&RoleArn=arn%3Aaws%3Aiam%3A%3A"
                        "000000000000%3Arole%2Fa&RoleSessionName=me&Version=2011-06-15"),
           200);
    key = between(body, "<AccessKeyId>", "</AccessKeyId>");
    secret = between(body, "<SecretAccessKey>", "</SecretAccessKey>");
    token = between(body, "<SessionToken>", "</SessionToken>");
    EQ_INT(ASK(h, &body, .key = key, .secret = secret, .token = token), 200);
    EQ_INT(ASK(h, &body, .key = key, .secret = secret), 400);
    has(body, "UnrecognizedClientException");
    EQ_INT(ASK(h, &body, .key = key, .secret = "guess", .token = token), 400);
    has(body, "InvalidSignatureException");
    EQ_INT(harness_get(h, "POST", "/_kpipe/faults", "{\"clock_ms\":901000}", &body), 200);
    EQ_INT(ASK(h, &body, .key = key, .secret = secret, .token = token, .skew_s = 901), 400);
    has(body, "ExpiredTokenException");
    EQ_INT(ASK(h, &body, .key = key, .secret = secret, .token = token, .skew_s = 901,
               .service = "s3", .method = "GET", .body = ""),
           400);
    has(body, "<Code>ExpiredToken</Code>");
    harness_free(h);
}
