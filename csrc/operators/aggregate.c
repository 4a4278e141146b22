/* aggregate.c -- the operator: how it is made of its arguments, and what each message means to it.
 * aggregate_input.c takes rows in, aggregate_rows.c finds their accumulators, aggregate_emit.c lets
 * results out, aggregate_sweep.c forgets dead keys.
 */
#include "operators/aggregate.h"

#include <string.h>

#include "operators/aggregate_state.h"

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

static ps_status on_batch(ps_operator *op, ps_batch *batch, ps_selection *selection, ps_error *err)
{
    aggregate *self = (aggregate *)op;
    PS_TRY(aggregate_finish_pending(self, err));
    const ps_status status = batch->partial ? aggregate_merge(self, batch, selection, err)
                                            : aggregate_add(self, batch, selection, err);
    update_stats(self); /* after a failure as well: who asks why the budget is used up reads them */
    return status;
}

static ps_status on_watermark(ps_operator *op, int64_t watermark, ps_error *err)
{
    aggregate *self = (aggregate *)op;
    PS_TRY(aggregate_finish_pending(self, err));
    if (self->keys != NULL) {
        aggregate_sweep(self);
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
    .name = PS_AGGREGATE_NAME,
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
    self->sweep_at = AGGREGATE_SWEEP_MIN;
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
