/* snapshot_row.h -- the simplest state: one row of named int64 values. */
#ifndef PS_OPERATORS_SNAPSHOT_ROW_H
#define PS_OPERATORS_SNAPSHOT_ROW_H

#include "operators/op.h"

/* For freeze: hands the task a batch of one row with `count` int64 columns. */
PS_MUST_CHECK ps_status ps_snapshot_add_row(ps_operator *op, const char *const *names,
                                            const int64_t *values, int32_t count, ps_error *err);
/* Its schema. */
PS_MUST_CHECK ps_status ps_snapshot_row_schema(ps_operator *op, const char *const *names,
                                               int32_t count, ps_schema **out, ps_error *err);

#endif
