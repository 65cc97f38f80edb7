/* fleet_grant.c - when a lease that is ours may be read: its parents have ended. */
#include <string.h>

#include "core/lease/fleet_internal.h"

enum { RETRY_MS = 250 };

static void parent_looked_up(struct fleet_call *call, const struct lease_reply *reply)
{
    struct lease_row *row = call->row;
    struct row_state *s = row->state;
    struct lease_row *parent = fleet_find(
        row->fleet, s->known.parents[call->parent] ? s->known.parents[call->parent] : "");
    int64_t now = fleet_now(row->fleet);

    if (reply->status != LEASE_DONE)
        s->retry_ms = now + RETRY_MS;
    else if (!reply->row)
        s->parent_ok[call->parent] = true;
    else if (!parent || (!parent->state->is_stored && !parent->state->is_busy))
        row_learn(fleet_row(row->fleet, reply->row->key), reply->row, now);
}

/* A parent is done with when its row says so or is gone. A scan may have missed it: it is asked
 * for. */
static bool parent_has_ended(struct lease_row *row, int which)
{
    struct row_state *s = row->state;
    const char *name = s->known.parents[which];
    struct lease_row *parent;
    struct lease_call call = {.op = LEASE_GET};
    struct fleet_call *sent;

    if (!name || s->parent_ok[which])
        return true;
    parent = fleet_find(row->fleet, name);
    if (parent && parent->state->is_stored)
        return row_has_ended(parent);
    if (parent && parent->state->is_missing)
        return false; /* its row was lost, and is made again */
    call.was = call.to = (struct lease){.key = (char *)(uintptr_t)name, .throughput = -1};
    sent = fleet_call(row->fleet, row, &call, parent_looked_up);
    if (sent)
        sent->parent = which;
    return false;
}

static bool is_listed(struct fleet *fleet, const char *name)
{
    return fleet->listing && listing_find(fleet->listing, name);
}

void grant_row(struct lease_row *row)
{
    struct row_state *s = row->state;
    struct fleet *fleet = row->fleet;

    if (fleet->is_releasing || !fleet->has_begun || row_has_ended(row) ||
        !parent_has_ended(row, 0) || (!s->is_busy && !parent_has_ended(row, 1)) || s->is_busy)
        return;
    if (!is_listed(fleet, row->name)) /* a shard that is newer than our listing */
        fleet_ask_list(fleet, fleet_now(fleet));
    pthread_mutex_lock(&row->lock);
    row->text[0] = '\0';
    if (s->known.checkpoint)
        strncpy(row->text, s->known.checkpoint, KP_POSITION_MAX);
    row->sub = s->known.sub;
    row->is_dirty = false;
    row_set_text(&s->old_pending, s->known.pending);
    s->old_pending_sub = s->known.pending_sub;
    pthread_mutex_unlock(&row->lock);
    s->phase = ROW_GRANTED;
    fleet->grants++;
    fleet->ops.grant(fleet->arg, row);
}
