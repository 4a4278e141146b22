/* test_engine.c -- whole engines: the same answer for every number of shards and every cut of the
 * input, backpressure, barriers and restored state, failures, shutdown in every order. */
#include "check.h"
#include "flow_engine.h"

enum { SECOND_NS = 1000000000, MILLISECOND_NS = 1000000 };

/* Drives until the stream has ended and everything is out. */
static void drive_all(ps_engine *engine, ArrowArrayStream *stream, flow_results *results)
{
    ps_drive_state state = PS_DRIVE_MORE;
    while (state != PS_DRIVE_DONE) {
        ps_error err;
        ps_error_clear(&err);
        const ps_status status =
            ps_engine_drive(engine, 0, stream, 5000, 100, SECOND_NS, &state, &err);
        if (status != PS_OK) {
            CHECK_FAIL("drive failed: %s", err.text);
        }
        CHECK(state != PS_DRIVE_STARVED);
        if (state == PS_DRIVE_SOURCE_END) {
            CHECK_OK(ps_engine_finish_input(engine, 0, NULL));
            stream = NULL;
        }
        flow_poll(engine, results);
    }
    CHECK(results->ended);
    CHECK_EQ(flow_watermark(engine), PS_TIME_MAX);
}

static void run_sum(int32_t shards, int64_t total, int64_t each, int64_t keys, bool global)
{
    ps_mem *const mem = flow_begin();
    ps_plan *plan;
    ps_engine *engine;
    flow_shard threads[SHARDS_MAX];
    flow_results *const results = calloc(1, sizeof(*results));
    CHECK_OK(flow_sum_plan(mem, global, &plan, NULL));
    CHECK_OK(ps_engine_create(plan, mem, shards, true, &engine, NULL));
    ps_plan_release(plan);
    CHECK_EQ(ps_engine_worker_count(engine), shards == 1 ? 0 : shards);
    flow_start(engine, threads);
    flow_stream rows = {.total = total, .each = each, .keys = keys, .fail_at = -1};
    ArrowArrayStream stream;
    flow_stream_open(&stream, &rows);
    drive_all(engine, &stream, results);
    flow_join(engine, threads);
    for (int32_t i = 0; i < ps_engine_worker_count(engine); i++) {
        CHECK_OK(threads[i].status);
    }
    if (!global) {
        CHECK_EQ(results->rows, keys);
        for (int64_t key = 0; key < keys; key += 7) {
            CHECK_EQ(results->totals[key], flow_total(0, total, keys, key));
        }
    } else {
        CHECK_EQ(results->rows, 1);
    }
    ps_engine_release(engine);
    free(results);
    flow_end(mem);
}

static void sums_agree_for_every_shard_count_and_cut(void)
{
    for (int32_t shards = 1; shards <= SHARDS_MAX; shards++) {
        run_sum(shards, 20000, 100, 50, false);
        run_sum(shards, 200000, 70000, 1000, false); /* larger than a batch may be: cut */
        run_sum(shards, 10, 1, 10, false);
    }
}

static void no_rows_at_all_end_too(void)
{
    for (int32_t shards = 1; shards <= 3; shards++) {
        run_sum(shards, 0, 1, 0, false);
    }
}

