/* test_lease_fleet.c - workers that share a lease table, in virtual time: kpipe's fleets among
 * themselves, beside KCL 2 and beside KCL 3. See fleet_world.h.
 *
 * Environment: KPIPE_MODEL_SEEDS=N plays N worlds where a test plays many; KPIPE_MODEL_SEED=S only
 * that of seed S.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "tests/kptest.h"
#include "tests/unit/fleet_world.h"

/* The fleets of a test speak of every lease; what is wrong is told by the world. */
static void be_quiet(void)
{
    log_setup(getenv("KPIPE_MODEL_TRACE") ? LOG_DEBUG : LOG_ERROR, false);
}

static struct world *quiet_world(uint64_t seed, size_t n_lanes)
{
    be_quiet();
    return world_new(seed, n_lanes);
}

static void end_world(struct world *world)
{
    EQ_INT(world->errors, 0);
    world_free(world);
    log_setup(LOG_INFO, false);
}

struct seeds {
    uint64_t first, last;
};

static struct seeds seeds_of(uint64_t n)
{
    const char *n_text = getenv("KPIPE_MODEL_SEEDS"), *one = getenv("KPIPE_MODEL_SEED");

    if (one)
        return (struct seeds){strtoull(one, NULL, 10), strtoull(one, NULL, 10)};
    return (struct seeds){1, n_text ? strtoull(n_text, NULL, 10) : n};
}

/* ---- what a fleet does */

TEST(a_fleet_alone_reads_every_lane)
{
    struct world *world = quiet_world(1, 8);

    world_start(world, WORKER_KPIPE);
    YES(world_settles(world, 5000));
    fleet_world_run(world, 60000);
    EQ_INT(world->moves, 8);
    for (size_t i = 0; i < 8; i++)
        YES(world->lanes[i].done > 300);
    end_world(world);
}

TEST(a_fleet_shares_evenly_within_seconds_and_then_stays_still)
{
    struct world *world = quiet_world(2, 20);
    unsigned moves;

    world_start(world, WORKER_KPIPE);
    YES(world_settles(world, 5000));
    world_start(world, WORKER_KPIPE);
    world_start(world, WORKER_KPIPE);
    YES(world_settles(world, 90000));
    moves = world->moves;
    fleet_world_run(world, 300000);
    EQ_INT(world->moves, moves);
    end_world(world);
}

TEST(a_clean_stop_leaves_no_gap)
{
    struct world *world = quiet_world(3, 10);
    struct world_worker *first;

    first = world_start(world, WORKER_KPIPE);
    YES(world_settles(world, 5000));
    world_start(world, WORKER_KPIPE);
    YES(world_settles(world, 90000));
    world_stop(first);
    for (int i = 0; first->lives && i < 100; i++)
        world_step(world);
    NO(first->lives);
    YES(world_settles(world, 4000)); /* less than the fail-over time */
    end_world(world);
}

TEST(leases_of_a_killed_worker_go_on_within_fifteen_seconds)
{
    struct world *world = quiet_world(4, 10);
    struct world_worker *first = world_start(world, WORKER_KPIPE);

    world_start(world, WORKER_KPIPE);
    YES(world_settles(world, 90000));
    world_kill(first);
    YES(world_settles(world, 15000));
    end_world(world);
}

TEST(a_stalled_worker_stops_before_others_begin)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct world *world = quiet_world(seed, 6);
        struct world_worker *first = world_start(world, WORKER_KPIPE);

        world_start(world, WORKER_KPIPE);
        world_settles(world, 90000);
        world_stall(first, 5000 + (int64_t)seed * 4000, seed % 2);
        fleet_world_run(world, 40000);
        world_settles(world, 90000);
        end_world(world);
    }
}

/* Renewals are made every third of the fail-over time; tried ever more seldom they do not become a
 * storm upon a table in trouble, and still come through as soon as it is well. */
TEST(while_the_table_does_not_answer_renewals_are_tried_ever_more_seldom)
{
    struct world *world = quiet_world(13, 60);
    struct world_worker *worker = world_start(world, WORKER_KPIPE);
    unsigned usual, before;

    YES(world_settles(world, 5000));
    before = world->asked;
    fleet_world_run(world, 5000);
    usual = world->asked - before;
    world->is_down = true;
    before = world->asked;
    fleet_world_run(world, 5000);
    YES(world->asked - before <= 2 * usual);
    world->is_down = false;
    fleet_world_run(world, 30000);
    EQ_INT(fleet_grants(worker->fleet), 60);
    end_world(world);
}

