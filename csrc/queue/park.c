/* park.c -- see park.h. */
#include "queue/park.h"

#include <errno.h>
#include <time.h>

#include "base/cores.h"

#if PS_PARK_FUTEX
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { PARK_EMPTY = 0, PARK_TOKEN = 1, PARK_ASLEEP = 2 };
enum { SPIN_COUNT = 2000 }; /* some microseconds: about what a sleep and a wake-up cost */

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#if PS_PARK_FUTEX

/* Sleeps while state is PARK_ASLEEP, at most remaining_ns (negative: no limit). */
static void sleep_on(ps_park *park, int64_t remaining_ns)
{
    struct timespec limit = {.tv_sec = remaining_ns / 1000000000,
                             .tv_nsec = remaining_ns % 1000000000};
    syscall(SYS_futex, &park->state, FUTEX_WAIT_PRIVATE, PARK_ASLEEP,
            remaining_ns < 0 ? NULL : &limit, NULL, 0);
}

static void wake_sleeper(ps_park *park)
{
    syscall(SYS_futex, &park->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

#else

static void sleep_on(ps_park *park, int64_t remaining_ns)
{
    struct timespec until;
    if (remaining_ns >= 0) {
        clock_gettime(CLOCK_REALTIME, &until);
        const int64_t nsec = until.tv_nsec + remaining_ns % 1000000000;
        until.tv_sec += remaining_ns / 1000000000 + nsec / 1000000000;
        until.tv_nsec = nsec % 1000000000;
    }
    pthread_mutex_lock(&park->mutex);
    if (atomic_load_explicit(&park->state, memory_order_relaxed) == PARK_ASLEEP) {
        if (remaining_ns < 0) {
            pthread_cond_wait(&park->wakened, &park->mutex);
        } else {
            pthread_cond_timedwait(&park->wakened, &park->mutex, &until);
        }
    }
    pthread_mutex_unlock(&park->mutex);
}

static void wake_sleeper(ps_park *park)
{
    /* The lock orders this after the sleeper's last look at state. */
    pthread_mutex_lock(&park->mutex);
    pthread_cond_signal(&park->wakened);
    pthread_mutex_unlock(&park->mutex);
}

#endif

void ps_park_init(ps_park *park, int32_t thread_count)
{
    atomic_init(&park->state, PARK_EMPTY);
    park->spin_count = ps_core_count() > thread_count ? SPIN_COUNT : 0;
#if !PS_PARK_FUTEX
    PS_CHECK(pthread_mutex_init(&park->mutex, NULL) == 0);
    PS_CHECK(pthread_cond_init(&park->wakened, NULL) == 0);
#endif
}

void ps_park_fini(ps_park *park)
{
#if !PS_PARK_FUTEX
    pthread_cond_destroy(&park->wakened);
    pthread_mutex_destroy(&park->mutex);
#else
    (void)park;
#endif
}

/* Takes the token if there is one. */
static bool take_token(ps_park *park)
{
    uint32_t found = PARK_TOKEN;
    return atomic_compare_exchange_strong_explicit(&park->state, &found, PARK_EMPTY,
                                                   memory_order_acquire, /* A1 */
                                                   memory_order_relaxed);
}

bool ps_park_wait(ps_park *park, int64_t timeout_ns)
{
    for (int32_t i = 0; i < park->spin_count; i++) {
        if (atomic_load_explicit(&park->state, memory_order_relaxed) == PARK_TOKEN) {
            break;
        }
        spin_pause();
    }
    if (take_token(park)) {
        return true;
    }
    const int64_t until = timeout_ns < 0 ? 0 : now_ns() + timeout_ns;
    uint32_t found = PARK_EMPTY;
    if (!atomic_compare_exchange_strong_explicit(&park->state, &found, PARK_ASLEEP,
                                                 memory_order_relaxed, memory_order_relaxed)) {
        return take_token(park);
    }
    for (;;) {
        const int64_t remaining_ns = timeout_ns < 0 ? -1 : ps_max_i64(until - now_ns(), 0);
        sleep_on(park, remaining_ns);
        if (take_token(park)) {
            return true;
        }
        if (timeout_ns >= 0 && now_ns() >= until) {
            const uint32_t last =
                atomic_exchange_explicit(&park->state, PARK_EMPTY, memory_order_acquire); /* A1 */
            return last == PARK_TOKEN;
        }
    }
}

void ps_park_wake(ps_park *park)
{
    const uint32_t found =
        atomic_exchange_explicit(&park->state, PARK_TOKEN, memory_order_release); /* R1 */
    if (found == PARK_ASLEEP) {
        wake_sleeper(park);
    }
}
