/* timers.h - many timers of one loop behind one uv_timer_t.
 *
 * A timer is part of its owner and needs no closing: setting and stopping are
 * O(log n) in a heap, so hops, lanes and plugins may have one each.
 *
 * Owned by: a worker or main.   Threads: its own only.
 */
#ifndef KPIPE_RUN_TIMERS_H
#define KPIPE_RUN_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct timer {
    int64_t due_ms;  /* clock_mono_ms() */
    uint64_t number; /* of its setting: equal times ring in this order */
    void (*ring)(struct timer *timer);
    size_t place; /* in the heap, from 1; 0: not set */
};

struct timers {
    uv_timer_t uv;
    uv_idle_t idle; /* runs while a timer that rang is due again: the loop gets its turn between */
    struct timer **heap; /* [owned] the timers are not */
    size_t n, cap;
    uint64_t number;
};

void timers_init(struct timers *timers, uv_loop_t *loop);
/* Forgets all and closes the uv handle; the loop must run once more before the memory goes. */
void timers_fini(struct timers *timers);

void timers_set(struct timers *timers, struct timer *timer, int64_t after_ms);
void timers_stop(struct timers *timers, struct timer *timer); /* not set: does nothing */

static inline bool timer_is_set(const struct timer *timer)
{
    return timer->place != 0;
}

#endif
