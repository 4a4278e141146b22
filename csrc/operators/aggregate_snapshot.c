/* aggregate_snapshot.c -- the state as Arrow batches, while rows go on changing it.
 *
 *   progress   one row a shard: watermark, next_window (int64)
 *   groups     key columns | .slice (int64) | one column per accumulator lane (state/agg.h)
 *
 * Only slices are written: group ids, indexes and totals over slices are made again.
 */
#include <string.h>

#include "operators/aggregate_state.h"
#include "operators/snapshot_row.h"

/* A part: some 50 to 100 us, ten times that where rows are wide. */
#define COPY_ROWS 4096
#define COPY_BYTES (1 << 20)
#define COPY_READS 16 /* that find little, as in a small increment of much state */

static const ps_type INT64_TYPE = {.id = PS_TYPE_INT64, .width = 8};

const char *const aggregate_progress_names[AGGREGATE_PROGRESS] = {"watermark", "next_window"};

static ps_status save_progress(aggregate *self, ps_error *err)
{
    const int64_t values[AGGREGATE_PROGRESS] = {self->watermark, self->next_window};
    return ps_snapshot_add_row(&self->op, aggregate_progress_names, values, AGGREGATE_PROGRESS,
                               err);
}

ps_status aggregate_state_schema(ps_operator *op, ps_schema **out, ps_error *err)
{
    aggregate *self = (aggregate *)op;
    ps_schema_builder *builder = NULL;
    const int32_t lanes = ps_agg_lane_count(self->layout);
    PS_TRY(ps_schema_builder_create(self->op.mem, self->key_count + 1 + lanes, &builder, err));
    ps_status status = PS_OK;
    for (int32_t k = 0; status == PS_OK && k < self->key_count; k++) {
        status = ps_schema_builder_copy(builder, &self->op.output->fields[k], NULL, err);
    }
    if (status == PS_OK) {
        status = ps_schema_builder_add(builder, ".slice", &INT64_TYPE, NULL, false, err);
    }
    for (int32_t i = 0; status == PS_OK && i < lanes; i++) {
        char name[PS_AGG_LANE_NAME];
        ps_type type;
        ps_agg_lane_describe(self->layout, i, name, sizeof name, &type);
        status = ps_schema_builder_add(builder, name, &type, NULL, true, err);
    }
    if (status == PS_OK) {
        status = ps_schema_builder_finish(builder, out, err);
    }
    if (status != PS_OK) {
        ps_schema_builder_destroy(builder);
    }
    return status;
}

/* ---- a part of the frozen rows ---- */

static ps_status append_rows(aggregate *self, const ps_freeze_rows *read, int64_t start,
                             int64_t count, ps_error *err)
{
    ps_vector_scratch scratch;
    ps_vector vector;
    ps_batch_builder *out = self->written;
    int32_t column = 0;
    for (int32_t k = 0; k < self->key_count; k++) {
        ps_keymap_load(self->keys, read->gids + start, count, k, &scratch, &vector);
        PS_TRY(ps_batch_builder_append(out, column++, &vector, count, err));
    }
    vector = (ps_vector){.kind = PS_CLASS_I64, .values = read->slices + start};
    PS_TRY(ps_batch_builder_append(out, column++, &vector, count, err));
    const int32_t lanes = ps_agg_lane_count(self->layout);
    for (int32_t i = 0; i < lanes; i++) {
        ps_agg_lane_save(self->layout, i, read->rows + start, count, &scratch, &vector);
        PS_TRY(ps_batch_builder_append(out, column++, &vector, count, err));
    }
    ps_batch_builder_advance(out, count);
    return PS_OK;
}

static ps_status hand_out(aggregate *self, ps_error *err)
{
    ps_batch *batch = NULL;
    ps_batch_builder *taken = self->written;
    self->written = NULL;
    PS_TRY(ps_batch_builder_finish(taken, &batch, err));
    const ps_status status = ps_snapshot_add(&self->op, batch, err);
    ps_batch_release(batch);
    return status;
}

static ps_status ready_batch(aggregate *self, ps_error *err)
{
    if (self->written != NULL) {
        return PS_OK;
    }
    const int64_t live = self->keys == NULL ? 1 : ps_keymap_live(self->keys);
    const int64_t rows = ps_max_i64(
        PS_CHUNK_ROWS, ps_min_i64(live * ps_max_i64(self->frozen.count, 1), PS_BATCH_ROWS_MAX));
    return ps_batch_builder_create(self->op.mem, self->state_schema,
                                   ps_batch_builder_rows(self->state_schema, rows), &self->written,
                                   err);
}

