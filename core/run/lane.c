/* lane.c - see lane.h.
 *
 * An entry counts its open tickets. How each of them ended is only written down
 * when somebody asks: a token (the source wants results) or a shared ticket.
 */
#include "core/run/lane.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/budget.h"
#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/lease/fleet.h"
#include "core/run/flow.h"
#include "core/run/host.h"
#include "core/run/hop.h"
#include "core/run/lane_metrics.h"
#include "core/run/leases.h"
#include "core/run/node.h"

#define SHARE_MIN (4 << 20) /* bytes a lane may always have open */

/* One submitted batch: the origin of its tickets. */
struct entry {
    struct origin origin; /* must be first */
    struct entry *next;
    kp_lane *lane;
    void *token;
    struct task task; /* tells the source */
    uint32_t n, open;
    bool is_unsettled, was_told;
    size_t bytes;
    uint32_t *shares;      /* [owned] records per ticket beyond the first, NULL: none shared */
    enum end *worst;       /* [owned] with shares */
    kp_result *results;    /* [owned] with a token; the reasons are owned too */
    kp_receipt **receipts; /* [owned] what the results' receipts point into */
    uint64_t end_sub;
    size_t end_len;
    char end[];
};

/* ---- the end of an entry */

static void free_results(struct entry *entry)
{
    for (uint32_t i = 0; entry->results && i < entry->n; i++) {
        free((void *)(uintptr_t)entry->results[i].reason.ptr);
        free(entry->receipts[i]);
    }
    free(entry->results);
    free(entry->receipts);
}

static void entry_free(struct entry *entry)
{
    worker_undefer(entry->lane->node->worker, &entry->task);
    free_results(entry);
    free(entry->shares);
    free(entry->worst);
    free(entry);
}

static void lane_free(struct kp_lane *lane)
{
    kp_node *node = lane->node;

    lane_metrics_end(lane);
    *(lane->previous ? &lane->previous->next : &node->lanes) = lane->next;
    if (lane->next)
        lane->next->previous = lane->previous;
    if (lane->row && lane->row->host == lane)
        leases_drained(node, lane->row);
    lane_fini(lane);
    free(lane);
}

static void move_watermark(struct kp_lane *lane)
{
    while (lane->first && !lane->first->open && !lane->is_stuck) {
        struct entry *entry = lane->first;

        if (entry->token && !entry->was_told)
            break;
        if (entry->is_unsettled && !(lane->node->element->flags & KP_REQUEST)) {
            lane->is_stuck = true;
            break;
        }
        if (lane->row && entry->end_len && !lane->is_lost)
            lease_row_move(lane->row, entry->end, entry->end_len, entry->end_sub);
        lane->first = entry->next;
        if (!lane->first)
            lane->last = &lane->first;
        entry_free(entry);
    }
}

static size_t lane_share(const struct kp_lane *lane)
{
    const struct budget *budget = lane->node->budget;
    int64_t limit = budget->limit;

    if (budget->parent && (limit <= 0 || budget->parent->limit < limit))
        limit = budget->parent->limit;
    return limit / 4 > SHARE_MIN ? (size_t)limit / 4 : SHARE_MIN;
}

static void check_lane(struct kp_lane *lane)
{
    bool wakes = lane->wants_room && lane->bytes < lane_share(lane);
    bool is_over = lane->is_closed && !lane->first && !lane->users;

    if (wakes || is_over)
        worker_defer(lane->node->worker, &lane->task);
}

static void lane_task(struct task *task)
{
    struct kp_lane *lane =
        (struct kp_lane *)(void *)((char *)task - offsetof(struct kp_lane, task));
    kp_node *node = lane->node;

    if (lane->is_closed) {
        if (!lane->first && !lane->users)
            lane_free(lane);
        return;
    }
    if (!lane->wants_room || node->is_stopped || !node->is_started)
        return;
    lane->wants_room = false;
    node->flow->has_full_lane = false;
    if (node->element->wake)
        node->element->wake(node, node->state, lane, lane->state);
}

static void tell_source(struct task *task)
{
    struct entry *entry = (struct entry *)(void *)((char *)task - offsetof(struct entry, task));
    struct kp_lane *lane = entry->lane;
    kp_node *node = lane->node;

    if (node->element->settled && node->is_open)
        node->element->settled(node, node->state, entry->token, entry->results, entry->n);
    node->untold--;
    entry->was_told = true; /* not before: what it submits may end at once and move the watermark */
    move_watermark(lane);
    check_lane(lane);
}

static void entry_ended(struct entry *entry)
{
    struct kp_lane *lane = entry->lane;

    lane->bytes -= entry->bytes;
    if (entry->token) {
        lane->node->untold++;
        worker_defer(lane->node->worker, &entry->task);
    } else {
        move_watermark(lane); /* may free the entry */
    }
    check_lane(lane);
}

