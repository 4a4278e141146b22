/* program.c -- runs compiled programs over chunks, batches and selections.
 *
 * Memory of a program: one room (a vector's scratch) for each result that is alive at once, one
 * slot for each value, an arena for strings made in the current chunk, and a table for each part
 * that depends on one dictionary. Cost: a call per operation and chunk of PS_CHUNK_ROWS rows.
 */
#include "expr/program.h"

#include <string.h>

#include "expr/code.h"

typedef enum part_mode {
    PART_UNKNOWN = 0, /* nothing prepared for this batch */
    PART_TABLE,       /* one result a dictionary value, and one for null */
    PART_DIRECT, /* a dictionary too large for its rows, or with values that fail: row by row */
} part_mode;

typedef struct part_state {
    ps_program *program; /* of its own, over the values of the dictionary */
    part_mode mode;
    const ps_column *dictionary; /* for which mode was decided */
    uint8_t *values;
    uint8_t *valid;
    bool values_valid; /* every entry but that of null */
    int64_t capacity;  /* of values and valid */
} part_state;

struct ps_program {
    ps_mem *mem;
    ps_code *code;
    bool is_part; /* its code is not counted: the outer program keeps it */
    ps_vector *slots;
    ps_vector_scratch *rooms;
    ps_arena arena;
    part_state *parts;
};

/* ---- life ---- */

static size_t slots_bytes(const ps_code *code)
{
    return (size_t)code->slot_count * sizeof(ps_vector);
}

static size_t rooms_bytes(const ps_code *code)
{
    return (size_t)code->room_count * sizeof(ps_vector_scratch);
}

static size_t parts_bytes(const ps_code *code)
{
    return (size_t)code->part_count * sizeof(part_state);
}

static void free_table(ps_mem *mem, part_state *part, ps_class kind)
{
    ps_free(mem, part->values, (size_t)part->capacity * ps_class_width(kind));
    ps_free(mem, part->valid, (size_t)part->capacity);
    part->values = NULL;
    part->valid = NULL;
    part->capacity = 0;
}

void ps_program_destroy(ps_program *program)
{
    if (program == NULL) {
        return;
    }
    ps_mem *mem = program->mem;
    ps_code *code = program->code;
    for (int32_t k = 0; program->parts != NULL && k < code->part_count; k++) {
        free_table(mem, &program->parts[k], code->parts[k].code->kind);
        ps_program_destroy(program->parts[k].program);
    }
    ps_free(mem, program->parts, parts_bytes(code));
    ps_free(mem, program->slots, slots_bytes(code));
    ps_free(mem, program->rooms, rooms_bytes(code));
    ps_arena_fini(&program->arena);
    const bool counted = !program->is_part;
    ps_mem_retain(mem); /* the code may hold the last reference */
    ps_free(mem, program, sizeof *program);
    if (counted) {
        ps_owner_release(&code->owner);
    }
    ps_mem_release(mem);
}

/* Takes a reference of code unless it is a part's. */
static ps_status make_program(ps_mem *mem, ps_code *code, bool is_part, ps_program **out,
                              ps_error *err)
{
    ps_program *program = ps_alloc_zeroed(mem, sizeof *program);
    if (program == NULL) {
        return ps_mem_refused(mem, sizeof *program, "an expression program", err);
    }
    program->mem = mem;
    program->code = code;
    program->is_part = is_part;
    if (!is_part) {
        ps_owner_retain(&code->owner);
    }
    ps_arena_init(&program->arena, mem);
    program->slots = ps_alloc(mem, slots_bytes(code));
    program->rooms = ps_alloc(mem, rooms_bytes(code));
    program->parts = ps_alloc_zeroed(mem, parts_bytes(code));
    if (program->slots == NULL || program->rooms == NULL || program->parts == NULL) {
        ps_program_destroy(program);
        return ps_mem_refused(mem, rooms_bytes(code), "the registers of a program", err);
    }
    memcpy(program->slots, code->slots, slots_bytes(code));
    for (int32_t k = 0; k < code->part_count; k++) {
        const ps_status status =
            make_program(mem, code->parts[k].code, true, &program->parts[k].program, err);
        if (status != PS_OK) {
            ps_program_destroy(program);
            return status;
        }
    }
    *out = program;
    return PS_OK;
}

ps_status ps_program_compile(ps_mem *mem, const ps_expr *expr, int32_t root,
                             const ps_schema *schema, ps_program **out, ps_error *err)
{
    ps_code *code;
    PS_TRY(ps_code_compile(mem, expr, root, schema, &code, err));
    const ps_status status = make_program(mem, code, false, out, err);
    ps_owner_release(&code->owner);
    return status;
}

ps_status ps_program_clone(const ps_program *program, ps_program **out, ps_error *err)
{
    return make_program(program->mem, program->code, false, out, err);
}

const ps_type *ps_program_type(const ps_program *program)
{
    return &program->code->type;
}

int32_t ps_program_column(const ps_program *program)
{
    return program->code->column;
}

void ps_program_columns(const ps_program *program, bool *wanted)
{
    for (int32_t i = 0; i < program->code->field_count; i++) {
        wanted[i] |= program->code->wanted[i];
    }
}

