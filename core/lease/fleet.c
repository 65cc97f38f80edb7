/* fleet.c - see fleet.h: what is told to a fleet, and the order in which it looks at things. */
#include "core/lease/fleet_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"

enum { IDLE_MS = 60000 }; /* longest rest between two looks */

int64_t fleet_now(const struct fleet *fleet)
{
    return fleet->io->now_ms(fleet->io);
}

void fleet_ask_list(struct fleet *fleet, int64_t now)
{
    if (now - fleet->list_asked_ms < FLEET_LIST_MS)
        return;
    fleet->list_asked_ms = now;
    fleet->ops.list(fleet->arg);
}

bool fleet_is_kpipe(const char *worker)
{
    return !strncmp(worker, FLEET_ID_PREFIX, sizeof FLEET_ID_PREFIX - 1);
}

bool fleet_hands_over(const struct fleet *fleet, const char *worker)
{
    return fleet->is_assigned || (worker && fleet_is_kpipe(worker));
}

/* ---- calls */

bool fleet_has_room(const struct fleet *fleet)
{
    return fleet->n_calls < fleet->config.calls;
}

static void unlink_call(struct fleet_call *call)
{
    *(call->previous ? &call->previous->next : &call->fleet->calls) = call->next;
    if (call->next)
        call->next->previous = call->previous;
    call->fleet->n_calls--;
}

static void replied(void *arg, const struct lease_reply *reply)
{
    struct fleet_call *call = arg;

    if (call->row)
        call->row->state->is_busy = false;
    call->done(call, reply);
    unlink_call(call);
    free(call);
}

struct fleet_call *fleet_call(struct fleet *fleet, struct lease_row *row, struct lease_call *call,
                              void (*done)(struct fleet_call *call,
                                           const struct lease_reply *reply))
{
    struct fleet_call *c;

    if (!fleet_has_room(fleet))
        return NULL;
    c = mem_new(sizeof *c);
    *c = (struct fleet_call){.next = fleet->calls,
                             .fleet = fleet,
                             .row = row,
                             .op = call->op,
                             .made_ms = fleet_now(fleet),
                             .parent = -1,
                             .done = done};
    if (c->next)
        c->next->previous = c;
    fleet->calls = c;
    fleet->n_calls++;
    if (row)
        row->state->is_busy = true;
    call->layout = fleet->layout;
    fleet->io->call(fleet->io, call, replied, c);
    return c;
}

void fleet_call_failed(struct fleet_call *call, const struct lease_reply *reply)
{
    struct fleet *fleet = call->fleet;
    char *text;

    if (!reply->is_final) {
        log_warn("leases.failed", "table=%s lease=%s error=%s message=\"%s\"", fleet->io->table,
                 call->row ? call->row->name : "-", reply->error, reply->message);
        return;
    }
    if (fleet->has_failed)
        return;
    fleet->has_failed = true;
    text = mem_fmt("the lease table %s cannot be used: %s", fleet->io->table, reply->message);
    fleet->ops.fail(fleet->arg, text);
    free(text);
}

/* ---- life */

struct fleet *fleet_new(const struct fleet_config *config, struct lease_io *io,
                        const struct fleet_ops *ops, void *arg)
{
    struct fleet *fleet = mem_new(sizeof *fleet);

    fleet->config = *config;
    fleet->me = mem_dup(config->worker);
    fleet->io = io;
    fleet->ops = *ops;
    fleet->arg = arg;
    kpw_random_init_from(&fleet->random, config->seed);
    fleet->layout = config->layout == FLEET_KCL3_TABLES   ? LEASE_LAYOUT_KCL3_TABLES
                    : config->layout == FLEET_KCL3_SINGLE ? LEASE_LAYOUT_KCL3_SINGLE
                                                          : LEASE_LAYOUT_KCL2;
    fleet->is_assigned = fleet->layout != LEASE_LAYOUT_KCL2;
    pthread_mutex_init(&fleet->lock, NULL);
    return fleet;
}

void fleet_free(struct fleet *fleet)
{
    if (!fleet)
        return;
    fleet->io->free(fleet->io);
    while (fleet->calls) {
        struct fleet_call *call = fleet->calls;

        fleet->calls = call->next;
        free(call);
    }
    fleet_free_rows(fleet);
    listing_free(fleet->listing);
    lead_fini(fleet);
    pthread_mutex_destroy(&fleet->lock);
    free(fleet->me);
    free(fleet);
}

/* ---- what is told */

bool fleet_has_scanned(const struct fleet *fleet)
{
    return fleet->has_scanned;
}

enum fleet_others fleet_others(struct fleet *fleet)
{
    enum fleet_others others = FLEET_ALONE;
    int64_t now = fleet_now(fleet);

    for (struct lease_row *row = fleet_first(fleet); row; row = row->next) {
        if (!row->state->is_stored || !lease_worker(&row->state->known) || row_is_free(row, now))
            continue;
        if (row->state->moved_ms > fleet->first_scan_ms)
            return FLEET_OTHERS;
        others = FLEET_UNKNOWN;
    }
    return others;
}

void fleet_begin(struct fleet *fleet)
{
    fleet->has_begun = true;
    fleet->must_take = true;
}

void fleet_list(struct fleet *fleet, struct listing *listing)
{
    listing_free(fleet->listing);
    fleet->listing = listing;
    fleet->listed_ms = fleet_now(fleet);
    fleet->must_sync = fleet->must_take = true;
    fleet->is_settled = false;
}

