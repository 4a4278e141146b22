/* keymap.c -- interning by word (one column of 64-bit values) or by encoded bytes (all else). */
#include "state/keymap_inside.h"

#include <string.h>

#include "base/hash.h"
#include "simd/kernels.h"
#include "state/key_bits.h"

#define AHEAD 16 /* rows between asking for memory and using it */

ps_status ps_keymap_create(ps_mem *mem, const ps_type *types, int32_t key_count, ps_keymap **out,
                           ps_error *err)
{
    ps_keymap *map;
    if (key_count < 1 || key_count > (int32_t)(sizeof map->kinds / sizeof map->kinds[0])) {
        return ps_fail(err, PS_INVALID, "a key has 1 to 16 columns, not %d", key_count);
    }
    map = ps_alloc_zeroed(mem, sizeof *map);
    if (map == NULL) {
        return ps_mem_refused(mem, sizeof *map, "a key map", err);
    }
    map->mem = mem;
    map->key_count = key_count;
    map->null_gid = map->free_gid = NO_GID;
    for (int32_t k = 0; k < key_count; k++) {
        map->kinds[k] = ps_type_class(&types[k]);
        PS_CHECK(map->kinds[k] != PS_CLASS_NONE);
    }
    map->by_word = key_count == 1 && map->kinds[0] != PS_CLASS_STR;
    map->direct_on = map->by_word && map->kinds[0] != PS_CLASS_F64;
    ps_chunks_init(&map->keys, mem, map->by_word ? sizeof(uint64_t) : sizeof(byte_key));
    ps_key_index_init(&map->index, mem);
    ps_arena_init(&map->arena, mem);
    ps_arena_init(&map->old_arena, mem);
    *out = map;
    return PS_OK;
}

void ps_keymap_destroy(ps_keymap *map)
{
    if (map == NULL) {
        return;
    }
    ps_keymap_direct_free(map);
    ps_key_index_fini(&map->index);
    ps_chunks_fini(&map->keys);
    ps_arena_fini(&map->arena);
    ps_arena_fini(&map->old_arena);
    if (map->encoded != NULL) {
        ps_free(map->mem, map->encoded, map->encoded_room);
    }
    ps_free(map->mem, map, sizeof *map);
}

int64_t ps_keymap_capacity(const ps_keymap *map)
{
    return map->capacity;
}

int64_t ps_keymap_live(const ps_keymap *map)
{
    return map->live;
}

int64_t ps_keymap_bytes(const ps_keymap *map)
{
    return ps_chunks_bytes(&map->keys) + map->index.size_bytes + map->arena.size_bytes +
           map->old_arena.size_bytes + (int64_t)(map->span * sizeof(uint32_t)) +
           (int64_t)map->encoded_room;
}

/* A gid whose key slot is addressable; counted as live. */
static ps_status take_gid(ps_keymap *map, uint32_t *gid, ps_error *err)
{
    if (map->free_gid != NO_GID) {
        *gid = map->free_gid;
        map->free_gid =
            (uint32_t)(map->by_word ? *word_at(map, *gid) : bytes_at(map, *gid)->size_bytes);
    } else {
        if (map->capacity >= NO_GID - 1) {
            return ps_fail(err, PS_UNSUPPORTED, "more than %u keys on one shard: use more shards",
                           NO_GID - 1);
        }
        if (!ps_chunks_reserve(&map->keys, (int64_t)map->capacity + 1)) {
            return ps_mem_refused(map->mem, PS_CHUNK_ITEMS * map->keys.item_size, "new keys", err);
        }
        *gid = map->capacity++;
    }
    map->live++;
    return PS_OK;
}

static ps_status intern_null(ps_keymap *map, uint32_t *gid, ps_error *err)
{
    if (map->null_gid == NO_GID) {
        uint32_t taken = 0;
        PS_TRY(take_gid(map, &taken, err));
        memset(ps_chunks_at(&map->keys, taken), 0, map->keys.item_size);
        map->null_gid = taken;
    }
    *gid = map->null_gid;
    return PS_OK;
}

/* ---- by word ---- */

