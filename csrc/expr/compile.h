/* compile.h -- the typed graph between a forest and code.
 *
 * A value is one typed operation over earlier values. Emitting the same operation twice gives the
 * same value, an operation over constants gives a constant. Errors stick: once status is not PS_OK
 * every call answers -1 and changes nothing, so builders need no checks of their own.
 */
#ifndef PS_EXPR_COMPILE_H
#define PS_EXPR_COMPILE_H

#include "expr/code.h"

typedef struct ps_value {
    const ps_op *op; /* NULL: constant */
    ps_type type;    /* never dictionary-encoded, except a loaded column's */
    ps_class kind;
    bool nullable;
    bool is_null; /* constant */
    ps_scalar constant;
    int32_t arguments[3];
    int32_t argument_count;
    int64_t i, j;
    const void *p;
    const char *name;
    int32_t column; /* the only column it depends on, -1 none, -2 several */
} ps_value;

typedef struct ps_compiler {
    ps_mem *mem;
    ps_arena *arena;
    const ps_schema *schema;
    ps_value *values; /* grown with the memory account, not the arena */
    int32_t count;
    int32_t capacity;
    ps_vector_scratch *scratch; /* for constant folding */
    const char *name;           /* the function being bound */
    ps_status status;
    ps_error *err;
} ps_compiler;

/* What an operation needs besides arguments; zero where it needs nothing. */
typedef struct ps_parameters {
    int64_t i, j;
    const void *p;
    bool nullable; /* may be null although no argument is */
} ps_parameters;

/* emit.c */
int32_t ps_emit(ps_compiler *c, const ps_op *op, ps_type type, const int32_t *arguments,
                int32_t count, ps_parameters parameters);
int32_t ps_emit_constant(ps_compiler *c, ps_type type, ps_scalar value);
int32_t ps_emit_null(ps_compiler *c, ps_type type);
int32_t ps_emit_column(ps_compiler *c, const char *name);
/* Division by a positive constant: variant 0 quotient, 1 remainder, 2 floor to a multiple. */
int32_t ps_emit_divide(ps_compiler *c, ps_type type, int32_t a, int64_t divisor, int64_t variant);
/* and, or, xor of two booleans: null at most where one of them is. */
int32_t ps_emit_logic(ps_compiler *c, const ps_op *op, int32_t a, int32_t b);
/* Records an error (status PS_TYPE, PS_INVALID, ...) and answers -1. */
int32_t ps_compiler_fail(ps_compiler *c, ps_status status, const char *format, ...) PS_PRINTF(3, 4);
int32_t ps_compiler_no_memory(ps_compiler *c);

static inline int32_t ps_emit1(ps_compiler *c, const ps_op *op, ps_type type, int32_t a, int64_t i)
{
    return ps_emit(c, op, type, &a, 1, (ps_parameters){.i = i});
}
static inline int32_t ps_emit2(ps_compiler *c, const ps_op *op, ps_type type, int32_t a, int32_t b,
                               int64_t i)
{
    const int32_t pair[2] = {a, b};
    return ps_emit(c, op, type, pair, 2, (ps_parameters){.i = i});
}
static inline ps_type ps_plain(ps_type_id id)
{
    return ps_type_make(id, PS_UNIT_NONE);
}

/* generate.c: the code that computes the value root. Its memory is the arena's. */
void ps_generate(ps_compiler *c, ps_code *code, int32_t root);

/* functions.c: a call of a function by name. */
int32_t ps_bind(ps_compiler *c, const ps_node *node, const int32_t *arguments);

/* convert.c: the same value as another type; strict. */
int32_t ps_convert(ps_compiler *c, int32_t value, ps_type type);
/* What an error that names these types goes on with: advice, or nothing. */
const char *ps_type_advice(ps_type a, ps_type b);
/* Brings values to one type, in place; PS_TYPE names the types when there is none. */
ps_type ps_unify(ps_compiler *c, int32_t *values, int32_t count);
/* Nanoseconds of a unit of a temporal type, 0 for others. */
int64_t ps_unit_ns(ps_type type);
/* compare.c */
int32_t ps_compare_values(ps_compiler *c, ps_compare compare, int32_t a, int32_t b);
/* An untyped null beside another value takes its type; text beside a time is read as a time. */
void ps_adopt(ps_compiler *c, int32_t *a, int32_t *b);

static inline bool ps_type_is_number(ps_type type)
{
    return ps_type_is_integer((ps_type_id)type.id) || ps_type_is_float((ps_type_id)type.id);
}
static inline bool ps_type_is_day(ps_type type)
{
    return type.id == PS_TYPE_DATE32 || type.id == PS_TYPE_DATE64;
}
static inline bool ps_type_is_moment(ps_type type) /* a point of time */
{
    return ps_type_is_day(type) || type.id == PS_TYPE_TIMESTAMP;
}
static inline bool ps_type_is_clock(ps_type type)
{
    return type.id == PS_TYPE_TIME32 || type.id == PS_TYPE_TIME64;
}
static inline bool ps_type_is_bytes(ps_type type) /* text or binary of any layout */
{
    return ps_type_is_var((ps_type_id)type.id) || type.id == PS_TYPE_FIXED_BINARY;
}

#endif
