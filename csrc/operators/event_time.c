/* event_time.c -- reads the event-time column, keeps the watermark, marks rows that are behind
 * it. */
#include "operators/event_time.h"

#include <stdio.h>

#include "arrow/vector.h"
#include "operators/snapshot_row.h"
#include "window/edges.h"
#include "window/watermark.h"

enum { STATE_COLUMNS = 3 };
static const char *const STATE_NAMES[STATE_COLUMNS] = {"largest_event_time", "ahead_low",
                                                       "ahead_count"};

typedef struct event_time {
    ps_operator op;
    ps_event_time_args args;
    ps_watermark mark;
    int64_t emitted; /* last watermark passed on */
} event_time;

/* How many rows of the batch, which the counters have already, come before its first null. */
static int64_t rows_before_null(const ps_column *column, const ps_selection *selection,
                                int64_t count)
{
    int64_t i = 0;
    while (i < count &&
           ps_column_is_valid(column, selection == NULL ? i : (int64_t)selection->rows[i])) {
        i++;
    }
    return i;
}

/* "'orders', 'returns' together" */
static void name_sources(const ps_event_time_args *args, char *text, size_t size)
{
    if (args->source_count == 0) {
        snprintf(text, size, "its input");
        return;
    }
    size_t used = 0;
    for (int32_t i = 0; i < args->source_count && i < PS_EVENT_TIME_SOURCES && used < size; i++) {
        const char *const between = i == 0 ? "" : ", ";
        used += (size_t)snprintf(&text[used], size - used, "%s'%s'", between, args->sources[i]);
    }
    if (args->source_count > 1 && used < size) {
        const bool more = args->source_count > PS_EVENT_TIME_SOURCES;
        snprintf(&text[used], size - used, "%s together", more ? ", ..." : "");
    }
}

static ps_status null_time(const event_time *self, const ps_batch *batch,
                           const ps_selection *selection, ps_error *err)
{
    const ps_event_time_args *const args = &self->args;
    const int64_t count = selection == NULL ? batch->length : selection->count;
    const int64_t before = ps_stat_get(&self->op.stats.rows_in) - count +
                           rows_before_null(&batch->columns[args->column], selection, count);
    const char *const name = self->op.input->fields[args->column].name;
    char sources[160];
    name_sources(args, sources, sizeof(sources));
    return ps_fail(err, PS_INVALID,
                   "event-time column '%s' has a null: row %lld of what %s %s%s (from 0, since "
                   "this run began). Filter such rows out before with_event_time, "
                   ".filter(col(\"%s\").is_not_null()), or fill them",
                   name, (long long)before, sources, args->source_count > 1 ? "give" : "gives",
                   args->filtered ? " and filters let through" : "", name);
}

static ps_status time_out_of_range(const event_time *self, int64_t time, ps_error *err)
{
    return ps_fail(err, PS_INVALID, "event-time column '%s' holds %lld, which is out of range",
                   self->op.input->fields[self->args.column].name, (long long)time);
}

/* One array of the watermark before each row of the physical batch; rows outside the selection get
 * none. */
static ps_status trace_rows(event_time *self, const ps_selection *selection, ps_watermark mark,
                            ps_batch *batch, ps_error *err)
{
    const size_t bytes = (size_t)batch->length * sizeof(int64_t);
    ps_block *block = ps_block_create(self->op.mem, bytes);
    if (block == NULL) {
        return ps_mem_refused(self->op.mem, bytes, "watermarks of late rows", err);
    }
    int64_t *before = (int64_t *)(void *)block->data;
    const int64_t *times = batch->columns[self->args.column].values;
    if (selection == NULL) {
        ps_watermark_trace(&mark, times, batch->length, before);
    } else {
        for (int64_t i = 0; i < batch->length; i++) {
            before[i] = PS_TIME_MIN;
        }
        for (int64_t i = 0; i < selection->count; i++) {
            const uint32_t row = selection->rows[i];
            ps_watermark_trace(&mark, &times[row], 1, &before[row]);
        }
    }
    batch->late_watermark = before;
    batch->late_owner = &block->owner;
    return PS_OK;
}

typedef struct scan {
    bool in_order; /* no row is behind */
    int64_t low, high;
} scan;

/* Takes the batch's times into the mark. */
static ps_status scan_batch(event_time *self, const ps_batch *batch, const ps_selection *selection,
                            scan *out, ps_error *err)
{
    const ps_column *column = &batch->columns[self->args.column];
    const int64_t count = selection == NULL ? batch->length : selection->count;
    *out = (scan){.in_order = true, .low = INT64_MAX, .high = INT64_MIN};
    if (selection == NULL && ps_column_count_nulls(column) > 0) {
        return null_time(self, batch, selection, err);
    }
    ps_vector_scratch scratch;
    for (int64_t start = 0; start < count; start += PS_CHUNK_ROWS) {
        const int64_t rows = ps_min_i64(PS_CHUNK_ROWS, count - start);
        ps_vector times;
        ps_vector_load(column, selection == NULL ? NULL : &selection->rows[start],
                       selection == NULL ? start : 0, rows, &scratch, &times);
        if (times.valid != NULL) {
            return null_time(self, batch, selection, err);
        }
        int64_t low, high;
        out->in_order &= ps_watermark_scan(&self->mark, times.values, rows, &low, &high);
        out->low = ps_min_i64(out->low, low);
        out->high = ps_max_i64(out->high, high);
    }
    if (count > 0 && out->low < -PS_TIME_LIMIT) {
        return time_out_of_range(self, out->low, err);
    }
    if (count > 0 && out->high > PS_TIME_LIMIT) {
        return time_out_of_range(self, out->high, err);
    }
    return PS_OK;
}

