"""An endless source whose every row is known, at a fixed rate, and the answer of its windows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

import pystream as ps
from pystream.connectors.base import Poller, Position, Source
from pystream.stream import Stream

__all__ = ["KEYS", "WINDOW_US", "Clockwork", "expected_window", "query"]

KEYS = 500
WINDOW_US = 500_000
_PARTITIONS = 3
_PIECE_ROWS = 4_096
_SCHEMA = pa.schema([("t", pa.timestamp("us")), ("k", pa.int64()), ("x", pa.int64())])


class Clockwork(Source):
    """Row i of a partition happens i / rate seconds after the start, and not before that comes.

    Parameters
    ----------
    rate
        Rows of a partition in a second; a divisor of a million.
    started_s
        When the clock started, on the clock of `time.time`.
    """

    name = "clockwork"
    live = True
    replayable = True

    def __init__(self, rate: int, started_s: float) -> None:
        self.rate = rate
        self.started_s = started_s

    def schema(self) -> pa.Schema:
        return _SCHEMA

    def partitions(self) -> Sequence[str]:
        return [str(number) for number in range(_PARTITIONS)]

    def open(
        self,
        columns: Sequence[str] | None,
        *,
        partition: str = "0",
        position: Position | None = None,
    ) -> Poller:
        return _ClockworkPoller(self, int(partition), position or 0)


class _ClockworkPoller(Poller):
    def __init__(self, source: Clockwork, partition: int, at: int) -> None:
        self._source = source
        self._partition = partition
        self._at = at

    def poll(self, timeout_s: float) -> Any:
        due = int((time.time() - self._source.started_s) * self._source.rate)
        count = min(_PIECE_ROWS, due - self._at)
        if count <= 0:
            time.sleep(min(timeout_s, 0.005))
            return None
        rows = np.arange(self._at, self._at + count)
        self._at += count
        times = pa.array(rows * (1_000_000 // self._source.rate), pa.timestamp("us"))
        keys, values = _keys_and_values(rows, self._partition)
        return pa.RecordBatch.from_arrays([times, pa.array(keys), pa.array(values)], schema=_SCHEMA)

    def position(self) -> Position:
        return self._at


def _keys_and_values(rows: Any, partition: int) -> tuple[Any, Any]:
    return (rows * 31 + partition * 7) % KEYS, rows % 1_000 + partition


def query(source: Clockwork) -> Stream:
    """Counts and sums of each key, twice a second."""
    stream = Stream.from_source(source).with_event_time("t", out_of_orderness="5ms")
    result = stream.group_by("k").window(ps.tumbling(f"{WINDOW_US}us"))
    return result.agg(n=ps.count(), s=ps.sum("x")).with_columns(
        window_start=ps.col("window_start").cast("int64"),
        window_end=ps.col("window_end").cast("int64"),
    )


def expected_window(rate: int, start_us: int) -> dict[int, tuple[int, int]]:
    """Count and sum of every key in the window that begins then."""
    first, stop = start_us * rate // 1_000_000, (start_us + WINDOW_US) * rate // 1_000_000
    counts, sums = np.zeros(KEYS, np.int64), np.zeros(KEYS, np.int64)
    for partition in range(_PARTITIONS):
        keys, values = _keys_and_values(np.arange(first, stop), partition)
        np.add.at(counts, keys, 1)
        np.add.at(sums, keys, values)
    return {k: (int(counts[k]), int(sums[k])) for k in range(KEYS) if counts[k]}
