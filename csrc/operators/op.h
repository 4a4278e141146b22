/* op.h -- the operator contract.
 *
 * An operator is one node of one task's chain, used by one thread at a time. The chain runs it by
 * these calls and by nothing else:
 *
 *   on_batch      rows in (batch borrowed for the call: retain it to keep it; selection may be
 *                 NULL)
 *   on_watermark  no row below this time comes any more; PS_TIME_MAX: none comes at all
 *   on_idle       nobody is to wait for the watermark of this input; false: it is awake again.
 *                 NULL: passed on
 *   on_barrier    finish what belongs before it, then pass it on
 *   on_end        the input has ended (after its watermark PS_TIME_MAX): pass it on
 *   resume        do one bounded part of the work that on_watermark left (emission); *more says
 *                 whether some is left. NULL for operators that never leave work behind
 *   freeze        the state is to be written as it is now (all: whole; else what changed since the
 *                 last freeze): remember it, in a time that does not depend on its size. Called
 *                 when a barrier has passed the whole chain. NULL: stateless
 *   copy          hand out a bounded part of the frozen state with ps_snapshot_add; *more says
 *                 whether some is left. Rows, watermarks and the end may come in between, another
 *                 freeze not. NULL: freeze hands out everything
 *   state_schema  the columns of the rows that copy hands out
 *   restore       take one batch that was handed out, perhaps in another shard count: keep the rows
 *                 of key groups this shard owns; a row replaces the one of the same key
 *   close         free everything
 *
 * on_watermark, on_idle, on_barrier and on_end are passed on by the operator itself (ps_emit_*),
 * which lets it hold them back until its own output is out. An operator that has work left and gets
 * another message finishes that work first, so chunked stepping never changes an answer.
 * Results leave by ps_emit_batch: at most PS_BATCH_ROWS_MAX rows a batch.
 */
#ifndef PS_OPERATORS_OP_H
#define PS_OPERATORS_OP_H

#include <stdatomic.h>

#include "base/stopwatch.h"
#include "queue/message.h"

typedef struct ps_operator ps_operator;

typedef struct ps_operator_calls {
    const char *name; /* "filter", "aggregate", ... */
    ps_status (*on_batch)(ps_operator *self, ps_batch *batch, ps_selection *selection,
                          ps_error *err);
    ps_status (*on_watermark)(ps_operator *self, int64_t watermark, ps_error *err);
    ps_status (*on_idle)(ps_operator *self, bool idle, ps_error *err);
    ps_status (*on_barrier)(ps_operator *self, int64_t epoch, ps_error *err);
    ps_status (*on_end)(ps_operator *self, ps_error *err);
    ps_status (*resume)(ps_operator *self, bool *more, ps_error *err);
    ps_status (*freeze)(ps_operator *self, bool all, ps_error *err);
    ps_status (*copy)(ps_operator *self, bool *more, ps_error *err);
    ps_status (*state_schema)(ps_operator *self, ps_schema **out, ps_error *err);
    ps_status (*restore)(ps_operator *self, ps_batch *state, ps_error *err);
    void (*close)(ps_operator *self);
} ps_operator_calls;

/* Counters that any thread may read while the owner writes (relaxed). */
typedef struct ps_operator_stats {
    _Atomic int64_t rows_in;
    _Atomic int64_t rows_out;
    _Atomic int64_t rows_shipped; /* exchange: rows sent; partials stand for more in rows_out */
    _Atomic int64_t batches_in;
    _Atomic int64_t batches_out;
    _Atomic int64_t bytes_in; /* sources and sinks */
    _Atomic int64_t bytes_out;
    _Atomic int64_t late_rows;
    _Atomic int64_t future_rows; /* too far ahead to move the watermark (window/watermark.h) */
    _Atomic int64_t watermark;   /* last one passed on */
    _Atomic int64_t keys;        /* live keys of a keyed operator */
    _Atomic int64_t state_bytes;
    ps_stopwatch blocked;       /* exchange: time its output was full */
    _Atomic int64_t read_ns;    /* sources: time in streams that the driving thread pulls */
    _Atomic int64_t barrier_ns; /* stateful: how long the last barrier held its thread */
    _Atomic int64_t snapshot_rows;
    _Atomic int64_t snapshot_bytes;
} ps_operator_stats;

