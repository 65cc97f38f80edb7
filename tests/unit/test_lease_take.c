/* test_lease_take.c - which leases a worker takes; and that fleets of takers come to rest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/lease/take.h"
#include "tests/kptest.h"

#define MAX_LEASES  200
#define MAX_WORKERS 20

static struct kpw_random dice;

static uint64_t roll(uint64_t n)
{
    return kpw_random_below(&dice, n);
}

struct table {
    struct take_lease leases[MAX_LEASES];
    size_t n;
    struct take_step steps[MAX_LEASES];
    struct take_result result;
    size_t max_leases, max_steals;
};

/* One letter per lease: its owner, '-' nobody's, '~' nobody's for long. */
static struct table *table_of(const char *owners)
{
    static const char *names[] = {"a", "b", "c", "d", "e", "f"};
    struct table *table = mem_new(sizeof *table);

    for (const char *at = owners; *at; at++) {
        struct take_lease *lease = &table->leases[table->n++];

        *lease =
            (struct take_lease){.is_free = *at == '-' || *at == '~', .is_very_old = *at == '~'};
        if (!lease->is_free)
            lease->owner = names[*at - 'a'];
    }
    kpw_random_init_from(&dice, 12345);
    return table;
}

static size_t plan(struct table *table, const char *me)
{
    struct take_input in = {.leases = table->leases,
                            .n = table->n,
                            .me = me,
                            .max_leases = table->max_leases,
                            .max_steals = table->max_steals,
                            .random = &dice};

    table->result = take_plan(&in, table->steps);
    return table->result.n;
}

/* Plans for `me` what `owners` shows and says how many steps of that kind there are; no others may
 * be. */
static size_t steps_of(const char *owners, const char *me, enum take_what what)
{
    struct table *table = table_of(owners);
    size_t n = plan(table, me);

    for (size_t i = 0; i < n; i++)
        EQ_INT(table->steps[i].what, what);
    free(table);
    return n;
}

TEST(a_worker_alone_takes_all_that_is_free)
{
    EQ_INT(steps_of("----------", "a", TAKE_FREE), 10);
    EQ_INT(steps_of("", "a", TAKE_FREE), 0);
    EQ_INT(steps_of("aaaa", "a", TAKE_FREE), 0);
}

TEST(a_worker_takes_free_leases_up_to_its_share)
{
    struct table *table = table_of("bbb----");

    EQ_INT(plan(table, "a"), 4);
    EQ_INT(table->result.target, 4);
    free(table);
    EQ_INT(steps_of("bbbb---", "b", TAKE_FREE), 3); /* nobody else is seen to live */
    EQ_INT(steps_of("abbbb---c", "b", TAKE_FREE), 0);
    EQ_INT(steps_of("abbbb---c", "a", TAKE_FREE), 2);
    EQ_INT(steps_of("bc-", "a", TAKE_FREE), 1); /* as many workers as leases: one each */
    EQ_INT(steps_of("bc-def", "a", TAKE_FREE), 1);
}

TEST(what_is_free_counts_for_nobody)
{
    struct table *table = table_of("bbbccc");

    for (size_t i = 0; i < 3; i++)
        table->leases[i].is_free = true; /* b is gone */
    EQ_INT(plan(table, "a"), 3);
    EQ_INT(table->result.target, 3);
    for (size_t i = 0; i < 3; i++)
        YES(table->steps[i].lease < 3 && table->steps[i].what == TAKE_FREE);
    free(table);
}

TEST(a_worker_without_leases_takes_one_from_the_richest)
{
    struct table *table = table_of("bbbbbbccc");

    EQ_INT(plan(table, "a"), 1);
    EQ_INT(table->result.target, 3);
    EQ_INT(table->steps[0].what, TAKE_STEAL);
    YES(table->steps[0].lease < 6);
    table->max_steals = 2;
    EQ_INT(plan(table, "a"), 2);
    table->max_steals = 9; /* theirs - target is the limit */
    EQ_INT(plan(table, "a"), 3);
    free(table);
}

TEST(nothing_is_stolen_while_something_is_free)
{
    struct table *table = table_of("bbbbbbbb-");

    table->max_steals = 5;
    EQ_INT(plan(table, "a"), 1);
    EQ_INT(table->steps[0].what, TAKE_FREE);
    EQ_INT(table->steps[0].lease, 8);
    free(table);
}

