/* aggregate_kit.h -- the aggregate operator run on rows, and the same answer recomputed row by row.
 *
 *   rows -> batches of any cut -> event_time -> split by key -> aggregate per shard -> lines of
 *   text
 *
 * The oracle reads the rows once, in order: a row counts for each of its windows that the watermark
 * before it has not closed, and is late when there is none. Lines are compared as multisets.
 */
#ifndef PS_TESTS_AGGREGATE_KIT_H
#define PS_TESTS_AGGREGATE_KIT_H

#include "agg_model.h"
#include "arrow/batch_builder.h"
#include "operators/aggregate.h"
#include "operators/event_time.h"
#include "operators/pre_aggregate.h"
#include "state/key_hash.h"
#include "window/edges.h"

#define SHARDS_MAX 3
#define LINE_SIZE 240

/* Columns of the input. */
enum { K = 0, S, V, I, B, T, COLUMNS };

typedef struct event {
    bool k_valid, s_valid, v_valid, b_valid, b;
    int64_t k, i, t;
    double v;
    char s[8];
} event;

typedef struct job {
    ps_window window; /* size 0: none */
    int64_t bound;    /* out of orderness */
    int32_t key_count;
    int32_t keys[3];
    int32_t aggregate_count;
    ps_agg_spec aggregates[12]; /* input, weight: columns of the input */
} job;

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

typedef struct lines {
    int64_t count, room;
    char (*text)[LINE_SIZE];
    int64_t late;
} lines;

/* ---- lines ---- */

static inline char *lines_add(lines *l)
{
    if (l->count == l->room) {
        l->room = l->room == 0 ? 256 : l->room * 2;
        l->text = realloc(l->text, (size_t)l->room * LINE_SIZE);
        CHECK(l->text != NULL);
    }
    char *line = l->text[l->count++];
    memset(line, 0, LINE_SIZE);
    return line;
}

static inline void lines_free(lines *l)
{
    free(l->text);
    *l = (lines){0};
}

static inline int compare_lines(const void *a, const void *b)
{
    return strcmp(a, b);
}

static inline void lines_sort(lines *l)
{
    if (l->count > 0) {
        qsort(l->text, (size_t)l->count, LINE_SIZE, compare_lines);
    }
}

/* Both sorted. */
static inline void lines_check(const lines *got, const lines *want, const char *how)
{
    for (int64_t i = 0; i < got->count || i < want->count; i++) {
        const char *a = i < got->count ? got->text[i] : "nothing";
        const char *b = i < want->count ? want->text[i] : "nothing";
        if (strcmp(a, b) != 0) {
            CHECK_FAIL("%s: line %" PRId64 " is\n  %s\n, not\n  %s", how, i, a, b);
        }
    }
    if (got->late != want->late) {
        CHECK_FAIL("%s: %" PRId64 " late rows, not %" PRId64, how, got->late, want->late);
    }
}

__attribute__((format(printf, 2, 3))) static inline void line_append(char *line, const char *format,
                                                                     ...)
{
    const size_t used = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, LINE_SIZE - used, format, arguments);
    va_end(arguments);
}

/* Nine digits agree with the oracle, whose variances are made another way. 17 tell every bit. */
static int number_digits = 9;

static inline void line_append_number(char *line, double number)
{
    if (isnan(number)) {
        line_append(line, "nan|");
    } else {
        line_append(line, "%.*g|", number_digits, number + 0.0);
    }
}

/* ---- the oracle ---- */

static inline ps_class column_class(int32_t column)
{
    static const ps_class CLASSES[COLUMNS] = {PS_CLASS_I64, PS_CLASS_STR,  PS_CLASS_F64,
                                              PS_CLASS_I64, PS_CLASS_BOOL, PS_CLASS_I64};
    return CLASSES[column];
}

