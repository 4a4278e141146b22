/* aggregate.h -- keyed or global aggregation over windows: the stateful heart of the engine. */
#ifndef PS_OPERATORS_AGGREGATE_H
#define PS_OPERATORS_AGGREGATE_H

#include "operators/op.h"
#include "state/agg_spec.h"
#include "window/window.h"

/* What errors call it: also those of an exchange that works for it. */
#define PS_AGGREGATE_NAME "aggregate"

/* Everything an aggregate is made of; borrowed during the calls below. */
typedef struct ps_aggregate_args {
    const ps_expr *expr;
    const int32_t *keys; /* roots in expr */
    const char *const *key_names;
    int32_t key_count;
    ps_window window;
    int32_t event_time;       /* column of the input, -1 = none */
    int64_t event_time_shift; /* added to each event time: -1 when the column is a window_end */
    const ps_agg_spec *aggregates;
    int32_t aggregate_count;
    int32_t source_count; /* event times upstream; with one (or 0) a row's own watermark may close
                             windows before the row is added */
    bool track_changes;   /* freeze may be asked for changes alone, and rows may come while it is
                             copied; else freeze hands out all state at once */
} ps_aggregate_args;

/* Checks types and makes the output schema: keys, window_start, window_end, aggregates. */
PS_MUST_CHECK ps_status ps_aggregate_schema(ps_mem *mem, const ps_schema *input,
                                            const ps_aggregate_args *args, ps_schema **out,
                                            ps_error *err);
/* One shard's instance. input and output schema are retained. The caller then sets id, shard,
 * shard_count, next and snapshot. */
PS_MUST_CHECK ps_status ps_aggregate_create(ps_mem *mem, ps_schema *input, ps_schema *output,
                                            const ps_aggregate_args *args, ps_operator **out,
                                            ps_error *err);

#endif
