/* fleet_host.c - a worker of kpipe in the world of fleet_world.h: its fleet, and a host that is
 * played.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fleet_world.h"

static struct host_lane *host_of(struct world_worker *worker, const struct lease_row *row)
{
    return &worker->hosts[world_lane(worker->world, row->name)];
}

static void check_parents(struct world_worker *worker, size_t at)
{
    struct world *world = worker->world;

    for (int p = 0; p < 2; p++) {
        size_t parent = world->lanes[at].parents[p];
        const struct lease *row;

        if (parent == NO_LANE)
            continue;
        row = memory_table_find(world->table, world->lanes[parent].key);
        if (row && !lease_has_ended(row) && !world->lanes[parent].was_remade)
            world_wrong(world, "%s: lane %zu is granted before its parent %zu has ended",
                        worker->id, at, parent);
        if (!world->lanes[parent].has_ended && !world_is_excused(world, parent))
            world_wrong(world, "%s: lane %zu is granted, its parent %zu was never worked through",
                        worker->id, at, parent);
    }
}

static void on_grant(void *arg, struct lease_row *row)
{
    struct world_worker *worker = arg;
    struct world *world = worker->world;
    struct host_lane *host = host_of(worker, row);
    size_t at = (size_t)(host - worker->hosts);

    world_note(world, "%s: granted %zu from %s", worker->id, at, row->text);
    if (host->phase != HOST_NONE)
        world_wrong(world, "%s: lane %zu is granted twice", worker->id, at);
    if (worker->is_releasing)
        world_wrong(world, "%s: lane %zu is granted while the run ends", worker->id, at);
    if (worker->is_stopping)
        return; /* its source has stopped and does not hear of it */
    if (!strcmp(row->text, LEASE_SHARD_END))
        world_wrong(world, "%s: lane %zu is granted after its end", worker->id, at);
    check_parents(worker, at);
    *host = (struct host_lane){.phase = HOST_READING, .row = row};
    host->read = host->settled = world_records(world, at, row->text);
    if (!strcmp(row->text, LEASE_LATEST)) /* what was before is not wanted */
        world->lanes[at].done = world->lanes[at].produced;
    world_settled(world, at, host->read, host->read);
}

static void on_revoke(void *arg, struct lease_row *row, bool is_lost)
{
    struct world_worker *worker = arg;
    struct world *world = worker->world;
    struct host_lane *host = host_of(worker, row);
    int64_t takes = world_roll(world, 12) ? (int64_t)world_roll(world, 4000) : 2 * HAND_OVER_MS;

    world_note(world, "%s: revoked %zu%s", worker->id, (size_t)(host - worker->hosts),
               is_lost ? ", lost" : "");
    host->is_lost |= is_lost;
    if (host->phase == HOST_NONE && worker->is_stopping) {
        fleet_drained(worker->fleet, row);
        return;
    }
    if (host->phase == HOST_NONE)
        world_wrong(world, "%s: %s is revoked, it was not granted", worker->id, row->name);
    host->phase = is_lost ? HOST_GIVING_UP : HOST_DRAINING;
    host->drained_ms = world_now() + (is_lost ? (int64_t)world_roll(world, 800) : takes);
}

static void on_list(void *arg)
{
    struct world_worker *worker = arg;

    if (worker->list_ms == INT64_MAX)
        worker->list_ms = world_now() + (int64_t)world_roll(worker->world, 1000);
}

static void on_fail(void *arg, const char *text)
{
    struct world_worker *worker = arg;

    world_wrong(worker->world, "%s: fails: %s", worker->id, text);
}

static bool may_deliver(const struct world_worker *worker, const struct host_lane *host)
{
    return (host->phase == HOST_READING || host->phase == HOST_DRAINING) && host->row &&
           world_now() + worker->skew_ms < host->row->valid_until;
}

static void settle(struct world_worker *worker, struct host_lane *host, uint64_t n)
{
    size_t at = (size_t)(host - worker->hosts);
    char text[64];

    if (!n)
        return;
    world_settled(worker->world, at, host->settled, host->settled + n);
    host->settled += n;
    world_position(at, host->settled, text);
    lease_row_move(host->row, text, strlen(text), 0);
    host->row->bytes += n * 1000;
    worker->run_ms = 0; /* the host tells that a position has moved */
}

