/* pystream.c -- the part of the C surface that only joins what other files do: batches at the
 * edge. */
#include "pystream.h"

int64_t ps_batch_length(const ps_batch *batch)
{
    return batch->length;
}

int64_t ps_batch_bytes(const ps_batch *batch)
{
    return ps_batch_size_bytes(batch);
}

/* The array is moved first, so that a failure leaves both with the caller. */
ps_status ps_batch_from_arrow(ps_mem *mem, ArrowSchema *schema, ArrowArray *array, ps_batch **out,
                              ps_error *err)
{
    ps_schema *own;
    PS_TRY(ps_schema_read(mem, schema, &own, err));
    const ps_status status = ps_batch_import(mem, own, array, NULL, out, err);
    ps_schema_release(own);
    if (status == PS_OK) {
        schema->release(schema);
        schema->release = NULL;
    }
    return status;
}

ps_status ps_batch_to_arrow(ps_batch *batch, ArrowSchema *schema, ArrowArray *array, ps_error *err)
{
    PS_TRY(ps_schema_export(batch->schema, schema, err));
    const ps_status status = ps_batch_export(batch, array, err);
    if (status != PS_OK) {
        schema->release(schema);
    }
    return status;
}

ps_status ps_batches_to_stream(ps_mem *mem, const ArrowSchema *schema, ps_batch *const *batches,
                               int64_t count, ArrowArrayStream *out, ps_error *err)
{
    if (count > 0) {
        return ps_batch_stream_export(mem, batches[0]->schema, batches, count, out, err);
    }
    ps_schema *own;
    PS_TRY(ps_schema_read(mem, schema, &own, err));
    const ps_status status = ps_batch_stream_export(mem, own, batches, 0, out, err);
    ps_schema_release(own);
    return status;
}

ps_status ps_message_batch(ps_message *message, ps_batch **out, ps_error *err)
{
    if (message->kind != PS_MESSAGE_BATCH) {
        return ps_fail(err, PS_INVALID, "the message is not a batch (kind %d)", (int)message->kind);
    }
    if (message->selection != NULL) {
        return ps_batch_take(message->batch, message->selection, out, err);
    }
    ps_batch_retain(message->batch);
    *out = message->batch;
    return PS_OK;
}
