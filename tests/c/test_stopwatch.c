/* test_stopwatch.c -- stretches are added up, the one under way included. */
#include "base/stopwatch.h"
#include "check.h"

static void stretches_add_up(void)
{
    ps_clock clock;
    ps_clock_init_manual(&clock, 100, 0);
    ps_stopwatch watch = {0};
    CHECK_EQ(ps_stopwatch_ns(&watch, &clock), 0);
    ps_stopwatch_turn(&watch, &clock, false);
    ps_clock_advance(&clock, 5);
    CHECK_EQ(ps_stopwatch_ns(&watch, &clock), 0);
    ps_stopwatch_turn(&watch, &clock, true);
    ps_clock_advance(&clock, 3);
    ps_stopwatch_turn(&watch, &clock, true); /* goes on */
    ps_clock_advance(&clock, 4);
    CHECK_EQ(ps_stopwatch_ns(&watch, &clock), 7); /* while it lasts */
    ps_stopwatch_turn(&watch, &clock, false);
    ps_clock_advance(&clock, 50);
    ps_stopwatch_turn(&watch, &clock, true);
    ps_clock_advance(&clock, 2);
    ps_stopwatch_turn(&watch, &clock, false);
    CHECK_EQ(ps_stopwatch_ns(&watch, &clock), 9);
}

int main(void)
{
    RUN(stretches_add_up);
    return 0;
}
