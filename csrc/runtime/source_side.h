/* source_side.h -- the sources of an engine and what follows them up to the first exchange: one
 * task, processed in turns by whoever has the time.
 *
 * The driving thread offers input. It also processes it, unless there are as many shards with work
 * as cores: a third thread beside two busy ones waits for a core while a shard runs dry, so there a
 * shard takes the turn when little is left for it, and finds its part in its own cache.
 * The driving thread then keeps some input ahead, and processes it only while a shard sleeps.
 *
 * Callers      join, help, awake, leave: threads of shards. All else: the driving thread.
 * Lock         one mutex around the task and what waits for it, held for one turn at most: some
 *              0.1 ms for the exchange of PS_INPUT_ROWS rows. Streams are asked for arrays outside,
 *              and a batch is let go outside: both may want the lock of an interpreter. Whoever
 *              calls from under such a lock gives it up first, for operators let batches go too.
 * No lost      A shard that finds nothing counts itself in idle_count before it lets the mutex go,
 * input        and the driving thread looks at idle_count behind what it put under that mutex: it
 *              processes that itself, or the shard has found it.
 */
#ifndef PS_RUNTIME_SOURCE_SIDE_H
#define PS_RUNTIME_SOURCE_SIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/input.h"
#include "runtime/node.h"
#include "runtime/task.h"

typedef enum ps_turn {
    PS_TURN_WORKED = 0,
    PS_TURN_NOTHING, /* nothing waits */
    PS_TURN_BLOCKED, /* rings are full, or what waits is left to the shards */
} ps_turn;

typedef struct ps_source_side {
    pthread_mutex_t lock;
    ps_mem *mem;
    ps_clock clock;
    ps_task *task;         /* borrowed, as all below but inputs */
    ps_operator **sources; /* by input: the first of its chain; NULL: nobody reads it */
    ps_park *park;         /* of the driving thread */
    ps_input *inputs;
    int32_t input_count;
    int32_t next_input;         /* to look at first */
    int64_t kib_limit;          /* of an input, what the driving thread keeps ahead */
    bool shareable;             /* shards may join; else nothing is locked */
    bool started;               /* a message has been processed */
    int32_t helper_count;       /* shards that run */
    _Atomic int32_t idle_count; /* and those of them that sleep */
} ps_source_side;

/* wanted: by input, as in ps_input. fini allows a side that is zeroed, or whose init failed. */
PS_MUST_CHECK ps_status ps_source_side_init(ps_source_side *side, ps_mem *mem, const ps_plan *plan,
                                            ps_task *task, ps_operator **sources, bool **wanted,
                                            ps_park *park, bool shareable, int64_t kib_limit,
                                            ps_error *err);
void ps_source_side_fini(ps_source_side *side);

/* The input of that number. */
PS_MUST_CHECK ps_status ps_source_side_find(ps_source_side *side, int32_t index, ps_input **out,
                                            ps_error *err);
/* The same with the lock: what is offered goes between begin and end. */
PS_MUST_CHECK ps_status ps_source_side_begin(ps_source_side *side, int32_t index, ps_input **out,
                                             ps_error *err);
void ps_source_side_end(ps_source_side *side);
/* Sends a barrier behind all that was offered; an error sends none. */
PS_MUST_CHECK ps_status ps_source_side_barrier(ps_source_side *side, int64_t epoch, ps_error *err);
/* Whether the end of every input has been processed, and whether frozen state is still here. */
void ps_source_side_look(ps_source_side *side, bool *ended, bool *has_state);
/* Whether threads of shards take turns now. */
bool ps_source_side_is_shared(ps_source_side *side);
/* Whether the shards use up what waits, and an input (NULL: some input) should be offered more. */
bool ps_source_side_wants(ps_source_side *side, const ps_input *input);

/* One bounded piece of work: what waits for room, what operators have left, a part of the state
 * when it is due, one waiting message (not without may_feed). *rows: of that message; 0 where
 * shards take turns, for there rows count when they are offered. */
PS_MUST_CHECK ps_status ps_source_side_turn(ps_source_side *side, bool may_feed, int64_t *rows,
                                            ps_turn *turn, ps_error *err);
/* A part of the frozen state, if there is any and room for it. */
PS_MUST_CHECK ps_status ps_source_side_copy(ps_source_side *side, bool *worked, ps_error *err);

/* The thread of a shard begins to take turns, and ends. */
void ps_source_side_join(ps_source_side *side);
void ps_source_side_leave(ps_source_side *side);
/* A turn by a shard. dry: it has nothing else to do; without *worked it counts as idle from then
 * on, sleeps, and says when it is awake. */
PS_MUST_CHECK ps_status ps_source_side_help(ps_source_side *side, bool dry, bool *worked,
                                            ps_error *err);
void ps_source_side_awake(ps_source_side *side);

#endif
