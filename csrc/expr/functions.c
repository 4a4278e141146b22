/* functions.c -- the public functions by name: checks types, then emits typed operations.
 *
 * The table at the end is the list of program.h; docs/internals/expr.md has it with the types.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "expr/compile.h"

#define DESCRIBE 64
#define NS_PER_DAY 86400000000000

typedef struct binding {
    ps_compiler *c;
    const ps_node *node;
    const int32_t *arguments;
    int32_t count;
    int64_t variant; /* from the table */
} binding;

static ps_type plain(ps_type_id id)
{
    return ps_type_make(id, PS_UNIT_NONE);
}

static ps_type type_of(const binding *b, int32_t k)
{
    return b->c->values[b->arguments[k]].type;
}

/* "add: takes numbers or times, got utf8 and int64" */
static int32_t wrong_types(const binding *b, const char *wanted)
{
    char found[256] = "";
    size_t used = 0;
    for (int32_t k = 0; k < b->count && used < sizeof found; k++) {
        char text[DESCRIBE];
        const ps_type type = type_of(b, k);
        ps_type_describe(&type, text, sizeof text);
        used += (size_t)snprintf(found + used, sizeof found - used, "%s%s", k == 0 ? "" : " and ",
                                 text);
    }
    return ps_compiler_fail(b->c, PS_TYPE, "%s: takes %s, got %s", b->node->name, wanted, found);
}

static int32_t emit1(ps_compiler *c, const ps_op *op, ps_type type, int32_t a, int64_t i)
{
    return ps_emit(c, op, type, &a, 1, (ps_parameters){.i = i});
}

static int32_t emit2(ps_compiler *c, const ps_op *op, ps_type type, int32_t a, int32_t b, int64_t i)
{
    const int32_t pair[2] = {a, b};
    return ps_emit(c, op, type, pair, 2, (ps_parameters){.i = i});
}

/* Division by a positive constant: variant 0 quotient, 1 remainder, 2 floor to a multiple. */
static int32_t emit_divide(ps_compiler *c, ps_type type, int32_t a, int64_t divisor,
                           int64_t variant)
{
    if (divisor == 1 && variant != 1) {
        return ps_emit(c, &ps_op_retype, type, &a, 1, (ps_parameters){0});
    }
    ps_divider *by = ps_arena_alloc(c->arena, sizeof *by);
    if (by == NULL) {
        return ps_compiler_no_memory(c);
    }
    *by = ps_divider_make(divisor);
    return ps_emit(c, &ps_op_divide_const, type, &a, 1, (ps_parameters){.i = variant, .p = by});
}

/* ---- arithmetic ---- */

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
        return plain(PS_TYPE_FLOAT64);
    }
    if (x->kind == PS_CLASS_U64 && y->kind == PS_CLASS_U64) {
        return plain(PS_TYPE_UINT64);
    }
    const ps_value *is_unsigned = x->kind == PS_CLASS_U64 ? x : y;
    const ps_value *other = is_unsigned == x ? y : x;
    const bool literal = other->op == NULL && !other->is_null && other->constant.i >= 0;
    return plain(is_unsigned->type.id == PS_TYPE_UINT64 && literal ? PS_TYPE_UINT64
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
static int32_t bind_time_arith(const binding *b, int32_t x, int32_t y)
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
        return wrong_types(b, "numbers, a time and a duration, or two durations");
    }
    const int32_t from = ps_convert(c, x, left_moment ? moment : span);
    const int32_t by = ps_convert(c, y, right_moment ? moment : span);
    const ps_type type = left_moment != right_moment ? moment : span;
    return c->status == PS_OK ? emit2(c, &ps_op_arith_i64, type, from, by, b->variant) : -1;
}

/* duration * integer in either order */
static int32_t bind_scale_duration(const binding *b, int32_t span, int32_t factor)
{
    const int32_t number = ps_convert(b->c, factor, plain(PS_TYPE_INT64));
    return b->c->status == PS_OK
               ? emit2(b->c, &ps_op_arith_i64, b->c->values[span].type, span, number, PS_MUL)
               : -1;
}

