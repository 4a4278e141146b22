/* snapshot_row.c -- one row of int64 values as a batch of state. */
#include "operators/snapshot_row.h"

#include "arrow/batch_builder.h"

static const ps_type INT64_TYPE = {.id = PS_TYPE_INT64, .width = 8};

ps_status ps_snapshot_row_schema(ps_operator *op, const char *const *names, int32_t count,
                                 ps_schema **out, ps_error *err)
{
    ps_schema_builder *builder = NULL;
    PS_TRY(ps_schema_builder_create(op->mem, count, &builder, err));
    ps_status status = PS_OK;
    for (int32_t i = 0; status == PS_OK && i < count; i++) {
        status = ps_schema_builder_add(builder, names[i], &INT64_TYPE, NULL, false, err);
    }
    if (status == PS_OK) {
        status = ps_schema_builder_finish(builder, out, err);
    }
    if (status != PS_OK) {
        ps_schema_builder_destroy(builder);
    }
    return status;
}

ps_status ps_snapshot_add_row(ps_operator *op, const char *const *names, const int64_t *values,
                              int32_t count, ps_error *err)
{
    ps_schema *schema = NULL;
    ps_batch_builder *builder = NULL;
    ps_batch *batch = NULL;
    PS_TRY(ps_snapshot_row_schema(op, names, count, &schema, err));
    ps_status status = ps_batch_builder_create(op->mem, schema, 1, &builder, err);
    ps_schema_release(schema);
    PS_TRY(status);
    for (int32_t i = 0; status == PS_OK && i < count; i++) {
        const ps_vector value = {.kind = PS_CLASS_I64, .values = &values[i]};
        status = ps_batch_builder_append(builder, i, &value, 1, err);
    }
    if (status != PS_OK) {
        ps_batch_builder_destroy(builder);
        return status;
    }
    ps_batch_builder_advance(builder, 1);
    PS_TRY(ps_batch_builder_finish(builder, &batch, err));
    status = ps_snapshot_add(op, batch, err);
    ps_batch_release(batch);
    return status;
}
