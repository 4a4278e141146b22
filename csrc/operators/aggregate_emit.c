/* aggregate_emit.c -- results out: the windows that a watermark closed, a bounded part at a
 * time. */
#include <string.h>

#include "operators/aggregate_state.h"

#define EMIT_ROWS_MIN 1024

int64_t aggregate_present(const aggregate *self, const uint8_t *rows, int64_t count,
                          uint32_t first_gid, uint32_t *gids, const uint8_t **found)
{
    int64_t present = 0;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *row = rows + (size_t)i * self->store.stride;
        gids[present] = first_gid + (uint32_t)i;
        found[present] = row;
        present += ps_agg_rows(row) != 0;
    }
    return present;
}

/* Keys, window and results of some present groups. */
static ps_status append_groups(aggregate *self, const uint32_t *gids, const uint8_t *const *rows,
                               int64_t count, ps_error *err)
{
    ps_vector_scratch scratch;
    ps_vector vector;
    int32_t column = 0;
    for (int32_t k = 0; k < self->key_count; k++) {
        ps_keymap_load(self->keys, gids, count, k, &scratch, &vector);
        PS_TRY(ps_batch_builder_append(self->out, column++, &vector, count, err));
    }
    if (self->windowed) {
        const int64_t start = ps_edges_window_start(&self->edges, self->window);
        PS_TRY(ps_batch_builder_append_constant(self->out, column++, start, count,
                                                &self->window_start, err));
        PS_TRY(ps_batch_builder_append_constant(self->out, column++, start + self->edges.size,
                                                count, &self->window_end, err));
    }
    for (int32_t i = 0; i < self->aggregate_count; i++) {
        PS_TRY(ps_agg_lower(self->layout, i, rows, count, &scratch, &vector, err));
        PS_TRY(ps_batch_builder_append(self->out, column++, &vector, count, err));
    }
    ps_batch_builder_advance(self->out, count);
    return PS_OK;
}

static ps_status flush_output(aggregate *self, ps_error *err)
{
    ps_batch *batch = NULL;
    ps_batch_builder *taken = self->out;
    self->out = NULL;
    PS_TRY(ps_batch_builder_finish(taken, &batch, err));
    const ps_status status = ps_emit_batch(&self->op, batch, NULL, err);
    ps_batch_release(batch);
    return status;
}

/* A builder for about as many rows as are likely to come. */
static ps_status ready_output(aggregate *self, ps_error *err)
{
    if (self->out != NULL) {
        return PS_OK;
    }
    int64_t rows = self->keys == NULL ? 1 : ps_keymap_live(self->keys);
    rows = ps_max_i64(ps_min_i64(rows, PS_BATCH_ROWS_MAX), EMIT_ROWS_MIN);
    return ps_batch_builder_create(self->op.mem, self->op.output,
                                   ps_batch_builder_rows(self->op.output, rows), &self->out, err);
}

void aggregate_key_sizes(const aggregate *self, const uint32_t *gids, int64_t count, int64_t *sizes)
{
    ps_vector_scratch scratch;
    ps_vector vector;
    for (int32_t k = 0; k < self->key_count; k++) {
        if (ps_type_is_var(self->op.output->fields[k].type.id)) {
            ps_keymap_load(self->keys, gids, count, k, &scratch, &vector);
            ps_text_sizes_add(&vector, count, sizes);
        }
    }
}

/* How many of some present groups the batch has room for. */
static ps_status count_fitting(aggregate *self, const uint32_t *gids, const uint8_t *const *rows,
                               int64_t count, int64_t *out, ps_error *err)
{
    ps_vector_scratch scratch;
    ps_vector vector;
    int64_t sizes[PS_CHUNK_ROWS] = {0};
    const ps_schema *schema = self->op.output;
    const int32_t first = schema->field_count - self->aggregate_count;
    aggregate_key_sizes(self, gids, count, sizes);
    for (int32_t i = 0; i < self->aggregate_count; i++) {
        if (ps_type_is_var(schema->fields[first + i].type.id)) {
            PS_TRY(ps_agg_lower(self->layout, i, rows, count, &scratch, &vector, err));
            ps_text_sizes_add(&vector, count, sizes);
        }
    }
    *out = ps_batch_builder_fit(self->out, sizes, count);
    return PS_OK;
}

/* Appends what there is among some rows of the open window, from where it stands; goes on behind
 * what the batch had room for. */
