/* test_hash.c -- fixed answers (they are stored), avalanche, spread over buckets, no collisions. */
#include "base/hash.h"
#include "check.h"

#include <math.h>

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void check_distinct(uint64_t *hashes, int64_t count)
{
    qsort(hashes, (size_t)count, sizeof(*hashes), compare);
    for (int64_t i = 1; i < count; i++) {
        CHECK(hashes[i] != hashes[i - 1]);
    }
}

/* Chi square of one 10-bit window over sequential keys, within 6 standard deviations. */
static void check_spread(const uint64_t *hashes, int64_t count)
{
    for (int shift = 0; shift <= 54; shift += 9) {
        static int64_t buckets[1024];
        memset(buckets, 0, sizeof(buckets));
        for (int64_t i = 0; i < count; i++) {
            buckets[(hashes[i] >> shift) & 1023]++;
        }
        const double mean = (double)count / 1024;
        double chi = 0;
        for (int i = 0; i < 1024; i++) {
            chi += ((double)buckets[i] - mean) * ((double)buckets[i] - mean) / mean;
        }
        CHECK(fabs(chi - 1023) < 6 * sqrt(2 * 1023.0));
    }
}

static void answers_never_change(void)
{
    CHECK(ps_hash_u64(0) == UINT64_C(0xe220a8397b1dcdaf)); /* first output of SplitMix64(0) */
    CHECK(ps_hash_u64(UINT64_C(0x9e3779b97f4a7c15)) == UINT64_C(0x6e789e6aa1b965f4));
    static const uint64_t want[] = {
        UINT64_C(0x2fce539b5e2d108e), UINT64_C(0xccdc35fb4b3a1615), UINT64_C(0x49393c05156178a0),
        UINT64_C(0x5a365f81382c530f), UINT64_C(0x298edca057904d55), UINT64_C(0x28e1826f2ac834c9),
        UINT64_C(0x1472f56c1d680931), UINT64_C(0xaca855501631446f), UINT64_C(0x9c82b8fb07959b34),
        UINT64_C(0xd0884d92cf96e482), UINT64_C(0x9a50e1b10228c686)};
    char text[101];
    for (int i = 0; i < 100; i++) {
        text[i] = (char)('a' + i % 26);
    }
    static const size_t sizes[] = {0, 1, 3, 4, 7, 8, 16, 17, 48, 49, 100};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const uint64_t got = ps_hash_bytes(text, sizes[i]);
        if (got != want[i]) {
            CHECK_FAIL("size %zu: 0x%016" PRIx64, sizes[i], got);
        }
    }
    CHECK(ps_hash_bytes(NULL, 0) == ps_hash_bytes("", 0));
    CHECK(ps_hash_combine(1, 2) == UINT64_C(0x69572243daa09d36));
}

static void sequential_integers_spread(void)
{
    enum { COUNT = 200000 };
    static uint64_t hashes[COUNT];
    for (int shift = 0; shift < 48; shift += 8) {
        for (uint64_t i = 0; i < COUNT; i++) {
            hashes[i] = ps_hash_u64(i << shift);
        }
        check_spread(hashes, COUNT);
        check_distinct(hashes, COUNT);
    }
}

static void similar_strings_spread(void)
{
    enum { COUNT = 200000 };
    static uint64_t hashes[COUNT];
    for (int pad = 0; pad < 60; pad += 7) {
        for (int i = 0; i < COUNT; i++) {
            char text[80];
            const int size = snprintf(text, sizeof(text), "%*skey-%d", pad, "", i);
            hashes[i] = ps_hash_bytes(text, (size_t)size);
        }
        check_spread(hashes, COUNT);
        check_distinct(hashes, COUNT);
    }
}

static void pairs_spread_and_have_an_order(void)
{
    enum { SIDE = 450 };
    static uint64_t hashes[SIDE * SIDE];
    for (uint64_t i = 0; i < SIDE; i++) {
        for (uint64_t k = 0; k < SIDE; k++) {
            hashes[i * SIDE + k] = ps_hash_combine(ps_hash_u64(i), ps_hash_u64(k));
        }
    }
    CHECK(hashes[1] != hashes[SIDE]);
    check_spread(hashes, SIDE * SIDE);
    check_distinct(hashes, SIDE * SIDE);
}

/* Each input bit turns each output bit half of the time. */
static void check_avalanche(size_t size)
{
    enum { ROUNDS = 2000 };
    static int32_t flips[800][64];
    memset(flips, 0, sizeof(flips));
    uint8_t bytes[100];
    uint64_t seed = 1;
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)ps_hash_u64(seed++);
        }
        const uint64_t before = ps_hash_bytes(bytes, size);
        for (size_t bit = 0; bit < size * 8; bit++) {
            bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ (1u << (bit % 8)));
            uint64_t changed = before ^ ps_hash_bytes(bytes, size);
            bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ (1u << (bit % 8)));
            for (int out = 0; out < 64; out++, changed >>= 1) {
                flips[bit][out] += (int32_t)(changed & 1);
            }
        }
    }
    for (size_t bit = 0; bit < size * 8; bit++) {
        for (int out = 0; out < 64; out++) {
            CHECK(abs(flips[bit][out] - ROUNDS / 2) < 6 * 23); /* standard deviation 22.4 */
        }
    }
}

static void every_bit_turns_half_of_the_answer(void)
{
    static const size_t sizes[] = {2, 4, 8, 12, 16, 20, 33, 50};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        check_avalanche(sizes[i]);
    }
}

int main(void)
{
    RUN(answers_never_change);
    RUN(sequential_integers_spread);
    RUN(similar_strings_spread);
    RUN(pairs_spread_and_have_an_order);
    RUN(every_bit_turns_half_of_the_answer);
    return 0;
}