TEST(an_answer_that_is_lost_loses_no_lease)
{
    struct world *world = quiet_world(12, 6);
    struct world_worker *worker = world_start(world, WORKER_KPIPE);

    YES(world_settles(world, 5000));
    EQ_INT(fleet_grants(worker->fleet), 6);
    world->lost_per_1000 = 15;
    fleet_world_run(world, 200000);
    EQ_INT(fleet_grants(worker->fleet), 6);
    end_world(world);
}

TEST(lanes_of_a_stream_that_splits_and_merges_are_read_in_order)
{
    struct world *world = quiet_world(5, 3);

    world_start(world, WORKER_KPIPE);
    world_start(world, WORKER_KPIPE);
    world_settles(world, 60000);
    for (size_t i = 0; i < 12; i++) {
        for (size_t at = world->n_lanes; at-- > 0;)
            if (!world->lanes[at].is_closed && (i % 2 ? world_merge(world, at) : true)) {
                if (i % 2 == 0)
                    world_split(world, at);
                break;
            }
        fleet_world_run(world, 15000);
    }
    YES(world_settles(world, 120000));
    end_world(world);
}

TEST(a_row_deleted_by_hand_is_made_again)
{
    struct world *world = quiet_world(6, 4);

    world_start(world, WORKER_KPIPE);
    world_settles(world, 5000);
    fleet_world_run(world, 20000);
    world_lose_row(world, 2);
    world_step(world);
    NO(world->lanes[2].had_row);
    world_settles(world, 15000);
    YES(world->lanes[2].was_remade);
    end_world(world);
}

TEST(a_worker_takes_no_more_than_it_may)
{
    struct world *world = quiet_world(10, 10);
    size_t n = 0;

    world->max_leases = 4;
    world_start(world, WORKER_KPIPE);
    world_start(world, WORKER_KPIPE);
    fleet_world_run(world, 90000);
    for (size_t i = 0; i < 10; i++)
        n += world->lanes[i].done > 0;
    EQ_INT(n, 8);
    world_start(world, WORKER_KPIPE);
    YES(world_settles(world, 90000));
    end_world(world);
}

TEST(from_latest_on_what_came_before_is_left_out)
{
    struct world *world = quiet_world(11, 2);

    world->begin = LEASE_LATEST;
    world_split(world, 0);
    fleet_world_run(world, 60000); /* nobody reads */
    world_start(world, WORKER_KPIPE);
    fleet_world_run(world, 5000);
    EQ_INT(world->n_lanes, 4);
    NO(world->lanes[0].had_row);
    world_split(world, 1);
    YES(world_settles(world, 60000));
    EQ_STR(world->lanes[0].had_row ? "made" : "left out", "left out");
    YES(world->lanes[1].has_ended);
    YES(world->lanes[4].done + 60 > world->lanes[4].produced);
    end_world(world);
}

/* ---- F6: every state of (leaseOwner, checkpointOwner), with anybody dead or alive */

TEST(every_state_of_owners_comes_to_an_owner_that_reads)
{
    enum { NOBODY, DEAD, FIRST, SECOND, STATES };

    for (int owner = 0; owner < STATES; owner++)
        for (int before = 0; before < STATES; before++) {
            struct world *world = quiet_world((uint64_t)(owner * STATES + before + 1), 4);
            struct world_worker *first = world_start(world, WORKER_KPIPE);
            struct world_worker *second = world_start(world, WORKER_KPIPE);
            char *names[STATES] = {NULL, (char[]){FLEET_ID_PREFIX "dead"}, first->id, second->id};
            struct lease row = {.key = world->lanes[1].key,
                                .owner = names[owner],
                                .checkpoint_owner = names[before],
                                .counter = 77,
                                .checkpoint = (char[]){LEASE_TRIM_HORIZON},
                                .throughput = -1};

            memory_table_put(world->table, &row); /* a worker that starts may find it so */
            YES(world_settles(world, 90000));
            memory_table_put(world->table, &row); /* and so may one that works */
            world->lanes[1].had_row = false;      /* that this goes back is our doing */
            world->lanes[1].may_be_remade = true;
            world->lanes[1].broken_ms = world_now();
            fleet_world_run(world, 2000);
            YES(world_settles(world, 90000));
            end_world(world);
        }
}

