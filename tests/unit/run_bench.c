/* run_bench.c - see run_bench.h. */
#include "tests/unit/run_bench.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "tests/kptest.h"

static struct bench *current; /* of the running test */

static kp_status take(kp_node *node, void *state, kp_batch *b)
{
    struct bench_stage *stage = state;

    stage->n_given++;
    if (stage->fails) {
        node_fail(node, "it broke");
        return KP_FATAL;
    }
    REQUIRE(stage->n_held < BENCH_HELD);
    stage->held[stage->n_held++] = b;
    return KP_OK;
}

static kp_status pass_on(kp_node *node, void *state, kp_batch *b)
{
    struct bench_stage *stage = state;

    if (stage->holds)
        return take(node, state, b);
    stage->n_given++;
    hop_emit(node, b);
    return KP_OK;
}

static void woken(kp_node *node, void *state, kp_lane *lane, void *lane_state)
{
    (void)node, (void)state, (void)lane, (void)lane_state;
    current->n_wakes++;
}

static void settled(kp_node *node, void *state, void *token, const kp_result *results, uint32_t n)
{
    (void)node, (void)state, (void)token;
    for (uint32_t i = 0; i < n && current->n_settled < BENCH_HELD; i++) {
        uint32_t at = current->n_settled++;

        current->outcomes[at] = results[i].outcome;
        snprintf(current->reasons[at], sizeof current->reasons[at], "%.*s",
                 (int)results[i].reason.len, results[i].reason.ptr ? results[i].reason.ptr : "");
        snprintf(current->shards[at], sizeof current->shards[at], "%.*s",
                 (int)results[i].receipt.shard.len,
                 results[i].receipt.shard.ptr ? results[i].receipt.shard.ptr : "");
    }
}

static void close_stage(kp_node *node, void *state)
{
    struct bench_stage *stage = state;

    while (stage->n_held)
        hop_release(node, bench_take(stage));
}

static void set_elements(struct bench *bench, const struct bench_options *o)
{
    bench->elements[0] = (kp_element){.size = sizeof(kp_element),
                                      .kind = KP_SOURCE,
                                      .name = "source",
                                      .flags = o->source_flags,
                                      .state_size = sizeof(struct bench_stage),
                                      .wake = woken,
                                      .settled = settled};
    bench->elements[1] = (kp_element){.size = sizeof(kp_element),
                                      .kind = KP_TRANSFORM,
                                      .name = "pass",
                                      .flags = o->transform_flags,
                                      .state_size = sizeof(struct bench_stage),
                                      .process = pass_on,
                                      .close = close_stage};
    bench->elements[2] = (kp_element){.size = sizeof(kp_element),
                                      .kind = KP_SINK,
                                      .name = "sink",
                                      .flags = o->sink_flags,
                                      .state_size = sizeof(struct bench_stage),
                                      .process = take,
                                      .close = close_stage};
    bench->elements[3] = bench->elements[2];
    bench->elements[3].name = "dead";
    bench->elements[3].flags = o->failure_flags;
}

static void set_plan(struct bench *bench, const struct bench_options *o)
{
    static char names[4][8] = {"source", "pass", "sink", "dead"};

    for (int i = 0; i < 4; i++) {
        struct plan_node *node = i < 3 ? &bench->plan_nodes[i] : &bench->on_failure;

        *node = (struct plan_node){.element = &bench->elements[i],
                                   .stage = names[i],
                                   .retry = {.attempts = o->attempts, .base_ms = 1, .max_ms = 2}};
    }
    bench->plan_flow = (struct plan_flow){.name = (char *)(uintptr_t) "flow",
                                          .nodes = bench->plan_nodes,
                                          .n_nodes = 3,
                                          .on_failure = o->has_failure ? &bench->on_failure : NULL};
    bench->plan = (struct plan){.name = (char *)(uintptr_t) "test",
                                .application = (char *)(uintptr_t) "test",
                                .flows = &bench->plan_flow,
                                .n_flows = 1};
}

