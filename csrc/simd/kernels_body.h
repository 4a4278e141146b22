/* kernels_body.h -- every kernel, once, as a plain loop; included by the kernels_*.c files only.
 *
 * The compiler vectorises each loop for the flags of the including file. The few intrinsics stand
 * beside the plain form they replace: turning masks into row numbers and bits is a shuffle that no
 * compiler finds, and it is what a filter does most. AVX-512 compresses to a register and stores
 * that, because compressing to memory is microcoded on some processors.
 */
#include <math.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "base/hash.h"
#include "simd/kernels.h"

#define PS_KERNEL_PASTE_(a, b) a##b
#define PS_KERNEL_PASTE(a, b) PS_KERNEL_PASTE_(a, b)
#define PS_KERNEL_TEXT_(a) #a
#define PS_KERNEL_TEXT(a) PS_KERNEL_TEXT_(a)
#define PS_KERNEL_TABLE PS_KERNEL_PASTE(ps_kernels_, PS_KERNEL_LEVEL)

/* ---- arithmetic ---- */

#define ARITH_F64(name, expression)                                                                \
    static void name(const double *a, const double *b, int64_t step, double *out, int64_t n)       \
    {                                                                                              \
        if (step == 0) {                                                                           \
            const double y = *b;                                                                   \
            for (int64_t i = 0; i < n; i++) {                                                      \
                const double x = a[i];                                                             \
                out[i] = (expression);                                                             \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const double x = a[i], y = b[i];                                                       \
            out[i] = (expression);                                                                 \
        }                                                                                          \
    }
ARITH_F64(add_f64, x + y)
ARITH_F64(sub_f64, x - y)
ARITH_F64(mul_f64, x *y)
ARITH_F64(div_f64, x / y)
ARITH_F64(min_f64, x < y ? x : y)
ARITH_F64(max_f64, x > y ? x : y)

/* result: the wrapped value r. overflow: a word whose sign bit says that the row overflowed. */
#define ARITH_INT(name, type, result, overflow)                                                    \
    static uint64_t name(const type *a, const type *b, int64_t step, type *out, int64_t n)         \
    {                                                                                              \
        uint64_t seen = 0;                                                                         \
        if (step == 0) {                                                                           \
            const uint64_t y = (uint64_t)*b;                                                       \
            for (int64_t i = 0; i < n; i++) {                                                      \
                const uint64_t x = (uint64_t)a[i];                                                 \
                const uint64_t r = (result);                                                       \
                seen |= (overflow);                                                                \
                out[i] = (type)r;                                                                  \
            }                                                                                      \
        } else {                                                                                   \
            for (int64_t i = 0; i < n; i++) {                                                      \
                const uint64_t x = (uint64_t)a[i], y = (uint64_t)b[i];                             \
                const uint64_t r = (result);                                                       \
                seen |= (overflow);                                                                \
                out[i] = (type)r;                                                                  \
            }                                                                                      \
        }                                                                                          \
        return seen >> 63;                                                                         \
    }
ARITH_INT(add_i64, int64_t, x + y, (x ^ r) & (y ^ r))
ARITH_INT(sub_i64, int64_t, x - y, (x ^ y) & (x ^ r))
ARITH_INT(min_i64, int64_t, (int64_t)x < (int64_t)y ? x : y, 0)
ARITH_INT(max_i64, int64_t, (int64_t)x > (int64_t)y ? x : y, 0)
ARITH_INT(add_u64, uint64_t, x + y, (x & y) | ((x | y) & ~r))
ARITH_INT(sub_u64, uint64_t, x - y, (~x & y) | ((~x | y) & r))
ARITH_INT(min_u64, uint64_t, x < y ? x : y, 0)
ARITH_INT(max_u64, uint64_t, x > y ? x : y, 0)

/* Factors that both fit 32 bits cannot overflow; only otherwise is each product checked. */
static uint64_t mul_i64(const int64_t *a, const int64_t *b, int64_t step, int64_t *out, int64_t n)
{
    uint64_t wide = 0;
    for (int64_t i = 0; i < n; i++) {
        wide |= ((uint64_t)a[i] + (1u << 31)) | ((uint64_t)b[i * step] + (1u << 31));
    }
    if ((wide >> 32) == 0) {
        if (step == 0) {
            const uint64_t y = (uint64_t)*b;
            for (int64_t i = 0; i < n; i++) {
                out[i] = (int64_t)((uint64_t)a[i] * y);
            }
            return 0;
        }
        for (int64_t i = 0; i < n; i++) {
            out[i] = (int64_t)((uint64_t)a[i] * (uint64_t)b[i]);
        }
        return 0;
    }
    uint64_t seen = 0;
    for (int64_t i = 0; i < n; i++) {
        seen |= (uint64_t)__builtin_mul_overflow(a[i], b[i * step], &out[i]);
    }
    return seen;
}

static uint64_t mul_u64(const uint64_t *a, const uint64_t *b, int64_t step, uint64_t *out,
                        int64_t n)
{
    uint64_t seen = 0;
    for (int64_t i = 0; i < n; i++) {
        seen |= (uint64_t)__builtin_mul_overflow(a[i], b[i * step], &out[i]);
    }
    return seen;
}

static uint64_t negate_i64(const int64_t *a, int64_t *out, int64_t n)
{
    uint64_t seen = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint64_t x = (uint64_t)a[i], r = 0 - x;
        seen |= x & r;
        out[i] = (int64_t)r;
    }
    return seen >> 63;
}

