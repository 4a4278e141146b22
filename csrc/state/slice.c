/* slice.c -- the pool of chunks, the ordered list of slices, growth of the first chunk. */
#include "state/slice.h"

#include <string.h>

#define FIRST_ROWS_MIN 64
#define BLOCK_TARGET ((size_t)2 << 20)

typedef struct ps_slice_block {
    struct ps_slice_block *next;
    uint8_t *data;
    size_t bytes;
} ps_slice_block;

void ps_slice_store_init(ps_slice_store *store, ps_mem *mem, const ps_agg_layout *layout)
{
    *store = (ps_slice_store){.mem = mem, .layout = layout, .stride = ps_agg_stride(layout)};
    store->chunk_bytes = ps_align_up(store->stride * PS_SLICE_ROWS, 64);
}

void ps_slice_store_fini(ps_slice_store *store)
{
    for (int64_t i = 0; i < store->count; i++) {
        ps_slice_destroy(store, store->slices[i]);
    }
    if (store->slices != NULL) {
        ps_free(store->mem, store->slices, (size_t)store->room * sizeof(ps_slice *));
    }
    while (store->blocks != NULL) {
        ps_slice_block *block = store->blocks;
        store->blocks = block->next;
        ps_free(store->mem, block->data, block->bytes);
        ps_free(store->mem, block, sizeof *block);
    }
    const bool tracks = store->tracks;
    ps_slice_store_init(store, store->mem, store->layout);
    store->tracks = tracks;
}

int64_t ps_slice_store_bytes(const ps_slice_store *store)
{
    int64_t bytes =
        store->pool_bytes + store->small_bytes + store->room * (int64_t)sizeof(ps_slice *);
    for (int64_t i = 0; i < store->count; i++) {
        bytes += store->slices[i]->strings.size_bytes;
    }
    return bytes;
}

static void fill_identity(const ps_slice_store *store, uint8_t *rows, int64_t count)
{
    const uint8_t *identity = ps_agg_identity(store->layout);
    for (int64_t i = 0; i < count; i++) {
        memcpy(rows + (size_t)i * store->stride, identity, store->stride);
    }
}

/* ---- pool ---- */

static void pool_give(ps_slice_store *store, uint8_t *chunk)
{
    memcpy(chunk, &store->free_chunk, sizeof store->free_chunk);
    store->free_chunk = chunk;
}

/* A block as large as what the pool holds already, up to 2 MiB or one chunk. */
static bool pool_grow(ps_slice_store *store)
{
    size_t bytes = (size_t)store->pool_bytes;
    bytes = bytes > BLOCK_TARGET ? BLOCK_TARGET : bytes;
    bytes = bytes < store->chunk_bytes ? store->chunk_bytes : bytes;
    const size_t chunks = bytes / store->chunk_bytes;
    ps_slice_block *block = ps_alloc(store->mem, sizeof *block);
    if (block == NULL) {
        return false;
    }
    /* A block just under 2 MiB still wants a huge page. */
    block->bytes = bytes == BLOCK_TARGET ? BLOCK_TARGET : chunks * store->chunk_bytes;
    block->data = ps_alloc(store->mem, block->bytes);
    if (block->data == NULL) {
        ps_free(store->mem, block, sizeof *block);
        return false;
    }
    block->next = store->blocks;
    store->blocks = block;
    store->pool_bytes += (int64_t)(block->bytes + sizeof *block);
    for (size_t i = chunks; i-- > 0;) {
        pool_give(store, block->data + i * store->chunk_bytes);
    }
    return true;
}

static uint8_t *pool_take(ps_slice_store *store)
{
    if (store->free_chunk == NULL && !pool_grow(store)) {
        return NULL;
    }
    uint8_t *chunk = store->free_chunk;
    memcpy(&store->free_chunk, chunk, sizeof store->free_chunk);
    return chunk;
}

/* ---- slices ---- */

ps_slice *ps_slice_create(ps_slice_store *store, int64_t index)
{
    ps_slice *slice = ps_alloc(store->mem, sizeof *slice);
    if (slice != NULL) {
        *slice = (ps_slice){.index = index};
        ps_arena_init(&slice->strings, store->mem);
        store->small_bytes += (int64_t)sizeof *slice;
    }
    return slice;
}

