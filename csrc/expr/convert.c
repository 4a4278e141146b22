/* convert.c -- strict conversions between types and the one type that several values share. */
#include <stdio.h>
#include <string.h>

#include "expr/bind.h"
#include "expr/decimal.h"

#define NS_PER_DAY 86400000000000

int64_t ps_unit_ns(ps_type type)
{
    switch ((ps_type_id)type.id) {
    case PS_TYPE_DATE32: return NS_PER_DAY;
    case PS_TYPE_DATE64: return 1000000;
    case PS_TYPE_TIME32:
    case PS_TYPE_TIME64:
    case PS_TYPE_TIMESTAMP:
    case PS_TYPE_DURATION:
        return type.unit == PS_UNIT_S    ? 1000000000
               : type.unit == PS_UNIT_MS ? 1000000
               : type.unit == PS_UNIT_US ? 1000
                                         : 1;
    default: return 0;
    }
}

static int32_t no_conversion(ps_compiler *c, int32_t value, ps_type type)
{
    char from[PS_DESCRIBE], to[PS_DESCRIBE];
    ps_type_describe(&c->values[value].type, from, sizeof from);
    ps_type_describe(&type, to, sizeof to);
    return ps_compiler_fail(c, PS_TYPE, "%s: no conversion from %s to %s", c->name, from, to);
}

static int32_t unary(ps_compiler *c, const ps_op *op, ps_type type, int32_t value, int64_t i,
                     int64_t j)
{
    return ps_emit(c, op, type, &value, 1, (ps_parameters){.i = i, .j = j});
}

static int32_t retype(ps_compiler *c, int32_t value, ps_type type)
{
    if (value < 0 || ps_type_equal(&c->values[value].type, &type)) {
        return value;
    }
    return unary(c, &ps_op_retype, type, value, 0, 0);
}

/* The range of an integer type as int64; the upper end of uint64 is cut to what fits. */
static void integer_range(ps_type type, int64_t *low, int64_t *high)
{
    const int bits = type.width * 8;
    if (ps_type_is_unsigned((ps_type_id)type.id)) {
        *low = 0;
        *high = bits == 64 ? INT64_MAX : (int64_t)(((uint64_t)1 << bits) - 1);
    } else {
        *high = (int64_t)(((uint64_t)1 << (bits - 1)) - 1);
        *low = -*high - 1;
    }
}

/* What casts to an integer type are given as its range; whether it is unsigned. */
static bool integer_bounds(ps_type type, int64_t *low, int64_t *high)
{
    const bool to_unsigned = ps_type_class(&type) == PS_CLASS_U64;
    integer_range(type, low, high);
    if (to_unsigned && type.width == 8) {
        *high = -1; /* all 64 bits */
    }
    return to_unsigned;
}

static int32_t integer_from_integer(ps_compiler *c, int32_t value, ps_type type)
{
    const ps_class from = c->values[value].kind;
    const ps_class to = ps_type_class(&type);
    int64_t low, high, from_low, from_high;
    integer_range(type, &low, &high);
    if (from == PS_CLASS_U64) {
        const bool narrower = c->values[value].type.width < type.width;
        if (narrower || (to == PS_CLASS_U64 && type.width == 8)) {
            return retype(c, value, type);
        }
        return unary(c, &ps_op_range_u64, type, value, 0, high);
    }
    ps_type from_type = c->values[value].type;
    if (!ps_type_is_integer((ps_type_id)from_type.id)) {
        from_type = ps_type_make(PS_TYPE_INT64, PS_UNIT_NONE);
    }
    integer_range(from_type, &from_low, &from_high);
    if (from_low >= low && from_high <= high) {
        return retype(c, value, type);
    }
    return unary(c, &ps_op_range_i64, type, value, low, high);
}

