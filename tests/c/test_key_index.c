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
    RUN(refusals_change_nothing);
    return 0;
}
