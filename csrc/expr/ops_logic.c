/* ops_logic.c -- loading columns, Kleene logic, null tests and choices on chunks. */
#include <string.h>

#include "expr/ops.h"

const uint8_t *ps_call_column_valid(ps_call *call, const ps_column *column)
{
    const ps_source *from = call->source;
    if (column->validity == NULL) {
        return NULL;
    }
    if (from->rows == NULL) {
        call->kernels->unpack_bits(column->validity, column->validity_bit + from->start,
                                   call->valid, call->n);
    } else {
        for (int64_t i = 0; i < call->n; i++) {
            call->valid[i] = ps_bit_get(column->validity, column->validity_bit + from->rows[i]);
        }
    }
    return call->valid;
}

static ps_status run_load(ps_call *call, ps_error *err)
{
    (void)err;
    const ps_source *from = call->source;
    if (from->one_null) {
        memset(call->room->values, 0, (size_t)call->n * sizeof(ps_string));
        memset(call->valid, 0, (size_t)call->n);
        call->out.values = call->room->values;
        call->out.valid = call->valid;
        return PS_OK;
    }
    ps_vector_load(ps_call_column(call), from->rows, from->start, call->n, call->room, &call->out);
    return PS_OK;
}

static ps_status run_retype(ps_call *call, ps_error *err)
{
    (void)err;
    call->out.values = call->a->values;
    call->out.valid = call->a->valid;
    return PS_OK;
}

/* The validity of an argument as an array, all ones when it has none. */
static const uint8_t *valid_or_ones(const ps_vector *v)
{
    static const uint8_t ones[PS_CHUNK_ROWS] = {
#define ONES_16 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1
#define ONES_128 ONES_16, ONES_16, ONES_16, ONES_16, ONES_16, ONES_16, ONES_16, ONES_16
        ONES_128, ONES_128, ONES_128, ONES_128, ONES_128, ONES_128, ONES_128, ONES_128};
    return v->valid == NULL ? ones : v->valid;
}

static ps_status run_and(ps_call *call, ps_error *err)
{
    (void)err;
    call->out.values = call->values;
    if (call->a->valid == NULL && call->b->valid == NULL) {
        call->out.valid = NULL;
        call->kernels->mask_and(call->a->values, call->b->values, call->values, call->n);
        return PS_OK;
    }
    call->kernels->kleene_and(call->a->values, valid_or_ones(call->a), call->b->values,
                              valid_or_ones(call->b), call->values, call->valid, call->n);
    call->out.valid = call->valid;
    return PS_OK;
}

static ps_status run_or(ps_call *call, ps_error *err)
{
    (void)err;
    call->out.values = call->values;
    if (call->a->valid == NULL && call->b->valid == NULL) {
        call->out.valid = NULL;
        call->kernels->mask_or(call->a->values, call->b->values, call->values, call->n);
        return PS_OK;
    }
    call->kernels->kleene_or(call->a->values, valid_or_ones(call->a), call->b->values,
                             valid_or_ones(call->b), call->values, call->valid, call->n);
    call->out.valid = call->valid;
    return PS_OK;
}

static ps_status run_xor(ps_call *call, ps_error *err)
{
    (void)err;
    ps_call_strict(call);
    call->kernels->mask_xor(call->a->values, call->b->values, call->values, call->n);
    return PS_OK;
}

static ps_status run_not(ps_call *call, ps_error *err)
{
    (void)err;
    ps_call_strict(call);
    call->kernels->mask_not(call->a->values, call->values, call->n);
    return PS_OK;
}

static void null_mask(ps_call *call, const uint8_t *valid)
{
    call->out.values = call->values;
    call->out.valid = NULL;
    if (valid == NULL) {
        memset(call->values, call->i != 0, (size_t)call->n);
    } else if (call->i != 0) {
        memmove(call->values, valid, (size_t)call->n);
    } else {
        call->kernels->mask_not(valid, call->values, call->n);
    }
}

static ps_status run_is_null(ps_call *call, ps_error *err)
{
    (void)err;
    null_mask(call, call->a->valid);
    return PS_OK;
}

static ps_status run_column_is_null(ps_call *call, ps_error *err)
{
    (void)err;
    const ps_column *column = call->source->one_null ? NULL : ps_call_column(call);
    if (column == NULL || column->type.id == PS_TYPE_NULL) {
        memset(call->valid, 0, (size_t)call->n);
        null_mask(call, call->valid);
    } else {
        null_mask(call, ps_call_column_valid(call, column));
    }
    return PS_OK;
}

