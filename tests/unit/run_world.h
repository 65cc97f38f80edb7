/* run_world.h - whole runs of host_run() with scripted stages on real worker threads.
 *
 * A world has one to three flows of a numbering source, an optional transform and
 * a sink whose mode a test chooses. The sink notes what it delivers per lane, so a
 * test can ask for completeness and order afterwards. Leases are in a file.
 */
#ifndef KPIPE_TESTS_RUN_WORLD_H
#define KPIPE_TESTS_RUN_WORLD_H

#include <kpipe/plugin.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/config/plan.h"
#include "core/run/flow.h"
#include "core/run/host.h"

enum { WORLD_FLOWS = 3, WORLD_LANES = 64 };

enum sink_mode {
    SINK_DELIVERS,
    SINK_DELIVERS_LATER, /* from a timer, after late_ms */
    SINK_RETRIES,        /* every fifth batch whole, the first time */
    SINK_REJECTS,        /* numbers that 10 divides */
    SINK_REGROUPS,       /* moves records to batches of its own, retries one of three of these */
    SINK_LOSES,          /* frees the tickets of the first batch without an outcome */
    SINK_KEEPS,          /* gives nothing back until it is closed */
    SINK_BUFFERS,        /* gives back what it holds when it is flushed */
    SINK_BREAKS,         /* process() fails at the third batch */
    SINK_WORKS,          /* on the pool */
};

struct seen_lane {
    char name[32];
    int64_t last; /* number of the last record delivered */
    uint64_t n;
};

/* What one flow does, and did. */
struct world_flow {
    /* the source */
    const kp_element *source; /* NULL: numbers, as below; its config is this flow */
    uint32_t source_flags;    /* KP_BOUNDED, KP_REQUEST or KP_STREAM */
    uint32_t n_lanes;         /* per worker */
    int64_t n_records;        /* per lane; a stream has those of `in` */
    uint32_t per_batch;
    size_t payload;  /* bytes of a record, at least 32 */
    bool has_tokens; /* asks for results and checks the receipts */
    bool closes_early, never_ends;
    bool is_slow; /* one batch per lane and call: the next one when this has ended */
    /* the sink and on_failure */
    const kp_element *sink; /* NULL: as below; its config is this flow */
    enum sink_mode mode;
    int64_t late_ms;              /* 0: 1 */
    _Atomic uint64_t *not_before; /* a buffer flushed while this is 0 was flushed too early */
    uint32_t sink_flags, failure_flags;
    bool has_failure;
    bool fails_open, fails_start;
    int signals_at_first, signals_at_stop; /* SIGTERMs sent when the first batch comes, at stop() */
    bool signals_on;                       /* and more of them every 10 ms from then on */
    _Atomic uint64_t *out; /* counts what a stream source of another flow may read */
    _Atomic uint64_t *in;
    /* what was seen */
    pthread_mutex_t lock;
    struct seen_lane lanes[WORLD_LANES];
    uint32_t n_seen;
    uint64_t n_early, n_delivered, n_failures, n_disorder, n_given, n_bad_receipts, n_told;
    _Atomic uint64_t n_wakes;
};

struct world {
    struct world_flow flows[WORLD_FLOWS];
    struct host_options options;
    struct host host;
    const char *dir; /* of the lease file */
    struct plan plan;
    struct plan_flow plan_flows[WORLD_FLOWS];
    struct plan_node nodes[WORLD_FLOWS][3];
    kp_element elements[WORLD_FLOWS][3];
    char names[WORLD_FLOWS][32];
    char leases[256];
};

/* n flows of 2 lanes per worker, 1000 records each, that deliver; two workers. `dir` NULL: fresh.
 */
void world_init(struct world *world, size_t n_flows, const char *dir);
/* host_run(); the counters stay readable until world_fini(). */
enum host_end world_run(struct world *world);
void world_fini(struct world *world);

struct stage_stats world_stats(struct world *world, size_t flow, size_t node);
/* Every lane of the flow has delivered n records, in order. */
bool world_is_whole(struct world *world, size_t flow, uint64_t n);
/* The text of the lease file. [static buffer] */
const char *world_leases(struct world *world);

#endif
