/* aws_endpoint.c - where a service is: overrides of environment and profile, else the partition's
 * rule. Sources: lambda-apigw section 5.5 of the specification. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/aws_config.h"
#include "core/base/mem.h"

static const struct partition {
    const char *prefix; /* of the region */
    const char *suffix, *dualstack;
} partitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"us-gov-", "amazonaws.com", "api.aws"},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"", "amazonaws.com", "api.aws"},
};

static const struct partition *partition_of(const char *region)
{
    const struct partition *at = partitions;

    while (strncmp(region, at->prefix, strlen(at->prefix)) != 0)
        at++;
    return at;
}

void aws_service_name(const char *service, char *out, size_t cap)
{
    size_t n = 0;

    if (!strcmp(service, "monitoring"))
        service = "cloudwatch";
    else if (!strcmp(service, "logs"))
        service = "cloudwatch_logs";
    for (; service[n] && n + 1 < cap; n++)
        out[n] =
            isalnum((unsigned char)service[n]) ? (char)toupper((unsigned char)service[n]) : '_';
    out[n] = '\0';
}

bool aws_endpoint_is_valid(const char *url)
{
    const char *host = !strncmp(url, "http://", 7)    ? url + 7
                       : !strncmp(url, "https://", 8) ? url + 8
                                                      : NULL;

    if (!host || !(isalnum((unsigned char)*host) || *host == '['))
        return false;
    for (const char *c = host; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f || strchr("@?#\\\"<>", *c))
            return false;
    return true;
}

/* Environment before profile, the service's own before the common one. NULL: none. */
static const char *override_of(const struct aws_config *config, const char *service)
{
    char name[80], variable[128], key[128];
    const char *url, *services;

    if (config->ignores_endpoints)
        return NULL;
    aws_service_name(service, name, sizeof name);
    snprintf(variable, sizeof variable, "AWS_ENDPOINT_URL_%s", name);
    if ((url = getenv(variable)) && *url)
        return url;
    if ((url = getenv("AWS_ENDPOINT_URL")) && *url)
        return url;
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    snprintf(key, sizeof key, "%s.endpoint_url", name);
    services = aws_profiles_get(&config->profiles, config->profile, "services");
    if (services && (url = aws_profiles_service(&config->profiles, services, key)))
        return url;
    return aws_profiles_get(&config->profiles, config->profile, "endpoint_url");
}

static char *default_url(const struct aws_config *config, const char *service)
{
    const struct partition *partition = partition_of(config->region);
    const char *prefix = !strcmp(service, "cloudwatch") ? "monitoring" : service;
    const char *fips = config->uses_fips ? "-fips" : "";

    if (config->uses_dualstack && !strcmp(service, "s3"))
        return mem_fmt("https://s3%s.dualstack.%s.%s", fips, config->region, partition->suffix);
    return mem_fmt("https://%s%s.%s.%s", prefix, fips, config->region,
                   config->uses_dualstack ? partition->dualstack : partition->suffix);
}

static struct aws_endpoint *endpoint_make(const struct aws_config *config, const char *service)
{
    struct aws_endpoint *endpoint = mem_new(sizeof *endpoint);
    const char *url = config->local_url ? config->local_url : override_of(config, service);
    size_t n;

    endpoint->service = mem_dup(service);
    endpoint->is_custom = url != NULL;
    endpoint->url = url ? mem_dup(url) : default_url(config, service);
    for (n = strlen(endpoint->url); n && endpoint->url[n - 1] == '/'; n--)
        endpoint->url[n - 1] = '\0';
    return endpoint;
}

const struct aws_endpoint *aws_config_find_endpoint(struct aws_config *config, const char *service)
{
    struct aws_endpoint *at;

    pthread_mutex_lock(&config->lock);
    for (at = config->endpoints; at && strcmp(at->service, service) != 0; at = at->next)
        continue;
    if (!at) {
        at = endpoint_make(config, service);
        at->next = config->endpoints;
        config->endpoints = at;
    }
    pthread_mutex_unlock(&config->lock);
    return at;
}

const char *aws_config_endpoint(struct aws_config *config, const char *service)
{
    return aws_config_find_endpoint(config, service)->url;
}
