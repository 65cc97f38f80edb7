/* aws_profile.h - the shared files of the AWS tools: ~/.aws/config and ~/.aws/credentials.
 *
 * Sections [profile NAME], [NAME] in the credentials file, [services NAME]; `key = value`, keys in
 * any case; an indented line below a key without value is a key of its own ("s3.addressing_style",
 * "kinesis.endpoint_url"), below another one it goes on with the value.
 * Source: lambda-apigw section 5.2 of the specification.
 *
 * Owned by: the AWS configuration.   Threads: read by any once it is filled.
 */
#ifndef KPIPE_AWS_AWS_PROFILE_H
#define KPIPE_AWS_AWS_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

struct error;

enum aws_section { AWS_SECTION_PROFILE, AWS_SECTION_SERVICES, AWS_SECTION_OTHER };
enum aws_file { AWS_FILE_CONFIG, AWS_FILE_CREDENTIALS };

struct aws_profiles {
    struct aws_entry *entries; /* [owned] */
    size_t n, cap;
};

void aws_profiles_fini(struct aws_profiles *profiles);

/* Adds a file; one that does not exist is an empty one. */
bool aws_profiles_read(struct aws_profiles *profiles, const char *path, enum aws_file file,
                       struct error *err);
/* The same from memory; `path` is for messages. */
bool aws_profiles_parse(struct aws_profiles *profiles, const char *text, const char *path,
                        enum aws_file file, struct error *err);

bool aws_profiles_has(const struct aws_profiles *profiles, const char *profile);
/* A key of a profile in one file. NULL: it is not there or empty. [owned by profiles] */
const char *aws_profiles_in(const struct aws_profiles *profiles, enum aws_file file,
                            const char *profile, const char *key);
/* The same in both files, credentials first. */
const char *aws_profiles_get(const struct aws_profiles *profiles, const char *profile,
                             const char *key);
/* "kinesis.endpoint_url" of [services NAME]. */
const char *aws_profiles_service(const struct aws_profiles *profiles, const char *services,
                                 const char *key);

#endif
