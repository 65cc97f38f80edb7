/* fleet_take.c - how leases are had: taken, asked for, or found to have been assigned to us. */
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/lease/fleet_internal.h"
#include "core/lease/take.h"

enum {
    LOOK_MS = 500, /* between two looks at a row that is being handed to us */
    RETRY_MS = 500,
};

static bool is_mine(const struct lease_row *row)
{
    const struct lease *known = &row->state->known;

    return known->owner && !strcmp(known->owner, row->fleet->me);
}

/* ---- taking */

static void set_owner(struct lease_row *row, bool is_hand_over)
{
    struct row_state *s = row->state;
    char *before = s->known.owner;

    free(s->known.checkpoint_owner);
    s->known.checkpoint_owner = is_hand_over ? before : NULL;
    if (!is_hand_over)
        free(before);
    s->known.owner = mem_dup(row->fleet->me);
}

static void taken(struct fleet_call *call, const struct lease_reply *reply)
{
    struct lease_row *row = call->row;
    struct row_state *s = row->state;
    struct fleet *fleet = row->fleet;
    int64_t now = fleet_now(fleet);

    if (s->phase == ROW_ASKED)
        s->phase = ROW_FOREIGN;
    if (reply->status == LEASE_FAILED) {
        s->retry_ms = now + RETRY_MS;
        fleet->scan_ms = 0; /* it may have happened */
        fleet_call_failed(call, reply);
        return;
    }
    if (reply->status == LEASE_REFUSED) {
        if (reply->row)
            row_learn(row, reply->row, now);
        else
            row_forget(row);
        fleet->must_take = true;
        return;
    }
    if (call->op == LEASE_HAND_OFF) {
        set_owner(row, true);
        s->look_ms = now + LOOK_MS;
        return;
    }
    s->known.counter++;
    if (call->op == LEASE_TAKE)
        set_owner(row, false);
    s->moved_ms = now;
    if (s->is_own)
        row->valid_until = INT64_MAX;
    hold_begin(row, reply->sent_ms);
}

void take_send(struct lease_row *row, bool is_hand_over)
{
    struct fleet *fleet = row->fleet;
    struct lease_call call = {.op = is_hand_over ? LEASE_HAND_OFF : LEASE_TAKE,
                              .was = row->state->known};

    call.to = (struct lease){.key = row->name, .owner = fleet->me, .throughput = -1};
    if (fleet_call(fleet, row, &call, taken))
        row->state->phase = ROW_ASKED;
    else
        fleet->must_take = true;
}

/* ---- the taker's round */

static bool may_take(const struct lease_row *row, int64_t now)
{
    const struct row_state *s = row->state;

    return s->phase == ROW_FOREIGN && !s->is_busy && now >= s->retry_ms;
}

/* Its owner should have renewed it by now: who is dead cannot hand over. */
static bool is_fading(const struct lease_row *row, int64_t now)
{
    return row->state->moved_ms != ROW_NEVER &&
           now - row->state->moved_ms > row->fleet->config.failover_ms * 3 / 4;
}

static struct take_lease view_of(const struct lease_row *row, int64_t now, int64_t very_old_ms)
{
    const struct row_state *s = row->state;
    const struct fleet *fleet = row->fleet;
    bool is_free = row_is_free(row, now);

    return (struct take_lease){
        .owner = s->known.owner,
        .is_free = is_free,
        .is_very_old = is_free && s->moved_ms != ROW_NEVER && now - s->moved_ms > very_old_ms,
        /* KCL 2 takes a lease that is being handed over without clearing checkpointOwner. */
        .is_moving = (s->known.checkpoint_owner && fleet_hands_over(fleet, s->known.owner)) ||
                     !may_take(row, now) || is_fading(row, now),
        .hands_over = fleet_hands_over(fleet, s->known.owner) && !s->known.checkpoint_owner,
    };
}

static void take_shares(struct fleet *fleet, int64_t now)
{
    struct lease_row *row = fleet_first(fleet);
    struct lease_row **rows = mem_new((fleet->n_rows + 1) * sizeof *rows);
    struct take_lease *views = mem_new((fleet->n_rows + 1) * sizeof *views);
    struct take_step *steps = mem_new((fleet->n_rows + 1) * sizeof *steps);
    struct take_input in = {.leases = views,
                            .me = fleet->me,
                            .max_leases = fleet->config.max_leases,
                            .max_steals = fleet->config.max_steals,
                            .random = &fleet->random};
    /* When anybody takes a free lease, whatever his share. KCL waits for three times the fail-over
     * time; two rounds are enough, and what somebody has too much of then goes to others later. */
    int64_t very_old_ms = fleet->config.failover_ms * 7 / 5;
    struct take_result result;

    for (; row; row = row->next) {
        if (!row->state->is_stored || row_has_ended(row) || row->state->is_own)
            continue;
        rows[in.n] = row;
        views[in.n++] = view_of(row, now, very_old_ms);
    }
    result = take_plan(&in, steps);
    if (result.spilled && result.spilled != fleet->spilled)
        log_warn("leases.spilled",
                 "table=%s leases=%zu text=\"max_leases_for_worker of all workers "
                 "leaves them unread\"",
                 fleet->io->table, result.spilled);
    fleet->spilled = result.spilled;
    for (size_t i = 0; i < result.n; i++)
        if (may_take(rows[steps[i].lease], now))
            take_send(rows[steps[i].lease], steps[i].what == TAKE_ASK);
    free(rows);
    free(views);
    free(steps);
}

