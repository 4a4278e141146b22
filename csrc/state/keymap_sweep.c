/* keymap_sweep.c -- keys are forgotten: what leads to them, and their bytes, are made anew.
 *
 * When memory is refused half way every live key is still found.
 */
#include "state/keymap_inside.h"

#include <string.h>

#include "base/hash.h"

static uint64_t hash_of_gid(const ps_keymap *map, uint32_t gid)
{
    return map->by_word ? ps_hash_u64(*word_at(map, gid)) : bytes_at(map, gid)->hash;
}

/* Moves the bytes of live keys to a new arena. When memory is refused half way both arenas stay. */
static ps_status compact_bytes(ps_keymap *map, const uint8_t *live, ps_error *err)
{
    ps_arena arena;
    ps_arena_init(&arena, map->mem);
    for (uint32_t gid = 0; gid < map->capacity; gid++) {
        byte_key *key = bytes_at(map, gid);
        if (!live[gid] || gid == map->null_gid) {
            continue;
        }
        uint8_t *copy = ps_arena_alloc(&arena, key->size_bytes);
        if (copy == NULL) {
            ps_arena_join(&map->arena, &arena);
            return ps_mem_refused(map->mem, key->size_bytes, "compacting keys", err);
        }
        if (key->size_bytes > 0) {
            memcpy(copy, key->data, key->size_bytes);
        }
        key->data = copy;
    }
    ps_arena_fini(&map->arena);
    map->arena = arena;
    return PS_OK;
}

static ps_status rebuild_index(ps_keymap *map, const uint8_t *live, ps_error *err)
{
    ps_key_index fresh;
    ps_key_index_init(&fresh, map->mem);
    for (uint32_t gid = 0; gid < map->capacity; gid++) {
        if (!live[gid] || gid == map->null_gid) {
            continue;
        }
        const uint64_t hash = hash_of_gid(map, gid);
        if (!ps_key_index_reserve(&fresh, hash)) {
            ps_key_index_fini(&fresh);
            return ps_mem_refused(map->mem, 0, "the key index", err);
        }
        ps_key_index_add(&fresh, hash, gid);
    }
    ps_key_index_fini(&map->index);
    map->index = fresh;
    return PS_OK;
}

static ps_status rebuild_free_list(ps_keymap *map, const uint8_t *live, ps_error *err)
{
    int64_t dead = 0;
    for (uint32_t gid = 0; gid < map->capacity; gid++) {
        dead += live[gid] == 0;
    }
    if (dead > map->free_room) {
        uint32_t *list = ps_alloc(map->mem, (size_t)dead * sizeof(uint32_t));
        if (list == NULL) {
            return ps_mem_refused(map->mem, (size_t)dead * sizeof(uint32_t), "free keys", err);
        }
        if (map->free_gids != NULL) {
            ps_free(map->mem, map->free_gids, (size_t)map->free_room * sizeof(uint32_t));
        }
        map->free_gids = list;
        map->free_room = dead;
    }
    map->free_count = 0;
    for (uint32_t gid = map->capacity; gid-- > 0;) {
        if (!live[gid]) {
            map->free_gids[map->free_count++] = gid;
        }
    }
    map->live = (int64_t)map->capacity - dead;
    return PS_OK;
}

ps_status ps_keymap_sweep(ps_keymap *map, const uint8_t *live, ps_error *err)
{
    if (map->direct_on) {
        PS_TRY(ps_keymap_direct_rebuild(map, live, err));
    } else {
        PS_TRY(rebuild_index(map, live, err));
    }
    if (!map->by_word) {
        PS_TRY(compact_bytes(map, live, err));
    }
    PS_TRY(rebuild_free_list(map, live, err));
    if (map->null_gid != NO_GID && !live[map->null_gid]) {
        map->null_gid = NO_GID;
    }
    return PS_OK;
}
