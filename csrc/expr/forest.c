/* forest.c -- building a forest of expression nodes. */
#include "expr/forest.h"

#include <stdatomic.h>
#include <string.h>

#define NODES_MAX (1 << 20)
#define ARGUMENTS_MAX (1 << 16)

ps_status ps_expr_create(ps_mem *mem, ps_expr **out, ps_error *err)
{
    ps_expr *expr = ps_alloc_zeroed(mem, sizeof *expr);
    if (expr == NULL) {
        return ps_mem_refused(mem, sizeof *expr, "an expression", err);
    }
    ps_mem_retain(mem);
    atomic_init(&expr->references, 1);
    expr->mem = mem;
    ps_arena_init(&expr->arena, mem);
    *out = expr;
    return PS_OK;
}

void ps_expr_retain(ps_expr *expr)
{
    atomic_fetch_add_explicit(&expr->references, 1, memory_order_relaxed);
}

void ps_expr_destroy(ps_expr *expr)
{
    /* Release: our uses come before the freeing; acquire: the others' uses do. */
    if (expr == NULL || atomic_fetch_sub_explicit(&expr->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    ps_mem *mem = expr->mem;
    ps_arena_fini(&expr->arena);
    ps_free(mem, expr->nodes, (size_t)expr->capacity * sizeof(ps_node));
    ps_free(mem, expr, sizeof *expr);
    ps_mem_release(mem);
}

static ps_status refused(ps_expr *expr, size_t size_bytes, ps_error *err)
{
    return ps_mem_refused(expr->mem, size_bytes, "an expression node", err);
}

static ps_status add(ps_expr *expr, const ps_node *node, int32_t *number, ps_error *err)
{
    if (expr->count == expr->capacity) {
        if (expr->count >= NODES_MAX) {
            return ps_fail(err, PS_INVALID, "an expression has at most %d nodes", NODES_MAX);
        }
        const int32_t capacity = expr->capacity == 0 ? 16 : 2 * expr->capacity;
        const size_t new_size = (size_t)capacity * sizeof(ps_node);
        ps_node *nodes =
            ps_realloc(expr->mem, expr->nodes, (size_t)expr->capacity * sizeof(ps_node), new_size);
        if (nodes == NULL) {
            return refused(expr, new_size, err);
        }
        expr->nodes = nodes;
        expr->capacity = capacity;
    }
    expr->nodes[expr->count] = *node;
    *number = expr->count++;
    return PS_OK;
}

ps_type ps_type_make(ps_type_id id, ps_unit unit)
{
    static const uint8_t widths[] = {
        [PS_TYPE_INT8] = 1,       [PS_TYPE_INT16] = 2,        [PS_TYPE_INT32] = 4,
        [PS_TYPE_INT64] = 8,      [PS_TYPE_UINT8] = 1,        [PS_TYPE_UINT16] = 2,
        [PS_TYPE_UINT32] = 4,     [PS_TYPE_UINT64] = 8,       [PS_TYPE_FLOAT16] = 2,
        [PS_TYPE_FLOAT32] = 4,    [PS_TYPE_FLOAT64] = 8,      [PS_TYPE_DATE32] = 4,
        [PS_TYPE_DATE64] = 8,     [PS_TYPE_TIME32] = 4,       [PS_TYPE_TIME64] = 8,
        [PS_TYPE_TIMESTAMP] = 8,  [PS_TYPE_DURATION] = 8,     [PS_TYPE_DECIMAL128] = 16,
        [PS_TYPE_UTF8_VIEW] = 16, [PS_TYPE_BINARY_VIEW] = 16, [PS_TYPE_OPAQUE] = 0,
    };
    ps_type type = {.id = (uint8_t)id, .unit = (uint8_t)unit, .width = widths[id]};
    if (ps_type_is_var(id)) {
        type.width = 0;
    }
    return type;
}

ps_status ps_type_from_format(const char *format, ps_type *out, ps_error *err)
{
    const ArrowSchema arrow = {.format = format, .name = ""};
    return ps_type_parse(&arrow, out, err);
}

ps_status ps_expr_column(ps_expr *expr, const char *name, int32_t *node, ps_error *err)
{
    ps_node made = {.kind = PS_NODE_COLUMN};
    made.name = ps_arena_text(&expr->arena, name, strlen(name));
    return made.name == NULL ? refused(expr, strlen(name), err) : add(expr, &made, node, err);
}

ps_status ps_expr_null(ps_expr *expr, int32_t *node, ps_error *err)
{
    const ps_node made = {.kind = PS_NODE_LITERAL, .type = {.id = PS_TYPE_NULL}};
    return add(expr, &made, node, err);
}

ps_status ps_expr_bool(ps_expr *expr, bool value, int32_t *node, ps_error *err)
{
    ps_node made = {.kind = PS_NODE_LITERAL, .type = ps_type_make(PS_TYPE_BOOL, PS_UNIT_NONE)};
    made.value.b = value;
    return add(expr, &made, node, err);
}

ps_status ps_expr_i64(ps_expr *expr, int64_t value, const char *format, int32_t *node,
                      ps_error *err)
{
    ps_node made = {.kind = PS_NODE_LITERAL, .type = ps_type_make(PS_TYPE_INT64, PS_UNIT_NONE)};
    if (format != NULL) {
        PS_TRY(ps_type_from_format(format, &made.type, err));
        if (ps_type_class(&made.type) != PS_CLASS_I64 || made.type.index != 0) {
            return ps_fail(err, PS_TYPE, "an integer literal cannot have the type '%s'", format);
        }
    }
    const int bits = 8 * made.type.width;
    if (bits < 64 && (value >> (bits - 1)) != 0 && (value >> (bits - 1)) != -1) {
        return ps_fail(err, PS_OVERFLOW, "the literal %lld does not fit the type '%s'",
                       (long long)value, format);
    }
    made.value.i = value;
    return add(expr, &made, node, err);
}

ps_status ps_expr_u64(ps_expr *expr, uint64_t value, int32_t *node, ps_error *err)
{
    ps_node made = {.kind = PS_NODE_LITERAL, .type = ps_type_make(PS_TYPE_UINT64, PS_UNIT_NONE)};
    made.value.u = value;
    return add(expr, &made, node, err);
}

ps_status ps_expr_f64(ps_expr *expr, double value, int32_t *node, ps_error *err)
{
    ps_node made = {.kind = PS_NODE_LITERAL, .type = ps_type_make(PS_TYPE_FLOAT64, PS_UNIT_NONE)};
    made.value.f = value;
    return add(expr, &made, node, err);
}

ps_status ps_expr_string(ps_expr *expr, const char *data, int64_t size_bytes, bool binary,
                         int32_t *node, ps_error *err)
{
    if (size_bytes < 0 || size_bytes > INT32_MAX) {
        return ps_fail(err, PS_INVALID, "a string literal of %lld bytes is too long",
                       (long long)size_bytes);
    }
    ps_node made = {.kind = PS_NODE_LITERAL,
                    .type = ps_type_make(binary ? PS_TYPE_BINARY : PS_TYPE_UTF8, PS_UNIT_NONE)};
    made.value.s.data = ps_arena_text(&expr->arena, data, (size_t)size_bytes);
    made.value.s.size_bytes = size_bytes;
    if (made.value.s.data == NULL) {
        return refused(expr, (size_t)size_bytes, err);
    }
    return add(expr, &made, node, err);
}

ps_status ps_expr_call(ps_expr *expr, const char *function, const int32_t *arguments, int32_t count,
                       const char *text, int64_t integer, int32_t *node, ps_error *err)
{
    if (count < 0 || count > ARGUMENTS_MAX) {
        return ps_fail(err, PS_INVALID, "%s: %d arguments; at most %d are possible", function,
                       count, ARGUMENTS_MAX);
    }
    for (int32_t i = 0; i < count; i++) {
        if (arguments[i] < 0 || arguments[i] >= expr->count) {
            return ps_fail(err, PS_INVALID, "%s: argument %d is node %d, of %d nodes", function, i,
                           arguments[i], expr->count);
        }
    }
    ps_node made = {.kind = PS_NODE_CALL, .argument_count = count, .integer = integer};
    const size_t size_bytes = (size_t)count * sizeof(int32_t);
    int32_t *copy = ps_arena_alloc(&expr->arena, size_bytes);
    made.name = ps_arena_text(&expr->arena, function, strlen(function));
    if (text != NULL) {
        made.text = ps_arena_text(&expr->arena, text, strlen(text));
    }
    if (copy == NULL || made.name == NULL || (text != NULL && made.text == NULL)) {
        return refused(expr, size_bytes + strlen(function), err);
    }
    if (count > 0) {
        memcpy(copy, arguments, size_bytes);
    }
    made.arguments = copy;
    return add(expr, &made, node, err);
}
