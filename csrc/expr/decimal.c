/* decimal.c -- see decimal.h.
 *
 * To binary: a quotient of 64 bits whose last bit also stands for all that follows ("sticky") is as
 * good as the exact one for rounding to 53 or 24 bits. 10^s = 5^s * 2^s, and only 5^s is divided
 * by: it has 63 bits up to s = 27, 89 at s = 38, where two divisions make one.
 */
#include "expr/decimal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef unsigned __int128 u128;

enum { FIVES = 28, SECOND = 38 /* bits of the second quotient */ };

static const uint64_t POWERS_OF_5[FIVES] = {
    UINT64_C(1),
    UINT64_C(5),
    UINT64_C(25),
    UINT64_C(125),
    UINT64_C(625),
    UINT64_C(3125),
    UINT64_C(15625),
    UINT64_C(78125),
    UINT64_C(390625),
    UINT64_C(1953125),
    UINT64_C(9765625),
    UINT64_C(48828125),
    UINT64_C(244140625),
    UINT64_C(1220703125),
    UINT64_C(6103515625),
    UINT64_C(30517578125),
    UINT64_C(152587890625),
    UINT64_C(762939453125),
    UINT64_C(3814697265625),
    UINT64_C(19073486328125),
    UINT64_C(95367431640625),
    UINT64_C(476837158203125),
    UINT64_C(2384185791015625),
    UINT64_C(11920928955078125),
    UINT64_C(59604644775390625),
    UINT64_C(298023223876953125),
    UINT64_C(1490116119384765625),
    UINT64_C(7450580596923828125),
};

static u128 magnitude(ps_decimal value)
{
    return value < 0 ? -(u128)value : (u128)value;
}

/* 0 <= exponent <= 38 */
static u128 power_of_5(int32_t exponent)
{
    return exponent < FIVES ? POWERS_OF_5[exponent]
                            : (u128)POWERS_OF_5[FIVES - 1] * POWERS_OF_5[exponent - (FIVES - 1)];
}

static u128 power_of_10(int32_t exponent)
{
    return power_of_5(exponent) << exponent;
}

static int leading_zeros(u128 value)
{
    const uint64_t high = (uint64_t)(value >> 64);
    return high != 0 ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)value);
}

/* dividend * 10^-scale as the result * 2^*exponent, sticky. dividend > 0, 0 <= scale <= 38. */
static uint64_t sticky_quotient(u128 dividend, int32_t scale, int *exponent)
{
    const int shift = leading_zeros(dividend);
    const u128 divisor = power_of_5(scale);
    dividend <<= shift;
    *exponent = -shift - scale;
    u128 quotient = dividend / divisor;
    u128 rest = dividend - quotient * divisor;
    if (scale >= FIVES) {
        rest <<= SECOND; /* below 2^(89 + 38) */
        const u128 second = rest / divisor;
        quotient = quotient << SECOND | second;
        rest -= second * divisor;
        *exponent -= SECOND;
    }
    const int drop = 64 - leading_zeros(quotient); /* more than 0: the quotient has 65 bits or so */
    const bool lost = rest != 0 || (quotient & (((u128)1 << drop) - 1)) != 0;
    *exponent += drop;
    return (uint64_t)(quotient >> drop) | lost;
}

/* As text with an exponent, for scales that are rare: read back by strtod, which rounds right. */
static const char *plain_text(ps_decimal value, int32_t scale, char *text)
{
    char digits[40];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    u128 left = magnitude(value);
    do {
        digits[--at] = (char)('0' + (int)(left % 10));
        left /= 10;
    } while (left != 0);
    snprintf(text, PS_DECIMAL_TEXT, "%s%se%+lld", value < 0 ? "-" : "", digits + at,
             -(long long)scale);
    return text;
}

