/* fleet_java.c - what workers of the Kinesis Client Library 2 and 3 do to a lease table.
 *
 * Their rules as its documents and tests have them, not kpipe's: the taker of 2.x (counts, fair
 * share, one steal at a time, no hand-overs), and of 3.x the metrics, the lock, the leader that
 * assigns by count, and both sides of a hand-over. They live without lost answers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "tests/unit/fleet_world.h"

enum {
    RENEW_MS = FAILOVER_MS / 3 - 25,
    TAKE_MS = (FAILOVER_MS + 25) * 2,
    DISCOVER_MS = 9975,
    PARENT_MS = 10000,
    METRICS_MS = 30000,
    STALE_S = 60,
    ASSIGN_MS = 20000,
    BEAT_MS = 30000,
    LOCK_MS = 120000,
    LATE_MS = HAND_OVER_MS + FAILOVER_MS,
};

struct held {
    bool is_held, is_reading, is_leaving;
    uint64_t counter, position;
    int64_t renewed_ms, parents_ms, leave_ms;
};

struct seen {
    bool was_seen;
    uint64_t counter;
    int64_t moved_ms;  /* -1: never */
    int64_t handed_ms; /* 0: it is not being handed over */
};

struct java {
    struct world_worker *worker;
    struct world *world;
    struct held held[WORLD_LANES];
    struct seen seen[WORLD_LANES];
    int64_t renew_ms, take_ms, metrics_ms, lock_ms, assign_ms;
    bool is_leader;
    unsigned runs, versions;
    char version[64], lock_seen[64]; /* ours; the one seen last */
    int64_t lock_moved_ms;
};

struct java *java_new(struct world_worker *worker)
{
    struct java *java = mem_new(sizeof *java);
    int64_t now = world_now();

    java->worker = worker;
    java->world = worker->world;
    java->renew_ms = now + RENEW_MS;
    java->take_ms = now + (int64_t)world_roll(java->world, 2000);
    java->metrics_ms = now;
    java->lock_ms = now + (int64_t)world_roll(java->world, 5000);
    return java;
}

void java_free(struct java *java)
{
    free(java);
}

bool java_leads(const struct java *java)
{
    return java->is_leader;
}

void java_never_leads(struct java *java)
{
    java->lock_ms = INT64_MAX;
}

bool java_delivers(const struct java *java, size_t lane)
{
    return java->held[lane].is_reading;
}

/* ---- writes */

static struct lease_call call_of(struct java *java, enum lease_op op, size_t lane)
{
    struct lease_call call = {.op = op, .layout = java->world->layout};

    call.was = call.to = (struct lease){.key = java->world->lanes[lane].key, .throughput = -1};
    call.was.counter = java->held[lane].counter;
    return call;
}

/* True: done. Else *ret_row, if not NULL, is what stands there. */
static bool do_call(struct java *java, const struct lease_call *call, struct lease *ret_row)
{
    struct memory_answer answer;
    bool ok;

    memory_table_do(java->world->table, call, &answer);
    ok = answer.status == LEASE_DONE;
    if (ret_row && answer.row.key)
        lease_copy(ret_row, &answer.row);
    memory_answer_fini(&answer);
    return ok;
}

static const struct lease *row_of(const struct java *java, size_t lane)
{
    return memory_table_find(java->world->table, java->world->lanes[lane].key);
}

static bool is_mine(const struct java *java, const char *owner)
{
    return owner && !strcmp(owner, java->worker->id);
}

static void drop(struct java *java, size_t lane)
{
    java->held[lane] = (struct held){0};
}

static void lose(struct java *java, size_t lane)
{
    world_note(java->world, "%s: loses %zu", java->worker->id, lane);
    drop(java, lane);
}

static void hold(struct java *java, size_t lane, uint64_t counter)
{
    java->held[lane] =
        (struct held){.is_held = true, .counter = counter, .renewed_ms = world_now()};
}

