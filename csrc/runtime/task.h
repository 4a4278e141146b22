/* task.h -- one piece of work of one thread: operators, the channels they read, the rings they
 * fill.
 *
 * A task never blocks. Each step does one bounded thing, the first of these that there is to do:
 *
 *   1. push what waits for room in a ring        (still waiting: BLOCKED, nothing else is done)
 *   2. resume the most downstream operator that has work left
 *   3. hand out a part of the state that a barrier froze, once after each message, and always when
 *      there is nothing else to do
 *   4. take one message from a channel and run it through the chain   (none: IDLE or DONE)
 *
 * State leaves through a ring of its own to whoever writes it. When that ring is full no part is
 * made, and everything else goes on.
 * So what waits in outboxes is bounded by what one step makes, and an operator with work left gets
 * no new message. Channels are merged: least watermark, aligned barriers, one end (queue/merge.h).
 * The source side has no channels: the engine delivers to its first operators itself.
 * Used by one thread at a time. Once it has sent its end through the state's ring, it is the
 * reader's of that ring.
 */
#ifndef PS_RUNTIME_TASK_H
#define PS_RUNTIME_TASK_H

#include "base/clock.h"
#include "operators/op.h"
#include "queue/inbox.h"
#include "queue/merge.h"
#include "queue/outbox.h"

typedef enum ps_task_state {
    PS_TASK_PROGRESS = 0, /* something was done */
    PS_TASK_IDLE,         /* nothing to read */
    PS_TASK_BLOCKED,      /* a ring it writes to is full */
    PS_TASK_DONE,         /* the end has gone through */
} ps_task_state;

/* A way out: the operator at its end counts the time it was full. */
typedef struct ps_task_exit {
    ps_outbox outbox;
    ps_operator *op; /* exchange or sink */
    struct ps_task_exit *next;
} ps_task_exit;

typedef struct ps_task {
    ps_snapshot_sink snapshot; /* first: operators see the task through it */
    ps_mem *mem;
    ps_clock clock;
    ps_operator **operators; /* upstream first; owned */
    int32_t operator_count;
    int32_t operator_capacity;
    ps_task_exit *exits; /* owned */
    ps_inbox inbox;
    ps_merge merge;          /* of the channels of inbox */
    ps_outbox state;         /* one target: batches of ps_state_value, barriers, the end */
    const _Atomic bool *all; /* whether a barrier is for all state; NULL: it is */
    bool copying;            /* frozen state is left to be handed out */
    bool copy_is_due;        /* a message came after the last part */
    int32_t copied;          /* operators before it have handed out theirs */
    int64_t epoch;           /* of the state being copied */
    ps_stopwatch idle;       /* time without a message to take; any thread reads it */
    bool fed_by_sources;     /* a channel comes from the source side */
    bool settled;            /* no operator has work left */
    bool ended;              /* the end was delivered */
    bool told_end;           /* also to the reader of the state, whose they are from then on */
} ps_task;

/* What a message with a batch of state carries as its value. */
static inline int64_t ps_state_value(int32_t operator_id, int32_t shard)
{
    return (int64_t)shard << 32 | operator_id;
}

/* channel_count 0: a source side. The caller then sets inbox.channels[i].ring. */
PS_MUST_CHECK ps_status ps_task_create(ps_mem *mem, int32_t channel_count, ps_task **out,
                                       ps_error *err);
/* Closes the operators, clears outboxes and state. NULL allowed. */
void ps_task_destroy(ps_task *task);
/* Appends an operator (taken on PS_OK), after everything upstream of it. */
PS_MUST_CHECK ps_status ps_task_add(ps_task *task, ps_operator *taken, ps_error *err);
/* A new way out of target_count targets; the caller sets its op and rings. Owned by the task. */
PS_MUST_CHECK ps_status ps_task_add_exit(ps_task *task, int32_t target_count, ps_task_exit **out,
                                         ps_error *err);

PS_MUST_CHECK ps_status ps_task_step(ps_task *task, ps_task_state *state, ps_error *err);

/* The parts of a step, for the source side. flush: false while a ring is full. */
bool ps_task_flush(ps_task *task);
/* Then 2 and, if no operator had work left, 3. */
PS_MUST_CHECK ps_status ps_task_resume(ps_task *task, bool *worked, ps_error *err);
/* Runs a message through the chain that begins at `first`. The message stays the caller's. */
PS_MUST_CHECK ps_status ps_task_deliver(ps_task *task, ps_operator *first,
                                        const ps_message *message, ps_error *err);
/* A barrier has passed every operator: freezes their state. A step with channels does it by
 * itself. since_ns: when it came. */
PS_MUST_CHECK ps_status ps_task_freeze(ps_task *task, int64_t epoch, int64_t since_ns,
                                       ps_error *err);
/* One part of the frozen state, if there is any and the ring has room. */
PS_MUST_CHECK ps_status ps_task_copy(ps_task *task, bool *worked, ps_error *err);
/* Whether state, or what ends it, has not reached the ring yet. */
bool ps_task_has_state(const ps_task *task);

#endif
