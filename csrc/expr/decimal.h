/* decimal.h -- 128-bit decimals: an integer v and a scale s that mean v * 10^-s.
 *
 * Arrow says nothing about digits beyond the precision and allows any scale, so every function
 * takes whatever 128 bits hold and any scale; scales of 0 to 38 are the fast ones.
 * Cost     to_f64: some 5 ns with up to 2^53 and a scale up to 22, 20 with more digits, some 500
 *          with other scales.
 */
#ifndef PS_EXPR_DECIMAL_H
#define PS_EXPR_DECIMAL_H

#include "arrow/column.h"

typedef __int128 ps_decimal;

#define PS_DECIMAL_DIGITS 38 /* that a decimal128 may have */
#define PS_DECIMAL_TEXT 64   /* bytes of the longest text, with its terminator */

/* The 16 bytes of a value; 0 for a null, which has none. */
static inline ps_decimal ps_decimal_load(ps_string bytes)
{
    ps_decimal value = 0;
    if (bytes.size_bytes == (int64_t)sizeof value) {
        __builtin_memcpy(&value, bytes.data, sizeof value);
    }
    return value;
}

/* The nearest number, of two the one whose last bit is 0; beyond the largest one it is infinite. */
double ps_decimal_to_f64(ps_decimal value, int32_t scale);
float ps_decimal_to_f32(ps_decimal value, int32_t scale);
/* Without the fraction, so -0.9 is 0. False: it does not fit. */
bool ps_decimal_to_i64(ps_decimal value, int32_t scale, int64_t *out);
bool ps_decimal_to_u64(ps_decimal value, int32_t scale, uint64_t *out);
/* An integer as a decimal of a precision of 1 to 38 and a scale of 0 to that. False: it does not
 * fit. */
bool ps_decimal_from_i64(int64_t value, int32_t precision, int32_t scale, ps_decimal *out);
bool ps_decimal_from_u64(uint64_t value, int32_t precision, int32_t scale, ps_decimal *out);
/* All digits, "-12.50"; with a scale that is not 0 to 38 as "-1250e+2". Writes a terminated text
 * and returns its size. */
int64_t ps_decimal_to_text(ps_decimal value, int32_t scale, char *text);

#endif
