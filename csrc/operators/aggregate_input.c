/* aggregate_input.c -- rows in: late check, keys to groups, update.
 *
 * Works on chunks of PS_CHUNK_ROWS rows so that every intermediate vector stays in L1 or L2: event
 * times, keys, inputs, group ids and row addresses.
 */
#include <string.h>

#include "operators/aggregate_state.h"
#include "simd/kernels.h"

/* ---- times and slices of a chunk ---- */

typedef struct time_room {
    ps_vector_scratch scratch;
    int64_t shifted[PS_CHUNK_ROWS];
} time_room;

static void load_times(const aggregate *self, aggregate_chunk *c, time_room *room)
{
    if (self->time_column < 0) {
        c->times = NULL;
        c->low = c->high = 0;
        return;
    }
    ps_vector vector;
    ps_vector_load(&c->batch->columns[self->time_column], c->rows, c->start, c->count,
                   &room->scratch, &vector);
    c->times = vector.values;
    if (self->time_shift != 0) {
        for (int64_t i = 0; i < c->count; i++) {
            room->shifted[i] = c->times[i] + self->time_shift;
        }
        c->times = room->shifted;
    }
    if (!self->windowed) {
        c->low = c->high = 0;
        return;
    }
    int64_t low, high;
    ps_simd_kernels()->range_i64(c->times, c->count, &low, &high);
    c->low = ps_edges_slice(&self->edges, low);
    c->high = ps_edges_slice(&self->edges, high);
}

/* ---- keys and values ---- */

static ps_status intern_keys(aggregate *self, const aggregate_chunk *c, uint32_t *gids,
                             ps_error *err)
{
    if (self->keys == NULL) {
        memset(gids, 0, (size_t)c->count * sizeof *gids);
        return PS_OK;
    }
    ps_vector keys[KEYS_MAX];
    for (int32_t k = 0; k < self->key_count; k++) {
        PS_TRY(ps_program_eval(self->key_programs[k], c->batch, c->rows, c->start, c->count,
                               &keys[k], err));
    }
    PS_TRY(ps_keymap_intern(self->keys, keys, c->count, gids, err));
    if (self->watches_keys) {
        ps_hot_keys_add(&self->hot, gids, c->count);
    }
    return PS_OK;
}

/* Adds rows none of which is late. */
static ps_status add_rows(aggregate *self, const aggregate_chunk *c, ps_error *err)
{
    uint32_t gids[PS_CHUNK_ROWS];
    uint8_t *rows[PS_CHUNK_ROWS + PS_AGG_AHEAD];
    if (c->count == 0) {
        return PS_OK;
    }
    PS_TRY(intern_keys(self, c, gids, err));
    if (self->counts_only) {
        return aggregate_count_chunk(self, c, gids, err);
    }
    PS_TRY(aggregate_rows_of_chunk(self, c, gids, rows, err));
    memset(&rows[c->count], 0, PS_AGG_AHEAD * sizeof *rows);
    for (int32_t k = 0; k < self->input_count; k++) {
        PS_TRY(ps_program_eval(self->input_programs[k], c->batch, c->rows, c->start, c->count,
                               &self->inputs[k], err));
    }
    /* add_chunk sees to it that strings have one slice, whose arena this is. */
    ps_arena *strings = NULL;
    if (ps_agg_keeps_strings(self->layout)) {
        PS_ASSERT(c->low == c->high);
        strings = &ps_slice_find(&self->store, c->low)->strings;
    }
    return ps_agg_update(self->layout, rows, self->inputs, c->times, c->count, strings, err);
}

/* ---- late rows ---- */

/* A part of a chunk as a list of its physical rows. */
typedef struct row_list {
    uint32_t rows[PS_CHUNK_ROWS];
    int64_t count;
} row_list;

static uint32_t physical_row(const aggregate_chunk *c, int64_t i)
{
    return c->rows == NULL ? (uint32_t)(c->start + i) : c->rows[i];
}

static ps_status add_part(aggregate *self, const aggregate_chunk *c, ps_error *err);

static ps_status add_list(aggregate *self, const aggregate_chunk *c, row_list *list, ps_error *err)
{
    time_room room;
    aggregate_chunk part = {.batch = c->batch, .rows = list->rows, .count = list->count};
    if (list->count == 0) {
        return PS_OK;
    }
    list->count = 0;
    load_times(self, &part, &room);
    return add_part(self, &part, err);
}

