/* arena.h -- memory that is freed all at once: nodes, constants, and the strings that a chunk makes.
 *
 * One owner, one thread. Pieces are 16-byte aligned and stay where they are until reset or fini.
 */
#ifndef PS_EXPR_ARENA_H
#define PS_EXPR_ARENA_H

#include "base/mem.h"

typedef struct ps_arena_block ps_arena_block;

typedef struct ps_arena {
    ps_mem *mem;           /* borrowed: the owner of the arena keeps it alive */
    ps_arena_block *block; /* newest first */
    size_t used;           /* of the newest */
} ps_arena;

void ps_arena_init(ps_arena *arena, ps_mem *mem);
void ps_arena_fini(ps_arena *arena);
/* Forgets every piece; keeps the newest (largest) block for the next ones. */
void ps_arena_reset(ps_arena *arena);
/* NULL when memory is refused. */
void *ps_arena_alloc(ps_arena *arena, size_t size_bytes);
/* A terminated copy. */
char *ps_arena_text(ps_arena *arena, const char *data, size_t size_bytes);

#endif
