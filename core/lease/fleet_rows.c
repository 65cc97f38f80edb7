/* fleet_rows.c - the rows of a fleet: found and made by any thread, moved by workers. */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/lease/fleet_internal.h"

/* ---- finding */

static struct lease_row **bucket_of(struct fleet *fleet, const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return &fleet->buckets[hash % FLEET_BUCKETS];
}

static struct lease_row *find_in(struct lease_row *row, const char *name)
{
    while (row && strcmp(row->name, name) != 0)
        row = row->same;
    return row;
}

struct lease_row *fleet_find(struct fleet *fleet, const char *name)
{
    struct lease_row *row;

    pthread_mutex_lock(&fleet->lock);
    row = find_in(*bucket_of(fleet, name), name);
    pthread_mutex_unlock(&fleet->lock);
    return row;
}

struct lease_row *fleet_row(struct fleet *fleet, const char *name)
{
    struct lease_row **bucket = bucket_of(fleet, name), *row;

    pthread_mutex_lock(&fleet->lock);
    row = find_in(*bucket, name);
    if (!row) {
        row = mem_new(sizeof *row);
        row->fleet = fleet;
        row->name = mem_dup(name);
        row->state = mem_new(sizeof *row->state);
        row->state->throughput = -1;
        row->state->moved_ms = ROW_NEVER;
        pthread_mutex_init(&row->lock, NULL);
        row->same = *bucket;
        *bucket = row;
        row->next = fleet->rows;
        fleet->rows = row;
        fleet->n_rows++;
    }
    pthread_mutex_unlock(&fleet->lock);
    return row;
}

struct lease_row *fleet_first(struct fleet *fleet)
{
    struct lease_row *row;

    pthread_mutex_lock(&fleet->lock);
    row = fleet->rows; /* rows are only ever added in front */
    pthread_mutex_unlock(&fleet->lock);
    return row;
}

void fleet_free_rows(struct fleet *fleet)
{
    for (struct lease_row *row = fleet->rows, *next; row; row = next) {
        struct row_state *s = row->state;

        next = row->next;
        if (row->prepared)
            row->prepared(row->prepared_arg, false);
        lease_fini(&s->known);
        free(s->parents[0]);
        free(s->parents[1]);
        free(s->low);
        free(s->old_pending);
        free(s->high);
        free(s);
        pthread_mutex_destroy(&row->lock);
        free(row->pending);
        free(row->name);
        free(row);
    }
    fleet->rows = NULL;
}

/* ---- what the table says */

void row_set_text(char **to, const char *text)
{
    free(*to);
    *to = text && *text ? mem_dup(text) : NULL;
}

bool row_is_held(const struct lease_row *row)
{
    return row->state->phase == ROW_HELD || row->state->phase == ROW_GRANTED ||
           row->state->phase == ROW_LEAVING;
}

