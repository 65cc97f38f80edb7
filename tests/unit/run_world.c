/* run_world.c - see run_world.h. */
#include "tests/unit/run_world.h"

#include <kpipe/ext/timer.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kptest.h"

static const kp_host *h; /* the host table */
static const kp_timer_ext *clocks;

static const struct world_flow *script_of(const void *config)
{
    return config;
}

static void send_signals(int *n)
{
    while (*n > 0) {
        --*n;
        raise(SIGTERM);
    }
}

/* ---- the source: numbers from 1, each record's payload and sequence is its number */

struct lane_state {
    kp_lane *lane;
    struct source *source;
    int64_t sent, total;
    bool is_closed;
};

struct source {
    kp_node *node;
    struct world_flow *flow;
    struct lane_state lanes[8];
    kp_timer *timer; /* of a stream */
    bool has_ended, must_answer;
};

struct token {
    int64_t first;
};

static kp_batch *make_batch(struct source *source, int64_t first, uint32_t n)
{
    size_t payload = source->flow->payload, bytes = n * payload;
    kp_slab *slab;
    kp_batch *b;
    kp_record *records;

    if (!h->reserve(source->node, bytes))
        return NULL;
    slab = h->slab_new(source->node, bytes);
    b = h->batch_new(source->node, n);
    records = h->append(b, n);
    h->keep(b, slab);
    for (uint32_t i = 0; i < n; i++) {
        char *at = h->slab_data(slab) + i * payload;

        records[i].data = at;
        records[i].data_len = (uint32_t)payload;
        memset(at, ' ', payload);
        records[i].sequence = at;
        records[i].sequence_len = (uint32_t)snprintf(at, payload, "%lld", (long long)(first + i));
    }
    h->slab_unref(slab);
    return b;
}

/* False: no room now. */
static bool send_one(struct lane_state *lane)
{
    struct source *source = lane->source;
    int64_t left = lane->total - lane->sent;
    uint32_t n = left < source->flow->per_batch ? (uint32_t)left : source->flow->per_batch;
    struct token *token = NULL;
    char text[24];
    kp_position end = {.text.ptr = text};
    kp_batch *b;

    if (!h->lane_ready(lane->lane) || !(b = make_batch(source, lane->sent + 1, n)))
        return false;
    if (source->flow->has_tokens) {
        token = malloc(sizeof *token);
        token->first = lane->sent + 1;
    }
    lane->sent += n;
    end.text.len = (size_t)snprintf(text, sizeof text, "%lld", (long long)lane->sent);
    h->submit(lane->lane, b, &end, token);
    return true;
}

static void look_at_end(struct source *source)
{
    bool is_over = true;

    for (uint32_t i = 0; i < source->flow->n_lanes; i++) {
        struct lane_state *lane = &source->lanes[i];

        if (lane->sent < lane->total)
            is_over = false;
        else if (!lane->is_closed && source->flow->closes_early) {
            lane->is_closed = true;
            h->lane_close(lane->lane);
        }
    }
    if (is_over && !source->has_ended && !source->flow->never_ends) {
        source->has_ended = true;
        h->ended(source->node);
    }
    if (is_over && source->must_answer) {
        source->must_answer = false;
        h->caught_up(source->node);
    }
}

static void pump(struct source *source)
{
    bool goes_on = true;

    if (source->flow->in && h->info(source->node)->worker == 0)
        source->lanes[0].total = (int64_t)atomic_load(source->flow->in);
    while (goes_on) {
        goes_on = false;
        for (uint32_t i = 0; i < source->flow->n_lanes; i++)
            if (source->lanes[i].sent < source->lanes[i].total)
                goes_on |= send_one(&source->lanes[i]);
        goes_on &= !source->flow->is_slow;
    }
    look_at_end(source);
}

static void source_rang(kp_node *node, void *arg)
{
    (void)node;
    pump(arg);
}

static kp_status source_start(kp_node *node, void *state)
{
    struct source *source = state;

    if (source->flow->fails_start)
        return h->fail(node, "no such door");
    if (source->flow->in) {
        source->timer = clocks->create(node, source_rang, source);
        clocks->start(source->timer, 1, 1);
    }
    pump(source);
    return KP_OK;
}

