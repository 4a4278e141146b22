/* agg_spec.h -- aggregates by name, as the plan is given them.
 *
 *   count        rows (no input)                         -> int64
 *   count_valid  non-null values                         -> int64
 *   sum          ints -> int64 (unsigned: uint64; past the range is PS_OVERFLOW), floats ->
 *                float64, bool -> int64, duration -> the same; no value: 0
 *   mean         numbers, bool -> float64                   no value: null (also below)
 *   min max      numbers, bool, temporal, strings -> the same
 *   var std      numbers -> float64; parameter = delta degrees of freedom
 *   first last   any loadable type -> the same; by event time, ties by arrival
 *   any all      bool -> bool
 *   weighted_mean  numbers (second input = weight) -> float64
 *
 * Null inputs are skipped by all but count. NaN: min and max skip it unless there is nothing else.
 */
#ifndef PS_STATE_AGG_SPEC_H
#define PS_STATE_AGG_SPEC_H

#include "expr/program.h"

typedef enum ps_agg_function {
    PS_AGG_COUNT = 0,
    PS_AGG_COUNT_VALID,
    PS_AGG_SUM,
    PS_AGG_MEAN,
    PS_AGG_MIN,
    PS_AGG_MAX,
    PS_AGG_VAR,
    PS_AGG_STD,
    PS_AGG_FIRST,
    PS_AGG_LAST,
    PS_AGG_ANY,
    PS_AGG_ALL,
    PS_AGG_WEIGHTED_MEAN,
} ps_agg_function;

/* One output column of an aggregation. Inputs are node numbers of the ps_expr passed beside it; -1
 * = none. */
typedef struct ps_agg_spec {
    ps_agg_function function;
    const char *name; /* output column */
    int32_t input;
    int32_t weight;    /* weighted_mean */
    int32_t parameter; /* var, std: delta degrees of freedom */
} ps_agg_spec;

#endif
