/* outbox.h -- the way out of a task: one target a consumer, each a ring and what waits for room in
 * it.
 *
 * A task may not block, so what does not fit into a ring waits here and the task takes no further
 * work until flush says that nothing waits. That bounds it: what one step makes, at most.
 * Order is kept per target; a full ring holds up only its own target. Rest also comes when every
 * ring holds as many rows as keep its consumer busy (row_low): filling them to the brim would only
 * push what is in them out of the caches, while one ring with less lets the others fill up.
 * A target without a ring keeps its messages until their reader takes them from the fifo itself:
 * results inside the driving thread. It never counts as waiting.
 */
#ifndef PS_QUEUE_OUTBOX_H
#define PS_QUEUE_OUTBOX_H

#include "queue/fifo.h"
#include "queue/ring.h"

typedef struct ps_outbox_target {
    ps_ring *ring; /* borrowed; NULL: collect */
    ps_fifo waiting;
} ps_outbox_target;

typedef struct ps_outbox {
    ps_mem *mem;
    ps_outbox_target *targets;
    int32_t target_count;
} ps_outbox;

/* Targets start without a ring; the caller sets targets[i].ring. */
PS_MUST_CHECK ps_status ps_outbox_init(ps_outbox *outbox, ps_mem *mem, int32_t target_count,
                                       ps_error *err);
/* Clears what waits. A zeroed outbox is allowed. */
void ps_outbox_fini(ps_outbox *outbox);

/* On PS_OK the outbox owns what *taken owned. Wakes the consumer when it reached the ring. */
PS_MUST_CHECK ps_status ps_outbox_send(ps_outbox *outbox, int32_t target, const ps_message *taken,
                                       ps_error *err);
/* The same watermark, barrier or end to every target. */
PS_MUST_CHECK ps_status ps_outbox_broadcast(ps_outbox *outbox, const ps_message *message,
                                            ps_error *err);
/* Pushes what there is room for; true when nothing waits for a ring any more and some consumer has
 * less to do than enough. */
bool ps_outbox_flush(ps_outbox *outbox);

#endif
