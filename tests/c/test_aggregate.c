/* test_aggregate.c -- the operator against the oracle: windows, keys, disorder, cuts, shards. */
#include "aggregate_kit.h"
#include "arrow_make.h"
#include "state/slice.h"

#define ROWS 240

static event rows[3000];

static void check_cuts(const job *j, int64_t count, rng *random)
{
    static const int64_t CUTS[] = {1, 2, 7, 64, 4000};
    lines want = oracle(j, rows, count);
    for (size_t c = 0; c < sizeof CUTS / sizeof CUTS[0]; c++) {
        const run r = {.cut = CUTS[c],
                       .shards = 1 + (int32_t)rng_below(random, j->key_count == 0 ? 1 : 3),
                       .resume = (int)rng_below(random, 3)};
        check_run(j, &r, rows, count, &want);
    }
    lines_free(&want);
}

/* Late rows, rows late for some of their windows only, and rows in good time: each cut of the same
 * rows counts and drops the same. */
static void cuts_and_shards_change_nothing(void)
{
    rng random = {1};
    for (size_t w = 0; w < WINDOW_COUNT; w++) {
        for (size_t set = 0; set < SET_COUNT; set++) {
            for (int32_t keys = 0; keys <= 3; keys++) {
                const int64_t disorder = rng_below(&random, 30);
                const job j =
                    make_job(&SOME_WINDOWS[w], rng_below(&random, disorder + 3), keys, &SETS[set]);
                draw_events(rows, ROWS, rng_between(&random, 1, 12), 2, disorder, &random);
                check_cuts(&j, ROWS, &random);
            }
        }
    }
}

static void without_a_window_there_is_one_row_a_key(void)
{
    rng random = {2};
    for (size_t set = 0; set < SET_COUNT; set++) {
        for (int32_t keys = 0; keys <= 3; keys++) {
            const job j = make_job(&NO_WINDOW, 5, keys, &SETS[set]);
            draw_events(rows, ROWS, 10, 2, 20, &random);
            check_cuts(&j, ROWS, &random);
        }
    }
}

static void an_empty_input_has_one_global_row_and_no_others(void)
{
    for (size_t set = 0; set < SET_COUNT; set++) {
        for (int32_t keys = 0; keys < 2; keys++) {
            for (int windowed = 0; windowed < 2; windowed++) {
                const job j =
                    make_job(windowed ? &SOME_WINDOWS[0] : &NO_WINDOW, 0, keys, &SETS[set]);
                const run r = {.cut = 1, .shards = keys == 0 ? 1 : 3};
                lines want = oracle(&j, rows, 0);
                CHECK_EQ(want.count, keys == 0 && !windowed);
                check_run(&j, &r, rows, 0, &want);
                lines_free(&want);
            }
        }
    }
}

/* Most rows behind: the path that looks at each row, over several chunks of a batch. */
static void great_disorder_in_large_batches(void)
{
    rng random = {3};
    for (int round = 0; round < 4; round++) {
        const job j = make_job(&SOME_WINDOWS[2 + round % 3], 10, 1, &SETS[round]);
        draw_events(rows, 3000, 40, 1, 60, &random);
        lines want = oracle(&j, rows, 3000);
        CHECK(want.late > 200);
        for (int64_t cut = 1000; cut <= 3000; cut += 1000) {
            const run r = {.cut = cut, .shards = (int32_t)(cut / 1000)};
            check_run(&j, &r, rows, 3000, &want);
        }
        lines_free(&want);
    }
}

/* All rows of many slices in one chunk, in order: near slices, many slices, one slice. */
static void wide_chunks(void)
{
    rng random = {4};
    for (size_t set = 0; set < SET_COUNT; set++) {
        for (int64_t step = 0; step <= 40; step += 8) {
            const job j = make_job(&SOME_WINDOWS[0], 0, 1, &SETS[set]);
            draw_events(rows, 1500, 20, step, 0, &random);
            lines want = oracle(&j, rows, 1500);
            CHECK_EQ(want.late, 0);
            const run r = {.cut = 1500, .shards = 1};
            check_run(&j, &r, rows, 1500, &want);
            lines_free(&want);
        }
    }
}

/* Years between rows must not cost a step each: in microseconds a loop over windows would never
 * end. */
static void long_gaps_cost_nothing(void)
{
    static const int64_t YEAR = INT64_C(31536000000000);
    static const int64_t TIMES[] = {-50, -20, 0, 1, 40, 41, 7, 90};
    for (size_t w = 0; w < WINDOW_COUNT; w++) {
        for (size_t set = 0; set < SET_COUNT; set++) {
            const job j = make_job(&SOME_WINDOWS[w], 3, 1, &SETS[set]);
            for (int i = 0; i < 8; i++) {
                rows[i] = (event){.t = TIMES[i] * YEAR, .k = i % 2, .k_valid = true, .i = i + 1};
            }
            lines want = oracle(&j, rows, 8);
            for (int64_t cut = 1; cut <= 8; cut *= 2) {
                const run r = {.cut = cut, .shards = 1};
                check_run(&j, &r, rows, 8, &want);
            }
            lines_free(&want);
        }
    }
}

