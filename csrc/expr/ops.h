/* ops.h -- the typed operations that compiled programs are made of.
 *
 * A function of the public list (program.h) becomes one or more of these; each works on one chunk
 * of canonical vectors (arrow/vector.h). An operation writes its result to call->values (and, when
 * a row may be null, validity to call->valid) and says in call->out where it is. It runs kernels
 * of the table it is given and never allocates, except from call->arena for strings.
 */
#ifndef PS_EXPR_OPS_H
#define PS_EXPR_OPS_H

#include "arrow/vector.h"
#include "base/arena.h"
#include "simd/kernels.h"

typedef struct ps_call ps_call;

typedef enum ps_op_flags {
    PS_OP_STRICT = 1, /* a null argument makes the row null: nothing else does */
    PS_OP_ALIAS = 2,  /* the result may share memory with argument 0 */
    PS_OP_PURE = 4,   /* depends on its arguments alone: can be folded */
} ps_op_flags;

typedef struct ps_op {
    ps_status (*run)(ps_call *call, ps_error *err);
    uint32_t flags;
    ps_class result;
} ps_op;

/* Where the rows of a chunk come from: a batch, the values of a dictionary, or one null row. */
typedef struct ps_source {
    const ps_batch *batch;
    const ps_column *dictionary;
    bool one_null;
    const uint32_t *rows;
    int64_t start;
} ps_source;

struct ps_call {
    const ps_kernels *kernels;
    const ps_vector *a;
    const ps_vector *b;
    const ps_vector *c;
    int64_t b_step; /* 0: b is a constant */
    int64_t i;      /* operation's own parameters */
    int64_t j;
    const void *p;
    const char *name;      /* the function as the user wrote it, for errors */
    const ps_type *type;   /* of the result */
    const ps_type *a_type; /* of argument 0, when there is one */
    int64_t n;
    ps_vector_scratch *room; /* of this operation; values and valid point into it or to an output */
    void *values;
    uint8_t *valid;
    ps_vector out;
    const ps_source *source; /* operations that read columns */
    struct ps_program *program;
    ps_arena *arena;
};

/* True when row i of a vector is not null. */
static inline bool ps_row_valid(const ps_vector *v, int64_t i)
{
    return v == NULL || v->valid == NULL || v->valid[i] != 0;
}
/* Sets call->out with the validity that strict operations have: valid where a and b (and c) are. */
void ps_call_strict(ps_call *call);
/* The column a reading operation means. */
static inline const ps_column *ps_call_column(const ps_call *call)
{
    return call->source->dictionary != NULL ? call->source->dictionary
                                            : &call->source->batch->columns[call->j];
}
/* The validity of the chunk's rows in call->valid; values are not looked at. NULL: none is null. */
const uint8_t *ps_call_column_valid(ps_call *call, const ps_column *column);

/* ops_arith.c: i = ps_arith */
extern const ps_op ps_op_arith_i64, ps_op_arith_u64, ps_op_arith_f64;
extern const ps_op ps_op_negate_i64, ps_op_abs_i64, ps_op_negate_f64, ps_op_abs_f64;
/* i: 0 = quotient, 1 = remainder. A null result where the divisor is 0 (integers). */
extern const ps_op ps_op_floor_i64, ps_op_floor_u64, ps_op_floor_f64;
/* p = ps_divider; i: 0 = quotient, 1 = remainder, 2 = a - remainder (checked) */
extern const ps_op ps_op_divide_const;
typedef enum ps_math { PS_SQRT, PS_EXP, PS_LOG, PS_FLOOR, PS_CEIL, PS_ROUND } ps_math;
extern const ps_op ps_op_math; /* i = ps_math, j = digits of round */
/* The smaller or larger of the arguments that are not null: i = PS_MIN or PS_MAX */
extern const ps_op ps_op_extreme_i64, ps_op_extreme_u64, ps_op_extreme_f64, ps_op_extreme_str;