static uint64_t abs_i64(const int64_t *a, int64_t *out, int64_t n)
{
    uint64_t seen = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint64_t x = (uint64_t)a[i], sign = (uint64_t)(a[i] >> 63), r = (x ^ sign) - sign;
        seen |= r;
        out[i] = (int64_t)r;
    }
    return seen >> 63;
}

#define UNARY(name, from, to, expression)                                                          \
    static void name(const from *a, to *out, int64_t n)                                            \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const from x = a[i];                                                                   \
            out[i] = (expression);                                                                 \
        }                                                                                          \
    }
UNARY(negate_f64, double, double, -x)
UNARY(abs_f64, double, double, fabs(x))
UNARY(sqrt_f64, double, double, sqrt(x))
UNARY(f64_from_i64, int64_t, double, (double)x)
UNARY(f64_from_u64, uint64_t, double, (double)x)
UNARY(mask_not, uint8_t, uint8_t, (uint8_t)(x ^ 1u))
UNARY(narrow_f32, double, float, (float)x)

static uint64_t outside_i64(const int64_t *a, int64_t low, int64_t high, int64_t n)
{
    uint64_t seen = 0;
    for (int64_t i = 0; i < n; i++) {
        seen |= (uint64_t)(a[i] < low) | (uint64_t)(a[i] > high);
    }
    return seen;
}

/* The words that a division sees are a, or ~a when a is negative: all their bits together. */
static uint64_t division_bits(const int64_t *a, int64_t n)
{
    uint64_t seen = 0;
    for (int64_t i = 0; i < n; i++) {
        seen |= (uint64_t)(a[i] ^ (a[i] >> 63));
    }
    return seen;
}

#if defined(__AVX512DQ__)
/* Eight floor quotients of words below 2^52: a reciprocal is off by less than one half there, so
 * the truncated quotient is off by at most one, which the remainder shows. */
PS_INLINE __m512i floor_quotients(__m512i x, __m512i d, __m512d reciprocal)
{
    const __m512i sign = _mm512_srai_epi64(x, 63), u = _mm512_xor_si512(x, sign);
    const __m512i q = _mm512_cvttpd_epi64(_mm512_mul_pd(_mm512_cvtepi64_pd(u), reciprocal));
    const __m512i r = _mm512_sub_epi64(u, _mm512_mullo_epi64(q, d));
    const __m512i one = _mm512_set1_epi64(1);
    const __m512i up = _mm512_mask_add_epi64(q, _mm512_cmpge_epi64_mask(r, d), q, one);
    const __m512i down = _mm512_mask_sub_epi64(up, _mm512_movepi64_mask(r), up, one);
    return _mm512_xor_si512(down, sign);
}
#define EIGHT_QUOTIENTS(vector)                                                                    \
    if ((bits >> 52) == 0 && (d >> 52) == 0) {                                                     \
        const __m512i vd = _mm512_set1_epi64(by->divisor);                                         \
        const __m512d reciprocal = _mm512_set1_pd(1.0 / (double)by->divisor);                      \
        for (; i + 8 <= n; i += 8) {                                                               \
            const __m512i vx = _mm512_loadu_si512(a + i);                                          \
            const __m512i vq = floor_quotients(vx, vd, reciprocal);                                \
            _mm512_storeu_si512(out + i, vector);                                                  \
        }                                                                                          \
    }
#else
#define EIGHT_QUOTIENTS(vector)
#endif

/* result may use q, the floor quotient, and x, the dividend, both as unsigned words. */
#define DIVISION(name, identity, result, vector)                                                   \
    static void name(const int64_t *a, const ps_divider *by, int64_t *out, int64_t n)              \
    {                                                                                              \
        const uint64_t d = (uint64_t)by->divisor;                                                  \
        const uint64_t bits = division_bits(a, n);                                                 \
        if (d == 1) {                                                                              \
            for (int64_t i = 0; i < n; i++) {                                                      \
                out[i] = (identity);                                                               \
            }                                                                                      \
        } else if (by->magic31 != 0 && (bits >> 31) == 0) {                                        \
            const uint64_t magic = by->magic31;                                                    \
            const uint32_t shift = by->shift31;                                                    \
            for (int64_t i = 0; i < n; i++) {                                                      \
                const uint64_t x = (uint64_t)a[i], sign = (uint64_t)(a[i] >> 63);                  \
                const uint64_t u = (x ^ sign) & 0x7fffffffu;                                       \
                const uint64_t q = ((u * magic) >> shift) ^ sign;                                  \
                out[i] = (int64_t)(result);                                                        \
            }                                                                                      \
        } else {                                                                                   \
            const uint64_t magic = by->magic;                                                      \
            const uint32_t shift = by->shift;                                                      \
            int64_t i = 0;                                                                         \
            EIGHT_QUOTIENTS(vector)                                                                \
            for (; i < n; i++) {                                                                   \
                const uint64_t x = (uint64_t)a[i], sign = (uint64_t)(a[i] >> 63);                  \
                const unsigned __int128 wide = (unsigned __int128)(x ^ sign) * magic;              \
                const uint64_t q = ((uint64_t)(wide >> 64) >> shift) ^ sign;                       \
                out[i] = (int64_t)(result);                                                        \
            }                                                                                      \
        }                                                                                          \
    }
