/* test_lease_assign.c - what a leader assigns: by count, by CPU, by throughput; and that it comes
 * to rest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/lease/assign.h"
#include "tests/kptest.h"

#define MAX_LEASES  300
#define MAX_WORKERS 12

static struct kpw_random dice;

static uint64_t roll(uint64_t n)
{
    return kpw_random_below(&dice, n);
}

struct world {
    struct lease rows[MAX_LEASES];
    struct assign_lease leases[MAX_LEASES];
    struct lease_worker workers[MAX_WORKERS];
    struct assign_step steps[MAX_LEASES];
    struct assign_input in;
    size_t n_steps;
};

static char *names[] = {(char[]){"a"}, (char[]){"b"}, (char[]){"c"}, (char[]){"d"},
                        (char[]){"e"}, (char[]){"f"}, (char[]){"g"}, (char[]){"h"},
                        (char[]){"i"}, (char[]){"j"}, (char[]){"k"}, (char[]){"l"}};

/* One letter per lease: its owner, '-' nobody's; `n` workers a, b, ... without CPU metrics. */
static struct world *world_of(const char *owners, size_t n)
{
    struct world *world = mem_new(sizeof *world);

    kpw_random_init_from(&dice, 4711);
    world->in = (struct assign_input){.leases = world->leases,
                                      .workers = world->workers,
                                      .n_workers = n,
                                      .balances = true,
                                      .threshold = 10,
                                      .dampening = 60,
                                      .random = &dice};
    for (size_t i = 0; i < n; i++)
        world->workers[i] = (struct lease_worker){.id = names[i], .cpu = -1, .cpu_limit = 100};
    for (const char *at = owners; *at; at++) {
        size_t i = world->in.n_leases++;

        world->rows[i].throughput = -1;
        world->rows[i].owner = *at == '-' ? NULL : names[*at - 'a'];
        world->leases[i] =
            (struct assign_lease){.lease = &world->rows[i], .is_free = *at == '-', .moved_ms = 100};
    }
    return world;
}

static size_t plan(struct world *world)
{
    return world->n_steps = assign_plan(&world->in, world->steps);
}

static size_t count_of(const struct world *world, size_t worker)
{
    size_t n = 0;

    for (size_t i = 0; i < world->in.n_leases; i++)
        n += world->rows[i].owner && strcmp(world->rows[i].owner, world->workers[worker].id) == 0 &&
             !world->leases[i].is_free;
    return n;
}

/* The steps come true; each is one that may be. */
static void apply(struct world *world)
{
    for (size_t i = 0; i < world->n_steps; i++) {
        const struct assign_step *step = &world->steps[i];
        struct assign_lease *lease = &world->leases[step->lease];

        REQUIRE(step->lease < world->in.n_leases && step->worker < world->in.n_workers);
        EQ_INT(step->is_graceful, !lease->is_free);
        if (!lease->is_free)
            NO(lease->is_moving);
        world->rows[step->lease].owner = world->workers[step->worker].id;
        lease->is_free = false;
        lease->is_moving = false;
    }
}

/* How many steps a plan has that goes through. */
static size_t go(struct world *world)
{
    size_t n = plan(world);

    apply(world);
    return n;
}

TEST(free_leases_go_evenly_to_all_workers)
{
    for (int by_count = 0; by_count < 2; by_count++) {
        struct world *world = world_of("----------", 3);

        world->in.by_count = by_count;
        EQ_INT(go(world), 10);
        for (size_t w = 0; w < 3; w++)
            YES(count_of(world, w) == 3 || count_of(world, w) == 4);
        EQ_INT(go(world), 0);
        free(world);
    }
}

TEST(there_is_nothing_to_assign_without_leases_or_workers)
{
    struct world *world = world_of("---", 0);

    EQ_INT(plan(world), 0);
    free(world);
    world = world_of("", 3);
    EQ_INT(plan(world), 0);
    free(world);
}

