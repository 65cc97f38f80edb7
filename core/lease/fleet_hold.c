/* fleet_hold.c - leases that are ours: had, renewed, checkpointed, lost.
 *
 * One write of a row is under way at a time, so its counter is always known, but
 * for writes whose answers were lost: those may have happened. A refused write is
 * therefore looked into. The row is still ours when its worker is, and when its
 * counter is no further on than such writes can have moved it.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/lease/fleet_internal.h"

enum { RETRY_MS = 250 }; /* after a failed write */

/* We stop before others may start: by the time when the renewal left, not when its answer came. */
static int64_t valid_until(const struct fleet *fleet, int64_t sent_ms)
{
    int64_t failover = fleet->config.failover_ms;

    return fleet->io->is_private ? INT64_MAX : sent_ms + failover - failover / 10;
}

/* Lanes that no other process can have are no news. */
void hold_say(const struct lease_row *row, bool is_taken)
{
    const struct lease *known = &row->state->known;

    log_write(row->state->is_own ? LOG_DEBUG : LOG_INFO, NULL,
              is_taken ? "lease.taken" : "lease.released", "table=%s lease=%s checkpoint=%s",
              row->fleet->io->table, row->name, known->checkpoint ? known->checkpoint : "");
}

/* ---- held, lost */

void hold_begin(struct lease_row *row, int64_t sent_ms)
{
    struct row_state *s = row->state;
    struct fleet *fleet = row->fleet;

    s->phase = ROW_HELD;
    s->sent_ms = s->written_ms = s->bytes_ms = sent_ms;
    s->bytes_then = row->bytes;
    s->is_drained = s->is_forced = false;
    s->ended_ms = s->retry_ms = s->look_ms = s->renewed_ms = 0;
    s->tries = 0;
    s->parent_ok[0] = s->parent_ok[1] = false;
    row->is_given_up = false;
    if (!s->is_own) { /* nothing is left of an earlier time */
        pthread_mutex_lock(&row->lock);
        row->text[0] = '\0';
        row->is_dirty = false;
        pthread_mutex_unlock(&row->lock);
    }
    row->valid_until = valid_until(fleet, sent_ms);
    hold_say(row, true);
}

static void tell_prepared(struct lease_row *row, bool ok)
{
    void (*fn)(void *, bool);
    void *arg;

    pthread_mutex_lock(&row->lock);
    fn = row->prepared;
    arg = row->prepared_arg;
    row->prepared = NULL;
    free(row->pending);
    row->pending = NULL;
    pthread_mutex_unlock(&row->lock);
    if (fn)
        fn(arg, ok);
}

void hold_lost(struct lease_row *row, const char *why)
{
    struct row_state *s = row->state;
    struct fleet *fleet = row->fleet;
    bool was_granted = s->phase == ROW_GRANTED || (s->phase == ROW_LEAVING && !s->is_drained);

    if (++fleet->n_lost <= FLEET_LOST_TOLD)
        log_warn("lease.lost", "table=%s lease=%s why=\"%s\"", fleet->io->table, row->name, why);
    row->valid_until = 0;
    s->phase = was_granted ? ROW_LOST : ROW_FOREIGN;
    tell_prepared(row, false);
    if (s->is_own) {
        char *text =
            mem_fmt("another worker has taken %s in the lease table %s, or it could not be "
                    "renewed in time: %s",
                    row->name, fleet->io->table, why);

        s->phase = ROW_FOREIGN;
        fleet->has_failed = true;
        fleet->ops.fail(fleet->arg, text);
        free(text);
    } else if (was_granted) {
        fleet->ops.revoke(fleet->arg, row, true);
    }
}

/* ---- what a write left behind */

static void renewed(struct lease_row *row, int64_t sent_ms)
{
    struct row_state *s = row->state;

    s->known.counter++;
    s->unsure = s->tries = 0;
    s->sent_ms = sent_ms;
    row->valid_until = valid_until(row->fleet, sent_ms);
}

/* The position that was written; what has moved since is written by the next. */
static void position_stored(struct fleet_call *call)
{
    struct lease_row *row = call->row;
    struct row_state *s = row->state;

    row_set_text(&s->known.checkpoint, call->text);
    s->known.sub = call->sub;
    s->known.switches = 0;
    s->written_ms = call->made_ms;
    s->is_about_known |= call->has_about;
    pthread_mutex_lock(&row->lock);
    if (s->old_pending &&
        lease_compare_checkpoints(call->text, call->sub, s->old_pending, s->old_pending_sub) >= 0)
        row_set_text(&s->old_pending, NULL);
    if (!strcmp(row->text, call->text) && row->sub == call->sub)
        row->is_dirty = false;
    pthread_mutex_unlock(&row->lock);
    if (s->known.pending && lease_compare_checkpoints(call->text, call->sub, s->known.pending,
                                                      s->known.pending_sub) >= 0)
        row_set_text(&s->known.pending, NULL);
}

