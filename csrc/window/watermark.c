/* watermark.c -- the scan by blocks of 128 rows, and the row-by-row trace. */
#include "window/watermark.h"

#include "simd/kernels.h"

#define BLOCK 128

/* Row by row: whether any of them is behind the ones before it. */
static bool block_in_order(const ps_watermark *mark, const int64_t *times, int64_t count)
{
    int64_t largest = mark->largest;
    for (int64_t i = 0; i < count; i++) {
        if (times[i] < ps_watermark_below(largest, mark->bound)) {
            return false;
        }
        largest = ps_max_i64(largest, times[i]);
    }
    return true;
}

bool ps_watermark_scan(ps_watermark *mark, const int64_t *times, int64_t count, int64_t *low,
                       int64_t *high)
{
    const ps_kernels *kernels = ps_simd_kernels();
    bool in_order = true;
    *low = INT64_MAX;
    *high = INT64_MIN;
    for (int64_t at = 0; at < count; at += BLOCK) {
        const int64_t rows = ps_min_i64(BLOCK, count - at);
        int64_t least, most;
        kernels->range_i64(times + at, rows, &least, &most);
        /* No row can be behind when even the block's least is within the bound of its largest. */
        const int64_t largest = ps_max_i64(mark->largest, most);
        if (in_order && least < ps_watermark_below(largest, mark->bound)) {
            in_order = block_in_order(mark, times + at, rows);
        }
        mark->largest = largest;
        *low = ps_min_i64(*low, least);
        *high = ps_max_i64(*high, most);
    }
    return in_order;
}

void ps_watermark_trace(ps_watermark *mark, const int64_t *times, int64_t count, int64_t *before)
{
    for (int64_t i = 0; i < count; i++) {
        before[i] = ps_watermark_value(mark);
        mark->largest = ps_max_i64(mark->largest, times[i]);
    }
}
