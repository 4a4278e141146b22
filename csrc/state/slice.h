/* slice.h -- accumulator rows of every group, one set per slice of event time.
 *
 *   store -> slices by index, ascending
 *   slice -> chunks[gid / 4096] -> rows of `stride` bytes, identity until touched
 *
 * A chunk exists once one of its groups is touched; the first one starts with 64 rows and doubles,
 * so that many slices of few groups stay small. Chunks come from a pool cut out of large blocks and
 * go back to it when their slice retires, so a steady stream allocates nothing.
 * Invariants   I1  a chunk other than the first never moves; the first moves only in slice_reach
 *              I2  a row whose row count is zero equals the identity
 * A store that tracks changes keeps two bits a row beside the chunks; freeze.h sets and reads them.
 * One thread at a time.
 */
#ifndef PS_STATE_SLICE_H
#define PS_STATE_SLICE_H

#include "state/agg.h"

#define PS_SLICE_SHIFT 12
#define PS_SLICE_ROWS (1 << PS_SLICE_SHIFT)

/* Rows of a slice that are in the freeze under way and have not been read out. */
typedef enum ps_slice_frozen {
    PS_SLICE_LIVE = 0,
    PS_SLICE_FROZEN_ALL,
    PS_SLICE_FROZEN_CHANGED, /* those that are marked in `before` */
} ps_slice_frozen;

typedef struct ps_slice {
    int64_t index;
    uint8_t **chunks;
    int64_t chunk_room; /* of the list; entries may be NULL */
    int64_t first_rows; /* rows of chunk 0 */
    ps_arena strings;
    /* changes of a tracked slice: a bit a row */
    bool tracked;
    bool fresh;         /* made since the last freeze: all rows have changed, none is marked */
    uint64_t *changed;  /* since the last freeze */
    uint64_t *before;   /* between the last two freezes; clear where they have been read out */
    int64_t mark_words; /* of each, both in one allocation */
    ps_slice_frozen frozen;
    int64_t read; /* frozen: rows below it have been read out */
    bool retired; /* frozen: no longer in the store, kept by the freeze */
} ps_slice;

typedef struct ps_slice_store {
    ps_mem *mem;
    const ps_agg_layout *layout; /* borrowed */
    size_t stride;
    size_t chunk_bytes;
    ps_slice **slices; /* ascending by index */
    int64_t count, room;
    int64_t last; /* position of the slice found last */
    bool tracks;  /* changes of its slices; set before the first one is made */
    /* pool of whole chunks */
    uint8_t *free_chunk; /* linked through their first word */
    struct ps_slice_block *blocks;
    int64_t pool_bytes;
    int64_t small_bytes; /* first chunks below full size, lists, slices */
} ps_slice_store;

void ps_slice_store_init(ps_slice_store *store, ps_mem *mem, const ps_agg_layout *layout);
void ps_slice_store_fini(ps_slice_store *store);
int64_t ps_slice_store_bytes(const ps_slice_store *store);

/* The slice of that index, or NULL. */
ps_slice *ps_slice_find(ps_slice_store *store, int64_t index);
/* The same, made when missing. */
PS_MUST_CHECK ps_status ps_slice_obtain(ps_slice_store *store, int64_t index, ps_slice **out,
                                        ps_error *err);
/* Drops the slices with index < bound; a frozen one becomes the freeze's. */
void ps_slice_retire(ps_slice_store *store, int64_t bound);
/* A slice that is not in the store, for totals over several slices: untracked. NULL: memory
 * refused. */
ps_slice *ps_slice_create(ps_slice_store *store, int64_t index);
void ps_slice_destroy(ps_slice_store *store, ps_slice *slice); /* NULL allowed */

/* Makes the chunk list and the marks long enough for gids below capacity, and the first chunk long
 * enough for those of them that are in it. Must precede ps_slice_row for such gids. */
PS_MUST_CHECK ps_status ps_slice_reach(ps_slice_store *store, ps_slice *slice, int64_t capacity,
                                       ps_error *err);
/* Makes chunk `chunk` (within reach); NULL: memory refused. */
uint8_t *ps_slice_add_chunk(ps_slice_store *store, ps_slice *slice, int64_t chunk);

/* Rows of chunk `chunk` that exist: their number, 0 when the chunk does not. */
static inline int64_t ps_slice_chunk_rows(const ps_slice *slice, int64_t chunk)
{
    if (chunk >= slice->chunk_room || slice->chunks[chunk] == NULL) {
        return 0;
    }
    return chunk == 0 ? slice->first_rows : PS_SLICE_ROWS;
}

#endif
