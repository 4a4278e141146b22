/* batch_builder.c -- writers made, filled and handed over together. */
#include "arrow/batch_builder.h"

static size_t builder_bytes(const ps_schema *schema)
{
    return sizeof(ps_batch_builder) + (size_t)schema->field_count * sizeof(ps_writer *);
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
    ps_schema_retain(schema);
    for (int32_t i = 0; i < schema->field_count; i++) {
        const ps_status status =
            ps_writer_create(mem, &schema->fields[i].type, capacity, &builder->writers[i], err);
        if (status != PS_OK) {
            ps_batch_builder_destroy(builder);
            return status;
        }
    }
    *out = builder;
    return PS_OK;
}

void ps_batch_builder_destroy(ps_batch_builder *builder)
{
    if (builder == NULL) {
        return;
    }
    for (int32_t i = 0; i < builder->schema->field_count; i++) {
        ps_writer_destroy(builder->writers[i]);
    }
    ps_mem *mem = builder->mem;
    const size_t bytes = builder_bytes(builder->schema);
    ps_schema_release(builder->schema);
    ps_free(mem, builder, bytes);
}

ps_status ps_batch_builder_append(ps_batch_builder *builder, int32_t column,
                                  const ps_vector *vector, int64_t count, ps_error *err)
{
    PS_ASSERT(column >= 0 && column < builder->schema->field_count);
    PS_ASSERT(builder->length + count <= builder->capacity);
    return ps_writer_append(builder->writers[column], vector, count, err);
}

ps_status ps_batch_builder_finish(ps_batch_builder *taken, ps_batch **out, ps_error *err)
{
    ps_batch *batch = NULL;
    ps_status status = ps_batch_create(taken->mem, taken->schema, taken->length, &batch, err);
    for (int32_t i = 0; status == PS_OK && i < taken->schema->field_count; i++) {
        ps_column column;
        status = ps_writer_finish(taken->writers[i], &column, err);
        if (status == PS_OK) {
            taken->writers[i] = NULL;
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
