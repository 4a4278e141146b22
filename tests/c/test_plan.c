/* test_plan.c -- the plan: what each node makes of its input, and what it says to a wrong query. */
#include "check.h"
#include "flow_engine.h"
#include "runtime/plan.h"

typedef struct desk {
    ps_mem *mem;
    ps_plan *plan;
    ps_expr *expr;
    ps_error err;
    int32_t source;
    int32_t key;
    int32_t value;
    int32_t time;
    int32_t nothing; /* a column that does not exist */
} desk;

static void begin(desk *d)
{
    ArrowSchema schema;
    d->mem = flow_begin();
    ps_error_clear(&d->err);
    CHECK_OK(ps_plan_create(d->mem, &d->plan, NULL));
    flow_schema(&schema);
    CHECK_OK(ps_plan_source(d->plan, "rows", &schema, &d->source, NULL));
    CHECK(schema.release == NULL);
    CHECK_OK(ps_expr_create(d->mem, &d->expr, NULL));
    CHECK_OK(ps_expr_column(d->expr, "key", &d->key, NULL));
    CHECK_OK(ps_expr_column(d->expr, "value", &d->value, NULL));
    CHECK_OK(ps_expr_column(d->expr, "time", &d->time, NULL));
    CHECK_OK(ps_expr_column(d->expr, "nothing", &d->nothing, NULL));
}

static void end(desk *d)
{
    ps_expr_destroy(d->expr);
    ps_plan_release(d->plan);
    flow_end(d->mem);
}

static void expect_error(desk *d, ps_status got, ps_status want, const char *part)
{
    CHECK_EQ(got, want);
    if (strstr(d->err.text, part) == NULL) {
        CHECK_FAIL("\"%s\" does not say \"%s\"", d->err.text, part);
    }
    ps_error_clear(&d->err);
}

static void columns_are(const desk *d, int32_t node, const char *want)
{
    ArrowSchema schema;
    char text[200] = "";
    CHECK_OK(ps_plan_schema(d->plan, node, &schema, NULL));
    for (int64_t i = 0; i < schema.n_children; i++) {
        const size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "%s:%s ", schema.children[i]->name,
                 schema.children[i]->format);
    }
    CHECK_STR(text, want);
    schema.release(&schema);
}

static void event_time_is(const desk *d, int32_t node, const char *want)
{
    const char *const found = ps_plan_event_time_column(d->plan, node);
    CHECK_STR(found == NULL ? "none" : found, want);
}

static ps_status aggregate(desk *d, int32_t from, const ps_window *window, int32_t input,
                           int32_t *node)
{
    const char *const name = "key";
    const ps_agg_spec spec = {
        .function = PS_AGG_SUM, .name = "total", .input = input, .weight = -1};
    return ps_plan_aggregate(d->plan, from, d->expr, &d->key, &name, 1, window, &spec, 1, node,
                             &d->err);
}

static void event_time_follows_its_column(void)
{
    desk d;
    int32_t timed, node;
    begin(&d);
    event_time_is(&d, d.source, "none");
    CHECK_OK(ps_plan_event_time(d.plan, d.source, "time", 1000, 0, &timed, &d.err));
    event_time_is(&d, timed, "time");
    columns_are(&d, timed, "key:l value:l time:tsu: ");
    CHECK_OK(ps_plan_project(d.plan, timed, d.expr, (int32_t[]){d.value, d.time},
                             (const char *[]){"v", "at"}, 2, &node, &d.err));
    event_time_is(&d, node, "at"); /* renamed */
    columns_are(&d, node, "v:l at:tsu: ");
    CHECK_OK(ps_plan_project(d.plan, timed, d.expr, (int32_t[]){d.value}, (const char *[]){"v"}, 1,
                             &node, &d.err));
    event_time_is(&d, node, "none"); /* dropped */
    CHECK_OK(ps_plan_union(d.plan, (int32_t[]){timed, timed}, 2, &node, &d.err));
    event_time_is(&d, node, "time");
    CHECK_OK(ps_plan_union(d.plan, (int32_t[]){timed, d.source}, 2, &node, &d.err));
    event_time_is(&d, node, "none"); /* they disagree */
    CHECK_OK(ps_plan_sink(d.plan, timed, &node, &d.err));
    event_time_is(&d, node, "time");
    event_time_is(&d, 99, "none");
    end(&d);
}

static void wrong_event_times_are_explained(void)
{
    desk d;
    int32_t node;
    begin(&d);
    expect_error(&d, ps_plan_event_time(d.plan, d.source, "tme", 0, 0, &node, &d.err), PS_INVALID,
                 "tme");
    expect_error(&d, ps_plan_event_time(d.plan, d.source, "value", 0, 0, &node, &d.err), PS_TYPE,
                 "event-time column 'value' is int64, not a timestamp");
    expect_error(&d, ps_plan_event_time(d.plan, d.source, "time", -5, 0, &node, &d.err), PS_INVALID,
                 "out_of_orderness is -5, must not be negative");
    expect_error(&d, ps_plan_event_time(d.plan, d.source, "time", 0, -5, &node, &d.err), PS_INVALID,
                 "max_future is -5");
    CHECK_OK(ps_plan_event_time(d.plan, d.source, "time", 0, 0, &node, &d.err)); /* still usable */
    CHECK_EQ(node, 1);
    end(&d);
}