/* Far more keys than live at a time: dead ones are forgotten, ids and memory are used again. */
static void keys_that_come_and_go(void)
{
    enum { STEPS = 40, KEYS = 9000 };
    static event many[KEYS];
    const job j = make_job(&SOME_WINDOWS[0], 0, 1, &SETS[1]);
    const run r = {.cut = KEYS, .shards = 1};
    ps_mem *mem = make_account();
    lines out = {0};
    chain c;
    int64_t middle = 0, most = 0, keys_most = 0;
    CHECK_OK(chain_open(&c, &j, &r, 1, mem, &out, NULL));
    for (int64_t step = 0; step < STEPS; step++) {
        for (int64_t i = 0; i < KEYS; i++) {
            many[i] = (event){.t = step * 10 + i * 10 / KEYS,
                              .k = (int64_t)(ps_hash_u64((uint64_t)(step * KEYS + i)) >> 2),
                              .k_valid = true,
                              .i = 1};
        }
        CHECK_OK(chain_feed(&c, many, KEYS, KEYS, NULL));
        int64_t *mark = step < STEPS / 2 ? &middle : &most;
        *mark = ps_max_i64(*mark, ps_mem_used(mem));
        keys_most = ps_max_i64(keys_most, ps_stat_get(&c.shard[0]->stats.keys));
    }
    CHECK_OK(chain_finish(&c, NULL));
    CHECK(keys_most < 100000);
    CHECK(ps_stat_get(&c.shard[0]->stats.state_bytes) <= ps_mem_used(mem));
    CHECK(most < middle + middle / 4);
    CHECK_EQ(out.count, (int64_t)STEPS * KEYS); /* every key in its window, once */
    chain_close(&c);
    lines_sort(&out);
    for (int64_t i = 1; i < out.count; i++) {
        CHECK(strcmp(out.text[i - 1], out.text[i]) != 0);
    }
    CHECK_EQ(out.late, 0);
    lines_free(&out);
    settle(mem);
}

enum { STEP_KEYS = 9000 };

/* Rows of keys first, first + 1, ... whose times are spread over `span` from `start` on. */
static void feed_keys(chain *c, int64_t first, int64_t count, int64_t start, int64_t span)
{
    static event many[STEP_KEYS];
    for (int64_t i = 0; i < count; i++) {
        many[i] = (event){.t = start + i * span / count,
                          .k = (int64_t)(ps_hash_u64((uint64_t)(first + i)) >> 2),
                          .k_valid = true,
                          .i = 1};
    }
    CHECK_OK(chain_feed(c, many, count, count, NULL));
}

/* Forgetting takes no memory; without it for moving the bytes of keys they stay where they are. */
static void sweeps_need_no_memory(void)
{
    static const run ONE = {.shards = 1};
    enum { STEPS = 7, MORE = 3000, MARKS = 40 }; /* together just enough for a sweep */
    for (int32_t keys = 1; keys <= 2; keys++) {
        const job j = make_job(&SOME_WINDOWS[0], 0, keys, &SETS[1]);
        ps_mem *mem = make_account();
        lines out = {0};
        chain c;
        CHECK_OK(chain_open(&c, &j, &ONE, 1, mem, &out, NULL));
        for (int64_t step = 0; step < STEPS; step++) {
            feed_keys(&c, step * STEP_KEYS, STEP_KEYS, step * 10, 10);
        }
        feed_keys(&c, STEPS * STEP_KEYS, MORE, STEPS * 10 - 1, 1); /* moves no watermark */
        for (int64_t i = 1; i <= MARKS; i++) {
            const ps_message mark = {.kind = PS_MESSAGE_WATERMARK, .value = PS_TIME_MIN + i};
            ps_mem_fail_at(mem, 1);
            CHECK_OK(ps_deliver(c.shard[0], &mark, NULL));
            ps_mem_fail_at(mem, 0);
        }
        for (int64_t step = 0; step < 2; step++) { /* some that were forgotten, and others */
            feed_keys(&c, step * STEPS * STEP_KEYS, STEP_KEYS, (STEPS + 1 + step) * 10, 10);
        }
        CHECK(ps_stat_get(&c.shard[0]->stats.keys) < STEPS * STEP_KEYS);
        CHECK_OK(chain_finish(&c, NULL));
        CHECK_EQ(out.count, (STEPS + 2) * STEP_KEYS + MORE);
        chain_close(&c);
        lines_sort(&out);
        for (int64_t i = 1; i < out.count; i++) {
            CHECK(strcmp(out.text[i - 1], out.text[i]) != 0);
        }
        lines_free(&out);
        settle(mem);
    }
}

