/* source.h -- the first operator of an input: counts what comes in and hands it on. */
#ifndef PS_OPERATORS_SOURCE_H
#define PS_OPERATORS_SOURCE_H

#include "operators/op.h"

PS_MUST_CHECK ps_status ps_source_create(ps_mem *mem, ps_schema *schema, ps_operator **out,
                                         ps_error *err);

#endif
