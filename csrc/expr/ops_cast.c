/* ops_cast.c -- strict conversions on chunks: a value that does not fit is an error naming it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "expr/ops.h"
#include "expr/text.h"

#define DESCRIBE 64

ps_status ps_call_misfit(const ps_call *call, ps_status status, const char *value, ps_error *err)
{
    char from[DESCRIBE], to[DESCRIBE];
    ps_type_describe(call->a_type, from, sizeof from);
    ps_type_describe(call->type, to, sizeof to);
    return ps_fail(err, status, "%s: the %s value %s does not fit %s", call->name, from, value, to);
}

static ps_status misfit_i64(const ps_call *call, int64_t value, ps_error *err)
{
    char text[PS_TEXT_MAX];
    ps_text_from_i64(value, text);
    return ps_call_misfit(call, PS_OVERFLOW, text, err);
}

static ps_status misfit_str(const ps_call *call, ps_string value, ps_error *err)
{
    char text[72];
    snprintf(text, sizeof text, "'%.*s'", (int)ps_min_i64(value.size_bytes, 60), value.data);
    return ps_call_misfit(call, PS_INVALID, text, err);
}

/* Cheap when every row fits: one pass of a kernel. */
static ps_status run_range_i64(ps_call *call, ps_error *err)
{
    const int64_t *a = call->a->values;
    call->out.values = a;
    call->out.valid = call->a->valid;
    if (PS_LIKELY(!call->kernels->outside_i64(a, call->i, call->j, call->n))) {
        return PS_OK;
    }
    for (int64_t i = 0; i < call->n; i++) {
        if (ps_row_valid(call->a, i) && (a[i] < call->i || a[i] > call->j)) {
            return misfit_i64(call, a[i], err);
        }
    }
    return PS_OK;
}

static ps_status run_range_u64(ps_call *call, ps_error *err)
{
    const uint64_t *a = call->a->values;
    call->out.values = a;
    call->out.valid = call->a->valid;
    for (int64_t i = 0; i < call->n; i++) {
        if (a[i] > (uint64_t)call->j && ps_row_valid(call->a, i)) {
            char text[PS_TEXT_MAX];
            ps_text_from_u64(a[i], text);
            return ps_call_misfit(call, PS_OVERFLOW, text, err);
        }
    }
    return PS_OK;
}

static ps_status run_f64_from_i64(ps_call *call, ps_error *err)
{
    (void)err;
    ps_call_strict(call);
    call->kernels->f64_from_i64(call->a->values, call->values, call->n);
    return PS_OK;
}

static ps_status run_f64_from_u64(ps_call *call, ps_error *err)
{
    (void)err;
    ps_call_strict(call);
    call->kernels->f64_from_u64(call->a->values, call->values, call->n);
    return PS_OK;
}

static ps_status misfit_f64(const ps_call *call, double value, ps_error *err)
{
    char text[PS_TEXT_MAX];
    ps_text_from_f64(value, text);
    return ps_call_misfit(call, PS_OVERFLOW, text, err);
}

static ps_status run_i64_from_f64(ps_call *call, ps_error *err)
{
    const double *a = call->a->values;
    int64_t *out = call->values;
    ps_call_strict(call);
    for (int64_t i = 0; i < call->n; i++) {
        const bool fits = a[i] >= -0x1p63 && a[i] < 0x1p63;
        const int64_t value = fits ? (int64_t)a[i] : 0;
        if (PS_UNLIKELY(!fits || value < call->i || value > call->j) &&
            ps_row_valid(&call->out, i)) {
            return misfit_f64(call, a[i], err);
        }
        out[i] = value;
    }
    return PS_OK;
}

static ps_status run_u64_from_f64(ps_call *call, ps_error *err)
{
    const double *a = call->a->values;
    uint64_t *out = call->values;
    ps_call_strict(call);
    for (int64_t i = 0; i < call->n; i++) {
        const bool fits = a[i] > -1.0 && a[i] < 0x1p64;
        const uint64_t value = fits ? (uint64_t)a[i] : 0;
        if (PS_UNLIKELY(!fits || value > (uint64_t)call->j) && ps_row_valid(&call->out, i)) {
            return misfit_f64(call, a[i], err);
        }
        out[i] = value;
    }
    return PS_OK;
}

static ps_status run_i64_from_bool(ps_call *call, ps_error *err)
{
    (void)err;
    const uint8_t *a = call->a->values;
    int64_t *out = call->values;
    ps_call_strict(call);
    for (int64_t i = 0; i < call->n; i++) {
        out[i] = a[i];
    }
    return PS_OK;
}