static int32_t bind_arith(const binding *b)
{
    ps_compiler *c = b->c;
    int32_t x = b->arguments[0], y = b->arguments[1];
    ps_adopt(c, &x, &y);
    if (c->status != PS_OK) {
        return -1;
    }
    const ps_type left = c->values[x].type, right = c->values[y].type;
    if (left.id == PS_TYPE_NULL && right.id == PS_TYPE_NULL) {
        return ps_emit_null(c, plain(PS_TYPE_INT64));
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
        return wrong_types(b, "numbers, a time and a duration, or two durations");
    }
    const ps_type type = arithmetic_type(c, x, y);
    x = ps_convert(c, x, type);
    y = ps_convert(c, y, type);
    return c->status == PS_OK ? emit2(c, arith_op(type), type, x, y, b->variant) : -1;
}

static int32_t bind_divide(const binding *b)
{
    ps_compiler *c = b->c;
    int32_t x = b->arguments[0], y = b->arguments[1];
    ps_adopt(c, &x, &y);
    if (c->status != PS_OK) {
        return -1;
    }
    const ps_type type = plain(PS_TYPE_FLOAT64);
    if (c->values[x].type.id == PS_TYPE_NULL) {
        return ps_emit_null(c, type);
    }
    if (c->values[x].type.id == PS_TYPE_DURATION && c->values[y].type.id == PS_TYPE_DURATION) {
        const ps_type unit = finer_unit(PS_TYPE_DURATION, c->values[x].type, c->values[y].type);
        x = ps_emit(c, &ps_op_retype, plain(PS_TYPE_INT64), &(int32_t){ps_convert(c, x, unit)}, 1,
                    (ps_parameters){0});
        y = ps_emit(c, &ps_op_retype, plain(PS_TYPE_INT64), &(int32_t){ps_convert(c, y, unit)}, 1,
                    (ps_parameters){0});
    } else if (!ps_type_is_number(c->values[x].type) || !ps_type_is_number(c->values[y].type)) {
        return wrong_types(b, "numbers or two durations");
    }
    x = ps_convert(c, x, type);
    y = ps_convert(c, y, type);
    return c->status == PS_OK ? emit2(c, &ps_op_arith_f64, type, x, y, PS_DIV) : -1;
}

/* variant 0: floor_divide, 1: modulo */
static int32_t bind_floor(const binding *b)
{
    ps_compiler *c = b->c;
    int32_t x = b->arguments[0], y = b->arguments[1];
    ps_adopt(c, &x, &y);
    if (c->status != PS_OK) {
        return -1;
    }
    ps_type left = c->values[x].type;
    const ps_type right = c->values[y].type;
    const bool span = left.id == PS_TYPE_DURATION && ps_type_is_integer((ps_type_id)right.id);
    if (left.id == PS_TYPE_NULL) {
        return ps_emit_null(c, plain(PS_TYPE_INT64));
    }
    if (!span && (!ps_type_is_number(left) || !ps_type_is_number(right))) {
        return wrong_types(b, "numbers, or a duration and an integer");
    }
    const ps_type type = span ? left : arithmetic_type(c, x, y);
    x = ps_convert(c, x, type);
    y = ps_convert(c, y, span ? plain(PS_TYPE_INT64) : type);
    if (c->status != PS_OK) {
        return -1;
    }
    const ps_value *divisor = &c->values[y];
    const bool constant = divisor->op == NULL && !divisor->is_null;
    if (type.id == PS_TYPE_FLOAT64) {
        return emit2(c, &ps_op_floor_f64, type, x, y, b->variant);
    }
    if (constant && divisor->constant.i > 0 && type.id != PS_TYPE_UINT64) {
        return emit_divide(c, type, x, divisor->constant.i, b->variant);
    }
    const bool zero_possible = !constant || divisor->constant.i == 0;
    const bool nullable = zero_possible || c->values[x].nullable || divisor->nullable;
    const int32_t pair[2] = {x, y};
    return ps_emit(c, type.id == PS_TYPE_UINT64 ? &ps_op_floor_u64 : &ps_op_floor_i64, type, pair,
                   2, (ps_parameters){.i = b->variant, .nullable = nullable});
}