TEST(one_is_taken_from_a_worker_at_its_share_when_two_are_needed)
{
    /* 10 leases, 4 workers: 3 each at most. a has 1 and needs 2; nobody has more than 3. */
    struct table *table = table_of("abbbcccddd");

    table->max_steals = 5;
    EQ_INT(plan(table, "a"), 1);
    EQ_INT(table->steps[0].what, TAKE_STEAL);
    free(table);
    EQ_INT(steps_of("aabbbcccdd", "a", TAKE_STEAL), 0); /* needs one: left alone */
}

TEST(leases_that_nobody_cares_for_are_taken_beyond_the_share)
{
    struct table *table = table_of("bbaaa~~~~---");

    EQ_INT(plan(table, "a"), 4); /* a share of 6 is exceeded by what is very old only */
    for (size_t i = 0; i < 4; i++)
        YES(table->leases[table->steps[i].lease].is_very_old);
    table->max_leases = 5;
    EQ_INT(plan(table, "a"), 2);
    free(table);
}

TEST(what_is_beyond_the_limit_is_spilled)
{
    struct table *table = table_of("bb--------");

    table->max_leases = 3;
    EQ_INT(plan(table, "a"), 3);
    EQ_INT(table->result.target, 3);
    EQ_INT(table->result.spilled, 4);
    table->max_leases = 5;
    EQ_INT(plan(table, "a"), 5);
    EQ_INT(table->result.spilled, 0);
    free(table);
    table = table_of("aaabb-----");
    table->max_leases = 2; /* it was lowered */
    EQ_INT(plan(table, "a"), 0);
    EQ_INT(table->result.spilled, 6);
    free(table);
}

TEST(a_worker_that_hands_over_is_asked)
{
    struct table *table = table_of("bbbbcccc");

    for (size_t i = 4; i < 8; i++)
        table->leases[i].hands_over = true;
    for (int i = 0; i < 50; i++) { /* of equals it is the one to turn to */
        EQ_INT(plan(table, "a"), 1);
        EQ_INT(table->steps[0].what, TAKE_ASK);
        YES(table->steps[0].lease >= 4);
    }
    free(table);
}

TEST(many_are_asked_for_at_once_but_not_all)
{
    struct table *table = table_of("bbbbbbbbccccccccdddddddd");

    for (size_t i = 0; i < table->n; i++)
        table->leases[i].hands_over = true;
    EQ_INT(plan(table, "a"), 3); /* half of the six */
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < i; j++)
            YES(table->leases[table->steps[i].lease].owner !=
                table->leases[table->steps[j].lease].owner); /* each gives one */
    table->max_steals = 4;
    EQ_INT(plan(table, "a"), 4);
    free(table);
}

TEST(leases_that_move_count_for_their_new_owner_and_stay)
{
    struct table *table = table_of("aabbbbbb");

    table->leases[0].is_moving = table->leases[1].is_moving = true; /* on their way to us */
    for (size_t i = 2; i < 7; i++)
        table->leases[i].is_moving = true;
    for (int i = 0; i < 50; i++) {
        EQ_INT(plan(table, "a"), 1);
        EQ_INT(table->steps[0].lease, 7);
    }
    table->leases[7].is_moving = true;
    EQ_INT(plan(table, "a"), 0);
    table->leases[3].is_free = true; /* the hand-over has run out */
    EQ_INT(plan(table, "a"), 1);
    EQ_INT(table->steps[0].what, TAKE_FREE);
    EQ_INT(table->steps[0].lease, 3);
    free(table);
}

TEST(every_lease_of_the_richest_may_be_the_one)
{
    struct table *table = table_of("bbbbbb");
    size_t seen[6] = {0};

    for (int i = 0; i < 600; i++) {
        EQ_INT(plan(table, "a"), 1);
        seen[table->steps[0].lease]++;
    }
    for (size_t i = 0; i < 6; i++)
        YES(seen[i] > 50);
    free(table);
}

/* ---- fleets */

struct fleet_of_takers {
    struct take_lease leases[MAX_LEASES], seen[MAX_LEASES];
    char names[MAX_WORKERS][24];
    size_t n_leases, n_workers, max_steals;
    size_t moves;
};