DIVISION(divide_i64, a[i], q + 0 * (x + d), vq)
DIVISION(modulo_i64, 0, x - q * d, _mm512_sub_epi64(vx, _mm512_mullo_epi64(vq, vd)))
DIVISION(truncate_i64, a[i], q *d + 0 * x, _mm512_mullo_epi64(vq, vd))

/* ---- comparison ---- */

#define COMPARE(name, left, right, expression)                                                     \
    static void name(const left *a, const right *b, int64_t step, uint8_t *out, int64_t n)         \
    {                                                                                              \
        if (step == 0) {                                                                           \
            const right y = *b;                                                                    \
            for (int64_t i = 0; i < n; i++) {                                                      \
                const left x = a[i];                                                               \
                out[i] = (uint8_t)(expression);                                                    \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const left x = a[i];                                                                   \
            const right y = b[i];                                                                  \
            out[i] = (uint8_t)(expression);                                                        \
        }                                                                                          \
    }
#define COMPARE_ALL(prefix, left, right)                                                           \
    COMPARE(prefix##_eq, left, right, x == y)                                                      \
    COMPARE(prefix##_ne, left, right, x != y)                                                      \
    COMPARE(prefix##_lt, left, right, x < y)                                                       \
    COMPARE(prefix##_le, left, right, x <= y)                                                      \
    COMPARE(prefix##_gt, left, right, x > y)                                                       \
    COMPARE(prefix##_ge, left, right, x >= y)
COMPARE_ALL(u8, uint8_t, uint8_t)
COMPARE(iu_eq, int64_t, uint64_t, (x >= 0) & ((uint64_t)x == y))
COMPARE(iu_ne, int64_t, uint64_t, (x < 0) | ((uint64_t)x != y))
COMPARE(iu_lt, int64_t, uint64_t, (x < 0) | ((uint64_t)x < y))
COMPARE(iu_le, int64_t, uint64_t, (x < 0) | ((uint64_t)x <= y))
COMPARE(iu_gt, int64_t, uint64_t, (x >= 0) & ((uint64_t)x > y))
COMPARE(iu_ge, int64_t, uint64_t, (x >= 0) & ((uint64_t)x >= y))

#if defined(__AVX512BW__)
/* 64 rows a turn: eight compares give one 64-bit mask, which becomes 64 bytes at once. */
#define COMPARE_WIDE(name, type, vector, load, set1, compare, expression)                          \
    PS_INLINE __mmask64 name##_64(const type *a, const type *b, vector y, int64_t step)            \
    {                                                                                              \
        __mmask64 mask = 0;                                                                        \
        for (int j = 0; j < 8; j++) {                                                              \
            const vector r = step == 0 ? y : load((const void *)(b + 8 * j));                      \
            mask |= (__mmask64)(compare(load((const void *)(a + 8 * j)), r)) << (8 * j);           \
        }                                                                                          \
        return mask;                                                                               \
    }                                                                                              \
    static void name(const type *a, const type *b, int64_t step, uint8_t *out, int64_t n)          \
    {                                                                                              \
        int64_t i = 0;                                                                             \
        const vector y8 = n > 0 ? set1(*b) : set1(0);                                              \
        if (step == 0) {                                                                           \
            for (; i + 64 <= n; i += 64) {                                                         \
                const __mmask64 mask = name##_64(a + i, b, y8, 0);                                 \
                _mm512_storeu_si512(out + i, _mm512_maskz_set1_epi8(mask, 1));                     \
            }                                                                                      \
        } else {                                                                                   \
            for (; i + 64 <= n; i += 64) {                                                         \
                const __mmask64 mask = name##_64(a + i, b + i, y8, 1);                             \
                _mm512_storeu_si512(out + i, _mm512_maskz_set1_epi8(mask, 1));                     \
            }                                                                                      \
        }                                                                                          \
        for (; i < n; i++) {                                                                       \
            const type x = a[i], y = b[i * step];                                                  \
            out[i] = (uint8_t)(expression);                                                        \
        }                                                                                          \
    }
#define COMPARE_I64(name, predicate, expression)                                                   \
    PS_INLINE __mmask8 name##_mask(__m512i x, __m512i y)                                           \
    {                                                                                              \
        return _mm512_cmp_epi64_mask(x, y, predicate);                                             \
    }                                                                                              \
    COMPARE_WIDE(name, int64_t, __m512i, _mm512_loadu_si512, _mm512_set1_epi64, name##_mask,       \
                 expression)
#define SET1_U64(v) _mm512_set1_epi64((long long)(v))
#define COMPARE_U64(name, predicate, expression)                                                   \
    PS_INLINE __mmask8 name##_mask(__m512i x, __m512i y)                                           \
    {                                                                                              \
        return _mm512_cmp_epu64_mask(x, y, predicate);                                             \
    }                                                                                              \
    COMPARE_WIDE(name, uint64_t, __m512i, _mm512_loadu_si512, SET1_U64, name##_mask, expression)
#define COMPARE_F64(name, predicate, expression)                                                   \
    PS_INLINE __mmask8 name##_mask(__m512d x, __m512d y)                                           \
    {                                                                                              \
        return _mm512_cmp_pd_mask(x, y, predicate);                                                \
    }                                                                                              \
    COMPARE_WIDE(name, double, __m512d, _mm512_loadu_pd, _mm512_set1_pd, name##_mask, expression)
COMPARE_I64(i64_eq, _MM_CMPINT_EQ, x == y)
COMPARE_I64(i64_ne, _MM_CMPINT_NE, x != y)
COMPARE_I64(i64_lt, _MM_CMPINT_LT, x < y)
COMPARE_I64(i64_le, _MM_CMPINT_LE, x <= y)
COMPARE_I64(i64_gt, _MM_CMPINT_NLE, x > y)
COMPARE_I64(i64_ge, _MM_CMPINT_NLT, x >= y)
COMPARE_U64(u64_eq, _MM_CMPINT_EQ, x == y)
COMPARE_U64(u64_ne, _MM_CMPINT_NE, x != y)
COMPARE_U64(u64_lt, _MM_CMPINT_LT, x < y)
COMPARE_U64(u64_le, _MM_CMPINT_LE, x <= y)
COMPARE_U64(u64_gt, _MM_CMPINT_NLE, x > y)
COMPARE_U64(u64_ge, _MM_CMPINT_NLT, x >= y)
COMPARE_F64(f64_eq, _CMP_EQ_OQ, x == y)
COMPARE_F64(f64_ne, _CMP_NEQ_UQ, x != y)
COMPARE_F64(f64_lt, _CMP_LT_OQ, x < y)
COMPARE_F64(f64_le, _CMP_LE_OQ, x <= y)
COMPARE_F64(f64_gt, _CMP_GT_OQ, x > y)
COMPARE_F64(f64_ge, _CMP_GE_OQ, x >= y)
#else
COMPARE_ALL(i64, int64_t, int64_t)
COMPARE_ALL(u64, uint64_t, uint64_t)
COMPARE_ALL(f64, double, double)
#endif

#define COLUMN_COMPARE(name, type, constant, cast, expression)                                     \
    static void name(const void *column, constant b, uint8_t *out, int64_t n)                      \
    {                                                                                              \
        const type *a = column;                                                                    \
        const cast y = (cast)b;                                                                    \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const cast x = (cast)a[i];                                                             \
            out[i] = (uint8_t)(expression);                                                        \
        }                                                                                          \
    }
#define COLUMN_COMPARE_ALL(prefix, type, constant, cast)                                           \
    COLUMN_COMPARE(prefix##_eq, type, constant, cast, x == y)                                      \
    COLUMN_COMPARE(prefix##_ne, type, constant, cast, x != y)                                      \
    COLUMN_COMPARE(prefix##_lt, type, constant, cast, x < y)                                       \
    COLUMN_COMPARE(prefix##_le, type, constant, cast, x <= y)                                      \
    COLUMN_COMPARE(prefix##_gt, type, constant, cast, x > y)                                       \
    COLUMN_COMPARE(prefix##_ge, type, constant, cast, x >= y)
COLUMN_COMPARE_ALL(ci8, int8_t, int64_t, int8_t)
COLUMN_COMPARE_ALL(ci16, int16_t, int64_t, int16_t)
COLUMN_COMPARE_ALL(ci32, int32_t, int64_t, int32_t)
COLUMN_COMPARE_ALL(cu8, uint8_t, int64_t, uint8_t)
COLUMN_COMPARE_ALL(cu16, uint16_t, int64_t, uint16_t)
COLUMN_COMPARE_ALL(cu32, uint32_t, int64_t, uint32_t)
COLUMN_COMPARE_ALL(cf32, float, double, double)
#define COLUMN_COMPARE_64(name)                                                                    \
    static void ci64_##name(const void *column, int64_t b, uint8_t *out, int64_t n)                \
    {                                                                                              \
        i64_##name(column, &b, 0, out, n);                                                         \
    }                                                                                              \
    static void cu64_##name(const void *column, int64_t b, uint8_t *out, int64_t n)                \
    {                                                                                              \
        const uint64_t bits = (uint64_t)b;                                                         \
        u64_##name(column, &bits, 0, out, n);                                                      \
    }
COLUMN_COMPARE_64(eq)
COLUMN_COMPARE_64(ne)
COLUMN_COMPARE_64(lt)
COLUMN_COMPARE_64(le)
COLUMN_COMPARE_64(gt)
COLUMN_COMPARE_64(ge)

/* ---- masks ---- */

#define MASK_BINARY(name, operation)                                                               \
    static void name(const uint8_t *a, const uint8_t *b, uint8_t *out, int64_t n)                  \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            out[i] = (uint8_t)(a[i] operation b[i]);                                               \
        }                                                                                          \
    }
MASK_BINARY(mask_and, &)
MASK_BINARY(mask_or, |)
MASK_BINARY(mask_xor, ^)

static void kleene_and(const uint8_t *a, const uint8_t *a_valid, const uint8_t *b,
                       const uint8_t *b_valid, uint8_t *out, uint8_t *out_valid, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const unsigned yes = (a[i] & a_valid[i]) & (b[i] & b_valid[i]);
        const unsigned no = ((a[i] ^ 1u) & a_valid[i]) | ((b[i] ^ 1u) & b_valid[i]);
        out[i] = (uint8_t)yes;
        out_valid[i] = (uint8_t)(yes | no);
    }
}

static void kleene_or(const uint8_t *a, const uint8_t *a_valid, const uint8_t *b,
                      const uint8_t *b_valid, uint8_t *out, uint8_t *out_valid, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const unsigned yes = (a[i] & a_valid[i]) | (b[i] & b_valid[i]);
        const unsigned no = ((a[i] ^ 1u) & a_valid[i]) & ((b[i] ^ 1u) & b_valid[i]);
        out[i] = (uint8_t)yes;
        out_valid[i] = (uint8_t)(yes | no);
    }
}

static void choose_8(const uint8_t *mask, const uint8_t *a, const uint8_t *b, uint8_t *out,
                     int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const uint8_t take = (uint8_t)(0u - mask[i]);
        out[i] = (uint8_t)((a[i] & take) | (b[i] & ~take));
    }
}

static void choose_64(const uint8_t *mask, const uint64_t *a, const uint64_t *b, uint64_t *out,
                      int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const uint64_t take = 0 - (uint64_t)mask[i];
        out[i] = (a[i] & take) | (b[i] & ~take);
    }
}

static void choose_128(const uint8_t *mask, const uint64_t *a, const uint64_t *b, uint64_t *out,
                       int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const uint64_t take = 0 - (uint64_t)mask[i];
        out[2 * i] = (a[2 * i] & take) | (b[2 * i] & ~take);
        out[2 * i + 1] = (a[2 * i + 1] & take) | (b[2 * i + 1] & ~take);
    }
}

static void any_equal_i64(const int64_t *a, int64_t b, uint8_t *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(out[i] | (a[i] == b));
    }
}

static void any_equal_f64(const double *a, double b, uint8_t *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(out[i] | (a[i] == b));
    }
}

/* ---- row numbers and bits ---- */

static int64_t select_rows(const uint8_t *mask, uint32_t first, uint32_t *rows, int64_t n)
{
    int64_t count = 0, i = 0;
#if defined(__AVX512BW__)
    const __m512i sixteen = _mm512_set1_epi32(16);
    __m512i number =
        _mm512_add_epi32(_mm512_set1_epi32((int)first),
                         _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    for (; i + 64 <= n; i += 64) {
        const __m512i bytes = _mm512_loadu_si512(mask + i);
        uint64_t bits = _mm512_test_epi8_mask(bytes, bytes);
        for (int j = 0; j < 4; j++) {
            const __mmask16 part = (__mmask16)bits;
            _mm512_storeu_si512(rows + count, _mm512_maskz_compress_epi32(part, number));
            count += __builtin_popcount(part);
            number = _mm512_add_epi32(number, sixteen);
            bits >>= 16;
        }
    }
#elif defined(__AVX2__)
    for (; i + 8 <= n; i += 8) {
        uint64_t bytes;
        memcpy(&bytes, mask + i, 8);
        const uint64_t lanes = _pext_u64(0x0706050403020100u, bytes * 0xff);
        const __m256i offset = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)lanes));
        const __m256i base = _mm256_set1_epi32((int)(first + (uint32_t)i));
        _mm256_storeu_si256((__m256i *)(void *)(rows + count), _mm256_add_epi32(base, offset));
        count += __builtin_popcountll(bytes);
    }
#endif
    for (; i < n; i++) {
        rows[count] = first + (uint32_t)i;
        count += mask[i];
    }
    return count;
}

static int64_t select_from(const uint8_t *mask, const uint32_t *from, uint32_t *rows, int64_t n)
{
    int64_t count = 0, i = 0;
#if defined(__AVX512BW__)
    for (; i + 16 <= n; i += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(mask + i));
        const __mmask16 part = _mm_test_epi8_mask(bytes, bytes);
        const __m512i numbers = _mm512_loadu_si512(from + i);
        _mm512_storeu_si512(rows + count, _mm512_maskz_compress_epi32(part, numbers));
        count += __builtin_popcount(part);
    }
#elif defined(__AVX2__)
    for (; i + 8 <= n; i += 8) {
        uint64_t bytes;
        memcpy(&bytes, mask + i, 8);
        const uint64_t lanes = _pext_u64(0x0706050403020100u, bytes * 0xff);
        const __m256i order = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)lanes));
        const __m256i numbers = _mm256_loadu_si256((const __m256i *)(const void *)(from + i));
        _mm256_storeu_si256((__m256i *)(void *)(rows + count),
                            _mm256_permutevar8x32_epi32(numbers, order));
        count += __builtin_popcountll(bytes);
    }
