/* lane_metrics.h - what a source counts of its lanes: kp->lane_count() and kp->lane_gauge().
 *
 * A source's node has a board; a lane gets a row of it with its first figure. The
 * lane's worker writes figures, others read them while the board is locked: the
 * lock guards which rows there are, not what is in them, so writing takes none.
 * A lane that has ended keeps its row for the summary, the last LANE_ROWS_KEPT of
 * them; counters of older ones are added up in one row, so nothing is lost.
 *
 * Owned by: the node.   Threads: the node's worker; lane_board_each() any.
 */
#ifndef KPIPE_RUN_LANE_METRICS_H
#define KPIPE_RUN_LANE_METRICS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct kp_lane;

enum { LANE_FIGURES = 12, LANE_ROWS_KEPT = 1000 };

struct lane_figure {
    const char *name; /* [static] the plugin's */
    _Atomic int64_t value;
};

struct lane_row {
    struct lane_row *next, **link; /* guarded by the board's lock */
    char *lane;                    /* [owned] its name; NULL: of all lanes that have no row */
    uint64_t number;               /* a newer row has a greater one, in the whole process */
    bool is_live;                  /* guarded by the lock: the lane is there */
    _Atomic uint32_t gauges;       /* bit i: figure i is a gauge; does not change below n */
    _Atomic uint32_t n;
    struct lane_figure figures[LANE_FIGURES];
};

struct lane_board {
    pthread_mutex_t lock;
    /* guarded by lock */
    struct lane_row *live;         /* [owned] */
    struct lane_row *kept, **last; /* [owned] of lanes that have ended, oldest first */
    struct lane_row gone;          /* counters of those that were kept no longer */
    uint32_t n_kept;
};

void lane_board_init(struct lane_board *board);
void lane_board_fini(struct lane_board *board);

/* Rows of kp_host. Only lanes of a source have figures; the thirteenth name is not kept. */
void lane_metrics_count(struct kp_lane *lane, const char *name, int64_t by);
void lane_metrics_gauge(struct kp_lane *lane, const char *name, int64_t value);
/* The lane ends; without figures nothing happens. */
void lane_metrics_end(struct kp_lane *lane);

/* Calls fn for each row with the board locked: live ones, kept ones, the one of the gone. [any] */
void lane_board_each(struct lane_board *board, void (*fn)(void *arg, const struct lane_row *row),
                     void *arg);

static inline bool lane_row_is_gauge(const struct lane_row *row, uint32_t i)
{
    return row->gauges >> i & 1;
}

static inline int64_t lane_row_value(const struct lane_row *row, uint32_t i)
{
    return atomic_load_explicit(&row->figures[i].value, memory_order_relaxed);
}

#endif
