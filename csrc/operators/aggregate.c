/* aggregate.c -- rows in: late check, keys to groups, groups to accumulator rows, update.
 *
 * Works on chunks of PS_CHUNK_ROWS rows so that every intermediate vector stays in L1 or L2: event
 * times, keys, inputs, group ids and row addresses. Addresses are asked for ahead of their use.
 */
#include "operators/aggregate.h"

#include <string.h>

#include "operators/aggregate_state.h"
#include "simd/kernels.h"

#define NEAR_SLICES 16 /* slices of one chunk told apart by comparisons instead of divisions */
#define SWEEP_MIN 65536

/* ---- times and slices of a chunk ---- */

typedef struct chunk {
    const ps_batch *batch;
    const uint32_t *rows; /* physical rows, or NULL: consecutive from start */
    int64_t start;
    int64_t count;
    const int64_t *times;
    int64_t low, high; /* slices */
} chunk;

typedef struct time_room {
    ps_vector_scratch scratch;
    int64_t shifted[PS_CHUNK_ROWS];
} time_room;

static void load_times(const aggregate *self, chunk *c, time_room *room)
{
    if (self->time_column < 0) {
        c->times = NULL;
        c->low = c->high = 0;
        return;
    }
    ps_vector vector;
    ps_vector_load(&c->batch->columns[self->time_column], c->rows, c->start, c->count,
                   &room->scratch, &vector);
    c->times = vector.values;
    if (self->time_shift != 0) {
        for (int64_t i = 0; i < c->count; i++) {
            room->shifted[i] = c->times[i] + self->time_shift;
        }
        c->times = room->shifted;
    }
    if (!self->windowed) {
        c->low = c->high = 0;
        return;
    }
    int64_t low, high;
    ps_simd_kernels()->range_i64(c->times, c->count, &low, &high);
    c->low = ps_edges_slice(&self->edges, low);
    c->high = ps_edges_slice(&self->edges, high);
}

/* ---- rows of groups ---- */

static ps_status rows_refused(const aggregate *self, ps_error *err)
{
    return ps_mem_refused(self->op.mem, self->store.chunk_bytes, "accumulators of a window", err);
}

ps_status aggregate_ready_slice(aggregate *self, int64_t index, ps_slice **out, ps_error *err)
{
    const int64_t capacity = self->keys == NULL ? 1 : ps_keymap_capacity(self->keys);
    PS_TRY(ps_slice_obtain(&self->store, index, out, err));
    PS_TRY(ps_slice_reach(&self->store, *out, capacity, err));
    ps_panes_touch(&self->panes, index);
    return PS_OK;
}

static ps_status rows_of_one(aggregate *self, const chunk *c, const uint32_t *gids, uint8_t **rows,
                             ps_error *err)
{
    ps_slice *slice = NULL;
    PS_TRY(aggregate_ready_slice(self, c->low, &slice, err));
    PS_TRY(aggregate_touch(self, slice, gids, c->count, err));
    for (int64_t i = 0; i < c->count; i++) {
        rows[i] = aggregate_row(self, slice, gids[i]);
        if (PS_UNLIKELY(rows[i] == NULL)) {
            return rows_refused(self, err);
        }
    }
    return PS_OK;
}

/* seen: the slices that have rows, as bits. While all of them are to be marked and none is frozen,
 * marking is one loop. */
static ps_status touch_near(aggregate *self, const chunk *c, const uint32_t *gids,
                            const uint8_t *places, ps_slice *const *slices, uint32_t seen,
                            ps_error *err)
{
    uint64_t *marks[NEAR_SLICES];
    uint32_t some[PS_CHUNK_ROWS];
    bool apart = false;
    for (uint32_t left = seen; left != 0; left &= left - 1) {
        const int place = __builtin_ctz(left);
        marks[place] = slices[place]->changed;
        apart |= slices[place]->frozen != PS_SLICE_LIVE;
        if (slices[place]->fresh) {
            apart = true;
            seen &= ~(1u << place);
        }
    }
    if (!apart) {
        for (int64_t i = 0; i < c->count; i++) {
            marks[places[i]][gids[i] >> 6] |= UINT64_C(1) << (gids[i] & 63);
        }
        return PS_OK;
    }
    for (; seen != 0; seen &= seen - 1) {
        const int place = __builtin_ctz(seen);
        int64_t count = 0;
        for (int64_t i = 0; i < c->count; i++) {
            some[count] = gids[i];
            count += places[i] == place;
        }
        PS_TRY(aggregate_touch(self, slices[place], some, count, err));
    }
    return PS_OK;
}

