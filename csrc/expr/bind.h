/* bind.h -- from a call by name to typed values: what the families of functions share.
 *
 * A binder looks at the types of its arguments and emits the operations of the call, or fails.
 * Errors stick (compile.h): it looks at the status only before it looks into a value that it made.
 * A family is a table of names with their binders; functions.c looks a name up in all of them.
 */
#ifndef PS_EXPR_BIND_H
#define PS_EXPR_BIND_H

#include "expr/compile.h"

#define PS_DESCRIBE 64 /* bytes for the description of a type in an error */

typedef struct ps_binding {
    ps_compiler *c;
    const ps_node *node;
    const int32_t *arguments;
    int32_t count;
    int64_t variant; /* from the table */
} ps_binding;

typedef struct ps_function {
    const char *name;
    int32_t (*bind)(const ps_binding *b);
    int64_t variant;
    int32_t least; /* arguments */
    int32_t most;
} ps_function;

#define PS_ANY_COUNT INT32_MAX

/* Each ends with a NULL name. */
extern const ps_function ps_arith_functions[];   /* bind_arith.c */
extern const ps_function ps_logic_functions[];   /* bind_logic.c */
extern const ps_function ps_time_functions[];    /* bind_time.c */
extern const ps_function ps_text_functions[];    /* bind_text.c */
extern const ps_function ps_compare_functions[]; /* compare.c */
extern const ps_function ps_convert_functions[]; /* convert.c */

/* "add: takes numbers or times, got utf8 and int64" */
int32_t ps_wrong_types(const ps_binding *b, const char *wanted);

static inline ps_type ps_argument_type(const ps_binding *b, int32_t k)
{
    return b->c->values[b->arguments[k]].type;
}

/* Both arguments of two, each made to go with the other (ps_adopt). */
static inline bool ps_adopt_arguments(const ps_binding *b, int32_t *x, int32_t *y)
{
    *x = b->arguments[0];
    *y = b->arguments[1];
    ps_adopt(b->c, x, y);
    return b->c->status == PS_OK;
}

#endif
