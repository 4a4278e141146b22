/* node.h -- the inside of a plan: what plan.c checks and stores, what graph.c reads.
 *
 * Nodes are numbered as they are added, so a node's inputs have smaller numbers: ascending order is
 * upstream first. Arrays and texts live in the plan's blocks and go with it.
 */
#ifndef PS_RUNTIME_NODE_H
#define PS_RUNTIME_NODE_H

#include <stdatomic.h>

#include "operators/aggregate.h"
#include "runtime/plan.h"

typedef enum ps_node_kind {
    PS_NODE_SOURCE = 0,
    PS_NODE_EVENT_TIME,
    PS_NODE_FILTER,
    PS_NODE_PROJECT,
    PS_NODE_UNION,
    PS_NODE_AGGREGATE,
    PS_NODE_SINK,
} ps_node_kind;

typedef struct ps_plan_node {
    ps_node_kind kind;
    const int32_t *from; /* input nodes */
    int32_t from_count;
    ps_schema *schema;        /* of the output; retained */
    int32_t event_time;       /* column of the output, -1 = none */
    bool event_time_is_end;   /* the column is an exclusive end: rows belong one unit before it */
    int32_t event_time_count; /* watermarks whose least is this node's */
    bool *reads;              /* a flag a column of the (first) input: this node looks at it */
    ps_program **programs;    /* filter: the predicate; project: columns; aggregate: keys */
    int32_t program_count;
    const char *name;         /* source */
    int32_t input;            /* source: its number among the inputs */
    int64_t out_of_orderness; /* event_time */
    int64_t max_future;       /* event_time; 0: no guard */
    ps_expr *expr;            /* aggregate: retained */
    ps_aggregate_args args;   /* aggregate */
} ps_plan_node;

struct ps_plan {
    _Atomic int64_t references;
    ps_mem *mem;
    struct plan_block *blocks;
    ps_plan_node **nodes;
    int32_t node_count;
    int32_t node_capacity;
    int32_t input_count;
    int32_t sink; /* node, or -1 */
};

#endif
