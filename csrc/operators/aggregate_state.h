/* aggregate_state.h -- the inside of the aggregate operator, shared by aggregate*.c only. */
#ifndef PS_OPERATORS_AGGREGATE_STATE_H
#define PS_OPERATORS_AGGREGATE_STATE_H

#include "arrow/batch_builder.h"
#include "operators/aggregate.h"
#include "state/freeze.h"
#include "state/hot_keys.h"
#include "state/keymap.h"
#include "state/slice.h"
#include "window/edges.h"
#include "window/panes.h"

#define KEYS_MAX 16
#define AGGREGATE_PROGRESS 2 /* columns of its progress */

typedef struct aggregate {
    ps_operator op;
    /* what to compute */
    int32_t key_count; /* 0 = one global group, gid 0 */
    ps_program *key_programs[KEYS_MAX];
    int32_t input_count;
    ps_program **input_programs;
    ps_vector *inputs; /* of the chunk at hand */
    int32_t aggregate_count;
    ps_agg_arg *aggregates; /* the layout is made of */
    char (*input_texts)[PS_CANONICAL_TEXT];
    bool windowed;
    bool exact_late; /* one source: the rows' own watermark may close windows */
    int32_t time_column;
    int64_t time_shift;
    ps_edges edges;
    bool counts_only; /* the rows of a group are all that is asked */
    /* the batch at hand */
    bool batch_in_slice;
    int64_t batch_slice;
    /* state */
    ps_keymap *keys; /* NULL without keys */
    ps_agg_layout *layout;
    ps_slice_store store;
    ps_freeze frozen;          /* rows that a barrier left to be written */
    ps_batch_builder *written; /* of them: the batch that is being filled */
    int64_t read_rows;         /* that the next read may bring */
    ps_schema *state_schema;   /* made at the first freeze */
    ps_panes panes;
    int64_t watermark;   /* every window that ends at or before it has been emitted */
    int64_t next_window; /* number of the first window not yet emitted */
    int64_t sweep_at;    /* keys at which dead ones are looked for */
    int64_t most_live;   /* keys that sweeps found alive: their peak, fading */
    bool sweeping; /* chunks of keys from sweep_chunk to sweep_end are still to be looked at */
    int64_t sweep_chunk, sweep_end;
    int64_t swept_at_rows; /* rows that had come in at the last watermark */
    /* emission under way */
    bool pending; /* towards target; its watermark has not been passed on */
    int64_t target;
    bool window_open;
    int64_t window;
    int64_t chunk, row; /* next to emit */
    ps_batch_builder *out;
    ps_constant window_start, window_end; /* columns that the batches of one window share */
    bool final_done;                      /* the one row of an unwindowed global aggregate is out */
    /* for the metrics */
    bool watches_keys; /* whether `hot` is kept */
    bool told_hot;
    ps_hot_keys hot;
    struct merge_room *merging; /* made at the first batch of partials */
} aggregate;

/* Some rows of a batch, at most PS_CHUNK_ROWS. */
typedef struct aggregate_chunk {
    const ps_batch *batch;
    const uint32_t *rows; /* physical rows, or NULL: consecutive from start */
    int64_t start;
    int64_t count;
    const int64_t *times;
    int64_t low, high; /* slices */
} aggregate_chunk;

/* aggregate_input.c */
PS_MUST_CHECK ps_status aggregate_add(aggregate *self, const ps_batch *batch,
                                      const ps_selection *selection, ps_error *err);

/* aggregate_rows.c: the accumulator row of each row's group, in its own slice, ready for a change;
 * where counting is all, the count is raised at once. */
PS_MUST_CHECK ps_status aggregate_rows_of_chunk(aggregate *self, const aggregate_chunk *c,
                                                const uint32_t *gids, uint8_t **rows,
                                                ps_error *err);
PS_MUST_CHECK ps_status aggregate_count_chunk(aggregate *self, const aggregate_chunk *c,
                                              const uint32_t *gids, ps_error *err);
