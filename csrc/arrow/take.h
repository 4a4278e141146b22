/* take.h -- gathering rows: what take.c and take_nested.c share. Private to arrow/. */
#ifndef PS_ARROW_TAKE_H
#define PS_ARROW_TAKE_H

#include "arrow/buffers.h"

/* Gathers the validity of rows into block `index` of buffers and into out->validity; leaves it NULL
 * when no taken row is null. Sets out->null_count. */
PS_MUST_CHECK ps_status ps_take_validity(const ps_column *column, const uint32_t *rows,
                                         int64_t count, ps_buffers *buffers, int32_t index,
                                         ps_column *out, ps_error *err);
/* ps_column_take for opaque columns. */
PS_MUST_CHECK ps_status ps_take_nested(ps_mem *mem, const ps_column *column, const uint32_t *rows,
                                       int64_t count, ps_column *out, ps_error *err);

#endif
