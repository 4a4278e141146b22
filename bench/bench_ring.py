"""The ring between two threads, beside the limit: 8-byte items through one array."""

from __future__ import annotations

import pytest

from bench import limit, parts
from bench.measure import Measure


def items(rows: int) -> int:
    """How many go through a ring."""
    return min(rows, 5_000_000)


def total(count: int) -> int:
    """What the consumer must have seen."""
    return count * (count - 1) // 2


@pytest.mark.info
@pytest.mark.parametrize("batch", [1, 8, 64, 256])
def bench_limit_ring(measure: Measure, bench_rows: int, batch: int) -> None:
    """Items published `batch` at a time."""
    _, lib = limit.opened()
    count = items(bench_rows)
    seconds = measure(lambda: lib.limit_ring(count, batch), expect=total(count))
    measure.note("ring", f"limit, {batch} at a time, 2 threads", count / seconds / 1e6, "M/s")


@pytest.mark.info
@pytest.mark.parametrize("threads", [1, 2])
def bench_ring(measure: Measure, bench_rows: int, threads: int) -> None:
    """Messages of the engine, one at a time; one thread is the cost of the instructions alone."""
    try:
        _, lib = parts.load("part_ring")
    except (parts.NoObjects, OSError) as reason:
        pytest.skip(str(reason))
    count = items(bench_rows)
    run = lib.part_ring_two_threads if threads == 2 else lib.part_ring_one_thread
    seconds = measure(lambda: run(count, 1024), expect=total(count))
    measure.note("ring", f"pystream, 1 message, {threads} threads", count / seconds / 1e6, "M/s")
