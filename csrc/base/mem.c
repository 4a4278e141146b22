/* mem.c -- the account, and where blocks come from.
 *
 *     below 16 KiB    malloc, aligned by hand: [ .. offset | 64-byte aligned block ]
 *     from 16 KiB     huge pages that all jobs of the process share (pages.h)
 *
 * Invariant: what a block counts as depends on its size alone, so that sized frees balance.
 * Under AddressSanitizer every block is malloc's, so that it sees each use after free.
 */
#include "base/mem.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/pages.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MALLOC_ONLY 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define MALLOC_ONLY 1
#endif
#ifndef MALLOC_ONLY
#define MALLOC_ONLY 0
#endif

#define MAPPED_MIN ((size_t)16 << 10)

struct ps_mem {
    _Atomic int64_t references;
    _Atomic int64_t used;
    _Atomic int64_t peak;
    _Atomic int64_t allocations;
    _Atomic int64_t fail_at; /* calls until one fails, 0 = never */
    int64_t budget;          /* 0 = no limit */
    atomic_bool over_budget; /* the budget has refused something */
};

/* --- the account ------------------------------------------------------------------------------ */

ps_status ps_mem_create(int64_t budget_bytes, ps_mem **out, ps_error *err)
{
    if (budget_bytes < 0) {
        return ps_fail(err, PS_INVALID,
                       "the memory budget is %" PRId64 " bytes, must be 0 (no limit) or more",
                       budget_bytes);
    }
    ps_mem *mem = calloc(1, sizeof(*mem));
    if (mem == NULL) {
        return ps_fail(err, PS_NO_MEMORY, "no memory for the memory account");
    }
    atomic_init(&mem->references, 1);
    mem->budget = budget_bytes;
    *out = mem;
    return PS_OK;
}

void ps_mem_retain(ps_mem *mem)
{
    atomic_fetch_add_explicit(&mem->references, 1, memory_order_relaxed);
}

/* R1: every use of the account by a thread comes before its release of it; A1 by the last one. */
void ps_mem_release(ps_mem *mem)
{
    if (mem == NULL) {
        return;
    }
    if (atomic_fetch_sub_explicit(&mem->references, 1, memory_order_acq_rel) != 1) { /* R1 A1 */
        return;
    }
    free(mem);
}

