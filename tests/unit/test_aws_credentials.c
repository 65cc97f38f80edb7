/* test_aws_credentials.c - each source of credentials against the small server, refreshing under a
 * fake clock, and workers that share. */
#include "tests/unit/aws_world.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/aws/aws_config.h"
#include "core/aws/aws_fetch.h"
#include "core/net/http_client.h"

#define MINUTE INT64_C(60000)

static struct aws_config *config;
static struct aws_client *client;
static struct {
    int n, status;
    char error[128], message[1000];
    bool retryable;
} got;

static void on_answer(kp_node *node, void *arg, const kp_aws_response *response)
{
    (void)node, (void)arg;
    got.n++;
    got.status = response->status;
    snprintf(got.error, sizeof got.error, "%s", response->error ? response->error : "");
    snprintf(got.message, sizeof got.message, "%s", response->message);
    got.retryable = response->retryable;
}

/* Services are at /svc, so that their requests are told from those for credentials. */
static void open_world(void)
{
    char url[100];

    world_begin();
    memset(&got, 0, sizeof got);
    snprintf(url, sizeof url, "%s/svc", world_url());
    world_env("AWS_REGION", "eu-central-1");
    world_env("AWS_ENDPOINT_URL", url);
}

static void open_client(void)
{
    struct error err = ERROR_INIT;

    config = aws_config_new(NULL, &err);
    REQUIRE(config != NULL);
    client = aws_client_new(world_loop(), world_http(), config);
}

static void close_world(void)
{
    aws_client_free(client);
    world_end();
    aws_config_free(config);
}

static void call(void)
{
    kp_aws_request request = {.size = sizeof request, .service = "sqs", .attempts = 1};
    int before = got.n;

    (void)aws_client_call(client, NULL, &request, on_answer, NULL);
    EQ_INT(got.n, before);
    WORLD_UNTIL(got.n > before);
}

/* The key id of the i-th request. */
static const char *key_of(size_t i)
{
    static char key[64];
    const char *at = strstr(world_header(i, "authorization"), "Credential=");

    snprintf(key, sizeof key, "%.*s", at ? (int)strcspn(at + 11, "/") : 0, at ? at + 11 : "");
    return key;
}

#define OK(path) world_script(path, 200, NULL, "{}")

/* ---- at once */

TEST(session_keys_of_the_environment_sign_and_send_their_token)
{
    open_world();
    world_env("AWS_ACCESS_KEY_ID", "AKENV");
    world_env("AWS_SECRET_ACCESS_KEY", "secret-of-AKENV");
    world_env("AWS_SESSION_TOKEN", "token-of-AKENV");
    open_client();
    OK("/svc");
    call();
    EQ_INT(got.status, 200);
    EQ_STR(world_header(0, "x-amz-security-token"), "token-of-AKENV");
    EQ_STR(key_of(0), "AKENV");
    close_world();
}

TEST(keys_of_the_credentials_file_are_read_anew_when_they_have_expired)
{
    open_world();
    world_file(".aws/credentials", "[default]\naws_access_key_id = AKONE\n"
                                   "aws_secret_access_key = secret-of-AKONE\n"
                                   "aws_session_token = token-of-AKONE\n");
    open_client();
    OK("/svc");
    call();
    EQ_STR(key_of(0), "AKONE");
    world_file(".aws/credentials", "[default]\naws_access_key_id = AKTWO\n"
                                   "aws_secret_access_key = secret-of-AKTWO\n");
    world_script("/svc", 403, NULL, "{\"__type\":\"ExpiredTokenException\"}");
    OK("/svc");
    call();
    EQ_INT(got.status, 200);
    EQ_INT(world_n_seen(), 3);
    EQ_STR(key_of(1), "AKONE");
    EQ_STR(key_of(2), "AKTWO");
    close_world();
}

