/* engine_drive.c -- the driving thread: it steps the source side, pulls a stream, collects results,
 * and rests when there is nothing to do.
 */
#include "runtime/engine_inside.h"

/* Whoever drives has other things to do, such as barriers, and a slow source must not hold them up
 * for the rows of a budget. */
#define PULL_NS 50000000

typedef struct drive {
    ps_input *input;
    ArrowArrayStream *stream; /* NULL once it has ended, or none was given */
    int64_t rows_left;
    int64_t output_rows;
    int64_t until_ns;
    int64_t pull_until_ns; /* no more is pulled by a call that has lasted so long */
    bool pulling; /* an error now is the stream's or the caller's: the engine itself is sound */
} drive;

/* Moves one message from the shards' rings into results; *found: there was one. */
static ps_status collect_one(ps_engine *engine, bool *found, ps_error *err)
{
    ps_message message;
    int32_t channel;
    ps_inbox *const inbox = &engine->graph.outputs;
    *found = ps_inbox_try_pop(inbox, &message, &channel);
    if (!*found) {
        return PS_OK;
    }
    if (message.kind == PS_MESSAGE_BATCH) {
        const ps_status status = ps_fifo_put(engine->results, &message, err);
        if (status != PS_OK) {
            ps_message_clear(&message);
        }
        return status;
    }
    ps_merge *const merge = &engine->graph.outputs_merge;
    ps_message out[PS_MERGE_OUT_MAX];
    const int32_t count = ps_merge_apply(merge, channel, &message, out);
    for (int32_t i = 0; i < inbox->channel_count; i++) {
        inbox->channels[i].held = ps_merge_held(merge, i);
    }
    for (int32_t i = 0; i < count; i++) {
        if (out[i].kind == PS_MESSAGE_BARRIER || out[i].kind == PS_MESSAGE_END) {
            PS_TRY(ps_fifo_put(engine->results, &out[i], err));
        }
    }
    return PS_OK;
}

/* Enough for the caller to come and take. */
static bool enough_results(const ps_engine *engine, int64_t output_rows)
{
    return engine->results->rows >= output_rows || engine->results->barriers > 0 ||
           engine->results->kib >= ps_engine_waiting_kib(engine);
}

static ps_status collect(ps_engine *engine, int64_t output_rows, ps_error *err)
{
    bool found = engine->graph.results_by_rings;
    while (found && !enough_results(engine, output_rows)) {
        PS_TRY(collect_one(engine, &found, err));
    }
    return PS_OK;
}

/* The next array of the stream, and the time it took its maker. */
static ps_status pull(ps_engine *engine, drive *d, bool *end, ps_error *err)
{
    ps_source_side *const side = &engine->sources;
    ps_operator *const source = side->sources[d->input - side->inputs];
    ArrowArray array;
    const int64_t began_ns = ps_clock_monotonic_ns(&engine->clock);
    const ps_status status = ps_input_next(d->input, d->stream, &array, end, err);
    const int64_t ended_ns = ps_clock_monotonic_ns(&engine->clock);
    if (source != NULL) {
        ps_stat_add(&source->stats.read_ns, ended_ns - began_ns);
    }
    if (ended_ns >= d->pull_until_ns) {
        d->rows_left = 0;
    }
    if (status != PS_OK || *end) {
        return status;
    }
    d->pulling = false; /* the stream does not give these rows again */
    /* Empty arrays come to an end too, and nobody else says what the shards take. */
    d->rows_left -= array.length == 0 ? 1 : ps_source_side_is_shared(side) ? array.length : 0;
    const ps_status pushed =
        ps_engine_push(engine, (int32_t)(d->input - side->inputs), &array, err);
    if (array.release != NULL) {
        array.release(&array);
    }
    return pushed;
}

/* One bounded piece of work on the source side. */
static ps_status step(ps_engine *engine, drive *d, ps_turn *turn, bool *source_end, ps_error *err)
{
    ps_source_side *const side = &engine->sources;
    int64_t rows;
    PS_TRY(ps_source_side_turn(side, d->rows_left > 0, &rows, turn, err));
    d->rows_left -= rows;
    if (*turn == PS_TURN_WORKED || d->rows_left <= 0) {
        return PS_OK;
    }
    if (d->stream != NULL && (*turn == PS_TURN_NOTHING || ps_source_side_wants(side, d->input))) {
        d->pulling = true;
        PS_TRY(pull(engine, d, source_end, err));
        d->pulling = false;
        *turn = PS_TURN_WORKED;
        return PS_OK;
    }
    bool worked;
    PS_TRY(ps_source_side_copy(side, &worked, err));
    *turn = worked ? PS_TURN_WORKED : *turn;
    return PS_OK;
}