static kp_status source_open(kp_node *node, const void *config, void *state)
{
    struct source *source = state;

    source->node = node;
    source->flow = (struct world_flow *)(uintptr_t)config;
    for (uint32_t i = 0; i < source->flow->n_lanes; i++) {
        struct lane_state *lane = &source->lanes[i];
        kp_position start;
        char name[32];

        snprintf(name, sizeof name, "w%u-%u", h->info(node)->worker, i);
        lane->source = source;
        lane->lane = h->lane_open(node, name, lane, &start);
        lane->sent = strtoll(start.text.len ? start.text.ptr : "0", NULL, 10);
        lane->total = source->flow->in ? lane->sent : source->flow->n_records;
    }
    return KP_OK;
}

static void source_wake(kp_node *node, void *state, kp_lane *lane, void *lane_state)
{
    struct source *source = state;

    (void)node, (void)lane, (void)lane_state;
    atomic_fetch_add(&source->flow->n_wakes, 1);
    pump(source);
}

static void source_settled(kp_node *node, void *state, void *arg, const kp_result *results,
                           uint32_t n)
{
    struct source *source = state;
    struct token *token = arg;

    (void)node;
    pthread_mutex_lock(&source->flow->lock);
    for (uint32_t i = 0; i < n; i++) {
        char want[24];
        size_t len = (size_t)snprintf(want, sizeof want, "%lld", (long long)(token->first + i));

        source->flow->n_told++;
        source->flow->n_bad_receipts += results[i].outcome == KP_DELIVERED &&
                                        (results[i].receipt.sequence.len != len ||
                                         memcmp(results[i].receipt.sequence.ptr, want, len) != 0);
    }
    pthread_mutex_unlock(&source->flow->lock);
    free(token);
    pump(source); /* submits from inside settled() */
}

static void source_catch_up(kp_node *node, void *state)
{
    struct source *source = state;

    (void)node;
    source->must_answer = true;
    pump(source);
}

static void source_stop(kp_node *node, void *state)
{
    struct source *source = state;

    if (h->info(node)->worker == 0)
        send_signals(&source->flow->signals_at_stop);
    if (source->timer)
        clocks->stop(source->timer);
    for (uint32_t i = 0; i < source->flow->n_lanes; i++)
        source->lanes[i].total = source->lanes[i].sent;
}

/* ---- the sink */

enum { SINK_HELD = 4096 };

struct sink {
    kp_node *node;
    struct world_flow *flow;
    kp_batch *held[SINK_HELD];
    uint32_t n_held, n_given, n_works;
    kp_timer *timer;
};

static void note(struct world_flow *flow, const kp_batch *b, uint32_t i)
{
    const kp_record *record = kp_at(b, i);
    int64_t number = strtoll(record->data, NULL, 10);
    struct seen_lane *lane = flow->lanes;

    while (lane < flow->lanes + flow->n_seen &&
           (strlen(lane->name) != b->lane_name.len ||
            memcmp(lane->name, b->lane_name.ptr, b->lane_name.len) != 0))
        lane++;
    if (lane == flow->lanes + flow->n_seen) {
        flow->n_seen++;
        snprintf(lane->name, sizeof lane->name, "%.*s", (int)b->lane_name.len, b->lane_name.ptr);
    }
    flow->n_disorder += number != lane->last + 1;
    lane->last = number;
    lane->n++;
    flow->n_delivered++;
    if (flow->out)
        atomic_fetch_add(flow->out, 1);
}

static void deliver(struct sink *sink, kp_batch *b)
{
    pthread_mutex_lock(&sink->flow->lock);
    for (uint32_t i = 0; i < b->count; i++) {
        const kp_record *record = kp_at(b, i);
        kp_receipt receipt = {.size = sizeof receipt,
                              .sequence = {record->sequence, record->sequence_len}};

        if (record->outcome != KP_NONE)
            continue;
        note(sink->flow, b, i);
        h->deliver(b, i, &receipt);
    }
    pthread_mutex_unlock(&sink->flow->lock);
    h->done(sink->node, b);
}

static kp_batch *take_held(struct sink *sink)
{
    kp_batch *b = sink->held[0];

    memmove(sink->held, sink->held + 1, --sink->n_held * sizeof *sink->held);
    return b;
}

/* A batch of the sink's own: one time of three it is refused as a whole, the others delivered. */
static void end_regrouped(struct sink *sink, kp_batch *b)
{
    if (++sink->n_works % 3) {
        deliver(sink, b);
        return;
    }
    for (uint32_t i = 0; i < b->count; i++)
        h->retry(b, i, 0, "throttled");
    h->done(sink->node, b);
}

