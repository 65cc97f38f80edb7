/* scan.c - see scan.h. */
#include "core/lease/scan.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

void scan_lease(struct scan *scan, const struct lease *lease)
{
    struct lease_scan *out = &scan->out;

    mem_room(&out->leases, &scan->cap_leases, out->n_leases, sizeof *out->leases);
    out->leases[out->n_leases++] = *lease;
}

void scan_worker(struct scan *scan, const struct lease_worker *worker)
{
    struct lease_scan *out = &scan->out;

    for (size_t i = 0; i < out->n_workers; i++) {
        struct lease_worker *known = &out->workers[i];
        struct lease_worker older = *worker;

        if (strcmp(known->id, worker->id) != 0)
            continue;
        if (worker->updated_s > known->updated_s) {
            older = *known;
            *known = *worker;
        }
        free(older.id);
        return;
    }
    mem_room(&out->workers, &scan->cap_workers, out->n_workers, sizeof *out->workers);
    out->workers[out->n_workers++] = *worker;
}

static void lock_fini(struct lease_lock *lock)
{
    free(lock->owner);
    free(lock->version);
    *lock = (struct lease_lock){0};
}

void scan_lock(struct scan *scan, enum scan_place place, const struct lease_lock *lock)
{
    lock_fini(&scan->places[place].lock);
    scan->places[place].lock = *lock;
}

void scan_text(char **at, char *text)
{
    free(*at);
    *at = text;
}

/* Takes the text of the place that counts, else that of the other one. */
static char *choose(char **mine, char **other)
{
    char **from = *mine ? mine : other;
    char *text = *from;

    *from = NULL; /* moved */
    return text;
}

void scan_finish(struct scan *scan, enum lease_layout layout, struct lease_scan *ret)
{
    enum scan_place place = SCAN_KCL3_TABLES, other = SCAN_LEASE_TABLE;
    struct lease_lock *lock;

    *ret = scan->out;
    scan->out = (struct lease_scan){0}; /* moved */
    ret->table_migration = choose(&scan->places[SCAN_LEASE_TABLE].table_migration,
                                  &scan->places[SCAN_KCL3_TABLES].table_migration);
    if (layout == LEASE_LAYOUT_KCL3_SINGLE ||
        (ret->table_migration && !strcmp(ret->table_migration, "COMPLETE"))) {
        place = SCAN_LEASE_TABLE;
        other = SCAN_KCL3_TABLES;
    }
    ret->client_version =
        choose(&scan->places[place].client_version, &scan->places[other].client_version);
    lock = &scan->places[scan->places[place].lock.owner ? place : other].lock;
    ret->lock = *lock;
    *lock = (struct lease_lock){0}; /* moved */
    scan_fini(scan);
}

void scan_fini(struct scan *scan)
{
    lease_scan_fini(&scan->out);
    for (int i = 0; i < SCAN_PLACES; i++) {
        lock_fini(&scan->places[i].lock);
        free(scan->places[i].client_version);
        free(scan->places[i].table_migration);
    }
    *scan = (struct scan){0};
}