/* variant 0: negate, 1: abs */
static int32_t bind_sign(const binding *b)
{
    ps_compiler *c = b->c;
    const int32_t x = b->arguments[0];
    const ps_type type = type_of(b, 0);
    if (type.id == PS_TYPE_NULL) {
        return ps_emit_null(c, plain(PS_TYPE_INT64));
    }
    if (type.id == PS_TYPE_DURATION) {
        return emit1(c, b->variant == 0 ? &ps_op_negate_i64 : &ps_op_abs_i64, type, x, 0);
    }
    if (ps_type_is_float((ps_type_id)type.id)) {
        return emit1(c, b->variant == 0 ? &ps_op_negate_f64 : &ps_op_abs_f64,
                     plain(PS_TYPE_FLOAT64), x, 0);
    }
    if (!ps_type_is_integer((ps_type_id)type.id)) {
        return wrong_types(b, "a number or a duration");
    }
    if (b->variant == 1 && ps_type_is_unsigned((ps_type_id)type.id)) {
        return ps_convert(c, x, plain(PS_TYPE_UINT64));
    }
    const int32_t number = ps_convert(c, x, plain(PS_TYPE_INT64));
    return c->status == PS_OK ? emit1(c, b->variant == 0 ? &ps_op_negate_i64 : &ps_op_abs_i64,
                                      plain(PS_TYPE_INT64), number, 0)
                              : -1;
}

static int32_t bind_math(const binding *b)
{
    ps_compiler *c = b->c;
    const ps_type type = type_of(b, 0);
    const bool rounding = b->variant == PS_FLOOR || b->variant == PS_CEIL || b->variant == PS_ROUND;
    if (type.id != PS_TYPE_NULL && !ps_type_is_number(type)) {
        return wrong_types(b, "a number");
    }
    if (rounding && ps_type_is_integer((ps_type_id)type.id)) {
        return ps_convert(c, b->arguments[0], arithmetic_type(c, b->arguments[0], b->arguments[0]));
    }
    const int32_t number = ps_convert(c, b->arguments[0], plain(PS_TYPE_FLOAT64));
    return c->status == PS_OK ? ps_emit(c, &ps_op_math, plain(PS_TYPE_FLOAT64), &number, 1,
                                        (ps_parameters){.i = b->variant, .j = b->node->integer})
                              : -1;
}

/* ---- comparison and logic ---- */

static int32_t bind_compare(const binding *b)
{
    return ps_compare_values(b->c, (ps_compare)b->variant, b->arguments[0], b->arguments[1]);
}

/* One boolean argument; an untyped null is one. */
static int32_t boolean(const binding *b, int32_t k)
{
    const ps_type type = type_of(b, k);
    if (type.id == PS_TYPE_NULL && b->c->values[b->arguments[k]].is_null) {
        return ps_emit_null(b->c, plain(PS_TYPE_BOOL));
    }
    return type.id == PS_TYPE_BOOL ? b->arguments[k] : wrong_types(b, "booleans");
}

/* variant 0: and, 1: or, 2: xor; any number of arguments from the left. */
static int32_t bind_logic(const binding *b)
{
    ps_compiler *c = b->c;
    const ps_op *const ops[] = {&ps_op_and, &ps_op_or, &ps_op_xor};
    int32_t answer = boolean(b, 0);
    for (int32_t k = 1; k < b->count && c->status == PS_OK; k++) {
        const int32_t pair[2] = {answer, boolean(b, k)};
        if (c->status != PS_OK) {
            return -1;
        }
        const bool nullable = c->values[pair[0]].nullable || c->values[pair[1]].nullable;
        answer = ps_emit(c, ops[b->variant], plain(PS_TYPE_BOOL), pair, 2,
                         (ps_parameters){.nullable = nullable});
    }
    return answer;
}

static int32_t bind_not(const binding *b)
{
    const int32_t x = boolean(b, 0);
    return b->c->status == PS_OK ? emit1(b->c, &ps_op_not, plain(PS_TYPE_BOOL), x, 0) : -1;
}

