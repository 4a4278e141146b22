/* test_decimal.c -- decimals against strtod and strtof, which round right, and against text. */
#include "expr/decimal.h"

#include <math.h>
#include <string.h>

#include "check.h"
#include "random.h"

/* The value as a text with an exponent, made another way than the code does: two halves. */
static void write_exactly(ps_decimal value, int32_t scale, char *text, size_t size)
{
    const unsigned __int128 whole =
        value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    const uint64_t half = UINT64_C(10000000000000000000);
    const uint64_t top = (uint64_t)(whole / half / half), high = (uint64_t)(whole / half % half);
    snprintf(text, size, "%s%" PRIu64 "%019" PRIu64 "%019" PRIu64 "e%d", value < 0 ? "-" : "", top,
             high, (uint64_t)(whole % half), -scale);
}

static void check_floats(ps_decimal value, int32_t scale)
{
    char text[80];
    write_exactly(value, scale, text, sizeof text);
    const double wide = strtod(text, NULL), got_wide = ps_decimal_to_f64(value, scale);
    const float narrow = strtof(text, NULL), got_narrow = ps_decimal_to_f32(value, scale);
    if (wide != got_wide || narrow != got_narrow) {
        CHECK_FAIL("%s is %.17g and %.9g, not %.17g and %.9g", text, got_wide, (double)got_narrow,
                   wide, (double)narrow);
    }
    CHECK(value != 0 || (!signbit(got_wide) && !signbit(got_narrow)));
}

/* Up to so many bits, often few, often all the same. */
static ps_decimal draw(rng *random)
{
    const int64_t bits = rng_between(random, 0, 127);
    unsigned __int128 value = (unsigned __int128)rng_next(random) << 64 | rng_next(random);
    value = bits == 0 ? 0 : value >> (128 - bits);
    if (rng_once_in(random, 4)) { /* runs of ones or zeros: near ties and powers of two */
        const unsigned __int128 mask = ((unsigned __int128)1 << rng_below(random, 120)) - 1;
        value = rng_once_in(random, 2) ? value | mask : value & ~mask;
        value &= ~(unsigned __int128)0 >> 1;
    }
    return rng_once_in(random, 2) ? -(ps_decimal)value : (ps_decimal)value;
}

static void numbers_are_the_nearest(void)
{
    rng random = {3};
    for (int64_t i = 0; i < 200000; i++) {
        check_floats(draw(&random), (int32_t)rng_between(&random, 0, PS_DECIMAL_DIGITS));
    }
    for (int64_t i = 0; i < 5000; i++) {
        check_floats(draw(&random), (int32_t)rng_between(&random, -400, 400));
    }
}

/* Halfway between two doubles or floats, and one step of the last digit beside it. */
static void ties_go_to_even(void)
{
    rng random = {4};
    for (int64_t i = 0; i < 50000; i++) {
        const bool narrow = rng_once_in(&random, 2);
        const int64_t bits = narrow ? 24 : 53;
        const uint64_t digits = rng_next(&random) >> (64 - bits) | UINT64_C(1) << (bits - 1);
        /* (2 * digits + 1) / 2^down: that many decimal places write it exactly. */
        const int64_t down = rng_below(&random, narrow ? 30 : 20);
        unsigned __int128 tie = 2 * (unsigned __int128)digits + 1;
        for (int64_t k = 0; k < down; k++) {
            tie *= 5;
        }
        for (int step = -1; step <= 1; step++) {
            check_floats((ps_decimal)tie + step, (int32_t)down);
        }
    }
}

static void edges(void)
{
    const ps_decimal most = (ps_decimal)(~(unsigned __int128)0 >> 1), least = -most - 1;
    for (int32_t scale = 0; scale <= PS_DECIMAL_DIGITS; scale++) {
        for (int64_t step = -3; step <= 3; step++) {
            check_floats((ps_decimal)step, scale);
            check_floats((ps_decimal)(INT64_C(1) << 53) + step, scale);
            check_floats(-((ps_decimal)1 << 64) + step, scale);
            check_floats(most - 3 + step, scale);
            check_floats(least + 3 + step, scale);
        }
    }
    CHECK(isinf(ps_decimal_to_f64(1, -400)) && isinf(ps_decimal_to_f32(-1, -39)));
    CHECK_EQ(ps_decimal_to_f64(0, -400) == 0, true);
    const char bytes[16] = {1};
    CHECK(ps_decimal_load((ps_string){.data = bytes, .size_bytes = 16}) == 1);
    CHECK(ps_decimal_load((ps_string){0}) == 0);
}

