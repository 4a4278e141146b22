/* emit.c -- a typed value for each operation asked for: equal ones are one, and what depends on
 * constants alone is computed.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "expr/compile.h"

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

/* Each division has a divider of its own. */
static bool same_parameters(const ps_value *x, const ps_value *y)
{
    const ps_divider *const left = x->p, *const right = y->p;
    return x->i == y->i && x->j == y->j &&
           (x->p == y->p || (x->op == &ps_op_divide_const && left->divisor == right->divisor));
}

static bool same_value(const ps_value *x, const ps_value *y)
{
    if (x->op != y->op || !same_parameters(x, y) || x->argument_count != y->argument_count ||
        !ps_type_equal(&x->type, &y->type)) {
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

int32_t ps_emit_logic(ps_compiler *c, const ps_op *op, int32_t a, int32_t b)
{
    if (c->status != PS_OK) {
        return -1;
    }
    const int32_t pair[2] = {a, b};
    const bool nullable = c->values[a].nullable || c->values[b].nullable;
    return ps_emit(c, op, ps_plain(PS_TYPE_BOOL), pair, 2, (ps_parameters){.nullable = nullable});
}