#endif
    for (; i < n; i++) {
        rows[count] = from[i];
        count += mask[i];
    }
    return count;
}

static int64_t pack_bits(const uint8_t *mask, uint8_t *bits, int64_t n)
{
    int64_t count = 0, i = 0;
#if defined(__AVX512BW__)
    for (; i + 64 <= n; i += 64) {
        const __m512i bytes = _mm512_loadu_si512(mask + i);
        const uint64_t word = _mm512_test_epi8_mask(bytes, bytes);
        memcpy(bits + i / 8, &word, 8);
        count += __builtin_popcountll(word);
    }
#elif defined(__AVX2__)
    for (; i + 32 <= n; i += 32) {
        const __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)(mask + i));
        const uint32_t word = (uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16(bytes, 7));
        memcpy(bits + i / 8, &word, 4);
        count += __builtin_popcount(word);
    }
#endif
    for (; i + 8 <= n;
         i += 8) { /* byte j of the word meets the power of two that lifts it to bit j */
        uint64_t word;
        memcpy(&word, mask + i, 8);
        bits[i / 8] = (uint8_t)((word * 0x0102040810204080u) >> 56);
        count += (int64_t)((word * 0x0101010101010101u) >> 56);
    }
    if (i < n) {
        unsigned last = 0;
        for (int64_t j = 0; i + j < n; j++) {
            last |= (unsigned)mask[i + j] << j;
            count += mask[i + j];
        }
        bits[i / 8] = (uint8_t)last;
    }
    return count;
}