TEST(the_lease_that_waits_longest_is_assigned_first)
{
    struct world *world = world_of("aaa---", 2);

    world->leases[3].moved_ms = 50;
    world->leases[4].moved_ms = INT64_MIN; /* never */
    world->leases[5].moved_ms = 20;
    world->in.balances = false;
    world->in.max_leases = 2;
    EQ_INT(plan(world), 2);
    EQ_INT(world->steps[0].lease, 4);
    EQ_INT(world->steps[1].lease, 5);
    EQ_INT(world->steps[0].worker, 1);
    EQ_INT(world->steps[1].worker, 1);
    free(world);
}

TEST(a_full_fleet_leaves_leases_free)
{
    struct world *world = world_of("----------", 2);

    world->in.max_leases = 3;
    EQ_INT(go(world), 6);
    EQ_INT(count_of(world, 0), 3);
    EQ_INT(count_of(world, 1), 3);
    EQ_INT(go(world), 0);
    free(world);
}

TEST(a_worker_that_lets_leases_expire_gets_none_while_there_are_others)
{
    struct world *world = world_of("aabb", 2);

    world->leases[0].is_free = world->leases[1].is_free = true; /* a is gone, its metrics are not */
    EQ_INT(go(world), 2);
    EQ_INT(count_of(world, 1), 4);
    free(world);

    world = world_of("aaaa", 1);
    world->leases[0].is_free = true;
    EQ_INT(go(world), 1); /* nobody else */
    EQ_INT(world->steps[0].worker, 0);
    free(world);

    world = world_of("abbbb", 2);
    world->leases[0].is_free = true; /* nor does it get more than it lost */
    world->in.by_count = true;
    EQ_INT(plan(world), 1);
    EQ_INT(world->steps[0].worker, 1);
    free(world);
}

TEST(a_hand_over_that_ran_out_ends_with_the_worker_that_was_chosen)
{
    struct world *world = world_of("baaa", 3);

    world->leases[0].is_free = world->leases[0].is_moving = true;
    world->rows[0].checkpoint_owner = names[0];
    world->in.balances = false;
    EQ_INT(plan(world), 1);
    EQ_INT(world->steps[0].worker, 1);
    NO(world->steps[0].is_graceful);
    free(world);
}

TEST(by_count_the_richest_gives_to_the_poorest)
{
    struct world *world = world_of("aaaaaabbbc", 3);

    world->in.by_count = true;
    EQ_INT(go(world), 2); /* 6, 3, 1 becomes 4, 3, 3 */
    EQ_INT(count_of(world, 0), 4);
    EQ_INT(count_of(world, 1), 3);
    EQ_INT(count_of(world, 2), 3);
    EQ_INT(go(world), 0);
    free(world);
}

TEST(by_count_nothing_moves_between_workers_that_differ_by_one)
{
    struct world *world = world_of("aaabbbcc", 3);

    world->in.by_count = true;
    EQ_INT(plan(world), 0);
    free(world);
}

TEST(leases_that_move_are_left_alone_and_count_for_their_new_owner)
{
    struct world *world = world_of("aaaaabbb", 2);

    world->in.by_count = true;
    for (size_t i = 0; i < 5; i++)
        world->leases[i].is_moving = true;
    EQ_INT(plan(world), 0);
    world->leases[4].is_moving = false;
    EQ_INT(plan(world), 1);
    EQ_INT(world->steps[0].lease, 4);
    free(world);

    world = world_of("aaabbb", 2);
    world->leases[5].is_moving = true; /* 3 and 3, one of them on its way */
    world->rows[5].checkpoint_owner = names[0];
    world->in.by_count = true;
    EQ_INT(plan(world), 0);
    free(world);
}

TEST(leases_of_workers_without_metrics_are_left_alone)
{
    struct world *world = world_of("llllaab", 2);

    EQ_INT(plan(world), 0);
    world->in.by_count = true;
    EQ_INT(plan(world), 0);
    free(world);
}

TEST(nothing_moves_unless_it_is_time)
{
    struct world *world = world_of("aaaaaaaa-", 2);

    world->in.balances = false;
    EQ_INT(plan(world), 1);
    EQ_INT(world->steps[0].worker, 1);
    free(world);
}

/* a has `a` KB/s in each of its ten leases, b `b`. */
static struct world *two_of_ten(double a, double b)
{
    struct world *world = world_of("aaaaaaaaaabbbbbbbbbb", 2);

