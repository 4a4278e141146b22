/* batch_builder.c -- writers made, filled and handed over together; constants written once. */
#include "arrow/batch_builder.h"

static size_t builder_bytes(const ps_schema *schema)
{
    return sizeof(ps_batch_builder) + (size_t)schema->field_count * sizeof(ps_column_builder);
}

static int64_t row_bytes(const ps_schema *schema, bool *has_texts)
{
    int64_t bytes = 0;
    *has_texts = false;
    for (int32_t i = 0; i < schema->field_count; i++) {
        const ps_type *type = &schema->fields[i].type;
        const bool text = ps_type_is_var(type->id);
        *has_texts |= text;
        bytes += text ? (int64_t)sizeof(ps_string) : ps_max_i64(type->width, 1);
    }
    return bytes;
}

int64_t ps_batch_builder_rows(const ps_schema *schema, int64_t rows)
{
    bool has_texts;
    const int64_t bytes = ps_max_i64(row_bytes(schema, &has_texts), 1);
    return ps_max_i64(ps_min_i64(rows, PS_BATCH_BYTES_MAX / bytes), 1);
}

ps_status ps_batch_builder_create(ps_mem *mem, ps_schema *schema, int64_t capacity,
                                  ps_batch_builder **out, ps_error *err)
{
    ps_batch_builder *builder = ps_alloc_zeroed(mem, builder_bytes(schema));
    if (builder == NULL) {
        return ps_mem_refused(mem, builder_bytes(schema), "an output batch", err);
    }
    builder->mem = mem;
    builder->schema = schema;
    builder->capacity = capacity;
    builder->row_bytes = row_bytes(schema, &builder->has_texts);
    ps_schema_retain(schema);
    *out = builder;
    return PS_OK;
}

void ps_batch_builder_destroy(ps_batch_builder *builder)
{
    if (builder == NULL) {
        return;
    }
    for (int32_t i = 0; i < builder->schema->field_count; i++) {
        ps_writer_destroy(builder->columns[i].writer);
    }
    ps_mem *mem = builder->mem;
    const size_t bytes = builder_bytes(builder->schema);
    ps_schema_release(builder->schema);
    ps_free(mem, builder, bytes);
}

/* ---- room ---- */

void ps_text_sizes_add(const ps_vector *texts, int64_t count, int64_t *sizes)
{
    const ps_string *strings = texts->values;
    for (int64_t i = 0; i < count; i++) {
        sizes[i] += texts->valid == NULL || texts->valid[i] != 0 ? strings[i].size_bytes : 0;
    }
}

int64_t ps_batch_builder_room(const ps_batch_builder *builder)
{
    int64_t left = PS_BATCH_BYTES_MAX - builder->length * builder->row_bytes;
    for (int32_t i = 0; i < builder->schema->field_count; i++) {
        const ps_writer *writer = builder->columns[i].writer;
        left -= writer == NULL ? 0 : ps_writer_text_bytes(writer);
    }
    return left;
}

int64_t ps_batch_builder_fit(const ps_batch_builder *builder, const int64_t *text_bytes,
                             int64_t count)
{
    const int64_t room = ps_min_i64(count, builder->capacity - builder->length);
    if (text_bytes == NULL) {
        return room;
    }
    int64_t left = ps_batch_builder_room(builder);
    int64_t fit = 0;
    while (fit < room) {
        left -= builder->row_bytes + text_bytes[fit];
        if (left < 0 && builder->length + fit > 0) {
            break;
        }
        fit++;
    }
    return fit;
}

/* ---- constants ---- */

void ps_constant_fini(ps_constant *constant)
{
    ps_owner_release(constant->block == NULL ? NULL : &constant->block->owner);
    *constant = (ps_constant){0};
}

/* A block of at least `rows` times the value: the one held, or a new one of `room` rows. */
static ps_status constant_block(ps_mem *mem, ps_constant *constant, int64_t value, int64_t rows,
                                int64_t room, ps_error *err)
{
    if (constant->block != NULL && constant->value == value && constant->rows >= rows) {
        return PS_OK;
    }
    const size_t bytes = (size_t)room * sizeof(int64_t);
    ps_block *block = ps_block_create(mem, bytes);
    if (block == NULL) {
        return ps_mem_refused(mem, bytes, "a constant column", err);
    }
    int64_t *values = (int64_t *)(void *)block->data;
    for (int64_t i = 0; i < room; i++) {
        values[i] = value;
    }
    ps_constant_fini(constant);
    *constant = (ps_constant){.value = value, .rows = room, .block = block};
    return PS_OK;
}

