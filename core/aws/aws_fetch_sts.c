/* aws_fetch_sts.c - credentials from STS: a web identity token or the keys of another profile are
 * exchanged for those of a role. Source: lambda-apigw section 5.3 of the specification. */
#include <stdlib.h>
#include <string.h>

#include "core/aws/aws_call.h"
#include "core/aws/aws_config.h"
#include "core/aws/aws_fetch.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/net/http_client.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/time.h"
#include "sdk/wire/uri.h"
#include "sdk/wire/xml.h"

#define STS_TIMEOUT_MS 10000
#define STS_ATTEMPTS   3
#define STS_PAUSE_MS   1000
#define STS_VERSION    "&Version=2011-06-15&RoleArn="
#define FORM_TYPE      "application/x-www-form-urlencoded"

static const char *role_setting(const struct aws_config *config, const char *variable,
                                const char *key)
{
    const char *value = aws_env(variable);

    return value ? value : aws_profiles_get(&config->profiles, config->profile, key);
}

/* ---- the answer */

static char *text_of(struct kpw_slice doc, const char *path)
{
    struct kpw_buf text = KPW_BUF_INIT;
    size_t len;

    if (kpw_xml_find(doc, path, &text) && text.len)
        return kpw_buf_take(&text, &len);
    kpw_buf_fini(&text);
    return NULL;
}

static const char *action_of(const struct aws_fetch *fetch)
{
    return fetch->sts ? "AssumeRole" : "AssumeRoleWithWebIdentity";
}

static char *result_of(const struct aws_fetch *fetch, struct kpw_slice doc, const char *name)
{
    const char *action = action_of(fetch);
    char path[160];

    snprintf(path, sizeof path, "%sResponse/%sResult/Credentials/%s", action, action, name);
    return text_of(doc, path);
}

static struct aws_identity *read_identity(const struct aws_fetch *fetch, struct kpw_slice doc,
                                          struct error *err)
{
    char *key_id = result_of(fetch, doc, "AccessKeyId");
    char *secret = result_of(fetch, doc, "SecretAccessKey");
    char *token = result_of(fetch, doc, "SessionToken");
    char *expiration = result_of(fetch, doc, "Expiration");
    struct aws_identity *identity = NULL;
    int64_t expires_ms;

    if (key_id && secret && token && expiration &&
        kpw_iso8601_parse(kpw_slice_cstr(expiration), &expires_ms)) {
        identity = aws_identity_new(key_id, secret, token);
        aws_identity_set_expiry(identity, expires_ms);
    } else {
        error_set(err, ERROR_CORRUPT, "the answer of sts:%s is incomplete", action_of(fetch));
    }
    free(key_id);
    free(token);
    free(expiration);
    if (secret)
        kpw_wipe(secret, strlen(secret));
    free(secret);
    return identity;
}

static void ask(struct aws_fetch *fetch);

static void on_pause_over(uv_timer_t *timer)
{
    ask(timer->data);
}

static void on_answer(kp_node *node, void *arg, const kp_http_response *response)
{
    struct aws_fetch *fetch = arg;
    struct kpw_slice body = {response->body.ptr, response->body.len};
    char *code = text_of(body, "ErrorResponse/Error/Code");
    char *message = text_of(body, "ErrorResponse/Error/Message");
    struct error err = ERROR_INIT;
    bool may_pass = !response->status || response->status >= 500 ||
                    (code && !strcmp(code, "IDPCommunicationError"));
    char room[200];

    (void)node;
    fetch->call = NULL;
    if (response->status == 200) {
        struct aws_identity *identity = read_identity(fetch, body, &err);

        aws_fetch_done(fetch, identity, &err, true);
    } else if (may_pass && fetch->attempt < STS_ATTEMPTS) {
        uv_timer_start(&fetch->timer, on_pause_over, STS_PAUSE_MS, 0);
    } else {
        error_set(&err, ERROR_FAILED, "sts:%s failed: %s%s%s", action_of(fetch),
                  code ? code : aws_fetch_wrong(response, room, sizeof room), message ? ": " : "",
                  message ? message : "");
        aws_fetch_done(fetch, NULL, &err, may_pass);
    }
    free(code);
    free(message);
}

/* ---- the form */

static void put_form(struct kpw_buf *form, const char *name, const char *value)
{
    kpw_buf_puts(form, name);
    kpw_uri_put(form, value, strlen(value), false);
}

