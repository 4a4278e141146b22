/* ops_arith.c -- checked arithmetic: the kernels say "may have overflowed", this says which row. */
#include <math.h>
#include <string.h>

#include "expr/ops.h"

void ps_call_strict(ps_call *call)
{
    const ps_vector *given[3] = {call->a, call->b, call->c};
    const uint8_t *valid = NULL;
    for (int k = 0; k < 3; k++) {
        if (given[k] == NULL || given[k]->valid == NULL) {
            continue;
        }
        if (valid == NULL) {
            memcpy(call->valid, given[k]->valid, (size_t)call->n);
        } else {
            call->kernels->mask_and(valid, given[k]->valid, call->valid, call->n);
        }
        valid = call->valid;
    }
    call->out.values = call->values;
    call->out.valid = valid;
}

static const char *const arith_signs[PS_ARITH_COUNT] = {"+", "-", "*", "/", "min", "max"};

static bool overflows_i64(int64_t op, int64_t a, int64_t b)
{
    int64_t r;
    return op == PS_ADD   ? __builtin_add_overflow(a, b, &r)
           : op == PS_SUB ? __builtin_sub_overflow(a, b, &r)
                          : __builtin_mul_overflow(a, b, &r);
}

static bool overflows_u64(int64_t op, uint64_t a, uint64_t b)
{
    uint64_t r;
    return op == PS_ADD   ? __builtin_add_overflow(a, b, &r)
           : op == PS_SUB ? __builtin_sub_overflow(a, b, &r)
                          : __builtin_mul_overflow(a, b, &r);
}

static ps_status run_arith_i64(ps_call *call, ps_error *err)
{
    const int64_t *a = call->a->values, *b = call->b->values;
    ps_call_strict(call);
    if (PS_LIKELY(call->kernels->arith_i64[call->i](a, b, call->b_step, call->values, call->n) ==
                  0)) {
        return PS_OK;
    }
    for (int64_t i = 0; i < call->n; i++) {
        const int64_t x = a[i], y = b[i * call->b_step];
        if (ps_row_valid(&call->out, i) && overflows_i64(call->i, x, y)) {
            return ps_fail(err, PS_OVERFLOW, "%s: %lld %s %lld does not fit int64", call->name,
                           (long long)x, arith_signs[call->i], (long long)y);
        }
    }
    return PS_OK;
}

static ps_status run_arith_u64(ps_call *call, ps_error *err)
{
    const uint64_t *a = call->a->values, *b = call->b->values;
    ps_call_strict(call);
    if (PS_LIKELY(call->kernels->arith_u64[call->i](a, b, call->b_step, call->values, call->n) ==
                  0)) {
        return PS_OK;
    }
    for (int64_t i = 0; i < call->n; i++) {
        const uint64_t x = a[i], y = b[i * call->b_step];
        if (ps_row_valid(&call->out, i) && overflows_u64(call->i, x, y)) {
            return ps_fail(err, PS_OVERFLOW, "%s: %llu %s %llu does not fit uint64", call->name,
                           (unsigned long long)x, arith_signs[call->i], (unsigned long long)y);
        }
    }
    return PS_OK;
}

static ps_status run_arith_f64(ps_call *call, ps_error *err)
{
    (void)err;
    ps_call_strict(call);
    call->kernels->arith_f64[call->i](call->a->values, call->b->values, call->b_step, call->values,
                                      call->n);
    return PS_OK;
}

static ps_status smallest(ps_call *call, const char *what, ps_error *err)
{
    const int64_t *a = call->a->values;
    for (int64_t i = 0; i < call->n; i++) {
        if (ps_row_valid(&call->out, i) && a[i] == INT64_MIN) {
            return ps_fail(err, PS_OVERFLOW, "%s: %s %lld does not fit int64", call->name, what,
                           (long long)INT64_MIN);
        }
    }
    return PS_OK;
}

static ps_status run_negate_i64(ps_call *call, ps_error *err)
{
    ps_call_strict(call);
    return call->kernels->negate_i64(call->a->values, call->values, call->n) == 0
               ? PS_OK
               : smallest(call, "minus", err);
}

static ps_status run_abs_i64(ps_call *call, ps_error *err)
{
    ps_call_strict(call);
    return call->kernels->abs_i64(call->a->values, call->values, call->n) == 0
               ? PS_OK
               : smallest(call, "the absolute value of", err);
}

static ps_status run_negate_f64(ps_call *call, ps_error *err)
{
    (void)err;
    ps_call_strict(call);
    call->kernels->negate_f64(call->a->values, call->values, call->n);
    return PS_OK;
}

static ps_status run_abs_f64(ps_call *call, ps_error *err)
{
    (void)err;
    ps_call_strict(call);
    call->kernels->abs_f64(call->a->values, call->values, call->n);
    return PS_OK;
}

