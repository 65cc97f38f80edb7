/* io.h - what can be done with a lease table, whatever keeps it.
 *
 * One call is one conditional write of the Kinesis Client Library, or a read.
 * Implementations: dynamodb.h (the real table), memory.h (in this process; also
 * behind file leases, and in tests that play many workers in virtual time).
 *
 * Threads: one, that of its fleet.
 */
#ifndef KPIPE_LEASE_IO_H
#define KPIPE_LEASE_IO_H

#include "core/lease/lease.h"

enum lease_op {
    /* condition -> effect; c is call->was.counter, "as was": equal to that field of call->was, or
     * absent when it is NULL. Every effect leaves attributes that it does not name. Conditions and
     * effects are those of KCL's own requests: tests/vectors/kcl. */
    LEASE_CREATE, /* no such row -> call->to: counter 0, switches 0, checkpoint, sub, parents, hash
                     keys; entityType in LEASE_LAYOUT_KCL3_SINGLE */
    LEASE_RENEW,  /* counter = c [and no checkpointOwner, with checks_hand_off] -> counter c+1;
                     throughput when >= 0 */
    LEASE_TAKE,   /* counter = c -> counter c+1, owner := to.owner, no checkpointOwner, switches + 1
                     if was.owner is another */
    LEASE_ASSIGN, /* row exists, owner and checkpointOwner as was -> owner := to.owner, no
                     checkpointOwner, counter + 1 (ADD), switches + 1 if was.owner is another: not
                     at the end of a hand-over */
    LEASE_HAND_OFF,   /* row exists, owner as was, no checkpointOwner -> owner := to.owner,
                         checkpointOwner := was.owner;   the counter stays */
    LEASE_TAKE_BACK,  /* was.checkpoint_owner is there; owner and checkpointOwner as was -> owner :=
                        was.checkpoint_owner, no  checkpointOwner; the counter stays: nobody has
                        renewed it */
    LEASE_CHECKPOINT, /* counter = c -> counter c+1, checkpoint, sub := to's, switches 0, pending :=
                         to.pending or removed; children, parents and hash keys of `to` when not
                         NULL; throughput when >= 0; with gives_up: no owner and no checkpointOwner
                       */
    LEASE_EVICT,      /* row exists, owner and checkpointOwner as was -> counter + 1 (ADD); no
                         checkpointOwner;      no owner, unless there was a checkpointOwner */
    LEASE_PREPARE,    /* counter = c -> counter c+1, pending, pending_sub := to's */
    LEASE_META,   /* row exists -> children, parents, hash keys of `to` when not NULL; the counter
                     stays */
    LEASE_DELETE, /* checkpoint as was -> the row is gone (also when it was gone before) */
    LEASE_GET,    /* consistent read of one row */
    LEASE_SCAN,   /* all rows, and what else KCL 3 keeps beside them */
    /* Of KCL 3's coordination; `worker` and `lock` below. */
    LEASE_METRICS,      /* none -> the worker's metrics item, updated in place */
    LEASE_METRICS_DROP, /* updated_s as in call->worker -> the item is gone */
    LEASE_LOCK_TAKE,    /* call->lock_was NULL: no item; it is released: still so; else version =
                           lock_was->version -> call->lock */
    LEASE_LOCK_BEAT,    /* owner = lock_was->owner, version = lock_was->version -> version :=
                           lock->version */
    LEASE_LOCK_RELEASE, /* the same -> isReleased "1" */
    LEASE_OPS,
};

/* KCL 3's worker metrics item. */
struct lease_worker {
    char *id;          /* [owned] */
    int64_t updated_s; /* lut, Unix seconds */
    double cpu;        /* last value of "C", per cent; below 0: it does not say */
    double cpu_limit;  /* operating range of "C", 1..100 */
    bool has_failed;   /* a newest value is -1, or the item is malformed: counts as absent */
};

/* The "Leader" item of the DynamoDB lock client. */
struct lease_lock {
    char *owner, *version; /* [owned] ownerName, recordVersionNumber */
    int64_t duration_ms;   /* leaseDuration */
    bool is_released;
};

/* Where KCL 3 keeps metrics, lock and state: nowhere (1.x, 2.x), in two tables, in the lease table.
 */
enum lease_layout { LEASE_LAYOUT_KCL2, LEASE_LAYOUT_KCL3_TABLES, LEASE_LAYOUT_KCL3_SINGLE };

struct lease_call {
    enum lease_op op;
    struct lease was; /* [borrowed texts] as last known; key always */
    struct lease to;  /* [borrowed texts] */
    bool checks_hand_off, gives_up;
    enum lease_layout layout; /* of SCAN: what to look for beside leases (KCL2: what the lease table
                                 happens to have); of the last five: where it is */
    struct lease_worker worker;
    const struct lease_lock *lock_was; /* [borrowed] */
    struct lease_lock lock;            /* [borrowed texts] */
};

/* Of LEASE_SCAN. */
struct lease_scan {
    struct lease *leases; /* [owned] */
    size_t n_leases;
    struct lease_worker *workers; /* [owned] */
    size_t n_workers;
    struct lease_lock lock; /* owner NULL: no such item */
    char *client_version;   /* [owned] cv of Migration3.0, NULL: no such item */
    char *table_migration;  /* [owned] tm of TableMigration3.5, NULL: no such item */
    bool has_kcl3_items;    /* in the lease table itself: the single-table layout */
    bool has_kcl3_tables;   /* the tables of 3.0-3.4 were found (looked for with any layout) */
    size_t n_strange;       /* items that are no leases and nothing we know */
};
struct lease_io;
/* Rows of an io whose clocks are this machine's. */
int64_t lease_io_now_ms(struct lease_io *io);
int64_t lease_io_wall_s(struct lease_io *io);

void lease_scan_fini(struct lease_scan *scan);

enum lease_status {
    LEASE_DONE,
    LEASE_REFUSED, /* the condition did not hold; `row` is what stands there */
    LEASE_FAILED,  /* it may have happened or not */
};

struct lease_reply {
    enum lease_status status;
    const struct lease *row;       /* [borrowed] of GET and REFUSED; NULL: there is none */
    const struct lease_scan *scan; /* [borrowed] of SCAN */
    const char *error, *message;   /* [borrowed] of FAILED: the service's code and text */
    bool is_final;   /* of FAILED: trying again does not help (no permission, no such table) */
    int64_t sent_ms; /* io's clock when the (successful) request left */
};

typedef void (*lease_fn)(void *arg, const struct lease_reply *reply);

struct lease_io {
    /* Calls fn once, never before it has returned. What `call` points to is only read during the
     * call. */
    void (*call)(struct lease_io *io, const struct lease_call *call, lease_fn fn, void *arg);
    int64_t (*now_ms)(struct lease_io *io); /* monotonic */
    int64_t (*wall_s)(struct lease_io *io); /* Unix time */
    /* True: the rows' owners of an earlier life are gone for sure (nobody else can reach the
     * table). */
    bool is_private;
    const char *table;                 /* [owned by io] for messages */
    void (*free)(struct lease_io *io); /* what is under way is not answered any more */
};

#endif
