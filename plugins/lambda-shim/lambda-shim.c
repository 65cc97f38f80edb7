/* lambda-shim.c - sink: runs a function over records, as a Lambda event source mapping does.
 *
 * The function is a Lua function of the pipeline file or a child process that
 * speaks the Lambda Runtime API. Batching, retries, bisecting and record age
 * follow the service, so the stage settles for itself (KP_OWN_RETRY). Behind a
 * request source with event = "raw" it is an HTTP function: the answer travels
 * back in the receipt.
 */
#include "plugins/lambda-shim/shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNT "000000000000" /* of the local AWS */

static kp_status validate(kp_node *node, const void *config)
{
    const struct shim_config *c = config;

    if (!c->handler && !c->command.count)
        return kp->fail(node, "needs 'handler' (a Lua function) or 'command' (a list)");
    if (c->handler && c->command.count)
        return kp->fail(node, "takes 'handler' or 'command', not both");
    if (c->event == EVENT_RAW && c->parallelization_factor > 1)
        return kp->fail(node, "parallelization_factor is for batches; raw events take concurrency");
    for (size_t i = 0; i < c->env.count; i++) {
        const kp_map_item *item = &c->env.items[i];

        if (item->value.kind != KP_V_TEXT && item->value.kind != KP_V_SECRET)
            return kp->fail(node, "env.%s must be a text or a secret", item->name);
        if (strncmp(item->name, "AWS_LAMBDA_", 11) == 0 || strchr(item->name, '='))
            return kp->fail(node, "env.%s cannot be set: the name is reserved", item->name);
    }
    return KP_OK;
}

/* ---- names */

static const char *property(const kp_resource *resource, const char *name)
{
    for (size_t i = 0; i < resource->n_properties; i++)
        if (strcmp(resource->properties[i].name, name) == 0)
            return resource->properties[i].value;
    return NULL;
}

static void make_names(struct shim *shim)
{
    const struct shim_config *config = shim->config;
    const char *arn = config->stream ? property(config->stream, "arn") : NULL;

    shim->function_name =
        config->function_name ? config->function_name : kp->info(shim->node)->stage;
    snprintf(shim->function_arn, sizeof shim->function_arn,
             "arn:aws:lambda:%s:" ACCOUNT ":function:%s", shim->region, shim->function_name);
    snprintf(shim->role_arn, sizeof shim->role_arn, "arn:aws:iam::" ACCOUNT ":role/kpipe");
    if (arn)
        snprintf(shim->stream_arn, sizeof shim->stream_arn, "%s", arn);
    else if (config->stream)
        snprintf(shim->stream_arn, sizeof shim->stream_arn,
                 "arn:aws:kinesis:%s:" ACCOUNT ":stream/%s", shim->region, config->stream->name);
}

/* ---- life */

static void run_again(kp_node *node, void *arg)
{
    (void)node;
    shim_run(arg);
}

static kp_status open_shim(kp_node *node, const void *config, void *state)
{
    struct shim *shim = state;
    const kp_aws_ext *aws = kp->extension("aws/1");

    shim->node = node;
    shim->config = config;
    shim->ready_end = &shim->ready;
    shim->backend = shim->config->handler ? &backend_lua : &backend_process;
    shim->timer = kp->extension("timer/1");
    shim->server = kp->extension("server/1");
    if (!shim->timer || !shim->server)
        return kp->fail(node, "this host has no timer/1 or no server/1");
    shim->region = aws ? aws->region(node) : NULL;
    if (!shim->region)
        shim->region = "us-east-1";
    make_names(shim);
    shim->again = shim->timer->create(node, run_again, shim);
    return shim->backend->open(shim) ? KP_OK : KP_FATAL;
}

static kp_status process(kp_node *node, void *state, kp_batch *b)
{
    struct shim *shim = state;

    if (!b->count) {
        kp->done(node, b);
        return KP_OK;
    }
    if (!lane_add(shim, b))
        return kp->fail(node, "out of memory");
    shim_run(shim);
    return KP_OK;
}

