/* stopwatch.h -- how long something has lasted in all, the stretch under way included.
 *
 * Callers      turn: one thread at a time. ns: any thread, as a hint.
 * Orders       all relaxed: the counts stand for no other memory.
 */
#ifndef PS_BASE_STOPWATCH_H
#define PS_BASE_STOPWATCH_H

#include <stdatomic.h>

#include "base/clock.h"

typedef struct ps_stopwatch {
    _Atomic int64_t ended_ns; /* of the stretches before */
    _Atomic int64_t since_ns; /* of the one under way; 0: there is none */
} ps_stopwatch;

/* Begins a stretch or ends it, unless that has been done. */
static inline void ps_stopwatch_turn(ps_stopwatch *watch, const ps_clock *clock, bool on)
{
    const int64_t since_ns = atomic_load_explicit(&watch->since_ns, memory_order_relaxed);
    if (on == (since_ns != 0)) {
        return;
    }
    const int64_t now_ns = ps_clock_monotonic_ns(clock);
    const int64_t ended_ns = atomic_load_explicit(&watch->ended_ns, memory_order_relaxed);
    atomic_store_explicit(&watch->since_ns, on ? now_ns : 0, memory_order_relaxed);
    atomic_store_explicit(&watch->ended_ns, on ? ended_ns : ended_ns + now_ns - since_ns,
                          memory_order_relaxed);
}

static inline int64_t ps_stopwatch_ns(const ps_stopwatch *watch, const ps_clock *clock)
{
    const int64_t since_ns = atomic_load_explicit(&watch->since_ns, memory_order_relaxed);
    const int64_t open_ns = since_ns == 0 ? 0 : ps_clock_monotonic_ns(clock) - since_ns;
    return atomic_load_explicit(&watch->ended_ns, memory_order_relaxed) + ps_max_i64(open_ns, 0);
}

#endif
