/* forest.h -- what a ps_expr holds: untyped nodes, arguments first. Read by compile.c. */
#ifndef PS_EXPR_FOREST_H
#define PS_EXPR_FOREST_H

#include "base/arena.h"
#include "expr/program.h"

typedef enum ps_node_kind { PS_NODE_COLUMN, PS_NODE_LITERAL, PS_NODE_CALL } ps_node_kind;

/* One value of any class. */
typedef union ps_scalar {
    uint8_t b;
    int64_t i;
    uint64_t u;
    double f;
    ps_string s;
} ps_scalar;

typedef struct ps_node {
    ps_node_kind kind;
    int32_t argument_count; /* call */
    const int32_t *arguments;
    const char *name; /* column or function */
    const char *text; /* call: NULL or an option */
    int64_t integer;
    ps_type type; /* literal; PS_TYPE_NULL is the untyped null */
    ps_scalar value;
} ps_node;

struct ps_expr {
    _Atomic int64_t references;
    ps_mem *mem; /* retained */
    ps_arena arena;
    int32_t count;
    int32_t capacity;
    ps_node *nodes;
};

/* A plain type of that id with its usual width; unit only where the type has one. */
ps_type ps_type_make(ps_type_id id, ps_unit unit);
/* A canonical format string ("i", "tsu:", ...) as a type; PS_INVALID names the text. */
ps_status ps_type_from_format(const char *format, ps_type *out, ps_error *err);

#endif
