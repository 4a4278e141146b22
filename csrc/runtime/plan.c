/* plan.c -- see plan.h. */
#include "runtime/plan.h"

#include <inttypes.h>
#include <string.h>

#include "operators/pre_aggregate.h"
#include "runtime/node.h"

/* One allocation of the plan; all are freed together. */
typedef struct plan_block {
    struct plan_block *next;
    size_t size_bytes;
    _Alignas(16) uint8_t data[];
} plan_block;

static ps_status reserve(ps_plan *plan, size_t size_bytes, void **out, ps_error *err)
{
    const size_t total = sizeof(plan_block) + size_bytes;
    plan_block *const block = ps_alloc_zeroed(plan->mem, total);
    if (block == NULL) {
        return ps_mem_refused(plan->mem, total, "a plan", err);
    }
    block->next = plan->blocks;
    block->size_bytes = total;
    plan->blocks = block;
    *out = block->data;
    return PS_OK;
}

/* Points target at room for count zeroed items that live as long as the plan. */
#define RESERVE(target, count)                                                                     \
    do {                                                                                           \
        void *room_;                                                                               \
        PS_TRY(reserve(plan, (size_t)(count) * sizeof(*(target)), &room_, err));                   \
        (target) = room_;                                                                          \
    } while (0)

static ps_status copy_text(ps_plan *plan, const char *text, const char **out, ps_error *err)
{
    const size_t size = strlen(text) + 1;
    char *copy;
    RESERVE(copy, size);
    memcpy(copy, text, size);
    *out = copy;
    return PS_OK;
}

ps_status ps_plan_create(ps_mem *mem, ps_plan **out, ps_error *err)
{
    ps_plan *const plan = ps_alloc_zeroed(mem, sizeof(*plan));
    if (plan == NULL) {
        return ps_mem_refused(mem, sizeof(*plan), "a plan", err);
    }
    ps_mem_retain(mem);
    atomic_init(&plan->references, 1);
    plan->mem = mem;
    plan->sink = -1;
    *out = plan;
    return PS_OK;
}

void ps_plan_retain(ps_plan *plan)
{
    atomic_fetch_add_explicit(&plan->references, 1, memory_order_relaxed);
}

static void fini_node(ps_plan_node *node)
{
    for (int32_t i = 0; i < node->program_count; i++) {
        ps_program_destroy(node->programs[i]);
    }
    ps_schema_release(node->schema);
    ps_expr_destroy(node->expr);
}

