/* test_mem.c -- alignment, accounting, budget, the failing hook, recycling, owners. */
#include "base/mem.h"
#include "check.h"

#include <pthread.h>

static ps_mem *account(int64_t budget)
{
    ps_mem *mem = NULL;
    CHECK_OK(ps_mem_create(budget, &mem, NULL));
    return mem;
}

static void blocks_are_aligned_padded_and_counted(void)
{
    ps_mem *mem = account(0);
    static const size_t sizes[] = {0,
                                   1,
                                   63,
                                   64,
                                   65,
                                   1000,
                                   65535,
                                   65536,
                                   70000,
                                   1 << 20,
                                   (2 << 20) - 1,
                                   2 << 20,
                                   (2 << 20) + 1,
                                   9 << 20};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        uint8_t *block = ps_alloc(mem, sizes[i]);
        CHECK(block != NULL);
        CHECK_EQ((uintptr_t)block % 64, 0);
        CHECK(ps_mem_used(mem) >= (int64_t)sizes[i]);
        memset(block, 0xa5, ps_align_up(sizes[i], 64));
        ps_free(mem, block, sizes[i]);
        CHECK_EQ(ps_mem_used(mem), 0);
        uint8_t *zeroed = ps_alloc_zeroed(mem, sizes[i]); /* recycled or not, it is zero */
        for (size_t k = 0; k < ps_align_up(sizes[i], 64); k++) {
            CHECK_EQ(zeroed[k], 0);
        }
        ps_free(mem, zeroed, sizes[i]);
    }
    CHECK(ps_mem_peak(mem) >= 9 << 20);
    CHECK_EQ(ps_mem_allocations(mem), 2 * (int64_t)(sizeof(sizes) / sizeof(*sizes)));
    ps_free(mem, NULL, 100);
    ps_mem_release(mem);
}

static void realloc_keeps_content(void)
{
    ps_mem *mem = account(0);
    size_t size = 10;
    uint8_t *block = ps_realloc(mem, NULL, 0, size);
    for (size_t i = 0; i < size; i++) {
        block[i] = (uint8_t)(i * 7);
    }
    while (size < 20 << 20) {
        const size_t larger = size * 3;
        block = ps_realloc(mem, block, size, larger);
        for (size_t i = 0; i < size; i++) {
            CHECK(block[i] == (uint8_t)(i * 7));
        }
        for (size_t i = size; i < larger; i++) {
            block[i] = (uint8_t)(i * 7);
        }
        size = larger;
    }
    block = ps_realloc(mem, block, size, 5);
    CHECK_EQ(block[4], 28);
    ps_free(mem, block, 5);
    CHECK_EQ(ps_mem_used(mem), 0);
    ps_mem_release(mem);
}

static void without_a_refusal_by_the_budget_it_was_the_system(void)
{
    ps_mem *mem = account(1000);
    ps_error err;
    CHECK_EQ(ps_mem_refused(mem, 64, "the test", &err), PS_NO_MEMORY);
    ps_mem_release(mem);
}

static void budget_refuses_and_says_so(void)
{
    ps_mem *mem = account(1000);
    ps_error err;
    CHECK_EQ(ps_mem_create(-1, &mem, &err), PS_INVALID);
    void *first = ps_alloc(mem, 512);
    CHECK(first != NULL);
    CHECK(ps_alloc(mem, 512) == NULL);
    CHECK_EQ(ps_mem_used(mem), 512);
    CHECK_EQ(ps_mem_refused(mem, 512, "the test", &err), PS_BUDGET);
    CHECK_STR(err.text, "the test needs 512 bytes, but 512 of the memory budget of 1000 bytes are "
                        "in use");
    CHECK_EQ(ps_mem_refused(mem, 64, "a size known roughly", &err), PS_BUDGET);
    CHECK(ps_alloc(mem, SIZE_MAX) == NULL);
    CHECK(ps_alloc(mem, SIZE_MAX / 2) == NULL);
    ps_free(mem, first, 512);
    CHECK_EQ(ps_mem_used(mem), 0);
    ps_mem_release(mem);
}

