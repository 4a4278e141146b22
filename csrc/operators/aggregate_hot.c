/* aggregate_hot.c -- the keys with most of the rows, for whoever looks at the metrics.
 *
 *   key columns | .samples (int64): of that key | .of (int64): of all keys of this shard
 *
 * The shard leaves a batch in its mailbox now and then; a reader of another thread takes it.
 */
#include "operators/aggregate_state.h"

enum {
    TOLD = 8,    /* keys */
    LEAST = 64,  /* a key that is told of has at least one of so many samples */
    FIRST = 256, /* samples before anything is said */
    EVERY = 1024,
};

static ps_status hot_schema(aggregate *self, ps_schema **out, ps_error *err)
{
    static const ps_type INT64_TYPE = {.id = PS_TYPE_INT64, .width = 8};
    ps_schema_builder *builder = NULL;
    PS_TRY(ps_schema_builder_create(self->op.mem, self->key_count + 2, &builder, err));
    ps_status status = PS_OK;
    for (int32_t k = 0; status == PS_OK && k < self->key_count; k++) {
        status = ps_schema_builder_copy(builder, &self->op.output->fields[k], NULL, err);
    }
    if (status == PS_OK) {
        status = ps_schema_builder_add(builder, ".samples", &INT64_TYPE, NULL, false, err);
    }
    if (status == PS_OK) {
        status = ps_schema_builder_add(builder, ".of", &INT64_TYPE, NULL, false, err);
    }
    if (status == PS_OK) {
        status = ps_schema_builder_finish(builder, out, err);
    }
    if (status != PS_OK) {
        ps_schema_builder_destroy(builder);
    }
    return status;
}

static ps_status fill(aggregate *self, ps_batch_builder *out, const uint32_t *gids,
                      const int64_t *samples, int64_t count, ps_error *err)
{
    ps_vector_scratch scratch;
    ps_vector vector;
    for (int32_t k = 0; k < self->key_count; k++) {
        ps_keymap_load(self->keys, gids, count, k, &scratch, &vector);
        PS_TRY(ps_batch_builder_append(out, k, &vector, count, err));
    }
    int64_t of[TOLD];
    for (int32_t i = 0; i < TOLD; i++) {
        of[i] = self->hot.samples;
    }
    vector = (ps_vector){.kind = PS_CLASS_I64, .values = samples};
    PS_TRY(ps_batch_builder_append(out, self->key_count, &vector, count, err));
    vector.values = of;
    PS_TRY(ps_batch_builder_append(out, self->key_count + 1, &vector, count, err));
    ps_batch_builder_advance(out, count);
    return PS_OK;
}

static ps_status make_batch(aggregate *self, const uint32_t *gids, const int64_t *samples,
                            int64_t count, ps_batch **out, ps_error *err)
{
    ps_schema *schema = NULL;
    ps_batch_builder *builder = NULL;
    PS_TRY(hot_schema(self, &schema, err));
    ps_status status = ps_batch_builder_create(self->op.mem, schema, TOLD, &builder, err);
    ps_schema_release(schema);
    PS_TRY(status);
    status = fill(self, builder, gids, samples, count, err);
    if (status != PS_OK) {
        ps_batch_builder_destroy(builder);
        return status;
    }
    return ps_batch_builder_finish(builder, out, err);
}

void aggregate_tell_hot_keys(aggregate *self)
{
    uint32_t gids[TOLD];
    int64_t samples[TOLD];
    ps_batch *batch = NULL;
    if (self->hot.fresh < (self->told_hot ? EVERY : FIRST)) {
        return;
    }
    self->hot.fresh = 0;
    self->told_hot = true;
    const int32_t count = ps_hot_keys_top(&self->hot, LEAST, TOLD, gids, samples);
    /* Without memory nothing is told: a metric is not worth the job. */
    if (make_batch(self, gids, samples, count, &batch, NULL) == PS_OK) {
        ps_operator_leave_hot_keys(&self->op, batch);
    }
}
