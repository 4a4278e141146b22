/* flow_engine.h -- streams, plans and shard threads for the tests of the runtime. */
#ifndef PS_TESTS_FLOW_ENGINE_H
#define PS_TESTS_FLOW_ENGINE_H

#include <pthread.h>

#include "flow.h"
#include "runtime/engine.h"

enum { SHARDS_MAX = 4 };

/* ---- a stream of rows 0 .. total - 1, `each` a batch; fails after fail_at rows ---- */

typedef struct flow_stream {
    int64_t total;
    int64_t each;
    int64_t next;
    int64_t keys;
    int64_t fail_at; /* -1: never */
} flow_stream;

__attribute__((unused)) static int flow_get_schema(ArrowArrayStream *stream, ArrowSchema *out)
{
    (void)stream;
    flow_schema(out);
    return 0;
}

__attribute__((unused)) static int flow_get_next(ArrowArrayStream *stream, ArrowArray *out)
{
    flow_stream *const s = stream->private_data;
    if (s->fail_at >= 0 && s->next >= s->fail_at) {
        return 5;
    }
    const int64_t left = s->total - s->next;
    if (left <= 0) {
        out->release = NULL;
        return 0;
    }
    const int64_t rows = left < s->each ? left : s->each;
    flow_array(out, rows, s->next, s->keys);
    s->next += rows;
    return 0;
}

__attribute__((unused)) static const char *flow_last_error(ArrowArrayStream *stream)
{
    (void)stream;
    return "the cable is cut";
}

__attribute__((unused)) static void flow_stream_open(ArrowArrayStream *out, flow_stream *s)
{
    *out = (ArrowArrayStream){.get_schema = flow_get_schema,
                              .get_next = flow_get_next,
                              .get_last_error = flow_last_error,
                              .private_data = s};
}

/* ---- plans ---- */

/* source -> sum of value by key -> sink; with `global`, the sum of those sums behind it. */
__attribute__((unused)) static ps_status flow_sum_plan(ps_mem *mem, bool global, ps_plan **out,
                                                       ps_error *err)
{
    ps_plan *plan;
    ps_expr *expr = NULL;
    ArrowSchema schema;
    int32_t node, key, value, total;
    const char *const name = "key";
    const ps_window window = {.kind = PS_WINDOW_NONE};
    ps_agg_spec spec = {.function = PS_AGG_SUM, .name = "total", .weight = -1};
    PS_TRY(ps_plan_create(mem, &plan, err));
    flow_schema(&schema);
    ps_status status = ps_plan_source(plan, "rows", &schema, &node, err);
    if (schema.release != NULL) {
        schema.release(&schema);
    }
    PS_TRY_GOTO(status);
    PS_TRY_GOTO(ps_expr_create(mem, &expr, err));
    PS_TRY_GOTO(ps_expr_column(expr, "key", &key, err));
    PS_TRY_GOTO(ps_expr_column(expr, "value", &value, err));
    PS_TRY_GOTO(ps_expr_column(expr, "total", &total, err));
    spec.input = value;
    PS_TRY_GOTO(ps_plan_aggregate(plan, node, expr, &key, &name, 1, &window, &spec, 1, &node, err));
    if (global) {
        spec.input = total;
        spec.name = "all";
        PS_TRY_GOTO(
            ps_plan_aggregate(plan, node, expr, NULL, NULL, 0, &window, &spec, 1, &node, err));
    }
    PS_TRY_GOTO(ps_plan_sink(plan, node, &node, err));
    ps_expr_destroy(expr);
    *out = plan;
    return PS_OK;
fail:
    ps_expr_destroy(expr);
    ps_plan_release(plan);
    return status;
}

/* inputs -> (union of them) -> sink */
__attribute__((unused)) static ps_plan *flow_plain_plan(ps_mem *mem, int32_t input_count)
{
    ps_plan *plan;
    int32_t nodes[8];
    int32_t node;
    CHECK_OK(ps_plan_create(mem, &plan, NULL));
    for (int32_t i = 0; i < input_count; i++) {
        ArrowSchema schema;
        flow_schema(&schema);
        CHECK_OK(ps_plan_source(plan, "rows", &schema, &nodes[i], NULL));
    }
    node = nodes[0];
    if (input_count > 1) {
        CHECK_OK(ps_plan_union(plan, nodes, input_count, &node, NULL));
    }
    CHECK_OK(ps_plan_sink(plan, node, &node, NULL));
    return plan;
}