static inline bool cell_valid(const event *e, int32_t column)
{
    return column == K   ? e->k_valid
           : column == S ? e->s_valid
           : column == V ? e->v_valid
           : column == B ? e->b_valid
                         : true;
}

static inline void write_cell(char *line, const event *e, int32_t column)
{
    if (!cell_valid(e, column)) {
        line_append(line, "-|");
    } else if (column == S) {
        line_append(line, "%s|", e->s);
    } else if (column == V) {
        line_append_number(line, e->v);
    } else if (column == B) {
        line_append(line, "%d|", e->b);
    } else {
        line_append(line, "%" PRId64 "|", column == K ? e->k : column == I ? e->i : e->t);
    }
}

static inline agg_row as_agg_row(const event *e, int32_t column)
{
    agg_row row = {.time = e->t, .valid = column < 0 || cell_valid(e, column)};
    row.word = column == K ? e->k : column == I ? e->i : column == B ? e->b : e->t;
    row.number = column == V ? e->v : (double)row.word;
    row.text = (ps_string){.data = e->s, .size_bytes = (int64_t)strlen(e->s)};
    row.weighted = true;
    row.weight = (double)e->i;
    return row;
}

static inline void write_answer(char *line, const agg_answer *answer, ps_class kind)
{
    if (answer->null) {
        line_append(line, "-|");
    } else if (kind == PS_CLASS_STR) {
        const char *text = answer->text.data != NULL ? answer->text.data : "";
        line_append(line, "%.*s|", (int)answer->text.size_bytes, text);
    } else if (kind == PS_CLASS_F64) {
        line_append_number(line, answer->number);
    } else {
        line_append(line, "%" PRId64 "|", answer->word);
    }
}

static inline ps_class result_class(const ps_agg_spec *spec)
{
    const ps_class kind = spec->input < 0 ? PS_CLASS_I64 : column_class(spec->input);
    switch (spec->function) {
    case PS_AGG_COUNT:
    case PS_AGG_COUNT_VALID: return PS_CLASS_I64;
    case PS_AGG_MEAN:
    case PS_AGG_VAR:
    case PS_AGG_STD:
    case PS_AGG_WEIGHTED_MEAN: return PS_CLASS_F64;
    default: return kind;
    }
}

static inline void write_results(char *line, const job *j, const event *const *members,
                                 int64_t count)
{
    agg_row *rows = calloc((size_t)count + 1, sizeof *rows);
    for (int32_t a = 0; a < j->aggregate_count; a++) {
        const ps_agg_spec *spec = &j->aggregates[a];
        for (int64_t m = 0; m < count; m++) {
            rows[m] = as_agg_row(members[m], spec->input);
        }
        const ps_class kind = spec->input < 0 ? PS_CLASS_I64 : column_class(spec->input);
        const agg_answer answer = agg_recompute(spec->function, spec->parameter, kind, rows, count);
        write_answer(line, &answer, result_class(spec));
    }
    free(rows);
}

/* One row of one window: its group as text, so that equal groups are neighbours when sorted. */
typedef struct membership {
    char group[96];
    int64_t order;
    const event *row;
} membership;

