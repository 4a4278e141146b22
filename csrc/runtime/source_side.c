/* source_side.c -- see source_side.h. */
#include "runtime/source_side.h"

/* What the driving thread keeps waiting for the shards: enough until it gets a core again. */
enum { AHEAD_ROWS = 4 * PS_BATCH_ROWS_MAX };

static const ps_plan_node *source_node(const ps_plan *plan, int32_t input)
{
    for (int32_t i = 0; i < plan->node_count; i++) {
        if (plan->nodes[i]->kind == PS_NODE_SOURCE && plan->nodes[i]->input == input) {
            return plan->nodes[i];
        }
    }
    return NULL;
}

ps_status ps_source_side_init(ps_source_side *side, ps_mem *mem, const ps_plan *plan, ps_task *task,
                              ps_operator **sources, bool **wanted, ps_park *park, bool shareable,
                              int64_t kib_limit, ps_error *err)
{
    const size_t size_bytes = (size_t)plan->input_count * sizeof(ps_input);
    ps_input *const inputs = ps_alloc_zeroed(mem, size_bytes);
    if (inputs == NULL) {
        return ps_mem_refused(mem, size_bytes, "inputs", err);
    }
    *side = (ps_source_side){
        .mem = mem,
        .task = task,
        .sources = sources,
        .park = park,
        .inputs = inputs,
        .input_count = plan->input_count,
        .shareable = shareable,
        .kib_limit = kib_limit,
    };
    PS_CHECK(pthread_mutex_init(&side->lock, NULL) == 0);
    ps_clock_init(&side->clock);
    for (int32_t i = 0; i < plan->input_count; i++) {
        const ps_plan_node *const node = source_node(plan, i);
        ps_input_init(&inputs[i], mem, node->name, node->schema, wanted[i]);
    }
    return PS_OK;
}

void ps_source_side_fini(ps_source_side *side)
{
    if (side->inputs == NULL) {
        return;
    }
    for (int32_t i = 0; i < side->input_count; i++) {
        ps_input_fini(&side->inputs[i]);
    }
    ps_free(side->mem, side->inputs, (size_t)side->input_count * sizeof(ps_input));
    side->inputs = NULL;
    pthread_mutex_destroy(&side->lock);
}

/* One thread alone pays for no lock. */
static void lock(ps_source_side *side)
{
    if (side->shareable) {
        pthread_mutex_lock(&side->lock);
    }
}

static void unlock(ps_source_side *side)
{
    if (side->shareable) {
        pthread_mutex_unlock(&side->lock);
    }
}

/* ---- what is offered ---- */

ps_status ps_source_side_find(ps_source_side *side, int32_t index, ps_input **out, ps_error *err)
{
    if (index < 0 || index >= side->input_count) {
        return ps_fail(err, PS_INVALID, "input %d does not exist: the plan has %d", index,
                       side->input_count);
    }
    *out = &side->inputs[index];
    return PS_OK;
}

ps_status ps_source_side_begin(ps_source_side *side, int32_t index, ps_input **out, ps_error *err)
{
    PS_TRY(ps_source_side_find(side, index, out, err));
    lock(side);
    return PS_OK;
}

void ps_source_side_end(ps_source_side *side)
{
    unlock(side);
}

ps_status ps_source_side_barrier(ps_source_side *side, int64_t epoch, ps_error *err)
{
    ps_status status = PS_OK;
    lock(side);
    /* On some inputs alone it would hold them up for ever. */
    for (int32_t i = 0; i < side->input_count && status == PS_OK; i++) {
        if (!side->inputs[i].finished) {
            status = ps_fifo_reserve(&side->inputs[i].waiting, err);
        }
    }
    for (int32_t i = 0; i < side->input_count && status == PS_OK; i++) {
        if (!side->inputs[i].finished) {
            status = ps_input_push_barrier(&side->inputs[i], epoch, err);
        }
    }
    unlock(side);
    return status;
}

