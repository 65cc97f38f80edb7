/* thread.h - the thread that keeps the leases of a run.
 *
 * One fleet per flow that keeps positions, each with its table. They have a thread, a loop and an
 * AWS client of their own: nothing that a stage or main is busy with can delay a renewal.
 *
 * Owned by: the host.   Threads: marked; ops are called on the lease thread.
 */
#ifndef KPIPE_LEASE_THREAD_H
#define KPIPE_LEASE_THREAD_H

#include "core/base/error.h"
#include "core/lease/fleet.h"

struct aws_config;
struct lease_thread;

struct lease_flow {
    const char *name;  /* [borrowed] for a file */
    const char *table; /* [borrowed] for DynamoDB; NULL: the flow keeps no position */
    bool is_shared;    /* its source offers lanes; else one process may run it at a time */
};

struct lease_thread_ops {
    void (*grant)(void *arg, uint32_t flow, struct lease_row *row);
    void (*revoke)(void *arg, uint32_t flow, struct lease_row *row, bool is_lost);
    void (*list)(void *arg, uint32_t flow);
    /* Something that main may wait for has changed. */
    void (*changed)(void *arg);
};

struct lease_thread_config {
    const char *leases;      /* [borrowed] "dynamodb", "file:PATH" or "none" */
    const char *application; /* [borrowed] */
    const struct lease_flow *flows;
    uint32_t n_flows;
    struct fleet_config fleet;
    struct aws_config *aws; /* [borrowed] NULL without DynamoDB */
    bool is_private;        /* the embedded AWS: no other process can be there */
    struct lease_thread_ops ops;
    void *arg;
};

/* [main] Starts the thread, which opens and scans the tables. NULL with err. */
struct lease_thread *lease_thread_new(const struct lease_thread_config *config, struct error *err);
/* [main] From its return on no op is called any more. Leases are kept and written as before. */
void lease_thread_silence(struct lease_thread *thread);
void lease_thread_free(struct lease_thread *thread); /* ends and joins it; NULL is fine */
bool lease_thread_is_silent(const struct lease_thread *thread); /* [lease thread] */

/* All tables are read; positions may be asked for. [any] */
bool lease_thread_is_loaded(const struct lease_thread *thread);
/* Why the run cannot go on, NULL: it can. [borrowed until freed, any] */
const char *lease_thread_failure(const struct lease_thread *thread,
                                 enum error_kind *ret_kind /* NULL is fine */);

/* All below [any]. */
void lease_thread_begin(struct lease_thread *thread); /* grants may come */
void lease_thread_list(struct lease_thread *thread, uint32_t flow,
                       struct listing *listing); /* [consumes listing] */
void lease_thread_drained(struct lease_thread *thread, struct lease_row *row);
void lease_thread_release(struct lease_thread *thread);
bool lease_thread_is_released(const struct lease_thread *thread);
/* Everything listed so far is granted, finished or another's; and how many grants there were. */
bool lease_thread_is_settled(const struct lease_thread *thread, uint32_t flow);
uint64_t lease_thread_grants(const struct lease_thread *thread, uint32_t flow);
/* NULL: the flow keeps no position. */
struct lease_row *lease_thread_own(struct lease_thread *thread, uint32_t flow, const char *lane);
/* Looks at its rows: one was moved or wants something. */
void lease_thread_wake(struct lease_thread *thread);

#endif