static ps_status on_batch(ps_operator *op, ps_batch *batch, ps_selection *selection, ps_error *err)
{
    event_time *self = (event_time *)op;
    const ps_watermark before = self->mark;
    scan found;
    PS_TRY(scan_batch(self, batch, selection, &found, err));
    ps_stat_add(&op->stats.future_rows, self->mark.future_rows - before.future_rows);
    ps_batch *timed = NULL;
    PS_TRY(ps_batch_slice(batch, 0, batch->length, &timed, err));
    timed->has_times = true;
    timed->time_low = found.low;
    timed->time_high = found.high;
    /* What an event time declared before this one knew is no longer meant. */
    ps_owner_release(timed->late_owner);
    timed->late_owner = NULL;
    timed->late_watermark = NULL;
    ps_status status = found.in_order ? PS_OK : trace_rows(self, selection, before, timed, err);
    if (status == PS_OK) {
        status = ps_emit_batch(op, timed, selection, err);
    }
    ps_batch_release(timed);
    PS_TRY(status);
    const int64_t watermark = ps_watermark_value(&self->mark);
    if (watermark > self->emitted) {
        self->emitted = watermark;
        return ps_emit_watermark(op, watermark, err);
    }
    return PS_OK;
}

static ps_status on_watermark(ps_operator *op, int64_t watermark, ps_error *err)
{
    event_time *self = (event_time *)op;
    if (watermark != PS_TIME_MAX) {
        return PS_OK; /* this operator makes its own */
    }
    self->emitted = watermark;
    return ps_emit_watermark(op, watermark, err);
}

static ps_status freeze(ps_operator *op, bool all, ps_error *err)
{
    (void)all;
    const ps_watermark *const mark = &((const event_time *)op)->mark;
    const int64_t values[STATE_COLUMNS] = {mark->largest, mark->ahead_low, mark->ahead_count};
    return ps_snapshot_add_row(op, STATE_NAMES, values, STATE_COLUMNS, err);
}

static ps_status state_schema(ps_operator *op, ps_schema **out, ps_error *err)
{
    return ps_snapshot_row_schema(op, STATE_NAMES, STATE_COLUMNS, out, err);
}

static bool is_state(const ps_batch *state)
{
    bool same = state->column_count == STATE_COLUMNS;
    for (int32_t i = 0; same && i < STATE_COLUMNS; i++) {
        same = state->columns[i].type.id == PS_TYPE_INT64;
    }
    return same;
}

static ps_status on_end(ps_operator *op, ps_error *err)
{
    return ps_emit_end(op, err);
}

static ps_status restore(ps_operator *op, ps_batch *state, ps_error *err)
{
    event_time *self = (event_time *)op;
    if (!is_state(state)) {
        return ps_fail(err, PS_CORRUPT, "not the state of an event time");
    }
    for (int64_t i = 0; i < state->length; i++) {
        const int64_t largest = ((const int64_t *)state->columns[0].values)[i];
        const int64_t count = ((const int64_t *)state->columns[2].values)[i];
        self->mark.largest = ps_max_i64(self->mark.largest, largest);
        if (count > self->mark.ahead_count) {
            self->mark.ahead_low = ((const int64_t *)state->columns[1].values)[i];
            self->mark.ahead_count = count;
        }
    }
    return PS_OK;
}

static void close_event_time(ps_operator *op)
{
    ps_mem *mem = op->mem;
    ps_operator_fini(op);
    ps_free(mem, op, sizeof(event_time));
}

static const ps_operator_calls CALLS = {
    .name = "event_time",
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .on_barrier = ps_emit_barrier,
    .on_end = on_end,
    .freeze = freeze,
    .state_schema = state_schema,
    .restore = restore,
    .close = close_event_time,
};

ps_status ps_event_time_create(ps_mem *mem, ps_schema *schema, const ps_event_time_args *args,
                               ps_operator **out, ps_error *err)
{
    const int32_t column = args->column;
    PS_CHECK(column >= 0 && column < schema->field_count);
    const ps_field *field = &schema->fields[column];
    if (field->type.id != PS_TYPE_TIMESTAMP || field->type.index != 0) {
        char text[96];
        ps_type_describe(&field->type, text, sizeof text);
        return ps_fail(err, PS_TYPE, "event-time column '%s' must be a timestamp, not %s",
                       field->name, text);
    }
    if (args->out_of_orderness < 0 || args->out_of_orderness > PS_TIME_LIMIT / 2) {
        return ps_fail(err, PS_INVALID, "out_of_orderness must be positive or zero, not %lld",
                       (long long)args->out_of_orderness);
    }
    event_time *self = ps_alloc_zeroed(mem, sizeof *self);
    if (self == NULL) {
        return ps_mem_refused(mem, sizeof *self, "an event-time operator", err);
    }
    ps_operator_init(&self->op, &CALLS, mem, schema, schema);
    self->args = *args;
    self->mark = (ps_watermark){
        .largest = PS_TIME_MIN, .bound = args->out_of_orderness, .max_future = args->max_future};
    self->emitted = PS_TIME_MIN;
    *out = &self->op;
    return PS_OK;
}