/* One thread turns driver and shards in an order drawn from a seed. */
static void run_seeded(uint64_t seed, int32_t shards)
{
    ps_mem *const mem = flow_begin();
    ps_plan *plan;
    ps_engine *engine;
    flow_results *const results = calloc(1, sizeof(*results));
    CHECK_OK(flow_sum_plan(mem, false, &plan, NULL));
    CHECK_OK(ps_engine_create(plan, mem, shards, true, &engine, NULL));
    ps_plan_release(plan);
    flow_stream rows = {
        .total = 30000, .each = 1 + (int64_t)(seed % 700), .keys = 97, .fail_at = -1};
    ArrowArrayStream stream;
    flow_stream_open(&stream, &rows);
    ArrowArrayStream *given = &stream;
    ps_drive_state state = PS_DRIVE_MORE;
    bool full = false;
    while (state != PS_DRIVE_DONE) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        const int32_t turn = (int32_t)((seed >> 33) % (uint64_t)(shards + 1));
        if (turn < shards) {
            bool progress;
            CHECK_OK(ps_engine_step(engine, turn, &progress, NULL));
            continue;
        }
        CHECK_OK(ps_engine_drive(engine, 0, given, 2000, 10, 0, &state, NULL));
        full = full || state == PS_DRIVE_FULL;
        if (state == PS_DRIVE_SOURCE_END) {
            CHECK_OK(ps_engine_finish_input(engine, 0, NULL));
            given = NULL;
        }
        if ((seed >> 40) % 3 == 0) {
            flow_poll(engine, results);
        }
    }
    for (int64_t key = 0; key < 97; key++) {
        CHECK_EQ(results->totals[key], flow_total(0, 30000, 97, key));
    }
    ps_engine_release(engine);
    free(results);
    flow_end(mem);
}

static void any_order_of_turns_gives_the_same_answer(void)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run_seeded(seed, 2 + (int32_t)(seed % 2));
    }
}

static void rows_pass_a_plain_plan_in_order(void)
{
    for (int32_t shards = 1; shards <= 2; shards++) {
        ps_mem *const mem = flow_begin();
        ps_plan *const plan = flow_plain_plan(mem, 1);
        ps_engine *engine;
        CHECK_OK(ps_engine_create(plan, mem, shards, true, &engine, NULL));
        ps_plan_release(plan);
        CHECK_EQ(ps_engine_worker_count(engine), 0);
        flow_stream rows = {.total = 1000, .each = 33, .keys = 10, .fail_at = -1};
        ArrowArrayStream stream;
        flow_stream_open(&stream, &rows);
        int64_t next = 0;
        ps_drive_state state = PS_DRIVE_MORE;
        while (state != PS_DRIVE_SOURCE_END) {
            CHECK_OK(ps_engine_drive(engine, 0, &stream, 100, 0, 0, &state, NULL));
            ps_message message;
            for (ps_engine_poll(engine, &message); message.kind != PS_MESSAGE_NONE;
                 ps_engine_poll(engine, &message)) {
                for (int64_t i = 0; i < ps_message_rows(&message); i++) {
                    CHECK_EQ(flow_values(message.batch, 1)[i], next);
                    next++;
                }
                ps_message_clear(&message);
            }
        }
        CHECK_EQ(next, 1000);
        CHECK_OK(ps_engine_drive(engine, 0, NULL, 100, 0, 0, &state, NULL));
        CHECK_EQ(state, PS_DRIVE_STARVED);
        ps_engine_release(engine); /* never finished */
        flow_end(mem);
    }
}

