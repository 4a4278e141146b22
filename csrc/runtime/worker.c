/* worker.c -- see worker.h. */
#include "runtime/worker.h"

/* Messages from the sources that a worker still has when it takes a turn of them: so many that it
 * need not wait while another has it. */
enum { LITTLE = 3 };

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

/* Whether so little has come from the sources that more should, before there is nothing. */
static bool has_little(const ps_worker *worker)
{
    int64_t waiting = 0;
    bool fed = false;
    for (int32_t i = 0; i < worker->task_count; i++) {
        const ps_task *const task = worker->tasks[i];
        for (int32_t j = 0; task->fed_by_sources && j < task->inbox.channel_count; j++) {
            waiting += ps_ring_size(task->inbox.channels[j].ring);
            fed = true;
        }
    }
    return fed && waiting <= LITTLE;
}

/* Nothing can be done in the tasks: a turn of the sources, or sleep. */
static ps_status rest(ps_worker *worker, ps_error *err)
{
    bool worked = false;
    if (worker->sources != NULL) {
        PS_TRY(ps_source_side_help(worker->sources, true, &worked, err));
    }
    if (worked) {
        return PS_OK;
    }
    ps_park_wait(&worker->park, -1);
    if (worker->sources != NULL) {
        ps_source_side_awake(worker->sources);
    }
    return PS_OK;
}

static ps_status run(ps_worker *worker, const _Atomic bool *stop, ps_error *err)
{
    for (;;) {
        /* Relaxed: the wake-up that follows the store orders whatever belongs to it. */
        if (atomic_load_explicit(stop, memory_order_relaxed)) {
            return ps_fail(err, PS_CANCELLED, "the job was stopped");
        }
        if (worker->sources != NULL && has_little(worker)) {
            bool worked;
            PS_TRY(ps_source_side_help(worker->sources, false, &worked, err));
        }
        ps_worker_state state;
        PS_TRY(ps_worker_step(worker, &state, err));
        if (state == PS_WORKER_DONE) {
            return PS_OK;
        }
        if (state == PS_WORKER_WAIT) {
            PS_TRY(rest(worker, err));
        }
    }
}

ps_status ps_worker_run(ps_worker *worker, const _Atomic bool *stop, ps_error *err)
{
    if (worker->sources == NULL) {
        return run(worker, stop, err);
    }
    ps_source_side_join(worker->sources);
    const ps_status status = run(worker, stop, err);
    ps_source_side_leave(worker->sources);
    return status;
}