/* ops_compare.c: i = ps_compare */
extern const ps_op ps_op_compare_i64, ps_op_compare_u64, ps_op_compare_iu, ps_op_compare_f64;
extern const ps_op ps_op_compare_bool, ps_op_compare_str;
extern const ps_op ps_op_compare_if, ps_op_compare_uf; /* an integer with a double, by value */
/* A numeric or temporal column (j) in its own width with a constant (p = ps_scalar). */
extern const ps_op ps_op_compare_column;
/* A utf8 or binary column (j) with a constant (p = ps_needle): i = PS_EQ or PS_NE */
extern const ps_op ps_op_equal_column;
/* p = ps_set */
extern const ps_op ps_op_in_set;
typedef struct ps_set ps_set;
/* count values of one class (I64, U64, F64 or STR), without NaN; NULL when memory is refused. */
const ps_set *ps_set_make(ps_arena *arena, ps_class kind, const void *values, int64_t count);

/* ops_logic.c */
extern const ps_op ps_op_load;   /* column j */
extern const ps_op ps_op_retype; /* the same value under another type */
extern const ps_op ps_op_and, ps_op_or, ps_op_xor, ps_op_not;
extern const ps_op ps_op_is_null;        /* i = 1: is_not_null */
extern const ps_op ps_op_column_is_null; /* of column j, any type */
extern const ps_op ps_op_is_nan;
extern const ps_op ps_op_first_valid_8, ps_op_first_valid_64, ps_op_first_valid_128;
/* a ? b : c; a null condition counts as false */
extern const ps_op ps_op_choose_8, ps_op_choose_64, ps_op_choose_128;
extern const ps_op ps_op_bool_like; /* the boolean i where a is not null */

/* ops_cast.c. i, j: the range wanted. */
extern const ps_op ps_op_range_i64, ps_op_range_u64; /* the value itself, checked */
extern const ps_op ps_op_f64_from_i64, ps_op_f64_from_u64, ps_op_i64_from_f64, ps_op_u64_from_f64;
extern const ps_op ps_op_i64_from_bool, ps_op_f32_round;
extern const ps_op ps_op_scale; /* times i, checked */
extern const ps_op ps_op_bool_from_str, ps_op_i64_from_str, ps_op_u64_from_str, ps_op_f64_from_str;
extern const ps_op ps_op_time_from_str; /* i = nanoseconds of a unit of the result */
extern const ps_op ps_op_str_from_bool, ps_op_str_from_i64, ps_op_str_from_u64, ps_op_str_from_f64;
extern const ps_op ps_op_str_from_time; /* i = nanoseconds of a unit of a */
extern const ps_op ps_op_utf8_check;
/* "cast: the int64 value -1 does not fit uint64" */
ps_status ps_call_misfit(const ps_call *call, ps_status status, const char *value, ps_error *err);

/* ops_decimal.c. i, j: the range wanted of an integer. */
extern const ps_op ps_op_f64_from_decimal, ps_op_f32_from_decimal;
extern const ps_op ps_op_i64_from_decimal, ps_op_u64_from_decimal, ps_op_str_from_decimal;
extern const ps_op ps_op_decimal_from_i64, ps_op_decimal_from_u64;

/* ops_text.c */
typedef enum ps_search { PS_STARTS, PS_ENDS, PS_CONTAINS } ps_search;
extern const ps_op ps_op_search;      /* i = ps_search */
extern const ps_op ps_op_characters;  /* i = 1: bytes */
extern const ps_op ps_op_change_case; /* i = 1: upper */

/* ops_time.c: from days since the epoch */
typedef enum ps_civil_field {
    PS_YEAR,
    PS_MONTH,
    PS_DAY,
    PS_ORDINAL_DAY,
    PS_WEEKDAY,
    PS_FLOOR_WEEK, /* the first day of the week, month, quarter or year, as days */
    PS_FLOOR_MONTH,
    PS_FLOOR_QUARTER,
    PS_FLOOR_YEAR,
} ps_civil_field;
extern const ps_op ps_op_civil; /* i = ps_civil_field */

/* program_parts.c: a part of the program over one dictionary-encoded column; i = its number */
extern const ps_op ps_op_dictionary;

#endif
