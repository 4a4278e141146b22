/* batch.c -- making, sharing, slicing and gathering batches; selections. */
#include "arrow/batch.h"

#include <inttypes.h>
#include <string.h>

#include "arrow/size.h"

static size_t batch_bytes(int32_t column_count)
{
    return sizeof(ps_batch) + (size_t)column_count * sizeof(ps_column);
}

static void batch_destroy(ps_owner *owner)
{
    ps_batch *batch = (ps_batch *)owner;
    ps_mem *mem = batch->mem;
    for (int32_t i = 0; i < batch->column_count; i++) {
        ps_owner_release(batch->columns[i].owner);
    }
    ps_owner_release(batch->late_owner);
    ps_schema_release(batch->schema);
    ps_free(mem, batch, batch_bytes(batch->column_count));
    ps_mem_release(mem);
}

ps_status ps_batch_create(ps_mem *mem, ps_schema *schema, int64_t length, ps_batch **out,
                          ps_error *err)
{
    PS_ASSERT(length >= 0);
    const size_t size = batch_bytes(schema->field_count);
    ps_batch *batch = ps_alloc_zeroed(mem, size);
    if (batch == NULL) {
        return ps_mem_refused(mem, size, "a batch", err);
    }
    ps_owner_init(&batch->owner, batch_destroy);
    batch->mem = mem;
    batch->schema = schema;
    batch->length = length;
    batch->column_count = schema->field_count;
    ps_mem_retain(mem);
    ps_schema_retain(schema);
    *out = batch;
    return PS_OK;
}

void ps_batch_set(ps_batch *batch, int32_t index, const ps_column *column)
{
    PS_ASSERT(index >= 0 && index < batch->column_count);
    PS_ASSERT(column->length == batch->length);
    ps_owner *before = batch->columns[index].owner;
    if (column->owner != NULL) {
        ps_owner_retain(column->owner);
    }
    batch->columns[index] = *column;
    ps_owner_release(before);
}

void ps_batch_retain(ps_batch *batch)
{
    ps_owner_retain(&batch->owner);
}

void ps_batch_release(ps_batch *batch)
{
    ps_owner_release(batch == NULL ? NULL : &batch->owner);
}

/* Columns without an owner were not wanted at import: they stay zeroed. */
ps_status ps_batch_slice(ps_batch *batch, int64_t start, int64_t length, ps_batch **out,
                         ps_error *err)
{
    if (start < 0 || length < 0 || start > batch->length || length > batch->length - start) {
        return ps_fail(err, PS_INVALID,
                       "%" PRId64 " rows from row %" PRId64 " on, of a batch of %" PRId64 " rows",
                       length, start, batch->length);
    }
    ps_batch *slice;
    PS_TRY(ps_batch_create(batch->mem, batch->schema, length, &slice, err));
    for (int32_t i = 0; i < batch->column_count; i++) {
        if (batch->columns[i].owner != NULL) {
            ps_column_slice(&batch->columns[i], start, length, &slice->columns[i]);
            ps_owner_retain(slice->columns[i].owner);
        }
    }
    ps_batch_carry_times(batch, slice);
    if (batch->late_watermark != NULL) {
        slice->late_watermark = batch->late_watermark + start;
        slice->late_owner = batch->late_owner;
        ps_owner_retain(slice->late_owner);
    }
    *out = slice;
    return PS_OK;
}

static ps_status take_late(ps_batch *from, const ps_selection *selection, ps_batch *to,
                           ps_error *err)
{
    const size_t size = (size_t)selection->count * sizeof(int64_t);
    ps_block *block = ps_block_create(to->mem, size);
    if (block == NULL) {
        return ps_mem_refused(to->mem, size, "the watermarks of late rows", err);
    }
    int64_t *late = (int64_t *)(void *)block->data;
    for (int64_t i = 0; i < selection->count; i++) {
        late[i] = from->late_watermark[selection->rows[i]];
    }
    to->late_watermark = late;
    to->late_owner = &block->owner;
    return PS_OK;
}

ps_status ps_batch_take(ps_batch *batch, const ps_selection *selection, ps_batch **out,
                        ps_error *err)
{
    ps_batch *taken;
    PS_TRY(ps_batch_create(batch->mem, batch->schema, selection->count, &taken, err));
    ps_status status = PS_OK;
    for (int32_t i = 0; i < batch->column_count && status == PS_OK; i++) {
        if (batch->columns[i].owner != NULL) {
            status = ps_column_take(batch->mem, &batch->columns[i], selection->rows,
                                    selection->count, &taken->columns[i], err);
        }
    }
    ps_batch_carry_times(batch, taken);
    if (batch->late_watermark != NULL && status == PS_OK) {
        status = take_late(batch, selection, taken, err);
    }
    if (status != PS_OK) {
        ps_batch_release(taken);
        return status;
    }
    *out = taken;
    return PS_OK;
}

int64_t ps_batch_size_bytes(const ps_batch *batch)
{
    int64_t bytes = 0;
    for (int32_t i = 0; i < batch->column_count; i++) {
        if (batch->columns[i].owner != NULL) {
            bytes += ps_column_size_bytes(&batch->columns[i]);
        }
    }
    return bytes;
}

/* --- selections ------------------------------------------------------------------------------- */

static size_t selection_bytes(int64_t capacity)
{
    return sizeof(ps_selection) + (size_t)capacity * sizeof(uint32_t);
}

static void selection_destroy(ps_owner *owner)
{
    ps_selection *selection = (ps_selection *)owner;
    ps_mem *mem = selection->mem;
    ps_free(mem, selection, selection_bytes(selection->capacity));
    ps_mem_release(mem);
}

ps_status ps_selection_create(ps_mem *mem, int64_t capacity, ps_selection **out, ps_error *err)
{
    PS_ASSERT(capacity >= 0);
    ps_selection *selection = ps_alloc(mem, selection_bytes(capacity));
    if (selection == NULL) {
        return ps_mem_refused(mem, selection_bytes(capacity), "a selection of rows", err);
    }
    ps_owner_init(&selection->owner, selection_destroy);
    selection->mem = mem;
    selection->count = 0;
    selection->capacity = capacity;
    ps_mem_retain(mem);
    *out = selection;
    return PS_OK;
}

void ps_selection_retain(ps_selection *selection)
{
    if (selection != NULL) {
        ps_owner_retain(&selection->owner);
    }
}

void ps_selection_release(ps_selection *selection)
{
    ps_owner_release(selection == NULL ? NULL : &selection->owner);
}
