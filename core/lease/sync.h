/* sync.h - which rows the lease table lacks: KCL's shard sync, and its auditor.
 *
 * Pure functions of a whole listing of the stream and of the rows there are.
 * Creating a row is conditional on its absence, so several workers may do the
 * same at the same time.
 *
 * Threads: none.
 */
#ifndef KPIPE_LEASE_SYNC_H
#define KPIPE_LEASE_SYNC_H

#include <stdbool.h>
#include <stddef.h>

#include "core/lease/lease.h"

struct listed_lane {
    char *key; /* [owned, like all texts here] shard id */
    char *parents[2];
    char *low, *high; /* decimal; NULL: not known */
    bool is_closed;   /* it has an end: children have taken its place, or will */
};

/* What a source said there is. Sources that are not Kinesis may leave out all but keys. */
struct listing {
    struct listed_lane *lanes; /* [owned] */
    size_t n, cap;
    char *begin;   /* [owned] word for lanes without a checkpoint: LEASE_TRIM_HORIZON, ... */
    bool is_fixed; /* these lanes and no others, without asking anybody (`shards = {...}`) */
};
void listing_free(struct listing *listing); /* NULL is fine */
const struct listed_lane *listing_find(const struct listing *listing, const char *key);

struct sync_row {
    const struct listed_lane *lane;
    const char *checkpoint; /* [static or borrowed from the listing] */
};

/* Rows to create, parents before children; `ret` has room for one per listed lane. Call it again
 * once they exist: of lanes below a leased one only the first missing level is named. */
size_t sync_plan(const struct listing *listing, const struct lease *leases, size_t n_leases,
                 struct sync_row *ret);

/* Finished rows that may be deleted: all their children exist and have begun (are past
 * TRIM_HORIZON and AT_TIMESTAMP) and their own parents' rows are gone; and rows of lanes that are
 * no longer listed and have ended. `ret` has room for one index per lease. */
size_t sync_finished(const struct listing *listing, const struct lease *leases, size_t n_leases,
                     size_t *ret);

/* Do the hash ranges of the rows that have not ended cover 0..2^128-1? False: *ret_text says what
 * is wrong in words [owned by caller]. Rows without hash keys are taken from the listing; true when
 * too little is known. */
bool sync_is_whole(const struct listing *listing, const struct lease *leases, size_t n_leases,
                   char **ret_text);

#endif
