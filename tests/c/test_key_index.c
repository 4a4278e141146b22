/* test_key_index.c -- every gid is found again, through doublings, splits, skew and refusals. */
#include "state/key_index.h"

#include "account.h"
#include "random.h"

/* Whether the index has exactly one entry for the gid where a probe for its hash looks. */
static bool found(const ps_key_index *index, uint64_t hash, uint32_t gid)
{
    const ps_key_segment *segment = ps_key_index_segment(index, hash);
    uint32_t slot = ps_key_index_home(segment, hash);
    int times = 0;
    for (uint64_t entry; (entry = segment->entries[slot]) != 0; slot = (slot + 1) & segment->mask) {
        if ((uint32_t)entry == gid + 1) {
            CHECK(ps_key_index_matches(entry, hash));
            times++;
        }
    }
    return times == 1;
}

static void fill(const uint64_t *hashes, uint32_t count)
{
    ps_mem *mem = make_account();
    ps_key_index index;
    ps_key_index_init(&index, mem);
    for (uint32_t i = 0; i < count; i++) {
        CHECK(ps_key_index_reserve(&index, hashes[i]));
        ps_key_index_add(&index, hashes[i], i);
    }
    for (uint32_t i = 0; i < count; i++) {
        CHECK(found(&index, hashes[i], i));
    }
    CHECK(index.size_bytes <= ps_mem_used(mem));
    CHECK(ps_mem_used(mem) < index.size_bytes + 128 * (1 << index.depth) + 1024);
    ps_key_index_fini(&index);
    CHECK_EQ(index.size_bytes, 0);
    settle(mem);
}

static uint64_t *room(uint32_t count)
{
    uint64_t *hashes = malloc(count * sizeof *hashes);
    CHECK(hashes != NULL);
    return hashes;
}

static void a_million_hashes_are_found(void)
{
    const uint32_t count = 1000000;
    uint64_t *hashes = room(count);
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = ps_hash_u64(i);
    }
    fill(hashes, count);
    free(hashes);
}

/* All hashes agree in the first directory bits: one half of each split stays empty. */
static void skewed_hashes_split_deep(void)
{
    const uint32_t count = 250000;
    uint64_t *hashes = room(count);
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = ps_hash_u64(i) & ~UINT64_C(0x1f);
    }
    fill(hashes, count);
    free(hashes);
}

/* Hashes that agree in all directory bits stay in one segment, which doubles past SEGMENT_MAX and
 * leaves half of its slots without a key of their own: runs are long, but no longer than that. */
static void a_segment_that_cannot_split_doubles(void)
{
    const uint32_t count = 600000;
    ps_mem *mem = make_account();
    ps_key_index index;
    uint64_t *hashes = room(count), walked = 0;
    ps_key_index_init(&index, mem);
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = ps_hash_u64(i) & ~UINT64_C(0x3fff);
        CHECK(ps_key_index_reserve(&index, hashes[i]));
        ps_key_index_add(&index, hashes[i], i);
    }
    const ps_key_segment *segment = ps_key_index_segment(&index, 0);
    CHECK_EQ(segment->used, count);
    CHECK(segment->mask > UINT32_C(1) << 18);
    for (uint32_t i = 0; i < count; i++) {
        CHECK(found(&index, hashes[i], i));
        uint32_t slot = ps_key_index_home(segment, hashes[i]);
        for (; (uint32_t)segment->entries[slot] != i + 1; slot = (slot + 1) & segment->mask) {
            walked++;
        }
    }
    CHECK(walked / count < 4);
    ps_key_index_fini(&index);
    settle(mem);
    free(hashes);
}

static void equal_hashes_share_a_segment(void)
{
    uint64_t hashes[2000];
    for (uint32_t i = 0; i < 2000; i++) {
        hashes[i] = i % 2 == 0 ? 42 : ps_hash_u64(i);
    }
    fill(hashes, 2000);
}

static void load_stays_below_five_eighths(void)
{
    ps_mem *mem = make_account();
    ps_key_index index;
    uint64_t *hashes = room(300000);
    ps_key_index_init(&index, mem);
    for (uint32_t i = 0; i < 300000; i++) {
        hashes[i] = ps_hash_u64(i);
        CHECK(ps_key_index_reserve(&index, hashes[i]));
        ps_key_index_add(&index, hashes[i], i);
        const ps_key_segment *segment = ps_key_index_segment(&index, hashes[i]);
        CHECK((uint64_t)segment->used * 8 <= ((uint64_t)segment->mask + 1) * 5);
    }
    CHECK(index.depth >= 1); /* it has split */
    ps_key_index_fini(&index);
    settle(mem);
    free(hashes);
}