/* The worker acts on what `seen` shows; who acted first since then wins, as conditions have it. */
static void act(struct fleet_of_takers *fleet, size_t worker)
{
    struct take_step steps[MAX_LEASES];
    struct take_input in = {.leases = fleet->seen,
                            .n = fleet->n_leases,
                            .me = fleet->names[worker],
                            .max_steals = fleet->max_steals,
                            .random = &dice};
    struct take_result result = take_plan(&in, steps);

    for (size_t i = 0; i < result.n; i++) {
        struct take_lease *lease = &fleet->leases[steps[i].lease];

        if (lease->owner != fleet->seen[steps[i].lease].owner)
            continue;
        lease->owner = fleet->names[worker];
        lease->is_free = false;
        fleet->moves++;
    }
}

/* Everybody acts once; of a fleet where `at_once`, all on the same sight. */
static size_t play(struct fleet_of_takers *fleet, bool at_once)
{
    size_t before = fleet->moves, first = roll(fleet->n_workers);

    memcpy(fleet->seen, fleet->leases, sizeof fleet->seen);
    for (size_t i = 0; i < fleet->n_workers; i++) {
        if (!at_once)
            memcpy(fleet->seen, fleet->leases, sizeof fleet->seen);
        act(fleet, (first + i) % fleet->n_workers);
    }
    return fleet->moves - before;
}

static bool is_even(const struct fleet_of_takers *fleet)
{
    size_t most = 0, least = SIZE_MAX;

    for (size_t w = 0; w < fleet->n_workers; w++) {
        size_t n = 0;

        for (size_t i = 0; i < fleet->n_leases; i++)
            n += fleet->leases[i].owner == fleet->names[w];
        most = n > most ? n : most;
        least = n < least ? n : least;
    }
    return most - least <= 1;
}

static struct fleet_of_takers *random_fleet(void)
{
    struct fleet_of_takers *fleet = mem_new(sizeof *fleet);
    bool hands_over = roll(2);

    fleet->n_leases = 1 + roll(roll(2) ? 20 : MAX_LEASES);
    fleet->n_workers = 1 + roll(roll(2) ? 4 : MAX_WORKERS);
    fleet->max_steals = 1 + roll(3) * roll(5);
    for (size_t w = 0; w < fleet->n_workers; w++)
        snprintf(fleet->names[w], sizeof fleet->names[w], "w%zu", w);
    for (size_t i = 0, n_used = 1 + roll(fleet->n_workers); i < fleet->n_leases; i++) {
        fleet->leases[i].is_free = roll(3) == 0;
        fleet->leases[i].hands_over = hands_over;
        if (!fleet->leases[i].is_free)
            fleet->leases[i].owner = fleet->names[roll(n_used)];
        else
            fleet->leases[i].is_very_old = roll(4) == 0;
    }
    return fleet;
}

TEST(random_fleets_become_even_and_then_stay_still)
{
    for (uint64_t run = 1; run <= 400; run++) {
        struct fleet_of_takers *fleet;
        bool at_once;
        size_t rounds = 0, limit;

        kpw_random_init_from(&dice, run);
        fleet = random_fleet();
        at_once = roll(2);
        limit = 3 * fleet->n_leases + 20;
        while ((play(fleet, at_once) || !is_even(fleet)) && rounds < limit)
            rounds++;
        YES(rounds < limit);
        YES(is_even(fleet));
        for (int i = 0; i < 20; i++)
            EQ_INT(play(fleet, at_once), 0);
        free(fleet);
    }
}

TEST(a_fleet_even_within_one_never_moves_anything)
{
    for (size_t n_workers = 1; n_workers <= 12; n_workers++)
        for (size_t n = 0; n <= 60; n++) {
            struct fleet_of_takers *fleet = mem_new(sizeof *fleet);

            kpw_random_init_from(&dice, n * 100 + n_workers);
            fleet->n_leases = n;
            fleet->n_workers = n_workers;
            fleet->max_steals = 1 + n % 5;
            for (size_t w = 0; w < n_workers; w++)
                snprintf(fleet->names[w], sizeof fleet->names[w], "w%zu", w);
            for (size_t i = 0; i < n; i++) {
                fleet->leases[i].owner = fleet->names[i % n_workers];
                fleet->leases[i].hands_over = roll(2);
            }
            for (int i = 0; i < 3; i++)
                EQ_INT(play(fleet, false), 0);
            free(fleet);
        }
}
