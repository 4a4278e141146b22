/* exchange.c -- see exchange.h. */
#include "operators/exchange.h"

#include <string.h>

#include "operators/deal.h"
#include "operators/pre_aggregate.h"
#include "operators/pre_choice.h"
#include "state/key_hash.h"

typedef struct exchange_operator {
    ps_operator base;
    ps_outbox *outbox;
    int32_t key_count;
    ps_program **keys;
    ps_vector *vectors;  /* of one chunk */
    const bool *wanted;  /* columns that somebody downstream reads; NULL: all */
    int64_t *counts;     /* rows a target of one batch */
    uint16_t *targets;   /* of each row of one batch */
    ps_deal_part *parts; /* of one batch, by target */
    uint64_t hashes[PS_CHUNK_ROWS];
    ps_pre_aggregate *pre;      /* NULL: rows travel as they are */
    ps_pre_choice *choice;      /* with pre */
    bool *behind;               /* with pre: targets that have enough to do */
    ps_vector_scratch *scratch; /* with pre: the keys of partials */
} exchange_operator;

/* The targets of hashed rows. */
static void find_targets(const uint64_t *restrict hashes, int64_t count, int32_t target_count,
                         uint16_t *restrict targets)
{
    for (int64_t i = 0; i < count; i++) {
        targets[i] = (uint16_t)ps_shard_of_group(ps_key_group(hashes[i]), target_count);
    }
}

static int64_t count_target(const uint16_t *targets, int64_t count, uint16_t target)
{
    int64_t found = 0;
    for (int64_t start = 0; start < count; start += PS_CHUNK_ROWS) {
        const int64_t end = ps_min_i64(start + PS_CHUNK_ROWS, count);
        uint16_t part = 0; /* as wide as the targets: more lanes */
        for (int64_t i = start; i < end; i++) {
            part = (uint16_t)(part + (targets[i] == target));
        }
        found += part;
    }
    return found;
}

/* Few targets: a look at all rows for each is cheaper than a counter that waits for itself. */
static void count_targets(exchange_operator *op, int64_t rows)
{
    const int32_t target_count = op->outbox->target_count;
    memset(op->counts, 0, ((size_t)target_count + 1) * sizeof(int64_t));
    if (target_count <= PS_DEAL_FEW) {
        for (int32_t i = 0; i < target_count; i++) {
            op->counts[i] = count_target(op->targets, rows, (uint16_t)i);
        }
        return;
    }
    for (int64_t i = 0; i < rows; i++) {
        op->counts[op->targets[i]]++;
    }
}

/* Rows of hot keys belong to nobody: the number behind the last target. */
static uint16_t hot_target(const exchange_operator *op)
{
    return (uint16_t)op->outbox->target_count;
}

/* The keys of a chunk: of partials the first columns. */
static ps_status load_keys(exchange_operator *op, const ps_batch *batch, const uint32_t *numbers,
                           int64_t start, int64_t count, ps_error *err)
{
    for (int32_t k = 0; k < op->key_count; k++) {
        if (batch->partial) {
            ps_vector_load(&batch->columns[k], numbers, start, count, &op->scratch[k],
                           &op->vectors[k]);
        } else {
            const ps_status status =
                ps_program_eval(op->keys[k], batch, numbers, start, count, &op->vectors[k], err);
            PS_TRY(ps_error_place(err, status, PS_AGGREGATE_NAME));
        }
    }
    return PS_OK;
}

/* Finds the target of each of the `rows` rows and counts them. hot: those of hot keys apart. */
static ps_status route(exchange_operator *op, const ps_batch *batch, const ps_selection *selection,
                       int64_t rows, bool hot, ps_error *err)
{
    int64_t hot_rows = 0;
    for (int32_t k = 0; k < op->key_count && !batch->partial; k++) {
        ps_program_begin_batch(op->keys[k]);
    }
    for (int64_t start = 0; start < rows; start += PS_CHUNK_ROWS) {
        const int64_t count = ps_min_i64(rows - start, PS_CHUNK_ROWS);
        const uint32_t *const numbers = selection != NULL ? selection->rows + start : NULL;
        PS_TRY(load_keys(op, batch, numbers, selection != NULL ? 0 : start, count, err));
        ps_key_hash(op->vectors, op->key_count, count, op->hashes);
        find_targets(op->hashes, count, op->outbox->target_count, op->targets + start);
        if (hot) {
            hot_rows += ps_pre_choice_mark(op->choice, op->hashes, count, hot_target(op),
                                           op->targets + start);
        }
        if (op->choice != NULL && !batch->partial) {
            ps_pre_choice_sample(op->choice, op->hashes, count);
        }
    }
    count_targets(op, rows);
    op->counts[hot_target(op)] = hot_rows;
    return PS_OK;
}

