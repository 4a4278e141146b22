/* keymap.c -- interning by word (one column of 64-bit values) or by encoded bytes (all else). */
#include "state/keymap.h"

#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "simd/kernels.h"
#include "state/chunks.h"
#include "state/key_bits.h"
#include "state/key_index.h"

#define NO_GID UINT32_MAX
#define AHEAD 16                          /* rows between asking for memory and using it */
#define DIRECT_ALWAYS ((uint64_t)1 << 21) /* spans this small are always worth a direct table */
#define DIRECT_MAX ((uint64_t)1 << 27)
#define DIRECT_SPARSITY 16 /* above that: at most this many slots a key */

typedef struct byte_key {
    const uint8_t *data;
    uint64_t size_bytes;
    uint64_t hash;
} byte_key;

struct ps_keymap {
    ps_mem *mem;
    int32_t key_count;
    bool by_word;
    ps_class kinds[16];
    uint32_t capacity; /* one past the largest gid ever given */
    int64_t live;
    uint32_t null_gid; /* of the null of a single column */
    uint32_t *free_gids;
    int64_t free_count, free_room;
    ps_chunks keys; /* uint64_t words or byte_key */
    ps_key_index index;
    /* by word, while the keys are compact */
    bool direct_on;
    uint32_t *direct; /* gid + 1 by word - base */
    uint64_t base, span;
    /* by bytes */
    ps_arena arena;
    uint8_t *encoded; /* the rows of one chunk */
    size_t encoded_room;
};

static uint64_t *word_at(const ps_keymap *map, uint32_t gid)
{
    return ps_chunks_at(&map->keys, gid);
}

static byte_key *bytes_at(const ps_keymap *map, uint32_t gid)
{
    return ps_chunks_at(&map->keys, gid);
}

static uint64_t hash_of_gid(const ps_keymap *map, uint32_t gid)
{
    return map->by_word ? ps_hash_u64(*word_at(map, gid)) : bytes_at(map, gid)->hash;
}

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
    map->null_gid = NO_GID;
    for (int32_t k = 0; k < key_count; k++) {
        map->kinds[k] = ps_type_class(&types[k]);
        PS_CHECK(map->kinds[k] != PS_CLASS_NONE);
    }
    map->by_word = key_count == 1 && map->kinds[0] != PS_CLASS_STR;
    map->direct_on = map->by_word && map->kinds[0] != PS_CLASS_F64;
    ps_chunks_init(&map->keys, mem, map->by_word ? sizeof(uint64_t) : sizeof(byte_key));
    ps_key_index_init(&map->index, mem);
    ps_arena_init(&map->arena, mem);
    *out = map;
    return PS_OK;
}

static void drop_direct(ps_keymap *map)
{
    if (map->direct != NULL) {
        ps_free(map->mem, map->direct, map->span * sizeof(uint32_t));
        map->direct = NULL;
        map->span = 0;
    }
}

void ps_keymap_destroy(ps_keymap *map)
{
    if (map == NULL) {
        return;
    }
    drop_direct(map);
    ps_key_index_fini(&map->index);
    ps_chunks_fini(&map->keys);
    ps_arena_fini(&map->arena);
    if (map->free_gids != NULL) {
        ps_free(map->mem, map->free_gids, (size_t)map->free_room * sizeof(uint32_t));
    }
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
           (int64_t)(map->span * sizeof(uint32_t)) + map->free_room * (int64_t)sizeof(uint32_t) +
           (int64_t)map->encoded_room;
}

