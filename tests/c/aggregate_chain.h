/* aggregate_chain.h -- event time, a split by key and an aggregate a shard, driven by hand.
 *
 *     batches -> event_time -> split by key -> aggregate per shard -> collector per shard
 */
#ifndef PS_TESTS_AGGREGATE_CHAIN_H
#define PS_TESTS_AGGREGATE_CHAIN_H

#include "aggregate_oracle.h"
#include "operators/aggregate.h"
#include "operators/event_time.h"
#include "operators/pre_aggregate.h"
#include "state/key_hash.h"

#define SHARDS_MAX 3

/* How to run it; the answer must not depend on any of this. */
typedef struct run {
    int64_t cut; /* rows a batch */
    int32_t shards;
    int resume;      /* 0 until done, 1 once a message, 2 never but at the end */
    int64_t stop_at; /* a barrier after that many rows, then restored; 0 = not */
    int32_t restored_shards;
    bool tracks;      /* state is copied while rows come, and changes alone may be asked for */
    int64_t base_at;  /* an earlier barrier, for all state; the one at stop_at is for changes */
    int64_t copy_lag; /* batches that come between a barrier and the copying of its state */
    bool adds_up;     /* rows are added up before they are dealt to shards, where that is allowed */
} run;

/* ---- collector: the end of the chain ---- */

typedef struct collector {
    ps_operator op;
    bool windowed;
    int32_t key_count;
    int64_t watermark; /* last one seen */
    int64_t batches, largest_batch, barriers, ends;
    lines *out;
} collector;

static inline agg_answer loaded(const ps_vector *v, int64_t i)
{
    agg_answer answer = {.null = v->valid != NULL && v->valid[i] == 0};
    switch (v->kind) {
    case PS_CLASS_STR: answer.text = ((const ps_string *)v->values)[i]; break;
    case PS_CLASS_F64: answer.number = ((const double *)v->values)[i]; break;
    case PS_CLASS_BOOL: answer.word = ((const uint8_t *)v->values)[i]; break;
    default: answer.word = ((const int64_t *)v->values)[i]; break;
    }
    return answer;
}

static inline ps_status collect_batch(ps_operator *op, ps_batch *batch, ps_selection *selection,
                                      ps_error *err)
{
    collector *c = (collector *)op;
    static ps_vector_scratch scratch;
    (void)err;
    CHECK(selection == NULL);
    CHECK_OK(ps_schema_same(op->input, batch->schema, NULL));
    CHECK(batch->length > 0 && batch->length <= PS_BATCH_ROWS_MAX);
    const int64_t first = c->out->count;
    for (int64_t i = 0; i < batch->length; i++) {
        (void)lines_add(c->out);
    }
    for (int32_t k = 0; k < batch->column_count; k++) {
        CHECK(batch->schema->fields[k].nullable || ps_column_count_nulls(&batch->columns[k]) == 0);
        for (int64_t at = 0; at < batch->length; at += PS_CHUNK_ROWS) {
            const int64_t count = ps_min_i64(PS_CHUNK_ROWS, batch->length - at);
            ps_vector vector;
            ps_vector_load(&batch->columns[k], NULL, at, count, &scratch, &vector);
            for (int64_t i = 0; i < count; i++) {
                const agg_answer answer = loaded(&vector, i);
                write_answer(c->out->text[first + at + i], &answer, vector.kind);
                /* What a watermark has closed stays closed. */
                CHECK(!c->windowed || k != c->key_count + 1 ||
                      ((const int64_t *)vector.values)[i] > c->watermark);
            }
        }
    }
    c->batches++;
    c->largest_batch = ps_max_i64(c->largest_batch, batch->length);
    return PS_OK;
}

static inline ps_status collect_watermark(ps_operator *op, int64_t watermark, ps_error *err)
{
    collector *c = (collector *)op;
    (void)err;
    CHECK(watermark > c->watermark);
    c->watermark = watermark;
    return PS_OK;
}

static inline ps_status collect_barrier(ps_operator *op, int64_t epoch, ps_error *err)
{
    (void)epoch, (void)err;
    ((collector *)op)->barriers++;
    return PS_OK;
}

static inline ps_status collect_end(ps_operator *op, ps_error *err)
{
    (void)err;
    ((collector *)op)->ends++;
    return PS_OK;
}

