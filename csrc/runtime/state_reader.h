/* state_reader.h -- the state that tasks hand out, as one sequence for the thread that writes it.
 *
 *     task  -> ring -\
 *     task  -> ring --> inbox -> pieces of epoch n, its end, pieces of epoch n + 1, ...
 *     task  -> ring -/
 *
 * An epoch ends when every task has handed out its part. A task that has ended before the barrier
 * gets none; its operators, which no thread runs any more, are frozen and read here, because a
 * restored run must know that they had ended.
 * Callers      next and wait: one thread. begin: the driving thread. wake: any.
 */
#ifndef PS_RUNTIME_STATE_READER_H
#define PS_RUNTIME_STATE_READER_H

#include "runtime/task.h"

typedef enum ps_state_kind { PS_STATE_NONE = 0, PS_STATE_PIECE, PS_STATE_END } ps_state_kind;

/* One batch of state, or the end of an epoch's. */
typedef struct ps_state_piece {
    ps_state_kind kind;
    int32_t operator_id;
    int32_t shard;
    ps_batch *batch; /* PIECE: one reference for the receiver */
    int64_t epoch;   /* END */
} ps_state_piece;

typedef struct ps_state_reader {
    ps_park park; /* of the reading thread */
    ps_mem *mem;
    ps_ring *rings; /* by task */
    ps_task **tasks;
    int32_t task_count;
    ps_inbox inbox;
    ps_merge merge;
    _Atomic bool all;  /* the barrier under way is for all state */
    _Atomic bool open; /* a barrier was sent and its end not read */
    int64_t epoch;     /* gathered: only tasks that have ended are left */
    int32_t late;      /* of these, the next to look at; task_count: none is left */
    bool late_frozen;  /* its state is being read */
} ps_state_reader;

/* tasks[i] is copied; producers[i] is the park of the thread that runs it. thread_count: threads
 * that will run beside each other. */
PS_MUST_CHECK ps_status ps_state_reader_init(ps_state_reader *reader, ps_mem *mem,
                                             ps_task *const *tasks, ps_park *const *producers,
                                             int32_t task_count, int32_t thread_count,
                                             ps_error *err);
/* No task may run any more. A zeroed reader is allowed. */
void ps_state_reader_fini(ps_state_reader *reader);

/* A barrier is about to be sent. false: the end of the one before has not been read. */
bool ps_state_reader_begin(ps_state_reader *reader, bool all);
/* It could not be sent. */
void ps_state_reader_take_back(ps_state_reader *reader);
/* What there is now; kind NONE when there is nothing. */
PS_MUST_CHECK ps_status ps_state_reader_next(ps_state_reader *reader, ps_state_piece *out,
                                             ps_error *err);
/* Sleeps until there may be something, a wake, or the time is up (negative: no limit). */
void ps_state_reader_wait(ps_state_reader *reader, int64_t timeout_ns);

#endif