/* Counts size in; false when the hook or the budget says no. */
static bool account_take(ps_mem *mem, size_t size)
{
    atomic_fetch_add_explicit(&mem->allocations, 1, memory_order_relaxed);
    if (PS_UNLIKELY(atomic_load_explicit(&mem->fail_at, memory_order_relaxed) > 0) &&
        atomic_fetch_sub_explicit(&mem->fail_at, 1, memory_order_relaxed) == 1) {
        return false;
    }
    if (PS_UNLIKELY(size > INT64_MAX / 2)) {
        return false;
    }
    const int64_t bytes = (int64_t)size;
    const int64_t used = atomic_fetch_add_explicit(&mem->used, bytes, memory_order_relaxed) + bytes;
    if (PS_UNLIKELY(mem->budget != 0 && used > mem->budget)) {
        atomic_store_explicit(&mem->over_budget, true, memory_order_relaxed);
        atomic_fetch_sub_explicit(&mem->used, bytes, memory_order_relaxed);
        return false;
    }
    int64_t peak = atomic_load_explicit(&mem->peak, memory_order_relaxed);
    while (PS_UNLIKELY(used > peak)) {
        if (atomic_compare_exchange_weak_explicit(&mem->peak, &peak, used, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            break;
        }
    }
    return true;
}

static void account_give(ps_mem *mem, size_t size)
{
    const int64_t before =
        atomic_fetch_sub_explicit(&mem->used, (int64_t)size, memory_order_relaxed);
    PS_ASSERT(before >= (int64_t)size);
    (void)before;
}

/* --- blocks ----------------------------------------------------------------------------------- */

static bool is_mapped(size_t size)
{
    return !MALLOC_ONLY && size >= MAPPED_MIN;
}

/* What a block of that size takes; the same for its free. SIZE_MAX never fits. */
static size_t block_bytes(size_t size)
{
    if (PS_UNLIKELY(size > SIZE_MAX / 4)) {
        return SIZE_MAX;
    }
    if (size >= MAPPED_MIN) {
        return ps_pages_round(size);
    }
    return ps_align_up(size == 0 ? 1 : size, 64);
}

/* malloc's blocks are 16-byte aligned, so the byte before ours is always within the raw block. */
static void *small_alloc(size_t bytes)
{
    uint8_t *raw = malloc(bytes + 64);
    if (PS_UNLIKELY(raw == NULL)) {
        return NULL;
    }
    const size_t shift = 64 - ((uintptr_t)raw & 63);
    raw[shift - 1] = (uint8_t)shift;
    return raw + shift;
}

static void small_free(uint8_t *block)
{
    free(block - block[-1]);
}

static void *block_alloc(ps_mem *mem, size_t size, bool *is_zero)
{
    const size_t bytes = block_bytes(size);
    *is_zero = false;
    if (!account_take(mem, bytes)) {
        return NULL;
    }
    void *block;
    if (!is_mapped(size)) {
        block = small_alloc(bytes);
    } else {
        block = ps_pages_take(bytes, is_zero);
    }
    if (PS_UNLIKELY(block == NULL)) {
        account_give(mem, bytes);
    }
    return block;
}

void *ps_alloc(ps_mem *mem, size_t size_bytes)
{
    bool is_zero;
    return block_alloc(mem, size_bytes, &is_zero);
}

void *ps_alloc_zeroed(ps_mem *mem, size_t size_bytes)
{
    bool is_zero;
    void *block = block_alloc(mem, size_bytes, &is_zero);
    if (block != NULL && !is_zero) {
        memset(block, 0, ps_align_up(size_bytes, 64));
    }
    return block;
}

void ps_free(ps_mem *mem, void *block, size_t size_bytes)
{
    if (block == NULL) {
        return;
    }
    const size_t bytes = block_bytes(size_bytes);
    account_give(mem, bytes);
    if (is_mapped(size_bytes)) {
        ps_pages_give(block, bytes);
    } else {
        small_free(block);
    }
}

void *ps_realloc(ps_mem *mem, void *block, size_t old_size, size_t new_size)
{
    if (block != NULL && block_bytes(old_size) == block_bytes(new_size) &&
        is_mapped(old_size) == is_mapped(new_size)) {
        return block;
    }
    void *moved = ps_alloc(mem, new_size);
    if (moved != NULL && block != NULL) {
        memcpy(moved, block, old_size < new_size ? old_size : new_size);
        ps_free(mem, block, old_size);
    }
    return moved;
}

ps_status ps_mem_refused(const ps_mem *mem, size_t size_bytes, const char *what, ps_error *err)
{
    const int64_t used = ps_mem_used(mem);
    /* Callers may know the size only roughly, so a refusal by the budget is remembered. */
    const bool over = atomic_load_explicit(&mem->over_budget, memory_order_relaxed);
    if (mem->budget != 0 && size_bytes < SIZE_MAX / 4 &&
        (over || used + (int64_t)block_bytes(size_bytes) > mem->budget)) {
        return ps_fail(err, PS_BUDGET,
                       "%s needs %zu bytes, but %" PRId64 " of the memory budget of %" PRId64
                       " bytes are in use",
                       what, size_bytes, used, mem->budget);
    }
    return ps_fail(err, PS_NO_MEMORY,
                   "%s needs %zu bytes, which the system refused (%" PRId64 " bytes in use)", what,
                   size_bytes, used);
}

int64_t ps_mem_budget(const ps_mem *mem)
{
    return mem->budget;
}

int64_t ps_mem_used(const ps_mem *mem)
{
    return atomic_load_explicit(&mem->used, memory_order_relaxed);
}

int64_t ps_mem_peak(const ps_mem *mem)
{
    return atomic_load_explicit(&mem->peak, memory_order_relaxed);
}

int64_t ps_mem_allocations(const ps_mem *mem)
{
    return atomic_load_explicit(&mem->allocations, memory_order_relaxed);
}

void ps_mem_fail_at(ps_mem *mem, int64_t nth)
{
    atomic_store_explicit(&mem->fail_at, nth, memory_order_relaxed);
}

/* --- owners ----------------------------------------------------------------------------------- */

void ps_owner_init(ps_owner *owner, void (*destroy)(ps_owner *))
{
    atomic_init(&owner->references, 1);
    owner->destroy = destroy;
}

void ps_owner_retain(ps_owner *owner)
{
    const int64_t before = atomic_fetch_add_explicit(&owner->references, 1, memory_order_relaxed);
    PS_ASSERT(before > 0);
    (void)before;
}

/* R2: a thread's uses of the buffers come before its release; A2: destroy sees them all done. */
void ps_owner_release(ps_owner *owner)
{
    if (owner == NULL) {
        return;
    }
    const int64_t before =
        atomic_fetch_sub_explicit(&owner->references, 1, memory_order_acq_rel); /* R2 A2 */
    PS_ASSERT(before > 0);
    if (before == 1) {
        owner->destroy(owner);
    }
}

#define BLOCK_HEADER 64
static_assert(sizeof(ps_block) <= BLOCK_HEADER, "a block's data starts behind its header");

static void block_destroy(ps_owner *owner)
{
    ps_block *block = (ps_block *)owner;
    ps_mem *mem = block->mem;
    if (block->total_bytes == BLOCK_HEADER) {
        ps_free(mem, block->data, block->size_bytes);
    }
    ps_free(mem, block, block->total_bytes);
    ps_mem_release(mem);
}

/* Mapped data gets a header of its own, so that it fills its pages exactly. */
ps_block *ps_block_create(ps_mem *mem, size_t size_bytes)
{
    const bool apart = size_bytes >= MAPPED_MIN;
    const size_t total =
        BLOCK_HEADER + (apart ? 0 : ps_align_up(size_bytes == 0 ? 1 : size_bytes, 64));
    ps_block *block = ps_alloc(mem, total);
    if (block == NULL) {
        return NULL;
    }
    block->data = apart ? ps_alloc(mem, size_bytes) : (uint8_t *)block + BLOCK_HEADER;
    if (block->data == NULL) {
        ps_free(mem, block, total);
        return NULL;
    }
    ps_owner_init(&block->owner, block_destroy);
    block->mem = mem;
    block->size_bytes = size_bytes;
    block->total_bytes = total;
    ps_mem_retain(mem);
    return block;
}
