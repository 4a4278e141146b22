/* bind_logic.c -- booleans, what is null or not a number, and choices among values. */
#include <string.h>

#include "expr/bind.h"

/* One boolean argument; an untyped null is one. */
static int32_t boolean(const ps_binding *b, int32_t k)
{
    const ps_type type = ps_argument_type(b, k);
    if (type.id == PS_TYPE_NULL && b->c->values[b->arguments[k]].is_null) {
        return ps_emit_null(b->c, ps_plain(PS_TYPE_BOOL));
    }
    return type.id == PS_TYPE_BOOL ? b->arguments[k] : ps_wrong_types(b, "booleans");
}

/* variant 0: and, 1: or, 2: xor; any number of arguments from the left. */
static int32_t bind_logic(const ps_binding *b)
{
    ps_compiler *c = b->c;
    const ps_op *const ops[] = {&ps_op_and, &ps_op_or, &ps_op_xor};
    int32_t answer = boolean(b, 0);
    for (int32_t k = 1; k < b->count && c->status == PS_OK; k++) {
        answer = ps_emit_logic(c, ops[b->variant], answer, boolean(b, k));
    }
    return answer;
}

static int32_t bind_not(const ps_binding *b)
{
    return ps_emit1(b->c, &ps_op_not, ps_plain(PS_TYPE_BOOL), boolean(b, 0), 0);
}

static int32_t bind_is_null(const ps_binding *b)
{
    const ps_value *x = &b->c->values[b->arguments[0]];
    const ps_parameters parameters = {.i = b->variant, .j = x->j};
    if (x->op == &ps_op_load) {
        return ps_emit(b->c, &ps_op_column_is_null, ps_plain(PS_TYPE_BOOL), NULL, 0, parameters);
    }
    if (x->is_null) {
        return ps_emit_constant(b->c, ps_plain(PS_TYPE_BOOL), (ps_scalar){.b = b->variant == 0});
    }
    return ps_emit1(b->c, &ps_op_is_null, ps_plain(PS_TYPE_BOOL), b->arguments[0], b->variant);
}

static int32_t bind_is_nan(const ps_binding *b)
{
    const ps_type type = ps_argument_type(b, 0);
    if (!ps_type_is_number(type) && type.id != PS_TYPE_NULL) {
        return ps_wrong_types(b, "a number");
    }
    const int32_t number = ps_type_is_float((ps_type_id)type.id)
                               ? b->arguments[0]
                               : ps_convert(b->c, b->arguments[0], ps_plain(PS_TYPE_FLOAT64));
    return ps_emit1(b->c, &ps_op_is_nan, ps_plain(PS_TYPE_BOOL), number, 0);
}

static const ps_op *by_width(const ps_op *const ops[3], ps_type type)
{
    const size_t width = ps_class_width(ps_type_class(&type));
    return ops[width == 1 ? 0 : width == 8 ? 1 : 2];
}

/* The arguments, brought to one type. NULL: that failed. */
static const int32_t *unify_arguments(const ps_binding *b, ps_type *type)
{
    int32_t *values = ps_arena_alloc(b->c->arena, (size_t)b->count * sizeof(int32_t));
    if (values == NULL) {
        ps_compiler_no_memory(b->c);
        return NULL;
    }
    memcpy(values, b->arguments, (size_t)b->count * sizeof(int32_t));
    *type = ps_unify(b->c, values, b->count);
    return b->c->status == PS_OK ? values : NULL;
}

static int32_t cannot_combine(const ps_binding *b, ps_type type)
{
    char text[PS_DESCRIBE];
    ps_type_describe(&type, text, sizeof text);
    return ps_compiler_fail(b->c, PS_TYPE, "%s: cannot work on %s", b->node->name, text);
}

static int32_t bind_coalesce(const ps_binding *b)
{
    static const ps_op *const ops[3] = {&ps_op_first_valid_8, &ps_op_first_valid_64,
                                        &ps_op_first_valid_128};
    ps_compiler *c = b->c;
    ps_type type;
    const int32_t *values = unify_arguments(b, &type);
    if (values == NULL) {
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
static int32_t bind_when(const ps_binding *b)
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

/* variant PS_MIN or PS_MAX; nulls are passed over */
static int32_t bind_extreme(const ps_binding *b)
{
    ps_compiler *c = b->c;
    ps_type type;
    const int32_t *values = unify_arguments(b, &type);
    if (values == NULL) {
        return -1;
    }
    if (type.id == PS_TYPE_NULL) {
        return values[0];
    }
    const ps_class kind = ps_type_class(&type);
    if (kind == PS_CLASS_NONE || kind == PS_CLASS_BOOL || type.id == PS_TYPE_DECIMAL128) {
        return ps_wrong_types(b, "numbers, times or strings");
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

const ps_function ps_logic_functions[] = {
    {"and", bind_logic, 0, 1, PS_ANY_COUNT},
    {"or", bind_logic, 1, 1, PS_ANY_COUNT},
    {"xor", bind_logic, 2, 2, 2},
    {"not", bind_not, 0, 1, 1},
    {"is_null", bind_is_null, 0, 1, 1},
    {"is_not_null", bind_is_null, 1, 1, 1},
    {"is_nan", bind_is_nan, 0, 1, 1},
    {"coalesce", bind_coalesce, 0, 1, PS_ANY_COUNT},
    {"when", bind_when, 0, 1, PS_ANY_COUNT},
    {"min_horizontal", bind_extreme, PS_MIN, 1, PS_ANY_COUNT},
    {"max_horizontal", bind_extreme, PS_MAX, 1, PS_ANY_COUNT},
    {0},
};