static void a_union_waits_for_its_slowest_input(void)
{
    ps_mem *const mem = flow_begin();
    ps_plan *const plan = flow_plain_plan(mem, 3);
    ps_engine *engine;
    flow_results *const results = calloc(1, sizeof(*results));
    *results = (flow_results){.barrier = -1};
    CHECK_OK(ps_engine_create(plan, mem, 1, true, &engine, NULL));
    ps_plan_release(plan);
    ps_drive_state state;
    for (int32_t i = 0; i < 3; i++) {
        ps_batch *const batch = flow_batch(mem, 10, i * 10, 5);
        CHECK_OK(ps_engine_push_batch(engine, i, batch, NULL));
        ps_batch_release(batch);
        CHECK_OK(ps_engine_push_watermark(engine, i, 100 + i, NULL));
        CHECK_OK(ps_engine_push_watermark(engine, i, 50, NULL)); /* never back */
    }
    CHECK_OK(ps_engine_barrier(engine, 3, true, NULL));
    ps_error err;
    CHECK_EQ(ps_engine_barrier(engine, 4, true, &err), PS_INVALID);
    CHECK_OK(ps_engine_drive(engine, 0, NULL, 1000, 1000, 0, &state, NULL));
    CHECK_EQ(state, PS_DRIVE_OUTPUT);
    flow_poll(engine, results);
    CHECK_EQ(results->rows, 30);
    CHECK_EQ(flow_watermark(engine), 100);
    CHECK_EQ(results->barrier, 3);
    CHECK_OK(ps_engine_finish_input(engine, 0, NULL));
    CHECK_EQ(ps_engine_finish_input(engine, 0, &err), PS_INVALID);
    CHECK_OK(ps_engine_drive(engine, 0, NULL, 1000, 1000, 0, &state, NULL));
    CHECK_EQ(state, PS_DRIVE_STARVED);
    flow_poll(engine, results);
    CHECK_EQ(flow_watermark(engine), 101);
    CHECK_OK(ps_engine_finish_input(engine, 1, NULL));
    CHECK_OK(ps_engine_finish_input(engine, 2, NULL));
    CHECK_EQ(ps_engine_barrier(engine, 4, true, &err), PS_INVALID); /* nothing follows an end */
    CHECK_OK(ps_engine_drive(engine, 0, NULL, 1000, 1000, 0, &state, NULL));
    CHECK_EQ(state, PS_DRIVE_OUTPUT);
    flow_poll(engine, results);
    CHECK(results->ended);
    CHECK_OK(ps_engine_drive(engine, 0, NULL, 1000, 1000, 0, &state, NULL));
    CHECK_EQ(state, PS_DRIVE_DONE);
    ps_engine_release(engine);
    free(results);
    flow_end(mem);
}

static void full_rings_stop_the_input(void)
{
    ps_mem *const mem = flow_begin();
    ps_plan *plan;
    ps_engine *engine;
    CHECK_OK(flow_sum_plan(mem, false, &plan, NULL));
    CHECK_OK(ps_engine_create(plan, mem, 2, true, &engine, NULL));
    ps_plan_release(plan);
    flow_stream rows = {.total = 1000000, .each = 100, .keys = 10, .fail_at = -1};
    ArrowArrayStream stream;
    flow_stream_open(&stream, &rows);
    ps_drive_state state;
    const int64_t limit_ns = 20000000; /* no shard runs */
    do {                               /* on a slow machine a call ends before the rings are full */
        CHECK_OK(ps_engine_drive(engine, 0, &stream, 1000000, 1, limit_ns, &state, NULL));
    } while (state == PS_DRIVE_MORE);
    CHECK_EQ(state, PS_DRIVE_FULL);
    CHECK(rows.next < 50000);
    CHECK_OK(ps_engine_drive(engine, 0, &stream, 1000000, 1, limit_ns, &state, NULL));
    CHECK_EQ(state, PS_DRIVE_FULL);
    ps_operator_metrics metrics;
    bool blocked = false;
    bool fed = false;
    int64_t before_ns = 0;
    int64_t after_ns = 0;
    for (int32_t i = 0; i < ps_engine_metrics_count(engine); i++) {
        ps_engine_metrics(engine, i, &metrics);
        blocked = blocked || (strcmp(metrics.name, "exchange") == 0 &&
                              metrics.blocked_ns >= limit_ns && metrics.rows_in > 0);
        before_ns += metrics.blocked_ns;
        ps_engine_metrics(engine, i, &metrics);
        after_ns += metrics.blocked_ns;
        fed = fed || (strcmp(metrics.name, "aggregate") == 0 && metrics.ring_capacity > 0 &&
                      metrics.ring_used == metrics.ring_capacity);
    }
    CHECK(blocked);
    CHECK(after_ns > before_ns); /* nobody drives, and the rings stay full */
    CHECK(fed);
    CHECK(ps_engine_memory_used(engine) > 0);
    CHECK(ps_engine_memory_peak(engine) >= ps_engine_memory_used(engine));
    ps_engine_release(engine); /* with full rings */
    flow_end(mem);
}

