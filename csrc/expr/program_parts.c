/* program_parts.c -- a part of a program that depends on one dictionary alone: its results for the
 * values are a table, in which rows are looked up.
 *
 * Where a table would not pay, or cannot be had, each row is computed.
 */
#include <string.h>

#include "expr/program_inside.h"

void ps_part_free_table(ps_mem *mem, part_state *part, ps_class kind)
{
    ps_free(mem, part->values, (size_t)part->capacity * ps_class_width(kind));
    ps_free(mem, part->valid, (size_t)part->capacity);
    part->values = NULL;
    part->valid = NULL;
    part->capacity = 0;
}

/* A table pays while the dictionary is not much longer than the rows that use it. */
static bool table_pays(const ps_column *dictionary, const ps_batch *batch)
{
    return dictionary->length <= 2 * batch->length + PS_CHUNK_ROWS;
}

static ps_status fill_table(part_state *part, const ps_column *dictionary, ps_class kind)
{
    const size_t width = ps_class_width(kind);
    const int64_t length = dictionary->length;
    for (int64_t start = 0; start <= length; start += PS_CHUNK_ROWS) {
        const int64_t n = ps_min_i64(length - start, PS_CHUNK_ROWS);
        ps_vector v;
        const ps_source source = {.dictionary = dictionary, .start = start};
        if (n == 0) {
            break;
        }
        PS_TRY(ps_program_eval_source(part->program, &source, n, NULL, &v, NULL));
        memcpy(part->values + (size_t)start * width, v.values, (size_t)n * width);
        if (v.valid == NULL) {
            memset(part->valid + start, 1, (size_t)n);
        } else {
            memcpy(part->valid + start, v.valid, (size_t)n);
        }
    }
    ps_vector v;
    const ps_source null_row = {.dictionary = dictionary, .one_null = true};
    PS_TRY(ps_program_eval_source(part->program, &null_row, 1, NULL, &v, NULL));
    memcpy(part->values + (size_t)length * width, v.values, width);
    part->valid[length] = v.valid == NULL ? 1 : v.valid[0];
    part->values_valid = memchr(part->valid, 0, (size_t)length) == NULL;
    return PS_OK;
}

/* Without memory for a table, or with a value on which the part fails (it may be one that no row
 * uses), rows are computed one by one instead. */
static void prepare_part(ps_program *program, part_state *part, const ps_column *dictionary,
                         const ps_batch *batch, ps_class kind)
{
    part->dictionary = dictionary;
    part->mode = PART_DIRECT;
    ps_arena_reset(&part->program->arena);
    if (!table_pays(dictionary, batch)) {
        return;
    }
    const int64_t wanted = dictionary->length + 1;
    if (wanted > part->capacity) {
        ps_part_free_table(program->mem, part, kind);
        part->values = ps_alloc(program->mem, (size_t)wanted * ps_class_width(kind));
        part->valid = ps_alloc(program->mem, (size_t)wanted);
        part->capacity = wanted;
        if (part->values == NULL || part->valid == NULL) {
            ps_part_free_table(program->mem, part, kind);
            return;
        }
    }
    if (fill_table(part, dictionary, kind) == PS_OK) {
        part->mode = PART_TABLE;
    }
}

