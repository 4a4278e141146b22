/* aggregate_rows.c -- groups to accumulator rows: which slice a row of input belongs to, and where
 * in it the row of its group is.
 *
 * Addresses are made for a whole chunk, then used: the loop that updates can ask for them ahead.
 */
#include <string.h>

#include "operators/aggregate_state.h"
#include "simd/kernels.h"

#define NEAR_SLICES 16 /* slices of one chunk told apart by comparisons instead of divisions */

static ps_status rows_refused(const aggregate *self, ps_error *err)
{
    return ps_mem_refused(self->op.mem, self->store.chunk_bytes, "accumulators of a window", err);
}

/* The slice, ready for every group interned so far. */
static ps_status ready_slice(aggregate *self, int64_t index, ps_slice **out, ps_error *err)
{
    const int64_t capacity = self->keys == NULL ? 1 : ps_keymap_capacity(self->keys);
    PS_TRY(ps_slice_obtain(&self->store, index, out, err));
    PS_TRY(ps_slice_reach(&self->store, *out, capacity, err));
    ps_panes_touch(&self->panes, index);
    return PS_OK;
}

static ps_status rows_of_one(aggregate *self, const aggregate_chunk *c, const uint32_t *gids,
                             uint8_t **rows, ps_error *err)
{
    ps_slice *slice = NULL;
    PS_TRY(ready_slice(self, c->low, &slice, err));
    PS_TRY(aggregate_touch(self, slice, gids, c->count, err));
    for (int64_t i = 0; i < c->count; i++) {
        rows[i] = aggregate_row(self, slice, gids[i]);
        if (PS_UNLIKELY(rows[i] == NULL)) {
            return rows_refused(self, err);
        }
    }
    return PS_OK;
}

/* seen: the slices that have rows, as bits. While all of them are to be marked and none is frozen,
 * marking is one loop. */
static ps_status touch_near(aggregate *self, const aggregate_chunk *c, const uint32_t *gids,
                            const uint8_t *places, ps_slice *const *slices, uint32_t seen,
                            ps_error *err)
{
    uint64_t *marks[NEAR_SLICES];
    uint32_t some[PS_CHUNK_ROWS];
    bool apart = false;
    for (uint32_t left = seen; left != 0; left &= left - 1) {
        const int place = __builtin_ctz(left);
        marks[place] = slices[place]->changed;
        apart |= slices[place]->frozen != PS_SLICE_LIVE;
        if (slices[place]->fresh) {
            apart = true;
            seen &= ~(1u << place);
        }
    }
    if (!apart) {
        for (int64_t i = 0; i < c->count; i++) {
            marks[places[i]][gids[i] >> 6] |= UINT64_C(1) << (gids[i] & 63);
        }
        return PS_OK;
    }
    for (; seen != 0; seen &= seen - 1) {
        const int place = __builtin_ctz(seen);
        int64_t count = 0;
        for (int64_t i = 0; i < c->count; i++) {
            some[count] = gids[i];
            count += places[i] == place;
        }
        PS_TRY(aggregate_touch(self, slices[place], some, count, err));
    }
    return PS_OK;
}

/* A few neighbouring slices: each row's place among them is the number of starts it has passed. The
 * slices that have rows are made ready for their change. */
static ps_status place_near(aggregate *self, const aggregate_chunk *c, const uint32_t *gids,
                            uint8_t *places, ps_slice **slices, ps_error *err)
{
    const ps_kernels *kernels = ps_simd_kernels();
    memset(places, 0, (size_t)c->count);
    for (int64_t k = c->low + 1; k <= c->high; k++) {
        kernels->add_passed_i64(c->times, ps_edges_slice_start(&self->edges, k), places, c->count);
    }
    uint32_t seen = 0;
    for (int64_t i = 0; i < c->count; i++) {
        seen |= 1u << places[i];
    }
    for (int64_t k = 0; k <= c->high - c->low; k++) {
        if ((seen >> k & 1) != 0) {
            PS_TRY(ready_slice(self, c->low + k, &slices[k], err));
        }
    }
    return self->store.tracks ? touch_near(self, c, gids, places, slices, seen, err) : PS_OK;
}