/* ---- beside KCL 2 */

TEST(beside_kcl_2_leases_are_shared_evenly)
{
    struct world *world = quiet_world(7, 12);
    unsigned moves;

    world_start(world, WORKER_JAVA2);
    fleet_world_run(world, 30000);
    world_start(world, WORKER_KPIPE);
    world_start(world, WORKER_JAVA2);
    world_start(world, WORKER_KPIPE);
    YES(world_settles(world, 300000));
    moves = world->moves;
    fleet_world_run(world, 200000);
    EQ_INT(world->moves, moves);
    YES(memory_table_lock(world->table) == NULL); /* nothing that KCL 2 stumbles over */
    for (size_t i = 0; i < world->n_workers; i++)
        YES(memory_table_worker(world->table, world->workers[i].id) == NULL);
    end_world(world);
}

/* ---- beside KCL 3 */

TEST(beside_kcl_3_a_leader_assigns_and_leases_are_handed_over)
{
    struct world *world = quiet_world(8, 12);
    struct world_worker *gone;

    world_start(world, WORKER_JAVA3);
    fleet_world_run(world, 40000);
    world_start(world, WORKER_KPIPE);
    world_start(world, WORKER_JAVA3);
    gone = world_start(world, WORKER_KPIPE);
    YES(world_settles(world, 400000));
    for (size_t i = 0; i < world->n_workers; i++)
        YES(memory_table_worker(world->table, world->workers[i].id) != NULL);
    world_stop(gone); /* or the leader would assign to it, for its metrics are fresh */
    fleet_world_run(world, 20000);
    YES(memory_table_worker(world->table, gone->id) == NULL);
    YES(world_settles(world, 400000));
    end_world(world);
}

/* A busy lane is checkpointed and never renewed; its load must be told all the same, for a leader
 * of KCL 3 moves nothing from workers whose leases have none. */
TEST(beside_kcl_3_the_load_of_a_busy_lane_is_told)
{
    struct world *world = quiet_world(10, 6);

    world_start(world, WORKER_JAVA3);
    fleet_world_run(world, 40000);
    world_start(world, WORKER_KPIPE);
    YES(world_settles(world, 400000));
    fleet_world_run(world, 20000);
    for (size_t i = 0; i < world->n_lanes; i++) {
        const struct lease *row = memory_table_find(world->table, world->lanes[i].key);

        YES(row && row->throughput > 0);
    }
    end_world(world);
}

static bool does_lead(struct world *world, enum worker_kind kind)
{
    const struct lease_lock *lock = memory_table_lock(world->table);
    const struct world_worker *worker = lock ? world_worker(world, lock->owner) : NULL;

    return worker && !lock->is_released && worker->kind == kind;
}

TEST(when_the_leader_is_killed_a_kpipe_leads_and_new_lanes_are_assigned)
{
    struct world *world = quiet_world(9, 8);
    struct world_worker *leader = world_start(world, WORKER_JAVA3), *follower;
    int64_t killed_ms;

    fleet_world_run(world, 30000);
    YES(does_lead(world, WORKER_JAVA3));
    follower = world_start(world, WORKER_JAVA3);
    world_start(world, WORKER_KPIPE);
    world_settles(world, 300000);
    java_never_leads(follower->java); /* some do not, whatever they should */
    world_kill(leader);
    killed_ms = world_now();
    world_split(world, 0);
    while (!does_lead(world, WORKER_KPIPE) && world_now() - killed_ms < 200000 && !world->errors)
        world_step(world);
    YES(world_now() - killed_ms <= 120000 + 30000);
    YES(world_settles(world, 200000));
    end_world(world);
}

/* The leader renews its lock in time, whatever a scan has seen that was under way when it took it.
 */
