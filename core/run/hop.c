/* hop.c - see hop.h.
 *
 * A batch is given at once when nothing is before it. Whatever becomes possible
 * inside a call of the plugin (the next batch, a retry that is due) is deferred,
 * so a node is never entered from its own done().
 */
#include "core/run/hop.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/config/plan.h"
#include "core/run/deadletter.h"
#include "core/run/flow.h"
#include "core/run/node.h"
#include "core/run/relay.h"
#include "core/run/stall.h"

/* ---- giving */

/* A node that is closing may still give batches back, but gets none. */
static bool takes_more(const kp_node *node)
{
    return node->is_open && !node->is_closing && !node->has_failed;
}

static bool may_enter(const struct hop *hop)
{
    return !hop->inside || (hop->node->element->flags & KP_CONCURRENT && !hop->tries);
}

static void give(struct hop *hop, struct batch *batch)
{
    kp_node *node = hop->node;
    kp_status status;

    if (hop->lane->lease && lane_is_stale(hop->lane)) { /* another process may read them by now */
        lane_is_over(hop->lane);
        batch_free(&batch->pub);
        lane_let_go(hop->lane);
        return;
    }
    if (!batch->order)
        batch->order = ++hop->n_given;
    batch->hop = hop;
    batch->next = NULL;
    hop->inside++;
    if (!batch->attempts) {
        count_add(&node->counts.read, batch->pub.count);
        count_add(&node->flow->activity, 1);
    }
    hop->giving = &batch->pub;
    status = node->element->process(node, node->state, &batch->pub);
    if (status != KP_OK && !node->has_failed)
        node_fail(node, "process() failed without saying why");
    if (status != KP_OK && hop->giving == &batch->pub) {
        hop->inside--;
        batch_free(&batch->pub);
        lane_let_go(hop->lane);
    }
    hop->giving = NULL;
}

static struct batch *next_again(struct hop *hop)
{
    struct batch *batch = hop->again;

    if (!batch || (hop->tries && hop->inside))
        return NULL;
    if (batch->due_ms > clock_mono_ms()) {
        if (!timer_is_set(&hop->timer) || hop->timer.due_ms > batch->due_ms)
            timers_set(&hop->node->worker->timers, &hop->timer, batch->due_ms - clock_mono_ms());
        return NULL;
    }
    hop->again = batch->next;
    return batch;
}

static struct batch *next_queued(struct hop *hop)
{
    struct batch *batch = hop->queue;

    if (!batch || hop->again)
        return NULL;
    hop->queue = batch->next;
    if (!hop->queue)
        hop->queue_end = &hop->queue;
    return batch;
}

static void go_on(struct hop *hop)
{
    struct batch *batch;

    while (takes_more(hop->node) && may_enter(hop)) {
        batch = next_again(hop);
        if (!batch)
            batch = next_queued(hop);
        if (!batch)
            return;
        give(hop, batch);
    }
}

static void hop_task(struct task *task)
{
    go_on((struct hop *)(void *)((char *)task - offsetof(struct hop, task)));
}

static void hop_timer(struct timer *timer)
{
    struct hop *hop = (struct hop *)(void *)((char *)timer - offsetof(struct hop, timer));

    worker_defer(hop->node->worker, &hop->task);
}

void hop_init(struct hop *hop, kp_node *node, struct kp_lane *lane)
{
    *hop = (struct hop){.node = node, .lane = lane};
    hop->queue_end = &hop->queue;
    hop->task.run = hop_task;
    hop->timer.ring = hop_timer;
}

static void free_list(struct batch *batch)
{
    while (batch) {
        struct batch *next = batch->next;

        batch_free(&batch->pub);
        batch = next;
    }
}

void hop_fini(struct hop *hop)
{
    struct batch *queue = hop->queue, *again = hop->again;

    if (!hop->node->worker)
        return;
    worker_undefer(hop->node->worker, &hop->task);
    timers_stop(&hop->node->worker->timers, &hop->timer);
    hop->queue = hop->again = NULL;
    hop->queue_end = &hop->queue;
    free_list(again);
    stall_free_all(&hop->stalls);
    free_list(queue);
}

