/* test_lease_strangers.c - what should not be in a lease table or at it: items that are no leases,
 * a second worker with our id, rows that may not be deleted.
 *
 * Fleets on a memory table, in virtual time, with hosts that only listen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/lease/fleet.h"
#include "core/lease/memory.h"
#include "tests/kptest.h"

enum { LANES = 4, TICK_MS = 50, FAILOVER_MS = 10000 };

static const char *const names[LANES] = {"shard-0", "shard-1", "shard-2", "shard-3"};

struct worker {
    struct lease_io *io; /* [owned by fleet] */
    struct fleet *fleet;
    char failure[300];
    unsigned grants, lists, calls[LEASE_OPS];
    bool wants_list;
};

/* ---- a table in which one key is taken by something that is no lease */

struct odd_io {
    struct lease_io io; /* first */
    struct lease_io *real;
    const char *key;    /* refused without a row; NULL: none is */
    const char *denied; /* code of the answer to LEASE_DELETE; NULL: as ever */
    struct worker *worker;
    lease_fn fn; /* of the refusal that waits; NULL: none */
    void *arg;
    struct lease_reply reply;
};

static void odd_call(struct lease_io *io, const struct lease_call *call, lease_fn fn, void *arg)
{
    struct odd_io *odd = (struct odd_io *)io;

    odd->worker->calls[call->op]++;
    if (odd->key && call->op == LEASE_CREATE && !strcmp(call->was.key, odd->key)) {
        odd->fn = fn;
        odd->arg = arg;
        odd->reply = (struct lease_reply){.status = LEASE_REFUSED, .sent_ms = clock_mono_ms()};
    } else if (odd->denied && call->op == LEASE_DELETE) {
        odd->fn = fn;
        odd->arg = arg;
        odd->reply = (struct lease_reply){.status = LEASE_FAILED,
                                          .error = odd->denied,
                                          .message = "no permission",
                                          .is_final = true,
                                          .sent_ms = clock_mono_ms()};
    } else {
        odd->real->call(odd->real, call, fn, arg);
    }
}

static void odd_deliver(struct odd_io *odd)
{
    lease_fn fn = odd->fn;

    odd->fn = NULL;
    if (fn)
        fn(odd->arg, &odd->reply);
    while (memory_io_deliver(odd->real))
        ;
}

static int64_t odd_now_ms(struct lease_io *io)
{
    struct odd_io *odd = (struct odd_io *)io;

    return odd->real->now_ms(odd->real);
}

static int64_t odd_wall_s(struct lease_io *io)
{
    struct odd_io *odd = (struct odd_io *)io;

    return odd->real->wall_s(odd->real);
}

static void odd_free(struct lease_io *io)
{
    struct odd_io *odd = (struct odd_io *)io;

    odd->real->free(odd->real);
    free(odd);
}

/* ---- a worker */

static void granted(void *arg, struct lease_row *row)
{
    ((struct worker *)arg)->grants++;
    (void)row;
}

static void revoked(void *arg, struct lease_row *row, bool is_lost)
{
    (void)is_lost;
    fleet_drained(((struct worker *)arg)->fleet, row);
}

static void list_wanted(void *arg)
{
    struct worker *worker = arg;

    worker->lists++;
    worker->wants_list = true;
}

static void failed(void *arg, const char *text)
{
    struct worker *worker = arg;

    snprintf(worker->failure, sizeof worker->failure, "%s", text);
}

static struct listing *list(void)
{
    static const char *const ends[LANES + 1] = {
        "0", "85070591730234615865843651857942052864", "170141183460469231731687303715884105728",
        "255211775190703847597530955573826158592", "340282366920938463463374607431768211456"};
    static const char *const lasts[LANES] = {
        "85070591730234615865843651857942052863", "170141183460469231731687303715884105727",
        "255211775190703847597530955573826158591", "340282366920938463463374607431768211455"};
    struct listing *listing = mem_new(sizeof *listing);