/* ---- tickets */

static void count_end(kp_node *source, enum end how)
{
    struct node_counts *counts = &source->counts;

    count_add(how == END_DELIVERED       ? &counts->delivered
              : how == END_FILTERED      ? &counts->filtered
              : how == END_DEAD_LETTERED ? &counts->dead_lettered
                                         : &counts->unsettled,
              1);
    count_add(&source->flow->activity, 1);
}

static void write_result(struct entry *entry, uint32_t i, enum end how, const kp_slice *reason,
                         const kp_receipt *receipt)
{
    kp_result *result = &entry->results[i];
    static const kp_outcome outcomes[] = {[END_NONE] = KP_RETRY,
                                          [END_FILTERED] = KP_FILTERED,
                                          [END_DELIVERED] = KP_DELIVERED,
                                          [END_DEAD_LETTERED] = KP_REJECTED,
                                          [END_UNSETTLED] = KP_RETRY};

    free((void *)(uintptr_t)result->reason.ptr);
    free(entry->receipts[i]);
    entry->receipts[i] = receipt ? receipt_copy(receipt) : NULL;
    *result = (kp_result){.outcome = outcomes[how], .receipt.size = sizeof result->receipt};
    if (reason && reason->len)
        result->reason = (kp_slice){mem_dupn(reason->ptr, reason->len), reason->len};
    if (receipt)
        result->receipt = *entry->receipts[i];
}

static void make_shares(struct entry *entry)
{
    if (entry->shares)
        return;
    entry->shares = mem_new((size_t)entry->n * sizeof *entry->shares);
    entry->worst = mem_new((size_t)entry->n * sizeof *entry->worst);
}

static void entry_share(struct origin *origin, uint32_t index)
{
    struct entry *entry = (struct entry *)(void *)origin;

    make_shares(entry);
    entry->shares[index]++;
}

/* A record whose stage broke or is closed is read again by the next run. Any other must not end so:
 * the lane would stand still for good, unseen. */
static void check_unsettled(struct entry *entry)
{
    kp_node *source = entry->lane->node;

    if (source->is_closing || source->element->flags & KP_REQUEST || lane_is_stale(entry->lane) ||
        host_is_over(source->worker->host))
        return;
    node_fail(source,
              "a stage gave up records of lane '%s' without saying how they ended (a bug of its "
              "plugin); they stay unread",
              entry->lane->name);
}

static void entry_settle(struct origin *origin, uint32_t index, enum end how,
                         const kp_slice *reason, const kp_receipt *receipt)
{
    struct entry *entry = (struct entry *)(void *)origin;
    enum end worst = entry->worst ? entry->worst[index] : END_NONE;

    if (entry->results && how >= worst)
        write_result(entry, index, how, reason, receipt);
    if (how < worst)
        how = worst;
    if (entry->shares && entry->shares[index]) {
        entry->shares[index]--;
        entry->worst[index] = how;
        return;
    }
    if (!entry->open)
        bug("lane %s: a ticket was settled twice", entry->lane->name);
    count_end(entry->lane->node, how);
    if (how == END_UNSETTLED && !entry->is_unsettled) {
        entry->is_unsettled = true;
        check_unsettled(entry);
    }
    if (--entry->open == 0)
        entry_ended(entry);
}

static const struct origin_ops entry_ops = {entry_share, entry_settle};

static struct entry *entry_new(kp_lane *lane, kp_batch *b, const kp_position *end, void *token)
{
    size_t len = end && end->text.ptr ? end->text.len : 0;
    struct entry *entry;

    if (len > KP_POSITION_MAX)
        bug("%s: a position of %zu bytes, at most %d are allowed", lane->node->who, len,
            KP_POSITION_MAX);
    entry = mem_new(sizeof *entry + len + 1);
    entry->origin.ops = &entry_ops;
    entry->origin.ignores_receipts = !token;
    entry->lane = lane;
    entry->token = token;
    entry->task.run = tell_source;
    entry->n = entry->open = b->count;
    entry->end_len = len;
    entry->end_sub = end ? end->sub : 0;
    if (len)
        memcpy(entry->end, end->text.ptr, len);
    if (token) {
        entry->results = mem_new(((size_t)b->count + 1) * sizeof *entry->results);
        entry->receipts = mem_new(((size_t)b->count + 1) * sizeof *entry->receipts);
        for (uint32_t i = 0; i < b->count; i++)
            entry->results[i].outcome = KP_RETRY;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        batch_set_ticket(b, i, &entry->origin, i);
        entry->bytes += kp_at(b, i)->data_len;
    }
    *lane->last = entry;
    lane->last = &entry->next;
    return entry;
}