/* `shards = {...}`: these and no others, whoever has them. */
static void take_fixed(struct fleet *fleet, int64_t now)
{
    for (size_t i = 0; i < fleet->listing->n; i++) {
        struct lease_row *row = fleet_find(fleet, fleet->listing->lanes[i].key);

        if (!row || !row->state->is_stored || row_has_ended(row) || !may_take(row, now))
            continue;
        if (row->state->known.owner && !is_mine(row) && !row_is_free(row, now))
            log_warn("lease.contested", "table=%s lease=%s owner=%s", fleet->io->table, row->name,
                     row->state->known.owner);
        take_send(row, false);
    }
}

void take_run(struct fleet *fleet, int64_t now)
{
    if (!fleet->must_take || !fleet->listing || !fleet->has_begun || fleet->must_sync ||
        now < fleet->alone_ms)
        return;
    fleet->must_take = false;
    if (fleet->listing->is_fixed)
        take_fixed(fleet, now);
    else if (!fleet->is_assigned)
        take_shares(fleet, now);
}

/* ---- row by row */

static void looked(struct fleet_call *call, const struct lease_reply *reply)
{
    struct lease_row *row = call->row;
    int64_t now = fleet_now(row->fleet);

    row->state->look_ms = now + LOOK_MS;
    if (reply->status == LEASE_DONE && reply->row)
        row_learn(row, reply->row, now);
    else if (reply->status == LEASE_DONE)
        row_forget(row);
}

/* Its owner is we, and we do not hold it: it was assigned or handed to us, or the answer to our own
 * taking was lost, or we had given it up for lost. A renewal proves it. */
static void adopt(struct lease_row *row)
{
    struct fleet *fleet = row->fleet;
    struct lease_call call = {.op = LEASE_RENEW, .was = row->state->known, .checks_hand_off = true};

    call.to = (struct lease){.key = row->name, .throughput = -1};
    if (fleet_call(fleet, row, &call, taken))
        row->state->phase = ROW_ASKED;
}

static void look(struct lease_row *row)
{
    struct lease_call call = {.op = LEASE_GET, .was = row->state->known};

    call.to = (struct lease){.key = row->name, .throughput = -1};
    call.was.key = row->name;
    fleet_call(row->fleet, row, &call, looked);
}

static void own_created(struct fleet_call *call, const struct lease_reply *reply)
{
    struct lease_row *row = call->row;
    struct row_state *s = row->state;

    if (reply->status == LEASE_FAILED) {
        s->retry_ms = fleet_now(row->fleet) + RETRY_MS;
        fleet_call_failed(call, reply);
    } else if (reply->status == LEASE_DONE) {
        const struct lease made = {.key = row->name,
                                   .checkpoint = (char *)(uintptr_t)LEASE_TRIM_HORIZON,
                                   .throughput = -1};

        row_learn(row, &made, fleet_now(row->fleet));
    } else if (reply->row) {
        row_learn(row, reply->row, fleet_now(row->fleet));
    }
}

/* A lane without sharing: there is no row before it has a position. */
static void own_run(struct lease_row *row)
{
    struct row_state *s = row->state;
    struct lease_call call = {.op = LEASE_CREATE};

    if (!lease_row_is_dirty(row))
        return;
    if (s->is_stored) {
        take_send(row, false);
        return;
    }
    call.was = call.to = (struct lease){
        .key = row->name, .checkpoint = (char *)(uintptr_t)LEASE_TRIM_HORIZON, .throughput = -1};
    fleet_call(row->fleet, row, &call, own_created);
}

static void taken_back(struct fleet_call *call, const struct lease_reply *reply)
{
    struct lease_row *row = call->row;
    struct fleet *fleet = row->fleet;

    if (reply->status == LEASE_FAILED) {
        row->state->retry_ms = fleet_now(fleet) + RETRY_MS;
        fleet_call_failed(call, reply);
    } else if (reply->status == LEASE_REFUSED && reply->row) {
        row_learn(row, reply->row, fleet_now(fleet)); /* handed over in this moment? */
    } else {
        free(row->state->known.owner);
        row->state->known.owner = NULL; /* not ours any more */
    }
}

/* The run ends: what was asked for stays where it is, what has just come goes on to others. */
static void give_back(struct lease_row *row)
{
    struct fleet *fleet = row->fleet;
    struct lease_call call = {.op = LEASE_EVICT, .was = row->state->known};

    call.to = (struct lease){.key = row->name, .throughput = -1};
    if (row->state->known.checkpoint_owner)
        call.op = LEASE_TAKE_BACK;
    fleet_call(fleet, row, &call, taken_back);
}

void take_row_run(struct lease_row *row, int64_t now)
{
    struct row_state *s = row->state;
    struct fleet *fleet = row->fleet;

    if (!may_take(row, now))
        return;
    if (s->is_own) {
        own_run(row);
        return;
    }
    if (!s->is_stored || !is_mine(row) || row_has_ended(row)) {
        s->look_ms = 0;
        return;
    }
    if (fleet->is_releasing) {
        give_back(row);
        return;
    }
    if (!fleet->has_begun || !fleet->listing || now < fleet->alone_ms)
        return;
    if (!s->known.checkpoint_owner) {
        s->look_ms = 0;
        adopt(row);
    } else if (row_is_free(row, now)) { /* who was to hand it over is gone */
        take_send(row, false);
    } else if (!s->look_ms) {
        s->look_ms = now + LOOK_MS;
    } else if (now >= s->look_ms) {
        look(row);
    }
}
