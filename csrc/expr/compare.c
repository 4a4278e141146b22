/* compare.c -- comparisons by value between any two types that can be compared, and is_in. */
#include <math.h>
#include <string.h>

#include "expr/bind.h"

static ps_compare mirrored(ps_compare compare)
{
    static const uint8_t mirror[] = {[PS_EQ] = PS_EQ, [PS_NE] = PS_NE, [PS_LT] = PS_GT,
                                     [PS_LE] = PS_GE, [PS_GT] = PS_LT, [PS_GE] = PS_LE};
    return (ps_compare)mirror[compare];
}

static int32_t emit_compare(ps_compiler *c, const ps_op *op, ps_compare compare, int32_t a,
                            int32_t b)
{
    return ps_emit2(c, op, ps_plain(PS_TYPE_BOOL), a, b, compare);
}

/* a lies on one side of the constant whatever its value (2: not comparable, as NaN). */
static int32_t known(ps_compiler *c, ps_compare compare, int32_t a, int order)
{
    const bool answer = compare == PS_NE ||
                        (order == -1 && (compare == PS_LT || compare == PS_LE)) ||
                        (order == 1 && (compare == PS_GT || compare == PS_GE));
    return ps_emit1(c, &ps_op_bool_like, ps_plain(PS_TYPE_BOOL), a, answer);
}

static const ps_op *op_of(ps_class kind)
{
    switch (kind) {
    case PS_CLASS_BOOL: return &ps_op_compare_bool;
    case PS_CLASS_I64: return &ps_op_compare_i64;
    case PS_CLASS_U64: return &ps_op_compare_u64;
    case PS_CLASS_F64: return &ps_op_compare_f64;
    default: return &ps_op_compare_str;
    }
}

/* With a whole number f just below the constant and the constant itself not a whole number. */
static int32_t compare_floor(ps_compiler *c, ps_compare compare, int32_t a, int32_t f)
{
    switch (compare) {
    case PS_EQ:
    case PS_NE: return known(c, compare, a, 2);
    case PS_LT:
    case PS_LE: return emit_compare(c, op_of(c->values[a].kind), PS_LE, a, f);
    default: return emit_compare(c, op_of(c->values[a].kind), PS_GT, a, f);
    }
}

static int32_t integer_with_double(ps_compiler *c, ps_compare compare, int32_t a, double d)
{
    const bool is_signed = c->values[a].kind == PS_CLASS_I64;
    if (isnan(d)) {
        return known(c, compare, a, 2);
    }
    if (d >= (is_signed ? 0x1p63 : 0x1p64)) {
        return known(c, compare, a, -1);
    }
    if (d < (is_signed ? -0x1p63 : 0.0)) {
        return known(c, compare, a, 1);
    }
    const double below = floor(d);
    ps_scalar whole = {.u = 0};
    if (is_signed) {
        whole.i = (int64_t)below;
    } else {
        whole.u = (uint64_t)below;
    }
    const ps_type type = ps_plain(is_signed ? PS_TYPE_INT64 : PS_TYPE_UINT64);
    const int32_t constant = ps_emit_constant(c, type, whole);
    return below == d ? emit_compare(c, op_of(c->values[a].kind), compare, a, constant)
                      : compare_floor(c, compare, a, constant);
}

/* Two integers of different signedness, the constant (if any) on the right. */
static int32_t signed_with_unsigned(ps_compiler *c, ps_compare compare, int32_t a, int32_t b)
{
    const ps_class left = c->values[a].kind;
    const bool left_signed = left == PS_CLASS_I64;
    if (c->values[b].op == NULL) {
        const ps_scalar bits = c->values[b].constant;
        if (bits.i < 0) { /* above every int64, or below every uint64 */
            return known(c, compare, a, left_signed ? -1 : 1);
        }
        const ps_type type = ps_plain(left_signed ? PS_TYPE_INT64 : PS_TYPE_UINT64);
        return emit_compare(c, op_of(left), compare, a, ps_emit_constant(c, type, bits));
    }
    return left_signed ? emit_compare(c, &ps_op_compare_iu, compare, a, b)
                       : emit_compare(c, &ps_op_compare_iu, mirrored(compare), b, a);
}