static int32_t bind_is_null(const binding *b)
{
    const ps_value *x = &b->c->values[b->arguments[0]];
    const ps_parameters parameters = {.i = b->variant, .j = x->j};
    if (x->op == &ps_op_load) {
        return ps_emit(b->c, &ps_op_column_is_null, plain(PS_TYPE_BOOL), NULL, 0, parameters);
    }
    if (x->is_null) {
        return ps_emit_constant(b->c, plain(PS_TYPE_BOOL), (ps_scalar){.b = b->variant == 0});
    }
    return emit1(b->c, &ps_op_is_null, plain(PS_TYPE_BOOL), b->arguments[0], b->variant);
}

static int32_t bind_is_nan(const binding *b)
{
    const ps_type type = type_of(b, 0);
    if (ps_type_is_float((ps_type_id)type.id)) {
        return emit1(b->c, &ps_op_is_nan, plain(PS_TYPE_BOOL), b->arguments[0], 0);
    }
    if (!ps_type_is_integer((ps_type_id)type.id) && type.id != PS_TYPE_NULL) {
        return wrong_types(b, "a number");
    }
    const int32_t number = ps_convert(b->c, b->arguments[0], plain(PS_TYPE_FLOAT64));
    return b->c->status == PS_OK ? emit1(b->c, &ps_op_is_nan, plain(PS_TYPE_BOOL), number, 0) : -1;
}

static const ps_op *by_width(const ps_op *const ops[3], ps_type type)
{
    const size_t width = ps_class_width(ps_type_class(&type));
    return ops[width == 1 ? 0 : width == 8 ? 1 : 2];
}

/* A copy of the arguments from k on, every step-th, that ps_unify may change. */
static int32_t *copy_arguments(const binding *b)
{
    int32_t *copy = ps_arena_alloc(b->c->arena, (size_t)b->count * sizeof(int32_t));
    if (copy == NULL) {
        ps_compiler_no_memory(b->c);
    } else {
        memcpy(copy, b->arguments, (size_t)b->count * sizeof(int32_t));
    }
    return copy;
}

static int32_t cannot_combine(const binding *b, ps_type type)
{
    char text[DESCRIBE];
    ps_type_describe(&type, text, sizeof text);
    return ps_compiler_fail(b->c, PS_TYPE, "%s: cannot work on %s", b->node->name, text);
}

static int32_t bind_coalesce(const binding *b)
{
    static const ps_op *const ops[3] = {&ps_op_first_valid_8, &ps_op_first_valid_64,
                                        &ps_op_first_valid_128};
    ps_compiler *c = b->c;
    int32_t *values = copy_arguments(b);
    if (values == NULL) {
        return -1;
    }
    const ps_type type = ps_unify(c, values, b->count);
    if (c->status != PS_OK) {
        return -1;
    }
    if (type.id == PS_TYPE_NULL) {
        return values[0];
    }
    if (ps_type_class(&type) == PS_CLASS_NONE) {
        return cannot_combine(b, type);
    }
    int32_t answer = values[b->count - 1];
    for (int32_t k = b->count - 2; k >= 0 && c->status == PS_OK; k--) {
        if (!c->values[values[k]].nullable) {
            answer = values[k];
            continue;
        }
        if (c->values[values[k]].is_null) {
            continue;
        }
        const int32_t pair[2] = {values[k], answer};
        answer = ps_emit(c, by_width(ops, type), type, pair, 2,
                         (ps_parameters){.nullable = c->values[answer].nullable});
    }
    return answer;
}

