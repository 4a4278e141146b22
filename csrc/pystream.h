/* pystream.h -- the whole C surface: what Cython and cffi may call.
 *
 * Everything marked PS_API in the headers below is exported from libpystream_core; the rest is
 * hidden.
 */
#ifndef PYSTREAM_H
#define PYSTREAM_H

#include "arrow/batch.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "base/pages.h"
#include "base/thread_name.h"
#include "expr/program.h"
#include "operators/partition.h"
#include "queue/log_head.h"
#include "runtime/engine.h"
#include "runtime/plan.h"
#include "simd/dispatch.h"

PS_API const char *ps_version(void);

/* Batches at the edge (Python objects hold one reference each). */
PS_API int64_t ps_batch_length(const ps_batch *batch);
PS_API int64_t ps_batch_bytes(const ps_batch *batch);
PS_API PS_MUST_CHECK ps_status ps_batch_from_arrow(ps_mem *mem, ArrowSchema *schema,
                                                   ArrowArray *array, ps_batch **out,
                                                   ps_error *err);
PS_API PS_MUST_CHECK ps_status ps_batch_to_arrow(ps_batch *batch, ArrowSchema *schema,
                                                 ArrowArray *array, ps_error *err);
/* All batches (one schema) as one stream; retains them. schema: of a node, when count is 0. */
PS_API PS_MUST_CHECK ps_status ps_batches_to_stream(ps_mem *mem, const ArrowSchema *schema,
                                                    ps_batch *const *batches, int64_t count,
                                                    ArrowArrayStream *out, ps_error *err);
/* Materialises a message's selection: a batch of just those rows, one reference for the caller. */
PS_API PS_MUST_CHECK ps_status ps_message_batch(ps_message *message, ps_batch **out, ps_error *err);

#endif