static void unpack_bits(const uint8_t *bits, int64_t first_bit, uint8_t *mask, int64_t n)
{
    const uint8_t *p = bits + (first_bit >> 3);
    const unsigned shift = (unsigned)(first_bit & 7);
    int64_t i = 0;
#if defined(__AVX512BW__)
    for (; i + 64 <= n; i += 64) {
        uint64_t word;
        memcpy(&word, p + i / 8, 8);
        if (shift != 0) {
            word = (word >> shift) | ((uint64_t)p[i / 8 + 8] << (64 - shift));
        }
        _mm512_storeu_si512(mask + i, _mm512_maskz_set1_epi8(word, 1));
    }
#endif
    for (; i + 8 <= n; i += 8) {
        uint64_t byte = (uint64_t)p[i / 8] >> shift;
        if (shift != 0) {
            byte |= ((uint64_t)p[i / 8 + 1] << (8 - shift)) & 0xff;
        }
        const uint64_t spread = (byte * 0x0101010101010101u) & 0x8040201008040201u;
        const uint64_t word = ((spread + 0x7f7f7f7f7f7f7f7fu) >> 7) & 0x0101010101010101u;
        memcpy(mask + i, &word, 8);
    }
    for (; i < n; i++) {
        const int64_t bit = first_bit + i;
        mask[i] = (bits[bit >> 3] >> (bit & 7)) & 1;
    }
}