/* Takes what the shards have left, while they run: the one key has all rows, on one shard. */
static int64_t take_hot_keys(ps_engine *engine)
{
    int64_t taken = 0;
    for (int32_t i = 0; i < ps_engine_metrics_count(engine); i++) {
        ps_batch *const batch = ps_engine_take_hot_keys(engine, i);
        if (batch != NULL) { /* key | .samples | .of */
            CHECK_EQ(batch->length, 1);
            CHECK_EQ(flow_values(batch, 0)[0], 0);
            CHECK(flow_values(batch, 1)[0] >= 256);
            CHECK_EQ(flow_values(batch, 1)[0], flow_values(batch, 2)[0]);
            ps_batch_release(batch);
            taken++;
        }
    }
    return taken;
}

static void hot_keys_are_told_while_shards_run(void)
{
    ps_mem *const mem = flow_begin();
    ps_plan *plan;
    ps_engine *engine;
    flow_shard shards[SHARDS_MAX];
    flow_results *const results = calloc(1, sizeof(*results));
    CHECK_OK(flow_sum_plan(mem, false, &plan, NULL));
    CHECK_OK(ps_engine_create(plan, mem, 2, false, &engine, NULL));
    ps_plan_release(plan);
    flow_stream rows = {.total = 1000000, .each = 1000, .keys = 1, .fail_at = -1};
    ArrowArrayStream stream;
    flow_stream_open(&stream, &rows);
    ArrowArrayStream *given = &stream;
    int64_t taken = 0;
    flow_start(engine, shards);
    ps_drive_state state = PS_DRIVE_MORE;
    while (state != PS_DRIVE_DONE) {
        CHECK_OK(ps_engine_drive(engine, 0, given, 2000, 1, 1000000, &state, NULL));
        if (state == PS_DRIVE_SOURCE_END) {
            CHECK_OK(ps_engine_finish_input(engine, 0, NULL));
            given = NULL;
        }
        flow_poll(engine, results);
        taken += take_hot_keys(engine);
    }
    flow_join(engine, shards);
    CHECK(taken + take_hot_keys(engine) > 0);
    ps_engine_release(engine);
    free(results);
    flow_end(mem);
}

/* Half the input, a barrier, the state into a fresh engine of another size, the other half. */
static void run_restored(int32_t shards_before, int32_t shards_after)
{
    ps_mem *const mem = flow_begin();
    ps_plan *plan;
    ps_engine *before;
    ps_engine *after;
    flow_shard threads[SHARDS_MAX];
    flow_states *const states = calloc(1, sizeof(*states));
    states->ended = -1;
    flow_results *const results = calloc(1, sizeof(*results));
    *results = (flow_results){.barrier = -1};
    CHECK_OK(flow_sum_plan(mem, false, &plan, NULL));
    CHECK_OK(ps_engine_create(plan, mem, shards_before, shards_after != 2, &before, NULL));
    CHECK_OK(ps_engine_create(plan, mem, shards_after, true, &after, NULL));
    ps_plan_release(plan);
    flow_start(before, threads);
    ArrowArray array;
    flow_array(&array, 5000, 0, 61);
    CHECK_OK(ps_engine_push(before, 0, &array, NULL));
    CHECK_OK(ps_engine_barrier(before, 9, true, NULL));
    flow_array(&array, 700, 90000, 61); /* behind the barrier: not in the state */
    CHECK_OK(ps_engine_push(before, 0, &array, NULL));
    ps_drive_state state = PS_DRIVE_MORE;
    while (results->barrier < 0 || states->ended < 0) {
        CHECK_OK(ps_engine_drive(before, 0, NULL, 100000, 1, MILLISECOND_NS, &state, NULL));
        flow_poll(before, results);
        flow_take_states(before, states);
    }
    CHECK_EQ(results->barrier, 9);
    CHECK_EQ(states->ended, 9);
    CHECK(states->count >= 1);
    for (int64_t i = 0; i < states->count; i++) {
        const ps_state_piece *const piece = &states->pieces[i];
        CHECK(piece->shard < shards_before);
        CHECK_OK(ps_engine_restore(after, piece->operator_id, piece->batch, -1, NULL));
        CHECK_EQ(ps_engine_restore(after, 77, piece->batch, -1, NULL), PS_INVALID);
    }
    flow_drop_states(states);
    ps_engine_cancel(before);
    flow_join(before, threads);
    for (int32_t i = 0; i < ps_engine_worker_count(before); i++) {
        CHECK_EQ(threads[i].status, PS_CANCELLED);
    }
    CHECK_EQ(ps_engine_drive(before, 0, NULL, 1, 1, 0, &state, NULL), PS_CANCELLED);
    ps_engine_release(before);
    flow_start(after, threads);
    flow_stream rows = {.total = 9000, .each = 400, .next = 5000, .keys = 61, .fail_at = -1};
    ArrowArrayStream stream;
    flow_stream_open(&stream, &rows);
    drive_all(after, &stream, results);
    flow_join(after, threads);
    for (int64_t key = 0; key < 61; key++) {
        CHECK_EQ(results->totals[key], flow_total(0, 9000, 61, key));
    }
    ps_engine_release(after);
    free(states);
    free(results);
    flow_end(mem);
}

