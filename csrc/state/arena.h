/* arena.h -- bytes that never move and are freed together: keys and string values of the state.
 *
 * Blocks double from 4 KiB to 1 MiB; a larger request gets a block of its own. One thread at a time.
 */
#ifndef PS_STATE_ARENA_H
#define PS_STATE_ARENA_H

#include "base/mem.h"

typedef struct ps_arena_block ps_arena_block;

typedef struct ps_arena {
    ps_mem *mem;
    ps_arena_block *blocks; /* newest first */
    int64_t size_bytes;     /* of all blocks */
} ps_arena;

void ps_arena_init(ps_arena *arena, ps_mem *mem);
void ps_arena_fini(ps_arena *arena); /* frees all; the arena may be used again */
/* size bytes, 8-aligned; NULL when memory is refused. */
void *ps_arena_take(ps_arena *arena, size_t size_bytes);
/* Moves every block of from into arena; from is empty afterwards. */
void ps_arena_join(ps_arena *arena, ps_arena *from);

#endif
