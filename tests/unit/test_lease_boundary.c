/* test_lease_boundary.c - who asked for a boundary always hears of it, also when it is never
 * written. */
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/lease/fleet.h"
#include "core/lease/memory.h"
#include "tests/kptest.h"

struct stage {
    struct memory_table *table;
    struct lease_io *io; /* [owned by fleet] */
    struct fleet *fleet;
    struct lease_row *row; /* of the lane that was granted */
    int n_told, n_written;
};

static void granted(void *arg, struct lease_row *row)
{
    ((struct stage *)arg)->row = row;
}

static void revoked(void *arg, struct lease_row *row, bool is_lost)
{
    (void)is_lost;
    fleet_drained(((struct stage *)arg)->fleet, row);
}

static void list_wanted(void *arg)
{
    (void)arg;
}

static void failed(void *arg, const char *text)
{
    (void)arg, (void)text;
    CU_FAIL("the fleet failed");
}

static void told(void *arg, bool ok)
{
    struct stage *stage = arg;

    stage->n_told++;
    stage->n_written += ok;
}

static void run(struct stage *stage, int64_t ms)
{
    for (; ms > 0; ms -= 50) {
        memory_table_run(stage->table);
        while (memory_io_deliver(stage->io))
            ;
        fleet_run(stage->fleet);
        clock_fake_move(50);
    }
}

/* One lane, granted. */
static void begin(struct stage *stage)
{
    static const struct fleet_config config = {.worker = "kpipe:a",
                                               .failover_ms = 10000,
                                               .checkpoint_ms = 5000,
                                               .hand_over_ms = 30000,
                                               .max_steals = 1,
                                               .calls = 32};
    static const struct fleet_ops ops = {granted, revoked, list_wanted, failed};
    struct listing *listing = mem_new(sizeof *listing);

    log_setup(LOG_ERROR, false);
    clock_fake(1700000000000);
    *stage = (struct stage){.table = memory_table_new("orders")};
    stage->io = memory_io_new(stage->table, NULL, false);
    stage->fleet = fleet_new(&config, stage->io, &ops, stage);
    listing->lanes = mem_new(sizeof *listing->lanes);
    listing->n = listing->cap = 1;
    listing->lanes[0].key = mem_dup("shard-0");
    listing->begin = mem_dup(LEASE_TRIM_HORIZON);
    fleet_begin(stage->fleet);
    fleet_list(stage->fleet, listing);
    run(stage, 3000);
    REQUIRE(stage->row != NULL);
}

static void end(struct stage *stage)
{
    fleet_free(stage->fleet);
    memory_table_free(stage->table);
    clock_real();
    log_setup(LOG_INFO, false);
}

TEST(a_boundary_is_told_when_it_is_written)
{
    struct stage stage;

    begin(&stage);
    lease_row_prepare(stage.row, "55", 2, told, &stage);
    run(&stage, 1000);
    EQ_INT(stage.n_written, 1);
    EQ_STR(memory_table_find(stage.table, "shard-0")->pending, "55");
    end(&stage);
    EQ_INT(stage.n_told, 1);
}

TEST(a_boundary_that_waits_when_the_fleet_ends_is_told_as_well)
{
    struct stage stage;

    begin(&stage);
    lease_row_prepare(stage.row, "55", 2, told, &stage);
    fleet_run(stage.fleet); /* the call is under way */
    end(&stage);
    EQ_INT(stage.n_told, 1);
    EQ_INT(stage.n_written, 0);
}

/* A worker may ask in the moment in which its lease is lost. */
TEST(a_boundary_of_a_lease_that_is_lost_is_not_kept_for_when_it_is_had_again)
{
    struct lease row;
    struct stage stage;

    begin(&stage);
    lease_copy(&row, memory_table_find(stage.table, "shard-0"));
    free(row.owner);
    row.owner = mem_dup("thief");
    row.counter++;
    memory_table_put(stage.table, &row);
    run(&stage, 5000);
    lease_row_prepare(stage.row, "55", 2, told, &stage);
    run(&stage, 100);
    EQ_INT(stage.n_told, 1);
    EQ_INT(stage.n_written, 0);
    run(&stage, 20000); /* the thief renews nothing: it is ours again */
    EQ_STR(memory_table_find(stage.table, "shard-0")->owner, "kpipe:a");
    YES(memory_table_find(stage.table, "shard-0")->pending == NULL);
    EQ_INT(stage.n_told, 1);
    lease_fini(&row);
    end(&stage);
}
