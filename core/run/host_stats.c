/* host_stats.c - what can be looked at while a pipeline runs, and the plugins' catalog. */
#include <stdlib.h>
#include <string.h>

#include "core/config/plan.h"
#include "core/plugin/plugins.h"
#include "core/run/flow.h"
#include "core/run/host.h"

static bool has_flow(const struct host *host, uint32_t worker, size_t flow)
{
    return host->workers && worker < host->n_workers && flow < host->workers[worker].n_flows;
}

void host_stage_stats(const struct host *host, size_t flow, size_t node, struct stage_stats *ret)
{
    const struct plan_flow *plan = &host->options.plan->flows[flow];
    const struct plan_node *place = node < plan->n_nodes ? &plan->nodes[node] : plan->on_failure;

    *ret = (struct stage_stats){.stage = place->stage, .kind = place->element->kind};
    for (uint32_t w = 0; has_flow(host, w, flow); w++) {
        const struct node_counts *counts = &host->workers[w].flows[flow]->nodes[node].counts;

        ret->read += count_get(&counts->read);
        ret->read_bytes += count_get(&counts->read_bytes);
        ret->passed += count_get(&counts->passed);
        ret->delivered += count_get(&counts->delivered);
        ret->filtered += count_get(&counts->filtered);
        ret->dead_lettered += count_get(&counts->dead_lettered);
        ret->retried += count_get(&counts->retried);
        ret->unsettled += count_get(&counts->unsettled);
    }
}

static void add_counter(struct stage_counter *counters, size_t *n, size_t cap,
                        const struct node_counter *counter)
{
    size_t i = 0;

    while (i < *n && strcmp(counters[i].name, counter->name) != 0)
        i++;
    if (i == cap)
        return;
    if (i == *n)
        counters[(*n)++] = (struct stage_counter){counter->name, 0};
    counters[i].value += count_get(&counter->value);
}

size_t host_stage_counters(const struct host *host, size_t flow, size_t node,
                           struct stage_counter *ret, size_t cap)
{
    size_t n = 0;

    for (uint32_t w = 0; has_flow(host, w, flow); w++) {
        const struct kp_node *at = &host->workers[w].flows[flow]->nodes[node];
        uint32_t n_counters = at->n_counters;

        for (uint32_t i = 0; i < n_counters; i++)
            add_counter(ret, &n, cap, &at->counters[i]);
    }
    return n;
}

uint64_t host_open_records(const struct host *host, size_t flow)
{
    uint64_t open = 0;

    for (uint32_t w = 0; has_flow(host, w, flow); w++)
        open += flow_open_records(host->workers[w].flows[flow]);
    return open;
}

/* ---- the catalog */

static bool validate(void *arg, const kp_element *element, const char *stage, const void *config,
                     struct error *err)
{
    kp_node node = {.element = element, .config = config, .info = {.size = sizeof node.info}};
    bool ok;

    (void)arg;
    node.info.pipeline = node.info.flow = node.info.application = node.info.local_dir = "";
    node.info.stage = stage;
    ok = !element->validate || element->validate(&node, config) == KP_OK;
    if (!ok)
        error_set(err, ERROR_CONFIG, "%s",
                  node.failure ? node.failure + strlen(stage) + 2 : "refused without a reason");
    free(node.failure);
    return ok;
}

struct catalog host_catalog(struct plugins *plugins)
{
    struct catalog catalog = plugins_catalog(plugins);

    catalog.validate = validate;
    return catalog;
}
