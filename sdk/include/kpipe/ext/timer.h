/* timer.h - extension "timer/1": timers on the worker's loop. [worker] */
#ifndef KPIPE_EXT_TIMER_H
#define KPIPE_EXT_TIMER_H

#include <kpipe/plugin.h>

typedef struct kp_timer kp_timer; /* [owned by node]: stopped and freed with it at the latest */
typedef void (*kp_timer_fn)(kp_node *, void *arg);

typedef struct kp_timer_ext {
    uint32_t size;
    /* A timer that does not run yet. */
    kp_timer *(*create)(kp_node *, kp_timer_fn fn, void *arg);
    /* (Re)starts: fires once after after_ms, then every every_ms (0: once only). */
    void (*start)(kp_timer *, int64_t after_ms, int64_t every_ms);
    void (*stop)(kp_timer *); /* does nothing when it does not run */
    bool (*active)(const kp_timer *);
    void (*destroy)(kp_timer *); /* NULL is fine */
    /* A descriptor on the worker's loop (epoll): fn runs when it is readable; NULL stops it. */
    void (*watch_fd)(kp_node *, int fd, kp_timer_fn fn, void *arg);
} kp_timer_ext;

#endif
