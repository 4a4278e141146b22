/* bind_time.c -- parts of a point of time, and points of time cut down to an interval. */
#include <string.h>

#include "expr/bind.h"

#define NS_PER_DAY 86400000000000

/* Days since the epoch of a date or timestamp. */
static int32_t days_of(ps_compiler *c, int32_t value)
{
    const ps_type type = c->values[value].type;
    return ps_emit_divide(c, ps_plain(PS_TYPE_INT64), value, NS_PER_DAY / ps_unit_ns(type), 0);
}

static int32_t as_date32(ps_compiler *c, int32_t days)
{
    return ps_emit(c, &ps_op_range_i64, ps_plain(PS_TYPE_DATE32), &days, 1,
                   (ps_parameters){.i = INT32_MIN, .j = INT32_MAX});
}

static int32_t truncate_calendar(const ps_binding *b, const char *unit)
{
    static const struct {
        const char *name;
        ps_civil_field field;
    } units[] = {{"week", PS_FLOOR_WEEK},
                 {"month", PS_FLOOR_MONTH},
                 {"quarter", PS_FLOOR_QUARTER},
                 {"year", PS_FLOOR_YEAR}};
    const size_t count = sizeof units / sizeof units[0];
    ps_compiler *c = b->c;
    size_t k = 0;
    while (k < count && strcmp(units[k].name, unit) != 0) {
        k++;
    }
    if (k == count) {
        return ps_compiler_fail(c, PS_INVALID,
                                "truncate: unknown unit '%s'; use week, month, quarter, year or an "
                                "interval",
                                unit);
    }
    const ps_type type = ps_argument_type(b, 0);
    const int32_t first = ps_emit1(c, &ps_op_civil, ps_plain(PS_TYPE_INT64),
                                   days_of(c, b->arguments[0]), units[k].field);
    return type.id == PS_TYPE_DATE32 /* the first of all lies inside its year */
               ? as_date32(c, first)
               : ps_emit1(c, &ps_op_scale, type, first, NS_PER_DAY / ps_unit_ns(type));
}

static int32_t truncate_interval(const ps_binding *b, int64_t interval)
{
    ps_compiler *c = b->c;
    const ps_type type = ps_argument_type(b, 0);
    const int64_t unit = ps_unit_ns(type);
    if (interval <= 0) {
        return ps_compiler_fail(c, PS_INVALID, "truncate: the interval is %lld ns, not positive",
                                (long long)interval);
    }
    if (interval % unit != 0) {
        char described[PS_DESCRIBE];
        ps_type_describe(&type, described, sizeof described);
        return ps_compiler_fail(c, PS_INVALID,
                                "truncate: %lld ns is no whole number of the units of %s",
                                (long long)interval, described);
    }
    const int32_t whole = ps_emit_divide(c, type, b->arguments[0], interval / unit, 2);
    return type.id == PS_TYPE_DATE32 ? as_date32(c, whole) : whole;
}

static int32_t bind_truncate(const ps_binding *b)
{
    const ps_type type = ps_argument_type(b, 0);
    const char *unit = b->node->text;
    if (!ps_type_is_moment(type) && !(type.id == PS_TYPE_DURATION && unit == NULL)) {
        return ps_wrong_types(b, "a date or timestamp");
    }
    return unit != NULL && unit[0] != '\0' ? truncate_calendar(b, unit)
                                           : truncate_interval(b, b->node->integer);
}

/* Calendar fields: variant = ps_civil_field */
static int32_t bind_calendar(const ps_binding *b)
{
    if (!ps_type_is_moment(ps_argument_type(b, 0))) {
        return ps_wrong_types(b, "a date or timestamp");
    }
    return ps_emit1(b->c, &ps_op_civil, ps_plain(PS_TYPE_INT64), days_of(b->c, b->arguments[0]),
                    b->variant);
}

static int32_t bind_date(const ps_binding *b)
{
    if (!ps_type_is_moment(ps_argument_type(b, 0))) {
        return ps_wrong_types(b, "a date or timestamp");
    }
    return ps_convert(b->c, b->arguments[0], ps_plain(PS_TYPE_DATE32));
}

enum { HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND, NANOSECOND };

/* (x mod whole) / part, both in nanoseconds; a part finer than x's unit is scaled up. */
static int32_t bind_clock(const ps_binding *b)
{
    static const struct {
        int64_t whole, part;
    } fields[] = {
        [HOUR] = {NS_PER_DAY, 3600000000000}, [MINUTE] = {3600000000000, 60000000000},
        [SECOND] = {60000000000, 1000000000}, [MILLISECOND] = {1000000000, 1000000},
        [MICROSECOND] = {1000000000, 1000},   [NANOSECOND] = {1000000000, 1},
    };
    ps_compiler *c = b->c;
    const ps_type type = ps_argument_type(b, 0), int64 = ps_plain(PS_TYPE_INT64);
    if (!ps_type_is_moment(type) && !ps_type_is_clock(type)) {
        return ps_wrong_types(b, "a date, time or timestamp");
    }
    const int64_t unit = ps_unit_ns(type), whole = fields[b->variant].whole;
    const int64_t part = fields[b->variant].part;
    if (unit >= whole) { /* nothing that fine in it: zero where it is not null */
        return ps_emit_divide(c, int64, b->arguments[0], 1, 1);
    }
    const int32_t rest = ps_emit_divide(c, int64, b->arguments[0], whole / unit, 1);
    return unit <= part ? ps_emit_divide(c, int64, rest, part / unit, 0)
                        : ps_emit1(c, &ps_op_scale, int64, rest, unit / part);
}

/* variant = nanoseconds of the unit counted */
static int32_t bind_epoch(const ps_binding *b)
{
    const ps_type type = ps_argument_type(b, 0), int64 = ps_plain(PS_TYPE_INT64);
    if (!ps_type_is_moment(type)) {
        return ps_wrong_types(b, "a date or timestamp");
    }
    const int64_t unit = ps_unit_ns(type);
    return unit >= b->variant
               ? ps_emit1(b->c, &ps_op_scale, int64, b->arguments[0], unit / b->variant)
               : ps_emit_divide(b->c, int64, b->arguments[0], b->variant / unit, 0);
}

const ps_function ps_time_functions[] = {
    {"truncate", bind_truncate, 0, 1, 1},
    {"year", bind_calendar, PS_YEAR, 1, 1},
    {"month", bind_calendar, PS_MONTH, 1, 1},
    {"day", bind_calendar, PS_DAY, 1, 1},
    {"ordinal_day", bind_calendar, PS_ORDINAL_DAY, 1, 1},
    {"weekday", bind_calendar, PS_WEEKDAY, 1, 1},
    {"hour", bind_clock, HOUR, 1, 1},
    {"minute", bind_clock, MINUTE, 1, 1},
    {"second", bind_clock, SECOND, 1, 1},
    {"millisecond", bind_clock, MILLISECOND, 1, 1},
    {"microsecond", bind_clock, MICROSECOND, 1, 1},
    {"nanosecond", bind_clock, NANOSECOND, 1, 1},
    {"date", bind_date, 0, 1, 1},
    {"epoch_s", bind_epoch, 1000000000, 1, 1},
    {"epoch_ms", bind_epoch, 1000000, 1, 1},
    {"epoch_us", bind_epoch, 1000, 1, 1},
    {"epoch_ns", bind_epoch, 1, 1, 1},
    {0},
};
