/* fleet_internal.h - private to core/lease/fleet*.c: the state they share.
 *
 *   fleet.c       what is told, and the order in which things are looked at
 *   fleet_rows.c  the rows: found, made, read and moved by other threads
 *   fleet_scan.c  what the table says; missing and finished rows
 *   fleet_hold.c  held leases: renewed, checkpointed, lost
 *   fleet_grant.c ... granted to the host
 *   fleet_leave.c ... handed over, released
 *   fleet_take.c  how leases are had
 *   fleet_lead.c  KCL 3: the workers, our metrics, the lock
 *   fleet_assign.c ... what a leader does
 *
 * Threads: the lease thread, where fleet.h does not say otherwise.
 */
#ifndef KPIPE_LEASE_FLEET_INTERNAL_H
#define KPIPE_LEASE_FLEET_INTERNAL_H

#include "core/lease/fleet.h"
#include "sdk/wire/random.h"

enum row_phase {
    ROW_FOREIGN = 0, /* not ours */
    ROW_ASKED,       /* the call that is to make it ours is under way */
    ROW_HELD,        /* ours */
    ROW_GRANTED,     /* ... and the host reads it */
    ROW_LEAVING,     /* ... and the host settles what it has of it */
    ROW_LOST,        /* another's; the host gives up what it has of it */
};

#define ROW_NEVER INT64_MIN

struct row_state {
    struct lease known;  /* as last read or written */
    bool is_stored;      /* there is such a row in the table */
    bool was_seen;       /* in the scan that is being read */
    _Atomic bool is_own; /* fleet_own(), by a worker */
    bool is_missing;     /* the table should have it: sync_plan() named it */
    enum row_phase phase;
    bool is_busy;      /* a call of this row is under way */
    bool is_drained;   /* of ROW_LEAVING: the host has nothing more of it */
    bool is_forced;    /* of ROW_LEAVING: it took too long */
    bool parent_ok[2]; /* looked up and found absent */
    int64_t
        moved_ms; /* when counter or owner last changed, as far as we saw; ROW_NEVER: it is free */
    int64_t renewed_ms;   /* of another's: when it last counted it up; 0: not since it has it */
    int64_t sent_ms;      /* when the last write left that counted it up */
    int64_t written_ms;   /* when the last position was written */
    int64_t retry_ms;     /* not before */
    unsigned tries;       /* writes in a row that failed */
    int64_t odd_until_ms; /* an item that is no lease has its key; not tried to be made before */
    int64_t look_ms;      /* when to look at a row that is being handed to us */
    int64_t leave_by;     /* of ROW_LEAVING */
    int64_t handed_ms;    /* when its hand-over was first seen, 0: none */
    bool was_finished;    /* in the last look */
    int64_t finished_ms;  /* since when it could be deleted, 0: it may not */
    int64_t ended_ms;     /* when SHARD_END was first seen as its watermark, 0: not yet */
    unsigned unsure;      /* writes since `known` that may have happened */
    int64_t unsure_ms;    /* when the first of them left */
    uint64_t bytes_then;  /* of row->bytes, at the last renewal */
    int64_t bytes_ms;
    double throughput;             /* KB/s, moving average; below 0: unknown */
    bool is_about_known;           /* parents and hash keys stand in the table */
    char *parents[2], *low, *high; /* [owned] of lease_row_about(); guarded by row->lock */
    char *old_pending; /* [owned] what the owner before us had prepared, or NULL; row->lock */
    uint64_t old_pending_sub;
};

/* What a leader remembers of a worker. */
struct lead_note {
    char *id;       /* [owned] */
    int64_t dead_s; /* updated_s of its metrics when a lease of it ran out; 0: none has. It counts
                       as dead until it writes new ones */
    bool is_known;  /* it was there when the load was last balanced */
    int64_t renewed_ms; /* when it last renewed any of its leases; 0: not one yet */
};

/* A call under way: what it would leave behind, to know it again. */
struct fleet_call {
    struct fleet_call *next, *previous;
    struct fleet *fleet;
    struct lease_row *row; /* NULL: not of one row */
    enum lease_op op;
    int64_t made_ms;
    char text[KP_POSITION_MAX + 1]; /* of CHECKPOINT and PREPARE */
    uint64_t sub;
    bool gives_up, has_about;
    int parent; /* of a GET of a parent's row: which; -1: of the row itself */
    void (*done)(struct fleet_call *call, const struct lease_reply *reply);
};

enum {
    FLEET_BUCKETS = 1024,
    FLEET_LOST_TOLD = 10,
    FLEET_LIST_MS = 250, /* between two requests for a listing: a service allows 1,000 a second */
};

struct fleet {
    struct fleet_config config;
    char *me; /* [owned] */
    struct lease_io *io;
    struct fleet_ops ops;
    void *arg;

    pthread_mutex_t lock; /* guards the lists of rows */
    struct lease_row *rows;
    struct lease_row *buckets[FLEET_BUCKETS];
    _Atomic size_t n_rows; /* read it after the head of the list: then it is not too small */

    struct fleet_call *calls; /* [owned] */
    size_t n_calls;
    struct listing *listing; /* [owned] the last whole one */
    int64_t listed_ms, list_asked_ms;

    bool has_begun, has_scanned, is_scanning, is_releasing, has_failed;
    bool must_sync;   /* rows may be missing */
    bool must_take;   /* leases may be free */
    bool must_assign; /* ... of a leader: after each scan */
    int64_t scan_ms;  /* when the next scan is due */
    int64_t first_scan_ms;
    int64_t alone_ms; /* rows have our id: before this it is not known whether we alone have it */
    int64_t twin_ms;  /* when another worker with our id was last seen */
    unsigned twins;   /* how often, lately */
    unsigned scan_tries, holes;
    size_t spilled;
    size_t n_lost; /* in this run: the first ones are told one by one */

