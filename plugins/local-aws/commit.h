/* commit.h - answers that wait until what they tell is on the disk: group commit of state.db.
 *
 * With durability "fsync" a service's change is committed to the write-ahead log without a sync of
 * its own; its answer waits here. One fdatasync on the work pool then covers all changes made so
 * far, and whatever is committed meanwhile is the next one's. An answer that only read waits too
 * while there is something unsynced, for it may tell of it. With the other durabilities every
 * answer goes out at once.
 *
 * A checkpoint of SQLite needs nothing from here: it syncs the log before it writes the database.
 *
 * Owned by: the service.   Threads: the service's worker; the sync itself is on the pool.
 */
#ifndef KPIPE_LOCAL_AWS_COMMIT_H
#define KPIPE_LOCAL_AWS_COMMIT_H

#include "plugins/local-aws/local.h"

struct commit_answer;
struct commit_run;

struct commit {
    struct local *local; /* [borrowed] */
    /* Answers that the disk is in trouble; `form` is that of the answer. */
    void (*trouble)(struct local *local, kp_exchange *x, int form);
    struct commit_answer *waiting, **end; /* for the next sync, oldest first [owned] */
    struct commit_run *run;               /* the sync under way [owned] */
    bool is_running;
    long long changes; /* rows changed when commit_begin() was called */
    bool has_changed;  /* since the last sync began */
};

/* False: out of memory, or the log cannot be opened. */
bool commit_open(struct commit *commit, struct local *local);
/* The exchanges that wait are gone. Fine with one that never opened. */
void commit_close(struct commit *commit);

/* Around all that a request does to the database, outside of any transaction. */
void commit_begin(struct commit *commit);
void commit_end(struct commit *commit);

struct commit_reply {
    const struct local_answer *answer; /* copied; without `keep` */
    int form;                          /* for trouble() */
    bool is_watched;                   /* a `gone` of the service was set: it is replaced */
};

/* Answers now, or when the changes so far are on the disk. After commit_end(). */
void commit_answer(struct commit *commit, kp_exchange *x, const struct commit_reply *reply);

#endif
