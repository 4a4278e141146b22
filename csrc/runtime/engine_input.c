/* engine_input.c -- what the caller offers: rows, watermarks, idleness, the end of an input.
 *
 * All of it waits in the input (input.h) until somebody has the turn of the source side.
 */
#include "runtime/engine_inside.h"

/* Rows from which on an input has enough. */
enum { WAITING_ROWS = 8 * PS_BATCH_ROWS_MAX };

ps_status ps_engine_push(ps_engine *engine, int32_t input, ArrowArray *array, ps_error *err)
{
    ps_input *found;
    PS_TRY(ps_source_side_begin(&engine->sources, input, &found, err));
    const ps_status status = ps_input_push(found, array, err);
    ps_source_side_end(&engine->sources);
    return status;
}

ps_status ps_engine_push_batch(ps_engine *engine, int32_t input, ps_batch *batch, ps_error *err)
{
    ps_input *found;
    PS_TRY(ps_source_side_begin(&engine->sources, input, &found, err));
    const ps_status status = ps_input_push_batch(found, batch, err);
    ps_source_side_end(&engine->sources);
    return status;
}

ps_status ps_engine_push_watermark(ps_engine *engine, int32_t input, int64_t watermark,
                                   ps_error *err)
{
    ps_input *found;
    PS_TRY(ps_source_side_begin(&engine->sources, input, &found, err));
    const ps_status status = ps_input_push_watermark(found, watermark, err);
    ps_source_side_end(&engine->sources);
    return status;
}

ps_status ps_engine_set_idle(ps_engine *engine, int32_t input, bool idle, ps_error *err)
{
    ps_input *found;
    PS_TRY(ps_source_side_begin(&engine->sources, input, &found, err));
    const ps_status status = ps_input_set_idle(found, idle, err);
    ps_source_side_end(&engine->sources);
    return status;
}

ps_status ps_engine_finish_input(ps_engine *engine, int32_t input, ps_error *err)
{
    ps_input *found;
    PS_TRY(ps_source_side_begin(&engine->sources, input, &found, err));
    const ps_status status = ps_input_finish(found, err);
    ps_source_side_end(&engine->sources);
    return status;
}

int64_t ps_engine_input_rows(const ps_engine *engine, int32_t input)
{
    const ps_source_side *const side = &engine->sources;
    return input < 0 || input >= side->input_count
               ? -1
               : atomic_load_explicit(&side->inputs[input].offered, memory_order_relaxed);
}

bool ps_engine_input_full(ps_engine *engine, int32_t input)
{
    ps_input *found = NULL;
    PS_CHECK(ps_source_side_begin(&engine->sources, input, &found, NULL) == PS_OK);
    const ps_fifo *const waiting = &found->waiting;
    const bool full =
        waiting->rows >= WAITING_ROWS || waiting->kib >= ps_engine_waiting_kib(engine);
    ps_source_side_end(&engine->sources);
    return full;
}

bool ps_engine_wants_input(ps_engine *engine)
{
    return ps_source_side_wants(&engine->sources, NULL);
}
