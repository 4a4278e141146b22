/* graph.c -- see graph.h. */
#include "runtime/graph.h"

#include <stdlib.h>

#include "base/cores.h"
#include "base/env_choice.h"
#include "operators/event_time.h"
#include "operators/exchange.h"
#include "operators/filter.h"
#include "operators/project.h"
#include "operators/sink.h"
#include "operators/source.h"
#include "operators/union.h"

/* A ring is full with that many messages or rows: enough small batches to sleep over, no more than
 * a few large ones; ps_ring_kib_limit says with how many bytes. An exchange rests once each of its
 * rings has RING_LOW rows; up to RING_ROWS are for shards that lag. */
enum {
    RING_MESSAGES = 256,
    RING_ROWS = 8 * PS_BATCH_ROWS_MAX,
    RING_LOW = 2 * PS_BATCH_ROWS_MAX,
    RESULT_ROWS = 4 * PS_BATCH_ROWS_MAX,
};

typedef enum place { NOWHERE = 0, ON_DRIVER, ON_SHARDS, ON_ONE } place;

/* What is known of a node while the graph is built. */
typedef struct layout {
    place where;
    int32_t stage;       /* the node that begins its stage; -1 on the driver */
    ps_operator **tails; /* by instance: the operator whose output is the node's */
    ps_task **tasks;     /* by instance, of the node that begins a stage */
} layout;

typedef struct builder {
    ps_graph *graph;
    const ps_plan *plan;
    layout *layouts; /* by node */
} builder;

static ps_status list_add(ps_mem *mem, ps_graph_list *list, void *item, ps_error *err)
{
    if (list->count == list->capacity) {
        const int32_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        const size_t size_bytes = (size_t)capacity * sizeof(void *);
        void **const items =
            ps_realloc(mem, list->items, (size_t)list->capacity * sizeof(void *), size_bytes);
        if (items == NULL) {
            return ps_mem_refused(mem, size_bytes, "a list", err);
        }
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count] = item;
    list->count++;
    return PS_OK;
}

static void list_fini(ps_mem *mem, ps_graph_list *list)
{
    if (list->items != NULL) {
        ps_free(mem, list->items, (size_t)list->capacity * sizeof(void *));
    }
    *list = (ps_graph_list){0};
}

/* ---- where nodes run, and which columns they need ---- */

static place place_of(const builder *b, const ps_plan_node *node)
{
    if (b->graph->shard_count == 1 || node->kind == PS_NODE_SOURCE) {
        return ON_DRIVER;
    }
    if (node->kind == PS_NODE_AGGREGATE) {
        return node->args.key_count > 0 ? ON_SHARDS : ON_ONE;
    }
    for (int32_t i = 0; node->kind == PS_NODE_UNION && i < node->from_count; i++) {
        if (b->layouts[node->from[i]].where != ON_DRIVER) {
            return ON_ONE;
        }
    }
    return b->layouts[node->from[0]].where;
}

static int32_t instances(const builder *b, int32_t node)
{
    return b->layouts[node].where == ON_SHARDS ? b->graph->shard_count : 1;
}

static bool begins_stage(const builder *b, int32_t index)
{
    const ps_node_kind kind = b->plan->nodes[index]->kind;
    return b->layouts[index].where != ON_DRIVER &&
           (kind == PS_NODE_AGGREGATE || kind == PS_NODE_UNION);
}

/* Marks what the sink reaches. Each node may feed one other. */
static ps_status mark(builder *b, ps_error *err)
{
    const ps_plan *const plan = b->plan;
    b->layouts[plan->sink].where = ON_DRIVER; /* any place: reached */
    for (int32_t i = plan->sink; i >= 0; i--) {
        const ps_plan_node *const node = plan->nodes[i];
        for (int32_t j = 0; b->layouts[i].where != NOWHERE && j < node->from_count; j++) {
            layout *const from = &b->layouts[node->from[j]];
            if (from->where != NOWHERE) {
                return ps_fail(err, PS_UNSUPPORTED,
                               "node %d feeds more than one other: a plan is a tree",
                               node->from[j]);
            }
            from->where = ON_DRIVER;
        }
    }
    for (int32_t i = 0; i <= plan->sink; i++) {
        layout *const found = &b->layouts[i];
        if (found->where == NOWHERE) {
            continue;
        }
        found->where = place_of(b, plan->nodes[i]);
        found->stage = -1;
        if (begins_stage(b, i)) {
            found->stage = i;
        } else if (found->where != ON_DRIVER) {
            found->stage = b->layouts[plan->nodes[i]->from[0]].stage;
        }
        const int32_t last_shard = found->where == ON_SHARDS ? b->graph->shard_count
                                   : found->where == ON_ONE  ? 1
                                                             : 0;
        if (last_shard > b->graph->worker_count) {
            b->graph->worker_count = last_shard;
        }
    }
    return PS_OK;
}

