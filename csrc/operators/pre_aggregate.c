/* pre_aggregate.c -- see pre_aggregate.h. */
#include "operators/pre_aggregate.h"

#include "operators/aggregate_state.h"

/* Keys kept from batch to batch, so that those that come back need not be added again. */
#define KEYS_KEPT 8192

struct ps_pre_aggregate {
    ps_snapshot_sink sink; /* first: the inner aggregate sees it */
    ps_mem *mem;
    ps_operator *inner;
    /* of the reduce under way */
    ps_partials_taker take;
    void *context;
    int64_t partials;
};

static bool merges(ps_agg_function function, const ps_type *result)
{
    const ps_class kind = ps_type_class(result);
    switch (function) {
    case PS_AGG_COUNT:
    case PS_AGG_COUNT_VALID:
    case PS_AGG_ANY:
    case PS_AGG_ALL: return true;
    case PS_AGG_SUM: return kind != PS_CLASS_F64;
    case PS_AGG_MIN:
    case PS_AGG_MAX: return kind != PS_CLASS_STR;
    default: return false;
    }
}

int32_t ps_pre_aggregate_forbids(const ps_aggregate_args *args, const ps_schema *output)
{
    const int32_t first = output->field_count - args->aggregate_count;
    for (int32_t i = 0; i < args->aggregate_count; i++) {
        if (!merges(args->aggregates[i].function, &output->fields[first + i].type)) {
            return i;
        }
    }
    return -1;
}

static ps_status hand_on(ps_snapshot_sink *sink, const ps_operator *op, ps_batch *state,
                         ps_error *err)
{
    ps_pre_aggregate *const pre = (ps_pre_aggregate *)sink;
    (void)op;
    state->partial = true;
    pre->partials += state->length;
    return pre->take(pre->context, state, err);
}

ps_status ps_pre_aggregate_create(ps_mem *mem, ps_schema *input, ps_schema *output,
                                  const ps_aggregate_args *args, ps_pre_aggregate **out,
                                  ps_error *err)
{
    PS_CHECK(ps_pre_aggregate_forbids(args, output) < 0);
    ps_pre_aggregate *const pre = ps_alloc_zeroed(mem, sizeof *pre);
    if (pre == NULL) {
        return ps_mem_refused(mem, sizeof *pre, "a pre-aggregation", err);
    }
    pre->mem = mem;
    pre->sink.add = hand_on;
    ps_aggregate_args own = *args;
    own.track_changes = false;
    ps_status status = ps_aggregate_create(mem, input, output, &own, &pre->inner, err);
    if (status == PS_OK) {
        pre->inner->snapshot = &pre->sink;
        ((aggregate *)pre->inner)->watches_keys = false; /* the one behind the exchange does */
        status = aggregate_state_schema(pre->inner, &((aggregate *)pre->inner)->state_schema, err);
    }
    if (status != PS_OK) {
        ps_pre_aggregate_destroy(pre);
        return status;
    }
    *out = pre;
    return PS_OK;
}

void ps_pre_aggregate_destroy(ps_pre_aggregate *pre)
{
    if (pre == NULL) {
        return;
    }
    if (pre->inner != NULL) {
        pre->inner->calls->close(pre->inner);
    }
    ps_free(pre->mem, pre, sizeof *pre);
}

/* Forgets the rows, and the keys once they are many. */
static void forget(aggregate *self)
{
    ps_slice_retire(&self->store, INT64_MAX);
    if (self->keys != NULL && ps_keymap_live(self->keys) > KEYS_KEPT) {
        ps_keymap_clear(self->keys);
    }
}

static ps_status write_out(aggregate *self, ps_error *err)
{
    PS_TRY(ps_freeze_begin(&self->frozen, true, err));
    for (bool more = true; more;) {
        PS_TRY(aggregate_copy(&self->op, &more, err));
    }
    return PS_OK;
}

static ps_status reduce(ps_pre_aggregate *pre, ps_batch *batch, ps_selection *selection,
                        ps_error *err)
{
    aggregate *const self = (aggregate *)pre->inner;
    const ps_status status = pre->inner->calls->on_batch(pre->inner, batch, selection, err);
    if (status == PS_OK) {
        PS_TRY(write_out(self, err));
    }
    if (status == PS_OK || status == PS_OVERFLOW) {
        forget(self);
    }
    return status;
}

ps_status ps_pre_aggregate_reduce(ps_pre_aggregate *pre, ps_batch *batch, ps_selection *selection,
                                  ps_partials_taker take, void *context, int64_t *partials,
                                  ps_error *err)
{
    PS_ASSERT(batch->late_watermark == NULL);
    pre->take = take;
    pre->context = context;
    pre->partials = 0;
    const ps_status status = reduce(pre, batch, selection, err);
    *partials = pre->partials;
    return ps_error_place(err, status, PS_AGGREGATE_NAME);
}