/* Where state batches go: on to whoever writes them, by way of the task. */
typedef struct ps_snapshot_sink {
    ps_status (*add)(struct ps_snapshot_sink *self, const ps_operator *op, ps_batch *state,
                     ps_error *err); /* retains state */
} ps_snapshot_sink;

struct ps_operator {
    const ps_operator_calls *calls;
    ps_operator *next; /* downstream; NULL only for the last of a chain */
    int32_t id;        /* node number in the plan: stable for the same query */
    int32_t shard;     /* which of shard_count instances of this node this is */
    int32_t shard_count;
    ps_mem *mem;
    ps_schema *input; /* retained by the implementation */
    ps_schema *output;
    ps_snapshot_sink *snapshot; /* set by the task; NULL: nobody wants the state */
    int64_t emitted; /* messages passed on so far: how a task sees that resume did work */
    ps_operator_stats stats;
    _Atomic(ps_batch *) hot_keys; /* keyed: a mailbox for whoever looks at the metrics */
};

/* Sets the common fields; every implementation embeds a ps_operator as its first member. */
void ps_operator_init(ps_operator *op, const ps_operator_calls *calls, ps_mem *mem,
                      ps_schema *input, ps_schema *output);
/* Releases the schemas; the implementation's close calls it. */
void ps_operator_fini(ps_operator *op);

/* The owner leaves a batch (taken), in place of one that nobody took. */
void ps_operator_leave_hot_keys(ps_operator *op, ps_batch *taken);
/* Any thread: the batch last left, a reference for the caller; NULL: none since the last one was
 * taken. */
ps_batch *ps_operator_take_hot_keys(ps_operator *op);

/* Adds to a counter that this thread alone writes. */
static inline void ps_stat_add(_Atomic int64_t *counter, int64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}
static inline void ps_stat_set(_Atomic int64_t *counter, int64_t value)
{
    atomic_store_explicit(counter, value, memory_order_relaxed);
}
static inline int64_t ps_stat_get(const _Atomic int64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Hand a message to the next operator, count it, and stamp errors with the operator's name.
 * A batch without rows goes nowhere. */
PS_MUST_CHECK ps_status ps_emit_batch(ps_operator *op, ps_batch *batch, ps_selection *selection,
                                      ps_error *err);
PS_MUST_CHECK ps_status ps_emit_watermark(ps_operator *op, int64_t watermark, ps_error *err);
PS_MUST_CHECK ps_status ps_emit_idle(ps_operator *op, bool idle, ps_error *err);
PS_MUST_CHECK ps_status ps_emit_barrier(ps_operator *op, int64_t epoch, ps_error *err);
PS_MUST_CHECK ps_status ps_emit_end(ps_operator *op, ps_error *err);
/* For freeze and copy: hands one batch of state to the task (retained by it). */
PS_MUST_CHECK ps_status ps_snapshot_add(ps_operator *op, ps_batch *state, ps_error *err);
/* One call of resume, freeze, copy or restore, with the same stamp. */
PS_MUST_CHECK ps_status ps_operator_resume(ps_operator *op, bool *more, ps_error *err);
PS_MUST_CHECK ps_status ps_operator_freeze(ps_operator *op, bool all, ps_error *err);
PS_MUST_CHECK ps_status ps_operator_copy(ps_operator *op, bool *more, ps_error *err);
PS_MUST_CHECK ps_status ps_operator_restore(ps_operator *op, ps_batch *state, ps_error *err);
/* Entry from outside the chain: the same as an emit of an operator before `first`. */
PS_MUST_CHECK ps_status ps_deliver(ps_operator *first, const ps_message *message, ps_error *err);

/* Key groups of shard s of n: [s * G / n, (s + 1) * G / n). The one function for routing and
 * owning. */
static inline int32_t ps_key_group(uint64_t hash)
{
    return (int32_t)(hash >> 54); /* top 10 bits: PS_KEY_GROUPS is 1024 */
}
static inline int32_t ps_shard_of_group(int32_t group, int32_t shard_count)
{
    /* the s with s*G/n <= group < (s+1)*G/n (integer divisions) */
    return (int32_t)(((int64_t)(group + 1) * shard_count - 1) / PS_KEY_GROUPS);
}

#endif
