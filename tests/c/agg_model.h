/* agg_model.h -- every aggregate recomputed from its rows, the slow and obvious way. */
#ifndef PS_TESTS_AGG_MODEL_H
#define PS_TESTS_AGG_MODEL_H

#include <math.h>
#include <stdarg.h>

#include "account.h"
#include "random.h"
#include "state/agg.h"

#define FUNCTION_COUNT (PS_AGG_WEIGHTED_MEAN + 1)

typedef struct agg_row {
    int64_t time;
    bool valid;
    int64_t word; /* integers and bools; uint64 by its bits */
    double number;
    ps_string text;
    bool weighted; /* the weight is valid */
    double weight;
} agg_row;

typedef struct agg_answer {
    bool null;
    int64_t word;
    double number;
    ps_string text;
} agg_answer;

/* An input type with its class; the weight is a float64. */
typedef struct agg_type {
    const char *name;
    ps_type type;
} agg_type;

static const agg_type AGG_TYPES[] = {
    {"int64", {.id = PS_TYPE_INT64, .width = 8}},
    {"int32", {.id = PS_TYPE_INT32, .width = 4}},
    {"uint64", {.id = PS_TYPE_UINT64, .width = 8}},
    {"float64", {.id = PS_TYPE_FLOAT64, .width = 8}},
    {"bool", {.id = PS_TYPE_BOOL}},
    {"utf8", {.id = PS_TYPE_UTF8}},
    {"timestamp", {.id = PS_TYPE_TIMESTAMP, .unit = PS_UNIT_US, .width = 8}},
    {"duration", {.id = PS_TYPE_DURATION, .unit = PS_UNIT_MS, .width = 8}},
    {"decimal128", {.id = PS_TYPE_DECIMAL128, .width = 16, .precision = 20, .scale = 2}},
    {"null", {.id = PS_TYPE_NULL}},
};
#define AGG_TYPE_COUNT (sizeof AGG_TYPES / sizeof AGG_TYPES[0])

/* What state/agg_spec.h promises to take. */
static inline bool agg_takes(ps_agg_function function, const ps_type *type)
{
    const ps_class kind = ps_type_class(type);
    const bool number = ps_type_is_integer(type->id) || ps_type_is_float(type->id);
    switch (function) {
    case PS_AGG_COUNT:
    case PS_AGG_COUNT_VALID: return true;
    case PS_AGG_SUM: return number || kind == PS_CLASS_BOOL || type->id == PS_TYPE_DURATION;
    case PS_AGG_MEAN: return number || kind == PS_CLASS_BOOL;
    case PS_AGG_VAR:
    case PS_AGG_STD:
    case PS_AGG_WEIGHTED_MEAN: return number;
    case PS_AGG_ANY:
    case PS_AGG_ALL: return kind == PS_CLASS_BOOL;
    case PS_AGG_MIN:
    case PS_AGG_MAX: return kind != PS_CLASS_NONE && type->id != PS_TYPE_DECIMAL128;
    case PS_AGG_FIRST:
    case PS_AGG_LAST: return kind != PS_CLASS_NONE;
    }
    return false;
}

static inline int agg_compare(const agg_row *a, const agg_row *b, ps_class kind)
{
    if (kind == PS_CLASS_STR) {
        const int64_t shared = ps_min_i64(a->text.size_bytes, b->text.size_bytes);
        const int order = memcmp(a->text.data, b->text.data, (size_t)shared);
        return order != 0 ? order
                          : (a->text.size_bytes > b->text.size_bytes) -
                                (a->text.size_bytes < b->text.size_bytes);
    }
    if (kind == PS_CLASS_F64) {
        return (a->number > b->number) - (a->number < b->number);
    }
    if (kind == PS_CLASS_U64) {
        return ((uint64_t)a->word > (uint64_t)b->word) - ((uint64_t)a->word < (uint64_t)b->word);
    }
    return (a->word > b->word) - (a->word < b->word);
}

