"""The memory of this machine: what no engine on it can pass."""

from __future__ import annotations

import numpy as np
import pytest

from bench import limit
from bench.measure import Measure

MEBI = 1 << 20


def size(rows: int) -> int:
    """256 MiB, or what the toy size asks for."""
    return min(256 * MEBI, max(MEBI, rows * 16))


@pytest.mark.info
def bench_memory_read(measure: Measure, bench_rows: int) -> None:
    """Read int64 once."""
    ffi, lib = limit.opened()
    values = np.ones(size(bench_rows) // 8, np.int64)
    address = ffi.cast("int64_t *", values.ctypes.data)
    seconds = measure(lambda: lib.memory_read(address, len(values)))
    measure.note("memory", "read", values.nbytes / seconds / 1e9, "GB/s")


@pytest.mark.info
def bench_memory_copy(measure: Measure, bench_rows: int) -> None:
    """memcpy, bytes read and bytes written both counted."""
    ffi, lib = limit.opened()
    source = np.ones(size(bench_rows) // 8, np.int64)
    target = np.zeros_like(source)
    pointers = [ffi.cast("int64_t *", array.ctypes.data) for array in (target, source)]
    seconds = measure(lambda: lib.memory_copy(*pointers, len(source)))
    measure.note("memory", "copy (read + write)", 2 * source.nbytes / seconds / 1e9, "GB/s")


@pytest.mark.info
def bench_memory_fresh(measure: Measure, bench_rows: int) -> None:
    """First touch of new memory, huge pages where the kernel grants them."""
    _, lib = limit.opened()
    size_bytes = size(bench_rows)
    seconds = measure(lambda: lib.memory_fill_fresh(size_bytes))
    measure.note("memory", "first touch, huge pages", size_bytes / seconds / 1e9, "GB/s")


@pytest.mark.info
@pytest.mark.parametrize("size_kib", [32, 512, 16 << 10, 256 << 10])
def bench_memory_chase(measure: Measure, bench_rows: int, size_kib: int) -> None:
    """Dependent loads over a random cycle: the latency of each level."""
    _, lib = limit.opened()
    size_bytes = min(size_kib << 10, size(bench_rows))
    lines, steps = size_bytes // 64, min(2_000_000, bench_rows)
    cycle = lib.memory_cycle(lines)
    seconds = measure(lambda: lib.memory_chase(cycle, steps))
    lib.memory_forget(cycle, lines)
    measure.note("memory", f"load from {size_bytes >> 10:,} KiB", seconds / steps * 1e9, "ns")
