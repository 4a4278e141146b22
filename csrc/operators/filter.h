/* filter.h -- keeps the rows for which a predicate is true; copies nothing. */
#ifndef PS_OPERATORS_FILTER_H
#define PS_OPERATORS_FILTER_H

#include "expr/program.h"
#include "operators/op.h"

/* predicate: a boolean program over schema, taken. Output rows travel as a selection. */
PS_MUST_CHECK ps_status ps_filter_create(ps_mem *mem, ps_schema *schema,
                                         ps_program *predicate_taken, ps_operator **out,
                                         ps_error *err);

#endif
