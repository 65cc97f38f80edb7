/* fleet_world.c - see fleet_world.h: the stream, kpipe's workers, and what must hold at every step.
 */
#include "tests/unit/fleet_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

#define START_MS INT64_C(1700000000000)

/* ---- seeds and notes */

int64_t world_now(void)
{
    return clock_mono_ms();
}

uint64_t world_roll(struct world *world, uint64_t n)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (world->random >> 11) % n;
}

static void keep(struct world *world, const char *fmt, va_list args)
{
    size_t at = world->n_trace++ % (sizeof world->trace / sizeof *world->trace);
    char text[300];
    int64_t now = world_now() - START_MS;

    vsnprintf(text, sizeof text, fmt, args);
    free(world->trace[at]);
    world->trace[at] =
        mem_fmt("%6lld.%03lld %s", (long long)(now / 1000), (long long)(now % 1000), text);
    if (getenv("KPIPE_MODEL_TRACE"))
        fprintf(stderr, "%s\n", world->trace[at]);
}

void world_note(struct world *world, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    keep(world, fmt, args);
    va_end(args);
}

void world_wrong(struct world *world, const char *fmt, ...)
{
    const size_t size = sizeof world->trace / sizeof *world->trace;
    va_list args;

    va_start(args, fmt);
    keep(world, fmt, args);
    va_end(args);
    if (world->errors++)
        return;
    fprintf(stderr, "\nmodel: seed %llu:\n", (unsigned long long)world->seed);
    for (size_t i = world->n_trace > size ? world->n_trace - size : 0; i < world->n_trace; i++)
        fprintf(stderr, "%s\n", world->trace[i % size]);
}

/* ---- the stream */

static size_t add_lane(struct world *world, size_t a, size_t b, kpw_u128 low, kpw_u128 high)
{
    struct world_lane *lane = &world->lanes[world->n_lanes];

    if (world->n_lanes == WORLD_LANES)
        abort();
    *lane = (struct world_lane){.parents = {a, b},
                                .children = {NO_LANE, NO_LANE},
                                .low = low,
                                .high = high,
                                .is_listed = true,
                                .shared_since = -1};
    snprintf(lane->key, sizeof lane->key, "shardId-%012zu", world->n_lanes);
    return world->n_lanes++;
}

void world_split(struct world *world, size_t at)
{
    struct world_lane *lane = &world->lanes[at];
    kpw_u128 middle = lane->low + (lane->high - lane->low) / 2;

    lane->is_closed = true;
    lane->children[0] = add_lane(world, at, NO_LANE, lane->low, middle);
    lane->children[1] = add_lane(world, at, NO_LANE, middle + 1, lane->high);
    world_note(world, "stream: %zu splits into %zu, %zu", at, lane->children[0], lane->children[1]);
}

bool world_merge(struct world *world, size_t at)
{
    struct world_lane *lane = &world->lanes[at];

    for (size_t i = 0; i < world->n_lanes; i++) {
        struct world_lane *other = &world->lanes[i];

        if (lane->is_closed || other->is_closed || i == at || lane->high == KPW_U128_MAX ||
            other->low != lane->high + 1)
            continue;
        lane->is_closed = other->is_closed = true;
        lane->children[0] = other->children[0] = add_lane(world, at, i, lane->low, other->high);
        world_note(world, "stream: %zu, %zu merge into %zu", at, i, lane->children[0]);
        return true;
    }
    return false;
}

size_t world_lane(const struct world *world, const char *key)
{
    size_t at = strtoul(key + strlen("shardId-"), NULL, 10);

    if (at >= world->n_lanes || strcmp(world->lanes[at].key, key) != 0)
        abort();
    return at;
}

static char *u128_text(kpw_u128 n)
{
    char text[KPW_U128_SIZE];

    kpw_u128_format(n, text);
    return mem_dup(text);
}

struct listing *world_list(const struct world *world)
{
    struct listing *listing = mem_new(sizeof *listing);

