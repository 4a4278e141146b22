/* test_pre_aggregate.c -- rows added up before they are dealt give the answers of rows one by one.
 */
#include "aggregate_kit.h"

#define ROWS 700

static event rows[ROWS];

static const ps_agg_spec EXTREMES[] = {AGG(MIN, V), AGG(MAX, V), AGG(MIN, I),        AGG(MAX, T),
                                       AGG(ANY, B), AGG(ALL, B), AGG(COUNT_VALID, S)};
static const agg_set MERGED[] = {SET(COUNTS), SET(EXACT), SET(EXTREMES)};
#define MERGED_COUNT (sizeof MERGED / sizeof MERGED[0])

static void run_every_way(const job *j, int64_t count)
{
    lines want = oracle(j, rows, count);
    static const run WAYS[] = {
        {.cut = 1, .shards = 2},
        {.cut = 50, .shards = 3},
        {.cut = ROWS, .shards = 1},
        {.cut = 64, .shards = 2, .stop_at = 300, .restored_shards = 3},
        {.cut = 40, .shards = 3, .stop_at = 350, .restored_shards = 2, .tracks = true},
        {.cut = 30,
         .shards = 2,
         .stop_at = 400,
         .restored_shards = 1,
         .tracks = true,
         .base_at = 200,
         .copy_lag = 3},
    };
    for (size_t w = 0; w < sizeof WAYS / sizeof WAYS[0]; w++) {
        run r = WAYS[w];
        r.adds_up = true;
        check_run(j, &r, rows, count, &want);
    }
    lines_free(&want);
}

static void adding_up_changes_nothing(void)
{
    rng random = {11};
    for (size_t w = 0; w < WINDOW_COUNT; w++) {
        for (size_t set = 0; set < MERGED_COUNT; set++) {
            for (int32_t keys = 1; keys <= 3; keys++) {
                const int64_t disorder = rng_below(&random, 40);
                draw_events(rows, ROWS, 1 + rng_below(&random, 30), 2, disorder, &random);
                /* More disorder than the bound allows: late rows too. */
                const job j = make_job(&SOME_WINDOWS[w], rng_below(&random, disorder + 1), keys,
                                       &MERGED[set]);
                run_every_way(&j, ROWS);
            }
        }
    }
}

static void without_a_window_too(void)
{
    rng random = {12};
    for (size_t set = 0; set < MERGED_COUNT; set++) {
        const job j = make_job(&NO_WINDOW, 0, 2, &MERGED[set]);
        draw_events(rows, ROWS, 9, 2, 10, &random);
        run_every_way(&j, ROWS);
    }
}

static void inexact_aggregates_forbid_it(void)
{
    static const ps_agg_spec LAST_ONE[] = {COUNT_ROWS, AGG(SUM, I), AGG(LAST, I)},
                             MEAN_OF_INTS[] = {AGG(MEAN, I)}, TEXT[] = {COUNT_ROWS, AGG(MAX, S)},
                             FLOATS[] = {AGG(MIN, V), AGG(SUM, V)};
    static const struct {
        agg_set set;
        int32_t first;
    } CASES[] = {{SET(LAST_ONE), 2}, {SET(MEAN_OF_INTS), 0}, {SET(TEXT), 1},     {SET(FLOATS), 1},
                 {SET(COUNTS), -1},  {SET(EXACT), -1},       {SET(EXTREMES), -1}};
    ps_mem *mem = make_account();
    ps_schema *input = event_schema(mem);
    ps_expr *expr = column_nodes(mem);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const job j = make_job(&SOME_WINDOWS[0], 0, 1, &CASES[i].set);
        const ps_aggregate_args args = job_args(&j, expr);
        ps_schema *output = NULL;
        CHECK_OK(ps_aggregate_schema(mem, input, &args, &output, NULL));
        CHECK_EQ(ps_pre_aggregate_forbids(&args, output), CASES[i].first);
        ps_schema_release(output);
    }
    ps_expr_destroy(expr);
    ps_schema_release(input);
    settle(mem);
}

typedef struct counter {
    int64_t batches, rows;
} counter;

static ps_status count_partials(void *context, ps_batch *partials, ps_error *err)
{
    counter *const c = context;
    (void)err;
    CHECK(partials->partial && partials->late_watermark == NULL);
    c->batches++;
    c->rows += partials->length;
    return PS_OK;
}

