/* keymap_sweep.c -- keys are forgotten, a chunk of them at a time.
 *
 * A free gid holds the next one in the place of its key, so that freeing needs no memory. Nothing
 * leads to it: that tells it from one that is held.
 */
#include "state/keymap_inside.h"

#include <string.h>

#include "base/hash.h"

/* Takes away what leads to the gid. false: nothing does, it is free. */
static bool unlink_gid(ps_keymap *map, uint32_t gid)
{
    if (gid == map->null_gid) {
        map->null_gid = NO_GID;
        return true;
    }
    if (!map->by_word) {
        return ps_key_index_remove(&map->index, bytes_at(map, gid)->hash, gid);
    }
    const uint64_t word = *word_at(map, gid);
    if (!map->direct_on) {
        return ps_key_index_remove(&map->index, ps_hash_u64(word), gid);
    }
    const uint64_t place = word - map->base;
    if (place >= map->span || map->direct[place] != gid + 1) {
        return false;
    }
    map->direct[place] = 0;
    return true;
}

static void free_gid(ps_keymap *map, uint32_t gid)
{
    if (map->by_word) {
        *word_at(map, gid) = map->free_gid;
    } else {
        byte_key *const key = bytes_at(map, gid);
        map->dead_bytes += (int64_t)key->size_bytes;
        key->data = NULL;
        key->size_bytes = map->free_gid;
    }
    map->free_gid = gid;
    map->live--;
}

void ps_keymap_forget(ps_keymap *map, int64_t chunk, const uint8_t *live)
{
    const int64_t start = chunk * PS_CHUNK_ITEMS;
    const int64_t end = ps_min_i64(start + PS_CHUNK_ITEMS, map->capacity);
    /* From the last to the first, so that the lowest is the first to be given again. */
    for (int64_t i = end; i-- > start;) {
        const uint32_t gid = (uint32_t)i;
        if (live[i - start] == 0 && unlink_gid(map, gid)) {
            free_gid(map, gid);
        }
    }
}

void ps_keymap_end_sweep(ps_keymap *map)
{
    if (map->direct_on) {
        ps_keymap_direct_narrow(map);
    }
    if (!map->compacting && map->dead_bytes > map->arena.size_bytes / 3) {
        map->old_arena = map->arena;
        ps_arena_init(&map->arena, map->mem);
        map->dead_bytes = 0;
        map->compacting = true;
        map->compact_chunk = 0;
        map->compact_end = (map->capacity + PS_CHUNK_ITEMS - 1) / PS_CHUNK_ITEMS;
    }
}

/* Those of the null and of free gids are NULL. false: memory refused. */
static bool move_bytes(ps_keymap *map, int64_t chunk)
{
    const int64_t start = chunk * PS_CHUNK_ITEMS;
    const int64_t end = ps_min_i64(start + PS_CHUNK_ITEMS, map->capacity);
    for (int64_t i = start; i < end; i++) {
        byte_key *const key = bytes_at(map, (uint32_t)i);
        if (key->data == NULL) {
            continue;
        }
        uint8_t *const copy = ps_arena_alloc(&map->arena, key->size_bytes);
        if (copy == NULL) {
            return false;
        }
        if (key->size_bytes > 0) {
            memcpy(copy, key->data, key->size_bytes);
        }
        key->data = copy;
    }
    return true;
}

void ps_keymap_compact(ps_keymap *map, int64_t chunks)
{
    for (; map->compacting && chunks > 0; chunks--) {
        if (map->compact_chunk == map->compact_end) {
            ps_arena_fini(&map->old_arena);
            map->compacting = false;
        } else if (move_bytes(map, map->compact_chunk)) {
            map->compact_chunk++;
        } else {
            ps_arena_join(&map->arena, &map->old_arena);
            map->compacting = false;
        }
    }
}

void ps_keymap_clear(ps_keymap *map)
{
    ps_keymap_direct_free(map);
    ps_key_index_fini(&map->index);
    ps_arena_reset(&map->arena);
    ps_arena_fini(&map->old_arena);
    map->compacting = false;
    map->capacity = 0;
    map->live = 0;
    map->dead_bytes = 0;
    map->null_gid = map->free_gid = NO_GID;
}