static int32_t to_integer(ps_compiler *c, int32_t value, ps_type type)
{
    const ps_type from = c->values[value].type;
    int64_t low, high;
    const bool to_unsigned = integer_bounds(type, &low, &high);
    if (from.id == PS_TYPE_BOOL) {
        return retype(
            c,
            unary(c, &ps_op_i64_from_bool, ps_type_make(PS_TYPE_INT64, PS_UNIT_NONE), value, 0, 0),
            type);
    }
    if (ps_type_is_integer((ps_type_id)from.id) || ps_type_is_temporal((ps_type_id)from.id)) {
        return integer_from_integer(c, value, type);
    }
    if (ps_type_is_float((ps_type_id)from.id)) {
        return unary(c, to_unsigned ? &ps_op_u64_from_f64 : &ps_op_i64_from_f64, type, value, low,
                     high);
    }
    if (ps_type_is_string((ps_type_id)from.id)) {
        return unary(c, to_unsigned ? &ps_op_u64_from_str : &ps_op_i64_from_str, type, value, low,
                     high);
    }
    return no_conversion(c, value, type);
}

static int32_t to_double(ps_compiler *c, int32_t value)
{
    const ps_type f64 = ps_type_make(PS_TYPE_FLOAT64, PS_UNIT_NONE);
    const ps_type from = c->values[value].type;
    if (from.id == PS_TYPE_BOOL) {
        value =
            unary(c, &ps_op_i64_from_bool, ps_type_make(PS_TYPE_INT64, PS_UNIT_NONE), value, 0, 0);
        return unary(c, &ps_op_f64_from_i64, f64, value, 0, 0);
    }
    switch (c->values[value].kind) {
    case PS_CLASS_F64: return retype(c, value, f64);
    case PS_CLASS_I64: return unary(c, &ps_op_f64_from_i64, f64, value, 0, 0);
    case PS_CLASS_U64: return unary(c, &ps_op_f64_from_u64, f64, value, 0, 0);
    case PS_CLASS_STR:
        if (ps_type_is_string((ps_type_id)from.id)) {
            return unary(c, &ps_op_f64_from_str, f64, value, 0, 0);
        }
        break;
    default: break;
    }
    return no_conversion(c, value, f64);
}

static int32_t to_float(ps_compiler *c, int32_t value, ps_type type)
{
    const ps_type from = c->values[value].type;
    if (ps_type_is_temporal((ps_type_id)from.id)) {
        return no_conversion(c, value, type);
    }
    const bool was_float32 = from.id == PS_TYPE_FLOAT32;
    value = to_double(c, value);
    if (type.id == PS_TYPE_FLOAT64 || value < 0) {
        return value;
    }
    return was_float32 ? retype(c, value, type) : unary(c, &ps_op_f32_round, type, value, 0, 0);
}

static int32_t to_bool(ps_compiler *c, int32_t value, ps_type type)
{
    const ps_type from = c->values[value].type;
    if (ps_type_is_string((ps_type_id)from.id)) {
        return unary(c, &ps_op_bool_from_str, type, value, 0, 0);
    }
    if (!ps_type_is_number(from)) {
        return no_conversion(c, value, type);
    }
    const ps_class kind = c->values[value].kind;
    const ps_op *op = kind == PS_CLASS_F64   ? &ps_op_compare_f64
                      : kind == PS_CLASS_I64 ? &ps_op_compare_i64
                                             : &ps_op_compare_u64;
    const ps_scalar zero = {.u = 0}; /* also the bits of 0.0 */
    const int32_t pair[2] = {value, ps_emit_constant(c, from, zero)};
    return ps_emit(c, op, type, pair, 2, (ps_parameters){.i = PS_NE});
}

/* From one unit to another; a coarser one floors. */
static int32_t rescale(ps_compiler *c, int32_t value, int64_t from_ns, int64_t to_ns, ps_type type)
{
    if (from_ns == to_ns) {
        return retype(c, value, type);
    }
    if (from_ns > to_ns) {
        return unary(c, &ps_op_scale, type, value, from_ns / to_ns, 0);
    }
    return ps_emit_divide(c, type, value, to_ns / from_ns, 0);
}

static int32_t to_clock(ps_compiler *c, int32_t value, ps_type type)
{
    const ps_type from = c->values[value].type;
    const int64_t from_ns = ps_unit_ns(from);
    if (ps_type_is_moment(from)) { /* the time of day */
        value = ps_emit_divide(c, ps_plain(PS_TYPE_INT64), value, NS_PER_DAY / from_ns, 1);
    }
    return rescale(c, value, from_ns, ps_unit_ns(type), type);
}