/* Starts a validity array when a row turns out to be null. */
static uint8_t *own_valid(ps_call *call)
{
    if (call->out.valid == NULL) {
        memset(call->valid, 1, (size_t)call->n);
        call->out.valid = call->valid;
    }
    return call->valid;
}

static ps_status run_floor_i64(ps_call *call, ps_error *err)
{
    const int64_t *a = call->a->values, *b = call->b->values;
    int64_t *out = call->values;
    ps_call_strict(call);
    for (int64_t i = 0; i < call->n; i++) {
        const int64_t x = a[i], y = b[i * call->b_step];
        if (y == 0) {
            own_valid(call)[i] = 0;
            out[i] = 0;
        } else if (y == -1) {
            if (call->i == 0 && x == INT64_MIN && ps_row_valid(&call->out, i)) {
                return ps_fail(err, PS_OVERFLOW, "%s: %lld // -1 does not fit int64", call->name,
                               (long long)x);
            }
            out[i] = call->i == 0 ? (int64_t)(0 - (uint64_t)x) : 0;
        } else {
            const int64_t q = x / y, r = x % y;
            const bool down = r != 0 && (r ^ y) < 0;
            out[i] = call->i == 0 ? q - down : r + (down ? y : 0);
        }
    }
    return PS_OK;
}

static ps_status run_floor_u64(ps_call *call, ps_error *err)
{
    (void)err;
    const uint64_t *a = call->a->values, *b = call->b->values;
    uint64_t *out = call->values;
    ps_call_strict(call);
    for (int64_t i = 0; i < call->n; i++) {
        const uint64_t x = a[i], y = b[i * call->b_step];
        if (y == 0) {
            own_valid(call)[i] = 0;
            out[i] = 0;
        } else {
            out[i] = call->i == 0 ? x / y : x % y;
        }
    }
    return PS_OK;
}

/* As Python does for finite numbers; a zero divisor gives what IEEE division gives. */
static double floor_f64(double x, double y, bool remainder)
{
    if (y == 0) {
        return remainder ? (double)NAN : x / y;
    }
    double r = fmod(x, y);
    if (r != 0 && (r < 0) != (y < 0)) {
        r += y;
    } else if (r == 0) {
        r = copysign(0.0, y);
    }
    if (remainder) {
        return r;
    }
    const double q = (x - r) / y;
    const double down = floor(q);
    return q - down > 0.5 ? down + 1 : down;
}

static ps_status run_floor_f64(ps_call *call, ps_error *err)
{
    (void)err;
    const double *a = call->a->values, *b = call->b->values;
    double *out = call->values;
    ps_call_strict(call);
    for (int64_t i = 0; i < call->n; i++) {
        out[i] = floor_f64(a[i], b[i * call->b_step], call->i != 0);
    }
    return PS_OK;
}

static ps_status run_divide_const(ps_call *call, ps_error *err)
{
    const ps_divider *by = call->p;
    ps_call_strict(call);
    if (call->i == 0) {
        call->kernels->divide_i64(call->a->values, by, call->values, call->n);
        return PS_OK;
    }
    if (call->i == 1) {
        call->kernels->modulo_i64(call->a->values, by, call->values, call->n);
        return PS_OK;
    }
    call->kernels->truncate_i64(call->a->values, by, call->values, call->n);
    if (PS_LIKELY(!call->kernels->outside_i64(call->a->values, INT64_MIN + by->divisor, INT64_MAX,
                                              call->n))) {
        return PS_OK;
    }
    const int64_t *a = call->a->values, *out = call->values;
    for (int64_t i = 0; i < call->n; i++) {
        if (ps_row_valid(&call->out, i) && out[i] > a[i]) {
            return ps_fail(err, PS_OVERFLOW, "%s: the interval of %lld starts before int64 does",
                           call->name, (long long)a[i]);
        }
    }
    return PS_OK;
}

static double round_digits(double x, int64_t digits)
{
    if (digits == 0 || !isfinite(x)) {
        return rint(x);
    }
    const double scale = pow(10, (double)digits);
    const double scaled = x * scale;
    return isfinite(scaled) && scale != 0 ? rint(scaled) / scale : x;
}

static ps_status run_math(ps_call *call, ps_error *err)
{
    (void)err;
    const double *a = call->a->values;
    double *out = call->values;
    ps_call_strict(call);
    switch ((ps_math)call->i) {
    case PS_SQRT: call->kernels->sqrt_f64(a, out, call->n); break;
    case PS_EXP:
        for (int64_t i = 0; i < call->n; i++) {
            out[i] = exp(a[i]);
        }
        break;
    case PS_LOG:
        for (int64_t i = 0; i < call->n; i++) {
            out[i] = log(a[i]);
        }
        break;
    case PS_FLOOR:
        for (int64_t i = 0; i < call->n; i++) {
            out[i] = floor(a[i]);
        }
        break;
    case PS_CEIL:
        for (int64_t i = 0; i < call->n; i++) {
            out[i] = ceil(a[i]);
        }
        break;
    case PS_ROUND:
        for (int64_t i = 0; i < call->n; i++) {
            out[i] = round_digits(a[i], call->j);
        }
        break;
    }
    return PS_OK;
}

