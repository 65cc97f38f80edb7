/* aws_client.h - signed calls to AWS services on a worker; the rows of kp_aws_ext.
 *
 * Credentials are shared by all workers (aws_config), refreshed at 80 % of their
 * lifetime and once on ExpiredToken. Not here: what the calls mean (plugins).
 *
 * Owned by: a worker; aws_config by main.   Threads: its worker only.
 */
#ifndef KPIPE_AWS_AWS_CLIENT_H
#define KPIPE_AWS_AWS_CLIENT_H

#include <kpipe/ext/aws.h>
#include <stdbool.h>
#include <uv.h>

struct error;
struct http_client;
struct aws_config; /* region, endpoints, credential chain: one per process, locked inside */
struct aws_client;

/* Reads environment and profile. With local_url (the embedded AWS) every service goes there, with
 * fixed test credentials, and neither environment nor files are looked at. [main] */
struct aws_config *aws_config_new(const char *local_url, struct error *err);
void aws_config_free(struct aws_config *config);
const char *aws_config_region(const struct aws_config *config);
/* [owned by config] */
const char *aws_config_endpoint(struct aws_config *config, const char *service);

/* The HTTP client is for AWS alone: it is made to trust what the configuration says. */
struct aws_client *aws_client_new(uv_loop_t *loop, struct http_client *http,
                                  struct aws_config *config);
void aws_client_free(struct aws_client *client); /* before its http client */

kp_aws_call *aws_client_call(struct aws_client *client, kp_node *node,
                             const kp_aws_request *request, kp_aws_fn fn, void *arg);
void aws_client_cancel(kp_aws_call *call);
void aws_client_resume(kp_aws_call *call); /* of an answer in pieces */
void aws_client_forget(struct aws_client *client, const kp_node *node);

#endif
