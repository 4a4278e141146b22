/* chunks.h -- an array of fixed-size items that grows without moving any: a list of equal
 * chunks. */
#ifndef PS_STATE_CHUNKS_H
#define PS_STATE_CHUNKS_H

#include "base/mem.h"

#define PS_CHUNK_ITEMS_SHIFT 12
#define PS_CHUNK_ITEMS (1 << PS_CHUNK_ITEMS_SHIFT)

typedef struct ps_chunks {
    ps_mem *mem;
    size_t item_size;
    uint8_t **chunks;
    int64_t chunk_count;
    int64_t chunk_room; /* of the list */
} ps_chunks;

void ps_chunks_init(ps_chunks *chunks, ps_mem *mem, size_t item_size);
void ps_chunks_fini(ps_chunks *chunks);
/* Makes items [0, count) addressable; new items are not initialised. false: memory refused. */
bool ps_chunks_reserve(ps_chunks *chunks, int64_t count);
int64_t ps_chunks_bytes(const ps_chunks *chunks);

static inline void *ps_chunks_at(const ps_chunks *chunks, uint32_t index)
{
    return chunks->chunks[index >> PS_CHUNK_ITEMS_SHIFT] +
           (index & (PS_CHUNK_ITEMS - 1)) * chunks->item_size;
}

#endif
