/* throttle.c - see proxy.h: the token bucket of a stage, shared by its workers.
 *
 * The bucket is one number: the time at which it will be full again (GCRA, the
 * virtual scheduling form of a token bucket). Taking a token moves it by one
 * interval and is refused when that goes further than `burst` intervals ahead of
 * now, so a bucket is one compare-and-swap and exact for any number of threads.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/apigw-proxy/proxy.h"

struct throttle {
    struct throttle *next;
    char *name;
    unsigned users;
    int64_t interval_ns; /* of one token; 0: none are given */
    int64_t ahead_ns;    /* how far full_at may be ahead */
    _Atomic int64_t full_at_ns;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list, taken when opening only */
static struct throttle *all;

static struct throttle *throttle_new(const char *name, const struct throttle_config *config)
{
    struct throttle *throttle = calloc(1, sizeof *throttle);
    int64_t burst = config->burst < 0 ? (int64_t)ceil(config->rate) : config->burst;

    if (!throttle)
        return NULL;
    throttle->name = strdup(name);
    if (!throttle->name) {
        free(throttle);
        return NULL;
    }
    if (config->rate > 0 && burst > 0)
        throttle->interval_ns = (int64_t)(1e9 / config->rate);
    throttle->ahead_ns = burst * throttle->interval_ns;
    throttle->next = all;
    all = throttle;
    return throttle;
}

struct throttle *throttle_open(const char *name, const struct throttle_config *config)
{
    struct throttle *throttle;

    pthread_mutex_lock(&lock);
    throttle = all;
    while (throttle && strcmp(throttle->name, name) != 0)
        throttle = throttle->next;
    if (!throttle)
        throttle = throttle_new(name, config);
    if (throttle)
        throttle->users++;
    pthread_mutex_unlock(&lock);
    return throttle;
}

bool throttle_take(struct throttle *throttle, int64_t now_ms)
{
    int64_t now = now_ms * 1000000, next;
    int64_t full_at = atomic_load_explicit(&throttle->full_at_ns, memory_order_relaxed);

    if (!throttle->interval_ns)
        return false;
    do {
        next = (full_at > now ? full_at : now) + throttle->interval_ns;
        if (next - now > throttle->ahead_ns)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&throttle->full_at_ns, &full_at, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void throttle_close(struct throttle *throttle)
{
    struct throttle **at = &all;

    if (!throttle)
        return;
    pthread_mutex_lock(&lock);
    if (--throttle->users == 0) {
        while (*at != throttle)
            at = &(*at)->next;
        *at = throttle->next;
        free(throttle->name);
        free(throttle);
    }
    pthread_mutex_unlock(&lock);
}
