/* aggregate_restore.c -- state that aggregate_snapshot.c wrote, into any number of shards.
 *
 * A row goes to the shard that owns its key group, so shard counts may differ.
 */
#include <string.h>

#include "operators/aggregate_state.h"
#include "state/key_hash.h"

/* Slices below it belong to no window to come. */
static int64_t first_open_slice(const aggregate *self)
{
    return self->windowed && self->next_window != INT64_MIN
               ? self->next_window * self->edges.per_slide
               : INT64_MIN;
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
    ps_slice_retire(&self->store, first_open_slice(self));
    return PS_OK;
}

/* ---- groups ---- */

typedef struct restore_room {
    int32_t *lanes; /* by lane: the column of the state, -1 = none */
    bool *present;  /* by lane */
    bool incomplete;
    int64_t first_open;
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

/* The rows of open slices whose key group this shard owns. */
static int64_t wanted_rows(const aggregate *self, const ps_batch *state, int64_t start,
                           int64_t count, restore_room *room, uint32_t *wanted)
{
    ps_vector keys[KEYS_MAX];
    uint64_t hashes[PS_CHUNK_ROWS];
    const int64_t *slices = (const int64_t *)state->columns[self->key_count].values + start;
    int64_t found = 0;
    if (self->key_count > 0 && self->op.shard_count > 1) {
        load_keys(self, state, NULL, start, count, room, keys);
        ps_key_hash(keys, self->key_count, count, hashes);
    } else {
        memset(hashes, 0, sizeof hashes);
    }
    for (int64_t i = 0; i < count; i++) {
        const int32_t shard = ps_shard_of_group(ps_key_group(hashes[i]), self->op.shard_count);
        wanted[found] = (uint32_t)(start + i);
        found += (shard == self->op.shard) & (slices[i] >= room->first_open);
    }
    return found;
}

/* The accumulator rows of some state rows, made in their slices. */
static ps_status place_rows(aggregate *self, const int64_t *slices, const uint32_t *gids,
                            int64_t count, uint8_t **rows, ps_error *err)
{
    const int64_t capacity = self->keys == NULL ? 1 : ps_keymap_capacity(self->keys);
    ps_slice *slice = NULL;
    for (int64_t i = 0; i < count; i++) {
        if (slice == NULL || slice->index != slices[i]) {
            PS_TRY(ps_slice_obtain(&self->store, slices[i], &slice, err));
            slice->fresh = false; /* its rows are in a snapshot already */
            PS_TRY(ps_slice_reach(&self->store, slice, capacity, err));
        }
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

static ps_status load_lanes(aggregate *self, const ps_batch *state, const uint32_t *wanted,
                            const int64_t *slices, int64_t count, uint8_t *const *rows,
                            restore_room *room, ps_error *err)
{
    ps_vector lane;
    for (int64_t i = 0; room->incomplete && i < count; i++) {
        memcpy(rows[i], ps_agg_identity(self->layout), self->store.stride);
    }
    for (int32_t i = 0; i < ps_agg_lane_count(self->layout); i++) {
        if (room->lanes[i] >= 0) {
            ps_vector_load(&state->columns[room->lanes[i]], wanted, 0, count, &room->lane, &lane);
            PS_TRY(load_lane(self, i, &lane, slices, count, rows, err));
        }
    }
    return PS_OK;
}

static ps_status restore_chunk(aggregate *self, const ps_batch *state, int64_t start, int64_t count,
                               restore_room *room, ps_error *err)
{
    ps_vector keys[KEYS_MAX], slices;
    uint32_t wanted[PS_CHUNK_ROWS], gids[PS_CHUNK_ROWS] = {0};
    uint8_t *rows[PS_CHUNK_ROWS];
    const int64_t mine = wanted_rows(self, state, start, count, room, wanted);
    if (mine == 0) {
        return PS_OK;
    }
    if (self->keys != NULL) {
        load_keys(self, state, wanted, 0, mine, room, keys);
        PS_TRY(ps_keymap_intern(self->keys, keys, mine, gids, err));
    }
    ps_vector_load(&state->columns[self->key_count], wanted, 0, mine, &room->slices, &slices);
    PS_TRY(place_rows(self, slices.values, gids, mine, rows, err));
    return load_lanes(self, state, wanted, slices.values, mine, rows, room, err);
}

/* ---- whether the state is this query's ---- */

static ps_status check_keys(const aggregate *self, const ps_schema *found, ps_error *err)
{
    const int32_t slice = ps_schema_find(found, ".slice");
    if (slice < 0 || found->fields[slice].type.id != PS_TYPE_INT64) {
        return ps_fail(err, PS_CORRUPT, "the state of an aggregate has no int64 column '.slice'");
    }
    if (slice != self->key_count) {
        return ps_fail(err, PS_CORRUPT,
                       "the state of an aggregate has %d key columns, this query's has %d", slice,
                       self->key_count);
    }
    for (int32_t k = 0; k < self->key_count; k++) {
        const char *name = self->op.output->fields[k].name;
        const ps_type *wanted = ps_program_type(self->key_programs[k]);
        if (strcmp(found->fields[k].name, name) != 0) {
            return ps_fail(err, PS_CORRUPT,
                           "the state of an aggregate is keyed by '%s' where this query has '%s'",
                           found->fields[k].name, name);
        }
        if (ps_type_class(&found->fields[k].type) != ps_type_class(wanted)) {
            return ps_fail(err, PS_CORRUPT, "key '%s' of an aggregate's state has another type",
                           name);
        }
    }
    return PS_OK;
}

/* Another layout where aggregates must count for themselves what they have seen. It stands before
 * the first row is restored, and all pieces of a state have the same columns. */
static ps_status fit_layout(aggregate *self, const ps_schema *found, ps_error *err)
{
    bool changed = false;
    for (int32_t i = 0; i < self->aggregate_count; i++) {
        ps_agg_arg *arg = &self->aggregates[i];
        const bool own = ps_agg_wants_own_count(self->layout, i, found);
        changed |= own != arg->own_count;
        arg->own_count = own;
    }
    if (!changed) {
        ps_agg_adopt(self->layout, found);
        return PS_OK;
    }
    if (self->store.count > 0) {
        return ps_fail(err, PS_CORRUPT, "the state of an aggregate has pieces of several queries");
    }
    ps_agg_layout *layout = NULL;
    PS_TRY(
        ps_agg_layout_create(self->op.mem, self->aggregates, self->aggregate_count, &layout, err));
    aggregate_close_state(self);
    self->layout = layout;
    aggregate_open_state(self);
    ps_agg_adopt(self->layout, found);
    return PS_OK;
}

/* The state's column of each lane. */
static ps_status find_lanes(const aggregate *self, const ps_schema *found, restore_room *room,
                            ps_error *err)
{
    for (int32_t i = 0; i < ps_agg_lane_count(self->layout); i++) {
        char name[PS_AGG_LANE_NAME];
        ps_type type;
        ps_agg_lane_describe(self->layout, i, name, sizeof name, &type);
        const int32_t column = ps_agg_lane_find(self->layout, i, found);
        if (column >= 0 && strcmp(found->fields[column].name, name) == 0 &&
            ps_type_class(&found->fields[column].type) != ps_type_class(&type)) {
            return ps_fail(err, PS_CORRUPT, "column '%s' of an aggregate's state has another type",
                           name);
        }
        room->lanes[i] = column;
        room->present[i] = column >= 0;
        room->incomplete |= column < 0;
    }
    if (room->lanes[0] < 0) {
        return ps_fail(err, PS_CORRUPT, "the state of an aggregate has no count of its rows");
    }
    return ps_agg_check_lanes(self->layout, room->present, err);
}

ps_status aggregate_restore(ps_operator *op, ps_batch *state, ps_error *err)
{
    aggregate *self = (aggregate *)op;
    if (state->column_count == AGGREGATE_PROGRESS &&
        strcmp(state->schema->fields[0].name, aggregate_progress_names[0]) == 0) {
        return restore_progress(self, state, err);
    }
    PS_TRY(check_keys(self, state->schema, err));
    PS_TRY(fit_layout(self, state->schema, err));
    const size_t lanes = (size_t)ps_agg_lane_count(self->layout);
    const size_t bytes = sizeof(restore_room) + lanes * (sizeof(int32_t) + sizeof(bool));
    restore_room *room = ps_alloc(op->mem, bytes);
    if (room == NULL) {
        return ps_mem_refused(op->mem, bytes, "restoring state", err);
    }
    room->lanes = (int32_t *)(room + 1);
    room->present = (bool *)(room->lanes + lanes);
    room->incomplete = false;
    room->first_open = first_open_slice(self);
    ps_status status = find_lanes(self, state->schema, room, err);
    for (int64_t start = 0; status == PS_OK && start < state->length; start += PS_CHUNK_ROWS) {
        status = restore_chunk(self, state, start, ps_min_i64(PS_CHUNK_ROWS, state->length - start),
                               room, err);
    }
    ps_free(op->mem, room, bytes);
    if (self->keys != NULL) {
        /* As after a sweep: restored keys are alive, and looking through them all would hold up the
         * first watermark. */
        self->most_live = ps_keymap_live(self->keys);
        self->sweep_at = ps_max_i64(self->sweep_at, 2 * self->most_live);
    }
    return status;
}