TEST(a_kpipe_that_leads_goes_on_leading)
{
    for (uint64_t seed = 20; seed < 60; seed++) {
        struct world *world = quiet_world(seed, 4);
        struct world_worker *first = world_start(world, WORKER_JAVA3), *second;
        int64_t start_ms, beat_ms, longest_ms = 0;
        char version[64] = "";

        fleet_world_run(world, 40000);
        world_start(world, WORKER_KPIPE);
        fleet_world_run(world, 30000);
        world_kill(first);
        second = world_start(world, WORKER_JAVA3);
        java_never_leads(second->java);
        start_ms = world_now();
        while (!does_lead(world, WORKER_KPIPE) && world_now() - start_ms < 200000)
            world_step(world);
        start_ms = beat_ms = world_now();
        while (world_now() - start_ms < 200000 && !world->errors) {
            const struct lease_lock *lock = memory_table_lock(world->table);

            world_step(world);
            if (lock && strcmp(lock->version, version) != 0) {
                snprintf(version, sizeof version, "%s", lock->version);
                beat_ms = world_now();
            }
            if (world_now() - beat_ms > longest_ms)
                longest_ms = world_now() - beat_ms;
        }
        YES(longest_ms < 40000);
        end_world(world);
    }
}

/* A fleet beside KCL 3 at rest, led by a kpipe: the leader before has died. */
static struct world *led_by_kpipe(uint64_t seed, size_t n_lanes, size_t n_kpipes, size_t n_javas)
{
    struct world *world = quiet_world(seed, n_lanes);
    struct world_worker *first = world_start(world, WORKER_JAVA3);
    int64_t start_ms;

    fleet_world_run(world, 40000);
    for (size_t i = 0; i < n_kpipes; i++)
        world_start(world, WORKER_KPIPE);
    for (size_t i = 0; i < n_javas; i++)
        java_never_leads(world_start(world, WORKER_JAVA3)->java);
    YES(world_settles(world, 400000));
    world_kill(first);
    start_ms = world_now();
    while (!does_lead(world, WORKER_KPIPE) && world_now() - start_ms < 200000)
        world_step(world);
    YES(world_settles(world, 400000));
    return world;
}

/* Of those that do not lead. */
static struct world_worker *pick_follower(struct world *world)
{
    const char *leader = memory_table_lock(world->table)->owner;
    struct world_worker *followers[WORLD_WORKERS];
    size_t n = 0;

    for (size_t i = 0; i < world->n_workers; i++)
        if (world->workers[i].lives && strcmp(world->workers[i].id, leader) != 0)
            followers[n++] = &world->workers[i];
    return n ? followers[world_roll(world, n)] : NULL;
}

static size_t count_dead_owners(struct world *world)
{
    size_t n = 0;

    for (size_t i = 0; i < world->n_lanes; i++)
        n += !world_worker(world, world->lanes[i].row.owner);
    return n;
}

/* Workers have just died: what they had is given to those that live, nothing to those that died,
 * where it would wait for the fail-over time once more. */
static void be_inherited(struct world *world)
{
    int64_t killed_ms = world_now();
    char had[WORLD_LANES][sizeof world->workers->id];

    for (size_t i = 0; i < world->n_lanes; i++)
        snprintf(had[i], sizeof had[i], "%s", world->lanes[i].row.owner);
    while (count_dead_owners(world) && !world->errors) {
        world_step(world);
        for (size_t i = 0; i < world->n_lanes; i++)
            if (!world_worker(world, world->lanes[i].row.owner) &&
                strcmp(world->lanes[i].row.owner, had[i]) != 0)
                world_wrong(world, "lane %zu is given to %s, which is dead", i,
                            world->lanes[i].row.owner);
        if (world_now() - killed_ms > 2 * FAILOVER_MS) /* some make one call at a time */
            world_wrong(world, "%zu leases are of dead workers still", count_dead_owners(world));
    }
}

TEST(a_leader_gives_nothing_to_workers_that_let_leases_run_out)
{
    struct seeds seeds = seeds_of(30);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) {
        struct world *world = led_by_kpipe(seed, 12, 2, 1);

        fleet_world_run(world, 5000); /* by then all have renewed what they were given */
        for (struct world_worker *dead; (dead = pick_follower(world));)
            world_kill(dead);
        be_inherited(world);
        YES(world_settles(world, 60000));
        end_world(world);
    }
}

