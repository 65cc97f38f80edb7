/* fleet_scan.c - what the table says: scans, missing rows, finished rows, holes. */
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/lease/fleet_internal.h"

enum {
    FEW_ROWS = 200, /* a scan of so many costs a handful of read units: it may be made more often */
    RETRY_MS = 200, /* after a failed scan, doubled up to the usual pause */
    FINISHED_FAILOVERS = 6, /* how long a row may still be looked at; KCL waits five minutes */
    DENIED_MS = 600000,     /* between two tries of what we have no permission for */
    TWINS_MAX = 3,          /* sightings of another worker with our id before one of us ends */
    NEW_TWINS_MAX = 2,      /* ... when we have just come: scans are eventually consistent */
    HOLES_MAX = 3,          /* sightings in a row, as KCL's auditor */
};

/* ---- scans */

static int64_t pause_of(struct fleet *fleet)
{
    int64_t failover = fleet->config.failover_ms;
    int64_t pause = fleet->n_rows <= FEW_ROWS ? failover / 5 : failover / 2;

    return pause - pause / 8 + (int64_t)kpw_random_below(&fleet->random, (uint64_t)pause / 4 + 1);
}

static void leave_if_asked(struct lease_row *row, int64_t now)
{
    struct row_state *s = row->state;

    if (row->state->phase != ROW_LEAVING && s->known.checkpoint_owner && s->known.owner &&
        strcmp(s->known.owner, row->fleet->me) != 0 &&
        !strcmp(s->known.checkpoint_owner, row->fleet->me))
        leave_begin(row, now);
}

/* Longer than a worker that lives goes without renewing. */
static int64_t alone_at(const struct fleet *fleet, int64_t now)
{
    return now + fleet->config.failover_ms * 3 / 5;
}

/* Another worker goes by our id, and each of us takes the other's writes for its own: both would
 * read the same lanes. Who has just come ends; of two that came together, chance says who. */
static void twin_seen(struct fleet *fleet, const struct lease_row *row, int64_t now)
{
    bool is_new = now < fleet->alone_ms;
    char *text;

    if (now - fleet->twin_ms > fleet->config.failover_ms)
        fleet->twins = 0;
    if (fleet->has_failed || (fleet->twins && fleet->twin_ms == now))
        return; /* once a scan */
    fleet->twin_ms = now;
    if (is_new)
        fleet->alone_ms = alone_at(fleet, now);
    if (++fleet->twins < (is_new ? NEW_TWINS_MAX : TWINS_MAX) ||
        (!is_new && kpw_random_below(&fleet->random, 2)))
        return;
    text = mem_fmt("another process works with the lease table %s under our id %s (it writes %s): "
                   "each needs a coordination.worker_identifier of its own",
                   fleet->io->table, fleet->me, row->name);
    fleet->has_failed = true;
    fleet->ops.fail(fleet->arg, text);
    free(text);
}

/* The row has our id and was counted up, and no write of ours is under way or in doubt. While it is
 * handed over that proves nothing: a KCL 2 that takes it leaves our id behind. */
static bool is_twins(const struct lease_row *row, const struct lease *lease, int64_t now)
{
    const struct row_state *s = row->state;
    const struct fleet *fleet = row->fleet;

    return lease->owner && !lease->checkpoint_owner && !strcmp(lease->owner, fleet->me) &&
           s->is_stored && !s->is_own && !s->unsure && !fleet->is_releasing &&
           lease->counter > s->known.counter && (row_is_held(row) || now < fleet->alone_ms);
}

/* A scan may be older than what we wrote since: of rows that are ours only news of a hand-over is
 * taken. */
static void merge_row(struct fleet *fleet, const struct lease *lease, int64_t now)
{
    struct lease_row *row = fleet_row(fleet, lease->key);
    struct row_state *s = row->state;

    s->was_seen = true;
    if (s->is_busy)
        return;
    if (is_twins(row, lease, now))
        twin_seen(fleet, row, now);
    if (!row_is_held(row)) {
        /* Also with a counter that went back: an old view of it (scans are eventually consistent)
         * counts as news and makes us wait; but a row that was deleted and made again must not be
         * taken by what was known of the first. */
        row_learn(row, lease, now);
        return;
    }
    if (lease->counter != s->known.counter)
        return; /* ours, written since; a thief shows at the next renewal */
    if (lease->owner && lease->checkpoint_owner && !strcmp(lease->checkpoint_owner, fleet->me)) {
        row_learn(row, lease, now);
        leave_if_asked(row, now);
    }
}

/* Rows that have our id when we come, before we have written anything, are of an earlier life, or
 * of another worker that lives. That one would renew them within a third of the fail-over time. */
