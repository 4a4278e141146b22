/* engine.c -- see engine.h. */
#include "runtime/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "runtime/graph.h"
#include "runtime/source_side.h"

enum { FAILURE_NONE = 0, FAILURE_WRITING, FAILURE_KNOWN };

/* What may wait inside the driving thread for the caller, and of an input for the engine. */
enum { WAITING_KIB = 8 << 10, WAITING_ROWS = 8 * PS_BATCH_ROWS_MAX };

/* One line of the metrics: an operator, and the task it is the first of. */
typedef struct metrics_line {
    ps_operator *op;
    const ps_task *fed; /* or NULL */
    const ps_ring *out; /* of a sink on a shard, or NULL */
} metrics_line;

struct ps_engine {
    ps_park park; /* of the driving thread; first, for its alignment */
    _Atomic int64_t references;
    _Atomic int32_t failure_state;
    _Atomic bool stop; /* cancelled, or a thread has failed */
    ps_error failure;
    ps_mem *mem;
    ps_plan *plan;
    ps_clock clock;
    ps_graph graph;
    ps_source_side sources;
    ps_fifo collected; /* results that came through rings */
    ps_fifo *results;  /* collected, or what the sink fills on the driver */
    metrics_line *lines;
    int32_t line_count;
    bool barrier_pending; /* sent, and poll has not given it yet */
    bool ended;           /* the end has arrived in results */
};

/* ---- life ---- */

static ps_task *task_at(const ps_engine *engine, int32_t index)
{
    return index == 0 ? engine->graph.driver : engine->graph.tasks.items[index - 1];
}

static int32_t task_count(const ps_engine *engine)
{
    return engine->graph.tasks.count + 1;
}

static ps_status make_lines(ps_engine *engine, ps_error *err)
{
    int32_t count = 0;
    for (int32_t i = 0; i < task_count(engine); i++) {
        count += task_at(engine, i)->operator_count;
    }
    const size_t size_bytes = (size_t)count * sizeof(metrics_line);
    engine->lines = ps_alloc_zeroed(engine->mem, size_bytes);
    if (engine->lines == NULL) {
        return ps_mem_refused(engine->mem, size_bytes, "metrics", err);
    }
    for (int32_t i = 0; i < task_count(engine); i++) {
        const ps_task *const task = task_at(engine, i);
        for (int32_t j = 0; j < task->operator_count; j++) {
            metrics_line *const line = &engine->lines[engine->line_count];
            line->op = task->operators[j];
            line->fed = j == 0 && task->inbox.channel_count > 0 ? task : NULL;
            if (line->op->id == engine->plan->sink && engine->graph.results_by_rings) {
                line->out = engine->graph.outputs.channels[line->op->shard].ring;
            }
            engine->line_count++;
        }
    }
    return PS_OK;
}

static int64_t waiting_kib(const ps_engine *engine)
{
    return ps_min_i64(WAITING_KIB, engine->graph.kib_limit);
}

static ps_status build(ps_engine *engine, int32_t shard_count, bool track_changes, ps_error *err)
{
    PS_TRY(ps_graph_init(&engine->graph, engine->plan, engine->mem, shard_count, track_changes,
                         &engine->park, err));
    engine->results =
        engine->graph.results_by_rings ? &engine->collected : engine->graph.driver_results;
    ps_graph *const graph = &engine->graph;
    PS_TRY(ps_source_side_init(&engine->sources, engine->mem, engine->plan, graph->driver,
                               graph->sources, graph->wanted, &engine->park, graph->shares_sources,
                               waiting_kib(engine), err));
    for (int32_t i = 0; i < shard_count && graph->shares_sources; i++) {
        graph->workers[i].sources = &engine->sources;
    }
    return make_lines(engine, err);
}

static void destroy(ps_engine *engine)
{
    ps_mem *const mem = engine->mem;
    ps_source_side_fini(&engine->sources);
    if (engine->lines != NULL) {
        ps_free(mem, engine->lines, (size_t)engine->line_count * sizeof(metrics_line));
    }
    ps_fifo_fini(&engine->collected);
    ps_graph_fini(&engine->graph);
    ps_park_fini(&engine->park);
    ps_plan_release(engine->plan);
    ps_free(mem, engine, sizeof(*engine));
    ps_mem_release(mem);
}

ps_status ps_engine_create(ps_plan *plan, ps_mem *mem, int32_t shard_count, bool track_changes,
                           ps_engine **out, ps_error *err)
{
    if (shard_count < 1 || shard_count > PS_KEY_GROUPS) {
        return ps_fail(err, PS_INVALID, "shard count is %d, must be from 1 to %d", shard_count,
                       PS_KEY_GROUPS);
    }
    ps_engine *const engine = ps_alloc_zeroed(mem, sizeof(*engine));
    if (engine == NULL) {
        return ps_mem_refused(mem, sizeof(*engine), "an engine", err);
    }
    ps_mem_retain(mem);
    ps_plan_retain(plan);
    atomic_init(&engine->references, 1);
    engine->mem = mem;
    engine->plan = plan;
    engine->graph.mem = mem;
    ps_clock_init(&engine->clock);
    ps_park_init(&engine->park, shard_count + 1);
    ps_fifo_init(&engine->collected, mem);
    const ps_status status = build(engine, shard_count, track_changes, err);
    if (status != PS_OK) {
        destroy(engine);
        return status;
    }
    *out = engine;
    return PS_OK;
}

