/* key_index.c -- segments double, then split; the directory doubles by copying pointers. */
#include "state/key_index.h"

#include <string.h>

#define SEGMENT_MIN 64u
#define SEGMENT_MAX (1u << 18)
#define REMOVALS 1024u     /* of a segment, from one look for a partner to the next */
#define GOLDEN 2654435769u /* 2^32 / phi: spreads ids that follow one another */
#define DEPTH_MAX 14u      /* the bits of a tag that no slot of a segment of SEGMENT_MAX needs */

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

/* id: the directory bits of its keys. */
static uint32_t most_entries(uint32_t capacity, uint32_t id)
{
    const uint32_t sixteenth = capacity / 16;
    return capacity < SEGMENT_MAX
               ? 10 * sixteenth
               : 8 * sixteenth + (uint32_t)((uint64_t)(id * GOLDEN) * 2 * sixteenth >> 32);
}

static ps_key_segment *segment_create(ps_key_index *index, uint32_t capacity, uint32_t depth,
                                      uint32_t id)
{
    ps_key_segment *segment = ps_alloc(index->mem, sizeof *segment);
    if (segment == NULL) {
        return NULL;
    }
    *segment = (ps_key_segment){
        .mask = capacity - 1,
        .shift = (uint32_t)__builtin_clz(capacity) + 1,
        .most = most_entries(capacity, id),
        .depth = depth,
    };
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
    segment->most = most_entries(old_capacity * 2, 0);
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
    const uint64_t bit = (uint64_t)1 << segment->depth;
    const uint32_t id = (uint32_t)(hash & (bit - 1));
    ps_key_segment *low = segment_create(index, capacity, depth, id);
    ps_key_segment *high =
        low == NULL ? NULL : segment_create(index, capacity, depth, id | (uint32_t)bit);
    if (high == NULL) {
        if (low != NULL) {
            segment_destroy(index, low);
        }
        return false;
    }
    for (uint32_t i = 0; i < capacity; i++) {
        const uint64_t entry = segment->entries[i];
        if (entry != 0) {
            segment_add(((entry >> 32) & bit) != 0 ? high : low, entry);
        }
    }
    const uint64_t count = (uint64_t)1 << index->depth;
    for (uint64_t i = id; i < count; i += bit) {
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
        directory[0] = segment_create(index, SEGMENT_MIN, 0, 0);
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
        if (segment->used < segment->most) {
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

/* Every entry behind the gap stays findable: one whose home lies in front of it moves into it. */
static void close_gap(ps_key_segment *segment, uint32_t gap)
{
    for (uint32_t slot = (gap + 1) & segment->mask; segment->entries[slot] != 0;
         slot = (slot + 1) & segment->mask) {
        const uint32_t home = ps_key_index_home(segment, segment->entries[slot] >> 32);
        if (((slot - home) & segment->mask) >= ((slot - gap) & segment->mask)) {
            segment->entries[gap] = segment->entries[slot];
            gap = slot;
        }
    }
    segment->entries[gap] = 0;
}

static void add_all(ps_key_segment *to, const ps_key_segment *from)
{
    for (uint32_t i = 0; i <= from->mask; i++) {
        if (from->entries[i] != 0) {
            segment_add(to, from->entries[i]);
        }
    }
}

/* One segment takes the keys of two that were split from one, when they fill a quarter of it. */
static void join_partners(ps_key_index *index, ps_key_segment *segment, uint64_t hash)
{
    if (segment->depth == 0) {
        return;
    }
    const uint64_t bit = (uint64_t)1 << (segment->depth - 1);
    const uint32_t id = (uint32_t)(hash & (bit - 1));
    ps_key_segment *const partner = ps_key_index_segment(index, hash ^ bit);
    if (partner->depth != segment->depth || partner->mask != segment->mask ||
        segment->used + partner->used > (segment->mask + 1) / 4) {
        return;
    }
    ps_key_segment *const joined = segment_create(index, segment->mask + 1, segment->depth - 1, id);
    if (joined == NULL) {
        return; /* they stay as they are */
    }
    add_all(joined, segment);
    add_all(joined, partner);
    const uint64_t count = (uint64_t)1 << index->depth;
    for (uint64_t i = id; i < count; i += bit) {
        index->directory[i] = joined;
    }
    segment_destroy(index, segment);
    segment_destroy(index, partner);
}

bool ps_key_index_remove(ps_key_index *index, uint64_t hash, uint32_t gid)
{
    if (index->directory == NULL) {
        return false;
    }
    ps_key_segment *const segment = ps_key_index_segment(index, hash);
    const uint64_t wanted = hash << 32 | ((uint64_t)gid + 1);
    uint32_t slot = ps_key_index_home(segment, hash);
    while (segment->entries[slot] != wanted) {
        if (segment->entries[slot] == 0) {
            return false;
        }
        slot = (slot + 1) & segment->mask;
    }
    close_gap(segment, slot);
    segment->used--;
    if (segment->used % REMOVALS == 0) {
        join_partners(index, segment, hash);
    }
    return true;
}
