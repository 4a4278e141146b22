/* aggregate_snapshot.c -- the state as Arrow batches, and back into any number of shards.
 *
 *   progress   one row a shard: watermark, next_window (int64)
 *   groups     key columns | slice (int64) | one column per accumulator lane (state/agg.h)
 *
 * Only slices are written: group ids, indexes and totals over slices are made again. Restoring
 * sends a row to the shard that owns its key group, so shard counts may differ.
 */
#include <string.h>

#include "operators/aggregate_state.h"
#include "operators/snapshot_row.h"
#include "state/key_hash.h"

#define PROGRESS_COLUMNS 2

static const ps_type INT64_TYPE = {.id = PS_TYPE_INT64, .width = 8};

static ps_status emit_state(aggregate *self, ps_batch_builder *taken, ps_error *err)
{
    ps_batch *batch = NULL;
    PS_TRY(ps_batch_builder_finish(taken, &batch, err));
    const ps_status status = ps_snapshot_add(&self->op, batch, err);
    ps_batch_release(batch);
    return status;
}

/* ---- progress ---- */

static ps_status save_progress(aggregate *self, ps_error *err)
{
    static const char *const NAMES[PROGRESS_COLUMNS] = {"watermark", "next_window"};
    const int64_t values[PROGRESS_COLUMNS] = {self->watermark, self->next_window};
    return ps_snapshot_add_row(&self->op, NAMES, values, PROGRESS_COLUMNS, err);
}

static ps_status restore_progress(aggregate *self, const ps_batch *state, ps_error *err)
{
    if (state->columns[0].type.id != PS_TYPE_INT64 || state->columns[1].type.id != PS_TYPE_INT64) {
        return ps_fail(err, PS_CORRUPT, "the progress of an aggregate must be two int64 columns");
    }
    for (int64_t i = 0; i < state->length; i++) {
        const int64_t watermark = ((const int64_t *)state->columns[0].values)[i];
        const int64_t window = ((const int64_t *)state->columns[1].values)[i];
        self->watermark = ps_max_i64(self->watermark, watermark);
        self->next_window = ps_max_i64(self->next_window, window);
    }
    return PS_OK;
}

/* ---- groups ---- */

