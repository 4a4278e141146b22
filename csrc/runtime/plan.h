/* plan.h -- a checked tree of operators: what an engine is made from.
 *
 * Nodes are added upstream first; each call checks its arguments against the schema of its input
 * and answers the new node's number, so that a wrong query fails where it is written. A plan is
 * immutable once an engine is made from it; the engine keeps its own reference.
 *
 * An aggregate keyed by columns needs its rows sent to the shard that owns the key; the engine puts
 * the exchange in front of it when there is more than one shard. Aggregates without keys run on one
 * shard.
 */
#ifndef PS_RUNTIME_PLAN_H
#define PS_RUNTIME_PLAN_H

#include "expr/program.h"
#include "state/agg_spec.h"
#include "window/window.h"

typedef struct ps_plan ps_plan;

PS_API PS_MUST_CHECK ps_status ps_plan_create(ps_mem *mem, ps_plan **out, ps_error *err);
PS_API void ps_plan_retain(ps_plan *plan);
PS_API void ps_plan_release(ps_plan *plan); /* NULL allowed */

/* An input; *schema is moved on success. Inputs are numbered 0, 1, ... in the order they are
 * added. */
PS_API PS_MUST_CHECK ps_status ps_plan_source(ps_plan *plan, const char *name, ArrowSchema *schema,
                                              int32_t *node, ps_error *err);
/* Declares the event-time column (a timestamp) and how far out of order it may come, in its unit.
 * max_future: how far ahead of all others a row may be and still move the watermark by itself
 * (window/watermark.h); 0: any. On the output of a windowed aggregate: re-declares. */
PS_API PS_MUST_CHECK ps_status ps_plan_event_time(ps_plan *plan, int32_t from, const char *column,
                                                  int64_t out_of_orderness, int64_t max_future,
                                                  int32_t *node, ps_error *err);
PS_API PS_MUST_CHECK ps_status ps_plan_filter(ps_plan *plan, int32_t from, const ps_expr *expr,
                                              int32_t predicate, int32_t *node, ps_error *err);
/* Exactly these columns, in this order. Carries the event time on if its column is kept. */
PS_API PS_MUST_CHECK ps_status ps_plan_project(ps_plan *plan, int32_t from, const ps_expr *expr,
                                               const int32_t *roots, const char *const *names,
                                               int32_t count, int32_t *node, ps_error *err);
/* Rows of all inputs, whose schemas must agree; its watermark is the least of theirs. */
PS_API PS_MUST_CHECK ps_status ps_plan_union(ps_plan *plan, const int32_t *from, int32_t count,
                                             int32_t *node, ps_error *err);
/* Output columns: the keys, then window_start and window_end (timestamps like the event time; not
 * for PS_WINDOW_NONE), then the aggregates. The event time of a window's row is window_end - 1
 * unit; the output's event-time column is window_end. expr is retained, everything else is
 * copied. */
PS_API PS_MUST_CHECK ps_status ps_plan_aggregate(ps_plan *plan, int32_t from, ps_expr *expr,
                                                 const int32_t *keys, const char *const *key_names,
                                                 int32_t key_count, const ps_window *window,
                                                 const ps_agg_spec *aggregates,
                                                 int32_t aggregate_count, int32_t *node,
                                                 ps_error *err);
/* The end: where results leave. Exactly one a plan. */
PS_API PS_MUST_CHECK ps_status ps_plan_sink(ps_plan *plan, int32_t from, int32_t *node,
                                            ps_error *err);

/* Fills *out with the schema of a node's output; the receiver releases it. */
PS_API PS_MUST_CHECK ps_status ps_plan_schema(const ps_plan *plan, int32_t node, ArrowSchema *out,
                                              ps_error *err);
/* Name of the event-time column of a node's output, or NULL. */
PS_API const char *ps_plan_event_time_column(const ps_plan *plan, int32_t node);
/* The first aggregate of a node whose result depends on the order or the cuts of rows, so that they
 * travel to their shard one by one (operators/pre_aggregate.h); -1: none. */
PS_API int32_t ps_plan_inexact_aggregate(const ps_plan *plan, int32_t node);

#endif