/* Row by row against the watermark, the row's own included. A row late for some of its windows only
 * must not enter those: the windows that its watermark closes are emitted before it is added. */
static ps_status add_checked(aggregate *self, const aggregate_chunk *c, ps_error *err)
{
    const int64_t *own = c->batch->late_watermark;
    row_list kept = {.count = 0};
    int64_t late = 0;
    for (int64_t i = 0; i < c->count; i++) {
        const uint32_t row = physical_row(c, i);
        const int64_t slice = ps_edges_slice(&self->edges, c->times[i]);
        const int64_t mark = own == NULL ? self->watermark : ps_max_i64(own[row], self->watermark);
        if (aggregate_slice_is_late(self, slice, mark)) {
            late++;
            continue;
        }
        const int64_t first = ps_edges_first_window(&self->edges, slice);
        if (mark > self->watermark && self->exact_late &&
            ps_edges_window_end(&self->edges, first) <= mark) {
            PS_TRY(add_list(self, c, &kept, err));
            PS_TRY(aggregate_advance(self, mark, err));
        }
        kept.rows[kept.count++] = row;
    }
    ps_stat_add(&self->op.stats.late_rows, late);
    return add_list(self, c, &kept, err);
}

/* One slice at a time: strings are kept with the slice they belong to. */
static ps_status add_by_slice(aggregate *self, const aggregate_chunk *c, ps_error *err)
{
    for (int64_t slice = c->low; slice <= c->high;) {
        row_list list = {.count = 0};
        int64_t next = INT64_MAX;
        for (int64_t i = 0; i < c->count; i++) {
            const int64_t index = ps_edges_slice(&self->edges, c->times[i]);
            if (index == slice) {
                list.rows[list.count++] = physical_row(c, i);
            } else if (index > slice) {
                next = ps_min_i64(next, index);
            }
        }
        PS_TRY(add_list(self, c, &list, err));
        slice = next;
        if (next == INT64_MAX) {
            break;
        }
    }
    return PS_OK;
}

static ps_status add_part(aggregate *self, const aggregate_chunk *c, ps_error *err)
{
    if (c->low != c->high && ps_agg_keeps_strings(self->layout)) {
        return add_by_slice(self, c, err);
    }
    return add_rows(self, c, err);
}

static ps_status add_chunk(aggregate *self, const ps_batch *batch, const uint32_t *rows,
                           int64_t start, int64_t count, ps_error *err)
{
    time_room room;
    aggregate_chunk c = {.batch = batch, .rows = rows, .start = start, .count = count};
    if (self->batch_in_slice) {
        c.low = c.high = self->batch_slice;
        return add_rows(self, &c, err);
    }
    load_times(self, &c, &room);
    if (self->windowed &&
        (batch->late_watermark != NULL || aggregate_slice_is_late(self, c.low, self->watermark))) {
        return add_checked(self, &c, err);
    }
    return add_part(self, &c, err);
}

/* ---- a batch ---- */

/* A batch known to lie in one slice that is not late needs no look at its times. */
static void look_at_range(aggregate *self, const ps_batch *batch)
{
    self->batch_in_slice = false;
    if (!self->windowed || !batch->has_times || batch->late_watermark != NULL ||
        self->time_shift != 0 || ps_agg_needs_time(self->layout)) {
        return;
    }
    self->batch_slice = ps_edges_slice(&self->edges, batch->time_low);
    self->batch_in_slice = self->batch_slice == ps_edges_slice(&self->edges, batch->time_high) &&
                           !aggregate_slice_is_late(self, self->batch_slice, self->watermark);
}

ps_status aggregate_add(aggregate *self, const ps_batch *batch, const ps_selection *selection,
                        ps_error *err)
{
    look_at_range(self, batch);
    for (int32_t k = 0; k < self->key_count; k++) {
        ps_program_begin_batch(self->key_programs[k]);
    }
    for (int32_t k = 0; k < self->input_count; k++) {
        ps_program_begin_batch(self->input_programs[k]);
    }
    const int64_t count = selection == NULL ? batch->length : selection->count;
    for (int64_t start = 0; start < count; start += PS_CHUNK_ROWS) {
        const uint32_t *rows = selection == NULL ? NULL : &selection->rows[start];
        PS_TRY(add_chunk(self, batch, rows, selection == NULL ? start : 0,
                         ps_min_i64(PS_CHUNK_ROWS, count - start), err));
    }
    return PS_OK;
}
