/* bind_arith.c -- arithmetic on numbers, durations and points of time. */
#include "expr/bind.h"

static const ps_op *arith_op(ps_type type)
{
    return type.id == PS_TYPE_FLOAT64  ? &ps_op_arith_f64
           : type.id == PS_TYPE_UINT64 ? &ps_op_arith_u64
                                       : &ps_op_arith_i64;
}

/* int64, uint64 or float64: what arithmetic on two numbers is done in. A literal that is not
 * negative goes with a uint64 column. */
static ps_type arithmetic_type(const ps_compiler *c, int32_t a, int32_t b)
{
    const ps_value *x = &c->values[a], *y = &c->values[b];
    if (x->kind == PS_CLASS_F64 || y->kind == PS_CLASS_F64) {
        return ps_plain(PS_TYPE_FLOAT64);
    }
    if (x->kind == PS_CLASS_U64 && y->kind == PS_CLASS_U64) {
        return ps_plain(PS_TYPE_UINT64);
    }
    const ps_value *is_unsigned = x->kind == PS_CLASS_U64 ? x : y;
    const ps_value *other = is_unsigned == x ? y : x;
    const bool literal = other->op == NULL && !other->is_null && other->constant.i >= 0;
    return ps_plain(is_unsigned->type.id == PS_TYPE_UINT64 && literal ? PS_TYPE_UINT64
                                                                      : PS_TYPE_INT64);
}

static ps_type finer_unit(ps_type_id id, ps_type a, ps_type b)
{
    const int64_t ns = ps_min_i64(ps_unit_ns(a), ps_unit_ns(b));
    ps_type type = ps_type_make(id, ns >= 1000000000 ? PS_UNIT_S
                                    : ns >= 1000000  ? PS_UNIT_MS
                                    : ns >= 1000     ? PS_UNIT_US
                                                     : PS_UNIT_NS);
    type.has_zone = a.has_zone | b.has_zone;
    return type;
}

static ps_type duration_like(ps_type type)
{
    type.id = PS_TYPE_DURATION;
    type.has_zone = 0;
    return type;
}

/* timestamp +/- duration, timestamp - timestamp, duration +/- duration; dates are timestamps. */
static int32_t bind_time_arith(const ps_binding *b, int32_t x, int32_t y)
{
    ps_compiler *c = b->c;
    const ps_type left = c->values[x].type, right = c->values[y].type;
    const bool left_moment = ps_type_is_moment(left), right_moment = ps_type_is_moment(right);
    const bool left_span = left.id == PS_TYPE_DURATION, right_span = right.id == PS_TYPE_DURATION;
    const bool add = b->variant == PS_ADD;
    ps_type moment = finer_unit(PS_TYPE_TIMESTAMP, left, right);
    ps_type span = duration_like(moment);
    if (b->variant == PS_MUL || (!left_moment && !left_span) || (!right_moment && !right_span) ||
        (left_moment && right_moment && add) || (left_span && right_moment && !add)) {
        return ps_wrong_types(b, "numbers, a time and a duration, or two durations");
    }
    const int32_t from = ps_convert(c, x, left_moment ? moment : span);
    const int32_t by = ps_convert(c, y, right_moment ? moment : span);
    const ps_type type = left_moment != right_moment ? moment : span;
    return ps_emit2(c, &ps_op_arith_i64, type, from, by, b->variant);
}

/* duration * integer in either order */
static int32_t bind_scale_duration(const ps_binding *b, int32_t span, int32_t factor)
{
    const int32_t number = ps_convert(b->c, factor, ps_plain(PS_TYPE_INT64));
    return ps_emit2(b->c, &ps_op_arith_i64, b->c->values[span].type, span, number, PS_MUL);
}

static int32_t bind_arith(const ps_binding *b)
{
    ps_compiler *c = b->c;
    int32_t x, y;
    if (!ps_adopt_arguments(b, &x, &y)) {
        return -1;
    }
    const ps_type left = c->values[x].type, right = c->values[y].type;
    if (left.id == PS_TYPE_NULL && right.id == PS_TYPE_NULL) {
        return ps_emit_null(c, ps_plain(PS_TYPE_INT64));
    }
    if (b->variant == PS_MUL && left.id == PS_TYPE_DURATION &&
        ps_type_is_integer((ps_type_id)right.id)) {
        return bind_scale_duration(b, x, y);
    }
    if (b->variant == PS_MUL && right.id == PS_TYPE_DURATION &&
        ps_type_is_integer((ps_type_id)left.id)) {
        return bind_scale_duration(b, y, x);
    }
    if (ps_type_is_temporal((ps_type_id)left.id) && ps_type_is_temporal((ps_type_id)right.id)) {
        return bind_time_arith(b, x, y);
    }
    if (!ps_type_is_number(left) || !ps_type_is_number(right)) {
        return ps_wrong_types(b, "numbers, a time and a duration, or two durations");
    }
    const ps_type type = arithmetic_type(c, x, y);
    x = ps_convert(c, x, type);
    y = ps_convert(c, y, type);
    return ps_emit2(c, arith_op(type), type, x, y, b->variant);
}