/* when(condition, then, condition, then, ..., otherwise) */
static int32_t bind_when(const binding *b)
{
    static const ps_op *const ops[3] = {&ps_op_choose_8, &ps_op_choose_64, &ps_op_choose_128};
    ps_compiler *c = b->c;
    if (b->count < 3 || b->count % 2 == 0) {
        return ps_compiler_fail(c, PS_INVALID,
                                "when: takes pairs of condition and value, then one value more; "
                                "got %d arguments",
                                b->count);
    }
    const int32_t pairs = b->count / 2;
    int32_t *values = ps_arena_alloc(c->arena, (size_t)(pairs + 1) * sizeof(int32_t));
    if (values == NULL) {
        return ps_compiler_no_memory(c);
    }
    for (int32_t k = 0; k <= pairs; k++) {
        values[k] = b->arguments[k == pairs ? 2 * k : 2 * k + 1];
    }
    const ps_type type = ps_unify(c, values, pairs + 1);
    if (c->status != PS_OK) {
        return -1;
    }
    int32_t answer = values[pairs];
    for (int32_t k = pairs - 1; k >= 0; k--) {
        const int32_t triple[3] = {boolean(b, 2 * k), values[k], answer};
        if (c->status != PS_OK || type.id == PS_TYPE_NULL) {
            return c->status == PS_OK ? answer : -1;
        }
        if (ps_type_class(&type) == PS_CLASS_NONE) {
            return cannot_combine(b, type);
        }
        const bool nullable = c->values[values[k]].nullable || c->values[answer].nullable;
        answer =
            ps_emit(c, by_width(ops, type), type, triple, 3, (ps_parameters){.nullable = nullable});
    }
    return answer;
}

static int32_t bind_is_in(const binding *b)
{
    return ps_bind_is_in(b->c, b->arguments, b->count);
}

static int32_t bind_between(const binding *b)
{
    ps_compiler *c = b->c;
    const int32_t pair[2] = {ps_compare_values(c, PS_GE, b->arguments[0], b->arguments[1]),
                             ps_compare_values(c, PS_LE, b->arguments[0], b->arguments[2])};
    if (c->status != PS_OK) {
        return -1;
    }
    const bool nullable = c->values[pair[0]].nullable || c->values[pair[1]].nullable;
    return ps_emit(c, &ps_op_and, plain(PS_TYPE_BOOL), pair, 2,
                   (ps_parameters){.nullable = nullable});
}

/* variant PS_MIN or PS_MAX; nulls are passed over */
static int32_t bind_extreme(const binding *b)
{
    ps_compiler *c = b->c;
    int32_t *values = copy_arguments(b);
    if (values == NULL) {
        return -1;
    }
    const ps_type type = ps_unify(c, values, b->count);
    if (c->status != PS_OK || type.id == PS_TYPE_NULL) {
        return c->status == PS_OK ? values[0] : -1;
    }
    const ps_class kind = ps_type_class(&type);
    if (kind == PS_CLASS_NONE || kind == PS_CLASS_BOOL || type.id == PS_TYPE_DECIMAL128) {
        return wrong_types(b, "numbers, times or strings");
    }
    const ps_op *op = kind == PS_CLASS_I64   ? &ps_op_extreme_i64
                      : kind == PS_CLASS_U64 ? &ps_op_extreme_u64
                      : kind == PS_CLASS_F64 ? &ps_op_extreme_f64
                                             : &ps_op_extreme_str;
    int32_t answer = values[0];
    for (int32_t k = 1; k < b->count && c->status == PS_OK; k++) {
        const int32_t pair[2] = {answer, values[k]};
        const bool nullable = c->values[pair[0]].nullable && c->values[pair[1]].nullable;
        answer =
            ps_emit(c, op, type, pair, 2, (ps_parameters){.i = b->variant, .nullable = nullable});
    }
    return answer;
}

static int32_t bind_cast(const binding *b)
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

/* ---- times ---- */

/* Days since the epoch of a date or timestamp. */
static int32_t days_of(ps_compiler *c, int32_t value)
{
    const ps_type type = c->values[value].type;
    return emit_divide(c, plain(PS_TYPE_INT64), value, NS_PER_DAY / ps_unit_ns(type), 0);
}

static int32_t truncate_calendar(const binding *b, ps_civil_field field)
{
    ps_compiler *c = b->c;
    const ps_type type = type_of(b, 0);
    const int32_t days = days_of(c, b->arguments[0]);
    if (c->status != PS_OK) {
        return -1;
    }
    const int32_t first = emit1(c, &ps_op_civil, plain(PS_TYPE_INT64), days, field);
    if (c->status != PS_OK) {
        return -1;
    }
    if (type.id == PS_TYPE_DATE32) { /* the first date32 of all lies inside its year */
        return ps_emit(c, &ps_op_range_i64, type, &first, 1,
                       (ps_parameters){.i = INT32_MIN, .j = INT32_MAX});
    }
    return emit1(c, &ps_op_scale, type, first, NS_PER_DAY / ps_unit_ns(type));
}

