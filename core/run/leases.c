/* leases.c - see leases.h: the rows, whatever the store. */
#include "core/run/leases.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/config/plan.h"

struct leases *leases_new(const struct plan *plan, struct aws_client *aws, uv_loop_t *loop,
                          bool is_shared, const unsigned *n_signals)
{
    struct leases *leases = mem_new(sizeof *leases);

    leases->plan = plan;
    leases->rows = mem_new((plan->n_flows + 1) * sizeof *leases->rows);
    pthread_mutex_init(&leases->lock, NULL);
    if (!strncmp(plan->leases, "file:", 5))
        leases_use_file(leases, plan->leases + 5);
    else
        leases_use_dynamodb(leases, aws, loop, is_shared, n_signals);
    return leases;
}

void leases_free(struct leases *leases)
{
    if (!leases)
        return;
    leases->store->free(leases);
    for (size_t i = 0; i < leases->plan->n_flows; i++) {
        for (struct lease_row *row = leases->rows[i], *next; row; row = next) {
            next = row->next;
            pthread_mutex_destroy(&row->lock);
            free(row->lane);
            free(row->parents[0]);
            free(row->parents[1]);
            free(row->low_hash);
            free(row->high_hash);
            free(row);
        }
    }
    pthread_mutex_destroy(&leases->lock);
    free(leases->rows);
    free(leases->failure);
    free(leases);
}

bool leases_load(struct leases *leases, struct error *err)
{
    return leases->store->load(leases, err);
}

struct lease_row *leases_row(struct leases *leases, uint32_t flow, const char *lane,
                             kp_position *ret)
{
    struct lease_row *row;

    pthread_mutex_lock(&leases->lock);
    for (row = leases->rows[flow]; row && strcmp(row->lane, lane) != 0; row = row->next)
        ;
    if (!row) {
        row = mem_new(sizeof *row);
        row->leases = leases;
        row->flow = flow;
        row->lane = mem_dup(lane);
        pthread_mutex_init(&row->lock, NULL);
        row->next = leases->rows[flow];
        leases->rows[flow] = row;
    }
    pthread_mutex_unlock(&leases->lock);
    pthread_mutex_lock(&row->lock);
    *ret = (kp_position){{row->text, row->len}, row->sub};
    pthread_mutex_unlock(&row->lock);
    return row;
}

void lease_row_move(struct lease_row *row, const char *text, size_t len, uint64_t sub)
{
    pthread_mutex_lock(&row->lock);
    memcpy(row->text, text, len);
    row->text[len] = '\0';
    row->len = len;
    row->sub = sub;
    row->is_dirty = true;
    pthread_mutex_unlock(&row->lock);
}

static void keep_text(char **to, kp_slice text)
{
    if (!*to && text.len)
        *to = mem_dupn(text.ptr, text.len);
}

void lease_row_about(struct lease_row *row, const kp_lane_about *about)
{
    pthread_mutex_lock(&row->lock);
    keep_text(&row->parents[0], about->parents[0]);
    keep_text(&row->parents[1], about->parents[1]);
    keep_text(&row->low_hash, about->low_hash);
    keep_text(&row->high_hash, about->high_hash);
    pthread_mutex_unlock(&row->lock);
}

bool lease_row_take(struct lease_row *row, char text[KP_POSITION_MAX + 1], uint64_t *ret_sub)
{
    bool is_dirty;

    pthread_mutex_lock(&row->lock);
    is_dirty = row->is_dirty;
    row->is_dirty = false;
    memcpy(text, row->text, row->len + 1);
    *ret_sub = row->sub;
    pthread_mutex_unlock(&row->lock);
    return is_dirty;
}

void leases_publish(struct leases *leases, bool is_last)
{
    leases->store->publish(leases, is_last);
}

bool lease_row_is_dirty(struct lease_row *row)
{
    bool is_dirty;

    pthread_mutex_lock(&row->lock);
    is_dirty = row->is_dirty;
    pthread_mutex_unlock(&row->lock);
    return is_dirty;
}

bool leases_is_dirty(struct leases *leases)
{
    bool is_dirty = false;

    pthread_mutex_lock(&leases->lock);
    for (size_t i = 0; i < leases->plan->n_flows && !is_dirty; i++) {
        for (struct lease_row *row = leases->rows[i]; row && !is_dirty; row = row->next)
            is_dirty = !row->is_lost && lease_row_is_dirty(row);
    }
    pthread_mutex_unlock(&leases->lock);
    return is_dirty;
}

bool leases_is_clean(struct leases *leases)
{
    return !leases->store->is_busy(leases) && !leases_is_dirty(leases);
}

void leases_fail(struct leases *leases, const char *text)
{
    if (!leases->failure)
        leases->failure = mem_dup(text);
}
