/* batch_builder.h -- one output batch, filled chunk by chunk: a writer per column. */
#ifndef PS_ARROW_BATCH_BUILDER_H
#define PS_ARROW_BATCH_BUILDER_H

#include "arrow/vector.h"

/* One value in every row, as a block that batches share: what a window's start and end are. */
typedef struct ps_constant {
    int64_t value;
    int64_t rows; /* in block */
    ps_block *block;
} ps_constant;

void ps_constant_fini(ps_constant *constant);

typedef struct ps_column_builder {
    ps_writer *writer; /* made at the first append */
    int64_t repeat;    /* rows of `value` that are not in the writer, which is then NULL */
    int64_t value;
    ps_constant *constant; /* borrowed cache of the block, or NULL */
} ps_column_builder;

typedef struct ps_batch_builder {
    ps_mem *mem;
    ps_schema *schema; /* retained */
    int64_t capacity;
    int64_t length;    /* rows appended, kept by the caller through ps_batch_builder_advance */
    int64_t row_bytes; /* of a row, without those of its texts */
    bool has_texts;
    ps_column_builder columns[];
} ps_batch_builder;

/* As many of these rows as PS_BATCH_BYTES_MAX hold without the bytes of their texts, at least one:
 * the capacity of a batch that leaves when it is full. */
int64_t ps_batch_builder_rows(const ps_schema *schema, int64_t rows);
PS_MUST_CHECK ps_status ps_batch_builder_create(ps_mem *mem, ps_schema *schema, int64_t capacity,
                                                ps_batch_builder **out, ps_error *err);
void ps_batch_builder_destroy(ps_batch_builder *builder); /* NULL allowed */
/* Appends count values to one column; every column gets the same rows, then advance counts them. */
PS_MUST_CHECK ps_status ps_batch_builder_append(ps_batch_builder *builder, int32_t column,
                                                const ps_vector *vector, int64_t count,
                                                ps_error *err);
/* The same value count times, for an 8-byte integer or temporal column. While every row of a column
 * has one value nothing is written: finish takes a block of it from `cache` (NULL: makes one),
 * which the caller keeps from batch to batch and ends with ps_constant_fini. */
PS_MUST_CHECK ps_status ps_batch_builder_append_constant(ps_batch_builder *builder, int32_t column,
                                                         int64_t value, int64_t count,
                                                         ps_constant *cache, ps_error *err);
/* Bytes that there is room for within PS_BATCH_BYTES_MAX; below 0 behind a row that was larger. */
int64_t ps_batch_builder_room(const ps_batch_builder *builder);
/* How many of the next rows there is room for, in rows and in bytes. text_bytes: of the texts of
 * each row; NULL: what there is of them fits. An empty batch has room for one row of any size. */
int64_t ps_batch_builder_fit(const ps_batch_builder *builder, const int64_t *text_bytes,
                             int64_t count);
/* Adds the bytes of each text of a column. */
void ps_text_sizes_add(const ps_vector *texts, int64_t count, int64_t *sizes);
static inline void ps_batch_builder_advance(ps_batch_builder *builder, int64_t count)
{
    builder->length += count;
}
/* The batch of what was appended, one reference for the caller. The builder is gone either way. */
PS_MUST_CHECK ps_status ps_batch_builder_finish(ps_batch_builder *taken, ps_batch **out,
                                                ps_error *err);

#endif
