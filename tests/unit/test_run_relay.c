/* test_run_relay.c - batches for a stage that exists once, on another worker's thread. */
#include <string.h>

#include "tests/kptest.h"
#include "tests/unit/run_world.h"

TEST(a_singleton_sink_gets_every_lane_in_order_from_all_workers)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].sink_flags = KP_SINGLETON;
    EQ_INT(world_run(&world), HOST_DONE);
    EQ_INT(world.flows[0].n_seen, 4); /* two lanes of two workers */
    YES(world_is_whole(&world, 0, 1000));
    EQ_INT(world_stats(&world, 0, 0).delivered, 4000);
    EQ_INT(world_stats(&world, 0, 1).delivered, 4000);
    EQ_INT(world.host.workers[1].flows[0]->nodes[1].counts.delivered, 0); /* all at home */
    world_fini(&world);
}

TEST(a_relayed_batch_that_is_retried_keeps_the_order_of_its_lane)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].sink_flags = KP_SINGLETON;
    world.flows[0].mode = SINK_RETRIES;
    EQ_INT(world_run(&world), HOST_DONE);
    YES(world_is_whole(&world, 0, 1000));
    EQ_INT(world_stats(&world, 0, 0).delivered, 4000);
    YES(world_stats(&world, 0, 1).retried > 0);
    world_fini(&world);
}

TEST(receipts_come_back_to_the_source_of_another_worker)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].sink_flags = KP_SINGLETON | KP_CONCURRENT;
    world.flows[0].mode = SINK_DELIVERS_LATER;
    world.flows[0].has_tokens = true;
    EQ_INT(world_run(&world), HOST_DONE);
    EQ_INT(world.flows[0].n_told, 4000);
    EQ_INT(world.flows[0].n_bad_receipts, 0);
    YES(world_is_whole(&world, 0, 1000));
    world_fini(&world);
}

TEST(records_that_a_sink_moves_to_batches_of_its_own_keep_their_lane_until_they_end)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].sink_flags = KP_SINGLETON;
    world.flows[0].mode = SINK_REGROUPS;
    world.flows[0].closes_early = true;
    EQ_INT(world_run(&world), HOST_DONE);
    EQ_INT(world_stats(&world, 0, 0).delivered, 4000);
    EQ_INT(world.flows[0].n_delivered, 4000);
    YES(world_stats(&world, 0, 1).retried > 0);
    world_fini(&world);
}

TEST(rejected_records_reach_an_on_failure_sink_that_exists_once)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].mode = SINK_REJECTS;
    world.flows[0].has_failure = true;
    world.flows[0].failure_flags = KP_SINGLETON;
    EQ_INT(world_run(&world), HOST_DONE);
    EQ_INT(world.flows[0].n_failures, 400);
    EQ_INT(world_stats(&world, 0, 0).dead_lettered, 400);
    EQ_INT(world_stats(&world, 0, 0).delivered, 3600);
    world_fini(&world);
}

TEST(relayed_records_that_a_singleton_rejects_are_dead_lettered_at_its_home)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].mode = SINK_REJECTS;
    world.flows[0].sink_flags = KP_SINGLETON | KP_CONCURRENT;
    world.flows[0].has_failure = true;
    world.flows[0].has_tokens = true;
    EQ_INT(world_run(&world), HOST_DONE);
    EQ_INT(world.flows[0].n_failures, 400);
    EQ_INT(world.flows[0].n_told, 4000);
    EQ_INT(world_stats(&world, 0, 0).dead_lettered, 400);
    world_fini(&world);
}

TEST(what_is_under_way_at_the_drain_deadline_comes_back_unsettled)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].sink_flags = KP_SINGLETON | KP_CONCURRENT;
    world.flows[0].mode = SINK_KEEPS;
    world.flows[0].closes_early = true;
    world.options.until = (struct until_goal){UNTIL_RECORDS, 1};
    world.options.drain_ms = 60;
    EQ_INT(world_run(&world), HOST_DEADLINE);
    EQ_INT(world_stats(&world, 0, 0).delivered, 0);
    EQ_INT(world_stats(&world, 0, 0).unsettled, world_stats(&world, 0, 0).read);
    EQ_INT(host_open_records(&world.host, 0), 0);
    EQ_STR(world_leases(&world), ""); /* nothing moved: nothing was written */
    world_fini(&world);
}
