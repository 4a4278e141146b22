/* message.h -- what travels between operators and through rings: batch, watermark, idleness,
 * barrier or end.
 *
 * A batch message owns one reference to its batch and, when only some rows are meant, one to the
 * selection. Order on an edge is the order of meaning: a watermark speaks about the batches that
 * come after it, a barrier separates the epochs before and after it, nothing follows an end.
 * Idle: nobody is to wait for this edge's watermark until it says that it is awake again, which it
 * does before its next batch.
 */
#ifndef PS_QUEUE_MESSAGE_H
#define PS_QUEUE_MESSAGE_H

#include "arrow/batch.h"

typedef enum ps_message_kind {
    PS_MESSAGE_NONE = 0,
    PS_MESSAGE_BATCH,
    PS_MESSAGE_WATERMARK,
    PS_MESSAGE_IDLE,
    PS_MESSAGE_BARRIER,
    PS_MESSAGE_END,
} ps_message_kind;

typedef struct ps_message {
    ps_message_kind kind;
    uint32_t size_kib;       /* batch: what it keeps in memory, for the bounds of channels */
    ps_batch *batch;         /* batch */
    ps_selection *selection; /* batch: NULL = all rows */
    int64_t value;           /* watermark: the time; idle: 1, awake: 0; barrier: the epoch */
} ps_message;

_Static_assert(sizeof(ps_message) == 32, "two messages share a cache line");

/* A message with rows, which takes over both references. A selection counts as the whole batch:
 * that is what it keeps alive. Rounded up, as a batch of one row costs about a KiB too. */
static inline ps_message ps_message_of(ps_batch *batch, ps_selection *selection, int64_t size_bytes)
{
    const int64_t size_kib = (size_bytes >> 10) + 1;
    return (ps_message){.kind = PS_MESSAGE_BATCH,
                        .size_kib = (uint32_t)ps_min_i64(size_kib, UINT32_MAX),
                        .batch = batch,
                        .selection = selection};
}

/* Rows a batch message means; 0 for the others. */
static inline int64_t ps_message_rows(const ps_message *message)
{
    if (message->kind != PS_MESSAGE_BATCH) {
        return 0;
    }
    return message->selection != NULL ? message->selection->count : message->batch->length;
}

/* Releases what the message owns and makes it NONE. */
PS_API void ps_message_clear(ps_message *message);

#endif