TEST(credentials_that_are_refused_as_expired_are_renewed_once_only)
{
    open_world();
    world_env("AWS_ACCESS_KEY_ID", "AKENV");
    world_env("AWS_SECRET_ACCESS_KEY", "secret-of-AKENV");
    open_client();
    for (int i = 0; i < 3; i++)
        world_script("/svc", 403, NULL, "{\"__type\":\"ExpiredTokenException\",\"message\":\"m\"}");
    call();
    EQ_STR(got.error, "ExpiredTokenException");
    EQ_INT(world_n_seen(), 2);
    close_world();
}

TEST(without_credentials_a_call_is_answered_with_one_clear_sentence)
{
    open_world();
    open_client();
    call();
    EQ_STR(got.error, "NoCredentials");
    EQ_STR(got.message, "there are no AWS credentials: neither the environment nor profile "
                        "'default' has any, and the instance's metadata are disabled");
    NO(got.retryable);
    EQ_INT(got.status, 0);
    EQ_INT(world_n_seen(), 0);
    close_world();
}

/* ---- a process */

static void use_process(const char *script)
{
    char text[600];
    const char *path = world_file("print-keys", script);

    chmod(path, 0700);
    snprintf(text, sizeof text, "[default]\ncredential_process = \"%s\" 'one two'\n", path);
    world_file(".aws/config", text);
    open_client();
}

TEST(a_process_prints_credentials_without_a_shell)
{
    open_world();
    use_process("#!/bin/sh\n[ \"$1\" = 'one two' ] || exit 9\n"
                "echo '{\"Version\":1,\"AccessKeyId\":\"AKPROC\",\"SecretAccessKey\":"
                "\"secret-of-AKPROC\",\"SessionToken\":\"token-of-AKPROC\","
                "\"Expiration\":\"2999-01-01T00:00:00Z\"}'\n");
    OK("/svc");
    call();
    EQ_INT(got.status, 200);
    EQ_STR(key_of(0), "AKPROC");
    close_world();
}

TEST(a_process_that_fails_says_why)
{
    open_world();
    use_process("#!/bin/sh\necho 'no login' >&2\nexit 3\n");
    call();
    EQ_STR(got.error, "NoCredentials");
    EQ_STR(got.message, "credential_process ended with status 3: no login ");
    close_world();
}

TEST(a_process_of_another_version_or_none_at_all_is_refused)
{
    open_world();
    use_process("#!/bin/sh\necho '{\"Version\":2}'\n");
    call();
    EQ_STR(got.message, "credential_process did not print credentials of \"Version\": 1");
    close_world();
    open_world();
    world_file(".aws/config", "[default]\ncredential_process = /nowhere/program\n");
    open_client();
    call();
    EQ_STR(got.message, "credential_process cannot be started: no such file or directory");
    close_world();
}

TEST(a_process_under_way_is_ended_with_its_client)
{
    kp_aws_request request = {.size = sizeof request, .service = "sqs"};

    open_world();
    use_process("#!/bin/sh\nexec sleep 1000\n");
    (void)aws_client_call(client, NULL, &request, on_answer, NULL);
    world_turn();
    close_world(); /* comes back only when it is gone */
    EQ_INT(got.n, 0);
}

/* ---- the container's agent */

static void use_container(void)
{
    char url[120];

    snprintf(url, sizeof url, "%s/agent", world_url());
    world_env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
}

#define KEYS(id, expiration)                                                               \
    "{\"Code\":\"Success\",\"AccessKeyId\":\"" id "\",\"SecretAccessKey\":\"secret-of-" id \
    "\",\"Token\":\"token-of-" id "\",\"Expiration\":\"" expiration "\"}"

TEST(a_container_is_asked_with_the_token_of_its_file)
{
    open_world();
    use_container();
    world_env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "of the environment");
    world_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", world_file("token", "of the file\n"));
    open_client();
    world_script("/agent", 200, NULL, KEYS("AKTASK", "2999-01-01T00:00:00Z"));
    OK("/svc");
    call();
    EQ_INT(got.status, 200);
    EQ_STR(world_line(0), "GET /agent");
    EQ_STR(world_header(0, "authorization"), "of the file");
    EQ_STR(key_of(1), "AKTASK");
    close_world();
}

