/* ops_time.c -- calendar fields and calendar floors of day numbers. */
#include "expr/calendar.h"
#include "expr/ops.h"

/* Day 0 was a Thursday; weeks start on Monday. */
static int64_t weekday(int64_t days)
{
    const int64_t since_monday = days + 3;
    return since_monday - 7 * ps_floor_div(since_monday, 7) + 1;
}

PS_INLINE int64_t civil_field(ps_civil_field field, ps_civil civil, int64_t days)
{
    switch (field) {
    case PS_YEAR: return civil.year;
    case PS_MONTH: return civil.month;
    case PS_DAY: return civil.day;
    case PS_ORDINAL_DAY: return days - ps_days_from_civil(civil.year, 1, 1) + 1;
    case PS_WEEKDAY: return weekday(days);
    case PS_FLOOR_WEEK: return days - (weekday(days) - 1);
    case PS_FLOOR_MONTH: return days - civil.day + 1;
    case PS_FLOOR_QUARTER: return ps_days_from_civil(civil.year, (civil.month - 1) / 3 * 3 + 1, 1);
    case PS_FLOOR_YEAR: return ps_days_from_civil(civil.year, 1, 1);
    }
    return 0;
}

/* One loop a field, so that the choice is made outside of it. */
#define NEAR_LOOP(field)                                                                           \
    case field:                                                                                    \
        for (int64_t i = 0; i < n; i++) {                                                          \
            out[i] = civil_field(field, ps_civil_near(days[i]), days[i]);                          \
        }                                                                                          \
        break;

static void near_days(ps_civil_field wanted, const int64_t *days, int64_t *out, int64_t n)
{
    switch (wanted) {
        NEAR_LOOP(PS_YEAR)
        NEAR_LOOP(PS_MONTH)
        NEAR_LOOP(PS_DAY)
        NEAR_LOOP(PS_ORDINAL_DAY)
        NEAR_LOOP(PS_WEEKDAY)
        NEAR_LOOP(PS_FLOOR_WEEK)
        NEAR_LOOP(PS_FLOOR_MONTH)
        NEAR_LOOP(PS_FLOOR_QUARTER)
        NEAR_LOOP(PS_FLOOR_YEAR)
    }
}

/* Day numbers of valid rows come from int64 timestamps divided by at least one second's worth of
 * units, or from 32-bit dates; the value of a null row may be anything, so it is brought near. */
static ps_status run_civil(ps_call *call, ps_error *err)
{
    (void)err;
    const int64_t *a = call->a->values;
    int64_t *out = call->values;
    const ps_civil_field field = (ps_civil_field)call->i;
    ps_call_strict(call);
    if (!call->kernels->outside_i64(a, 1 - PS_NEAR_DAYS, PS_NEAR_DAYS - 1, call->n)) {
        near_days(field, a, out, call->n);
        return PS_OK;
    }
    for (int64_t i = 0; i < call->n; i++) {
        const int64_t days = ps_row_valid(&call->out, i) ? a[i] : 0;
        out[i] = civil_field(field, ps_civil_from_days(days), days);
    }
    return PS_OK;
}

const ps_op ps_op_civil = {run_civil, PS_OP_STRICT | PS_OP_PURE, PS_CLASS_I64};
