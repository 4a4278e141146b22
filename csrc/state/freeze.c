/* freeze.c -- see freeze.h. */
#include "state/freeze.h"

#include <string.h>

#define SEARCH_WORDS 4096 /* of marks without a row to read, a read looks at no more */
#define AHEAD 16          /* rows between asking for memory and using it */
#define LOG_ROWS_MIN 64

/* Rows as they were: gids and slices in front of the rows' bytes. */
struct ps_freeze_block {
    ps_freeze_block *next;
    int64_t count, capacity;
    int64_t read; /* rows before it have been handed out */
    int64_t *slices;
    uint32_t *gids;
    uint8_t *rows;
};

void ps_freeze_init(ps_freeze *freeze, ps_slice_store *store)
{
    *freeze = (ps_freeze){.store = store};
    ps_arena_init(&freeze->strings, store->mem);
}

/* ---- the log ---- */

static size_t block_bytes(const ps_slice_store *store, int64_t capacity)
{
    return ps_align_up(sizeof(ps_freeze_block), 64) +
           (size_t)capacity * (sizeof(int64_t) + store->stride + sizeof(uint32_t));
}

static void free_block(ps_freeze *freeze, ps_freeze_block *block)
{
    const size_t bytes = block_bytes(freeze->store, block->capacity);
    ps_free(freeze->store->mem, block, bytes);
    freeze->store->small_bytes -= (int64_t)bytes;
}

/* Blocks of a chunk's rows; the first ones are smaller, as most logs are. */
static bool grow_log(ps_freeze *freeze)
{
    const int64_t capacity =
        freeze->last == NULL ? LOG_ROWS_MIN : ps_min_i64(freeze->last->capacity * 2, PS_CHUNK_ROWS);
    const size_t bytes = block_bytes(freeze->store, capacity);
    uint8_t *memory = ps_alloc(freeze->store->mem, bytes);
    if (memory == NULL) {
        return false;
    }
    ps_freeze_block *block = (ps_freeze_block *)(void *)memory;
    *block = (ps_freeze_block){.capacity = capacity};
    block->slices = (int64_t *)(void *)(memory + ps_align_up(sizeof *block, 64));
    block->rows = (uint8_t *)(block->slices + capacity);
    block->gids = (uint32_t *)(void *)(block->rows + (size_t)capacity * freeze->store->stride);
    if (freeze->last == NULL) {
        freeze->log = block;
    } else {
        freeze->last->next = block;
    }
    freeze->last = block;
    freeze->store->small_bytes += (int64_t)bytes;
    return true;
}

static bool log_row(ps_freeze *freeze, const ps_slice *slice, uint32_t gid, const uint8_t *row)
{
    const size_t stride = freeze->store->stride;
    ps_freeze_block *block = freeze->last;
    if (block == NULL || block->count == block->capacity) {
        if (!grow_log(freeze)) {
            return false;
        }
        block = freeze->last;
    }
    uint8_t *copy = block->rows + (size_t)block->count * stride;
    memcpy(copy, row, stride);
    block->gids[block->count] = gid;
    block->slices[block->count] = slice->index;
    block->count++;
    return !ps_agg_keeps_strings(freeze->store->layout) ||
           ps_agg_own_strings(freeze->store->layout, copy, &freeze->strings);
}

/* No row is logged any more: all slices have been read. */
static void read_log(ps_freeze *freeze, int64_t most, ps_freeze_rows *out)
{
    ps_freeze_block *block = freeze->log;
    const int64_t start = block->read, count = ps_min_i64(most, block->count - start);
    out->count = count;
    memcpy(out->gids, block->gids + start, (size_t)count * sizeof *block->gids);
    memcpy(out->slices, block->slices + start, (size_t)count * sizeof *block->slices);
    for (int64_t i = 0; i < count; i++) {
        out->rows[i] = block->rows + (size_t)(start + i) * freeze->store->stride;
    }
    block->read += count;
    if (block->read == block->count) {
        freeze->log = block->next;
        freeze->last = freeze->log == NULL ? NULL : freeze->last;
        freeze->spent = block;
    }
}

/* ---- changes ---- */

