/* generate.c -- from typed values to instructions over slots and rooms.
 *
 * Instructions run in the order of their values. A result lives in a room from its instruction to
 * its last use, so that a chunk touches few rooms; an alias keeps its argument's room alive.
 */
#include <string.h>

#include "expr/compile.h"

/* What the generator knows of each value; one array for one code. */
typedef struct plan {
    bool wanted;
    bool is_part; /* computed by a program of its own over a dictionary */
    bool fused;   /* a compare straight from a column */
    int32_t uses;
    int32_t last_use; /* instruction number */
    int32_t slot;
    int32_t room; /* -1 = none */
} plan;

typedef struct generator {
    ps_compiler *c;
    ps_code *code;
    plan *plans;
    int32_t part_column; /* -1: the outermost code */
    int32_t *free_rooms;
    int32_t free_count;
} generator;

static bool is_part(const generator *g, const ps_value *value)
{
    return g->part_column < 0 && value->op != NULL && value->op != &ps_op_load &&
           value->column >= 0 && g->c->schema->fields[value->column].type.index != 0;
}

static bool fits_width(ps_type type, const ps_value *constant)
{
    const int64_t v = constant->constant.i;
    const int bits = 8 * type.width;
    if (bits == 64 || ps_type_is_float((ps_type_id)type.id)) {
        return true;
    }
    if (ps_type_is_unsigned((ps_type_id)type.id)) {
        return (constant->constant.u >> bits) == 0;
    }
    return v >= -((int64_t)1 << (bits - 1)) && v < ((int64_t)1 << (bits - 1));
}

/* Whether a compare can read its column itself: it alone uses the loaded values. */
static bool is_fusible(const generator *g, const ps_value *value)
{
    if (value->argument_count != 2) {
        return false;
    }
    const ps_value *a = &g->c->values[value->arguments[0]];
    const ps_value *b = &g->c->values[value->arguments[1]];
    if (a->op != &ps_op_load || b->op != NULL || b->is_null ||
        g->plans[value->arguments[0]].uses != 1 || (a->type.index != 0 && g->part_column < 0)) {
        return false;
    }
    if (value->op == &ps_op_compare_str) {
        return (value->i == PS_EQ || value->i == PS_NE) &&
               (a->type.id == PS_TYPE_UTF8 || a->type.id == PS_TYPE_BINARY);
    }
    return (value->op == &ps_op_compare_i64 || value->op == &ps_op_compare_u64 ||
            value->op == &ps_op_compare_f64) &&
           fits_width(a->type, b);
}

/* Marks what root needs. Arguments come before their users, so one pass downwards does. */
static void mark(generator *g, int32_t root)
{
    g->plans[root].wanted = true;
    for (int32_t v = root; v >= 0; v--) {
        plan *p = &g->plans[v];
        const ps_value *value = &g->c->values[v];
        if (!p->wanted) {
            continue;
        }
        p->is_part = is_part(g, value);
        for (int32_t k = 0; !p->is_part && k < value->argument_count; k++) {
            g->plans[value->arguments[k]].wanted = true;
            g->plans[value->arguments[k]].uses++;
        }
    }
    for (int32_t v = root; v >= 0; v--) {
        plan *p = &g->plans[v];
        const ps_value *value = &g->c->values[v];
        if (p->wanted && !p->is_part && is_fusible(g, value)) {
            p->fused = true;
            for (int32_t k = 0; k < 2; k++) {
                plan *argument = &g->plans[value->arguments[k]];
                argument->uses--;
                argument->wanted = argument->uses > 0 || value->arguments[k] == root;
            }
        }
    }
}