static ps_status word_insert(ps_keymap *map, uint64_t word, uint64_t hash, uint32_t *gid,
                             ps_error *err)
{
    if (!ps_key_index_reserve(&map->index, hash)) {
        return ps_mem_refused(map->mem, 0, "the key index", err);
    }
    PS_TRY(take_gid(map, gid, err));
    *word_at(map, *gid) = word;
    ps_key_index_add(&map->index, hash, *gid);
    return PS_OK;
}

static ps_status word_find_or_insert(ps_keymap *map, uint64_t word, uint64_t hash, uint32_t *gid,
                                     ps_error *err)
{
    if (map->index.directory != NULL) {
        const ps_key_segment *segment = ps_key_index_segment(&map->index, hash);
        uint32_t slot = ps_key_index_home(segment, hash);
        for (uint64_t entry; (entry = segment->entries[slot]) != 0;
             slot = (slot + 1) & segment->mask) {
            if (ps_key_index_matches(entry, hash) && *word_at(map, (uint32_t)entry - 1) == word) {
                *gid = (uint32_t)entry - 1;
                return PS_OK;
            }
        }
    }
    return word_insert(map, word, hash, gid, err);
}

/* Three stages run at a distance, each finding in cache what the one before it asked for: the entry
 * at a key's home slot, the key that its tag leads to, the comparison. A row whose first match is
 * not its key is found (or added) after the loop, in row order. */
static ps_status intern_words_hashed(ps_keymap *map, const uint64_t *words, int64_t count,
                                     uint32_t *gids, ps_error *err)
{
    uint64_t hashes[PS_CHUNK_ROWS];
    const ps_key_segment *segments[PS_CHUNK_ROWS];
    uint32_t missed[PS_CHUNK_ROWS];
    int64_t missed_count = 0;
    ps_simd_kernels()->hash_u64(words, hashes, count);
    const bool empty = map->index.directory == NULL || map->capacity == 0;
    for (int64_t i = 0; !empty && i < count + 2 * AHEAD; i++) {
        if (i < count) {
            segments[i] = ps_key_index_segment(&map->index, hashes[i]);
            const uint32_t home = ps_key_index_home(segments[i], hashes[i]);
            __builtin_prefetch(&segments[i]->entries[home], 0, 3);
        }
        const int64_t second = i - AHEAD;
        if (second >= 0 && second < count) {
            gids[second] = ps_key_index_first(segments[second], hashes[second]);
            __builtin_prefetch(word_at(map, gids[second] == NO_GID ? 0 : gids[second]), 0, 3);
        }
        const int64_t third = i - 2 * AHEAD;
        if (third >= 0 && (gids[third] == NO_GID || *word_at(map, gids[third]) != words[third])) {
            missed[missed_count++] = (uint32_t)third;
        }
    }
    if (empty) {
        for (int64_t i = 0; i < count; i++) {
            missed[missed_count++] = (uint32_t)i;
        }
    }
    for (int64_t i = 0; i < missed_count; i++) {
        const uint32_t row = missed[i];
        PS_TRY(word_find_or_insert(map, words[row], hashes[row], &gids[row], err));
    }
    return PS_OK;
}

static ps_status intern_words_direct(ps_keymap *map, const uint64_t *words, int64_t count,
                                     uint32_t *gids, ps_error *err)
{
    const uint32_t *direct = map->direct;
    const uint64_t base = map->base;
    bool missing = false;
    for (int64_t i = 0; i < count; i++) {
        const uint32_t found = direct[words[i] - base];
        gids[i] = found - 1;
        missing |= found == 0;
    }
    for (int64_t i = 0; missing && i < count; i++) {
        uint32_t *slot = &map->direct[words[i] - base];
        if (*slot == 0) {
            uint32_t gid = 0;
            PS_TRY(take_gid(map, &gid, err));
            *word_at(map, gid) = words[i];
            *slot = gid + 1;
        }
        gids[i] = *slot - 1;
    }
    return PS_OK;
}

