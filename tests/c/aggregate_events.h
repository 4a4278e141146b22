/* aggregate_events.h -- rows for the tests of aggregates: at random, by cell, and as batches. */
#ifndef PS_TESTS_AGGREGATE_EVENTS_H
#define PS_TESTS_AGGREGATE_EVENTS_H

#include "agg_model.h"
#include "arrow/batch_builder.h"

/* Columns of the input. */
enum { K = 0, S, V, I, B, T, COLUMNS };

typedef struct event {
    bool k_valid, s_valid, v_valid, b_valid, b;
    int64_t k, i, t;
    double v;
    char s[8];
} event;

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

#endif
