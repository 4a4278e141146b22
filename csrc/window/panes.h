/* panes.h -- the accumulator rows of one window at a time, combined from its slices.
 *
 *   one slice        the slice itself
 *   invertible       a running total: add the slices that enter, remove those that leave
 *   anything else    two parts around a fixed block border B = multiple of n slices:
 *                    window [f, f + n) = suffix[f .. B) + prefix[B .. f + n)
 *                    each slice is combined at most three times however many windows it is in
 *
 * The borders are fixed in event time, so the order in which floats are added does not depend on
 * when the job started, was cut or restored. A row that lands in a slice already folded (a row late
 * for some of its windows) makes the affected total rebuild itself from the slices at the next
 * window.
 *
 * Sources  removal: "subtract on evict"; blocks: van Herk 1992 and Gil, Werman 1993 for min and
 *          max, here for any associative combine.
 * Cost     per window and group: 2 combines (running total) or <= 3. Memory: one more slice, or up
 *          to n + 1 more.
 */
#ifndef PS_WINDOW_PANES_H
#define PS_WINDOW_PANES_H

#include "state/slice.h"
#include "window/edges.h"

typedef enum ps_panes_mode { PS_PANES_SINGLE = 0, PS_PANES_RUNNING, PS_PANES_BLOCKS } ps_panes_mode;

typedef struct ps_panes {
    ps_slice_store *store; /* borrowed */
    int64_t per_window;    /* slices */
    ps_panes_mode mode;
    int64_t first, end; /* slices of the open window */
    ps_slice *single;
    /* running */
    ps_slice *run;
    int64_t run_first, run_end;
    /* blocks */
    ps_slice **suffixes; /* newest (smallest index) last */
    int64_t suffix_count, suffix_room;
    int64_t suffix_block;
    bool suffix_valid;
    ps_slice *suffix; /* of the open window, may be NULL */
    ps_slice *prefix; /* may be NULL */
    int64_t prefix_first, prefix_end;
    uint8_t *scratch; /* one chunk */
} ps_panes;

void ps_panes_init(ps_panes *panes, ps_slice_store *store, const ps_edges *edges);
void ps_panes_fini(ps_panes *panes);
int64_t ps_panes_bytes(const ps_panes *panes);

/* Opens the window of slices [first, first + n); windows are opened in ascending order. */
PS_MUST_CHECK ps_status ps_panes_open(ps_panes *panes, int64_t first, ps_error *err);
/* Rows of chunk `chunk` of the open window: *rows and *count, 0 when no group there is present.
 * Valid until the next call. */
PS_MUST_CHECK ps_status ps_panes_rows(ps_panes *panes, int64_t chunk, const uint8_t **rows,
                                      int64_t *count, ps_error *err);
/* Chunks that may have rows. */
int64_t ps_panes_chunk_count(const ps_panes *panes);
/* A row landed in slice `index`. */
void ps_panes_touch(ps_panes *panes, int64_t index);
/* Slices below bound belong to no window to come: leaves them out and drops them from the store. */
void ps_panes_retire(ps_panes *panes, int64_t bound);

#endif
