/* vector.h -- up to PS_CHUNK_ROWS values in a canonical form, and the way into and out of columns.
 *
 * Kernels, key interning and aggregates work on vectors, so they are written for six value classes
 * and not for every Arrow type:
 *
 *     class       C type     Arrow types
 *     BOOL        uint8_t    bool (0 or 1)
 *     I64         int64_t    signed integers, dates, times, timestamps, durations
 *     U64         uint64_t   unsigned integers
 *     F64         double     float32, float64 (float16 is carried through only)
 *     STR         ps_string  utf8, binary, their large and view forms, fixed_binary, decimal128
 *     NONE        -          null and opaque columns: carried through, never loaded
 *
 * Validity is one byte per row (1 = valid), NULL when no value is null. The value of a null row is
 * unspecified but readable (a null string has size 0).
 * Loading 64-bit values of consecutive rows copies nothing: `values` points into the column.
 */
#ifndef PS_ARROW_VECTOR_H
#define PS_ARROW_VECTOR_H

#include "arrow/batch.h"

typedef enum ps_class {
    PS_CLASS_NONE = 0,
    PS_CLASS_BOOL,
    PS_CLASS_I64,
    PS_CLASS_U64,
    PS_CLASS_F64,
    PS_CLASS_STR,
} ps_class;

typedef struct ps_vector {
    ps_class kind;
    const void *values;
    const uint8_t *valid;
} ps_vector;

/* Room for one loaded vector; 64-byte aligned. */
typedef struct ps_vector_scratch {
    _Alignas(64) uint8_t values[PS_CHUNK_ROWS * 16];
    _Alignas(64) uint8_t valid[PS_CHUNK_ROWS];
} ps_vector_scratch;

ps_class ps_type_class(const ps_type *type);
/* Bytes of one value of a class: 1, 8, 8, 8, 16. */
size_t ps_class_width(ps_class kind);

/* Loads count <= PS_CHUNK_ROWS rows: rows[0..count) when rows is not NULL, else the consecutive
 * rows [start, start + count). Dictionary-encoded columns load their values. */
void ps_vector_load(const ps_column *column, const uint32_t *rows, int64_t start, int64_t count,
                    ps_vector_scratch *scratch, ps_vector *out);

/* Writes one output column of a known number of rows, chunk by chunk. */
typedef struct ps_writer ps_writer;
/* type: plain (no dictionary, not opaque). capacity: rows; the buffers are allocated here, except
 * the bytes of var-length values, which grow. */
PS_MUST_CHECK ps_status ps_writer_create(ps_mem *mem, const ps_type *type, int64_t capacity,
                                         ps_writer **out, ps_error *err);
/* Appends count values (of the class of the writer's type), narrowing to the column's width. An
 * integer that does not fit is PS_OVERFLOW naming the value. */
PS_MUST_CHECK ps_status ps_writer_append(ps_writer *writer, const ps_vector *vector, int64_t count,
                                         ps_error *err);
/* Hands the column over (column->owner has one reference that the caller must release). */
PS_MUST_CHECK ps_status ps_writer_finish(ps_writer *taken, ps_column *out, ps_error *err);
void ps_writer_destroy(ps_writer *writer); /* NULL allowed */
/* Bytes of the texts appended so far. */
int64_t ps_writer_text_bytes(const ps_writer *writer);

#endif