TEST(a_container_token_with_a_line_end_and_a_far_agent_are_refused)
{
    open_world();
    use_container();
    world_env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a\r\nx: y");
    open_client();
    call();
    EQ_STR(got.error, "NoCredentials");
    EQ_STR(got.message, "the container's authorization token has a line end in it");
    close_world();
    open_world();
    world_env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/x");
    open_client();
    call();
    YES(strstr(got.message, "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https") != NULL);
    EQ_INT(world_n_seen(), 0);
    close_world();
}

/* ---- the instance */

static void use_instance(void)
{
    world_env("AWS_EC2_METADATA_DISABLED", NULL);
    world_env("AWS_EC2_METADATA_SERVICE_ENDPOINT", world_url());
}

TEST(instance_metadata_are_asked_in_version_two)
{
    open_world();
    use_instance();
    open_client();
    world_script("/latest/api/token", 200, NULL, "imds-token");
    world_script("/latest/meta-data/iam/security-credentials/", 200, NULL, "my-role\n");
    world_script("/latest/meta-data/iam/security-credentials/my-role", 200, NULL,
                 KEYS("AKROLE", "2999-01-01T00:00:00Z"));
    OK("/svc");
    call();
    EQ_INT(got.status, 200);
    EQ_STR(world_line(0), "PUT /latest/api/token");
    EQ_STR(world_header(0, "x-aws-ec2-metadata-token-ttl-seconds"), "21600");
    EQ_STR(world_line(2), "GET /latest/meta-data/iam/security-credentials/my-role");
    EQ_STR(world_header(2, "x-aws-ec2-metadata-token"), "imds-token");
    EQ_STR(key_of(3), "AKROLE");
    close_world();
}

TEST(an_old_instance_is_asked_without_a_token_unless_that_is_off)
{
    open_world();
    use_instance();
    open_client();
    world_script("/latest/api/token", 404, NULL, "");
    world_script("/latest/meta-data/", 200, NULL, "r");
    world_script("/latest/meta-data/", 200, NULL, KEYS("AKROLE", "2999-01-01T00:00:00Z"));
    OK("/svc");
    call();
    EQ_INT(got.status, 200);
    EQ_STR(world_header(1, "x-aws-ec2-metadata-token"), "");
    close_world();
    open_world();
    use_instance();
    world_env("AWS_EC2_METADATA_V1_DISABLED", "true");
    open_client();
    world_script("/latest/api/token", 404, NULL, "");
    call();
    EQ_STR(got.error, "NoCredentials");
    EQ_INT(world_n_seen(), 1);
    close_world();
}

TEST(an_instance_without_a_role_has_no_credentials)
{
    open_world();
    use_instance();
    open_client();
    world_script("/latest/api/token", 200, NULL, "t");
    world_script("/latest/meta-data/", 404, NULL, "");
    call();
    EQ_STR(got.error, "NoCredentials");
    YES(strstr(got.message, "status 404); it has no role") != NULL);
    NO(got.retryable);
    close_world();
}

TEST(expired_keys_of_an_instance_that_cannot_renew_them_are_used)
{
    open_world();
    use_instance();
    open_client();
    world_script("/latest/api/token", 200, NULL, "t");
    world_script("/latest/meta-data/", 200, NULL, "r");
    world_script("/latest/meta-data/", 200, NULL, KEYS("AKOLD", "2001-01-01T00:00:00Z"));
    OK("/svc");
    call();
    EQ_INT(got.status, 200);
    EQ_STR(key_of(3), "AKOLD");
    close_world();
}

/* ---- web identity */

