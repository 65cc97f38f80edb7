/* fleet_world.h - a stream, a lease table and the workers that share it, in virtual time.
 *
 * Kpipe's workers are real fleets (core/lease/fleet.h) with a host that is played:
 * it reads what was produced, settles it a while later, drains when asked to. Java's are
 * the few rules of the Kinesis Client Library that matter to others at the table, written
 * independently of kpipe's (fleet_java.c). At every step of time the table and all who deliver
 * are looked at; what must not be is counted and told with the seed and what happened last.
 *
 * Everything comes from one seed. Environment: KPIPE_MODEL_TRACE=1 prints all that happens.
 */
#ifndef KPIPE_TESTS_FLEET_WORLD_H
#define KPIPE_TESTS_FLEET_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/lease/fleet.h"
#include "core/lease/memory.h"
#include "sdk/wire/random.h"
#include "sdk/wire/u128.h"

enum {
    WORLD_LANES = 300,
    WORLD_WORKERS = 40, /* ever */
    STEP_MS = 100,
    FAILOVER_MS = 10000,
    HAND_OVER_MS = 30000,
};

#define NO_LANE SIZE_MAX

struct world_lane {
    char key[32];
    size_t parents[2], children[2];
    kpw_u128 low, high;
    bool is_closed, is_listed;
    uint64_t produced; /* records so far */
    uint64_t done;     /* the first so many were settled by somebody */
    bool has_ended;    /* somebody worked through to its end */
    bool is_excused;   /* its row was deleted by hand when it was closed: it need not be worked
                          through */
    /* as the table had it a step ago */
    bool had_row, ever_had_row;
    bool may_be_remade,
        was_remade;       /* its row, or one that tells that it is done, was deleted by hand */
    struct lease row;     /* [owned] */
    int64_t broken_ms;    /* when its lease was last taken from a live worker, or its row deleted by
                             hand */
    int64_t shared_since; /* since when two deliver it; -1: they do not */
};

enum worker_kind { WORKER_KPIPE, WORKER_JAVA2, WORKER_JAVA3 };

enum host_phase { HOST_NONE, HOST_READING, HOST_DRAINING, HOST_GIVING_UP };

/* What the host of a kpipe has of a lane. */
struct host_lane {
    enum host_phase phase;
    struct lease_row *row;
    uint64_t read, settled;
    int64_t drained_ms;    /* when it will have drained */
    bool is_kept, is_lost; /* it was read when the worker was asked to stop; was lost */
};

struct java;

struct world_worker {
    enum worker_kind kind;
    char id[48];
    bool lives;
    struct world *world;
    /* kpipe */
    struct fleet *fleet;
    struct lease_io *io;
    int64_t run_ms, skew_ms; /* when it wants to run, in its own clock */
    int64_t list_ms, next_list_ms;
    int64_t stalled_until;
    bool host_stalls; /* too; else only the lease thread */
    bool is_stopping, is_releasing;
    struct host_lane hosts[WORLD_LANES];
    /* Java */
    struct java *java; /* [owned] */
};

struct world {
    struct memory_table *table;
    uint64_t seed;
    struct kpw_random random;
    const char *begin;
    enum lease_layout layout; /* where KCL 3 keeps its things */
    struct world_lane lanes[WORLD_LANES];
    size_t n_lanes;
    struct world_worker workers[WORLD_WORKERS];
    size_t n_workers;
    unsigned lost_per_1000; /* requests, as many answers, and as many of both are late */
    size_t max_leases;
    bool is_down;      /* the table refuses whatever kpipe's workers ask, at once */
    unsigned asked;    /* their requests */
    unsigned moves;    /* changes of owners */
    unsigned n_robbed; /* ... of them from a live worker that was not asked */
    unsigned errors;
    char *trace[400]; /* [owned] the last things that happened */
    size_t n_trace;
};

struct world *world_new(uint64_t seed, size_t n_lanes);
void world_free(struct world *world);

int64_t world_now(void);
uint64_t world_roll(struct world *world, uint64_t n);
__attribute__((format(printf, 2, 3))) void world_note(struct world *world, const char *fmt, ...);
/* Something is as it must not be. */
__attribute__((format(printf, 2, 3))) void world_wrong(struct world *world, const char *fmt, ...);

/* ---- workers */
struct world_worker *world_start(struct world *world, enum worker_kind kind);
void world_kill(struct world_worker *worker);
void world_stop(struct world_worker *worker); /* cleanly, takes its time */
void world_stall(struct world_worker *worker, int64_t ms, bool host_stalls);
size_t world_count(const struct world *world, enum worker_kind kind);   /* alive */
struct world_worker *world_worker(struct world *world, const char *id); /* alive; NULL: none */

/* ---- the stream */
void world_split(struct world *world, size_t lane);
bool world_merge(struct world *world,
                 size_t lane); /* with its neighbour above; false: there is none */
size_t world_lane(const struct world *world, const char *key);
struct listing *world_list(const struct world *world); /* [owned by caller] */
void world_position(size_t lane, uint64_t n, char text[64]);
/* How many records a checkpoint says are done. */
uint64_t world_records(const struct world *world, size_t lane, const char *checkpoint);
/* Records from..to of the lane were settled by somebody. */
void world_settled(struct world *world, size_t lane, uint64_t from, uint64_t to);

/* ---- time */
void world_step(struct world *world);
void fleet_world_run(struct world *world, int64_t ms);
/* All lanes that are open are read by live workers, evenly; all others are done with. NULL: so it
 * is; else what is missing. */
const char *world_unrest(struct world *world);
/* Runs until that is so. False: it was not within that time. */
bool world_settles(struct world *world, int64_t within_ms);

/* Somebody deletes its row by hand, if there is one: it and what came before may be made again. */
void world_lose_row(struct world *world, size_t lane);
/* Somebody did not keep to the rules of this lane a moment ago: took it from a live worker, deleted
 * its row. Then it may be delivered by two for as long as the fail-over time. */
bool world_is_broken(const struct world_lane *lane);

/* Nobody has to work through this lane, though it is closed. */
bool world_is_excused(const struct world *world, size_t lane);

/* ---- fleet_host.c */
void kpipe_start(struct world_worker *worker);
void kpipe_step(struct world_worker *worker);
bool kpipe_delivers(const struct world_worker *worker, size_t lane);

/* ---- fleet_java.c */
struct java *java_new(struct world_worker *worker);
void java_free(struct java *java);
void java_step(struct java *java);
bool java_delivers(const struct java *java, size_t lane);
bool java_leads(const struct java *java);
void java_never_leads(struct java *java);

#endif
