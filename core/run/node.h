/* node.h - one configured stage on one worker: the kp_node of the plugin ABI.
 *
 * Holds the plugin's state, what the host keeps for it (timers, servers, calls
 * under way, counters) and its place in a flow. Services and provisioners are
 * nodes without a flow.
 *
 * Owned by: its flow, or the host.   Threads: its worker; counts may be read by any.
 */
#ifndef KPIPE_RUN_NODE_H
#define KPIPE_RUN_NODE_H

#include <kpipe/ext/timer.h>
#include <kpipe/plugin.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/run/lane.h"
#include "core/run/lane_metrics.h"
#include "core/run/timers.h"

struct budget;
struct error;
struct flow;
struct worker;
struct lease_row;
struct listing;
struct plan_node;

/* A counter that one thread moves and others read. */
typedef _Atomic uint64_t count;

static inline void count_add(count *c, uint64_t by)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

static inline uint64_t count_get(const count *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

/* What a node did with its records; a source counts how they ended. */
struct node_counts {
    count read, read_bytes; /* given to it; of a source: submitted */
    count passed;           /* records it passed on */
    count delivered, filtered, dead_lettered, retried, unsettled;
};

struct node_counter {
    const char *name; /* [static] the plugin's */
    count value;
};

enum { NODE_COUNTERS = 24 };

struct kp_node {
    struct worker *worker; /* [borrowed] */
    struct flow *flow;     /* [borrowed] NULL: service, provisioner or validation */
    const kp_element *element;
    const void *config; /* [borrowed] */
    void *state;        /* [owned] element->state_size bytes */
    uint32_t index;     /* in the flow: 0 is the source; the last one is on_failure */
    const struct plan_node *plan;
    char *who; /* [owned] "pattern4/enrich/kinesis" */
    kp_info info;
    struct budget *budget; /* [borrowed] of the flow */
    size_t reserved;
    struct lease_row *granting; /* [borrowed] while its grant() runs */
    struct listing *offer;      /* [owned] what has been offered since the last lanes_offered() */
    struct kp_lane own;         /* where records of several lanes count to */
    struct kp_lane *lanes; /* open ones of a source, and closed ones with open tickets [owned] */
    bool is_open, is_started, is_stopped, is_closing;
    _Atomic bool has_ended, has_caught_up, has_failed, is_ready; /* main looks */
    bool wants_room;                                             /* reserve() said no */
    struct kp_timer *timers;
    struct node_watch *watches;
    struct node_server *servers;
    struct node_counts counts;
    struct node_counter counters[NODE_COUNTERS];
    _Atomic uint32_t n_counters;
    struct lane_board board; /* of a source: figures of its lanes */
    uint32_t works;          /* on the pool */
    uint32_t untold;         /* batches that ended; settled() is still to come */
    struct task wake_task;
    /* What a node that belongs to no flow waits to hear. */
    char *url;     /* [owned] of ready() */
    char *failure; /* [owned] text of fail(), first one; flows also tell the host */
};

struct node_place {
    struct worker *worker;
    struct flow *flow; /* NULL: service, provisioner or validation */
    uint32_t index;
    const kp_element *element;
    const void *config;
    const struct plan_node *plan; /* NULL without a flow */
    const char *who;              /* copied */
};

/* The source waits for grants (ABI 1.2). */
bool node_offers(const kp_element *element);

void node_init(struct kp_node *node, const struct node_place *place);
/* Calls the element's close(), then frees what it left: timers, servers, calls. */
void node_close(struct kp_node *node);
void node_fini(struct kp_node *node);

/* False: node->failure says why. */
bool node_open(struct kp_node *node);
bool node_start(struct kp_node *node);
void node_stop(struct kp_node *node);
void node_flush(struct kp_node *node);

/* kp->fail(): the first text is kept, the host told. */
__attribute__((format(printf, 2, 3))) kp_status node_fail(kp_node *node, const char *fmt, ...);
kp_status node_fail_text(kp_node *node, const char *text);

void node_log(kp_node *node, int level, const char *event, const char *fmt, va_list args);
void node_count(kp_node *node, const char *name, int64_t by);

/* There may be room again: wakes a source that was refused. */
void node_has_room(struct kp_node *node);

#endif
