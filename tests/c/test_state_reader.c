/* test_state_reader.c -- the state of one barrier is one sequence with one end, whichever thread
 * asks and however many tasks there are; a task that has ended is part of it. */
#include "check.h"
#include "flow_engine.h"

/* Two sums over all keys, one an input, side by side. */
static ps_plan *two_sums(ps_mem *mem)
{
    ps_plan *plan;
    ps_expr *expr;
    int32_t sums[2], value, node;
    const ps_window none = {.kind = PS_WINDOW_NONE};
    CHECK_OK(ps_plan_create(mem, &plan, NULL));
    CHECK_OK(ps_expr_create(mem, &expr, NULL));
    CHECK_OK(ps_expr_column(expr, "value", &value, NULL));
    const ps_agg_spec specs[] = {
        {.function = PS_AGG_COUNT, .name = "n", .input = -1, .weight = -1},
        {.function = PS_AGG_SUM, .name = "total", .input = value, .weight = -1}};
    for (int32_t i = 0; i < 2; i++) {
        ArrowSchema schema;
        flow_schema(&schema);
        CHECK_OK(ps_plan_source(plan, "rows", &schema, &node, NULL));
        CHECK_OK(
            ps_plan_aggregate(plan, node, expr, NULL, NULL, 0, &none, specs, 2, &sums[i], NULL));
    }
    CHECK_OK(ps_plan_union(plan, sums, 2, &node, NULL));
    CHECK_OK(ps_plan_sink(plan, node, &node, NULL));
    ps_expr_destroy(expr);
    return plan;
}

/* Every thread's work for a moment, in this one. */
static ps_drive_state turn(ps_engine *engine, flow_results *results)
{
    ps_drive_state state;
    CHECK_OK(ps_engine_drive(engine, 0, NULL, 100000, 1, 0, &state, NULL));
    for (int32_t i = 0; i < ps_engine_worker_count(engine); i++) {
        for (bool progress = true; progress;) {
            CHECK_OK(ps_engine_step(engine, i, &progress, NULL));
        }
    }
    flow_poll(engine, results);
    return state;
}

static void push(ps_engine *engine, int32_t input, int64_t rows)
{
    ArrowArray array;
    flow_array(&array, rows, 0, 7);
    CHECK_OK(ps_engine_push(engine, input, &array, NULL));
}

static void run_until_state(ps_engine *engine, int64_t epoch, flow_states *states,
                            flow_results *results)
{
    for (int64_t n = 0; states->ended < epoch || results->barrier < epoch; n++) {
        CHECK(n < 10000);
        (void)turn(engine, results);
        flow_take_states(engine, states);
    }
}

static void one_barrier_at_a_time(void)
{
    for (int32_t shards = 1; shards <= 3; shards++) {
        ps_mem *const mem = flow_begin();
        ps_plan *plan;
        ps_engine *engine;
        ps_error err;
        flow_results *const results = calloc(1, sizeof(*results));
        flow_states *const states = calloc(1, sizeof(*states));
        *results = (flow_results){.barrier = -1};
        states->ended = -1;
        CHECK_OK(flow_sum_plan(mem, false, &plan, NULL));
        CHECK_OK(ps_engine_create(plan, mem, shards, true, &engine, NULL));
        ps_plan_release(plan);
        for (int64_t epoch = 1; epoch < 5; epoch++) {
            push(engine, 0, 100);
            CHECK_OK(ps_engine_barrier(engine, epoch, epoch != 3, NULL));
            while (results->barrier < epoch) {
                (void)turn(engine, results);
            }
            CHECK_EQ(ps_engine_barrier(engine, epoch, true, &err), PS_INVALID); /* state is out */
            run_until_state(engine, epoch, states, results);
            CHECK_EQ(states->ended, epoch);
            CHECK(states->count >= shards); /* progress at least */
            flow_drop_states(states);
        }
        ps_engine_release(engine);
        free(states);
        free(results);
        flow_end(mem);
    }
}

/* A driving thread that takes no input, because it stops behind the barrier, hands out its own. */
static void state_leaves_without_input(void)
{
    ps_mem *const mem = flow_begin();
    ps_plan *plan;
    ps_engine *engine;
    flow_results *const results = calloc(1, sizeof(*results));
    flow_states *const states = calloc(1, sizeof(*states));
    *results = (flow_results){.barrier = -1};
    states->ended = -1;
    CHECK_OK(flow_sum_plan(mem, false, &plan, NULL));
    CHECK_OK(ps_engine_create(plan, mem, 1, true, &engine, NULL));
    ps_plan_release(plan);
    push(engine, 0, 100);
    CHECK_OK(ps_engine_barrier(engine, 1, true, NULL));
    while (results->barrier < 1) {
        (void)turn(engine, results);
    }
    for (bool worked = true; worked;) {
        CHECK_OK(ps_engine_copy_state(engine, &worked, NULL));
    }
    flow_take_states(engine, states);
    CHECK_EQ(states->ended, 1);
    flow_drop_states(states);
    ps_engine_release(engine);
    free(states);
    free(results);
    flow_end(mem);
}

