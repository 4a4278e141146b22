/* window.h -- a window assignment as data: which kind, how long, how often, where it starts.
 *
 * All lengths are in the unit of the event-time column. Windows are half-open [start, end) and
 * aligned to the epoch plus offset.
 */
#ifndef PS_WINDOW_WINDOW_H
#define PS_WINDOW_WINDOW_H

#include "base/error.h"

typedef enum ps_window_kind {
    PS_WINDOW_NONE = 0, /* one group over the whole bounded input */
    PS_WINDOW_TUMBLING, /* size */
    PS_WINDOW_HOPPING,  /* size, slide */
} ps_window_kind;

typedef struct ps_window {
    ps_window_kind kind;
    int64_t size;
    int64_t slide; /* hopping only */
    int64_t offset;
} ps_window;

#endif
