/* graph.h -- a plan laid out over shards: tasks, their operators, and the rings between them.
 *
 * Where a node runs:
 *     ON_DRIVER   sources and what follows them, in the driving thread; with one shard: everything
 *     ON_SHARDS   aggregates with keys and what follows them, an instance a shard
 *     ON_ONE      aggregates without keys, unions of anything that is not on the driver, and what
 *                 follows them: one instance, on shard 0
 * An aggregate or such a union begins a stage: a task an instance, whose channels are rings from
 * every instance of what feeds it, at whose end an exchange partitions the rows by key. Within a
 * stage operators are linked by `next`.
 */
#ifndef PS_RUNTIME_GRAPH_H
#define PS_RUNTIME_GRAPH_H

#include "runtime/node.h"
#include "runtime/state_reader.h"
#include "runtime/task.h"
#include "runtime/worker.h"

typedef struct ps_graph_list {
    void **items;
    int32_t count;
    int32_t capacity;
} ps_graph_list;

typedef struct ps_graph {
    ps_mem *mem;
    ps_park *driver_park; /* borrowed */
    bool track_changes;   /* of the state */
    int32_t shard_count;
    int32_t worker_count; /* shards that have something to do */
    ps_worker *workers;   /* shard_count of them */
    ps_task *driver;
    ps_graph_list tasks;   /* ps_task, the driver's not among them */
    ps_graph_list rings;   /* ps_ring */
    int64_t kib_limit;     /* of each */
    ps_operator **sources; /* by input number; NULL when nothing reads that input */
    bool **wanted;         /* by input number: a flag a column; NULL like its source */
    bool **columns;        /* by node: the columns of its output that anything looks at */
    size_t columns_size;
    int32_t input_count;
    bool shares_sources;   /* shards take turns of the source side (source_side.h) */
    bool results_by_rings; /* the sink runs on shards: outputs has a channel for each instance */
    ps_inbox outputs;
    ps_merge outputs_merge;
    ps_fifo *driver_results; /* else: the fifo that the sink fills */
    ps_state_reader states;
} ps_graph;

/* On failure everything made so far is freed. */
PS_MUST_CHECK ps_status ps_graph_init(ps_graph *graph, const ps_plan *plan, ps_mem *mem,
                                      int32_t shard_count, bool track_changes, ps_park *driver_park,
                                      ps_error *err);
/* No thread may run it any more. Undrained rings are cleared. */
void ps_graph_fini(ps_graph *graph);

#endif
