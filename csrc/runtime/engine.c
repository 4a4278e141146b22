/* engine.c -- an engine is made and freed, runs its shards, and keeps the first thing that failed.
 *
 * Callers      work, step: one thread a shard. retain, release, cancel, failure: any.
 * Orders       R1 release of failure_state in record  ->  A1 acquire in ps_engine_failure
 */
#include "runtime/engine_inside.h"

enum { FAILURE_NONE = 0, FAILURE_WRITING, FAILURE_KNOWN };

/* ---- life ---- */

static ps_status build(ps_engine *engine, int32_t shard_count, bool track_changes, ps_error *err)
{
    PS_TRY(ps_graph_init(&engine->graph, engine->plan, engine->mem, shard_count, track_changes,
                         &engine->park, err));
    engine->results =
        engine->graph.results_by_rings ? &engine->collected : engine->graph.driver_results;
    ps_graph *const graph = &engine->graph;
    PS_TRY(ps_source_side_init(&engine->sources, engine->mem, engine->plan, graph->driver,
                               graph->sources, graph->wanted, &engine->park, graph->shares_sources,
                               ps_engine_waiting_kib(engine), err));
    for (int32_t i = 0; i < shard_count && graph->shares_sources; i++) {
        graph->workers[i].sources = &engine->sources;
    }
    return ps_engine_make_lines(engine, err);
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
    atomic_store_explicit(&engine->stop, true, memory_order_release); /* R2: a failure is known */
    for (int32_t i = 0; i < engine->graph.shard_count; i++) {
        ps_park_wake(&engine->graph.workers[i].park);
    }
    ps_park_wake(&engine->park);
    ps_park_wake(&engine->graph.states.park);
}

/* Keeps the first error and stops everybody. Whoever comes second stops nobody: the first does when
 * its error can be read, so that nobody takes the failure for a cancellation. */
static void record(ps_engine *engine, ps_status status, const ps_error *error)
{
    int32_t found = FAILURE_NONE;
    if (atomic_compare_exchange_strong_explicit(&engine->failure_state, &found, FAILURE_WRITING,
                                                memory_order_relaxed, memory_order_relaxed)) {
        engine->failure = *error;
        engine->failure.status = status;
        atomic_store_explicit(&engine->failure_state, FAILURE_KNOWN, memory_order_release); /* R1 */
        ps_engine_cancel(engine);
    }
}

ps_status ps_engine_fail(ps_engine *engine, ps_status status, const ps_error *error, ps_error *err)
{
    if (err != NULL) {
        *err = *error;
    }
    if (status != PS_CANCELLED) {
        record(engine, status, error);
    }
    return status;
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

ps_status ps_engine_check(const ps_engine *engine, ps_error *err)
{
    if (!atomic_load_explicit(&engine->stop, memory_order_acquire)) { /* A2 */
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
    return status == PS_OK ? PS_OK : ps_engine_fail(engine, status, &error, err);
}

ps_status ps_engine_step(ps_engine *engine, int32_t index, bool *progress, ps_error *err)
{
    PS_TRY(check_worker(engine, index, err));
    PS_TRY(ps_engine_check(engine, err));
    ps_error error;
    ps_error_clear(&error);
    ps_worker_state state = PS_WORKER_WAIT;
    const ps_status status = ps_worker_step(&engine->graph.workers[index], &state, &error);
    *progress = status == PS_OK && state == PS_WORKER_PROGRESS;
    return status == PS_OK ? PS_OK : ps_engine_fail(engine, status, &error, err);
}
