/* aws_fetch.c - the chain, the sources that need no waiting, and the end of every fetch. */
#include "core/aws/aws_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/aws/aws_config.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/net/http_client.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/json.h"
#include "sdk/wire/time.h"

#define SMALL_FILE ((size_t)64 << 10)

static bool env_is_true(const char *name)
{
    const char *value = aws_env(name);

    return value && !strcasecmp(value, "true");
}

static const char *of_profile(const struct aws_config *config, const char *key)
{
    return aws_profiles_get(&config->profiles, config->profile, key);
}

/* ---- the chain */

static bool wants_web_identity(const struct aws_config *config)
{
    return (aws_env("AWS_WEB_IDENTITY_TOKEN_FILE") && aws_env("AWS_ROLE_ARN")) ||
           (of_profile(config, "web_identity_token_file") && of_profile(config, "role_arn"));
}

/* A role that is assumed with keys; where they come from is checked at the start. */
static bool wants_role(const struct aws_config *config)
{
    return of_profile(config, "role_arn") && of_profile(config, "source_profile") &&
           !of_profile(config, "web_identity_token_file");
}

enum aws_source aws_source_choose(const struct aws_config *config)
{
    if (config->local_url)
        return AWS_SOURCE_LOCAL;
    if (aws_env("AWS_ACCESS_KEY_ID"))
        return AWS_SOURCE_ENVIRONMENT;
    if (wants_role(config))
        return AWS_SOURCE_ROLE;
    if (wants_web_identity(config))
        return AWS_SOURCE_WEB_IDENTITY;
    if (aws_profiles_in(&config->profiles, AWS_FILE_CREDENTIALS, config->profile,
                        "aws_access_key_id"))
        return AWS_SOURCE_CREDENTIALS_FILE;
    if (of_profile(config, "credential_process"))
        return AWS_SOURCE_PROCESS;
    if (aws_profiles_in(&config->profiles, AWS_FILE_CONFIG, config->profile, "aws_access_key_id"))
        return AWS_SOURCE_CONFIG_FILE;
    if (aws_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") ||
        aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
        return AWS_SOURCE_CONTAINER;
    return env_is_true("AWS_EC2_METADATA_DISABLED") ? AWS_SOURCE_NONE : AWS_SOURCE_INSTANCE;
}

/* What kpipe does not do itself, the AWS CLI does for it. */
static bool refuse_profile(const struct aws_config *config, const char *key, struct error *err)
{
    error_set(err, ERROR_CONFIG,
              "profile '%s' has %s, which kpipe does not do itself; give it a profile with "
              "credential_process = aws configure export-credentials --profile %s",
              config->profile, key, config->profile);
    return false;
}

/* Both keys, in any of the files. */
static bool has_keys(const struct aws_config *config, const char *profile)
{
    return aws_profiles_get(&config->profiles, profile, "aws_access_key_id") &&
           aws_profiles_get(&config->profiles, profile, "aws_secret_access_key");
}

static bool check_role(const struct aws_config *config, struct error *err)
{
    const char *source = of_profile(config, "source_profile");

    if (of_profile(config, "credential_source")) {
        if (!source)
            return refuse_profile(config, "credential_source", err);
        error_set(err, ERROR_CONFIG, "profile '%s' has both source_profile and credential_source",
                  config->profile);
        return false;
    }
    if (of_profile(config, "mfa_serial"))
        return refuse_profile(config, "mfa_serial", err);
    if (has_keys(config, source))
        return true;
    error_set(err, ERROR_CONFIG,
              "source_profile '%s' of profile '%s' has no keys of its own; give kpipe a profile "
              "with credential_process = aws configure export-credentials --profile %s",
              source, config->profile, config->profile);
    return false;
}

static bool check_foreign(const struct aws_config *config, struct error *err)
{
    static const char *const foreign[] = {"credential_source", "sso_session", "sso_start_url",
                                          "login_session"};

    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (of_profile(config, foreign[i]))
            return refuse_profile(config, foreign[i], err);
    if (!of_profile(config, "role_arn"))
        return true;
    error_set(err, ERROR_CONFIG, "profile '%s' has role_arn, but no source_profile",
              config->profile);
    return false;
}

bool aws_source_check(const struct aws_config *config, struct error *err)
{
    bool has_id = aws_env("AWS_ACCESS_KEY_ID"), has_secret = aws_env("AWS_SECRET_ACCESS_KEY");

    if (has_id != has_secret) {
        error_set(err, ERROR_CONFIG, "%s is set, but %s is not",
                  has_id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                  has_id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
        return false;
    }
    if (has_id)
        return true;
    if (wants_role(config))
        return check_role(config, err);
    return wants_web_identity(config) || check_foreign(config, err);
}

/* ---- texts */

static char *text_of(struct kpw_slice doc, const char *name)
{
    struct kpw_buf text = KPW_BUF_INIT;
    struct kpw_slice raw;
    size_t len;

    if (kpw_json_find(doc, name, &raw) != KPW_JSON_STRING || !raw.len)
        return NULL;
    kpw_json_unescape(raw, &text);
    if (text.len && memchr(text.ptr, '\0', text.len))
        kpw_buf_fini(&text); /* no credential has that */
    return text.len ? kpw_buf_take(&text, &len) : NULL;
}

static void forget_text(char *text)
{
    if (text)
        kpw_wipe(text, strlen(text));
    free(text);
}

struct aws_identity *aws_identity_parse(struct kpw_slice doc, struct error *err)
{
    char *key_id = text_of(doc, "AccessKeyId"), *secret = text_of(doc, "SecretAccessKey");
    char *token = text_of(doc, "Token"), *expiration = text_of(doc, "Expiration");
    struct aws_identity *identity = NULL;
    int64_t expires_ms = 0;

    if (!token)
        token = text_of(doc, "SessionToken");
    if (!kpw_json_valid(doc.ptr, doc.len))
        error_set(err, ERROR_CORRUPT, "the answer is not JSON");
    else if (!key_id || !secret)
        error_set(err, ERROR_CORRUPT, "the answer has no AccessKeyId or no SecretAccessKey");
    else if (expiration && !kpw_iso8601_parse(kpw_slice_cstr(expiration), &expires_ms))
        error_set(err, ERROR_CORRUPT, "the answer's Expiration is not a time");
    else
        identity = aws_identity_new(key_id, secret, token);
    if (identity && expiration)
        aws_identity_set_expiry(identity, expires_ms);
    free(key_id);
    forget_text(secret);
    forget_text(token);
    free(expiration);
    return identity;
}

char *aws_read_small_file(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    size_t len = 0;
    ssize_t n = -1;

    if (fd < 0) {
        error_sys(err, errno, "cannot open %s", path);
        return NULL;
    }
    text = mem_new(SMALL_FILE + 2);
    while (len <= SMALL_FILE && (n = read(fd, text + len, SMALL_FILE + 1 - len)) > 0)
        len += (size_t)n;
    if (n < 0)
        error_sys(err, errno, "cannot read %s", path);
    else if (len > SMALL_FILE)
        error_set(err, ERROR_CONFIG, "%s is longer than 64 KiB", path);
    close(fd);
    if (n < 0 || len > SMALL_FILE) {
        forget_text(text);
        return NULL;
    }
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
        text[--len] = '\0';
    return text;
}

/* ---- sources that are there at once */

/* The files may have been written anew since the start, by a tool that gets session keys. */
static struct aws_identity *from_file(struct aws_fetch *fetch, enum aws_file file,
                                      struct error *err)
{
    struct aws_config *config = fetch->config;
    struct aws_profiles profiles = {0};
    struct aws_identity *identity = NULL;
    const char *profile = config->profile, *key_id, *secret;

    if (!aws_config_read_profiles(&profiles, err))
        goto out;
    key_id = aws_profiles_in(&profiles, file, profile, "aws_access_key_id");
    secret = aws_profiles_in(&profiles, file, profile, "aws_secret_access_key");
    if (!key_id || !secret)
        error_set(err, ERROR_CONFIG,
                  "profile '%s' has no aws_access_key_id or no aws_secret_access_key", profile);
    else
        identity = aws_identity_new(key_id, secret,
                                    aws_profiles_in(&profiles, file, profile, "aws_session_token"));
out:
    aws_profiles_fini(&profiles);
    return identity;
}

static struct aws_identity *from_environment(struct error *err)
{
    const char *key_id = aws_env("AWS_ACCESS_KEY_ID"), *secret = aws_env("AWS_SECRET_ACCESS_KEY");

    if (key_id && secret)
        return aws_identity_new(key_id, secret, aws_env("AWS_SESSION_TOKEN"));
    error_set(err, ERROR_CONFIG, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are gone");
    return NULL;
}

/* ---- begin and end */

static void on_handle_closed(uv_handle_t *handle)
{
    struct aws_fetch *fetch = handle->data;

    if (--fetch->n_open)
        return;
    if (fetch->text.ptr)
        kpw_wipe(fetch->text.ptr, fetch->text.cap);
    if (fetch->out_text.ptr)
        kpw_wipe(fetch->out_text.ptr, fetch->out_text.cap);
    kpw_wipe(fetch->room, sizeof fetch->room);
    aws_fetch_sts_free(fetch->sts);
    kpw_buf_fini(&fetch->url);
    kpw_buf_fini(&fetch->text);
    kpw_buf_fini(&fetch->out_text);
    kpw_buf_fini(&fetch->complaints_text);
    free(fetch);
}

static void close_one(struct aws_fetch *fetch, uv_handle_t *handle)
{
    handle->data = fetch;
    uv_close(handle, on_handle_closed);
}

static void close_all(struct aws_fetch *fetch)
{
    fetch->is_over = true;
    if (fetch->call)
        http_client_cancel(fetch->call);
    fetch->call = NULL;
    fetch->n_open = 1 + 2 * fetch->has_pipes + fetch->has_process;
    close_one(fetch, (uv_handle_t *)&fetch->timer);
    if (fetch->has_pipes) {
        close_one(fetch, (uv_handle_t *)&fetch->out);
        close_one(fetch, (uv_handle_t *)&fetch->complaints);
    }
    if (fetch->has_process && fetch->has_exited)
        close_one(fetch, (uv_handle_t *)&fetch->process);
    else if (fetch->has_process)
        uv_process_kill(&fetch->process, SIGKILL); /* closed when it has been waited for */
}

void aws_fetch_process_gone(struct aws_fetch *fetch)
{
    close_one(fetch, (uv_handle_t *)&fetch->process);
}

void aws_fetch_done(struct aws_fetch *fetch, struct aws_identity *identity, const struct error *err,
                    bool may_pass)
{
    struct aws_fetch_end end = fetch->end;

    if (fetch->is_over)
        bug("credentials were fetched twice");
    close_all(fetch);
    end.fn(end.arg, identity, err, may_pass);
}

void aws_fetch_cancel(struct aws_fetch *fetch)
{
    if (fetch)
        close_all(fetch);
}

static void start_waiting(struct aws_fetch *fetch, enum aws_source source)
{
    switch (source) {
    case AWS_SOURCE_CONTAINER: aws_fetch_container(fetch); break;
    case AWS_SOURCE_WEB_IDENTITY: aws_fetch_web_identity(fetch); break;
    case AWS_SOURCE_ROLE: aws_fetch_role(fetch); break;
    case AWS_SOURCE_PROCESS:
        aws_fetch_process(fetch, of_profile(fetch->config, "credential_process"));
        break;
    default: aws_fetch_instance(fetch); break;
    }
}

void aws_fetch_start(uv_loop_t *loop, struct http_client *http, struct aws_config *config,
                     const struct aws_fetch_end *end)
{
    struct aws_fetch *fetch = mem_new(sizeof *fetch);
    enum aws_source source = aws_source_choose(config);
    struct aws_identity *identity = NULL;
    struct error err = ERROR_INIT;

    fetch->config = config;
    fetch->http = http;
    fetch->end = *end;
    uv_timer_init(loop, &fetch->timer);
    fetch->timer.data = fetch;
    *end->place = fetch; /* before anything can end */
    switch (source) {
    case AWS_SOURCE_LOCAL:
        identity = aws_identity_new(AWS_LOCAL_KEY_ID, AWS_LOCAL_SECRET, NULL);
        break;
    case AWS_SOURCE_ENVIRONMENT: identity = from_environment(&err); break;
    case AWS_SOURCE_CREDENTIALS_FILE:
        identity = from_file(fetch, AWS_FILE_CREDENTIALS, &err);
        break;
    case AWS_SOURCE_CONFIG_FILE: identity = from_file(fetch, AWS_FILE_CONFIG, &err); break;
    case AWS_SOURCE_NONE:
        error_set(&err, ERROR_CONFIG,
                  "there are no AWS credentials: neither the environment nor profile '%s' has any, "
                  "and the instance's metadata are disabled",
                  config->profile);
        break;
    default: start_waiting(fetch, source); return;
    }
    aws_fetch_done(fetch, identity, &err, false);
}
