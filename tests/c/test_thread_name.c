/* test_thread_name.c -- names fit, keep their role whole, and reach the system. */
#include "base/thread_name.h"

#include <pthread.h>

#include "check.h"

static void expect(const char *job, const char *role, const char *want)
{
    char name[PS_THREAD_NAME_SIZE];
    ps_thread_name_make(job, role, name);
    CHECK_STR(name, want);
}

static void the_job_is_cut_and_the_role_is_not(void)
{
    expect("orders", "s0", "ps-orders-s0");
    expect("a long name of a job", "s0", "ps-a long na-s0");
    expect("a long name of a job", "src12", "ps-a long-src12");
    expect("job", "a long role", "ps-job-a long r");
    expect("", "drv", "ps--drv");
}

static void characters_stay_whole(void)
{
    expect("12345678\xC3\xA9", "s0", "ps-12345678-s0");
    expect("1234567\xC3\xA9", "s0", "ps-1234567\xC3\xA9-s0");
    expect("job", "1234567\xC3\xA9", "ps-job-1234567");
}

static void the_system_knows_the_name(void)
{
#if defined(__linux__) || defined(__APPLE__)
    char name[PS_THREAD_NAME_SIZE] = "";
    ps_thread_set_name("orders", "s3");
    CHECK_EQ(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);
    CHECK_STR(name, "ps-orders-s3");
#endif
}

int main(void)
{
    RUN(the_job_is_cut_and_the_role_is_not);
    RUN(characters_stay_whole);
    RUN(the_system_knows_the_name);
    return 0;
}
