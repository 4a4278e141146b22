/* engine.h -- a running plan: shards, rings, threads lent by the caller, results.
 *
 * With one shard everything runs inline in the driving thread. With N shards the driving thread
 * runs the source side (import, watermarks, filters, projections, partitioning by key group) and N
 * worker threads, started by the caller inside ps_engine_work, run the keyed side behind rings.
 * Where there is no core to spare for the driving thread, they take turns of the source side as
 * well (source_side.h; PYSTREAM_SOURCE_TURNS=auto|driver|shards).
 * The driving thread is the only one to call push, drive, poll, barrier, finish.
 *
 *     create -> [restore]* -> (push | drive | finish_input | barrier | poll)* -> cancel? -> release
 *
 * State is written beside the running job: a barrier freezes it, each thread then hands out its own
 * in parts between other work, and one thread, of the caller's choice, takes them with next_state.
 *
 * Backpressure: drive stops taking input while a ring is full; results wait in the output ring
 * until poll takes them, and full output rings stop the shards. Rings are bounded in messages, rows
 * and bytes (queue/ring.h): an edge holds ps_ring_kib_limit and one batch at most.
 */
#ifndef PS_RUNTIME_ENGINE_H
#define PS_RUNTIME_ENGINE_H

#include "queue/message.h"
#include "runtime/plan.h"
#include "runtime/state_reader.h"

typedef struct ps_engine ps_engine;

/* track_changes: operators note which rows of their state change, so that they can write it while
 * it changes, and write the changes alone; costs a bit test a row. Without it a barrier stops a
 * shard until its state has been copied. */
PS_API PS_MUST_CHECK ps_status ps_engine_create(ps_plan *plan, ps_mem *mem, int32_t shard_count,
                                                bool track_changes, ps_engine **out, ps_error *err);
PS_API void ps_engine_retain(ps_engine *engine);
PS_API void ps_engine_release(ps_engine *engine); /* NULL allowed; workers must have returned */

/* Number of threads that must each call ps_engine_work(engine, index): 0 with one shard. */
PS_API int32_t ps_engine_worker_count(const ps_engine *engine);
/* Runs shard `index` until its input has ended, an error anywhere, or cancel. Blocks; no GIL. */
PS_API ps_status ps_engine_work(ps_engine *engine, int32_t index, ps_error *err);

/* One turn of shard `index` on the calling thread, instead of ps_engine_work: for simulations,
 * which turn the shards in an order of their own. *progress is false when it could do nothing. */
PS_API PS_MUST_CHECK ps_status ps_engine_step(ps_engine *engine, int32_t index, bool *progress,
                                              ps_error *err);

typedef enum ps_drive_state {
    PS_DRIVE_MORE = 0,   /* bounded work done, call again */
    PS_DRIVE_OUTPUT,     /* results wait: poll */
    PS_DRIVE_STARVED,    /* nothing to do until the caller gives input (push) */
    PS_DRIVE_SOURCE_END, /* the stream given has ended: finish the input or give another */
    PS_DRIVE_FULL,       /* rings are full and stayed so for the timeout */
    PS_DRIVE_DONE,       /* every input finished and every result polled */
} ps_drive_state;

/* Offers one struct array (moved on success; release becomes NULL) to an input. Cuts it into
 * batches of at most PS_INPUT_ROWS rows that wait inside until drive processes them. Checks it
 * against the input's schema: PS_INVALID / PS_CORRUPT name the column. */
PS_API PS_MUST_CHECK ps_status ps_engine_push(ps_engine *engine, int32_t input, ArrowArray *array,
                                              ps_error *err);
/* A batch that another engine's output produced, without crossing the C data interface. */
PS_API PS_MUST_CHECK ps_status ps_engine_push_batch(ps_engine *engine, int32_t input,
                                                    ps_batch *batch, ps_error *err);
/* A watermark for an input that makes none of its own (results of an upstream engine). */
PS_API PS_MUST_CHECK ps_status ps_engine_push_watermark(ps_engine *engine, int32_t input,
                                                        int64_t watermark, ps_error *err);
/* Nothing is known to come on this input for now: until its next row its watermark takes no part
 * in the least of a union, which stays while every input is idle. It never goes back: rows of an
 * input that wakes behind it may be late. In order with what was pushed. */
PS_API PS_MUST_CHECK ps_status ps_engine_set_idle(ps_engine *engine, int32_t input, bool idle,
                                                  ps_error *err);
/* No more comes on this input: its watermark becomes PS_TIME_MAX. */
PS_API PS_MUST_CHECK ps_status ps_engine_finish_input(ps_engine *engine, int32_t input,
                                                      ps_error *err);
/* Works until something for the caller: pulls from `stream` (may be NULL; borrowed) into `input`,
 * processes waiting input and emission, collects results. Does about budget_rows rows of input at
 * most, and returns PS_DRIVE_OUTPUT early once output_rows result rows wait (0 = at the first), or
 * some MiB of them.
 * Waits at most timeout_ns for a ring. A stream that fails is PS_SOURCE with the stream's text, one
 * of another schema PS_INVALID: the engine stays sound and what was produced before stays. Any
 * other error ends it; poll still gives the results that have arrived. */