void ps_engine_retain(ps_engine *engine)
{
    atomic_fetch_add_explicit(&engine->references, 1, memory_order_relaxed);
}

void ps_engine_release(ps_engine *engine)
{
    /* Release: our uses come before the freeing; acquire: the others' uses do. */
    if (engine != NULL &&
        atomic_fetch_sub_explicit(&engine->references, 1, memory_order_acq_rel) == 1) {
        destroy(engine);
    }
}

/* ---- failure ---- */

void ps_engine_cancel(ps_engine *engine)
{
    atomic_store_explicit(&engine->stop, true, memory_order_relaxed); /* the wake-ups order it */
    for (int32_t i = 0; i < engine->graph.shard_count; i++) {
        ps_park_wake(&engine->graph.workers[i].park);
    }
    ps_park_wake(&engine->park);
    ps_park_wake(&engine->graph.states.park);
}

/* Keeps the first error and stops everybody. */
static ps_status record(ps_engine *engine, ps_status status, const ps_error *error)
{
    int32_t found = FAILURE_NONE;
    if (atomic_compare_exchange_strong_explicit(&engine->failure_state, &found, FAILURE_WRITING,
                                                memory_order_relaxed, memory_order_relaxed)) {
        engine->failure = *error;
        engine->failure.status = status;
        atomic_store_explicit(&engine->failure_state, FAILURE_KNOWN, memory_order_release); /* R1 */
    }
    ps_engine_cancel(engine);
    return status;
}

/* A failure of the driving thread: recorded, and handed to the caller. */
static ps_status fail_with(ps_engine *engine, ps_status status, const ps_error *error,
                           ps_error *err)
{
    if (err != NULL) {
        *err = *error;
    }
    return record(engine, status, error);
}

ps_status ps_engine_failure(const ps_engine *engine, ps_error *err)
{
    if (atomic_load_explicit(&engine->failure_state, memory_order_acquire) != FAILURE_KNOWN) {
        return PS_OK; /* A1 */
    }
    if (err != NULL) {
        *err = engine->failure;
    }
    return engine->failure.status;
}

/* PS_OK, or why nothing can be done any more. */
static ps_status check_running(const ps_engine *engine, ps_error *err)
{
    if (!atomic_load_explicit(&engine->stop, memory_order_relaxed)) {
        return PS_OK;
    }
    const ps_status status = ps_engine_failure(engine, err);
    return status != PS_OK ? status : ps_fail(err, PS_CANCELLED, "the job was stopped");
}

/* ---- shards ---- */

int32_t ps_engine_worker_count(const ps_engine *engine)
{
    return engine->graph.worker_count;
}

static ps_status check_worker(const ps_engine *engine, int32_t index, ps_error *err)
{
    if (index < 0 || index >= engine->graph.shard_count) {
        return ps_fail(err, PS_INVALID, "worker %d does not exist: the engine has %d shards", index,
                       engine->graph.shard_count);
    }
    return PS_OK;
}

ps_status ps_engine_work(ps_engine *engine, int32_t index, ps_error *err)
{
    PS_TRY(check_worker(engine, index, err));
    ps_error error;
    ps_error_clear(&error);
    const ps_status status = ps_worker_run(&engine->graph.workers[index], &engine->stop, &error);
    if (status == PS_OK) {
        return PS_OK;
    }
    if (err != NULL) {
        *err = error;
    }
    return status == PS_CANCELLED ? status : record(engine, status, &error);
}

ps_status ps_engine_step(ps_engine *engine, int32_t index, bool *progress, ps_error *err)
{
    PS_TRY(check_worker(engine, index, err));
    PS_TRY(check_running(engine, err));
    ps_error error;
    ps_error_clear(&error);
    ps_worker_state state = PS_WORKER_WAIT;
    const ps_status status = ps_worker_step(&engine->graph.workers[index], &state, &error);
    *progress = status == PS_OK && state == PS_WORKER_PROGRESS;
    return status == PS_OK ? PS_OK : fail_with(engine, status, &error, err);
}

/* ---- input ---- */

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
    PS_TRY(ps_source_side_barrier(&engine->sources, epoch, err));
    engine->barrier_pending = true;
    return PS_OK;
}

/* ---- driving ---- */

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
           engine->results->kib >= waiting_kib(engine);
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
        PS_TRY(check_running(engine, err));
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
    if (status == PS_OK) {
        return PS_OK;
    }
    if (d.pulling || status == PS_CANCELLED) {
        if (err != NULL) {
            *err = error;
        }
        return status;
    }
    return fail_with(engine, status, &error, err);
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

