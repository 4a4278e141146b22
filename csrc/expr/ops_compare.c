/* ops_compare.c -- comparisons and set membership on chunks. */
#include <math.h>
#include <string.h>

#include "expr/forest.h"
#include "expr/ops.h"

#define COMPARE(name, table)                                                                       \
    static ps_status name(ps_call *call, ps_error *err)                                            \
    {                                                                                              \
        (void)err;                                                                                 \
        ps_call_strict(call);                                                                      \
        call->kernels->table[call->i](call->a->values, call->b->values, call->b_step,              \
                                      call->values, call->n);                                      \
        return PS_OK;                                                                              \
    }
COMPARE(run_compare_i64, compare_i64)
COMPARE(run_compare_u64, compare_u64)
COMPARE(run_compare_iu, compare_iu)
COMPARE(run_compare_f64, compare_f64)
COMPARE(run_compare_bool, compare_u8)

/* -1, 0 or 1; 2 when y is not a number, for which only "not equal" holds. */
static bool holds(int64_t compare, int order)
{
    switch ((ps_compare)compare) {
    case PS_EQ: return order == 0;
    case PS_NE: return order != 0;
    case PS_LT: return order == -1;
    case PS_LE: return order == -1 || order == 0;
    case PS_GT: return order == 1;
    case PS_GE: return order == 1 || order == 0;
    }
    return false;
}

static int order_if(int64_t x, double y)
{
    if (isnan(y)) {
        return 2;
    }
    if (y >= 0x1p63) {
        return -1;
    }
    if (y < -0x1p63) {
        return 1;
    }
    const int64_t whole = (int64_t)y;
    if (x != whole) {
        return x < whole ? -1 : 1;
    }
    const double rest = y - (double)whole;
    return rest > 0 ? -1 : rest < 0;
}

static int order_uf(uint64_t x, double y)
{
    if (isnan(y)) {
        return 2;
    }
    if (y >= 0x1p64) {
        return -1;
    }
    if (y < 0) {
        return 1;
    }
    const uint64_t whole = (uint64_t)y;
    if (x != whole) {
        return x < whole ? -1 : 1;
    }
    return y > (double)whole ? -1 : 0;
}

#define COMPARE_MIXED(name, type, order)                                                           \
    static ps_status name(ps_call *call, ps_error *err)                                            \
    {                                                                                              \
        (void)err;                                                                                 \
        const type *a = call->a->values;                                                           \
        const double *b = call->b->values;                                                         \
        uint8_t *out = call->values;                                                               \
        ps_call_strict(call);                                                                      \
        for (int64_t i = 0; i < call->n; i++) {                                                    \
            out[i] = holds(call->i, order(a[i], b[i * call->b_step]));                             \
        }                                                                                          \
        return PS_OK;                                                                              \
    }
COMPARE_MIXED(run_compare_if, int64_t, order_if)
COMPARE_MIXED(run_compare_uf, uint64_t, order_uf)

static bool same_string(ps_string x, ps_string y)
{
    return x.size_bytes == y.size_bytes &&
           (x.size_bytes == 0 || memcmp(x.data, y.data, (size_t)x.size_bytes) == 0);
}

static int order_string(ps_string x, ps_string y)
{
    const size_t common = (size_t)ps_min_i64(x.size_bytes, y.size_bytes);
    const int order = common == 0 ? 0 : memcmp(x.data, y.data, common);
    if (order != 0) {
        return order < 0 ? -1 : 1;
    }
    return x.size_bytes < y.size_bytes ? -1 : x.size_bytes > y.size_bytes;
}

static ps_status run_compare_str(ps_call *call, ps_error *err)
{
    (void)err;
    const ps_string *a = call->a->values, *b = call->b->values;
    uint8_t *out = call->values;
    ps_call_strict(call);
    if (call->i == PS_EQ || call->i == PS_NE) {
        const bool flip = call->i == PS_NE;
        for (int64_t i = 0; i < call->n; i++) {
            out[i] = same_string(a[i], b[i * call->b_step]) != flip;
        }
        return PS_OK;
    }
    for (int64_t i = 0; i < call->n; i++) {
        out[i] = holds(call->i, order_string(a[i], b[i * call->b_step]));
    }
    return PS_OK;
}

