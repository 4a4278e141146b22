/* hash.h -- mixing of integers and of byte strings; all 64 bits of an answer are equally good.
 *
 * The answers are stored (key groups in checkpoints): changing a function here changes a format.
 * They are the same on every little-endian machine. Not for hostile keys that know the constants.
 *
 * ps_hash_u64      a bijection: two integers never collide. "Mix13" (D. Stafford, Better
 *                  Bit Mixing, 2011), with the increment of SplitMix64 (Steele, Lea, Flood, Fast
 *                  Splittable Pseudorandom Number Generators, 2014), so that 0 does not stay 0.
 * ps_hash_bytes    folded 64 x 64 -> 128 bit products, the principle of wyhash (Wang Yi, 2019):
 *                  16 bytes a product, three chains at once for long strings.
 * Cost             about 1 ns; about 2 ns up to 16 bytes, then about 10 bytes/ns.
 */
#ifndef PS_BASE_HASH_H
#define PS_BASE_HASH_H

#include "base/base.h"

#include <string.h>

#define PS_HASH_SALT_A UINT64_C(0xf41fcb28e1eca229) /* odd, half of the bits set, no byte twice */
#define PS_HASH_SALT_B UINT64_C(0x2a8ff4e9e1482dc5)
#define PS_HASH_SALT_C UINT64_C(0x26399a079270bcdf)
#define PS_HASH_SALT_D UINT64_C(0x2a5067fd0af8b88d)

static inline uint64_t ps_hash_u64(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Both halves of the product folded into one. */
static inline uint64_t ps_hash_fold(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    const wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Depends on the order of its arguments. */
static inline uint64_t ps_hash_combine(uint64_t a, uint64_t b)
{
    return ps_hash_fold(ps_hash_fold(a ^ PS_HASH_SALT_A, PS_HASH_SALT_B) ^ b, PS_HASH_SALT_C);
}

static inline uint64_t ps_hash_read64(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

static inline uint64_t ps_hash_read32(const uint8_t *p)
{
    uint32_t word;
    memcpy(&word, p, 4);
    return word;
}

/* data may be NULL when size is 0. Reads no byte outside the string. */
static inline uint64_t ps_hash_bytes(const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    uint64_t seed = PS_HASH_SALT_D;
    uint64_t a, b;
    if (PS_LIKELY(size <= 16)) {
        if (size >= 8) {
            a = ps_hash_read64(p);
            b = ps_hash_read64(p + size - 8);
        } else if (size >= 4) {
            a = ps_hash_read32(p);
            b = ps_hash_read32(p + size - 4);
        } else if (size > 0) {
            a = ((uint64_t)p[0] << 16) | ((uint64_t)p[size >> 1] << 8) | p[size - 1];
            b = 0;
        } else {
            a = b = 0;
        }
    } else {
        size_t left = size;
        if (left > 48) {
            uint64_t second = seed, third = seed;
            do {
                seed =
                    ps_hash_fold(ps_hash_read64(p) ^ PS_HASH_SALT_A, ps_hash_read64(p + 8) ^ seed);
                second = ps_hash_fold(ps_hash_read64(p + 16) ^ PS_HASH_SALT_B,
                                      ps_hash_read64(p + 24) ^ second);
                third = ps_hash_fold(ps_hash_read64(p + 32) ^ PS_HASH_SALT_C,
                                     ps_hash_read64(p + 40) ^ third);
                p += 48;
                left -= 48;
            } while (left > 48);
            seed ^= ps_hash_fold(second ^ PS_HASH_SALT_A, third ^ PS_HASH_SALT_C);
        }
        while (left > 16) {
            seed = ps_hash_fold(ps_hash_read64(p) ^ PS_HASH_SALT_C, ps_hash_read64(p + 8) ^ seed);
            p += 16;
            left -= 16;
        }
        a = ps_hash_read64(p + left - 16); /* the last 16 bytes, some perhaps for the second time */
        b = ps_hash_read64(p + left - 8);
    }
    __extension__ typedef unsigned __int128 wide;
    const wide product = (wide)(a ^ PS_HASH_SALT_B) * (b ^ seed);
    return ps_hash_fold((uint64_t)product ^ PS_HASH_SALT_A ^ size,
                        (uint64_t)(product >> 64) ^ PS_HASH_SALT_D);
}

#endif
