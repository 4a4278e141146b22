/* panes.c -- running totals and block parts over slices. */
#include "window/panes.h"

#include <string.h>

void ps_panes_init(ps_panes *panes, ps_slice_store *store, const ps_edges *edges)
{
    *panes = (ps_panes){.store = store, .per_window = edges == NULL ? 1 : edges->slices_per_window};
    if (panes->per_window > 1) {
        panes->mode = ps_agg_invertible(store->layout) ? PS_PANES_RUNNING : PS_PANES_BLOCKS;
    }
}

static void drop_slice(ps_panes *panes, ps_slice **slice)
{
    ps_slice_destroy(panes->store, *slice);
    *slice = NULL;
}

static void drop_suffixes(ps_panes *panes)
{
    while (panes->suffix_count > 0) {
        ps_slice_destroy(panes->store, panes->suffixes[--panes->suffix_count]);
    }
    panes->suffix = NULL;
    panes->suffix_valid = false;
}

static void drop_prefix(ps_panes *panes)
{
    drop_slice(panes, &panes->prefix);
    panes->prefix_first = panes->prefix_end = 0;
}

void ps_panes_fini(ps_panes *panes)
{
    drop_slice(panes, &panes->run);
    drop_suffixes(panes);
    drop_prefix(panes);
    if (panes->suffixes != NULL) {
        ps_free(panes->store->mem, panes->suffixes,
                (size_t)panes->suffix_room * sizeof(ps_slice *));
        panes->suffixes = NULL;
    }
    if (panes->scratch != NULL) {
        ps_free(panes->store->mem, panes->scratch, panes->store->chunk_bytes);
        panes->scratch = NULL;
    }
}

int64_t ps_panes_bytes(const ps_panes *panes)
{
    return panes->scratch == NULL ? 0 : (int64_t)panes->store->chunk_bytes;
}

static ps_status refused(const ps_panes *panes, ps_error *err)
{
    return ps_mem_refused(panes->store->mem, panes->store->chunk_bytes, "totals over slices", err);
}

/* Groups a slice can hold: rows of its existing chunks. */
static int64_t capacity_of(const ps_slice *slice)
{
    for (int64_t i = slice->chunk_room; i-- > 1;) {
        if (slice->chunks[i] != NULL) {
            return (i + 1) * PS_SLICE_ROWS;
        }
    }
    return slice->first_rows;
}

typedef enum fold_kind { FOLD_COMBINE, FOLD_REMOVE } fold_kind;

/* into = into (+ or -) from, chunk by chunk. */
static ps_status fold(ps_panes *panes, ps_slice *into, const ps_slice *from, fold_kind kind,
                      ps_error *err)
{
    ps_slice_store *store = panes->store;
    PS_TRY(ps_slice_reach(store, into, capacity_of(from), err));
    for (int64_t i = 0; i < from->chunk_room; i++) {
        const int64_t rows = ps_slice_chunk_rows(from, i);
        if (rows == 0) {
            continue;
        }
        if (into->chunks[i] == NULL && ps_slice_add_chunk(store, into, i) == NULL) {
            return refused(panes, err);
        }
        if (kind == FOLD_REMOVE) {
            ps_agg_remove(store->layout, into->chunks[i], from->chunks[i], rows);
        } else {
            PS_TRY(ps_agg_combine(store->layout, into->chunks[i], from->chunks[i], rows, err));
        }
    }
    return PS_OK;
}

/* Folds every slice of the store with first <= index < end, in ascending order. */
static ps_status fold_range(ps_panes *panes, ps_slice *into, int64_t first, int64_t end,
                            fold_kind kind, ps_error *err)
{
    for (int64_t i = 0; i < panes->store->count; i++) {
        const ps_slice *slice = panes->store->slices[i];
        if (slice->index >= first && slice->index < end) {
            PS_TRY(fold(panes, into, slice, kind, err));
        }
    }
    return PS_OK;
}

/* ---- running total ---- */

