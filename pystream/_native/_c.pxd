# cython: language_level=3
"""pystream.h as Cython sees it, in the order of the headers, and the one way native errors rise."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t


cdef extern from "stdbool.h" nogil:
    ctypedef bint cbool "bool"


cdef extern from "pystream.h" nogil:
    # base/base.h, base/error.h
    const int64_t PS_TIME_MIN
    const int64_t PS_TIME_MAX
    ctypedef enum ps_status:
        PS_OK
        PS_INVALID
        PS_TYPE
        PS_NO_MEMORY
        PS_CANCELLED
    ctypedef struct ps_error:
        ps_status status
        char operator_name[48]
        char text[480]

    # base/crc32c.h
    uint32_t ps_crc32c(uint32_t value, const void *data, size_t size)

    # base/mem.h
    ctypedef struct ps_mem:
        pass
    ps_status ps_mem_create(int64_t budget_bytes, ps_mem **out, ps_error *err)
    void ps_mem_retain(ps_mem *mem)
    void ps_mem_release(ps_mem *mem)
    int64_t ps_mem_used(const ps_mem *mem)
    int64_t ps_mem_peak(const ps_mem *mem)
    int64_t ps_mem_allocations(const ps_mem *mem)
    void ps_mem_fail_at(ps_mem *mem, int64_t nth)

    # base/thread_name.h
    void ps_thread_set_name(const char *job, const char *role)

    # base/pages.h
    int64_t ps_pages_make_ready(int64_t size_bytes)
    int64_t ps_pages_kept()
    int64_t ps_pages_limit()
    void ps_pages_set_limit(int64_t limit_bytes)
    int64_t ps_pages_release()

    # arrow/abi.h
    ctypedef struct ArrowSchema:
        const char *format
        const char *name
        int64_t flags
        int64_t n_children
        ArrowSchema **children
        ArrowSchema *dictionary
        void (*release)(ArrowSchema *) noexcept
    ctypedef struct ArrowArray:
        int64_t length
        void (*release)(ArrowArray *) noexcept
    ctypedef struct ArrowArrayStream:
        int (*get_schema)(ArrowArrayStream *, ArrowSchema *) noexcept
        int (*get_next)(ArrowArrayStream *, ArrowArray *) noexcept
        const char *(*get_last_error)(ArrowArrayStream *) noexcept
        void (*release)(ArrowArrayStream *) noexcept

    # arrow/batch.h
    ctypedef struct ps_batch:
        pass
    ctypedef struct ps_selection:
        pass
    void ps_batch_retain(ps_batch *batch)
    void ps_batch_release(ps_batch *batch)

    # expr/program.h
    ctypedef struct ps_expr:
        pass
    ps_status ps_expr_create(ps_mem *mem, ps_expr **out, ps_error *err)
    void ps_expr_destroy(ps_expr *expr)
    ps_status ps_expr_column(ps_expr *expr, const char *name, int32_t *node, ps_error *err)
    ps_status ps_expr_null(ps_expr *expr, int32_t *node, ps_error *err)
    ps_status ps_expr_bool(ps_expr *expr, bint value, int32_t *node, ps_error *err)
    ps_status ps_expr_i64(ps_expr *expr, int64_t value, const char *format, int32_t *node,
                          ps_error *err)
    ps_status ps_expr_u64(ps_expr *expr, uint64_t value, int32_t *node, ps_error *err)
    ps_status ps_expr_f64(ps_expr *expr, double value, int32_t *node, ps_error *err)
    ps_status ps_expr_string(ps_expr *expr, const char *data, int64_t size_bytes, bint binary,
                             int32_t *node, ps_error *err)
    ps_status ps_expr_call(ps_expr *expr, const char *function, const int32_t *arguments,
                           int32_t count, const char *text, int64_t integer, int32_t *node,
                           ps_error *err)

    # operators/partition.h
    ps_status ps_batch_partition(ps_batch *batch, const int32_t *keys, int32_t key_count,
                                 int32_t partition_count, ps_batch **parts, ps_error *err)

    # queue/log_head.h
    ctypedef struct ps_log_head:
        pass
    ctypedef struct ps_log_tail:
        int64_t segment
        int64_t size_bytes
        int64_t end
        int64_t append_ns
        int64_t event_max
        uint64_t boot
    const int PS_LOG_PARTITIONS_MAX
    const int PS_LOG_HEAD_START
    int64_t ps_log_head_bytes(int32_t partition_count)
    void ps_log_head_start(int32_t partition_count, unsigned char *out)
    ps_status ps_log_head_map(int fd, const char *name, int32_t partition_count, ps_log_head **out,
                              ps_error *err)
    void ps_log_head_unmap(ps_log_head *head)
    int64_t ps_log_head_end(const ps_log_head *head, int32_t partition)
    bint ps_log_head_tail(const ps_log_head *head, int32_t partition, uint64_t boot,
                          ps_log_tail *out)
    void ps_log_head_publish(ps_log_head *head, int32_t partition, const ps_log_tail *tail)
    int32_t ps_log_head_wait(ps_log_head *head, const int32_t *partitions, const int64_t *ends,
                             int32_t count, int64_t timeout_ns)

    # state/agg_spec.h, window/window.h
    ctypedef enum ps_agg_function:
        PS_AGG_COUNT
        PS_AGG_COUNT_VALID
        PS_AGG_SUM
        PS_AGG_MEAN
        PS_AGG_MIN
        PS_AGG_MAX
        PS_AGG_VAR
        PS_AGG_STD
        PS_AGG_FIRST
        PS_AGG_LAST
        PS_AGG_ANY
        PS_AGG_ALL
        PS_AGG_WEIGHTED_MEAN
    ctypedef struct ps_agg_spec:
        ps_agg_function function
        const char *name
        int32_t input
        int32_t weight
        int32_t parameter
    ctypedef enum ps_window_kind:
        PS_WINDOW_NONE
        PS_WINDOW_TUMBLING
        PS_WINDOW_HOPPING
    ctypedef struct ps_window:
        ps_window_kind kind
        int64_t size
        int64_t slide
        int64_t offset

    # queue/message.h
    ctypedef enum ps_message_kind:
        PS_MESSAGE_NONE
        PS_MESSAGE_BATCH
        PS_MESSAGE_IDLE
        PS_MESSAGE_BARRIER
        PS_MESSAGE_END
    ctypedef struct ps_message:
        ps_message_kind kind
        ps_batch *batch
        ps_selection *selection
        int64_t value
    void ps_message_clear(ps_message *message)

    # runtime/plan.h
    ctypedef struct ps_plan:
        pass
    ps_status ps_plan_create(ps_mem *mem, ps_plan **out, ps_error *err)
    void ps_plan_release(ps_plan *plan)
    ps_status ps_plan_source(ps_plan *plan, const char *name, ArrowSchema *schema, int32_t *node,
                             ps_error *err)
    ps_status ps_plan_event_time(ps_plan *plan, int32_t source, const char *column,
                                 int64_t out_of_orderness, int64_t max_future, int32_t *node,
                                 ps_error *err)
    ps_status ps_plan_filter(ps_plan *plan, int32_t source, const ps_expr *expr, int32_t predicate,
                             int32_t *node, ps_error *err)
    ps_status ps_plan_project(ps_plan *plan, int32_t source, const ps_expr *expr,
                              const int32_t *roots, const char *const *names, int32_t count,
                              int32_t *node, ps_error *err)
    ps_status ps_plan_union(ps_plan *plan, const int32_t *sources, int32_t count, int32_t *node,
                            ps_error *err)
    ps_status ps_plan_aggregate(ps_plan *plan, int32_t source, ps_expr *expr,
                                const int32_t *keys, const char *const *key_names,
                                int32_t key_count, const ps_window *window,
                                const ps_agg_spec *aggregates, int32_t aggregate_count,
                                int32_t *node, ps_error *err)
    ps_status ps_plan_sink(ps_plan *plan, int32_t source, int32_t *node, ps_error *err)
    ps_status ps_plan_schema(const ps_plan *plan, int32_t node, ArrowSchema *out, ps_error *err)
    const char *ps_plan_event_time_column(const ps_plan *plan, int32_t node)
    int32_t ps_plan_inexact_aggregate(const ps_plan *plan, int32_t node)

    # runtime/engine.h
    ctypedef struct ps_engine:
        pass
    ctypedef enum ps_drive_state:
        PS_DRIVE_MORE
        PS_DRIVE_OUTPUT
        PS_DRIVE_STARVED
        PS_DRIVE_SOURCE_END
        PS_DRIVE_FULL
        PS_DRIVE_DONE
    ctypedef struct ps_operator_metrics:
        int32_t id
        int32_t shard
        char name[48]
        int64_t rows_in, rows_out, rows_shipped, batches_in, batches_out, bytes_in, bytes_out
        int64_t late_rows, future_rows, watermark, keys, state_bytes, blocked_ns, idle_ns, read_ns
        int64_t ring_used, ring_capacity, ring_bytes, ring_max_bytes
        int64_t barrier_ns, snapshot_rows, snapshot_bytes
    ctypedef enum ps_state_kind:
        PS_STATE_NONE
        PS_STATE_PIECE
        PS_STATE_END
    ctypedef struct ps_state_piece:
        ps_state_kind kind
        int32_t operator_id
        int32_t shard
        ps_batch *batch
        int64_t epoch
    ps_status ps_engine_create(ps_plan *plan, ps_mem *mem, int32_t shard_count,
                               bint track_changes, ps_engine **out, ps_error *err)
    void ps_engine_release(ps_engine *engine)
    int32_t ps_engine_worker_count(const ps_engine *engine)
    ps_status ps_engine_work(ps_engine *engine, int32_t index, ps_error *err)
    ps_status ps_engine_step(ps_engine *engine, int32_t index, cbool *progress, ps_error *err)
    ps_status ps_engine_push(ps_engine *engine, int32_t input, ArrowArray *array, ps_error *err)
    ps_status ps_engine_push_batch(ps_engine *engine, int32_t input, ps_batch *batch, ps_error *err)
    ps_status ps_engine_push_watermark(ps_engine *engine, int32_t input, int64_t watermark,
                                       ps_error *err)
    ps_status ps_engine_set_idle(ps_engine *engine, int32_t input, bint idle, ps_error *err)
    ps_status ps_engine_finish_input(ps_engine *engine, int32_t input, ps_error *err)
    ps_status ps_engine_drive(ps_engine *engine, int32_t input, ArrowArrayStream *stream,
                              int64_t budget_rows, int64_t output_rows, int64_t timeout_ns,
                              ps_drive_state *state, ps_error *err)
    void ps_engine_poll(ps_engine *engine, ps_message *out)
    void ps_engine_wait(ps_engine *engine, int64_t timeout_ns)
    void ps_engine_wake(ps_engine *engine)
    int64_t ps_engine_input_rows(const ps_engine *engine, int32_t input)
    cbool ps_engine_input_full(ps_engine *engine, int32_t input)
    cbool ps_engine_wants_input(ps_engine *engine)
    ps_status ps_engine_barrier(ps_engine *engine, int64_t epoch, bint all, ps_error *err)
    ps_status ps_engine_next_state(ps_engine *engine, int64_t timeout_ns, ps_state_piece *out,
                                   ps_error *err)
    ps_status ps_engine_copy_state(ps_engine *engine, cbool *worked, ps_error *err)
    ps_status ps_engine_state_schema(ps_engine *engine, int32_t operator_id, ArrowSchema *out,
                                     ps_error *err)
    const char *ps_engine_operator(const ps_engine *engine, int32_t id)
    int32_t ps_engine_operator_limit(const ps_engine *engine)
    ps_status ps_engine_restore(ps_engine *engine, int32_t operator_id, ps_batch *state,
                                int32_t shard, ps_error *err)
    void ps_engine_cancel(ps_engine *engine)
    ps_status ps_engine_failure(const ps_engine *engine, ps_error *err)
    int32_t ps_engine_metrics_count(const ps_engine *engine)
    void ps_engine_metrics(const ps_engine *engine, int32_t index, ps_operator_metrics *out)
    ps_batch *ps_engine_take_hot_keys(ps_engine *engine, int32_t index)
    int64_t ps_engine_memory_used(const ps_engine *engine)
    int64_t ps_engine_memory_peak(const ps_engine *engine)

    # simd/dispatch.h
    const char *ps_simd_level()
    int32_t ps_simd_level_count()
    const char *ps_simd_level_name(int32_t index)
    ps_status ps_simd_force(const char *name, ps_error *err)
    ps_status ps_simd_status(ps_error *err)

    # pystream.h
    const char *ps_version()
    int64_t ps_batch_length(const ps_batch *batch)
    int64_t ps_batch_bytes(const ps_batch *batch)
    ps_status ps_batch_from_arrow(ps_mem *mem, ArrowSchema *schema, ArrowArray *array,
                                  ps_batch **out, ps_error *err)
    ps_status ps_batch_to_arrow(ps_batch *batch, ArrowSchema *schema, ArrowArray *array,
                                ps_error *err)
    ps_status ps_batches_to_stream(ps_mem *mem, const ArrowSchema *schema,
                                   ps_batch *const *batches, int64_t count, ArrowArrayStream *out,
                                   ps_error *err)
    ps_status ps_message_batch(ps_message *message, ps_batch **out, ps_error *err)


cdef inline int check(ps_status status, ps_error *err) except -1:
    """Raises the Python error of a status; 0 when it is PS_OK."""
    if status == PS_OK:
        return 0
    from pystream.errors import from_native
    raise from_native(<int>status, err.operator_name.decode("utf-8", "replace"),
                      err.text.decode("utf-8", "replace"))
