/* watermark.h -- bounded out-of-orderness: watermark = largest event time so far - bound.
 *
 * The watermark counts row by row, not batch by batch: a row is behind when its time lies below the
 * watermark of the rows before it. That makes "late" a property of the rows alone, however they
 * were cut into batches. Most batches have no row behind; a scan proves that 128 rows at a time
 * from their minimum and maximum.
 *
 * max_future guards against a time that is absurd: a row further than that ahead of the largest
 * time does not move the watermark by itself. Sixteen such rows do, net of the rows that are not
 * ahead: then time has passed, and the least of them is the largest time. So a device whose clock
 * is wrong closes no window while others tell the time, and a gap in the data delays the watermark
 * by sixteen rows instead of stopping it for good. The first rows of all are believed in the same
 * way. Wall clocks take no part: a replay gives what the live run gave.
 */
#ifndef PS_WINDOW_WATERMARK_H
#define PS_WINDOW_WATERMARK_H

#include "base/base.h"

#define PS_FUTURE_QUORUM 16

typedef struct ps_watermark {
    int64_t largest;     /* PS_TIME_MIN before the first row */
    int64_t bound;       /* >= 0 */
    int64_t max_future;  /* 0: no guard */
    int64_t ahead_low;   /* least of the rows ahead */
    int64_t ahead_count; /* of them, net of rows that are not ahead; 0: none */
    int64_t future_rows; /* rows more than max_future ahead when they came */
} ps_watermark;

/* largest - bound, which stays at PS_TIME_MIN where it would wrap. */
static inline int64_t ps_watermark_below(int64_t largest, int64_t bound)
{
    return largest < PS_TIME_MIN + bound ? PS_TIME_MIN : largest - bound;
}

static inline int64_t ps_watermark_value(const ps_watermark *mark)
{
    return ps_watermark_below(mark->largest, mark->bound);
}

/* Takes count >= 1 times in; *low and *high are the least and the largest of them. false: some row
 * is behind (the scan went on all the same). */
bool ps_watermark_scan(ps_watermark *mark, const int64_t *times, int64_t count, int64_t *low,
                       int64_t *high);
/* Takes the times in and writes the watermark before each row. */
void ps_watermark_trace(ps_watermark *mark, const int64_t *times, int64_t count, int64_t *before);

#endif