/* Adds what `node` needs of its inputs, given what is needed of its output. */
static void need_inputs(const ps_plan *plan, const ps_plan_node *node, const bool *needed,
                        bool **columns)
{
    const bool makes_columns = node->kind == PS_NODE_PROJECT || node->kind == PS_NODE_AGGREGATE;
    for (int32_t j = 0; j < node->from_count; j++) {
        const int32_t from = node->from[j];
        for (int32_t c = 0; c < plan->nodes[from]->schema->field_count; c++) {
            columns[from][c] = node->kind == PS_NODE_SINK ||
                               (node->reads != NULL && node->reads[c]) ||
                               (!makes_columns && needed[c]);
        }
    }
}

/* Which columns of each input anything looks at: the others are not imported. */
static ps_status find_wanted(builder *b, ps_error *err)
{
    ps_graph *const graph = b->graph;
    const ps_plan *const plan = b->plan;
    size_t flag_count = 1;
    for (int32_t i = 0; i < plan->node_count; i++) {
        flag_count += (size_t)plan->nodes[i]->schema->field_count;
    }
    graph->columns_size = (size_t)plan->node_count * sizeof(bool *) + flag_count;
    graph->columns = ps_alloc_zeroed(graph->mem, graph->columns_size);
    if (graph->columns == NULL) {
        return ps_mem_refused(graph->mem, graph->columns_size, "column flags", err);
    }
    bool *flags = (bool *)(graph->columns + plan->node_count);
    for (int32_t i = 0; i < plan->node_count; i++) {
        graph->columns[i] = flags;
        flags += plan->nodes[i]->schema->field_count;
    }
    for (int32_t i = plan->sink; i >= 0; i--) {
        const ps_plan_node *const node = plan->nodes[i];
        if (b->layouts[i].where == NOWHERE) {
            continue;
        }
        need_inputs(plan, node, graph->columns[i], graph->columns);
        if (node->kind == PS_NODE_SOURCE) {
            graph->wanted[node->input] = graph->columns[i];
        }
    }
    return PS_OK;
}

/* ---- tasks, rings, operators ---- */

static ps_park *park_of(const builder *b, int32_t node, int32_t instance)
{
    return b->layouts[node].where == ON_DRIVER ? b->graph->driver_park
                                               : &b->graph->workers[instance].park;
}

static ps_task *task_of(const builder *b, int32_t node, int32_t instance)
{
    const int32_t stage = b->layouts[node].stage;
    return stage < 0 ? b->graph->driver : b->layouts[stage].tasks[instance];
}

static ps_status make_ring(builder *b, int64_t row_limit, ps_park *producer, ps_park *consumer,
                           ps_ring **out, ps_error *err)
{
    ps_mem *const mem = b->graph->mem;
    ps_ring *const ring = ps_alloc_zeroed(mem, sizeof(*ring));
    if (ring == NULL) {
        return ps_mem_refused(mem, sizeof(*ring), "a ring", err);
    }
    ps_status status = list_add(mem, &b->graph->rings, ring, err);
    if (status != PS_OK) {
        ps_free(mem, ring, sizeof(*ring));
        return status;
    }
    *out = ring;
    return ps_ring_init(ring, mem, RING_MESSAGES, row_limit, producer, consumer, err);
}

