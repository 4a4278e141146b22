/* filter.c -- a predicate's rows travel on as a selection of the same batch; state: none. */
#include "operators/filter.h"

typedef struct filter {
    ps_operator op; /* first: the chain sees this */
    ps_program *predicate;
} filter;

static ps_status on_batch(ps_operator *self, ps_batch *batch, ps_selection *selection,
                          ps_error *err)
{
    filter *f = (filter *)self;
    ps_selection *passed;
    bool all;
    PS_TRY(ps_program_filter(f->predicate, batch, selection, self->mem, &passed, &all, err));
    ps_status status = PS_OK;
    if (all) {
        status = ps_emit_batch(self, batch, selection, err);
    } else if (passed->count > 0) {
        status = ps_emit_batch(self, batch, passed, err);
    }
    ps_selection_release(passed);
    return status;
}

static void close(ps_operator *self)
{
    filter *f = (filter *)self;
    ps_mem *mem = self->mem;
    ps_program_destroy(f->predicate);
    ps_operator_fini(self);
    ps_free(mem, f, sizeof *f);
}

static const ps_operator_calls calls = {
    .name = "filter",
    .on_batch = on_batch,
    .on_watermark = ps_emit_watermark,
    .on_barrier = ps_emit_barrier,
    .on_end = ps_emit_end,
    .close = close,
};

ps_status ps_filter_create(ps_mem *mem, ps_schema *schema, ps_program *predicate_taken,
                           ps_operator **out, ps_error *err)
{
    const ps_type *type = ps_program_type(predicate_taken);
    if (ps_type_class(type) != PS_CLASS_BOOL || type->index != 0) {
        char text[64];
        ps_type_describe(type, text, sizeof text);
        return ps_fail(err, PS_TYPE, "a filter's predicate must be bool, not %s", text);
    }
    filter *f = ps_alloc_zeroed(mem, sizeof *f);
    if (f == NULL) {
        return ps_mem_refused(mem, sizeof *f, "a filter", err);
    }
    ps_operator_init(&f->op, &calls, mem, schema, schema);
    f->predicate = predicate_taken;
    *out = &f->op;
    return PS_OK;
}