/* A few neighbouring slices: each row's place among them is the number of starts it has passed. The
 * slices that have rows are made ready for their change. */
static ps_status place_near(aggregate *self, const chunk *c, const uint32_t *gids, uint8_t *places,
                            ps_slice **slices, ps_error *err)
{
    const ps_kernels *kernels = ps_simd_kernels();
    memset(places, 0, (size_t)c->count);
    for (int64_t k = c->low + 1; k <= c->high; k++) {
        kernels->add_passed_i64(c->times, ps_edges_slice_start(&self->edges, k), places, c->count);
    }
    uint32_t seen = 0;
    for (int64_t i = 0; i < c->count; i++) {
        seen |= 1u << places[i];
    }
    for (int64_t k = 0; k <= c->high - c->low; k++) {
        if ((seen >> k & 1) != 0) {
            PS_TRY(aggregate_ready_slice(self, c->low + k, &slices[k], err));
        }
    }
    return self->store.tracks ? touch_near(self, c, gids, places, slices, seen, err) : PS_OK;
}

static ps_status rows_of_near(aggregate *self, const chunk *c, const uint32_t *gids, uint8_t **rows,
                              ps_error *err)
{
    uint8_t places[PS_CHUNK_ROWS];
    ps_slice *slices[NEAR_SLICES];
    PS_TRY(place_near(self, c, gids, places, slices, err));
    for (int64_t i = 0; i < c->count; i++) {
        rows[i] = aggregate_row(self, slices[places[i]], gids[i]);
        if (PS_UNLIKELY(rows[i] == NULL)) {
            return rows_refused(self, err);
        }
    }
    return PS_OK;
}

/* Counting needs no list of rows: the counters are found and raised in one loop. */
static ps_status count_one(aggregate *self, const chunk *c, const uint32_t *gids, ps_error *err)
{
    ps_slice *slice = NULL;
    PS_TRY(aggregate_ready_slice(self, c->low, &slice, err));
    PS_TRY(aggregate_touch(self, slice, gids, c->count, err));
    if (self->keys == NULL || ps_keymap_capacity(self->keys) <= PS_SLICE_ROWS) {
        uint64_t *counts = (uint64_t *)(void *)slice->chunks[0];
        for (int64_t i = 0; i < c->count; i++) {
            counts[gids[i]]++;
        }
        return PS_OK;
    }
    for (int64_t i = 0; i < c->count; i++) {
        uint8_t *row = aggregate_row(self, slice, gids[i]);
        if (PS_UNLIKELY(row == NULL)) {
            return rows_refused(self, err);
        }
        (*(uint64_t *)(void *)row)++;
    }
    return PS_OK;
}

static ps_status count_near(aggregate *self, const chunk *c, const uint32_t *gids, ps_error *err)
{
    uint8_t places[PS_CHUNK_ROWS];
    ps_slice *slices[NEAR_SLICES];
    PS_TRY(place_near(self, c, gids, places, slices, err));
    for (int64_t i = 0; i < c->count; i++) {
        uint8_t *row = aggregate_row(self, slices[places[i]], gids[i]);
        if (PS_UNLIKELY(row == NULL)) {
            return rows_refused(self, err);
        }
        (*(uint64_t *)(void *)row)++;
    }
    return PS_OK;
}

