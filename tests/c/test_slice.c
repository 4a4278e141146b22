/* test_slice.c -- the ordered list of slices, growth of their rows, and the pool behind them. */
#include "state/slice.h"

#include "agg_model.h"

/* Sum and maximum of a float: neither identity is all zeros. */
static ps_agg_layout *layout_of(ps_mem *mem)
{
    const ps_agg_arg args[] = {agg_arg(PS_AGG_SUM, &AGG_TYPES[3].type, false),
                               agg_arg(PS_AGG_MAX, &AGG_TYPES[3].type, false)};
    ps_agg_layout *layout = NULL;
    CHECK_OK(ps_agg_layout_create(mem, args, 2, &layout, NULL));
    return layout;
}

static uint8_t *row_at(ps_slice_store *store, ps_slice *slice, int64_t gid)
{
    const int64_t chunk = gid >> PS_SLICE_SHIFT;
    if (slice->chunks[chunk] == NULL && ps_slice_add_chunk(store, slice, chunk) == NULL) {
        return NULL;
    }
    return slice->chunks[chunk] + (size_t)(gid & (PS_SLICE_ROWS - 1)) * store->stride;
}

/* The row count doubles as the mark of a touched row. */
static ps_status mark(ps_slice_store *store, int64_t index, int64_t gid, ps_error *err)
{
    ps_slice *slice = NULL;
    PS_TRY(ps_slice_obtain(store, index, &slice, err));
    PS_TRY(ps_slice_reach(store, slice, gid + 1, err));
    uint8_t *row = row_at(store, slice, gid);
    if (row == NULL) {
        return ps_mem_refused(store->mem, store->chunk_bytes, "the test", err);
    }
    *(uint64_t *)(void *)row = (uint64_t)(index * 100000 + gid + 1);
    return PS_OK;
}

static void check_marks(ps_slice_store *store, int64_t index, const bool *marked, int64_t gids)
{
    const ps_slice *slice = ps_slice_find(store, index);
    CHECK(slice != NULL);
    CHECK_EQ(slice->index, index);
    for (int64_t gid = 0; gid < gids; gid++) {
        const int64_t chunk = gid >> PS_SLICE_SHIFT, in = gid & (PS_SLICE_ROWS - 1);
        if (in >= ps_slice_chunk_rows(slice, chunk)) {
            CHECK(!marked[gid]);
            continue;
        }
        const uint8_t *row = slice->chunks[chunk] + (size_t)in * store->stride;
        if (marked[gid]) {
            CHECK_EQ(ps_agg_rows(row), index * 100000 + gid + 1);
        } else {
            CHECK(memcmp(row, ps_agg_identity(store->layout), store->stride) == 0);
        }
    }
}

static void rows_are_identity_until_touched(void)
{
    enum { GIDS = 30000 };
    static bool marked[2][GIDS];
    ps_mem *mem = make_account();
    ps_agg_layout *layout = layout_of(mem);
    ps_slice_store store;
    rng random = {1};
    ps_slice_store_init(&store, mem, layout);
    int64_t capacity = 1; /* groups arrive in order, rows for any of them */
    while (capacity < GIDS) {
        const int64_t index = rng_below(&random, 2);
        const int64_t gid = capacity < 200 ? capacity - 1 : rng_below(&random, capacity);
        CHECK_OK(mark(&store, index, gid, NULL));
        marked[index][gid] = true;
        capacity += 1 + capacity / 50;
    }
    check_marks(&store, 0, marked[0], GIDS);
    check_marks(&store, 1, marked[1], GIDS);
    CHECK(ps_slice_store_bytes(&store) <= ps_mem_used(mem));
    ps_slice_store_fini(&store);
    CHECK_EQ(ps_slice_store_bytes(&store), 0);
    ps_agg_layout_destroy(layout);
    settle(mem);
}

static void chunks_but_the_first_never_move(void)
{
    ps_mem *mem = make_account();
    ps_agg_layout *layout = layout_of(mem);
    ps_slice_store store;
    ps_slice *slice = NULL;
    ps_slice_store_init(&store, mem, layout);
    CHECK_OK(ps_slice_obtain(&store, 5, &slice, NULL));
    CHECK_OK(ps_slice_reach(&store, slice, 5000, NULL));
    const uint8_t *first = row_at(&store, slice, 0), *second = row_at(&store, slice, 4999);
    for (int64_t capacity = 5000; capacity < 2000000; capacity *= 3) {
        CHECK_OK(ps_slice_reach(&store, slice, capacity, NULL));
        CHECK(row_at(&store, slice, 4999) == second);
        CHECK(row_at(&store, slice, 0) == first); /* of full length by now */
        CHECK(row_at(&store, slice, capacity - 1) != NULL);
    }
    ps_slice_store_fini(&store);
    ps_agg_layout_destroy(layout);
    settle(mem);
}

static void a_few_groups_cost_a_few_rows(void)
{
    ps_mem *mem = make_account();
    ps_agg_layout *layout = layout_of(mem);
    ps_slice_store store;
    ps_slice_store_init(&store, mem, layout);
    const int64_t before = ps_mem_used(mem);
    for (int64_t i = 0; i < 1000; i++) {
        CHECK_OK(mark(&store, i, 9, NULL));
    }
    CHECK(ps_mem_used(mem) - before < 1000 * (64 * 32 + 600));
    ps_slice_store_fini(&store);
    ps_agg_layout_destroy(layout);
    settle(mem);
}

