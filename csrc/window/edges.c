/* edges.c -- checks a window and derives its slices. */
#include "window/edges.h"

ps_status ps_edges_init(ps_edges *edges, const ps_window *window, ps_error *err)
{
    const int64_t slide = window->kind == PS_WINDOW_HOPPING ? window->slide : window->size;
    if (window->size <= 0) {
        return ps_fail(err, PS_INVALID, "window size is %lld, must be positive",
                       (long long)window->size);
    }
    if (slide <= 0) {
        return ps_fail(err, PS_INVALID, "window slide is %lld, must be positive", (long long)slide);
    }
    if (slide > window->size) {
        return ps_fail(err, PS_INVALID,
                       "window slide %lld must not exceed the size %lld: rows between windows "
                       "would be lost",
                       (long long)slide, (long long)window->size);
    }
    if (window->size > PS_TIME_LIMIT / 2 || window->offset > PS_TIME_LIMIT / 2 ||
        window->offset < -PS_TIME_LIMIT / 2) {
        return ps_fail(err, PS_INVALID, "window size %lld or offset %lld is out of range",
                       (long long)window->size, (long long)window->offset);
    }
    const int64_t split = window->size % slide;
    *edges = (ps_edges){
        .size = window->size,
        .slide = slide,
        .offset = window->offset,
        .split = split,
        .per_slide = split == 0 ? 1 : 2,
        .slices_per_window = split == 0 ? window->size / slide : 2 * (window->size / slide) + 1,
    };
    return PS_OK;
}