void lane_submit(kp_lane *lane, kp_batch *b, const kp_position *end, void *token)
{
    kp_node *node = lane->node;
    struct entry *entry = entry_new(lane, b, end, token);

    b->lane = lane;
    b->lane_name = (kp_slice){lane->name, lane->name_len};
    lane->bytes += entry->bytes;
    count_add(&node->counts.read, b->count);
    count_add(&node->counts.read_bytes, entry->bytes);
    if (lane->row)
        lane->row->bytes += entry->bytes; /* one writer at a time: the lane's worker */
    count_add(&node->flow->activity, 1);
    if (!b->count) { /* only a position: nothing to settle */
        entry_ended(entry);
        batch_free(b);
        return;
    }
    hop_put(node, 1, b);
}

/* ---- the lane */

void lane_init(struct kp_lane *lane, kp_node *node, const char *name, size_t name_len)
{
    struct flow *flow = node->flow;

    *lane = (struct kp_lane){.node = node, .name = mem_dupn(name, name_len), .name_len = name_len};
    lane->last = &lane->first;
    lane->task.run = lane_task;
    if (!flow)
        return;
    lane->n_hops = flow->n_nodes + flow->has_failure_node;
    lane->hops = mem_new(lane->n_hops * sizeof *lane->hops);
    for (uint32_t i = 0; i < lane->n_hops; i++)
        hop_init(&lane->hops[i], &flow->nodes[i], lane);
}

void lane_fini(struct kp_lane *lane)
{
    worker_undefer(lane->node->worker, &lane->task);
    for (uint32_t i = 0; i < lane->n_hops; i++)
        hop_fini(&lane->hops[i]);
    while (lane->first) {
        struct entry *entry = lane->first;

        lane->first = entry->next;
        entry_free(entry);
    }
    free(lane->hops);
    free(lane->start);
    free(lane->pending);
    free(lane->name);
    lane->hops = NULL;
    lane->name = NULL;
    lane->n_hops = 0;
}

kp_lane *lane_open(kp_node *node, const char *name, void *state, kp_position *ret_start)
{
    struct kp_lane *lane = mem_new(sizeof *lane);
    char start[KP_POSITION_MAX + 1];

    lane_init(lane, node, name, strlen(name));
    lane->state = state;
    lane->next = node->lanes;
    if (lane->next)
        lane->next->previous = lane;
    node->lanes = lane;
    *ret_start = (kp_position){{"", 0}, 0};
    if (!(node->element->flags & KP_REQUEST))
        lane->lease = lane->row = leases_row(node, name);
    if (!lane->row)
        return lane;
    if (lane->row == node->granting)
        lane->row->host = lane;
    lease_row_position(lane->row, start, &ret_start->sub);
    lane->start = mem_dup(start);
    ret_start->text = (kp_slice){lane->start, strlen(lane->start)};
    return lane;
}

void lane_about(kp_lane *lane, const kp_lane_about *about)
{
    if (lane->row && lane->row->host != lane) /* of a granted one all is known */
        lease_row_about(lane->row, about);
}

void lane_close(kp_lane *lane)
{
    lane->is_closed = true;
    lane->wants_room = false;
    check_lane(lane);
}

/* What a shard has read is in memory already, and a thousand of them may fill it together: only
 * what is handed on makes room. A shard with nothing open does not wait for that. Other sources
 * make their records when they are ready, and doors refuse when they are not. */
static bool may_give_way(const struct kp_lane *lane)
{
    return !lane->first && lane->node->element->flags & KP_STREAM;
}

bool lane_ready(kp_lane *lane)
{
    kp_node *node = lane->node;

    if (node->is_stopped)
        return false;
    if (lane->bytes >= lane_share(lane)) {
        lane->wants_room = true;
        node->flow->has_full_lane = true;
        return false;
    }
    if (!budget_has_room(node->budget) && !may_give_way(lane)) {
        node->wants_room = lane->wants_room = true;
        return false;
    }
    return true;
}

void lane_hold(struct kp_lane *lane)
{
    lane->users++;
}

void lane_let_go(struct kp_lane *lane)
{
    lane->users--;
    check_lane(lane);
}

bool lane_is_stale(const struct kp_lane *lane)
{
    return lane->is_lost || (lane->lease && leases_row_is_stale(lane->lease));
}

void lane_is_over(struct kp_lane *lane)
{
    lane->is_lost = true;
    leases_give_up(lane->node, lane->lease);
}

void lane_give_up(struct kp_lane *lane)
{
    for (uint32_t i = 0; i < lane->n_hops; i++)
        hop_fini(&lane->hops[i]);
}

void lane_free_all(kp_node *node)
{
    while (node->lanes)
        lane_free(node->lanes);
}