TEST(a_web_identity_token_is_exchanged_at_sts)
{
    open_world();
    world_env("AWS_WEB_IDENTITY_TOKEN_FILE", world_file("jwt", "a.b/c\n"));
    world_env("AWS_ROLE_ARN", "arn:aws:iam::1:role/r");
    world_env("AWS_ROLE_SESSION_NAME", "me");
    open_client();
    world_script("/svc", 200, NULL,
                 "<AssumeRoleWithWebIdentityResponse xmlns=\"x\"><AssumeRoleWithWebIdentityResult>"
                 "<Credentials><AccessKeyId>AKWEB</AccessKeyId>"
                 "<SecretAccessKey>secret-of-AKWEB</SecretAccessKey>"
                 "<SessionToken>token-of-AKWEB</SessionToken>"
                 "<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>"
                 "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>");
    OK("/svc");
    call();
    EQ_INT(got.status, 200);
    EQ_STR(world_body(0), "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn="
                          "arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=me&WebIdentityToken="
                          "a.b%2Fc");
    EQ_STR(world_header(0, "authorization"), "");
    EQ_STR(key_of(1), "AKWEB");
    close_world();
    open_world();
    world_env("AWS_WEB_IDENTITY_TOKEN_FILE", world_file("jwt", "a"));
    world_env("AWS_ROLE_ARN", "r");
    open_client();
    world_script("/svc", 403, NULL,
                 "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error>"
                 "</ErrorResponse>");
    call();
    EQ_STR(got.message, "sts:AssumeRoleWithWebIdentity failed: AccessDenied: no");
    close_world();
}

TEST(a_role_is_assumed_with_the_keys_of_the_source_profile)
{
    open_world();
    world_file(".aws/credentials", "[base]\naws_access_key_id = AKBASE\n"
                                   "aws_secret_access_key = secret-of-AKBASE\n");
    world_file(".aws/config", "[profile job]\nrole_arn = arn:aws:iam::1:role/r\n"
                              "source_profile = base\nrole_session_name = me\n"
                              "external_id = x y\nduration_seconds = 900\n");
    world_env("AWS_PROFILE", "job");
    open_client();
    world_script("/svc", 200, NULL,
                 "<AssumeRoleResponse xmlns=\"x\"><AssumeRoleResult>"
                 "<Credentials><AccessKeyId>AKROLE</AccessKeyId>"
                 "<SecretAccessKey>secret-of-AKROLE</SecretAccessKey>"
                 "<SessionToken>token-of-AKROLE</SessionToken>"
                 "<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>"
                 "</AssumeRoleResult></AssumeRoleResponse>");
    OK("/svc");
    call();
    EQ_INT(got.status, 200);
    EQ_STR(key_of(0), "AKBASE"); /* and the world has verified it */
    YES(strstr(world_header(0, "authorization"), "/eu-central-1/sts/aws4_request") != NULL);
    EQ_STR(world_body(0), "Action=AssumeRole&Version=2011-06-15&RoleArn="
                          "arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=me"
                          "&DurationSeconds=900&ExternalId=x%20y");
    EQ_STR(key_of(1), "AKROLE");
    close_world();
}

/* ---- refreshing */

/* 2026-01-01T00:00:00Z; the keys below live for 100 minutes. */
#define START INT64_C(1767225600000)

TEST(credentials_are_refreshed_at_four_fifths_of_their_life_without_a_wait)
{
    open_world();
    use_container();
    open_client();
    clock_fake(START);
    world_script("/agent", 200, NULL, KEYS("AKONE", "2026-01-01T01:40:00Z"));
    OK("/svc");
    call();
    EQ_INT(world_n_seen(), 2);
    clock_fake_move(79 * MINUTE);
    OK("/svc");
    call();
    EQ_STR(key_of(2), "AKONE");
    EQ_INT(world_n_seen(), 3); /* nobody asked the agent */
    clock_fake_move(2 * MINUTE);
    world_script("/agent", 200, NULL, KEYS("AKTWO", "2026-01-01T03:00:00Z"));
    OK("/svc");
    call(); /* goes out with the old ones while new ones are fetched */
    WORLD_UNTIL(world_n_seen() == 5);
    EQ_INT(got.status, 200);
    EQ_STR(strncmp(world_line(3), "GET", 3) ? key_of(3) : key_of(4), "AKONE");
    for (int i = 0; i < 5; i++)
        world_turn();
    OK("/svc");
    call();
    EQ_STR(key_of(5), "AKTWO");
    close_world();
}