/* Adds and removes in turns: what is there is found once, what is not is not removed again. */
static void removed_hashes_are_gone_and_the_others_found(void)
{
    enum { COUNT = 200000, ROUNDS = 12 };
    ps_mem *mem = make_account();
    ps_key_index index;
    uint64_t *hashes = room(COUNT);
    bool *there = calloc(COUNT, sizeof *there);
    rng random = {11};
    CHECK(there != NULL);
    ps_key_index_init(&index, mem);
    for (uint32_t i = 0; i < COUNT; i++) {
        /* Some are equal, and some share their slot with fifteen others. */
        hashes[i] = ps_hash_u64(i % 5 == 0 ? i / 50 : i) & ~(i % 3 == 0 ? UINT64_C(0x3c000) : 0);
    }
    CHECK(!ps_key_index_remove(&index, hashes[0], 0));
    for (int64_t round = 0; round < ROUNDS; round++) {
        const int64_t adds = round % 3 == 2 ? 1 : 6; /* of ten: it grows, and shrinks */
        for (uint32_t i = 0; i < COUNT; i++) {
            const bool wanted = rng_below(&random, 10) < adds;
            if (wanted && !there[i]) {
                CHECK(ps_key_index_reserve(&index, hashes[i]));
                ps_key_index_add(&index, hashes[i], i);
            } else if (!wanted) {
                CHECK_EQ(ps_key_index_remove(&index, hashes[i], i), there[i]);
            }
            there[i] = wanted;
        }
        for (uint32_t i = 0; i < COUNT; i++) {
            CHECK_EQ(found(&index, hashes[i], i), there[i]);
        }
    }
    ps_key_index_fini(&index);
    settle(mem);
    free(hashes);
    free(there);
}

/* Segments that were split join again, also when that is refused at times, and give memory back. */
static void an_emptied_index_is_small_again(void)
{
    enum { COUNT = 2000000 };
    ps_mem *mem = make_account();
    ps_key_index index;
    ps_key_index_init(&index, mem);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            const uint64_t hash = ps_hash_u64(i);
            CHECK(ps_key_index_reserve(&index, hash));
            ps_key_index_add(&index, hash, i);
        }
        const int64_t full = index.size_bytes;
        CHECK(full > 8 * COUNT);
        for (uint32_t i = 0; i < COUNT; i++) {
            ps_mem_fail_at(mem, i % 4096 == 0 ? 1 : 0);
            if (i % 100 != 0) {
                CHECK(ps_key_index_remove(&index, ps_hash_u64(i), i));
            }
        }
        ps_mem_fail_at(mem, 0);
        CHECK(index.size_bytes < full / 4);
        CHECK(index.size_bytes <= ps_mem_used(mem));
        for (uint32_t i = 0; i < COUNT; i += 100) {
            CHECK(found(&index, ps_hash_u64(i), i));
            CHECK(ps_key_index_remove(&index, ps_hash_u64(i), i));
        }
    }
    ps_key_index_fini(&index);
    settle(mem);
}

/* A directory of equal segments: they do not all split within the same few keys. */
static void segments_split_at_different_loads(void)
{
    enum { COUNT = 5 << 20 };
    ps_mem *mem = make_account();
    ps_key_index index;
    int64_t most = 0;
    ps_key_index_init(&index, mem);
    for (uint32_t i = 0; i < COUNT;) {
        const int64_t before = index.size_bytes;
        for (const uint32_t end = i + 65536; i < end; i++) {
            const uint64_t hash = ps_hash_u64(i);
            CHECK(ps_key_index_reserve(&index, hash));
            ps_key_index_add(&index, hash, i);
        }
        most = ps_max_i64(most, index.size_bytes - before);
    }
    CHECK(most < index.size_bytes / 8);
    ps_key_index_fini(&index);
    settle(mem);
}

/* Each refused reservation changes nothing: what was added is found, and the next attempt works. */
static void refusals_change_nothing(void)
{
    const uint32_t count = 180000;
    uint64_t *hashes = room(count);
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = ps_hash_u64(i);
    }
    for (int64_t n = 1, refused = 1; refused > 0; n++) {
        ps_mem *mem = make_account();
        ps_key_index index;
        ps_key_index_init(&index, mem);
        refused = 0;
        ps_mem_fail_at(mem, n);
        for (uint32_t i = 0; i < count; i++) {
            if (!ps_key_index_reserve(&index, hashes[i])) {
                refused++;
                for (uint32_t k = 0; k < i; k += 997) {
                    CHECK(found(&index, hashes[k], k));
                }
                CHECK(ps_key_index_reserve(&index, hashes[i]));
            }
            ps_key_index_add(&index, hashes[i], i);
        }
        for (uint32_t i = 0; i < count; i++) {
            CHECK(found(&index, hashes[i], i));
        }
        CHECK(refused <= 1 && (n > 1 || refused == 1));
        ps_key_index_fini(&index);
        settle(mem);
    }
    free(hashes);
}

int main(void)
{
    RUN(a_million_hashes_are_found);
    RUN(skewed_hashes_split_deep);
    RUN(a_segment_that_cannot_split_doubles);
    RUN(equal_hashes_share_a_segment);
    RUN(load_stays_below_five_eighths);
    RUN(removed_hashes_are_gone_and_the_others_found);
    RUN(an_emptied_index_is_small_again);
    RUN(segments_split_at_different_loads);
    RUN(refusals_change_nothing);
    return 0;
}