/* ---- straight from a column ---- */

static void set_out(ps_call *call, const ps_column *column)
{
    call->out.values = call->values;
    call->out.valid = column->null_count == 0 ? NULL : ps_call_column_valid(call, column);
}

static void one_null_bool(ps_call *call)
{
    memset(call->values, 0, (size_t)call->n);
    memset(call->valid, 0, (size_t)call->n);
    call->out.values = call->values;
    call->out.valid = call->valid;
}

static int log2_width(int32_t width)
{
    return width == 1 ? 0 : width == 2 ? 1 : width == 4 ? 2 : 3;
}

static void compare_values(ps_call *call, ps_type_id id, int log2, const void *values,
                           const ps_scalar *constant)
{
    const ps_kernels *k = call->kernels;
    if (id == PS_TYPE_FLOAT32) {
        k->compare_f32[call->i](values, constant->f, call->values, call->n);
    } else if (id == PS_TYPE_FLOAT64) {
        k->compare_f64[call->i](values, &constant->f, 0, call->values, call->n);
    } else if (ps_type_is_unsigned(id)) {
        k->compare_uint[log2][call->i](values, constant->i, call->values, call->n);
    } else {
        k->compare_int[log2][call->i](values, constant->i, call->values, call->n);
    }
}

static ps_status run_compare_column(ps_call *call, ps_error *err)
{
    (void)err;
    if (call->source->one_null) {
        one_null_bool(call);
        return PS_OK;
    }
    const ps_column *column = ps_call_column(call);
    const int log2 = log2_width(column->type.width);
    const char *values = column->values;
    if (call->source->rows == NULL) {
        values += (size_t)call->source->start << log2;
    } else {
        call->kernels->gather[log2](values, call->source->rows, call->room->values, call->n);
        values = (const char *)call->room->values;
    }
    /* a mask may overwrite the gathered values: each byte is written after its value was read */
    uint8_t *target = call->values;
    if (values == (const char *)target) {
        target = call->room->values + sizeof call->room->values - PS_CHUNK_ROWS;
        call->values = target;
    }
    compare_values(call, (ps_type_id)column->type.id, log2, values, call->p);
    set_out(call, column);
    return PS_OK;
}

static ps_status run_equal_column(ps_call *call, ps_error *err)
{
    (void)err;
    if (call->source->one_null) {
        one_null_bool(call);
        return PS_OK;
    }
    const ps_column *column = ps_call_column(call);
    const int32_t *offsets = column->offsets;
    if (call->source->rows == NULL) {
        offsets += call->source->start;
    }
    call->kernels->string_equal(offsets, column->values, call->source->rows, call->p, call->values,
                                call->n);
    if (call->i == PS_NE) {
        call->kernels->mask_not(call->values, call->values, call->n);
    }
    set_out(call, column);
    return PS_OK;
}

/* ---- membership ---- */

#define SMALL_SET 12 /* up to here one pass a value beats hashing */

struct ps_set {
    ps_class kind;
    int64_t count;
    uint64_t mask;  /* slots - 1 */
    int32_t *slots; /* index of a value, -1 = free */
    ps_scalar *values;
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 32)) * 0x9e3779b97f4a7c15u;
    return x ^ (x >> 29);
}

static uint64_t hash_string(ps_string s)
{
    uint64_t h = (uint64_t)s.size_bytes;
    int64_t i = 0;
    for (; i + 8 <= s.size_bytes; i += 8) {
        uint64_t word;
        memcpy(&word, s.data + i, 8);
        h = mix(h ^ word);
    }
    uint64_t rest = 0;
    if (i < s.size_bytes) {
        memcpy(&rest, s.data + i, (size_t)(s.size_bytes - i));
    }
    return mix(h ^ rest);
}

static uint64_t hash_scalar(ps_class kind, const ps_scalar *v)
{
    if (kind == PS_CLASS_STR) {
        return hash_string(v->s);
    }
    if (kind == PS_CLASS_F64) {
        const double positive_zero = v->f + 0.0; /* both zeros are one value */
        uint64_t bits;
        memcpy(&bits, &positive_zero, 8);
        return mix(bits);
    }
    return mix(v->u);
}