static void sink_rang(kp_node *node, void *arg)
{
    struct sink *sink = arg;

    (void)node;
    if (sink->flow->signals_on)
        raise(SIGTERM);
    while (sink->n_held && sink->flow->mode != SINK_KEEPS) {
        kp_batch *b = take_held(sink);

        if (sink->flow->mode == SINK_REGROUPS)
            end_regrouped(sink, b);
        else
            deliver(sink, b);
    }
}

static void hold(struct sink *sink, kp_batch *b, int64_t ms)
{
    REQUIRE(sink->n_held < SINK_HELD);
    sink->held[sink->n_held++] = b;
    if (ms && !clocks->active(sink->timer))
        clocks->start(sink->timer, ms, 0);
}

static void regroup(struct sink *sink, kp_batch *b)
{
    kp_batch *out = h->batch_new(sink->node, b->count);

    for (uint32_t i = 0; i < b->count; i++)
        h->move(out, b, i);
    h->release(sink->node, b);
    hold(sink, out, 1);
}

static void lose(struct sink *sink, kp_batch *b)
{
    kp_group *group = h->group_new(sink->node);

    for (uint32_t i = 0; i < b->count; i++)
        h->group_take(group, b, i);
    h->release(sink->node, b);
    h->group_free(group);
}

static void work_on(void *arg)
{
    *(volatile char *)arg = 0;
}

static void worked(kp_node *node, void *arg)
{
    (void)node;
    free(arg);
}

static kp_status sink_process(kp_node *node, void *state, kp_batch *b)
{
    struct sink *sink = state;

    sink->n_given++;
    pthread_mutex_lock(&sink->flow->lock);
    sink->flow->n_given++;
    if (sink->flow->signals_at_first && sink->flow->signals_on)
        clocks->start(sink->timer, 10, 10);
    send_signals(&sink->flow->signals_at_first);
    pthread_mutex_unlock(&sink->flow->lock);
    switch (sink->flow->mode) {
    case SINK_DELIVERS: break;
    case SINK_DELIVERS_LATER:
        hold(sink, b, sink->flow->late_ms ? sink->flow->late_ms : 1);
        return KP_OK;
    case SINK_RETRIES:
        if (sink->n_given % 5)
            break;
        for (uint32_t i = 0; i < b->count; i++)
            h->retry(b, i, 0, "busy");
        h->done(node, b);
        return KP_OK;
    case SINK_REJECTS:
        for (uint32_t i = 0; i < b->count; i++)
            if (strtoll(kp_at(b, i)->data, NULL, 10) % 10 == 0)
                h->reject(b, i, "10 divides it");
        break;
    case SINK_REGROUPS: regroup(sink, b); return KP_OK;
    case SINK_LOSES:
        if (sink->n_given != 1)
            break;
        lose(sink, b);
        return KP_OK;
    case SINK_KEEPS:
    case SINK_BUFFERS: hold(sink, b, 0); return KP_OK;
    case SINK_BREAKS:
        if (sink->n_given >= 3)
            return h->fail(node, "the disk is on fire");
        break;
    case SINK_WORKS: h->work(node, work_on, worked, malloc(1)); break;
    }
    deliver(sink, b);
    return KP_OK;
}

static kp_status sink_open(kp_node *node, const void *config, void *state)
{
    struct sink *sink = state;

    sink->node = node;
    sink->flow = (struct world_flow *)(uintptr_t)config;
    sink->timer = clocks->create(node, sink_rang, sink);
    return script_of(config)->fails_open ? h->fail(node, "no such table") : KP_OK;
}

static void sink_flush(kp_node *node, void *state)
{
    struct sink *sink = state;

    (void)node;
    if (sink->n_held && sink->flow->not_before && !*sink->flow->not_before)
        sink->flow->n_early++;
    while (sink->flow->mode == SINK_BUFFERS && sink->n_held)
        deliver(sink, take_held(sink));
}

static void sink_close(kp_node *node, void *state)
{
    struct sink *sink = state;

    while (sink->n_held)
        h->release(node, take_held(sink));
}

static kp_status failure_process(kp_node *node, void *state, kp_batch *b)
{
    struct sink *sink = state;

    pthread_mutex_lock(&sink->flow->lock);
    sink->flow->n_failures += b->count;
    pthread_mutex_unlock(&sink->flow->lock);
    h->deliver_all(b);
    h->done(node, b);
    return KP_OK;
}

static kp_status failure_open(kp_node *node, const void *config, void *state)
{
    struct sink *sink = state;

    (void)node;
    sink->flow = (struct world_flow *)(uintptr_t)config;
    return KP_OK;
}

