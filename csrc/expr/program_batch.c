/* program_batch.c -- a program over all rows of a batch or those selected: a column of results, or
 * the rows that pass.
 */
#include <string.h>

#include "expr/program_inside.h"

static int64_t rows_of(const ps_batch *batch, const ps_selection *selection)
{
    return selection == NULL ? batch->length : selection->count;
}

/* The row numbers of the chunk that starts at that position; NULL: all rows. */
static const uint32_t *rows_at(const ps_selection *selection, int64_t at)
{
    return selection == NULL ? NULL : selection->rows + at;
}

static bool is_gatherable(const ps_column *column)
{
    const int32_t width = column->type.width;
    return column->type.index == 0 && (column->validity == NULL || column->null_count == 0) &&
           column->type.id != PS_TYPE_BOOL && column->type.id != PS_TYPE_OPAQUE &&
           column->type.id != PS_TYPE_NULL && !ps_type_is_var((ps_type_id)column->type.id) &&
           (width == 1 || width == 2 || width == 4 || width == 8);
}

static size_t values_bytes(const ps_type *type, int64_t rows)
{
    return ps_align_up(
        type->id == PS_TYPE_BOOL ? (size_t)(rows + 7) / 8 : (size_t)rows * (size_t)type->width, 64);
}

static size_t bits_bytes(int64_t rows)
{
    return ps_align_up((size_t)(rows + 7) / 8, 64);
}

static bool is_fixed_result(const ps_program *program)
{
    const ps_class kind = program->code->kind;
    return program->code->column < 0 && kind != PS_CLASS_NONE && kind != PS_CLASS_STR;
}

size_t ps_program_room(const ps_program *program, const ps_batch *batch,
                       const ps_selection *selection)
{
    const int64_t rows = rows_of(batch, selection);
    if (is_fixed_result(program)) {
        return values_bytes(&program->code->type, rows) + bits_bytes(rows);
    }
    if (program->code->column >= 0 && selection != NULL) {
        const ps_column *column = &batch->columns[program->code->column];
        return is_gatherable(column) ? values_bytes(&column->type, rows) : 0;
    }
    return 0;
}

/* Writes n canonical values as a column of that type has them, from row `at` on. */
static void store_values(const ps_kernels *k, const ps_type *type, const ps_vector *v, uint8_t *to,
                         int64_t at, int64_t n)
{
    if (type->id == PS_TYPE_BOOL) {
        k->pack_bits(v->values, to + at / 8, n);
        return;
    }
    uint8_t *place = to + at * type->width;
    if (type->id == PS_TYPE_FLOAT32) {
        k->narrow_f32(v->values, (float *)(void *)place, n);
    } else if (type->width == 8) {
        if (v->values != place) {
            memcpy(place, v->values, (size_t)n * 8);
        }
    } else {
        k->narrow[type->width == 1 ? 0 : type->width == 2 ? 1 : 2](v->values, place, n);
    }
}

/* Validity as a bitmap, begun at the first chunk with a null. */
typedef struct bitmap_writer {
    uint8_t *bits;
    int64_t null_count;
    bool begun;
} bitmap_writer;

static void store_valid(const ps_kernels *k, bitmap_writer *w, const uint8_t *valid, int64_t at,
                        int64_t n)
{
    if (valid == NULL) {
        if (w->begun) {
            memset(w->bits + at / 8, 0xff, (size_t)(n + 7) / 8);
        }
        return;
    }
    if (!w->begun) {
        memset(w->bits, 0xff, (size_t)at / 8);
        w->begun = true;
    }
    w->null_count += n - k->pack_bits(valid, w->bits + at / 8, n);
}

static ps_status run_fixed(ps_program *program, const ps_batch *batch,
                           const ps_selection *selection, uint8_t *values, ps_column *out,
                           ps_error *err)
{
    const ps_kernels *k = ps_simd_kernels();
    const ps_type *type = &program->code->type;
    const int64_t rows = rows_of(batch, selection);
    const bool direct = type->width == 8 && type->id != PS_TYPE_BOOL;
    bitmap_writer bitmap = {.bits = values + values_bytes(type, rows)};
    for (int64_t at = 0; at < rows; at += PS_CHUNK_ROWS) {
        const int64_t n = ps_min_i64(rows - at, PS_CHUNK_ROWS);
        ps_vector v;
        PS_TRY(ps_program_eval_rows(program, batch, rows_at(selection, at), at, n,
                                    direct ? values + at * 8 : NULL, &v, err));
        store_values(k, type, &v, values, at, n);
        store_valid(k, &bitmap, v.valid, at, n);
    }
    *out = (ps_column){.type = *type,
                       .length = rows,
                       .null_count = bitmap.null_count,
                       .validity = bitmap.null_count == 0 ? NULL : bitmap.bits,
                       .values = values};
    return PS_OK;
}

static void gather_column(const ps_column *column, const ps_selection *selection, uint8_t *values,
                          ps_column *out)
{
    const int32_t width = column->type.width;
    const int log2 = width == 1 ? 0 : width == 2 ? 1 : width == 4 ? 2 : 3;
    ps_simd_kernels()->gather[log2](column->values, selection->rows, values, selection->count);
    *out = (ps_column){.type = column->type, .length = selection->count, .values = values};
}