static int32_t bind_truncate(const binding *b)
{
    static const struct {
        const char *name;
        ps_civil_field field;
    } units[] = {{"week", PS_FLOOR_WEEK},
                 {"month", PS_FLOOR_MONTH},
                 {"quarter", PS_FLOOR_QUARTER},
                 {"year", PS_FLOOR_YEAR}};
    ps_compiler *c = b->c;
    ps_type type = type_of(b, 0);
    const char *text = b->node->text;
    const int64_t interval = b->node->integer;
    if (!ps_type_is_moment(type) && !(type.id == PS_TYPE_DURATION && text == NULL)) {
        return wrong_types(b, "a date or timestamp");
    }
    if (text != NULL && text[0] != '\0') {
        for (size_t k = 0; k < sizeof units / sizeof units[0]; k++) {
            if (strcmp(units[k].name, text) == 0) {
                return truncate_calendar(b, units[k].field);
            }
        }
        return ps_compiler_fail(c, PS_INVALID,
                                "truncate: unknown unit '%s'; use week, month, quarter, year or an "
                                "interval",
                                text);
    }
    const int64_t unit = ps_unit_ns(type);
    if (interval <= 0) {
        return ps_compiler_fail(c, PS_INVALID, "truncate: the interval is %lld ns, not positive",
                                (long long)interval);
    }
    if (interval % unit != 0) {
        char described[DESCRIBE];
        ps_type_describe(&type, described, sizeof described);
        return ps_compiler_fail(c, PS_INVALID,
                                "truncate: %lld ns is no whole number of the units of %s",
                                (long long)interval, described);
    }
    type.index = 0;
    const int32_t whole = emit_divide(c, type, b->arguments[0], interval / unit, 2);
    if (type.id != PS_TYPE_DATE32 || c->status != PS_OK) {
        return whole;
    }
    return ps_emit(c, &ps_op_range_i64, type, &whole, 1,
                   (ps_parameters){.i = INT32_MIN, .j = INT32_MAX});
}

/* Calendar fields: variant = ps_civil_field */
static int32_t bind_calendar(const binding *b)
{
    if (!ps_type_is_moment(type_of(b, 0))) {
        return wrong_types(b, "a date or timestamp");
    }
    const int32_t days = days_of(b->c, b->arguments[0]);
    return b->c->status == PS_OK ? emit1(b->c, &ps_op_civil, plain(PS_TYPE_INT64), days, b->variant)
                                 : -1;
}

static int32_t bind_date(const binding *b)
{
    if (!ps_type_is_moment(type_of(b, 0))) {
        return wrong_types(b, "a date or timestamp");
    }
    return ps_convert(b->c, b->arguments[0], plain(PS_TYPE_DATE32));
}

typedef enum clock_field {
    CLOCK_HOUR,
    CLOCK_MINUTE,
    CLOCK_SECOND,
    CLOCK_MILLISECOND,
    CLOCK_MICROSECOND,
    CLOCK_NANOSECOND
} clock_field;

/* (x mod whole) / part, both in nanoseconds; a part finer than x's unit is scaled up. */
static int32_t bind_clock(const binding *b)
{
    static const int64_t wholes[] = {NS_PER_DAY, 3600000000000, 60000000000,
                                     1000000000, 1000000000,    1000000000};
    static const int64_t parts[] = {3600000000000, 60000000000, 1000000000, 1000000, 1000, 1};
    ps_compiler *c = b->c;
    const ps_type type = type_of(b, 0), int64 = plain(PS_TYPE_INT64);
    if (!ps_type_is_moment(type) && !ps_type_is_clock(type)) {
        return wrong_types(b, "a date, time or timestamp");
    }
    const int64_t unit = ps_unit_ns(type), whole = wholes[b->variant], part = parts[b->variant];
    if (unit >= whole) { /* nothing that fine in it: zero where it is not null */
        const int32_t rest = emit_divide(c, int64, b->arguments[0], 1, 1);
        return rest;
    }
    const int32_t rest = emit_divide(c, int64, b->arguments[0], whole / unit, 1);
    if (c->status != PS_OK) {
        return -1;
    }
    return unit <= part ? emit_divide(c, int64, rest, part / unit, 0)
                        : emit1(c, &ps_op_scale, int64, rest, unit / part);
}