static void write_worked(struct fleet_call *call, int64_t sent_ms)
{
    struct lease_row *row = call->row;
    struct row_state *s = row->state;

    renewed(row, sent_ms);
    if (call->op == LEASE_CHECKPOINT) {
        position_stored(call);
        if (call->gives_up)
            leave_freed(row);
        else if (lease_has_ended(&s->known) && s->phase == ROW_HELD) {
            s->phase = ROW_FOREIGN; /* finished: the row waits to be deleted */
            s->moved_ms = fleet_now(row->fleet);
            row->fleet->must_sync = true;
        }
    } else if (call->op == LEASE_PREPARE) {
        row_set_text(&s->known.pending, call->text);
        s->known.pending_sub = call->sub;
        tell_prepared(row, true);
    }
}

/* KCL 2 takes a row without clearing checkpointOwner, which then still names us. */
static bool is_stolen(const struct lease_row *row, const struct lease *row_now)
{
    const struct lease *known = &row->state->known;

    if (!row_now->owner || !strcmp(row_now->owner, row->fleet->me))
        return false;
    return !fleet_hands_over(row->fleet, row_now->owner) ||
           (known->checkpoint_owner && known->owner && strcmp(known->owner, row_now->owner) != 0);
}

/* Is it still ours? Then what stands there is our own: a renewal, or a write whose answer was lost.
 */
static bool is_ours(const struct lease_row *row, const struct lease *row_now)
{
    const char *worker = lease_worker(row_now);
    uint64_t ahead = row_now->counter - row->state->known.counter;

    return worker && !strcmp(worker, row->fleet->me) && ahead <= row->state->unsure + 1u &&
           !(ahead && is_stolen(row, row_now));
}

/* The write, or one before it, may have happened all the same. */
static void write_was_there(struct fleet_call *call, const struct lease *row_now)
{
    struct lease_row *row = call->row;
    struct row_state *s = row->state;
    bool has_moved = row_now->counter != s->known.counter;
    int64_t sent_ms = s->unsure ? s->unsure_ms : call->made_ms; /* it may have been the first */

    row_learn(row, row_now,
              fleet_now(row->fleet)); /* what is owed of the position is still dirty */
    if (has_moved && sent_ms > s->sent_ms) {
        s->sent_ms = sent_ms;
        row->valid_until = valid_until(row->fleet, sent_ms);
    }
    if (call->op == LEASE_CHECKPOINT && has_moved && row_now->checkpoint &&
        !strcmp(row_now->checkpoint, call->text) && row_now->sub == call->sub)
        position_stored(call);
    if (s->phase != ROW_LEAVING && s->known.checkpoint_owner)
        leave_begin(row, fleet_now(row->fleet));
}

/* Somebody else's hands are on the row, or an answer of ours was lost. */
static void write_refused(struct fleet_call *call, const struct lease *row_now)
{
    struct lease_row *row = call->row;
    struct fleet *fleet = row->fleet;

    if (!row_now) {
        row_forget(row);
        hold_lost(row, "its row was deleted");
        fleet->must_sync = true;
    } else if (call->gives_up && !lease_worker(row_now) &&
               row_now->counter - row->state->known.counter <= row->state->unsure + 1u) {
        row_learn(row, row_now, fleet_now(fleet)); /* an earlier try had worked */
        leave_freed(row);
    } else if (is_ours(row, row_now)) {
        write_was_there(call, row_now);
    } else {
        row_learn(row, row_now, fleet_now(fleet));
        hold_lost(row, "another worker has taken it");
    }
}

/* Doubled with each failure, and up to as much again; short of the fail-over time by so much that
 * the lease is tried for several times. */
static int64_t retry_pause_ms(struct lease_row *row)
{
    struct fleet *fleet = row->fleet;
    unsigned tries = row->state->tries++;
    int64_t pause = (int64_t)RETRY_MS << (tries < 8 ? tries : 8);

    if (pause > fleet->config.failover_ms / 8)
        pause = fleet->config.failover_ms / 8;
    return pause + (int64_t)kpw_random_below(&fleet->random, (uint64_t)pause + 1);
}

