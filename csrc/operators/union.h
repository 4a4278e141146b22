/* union.h -- rows of several inputs as one stream.
 *
 * Inside one task each input ends in a port of the union, which passes batches on and merges
 * watermarks, barriers and ends (queue/merge.h). Where the inputs come through rings the task's
 * inbox has merged them already, and the union is entered directly: then it only passes on.
 */
#ifndef PS_OPERATORS_UNION_H
#define PS_OPERATORS_UNION_H

#include "operators/op.h"

PS_MUST_CHECK ps_status ps_union_create(ps_mem *mem, ps_schema *schema, int32_t input_count,
                                        ps_operator **out, ps_error *err);
/* What the last operator of input `index` has as its next; owned by the union. */
ps_operator *ps_union_port(ps_operator *op, int32_t index);

#endif
