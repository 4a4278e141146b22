/* test_arena.c -- pieces that never move, never overlap and are freed together. */
#include "base/arena.h"

#include "account.h"
#include "random.h"

#define PIECES 3000

static void pieces_keep_their_place_and_content(void)
{
    static uint8_t *pieces[PIECES];
    static size_t sizes[PIECES];
    ps_mem *mem = make_account();
    ps_arena arena;
    rng random = {1};
    ps_arena_init(&arena, mem);
    for (size_t i = 0; i < PIECES; i++) {
        sizes[i] = (size_t)(rng_once_in(&random, 300) ? rng_below(&random, 3 << 20)
                                                      : rng_below(&random, 200));
        pieces[i] = ps_arena_alloc(&arena, sizes[i]);
        CHECK(pieces[i] != NULL);
        CHECK_EQ((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)(i & 0xff), sizes[i]);
    }
    for (size_t i = 0; i < PIECES; i++) {
        for (size_t k = 0; k < sizes[i]; k++) {
            CHECK(pieces[i][k] == (i & 0xff));
        }
    }
    CHECK(arena.size_bytes <= ps_mem_used(mem));
    ps_arena_fini(&arena);
    CHECK_EQ(ps_mem_used(mem), 0);
    CHECK_EQ(arena.size_bytes, 0);
    CHECK(ps_arena_alloc(&arena, 1) != NULL); /* usable again */
    ps_arena_fini(&arena);
    ps_mem_release(mem);
}

static void small_pieces_share_blocks(void)
{
    ps_mem *mem = make_account();
    ps_arena arena;
    ps_arena_init(&arena, mem);
    const int64_t before = ps_mem_allocations(mem);
    for (int i = 0; i < 100000; i++) {
        CHECK(ps_arena_alloc(&arena, 16) != NULL);
    }
    CHECK(ps_mem_allocations(mem) - before < 20);
    CHECK(arena.size_bytes < 2 * 100000 * 16);
    ps_arena_fini(&arena);
    ps_mem_release(mem);
}

static void joining_hands_all_blocks_over(void)
{
    ps_mem *mem = make_account();
    ps_arena a, b;
    ps_arena_init(&a, mem);
    ps_arena_init(&b, mem);
    ps_arena_join(&a, &b); /* nothing into nothing */
    char *first = ps_arena_alloc(&a, 5000), *second = ps_arena_alloc(&b, 5000);
    memset(first, 1, 5000);
    memset(second, 2, 5000);
    const int64_t total = a.size_bytes + b.size_bytes;
    ps_arena_join(&a, &b);
    CHECK_EQ(a.size_bytes, total);
    CHECK_EQ(b.size_bytes, 0);
    CHECK(b.blocks == NULL);
    CHECK(first[4999] == 1 && second[4999] == 2);
    ps_arena_fini(&b);
    CHECK(second[0] == 2);
    ps_arena_fini(&a);
    settle(mem);
}

static void a_reset_keeps_one_block(void)
{
    ps_mem *mem = make_account();
    ps_arena arena;
    ps_arena_init(&arena, mem);
    ps_arena_reset(&arena); /* nothing to forget */
    CHECK_EQ(ps_mem_used(mem), 0);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 2000; i++) {
            memset(ps_arena_alloc(&arena, 100), round, 100);
        }
        CHECK(arena.size_bytes <= ps_mem_used(mem));
        ps_arena_reset(&arena);
        CHECK(arena.size_bytes <= ps_mem_used(mem));
        CHECK(ps_mem_used(mem) < 2000 * 100 * 3);
    }
    CHECK(ps_mem_used(mem) > 0);
    ps_arena_fini(&arena);
    settle(mem);
}

static void text_is_copied_and_terminated(void)
{
    ps_mem *mem = make_account();
    ps_arena arena;
    ps_arena_init(&arena, mem);
    char source[] = "north and south";
    const char *copy = ps_arena_text(&arena, source, 5);
    memset(source, 'x', sizeof source - 1);
    CHECK_STR(copy, "north");
    CHECK_STR(ps_arena_text(&arena, NULL, 0), "");
    ps_arena_reset(&arena);
    ps_arena_fini(&arena);
    ps_mem_fail_at(mem, 1);
    CHECK(ps_arena_text(&arena, "refused", 7) == NULL);
    settle(mem);
}

static void a_refusal_leaves_the_arena_as_it_was(void)
{
    ps_mem *mem = make_account();
    ps_arena arena;
    ps_arena_init(&arena, mem);
    char *held = ps_arena_alloc(&arena, 8);
    memcpy(held, "present", 8);
    const int64_t size = arena.size_bytes;
    ps_mem_fail_at(mem, 1);
    CHECK(ps_arena_alloc(&arena, 1 << 20) == NULL);
    CHECK_EQ(arena.size_bytes, size);
    CHECK(ps_arena_alloc(&arena, 1 << 20) != NULL);
    CHECK_STR(held, "present");
    ps_arena_fini(&arena);
    settle(mem);
}

int main(void)
{
    RUN(pieces_keep_their_place_and_content);
    RUN(small_pieces_share_blocks);
    RUN(joining_hands_all_blocks_over);
    RUN(a_reset_keeps_one_block);
    RUN(text_is_copied_and_terminated);
    RUN(a_refusal_leaves_the_arena_as_it_was);
    return 0;
}
