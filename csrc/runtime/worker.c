/* worker.c -- see worker.h. */
#include "runtime/worker.h"

void ps_worker_init(ps_worker *worker, ps_mem *mem, int32_t thread_count)
{
    *worker = (ps_worker){.mem = mem};
    ps_park_init(&worker->park, thread_count);
}

void ps_worker_fini(ps_worker *worker)
{
    if (worker->tasks != NULL) {
        ps_free(worker->mem, worker->tasks, (size_t)worker->task_capacity * sizeof(ps_task *));
        worker->tasks = NULL;
    }
    ps_park_fini(&worker->park);
}

ps_status ps_worker_add(ps_worker *worker, ps_task *task, ps_error *err)
{
    if (worker->task_count == worker->task_capacity) {
        const int32_t capacity = worker->task_capacity == 0 ? 4 : worker->task_capacity * 2;
        const size_t size_bytes = (size_t)capacity * sizeof(ps_task *);
        ps_task **const tasks =
            ps_realloc(worker->mem, worker->tasks,
                       (size_t)worker->task_capacity * sizeof(ps_task *), size_bytes);
        if (tasks == NULL) {
            return ps_mem_refused(worker->mem, size_bytes, "a list of tasks", err);
        }
        worker->tasks = tasks;
        worker->task_capacity = capacity;
    }
    worker->tasks[worker->task_count] = task;
    worker->task_count++;
    return PS_OK;
}

ps_status ps_worker_step(ps_worker *worker, ps_worker_state *state, ps_error *err)
{
    bool progress = false;
    bool done = true;
    for (int32_t i = 0; i < worker->task_count; i++) {
        ps_task_state found;
        PS_TRY(ps_task_step(worker->tasks[i], &found, err));
        progress = progress || found == PS_TASK_PROGRESS;
        done = done && found == PS_TASK_DONE;
    }
    *state = done ? PS_WORKER_DONE : progress ? PS_WORKER_PROGRESS : PS_WORKER_WAIT;
    if (!progress) {
        for (int32_t i = 0; i < worker->task_count; i++) {
            ps_inbox_announce(&worker->tasks[i]->inbox);
        }
    }
    return PS_OK;
}

ps_status ps_worker_run(ps_worker *worker, const _Atomic bool *stop, ps_error *err)
{
    for (;;) {
        /* Relaxed: the wake-up that follows the store orders whatever belongs to it. */
        if (atomic_load_explicit(stop, memory_order_relaxed)) {
            return ps_fail(err, PS_CANCELLED, "the job was stopped");
        }
        ps_worker_state state;
        PS_TRY(ps_worker_step(worker, &state, err));
        if (state == PS_WORKER_DONE) {
            return PS_OK;
        }
        if (state == PS_WORKER_WAIT) {
            ps_park_wait(&worker->park, -1);
        }
    }
}
