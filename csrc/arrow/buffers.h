/* buffers.h -- what a computed column lives in: up to three blocks and the owners they lean on.
 *
 * Private to arrow/. Blocks may grow until the column is handed out.
 */
#ifndef PS_ARROW_BUFFERS_H
#define PS_ARROW_BUFFERS_H

#include "arrow/column.h"

#define PS_BUFFERS_MAX 3

typedef struct ps_buffers {
    ps_owner owner;
    ps_mem *mem;           /* retained */
    ps_owner *leans_on[2]; /* retained: a shared dictionary or view data, a schema */
    struct {
        void *data;
        size_t size_bytes;
    } blocks[PS_BUFFERS_MAX];
    const void *view_buffers[2]; /* of a written view column: its data, and the size of that */
    int64_t view_size;
} ps_buffers;

PS_MUST_CHECK ps_status ps_buffers_create(ps_mem *mem, ps_buffers **out, ps_error *err);
/* Allocates block `index`, not initialised. */
PS_MUST_CHECK ps_status ps_buffers_alloc(ps_buffers *buffers, int32_t index, size_t size_bytes,
                                         const char *what, ps_error *err);
/* Makes block `index` at least that large; its content moves along. */
PS_MUST_CHECK ps_status ps_buffers_grow(ps_buffers *buffers, int32_t index, size_t size_bytes,
                                        const char *what, ps_error *err);
/* Retains owner (NULL allowed) for as long as the buffers live; twice at most. */
void ps_buffers_lean(ps_buffers *buffers, ps_owner *owner);

#endif