static void the_nth_allocation_fails(void)
{
    ps_mem *mem = account(0);
    ps_mem_fail_at(mem, 3);
    void *a = ps_alloc(mem, 8), *b = ps_alloc(mem, 8), *c = ps_alloc(mem, 8), *d = ps_alloc(mem, 8);
    CHECK(a != NULL && b != NULL && c == NULL && d != NULL);
    ps_mem_fail_at(mem, 1);
    ps_mem_fail_at(mem, 0);
    void *e = ps_alloc(mem, 8);
    CHECK(e != NULL);
    ps_free(mem, a, 8);
    ps_free(mem, b, 8);
    ps_free(mem, d, 8);
    ps_free(mem, e, 8);
    CHECK_EQ(ps_mem_used(mem), 0);
    ps_mem_release(mem);
}

static void large_blocks_outlive_their_account_and_its_count(void)
{
#if !defined(__SANITIZE_ADDRESS__)
    ps_mem *mem = account(0);
    const size_t size = 8 << 20;
    uint8_t *block = ps_alloc(mem, size);
    CHECK_EQ((uintptr_t)block % (2 << 20), 0);
    memset(block, 1, size);
    CHECK_EQ(ps_mem_used(mem), size);
    ps_free(mem, block, size);
    CHECK_EQ(ps_mem_used(mem), 0);
    ps_mem_release(mem);
    mem = account(9 << 20); /* another job gets the same memory, within its own budget */
    uint8_t *again = ps_alloc_zeroed(mem, size);
    CHECK(again == block);
    CHECK(again[0] == 0 && again[size - 1] == 0);
    CHECK(ps_alloc(mem, 2 << 20) == NULL);
    ps_free(mem, again, size);
    ps_mem_release(mem);
#endif
}

static void *churn(void *argument)
{
    ps_mem *mem = argument;
    for (size_t i = 0; i < 3000; i++) {
        const size_t size = (i * 7919) % 300000;
        uint8_t *block = ps_alloc(mem, size);
        CHECK(block != NULL);
        block[0] = (uint8_t)i;
        block[size / 2] = (uint8_t)i;
        ps_block *shared = ps_block_create(mem, size);
        ps_owner_retain(&shared->owner);
        ps_owner_release(&shared->owner);
        ps_free(mem, block, size);
        ps_owner_release(&shared->owner);
    }
    return NULL;
}

static void threads_share_an_account(void)
{
    ps_mem *mem = account(0);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, churn, mem), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_EQ(ps_mem_used(mem), 0);
    ps_mem_release(mem);
}

static void a_block_outlives_the_account_reference(void)
{
    ps_mem *mem = account(0);
    ps_block *small = ps_block_create(mem, 100), *large = ps_block_create(mem, 3 << 20);
    CHECK_EQ((uintptr_t)small->data % 64, 0);
    CHECK_EQ((uintptr_t)large->data % 64, 0);
    memset(small->data, 1, 100);
    memset(large->data, 1, 3 << 20);
    ps_mem_release(mem);
    ps_owner_retain(&large->owner);
    ps_owner_release(&large->owner);
    ps_owner_release(&small->owner);
    ps_owner_release(&large->owner);
    ps_owner_release(NULL);
}

static void refused_blocks_leak_nothing(void)
{
    ps_mem *mem = account(0);
    for (int64_t n = 1;; n++) {
        ps_mem_fail_at(mem, n);
        ps_block *block = ps_block_create(mem, 1 << 20);
        ps_mem_fail_at(mem, 0);
        if (block != NULL) {
            CHECK(n > 1);
            ps_owner_release(&block->owner);
            break;
        }
        CHECK_EQ(ps_mem_used(mem), 0);
    }
    CHECK_EQ(ps_mem_used(mem), 0);
    ps_mem_release(mem);
}

int main(void)
{
    RUN(blocks_are_aligned_padded_and_counted);
    RUN(realloc_keeps_content);
    RUN(without_a_refusal_by_the_budget_it_was_the_system);
    RUN(budget_refuses_and_says_so);
    RUN(the_nth_allocation_fails);
    RUN(large_blocks_outlive_their_account_and_its_count);
    RUN(threads_share_an_account);
    RUN(a_block_outlives_the_account_reference);
    RUN(refused_blocks_leak_nothing);
    return 0;
}