static ps_status run_is_nan(ps_call *call, ps_error *err)
{
    (void)err;
    ps_call_strict(call);
    call->kernels->compare_f64[PS_NE](call->a->values, call->a->values, 1, call->values, call->n);
    return PS_OK;
}

static void choose(ps_call *call, const uint8_t *mask, const ps_vector *a, const ps_vector *b,
                   size_t width)
{
    const ps_kernels *k = call->kernels;
    if (width == 1) {
        k->choose_8(mask, a->values, b->values, call->values, call->n);
    } else if (width == 8) {
        k->choose_64(mask, a->values, b->values, call->values, call->n);
    } else {
        k->choose_128(mask, a->values, b->values, call->values, call->n);
    }
    call->out.values = call->values;
}

/* a where it is not null, else b. */
static ps_status first_valid(ps_call *call, size_t width)
{
    if (call->a->valid == NULL) {
        memcpy(call->values, call->a->values, (size_t)call->n * width);
        call->out.values = call->values;
        call->out.valid = NULL;
        return PS_OK;
    }
    choose(call, call->a->valid, call->a, call->b, width);
    call->out.valid = NULL;
    if (call->b->valid != NULL) {
        call->kernels->mask_or(call->a->valid, call->b->valid, call->valid, call->n);
        call->out.valid = call->valid;
    }
    return PS_OK;
}

static ps_status choose_by(ps_call *call, size_t width)
{
    const uint8_t *mask = call->a->values;
    uint8_t own[PS_CHUNK_ROWS];
    if (call->a->valid != NULL) {
        call->kernels->mask_and(mask, call->a->valid, own, call->n);
        mask = own;
    }
    choose(call, mask, call->b, call->c, width);
    call->out.valid = NULL;
    if (call->b->valid != NULL || call->c->valid != NULL) {
        call->kernels->choose_8(mask, valid_or_ones(call->b), valid_or_ones(call->c), call->valid,
                                call->n);
        call->out.valid = call->valid;
    }
    return PS_OK;
}

#define BY_WIDTH(name, function, width)                                                            \
    static ps_status name(ps_call *call, ps_error *err)                                            \
    {                                                                                              \
        (void)err;                                                                                 \
        return function(call, width);                                                              \
    }
BY_WIDTH(run_first_valid_8, first_valid, 1)
BY_WIDTH(run_first_valid_64, first_valid, 8)
BY_WIDTH(run_first_valid_128, first_valid, 16)
BY_WIDTH(run_choose_8, choose_by, 1)
BY_WIDTH(run_choose_64, choose_by, 8)
BY_WIDTH(run_choose_128, choose_by, 16)

static ps_status run_bool_like(ps_call *call, ps_error *err)
{
    (void)err;
    ps_call_strict(call);
    memset(call->values, call->i != 0, (size_t)call->n);
    return PS_OK;
}

#define STRICT (PS_OP_STRICT | PS_OP_PURE)
const ps_op ps_op_load = {run_load, 0, PS_CLASS_NONE};
const ps_op ps_op_retype = {run_retype, STRICT | PS_OP_ALIAS, PS_CLASS_NONE};
const ps_op ps_op_and = {run_and, PS_OP_PURE, PS_CLASS_BOOL};
const ps_op ps_op_or = {run_or, PS_OP_PURE, PS_CLASS_BOOL};
const ps_op ps_op_xor = {run_xor, STRICT, PS_CLASS_BOOL};
const ps_op ps_op_not = {run_not, STRICT, PS_CLASS_BOOL};
const ps_op ps_op_is_null = {run_is_null, PS_OP_PURE, PS_CLASS_BOOL};
const ps_op ps_op_column_is_null = {run_column_is_null, 0, PS_CLASS_BOOL};
const ps_op ps_op_is_nan = {run_is_nan, STRICT, PS_CLASS_BOOL};
const ps_op ps_op_first_valid_8 = {run_first_valid_8, PS_OP_PURE, PS_CLASS_NONE};
const ps_op ps_op_first_valid_64 = {run_first_valid_64, PS_OP_PURE, PS_CLASS_NONE};
const ps_op ps_op_first_valid_128 = {run_first_valid_128, PS_OP_PURE, PS_CLASS_NONE};
const ps_op ps_op_choose_8 = {run_choose_8, PS_OP_PURE, PS_CLASS_NONE};
const ps_op ps_op_choose_64 = {run_choose_64, PS_OP_PURE, PS_CLASS_NONE};
const ps_op ps_op_choose_128 = {run_choose_128, PS_OP_PURE, PS_CLASS_NONE};
const ps_op ps_op_bool_like = {run_bool_like, STRICT, PS_CLASS_BOOL};