static void first_scan(struct fleet *fleet, const struct lease_scan *scan, int64_t now)
{
    fleet->first_scan_ms = now;
    for (size_t i = 0; i < scan->n_leases && !fleet->io->is_private; i++) {
        const char *worker = lease_worker(&scan->leases[i]);

        if (worker && !strcmp(worker, fleet->me) && !lease_has_ended(&scan->leases[i]))
            fleet->alone_ms = alone_at(fleet, now);
    }
}

static void scanned(struct fleet_call *call, const struct lease_reply *reply)
{
    struct fleet *fleet = call->fleet;
    int64_t now = fleet_now(fleet), pause = pause_of(fleet);

    fleet->is_scanning = false;
    if (reply->status != LEASE_DONE) {
        int64_t retry = (int64_t)RETRY_MS << (fleet->scan_tries < 8 ? fleet->scan_tries : 8);

        fleet->scan_tries++;
        fleet->scan_ms = now + (retry < pause ? retry : pause);
        fleet_call_failed(call, reply);
        return;
    }
    fleet->scan_tries = 0;
    for (struct lease_row *row = fleet_first(fleet); row; row = row->next)
        row->state->was_seen = false;
    for (size_t i = 0; i < reply->scan->n_leases; i++)
        merge_row(fleet, &reply->scan->leases[i], now);
    for (struct lease_row *row = fleet_first(fleet); row; row = row->next) {
        struct row_state *s = row->state;

        /* One that was made while the scan ran may be missing from it. */
        if (s->is_stored && !s->was_seen && !s->is_busy && s->phase == ROW_FOREIGN &&
            s->written_ms < call->made_ms)
            row_forget(row);
    }
    lead_learn(fleet, reply->scan, call->made_ms, now);
    fleet->has_scanned = true;
    if (!fleet->first_scan_ms)
        first_scan(fleet, reply->scan, now);
    fleet->scan_ms = now + pause;
    fleet->must_sync = fleet->must_take = fleet->must_assign = true;
}

void scan_run(struct fleet *fleet, int64_t now)
{
    struct lease_call call = {.op = LEASE_SCAN};

    if (fleet->is_scanning || fleet->is_releasing || now < fleet->scan_ms)
        return;
    fleet->is_scanning = fleet_call(fleet, NULL, &call, scanned) != NULL;
}

/* ---- missing rows */

static void created(struct fleet_call *call, const struct lease_reply *reply)
{
    struct fleet *fleet = call->fleet;
    struct lease_row *row = call->row;
    struct row_state *s = row->state;
    int64_t now = fleet_now(fleet);

    if (reply->status == LEASE_FAILED) {
        s->retry_ms = now + RETRY_MS;
        fleet_call_failed(call, reply);
    } else if (reply->status == LEASE_REFUSED && reply->row) { /* another was first */
        row_learn(row, reply->row, now);
    } else if (reply->status == LEASE_REFUSED) {
        s->odd_until_ms = now + fleet->config.failover_ms;
        log_warn("leases.strange",
                 "table=%s lease=%s text=\"there is an item with that key which is no lease: its "
                 "shard is not read\"",
                 fleet->io->table, row->name);
    } else {
        s->is_stored = s->is_about_known = true;
        s->moved_ms = ROW_NEVER;
        s->written_ms = now;
        log_info("lease.created", "table=%s lease=%s checkpoint=%s", fleet->io->table, row->name,
                 s->known.checkpoint);
    }
    if (!s->is_stored)
        lease_fini(&s->known);
    fleet->must_sync = fleet->must_take = true;
}

static bool create(struct fleet *fleet, const struct sync_row *missing)
{
    const struct listed_lane *lane = missing->lane;
    struct lease_row *row = fleet_row(fleet, lane->key);
    struct row_state *s = row->state;
    struct lease_call call = {.op = LEASE_CREATE};

    if (fleet_now(fleet) < s->odd_until_ms)
        return true; /* looked at again later; the others must not wait for it */
    if (s->is_busy || s->is_stored || s->phase != ROW_FOREIGN || !fleet_has_room(fleet))
        return false;
    call.to = (struct lease){.key = row->name,
                             .checkpoint = (char *)(uintptr_t)missing->checkpoint,
                             .parents = {lane->parents[0], lane->parents[1]},
                             .low = lane->low,
                             .high = lane->high,
                             .throughput = -1};
    call.was = (struct lease){.key = row->name, .throughput = -1};
    lease_fini(&s->known);
    lease_copy(&s->known, &call.to); /* if it works */
    return fleet_call(fleet, row, &call, created) != NULL;
}

