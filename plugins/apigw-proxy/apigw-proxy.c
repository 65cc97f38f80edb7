/* apigw-proxy.c - source: an API Gateway in front of a stream or a function.
 *
 * mode = "kinesis" has the routes of the AWS Solutions Construct, POST /record
 * and POST /records, and answers once the sink has the records; "proxy-event"
 * hands every request over as a Lambda proxy event and answers with what the
 * function returned.
 */
#include "plugins/apigw-proxy/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX   10485760 /* the gateway's limit of 10 MB */
#define HEADER_MAX 20480    /* 10,240 bytes of headers and as much of url */
#define SWEEP_MS   1000

static kp_status validate(kp_node *node, const void *config)
{
    const struct proxy_config *c = config;
    const char *bad;

    if (!c->tls_cert != !c->tls_key)
        return kp->fail(node, "tls_cert and tls_key belong together");
    if (c->api_key && strlen(c->api_key) < 20)
        return kp->fail(node, "api_key must have at least 20 characters");
    if (c->mode == MODE_KINESIS && c->routes.count)
        return kp->fail(node, "routes are for mode = \"proxy-event\"; mode = \"kinesis\" has POST "
                              "/record and POST /records");
    if (!routes_check(&c->routes, &bad))
        return kp->fail(node, "route '%s' is not of the form \"GET /path\" or \"ANY /{proxy+}\"",
                        bad);
    return KP_OK;
}

static bool open_lanes(struct proxy *proxy)
{
    kp_position start;
    char name[48];

    proxy->n_lanes = (uint32_t)proxy->config->lanes;
    proxy->lanes = calloc(proxy->n_lanes, sizeof *proxy->lanes);
    if (!proxy->lanes) {
        proxy->n_lanes = 0;
        return false;
    }
    for (uint32_t i = 0; i < proxy->n_lanes; i++) {
        snprintf(name, sizeof name, "http-%u-%u", kp->info(proxy->node)->worker, i);
        proxy->lanes[i].id = kp->lane_open(proxy->node, name, &proxy->lanes[i], &start);
    }
    return true;
}

static bool open_throttle(struct proxy *proxy)
{
    const kp_info *info = kp->info(proxy->node);
    char name[256];

    if (proxy->config->throttle.rate < 0)
        return true;
    snprintf(name, sizeof name, "%s/%s/%s", info->pipeline, info->flow, info->stage);
    proxy->throttle = throttle_open(name, &proxy->config->throttle);
    return proxy->throttle != NULL;
}

static kp_status open_proxy(kp_node *node, const void *config, void *state)
{
    struct proxy *proxy = state;

    proxy->node = node;
    proxy->config = config;
    proxy->newest = &proxy->oldest;
    proxy->ext = kp->extension("server/1");
    proxy->timer = kp->extension("timer/1");
    if (!proxy->ext || !proxy->timer)
        return kp->fail(node, "this host has no server/1 or no timer/1");
    if (!open_throttle(proxy))
        return kp->fail(node, "out of memory");
    proxy->submit_timer = proxy->timer->create(node, turn_submit, proxy);
    proxy->sweep_timer = proxy->timer->create(node, turn_sweep, proxy);
    return KP_OK;
}

static kp_status start(kp_node *node, void *state)
{
    struct proxy *proxy = state;
    const struct proxy_config *c = proxy->config;
    kp_server_config config = {
        .size = sizeof config,
        .listen = c->listen,
        .max_header = HEADER_MAX,
        .max_body = BODY_MAX,
        .max_connections = (uint32_t)c->max_connections,
        .tls_cert = c->tls_cert,
        .tls_key = c->tls_key,
        .reuse_port = kp->info(node)->n_workers > 1,
    };

    if (!open_lanes(proxy))
        return kp->fail(node, "out of memory");
    proxy->server = proxy->ext->listen(node, &config, proxy_request, proxy);
    if (!proxy->server)
        return KP_FATAL;
    kp->log(node, KP_LOG_INFO, "door.opened", "listen=%s port=%u", c->listen,
            proxy->ext->port(proxy->server));
    proxy->timer->start(proxy->sweep_timer, SWEEP_MS, SWEEP_MS);
    return KP_OK;
}

static void wake(kp_node *node, void *state, kp_lane *lane, void *lane_state)
{
    (void)lane, (void)lane_state;
    turn_submit(node, state);
}