static void state_restores_into_any_shard_count(void)
{
    for (int32_t before = 1; before <= 3; before++) {
        for (int32_t after = 1; after <= 3; after++) {
            run_restored(before, after);
        }
    }
}

static void a_failing_stream_leaves_the_engine_sound(void)
{
    ps_mem *const mem = flow_begin();
    ps_plan *const plan = flow_plain_plan(mem, 1);
    ps_engine *engine;
    CHECK_OK(ps_engine_create(plan, mem, 1, true, &engine, NULL));
    ps_plan_release(plan);
    flow_stream rows = {.total = 1000, .each = 100, .keys = 10, .fail_at = 300};
    ArrowArrayStream stream;
    flow_stream_open(&stream, &rows);
    ps_drive_state state;
    ps_error err;
    ps_error_clear(&err);
    CHECK_EQ(ps_engine_drive(engine, 0, &stream, 10000, 10000, 0, &state, &err), PS_SOURCE);
    CHECK_STR(err.text, "source 'rows' failed: the cable is cut");
    CHECK_STR(err.operator_name, "rows");
    CHECK_OK(ps_engine_failure(engine, NULL));
    flow_results *const results = calloc(1, sizeof(*results));
    flow_poll(engine, results);
    CHECK_EQ(results->rows, 300);
    rows.fail_at = -1;
    drive_all(engine, &stream, results); /* the cable is mended */
    CHECK_EQ(results->rows, 1000);
    ps_engine_release(engine);
    free(results);
    flow_end(mem);
}

/* Memory refused in the midst of pulling: what the engine had taken from the stream by then is
 * kept, or the engine says that it has failed. */
static void rows_that_were_pulled_are_not_lost_without_a_word(void)
{
    ps_status status = PS_NO_MEMORY;
    int64_t went_on = 0, failed = 0;
    for (int64_t nth = 1; status != PS_OK; nth++) {
        ps_mem *const mem = flow_begin();
        ps_plan *const plan = flow_plain_plan(mem, 1);
        ps_engine *engine;
        flow_results *const results = calloc(1, sizeof(*results));
        CHECK_OK(ps_engine_create(plan, mem, 1, true, &engine, NULL));
        ps_plan_release(plan);
        flow_stream rows = {.total = 60000, .each = 20000, .keys = 10, .fail_at = -1};
        ArrowArrayStream stream;
        flow_stream_open(&stream, &rows);
        ps_drive_state state;
        ps_mem_fail_at(mem, nth);
        status = ps_engine_drive(engine, 0, &stream, 100000, 100000, 0, &state, NULL);
        ps_mem_fail_at(mem, 0);
        if (ps_engine_failure(engine, NULL) == PS_OK) {
            went_on += status != PS_OK;
            flow_poll(engine, results);
            drive_all(engine, &stream, results);
            CHECK_EQ(results->rows, rows.total);
        } else {
            failed++;
            CHECK_EQ(ps_engine_failure(engine, NULL), status);
        }
        free(results);
        ps_engine_release(engine);
        flow_end(mem);
    }
    CHECK(went_on > 0 && failed > 3);
}

