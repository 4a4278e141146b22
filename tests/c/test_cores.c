/* test_cores.c -- the cores a process may use. */
#include "base/cores.h"
#include "check.h"

#if defined(__linux__)
#include <sched.h>
#endif

static void a_process_bound_to_one_core_has_one(void)
{
    CHECK(ps_core_count() >= 1);
#if defined(__linux__)
    cpu_set_t all;
    cpu_set_t one;
    CHECK_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
    size_t first = 0;
    while (!CPU_ISSET(first, &all)) {
        first++;
    }
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    CHECK_EQ(ps_core_count(), 1);
    CHECK_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
    CHECK_EQ(ps_core_count(), CPU_COUNT(&all));
#endif
}

int main(void)
{
    RUN(a_process_bound_to_one_core_has_one);
    return 0;
}