static ps_status rows_of_many(aggregate *self, const chunk *c, const uint32_t *gids, uint8_t **rows,
                              ps_error *err)
{
    ps_slice *slice = NULL;
    for (int64_t i = 0; i < c->count; i++) {
        const int64_t index = ps_edges_slice(&self->edges, c->times[i]);
        if (slice == NULL || slice->index != index) {
            PS_TRY(aggregate_ready_slice(self, index, &slice, err));
        }
        PS_TRY(aggregate_touch(self, slice, &gids[i], 1, err));
        rows[i] = aggregate_row(self, slice, gids[i]);
        if (PS_UNLIKELY(rows[i] == NULL)) {
            return rows_refused(self, err);
        }
    }
    return PS_OK;
}

static ps_status intern_keys(aggregate *self, const chunk *c, uint32_t *gids, ps_error *err)
{
    if (self->keys == NULL) {
        memset(gids, 0, (size_t)c->count * sizeof *gids);
        return PS_OK;
    }
    ps_vector keys[KEYS_MAX];
    for (int32_t k = 0; k < self->key_count; k++) {
        PS_TRY(ps_program_eval(self->key_programs[k], c->batch, c->rows, c->start, c->count,
                               &keys[k], err));
    }
    PS_TRY(ps_keymap_intern(self->keys, keys, c->count, gids, err));
    if (self->watches_keys) {
        ps_hot_keys_add(&self->hot, gids, c->count);
    }
    return PS_OK;
}

/* Adds rows none of which is late. */
static ps_status add_rows(aggregate *self, const chunk *c, ps_error *err)
{
    uint32_t gids[PS_CHUNK_ROWS];
    uint8_t *rows[PS_CHUNK_ROWS + PS_AGG_AHEAD];
    if (c->count == 0) {
        return PS_OK;
    }
    PS_TRY(intern_keys(self, c, gids, err));
    if (self->counts_only && c->high - c->low < NEAR_SLICES) {
        return c->low == c->high ? count_one(self, c, gids, err) : count_near(self, c, gids, err);
    }
    if (c->low == c->high) {
        PS_TRY(rows_of_one(self, c, gids, rows, err));
    } else if (c->high - c->low < NEAR_SLICES) {
        PS_TRY(rows_of_near(self, c, gids, rows, err));
    } else {
        PS_TRY(rows_of_many(self, c, gids, rows, err));
    }
    memset(&rows[c->count], 0, PS_AGG_AHEAD * sizeof *rows);
    for (int32_t k = 0; k < self->input_count; k++) {
        PS_TRY(ps_program_eval(self->input_programs[k], c->batch, c->rows, c->start, c->count,
                               &self->inputs[k], err));
    }
    /* add_chunk sees to it that strings have one slice, whose arena this is. */
    ps_arena *strings = NULL;
    if (ps_agg_keeps_strings(self->layout)) {
        PS_ASSERT(c->low == c->high);
        strings = &ps_slice_find(&self->store, c->low)->strings;
    }
    return ps_agg_update(self->layout, rows, self->inputs, c->times, c->count, strings, err);
}

/* ---- late rows ---- */

/* A part of a chunk as a list of its physical rows. */
typedef struct row_list {
    uint32_t rows[PS_CHUNK_ROWS];
    int64_t count;
} row_list;

static uint32_t physical_row(const chunk *c, int64_t i)
{
    return c->rows == NULL ? (uint32_t)(c->start + i) : c->rows[i];
}

static ps_status add_part(aggregate *self, const chunk *c, ps_error *err);

static ps_status add_list(aggregate *self, const chunk *c, row_list *list, ps_error *err)
{
    time_room room;
    chunk part = {.batch = c->batch, .rows = list->rows, .count = list->count};
    if (list->count == 0) {
        return PS_OK;
    }
    list->count = 0;
    load_times(self, &part, &room);
    return add_part(self, &part, err);
}

/* Row by row against the watermark, the row's own included. A row late for some of its windows only
 * must not enter those: the windows that its watermark closes are emitted before it is added. */
