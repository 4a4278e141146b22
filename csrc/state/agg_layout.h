/* agg_layout.h -- the inside of a layout, shared by agg*.c only. */
#ifndef PS_STATE_AGG_LAYOUT_H
#define PS_STATE_AGG_LAYOUT_H

#include "state/agg.h"

typedef enum acc_kind {
    ACC_ROWS = 0, /* u64 */
    ACC_VALID,    /* u64 */
    ACC_SUM_I64,  /* i64, checked */
    ACC_SUM_U64,  /* u64, checked */
    ACC_SUM_F64,  /* f64 from -0.0; the input may be any number */
    ACC_MIN_I64,  /* value; empty is told by ACC_VALID or ACC_ROWS */
    ACC_MAX_I64,
    ACC_MIN_U64,
    ACC_MAX_U64,
    ACC_MIN_F64, /* empty = EMPTY_F64 */
    ACC_MAX_F64,
    ACC_MIN_BOOL, /* u64: 3 = empty, else value + 1 */
    ACC_MAX_BOOL, /* u64: 0 = empty, else value + 1 */
    ACC_MIN_STR,  /* ps_string in an arena; data NULL = empty */
    ACC_MAX_STR,
    ACC_MOMENTS,   /* f64 count, mean, sum of squared deviations */
    ACC_WEIGHTED,  /* f64 sum of weight * value, sum of weights */
    ACC_FIRST,     /* i64 time (INT64_MAX = empty), 64-bit value */
    ACC_LAST,      /* i64 time (INT64_MIN = empty), 64-bit value */
    ACC_FIRST_STR, /* i64 time, ps_string */
    ACC_LAST_STR,
    ACC_KIND_COUNT,
} acc_kind;

#define EMPTY_F64_BITS UINT64_C(0x7ff80000deadbeef)

typedef struct acc {
    acc_kind kind;
    int32_t input;
    int32_t weight;
    ps_class input_class;
    ps_class weight_class;
    uint32_t offset;
    int32_t owner;      /* the aggregate that asked first: for messages */
    int32_t counts_for; /* ACC_VALID: the accumulator whose values it counts; 0 = any */
    int32_t since;      /* which change of the query it began with; 0 = with the state */
    char input_text[PS_CANONICAL_TEXT];
    char weight_text[PS_CANONICAL_TEXT];
} acc;

typedef struct agg_output {
    ps_agg_function function;
    ps_type type;
    ps_class kind;
    int32_t main;  /* accumulator */
    int32_t count; /* accumulator that counts what main has seen; -1 = main tells itself */
    int32_t parameter;
    char name[64];
} agg_output;

struct ps_agg_layout {
    ps_mem *mem;
    size_t stride;
    bool invertible;
    bool needs_time;
    bool keeps_strings;
    bool stats_f64; /* rows, sum, min, max of one float input, in this order: the fused update */
    int32_t acc_count;
    int32_t output_count;
    acc *accs;
    agg_output *outputs;
    uint8_t *identity;
};

#define AT(type, row, offset) ((type *)(void *)((row) + (offset)))
#define AT_CONST(type, row, offset) ((const type *)(const void *)((row) + (offset)))

/* Room for every accumulator: of rows, and at most two an aggregate. */
#define ACC_ROOM(aggregates) ((size_t)(aggregates) * 2 + 1)

size_t acc_width(acc_kind kind);

#endif