/* The bytes of the texts of each row that was read; in all. */
static int64_t size_texts(const aggregate *self, const ps_freeze_rows *read, int64_t *sizes)
{
    ps_vector_scratch scratch;
    ps_vector vector;
    const ps_field *lanes = &self->state_schema->fields[self->key_count + 1];
    memset(sizes, 0, (size_t)read->count * sizeof *sizes);
    aggregate_key_sizes(self, read->gids, read->count, sizes);
    for (int32_t i = 0; i < ps_agg_lane_count(self->layout); i++) {
        if (ps_type_is_var(lanes[i].type.id)) {
            ps_agg_lane_save(self->layout, i, read->rows, read->count, &scratch, &vector);
            ps_text_sizes_add(&vector, read->count, sizes);
        }
    }
    int64_t sum = 0;
    for (int64_t i = 0; i < read->count; i++) {
        sum += sizes[i];
    }
    return sum;
}

/* All rows of a read, into as many batches as they fill; *bytes is their size. */
static ps_status copy_read(aggregate *self, const ps_freeze_rows *read, int64_t *bytes,
                           ps_error *err)
{
    int64_t sizes[PS_CHUNK_ROWS];
    const int64_t *sized = NULL;
    PS_TRY(ready_batch(self, err));
    *bytes = read->count * self->written->row_bytes;
    if (self->written->has_texts) {
        *bytes +=
            self->keys == NULL ? 0 : ps_keymap_text_bytes(self->keys, read->gids, read->count);
        /* Short keys are not looked at one by one. */
        if (ps_agg_keeps_strings(self->layout) || *bytes > ps_batch_builder_room(self->written)) {
            *bytes = read->count * self->written->row_bytes + size_texts(self, read, sizes);
            sized = sizes;
        }
    }
    for (int64_t at = 0; at < read->count;) {
        PS_TRY(ready_batch(self, err));
        const int64_t fit = ps_batch_builder_fit(self->written, sized == NULL ? NULL : sized + at,
                                                 read->count - at);
        if (fit == 0) {
            PS_TRY(hand_out(self, err));
            continue;
        }
        PS_TRY(append_rows(self, read, at, fit, err));
        at += fit;
    }
    return PS_OK;
}

ps_status aggregate_copy(ps_operator *op, bool *more, ps_error *err)
{
    aggregate *self = (aggregate *)op;
    int64_t rows = 0, bytes = 0;
    for (int reads = 0;
         self->frozen.active && reads < COPY_READS && rows < COPY_ROWS && bytes < COPY_BYTES;
         reads++) {
        ps_freeze_rows read;
        ps_freeze_read(&self->frozen, ps_max_i64(self->read_rows, PS_FREEZE_READ_MIN), &read);
        if (read.count > 0) {
            int64_t size_bytes = 0;
            PS_TRY(copy_read(self, &read, &size_bytes, err));
            rows += read.count;
            bytes += size_bytes;
            /* The next rows are likely to be as wide. */
            self->read_rows = ps_min_i64(COPY_BYTES / (size_bytes / read.count), PS_CHUNK_ROWS);
        }
    }
    *more = self->frozen.active;
    return *more || self->written == NULL ? PS_OK : hand_out(self, err);
}

static ps_status copy_all(aggregate *self, ps_error *err)
{
    bool more = self->frozen.active;
    while (more) {
        PS_TRY(aggregate_copy(&self->op, &more, err));
    }
    return PS_OK;
}

ps_status aggregate_freeze(ps_operator *op, bool all, ps_error *err)
{
    aggregate *self = (aggregate *)op;
    PS_ASSERT(!self->pending);
    if (!all && !self->store.tracks) {
        return ps_fail(err, PS_INVALID, "changes are not tracked: only all state can be written");
    }
    if (op->snapshot == NULL) {
        return PS_OK;
    }
    PS_TRY(copy_all(self, err));
    if (self->state_schema == NULL) {
        PS_TRY(aggregate_state_schema(op, &self->state_schema, err));
    }
    PS_TRY(save_progress(self, err));
    PS_TRY(ps_freeze_begin(&self->frozen, all, err));
    return self->store.tracks ? PS_OK : copy_all(self, err);
}