/* The row of a group, NULL where no chunk is. */
static const uint8_t *find_row(const ps_slice_store *store, const ps_slice *slice, uint32_t gid)
{
    const int64_t chunk = gid >> PS_SLICE_SHIFT, in = gid & (PS_SLICE_ROWS - 1);
    return in < ps_slice_chunk_rows(slice, chunk)
               ? slice->chunks[chunk] + (size_t)in * store->stride
               : NULL;
}

static bool is_marked(const uint64_t *marks, uint32_t gid)
{
    return (marks[gid >> 6] >> (gid & 63) & 1) != 0;
}

/* Saves those of some rows, touched for the first time, that are still to be read. */
static bool save_rows(ps_freeze *freeze, const ps_slice *slice, const uint32_t *gids, int64_t count)
{
    const ps_slice_store *store = freeze->store;
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count) {
            __builtin_prefetch(find_row(store, slice, gids[i + AHEAD]), 0, 3);
        }
        if (gids[i] < slice->read ||
            (slice->frozen == PS_SLICE_FROZEN_CHANGED && !is_marked(slice->before, gids[i]))) {
            continue;
        }
        const uint8_t *row = find_row(store, slice, gids[i]);
        if (row != NULL && ps_agg_rows(row) != 0 && !log_row(freeze, slice, gids[i], row)) {
            return false;
        }
    }
    return true;
}

ps_status ps_freeze_touch(ps_freeze *freeze, ps_slice *slice, const uint32_t *gids, int64_t count,
                          ps_error *err)
{
    PS_ASSERT(count <= PS_CHUNK_ROWS && slice->tracked);
    uint64_t *changed = slice->changed;
    if (slice->fresh) {
        return PS_OK;
    }
    if (slice->frozen == PS_SLICE_LIVE) {
        for (int64_t i = 0; i < count; i++) {
            changed[gids[i] >> 6] |= UINT64_C(1) << (gids[i] & 63);
        }
        return PS_OK;
    }
    uint32_t fresh[PS_CHUNK_ROWS];
    int64_t fresh_count = 0;
    for (int64_t i = 0; i < count; i++) {
        fresh[fresh_count] = gids[i];
        fresh_count += !is_marked(changed, gids[i]);
        changed[gids[i] >> 6] |= UINT64_C(1) << (gids[i] & 63);
    }
    if (!save_rows(freeze, slice, fresh, fresh_count)) {
        return ps_mem_refused(freeze->store->mem, block_bytes(freeze->store, PS_CHUNK_ROWS),
                              "rows of a snapshot that change before they are written", err);
    }
    return PS_OK;
}

/* ---- the frozen slices ---- */

static bool need_room(ps_freeze *freeze, int64_t count)
{
    if (count <= freeze->room) {
        return true;
    }
    ps_mem *mem = freeze->store->mem;
    const size_t bytes = (size_t)count * sizeof(ps_slice *);
    ps_slice **list = ps_alloc(mem, bytes);
    if (list == NULL) {
        return false;
    }
    if (freeze->slices != NULL) {
        ps_free(mem, freeze->slices, (size_t)freeze->room * sizeof(ps_slice *));
    }
    freeze->slices = list;
    freeze->room = count;
    return true;
}

ps_status ps_freeze_begin(ps_freeze *freeze, bool all, ps_error *err)
{
    ps_slice_store *store = freeze->store;
    PS_ASSERT(!freeze->active && (all || store->tracks));
    if (!need_room(freeze, store->count)) {
        return ps_mem_refused(store->mem, (size_t)store->count * sizeof(ps_slice *),
                              "the slices of a snapshot", err);
    }
    for (int64_t i = 0; i < store->count; i++) {
        ps_slice *slice = store->slices[i];
        uint64_t *clear = slice->before;
        slice->before = slice->changed;
        slice->changed = clear;
        slice->frozen = all || slice->fresh ? PS_SLICE_FROZEN_ALL : PS_SLICE_FROZEN_CHANGED;
        slice->fresh = false;
        slice->read = 0;
        freeze->slices[i] = slice;
    }
    freeze->count = store->count;
    freeze->next = 0;
    freeze->active = true;
    return PS_OK;
}

