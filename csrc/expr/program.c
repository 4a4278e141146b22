/* program.c -- compiled programs: made, cloned, freed, and run over one chunk.
 *
 * Memory of a program: one room (a vector's scratch) for each result that is alive at once, one
 * slot for each value, an arena for strings made in the current chunk, and a table for each part
 * that depends on one dictionary. Cost: a call per operation and chunk of PS_CHUNK_ROWS rows.
 */
#include <string.h>

#include "expr/program_inside.h"

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

void ps_program_destroy(ps_program *program)
{
    if (program == NULL) {
        return;
    }
    ps_mem *mem = program->mem;
    ps_code *code = program->code;
    for (int32_t k = 0; program->parts != NULL && k < code->part_count; k++) {
        ps_part_free_table(mem, &program->parts[k], code->parts[k].code->kind);
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

ps_status ps_program_eval_source(ps_program *program, const ps_source *source, int64_t n,
                                 void *target, ps_vector *out, ps_error *err)
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

ps_status ps_program_eval_rows(ps_program *program, const ps_batch *batch, const uint32_t *rows,
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
    return ps_program_eval_source(program, &source, count, target, out, err);
}

ps_status ps_program_eval(ps_program *program, const ps_batch *batch, const uint32_t *rows,
                          int64_t start, int64_t count, ps_vector *out, ps_error *err)
{
    return ps_program_eval_rows(program, batch, rows, start, count, NULL, out, err);
}
