/* form_test.c - S3 through HTTP: uploads by a browser's form, with a policy and without. */
#include "plugins/local-aws/s3/signed_test.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/time.h"

#define BOUNDARY "----form 7"

/* A form: pairs of name and value ended by NULL, the file last. [owned by caller] */
static char *form(const char *const *fields, const char *file)
{
    struct kpw_buf out = KPW_BUF_INIT;
    size_t n;

    for (; fields && *fields; fields += 2)
        kpw_buf_appendf(&out,
                        "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n"
                        "%s\r\n",
                        fields[0], fields[1]);
    if (file)
        kpw_buf_appendf(&out,
                        "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"file\"; "
                        "filename=\"C/my file.txt\"\r\nContent-Type: text/html\r\n\r\n%s\r\n",
                        file);
    kpw_buf_puts(&out, "--" BOUNDARY "--\r\n");
    return kpw_buf_take(&out, &n);
}

static int post(struct harness *h, const char *const *fields, const char *file)
{
    char *text = form(fields, file);
    int status = harness_request(h, "POST", "/bucket",
                                 "Content-Type: multipart/form-data; boundary=\"" BOUNDARY "\"\r\n",
                                 text, strlen(text), &body);

    free(text);
    return status;
}

TEST(a_form_puts_an_object)
{
    static const char *const fields[] = {"key",
                                         "up/${filename}",
                                         "Content-Type",
                                         "text/plain",
                                         "x-amz-meta-colour",
                                         "blue",
                                         "tagging",
                                         "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag>"
                                         "</TagSet></Tagging>",
                                         NULL};
    struct harness *h = start(NULL);

    EQ_INT(post(h, fields, "hello"), 204);
    EQ_STR(header(h, "location"), "/bucket/up/my%20file.txt");
    EQ_INT(ask(h, "GET", "/bucket/up/my%20file.txt", "", ""), 200);
    EQ_STR(body, "hello");
    EQ_STR(header(h, "content-type"), "text/plain");
    EQ_STR(header(h, "x-amz-meta-colour"), "blue");
    EQ_STR(header(h, "x-amz-tagging-count"), "1");
    EQ_STR(header(h, "key"), "");
    harness_free(h);
}

TEST(a_form_says_how_it_is_answered)
{
    static const char *const created[] = {"key", "k", "success_action_status", "201", NULL};
    static const char *const other[] = {"key", "k", "success_action_status", "403", NULL};
    static const char *const redirect[] = {"key", "a b", "success_action_redirect",
                                           "http://here/done?x=1", NULL};
    struct harness *h = start(NULL);

    EQ_INT(post(h, created, ""), 201);
    EQ_STR(element("Bucket", 0), "bucket");
    EQ_STR(element("Key", 0), "k");
    EQ_STR(element("ETag", 0), "&quot;d41d8cd98f00b204e9800998ecf8427e&quot;");
    EQ_INT(post(h, other, "1"), 204);
    EQ_INT(post(h, redirect, "1"), 303);
    EQ_STR(header(h, "location"), "http://here/done?x=1&bucket=bucket&key=a%20b&etag="
                                  "%22c4ca4238a0b923820dcc509a6f75849b%22");
    harness_free(h);
}

TEST(a_large_file_comes_by_a_form)
{
    enum { SIZE = 1024 * 1024 };
    static const char *const fields[] = {"key", "k", "success_action_status", "201", NULL};
    struct harness *h = start(NULL);
    char *text = malloc(SIZE + 1);

    REQUIRE(text != NULL);
    memset(text, 'f', SIZE);
    text[SIZE] = '\0';
    EQ_INT(post(h, fields, text), 201);
    EQ_INT(ask(h, "HEAD", "/bucket/k", "", ""), 200);
    EQ_STR(header(h, "content-length"), "1048576");
    free(text);
    harness_free(h);
}

TEST(a_broken_form_is_refused)
{
    static const char *const fields[] = {"key", "k", NULL}, *const none[] = {"a", "b", NULL};
    static const struct {
        const char *type, *text;
    } cases[] = {
        {"multipart/form-data", "--x\r\n"},
        {"multipart/form-data; boundary=x", ""},
        {"multipart/form-data; boundary=x", "--x"},
        {"multipart/form-data; boundary=x", "--y\r\n\r\n--y--"},
        {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"key\""},
        {"multipart/form-data; boundary=x",
         "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nnever ends"},
        {"multipart/form-data; boundary=x", "--x\r\n\r\nno name\r\n--x--\r\n"},
    };
    struct harness *h = start(NULL);
    char headers[100];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(headers, sizeof(headers), "Content-Type: %s\r\n", cases[i].type);
        EQ_INT(harness_request(h, "POST", "/bucket", headers, cases[i].text, strlen(cases[i].text),
                               &body),
               400);
        EQ_STR(element("Code", 0), "MalformedPOSTRequest");
    }
    EQ_INT(post(h, fields, NULL), 400);
    EQ_STR(element("ArgumentName", 0), "file");
    EQ_INT(post(h, none, "x"), 400);
    EQ_STR(element("ArgumentName", 0), "key");
    harness_free(h);
}

