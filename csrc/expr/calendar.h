/* calendar.h -- days since 1970-01-01 to and from year, month and day (proleptic Gregorian).
 *
 * Years are counted from March so that the leap day is the last of its year; 400 years have 146,097
 * days exactly. Any int64 day number that a timestamp can have is in range.
 */
#ifndef PS_EXPR_CALENDAR_H
#define PS_EXPR_CALENDAR_H

#include "base/base.h"

typedef struct ps_civil {
    int64_t year;
    int32_t month; /* 1..12 */
    int32_t day;   /* 1..31 */
} ps_civil;

static inline int64_t ps_floor_div(int64_t a, int64_t b) /* b > 0 */
{
    const int64_t q = a / b;
    return q - (a % b < 0);
}

static inline ps_civil ps_civil_from_days(int64_t days)
{
    const int64_t shifted = days + 719468; /* days since 0000-03-01 */
    const int64_t era = ps_floor_div(shifted, 146097);
    const uint32_t day_of_era = (uint32_t)(shifted - era * 146097);
    const uint32_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const uint32_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const uint32_t march_month = (5 * day_of_year + 2) / 153; /* 0 = March */
    const uint32_t month = march_month < 10 ? march_month + 3 : march_month - 9;
    return (ps_civil){.year = (int64_t)year_of_era + era * 400 + (month <= 2),
                      .month = (int32_t)month,
                      .day = (int32_t)(day_of_year - (153 * march_month + 2) / 5 + 1)};
}

#define PS_NEAR_DAYS                                                                               \
    500000000 /* days on either side of 1970 that ps_civil_near takes: 1.3 M years */

/* The same for days in (-PS_NEAR_DAYS, PS_NEAR_DAYS), without branches or divisions. After Neri and
 * Schneider, "Euclidean affine functions and their application to calendar algorithms", 2022. */
static inline ps_civil ps_civil_near(int64_t days)
{
    enum { ERAS = 3600 }; /* of 400 years, added so that all is positive */
    const uint32_t n = (uint32_t)(days + 719468 + (int64_t)ERAS * 146097);
    const uint32_t n1 = 4 * n + 3;
    const uint32_t century = n1 / 146097;
    const uint32_t n2 = 4 * (n1 % 146097 / 4) + 3;
    const uint64_t p2 = (uint64_t)2939745 * n2;
    const uint32_t year_of_century = (uint32_t)(p2 >> 32);
    const uint32_t day_of_year = (uint32_t)p2 / 2939745 / 4; /* since March 1 */
    const uint32_t n3 = 2141 * day_of_year + 197913;
    const uint32_t january = day_of_year >= 306; /* or February: of the next year */
    return (ps_civil){.year = (int64_t)(100 * century + year_of_century + january) -
                              (int64_t)400 * ERAS,
                      .month = (int32_t)((n3 >> 16) - 12 * january),
                      .day = (int32_t)((n3 & 0xffff) / 2141 + 1)};
}

static inline int64_t ps_days_from_civil(int64_t year, int32_t month, int32_t day)
{
    const int64_t march_year = year - (month <= 2);
    const int64_t era = ps_floor_div(march_year, 400);
    const int64_t year_of_era = march_year - era * 400;
    const int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static inline bool ps_is_leap_year(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

#endif