static ps_status add_checked(aggregate *self, const chunk *c, ps_error *err)
{
    const int64_t *own = c->batch->late_watermark;
    row_list kept = {.count = 0};
    int64_t late = 0;
    for (int64_t i = 0; i < c->count; i++) {
        const uint32_t row = physical_row(c, i);
        const int64_t slice = ps_edges_slice(&self->edges, c->times[i]);
        const int64_t mark = own == NULL ? self->watermark : ps_max_i64(own[row], self->watermark);
        if (aggregate_slice_is_late(self, slice, mark)) {
            late++;
            continue;
        }
        const int64_t first = ps_edges_first_window(&self->edges, slice);
        if (mark > self->watermark && self->exact_late &&
            ps_edges_window_end(&self->edges, first) <= mark) {
            PS_TRY(add_list(self, c, &kept, err));
            PS_TRY(aggregate_advance(self, mark, err));
        }
        kept.rows[kept.count++] = row;
    }
    ps_stat_add(&self->op.stats.late_rows, late);
    return add_list(self, c, &kept, err);
}

/* One slice at a time: strings are kept with the slice they belong to. */
static ps_status add_by_slice(aggregate *self, const chunk *c, ps_error *err)
{
    for (int64_t slice = c->low; slice <= c->high;) {
        row_list list = {.count = 0};
        int64_t next = INT64_MAX;
        for (int64_t i = 0; i < c->count; i++) {
            const int64_t index = ps_edges_slice(&self->edges, c->times[i]);
            if (index == slice) {
                list.rows[list.count++] = physical_row(c, i);
            } else if (index > slice) {
                next = ps_min_i64(next, index);
            }
        }
        PS_TRY(add_list(self, c, &list, err));
        slice = next;
        if (next == INT64_MAX) {
            break;
        }
    }
    return PS_OK;
}

static ps_status add_part(aggregate *self, const chunk *c, ps_error *err)
{
    if (c->low != c->high && ps_agg_keeps_strings(self->layout)) {
        return add_by_slice(self, c, err);
    }
    return add_rows(self, c, err);
}

static ps_status add_chunk(aggregate *self, const ps_batch *batch, const uint32_t *rows,
                           int64_t start, int64_t count, ps_error *err)
{
    time_room room;
    chunk c = {.batch = batch, .rows = rows, .start = start, .count = count};
    if (self->batch_in_slice) {
        c.low = c.high = self->batch_slice;
        return add_rows(self, &c, err);
    }
    load_times(self, &c, &room);
    if (self->windowed &&
        (batch->late_watermark != NULL || aggregate_slice_is_late(self, c.low, self->watermark))) {
        return add_checked(self, &c, err);
    }
    return add_part(self, &c, err);
}

/* ---- the operator ---- */

static void update_stats(aggregate *self)
{
    int64_t bytes = ps_slice_store_bytes(&self->store) + ps_panes_bytes(&self->panes);
    if (self->keys != NULL) {
        bytes += ps_keymap_bytes(self->keys);
        ps_stat_set(&self->op.stats.keys, ps_keymap_live(self->keys));
        aggregate_tell_hot_keys(self);
    }
    ps_stat_set(&self->op.stats.state_bytes, bytes);
}

/* Keys that no slice holds any more are forgotten once they may be half of all. */
static ps_status sweep_keys(aggregate *self, ps_error *err)
{
    const int64_t capacity = ps_keymap_capacity(self->keys);
    if (ps_keymap_live(self->keys) < self->sweep_at) { /* dead keys not yet swept are among them */
        return PS_OK;
    }
    if (self->frozen.active) { /* its rows name their keys by gid */
        return PS_OK;
    }
    uint8_t *live = ps_alloc_zeroed(self->op.mem, (size_t)capacity);
    if (live == NULL) {
        return ps_mem_refused(self->op.mem, (size_t)capacity, "a sweep of dead keys", err);
    }
    for (int64_t s = 0; s < self->store.count; s++) {
        const ps_slice *slice = self->store.slices[s];
        for (int64_t k = 0; k < slice->chunk_room; k++) {
            const int64_t rows = ps_slice_chunk_rows(slice, k);
            for (int64_t i = 0; i < rows; i++) {
                const int64_t gid = k * PS_SLICE_ROWS + i;
                if (ps_agg_rows(slice->chunks[k] + (size_t)i * self->store.stride) != 0) {
                    live[gid] = 1;
                }
            }
        }
    }
    const ps_status status = ps_keymap_sweep(self->keys, live, err);
    ps_hot_keys_sweep(&self->hot, live);
    ps_free(self->op.mem, live, (size_t)capacity);
    /* Keys come back: right after a window few are live, and forgetting the others would only have
     * them added again for the next one. So the peak counts, and fades when it does not return. */
    self->most_live = ps_max_i64(ps_keymap_live(self->keys), self->most_live - self->most_live / 4);
    self->sweep_at = ps_max_i64(SWEEP_MIN, 2 * self->most_live);
    return status;
}

