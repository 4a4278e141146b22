/* sink.h -- the last operator of a query: results, barriers and the end go to an outbox of one
 * target (a ring to the driving thread, or a fifo inside it); the watermark is only its metric. */
#ifndef PS_OPERATORS_SINK_H
#define PS_OPERATORS_SINK_H

#include "operators/op.h"
#include "queue/outbox.h"

/* outbox: borrowed, outlives the sink. */
PS_MUST_CHECK ps_status ps_sink_create(ps_mem *mem, ps_schema *schema, ps_outbox *outbox,
                                       ps_operator **out, ps_error *err);

#endif