/* min, max, first, last: the row that is the answer, or NULL. */
static inline const agg_row *agg_choose(ps_agg_function function, ps_class kind,
                                        const agg_row *rows, int64_t count)
{
    const agg_row *best = NULL;
    for (int64_t i = 0; i < count; i++) {
        const agg_row *row = &rows[i];
        if (!row->valid) {
            continue;
        }
        bool better = best == NULL;
        if (!better && (function == PS_AGG_MIN || function == PS_AGG_MAX)) {
            const int order = agg_compare(row, best, kind);
            better = function == PS_AGG_MIN ? order < 0 : order > 0;
            if (kind == PS_CLASS_F64 && isnan(best->number)) {
                better = !isnan(row->number);
            }
        } else if (!better) {
            better = function == PS_AGG_FIRST ? row->time < best->time : row->time >= best->time;
        }
        best = better ? row : best;
    }
    return best;
}

static inline double agg_variance(const agg_row *rows, int64_t count, int64_t valid,
                                  int32_t freedom)
{
    long double mean = 0.0L, squares = 0.0L;
    for (int64_t i = 0; i < count; i++) {
        mean += rows[i].valid ? (long double)rows[i].number / (long double)valid : 0.0L;
    }
    for (int64_t i = 0; i < count; i++) {
        const long double apart = (long double)rows[i].number - mean;
        squares += rows[i].valid ? apart * apart : 0.0L;
    }
    return (double)(squares / (long double)(valid - freedom));
}

/* The number of an input of that class, as float aggregates see it. */
static inline agg_answer agg_recompute(ps_agg_function function, int32_t freedom, ps_class kind,
                                       const agg_row *rows, int64_t count)
{
    agg_answer answer = {.null = false};
    int64_t valid = 0, ones = 0, whole = 0;
    double sum = 0.0, products = 0.0, weights = 0.0;
    for (int64_t i = 0; i < count; i++) {
        if (rows[i].valid) {
            valid++;
            ones += rows[i].word == 1;
            whole = (int64_t)((uint64_t)whole + (uint64_t)rows[i].word);
            sum += rows[i].number;
            products += rows[i].weighted ? rows[i].weight * rows[i].number : 0.0;
            weights += rows[i].weighted ? rows[i].weight : 0.0;
        }
    }
    switch (function) {
    case PS_AGG_COUNT: answer.word = count; break;
    case PS_AGG_COUNT_VALID: answer.word = valid; break;
    case PS_AGG_SUM:
        answer.word = whole;
        answer.number = sum;
        break;
    case PS_AGG_MEAN:
        answer.null = valid == 0;
        answer.number = valid == 0 ? 0.0 : sum / (double)valid;
        break;
    case PS_AGG_VAR:
    case PS_AGG_STD:
        answer.null = valid <= freedom;
        if (!answer.null) {
            const double variance = agg_variance(rows, count, valid, freedom);
            answer.number = function == PS_AGG_STD ? sqrt(variance) : variance;
        }
        break;
    case PS_AGG_ANY:
    case PS_AGG_ALL:
        answer.null = valid == 0;
        answer.word = function == PS_AGG_ANY ? ones > 0 : ones == valid;
        break;
    case PS_AGG_WEIGHTED_MEAN:
        answer.null = weights == 0.0;
        answer.number = weights == 0.0 ? 0.0 : products / weights;
        break;
    default: {
        const agg_row *best = agg_choose(function, kind, rows, count);
        answer.null = best == NULL;
        if (best != NULL) {
            answer.word = best->word;
            answer.number = best->number;
            answer.text = best->text;
        }
    }
    }
    return answer;
}

/* Element i of a lowered vector against the answer; floats within `tolerance` of each other. */
static inline void agg_check(const ps_vector *got, int64_t i, const agg_answer *want,
                             double tolerance)
{
    CHECK_EQ(got->valid != NULL && got->valid[i] == 0, want->null);
    if (want->null) {
        return;
    }
    if (got->kind == PS_CLASS_F64) {
        const double a = ((const double *)got->values)[i], b = want->number;
        const double scale = fabs(a) > fabs(b) ? fabs(a) : fabs(b);
        if (!(a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= tolerance * (1.0 + scale))) {
            CHECK_FAIL("%.17g is not %.17g", a, b);
        }
    } else if (got->kind == PS_CLASS_STR) {
        const ps_string text = ((const ps_string *)got->values)[i];
        CHECK_EQ(text.size_bytes, want->text.size_bytes);
        CHECK(memcmp(text.data, want->text.data, (size_t)text.size_bytes) == 0);
    } else if (got->kind == PS_CLASS_BOOL) {
        CHECK_EQ(((const uint8_t *)got->values)[i], want->word);
    } else {
        CHECK_EQ(((const int64_t *)got->values)[i], want->word);
    }
}

