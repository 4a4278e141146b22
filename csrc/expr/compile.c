/* compile.c -- from an expression forest to code: types, folding, common parts, then instructions.
 *
 * Instructions run in the order of their values. A result lives in a room from its instruction to
 * its last use, so that a chunk touches few rooms; an alias keeps its argument's room alive.
 */
#include "expr/compile.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int32_t ps_compiler_fail(ps_compiler *c, ps_status status, const char *format, ...)
{
    if (c->status == PS_OK) {
        char text[PS_ERROR_TEXT];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        c->status = ps_fail(c->err, status, "%s", text);
    }
    return -1;
}

int32_t ps_compiler_no_memory(ps_compiler *c)
{
    if (c->status == PS_OK) {
        c->status = ps_mem_refused(c->mem, sizeof(ps_value), "an expression program", c->err);
    }
    return -1;
}

/* ---- values ---- */

static bool same_constant(const ps_value *x, const ps_value *y)
{
    if (x->is_null || y->is_null) {
        return x->is_null == y->is_null;
    }
    switch (x->kind) {
    case PS_CLASS_BOOL: return x->constant.b == y->constant.b;
    case PS_CLASS_STR:
        return x->constant.s.size_bytes == y->constant.s.size_bytes &&
               (x->constant.s.size_bytes == 0 || memcmp(x->constant.s.data, y->constant.s.data,
                                                        (size_t)x->constant.s.size_bytes) == 0);
    default: return x->constant.u == y->constant.u;
    }
}

static bool same_value(const ps_value *x, const ps_value *y)
{
    if (x->op != y->op || x->i != y->i || x->j != y->j || x->p != y->p ||
        x->argument_count != y->argument_count || !ps_type_equal(&x->type, &y->type)) {
        return false;
    }
    for (int32_t k = 0; k < x->argument_count; k++) {
        if (x->arguments[k] != y->arguments[k]) {
            return false;
        }
    }
    return x->op != NULL || same_constant(x, y);
}

#define SEARCH_LIMIT 512 /* common parts are found among this many values before */

static int32_t add_value(ps_compiler *c, const ps_value *value)
{
    const int32_t oldest = c->count > SEARCH_LIMIT ? c->count - SEARCH_LIMIT : 0;
    for (int32_t v = c->count - 1; v >= oldest; v--) {
        if (same_value(&c->values[v], value)) {
            return v;
        }
    }
    if (c->count == c->capacity) {
        const int32_t capacity = c->capacity == 0 ? 32 : 2 * c->capacity;
        ps_value *values = ps_realloc(c->mem, c->values, (size_t)c->capacity * sizeof *values,
                                      (size_t)capacity * sizeof *values);
        if (values == NULL) {
            return ps_compiler_no_memory(c);
        }
        c->values = values;
        c->capacity = capacity;
    }
    c->values[c->count] = *value;
    return c->count++;
}

int32_t ps_emit_constant(ps_compiler *c, ps_type type, ps_scalar value)
{
    if (c->status != PS_OK) {
        return -1;
    }
    const ps_value made = {
        .type = type, .kind = ps_type_class(&type), .constant = value, .column = -1};
    return add_value(c, &made);
}

int32_t ps_emit_null(ps_compiler *c, ps_type type)
{
    if (c->status != PS_OK) {
        return -1;
    }
    const ps_value made = {.type = type,
                           .kind = ps_type_class(&type),
                           .is_null = true,
                           .nullable = true,
                           .column = -1};
    return add_value(c, &made);
}

static size_t edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 64 };
    const size_t n = strlen(a), m = strlen(b);
    if (n >= LONGEST || m >= LONGEST) {
        return LONGEST;
    }
    size_t row[LONGEST];
    for (size_t j = 0; j <= m; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            best = best < row[j] + 1 ? best : row[j] + 1;
            row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
        }
    }
    return row[m];
}

static int32_t unknown_column(ps_compiler *c, const char *name)
{
    const char *nearest = NULL;
    size_t least = strlen(name) / 2 + 1; /* more edits than this is another word */
    for (int32_t i = 0; i < c->schema->field_count; i++) {
        const size_t distance = edit_distance(name, c->schema->fields[i].name);
        if (distance <= least && (nearest == NULL || distance < least)) {
            least = distance;
            nearest = c->schema->fields[i].name;
        }
    }
    if (nearest != NULL) {
        return ps_compiler_fail(c, PS_INVALID, "unknown column '%s'; did you mean '%s'?", name,
                                nearest);
    }
    char names[256] = "";
    size_t used = 0;
    for (int32_t i = 0; i < c->schema->field_count && used < sizeof names; i++) {
        used += (size_t)snprintf(names + used, sizeof names - used, "%s'%s'", i == 0 ? "" : ", ",
                                 c->schema->fields[i].name);
    }
    return ps_compiler_fail(c, PS_INVALID, "unknown column '%s'; the columns are %s%s", name,
                            c->schema->field_count == 0 ? "none" : names,
                            used >= sizeof names ? "..." : "");
}