    listing->lanes = mem_new(LANES * sizeof *listing->lanes);
    listing->n = listing->cap = LANES;
    listing->begin = mem_dup(LEASE_TRIM_HORIZON);
    for (int i = 0; i < LANES; i++)
        listing->lanes[i] = (struct listed_lane){
            .key = mem_dup(names[i]), .low = mem_dup(ends[i]), .high = mem_dup(lasts[i])};
    return listing;
}

static void start(struct worker *worker, struct memory_table *table, const char *id)
{
    struct fleet_config config = {.worker = id,
                                  .failover_ms = FAILOVER_MS,
                                  .checkpoint_ms = 5000,
                                  .hand_over_ms = 30000,
                                  .max_steals = 1,
                                  .calls = 32,
                                  .seed = (uint64_t)(uintptr_t)worker | 1};
    static const struct fleet_ops ops = {granted, revoked, list_wanted, failed};
    struct odd_io *odd = mem_new(sizeof *odd);

    odd->real = memory_io_new(table, NULL, false);
    odd->worker = worker;
    odd->io = (struct lease_io){.call = odd_call,
                                .now_ms = odd_now_ms,
                                .wall_s = odd_wall_s,
                                .table = odd->real->table,
                                .free = odd_free};
    *worker = (struct worker){.io = &odd->io};
    worker->fleet = fleet_new(&config, worker->io, &ops, worker);
    fleet_begin(worker->fleet);
    fleet_list(worker->fleet, list());
}

static void run(struct memory_table *table, struct worker *workers, size_t n, int64_t ms)
{
    for (; ms > 0; ms -= TICK_MS) {
        memory_table_run(table);
        for (size_t i = 0; i < n; i++) {
            struct worker *worker = &workers[i];

            if (!worker->fleet)
                continue;
            odd_deliver((struct odd_io *)worker->io);
            if (worker->wants_list) {
                worker->wants_list = false;
                fleet_list(worker->fleet, list());
            }
            fleet_run(worker->fleet);
        }
        clock_fake_move(TICK_MS);
    }
}

static struct memory_table *begin(void)
{
    log_setup(LOG_ERROR, false);
    clock_fake(1700000000000);
    return memory_table_new("orders");
}

/* As after SIGKILL: nothing is given back. */
static void destroy(struct worker *worker)
{
    fleet_free(worker->fleet);
    worker->fleet = NULL;
}

static void end(struct memory_table *table, struct worker *workers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        destroy(&workers[i]);
    memory_table_free(table);
    clock_real();
    log_setup(LOG_INFO, false);
}

TEST(an_item_in_the_place_of_a_lease_stops_nothing_else_and_makes_no_storm)
{
    struct memory_table *table = begin();
    struct worker worker;

    start(&worker, table, "kpipe:a");
    ((struct odd_io *)worker.io)->key = names[1];
    run(table, &worker, 1, 60000);
    EQ_INT(worker.grants, LANES - 1);
    EQ_STR(worker.failure, "");
    YES(worker.calls[LEASE_CREATE] >= LANES + 1);
    YES(worker.calls[LEASE_CREATE] <= LANES + 10);
    YES(worker.lists <= 40);
    ((struct odd_io *)worker.io)->key = NULL; /* somebody has removed it */
    run(table, &worker, 1, 2 * FAILOVER_MS);
    EQ_INT(worker.grants, LANES);
    end(table, &worker, 1);
}

TEST(a_row_that_may_not_be_deleted_ends_no_run)
{
    static char key[] = "shard-9", ended[] = LEASE_SHARD_END;
    struct memory_table *table = begin();
    struct worker worker;

    memory_table_put(table, &(struct lease){.key = key, .checkpoint = ended, .throughput = -1});
    start(&worker, table, "kpipe:a");
    ((struct odd_io *)worker.io)->denied = "AccessDeniedException";
    run(table, &worker, 1, 12 * FAILOVER_MS);
    EQ_INT(worker.grants, LANES);
    EQ_STR(worker.failure, "");
    YES(worker.calls[LEASE_DELETE] >= 1 && worker.calls[LEASE_DELETE] <= 3);
    end(table, &worker, 1);
}

