/* freeze.h -- the rows of a store as they were at one moment, read out in parts while they change.
 *
 *   slice    changed   a bit a row: changed since the last freeze
 *            before    the same for the time before it: what an increment is made of
 *   log      rows of the freeze as they were, saved before their first change
 *
 * A slice made since the last freeze has changed as a whole, so its rows are not marked: windows
 * that open and close between two freezes pay nothing.
 * begin swaps the two bitmaps of each slice, so it costs the same for a thousand rows and for a
 * hundred million. From then on a row is read where it stands as long as `changed` is clear, and
 * from the log when it was set: touch, called before rows change, sees to that. A slice that
 * retires while it is frozen is kept until its rows have been read; a slice made later is not part
 * of the freeze. Group ids must not be given to other keys while a freeze is under way.
 *
 * Without tracking (ps_slice_store) there is no log: begin and all reads must come before the next
 * change.
 * Cost     touch: a bit test a row; the first one of a row still to be read copies it. Memory: two
 *          bits a row, and the log, at most once the rows that change before they are read.
 */
#ifndef PS_STATE_FREEZE_H
#define PS_STATE_FREEZE_H

#include "state/slice.h"

#define PS_FREEZE_READ_MIN 64 /* rows of a word of marks */

typedef struct ps_freeze_block ps_freeze_block;

typedef struct ps_freeze {
    ps_slice_store *store; /* borrowed */
    bool active;           /* rows may be left to be read */
    ps_slice **slices;     /* of the freeze; those before `next` have been read */
    int64_t count, room, next;
    ps_freeze_block *log, *last; /* oldest first */
    ps_freeze_block *spent;      /* handed out by the last read */
    ps_arena strings;            /* of rows in the log */
} ps_freeze;

/* Some rows of the freeze; addresses are valid until the next read. */
typedef struct ps_freeze_rows {
    int64_t count;
    uint32_t gids[PS_CHUNK_ROWS];
    int64_t slices[PS_CHUNK_ROWS];
    const uint8_t *rows[PS_CHUNK_ROWS];
} ps_freeze_rows;

void ps_freeze_init(ps_freeze *freeze, ps_slice_store *store);
void ps_freeze_fini(ps_freeze *freeze); /* before the store's */

/* Freezes every row of the store, or (all = false; tracking) those changed since the last begin.
 * None may be active. */
PS_MUST_CHECK ps_status ps_freeze_begin(ps_freeze *freeze, bool all, ps_error *err);
/* The next rows, at most `most` of them (PS_FREEZE_READ_MIN to PS_CHUNK_ROWS), after a bounded
 * search: count may be 0 although the freeze is still active. */
void ps_freeze_read(ps_freeze *freeze, int64_t most, ps_freeze_rows *out);

/* The rows of groups gids[0..count) of a slice are about to change; count <= PS_CHUNK_ROWS. */
PS_MUST_CHECK ps_status ps_freeze_touch(ps_freeze *freeze, ps_slice *slice, const uint32_t *gids,
                                        int64_t count, ps_error *err);

#endif