/* Nothing can be done here now: what to tell the caller, or sleep (*state stays MORE). */
static bool rest(ps_engine *engine, const drive *d, bool blocked, ps_drive_state *state)
{
    engine->ended = engine->ended || engine->results->ends > 0;
    bool all_ended;
    bool has_state;
    ps_source_side_look(&engine->sources, &all_ended, &has_state);
    if (engine->ended && (engine->results->count > 0 || !has_state)) {
        *state = engine->results->count > 0 ? PS_DRIVE_OUTPUT : PS_DRIVE_DONE;
        return true;
    }
    if (!blocked && !has_state && !engine->barrier_pending && !all_ended) {
        *state = engine->results->rows > 0 ? PS_DRIVE_OUTPUT : PS_DRIVE_STARVED;
        return true;
    }
    const int64_t remaining_ns = d->until_ns - ps_clock_monotonic_ns(&engine->clock);
    if (remaining_ns <= 0) {
        /* While a barrier travels, rows may follow it. */
        *state = blocked ? PS_DRIVE_FULL : all_ended ? PS_DRIVE_MORE : PS_DRIVE_STARVED;
        return true;
    }
    ps_inbox_announce(&engine->graph.outputs);
    ps_park_wait(&engine->park, remaining_ns);
    return false;
}

static ps_status drive_until(ps_engine *engine, drive *d, ps_drive_state *state, ps_error *err)
{
    for (;;) {
        PS_TRY(ps_engine_check(engine, err));
        PS_TRY(collect(engine, d->output_rows, err));
        if (enough_results(engine, d->output_rows)) {
            *state = PS_DRIVE_OUTPUT;
            return PS_OK;
        }
        ps_turn turn;
        bool source_end = false;
        PS_TRY(step(engine, d, &turn, &source_end, err));
        if (source_end) {
            *state = PS_DRIVE_SOURCE_END;
            return PS_OK;
        }
        if (turn == PS_TURN_WORKED) {
            continue;
        }
        const bool blocked = turn == PS_TURN_BLOCKED;
        if (!blocked && d->rows_left <= 0) {
            *state = PS_DRIVE_MORE;
            return PS_OK;
        }
        if (rest(engine, d, blocked, state)) {
            return PS_OK;
        }
    }
}

ps_status ps_engine_drive(ps_engine *engine, int32_t input, ArrowArrayStream *stream,
                          int64_t budget_rows, int64_t output_rows, int64_t timeout_ns,
                          ps_drive_state *state, ps_error *err)
{
    *state = PS_DRIVE_MORE;
    ps_input *found = NULL;
    if (stream != NULL) {
        PS_TRY(ps_source_side_find(&engine->sources, input, &found, err));
    }
    const int64_t now_ns = ps_clock_monotonic_ns(&engine->clock);
    drive d = {
        .input = found,
        .stream = stream,
        .rows_left = ps_max_i64(budget_rows, 1),
        .output_rows = ps_max_i64(output_rows, 1),
        .until_ns = now_ns + ps_max_i64(timeout_ns, 0),
        .pull_until_ns = now_ns + PULL_NS,
    };
    ps_error error;
    ps_error_clear(&error);
    const ps_status status = drive_until(engine, &d, state, &error);
    if (d.pulling && err != NULL) {
        *err = error;
    }
    return status == PS_OK || d.pulling ? status : ps_engine_fail(engine, status, &error, err);
}

void ps_engine_wait(ps_engine *engine, int64_t timeout_ns)
{
    if (engine->graph.results_by_rings) {
        ps_inbox_announce(&engine->graph.outputs);
    }
    ps_park_wait(&engine->park, timeout_ns);
}

void ps_engine_wake(ps_engine *engine)
{
    ps_park_wake(&engine->park);
}

void ps_engine_poll(ps_engine *engine, ps_message *out)
{
    if (!ps_fifo_take(engine->results, out)) {
        *out = (ps_message){.kind = PS_MESSAGE_NONE};
        return;
    }
    if (out->kind == PS_MESSAGE_BARRIER) {
        engine->barrier_pending = false;
    }
}
