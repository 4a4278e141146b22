/* test_graph.c -- where nodes run for a number of shards, and which columns are imported. */
#include "check.h"
#include "flow_engine.h"
#include "runtime/graph.h"

static void open_graph(ps_graph *graph, ps_plan *plan, ps_mem *mem, int32_t shards, ps_park *park)
{
    ps_park_init(park, 1);
    CHECK_OK(ps_graph_init(graph, plan, mem, shards, true, park, NULL));
}

static void one_shard_is_one_task_without_rings(void)
{
    ps_mem *const mem = flow_begin();
    ps_plan *plan;
    ps_graph graph;
    ps_park park;
    CHECK_OK(flow_sum_plan(mem, true, &plan, NULL));
    open_graph(&graph, plan, mem, 1, &park);
    CHECK_EQ(graph.tasks.count, 0);
    CHECK_EQ(graph.rings.count, 0);
    CHECK_EQ(graph.worker_count, 0);
    CHECK_EQ(graph.driver->operator_count, 4); /* source, sum, sum of sums, sink */
    CHECK(!graph.results_by_rings);
    for (int32_t i = 0; i < 3; i++) {
        CHECK(graph.driver->operators[i]->next == graph.driver->operators[i + 1]);
    }
    ps_graph_fini(&graph);
    ps_plan_release(plan);
    flow_end(mem);
}

static void shards_get_a_task_a_stage(void)
{
    for (int32_t shards = 2; shards <= 4; shards++) {
        ps_mem *const mem = flow_begin();
        ps_plan *plan;
        ps_graph graph;
        ps_park park;
        CHECK_OK(flow_sum_plan(mem, true, &plan, NULL));
        open_graph(&graph, plan, mem, shards, &park);
        CHECK_EQ(graph.tasks.count, shards + 1);          /* sums, and the one sum of sums */
        CHECK_EQ(graph.rings.count, shards + shards + 1); /* to sums, to the one, to the driver */
        CHECK_EQ(graph.worker_count, shards);
        CHECK_EQ(graph.driver->operator_count, 2); /* source, exchange */
        CHECK(graph.results_by_rings);
        CHECK_EQ(graph.outputs.channel_count, 1);
        CHECK_EQ(graph.workers[0].task_count, 2);
        CHECK_EQ(graph.workers[1].task_count, 1);
        const ps_task *const last = graph.tasks.items[shards];
        CHECK_EQ(last->inbox.channel_count, shards);
        CHECK_EQ(last->operators[0]->shard_count, 1);
        const ps_task *const second = graph.tasks.items[1];
        CHECK_EQ(second->operators[0]->shard, 1);
        CHECK_EQ(second->operators[0]->shard_count, shards);
        ps_graph_fini(&graph);
        ps_plan_release(plan);
        flow_end(mem);
    }
}

static void only_columns_that_are_read_are_wanted(void)
{
    ps_mem *const mem = flow_begin();
    ps_plan *plan;
    ps_graph graph;
    ps_park park;
    CHECK_OK(flow_sum_plan(mem, false, &plan, NULL));
    open_graph(&graph, plan, mem, 1, &park);
    CHECK(graph.wanted[0][0] && graph.wanted[0][1] && !graph.wanted[0][2]);
    ps_graph_fini(&graph);
    ps_plan_release(plan);
    plan = flow_plain_plan(mem, 2);
    open_graph(&graph, plan, mem, 3, &park);
    CHECK_EQ(graph.worker_count, 0);
    CHECK(graph.wanted[1][0] && graph.wanted[1][1] && graph.wanted[1][2]);
    ps_graph_fini(&graph);
    ps_plan_release(plan);
    flow_end(mem);
}

static void a_plan_must_be_a_tree_with_a_sink(void)
{
    ps_mem *const mem = flow_begin();
    ps_plan *plan;
    ps_graph graph;
    ps_park park;
    ps_error err;
    ArrowSchema schema;
    int32_t source, node;
    ps_park_init(&park, 1);
    CHECK_OK(ps_plan_create(mem, &plan, NULL));
    flow_schema(&schema);
    CHECK_OK(ps_plan_source(plan, "rows", &schema, &source, NULL));
    CHECK_EQ(ps_graph_init(&graph, plan, mem, 1, true, &park, &err), PS_INVALID);
    CHECK_OK(ps_plan_union(plan, (int32_t[]){source, source}, 2, &node, NULL));
    CHECK_OK(ps_plan_sink(plan, node, &node, NULL));
    CHECK_EQ(ps_graph_init(&graph, plan, mem, 1, true, &park, &err), PS_UNSUPPORTED);
    CHECK_STR(err.text, "node 0 feeds more than one other: a plan is a tree");
    ps_plan_release(plan);
    flow_end(mem);
}

static void an_input_that_nothing_reads_has_no_source(void)
{
    ps_mem *const mem = flow_begin();
    ps_plan *plan;
    ps_graph graph;
    ps_park park;
    ArrowSchema schema;
    int32_t first, second, node;
    CHECK_OK(ps_plan_create(mem, &plan, NULL));
    flow_schema(&schema);
    CHECK_OK(ps_plan_source(plan, "unread", &schema, &first, NULL));
    flow_schema(&schema);
    CHECK_OK(ps_plan_source(plan, "read", &schema, &second, NULL));
    CHECK_OK(ps_plan_sink(plan, second, &node, NULL));
    open_graph(&graph, plan, mem, 2, &park);
    CHECK(graph.sources[0] == NULL && graph.sources[1] != NULL);
    ps_graph_fini(&graph);
    ps_plan_release(plan);
    flow_end(mem);
}