static ps_status groups_schema(aggregate *self, ps_schema **out, ps_error *err)
{
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
        char name[96];
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

static ps_status append_state(aggregate *self, ps_batch_builder *out, int64_t slice,
                              const uint32_t *gids, const uint8_t *const *rows, int64_t count,
                              ps_error *err)
{
    ps_vector_scratch scratch;
    ps_vector vector;
    int32_t column = 0;
    for (int32_t k = 0; k < self->key_count; k++) {
        ps_keymap_load(self->keys, gids, count, k, &scratch, &vector);
        PS_TRY(ps_batch_builder_append(out, column++, &vector, count, err));
    }
    for (int64_t i = 0; i < count; i++) {
        ((int64_t *)(void *)scratch.values)[i] = slice;
    }
    vector = (ps_vector){.kind = PS_CLASS_I64, .values = scratch.values};
    PS_TRY(ps_batch_builder_append(out, column++, &vector, count, err));
    const int32_t lanes = ps_agg_lane_count(self->layout);
    for (int32_t i = 0; i < lanes; i++) {
        ps_agg_lane_save(self->layout, i, rows, count, &scratch, &vector);
        PS_TRY(ps_batch_builder_append(out, column++, &vector, count, err));
    }
    ps_batch_builder_advance(out, count);
    return PS_OK;
}

/* One part of a chunk of rows; *out is made when needed and handed on when full. */
static ps_status save_rows(aggregate *self, ps_schema *schema, const ps_slice *slice,
                           int64_t first_gid, const uint8_t *rows, int64_t count,
                           ps_batch_builder **out, ps_error *err)
{
    uint32_t gids[PS_CHUNK_ROWS];
    const uint8_t *found[PS_CHUNK_ROWS];
    const int64_t present = aggregate_present(self, rows, count, (uint32_t)first_gid, gids, found);
    if (present == 0) {
        return PS_OK;
    }
    if (*out != NULL && (*out)->length + present > (*out)->capacity) {
        ps_batch_builder *taken = *out;
        *out = NULL;
        PS_TRY(emit_state(self, taken, err));
    }
    if (*out == NULL) {
        const int64_t live = self->keys == NULL ? 1 : ps_keymap_live(self->keys);
        const int64_t capacity =
            ps_max_i64(PS_CHUNK_ROWS, ps_min_i64(live * self->store.count, PS_BATCH_ROWS_MAX));
        PS_TRY(ps_batch_builder_create(self->op.mem, schema, capacity, out, err));
    }
    return append_state(self, *out, slice->index, gids, found, present, err);
}

static ps_status save_slices(aggregate *self, ps_schema *schema, ps_batch_builder **out,
                             ps_error *err)
{
    for (int64_t s = 0; s < self->store.count; s++) {
        const ps_slice *slice = self->store.slices[s];
        for (int64_t k = 0; k < slice->chunk_room; k++) {
            const int64_t rows = ps_slice_chunk_rows(slice, k);
            for (int64_t at = 0; at < rows; at += PS_CHUNK_ROWS) {
                PS_TRY(save_rows(self, schema, slice, k * PS_SLICE_ROWS + at,
                                 slice->chunks[k] + (size_t)at * self->store.stride,
                                 ps_min_i64(PS_CHUNK_ROWS, rows - at), out, err));
            }
        }
    }
    return PS_OK;
}

static ps_status save_groups(aggregate *self, ps_error *err)
{
    ps_schema *schema = NULL;
    ps_batch_builder *out = NULL;
    PS_TRY(groups_schema(self, &schema, err));
    ps_status status = save_slices(self, schema, &out, err);
    ps_schema_release(schema);
    if (status != PS_OK) {
        ps_batch_builder_destroy(out);
        return status;
    }
    return out == NULL ? PS_OK : emit_state(self, out, err);
}

ps_status aggregate_on_barrier(ps_operator *op, int64_t epoch, ps_error *err)
{
    aggregate *self = (aggregate *)op;
    PS_TRY(aggregate_finish_pending(self, err));
    if (op->snapshot != NULL) {
        PS_TRY(save_progress(self, err));
        PS_TRY(save_groups(self, err));
    }
    return ps_emit_barrier(op, epoch, err);
}

/* The rows of this chunk whose key group this shard owns. */
static int64_t owned_rows(const aggregate *self, const ps_vector *keys, int64_t count,
                          uint32_t *owned)
{
    uint64_t hashes[PS_CHUNK_ROWS];
    int64_t found = 0;
    if (self->key_count > 0) {
        ps_key_hash(keys, self->key_count, count, hashes);
    }
    for (int64_t i = 0; i < count; i++) {
        const int32_t shard =
            self->key_count == 0 ? 0
                                 : ps_shard_of_group(ps_key_group(hashes[i]), self->op.shard_count);
        owned[found] = (uint32_t)i;
        found += shard == self->op.shard;
    }
    return found;
}

typedef struct restore_room {
    ps_vector_scratch keys[KEYS_MAX];
    ps_vector_scratch lane;
    ps_vector_scratch slices;
} restore_room;

static void load_keys(const aggregate *self, const ps_batch *state, const uint32_t *rows,
                      int64_t start, int64_t count, restore_room *room, ps_vector *keys)
{
    for (int32_t k = 0; k < self->key_count; k++) {
        ps_vector_load(&state->columns[k], rows, start, count, &room->keys[k], &keys[k]);
    }
}

/* The accumulator rows of some state rows, made in their slices. */
static ps_status place_rows(aggregate *self, const int64_t *slices, const uint32_t *gids,
                            int64_t count, uint8_t **rows, ps_error *err)
{
    const int64_t capacity = self->keys == NULL ? 1 : ps_keymap_capacity(self->keys);
    ps_slice *slice = NULL;
    for (int64_t i = 0; i < count; i++) {
        PS_TRY(ps_slice_obtain(&self->store, slices[i], &slice, err));
        PS_TRY(ps_slice_reach(&self->store, slice, capacity, err));
        rows[i] = aggregate_row(self, slice, gids[i]);
        if (rows[i] == NULL) {
            return ps_mem_refused(self->op.mem, self->store.chunk_bytes, "restored state", err);
        }
    }
    return PS_OK;
}

/* One lane of some state rows; stretches of one slice share its arena. */
static ps_status load_lane(aggregate *self, int32_t number, const ps_vector *lane,
                           const int64_t *slices, int64_t count, uint8_t *const *rows,
                           ps_error *err)
{
    const size_t width = ps_class_width(lane->kind);
    for (int64_t at = 0, end; at < count; at = end) {
        end = at + 1;
        while (end < count && slices[end] == slices[at]) {
            end++;
        }
        const ps_vector part = {
            .kind = lane->kind,
            .values = (const uint8_t *)lane->values + (size_t)at * width,
            .valid = lane->valid == NULL ? NULL : lane->valid + at,
        };
        PS_TRY(ps_agg_lane_load(self->layout, number, &part, &rows[at], end - at,
                                &ps_slice_find(&self->store, slices[at])->strings, err));
    }
    return PS_OK;
}

static ps_status restore_chunk(aggregate *self, const ps_batch *state, int64_t start, int64_t count,
                               restore_room *room, ps_error *err)
{
    ps_vector keys[KEYS_MAX], slices, lane;
    uint32_t owned[PS_CHUNK_ROWS], gids[PS_CHUNK_ROWS] = {0};
    uint8_t *rows[PS_CHUNK_ROWS];
    load_keys(self, state, NULL, start, count, room, keys);
    const int64_t mine = owned_rows(self, keys, count, owned);
    if (mine == 0) {
        return PS_OK;
    }
    for (int64_t i = 0; i < mine; i++) {
        owned[i] += (uint32_t)start;
    }
    if (self->keys != NULL) {
        load_keys(self, state, owned, 0, mine, room, keys);
        PS_TRY(ps_keymap_intern(self->keys, keys, mine, gids, err));
    }
    ps_vector_load(&state->columns[self->key_count], owned, 0, mine, &room->slices, &slices);
    PS_TRY(place_rows(self, slices.values, gids, mine, rows, err));
    for (int32_t i = 0; i < ps_agg_lane_count(self->layout); i++) {
        ps_vector_load(&state->columns[self->key_count + 1 + i], owned, 0, mine, &room->lane,
                       &lane);
        PS_TRY(load_lane(self, i, &lane, slices.values, mine, rows, err));
    }
    return PS_OK;
}

static ps_status check_groups(const aggregate *self, const ps_batch *state, ps_error *err)
{
    const int32_t columns = self->key_count + 1 + ps_agg_lane_count(self->layout);
    if (state->column_count != columns) {
        return ps_fail(
            err, PS_CORRUPT,
            "the state of this aggregate has %d columns, the one given %d: it belongs to "
            "another query",
            columns, state->column_count);
    }
    if (state->columns[self->key_count].type.id != PS_TYPE_INT64) {
        return ps_fail(err, PS_CORRUPT, "column '.slice' of an aggregate's state must be int64");
    }
    for (int32_t k = 0; k < self->key_count; k++) {
        const ps_type *wanted = ps_program_type(self->key_programs[k]);
        if (ps_type_class(&state->columns[k].type) != ps_type_class(wanted)) {
            return ps_fail(err, PS_CORRUPT, "key '%s' of an aggregate's state has another type",
                           self->op.output->fields[k].name);
        }
    }
    return PS_OK;
}

ps_status aggregate_restore(ps_operator *op, ps_batch *state, ps_error *err)
{
    aggregate *self = (aggregate *)op;
    if (state->column_count == PROGRESS_COLUMNS &&
        strcmp(state->schema->fields[0].name, "watermark") == 0) {
        return restore_progress(self, state, err);
    }
    PS_TRY(check_groups(self, state, err));
    restore_room *room = ps_alloc(op->mem, sizeof *room);
    if (room == NULL) {
        return ps_mem_refused(op->mem, sizeof *room, "restoring state", err);
    }
    ps_status status = PS_OK;
    for (int64_t start = 0; status == PS_OK && start < state->length; start += PS_CHUNK_ROWS) {
        status = restore_chunk(self, state, start, ps_min_i64(PS_CHUNK_ROWS, state->length - start),
                               room, err);
    }
    ps_free(op->mem, room, sizeof *room);
    return status;
}
