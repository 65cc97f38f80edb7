/* flight.h - requests under way: which operation each is, and what a fault wants of its answer.
 *
 * An open-addressed table by exchange, and the counts per service and operation. A flight that is
 * never answered (its peer has gone and the service was told) is dropped by local_drop(); one that
 * was forgotten is overwritten when its exchange's memory is used again.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_FLIGHT_H
#define KPIPE_LOCAL_AWS_FLIGHT_H

#include "plugins/local-aws/local.h"

/* What becomes of the answer. */
enum flight_end {
    FLIGHT_ANSWERED = 0,
    FLIGHT_CUT,  /* half of it goes out, then the connection is reset */
    FLIGHT_RESET /* none of it does */
};

struct flight {
    kp_exchange *x; /* [borrowed] NULL: a free place */
    uint32_t counter;
    enum flight_end end;
    uint64_t rule;       /* id of the fault rule it fell under; 0: none */
    bool fails_entries;  /* local_fault_entry() asks the rule */
    bool is_wrong_shard; /* local_fault_wrong_shard() */
};

/* One operation of a service, as counted. */
struct flight_counter {
    enum local_service service;
    char operation[LOCAL_OPERATION_MAX];
    uint64_t requests, errors; /* errors: answers of 400 and more, and resets */
};

enum { FLIGHT_COUNTERS_MAX = 512 }; /* more operations than that count as "other" */

struct flights {
    struct flight *places; /* [owned] n_places, a power of two */
    size_t n_places, n_open;
    struct flight_counter *counters; /* [owned] FLIGHT_COUNTERS_MAX */
    uint32_t n_counters, last;       /* last: of the request before */
};

bool flights_open(struct local *local); /* makes local->flights; false: out of memory */
void flights_close(struct local *local);

/* Counts a request. NULL: out of memory; then it is only not counted. [borrowed until the next
 * flight_begin()] */
struct flight *flight_begin(struct local *local, kp_exchange *x, const struct local_target *target);
/* NULL: there is none. [the same] */
struct flight *flight_of(const struct local *local, const kp_exchange *x);

#endif