/* Keys that stay, among others that come and go, while sweeps pass over them all. */
static void keys_that_stay_are_not_forgotten(void)
{
    enum { STEPS = 24, KEYS = 9000, EVERY = 18 };
    static event many[STEPS * KEYS];
    for (int64_t at = 0; at < STEPS * KEYS; at++) {
        const int64_t i = at % KEYS;
        many[at] = (event){.t = at / KEYS * 3,
                           .k = (int64_t)(ps_hash_u64((uint64_t)(i % EVERY == 0 ? i : at)) >> 2),
                           .k_valid = true,
                           .i = 1};
    }
    const job j = make_job(&SOME_WINDOWS[0], 0, 1, &SETS[1]);
    lines want = oracle(&j, many, STEPS * KEYS);
    for (int32_t shards = 1; shards <= 2; shards++) {
        const run r = {.cut = 3000, .shards = shards};
        check_run(&j, &r, many, STEPS * KEYS, &want);
    }
    lines_free(&want);
}

/* Null, list and struct columns are carried, not loaded; their nulls count all the same. */
static void nulls_of_every_arrow_type_are_counted(void)
{
    ps_mem *mem = make_account();
    ps_batch *batch = make_mix(mem, 2500, 3);
    ps_expr *expr = NULL;
    static uint8_t every_third[2500 / 8 + 1];
    for (int64_t i = 0; i < 2500; i += 3) {
        ps_bit_set(every_third, i);
    }
    for (int32_t k = MIX_LIST; k <= MIX_STRUCT; k++) { /* the mix has none there */
        batch->columns[k].validity = every_third;
        batch->columns[k].validity_bit = 0;
        batch->columns[k].null_count = -1;
    }
    CHECK_OK(ps_expr_create(mem, &expr, NULL));
    for (int32_t k = 0; k < batch->column_count; k++) {
        ps_agg_spec spec = {.function = PS_AGG_COUNT_VALID, .name = "valid", .weight = -1};
        CHECK_OK(ps_expr_column(expr, batch->schema->fields[k].name, &spec.input, NULL));
        const ps_aggregate_args args = {
            .expr = expr, .event_time = -1, .aggregates = &spec, .aggregate_count = 1};
        ps_schema *schema = NULL;
        ps_operator *op = NULL;
        lines out = {0};
        collector end = {.watermark = PS_TIME_MIN, .out = &out};
        char want[32];
        bool more = true;
        CHECK_OK(ps_aggregate_schema(mem, batch->schema, &args, &schema, NULL));
        CHECK_OK(ps_aggregate_create(mem, batch->schema, schema, &args, &op, NULL));
        ps_operator_init(&end.op, &COLLECTOR_CALLS, mem, schema, schema);
        op->next = &end.op;
        CHECK_OK(op->calls->on_batch(op, batch, NULL, NULL));
        CHECK_OK(op->calls->on_watermark(op, PS_TIME_MAX, NULL));
        CHECK_OK(ps_operator_resume(op, &more, NULL));
        CHECK(!more && out.count == 1);
        const int64_t nulls = k == MIX_NULL ? 2500 : ps_column_count_nulls(&batch->columns[k]);
        CHECK(nulls > 0);
        snprintf(want, sizeof want, "%" PRId64 "|", 2500 - nulls);
        CHECK_STR(out.text[0], want);
        op->calls->close(op);
        ps_operator_fini(&end.op);
        ps_schema_release(schema);
        lines_free(&out);
    }
    ps_expr_destroy(expr);
    ps_batch_release(batch);
    check_nothing_left(mem);
}

/* With several event times upstream a row is late by its own watermark, but that watermark closes
 * no window: the slower inputs still have rows for it. */
