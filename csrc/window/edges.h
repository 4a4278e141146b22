/* edges.h -- where slices and windows begin and end.
 *
 * Windows start at offset + w * slide and last `size`. Their starts and ends cut event time into
 * slices that no edge divides: one per slide, or two when size is not a multiple of slide.
 *
 *   slide 4, size 10 (split 2)   |--.....|--.....|--.....|   slice 2w: [0, 2), 2w + 1: [2, 4)
 *   window w = slices [per_slide * w, per_slide * w + slices_per_window)
 *
 * Source: paired windows, Krishnamurthy et al., "On-the-fly sharing for streamed aggregation",
 * 2006. Times must lie within +-PS_TIME_LIMIT so that no sum here overflows.
 */
#ifndef PS_WINDOW_EDGES_H
#define PS_WINDOW_EDGES_H

#include "window/window.h"

#define PS_TIME_LIMIT (INT64_C(1) << 61)

typedef struct ps_edges {
    int64_t size;
    int64_t slide;
    int64_t offset;
    int64_t split;     /* size % slide */
    int32_t per_slide; /* 1 or 2 slices */
    int64_t slices_per_window;
} ps_edges;

/* PS_INVALID for sizes and slides that make no windows, naming the value. */
PS_MUST_CHECK ps_status ps_edges_init(ps_edges *edges, const ps_window *window, ps_error *err);

static inline int64_t ps_floor_div(int64_t a, int64_t b)
{
    const int64_t q = a / b;
    return q - (a % b < 0);
}

static inline int64_t ps_edges_slice(const ps_edges *e, int64_t time)
{
    const int64_t since = time - e->offset;
    const int64_t slide = ps_floor_div(since, e->slide);
    return e->per_slide == 1 ? slide : 2 * slide + (since - slide * e->slide >= e->split);
}

static inline int64_t ps_edges_slice_start(const ps_edges *e, int64_t slice)
{
    if (e->per_slide == 1) {
        return slice * e->slide + e->offset;
    }
    const int64_t w = ps_floor_div(slice, 2);
    return w * e->slide + e->offset + (slice - 2 * w == 0 ? 0 : e->split);
}

static inline int64_t ps_edges_window_start(const ps_edges *e, int64_t window)
{
    return window * e->slide + e->offset;
}

static inline int64_t ps_edges_window_end(const ps_edges *e, int64_t window)
{
    return window * e->slide + e->offset + e->size;
}

/* The last and the first window that contain a slice. */
static inline int64_t ps_edges_last_window(const ps_edges *e, int64_t slice)
{
    return ps_floor_div(slice, e->per_slide);
}

static inline int64_t ps_edges_first_window(const ps_edges *e, int64_t slice)
{
    return -ps_floor_div(e->slices_per_window - 1 - slice, e->per_slide);
}

#endif