static ps_status open_running(ps_panes *panes, int64_t first, int64_t end, ps_error *err)
{
    const bool usable = panes->run != NULL && panes->run_first <= first && panes->run_end >= first;
    if (!usable) {
        drop_slice(panes, &panes->run);
        panes->run = ps_slice_create(panes->store, first);
        if (panes->run == NULL) {
            return refused(panes, err);
        }
        panes->run_first = panes->run_end = first;
    }
    ps_status status = fold_range(panes, panes->run, panes->run_first, first, FOLD_REMOVE, err);
    if (status == PS_OK) {
        status = fold_range(panes, panes->run, panes->run_end, end, FOLD_COMBINE, err);
    }
    if (status != PS_OK) {
        drop_slice(panes, &panes->run); /* half folded */
        return status;
    }
    panes->run_first = first;
    panes->run_end = end;
    return PS_OK;
}

/* ---- blocks ---- */

static ps_status push_suffix(ps_panes *panes, ps_slice *slice, ps_error *err)
{
    if (panes->suffix_count == panes->suffix_room) {
        const int64_t room = panes->suffix_room == 0 ? 16 : panes->suffix_room * 2;
        const size_t old_size = (size_t)panes->suffix_room * sizeof(ps_slice *);
        const size_t new_size = (size_t)room * sizeof(ps_slice *);
        void *list = old_size == 0
                         ? ps_alloc(panes->store->mem, new_size)
                         : ps_realloc(panes->store->mem, panes->suffixes, old_size, new_size);
        if (list == NULL) {
            return refused(panes, err);
        }
        panes->suffixes = list;
        panes->suffix_room = room;
    }
    panes->suffixes[panes->suffix_count++] = slice;
    return PS_OK;
}

/* suffixes for every slice of [first, border), from the last to the first. */
static ps_status build_suffixes(ps_panes *panes, int64_t first, int64_t border, ps_error *err)
{
    drop_suffixes(panes);
    for (int64_t i = panes->store->count; i-- > 0;) {
        const ps_slice *slice = panes->store->slices[i];
        if (slice->index < first || slice->index >= border) {
            continue;
        }
        ps_slice *next = panes->suffix_count == 0 ? NULL : panes->suffixes[panes->suffix_count - 1];
        ps_slice *suffix = ps_slice_create(panes->store, slice->index);
        if (suffix == NULL) {
            return refused(panes, err);
        }
        ps_status status = push_suffix(panes, suffix, err);
        if (status != PS_OK) {
            ps_slice_destroy(panes->store, suffix);
            return status;
        }
        PS_TRY(fold(panes, suffix, slice, FOLD_COMBINE, err));
        if (next != NULL) {
            PS_TRY(fold(panes, suffix, next, FOLD_COMBINE, err));
        }
    }
    panes->suffix_valid = true;
    return PS_OK;
}

static ps_status open_blocks(ps_panes *panes, int64_t first, int64_t end, ps_error *err)
{
    const int64_t block = ps_floor_div(first, panes->per_window);
    const int64_t border = (block + 1) * panes->per_window;
    if (!panes->suffix_valid || panes->suffix_block != block) {
        PS_TRY(build_suffixes(panes, first, border, err));
        panes->suffix_block = block;
    }
    /* The suffix of the first slice at or after `first`; earlier ones are no longer needed. */
    while (panes->suffix_count > 0 && panes->suffixes[panes->suffix_count - 1]->index < first) {
        ps_slice_destroy(panes->store, panes->suffixes[--panes->suffix_count]);
    }
    panes->suffix = panes->suffix_count == 0 ? NULL : panes->suffixes[panes->suffix_count - 1];
    if (panes->prefix_first != border || panes->prefix == NULL) {
        drop_prefix(panes);
        panes->prefix = ps_slice_create(panes->store, border);
        if (panes->prefix == NULL) {
            return refused(panes, err);
        }
        panes->prefix_first = panes->prefix_end = border;
    }
    if (end > panes->prefix_end) {
        const ps_status status =
            fold_range(panes, panes->prefix, panes->prefix_end, end, FOLD_COMBINE, err);
        if (status != PS_OK) {
            drop_prefix(panes);
            return status;
        }
        panes->prefix_end = end;
    }
    return PS_OK;
}

ps_status ps_panes_open(ps_panes *panes, int64_t first, ps_error *err)
{
    const int64_t end = first + panes->per_window;
    panes->first = first;
    panes->end = end;
    switch (panes->mode) {
    case PS_PANES_SINGLE: panes->single = ps_slice_find(panes->store, first); return PS_OK;
    case PS_PANES_RUNNING: return open_running(panes, first, end, err);
    case PS_PANES_BLOCKS: return open_blocks(panes, first, end, err);
    }
    return PS_OK;
}