static const ps_operator_calls COLLECTOR_CALLS = {
    .name = "collector",
    .on_batch = collect_batch,
    .on_watermark = collect_watermark,
    .on_barrier = collect_barrier,
    .on_end = collect_end,
};

/* ---- snapshots ---- */

typedef struct states {
    ps_snapshot_sink sink;
    int64_t count;
    struct {
        int32_t id;
        ps_batch *batch;
    } held[512];
} states;

static inline ps_status keep_state(ps_snapshot_sink *self, const ps_operator *op, ps_batch *batch,
                                   ps_error *err)
{
    states *s = (states *)self;
    (void)err;
    CHECK(s->count < 512);
    ps_batch_retain(batch);
    s->held[s->count].id = op->id;
    s->held[s->count++].batch = batch;
    return PS_OK;
}

static inline void states_free(states *s)
{
    while (s->count > 0) {
        ps_batch_release(s->held[--s->count].batch);
    }
}

/* ---- the chain ---- */

enum { TIME_ID = 1, AGGREGATE_ID = 2 };

/* Hands each row to the shard that owns its key, as the exchange does. */
typedef struct splitter {
    ps_operator op;
    struct chain *chain;
} splitter;

typedef struct chain {
    const job *job;
    ps_mem *mem;  /* of the operators */
    ps_mem *side; /* of the test's own batches */
    const run *run;
    int64_t until_copy; /* batches */
    ps_schema *input, *output;
    ps_expr *expr;
    int32_t shards;
    ps_operator *times;
    ps_pre_aggregate *pre; /* NULL: rows are dealt as they are */
    splitter split;
    ps_operator *shard[SHARDS_MAX];
    collector end[SHARDS_MAX];
    states states;
    lines *out;
} chain;

static inline ps_status resume_shard(chain *c, int32_t s, ps_error *err)
{
    bool more = c->run->resume < 2;
    while (more) {
        PS_TRY(ps_operator_resume(c->shard[s], &more, err));
        more = more && c->run->resume == 0;
    }
    return PS_OK;
}

/* The rows of the batch that shard s owns; NULL: all. */
static inline ps_selection *shard_rows(chain *c, const ps_batch *batch, int32_t s)
{
    static ps_vector_scratch scratch[3];
    ps_selection *selection = NULL;
    ps_vector keys[3];
    uint64_t hashes[PS_CHUNK_ROWS];
    if (c->shards == 1) {
        return NULL;
    }
    CHECK_OK(ps_selection_create(c->side, batch->length, &selection, NULL));
    for (int64_t at = 0; at < batch->length; at += PS_CHUNK_ROWS) {
        const int64_t count = ps_min_i64(PS_CHUNK_ROWS, batch->length - at);
        for (int32_t k = 0; k < c->job->key_count; k++) {
            ps_vector_load(&batch->columns[batch->partial ? k : c->job->keys[k]], NULL, at, count,
                           &scratch[k], &keys[k]);
        }
        if (c->job->key_count > 0) {
            ps_key_hash(keys, c->job->key_count, count, hashes);
        }
        for (int64_t i = 0; i < count; i++) {
            const int32_t owner =
                c->job->key_count == 0 ? 0 : ps_shard_of_group(ps_key_group(hashes[i]), c->shards);
            selection->rows[selection->count] = (uint32_t)(at + i);
            selection->count += owner == s;
        }
    }
    return selection;
}

static inline ps_status deal_batch(void *context, ps_batch *batch, ps_error *err)
{
    chain *const c = context;
    for (int32_t s = 0; s < c->shards; s++) {
        ps_selection *mine = shard_rows(c, batch, s);
        const ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = batch, .selection = mine};
        const ps_status status =
            mine != NULL && mine->count == 0 ? PS_OK : ps_deliver(c->shard[s], &message, err);
        ps_selection_release(mine);
        PS_TRY(status);
        PS_TRY(resume_shard(c, s, err));
    }
    return PS_OK;
}

static inline ps_status split_batch(ps_operator *op, ps_batch *batch, ps_selection *selection,
                                    ps_error *err)
{
    chain *c = ((splitter *)op)->chain;
    int64_t partials;
    CHECK(selection == NULL);
    return c->pre == NULL || batch->late_watermark != NULL
               ? deal_batch(c, batch, err)
               : ps_pre_aggregate_reduce(c->pre, batch, NULL, deal_batch, c, &partials, err);
}

