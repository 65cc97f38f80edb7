/* scan.h - private to core/lease: a lease_scan while it is put together.
 *
 * The same kind of item can stand in two places while a fleet moves from the tables of
 * KCL 3.0-3.4 to the lease table itself. Of a worker's metrics the fresher item counts. Of the lock
 * it is the one in the old table until the move is COMPLETE (the lock moves last).
 *
 * Threads: none.
 */
#ifndef KPIPE_LEASE_SCAN_H
#define KPIPE_LEASE_SCAN_H

#include "core/lease/io.h"

enum scan_place { SCAN_LEASE_TABLE, SCAN_KCL3_TABLES, SCAN_PLACES };

/* Zeroed: empty. */
struct scan {
    struct lease_scan out; /* without lock and versions */
    size_t cap_leases, cap_workers;
    struct {
        struct lease_lock lock; /* [owned texts] */
        char *client_version, *table_migration;
    } places[SCAN_PLACES];
};

/* [consumes texts, all four] */
void scan_lease(struct scan *scan, const struct lease *lease);
void scan_worker(struct scan *scan, const struct lease_worker *worker);
void scan_lock(struct scan *scan, enum scan_place place, const struct lease_lock *lock);
void scan_text(char **at, char *text); /* of places[]: client_version, table_migration */

/* Moves what was gathered to ret and leaves scan empty. `layout` is that of the call. */
void scan_finish(struct scan *scan, enum lease_layout layout, struct lease_scan *ret);
void scan_fini(struct scan *scan);

#endif