void ps_plan_release(ps_plan *plan)
{
    /* Release: our uses come before the freeing; acquire: the others' uses do. */
    if (plan == NULL || atomic_fetch_sub_explicit(&plan->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (int32_t i = 0; i < plan->node_count; i++) {
        fini_node(plan->nodes[i]);
    }
    ps_mem *const mem = plan->mem;
    if (plan->nodes != NULL) {
        ps_free(mem, plan->nodes, (size_t)plan->node_capacity * sizeof(ps_plan_node *));
    }
    plan_block *block = plan->blocks;
    while (block != NULL) {
        plan_block *const next = block->next;
        ps_free(mem, block, block->size_bytes);
        block = next;
    }
    ps_free(mem, plan, sizeof(*plan));
    ps_mem_release(mem);
}

/* Adds an empty node, which the plan owns from now on; close_node takes it back on failure. */
static ps_status add_node(ps_plan *plan, ps_node_kind kind, const int32_t *from, int32_t from_count,
                          ps_plan_node **out, ps_error *err)
{
    for (int32_t i = 0; i < from_count; i++) {
        if (from[i] < 0 || from[i] >= plan->node_count) {
            return ps_fail(err, PS_INVALID, "input node %d does not exist: the plan has %d nodes",
                           from[i], plan->node_count);
        }
        if (plan->nodes[from[i]]->kind == PS_NODE_SINK) {
            return ps_fail(err, PS_INVALID, "node %d is the sink: nothing can follow it", from[i]);
        }
    }
    ps_plan_node *node;
    int32_t *copy = NULL;
    RESERVE(node, 1);
    if (from_count > 0) {
        RESERVE(copy, from_count);
        memcpy(copy, from, (size_t)from_count * sizeof(*copy));
    }
    if (plan->node_count == plan->node_capacity) {
        const int32_t capacity = plan->node_capacity == 0 ? 16 : plan->node_capacity * 2;
        const size_t size_bytes = (size_t)capacity * sizeof(ps_plan_node *);
        ps_plan_node **const nodes =
            ps_realloc(plan->mem, plan->nodes, (size_t)plan->node_capacity * sizeof(ps_plan_node *),
                       size_bytes);
        if (nodes == NULL) {
            return ps_mem_refused(plan->mem, size_bytes, "a plan", err);
        }
        plan->nodes = nodes;
        plan->node_capacity = capacity;
    }
    *node = (ps_plan_node){.kind = kind, .from = copy, .from_count = from_count, .event_time = -1};
    plan->nodes[plan->node_count] = node;
    plan->node_count++;
    *out = node;
    return PS_OK;
}

/* Ends the making of the last node: keeps it, or takes it back and names the operator in err. */
static ps_status close_node(ps_plan *plan, ps_status status, const char *name, int32_t *out,
                            ps_error *err)
{
    if (status == PS_OK) {
        *out = plan->node_count - 1;
        return PS_OK;
    }
    plan->node_count--;
    fini_node(plan->nodes[plan->node_count]);
    return ps_error_place(err, status, name);
}

static const ps_plan_node *input_of(const ps_plan *plan, const ps_plan_node *node)
{
    return plan->nodes[node->from[0]];
}

static void keep_schema(ps_plan_node *node, ps_schema *schema)
{
    ps_schema_retain(schema);
    node->schema = schema;
}

/* Compiles a root against the node's input and notes the columns it reads. */
static ps_status compile(ps_plan *plan, ps_plan_node *node, const ps_expr *expr, int32_t root,
                         ps_program **out, ps_error *err)
{
    PS_TRY(ps_program_compile(plan->mem, expr, root, input_of(plan, node)->schema, out, err));
    ps_program_columns(*out, node->reads);
    return PS_OK;
}

/* Room for what the node reads of its input, and for its programs. */
static ps_status prepare(ps_plan *plan, ps_plan_node *node, int32_t program_count, ps_error *err)
{
    const int32_t field_count = input_of(plan, node)->schema->field_count;
    RESERVE(node->reads, field_count + 1);
    if (program_count > 0) {
        RESERVE(node->programs, program_count);
        node->program_count = program_count;
    }
    return PS_OK;
}

/* ---- source ---- */

static ps_status make_source(ps_plan *plan, ps_plan_node *node, const char *name,
                             ArrowSchema *schema, ps_error *err)
{
    PS_TRY(copy_text(plan, name, &node->name, err));
    PS_TRY(ps_schema_import(plan->mem, schema, &node->schema, err));
    node->input = plan->input_count;
    plan->input_count++;
    return PS_OK;
}

ps_status ps_plan_source(ps_plan *plan, const char *name, ArrowSchema *schema, int32_t *node,
                         ps_error *err)
{
    ps_plan_node *made;
    PS_TRY(add_node(plan, PS_NODE_SOURCE, NULL, 0, &made, err));
    return close_node(plan, make_source(plan, made, name, schema, err), name, node, err);
}

/* ---- event time ---- */

/* Finds a column through the compiler, so that an unknown name gets the same helpful answer. */
static ps_status find_column(ps_plan *plan, ps_plan_node *node, const char *name, int32_t *column,
                             ps_error *err)
{
    ps_expr *expr = NULL;
    PS_TRY(ps_expr_create(plan->mem, &expr, err));
    ps_program *program = NULL;
    int32_t root;
    ps_status status = ps_expr_column(expr, name, &root, err);
    if (status == PS_OK) {
        status = compile(plan, node, expr, root, &program, err);
    }
    if (status == PS_OK) {
        *column = ps_program_column(program);
    }
    ps_program_destroy(program);
    ps_expr_destroy(expr);
    return status;
}

static ps_status make_event_time(ps_plan *plan, ps_plan_node *node, const char *column,
                                 int64_t out_of_orderness, int64_t max_future, ps_error *err)
{
    PS_TRY(prepare(plan, node, 0, err));
    PS_TRY(find_column(plan, node, column, &node->event_time, err));
    const ps_schema *const schema = input_of(plan, node)->schema;
    const ps_type *const type = &schema->fields[node->event_time].type;
    if (type->id != PS_TYPE_TIMESTAMP || type->index != 0) {
        char text[64];
        ps_type_describe(type, text, sizeof(text));
        return ps_fail(err, PS_TYPE,
                       "event-time column '%s' is %s, not a timestamp: cast it first, for example "
                       "with_columns(%s=col(\"%s\").cast(\"timestamp[us]\"))",
                       column, text, column, column);
    }
    if (out_of_orderness < 0) {
        return ps_fail(err, PS_INVALID, "out_of_orderness is %" PRId64 ", must not be negative",
                       out_of_orderness);
    }
    if (max_future < 0) {
        return ps_fail(err, PS_INVALID, "max_future is %" PRId64 ", must not be negative",
                       max_future);
    }
    node->out_of_orderness = out_of_orderness;
    node->max_future = max_future;
    node->event_time_count = 1;
    keep_schema(node, input_of(plan, node)->schema);
    return PS_OK;
}

ps_status ps_plan_event_time(ps_plan *plan, int32_t from, const char *column,
                             int64_t out_of_orderness, int64_t max_future, int32_t *node,
                             ps_error *err)
{
    ps_plan_node *made;
    PS_TRY(add_node(plan, PS_NODE_EVENT_TIME, &from, 1, &made, err));
    return close_node(plan, make_event_time(plan, made, column, out_of_orderness, max_future, err),
                      "event_time", node, err);
}

/* ---- filter ---- */

static void carry_event_time(ps_plan_node *node, const ps_plan_node *from)
{
    node->event_time = from->event_time;
    node->event_time_is_end = from->event_time_is_end;
    node->event_time_count = from->event_time_count;
}

static ps_status make_filter(ps_plan *plan, ps_plan_node *node, const ps_expr *expr,
                             int32_t predicate, ps_error *err)
{
    PS_TRY(prepare(plan, node, 1, err));
    PS_TRY(compile(plan, node, expr, predicate, &node->programs[0], err));
    const ps_type *const type = ps_program_type(node->programs[0]);
    if (type->id != PS_TYPE_BOOL) {
        char text[64];
        ps_type_describe(type, text, sizeof(text));
        return ps_fail(err, PS_TYPE,
                       "a filter needs a bool expression, this one is %s: compare it with "
                       "something",
                       text);
    }
    keep_schema(node, input_of(plan, node)->schema);
    carry_event_time(node, input_of(plan, node));
    return PS_OK;
}

ps_status ps_plan_filter(ps_plan *plan, int32_t from, const ps_expr *expr, int32_t predicate,
                         int32_t *node, ps_error *err)
{
    ps_plan_node *made;
    PS_TRY(add_node(plan, PS_NODE_FILTER, &from, 1, &made, err));
    return close_node(plan, make_filter(plan, made, expr, predicate, err), "filter", node, err);
}

/* ---- project ---- */

static ps_status add_output(ps_schema_builder *builder, const ps_schema *input,
                            const ps_program *program, const char *name, ps_error *err)
{
    const int32_t column = ps_program_column(program);
    if (column >= 0) {
        return ps_schema_builder_copy(builder, &input->fields[column], name, err);
    }
    const ps_type *const type = ps_program_type(program);
    return ps_schema_builder_add(builder, name, type, type->has_zone ? "UTC" : NULL,
                                 ps_program_nullable(program), err);
}

static ps_status project_schema(ps_plan *plan, ps_plan_node *node, const char *const *names,
                                ps_error *err)
{
    ps_schema_builder *builder = NULL;
    PS_TRY(ps_schema_builder_create(plan->mem, node->program_count, &builder, err));
    ps_status status = PS_OK;
    for (int32_t i = 0; i < node->program_count && status == PS_OK; i++) {
        status =
            add_output(builder, input_of(plan, node)->schema, node->programs[i], names[i], err);
    }
    if (status == PS_OK) {
        return ps_schema_builder_finish(builder, &node->schema, err);
    }
    ps_schema_builder_destroy(builder);
    return status;
}

static ps_status check_names(const char *const *names, int32_t count, ps_error *err)
{
    for (int32_t i = 0; i < count; i++) {
        for (int32_t j = 0; j < i; j++) {
            if (strcmp(names[i], names[j]) == 0) {
                return ps_fail(err, PS_INVALID,
                               "two output columns are named '%s': rename one with .alias()",
                               names[i]);
            }
        }
    }
    return PS_OK;
}

static ps_status make_project(ps_plan *plan, ps_plan_node *node, const ps_expr *expr,
                              const int32_t *roots, const char *const *names, int32_t count,
                              ps_error *err)
{
    if (count < 1) {
        return ps_fail(err, PS_INVALID, "a projection without columns: name at least one");
    }
    PS_TRY(check_names(names, count, err));
    PS_TRY(prepare(plan, node, count, err));
    const ps_plan_node *const from = input_of(plan, node);
    for (int32_t i = 0; i < count; i++) {
        PS_TRY(compile(plan, node, expr, roots[i], &node->programs[i], err));
        if (node->event_time < 0 && from->event_time >= 0 &&
            ps_program_column(node->programs[i]) == from->event_time) {
            node->event_time = i;
            node->event_time_is_end = from->event_time_is_end;
            node->event_time_count = from->event_time_count;
        }
    }
    return project_schema(plan, node, names, err);
}

ps_status ps_plan_project(ps_plan *plan, int32_t from, const ps_expr *expr, const int32_t *roots,
                          const char *const *names, int32_t count, int32_t *node, ps_error *err)
{
    ps_plan_node *made;
    PS_TRY(add_node(plan, PS_NODE_PROJECT, &from, 1, &made, err));
    return close_node(plan, make_project(plan, made, expr, roots, names, count, err), "project",
                      node, err);
}

/* ---- union ---- */

static ps_status make_union(ps_plan *plan, ps_plan_node *node, ps_error *err)
{
    PS_TRY(prepare(plan, node, 0, err));
    const ps_plan_node *const first = input_of(plan, node);
    carry_event_time(node, first);
    for (int32_t i = 1; i < node->from_count; i++) {
        const ps_plan_node *const other = plan->nodes[node->from[i]];
        PS_TRY(ps_schema_same(first->schema, other->schema, err));
        node->event_time_count += other->event_time_count;
        if (other->event_time != first->event_time ||
            other->event_time_is_end != first->event_time_is_end) {
            node->event_time = -1; /* they disagree: whoever needs one declares it again */
            node->event_time_is_end = false;
        }
    }
    keep_schema(node, first->schema);
    return PS_OK;
}

ps_status ps_plan_union(ps_plan *plan, const int32_t *from, int32_t count, int32_t *node,
                        ps_error *err)
{
    if (count < 1) {
        return ps_fail(err, PS_INVALID, "a union needs at least one input");
    }
    ps_plan_node *made;
    PS_TRY(add_node(plan, PS_NODE_UNION, from, count, &made, err));
    return close_node(plan, make_union(plan, made, err), "union", node, err);
}

/* ---- aggregate ---- */

/* Notes what the aggregates read; the programs themselves are made per shard. */
static ps_status note_reads(ps_plan *plan, ps_plan_node *node, const ps_expr *expr, int32_t root,
                            ps_error *err)
{
    ps_program *program = NULL;
    if (root < 0) {
        return PS_OK;
    }
    const ps_status status = compile(plan, node, expr, root, &program, err);
    ps_program_destroy(program);
    return status;
}

/* Copies what the caller lends. */
static ps_status copy_args(ps_plan *plan, ps_plan_node *node, const ps_aggregate_args *lent,
                           ps_error *err)
{
    int32_t *keys;
    const char **names;
    ps_agg_spec *aggregates;
    RESERVE(keys, lent->key_count + 1);
    RESERVE(names, lent->key_count + 1);
    RESERVE(aggregates, lent->aggregate_count + 1);
    for (int32_t i = 0; i < lent->key_count; i++) {
        keys[i] = lent->keys[i];
        PS_TRY(copy_text(plan, lent->key_names[i], &names[i], err));
    }
    for (int32_t i = 0; i < lent->aggregate_count; i++) {
        aggregates[i] = lent->aggregates[i];
        PS_TRY(copy_text(plan, lent->aggregates[i].name, &aggregates[i].name, err));
    }
    node->args = *lent;
    node->args.keys = keys;
    node->args.key_names = names;
    node->args.aggregates = aggregates;
    return PS_OK;
}

static ps_status make_aggregate(ps_plan *plan, ps_plan_node *node, ps_expr *expr,
                                const ps_aggregate_args *lent, ps_error *err)
{
    const ps_plan_node *const from = input_of(plan, node);
    PS_TRY(prepare(plan, node, lent->key_count, err));
    PS_TRY(copy_args(plan, node, lent, err));
    ps_expr_retain(expr);
    node->expr = expr;
    for (int32_t i = 0; i < lent->key_count; i++) {
        PS_TRY(compile(plan, node, expr, lent->keys[i], &node->programs[i], err));
    }
    for (int32_t i = 0; i < lent->aggregate_count; i++) {
        const ps_agg_spec *const spec = &lent->aggregates[i];
        PS_TRY(note_reads(plan, node, expr, spec->input, err));
        PS_TRY(note_reads(plan, node, expr,
                          spec->function == PS_AGG_WEIGHTED_MEAN ? spec->weight : -1, err));
    }
    node->args.event_time = from->event_time;
    node->args.event_time_shift = from->event_time_is_end ? -1 : 0;
    node->args.source_count = from->event_time_count;
    node->event_time_count = from->event_time_count;
    if (from->event_time >= 0) {
        node->reads[from->event_time] = true;
    }
    PS_TRY(ps_aggregate_schema(plan->mem, from->schema, &node->args, &node->schema, err));
    if (lent->window.kind != PS_WINDOW_NONE) {
        node->event_time = lent->key_count + 1; /* window_end */
        node->event_time_is_end = true;
    }
    return PS_OK;
}

ps_status ps_plan_aggregate(ps_plan *plan, int32_t from, ps_expr *expr, const int32_t *keys,
                            const char *const *key_names, int32_t key_count,
                            const ps_window *window, const ps_agg_spec *aggregates,
                            int32_t aggregate_count, int32_t *node, ps_error *err)
{
    const ps_aggregate_args lent = {
        .expr = expr,
        .keys = keys,
        .key_names = key_names,
        .key_count = key_count,
        .window = *window,
        .event_time = -1,
        .aggregates = aggregates,
        .aggregate_count = aggregate_count,
    };
    ps_plan_node *made;
    PS_TRY(add_node(plan, PS_NODE_AGGREGATE, &from, 1, &made, err));
    return close_node(plan, make_aggregate(plan, made, expr, &lent, err), "aggregate", node, err);
}

/* ---- sink ---- */

ps_status ps_plan_sink(ps_plan *plan, int32_t from, int32_t *node, ps_error *err)
{
    if (plan->sink >= 0) {
        return ps_fail(err, PS_INVALID, "the plan has a sink already: node %d", plan->sink);
    }
    ps_plan_node *made;
    PS_TRY(add_node(plan, PS_NODE_SINK, &from, 1, &made, err));
    keep_schema(made, input_of(plan, made)->schema);
    carry_event_time(made, input_of(plan, made));
    *node = plan->node_count - 1;
    plan->sink = *node;
    return PS_OK;
}

/* ---- questions ---- */

ps_status ps_plan_schema(const ps_plan *plan, int32_t node, ArrowSchema *out, ps_error *err)
{
    if (node < 0 || node >= plan->node_count) {
        return ps_fail(err, PS_INVALID, "node %d does not exist: the plan has %d nodes", node,
                       plan->node_count);
    }
    return ps_schema_export(plan->nodes[node]->schema, out, err);
}

const char *ps_plan_event_time_column(const ps_plan *plan, int32_t node)
{
    if (node < 0 || node >= plan->node_count || plan->nodes[node]->event_time < 0) {
        return NULL;
    }
    const ps_plan_node *const found = plan->nodes[node];
    return found->schema->fields[found->event_time].name;
}

int32_t ps_plan_inexact_aggregate(const ps_plan *plan, int32_t node)
{
    if (node < 0 || node >= plan->node_count || plan->nodes[node]->kind != PS_NODE_AGGREGATE) {
        return -1;
    }
    return ps_pre_aggregate_forbids(&plan->nodes[node]->args, plan->nodes[node]->schema);
}
