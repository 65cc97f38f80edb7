/* flow.h - a flow's stage instances on one worker.
 *
 * nodes[0] is the source, nodes[n-1] the on_failure sink if there is one. A node
 * that shall exist once (KP_SINGLETON) is open on the flow's home worker only;
 * other workers send its batches there (relay.h).
 *
 * Owned by: the host.   Threads: its worker; counts and flags may be read by any.
 */
#ifndef KPIPE_RUN_FLOW_H
#define KPIPE_RUN_FLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/budget.h"
#include "core/run/node.h"

struct error;
struct host;
struct plan_flow;
struct worker;

/* How main sees a flow move. Threads: main. */
struct flow_watch {
    uint64_t activity;  /* at the last look */
    int64_t active_ms;  /* when it last changed, monotonic */
    int64_t flushed_ms; /* when the stages were last asked for what they hold */
};

struct flow {
    struct host *host;
    struct worker *worker;
    const struct plan_flow *plan;
    uint32_t index;        /* in the plan */
    uint32_t home;         /* worker of singletons */
    struct budget *budget; /* [borrowed] one for all instances of the flow */
    struct kp_node *nodes; /* [owned] */
    uint32_t n_nodes;      /* without on_failure */
    bool has_failure_node; /* nodes[n_nodes] */
    count activity;        /* moves whenever a record does */
    _Atomic bool has_ended, has_caught_up;
    _Atomic bool has_source;    /* a source runs here */
    _Atomic bool has_full_lane; /* a lane was refused and not woken yet */
    struct flow_watch watch;    /* of all instances, in that of worker 0 */
};

struct flow_place {
    struct worker *worker;
    const struct plan_flow *plan;
    const char *pipeline;
    uint32_t index, home;
    struct budget *budget;
};

/* Nothing is open yet. [main, before the worker runs] */
struct flow *flow_new(const struct flow_place *place);
void flow_free(struct flow *flow);

/* Records submitted here that have not ended. [any] */
uint64_t flow_open_records(const struct flow *flow);

bool flow_is_request(const struct flow *flow); /* [any] */
bool flow_is_stream(const struct flow *flow);  /* [any] */

/* Opens all nodes, sinks first. */
bool flow_open(struct flow *flow, struct error *err);
void flow_start(struct flow *flow);
void flow_catch_up(struct flow *flow);
void flow_stop(struct flow *flow);  /* no new records */
void flow_flush(struct flow *flow); /* all nodes give up what they hold */
void flow_has_room(struct flow *flow);

/* The end, in three steps, each on all workers before the next: plugins close, what still waits
 * ends unsettled, then flow_free(). */
void flow_close(struct flow *flow);
void flow_give_up(struct flow *flow);

static inline struct kp_node *flow_source(struct flow *flow)
{
    return &flow->nodes[0];
}

/* The on_failure node, or NULL. */
static inline struct kp_node *flow_failure_node(struct flow *flow)
{
    return flow->has_failure_node ? &flow->nodes[flow->n_nodes] : NULL;
}

#endif
