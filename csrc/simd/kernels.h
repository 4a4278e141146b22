/* kernels.h -- the loops that are compiled once per instruction set: one contract an entry.
 *
 * Callers fetch the table once per batch with ps_simd_kernels() and pass plain pointers and counts.
 * Every loop is elementwise, so each level gives the same bits (the payload of a NaN aside).
 * Unless an entry says otherwise: inputs and outputs may be the same array but must not overlap in
 * part; n may be 0; masks hold 0 or 1 in each byte; `step` is 1, or 0 when b is one value for all
 * rows.
 */
#ifndef PS_SIMD_KERNELS_H
#define PS_SIMD_KERNELS_H

#include "base/base.h"

typedef enum ps_compare {
    PS_EQ = 0,
    PS_NE,
    PS_LT,
    PS_LE,
    PS_GT,
    PS_GE,
} ps_compare;
#define PS_COMPARE_COUNT 6

typedef enum ps_arith { PS_ADD = 0, PS_SUB, PS_MUL, PS_DIV, PS_MIN, PS_MAX } ps_arith;
#define PS_ARITH_COUNT 6

/* Row numbers or values that a selecting kernel may write past the ones it reports. */
#define PS_SELECT_SLACK 16

/* Division by a positive constant without dividing: for u < 2^63, u / divisor is the high word of
 * u * magic, shifted; for u < 2^31 a 32-bit magic does (Granlund and Montgomery, "Division by
 * invariant integers using multiplication", 1994). Negative a go through ~a, which makes it a
 * floor. */
typedef struct ps_divider {
    int64_t divisor;
    uint64_t magic;
    uint32_t shift;
    uint32_t shift31;
    uint64_t magic31; /* 0 when the divisor needs more than 31 bits */
} ps_divider;

ps_divider ps_divider_make(int64_t divisor); /* divisor >= 1 */

/* A string constant prepared for comparison with the values of a column. */
typedef struct ps_needle {
    const char *data; /* readable for size_bytes */
    int64_t size_bytes;
} ps_needle;

typedef void (*ps_compare_i64_fn)(const int64_t *a, const int64_t *b, int64_t step, uint8_t *out,
                                  int64_t n);
typedef void (*ps_compare_u64_fn)(const uint64_t *a, const uint64_t *b, int64_t step, uint8_t *out,
                                  int64_t n);
typedef void (*ps_compare_iu_fn)(const int64_t *a, const uint64_t *b, int64_t step, uint8_t *out,
                                 int64_t n);
typedef void (*ps_compare_f64_fn)(const double *a, const double *b, int64_t step, uint8_t *out,
                                  int64_t n);
typedef void (*ps_compare_u8_fn)(const uint8_t *a, const uint8_t *b, int64_t step, uint8_t *out,
                                 int64_t n);
/* A column in its own width against a constant that its type can hold (float32: any double). */
typedef void (*ps_compare_column_i_fn)(const void *a, int64_t b, uint8_t *out, int64_t n);
typedef void (*ps_compare_column_f_fn)(const void *a, double b, uint8_t *out, int64_t n);