TEST(while_refreshing_fails_the_old_credentials_serve_until_their_end)
{
    open_world();
    use_container();
    open_client();
    clock_fake(START);
    world_script("/agent", 200, NULL, KEYS("AKONE", "2026-01-01T01:40:00Z"));
    OK("/svc");
    call();
    clock_fake_move(90 * MINUTE);
    world_script("/agent", 200, NULL, "not json");
    OK("/svc");
    call();
    EQ_INT(got.status, 200);
    WORLD_UNTIL(world_n_seen() == 4);
    for (int i = 0; i < 5; i++)
        world_turn();
    OK("/svc");
    call(); /* the next try is a second away: the agent is left alone */
    EQ_INT(got.status, 200);
    EQ_INT(world_n_seen(), 5);
    clock_fake_move(11 * MINUTE);
    world_script("/agent", 200, NULL, "still not json");
    call();
    EQ_STR(got.error, "NoCredentials");
    EQ_STR(got.message, "credentials from the container's endpoint: the answer is not JSON");
    YES(got.retryable);
    clock_fake_move(MINUTE);
    world_script("/agent", 200, NULL, KEYS("AKTWO", "2026-01-01T03:40:00Z"));
    OK("/svc");
    call();
    EQ_INT(got.status, 200);
    close_world();
}

TEST(many_calls_wait_for_one_fetch)
{
    kp_aws_request request = {.size = sizeof request, .service = "sqs"};

    open_world();
    use_container();
    open_client();
    world_script("/agent", 200, NULL, KEYS("AKONE", "2999-01-01T00:00:00Z"));
    for (int i = 0; i < 20; i++) {
        OK("/svc");
        (void)aws_client_call(client, NULL, &request, on_answer, NULL);
    }
    WORLD_UNTIL(got.n == 20);
    EQ_INT(world_n_seen(), 21);
    EQ_STR(world_line(0), "GET /agent");
    close_world();
}

/* ---- sharing */

struct worker {
    pthread_t thread;
    uv_loop_t loop;
    int n;
    int status;
    _Atomic bool is_over;
};

static void on_worker_answer(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct worker *worker = arg;

    (void)node;
    worker->n++;
    worker->status = response->status;
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct error why = ERROR_INIT;
    kp_aws_request request = {.size = sizeof request, .service = "sqs"};
    struct http_client *http;
    struct aws_client *own;

    uv_loop_init(&worker->loop);
    http = http_client_new(&worker->loop, &why);
    own = aws_client_new(&worker->loop, http, config);
    for (int i = 0; i < 5; i++)
        (void)aws_client_call(own, NULL, &request, on_worker_answer, worker);
    while (worker->n < 5 && uv_run(&worker->loop, UV_RUN_ONCE))
        continue;
    aws_client_free(own);
    http_client_free(http);
    while (uv_run(&worker->loop, UV_RUN_DEFAULT))
        continue;
    uv_loop_close(&worker->loop);
    worker->is_over = true;
    return NULL;
}

TEST(workers_share_what_one_of_them_has_fetched)
{
    struct worker workers[3] = {0};
    size_t n_agent = 0;

    open_world();
    use_container();
    open_client();
    world_script("/agent", 200, NULL, KEYS("AKONE", "2999-01-01T00:00:00Z"));
    for (int i = 0; i < 15; i++)
        OK("/svc");
    for (int i = 0; i < 3; i++)
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    WORLD_UNTIL(workers[0].is_over && workers[1].is_over && workers[2].is_over);
    for (int i = 0; i < 3; i++) {
        pthread_join(workers[i].thread, NULL);
        EQ_INT(workers[i].n, 5);
        EQ_INT(workers[i].status, 200);
    }
    for (size_t i = 0; i < world_n_seen(); i++)
        n_agent += !strcmp(world_line(i), "GET /agent");
    EQ_INT(n_agent, 1);
    close_world();
}