/* An index that no value has counts as null; negative ones are large as unsigned. */
#define INDICES(type)                                                                              \
    do {                                                                                           \
        const type *from = (const type *)column->values + (rows == NULL ? source->start : 0);      \
        if (rows == NULL) {                                                                        \
            for (int64_t i = 0; i < n; i++) {                                                      \
                out[i] = from[i] < length ? (uint32_t)from[i] : (uint32_t)length;                  \
            }                                                                                      \
        } else {                                                                                   \
            for (int64_t i = 0; i < n; i++) {                                                      \
                out[i] = from[rows[i]] < length ? (uint32_t)from[rows[i]] : (uint32_t)length;      \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* The dictionary index of each row of the chunk; the dictionary's length stands for null. */
static void load_indices(const ps_kernels *k, const ps_column *column, const ps_source *source,
                         int64_t n, uint32_t *out)
{
    const uint32_t *rows = source->rows;
    const uint64_t length = (uint64_t)column->dictionary->length;
    switch ((ps_type_id)column->type.index) {
    case PS_TYPE_INT8:
    case PS_TYPE_UINT8: INDICES(uint8_t); break;
    case PS_TYPE_INT16:
    case PS_TYPE_UINT16: INDICES(uint16_t); break;
    case PS_TYPE_INT32:
    case PS_TYPE_UINT32: INDICES(uint32_t); break;
    default: INDICES(uint64_t); break;
    }
    if (column->validity == NULL || column->null_count == 0) {
        return;
    }
    if (rows != NULL) {
        for (int64_t i = 0; i < n; i++) {
            out[i] = ps_column_is_valid(column, rows[i]) ? out[i] : (uint32_t)length;
        }
        return;
    }
    uint8_t valid[PS_CHUNK_ROWS];
    k->unpack_bits(column->validity, column->validity_bit + source->start, valid, n);
    for (int64_t i = 0; i < n; i++) {
        out[i] = valid[i] ? out[i] : (uint32_t)length;
    }
}

static void copy_value(void *to, int64_t i, const void *from, int64_t j, size_t width)
{
    memcpy((char *)to + (size_t)i * width, (const char *)from + (size_t)j * width, width);
}

static void look_up(ps_call *call, const part_state *part, const ps_column *column,
                    const uint32_t *indices, size_t width)
{
    if (width == 1) {
        call->kernels->gather[0](part->values, indices, call->values, call->n);
    } else if (width == 8) {
        call->kernels->gather[3](part->values, indices, call->values, call->n);
    } else {
        for (int64_t i = 0; i < call->n; i++) {
            copy_value(call->values, i, part->values, indices[i], 16);
        }
    }
    call->out.values = call->values;
    call->out.valid = NULL;
    const bool no_nulls = column->validity == NULL || column->null_count == 0;
    if (!part->values_valid || !no_nulls) {
        call->kernels->gather[0](part->valid, indices, call->valid, call->n);
        call->out.valid = call->valid;
    }
}

/* Null rows are computed as some row that is not null and then replaced, so that no value is
 * computed that no row has. */
static ps_status run_direct(ps_call *call, part_state *part, uint32_t *indices, size_t width,
                            ps_error *err)
{
    const uint32_t null_index = (uint32_t)part->dictionary->length;
    ps_arena_reset(&part->program->arena);
    ps_vector v;
    const ps_source null_row = {.dictionary = part->dictionary, .one_null = true};
    PS_TRY(ps_program_eval_source(part->program, &null_row, 1, NULL, &v, err));
    uint8_t null_value[sizeof(ps_string)];
    memcpy(null_value, v.values, width);
    const uint8_t null_valid = v.valid == NULL ? 1 : v.valid[0];
    uint8_t is_null[PS_CHUNK_ROWS];
    int64_t some = -1;
    for (int64_t i = 0; i < call->n; i++) {
        is_null[i] = indices[i] == null_index;
        some = is_null[i] ? some : i;
    }
    for (int64_t i = 0; some >= 0 && i < call->n; i++) {
        indices[i] = is_null[i] ? indices[some] : indices[i];
    }
    if (some >= 0) {
        const ps_source source = {.dictionary = part->dictionary, .rows = indices};
        PS_TRY(ps_program_eval_source(part->program, &source, call->n, NULL, &v, err));
    }
    for (int64_t i = 0; i < call->n; i++) {
        if (is_null[i]) {
            copy_value(call->values, i, null_value, 0, width);
            call->valid[i] = null_valid;
        } else {
            copy_value(call->values, i, v.values, i, width);
            call->valid[i] = v.valid == NULL ? 1 : v.valid[i];
        }
    }
    call->out.values = call->values;
    call->out.valid = call->valid;
    return PS_OK;
}

static ps_status run_dictionary(ps_call *call, ps_error *err)
{
    ps_program *program = call->program;
    part_state *part = &program->parts[call->i];
    const ps_dictionary_part *what = &program->code->parts[call->i];
    const ps_column *column = &call->source->batch->columns[what->column];
    const ps_class kind = what->code->kind;
    if (part->mode == PART_UNKNOWN || part->dictionary != column->dictionary) {
        prepare_part(program, part, column->dictionary, call->source->batch, kind);
    }
    uint32_t indices[PS_CHUNK_ROWS];
    load_indices(call->kernels, column, call->source, call->n, indices);
    if (part->mode == PART_DIRECT) {
        return run_direct(call, part, indices, ps_class_width(kind), err);
    }
    look_up(call, part, column, indices, ps_class_width(kind));
    return PS_OK;
}

const ps_op ps_op_dictionary = {run_dictionary, 0, PS_CLASS_NONE};
