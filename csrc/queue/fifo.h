/* fifo.h -- messages waiting inside one thread: a circular buffer that grows.
 *
 * Where a ring is full, where results wait for the caller, where pushed input waits to be
 * processed. A watermark right behind another one replaces it, so that quiet streams cannot pile
 * up. Nothing bounds the length here: who puts decides when to stop (outbox.h, engine.h).
 */
#ifndef PS_QUEUE_FIFO_H
#define PS_QUEUE_FIFO_H

#include "queue/message.h"

typedef struct ps_fifo {
    ps_mem *mem;
    ps_message *items;
    int64_t capacity; /* a power of two, or 0 before the first put */
    int64_t head;     /* slot of the oldest */
    int64_t count;
    int64_t rows;     /* of the batches inside */
    int64_t kib;      /* of the same */
    int64_t barriers; /* inside */
    int64_t ends;
} ps_fifo;

void ps_fifo_init(ps_fifo *fifo, ps_mem *mem);
/* Clears what is left inside. */
void ps_fifo_fini(ps_fifo *fifo);
/* On PS_OK the fifo owns what *taken owned. */
PS_MUST_CHECK ps_status ps_fifo_put(ps_fifo *fifo, const ps_message *taken, ps_error *err);
/* The oldest message, still inside; NULL when empty. Valid until the next put or take. */
const ps_message *ps_fifo_first(const ps_fifo *fifo);
/* Moves the oldest into *out; false when empty. */
bool ps_fifo_take(ps_fifo *fifo, ps_message *out);
/* Moves the newest into *out: takes back what was put last. */
bool ps_fifo_take_last(ps_fifo *fifo, ps_message *out);
/* Makes room, so that the next put needs no memory. */
PS_MUST_CHECK ps_status ps_fifo_reserve(ps_fifo *fifo, ps_error *err);

#endif