    /* KCL 3 */
    enum lease_layout layout; /* what the table has */
    bool is_assigned;         /* a leader assigns; else we take */
    bool writes_metrics;
    struct lease_worker *workers; /* [owned] of the last scan */
    size_t n_workers;
    char *client_version; /* [owned] */
    int64_t metrics_ms;   /* when they were last written, 0: never */
    int64_t metrics_s;    /* updated_s of our item, 0: there is none */
    bool is_writing_metrics;
    struct lease_lock lock_item;         /* [owned texts] as last seen */
    int64_t lock_moved_ms, lock_done_ms; /* when it moved, and when our last write was answered */
    bool is_leader, is_locking;
    int64_t beat_ms, balance_ms;
    struct lead_note *notes; /* [owned] of a leader: of `workers` each, in their order */
    size_t n_notes;
    uint64_t cpu_busy, cpu_all; /* of /proc/stat, at the last metrics item */

    struct kpw_random random; /* for jitter, choices, the lock's version */
    _Atomic bool is_settled;
    _Atomic uint64_t grants;
};

/* ---- fleet.c */
int64_t fleet_now(const struct fleet *fleet);
/* Makes the call unless too many are under way (NULL). `done` is called unless the fleet is freed
 * first. The fleet_call is freed after it. */
struct fleet_call *fleet_call(struct fleet *fleet, struct lease_row *row, struct lease_call *call,
                              void (*done)(struct fleet_call *call,
                                           const struct lease_reply *reply));
bool fleet_has_room(const struct fleet *fleet);
/* Logs, and ends the run when it is final. */
void fleet_call_failed(struct fleet_call *call, const struct lease_reply *reply);

/* Asks for a listing, unless that was done a moment ago. */
void fleet_ask_list(struct fleet *fleet, int64_t now);

bool fleet_is_kpipe(const char *worker);
/* The worker understands hand-overs: it is kpipe's, or of KCL 3 (which alone is led). */
bool fleet_hands_over(const struct fleet *fleet, const char *worker);

/* ---- fleet_rows.c */
struct lease_row *fleet_find(struct fleet *fleet, const char *name); /* NULL: none [any] */
struct lease_row *fleet_row(struct fleet *fleet, const char *name);  /* found or made [any] */
struct lease_row *fleet_first(struct fleet *fleet);                  /* of all rows [any] */
void fleet_free_rows(struct fleet *fleet);
bool row_is_free(const struct lease_row *row, int64_t now);
bool row_is_held(const struct lease_row *row); /* HELD, GRANTED, LEAVING */
static inline bool row_has_ended(const struct lease_row *row)
{
    return row->state->is_stored && lease_has_ended(&row->state->known);
}
/* The row stands so in the table. */
void row_learn(struct lease_row *row, const struct lease *lease, int64_t now);
void row_set_text(char **to, const char *text); /* copies; NULL for "" */
/* A write that left then has no answer. */
void row_set_unsure(struct lease_row *row, int64_t made_ms);
void row_forget(struct lease_row *row); /* it is not in the table any more */

/* ---- fleet_scan.c */
void scan_run(struct fleet *fleet, int64_t now);
void sync_run(struct fleet *fleet, int64_t now);

/* ---- fleet_hold.c */
/* The lease is ours since a write that left at sent_ms. */
void hold_begin(struct lease_row *row, int64_t sent_ms);
void hold_run(struct lease_row *row, int64_t now);
void hold_lost(struct lease_row *row, const char *why);
int64_t hold_next(const struct lease_row *row); /* when hold_run() wants to be called */
/* A call about the row as it is known. */
struct lease_call hold_call(struct lease_row *row, enum lease_op op);
void hold_checkpoint(struct lease_row *row, bool gives_up);
void hold_renew(struct lease_row *row);
void hold_say(const struct lease_row *row, bool is_taken); /* that it was taken, or released */

/* ---- fleet_grant.c */
void grant_row(struct lease_row *row); /* if it may be */

/* ---- fleet_leave.c */
void leave_begin(struct lease_row *row, int64_t now); /* another worker asked for it */
void leave_run(struct lease_row *row, int64_t now);
void leave_release(struct lease_row *row, int64_t now); /* the run ends */
void leave_freed(struct lease_row *row);                /* it is nobody's now */

/* ---- fleet_take.c */
void take_run(struct fleet *fleet, int64_t now);
/* What makes one row ours, or looks whether it has become so. */
void take_row_run(struct lease_row *row, int64_t now);
void take_send(struct lease_row *row, bool is_hand_over);

/* ---- fleet_lead.c */
bool lead_is_fresh(const struct fleet *fleet, const struct lease_worker *worker);
struct lead_note *lead_note(struct fleet *fleet, const char *id); /* NULL: there is none */
void lead_learn(struct fleet *fleet, const struct lease_scan *scan, int64_t sent_ms, int64_t now);
void lead_run(struct fleet *fleet, int64_t now);
int64_t lead_next(const struct fleet *fleet);
void lead_release(struct fleet *fleet);
bool lead_has_left(struct fleet *fleet); /* our metrics are gone: rows may be released */
void lead_fini(struct fleet *fleet);

/* ---- fleet_assign.c */
void lead_assign(struct fleet *fleet, int64_t now);

#endif
