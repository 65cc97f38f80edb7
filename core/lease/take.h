/* take.h - which leases a worker takes: the taker of KCL 1.x and 2.x, made milder.
 *
 * Every worker decides for itself from what it sees: leases that nobody renews are
 * free, the fair share is leases / workers rounded up, and who has less asks the
 * one that has most for one. A worker that knows hand-overs (kpipe's own, see
 * fleet.h) is asked for the lease and finishes first what it has in hand; from any other it
 * is taken, as KCL 2 does.
 *
 * Threads: none.
 */
#ifndef KPIPE_LEASE_TAKE_H
#define KPIPE_LEASE_TAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sdk/wire/random.h"

struct take_lease {
    const char *owner; /* leaseOwner, also while it is handed to it; NULL: nobody */
    bool is_free;      /* nobody's, or not renewed for the fail-over time */
    bool is_very_old;  /* ... for so long that anybody may take it, whatever his share */
    bool is_moving;    /* a hand-over is under way: not to be touched while it is not free */
    bool hands_over;   /* its owner knows hand-overs */
};

struct take_input {
    const struct take_lease *leases; /* those that have not ended */
    size_t n;
    const char *me;
    size_t max_leases;         /* of one worker; 0: no limit */
    size_t max_steals;         /* in one round, KCL's maxLeasesToStealAtOneTime; 0 counts as 1 */
    struct kpw_random *random; /* [borrowed] */
};

enum take_what {
    TAKE_FREE,  /* LEASE_TAKE */
    TAKE_STEAL, /* LEASE_TAKE from a live owner */
    TAKE_ASK,   /* LEASE_HAND_OFF to us */
};

struct take_step {
    size_t lease; /* index in the input */
    enum take_what what;
};

struct take_result {
    size_t target;  /* our fair share */
    size_t n;       /* steps */
    size_t spilled; /* leases beyond max_leases that nobody may have (KCL's LeaseSpillover) */
};

/* `steps` has room for one per lease. */
struct take_result take_plan(const struct take_input *in, struct take_step *steps);

#endif
