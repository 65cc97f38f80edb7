/* aws_config.h - private to core/aws: what environment and shared files say, read once.
 *
 * Region, endpoints, retry mode, and where credentials come from (the source). The credentials
 * themselves are in aws_credentials.h. After aws_config_new() only `endpoints` and `store` change,
 * each under its own lock.
 *
 * Owned by: main.   Threads: [any] reads.
 */
#ifndef KPIPE_AWS_AWS_CONFIG_H
#define KPIPE_AWS_AWS_CONFIG_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/aws/aws_client.h"
#include "core/aws/aws_credentials.h"
#include "core/aws/aws_profile.h"
#include "core/aws/aws_retry.h"

enum aws_addressing { AWS_ADDRESSING_AUTO = 0, AWS_ADDRESSING_PATH, AWS_ADDRESSING_VIRTUAL };

struct aws_endpoint {
    char *service, *url; /* [owned] no '/' at the url's end */
    bool is_custom;      /* not one of AWS's own */
    struct aws_endpoint *next;
};

struct aws_config {
    char *local_url; /* [owned] NULL: not the embedded AWS */
    char *region;    /* [owned] */
    char *profile;   /* [owned] */
    char *ca_bundle; /* [owned] PEM file certificates are checked by; NULL: the system's */
    struct aws_profiles profiles;
    bool ignores_endpoints, uses_fips, uses_dualstack;
    enum aws_addressing addressing; /* of S3 */
    int max_attempts;               /* 0: the retry mode's own */
    const struct aws_retry_mode *retry;
    pthread_mutex_t lock;
    struct aws_endpoint *endpoints; /* under lock, entries never change */
    struct aws_store *store;        /* [owned] */
};

/* A variable of the environment; NULL when it is not set, or empty. */
const char *aws_env(const char *name);
/* Reads AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, or the files below ~/.aws. */
bool aws_config_read_profiles(struct aws_profiles *profiles, struct error *err);
/* The signing name and endpoint id as the tools spell them in AWS_ENDPOINT_URL_<NAME>. */
void aws_service_name(const char *service, char *out, size_t cap);
/* [owned by config] Never NULL: what can be wrong was refused by aws_config_new(). */
const struct aws_endpoint *aws_config_find_endpoint(struct aws_config *config, const char *service);
/* True when the endpoint is "http://host..." or "https://host..." and nothing that a URL or a
 * header must not have. */
bool aws_endpoint_is_valid(const char *url);

#endif