/* Takes a new operator into a task, behind `before` (NULL: the first of a chain). */
static ps_status place_operator(builder *b, ps_task *task, ps_operator *op, ps_operator *before,
                                int32_t node, int32_t instance, ps_error *err)
{
    op->id = node;
    op->shard = instance;
    op->shard_count = instances(b, node);
    const ps_status status = ps_task_add(task, op, err);
    if (status != PS_OK) {
        op->calls->close(op);
        return status;
    }
    if (before != NULL) {
        before->next = op;
    }
    return PS_OK;
}

/* Ends the chain of one instance of `from` in an exchange to the tasks of stage `to`. */
static ps_status add_exchange(builder *b, int32_t from, int32_t instance, int32_t to,
                              int32_t channel, ps_error *err)
{
    const ps_plan_node *const node = b->plan->nodes[to];
    ps_task *const task = task_of(b, from, instance);
    const int32_t target_count = instances(b, to);
    ps_task_exit *way_out;
    PS_TRY(ps_task_add_exit(task, target_count, &way_out, err));
    const bool from_sources = task == b->graph->driver;
    /* A shard that has little left takes a turn itself: the driving thread sleeps on. */
    ps_park *const producer =
        from_sources && b->graph->shares_sources ? NULL : park_of(b, from, instance);
    for (int32_t i = 0; i < target_count; i++) {
        ps_ring *ring;
        PS_TRY(make_ring(b, RING_ROWS, producer, park_of(b, to, i), &ring, err));
        ring->row_low = RING_LOW;
        way_out->outbox.targets[i].ring = ring;
        b->layouts[to].tasks[i]->inbox.channels[channel].ring = ring;
        b->layouts[to].tasks[i]->fed_by_sources |= from_sources;
    }
    ps_operator *op;
    PS_TRY(ps_exchange_create(b->graph->mem, b->plan->nodes[from]->schema, node->programs,
                              node->kind == PS_NODE_AGGREGATE ? node->program_count : 0,
                              b->graph->columns[from], &way_out->outbox, &op, err));
    PS_TRY(place_operator(b, task, op, b->layouts[from].tails[instance], to, instance, err));
    way_out->op = op;
    return node->kind == PS_NODE_AGGREGATE
               ? ps_exchange_pre_aggregate(op, node->schema, &node->args, err)
               : PS_OK;
}

/* The tasks of a stage and the rings that feed them. */
static ps_status begin_stage(builder *b, int32_t index, ps_error *err)
{
    const ps_plan_node *const node = b->plan->nodes[index];
    ps_mem *const mem = b->graph->mem;
    int32_t channel_count = 0;
    for (int32_t j = 0; j < node->from_count; j++) {
        channel_count += instances(b, node->from[j]);
    }
    for (int32_t i = 0; i < instances(b, index); i++) {
        ps_task *task;
        PS_TRY(ps_task_create(mem, channel_count, &task, err));
        const ps_status status = list_add(mem, &b->graph->tasks, task, err);
        if (status != PS_OK) {
            ps_task_destroy(task);
            return status;
        }
        b->layouts[index].tasks[i] = task;
        PS_TRY(ps_worker_add(&b->graph->workers[i], task, err));
    }
    int32_t channel = 0;
    for (int32_t j = 0; j < node->from_count; j++) {
        for (int32_t i = 0; i < instances(b, node->from[j]); i++) {
            PS_TRY(add_exchange(b, node->from[j], i, index, channel, err));
            channel++;
        }
    }
    return PS_OK;
}

static ps_status make_filter(ps_mem *mem, const ps_plan_node *node, ps_operator **out,
                             ps_error *err)
{
    ps_program *predicate;
    PS_TRY(ps_program_clone(node->programs[0], &predicate, err));
    const ps_status status = ps_filter_create(mem, node->schema, predicate, out, err);
    if (status != PS_OK) {
        ps_program_destroy(predicate);
    }
    return status;
}

static ps_status make_project(ps_mem *mem, const ps_plan_node *node, ps_schema *input,
                              ps_operator **out, ps_error *err)
{
    const int32_t count = node->program_count;
    const size_t size_bytes = (size_t)count * sizeof(ps_program *);
    ps_program **const programs = ps_alloc_zeroed(mem, size_bytes);
    if (programs == NULL) {
        return ps_mem_refused(mem, size_bytes, "a projection", err);
    }
    ps_status status = PS_OK;
    for (int32_t i = 0; i < count && status == PS_OK; i++) {
        status = ps_program_clone(node->programs[i], &programs[i], err);
    }
    if (status == PS_OK) {
        status = ps_project_create(mem, input, node->schema, programs, out, err);
    }
    for (int32_t i = 0; i < count && status != PS_OK; i++) {
        ps_program_destroy(programs[i]);
    }
    ps_free(mem, programs, size_bytes);
    return status;
}

