# cython: language_level=3
"""A running plan. One thread drives it; worker threads each sit inside one long work() call."""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t
from posix.types cimport pid_t
from posix.unistd cimport getpid

from pystream._native._c cimport (
    PS_DRIVE_MORE, PS_MESSAGE_BARRIER, PS_MESSAGE_BATCH, PS_MESSAGE_END,
    PS_STATE_END, PS_STATE_NONE, ArrowArray, ArrowArrayStream, ArrowSchema, cbool, check,
    ps_batch, ps_drive_state, ps_engine, ps_engine_barrier, ps_engine_cancel,
    ps_engine_copy_state, ps_engine_create, ps_engine_drive, ps_engine_failure,
    ps_engine_finish_input, ps_engine_input_full, ps_engine_input_rows, ps_engine_memory_peak,
    ps_engine_memory_used,
    ps_engine_metrics, ps_engine_metrics_count, ps_engine_next_state, ps_engine_operator,
    ps_engine_operator_limit, ps_engine_poll, ps_engine_push, ps_engine_push_batch,
    ps_engine_push_watermark, ps_engine_release, ps_engine_restore, ps_engine_set_idle,
    ps_engine_state_schema, ps_engine_step, ps_engine_take_hot_keys, ps_engine_wait,
    ps_engine_wake, ps_engine_wants_input, ps_engine_work,
    ps_engine_worker_count, ps_error, ps_message, ps_message_batch, ps_message_clear,
    ps_operator_metrics, ps_state_piece, ps_status,
)
from pystream._native.arrow cimport (
    Batch, BatchList, InputStream, Memory, new_schema, schema_capsule,
)
from pystream._native.plan cimport Plan

DRIVE_STATES = ("more", "output", "starved", "source_end", "full", "done")


