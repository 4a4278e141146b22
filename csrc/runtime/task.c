/* task.c -- see task.h. */
#include "runtime/task.h"

/* ---- state on its way out ---- */

static ps_status add_state(ps_snapshot_sink *self, const ps_operator *op, ps_batch *state,
                           ps_error *err)
{
    ps_task *const task = (ps_task *)self;
    ps_message message = ps_message_of(state, NULL, ps_batch_size_bytes(state));
    message.value = ps_state_value(op->id, op->shard);
    ps_batch_retain(state);
    const ps_status status = ps_outbox_send(&task->state, 0, &message, err);
    if (status != PS_OK) {
        ps_batch_release(state);
    }
    return status;
}

bool ps_task_has_state(const ps_task *task)
{
    return task->copying ||
           (task->state.targets[0].ring != NULL && task->state.targets[0].waiting.count > 0);
}

ps_status ps_task_freeze(ps_task *task, int64_t epoch, int64_t since_ns, ps_error *err)
{
    PS_ASSERT(!task->copying);
    const bool all = task->all == NULL || atomic_load_explicit(task->all, memory_order_relaxed);
    for (int32_t i = 0; i < task->operator_count; i++) {
        ps_operator *const op = task->operators[i];
        if (op->calls->freeze != NULL) {
            PS_TRY(ps_operator_freeze(op, all, err));
        }
    }
    task->copying = true;
    task->copied = 0;
    task->epoch = epoch;
    const int64_t held_ns = ps_clock_monotonic_ns(&task->clock) - since_ns;
    for (int32_t i = 0; i < task->operator_count; i++) {
        if (task->operators[i]->calls->freeze != NULL) {
            ps_stat_set(&task->operators[i]->stats.barrier_ns, held_ns);
        }
    }
    return PS_OK;
}

ps_status ps_task_copy(ps_task *task, bool *worked, ps_error *err)
{
    *worked = false;
    if (!task->copying || !ps_outbox_flush(&task->state)) {
        return PS_OK;
    }
    *worked = true;
    while (task->copied < task->operator_count) {
        ps_operator *const op = task->operators[task->copied];
        bool more = false;
        if (op->calls->copy != NULL) {
            PS_TRY(ps_operator_copy(op, &more, err));
            task->copied += !more;
            return PS_OK;
        }
        task->copied++;
    }
    task->copying = false;
    const ps_message barrier = {.kind = PS_MESSAGE_BARRIER, .value = task->epoch};
    return ps_outbox_send(&task->state, 0, &barrier, err);
}

ps_status ps_task_create(ps_mem *mem, int32_t channel_count, ps_task **out, ps_error *err)
{
    ps_task *const task = ps_alloc_zeroed(mem, sizeof(*task));
    if (task == NULL) {
        return ps_mem_refused(mem, sizeof(*task), "a task", err);
    }
    task->snapshot.add = add_state;
    task->mem = mem;
    task->settled = true;
    ps_clock_init(&task->clock);
    ps_status status = ps_outbox_init(&task->state, mem, 1, err);
    if (status == PS_OK && channel_count > 0) {
        status = ps_inbox_init(&task->inbox, mem, channel_count, err);
        if (status == PS_OK) {
            status = ps_merge_init(&task->merge, mem, channel_count, err);
        }
    }
    if (status != PS_OK) {
        ps_task_destroy(task);
        return status;
    }
    *out = task;
    return PS_OK;
}

void ps_task_destroy(ps_task *task)
{
    if (task == NULL) {
        return;
    }
    ps_mem *const mem = task->mem;
    for (int32_t i = 0; i < task->operator_count; i++) {
        task->operators[i]->calls->close(task->operators[i]);
    }
    if (task->operators != NULL) {
        ps_free(mem, task->operators, (size_t)task->operator_capacity * sizeof(ps_operator *));
    }
    ps_task_exit *way_out = task->exits;
    while (way_out != NULL) {
        ps_task_exit *const next = way_out->next;
        ps_outbox_fini(&way_out->outbox);
        ps_free(mem, way_out, sizeof(*way_out));
        way_out = next;
    }
    ps_outbox_fini(&task->state);
    ps_merge_fini(&task->merge);
    ps_inbox_fini(&task->inbox);
    ps_free(mem, task, sizeof(*task));
}

ps_status ps_task_add(ps_task *task, ps_operator *taken, ps_error *err)
{
    if (task->operator_count == task->operator_capacity) {
        const int32_t capacity = task->operator_capacity == 0 ? 8 : task->operator_capacity * 2;
        const size_t size_bytes = (size_t)capacity * sizeof(ps_operator *);
        ps_operator **const operators =
            ps_realloc(task->mem, task->operators,
                       (size_t)task->operator_capacity * sizeof(ps_operator *), size_bytes);
        if (operators == NULL) {
            return ps_mem_refused(task->mem, size_bytes, "a list of operators", err);
        }
        task->operators = operators;
        task->operator_capacity = capacity;
    }
    taken->snapshot = &task->snapshot;
    task->operators[task->operator_count] = taken;
    task->operator_count++;
    return PS_OK;
}