static void begin_form(struct aws_fetch *fetch)
{
    const struct aws_config *config = fetch->config;
    const char *role = role_setting(config, "AWS_ROLE_ARN", "role_arn");
    const char *name = role_setting(config, "AWS_ROLE_SESSION_NAME", "role_session_name");
    char own_name[40];

    if (fetch->sts) { /* the variables belong to web identities */
        role = aws_profiles_get(&config->profiles, config->profile, "role_arn");
        name = aws_profiles_get(&config->profiles, config->profile, "role_session_name");
    }
    snprintf(own_name, sizeof own_name, "kpipe-%lld", (long long)(clock_wall_ms() / 1000));
    kpw_buf_clear(&fetch->text);
    kpw_buf_puts(&fetch->text, "Action=");
    kpw_buf_puts(&fetch->text, action_of(fetch));
    put_form(&fetch->text, STS_VERSION, role);
    put_form(&fetch->text, "&RoleSessionName=", name ? name : own_name);
}

/* The token's file is read each time: it changes while the process runs. */
static bool put_token(struct aws_fetch *fetch, struct error *err)
{
    char *token = aws_read_small_file(
        role_setting(fetch->config, "AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file"), err);

    if (!token)
        return false;
    put_form(&fetch->text, "&WebIdentityToken=", token);
    kpw_wipe(token, strlen(token));
    free(token);
    return true;
}

static void put_role_options(struct aws_fetch *fetch)
{
    const struct aws_config *config = fetch->config;
    const char *duration = aws_profiles_get(&config->profiles, config->profile, "duration_seconds");
    const char *external = aws_profiles_get(&config->profiles, config->profile, "external_id");

    if (duration)
        put_form(&fetch->text, "&DurationSeconds=", duration);
    if (external)
        put_form(&fetch->text, "&ExternalId=", external);
}

/* ---- asking */

static void ask_with_token(struct aws_fetch *fetch)
{
    static const kp_http_header header = {KPW_LIT("content-type"), KPW_LIT(FORM_TYPE)};
    kp_http_request request = {
        .method = "POST", .headers = &header, .n_headers = 1, .timeout_ms = STS_TIMEOUT_MS};
    struct error err = ERROR_INIT;

    begin_form(fetch);
    if (!put_token(fetch, &err)) {
        aws_fetch_done(fetch, NULL, &err, false);
        return;
    }
    kpw_buf_clear(&fetch->url);
    kpw_buf_puts(&fetch->url, aws_config_endpoint(fetch->config, "sts"));
    kpw_buf_putc(&fetch->url, '/');
    request.url = kpw_buf_cstr(&fetch->url);
    request.body = (kp_slice){fetch->text.ptr, fetch->text.len};
    aws_fetch_ask(fetch, &request, on_answer);
}

/* A request like any other, signed with the keys of the source profile. */
struct aws_sts {
    struct aws_service service;
    struct kp_aws_call call;
};

static void ask_with_keys(struct aws_fetch *fetch)
{
    const struct aws_profiles *profiles = &fetch->config->profiles;
    const char *source = aws_profiles_get(profiles, fetch->config->profile, "source_profile");
    struct kp_aws_call *call = &fetch->sts->call;
    struct aws_identity *identity =
        aws_identity_new(aws_profiles_get(profiles, source, "aws_access_key_id"),
                         aws_profiles_get(profiles, source, "aws_secret_access_key"),
                         aws_profiles_get(profiles, source, "aws_session_token"));
    kp_aws_request request = {.size = sizeof request,
                              .service = "sts",
                              .content_type = FORM_TYPE,
                              .timeout_ms = STS_TIMEOUT_MS};
    struct error err = ERROR_INIT;
    kp_http_request http;

    begin_form(fetch);
    put_role_options(fetch);
    request.body = (kp_slice){fetch->text.ptr, fetch->text.len};
    call->service = &fetch->sts->service;
    call->attempt = fetch->attempt;
    call->max_attempts = STS_ATTEMPTS;
    if (aws_call_take(call, fetch->config, &request) &&
        aws_call_sign(call, fetch->config, identity, &http)) {
        aws_fetch_ask(fetch, &http, on_answer);
    } else {
        error_set(&err, ERROR_CONFIG, "sts:AssumeRole cannot be signed: %s",
                  kpw_buf_cstr(&call->answer.message));
        aws_fetch_done(fetch, NULL, &err, false);
    }
    aws_identity_unref(identity);
}

static void ask(struct aws_fetch *fetch)
{
    fetch->attempt++;
    if (fetch->sts)
        ask_with_keys(fetch);
    else
        ask_with_token(fetch);
}

void aws_fetch_web_identity(struct aws_fetch *fetch)
{
    ask(fetch);
}

void aws_fetch_role(struct aws_fetch *fetch)
{
    struct kpw_random random;

    fetch->sts = mem_new(sizeof *fetch->sts);
    aws_service_init(&fetch->sts->service, fetch->config, "sts");
    kpw_random_init(&random);
    kpw_random_uuid(&random, fetch->sts->call.id);
    ask(fetch);
}

void aws_fetch_sts_free(struct aws_sts *sts)
{
    if (!sts)
        return;
    aws_call_fini(&sts->call);
    aws_service_fini(&sts->service);
    free(sts);
}