static int32_t to_temporal(ps_compiler *c, int32_t value, ps_type type)
{
    const ps_type from = c->values[value].type;
    const int64_t from_ns = ps_unit_ns(from), to_ns = ps_unit_ns(type);
    if (ps_type_is_string((ps_type_id)from.id) && ps_type_is_moment(type)) {
        value = unary(c, &ps_op_time_from_str, type, value,
                      type.id == PS_TYPE_DATE64 ? NS_PER_DAY : to_ns, 0);
        return type.id == PS_TYPE_DATE64 ? unary(c, &ps_op_scale, type, value, 86400000, 0) : value;
    }
    if (ps_type_is_integer((ps_type_id)from.id)) {
        const bool narrow = type.width == 4;
        const ps_type as = ps_type_make(narrow ? PS_TYPE_INT32 : PS_TYPE_INT64, PS_UNIT_NONE);
        return retype(c, integer_from_integer(c, value, as), type);
    }
    if (ps_type_is_clock(type) && (ps_type_is_clock(from) || ps_type_is_moment(from))) {
        return to_clock(c, value, type);
    }
    const bool both_moments = ps_type_is_moment(from) && ps_type_is_moment(type);
    if (!both_moments && !(from.id == PS_TYPE_DURATION && type.id == PS_TYPE_DURATION)) {
        return no_conversion(c, value, type);
    }
    if (type.id == PS_TYPE_DATE64 && from.id != PS_TYPE_DATE64) { /* whole days */
        value = rescale(c, value, from_ns, NS_PER_DAY, ps_type_make(PS_TYPE_INT64, PS_UNIT_NONE));
        return unary(c, &ps_op_scale, type, value, 86400000, 0);
    }
    value = rescale(c, value, from_ns, to_ns, type);
    const bool may_miss = type.id == PS_TYPE_DATE32 && from_ns >= 1000000000;
    return may_miss && from.id != PS_TYPE_DATE32
               ? unary(c, &ps_op_range_i64, type, value, INT32_MIN, INT32_MAX)
               : value;
}

static int32_t to_bytes(ps_compiler *c, int32_t value, ps_type type)
{
    const ps_type from = c->values[value].type;
    if (ps_type_is_bytes(from)) {
        if (type.id == PS_TYPE_FIXED_BINARY) {
            return from.id == PS_TYPE_FIXED_BINARY && from.width == type.width
                       ? retype(c, value, type)
                       : no_conversion(c, value, type);
        }
        const bool check =
            ps_type_is_string((ps_type_id)type.id) && !ps_type_is_string((ps_type_id)from.id);
        return check ? unary(c, &ps_op_utf8_check, type, value, 0, 0) : retype(c, value, type);
    }
    if (!ps_type_is_string((ps_type_id)type.id)) {
        return no_conversion(c, value, type);
    }
    if (ps_type_is_moment(from)) {
        return unary(c, &ps_op_str_from_time, type, value, ps_unit_ns(from), 0);
    }
    if (from.id == PS_TYPE_BOOL) {
        return unary(c, &ps_op_str_from_bool, type, value, 0, 0);
    }
    if (!ps_type_is_number(from)) {
        return no_conversion(c, value, type);
    }
    const ps_class kind = c->values[value].kind;
    const ps_op *op = kind == PS_CLASS_F64   ? &ps_op_str_from_f64
                      : kind == PS_CLASS_I64 ? &ps_op_str_from_i64
                                             : &ps_op_str_from_u64;
    return unary(c, op, type, value, 0, 0);
}