/* variant = nanoseconds of the unit counted */
static int32_t bind_epoch(const binding *b)
{
    ps_compiler *c = b->c;
    if (!ps_type_is_moment(type_of(b, 0))) {
        return wrong_types(b, "a date or timestamp");
    }
    const int64_t unit = ps_unit_ns(type_of(b, 0));
    return unit >= b->variant
               ? emit1(c, &ps_op_scale, plain(PS_TYPE_INT64), b->arguments[0], unit / b->variant)
               : emit_divide(c, plain(PS_TYPE_INT64), b->arguments[0], b->variant / unit, 0);
}

/* ---- strings ---- */

static bool is_text(ps_type type)
{
    return ps_type_is_string((ps_type_id)type.id);
}

static int32_t bind_search(const binding *b)
{
    int32_t x = b->arguments[0], y = b->arguments[1];
    ps_adopt(b->c, &x, &y);
    if (b->c->status != PS_OK) {
        return -1;
    }
    const ps_type left = b->c->values[x].type, right = b->c->values[y].type;
    if (left.id == PS_TYPE_NULL && right.id == PS_TYPE_NULL) {
        return ps_emit_null(b->c, plain(PS_TYPE_BOOL));
    }
    if (!ps_type_is_bytes(left) || !ps_type_is_bytes(right) || is_text(left) != is_text(right)) {
        return wrong_types(b, "two strings or two binaries");
    }
    return emit2(b->c, &ps_op_search, plain(PS_TYPE_BOOL), x, y, b->variant);
}

/* variant 0: characters, 1: bytes */
static int32_t bind_length(const binding *b)
{
    const ps_type type = type_of(b, 0);
    if (type.id == PS_TYPE_NULL) {
        return ps_emit_null(b->c, plain(PS_TYPE_INT64));
    }
    if (!(b->variant == 1 ? ps_type_is_bytes(type) : is_text(type))) {
        return wrong_types(b, "a string");
    }
    return emit1(b->c, &ps_op_characters, plain(PS_TYPE_INT64), b->arguments[0], b->variant);
}

static int32_t bind_case(const binding *b)
{
    ps_type type = type_of(b, 0);
    type.index = 0;
    if (type.id == PS_TYPE_NULL) {
        return ps_emit_null(b->c, plain(PS_TYPE_UTF8));
    }
    if (!is_text(type)) {
        return wrong_types(b, "a string");
    }
    return emit1(b->c, &ps_op_change_case, type, b->arguments[0], b->variant);
}

/* ---- the table ---- */

typedef struct function {
    const char *name;
    int32_t (*bind)(const binding *b);
    int64_t variant;
    int32_t least; /* arguments */
    int32_t most;
} function;