static inline int compare_memberships(const void *a, const void *b)
{
    const membership *x = a, *y = b;
    const int order = strcmp(x->group, y->group);
    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

static inline void add_membership(membership **list, int64_t *count, int64_t *room, const job *j,
                                  const event *row, int64_t start)
{
    if (*count == *room) {
        *room = *room == 0 ? 1024 : *room * 2;
        *list = realloc(*list, (size_t)*room * sizeof **list);
        CHECK(*list != NULL);
    }
    membership *m = &(*list)[*count];
    char line[LINE_SIZE] = {0};
    for (int32_t k = 0; k < j->key_count; k++) {
        write_cell(line, row, j->keys[k]);
    }
    if (j->window.size > 0) {
        line_append(line, "%" PRId64 "|%" PRId64 "|", start, start + j->window.size);
    }
    *m = (membership){.order = (*count)++, .row = row};
    CHECK(strlen(line) < sizeof m->group);
    memcpy(m->group, line, strlen(line) + 1);
}

static inline int64_t floor_to(int64_t value, int64_t step)
{
    int64_t down = value / step * step;
    return down > value ? down - step : down;
}

/* Every window of the row that `mark` has not closed; answers whether there was one. */
static inline bool add_windows(membership **list, int64_t *count, int64_t *room, const job *j,
                               const event *row, int64_t mark)
{
    const int64_t slide = j->window.kind == PS_WINDOW_HOPPING ? j->window.slide : j->window.size;
    bool any = false;
    for (int64_t start = floor_to(row->t - j->window.offset, slide) + j->window.offset;
         start + j->window.size > row->t; start -= slide) {
        if (start + j->window.size > mark) {
            add_membership(list, count, room, j, row, start);
            any = true;
        }
    }
    return any;
}

static inline lines oracle(const job *j, const event *rows, int64_t count)
{
    lines out = {0};
    membership *list = NULL;
    int64_t members = 0, room = 0, mark = INT64_MIN;
    for (int64_t i = 0; i < count; i++) {
        if (j->window.size == 0) {
            add_membership(&list, &members, &room, j, &rows[i], 0);
        } else {
            out.late += !add_windows(&list, &members, &room, j, &rows[i], mark);
        }
        mark = ps_max_i64(mark, rows[i].t - j->bound);
    }
    if (members > 0) {
        qsort(list, (size_t)members, sizeof *list, compare_memberships);
    }
    const event **picked = calloc((size_t)members + 1, sizeof *picked);
    for (int64_t at = 0, end; at < members; at = end) {
        for (end = at; end < members && strcmp(list[end].group, list[at].group) == 0; end++) {
            picked[end - at] = list[end].row;
        }
        char *line = lines_add(&out);
        line_append(line, "%s", list[at].group);
        write_results(line, j, picked, end - at);
    }
    if (members == 0 && j->window.size == 0 && j->key_count == 0) {
        write_results(lines_add(&out), j, picked, 0);
    }
    free(picked);
    free(list);
    lines_sort(&out);
    return out;
}

/* ---- batches ---- */

static inline ps_schema *event_schema(ps_mem *mem)
{
    static const struct {
        const char *name;
        ps_type type;
        bool nullable;
    } FIELDS[COLUMNS] = {
        {"k", {.id = PS_TYPE_INT64, .width = 8}, true},
        {"s", {.id = PS_TYPE_UTF8}, true},
        {"v", {.id = PS_TYPE_FLOAT64, .width = 8}, true},
        {"i", {.id = PS_TYPE_INT64, .width = 8}, false},
        {"b", {.id = PS_TYPE_BOOL}, true},
        {"t", {.id = PS_TYPE_TIMESTAMP, .unit = PS_UNIT_US, .width = 8}, false},
    };
    ps_schema_builder *builder = NULL;
    ps_schema *schema = NULL;
    CHECK_OK(ps_schema_builder_create(mem, COLUMNS, &builder, NULL));
    for (int32_t c = 0; c < COLUMNS; c++) {
        CHECK_OK(ps_schema_builder_add(builder, FIELDS[c].name, &FIELDS[c].type, NULL,
                                       FIELDS[c].nullable, NULL));
    }
    CHECK_OK(ps_schema_builder_finish(builder, &schema, NULL));
    return schema;
}

typedef struct cells {
    int64_t words[PS_CHUNK_ROWS];
    double numbers[PS_CHUNK_ROWS];
    uint8_t bools[PS_CHUNK_ROWS];
    ps_string texts[PS_CHUNK_ROWS];
    uint8_t valid[PS_CHUNK_ROWS];
} cells;

static inline void append_column(ps_batch_builder *builder, int32_t column, const event *rows,
                                 int64_t count, cells *room)
{
    const ps_class kind = column_class(column);
    for (int64_t i = 0; i < count; i++) {
        const agg_row cell = as_agg_row(&rows[i], column);
        room->valid[i] = cell.valid;
        room->words[i] = cell.word;
        room->numbers[i] = cell.number;
        room->bools[i] = (uint8_t)(cell.word & 1);
        room->texts[i] = cell.valid ? cell.text : (ps_string){0};
    }
    const ps_vector vector = {
        .kind = kind,
        .values = kind == PS_CLASS_F64    ? (const void *)room->numbers
                  : kind == PS_CLASS_BOOL ? (const void *)room->bools
                  : kind == PS_CLASS_STR  ? (const void *)room->texts
                                          : (const void *)room->words,
        .valid = column == I || column == T ? NULL : room->valid,
    };
    CHECK_OK(ps_batch_builder_append(builder, column, &vector, count, NULL));
}

static inline ps_batch *event_batch(ps_mem *mem, ps_schema *schema, const event *rows,
                                    int64_t count)
{
    static cells room;
    ps_batch_builder *builder = NULL;
    ps_batch *batch = NULL;
    CHECK_OK(ps_batch_builder_create(mem, schema, count, &builder, NULL));
    for (int64_t at = 0; at < count; at += PS_CHUNK_ROWS) {
        const int64_t part = ps_min_i64(PS_CHUNK_ROWS, count - at);
        for (int32_t c = 0; c < COLUMNS; c++) {
            append_column(builder, c, rows + at, part, &room);
        }
        ps_batch_builder_advance(builder, part);
    }
    CHECK_OK(ps_batch_builder_finish(builder, &batch, NULL));
    return batch;
}

/* ---- collector: the end of the chain ---- */

typedef struct collector {
    ps_operator op;
    bool windowed;
    int32_t key_count;
    int64_t watermark; /* last one seen */
    int64_t batches, largest_batch, barriers, ends;
    lines *out;
} collector;

static inline void write_loaded(char *line, const ps_vector *v, int64_t i)
{
    if (v->valid != NULL && v->valid[i] == 0) {
        line_append(line, "-|");
    } else if (v->kind == PS_CLASS_STR) {
        const ps_string text = ((const ps_string *)v->values)[i];
        line_append(line, "%.*s|", (int)text.size_bytes, text.data);
    } else if (v->kind == PS_CLASS_F64) {
        line_append_number(line, ((const double *)v->values)[i]);
    } else if (v->kind == PS_CLASS_BOOL) {
        line_append(line, "%d|", ((const uint8_t *)v->values)[i]);
    } else {
        line_append(line, "%" PRId64 "|", ((const int64_t *)v->values)[i]);
    }
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
                write_loaded(c->out->text[first + at + i], &vector, i);
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
    PS_TRY(ps_event_time_create(c->mem, c->input, T, c->job->bound, 0, &c->times, err));
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

/* The state at stop_at. The chain then goes on with what comes after, which must not show in it. */
static inline ps_status run_until_stop(chain *c, const run *r, const event *rows, int64_t count,
                                       ps_error *err)
{
    const int64_t stop = ps_min_i64(r->stop_at, count);
    const int64_t base = ps_min_i64(r->base_at, stop);
    lines *const out = c->out;
    lines dropped = {0};
    if (r->base_at > 0) {
        PS_TRY(chain_feed(c, rows, base, r->cut, err));
        PS_TRY(chain_barrier(c, true, err));
    }
    PS_TRY(chain_feed(c, rows + base, stop - base, r->cut, err));
    PS_TRY(chain_copy(c, err));
    PS_TRY(chain_barrier(c, r->base_at == 0, err));
    for (int32_t s = 0; s < c->shards; s++) {
        CHECK_EQ(c->end[s].barriers, r->base_at > 0 ? 2 : 1);
        out->late += ps_stat_get(&c->shard[s]->stats.late_rows);
        c->end[s].out = &dropped;
    }
    c->out = NULL;
    ps_status status = PS_OK;
    if (r->tracks) {
        status = chain_feed(c, rows + stop, count - stop, r->cut, err);
    }
    lines_free(&dropped);
    return status == PS_OK ? chain_copy(c, err) : status;
}

/* The rows after the barrier go to a new chain that was given the states of the first. */
static inline ps_status run_rest(const chain *first, const run *r, const event *rows, int64_t count,
                                 lines *out, ps_error *err)
{
    chain rest;
    ps_status status = chain_open(&rest, first->job, r, r->restored_shards, first->mem, out, err);
    if (status == PS_OK) {
        status = chain_restore(&rest, &first->states, err);
    }
    if (status == PS_OK) {
        const int64_t stop = ps_min_i64(r->stop_at, count);
        status = chain_feed(&rest, rows + stop, count - stop, r->cut, err);
    }
    if (status == PS_OK) {
        status = chain_finish(&rest, err);
    }
    chain_close(&rest);
    return status;
}

/* Runs the job on `mem`; the lines are sorted. */
static inline ps_status run_job(const job *j, const run *r, const event *rows, int64_t count,
                                ps_mem *mem, lines *out, ps_error *err)
{
    static chain c;
    *out = (lines){0};
    ps_status status = chain_open(&c, j, r, r->shards, mem, out, err);
    if (status == PS_OK && r->stop_at > 0) {
        status = run_until_stop(&c, r, rows, count, err);
        if (status == PS_OK) {
            status = run_rest(&c, r, rows, count, out, err);
        }
    } else if (status == PS_OK) {
        status = chain_feed(&c, rows, count, r->cut, err);
        if (status == PS_OK) {
            status = chain_finish(&c, err);
        }
    }
    chain_close(&c);
    lines_sort(out);
    return status;
}

/* Runs and compares; all memory must come back. */
static inline void check_run(const job *j, const run *r, const event *rows, int64_t count,
                             const lines *want)
{
    char how[240];
    ps_mem *mem = NULL;
    lines got;
    ps_error err = {0};
    snprintf(how, sizeof how,
             "cut %" PRId64 ", %d shards, resume %d, base at %" PRId64 ", stopped at %" PRId64
             ", copied after %" PRId64 " batches, into %d shards",
             r->cut, r->shards, r->resume, r->base_at, r->stop_at, r->copy_lag, r->restored_shards);
    CHECK_OK(ps_mem_create(0, &mem, NULL));
    if (run_job(j, r, rows, count, mem, &got, &err) != PS_OK) {
        CHECK_FAIL("%s: %s", how, err.text);
    }
    lines_check(&got, want, how);
    lines_free(&got);
    CHECK_EQ(ps_mem_used(mem), 0);
    ps_mem_release(mem);
}

/* Refuses every allocation in turn: each run ends in an error that says so, until one passes. */
static inline void check_refusals(const job *j, const run *r, const event *rows, int64_t count)
{
    lines want = oracle(j, rows, count);
    ps_status status = PS_NO_MEMORY;
    for (int64_t n = 1; status != PS_OK; n++) {
        ps_mem *mem = NULL;
        lines got;
        ps_error err = {0};
        CHECK_OK(ps_mem_create(0, &mem, NULL));
        ps_mem_fail_at(mem, n);
        status = run_job(j, r, rows, count, mem, &got, &err);
        if (status == PS_OK) {
            CHECK(n > 100);
            lines_check(&got, &want, "with memory");
        } else {
            CHECK_EQ(status, PS_NO_MEMORY);
            CHECK(strstr(err.text, "bytes") != NULL);
        }
        lines_free(&got);
        CHECK_EQ(ps_mem_used(mem), 0);
        ps_mem_release(mem);
    }
    lines_free(&want);
}

/* ---- jobs and rows ---- */

#define AGG(f, column)                                                                             \
    {.function = PS_AGG_##f, .name = #f #column, .input = column, .weight = -1, .parameter = 1}
#define COUNT_ROWS {.function = PS_AGG_COUNT, .name = "n", .input = -1, .weight = -1}

static const ps_agg_spec COUNTS[] = {COUNT_ROWS};
static const ps_agg_spec EXACT[] = {COUNT_ROWS, AGG(SUM, I), AGG(COUNT_VALID, K), AGG(SUM, B)};
static const ps_agg_spec STATS[] = {COUNT_ROWS, AGG(SUM, V), AGG(MIN, V), AGG(MAX, V)};
static const ps_agg_spec WIDE[] = {
    AGG(MEAN, V),  AGG(VAR, I),
    AGG(FIRST, V), AGG(LAST, I),
    AGG(MIN, I),   AGG(ANY, B),
    AGG(ALL, B),   AGG(MAX, T),
    AGG(LAST, B),  {.function = PS_AGG_WEIGHTED_MEAN, .name = "w", .input = V, .weight = I}};
static const ps_agg_spec TEXTS[] = {COUNT_ROWS, AGG(MIN, S), AGG(MAX, S), AGG(FIRST, S),
                                    AGG(LAST, S)};

typedef struct agg_set {
    const ps_agg_spec *specs;
    int32_t count;
} agg_set;

#define SET(list) {list, sizeof(list) / sizeof((list)[0])}
static const agg_set SETS[] = {SET(COUNTS), SET(EXACT), SET(STATS), SET(WIDE), SET(TEXTS)};
#define SET_COUNT (sizeof SETS / sizeof SETS[0])

static const ps_window NO_WINDOW = {.kind = PS_WINDOW_NONE};
static const ps_window SOME_WINDOWS[] = {
    {.kind = PS_WINDOW_TUMBLING, .size = 10},
    {.kind = PS_WINDOW_TUMBLING, .size = 7, .offset = -3},
    {.kind = PS_WINDOW_HOPPING, .size = 12, .slide = 3},
    {.kind = PS_WINDOW_HOPPING, .size = 10, .slide = 4, .offset = 5},
    {.kind = PS_WINDOW_HOPPING, .size = 30, .slide = 1},
};
#define WINDOW_COUNT (sizeof SOME_WINDOWS / sizeof SOME_WINDOWS[0])

static inline job make_job(const ps_window *window, int64_t bound, int32_t key_count,
                           const agg_set *set)
{
    job j = {.window = *window, .bound = bound, .key_count = key_count, .keys = {K, S, B}};
    j.aggregate_count = set->count;
    memcpy(j.aggregates, set->specs, (size_t)set->count * sizeof *set->specs);
    return j;
}

/* Times go up by at most `step` a row, less a disorder, from below zero; keys come from `keys`. */
static inline void draw_events(event *rows, int64_t count, int64_t keys, int64_t step,
                               int64_t disorder, rng *random)
{
    int64_t now = -200;
    for (int64_t i = 0; i < count; i++) {
        now += rng_once_in(random, 80) ? rng_below(random, 100) : rng_below(random, step + 1);
        rows[i] = (event){.k_valid = !rng_once_in(random, 7),
                          .s_valid = !rng_once_in(random, 5),
                          .v_valid = !rng_once_in(random, 4),
                          .b_valid = !rng_once_in(random, 3),
                          .b = rng_once_in(random, 2),
                          .k = rng_below(random, keys) - keys / 2,
                          .i = rng_between(random, 1, 50),
                          .t = now - rng_below(random, disorder + 1),
                          .v = (double)rng_between(random, -500, 500)};
        const int64_t length = rng_below(random, 3);
        for (int64_t c = 0; c < length; c++) {
            rows[i].s[c] = (char)('a' + rng_below(random, 3));
        }
    }
}

#endif
