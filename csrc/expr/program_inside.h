/* program_inside.h -- the inside of a program, shared by program*.c only.
 *
 *     program.c         made and freed, and run over a chunk
 *     program_parts.c   what depends on one dictionary alone, computed once a value of it
 *     program_batch.c   chunk after chunk: columns and selections of whole batches
 */
#ifndef PS_EXPR_PROGRAM_INSIDE_H
#define PS_EXPR_PROGRAM_INSIDE_H

#include "expr/code.h"
#include "expr/program.h"

typedef enum part_mode {
    PART_UNKNOWN = 0, /* nothing prepared for this batch */
    PART_TABLE,       /* one result a dictionary value, and one for null */
    PART_DIRECT, /* a dictionary too large for its rows, or with values that fail: row by row */
} part_mode;

typedef struct part_state {
    ps_program *program; /* of its own, over the values of the dictionary */
    part_mode mode;
    const ps_column *dictionary; /* for which mode was decided */
    uint8_t *values;
    uint8_t *valid;
    bool values_valid; /* every entry but that of null */
    int64_t capacity;  /* of values and valid */
} part_state;

struct ps_program {
    ps_mem *mem;
    ps_code *code;
    bool is_part; /* its code is not counted: the outer program keeps it */
    ps_vector *slots;
    ps_vector_scratch *rooms;
    ps_arena arena;
    part_state *parts;
};

/* program.c: n <= PS_CHUNK_ROWS rows of a source. target: where the values of the last operation
 * shall go when it writes 8-byte values, or NULL. */
PS_MUST_CHECK ps_status ps_program_eval_source(ps_program *program, const ps_source *source,
                                               int64_t n, void *target, ps_vector *out,
                                               ps_error *err);
/* The same for rows of a batch, as a chunk of its own: strings of the one before are gone. */
PS_MUST_CHECK ps_status ps_program_eval_rows(ps_program *program, const ps_batch *batch,
                                             const uint32_t *rows, int64_t start, int64_t count,
                                             void *target, ps_vector *out, ps_error *err);
/* program_parts.c */
void ps_part_free_table(ps_mem *mem, part_state *part, ps_class kind);

#endif
