/* cores.c -- see cores.h. */
#include "base/cores.h"

#include <unistd.h>

#if defined(__linux__)
#include <sched.h>
#endif

int32_t ps_core_count(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        const int32_t count = (int32_t)CPU_COUNT(&set);
        return count < 1 ? 1 : count;
    }
#endif
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (int32_t)count;
}
