/* key_index.c -- segments double, then split; the directory doubles by copying pointers. */
#include "state/key_index.h"

#include <string.h>

#define SEGMENT_MIN 64u
#define SEGMENT_MAX (1u << 18)
#define DEPTH_MAX 14u /* the bits of a tag that no slot of a segment of SEGMENT_MAX needs */

void ps_key_index_init(ps_key_index *index, ps_mem *mem)
{
    *index = (ps_key_index){.mem = mem};
}

static size_t entries_bytes(uint32_t capacity)
{
    return (size_t)capacity * sizeof(uint64_t);
}

static size_t directory_bytes(uint32_t depth)
{
    return ((size_t)1 << depth) * sizeof(ps_key_segment *);
}

static ps_key_segment *segment_create(ps_key_index *index, uint32_t capacity, uint32_t depth)
{
    ps_key_segment *segment = ps_alloc(index->mem, sizeof *segment);
    if (segment == NULL) {
        return NULL;
    }
    *segment = (ps_key_segment){
        .mask = capacity - 1, .shift = (uint32_t)__builtin_clz(capacity) + 1, .depth = depth};
    segment->entries = ps_alloc_zeroed(index->mem, entries_bytes(capacity));
    if (segment->entries == NULL) {
        ps_free(index->mem, segment, sizeof *segment);
        return NULL;
    }
    index->size_bytes += (int64_t)(entries_bytes(capacity) + sizeof *segment);
    return segment;
}

static void segment_destroy(ps_key_index *index, ps_key_segment *segment)
{
    const size_t bytes = entries_bytes(segment->mask + 1);
    ps_free(index->mem, segment->entries, bytes);
    ps_free(index->mem, segment, sizeof *segment);
    index->size_bytes -= (int64_t)(bytes + sizeof *segment);
}

void ps_key_index_fini(ps_key_index *index)
{
    if (index->directory == NULL) {
        return;
    }
    /* A segment of depth d appears every 2^d entries: freed at the first, which is met last. */
    for (uint64_t i = (uint64_t)1 << index->depth; i-- > 0;) {
        ps_key_segment *segment = index->directory[i];
        if (i < (uint64_t)1 << segment->depth) {
            segment_destroy(index, segment);
        }
    }
    ps_free(index->mem, index->directory, directory_bytes(index->depth));
    index->directory = NULL;
    index->depth = 0;
    index->size_bytes = 0;
}

static void segment_add(ps_key_segment *segment, uint64_t entry)
{
    uint32_t slot = ps_key_index_home(segment, entry >> 32);
    while (segment->entries[slot] != 0) {
        slot = (slot + 1) & segment->mask;
    }
    segment->entries[slot] = entry;
    segment->used++;
}

static bool segment_double(ps_key_index *index, ps_key_segment *segment)
{
    const uint32_t old_capacity = segment->mask + 1;
    uint64_t *old = segment->entries;
    uint64_t *entries = ps_alloc_zeroed(index->mem, entries_bytes(old_capacity * 2));
    if (entries == NULL) {
        return false;
    }
    segment->entries = entries;
    segment->mask = old_capacity * 2 - 1;
    segment->shift--;
    segment->used = 0;
    for (uint32_t i = 0; i < old_capacity; i++) {
        if (old[i] != 0) {
            segment_add(segment, old[i]);
        }
    }
    ps_free(index->mem, old, entries_bytes(old_capacity));
    index->size_bytes += (int64_t)entries_bytes(old_capacity);
    return true;
}

static bool directory_double(ps_key_index *index)
{
    const size_t old_bytes = directory_bytes(index->depth);
    ps_key_segment **directory = ps_alloc(index->mem, old_bytes * 2);
    if (directory == NULL) {
        return false;
    }
    memcpy(directory, index->directory, old_bytes);
    memcpy((uint8_t *)directory + old_bytes, index->directory, old_bytes);
    ps_free(index->mem, index->directory, old_bytes);
    index->directory = directory;
    index->depth++;
    index->size_bytes += (int64_t)old_bytes;
    return true;
}

/* Two new segments take the keys of a full one; the directory entries that named it share them. */
static bool segment_split(ps_key_index *index, ps_key_segment *segment, uint64_t hash)
{
    if (segment->depth == index->depth && !directory_double(index)) {
        return false;
    }
    const uint32_t capacity = segment->mask + 1;
    const uint32_t depth = segment->depth + 1;
    ps_key_segment *low = segment_create(index, capacity, depth);
    ps_key_segment *high = low == NULL ? NULL : segment_create(index, capacity, depth);
    if (high == NULL) {
        if (low != NULL) {
            segment_destroy(index, low);
        }
        return false;
    }
    const uint64_t bit = (uint64_t)1 << segment->depth;
    for (uint32_t i = 0; i < capacity; i++) {
        const uint64_t entry = segment->entries[i];
        if (entry != 0) {
            segment_add(((entry >> 32) & bit) != 0 ? high : low, entry);
        }
    }
    const uint64_t count = (uint64_t)1 << index->depth;
    for (uint64_t i = hash & (bit - 1); i < count; i += bit) {
        index->directory[i] = (i & bit) != 0 ? high : low;
    }
    segment_destroy(index, segment);
    return true;
}

bool ps_key_index_reserve(ps_key_index *index, uint64_t hash)
{
    if (index->directory == NULL) {
        ps_key_segment **directory = ps_alloc(index->mem, directory_bytes(0));
        if (directory == NULL) {
            return false;
        }
        directory[0] = segment_create(index, SEGMENT_MIN, 0);
        if (directory[0] == NULL) {
            ps_free(index->mem, directory, directory_bytes(0));
            return false;
        }
        index->directory = directory;
        index->size_bytes += (int64_t)directory_bytes(0);
    }
    for (;;) {
        ps_key_segment *segment = ps_key_index_segment(index, hash);
        const uint64_t capacity = (uint64_t)segment->mask + 1;
        if (((uint64_t)segment->used + 1) * 8 <= capacity * 5) {
            return true;
        }
        /* Past DEPTH_MAX (2 billion keys a shard, or a broken hash) segments grow instead: the bits
         * that their keys share leave every other slot without a key of its own. */
        const bool split = capacity >= SEGMENT_MAX && segment->depth < DEPTH_MAX;
        if (!(split ? segment_split(index, segment, hash) : segment_double(index, segment))) {
            return false;
        }
    }
}

void ps_key_index_add(ps_key_index *index, uint64_t hash, uint32_t gid)
{
    segment_add(ps_key_index_segment(index, hash), hash << 32 | ((uint64_t)gid + 1));
}