int32_t ps_emit_column(ps_compiler *c, const char *name)
{
    if (c->status != PS_OK) {
        return -1;
    }
    const int32_t index = ps_schema_find(c->schema, name);
    if (index < 0) {
        return unknown_column(c, name);
    }
    const ps_field *field = &c->schema->fields[index];
    const ps_value made = {.op = &ps_op_load,
                           .type = field->type,
                           .kind = ps_type_class(&field->type),
                           .nullable = field->nullable || field->type.index != 0 ||
                                       field->type.id == PS_TYPE_NULL,
                           .j = index,
                           .name = "column",
                           .column = index};
    return add_value(c, &made);
}

/* ---- constant folding ---- */

static void constant_vector(const ps_value *value, ps_vector *out)
{
    static const uint8_t null_row[1] = {0};
    out->kind = value->kind;
    out->values = &value->constant;
    out->valid = value->is_null ? null_row : NULL;
}

static int32_t fold(ps_compiler *c, const ps_value *value)
{
    ps_vector given[3];
    for (int32_t k = 0; k < value->argument_count; k++) {
        constant_vector(&c->values[value->arguments[k]], &given[k]);
    }
    ps_call call = {.kernels = ps_simd_kernels(),
                    .a = &given[0],
                    .b = value->argument_count > 1 ? &given[1] : NULL,
                    .c = value->argument_count > 2 ? &given[2] : NULL,
                    .b_step = 1,
                    .i = value->i,
                    .j = value->j,
                    .p = value->p,
                    .name = value->name,
                    .type = &value->type,
                    .a_type = &c->values[value->arguments[0]].type,
                    .n = 1,
                    .room = c->scratch,
                    .values = c->scratch->values,
                    .valid = c->scratch->valid,
                    .arena = c->arena};
    const ps_status status = value->op->run(&call, c->err);
    if (status != PS_OK) {
        c->status = status;
        return -1;
    }
    if (call.out.valid != NULL && call.out.valid[0] == 0) {
        return ps_emit_null(c, value->type);
    }
    ps_scalar result = {.u = 0};
    if (value->kind != PS_CLASS_NONE) {
        memcpy(&result, call.out.values, ps_class_width(value->kind));
    }
    return ps_emit_constant(c, value->type, result);
}

int32_t ps_emit(ps_compiler *c, const ps_op *op, ps_type type, const int32_t *arguments,
                int32_t count, ps_parameters parameters)
{
    if (c->status != PS_OK) {
        return -1;
    }
    ps_value made = {.op = op,
                     .type = type,
                     .kind = ps_type_class(&type),
                     .nullable = parameters.nullable,
                     .argument_count = count,
                     .i = parameters.i,
                     .j = parameters.j,
                     .p = parameters.p,
                     .name = c->name,
                     .column = -1};
    made.type.index = 0;
    bool all_constant = count > 0;
    bool some_null = false;
    for (int32_t k = 0; k < count; k++) {
        const ps_value *argument = &c->values[arguments[k]];
        made.arguments[k] = arguments[k];
        all_constant &= argument->op == NULL;
        some_null |= argument->is_null;
        if ((op->flags & PS_OP_STRICT) != 0) {
            made.nullable |= argument->nullable;
        }
        if (argument->column != -1) {
            made.column =
                made.column == -1 || made.column == argument->column ? argument->column : -2;
        }
    }
    if (count == 0) { /* reads column j itself */
        made.column = (int32_t)parameters.j;
    }
    if (some_null && (op->flags & PS_OP_STRICT) != 0) {
        return ps_emit_null(c, type);
    }
    if (all_constant && (op->flags & PS_OP_PURE) != 0) {
        return fold(c, &made);
    }
    return add_value(c, &made);
}

int32_t ps_emit_divide(ps_compiler *c, ps_type type, int32_t a, int64_t divisor, int64_t variant)
{
    if (divisor == 1 && variant != 1) {
        return ps_emit(c, &ps_op_retype, type, &a, 1, (ps_parameters){0});
    }
    ps_divider *by = ps_arena_alloc(c->arena, sizeof *by);
    if (by == NULL) {
        return ps_compiler_no_memory(c);
    }
    *by = ps_divider_make(divisor);
    return ps_emit(c, &ps_op_divide_const, type, &a, 1, (ps_parameters){.i = variant, .p = by});
}

/* ---- forest to values ---- */