/* Sends `batch` with `selection` (a reference of each is taken on success). */
static ps_status send(exchange_operator *op, int32_t target, ps_batch *batch,
                      ps_selection *selection, int64_t size_bytes, ps_error *err)
{
    ps_message message = ps_message_of(batch, selection, size_bytes);
    const int64_t rows = ps_message_rows(&message);
    ps_batch_retain(batch);
    ps_selection_retain(selection);
    const ps_status status = ps_outbox_send(op->outbox, target, &message, err);
    if (status != PS_OK) {
        ps_message_clear(&message);
        return status;
    }
    op->base.emitted++;
    ps_stat_add(&op->base.stats.rows_out, batch->partial ? 0 : rows);
    ps_stat_add(&op->base.stats.rows_shipped, rows);
    ps_stat_add(&op->base.stats.batches_out, 1);
    return PS_OK;
}

/* Sends each target its own rows: dense, or the whole batch with their numbers where columns cannot
 * be dealt. */
static ps_status send_parts(exchange_operator *op, const ps_deal *deal, ps_error *err)
{
    const bool dense = ps_deal_fits(deal->batch, deal->wanted);
    const int64_t whole_bytes = dense ? 0 : ps_batch_size_bytes(deal->batch);
    PS_TRY(ps_deal_out(deal, dense, op->parts, err));
    ps_status status = PS_OK;
    for (int32_t i = 0; i < deal->target_count; i++) {
        ps_deal_part *const part = &op->parts[i];
        if (part->batch != NULL && status == PS_OK) {
            status = send(op, i, part->batch, part->selection,
                          dense ? ps_batch_size_bytes(part->batch) : whole_bytes, err);
        }
        ps_deal_part_release(part);
    }
    return status;
}

/* Sends the routed rows of a batch to their targets. */
static ps_status send_routed(exchange_operator *op, ps_batch *batch, ps_selection *selection,
                             int64_t rows, const bool *wanted, ps_error *err)
{
    const int32_t target_count = op->outbox->target_count;
    for (int32_t i = 0; i < target_count; i++) {
        if (op->counts[i] == rows) {
            return send(op, i, batch, selection, ps_batch_size_bytes(batch), err);
        }
    }
    const ps_deal deal = {.batch = batch,
                          .selection = selection,
                          .wanted = wanted,
                          .targets = op->targets,
                          .target_count = target_count,
                          .counts = op->counts};
    return send_parts(op, &deal, err);
}

/* Rows, or partials, on their way to their owners one by one. */
static ps_status send_rows(exchange_operator *op, ps_batch *batch, ps_selection *selection,
                           int64_t rows, ps_error *err)
{
    PS_TRY(route(op, batch, selection, rows, false, err));
    return send_routed(op, batch, selection, rows, batch->partial ? NULL : op->wanted, err);
}

/* ---- pre-aggregation ---- */

static ps_status send_partials(void *context, ps_batch *partials, ps_error *err)
{
    exchange_operator *const op = context;
    return ps_error_place(err, send_rows(op, partials, NULL, partials->length, err),
                          op->base.calls->name);
}

/* Adds some rows up and sends the totals; the rows themselves when a total leaves its range. */
static ps_status send_totals(exchange_operator *op, ps_batch *batch, ps_selection *selection,
                             int64_t rows, int64_t *partials, ps_error *err)
{
    ps_error overflow;
    ps_error_clear(&overflow);
    const ps_status status =
        ps_pre_aggregate_reduce(op->pre, batch, selection, send_partials, op, partials, &overflow);
    if (status == PS_OVERFLOW) {
        *partials = rows;
        return send_rows(op, batch, selection, rows, err);
    }
    if (status == PS_OK) {
        ps_stat_add(&op->base.stats.rows_out, rows);
    } else if (err != NULL) {
        *err = overflow;
    }
    return status;
}

/* The rows of hot keys as totals, behind the others as they are. */
static ps_status send_hot(exchange_operator *op, ps_batch *batch, ps_selection *selection,
                          int64_t rows, ps_error *err)
{
    PS_TRY(route(op, batch, selection, rows, true, err));
    const ps_deal deal = {.batch = batch,
                          .selection = selection,
                          .targets = op->targets,
                          .target_count = hot_target(op),
                          .counts = op->counts};
    ps_selection *hot = NULL;
    PS_TRY(ps_deal_nobodys(&deal, &hot, err));
    ps_status status = send_routed(op, batch, selection, rows, op->wanted, err);
    if (status == PS_OK && hot->count > 0) {
        int64_t partials;
        status = send_totals(op, batch, hot, hot->count, &partials, err);
    }
    ps_selection_release(hot);
    return status;
}

