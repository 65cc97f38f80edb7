/* flow.c - see flow.h. */
#include "core/run/flow.h"

#include <stdlib.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/config/plan.h"
#include "core/run/host.h"

uint64_t flow_open_records(const struct flow *flow)
{
    const struct node_counts *counts = &flow->nodes[0].counts;
    /* What ended is read first: a record that ends in between counts as open, not as negative. */
    uint64_t ended = count_get(&counts->delivered) + count_get(&counts->filtered) +
                     count_get(&counts->dead_lettered) + count_get(&counts->unsettled);
    uint64_t read = count_get(&counts->read);

    return read > ended ? read - ended : 0;
}

bool flow_is_request(const struct flow *flow)
{
    return flow->plan->nodes[0].element->flags & KP_REQUEST;
}

bool flow_is_stream(const struct flow *flow)
{
    return flow->plan->nodes[0].element->flags & KP_STREAM;
}

static uint32_t all_nodes(const struct flow *flow)
{
    return flow->n_nodes + flow->has_failure_node;
}

/* A singleton source keeps its whole flow at home; any other singleton only itself. */
static bool belongs_here(const struct flow *flow, const struct kp_node *node)
{
    if (flow->worker->index == flow->home)
        return true;
    return !((node->element->flags | flow->nodes[0].element->flags) & KP_SINGLETON);
}

bool flow_open(struct flow *flow, struct error *err)
{
    for (uint32_t i = all_nodes(flow); i-- > 0;) {
        struct kp_node *node = &flow->nodes[i];

        if (!belongs_here(flow, node))
            continue;
        if (!node_open(node)) {
            error_set(err, ERROR_FAILED, "%s", node->failure);
            return false;
        }
    }
    flow->has_source = flow_source(flow)->is_open;
    if (!flow->has_source)
        flow->has_ended = flow->has_caught_up = true;
    return true;
}

void flow_start(struct flow *flow)
{
    if (flow->has_source)
        node_start(flow_source(flow));
}

void flow_catch_up(struct flow *flow)
{
    struct kp_node *source = flow_source(flow);

    if (!flow->has_source || source->has_failed)
        return;
    flow->has_caught_up = source->has_caught_up = false;
    source->element->catch_up(source, source->state);
}

void flow_stop(struct flow *flow)
{
    if (flow->has_source)
        node_stop(flow_source(flow));
}

void flow_flush(struct flow *flow)
{
    for (uint32_t i = 1; i < all_nodes(flow); i++)
        if (flow->nodes[i].is_open)
            node_flush(&flow->nodes[i]);
}

void flow_close(struct flow *flow)
{
    /* What one gives back must not start anything at the next, which is closed a moment later. */
    for (uint32_t i = 0; i < all_nodes(flow); i++)
        flow->nodes[i].is_closing = flow->nodes[i].is_open;
    for (uint32_t i = 0; i < all_nodes(flow); i++)
        node_close(&flow->nodes[i]);
}

void flow_give_up(struct flow *flow)
{
    for (uint32_t i = 0; i < all_nodes(flow); i++) {
        struct kp_node *node = &flow->nodes[i];

        for (struct kp_lane *lane = node->lanes; lane; lane = lane->next)
            lane_give_up(lane);
        lane_give_up(&node->own);
    }
}

void flow_free(struct flow *flow)
{
    for (uint32_t i = 0; i < all_nodes(flow); i++)
        node_fini(&flow->nodes[i]);
    free(flow->nodes);
    free(flow);
}

void flow_has_room(struct flow *flow)
{
    if (flow->has_source)
        node_has_room(flow_source(flow));
}

struct flow *flow_new(const struct flow_place *place)
{
    const struct plan_flow *plan = place->plan;
    struct flow *flow = mem_new(sizeof *flow);

    *flow = (struct flow){.host = place->worker->host,
                          .worker = place->worker,
                          .plan = plan,
                          .index = place->index,
                          .home = place->home,
                          .budget = place->budget,
                          .n_nodes = (uint32_t)plan->n_nodes,
                          .has_failure_node = plan->on_failure != NULL};
    flow->nodes = mem_new(all_nodes(flow) * sizeof *flow->nodes);
    for (uint32_t i = 0; i < all_nodes(flow); i++) {
        const struct plan_node *node = i < flow->n_nodes ? &plan->nodes[i] : plan->on_failure;
        char *who = mem_fmt("%s/%s/%s", place->pipeline, plan->name, node->stage);

        node_init(&flow->nodes[i], &(struct node_place){.worker = place->worker,
                                                        .flow = flow,
                                                        .index = i,
                                                        .element = node->element,
                                                        .config = node->config,
                                                        .plan = node,
                                                        .who = who});
        free(who);
    }
    for (uint32_t i = 0; i < all_nodes(flow); i++) /* hops point to all nodes */
        lane_init(&flow->nodes[i].own, &flow->nodes[i], "", 0);
    return flow;
}
