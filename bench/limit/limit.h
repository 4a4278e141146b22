/* limit.h -- what the hand-written limits share: input, output, memory.
 *
 * A limit is the fastest single-purpose C we can write for one workload on one thread. It knows the
 * query, the types and how many keys there are; it is what an engine is measured against, never a
 * part of the engine. Callers: bench/limit/__init__.py through cffi, nobody else.
 *
 * Input        an array of limit_batch: the buffers of Arrow record batches, no nulls, no offsets.
 * Output       columns in limit_out. With col[0] == NULL the function takes fresh memory inside the
 *              clock, as an engine must; otherwise it writes over the caller's touched memory.
 * State        kept in a limit_arena between runs, so a second run finds it touched; an arena that
 *              was just made is untouched and the run pays the page faults.
 */
#ifndef LIMIT_H
#define LIMIT_H

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define SECOND_US 1000000
#define DISORDER_US SECOND_US /* the bound every workload's watermark uses */
#define COLUMN_LIMIT 8

/* cffi: begin */
typedef struct limit_batch {
    const void *col[6];
    int64_t row_count;
} limit_batch;

typedef struct limit_out {
    void *col[8];
    int64_t row_count;
    int64_t late_count;
    int64_t capacity; /* rows each column has room for */
    void *fresh;      /* set when the run took fresh memory */
    int64_t fresh_bytes;
} limit_out;

typedef struct limit_arena {
    void *memory;
    int64_t size_bytes;
} limit_arena;
/* cffi: end */

/* Zeroed memory straight from the kernel; huge pages where it grants them. NULL when refused. */
static inline void *map_memory(int64_t size_bytes)
{
    const size_t huge = (size_t)2 << 20;
    const size_t size = ((size_t)size_bytes + huge - 1) / huge * huge;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    madvise(memory, size, MADV_HUGEPAGE);
#endif
    return memory;
}

static inline void unmap_memory(void *memory, int64_t size_bytes)
{
    const size_t huge = (size_t)2 << 20;
    munmap(memory, ((size_t)size_bytes + huge - 1) / huge * huge);
}

/* The arena's memory, at least size_bytes, zeroed only when it is new. */
static inline void *arena_take(limit_arena *arena, int64_t size_bytes)
{
    if (arena->size_bytes < size_bytes) {
        if (arena->memory != NULL) {
            unmap_memory(arena->memory, arena->size_bytes);
        }
        arena->memory = map_memory(size_bytes);
        arena->size_bytes = arena->memory == NULL ? 0 : size_bytes;
    }
    return arena->memory;
}

/* Makes sure every output column has memory; widths are bytes a row. False when refused. */
static inline bool out_prepare(limit_out *out, const int *widths, int column_count)
{
    if (out->col[0] != NULL) {
        return true;
    }
    int64_t offsets[COLUMN_LIMIT];
    int64_t total = 0;
    for (int c = 0; c < column_count; c++) {
        offsets[c] = total;
        total += (out->capacity * widths[c] + 4095 + 64) / 4096 * 4096;
    }
    out->fresh = map_memory(total);
    out->fresh_bytes = total;
    for (int c = 0; c < column_count && out->fresh != NULL; c++) {
        out->col[c] = (char *)out->fresh + offsets[c];
    }
    return out->fresh != NULL;
}

/* One multiply of 64 x 64 bits folded: spreads dense and strided keys like random ones. */
static inline uint64_t hash_key(int64_t key)
{
    const unsigned __int128 wide =
        (unsigned __int128)((uint64_t)key ^ 0x2d358dccaa6c78a5u) * 0x8bb84b93962eacc9u;
    return (uint64_t)wide ^ (uint64_t)(wide >> 64);
}

#endif
