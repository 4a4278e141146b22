"""State to files and back: a gigabyte of rows, as the state of a wide aggregation."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bench.measure import Measure
from pystream.checkpoint import CheckpointStore
from pystream.checkpoint.checksum import checksum
from pystream.checkpoint.state_file import COMPRESSIONS
from pystream.storage import LocalStorage

COLUMNS = 10
BATCH_ROWS = 65_536
ROWS_MAX = 13_000_000


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory on the disk of the working directory, not on a tmpfs."""
    path = Path(tempfile.mkdtemp(prefix="bench-checkpoint-", dir="."))
    yield path
    shutil.rmtree(path)


def batches(rows: int) -> list[pa.RecordBatch]:
    """Keys, a slice and accumulators as an aggregation keeps them: 80 bytes a row."""
    random = np.random.default_rng(1)
    count = min(BATCH_ROWS, rows)
    columns = {"key": random.permutation(count), ".slice": np.full(count, 495_000)}
    for n in range(COLUMNS - 2):
        values = random.normal(100, 10, count) if n % 2 else random.integers(0, 1_000, count)
        columns[f"a{n}"] = values
    batch = pa.record_batch(columns)
    return [batch] * max(1, rows // count)


@pytest.mark.info
@pytest.mark.parametrize("compression", COMPRESSIONS)
def bench_checkpoint(measure: Measure, bench_rows: int, place: Path, compression: str) -> None:
    """Write with fsync, then read every byte verified."""
    state = batches(min(bench_rows, ROWS_MAX))
    size = sum(batch.nbytes for batch in state)

    def write() -> int:
        store = CheckpointStore(LocalStorage(place), job="bench", compression=compression)
        with store.begin(store.next_epoch) as writer:
            for number, batch in enumerate(state):
                half = number % 2 * 512
                writer.add("aggregate", (half, half + 512), batch)
            writer.commit(positions={})
        store.expire(keep=1)
        return len(state)

    def read() -> int:
        checkpoint = CheckpointStore(LocalStorage(place), job="bench").latest()
        assert checkpoint is not None
        return sum(1 for _ in checkpoint.pieces("aggregate"))

    written = measure(write, expect=len(state))
    found = measure(read, expect=len(state))
    stored = sum(path.stat().st_size for path in (place / "state").iterdir())
    measure.note("checkpoint", f"write, {compression}", size / written / 1e9, "GB/s")
    measure.note("checkpoint", f"read verified, {compression}", size / found / 1e9, "GB/s")
    measure.note("checkpoint", f"bytes stored, {compression}", stored / size, "of the state's")


@pytest.mark.info
def bench_checkpoint_limits(measure: Measure, bench_rows: int, place: Path) -> None:
    """What bounds both: the checksum, and the disk with fsync."""
    data = np.ones(min(bench_rows, ROWS_MAX) * COLUMNS, np.int64)
    storage = LocalStorage(place)
    seconds = measure(lambda: checksum(data))
    measure.note("checkpoint", "limit: checksum", data.nbytes / seconds / 1e9, "GB/s")
    seconds = measure(lambda: storage.write("raw", data))
    measure.note("checkpoint", "limit: write and fsync", data.nbytes / seconds / 1e9, "GB/s")
