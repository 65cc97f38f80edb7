/* fleet.h - this process among the workers that share one lease table.
 *
 * A state machine without threads and timers: what happened is told to it, and
 * fleet_run() does what is due. So the whole of it can be played in virtual time.
 *
 * Rows come from the table (scanned every few seconds) and from listings of the
 * stream; missing ones are created. Leases are had in one of two ways, and which one
 * follows from what stands in the table:
 *
 *   taker     every worker takes its fair share (take.h): kpipe alone, or beside KCL 1.x, 2.x
 *   assigned  a leader assigns (assign.h): KCL 3.x; whoever holds the lock leads, maybe we
 *
 * A held lease is renewed every third of the fail-over time, by a checkpoint when its
 * position has moved. It is granted to the host once its parents have ended. It ends in one
 * of these ways: its records have (SHARD_END is written after its children's rows exist);
 * it is handed over (another worker asked: no new records, those in hand are settled, the
 * checkpoint is written, then the new owner's name); it is lost (another has taken it, or we
 * could not renew it in time); it is released (the run ends).
 *
 * Owned by: the lease thread.   Threads: its own; lease_row_*() marked [any] also workers.
 */
#ifndef KPIPE_LEASE_FLEET_H
#define KPIPE_LEASE_FLEET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <kpipe/plugin.h>

#include "core/lease/io.h"
#include "core/lease/sync.h"

struct fleet;

enum fleet_layout { FLEET_AUTO, FLEET_KCL2, FLEET_KCL3_TABLES, FLEET_KCL3_SINGLE };

struct fleet_config {
    const char *worker; /* [borrowed] our id: unique, never used again */
    enum fleet_layout layout;
    int64_t failover_ms;   /* KCL's failoverTimeMillis: the same in the whole fleet. 10000 */
    int64_t checkpoint_ms; /* positions are written at least so often */
    int64_t hand_over_ms;  /* how long a hand-over may take: 30000 */
    size_t max_leases;     /* 0: no limit */
    size_t max_steals;     /* in one round of the taker: 1 */
    size_t calls;          /* under way at a time: 32 */
    bool by_count;         /* as leader: share the number of leases, not the load */
    uint64_t seed;         /* of its random numbers */
};

/* A row as the host knows it. Lives as long as the fleet. */
struct lease_row {
    struct lease_row *next; /* in the fleet; rows are only ever added in front */
    struct lease_row *same; /* next of its hash chain */
    struct fleet *fleet;
    char *name; /* [owned] leaseKey */
    /* The host's: the worker and the lane that it was granted to, and that it is not told back yet.
     */
    void *host;
    uint32_t where;
    bool is_out;

    pthread_mutex_t lock;
    /* guarded by lock */
    char text[KP_POSITION_MAX + 1]; /* the watermark */
    uint64_t sub;
    bool is_dirty; /* moved since it was last written */
    char *pending; /* [owned] boundary to prepare, NULL: none */
    uint64_t pending_sub;
    void (*prepared)(void *arg, bool ok); /* [lease thread] NULL: nobody waits */
    void *prepared_arg;
    _Atomic uint64_t bytes; /* of the records read: KCL 3's throughputKBps */
    /* Until when (monotonic, ms) the lease is ours for sure: later nothing of the row is delivered.
     */
    _Atomic int64_t valid_until;
    _Atomic bool is_given_up; /* the host has let records go because of that */

    struct row_state *state; /* [owned by fleet] */
};

/* Ids of kpipe's workers begin so: they understand hand-overs whatever KCL the fleet is of. */
#define FLEET_ID_PREFIX "kpipe:"

struct fleet_ops {
    /* The lease is ours: read it from row->text (a word or a sequence number), row->sub. */
    void (*grant)(void *arg, struct lease_row *row);
    /* Read no more. fleet_drained() when all is settled, or (is_lost) given up. */
    void (*revoke)(void *arg, struct lease_row *row, bool is_lost);
    /* A new listing is wanted: a lane has ended, or the table has a hole. */
    void (*list)(void *arg);
    /* The run cannot go on: [borrowed text]. */
    void (*fail)(void *arg, const char *text);
};

/* `io` is [consumed]. */
struct fleet *fleet_new(const struct fleet_config *config, struct lease_io *io,
                        const struct fleet_ops *ops, void *arg);
void fleet_free(struct fleet *fleet); /* NULL is fine */

/* Does what is due. Returns when it wants to run again at the latest (io's clock); replies and the
 * calls below may make it earlier: run it after each of them. */
int64_t fleet_run(struct fleet *fleet);

bool fleet_has_scanned(const struct fleet *fleet); /* the rows of the table are known */
/* Is somebody else at work on this table? FLEET_UNKNOWN: rows have owners, and it takes the
 * fail-over time to see whether they still renew them. */
enum fleet_others { FLEET_ALONE, FLEET_UNKNOWN, FLEET_OTHERS };
enum fleet_others fleet_others(struct fleet *fleet);
/* [consumes listing] What the source says there is now. */
void fleet_list(struct fleet *fleet, struct listing *listing);
/* A granted row has no open records any more; its watermark stands where it belongs. */
void fleet_drained(struct fleet *fleet, struct lease_row *row);

/* The run ends: no more grants; every lease is released with its last checkpoint, those still
 * granted as they stand. Done when fleet_is_released(). */
void fleet_release(struct fleet *fleet);
bool fleet_is_released(const struct fleet *fleet);

/* Rows may be granted from now on. */
void fleet_begin(struct fleet *fleet);

/* Nothing offered waits to be ours: all lanes that we could have are granted or have ended. [any]
 */
bool fleet_is_settled(const struct fleet *fleet);
/* How many leases were ever granted. [any] */
uint64_t fleet_grants(const struct fleet *fleet);

/* A lane that its source opens without being asked (it has no grant()): its row, found or made; it
 * is taken, whoever has it, and written as it moves. [any, once fleet_has_scanned()] */
struct lease_row *fleet_own(struct fleet *fleet, const char *name);

/* ---- of a row [any] */
void lease_row_move(struct lease_row *row, const char *text, size_t len, uint64_t sub);
bool lease_row_is_dirty(struct lease_row *row);
/* Keeps what is known of a lane that was opened without being offered, beside its position. The
 * first time counts. */
void lease_row_about(struct lease_row *row, const kp_lane_about *about);
/* Where it comes from. [lease thread, in grant(); borrowed until it returns] */
void lease_row_get_about(const struct lease_row *row, kp_lane_about *ret);
/* Copies where it stands. */
void lease_row_position(struct lease_row *row, char text[KP_POSITION_MAX + 1], uint64_t *ret_sub);
/* Asks for `text` to be written as pendingCheckpoint; fn hears it on the lease thread, at the
 * latest when the fleet is freed. One at a time. */
void lease_row_prepare(struct lease_row *row, const char *text, uint64_t sub,
                       void (*fn)(void *arg, bool ok), void *arg);
/* The boundary that the owner before us had prepared and not reached. False: none. */
bool lease_row_pending(struct lease_row *row, char text[KP_POSITION_MAX + 1], uint64_t *ret_sub);

#endif
