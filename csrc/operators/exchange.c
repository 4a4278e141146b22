/* exchange.c -- see exchange.h. */
#include "operators/exchange.h"

#include <string.h>

#include "state/key_hash.h"

typedef struct exchange_operator {
    ps_operator base;
    ps_outbox *outbox;
    int32_t key_count;
    ps_program **keys;
    ps_vector *vectors;   /* of one chunk */
    int64_t *counts;      /* rows a target of one batch */
    uint16_t *targets;    /* of each row of one batch */
    ps_selection **parts; /* of one batch: a target's rows, or NULL */
    uint32_t **cursors;   /* where the next row of each target goes */
    uint64_t hashes[PS_CHUNK_ROWS];
} exchange_operator;

/* Finds the target of each of the `rows` rows and counts them. */
static ps_status route(exchange_operator *op, const ps_batch *batch, const ps_selection *selection,
                       int64_t rows, ps_error *err)
{
    const int32_t target_count = op->outbox->target_count;
    memset(op->counts, 0, (size_t)target_count * sizeof(int64_t));
    for (int32_t k = 0; k < op->key_count; k++) {
        ps_program_begin_batch(op->keys[k]);
    }
    for (int64_t start = 0; start < rows; start += PS_CHUNK_ROWS) {
        const int64_t count = ps_min_i64(rows - start, PS_CHUNK_ROWS);
        const uint32_t *const numbers = selection != NULL ? selection->rows + start : NULL;
        for (int32_t k = 0; k < op->key_count; k++) {
            PS_TRY(
                ps_program_eval(op->keys[k], batch, numbers, start, count, &op->vectors[k], err));
        }
        ps_key_hash(op->vectors, op->key_count, count, op->hashes);
        uint16_t *const targets = op->targets + start;
        for (int64_t i = 0; i < count; i++) {
            const int32_t target = ps_shard_of_group(ps_key_group(op->hashes[i]), target_count);
            targets[i] = (uint16_t)target;
            op->counts[target]++;
        }
    }
    return PS_OK;
}

/* Sends `batch` with `selection` (a reference of each is taken on success). */
static ps_status send(exchange_operator *op, int32_t target, ps_batch *batch,
                      ps_selection *selection, ps_error *err)
{
    ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = batch, .selection = selection};
    const int64_t rows = ps_message_rows(&message);
    ps_batch_retain(batch);
    ps_selection_retain(selection);
    const ps_status status = ps_outbox_send(op->outbox, target, &message, err);
    if (status != PS_OK) {
        ps_message_clear(&message);
        return status;
    }
    op->base.emitted++;
    ps_stat_add(&op->base.stats.rows_out, rows);
    ps_stat_add(&op->base.stats.batches_out, 1);
    return PS_OK;
}

/* A selection for each target that has rows, filled in one pass: the order of rows is kept. */
static ps_status split(exchange_operator *op, const ps_selection *selection, int64_t rows,
                       ps_error *err)
{
    for (int32_t i = 0; i < op->outbox->target_count; i++) {
        if (op->counts[i] > 0) {
            PS_TRY(ps_selection_create(op->base.mem, op->counts[i], &op->parts[i], err));
            op->parts[i]->count = op->counts[i];
            op->cursors[i] = op->parts[i]->rows;
        }
    }
    const uint16_t *const targets = op->targets;
    uint32_t **const cursors = op->cursors;
    if (selection == NULL) {
        for (int64_t i = 0; i < rows; i++) {
            *cursors[targets[i]]++ = (uint32_t)i;
        }
    } else {
        for (int64_t i = 0; i < rows; i++) {
            *cursors[targets[i]]++ = selection->rows[i];
        }
    }
    return PS_OK;
}

static ps_status send_parts(exchange_operator *op, ps_batch *batch, ps_error *err)
{
    for (int32_t i = 0; i < op->outbox->target_count; i++) {
        if (op->parts[i] != NULL) {
            PS_TRY(send(op, i, batch, op->parts[i], err));
        }
    }
    return PS_OK;
}

static ps_status on_batch(ps_operator *self, ps_batch *batch, ps_selection *selection,
                          ps_error *err)
{
    exchange_operator *const op = (exchange_operator *)self;
    const int64_t rows = selection != NULL ? selection->count : batch->length;
    const int32_t target_count = op->outbox->target_count;
    if (target_count == 1) {
        return send(op, 0, batch, selection, err);
    }
    PS_CHECK(rows <= PS_BATCH_ROWS_MAX); /* the room in targets */
    PS_TRY(route(op, batch, selection, rows, err));
    for (int32_t i = 0; i < target_count; i++) {
        if (op->counts[i] == rows) {
            return send(op, i, batch, selection, err);
        }
    }
    ps_status status = split(op, selection, rows, err);
    if (status == PS_OK) {
        status = send_parts(op, batch, err);
    }
    for (int32_t i = 0; i < target_count; i++) {
        ps_selection_release(op->parts[i]);
        op->parts[i] = NULL;
    }
    return status;
}