static size_t first_bytes(const ps_slice_store *store, int64_t rows)
{
    return ps_align_up((size_t)rows * store->stride, 64);
}

static void free_first(ps_slice_store *store, uint8_t *rows, int64_t count)
{
    if (count == PS_SLICE_ROWS) {
        pool_give(store, rows);
    } else {
        ps_free(store->mem, rows, first_bytes(store, count));
        store->small_bytes -= (int64_t)first_bytes(store, count);
    }
}

static void free_marks(ps_slice_store *store, ps_slice *slice)
{
    const size_t bytes = 2 * (size_t)slice->mark_words * sizeof(uint64_t);
    if (bytes > 0) {
        ps_free(store->mem, slice->changed < slice->before ? slice->changed : slice->before, bytes);
        store->small_bytes -= (int64_t)bytes;
    }
}

void ps_slice_destroy(ps_slice_store *store, ps_slice *slice)
{
    if (slice == NULL) {
        return;
    }
    if (slice->first_rows > 0) {
        free_first(store, slice->chunks[0], slice->first_rows);
    }
    for (int64_t i = 1; i < slice->chunk_room; i++) {
        if (slice->chunks[i] != NULL) {
            pool_give(store, slice->chunks[i]);
        }
    }
    if (slice->chunks != NULL) {
        const size_t bytes = (size_t)slice->chunk_room * sizeof(uint8_t *);
        ps_free(store->mem, slice->chunks, bytes);
        store->small_bytes -= (int64_t)bytes;
    }
    free_marks(store, slice);
    ps_arena_fini(&slice->strings);
    ps_free(store->mem, slice, sizeof *slice);
    store->small_bytes -= (int64_t)sizeof *slice;
}