static void changes_need_tracking(void)
{
    ps_mem *const mem = flow_begin();
    ps_plan *plan;
    ps_engine *engine;
    ps_error err;
    CHECK_OK(flow_sum_plan(mem, false, &plan, NULL));
    CHECK_OK(ps_engine_create(plan, mem, 1, false, &engine, NULL));
    ps_plan_release(plan);
    CHECK_EQ(ps_engine_barrier(engine, 1, false, &err), PS_INVALID);
    CHECK_OK(ps_engine_barrier(engine, 1, true, NULL));
    ps_engine_release(engine); /* with state that nobody took */
    flow_end(mem);
}

/* The first input ends before the barrier: its sum has left, and a restored run must not give it
 * again, although its own input ends at once. */
static void a_task_that_has_ended_is_part_of_the_state(void)
{
    for (int32_t shards = 1; shards <= 3; shards++) {
        ps_mem *const mem = flow_begin();
        ps_plan *const plan = two_sums(mem);
        ps_engine *before, *after;
        flow_results *const results = calloc(1, sizeof(*results));
        flow_states *const states = calloc(1, sizeof(*states));
        *results = (flow_results){.barrier = -1};
        states->ended = -1;
        CHECK_OK(ps_engine_create(plan, mem, shards, true, &before, NULL));
        CHECK_OK(ps_engine_create(plan, mem, 4 - shards, true, &after, NULL));
        ps_plan_release(plan);
        push(before, 0, 10);
        CHECK_OK(ps_engine_finish_input(before, 0, NULL));
        for (int64_t epoch = 1; epoch < 4; epoch++) { /* it is part of each */
            push(before, 1, 10);
            CHECK_OK(ps_engine_barrier(before, epoch, epoch == 1, NULL));
            flow_drop_states(states);
            run_until_state(before, epoch, states, results);
            CHECK_EQ(results->rows, 1);
            CHECK(states->count >= 3); /* two progresses, one sum */
        }
        for (int64_t i = 0; i < states->count; i++) {
            CHECK_OK(ps_engine_restore(after, states->pieces[i].operator_id,
                                       states->pieces[i].batch, -1, NULL));
        }
        flow_drop_states(states);
        ps_engine_release(before);
        CHECK_OK(ps_engine_finish_input(after, 0, NULL));
        CHECK_OK(ps_engine_finish_input(after, 1, NULL));
        while (turn(after, results) != PS_DRIVE_DONE) {
        }
        CHECK_EQ(results->rows, 2); /* one before, the other after */
        CHECK_EQ(results->totals[30], 135);
        ps_engine_release(after);
        free(states);
        free(results);
        flow_end(mem);
    }
}

/* All of a barrier's state, which comes without another turn. */
static ps_status read_to_the_end(ps_engine *engine, ps_error *err)
{
    ps_state_piece piece = {.kind = PS_STATE_NONE};
    while (piece.kind != PS_STATE_END) {
        PS_TRY(ps_engine_next_state(engine, 0, &piece, err));
        CHECK(piece.kind != PS_STATE_NONE);
        ps_batch_release(piece.batch);
    }
    return PS_OK;
}

/* The reader freezes and copies for tasks that have ended. Where there is no memory for that, rows
 * are missing, and nobody may take what follows for a whole. */
