/* fleet_assign.c - what a leader does beside KCL 3: it sees who lives and what is free, and assigns
 * as assign.h plans it.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/lease/assign.h"
#include "core/lease/fleet_internal.h"

enum { RETRY_MS = 2000 };

static const double threshold = 10, dampening = 60; /* per cent; KCL's defaults */

/* ---- what is written */

static void assigned(struct fleet_call *call, const struct lease_reply *reply)
{
    struct lease_row *row = call->row;

    if (reply->status == LEASE_FAILED) {
        row->state->retry_ms = fleet_now(call->fleet) + RETRY_MS;
        fleet_call_failed(call, reply);
    }
    call->fleet->scan_ms = 0; /* what stands there now is for all to see */
}

/* What is free goes on the condition that its counter still stands, as nobody but KCL's leaders
 * does without: its owner may just have come back. */
static void assign(struct lease_row *row, const char *worker, bool is_graceful)
{
    struct fleet *fleet = row->fleet;
    struct lease_call call = {.op = is_graceful                          ? LEASE_HAND_OFF
                                    : row_is_free(row, fleet_now(fleet)) ? LEASE_TAKE
                                                                         : LEASE_ASSIGN,
                              .was = row->state->known};

    if (row->state->is_busy)
        return;
    call.to =
        (struct lease){.key = row->name, .owner = (char *)(uintptr_t)worker, .throughput = -1};
    if (fleet_call(fleet, row, &call, assigned))
        log_info("lease.assigned", "table=%s lease=%s to=%s", fleet->io->table, row->name, worker);
}

/* ---- who lives, what is free */

/* Its hand-over has run out: the old owner was to force it itself long ago. */
static bool is_overdue(const struct lease_row *row, int64_t now)
{
    const struct row_state *s = row->state;

    return s->known.checkpoint_owner && s->handed_ms &&
           now - s->handed_ms > row->fleet->config.hand_over_ms + row->fleet->config.failover_ms;
}

/* The lease was not renewed as it should. A worker of KCL 3 looks every fail-over time for what it
 * was given, and renews that with its next round. */
static bool has_run_out(const struct lease_row *row, int64_t now)
{
    const struct row_state *s = row->state;
    const char *worker = lease_worker(&s->known);
    int64_t failover = row->fleet->config.failover_ms;
    bool is_new = worker && !s->renewed_ms && !fleet_is_kpipe(worker);

    return row_is_free(row, now) && worker &&
           (s->moved_ms == ROW_NEVER || now - s->moved_ms > (is_new ? failover * 3 / 2 : failover));
}

/* The metrics of a worker that has died are good for another minute: its leases say more. */
static void note_signs(struct fleet *fleet, int64_t now)
{
    for (size_t i = 0; i < fleet->n_notes; i++)
        fleet->notes[i].renewed_ms = 0;
    for (struct lease_row *row = fleet_first(fleet); row; row = row->next) {
        const struct row_state *s = row->state;
        const char *worker = lease_worker(&s->known);
        struct lead_note *note;

        if (!s->is_stored || row_has_ended(row) || !worker || !strcmp(worker, fleet->me) ||
            !(note = lead_note(fleet, worker)))
            continue;
        if (s->renewed_ms > note->renewed_ms)
            note->renewed_ms = s->renewed_ms;
        if (has_run_out(row, now))
            note->dead_s = fleet->workers[note - fleet->notes].updated_s;
    }
}

/* All renew every third of the fail-over time, so it is late with all it has. It may only be slow,
 * and is skipped until it renews; but of workers that die at once, what the one lets run out must
 * not go to another, whose leases run out a moment later. */
static bool is_fading(const struct fleet *fleet, const struct lead_note *note, int64_t now)
{
    return note->renewed_ms && now - note->renewed_ms > fleet->config.failover_ms * 2 / 5;
}

static bool is_active(struct fleet *fleet, const struct lease_worker *worker, int64_t now)
{
    const struct lead_note *note = lead_note(fleet, worker->id);

    return lead_is_fresh(fleet, worker) && note->dead_s != worker->updated_s &&
           !is_fading(fleet, note, now);
}

/* What a worker was given and has not renewed yet is left to it only while it shows life. */
static bool is_free(const struct lease_row *row, int64_t now)
{
    struct fleet *fleet = row->fleet;
    const char *worker = lease_worker(&row->state->known);
    const struct lead_note *note = worker ? lead_note(fleet, worker) : NULL;

    if (is_overdue(row, now))
        return true;
    return row_is_free(row, now) && (has_run_out(row, now) || !note ||
                                     !is_active(fleet, &fleet->workers[note - fleet->notes], now));
}

/* ---- the round */

static bool has_leases(const struct assign_input *in, const char *id)
{
    for (size_t i = 0; i < in->n_leases; i++)
        if (in->leases[i].lease->owner && !strcmp(in->leases[i].lease->owner, id))
            return true;
    return false;
}

/* Every third run of KCL's LeaseAssignmentManager; and when somebody came who has nothing to do. */
static bool is_time_to_balance(struct fleet *fleet, const struct assign_input *in, int64_t now)
{
    if (now - fleet->balance_ms >= 6 * fleet->config.failover_ms)
        return true;
    for (size_t i = 0; i < in->n_workers; i++)
        if (!lead_note(fleet, in->workers[i].id)->is_known && !has_leases(in, in->workers[i].id))
            return true;
    return false;
}

static void balanced(struct fleet *fleet, const struct assign_input *in, int64_t now)
{
    fleet->balance_ms = now;
    for (size_t i = 0; i < in->n_workers; i++)
        lead_note(fleet, in->workers[i].id)->is_known = true;
}

void lead_assign(struct fleet *fleet, int64_t now)
{
    struct lease_row *row = fleet_first(fleet);
    bool is_some_busy = false;
    size_t cap = fleet->n_rows + 1;
    struct lease_row **rows = mem_new(cap * sizeof *rows);
    struct assign_lease *views = mem_new(cap * sizeof *views);
    struct assign_step *steps = mem_new(cap * sizeof *steps);
    struct lease_worker *active = mem_new((fleet->n_workers + 1) * sizeof *active);
    struct assign_input in = {.leases = views,
                              .workers = active,
                              .by_count = fleet->config.by_count,
                              .threshold = threshold,
                              .dampening = dampening,
                              .max_leases = fleet->config.max_leases,
                              .random = &fleet->random};
    size_t n;

    note_signs(fleet, now);
    for (; row; row = row->next) {
        const struct row_state *s = row->state;

        if (!s->is_stored || row_has_ended(row) || s->is_own)
            continue;
        is_some_busy |= s->is_busy;
        rows[in.n_leases] = row;
        views[in.n_leases++] =
            (struct assign_lease){.lease = &s->known,
                                  .is_free = is_free(row, now),
                                  .is_moving = s->known.checkpoint_owner != NULL || s->is_busy,
                                  .moved_ms = s->moved_ms};
    }
    for (size_t i = 0; i < fleet->n_workers; i++)
        if (is_active(fleet, &fleet->workers[i], now))
            active[in.n_workers++] = fleet->workers[i];
    in.balances = is_time_to_balance(fleet, &in, now);
    n = in.n_workers ? assign_plan(&in, steps) : 0;
    if (in.balances && (n || !is_some_busy)) /* else again, when what is busy may move */
        balanced(fleet, &in, now);
    for (size_t i = 0; i < n; i++)
        assign(rows[steps[i].lease], active[steps[i].worker].id, steps[i].is_graceful);
    free(rows);
    free(views);
    free(steps);
    free(active);
}
