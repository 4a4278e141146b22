/* state_reader.c -- see state_reader.h. */
#include "runtime/state_reader.h"

/* Pieces of up to 64 Ki rows or 8 MiB: the writer has the next one ready, memory stays small. */
enum { RING_PIECES = 4, RING_ROWS = 4 * PS_BATCH_ROWS_MAX };

static ps_status make_rings(ps_state_reader *reader, ps_task *const *tasks,
                            ps_park *const *producers, ps_error *err)
{
    const int64_t kib_limit = ps_ring_kib_limit(reader->mem, reader->task_count);
    for (int32_t i = 0; i < reader->task_count; i++) {
        PS_TRY(ps_ring_init(&reader->rings[i], reader->mem, RING_PIECES, RING_ROWS, producers[i],
                            &reader->park, err));
        reader->rings[i].kib_limit = kib_limit;
        reader->tasks[i] = tasks[i];
        tasks[i]->state.targets[0].ring = &reader->rings[i];
        tasks[i]->all = &reader->all;
        reader->inbox.channels[i].ring = &reader->rings[i];
    }
    return PS_OK;
}

ps_status ps_state_reader_init(ps_state_reader *reader, ps_mem *mem, ps_task *const *tasks,
                               ps_park *const *producers, int32_t task_count, int32_t thread_count,
                               ps_error *err)
{
    const size_t rings_size = (size_t)task_count * sizeof(ps_ring);
    const size_t tasks_size = (size_t)task_count * sizeof(ps_task *);
    reader->mem = mem;
    ps_park_init(&reader->park, thread_count);
    reader->task_count = task_count;
    reader->late = task_count;
    reader->rings = ps_alloc_zeroed(mem, rings_size);
    reader->tasks = ps_alloc_zeroed(mem, tasks_size);
    if (reader->rings == NULL || reader->tasks == NULL) {
        return ps_mem_refused(mem, rings_size, "rings for state", err);
    }
    PS_TRY(ps_inbox_init(&reader->inbox, mem, task_count, err));
    PS_TRY(ps_merge_init(&reader->merge, mem, task_count, err));
    return make_rings(reader, tasks, producers, err);
}

void ps_state_reader_fini(ps_state_reader *reader)
{
    ps_mem *const mem = reader->mem;
    if (mem == NULL) {
        return;
    }
    if (reader->rings != NULL) {
        for (int32_t i = 0; i < reader->task_count; i++) {
            ps_ring_fini(&reader->rings[i]);
        }
        ps_free(mem, reader->rings, (size_t)reader->task_count * sizeof(ps_ring));
    }
    if (reader->tasks != NULL) {
        ps_free(mem, reader->tasks, (size_t)reader->task_count * sizeof(ps_task *));
    }
    ps_merge_fini(&reader->merge);
    ps_inbox_fini(&reader->inbox);
    ps_park_fini(&reader->park);
    reader->mem = NULL;
}

bool ps_state_reader_begin(ps_state_reader *reader, bool all)
{
    /* Acquire: what the tasks did for the barrier before comes before this one's. */
    if (atomic_load_explicit(&reader->open, memory_order_acquire)) {
        return false;
    }
    /* Relaxed: tasks read it after the barrier that follows has come through a ring. */
    atomic_store_explicit(&reader->all, all, memory_order_relaxed);
    atomic_store_explicit(&reader->open, true, memory_order_relaxed);
    return true;
}

void ps_state_reader_take_back(ps_state_reader *reader)
{
    atomic_store_explicit(&reader->open, false, memory_order_relaxed); /* this thread's own */
}

static void as_piece(const ps_message *message, ps_state_piece *out)
{
    *out = (ps_state_piece){.kind = PS_STATE_PIECE,
                            .operator_id = (int32_t)(message->value & INT32_MAX),
                            .shard = (int32_t)(message->value >> 32),
                            .batch = message->batch};
}

/* A barrier or an end of one task. */
static void gather(ps_state_reader *reader, int32_t channel, const ps_message *message)
{
    ps_message out[PS_MERGE_OUT_MAX];
    if (message->kind == PS_MESSAGE_END) {
        reader->tasks[channel]->state.targets[0].ring = NULL; /* from now on read here */
    }
    const int32_t count = ps_merge_apply(&reader->merge, channel, message, out);
    for (int32_t i = 0; i < reader->task_count; i++) {
        reader->inbox.channels[i].held = ps_merge_held(&reader->merge, i);
    }
    for (int32_t i = 0; i < count; i++) {
        if (out[i].kind == PS_MESSAGE_BARRIER) {
            reader->epoch = out[i].value;
            reader->late = 0;
        }
    }
}

/* The next piece of tasks that ended before the barrier; then the end of the epoch. */
static ps_status read_late(ps_state_reader *reader, ps_state_piece *out, ps_error *err)
{
    while (reader->late < reader->task_count) {
        ps_task *const task = reader->tasks[reader->late];
        ps_message message = {.kind = PS_MESSAGE_BARRIER};
        if (reader->merge.channels[reader->late].ended) {
            if (!reader->late_frozen) {
                const int64_t now_ns = ps_clock_monotonic_ns(&task->clock);
                PS_TRY(ps_task_freeze(task, reader->epoch, now_ns, err));
                reader->late_frozen = true;
            }
            while (!ps_fifo_take(&task->state.targets[0].waiting, &message)) {
                bool worked;
                PS_TRY(ps_task_copy(task, &worked, err));
                PS_CHECK(worked);
            }
        }
        if (message.kind == PS_MESSAGE_BATCH) {
            as_piece(&message, out);
            return PS_OK;
        }
        reader->late++;
        reader->late_frozen = false;
    }
    *out = (ps_state_piece){.kind = PS_STATE_END, .epoch = reader->epoch};
    atomic_store_explicit(&reader->open, false, memory_order_release);
    return PS_OK;
}

ps_status ps_state_reader_next(ps_state_reader *reader, ps_state_piece *out, ps_error *err)
{
    ps_message message;
    int32_t channel;
    *out = (ps_state_piece){.kind = PS_STATE_NONE};
    while (reader->late == reader->task_count) {
        if (!ps_inbox_try_pop(&reader->inbox, &message, &channel)) {
            ps_inbox_announce(&reader->inbox);
            return PS_OK;
        }
        if (message.kind == PS_MESSAGE_BATCH) {
            as_piece(&message, out);
            return PS_OK;
        }
        gather(reader, channel, &message);
    }
    return read_late(reader, out, err);
}

void ps_state_reader_wait(ps_state_reader *reader, int64_t timeout_ns)
{
    ps_park_wait(&reader->park, timeout_ns);
}
