/* sts_test.c - STS through HTTP: who one is, and credentials for a while. */
#include "plugins/local-aws/s3/signed_test.h"

#define ROLE "arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fteam%2Freader"

static int call(struct harness *h, const struct signer *s, const char *form)
{
    static const char type[] = "Content-Type: application/x-www-form-urlencoded\r\n";
    char text[2000];

    snprintf(text, sizeof(text), "Version=2011-06-15&Action=%s", form);
    return harness_request(h, "POST", "/",
                           s ? sign(s, "POST", "/", type, kpw_slice_cstr(text), NULL) : type, text,
                           strlen(text), &body);
}

static const struct signer root = {"sts", "test", "test", NULL, NULL, 0};

/* Credentials out of the last answer. [static] */
static struct signer take_credentials(const char *service)
{
    static char key[30], secret[60], token[300];

    snprintf(key, sizeof(key), "%s", element("AccessKeyId", 0));
    snprintf(secret, sizeof(secret), "%s", element("SecretAccessKey", 0));
    snprintf(token, sizeof(token), "%s", element("SessionToken", 0));
    EQ_INT(strlen(key), 20);
    EQ_INT(strncmp(key, "ASIA", 4), 0);
    EQ_INT(strlen(secret), 40);
    YES(token[0] != '\0');
    return (struct signer){service, key, secret, token, NULL, 0};
}

TEST(the_caller_of_the_configured_key_is_the_account)
{
    struct harness *h = start_signed();

    EQ_INT(call(h, &root, "GetCallerIdentity"), 200);
    EQ_STR(element("Arn", 0), "arn:aws:iam::000000000000:root");
    EQ_STR(element("Account", 0), "000000000000");
    EQ_INT(call(h, NULL, "GetCallerIdentity"), 403);
    EQ_INT(call(h, &root, "GetAccessKeyInfo&AccessKeyId=AKIAIOSFODNN7EXAMPLE"), 200);
    EQ_STR(element("Account", 0), "000000000000");
    EQ_INT(call(h, &root, "AssumeRoot"), 400);
    EQ_STR(element("Code", 0), "InvalidAction");
    harness_free(h);
}

TEST(an_assumed_role_signs_until_it_expires)
{
    struct harness *h = start_signed();
    struct signer s3 = signer_s3(NULL), role;
    char token[300];

    EQ_INT(ask_signed(h, &s3, "PUT", "/bucket", ""), 200);
    EQ_INT(call(h, &root, "AssumeRole&RoleArn=" ROLE "&RoleSessionName=me&DurationSeconds=900"),
           200);
    EQ_STR(element("AssumedRoleUser><AssumedRoleId", 0) + 21, ":me");
    EQ_STR(element("Arn", 0), "arn:aws:sts::123456789012:assumed-role/reader/me");
    role = take_credentials("s3");
    EQ_INT(ask_signed(h, &role, "GET", "/bucket", ""), 200);
    role.service = "sts";
    EQ_INT(call(h, &role, "GetCallerIdentity"), 200);
    EQ_STR(element("Arn", 0), "arn:aws:sts::123456789012:assumed-role/reader/me");
    EQ_STR(element("Account", 0), "123456789012");
    EQ_INT(call(h, &role, "GetSessionToken"), 403);
    role.service = "s3";
    snprintf(token, sizeof(token), "%s", role.token);
    token[10] ^= 1;
    role.token = token;
    EQ_INT(ask_signed(h, &role, "GET", "/bucket", ""), 400);
    EQ_STR(element("Code", 0), "InvalidToken");
    role.token = NULL;
    EQ_INT(ask_signed(h, &role, "GET", "/bucket", ""), 400);
    EQ_STR(element("Code", 0), "InvalidToken");
    token[10] ^= 1;
    role.token = token;
    harness_advance(h, 901 * 1000);
    EQ_INT(ask_signed(h, &role, "GET", "/bucket", ""), 400);
    EQ_STR(element("Code", 0), "ExpiredToken");
    harness_free(h);
}

