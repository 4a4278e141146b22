/* arena.c -- bump allocation in blocks that never move. */
#include "state/arena.h"

#define BLOCK_MIN ((size_t)4096)
#define BLOCK_MAX ((size_t)1 << 20)

struct ps_arena_block {
    ps_arena_block *next;
    size_t total_bytes;
    size_t used;
};

void ps_arena_init(ps_arena *arena, ps_mem *mem)
{
    *arena = (ps_arena){.mem = mem};
}

void ps_arena_fini(ps_arena *arena)
{
    while (arena->blocks != NULL) {
        ps_arena_block *block = arena->blocks;
        arena->blocks = block->next;
        ps_free(arena->mem, block, block->total_bytes);
    }
    arena->size_bytes = 0;
}

void *ps_arena_take(ps_arena *arena, size_t size_bytes)
{
    const size_t need = ps_align_up(size_bytes, 8);
    ps_arena_block *block = arena->blocks;
    if (block == NULL || block->total_bytes - block->used < need) {
        const size_t header = ps_align_up(sizeof(ps_arena_block), 64);
        size_t total = block == NULL ? BLOCK_MIN : block->total_bytes * 2;
        total = total > BLOCK_MAX ? BLOCK_MAX : total;
        total = total < need + header ? ps_align_up(need + header, 64) : total;
        block = ps_alloc(arena->mem, total);
        if (block == NULL) {
            return NULL;
        }
        *block = (ps_arena_block){.next = arena->blocks, .total_bytes = total, .used = header};
        arena->blocks = block;
        arena->size_bytes += (int64_t)total;
    }
    void *bytes = (uint8_t *)block + block->used;
    block->used += need;
    return bytes;
}

void ps_arena_join(ps_arena *arena, ps_arena *from)
{
    ps_arena_block **tail = &arena->blocks;
    while (*tail != NULL) {
        tail = &(*tail)->next;
    }
    *tail = from->blocks;
    arena->size_bytes += from->size_bytes;
    from->blocks = NULL;
    from->size_bytes = 0;
}
