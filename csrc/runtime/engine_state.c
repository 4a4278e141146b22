/* engine_state.c -- the state of an engine: frozen by a barrier, handed out in pieces, given back.
 *
 * Callers      barrier, copy_state: the driving thread. next_state: one thread, any. restore: a
 *              thread a shard, before the first input.
 */
#include "runtime/engine_inside.h"

static bool all_finished(const ps_engine *engine)
{
    const ps_source_side *const side = &engine->sources;
    for (int32_t i = 0; i < side->input_count; i++) {
        if (!side->inputs[i].finished) {
            return false;
        }
    }
    return true;
}

ps_status ps_engine_barrier(ps_engine *engine, int64_t epoch, bool all, ps_error *err)
{
    if (engine->barrier_pending) {
        return ps_fail(err, PS_INVALID, "a barrier is on its way: wait until poll gives it");
    }
    if (!all && !engine->graph.track_changes) {
        return ps_fail(err, PS_INVALID, "this engine does not track changes: write all state");
    }
    if (all_finished(engine)) {
        return ps_fail(err, PS_INVALID, "every input is finished: no barrier can follow");
    }
    if (!ps_state_reader_begin(&engine->graph.states, all)) {
        return ps_fail(err, PS_INVALID,
                       "the state of the barrier before is still being written: take it to its "
                       "end first");
    }
    const ps_status status = ps_source_side_barrier(&engine->sources, epoch, err);
    if (status != PS_OK) {
        ps_state_reader_take_back(&engine->graph.states);
        return status;
    }
    engine->barrier_pending = true;
    return PS_OK;
}

ps_status ps_engine_next_state(ps_engine *engine, int64_t timeout_ns, ps_state_piece *out,
                               ps_error *err)
{
    ps_state_reader *const states = &engine->graph.states;
    const int64_t until_ns =
        timeout_ns <= 0 ? timeout_ns : ps_clock_monotonic_ns(&engine->clock) + timeout_ns;
    for (;;) {
        PS_TRY(ps_engine_check(engine, err));
        ps_error error;
        ps_error_clear(&error);
        const ps_status status = ps_state_reader_next(states, out, &error);
        if (status != PS_OK) { /* rows are missing: what follows would pass for a whole */
            return ps_engine_fail(engine, status, &error, err);
        }
        int64_t remaining_ns = timeout_ns;
        if (timeout_ns > 0) {
            remaining_ns = ps_max_i64(until_ns - ps_clock_monotonic_ns(&engine->clock), 0);
        }
        if (out->kind != PS_STATE_NONE || remaining_ns == 0) {
            return PS_OK;
        }
        ps_state_reader_wait(states, remaining_ns);
    }
}

ps_status ps_engine_copy_state(ps_engine *engine, bool *worked, ps_error *err)
{
    PS_TRY(ps_engine_check(engine, err));
    ps_error error;
    ps_error_clear(&error);
    const ps_status status = ps_source_side_copy(&engine->sources, worked, &error);
    return status == PS_OK ? PS_OK : ps_engine_fail(engine, status, &error, err);
}

/* An instance of the operator that keeps state, or NULL. */
static ps_operator *find_stateful(const ps_engine *engine, int32_t operator_id)
{
    for (int32_t i = 0; i < engine->line_count; i++) {
        const ps_operator *const op = engine->lines[i].op;
        if (op->id == operator_id && op->calls->restore != NULL) {
            return engine->lines[i].op;
        }
    }
    return NULL;
}

ps_status ps_engine_state_schema(ps_engine *engine, int32_t operator_id, ArrowSchema *out,
                                 ps_error *err)
{
    ps_operator *const op = find_stateful(engine, operator_id);
    ps_schema *schema;
    out->release = NULL;
    if (op == NULL) {
        return PS_OK;
    }
    PS_TRY(op->calls->state_schema(op, &schema, err));
    const ps_status status = ps_schema_export(schema, out, err);
    ps_schema_release(schema);
    return status;
}

ps_status ps_engine_restore(ps_engine *engine, int32_t operator_id, ps_batch *state, int32_t shard,
                            ps_error *err)
{
    if (engine->sources.started) {
        return ps_fail(err, PS_INVALID, "state can only be restored before the first input");
    }
    if (find_stateful(engine, operator_id) == NULL) {
        return ps_fail(err, PS_INVALID, "operator %d does not exist in this plan or keeps no state",
                       operator_id);
    }
    for (int32_t i = 0; i < engine->line_count; i++) {
        ps_operator *const op = engine->lines[i].op;
        const bool meant = shard < 0 || op->shard == shard;
        if (op->id == operator_id && op->calls->restore != NULL && meant) {
            PS_TRY(ps_operator_restore(op, state, err));
        }
    }
    return PS_OK;
}
