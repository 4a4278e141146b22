/* test_engine_stages.c -- queries of several stages: windows over windows, unions on either side of
 * an aggregate, failures inside a shard; each with 1, 2 and 3 shards. */
#include "check.h"
#include "flow_engine.h"

enum {
    ROW_US = 1000,
    SLIDE_US = 50 * ROW_US,
    SIZE_US = 2 * SLIDE_US,
    SECOND_NS = 1000000000,
    MILLISECOND_NS = 1000000
};

/* A plan being written, with the columns of flow.h and of what the stages make of them. */
typedef struct query {
    ps_mem *mem;
    ps_plan *plan;
    ps_expr *expr;
    int32_t key, value, time, total;
} query;

static void begin(query *q)
{
    q->mem = flow_begin();
    CHECK_OK(ps_plan_create(q->mem, &q->plan, NULL));
    CHECK_OK(ps_expr_create(q->mem, &q->expr, NULL));
    CHECK_OK(ps_expr_column(q->expr, "key", &q->key, NULL));
    CHECK_OK(ps_expr_column(q->expr, "value", &q->value, NULL));
    CHECK_OK(ps_expr_column(q->expr, "time", &q->time, NULL));
    CHECK_OK(ps_expr_column(q->expr, "total", &q->total, NULL));
}

static int32_t source(query *q, bool timed)
{
    ArrowSchema schema;
    int32_t node;
    flow_schema(&schema);
    CHECK_OK(ps_plan_source(q->plan, "rows", &schema, &node, NULL));
    if (timed) {
        CHECK_OK(ps_plan_event_time(q->plan, node, "time", 0, 0, &node, NULL));
    }
    return node;
}

/* total = sum(input) by key, or over all keys. */
static int32_t sum(query *q, int32_t from, bool keyed, ps_window window, int32_t input)
{
    const char *const name = "key";
    const ps_agg_spec spec = {
        .function = PS_AGG_SUM, .name = "total", .input = input, .weight = -1};
    int32_t node;
    CHECK_OK(ps_plan_aggregate(q->plan, from, q->expr, &q->key, &name, keyed ? 1 : 0, &window,
                               &spec, 1, &node, NULL));
    return node;
}

static ps_engine *start(query *q, int32_t last, int32_t shards, flow_shard *threads)
{
    ps_engine *engine;
    int32_t sink;
    CHECK_OK(ps_plan_sink(q->plan, last, &sink, NULL));
    CHECK_OK(ps_engine_create(q->plan, q->mem, shards, true, &engine, NULL));
    flow_start(engine, threads);
    return engine;
}

static void end(query *q, ps_engine *engine, flow_shard *threads)
{
    flow_join(engine, threads);
    ps_engine_release(engine);
    ps_plan_release(q->plan);
    ps_expr_destroy(q->expr);
    flow_end(q->mem);
}

static void push(ps_engine *engine, int32_t input, int64_t rows, int64_t first, int64_t keys)
{
    ArrowArray array;
    flow_array(&array, rows, first, keys);
    CHECK_OK(ps_engine_push(engine, input, &array, NULL));
}

/* Results by window: how often each end was seen, and the totals under it. */
typedef struct windows {
    int64_t count[64];
    int64_t total[64];
    bool ended;
} windows;

static void collect(ps_engine *engine, windows *w, int32_t end_column)
{
    ps_message message;
    for (ps_engine_poll(engine, &message); message.kind != PS_MESSAGE_NONE;
         ps_engine_poll(engine, &message)) {
        for (int64_t i = 0; i < ps_message_rows(&message); i++) {
            const int64_t row = flow_row(message.selection, i);
            const int64_t index = flow_values(message.batch, end_column)[row] / SLIDE_US;
            CHECK(index >= 0 && index < 64);
            w->count[index]++;
            w->total[index] += flow_values(message.batch, end_column + 1)[row];
        }
        w->ended = w->ended || message.kind == PS_MESSAGE_END;
        ps_message_clear(&message);
    }
}

static void drive_to_the_end(ps_engine *engine, windows *w, int32_t end_column)
{
    ps_drive_state state = PS_DRIVE_MORE;
    while (state != PS_DRIVE_DONE) {
        CHECK_OK(ps_engine_drive(engine, 0, NULL, 700, 10, SECOND_NS, &state, NULL));
        collect(engine, w, end_column);
    }
    CHECK(w->ended);
}

