/* host.h - a running pipeline: workers, flows, services, leases, and how it all ends.
 *
 * host_run() starts the embedded AWS (unless the real one is meant), makes
 * missing resources, loads the leases, opens and starts the flows, waits for the
 * end, drains, writes the last checkpoints and closes everything.
 *
 * Threads: main, where nothing else is said; `stats` functions any.
 */
#ifndef KPIPE_RUN_HOST_H
#define KPIPE_RUN_HOST_H

#include <kpipe/plugin.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/budget.h"
#include "core/base/error.h"
#include "core/config/catalog.h"
#include "core/net/inbox.h"
#include "core/run/rest.h"
#include "core/run/until.h"
#include "core/run/worker.h"

struct aws_client;
struct aws_config;
struct http_client;
struct leases;
struct plan;
struct plugins;
struct service;

enum { HOST_SIGNALS = 2 };

struct host_options {
    const struct plan *plan;       /* [borrowed] */
    const struct catalog *catalog; /* [borrowed] */
    uint32_t n_workers;            /* 0: one per core */
    int64_t memory_bytes;          /* of all record memory; 0: 256 MiB */
    const char *local_dir;         /* of the embedded AWS; NULL: the real one */
    const char *local_url;         /* of one that another process runs; NULL */
    const char *local_listen;      /* NULL: a free port of 127.0.0.1 */
    const char *local_durability;  /* NULL: its default */
    const char *local_tls;         /* "true": TLS too; NULL: its default */
    const char *local_cert;        /* PEM files of TLS; NULL: one is made */
    const char *local_key;
    const char *local_faults; /* NULL: its default */
    bool no_limits, verify_signatures;
    int64_t drain_ms;        /* 0: 30 s */
    int64_t checkpoint_ms;   /* 0: the plan's */
    struct until_goal until; /* UNTIL_STOPPED: UNTIL_END when all sources are bounded */
    /* Called once a second while flows run, and once more at the end. */
    void (*progress)(struct host *host, void *arg);
    /* Called when main's loop is there and nothing else yet; false with err: the run fails. NULL is
     * fine. What it puts on the loop is closed before host_free(). */
    bool (*begun)(struct host *host, void *arg, struct error *err);
    void *arg;
};

enum host_end {
    HOST_DONE = 0, /* the goal was reached, or a stop was asked for and all is settled */
    HOST_FAILED,   /* host_failure() says why */
    HOST_DEADLINE, /* the drain deadline came first */
    HOST_KILLED,   /* a second signal */
};

struct host {
    struct host_options options;
    uv_loop_t loop; /* main's */
    struct inbox inbox;
    uv_timer_t tick;
    uv_signal_t signals[HOST_SIGNALS];
    struct worker *workers; /* [owned] */
    uint32_t n_workers;
    struct budget budget;
    struct budget *flow_budgets; /* [owned] one per flow */
    struct service *local;       /* [owned] */
    struct aws_config *aws_config;
    struct http_client *http; /* main's */
    struct aws_client *aws;   /* main's */
    struct leases *leases;
    const kp_resource *const *resources;
    struct until until;
    struct rest rest;
    unsigned n_signals;
    int64_t signalled_ms; /* when the last of them came, monotonic */
    pthread_mutex_t lock;
    char *failure; /* [owned] guarded by lock: the first one */
    enum error_kind failure_kind;
    _Atomic bool has_failed;
    _Atomic bool is_closing; /* nodes are being closed: what they still have stays unsettled */
    int64_t started_ms, ended_ms, progress_ms; /* monotonic */
};

/* Runs the pipeline to its end. */
enum host_end host_run(struct host *host, const struct host_options *options);
const char *host_failure(struct host *host); /* NULL: none [borrowed from host] */
/* The failure is the user's: a setting that cannot be, and nothing has run. */
bool host_is_misconfigured(const struct host *host);
void host_free(struct host *host);

/* ---- for looking [any] */

struct stage_stats {
    const char *stage; /* [borrowed from the plan] */
    kp_kind kind;
    uint64_t read, read_bytes, passed, delivered, filtered, dead_lettered, retried, unsettled;
};

/* Sums over all workers. node == the flow's n_nodes: on_failure. */
void host_stage_stats(const struct host *host, size_t flow, size_t node, struct stage_stats *ret);
/* What a stage's plugin counted with kp->count(), summed over all workers, in the order in which
 * the counters first came up. Returns how many there are; at most `cap` are written, and there are
 * no more than STAGE_COUNTERS on one worker. */
struct stage_counter {
    const char *name; /* [static] the plugin's */
    uint64_t value;
};
size_t host_stage_counters(const struct host *host, size_t flow, size_t node,
                           struct stage_counter *ret, size_t cap);
/* What the plugin of a source says of its lanes; the counters are in host_stage_counters() as well.
 * One entry for each name of a lane, sorted by name. Of several lanes of one name (it went to
 * another process and came back) the newest counts; with `has_ended`, lanes that have ended are
 * there too (the last LANE_ROWS_KEPT of a worker), and counters of one name are added up. */
enum { STAGE_COUNTERS = 36, LANE_STATS = 12 };
struct lane_stats {
    char *lane;      /* [owned] */
    uint64_t number; /* a newer lane has a greater one */
    uint32_t n;
    struct lane_stat {
        const char *name; /* [static] the plugin's */
        int64_t value;
        bool is_gauge;
    } stats[LANE_STATS];
};
struct lane_stats *host_lane_stats(const struct host *host, size_t flow, bool has_ended,
                                   size_t *ret_n);
void host_lane_stats_free(struct lane_stats *lanes, size_t n);
/* The lanes of a flow that are read now: how many, and how far behind its end the worst of them is
 * (its gauge millis_behind_latest); -1: none says. */
struct lane_lag {
    uint32_t n_lanes;
    int64_t behind_ms;
};
void host_lane_lag(const struct host *host, size_t flow, struct lane_lag *ret);
/* Records of a flow that were read and have not ended. */
uint64_t host_open_records(const struct host *host, size_t flow);
double host_seconds(const struct host *host);        /* since the flows started */
const char *host_local_url(const struct host *host); /* NULL with the real AWS */

/* ---- for commands that need no pipeline */

/* The table handed to plugins; a constant of the program. */
const kp_host *host_table(void);
/* The plugins' catalog with validate() filled in. */
struct catalog host_catalog(struct plugins *plugins);
/* `kpipe local`: runs the embedded AWS until a signal comes; ready(url) is called once. */
enum host_end host_run_service(struct host *host, const struct host_options *options,
                               void (*ready)(const char *url));
/* `kpipe provision synth`: runs the provisioner with an action and ends. */
enum host_end host_provision(struct host *host, const struct host_options *options,
                             const char *action);

/* For commands that only look at leases: main's loop, and for leases in DynamoDB main's client; the
 * embedded AWS is started unless local_url or the real one is meant. False: host_failure(). */
bool host_connect(struct host *host, const struct host_options *options);

/* ---- for core/run */

struct flow *host_flow(struct host *host, uint32_t flow, uint32_t worker); /* [any] */
struct budget *host_budget(struct host *host);
struct aws_config *host_aws_config(struct host *host);
void host_info(struct host *host, kp_info *ret);
void host_failed(struct host *host, const kp_node *node); /* [any] */
bool host_is_over(const struct host *host);               /* it has failed or closes [any] */
/* Runs main's loop once; comes back at the latest after a tick. */
void host_turn(struct host *host);
/* Something happened that main may wait for. [any] */
void host_nudge(struct host *host);

#endif
