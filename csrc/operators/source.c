/* source.c -- see source.h. */
#include "operators/source.h"

static ps_status on_batch(ps_operator *self, ps_batch *batch, ps_selection *selection,
                          ps_error *err)
{
    ps_stat_add(&self->stats.bytes_in, ps_batch_size_bytes(batch));
    return ps_emit_batch(self, batch, selection, err);
}

static void close_source(ps_operator *self)
{
    ps_operator_fini(self);
    ps_free(self->mem, self, sizeof(*self));
}

static const ps_operator_calls calls = {
    .name = "source",
    .on_batch = on_batch,
    .on_watermark = ps_emit_watermark,
    .on_barrier = ps_emit_barrier,
    .on_end = ps_emit_end,
    .close = close_source,
};

ps_status ps_source_create(ps_mem *mem, ps_schema *schema, ps_operator **out, ps_error *err)
{
    ps_operator *const op = ps_alloc(mem, sizeof(*op));
    if (op == NULL) {
        return ps_mem_refused(mem, sizeof(*op), "a source", err);
    }
    ps_operator_init(op, &calls, mem, schema, schema);
    *out = op;
    return PS_OK;
}
