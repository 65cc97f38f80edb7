/* stall.h - what a transform has passed on, waiting behind a record that is tried again.
 *
 * When a transform gives back its batch with some records to be tried again, the
 * others behind the first of them, and all later batches of the lane, wait here,
 * so that a retry keeps the order of its lane. A stage that takes records out into
 * batches of its own (unordered) never stalls: those are passed on as they come.
 *
 * Owned by: the hop.   Threads: its worker.
 */
#ifndef KPIPE_RUN_STALL_H
#define KPIPE_RUN_STALL_H

#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stdint.h>

struct stall; /* one given batch, some of whose records are not through */

enum { STALL_NONE = UINT32_MAX }; /* as `first`: nothing of the batch is tried again */

/* Writes down where in its batch every record stands, before any of them leaves it. The place
 * travels with the record. */
void stall_number(kp_batch *b);
/* The place of a record, from 0. */
uint32_t stall_place(const kp_record *record);

/* Must what came of the batch given as number `order` wait? `first`: place of the first of its
 * records that is tried again, or STALL_NONE. */
bool stall_is_needed(const struct stall *stalls, uint64_t order, uint32_t first);
/* [consumes b] Keeps what came of the batch, in place; b may be empty. */
void stall_keep(struct stall **stalls, uint64_t order, uint32_t first, kp_batch *b);
/* The next batch that may go on now [owned by caller], NULL: nothing may. */
kp_batch *stall_next(struct stall **stalls);
/* What waits ends unsettled. */
void stall_free_all(struct stall **stalls);

#endif