    listing->begin = mem_dup(world->begin);
    listing->lanes = mem_new((world->n_lanes + 1) * sizeof *listing->lanes);
    for (size_t i = 0; i < world->n_lanes; i++) {
        const struct world_lane *lane = &world->lanes[i];
        struct listed_lane *listed = &listing->lanes[listing->n];

        if (!lane->is_listed)
            continue;
        *listed = (struct listed_lane){.key = mem_dup(lane->key),
                                       .low = u128_text(lane->low),
                                       .high = u128_text(lane->high),
                                       .is_closed = lane->is_closed};
        for (int p = 0; p < 2; p++)
            if (lane->parents[p] != NO_LANE)
                listed->parents[p] = mem_dup(world->lanes[lane->parents[p]].key);
        listing->n++;
    }
    return listing;
}

void world_position(size_t lane, uint64_t n, char text[64])
{
    snprintf(text, 64, "49%06zu%012llu", lane, (unsigned long long)n);
}

uint64_t world_records(const struct world *world, size_t lane, const char *checkpoint)
{
    char first[64];

    if (!strcmp(checkpoint, LEASE_TRIM_HORIZON) || !strcmp(checkpoint, LEASE_AT_TIMESTAMP))
        return 0;
    if (!strcmp(checkpoint, LEASE_LATEST) || !strcmp(checkpoint, LEASE_SHARD_END))
        return world->lanes[lane].produced;
    world_position(lane, 0, first);
    if (strncmp(checkpoint, first, 8) != 0 || strlen(checkpoint) != strlen(first))
        abort();
    return strtoull(checkpoint + 8, NULL, 10);
}

void world_settled(struct world *world, size_t at, uint64_t from, uint64_t to)
{
    struct world_lane *lane = &world->lanes[at];

    if (from > lane->done)
        world_wrong(world, "lane %zu: records %llu to %llu are skipped", at,
                    (unsigned long long)lane->done, (unsigned long long)from);
    if (to > lane->done)
        lane->done = to;
}

static void produce(struct world *world)
{
    for (size_t i = 0; i < world->n_lanes; i++)
        if (!world->lanes[i].is_closed)
            world->lanes[i].produced += world_roll(world, 3);
}

/* ---- a kpipe's host */

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
        if (row && !lease_has_ended(row))
            world_wrong(world, "%s: lane %zu is granted before its parent %zu has ended",
                        worker->id, at, parent);
        if (!world->lanes[parent].has_ended && !world->lanes[parent].is_excused)
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

    worker->has_failed = true;
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

    fate->request_ms = (int64_t)world_roll(world, 60);
    fate->reply_ms = (int64_t)world_roll(world, 60);
    fate->is_request_lost = luck < world->lost_per_1000;
    fate->is_reply_lost = !fate->is_request_lost && luck < 2 * world->lost_per_1000;
    if (fate->is_request_lost || fate->is_reply_lost)
        fate->reply_ms = 500 + (int64_t)world_roll(world, 3000);
    if (getenv("KPIPE_MODEL_CALLS") && call->was.key)
        world_note(world, "%s: call %d on %s at %llu, to %s%s", ((struct world_worker *)arg)->id,
                   call->op, call->was.key, (unsigned long long)call->was.counter,
                   call->op == LEASE_CHECKPOINT ? call->to.checkpoint : "-",
                   fate->is_request_lost ? ", lost"
                   : fate->is_reply_lost ? ", its answer will be lost"
                                         : "");
}

static void start_kpipe(struct world_worker *worker)
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

