/* fleet_leave.c - how a lease that is ours goes: to a worker that asked for it, or to nobody when
 * the run ends. */
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/lease/fleet_internal.h"

enum { RETRY_MS = 250 };

void leave_begin(struct lease_row *row, int64_t now)
{
    struct row_state *s = row->state;
    struct fleet *fleet = row->fleet;
    bool was_granted = s->phase == ROW_GRANTED;

    s->phase = ROW_LEAVING;
    s->is_drained = !was_granted;
    s->is_forced = false;
    s->leave_by = now + fleet->config.hand_over_ms;
    log_info("lease.asked", "table=%s lease=%s by=%s", fleet->io->table, row->name, s->known.owner);
    if (was_granted)
        fleet->ops.revoke(fleet->arg, row, false);
}

void leave_freed(struct lease_row *row)
{
    struct row_state *s = row->state;

    row_set_text(&s->known.owner, NULL);
    row_set_text(&s->known.checkpoint_owner, NULL);
    s->moved_ms = ROW_NEVER;
    s->phase = ROW_FOREIGN;
    row->valid_until = 0;
    hold_say(row, false);
}

/* ---- the end of a hand-over */

static void handed_over(struct fleet_call *call, const struct lease_reply *reply)
{
    struct lease_row *row = call->row;
    struct row_state *s = row->state;
    struct fleet *fleet = row->fleet;
    int64_t now = fleet_now(fleet);

    if (reply->status == LEASE_FAILED) {
        row_set_unsure(row, call->made_ms);
        s->retry_ms = now + RETRY_MS;
        fleet_call_failed(call, reply);
        return;
    }
    if (reply->status == LEASE_REFUSED) {
        const char *worker = reply->row ? lease_worker(reply->row) : NULL;

        if (reply->row)
            row_learn(row, reply->row, now);
        else
            row_forget(row);
        if (worker && !strcmp(worker, fleet->me) && row_is_held(row))
            return; /* asked for by yet another, or not any more: again */
    } else {
        s->known.counter++;
        row_set_text(&s->known.checkpoint_owner, NULL);
        s->moved_ms = now;
    }
    log_info("lease.handed-over", "table=%s lease=%s to=%s", fleet->io->table, row->name,
             s->known.owner ? s->known.owner : "-");
    row->valid_until = 0;
    if (s->phase == ROW_LEAVING || s->phase == ROW_HELD)
        s->phase = ROW_FOREIGN;
}

static void hand_over(struct lease_row *row)
{
    struct lease_call call = hold_call(row, LEASE_ASSIGN);

    if (!row->state->known.checkpoint_owner) { /* it was taken back: nobody waits for it */
        row->state->phase = ROW_HELD;
        return;
    }
    call.to.owner = row->state->known.owner;
    fleet_call(row->fleet, row, &call, handed_over);
}

/* What is still in hand is given up, and read again over there; if even that hangs, the row goes by
 * itself. */
static void leave_late(struct lease_row *row, int64_t now)
{
    struct row_state *s = row->state;
    struct fleet *fleet = row->fleet;

    if (s->is_forced) {
        hold_lost(row, "its hand-over took too long");
        return;
    }
    log_warn("lease.forced", "table=%s lease=%s by=%s", fleet->io->table, row->name,
             s->known.owner ? s->known.owner : "-");
    s->is_forced = true;
    s->leave_by = now + fleet->config.hand_over_ms;
    fleet->ops.revoke(fleet->arg, row, true);
}

void leave_run(struct lease_row *row, int64_t now)
{
    struct row_state *s = row->state;

    if (s->is_drained) {
        if (lease_row_is_dirty(row))
            hold_checkpoint(row, false);
        else
            hand_over(row);
    } else if (now >= s->leave_by) {
        leave_late(row, now);
    } else if (now - s->sent_ms >= row->fleet->config.failover_ms / 3) {
        lease_row_is_dirty(row) ? hold_checkpoint(row, false) : hold_renew(row);
    }
}

/* ---- the end of the run */

static void evicted(struct fleet_call *call, const struct lease_reply *reply)
{
    struct lease_row *row = call->row;
    struct row_state *s = row->state;
    struct fleet *fleet = row->fleet;
    const char *worker = reply->row ? lease_worker(reply->row) : NULL;

    if (reply->status == LEASE_FAILED) {
        s->retry_ms = fleet_now(fleet) + RETRY_MS;
        fleet_call_failed(call, reply);
    } else if (reply->status == LEASE_REFUSED && worker && !strcmp(worker, fleet->me)) {
        row_learn(row, reply->row, fleet_now(fleet)); /* asked for meanwhile */
    } else {
        leave_freed(row);
    }
}

void leave_release(struct lease_row *row, int64_t now)
{
    struct row_state *s = row->state;
    struct lease_call call = hold_call(row, LEASE_EVICT);

    if (s->known.checkpoint_owner && s->phase != ROW_LEAVING) {
        s->phase = ROW_LEAVING;
        s->is_drained = true;
    }
    if (s->phase == ROW_LEAVING) {
        leave_run(row, now);
        return;
    }
    if (lease_row_is_dirty(row))
        hold_checkpoint(row, true);
    else
        fleet_call(row->fleet, row, &call, evicted);
}