static ps_status run_f32_round(ps_call *call, ps_error *err)
{
    const double *a = call->a->values;
    double *out = call->values;
    ps_call_strict(call);
    for (int64_t i = 0; i < call->n; i++) {
        /* the largest double that rounds to a finite float lies just below this */
        const bool fits = !(fabs(a[i]) >= 0x1.ffffffp127) || isinf(a[i]);
        if (PS_UNLIKELY(!fits) && ps_row_valid(&call->out, i)) {
            return misfit_f64(call, a[i], err);
        }
        out[i] = fits ? (double)(float)a[i] : 0;
    }
    return PS_OK;
}

static ps_status run_scale(ps_call *call, ps_error *err)
{
    const int64_t *a = call->a->values;
    ps_call_strict(call);
    if (PS_LIKELY(!call->kernels->arith_i64[PS_MUL](a, &call->i, 0, call->values, call->n))) {
        return PS_OK;
    }
    for (int64_t i = 0; i < call->n; i++) {
        int64_t product;
        if (ps_row_valid(&call->out, i) && __builtin_mul_overflow(a[i], call->i, &product)) {
            return misfit_i64(call, a[i], err);
        }
    }
    return PS_OK;
}

/* ---- text ---- */

#define FROM_STR(name, type, zero, parse)                                                          \
    static ps_status name(ps_call *call, ps_error *err)                                            \
    {                                                                                              \
        const ps_string *a = call->a->values;                                                      \
        type *out = call->values;                                                                  \
        ps_call_strict(call);                                                                      \
        for (int64_t i = 0; i < call->n; i++) {                                                    \
            type value = zero;                                                                     \
            if (ps_row_valid(&call->out, i) && !(parse)) {                                         \
                return misfit_str(call, a[i], err);                                                \
            }                                                                                      \
            out[i] = value;                                                                        \
        }                                                                                          \
        return PS_OK;                                                                              \
    }
FROM_STR(run_bool_from_str, bool, false, ps_text_to_bool(a[i], &value))
FROM_STR(run_i64_from_str, int64_t, 0,
         ps_text_to_i64(a[i], &value) && value >= call->i && value <= call->j)
FROM_STR(run_u64_from_str, uint64_t, 0, ps_text_to_u64(a[i], &value) && value <= (uint64_t)call->j)
FROM_STR(run_f64_from_str, double, 0, ps_text_to_f64(a[i], &value))

/* Floor to a unit of so many nanoseconds; false when it does not fit int64. */
static bool units_from_text(ps_string s, int64_t unit_ns, int64_t *out)
{
    int64_t seconds;
    int32_t nanoseconds;
    if (!ps_text_to_time(s, &seconds, &nanoseconds)) {
        return false;
    }
    if (unit_ns >= 1000000000) {
        const int64_t unit_s = unit_ns / 1000000000;
        const int64_t q = seconds / unit_s;
        *out = q - (seconds % unit_s < 0);
        return true;
    }
    return !__builtin_mul_overflow(seconds, 1000000000 / unit_ns, out) &&
           !__builtin_add_overflow(*out, nanoseconds / unit_ns, out);
}
FROM_STR(run_time_from_str, int64_t, 0, units_from_text(a[i], call->i, &value))

/* The texts of a chunk lie side by side in one piece of the arena. */
#define TO_STR(function, type, write)                                                              \
    static ps_status function(ps_call *call, ps_error *err)                                        \
    {                                                                                              \
        const type *a = call->a->values;                                                           \
        ps_string *out = call->values;                                                             \
        ps_call_strict(call);                                                                      \
        const size_t most = (size_t)call->n * PS_TEXT_MAX;                                         \
        char *text = ps_arena_alloc(call->arena, most);                                            \
        if (text == NULL) {                                                                        \
            return ps_mem_refused(call->arena->mem, most, call->name, err);                        \
        }                                                                                          \
        for (int64_t i = 0; i < call->n; i++) {                                                    \
            const type value = a[i];                                                               \
            const int64_t size = ps_row_valid(&call->out, i) ? write : 0;                          \
            out[i] = (ps_string){.data = text, .size_bytes = size};                                \
            text += size;                                                                          \
        }                                                                                          \
        return PS_OK;                                                                              \
    }

static int64_t text_from_bool(uint8_t value, char *text)
{
    return snprintf(text, PS_TEXT_MAX, value ? "true" : "false");
}