static ps_status intern_words(ps_keymap *map, const uint64_t *words, int64_t count, uint32_t *gids,
                              ps_error *err)
{
    if (!map->direct_on) {
        return intern_words_hashed(map, words, count, gids, err);
    }
    const ps_kernels *kernels = ps_simd_kernels();
    if (kernels->any_outside_u64(words, map->base, map->span, count)) {
        int64_t low = 0, high = 0;
        bool fits = false;
        kernels->range_i64((const int64_t *)words, count, &low, &high);
        PS_TRY(ps_keymap_direct_widen(map, low, high, count, &fits, err));
        if (!fits) {
            PS_TRY(ps_keymap_direct_leave(map, err));
            return intern_words_hashed(map, words, count, gids, err);
        }
    }
    return intern_words_direct(map, words, count, gids, err);
}

/* The column as words, in place when it is; the words of null rows mean nothing. */
static const uint64_t *as_words(const ps_vector *key, int64_t count, uint64_t *room)
{
    if (key->kind == PS_CLASS_F64) {
        const double *values = key->values;
        for (int64_t i = 0; i < count; i++) {
            room[i] = ps_key_bits_f64(values[i]);
        }
    } else if (key->kind == PS_CLASS_BOOL) {
        const uint8_t *values = key->values;
        for (int64_t i = 0; i < count; i++) {
            room[i] = values[i] != 0;
        }
    } else {
        return key->values;
    }
    return room;
}

static ps_status intern_word_column(ps_keymap *map, const ps_vector *key, int64_t count,
                                    uint32_t *gids, ps_error *err)
{
    uint64_t room[PS_CHUNK_ROWS];
    const uint64_t *words = as_words(key, count, room);
    if (key->valid == NULL) {
        return intern_words(map, words, count, gids, err);
    }
    uint64_t packed[PS_CHUNK_ROWS];
    uint32_t packed_gids[PS_CHUNK_ROWS];
    int64_t valid = 0;
    for (int64_t i = 0; i < count; i++) {
        packed[valid] = words[i];
        valid += key->valid[i] != 0;
    }
    if (valid > 0) {
        PS_TRY(intern_words(map, packed, valid, packed_gids, err));
    }
    int64_t next = 0;
    for (int64_t i = 0; i < count; i++) {
        if (key->valid[i]) {
            gids[i] = packed_gids[next++];
        } else {
            PS_TRY(intern_null(map, &gids[i], err));
        }
    }
    return PS_OK;
}

/* ---- by bytes ---- */

static ps_status bytes_find_or_insert(ps_keymap *map, ps_string key, uint64_t hash, uint32_t *gid,
                                      ps_error *err)
{
    const size_t size = (size_t)key.size_bytes;
    if (map->index.directory != NULL) {
        const ps_key_segment *segment = ps_key_index_segment(&map->index, hash);
        uint32_t slot = ps_key_index_home(segment, hash);
        for (uint64_t entry; (entry = segment->entries[slot]) != 0;
             slot = (slot + 1) & segment->mask) {
            if (!ps_key_index_matches(entry, hash)) {
                continue;
            }
            const byte_key *held = bytes_at(map, (uint32_t)entry - 1);
            if (held->hash == hash && held->size_bytes == size &&
                (size == 0 || memcmp(held->data, key.data, size) == 0)) {
                *gid = (uint32_t)entry - 1;
                return PS_OK;
            }
        }
    }
    if (!ps_key_index_reserve(&map->index, hash)) {
        return ps_mem_refused(map->mem, 0, "the key index", err);
    }
    uint8_t *copy = ps_arena_alloc(&map->arena, size);
    if (copy == NULL) {
        return ps_mem_refused(map->mem, size, "key bytes", err);
    }
    if (size > 0) {
        memcpy(copy, key.data, size);
    }
    PS_TRY(take_gid(map, gid, err));
    *bytes_at(map, *gid) = (byte_key){.data = copy, .size_bytes = size, .hash = hash};
    ps_key_index_add(&map->index, hash, *gid);
    return PS_OK;
}

