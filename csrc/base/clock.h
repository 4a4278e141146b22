/* clock.h -- the time of day and time that only grows, real or set by a test.
 *
 * Whoever needs time is given a ps_clock; nobody asks the system directly, so that a simulation can
 * stop and turn time as it likes. One thread turns a manual clock, any thread reads it.
 */
#ifndef PS_BASE_CLOCK_H
#define PS_BASE_CLOCK_H

#include "base/base.h"

typedef struct ps_clock {
    bool is_manual;
    _Atomic int64_t monotonic_ns; /* manual only */
    _Atomic int64_t wall_ns;      /* manual only: since the epoch */
} ps_clock;

void ps_clock_init(ps_clock *clock);
void ps_clock_init_manual(ps_clock *clock, int64_t monotonic_ns, int64_t wall_ns);
/* Turns a manual clock forward by ns >= 0. */
void ps_clock_advance(ps_clock *clock, int64_t ns);
/* Sets the time of day of a manual clock alone: it may jump either way, as in life. */
void ps_clock_set_wall(ps_clock *clock, int64_t wall_ns);

int64_t ps_clock_monotonic_ns(const ps_clock *clock);
int64_t ps_clock_wall_ns(const ps_clock *clock);

#endif
