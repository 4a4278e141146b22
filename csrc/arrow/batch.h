/* batch.h -- a reference-counted record batch: what travels through the engine.
 *
 * A batch is immutable once made and may be shared between threads. Its columns may have different
 * owners, so that selecting, renaming and adding columns copies nothing.
 *
 * late_watermark: present only on batches in which some row lies behind the watermark that the rows
 * before it made (see window/watermark.h): per row, the watermark just before that row. It is what
 * makes lateness independent of how the input was cut into batches.
 * has_times: set by the operator that declares the event time; operators that pick rows carry it
 * on, so that a window knows without looking that all rows fall into one slice.
 * partial: rows of accumulators on their way to the aggregate that combines them, whose own schema
 * this is (operators/pre_aggregate.h); nothing comes between.
 */
#ifndef PS_ARROW_BATCH_H
#define PS_ARROW_BATCH_H

#include "arrow/column.h"

typedef struct ps_batch {
    ps_owner owner;
    ps_mem *mem;
    ps_schema *schema; /* retained */
    int64_t length;
    const int64_t *late_watermark; /* length values or NULL; kept alive by late_owner */
    ps_owner *late_owner;
    bool partial;   /* see above */
    bool has_times; /* every event time lies within [time_low, time_high] */
    int64_t time_low, time_high;
    int32_t column_count;
    ps_column columns[]; /* each with a retained owner */
} ps_batch;

/* Rows of a batch by number, ascending; the result of a filter. Immutable once shared. */
typedef struct ps_selection {
    ps_owner owner;
    ps_mem *mem;
    int64_t count;
    int64_t capacity;
    uint32_t rows[];
} ps_selection;

/* An empty shell with that schema (retained); the caller sets columns with ps_batch_set. */
PS_MUST_CHECK ps_status ps_batch_create(ps_mem *mem, ps_schema *schema, int64_t length,
                                        ps_batch **out, ps_error *err);
/* Stores a column view; retains column->owner. */
void ps_batch_set(ps_batch *batch, int32_t index, const ps_column *column);
/* For a batch made of rows of another. */
static inline void ps_batch_carry_times(const ps_batch *from, ps_batch *to)
{
    to->has_times = from->has_times;
    to->time_low = from->time_low;
    to->time_high = from->time_high;
}
PS_API void ps_batch_retain(ps_batch *batch);
PS_API void ps_batch_release(ps_batch *batch); /* NULL allowed */

/* Moves *array (a struct array matching schema) on success: its release becomes NULL, and the
 * batch's columns keep it alive. Copies nothing. Checks lengths, buffer presence and child counts:
 * PS_CORRUPT names the column. wanted: NULL, or a flag per field; unwanted columns are not looked
 * at and stay zeroed views that must not be read. */
PS_MUST_CHECK ps_status ps_batch_import(ps_mem *mem, ps_schema *schema, ArrowArray *array,
                                        const bool *wanted, ps_batch **out, ps_error *err);
/* Fills *out with a struct array over the same buffers; the receiver releases it, from any
 * thread. */
PS_MUST_CHECK ps_status ps_batch_export(ps_batch *batch, ArrowArray *out, ps_error *err);
/* Rows [start, start + length) as a new batch over the same buffers. */
PS_MUST_CHECK ps_status ps_batch_slice(ps_batch *batch, int64_t start, int64_t length,
                                       ps_batch **out, ps_error *err);
/* The selected rows as a new batch with own buffers (late_watermark included). */
PS_MUST_CHECK ps_status ps_batch_take(ps_batch *batch, const ps_selection *selection,
                                      ps_batch **out, ps_error *err);
/* Bytes that the rows of this view span, column by column (size.h). */
int64_t ps_batch_size_bytes(const ps_batch *batch);

PS_MUST_CHECK ps_status ps_selection_create(ps_mem *mem, int64_t capacity, ps_selection **out,
                                            ps_error *err);
void ps_selection_retain(ps_selection *selection);  /* NULL allowed */
void ps_selection_release(ps_selection *selection); /* NULL allowed */

/* An ArrowArrayStream over a list of batches (retained); the receiver releases it. */
PS_MUST_CHECK ps_status ps_batch_stream_export(ps_mem *mem, ps_schema *schema,
                                               ps_batch *const *batches, int64_t count,
                                               ArrowArrayStream *out, ps_error *err);

#endif