/* Position of the first slice with an index not below `index`. */
static int64_t lower_bound(const ps_slice_store *store, int64_t index)
{
    int64_t low = 0, high = store->count;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (store->slices[middle]->index < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

ps_slice *ps_slice_find(ps_slice_store *store, int64_t index)
{
    if (store->last < store->count && store->slices[store->last]->index == index) {
        return store->slices[store->last];
    }
    const int64_t at = lower_bound(store, index);
    if (at == store->count || store->slices[at]->index != index) {
        return NULL;
    }
    store->last = at;
    return store->slices[at];
}

ps_status ps_slice_obtain(ps_slice_store *store, int64_t index, ps_slice **out, ps_error *err)
{
    *out = ps_slice_find(store, index);
    if (*out != NULL) {
        return PS_OK;
    }
    if (store->count == store->room) {
        const int64_t room = store->room == 0 ? 8 : store->room * 2;
        const size_t old_size = (size_t)store->room * sizeof(ps_slice *);
        const size_t new_size = (size_t)room * sizeof(ps_slice *);
        void *list = old_size == 0 ? ps_alloc(store->mem, new_size)
                                   : ps_realloc(store->mem, store->slices, old_size, new_size);
        if (list == NULL) {
            return ps_mem_refused(store->mem, new_size, "the list of slices", err);
        }
        store->slices = list;
        store->room = room;
    }
    ps_slice *slice = ps_slice_create(store, index);
    if (slice == NULL) {
        return ps_mem_refused(store->mem, sizeof *slice, "a slice", err);
    }
    slice->tracked = slice->fresh = store->tracks;
    const int64_t at = lower_bound(store, index);
    memmove(&store->slices[at + 1], &store->slices[at],
            (size_t)(store->count - at) * sizeof(ps_slice *));
    store->slices[at] = slice;
    store->count++;
    store->last = at;
    *out = slice;
    return PS_OK;
}

void ps_slice_retire(ps_slice_store *store, int64_t bound)
{
    const int64_t gone = lower_bound(store, bound);
    for (int64_t i = 0; i < gone; i++) {
        if (store->slices[i]->frozen != PS_SLICE_LIVE) {
            store->slices[i]->retired = true;
        } else {
            ps_slice_destroy(store, store->slices[i]);
        }
    }
    if (gone > 0) {
        store->count -= gone;
        memmove(store->slices, &store->slices[gone], (size_t)store->count * sizeof(ps_slice *));
        store->last = 0;
    }
}

/* ---- rows ---- */

static bool grow_list(ps_slice_store *store, ps_slice *slice, int64_t wanted)
{
    int64_t room = slice->chunk_room == 0 ? 1 : slice->chunk_room;
    while (room < wanted) {
        room *= 2;
    }
    const size_t old_size = (size_t)slice->chunk_room * sizeof(uint8_t *);
    const size_t new_size = (size_t)room * sizeof(uint8_t *);
    uint8_t **list = ps_alloc_zeroed(store->mem, new_size);
    if (list == NULL) {
        return false;
    }
    if (old_size > 0) {
        memcpy(list, slice->chunks, old_size);
        ps_free(store->mem, slice->chunks, old_size);
    }
    slice->chunks = list;
    slice->chunk_room = room;
    store->small_bytes += (int64_t)(new_size - old_size);
    return true;
}

static bool grow_first(ps_slice_store *store, ps_slice *slice, int64_t wanted)
{
    int64_t rows = slice->first_rows == 0 ? FIRST_ROWS_MIN : slice->first_rows;
    while (rows < wanted) {
        rows *= 2;
    }
    uint8_t *chunk =
        rows == PS_SLICE_ROWS ? pool_take(store) : ps_alloc(store->mem, first_bytes(store, rows));
    if (chunk == NULL) {
        return false;
    }
    if (rows < PS_SLICE_ROWS) {
        store->small_bytes += (int64_t)first_bytes(store, rows);
    }
    if (slice->first_rows > 0) {
        memcpy(chunk, slice->chunks[0], (size_t)slice->first_rows * store->stride);
        free_first(store, slice->chunks[0], slice->first_rows);
    }
    fill_identity(store, chunk + (size_t)slice->first_rows * store->stride,
                  rows - slice->first_rows);
    slice->chunks[0] = chunk;
    slice->first_rows = rows;
    return true;
}

/* Whichever of the two bitmaps lies first owns the block. */
static bool grow_marks(ps_slice_store *store, ps_slice *slice, int64_t rows)
{
    int64_t words = slice->mark_words == 0 ? 1 : slice->mark_words;
    while (words * 64 < rows) {
        words *= 2;
    }
    const size_t bytes = 2 * (size_t)words * sizeof(uint64_t);
    uint64_t *marks = ps_alloc_zeroed(store->mem, bytes);
    if (marks == NULL) {
        return false;
    }
    if (slice->mark_words > 0) {
        const size_t held = (size_t)slice->mark_words * sizeof(uint64_t);
        memcpy(marks, slice->changed, held);
        memcpy(marks + words, slice->before, held);
        free_marks(store, slice);
    }
    slice->changed = marks;
    slice->before = marks + words;
    slice->mark_words = words;
    store->small_bytes += (int64_t)bytes;
    return true;
}

ps_status ps_slice_reach(ps_slice_store *store, ps_slice *slice, int64_t capacity, ps_error *err)
{
    const int64_t chunks = (capacity + PS_SLICE_ROWS - 1) >> PS_SLICE_SHIFT;
    if (chunks > slice->chunk_room && !grow_list(store, slice, chunks)) {
        return ps_mem_refused(store->mem, (size_t)chunks * sizeof(uint8_t *), "a slice", err);
    }
    const int64_t first = ps_min_i64(capacity, PS_SLICE_ROWS);
    if (first > slice->first_rows && !grow_first(store, slice, first)) {
        return ps_mem_refused(store->mem, first_bytes(store, first), "rows of a slice", err);
    }
    if (slice->tracked && capacity > slice->mark_words * 64 &&
        !grow_marks(store, slice, capacity)) {
        return ps_mem_refused(store->mem, (size_t)capacity / 4, "marks of changed rows", err);
    }
    return PS_OK;
}

uint8_t *ps_slice_add_chunk(ps_slice_store *store, ps_slice *slice, int64_t chunk)
{
    PS_ASSERT(chunk > 0 && chunk < slice->chunk_room && slice->chunks[chunk] == NULL);
    uint8_t *rows = pool_take(store);
    if (rows != NULL) {
        fill_identity(store, rows, PS_SLICE_ROWS);
        slice->chunks[chunk] = rows;
    }
    return rows;
}
