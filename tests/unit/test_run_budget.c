/* test_run_budget.c - the byte limits: taken, given back, heard of, never passed. */
#include <pthread.h>
#include <string.h>

#include "core/base/budget.h"
#include "tests/kptest.h"
#include "tests/unit/run_world.h"

static void count_call(void *n)
{
    atomic_fetch_add((_Atomic int *)n, 1);
}

TEST(a_budget_refuses_what_is_over_its_limit_and_calls_when_something_comes_back)
{
    _Atomic int calls = 0;
    struct budget budget = {.limit = 100, .freed = count_call, .arg = &calls};

    YES(budget_take(&budget, 60));
    NO(budget_take(&budget, 41));
    EQ_INT(atomic_load(&budget.used), 60);
    budget_give(&budget, 10);
    EQ_INT(calls, 1);
    budget_give(&budget, 10); /* nobody was refused since */
    EQ_INT(calls, 1);
    YES(budget_take(&budget, 60));
    NO(budget_has_room(&budget));
    budget_give(&budget, 100);
    EQ_INT(calls, 2);
    EQ_INT(atomic_load(&budget.peak), 100);
}

TEST(one_request_larger_than_the_limit_is_let_through_alone)
{
    struct budget process = {.limit = 100}, flow = {.limit = 50, .parent = &process};

    YES(budget_take(&flow, 70));
    NO(budget_take(&flow, 1));
    budget_give(&flow, 70);
    YES(budget_take(&process, 10));
    NO(budget_take(&flow, 120)); /* the process has something else */
    EQ_INT(atomic_load(&flow.used), 0);
    EQ_INT(atomic_load(&process.used), 10);
}

TEST(who_was_refused_while_another_asked_in_vain_is_called)
{
    _Atomic int calls = 0;
    struct budget process = {.limit = 100};
    struct budget flow = {.limit = 50, .parent = &process, .freed = count_call, .arg = &calls};

    YES(budget_take(&process, 100));
    atomic_store(&flow.starved, true); /* another thread, while this one had taken here already */
    NO(budget_take(&flow, 10));
    EQ_INT(calls, 1);
}

struct pair {
    struct budget *budget;
    _Atomic int *refused;
};

static void *take_and_give(void *arg)
{
    struct pair *pair = arg;

    for (int i = 0; i < 200000; i++) {
        size_t bytes = (size_t)(i % 70) + 1;

        if (budget_take(pair->budget, bytes))
            budget_give(pair->budget, bytes);
        else
            atomic_fetch_add(pair->refused, 1);
    }
    return NULL;
}

TEST(threads_never_take_more_than_the_limit_together)
{
    _Atomic int refused = 0;
    struct budget process = {.limit = 100}, flow = {.limit = 90, .parent = &process};
    struct pair pairs[3] = {{&flow, &refused}, {&process, &refused}, {&flow, &refused}};
    pthread_t threads[3];

    for (int i = 0; i < 3; i++)
        REQUIRE(!pthread_create(&threads[i], NULL, take_and_give, &pairs[i]));
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    EQ_INT(atomic_load(&process.used), 0);
    EQ_INT(atomic_load(&flow.used), 0);
    YES(atomic_load(&process.peak) <= 100);
    YES(atomic_load(&flow.peak) <= 90);
}

/* Slabs are reserved, so only record tables may come on top: per lane those of a batch that is
 * submitted and of one that is to be tried again. */
static void check_limit(enum sink_mode mode, uint32_t sink_flags)
{
    struct world world;
    int64_t tables;

    world_init(&world, 1, NULL);
    world.options.memory_bytes = 2 << 20;
    world.flows[0].payload = 8192;
    world.flows[0].n_records = 1000;
    world.flows[0].mode = mode;
    world.flows[0].sink_flags = sink_flags;
    EQ_INT(world_run(&world), HOST_DONE);
    EQ_INT(world_stats(&world, 0, 0).delivered, 4000); /* 32 MiB went through */
    tables = (int64_t)sizeof(kp_record) * 10 * 2 * 2 * world.host.n_workers;
    YES(atomic_load(&world.host.budget.peak) <= (2 << 20) + tables);
    YES(atomic_load(&world.host.budget.peak) > 1 << 20);
    YES(atomic_load(&world.flows[0].n_wakes) > 0);
    EQ_INT(atomic_load(&world.host.budget.used), 0);
    world_fini(&world);
}

TEST(a_fast_source_and_a_slow_sink_stay_within_the_memory_limit)
{
    check_limit(SINK_DELIVERS_LATER, KP_CONCURRENT);
    check_limit(SINK_DELIVERS_LATER, KP_SINGLETON | KP_CONCURRENT);
    check_limit(SINK_RETRIES, 0);
}

TEST(a_buffer_that_holds_all_the_memory_is_asked_to_give_it_back)
{
    check_limit(SINK_BUFFERS, KP_CONCURRENT);
}

TEST(a_buffer_that_holds_all_of_a_flow_s_memory_is_asked_to_give_it_back)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.plan_flows[0].memory = 256 << 10;
    world.flows[0].payload = 8192;
    world.flows[0].n_records = 100;
    world.flows[0].mode = SINK_BUFFERS;
    world.flows[0].sink_flags = KP_CONCURRENT;
    EQ_INT(world_run(&world), HOST_DONE);
    EQ_INT(world_stats(&world, 0, 0).delivered, 400);
    world_fini(&world);
}

TEST(a_lane_that_a_buffer_keeps_full_is_asked_for_too)
{
    struct world world;

    world_init(&world, 1, NULL);
    world.options.n_workers = 1;
    world.flows[0].n_lanes = 1;
    world.flows[0].payload = 64 << 10;
    world.flows[0].n_records = 2000; /* 125 MiB, the lane's share of 256 MiB is 64 */
    world.flows[0].mode = SINK_BUFFERS;
    world.flows[0].sink_flags = KP_CONCURRENT;
    EQ_INT(world_run(&world), HOST_DONE);
    EQ_INT(world_stats(&world, 0, 0).delivered, 2000);
    world_fini(&world);
}
