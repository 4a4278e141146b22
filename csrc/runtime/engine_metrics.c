/* engine_metrics.c -- an engine's operators, a line each: what they are called and have done.
 *
 * Any thread reads while others work: each number is right by itself, two of them need not fit.
 */
#include <stdio.h>

#include "runtime/engine_inside.h"

static ps_task *task_at(const ps_engine *engine, int32_t index)
{
    return index == 0 ? engine->graph.driver : engine->graph.tasks.items[index - 1];
}

static int32_t task_count(const ps_engine *engine)
{
    return engine->graph.tasks.count + 1;
}

ps_status ps_engine_make_lines(ps_engine *engine, ps_error *err)
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
