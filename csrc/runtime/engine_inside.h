/* engine_inside.h -- the inside of an engine, shared by engine*.c only.
 *
 *     engine.c           made and freed; its shards; its first failure
 *     engine_input.c     what the caller offers
 *     engine_drive.c     the driving thread at work, and what poll gives
 *     engine_state.c     a barrier's state out, and back in
 *     engine_metrics.c   its operators, a line each
 *
 * Owners       `lines` and what `graph` consists of stay as ps_engine_create made them; any thread
 *              reads them, the failure and `stop`, and may wake. A worker is its thread's, the
 *              states are their reader's, the sources have a lock. The rest is the driver's alone.
 */
#ifndef PS_RUNTIME_ENGINE_INSIDE_H
#define PS_RUNTIME_ENGINE_INSIDE_H

#include "runtime/engine.h"
#include "runtime/graph.h"
#include "runtime/source_side.h"

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

/* PS_OK, or why nothing can be done any more. */
PS_MUST_CHECK ps_status ps_engine_check(const ps_engine *engine, ps_error *err);
/* Hands an error to the caller. It is that of the engine from now on, unless it says no more than
 * that the engine was stopped. */
ps_status ps_engine_fail(ps_engine *engine, ps_status status, const ps_error *error, ps_error *err);

/* engine_metrics.c: at creation, when the graph is there. */
PS_MUST_CHECK ps_status ps_engine_make_lines(ps_engine *engine, ps_error *err);

/* What may wait inside the driving thread for the caller, and of an input for the engine. */
static inline int64_t ps_engine_waiting_kib(const ps_engine *engine)
{
    enum { WAITING_KIB = 8 << 10 };
    return ps_min_i64(WAITING_KIB, engine->graph.kib_limit);
}

#endif
