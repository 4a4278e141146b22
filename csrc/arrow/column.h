/* column.h -- a typed view of one Arrow array: what every kernel reads.
 *
 * The array's offset is already applied to `values` and `offsets` where bytes allow it; bitmaps
 * keep a bit offset. A column borrows its buffers; `owner` keeps them alive (retained by whoever
 * stores the column beyond a call). Dictionary-encoded columns: `values` are the indices (width of
 * type.index), `dictionary` the values.
 */
#ifndef PS_ARROW_COLUMN_H
#define PS_ARROW_COLUMN_H

#include "arrow/schema.h"

typedef struct ps_column {
    ps_type type;
    int64_t length;
    int64_t null_count;      /* -1 unknown, 0 none */
    const uint8_t *validity; /* bitmap, bit i + validity_bit set = valid; NULL = all valid */
    int64_t validity_bit;
    const void *values;  /* fixed: first value. bool: bitmap from values_bit. var: bytes base.
                                 views: first view. dictionary: first index */
    int64_t values_bit;  /* bool only */
    const void *offsets; /* var with offsets: first offset (int32 or int64) */
    const void *const *view_buffers; /* views: data buffers by index; the entry behind the last one
                                        is the int64 array of their sizes */
    int64_t view_buffer_count;
    const struct ps_column *dictionary; /* inside owner */
    const ArrowArray *array;  /* the imported array (opaque types, dictionaries), inside owner */
    int64_t array_offset;     /* rows of this view past array->offset (past the start of its buffers
                                when array is NULL) */
    const ArrowSchema *arrow; /* opaque: its schema, kept alive by arrow_owner */
    ps_owner *arrow_owner;    /* which owner keeps alive */
    ps_owner *owner;
} ps_column;

/* Bytes of a string or binary value; not terminated. */
typedef struct ps_string {
    const char *data;
    int64_t size_bytes;
} ps_string;

static inline bool ps_bit_get(const uint8_t *bits, int64_t index)
{
    return (bits[index >> 3] >> (index & 7)) & 1;
}
static inline void ps_bit_set(uint8_t *bits, int64_t index)
{
    bits[index >> 3] = (uint8_t)(bits[index >> 3] | (1u << (index & 7)));
}
static inline bool ps_column_is_valid(const ps_column *column, int64_t row)
{
    return column->validity == NULL || ps_bit_get(column->validity, column->validity_bit + row);
}

/* Value `row` of a column of class STR (not dictionary-encoded); empty for a null row, and for
 * bytes that would lie outside the column's buffers. */
ps_string ps_column_string(const ps_column *column, int64_t row);
/* The index of dictionary-encoded row `row` (valid rows only). */
int64_t ps_column_dictionary_index(const ps_column *column, int64_t row);
/* The same rows [start, start + length) without copying. Does not retain. */
void ps_column_slice(const ps_column *column, int64_t start, int64_t length, ps_column *out);
/* Exact null count of the view (counts bits when unknown). */
int64_t ps_column_count_nulls(const ps_column *column);

/* New column of the rows rows[0..count): own buffers, offset zero. Dictionaries and view data
 * buffers are shared, not copied. Handles every type incl. list, struct, map, fixed-size list;
 * union and run-end encoded give PS_UNSUPPORTED. rows must be < column->length. O(count). */
PS_MUST_CHECK ps_status ps_column_take(ps_mem *mem, const ps_column *column, const uint32_t *rows,
                                       int64_t count, ps_column *out, ps_error *err);

#endif