/* KCL 2 knows nothing of checkpointOwner: what stands there stays. */
static void take(struct java *java, size_t lane)
{
    const struct lease *row = row_of(java, lane);
    struct lease_call call = call_of(java, LEASE_TAKE, lane);
    struct lease kept;

    if (!row || row->counter != java->seen[lane].counter)
        return;
    lease_copy(&kept, row);
    call.was.counter = row->counter;
    call.was.owner = kept.owner;
    call.to.owner = java->worker->id;
    if (do_call(java, &call, NULL)) {
        hold(java, lane, kept.counter + 1);
        if (kept.checkpoint_owner) {
            char *before = kept.owner;

            kept.owner = java->worker->id;
            kept.counter++;
            memory_table_put(java->world->table, &kept);
            kept.owner = before;
        }
    }
    lease_fini(&kept);
}

static bool write_counted(struct java *java, struct lease_call *call, size_t lane)
{
    if (!do_call(java, call, NULL))
        return false;
    java->held[lane].counter++;
    java->held[lane].renewed_ms = world_now();
    return true;
}

static bool checkpoint(struct java *java, size_t lane, const char *text)
{
    struct lease_call call = call_of(java, LEASE_CHECKPOINT, lane);

    call.to.checkpoint = (char *)(uintptr_t)text;
    if (write_counted(java, &call, lane))
        return true;
    lose(java, lane);
    return false;
}

static bool checkpoint_position(struct java *java, size_t lane)
{
    char text[64];

    world_position(lane, java->held[lane].position, text);
    return !java->held[lane].is_reading || !java->held[lane].position ||
           checkpoint(java, lane, text);
}

/* ---- renewals */

static void renew(struct java *java, size_t lane)
{
    struct held *held = &java->held[lane];
    struct lease_call call = call_of(java, LEASE_RENEW, lane);
    struct lease row = {0};

    call.checks_hand_off = java->worker->kind == WORKER_JAVA3 && !held->is_leaving;
    if (java->worker->kind == WORKER_JAVA3)
        call.to.throughput = 100;
    if (do_call(java, &call, &row)) {
        held->counter++;
        held->renewed_ms = world_now();
    } else if (call.checks_hand_off && is_mine(java, row.checkpoint_owner) &&
               row.counter == held->counter) {
        held->is_leaving = true;
        held->leave_ms = world_now() + (int64_t)world_roll(java->world, 5000);
        lease_fini(&row);
        renew(java, lane);
        return;
    } else {
        lose(java, lane);
    }
    lease_fini(&row);
}

static void leave(struct java *java, size_t lane)
{
    const struct lease *row;
    struct lease_call call;

    if (!checkpoint_position(java, lane))
        return;
    row = row_of(java, lane);
    call = call_of(java, LEASE_ASSIGN, lane);
    if (row && is_mine(java, row->checkpoint_owner)) {
        call.was.owner = call.to.owner = row->owner;
        call.was.checkpoint_owner = row->checkpoint_owner;
        do_call(java, &call, NULL);
        world_note(java->world, "%s: hands %zu over", java->worker->id, lane);
    }
    drop(java, lane);
}

/* ---- reading */

static bool have_parents_ended(struct java *java, size_t lane)
{
    for (int p = 0; p < 2; p++) {
        size_t parent = java->world->lanes[lane].parents[p];
        const struct lease *row = parent == NO_LANE ? NULL : row_of(java, parent);

        if (row && !lease_has_ended(row))
            return false;
    }
    return true;
}

static void begin(struct java *java, size_t lane)
{
    struct held *held = &java->held[lane];
    const struct lease *row = row_of(java, lane);

    if (world_now() < held->parents_ms || !row)
        return;
    held->parents_ms = world_now() + PARENT_MS;
    if (!have_parents_ended(java, lane))
        return;
    held->position = world_records(java->world, lane, row->checkpoint);
    held->is_reading = true;
    if (!strcmp(row->checkpoint, LEASE_LATEST))
        java->world->lanes[lane].done = held->position;
    world_note(java->world, "%s: reads %zu from %s", java->worker->id, lane, row->checkpoint);
    world_settled(java->world, lane, held->position, held->position);
}

/* Both parents of a merged lane have rows, or none has. */
static bool may_create(struct java *java, size_t child)
{
    const struct world_lane *lane = &java->world->lanes[child];

    return lane->parents[1] == NO_LANE ||
           (row_of(java, lane->parents[0]) && row_of(java, lane->parents[1]));
}

static void set_text(char **to, kpw_u128 n)
{
    *to = mem_new(KPW_U128_SIZE);
    kpw_u128_format(n, *to);
}