static bool same_scalar(ps_class kind, const ps_scalar *x, const ps_scalar *y)
{
    return kind == PS_CLASS_STR   ? same_string(x->s, y->s)
           : kind == PS_CLASS_F64 ? x->f == y->f
                                  : x->u == y->u;
}

static bool set_has(const ps_set *set, const ps_scalar *value)
{
    uint64_t at = hash_scalar(set->kind, value) & set->mask;
    for (; set->slots[at] >= 0; at = (at + 1) & set->mask) {
        if (same_scalar(set->kind, &set->values[set->slots[at]], value)) {
            return true;
        }
    }
    return false;
}

const ps_set *ps_set_make(ps_arena *arena, ps_class kind, const void *values, int64_t count)
{
    uint64_t slots = 4;
    while (slots < 2 * (uint64_t)count) {
        slots *= 2;
    }
    ps_set *set = ps_arena_alloc(arena, sizeof *set);
    int32_t *table = ps_arena_alloc(arena, slots * sizeof(int32_t));
    ps_scalar *kept = ps_arena_alloc(arena, (size_t)count * sizeof(ps_scalar));
    if (set == NULL || table == NULL || kept == NULL) {
        return NULL;
    }
    *set = (ps_set){.kind = kind, .mask = slots - 1, .slots = table, .values = kept};
    memset(table, 0xff, slots * sizeof(int32_t));
    const ps_scalar *given = values;
    for (int64_t i = 0; i < count; i++) {
        if (set_has(set, &given[i])) {
            continue;
        }
        uint64_t at = hash_scalar(kind, &given[i]) & set->mask;
        while (table[at] >= 0) {
            at = (at + 1) & set->mask;
        }
        table[at] = (int32_t)set->count;
        kept[set->count++] = given[i];
    }
    return set;
}

static ps_status run_in_set(ps_call *call, ps_error *err)
{
    (void)err;
    const ps_set *set = call->p;
    const int64_t n = call->n;
    uint8_t *out = call->values;
    ps_call_strict(call);
    if (set->kind != PS_CLASS_STR && set->count <= SMALL_SET) {
        memset(out, 0, (size_t)n);
        for (int64_t k = 0; k < set->count; k++) {
            if (set->kind == PS_CLASS_F64) {
                call->kernels->any_equal_f64(call->a->values, set->values[k].f, out, n);
            } else {
                call->kernels->any_equal_i64(call->a->values, set->values[k].i, out, n);
            }
        }
        return PS_OK;
    }
    for (int64_t i = 0; i < n; i++) {
        ps_scalar value = {.u = 0};
        if (set->kind == PS_CLASS_STR) {
            value.s = ((const ps_string *)call->a->values)[i];
        } else {
            value.u = ((const uint64_t *)call->a->values)[i];
        }
        out[i] = set_has(set, &value);
    }
    return PS_OK;
}

#define STRICT (PS_OP_STRICT | PS_OP_PURE)
const ps_op ps_op_compare_i64 = {run_compare_i64, STRICT, PS_CLASS_BOOL};
const ps_op ps_op_compare_u64 = {run_compare_u64, STRICT, PS_CLASS_BOOL};
const ps_op ps_op_compare_iu = {run_compare_iu, STRICT, PS_CLASS_BOOL};
const ps_op ps_op_compare_f64 = {run_compare_f64, STRICT, PS_CLASS_BOOL};
const ps_op ps_op_compare_bool = {run_compare_bool, STRICT, PS_CLASS_BOOL};
const ps_op ps_op_compare_str = {run_compare_str, STRICT, PS_CLASS_BOOL};
const ps_op ps_op_compare_if = {run_compare_if, STRICT, PS_CLASS_BOOL};
const ps_op ps_op_compare_uf = {run_compare_uf, STRICT, PS_CLASS_BOOL};
const ps_op ps_op_compare_column = {run_compare_column, 0, PS_CLASS_BOOL};
const ps_op ps_op_equal_column = {run_equal_column, 0, PS_CLASS_BOOL};
const ps_op ps_op_in_set = {run_in_set, STRICT, PS_CLASS_BOOL};