bool row_is_free(const struct lease_row *row, int64_t now)
{
    const struct row_state *s = row->state;

    if (!s->is_stored || row_is_held(row))
        return false;
    if (!lease_worker(&s->known))
        return true;
    return row->fleet->io->is_private || s->moved_ms == ROW_NEVER ||
           now - s->moved_ms > row->fleet->config.failover_ms;
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static void set_position(struct lease_row *row, const char *text, uint64_t sub)
{
    strncpy(row->text, text, KP_POSITION_MAX);
    row->sub = sub;
}

void row_learn(struct lease_row *row, const struct lease *lease, int64_t now)
{
    struct row_state *s = row->state;
    bool is_same_worker = s->is_stored && is_same(lease_worker(&s->known), lease_worker(lease));
    /* Asking for a lease, and taking that back, is no sign of life of who works on it. */
    bool has_moved = !is_same_worker || s->known.counter != lease->counter;

    /* The first sight of an owned lease counts as a renewal: its owner may have had it for long. */
    if (has_moved) {
        s->moved_ms = lease_worker(lease) ? now : ROW_NEVER;
        s->renewed_ms = is_same_worker ? now : 0;
    }
    if (!lease->checkpoint_owner)
        s->handed_ms = 0;
    else if (!s->handed_ms || !is_same(s->known.owner, lease->owner) ||
             !is_same(s->known.checkpoint_owner, lease->checkpoint_owner))
        s->handed_ms = now;
    lease_fini(&s->known);
    lease_copy(&s->known, lease);
    s->is_stored = true;
    s->is_about_known |= lease->parents[0] || lease->low;
    s->unsure = 0;
    if (row_is_held(row) || s->phase == ROW_LOST)
        return;
    pthread_mutex_lock(&row->lock); /* for those who open it without being asked */
    if (!s->is_own)
        set_position(row, lease->checkpoint ? lease->checkpoint : "", lease->sub);
    pthread_mutex_unlock(&row->lock);
}

void row_set_unsure(struct lease_row *row, int64_t made_ms)
{
    struct row_state *s = row->state;

    if (!s->unsure++)
        s->unsure_ms = made_ms;
}

void row_forget(struct lease_row *row)
{
    struct row_state *s = row->state;

    lease_fini(&s->known);
    s->is_stored = s->is_about_known = false;
    s->parent_ok[0] = s->parent_ok[1] = false;
    s->moved_ms = ROW_NEVER;
    s->unsure = 0;
}

/* ---- [any] */

void lease_row_move(struct lease_row *row, const char *text, size_t len, uint64_t sub)
{
    if (len > KP_POSITION_MAX)
        return;
    pthread_mutex_lock(&row->lock);
    memcpy(row->text, text, len);
    row->text[len] = '\0';
    row->sub = sub;
    row->is_dirty = true;
    pthread_mutex_unlock(&row->lock);
}

bool lease_row_is_dirty(struct lease_row *row)
{
    bool is_dirty;

    pthread_mutex_lock(&row->lock);
    is_dirty = row->is_dirty;
    pthread_mutex_unlock(&row->lock);
    return is_dirty;
}

void lease_row_position(struct lease_row *row, char text[KP_POSITION_MAX + 1], uint64_t *ret_sub)
{
    pthread_mutex_lock(&row->lock);
    memcpy(text, row->text, sizeof row->text);
    *ret_sub = row->sub;
    pthread_mutex_unlock(&row->lock);
}

static void keep_text(char **to, kp_slice text)
{
    if (!*to && text.len)
        *to = mem_dupn(text.ptr, text.len);
}

void lease_row_about(struct lease_row *row, const kp_lane_about *about)
{
    struct row_state *s = row->state;

    pthread_mutex_lock(&row->lock);
    keep_text(&s->parents[0], about->parents[0]);
    keep_text(&s->parents[1], about->parents[1]);
    keep_text(&s->low, about->low_hash);
    keep_text(&s->high, about->high_hash);
    pthread_mutex_unlock(&row->lock);
}

static kp_slice slice_of(const char *text)
{
    return (kp_slice){text, text ? strlen(text) : 0};
}

void lease_row_get_about(const struct lease_row *row, kp_lane_about *ret)
{
    const struct lease *known = &row->state->known;

    *ret = (kp_lane_about){.size = sizeof *ret,
                           .parents = {slice_of(known->parents[0]), slice_of(known->parents[1])},
                           .low_hash = slice_of(known->low),
                           .high_hash = slice_of(known->high)};
}

void lease_row_prepare(struct lease_row *row, const char *text, uint64_t sub,
                       void (*fn)(void *arg, bool ok), void *arg)
{
    pthread_mutex_lock(&row->lock);
    free(row->pending);
    row->pending = mem_dup(text);
    row->pending_sub = sub;
    row->prepared = fn;
    row->prepared_arg = arg;
    pthread_mutex_unlock(&row->lock);
}

bool lease_row_pending(struct lease_row *row, char text[KP_POSITION_MAX + 1], uint64_t *ret_sub)
{
    struct row_state *s = row->state;
    bool has_one;

    pthread_mutex_lock(&row->lock);
    has_one = s->old_pending != NULL;
    text[0] = '\0';
    if (has_one)
        strncpy(text, s->old_pending, KP_POSITION_MAX);
    text[KP_POSITION_MAX] = '\0';
    *ret_sub = s->old_pending_sub;
    pthread_mutex_unlock(&row->lock);
    return has_one;
}