/* A batch known to lie in one slice that is not late needs no look at its times. */
static void look_at_range(aggregate *self, const ps_batch *batch)
{
    self->batch_in_slice = false;
    if (!self->windowed || !batch->has_times || batch->late_watermark != NULL ||
        self->time_shift != 0 || ps_agg_needs_time(self->layout)) {
        return;
    }
    self->batch_slice = ps_edges_slice(&self->edges, batch->time_low);
    self->batch_in_slice = self->batch_slice == ps_edges_slice(&self->edges, batch->time_high) &&
                           !aggregate_slice_is_late(self, self->batch_slice, self->watermark);
}

static ps_status on_batch(ps_operator *op, ps_batch *batch, ps_selection *selection, ps_error *err)
{
    aggregate *self = (aggregate *)op;
    PS_TRY(aggregate_finish_pending(self, err));
    if (batch->partial) {
        const ps_status merged = aggregate_merge(self, batch, selection, err);
        update_stats(self);
        return merged;
    }
    look_at_range(self, batch);
    for (int32_t k = 0; k < self->key_count; k++) {
        ps_program_begin_batch(self->key_programs[k]);
    }
    for (int32_t k = 0; k < self->input_count; k++) {
        ps_program_begin_batch(self->input_programs[k]);
    }
    const int64_t count = selection == NULL ? batch->length : selection->count;
    ps_status status = PS_OK;
    for (int64_t start = 0; start < count && status == PS_OK; start += PS_CHUNK_ROWS) {
        const uint32_t *rows = selection == NULL ? NULL : &selection->rows[start];
        status = add_chunk(self, batch, rows, selection == NULL ? start : 0,
                           ps_min_i64(PS_CHUNK_ROWS, count - start), err);
    }
    update_stats(self); /* after a failure as well: who asks why the budget is used up reads them */
    PS_TRY(status);
    return PS_OK;
}

static ps_status on_watermark(ps_operator *op, int64_t watermark, ps_error *err)
{
    aggregate *self = (aggregate *)op;
    PS_TRY(aggregate_finish_pending(self, err));
    if (self->keys != NULL) {
        PS_TRY(sweep_keys(self, err));
    }
    if (watermark > self->watermark && (self->windowed || watermark == PS_TIME_MAX)) {
        self->pending = true;
        self->target = watermark;
    }
    return PS_OK;
}

/* The windows that its watermark has closed leave first. */
static ps_status on_idle(ps_operator *op, bool idle, ps_error *err)
{
    PS_TRY(aggregate_finish_pending((aggregate *)op, err));
    return ps_emit_idle(op, idle, err);
}

static ps_status on_barrier(ps_operator *op, int64_t epoch, ps_error *err)
{
    PS_TRY(aggregate_finish_pending((aggregate *)op, err));
    return ps_emit_barrier(op, epoch, err);
}

static ps_status on_end(ps_operator *op, ps_error *err)
{
    aggregate *self = (aggregate *)op;
    PS_TRY(aggregate_finish_pending(self, err));
    update_stats(self);
    return ps_emit_end(op, err);
}

static ps_status restore_state(ps_operator *op, ps_batch *state, ps_error *err)
{
    const ps_status status = aggregate_restore(op, state, err);
    update_stats((aggregate *)op);
    return status;
}

