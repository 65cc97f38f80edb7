/* lane_metrics.c - see lane_metrics.h.
 *
 * A name is looked for by its address first: a plugin gives the same constant each time.
 */
#include "core/run/lane_metrics.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/run/lane.h"
#include "core/run/node.h"

static _Atomic uint64_t rows_made;

void lane_board_init(struct lane_board *board)
{
    *board = (struct lane_board){0};
    pthread_mutex_init(&board->lock, NULL);
    board->last = &board->kept;
}

static void row_free(struct lane_row *row)
{
    free(row->lane);
    free(row);
}

static void rows_free(struct lane_row *row)
{
    for (struct lane_row *next; row; row = next) {
        next = row->next;
        row_free(row);
    }
}

void lane_board_fini(struct lane_board *board)
{
    rows_free(board->live);
    rows_free(board->kept);
    pthread_mutex_destroy(&board->lock);
}

/* ---- writing */

static struct lane_row *row_of(struct kp_lane *lane)
{
    struct lane_board *board = &lane->node->board;
    struct lane_row *row;

    if (lane->metrics || lane->node->index) /* the stand-in of another worker's lane has none */
        return lane->metrics;
    row = mem_new(sizeof *row);
    row->lane = mem_dupn(lane->name, lane->name_len);
    row->number = atomic_fetch_add(&rows_made, 1) + 1;
    row->is_live = true;
    pthread_mutex_lock(&board->lock);
    row->next = board->live;
    row->link = &board->live;
    if (row->next)
        row->next->link = &row->next;
    board->live = row;
    pthread_mutex_unlock(&board->lock);
    return lane->metrics = row;
}

static int find(const struct lane_row *row, const char *name)
{
    int n = (int)row->n;

    for (int i = 0; i < n; i++)
        if (row->figures[i].name == name)
            return i;
    for (int i = 0; i < n; i++)
        if (!strcmp(row->figures[i].name, name))
            return i;
    return -1;
}

/* NULL: there are LANE_FIGURES other names already. */
static _Atomic int64_t *value_of(struct lane_row *row, const char *name, bool is_gauge)
{
    uint32_t n = row->n;
    int at = find(row, name);

    if (at >= 0)
        return &row->figures[at].value;
    if (n == LANE_FIGURES)
        return NULL;
    row->figures[n].name = name;
    row->gauges |= (uint32_t)is_gauge << n;
    row->n = n + 1; /* readers see whole figures only */
    return &row->figures[n].value;
}

static void add(_Atomic int64_t *value, int64_t by)
{
    if (value) /* one thread writes */
        atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + by,
                              memory_order_relaxed);
}

void lane_metrics_count(struct kp_lane *lane, const char *name, int64_t by)
{
    struct lane_row *row = row_of(lane);

    if (row)
        add(value_of(row, name, false), by);
}

void lane_metrics_gauge(struct kp_lane *lane, const char *name, int64_t value)
{
    struct lane_row *row = row_of(lane);
    _Atomic int64_t *to = row ? value_of(row, name, true) : NULL;

    if (to)
        atomic_store_explicit(to, value, memory_order_relaxed);
}

/* ---- the end of a lane */

static void forget_oldest(struct lane_board *board)
{
    struct lane_row *row = board->kept;

    board->kept = row->next;
    if (!board->kept)
        board->last = &board->kept;
    board->n_kept--;
    for (uint32_t i = 0; i < row->n; i++)
        if (!lane_row_is_gauge(row, i))
            add(value_of(&board->gone, row->figures[i].name, false), lane_row_value(row, i));
    row_free(row);
}

void lane_metrics_end(struct kp_lane *lane)
{
    struct lane_board *board = &lane->node->board;
    struct lane_row *row = lane->metrics;

    if (!row)
        return;
    lane->metrics = NULL;
    pthread_mutex_lock(&board->lock);
    *row->link = row->next;
    if (row->next)
        row->next->link = row->link;
    row->is_live = false;
    row->next = NULL;
    *board->last = row;
    board->last = &row->next;
    if (board->n_kept++ == LANE_ROWS_KEPT)
        forget_oldest(board);
    pthread_mutex_unlock(&board->lock);
}

/* ---- reading */

void lane_board_each(struct lane_board *board, void (*fn)(void *arg, const struct lane_row *row),
                     void *arg)
{
    pthread_mutex_lock(&board->lock);
    for (const struct lane_row *row = board->live; row; row = row->next)
        fn(arg, row);
    for (const struct lane_row *row = board->kept; row; row = row->next)
        fn(arg, row);
    fn(arg, &board->gone);
    pthread_mutex_unlock(&board->lock);
}