static bool all_ended(const ps_source_side *side)
{
    for (int32_t i = 0; i < side->input_count; i++) {
        if (!side->inputs[i].ended) {
            return false;
        }
    }
    return true;
}

void ps_source_side_look(ps_source_side *side, bool *ended, bool *has_state)
{
    lock(side);
    *ended = all_ended(side);
    *has_state = ps_task_has_state(side->task);
    unlock(side);
}

/* ---- turns; the lock is held ---- */

/* A message for a source's chain; unread inputs drop it. */
static ps_status deliver(ps_source_side *side, int32_t input, const ps_message *message,
                         ps_error *err)
{
    ps_operator *const first = side->sources[input];
    side->started = true;
    return first == NULL ? PS_OK : ps_task_deliver(side->task, first, message, err);
}

/* Whether every input that still lives has come to the barrier. */
static bool barrier_is_due(const ps_source_side *side)
{
    bool due = false;
    for (int32_t i = 0; i < side->input_count; i++) {
        const ps_input *const input = &side->inputs[i];
        const ps_message *const first = ps_fifo_first(&input->waiting);
        if (first != NULL && first->kind == PS_MESSAGE_BARRIER) {
            due = true;
        } else if (!input->ended) {
            return false;
        }
    }
    return due;
}

static ps_status deliver_barrier(ps_source_side *side, ps_error *err)
{
    const int64_t now_ns = ps_clock_monotonic_ns(&side->clock);
    int64_t epoch = 0;
    for (int32_t i = 0; i < side->input_count; i++) {
        ps_message message;
        if (ps_fifo_take(&side->inputs[i].waiting, &message)) {
            epoch = message.value;
            PS_TRY(deliver(side, i, &message, err));
        }
    }
    return ps_task_freeze(side->task, epoch, now_ns, err);
}

/* One waiting message of the inputs in turn, *spent after it. *rows stays -1 when there is none. */
static ps_status feed(ps_source_side *side, int64_t *rows, ps_message *spent, ps_error *err)
{
    for (int32_t i = 0; i < side->input_count; i++) {
        const int32_t index = side->next_input;
        ps_input *const input = &side->inputs[index];
        side->next_input = index + 1 == side->input_count ? 0 : index + 1;
        const ps_message *const first = ps_fifo_first(&input->waiting);
        if (first == NULL || first->kind == PS_MESSAGE_BARRIER) {
            continue;
        }
        PS_CHECK(ps_fifo_take(&input->waiting, spent));
        *rows = ps_message_rows(spent);
        input->ended = spent->kind == PS_MESSAGE_END;
        return deliver(side, index, spent, err);
    }
    if (barrier_is_due(side)) {
        *rows = 0;
        return deliver_barrier(side, err);
    }
    return PS_OK;
}

static bool something_waits(const ps_source_side *side)
{
    for (int32_t i = 0; i < side->input_count; i++) {
        const ps_message *const first = ps_fifo_first(&side->inputs[i].waiting);
        if (first != NULL && first->kind != PS_MESSAGE_BARRIER) {
            return true;
        }
    }
    return barrier_is_due(side);
}

/* *spent: for the caller to clear once the lock is free. */
static ps_status take_turn(ps_source_side *side, bool may_feed, int64_t *rows, ps_turn *turn,
                           ps_message *spent, ps_error *err)
{
    ps_task *const task = side->task;
    bool worked;
    *rows = 0;
    *turn = PS_TURN_BLOCKED;
    if (!ps_task_flush(task)) {
        PS_TRY(ps_task_copy(task, &worked, err));
        *turn = worked ? PS_TURN_WORKED : PS_TURN_BLOCKED;
        return PS_OK;
    }
    *turn = PS_TURN_WORKED;
    PS_TRY(ps_task_resume(task, &worked, err));
    if (worked) {
        return PS_OK;
    }
    int64_t fed = -1;
    if (may_feed) {
        PS_TRY(feed(side, &fed, spent, err));
    }
    if (fed < 0) {
        *turn = PS_TURN_NOTHING;
        return PS_OK;
    }
    task->copy_is_due = task->copying;
    *rows = fed;
    return PS_OK;
}