void bench_open(struct bench *bench, const struct bench_options *options)
{
    struct error err = ERROR_INIT;

    memset(bench, 0, sizeof *bench);
    current = bench;
    set_elements(bench, options);
    set_plan(bench, options);
    pthread_mutex_init(&bench->host.lock, NULL);
    REQUIRE(!uv_loop_init(&bench->host.loop));
    inbox_init(&bench->host.inbox, &bench->host.loop);
    bench->host.options.plan = &bench->plan;
    bench->host.n_workers = 1;
    bench->host.budget = (struct budget){.name = "process", .limit = 64 << 20};
    bench->flow_budget =
        (struct budget){.name = "flow", .limit = options->memory, .parent = &bench->host.budget};
    REQUIRE(worker_init(&bench->worker, &bench->host, 0, &err));
    bench->flow = flow_new(&(struct flow_place){.worker = &bench->worker,
                                                .plan = &bench->plan_flow,
                                                .pipeline = "test",
                                                .budget = &bench->flow_budget});
    bench->worker.flows = mem_new(sizeof(struct flow *));
    bench->worker.flows[0] = bench->flow;
    bench->worker.n_flows = 1;
    REQUIRE(flow_open(bench->flow, &err));
    flow_start(bench->flow);
}

void bench_run(struct bench *bench)
{
    uv_run(&bench->worker.loop, UV_RUN_NOWAIT);
}

static void run_until_given(struct bench *bench, struct bench_stage *stage, uint32_t n_given)
{
    int64_t deadline = clock_mono_ms() + 10000;

    while (stage->n_given < n_given && clock_mono_ms() < deadline)
        bench_run(bench); /* back-offs are a few milliseconds here: no need to block */
    EQ_INT(stage->n_given, n_given);
}

void bench_run_until_given(struct bench *bench, uint32_t n_given)
{
    run_until_given(bench, bench_sink(bench), n_given);
}

void bench_run_until_transform_given(struct bench *bench, uint32_t n_given)
{
    run_until_given(bench, bench_transform(bench), n_given);
}

void bench_close(struct bench *bench)
{
    bench_run(bench);
    flow_close(bench->flow);
    flow_give_up(bench->flow);
    bench_run(bench);
    flow_free(bench->flow);
    bench->worker.n_flows = 0;
    worker_fini(&bench->worker);
    EQ_INT(atomic_load(&bench->host.budget.used), 0);
    inbox_fini(&bench->host.inbox);
    uv_run(&bench->host.loop, UV_RUN_DEFAULT);
    EQ_INT(uv_loop_close(&bench->host.loop), 0);
    pthread_mutex_destroy(&bench->host.lock);
    free(bench->host.failure);
    current = NULL;
}

kp_node *bench_node(struct bench *bench, uint32_t index)
{
    return &bench->flow->nodes[index];
}

kp_lane *bench_lane(struct bench *bench, const char *name)
{
    kp_position start;

    return lane_open(bench_node(bench, 0), name, NULL, &start);
}

void bench_submit(kp_lane *lane, const char *letters, const char *end, void *token)
{
    uint32_t n = (uint32_t)strlen(letters);
    kp_batch *b = batch_new(lane->node->budget, &lane->node->own, n);
    kp_record *records = batch_append(b, n);
    char *data = batch_alloc(b, n + 1);
    kp_position position = {{end, strlen(end)}, 0};

    memcpy(data, letters, n);
    for (uint32_t i = 0; i < n; i++) {
        records[i].data = data + i;
        records[i].data_len = 1;
    }
    lane_submit(lane, b, &position, token);
}

struct bench_stage *bench_sink(struct bench *bench)
{
    return bench_node(bench, 2)->state;
}

struct bench_stage *bench_failure(struct bench *bench)
{
    return bench_node(bench, 3)->state;
}

struct bench_stage *bench_transform(struct bench *bench)
{
    return bench_node(bench, 1)->state;
}

kp_batch *bench_take(struct bench_stage *stage)
{
    kp_batch *b;

    REQUIRE(stage->n_held > 0);
    b = stage->held[0];
    memmove(stage->held, stage->held + 1, --stage->n_held * sizeof stage->held[0]);
    return b;
}

void bench_deliver(struct bench *bench)
{
    kp_batch *b = bench_take(bench_sink(bench));

    batch_deliver_all(b);
    hop_done(bench_node(bench, 2), b);
    bench_run(bench);
}

const char *bench_letters(const kp_batch *b)
{
    static char text[BENCH_HELD + 1];
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->count && n < BENCH_HELD; i++)
        text[n++] = kp_at(b, i)->data[0];
    text[n] = '\0';
    return text;
}