TEST(a_second_worker_with_the_same_id_ends_before_it_reads)
{
    struct memory_table *table = begin();
    struct worker workers[2];

    start(&workers[0], table, "kpipe:same");
    workers[1].fleet = NULL;
    run(table, workers, 1, 20000);
    EQ_INT(workers[0].grants, LANES);
    start(&workers[1], table, "kpipe:same");
    run(table, workers, 2, 2 * FAILOVER_MS);
    YES(strstr(workers[1].failure, "kpipe:same") && strstr(workers[1].failure, "orders"));
    EQ_INT(workers[1].grants, 0);
    run(table, workers, 2, FAILOVER_MS);
    EQ_STR(workers[0].failure, "");
    EQ_INT(workers[0].grants, LANES);
    end(table, workers, 2);
}

TEST(of_two_workers_with_the_same_id_that_start_together_one_ends)
{
    for (int i = 0; i < 20; i++) {
        struct memory_table *table = begin();
        struct worker workers[2];

        start(&workers[0], table, "kpipe:same");
        start(&workers[1], table, "kpipe:same");
        run(table, workers, 2, 4 * FAILOVER_MS);
        YES(*workers[0].failure || *workers[1].failure);
        end(table, workers, 2);
    }
}

TEST(a_worker_that_was_killed_begins_again_under_its_id)
{
    struct memory_table *table = begin();
    struct worker worker;

    start(&worker, table, "kpipe:same");
    run(table, &worker, 1, 20000);
    destroy(&worker);
    start(&worker, table, "kpipe:same");
    run(table, &worker, 1, FAILOVER_MS);
    EQ_INT(worker.grants, LANES);
    EQ_STR(worker.failure, "");
    end(table, &worker, 1);
}

/* Rows that have ended keep their last owner: nobody works on them. */
TEST(a_worker_that_was_stopped_begins_again_under_its_id_at_once)
{
    static char key[] = "shard-9", ended[] = LEASE_SHARD_END, id[] = "kpipe:same";
    struct memory_table *table = begin();
    struct worker worker;

    memory_table_put(
        table, &(struct lease){.key = key, .owner = id, .checkpoint = ended, .throughput = -1});
    start(&worker, table, id);
    run(table, &worker, 1, 1000);
    EQ_INT(worker.grants, LANES);
    end(table, &worker, 1);
}

/* Its last write may not have been in the first scan, which is eventually consistent. */
TEST(a_row_that_moves_once_after_the_start_is_no_second_worker)
{
    static char key[] = "shard-0", at[] = LEASE_TRIM_HORIZON, id[] = "kpipe:same";
    struct memory_table *table = begin();
    struct lease row = {.key = key, .owner = id, .counter = 7, .checkpoint = at, .throughput = -1};
    struct worker worker;

    memory_table_put(table, &row);
    start(&worker, table, id);
    run(table, &worker, 1, 1000);
    row.counter++;
    memory_table_put(table, &row);
    run(table, &worker, 1, 2 * FAILOVER_MS);
    EQ_STR(worker.failure, "");
    EQ_INT(worker.grants, LANES);
    end(table, &worker, 1);
}

/* Answers are lost and writes repeated: that must never look like somebody else. */
static void lose(void *arg, const struct lease_call *call, struct memory_fate *fate)
{
    unsigned *n = arg;

    (void)call;
    *n = *n * 1103515245u + 12345u;
    fate->is_reply_lost = *n >> 16 & 1;
    fate->is_request_lost = !(*n >> 17 & 3);
    fate->request_ms = *n >> 20 & 511;
    fate->reply_ms = *n >> 22 & 511;
}

TEST(lost_answers_are_no_second_worker)
{
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct memory_table *table = begin();
        struct worker workers[2];
        unsigned a = seed, b = seed + 1000;

        start(&workers[0], table, "kpipe:a");
        start(&workers[1], table, "kpipe:b");
        memory_io_hook(((struct odd_io *)workers[0].io)->real, lose, &a);
        memory_io_hook(((struct odd_io *)workers[1].io)->real, lose, &b);
        run(table, workers, 2, 300000);
        EQ_STR(workers[0].failure, "");
        EQ_STR(workers[1].failure, "");
        end(table, workers, 2);
    }
}