static void deleted(struct fleet_call *call, const struct lease_reply *reply)
{
    if (reply->status == LEASE_DONE) {
        log_info("lease.deleted", "table=%s lease=%s", call->fleet->io->table, call->row->name);
        row_forget(call->row);
    } else if (reply->status == LEASE_FAILED) {
        struct lease_reply passing = *reply;

        /* A row too many harms nobody. */
        call->row->state->retry_ms =
            fleet_now(call->fleet) + (reply->is_final ? DENIED_MS : RETRY_MS);
        passing.is_final = false;
        fleet_call_failed(call, &passing);
    }
}

/* The rows as sync.h wants them: borrowed copies of what is known. */
static struct lease *rows_of(struct fleet *fleet, size_t *ret_n)
{
    struct lease_row *row = fleet_first(fleet);
    struct lease *leases = mem_new((fleet->n_rows + 1) * sizeof *leases);
    size_t n = 0;

    for (; row; row = row->next)
        if (row->state->is_stored)
            leases[n++] = row->state->known;
    *ret_n = n;
    return leases;
}

static bool is_parent_missing(const struct sync_row *rows, size_t n, const struct listed_lane *lane)
{
    for (size_t i = 0; i < n; i++)
        for (int p = 0; p < 2; p++)
            if (lane->parents[p] && !strcmp(rows[i].lane->key, lane->parents[p]))
                return true;
    return false;
}

/* A child's row must never be seen before its parent's: whoever saw it would begin to read it. So
 * what has a parent in the same plan waits for the next. */
static void create_missing(struct fleet *fleet, const struct lease *leases, size_t n_leases)
{
    struct sync_row *missing = mem_new((fleet->listing->n + 1) * sizeof *missing);
    size_t n = sync_plan(fleet->listing, leases, n_leases, missing);

    fleet->must_sync = false;
    for (struct lease_row *row = fleet_first(fleet); row; row = row->next)
        row->state->is_missing = false;
    for (size_t i = 0; i < n; i++)
        fleet_row(fleet, missing[i].lane->key)->state->is_missing = true;
    for (size_t i = 0; i < n; i++)
        if (is_parent_missing(missing, i, missing[i].lane) || !create(fleet, &missing[i]))
            fleet->must_sync = true;
    free(missing);
}

/* Not at once: others may still have a scan in hand that read the child before it began, and the
 * parent after it was deleted; to them it would be a row that was lost. */
static bool is_finished_for_long(struct lease_row *row, int64_t now)
{
    struct row_state *s = row->state;

    s->was_finished = true;
    if (!s->finished_ms)
        s->finished_ms = now;
    return now - s->finished_ms >= FINISHED_FAILOVERS * row->fleet->config.failover_ms;
}

static void delete_finished(struct fleet *fleet, const struct lease *leases, size_t n_leases)
{
    size_t *finished = mem_new((n_leases + 1) * sizeof *finished);
    size_t n = sync_finished(fleet->listing, leases, n_leases, finished);
    int64_t now = fleet_now(fleet);

    for (struct lease_row *row = fleet_first(fleet); row; row = row->next)
        row->state->was_finished = false;
    for (size_t i = 0; i < n; i++) {
        struct lease_row *row = fleet_find(fleet, leases[finished[i]].key);
        struct lease_call call = {.op = LEASE_DELETE, .was = leases[finished[i]]};

        if (row && is_finished_for_long(row, now) && row->state->phase == ROW_FOREIGN &&
            !row->state->is_busy && now >= row->state->retry_ms)
            fleet_call(fleet, row, &call, deleted);
    }
    for (struct lease_row *row = fleet_first(fleet); row; row = row->next)
        if (!row->state->was_finished)
            row->state->finished_ms = 0;
    free(finished);
}

static void look_for_holes(struct fleet *fleet, const struct lease *leases, size_t n_leases)
{
    char *what = NULL;

    if (fleet->listing->is_fixed || sync_is_whole(fleet->listing, leases, n_leases, &what)) {
        fleet->holes = 0;
    } else if (++fleet->holes == HOLES_MAX) {
        log_warn("leases.hole", "table=%s text=\"%s\"", fleet->io->table, what);
        fleet->holes = 0;
        fleet->ops.list(fleet->arg);
    }
    free(what);
}

void sync_run(struct fleet *fleet, int64_t now)
{
    struct lease *leases;
    size_t n;

    (void)now;
    if (!fleet->must_sync || !fleet->listing || fleet->is_releasing || !fleet->has_begun)
        return;
    leases = rows_of(fleet, &n);
    create_missing(fleet, leases, n);
    if (!fleet->must_sync) { /* the table is as the listing says */
        delete_finished(fleet, leases, n);
        look_for_holes(fleet, leases, n);
    }
    free(leases);
}