static void settled(kp_node *node, void *state, void *token, const kp_result *results, uint32_t n)
{
    (void)node, (void)n;
    turn_settled(state, token, results);
}

static void stop(kp_node *node, void *state)
{
    struct proxy *proxy = state;

    (void)node;
    if (proxy->server)
        proxy->ext->stop(proxy->server);
    turn_stop(proxy);
    for (uint32_t i = 0; i < proxy->n_lanes; i++)
        kp->lane_close(proxy->lanes[i].id);
}

static void close_proxy(kp_node *node, void *state)
{
    struct proxy *proxy = state;

    (void)node;
    if (proxy->server)
        proxy->ext->close(proxy->server);
    if (proxy->timer) {
        proxy->timer->destroy(proxy->submit_timer);
        proxy->timer->destroy(proxy->sweep_timer);
    }
    turn_free_all(proxy);
    throttle_close(proxy->throttle);
    kpw_buf_fini(&proxy->scratch);
    free(proxy->lanes);
}

#define AT(field) offsetof(struct proxy_config, field)

static const kp_option throttle_rows[] = {
    {"rate", KP_T_NUMBER, offsetof(struct throttle_config, rate), "-1", "-1..1000000",
     "requests a second, all workers together; -1: no limit", NULL},
    {"burst", KP_T_INT, offsetof(struct throttle_config, burst), "-1", "-1..1000000",
     "requests that may come at once; -1: as many as rate", NULL},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};

static const kp_option options[] = {
    {"listen", KP_T_STRING, AT(listen), KP_REQUIRED, NULL,
     "address and port, \"127.0.0.1:8080\"; port 0 takes a free one", NULL},
    {"mode", KP_T_ENUM, AT(mode), "kinesis", "kinesis|proxy-event",
     "what a request becomes: records, or one Lambda proxy event", NULL},
    {"stage", KP_T_STRING, AT(stage), "prod", NULL,
     "stage name; /prod/record is the same as /record", NULL},
    {"routes", KP_T_LIST, AT(routes), KP_OPTIONAL, NULL,
     "of proxy-event: \"GET /predictFare\", \"ANY /{proxy+}\"; all paths if not given", NULL},
    {"error_mapping", KP_T_ENUM, AT(mapping), "strict", "strict|construct",
     "status of errors: their own, or 200 for all but server errors as the construct has it", NULL},
    {"quoted_single_record", KP_T_BOOL, AT(quoted_single_record), "false", NULL,
     "store data of POST /record as JSON text with its quotes, as the construct does", NULL},
    {"throttle", KP_T_GROUP, AT(throttle), KP_OPTIONAL, NULL, "token bucket of the stage",
     throttle_rows},
    {"api_key", KP_T_SECRET, AT(api_key), KP_OPTIONAL, NULL,
     "what requests must carry as x-api-key", NULL},
    {"timeout", KP_T_DURATION, AT(timeout_ms), "29s", "50ms..5m",
     "a request without an answer gets 504 after this time", NULL},
    {"max_in_flight", KP_T_INT, AT(max_in_flight), "10000", "1..1000000",
     "requests of a worker under way; more get 429", NULL},
    {"max_connections", KP_T_INT, AT(max_connections), "10000", "1..1000000",
     "open connections of a worker", NULL},
    {"lanes", KP_T_INT, AT(lanes), "64", "1..1024", "batches of a worker that may be under way",
     NULL},
    {"tls_cert", KP_T_STRING, AT(tls_cert), KP_OPTIONAL, NULL, "PEM file; plain HTTP without",
     NULL},
    {"tls_key", KP_T_STRING, AT(tls_key), KP_OPTIONAL, NULL, "PEM file", NULL},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};

static const kp_element apigw_proxy = {
    .size = sizeof(kp_element),
    .kind = KP_SOURCE,
    .flags = KP_REQUEST,
    .name = "apigw-proxy",
    .help = "HTTP requests become records or proxy events; answered when they are delivered",
    .options = options,
    .config_size = sizeof(struct proxy_config),
    .state_size = sizeof(struct proxy),
    .validate = validate,
    .open = open_proxy,
    .start = start,
    .wake = wake,
    .settled = settled,
    .stop = stop,
    .close = close_proxy,
};

KP_PLUGIN("apigw-proxy", KPIPE_VERSION, "Apache-2.0", &apigw_proxy)
