/* test_pages.c -- blocks against a model: apart, zero when said so, kept up to the limit. */
#include "base/pages.h"
#include "check.h"
#include "random.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static void sizes_round_to_units_and_huge_pages(void)
{
    CHECK_EQ(ps_pages_round(64 << 10), 64 << 10);
    CHECK_EQ(ps_pages_round((64 << 10) + 1), 80 << 10);
    CHECK_EQ(ps_pages_round(PS_PAGES_BLOCK_MAX), PS_PAGES_BLOCK_MAX);
    CHECK_EQ(ps_pages_round(PS_PAGES_BLOCK_MAX + 1), PS_PAGES_BLOCK_MAX + PS_PAGES_HUGE);
}

static uint8_t *take(size_t size)
{
    bool is_zero = false;
    uint8_t *const block = ps_pages_take(size, &is_zero);
    CHECK(block != NULL);
    for (size_t i = 0; is_zero && i < size; i += 1024) {
        CHECK(block[i] == 0);
    }
    memset(block, 0xa5, size);
    return block;
}

static void a_block_left_is_kept_and_taken_again(void)
{
    ps_pages_release();
    uint8_t *first = take(4 * MIB);
    CHECK_EQ((uintptr_t)first % PS_PAGES_HUGE, 0);
    CHECK_EQ(ps_pages_kept(), 0);
    ps_pages_give(first, 4 * MIB);
    CHECK_EQ(ps_pages_kept(), 4 * MIB);
    uint8_t *front = take(2 * MIB), *back = take(2 * MIB);
    CHECK(front == first && back == first + 2 * MIB);
    CHECK_EQ(ps_pages_kept(), 0);
    ps_pages_give(front, 2 * MIB);
    ps_pages_give(back, 2 * MIB);
    CHECK_EQ(ps_pages_release(), 4 * MIB);
    CHECK_EQ(ps_pages_kept(), 0);
    bool is_zero = false;
    uint8_t *again = ps_pages_take(4 * MIB, &is_zero); /* the system cleared it */
    CHECK(is_zero && again[0] == 0 && again[4 * MIB - 1] == 0);
    ps_pages_give(again, 4 * MIB);
}

static void a_page_is_kept_once_its_last_piece_has_left(void)
{
    ps_pages_release();
    uint8_t *fill = take(PS_PAGES_HUGE - PS_PAGES_UNIT); /* of the page that holds the header */
    uint8_t *low = take(MIB), *high = take(MIB);
    const bool share = ((uintptr_t)low ^ (uintptr_t)high) < PS_PAGES_HUGE;
    ps_pages_give(low, MIB);
    CHECK(!share || ps_pages_kept() == 0);
    ps_pages_give(high, MIB);
    CHECK(ps_pages_kept() >= (int64_t)PS_PAGES_HUGE);
    ps_pages_give(fill, PS_PAGES_HUGE - PS_PAGES_UNIT);
}

/* A search that fails in an arena with free units enough must not outlast the next block left. */
static void room_in_a_full_arena_is_found_again(void)
{
    enum { COUNT = 260 }; /* fills two arenas */
    const size_t half = MIB / 2;
    uint8_t *all[COUNT];
    for (int i = 0; i < COUNT; i++) {
        all[i] = take(half);
    }
    ps_pages_give(all[5], half);
    ps_pages_give(all[9], half);
    uint8_t *elsewhere = take(MIB);
    ps_pages_give(all[6], half);
    CHECK(take(MIB) == all[5]);
    ps_pages_give(elsewhere, MIB);
    for (int i = 0; i < COUNT; i++) {
        if (i != 9) { /* 5 and 6 are one block now */
            ps_pages_give(all[i], half);
        }
    }
}

static void a_small_block_that_comes_and_goes_stays_where_it_was(void)
{
    ps_pages_release();
    uint8_t *first = take(PS_PAGES_UNIT);
    ps_pages_give(first, PS_PAGES_UNIT);
    bool is_zero = true;
    uint8_t *again = ps_pages_take(PS_PAGES_UNIT, &is_zero);
    CHECK(again == first && !is_zero && again[0] == 0xa5);
    ps_pages_give(again, PS_PAGES_UNIT);
}

static void the_limit_bounds_what_is_kept(void)
{
    const int64_t before = ps_pages_limit();
    CHECK(before > 0 && before <= INT64_C(1) << 30);
    ps_pages_release();
    ps_pages_set_limit(6 * MIB);
    CHECK_EQ(ps_pages_limit(), 6 * MIB);
    uint8_t *large = take(16 * MIB);
    ps_pages_give(large, 16 * MIB);
    CHECK_EQ(ps_pages_kept(), 6 * MIB);
    ps_pages_set_limit(-1);
    CHECK_EQ(ps_pages_limit(), 0);
    CHECK_EQ(ps_pages_kept(), 0);
    uint8_t *huge = take(PS_PAGES_BLOCK_MAX + PS_PAGES_HUGE); /* never kept */
    ps_pages_set_limit(before);
    ps_pages_give(huge, PS_PAGES_BLOCK_MAX + PS_PAGES_HUGE);
    CHECK_EQ(ps_pages_kept(), 0);
}