/* Both parts of one chunk combined in the scratch rows. */
static ps_status combine_parts(ps_panes *panes, int64_t chunk, int64_t suffix_rows,
                               int64_t prefix_rows, ps_error *err)
{
    ps_slice_store *store = panes->store;
    if (panes->scratch == NULL) {
        panes->scratch = ps_alloc(store->mem, store->chunk_bytes);
        if (panes->scratch == NULL) {
            return refused(panes, err);
        }
    }
    memcpy(panes->scratch, panes->suffix->chunks[chunk], (size_t)suffix_rows * store->stride);
    if (prefix_rows > suffix_rows) { /* first chunks may differ in length */
        memcpy(panes->scratch + (size_t)suffix_rows * store->stride,
               panes->prefix->chunks[chunk] + (size_t)suffix_rows * store->stride,
               (size_t)(prefix_rows - suffix_rows) * store->stride);
    }
    return ps_agg_combine(store->layout, panes->scratch, panes->prefix->chunks[chunk],
                          ps_min_i64(suffix_rows, prefix_rows), err);
}

ps_status ps_panes_rows(ps_panes *panes, int64_t chunk, const uint8_t **rows, int64_t *count,
                        ps_error *err)
{
    const ps_slice *only = panes->mode == PS_PANES_SINGLE ? panes->single : panes->run;
    if (panes->mode == PS_PANES_BLOCKS) {
        const ps_slice *suffix = panes->suffix, *prefix = panes->prefix;
        const int64_t suffix_rows = suffix == NULL ? 0 : ps_slice_chunk_rows(suffix, chunk);
        const int64_t prefix_rows = prefix == NULL ? 0 : ps_slice_chunk_rows(prefix, chunk);
        if (suffix_rows > 0 && prefix_rows > 0) {
            PS_TRY(combine_parts(panes, chunk, suffix_rows, prefix_rows, err));
            *rows = panes->scratch;
            *count = ps_max_i64(suffix_rows, prefix_rows);
            return PS_OK;
        }
        only = suffix_rows > 0 ? suffix : prefix;
    }
    *count = only == NULL ? 0 : ps_slice_chunk_rows(only, chunk);
    *rows = *count == 0 ? NULL : only->chunks[chunk];
    return PS_OK;
}

static int64_t list_length(const ps_slice *slice)
{
    return slice == NULL ? 0 : slice->chunk_room;
}

int64_t ps_panes_chunk_count(const ps_panes *panes)
{
    switch (panes->mode) {
    case PS_PANES_SINGLE: return list_length(panes->single);
    case PS_PANES_RUNNING: return list_length(panes->run);
    case PS_PANES_BLOCKS: return ps_max_i64(list_length(panes->suffix), list_length(panes->prefix));
    }
    return 0;
}

void ps_panes_touch(ps_panes *panes, int64_t index)
{
    if (panes->mode == PS_PANES_RUNNING && panes->run != NULL && index >= panes->run_first &&
        index < panes->run_end) {
        drop_slice(panes, &panes->run);
    }
    if (panes->mode == PS_PANES_BLOCKS) {
        if (panes->suffix_valid && ps_floor_div(index, panes->per_window) == panes->suffix_block) {
            drop_suffixes(panes);
        }
        if (panes->prefix != NULL && index >= panes->prefix_first && index < panes->prefix_end) {
            drop_prefix(panes);
        }
    }
}

void ps_panes_retire(ps_panes *panes, int64_t bound)
{
    panes->single = NULL;
    if (panes->run != NULL && panes->run_first < bound) {
        ps_error ignored;
        /* Removal makes no new chunk: the total holds every chunk of its parts. */
        if (fold_range(panes, panes->run, panes->run_first, ps_min_i64(bound, panes->run_end),
                       FOLD_REMOVE, &ignored) != PS_OK) {
            drop_slice(panes, &panes->run);
        } else {
            panes->run_first = bound;
            panes->run_end = ps_max_i64(panes->run_end, bound);
        }
    }
    while (panes->suffix_count > 0 && panes->suffixes[panes->suffix_count - 1]->index < bound) {
        ps_slice_destroy(panes->store, panes->suffixes[--panes->suffix_count]);
    }
    panes->suffix = NULL;
    if (panes->prefix != NULL && panes->prefix_first < bound) {
        drop_prefix(panes); /* from now on its slices are a suffix's */
    }
    ps_slice_retire(panes->store, bound);
}