static ps_status reduce(ps_pre_aggregate *pre, ps_mem *mem, ps_schema *input, int64_t count,
                        counter *c)
{
    int64_t partials = 0;
    ps_batch *batch = event_batch(mem, input, rows, count);
    const ps_status status =
        ps_pre_aggregate_reduce(pre, batch, NULL, count_partials, c, &partials, NULL);
    ps_batch_release(batch);
    CHECK(status != PS_OK || partials == c->rows);
    return status;
}

/* An overflow hands out nothing, and is forgotten; so are keys once they are many. */
static void every_batch_starts_anew(void)
{
    ps_mem *mem = make_account();
    ps_schema *input = event_schema(mem), *output = NULL;
    ps_expr *expr = column_nodes(mem);
    const job j = make_job(&NO_WINDOW, 0, 1, &MERGED[1]);
    const ps_aggregate_args args = job_args(&j, expr);
    ps_pre_aggregate *pre = NULL;
    CHECK_OK(ps_aggregate_schema(mem, input, &args, &output, NULL));
    CHECK_OK(ps_pre_aggregate_create(mem, input, output, &args, &pre, NULL));
    for (int64_t i = 0; i < 10; i++) {
        rows[i] = (event){.k = i % 3, .k_valid = true, .i = INT64_MAX / 2, .t = 1};
    }
    counter c = {0};
    CHECK_EQ(reduce(pre, mem, input, 10, &c), PS_OVERFLOW);
    CHECK_EQ(c.batches, 0);
    CHECK_OK(reduce(pre, mem, input, 3, &c));
    CHECK_EQ(c.rows, 3);
    for (int64_t round = 0; round < 100; round++) { /* 70,000 keys */
        for (int64_t i = 0; i < ROWS; i++) {
            rows[i] = (event){.k = (round * ROWS + i) * 1000003, .k_valid = true, .i = 1, .t = 1};
        }
        c = (counter){0};
        CHECK_OK(reduce(pre, mem, input, ROWS, &c));
        CHECK_EQ(c.rows, ROWS);
    }
    CHECK(ps_mem_used(mem) < 8 << 20);
    ps_pre_aggregate_destroy(pre);
    ps_schema_release(output);
    ps_expr_destroy(expr);
    ps_schema_release(input);
    settle(mem);
}

/* An input that was idle wakes behind the watermark of the others: totals are late as a whole. */
static void late_totals_count_their_rows(void)
{
    const job j = make_job(&SOME_WINDOWS[0], 0, 1, &MERGED[0]);
    const run r = {.shards = 2, .adds_up = true};
    static chain c;
    ps_mem *mem = make_account();
    lines out = {0};
    CHECK_OK(chain_open(&c, &j, &r, 2, mem, &out, NULL));
    for (int64_t i = 0; i < 100; i++) { /* windows [0, 10) to [40, 50) */
        rows[i] = (event){.k = i % 3, .k_valid = true, .t = i / 2};
    }
    CHECK_OK(broadcast(&c, PS_MESSAGE_WATERMARK, 30, NULL));
    ps_batch *batch = event_batch(mem, c.input, rows, 100);
    CHECK_OK(split_batch(&c.split.op, batch, NULL, NULL));
    ps_batch_release(batch);
    CHECK_OK(broadcast(&c, PS_MESSAGE_WATERMARK, PS_TIME_MAX, NULL));
    int64_t rows_in = 0;
    for (int32_t s = 0; s < 2; s++) {
        rows_in += ps_stat_get(&c.shard[s]->stats.rows_in);
    }
    chain_close(&c);
    CHECK_EQ(rows_in, 100);
    CHECK_EQ(out.late, 60);
    CHECK_EQ(out.count, 6);
    lines_free(&out);
    settle(mem);
}

static void every_refused_allocation_is_an_error(void)
{
    rng random = {5};
    draw_events(rows, 60, 6, 5, 15, &random);
    const job j = make_job(&SOME_WINDOWS[3], 15, 2, &MERGED[2]);
    const run r = {.cut = 20, .shards = 2, .stop_at = 40, .restored_shards = 1, .adds_up = true};
    check_refusals(&j, &r, rows, 60);
}

int main(void)
{
    RUN(adding_up_changes_nothing);
    RUN(without_a_window_too);
    RUN(inexact_aggregates_forbid_it);
    RUN(every_batch_starts_anew);
    RUN(late_totals_count_their_rows);
    RUN(every_refused_allocation_is_an_error);
    return 0;
}