/* A sink on the driver fills a fifo there; on shards, a ring to the driver. */
static ps_status make_sink(builder *b, const ps_plan_node *node, ps_task *task, int32_t instance,
                           ps_operator **out, ps_error *err)
{
    ps_graph *const graph = b->graph;
    ps_task_exit *way_out;
    PS_TRY(ps_task_add_exit(task, 1, &way_out, err));
    if (b->layouts[b->plan->sink].where == ON_DRIVER) {
        graph->driver_results = &way_out->outbox.targets[0].waiting;
    } else {
        ps_ring *ring;
        PS_TRY(make_ring(b, RESULT_ROWS, park_of(b, b->plan->sink, instance), graph->driver_park,
                         &ring, err));
        way_out->outbox.targets[0].ring = ring;
        graph->outputs.channels[instance].ring = ring;
    }
    PS_TRY(ps_sink_create(graph->mem, node->schema, &way_out->outbox, out, err));
    way_out->op = *out;
    return PS_OK;
}

/* The sources of a node's rows; false: something on the way makes rows of its own. */
static bool find_sources(const ps_plan *plan, const ps_plan_node *node, ps_event_time_args *args)
{
    bool found = true;
    switch (node->kind) {
    case PS_NODE_SOURCE:
        if (args->source_count < PS_EVENT_TIME_SOURCES) {
            args->sources[args->source_count] = node->name;
        }
        args->source_count++;
        return true;
    case PS_NODE_FILTER: args->filtered = true; break;
    case PS_NODE_AGGREGATE: return false;
    case PS_NODE_EVENT_TIME:
    case PS_NODE_PROJECT:
    case PS_NODE_UNION:
    case PS_NODE_SINK: break;
    }
    for (int32_t i = 0; i < node->from_count; i++) {
        found &= find_sources(plan, plan->nodes[node->from[i]], args);
    }
    return found;
}

static ps_status make_event_time(const builder *b, const ps_plan_node *node, ps_schema *input,
                                 ps_operator **out, ps_error *err)
{
    ps_event_time_args args = {.column = node->event_time,
                               .out_of_orderness = node->out_of_orderness,
                               .max_future = node->max_future};
    if (!find_sources(b->plan, node, &args)) {
        args.source_count = 0;
    }
    return ps_event_time_create(b->graph->mem, input, &args, out, err);
}

static ps_status make_operator(builder *b, const ps_plan_node *node, ps_task *task,
                               int32_t instance, ps_operator **out, ps_error *err)
{
    ps_mem *const mem = b->graph->mem;
    ps_schema *const input =
        node->from_count > 0 ? b->plan->nodes[node->from[0]]->schema : node->schema;
    switch (node->kind) {
    case PS_NODE_SOURCE: return ps_source_create(mem, input, out, err);
    case PS_NODE_EVENT_TIME: return make_event_time(b, node, input, out, err);
    case PS_NODE_FILTER: return make_filter(mem, node, out, err);
    case PS_NODE_PROJECT: return make_project(mem, node, input, out, err);
    case PS_NODE_UNION: return ps_union_create(mem, input, node->from_count, out, err);
    case PS_NODE_AGGREGATE: {
        ps_aggregate_args args = node->args;
        args.track_changes = b->graph->track_changes;
        return ps_aggregate_create(mem, input, node->schema, &args, out, err);
    }
    case PS_NODE_SINK: return make_sink(b, node, task, instance, out, err);
    }
    return ps_fail(err, PS_INTERNAL, "a plan node of unknown kind %d", (int)node->kind);
}