/* Nor to those that will let them run out a moment later. */
TEST(of_workers_that_die_at_once_none_gets_what_another_had)
{
    struct seeds seeds = seeds_of(30);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) {
        struct world *world = led_by_kpipe(seed, 12, 4, 2);

        fleet_world_run(world, 5000 + (int64_t)world_roll(world, 30000));
        for (size_t n = 2 + world_roll(world, 2); n > 0; n--)
            world_kill(pick_follower(world));
        be_inherited(world);
        YES(world_settles(world, 400000));
        end_world(world);
    }
}

/* They look for new leases every ten seconds and renew them with their next round: that may be
 * later than the fail-over time. */
TEST(a_leader_leaves_a_worker_of_kcl_3_time_to_find_what_it_was_given)
{
    struct seeds seeds = seeds_of(30);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) {
        struct world *world = led_by_kpipe(seed, 12, 2, 2);

        fleet_world_run(world, 20000);
        EQ_INT(world->n_robbed, 0);
        end_world(world);
    }
}

static struct world_worker *pick_kpipe(struct world *world, const struct world_worker *other)
{
    struct world_worker *worker;

    do
        worker = pick_follower(world);
    while (worker == other || worker->kind != WORKER_KPIPE);
    return worker;
}

static size_t count_owned(const struct world *world, const struct world_worker *worker)
{
    size_t n = 0;

    for (size_t i = 0; i < world->n_lanes; i++)
        n += world->lanes[i].row.owner && !strcmp(world->lanes[i].row.owner, worker->id);
    return n;
}

/* One that does not renew for a moment may get nothing of what becomes free just then. With the
 * next balance it has its share. */
TEST(a_worker_that_was_slow_gets_its_share_again)
{
    struct seeds seeds = seeds_of(30);
    unsigned n_skipped = 0;

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) {
        struct world *world = led_by_kpipe(seed, 20, 4, 1); /* four each, then five each */
        struct world_worker *slow = pick_kpipe(world, NULL), *gone = pick_kpipe(world, slow);

        fleet_world_run(world, 5000);
        world_stall(slow, 5500, false);
        fleet_world_run(world, 2500);
        world_stop(gone);
        while (!world->errors && (gone->lives || count_dead_owners(world)))
            world_step(world);
        n_skipped += count_owned(world, slow) < 5;
        YES(world_settles(world, 130000));
        end_world(world);
    }
    YES(n_skipped > 0 || seeds.first == seeds.last);
}

/* It need not wait for the next balance, nor for lanes to be idle. */
TEST(a_leader_gives_leases_to_a_new_worker_at_once)
{
    for (int64_t wait = 0; wait < 60000; wait += 10000) {
        struct world *world = led_by_kpipe(13, 8, 1, 1);
        struct world_worker *third;
        int64_t start_ms;

        fleet_world_run(world, 60000 + wait);
        third = world_start(world, WORKER_JAVA3);
        java_never_leads(third->java);
        start_ms = world_now();
        for (bool has_one = false; !has_one && world_now() - start_ms < 30000; world_step(world))
            for (size_t lane = 0; lane < world->n_lanes; lane++)
                has_one |= java_delivers(third->java, lane);
        YES(world_now() - start_ms < 30000);
        YES(world_settles(world, 400000));
        end_world(world);
    }
}

/* ---- worlds at random */

static size_t pick_open(struct world *world)
{
    size_t open[WORLD_LANES], n = 0;

    for (size_t i = 0; i < world->n_lanes; i++)
        if (!world->lanes[i].is_closed)
            open[n++] = i;
    return open[world_roll(world, n)];
}

static struct world_worker *pick_worker(struct world *world)
{
    struct world_worker *alive[WORLD_WORKERS];
    size_t n = 0;

    for (size_t i = 0; i < world->n_workers; i++)
        if (world->workers[i].lives && !world->workers[i].is_stopping)
            alive[n++] = &world->workers[i];
    return n ? alive[world_roll(world, n)] : NULL;
}

static size_t count_staying(const struct world *world)
{
    size_t n = 0;

    for (size_t i = 0; i < world->n_workers; i++)
        n += world->workers[i].lives && !world->workers[i].is_stopping &&
             world->workers[i].kind == WORKER_KPIPE;
    return n;
}