/* Sum of n over the rows whose time lies in [begin_us, end_us), of rows 0 .. rows - 1. */
static int64_t sum_between(int64_t begin_us, int64_t end_us, int64_t rows)
{
    int64_t total = 0;
    for (int64_t n = 0; n < rows; n++) {
        total += n * ROW_US >= begin_us && n * ROW_US < end_us ? n : 0;
    }
    return total;
}

static void windows_over_windows(void)
{
    for (int32_t shards = 1; shards <= 3; shards++) {
        for (int32_t keyed = 0; keyed <= 1; keyed++) {
            query q;
            flow_shard threads[SHARDS_MAX];
            windows w = {.ended = false};
            begin(&q);
            const ps_window hopping = {
                .kind = PS_WINDOW_HOPPING, .size = SIZE_US, .slide = SLIDE_US};
            const ps_window tumbling = {.kind = PS_WINDOW_TUMBLING, .size = SLIDE_US};
            const int32_t first = sum(&q, source(&q, true), true, hopping, q.value);
            const int32_t second = sum(&q, first, keyed != 0, tumbling, q.total);
            ps_engine *const engine = start(&q, second, shards, threads);
            for (int64_t n = 0; n < 1000; n += 40) {
                push(engine, 0, 40, n, 7);
            }
            CHECK_OK(ps_engine_finish_input(engine, 0, NULL));
            drive_to_the_end(engine, &w, keyed != 0 ? 2 : 1);
            /* A window [end - size, end) lands in the tumbling window of its last moment. */
            for (int64_t i = 0; i < 64; i++) {
                const int64_t end_us = i * SLIDE_US;
                const int64_t want = sum_between(end_us - SIZE_US, end_us, 1000);
                CHECK_EQ(w.total[i], want);
                CHECK_EQ(w.count[i], want == 0 ? 0 : keyed != 0 ? 7 : 1);
            }
            end(&q, engine, threads);
        }
    }
}

/* The least watermark rules, also behind a projection: an input far behind the other loses nothing,
 * not even when a row of the other came a little late. */
static void a_union_of_event_times_waits_for_the_slower(void)
{
    for (int32_t shards = 1; shards <= 3; shards++) {
        query q;
        flow_shard threads[SHARDS_MAX];
        windows w = {.ended = false};
        int32_t node;
        begin(&q);
        const int32_t inputs[2] = {source(&q, true), source(&q, true)};
        CHECK_OK(ps_plan_union(q.plan, inputs, 2, &node, NULL));
        CHECK_OK(ps_plan_project(q.plan, node, q.expr, (int32_t[]){q.time, q.key, q.value},
                                 (const char *[]){"time", "key", "value"}, 3, &node, NULL));
        const ps_window hopping = {.kind = PS_WINDOW_HOPPING, .size = SIZE_US, .slide = SLIDE_US};
        ps_engine *const engine = start(&q, sum(&q, node, true, hopping, q.value), shards, threads);
        push(engine, 0, 60, 60, 5); /* up to 119 */
        push(engine, 0, 10, 90, 5); /* behind, but one of its two windows is still open */
        push(engine, 0, 380, 120, 5);
        ps_drive_state state = PS_DRIVE_MORE;
        while (state != PS_DRIVE_STARVED) {
            CHECK_OK(ps_engine_drive(engine, 0, NULL, 1000, 10, 0, &state, NULL));
            CHECK(state != PS_DRIVE_OUTPUT); /* nothing can be final */
        }
        CHECK_OK(ps_engine_finish_input(engine, 0, NULL));
        push(engine, 1, 60, 0, 5);
        CHECK_OK(ps_engine_finish_input(engine, 1, NULL));
        drive_to_the_end(engine, &w, 2);
        CHECK_EQ(w.total[1], sum_between(0, SLIDE_US, 60)); /* only rows of the slower one */
        for (int64_t i = 4; i < 64; i++) {                  /* only rows of the faster one */
            CHECK_EQ(w.total[i], sum_between((i - 2) * SLIDE_US, i * SLIDE_US, 500));
        }
        end(&q, engine, threads);
    }
}

