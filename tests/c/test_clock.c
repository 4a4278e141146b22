/* test_clock.c -- a real clock moves on by itself, a manual one only when it is turned. */
#include "base/clock.h"
#include "check.h"

static void a_real_clock_moves_on(void)
{
    ps_clock clock;
    ps_clock_init(&clock);
    const int64_t start = ps_clock_monotonic_ns(&clock);
    int64_t now = start;
    for (int64_t reads = 0; now == start && reads < 1000000; reads++) {
        now = ps_clock_monotonic_ns(&clock);
    }
    CHECK(now > start);
    const int64_t year_2020_ns = INT64_C(1577836800) * 1000000000;
    CHECK(ps_clock_wall_ns(&clock) > year_2020_ns);
}

static void a_manual_clock_moves_when_turned(void)
{
    ps_clock clock;
    ps_clock_init_manual(&clock, 100, 5000);
    CHECK_EQ(ps_clock_monotonic_ns(&clock), 100);
    CHECK_EQ(ps_clock_wall_ns(&clock), 5000);
    ps_clock_advance(&clock, 7);
    CHECK_EQ(ps_clock_monotonic_ns(&clock), 107);
    CHECK_EQ(ps_clock_wall_ns(&clock), 5007);
}

static void the_time_of_day_may_jump_back_alone(void)
{
    ps_clock clock;
    ps_clock_init_manual(&clock, 100, 5000);
    ps_clock_set_wall(&clock, 10);
    CHECK_EQ(ps_clock_monotonic_ns(&clock), 100);
    CHECK_EQ(ps_clock_wall_ns(&clock), 10);
}

int main(void)
{
    RUN(a_real_clock_moves_on);
    RUN(a_manual_clock_moves_when_turned);
    RUN(the_time_of_day_may_jump_back_alone);
    return 0;
}
