"""A gigabyte of state through a job: how long a checkpoint holds it, and back to its first row.

The state is an aggregation without a window, a group a row. The source gives its rows, then waits;
a second job of the same place is timed from `start` until a new row has reached its aggregation.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bench.measure import Measure

STATE_BYTES = 1_000_000_000
ROW_BYTES = 56  # of state
BATCH_ROWS = 65_536
LOOK_S = 0.001
PATIENCE_S = 120.0


def keys(rows: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """So many keys, none twice, in an order without a pattern."""
    return np.random.default_rng(5).permutation(rows).astype(np.int64)


def make_source(ps: Any, numbers: Any) -> Any:
    """Rows with these keys, then nothing until more is let through."""
    from pystream.connectors.base import Poller, Source

    class Keys(Source):
        name = "keys"
        live = True
        replayable = True

        def __init__(self) -> None:
            self.limit = len(numbers)
            self.more = threading.Event()

        def schema(self) -> pa.Schema:
            return pa.schema([("key", pa.int64()), ("x", pa.float64())])

        def open(self, columns: Any, *, partition: str = "0", position: Any = None) -> Poller:
            return Asked(self, 0 if position is None else position)

    class Asked(Poller):
        def __init__(self, source: Keys, at: int) -> None:
            self._source = source
            self._at = at

        def poll(self, timeout_s: float) -> Any:
            end = min(self._at + BATCH_ROWS, self._source.limit)
            if end == self._at:
                time.sleep(min(timeout_s, LOOK_S))
                return None
            part = numbers[np.arange(self._at, end) % len(numbers)]
            self._at = end
            values = [pa.array(part), pa.array(part * 0.5)]
            return pa.RecordBatch.from_arrays(values, schema=self._source.schema())

        def position(self) -> int:
            return self._at

    return Keys()


def rows_aggregated(job: Any) -> int:
    """Rows that have reached the aggregation, over all shards."""
    return sum(line.rows_in for line in job.metrics().operators if line.name == "aggregate")


def wait_for_rows(job: Any, rows: int) -> None:
    """Until so many rows have been aggregated."""
    until = time.perf_counter() + PATIENCE_S
    while rows_aggregated(job) < rows:
        assert job.status == "running", job.error
        assert time.perf_counter() < until, "the rows do not come"
        time.sleep(LOOK_S)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory on the disk of the working directory, not on a tmpfs."""
    path = Path(tempfile.mkdtemp(prefix="bench-snapshot-", dir="."))
    yield path
    shutil.rmtree(path)


@pytest.mark.gate
@pytest.mark.parametrize("shards", [1, 2])
def bench_snapshot(measure: Measure, bench_rows: int, place: Path, shards: int) -> None:
    """Checkpoint while it runs, and recovery end to end; less than 3 s are wanted."""
    ps = pytest.importorskip("pystream")
    from pystream.stream import Stream

    rows = min(bench_rows, STATE_BYTES // ROW_BYTES)
    numbers = keys(rows)

    def started() -> tuple[Any, Any]:
        source = make_source(ps, numbers)
        stream = Stream.from_source(source).group_by("key")
        made = stream.agg(
            n=ps.count(), s=ps.sum("x"), low=ps.min("x"), high=ps.max("x"), mean=ps.mean("x")
        )
        pipeline = made.write_parquet(f"{place}/out/")
        options = {"checkpoint": place / "state", "checkpoint_every": "1h", "name": "bench"}
        return source, pipeline.start(parallelism=shards, **options)

    _, job = started()
    wait_for_rows(job, rows)
    job.checkpoint(PATIENCE_S)
    metrics = job.metrics()
    size = sum(line.snapshot_bytes for line in metrics.operators)
    held_s = max(line.barrier_ns for line in metrics.operators) / 1e9
    job.cancel()

    begin = time.perf_counter()
    source, job = started()
    source.limit = rows + 1
    wait_for_rows(job, 1)
    recovered_s = time.perf_counter() - begin
    held = sum(line.keys for line in job.metrics().operators)
    job.cancel()
    assert held == rows
    title = f"{size / 1e9:.2f} GB in {rows / 1e6:.1f} M groups, {shards} shard{'s'[: shards > 1]}"
    measure.note("snapshot", f"{title}: held", held_s * 1e6, "us")
    measure.note("snapshot", f"{title}: written", size / metrics.checkpoint_s / 1e9, "GB/s")
    measure.note("snapshot", f"{title}: start to first row", recovered_s, "s")
