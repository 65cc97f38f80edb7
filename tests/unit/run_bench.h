/* run_bench.h - a workbench for core/run: one worker without a thread, one flow of scripted stages.
 *
 * The test submits records, looks at what the sink has in hand, marks it and lets
 * the loop run; nothing happens behind its back.
 */
#ifndef KPIPE_TESTS_RUN_BENCH_H
#define KPIPE_TESTS_RUN_BENCH_H

#include <kpipe/plugin.h>

#include "core/config/plan.h"
#include "core/run/flow.h"
#include "core/run/hop.h"
#include "core/run/host.h"
#include "core/run/lane.h"
#include "core/run/node.h"

enum { BENCH_HELD = 64 };

struct bench_stage {
    kp_batch *held[BENCH_HELD]; /* given and not yet given back */
    uint32_t n_held, n_given;
    bool fails; /* process() answers KP_FATAL */
    bool holds; /* the transform keeps its batches until the test emits them */
};

struct bench {
    struct host host;
    struct worker worker;
    struct budget flow_budget;
    struct flow *flow;
    struct plan plan;
    struct plan_flow plan_flow;
    struct plan_node plan_nodes[3], on_failure;
    kp_element elements[4]; /* source, transform, sink, on_failure */
    /* what the source heard */
    uint32_t n_wakes, n_settled;
    kp_outcome outcomes[BENCH_HELD];
    char reasons[BENCH_HELD][64];
    char shards[BENCH_HELD][64];
};

struct bench_options {
    uint32_t sink_flags, failure_flags, source_flags, transform_flags;
    bool has_failure;
    int64_t attempts;
    int64_t memory;
};

void bench_open(struct bench *bench, const struct bench_options *options);
void bench_close(struct bench *bench);
/* Runs what is deferred and, with ms > 0, waits for timers that long at most. */
void bench_run(struct bench *bench);
void bench_run_until_given(struct bench *bench, uint32_t n_given);
void bench_run_until_transform_given(struct bench *bench, uint32_t n_given);

kp_lane *bench_lane(struct bench *bench, const char *name);
/* A batch of n records "a", "b", ... with end position `end`. */
void bench_submit(kp_lane *lane, const char *letters, const char *end, void *token);

struct bench_stage *bench_sink(struct bench *bench);
struct bench_stage *bench_failure(struct bench *bench);
struct bench_stage *bench_transform(struct bench *bench);
/* Takes the oldest batch in hand out of the list. */
kp_batch *bench_take(struct bench_stage *stage);
/* Delivers all of the oldest batch and gives it back. */
void bench_deliver(struct bench *bench);
/* The payloads of a batch, one letter each. [static buffer] */
const char *bench_letters(const kp_batch *b);
kp_node *bench_node(struct bench *bench, uint32_t index);

#endif
