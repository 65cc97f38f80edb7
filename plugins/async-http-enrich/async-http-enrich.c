/* async-http-enrich.c - transform: asks an HTTP endpoint about each record and puts what it says
 * into the record.
 *
 * Calls run side by side, in_flight per worker over all lanes. Results are passed
 * on as they come, or in the order of their lane.
 */
#include "plugins/async-http-enrich/enrich.h"

#include <stdlib.h>
#include <string.h>

#include "sdk/wire/json.h"

static kp_status check_splice(kp_node *node, const struct enrich_config *c)
{
    if (c->take.kind != KP_V_NONE && c->take.kind != KP_V_FIELD)
        return kp->fail(node, "take must be a k.field of the answer");
    if (c->take.kind == KP_V_FIELD && !c->into)
        return kp->fail(node, "take needs into: the member that gets the value");
    if (c->headers.count >= MAX_HEADERS)
        return kp->fail(node, "more than %d headers", MAX_HEADERS - 1);
    return KP_OK;
}

static kp_status validate(kp_node *node, const void *config)
{
    const struct enrich_config *c = config;
    struct rules rules;
    const char *problem;

    if (!request_check_url(c->url, &problem))
        return kp->fail(node, "url: %s", problem);
    if (!rules_read(&rules, &c->on_status, &problem))
        return kp->fail(node,
                        "on_status: '%s' must be a status, \"2xx\" or \"default\" with \"keep\", "
                        "\"reject\", \"retry\" or \"filter\"",
                        problem);
    for (size_t i = 0; i < c->query.count; i++)
        if (c->query.items[i].value.kind == KP_V_SECRET)
            return kp->fail(node, "query.%s: a secret belongs into headers, urls are logged",
                            c->query.items[i].name);
    return check_splice(node, c);
}

static bool open_calls(struct enrich *enrich)
{
    enrich->n_calls = (uint32_t)enrich->config->in_flight;
    enrich->calls = calloc(enrich->n_calls, sizeof *enrich->calls);
    if (!enrich->calls) {
        enrich->n_calls = 0;
        return false;
    }
    for (uint32_t i = 0; i < enrich->n_calls; i++) {
        enrich->calls[i].enrich = enrich;
        enrich->calls[i].next = enrich->free;
        enrich->free = &enrich->calls[i];
    }
    return true;
}

static void turn_over(kp_node *node, void *arg)
{
    (void)node;
    flow_emit(arg);
}

static kp_status open_enrich(kp_node *node, const void *config, void *state)
{
    struct enrich *enrich = state;
    const char *ignored;

    enrich->node = node;
    enrich->config = config;
    enrich->http = kp->extension("http/1");
    enrich->timer = kp->extension("timer/1");
    enrich->lua = kp->extension("lua/1");
    if (!enrich->http || !enrich->timer || !enrich->lua)
        return kp->fail(node, "this host has no http/1, timer/1 or lua/1");
    rules_read(&enrich->rules, &enrich->config->on_status, &ignored);
    if (!open_calls(enrich))
        return kp->fail(node, "out of memory");
    enrich->turn = enrich->timer->create(node, turn_over, enrich);
    return KP_OK;
}

static kp_status process(kp_node *node, void *state, kp_batch *b)
{
    if (!b->count) {
        kp->release(node, b);
        return KP_OK;
    }
    return flow_add(state, b) ? KP_OK : kp->fail(node, "out of memory");
}

static void flush(kp_node *node, void *state)
{
    (void)node;
    flow_emit(state);
}

static void close_enrich(kp_node *node, void *state)
{
    struct enrich *enrich = state;

    (void)node;
    flow_close(enrich);
    if (enrich->turn)
        enrich->timer->destroy(enrich->turn);
    kpw_buf_fini(&enrich->scratch);
}

#define AT(field) offsetof(struct enrich_config, field)

static const kp_option options[] = {
    {"url", KP_T_STRING, AT(url), KP_REQUIRED, NULL,
     "where to ask; {name} stands for a member of the record", NULL},
    {"query", KP_T_MAP, AT(query), KP_OPTIONAL, NULL,
     "name = value pairs behind the url: texts, k.field or functions", NULL},
    {"method", KP_T_STRING, AT(method), "GET", NULL, "HTTP method", NULL},
    {"body", KP_T_VALUE, AT(body), KP_OPTIONAL, NULL,
     "body of the request: k.field \"$\" for the whole record", NULL},
    {"headers", KP_T_MAP, AT(headers), KP_OPTIONAL, NULL,
     "name = value pairs: texts, secrets, k.field or functions", NULL},
    {"take", KP_T_VALUE, AT(take), KP_OPTIONAL, NULL,
     "k.field of the answer; the whole answer if not given", NULL},
    {"into", KP_T_STRING, AT(into), KP_OPTIONAL, NULL,
     "member of the record that gets it; the record stays as it is if not given", NULL},
    {"on_status", KP_T_MAP, AT(on_status), KP_OPTIONAL, NULL,
     "status, \"4xx\" or \"default\" = \"keep\", \"reject\", \"retry\" or \"filter\"", NULL},
    {"in_flight", KP_T_INT, AT(in_flight), "20", "1..10000", "calls of a worker at a time", NULL},
    {"timeout", KP_T_DURATION, AT(timeout_ms), "30s", "10ms..10m",
     "of one call; then it is tried again", NULL},
    {"ordered", KP_T_BOOL, AT(ordered), "false", NULL,
     "keep the order of each lane; results wait for the ones before them", NULL},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};

static const kp_element async_http_enrich = {
    .size = sizeof(kp_element),
    .kind = KP_TRANSFORM,
    .flags = KP_CONCURRENT | KP_NONDETERMINISTIC,
    .name = "async-http-enrich",
    .help = "asks an HTTP endpoint about each record and adds what it says",
    .options = options,
    .config_size = sizeof(struct enrich_config),
    .state_size = sizeof(struct enrich),
    .validate = validate,
    .open = open_enrich,
    .process = process,
    .flush = flush,
    .close = close_enrich,
};

KP_PLUGIN("async-http-enrich", KPIPE_VERSION, "Apache-2.0", &async_http_enrich)
