/* event_time.h -- declares the event time of an input and makes its watermark. */
#ifndef PS_OPERATORS_EVENT_TIME_H
#define PS_OPERATORS_EVENT_TIME_H

#include "operators/op.h"

/* column: a timestamp column of schema; out_of_orderness >= 0 in its unit; max_future as
 * in window/watermark.h, 0 = no guard. A null event time is
 * PS_INVALID. Passes each batch on, then the watermark (largest time so far - out_of_orderness,
 * when it grew). Rows behind the watermark of the rows before them get a late_watermark (batch.h).
 * Watermarks from upstream other than PS_TIME_MAX are dropped. */
PS_MUST_CHECK ps_status ps_event_time_create(ps_mem *mem, ps_schema *schema, int32_t column,
                                             int64_t out_of_orderness, int64_t max_future,
                                             ps_operator **out, ps_error *err);

#endif