ps_status ps_task_add_exit(ps_task *task, int32_t target_count, ps_task_exit **out, ps_error *err)
{
    ps_task_exit *const way_out = ps_alloc_zeroed(task->mem, sizeof(*way_out));
    if (way_out == NULL) {
        return ps_mem_refused(task->mem, sizeof(*way_out), "an outbox", err);
    }
    const ps_status status = ps_outbox_init(&way_out->outbox, task->mem, target_count, err);
    if (status != PS_OK) {
        ps_free(task->mem, way_out, sizeof(*way_out));
        return status;
    }
    way_out->next = task->exits;
    task->exits = way_out;
    *out = way_out;
    return PS_OK;
}

bool ps_task_flush(ps_task *task)
{
    bool empty = true;
    (void)ps_outbox_flush(&task->state); /* holds nobody up */
    for (ps_task_exit *way_out = task->exits; way_out != NULL; way_out = way_out->next) {
        const bool flushed = ps_outbox_flush(&way_out->outbox);
        empty = empty && flushed;
        ps_stopwatch_turn(&way_out->op->stats.blocked, &task->clock, !flushed);
    }
    return empty;
}

ps_status ps_task_resume(ps_task *task, bool *worked, ps_error *err)
{
    *worked = false;
    for (int32_t i = task->operator_count - 1; i >= 0 && !task->settled; i--) {
        ps_operator *const op = task->operators[i];
        if (op->calls->resume == NULL) {
            continue;
        }
        const int64_t emitted = op->emitted;
        bool more = false;
        PS_TRY(ps_operator_resume(op, &more, err));
        if (more || op->emitted != emitted) {
            *worked = true; /* what is downstream of it may have work now: begin there again */
            return PS_OK;
        }
    }
    task->settled = true;
    if (!task->copy_is_due) {
        return PS_OK;
    }
    task->copy_is_due = false;
    return ps_task_copy(task, worked, err);
}

ps_status ps_task_deliver(ps_task *task, ps_operator *first, const ps_message *message,
                          ps_error *err)
{
    task->settled = false;
    return ps_deliver(first, message, err);
}

/* A watermark, barrier or end of one channel: what it means for the task. */
static ps_status merge(ps_task *task, int32_t channel, const ps_message *message, ps_error *err)
{
    ps_message out[PS_MERGE_OUT_MAX];
    const int32_t count = ps_merge_apply(&task->merge, channel, message, out);
    for (int32_t i = 0; i < task->inbox.channel_count; i++) {
        task->inbox.channels[i].held = ps_merge_held(&task->merge, i);
    }
    for (int32_t i = 0; i < count; i++) {
        const bool barrier = out[i].kind == PS_MESSAGE_BARRIER;
        const int64_t since_ns = barrier ? ps_clock_monotonic_ns(&task->clock) : 0;
        task->ended = task->ended || out[i].kind == PS_MESSAGE_END;
        PS_TRY(ps_task_deliver(task, task->operators[0], &out[i], err));
        if (barrier) {
            PS_TRY(ps_task_freeze(task, out[i].value, since_ns, err));
        }
    }
    return PS_OK;
}

/* Nothing can be done for the input now: a part of the state, or *state says why not. */
static ps_status rest(ps_task *task, ps_task_state why, ps_task_state *state, ps_error *err)
{
    bool worked;
    PS_TRY(ps_task_copy(task, &worked, err));
    *state = worked ? PS_TASK_PROGRESS : why;
    return PS_OK;
}

/* After the end: what is left of the state, then word of the end to its reader. That is the last
 * thing done with it here: on it the reader takes `state` and the operators over. */
static ps_status finish(ps_task *task, ps_task_state *state, ps_error *err)
{
    if (task->copying) {
        return rest(task, PS_TASK_BLOCKED, state, err);
    }
    ps_ring *const ring = task->state.targets[0].ring;
    *state = PS_TASK_BLOCKED;
    if (ps_task_has_state(task) || (ring != NULL && !ps_ring_has_room(ring, PS_MESSAGE_END))) {
        return PS_OK;
    }
    const ps_message end = {.kind = PS_MESSAGE_END};
    PS_TRY(ps_outbox_send(&task->state, 0, &end, err));
    task->told_end = true;
    *state = PS_TASK_DONE;
    return PS_OK;
}

ps_status ps_task_step(ps_task *task, ps_task_state *state, ps_error *err)
{
    bool worked;
    if (task->told_end) {
        *state = PS_TASK_DONE;
        return PS_OK;
    }
    *state = PS_TASK_PROGRESS;
    if (!ps_task_flush(task)) {
        return rest(task, PS_TASK_BLOCKED, state, err);
    }
    PS_TRY(ps_task_resume(task, &worked, err));
    if (worked) {
        return PS_OK;
    }
    if (task->ended) {
        return finish(task, state, err);
    }
    ps_message message;
    int32_t channel;
    const bool found = ps_inbox_try_pop(&task->inbox, &message, &channel);
    ps_stopwatch_turn(&task->idle, &task->clock, !found);
    if (!found) {
        return rest(task, PS_TASK_IDLE, state, err);
    }
    task->copy_is_due = task->copying;
    if (message.kind != PS_MESSAGE_BATCH) {
        return merge(task, channel, &message, err);
    }
    const ps_status status = ps_task_deliver(task, task->operators[0], &message, err);
    ps_message_clear(&message);
    return status;
}