static void state_that_cannot_be_read_is_a_failure(void)
{
    int64_t refused = 0;
    ps_status status = PS_NO_MEMORY;
    for (int64_t nth = 1; status != PS_OK; nth++) {
        ps_mem *const mem = flow_begin();
        ps_plan *const plan = two_sums(mem);
        ps_engine *engine;
        flow_results *const results = calloc(1, sizeof(*results));
        CHECK_OK(ps_engine_create(plan, mem, 2, true, &engine, NULL));
        ps_plan_release(plan);
        push(engine, 0, 10);
        CHECK_OK(ps_engine_finish_input(engine, 0, NULL));
        push(engine, 1, 10);
        CHECK_OK(ps_engine_barrier(engine, 1, true, NULL));
        for (int32_t i = 0; i < 20; i++) { /* until all of it is done or waits for the reader */
            (void)turn(engine, results);
        }
        ps_error err = {0}, kept = {0};
        ps_mem_fail_at(mem, nth);
        status = read_to_the_end(engine, &err);
        ps_mem_fail_at(mem, 0);
        if (status != PS_OK) {
            ps_state_piece piece;
            ps_drive_state state;
            refused++;
            CHECK_EQ(status, PS_NO_MEMORY);
            CHECK_EQ(ps_engine_failure(engine, &kept), PS_NO_MEMORY);
            CHECK_STR(kept.text, err.text);
            CHECK_EQ(ps_engine_next_state(engine, 0, &piece, NULL), PS_NO_MEMORY);
            CHECK_EQ(ps_engine_drive(engine, 0, NULL, 1, 1, 0, &state, NULL), PS_NO_MEMORY);
        }
        free(results);
        ps_engine_release(engine);
        flow_end(mem);
    }
    CHECK(refused > 3);
}

typedef struct reader {
    ps_engine *engine;
    pthread_t thread;
    int64_t pieces, rows, ends;
    ps_status status;
} reader;

static void *read_all(void *argument)
{
    reader *const r = argument;
    ps_error err;
    for (;;) {
        ps_state_piece piece;
        r->status = ps_engine_next_state(r->engine, -1, &piece, &err);
        if (r->status != PS_OK) {
            return NULL;
        }
        CHECK(piece.kind != PS_STATE_NONE);
        r->ends += piece.kind == PS_STATE_END;
        r->pieces += piece.kind == PS_STATE_PIECE;
        r->rows += piece.batch == NULL ? 0 : piece.batch->length;
        ps_batch_release(piece.batch);
    }
}

/* Rows go on, shards copy, a thread of its own reads; at the end it is woken by cancel. */
static void another_thread_reads_while_rows_go_on(void)
{
    enum { KEYS = 2000, BATCHES = 400, EACH = 1000, MILLISECOND_NS = 1000000 };
    for (int32_t shards = 1; shards <= 3; shards++) {
        ps_mem *const mem = flow_begin();
        ps_plan *plan;
        flow_shard threads[SHARDS_MAX];
        flow_results *const results = calloc(1, sizeof(*results));
        *results = (flow_results){.barrier = -1};
        reader r = {0};
        CHECK_OK(flow_sum_plan(mem, false, &plan, NULL));
        CHECK_OK(ps_engine_create(plan, mem, shards, true, &r.engine, NULL));
        ps_plan_release(plan);
        flow_start(r.engine, threads);
        CHECK_EQ(pthread_create(&r.thread, NULL, read_all, &r), 0);
        int64_t epoch = 0;
        ps_drive_state state = PS_DRIVE_MORE;
        for (int64_t n = 0; n < BATCHES; n++) {
            ArrowArray array;
            ps_error err;
            flow_array(&array, EACH, n * EACH, KEYS);
            CHECK_OK(ps_engine_push(r.engine, 0, &array, NULL));
            if (ps_engine_barrier(r.engine, epoch + 1, epoch % 3 == 0, &err) == PS_OK) {
                epoch++;
            }
            CHECK_OK(ps_engine_drive(r.engine, 0, NULL, EACH, 1, MILLISECOND_NS, &state, NULL));
            flow_poll(r.engine, results);
        }
        CHECK_OK(ps_engine_finish_input(r.engine, 0, NULL));
        while (state != PS_DRIVE_DONE) {
            CHECK_OK(ps_engine_drive(r.engine, 0, NULL, 1, 1, MILLISECOND_NS, &state, NULL));
            flow_poll(r.engine, results);
        }
        flow_join(r.engine, threads);
        for (int64_t key = 0; key < KEYS; key++) {
            CHECK_EQ(results->totals[key], flow_total(0, BATCHES * EACH, KEYS, key));
        }
        ps_engine_cancel(r.engine);
        CHECK_EQ(pthread_join(r.thread, NULL), 0);
        CHECK_EQ(r.status, PS_CANCELLED);
        CHECK(r.ends > 0 && r.ends <= epoch && r.rows >= r.pieces);
        ps_engine_release(r.engine);
        free(results);
        flow_end(mem);
    }
}

int main(void)
{
    RUN(one_barrier_at_a_time);
    RUN(state_leaves_without_input);
    RUN(changes_need_tracking);
    RUN(a_task_that_has_ended_is_part_of_the_state);
    RUN(state_that_cannot_be_read_is_a_failure);
    RUN(another_thread_reads_while_rows_go_on);
    return 0;
}