/* ---- random rows ---- */

#define AGG_ROWS 3000

typedef struct agg_table {
    ps_class kind;
    int64_t count;
    bool nulls;
    agg_row rows[AGG_ROWS];
    uint32_t groups[AGG_ROWS];
    char texts[AGG_ROWS][32];
    /* the same as vectors */
    int64_t words[AGG_ROWS];
    double numbers[AGG_ROWS];
    uint8_t bools[AGG_ROWS];
    ps_string strings[AGG_ROWS];
    uint8_t valid[AGG_ROWS];
    double weights[AGG_ROWS];
    uint8_t weighted[AGG_ROWS];
    int64_t times[AGG_ROWS];
} agg_table;

static inline void agg_random_text(agg_table *t, int64_t i, rng *random, bool decimal)
{
    int64_t size = decimal ? 16 : rng_below(random, rng_once_in(random, 3) ? 25 : 4);
    for (int64_t k = 0; k < size; k++) {
        t->texts[i][k] = (char)('a' + rng_below(random, 3));
    }
    t->rows[i].text = (ps_string){.data = t->texts[i], .size_bytes = size};
}

static inline double agg_random_number(rng *random, bool whole)
{
    if (whole) { /* sums of these are exact */
        return (double)rng_between(random, -1000, 1000);
    }
    switch (rng_below(random, 40)) {
    case 0: return NAN;
    case 1: return -0.0;
    default: return (double)rng_between(random, -1000000, 1000000) / 977.0;
    }
}

/* whole: floats are small integers, so that no order of adding them matters. */
static inline void agg_fill(agg_table *t, const ps_type *type, int64_t count, int64_t group_count,
                            bool nulls, bool whole, rng *random)
{
    t->kind = ps_type_class(type);
    t->count = count;
    t->nulls = nulls;
    for (int64_t i = 0; i < count; i++) {
        agg_row *row = &t->rows[i];
        *row = (agg_row){.time = rng_between(random, -50, 50),
                         .valid = !nulls || rng_below(random, 4) > 0,
                         .word = rng_between(random, -1000, 1000),
                         .weighted = !nulls || rng_below(random, 4) > 0,
                         .weight = (double)rng_between(random, whole ? 1 : -3, 9)};
        agg_random_text(t, i, random, type->id == PS_TYPE_DECIMAL128);
        if (t->kind == PS_CLASS_U64) {
            row->word = rng_between(random, 0, 1000);
        } else if (t->kind == PS_CLASS_BOOL) {
            row->word = rng_once_in(random, 2);
        }
        row->number =
            t->kind == PS_CLASS_F64 ? agg_random_number(random, whole) : (double)row->word;
        t->groups[i] = (uint32_t)rng_below(random, group_count);
        t->words[i] = row->valid ? row->word : 12345;
        t->numbers[i] = row->valid ? row->number : 1e300;
        t->bools[i] = (uint8_t)(row->valid ? row->word & 1 : 1);
        t->strings[i] = row->valid ? row->text : (ps_string){0};
        t->valid[i] = row->valid;
        t->weights[i] = row->weight;
        t->weighted[i] = row->weighted;
        t->times[i] = row->time;
    }
}

/* Rows from `at` on as vector 0 (values) and vector 1 (weights). */
static inline void agg_vectors(const agg_table *t, int64_t at, ps_vector *out)
{
    const void *values = t->kind == PS_CLASS_F64    ? (const void *)&t->numbers[at]
                         : t->kind == PS_CLASS_BOOL ? (const void *)&t->bools[at]
                         : t->kind == PS_CLASS_STR  ? (const void *)&t->strings[at]
                                                    : (const void *)&t->words[at];
    out[0] =
        (ps_vector){.kind = t->kind, .values = values, .valid = t->nulls ? &t->valid[at] : NULL};
    out[1] = (ps_vector){.kind = PS_CLASS_F64,
                         .values = &t->weights[at],
                         .valid = t->nulls ? &t->weighted[at] : NULL};
}