/* Somebody did not keep to the rules a moment ago. */
static bool is_broken(const struct world_lane *lane)
{
    return lane->broken_ms && world_now() - lane->broken_ms <= FAILOVER_MS;
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

        if (host->is_kept && !host->is_lost && row && !is_broken(&world->lanes[i]) &&
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

static void kpipe_step(struct world_worker *worker)
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

/* ---- workers */

struct world_worker *world_start(struct world *world, enum worker_kind kind)
{
    static const char *const names[] = {FLEET_ID_PREFIX "k", "java2-", "java3-"};
    struct world_worker *worker = &world->workers[world->n_workers];

    if (world->n_workers == WORLD_WORKERS)
        abort();
    *worker = (struct world_worker){.kind = kind, .lives = true, .world = world};
    snprintf(worker->id, sizeof worker->id, "%s%zu", names[kind], world->n_workers++);
    world_note(world, "%s: starts", worker->id);
    if (kind == WORKER_KPIPE)
        start_kpipe(worker);
    else
        worker->java = java_new(worker);
    return worker;
}

void world_kill(struct world_worker *worker)
{
    world_note(worker->world, "%s: dies", worker->id);
    worker->lives = false;
    fleet_free(worker->fleet);
    worker->fleet = NULL;
    worker->io = NULL;
    java_free(worker->java);
    worker->java = NULL;
}

void world_stop(struct world_worker *worker)
{
    world_note(worker->world, "%s: stops", worker->id);
    worker->is_stopping = true;
}

void world_stall(struct world_worker *worker, int64_t ms, bool host_stalls)
{
    world_note(worker->world, "%s: stalls for %lld ms%s", worker->id, (long long)ms,
               host_stalls ? ", all of it" : "");
    worker->stalled_until = world_now() + ms;
    worker->host_stalls = host_stalls;
}

size_t world_count(const struct world *world, enum worker_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < world->n_workers; i++)
        n += world->workers[i].lives && world->workers[i].kind == kind;
    return n;
}

struct world_worker *world_worker(struct world *world, const char *id)
{
    for (size_t i = 0; id && i < world->n_workers; i++)
        if (world->workers[i].lives && !strcmp(world->workers[i].id, id))
            return &world->workers[i];
    return NULL;
}

/* ---- what must hold */

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static void note_change(struct world *world, struct world_lane *lane, const struct lease *row)
{
    if (lane->had_row && is_same(lane->row.owner, row->owner) &&
        is_same(lane->row.checkpoint_owner, row->checkpoint_owner))
        return;
    world->moves += lane->had_row;
    world_note(world, "table: %zu is (%s, %s) at %s, %llu", (size_t)(lane - world->lanes),
               row->owner ? row->owner : "-", row->checkpoint_owner ? row->checkpoint_owner : "-",
               row->checkpoint, (unsigned long long)row->counter);
    if (lane->had_row && lane->row.owner && row->owner &&
        strcmp(lane->row.owner, row->owner) != 0 && !strncmp(row->owner, "java2", 5))
        lane->broken_ms = world_now();
}

static void check_row(struct world *world, struct world_lane *lane)
{
    const struct lease *row = memory_table_find(world->table, lane->key);
    size_t at = (size_t)(lane - world->lanes);

    if (!row && lane->had_row)
        world_note(world, "table: %zu is deleted", at);
    if (row) {
        note_change(world, lane, row);
        if (lane->had_row && lease_compare_checkpoints(row->checkpoint, row->sub,
                                                       lane->row.checkpoint, lane->row.sub) < 0)
            world_wrong(world, "table: %zu goes back from %s to %s", at, lane->row.checkpoint,
                        row->checkpoint);
        if (lane->had_row && row->counter < lane->row.counter)
            world_wrong(world, "table: the counter of %zu goes back", at);
        if (lease_has_ended(row) && !lane->has_ended)
            world_wrong(world, "table: %zu ends before its end", at);
        if (world_records(world, at, row->checkpoint) > lane->done && !lease_has_ended(row))
            world_wrong(world, "table: %zu is at %s before it was settled", at, row->checkpoint);
    }
    lease_fini(&lane->row);
    lane->had_row = row != NULL;
    if (row)
        lease_copy(&lane->row, row);
}

/* Between kpipe's workers nobody ever delivers what another delivers too. With KCL 2, which takes
 * leases from live workers, or when a row is deleted by hand, no longer than the fail-over time. */
static void check_delivery(struct world *world, struct world_lane *lane)
{
    size_t at = (size_t)(lane - world->lanes);
    size_t n = 0, n_java = 0;
    char names[200] = "";

    for (size_t i = 0; i < world->n_workers; i++) {
        struct world_worker *worker = &world->workers[i];

        if (!worker->lives)
            continue;
        if (worker->kind != WORKER_KPIPE) {
            n_java += java_delivers(worker->java, at);
            continue;
        }
        if (!may_deliver(worker, &worker->hosts[at]) ||
            (world_now() < worker->stalled_until && worker->host_stalls))
            continue;
        n++;
        snprintf(names + strlen(names), sizeof names - strlen(names), " %s", worker->id);
    }
    if (n > 1 && !is_broken(lane))
        world_wrong(world, "lane %zu is delivered by%s", at, names);
    if (n + n_java < 2 || n == 0) {
        lane->shared_since = -1;
        return;
    }
    if (lane->shared_since < 0)
        lane->shared_since = world_now();
    if (world_now() - lane->shared_since > FAILOVER_MS)
        world_wrong(world, "lane %zu is delivered by Java and%s", at, names);
}

static void check(struct world *world)
{
    for (size_t i = 0; i < world->n_lanes; i++) {
        check_row(world, &world->lanes[i]);
        check_delivery(world, &world->lanes[i]);
    }
}

/* ---- time */

void world_step(struct world *world)
{
    size_t first = world_roll(world, world->n_workers + 1);

    clock_fake_move(STEP_MS);
    produce(world);
    memory_table_run(world->table);
    for (size_t i = 0; i < world->n_workers; i++) {
        struct world_worker *worker = &world->workers[(first + i) % world->n_workers];

        if (!worker->lives)
            continue;
        if (worker->kind == WORKER_KPIPE)
            kpipe_step(worker);
        else
            java_step(worker->java);
        memory_table_run(world->table);
    }
    check(world);
}

void fleet_world_run(struct world *world, int64_t ms)
{
    for (; ms > 0 && !world->errors; ms -= STEP_MS)
        world_step(world);
}

static bool is_read(size_t at, struct world_worker *worker)
{
    if (worker->kind == WORKER_KPIPE)
        return may_deliver(worker, &worker->hosts[at]) && worker->hosts[at].phase == HOST_READING;
    return java_delivers(worker->java, at);
}

const char *world_unrest(struct world *world)
{
    static char text[200];
    size_t most = 0, least = SIZE_MAX, n_of[WORLD_WORKERS] = {0};

    for (size_t i = 0; i < world->n_lanes; i++) {
        const struct world_lane *lane = &world->lanes[i];
        struct world_worker *owner = world_worker(world, lane->had_row ? lane->row.owner : NULL);

        snprintf(text, sizeof text, "lane %zu, at (%s, %s)", i,
                 lane->row.owner ? lane->row.owner : "-",
                 lane->row.checkpoint_owner ? lane->row.checkpoint_owner : "-");
        if (lane->is_closed && (!(lane->has_ended || lane->is_excused) ||
                                (lane->had_row && !lease_has_ended(&lane->row))))
            return text;
        if (lane->is_closed)
            continue;
        if (!owner || !is_read(i, owner))
            return text;
        n_of[owner - world->workers]++;
    }
    for (size_t i = 0; i < world->n_workers; i++) {
        if (!world->workers[i].lives)
            continue;
        most = n_of[i] > most ? n_of[i] : most;
        least = n_of[i] < least ? n_of[i] : least;
    }
    snprintf(text, sizeof text, "one has %zu lanes, one %zu", most, least);
    return most > least + 1 ? text : NULL;
}

bool world_settles(struct world *world, int64_t within_ms)
{
    while (world_unrest(world)) {
        if (within_ms <= 0) {
            world_wrong(world, "no rest: %s", world_unrest(world));
            return false;
        }
        within_ms -= STEP_MS;
        world_step(world);
        if (world->errors)
            return false;
    }
    return true;
}

/* ---- the world */

struct world *world_new(uint64_t seed, size_t n_lanes)
{
    struct world *world = mem_new(sizeof *world);
    kpw_u128 width = KPW_U128_MAX / n_lanes;

    clock_fake(START_MS);
    world->seed = seed;
    world->random = seed * 0x9e3779b97f4a7c15u + 1;
    world->begin = LEASE_TRIM_HORIZON;
    world->table = memory_table_new("app");
    for (size_t i = 0; i < n_lanes; i++)
        add_lane(world, NO_LANE, NO_LANE, width * i,
                 i + 1 < n_lanes ? width * (i + 1) - 1 : KPW_U128_MAX);
    return world;
}

void world_free(struct world *world)
{
    for (size_t i = 0; i < world->n_workers; i++)
        if (world->workers[i].lives)
            world_kill(&world->workers[i]);
    memory_table_free(world->table);
    for (size_t i = 0; i < world->n_lanes; i++)
        lease_fini(&world->lanes[i].row);
    for (size_t i = 0; i < sizeof world->trace / sizeof *world->trace; i++)
        free(world->trace[i]);
    free(world);
    clock_real();
}