static ps_status build_node(builder *b, int32_t index, ps_error *err)
{
    const ps_plan_node *const node = b->plan->nodes[index];
    if (begins_stage(b, index)) {
        PS_TRY(begin_stage(b, index, err));
    }
    for (int32_t i = 0; i < instances(b, index); i++) {
        ps_task *const task = task_of(b, index, i);
        ps_operator *op = NULL;
        PS_TRY(make_operator(b, node, task, i, &op, err));
        const bool linked = node->from_count == 1 && !begins_stage(b, index);
        PS_TRY(place_operator(b, task, op, linked ? b->layouts[node->from[0]].tails[i] : NULL,
                              index, i, err));
        b->layouts[index].tails[i] = op;
        if (node->kind == PS_NODE_SOURCE) {
            b->graph->sources[node->input] = op;
        }
        if (node->kind == PS_NODE_UNION && !begins_stage(b, index)) {
            for (int32_t j = 0; j < node->from_count; j++) {
                b->layouts[node->from[j]].tails[i]->next = ps_union_port(op, j);
            }
        }
    }
    return PS_OK;
}

/* Who processes the source side: shards too where every core has one. */
static ps_status choose_turns(ps_graph *graph, ps_error *err)
{
    enum { AUTO, DRIVER, SHARDS, CHOICES };
    static const char *const WORDS[CHOICES] = {
        [AUTO] = "auto", [DRIVER] = "driver", [SHARDS] = "shards"};
    int32_t choice = AUTO;
    PS_TRY(ps_env_choice("PYSTREAM_SOURCE_TURNS", WORDS, CHOICES, &choice, err));
    const bool shared =
        choice == SHARDS || (choice == AUTO && graph->worker_count >= ps_core_count());
    graph->shares_sources = shared && graph->worker_count > 0;
    return PS_OK;
}

static ps_status build_nodes(builder *b, ps_error *err)
{
    ps_graph *const graph = b->graph;
    PS_TRY(mark(b, err));
    PS_TRY(choose_turns(graph, err));
    PS_TRY(find_wanted(b, err));
    graph->results_by_rings = b->layouts[b->plan->sink].where != ON_DRIVER;
    if (graph->results_by_rings) {
        const int32_t channel_count = instances(b, b->plan->sink);
        PS_TRY(ps_inbox_init(&graph->outputs, graph->mem, channel_count, err));
        PS_TRY(ps_merge_init(&graph->outputs_merge, graph->mem, channel_count, err));
    }
    for (int32_t i = 0; i <= b->plan->sink; i++) {
        if (b->layouts[i].where != NOWHERE) {
            PS_TRY(build_node(b, i, err));
        }
    }
    return PS_OK;
}

/* The driver's task first, then each worker's. */
static ps_status connect_states(ps_graph *graph, ps_error *err)
{
    ps_mem *const mem = graph->mem;
    const int32_t count = graph->tasks.count + 1;
    const size_t size_bytes = (size_t)count * (sizeof(ps_task *) + sizeof(ps_park *));
    ps_task **const tasks = ps_alloc_zeroed(mem, size_bytes);
    if (tasks == NULL) {
        return ps_mem_refused(mem, size_bytes, "a list of tasks", err);
    }
    ps_park **const producers = (ps_park **)(tasks + count);
    int32_t next = 0;
    tasks[next] = graph->driver;
    producers[next++] = graph->driver_park;
    for (int32_t i = 0; i < graph->shard_count; i++) {
        for (int32_t j = 0; j < graph->workers[i].task_count; j++) {
            tasks[next] = graph->workers[i].tasks[j];
            producers[next++] = &graph->workers[i].park;
        }
    }
    PS_ASSERT(next == count);
    const ps_status status = ps_state_reader_init(&graph->states, mem, tasks, producers, count,
                                                  graph->shard_count + 2, err);
    ps_free(mem, tasks, size_bytes);
    return status;
}