int64_t ps_engine_input_rows(const ps_engine *engine, int32_t input)
{
    const ps_source_side *const side = &engine->sources;
    return input < 0 || input >= side->input_count ? -1 : side->inputs[input].offered;
}

bool ps_engine_input_full(ps_engine *engine, int32_t input)
{
    ps_input *found = NULL;
    PS_CHECK(ps_source_side_begin(&engine->sources, input, &found, NULL) == PS_OK);
    const ps_fifo *const waiting = &found->waiting;
    const bool full = waiting->rows >= WAITING_ROWS || waiting->kib >= waiting_kib(engine);
    ps_source_side_end(&engine->sources);
    return full;
}

bool ps_engine_wants_input(ps_engine *engine)
{
    return ps_source_side_wants(&engine->sources, NULL);
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

/* ---- state ---- */

ps_status ps_engine_next_state(ps_engine *engine, int64_t timeout_ns, ps_state_piece *out,
                               ps_error *err)
{
    ps_state_reader *const states = &engine->graph.states;
    const int64_t until_ns =
        timeout_ns <= 0 ? timeout_ns : ps_clock_monotonic_ns(&engine->clock) + timeout_ns;
    for (;;) {
        PS_TRY(check_running(engine, err));
        PS_TRY(ps_state_reader_next(states, out, err));
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
    PS_TRY(check_running(engine, err));
    ps_error error;
    ps_error_clear(&error);
    const ps_status status = ps_source_side_copy(&engine->sources, worked, &error);
    return status == PS_OK ? PS_OK : fail_with(engine, status, &error, err);
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

int32_t ps_engine_operator_limit(const ps_engine *engine)
{
    return engine->plan->node_count;
}

const char *ps_engine_operator(const ps_engine *engine, int32_t id)
{
    static const char *const NAMES[] = {
        [PS_NODE_SOURCE] = "source", [PS_NODE_EVENT_TIME] = "event_time",
        [PS_NODE_FILTER] = "filter", [PS_NODE_PROJECT] = "project",
        [PS_NODE_UNION] = "union",   [PS_NODE_AGGREGATE] = "aggregate",
        [PS_NODE_SINK] = "sink",
    };
    for (int32_t i = 0; i < engine->line_count; i++) {
        if (engine->lines[i].op->id == id) {
            return NAMES[engine->plan->nodes[id]->kind];
        }
    }
    return NULL;
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

/* ---- metrics ---- */

int32_t ps_engine_metrics_count(const ps_engine *engine)
{
    return engine->line_count;
}

void ps_engine_metrics(const ps_engine *engine, int32_t index, ps_operator_metrics *out)
{
    PS_CHECK(index >= 0 && index < engine->line_count);
    const metrics_line *const line = &engine->lines[index];
    const ps_operator_stats *const stats = &line->op->stats;
    *out = (ps_operator_metrics){
        .id = line->op->id,
        .shard = line->op->shard,
        .rows_in = ps_stat_get(&stats->rows_in),
        .rows_out = ps_stat_get(&stats->rows_out),
        .rows_shipped = ps_stat_get(&stats->rows_shipped),
        .batches_in = ps_stat_get(&stats->batches_in),
        .batches_out = ps_stat_get(&stats->batches_out),
        .bytes_in = ps_stat_get(&stats->bytes_in),
        .bytes_out = ps_stat_get(&stats->bytes_out),
        .late_rows = ps_stat_get(&stats->late_rows),
        .future_rows = ps_stat_get(&stats->future_rows),
        .watermark = ps_stat_get(&stats->watermark),
        .keys = ps_stat_get(&stats->keys),
        .state_bytes = ps_stat_get(&stats->state_bytes),
        .blocked_ns = ps_stopwatch_ns(&stats->blocked, &engine->clock),
        .idle_ns = line->fed == NULL ? 0 : ps_stopwatch_ns(&line->fed->idle, &line->fed->clock),
        .read_ns = ps_stat_get(&stats->read_ns),
        .barrier_ns = ps_stat_get(&stats->barrier_ns),
        .snapshot_rows = ps_stat_get(&stats->snapshot_rows),
        .snapshot_bytes = ps_stat_get(&stats->snapshot_bytes),
    };
    snprintf(out->name, sizeof(out->name), "%s", line->op->calls->name);
    ps_occupancy found = {0};
    if (line->fed != NULL) {
        ps_inbox_size(&line->fed->inbox, &found);
    } else if (line->out != NULL) {
        ps_ring_add_to(line->out, &found);
    }
    out->ring_used = found.used;
    out->ring_capacity = found.capacity;
    out->ring_bytes = found.bytes;
    out->ring_max_bytes = found.max_bytes;
}

ps_batch *ps_engine_take_hot_keys(ps_engine *engine, int32_t index)
{
    PS_CHECK(index >= 0 && index < engine->line_count);
    return ps_operator_take_hot_keys(engine->lines[index].op);
}

int64_t ps_engine_memory_used(const ps_engine *engine)
{
    return ps_mem_used(engine->mem);
}

int64_t ps_engine_memory_peak(const ps_engine *engine)
{
    return ps_mem_peak(engine->mem);
}
