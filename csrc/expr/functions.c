/* functions.c -- a function of the public list (program.h) by its name.
 *
 * docs/internals/expr.md has them with their types.
 */
#include <stdio.h>
#include <string.h>

#include "expr/bind.h"

int32_t ps_wrong_types(const ps_binding *b, const char *wanted)
{
    char found[256] = "";
    size_t used = 0;
    const char *advice = "";
    for (int32_t k = 0; k < b->count && used < sizeof found; k++) {
        char text[PS_DESCRIBE];
        const ps_type type = ps_argument_type(b, k);
        advice = advice[0] == '\0' ? ps_type_advice(type, type) : advice;
        ps_type_describe(&type, text, sizeof text);
        used += (size_t)snprintf(found + used, sizeof found - used, "%s%s", k == 0 ? "" : " and ",
                                 text);
    }
    return ps_compiler_fail(b->c, PS_TYPE, "%s: takes %s, got %s%s", b->node->name, wanted, found,
                            advice);
}

static const ps_function *find_function(const char *name)
{
    static const ps_function *const families[] = {ps_arith_functions, ps_compare_functions,
                                                  ps_logic_functions, ps_convert_functions,
                                                  ps_time_functions,  ps_text_functions};
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        for (const ps_function *at = families[f]; at->name != NULL; at++) {
            if (strcmp(at->name, name) == 0) {
                return at;
            }
        }
    }
    return NULL;
}

int32_t ps_bind(ps_compiler *c, const ps_node *node, const int32_t *arguments)
{
    const ps_function *const found = find_function(node->name);
    if (found == NULL) {
        return ps_compiler_fail(c, PS_INVALID, "unknown function '%s'", node->name);
    }
    if (node->argument_count < found->least || node->argument_count > found->most) {
        return ps_compiler_fail(c, PS_INVALID, "%s: takes %s%d argument%s, got %d", node->name,
                                found->most == PS_ANY_COUNT ? "at least " : "", found->least,
                                found->least == 1 ? "" : "s", node->argument_count);
    }
    const ps_binding b = {.c = c,
                          .node = node,
                          .arguments = arguments,
                          .count = node->argument_count,
                          .variant = found->variant};
    return found->bind(&b);
}