static void wrong_columns_and_names_are_explained(void)
{
    desk d;
    int32_t node;
    begin(&d);
    expect_error(&d, ps_plan_filter(d.plan, d.source, d.expr, d.nothing, &node, &d.err), PS_INVALID,
                 "nothing");
    expect_error(&d, ps_plan_filter(d.plan, d.source, d.expr, d.value, &node, &d.err), PS_TYPE,
                 "a filter needs a bool expression, this one is int64");
    expect_error(&d,
                 ps_plan_project(d.plan, d.source, d.expr, (int32_t[]){d.key, d.nothing},
                                 (const char *[]){"a", "b"}, 2, &node, &d.err),
                 PS_INVALID, "nothing");
    expect_error(&d,
                 ps_plan_project(d.plan, d.source, d.expr, (int32_t[]){d.key, d.value},
                                 (const char *[]){"a", "a"}, 2, &node, &d.err),
                 PS_INVALID, "two output columns are named 'a'");
    expect_error(&d, ps_plan_project(d.plan, d.source, d.expr, NULL, NULL, 0, &node, &d.err),
                 PS_INVALID, "without columns");
    end(&d);
}

static void wrong_windows_are_explained(void)
{
    desk d;
    int32_t timed, node;
    begin(&d);
    CHECK_OK(ps_plan_event_time(d.plan, d.source, "time", 0, 0, &timed, &d.err));
    ps_window window = {.kind = PS_WINDOW_TUMBLING, .size = 0};
    expect_error(&d, aggregate(&d, timed, &window, d.value, &node), PS_INVALID,
                 "window size is 0, must be positive");
    window.size = -3;
    expect_error(&d, aggregate(&d, timed, &window, d.value, &node), PS_INVALID,
                 "window size is -3");
    window = (ps_window){.kind = PS_WINDOW_HOPPING, .size = 10, .slide = 0};
    expect_error(&d, aggregate(&d, timed, &window, d.value, &node), PS_INVALID,
                 "window slide is 0, must be positive");
    window.slide = 5;
    expect_error(&d, aggregate(&d, d.source, &window, d.value, &node), PS_INVALID,
                 "call with_event_time(column) before it");
    expect_error(&d, aggregate(&d, timed, &window, d.nothing, &node), PS_INVALID, "nothing");
    const char *const taken = "total"; /* as the aggregate's own */
    const ps_agg_spec spec = {.name = "total", .input = d.value, .weight = -1};
    expect_error(&d,
                 ps_plan_aggregate(d.plan, timed, d.expr, &d.key, &taken, 1, &window, &spec, 1,
                                   &node, &d.err),
                 PS_INVALID, "two output columns are named 'total'");
    end(&d);
}

static void a_windowed_aggregate_has_the_end_as_event_time(void)
{
    desk d;
    int32_t timed, node;
    begin(&d);
    CHECK_OK(ps_plan_event_time(d.plan, d.source, "time", 0, 0, &timed, &d.err));
    const ps_window window = {.kind = PS_WINDOW_TUMBLING, .size = 10};
    const ps_window none = {.kind = PS_WINDOW_NONE};
    CHECK_OK(aggregate(&d, timed, &window, d.value, &node));
    columns_are(&d, node, "key:l window_start:tsu: window_end:tsu: total:l ");
    event_time_is(&d, node, "window_end");
    CHECK_OK(aggregate(&d, timed, &none, d.value, &node));
    columns_are(&d, node, "key:l total:l ");
    event_time_is(&d, node, "none");
    end(&d);
}

static void nodes_that_do_not_fit_are_refused(void)
{
    desk d;
    int32_t narrow, sink, node;
    ArrowSchema schema;
    begin(&d);
    expect_error(&d, ps_plan_sink(d.plan, 7, &node, &d.err), PS_INVALID,
                 "input node 7 does not exist: the plan has 1 nodes");
    CHECK_OK(ps_plan_project(d.plan, d.source, d.expr, (int32_t[]){d.key}, (const char *[]){"key"},
                             1, &narrow, &d.err));
    CHECK_EQ(ps_plan_union(d.plan, (int32_t[]){d.source, narrow}, 2, &node, &d.err), PS_INVALID);
    CHECK_EQ(ps_plan_union(d.plan, NULL, 0, &node, &d.err), PS_INVALID);
    CHECK_OK(ps_plan_sink(d.plan, narrow, &sink, &d.err));
    expect_error(&d, ps_plan_sink(d.plan, narrow, &node, &d.err), PS_INVALID, "has a sink already");
    expect_error(&d, ps_plan_union(d.plan, &sink, 1, &node, &d.err), PS_INVALID,
                 "nothing can follow it");
    CHECK_EQ(ps_plan_schema(d.plan, 50, &schema, &d.err), PS_INVALID);
    flow_field(&schema, "l", "not a struct");
    CHECK(ps_plan_source(d.plan, "bad", &schema, &node, &d.err) != PS_OK);
    CHECK(schema.release != NULL); /* still the caller's */
    schema.release(&schema);
    end(&d);
}

static void every_refused_allocation_is_an_error_without_a_leak(void)
{
    ps_status status = PS_NO_MEMORY;
    for (int64_t nth = 1; status != PS_OK; nth++) {
        ps_mem *const mem = flow_begin();
        ps_plan *plan = NULL;
        ps_mem_fail_at(mem, nth);
        status = flow_sum_plan(mem, true, &plan, NULL);
        ps_mem_fail_at(mem, 0);
        if (status == PS_OK) {
            ps_plan_retain(plan);
            ps_plan_release(plan);
            ps_plan_release(plan);
        }
        CHECK(status == PS_OK || status == PS_NO_MEMORY);
        flow_end(mem);
        CHECK(nth < 10000);
    }
}

int main(void)
{
    RUN(event_time_follows_its_column);
    RUN(wrong_event_times_are_explained);
    RUN(wrong_columns_and_names_are_explained);
    RUN(wrong_windows_are_explained);
    RUN(a_windowed_aggregate_has_the_end_as_event_time);
    RUN(nodes_that_do_not_fit_are_refused);
    RUN(every_refused_allocation_is_an_error_without_a_leak);
    return 0;
}