/* Whether the driving thread should come and offer more: when half of it is used up. */
static bool runs_low(const ps_source_side *side)
{
    for (int32_t i = 0; i < side->input_count; i++) {
        const ps_input *const input = &side->inputs[i];
        if (!input->finished && input->waiting.rows <= AHEAD_ROWS / 2 &&
            input->waiting.kib <= side->kib_limit / 2) {
            return true;
        }
    }
    return false;
}

/* ---- who takes them ---- */

bool ps_source_side_is_shared(ps_source_side *side)
{
    lock(side);
    const bool shared = side->helper_count > 0;
    unlock(side);
    return shared;
}

bool ps_source_side_wants(ps_source_side *side, const ps_input *input)
{
    lock(side);
    const bool has_room = input != NULL && !input->finished && input->waiting.rows < AHEAD_ROWS &&
                          input->waiting.kib < side->kib_limit;
    const bool wants = side->helper_count > 0 && (has_room || (input == NULL && runs_low(side)));
    unlock(side);
    return wants;
}

ps_status ps_source_side_turn(ps_source_side *side, bool may_feed, int64_t *rows, ps_turn *turn,
                              ps_error *err)
{
    lock(side);
    /* Relaxed: the lock orders it behind what was offered; a shard just woken may still count. */
    const bool left_to_shards = side->helper_count > 0 &&
                                atomic_load_explicit(&side->idle_count, memory_order_relaxed) == 0;
    ps_message spent = {.kind = PS_MESSAGE_NONE};
    const ps_status status = take_turn(side, may_feed && !left_to_shards, rows, turn, &spent, err);
    if (may_feed && left_to_shards && *turn == PS_TURN_NOTHING && something_waits(side)) {
        *turn = PS_TURN_BLOCKED;
    }
    *rows = side->helper_count > 0 ? 0 : *rows;
    unlock(side);
    ps_message_clear(&spent);
    return status;
}

ps_status ps_source_side_copy(ps_source_side *side, bool *worked, ps_error *err)
{
    lock(side);
    (void)ps_task_flush(side->task);
    const ps_status status = ps_task_copy(side->task, worked, err);
    unlock(side);
    return status;
}

void ps_source_side_join(ps_source_side *side)
{
    PS_ASSERT(side->shareable);
    lock(side);
    side->helper_count++;
    unlock(side);
}

void ps_source_side_leave(ps_source_side *side)
{
    lock(side);
    side->helper_count--;
    unlock(side);
    ps_park_wake(side->park); /* what was left to it */
}

ps_status ps_source_side_help(ps_source_side *side, bool dry, bool *worked, ps_error *err)
{
    *worked = false;
    if (dry) {
        lock(side);
    } else if (pthread_mutex_trylock(&side->lock) != 0) {
        return PS_OK;
    }
    int64_t rows;
    ps_turn turn = PS_TURN_NOTHING;
    ps_message spent = {.kind = PS_MESSAGE_NONE};
    const ps_status status = take_turn(side, true, &rows, &turn, &spent, err);
    *worked = status == PS_OK && turn == PS_TURN_WORKED;
    if (dry && !*worked && status == PS_OK) {
        atomic_fetch_add_explicit(&side->idle_count, 1, memory_order_relaxed);
    }
    const bool call = *worked && (runs_low(side) || ps_task_has_state(side->task));
    unlock(side);
    ps_message_clear(&spent);
    if (call) {
        ps_park_wake(side->park);
    }
    return status;
}

void ps_source_side_awake(ps_source_side *side)
{
    atomic_fetch_sub_explicit(&side->idle_count, 1, memory_order_relaxed);
}