static void memory_made_ready_is_kept_for_the_next_blocks(void)
{
    const int64_t before = ps_pages_limit();
    ps_pages_release();
    uint8_t *first = take(4 * MIB);
    CHECK_EQ(ps_pages_make_ready(2 * MIB - 1), 0);
    CHECK_EQ(ps_pages_make_ready(5 * MIB), 4 * MIB);
    CHECK_EQ(ps_pages_kept(), 4 * MIB);
    uint8_t *next = take(4 * MIB);
    CHECK(next == first + 4 * MIB || first == next + 4 * MIB);
    CHECK_EQ(ps_pages_kept(), 0);
    CHECK_EQ(ps_pages_make_ready(200 * MIB), PS_PAGES_READY_MOST); /* into a second arena */
    CHECK_EQ(ps_pages_make_ready(200 * MIB), 0);
    CHECK_EQ(ps_pages_release(), PS_PAGES_READY_MOST);
    ps_pages_set_limit(7 * MIB);
    CHECK_EQ(ps_pages_make_ready(200 * MIB), 6 * MIB);
    ps_pages_set_limit(0);
    CHECK_EQ(ps_pages_make_ready(200 * MIB), 0);
    ps_pages_set_limit(before);
    CHECK(first[0] == 0xa5 && first[4 * MIB - 1] == 0xa5);
    ps_pages_give(first, 4 * MIB);
    ps_pages_give(next, 4 * MIB);
    ps_pages_release();
}

enum { HELD_MAX = 300 };

typedef struct held {
    uint8_t *block;
    size_t size;
    uint8_t mark;
} held;

static void check_and_give(held *h)
{
    CHECK(h->block[0] == h->mark && h->block[h->size / 2] == h->mark &&
          h->block[h->size - 1] == h->mark);
    ps_pages_give(h->block, h->size);
    *h = (held){0};
}

/* Sizes of all kinds, 600 MiB at most, each block marked at both ends and in the middle. */
static void churn(uint64_t seed, int rounds)
{
    held all[HELD_MAX] = {{0}};
    rng random = {seed};
    for (int i = 0; i < rounds; i++) {
        held *h = &all[rng_below(&random, HELD_MAX)];
        if (h->block != NULL) {
            check_and_give(h);
            continue;
        }
        const size_t most = rng_once_in(&random, 20) ? 40 * MIB : MIB;
        h->size = ps_pages_round(1 + (size_t)rng_below(&random, (int64_t)most));
        bool is_zero = false;
        h->block = ps_pages_take(h->size, &is_zero);
        CHECK(h->block != NULL);
        CHECK(h->size < PS_PAGES_HUGE || (uintptr_t)h->block % PS_PAGES_HUGE == 0);
        CHECK(!is_zero || (h->block[0] == 0 && h->block[h->size - 1] == 0));
        h->mark = (uint8_t)(1 + i % 255);
        h->block[0] = h->block[h->size / 2] = h->block[h->size - 1] = h->mark;
    }
    for (int i = 0; i < HELD_MAX; i++) {
        if (all[i].block != NULL) {
            check_and_give(&all[i]);
        }
    }
}

static void blocks_never_overlap(void)
{
    const int64_t before = ps_pages_limit();
    churn(1, 4000);
    ps_pages_set_limit(20 * MIB);
    churn(2, 4000);
    CHECK(ps_pages_kept() <= (int64_t)(20 * MIB));
    ps_pages_set_limit(before);
    ps_pages_release();
    CHECK_EQ(ps_pages_kept(), 0);
}

static void *churn_thread(void *argument)
{
    churn((uint64_t)(uintptr_t)argument, 500);
    return NULL;
}

static void *ready_thread(void *rounds)
{
    for (uintptr_t i = 0; i < (uintptr_t)rounds; i++) {
        (void)ps_pages_make_ready(8 * MIB);
    }
    return NULL;
}

static void threads_share_the_pages(void)
{
    pthread_t threads[4], ready;
    CHECK_EQ(pthread_create(&ready, NULL, ready_thread, (void *)(uintptr_t)200), 0);
    for (uintptr_t i = 0; i < 4; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, churn_thread, (void *)(i + 10)), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_join(ready, NULL);
}

/* While other threads use the pages, a child finds the lock free and its blocks as they were. */
static void a_child_goes_on(void)
{
#if !defined(__SANITIZE_THREAD__) /* it cannot follow a fork of several threads */
    uint8_t *block = take(3 * MIB);
    pthread_t busy;
    CHECK_EQ(pthread_create(&busy, NULL, churn_thread, (void *)(uintptr_t)77), 0);
    for (int i = 0; i < 20; i++) {
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            const bool same = block[0] == 0xa5 && block[3 * MIB - 1] == 0xa5;
            ps_pages_give(block, 3 * MIB);
            churn(5, 50);
            ps_pages_release();
            _exit(same ? 0 : 1);
        }
        int status = -1;
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    pthread_join(busy, NULL);
    CHECK(block[0] == 0xa5);
    ps_pages_give(block, 3 * MIB);
#endif
}

int main(void)
{
    RUN(sizes_round_to_units_and_huge_pages);
    RUN(a_block_left_is_kept_and_taken_again);
    RUN(a_page_is_kept_once_its_last_piece_has_left);
    RUN(room_in_a_full_arena_is_found_again);
    RUN(a_small_block_that_comes_and_goes_stays_where_it_was);
    RUN(the_limit_bounds_what_is_kept);
    RUN(memory_made_ready_is_kept_for_the_next_blocks);
    RUN(blocks_never_overlap);
    RUN(threads_share_the_pages);
    RUN(a_child_goes_on);
    return 0;
}
