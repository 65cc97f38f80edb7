/* memory.h - a lease table in this process: `leases = "none"`, lease files, and tests.
 *
 * Executes every operation of io.h with its condition and its effect. A table has
 * any number of handles, one per worker that shares it. A call takes its way: the
 * request arrives (then it is executed), the reply arrives (then fn is called). In production
 * both are at once and the loop delivers; in tests a hook gives each call its fate, time is
 * core/base/clock.h's, and the test delivers:
 *
 *   for (;;) {
 *       memory_table_run(table);
 *       for each worker that lives: while (memory_io_deliver(io)) fleet_run(fleet);
 *       clock_fake_move(...);
 *   }
 *
 * Threads: a table and all its handles on one.
 */
#ifndef KPIPE_LEASE_MEMORY_H
#define KPIPE_LEASE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/lease/io.h"

struct memory_table;

struct memory_table *memory_table_new(const char *name);
void memory_table_free(struct memory_table *table); /* after its handles; NULL is fine */

/* ---- without handles and time: behind files, and to set and inspect a test's stage */

struct memory_answer {
    enum lease_status status; /* DONE or REFUSED */
    struct lease row;         /* [owned] of GET and REFUSED; key NULL: there is none */
    struct lease_scan scan;   /* [owned] of SCAN */
    bool has_changed;         /* something in the table */
};
void memory_table_do(struct memory_table *table, const struct lease_call *call,
                     struct memory_answer *ret);
void memory_answer_fini(struct memory_answer *answer);

/* [borrowed until the next change] NULL: no such row. */
const struct lease *memory_table_find(const struct memory_table *table, const char *key);
/* Every row, in the order of their making. [borrowed until the next change] */
size_t memory_table_count(const struct memory_table *table);
const struct lease *memory_table_at(const struct memory_table *table, size_t i);
/* Puts the row as it is, whatever stood there. */
void memory_table_put(struct memory_table *table, const struct lease *row);
/* Migration3.0's cv, TableMigration3.5's tm; NULL: no such item. `layout`: where. The tables of
 * 3.0-3.4 also come to be with the first metrics or lock written to them. */
void memory_table_set_version(struct memory_table *table, enum lease_layout layout,
                              const char *client_version, const char *table_migration);
/* The metrics item of a worker and the lock, wherever they are; NULL: no such item. [borrowed until
 * the next change] */
const struct lease_worker *memory_table_worker(const struct memory_table *table, const char *id);
const struct lease_lock *memory_table_lock(const struct memory_table *table);

/* ---- handles */

/* `loop` NULL: its owner calls memory_io_deliver(). [borrowed]; else it runs once more after
 * io->free(). */
struct lease_io *memory_io_new(struct memory_table *table, uv_loop_t *loop, bool is_private);

/* Executes the requests of all handles, also of freed ones, that have arrived by now, in the order
 * of their arrival. */
void memory_table_run(struct memory_table *table);
/* memory_table_run(), then one reply that has arrived is given to its fn. False: none has. fn may
 * call and free anything. */
bool memory_io_deliver(struct lease_io *io);
/* When the next request or reply of this handle arrives, in its clock; INT64_MAX: none will. */
int64_t memory_io_due_ms(struct lease_io *io);

#define MEMORY_HELD (INT64_MAX / 4) /* as a delay: until memory_io_release() */

struct memory_fate {
    int64_t request_ms, reply_ms; /* how long each is under way; 0 at first */
    bool is_request_lost;         /* never executed, answered FAILED */
    bool is_reply_lost;           /* executed, answered FAILED */
    const char *error;            /* [static] its code; NULL: "Timeout" */
    bool is_final;
};
/* Decides for each call of this handle from now on. NULL: no more. */
void memory_io_hook(struct lease_io *io,
                    void (*hook)(void *arg, const struct lease_call *call,
                                 struct memory_fate *fate),
                    void *arg);
/* What is held arrives now: requests first, then (with the next release) their replies if these are
 * held too. */
void memory_io_release(struct lease_io *io);
/* This worker's clocks run ahead of the others' by so much (not of the delays). */
void memory_io_skew(struct lease_io *io, int64_t mono_ms, int64_t wall_s);

#endif
