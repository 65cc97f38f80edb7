/* provision.h - private to the plugin: resources and what each kind needs.
 *
 * provision.c is the element and walks over the resources, services.c knows the
 * calls of each kind of resource, synth.c prints the CloudFormation template.
 *
 * Threads: the worker of the node.
 */
#ifndef KPIPE_PROVISION_PROVISION_H
#define KPIPE_PROVISION_PROVISION_H

#include <kpipe/ext/aws.h>
#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stdio.h>

/* What a service says about a resource. */
enum found {
    FOUND_READY,
    FOUND_BUSY, /* being made or changed: look again */
    FOUND_NOTHING,
    FOUND_SKIP, /* this setting is not known here (a thin endpoint) */
    FOUND_ERROR,
};

#define SETTINGS_MAX 4

/* A call: `body` is written to, the rest is set in the request. False: there is no such call for
 * this resource, e.g. no such setting is wanted. */
typedef bool (*call_fn)(const kp_resource *resource, const char *region, kp_aws_request *request,
                        FILE *body);

struct call {
    const char *action; /* "kinesis:CreateStream", as a policy names it */
    call_fn make;
    enum found (*judge)(const kp_aws_response *response);
};

struct service {
    const char *kind;  /* of the resource in the pipeline file */
    const char *noun;  /* for a person */
    struct call probe; /* is it there? */
    struct call create;
    struct call settings[SETTINGS_MAX]; /* of one that was just made; ended by make == NULL */
};

/* NULL: resources of that kind need nothing. */
const struct service *service_of(const char *kind);

/* The value of a property, NULL when it was not given. */
const char *property(const kp_resource *resource, const char *name);
bool property_is(const kp_resource *resource, const char *name, const char *value);
long long property_number(const kp_resource *resource, const char *name, long long otherwise);

void json_string(FILE *out, const char *text);

/* Prints the template of the resources. */
void synth(FILE *out, const char *pipeline, const kp_resource *const *resources, size_t n);

#endif