/* A gid whose key slot is addressable; counted as live. */
static ps_status take_gid(ps_keymap *map, uint32_t *gid, ps_error *err)
{
    if (map->free_count > 0) {
        *gid = map->free_gids[--map->free_count];
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

/* Leaves the direct table for the index. */
static ps_status direct_to_index(ps_keymap *map, ps_error *err)
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
    drop_direct(map);
    return PS_OK;
}

/* Widens the direct table to hold [low, high] beside what it holds; *fits says whether it may. */
static ps_status direct_widen(ps_keymap *map, int64_t low, int64_t high, int64_t more_keys,
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
    drop_direct(map);
    map->direct = direct;
    map->base = base;
    map->span = span;
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
        PS_TRY(direct_widen(map, low, high, count, &fits, err));
        if (!fits) {
            PS_TRY(direct_to_index(map, err));
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

/* One column of an encoded row: a byte for null, then 8 bytes of word or of length + the bytes. */
static size_t encoded_size(const ps_vector *key, int64_t row)
{
    if (key->kind == PS_CLASS_STR && (key->valid == NULL || key->valid[row])) {
        return 9 + (size_t)((const ps_string *)key->values)[row].size_bytes;
    }
    return 9;
}

static uint8_t *encode_value(uint8_t *out, const ps_vector *key, int64_t row)
{
    const bool valid = key->valid == NULL || key->valid[row];
    uint64_t word = 0;
    size_t tail = 0;
    if (valid && key->kind == PS_CLASS_STR) {
        tail = (size_t)((const ps_string *)key->values)[row].size_bytes;
        word = tail;
    } else if (valid && key->kind == PS_CLASS_F64) {
        word = ps_key_bits_f64(((const double *)key->values)[row]);
    } else if (valid && key->kind == PS_CLASS_BOOL) {
        word = ((const uint8_t *)key->values)[row] != 0;
    } else if (valid) {
        word = ((const uint64_t *)key->values)[row];
    }
    *out = valid;
    memcpy(out + 1, &word, sizeof word);
    if (tail > 0) {
        memcpy(out + 9, ((const ps_string *)key->values)[row].data, tail);
    }
    return out + 9 + tail;
}

static ps_status intern_encoded(ps_keymap *map, const ps_vector *keys, int64_t count,
                                uint32_t *gids, ps_error *err)
{
    size_t total = 0;
    for (int32_t k = 0; k < map->key_count; k++) {
        for (int64_t i = 0; i < count; i++) {
            total += encoded_size(&keys[k], i);
        }
    }
    if (total > map->encoded_room) {
        const size_t room = ps_align_up(total * 2, 4096);
        uint8_t *bytes = ps_alloc(map->mem, room);
        if (bytes == NULL) {
            return ps_mem_refused(map->mem, room, "encoded keys", err);
        }
        if (map->encoded != NULL) {
            ps_free(map->mem, map->encoded, map->encoded_room);
        }
        map->encoded = bytes;
        map->encoded_room = room;
    }
    ps_string rows[PS_CHUNK_ROWS];
    uint8_t *end = map->encoded;
    for (int64_t i = 0; i < count; i++) {
        uint8_t *start = end;
        for (int32_t k = 0; k < map->key_count; k++) {
            end = encode_value(end, &keys[k], i);
        }
        rows[i] = (ps_string){.data = (const char *)start, .size_bytes = end - start};
    }
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

static const uint8_t *encoded_column(const uint8_t *row, const ps_keymap *map, int32_t key)
{
    for (int32_t k = 0; k < key; k++) {
        uint64_t word;
        memcpy(&word, row + 1, sizeof word);
        row += 9 + (map->kinds[k] == PS_CLASS_STR ? word : 0);
    }
    return row;
}

static void load_encoded(const ps_keymap *map, const uint32_t *gids, int64_t count, int32_t key,
                         ps_vector_scratch *scratch, bool *nulls)
{
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *column = encoded_column(bytes_at(map, gids[i])->data, map, key);
        uint64_t word;
        memcpy(&word, column + 1, sizeof word);
        scratch->valid[i] = column[0];
        *nulls |= column[0] == 0;
        if (map->kinds[key] == PS_CLASS_STR) {
            ((ps_string *)(void *)scratch->values)[i] =
                (ps_string){.data = (const char *)column + 9, .size_bytes = (int64_t)word};
        } else if (map->kinds[key] == PS_CLASS_BOOL) {
            scratch->values[i] = (uint8_t)word;
        } else {
            ((uint64_t *)(void *)scratch->values)[i] = word;
        }
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
        load_encoded(map, gids, count, key, scratch, &nulls);
    }
    *out = (ps_vector){
        .kind = map->kinds[key], .values = scratch->values, .valid = nulls ? scratch->valid : NULL};
}

/* ---- sweep ---- */

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

/* Clears dead keys and forgets a range that they alone spanned. */
static ps_status rebuild_direct(ps_keymap *map, const uint8_t *live, ps_error *err)
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
        const ps_status status = direct_widen(map, low, high, (int64_t)DIRECT_MAX, &fits, err);
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
        PS_TRY(rebuild_direct(map, live, err));
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
