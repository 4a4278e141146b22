/* test_aggregate_snapshot.c -- stopped anywhere and restored into any number of shards, the answer
 * is that of a run that never stopped. */
#include "aggregate_kit.h"
#include "state/freeze.h"

#define ROWS 260

static event rows[ROWS];

static void check_stops(const job *j, rng *random)
{
    lines want = oracle(j, rows, ROWS);
    for (int round = 0; round < 6; round++) {
        const bool global = j->key_count == 0;
        const run r = {.cut = rng_between(random, 1, 60),
                       .shards = global ? 1 : (int32_t)rng_between(random, 1, 3),
                       .resume = (int)rng_below(random, 3),
                       .stop_at = rng_between(random, 1, ROWS),
                       .restored_shards = (int32_t)rng_between(random, 1, 3),
                       .tracks = round > 0,
                       .base_at = round > 1 ? rng_between(random, 1, ROWS) : 0,
                       .copy_lag = rng_below(random, 12)};
        check_run(j, &r, rows, ROWS, &want);
    }
    lines_free(&want);
}

static void a_restored_run_gives_the_same_answer(void)
{
    rng random = {1};
    for (size_t w = 0; w <= WINDOW_COUNT; w++) {
        for (size_t set = 0; set < SET_COUNT; set++) {
            for (int32_t keys = 0; keys <= 3; keys++) {
                const int64_t disorder = rng_below(&random, 25);
                const job j = make_job(w == WINDOW_COUNT ? &NO_WINDOW : &SOME_WINDOWS[w],
                                       rng_below(&random, disorder + 3), keys, &SETS[set]);
                draw_events(rows, ROWS, rng_between(&random, 1, 12), 2, disorder, &random);
                check_stops(&j, &random);
            }
        }
    }
}

/* Sums of fractions depend on the order of adding: it is fixed by the rows alone. */
static void floats_are_the_same_to_the_last_bit(void)
{
    rng random = {4};
    number_digits = 17;
    for (size_t w = 0; w <= WINDOW_COUNT; w++) {
        for (size_t set = 2; set < 4; set++) {
            const job j =
                make_job(w == WINDOW_COUNT ? &NO_WINDOW : &SOME_WINDOWS[w], 4, 1, &SETS[set]);
            draw_events(rows, ROWS, 3, 1, 9, &random);
            for (int64_t i = 0; i < ROWS; i++) {
                rows[i].v /= 7.0;
            }
            const run whole = {.cut = ROWS, .shards = 1};
            ps_mem *mem = NULL;
            lines want;
            CHECK_OK(ps_mem_create(0, &mem, NULL));
            CHECK_OK(run_job(&j, &whole, rows, ROWS, mem, &want, NULL));
            for (int round = 0; round < 6; round++) {
                const run r = {.cut = rng_between(&random, 1, 90),
                               .shards = (int32_t)rng_between(&random, 1, 3),
                               .stop_at = round == 0 ? 0 : rng_between(&random, 1, ROWS),
                               .restored_shards = (int32_t)rng_between(&random, 1, 3)};
                check_run(&j, &r, rows, ROWS, &want);
            }
            lines_free(&want);
            CHECK_EQ(ps_mem_used(mem), 0);
            ps_mem_release(mem);
        }
    }
    number_digits = 9;
}

/* Before any row, and after the last. */
static void empty_and_finished_states_restore(void)
{
    rng random = {2};
    draw_events(rows, ROWS, 5, 2, 3, &random);
    for (int32_t keys = 0; keys < 2; keys++) {
        const job j = make_job(&NO_WINDOW, 3, keys, &SETS[3]);
        const run r = {.cut = 10, .shards = 1, .stop_at = 1, .restored_shards = 2};
        lines want = oracle(&j, rows, 0);
        check_run(&j, &r, rows, 0, &want); /* stops at the end of nothing */
        lines_free(&want);
        want = oracle(&j, rows, ROWS);
        const run late = {.cut = 10, .shards = 1, .stop_at = ROWS, .restored_shards = 3};
        check_run(&j, &late, rows, ROWS, &want);
        lines_free(&want);
    }
}