/* find, obtain and retire in any order against a plain table of what is held. */
static void slices_are_found_in_any_order(void)
{
    enum { SPAN = 200 };
    bool held[SPAN] = {false};
    ps_mem *mem = make_account();
    ps_agg_layout *layout = layout_of(mem);
    ps_slice_store store;
    rng random = {2};
    int64_t count = 0;
    ps_slice_store_init(&store, mem, layout);
    for (int step = 0; step < 20000; step++) {
        const int64_t at = rng_below(&random, SPAN), index = at - SPAN / 2;
        if (rng_once_in(&random, 50)) {
            ps_slice_retire(&store, index);
            for (int64_t i = 0; i < at; i++) {
                count -= held[i];
                held[i] = false;
            }
        } else if (rng_once_in(&random, 2)) {
            ps_slice *slice = NULL;
            CHECK_OK(ps_slice_obtain(&store, index, &slice, NULL));
            CHECK_EQ(slice->index, index);
            count += !held[at];
            held[at] = true;
        }
        const int64_t asked = rng_below(&random, SPAN);
        const ps_slice *found = ps_slice_find(&store, asked - SPAN / 2);
        CHECK_EQ(found != NULL, held[asked]);
        CHECK(found == NULL || found->index == asked - SPAN / 2);
        CHECK_EQ(store.count, count);
        for (int64_t i = 1; i < store.count; i++) {
            CHECK(store.slices[i - 1]->index < store.slices[i]->index);
        }
    }
    ps_slice_retire(&store, INT64_MAX);
    CHECK_EQ(store.count, 0);
    ps_slice_store_fini(&store);
    ps_agg_layout_destroy(layout);
    settle(mem);
}

/* A steady stream of slices allocates no more chunks after the first few. */
static void retired_chunks_are_used_again(void)
{
    ps_mem *mem = make_account();
    ps_agg_layout *layout = layout_of(mem);
    ps_slice_store store;
    int64_t steady = 0;
    ps_slice_store_init(&store, mem, layout);
    for (int64_t i = 0; i < 500; i++) {
        for (int64_t gid = 0; gid < 20000; gid += 4000) {
            CHECK_OK(mark(&store, i, gid, NULL));
        }
        ps_slice_retire(&store, i - 4);
        const int64_t used = ps_mem_used(mem);
        if (i == 20) {
            steady = used;
        }
        CHECK(i <= 20 || used == steady);
        CHECK(ps_slice_store_bytes(&store) <= used);
    }
    ps_slice_store_fini(&store);
    ps_agg_layout_destroy(layout);
    settle(mem);
}

/* A recycled chunk must not show what its former slice held. */
static void recycled_rows_are_clean(void)
{
    static bool none[10000];
    ps_mem *mem = make_account();
    ps_agg_layout *layout = layout_of(mem);
    ps_slice_store store;
    ps_slice *slice = NULL;
    ps_slice_store_init(&store, mem, layout);
    for (int64_t gid = 0; gid < 10000; gid++) {
        CHECK_OK(mark(&store, 0, gid, NULL));
    }
    ps_slice_retire(&store, 1);
    CHECK_OK(ps_slice_obtain(&store, 1, &slice, NULL));
    CHECK_OK(ps_slice_reach(&store, slice, 10000, NULL));
    CHECK(row_at(&store, slice, 9999) != NULL && row_at(&store, slice, 5000) != NULL);
    check_marks(&store, 1, none, 10000);
    ps_slice_store_fini(&store);
    ps_agg_layout_destroy(layout);
    settle(mem);
}

static ps_status busy_life(ps_slice_store *store, ps_error *err)
{
    for (int64_t i = 0; i < 12; i++) {
        for (int64_t gid = i; gid < 9000; gid = gid * 3 + 1) {
            PS_TRY(mark(store, i, gid, err));
        }
        ps_slice_retire(store, i - 3);
    }
    return PS_OK;
}

static void refused_memory_leaks_nothing(void)
{
    ps_status status = PS_NO_MEMORY;
    for (int64_t n = 1; status != PS_OK; n++) {
        ps_mem *mem = make_account();
        ps_agg_layout *layout = layout_of(mem);
        ps_slice_store store;
        ps_slice_store_init(&store, mem, layout);
        ps_mem_fail_at(mem, n);
        status = busy_life(&store, NULL);
        CHECK(status == PS_OK || status == PS_NO_MEMORY);
        CHECK(n > 1 || status != PS_OK);
        ps_mem_fail_at(mem, 0);
        CHECK_OK(busy_life(&store, NULL)); /* and it goes on */
        ps_slice_store_fini(&store);
        ps_agg_layout_destroy(layout);
        settle(mem);
    }
}

int main(void)
{
    RUN(rows_are_identity_until_touched);
    RUN(chunks_but_the_first_never_move);
    RUN(a_few_groups_cost_a_few_rows);
    RUN(slices_are_found_in_any_order);
    RUN(retired_chunks_are_used_again);
    RUN(recycled_rows_are_clean);
    RUN(refused_memory_leaks_nothing);
    return 0;
}
