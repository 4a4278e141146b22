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

/* The part of the table that holds keys; empty when it holds none. */
static void held_part(const ps_keymap *map, uint64_t *first, uint64_t *end)
{
    *first = 0;
    *end = map->span;
    while (*first < *end && map->direct[*first] == 0) {
        (*first)++;
    }
    while (*end > *first && map->direct[*end - 1] == 0) {
        (*end)--;
    }
}

ps_status ps_keymap_direct_widen(ps_keymap *map, int64_t low, int64_t high, int64_t more_keys,
                                 bool *fits, ps_error *err)
{
    uint64_t first, end;
    held_part(map, &first, &end);
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

void ps_keymap_direct_narrow(ps_keymap *map)
{
    uint64_t first, end;
    held_part(map, &first, &end);
    if (first == end) {
        ps_keymap_direct_free(map);
    } else if (map->span > DIRECT_ALWAYS && end - first <= map->span / 4) {
        const int64_t low = (int64_t)(map->base + first), high = (int64_t)(map->base + (end - 1));
        bool fits;
        /* A part of a range that was allowed stays allowed: count the keys that earned it. */
        const ps_status kept =
            ps_keymap_direct_widen(map, low, high, (int64_t)DIRECT_MAX, &fits, NULL);
        PS_ASSERT(kept != PS_OK || fits);
        (void)kept;
    }
}