    for (size_t i = 0; i < 20; i++)
        world->rows[i].throughput = i < 10 ? a : b;
    return world;
}

TEST(throughput_within_the_threshold_is_left_alone)
{
    struct world *world = two_of_ten(540, 460);

    world->rows[0].throughput = 190;
    EQ_INT(plan(world), 0);
    world->in.threshold = 2;
    EQ_INT(plan(world), 1);
    EQ_INT(world->steps[0].lease, 0); /* the only one that is not too much */
    free(world);
}

TEST(throughput_beyond_the_threshold_moves_by_the_dampened_surplus)
{
    struct world *world = two_of_ten(990, 490); /* 10000, 5000 with what a lease weighs by itself */

    /* surplus 2500, of which 60 per cent: one lease of 1000 */
    EQ_INT(go(world), 1);
    EQ_INT(world->steps[0].worker, 1);
    YES(world->steps[0].is_graceful && world->steps[0].lease < 10);
    EQ_INT(go(world), 1); /* 9000, 6000: one at least */
    EQ_INT(go(world), 0); /* 8000, 7000: within ten per cent */
    free(world);
}

TEST(a_heavy_lease_does_not_go_where_it_would_be_too_much)
{
    struct world *world = world_of("ab", 2);

    world->rows[0].throughput = 1000;
    world->rows[1].throughput = 1;
    EQ_INT(plan(world), 0);
    free(world);

    world = world_of("abbb", 2);
    world->rows[0].throughput = 1000;
    for (size_t i = 1; i < 4; i++)
        world->rows[i].throughput = 1;
    EQ_INT(plan(world), 0);
    free(world);
}

TEST(a_lease_without_throughput_counts_with_the_average_of_the_others)
{
    struct world *world = two_of_ten(500, 500);

    for (size_t i = 0; i < 20; i += 3)
        world->rows[i].throughput = -1;
    EQ_INT(plan(world), 0);
    free(world);
}

TEST(a_fleet_with_nothing_to_do_is_balanced_by_count)
{
    struct world *world = world_of("aaaaaaaaab", 2);

    for (size_t i = 0; i < 10; i++)
        world->rows[i].throughput = (double)(i % 3) / 10; /* a flutter */
    for (int i = 0; i < 10; i++)
        go(world);
    EQ_INT(count_of(world, 0), 5);
    for (size_t i = 0; i < 10; i++)
        world->rows[i].throughput = (double)((i + 1) % 3) / 10;
    EQ_INT(plan(world), 0);
    free(world);
}

TEST(an_idle_worker_gets_a_lease_of_one_that_has_two)
{
    for (int by_count = 0; by_count < 2; by_count++) {
        struct world *world = world_of("aab", 4); /* less than one each */

        world->in.by_count = by_count;
        EQ_INT(go(world), 1);
        EQ_INT(count_of(world, 0), 1);
        EQ_INT(go(world), 0);
        free(world);
    }
}

TEST(the_worker_with_more_cpu_gives)
{
    struct world *world = two_of_ten(500, 500);
    size_t n;

    world->workers[0].cpu = 80;
    world->workers[1].cpu = 30;
    n = plan(world);
    YES(n >= 1 && n <= 3);
    for (size_t i = 0; i < n; i++)
        YES(world->steps[i].worker == 1 && world->steps[i].lease < 10);
    world->workers[0].cpu = 54;
    world->workers[1].cpu = 50;
    EQ_INT(plan(world), 0);
    world->workers[0].cpu = 3; /* three times as much of next to nothing */
    world->workers[1].cpu = 1;
    EQ_INT(plan(world), 0);
    free(world);
}

TEST(what_is_being_handed_over_is_not_handed_over_twice)
{
    struct world *world = two_of_ten(500, 500);
    size_t n = 0;

    world->workers[0].cpu = 80;
    world->workers[1].cpu = 30;
    for (int run = 0; run < 20; run++) {
        n += plan(world);
        for (size_t i = 0; i < world->n_steps; i++) { /* under way; measured is what was before */
            world->leases[world->steps[i].lease].is_moving = true;
            world->rows[world->steps[i].lease].owner = names[1];
            world->rows[world->steps[i].lease].checkpoint_owner = names[0];
        }
    }
    YES(n > 0 && n <= 3); /* 80 - 3 * 8 is less than 30 + 3 * 8 */
    free(world);
}