void fleet_drained(struct fleet *fleet, struct lease_row *row)
{
    struct row_state *s = row->state;

    fleet->must_sync = true;
    if (s->phase == ROW_LOST)
        s->phase = ROW_FOREIGN;
    else if (s->phase == ROW_LEAVING)
        s->is_drained = true;
    else if (s->phase == ROW_GRANTED) /* its source has closed it: it has ended, or the run ends */
        s->phase = row_has_ended(row) ? ROW_FOREIGN : ROW_HELD;
}

void fleet_release(struct fleet *fleet)
{
    fleet->is_releasing = true;
    for (struct lease_row *row = fleet_first(fleet); row; row = row->next) {
        row->state->retry_ms = 0;
        if (row->state->phase == ROW_GRANTED)
            row->state->phase = ROW_HELD;
        if (row->state->phase == ROW_LEAVING)
            row->state->is_drained = true;
    }
    lead_release(fleet);
}

/* Not written yet, or not given back yet. */
static bool is_owed(const struct fleet *fleet, struct lease_row *row)
{
    const struct lease *known = &row->state->known;

    if (row->state->is_own)
        return lease_row_is_dirty(row);
    return row->state->is_stored && !row_has_ended(row) && known->owner &&
           !strcmp(known->owner, fleet->me);
}

bool fleet_is_released(const struct fleet *fleet)
{
    if (!fleet->is_releasing || fleet->is_locking || fleet->is_leader || fleet->metrics_s)
        return false;
    for (struct lease_row *row = fleet_first((struct fleet *)(uintptr_t)fleet); row;
         row = row->next)
        if (row_is_held(row) || row->state->is_busy || is_owed(fleet, row))
            return false;
    return true;
}

bool fleet_is_settled(const struct fleet *fleet)
{
    return fleet->is_settled;
}

uint64_t fleet_grants(const struct fleet *fleet)
{
    return fleet->grants;
}

struct lease_row *fleet_own(struct fleet *fleet, const char *name)
{
    struct lease_row *row = fleet_row(fleet, name);
    struct row_state *s = row->state;

    pthread_mutex_lock(&row->lock);
    if (!s->is_own) {
        s->is_own = true;
        /* The words say where a lane without a position begins; its source knows that itself. */
        if (!strcmp(row->text, LEASE_TRIM_HORIZON) || !strcmp(row->text, LEASE_LATEST) ||
            !strcmp(row->text, LEASE_AT_TIMESTAMP))
            row->text[0] = '\0';
        row->is_dirty = false;
        row->valid_until = INT64_MAX;
    }
    pthread_mutex_unlock(&row->lock);
    return row;
}

/* ---- is anything still on its way to us? */

/* A lane that was offered: granted, at its end, or another's. */
static bool is_lane_settled(struct fleet *fleet, const struct listed_lane *lane, int64_t now)
{
    const struct lease_row *row = fleet_find(fleet, lane->key);
    const struct row_state *s = row ? row->state : NULL;

    if (!row || !s->is_stored) /* not needed (with LATEST, a closed shard), or being made */
        return !row || !s->is_busy;
    switch (s->phase) {
    case ROW_GRANTED: return !lane->is_closed; /* it has an end, and then come others */
    case ROW_LEAVING:
    case ROW_LOST: return false;
    case ROW_ASKED: return false;
    case ROW_HELD: return false;
    case ROW_FOREIGN: break;
    }
    return row_has_ended(row) || (fleet->config.max_leases && fleet->spilled) ||
           (!row_is_free(row, now) && !s->is_busy &&
            !(s->known.owner && !strcmp(s->known.owner, fleet->me)));
}

static bool look_settled(struct fleet *fleet, int64_t now)
{
    if (!fleet->has_begun || !fleet->has_scanned || !fleet->listing || fleet->must_sync ||
        fleet->must_take)
        return false;
    for (size_t i = 0; i < fleet->listing->n; i++)
        if (!is_lane_settled(fleet, &fleet->listing->lanes[i], now))
            return false;
    return true;
}

/* ---- the round */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When there are more leases than calls may be under way, those that run out first come first. */
static void run_urgent(struct fleet *fleet, int64_t now)
{
    int64_t failover = fleet->config.failover_ms;

    if (fleet->n_rows <= fleet->config.calls)
        return;
    for (struct lease_row *row = fleet_first(fleet); row; row = row->next)
        if (row_is_held(row) && now - row->state->sent_ms > failover / 2)
            hold_run(row, now);
}

static void tell_lost(struct fleet *fleet)
{
    if (fleet->n_lost > FLEET_LOST_TOLD)
        log_warn("leases.lost", "table=%s leases=%zu", fleet->io->table, fleet->n_lost);
    fleet->n_lost = 0;
}

int64_t fleet_run(struct fleet *fleet)
{
    int64_t now = fleet_now(fleet), next = now + IDLE_MS;

    if (fleet->has_failed)
        return next;
    scan_run(fleet, now);
    if (!fleet->has_scanned)
        return earlier(next, fleet->scan_ms);
    sync_run(fleet, now);
    if (!fleet->is_releasing) {
        take_run(fleet, now);
        lead_run(fleet, now);
    }
    if (fleet->is_releasing && !lead_has_left(fleet))
        return now + IDLE_MS; /* its answer comes first */
    run_urgent(fleet, now);
    for (struct lease_row *row = fleet_first(fleet); row; row = row->next) {
        take_row_run(row, now);
        hold_run(row, now);
        next = earlier(next, hold_next(row));
    }
    tell_lost(fleet);
    fleet->is_settled = look_settled(fleet, now);
    if (!fleet->is_scanning && !fleet->is_releasing)
        next = earlier(next, fleet->scan_ms);
    next = earlier(next, lead_next(fleet));
    return next > now ? next : now + 1;
}