void hop_put(kp_node *from, uint32_t index, kp_batch *b)
{
    struct batch *batch = batch_of(b);
    struct kp_lane *lane = b->lane ? b->lane : &from->own;
    struct hop *hop = &lane->hops[index];

    if (!b->count) {
        batch_free(b);
        return;
    }
    b->lane = lane;
    b->lane_name = lane == &from->own ? (kp_slice){"", 0} : (kp_slice){lane->name, lane->name_len};
    batch->attempts = 0;
    batch->order = 0;
    if (!hop->node->is_open) {
        relay_send(from, index, b);
        return;
    }
    lane_hold(lane);
    if (!hop->queue && !hop->again && !hop->giving && takes_more(hop->node) && may_enter(hop)) {
        give(hop, batch);
        return;
    }
    batch->next = NULL;
    *hop->queue_end = batch;
    hop->queue_end = &batch->next;
    worker_defer(hop->node->worker, &hop->task);
}

/* ---- coming back */

int64_t hop_backoff_ms(int64_t base_ms, int64_t max_ms, unsigned tries,
                       int64_t (*draw)(void *arg, int64_t below), void *arg)
{
    int64_t ceiling = base_ms;

    for (unsigned i = 1; i < tries && ceiling < max_ms; i++)
        ceiling = ceiling > max_ms / 2 ? max_ms : ceiling * 2;
    if (ceiling > max_ms)
        ceiling = max_ms;
    return draw(arg, ceiling + 1);
}

static int64_t draw_jitter(void *worker, int64_t below)
{
    return worker_random(worker, below);
}

static void log_retry(kp_node *node, const struct batch *batch, const char *reason, int64_t wait_ms)
{
    bool is_first = batch->attempts == 1;

    if (node->is_closing)
        return; /* it will be read again by the next run */
    /* The first of a series is news; the rest only for who looks closely. */
    log_write(is_first ? LOG_WARN : LOG_DEBUG, node->who, "records.retried",
              "count=%u attempt=%u wait_ms=%lld reason=\"%s\"", batch->pub.count, batch->attempts,
              (long long)wait_ms, reason ? reason : "");
}

/* [consumes batch] All its records are to be given to the node once more. */
static void try_again(struct hop *hop, struct batch *batch, int64_t after_ms, const char *reason)
{
    kp_node *node = hop->node;
    const struct plan_retry *retry = &node->plan->retry;
    struct batch **link = &hop->again;
    int64_t wait;

    batch->attempts++;
    hop->tries++;
    wait =
        hop_backoff_ms(retry->base_ms, retry->max_ms, batch->attempts, draw_jitter, node->worker);
    if (wait < after_ms)
        wait = after_ms;
    batch->due_ms = clock_mono_ms() + wait;
    log_retry(node, batch, reason, wait);
    count_add(&node->counts.retried, batch->pub.count);
    count_add(&node->flow->activity, 1);
    while (*link && (*link)->order < batch->order)
        link = &(*link)->next;
    batch->next = *link;
    *link = batch;
    lane_hold(hop->lane);
    worker_defer(node->worker, &hop->task); /* sets its timer; now or once the node has room */
}

/* What acting on the marks of one batch gathers. */
struct sorted {
    kp_node *node;
    kp_batch *b;
    uint32_t attempts;
    bool is_end;      /* nothing goes on: what is not marked is a bug of the plugin */
    kp_batch *again;  /* to be given once more */
    kp_batch *failed; /* for on_failure */
    int64_t after_ms;
    const char *reason; /* of a retry [borrowed from the batch's mark] */
};

static bool is_failure_node(const kp_node *node)
{
    return node == flow_failure_node(node->flow);
}

static void deliver_one(struct sorted *sorted, uint32_t i, const struct mark *mark)
{
    kp_node *node = sorted->node;
    static const kp_slice moved = {"dead-lettered", 13};

    count_add(&node->counts.delivered, 1);
    if (is_failure_node(node))
        batch_settle(sorted->b, i, END_DEAD_LETTERED, &moved, NULL);
    else
        batch_settle(sorted->b, i, END_DELIVERED, NULL, mark ? mark->receipt : NULL);
}