/* ---- policies ---- */

#define CREDENTIAL "test/20260101/us-east-1/s3/aws4_request"

/* The fields of a form whose policy has these conditions; `secret` signs. [static] */
static const char *const *with_policy(const char *conditions, const char *expiration,
                                      const char *secret)
{
    static char policy[1400], signature[KPW_SHA256_HEX + 1];
    static const char *fields[20];
    char text[1000], first[60];
    uint8_t key[KPW_SHA256_SIZE];

    snprintf(text, sizeof(text),
             "{\"expiration\":\"%s\",\"conditions\":[%s,{\"x-amz-credential\":\"" CREDENTIAL
             "\"},{\"x-amz-algorithm\":\"AWS4-HMAC-SHA256\"},{\"x-amz-date\":"
             "\"20260101T000000Z\"}]}",
             expiration, conditions);
    policy[kpw_base64_encode(text, strlen(text), policy)] = '\0';
    snprintf(first, sizeof(first), "AWS4%s", secret);
    kpw_hmac_sha256(first, strlen(first), "20260101", 8, key);
    kpw_hmac_sha256(key, sizeof(key), "us-east-1", 9, key);
    kpw_hmac_sha256(key, sizeof(key), "s3", 2, key);
    kpw_hmac_sha256(key, sizeof(key), "aws4_request", 12, key);
    kpw_hmac_sha256(key, sizeof(key), policy, strlen(policy), key);
    signature[kpw_hex(key, sizeof(key), signature)] = '\0';
    memcpy(fields,
           (const char *[]){"key", "in/k", "x-amz-algorithm", "AWS4-HMAC-SHA256",
                            "x-amz-credential", CREDENTIAL, "x-amz-date", "20260101T000000Z",
                            "policy", policy, "x-amz-signature", signature, NULL},
           13 * sizeof(fields[0]));
    return fields;
}

static struct harness *start_bucket(void)
{
    struct harness *h = start_signed();
    struct signer s = signer_s3(NULL);

    EQ_INT(ask_signed(h, &s, "PUT", "/bucket", ""), 200);
    return h;
}

TEST(a_policy_decides_what_a_form_may_put)
{
    static const struct {
        const char *conditions;
        int status;
        const char *message; /* "": it is stored */
    } cases[] = {
        {"{\"bucket\":\"bucket\"},[\"starts-with\",\"$key\",\"in/\"]", 204, ""},
        {"[\"eq\",\"$key\",\"in/k\"],[\"content-length-range\",1,10]", 204, ""},
        {"[\"eq\",\"$key\",\"in/x\"]", 403,
         "Invalid according to Policy: Policy Condition failed: [&quot;eq&quot;, &quot;$key&quot;, "
         "&quot;in/x&quot;]"},
        {"{\"bucket\":\"other\"},{\"key\":\"in/k\"}", 403,
         "Invalid according to Policy: Policy Condition failed: [&quot;eq&quot;, "
         "&quot;$bucket&quot;, &quot;other&quot;]"},
        {"{\"bucket\":\"bucket\"}", 403, "Invalid according to Policy: Extra input fields: key"},
        {"{\"key\":\"in/k\"},[\"content-length-range\",6,10]", 400,
         "Your proposed upload is smaller than the minimum allowed size"},
        {"{\"key\":\"in/k\"},[\"content-length-range\",0,4]", 400,
         "Your proposed upload exceeds the maximum allowed size"},
        {"{\"key\":7}", 400, "Invalid Policy: Invalid Condition: a value is a text"},
    };
    struct harness *h = start_bucket();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EQ_INT(post(h, with_policy(cases[i].conditions, "2099-01-01T00:00:00Z", "test"), "hello"),
               cases[i].status);
        EQ_STR(element("Message", 0), cases[i].message);
    }
    EQ_INT(post(h, with_policy("{\"key\":\"in/k\"}", "2020-01-01T00:00:00Z", "test"), "hello"),
           403);
    EQ_STR(element("Message", 0), "Invalid according to Policy: Policy expired.");
    harness_free(h);
}

TEST(a_form_that_nobody_signed_is_refused)
{
    static const char *const fields[] = {"key", "k", NULL};
    struct harness *h = start_bucket();

    EQ_INT(post(h, fields, "hello"), 403);
    EQ_STR(element("Code", 0), "AccessDenied");
    EQ_INT(post(h, with_policy("{\"key\":\"in/k\"}", "2099-01-01T00:00:00Z", "guess"), "hello"),
           403);
    EQ_STR(element("Code", 0), "SignatureDoesNotMatch");
    harness_free(h);
}