static void one_of_several_sources_closes_nothing(void)
{
    const job j = make_job(&SOME_WINDOWS[2], 0, 0, &SETS[0]);
    static int64_t marks[3] = {PS_TIME_MIN, 25, 25};
    static ps_owner nobody;
    lines out = {0};
    bool more = true;
    ps_mem *mem = make_account();
    ps_schema *input = event_schema(mem), *output = NULL;
    ps_expr *expr = column_nodes(mem);
    ps_operator *op = NULL;
    ps_aggregate_args args = job_args(&j, expr);
    args.source_count = 2;
    collector end = {.windowed = true, .watermark = PS_TIME_MIN, .out = &out};
    CHECK_OK(ps_aggregate_schema(mem, input, &args, &output, NULL));
    CHECK_OK(ps_aggregate_create(mem, input, output, &args, &op, NULL));
    ps_operator_init(&end.op, &COLLECTOR_CALLS, mem, output, output);
    op->next = &end.op;
    rows[0] = (event){.t = 25};
    rows[1] = (event){.t = 5};  /* behind its own watermark: late */
    rows[2] = (event){.t = 22}; /* behind, late for one of its windows alone */
    ps_batch *batch = event_batch(mem, input, rows, 3);
    ps_owner_init(&nobody, NULL);
    ps_owner_retain(&nobody); /* ours: it outlives the batch */
    batch->late_watermark = marks;
    batch->late_owner = &nobody;
    CHECK_OK(op->calls->on_batch(op, batch, NULL, NULL));
    ps_batch_release(batch);
    CHECK_EQ(ps_stat_get(&op->stats.late_rows), 1);
    rows[0] = (event){.t = 5}; /* of the slower input: in good time */
    batch = event_batch(mem, input, rows, 1);
    CHECK_OK(op->calls->on_batch(op, batch, NULL, NULL));
    ps_batch_release(batch);
    CHECK_EQ(ps_stat_get(&op->stats.late_rows), 1);
    CHECK_EQ(out.count, 0);
    CHECK_OK(op->calls->on_watermark(op, PS_TIME_MAX, NULL));
    CHECK_OK(ps_operator_resume(op, &more, NULL));
    CHECK_EQ(out.count, 9);
    CHECK_STR(out.text[0], "-6|6|1|");
    CHECK_STR(out.text[4], "12|24|1|");
    CHECK_STR(out.text[5], "15|27|2|");
    op->calls->close(op);
    ps_operator_fini(&end.op);
    ps_expr_destroy(expr);
    ps_schema_release(output);
    ps_schema_release(input);
    lines_free(&out);
    check_nothing_left(mem);
}

static void an_overflow_names_the_aggregate(void)
{
    const job j = make_job(&SOME_WINDOWS[2], 0, 0, &SETS[1]);
    const run r = {.cut = 1, .shards = 1};
    ps_mem *mem = make_account();
    lines out;
    ps_error err = {0};
    /* Two slices of one window: each sum fits, the window's does not. */
    rows[0] = (event){.t = 0, .i = INT64_MAX};
    rows[1] = (event){.t = 4, .i = 1};
    CHECK_EQ(run_job(&j, &r, rows, 2, mem, &out, &err), PS_OVERFLOW);
    CHECK(strstr(err.text, "'SUMI'") != NULL);
    CHECK_STR(err.operator_name, "aggregate");
    lines_free(&out);
    settle(mem);
}

/* Groups beyond the first chunk of their slice, in one slice and in two, as rows and added up,
 * before and after a restart: accumulators come a chunk at a time, between rows that have theirs.
 */
static void refused_accumulators_are_an_error(void)
{
    enum { KEYS = 2 * PS_SLICE_ROWS + 100 };
    static event many[KEYS];
    static const ps_window WINDOWS[] = {{.kind = PS_WINDOW_NONE},
                                        {.kind = PS_WINDOW_TUMBLING, .size = 3000}};
    run r = {.cut = 1500, .shards = 1, .stop_at = KEYS - 200, .restored_shards = 1};
    for (int64_t i = 0; i < KEYS; i++) {
        many[i] = (event){.t = i % 2 * 3000, .k = i, .k_valid = true, .i = 1};
    }
    for (int round = 0; round < 8; round++) {
        const job j = make_job(&WINDOWS[round & 1], 5000, 1, &SETS[round >> 1 & 1]);
        r.adds_up = round >= 4;
        check_refusals(&j, &r, many, KEYS);
    }
}

static void every_refused_allocation_is_an_error(void)
{
    rng random = {5};
    draw_events(rows, 60, 6, 5, 15, &random);
    const run r = {.cut = 20, .shards = 2, .stop_at = 40, .restored_shards = 1};
    for (size_t set = 0; set < SET_COUNT; set += 2) {
        const job j = make_job(&SOME_WINDOWS[3], 4, 2, &SETS[set]);
        check_refusals(&j, &r, rows, 60);
    }
}

int main(void)
{
    RUN(cuts_and_shards_change_nothing);
    RUN(without_a_window_there_is_one_row_a_key);
    RUN(an_empty_input_has_one_global_row_and_no_others);
    RUN(great_disorder_in_large_batches);
    RUN(wide_chunks);
    RUN(long_gaps_cost_nothing);
    RUN(keys_that_come_and_go);
    RUN(keys_that_stay_are_not_forgotten);
    RUN(sweeps_need_no_memory);
    RUN(nulls_of_every_arrow_type_are_counted);
    RUN(one_of_several_sources_closes_nothing);
    RUN(an_overflow_names_the_aggregate);
    RUN(every_refused_allocation_is_an_error);
    RUN(refused_accumulators_are_an_error);
    return 0;
}
