/* bitmap.c -- see bitmap.h. Everything goes through words of up to 64 bits read at any offset. */
#include "base/bitmap.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as little-endian bytes");

/* Reads n <= 64 bits from bit on; bits above n are zero. */
static inline uint64_t word_read(const uint8_t *bits, int64_t bit, int64_t n)
{
    const uint8_t *from = bits + (bit >> 3);
    const int64_t shift = bit & 7;
    const int64_t byte_count = (shift + n + 7) >> 3;
    uint64_t word = 0;
    memcpy(&word, from, byte_count < 8 ? (size_t)byte_count : 8);
    word >>= shift;
    if (byte_count > 8) {
        word |= (uint64_t)from[8] << (64 - shift);
    }
    return n < 64 ? word & (((uint64_t)1 << n) - 1) : word;
}

/* All 64 bits, known to be there. */
static inline uint64_t word_read_full(const uint8_t *bits, int64_t bit)
{
    const uint8_t *from = bits + (bit >> 3);
    const int64_t shift = bit & 7;
    uint64_t word;
    memcpy(&word, from, 8);
    if (shift != 0) {
        word = (word >> shift) | ((uint64_t)from[8] << (64 - shift));
    }
    return word;
}

/* Writes n <= 64 bits at bit, byte by byte at the ragged ends. */
static inline void word_write(uint8_t *bits, int64_t bit, int64_t n, uint64_t word)
{
    uint8_t *to = bits + (bit >> 3);
    int64_t shift = bit & 7;
    while (n > 0) {
        const int64_t taken = n < 8 - shift ? n : 8 - shift;
        const uint8_t mask = (uint8_t)(((1u << taken) - 1) << shift);
        *to = (uint8_t)((*to & ~mask) | ((uint8_t)(word << shift) & mask));
        to++;
        word >>= taken;
        n -= taken;
        shift = 0;
    }
}

int64_t ps_bitmap_count(const uint8_t *bits, int64_t bit, int64_t count)
{
    int64_t set = 0;
    int64_t i = 0;
    for (; i + 64 <= count; i += 64) {
        set += __builtin_popcountll(word_read_full(bits, bit + i));
    }
    if (i < count) {
        set += __builtin_popcountll(word_read(bits, bit + i, count - i));
    }
    return set;
}

bool ps_bitmap_all(const uint8_t *bits, int64_t bit, int64_t count)
{
    int64_t i = 0;
    for (; i + 64 <= count; i += 64) {
        if (word_read_full(bits, bit + i) != UINT64_MAX) {
            return false;
        }
    }
    return i == count || word_read(bits, bit + i, count - i) == ((uint64_t)1 << (count - i)) - 1;
}

bool ps_bitmap_none(const uint8_t *bits, int64_t bit, int64_t count)
{
    int64_t i = 0;
    for (; i + 64 <= count; i += 64) {
        if (word_read_full(bits, bit + i) != 0) {
            return false;
        }
    }
    return i == count || word_read(bits, bit + i, count - i) == 0;
}

/* Byte k of the answer is bit k of the byte: copy it eight times, keep one bit each, make it 1. */
static inline uint64_t spread(uint64_t byte)
{
    const uint64_t picked = (byte * 0x0101010101010101u) & 0x8040201008040201u;
    return ((picked + 0x7f7f7f7f7f7f7f7fu) >> 7) & 0x0101010101010101u;
}

/* The reverse for bytes of 0 or 1: the product moves byte k's bit to bit 56 + k. */
static inline uint8_t squeeze(uint64_t bytes)
{
    return (uint8_t)((bytes * 0x0102040810204080u) >> 56);
}

void ps_bitmap_to_bytes(const uint8_t *bits, int64_t bit, int64_t count, uint8_t *bytes)
{
    int64_t i = 0;
    for (; i + 64 <= count; i += 64) {
        const uint64_t word = word_read_full(bits, bit + i);
        for (int32_t k = 0; k < 8; k++) {
            const uint64_t eight = spread((word >> (8 * k)) & 255);
            memcpy(bytes + i + 8 * k, &eight, 8);
        }
    }
    if (i < count) {
        uint64_t word = word_read(bits, bit + i, count - i);
        for (; i < count; i++, word >>= 1) {
            bytes[i] = (uint8_t)(word & 1);
        }
    }
}

