/* hop.h - a lane's way into one node: order, retries, the next batch.
 *
 * There is one hop per lane and node. Batches of a lane enter a node one after
 * the other (KP_CONCURRENT: as they come); what the node wants to be given again
 * waits here for its back-off, and everything behind it waits too, so a retry
 * blocks only its lane and keeps its order.
 *
 * Owned by: the lane.   Threads: the worker of the node.
 */
#ifndef KPIPE_RUN_HOP_H
#define KPIPE_RUN_HOP_H

#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/run/batch.h"
#include "core/run/timers.h"
#include "core/run/worker.h"

struct kp_lane;
struct stall;

struct hop {
    kp_node *node;                    /* [borrowed] who gets the batches */
    struct kp_lane *lane;             /* [owner] */
    struct batch *queue, **queue_end; /* not given yet [owned] */
    struct batch *again;  /* to be given again, in order of their first giving [owned] */
    struct stall *stalls; /* passed on by a transform, waiting behind a retry [owned] (stall.h) */
    kp_batch *giving;     /* process() runs with it and has not taken it yet */
    uint32_t inside;      /* batches the node has */
    unsigned tries;       /* returns with a retry in a row */
    uint64_t n_given;
    struct timer timer;
    struct task task;
};

void hop_init(struct hop *hop, kp_node *node, struct kp_lane *lane);
/* Gives up what waits here; its records end unsettled. */
void hop_fini(struct hop *hop);

/* [consumes b] A batch for the node at `index` of `from`'s flow, on b's lane. */
void hop_put(kp_node *from, uint32_t index, kp_batch *b);

/* Rows of kp_host. */
void hop_emit(kp_node *node, kp_batch *b);
void hop_done(kp_node *node, kp_batch *b);
void hop_release(kp_node *node, kp_batch *b);

/* The delay before try number `tries` (from 1): full jitter under base * 2^(tries-1), at most max.
 * draw(arg, n) is uniform in [0, n). */
int64_t hop_backoff_ms(int64_t base_ms, int64_t max_ms, unsigned tries,
                       int64_t (*draw)(void *arg, int64_t below), void *arg);

#endif
