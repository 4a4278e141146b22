/* clock.c -- see clock.h. A real reading costs about 20 ns: take it per batch, not per row. */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static int64_t system_ns(clockid_t id)
{
    struct timespec now;
    if (clock_gettime(id, &now) != 0) {
        return 0;
    }
    return (int64_t)now.tv_sec * 1000000000 + (int64_t)now.tv_nsec;
}

void ps_clock_init(ps_clock *clock)
{
    clock->is_manual = false;
    atomic_init(&clock->monotonic_ns, 0);
    atomic_init(&clock->wall_ns, 0);
}

void ps_clock_init_manual(ps_clock *clock, int64_t monotonic_ns, int64_t wall_ns)
{
    clock->is_manual = true;
    atomic_init(&clock->monotonic_ns, monotonic_ns);
    atomic_init(&clock->wall_ns, wall_ns);
}

void ps_clock_advance(ps_clock *clock, int64_t ns)
{
    PS_ASSERT(clock->is_manual);
    PS_ASSERT(ns >= 0);
    atomic_fetch_add_explicit(&clock->monotonic_ns, ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&clock->wall_ns, ns, memory_order_relaxed);
}

void ps_clock_set_wall(ps_clock *clock, int64_t wall_ns)
{
    PS_ASSERT(clock->is_manual);
    atomic_store_explicit(&clock->wall_ns, wall_ns, memory_order_relaxed);
}

int64_t ps_clock_monotonic_ns(const ps_clock *clock)
{
    if (clock->is_manual) {
        return atomic_load_explicit(&clock->monotonic_ns, memory_order_relaxed);
    }
    return system_ns(CLOCK_MONOTONIC);
}

int64_t ps_clock_wall_ns(const ps_clock *clock)
{
    if (clock->is_manual) {
        return atomic_load_explicit(&clock->wall_ns, memory_order_relaxed);
    }
    return system_ns(CLOCK_REALTIME);
}
