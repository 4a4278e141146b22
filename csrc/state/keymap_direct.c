/* keymap_direct.c -- the direct table: the range of words it holds, and when it no longer may. */
#include "state/keymap_inside.h"

#include <string.h>

#include "base/hash.h"

#define DIRECT_ALWAYS ((uint64_t)1 << 21) /* spans this small are always worth a direct table */
#define DIRECT_MAX ((uint64_t)1 << 27)
#define DIRECT_SPARSITY 16 /* above that: at most this many slots a key */

void ps_keymap_direct_free(ps_keymap *map)
{
    if (map->direct != NULL) {
        ps_free(map->mem, map->direct, map->span * sizeof(uint32_t));
        map->direct = NULL;
        map->span = 0;
    }
}

ps_status ps_keymap_direct_leave(ps_keymap *map, ps_error *err)
{
    map->direct_on = false;
    for (uint64_t i = 0; i < map->span; i++) {
        if (map->direct[i] != 0) {
            const uint64_t hash = ps_hash_u64(map->base + i);
            if (!ps_key_index_reserve(&map->index, hash)) {
                ps_key_index_fini(&map->index);
                map->direct_on = true;
                return ps_mem_refused(map->mem, 0, "the key index", err);
            }
            ps_key_index_add(&map->index, hash, map->direct[i] - 1);
        }
    }
    ps_keymap_direct_free(map);
    return PS_OK;
}

ps_status ps_keymap_direct_widen(ps_keymap *map, int64_t low, int64_t high, int64_t more_keys,
                                 bool *fits, ps_error *err)
{
    uint64_t first = 0, end = map->span; /* the part of the table that holds keys */
    while (first < end && map->direct[first] == 0) {
        first++;
    }
    while (end > first && map->direct[end - 1] == 0) {
        end--;
    }
    const bool holds = first < end;
    const int64_t asked_low = low;
    if (holds) {
        low = ps_min_i64(low, (int64_t)(map->base + first));
        high = ps_max_i64(high, (int64_t)(map->base + (end - 1)));
    }
    const uint64_t needed = (uint64_t)high - (uint64_t)low; /* one less than the span */
    const uint64_t keys = (uint64_t)(map->live + more_keys);
    *fits = needed < DIRECT_ALWAYS || (needed < DIRECT_MAX && needed / DIRECT_SPARSITY < keys);
    if (!*fits) {
        return PS_OK;
    }
    uint64_t span = 1024;
    while (span <= needed) {
        span *= 2;
    }
    /* Room to grow goes to the side that moved, without passing the ends of int64. */
    uint64_t base = (uint64_t)low;
    const uint64_t slack = span - needed - 1;
    if (holds && asked_low < (int64_t)(map->base + first)) {
        const uint64_t down = (uint64_t)low - (uint64_t)INT64_MIN;
        base -= slack < down ? slack : down;
    }
    if (base + (span - 1) - base != span - 1 || (int64_t)(base + (span - 1)) < (int64_t)base) {
        base = (uint64_t)high - (span - 1);
    }
    uint32_t *direct = ps_alloc_zeroed(map->mem, span * sizeof(uint32_t));
    if (direct == NULL) {
        return ps_mem_refused(map->mem, span * sizeof(uint32_t), "the direct key table", err);
    }
    if (holds) {
        memcpy(&direct[map->base + first - base], &map->direct[first],
               (end - first) * sizeof(uint32_t));
    }
    ps_keymap_direct_free(map);
    map->direct = direct;
    map->base = base;
    map->span = span;
    return PS_OK;
}

ps_status ps_keymap_direct_rebuild(ps_keymap *map, const uint8_t *live, ps_error *err)
{
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (uint32_t gid = 0; gid < map->capacity; gid++) {
        if (live[gid] && gid != map->null_gid) {
            low = ps_min_i64(low, (int64_t)*word_at(map, gid));
            high = ps_max_i64(high, (int64_t)*word_at(map, gid));
        }
    }
    uint32_t *held = map->direct;
    const uint64_t held_base = map->base, held_span = map->span;
    map->direct = NULL;
    map->span = 0;
    bool fits = true;
    if (low <= high) {
        /* A part of a range that was allowed stays allowed: count the keys that earned it. */
        const ps_status status =
            ps_keymap_direct_widen(map, low, high, (int64_t)DIRECT_MAX, &fits, err);
        if (status != PS_OK) {
            map->direct = held;
            map->base = held_base;
            map->span = held_span;
            return status;
        }
        PS_CHECK(fits);
    }
    for (uint32_t gid = 0; low <= high && gid < map->capacity; gid++) {
        if (live[gid] && gid != map->null_gid) {
            map->direct[*word_at(map, gid) - map->base] = gid + 1;
        }
    }
    if (held != NULL) {
        ps_free(map->mem, held, held_span * sizeof(uint32_t));
    }
    return PS_OK;
}