static void wrote(struct fleet_call *call, const struct lease_reply *reply)
{
    struct lease_row *row = call->row;
    struct row_state *s = row->state;
    struct fleet *fleet = row->fleet;

    if (!row_is_held(row)) { /* it was lost meanwhile, by the clock */
        if (reply->status == LEASE_REFUSED && reply->row)
            row_learn(row, reply->row, fleet_now(fleet));
        else
            s->unsure = 0;
        fleet->scan_ms = 0;
        return;
    }
    if (reply->status == LEASE_DONE) {
        write_worked(call, reply->sent_ms);
    } else if (reply->status == LEASE_REFUSED) {
        write_refused(call, reply->row);
    } else {
        row_set_unsure(row, call->made_ms);
        s->retry_ms = fleet_now(fleet) + retry_pause_ms(row);
        fleet_call_failed(call, reply);
    }
}

/* ---- writes */

/* What a leader of KCL 3 weighs the lease with; every write of its owner tells it. A busy lane is
 * checkpointed and never renewed; measured over KCL's period it is all the same. */
static void tell_throughput(struct lease_row *row, struct lease_call *call)
{
    struct row_state *s = row->state;
    uint64_t bytes = row->bytes;
    int64_t now = fleet_now(row->fleet), elapsed = now - s->bytes_ms;
    double kbps;

    if (!row->fleet->is_assigned)
        return;
    if (elapsed > 0 && (s->throughput < 0 || elapsed >= row->fleet->config.failover_ms / 3)) {
        kbps = (double)(bytes - s->bytes_then) / 1.024 / (double)elapsed;
        s->throughput = s->throughput < 0 ? kbps : (s->throughput + kbps) / 2; /* alpha 0.5 */
        s->bytes_then = bytes;
        s->bytes_ms = now;
    }
    call->to.throughput = s->throughput;
}

struct lease_call hold_call(struct lease_row *row, enum lease_op op)
{
    struct row_state *s = row->state;
    struct lease_call call = {.op = op, .was = s->known};

    call.was.key = call.to.key = row->name;
    call.to.throughput = -1;
    return call;
}

void hold_renew(struct lease_row *row)
{
    struct lease_call call = hold_call(row, LEASE_RENEW);

    call.checks_hand_off = row->state->phase != ROW_LEAVING;
    tell_throughput(row, &call);
    fleet_call(row->fleet, row, &call, wrote);
}

/* Borrowed from the listing: up to two. */
static void children_of(struct fleet *fleet, const char *name, char *ret[2])
{
    size_t n = 0;

    ret[0] = ret[1] = NULL;
    for (size_t i = 0; fleet->listing && i < fleet->listing->n && n < 2; i++) {
        const struct listed_lane *lane = &fleet->listing->lanes[i];

        if ((lane->parents[0] && !strcmp(lane->parents[0], name)) ||
            (lane->parents[1] && !strcmp(lane->parents[1], name)))
            ret[n++] = lane->key;
    }
}

/* KCL's order: the children's rows exist before their parent is done with, so that nobody who finds
 * the parent gone can miss them. */
static bool may_end(struct lease_row *row, int64_t now)
{
    struct row_state *s = row->state;
    struct fleet *fleet = row->fleet;
    char *children[2];

    if (!s->ended_ms)
        s->ended_ms = now;
    if (s->is_own || fleet->is_releasing)
        return true; /* nothing lists any more; whoever finds an ended row without children makes
                        them */
    if (!fleet->listing || fleet->listed_ms < s->ended_ms) {
        fleet_ask_list(fleet, now);
        return false;
    }
    children_of(fleet, row->name, children);
    for (int i = 0; i < 2; i++) {
        const struct lease_row *child = children[i] ? fleet_find(fleet, children[i]) : NULL;

        if (children[i] && !fleet->listing->is_fixed && (!child || !child->state->is_stored)) {
            fleet->must_sync = true;
            return false;
        }
    }
    return true;
}