static void drained(struct world_worker *worker, struct host_lane *host)
{
    world_note(worker->world, "%s: drained %zu", worker->id, (size_t)(host - worker->hosts));
    host->phase = HOST_NONE;
    fleet_drained(worker->fleet, host->row);
    worker->run_ms = 0;
}

static void read_on(struct world_worker *worker, struct host_lane *host)
{
    struct world *world = worker->world;
    struct world_lane *lane = &world->lanes[host - worker->hosts];
    uint64_t ready = lane->produced - host->read;

    if (host->phase == HOST_READING && ready)
        host->read += 1 + world_roll(world, ready);
    if (world_roll(world, 4) == 0 && host->read > host->settled)
        settle(worker, host, 1 + world_roll(world, host->read - host->settled));
    if (host->phase != HOST_READING || !lane->is_closed || host->settled < lane->produced)
        return;
    world_note(world, "%s: end of %zu", worker->id, (size_t)(lane - world->lanes));
    lane->has_ended = true;
    lease_row_move(host->row, LEASE_SHARD_END, strlen(LEASE_SHARD_END), 0);
    drained(worker, host);
}

static void host_step(struct world_worker *worker, struct host_lane *host)
{
    struct world *world = worker->world;

    if (may_deliver(worker, host)) {
        read_on(worker, host);
    } else if (host->phase == HOST_READING || host->phase == HOST_DRAINING) {
        if (world_now() + worker->skew_ms >= host->row->valid_until &&
            !host->row->is_given_up) { /* what it has is thrown away */
            world_note(world, "%s: gives %zu up, it was not renewed", worker->id,
                       (size_t)(host - worker->hosts));
            host->row->is_given_up = true;
            host->read = host->settled;
            worker->run_ms = 0;
        }
    }
    if (host->phase == HOST_GIVING_UP && host->read > host->settled && world_roll(world, 10) == 0)
        settle(worker, host, 1); /* an answer that comes too late */
    if ((host->phase == HOST_DRAINING || host->phase == HOST_GIVING_UP) &&
        world_now() >= host->drained_ms) {
        if (host->phase == HOST_DRAINING && may_deliver(worker, host))
            settle(worker, host, host->read - host->settled);
        drained(worker, host);
    }
}

/* ---- a kpipe */

static void decide_fate(void *arg, const struct lease_call *call, struct memory_fate *fate)
{
    struct world *world = ((struct world_worker *)arg)->world;
    uint64_t luck = world_roll(world, 1000);

    world->asked++;
    fate->request_ms = (int64_t)world_roll(world, 60);
    fate->reply_ms = (int64_t)world_roll(world, 60);
    fate->is_request_lost = luck < world->lost_per_1000 || world->is_down;
    fate->is_reply_lost = !fate->is_request_lost && luck < 2 * world->lost_per_1000;
    if ((fate->is_request_lost || fate->is_reply_lost) && !world->is_down)
        fate->reply_ms = 500 + (int64_t)world_roll(world, 3000);
    else if (luck < 3 * world->lost_per_1000) /* late on its way there */
        fate->request_ms = (int64_t)world_roll(world, 3000);
    else if (luck < 4 * world->lost_per_1000) /* or back */
        fate->reply_ms = (int64_t)world_roll(world, 3000);
    if (getenv("KPIPE_MODEL_CALLS") && call->was.key)
        world_note(world, "%s: call %d on %s at %llu, to %s%s", ((struct world_worker *)arg)->id,
                   call->op, call->was.key, (unsigned long long)call->was.counter,
                   call->op == LEASE_CHECKPOINT ? call->to.checkpoint : "-",
                   fate->is_request_lost ? ", lost"
                   : fate->is_reply_lost ? ", its answer will be lost"
                                         : "");
}