static int64_t text_from_units(const ps_call *call, int64_t value, char *text)
{
    const ps_type_id id = (ps_type_id)call->a_type->id;
    const int64_t unit_ns = call->i;
    int64_t seconds, nanoseconds = 0;
    if (unit_ns >= 1000000000) {
        if (__builtin_mul_overflow(value, unit_ns / 1000000000, &seconds)) {
            seconds = value < 0 ? INT64_MIN / 2 : INT64_MAX / 2;
        }
    } else {
        const int64_t per_second = 1000000000 / unit_ns;
        const int64_t rest = value % per_second;
        seconds = value / per_second - (rest < 0);
        nanoseconds = (rest < 0 ? rest + per_second : rest) * unit_ns;
    }
    const bool date = id == PS_TYPE_DATE32 || id == PS_TYPE_DATE64;
    const int fraction = date                    ? -1
                         : unit_ns >= 1000000000 ? 0
                         : unit_ns == 1000000    ? 3
                         : unit_ns == 1000       ? 6
                                                 : 9;
    return ps_text_from_time(seconds, nanoseconds, fraction, text);
}
TO_STR(run_str_from_bool, uint8_t, text_from_bool(value, text))
TO_STR(run_str_from_i64, int64_t, ps_text_from_i64(value, text))
TO_STR(run_str_from_u64, uint64_t, ps_text_from_u64(value, text))
TO_STR(run_str_from_f64, double, ps_text_from_f64(value, text))
TO_STR(run_str_from_time, int64_t, text_from_units(call, value, text))

/* One character: its length in bytes, 0 when it is not valid UTF-8. */
static int64_t character(const unsigned char *p, int64_t left)
{
    if (p[0] < 0x80) {
        return 1;
    }
    const int64_t size = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || size > left) {
        return 0;
    }
    uint32_t code = p[0] & (0xffu >> (size + 1));
    for (int64_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = (code << 6) | (p[i] & 0x3fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    return code < least[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : size;
}

static ps_status run_utf8_check(ps_call *call, ps_error *err)
{
    const ps_string *a = call->a->values;
    call->out.values = a;
    call->out.valid = call->a->valid;
    for (int64_t i = 0; i < call->n; i++) {
        if (!ps_row_valid(call->a, i)) {
            continue;
        }
        for (int64_t at = 0; at < a[i].size_bytes;) {
            const int64_t size =
                character((const unsigned char *)a[i].data + at, a[i].size_bytes - at);
            if (size == 0) {
                return ps_fail(err, PS_INVALID, "%s: a binary value is not UTF-8 at its byte %lld",
                               call->name, (long long)at);
            }
            at += size;
        }
    }
    return PS_OK;
}

#define STRICT (PS_OP_STRICT | PS_OP_PURE)
const ps_op ps_op_range_i64 = {run_range_i64, STRICT | PS_OP_ALIAS, PS_CLASS_NONE};
const ps_op ps_op_range_u64 = {run_range_u64, STRICT | PS_OP_ALIAS, PS_CLASS_NONE};
const ps_op ps_op_f64_from_i64 = {run_f64_from_i64, STRICT, PS_CLASS_F64};
const ps_op ps_op_f64_from_u64 = {run_f64_from_u64, STRICT, PS_CLASS_F64};
const ps_op ps_op_i64_from_f64 = {run_i64_from_f64, STRICT, PS_CLASS_I64};
const ps_op ps_op_u64_from_f64 = {run_u64_from_f64, STRICT, PS_CLASS_U64};
const ps_op ps_op_i64_from_bool = {run_i64_from_bool, STRICT, PS_CLASS_I64};
const ps_op ps_op_f32_round = {run_f32_round, STRICT, PS_CLASS_F64};
const ps_op ps_op_scale = {run_scale, STRICT, PS_CLASS_I64};
const ps_op ps_op_bool_from_str = {run_bool_from_str, STRICT, PS_CLASS_BOOL};
const ps_op ps_op_i64_from_str = {run_i64_from_str, STRICT, PS_CLASS_I64};
const ps_op ps_op_u64_from_str = {run_u64_from_str, STRICT, PS_CLASS_U64};
const ps_op ps_op_f64_from_str = {run_f64_from_str, STRICT, PS_CLASS_F64};
const ps_op ps_op_time_from_str = {run_time_from_str, STRICT, PS_CLASS_I64};
const ps_op ps_op_str_from_bool = {run_str_from_bool, STRICT, PS_CLASS_STR};
const ps_op ps_op_str_from_i64 = {run_str_from_i64, STRICT, PS_CLASS_STR};
const ps_op ps_op_str_from_u64 = {run_str_from_u64, STRICT, PS_CLASS_STR};
const ps_op ps_op_str_from_f64 = {run_str_from_f64, STRICT, PS_CLASS_STR};
const ps_op ps_op_str_from_time = {run_str_from_time, STRICT, PS_CLASS_STR};
const ps_op ps_op_utf8_check = {run_utf8_check, STRICT | PS_OP_ALIAS, PS_CLASS_STR};
