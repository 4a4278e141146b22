/* compile.c -- from an expression forest to code: nodes become typed values, arguments first
 * (functions.c), and values become instructions (generate.c).
 */
#include <string.h>

#include "expr/compile.h"

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
            ps_generate(&c, code, value);
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