/* ---- ranges ---- */

/* Eight lanes, so that the loop has no chain longer than n / 8. */
static void range_i64(const int64_t *a, int64_t n, int64_t *low, int64_t *high)
{
    int64_t least[8], most[8];
    for (int32_t lane = 0; lane < 8; lane++) {
        least[lane] = most[lane] = a[0];
    }
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        PS_PREFETCH_STREAM(a + i);
        for (int32_t lane = 0; lane < 8; lane++) {
            const int64_t value = a[i + lane];
            least[lane] = value < least[lane] ? value : least[lane];
            most[lane] = value > most[lane] ? value : most[lane];
        }
    }
    for (; i < n; i++) {
        least[0] = a[i] < least[0] ? a[i] : least[0];
        most[0] = a[i] > most[0] ? a[i] : most[0];
    }
    for (int32_t lane = 1; lane < 8; lane++) {
        least[0] = least[lane] < least[0] ? least[lane] : least[0];
        most[0] = most[lane] > most[0] ? most[lane] : most[0];
    }
    *low = least[0];
    *high = most[0];
}

static void add_passed_i64(const int64_t *a, int64_t b, uint8_t *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(out[i] + (a[i] >= b));
    }
}

static bool any_outside_u64(const uint64_t *a, uint64_t base, uint64_t span, int64_t n)
{
    uint64_t outside = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        PS_PREFETCH_STREAM(a + i);
        for (int32_t lane = 0; lane < 8; lane++) {
            outside |= a[i + lane] - base >= span ? 1 : 0;
        }
    }
    for (; i < n; i++) {
        outside |= a[i] - base >= span ? 1 : 0;
    }
    return outside != 0;
}

