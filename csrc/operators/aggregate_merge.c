/* aggregate_merge.c -- partials in: groups that an exchange has added up from rows of one batch.
 *
 *   key columns | .slice (int64) | one column per accumulator lane (state/agg.h)
 *
 * The columns of a snapshot, but combined with what is there instead of put in its place. Whether a
 * row is late is decided by its slice and the watermark; a batch of partials has none of its own
 * (pre_aggregate.h), so all rows of a partial are late or none is.
 */
#include <string.h>

#include "operators/aggregate_state.h"

typedef struct merge_room {
    size_t bytes;
    ps_vector_scratch keys[KEYS_MAX];
    ps_vector_scratch slices;
    ps_vector_scratch lane;
    uint32_t kept[PS_CHUNK_ROWS]; /* physical rows that are not late */
    int32_t *lanes;               /* by lane of ours: the lane of a partial; behind the parts */
    _Alignas(64) uint8_t parts[]; /* accumulator rows of one chunk */
} merge_room;

/* Partials have the lanes of a query that goes on from no state. */
static ps_status ready_room(aggregate *self, const ps_batch *batch, ps_error *err)
{
    if (self->merging != NULL) {
        return PS_OK;
    }
    const int32_t lanes = ps_agg_lane_count(self->layout);
    const size_t parts = PS_CHUNK_ROWS * self->store.stride;
    const size_t bytes = sizeof(merge_room) + parts + (size_t)lanes * sizeof(int32_t);
    self->merging = ps_alloc(self->op.mem, bytes);
    if (self->merging == NULL) {
        return ps_mem_refused(self->op.mem, bytes, "combining partial aggregates", err);
    }
    self->merging->bytes = bytes;
    self->merging->lanes = (int32_t *)(void *)(self->merging->parts + parts);
    for (int32_t k = 0; k < lanes; k++) {
        self->merging->lanes[k] = ps_agg_lane_find_partial(self->layout, k, batch->schema);
        PS_CHECK(self->merging->lanes[k] > self->key_count);
    }
    return PS_OK;
}

void aggregate_merge_fini(aggregate *self)
{
    if (self->merging != NULL) {
        ps_free(self->op.mem, self->merging, self->merging->bytes);
        self->merging = NULL;
    }
}

/* Counts the rows that partials stand for, and leaves the late partials out. */
static int64_t keep_rows(aggregate *self, const ps_batch *batch, const uint32_t *rows,
                         int64_t start, int64_t count, int64_t *stand_for)
{
    merge_room *const room = self->merging;
    ps_vector slices, weights;
    ps_vector_load(&batch->columns[self->key_count], rows, start, count, &room->slices, &slices);
    ps_vector_load(&batch->columns[self->key_count + 1], rows, start, count, &room->lane, &weights);
    const int64_t *const index = slices.values;
    const int64_t *const weight = weights.values;
    int64_t kept = 0, late = 0;
    for (int64_t i = 0; i < count; i++) {
        room->kept[kept] = rows != NULL ? rows[i] : (uint32_t)(start + i);
        *stand_for += weight[i];
        if (self->windowed && aggregate_slice_is_late(self, index[i], self->watermark)) {
            late += weight[i];
        } else {
            kept++;
        }
    }
    ps_stat_add(&self->op.stats.late_rows, late);
    return kept;
}

static ps_status load_parts(aggregate *self, const ps_batch *batch, int64_t count, ps_error *err)
{
    merge_room *const room = self->merging;
    uint8_t *parts[PS_CHUNK_ROWS];
    for (int64_t i = 0; i < count; i++) {
        parts[i] = room->parts + (size_t)i * self->store.stride;
    }
    const int32_t lanes = ps_agg_lane_count(self->layout);
    for (int32_t k = 0; k < lanes; k++) {
        ps_vector lane;
        ps_vector_load(&batch->columns[room->lanes[k]], room->kept, 0, count, &room->lane, &lane);
        PS_TRY(ps_agg_lane_load(self->layout, k, &lane, parts, count, NULL, err));
    }
    return PS_OK;
}

/* Combines the first `count` of room->kept. */
static ps_status merge_kept(aggregate *self, const ps_batch *batch, int64_t count, ps_error *err)
{
    merge_room *const room = self->merging;
    ps_vector keys[KEYS_MAX], slices;
    uint32_t gids[PS_CHUNK_ROWS];
    uint8_t *rows[PS_CHUNK_ROWS];
    for (int32_t k = 0; k < self->key_count; k++) {
        ps_vector_load(&batch->columns[k], room->kept, 0, count, &room->keys[k], &keys[k]);
    }
    if (self->keys == NULL) {
        memset(gids, 0, sizeof gids);
    } else {
        PS_TRY(ps_keymap_intern(self->keys, keys, count, gids, err));
    }
    ps_vector_load(&batch->columns[self->key_count], room->kept, 0, count, &room->slices, &slices);
    PS_TRY(aggregate_rows_of_slices(self, slices.values, gids, count, rows, err));
    PS_TRY(load_parts(self, batch, count, err));
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *part = room->parts + (size_t)i * self->store.stride;
        PS_TRY(ps_agg_combine(self->layout, rows[i], part, 1, err));
        if (self->watches_keys) {
            ps_hot_keys_add_rows(&self->hot, gids[i], (int64_t)ps_agg_rows(part));
        }
    }
    return PS_OK;
}

ps_status aggregate_merge(aggregate *self, ps_batch *batch, const ps_selection *selection,
                          ps_error *err)
{
    PS_ASSERT(batch->late_watermark == NULL && !ps_agg_keeps_strings(self->layout));
    PS_TRY(ready_room(self, batch, err));
    const int64_t count = selection == NULL ? batch->length : selection->count;
    int64_t stand_for = 0;
    for (int64_t start = 0; start < count; start += PS_CHUNK_ROWS) {
        const uint32_t *rows = selection == NULL ? NULL : &selection->rows[start];
        const int64_t part = ps_min_i64(PS_CHUNK_ROWS, count - start);
        const int64_t kept =
            keep_rows(self, batch, rows, selection == NULL ? start : 0, part, &stand_for);
        if (kept > 0) {
            PS_TRY(merge_kept(self, batch, kept, err));
        }
    }
    ps_stat_add(&self->op.stats.rows_in, stand_for - count);
    return PS_OK;
}
