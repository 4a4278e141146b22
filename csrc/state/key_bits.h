/* key_bits.h -- a key value as 64 bits in which equal keys are equal bits. */
#ifndef PS_STATE_KEY_BITS_H
#define PS_STATE_KEY_BITS_H

#include <string.h>

#include "base/base.h"

/* -0.0 becomes 0.0 and every NaN the same NaN. */
static inline uint64_t ps_key_bits_f64(double value)
{
    double canonical = value == 0.0 ? 0.0 : value;
    uint64_t bits;
    memcpy(&bits, &canonical, sizeof bits);
    return canonical != canonical ? UINT64_C(0x7ff8000000000000) : bits;
}

#endif
