/* local-aws.c - the service element of the embedded local AWS: options and life. See README.md. */
#include "plugins/local-aws/local.h"

#define AT(field) offsetof(struct local_config, field)

static const kp_option options[] = {
    {"listen", KP_T_STRING, AT(listen), "127.0.0.1:0", NULL,
     "address and port of the endpoint; port 0 takes any free one", NULL},
    {"dir", KP_T_STRING, AT(dir), KP_OPTIONAL, NULL,
     "folder of all state; one process at a time. Left out: the run's own folder", NULL},
    {"no_limits", KP_T_BOOL, AT(no_limits), "false", NULL,
     "lift the limits of throughput and of call rates; limits of single requests stay", NULL},
    {"verify_signatures", KP_T_BOOL, AT(verify_signatures), "false", NULL,
     "refuse requests that are not signed with the keys below (SigV4)", NULL},
    {"durability", KP_T_ENUM, AT(durability), "os", "fsync|os|memory",
     "a record is acknowledged when it is on the disk | in the kernel | in the process", NULL},
    {"transition", KP_T_DURATION, AT(transition_ms), "0ms", "0ms..1m",
     "how long a stream or table is CREATING, UPDATING, DELETING; a real one takes seconds", NULL},
    {"access_key", KP_T_STRING, AT(access_key), "test", NULL,
     "access key id that signatures are verified with", NULL},
    {"secret_key", KP_T_SECRET, AT(secret_key), KP_OPTIONAL, NULL, "its secret key; left out: test",
     NULL},
    {"tls", KP_T_BOOL, AT(tls), "false", NULL,
     "answer TLS too, on the same port; without tls_cert a certificate is made in dir", NULL},
    {"tls_cert", KP_T_STRING, AT(tls_cert), KP_OPTIONAL, NULL,
     "file with the certificate chain (PEM); given: tls is on", NULL},
    {"tls_key", KP_T_STRING, AT(tls_key), KP_OPTIONAL, NULL, "file with its private key (PEM)",
     NULL},
    {"faults", KP_T_ENUM, AT(faults), "auto", "auto|on|off",
     "POST /_kpipe/faults is allowed: while only this machine can reach the endpoint | always | "
     "never",
     NULL},
    {0},
};

static kp_status service_open(kp_node *node, const void *config, void *state)
{
    struct local *local = state;
    char why[600] = "";

    local->node = node;
    local->config = config;
    if (!local_open(local, why, sizeof why)) {
        local_close(local);
        return kp->fail(node, "%s", why);
    }
    return KP_OK;
}

static kp_status service_start(kp_node *node, void *state)
{
    struct local *local = state;

    if (!local_listen(local))
        return KP_FATAL;
    kp->log(node, KP_LOG_INFO, "local.started", "url=%s dir=%s", local->url, local->dir);
    kp->ready(node, local->url);
    return KP_OK;
}

static void service_stop(kp_node *node, void *state)
{
    struct local *local = state;

    (void)node;
    if (local->server)
        local->server_ext->stop(local->server);
}

static void service_close(kp_node *node, void *state)
{
    (void)node;
    local_close(state);
}

static const kp_element local_aws = {
    .size = sizeof(kp_element),
    .kind = KP_SERVICE,
    .flags = KP_SINGLETON,
    .name = "local-aws",
    .help = "the embedded local AWS: Kinesis, DynamoDB, SQS, S3, STS and CloudWatch on one port",
    .options = options,
    .config_size = sizeof(struct local_config),
    .state_size = sizeof(struct local),
    .open = service_open,
    .start = service_start,
    .stop = service_stop,
    .close = service_close,
};

KP_PLUGIN("local-aws", "1.0.0", "Apache-2.0", &local_aws)