typedef struct ps_kernels {
    const char *name;

    /* out = a op b. DIV by zero is as in IEEE; MIN and MAX give b unless a is smaller (larger). */
    void (*arith_f64[PS_ARITH_COUNT])(const double *a, const double *b, int64_t step, double *out,
                                      int64_t n);
    /* out = a op b modulo 2^64. The answer is nonzero when some row, null rows included, may have
     * overflowed. No DIV. Also MIN and MAX, which never overflow. */
    uint64_t (*arith_i64[PS_ARITH_COUNT])(const int64_t *a, const int64_t *b, int64_t step,
                                          int64_t *out, int64_t n);
    uint64_t (*arith_u64[PS_ARITH_COUNT])(const uint64_t *a, const uint64_t *b, int64_t step,
                                          uint64_t *out, int64_t n);
    /* The same answer as above; overflow only at INT64_MIN. */
    uint64_t (*negate_i64)(const int64_t *a, int64_t *out, int64_t n);
    uint64_t (*abs_i64)(const int64_t *a, int64_t *out, int64_t n);
    void (*negate_f64)(const double *a, double *out, int64_t n);
    void (*abs_f64)(const double *a, double *out, int64_t n);
    void (*sqrt_f64)(const double *a, double *out, int64_t n);
    void (*f64_from_i64)(const int64_t *a, double *out, int64_t n);
    void (*f64_from_u64)(const uint64_t *a, double *out, int64_t n);
    /* Nonzero when some a is below low or above high. */
    uint64_t (*outside_i64)(const int64_t *a, int64_t low, int64_t high, int64_t n);
    /* Floor division, floor remainder, and a - remainder (modulo 2^64) by a constant. */
    void (*divide_i64)(const int64_t *a, const ps_divider *by, int64_t *out, int64_t n);
    void (*modulo_i64)(const int64_t *a, const ps_divider *by, int64_t *out, int64_t n);
    void (*truncate_i64)(const int64_t *a, const ps_divider *by, int64_t *out, int64_t n);

    /* out = a op b as a mask. NaN compares as in IEEE; iu compares by value. */
    ps_compare_i64_fn compare_i64[PS_COMPARE_COUNT];
    ps_compare_u64_fn compare_u64[PS_COMPARE_COUNT];
    ps_compare_iu_fn compare_iu[PS_COMPARE_COUNT];
    ps_compare_f64_fn compare_f64[PS_COMPARE_COUNT];
    ps_compare_u8_fn compare_u8[PS_COMPARE_COUNT];
    /* By log2 of the width: 1, 2, 4, 8 bytes. Columns need only the alignment of their type. */
    ps_compare_column_i_fn compare_int[4][PS_COMPARE_COUNT];
    ps_compare_column_i_fn compare_uint[4][PS_COMPARE_COUNT]; /* b holds the bits of a uint64_t */
    ps_compare_column_f_fn compare_f32[PS_COMPARE_COUNT];

    void (*mask_and)(const uint8_t *a, const uint8_t *b, uint8_t *out, int64_t n);
    void (*mask_or)(const uint8_t *a, const uint8_t *b, uint8_t *out, int64_t n);
    void (*mask_xor)(const uint8_t *a, const uint8_t *b, uint8_t *out, int64_t n);
    void (*mask_not)(const uint8_t *a, uint8_t *out, int64_t n);
    /* Kleene logic: an unknown side decides nothing unless the other side decides alone. */
    void (*kleene_and)(const uint8_t *a, const uint8_t *a_valid, const uint8_t *b,
                       const uint8_t *b_valid, uint8_t *out, uint8_t *out_valid, int64_t n);
    void (*kleene_or)(const uint8_t *a, const uint8_t *a_valid, const uint8_t *b,
                      const uint8_t *b_valid, uint8_t *out, uint8_t *out_valid, int64_t n);
    /* out = mask ? a : b, for values of 1, 8 and 16 bytes. */
    void (*choose_8)(const uint8_t *mask, const uint8_t *a, const uint8_t *b, uint8_t *out,
                     int64_t n);
    void (*choose_64)(const uint8_t *mask, const uint64_t *a, const uint64_t *b, uint64_t *out,
                      int64_t n);
    void (*choose_128)(const uint8_t *mask, const uint64_t *a, const uint64_t *b, uint64_t *out,
                       int64_t n);
    /* Least and largest of n >= 1 values. */
    void (*range_i64)(const int64_t *a, int64_t n, int64_t *low, int64_t *high);
    /* out += a >= b: how many of a few bounds each value has passed. */
    void (*add_passed_i64)(const int64_t *a, int64_t b, uint8_t *out, int64_t n);
    /* Whether some a - base >= span, unsigned. */
    bool (*any_outside_u64)(const uint64_t *a, uint64_t base, uint64_t span, int64_t n);
    /* out = ps_hash_u64(a) */
    void (*hash_u64)(const uint64_t *a, uint64_t *out, int64_t n);
    /* out |= a == b */
    void (*any_equal_i64)(const int64_t *a, int64_t b, uint8_t *out, int64_t n);
    void (*any_equal_f64)(const double *a, double b, uint8_t *out, int64_t n);

    /* The row numbers first + i (or from[i]) of the rows whose mask is 1; returns how many. May
     * write up to PS_SELECT_SLACK numbers past them. rows and from may be the same array. */
    int64_t (*select_rows)(const uint8_t *mask, uint32_t first, uint32_t *rows, int64_t n);
    int64_t (*select_from)(const uint8_t *mask, const uint32_t *from, uint32_t *rows, int64_t n);
    /* The values of 1, 2, 4 and 8 bytes (by log2, any alignment) of the rows whose mask is 1;
     * returns how many. May write up to PS_SELECT_SLACK values past them. */
    int64_t (*compress[4])(const uint8_t *mask, const void *a, void *out, int64_t n);
    /* Masks to bitmaps and back. Packing starts at a byte and fills the last byte with zeros; it
     * returns the number of ones. Unpacking starts at any bit and reads only bytes with wanted
     * bits. */
    int64_t (*pack_bits)(const uint8_t *mask, uint8_t *bits, int64_t n);
    void (*unpack_bits)(const uint8_t *bits, int64_t first_bit, uint8_t *mask, int64_t n);
    /* out[i] = a[rows[i]] for 1, 2, 4 and 8 bytes (by log2), any alignment. */
    void (*gather[4])(const void *a, const uint32_t *rows, void *out, int64_t n);
    /* The low 1, 2 or 4 bytes of each value (by log2), and doubles as floats. */
    void (*narrow[3])(const uint64_t *a, void *out, int64_t n);
    void (*narrow_f32)(const double *a, float *out, int64_t n);
    /* Whether each value of a utf8 or binary column (32-bit offsets) equals the needle. rows NULL:
     * the n values from offsets[0] on; else the values rows[i]. Reads no byte outside them. */
    void (*string_equal)(const int32_t *offsets, const char *bytes, const uint32_t *rows,
                         const ps_needle *needle, uint8_t *out, int64_t n);
} ps_kernels;

/* The table in force. Written by ps_simd_force only. */
const ps_kernels *ps_simd_kernels(void);

extern const ps_kernels ps_kernels_base;
#if defined(__x86_64__)
extern const ps_kernels ps_kernels_avx2;
extern const ps_kernels ps_kernels_avx512;
#elif defined(__aarch64__)
extern const ps_kernels ps_kernels_neon;
#endif

#endif