void kpipe_start(struct world_worker *worker)
{
    static const struct fleet_ops ops = {on_grant, on_revoke, on_list, on_fail};
    struct world *world = worker->world;
    struct fleet_config config = {.worker = worker->id,
                                  .failover_ms = FAILOVER_MS,
                                  .checkpoint_ms = 1000 + (int64_t)world_roll(world, 6000),
                                  .hand_over_ms = HAND_OVER_MS,
                                  .max_leases = world->max_leases,
                                  .max_steals = 1,
                                  .calls = 1 + world_roll(world, 32),
                                  .by_count = true,
                                  .seed = world_roll(world, 1000000) + 1};

    worker->io = memory_io_new(world->table, NULL, false);
    worker->skew_ms = (int64_t)world_roll(world, 1000000);
    memory_io_skew(worker->io, worker->skew_ms, (int64_t)world_roll(world, 5));
    memory_io_hook(worker->io, decide_fate, worker);
    worker->fleet = fleet_new(&config, worker->io, &ops, worker);
    worker->list_ms = world_now() + (int64_t)world_roll(world, 1500);
    fleet_begin(worker->fleet);
}

static void run_fleet(struct world_worker *worker)
{
    while (memory_io_deliver(worker->io))
        worker->run_ms = fleet_run(worker->fleet);
    while (worker->run_ms <= world_now() + worker->skew_ms) {
        int64_t next = fleet_run(worker->fleet);

        worker->run_ms = next > world_now() + worker->skew_ms ? next : next + 1;
        memory_table_run(worker->world->table);
        if (next <= world_now() + worker->skew_ms)
            break; /* again in the next step */
    }
}

static void bring_listing(struct world_worker *worker)
{
    if (world_now() >= worker->next_list_ms && worker->list_ms == INT64_MAX)
        on_list(worker);
    if (world_now() < worker->list_ms || !fleet_has_scanned(worker->fleet))
        return;
    worker->list_ms = INT64_MAX;
    worker->next_list_ms = world_now() + 30000;
    fleet_list(worker->fleet, world_list(worker->world));
    worker->run_ms = 0;
}

/* What was settled is to be found by whoever comes next. Not so when answers are lost in a row:
 * then the lease ends before its last position is written. */
static void check_positions(struct world_worker *worker)
{
    struct world *world = worker->world;

    if (world->lost_per_1000)
        return;
    for (size_t i = 0; i < world->n_lanes; i++) {
        const struct host_lane *host = &worker->hosts[i];
        const struct lease *row = memory_table_find(world->table, world->lanes[i].key);

        if (host->is_kept && !host->is_lost && row && !world_is_broken(&world->lanes[i]) &&
            world_records(world, i, row->checkpoint) < host->settled)
            world_wrong(world, "%s: leaves %zu at %s, it had settled %llu", worker->id, i,
                        row->checkpoint, (unsigned long long)host->settled);
    }
}

/* The host drains all, then the leases are released, then it is gone. */
static void stop_on(struct world_worker *worker)
{
    bool is_drained = true;

    for (size_t i = 0; i < worker->world->n_lanes; i++) {
        struct host_lane *host = &worker->hosts[i];

        if (host->phase == HOST_READING) {
            host->phase = HOST_DRAINING;
            host->is_kept = !worker->world->lost_per_1000;
            host->drained_ms = world_now() + (int64_t)world_roll(worker->world, 2000);
        }
        is_drained &= host->phase == HOST_NONE;
    }
    if (is_drained && !worker->is_releasing) {
        worker->is_releasing = true;
        fleet_release(worker->fleet);
        worker->run_ms = 0;
    }
    if (!worker->is_releasing || !fleet_is_released(worker->fleet))
        return;
    world_note(worker->world, "%s: is gone", worker->id);
    check_positions(worker);
    world_kill(worker);
}

void kpipe_step(struct world_worker *worker)
{
    bool is_stalled = world_now() < worker->stalled_until;

    if (!is_stalled || !worker->host_stalls)
        for (size_t i = 0; i < worker->world->n_lanes; i++)
            if (worker->hosts[i].phase != HOST_NONE)
                host_step(worker, &worker->hosts[i]);
    if (is_stalled)
        return;
    bring_listing(worker);
    run_fleet(worker);
    if (worker->is_stopping)
        stop_on(worker);
}

bool kpipe_delivers(const struct world_worker *worker, size_t lane)
{
    return may_deliver(worker, &worker->hosts[lane]) &&
           !(world_now() < worker->stalled_until && worker->host_stalls);
}