static bool exact_double(const ps_value *constant, double *out)
{
    if (constant->kind == PS_CLASS_I64) {
        *out = (double)constant->constant.i;
        return *out < 0x1p63 && (int64_t)*out == constant->constant.i;
    }
    *out = (double)constant->constant.u;
    return *out < 0x1p64 && (uint64_t)*out == constant->constant.u;
}

static int32_t compare_numbers(ps_compiler *c, ps_compare compare, int32_t a, int32_t b)
{
    const ps_class left = c->values[a].kind, right = c->values[b].kind;
    if (left == right) {
        return emit_compare(c, op_of(left), compare, a, b);
    }
    if (left != PS_CLASS_F64 && right != PS_CLASS_F64) {
        return signed_with_unsigned(c, compare, a, b);
    }
    if (right == PS_CLASS_F64) {
        if (c->values[b].op == NULL) {
            return integer_with_double(c, compare, a, c->values[b].constant.f);
        }
        const ps_op *op = left == PS_CLASS_I64 ? &ps_op_compare_if : &ps_op_compare_uf;
        return emit_compare(c, op, compare, a, b);
    }
    ps_scalar exact;
    if (c->values[b].op == NULL && exact_double(&c->values[b], &exact.f)) {
        const ps_type f64 = ps_plain(PS_TYPE_FLOAT64);
        return emit_compare(c, &ps_op_compare_f64, compare, a, ps_emit_constant(c, f64, exact));
    }
    const ps_op *op = right == PS_CLASS_I64 ? &ps_op_compare_if : &ps_op_compare_uf;
    return emit_compare(c, op, mirrored(compare), b, a);
}

/* Times of different units: a constant is brought to the column's unit, so that the column is
 * compared as it is; two columns are compared in the finer unit. */
static int32_t compare_times(ps_compiler *c, ps_compare compare, int32_t a, int32_t b)
{
    const ps_type left = c->values[a].type, right = c->values[b].type;
    const int64_t left_ns = ps_unit_ns(left), right_ns = ps_unit_ns(right);
    const ps_type plain = ps_plain(PS_TYPE_INT64);
    if (left_ns == right_ns) {
        return emit_compare(c, &ps_op_compare_i64, compare, a, b);
    }
    if (c->values[b].op == NULL) {
        const int64_t value = c->values[b].constant.i;
        ps_scalar wanted = {.u = 0};
        if (left_ns < right_ns) {
            if (__builtin_mul_overflow(value, right_ns / left_ns, &wanted.i)) {
                return known(c, compare, a, value > 0 ? -1 : 1);
            }
            return emit_compare(c, &ps_op_compare_i64, compare, a,
                                ps_emit_constant(c, plain, wanted));
        }
        const int64_t ratio = left_ns / right_ns;
        wanted.i = value / ratio - (value % ratio < 0);
        const int32_t floor_value = ps_emit_constant(c, plain, wanted);
        return value % ratio == 0 ? emit_compare(c, &ps_op_compare_i64, compare, a, floor_value)
                                  : compare_floor(c, compare, a, floor_value);
    }
    const bool scale_left = left_ns > right_ns;
    const int32_t coarse = scale_left ? a : b;
    const int64_t ratio = scale_left ? left_ns / right_ns : right_ns / left_ns;
    const int32_t scaled = ps_emit1(c, &ps_op_scale, plain, coarse, ratio);
    return emit_compare(c, &ps_op_compare_i64, compare, scale_left ? scaled : a,
                        scale_left ? b : scaled);
}

static bool comparable_times(ps_type a, ps_type b)
{
    return (ps_type_is_moment(a) && ps_type_is_moment(b)) ||
           (ps_type_is_clock(a) && ps_type_is_clock(b)) ||
           (a.id == PS_TYPE_DURATION && b.id == PS_TYPE_DURATION);
}

