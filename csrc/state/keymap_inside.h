/* keymap_inside.h -- the inside of a keymap, shared by keymap*.c only.
 *
 *     keymap.c          keys to gids and back: every loop over rows
 *     keymap_direct.c   the direct table: its range, and how it is left for the index
 *     keymap_rows.c     rows of several columns as bytes
 *     keymap_sweep.c    keys are forgotten
 */
#ifndef PS_STATE_KEYMAP_INSIDE_H
#define PS_STATE_KEYMAP_INSIDE_H

#include "base/arena.h"
#include "state/chunks.h"
#include "state/key_index.h"
#include "state/keymap.h"

#define NO_GID UINT32_MAX

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
    uint32_t free_gid; /* the first of a chain through the places of their keys */
    ps_chunks keys;    /* uint64_t words or byte_key */
    ps_key_index index;
    /* by word, while the keys are compact */
    bool direct_on;
    uint32_t *direct; /* gid + 1 by word - base */
    uint64_t base, span;
    /* by bytes */
    ps_arena arena;
    int64_t dead_bytes; /* of forgotten keys */
    bool compacting;    /* the keys of chunks from compact_chunk to compact_end are still to move */
    ps_arena old_arena; /* from here to `arena` */
    int64_t compact_chunk, compact_end;
    uint8_t *encoded; /* the rows of one chunk */
    size_t encoded_room;
};

static inline uint64_t *word_at(const ps_keymap *map, uint32_t gid)
{
    return ps_chunks_at(&map->keys, gid);
}

static inline byte_key *bytes_at(const ps_keymap *map, uint32_t gid)
{
    return ps_chunks_at(&map->keys, gid);
}

/* keymap_direct.c */
void ps_keymap_direct_free(ps_keymap *map);
/* Widens the direct table to hold [low, high] beside what it holds; *fits says whether it may. */
PS_MUST_CHECK ps_status ps_keymap_direct_widen(ps_keymap *map, int64_t low, int64_t high,
                                               int64_t more_keys, bool *fits, ps_error *err);
/* Leaves it for the index. */
PS_MUST_CHECK ps_status ps_keymap_direct_leave(ps_keymap *map, ps_error *err);
/* Gives room back that is many times what its keys span; keeps it when memory is refused. */
void ps_keymap_direct_narrow(ps_keymap *map);

/* keymap_rows.c: each row of the key columns as bytes, in map->encoded until the next call. */
PS_MUST_CHECK ps_status ps_keymap_rows_encode(ps_keymap *map, const ps_vector *keys, int64_t count,
                                              ps_string *rows, ps_error *err);
/* Column `key` of these gids; *nulls is set where one is null. */
void ps_keymap_rows_load(const ps_keymap *map, const uint32_t *gids, int64_t count, int32_t key,
                         ps_vector_scratch *scratch, bool *nulls);

#endif