PS_MUST_CHECK ps_status aggregate_rows_of_slices(aggregate *self, const int64_t *slices,
                                                 const uint32_t *gids, int64_t count,
                                                 uint8_t **rows, ps_error *err);

/* aggregate_emit.c: adds the bytes of the texts among the keys of some groups. */
void aggregate_key_sizes(const aggregate *self, const uint32_t *gids, int64_t count,
                         int64_t *sizes);
/* One bounded part of the pending emission; and all of it. */
PS_MUST_CHECK ps_status aggregate_resume(ps_operator *op, bool *more, ps_error *err);
PS_MUST_CHECK ps_status aggregate_finish_pending(aggregate *self, ps_error *err);
/* Emits every window that ends at or before `watermark` and passes the watermark on. */
PS_MUST_CHECK ps_status aggregate_advance(aggregate *self, int64_t watermark, ps_error *err);

/* aggregate_sweep.c: forgets some of the keys that are dead, once they may be half of all. */
#define AGGREGATE_SWEEP_MIN 65536
void aggregate_sweep(aggregate *self);

/* aggregate_snapshot.c */
extern const char *const aggregate_progress_names[AGGREGATE_PROGRESS];
PS_MUST_CHECK ps_status aggregate_freeze(ps_operator *op, bool all, ps_error *err);
PS_MUST_CHECK ps_status aggregate_copy(ps_operator *op, bool *more, ps_error *err);
PS_MUST_CHECK ps_status aggregate_state_schema(ps_operator *op, ps_schema **out, ps_error *err);

/* Makes what depends on the layout, which is there; undo: before another layout. */
void aggregate_open_state(aggregate *self);
void aggregate_close_state(aggregate *self);

/* aggregate_restore.c */
PS_MUST_CHECK ps_status aggregate_restore(ps_operator *op, ps_batch *state, ps_error *err);

/* aggregate_merge.c: a batch of partials (pre_aggregate.h). */
PS_MUST_CHECK ps_status aggregate_merge(aggregate *self, ps_batch *batch,
                                        const ps_selection *selection, ps_error *err);
void aggregate_merge_fini(aggregate *self);

/* aggregate_hot.c: leaves the hot keys for a reader when there is news. */
void aggregate_tell_hot_keys(aggregate *self);

/* Tells that the rows of these groups are about to change, if anybody wants to know. */
PS_MUST_CHECK static inline ps_status aggregate_touch(aggregate *self, ps_slice *slice,
                                                      const uint32_t *gids, int64_t count,
                                                      ps_error *err)
{
    return self->store.tracks ? ps_freeze_touch(&self->frozen, slice, gids, count, err) : PS_OK;
}

/* Whether every window of a slice ends at or before the watermark. */
static inline bool aggregate_slice_is_late(const aggregate *self, int64_t slice, int64_t watermark)
{
    const int64_t window = ps_edges_last_window(&self->edges, slice);
    return ps_edges_window_end(&self->edges, window) <= watermark;
}

/* The row of group gid in a slice that reaches it; NULL: its chunk is missing and memory
 * refused. */
static inline uint8_t *aggregate_row(aggregate *self, ps_slice *slice, uint32_t gid)
{
    uint8_t *rows = slice->chunks[gid >> PS_SLICE_SHIFT];
    if (PS_UNLIKELY(rows == NULL)) {
        rows = ps_slice_add_chunk(&self->store, slice, gid >> PS_SLICE_SHIFT);
        if (rows == NULL) {
            return NULL;
        }
    }
    return rows + (gid & (PS_SLICE_ROWS - 1)) * self->store.stride;
}

/* The rows among rows[0..count) that hold a group: their gids and addresses; first_gid is rows'
 * own. Returns their number. */
int64_t aggregate_present(const aggregate *self, const uint8_t *rows, int64_t count,
                          uint32_t first_gid, uint32_t *gids, const uint8_t **found);

#endif