static void close_aggregate(ps_operator *op)
{
    aggregate *self = (aggregate *)op;
    ps_mem *mem = op->mem;
    ps_batch_builder_destroy(self->out);
    ps_constant_fini(&self->window_start);
    ps_constant_fini(&self->window_end);
    ps_batch_builder_destroy(self->written);
    ps_schema_release(self->state_schema);
    aggregate_close_state(self);
    ps_keymap_destroy(self->keys);
    for (int32_t k = 0; k < self->key_count; k++) {
        ps_program_destroy(self->key_programs[k]);
    }
    const size_t room = 2 * (size_t)self->aggregate_count;
    for (int32_t k = 0; k < self->input_count; k++) {
        ps_program_destroy(self->input_programs[k]);
    }
    if (self->input_programs != NULL) {
        ps_free(mem, self->input_programs, room * sizeof(ps_program *));
    }
    if (self->inputs != NULL) {
        ps_free(mem, self->inputs, room * sizeof(ps_vector));
    }
    if (self->input_texts != NULL) {
        ps_free(mem, self->input_texts, room * PS_CANONICAL_TEXT);
    }
    if (self->aggregates != NULL) {
        ps_free(mem, self->aggregates, (size_t)self->aggregate_count * sizeof(ps_agg_arg));
    }
    ps_operator_fini(op);
    ps_free(mem, self, sizeof *self);
}

static const ps_operator_calls CALLS = {
    .name = "aggregate",
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .on_idle = on_idle,
    .on_barrier = on_barrier,
    .on_end = on_end,
    .resume = aggregate_resume,
    .freeze = aggregate_freeze,
    .copy = aggregate_copy,
    .state_schema = aggregate_state_schema,
    .restore = restore_state,
    .close = close_aggregate,
};

/* ---- creation ---- */

/* The input's number; an expression that an earlier input already is, is shared. */
static ps_status add_input(aggregate *self, const ps_expr *expr, int32_t root, int32_t *number,
                           ps_error *err)
{
    char *text = self->input_texts[self->input_count];
    ps_expr_canonical(expr, root, text);
    for (int32_t k = 0; k < self->input_count; k++) {
        if (strcmp(self->input_texts[k], text) == 0) {
            *number = k;
            return PS_OK;
        }
    }
    PS_TRY(ps_program_compile(self->op.mem, expr, root, self->op.input,
                              &self->input_programs[self->input_count], err));
    *number = self->input_count++;
    return PS_OK;
}

static ps_status make_arg(aggregate *self, const ps_expr *expr, const ps_agg_spec *spec,
                          ps_agg_arg *arg, ps_error *err)
{
    *arg = (ps_agg_arg){.function = spec->function,
                        .name = spec->name,
                        .input = -1,
                        .weight = -1,
                        .parameter = spec->parameter};
    if (spec->function == PS_AGG_COUNT) {
        return PS_OK;
    }
    if (spec->input < 0 || (spec->function == PS_AGG_WEIGHTED_MEAN && spec->weight < 0)) {
        return ps_fail(err, PS_INVALID, "aggregate '%s' needs a column", spec->name);
    }
    PS_TRY(add_input(self, expr, spec->input, &arg->input, err));
    const ps_program *program = self->input_programs[arg->input];
    arg->input_text = self->input_texts[arg->input];
    arg->input_type = *ps_program_type(program);
    arg->nullable = ps_program_nullable(program);
    if (spec->function == PS_AGG_WEIGHTED_MEAN) {
        PS_TRY(add_input(self, expr, spec->weight, &arg->weight, err));
        arg->weight_text = self->input_texts[arg->weight];
        arg->weight_type = *ps_program_type(self->input_programs[arg->weight]);
    }
    return PS_OK;
}

