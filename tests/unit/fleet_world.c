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
    return kpw_random_below(&world->random, n);
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
    const size_t head = strlen("49") + 6;

    if (!strcmp(checkpoint, LEASE_TRIM_HORIZON) || !strcmp(checkpoint, LEASE_AT_TIMESTAMP))
        return 0;
    if (!strcmp(checkpoint, LEASE_LATEST) || !strcmp(checkpoint, LEASE_SHARD_END))
        return world->lanes[lane].produced;
    if (strlen(checkpoint) != head + 12 || strncmp(checkpoint, "49", 2) != 0)
        abort();
    return strtoull(checkpoint + head, NULL, 10);
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
        kpipe_start(worker);
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

/* From LATEST on, what was closed before anybody knew of it and does not come after what was
 * leased. */
static bool is_past(const struct world *world, const struct world_lane *lane)
{
    if (strcmp(world->begin, LEASE_LATEST) != 0 || lane->ever_had_row)
        return false;
    for (int p = 0; p < 2; p++)
        if (lane->parents[p] != NO_LANE && world->lanes[lane->parents[p]].ever_had_row)
            return false;
    return true;
}

bool world_is_excused(const struct world *world, size_t at)
{
    return world->lanes[at].is_excused || is_past(world, &world->lanes[at]);
}

bool world_is_broken(const struct world_lane *lane)
{
    return lane->broken_ms && world_now() - lane->broken_ms <= FAILOVER_MS;
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static bool has_changed(const struct lease *a, const struct lease *b)
{
    return a->counter != b->counter || a->sub != b->sub || !is_same(a->owner, b->owner) ||
           !is_same(a->checkpoint_owner, b->checkpoint_owner) ||
           !is_same(a->checkpoint, b->checkpoint);
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
    if (!lane->had_row || !lane->row.owner || !row->owner || !strcmp(lane->row.owner, row->owner))
        return;
    if (!strncmp(row->owner, "java2", 5))
        lane->broken_ms = world_now();
    world->n_robbed += !lane->row.checkpoint_owner && !row->checkpoint_owner &&
                       world_worker(world, lane->row.owner) != NULL;
}

static void check_row(struct world *world, size_t at, const struct lease *row)
{
    const struct world_lane *lane = &world->lanes[at];

    if (lane->had_row && row->counter < lane->row.counter)
        world_wrong(world, "table: the counter of %zu goes back", at);
    if (lane->had_row && lease_compare_checkpoints(row->checkpoint, row->sub, lane->row.checkpoint,
                                                   lane->row.sub) < 0)
        world_wrong(world, "table: %zu goes back from %s to %s", at, lane->row.checkpoint,
                    row->checkpoint);
    if (lease_has_ended(row) && !lane->has_ended)
        world_wrong(world, "table: %zu ends before its end", at);
    if (strcmp(row->checkpoint, LEASE_LATEST) != 0 && !lease_has_ended(row) &&
        world_records(world, at, row->checkpoint) > lane->done)
        world_wrong(world, "table: %zu is at %s before it was settled", at, row->checkpoint);
}

static void look_at_row(struct world *world, size_t at)
{
    struct world_lane *lane = &world->lanes[at];
    const struct lease *row = memory_table_find(world->table, lane->key);

    if (row ? lane->had_row && !has_changed(row, &lane->row) : !lane->had_row)
        return;
    if (row) {
        note_change(world, lane, row);
        check_row(world, at, row);
        lane->was_remade |= lane->ever_had_row && !lane->had_row;
        if (lane->was_remade && !lane->may_be_remade)
            world_wrong(world, "table: %zu is made again though it was done", at);
    } else {
        world_note(world, "table: %zu is deleted", at);
    }
    lease_fini(&lane->row);
    lane->had_row = row != NULL;
    lane->ever_had_row |= lane->had_row;
    if (row)
        lease_copy(&lane->row, row);
}

static void allow_remaking(struct world *world, size_t at)
{
    if (at == NO_LANE || world->lanes[at].may_be_remade)
        return;
    world->lanes[at].may_be_remade = true;
    allow_remaking(world, world->lanes[at].parents[0]);
    allow_remaking(world, world->lanes[at].parents[1]);
}

void world_lose_row(struct world *world, size_t at)
{
    struct world_lane *lane = &world->lanes[at];
    const struct lease *row = memory_table_find(world->table, lane->key);
    struct lease_call call = {.op = LEASE_DELETE};
    struct memory_answer answer;

    if (!row)
        return;
    world_note(world, "somebody deletes %zu", at);
    allow_remaking(world, at);
    lane->broken_ms = world_now();
    lane->is_excused |= !strcmp(world->begin, LEASE_LATEST); /* made again, it begins later */
    call.was = *row;
    memory_table_do(world->table, &call, &answer);
    memory_answer_fini(&answer);
    lane->had_row = false; /* what is made now begins anew */
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
        if (!kpipe_delivers(worker, at))
            continue;
        n++;
        snprintf(names + strlen(names), sizeof names - strlen(names), " %s", worker->id);
    }
    if (n > 1 && !world_is_broken(lane))
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
        look_at_row(world, i);
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
        return kpipe_delivers(worker, at) && worker->hosts[at].phase == HOST_READING;
    return java_delivers(worker->java, at);
}

static bool is_lane_at_rest(struct world *world, size_t at, size_t *n_of)
{
    const struct world_lane *lane = &world->lanes[at];
    struct world_worker *owner = world_worker(world, lane->had_row ? lane->row.owner : NULL);

    if (lane->is_closed)
        return (lane->has_ended || world_is_excused(world, at)) &&
               (!lane->had_row || lease_has_ended(&lane->row));
    if (!owner || !is_read(at, owner))
        return false;
    n_of[owner - world->workers]++;
    return true;
}

const char *world_unrest(struct world *world)
{
    static char text[200];
    size_t most = 0, least = SIZE_MAX, n_of[WORLD_WORKERS] = {0};

    for (size_t i = 0; i < world->n_lanes; i++) {
        const struct lease *row = &world->lanes[i].row;

        snprintf(text, sizeof text, "lane %zu, at (%s, %s)", i, row->owner ? row->owner : "-",
                 row->checkpoint_owner ? row->checkpoint_owner : "-");
        if (!is_lane_at_rest(world, i, n_of))
            return text;
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
    kpw_random_init_from(&world->random, seed);
    world->begin = LEASE_TRIM_HORIZON;
    world->layout = LEASE_LAYOUT_KCL3_SINGLE;
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
