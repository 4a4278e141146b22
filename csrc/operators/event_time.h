/* event_time.h -- declares the event time of an input and makes its watermark. */
#ifndef PS_OPERATORS_EVENT_TIME_H
#define PS_OPERATORS_EVENT_TIME_H

#include "operators/op.h"

enum { PS_EVENT_TIME_SOURCES = 3 };

typedef struct ps_event_time_args {
    int32_t column;           /* a timestamp column of the schema */
    int64_t out_of_orderness; /* >= 0, in its unit */
    int64_t max_future;       /* as in window/watermark.h, 0 = no guard */
    /* Where its rows come from, for errors: names, which outlive the operator, of the first
     * sources; how many there are, 0: rows are made between; and whether not all rows come. */
    const char *sources[PS_EVENT_TIME_SOURCES];
    int32_t source_count;
    bool filtered;
} ps_event_time_args;

/* A null event time is PS_INVALID, and the error counts the rows before it. Passes each batch on,
 * then the watermark (largest time so far - out_of_orderness, when it grew). Rows behind the
 * watermark of the rows before them get a late_watermark (batch.h). Watermarks from upstream other
 * than PS_TIME_MAX are dropped. */
PS_MUST_CHECK ps_status ps_event_time_create(ps_mem *mem, ps_schema *schema,
                                             const ps_event_time_args *args, ps_operator **out,
                                             ps_error *err);

#endif