static ps_status make_layout(aggregate *self, const ps_aggregate_args *args, ps_error *err)
{
    ps_mem *mem = self->op.mem;
    const size_t count = (size_t)args->aggregate_count;
    const size_t bytes = count * (sizeof(ps_agg_arg) + 2 * PS_CANONICAL_TEXT);
    self->aggregate_count = args->aggregate_count;
    if (count > 0) {
        self->input_programs = ps_alloc_zeroed(mem, 2 * count * sizeof(ps_program *));
        self->inputs = ps_alloc_zeroed(mem, 2 * count * sizeof(ps_vector));
        self->input_texts = ps_alloc_zeroed(mem, 2 * count * PS_CANONICAL_TEXT);
        self->aggregates = ps_alloc_zeroed(mem, count * sizeof(ps_agg_arg));
        if (self->input_programs == NULL || self->inputs == NULL || self->input_texts == NULL ||
            self->aggregates == NULL) {
            return ps_mem_refused(mem, bytes, "an aggregate operator", err);
        }
    }
    for (int32_t i = 0; i < args->aggregate_count; i++) {
        PS_TRY(make_arg(self, args->expr, &args->aggregates[i], &self->aggregates[i], err));
    }
    return ps_agg_layout_create(mem, self->aggregates, args->aggregate_count, &self->layout, err);
}

void aggregate_open_state(aggregate *self)
{
    const bool tracks = self->store.tracks;
    self->counts_only = ps_agg_counts_only(self->layout);
    ps_slice_store_init(&self->store, self->op.mem, self->layout);
    self->store.tracks = tracks;
    ps_freeze_init(&self->frozen, &self->store);
    ps_panes_init(&self->panes, &self->store, self->windowed ? &self->edges : NULL);
}

void aggregate_close_state(aggregate *self)
{
    aggregate_merge_fini(self);
    if (self->layout != NULL) {
        ps_panes_fini(&self->panes);
        ps_freeze_fini(&self->frozen);
        ps_slice_store_fini(&self->store);
    }
    ps_agg_layout_destroy(self->layout);
    self->layout = NULL;
}

static ps_status make_keys(aggregate *self, const ps_aggregate_args *args, ps_error *err)
{
    ps_type types[KEYS_MAX];
    PS_CHECK(args->key_count <= KEYS_MAX); /* ps_aggregate_schema has said so in words */
    for (int32_t k = 0; k < args->key_count; k++) {
        PS_TRY(ps_program_compile(self->op.mem, args->expr, args->keys[k], self->op.input,
                                  &self->key_programs[k], err));
        self->key_count = k + 1;
        types[k] = *ps_program_type(self->key_programs[k]);
    }
    return args->key_count == 0
               ? PS_OK
               : ps_keymap_create(self->op.mem, types, args->key_count, &self->keys, err);
}

ps_status ps_aggregate_create(ps_mem *mem, ps_schema *input, ps_schema *output,
                              const ps_aggregate_args *args, ps_operator **out, ps_error *err)
{
    aggregate *self = ps_alloc_zeroed(mem, sizeof *self);
    if (self == NULL) {
        return ps_mem_refused(mem, sizeof *self, "an aggregate operator", err);
    }
    ps_operator_init(&self->op, &CALLS, mem, input, output);
    self->windowed = args->window.kind != PS_WINDOW_NONE;
    self->exact_late = args->source_count <= 1;
    self->time_column = args->event_time;
    self->time_shift = args->event_time_shift;
    self->watermark = PS_TIME_MIN;
    self->next_window = INT64_MIN;
    self->sweep_at = SWEEP_MIN;
    self->watches_keys = args->key_count > 0;
    ps_status status = PS_OK;
    if (self->windowed) {
        PS_TRY_GOTO(ps_edges_init(&self->edges, &args->window, err));
    }
    PS_TRY_GOTO(make_keys(self, args, err));
    PS_TRY_GOTO(make_layout(self, args, err));
    if (!self->windowed && !ps_agg_needs_time(self->layout)) {
        self->time_column = -1;
    }
    self->store.tracks = args->track_changes;
    aggregate_open_state(self);
    *out = &self->op;
    return PS_OK;
fail:
    close_aggregate(&self->op);
    return status;
}