static inline ps_status broadcast(chain *c, ps_message_kind kind, int64_t value, ps_error *err)
{
    for (int32_t s = 0; s < c->shards; s++) {
        const ps_message message = {.kind = kind, .value = value};
        PS_TRY(ps_deliver(c->shard[s], &message, err));
        PS_TRY(resume_shard(c, s, err));
    }
    return PS_OK;
}

static inline ps_status split_watermark(ps_operator *op, int64_t watermark, ps_error *err)
{
    return broadcast(((splitter *)op)->chain, PS_MESSAGE_WATERMARK, watermark, err);
}

static inline ps_status split_barrier(ps_operator *op, int64_t epoch, ps_error *err)
{
    return broadcast(((splitter *)op)->chain, PS_MESSAGE_BARRIER, epoch, err);
}

static inline ps_status split_end(ps_operator *op, ps_error *err)
{
    return broadcast(((splitter *)op)->chain, PS_MESSAGE_END, 0, err);
}

static const ps_operator_calls SPLITTER_CALLS = {
    .name = "splitter",
    .on_batch = split_batch,
    .on_watermark = split_watermark,
    .on_barrier = split_barrier,
    .on_end = split_end,
};

/* Plain columns as expressions: node c is column c. */
static inline ps_expr *column_nodes(ps_mem *mem)
{
    static const char *const NAMES[COLUMNS] = {"k", "s", "v", "i", "b", "t"};
    ps_expr *expr = NULL;
    CHECK_OK(ps_expr_create(mem, &expr, NULL));
    for (int32_t c = 0; c < COLUMNS; c++) {
        int32_t node = -1;
        CHECK_OK(ps_expr_column(expr, NAMES[c], &node, NULL));
        CHECK_EQ(node, c);
    }
    return expr;
}

static inline ps_aggregate_args job_args(const job *j, const ps_expr *expr)
{
    static const char *const NAMES[] = {"key0", "key1", "key2"};
    return (ps_aggregate_args){.expr = expr,
                               .keys = j->keys,
                               .key_names = NAMES,
                               .key_count = j->key_count,
                               .window = j->window,
                               .event_time = T,
                               .aggregates = j->aggregates,
                               .aggregate_count = j->aggregate_count,
                               .source_count = 1};
}

static inline ps_status make_operators(chain *c, ps_error *err)
{
    ps_aggregate_args args = job_args(c->job, c->expr);
    args.track_changes = c->run->tracks;
    const ps_event_time_args times = {.column = T, .out_of_orderness = c->job->bound};
    PS_TRY(ps_event_time_create(c->mem, c->input, &times, &c->times, err));
    c->times->id = TIME_ID;
    c->times->next = &c->split.op;
    c->times->snapshot = &c->states.sink;
    PS_TRY(ps_aggregate_schema(c->mem, c->input, &args, &c->output, err));
    if (c->run->adds_up && ps_pre_aggregate_forbids(&args, c->output) < 0) {
        PS_TRY(ps_pre_aggregate_create(c->mem, c->input, c->output, &args, &c->pre, err));
    }
    for (int32_t s = 0; s < c->shards; s++) {
        PS_TRY(ps_aggregate_create(c->mem, c->input, c->output, &args, &c->shard[s], err));
        ps_operator_init(&c->end[s].op, &COLLECTOR_CALLS, c->mem, c->output, c->output);
        c->end[s].windowed = c->job->window.size > 0;
        c->end[s].key_count = c->job->key_count;
        c->end[s].watermark = PS_TIME_MIN;
        c->end[s].out = c->out;
        c->shard[s]->id = AGGREGATE_ID;
        c->shard[s]->shard = s;
        c->shard[s]->shard_count = c->shards;
        c->shard[s]->next = &c->end[s].op;
        c->shard[s]->snapshot = &c->states.sink;
    }
    return PS_OK;
}

/* Closing a chain that was opened half way is fine. */
static inline ps_status chain_open(chain *c, const job *j, const run *r, int32_t shards,
                                   ps_mem *mem, lines *out, ps_error *err)
{
    *c = (chain){.job = j, .mem = mem, .shards = shards, .run = r, .out = out};
    c->states.sink.add = keep_state;
    CHECK_OK(ps_mem_create(0, &c->side, NULL));
    c->input = event_schema(c->side);
    c->expr = column_nodes(c->side);
    ps_operator_init(&c->split.op, &SPLITTER_CALLS, mem, c->input, c->input);
    c->split.chain = c;
    return make_operators(c, err);
}