static void create(struct java *java, size_t at)
{
    struct world *world = java->world;
    const struct world_lane *lane = &world->lanes[at];
    struct lease_call call = call_of(java, LEASE_CREATE, at);

    call.to.checkpoint = (char *)(uintptr_t)LEASE_TRIM_HORIZON;
    for (int p = 0; p < 2; p++)
        if (lane->parents[p] != NO_LANE)
            call.to.parents[p] = world->lanes[lane->parents[p]].key;
    set_text(&call.to.low, lane->low);
    set_text(&call.to.high, lane->high);
    do_call(java, &call, NULL);
    free(call.to.low);
    free(call.to.high);
}

/* A child that is not there and may not be made: another time. One that was cleaned up can only be
 * so when we are late; KCL would make it again, we do not play that. */
static void end(struct java *java, size_t at)
{
    struct world *world = java->world;
    struct world_lane *lane = &world->lanes[at];
    struct lease_call call;

    for (int c = 0; c < 2; c++) {
        size_t child = lane->children[c];

        if (child == NO_LANE || row_of(java, child) || world->lanes[child].has_ended)
            continue;
        if (!may_create(java, child))
            return;
        create(java, child);
    }
    call = call_of(java, LEASE_META, at);
    for (int c = 0; c < 2; c++)
        if (lane->children[c] != NO_LANE)
            call.to.children[c] = world->lanes[lane->children[c]].key;
    do_call(java, &call, NULL);
    lane->has_ended = true;
    if (checkpoint(java, at, LEASE_SHARD_END)) {
        world_note(world, "%s: end of %zu", java->worker->id, at);
        drop(java, at);
    }
}

static void read_on(struct java *java, size_t at)
{
    struct held *held = &java->held[at];
    struct world_lane *lane = &java->world->lanes[at];
    uint64_t before = held->position;

    if (lane->produced > before)
        held->position += 1 + world_roll(java->world, lane->produced - before);
    world_settled(java->world, at, before, held->position);
    if (lane->is_closed && held->position == lane->produced && !held->is_leaving)
        end(java, at);
    else if (world_roll(java->world, 40) == 0)
        checkpoint_position(java, at);
}

static void step_lane(struct java *java, size_t lane)
{
    struct held *held = &java->held[lane];

    if (world_now() - held->renewed_ms > FAILOVER_MS)
        lose(java, lane);
    else if (held->is_leaving && world_now() >= held->leave_ms)
        leave(java, lane);
    else if (held->is_reading)
        read_on(java, lane);
    else if (!held->is_leaving)
        begin(java, lane);
}

/* ---- what a worker sees of the others */

static void look(struct java *java)
{
    for (size_t i = 0; i < java->world->n_lanes; i++) {
        const struct lease *row = row_of(java, i);
        struct seen *seen = &java->seen[i];

        if (!row) {
            *seen = (struct seen){0};
            continue;
        }
        if (!seen->was_seen)
            seen->moved_ms = row->owner ? world_now() : -1;
        else if (seen->counter != row->counter)
            seen->moved_ms = world_now();
        seen->was_seen = true;
        seen->counter = row->counter;
        if (!row->checkpoint_owner)
            seen->handed_ms = 0;
        else if (!seen->handed_ms)
            seen->handed_ms = world_now();
    }
}

static bool is_idle(const struct java *java, size_t lane, int64_t ms)
{
    return java->seen[lane].moved_ms < 0 || world_now() - java->seen[lane].moved_ms > ms;
}

/* ---- 2.x: the taker */

struct share {
    const char *owner;
    size_t n;
};

static size_t share_of(struct share *shares, size_t *n, const char *owner)
{
    for (size_t i = 0; i < *n; i++)
        if (!strcmp(shares[i].owner, owner))
            return i;
    shares[*n] = (struct share){owner, 0};
    return (*n)++;
}

static void take_some(struct java *java, const size_t *from, size_t n_from, size_t n)
{
    size_t first = n_from ? world_roll(java->world, n_from) : 0;

    for (size_t i = 0; i < n && i < n_from; i++)
        take(java, from[(first + i) % n_from]);
}