/* Nulls give way to values: valid where a or b is. */
static void either_valid(ps_call *call)
{
    call->out.values = call->values;
    if (call->a->valid == NULL || call->b->valid == NULL) {
        call->out.valid = NULL;
        return;
    }
    call->kernels->mask_or(call->a->valid, call->b->valid, call->valid, call->n);
    call->out.valid = call->valid;
}

#define EXTREME(name, type, kernel)                                                                \
    static ps_status name(ps_call *call, ps_error *err)                                            \
    {                                                                                              \
        (void)err;                                                                                 \
        const type *a = call->a->values, *b = call->b->values;                                     \
        type *out = call->values;                                                                  \
        (void)call->kernels->kernel[call->i](a, b, call->b_step, out, call->n);                    \
        either_valid(call);                                                                        \
        if (call->a->valid != NULL || call->b->valid != NULL) {                                    \
            for (int64_t i = 0; i < call->n; i++) {                                                \
                out[i] = !ps_row_valid(call->a, i)   ? b[i * call->b_step]                         \
                         : !ps_row_valid(call->b, i) ? a[i]                                        \
                                                     : out[i];                                     \
            }                                                                                      \
        }                                                                                          \
        return PS_OK;                                                                              \
    }
EXTREME(run_extreme_i64, int64_t, arith_i64)
EXTREME(run_extreme_u64, uint64_t, arith_u64)

static ps_status run_extreme_f64(ps_call *call, ps_error *err)
{
    (void)err;
    const double *a = call->a->values, *b = call->b->values;
    double *out = call->values;
    for (int64_t i = 0; i < call->n; i++) {
        const double x = a[i], y = b[i * call->b_step];
        const bool take_b = call->i == PS_MIN ? y < x : y > x;
        out[i] = !ps_row_valid(call->a, i)   ? y
                 : !ps_row_valid(call->b, i) ? x
                                             : (take_b || isnan(x) ? y : x);
    }
    either_valid(call);
    return PS_OK;
}

static ps_status run_extreme_str(ps_call *call, ps_error *err)
{
    (void)err;
    const ps_string *a = call->a->values, *b = call->b->values;
    ps_string *out = call->values;
    for (int64_t i = 0; i < call->n; i++) {
        const ps_string x = a[i], y = b[i * call->b_step];
        const size_t common = (size_t)ps_min_i64(x.size_bytes, y.size_bytes);
        const int order = common == 0 ? 0 : memcmp(x.data, y.data, common);
        const bool a_less = order < 0 || (order == 0 && x.size_bytes < y.size_bytes);
        const bool take_a = a_less == (call->i == PS_MIN);
        out[i] = !ps_row_valid(call->a, i) ? y : !ps_row_valid(call->b, i) || take_a ? x : y;
    }
    either_valid(call);
    return PS_OK;
}

#define STRICT (PS_OP_STRICT | PS_OP_PURE)
const ps_op ps_op_arith_i64 = {run_arith_i64, STRICT, PS_CLASS_I64};
const ps_op ps_op_arith_u64 = {run_arith_u64, STRICT, PS_CLASS_U64};
const ps_op ps_op_arith_f64 = {run_arith_f64, STRICT, PS_CLASS_F64};
const ps_op ps_op_negate_i64 = {run_negate_i64, STRICT, PS_CLASS_I64};
const ps_op ps_op_abs_i64 = {run_abs_i64, STRICT, PS_CLASS_I64};
const ps_op ps_op_negate_f64 = {run_negate_f64, STRICT, PS_CLASS_F64};
const ps_op ps_op_abs_f64 = {run_abs_f64, STRICT, PS_CLASS_F64};
const ps_op ps_op_floor_i64 = {run_floor_i64, PS_OP_PURE, PS_CLASS_I64};
const ps_op ps_op_floor_u64 = {run_floor_u64, PS_OP_PURE, PS_CLASS_U64};
const ps_op ps_op_floor_f64 = {run_floor_f64, STRICT, PS_CLASS_F64};
const ps_op ps_op_divide_const = {run_divide_const, STRICT, PS_CLASS_I64};
const ps_op ps_op_math = {run_math, STRICT, PS_CLASS_F64};
const ps_op ps_op_extreme_i64 = {run_extreme_i64, PS_OP_PURE, PS_CLASS_I64};
const ps_op ps_op_extreme_u64 = {run_extreme_u64, PS_OP_PURE, PS_CLASS_U64};
const ps_op ps_op_extreme_f64 = {run_extreme_f64, PS_OP_PURE, PS_CLASS_F64};
const ps_op ps_op_extreme_str = {run_extreme_str, PS_OP_PURE, PS_CLASS_STR};
