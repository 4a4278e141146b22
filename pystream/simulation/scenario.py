"""Random pipelines with a known answer: partitions, disorder, nulls, windows, stages, a sink."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pystream.aggregates import Agg, count, first, last, max, mean, min, sum
from pystream.connectors.base import Poller, Position, Reader, Sink, SinkContext, Source
from pystream.expr import col
from pystream.plan.schema import Schema
from pystream.storage.base import Storage
from pystream.stream import Stream
from pystream.windows import hopping, tumbling

__all__ = ["Scenario", "SimSink", "SimSource", "draw_scenario"]

_BOUND_US = 5_000
_TEXTS = ("ams", "ber", "a name that is stored out of line", None)


class SimSource(Source):
    """Partitions of rows that arrive bit by bit, in batches cut by chance."""

    live = True
    replayable = True

    def __init__(self, name: str, tables: Sequence[Any], rng: random.Random) -> None:
        self.name = name
        self.tables = list(tables)
        self.rng = rng

    def schema(self) -> Any:
        return self.tables[0].schema

    def partitions(self) -> Sequence[str]:
        return [str(number) for number in range(len(self.tables))]

    def open(
        self,
        columns: Sequence[str] | None,
        *,
        partition: str = "0",
        position: Position | None = None,
    ) -> Reader | Poller:
        start = 0 if position is None else position
        return _SimPoller(self.tables[int(partition)], start, self.rng)


class _SimPoller(Poller):
    def __init__(self, table: Any, at: int, rng: random.Random) -> None:
        self._table = table
        self._at = at
        self._rng = rng

    def poll(self, timeout_s: float) -> Any:
        if self._at >= self._table.num_rows:
            self.ended = True
            return None
        if self._rng.random() < 0.2:
            return None
        rows = self._table.slice(self._at, self._rng.randint(1, 25)).combine_chunks()
        self._at += rows.num_rows
        return rows.to_batches()[0]

    def position(self) -> Position:
        return self._at


class SimSink(Sink):
    """An exactly-once sink of files in a storage: the smallest one that keeps the protocol.

    Parameters
    ----------
    storage
        Where its output is: ``out/<epoch>`` holds the rows of an epoch, as text.
    """

    name = "simulated files"
    guarantee = "exactly-once"

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._rows: list[dict[str, Any]] = []

    def open(self, schema: Schema, context: SinkContext) -> None:
        self._rows = []

    def recover(self, epoch: int, token: Any) -> None:
        if epoch:
            self.commit(epoch, token)
        for name in self.storage.list("staged/"):
            self.storage.delete(name)

    def write(self, batches: Any) -> None:
        import pyarrow as pa

        self._rows += pa.table(batches).to_pylist()

    def prepare(self, epoch: int) -> Any:
        lines = [repr(sorted(row.items())) for row in self._rows]
        self._rows = []
        name = f"staged/{epoch:08d}"
        self.storage.write(name, "\n".join(lines).encode())
        return name

    def commit(self, epoch: int, token: Any) -> None:
        target = f"out/{epoch:08d}"
        if target in self.storage.list("out/"):
            self.storage.sync(target)  # it may have been seen by nobody but us
        else:
            self.storage.write(target, self.storage.read(token))
        self.storage.delete(token)

    @staticmethod
    def rows_in(storage: Storage) -> list[str]:
        """Every row that was made visible, sorted."""
        texts = [storage.read(name).decode() for name in storage.list("out/")]
        return sorted(line for text in texts for line in text.split("\n") if line)


@dataclass(frozen=True)
class Scenario:
    """A query over a source, what it is in words, and the rows that must come out."""

    source: SimSource
    stream: Stream
    text: str
    expected: list[str] = field(repr=False)


def draw_scenario(rng: random.Random) -> Scenario:
    """A random query over random rows, and its answer over all of them at once."""
    tables = [_draw_table(rng, number) for number in range(rng.randint(1, 3))]
    shape = _draw_shape(rng)
    source = SimSource("simulated", tables, rng)
    # Without disorder across partitions no row is late, so the batch answer is the answer.
    stream = shape.apply(Stream.from_source(source), "5ms")
    return Scenario(source, stream, f"{len(tables)} partitions, {shape}", shape.answer(tables))


@dataclass(frozen=True)
class _Shape:
    """The part of a query that is drawn."""

    keys: tuple[str, ...]
    window: Any
    aggregates: tuple[Agg, ...]
    filtered: bool
    staged: bool

    def apply(self, stream: Stream, bound: str) -> Stream:
        if self.staged:
            stream = stream.map_batches(_unchanged)
        # Behind a Python stage all partitions are one input, so its disorder is theirs together.
        stream = stream.with_event_time("t", out_of_orderness="1h" if self.staged else bound)
        if self.filtered:
            stream = stream.filter(col("x") > 100)
        if self.window is None:
            grouped = stream.group_by(*self.keys)
        elif self.keys:
            grouped = stream.group_by(*self.keys).window(self.window)
        else:
            grouped = stream.window(self.window)
        return grouped.agg(*self.aggregates)

    def answer(self, tables: Sequence[Any]) -> list[str]:
        import pyarrow as pa

        from pystream.read import read_arrow

        # By time, so that first and last mean the same for rows of several partitions.
        together = pa.concat_tables(tables).sort_by("t")
        rows = self.apply(read_arrow(together), "1h").collect().to_pylist()
        return sorted(repr(sorted(row.items())) for row in rows)


def _unchanged(batch: Any) -> Any:
    return batch


def _draw_shape(rng: random.Random) -> _Shape:
    size = rng.choice([10, 40, 100])
    windows = [tumbling(f"{size}ms"), hopping(f"{size}ms", slide=f"{rng.choice([5, 10])}ms"), None]
    window = rng.choice(windows)
    keys = rng.choice([("k",), ("s",), ("k", "s"), ()])
    if window is None and not keys:
        keys = ("k",)
    choices = [
        count().alias("n"),
        sum("x").alias("total"),
        min("x").alias("least"),
        max("s").alias("greatest"),
        mean("y").alias("average"),
        first("u").alias("earliest"),
        last("u").alias("latest"),
    ]
    aggregates = tuple(rng.sample(choices, rng.randint(1, len(choices))))
    return _Shape(keys, window, aggregates, rng.random() < 0.3, rng.random() < 0.15)


def _draw_table(rng: random.Random, partition: int) -> Any:
    """Rows nearly in order of time; x may be null, u tells the row, times are distinct."""
    import pyarrow as pa

    count_of_rows = rng.choice([0, 1, 30, 300, 600])
    times, now = [], 0
    for _ in range(count_of_rows):
        now += rng.choice([8, 400, 4_000])
        times.append((now + rng.randint(0, _BOUND_US - 1000)) // 8 * 8 + partition)
    times = _distinct(times)
    return pa.table(
        {
            "t": pa.array(times, pa.timestamp("us")),
            "k": pa.array([rng.randint(0, 9) for _ in times], pa.int64()),
            "s": pa.array([rng.choice(_TEXTS) for _ in times], pa.string()),
            "x": pa.array(
                [None if rng.random() < 0.1 else rng.randint(0, 1000) for _ in times], pa.int64()
            ),
            "y": pa.array([float(rng.randint(0, 64)) for _ in times], pa.float64()),
            "u": pa.array([time * 3 + 1 for time in times], pa.int64()),
        }
    )


def _distinct(times: Sequence[int]) -> list[int]:
    """Times with none twice, moved as little as possible; the partition in them stays."""
    seen: set[int] = set()
    found = []
    for time in times:
        while time in seen:
            time += 8  # noqa: PLW2901
        seen.add(time)
        found.append(time)
    return found