/* How to send a batch. */
static ps_pre_plan choose(exchange_operator *op, const ps_batch *batch, int64_t rows)
{
    /* Rows behind the watermark are judged one by one, so they travel one by one. */
    if (op->pre == NULL || batch->late_watermark != NULL) {
        return PS_PRE_NONE;
    }
    for (int32_t i = 0; i < op->outbox->target_count; i++) {
        ps_ring *const ring = op->outbox->targets[i].ring;
        op->behind[i] =
            ring != NULL && (ps_ring_has_enough(ring) || !ps_ring_has_room(ring, PS_MESSAGE_BATCH));
    }
    return ps_pre_choice_plan(op->choice, rows, ps_deal_fits(batch, op->wanted));
}

static ps_status on_batch(ps_operator *self, ps_batch *batch, ps_selection *selection,
                          ps_error *err)
{
    exchange_operator *const op = (exchange_operator *)self;
    const int64_t rows = selection != NULL ? selection->count : batch->length;
    if (op->outbox->target_count == 1) {
        return send(op, 0, batch, selection, ps_batch_size_bytes(batch), err);
    }
    PS_CHECK(rows <= PS_BATCH_ROWS_MAX); /* the room in targets */
    int64_t partials = 0;
    switch (choose(op, batch, rows)) {
    case PS_PRE_ALL:
        PS_TRY(send_totals(op, batch, selection, rows, &partials, err));
        ps_pre_choice_learn(op->choice, rows, partials);
        return PS_OK;
    case PS_PRE_HOT: return send_hot(op, batch, selection, rows, err);
    case PS_PRE_NONE: break;
    }
    return send_rows(op, batch, selection, rows, err);
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
    free_array(mem, op->counts, (target_count + 1) * sizeof(int64_t));
    free_array(mem, op->parts, target_count * sizeof(ps_deal_part));
    free_array(mem, op->targets, PS_BATCH_ROWS_MAX * sizeof(uint16_t));
    free_array(mem, op->choice, sizeof *op->choice);
    free_array(mem, op->behind, target_count * sizeof(bool));
    free_array(mem, op->scratch, (size_t)op->key_count * sizeof(ps_vector_scratch));
    ps_pre_aggregate_destroy(op->pre);
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
    op->counts = ps_alloc_zeroed(mem, (target_count + 1) * sizeof(int64_t));
    op->parts = ps_alloc_zeroed(mem, target_count * sizeof(ps_deal_part));
    op->targets = ps_alloc(mem, PS_BATCH_ROWS_MAX * sizeof(uint16_t));
    if (op->keys == NULL || op->vectors == NULL || op->counts == NULL || op->parts == NULL ||
        op->targets == NULL) {
        return ps_mem_refused(mem, PS_BATCH_ROWS_MAX * sizeof(uint16_t), "an exchange", err);
    }
    for (int32_t k = 0; k < op->key_count; k++) {
        PS_TRY(ps_program_clone(keys[k], &op->keys[k], err));
    }
    return PS_OK;
}

ps_status ps_exchange_create(ps_mem *mem, ps_schema *schema, ps_program *const *keys,
                             int32_t key_count, const bool *wanted, ps_outbox *outbox,
                             ps_operator **out, ps_error *err)
{
    PS_CHECK(outbox->target_count == 1 || key_count > 0);
    PS_CHECK(outbox->target_count <= PS_KEY_GROUPS);
    exchange_operator *const op = ps_alloc_zeroed(mem, sizeof(*op));
    if (op == NULL) {
        return ps_mem_refused(mem, sizeof(*op), "an exchange", err);
    }
    ps_operator_init(&op->base, &calls, mem, schema, schema);
    op->outbox = outbox;
    op->wanted = wanted;
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

ps_status ps_exchange_pre_aggregate(ps_operator *self, ps_schema *output,
                                    const ps_aggregate_args *args, ps_error *err)
{
    exchange_operator *const op = (exchange_operator *)self;
    ps_mem *const mem = self->mem;
    ps_pre_mode mode;
    PS_CHECK(op->pre == NULL);
    PS_TRY(ps_pre_mode_wished(&mode, err));
    if (op->outbox->target_count == 1 || mode == PS_PRE_NEVER ||
        ps_pre_aggregate_forbids(args, output) >= 0) {
        return PS_OK;
    }
    const size_t scratch_bytes = (size_t)op->key_count * sizeof(ps_vector_scratch);
    op->choice = ps_alloc_zeroed(mem, sizeof *op->choice);
    op->scratch = ps_alloc(mem, scratch_bytes);
    op->behind = ps_alloc_zeroed(mem, (size_t)op->outbox->target_count * sizeof(bool));
    if (op->choice == NULL || op->scratch == NULL || op->behind == NULL) {
        return ps_mem_refused(mem, scratch_bytes, "a pre-aggregation", err);
    }
    ps_pre_choice_init(op->choice, mode, op->behind, op->outbox->target_count);
    return ps_pre_aggregate_create(mem, self->input, output, args, &op->pre, err);
}