static void hash_u64(const uint64_t *a, uint64_t *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = ps_hash_u64(a[i]);
    }
}

/* memcpy because a foreign buffer may be less aligned than its values. */
#define GATHER(name, type)                                                                         \
    static void name(const void *a, const uint32_t *rows, void *out, int64_t n)                    \
    {                                                                                              \
        const char *from = a;                                                                      \
        type *to = out;                                                                            \
        for (int64_t i = 0; i < n; i++) {                                                          \
            memcpy(&to[i], from + (size_t)rows[i] * sizeof(type), sizeof(type));                   \
        }                                                                                          \
    }
GATHER(gather_8, uint8_t)
GATHER(gather_16, uint16_t)
GATHER(gather_32, uint32_t)
GATHER(gather_64, uint64_t)

/* What a plain loop of the narrow widths leaves to do: rows from i on. */
#define COMPRESS_REST(type)                                                                        \
    for (; i < n; i++) {                                                                           \
        memcpy(&to[count], from + (size_t)i * sizeof(type), sizeof(type));                         \
        count += mask[i];                                                                          \
    }                                                                                              \
    return count;
#define COMPRESS(name, type)                                                                       \
    static int64_t name(const uint8_t *mask, const void *a, void *out, int64_t n)                  \
    {                                                                                              \
        const char *from = a;                                                                      \
        type *to = out;                                                                            \
        int64_t count = 0, i = 0;                                                                  \
        COMPRESS_REST(type)                                                                        \
    }
COMPRESS(compress_8, uint8_t)
COMPRESS(compress_16, uint16_t)

static int64_t compress_32(const uint8_t *mask, const void *a, void *out, int64_t n)
{
    const char *from = a;
    uint32_t *to = out;
    int64_t count = 0, i = 0;
#if defined(__AVX512BW__)
    for (; i + 16 <= n; i += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(mask + i));
        const __mmask16 part = _mm_test_epi8_mask(bytes, bytes);
        const __m512i values = _mm512_loadu_si512(from + i * 4);
        _mm512_storeu_si512(to + count, _mm512_maskz_compress_epi32(part, values));
        count += __builtin_popcount(part);
    }
#endif
    COMPRESS_REST(uint32_t)
}

static int64_t compress_64(const uint8_t *mask, const void *a, void *out, int64_t n)
{
    const char *from = a;
    uint64_t *to = out;
    int64_t count = 0, i = 0;
#if defined(__AVX512BW__)
    for (; i + 16 <= n; i += 16) {
        PS_PREFETCH_STREAM(from + i * 8);
        PS_PREFETCH_STREAM(from + i * 8 + 64);
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(mask + i));
        const unsigned part = _mm_test_epi8_mask(bytes, bytes);
        const __m512i low = _mm512_loadu_si512(from + i * 8);
        const __m512i high = _mm512_loadu_si512(from + i * 8 + 64);
        _mm512_storeu_si512(to + count, _mm512_maskz_compress_epi64((__mmask8)part, low));
        count += __builtin_popcount(part & 0xff);
        _mm512_storeu_si512(to + count, _mm512_maskz_compress_epi64((__mmask8)(part >> 8), high));
        count += __builtin_popcount(part >> 8);
    }
#endif
    COMPRESS_REST(uint64_t)
}

#define NARROW(name, type)                                                                         \
    static void name(const uint64_t *a, void *out, int64_t n)                                      \
    {                                                                                              \
        type *to = out;                                                                            \
        for (int64_t i = 0; i < n; i++) {                                                          \
            to[i] = (type)a[i];                                                                    \
        }                                                                                          \
    }
NARROW(narrow_8, uint8_t)
NARROW(narrow_16, uint16_t)
NARROW(narrow_32, uint32_t)

/* ---- strings ---- */

/* Two overlapping words cover a needle of sizeof(word) to twice that many bytes. A value of another
 * size is compared with the needle itself, so that no branch depends on the data. */
