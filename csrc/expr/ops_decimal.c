/* ops_decimal.c -- decimals to numbers and text and from integers, on chunks; strict. */
#include <math.h>

#include "expr/decimal.h"
#include "expr/ops.h"
#include "expr/text.h"

static ps_status misfit_decimal(const ps_call *call, ps_decimal value, ps_error *err)
{
    char text[PS_DECIMAL_TEXT];
    ps_decimal_to_text(value, call->a_type->scale, text);
    return ps_call_misfit(call, PS_OVERFLOW, text, err);
}

#define FROM_DECIMAL(function, c_type, convert)                                                    \
    static ps_status function(ps_call *call, ps_error *err)                                        \
    {                                                                                              \
        const ps_string *a = call->a->values;                                                      \
        const int32_t scale = call->a_type->scale;                                                 \
        c_type *out = call->values;                                                                \
        ps_call_strict(call);                                                                      \
        for (int64_t i = 0; i < call->n; i++) {                                                    \
            const ps_decimal value = ps_decimal_load(a[i]); /* 0 where a row is null */            \
            if (PS_UNLIKELY(!(convert))) {                                                         \
                return misfit_decimal(call, value, err);                                           \
            }                                                                                      \
        }                                                                                          \
        return PS_OK;                                                                              \
    }
FROM_DECIMAL(run_f64_from_decimal, double, isfinite(out[i] = ps_decimal_to_f64(value, scale)))
FROM_DECIMAL(run_f32_from_decimal, double,
             isfinite(out[i] = (double)ps_decimal_to_f32(value, scale)))
FROM_DECIMAL(run_i64_from_decimal, int64_t,
             ps_decimal_to_i64(value, scale, &out[i]) && out[i] >= call->i && out[i] <= call->j)
FROM_DECIMAL(run_u64_from_decimal, uint64_t,
             ps_decimal_to_u64(value, scale, &out[i]) && out[i] <= (uint64_t)call->j)

static ps_status refused(const ps_call *call, size_t size_bytes, ps_error *err)
{
    return ps_mem_refused(call->arena->mem, size_bytes, call->name, err);
}

static ps_status run_str_from_decimal(ps_call *call, ps_error *err)
{
    const ps_string *a = call->a->values;
    ps_string *out = call->values;
    ps_call_strict(call);
    const size_t most = (size_t)call->n * PS_DECIMAL_TEXT;
    char *text = ps_arena_alloc(call->arena, most);
    if (text == NULL) {
        return refused(call, most, err);
    }
    for (int64_t i = 0; i < call->n; i++) {
        const ps_decimal value = ps_decimal_load(a[i]);
        const bool valid = ps_row_valid(&call->out, i);
        const int64_t size = valid ? ps_decimal_to_text(value, call->a_type->scale, text) : 0;
        out[i] = (ps_string){.data = text, .size_bytes = size};
        text += size;
    }
    return PS_OK;
}

/* The values of a chunk lie side by side in one piece of the arena. */
#define TO_DECIMAL(function, c_type, from, to_text)                                                \
    static ps_status function(ps_call *call, ps_error *err)                                        \
    {                                                                                              \
        const c_type *a = call->a->values;                                                         \
        ps_string *out = call->values;                                                             \
        const int32_t precision = call->type->precision, scale = call->type->scale;                \
        ps_call_strict(call);                                                                      \
        const size_t size_bytes = (size_t)call->n * sizeof(ps_decimal);                            \
        ps_decimal *values = ps_arena_alloc(call->arena, size_bytes);                              \
        if (values == NULL) {                                                                      \
            return refused(call, size_bytes, err);                                                 \
        }                                                                                          \
        for (int64_t i = 0; i < call->n; i++) {                                                    \
            const bool valid = ps_row_valid(&call->out, i);                                        \
            if (PS_UNLIKELY(!from(valid ? a[i] : 0, precision, scale, &values[i]))) {              \
                char text[PS_TEXT_MAX];                                                            \
                to_text(a[i], text);                                                               \
                return ps_call_misfit(call, PS_OVERFLOW, text, err);                               \
            }                                                                                      \
            out[i] = (ps_string){.data = (const char *)&values[i],                                 \
                                 .size_bytes = valid ? (int64_t)sizeof values[i] : 0};             \
        }                                                                                          \
        return PS_OK;                                                                              \
    }
TO_DECIMAL(run_decimal_from_i64, int64_t, ps_decimal_from_i64, ps_text_from_i64)
TO_DECIMAL(run_decimal_from_u64, uint64_t, ps_decimal_from_u64, ps_text_from_u64)

#define STRICT (PS_OP_STRICT | PS_OP_PURE)
const ps_op ps_op_f64_from_decimal = {run_f64_from_decimal, STRICT, PS_CLASS_F64};
const ps_op ps_op_f32_from_decimal = {run_f32_from_decimal, STRICT, PS_CLASS_F64};
const ps_op ps_op_i64_from_decimal = {run_i64_from_decimal, STRICT, PS_CLASS_I64};
const ps_op ps_op_u64_from_decimal = {run_u64_from_decimal, STRICT, PS_CLASS_U64};
const ps_op ps_op_str_from_decimal = {run_str_from_decimal, STRICT, PS_CLASS_STR};
const ps_op ps_op_decimal_from_i64 = {run_decimal_from_i64, STRICT, PS_CLASS_STR};
const ps_op ps_op_decimal_from_u64 = {run_decimal_from_u64, STRICT, PS_CLASS_STR};