static int32_t bind_divide(const ps_binding *b)
{
    ps_compiler *c = b->c;
    int32_t x, y;
    if (!ps_adopt_arguments(b, &x, &y)) {
        return -1;
    }
    const ps_type type = ps_plain(PS_TYPE_FLOAT64);
    if (c->values[x].type.id == PS_TYPE_NULL) {
        return ps_emit_null(c, type);
    }
    if (c->values[x].type.id == PS_TYPE_DURATION && c->values[y].type.id == PS_TYPE_DURATION) {
        const ps_type unit = finer_unit(PS_TYPE_DURATION, c->values[x].type, c->values[y].type);
        const ps_type int64 = ps_plain(PS_TYPE_INT64);
        x = ps_emit1(c, &ps_op_retype, int64, ps_convert(c, x, unit), 0);
        y = ps_emit1(c, &ps_op_retype, int64, ps_convert(c, y, unit), 0);
    } else if (!ps_type_is_number(c->values[x].type) || !ps_type_is_number(c->values[y].type)) {
        return ps_wrong_types(b, "numbers or two durations");
    }
    x = ps_convert(c, x, type);
    y = ps_convert(c, y, type);
    return ps_emit2(c, &ps_op_arith_f64, type, x, y, PS_DIV);
}

/* variant 0: floor_divide, 1: modulo */
static int32_t bind_floor(const ps_binding *b)
{
    ps_compiler *c = b->c;
    int32_t x, y;
    if (!ps_adopt_arguments(b, &x, &y)) {
        return -1;
    }
    ps_type left = c->values[x].type;
    const ps_type right = c->values[y].type;
    const bool span = left.id == PS_TYPE_DURATION && ps_type_is_integer((ps_type_id)right.id);
    if (left.id == PS_TYPE_NULL) {
        return ps_emit_null(c, ps_plain(PS_TYPE_INT64));
    }
    if (!span && (!ps_type_is_number(left) || !ps_type_is_number(right))) {
        return ps_wrong_types(b, "numbers, or a duration and an integer");
    }
    const ps_type type = span ? left : arithmetic_type(c, x, y);
    x = ps_convert(c, x, type);
    y = ps_convert(c, y, span ? ps_plain(PS_TYPE_INT64) : type);
    if (c->status != PS_OK) {
        return -1;
    }
    const ps_value *divisor = &c->values[y];
    const bool constant = divisor->op == NULL && !divisor->is_null;
    if (type.id == PS_TYPE_FLOAT64) {
        return ps_emit2(c, &ps_op_floor_f64, type, x, y, b->variant);
    }
    if (constant && divisor->constant.i > 0 && type.id != PS_TYPE_UINT64) {
        return ps_emit_divide(c, type, x, divisor->constant.i, b->variant);
    }
    const bool zero_possible = !constant || divisor->constant.i == 0;
    const bool nullable = zero_possible || c->values[x].nullable || divisor->nullable;
    const int32_t pair[2] = {x, y};
    return ps_emit(c, type.id == PS_TYPE_UINT64 ? &ps_op_floor_u64 : &ps_op_floor_i64, type, pair,
                   2, (ps_parameters){.i = b->variant, .nullable = nullable});
}

/* variant 0: negate, 1: abs */
static int32_t bind_sign(const ps_binding *b)
{
    ps_compiler *c = b->c;
    const bool negate = b->variant == 0;
    const int32_t x = b->arguments[0];
    const ps_type type = ps_argument_type(b, 0), int64 = ps_plain(PS_TYPE_INT64);
    if (type.id == PS_TYPE_NULL) {
        return ps_emit_null(c, int64);
    }
    if (ps_type_is_float((ps_type_id)type.id)) {
        return ps_emit1(c, negate ? &ps_op_negate_f64 : &ps_op_abs_f64, ps_plain(PS_TYPE_FLOAT64),
                        x, 0);
    }
    const bool span = type.id == PS_TYPE_DURATION;
    if (!span && !ps_type_is_integer((ps_type_id)type.id)) {
        return ps_wrong_types(b, "a number or a duration");
    }
    if (!negate && ps_type_is_unsigned((ps_type_id)type.id)) {
        return ps_convert(c, x, ps_plain(PS_TYPE_UINT64));
    }
    return ps_emit1(c, negate ? &ps_op_negate_i64 : &ps_op_abs_i64, span ? type : int64,
                    span ? x : ps_convert(c, x, int64), 0);
}

static int32_t bind_math(const ps_binding *b)
{
    ps_compiler *c = b->c;
    const int32_t x = b->arguments[0];
    const ps_type type = ps_argument_type(b, 0), float64 = ps_plain(PS_TYPE_FLOAT64);
    const bool rounding = b->variant == PS_FLOOR || b->variant == PS_CEIL || b->variant == PS_ROUND;
    if (type.id != PS_TYPE_NULL && !ps_type_is_number(type)) {
        return ps_wrong_types(b, "a number");
    }
    if (rounding && ps_type_is_integer((ps_type_id)type.id)) {
        return ps_convert(c, x, arithmetic_type(c, x, x));
    }
    const int32_t number = ps_convert(c, x, float64);
    return ps_emit(c, &ps_op_math, float64, &number, 1,
                   (ps_parameters){.i = b->variant, .j = b->node->integer});
}

const ps_function ps_arith_functions[] = {
    {"add", bind_arith, PS_ADD, 2, 2},
    {"subtract", bind_arith, PS_SUB, 2, 2},
    {"multiply", bind_arith, PS_MUL, 2, 2},
    {"divide", bind_divide, 0, 2, 2},
    {"floor_divide", bind_floor, 0, 2, 2},
    {"modulo", bind_floor, 1, 2, 2},
    {"negate", bind_sign, 0, 1, 1},
    {"abs", bind_sign, 1, 1, 1},
    {"sqrt", bind_math, PS_SQRT, 1, 1},
    {"exp", bind_math, PS_EXP, 1, 1},
    {"log", bind_math, PS_LOG, 1, 1},
    {"floor", bind_math, PS_FLOOR, 1, 1},
    {"ceil", bind_math, PS_CEIL, 1, 1},
    {"round", bind_math, PS_ROUND, 1, 1},
    {0},
};