static void steal(struct java *java, const struct share *shares, size_t n_shares, size_t target,
                  size_t needed)
{
    const struct share *most = NULL;
    size_t mine[WORLD_LANES], n = 0;

    for (size_t i = 1; i < n_shares; i++)
        if (!most || shares[i].n > most->n)
            most = &shares[i];
    if (!most || most->n < target || (most->n == target && needed < 2))
        return;
    for (size_t i = 0; i < java->world->n_lanes; i++) {
        const struct lease *row = row_of(java, i);

        if (row && row->owner && !strcmp(row->owner, most->owner) && !lease_has_ended(row))
            mine[n++] = i;
    }
    take_some(java, mine, n, 1);
}

static void take_round(struct java *java)
{
    struct share shares[WORLD_LANES] = {{java->worker->id, 0}};
    size_t n_shares = 1, n = 0, target, needed;
    size_t idle[WORLD_LANES], n_idle = 0, old[WORLD_LANES], n_old = 0;

    look(java);
    for (size_t i = 0; i < java->world->n_lanes; i++) {
        const struct lease *row = row_of(java, i);

        if (!row || lease_has_ended(row))
            continue;
        n++;
        if (row->owner && !is_idle(java, i, FAILOVER_MS)) {
            shares[share_of(shares, &n_shares, row->owner)].n++;
            continue;
        }
        idle[n_idle++] = i;
        if (is_idle(java, i, 3 * FAILOVER_MS))
            old[n_old++] = i;
    }
    target = n_shares >= n ? 1 : (n + n_shares - 1) / n_shares;
    needed = shares[0].n < target ? target - shares[0].n : 0;
    if (n_old)
        take_some(java, old, n_old, n_old);
    else if (n_idle)
        take_some(java, idle, n_idle, needed);
    else if (needed)
        steal(java, shares, n_shares, target, needed);
}

/* ---- 3.x */

static void discover(struct java *java)
{
    for (size_t i = 0; i < java->world->n_lanes; i++) {
        const struct lease *row = row_of(java, i);

        if (row && is_mine(java, row->owner) && !row->checkpoint_owner && !lease_has_ended(row) &&
            !java->held[i].is_held)
            hold(java, i, row->counter);
    }
}

static void write_metrics(struct java *java)
{
    struct lease_call call = {.op = LEASE_METRICS, .layout = java->world->layout};

    call.worker = (struct lease_worker){
        .id = java->worker->id, .updated_s = clock_wall_ms() / 1000, .cpu = -1, .cpu_limit = 100};
    do_call(java, &call, NULL);
}

static struct lease_call lock_call(struct java *java, enum lease_op op,
                                   const struct lease_lock *was)
{
    struct lease_call call = {.op = op, .layout = java->world->layout, .lock_was = was};

    snprintf(java->version, sizeof java->version, "%s-%u", java->worker->id, java->versions++);
    call.lock = (struct lease_lock){
        .owner = java->worker->id, .version = java->version, .duration_ms = LOCK_MS};
    return call;
}

/* Every few seconds: beats when it leads, else sees whether the lock has run out. */
static void lock_round(struct java *java)
{
    const struct lease_lock *lock = memory_table_lock(java->world->table);
    struct lease_call call;
    struct lease_lock was;

    java->lock_ms = world_now() + (java->is_leader ? BEAT_MS : 5000);
    if (java->is_leader) {
        was = (struct lease_lock){.owner = java->worker->id, .version = mem_dup(java->version)};
        call = lock_call(java, LEASE_LOCK_BEAT, &was);
        java->is_leader = do_call(java, &call, NULL);
        free(was.version);
        return;
    }
    if (lock && strcmp(java->lock_seen, lock->version) != 0) {
        snprintf(java->lock_seen, sizeof java->lock_seen, "%s", lock->version);
        java->lock_moved_ms = world_now();
    }
    if (lock && !lock->is_released && world_now() - java->lock_moved_ms <= LOCK_MS)
        return;
    call = lock_call(java, LEASE_LOCK_TAKE, lock);
    java->is_leader = do_call(java, &call, NULL);
    java->assign_ms = world_now();
    if (java->is_leader)
        world_note(java->world, "%s: leads", java->worker->id);
}

struct crew {
    const struct lease_worker *workers[WORLD_WORKERS];
    size_t counts[WORLD_WORKERS], n;
};

