/* test_bitmap.c -- every function against a loop over single bits, at all offsets and many lengths.
 * Buffers have exactly the bytes that hold the bits, so a sanitizer sees each byte too many. */
#include "base/bitmap.h"
#include "check.h"

static uint64_t seed = 12345;

static uint64_t next(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 33;
}

static int get(const uint8_t *bits, int64_t i)
{
    return (bits[i >> 3] >> (i & 7)) & 1;
}

/* kind 0: random, 1: all set, 2: none set */
static uint8_t *bits_make(int64_t bit, int64_t count, int kind)
{
    const size_t size = (size_t)((bit + count + 7) / 8);
    uint8_t *bits = malloc(size > 0 ? size : 1);
    for (size_t i = 0; i < size; i++) {
        bits[i] = kind == 1 ? 0xff : kind == 2 ? 0 : (uint8_t)next();
    }
    return bits;
}

static void check_reads(int64_t bit, int64_t count, int kind)
{
    uint8_t *bits = bits_make(bit, count, kind);
    uint8_t *bytes = malloc((size_t)count + 1);
    uint32_t *rows = malloc(sizeof(uint32_t) * (size_t)(count + 1));
    bytes[count] = 77;
    int64_t set = 0;
    for (int64_t i = 0; i < count; i++) {
        set += get(bits, bit + i);
        rows[i] = (uint32_t)(next() % (uint64_t)count);
    }
    CHECK_EQ(ps_bitmap_count(bits, bit, count), set);
    CHECK_EQ(ps_bitmap_all(bits, bit, count), set == count);
    CHECK_EQ(ps_bitmap_none(bits, bit, count), set == 0);
    ps_bitmap_to_bytes(bits, bit, count, bytes);
    for (int64_t i = 0; i < count; i++) {
        CHECK_EQ(bytes[i], get(bits, bit + i));
    }
    ps_bitmap_gather(bits, bit, rows, count, bytes);
    for (int64_t i = 0; i < count; i++) {
        CHECK_EQ(bytes[i], get(bits, bit + rows[i]));
    }
    CHECK_EQ(bytes[count], 77);
    free(rows);
    free(bytes);
    free(bits);
}

static void check_writes(int64_t from_bit, int64_t to_bit, int64_t count)
{
    uint8_t *a = bits_make(from_bit, count, 0), *b = bits_make(3, count, 0);
    uint8_t *bytes = malloc((size_t)count + 1);
    for (int op = 0; op < 5; op++) {
        uint8_t *to = bits_make(to_bit, count, 0), *before = bits_make(to_bit, count, 0);
        const int64_t size_bits = (to_bit + count + 7) / 8 * 8;
        memcpy(before, to, (size_t)size_bits / 8);
        switch (op) {
        case 0: ps_bitmap_copy(a, from_bit, count, to, to_bit); break;
        case 1: ps_bitmap_and(a, from_bit, b, 3, count, to, to_bit); break;
        case 2: ps_bitmap_fill(to, to_bit, count, true); break;
        case 3: ps_bitmap_fill(to, to_bit, count, false); break;
        default:
            ps_bitmap_to_bytes(a, from_bit, count, bytes);
            ps_bitmap_from_bytes(bytes, count, to, to_bit);
        }
        for (int64_t i = 0; i < size_bits; i++) {
            const int64_t k = i - to_bit;
            int want = get(before, i);
            if (k >= 0 && k < count) {
                const int bit_a = get(a, from_bit + k), bit_b = get(b, 3 + k);
                want = op == 1 ? bit_a & bit_b : op == 2 ? 1 : op == 3 ? 0 : bit_a;
            }
            CHECK_EQ(get(to, i), want);
        }
        free(to);
        free(before);
    }
    free(bytes);
    free(a);
    free(b);
}

static void reads_agree_with_single_bits(void)
{
    for (int64_t bit = 0; bit < 20; bit++) {
        for (int64_t count = 0; count < 300; count += count < 140 ? 1 : 37) {
            for (int kind = 0; kind < 3; kind++) {
                check_reads(bit, count, kind);
            }
        }
    }
}

static void writes_agree_and_touch_nothing_else(void)
{
    for (int64_t from_bit = 0; from_bit < 10; from_bit++) {
        for (int64_t to_bit = 0; to_bit < 10; to_bit++) {
            for (int64_t count = 0; count < 280; count += count < 20 ? 1 : 13) {
                check_writes(from_bit, to_bit, count);
            }
        }
    }
}

int main(void)
{
    RUN(reads_agree_with_single_bits);
    RUN(writes_agree_and_touch_nothing_else);
    return 0;
}