static void flush(kp_node *node, void *state)
{
    struct shim *shim = state;

    (void)node;
    lane_flush(shim);
    shim_run(shim);
}

static void close_shim(kp_node *node, void *state)
{
    struct shim *shim = state;

    (void)node;
    shim->closing = true;
    if (shim->backend)
        shim->backend->close(shim);
    while (shim->jobs)
        job_free(shim->jobs);
    lane_free_all(shim);
    if (shim->again)
        shim->timer->destroy(shim->again);
}

#define AT(field) offsetof(struct shim_config, field)

static const kp_option options[] = {
    {"handler", KP_T_FUNCTION, AT(handler), KP_OPTIONAL, NULL,
     "Lua function (event, context); what it returns is the answer, an error fails the call", NULL},
    {"command", KP_T_LIST, AT(command), KP_OPTIONAL, NULL,
     "program and arguments that speak the Lambda Runtime API, instead of handler", NULL},
    {"directory", KP_T_STRING, AT(directory), KP_OPTIONAL, NULL, "working directory of the command",
     NULL},
    {"env", KP_T_MAP, AT(env), KP_OPTIONAL, NULL,
     "environment variables of the command; it inherits none but PATH", NULL},
    {"function_name", KP_T_STRING, AT(function_name), KP_OPTIONAL, NULL,
     "name of the function, in logs and ARNs; the stage's name if not given", NULL},
    {"event", KP_T_ENUM, AT(event), "kinesis", "kinesis|records|raw",
     "what the function gets: Lambda's Kinesis event, the same with decoded data, or one payload",
     NULL},
    {"stream", KP_T_RESOURCE, AT(stream), KP_OPTIONAL, "stream",
     "the stream the records come from: its ARN stands in events and failure reports", NULL},
    {"timeout", KP_T_DURATION, AT(timeout_ms), "5m", "1s..15m", "longest run of one call", NULL},
    {"batch_size", KP_T_INT, AT(batch_size), "100", "1..10000", "records per call, at most", NULL},
    {"batch_window", KP_T_DURATION, AT(batch_window_ms), "0s", "0s..5m",
     "how long a call may wait for a full batch", NULL},
    {"retries", KP_T_INT, AT(retries), "3", "-1..10000",
     "calls after the first failed one; -1 = no end", NULL},
    {"bisect_on_error", KP_T_BOOL, AT(bisect_on_error), "false", NULL,
     "halve a failed batch and try the halves, down to the bad record", NULL},
    {"report_batch_item_failures", KP_T_BOOL, AT(report_item_failures), "false", NULL,
     "read batchItemFailures in the answer: what was done before is not repeated", NULL},
    {"max_record_age", KP_T_DURATION, AT(max_age_ms), KP_OPTIONAL, "1m..7d",
     "give up records that are older; no limit if not given", NULL},
    {"parallelization_factor", KP_T_INT, AT(parallelization_factor), "1", "1..10",
     "batches of a shard that are worked on at once; the order of each partition key holds", NULL},
    {"concurrency", KP_T_INT, AT(concurrency), "1", "1..1000",
     "child processes of a worker; raw events then run side by side, out of order", NULL},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};

static const kp_element lambda_shim = {
    .size = sizeof(kp_element),
    .kind = KP_SINK,
    .flags = KP_OWN_RETRY | KP_CONCURRENT | KP_NONDETERMINISTIC,
    .name = "lambda-shim",
    .help = "runs a function over records, as a Lambda event source mapping does",
    .options = options,
    .config_size = sizeof(struct shim_config),
    .state_size = sizeof(struct shim),
    .validate = validate,
    .open = open_shim,
    .process = process,
    .flush = flush,
    .close = close_shim,
};

KP_PLUGIN("lambda-shim", KPIPE_VERSION, "Apache-2.0", &lambda_shim)
