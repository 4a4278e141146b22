/* key_index.h -- hash to gid: an extendible hash table of {tag, gid + 1} entries.
 *
 *   hash   [ 63..32 tag | 20..44 directory bits | low bits: slot in the segment ]
 *   directory[2^depth] -> segment { entries[capacity] }, linear probing, load <= 5/8
 *
 * The first segment doubles until it has SEGMENT_MAX entries (2 MiB, one huge page); from then on a
 * full segment splits in two, so growth costs the same at a thousand keys and at a hundred million.
 * The index does not know the keys: the caller compares them and can tell any gid's hash again.
 */
#ifndef PS_STATE_KEY_INDEX_H
#define PS_STATE_KEY_INDEX_H

#include "base/mem.h"

typedef struct ps_key_segment {
    uint64_t *entries; /* tag << 32 | gid + 1; 0 = empty */
    uint32_t mask;     /* capacity - 1 */
    uint32_t used;
    uint32_t depth; /* directory bits that all its keys share */
} ps_key_segment;

typedef struct ps_key_index {
    ps_mem *mem;
    ps_key_segment **directory;
    uint32_t depth;
    int64_t size_bytes;
    uint64_t (*hash_of)(const void *context, uint32_t gid);
    /* What hash_of will read, to ask for it ahead: a split visits keys all over memory. Or NULL. */
    const void *(*key_of)(const void *context, uint32_t gid);
    const void *context;
} ps_key_index;

void ps_key_index_init(ps_key_index *index, ps_mem *mem,
                       uint64_t (*hash_of)(const void *context, uint32_t gid), const void *context);
void ps_key_index_fini(ps_key_index *index); /* empties; may be used again */
/* Makes room for one more key of that hash. false: memory refused, nothing changed. */
bool ps_key_index_reserve(ps_key_index *index, uint64_t hash);
/* Adds a key that is not in the index; room was reserved. */
void ps_key_index_add(ps_key_index *index, uint64_t hash, uint32_t gid);

static inline ps_key_segment *ps_key_index_segment(const ps_key_index *index, uint64_t hash)
{
    return index->directory[(hash >> 20) & (((uint64_t)1 << index->depth) - 1)];
}

/* The gid of the first entry with the hash's tag, UINT32_MAX when there is none. Its key may
 * differ. */
static inline uint32_t ps_key_index_first(const ps_key_segment *segment, uint64_t hash)
{
    uint32_t slot = (uint32_t)hash & segment->mask;
    uint64_t entry = segment->entries[slot];
    while (entry != 0 && entry >> 32 != hash >> 32) {
        slot = (slot + 1) & segment->mask;
        entry = segment->entries[slot];
    }
    return entry == 0 ? UINT32_MAX : (uint32_t)entry - 1;
}

#endif