static void reshard(struct world *world)
{
    size_t n_open = 0;

    for (size_t i = 0; i < world->n_lanes; i++)
        n_open += !world->lanes[i].is_closed;
    if (world->n_lanes + 2 > WORLD_LANES / 2)
        return;
    if (n_open < 3 || (n_open < 12 && world_roll(world, 2)))
        world_split(world, pick_open(world));
    else
        world_merge(world, pick_open(world));
}

/* Of a lane that is open, so that nothing has begun that comes after it; and not of a new row,
 * whose counter may well be that of the next one's when its owner writes. */
static void lose_row(struct world *world)
{
    size_t at = pick_open(world);
    const struct lease *row = memory_table_find(world->table, world->lanes[at].key);

    if (row && row->counter >= 20)
        world_lose_row(world, at);
}

/* Lanes that are done with and old are not listed any more. */
static void forget(struct world *world)
{
    for (size_t i = 0; i + 20 < world->n_lanes; i++)
        if (world->lanes[i].is_closed && world->lanes[i].has_ended && !world->lanes[i].had_row)
            world->lanes[i].is_listed = false;
}

static void happen(struct world *world, enum worker_kind others)
{
    struct world_worker *worker = pick_worker(world);
    uint64_t what = world_roll(world, 12);

    if (what < 3 && world_count(world, WORKER_KPIPE) + world_count(world, others) < 7 &&
        world->n_workers < WORLD_WORKERS)
        world_start(world, world_roll(world, 2) ? WORKER_KPIPE : others);
    else if (what < 6)
        reshard(world);
    else if (what == 6)
        lose_row(world);
    else if (what == 7)
        forget(world);
    else if (!worker || (worker->kind == WORKER_KPIPE && count_staying(world) < 2))
        return;
    else if (what == 8)
        world_kill(worker);
    else if (worker->kind != WORKER_KPIPE)
        return;
    else if (what == 9)
        world_stop(worker);
    else
        world_stall(worker, 1000 + (int64_t)world_roll(world, 25000), world_roll(world, 2));
}

/* What has ended before the first start is not read by anybody. */
static void begin_from_latest(struct world *world)
{
    world->begin = LEASE_LATEST;
    for (size_t n = world_roll(world, 4); n > 0; n--)
        reshard(world);
}

static unsigned live_through(uint64_t seed, enum worker_kind others)
{
    struct world *world = quiet_world(seed, 1 + seed % 9);
    unsigned moves, errors;

    world->lost_per_1000 = (unsigned)world_roll(world, 3) * 20;
    world->layout = world_roll(world, 2) ? LEASE_LAYOUT_KCL3_SINGLE : LEASE_LAYOUT_KCL3_TABLES;
    if (world_roll(world, 4) == 0)
        begin_from_latest(world);
    if (others != WORKER_KPIPE && world_roll(world, 2))
        world_start(world, others);
    world_start(world, WORKER_KPIPE);
    for (int i = 0; i < 25 && !world->errors; i++) {
        happen(world, others);
        fleet_world_run(world, (int64_t)world_roll(world, 20000));
    }
    world_note(world, "from now on all is quiet");
    world->lost_per_1000 = 0;
    for (int i = 0; i < 2 && !world->errors; i++) { /* what was under way may still come */
        world_settles(world, others == WORKER_KPIPE ? 200000 : 600000);
        fleet_world_run(world, 30000);
    }
    moves = world->moves;
    fleet_world_run(world, 60000);
    if (!world->errors && world->moves != moves)
        world_wrong(world, "leases move though all is quiet");
    errors = world->errors;
    world_free(world);
    log_setup(LOG_INFO, false);
    return errors;
}

static void live_many(enum worker_kind others)
{
    struct seeds seeds = seeds_of(30);
    unsigned n_wrong = 0;

    for (uint64_t seed = seeds.first; seed <= seeds.last && n_wrong < 3; seed++)
        n_wrong += live_through(seed, others) > 0;
    EQ_INT(n_wrong, 0);
}

TEST(fleets_of_kpipe_live_through_what_may_happen)
{
    live_many(WORKER_KPIPE);
}

TEST(fleets_beside_kcl_2_live_through_what_may_happen)
{
    live_many(WORKER_JAVA2);
}

TEST(fleets_beside_kcl_3_live_through_what_may_happen)
{
    live_many(WORKER_JAVA3);
}