/* Everything the builder itself needs, in one block. */
static ps_status build(ps_graph *graph, const ps_plan *plan, ps_error *err)
{
    const size_t node_count = (size_t)plan->node_count;
    const size_t slot_count = node_count * (size_t)graph->shard_count;
    const size_t size_bytes =
        node_count * sizeof(layout) + slot_count * (sizeof(ps_operator *) + sizeof(ps_task *));
    layout *const layouts = ps_alloc_zeroed(graph->mem, size_bytes);
    if (layouts == NULL) {
        return ps_mem_refused(graph->mem, size_bytes, "the layout of a plan", err);
    }
    ps_operator **const ops = (ps_operator **)(layouts + node_count);
    ps_task **const tasks = (ps_task **)(ops + slot_count);
    for (size_t i = 0; i < node_count; i++) {
        layouts[i].tails = ops + i * (size_t)graph->shard_count;
        layouts[i].tasks = tasks + i * (size_t)graph->shard_count;
    }
    builder b = {.graph = graph, .plan = plan, .layouts = layouts};
    const ps_status status = build_nodes(&b, err);
    ps_free(graph->mem, layouts, size_bytes);
    graph->kib_limit = ps_ring_kib_limit(graph->mem, graph->rings.count);
    for (int32_t i = 0; i < graph->rings.count; i++) {
        ((ps_ring *)graph->rings.items[i])->kib_limit = graph->kib_limit;
    }
    return status != PS_OK ? status : connect_states(graph, err);
}

static ps_status prepare(ps_graph *graph, ps_error *err)
{
    ps_mem *const mem = graph->mem;
    const size_t workers_size = (size_t)graph->shard_count * sizeof(ps_worker);
    const size_t inputs = (size_t)graph->input_count;
    graph->workers = ps_alloc_zeroed(mem, workers_size);
    graph->sources = ps_alloc_zeroed(mem, inputs * sizeof(ps_operator *));
    graph->wanted = ps_alloc_zeroed(mem, inputs * sizeof(bool *));
    if (graph->workers != NULL) {
        for (int32_t i = 0; i < graph->shard_count; i++) {
            ps_worker_init(&graph->workers[i], mem, graph->shard_count + 1);
        }
    }
    if (graph->workers == NULL || graph->sources == NULL || graph->wanted == NULL) {
        return ps_mem_refused(mem, workers_size, "shards", err);
    }
    return ps_task_create(mem, 0, &graph->driver, err);
}

ps_status ps_graph_init(ps_graph *graph, const ps_plan *plan, ps_mem *mem, int32_t shard_count,
                        bool track_changes, ps_park *driver_park, ps_error *err)
{
    *graph = (ps_graph){.mem = mem,
                        .driver_park = driver_park,
                        .track_changes = track_changes,
                        .shard_count = shard_count,
                        .input_count = plan->input_count};
    if (plan->sink < 0) {
        return ps_fail(err, PS_INVALID, "the plan has no sink: call ps_plan_sink last");
    }
    ps_status status = prepare(graph, err);
    if (status == PS_OK) {
        status = build(graph, plan, err);
    }
    if (status != PS_OK) {
        ps_graph_fini(graph);
    }
    return status;
}

void ps_graph_fini(ps_graph *graph)
{
    ps_mem *const mem = graph->mem;
    for (int32_t i = 0; i < graph->tasks.count; i++) {
        ps_task_destroy(graph->tasks.items[i]);
    }
    list_fini(mem, &graph->tasks);
    ps_task_destroy(graph->driver);
    ps_state_reader_fini(&graph->states);
    for (int32_t i = 0; i < graph->rings.count; i++) {
        ps_ring_fini(graph->rings.items[i]);
        ps_free(mem, graph->rings.items[i], sizeof(ps_ring));
    }
    list_fini(mem, &graph->rings);
    ps_merge_fini(&graph->outputs_merge);
    ps_inbox_fini(&graph->outputs);
    if (graph->workers != NULL) {
        for (int32_t i = 0; i < graph->shard_count; i++) {
            ps_worker_fini(&graph->workers[i]);
        }
        ps_free(mem, graph->workers, (size_t)graph->shard_count * sizeof(ps_worker));
    }
    if (graph->wanted != NULL) {
        ps_free(mem, graph->wanted, (size_t)graph->input_count * sizeof(bool *));
    }
    if (graph->columns != NULL) {
        ps_free(mem, graph->columns, graph->columns_size);
    }
    if (graph->sources != NULL) {
        ps_free(mem, graph->sources, (size_t)graph->input_count * sizeof(ps_operator *));
    }
    *graph = (ps_graph){.mem = mem};
}