void ps_adopt(ps_compiler *c, int32_t *a, int32_t *b)
{
    if (c->status != PS_OK) {
        return;
    }
    for (int turn = 0; turn < 2; turn++) {
        int32_t *mine = turn == 0 ? a : b;
        const ps_value *value = &c->values[*mine], *other = &c->values[turn == 0 ? *b : *a];
        ps_type type = other->type;
        type.index = 0;
        if (value->is_null && value->type.id == PS_TYPE_NULL && type.id != PS_TYPE_NULL) {
            *mine = ps_emit_null(c, type);
        } else if (value->op == NULL && !value->is_null && value->type.id == PS_TYPE_UTF8 &&
                   ps_type_is_moment(type)) {
            /* in nanoseconds when they hold it, so that a fraction is not cut off */
            const ps_type fine = ps_type_make(PS_TYPE_TIMESTAMP, PS_UNIT_NS);
            const ps_string text = value->constant.s;
            const bool near = text.size_bytes >= 4 && memcmp(text.data, "1700", 4) >= 0 &&
                              memcmp(text.data, "2200", 4) <= 0;
            *mine = ps_convert(c, *mine, near || type.id == PS_TYPE_DATE32 ? fine : type);
        }
        if (*mine < 0) {
            return;
        }
    }
}

int32_t ps_compare_values(ps_compiler *c, ps_compare compare, int32_t a, int32_t b)
{
    if (c->status != PS_OK || a < 0 || b < 0) {
        return -1;
    }
    ps_adopt(c, &a, &b);
    if (c->status != PS_OK) {
        return -1;
    }
    if (c->values[a].op == NULL && c->values[b].op != NULL) {
        const int32_t other = a;
        a = b;
        b = other;
        compare = mirrored(compare);
    }
    const ps_type left = c->values[a].type, right = c->values[b].type;
    if (c->values[b].is_null) {
        return ps_emit_null(c, ps_plain(PS_TYPE_BOOL));
    }
    if (ps_type_is_number(left) && ps_type_is_number(right)) {
        return compare_numbers(c, compare, a, b);
    }
    if (comparable_times(left, right)) {
        return compare_times(c, compare, a, b);
    }
    const bool strings =
        ps_type_is_string((ps_type_id)left.id) && ps_type_is_string((ps_type_id)right.id);
    const bool binaries = ps_type_is_bytes(left) && ps_type_is_bytes(right) &&
                          !ps_type_is_string((ps_type_id)left.id) &&
                          !ps_type_is_string((ps_type_id)right.id);
    const bool decimals = left.id == PS_TYPE_DECIMAL128 && right.id == PS_TYPE_DECIMAL128 &&
                          left.scale == right.scale && (compare == PS_EQ || compare == PS_NE);
    if (strings || binaries || decimals) {
        return emit_compare(c, &ps_op_compare_str, compare, a, b);
    }
    if (left.id == PS_TYPE_BOOL && right.id == PS_TYPE_BOOL) {
        return emit_compare(c, &ps_op_compare_bool, compare, a, b);
    }
    char text_a[PS_DESCRIBE], text_b[PS_DESCRIBE];
    ps_type_describe(&left, text_a, sizeof text_a);
    ps_type_describe(&right, text_b, sizeof text_b);
    return ps_compiler_fail(c, PS_TYPE, "%s: cannot compare %s with %s%s", c->name, text_a, text_b,
                            ps_type_advice(left, right));
}

/* ---- is_in ---- */

/* The literal as a value of x's class; false when it equals no value of that class. */
static bool member(const ps_value *x, const ps_value *literal, ps_scalar *out)
{
    *out = literal->constant;
    if (ps_unit_ns(x->type) != 0 && ps_unit_ns(literal->type) != 0) {
        const int64_t have = ps_unit_ns(literal->type), want = ps_unit_ns(x->type);
        if (have >= want) {
            return !__builtin_mul_overflow(literal->constant.i, have / want, &out->i);
        }
        out->i = literal->constant.i / (want / have);
        return literal->constant.i % (want / have) == 0;
    }
    if (literal->kind == x->kind) {
        return x->kind != PS_CLASS_F64 || !isnan(out->f);
    }
    if (x->kind == PS_CLASS_F64) {
        return exact_double(literal, &out->f);
    }
    if (literal->kind != PS_CLASS_F64) {
        return literal->constant.i >= 0; /* int64 and uint64 share these */
    }
    const double d = literal->constant.f;
    if (!(d == floor(d))) {
        return false;
    }
    if (x->kind == PS_CLASS_U64) {
        out->u = d >= 0 && d < 0x1p64 ? (uint64_t)d : 0;
        return d >= 0 && d < 0x1p64;
    }
    out->i = d >= -0x1p63 && d < 0x1p63 ? (int64_t)d : 0;
    return d >= -0x1p63 && d < 0x1p63;
}

