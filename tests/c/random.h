/* random.h -- numbers from a seed for the tests: the same on every machine. */
#ifndef PS_TESTS_RANDOM_H
#define PS_TESTS_RANDOM_H

#include "base/hash.h"

typedef struct rng {
    uint64_t state;
} rng;

static inline uint64_t rng_next(rng *r)
{
    return ps_hash_u64(r->state++);
}

/* 0 <= answer < n. */
static inline int64_t rng_below(rng *r, int64_t n)
{
    return (int64_t)(rng_next(r) % (uint64_t)n);
}

/* low <= answer <= high. */
static inline int64_t rng_between(rng *r, int64_t low, int64_t high)
{
    return low + rng_below(r, high - low + 1);
}

static inline bool rng_once_in(rng *r, int64_t n)
{
    return rng_below(r, n) == 0;
}

#endif