static int32_t from_decimal(ps_compiler *c, int32_t value, ps_type type)
{
    const ps_type_id to = (ps_type_id)type.id;
    if (ps_type_is_integer(to)) {
        int64_t low, high;
        const bool to_unsigned = integer_bounds(type, &low, &high);
        return unary(c, to_unsigned ? &ps_op_u64_from_decimal : &ps_op_i64_from_decimal, type,
                     value, low, high);
    }
    if (to == PS_TYPE_FLOAT64 || to == PS_TYPE_FLOAT32) {
        return unary(c, to == PS_TYPE_FLOAT64 ? &ps_op_f64_from_decimal : &ps_op_f32_from_decimal,
                     type, value, 0, 0);
    }
    return ps_type_is_string(to) ? unary(c, &ps_op_str_from_decimal, type, value, 0, 0)
                                 : no_conversion(c, value, type);
}

static int32_t to_decimal(ps_compiler *c, int32_t value, ps_type type)
{
    const bool usual = type.precision > 0 && type.precision <= PS_DECIMAL_DIGITS &&
                       type.scale >= 0 && type.scale <= type.precision;
    if (!usual || !ps_type_is_integer((ps_type_id)c->values[value].type.id)) {
        return no_conversion(c, value, type);
    }
    return unary(c,
                 c->values[value].kind == PS_CLASS_U64 ? &ps_op_decimal_from_u64
                                                       : &ps_op_decimal_from_i64,
                 type, value, 0, 0);
}

int32_t ps_convert(ps_compiler *c, int32_t value, ps_type type)
{
    if (c->status != PS_OK || value < 0) {
        return -1;
    }
    ps_type from = c->values[value].type;
    if (from.id == PS_TYPE_NULL && c->values[value].is_null) {
        return ps_emit_null(c, type);
    }
    from.index = 0;
    if (ps_type_equal(&from, &type)) {
        return retype(c, value, type);
    }
    if (c->values[value].kind == PS_CLASS_NONE) {
        return no_conversion(c, value, type);
    }
    if (from.id == PS_TYPE_DECIMAL128) {
        return from_decimal(c, value, type);
    }
    const ps_type_id to = (ps_type_id)type.id;
    if (to == PS_TYPE_BOOL) {
        return to_bool(c, value, type);
    }
    if (ps_type_is_integer(to)) {
        return to_integer(c, value, type);
    }
    if (ps_type_is_float(to)) {
        return to_float(c, value, type);
    }
    if (ps_type_is_temporal(to)) {
        return to_temporal(c, value, type);
    }
    if (to == PS_TYPE_DECIMAL128) {
        return to_decimal(c, value, type);
    }
    return ps_type_is_bytes(type) ? to_bytes(c, value, type) : no_conversion(c, value, type);
}

/* ---- one type for several values ---- */

const char *ps_type_advice(ps_type a, ps_type b)
{
    return a.id == PS_TYPE_DECIMAL128 || b.id == PS_TYPE_DECIMAL128
               ? "; cast the decimal first, to float64 for example"
               : "";
}

static bool is_small_literal(const ps_compiler *c, int32_t value, ps_type beside)
{
    const ps_value *v = &c->values[value];
    if (v->op != NULL || v->type.id != PS_TYPE_INT64 ||
        !ps_type_is_integer((ps_type_id)beside.id)) {
        return false;
    }
    int64_t low, high;
    integer_range(beside, &low, &high);
    return v->constant.i >= low && v->constant.i <= high;
}

static ps_type finer(ps_type a, ps_type b)
{
    return ps_unit_ns(a) <= ps_unit_ns(b) ? a : b;
}