void hold_checkpoint(struct lease_row *row, bool gives_up)
{
    struct row_state *s = row->state;
    struct fleet_call *sent;
    struct lease_call call = hold_call(row, LEASE_CHECKPOINT);
    char text[KP_POSITION_MAX + 1];
    uint64_t sub;

    lease_row_position(row, text, &sub);
    if (!*text) {
        strcpy(text, s->known.checkpoint ? s->known.checkpoint : LEASE_TRIM_HORIZON);
        sub = s->known.sub;
    }
    if (!strcmp(text, LEASE_SHARD_END))
        children_of(row->fleet, row->name, call.to.children);
    call.to.checkpoint = text;
    call.to.sub = sub;
    call.gives_up = gives_up;
    tell_throughput(row, &call);
    /* A boundary that is not reached stays. */
    if (s->known.pending &&
        lease_compare_checkpoints(text, sub, s->known.pending, s->known.pending_sub) < 0) {
        call.to.pending = s->known.pending;
        call.to.pending_sub = s->known.pending_sub;
    }
    pthread_mutex_lock(&row->lock); /* set once: the texts stay where they are */
    if (!s->is_about_known) {
        call.to.parents[0] = s->parents[0];
        call.to.parents[1] = s->parents[1];
        call.to.low = s->low;
        call.to.high = s->high;
    }
    pthread_mutex_unlock(&row->lock);
    sent = fleet_call(row->fleet, row, &call, wrote);
    if (!sent)
        return;
    memcpy(sent->text, text, sizeof sent->text);
    sent->sub = sub;
    sent->gives_up = gives_up;
    sent->has_about = call.to.parents[0] || call.to.low;
}

static void prepare(struct lease_row *row)
{
    struct lease_call call = hold_call(row, LEASE_PREPARE);
    char text[KP_POSITION_MAX + 1] = "";
    struct fleet_call *sent;

    pthread_mutex_lock(&row->lock);
    if (row->pending)
        strncpy(text, row->pending, KP_POSITION_MAX);
    call.to.pending_sub = row->pending_sub;
    pthread_mutex_unlock(&row->lock);
    call.to.pending = text;
    sent = fleet_call(row->fleet, row, &call, wrote);
    if (!sent)
        return;
    memcpy(sent->text, text, sizeof sent->text);
    sent->sub = call.to.pending_sub;
}

static bool is_at_end(struct lease_row *row)
{
    char text[KP_POSITION_MAX + 1];
    uint64_t sub;

    lease_row_position(row, text, &sub);
    return !strcmp(text, LEASE_SHARD_END);
}

static bool has_boundary(struct lease_row *row)
{
    bool has_one;

    pthread_mutex_lock(&row->lock);
    has_one = row->prepared != NULL;
    pthread_mutex_unlock(&row->lock);
    return has_one;
}

static bool must_write_position(const struct lease_row *row, int64_t now)
{
    const struct fleet *fleet = row->fleet;

    return row->state->phase == ROW_HELD || /* its lane is closed: it may be another's soon */
           now - row->state->written_ms >= fleet->config.checkpoint_ms ||
           now - row->state->sent_ms >= fleet->config.failover_ms / 3;
}

/* What an owner owes its row. */
static void keep(struct lease_row *row, int64_t now)
{
    struct row_state *s = row->state;
    bool is_dirty = lease_row_is_dirty(row);

    if (has_boundary(row))
        prepare(row);
    else if (is_dirty && (is_at_end(row) ? may_end(row, now) : must_write_position(row, now)))
        hold_checkpoint(row, false);
    else if (now - s->sent_ms >= row->fleet->config.failover_ms / 3)
        hold_renew(row);
    else if (s->phase == ROW_HELD && !s->is_own && !is_dirty)
        grant_row(row);
}

void hold_run(struct lease_row *row, int64_t now)
{
    struct row_state *s = row->state;

    if (!row_is_held(row)) {
        if (!s->is_own && has_boundary(row)) /* asked for while it was being lost */
            tell_prepared(row, false);
        return;
    }
    if (now >= row->valid_until || row->is_given_up)
        hold_lost(row, "it was not renewed in time");
    else if (s->is_busy || now < s->retry_ms)
        return;
    else if (row->fleet->is_releasing)
        leave_release(row, now);
    else if (s->phase == ROW_LEAVING)
        leave_run(row, now);
    else
        keep(row, now);
}

int64_t hold_next(const struct lease_row *row)
{
    const struct row_state *s = row->state;
    int64_t failover = row->fleet->config.failover_ms, next;

    if (!row_is_held(row))
        return s->look_ms && s->phase == ROW_FOREIGN ? s->look_ms : INT64_MAX;
    if (s->is_busy)
        return row->valid_until;
    next = s->sent_ms + failover / 3;
    if (s->written_ms + row->fleet->config.checkpoint_ms < next &&
        lease_row_is_dirty((struct lease_row *)(uintptr_t)row))
        next = s->written_ms + row->fleet->config.checkpoint_ms;
    if (s->ended_ms)
        next = row->fleet->list_asked_ms + FLEET_LIST_MS;
    return next < s->retry_ms ? s->retry_ms : next;
}