static void retry_one(struct sorted *sorted, uint32_t i, const struct mark *mark)
{
    kp_node *node = sorted->node;
    const char *reason = mark && mark->reason ? mark->reason : "not settled by the stage";
    int64_t limit = node->plan->retry.attempts;

    if (limit && sorted->attempts + 1 >= limit) {
        deadletter_add(node, &sorted->failed, sorted->b, i,
                       &(struct deadletter){.attempts = sorted->attempts + 1,
                                            .condition = "RetryAttemptsExhausted",
                                            .reason = reason});
        return;
    }
    if (!sorted->again) {
        if (!sorted->attempts)
            stall_number(sorted->b);
        sorted->again = batch_new(node->budget, &node->own, sorted->b->count);
    }
    if (mark && mark->after_ms > sorted->after_ms)
        sorted->after_ms = mark->after_ms;
    if (!sorted->reason)
        sorted->reason = mem_dup(reason);
    if (!batch_move(sorted->again, sorted->b, i))
        bug("out of memory for a record to be tried again");
}

static void sort_one(struct sorted *sorted, uint32_t i)
{
    kp_node *node = sorted->node;
    const kp_record *record = kp_at(sorted->b, i);
    const struct mark *mark = batch_mark(sorted->b, i);

    switch (record->outcome) {
    case OUTCOME_GONE: break;
    case KP_DELIVERED:
        if (sorted->is_end || node->element->kind == KP_SINK) {
            deliver_one(sorted, i, mark);
        } else {
            log_write(LOG_ERROR, node->who, "plugin.misbehaved",
                      "text=\"a transform must not deliver; the record goes on\"");
            batch_clear_mark(sorted->b, i);
        }
        break;
    case KP_FILTERED:
        count_add(&node->counts.filtered, 1);
        batch_settle(sorted->b, i, END_FILTERED, NULL, NULL);
        break;
    case KP_REJECTED:
        deadletter_add(node, &sorted->failed, sorted->b, i,
                       &(struct deadletter){.attempts = sorted->attempts + 1,
                                            .condition = "",
                                            .reason = mark ? mark->reason : NULL,
                                            .failure = mark ? mark->failure : NULL});
        break;
    case KP_RETRY: retry_one(sorted, i, mark); break;
    default:
        if (!sorted->is_end || !record->ticket[0])
            break;
        if (!node->has_failed && !node->is_closing)
            log_write(LOG_ERROR, node->who, "plugin.misbehaved",
                      "text=\"a record was given back without an outcome; it is tried again\"");
        retry_one(sorted, i, NULL);
    }
}

/* Every record of the batch has been delivered and nothing more is said: the usual case. */
static bool deliver_plainly(kp_node *node, kp_batch *b)
{
    struct batch *batch = batch_of(b);

    if (batch->marks || batch->n_marked != b->count || is_failure_node(node))
        return false;
    for (uint32_t i = 0; i < b->count; i++)
        if (batch->records[i].outcome != KP_DELIVERED)
            return false;
    count_add(&node->counts.delivered, b->count);
    for (uint32_t i = 0; i < b->count; i++)
        batch_settle(b, i, END_DELIVERED, NULL, NULL);
    return true;
}

static bool has_ticket(const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->pub.count; i++)
        if (batch->records[i].ticket[0])
            return true;
    return false;
}

/* The hop that a batch came by. What a stage put together itself goes by the lane of its records,
 * which is there as long as one of their tickets is, or by the node's own. */
static struct hop *hop_of(kp_node *node, struct batch *batch)
{
    if (batch->hop)
        return batch->hop;
    if (!batch->pub.lane || !has_ticket(batch)) {
        batch->pub.lane = &node->own;
        batch->pub.lane_name = (kp_slice){"", 0};
    }
    return &batch->pub.lane->hops[node->index];
}