/* Sets id to PS_TYPE_OPAQUE when there is no common type. */
static ps_type common_type(ps_type a, ps_type b)
{
    a.index = 0;
    b.index = 0;
    if (a.id == PS_TYPE_NULL || ps_type_equal(&a, &b)) {
        return b;
    }
    if (b.id == PS_TYPE_NULL) {
        return a;
    }
    if (ps_type_is_number(a) && ps_type_is_number(b)) {
        if (ps_type_is_float((ps_type_id)a.id) || ps_type_is_float((ps_type_id)b.id)) {
            return ps_type_make(PS_TYPE_FLOAT64, PS_UNIT_NONE);
        }
        const bool both =
            ps_type_is_unsigned((ps_type_id)a.id) && ps_type_is_unsigned((ps_type_id)b.id);
        return ps_type_make(both ? PS_TYPE_UINT64 : PS_TYPE_INT64, PS_UNIT_NONE);
    }
    if (ps_type_is_moment(a) && ps_type_is_moment(b)) {
        ps_type type = finer(a, b);
        if (ps_type_is_day(type)) { /* date32 and date64, or a date finer than seconds */
            type = ps_type_make(PS_TYPE_TIMESTAMP, PS_UNIT_MS);
        }
        type.has_zone = a.has_zone | b.has_zone;
        return type;
    }
    if ((a.id == PS_TYPE_DURATION && b.id == PS_TYPE_DURATION) ||
        (ps_type_is_clock(a) && ps_type_is_clock(b))) {
        return finer(a, b);
    }
    const bool strings = ps_type_is_string((ps_type_id)a.id) && ps_type_is_string((ps_type_id)b.id);
    if (strings || (ps_type_is_bytes(a) && ps_type_is_bytes(b) &&
                    !ps_type_is_string((ps_type_id)a.id) && !ps_type_is_string((ps_type_id)b.id))) {
        return ps_type_make(strings ? PS_TYPE_UTF8 : PS_TYPE_BINARY, PS_UNIT_NONE);
    }
    return (ps_type){.id = PS_TYPE_OPAQUE};
}

/* An integer literal before a column takes the column's type, as one after it does. */
static ps_type without_literals(const ps_compiler *c, const int32_t *values, int32_t count)
{
    const ps_type wide = ps_type_make(PS_TYPE_INT64, PS_UNIT_NONE);
    ps_type type = {.id = PS_TYPE_NULL};
    for (int32_t k = 0; k < count; k++) {
        if (c->values[values[k]].op != NULL) {
            type = common_type(type, c->values[values[k]].type);
        }
    }
    for (int32_t k = 0; k < count; k++) {
        const ps_value *value = &c->values[values[k]];
        if (value->op == NULL && !value->is_null && !is_small_literal(c, values[k], type)) {
            return wide;
        }
    }
    return ps_type_is_integer((ps_type_id)type.id) ? type : wide;
}

ps_type ps_unify(ps_compiler *c, int32_t *values, int32_t count)
{
    ps_type type = {.id = PS_TYPE_NULL};
    for (int32_t k = 0; k < count && c->status == PS_OK; k++) {
        for (int32_t m = 0; m < count && ps_type_is_moment(c->values[values[k]].type); m++) {
            int32_t moment = values[k];
            ps_adopt(c, &moment, &values[m]);
            if (c->status != PS_OK) {
                return type;
            }
        }
    }
    for (int32_t k = 0; k < count && c->status == PS_OK; k++) {
        const ps_type next = c->values[values[k]].type;
        const bool literal_now = is_small_literal(c, values[k], type);
        const ps_type both = literal_now ? type : common_type(type, next);
        if (both.id == PS_TYPE_OPAQUE) {
            char a[PS_DESCRIBE], b[PS_DESCRIBE];
            ps_type_describe(&type, a, sizeof a);
            ps_type_describe(&next, b, sizeof b);
            ps_compiler_fail(c, PS_TYPE, "%s: %s and %s have no common type%s", c->name, a, b,
                             ps_type_advice(type, next));
            break;
        }
        type = both;
    }
    if (c->status == PS_OK && type.id == PS_TYPE_INT64) {
        type = without_literals(c, values, count);
    }
    for (int32_t k = 0; k < count; k++) {
        values[k] = type.id == PS_TYPE_NULL ? values[k] : ps_convert(c, values[k], type);
    }
    return type;
}

/* ---- the function ---- */

static int32_t bind_cast(const ps_binding *b)
{
    if (b->node->text == NULL) {
        return ps_compiler_fail(b->c, PS_INVALID, "cast: no type given");
    }
    ps_type type;
    const ps_status status = ps_type_from_format(b->node->text, &type, b->c->err);
    if (status != PS_OK) {
        b->c->status = status;
        return -1;
    }
    return ps_convert(b->c, b->arguments[0], type);
}

const ps_function ps_convert_functions[] = {
    {"cast", bind_cast, 0, 1, 1},
    {0},
};