PS_API PS_MUST_CHECK ps_status ps_engine_drive(ps_engine *engine, int32_t input,
                                               ArrowArrayStream *stream, int64_t budget_rows,
                                               int64_t output_rows, int64_t timeout_ns,
                                               ps_drive_state *state, ps_error *err);
/* Sleeps until there may be something to do: a result, room in a ring, a wake, a failure, or the
 * time is up. A wake that came since the last sleep ends it at once. */
PS_API void ps_engine_wait(ps_engine *engine, int64_t timeout_ns);
/* Ends the driving thread's sleep, this one or the next; from any thread. */
PS_API void ps_engine_wake(ps_engine *engine);
/* Rows that an input has been offered so far, those still waiting included; -1: no such input. Any
 * thread. */
PS_API int64_t ps_engine_input_rows(const ps_engine *engine, int32_t input);
/* Whether an input has enough waiting: give it more when drive has used some. Only advice: push
 * takes anything. */
PS_API bool ps_engine_input_full(ps_engine *engine, int32_t input);
/* Whether the shards process what waits, and some input should be given more ahead. */
PS_API bool ps_engine_wants_input(ps_engine *engine);
/* Takes the next result message: a batch, a barrier or the end (kind NONE: there is none now). */
PS_API void ps_engine_poll(ps_engine *engine, ps_message *out);

/* Sends a barrier behind everything pushed so far. When it has passed every operator, poll gives
 * the barrier message; the state of that moment is taken with next_state, before or after that.
 * all: whole, else only what has changed since the barrier before it (PS_INVALID unless changes are
 * tracked). The next barrier may follow once poll and next_state have given the end of this one. */
PS_API PS_MUST_CHECK ps_status ps_engine_barrier(ps_engine *engine, int64_t epoch, bool all,
                                                 ps_error *err);
/* The next piece of state, or the end of a barrier's. Waits at most timeout_ns for one (negative:
 * without limit), then the kind is NONE. One thread at a time, any. An error is that of the engine,
 * or PS_CANCELLED. */
PS_API PS_MUST_CHECK ps_status ps_engine_next_state(ps_engine *engine, int64_t timeout_ns,
                                                    ps_state_piece *out, ps_error *err);
/* For a driving thread that waits with frozen state of its own: hands out a part without taking
 * input. *worked is false when there was none or no room. */
PS_API PS_MUST_CHECK ps_status ps_engine_copy_state(ps_engine *engine, bool *worked, ps_error *err);
/* Before the first input: gives one piece of state back to its operator on shard `shard` (-1: on
 * each), which keeps the part it owns. Threads may do so for different shards at the same time.
 * Pieces of one barrier in any order; those of a later one replace rows of earlier ones, and rows
 * of windows that the latest says are closed are left out. */
PS_API PS_MUST_CHECK ps_status ps_engine_restore(ps_engine *engine, int32_t operator_id,
                                                 ps_batch *state, int32_t shard, ps_error *err);
/* The columns of the rows of state that an operator writes; the receiver releases *out. Its release
 * is NULL when the operator keeps no state. */
PS_API PS_MUST_CHECK ps_status ps_engine_state_schema(ps_engine *engine, int32_t operator_id,
                                                      ArrowSchema *out, ps_error *err);
/* The operator of the plan's node `id`: "source", "aggregate", ... NULL: not part of this engine,
 * or no such node. */
PS_API const char *ps_engine_operator(const ps_engine *engine, int32_t id);
PS_API int32_t ps_engine_operator_limit(const ps_engine *engine); /* ids are below it */

/* Makes every thread return soon with PS_CANCELLED; from any thread, idempotent. */
PS_API void ps_engine_cancel(ps_engine *engine);
/* First error of any thread, if one has failed. */
PS_API ps_status ps_engine_failure(const ps_engine *engine, ps_error *err);

/* One line of the metrics: an operator on one shard. Any thread. */
typedef struct ps_operator_metrics {
    int32_t id;
    int32_t shard;
    char name[48];
    int64_t rows_in, rows_out, rows_shipped, batches_in, batches_out, bytes_in, bytes_out;
    int64_t late_rows, future_rows, watermark, keys, state_bytes, blocked_ns;
    int64_t idle_ns; /* how long the shard waited for its input */
    int64_t read_ns; /* of a source: how long the streams given to drive took */
    /* of the rings that feed it, of a sink on a shard: that it fills; or 0 */
    int64_t ring_used, ring_capacity, ring_bytes, ring_max_bytes;
    int64_t barrier_ns; /* how long the last barrier held its thread */
    int64_t snapshot_rows, snapshot_bytes;
} ps_operator_metrics;
PS_API int32_t ps_engine_metrics_count(const ps_engine *engine);
PS_API void ps_engine_metrics(const ps_engine *engine, int32_t index, ps_operator_metrics *out);
/* News of the keys with most rows of the operator of a line: key columns, .samples of the key, .of
 * all keys on that shard (int64); a reference for the caller. NULL: no news, or not keyed. Any
 * thread; whoever takes it keeps it. */
PS_API ps_batch *ps_engine_take_hot_keys(ps_engine *engine, int32_t index);
PS_API int64_t ps_engine_memory_used(const ps_engine *engine);
PS_API int64_t ps_engine_memory_peak(const ps_engine *engine);

#endif
