/* test_run_host.c - the course of a run: its end, its failures, its signals, its checkpoints. */
#include <signal.h>
#include <string.h>

#include "tests/kptest.h"
#include "tests/unit/run_world.h"

TEST(a_bounded_run_delivers_all_and_stores_where_it_stands)
{
    struct world world;

    world_init(&world, 1, NULL);
    EQ_INT(world_run(&world), HOST_DONE);
    YES(host_failure(&world.host) == NULL);
    YES(world_is_whole(&world, 0, 1000));
    EQ_INT(world_stats(&world, 0, 0).delivered, 4000);
    YES(strstr(world_leases(&world), "\"w1-1\"") != NULL);
    YES(strstr(world_leases(&world), "\"checkpoint\": \"1000\"") != NULL);
    world_fini(&world);
}

TEST(a_second_run_begins_where_the_first_one_ended)
{
    struct world first, second;

    world_init(&first, 1, NULL);
    EQ_INT(world_run(&first), HOST_DONE);
    world_fini(&first);
    world_init(&second, 1, first.dir);
    second.flows[0].n_records = 1500;
    EQ_INT(world_run(&second), HOST_DONE);
    EQ_INT(world_stats(&second, 0, 0).delivered, 2000);
    YES(strstr(world_leases(&second), "\"checkpoint\": \"1500\"") != NULL);
    world_fini(&second);
}

TEST(a_run_on_one_worker_and_one_on_four_deliver_the_same)
{
    for (uint32_t n = 1; n <= 4; n += 3) {
        struct world world;

        world_init(&world, 2, NULL);
        world.options.n_workers = n;
        world.flows[0].sink_flags = world.flows[1].sink_flags = KP_SINGLETON; /* two homes */
        EQ_INT(world_run(&world), HOST_DONE);
        EQ_INT(world_stats(&world, 0, 0).delivered, 2000 * n);
        EQ_INT(world_stats(&world, 1, 0).delivered, 2000 * n);
        YES(world_is_whole(&world, 0, 1000) && world_is_whole(&world, 1, 1000));
        world_fini(&world);
    }
}

TEST(a_stage_that_will_not_open_ends_the_run_before_it_began)
{
    struct world world;

    world_init(&world, 2, NULL);
    world.flows[1].fails_open = true;
    EQ_INT(world_run(&world), HOST_FAILED);
    EQ_STR(host_failure(&world.host), "sink: no such table");
    EQ_INT(world_stats(&world, 0, 0).read, 0);
    world_fini(&world);
}

TEST(a_source_that_will_not_start_ends_the_run)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].fails_start = true;
    EQ_INT(world_run(&world), HOST_FAILED);
    EQ_STR(host_failure(&world.host), "numbers: no such door");
    world_fini(&world);
}

TEST(a_lease_file_that_cannot_be_made_ends_the_run)
{
    struct world world;

    world_init(&world, 1, NULL);
    snprintf(world.leases, sizeof world.leases, "file:%s/none/leases", world.dir);
    EQ_INT(world_run(&world), HOST_FAILED);
    YES(strstr(host_failure(&world.host), "none/leases.lock") != NULL);
    world_fini(&world);
}

TEST(a_stage_that_breaks_fails_the_run_and_its_records_stay_unread)
{
    struct world world;

    for (int is_singleton = 0; is_singleton < 2; is_singleton++) {
        world_init(&world, 1, NULL);
        world.flows[0].mode = SINK_BREAKS;
        world.flows[0].sink_flags = is_singleton ? KP_SINGLETON : 0;
        EQ_INT(world_run(&world), HOST_FAILED);
        EQ_STR(host_failure(&world.host), "sink: the disk is on fire");
        EQ_INT(world_stats(&world, 0, 0).delivered, world.flows[0].n_delivered);
        EQ_INT(world_stats(&world, 0, 0).read,
               world_stats(&world, 0, 0).delivered + world_stats(&world, 0, 0).unsettled);
        YES(strstr(world_leases(&world), "1000") == NULL);
        world_fini(&world);
    }
}

