/* host_stats.c - what can be looked at while a pipeline runs, and the plugins' catalog. */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/config/plan.h"
#include "core/plugin/plugins.h"
#include "core/run/flow.h"
#include "core/run/host.h"
#include "core/run/lane_metrics.h"

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

struct counters {
    struct stage_counter *items;
    size_t n, cap;
};

static void add_counter(struct counters *counters, const char *name, uint64_t value)
{
    size_t i = 0;

    while (i < counters->n && strcmp(counters->items[i].name, name) != 0)
        i++;
    if (i == counters->cap)
        return;
    if (i == counters->n)
        counters->items[counters->n++] = (struct stage_counter){name, 0};
    counters->items[i].value += value;
}

static void add_row(void *arg, const struct lane_row *row)
{
    uint32_t n = row->n;

    for (uint32_t i = 0; i < n; i++)
        if (!lane_row_is_gauge(row, i))
            add_counter(arg, row->figures[i].name, (uint64_t)lane_row_value(row, i));
}

size_t host_stage_counters(const struct host *host, size_t flow, size_t node,
                           struct stage_counter *ret, size_t cap)
{
    struct counters counters = {.items = ret, .cap = cap};

    for (uint32_t w = 0; has_flow(host, w, flow); w++) {
        struct kp_node *at = &host->workers[w].flows[flow]->nodes[node];
        uint32_t n_counters = at->n_counters;

        for (uint32_t i = 0; i < n_counters; i++)
            add_counter(&counters, at->counters[i].name, count_get(&at->counters[i].value));
        lane_board_each(&at->board, add_row, &counters);
    }
    return counters.n;
}

/* ---- lanes */

struct gathering {
    struct lane_stats *lanes;
    size_t n, cap;
    bool has_ended;
};

_Static_assert(LANE_STATS == (int)LANE_FIGURES, "a copy has room for all figures of a lane");
_Static_assert(STAGE_COUNTERS >= (int)NODE_COUNTERS + (int)LANE_FIGURES, "one worker's counters");

static void gather(void *arg, const struct lane_row *row)
{
    struct gathering *gathering = arg;
    struct lane_stats *lane;

    if (!row->lane || !(row->is_live || gathering->has_ended))
        return;
    mem_room(&gathering->lanes, &gathering->cap, gathering->n, sizeof *lane);
    lane = &gathering->lanes[gathering->n++];
    *lane = (struct lane_stats){.lane = mem_dup(row->lane), .number = row->number, .n = row->n};
    for (uint32_t i = 0; i < lane->n; i++)
        lane->stats[i] = (struct lane_stat){row->figures[i].name, lane_row_value(row, i),
                                            lane_row_is_gauge(row, i)};
}

static int by_name_newest_first(const void *a, const void *b)
{
    const struct lane_stats *x = a, *y = b;
    int order = strcmp(x->lane, y->lane);

    return order ? order : (x->number < y->number) - (x->number > y->number);
}

static void add_counters(struct lane_stats *to, const struct lane_stats *from)
{
    for (uint32_t i = 0; i < from->n; i++) {
        const struct lane_stat *stat = &from->stats[i];
        uint32_t k = 0;

        while (k < to->n && strcmp(to->stats[k].name, stat->name) != 0)
            k++;
        if (k == to->n && k < LANE_STATS && !stat->is_gauge)
            to->stats[to->n++] = (struct lane_stat){.name = stat->name};
        if (k < to->n && !stat->is_gauge)
            to->stats[k].value += stat->value;
    }
}

struct lane_stats *host_lane_stats(const struct host *host, size_t flow, bool has_ended,
                                   size_t *ret_n)
{
    struct gathering gathering = {.has_ended = has_ended};
    struct lane_stats *lanes;
    size_t n = 0;

    for (uint32_t w = 0; has_flow(host, w, flow); w++)
        lane_board_each(&host->workers[w].flows[flow]->nodes[0].board, gather, &gathering);
    lanes = gathering.lanes;
    if (gathering.n)
        qsort(lanes, gathering.n, sizeof *lanes, by_name_newest_first);
    for (size_t i = 0; i < gathering.n; i++) {
        if (!n || strcmp(lanes[n - 1].lane, lanes[i].lane) != 0) {
            lanes[n++] = lanes[i];
            continue;
        }
        if (has_ended)
            add_counters(&lanes[n - 1], &lanes[i]);
        free(lanes[i].lane);
    }
    *ret_n = n;
    return lanes;
}

void host_lane_stats_free(struct lane_stats *lanes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(lanes[i].lane);
    free(lanes);
}

static void look_behind(void *arg, const struct lane_row *row)
{
    struct lane_lag *lag = arg;
    uint32_t n = row->n;

    if (!row->is_live)
        return;
    lag->n_lanes++;
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(row->figures[i].name, "millis_behind_latest") &&
            lane_row_value(row, i) > lag->behind_ms)
            lag->behind_ms = lane_row_value(row, i);
}

void host_lane_lag(const struct host *host, size_t flow, struct lane_lag *ret)
{
    *ret = (struct lane_lag){.behind_ms = -1};
    for (uint32_t w = 0; has_flow(host, w, flow); w++)
        lane_board_each(&host->workers[w].flows[flow]->nodes[0].board, look_behind, ret);
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
