/* timer_extension.c - timer/1: plugins' timers and descriptors on the worker's loop. */
#include <kpipe/ext/timer.h>
#include <stdlib.h>
#include <uv.h>

#include "core/base/mem.h"
#include "core/run/extensions.h"
#include "core/run/node.h"
#include "core/run/worker.h"

struct kp_timer {
    struct timer timer; /* must be first */
    kp_node *node;
    kp_timer_fn fn;
    void *arg;
    int64_t every_ms;
    struct kp_timer *next, *previous; /* of the node */
};

struct node_watch {
    uv_poll_t poll; /* must be first */
    kp_node *node;
    int fd;
    kp_timer_fn fn;
    void *arg;
    struct node_watch *next;
};

static void rang(struct timer *timer)
{
    kp_timer *t = (kp_timer *)(void *)timer;

    if (t->every_ms > 0)
        timers_set(&t->node->worker->timers, timer, t->every_ms);
    t->fn(t->node, t->arg); /* may destroy it */
}

static kp_timer *timer_create_row(kp_node *node, kp_timer_fn fn, void *arg)
{
    kp_timer *t = mem_new(sizeof *t);

    *t = (kp_timer){.timer.ring = rang, .node = node, .fn = fn, .arg = arg, .next = node->timers};
    if (t->next)
        t->next->previous = t;
    return node->timers = t;
}

static void timer_start_row(kp_timer *t, int64_t after_ms, int64_t every_ms)
{
    t->every_ms = every_ms;
    timers_set(&t->node->worker->timers, &t->timer, after_ms);
}

static void timer_stop_row(kp_timer *t)
{
    timers_stop(&t->node->worker->timers, &t->timer);
}

static bool timer_active_row(const kp_timer *t)
{
    return timer_is_set(&t->timer);
}

static void timer_destroy_row(kp_timer *t)
{
    if (!t)
        return;
    timer_stop_row(t);
    *(t->previous ? &t->previous->next : &t->node->timers) = t->next;
    if (t->next)
        t->next->previous = t->previous;
    free(t);
}

static void readable(uv_poll_t *poll, int status, int events)
{
    struct node_watch *watch = (struct node_watch *)(void *)poll;

    (void)status, (void)events; /* trouble shows when the plugin reads */
    watch->fn(watch->node, watch->arg);
}

static void watch_closed(uv_handle_t *handle)
{
    free(handle);
}

static void watch_end(struct node_watch **link)
{
    struct node_watch *watch = *link;

    *link = watch->next;
    uv_close((uv_handle_t *)&watch->poll, watch_closed);
}

static void watch_fd_row(kp_node *node, int fd, kp_timer_fn fn, void *arg)
{
    struct node_watch **link = &node->watches, *watch;

    while (*link && (*link)->fd != fd)
        link = &(*link)->next;
    if (*link)
        watch_end(link);
    if (!fn)
        return;
    watch = mem_new(sizeof *watch);
    watch->node = node;
    watch->fd = fd;
    watch->fn = fn;
    watch->arg = arg;
    if (uv_poll_init(&node->worker->loop, &watch->poll, fd)) {
        free(watch);
        node_fail(node, "descriptor %d cannot be watched", fd);
        return;
    }
    uv_poll_start(&watch->poll, UV_READABLE | UV_DISCONNECT, readable);
    watch->next = node->watches;
    node->watches = watch;
}

const kp_timer_ext timer_extension = {
    .size = sizeof(kp_timer_ext),
    .create = timer_create_row,
    .start = timer_start_row,
    .stop = timer_stop_row,
    .active = timer_active_row,
    .destroy = timer_destroy_row,
    .watch_fd = watch_fd_row,
};

void timer_extension_forget(kp_node *node)
{
    while (node->timers)
        timer_destroy_row(node->timers);
    while (node->watches)
        watch_end(&node->watches);
}