TEST(a_stage_that_loses_a_record_fails_the_run)
{
    struct world world;

    for (int is_singleton = 0; is_singleton < 2; is_singleton++) {
        world_init(&world, 1, NULL);
        world.flows[0].mode = SINK_LOSES;
        world.flows[0].n_lanes = 1;
        world.options.n_workers = 1 + (uint32_t)is_singleton;
        world.flows[0].sink_flags = is_singleton ? KP_SINGLETON : 0;
        EQ_INT(world_run(&world), HOST_FAILED);
        REQUIRE(host_failure(&world.host) != NULL);
        YES(strstr(host_failure(&world.host), "without saying how they ended") != NULL);
        EQ_INT(world_stats(&world, 0, 0).unsettled, 10);
        world_fini(&world);
    }
}

TEST(a_signal_drains_what_was_read)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].never_ends = true;
    world.flows[0].mode = SINK_DELIVERS_LATER;
    world.flows[0].sink_flags = KP_CONCURRENT;
    world.flows[0].signals_at_first = 3; /* as from timeout(1): together they count as one */
    EQ_INT(world_run(&world), HOST_DONE);
    EQ_INT(world.host.n_signals, 1);
    YES(world_stats(&world, 0, 0).read > 0);
    EQ_INT(world_stats(&world, 0, 0).delivered, world_stats(&world, 0, 0).read);
    world_fini(&world);
}

TEST(a_second_signal_ends_at_once)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].mode = SINK_KEEPS;
    world.flows[0].signals_at_first = 1;
    world.flows[0].signals_on = true;
    EQ_INT(world_run(&world), HOST_KILLED);
    EQ_INT(world.host.n_signals, 2);
    EQ_INT(world_stats(&world, 0, 0).unsettled, world_stats(&world, 0, 0).read);
    world_fini(&world);
}

TEST(one_signal_while_a_run_drains_by_itself_does_not_kill_it)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].mode = SINK_BUFFERS;
    world.flows[0].sink_flags = KP_CONCURRENT;
    world.flows[0].signals_at_stop = 1;
    world.options.until = (struct until_goal){UNTIL_RECORDS, 1};
    EQ_INT(world_run(&world), HOST_DONE);
    EQ_INT(world_stats(&world, 0, 0).delivered, world_stats(&world, 0, 0).read);
    world_fini(&world);
}

TEST(the_drain_deadline_ends_a_run_that_hangs)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].mode = SINK_KEEPS;
    world.options.until = (struct until_goal){UNTIL_RECORDS, 1};
    world.options.drain_ms = 60;
    EQ_INT(world_run(&world), HOST_DEADLINE);
    EQ_INT(world_stats(&world, 0, 0).unsettled, world_stats(&world, 0, 0).read);
    world_fini(&world);
}

TEST(retries_go_on_while_a_run_drains)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].mode = SINK_RETRIES;
    world.options.until = (struct until_goal){UNTIL_RECORDS, 500};
    EQ_INT(world_run(&world), HOST_DONE);
    YES(world_stats(&world, 0, 1).retried > 0);
    EQ_INT(world_stats(&world, 0, 0).delivered, world_stats(&world, 0, 0).read);
    EQ_INT(world.flows[0].n_disorder, 0);
    world_fini(&world);
}

TEST(stages_are_closed_after_what_they_gave_to_the_pool)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].mode = SINK_WORKS;
    EQ_INT(world_run(&world), HOST_DONE);
    EQ_INT(world_stats(&world, 0, 0).delivered, 4000);
    world_fini(&world);
}

TEST(a_source_that_sends_on_from_every_settled_does_not_keep_main_waiting)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.flows[0].n_records = INT64_MAX / 2; /* what it hears lets it send on, for ever */
    world.flows[0].has_tokens = world.flows[0].is_slow = true;
    world.options.until = (struct until_goal){UNTIL_RECORDS, 1000};
    EQ_INT(world_run(&world), HOST_DONE);
    YES(world_stats(&world, 0, 0).read >= 1000);
    EQ_INT(world_stats(&world, 0, 0).delivered, world_stats(&world, 0, 0).read);
    EQ_INT(world.flows[0].n_told, world_stats(&world, 0, 0).read);
    world_fini(&world);
}
