/* clock.c - see clock.h. */
#include "core/base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t fake_ms = -1;

static int64_t read_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_wall_ms(void)
{
    int64_t fake = atomic_load_explicit(&fake_ms, memory_order_relaxed);

    return fake >= 0 ? fake : read_ns(CLOCK_REALTIME) / 1000000;
}

int64_t clock_mono_ns(void)
{
    int64_t fake = atomic_load_explicit(&fake_ms, memory_order_relaxed);

    return fake >= 0 ? fake * 1000000 : read_ns(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
    return clock_mono_ns() / 1000000;
}

int64_t clock_cpu_ns(void)
{
    return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void clock_fake(int64_t wall_ms)
{
    atomic_store(&fake_ms, wall_ms);
}

void clock_fake_move(int64_t by_ms)
{
    atomic_fetch_add(&fake_ms, by_ms);
}

void clock_real(void)
{
    atomic_store(&fake_ms, -1);
}
