/* watermark.c -- the scan by blocks of 128 rows, and the row-by-row trace. */
#include "window/watermark.h"

#include "simd/kernels.h"

#define BLOCK 128

/* Whether a row of this time may move the watermark by itself. */
static bool believed(const ps_watermark *mark, int64_t time)
{
    if (mark->max_future == 0) {
        return true;
    }
    if (mark->largest == PS_TIME_MIN) {
        return false; /* nothing to compare it with yet */
    }
    return mark->largest > INT64_MAX - mark->max_future || time <= mark->largest + mark->max_future;
}

static void take_ahead(ps_watermark *mark, int64_t time)
{
    mark->future_rows += mark->largest != PS_TIME_MIN;
    mark->ahead_low = mark->ahead_count == 0 ? time : ps_min_i64(mark->ahead_low, time);
    mark->ahead_count++;
    if (mark->ahead_count == PS_FUTURE_QUORUM) {
        mark->largest = mark->ahead_low;
        mark->ahead_count = 0;
    }
}

static void take(ps_watermark *mark, int64_t time)
{
    if (!believed(mark, time)) {
        take_ahead(mark, time);
        return;
    }
    mark->largest = ps_max_i64(mark->largest, time);
    mark->ahead_count = ps_max_i64(mark->ahead_count - 1, 0);
}

/* A block in which some row is ahead. */
static bool take_rows(ps_watermark *mark, const int64_t *times, int64_t count)
{
    bool in_order = true;
    for (int64_t i = 0; i < count; i++) {
        in_order &= times[i] >= ps_watermark_value(mark);
        take(mark, times[i]);
    }
    return in_order;
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
        *low = ps_min_i64(*low, least);
        *high = ps_max_i64(*high, most);
        if (PS_UNLIKELY(!believed(mark, most))) {
            in_order &= take_rows(mark, times + at, rows);
            continue;
        }
        /* No row can be behind when even the block's least is within the bound of its largest. */
        const int64_t largest = ps_max_i64(mark->largest, most);
        if (in_order && least < ps_watermark_below(largest, mark->bound)) {
            in_order = block_in_order(mark, times + at, rows);
        }
        mark->largest = largest;
        mark->ahead_count = ps_max_i64(mark->ahead_count - rows, 0);
    }
    return in_order;
}

void ps_watermark_trace(ps_watermark *mark, const int64_t *times, int64_t count, int64_t *before)
{
    for (int64_t i = 0; i < count; i++) {
        before[i] = ps_watermark_value(mark);
        take(mark, times[i]);
    }
}