/* Lets a slice go that has been read. */
static void release(ps_freeze *freeze, ps_slice *slice)
{
    slice->frozen = PS_SLICE_LIVE;
    if (slice->retired) {
        ps_slice_destroy(freeze->store, slice);
    }
}

void ps_freeze_fini(ps_freeze *freeze)
{
    for (; freeze->next < freeze->count; freeze->next++) {
        release(freeze, freeze->slices[freeze->next]);
    }
    while (freeze->log != NULL) {
        ps_freeze_block *block = freeze->log;
        freeze->log = block->next;
        free_block(freeze, block);
    }
    if (freeze->spent != NULL) {
        free_block(freeze, freeze->spent);
    }
    if (freeze->slices != NULL) {
        ps_free(freeze->store->mem, freeze->slices, (size_t)freeze->room * sizeof(ps_slice *));
    }
    ps_arena_fini(&freeze->strings);
    ps_freeze_init(freeze, freeze->store);
}

/* ---- reading ---- */

/* The rows of one word of marks that are read where they stand, as bits; marks them as read. */
static uint64_t take_word(ps_slice *slice, int64_t word)
{
    uint64_t rows = UINT64_MAX;
    if (slice->tracked) {
        rows = ~slice->changed[word];
        rows &= slice->frozen == PS_SLICE_FROZEN_ALL ? UINT64_MAX : slice->before[word];
        slice->before[word] = 0;
    }
    slice->read = (word + 1) * 64;
    return rows;
}

static void read_word(const ps_freeze *freeze, ps_slice *slice, int64_t word, ps_freeze_rows *out)
{
    const size_t stride = freeze->store->stride;
    const int64_t first = word * 64;
    const uint8_t *rows =
        slice->chunks[first >> PS_SLICE_SHIFT] + (size_t)(first & (PS_SLICE_ROWS - 1)) * stride;
    for (uint64_t left = take_word(slice, word); left != 0; left &= left - 1) {
        const int in = __builtin_ctzll(left);
        const uint8_t *row = rows + (size_t)in * stride;
        out->gids[out->count] = (uint32_t)(first + in);
        out->slices[out->count] = slice->index;
        out->rows[out->count] = row;
        out->count += ps_agg_rows(row) != 0;
    }
}

/* Reads on in a slice; true when all of it has been read. */
static bool read_slice(const ps_freeze *freeze, ps_slice *slice, int64_t most, int64_t *search,
                       ps_freeze_rows *out)
{
    const int64_t end = slice->chunk_room * PS_SLICE_ROWS;
    while (slice->read < end) {
        if (*search == 0 || out->count > most - PS_FREEZE_READ_MIN) {
            return false;
        }
        --*search;
        const int64_t in = slice->read & (PS_SLICE_ROWS - 1);
        if (in >= ps_slice_chunk_rows(slice, slice->read >> PS_SLICE_SHIFT)) {
            slice->read += PS_SLICE_ROWS - in;
        } else {
            read_word(freeze, slice, slice->read >> 6, out);
        }
    }
    return true;
}

void ps_freeze_read(ps_freeze *freeze, int64_t most, ps_freeze_rows *out)
{
    PS_ASSERT(most >= PS_FREEZE_READ_MIN && most <= PS_CHUNK_ROWS);
    out->count = 0;
    if (freeze->spent != NULL) {
        free_block(freeze, freeze->spent);
        freeze->spent = NULL;
    }
    int64_t search = SEARCH_WORDS;
    while (freeze->next < freeze->count && search > 0 && out->count <= most - PS_FREEZE_READ_MIN) {
        ps_slice *slice = freeze->slices[freeze->next];
        if (!read_slice(freeze, slice, most, &search, out)) {
            return;
        }
        /* The rows of a slice that is about to go must be used before it goes. */
        if (slice->retired && out->count > 0) {
            return;
        }
        freeze->next++;
        release(freeze, slice);
    }
    if (freeze->next == freeze->count && out->count == 0) {
        if (freeze->log != NULL) {
            read_log(freeze, most, out);
        } else {
            freeze->active = false;
            ps_arena_fini(&freeze->strings);
        }
    }
}