#define EQUAL_WORDS(name, word, row)                                                               \
    static void name(const int32_t *offsets, const char *bytes, const uint32_t *rows,              \
                     const ps_needle *needle, uint8_t *out, int64_t n)                             \
    {                                                                                              \
        (void)rows;                                                                                \
        const int64_t size = needle->size_bytes;                                                   \
        const int64_t second = size - (int64_t)sizeof(word);                                       \
        word head, tail;                                                                           \
        memcpy(&head, needle->data, sizeof(word));                                                 \
        memcpy(&tail, needle->data + second, sizeof(word));                                        \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const int32_t start = offsets[row], end = offsets[(row) + 1];                          \
            const bool same_size = (int64_t)end - start == size;                                   \
            const char *value = same_size ? bytes + start : needle->data;                          \
            word value_head, value_tail;                                                           \
            memcpy(&value_head, value, sizeof(word));                                              \
            memcpy(&value_tail, value + second, sizeof(word));                                     \
            const bool same = ((value_head ^ head) | (value_tail ^ tail)) == 0;                    \
            out[i] = (uint8_t)((unsigned)same_size & (unsigned)same);                              \
        }                                                                                          \
    }
EQUAL_WORDS(equal_words_8, uint64_t, i)
EQUAL_WORDS(equal_words_8_rows, uint64_t, rows[i])
EQUAL_WORDS(equal_words_4, uint32_t, i)
EQUAL_WORDS(equal_words_4_rows, uint32_t, rows[i])
EQUAL_WORDS(equal_words_2, uint16_t, i)
EQUAL_WORDS(equal_words_2_rows, uint16_t, rows[i])

static void string_equal(const int32_t *offsets, const char *bytes, const uint32_t *rows,
                         const ps_needle *needle, uint8_t *out, int64_t n)
{
    const int64_t size = needle->size_bytes;
    if (size >= 8 && size <= 16) {
        (rows == NULL ? equal_words_8 : equal_words_8_rows)(offsets, bytes, rows, needle, out, n);
    } else if (size >= 4 && size < 8) {
        (rows == NULL ? equal_words_4 : equal_words_4_rows)(offsets, bytes, rows, needle, out, n);
    } else if (size >= 2 && size < 4) {
        (rows == NULL ? equal_words_2 : equal_words_2_rows)(offsets, bytes, rows, needle, out, n);
    } else {
        for (int64_t i = 0; i < n; i++) {
            const int64_t row = rows == NULL ? i : (int64_t)rows[i];
            const int32_t start = offsets[row];
            const bool same_size = (int64_t)offsets[row + 1] - start == size;
            out[i] =
                same_size && (size == 0 || memcmp(bytes + start, needle->data, (size_t)size) == 0);
        }
    }
}

#define SIX(prefix) {prefix##_eq, prefix##_ne, prefix##_lt, prefix##_le, prefix##_gt, prefix##_ge}
const ps_kernels PS_KERNEL_TABLE = {
    .name = PS_KERNEL_TEXT(PS_KERNEL_LEVEL),
    .arith_f64 = {add_f64, sub_f64, mul_f64, div_f64, min_f64, max_f64},
    .arith_i64 = {add_i64, sub_i64, mul_i64, NULL, min_i64, max_i64},
    .arith_u64 = {add_u64, sub_u64, mul_u64, NULL, min_u64, max_u64},
    .negate_i64 = negate_i64,
    .abs_i64 = abs_i64,
    .negate_f64 = negate_f64,
    .abs_f64 = abs_f64,
    .sqrt_f64 = sqrt_f64,
    .f64_from_i64 = f64_from_i64,
    .f64_from_u64 = f64_from_u64,
    .outside_i64 = outside_i64,
    .divide_i64 = divide_i64,
    .modulo_i64 = modulo_i64,
    .truncate_i64 = truncate_i64,
    .compare_i64 = SIX(i64),
    .compare_u64 = SIX(u64),
    .compare_iu = SIX(iu),
    .compare_f64 = SIX(f64),
    .compare_u8 = SIX(u8),
    .compare_int = {SIX(ci8), SIX(ci16), SIX(ci32), SIX(ci64)},
    .compare_uint = {SIX(cu8), SIX(cu16), SIX(cu32), SIX(cu64)},
    .compare_f32 = SIX(cf32),
    .mask_and = mask_and,
    .mask_or = mask_or,
    .mask_xor = mask_xor,
    .mask_not = mask_not,
    .kleene_and = kleene_and,
    .kleene_or = kleene_or,
    .choose_8 = choose_8,
    .choose_64 = choose_64,
    .choose_128 = choose_128,
    .range_i64 = range_i64,
    .add_passed_i64 = add_passed_i64,
    .any_outside_u64 = any_outside_u64,
    .hash_u64 = hash_u64,
    .any_equal_i64 = any_equal_i64,
    .any_equal_f64 = any_equal_f64,
    .select_rows = select_rows,
    .select_from = select_from,
    .compress = {compress_8, compress_16, compress_32, compress_64},
    .pack_bits = pack_bits,
    .unpack_bits = unpack_bits,
    .gather = {gather_8, gather_16, gather_32, gather_64},
    .narrow = {narrow_8, narrow_16, narrow_32},
    .narrow_f32 = narrow_f32,
    .string_equal = string_equal,
};