/* Booleans, and whatever else has no set: one comparison a literal. */
static int32_t in_by_comparing(ps_compiler *c, const int32_t *arguments, int32_t count)
{
    int32_t answer =
        ps_emit(c, &ps_op_bool_like, ps_plain(PS_TYPE_BOOL), arguments, 1, (ps_parameters){0});
    for (int32_t k = 1; k < count; k++) {
        if (c->status == PS_OK && !c->values[arguments[k]].is_null) {
            answer = ps_emit_logic(c, &ps_op_or, answer,
                                   ps_compare_values(c, PS_EQ, arguments[0], arguments[k]));
        }
    }
    return answer;
}

static int32_t bind_is_in(const ps_binding *b)
{
    ps_compiler *c = b->c;
    const int32_t *arguments = b->arguments, count = b->count;
    const int32_t x = arguments[0];
    ps_scalar *members = ps_arena_alloc(c->arena, (size_t)count * sizeof *members);
    if (members == NULL) {
        return ps_compiler_no_memory(c);
    }
    int64_t kept = 0;
    for (int32_t k = 1; k < count; k++) {
        int32_t left = x, right = arguments[k];
        if (c->values[right].op != NULL) {
            return ps_compiler_fail(c, PS_INVALID, "%s: value %d is not a literal", c->name, k);
        }
        if (c->values[right].is_null) {
            continue; /* a null equals nothing */
        }
        ps_adopt(c, &left, &right);
        /* the comparison itself is not used: it checks the types and words the error */
        if (c->status != PS_OK || ps_compare_values(c, PS_EQ, left, right) < 0) {
            return -1;
        }
        kept += member(&c->values[left], &c->values[right], &members[kept]);
    }
    const ps_class kind = c->values[x].kind;
    if (kind == PS_CLASS_BOOL || kind == PS_CLASS_NONE) {
        return in_by_comparing(c, arguments, count);
    }
    const ps_set *set = ps_set_make(c->arena, kind, members, kept);
    return set == NULL ? ps_compiler_no_memory(c)
                       : ps_emit(c, &ps_op_in_set, ps_plain(PS_TYPE_BOOL), &x, 1,
                                 (ps_parameters){.p = set});
}

/* ---- the functions ---- */

static int32_t bind_compare(const ps_binding *b)
{
    return ps_compare_values(b->c, (ps_compare)b->variant, b->arguments[0], b->arguments[1]);
}

static int32_t bind_between(const ps_binding *b)
{
    ps_compiler *c = b->c;
    const int32_t x = b->arguments[0];
    const int32_t from = ps_compare_values(c, PS_GE, x, b->arguments[1]);
    return ps_emit_logic(c, &ps_op_and, from, ps_compare_values(c, PS_LE, x, b->arguments[2]));
}

const ps_function ps_compare_functions[] = {
    {"equal", bind_compare, PS_EQ, 2, 2},
    {"not_equal", bind_compare, PS_NE, 2, 2},
    {"less", bind_compare, PS_LT, 2, 2},
    {"less_equal", bind_compare, PS_LE, 2, 2},
    {"greater", bind_compare, PS_GT, 2, 2},
    {"greater_equal", bind_compare, PS_GE, 2, 2},
    {"is_in", bind_is_in, 0, 1, PS_ANY_COUNT},
    {"between", bind_between, 0, 3, 3},
    {0},
};
