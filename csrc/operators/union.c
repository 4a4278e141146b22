/* union.c -- see union.h. */
#include "operators/union.h"

#include "queue/merge.h"

typedef struct union_port {
    ps_operator base;
    struct union_operator *owner;
    int32_t index;
} union_port;

typedef struct union_operator {
    ps_operator base;
    ps_merge merge;
    int32_t port_count;
    union_port ports[];
} union_operator;

static size_t union_size(int32_t port_count)
{
    return sizeof(union_operator) + (size_t)port_count * sizeof(union_port);
}

static ps_status port_merge(ps_operator *self, const ps_message *message, ps_error *err)
{
    union_port *const port = (union_port *)self;
    ps_message out[PS_MERGE_OUT_MAX];
    const int32_t count = ps_merge_apply(&port->owner->merge, port->index, message, out);
    for (int32_t i = 0; i < count; i++) {
        PS_TRY(ps_deliver(&port->owner->base, &out[i], err));
    }
    return PS_OK;
}

static ps_status port_on_watermark(ps_operator *self, int64_t watermark, ps_error *err)
{
    const ps_message message = {.kind = PS_MESSAGE_WATERMARK, .value = watermark};
    return port_merge(self, &message, err);
}

static ps_status port_on_idle(ps_operator *self, bool idle, ps_error *err)
{
    const ps_message message = {.kind = PS_MESSAGE_IDLE, .value = idle};
    return port_merge(self, &message, err);
}

static ps_status port_on_barrier(ps_operator *self, int64_t epoch, ps_error *err)
{
    const ps_message message = {.kind = PS_MESSAGE_BARRIER, .value = epoch};
    return port_merge(self, &message, err);
}

static ps_status port_on_end(ps_operator *self, ps_error *err)
{
    const ps_message message = {.kind = PS_MESSAGE_END};
    return port_merge(self, &message, err);
}

static void close_union(ps_operator *self)
{
    union_operator *const op = (union_operator *)self;
    for (int32_t i = 0; i < op->port_count; i++) {
        ps_operator_fini(&op->ports[i].base);
    }
    ps_merge_fini(&op->merge);
    ps_operator_fini(self);
    ps_free(self->mem, op, union_size(op->port_count));
}

static const ps_operator_calls port_calls = {
    .name = "union",
    .on_batch = ps_emit_batch,
    .on_watermark = port_on_watermark,
    .on_idle = port_on_idle,
    .on_barrier = port_on_barrier,
    .on_end = port_on_end,
};

static const ps_operator_calls union_calls = {
    .name = "union",
    .on_batch = ps_emit_batch,
    .on_watermark = ps_emit_watermark,
    .on_barrier = ps_emit_barrier,
    .on_end = ps_emit_end,
    .close = close_union,
};

ps_status ps_union_create(ps_mem *mem, ps_schema *schema, int32_t input_count, ps_operator **out,
                          ps_error *err)
{
    union_operator *const op = ps_alloc_zeroed(mem, union_size(input_count));
    if (op == NULL) {
        return ps_mem_refused(mem, union_size(input_count), "a union", err);
    }
    const ps_status status = ps_merge_init(&op->merge, mem, input_count, err);
    if (status != PS_OK) {
        ps_free(mem, op, union_size(input_count));
        return status;
    }
    ps_operator_init(&op->base, &union_calls, mem, schema, schema);
    op->port_count = input_count;
    for (int32_t i = 0; i < input_count; i++) {
        ps_operator_init(&op->ports[i].base, &port_calls, mem, schema, schema);
        op->ports[i].base.next = &op->base;
        op->ports[i].owner = op;
        op->ports[i].index = i;
    }
    *out = &op->base;
    return PS_OK;
}

ps_operator *ps_union_port(ps_operator *op, int32_t index)
{
    PS_ASSERT(op->calls == &union_calls && index < ((union_operator *)op)->port_count);
    return &((union_operator *)op)->ports[index].base;
}
