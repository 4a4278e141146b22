/* program.h -- a column expression as a checked tree, compiled to a flat list of kernel calls.
 *
 * The caller builds nodes bottom up in a ps_expr (arguments are earlier node numbers) and compiles
 * one root against a schema. A program runs over chunks of at most PS_CHUNK_ROWS rows held in its
 * own scratch registers: literals, common subexpressions and casts are resolved when compiled, so a
 * run is a loop over kernel calls. A program is used by one thread at a time; clone it for another.
 *
 * Functions by name (args -> result; ints are widened to int64, unsigned pairs to uint64):
 *   add subtract multiply (numbers; checked: int overflow is PS_OVERFLOW)  divide (true division ->
 *   float64)  floor_divide modulo (floor semantics as in Python; integer division by zero -> null)
 *   negate abs  | timestamp +/- duration, timestamp - timestamp -> duration
 *   equal not_equal less less_equal greater greater_equal   and or not (Kleene)  xor
 *   is_null is_not_null is_nan coalesce(a, b, ...)  when(cond, then, ..., otherwise)
 *   is_in(x, literal...)  between(x, low, high) (inclusive)
 *   cast (type_argument = Arrow format string; strict: a value that does not fit is an error)
 *   truncate (integer argument: nanoseconds of the interval; plus calendar "month", "quarter",
 *   "year" as text argument)  year month day hour minute second millisecond microsecond nanosecond
 *   weekday (ISO, Monday = 1) ordinal_day date epoch_s epoch_ms epoch_us epoch_ns (UTC)
 *   starts_with ends_with contains (literal pattern) str_length (characters) str_bytes
 *   to_lowercase to_uppercase (ASCII) | min_horizontal max_horizontal | sqrt exp log floor ceil
 *   round
 * Comparing int64 with uint64 or float64 is by value. NaN == NaN is false, as in IEEE.
 * Strings: a function of one dictionary-encoded column and literals runs once per dictionary value.
 */
#ifndef PS_EXPR_PROGRAM_H
#define PS_EXPR_PROGRAM_H

#include "arrow/vector.h"

typedef struct ps_expr ps_expr;       /* a forest of nodes being built */
typedef struct ps_program ps_program; /* compiled */

PS_API PS_MUST_CHECK ps_status ps_expr_create(ps_mem *mem, ps_expr **out, ps_error *err);
/* Another owner (a plan that compiles it again for each shard): destroy then drops one reference.
 * Nodes are only ever added, so a root stays what it was. */
void ps_expr_retain(ps_expr *expr);
PS_API void ps_expr_destroy(ps_expr *expr); /* NULL allowed */

/* Each fills *node with the number of the new node. */
PS_API PS_MUST_CHECK ps_status ps_expr_column(ps_expr *expr, const char *name, int32_t *node,
                                              ps_error *err);
PS_API PS_MUST_CHECK ps_status ps_expr_null(ps_expr *expr, int32_t *node, ps_error *err);
PS_API PS_MUST_CHECK ps_status ps_expr_bool(ps_expr *expr, bool value, int32_t *node,
                                            ps_error *err);
/* type NULL = int64; else a type of class I64 (timestamp, date, duration, ...). */
PS_API PS_MUST_CHECK ps_status ps_expr_i64(ps_expr *expr, int64_t value, const char *format,
                                           int32_t *node, ps_error *err);
PS_API PS_MUST_CHECK ps_status ps_expr_u64(ps_expr *expr, uint64_t value, int32_t *node,
                                           ps_error *err);
PS_API PS_MUST_CHECK ps_status ps_expr_f64(ps_expr *expr, double value, int32_t *node,
                                           ps_error *err);
PS_API PS_MUST_CHECK ps_status ps_expr_string(ps_expr *expr, const char *data, int64_t size_bytes,
                                              bool binary, int32_t *node, ps_error *err);
/* text: type format for cast, unit for truncate, else NULL. integer: interval for truncate, else
 * 0. */
PS_API PS_MUST_CHECK ps_status ps_expr_call(ps_expr *expr, const char *function,
                                            const int32_t *arguments, int32_t count,
                                            const char *text, int64_t integer, int32_t *node,
                                            ps_error *err);

/* Checks and compiles. Unknown column: PS_INVALID with the nearest name. Wrong types: PS_TYPE
 * naming the function and the types found. The program keeps nothing of expr or schema. */
PS_MUST_CHECK ps_status ps_program_compile(ps_mem *mem, const ps_expr *expr, int32_t root,
                                           const ps_schema *schema, ps_program **out,
                                           ps_error *err);
/* An independent copy for another thread. */
PS_MUST_CHECK ps_status ps_program_clone(const ps_program *program, ps_program **out,
                                         ps_error *err);
void ps_program_destroy(ps_program *program); /* NULL allowed */

const ps_type *ps_program_type(const ps_program *program);
/* The column number when the program is nothing but one column, else -1. */
int32_t ps_program_column(const ps_program *program);
/* Sets wanted[i] for every column the program reads. */
void ps_program_columns(const ps_program *program, bool *wanted);
/* Whether the result may be null for this schema's nullability. */
bool ps_program_nullable(const ps_program *program);
/* Forgets what was prepared for a batch (dictionary tables): callers of eval call it before each
 * new batch, run and filter do so themselves. */
void ps_program_begin_batch(ps_program *program);

/* Evaluates count <= PS_CHUNK_ROWS rows as ps_vector_load counts them. *out lives in the program's
 * registers or in the batch until the next call. */
PS_MUST_CHECK ps_status ps_program_eval(ps_program *program, const ps_batch *batch,
                                        const uint32_t *rows, int64_t start, int64_t count,
                                        ps_vector *out, ps_error *err);
/* Evaluates the whole (selected) batch into a new column of ps_program_type; column->owner has one
 * reference for the caller. Plain columns without a selection are shared, with one they are
 * taken. */
PS_MUST_CHECK ps_status ps_program_run(ps_program *program, const ps_batch *batch,
                                       const ps_selection *selection, ps_mem *mem, ps_column *out,
                                       ps_error *err);
/* The same into a block that several columns share, so that a batch takes one allocation. room: the
 * bytes this result takes of it (a multiple of 64), 0 when it is not of fixed width or is shared;
 * then run_into is run. The column retains the block. */
size_t ps_program_room(const ps_program *program, const ps_batch *batch,
                       const ps_selection *selection);
PS_MUST_CHECK ps_status ps_program_run_into(ps_program *program, const ps_batch *batch,
                                            const ps_selection *selection, ps_block *block,
                                            size_t offset, ps_column *out, ps_error *err);
/* A boolean program as a filter: the rows where it is true (null counts as false). *out is NULL
 * when every row passes and selection was NULL; it may have count 0. */
PS_MUST_CHECK ps_status ps_program_filter(ps_program *program, const ps_batch *batch,
                                          const ps_selection *selection, ps_mem *mem,
                                          ps_selection **out, bool *all, ps_error *err);

#endif