static void wrong_calls_are_refused(void)
{
    ps_mem *const mem = flow_begin();
    ps_plan *const plan = flow_plain_plan(mem, 1);
    ps_engine *engine;
    ps_error err;
    CHECK_EQ(ps_engine_create(plan, mem, 0, true, &engine, &err), PS_INVALID);
    CHECK_EQ(ps_engine_create(plan, mem, 2000, true, &engine, &err), PS_INVALID);
    CHECK_OK(ps_engine_create(plan, mem, 1, true, &engine, NULL));
    ps_plan_release(plan);
    ArrowArray array;
    flow_array(&array, 10, 0, 5);
    CHECK_EQ(ps_engine_push(engine, 3, &array, &err), PS_INVALID);
    CHECK(array.release != NULL);
    CHECK_OK(ps_engine_finish_input(engine, 0, NULL));
    CHECK_EQ(ps_engine_push(engine, 0, &array, &err), PS_INVALID);
    CHECK_STR(err.text, "input 'rows' is finished: nothing can be added to it");
    array.release(&array);
    CHECK_EQ(ps_engine_work(engine, 7, &err), PS_INVALID);
    bool progress;
    CHECK_EQ(ps_engine_step(engine, -1, &progress, &err), PS_INVALID);
    ps_engine_release(engine);
    flow_end(mem);
}

/* A shard without memory stops everybody; everything is given back in whatever state it is. */
static void a_failing_shard_stops_the_job(void)
{
    for (int64_t nth = 1; nth < 400; nth += 23) {
        ps_mem *const mem = flow_begin();
        ps_plan *plan;
        ps_engine *engine;
        flow_shard threads[SHARDS_MAX];
        CHECK_OK(flow_sum_plan(mem, false, &plan, NULL));
        CHECK_OK(ps_engine_create(plan, mem, 3, true, &engine, NULL));
        ps_plan_release(plan);
        flow_start(engine, threads);
        ps_mem_fail_at(mem, nth);
        flow_stream rows = {.total = 100000, .each = 50, .keys = 1000, .fail_at = -1};
        ArrowArrayStream stream;
        flow_stream_open(&stream, &rows);
        ps_drive_state state = PS_DRIVE_MORE;
        ps_status status = PS_OK;
        ps_error err;
        ps_error_clear(&err);
        while (status == PS_OK) {
            status = ps_engine_drive(engine, 0, &stream, 100, 10, SECOND_NS, &state, &err);
        }
        CHECK_EQ(status, PS_NO_MEMORY);
        ps_engine_cancel(engine);
        flow_join(engine, threads);
        ps_engine_release(engine);
        flow_end(mem);
    }
}