static ps_status finish_constant(const ps_batch_builder *builder, int32_t index, ps_column *out,
                                 ps_error *err)
{
    const ps_column_builder *column = &builder->columns[index];
    ps_constant own = {0};
    ps_constant *constant = column->constant == NULL ? &own : column->constant;
    PS_TRY(constant_block(builder->mem, constant, column->value, column->repeat,
                          column->constant == NULL ? column->repeat : builder->capacity, err));
    *out = (ps_column){.type = builder->schema->fields[index].type,
                       .length = builder->length,
                       .values = constant->block->data,
                       .owner = &constant->block->owner};
    ps_owner_retain(out->owner);
    ps_constant_fini(&own);
    return PS_OK;
}

/* ---- columns ---- */

static ps_status need_writer(ps_batch_builder *builder, int32_t index, ps_error *err)
{
    ps_column_builder *column = &builder->columns[index];
    if (column->writer == NULL) {
        PS_TRY(ps_writer_create(builder->mem, &builder->schema->fields[index].type,
                                builder->capacity, &column->writer, err));
    }
    /* Rows that were only counted so far come first. */
    int64_t values[PS_CHUNK_ROWS];
    for (int64_t i = 0; i < ps_min_i64(column->repeat, PS_CHUNK_ROWS); i++) {
        values[i] = column->value;
    }
    const ps_vector vector = {.kind = PS_CLASS_I64, .values = values};
    while (column->repeat > 0) {
        const int64_t part = ps_min_i64(column->repeat, PS_CHUNK_ROWS);
        PS_TRY(ps_writer_append(column->writer, &vector, part, err));
        column->repeat -= part;
    }
    return PS_OK;
}

ps_status ps_batch_builder_append(ps_batch_builder *builder, int32_t column,
                                  const ps_vector *vector, int64_t count, ps_error *err)
{
    PS_ASSERT(column >= 0 && column < builder->schema->field_count);
    PS_ASSERT(builder->length + count <= builder->capacity);
    PS_TRY(need_writer(builder, column, err));
    return ps_writer_append(builder->columns[column].writer, vector, count, err);
}

ps_status ps_batch_builder_append_constant(ps_batch_builder *builder, int32_t column, int64_t value,
                                           int64_t count, ps_constant *cache, ps_error *err)
{
    PS_ASSERT(builder->schema->fields[column].type.width == 8);
    PS_ASSERT(builder->length + count <= builder->capacity);
    ps_column_builder *to = &builder->columns[column];
    if (to->writer != NULL || (to->repeat > 0 && to->value != value)) {
        PS_TRY(need_writer(builder, column, err));
    }
    to->constant = cache;
    to->value = value;
    to->repeat += count;
    return PS_OK;
}

static ps_status finish_column(ps_batch_builder *builder, int32_t index, ps_column *out,
                               ps_error *err)
{
    ps_column_builder *column = &builder->columns[index];
    if (column->writer == NULL && column->repeat > 0) {
        return finish_constant(builder, index, out, err);
    }
    PS_TRY(need_writer(builder, index, err));
    PS_TRY(ps_writer_finish(column->writer, out, err));
    column->writer = NULL;
    return PS_OK;
}

ps_status ps_batch_builder_finish(ps_batch_builder *taken, ps_batch **out, ps_error *err)
{
    ps_batch *batch = NULL;
    ps_status status = ps_batch_create(taken->mem, taken->schema, taken->length, &batch, err);
    for (int32_t i = 0; status == PS_OK && i < taken->schema->field_count; i++) {
        ps_column column;
        status = finish_column(taken, i, &column, err);
        if (status == PS_OK) {
            ps_batch_set(batch, i, &column);
            ps_owner_release(column.owner);
        }
    }
    ps_batch_builder_destroy(taken);
    if (status != PS_OK) {
        ps_batch_release(batch);
        return status;
    }
    *out = batch;
    return PS_OK;
}
