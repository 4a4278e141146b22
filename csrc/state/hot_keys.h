/* hot_keys.h -- which keys have how much of the rows: a few counters over a sample.
 *
 * One row of PS_HOT_STEP counts for its key (a prime, so that rows in a rhythm do not hide). A key
 * without a counter takes the smallest one over and inherits what it had as its possible error; so
 * a key with more than one of PS_HOT_COUNTERS samples has a counter for certain, and count - error
 * never says more than is true. Counters are halved now and then: what counts is the recent past.
 *
 * Source  Space-Saving: Metwally, Agrawal and El Abbadi, "Efficient Computation of Frequent and
 *         Top-k Elements in Data Streams", 2005.
 * Cost    a search through the counters a sample: some 0.2 ns a row.
 */
#ifndef PS_STATE_HOT_KEYS_H
#define PS_STATE_HOT_KEYS_H

#include "base/base.h"

enum {
    PS_HOT_COUNTERS = 32,
    PS_HOT_STEP = 127,
    PS_HOT_SAMPLES = 16384, /* at so many everything is halved: 2 M rows */
};

typedef struct ps_hot_keys {
    int64_t phase; /* rows until the next sample */
    int64_t samples;
    int64_t fresh; /* samples since the caller cleared it */
    int32_t used;
    uint32_t gids[PS_HOT_COUNTERS];
    int64_t counts[PS_HOT_COUNTERS];
    int64_t errors[PS_HOT_COUNTERS];
} ps_hot_keys; /* zeroed: empty */

/* The next rows, by their keys. */
void ps_hot_keys_add(ps_hot_keys *hot, const uint32_t *gids, int64_t count);
/* As many next rows of one key. */
void ps_hot_keys_add_rows(ps_hot_keys *hot, uint32_t gid, int64_t rows);
/* Forgets those of the keys first..first + count whose live[gid - first] is 0: their numbers go to
 * others. */
void ps_hot_keys_sweep(ps_hot_keys *hot, int64_t first, int64_t count, const uint8_t *live);
/* At most `room` keys with at least one of `least` samples, most first; counts[i]: samples that
 * each has for certain. Returns their number. */
int32_t ps_hot_keys_top(const ps_hot_keys *hot, int64_t least, int32_t room, uint32_t *gids,
                        int64_t *counts);

#endif
