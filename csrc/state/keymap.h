/* keymap.h -- key columns to dense group ids ("gid") and back: one probe per row, then arrays.
 *
 *   one integer, bool or float column          anything else (strings, several columns)
 *   word = the value's 64 bits                 bytes = the encoded row, in an arena
 *        |                                          |
 *   direct table, while the keys are compact:  hash index: {32-bit tag, gid + 1} entries in
 *   gid = direct[word - base]                  extendible segments of at most 2 MiB
 *   (else the hash index too)
 *
 * Invariants   I1  a gid is below ps_keymap_capacity and stays valid until its key is forgotten
 *              I2  keys never move; the index grows by one segment (<= 2 MiB) at a time, so that no
 *                  single call pays for the size of the whole state
 * Nulls are keys of their own. One thread at a time.
 * Cost         direct ~1 ns a row; index: one cache miss for the entry and one for the key, both
 *              prefetched over a chunk of rows. 13 to 32 B a key for the index at 25-62% load, 8 B
 *              for a word, 24 B + its bytes for a byte key.
 * Source       dense tickets: Xue and Marcus, "Global Hash Tables Strike Back!", 2025; extendible
 *              hashing: Fagin et al., 1979.
 */
#ifndef PS_STATE_KEYMAP_H
#define PS_STATE_KEYMAP_H

#include "arrow/vector.h"
#include "state/chunks.h"

typedef struct ps_keymap ps_keymap;

/* types: of the key columns, key_count >= 1. */
PS_API PS_MUST_CHECK ps_status ps_keymap_create(ps_mem *mem, const ps_type *types,
                                                int32_t key_count, ps_keymap **out, ps_error *err);
PS_API void ps_keymap_destroy(ps_keymap *map); /* NULL allowed */

/* gids[i] for row i of key_count vectors, count <= PS_CHUNK_ROWS; new keys get new gids. */
PS_API PS_MUST_CHECK ps_status ps_keymap_intern(ps_keymap *map, const ps_vector *keys,
                                                int64_t count, uint32_t *gids, ps_error *err);
/* One past the largest gid in use or ever used. */
PS_API int64_t ps_keymap_capacity(const ps_keymap *map);
/* Keys held now. */
PS_API int64_t ps_keymap_live(const ps_keymap *map);
PS_API int64_t ps_keymap_bytes(const ps_keymap *map);

/* Column `key` of the keys gids[0..count): count <= PS_CHUNK_ROWS. Strings point into the map. */
void ps_keymap_load(const ps_keymap *map, const uint32_t *gids, int64_t count, int32_t key,
                    ps_vector_scratch *scratch, ps_vector *out);
/* A bound on the bytes of the texts in the keys gids[0..count): at most 9 a column above them. */
int64_t ps_keymap_text_bytes(const ps_keymap *map, const uint32_t *gids, int64_t count);

/* Keys are forgotten a chunk of PS_CHUNK_ITEMS gids at a time, so that no call pays for all: those
 * whose live[gid % PS_CHUNK_ITEMS] is 0 are, and later keys get their gids. */
void ps_keymap_forget(ps_keymap *map, int64_t chunk, const uint8_t *live);
/* Behind the last chunk: gives back what no key needs; the bytes of keys by ps_keymap_compact. */
void ps_keymap_end_sweep(ps_keymap *map);
/* Moves the bytes of so many chunks of keys together, if much of their memory is of forgotten ones.
 * Without room for that they stay where they are. */
void ps_keymap_compact(ps_keymap *map, int64_t chunks);
/* Forgets all keys; the next gid is 0. */
void ps_keymap_clear(ps_keymap *map);

#endif
