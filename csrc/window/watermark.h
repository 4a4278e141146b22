/* watermark.h -- bounded out-of-orderness: watermark = largest event time so far - bound.
 *
 * The watermark counts row by row, not batch by batch: a row is behind when its time lies below the
 * watermark of the rows before it. That makes "late" a property of the rows alone, however they
 * were cut into batches. Most batches have no row behind; a scan proves that 128 rows at a time
 * from their minimum and maximum.
 */
#ifndef PS_WINDOW_WATERMARK_H
#define PS_WINDOW_WATERMARK_H

#include "base/base.h"

typedef struct ps_watermark {
    int64_t largest; /* PS_TIME_MIN before the first row */
    int64_t bound;   /* >= 0 */
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