static ps_status rows_of_near(aggregate *self, const aggregate_chunk *c, const uint32_t *gids,
                              uint8_t **rows, ps_error *err)
{
    uint8_t places[PS_CHUNK_ROWS];
    ps_slice *slices[NEAR_SLICES];
    PS_TRY(place_near(self, c, gids, places, slices, err));
    for (int64_t i = 0; i < c->count; i++) {
        rows[i] = aggregate_row(self, slices[places[i]], gids[i]);
        if (PS_UNLIKELY(rows[i] == NULL)) {
            return rows_refused(self, err);
        }
    }
    return PS_OK;
}

/* Counting needs no list of rows: the counters are found and raised in one loop. */
static ps_status count_one(aggregate *self, const aggregate_chunk *c, const uint32_t *gids,
                           ps_error *err)
{
    ps_slice *slice = NULL;
    PS_TRY(ready_slice(self, c->low, &slice, err));
    PS_TRY(aggregate_touch(self, slice, gids, c->count, err));
    if (self->keys == NULL || ps_keymap_capacity(self->keys) <= PS_SLICE_ROWS) {
        uint64_t *counts = (uint64_t *)(void *)slice->chunks[0];
        for (int64_t i = 0; i < c->count; i++) {
            counts[gids[i]]++;
        }
        return PS_OK;
    }
    for (int64_t i = 0; i < c->count; i++) {
        uint8_t *row = aggregate_row(self, slice, gids[i]);
        if (PS_UNLIKELY(row == NULL)) {
            return rows_refused(self, err);
        }
        (*(uint64_t *)(void *)row)++;
    }
    return PS_OK;
}

static ps_status count_near(aggregate *self, const aggregate_chunk *c, const uint32_t *gids,
                            ps_error *err)
{
    uint8_t places[PS_CHUNK_ROWS];
    ps_slice *slices[NEAR_SLICES];
    PS_TRY(place_near(self, c, gids, places, slices, err));
    for (int64_t i = 0; i < c->count; i++) {
        uint8_t *row = aggregate_row(self, slices[places[i]], gids[i]);
        if (PS_UNLIKELY(row == NULL)) {
            return rows_refused(self, err);
        }
        (*(uint64_t *)(void *)row)++;
    }
    return PS_OK;
}

ps_status aggregate_rows_of_slices(aggregate *self, const int64_t *slices, const uint32_t *gids,
                                   int64_t count, uint8_t **rows, ps_error *err)
{
    ps_slice *slice = NULL;
    for (int64_t i = 0; i < count; i++) {
        if (slice == NULL || slice->index != slices[i]) {
            PS_TRY(ready_slice(self, slices[i], &slice, err));
        }
        PS_TRY(aggregate_touch(self, slice, &gids[i], 1, err));
        rows[i] = aggregate_row(self, slice, gids[i]);
        if (PS_UNLIKELY(rows[i] == NULL)) {
            return rows_refused(self, err);
        }
    }
    return PS_OK;
}

static ps_status rows_of_many(aggregate *self, const aggregate_chunk *c, const uint32_t *gids,
                              uint8_t **rows, ps_error *err)
{
    int64_t slices[PS_CHUNK_ROWS];
    for (int64_t i = 0; i < c->count; i++) {
        slices[i] = ps_edges_slice(&self->edges, c->times[i]);
    }
    return aggregate_rows_of_slices(self, slices, gids, c->count, rows, err);
}

static ps_status count_many(aggregate *self, const aggregate_chunk *c, const uint32_t *gids,
                            ps_error *err)
{
    uint8_t *rows[PS_CHUNK_ROWS];
    PS_TRY(rows_of_many(self, c, gids, rows, err));
    for (int64_t i = 0; i < c->count; i++) {
        (*(uint64_t *)(void *)rows[i])++;
    }
    return PS_OK;
}

ps_status aggregate_rows_of_chunk(aggregate *self, const aggregate_chunk *c, const uint32_t *gids,
                                  uint8_t **rows, ps_error *err)
{
    if (c->low == c->high) {
        return rows_of_one(self, c, gids, rows, err);
    }
    if (c->high - c->low < NEAR_SLICES) {
        return rows_of_near(self, c, gids, rows, err);
    }
    return rows_of_many(self, c, gids, rows, err);
}

ps_status aggregate_count_chunk(aggregate *self, const aggregate_chunk *c, const uint32_t *gids,
                                ps_error *err)
{
    if (c->low == c->high) {
        return count_one(self, c, gids, err);
    }
    if (c->high - c->low < NEAR_SLICES) {
        return count_near(self, c, gids, err);
    }
    return count_many(self, c, gids, err);
}