double ps_decimal_to_f64(ps_decimal value, int32_t scale)
{
    static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const int64_t limit = (int64_t)1 << 53;
    if (value >= -limit && value <= limit && scale >= 0 && scale <= 22) {
        return (double)(int64_t)value / POWERS[scale]; /* both exact: one rounding */
    }
    if (scale < 0 || scale > PS_DECIMAL_DIGITS) {
        char text[PS_DECIMAL_TEXT];
        return value == 0 ? 0.0 : strtod(plain_text(value, scale, text), NULL);
    }
    if (value == 0) {
        return 0.0;
    }
    int exponent;
    const uint64_t quotient = sticky_quotient(magnitude(value), scale, &exponent);
    const double result = ldexp((double)quotient, exponent);
    return value < 0 ? -result : result;
}

float ps_decimal_to_f32(ps_decimal value, int32_t scale)
{
    if (value == 0) {
        return 0.0f;
    }
    if (scale < 0 || scale > PS_DECIMAL_DIGITS) {
        char text[PS_DECIMAL_TEXT];
        return strtof(plain_text(value, scale, text), NULL);
    }
    int exponent;
    const uint64_t quotient = sticky_quotient(magnitude(value), scale, &exponent);
    /* A double that is sticky itself: then the only rounding is that to 24 bits, or fewer where
     * floats become sparse. */
    const uint64_t wide = quotient >> 11 | ((quotient & 0x7ff) != 0);
    const float result = (float)ldexp((double)wide, exponent + 11);
    return value < 0 ? -result : result;
}

/* The integer part of a magnitude; false: it has more than 64 bits. */
static bool integer_part(u128 value, int32_t scale, uint64_t *out)
{
    u128 whole = 0; /* as it is with a scale of 39: 2^127 has 39 digits */
    if (scale >= 0 && scale <= PS_DECIMAL_DIGITS) {
        whole = value / power_of_10(scale);
    } else if (scale < 0 && value != 0) {
        if (scale < -19 || value >> 64 != 0) {
            return false;
        }
        whole = value * power_of_10(-scale);
    }
    *out = (uint64_t)whole;
    return whole >> 64 == 0;
}

bool ps_decimal_to_i64(ps_decimal value, int32_t scale, int64_t *out)
{
    uint64_t whole;
    const bool minus = value < 0;
    if (!integer_part(magnitude(value), scale, &whole) || whole > (uint64_t)INT64_MAX + minus) {
        return false;
    }
    *out = (int64_t)(minus ? 0 - whole : whole);
    return true;
}

bool ps_decimal_to_u64(ps_decimal value, int32_t scale, uint64_t *out)
{
    return integer_part(magnitude(value), scale, out) && (value >= 0 || *out == 0);
}

bool ps_decimal_from_u64(uint64_t value, int32_t precision, int32_t scale, ps_decimal *out)
{
    PS_ASSERT(precision > 0 && precision <= PS_DECIMAL_DIGITS && scale >= 0 && scale <= precision);
    if (value >= power_of_10(precision - scale)) {
        return false;
    }
    *out = (ps_decimal)(value * power_of_10(scale));
    return true;
}

bool ps_decimal_from_i64(int64_t value, int32_t precision, int32_t scale, ps_decimal *out)
{
    const uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    if (!ps_decimal_from_u64(size, precision, scale, out)) {
        return false;
    }
    *out = value < 0 ? -*out : *out;
    return true;
}

int64_t ps_decimal_to_text(ps_decimal value, int32_t scale, char *text)
{
    if (scale < 0 || scale > PS_DECIMAL_DIGITS) {
        return (int64_t)strlen(plain_text(value, scale, text));
    }
    char digits[PS_DECIMAL_TEXT];
    size_t at = sizeof digits;
    u128 left = magnitude(value);
    for (int32_t place = 0; left != 0 || place <= scale; place++) {
        if (place == scale && scale > 0) {
            digits[--at] = '.';
        }
        digits[--at] = (char)('0' + (int)(left % 10));
        left /= 10;
    }
    if (value < 0) {
        digits[--at] = '-';
    }
    memcpy(text, digits + at, sizeof digits - at);
    text[sizeof digits - at] = '\0';
    return (int64_t)(sizeof digits - at);
}
