/* code.h -- compiled programs: what compile.c makes, program.c runs, and clones share. */
#ifndef PS_EXPR_CODE_H
#define PS_EXPR_CODE_H

#include "expr/forest.h"
#include "expr/ops.h"

/* One operation. Operands and result are slots; a slot holds the ps_vector of one value. */
typedef struct ps_instruction {
    const ps_op *op;
    int32_t a, b, c; /* slots, -1 = none */
    int32_t out;     /* slot */
    int32_t room;    /* scratch the result is written to, -1 = none needed */
    int64_t b_step;
    int64_t i, j;
    const void *p;
    const char *name;
    ps_type type;
    ps_type a_type;
    ps_class kind; /* of the result */
} ps_instruction;

typedef struct ps_code ps_code;

/* A part of a program that depends on one dictionary-encoded column alone. */
typedef struct ps_dictionary_part {
    int32_t column;
    ps_code *code; /* inside the arena of the outermost code */
} ps_dictionary_part;

struct ps_code {
    ps_owner owner; /* only the outermost code is counted */
    ps_mem *mem;    /* retained by the outermost */
    ps_arena arena; /* of the outermost: everything below and every part */
    ps_type type;
    ps_class kind;
    bool nullable;
    int32_t column; /* the program is nothing but this column, or -1 */
    int32_t field_count;
    const bool *wanted; /* per field */
    int32_t instruction_count;
    ps_instruction *instructions;
    int32_t slot_count;
    ps_vector *slots; /* constants filled in, the rest empty */
    int32_t result;   /* slot */
    int32_t room_count;
    int32_t part_count;
    ps_dictionary_part *parts;
};

ps_status ps_code_compile(ps_mem *mem, const ps_expr *expr, int32_t root, const ps_schema *schema,
                          ps_code **out, ps_error *err);

#endif