static ps_status intern_bytes(ps_keymap *map, const ps_string *rows, const uint8_t *valid,
                              int64_t count, uint32_t *gids, ps_error *err)
{
    uint64_t hashes[PS_CHUNK_ROWS];
    for (int64_t i = 0; i < count; i++) {
        hashes[i] = ps_hash_bytes(rows[i].data, (size_t)rows[i].size_bytes);
        if (map->index.directory != NULL) {
            const ps_key_segment *segment = ps_key_index_segment(&map->index, hashes[i]);
            __builtin_prefetch(&segment->entries[ps_key_index_home(segment, hashes[i])], 0, 3);
        }
    }
    for (int64_t i = 0; map->index.directory != NULL && i < count; i++) {
        const ps_key_segment *segment = ps_key_index_segment(&map->index, hashes[i]);
        const uint64_t entry = segment->entries[ps_key_index_home(segment, hashes[i])];
        if (entry != 0) {
            __builtin_prefetch(bytes_at(map, (uint32_t)entry - 1), 0, 3);
        }
    }
    for (int64_t i = 0; i < count; i++) {
        if (valid != NULL && !valid[i]) {
            PS_TRY(intern_null(map, &gids[i], err));
        } else {
            PS_TRY(bytes_find_or_insert(map, rows[i], hashes[i], &gids[i], err));
        }
    }
    return PS_OK;
}

static ps_status intern_encoded(ps_keymap *map, const ps_vector *keys, int64_t count,
                                uint32_t *gids, ps_error *err)
{
    ps_string rows[PS_CHUNK_ROWS];
    PS_TRY(ps_keymap_rows_encode(map, keys, count, rows, err));
    return intern_bytes(map, rows, NULL, count, gids, err);
}

ps_status ps_keymap_intern(ps_keymap *map, const ps_vector *keys, int64_t count, uint32_t *gids,
                           ps_error *err)
{
    PS_ASSERT(count >= 0 && count <= PS_CHUNK_ROWS);
    if (count == 0) {
        return PS_OK;
    }
    if (map->by_word) {
        return intern_word_column(map, &keys[0], count, gids, err);
    }
    if (map->key_count == 1) {
        return intern_bytes(map, keys[0].values, keys[0].valid, count, gids, err);
    }
    return intern_encoded(map, keys, count, gids, err);
}

/* ---- back to columns ---- */

static void load_words(const ps_keymap *map, const uint32_t *gids, int64_t count, void *values)
{
    if (map->kinds[0] == PS_CLASS_BOOL) {
        uint8_t *out = values;
        for (int64_t i = 0; i < count; i++) {
            out[i] = (uint8_t)*word_at(map, gids[i]);
        }
        return;
    }
    uint64_t *out = values;
    for (int64_t i = 0; i < count; i++) {
        out[i] = *word_at(map, gids[i]);
    }
}

static bool mark_null_gid(const ps_keymap *map, const uint32_t *gids, int64_t count, uint8_t *valid)
{
    bool nulls = false;
    for (int64_t i = 0; map->null_gid != NO_GID && i < count; i++) {
        valid[i] = gids[i] != map->null_gid;
        nulls |= valid[i] == 0;
    }
    return nulls;
}

void ps_keymap_load(const ps_keymap *map, const uint32_t *gids, int64_t count, int32_t key,
                    ps_vector_scratch *scratch, ps_vector *out)
{
    PS_ASSERT(count <= PS_CHUNK_ROWS && key >= 0 && key < map->key_count);
    bool nulls = false;
    if (map->by_word) {
        load_words(map, gids, count, scratch->values);
        nulls = mark_null_gid(map, gids, count, scratch->valid);
    } else if (map->key_count == 1) {
        for (int64_t i = 0; i < count; i++) {
            const byte_key *held = bytes_at(map, gids[i]);
            ((ps_string *)(void *)scratch->values)[i] = (ps_string){
                .data = (const char *)held->data, .size_bytes = (int64_t)held->size_bytes};
        }
        nulls = mark_null_gid(map, gids, count, scratch->valid);
    } else {
        ps_keymap_rows_load(map, gids, count, key, scratch, &nulls);
    }
    *out = (ps_vector){
        .kind = map->kinds[key], .values = scratch->values, .valid = nulls ? scratch->valid : NULL};
}

int64_t ps_keymap_text_bytes(const ps_keymap *map, const uint32_t *gids, int64_t count)
{
    int64_t bytes = 0;
    for (int64_t i = 0; !map->by_word && i < count; i++) {
        bytes += (int64_t)bytes_at(map, gids[i])->size_bytes;
    }
    return bytes;
}
