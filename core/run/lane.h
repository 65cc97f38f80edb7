/* lane.h - order and acknowledgement inside one sequence of a source.
 *
 * Every submitted batch gets an entry that hears how each of its tickets ended.
 * The watermark moves over the gap-free run of entries that have ended whole; an
 * entry with an unsettled record stops it for good, so a checkpoint never covers
 * a record that must be read again.
 *
 * Owned by: the source node that opened it, until closed and empty.
 * Threads: the worker of its source.
 * Not here: storing the watermark (leases.h), giving batches to nodes (hop.h).
 */
#ifndef KPIPE_RUN_LANE_H
#define KPIPE_RUN_LANE_H

#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/run/batch.h"
#include "core/run/worker.h"

struct entry;
struct hop;
struct lane_row;
struct lease_row;

struct kp_lane {
    kp_node *node; /* the source; of an own lane: its node; of a relay: the receiving node */
    char *name;    /* [owned] */
    size_t name_len;
    char *start;      /* [owned] where its checkpoint stood when it was opened, or NULL */
    void *state;      /* the plugin's */
    struct hop *hops; /* [owned] one per node of the flow, see hop.h */
    uint32_t n_hops;
    uint32_t users;              /* batches in its hops */
    struct entry *first, **last; /* [owned] oldest first */
    size_t bytes;                /* payload of records that have not ended */
    struct lease_row *row;       /* [borrowed] where the watermark goes, or NULL */
    struct lane_row *metrics;    /* [owned by node->board] NULL: it has no figures */
    /* Whose end is the end of delivering: `row`, or of a stand-in its sender's. [borrowed] NULL:
     * none */
    struct lease_row *lease;
    char *pending; /* [owned] of lane_pending(), or NULL */
    bool is_closed, wants_room, is_stuck;
    bool is_lost;                    /* another process reads it: what waits here ends unsettled */
    struct task task;                /* wakes the source, or frees the lane */
    struct kp_lane *next, *previous; /* of node->lanes */
};

/* A lane without a source: a node's own, or the stand-in of another worker's lane. */
void lane_init(struct kp_lane *lane, kp_node *node, const char *name, size_t name_len);
void lane_fini(struct kp_lane *lane);

/* Rows of kp_host. */
kp_lane *lane_open(kp_node *node, const char *name, void *state, kp_position *ret_start);
void lane_close(kp_lane *lane);
void lane_about(kp_lane *lane, const kp_lane_about *about);
bool lane_ready(kp_lane *lane);
void lane_submit(kp_lane *lane, kp_batch *b, const kp_position *end, void *token);

/* What it waits for is not this process's to deliver any more. */
bool lane_is_stale(const struct kp_lane *lane);
/* ... and it will be told so: records of it were given up. */
void lane_is_over(struct kp_lane *lane);

/* A batch entered or left a hop of the lane. */
void lane_hold(struct kp_lane *lane);
void lane_let_go(struct kp_lane *lane);

/* At the end: what waits in its hops ends unsettled. */
void lane_give_up(struct kp_lane *lane);
/* The lanes of a node, after all their records have ended. */
void lane_free_all(kp_node *node);

#endif
