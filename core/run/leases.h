/* leases.h - between the flows and the lease thread: which lane is read on which worker.
 *
 * Grants come on the lease thread, are posted to the worker that has the fewest
 * lanes of the flow, and reach the source there; a lane that is closed and empty is
 * told back. What a lease is and how it is had: core/lease.
 *
 * Owned by: the host.   Threads: marked.
 */
#ifndef KPIPE_RUN_LEASES_H
#define KPIPE_RUN_LEASES_H

#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stdint.h>

struct error;
struct host;
struct lease_row;
struct leases;
struct listing;

struct leases *leases_new(struct host *host, struct error *err); /* [main] NULL with err */
void leases_free(struct leases *leases);                         /* [main] NULL is fine */

/* [main] Waits, while main's loop turns, until all positions are known. */
bool leases_load(struct leases *leases, struct error *err);
void leases_begin(struct leases *leases); /* [main] the flows have started: lanes may come */

/* Why the run must end, NULL: nothing. [main] */
const char *leases_failure(const struct leases *leases);
/* All lanes that this process could read are read, or finished. [main] */
bool leases_are_settled(const struct leases *leases, uint32_t flow);
uint64_t leases_grants(const struct leases *leases, uint32_t flow); /* [main] so far */

/* [main] Gives all leases up, with their last checkpoints. */
void leases_release(struct leases *leases);
bool leases_are_released(const struct leases *leases);
/* [main] No grants and no revokes come any more: the flows may be closed. NULL is fine. */
void leases_silence(struct leases *leases);
bool leases_are_silent(const struct leases *leases); /* [lease thread] */

/* ---- for lanes [worker] */

/* The row of a lane that its source opens: the one that is being granted, or its own; NULL: none.
 */
struct lease_row *leases_row(kp_node *node, const char *lane);
/* The lane is closed and empty. */
void leases_drained(kp_node *node, struct lease_row *row);
/* What a source offers: [consumes listing]. */
void leases_offer(kp_node *node, struct listing *listing);
/* Its lease has run out or was taken: nothing of it is delivered any more. */
bool leases_row_is_stale(const struct lease_row *row);
/* Records of the lane were given up: the lease is given up as well, and had again if it can be. */
void leases_give_up(kp_node *node, struct lease_row *row);
/* A boundary waits to be written. */
void leases_wake(kp_node *node);

#endif
