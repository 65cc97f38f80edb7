/* aws_config.c - reads environment and shared files once, and refuses what cannot be with one
 * sentence. Sources: lambda-apigw sections 5.1, 5.2, 5.4 and 5.5 of the specification. */
#include "core/aws/aws_config.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/aws/aws_fetch.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define LOCAL_REGION "us-east-1"
#define MAX_ATTEMPTS 100

extern char **environ;

const char *aws_env(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

static const char *of_profile(const struct aws_config *config, const char *key)
{
    return aws_profiles_get(&config->profiles, config->profile, key);
}

/* A variable, else a key of the profile. */
static const char *setting(const struct aws_config *config, const char *variable, const char *key)
{
    const char *value = aws_env(variable);

    return value ? value : of_profile(config, key);
}

static bool is_true(const char *value)
{
    return value && !strcasecmp(value, "true");
}

/* ---- shared files */

static char *file_path(const char *variable, const char *name)
{
    const char *path = aws_env(variable), *home = aws_env("HOME");
    const struct passwd *user;

    if (path && strncmp(path, "~/", 2) != 0)
        return mem_dup(path);
    if (!home && (user = getpwuid(getuid())))
        home = user->pw_dir;
    if (!home)
        home = "";
    return path ? mem_fmt("%s%s", home, path + 1) : mem_fmt("%s/.aws/%s", home, name);
}

bool aws_config_read_profiles(struct aws_profiles *profiles, struct error *err)
{
    char *config = file_path("AWS_CONFIG_FILE", "config");
    char *credentials = file_path("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    bool ok = aws_profiles_read(profiles, config, AWS_FILE_CONFIG, err) &&
              aws_profiles_read(profiles, credentials, AWS_FILE_CREDENTIALS, err);

    free(config);
    free(credentials);
    return ok;
}

static bool choose_profile(struct aws_config *config, struct error *err)
{
    const char *name = aws_env("AWS_PROFILE");
    char *file, *credentials;

    if (!name)
        name = aws_env("AWS_DEFAULT_PROFILE");
    config->profile = mem_dup(name ? name : "default");
    if (!name || aws_profiles_has(&config->profiles, name))
        return true;
    file = file_path("AWS_CONFIG_FILE", "config");
    credentials = file_path("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    error_set(err, ERROR_CONFIG, "profile '%s' (AWS_PROFILE) is neither in %s nor in %s", name,
              file, credentials);
    free(file);
    free(credentials);
    return false;
}

/* ---- region and endpoints */

/* It becomes part of a host name. */
static bool is_host_label(const char *text)
{
    size_t n = strlen(text);

    return n >= 1 && n <= 63 && text[0] != '-' && text[n - 1] != '-' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static bool choose_region(struct aws_config *config, struct error *err)
{
    const char *first = aws_env("AWS_REGION"), *second = aws_env("AWS_DEFAULT_REGION");
    const char *region = first ? first : second ? second : of_profile(config, "region");

    if (first && second && strcmp(first, second) != 0)
        log_warn("region.ambiguous", "AWS_REGION=%s AWS_DEFAULT_REGION=%s used=AWS_REGION", first,
                 second);
    if (!region) {
        error_set(err, ERROR_CONFIG,
                  "there is no AWS region: set AWS_REGION, or region in profile '%s'",
                  config->profile);
        return false;
    }
    if (!is_host_label(region)) {
        error_set(err, ERROR_CONFIG, "'%s' is not the name of an AWS region", region);
        return false;
    }
    config->region = mem_dup(region);
    return true;
}

static bool check_url(const char *where, const char *url, struct error *err)
{
    if (!url || aws_endpoint_is_valid(url))
        return true;
    error_set(err, ERROR_CONFIG, "%s is not a URL of the form http(s)://host[:port][/path]: '%s'",
              where, url);
    return false;
}

/* All that could be used later, so that a wrong one is told at the start. */
static bool check_endpoints(struct aws_config *config, bool *ret_any, struct error *err)
{
    static const char variable[] = "AWS_ENDPOINT_URL";
    const char *url = of_profile(config, "endpoint_url");

    *ret_any = url || of_profile(config, "services");
    if (!check_url("endpoint_url of the AWS profile", url, err))
        return false;
    for (char **at = environ; at && *at; at++) {
        const char *equals = strchr(*at, '=');
        char name[100];

        if (!equals || strncmp(*at, variable, sizeof variable - 1) != 0 || !equals[1])
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(equals - *at), *at);
        *ret_any = true;
        if (!check_url(name, equals + 1, err))
            return false;
    }
    return true;
}

static bool check_service_endpoints(struct aws_config *config, struct error *err)
{
    static const char *const services[] = {
        "kinesis",       "lambda", "sqs",      "sns",      "s3",         "sts",
        "logs",          "iam",    "dynamodb", "firehose", "cloudwatch", "cloudwatch_logs",
        "cloudformation"};
    const char *section = of_profile(config, "services");

    for (size_t i = 0; section && i < sizeof services / sizeof *services; i++) {
        char key[64];

        snprintf(key, sizeof key, "%s.endpoint_url", services[i]);
        if (!check_url(key, aws_profiles_service(&config->profiles, section, key), err))
            return false;
    }
    return true;
}

static bool choose_endpoints(struct aws_config *config, struct error *err)
{
    const char *style = of_profile(config, "s3.addressing_style");
    bool any = false;

    config->ignores_endpoints = is_true(
        setting(config, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls"));
    config->uses_fips = is_true(setting(config, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"));
    config->uses_dualstack =
        is_true(setting(config, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"));
    if (style && !strcmp(style, "path"))
        config->addressing = AWS_ADDRESSING_PATH;
    else if (style && !strcmp(style, "virtual"))
        config->addressing = AWS_ADDRESSING_VIRTUAL;
    if (config->ignores_endpoints)
        return true;
    if (!check_endpoints(config, &any, err) || !check_service_endpoints(config, err))
        return false;
    if (any && (config->uses_fips || config->uses_dualstack)) {
        error_set(
            err, ERROR_CONFIG,
            "FIPS or dualstack endpoints and an endpoint URL of one's own exclude each other");
        return false;
    }
    return true;
}

/* ---- certificates */

static bool choose_ca_bundle(struct aws_config *config, struct error *err)
{
    const char *path = setting(config, "AWS_CA_BUNDLE", "ca_bundle");

    if (!path)
        return true;
    if (access(path, R_OK)) {
        error_set(err, ERROR_CONFIG, "cannot read the certificates of AWS_CA_BUNDLE, %s: %s", path,
                  strerror(errno));
        return false;
    }
    config->ca_bundle = mem_dup(path);
    return true;
}

/* ---- retries */

static bool choose_retries(struct aws_config *config, struct error *err)
{
    const char *mode = setting(config, "AWS_RETRY_MODE", "retry_mode");
    const char *attempts = setting(config, "AWS_MAX_ATTEMPTS", "max_attempts");
    const char *newer = aws_env("AWS_NEW_RETRIES_2026");
    char *end = NULL;
    long n = attempts ? strtol(attempts, &end, 10) : 0;

    config->retry = newer && !is_true(newer) ? &aws_retry_before_2026 : &aws_retry_2026;
    if (mode && strcasecmp(mode, "standard") != 0 && strcasecmp(mode, "legacy") != 0 &&
        strcasecmp(mode, "adaptive") != 0) {
        error_set(err, ERROR_CONFIG, "AWS_RETRY_MODE is legacy, standard or adaptive, not '%s'",
                  mode);
        return false;
    }
    if (attempts && (*end || n < 1 || n > MAX_ATTEMPTS)) {
        error_set(err, ERROR_CONFIG, "AWS_MAX_ATTEMPTS is a number from 1 to %d, not '%s'",
                  MAX_ATTEMPTS, attempts);
        return false;
    }
    config->max_attempts = (int)n;
    return true;
}

/* ---- the whole */

static bool read_all(struct aws_config *config, struct error *err)
{
    return aws_config_read_profiles(&config->profiles, err) && choose_profile(config, err) &&
           choose_region(config, err) && choose_endpoints(config, err) &&
           choose_ca_bundle(config, err) && choose_retries(config, err) &&
           aws_source_check(config, err);
}

static void set_local(struct aws_config *config, const char *url)
{
    config->local_url = mem_dup(url);
    config->region = mem_dup(LOCAL_REGION);
    config->profile = mem_dup("default");
    config->retry = &aws_retry_2026;
}

struct aws_config *aws_config_new(const char *local_url, struct error *err)
{
    struct aws_config *config = mem_new(sizeof *config);

    pthread_mutex_init(&config->lock, NULL);
    config->store = aws_store_new();
    if (local_url && check_url("the address of the embedded AWS", local_url, err)) {
        set_local(config, local_url);
        return config;
    }
    if (!local_url && read_all(config, err))
        return config;
    aws_config_free(config);
    return NULL;
}

void aws_config_free(struct aws_config *config)
{
    if (!config)
        return;
    while (config->endpoints) {
        struct aws_endpoint *endpoint = config->endpoints;

        config->endpoints = endpoint->next;
        free(endpoint->service);
        free(endpoint->url);
        free(endpoint);
    }
    aws_store_free(config->store);
    aws_profiles_fini(&config->profiles);
    pthread_mutex_destroy(&config->lock);
    free(config->local_url);
    free(config->region);
    free(config->profile);
    free(config->ca_bundle);
    free(config);
}

const char *aws_config_region(const struct aws_config *config)
{
    return config->region;
}