void ps_bitmap_gather(const uint8_t *bits, int64_t bit, const uint32_t *rows, int64_t count,
                      uint8_t *bytes)
{
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = bit + rows[i];
        bytes[i] = (uint8_t)((bits[at >> 3] >> (at & 7)) & 1);
    }
}

void ps_bitmap_from_bytes(const uint8_t *bytes, int64_t count, uint8_t *bits, int64_t bit)
{
    int64_t i = 0;
    if ((bit & 7) != 0) {
        const int64_t head = ps_min_i64(count, 8 - (bit & 7));
        uint64_t word = 0;
        for (; i < head; i++) {
            word |= (uint64_t)bytes[i] << i;
        }
        word_write(bits, bit, head, word);
    }
    uint8_t *to = bits + ((bit + i) >> 3);
    for (; i + 8 <= count; i += 8) {
        uint64_t eight;
        memcpy(&eight, bytes + i, 8);
        *to++ = squeeze(eight);
    }
    if (i < count) {
        uint64_t word = 0;
        for (int64_t k = i; k < count; k++) {
            word |= (uint64_t)bytes[k] << (k - i);
        }
        word_write(bits, bit + i, count - i, word);
    }
}

void ps_bitmap_copy(const uint8_t *from, int64_t from_bit, int64_t count, uint8_t *to,
                    int64_t to_bit)
{
    int64_t i = 0;
    if ((to_bit & 7) != 0) {
        i = ps_min_i64(count, 8 - (to_bit & 7));
        if (i > 0) {
            word_write(to, to_bit, i, word_read(from, from_bit, i));
        }
    }
    uint8_t *at = to + ((to_bit + i) >> 3);
    if (((from_bit + i) & 7) == 0 && count - i >= 8) {
        const int64_t whole = (count - i) >> 3;
        memcpy(at, from + ((from_bit + i) >> 3), (size_t)whole);
        i += whole * 8;
    }
    for (; i + 64 <= count; i += 64) {
        const uint64_t word = word_read_full(from, from_bit + i);
        memcpy(to + ((to_bit + i) >> 3), &word, 8);
    }
    if (i < count) {
        word_write(to, to_bit + i, count - i, word_read(from, from_bit + i, count - i));
    }
}

void ps_bitmap_fill(uint8_t *bits, int64_t bit, int64_t count, bool value)
{
    const uint64_t word = value ? UINT64_MAX : 0;
    int64_t i = 0;
    if ((bit & 7) != 0) {
        i = ps_min_i64(count, 8 - (bit & 7));
        word_write(bits, bit, i, word);
    }
    const int64_t whole = (count - i) >> 3;
    if (whole > 0) {
        memset(bits + ((bit + i) >> 3), value ? 0xff : 0, (size_t)whole);
        i += whole * 8;
    }
    if (i < count) {
        word_write(bits, bit + i, count - i, word);
    }
}

void ps_bitmap_and(const uint8_t *a, int64_t a_bit, const uint8_t *b, int64_t b_bit, int64_t count,
                   uint8_t *to, int64_t to_bit)
{
    int64_t i = 0;
    if ((to_bit & 7) != 0) {
        i = ps_min_i64(count, 8 - (to_bit & 7));
        if (i > 0) {
            word_write(to, to_bit, i, word_read(a, a_bit, i) & word_read(b, b_bit, i));
        }
    }
    for (; i + 64 <= count; i += 64) {
        const uint64_t word = word_read_full(a, a_bit + i) & word_read_full(b, b_bit + i);
        memcpy(to + ((to_bit + i) >> 3), &word, 8);
    }
    if (i < count) {
        const int64_t n = count - i;
        word_write(to, to_bit + i, n, word_read(a, a_bit + i, n) & word_read(b, b_bit + i, n));
    }
}