ps_status ps_program_run_into(ps_program *program, const ps_batch *batch,
                              const ps_selection *selection, ps_block *block, size_t offset,
                              ps_column *out, ps_error *err)
{
    const size_t room = ps_program_room(program, batch, selection);
    if (room == 0) {
        return ps_program_run(program, batch, selection, block->mem, out, err);
    }
    PS_ASSERT(offset + room <= block->size_bytes);
    uint8_t *values = block->data + offset;
    if (program->code->column >= 0) {
        gather_column(&batch->columns[program->code->column], selection, values, out);
    } else {
        ps_program_begin_batch(program);
        PS_TRY(run_fixed(program, batch, selection, values, out, err));
    }
    out->owner = &block->owner;
    ps_owner_retain(out->owner);
    return PS_OK;
}

static ps_status run_strings(ps_program *program, const ps_batch *batch,
                             const ps_selection *selection, ps_mem *mem, ps_column *out,
                             ps_error *err)
{
    const int64_t rows = rows_of(batch, selection);
    ps_writer *writer;
    PS_TRY(ps_writer_create(mem, &program->code->type, rows, &writer, err));
    ps_status status = PS_OK;
    for (int64_t at = 0; at < rows && status == PS_OK; at += PS_CHUNK_ROWS) {
        const int64_t n = ps_min_i64(rows - at, PS_CHUNK_ROWS);
        ps_vector v;
        status = ps_program_eval_rows(program, batch, rows_at(selection, at), at, n, NULL, &v, err);
        if (status == PS_OK) {
            status = ps_writer_append(writer, &v, n, err);
        }
    }
    if (status == PS_OK) {
        status = ps_writer_finish(writer, out, err);
    }
    if (status != PS_OK) {
        ps_writer_destroy(writer);
    }
    return status;
}

ps_status ps_program_run(ps_program *program, const ps_batch *batch, const ps_selection *selection,
                         ps_mem *mem, ps_column *out, ps_error *err)
{
    const int32_t index = program->code->column;
    const int64_t rows = rows_of(batch, selection);
    if (index >= 0 && selection != NULL) {
        return ps_column_take(mem, &batch->columns[index], selection->rows, rows, out, err);
    }
    if (index >= 0) {
        *out = batch->columns[index];
        ps_owner_retain(out->owner);
        return PS_OK;
    }
    ps_program_begin_batch(program);
    if (program->code->kind == PS_CLASS_STR) {
        return run_strings(program, batch, selection, mem, out, err);
    }
    const bool fixed = is_fixed_result(program); /* else the untyped null */
    const size_t size = fixed ? ps_program_room(program, batch, selection) : 0;
    ps_block *block = ps_block_create(mem, size);
    if (block == NULL) {
        return ps_mem_refused(mem, size, "a computed column", err);
    }
    *out = (ps_column){.type = program->code->type, .length = rows, .null_count = rows};
    const ps_status status =
        fixed ? run_fixed(program, batch, selection, block->data, out, err) : PS_OK;
    if (status != PS_OK) {
        ps_owner_release(&block->owner);
        return status;
    }
    out->owner = &block->owner;
    return PS_OK;
}

/* ---- filters ---- */

ps_status ps_program_filter(ps_program *program, const ps_batch *batch,
                            const ps_selection *selection, ps_mem *mem, ps_selection **out,
                            bool *all, ps_error *err)
{
    const ps_kernels *k = ps_simd_kernels();
    const int64_t rows = rows_of(batch, selection);
    if (program->code->kind != PS_CLASS_BOOL) {
        char text[64];
        ps_type_describe(&program->code->type, text, sizeof text);
        return ps_fail(err, PS_TYPE, "a predicate must be bool, not %s", text);
    }
    ps_selection *passed;
    PS_TRY(ps_selection_create(mem, rows + PS_SELECT_SLACK, &passed, err));
    ps_program_begin_batch(program);
    int64_t count = 0;
    for (int64_t at = 0; at < rows; at += PS_CHUNK_ROWS) {
        const int64_t n = ps_min_i64(rows - at, PS_CHUNK_ROWS);
        ps_vector v;
        const ps_status status =
            ps_program_eval_rows(program, batch, rows_at(selection, at), at, n, NULL, &v, err);
        if (status != PS_OK) {
            ps_selection_release(passed);
            return status;
        }
        const uint8_t *mask = v.values;
        uint8_t both[PS_CHUNK_ROWS];
        if (v.valid != NULL) {
            k->mask_and(mask, v.valid, both, n);
            mask = both;
        }
        count += selection == NULL
                     ? k->select_rows(mask, (uint32_t)at, passed->rows + count, n)
                     : k->select_from(mask, rows_at(selection, at), passed->rows + count, n);
    }
    passed->count = count;
    *all = count == rows;
    *out = passed;
    if (*all && selection == NULL) {
        ps_selection_release(passed);
        *out = NULL;
    }
    return PS_OK;
}
