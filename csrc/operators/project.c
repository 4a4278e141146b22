/* project.c -- one program for each output column; fixed-width results of a batch share one block.
 *
 * State: none. Cost: a batch takes one allocation for its shell, one for all fixed-width columns,
 * and those of each string column.
 */
#include "operators/project.h"

#include <string.h>

#include "simd/kernels.h"

typedef struct project {
    ps_operator op; /* first: the chain sees this */
    int32_t count;
    ps_program *programs[];
} project;

static size_t project_bytes(int32_t count)
{
    return sizeof(project) + (size_t)count * sizeof(ps_program *);
}

/* The late watermarks of the rows that stay. */
static ps_status carry_late(const ps_batch *from, const ps_selection *selection, ps_batch *to,
                            ps_error *err)
{
    if (from->late_watermark == NULL) {
        return PS_OK;
    }
    if (selection == NULL) {
        to->late_watermark = from->late_watermark;
        to->late_owner = from->late_owner;
        ps_owner_retain(to->late_owner);
        return PS_OK;
    }
    const size_t size = (size_t)selection->count * sizeof(int64_t);
    ps_block *block = ps_block_create(to->mem, size);
    if (block == NULL) {
        return ps_mem_refused(to->mem, size, "late watermarks", err);
    }
    ps_simd_kernels()->gather[3](from->late_watermark, selection->rows, block->data,
                                 selection->count);
    to->late_watermark = (const int64_t *)(const void *)block->data;
    to->late_owner = &block->owner;
    return PS_OK;
}

static ps_status fill(project *p, const ps_batch *batch, const ps_selection *selection,
                      ps_block *block, ps_batch *to, ps_error *err)
{
    size_t offset = 0;
    for (int32_t k = 0; k < p->count; k++) {
        ps_column column;
        const size_t room = ps_program_room(p->programs[k], batch, selection);
        if (room > 0) {
            PS_TRY(
                ps_program_run_into(p->programs[k], batch, selection, block, offset, &column, err));
            offset += room;
        } else {
            PS_TRY(ps_program_run(p->programs[k], batch, selection, p->op.mem, &column, err));
        }
        ps_batch_set(to, k, &column);
        ps_owner_release(column.owner); /* the batch has its own */
    }
    ps_batch_carry_times(batch, to);
    return carry_late(batch, selection, to, err);
}

static ps_status on_batch(ps_operator *self, ps_batch *batch, ps_selection *selection,
                          ps_error *err)
{
    project *p = (project *)self;
    const int64_t rows = selection == NULL ? batch->length : selection->count;
    size_t room = 0;
    for (int32_t k = 0; k < p->count; k++) {
        room += ps_program_room(p->programs[k], batch, selection);
    }
    ps_block *block = ps_block_create(self->mem, room);
    if (block == NULL) {
        return ps_mem_refused(self->mem, room, "computed columns", err);
    }
    ps_batch *made = NULL;
    ps_status status = ps_batch_create(self->mem, self->output, rows, &made, err);
    if (status == PS_OK) {
        status = fill(p, batch, selection, block, made, err);
    }
    ps_owner_release(&block->owner); /* columns in it hold it */
    if (status == PS_OK) {
        status = ps_emit_batch(self, made, NULL, err);
    }
    ps_batch_release(made);
    return status;
}

static void close(ps_operator *self)
{
    project *p = (project *)self;
    ps_mem *mem = self->mem;
    for (int32_t k = 0; k < p->count; k++) {
        ps_program_destroy(p->programs[k]);
    }
    ps_operator_fini(self);
    ps_free(mem, p, project_bytes(p->count));
}

static const ps_operator_calls calls = {
    .name = "project",
    .on_batch = on_batch,
    .on_watermark = ps_emit_watermark,
    .on_barrier = ps_emit_barrier,
    .on_end = ps_emit_end,
    .close = close,
};

ps_status ps_project_create(ps_mem *mem, ps_schema *input, ps_schema *output,
                            ps_program *const *programs_taken, ps_operator **out, ps_error *err)
{
    const int32_t count = output->field_count;
    for (int32_t k = 0; k < count; k++) {
        const ps_type *type = ps_program_type(programs_taken[k]);
        if (!ps_type_equal(type, &output->fields[k].type)) {
            char found[64], wanted[64];
            ps_type_describe(type, found, sizeof found);
            ps_type_describe(&output->fields[k].type, wanted, sizeof wanted);
            return ps_fail(err, PS_TYPE, "column '%s' is computed as %s, the schema says %s",
                           output->fields[k].name, found, wanted);
        }
    }
    project *p = ps_alloc_zeroed(mem, project_bytes(count));
    if (p == NULL) {
        return ps_mem_refused(mem, project_bytes(count), "a projection", err);
    }
    ps_operator_init(&p->op, &calls, mem, input, output);
    p->count = count;
    if (count > 0) {
        memcpy(p->programs, programs_taken, (size_t)count * sizeof(ps_program *));
    }
    *out = &p->op;
    return PS_OK;
}