/* Two aggregates side by side, then together: the union is a stage of its own behind them. */
static void a_union_of_aggregates(void)
{
    for (int32_t shards = 1; shards <= 3; shards++) {
        query q;
        flow_shard threads[SHARDS_MAX];
        flow_results *const results = calloc(1, sizeof(*results));
        *results = (flow_results){.barrier = -1};
        flow_states *const states = calloc(1, sizeof(*states));
        states->ended = -1;
        int32_t node;
        begin(&q);
        const ps_window none = {.kind = PS_WINDOW_NONE};
        const int32_t sums[2] = {sum(&q, source(&q, false), true, none, q.value),
                                 sum(&q, source(&q, false), true, none, q.value)};
        CHECK_OK(ps_plan_union(q.plan, sums, 2, &node, NULL));
        ps_engine *const engine = start(&q, node, shards, threads);
        ps_drive_state state = PS_DRIVE_MORE;
        for (int64_t epoch = 0; epoch < 5; epoch++) {
            push(engine, 0, 3000, epoch * 3000, 11);
            push(engine, 1, 1000, epoch * 1000, 11);
            CHECK_OK(ps_engine_barrier(engine, epoch, true, NULL));
            while (results->barrier < epoch || states->ended < epoch) {
                CHECK_OK(ps_engine_drive(engine, 0, NULL, 9000, 1, MILLISECOND_NS, &state, NULL));
                flow_poll(engine, results);
                flow_take_states(engine, states);
            }
            CHECK(states->count >= 2);
            flow_drop_states(states);
        }
        for (int32_t i = 0; i < 2; i++) {
            CHECK_OK(ps_engine_finish_input(engine, i, NULL));
        }
        while (state != PS_DRIVE_DONE) {
            CHECK_OK(ps_engine_drive(engine, 0, NULL, 700, 10, SECOND_NS, &state, NULL));
            flow_poll(engine, results);
        }
        CHECK_EQ(results->rows, 22);
        for (int64_t key = 0; key < 11; key++) {
            CHECK_EQ(results->totals[key],
                     flow_total(0, 15000, 11, key) + flow_total(0, 5000, 11, key));
        }
        end(&q, engine, threads);
        free(states);
        free(results);
    }
}

static void an_overflow_in_a_shard_reaches_the_caller(void)
{
    for (int32_t shards = 1; shards <= 3; shards++) {
        query q;
        flow_shard threads[SHARDS_MAX];
        begin(&q);
        const ps_window none = {.kind = PS_WINDOW_NONE};
        ps_engine *const engine =
            start(&q, sum(&q, source(&q, false), true, none, q.value), shards, threads);
        for (int32_t i = 0; i < 2; i++) {
            push(engine, 0, 10, INT64_MAX / 1001, 3);
            ArrowArray array;
            flow_array(&array, 10, 0, 3);
            for (int64_t j = 0; j < 10; j++) {
                ((int64_t *)(uintptr_t)array.children[1]->buffers[1])[j] = INT64_MAX - 5;
            }
            CHECK_OK(ps_engine_push(engine, 0, &array, NULL));
        }
        CHECK_OK(ps_engine_finish_input(engine, 0, NULL));
        ps_drive_state state = PS_DRIVE_MORE;
        ps_status status = PS_OK;
        ps_error err;
        ps_error_clear(&err);
        while (status == PS_OK && state != PS_DRIVE_DONE) {
            ps_message message;
            status = ps_engine_drive(engine, 0, NULL, 700, 10, SECOND_NS, &state, &err);
            ps_engine_poll(engine, &message);
            ps_message_clear(&message);
        }
        CHECK_EQ(status, PS_OVERFLOW);
        CHECK_STR(err.operator_name, "aggregate");
        ps_error_clear(&err);
        CHECK_EQ(ps_engine_failure(engine, &err), PS_OVERFLOW);
        CHECK_EQ(ps_engine_drive(engine, 0, NULL, 1, 1, 0, &state, &err), PS_OVERFLOW);
        end(&q, engine, threads);
    }
}

int main(void)
{
    static const char *const TURNS[] = {"driver", "shards"};
    for (int32_t i = 0; i < 2; i++) {
        CHECK_EQ(setenv("PYSTREAM_SOURCE_TURNS", TURNS[i], 1), 0);
        RUN(windows_over_windows);
        RUN(a_union_of_event_times_waits_for_the_slower);
        RUN(a_union_of_aggregates);
        RUN(an_overflow_in_a_shard_reaches_the_caller);
    }
    return 0;
}
