/* input.h -- one input of an engine: what was offered and waits to be processed.
 *
 * Arrays are imported without copying, checked, and cut into batches of at most PS_INPUT_ROWS
 * rows. The driving thread offers; whoever has the turn takes (source_side.h), under one lock.
 */
#ifndef PS_RUNTIME_INPUT_H
#define PS_RUNTIME_INPUT_H

#include <stdatomic.h>

#include "queue/fifo.h"

typedef struct ps_input {
    ps_mem *mem;
    const char *name;   /* the plan's */
    ps_schema *schema;  /* retained */
    const bool *wanted; /* columns anything looks at; NULL: all */
    ps_fifo waiting;
    _Atomic int64_t offered;        /* rows, in all; any thread reads it for metrics */
    int64_t watermark;              /* last one offered */
    bool idle;                      /* last told */
    bool finished;                  /* its end was offered */
    bool ended;                     /* its end was processed */
    const ArrowArrayStream *stream; /* whose schema was checked last, */
    const void *stream_data;        /* told apart by this too */
} ps_input;

void ps_input_init(ps_input *input, ps_mem *mem, const char *name, ps_schema *schema,
                   const bool *wanted);
void ps_input_fini(ps_input *input); /* a zeroed input is allowed */

/* As ps_engine_push and its sisters. */
PS_MUST_CHECK ps_status ps_input_push(ps_input *input, ArrowArray *array, ps_error *err);
PS_MUST_CHECK ps_status ps_input_push_batch(ps_input *input, ps_batch *batch, ps_error *err);
PS_MUST_CHECK ps_status ps_input_push_watermark(ps_input *input, int64_t watermark, ps_error *err);
PS_MUST_CHECK ps_status ps_input_set_idle(ps_input *input, bool idle, ps_error *err);
PS_MUST_CHECK ps_status ps_input_finish(ps_input *input, ps_error *err);
PS_MUST_CHECK ps_status ps_input_push_barrier(ps_input *input, int64_t epoch, ps_error *err);

/* The next array of a stream, to be pushed; *end: there is none. For the driving thread, without
 * the lock: a stream takes its time. PS_SOURCE: the stream itself failed (nothing is lost here). */
PS_MUST_CHECK ps_status ps_input_next(ps_input *input, ArrowArrayStream *stream, ArrowArray *array,
                                      bool *end, ps_error *err);

#endif
