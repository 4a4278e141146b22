/* worker.h -- a thread's loop: steps of its tasks in turn, and sleep when none can do anything.
 *
 * One shard has one worker, which runs that shard's task of every keyed stage. run is called by the
 * thread that is lent; step by simulations, which turn workers in an order of their own. Where the
 * shards share the source side, run takes turns of it when the worker has little or nothing to do.
 */
#ifndef PS_RUNTIME_WORKER_H
#define PS_RUNTIME_WORKER_H

#include "runtime/source_side.h"

typedef enum ps_worker_state {
    PS_WORKER_PROGRESS = 0,
    PS_WORKER_WAIT, /* every task is idle or blocked */
    PS_WORKER_DONE, /* every task is done */
} ps_worker_state;

typedef struct ps_worker {
    ps_park park; /* rings wake it */
    ps_mem *mem;
    ps_task **tasks; /* borrowed; upstream first */
    int32_t task_count;
    int32_t task_capacity;
    ps_source_side *sources; /* borrowed: to take turns of; NULL: not shared */
} ps_worker;

/* thread_count: threads that will run beside each other (park.h). */
void ps_worker_init(ps_worker *worker, ps_mem *mem, int32_t thread_count);
void ps_worker_fini(ps_worker *worker);
PS_MUST_CHECK ps_status ps_worker_add(ps_worker *worker, ps_task *task, ps_error *err);

/* One step of each task. On WAIT every producer knows of the room in its ring. */
PS_MUST_CHECK ps_status ps_worker_step(ps_worker *worker, ps_worker_state *state, ps_error *err);
/* Until every task is done (PS_OK), *stop (PS_CANCELLED) or an error. Whoever sets *stop wakes. */
PS_MUST_CHECK ps_status ps_worker_run(ps_worker *worker, const _Atomic bool *stop, ps_error *err);

#endif