/* ---- shard threads ---- */

typedef struct flow_shard {
    ps_engine *engine;
    int32_t index;
    pthread_t thread;
    ps_status status;
    ps_error err;
} flow_shard;

__attribute__((unused)) static void *flow_work(void *argument)
{
    flow_shard *const shard = argument;
    shard->status = ps_engine_work(shard->engine, shard->index, &shard->err);
    return NULL;
}

__attribute__((unused)) static void flow_start(ps_engine *engine, flow_shard *shards)
{
    for (int32_t i = 0; i < ps_engine_worker_count(engine); i++) {
        shards[i] = (flow_shard){.engine = engine, .index = i};
        CHECK_EQ(pthread_create(&shards[i].thread, NULL, flow_work, &shards[i]), 0);
    }
}

__attribute__((unused)) static void flow_join(ps_engine *engine, flow_shard *shards)
{
    for (int32_t i = 0; i < ps_engine_worker_count(engine); i++) {
        CHECK_EQ(pthread_join(shards[i].thread, NULL), 0);
    }
}

/* ---- state ---- */

enum { PIECES_MAX = 4096 };

typedef struct flow_states {
    ps_state_piece pieces[PIECES_MAX];
    int64_t count;
    int64_t ended; /* last epoch whose state has ended, or -1 */
} flow_states;

/* Takes what there is now. */
__attribute__((unused)) static void flow_take_states(ps_engine *engine, flow_states *states)
{
    ps_state_piece piece;
    for (;;) {
        CHECK_OK(ps_engine_next_state(engine, 0, &piece, NULL));
        if (piece.kind == PS_STATE_NONE) {
            return;
        }
        if (piece.kind == PS_STATE_END) {
            states->ended = piece.epoch;
        } else {
            CHECK(states->count < PIECES_MAX);
            states->pieces[states->count++] = piece;
        }
    }
}

__attribute__((unused)) static void flow_drop_states(flow_states *states)
{
    while (states->count > 0) {
        ps_batch_release(states->pieces[--states->count].batch);
    }
}

/* ---- results: [key, total] rows added up by key ---- */

enum { KEYS_MAX = 4096 };

typedef struct flow_results {
    int64_t totals[KEYS_MAX];
    int64_t rows;
    int64_t barrier; /* last epoch, or -1 */
    bool ended;
} flow_results;

__attribute__((unused)) static void flow_poll(ps_engine *engine, flow_results *results)
{
    ps_message message;
    for (ps_engine_poll(engine, &message); message.kind != PS_MESSAGE_NONE;
         ps_engine_poll(engine, &message)) {
        CHECK(!results->ended);
        results->rows += ps_message_rows(&message);
        for (int64_t i = 0; i < ps_message_rows(&message); i++) {
            const int64_t row = flow_row(message.selection, i);
            results->totals[flow_values(message.batch, 0)[row] % KEYS_MAX] +=
                flow_values(message.batch, 1)[row];
        }
        CHECK(message.kind != PS_MESSAGE_WATERMARK && message.kind != PS_MESSAGE_IDLE);
        results->barrier = message.kind == PS_MESSAGE_BARRIER ? message.value : results->barrier;
        results->ended = message.kind == PS_MESSAGE_END;
        ps_message_clear(&message);
    }
}

/* The watermark that has come to the sink of every shard. */
__attribute__((unused)) static int64_t flow_watermark(const ps_engine *engine)
{
    int64_t least = PS_TIME_MAX;
    for (int32_t i = 0; i < ps_engine_metrics_count(engine); i++) {
        ps_operator_metrics line;
        ps_engine_metrics(engine, i, &line);
        if (strcmp(line.name, "sink") == 0) {
            least = ps_min_i64(least, line.watermark);
        }
    }
    return least;
}

/* Sum of value over rows first .. last - 1 of one key. */
__attribute__((unused)) static int64_t flow_total(int64_t first, int64_t last, int64_t keys,
                                                  int64_t key)
{
    int64_t total = 0;
    for (int64_t n = first; n < last; n++) {
        total += n % keys == key ? n : 0;
    }
    return total;
}

#endif
