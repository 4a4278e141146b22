/* park.h -- what an idle thread does, and how another one wakes it: one token a thread.
 *
 *     empty --wake--> token --wait--> empty            the wait returns at once
 *     empty --wait--> asleep --wake--> token           and the sleeper is woken
 *
 * Callers      wait: the owning thread alone. wake: any thread, also inside a signal handler.
 * No lost      A thread looks at its work, finds none and waits; another publishes work and wakes.
 * wake-up      Both end in a read-modify-write of `state`, and those of one variable have a single
 *              order. If wake comes first, wait finds the token, returns, and has acquired what was
 *              published before it. If wait comes first, wake finds the sleeper and wakes it. There
 *              is no third case, so no fence is needed (ThreadSanitizer cannot see fences).
 * Orders       R1 release of state in wake  ->  A1 acquire of state in wait (the published work)
 * Spurious     wait may return early: callers loop and look at their work again.
 * Cost         wake: one exchange when nobody sleeps, a system call only when somebody does.
 *              A futex on Linux, a mutex and condition variable elsewhere.
 */
#ifndef PS_QUEUE_PARK_H
#define PS_QUEUE_PARK_H

#include <stdatomic.h>

#include "base/base.h"

#if defined(__linux__) && !defined(PS_PARK_PORTABLE)
#define PS_PARK_FUTEX 1
#else
#define PS_PARK_FUTEX 0
#include <pthread.h>
#endif

typedef struct ps_park {
    _Alignas(PS_CACHE_LINE) _Atomic uint32_t state; /* PARK_EMPTY, PARK_TOKEN or PARK_ASLEEP */
    int32_t spin_count;                             /* looks at state before sleeping */
#if !PS_PARK_FUTEX
    pthread_mutex_t mutex;
    pthread_cond_t wakened;
#endif
} ps_park;

/* thread_count: how many threads will be busy beside each other; with a core to spare for each,
 * wait first spins for a moment. */
void ps_park_init(ps_park *park, int32_t thread_count);
void ps_park_fini(ps_park *park);
/* Returns after a wake (true) or when timeout_ns is over (false); negative: no limit. */
bool ps_park_wait(ps_park *park, int64_t timeout_ns);
void ps_park_wake(ps_park *park);

#endif
