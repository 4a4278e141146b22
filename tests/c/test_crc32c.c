/* test_crc32c.c -- published answers, the table against bit by bit, the instructions against the
 * table at every length and alignment, and joining. */
#include "base/crc32c.h"
#include "check.h"

enum { SIZE = 20000 };

static uint8_t *random_bytes(void)
{
    uint8_t *bytes = malloc(SIZE);
    uint64_t seed = 12345;
    for (int i = 0; i < SIZE; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (uint8_t)(seed >> 56);
    }
    return bytes;
}

static uint32_t bit_by_bit(const uint8_t *p, size_t size)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) ? UINT32_C(0x82f63b78) : 0);
        }
    }
    return ~crc;
}

/* RFC 3720, appendix B.4, and the check value of the CRC catalogue. */
static void published_answers(void)
{
    uint8_t bytes[32];
    memset(bytes, 0, sizeof bytes);
    CHECK_EQ(ps_crc32c(0, bytes, 32), UINT32_C(0x8a9136aa));
    memset(bytes, 0xff, sizeof bytes);
    CHECK_EQ(ps_crc32c(0, bytes, 32), UINT32_C(0x62a8ab43));
    for (int i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)i;
    }
    CHECK_EQ(ps_crc32c(0, bytes, 32), UINT32_C(0x46dd794e));
    CHECK_EQ(ps_crc32c(0, "123456789", 9), UINT32_C(0xe3069283));
    CHECK_EQ(ps_crc32c(0, NULL, 0), 0);
}

static void table_agrees_with_bits(void)
{
    uint8_t *bytes = random_bytes();
    for (size_t size = 0; size < 300; size++) {
        CHECK_EQ(ps_crc32c_portable(0, bytes + size, size), bit_by_bit(bytes + size, size));
    }
    free(bytes);
}

static void instructions_agree_with_the_table(void)
{
    uint8_t *bytes = random_bytes();
    for (size_t size = 0; size < 900; size++) {
        for (size_t start = 0; start < 9; start++) {
            CHECK_EQ(ps_crc32c(7, bytes + start, size), ps_crc32c_portable(7, bytes + start, size));
        }
    }
    for (size_t size = 6000; size < SIZE - 8; size += 97) { /* with and without long stripes */
        CHECK_EQ(ps_crc32c(0, bytes + size % 8, size),
                 ps_crc32c_portable(0, bytes + size % 8, size));
    }
    free(bytes);
}

static void pieces_join(void)
{
    uint8_t *bytes = random_bytes();
    const uint32_t whole = ps_crc32c(0, bytes, SIZE);
    for (size_t cut = 0; cut <= SIZE; cut += 313) {
        CHECK_EQ(ps_crc32c(ps_crc32c(0, bytes, cut), bytes + cut, SIZE - cut), whole);
    }
    free(bytes);
}

int main(void)
{
    RUN(published_answers);
    RUN(table_agrees_with_bits);
    RUN(instructions_agree_with_the_table);
    RUN(pieces_join);
    return 0;
}