/* Stopped after the last watermark: all has left, and restoring brings none of it back. */
static void what_has_left_does_not_leave_again(void)
{
    static const ps_message LAST = {.kind = PS_MESSAGE_WATERMARK, .value = PS_TIME_MAX};
    rng random = {5};
    draw_events(rows, ROWS, 5, 2, 3, &random);
    for (int32_t keys = 0; keys < 2; keys++) {
        for (int windowed = 0; windowed < 2; windowed++) {
            const job j = make_job(windowed ? &SOME_WINDOWS[3] : &NO_WINDOW, 3, keys, &SETS[1]);
            static chain rest;
            ps_mem *mem = NULL;
            lines out, more = {0};
            CHECK_OK(ps_mem_create(0, &mem, NULL));
            chain *c = open_chain(&j, &ONE_SHARD, mem, &out);
            CHECK_OK(chain_feed(c, rows, ROWS, 50, NULL));
            CHECK_OK(ps_deliver(c->times, &LAST, NULL));
            CHECK(out.count > 0);
            stop(c);
            CHECK_OK(chain_open(&rest, &j, &ONE_SHARD, 1, mem, &more, NULL));
            CHECK_OK(chain_restore(&rest, &c->states, NULL));
            CHECK_OK(ps_deliver(rest.times, &LAST, NULL));
            CHECK_EQ(more.count, 0);
            chain_close(&rest);
            lines_free(&more);
            close_chain(c, mem);
        }
    }
}

/* More groups than one batch of state holds: several batches, none too large, no group lost. */
static void large_state_travels_in_several_batches(void)
{
    enum { KEYS = 140000 };
    static event many[KEYS];
    const job j = make_job(&SOME_WINDOWS[0], 0, 1, &SETS[1]);
    ps_mem *mem = NULL;
    lines out;
    int64_t groups = 0, largest = 0;
    for (int64_t i = 0; i < KEYS; i++) {
        many[i] = (event){.t = i / 70001, .k = i, .k_valid = true, .i = 1};
    }
    CHECK_OK(ps_mem_create(0, &mem, NULL));
    chain *c = open_chain(&j, &ONE_SHARD, mem, &out);
    CHECK_OK(chain_feed(c, many, KEYS, 60000, NULL));
    stop(c);
    for (int64_t i = 0; i < c->states.count; i++) {
        const ps_batch *batch = c->states.held[i].batch;
        if (ps_schema_find(batch->schema, ".slice") >= 0) {
            groups += batch->length;
        }
        largest = ps_max_i64(largest, batch->length);
    }
    CHECK_EQ(groups, KEYS);
    CHECK(largest <= PS_BATCH_ROWS_MAX && c->states.count >= 4);
    close_chain(c, mem);
}

enum { WIDE_ROWS = 200, WIDE_BYTES = 128 << 10 };

/* Rows whose texts are so many bytes and their number. */
static ps_batch *wide_batch(const chain *c)
{
    static char bytes[WIDE_BYTES + WIDE_ROWS];
    static cells room;
    ps_batch_builder *builder = NULL;
    ps_batch *batch = NULL;
    CHECK_OK(ps_batch_builder_create(c->side, c->input, WIDE_ROWS, &builder, NULL));
    for (int32_t column = 0; column < COLUMNS; column++) {
        static event same[WIDE_ROWS];
        if (column != S) {
            append_column(builder, column, same, WIDE_ROWS, &room);
            continue;
        }
        for (int64_t i = 0; i < WIDE_ROWS; i++) {
            room.texts[i] = (ps_string){.data = bytes, .size_bytes = WIDE_BYTES + i};
        }
        const ps_vector vector = {.kind = PS_CLASS_STR, .values = room.texts};
        CHECK_OK(ps_batch_builder_append(builder, S, &vector, WIDE_ROWS, NULL));
    }
    ps_batch_builder_advance(builder, WIDE_ROWS);
    CHECK_OK(ps_batch_builder_finish(builder, &batch, NULL));
    return batch;
}

/* The rows in batches of groups from one on, each text once in all; none is too large. */
static int64_t check_wide(const states *s, int64_t from, bool *found)
{
    int64_t sum = 0;
    for (int64_t i = from; i < s->count; i++) {
        const ps_batch *batch = s->held[i].batch;
        if (ps_schema_find(batch->schema, ".slice") < 0) {
            continue;
        }
        CHECK(ps_batch_size_bytes(batch) <= PS_BATCH_BYTES_MAX);
        for (int64_t r = 0; r < batch->length; r++) {
            const int64_t number = ps_column_string(&batch->columns[0], r).size_bytes - WIDE_BYTES;
            CHECK(number >= 0 && number < WIDE_ROWS && !found[number]);
            found[number] = true;
        }
        sum += batch->length;
    }
    return sum;
}

/* Keys and values of 128 KiB: small batches, and a part of the state is not all of it. That holds
 * too for rows that have changed since the barrier, which come out of the log. */
