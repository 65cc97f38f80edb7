/* plan.h - what a pipeline file means: checked, defaults filled, ready to run.
 *
 * plan_load() runs the file in a strict Lua environment and checks everything;
 * all problems are reported at once. The plan is plain data: running it is
 * core/run's job, printing it plan_show()'s and graph_*()'s.
 *
 * Owned by: the caller of plan_load().   Threads: read-only once loaded: any.
 */
#ifndef KPIPE_CONFIG_PLAN_H
#define KPIPE_CONFIG_PLAN_H

#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct catalog;
struct error;

/* Host options any stage may carry beside its plugin's own. */
struct plan_retry {
    int64_t attempts; /* deliveries of one record before it is rejected; 0 = no end */
    int64_t base_ms;  /* first back-off, doubled each time, full jitter (default 100 ms) */
    int64_t max_ms;   /* longest back-off (default 20 s) */
};

struct plan_node {
    const kp_element *element; /* [borrowed from the plugin] */
    char *stage;               /* name in logs and counters, unique in its flow [owned] */
    void *config;              /* element->config_size bytes, filled [owned] */
    struct plan_retry retry;
    char *file; /* where it was declared [owned] */
    int line;
    void *values; /* the normalised options, for plan_show() [owned] */
};

struct plan_flow {
    char *name;              /* [owned] */
    struct plan_node *nodes; /* source, transforms ..., sink [owned] */
    size_t n_nodes;
    struct plan_node *on_failure; /* one sink, or NULL [owned] */
    bool exactly_once;
    int64_t memory; /* bytes; 0 = no limit of its own */
};

/* What the lease table looks like, in the order of enum fleet_layout (core/lease/fleet.h). */
enum plan_layout {
    PLAN_LAYOUT_AUTO,        /* what is found decides; a new table is as KCL2 */
    PLAN_LAYOUT_KCL2,        /* KCL 1.x and 2.x: leases, and nothing beside them */
    PLAN_LAYOUT_KCL3_TABLES, /* KCL 3.0 to 3.4: metrics and state in two tables of their own */
    PLAN_LAYOUT_KCL3_SINGLE, /* KCL 3.5 and newer: all in the lease table */
};

/* Among the processes that share the lease table; members as in struct fleet_config. */
struct plan_coordination {
    enum plan_layout layout;
    int64_t failover_ms, hand_over_ms;
    size_t max_leases; /* 0: no limit */
    size_t max_steals;
    bool by_count; /* lease_assignment_strategy = "lease-count-based" */
    const char
        *worker;  /* worker_identifier, without prefix; NULL: to be made [owned by the plan] */
    void *values; /* the normalised options, for plan_show() [owned by the plan] */
};

struct plan {
    char *file, *name; /* [owned] */
    char *application; /* name of the lease table; default: name [owned] */
    char *leases;      /* "dynamodb", "file:PATH" or "none" (every run begins at `start`) [owned] */
    int64_t checkpoint_interval_ms;
    struct plan_coordination coordination;
    kp_resource **resources; /* [owned] */
    size_t n_resources;
    struct plan_flow *flows; /* in the order of their names' first appearance [owned] */
    size_t n_flows;
    void *owned; /* functions, strings and other things that live as long as the plan */
};

struct plan_set {
    const char *name, *value; /* --set NAME=VALUE */
};

struct plan_options {
    const struct catalog *catalog; /* [borrowed] */
    const struct plan_set *sets;
    size_t n_sets;
    bool local; /* the embedded AWS will be used: k.is_local */
    /* Limits while loading; 0: 2 s of CPU time, 64 MiB. */
    int64_t load_ms, load_bytes;
};

/* Returns a plan [owned by caller], or NULL after writing one line per problem to `problems`:
 * "file:line: stage.key: text", sorted by line, and a last line that counts them. */
struct plan *plan_load(const char *file, const struct plan_options *options, FILE *problems);
void plan_free(struct plan *plan); /* NULL is fine */

/* The options of the pipeline itself, beside kpipe, resources, flows, on_failure and memory. */
const kp_option *plan_rows(void);

/* The lease table of a flow: the application's name for the first flow that reads a stream (so it
 * is the table of a KCL application of that name), APPLICATION-FLOW for every other. [owned by
 * caller] NULL: the flow answers requests and keeps no position. */
char *plan_lease_table(const struct plan *plan, size_t flow);

/* The normalised plan as Lua (or JSON): defaults filled in, secrets hidden. */
void plan_show(const struct plan *plan, bool json, FILE *out);

enum graph_form { GRAPH_TEXT, GRAPH_DOT, GRAPH_MERMAID };
void plan_graph(const struct plan *plan, enum graph_form form, FILE *out);

#endif
