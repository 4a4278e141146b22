/* watermark.c -- the scan by blocks of 64 rows, and the row-by-row trace. */
#include "window/watermark.h"

#define BLOCK 64

static void range_of(const int64_t *times, int64_t count, int64_t *low, int64_t *high)
{
    int64_t least = times[0], most = times[0];
    for (int64_t i = 1; i < count; i++) {
        least = ps_min_i64(least, times[i]);
        most = ps_max_i64(most, times[i]);
    }
    *low = least;
    *high = most;
}

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

bool ps_watermark_scan(ps_watermark *mark, const int64_t *times, int64_t count, int64_t *least)
{
    bool in_order = true;
    int64_t lowest = INT64_MAX;
    for (int64_t at = 0; at < count; at += BLOCK) {
        const int64_t rows = ps_min_i64(BLOCK, count - at);
        int64_t low, high;
        range_of(times + at, rows, &low, &high);
        /* No row can be behind when even the block's least is within the bound of its largest. */
        const int64_t largest = ps_max_i64(mark->largest, high);
        if (in_order && low < ps_watermark_below(largest, mark->bound)) {
            in_order = block_in_order(mark, times + at, rows);
        }
        mark->largest = largest;
        lowest = ps_min_i64(lowest, low);
    }
    *least = lowest;
    return in_order;
}

void ps_watermark_trace(ps_watermark *mark, const int64_t *times, int64_t count, int64_t *before)
{
    for (int64_t i = 0; i < count; i++) {
        before[i] = ps_watermark_value(mark);
        mark->largest = ps_max_i64(mark->largest, times[i]);
    }
}
