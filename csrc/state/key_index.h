/* key_index.h -- hash to gid: an extendible hash table of {tag, gid + 1} entries.
 *
 *   tag: the lower half of the hash   [ 31 .. 14: slot, from the top down | 13 .. 0: directory ]
 *   directory[2^depth] -> segment { entries[capacity] }, linear probing, load <= 5/8
 *
 * The first segment doubles until it has SEGMENT_MAX entries (2 MiB, one huge page); from then on a
 * full segment splits in two, so growth costs the same at a thousand keys and at a hundred million;
 * two that have become nearly empty join again. Segments split at loads between 1/2 and 5/8, or all
 * would within the same few rows.
 * A tag says where its entry belongs, so growing reads no key; slots are in the order of the tags,
 * so it reads and writes in a row. The price: a probe that finds nothing has fewer bits to
 * tell keys of its slot apart, 7 with 20 M keys, and may have to compare one.
 *
 * The index does not know the keys: the caller compares them.
 */
#ifndef PS_STATE_KEY_INDEX_H
#define PS_STATE_KEY_INDEX_H

#include "base/mem.h"

typedef struct ps_key_segment {
    uint64_t *entries; /* tag << 32 | gid + 1; 0 = empty */
    uint32_t mask;     /* capacity - 1 */
    uint32_t shift;    /* of a tag: its slot; capacity is 2^(32 - shift) */
    uint32_t used;
    uint32_t most;  /* entries before it grows */
    uint32_t depth; /* directory bits that all its keys share */
} ps_key_segment;

typedef struct ps_key_index {
    ps_mem *mem;
    ps_key_segment **directory;
    uint32_t depth;
    int64_t size_bytes;
} ps_key_index;

void ps_key_index_init(ps_key_index *index, ps_mem *mem);
void ps_key_index_fini(ps_key_index *index); /* empties; may be used again */
/* Makes room for one more key of that hash. false: memory refused, nothing changed. */
bool ps_key_index_reserve(ps_key_index *index, uint64_t hash);
/* Adds a key that is not in the index; room was reserved. */
void ps_key_index_add(ps_key_index *index, uint64_t hash, uint32_t gid);
/* Removes it; false: it is not there. */
bool ps_key_index_remove(ps_key_index *index, uint64_t hash, uint32_t gid);

static inline ps_key_segment *ps_key_index_segment(const ps_key_index *index, uint64_t hash)
{
    return index->directory[hash & (((uint64_t)1 << index->depth) - 1)];
}

/* Where a probe for the hash begins. */
static inline uint32_t ps_key_index_home(const ps_key_segment *segment, uint64_t hash)
{
    return (uint32_t)hash >> segment->shift;
}

/* Whether an entry, which is not empty, has the hash's tag. */
static inline bool ps_key_index_matches(uint64_t entry, uint64_t hash)
{
    return entry >> 32 == (uint32_t)hash;
}

/* The gid of the first entry with the hash's tag, UINT32_MAX when there is none. Its key may
 * differ. */
static inline uint32_t ps_key_index_first(const ps_key_segment *segment, uint64_t hash)
{
    uint32_t slot = ps_key_index_home(segment, hash);
    uint64_t entry = segment->entries[slot];
    while (entry != 0 && !ps_key_index_matches(entry, hash)) {
        slot = (slot + 1) & segment->mask;
        entry = segment->entries[slot];
    }
    return entry == 0 ? UINT32_MAX : (uint32_t)entry - 1;
}

#endif