/* ---- the world */

static void set_elements(struct world *world, size_t f)
{
    struct world_flow *flow = &world->flows[f];
    kp_element *e = world->elements[f];

    e[0] = (kp_element){.size = sizeof *e,
                        .kind = KP_SOURCE,
                        .name = "numbers",
                        .flags = flow->source_flags,
                        .state_size = sizeof(struct source),
                        .open = source_open,
                        .start = source_start,
                        .wake = source_wake,
                        .settled = source_settled,
                        .catch_up = source_catch_up,
                        .stop = source_stop};
    if (flow->source)
        e[0] = *flow->source;
    e[1] = (kp_element){.size = sizeof *e,
                        .kind = KP_SINK,
                        .name = "sink",
                        .flags = flow->sink_flags,
                        .state_size = sizeof(struct sink),
                        .open = sink_open,
                        .process = sink_process,
                        .flush = sink_flush,
                        .close = sink_close};
    if (flow->sink)
        e[1] = *flow->sink;
    e[2] = (kp_element){.size = sizeof *e,
                        .kind = KP_SINK,
                        .name = "dead",
                        .flags = flow->failure_flags,
                        .state_size = sizeof(struct sink),
                        .open = failure_open,
                        .process = failure_process};
}

static void set_plan(struct world *world, size_t f)
{
    static char stages[3][8] = {"numbers", "sink", "dead"};
    struct world_flow *flow = &world->flows[f];

    set_elements(world, f);
    for (int i = 0; i < 3; i++)
        world->nodes[f][i] = (struct plan_node){.element = &world->elements[f][i],
                                                .stage = stages[i],
                                                .config = flow,
                                                .retry = {.base_ms = 1, .max_ms = 3}};
    world->plan_flows[f].name = world->names[f];
    world->plan_flows[f].nodes = world->nodes[f];
    world->plan_flows[f].n_nodes = 2;
    world->plan_flows[f].on_failure = flow->has_failure ? &world->nodes[f][2] : NULL;
}

void world_init(struct world *world, size_t n_flows, const char *dir)
{
    h = host_table();
    clocks = h->extension("timer/1");
    memset(world, 0, sizeof *world);
    setenv("AWS_REGION", "eu-central-1", 1);
    world->dir = dir ? dir : kptest_dir();
    snprintf(world->leases, sizeof world->leases, "file:%s/leases", world->dir);
    world->plan = (struct plan){.name = (char *)(uintptr_t) "test",
                                .application = (char *)(uintptr_t) "test",
                                .leases = world->leases,
                                .checkpoint_interval_ms = 20,
                                .coordination = {.failover_ms = 2000, .hand_over_ms = 2000},
                                .flows = world->plan_flows,
                                .n_flows = n_flows};
    for (size_t f = 0; f < n_flows; f++) {
        snprintf(world->names[f], sizeof world->names[f], "flow%zu", f);
        world->flows[f] = (struct world_flow){.source_flags = KP_BOUNDED,
                                              .n_lanes = 2,
                                              .n_records = 1000,
                                              .per_batch = 10,
                                              .payload = 64};
        pthread_mutex_init(&world->flows[f].lock, NULL);
    }
    world->options = (struct host_options){
        .plan = &world->plan, .n_workers = 2, .drain_ms = 20000, .until.kind = UNTIL_END};
}

enum host_end world_run(struct world *world)
{
    for (size_t f = 0; f < world->plan.n_flows; f++)
        set_plan(world, f);
    return host_run(&world->host, &world->options);
}

void world_fini(struct world *world)
{
    host_free(&world->host);
    for (size_t f = 0; f < world->plan.n_flows; f++)
        pthread_mutex_destroy(&world->flows[f].lock);
}

struct stage_stats world_stats(struct world *world, size_t flow, size_t node)
{
    struct stage_stats stats;

    host_stage_stats(&world->host, flow, node, &stats);
    return stats;
}

bool world_is_whole(struct world *world, size_t flow, uint64_t n)
{
    const struct world_flow *f = &world->flows[flow];
    bool is_whole = !f->n_disorder;

    for (uint32_t i = 0; i < f->n_seen; i++)
        is_whole &= f->lanes[i].n == n && f->lanes[i].last == (int64_t)n;
    return is_whole;
}

const char *world_leases(struct world *world)
{
    static char text[65536];
    FILE *file = fopen(world->leases + 5, "r");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;

    if (file)
        fclose(file);
    text[n] = '\0';
    return text;
}
