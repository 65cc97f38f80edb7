/* time.c - the fake clock, timers, the pool's work and the real loop.
 *
 * The clock only moves when the test says so. The pump does all that can be done
 * at the present time: pool work, settled() and wake() of sources, events that are
 * due, and what the real loop has ready.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "sdk/harness/internal.h"

#define PUMP_ROUNDS 1000000
#define WAIT_MS     10000

int64_t harness_real_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- events */

void harness_event_stop(struct harness *h, struct harness_event *event)
{
    struct harness_event **link = &h->events;

    if (!event->active)
        return;
    while (*link != event)
        link = &(*link)->next;
    *link = event->next;
    event->active = false;
}

void harness_event_start(struct harness *h, struct harness_event *event, int64_t after_ms)
{
    harness_event_stop(h, event);
    event->due_ms = clock_mono_ms() + (after_ms > 0 ? after_ms : 0);
    event->number = ++h->n_events;
    event->active = true;
    event->next = h->events;
    h->events = event;
}

static struct harness_event *next_event(const struct harness *h)
{
    struct harness_event *first = h->events;

    for (struct harness_event *e = first; e; e = e->next)
        if (e->due_ms < first->due_ms || (e->due_ms == first->due_ms && e->number < first->number))
            first = e;
    return first;
}

/* Fires the first event if it is due; others may come and go meanwhile. */
static bool fire_due(struct harness *h)
{
    struct harness_event *event = next_event(h);

    if (!event || event->due_ms > clock_mono_ms())
        return false;
    harness_event_stop(h, event);
    event->fire(event);
    return true;
}

static bool run_work(struct harness *h)
{
    struct harness_work *work = h->works;

    if (!work)
        return false;
    h->works = work->next;
    work->fn(work->arg);
    work->after(&h->node, work->arg);
    free(work);
    return true;
}

void harness_work(kp_node *node, void (*fn)(void *), void (*after)(kp_node *, void *), void *arg)
{
    struct harness_work *work = mem_new(sizeof *work), **last = &harness_of(node)->works;

    *work = (struct harness_work){fn, after, arg, NULL};
    while (*last)
        last = &(*last)->next;
    *last = work;
}

static bool do_next(struct harness *h)
{
    return harness_feed_next(h) || run_work(h) || harness_out_settle_arrived(h) ||
           harness_lanes_tell(h) || harness_grants_step(h) || harness_lanes_wake(h) || fire_due(h);
}

void harness_pump(struct harness *h)
{
    int rounds = 0;
    bool more = true;

    if (h->pumping) /* a test's callback asked from inside */
        return;
    h->pumping = true;
    while (more && rounds++ < PUMP_ROUNDS) {
        more = do_next(h);
        if (!more && h->opened)
            uv_run(&h->loop, UV_RUN_NOWAIT);
        if (!more)
            more = h->works || (next_event(h) && next_event(h)->due_ms <= clock_mono_ms());
    }
    h->pumping = false;
    if (rounds >= PUMP_ROUNDS)
        harness_complain("%s keeps itself busy without an end", h->element->name);
}

void harness_advance(struct harness *h, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;
    struct harness_event *event;

    harness_pump(h);
    while ((event = next_event(h)) && event->due_ms <= until) {
        if (event->due_ms > clock_mono_ms())
            clock_fake(event->due_ms);
        harness_pump(h);
    }
    clock_fake(until);
    harness_pump(h);
}

bool harness_next_timer(struct harness *h)
{
    struct harness_event *event;

    harness_pump(h);
    event = next_event(h);
    if (!event)
        return false;
    harness_advance(h, event->due_ms - clock_mono_ms());
    return true;
}

void harness_loop_wait(struct harness *h, int timeout_ms)
{
    struct pollfd fd = {.fd = uv_backend_fd(&h->loop), .events = POLLIN};
    int loop_ms = uv_backend_timeout(&h->loop);

    if (loop_ms >= 0 && loop_ms < timeout_ms)
        timeout_ms = loop_ms;
    poll(&fd, 1, timeout_ms);
    uv_run(&h->loop, UV_RUN_NOWAIT);
    harness_serve_step(h);
    harness_pump(h);
}

