/* group.c - many tickets that end together; see batch.h.
 *
 * Tickets come in runs of neighbours of one origin (a buffer takes whole
 * batches), so members are kept as ranges: a group of 100,000 records of one
 * stream is a few hundred rows.
 */
#include <stdlib.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/run/batch.h"

struct range {
    struct origin *origin; /* [borrowed] lives until its tickets are settled */
    uint32_t first, count;
};

struct kp_group {
    struct origin origin; /* must be first */
    struct range *ranges; /* [owned] */
    size_t n_ranges, cap;
    uint64_t count;
    uint32_t shares; /* records that carry this group's ticket */
    enum end worst;
    char *reason; /* [owned] of the worst */
};

static void settle_members(kp_group *g, enum end how, const kp_slice *reason,
                           const kp_receipt *receipt)
{
    for (size_t i = 0; i < g->n_ranges; i++) {
        struct range *range = &g->ranges[i];

        for (uint32_t k = 0; k < range->count; k++)
            range->origin->ops->settle(range->origin, range->first + k, how, reason, receipt);
    }
    free(g->ranges);
    free(g->reason);
    free(g);
}

static void group_share(struct origin *origin, uint32_t index)
{
    (void)index;
    ((kp_group *)(void *)origin)->shares++;
}

static void group_settle(struct origin *origin, uint32_t index, enum end how,
                         const kp_slice *reason, const kp_receipt *receipt)
{
    kp_group *g = (kp_group *)(void *)origin;
    kp_slice why;

    (void)index;
    if (how > g->worst) {
        g->worst = how;
        free(g->reason);
        g->reason = reason ? mem_dupn(reason->ptr, reason->len) : NULL;
    }
    if (--g->shares)
        return;
    why = (kp_slice){g->reason, 0};
    while (g->reason && g->reason[why.len])
        why.len++;
    settle_members(g, g->worst, g->reason ? &why : NULL, how == g->worst ? receipt : NULL);
}

static const struct origin_ops group_ops = {group_share, group_settle};

kp_group *group_new(void)
{
    kp_group *g = mem_new(sizeof *g);

    g->origin.ops = &group_ops;
    g->origin.ignores_receipts = true; /* until somebody is in it who does not */
    return g;
}

uint64_t group_count(const kp_group *g)
{
    return g->count;
}

void group_take(kp_group *g, kp_batch *b, uint32_t i)
{
    struct batch *batch = batch_of(b);
    kp_record *record = &batch->records[i];
    struct origin *origin = record->ticket[0];
    uint32_t index = (uint32_t)(uintptr_t)record->ticket[1];
    struct range *last = g->n_ranges ? &g->ranges[g->n_ranges - 1] : NULL;

    if (record->outcome == OUTCOME_GONE)
        bug("record %u of a batch was grouped after it had ended", i);
    if (origin && last && last->origin == origin && last->first + last->count == index) {
        last->count++;
    } else if (origin) {
        mem_room(&g->ranges, &g->cap, g->n_ranges, sizeof *g->ranges);
        g->ranges[g->n_ranges++] = (struct range){origin, index, 1};
    }
    if (origin && !origin->ignores_receipts)
        g->origin.ignores_receipts = false;
    g->count++;
    batch->n_marked += record->outcome == KP_NONE;
    record->outcome = OUTCOME_GONE;
    record->ticket[0] = NULL;
}

kp_record *batch_append_group(kp_batch *out, kp_group *g)
{
    struct batch *batch = batch_of(out);
    kp_record *record = batch_append(out, 1);

    if (!record) {
        group_free(g);
        return NULL;
    }
    g->shares = 1;
    batch_set_ticket(out, out->count - 1, &g->origin, 0);
    out->lane = batch->mixed_lane;
    out->lane_name = (kp_slice){"", 0};
    return record;
}

void group_free(kp_group *g)
{
    if (g)
        settle_members(g, END_UNSETTLED, NULL, NULL);
}