static ps_status emit_rows(aggregate *self, const uint8_t *rows, int64_t count, bool *full,
                           ps_error *err)
{
    uint32_t gids[PS_CHUNK_ROWS];
    const uint8_t *found[PS_CHUNK_ROWS];
    const uint32_t first = (uint32_t)(self->chunk * PS_SLICE_ROWS + self->row);
    const int64_t present = aggregate_present(self, rows + (size_t)self->row * self->store.stride,
                                              count, first, gids, found);
    int64_t fit = present;
    if (self->out->has_texts && present > 0) {
        PS_TRY(count_fitting(self, gids, found, present, &fit, err));
    }
    if (fit > 0) {
        PS_TRY(append_groups(self, gids, found, fit, err));
    }
    self->row += fit < present ? gids[fit] - first : count;
    *full = fit < present || self->out->length == self->out->capacity;
    return PS_OK;
}

/* Emits the open window from where it stands until it is done or one batch has left (*full). */
static ps_status emit_window(aggregate *self, bool *full, ps_error *err)
{
    const int64_t chunks = ps_panes_chunk_count(&self->panes);
    *full = false;
    for (; self->chunk < chunks; self->chunk++, self->row = 0) {
        const uint8_t *rows = NULL;
        int64_t count = 0;
        PS_TRY(ps_panes_rows(&self->panes, self->chunk, &rows, &count, err));
        while (self->row < count) {
            PS_TRY(ready_output(self, err));
            const int64_t room = self->out->capacity - self->out->length;
            const int64_t part = ps_min_i64(ps_min_i64(PS_CHUNK_ROWS, count - self->row), room);
            PS_TRY(emit_rows(self, rows, part, full, err));
            if (*full) {
                return flush_output(self, err);
            }
        }
    }
    return PS_OK;
}

/* The next window that holds a row and ends by the target. */
static bool next_window(const aggregate *self, int64_t *window)
{
    if (self->store.count == 0) {
        return false;
    }
    if (!self->windowed) {
        *window = 0;
        return true;
    }
    *window = ps_max_i64(self->next_window,
                         ps_edges_first_window(&self->edges, self->store.slices[0]->index));
    return ps_edges_window_end(&self->edges, *window) <= self->target;
}

static void close_window(aggregate *self)
{
    self->window_open = false;
    if (self->windowed) {
        self->next_window = self->window + 1;
        ps_panes_retire(&self->panes, self->next_window * self->edges.per_slide);
    } else {
        ps_panes_retire(&self->panes, INT64_MAX);
    }
}

/* Nothing is left before the target: a row for those windows is late from now on. */
static ps_status reach_target(aggregate *self, ps_error *err)
{
    if (self->out != NULL && self->out->length > 0) {
        PS_TRY(flush_output(self, err));
    }
    self->watermark = self->target;
    self->pending = false;
    if (self->windowed && self->target < PS_TIME_LIMIT) {
        const int64_t closed =
            ps_floor_div(self->target - self->edges.offset - self->edges.size, self->edges.slide);
        self->next_window = ps_max_i64(self->next_window, closed + 1);
    }
    return ps_emit_watermark(&self->op, self->watermark, err);
}

/* A global aggregate over a bounded input has one row, whatever came in. */
static ps_status ensure_global_row(aggregate *self, ps_error *err)
{
    if (self->windowed || self->keys != NULL || self->final_done || self->op.shard != 0) {
        return PS_OK;
    }
    self->final_done = true;
    if (self->store.count > 0) {
        return PS_OK;
    }
    const uint32_t gid = 0;
    const uint8_t *row = ps_agg_identity(self->layout);
    PS_TRY(ready_output(self, err));
    return append_groups(self, &gid, &row, 1, err);
}

ps_status aggregate_resume(ps_operator *op, bool *more, ps_error *err)
{
    aggregate *self = (aggregate *)op;
    *more = false;
    if (!self->pending) {
        return PS_OK;
    }
    PS_TRY(ensure_global_row(self, err));
    bool full = false;
    while (!full) {
        if (!self->window_open) {
            if (!next_window(self, &self->window)) {
                return reach_target(self, err);
            }
            PS_TRY(ps_panes_open(&self->panes,
                                 self->windowed ? self->window * self->edges.per_slide : 0, err));
            self->window_open = true;
            self->chunk = self->row = 0;
        }
        PS_TRY(emit_window(self, &full, err));
        if (!full) {
            close_window(self);
        }
    }
    *more = true;
    return PS_OK;
}

ps_status aggregate_finish_pending(aggregate *self, ps_error *err)
{
    bool more = self->pending;
    while (more) {
        PS_TRY(aggregate_resume(&self->op, &more, err));
    }
    return PS_OK;
}

ps_status aggregate_advance(aggregate *self, int64_t watermark, ps_error *err)
{
    PS_ASSERT(!self->pending);
    if (watermark <= self->watermark) {
        return PS_OK;
    }
    self->pending = true;
    self->target = watermark;
    return aggregate_finish_pending(self, err);
}
