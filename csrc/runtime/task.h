/* task.h -- one piece of work of one thread: operators, the channels they read, the rings they
 * fill.
 *
 * A task never blocks. Each step does one bounded thing, the first of these that there is to do:
 *
 *   1. push what waits for room in a ring        (still waiting: BLOCKED, nothing else is done)
 *   2. resume the most downstream operator that has work left
 *   3. take one message from a channel and run it through the chain   (none: IDLE or DONE)
 *
 * So what waits in outboxes is bounded by what one step makes, and an operator with work left gets
 * no new message. Channels are merged: least watermark, aligned barriers, one end (queue/merge.h).
 * The source side has no channels: the engine delivers to its first operators itself.
 * Used by one thread at a time; the state written at a barrier may be read by another thread once
 * the barrier has reached it through a ring.
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

/* One batch of state that an operator wrote at a barrier. */
typedef struct ps_task_snapshot {
    int32_t operator_id;
    ps_batch *batch; /* retained */
} ps_task_snapshot;

/* A way out: the operator at its end counts the time it was full. */
typedef struct ps_task_exit {
    ps_outbox outbox;
    ps_operator *op;          /* exchange or sink */
    int64_t blocked_since_ns; /* 0: not blocked */
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
    ps_merge merge; /* of the channels of inbox */
    ps_task_snapshot *snapshots;
    int64_t snapshot_count;
    int64_t snapshot_capacity;
    bool settled; /* no operator has work left */
    bool ended;   /* the end was delivered */
} ps_task;

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
PS_MUST_CHECK ps_status ps_task_resume(ps_task *task, bool *worked, ps_error *err);
/* Runs a message through the chain that begins at `first`. The message stays the caller's. */
PS_MUST_CHECK ps_status ps_task_deliver(ps_task *task, ps_operator *first,
                                        const ps_message *message, ps_error *err);
/* To be called before a new barrier; a step with channels does it by itself. */
void ps_task_forget_snapshots(ps_task *task);

#endif
