/* arena.c -- bump allocation in blocks that never move. */
#include "base/arena.h"

#include <string.h>

#define BLOCK_MIN ((size_t)4096)
#define BLOCK_MAX ((size_t)1 << 20)
#define HEADER ps_align_up(sizeof(ps_arena_block), 64)

struct ps_arena_block {
    ps_arena_block *next;
    size_t total_bytes;
    size_t used;
};

void ps_arena_init(ps_arena *arena, ps_mem *mem)
{
    *arena = (ps_arena){.mem = mem};
}

static void free_blocks(ps_arena *arena, ps_arena_block *block)
{
    while (block != NULL) {
        ps_arena_block *next = block->next;
        arena->size_bytes -= (int64_t)block->total_bytes;
        ps_free(arena->mem, block, block->total_bytes);
        block = next;
    }
}

void ps_arena_fini(ps_arena *arena)
{
    free_blocks(arena, arena->blocks);
    arena->blocks = NULL;
}

void ps_arena_reset(ps_arena *arena)
{
    if (arena->blocks != NULL) {
        free_blocks(arena, arena->blocks->next);
        arena->blocks->next = NULL;
        arena->blocks->used = HEADER;
    }
}

void *ps_arena_alloc(ps_arena *arena, size_t size_bytes)
{
    const size_t need = ps_align_up(size_bytes, 16);
    ps_arena_block *block = arena->blocks;
    if (block == NULL || block->total_bytes - block->used < need) {
        size_t total = block == NULL ? BLOCK_MIN : block->total_bytes * 2;
        total = total > BLOCK_MAX ? BLOCK_MAX : total;
        total = total < need + HEADER ? ps_align_up(need + HEADER, 64) : total;
        block = ps_alloc(arena->mem, total);
        if (block == NULL) {
            return NULL;
        }
        *block = (ps_arena_block){.next = arena->blocks, .total_bytes = total, .used = HEADER};
        arena->blocks = block;
        arena->size_bytes += (int64_t)total;
    }
    void *bytes = (uint8_t *)block + block->used;
    block->used += need;
    return bytes;
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