static void wide_rows_travel_in_small_batches(void)
{
    static const run TRACKED = {.shards = 1, .tracks = true, .copy_lag = INT64_MAX};
    static const agg_set EXTREMES = {&TEXTS[1], 2};
    job j = make_job(&NO_WINDOW, 0, 1, &EXTREMES);
    j.keys[0] = S;
    for (int changes = 0; changes < 2; changes++) {
        bool found[WIDE_ROWS] = {false}, more = true;
        int64_t rows_out = 0, parts = 0;
        ps_mem *mem = NULL;
        lines out;
        CHECK_OK(ps_mem_create(0, &mem, NULL));
        chain *c = open_chain(&j, &TRACKED, mem, &out);
        ps_batch *batch = wide_batch(c);
        const ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = batch};
        CHECK_OK(ps_deliver(c->times, &message, NULL));
        CHECK_OK(chain_barrier(c, true, NULL));
        if (changes) {
            CHECK_OK(ps_deliver(c->times, &message, NULL));
        }
        ps_batch_release(batch);
        for (int64_t from = c->states.count; more; from = c->states.count, parts++) {
            CHECK_OK(ps_operator_copy(c->shard[0], &more, NULL));
            const int64_t rows_of_part = check_wide(&c->states, from, found);
            CHECK(rows_of_part <= PS_FREEZE_READ_MIN + PS_BATCH_BYTES_MAX / (3 * WIDE_BYTES));
            rows_out += rows_of_part;
        }
        CHECK_EQ(rows_out, WIDE_ROWS);
        CHECK(parts >= WIDE_ROWS / PS_FREEZE_READ_MIN);
        close_chain(c, mem);
    }
}

/* Keys die and others come while their rows wait to be written: each row keeps its own key. */
static void rows_waiting_to_be_written_keep_their_keys(void)
{
    enum { KEYS = 70000, PARTS = 4 }; /* enough for a sweep */
    static const run WAITING = {.shards = 1, .tracks = true, .copy_lag = INT64_MAX};
    static event many[KEYS];
    static bool found[KEYS];
    const job j = make_job(&SOME_WINDOWS[0], 0, 1, &SETS[1]);
    ps_mem *mem = NULL;
    lines out;
    int64_t groups = 0;
    CHECK_OK(ps_mem_create(0, &mem, NULL));
    chain *c = open_chain(&j, &WAITING, mem, &out);
    for (int64_t part = 0; part < PARTS; part++) {
        for (int64_t i = 0; i < KEYS; i++) {
            many[i] = (event){.t = part * 1000, .k = part * KEYS + i, .k_valid = true, .i = 1};
        }
        CHECK_OK(chain_feed(c, many, KEYS, 60000, NULL));
        if (part == 0) {
            CHECK_OK(chain_barrier(c, true, NULL));
        }
    }
    CHECK_OK(chain_copy(c, NULL));
    for (int64_t i = 0; i < c->states.count; i++) {
        const ps_batch *batch = c->states.held[i].batch;
        for (int64_t r = 0; ps_schema_find(batch->schema, ".slice") >= 0 && r < batch->length;
             r++) {
            const int64_t key = ((const int64_t *)batch->columns[0].values)[r];
            CHECK(key >= 0 && key < KEYS && !found[key]);
            found[key] = true;
            groups++;
        }
    }
    CHECK_EQ(groups, KEYS);
    close_chain(c, mem);
}

static void nobody_asking_is_no_state(void)
{
    const job j = make_job(&SOME_WINDOWS[0], 0, 1, &SETS[1]);
    ps_mem *mem = NULL;
    lines out;
    CHECK_OK(ps_mem_create(0, &mem, NULL));
    chain *c = open_chain(&j, &ONE_SHARD, mem, &out);
    c->times->snapshot = NULL;
    c->shard[0]->snapshot = NULL;
    rows[0] = (event){.t = 1};
    CHECK_OK(chain_feed(c, rows, 1, 1, NULL));
    stop(c);
    CHECK_EQ(c->states.count, 0);
    CHECK_EQ(c->end[0].barriers, 1);
    close_chain(c, mem);
}

int main(void)
{
    RUN(a_restored_run_gives_the_same_answer);
    RUN(floats_are_the_same_to_the_last_bit);
    RUN(empty_and_finished_states_restore);
    RUN(what_has_left_does_not_leave_again);
    RUN(large_state_travels_in_several_batches);
    RUN(wide_rows_travel_in_small_batches);
    RUN(rows_waiting_to_be_written_keep_their_keys);
    RUN(nobody_asking_is_no_state);
    return 0;
}