/* A constant as PS_CHUNK_ROWS equal values, so that any operand may be one. */
static bool fill_constant(ps_arena *arena, const ps_value *value, ps_vector *out)
{
    out->kind = value->kind;
    if (value->kind == PS_CLASS_NONE) {
        return true;
    }
    const size_t width = ps_class_width(value->kind);
    uint8_t *values = ps_arena_alloc(arena, width * PS_CHUNK_ROWS);
    uint8_t *valid = value->is_null ? ps_arena_alloc(arena, PS_CHUNK_ROWS) : NULL;
    if (values == NULL || (value->is_null && valid == NULL)) {
        return false;
    }
    for (int32_t i = 0; i < PS_CHUNK_ROWS; i++) {
        memcpy(values + (size_t)i * width, &value->constant, width);
    }
    if (valid != NULL) {
        memset(valid, 0, PS_CHUNK_ROWS);
    }
    out->values = values;
    out->valid = valid;
    return true;
}

static bool needs_room(const ps_value *value, const plan *p)
{
    return p->is_part || (value->op->flags & PS_OP_ALIAS) == 0;
}

static int32_t take_room(generator *g)
{
    return g->free_count > 0 ? g->free_rooms[--g->free_count] : g->code->room_count++;
}

static bool is_instruction(const generator *g, int32_t v)
{
    return g->plans[v].wanted && g->c->values[v].op != NULL &&
           g->c->values[v].kind != PS_CLASS_NONE;
}

/* Gives each value the number of the last instruction that reads it (values are in that order). */
static void find_last_uses(generator *g, int32_t root)
{
    for (int32_t v = root; v >= 0; v--) {
        const ps_value *value = &g->c->values[v];
        if (!is_instruction(g, v) || g->plans[v].is_part || g->plans[v].fused) {
            continue;
        }
        const bool alias = (value->op->flags & PS_OP_ALIAS) != 0;
        for (int32_t k = 0; k < value->argument_count; k++) {
            plan *argument = &g->plans[value->arguments[k]];
            const int32_t until = alias && k == 0 ? g->plans[v].last_use : v;
            argument->last_use = until > argument->last_use ? until : argument->last_use;
        }
    }
}

static void make_code(ps_compiler *c, ps_code *code, int32_t root, int32_t part_column);

/* A part's number; its code is made in the same arena. */
static int32_t add_part(generator *g, int32_t v)
{
    ps_code *part = ps_arena_alloc(g->c->arena, sizeof *part);
    if (part == NULL) {
        return ps_compiler_no_memory(g->c);
    }
    memset(part, 0, sizeof *part);
    make_code(g->c, part, v, g->c->values[v].column);
    g->code->parts[g->code->part_count] =
        (ps_dictionary_part){.column = g->c->values[v].column, .code = part};
    return g->code->part_count++;
}

static const void *fused_constant(generator *g, const ps_value *value)
{
    const ps_value *constant = &g->c->values[value->arguments[1]];
    if (value->op != &ps_op_compare_str) {
        ps_scalar *scalar = ps_arena_alloc(g->c->arena, sizeof *scalar);
        if (scalar != NULL) {
            *scalar = constant->constant;
        }
        return scalar;
    }
    ps_needle *needle = ps_arena_alloc(g->c->arena, sizeof *needle);
    if (needle != NULL) {
        *needle = (ps_needle){constant->constant.s.data, constant->constant.s.size_bytes};
    }
    return needle;
}

static void fill_instruction(generator *g, int32_t v, ps_instruction *out)
{
    const ps_value *value = &g->c->values[v];
    const plan *p = &g->plans[v];
    *out = (ps_instruction){.op = value->op,
                            .a = -1,
                            .b = -1,
                            .c = -1,
                            .out = p->slot,
                            .room = p->room,
                            .b_step = 1,
                            .i = value->i,
                            .j = value->j,
                            .p = value->p,
                            .name = value->name,
                            .type = value->type,
                            .kind = value->kind};
    if (p->is_part) {
        out->op = &ps_op_dictionary;
        out->i = add_part(g, v);
        return;
    }
    if (p->fused) {
        out->op = value->op == &ps_op_compare_str ? &ps_op_equal_column : &ps_op_compare_column;
        out->j = g->c->values[value->arguments[0]].j;
        out->p = fused_constant(g, value);
        if (out->p == NULL) {
            ps_compiler_no_memory(g->c);
        }
        return;
    }
    int32_t *slots[3] = {&out->a, &out->b, &out->c};
    for (int32_t k = 0; k < value->argument_count; k++) {
        *slots[k] = g->plans[value->arguments[k]].slot;
    }
    if (value->argument_count > 0) {
        out->a_type = g->c->values[value->arguments[0]].type;
    }
    if (value->argument_count > 1 && g->c->values[value->arguments[1]].op == NULL) {
        out->b_step = 0;
    }
}

