/* op.c -- see op.h. */
#include "operators/op.h"

void ps_operator_init(ps_operator *op, const ps_operator_calls *calls, ps_mem *mem,
                      ps_schema *input, ps_schema *output)
{
    *op = (ps_operator){.calls = calls, .mem = mem, .shard_count = 1};
    ps_schema_retain(input);
    ps_schema_retain(output);
    op->input = input;
    op->output = output;
    atomic_init(&op->stats.watermark, PS_TIME_MIN);
    atomic_init(&op->hot_keys, NULL);
}

void ps_operator_leave_hot_keys(ps_operator *op, ps_batch *taken)
{
    /* R1: the batch is whole before it is seen; A1: the one in its place was left by us. */
    ps_batch_release(atomic_exchange_explicit(&op->hot_keys, taken, memory_order_acq_rel));
}

ps_batch *ps_operator_take_hot_keys(ps_operator *op)
{
    return atomic_exchange_explicit(&op->hot_keys, NULL, memory_order_acquire); /* A1 */
}

void ps_operator_fini(ps_operator *op)
{
    ps_batch_release(ps_operator_take_hot_keys(op));
    ps_schema_release(op->input);
    ps_schema_release(op->output);
    op->input = NULL;
    op->output = NULL;
}

static ps_status stamp(const ps_operator *op, ps_status status, ps_error *err)
{
    return PS_UNLIKELY(status != PS_OK) ? ps_error_place(err, status, op->calls->name) : PS_OK;
}

static ps_status receive_batch(ps_operator *op, ps_batch *batch, ps_selection *selection,
                               int64_t rows, ps_error *err)
{
    ps_stat_add(&op->stats.rows_in, rows);
    ps_stat_add(&op->stats.batches_in, 1);
    return stamp(op, op->calls->on_batch(op, batch, selection, err), err);
}

ps_status ps_emit_batch(ps_operator *op, ps_batch *batch, ps_selection *selection, ps_error *err)
{
    const int64_t rows = selection != NULL ? selection->count : batch->length;
    PS_ASSERT(rows <= PS_BATCH_ROWS_MAX);
    if (rows == 0) {
        return PS_OK;
    }
    op->emitted++;
    ps_stat_add(&op->stats.rows_out, rows);
    ps_stat_add(&op->stats.batches_out, 1);
    return receive_batch(op->next, batch, selection, rows, err);
}

ps_status ps_emit_watermark(ps_operator *op, int64_t watermark, ps_error *err)
{
    op->emitted++;
    ps_stat_set(&op->stats.watermark, watermark);
    return stamp(op->next, op->next->calls->on_watermark(op->next, watermark, err), err);
}

static ps_status receive_idle(ps_operator *op, bool idle, ps_error *err)
{
    if (op->calls->on_idle == NULL) {
        return ps_emit_idle(op, idle, err);
    }
    return stamp(op, op->calls->on_idle(op, idle, err), err);
}

ps_status ps_emit_idle(ps_operator *op, bool idle, ps_error *err)
{
    op->emitted++;
    return receive_idle(op->next, idle, err);
}

ps_status ps_emit_barrier(ps_operator *op, int64_t epoch, ps_error *err)
{
    op->emitted++;
    return stamp(op->next, op->next->calls->on_barrier(op->next, epoch, err), err);
}

ps_status ps_emit_end(ps_operator *op, ps_error *err)
{
    op->emitted++;
    return stamp(op->next, op->next->calls->on_end(op->next, err), err);
}

ps_status ps_deliver(ps_operator *first, const ps_message *message, ps_error *err)
{
    const ps_operator_calls *const calls = first->calls;
    switch (message->kind) {
    case PS_MESSAGE_BATCH: {
        const int64_t rows = ps_message_rows(message);
        if (rows == 0) {
            return PS_OK;
        }
        return receive_batch(first, message->batch, message->selection, rows, err);
    }
    case PS_MESSAGE_WATERMARK:
        return stamp(first, calls->on_watermark(first, message->value, err), err);
    case PS_MESSAGE_IDLE: return receive_idle(first, message->value != 0, err);
    case PS_MESSAGE_BARRIER:
        return stamp(first, calls->on_barrier(first, message->value, err), err);
    case PS_MESSAGE_END: return stamp(first, calls->on_end(first, err), err);
    case PS_MESSAGE_NONE: break;
    }
    return ps_fail(err, PS_INTERNAL, "an empty message was delivered to '%s'", calls->name);
}

ps_status ps_operator_resume(ps_operator *op, bool *more, ps_error *err)
{
    return stamp(op, op->calls->resume(op, more, err), err);
}

ps_status ps_operator_freeze(ps_operator *op, bool all, ps_error *err)
{
    return stamp(op, op->calls->freeze(op, all, err), err);
}

ps_status ps_operator_copy(ps_operator *op, bool *more, ps_error *err)
{
    return stamp(op, op->calls->copy(op, more, err), err);
}

ps_status ps_operator_restore(ps_operator *op, ps_batch *state, ps_error *err)
{
    return stamp(op, op->calls->restore(op, state, err), err);
}

ps_status ps_snapshot_add(ps_operator *op, ps_batch *state, ps_error *err)
{
    ps_stat_add(&op->stats.snapshot_rows, state->length);
    ps_stat_add(&op->stats.snapshot_bytes, ps_batch_size_bytes(state));
    return op->snapshot == NULL ? PS_OK : op->snapshot->add(op->snapshot, op, state, err);
}