/* The whole life of an engine with the nth allocation refused: an error, and nothing is left. */
static ps_status live_once(ps_mem *mem, int32_t shards, bool global)
{
    ps_plan *plan;
    ps_engine *engine;
    PS_TRY(flow_sum_plan(mem, global, &plan, NULL));
    ps_status status = ps_engine_create(plan, mem, shards, true, &engine, NULL);
    ps_plan_release(plan);
    PS_TRY(status);
    ArrowArray array;
    flow_array(&array, 3000, 0, 500);
    status = ps_engine_push(engine, 0, &array, NULL);
    if (array.release != NULL) {
        array.release(&array);
    }
    if (status == PS_OK) {
        status = ps_engine_barrier(engine, 1, true, NULL);
    }
    if (status == PS_OK) {
        status = ps_engine_finish_input(engine, 0, NULL);
    }
    ps_drive_state state = PS_DRIVE_MORE;
    flow_results *const results = calloc(1, sizeof(*results));
    while (status == PS_OK && state != PS_DRIVE_DONE) {
        status = ps_engine_drive(engine, 0, NULL, 500, 1, 0, &state, NULL);
        flow_poll(engine, results);
        for (int32_t i = 0; i < shards && status == PS_OK; i++) {
            bool progress;
            status = ps_engine_step(engine, i, &progress, NULL);
        }
        ps_state_piece piece = {.kind = PS_STATE_NONE};
        if (status == PS_OK) {
            status = ps_engine_next_state(engine, 0, &piece, NULL);
            ps_batch_release(piece.batch);
        }
    }
    CHECK(status != PS_OK || results->rows == (global ? 1 : 500));
    free(results);
    ps_engine_release(engine);
    return status;
}

static void every_refused_allocation_is_an_error_without_a_leak(void)
{
    for (int32_t shards = 1; shards <= 3; shards += 2) {
        ps_status status = PS_NO_MEMORY;
        for (int64_t nth = 1; status != PS_OK; nth++) {
            ps_mem *const mem = flow_begin();
            ps_mem_fail_at(mem, nth);
            status = live_once(mem, shards, false);
            CHECK(status == PS_OK || status == PS_NO_MEMORY);
            CHECK(status == PS_OK || ps_mem_allocations(mem) >= nth);
            ps_mem_fail_at(mem, 0);
            flow_end(mem);
            CHECK(nth < 100000);
        }
    }
}

/* A barrier that finds no memory is nowhere, and the next one passes. */
static void a_refused_barrier_holds_nobody_up(void)
{
    int64_t refused = 0;
    for (int64_t nth = 1, passed = 0; passed == 0; nth++) {
        ps_mem *const mem = flow_begin();
        ps_plan *const plan = flow_plain_plan(mem, 2);
        ps_engine *engine;
        flow_results *const results = calloc(1, sizeof(*results));
        *results = (flow_results){.barrier = -1};
        CHECK_OK(ps_engine_create(plan, mem, 1, true, &engine, NULL));
        ps_plan_release(plan);
        ps_mem_fail_at(mem, nth);
        const ps_status status = ps_engine_barrier(engine, 3, true, NULL);
        ps_mem_fail_at(mem, 0);
        passed = status == PS_OK;
        refused += status == PS_NO_MEMORY;
        CHECK(passed || status == PS_NO_MEMORY);
        if (!passed) {
            CHECK_OK(ps_engine_barrier(engine, 4, true, NULL));
        }
        ps_drive_state state;
        for (int32_t turns = 0; results->barrier < 0; turns++) {
            CHECK(turns < 1000);
            CHECK_OK(ps_engine_drive(engine, 0, NULL, 500, 1, 0, &state, NULL));
            flow_poll(engine, results);
        }
        CHECK_EQ(results->barrier, passed ? 3 : 4);
        ps_batch *const batch = flow_batch(mem, 10, 0, 5);
        for (int32_t i = 0; i < 2; i++) {
            CHECK_OK(ps_engine_push_batch(engine, i, batch, NULL));
            CHECK_OK(ps_engine_finish_input(engine, i, NULL));
        }
        ps_batch_release(batch);
        CHECK_OK(ps_engine_drive(engine, 0, NULL, 1000, 1000, 0, &state, NULL));
        flow_poll(engine, results);
        CHECK_EQ(results->rows, 20);
        CHECK(results->ended);
        free(results);
        ps_engine_release(engine);
        flow_end(mem);
    }
    CHECK_EQ(refused, 2); /* one an input */
}

/* Cancelled from another thread at any moment. */
static void *wake_soon(void *argument)
{
    ps_engine_wake(argument);
    return NULL;
}

