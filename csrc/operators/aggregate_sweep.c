/* aggregate_sweep.c -- keys that no slice holds any more are forgotten, some at each watermark.
 *
 *   keys held reach sweep_at  ->  each chunk of gids in turn: live where a slice has rows of it
 *                             ->  sweep_at = twice the keys that are left, or were not long ago
 *
 * Twice as many keys are looked at as rows have come since the watermark before: a sweep ends
 * before its keys have doubled again, and no watermark waits for all of them.
 */
#include <string.h>

#include "operators/aggregate_state.h"

#define KEYS_A_ROW 2

static_assert(PS_CHUNK_ITEMS == PS_SLICE_ROWS, "a chunk of keys has a chunk of rows in each slice");

/* Newest slices first: most keys that are alive have rows there. */
static void find_live(const aggregate *self, int64_t chunk, uint8_t *live)
{
    const size_t stride = self->store.stride;
    int64_t found = 0;
    memset(live, 0, PS_CHUNK_ITEMS);
    for (int64_t s = self->store.count; s-- > 0 && found < PS_CHUNK_ITEMS;) {
        const ps_slice *const slice = self->store.slices[s];
        const int64_t rows = ps_slice_chunk_rows(slice, chunk);
        for (int64_t i = 0; i < rows; i++) {
            if (live[i] == 0 && ps_agg_rows(slice->chunks[chunk] + (size_t)i * stride) != 0) {
                live[i] = 1;
                found++;
            }
        }
    }
}

static void sweep_chunk(aggregate *self, int64_t chunk)
{
    uint8_t live[PS_CHUNK_ITEMS];
    find_live(self, chunk, live);
    ps_hot_keys_sweep(&self->hot, chunk * PS_CHUNK_ITEMS, PS_CHUNK_ITEMS, live);
    ps_keymap_forget(self->keys, chunk, live);
}

static void end_sweep(aggregate *self)
{
    self->sweeping = false;
    ps_keymap_end_sweep(self->keys);
    /* Keys come back: right after a window few are live, and forgetting the others would only have
     * them added again for the next one. So the peak counts, and fades when it does not return. */
    self->most_live = ps_max_i64(ps_keymap_live(self->keys), self->most_live - self->most_live / 4);
    self->sweep_at = ps_max_i64(AGGREGATE_SWEEP_MIN, 2 * self->most_live);
}

void aggregate_sweep(aggregate *self)
{
    const int64_t rows = ps_stat_get(&self->op.stats.rows_in);
    const int64_t chunks = 1 + (rows - self->swept_at_rows) * KEYS_A_ROW / PS_CHUNK_ITEMS;
    self->swept_at_rows = rows;
    if (self->frozen.active) { /* its rows name their keys by gid */
        return;
    }
    if (!self->sweeping) {
        if (ps_keymap_live(self->keys) < self->sweep_at) {
            ps_keymap_compact(self->keys, chunks);
            return;
        }
        self->sweeping = true;
        self->sweep_chunk = 0;
        self->sweep_end = (ps_keymap_capacity(self->keys) + PS_CHUNK_ITEMS - 1) / PS_CHUNK_ITEMS;
    }
    const int64_t stop = ps_min_i64(self->sweep_chunk + chunks, self->sweep_end);
    for (; self->sweep_chunk < stop; self->sweep_chunk++) {
        sweep_chunk(self, self->sweep_chunk);
    }
    if (self->sweep_chunk == self->sweep_end) {
        end_sweep(self);
    }
}
