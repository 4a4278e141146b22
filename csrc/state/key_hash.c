/* key_hash.c -- one loop per value class; columns are combined left to right. */
#include "state/key_hash.h"

#include <string.h>

#include "base/hash.h"
#include "simd/kernels.h"
#include "state/key_bits.h"

#define NULL_HASH UINT64_C(0x9e6c63d0876a3f35)

static void hash_floats(const double *values, int64_t count, uint64_t *hashes)
{
    for (int64_t i = 0; i < count; i++) {
        hashes[i] = ps_hash_u64(ps_key_bits_f64(values[i]));
    }
}

static void hash_bools(const uint8_t *values, int64_t count, uint64_t *hashes)
{
    for (int64_t i = 0; i < count; i++) {
        hashes[i] = ps_hash_u64(values[i] != 0);
    }
}

static void hash_strings(const ps_string *values, int64_t count, uint64_t *hashes)
{
    for (int64_t i = 0; i < count; i++) {
        hashes[i] = ps_hash_bytes(values[i].data, (size_t)values[i].size_bytes);
    }
}

static void hash_column(const ps_vector *key, int64_t count, uint64_t *hashes)
{
    switch (key->kind) {
    case PS_CLASS_I64:
    case PS_CLASS_U64: ps_simd_kernels()->hash_u64(key->values, hashes, count); break;
    case PS_CLASS_F64: hash_floats(key->values, count, hashes); break;
    case PS_CLASS_BOOL: hash_bools(key->values, count, hashes); break;
    case PS_CLASS_STR: hash_strings(key->values, count, hashes); break;
    case PS_CLASS_NONE:
        for (int64_t i = 0; i < count; i++) {
            hashes[i] = NULL_HASH;
        }
        return;
    }
    if (key->valid != NULL) {
        for (int64_t i = 0; i < count; i++) {
            hashes[i] = key->valid[i] ? hashes[i] : NULL_HASH;
        }
    }
}

void ps_key_hash(const ps_vector *keys, int32_t key_count, int64_t count, uint64_t *hashes)
{
    PS_ASSERT(key_count >= 1 && count <= PS_CHUNK_ROWS);
    hash_column(&keys[0], count, hashes);
    uint64_t more[PS_CHUNK_ROWS];
    for (int32_t k = 1; k < key_count; k++) {
        hash_column(&keys[k], count, more);
        for (int64_t i = 0; i < count; i++) {
            hashes[i] = ps_hash_combine(hashes[i], more[i]);
        }
    }
}
