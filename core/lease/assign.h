/* assign.h - what the leader of a KCL 3 fleet assigns to whom: the Lease Assignment Manager.
 *
 * Free leases go to the workers with most room; from time to time (`balances`) leases move
 * from those that have too much. With `by_count` the currency is the number of
 * leases, else what the workers say of their load: CPU where they say it,
 * throughput where not.
 *
 * Threads: none.
 */
#ifndef KPIPE_LEASE_ASSIGN_H
#define KPIPE_LEASE_ASSIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/lease/io.h"
#include "sdk/wire/random.h"

struct assign_lease {
    const struct lease *lease; /* has not ended */
    bool is_free; /* nobody works on it, or its counter has not moved for the fail-over time, or its
                     hand-over has run out */
    bool is_moving;   /* a hand-over is under way */
    int64_t moved_ms; /* when its counter last moved: free ones are assigned in that order */
};

struct assign_input {
    const struct assign_lease *leases;
    size_t n_leases;
    const struct lease_worker *workers; /* active ones: fresh, well-formed */
    size_t n_workers;
    bool by_count;
    bool balances;
    double threshold;          /* per cent around the average that is fair: 10 */
    double dampening;          /* per cent of the surplus that moves at once: 60 */
    size_t max_leases;         /* of one worker; 0: no limit */
    struct kpw_random *random; /* [borrowed] */
};

struct assign_step {
    size_t lease, worker;
    bool is_graceful; /* LEASE_HAND_OFF, else LEASE_ASSIGN */
};

/* Returns how many steps; `steps` has room for one per lease. */
size_t assign_plan(const struct assign_input *in, struct assign_step *steps);

#endif
