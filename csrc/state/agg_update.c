/* agg_update.c -- lift: one tight loop per accumulator kind over the rows of a chunk.
 *
 * Sequential per group in row order, so float results do not depend on how the input was cut.
 */
#include <stdio.h>
#include <string.h>

#include "state/agg_layout.h"

typedef struct update {
    uint8_t *const *rows;
    uint32_t offset;
    const void *values;
    const uint8_t *valid;
    int64_t count;
} update;

/* The body once for all rows and once for the valid ones. */
#define FOR_ROWS(u, i, statement)                                                                  \
    do {                                                                                           \
        if ((u)->valid == NULL) {                                                                  \
            for (int64_t i = 0; i < (u)->count; i++) {                                             \
                statement                                                                          \
            }                                                                                      \
        } else {                                                                                   \
            for (int64_t i = 0; i < (u)->count; i++) {                                             \
                if ((u)->valid[i]) {                                                               \
                    statement                                                                      \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static void add_ones(const update *u)
{
    FOR_ROWS(u, i, { (*AT(uint64_t, u->rows[i], u->offset))++; });
}

/* The first visit to every row of the chunk: it asks for the rows ahead of it. More requests at
 * once than the core can keep open would only queue up. */
static void count_rows(uint8_t *const *rows, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        PS_PREFETCH(rows[i + PS_AGG_AHEAD]);
        (*AT(uint64_t, rows[i], 0))++;
    }
}

static bool sum_i64(const update *u)
{
    const int64_t *values = u->values;
    bool overflow = false;
    FOR_ROWS(u, i, {
        int64_t *total = AT(int64_t, u->rows[i], u->offset);
        overflow |= __builtin_add_overflow(*total, values[i], total);
    });
    return overflow;
}

static bool sum_u64(const update *u)
{
    const uint64_t *values = u->values;
    bool overflow = false;
    FOR_ROWS(u, i, {
        uint64_t *total = AT(uint64_t, u->rows[i], u->offset);
        overflow |= __builtin_add_overflow(*total, values[i], total);
    });
    return overflow;
}

static void sum_bool(const update *u)
{
    const uint8_t *values = u->values;
    FOR_ROWS(u, i, { *AT(int64_t, u->rows[i], u->offset) += values[i]; });
}

static void sum_f64(const update *u)
{
    const double *values = u->values;
    FOR_ROWS(u, i, { *AT(double, u->rows[i], u->offset) += values[i]; });
}

#define EXTREME(name, type, better)                                                                \
    static void name(const update *u)                                                              \
    {                                                                                              \
        const type *values = u->values;                                                            \
        FOR_ROWS(u, i, {                                                                           \
            type *held = AT(type, u->rows[i], u->offset);                                          \
            *held = values[i] better * held ? values[i] : *held;                                   \
        });                                                                                        \
    }
EXTREME(min_i64, int64_t, <)
EXTREME(max_i64, int64_t, >)
EXTREME(min_u64, uint64_t, <)
EXTREME(max_u64, uint64_t, >)

/* Empty is a NaN: whatever comes replaces it; a NaN that comes replaces nothing else. */
static inline double lesser(double held, double value)
{
    return value < held || held != held ? value : held;
}

static inline double greater(double held, double value)
{
    return value > held || held != held ? value : held;
}

static void min_f64(const update *u)
{
    const double *values = u->values;
    FOR_ROWS(u, i, {
        double *held = AT(double, u->rows[i], u->offset);
        *held = lesser(*held, values[i]);
    });
}

static void max_f64(const update *u)
{
    const double *values = u->values;
    FOR_ROWS(u, i, {
        double *held = AT(double, u->rows[i], u->offset);
        *held = greater(*held, values[i]);
    });
}

static void extreme_bool(const update *u, bool least)
{
    const uint8_t *values = u->values;
    FOR_ROWS(u, i, {
        uint64_t *held = AT(uint64_t, u->rows[i], u->offset);
        const uint64_t value = values[i] ? 2 : 1;
        *held = (least ? value < *held : value > *held) ? value : *held;
    });
}

static double as_f64(const void *values, ps_class kind, int64_t i)
{
    switch (kind) {
    case PS_CLASS_I64: return (double)((const int64_t *)values)[i];
    case PS_CLASS_U64: return (double)((const uint64_t *)values)[i];
    case PS_CLASS_BOOL: return (double)((const uint8_t *)values)[i];
    default: return ((const double *)values)[i];
    }
}

/* Numbers of any class as doubles: in place when they are. */
static const double *doubles(const ps_vector *vector, int64_t count, double *room)
{
    if (vector->kind == PS_CLASS_F64) {
        return vector->values;
    }
    for (int64_t i = 0; i < count; i++) {
        room[i] = as_f64(vector->values, vector->kind, i);
    }
    return room;
}

static void moments(const update *u)
{
    const double *values = u->values;
    FOR_ROWS(u, i, {
        double *m = AT(double, u->rows[i], u->offset);
        m[0] += 1.0;
        const double before = values[i] - m[1];
        m[1] += before / m[0];
        m[2] += before * (values[i] - m[1]);
    });
}

static void weighted(const update *u, const double *weights)
{
    const double *values = u->values;
    FOR_ROWS(u, i, {
        double *w = AT(double, u->rows[i], u->offset);
        w[0] += weights[i] * values[i];
        w[1] += weights[i];
    });
}

/* Copies a string into the arena, over the held one when that is large enough. */
static bool keep_string(ps_string *held, ps_string value, ps_arena *arena)
{
    const size_t size = (size_t)value.size_bytes;
    char *bytes = (char *)(uintptr_t)held->data;
    if (bytes == NULL || ps_align_up((size_t)held->size_bytes, 8) < size) {
        bytes = ps_arena_alloc(arena, size);
        if (bytes == NULL) {
            return false;
        }
    }
    if (size > 0) {
        memcpy(bytes, value.data, size);
    }
    *held = (ps_string){.data = bytes, .size_bytes = value.size_bytes};
    return true;
}

static int compare_strings(ps_string a, ps_string b)
{
    const int64_t shared = ps_min_i64(a.size_bytes, b.size_bytes);
    const int order = shared == 0 ? 0 : memcmp(a.data, b.data, (size_t)shared);
    return order != 0 ? order : (a.size_bytes > b.size_bytes) - (a.size_bytes < b.size_bytes);
}

static bool better_string(const ps_string *held, ps_string value, bool least)
{
    if (held->data == NULL) {
        return true;
    }
    const int order = compare_strings(value, *held);
    return least ? order < 0 : order > 0;
}

static bool extreme_string(const update *u, bool least, ps_arena *arena)
{
    const ps_string *values = u->values;
    FOR_ROWS(u, i, {
        ps_string *held = AT(ps_string, u->rows[i], u->offset);
        if (better_string(held, values[i], least) && !keep_string(held, values[i], arena)) {
            return false;
        }
    });
    return true;
}

/* first keeps the earliest time and among equals the first to arrive; last the opposite. */
static inline bool sooner(int64_t time, int64_t held, bool first)
{
    return first ? time < held : time >= held;
}

static void choose(const update *u, const int64_t *times, bool first, ps_class kind)
{
    FOR_ROWS(u, i, {
        int64_t *held = AT(int64_t, u->rows[i], u->offset);
        if (sooner(times[i], held[0], first)) {
            held[0] = times[i];
            held[1] = kind == PS_CLASS_BOOL ? ((const uint8_t *)u->values)[i]
                                            : ((const int64_t *)u->values)[i];
        }
    });
}

static bool choose_string(const update *u, const int64_t *times, bool first, ps_arena *arena)
{
    const ps_string *values = u->values;
    FOR_ROWS(u, i, {
        int64_t *held = AT(int64_t, u->rows[i], u->offset);
        ps_string *text = AT(ps_string, u->rows[i], u->offset + sizeof(int64_t));
        if (sooner(times[i], *held, first)) {
            *held = times[i];
            if (!keep_string(text, values[i], arena)) {
                return false;
            }
        }
    });
    return true;
}

/* rows, sum, min, max of one float column: one visit to each row instead of four. */
static void stats_f64(uint8_t *const *rows, const double *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        PS_PREFETCH(rows[i + PS_AGG_AHEAD]);
        uint64_t *n = AT(uint64_t, rows[i], 0);
        double *s = AT(double, rows[i], 8);
        const double value = values[i];
        const double low = s[1], high = s[2];
        *n += 1;
        s[0] += value;
        s[1] = lesser(low, value);
        s[2] = greater(high, value);
    }
}

static ps_status overflowed(const ps_agg_layout *layout, const acc *a, ps_error *err)
{
    return ps_fail(err, PS_OVERFLOW,
                   "aggregate '%s': the sum left the range of %s; cast the column to float64",
                   layout->outputs[a->owner].name, a->kind == ACC_SUM_U64 ? "uint64" : "int64");
}

static ps_status update_one(const ps_agg_layout *layout, const acc *a, update *u,
                            const ps_vector *inputs, const int64_t *times, ps_arena *arena,
                            ps_error *err)
{
    double room[PS_CHUNK_ROWS], weights[PS_CHUNK_ROWS];
    uint8_t both[PS_CHUNK_ROWS];
    bool done = true;
    switch (a->kind) {
    case ACC_VALID: add_ones(u); break;
    case ACC_SUM_I64:
        if (a->input_class == PS_CLASS_BOOL) {
            sum_bool(u);
        } else if (sum_i64(u)) {
            return overflowed(layout, a, err);
        }
        break;
    case ACC_SUM_U64:
        if (sum_u64(u)) {
            return overflowed(layout, a, err);
        }
        break;
    case ACC_SUM_F64:
        u->values = doubles(&inputs[a->input], u->count, room);
        sum_f64(u);
        break;
    case ACC_MIN_I64: min_i64(u); break;
    case ACC_MAX_I64: max_i64(u); break;
    case ACC_MIN_U64: min_u64(u); break;
    case ACC_MAX_U64: max_u64(u); break;
    case ACC_MIN_F64: min_f64(u); break;
    case ACC_MAX_F64: max_f64(u); break;
    case ACC_MIN_BOOL:
    case ACC_MAX_BOOL: extreme_bool(u, a->kind == ACC_MIN_BOOL); break;
    case ACC_MIN_STR:
    case ACC_MAX_STR: done = extreme_string(u, a->kind == ACC_MIN_STR, arena); break;
    case ACC_MOMENTS:
        u->values = doubles(&inputs[a->input], u->count, room);
        moments(u);
        break;
    case ACC_WEIGHTED: {
        const ps_vector *weight = &inputs[a->weight];
        u->values = doubles(&inputs[a->input], u->count, room);
        if (weight->valid != NULL) {
            for (int64_t i = 0; i < u->count; i++) {
                both[i] = weight->valid[i] & (u->valid == NULL ? 1 : u->valid[i]);
            }
            u->valid = both;
        }
        weighted(u, doubles(weight, u->count, weights));
        break;
    }
    case ACC_FIRST:
    case ACC_LAST: choose(u, times, a->kind == ACC_FIRST, a->input_class); break;
    case ACC_FIRST_STR:
    case ACC_LAST_STR: done = choose_string(u, times, a->kind == ACC_FIRST_STR, arena); break;
    case ACC_ROWS: /* counted before all others */
    case ACC_KIND_COUNT: break;
    }
    return done ? PS_OK : ps_mem_refused(layout->mem, 0, "string values of an aggregate", err);
}

ps_status ps_agg_update(const ps_agg_layout *layout, uint8_t *const *rows, const ps_vector *inputs,
                        const int64_t *times, int64_t count, ps_arena *arena, ps_error *err)
{
    PS_ASSERT(count >= 0 && count <= PS_CHUNK_ROWS);
    if (layout->stats_f64 && inputs[layout->accs[1].input].valid == NULL) {
        stats_f64(rows, inputs[layout->accs[1].input].values, count);
        return PS_OK;
    }
    count_rows(rows, count);
    for (int32_t k = 1; k < layout->acc_count; k++) {
        const acc *a = &layout->accs[k];
        update u = {.rows = rows, .offset = a->offset, .count = count};
        if (a->input >= 0) {
            u.values = inputs[a->input].values;
            u.valid = inputs[a->input].valid;
        }
        PS_TRY(update_one(layout, a, &u, inputs, times, arena, err));
    }
    return PS_OK;
}

/* ---- combine and remove: straight loops over consecutive rows ---- */

#define FOR_PAIRS(stride, count, into, from, statement)                                            \
    for (int64_t i_ = 0; i_ < (count); i_++, (into) += (stride), (from) += (stride)) {             \
        statement                                                                                  \
    }

static void combine_moments(double *a, const double *b)
{
    if (b[0] == 0.0) {
        return;
    }
    if (a[0] == 0.0) {
        memcpy(a, b, 3 * sizeof *a);
        return;
    }
    const double n = a[0] + b[0];
    const double apart = b[1] - a[1];
    a[1] += apart * (b[0] / n);
    a[2] += b[2] + apart * apart * (a[0] * b[0] / n);
    a[0] = n;
}

#define INTO(type) ((type *)(void *)into)
#define FROM(type) ((const type *)(const void *)from)

/* true: an integer sum left its range. */
static bool combine_sums(acc_kind kind, uint8_t *into, const uint8_t *from, size_t stride,
                         int64_t count)
{
    bool overflow = false;
    if (kind == ACC_SUM_I64) {
        FOR_PAIRS(stride, count, into, from, {
            overflow |= __builtin_add_overflow(*INTO(int64_t), *FROM(int64_t), INTO(int64_t));
        })
    } else if (kind == ACC_SUM_F64) {
        FOR_PAIRS(stride, count, into, from, { *INTO(double) += *FROM(double); })
    } else { /* counts too: they stay far below the range */
        FOR_PAIRS(stride, count, into, from, {
            overflow |= __builtin_add_overflow(*INTO(uint64_t), *FROM(uint64_t), INTO(uint64_t));
        })
    }
    return overflow;
}

static void combine_extremes(acc_kind kind, uint8_t *into, const uint8_t *from, size_t stride,
                             int64_t count)
{
    switch (kind) {
    case ACC_MIN_I64:
        FOR_PAIRS(stride, count, into, from,
                  { *INTO(int64_t) = ps_min_i64(*INTO(int64_t), *FROM(int64_t)); })
        break;
    case ACC_MAX_I64:
        FOR_PAIRS(stride, count, into, from,
                  { *INTO(int64_t) = ps_max_i64(*INTO(int64_t), *FROM(int64_t)); })
        break;
    case ACC_MIN_U64:
    case ACC_MIN_BOOL:
        FOR_PAIRS(stride, count, into, from, {
            *INTO(uint64_t) = *FROM(uint64_t) < *INTO(uint64_t) ? *FROM(uint64_t) : *INTO(uint64_t);
        })
        break;
    case ACC_MAX_U64:
    case ACC_MAX_BOOL:
        FOR_PAIRS(stride, count, into, from, {
            *INTO(uint64_t) = *FROM(uint64_t) > *INTO(uint64_t) ? *FROM(uint64_t) : *INTO(uint64_t);
        })
        break;
    case ACC_MIN_F64:
    case ACC_MAX_F64:
        FOR_PAIRS(stride, count, into, from, {
            if (*FROM(uint64_t) != EMPTY_F64_BITS) {
                *INTO(double) = kind == ACC_MIN_F64 ? lesser(*INTO(double), *FROM(double))
                                                    : greater(*INTO(double), *FROM(double));
            }
        })
        break;
    default: /* strings stay where they are: `from` outlives what is combined from it */
        FOR_PAIRS(stride, count, into, from, {
            const ps_string *text = FROM(ps_string);
            if (text->data != NULL && better_string(INTO(ps_string), *text, kind == ACC_MIN_STR)) {
                *INTO(ps_string) = *text;
            }
        })
    }
}

static void combine_chosen(acc_kind kind, uint8_t *into, const uint8_t *from, size_t stride,
                           int64_t count)
{
    const bool first = kind == ACC_FIRST || kind == ACC_FIRST_STR;
    const int64_t empty = first ? INT64_MAX : INT64_MIN;
    const size_t width = acc_width(kind);
    FOR_PAIRS(stride, count, into, from, {
        if (*FROM(int64_t) != empty && sooner(*FROM(int64_t), *INTO(int64_t), first)) {
            memcpy(into, from, width);
        }
    })
}

/* true: an integer sum left its range. */
static bool combine_one(const acc *a, uint8_t *into, const uint8_t *from, size_t stride,
                        int64_t count)
{
    into += a->offset;
    from += a->offset;
    switch (a->kind) {
    case ACC_ROWS:
    case ACC_VALID:
    case ACC_SUM_I64:
    case ACC_SUM_U64:
    case ACC_SUM_F64: return combine_sums(a->kind, into, from, stride, count);
    case ACC_MOMENTS:
        FOR_PAIRS(stride, count, into, from, { combine_moments(INTO(double), FROM(double)); })
        return false;
    case ACC_WEIGHTED:
        FOR_PAIRS(stride, count, into, from, {
            INTO(double)[0] += FROM(double)[0];
            INTO(double)[1] += FROM(double)[1];
        })
        return false;
    case ACC_FIRST:
    case ACC_LAST:
    case ACC_FIRST_STR:
    case ACC_LAST_STR: combine_chosen(a->kind, into, from, stride, count); return false;
    default: combine_extremes(a->kind, into, from, stride, count); return false;
    }
}

ps_status ps_agg_combine(const ps_agg_layout *layout, uint8_t *into, const uint8_t *from,
                         int64_t count, ps_error *err)
{
    for (int32_t k = 0; k < layout->acc_count; k++) {
        if (combine_one(&layout->accs[k], into, from, layout->stride, count)) {
            return overflowed(layout, &layout->accs[k], err);
        }
    }
    return PS_OK;
}

void ps_agg_remove(const ps_agg_layout *layout, uint8_t *from_total, const uint8_t *part,
                   int64_t count)
{
    PS_ASSERT(layout->invertible);
    for (int32_t k = 0; k < layout->acc_count; k++) {
        uint8_t *into = from_total + layout->accs[k].offset;
        const uint8_t *from = part + layout->accs[k].offset;
        /* Unsigned: the total contained the part, so the exact difference fits. */
        FOR_PAIRS(layout->stride, count, into, from, { *INTO(uint64_t) -= *FROM(uint64_t); })
    }
}

/* ---- copies of rows ---- */

/* Where an accumulator keeps its string; it must have one. */
static uint32_t string_offset(const acc *a)
{
    return a->offset + (a->kind == ACC_FIRST_STR || a->kind == ACC_LAST_STR ? 8 : 0);
}

static bool has_string(acc_kind kind)
{
    return kind == ACC_MIN_STR || kind == ACC_MAX_STR || kind == ACC_FIRST_STR ||
           kind == ACC_LAST_STR;
}

bool ps_agg_own_strings(const ps_agg_layout *layout, uint8_t *row, ps_arena *arena)
{
    for (int32_t k = 0; k < layout->acc_count; k++) {
        const acc *a = &layout->accs[k];
        if (!has_string(a->kind)) {
            continue;
        }
        ps_string *held = AT(ps_string, row, string_offset(a));
        const ps_string from = *held;
        *held = (ps_string){0};
        if (from.data != NULL && !keep_string(held, from, arena)) {
            return false;
        }
    }
    return true;
}