static inline ps_agg_arg agg_arg(ps_agg_function function, const ps_type *type, bool nullable)
{
    return (ps_agg_arg){.function = function,
                        .name = "answer",
                        .input = function == PS_AGG_COUNT ? -1 : 0,
                        .weight = function == PS_AGG_WEIGHTED_MEAN ? 1 : -1,
                        .parameter = function == PS_AGG_VAR ? 0 : 1,
                        .input_type = *type,
                        .weight_type = {.id = PS_TYPE_FLOAT64, .width = 8},
                        .nullable = nullable};
}

/* ---- accumulator rows ---- */

typedef struct agg_rows {
    const ps_agg_layout *layout;
    ps_mem *mem;
    int64_t count;
    uint8_t *bytes;
    ps_arena arena;
} agg_rows;

static inline void agg_rows_init(agg_rows *r, ps_mem *mem, const ps_agg_layout *layout,
                                 int64_t count)
{
    const size_t stride = ps_agg_stride(layout);
    *r = (agg_rows){.layout = layout, .mem = mem, .count = count};
    r->bytes = ps_alloc(mem, stride * (size_t)count);
    CHECK(r->bytes != NULL);
    ps_arena_init(&r->arena, mem);
    for (int64_t i = 0; i < count; i++) {
        memcpy(r->bytes + (size_t)i * stride, ps_agg_identity(layout), stride);
    }
}

static inline void agg_rows_fini(agg_rows *r)
{
    ps_free(r->mem, r->bytes, ps_agg_stride(r->layout) * (size_t)r->count);
    ps_arena_fini(&r->arena);
}

static inline uint8_t *agg_rows_at(const agg_rows *r, int64_t group)
{
    return r->bytes + (size_t)group * ps_agg_stride(r->layout);
}

static inline ps_status agg_rows_add(agg_rows *r, const agg_table *t, int64_t first, int64_t count,
                                     ps_error *err)
{
    uint8_t *rows[PS_CHUNK_ROWS + PS_AGG_AHEAD] = {NULL};
    ps_vector vectors[2];
    for (int64_t i = 0; i < count; i++) {
        rows[i] = agg_rows_at(r, t->groups[first + i]);
    }
    agg_vectors(t, first, vectors);
    return ps_agg_update(r->layout, rows, vectors, &t->times[first], count, &r->arena, err);
}

/* Rows [first, end) in chunks of random length. */
static inline void agg_rows_add_all(agg_rows *r, const agg_table *t, int64_t first, int64_t end,
                                    rng *random)
{
    while (first < end) {
        const int64_t count =
            ps_min_i64(end - first, rng_between(random, 1, rng_once_in(random, 2) ? 1024 : 50));
        CHECK_OK(agg_rows_add(r, t, first, count, NULL));
        first += count;
    }
}

/* Result column `aggregate` of the groups against recomputation from rows [first, end). */
static inline void agg_rows_check(const agg_rows *r, int32_t aggregate, ps_agg_function function,
                                  const agg_table *t, int64_t first, int64_t end, double tolerance)
{
    static agg_row picked[AGG_ROWS];
    static ps_vector_scratch scratch;
    const uint8_t *rows[64];
    ps_vector vector;
    for (int64_t g = 0; g < r->count; g++) {
        rows[g] = agg_rows_at(r, g);
    }
    CHECK_OK(ps_agg_lower(r->layout, aggregate, rows, r->count, &scratch, &vector, NULL));
    for (int64_t g = 0; g < r->count; g++) {
        int64_t count = 0;
        for (int64_t i = first; i < end; i++) {
            picked[count] = t->rows[i];
            count += t->groups[i] == g;
        }
        const int32_t freedom = function == PS_AGG_VAR ? 0 : 1;
        const agg_answer want = agg_recompute(function, freedom, t->kind, picked, count);
        agg_check(&vector, g, &want, tolerance);
        CHECK_EQ(ps_agg_rows(rows[g]), count);
    }
}

#endif
