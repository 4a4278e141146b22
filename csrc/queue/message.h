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
    ps_batch *batch;         /* batch */
    ps_selection *selection; /* batch: NULL = all rows */
    int64_t value;           /* watermark: the time; idle: 1, awake: 0; barrier: the epoch */
} ps_message;

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
