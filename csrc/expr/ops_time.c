/* ops_time.c -- calendar fields and calendar floors of day numbers. */
#include "expr/calendar.h"
#include "expr/ops.h"

/* Day 0 was a Thursday; weeks start on Monday. */
static int64_t weekday(int64_t days)
{
    const int64_t since_monday = days + 3;
    return since_monday - 7 * ps_floor_div(since_monday, 7) + 1;
}

static int64_t civil_field(ps_civil_field field, int64_t days)
{
    if (field == PS_WEEKDAY) {
        return weekday(days);
    }
    if (field == PS_FLOOR_WEEK) {
        return days - (weekday(days) - 1);
    }
    const ps_civil civil = ps_civil_from_days(days);
    switch (field) {
    case PS_YEAR: return civil.year;
    case PS_MONTH: return civil.month;
    case PS_DAY: return civil.day;
    case PS_ORDINAL_DAY: return days - ps_days_from_civil(civil.year, 1, 1) + 1;
    case PS_FLOOR_MONTH: return days - civil.day + 1;
    case PS_FLOOR_QUARTER: return ps_days_from_civil(civil.year, (civil.month - 1) / 3 * 3 + 1, 1);
    default: return ps_days_from_civil(civil.year, 1, 1);
    }
}

/* Day numbers of valid rows come from int64 timestamps divided by at least one second's worth of
 * units, or from 32-bit dates; the value of a null row may be anything, so it is brought near. */
static ps_status run_civil(ps_call *call, ps_error *err)
{
    (void)err;
    const int64_t *a = call->a->values;
    int64_t *out = call->values;
    ps_call_strict(call);
    for (int64_t i = 0; i < call->n; i++) {
        const int64_t days = ps_row_valid(&call->out, i) ? a[i] : 0;
        out[i] = civil_field((ps_civil_field)call->i, days);
    }
    return PS_OK;
}

const ps_op ps_op_civil = {run_civil, PS_OP_STRICT | PS_OP_PURE, PS_CLASS_I64};