/* ---- integers ---- */

static void check_integers(ps_decimal value, int32_t scale)
{
    ps_decimal whole = value;
    bool fits = true;
    for (int32_t k = 0; k < scale && whole != 0; k++) {
        whole /= 10;
    }
    for (int32_t k = scale; k < 0 && whole != 0 && fits; k++) {
        fits = whole <= UINT64_MAX && whole >= -(ps_decimal)UINT64_MAX;
        whole *= fits ? 10 : 1;
    }
    int64_t number = 0;
    uint64_t size = 0;
    const bool is_i64 = fits && whole >= INT64_MIN && whole <= INT64_MAX;
    const bool is_u64 = fits && whole >= 0 && whole <= UINT64_MAX;
    CHECK_EQ(ps_decimal_to_i64(value, scale, &number), is_i64);
    CHECK_EQ(ps_decimal_to_u64(value, scale, &size), is_u64);
    CHECK(!is_i64 || number == whole);
    CHECK(!is_u64 || size == whole);
}

static void integers_lose_the_fraction(void)
{
    rng random = {5};
    for (int64_t i = 0; i < 100000; i++) {
        check_integers(draw(&random), (int32_t)rng_between(&random, -25, 45));
    }
    for (int64_t step = -2; step <= 2; step++) {
        check_integers((ps_decimal)INT64_MAX * 1000 + 998 + step, 3);
        check_integers((ps_decimal)INT64_MIN * 1000 - 998 + step, 3);
        check_integers((ps_decimal)UINT64_MAX * 1000 + 998 + step, 3);
        check_integers(step, 1);
        check_integers(step * 9, 1);
    }
}

static void integers_become_decimals(void)
{
    rng random = {6};
    for (int64_t i = 0; i < 100000; i++) {
        const int32_t precision = (int32_t)rng_between(&random, 1, PS_DECIMAL_DIGITS);
        const int32_t scale = (int32_t)rng_between(&random, 0, precision);
        const uint64_t size = rng_next(&random) >> rng_below(&random, 64);
        ps_decimal limit = 1, factor = 1, found;
        for (int32_t k = scale; k < precision; k++) {
            limit *= 10;
        }
        for (int32_t k = 0; k < scale; k++) {
            factor *= 10;
        }
        CHECK_EQ(ps_decimal_from_u64(size, precision, scale, &found), size < limit);
        CHECK(size >= limit || found == size * factor);
        const int64_t number = (int64_t)size;
        const bool fits = number < limit && number > -limit;
        CHECK_EQ(ps_decimal_from_i64(number, precision, scale, &found), fits);
        CHECK(!fits || found == number * factor);
    }
}

/* ---- text ---- */

static void check_text(ps_decimal value, int32_t scale, const char *wanted)
{
    char text[PS_DECIMAL_TEXT];
    CHECK_EQ(ps_decimal_to_text(value, scale, text), (int64_t)strlen(wanted));
    CHECK_STR(text, wanted);
}

static void text_has_all_digits(void)
{
    const ps_decimal least = (ps_decimal)((unsigned __int128)1 << 127);
    check_text(0, 0, "0");
    check_text(0, 2, "0.00");
    check_text(5, 2, "0.05");
    check_text(-1250, 2, "-12.50");
    check_text(1250, 0, "1250");
    check_text(-1, 38, "-0.00000000000000000000000000000000000001");
    check_text(least, 0, "-170141183460469231731687303715884105728");
    check_text(least, 38, "-1.70141183460469231731687303715884105728");
    check_text(-1250, -2, "-1250e+2");
    check_text(0, 39, "0e-39");
    check_text(least, 39, "-170141183460469231731687303715884105728e-39");
    check_text(least, INT32_MIN, "-170141183460469231731687303715884105728e+2147483648");
}

int main(void)
{
    RUN(numbers_are_the_nearest);
    RUN(ties_go_to_even);
    RUN(edges);
    RUN(integers_lose_the_fraction);
    RUN(integers_become_decimals);
    RUN(text_has_all_digits);
    return 0;
}