cdef class Engine:
    """Shards, rings and results of one plan."""
    cdef ps_engine *ptr
    cdef readonly Plan plan
    cdef readonly Memory memory
    cdef pid_t owner  # the process that made it

    def __cinit__(self, Plan plan not None, Memory memory not None, int32_t shards=1,
                  bint track_changes=False):
        cdef ps_error err
        self.plan = plan
        self.memory = memory
        self.owner = getpid()
        check(ps_engine_create(plan.ptr, memory.ptr, shards, track_changes, &self.ptr, &err),
              &err)

    def __dealloc__(self):
        # A forked child has a copy that its threads left in mid-air: it is not taken apart.
        if getpid() == self.owner:
            ps_engine_release(self.ptr)

    @property
    def worker_count(self):
        return ps_engine_worker_count(self.ptr)

    def work(self, int32_t index):
        """Runs shard ``index`` until its input ends, an error anywhere, or cancel."""
        cdef ps_error err
        cdef ps_status status
        with nogil:  # waits on rings only
            status = ps_engine_work(self.ptr, index, &err)
        check(status, &err)

    def step(self, int32_t index):
        """One turn of shard ``index`` here instead of in ``work``; False: nothing to do."""
        cdef ps_error err
        cdef cbool progress = False
        check(ps_engine_step(self.ptr, index, &progress, &err), &err)
        return bool(progress)

    def push(self, int32_t input, obj):
        """Offers one object with ``__arrow_c_array__``; its array is moved, not copied."""
        cdef ps_error err
        cdef ps_status status
        cdef ArrowArray *moved
        _, array = obj.__arrow_c_array__()
        moved = <ArrowArray *>PyCapsule_GetPointer(array, b"arrow_array")
        with nogil:  # waits for a shard that has the turn
            status = ps_engine_push(self.ptr, input, moved, &err)
        check(status, &err)

    def push_batch(self, int32_t input, Batch batch not None):
        cdef ps_error err
        cdef ps_status status
        with nogil:  # as push
            status = ps_engine_push_batch(self.ptr, input, batch.ptr, &err)
        check(status, &err)

    def push_watermark(self, int32_t input, int64_t watermark):
        cdef ps_error err
        cdef ps_status status
        with nogil:  # as push
            status = ps_engine_push_watermark(self.ptr, input, watermark, &err)
        check(status, &err)

    def set_idle(self, int32_t input, bint idle):
        """Whether unions go on without this input's watermark, until its next row."""
        cdef ps_error err
        cdef ps_status status
        with nogil:  # as push
            status = ps_engine_set_idle(self.ptr, input, idle, &err)
        check(status, &err)

    def finish_input(self, int32_t input):
        cdef ps_error err
        cdef ps_status status
        with nogil:  # as push
            status = ps_engine_finish_input(self.ptr, input, &err)
        check(status, &err)

    def drive(self, int32_t input, InputStream stream, int64_t budget_rows, int64_t output_rows,
              int64_t timeout_ns):
        """Works until something for the caller; answers an index into DRIVE_STATES."""
        cdef ps_error err
        cdef ps_status status
        cdef ps_drive_state state = PS_DRIVE_MORE
        cdef ArrowArrayStream *source = NULL if stream is None else &stream.stream
        with nogil:  # waits for the stream given, and for rings at most timeout_ns
            status = ps_engine_drive(self.ptr, input, source, budget_rows, output_rows,
                                     timeout_ns, &state, &err)
        check(status, &err)
        return <int>state

    def wait(self, int64_t timeout_ns):
        """Sleeps until there may be something to do, `wake` is called or the time is up."""
        with nogil:  # waits for a wake-up
            ps_engine_wait(self.ptr, timeout_ns)

    def wake(self):
        """Ends the driving thread's sleep, this one or the next; from any thread."""
        ps_engine_wake(self.ptr)

    def input_rows(self, int32_t input):
        """Rows that an input has been offered so far."""
        cdef int64_t rows = ps_engine_input_rows(self.ptr, input)
        if rows < 0:
            raise IndexError(f"the engine has no input {input}")
        return rows

    def input_full(self, int32_t input):
        """Whether an input has enough waiting until `drive` has used some."""
        if ps_engine_input_rows(self.ptr, input) < 0:
            raise IndexError(f"the engine has no input {input}")
        cdef cbool full
        with nogil:  # as push
            full = ps_engine_input_full(self.ptr, input)
        return bool(full)

    def wants_input(self):
        """Whether the shards process what waits, and some input should be given more ahead."""
        cdef cbool wants
        with nogil:  # as push
            wants = ps_engine_wants_input(self.ptr)
        return bool(wants)

    def poll(self, BatchList out not None):
        """Moves waiting results into ``out`` up to the next barrier.

        Returns the barrier's epoch, None without one, and whether the end came.
        """
        cdef ps_error err
        cdef ps_status status
        cdef ps_message message
        cdef ps_batch *batch
        while True:
            ps_engine_poll(self.ptr, &message)
            if message.kind == PS_MESSAGE_BATCH:
                batch = NULL
                with nogil:  # copies the selected rows
                    status = ps_message_batch(&message, &batch, &err)
                    ps_message_clear(&message)
                check(status, &err)
                out.append_taken(batch)
            elif message.kind == PS_MESSAGE_BARRIER:
                return message.value, False
            elif message.kind == PS_MESSAGE_END:
                return None, True
            else:
                return None, False

    def barrier(self, int64_t epoch, bint full=True):
        """Sends a barrier behind everything pushed so far; its state comes from `next_state`.

        full: all state, else the rows changed since the barrier before it (the engine tracks
        changes). One barrier at a time: the next after `poll` and `next_state` gave this one's end.
        """
        cdef ps_error err
        cdef ps_status status
        with nogil:  # as push
            status = ps_engine_barrier(self.ptr, epoch, full, &err)
        check(status, &err)

    def next_state(self, int64_t timeout_ns):
        """The next piece of state, for one thread that writes it.

        Returns (operator, shard, batch); ``"end"`` once a barrier, after its last piece; None when
        nothing came in time. Negative: no limit.
        """
        cdef ps_error err
        cdef ps_status status
        cdef ps_state_piece piece
        with nogil:  # waits for shards at most timeout_ns
            status = ps_engine_next_state(self.ptr, timeout_ns, &piece, &err)
        check(status, &err)
        if piece.kind == PS_STATE_NONE:
            return None
        if piece.kind == PS_STATE_END:
            return "end"
        return piece.operator_id, piece.shard, Batch.wrap(piece.batch)

    def copy_state(self):
        """Hands out a part of the driving thread's own state, for when it takes no input.

        False: there was none, or whoever takes it is busy.
        """
        cdef ps_error err
        cdef ps_status status
        cdef cbool worked = False
        with nogil:  # copies some thousand rows
            status = ps_engine_copy_state(self.ptr, &worked, &err)
        check(status, &err)
        return bool(worked)

    def restore(self, int32_t operator_id, Batch state not None, int32_t shard=-1):
        """Gives one piece of state back to its operator, before the first input.

        shard: only the part of that shard, and -1 is all of them. Several threads may restore
        different shards at the same time.
        """
        cdef ps_error err
        cdef ps_status status
        with nogil:  # copies the rows
            status = ps_engine_restore(self.ptr, operator_id, state.ptr, shard, &err)
        check(status, &err)

    def state_schema(self, int32_t operator_id):
        """The columns of the rows of state that an operator writes; None when it keeps none."""
        from pystream.plan.schema import Schema
        if self._state_capsule(operator_id) is None:
            return None
        return Schema(lambda: self._state_capsule(operator_id))

    def _state_capsule(self, int32_t operator_id):
        cdef ps_error err
        cdef ArrowSchema *schema = new_schema()
        capsule = schema_capsule(schema)
        check(ps_engine_state_schema(self.ptr, operator_id, schema, &err), &err)
        return None if schema.release == NULL else capsule

    def operators(self):
        """(id, kind) of each operator of the plan that runs here."""
        cdef int32_t i
        cdef const char *kind
        found = []
        for i in range(ps_engine_operator_limit(self.ptr)):
            kind = ps_engine_operator(self.ptr, i)
            if kind != NULL:
                found.append((i, kind.decode("ascii")))
        return found

    def cancel(self):
        """Makes every thread of this engine return soon; from any thread."""
        ps_engine_cancel(self.ptr)

    def check(self):
        """Raises the first error of any thread."""
        cdef ps_error err
        check(ps_engine_failure(self.ptr, &err), &err)

    def metrics(self):
        """One dict per operator and shard."""
        cdef int32_t i
        cdef ps_operator_metrics line
        lines = []
        for i in range(ps_engine_metrics_count(self.ptr)):
            ps_engine_metrics(self.ptr, i, &line)
            lines.append({
                "id": line.id, "shard": line.shard, "name": line.name.decode("utf-8", "replace"),
                "rows_in": line.rows_in, "rows_out": line.rows_out,
                "rows_shipped": line.rows_shipped,
                "batches_in": line.batches_in, "batches_out": line.batches_out,
                "bytes_in": line.bytes_in, "bytes_out": line.bytes_out,
                "late_rows": line.late_rows, "future_rows": line.future_rows,
                "watermark": line.watermark, "keys": line.keys, "state_bytes": line.state_bytes,
                "blocked_ns": line.blocked_ns, "idle_ns": line.idle_ns,
                "read_ns": line.read_ns,
                "ring_used": line.ring_used, "ring_capacity": line.ring_capacity,
                "ring_bytes": line.ring_bytes, "ring_max_bytes": line.ring_max_bytes,
                "barrier_ns": line.barrier_ns, "snapshot_rows": line.snapshot_rows,
                "snapshot_bytes": line.snapshot_bytes,
            })
        return lines

    def take_hot_keys(self, int32_t line):
        """News of the keys with most rows of a line of `metrics`: a Batch, or None."""
        cdef ps_batch *batch = NULL
        if 0 <= line < ps_engine_metrics_count(self.ptr):
            batch = ps_engine_take_hot_keys(self.ptr, line)
        return None if batch == NULL else Batch.wrap(batch)

    @property
    def memory_used(self):
        return ps_engine_memory_used(self.ptr)

    @property
    def memory_peak(self):
        return ps_engine_memory_peak(self.ptr)