/* A node of each kind: two sources with event times, together, filtered, projected, summed up. */
static ps_plan *plan_of_all_kinds(ps_mem *mem)
{
    static const char *const NAMES[] = {"time", "key", "value"};
    ps_plan *plan;
    ps_expr *expr;
    int32_t columns[3], inputs[2], zero, positive, node;
    CHECK_OK(ps_plan_create(mem, &plan, NULL));
    CHECK_OK(ps_expr_create(mem, &expr, NULL));
    for (int32_t i = 0; i < 3; i++) {
        CHECK_OK(ps_expr_column(expr, NAMES[i], &columns[i], NULL));
    }
    CHECK_OK(ps_expr_i64(expr, 0, NULL, &zero, NULL));
    const int32_t sides[2] = {columns[2], zero};
    CHECK_OK(ps_expr_call(expr, "greater", sides, 2, NULL, 0, &positive, NULL));
    for (int32_t i = 0; i < 2; i++) {
        ArrowSchema schema;
        flow_schema(&schema);
        CHECK_OK(ps_plan_source(plan, "rows", &schema, &node, NULL));
        CHECK_OK(ps_plan_event_time(plan, node, "time", 0, 0, &inputs[i], NULL));
    }
    CHECK_OK(ps_plan_union(plan, inputs, 2, &node, NULL));
    CHECK_OK(ps_plan_filter(plan, node, expr, positive, &node, NULL));
    CHECK_OK(ps_plan_project(plan, node, expr, columns, NAMES, 3, &node, NULL));
    const ps_window window = {.kind = PS_WINDOW_TUMBLING, .size = 1000};
    const ps_agg_spec spec = {
        .function = PS_AGG_SUM, .name = "total", .input = columns[2], .weight = -1};
    CHECK_OK(ps_plan_aggregate(plan, node, expr, &columns[1], &NAMES[1], 1, &window, &spec, 1,
                               &node, NULL));
    CHECK_OK(ps_plan_sink(plan, node, &node, NULL));
    ps_expr_destroy(expr);
    return plan;
}

static void refuse_everything(ps_mem *mem, ps_plan *plan)
{
    ps_park park;
    ps_park_init(&park, 1);
    const int64_t used = ps_mem_used(mem);
    for (int32_t shards = 1; shards <= 3; shards += 2) {
        ps_status status = PS_NO_MEMORY;
        for (int64_t nth = 1; status != PS_OK; nth++) {
            ps_graph graph;
            ps_mem_fail_at(mem, nth);
            status = ps_graph_init(&graph, plan, mem, shards, true, &park, NULL);
            ps_mem_fail_at(mem, 0);
            if (status == PS_OK) {
                ps_graph_fini(&graph);
            }
            CHECK(status == PS_OK || status == PS_NO_MEMORY);
            CHECK_EQ(ps_mem_used(mem), used);
            CHECK(nth < 10000);
        }
    }
}

static void every_refused_allocation_is_an_error_without_a_leak(void)
{
    for (int32_t all_kinds = 0; all_kinds < 2; all_kinds++) {
        ps_mem *const mem = flow_begin();
        ps_plan *plan;
        if (all_kinds) {
            plan = plan_of_all_kinds(mem);
        } else {
            CHECK_OK(flow_sum_plan(mem, true, &plan, NULL));
        }
        refuse_everything(mem, plan);
        ps_plan_release(plan);
        flow_end(mem);
    }
}

static void turns_of_the_sources_are_chosen(void)
{
    static const char *const TURNS[] = {"driver", "shards", "all"};
    for (int32_t i = 0; i < 3; i++) {
        ps_mem *const mem = flow_begin();
        ps_plan *plan;
        ps_graph graph;
        ps_park park;
        ps_error err;
        ps_error_clear(&err);
        CHECK_EQ(setenv("PYSTREAM_SOURCE_TURNS", TURNS[i], 1), 0);
        CHECK_OK(flow_sum_plan(mem, false, &plan, NULL));
        ps_park_init(&park, 1);
        const ps_status status = ps_graph_init(&graph, plan, mem, 2, true, &park, &err);
        if (i == 2) {
            CHECK_EQ(status, PS_INVALID);
            CHECK(strstr(err.text, "is 'all', must be auto, driver or shards") != NULL);
        } else {
            CHECK_OK(status);
            const ps_task *const task = graph.tasks.items[0];
            CHECK_EQ(graph.shares_sources, i == 1);
            CHECK(task->fed_by_sources);
            CHECK(task->inbox.channels[0].ring->producer == (i == 1 ? NULL : &park));
        }
        ps_graph_fini(&graph);
        ps_plan_release(plan);
        flow_end(mem);
    }
    CHECK_EQ(unsetenv("PYSTREAM_SOURCE_TURNS"), 0);
}

int main(void)
{
    RUN(one_shard_is_one_task_without_rings);
    RUN(shards_get_a_task_a_stage);
    RUN(only_columns_that_are_read_are_wanted);
    RUN(a_plan_must_be_a_tree_with_a_sink);
    RUN(an_input_that_nothing_reads_has_no_source);
    RUN(every_refused_allocation_is_an_error_without_a_leak);
    RUN(turns_of_the_sources_are_chosen);
    return 0;
}
