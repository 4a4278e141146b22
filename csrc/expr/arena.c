/* arena.c -- blocks that double in size, linked newest first. */
#include "expr/arena.h"

#include <string.h>

#define FIRST_BLOCK 4096
#define LARGEST_BLOCK ((size_t)1 << 20)

struct ps_arena_block {
    ps_arena_block *older;
    size_t total_bytes; /* with this head */
    _Alignas(16) char data[];
};

void ps_arena_init(ps_arena *arena, ps_mem *mem)
{
    *arena = (ps_arena){.mem = mem};
}

static void free_from(ps_arena *arena, ps_arena_block *block)
{
    while (block != NULL) {
        ps_arena_block *older = block->older;
        ps_free(arena->mem, block, block->total_bytes);
        block = older;
    }
}

void ps_arena_fini(ps_arena *arena)
{
    free_from(arena, arena->block);
    arena->block = NULL;
    arena->used = 0;
}

void ps_arena_reset(ps_arena *arena)
{
    if (arena->block != NULL) {
        free_from(arena, arena->block->older);
        arena->block->older = NULL;
    }
    arena->used = 0;
}

void *ps_arena_alloc(ps_arena *arena, size_t size_bytes)
{
    const size_t want = ps_align_up(size_bytes == 0 ? 1 : size_bytes, 16);
    const size_t room =
        arena->block == NULL ? 0 : arena->block->total_bytes - sizeof(ps_arena_block) - arena->used;
    if (want > room) {
        size_t total = arena->block == NULL ? FIRST_BLOCK : 2 * arena->block->total_bytes;
        total = total > LARGEST_BLOCK ? LARGEST_BLOCK : total;
        if (total < want + sizeof(ps_arena_block)) {
            total = want + sizeof(ps_arena_block);
        }
        ps_arena_block *block = ps_alloc(arena->mem, total);
        if (block == NULL) {
            return NULL;
        }
        block->older = arena->block;
        block->total_bytes = total;
        arena->block = block;
        arena->used = 0;
    }
    void *piece = arena->block->data + arena->used;
    arena->used += want;
    return piece;
}

char *ps_arena_text(ps_arena *arena, const char *data, size_t size_bytes)
{
    char *text = ps_arena_alloc(arena, size_bytes + 1);
    if (text != NULL) {
        if (size_bytes > 0) {
            memcpy(text, data, size_bytes);
        }
        text[size_bytes] = '\0';
    }
    return text;
}
