/* project.h -- computes the output columns from expressions; plain columns are shared, not
 * copied. */
#ifndef PS_OPERATORS_PROJECT_H
#define PS_OPERATORS_PROJECT_H

#include "expr/program.h"
#include "operators/op.h"

/* programs: output->field_count of them, in order; the array is borrowed, the programs are taken.
 * With a selection the output holds just the selected rows (late_watermark included). */
PS_MUST_CHECK ps_status ps_project_create(ps_mem *mem, ps_schema *input, ps_schema *output,
                                          ps_program *const *programs_taken, ps_operator **out,
                                          ps_error *err);

#endif