TEST(credentials_outlive_a_restart)
{
    const char *dir = kptest_dir();
    char options[4400];
    struct harness *h;
    struct signer session;

    snprintf(options, sizeof(options), "{ dir = '%s', verify_signatures = true }", dir);
    h = harness_new("local-aws", KP_SERVICE, options);
    harness_start(h);
    EQ_INT(call(h, &root, "GetSessionToken"), 200);
    session = take_credentials("sts");
    harness_free(h);
    h = harness_new("local-aws", KP_SERVICE, options);
    harness_start(h);
    EQ_INT(call(h, &session, "GetCallerIdentity"), 200);
    EQ_STR(element("Arn", 0), "arn:aws:iam::000000000000:root");
    harness_free(h);
}

TEST(what_a_request_fails_is_told_at_once)
{
    static const struct {
        const char *form, *code, *message;
    } cases[] = {
        {"AssumeRole", "ValidationError",
         "2 validation errors detected: Value null at &#39;roleArn&#39; failed to satisfy "
         "constraint: Member must not be null; Value null at &#39;roleSessionName&#39; failed to "
         "satisfy constraint: Member must not be null"},
        {"AssumeRole&RoleArn=" ROLE "&RoleSessionName=Session1%3A2", "ValidationError",
         "1 validation error detected: Value &#39;Session1:2&#39; at "
         "&#39;roleSessionName&#39; failed to satisfy constraint: Member must satisfy regular "
         "expression pattern: [\\w+=,.@-]*"},
        {"AssumeRole&RoleArn=" ROLE "&RoleSessionName=me&DurationSeconds=899", "ValidationError",
         "1 validation error detected: Value &#39;899&#39; at &#39;durationSeconds&#39; failed "
         "to satisfy constraint: Member must have value greater than or equal to 900"},
        {"AssumeRole&RoleArn=" ROLE "&RoleSessionName=me&DurationSeconds=43201", "ValidationError",
         "1 validation error detected: Value &#39;43201&#39; at &#39;durationSeconds&#39; "
         "failed to satisfy constraint: Member must have value less than or equal to 43200"},
        {"AssumeRole&RoleArn=arn%3Aaws%3As3%3A%3A%3Abucket-name&RoleSessionName=me",
         "ValidationError", "arn:aws:s3:::bucket-name is invalid"},
        {"AssumeRole&RoleArn=" ROLE "&RoleSessionName=me&Policy=%7B", "MalformedPolicyDocument",
         "This policy contains invalid Json"},
    };
    struct harness *h = start_signed();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EQ_INT(call(h, &root, cases[i].form), 400);
        EQ_STR(element("Code", 0), cases[i].code);
        EQ_STR(element("Message", 0), cases[i].message);
    }
    harness_free(h);
}

/* {"iss":"https://id.example","sub":"user-1","aud":"app","exp":...} */
#define TOKEN_OK           \
    "eyJhbGciOiJub25lIn0." \
    "eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiJ1c2VyLTEiLCJhdWQiOiJhcHAifQ.c2ln"
#define TOKEN_LATE                                                                              \
    "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiJ1c2VyLTEiLCJleHAiOjF9." \
    "c2ln"

TEST(a_web_identity_needs_no_signature)
{
#define WEB "AssumeRoleWithWebIdentity&RoleArn=" ROLE "&RoleSessionName=me&WebIdentityToken="
    struct harness *h = start_signed();
    struct signer session;

    EQ_INT(call(h, NULL, WEB TOKEN_OK), 200);
    EQ_STR(element("SubjectFromWebIdentityToken", 0), "user-1");
    EQ_STR(element("Provider", 0), "https://id.example");
    EQ_STR(element("Audience", 0), "app");
    session = take_credentials("sts");
    EQ_INT(call(h, &session, "GetCallerIdentity"), 200);
    EQ_INT(call(h, NULL, WEB "rubbish"), 400);
    EQ_STR(element("Code", 0), "InvalidIdentityToken");
    EQ_INT(call(h, NULL, WEB TOKEN_LATE), 400);
    EQ_STR(element("Code", 0), "ExpiredTokenException");
    harness_free(h);
}
