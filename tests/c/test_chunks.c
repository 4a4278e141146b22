/* test_chunks.c -- growth without moving, sizes told, refusals survived. */
#include "state/chunks.h"

#include "account.h"

static void items_stay_where_they_are(void)
{
    ps_mem *mem = make_account();
    ps_chunks chunks;
    ps_chunks_init(&chunks, mem, 24);
    CHECK(ps_chunks_reserve(&chunks, 0));
    CHECK_EQ(ps_chunks_bytes(&chunks), 0);
    static uint8_t *seen[100000];
    for (uint32_t i = 0; i < 100000; i++) {
        CHECK(ps_chunks_reserve(&chunks, (int64_t)i + 1));
        seen[i] = ps_chunks_at(&chunks, i);
        memset(seen[i], (int)(i % 251), 24);
    }
    for (uint32_t i = 0; i < 100000; i++) {
        CHECK(ps_chunks_at(&chunks, i) == seen[i]);
        CHECK(seen[i][0] == i % 251 && seen[i][23] == i % 251);
    }
    CHECK(ps_chunks_bytes(&chunks) >= 100000 * 24);
    CHECK(ps_chunks_bytes(&chunks) <= (100000 + PS_CHUNK_ITEMS) * 24 + 4096);
    CHECK(ps_chunks_bytes(&chunks) <= ps_mem_used(mem));
    ps_chunks_fini(&chunks);
    CHECK_EQ(ps_mem_used(mem), 0);
    CHECK(ps_chunks_reserve(&chunks, 5)); /* usable again */
    ps_chunks_fini(&chunks);
    ps_mem_release(mem);
}

static void refusals_leave_what_was(void)
{
    for (int64_t n = 1, refused = 1; refused > 0; n++) {
        ps_mem *mem = make_account();
        ps_chunks chunks;
        ps_chunks_init(&chunks, mem, 8);
        refused = 0;
        ps_mem_fail_at(mem, n);
        for (int64_t count = 1; count < 20 * PS_CHUNK_ITEMS; count += PS_CHUNK_ITEMS) {
            if (!ps_chunks_reserve(&chunks, count)) {
                refused++;
                CHECK(chunks.chunk_count * PS_CHUNK_ITEMS < count);
                CHECK(ps_chunks_reserve(&chunks, count)); /* the next attempt */
            }
            *(int64_t *)ps_chunks_at(&chunks, (uint32_t)count - 1) = count;
        }
        for (int64_t count = 1; count < 20 * PS_CHUNK_ITEMS; count += PS_CHUNK_ITEMS) {
            CHECK_EQ(*(int64_t *)ps_chunks_at(&chunks, (uint32_t)count - 1), count);
        }
        CHECK(n > 1 || refused == 1);
        ps_chunks_fini(&chunks);
        settle(mem);
    }
}

int main(void)
{
    RUN(items_stay_where_they_are);
    RUN(refusals_leave_what_was);
    return 0;
}