/* Acts on all marks. Afterwards the batch holds only what goes on. Returns the place of the first
 * record that is tried again, or STALL_NONE. */
static uint32_t act_on_marks(kp_node *node, kp_batch *b, bool is_end)
{
    struct batch *batch = batch_of(b);
    struct hop *hop = hop_of(node, batch);
    uint32_t first = STALL_NONE;
    struct sorted sorted = {.node = node, .b = b, .attempts = batch->attempts, .is_end = is_end};

    if (is_end && node->element->kind == KP_SINK && deliver_plainly(node, b)) {
        hop->tries = 0;
        return STALL_NONE;
    }
    if (!is_end && !batch->n_marked) {
        hop->tries = 0;
        return STALL_NONE;
    }
    for (uint32_t i = 0; i < b->count; i++)
        sort_one(&sorted, i);
    batch_compact(b);
    if (sorted.failed)
        deadletter_send(node, sorted.failed);
    if (sorted.again) {
        struct batch *again = batch_of(sorted.again);

        again->pub.lane = hop->lane;
        again->pub.lane_name = (kp_slice){hop->lane->name, hop->lane->name_len};
        again->attempts = batch->attempts;
        again->order = batch->order ? batch->order : ++hop->n_given;
        first = stall_place(kp_at(sorted.again, 0));
        try_again(hop, again, sorted.after_ms, sorted.reason);
    } else {
        hop->tries = 0;
    }
    free((void *)(uintptr_t)sorted.reason);
    return first;
}

/* The node has the batch no longer. */
static void leave(struct hop *hop, kp_batch *b)
{
    if (!hop)
        return;
    batch_of(b)->hop = NULL;
    if (hop->giving == b)
        hop->giving = NULL;
    hop->inside--;
    if (hop->queue || hop->again)
        worker_defer(hop->node->worker, &hop->task);
    lane_let_go(hop->lane);
}

static void pass_on(kp_node *node, kp_batch *b)
{
    count_add(&node->counts.passed, b->count);
    hop_put(node, node->index + 1, b);
}

/* [consumes b] What a transform has of a batch that it was given goes on, or waits until what is
 * tried again before it is through. */
static void pass_in_order(struct hop *hop, uint64_t order, uint32_t first, kp_batch *b)
{
    bool had_stalls = hop->stalls != NULL;
    kp_batch *next;

    if (!stall_is_needed(hop->stalls, order, first)) {
        pass_on(hop->node, b);
        return;
    }
    if (!had_stalls)
        lane_hold(hop->lane);
    stall_keep(&hop->stalls, order, first, b);
    while ((next = stall_next(&hop->stalls)))
        pass_on(hop->node, next);
    if (!hop->stalls)
        lane_let_go(hop->lane);
}

void hop_done(kp_node *node, kp_batch *b)
{
    struct hop *hop = batch_of(b)->hop;
    uint64_t order = batch_of(b)->order;
    uint32_t first;

    count_add(&node->flow->activity, 1);
    first = act_on_marks(node, b, true);
    leave(hop, b);
    if (hop && node->element->kind == KP_TRANSFORM)
        pass_in_order(hop, order, first, b); /* it is empty, but others may wait for it */
    else
        batch_free(b);
}

void hop_release(kp_node *node, kp_batch *b)
{
    if (node->element->kind == KP_SOURCE || !node->flow) {
        batch_free(b); /* never submitted: it has no tickets */
        return;
    }
    hop_done(node, b);
}

void hop_emit(kp_node *node, kp_batch *b)
{
    struct hop *hop = batch_of(b)->hop;
    uint64_t order = batch_of(b)->order;
    uint32_t first;

    if (node->element->kind != KP_TRANSFORM)
        bug("%s is no transform: it must not emit", node->who);
    first = act_on_marks(node, b, false);
    if (hop && !b->lane)
        b->lane = hop->lane;
    leave(hop, b);
    count_add(&node->flow->activity, 1);
    if (hop)
        pass_in_order(hop, order, first, b);
    else
        pass_on(node, b);
}