static ps_status broadcast(ps_operator *self, const ps_message *message, ps_error *err)
{
    self->emitted++;
    return ps_outbox_broadcast(((exchange_operator *)self)->outbox, message, err);
}

static ps_status on_watermark(ps_operator *self, int64_t watermark, ps_error *err)
{
    ps_stat_set(&self->stats.watermark, watermark);
    return broadcast(self, &(ps_message){.kind = PS_MESSAGE_WATERMARK, .value = watermark}, err);
}

static ps_status on_idle(ps_operator *self, bool idle, ps_error *err)
{
    return broadcast(self, &(ps_message){.kind = PS_MESSAGE_IDLE, .value = idle}, err);
}

static ps_status on_barrier(ps_operator *self, int64_t epoch, ps_error *err)
{
    return broadcast(self, &(ps_message){.kind = PS_MESSAGE_BARRIER, .value = epoch}, err);
}

static ps_status on_end(ps_operator *self, ps_error *err)
{
    return broadcast(self, &(ps_message){.kind = PS_MESSAGE_END}, err);
}

static void free_array(ps_mem *mem, void *block, size_t size_bytes)
{
    if (block != NULL) {
        ps_free(mem, block, size_bytes);
    }
}

static void close_exchange(ps_operator *self)
{
    exchange_operator *const op = (exchange_operator *)self;
    ps_mem *const mem = self->mem;
    if (op->keys != NULL) {
        for (int32_t k = 0; k < op->key_count; k++) {
            ps_program_destroy(op->keys[k]);
        }
    }
    free_array(mem, op->keys, (size_t)op->key_count * sizeof(ps_program *));
    free_array(mem, op->vectors, (size_t)op->key_count * sizeof(ps_vector));
    const size_t target_count = (size_t)op->outbox->target_count;
    free_array(mem, op->counts, target_count * sizeof(int64_t));
    free_array(mem, op->parts, target_count * sizeof(ps_selection *));
    free_array(mem, op->cursors, target_count * sizeof(uint32_t *));
    free_array(mem, op->targets, PS_BATCH_ROWS_MAX * sizeof(uint16_t));
    ps_operator_fini(self);
    ps_free(mem, op, sizeof(*op));
}

static const ps_operator_calls calls = {
    .name = "exchange",
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .on_idle = on_idle,
    .on_barrier = on_barrier,
    .on_end = on_end,
    .close = close_exchange,
};

/* What routing needs beyond the operator itself. */
static ps_status prepare(exchange_operator *op, ps_program *const *keys, ps_error *err)
{
    ps_mem *const mem = op->base.mem;
    const size_t key_count = (size_t)op->key_count;
    op->keys = ps_alloc_zeroed(mem, key_count * sizeof(ps_program *));
    op->vectors = ps_alloc_zeroed(mem, key_count * sizeof(ps_vector));
    const size_t target_count = (size_t)op->outbox->target_count;
    op->counts = ps_alloc_zeroed(mem, target_count * sizeof(int64_t));
    op->parts = ps_alloc_zeroed(mem, target_count * sizeof(ps_selection *));
    op->cursors = ps_alloc_zeroed(mem, target_count * sizeof(uint32_t *));
    op->targets = ps_alloc(mem, PS_BATCH_ROWS_MAX * sizeof(uint16_t));
    if (op->keys == NULL || op->vectors == NULL || op->counts == NULL || op->parts == NULL ||
        op->cursors == NULL || op->targets == NULL) {
        return ps_mem_refused(mem, PS_BATCH_ROWS_MAX * sizeof(uint16_t), "an exchange", err);
    }
    for (int32_t k = 0; k < op->key_count; k++) {
        PS_TRY(ps_program_clone(keys[k], &op->keys[k], err));
    }
    return PS_OK;
}

ps_status ps_exchange_create(ps_mem *mem, ps_schema *schema, ps_program *const *keys,
                             int32_t key_count, ps_outbox *outbox, ps_operator **out, ps_error *err)
{
    PS_CHECK(outbox->target_count == 1 || key_count > 0);
    PS_CHECK(outbox->target_count <= PS_KEY_GROUPS);
    exchange_operator *const op = ps_alloc_zeroed(mem, sizeof(*op));
    if (op == NULL) {
        return ps_mem_refused(mem, sizeof(*op), "an exchange", err);
    }
    ps_operator_init(&op->base, &calls, mem, schema, schema);
    op->outbox = outbox;
    if (outbox->target_count > 1) {
        op->key_count = key_count;
        const ps_status status = prepare(op, keys, err);
        if (status != PS_OK) {
            close_exchange(&op->base);
            return status;
        }
    }
    *out = &op->base;
    return PS_OK;
}
