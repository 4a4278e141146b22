/* bytes.h -- a fuzzer's input read as decisions; when it is used up every answer is 0. */
#ifndef PS_TESTS_FUZZ_BYTES_H
#define PS_TESTS_FUZZ_BYTES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct bytes {
    const uint8_t *next, *end;
} bytes;

static inline uint8_t bytes_u8(bytes *in)
{
    return in->next == in->end ? 0 : *in->next++;
}

static inline uint64_t bytes_below(bytes *in, uint64_t limit)
{
    uint64_t value = bytes_u8(in);
    if (limit > 256) {
        value = value << 8 | bytes_u8(in);
    }
    return limit == 0 ? 0 : value % limit;
}

/* A number of the kind that breaks things: small, at a limit, or any. */
static inline int64_t bytes_hostile(bytes *in)
{
    switch (bytes_u8(in) % 8) {
    case 0: return -1;
    case 1: return INT64_MIN;
    case 2: return INT64_MAX;
    case 3: return INT32_MAX;
    case 4: return INT64_C(1) << 41;
    case 5: return -(int64_t)bytes_u8(in);
    default: {
        int64_t any = 0;
        for (int i = 0; i < 8; i++) {
            any = (int64_t)((uint64_t)any << 8 | bytes_u8(in));
        }
        return any;
    }
    }
}

/* One in `odds`; never once the input is used up. */
static inline int bytes_chance(bytes *in, uint8_t odds)
{
    return in->next != in->end && *in->next++ % odds == odds - 1;
}

#endif