/* A wake before the sleep and one during it both end it; without one the time does. */
static void a_wake_ends_the_drivers_sleep(void)
{
    ps_mem *const mem = flow_begin();
    ps_plan *plan;
    ps_engine *engine;
    CHECK_OK(flow_sum_plan(mem, false, &plan, NULL));
    CHECK_OK(ps_engine_create(plan, mem, 1, true, &engine, NULL));
    ps_plan_release(plan);
    ps_engine_wake(engine);
    ps_engine_wait(engine, -1);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, wake_soon, engine), 0);
    ps_engine_wait(engine, -1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    ps_engine_wait(engine, 1000);
    CHECK_EQ(ps_engine_input_rows(engine, 0), 0);
    CHECK_EQ(ps_engine_input_rows(engine, 1), -1);
    ps_engine_release(engine);
    flow_end(mem);
}

static void *cancel_soon(void *argument)
{
    flow_shard *const shard = argument;
    for (volatile int32_t i = 0; i < shard->index * 1000; i++) {
        CHECK(ps_engine_input_rows(shard->engine, 0) >= 0); /* as metrics do, meanwhile */
    }
    ps_engine_cancel(shard->engine);
    return NULL;
}

static void cancel_ends_everything_soon(void)
{
    for (int32_t delay = 0; delay < 200; delay += 10) {
        ps_mem *const mem = flow_begin();
        ps_plan *plan;
        ps_engine *engine;
        flow_shard threads[SHARDS_MAX];
        flow_shard canceller;
        CHECK_OK(flow_sum_plan(mem, false, &plan, NULL));
        CHECK_OK(ps_engine_create(plan, mem, 2, true, &engine, NULL));
        ps_plan_release(plan);
        flow_start(engine, threads);
        canceller = (flow_shard){.engine = engine, .index = delay};
        CHECK_EQ(pthread_create(&canceller.thread, NULL, cancel_soon, &canceller), 0);
        flow_stream rows = {.total = INT64_MAX, .each = 500, .keys = 100, .fail_at = -1};
        ArrowArrayStream stream;
        flow_stream_open(&stream, &rows);
        ps_drive_state state;
        ps_status status = PS_OK;
        while (status == PS_OK) {
            status = ps_engine_drive(engine, 0, &stream, 100000, 1, SECOND_NS, &state, NULL);
        }
        CHECK_EQ(status, PS_CANCELLED);
        flow_join(engine, threads);
        CHECK_EQ(pthread_join(canceller.thread, NULL), 0);
        ps_engine_release(engine);
        flow_end(mem);
    }
}

static void run_all(void)
{
    RUN(sums_agree_for_every_shard_count_and_cut);
    RUN(no_rows_at_all_end_too);
    RUN(any_order_of_turns_gives_the_same_answer);
    RUN(rows_pass_a_plain_plan_in_order);
    RUN(a_union_waits_for_its_slowest_input);
    RUN(full_rings_stop_the_input);
    RUN(hot_keys_are_told_while_shards_run);
    RUN(state_restores_into_any_shard_count);
    RUN(a_failing_stream_leaves_the_engine_sound);
    RUN(rows_that_were_pulled_are_not_lost_without_a_word);
    RUN(wrong_calls_are_refused);
    RUN(a_failing_shard_stops_the_job);
    RUN(every_refused_allocation_is_an_error_without_a_leak);
    RUN(a_refused_barrier_holds_nobody_up);
    RUN(a_wake_ends_the_drivers_sleep);
    RUN(cancel_ends_everything_soon);
}

/* Whether the driving thread processes the source side alone, or shards do too. */
int main(void)
{
    static const char *const TURNS[] = {"driver", "shards"};
    for (int32_t i = 0; i < 2; i++) {
        CHECK_EQ(setenv("PYSTREAM_SOURCE_TURNS", TURNS[i], 1), 0);
        run_all();
    }
    return 0;
}
