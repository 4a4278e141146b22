/* chunks.c -- growth of the chunk list. */
#include "state/chunks.h"

void ps_chunks_init(ps_chunks *chunks, ps_mem *mem, size_t item_size)
{
    *chunks = (ps_chunks){.mem = mem, .item_size = item_size};
}

static size_t chunk_bytes(const ps_chunks *chunks)
{
    return chunks->item_size * PS_CHUNK_ITEMS;
}

void ps_chunks_fini(ps_chunks *chunks)
{
    for (int64_t i = 0; i < chunks->chunk_count; i++) {
        ps_free(chunks->mem, chunks->chunks[i], chunk_bytes(chunks));
    }
    if (chunks->chunks != NULL) {
        ps_free(chunks->mem, chunks->chunks, (size_t)chunks->chunk_room * sizeof(uint8_t *));
    }
    ps_chunks_init(chunks, chunks->mem, chunks->item_size);
}

static bool grow_list(ps_chunks *chunks, int64_t wanted)
{
    int64_t room = chunks->chunk_room == 0 ? 8 : chunks->chunk_room;
    while (room < wanted) {
        room *= 2;
    }
    if (room == chunks->chunk_room) {
        return true;
    }
    const size_t old_size = (size_t)chunks->chunk_room * sizeof(uint8_t *);
    const size_t new_size = (size_t)room * sizeof(uint8_t *);
    void *list = old_size == 0 ? ps_alloc(chunks->mem, new_size)
                               : ps_realloc(chunks->mem, chunks->chunks, old_size, new_size);
    if (list == NULL) {
        return false;
    }
    chunks->chunks = list;
    chunks->chunk_room = room;
    return true;
}

bool ps_chunks_reserve(ps_chunks *chunks, int64_t count)
{
    const int64_t wanted = (count + PS_CHUNK_ITEMS - 1) >> PS_CHUNK_ITEMS_SHIFT;
    if (wanted <= chunks->chunk_count) {
        return true;
    }
    if (!grow_list(chunks, wanted)) {
        return false;
    }
    while (chunks->chunk_count < wanted) {
        uint8_t *chunk = ps_alloc(chunks->mem, chunk_bytes(chunks));
        if (chunk == NULL) {
            return false;
        }
        chunks->chunks[chunks->chunk_count++] = chunk;
    }
    return true;
}

int64_t ps_chunks_bytes(const ps_chunks *chunks)
{
    return chunks->chunk_count * (int64_t)chunk_bytes(chunks) +
           chunks->chunk_room * (int64_t)sizeof(uint8_t *);
}