static void generate(generator *g, int32_t root)
{
    ps_compiler *c = g->c;
    ps_code *code = g->code;
    for (int32_t v = 0; v <= root && c->status == PS_OK; v++) {
        plan *p = &g->plans[v];
        if (!p->wanted) {
            continue;
        }
        p->slot = code->slot_count++;
        p->room = -1;
        code->slots[p->slot] = (ps_vector){.kind = c->values[v].kind};
        if (c->values[v].op == NULL) {
            if (!fill_constant(c->arena, &c->values[v], &code->slots[p->slot])) {
                ps_compiler_no_memory(c);
            }
            continue;
        }
        if (!is_instruction(g, v)) {
            continue;
        }
        if (needs_room(&c->values[v], p)) {
            p->room = take_room(g);
        }
        fill_instruction(g, v, &code->instructions[code->instruction_count++]);
        for (int32_t u = 0; u <= v; u++) { /* rooms that nothing reads any more */
            plan *used = &g->plans[u];
            if (used->wanted && used->room >= 0 && used->last_use == v && u != root) {
                g->free_rooms[g->free_count++] = used->room;
                used->last_use = -1;
            }
        }
    }
    code->result = g->plans[root].slot;
}

static void find_wanted_columns(ps_compiler *c, const plan *plans, int32_t root, bool *wanted)
{
    for (int32_t v = 0; v <= root; v++) {
        const ps_value *value = &c->values[v];
        if ((plans[v].wanted || plans[v].is_part) && value->column >= 0 && value->op != NULL) {
            wanted[value->column] = true;
        }
    }
}

static void make_code(ps_compiler *c, ps_code *code, int32_t root, int32_t part_column)
{
    ps_arena *const arena = c->arena;
    const size_t count = (size_t)root + 1;
    generator g = {.c = c, .code = code, .part_column = part_column};
    g.plans = ps_arena_alloc(arena, count * sizeof(plan));
    g.free_rooms = ps_arena_alloc(arena, count * sizeof(int32_t));
    code->instructions = ps_arena_alloc(arena, count * sizeof(ps_instruction));
    code->slots = ps_arena_alloc(arena, count * sizeof(ps_vector));
    code->parts = ps_arena_alloc(arena, count * sizeof(ps_dictionary_part));
    bool *wanted = ps_arena_alloc(arena, (size_t)c->schema->field_count * sizeof(bool));
    if (g.plans == NULL || g.free_rooms == NULL || code->instructions == NULL ||
        code->slots == NULL || code->parts == NULL || wanted == NULL) {
        ps_compiler_no_memory(c);
        return;
    }
    memset(g.plans, 0, count * sizeof(plan));
    memset(wanted, 0, (size_t)c->schema->field_count * sizeof(bool));
    const ps_value *value = &c->values[root];
    code->type = value->type;
    code->kind = value->kind;
    code->nullable = value->nullable;
    code->column = value->op == &ps_op_load ? (int32_t)value->j : -1;
    code->field_count = c->schema->field_count;
    code->wanted = wanted;
    if (value->kind != PS_CLASS_NONE && code->column < 0) {
        code->type.index = 0;
    }
    mark(&g, root);
    find_wanted_columns(c, g.plans, root, wanted);
    g.plans[root].last_use = INT32_MAX;
    find_last_uses(&g, root);
    generate(&g, root);
}

void ps_generate(ps_compiler *c, ps_code *code, int32_t root)
{
    make_code(c, code, root, -1);
}