static void find_crew(struct java *java, struct crew *crew)
{
    struct world *world = java->world;

    for (size_t i = 0; i < world->n_workers; i++) {
        const struct lease_worker *worker = memory_table_worker(world->table, world->workers[i].id);

        if (worker && clock_wall_ms() / 1000 - worker->updated_s <= STALE_S)
            crew->workers[crew->n++] = worker;
    }
}

static size_t crew_of(const struct crew *crew, const char *id)
{
    for (size_t i = 0; id && i < crew->n; i++)
        if (!strcmp(crew->workers[i]->id, id))
            return i;
    return SIZE_MAX;
}

static size_t extreme(const struct crew *crew, bool is_least)
{
    size_t best = 0;

    for (size_t i = 1; i < crew->n; i++)
        if (is_least ? crew->counts[i] < crew->counts[best] : crew->counts[i] > crew->counts[best])
            best = i;
    return best;
}

static void give(struct java *java, size_t lane, const char *to, bool is_graceful)
{
    const struct lease *row = row_of(java, lane);
    struct lease_call call = call_of(java, is_graceful ? LEASE_HAND_OFF : LEASE_ASSIGN, lane);

    call.was.owner = row->owner;
    call.was.checkpoint_owner = row->checkpoint_owner;
    call.to.owner = (char *)(uintptr_t)to;
    if (!is_graceful && world_worker(java->world, row->owner)) /* it may have come back just now */
        java->world->lanes[lane].broken_ms = world_now();
    do_call(java, &call, NULL);
}

static void balance(struct java *java, struct crew *crew)
{
    for (size_t tries = 0; tries < java->world->n_lanes; tries++) {
        size_t most = extreme(crew, false), least = extreme(crew, true);
        size_t lane = SIZE_MAX;

        if (crew->counts[most] < crew->counts[least] + 2)
            return;
        for (size_t i = 0; i < java->world->n_lanes; i++) {
            const struct lease *row = row_of(java, i);

            if (row && row->owner && !row->checkpoint_owner && !lease_has_ended(row) &&
                !strcmp(row->owner, crew->workers[most]->id))
                lane = i;
        }
        if (lane == SIZE_MAX)
            return;
        give(java, lane, crew->workers[least]->id, true);
        crew->counts[most]--;
        crew->counts[least]++;
    }
}

static void assign_round(struct java *java)
{
    struct crew crew = {0};

    find_crew(java, &crew);
    look(java);
    if (!crew.n)
        return;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < java->world->n_lanes; i++) {
            const struct lease *row = row_of(java, i);
            bool is_late =
                java->seen[i].handed_ms && world_now() - java->seen[i].handed_ms > LATE_MS;
            size_t at;

            if (!row || lease_has_ended(row))
                continue;
            if (lease_worker(row) && !is_idle(java, i, FAILOVER_MS) && !is_late) {
                at = crew_of(&crew, row->owner);
                if (pass == 0 && at != SIZE_MAX)
                    crew.counts[at]++;
            } else if (pass == 1) {
                at = extreme(&crew, true);
                give(java, i, crew.workers[at]->id, false);
                crew.counts[at]++;
            }
        }
    if (++java->runs % 3 == 0)
        balance(java, &crew);
}

static void step3(struct java *java)
{
    if (world_now() >= java->metrics_ms) {
        java->metrics_ms = world_now() + METRICS_MS;
        write_metrics(java);
    }
    if (world_now() >= java->lock_ms)
        lock_round(java);
    if (java->is_leader && world_now() >= java->assign_ms) {
        java->assign_ms = world_now() + ASSIGN_MS;
        assign_round(java);
    }
    if (world_now() >= java->take_ms) {
        java->take_ms = world_now() + DISCOVER_MS;
        discover(java);
    }
}

void java_step(struct java *java)
{
    size_t n_lanes = java->world->n_lanes;

    if (java->worker->kind == WORKER_JAVA3) {
        step3(java);
    } else if (world_now() >= java->take_ms) {
        take_round(java);
        java->take_ms = world_now() + TAKE_MS;
    }
    if (world_now() >= java->renew_ms) {
        java->renew_ms += RENEW_MS;
        for (size_t i = 0; i < n_lanes; i++)
            if (java->held[i].is_held)
                renew(java, i);
    }
    for (size_t i = 0; i < n_lanes; i++)
        if (java->held[i].is_held)
            step_lane(java, i);
}
