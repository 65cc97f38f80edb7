/* test_run_until.c - when a run ends by itself. */
#include <string.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "tests/kptest.h"
#include "tests/unit/run_world.h"

static bool parses(const char *text, enum until_kind kind, int64_t value)
{
    struct until_goal goal;
    struct error err = ERROR_INIT;

    return until_parse(text, &goal, &err) && goal.kind == kind && goal.value == value;
}

static bool is_refused(const char *text)
{
    struct until_goal goal;
    struct error err = ERROR_INIT;

    return !until_parse(text, &goal, &err) && err.kind == ERROR_CONFIG && strstr(err.text, text);
}

TEST(a_goal_is_read_strictly)
{
    YES(parses("end", UNTIL_END, 0));
    YES(parses("idle:30s", UNTIL_IDLE, 30000));
    YES(parses("time:5m", UNTIL_TIME, 300000));
    YES(parses("records:1000", UNTIL_RECORDS, 1000));
    YES(is_refused("ending"));
    YES(is_refused("idle:"));
    YES(is_refused("time:5"));
    YES(is_refused("records:0"));
    YES(is_refused("records:-1"));
    YES(is_refused("records:1x"));
    YES(is_refused("records:99999999999999999999"));
}

/* flow0 is bounded and feeds flow1, flow1 feeds flow2: both read as streams. */
static void make_chain(struct world *world, _Atomic uint64_t *first, _Atomic uint64_t *second)
{
    world_init(world, 3, NULL);
    world->flows[0].out = world->flows[1].in = first;
    world->flows[1].out = world->flows[2].in = second;
    world->flows[1].source_flags = world->flows[2].source_flags = KP_STREAM;
    world->flows[1].n_lanes = world->flows[2].n_lanes = 1;
}

TEST(a_run_until_the_end_waits_for_flows_that_feed_each_other)
{
    enum sink_mode modes[] = {SINK_DELIVERS, SINK_DELIVERS_LATER, SINK_BUFFERS};

    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct world world;
        _Atomic uint64_t first = 0, second = 0;

        make_chain(&world, &first, &second);
        world.flows[1].mode = modes[i];
        world.flows[1].sink_flags = world.flows[2].sink_flags = KP_CONCURRENT;
        EQ_INT(world_run(&world), HOST_DONE);
        EQ_INT(world_stats(&world, 0, 0).delivered, 4000);
        EQ_INT(world_stats(&world, 1, 0).delivered, 4000);
        EQ_INT(world_stats(&world, 2, 0).delivered, 4000);
        world_fini(&world);
    }
}

TEST(a_run_until_the_end_asks_buffers_for_what_they_hold)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].mode = SINK_BUFFERS;
    world.flows[0].sink_flags = KP_CONCURRENT;
    EQ_INT(world_run(&world), HOST_DONE);
    YES(world_is_whole(&world, 0, 1000));
    world_fini(&world);
}

TEST(a_buffer_is_not_emptied_while_more_may_come_for_its_stream)
{
    struct world world;
    _Atomic uint64_t written = 0, there = 1000;

    world_init(&world, 2, NULL);
    world.options.n_workers = 1;
    world.flows[0].n_lanes = 1;
    world.flows[0].per_batch = 1000;
    world.flows[0].mode = SINK_DELIVERS_LATER;
    world.flows[0].late_ms = 500; /* the other flow is quiet for most of it */
    world.flows[0].out = &written;
    world.flows[1].source_flags = KP_STREAM;
    world.flows[1].n_lanes = 1;
    world.flows[1].in = &there;
    world.flows[1].mode = SINK_BUFFERS;
    world.flows[1].sink_flags = KP_CONCURRENT;
    world.flows[1].not_before = &written;
    EQ_INT(world_run(&world), HOST_DONE);
    EQ_INT(world.flows[1].n_early, 0);
    EQ_INT(world_stats(&world, 1, 0).delivered, 1000);
    world_fini(&world);
}

TEST(a_flow_that_answers_requests_does_not_keep_a_run_from_its_end)
{
    struct world world;

    world_init(&world, 2, NULL);
    world.flows[1].source_flags = KP_REQUEST;
    world.flows[1].never_ends = true;
    world.flows[1].has_tokens = true;
    EQ_INT(world_run(&world), HOST_DONE);
    EQ_INT(world_stats(&world, 0, 0).delivered, 4000);
    EQ_INT(world.flows[1].n_told, world_stats(&world, 1, 0).read);
    YES(strstr(world_leases(&world), "flow0") != NULL);
    YES(strstr(world_leases(&world), "flow1") == NULL); /* keeps no position */
    world_fini(&world);
}

TEST(a_run_until_it_is_idle_ends_when_nothing_moves)
{
    struct world world;
    int64_t began;

    world_init(&world, 1, NULL);
    world.flows[0].never_ends = true;
    world.options.until = (struct until_goal){UNTIL_IDLE, 120};
    began = clock_mono_ms();
    EQ_INT(world_run(&world), HOST_DONE);
    YES(clock_mono_ms() - began >= 120);
    EQ_INT(world_stats(&world, 0, 0).delivered, 4000);
    world_fini(&world);
}

TEST(a_run_until_some_records_stores_a_checkpoint_for_what_it_read)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].never_ends = true;
    world.options.until = (struct until_goal){UNTIL_RECORDS, 100};
    EQ_INT(world_run(&world), HOST_DONE);
    YES(world_stats(&world, 0, 0).delivered >= 100);
    EQ_INT(world_stats(&world, 0, 0).delivered, world_stats(&world, 0, 0).read);
    YES(strstr(world_leases(&world), "\"w0-0\"") != NULL);
    world_fini(&world);
}
