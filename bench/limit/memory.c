/* memory.c -- what the memory of this machine can do: read, copy, fill, chase.
 *
 * One thread. Each function touches every byte once and answers something that depends on it.
 */
#include "limit.h"

#include <stdlib.h>

int64_t memory_read(const int64_t *from, int64_t count)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum ^= from[i];
    }
    return sum;
}

void memory_copy(int64_t *restrict to, const int64_t *restrict from, int64_t count)
{
    memcpy(to, from, (size_t)count * sizeof(int64_t));
}

/* First touch of fresh memory, huge pages where granted; answers 0, or -1 when refused. */
int memory_fill_fresh(int64_t size_bytes)
{
    char *memory = map_memory(size_bytes);
    if (memory == NULL) {
        return -1;
    }
    for (int64_t at = 0; at < size_bytes; at += 64) {
        ((volatile char *)memory)[at] = 1;
    }
    unmap_memory(memory, size_bytes);
    return 0;
}

/* A random cycle through `lines` cache lines of 64 bytes; free with memory_forget. */
int64_t *memory_cycle(int64_t lines)
{
    int64_t *memory = map_memory(lines * 64);
    if (memory == NULL) {
        return NULL;
    }
    for (int64_t i = 0; i < lines; i++) {
        memory[i * 8] = i;
    }
    uint64_t random = 88172645463325252u;
    for (int64_t i = lines - 1; i > 0; i--) { /* Sattolo's shuffle: one cycle */
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        const int64_t j = (int64_t)(random % (uint64_t)i);
        const int64_t swap = memory[i * 8];
        memory[i * 8] = memory[j * 8];
        memory[j * 8] = swap;
    }
    return memory;
}

int64_t memory_chase(const int64_t *cycle, int64_t steps)
{
    int64_t at = 0;
    for (int64_t i = 0; i < steps; i++) {
        at = cycle[at * 8];
    }
    return at;
}

void memory_forget(int64_t *cycle, int64_t lines)
{
    unmap_memory(cycle, lines * 64);
}
