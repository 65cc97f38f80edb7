/* timers.c - see timers.h: a binary heap, the earliest first. */
#include "core/run/timers.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

static bool is_before(const struct timer *a, const struct timer *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->number < b->number;
}

static void put(struct timers *timers, size_t i, struct timer *timer)
{
    timers->heap[i] = timer;
    timer->place = i + 1;
}

static void sift_up(struct timers *timers, size_t i)
{
    struct timer *timer = timers->heap[i];

    while (i && is_before(timer, timers->heap[(i - 1) / 2])) {
        put(timers, i, timers->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(timers, i, timer);
}

static void sift_down(struct timers *timers, size_t i)
{
    struct timer *timer = timers->heap[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < timers->n && is_before(timers->heap[child + 1], timers->heap[child]))
            child++;
        if (child >= timers->n || !is_before(timers->heap[child], timer))
            break;
        put(timers, i, timers->heap[child]);
        i = child;
    }
    put(timers, i, timer);
}

static void take_out(struct timers *timers, struct timer *timer)
{
    size_t i = timer->place - 1;
    struct timer *last = timers->heap[--timers->n];

    timer->place = 0;
    if (last == timer)
        return;
    put(timers, i, last);
    sift_up(timers, i);
    sift_down(timers, last->place - 1);
}

static void rang(uv_timer_t *uv);

static void arm(struct timers *timers)
{
    int64_t wait;

    if (!timers->n) {
        uv_timer_stop(&timers->uv);
        return;
    }
    wait = timers->heap[0]->due_ms - clock_mono_ms();
    /* The loop's own time may lag behind: it is brought up to date so that waits are not cut. */
    uv_update_time(timers->uv.loop);
    uv_timer_start(&timers->uv, rang, wait > 0 ? (uint64_t)wait : 0, 0);
}

static void idled(uv_idle_t *idle);

static void ring_due(struct timers *timers)
{
    int64_t now = clock_mono_ms();
    uint64_t last = timers->number; /* what is set from here on waits for the next round */

    while (timers->n && timers->heap[0]->due_ms <= now && timers->heap[0]->number <= last) {
        struct timer *timer = timers->heap[0];

        take_out(timers, timer);
        timer->ring(timer);
    }
    /* libuv would call a timer of 0 ms again before it looks at any descriptor. One that was set
     * while others rang may be due by now. */
    if (timers->n && timers->heap[0]->due_ms <= clock_mono_ms()) {
        uv_timer_stop(&timers->uv);
        uv_idle_start(&timers->idle, idled);
    } else {
        arm(timers);
    }
}

static void idled(uv_idle_t *idle)
{
    uv_idle_stop(idle);
    ring_due(idle->data);
}

static void rang(uv_timer_t *uv)
{
    ring_due(uv->data);
}

void timers_init(struct timers *timers, uv_loop_t *loop)
{
    *timers = (struct timers){0};
    uv_timer_init(loop, &timers->uv);
    timers->uv.data = timers;
    uv_idle_init(loop, &timers->idle);
    timers->idle.data = timers;
}

void timers_fini(struct timers *timers)
{
    for (size_t i = 0; i < timers->n; i++)
        timers->heap[i]->place = 0;
    free(timers->heap);
    timers->heap = NULL;
    timers->n = timers->cap = 0;
    uv_close((uv_handle_t *)&timers->uv, NULL);
    uv_close((uv_handle_t *)&timers->idle, NULL);
}

void timers_set(struct timers *timers, struct timer *timer, int64_t after_ms)
{
    struct timer *first = timers->n ? timers->heap[0] : NULL;

    if (timer->place)
        take_out(timers, timer);
    timer->due_ms = clock_mono_ms() + (after_ms > 0 ? after_ms : 0);
    timer->number = ++timers->number;
    mem_room(&timers->heap, &timers->cap, timers->n, sizeof *timers->heap);
    put(timers, timers->n++, timer);
    sift_up(timers, timer->place - 1);
    if (timers->heap[0] == timer || timers->heap[0] != first)
        arm(timers);
}

void timers_stop(struct timers *timers, struct timer *timer)
{
    if (timer->place)
        take_out(timers, timer);
    /* An early ring finds nothing due and arms anew: cheaper than arming on every stop. */
}
