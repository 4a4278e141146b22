/* mem.h -- every byte of the core: 64-byte aligned, padded to 64, counted against a budget.
 *
 * A ps_mem is a reference-counted account shared by all parts of one job; buffers handed out of the
 * engine keep it alive until their last owner lets go. Blocks of 16 KiB and more are pieces of huge
 * pages that the jobs of the process share (pages.h); memory kept there is nobody's, so it counts
 * for no account. Frees are sized: the owner knows what it asked for.
 *
 * Threads      any thread may allocate and free; counters are relaxed atomics.
 * Answers      NULL when the system or the budget refuses; ps_mem_refused() makes the error.
 * Test hook    ps_mem_fail_at(mem, n): the n-th allocation from now returns NULL (1 = the next).
 */
#ifndef PS_BASE_MEM_H
#define PS_BASE_MEM_H

#include "base/error.h"

typedef struct ps_mem ps_mem;

/* budget_bytes 0 means no limit. */
PS_API PS_MUST_CHECK ps_status ps_mem_create(int64_t budget_bytes, ps_mem **out, ps_error *err);
PS_API void ps_mem_retain(ps_mem *mem);
PS_API void ps_mem_release(ps_mem *mem);

void *ps_alloc(ps_mem *mem, size_t size_bytes);
void *ps_alloc_zeroed(ps_mem *mem, size_t size_bytes);
/* Moves to a new block of new_size; the old block stays valid on NULL. */
void *ps_realloc(ps_mem *mem, void *block, size_t old_size, size_t new_size);
void ps_free(ps_mem *mem, void *block, size_t size_bytes);

/* PS_BUDGET or PS_NO_MEMORY with a text that names what was wanted and how much is in use. */
ps_status ps_mem_refused(const ps_mem *mem, size_t size_bytes, const char *what, ps_error *err);

int64_t ps_mem_budget(const ps_mem *mem); /* 0: no limit */
PS_API int64_t ps_mem_used(const ps_mem *mem);
PS_API int64_t ps_mem_peak(const ps_mem *mem);
PS_API int64_t ps_mem_allocations(const ps_mem *mem); /* calls so far, for the hook */
PS_API void ps_mem_fail_at(ps_mem *mem, int64_t nth); /* 0 switches the hook off */

/* Something reference-counted that keeps buffers alive. destroy runs at the last release, on
 * whichever thread that is. */
typedef struct ps_owner {
    _Atomic int64_t references;
    void (*destroy)(struct ps_owner *self);
} ps_owner;

void ps_owner_init(ps_owner *owner, void (*destroy)(ps_owner *));
void ps_owner_retain(ps_owner *owner);
void ps_owner_release(ps_owner *owner); /* NULL allowed */

/* One aligned block that frees itself with its last reference: what computed columns live in. */
typedef struct ps_block {
    ps_owner owner;
    ps_mem *mem;
    size_t size_bytes; /* of data */
    size_t total_bytes;
    uint8_t *data;
} ps_block;

/* NULL on refusal. The content is not initialised. */
ps_block *ps_block_create(ps_mem *mem, size_t size_bytes);

#endif