static inline void chain_close(chain *c)
{
    lines unheard = {0};
    lines *const out = c->out == NULL ? &unheard : c->out;
    for (int32_t s = 0; s < c->shards; s++) {
        if (c->shard[s] != NULL) {
            out->late += ps_stat_get(&c->shard[s]->stats.late_rows);
            c->shard[s]->calls->close(c->shard[s]);
            ps_operator_fini(&c->end[s].op);
        }
    }
    if (c->times != NULL) {
        c->times->calls->close(c->times);
    }
    ps_pre_aggregate_destroy(c->pre);
    ps_operator_fini(&c->split.op);
    states_free(&c->states);
    ps_expr_destroy(c->expr);
    ps_schema_release(c->output);
    ps_schema_release(c->input);
    CHECK_EQ(ps_mem_used(c->side), 0);
    ps_mem_release(c->side);
}

/* All of the state that the last barrier froze. */
static inline ps_status chain_copy(chain *c, ps_error *err)
{
    for (int32_t s = 0; s < c->shards; s++) {
        for (bool more = true; more;) {
            PS_TRY(ps_operator_copy(c->shard[s], &more, err));
        }
    }
    return PS_OK;
}

/* A barrier through the chain, and every operator frozen; their state comes later. */
static inline ps_status chain_barrier(chain *c, bool all, ps_error *err)
{
    const ps_message barrier = {.kind = PS_MESSAGE_BARRIER, .value = 1};
    PS_TRY(ps_deliver(c->times, &barrier, err));
    PS_TRY(ps_operator_freeze(c->times, all, err));
    for (int32_t s = 0; s < c->shards; s++) {
        PS_TRY(ps_operator_freeze(c->shard[s], all, err));
    }
    c->until_copy = c->run->copy_lag;
    return PS_OK;
}

static inline ps_status chain_feed(chain *c, const event *rows, int64_t count, int64_t cut,
                                   ps_error *err)
{
    for (int64_t at = 0; at < count; at += cut) {
        ps_batch *batch = event_batch(c->side, c->input, rows + at, ps_min_i64(cut, count - at));
        const ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = batch};
        const ps_status status = ps_deliver(c->times, &message, err);
        ps_batch_release(batch);
        PS_TRY(status);
        if (c->until_copy-- == 0) {
            PS_TRY(chain_copy(c, err));
        }
    }
    return PS_OK;
}

static inline ps_status chain_finish(chain *c, ps_error *err)
{
    const ps_message last = {.kind = PS_MESSAGE_WATERMARK, .value = PS_TIME_MAX};
    const ps_message end = {.kind = PS_MESSAGE_END};
    PS_TRY(ps_deliver(c->times, &last, err));
    PS_TRY(ps_deliver(c->times, &end, err));
    for (int32_t s = 0; s < c->shards; s++) {
        CHECK_EQ(c->end[s].ends, 1);
        CHECK_EQ(c->end[s].watermark, PS_TIME_MAX);
    }
    return PS_OK;
}

/* Every state batch goes to every shard, which keeps what it owns. */
static inline ps_status chain_restore(chain *c, const states *from, ps_error *err)
{
    for (int64_t i = 0; i < from->count; i++) {
        ps_batch *batch = from->held[i].batch;
        if (from->held[i].id == TIME_ID) {
            PS_TRY(c->times->calls->restore(c->times, batch, err));
            continue;
        }
        for (int32_t s = 0; s < c->shards; s++) {
            PS_TRY(c->shard[s]->calls->restore(c->shard[s], batch, err));
        }
    }
    return PS_OK;
}

/* ---- by hand, on one shard ---- */

static const run ONE_SHARD = {.shards = 1};

static inline chain *open_chain(const job *j, const run *r, ps_mem *mem, lines *out)
{
    static chain c;
    *out = (lines){0};
    CHECK_OK(chain_open(&c, j, r, 1, mem, out, NULL));
    return &c;
}

static inline void close_chain(chain *c, ps_mem *mem)
{
    lines *out = c->out;
    chain_close(c);
    lines_free(out);
    settle(mem);
}

/* A barrier, and all of its state. */
static inline void stop(chain *c)
{
    CHECK_OK(chain_barrier(c, true, NULL));
    CHECK_OK(chain_copy(c, NULL));
}

#endif