static int32_t bind_node(ps_compiler *c, const ps_node *node, const int32_t *map)
{
    if (node->kind == PS_NODE_COLUMN) {
        return ps_emit_column(c, node->name);
    }
    if (node->kind == PS_NODE_LITERAL) {
        if (node->type.id == PS_TYPE_NULL) {
            return ps_emit_null(c, node->type);
        }
        ps_scalar value = node->value;
        if (ps_type_is_bytes(node->type)) { /* the program outlives the forest */
            value.s.data = ps_arena_text(c->arena, value.s.data, (size_t)value.s.size_bytes);
            if (value.s.data == NULL) {
                return ps_compiler_no_memory(c);
            }
        }
        return ps_emit_constant(c, node->type, value);
    }
    const size_t size = (size_t)node->argument_count * sizeof(int32_t);
    int32_t *arguments = ps_arena_alloc(c->arena, size);
    const char *name = ps_arena_text(c->arena, node->name, strlen(node->name));
    if (arguments == NULL || name == NULL) {
        return ps_compiler_no_memory(c);
    }
    for (int32_t k = 0; k < node->argument_count; k++) {
        arguments[k] = map[node->arguments[k]];
    }
    c->name = name;
    return ps_bind(c, node, arguments);
}

static int32_t bind_forest(ps_compiler *c, const ps_expr *expr, int32_t root)
{
    int32_t *map = ps_arena_alloc(c->arena, (size_t)expr->count * sizeof(int32_t));
    if (map == NULL) {
        return ps_compiler_no_memory(c);
    }
    memset(map, 0, (size_t)expr->count * sizeof(int32_t));
    map[root] = 1;
    for (int32_t n = root; n >= 0; n--) {
        for (int32_t k = 0; map[n] != 0 && k < expr->nodes[n].argument_count; k++) {
            map[expr->nodes[n].arguments[k]] = 1;
        }
    }
    for (int32_t n = 0; n <= root && c->status == PS_OK; n++) {
        if (map[n] != 0) {
            map[n] = bind_node(c, &expr->nodes[n], map);
        }
    }
    return c->status == PS_OK ? map[root] : -1;
}

/* ---- values to instructions ---- */

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

static ps_code *make_code(ps_compiler *c, ps_arena *arena, ps_code *code, int32_t root,
                          int32_t part_column);

/* A part's number; its code is made in the same arena. */
static int32_t add_part(generator *g, int32_t v)
{
    ps_code *part = ps_arena_alloc(g->c->arena, sizeof *part);
    if (part == NULL) {
        return ps_compiler_no_memory(g->c);
    }
    memset(part, 0, sizeof *part);
    if (make_code(g->c, g->c->arena, part, v, g->c->values[v].column) == NULL) {
        return -1;
    }
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

/* NULL with c->status set when memory is refused. */
static ps_code *make_code(ps_compiler *c, ps_arena *arena, ps_code *code, int32_t root,
                          int32_t part_column)
{
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
        return NULL;
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
    return c->status == PS_OK ? code : NULL;
}

/* ---- entry ---- */

static void destroy_code(ps_owner *owner)
{
    ps_code *code = (ps_code *)owner;
    ps_mem *mem = code->mem;
    ps_arena_fini(&code->arena);
    ps_free(mem, code, sizeof *code);
    ps_mem_release(mem);
}

ps_status ps_code_compile(ps_mem *mem, const ps_expr *expr, int32_t root, const ps_schema *schema,
                          ps_code **out, ps_error *err)
{
    if (root < 0 || root >= expr->count) {
        return ps_fail(err, PS_INVALID, "node %d is not one of the expression's %d nodes", root,
                       expr->count);
    }
    ps_code *code = ps_alloc_zeroed(mem, sizeof *code);
    if (code == NULL) {
        return ps_mem_refused(mem, sizeof *code, "an expression program", err);
    }
    ps_owner_init(&code->owner, destroy_code);
    ps_mem_retain(mem);
    code->mem = mem;
    ps_arena_init(&code->arena, mem);
    ps_compiler c = {.mem = mem, .arena = &code->arena, .schema = schema, .err = err};
    c.scratch = ps_alloc(mem, sizeof *c.scratch);
    if (c.scratch == NULL) {
        ps_compiler_no_memory(&c);
    } else {
        const int32_t value = bind_forest(&c, expr, root);
        if (c.status == PS_OK) {
            make_code(&c, &code->arena, code, value, -1);
        }
        ps_free(mem, c.scratch, sizeof *c.scratch);
    }
    ps_free(mem, c.values, (size_t)c.capacity * sizeof(ps_value));
    if (c.status != PS_OK) {
        ps_owner_release(&code->owner);
        return c.status;
    }
    *out = code;
    return PS_OK;
}
