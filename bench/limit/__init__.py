"""The hand-written C limits, called through cffi: the most one thread of this machine can do."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import cffi
import numpy as np
import pyarrow as pa

from bench.limit.build import HERE, build

FUNCTIONS = """
int limit_w1(const limit_batch *batches, int64_t batch_count, limit_out *out);
int64_t limit_w1_read(const limit_batch *batches, int64_t batch_count);
int limit_w2_plain(const limit_batch *, int64_t, limit_arena *, limit_out *);
int limit_w2_radix(const limit_batch *, int64_t, limit_arena *, limit_out *);
int limit_w3_hash(const limit_batch *, int64_t, limit_arena *, limit_out *);
int limit_w3_dense(const limit_batch *, int64_t, limit_arena *, limit_out *);
int limit_w5(const limit_batch *batches, int64_t batch_count, double bound, limit_out *out);
int64_t memory_read(const int64_t *from, int64_t count);
void memory_copy(int64_t *to, const int64_t *from, int64_t count);
int memory_fill_fresh(int64_t size_bytes);
int64_t *memory_cycle(int64_t lines);
int64_t memory_chase(const int64_t *cycle, int64_t steps);
void memory_forget(int64_t *cycle, int64_t lines);
int64_t limit_ring(int64_t count, int64_t batch);
int munmap(void *memory, size_t size_bytes);
"""

OUT_TYPES: dict[str, dict[str, str]] = {
    "w1": {"window_start": "i8", "campaign": "i8", "n": "i8"},
    "w2": {"window_start": "i8", "key": "i8", "total": "f8", "n": "i8", "lo": "f8", "hi": "f8"},
    "w3": {"window_start": "i8", "top": "i8"},
    "w5": {"auction": "i8", "price": "f8", "ts": "i8", "is_google": "bits"},
}
"""Columns each workload's limit writes, with their numpy types."""


@functools.cache
def opened() -> tuple[cffi.FFI, Any]:
    """Return cffi and the library, built if need be."""
    ffi = cffi.FFI()
    header = (HERE / "limit.h").read_text()
    shared = header.split("/* cffi: begin */")[1].split("/* cffi: end */")[0]
    ffi.cdef(shared + FUNCTIONS)
    return ffi, ffi.dlopen(str(build()))


class Limit:
    """One limit over one list of batches; `run` is what the clock sees.

    Parameters
    ----------
    workload : 'w1', 'w2', 'w3' or 'w5'
    function : name of the C function
    batches : record batches without nulls and offsets
    fresh : take output memory inside the clock (True) or reuse touched memory (False)
    arena : whether the function keeps state in an arena
    keep_state : leave the arena touched for the next run (True) or give it back too (False)
    extra : further arguments between the batches and the output
    """

    def __init__(
        self,
        workload: str,
        function: str,
        batches: Sequence[pa.RecordBatch],
        *,
        fresh: bool,
        arena: bool = False,
        keep_state: bool = True,
        extra: Sequence[float] = (),
    ) -> None:
        self.ffi, self.lib = opened()
        self.function = getattr(self.lib, function)
        self.types = OUT_TYPES[workload]
        self.batches = batches  # keeps the buffers alive
        self.table = self.ffi.new("limit_batch[]", len(batches))
        for row, batch in zip(self.table, batches, strict=True):
            row.row_count = batch.num_rows
            for index, buffer in enumerate(data_buffers(batch)):
                row.col[index] = self.ffi.cast("void *", buffer.address)
        self.rows = sum(batch.num_rows for batch in batches)
        self.fresh = fresh
        self.arena = self.ffi.new("limit_arena *") if arena else None
        self.keep_state = keep_state
        self.extra = list(extra)
        self.columns: dict[str, np.ndarray] = {}
        self.out = self.ffi.new("limit_out *")
        if not fresh:
            for index, (name, kind) in enumerate(self.types.items()):
                memory = np.ones(
                    self.rows // 8 + 64 if kind == "bits" else self.rows + 64,
                    "u1" if kind == "bits" else kind,
                )
                self.columns[name] = memory
                self.out.col[index] = self.ffi.cast("void *", memory.ctypes.data)

    def run(self) -> Limit:
        """Run once; answers itself, so that `result` can be asked later."""
        self.out.capacity = self.rows + 64
        arena = () if self.arena is None else (self.arena,)
        status = self.function(self.table, len(self.batches), *arena, *self.extra, self.out)
        if status != 0:
            raise MemoryError(f"the limit answered {status}")
        return self

    def release(self) -> None:
        """Give fresh output memory back, and the state unless it is kept."""
        if self.arena is not None and not self.keep_state and self.arena.size_bytes > 0:
            self._unmap(self.arena.memory, self.arena.size_bytes)
            self.arena.memory, self.arena.size_bytes = self.ffi.NULL, 0
        if self.out.fresh != self.ffi.NULL:
            self._unmap(self.out.fresh, self.out.fresh_bytes)
            self.out.fresh = self.ffi.NULL
            for index in range(len(self.types)):
                self.out.col[index] = self.ffi.NULL

    def _unmap(self, memory: Any, size_bytes: int) -> None:
        huge_page = 2 << 20
        self.lib.munmap(memory, -(-size_bytes // huge_page) * huge_page)

    def result(self) -> dict[str, np.ndarray]:
        """Return the output columns of the last run as copies."""
        count = self.out.row_count
        answer = {}
        for index, (name, kind) in enumerate(self.types.items()):
            width = 8 * count if kind != "bits" else -(-count // 8)
            raw = np.frombuffer(self.ffi.buffer(self.out.col[index], width), np.uint8).copy()
            if kind == "bits":
                answer[name] = np.unpackbits(raw, count=count, bitorder="little").astype(bool)
            else:
                answer[name] = raw.view(kind)
        return answer


def data_buffers(batch: pa.RecordBatch) -> Iterable[pa.Buffer]:
    """Yield the buffers of `batch` in order, validity left out."""
    for column in batch.columns:
        if column.null_count or column.offset:
            raise ValueError("a limit reads columns without nulls and without offset")
        yield from column.buffers()[1:]
