/* test_aggregate_snapshot.c -- stopped anywhere and restored into any number of shards, the answer
 * is that of a run that never stopped. */
#include "aggregate_kit.h"

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
    RUN(rows_waiting_to_be_written_keep_their_keys);
    RUN(nobody_asking_is_no_state);
    return 0;
}
