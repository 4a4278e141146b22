/* arena.h -- memory that is freed all at once: keys and strings of the state, nodes, constants.
 *
 * Pieces are 16-byte aligned and stay where they are until reset or fini. Blocks double from 4 KiB
 * to 1 MiB; a larger piece gets a block of its own. One owner, one thread at a time.
 */
#ifndef PS_BASE_ARENA_H
#define PS_BASE_ARENA_H

#include "base/mem.h"

typedef struct ps_arena_block ps_arena_block;

typedef struct ps_arena {
    ps_mem *mem;            /* borrowed: the owner of the arena keeps it alive */
    ps_arena_block *blocks; /* newest first */
    int64_t size_bytes;     /* of all blocks */
} ps_arena;

void ps_arena_init(ps_arena *arena, ps_mem *mem);
void ps_arena_fini(ps_arena *arena); /* frees all; the arena may be used again */
/* Forgets every piece; keeps the newest block for the next ones. */
void ps_arena_reset(ps_arena *arena);
/* NULL when memory is refused. */
void *ps_arena_alloc(ps_arena *arena, size_t size_bytes);
/* A terminated copy; NULL when memory is refused. */
char *ps_arena_text(ps_arena *arena, const char *data, size_t size_bytes);
/* Moves every block of from into arena; from is empty afterwards. */
void ps_arena_join(ps_arena *arena, ps_arena *from);

#endif