void harness_wait(struct harness *h, bool (*fn)(void *arg), void *arg)
{
    int64_t end = harness_real_ms() + WAIT_MS;

    harness_pump(h);
    while (!fn(arg)) {
        if (harness_real_ms() > end)
            harness_die("waited %d s in vain", WAIT_MS / 1000);
        harness_loop_wait(h, h->exchanges ? 1 : 20);
    }
}

/* ---- timer/1 */

static void fire_timer(struct harness_event *event)
{
    kp_timer *timer = (kp_timer *)(void *)event;

    if (timer->every_ms > 0)
        harness_event_start(timer->harness, event, timer->every_ms);
    timer->fn(&timer->harness->node, timer->arg);
}

static kp_timer *timer_create_row(kp_node *node, kp_timer_fn fn, void *arg)
{
    struct harness *h = harness_of(node);
    kp_timer *timer = mem_new(sizeof *timer);

    *timer = (kp_timer){.harness = h, .fn = fn, .arg = arg, .next = h->timers};
    timer->event.fire = fire_timer;
    h->timers = timer;
    return timer;
}

static void timer_start_row(kp_timer *timer, int64_t after_ms, int64_t every_ms)
{
    timer->every_ms = every_ms;
    harness_event_start(timer->harness, &timer->event, after_ms);
}

static void timer_stop_row(kp_timer *timer)
{
    harness_event_stop(timer->harness, &timer->event);
}

static bool timer_active_row(const kp_timer *timer)
{
    return timer->event.active;
}

static void timer_destroy_row(kp_timer *timer)
{
    kp_timer **link;

    if (!timer)
        return;
    harness_event_stop(timer->harness, &timer->event);
    for (link = &timer->harness->timers; *link != timer; link = &(*link)->next)
        ;
    *link = timer->next;
    free(timer);
}

/* ---- descriptors */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct harness_watch *watch = (struct harness_watch *)(void *)poll;

    (void)status, (void)events; /* an error shows when the plugin reads */
    watch->fn(watch->node, watch->arg);
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void unwatch(struct harness *h, int fd)
{
    for (struct harness_watch **link = &h->watches; *link; link = &(*link)->next) {
        struct harness_watch *watch = *link;

        if (fd >= 0 && watch->fd != fd)
            continue;
        *link = watch->next;
        uv_poll_stop(&watch->poll);
        uv_close((uv_handle_t *)&watch->poll, free_handle);
        return;
    }
}

static void watch_fd_row(kp_node *node, int fd, kp_timer_fn fn, void *arg)
{
    struct harness *h = harness_of(node);
    struct harness_watch *watch;

    unwatch(h, fd);
    if (!fn)
        return;
    watch = mem_new(sizeof *watch);
    watch->node = node;
    watch->fn = fn;
    watch->arg = arg;
    watch->fd = fd;
    if (uv_poll_init(&h->loop, &watch->poll, fd)) {
        harness_complain("descriptor %d cannot be watched", fd);
        free(watch);
        return;
    }
    uv_poll_start(&watch->poll, UV_READABLE | UV_DISCONNECT, on_poll);
    watch->next = h->watches;
    h->watches = watch;
}

const kp_timer_ext harness_timer_ext = {
    .size = sizeof(kp_timer_ext),
    .create = timer_create_row,
    .start = timer_start_row,
    .stop = timer_stop_row,
    .active = timer_active_row,
    .destroy = timer_destroy_row,
    .watch_fd = watch_fd_row,
};

void harness_time_fini(struct harness *h)
{
    while (h->timers)
        timer_destroy_row(h->timers);
    while (h->watches)
        unwatch(h, -1);
    while (run_work(h))
        ;
}
