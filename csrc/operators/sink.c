/* sink.c -- see sink.h. */
#include "operators/sink.h"

typedef struct sink_operator {
    ps_operator base;
    ps_outbox *outbox;
} sink_operator;

static ps_status send(ps_operator *self, const ps_message *message, ps_error *err)
{
    return ps_outbox_send(((sink_operator *)self)->outbox, 0, message, err);
}

static ps_status on_batch(ps_operator *self, ps_batch *batch, ps_selection *selection,
                          ps_error *err)
{
    const int64_t bytes = ps_batch_size_bytes(batch);
    ps_message message = ps_message_of(batch, selection, bytes);
    const int64_t rows = ps_message_rows(&message);
    ps_batch_retain(batch);
    ps_selection_retain(selection);
    const ps_status status = send(self, &message, err);
    if (status != PS_OK) {
        ps_message_clear(&message);
        return status;
    }
    ps_stat_add(&self->stats.rows_out, rows);
    ps_stat_add(&self->stats.batches_out, 1);
    ps_stat_add(&self->stats.bytes_out,
                rows == batch->length
                    ? bytes
                    : (int64_t)((double)bytes * (double)rows / (double)batch->length));
    return PS_OK;
}

/* Whoever takes results waits for no watermark, and would be woken for each. */
static ps_status on_watermark(ps_operator *self, int64_t watermark, ps_error *err)
{
    (void)err;
    ps_stat_set(&self->stats.watermark, watermark);
    return PS_OK;
}

static ps_status on_idle(ps_operator *self, bool idle, ps_error *err)
{
    (void)self, (void)idle, (void)err;
    return PS_OK;
}

static ps_status on_barrier(ps_operator *self, int64_t epoch, ps_error *err)
{
    return send(self, &(ps_message){.kind = PS_MESSAGE_BARRIER, .value = epoch}, err);
}

static ps_status on_end(ps_operator *self, ps_error *err)
{
    return send(self, &(ps_message){.kind = PS_MESSAGE_END}, err);
}

static void close_sink(ps_operator *self)
{
    ps_operator_fini(self);
    ps_free(self->mem, self, sizeof(sink_operator));
}

static const ps_operator_calls calls = {
    .name = "sink",
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .on_idle = on_idle,
    .on_barrier = on_barrier,
    .on_end = on_end,
    .close = close_sink,
};

ps_status ps_sink_create(ps_mem *mem, ps_schema *schema, ps_outbox *outbox, ps_operator **out,
                         ps_error *err)
{
    sink_operator *const op = ps_alloc(mem, sizeof(*op));
    if (op == NULL) {
        return ps_mem_refused(mem, sizeof(*op), "a sink", err);
    }
    ps_operator_init(&op->base, &calls, mem, schema, schema);
    op->outbox = outbox;
    *out = &op->base;
    return PS_OK;
}