TEST(a_worker_over_its_operating_range_gives_though_all_are_near_the_average)
{
    struct world *world = world_of("aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb", 2);

    world->workers[0].cpu = 60;
    world->workers[1].cpu = 52;
    EQ_INT(plan(world), 0);
    world->workers[0].cpu_limit = 55;
    EQ_INT(plan(world), 1);
    EQ_INT(world->steps[0].worker, 1);
    world->workers[1].cpu_limit = 54; /* nor is it a place for more */
    EQ_INT(plan(world), 0);
    free(world);
}

TEST(a_worker_without_cpu_counts_by_throughput_among_those_with)
{
    struct world *world = world_of("aaaaaaaaaabbbbbbbbbb", 3);

    for (size_t i = 0; i < 20; i++)
        world->rows[i].throughput = 500;
    world->workers[0].cpu = world->workers[1].cpu = 60; /* c says nothing and has nothing */
    YES(go(world) > 1);
    for (size_t i = 0; i < world->n_steps; i++)
        EQ_INT(world->steps[i].worker, 2);
    free(world);
}

TEST(free_leases_go_to_the_worker_with_most_room)
{
    struct world *world = world_of("aaaabbbbcccc-", 3);

    for (size_t i = 0; i < 12; i++)
        world->rows[i].throughput = 100;
    world->workers[0].cpu = 70;
    world->workers[1].cpu = 20;
    world->workers[2].cpu = 60;
    world->in.balances = false;
    for (int i = 0; i < 20; i++) {
        EQ_INT(plan(world), 1);
        EQ_INT(world->steps[0].worker, 1);
    }
    world->workers[1].cpu_limit = 10;
    EQ_INT(plan(world), 1);
    EQ_INT(world->steps[0].worker, 2);
    free(world);
}

/* Every worker burns CPU in proportion to what it reads. */
static void measure(struct world *world, const double *per_kbps)
{
    for (size_t w = 0; w < world->in.n_workers; w++)
        if (world->workers[w].cpu >= 0)
            world->workers[w].cpu = 1;
    for (size_t i = 0; i < world->in.n_leases; i++)
        for (size_t w = 0; w < world->in.n_workers; w++)
            if (world->rows[i].owner == world->workers[w].id && !world->leases[i].is_free &&
                world->workers[w].cpu >= 0)
                world->workers[w].cpu += world->rows[i].throughput * per_kbps[w];
}

TEST(random_fleets_come_to_rest_by_any_measure)
{
    for (uint64_t run = 1; run <= 200; run++) {
        struct world *world = world_of("", 1 + run % MAX_WORKERS);
        double per_kbps[MAX_WORKERS];
        size_t n = 0, still = 0;

        kpw_random_init_from(&dice, run);
        world->in.by_count = roll(3) == 0;
        world->in.n_leases = 1 + roll(roll(2) ? 20 : MAX_LEASES);
        for (size_t w = 0; w < world->in.n_workers; w++) {
            world->workers[w].cpu = roll(3) ? 1 : -1;
            per_kbps[w] = 0.01 * (double)(1 + roll(2));
        }
        for (size_t i = 0; i < world->in.n_leases; i++) {
            world->rows[i].throughput = (double)roll(roll(2) ? 10 : 300);
            world->leases[i] = (struct assign_lease){.lease = &world->rows[i]};
            world->leases[i].is_free = roll(3) == 0;
            if (!world->leases[i].is_free)
                world->rows[i].owner = world->workers[roll(1 + roll(world->in.n_workers))].id;
        }
        for (n = 0; n < 400 && still < 5; n++) {
            measure(world, per_kbps);
            still = go(world) ? 0 : still + 1;
        }
        EQ_INT(still, 5);
        for (size_t a = 0; a < world->in.n_workers && world->in.by_count; a++)
            for (size_t b = 0; b < world->in.n_workers; b++)
                YES(count_of(world, a) <= count_of(world, b) + 1);
        free(world);
    }
}