#define ANY_COUNT INT32_MAX
static const function functions[] = {
    {"add", bind_arith, PS_ADD, 2, 2},
    {"subtract", bind_arith, PS_SUB, 2, 2},
    {"multiply", bind_arith, PS_MUL, 2, 2},
    {"divide", bind_divide, 0, 2, 2},
    {"floor_divide", bind_floor, 0, 2, 2},
    {"modulo", bind_floor, 1, 2, 2},
    {"negate", bind_sign, 0, 1, 1},
    {"abs", bind_sign, 1, 1, 1},
    {"equal", bind_compare, PS_EQ, 2, 2},
    {"not_equal", bind_compare, PS_NE, 2, 2},
    {"less", bind_compare, PS_LT, 2, 2},
    {"less_equal", bind_compare, PS_LE, 2, 2},
    {"greater", bind_compare, PS_GT, 2, 2},
    {"greater_equal", bind_compare, PS_GE, 2, 2},
    {"and", bind_logic, 0, 1, ANY_COUNT},
    {"or", bind_logic, 1, 1, ANY_COUNT},
    {"xor", bind_logic, 2, 2, 2},
    {"not", bind_not, 0, 1, 1},
    {"is_null", bind_is_null, 0, 1, 1},
    {"is_not_null", bind_is_null, 1, 1, 1},
    {"is_nan", bind_is_nan, 0, 1, 1},
    {"coalesce", bind_coalesce, 0, 1, ANY_COUNT},
    {"when", bind_when, 0, 1, ANY_COUNT},
    {"is_in", bind_is_in, 0, 1, ANY_COUNT},
    {"between", bind_between, 0, 3, 3},
    {"cast", bind_cast, 0, 1, 1},
    {"truncate", bind_truncate, 0, 1, 1},
    {"year", bind_calendar, PS_YEAR, 1, 1},
    {"month", bind_calendar, PS_MONTH, 1, 1},
    {"day", bind_calendar, PS_DAY, 1, 1},
    {"ordinal_day", bind_calendar, PS_ORDINAL_DAY, 1, 1},
    {"weekday", bind_calendar, PS_WEEKDAY, 1, 1},
    {"hour", bind_clock, CLOCK_HOUR, 1, 1},
    {"minute", bind_clock, CLOCK_MINUTE, 1, 1},
    {"second", bind_clock, CLOCK_SECOND, 1, 1},
    {"millisecond", bind_clock, CLOCK_MILLISECOND, 1, 1},
    {"microsecond", bind_clock, CLOCK_MICROSECOND, 1, 1},
    {"nanosecond", bind_clock, CLOCK_NANOSECOND, 1, 1},
    {"date", bind_date, 0, 1, 1},
    {"epoch_s", bind_epoch, 1000000000, 1, 1},
    {"epoch_ms", bind_epoch, 1000000, 1, 1},
    {"epoch_us", bind_epoch, 1000, 1, 1},
    {"epoch_ns", bind_epoch, 1, 1, 1},
    {"starts_with", bind_search, PS_STARTS, 2, 2},
    {"ends_with", bind_search, PS_ENDS, 2, 2},
    {"contains", bind_search, PS_CONTAINS, 2, 2},
    {"str_length", bind_length, 0, 1, 1},
    {"str_bytes", bind_length, 1, 1, 1},
    {"to_lowercase", bind_case, 0, 1, 1},
    {"to_uppercase", bind_case, 1, 1, 1},
    {"min_horizontal", bind_extreme, PS_MIN, 1, ANY_COUNT},
    {"max_horizontal", bind_extreme, PS_MAX, 1, ANY_COUNT},
    {"sqrt", bind_math, PS_SQRT, 1, 1},
    {"exp", bind_math, PS_EXP, 1, 1},
    {"log", bind_math, PS_LOG, 1, 1},
    {"floor", bind_math, PS_FLOOR, 1, 1},
    {"ceil", bind_math, PS_CEIL, 1, 1},
    {"round", bind_math, PS_ROUND, 1, 1},
};

int32_t ps_bind(ps_compiler *c, const ps_node *node, const int32_t *arguments)
{
    const size_t count = sizeof functions / sizeof functions[0];
    for (size_t f = 0; f < count; f++) {
        if (strcmp(functions[f].name, node->name) != 0) {
            continue;
        }
        if (node->argument_count < functions[f].least || node->argument_count > functions[f].most) {
            return ps_compiler_fail(c, PS_INVALID, "%s: takes %s%d argument%s, got %d", node->name,
                                    functions[f].most == ANY_COUNT ? "at least " : "",
                                    functions[f].least, functions[f].least == 1 ? "" : "s",
                                    node->argument_count);
        }
        const binding b = {.c = c,
                           .node = node,
                           .arguments = arguments,
                           .count = node->argument_count,
                           .variant = functions[f].variant};
        return functions[f].bind(&b);
    }
    return ps_compiler_fail(c, PS_INVALID, "unknown function '%s'", node->name);
}