bool ps_program_nullable(const ps_program *program)
{
    return program->code->nullable;
}

void ps_program_begin_batch(ps_program *program)
{
    for (int32_t k = 0; k < program->code->part_count; k++) {
        program->parts[k].mode = PART_UNKNOWN;
        program->parts[k].dictionary = NULL;
        ps_arena_reset(&program->parts[k].program->arena);
    }
}

/* ---- a chunk ---- */

static const ps_vector *operand(const ps_program *program, int32_t slot)
{
    return slot < 0 ? NULL : &program->slots[slot];
}

/* target: where the values of the last operation shall go when it writes 8-byte values, or NULL. */
static ps_status eval(ps_program *program, const ps_source *source, int64_t n, void *target,
                      ps_vector *out, ps_error *err)
{
    PS_ASSERT(n <= PS_CHUNK_ROWS);
    const ps_code *code = program->code;
    const ps_kernels *kernels = ps_simd_kernels();
    for (int32_t k = 0; k < code->instruction_count; k++) {
        const ps_instruction *instruction = &code->instructions[k];
        ps_vector_scratch *room = instruction->room < 0 ? NULL : &program->rooms[instruction->room];
        ps_call call = {.kernels = kernels,
                        .a = operand(program, instruction->a),
                        .b = operand(program, instruction->b),
                        .c = operand(program, instruction->c),
                        .b_step = instruction->b_step,
                        .i = instruction->i,
                        .j = instruction->j,
                        .p = instruction->p,
                        .name = instruction->name,
                        .type = &instruction->type,
                        .a_type = &instruction->a_type,
                        .n = n,
                        .room = room,
                        .values = room == NULL ? NULL : room->values,
                        .valid = room == NULL ? NULL : room->valid,
                        .source = source,
                        .program = program,
                        .arena = &program->arena};
        if (target != NULL && room != NULL && k + 1 == code->instruction_count) {
            call.values = target;
        }
        PS_TRY(instruction->op->run(&call, err));
        program->slots[instruction->out].values = call.out.values;
        program->slots[instruction->out].valid = call.out.valid;
    }
    *out = program->slots[code->result];
    return PS_OK;
}

static ps_status eval_rows(ps_program *program, const ps_batch *batch, const uint32_t *rows,
                           int64_t start, int64_t count, void *target, ps_vector *out,
                           ps_error *err)
{
    const int32_t column = program->code->column;
    ps_arena_reset(&program->arena);
    if (column >= 0 && program->code->kind == PS_CLASS_NONE) { /* only its nulls are told */
        ps_vector_scratch *scratch = ps_arena_alloc(&program->arena, sizeof *scratch);
        if (scratch == NULL) {
            return ps_mem_refused(program->mem, sizeof *scratch, "the nulls of a column", err);
        }
        ps_vector_load(&batch->columns[column], rows, start, count, scratch, out);
        return PS_OK;
    }
    const ps_source source = {.batch = batch, .rows = rows, .start = start};
    return eval(program, &source, count, target, out, err);
}

ps_status ps_program_eval(ps_program *program, const ps_batch *batch, const uint32_t *rows,
                          int64_t start, int64_t count, ps_vector *out, ps_error *err)
{
    return eval_rows(program, batch, rows, start, count, NULL, out, err);
}

/* ---- parts over one dictionary ---- */

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
        PS_TRY(eval(part->program, &source, n, NULL, &v, NULL));
        memcpy(part->values + (size_t)start * width, v.values, (size_t)n * width);
        if (v.valid == NULL) {
            memset(part->valid + start, 1, (size_t)n);
        } else {
            memcpy(part->valid + start, v.valid, (size_t)n);
        }
    }
    ps_vector v;
    const ps_source null_row = {.dictionary = dictionary, .one_null = true};
    PS_TRY(eval(part->program, &null_row, 1, NULL, &v, NULL));
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
        free_table(program->mem, part, kind);
        part->values = ps_alloc(program->mem, (size_t)wanted * ps_class_width(kind));
        part->valid = ps_alloc(program->mem, (size_t)wanted);
        part->capacity = wanted;
        if (part->values == NULL || part->valid == NULL) {
            if (part->values == NULL) {
                ps_free(program->mem, part->valid, part->valid == NULL ? 0 : (size_t)wanted);
                part->valid = NULL;
                part->capacity = 0;
            } else {
                ps_free(program->mem, part->values, (size_t)wanted * ps_class_width(kind));
                part->values = NULL;
                part->capacity = 0;
            }
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
    PS_TRY(eval(part->program, &null_row, 1, NULL, &v, err));
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
        PS_TRY(eval(part->program, &source, call->n, NULL, &v, err));
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

/* ---- a whole batch ---- */

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
        PS_TRY(eval_rows(program, batch, rows_at(selection, at), at, n,
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
        status = eval_rows(program, batch, rows_at(selection, at), at, n, NULL, &v, err);
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

static ps_status refused_block(ps_mem *mem, size_t size_bytes, ps_error *err)
{
    return ps_mem_refused(mem, size_bytes, "a computed column", err);
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
        return refused_block(mem, size, err);
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
            eval_rows(program, batch, rows_at(selection, at), at, n, NULL, &v, err);
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
