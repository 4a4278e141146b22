"""Rows with disorder and nulls, the query over them, and its answer in plain Python.

Disorder stays within the declared bound, so that no row is late and the answer does not depend on
how the rows were cut into batches or on who read them when.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

import pystream as ps
from pystream.stream import Stream

__all__ = ["COLUMNS", "SCHEMA", "Workload", "normal"]

SCHEMA = pa.schema(
    [
        ("t", pa.timestamp("us")),
        ("k", pa.string()),
        ("x", pa.int64()),
        ("y", pa.float64()),
        ("u", pa.int64()),
    ]
)
COLUMNS = ("kind", "k", "window_start", "window_end", "n", "total", "least", "average", "latest")
KEYS = ("ams", "ber", "cdg", "a name that is stored out of line", "", None)
BOUND_MS = 50
STEP_US = 1_000  # between two rows of a partition
JITTER = 40  # steps that a row may be early
TUMBLING_US = 40_000
HOPPING_US, SLIDE_US = 60_000, 20_000
SHAPES = ("tumbling", "hopping", "both")

Row = dict[str, Any]
Answer = tuple[Any, ...]  # a result row, in the order of COLUMNS, times in microseconds


@dataclass(frozen=True)
class Workload:
    """Rows and a query that a number decides.

    Parameters
    ----------
    seed
        Decides rows and query.
    rows
        How many each partition has.
    partitions
        How many there are.
    """

    seed: int
    rows: int = 800
    partitions: int = 3

    @property
    def shape(self) -> str:
        """Which windows the query has."""
        return SHAPES[self.seed % len(SHAPES)]

    def tables(self) -> list[pa.Table]:
        """The rows of each partition, in the order in which they arrive."""
        rng = random.Random(self.seed)
        seen: set[int] = set()
        return [self._table(rng, seen, number) for number in range(self.partitions)]

    def _table(self, rng: random.Random, seen: set[int], partition: int) -> pa.Table:
        times = []
        for index in range(self.rows):
            time = (index + rng.randint(0, JITTER)) * STEP_US + partition
            while time in seen:  # distinct, so that the latest row is one
                time += 1
            seen.add(time)
            times.append(time)
        x = [None if rng.random() < 0.1 else rng.randint(-1000, 1000) for _ in times]
        columns = [
            pa.array(times, pa.timestamp("us")),
            pa.array([rng.choice(KEYS) for _ in times], pa.string()),
            pa.array(x, pa.int64()),
            pa.array([rng.randint(0, 64) / 4 for _ in times], pa.float64()),
            pa.array([time * 3 + 1 for time in times], pa.int64()),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMA)

    def merged(self) -> pa.Table:
        """All rows as one partition, still nearly in order of time."""
        tables = self.tables()
        together = pa.concat_tables(tables)
        order = [p * self.rows + i for i in range(self.rows) for p in range(self.partitions)]
        return together.take(pa.array(order)).combine_chunks()

    def query(self, stream: Stream) -> Stream:
        """The query over a stream of the rows."""
        timed = stream.with_event_time("t", out_of_orderness=f"{BOUND_MS}ms")
        wanted = [
            _windowed(timed, kind, window)
            for kind, window in (
                ("tumbling", ps.tumbling(f"{TUMBLING_US}us")),
                ("hopping", ps.hopping(f"{HOPPING_US}us", slide=f"{SLIDE_US}us")),
            )
            if self.shape in (kind, "both")
        ]
        return wanted[0].union(*wanted[1:])

    def answer(self) -> list[Answer]:
        """What the query must give, sorted; from the rows alone, without the engine."""
        rows = [row for table in self.tables() for row in _plain(table)]
        found: list[Answer] = []
        if self.shape in ("tumbling", "both"):
            found += _recompute("tumbling", rows, TUMBLING_US, TUMBLING_US)
        if self.shape in ("hopping", "both"):
            found += _recompute("hopping", rows, HOPPING_US, SLIDE_US)
        return sorted(found, key=repr)


def _windowed(timed: Stream, kind: str, window: Any) -> Stream:
    grouped = timed.group_by("k").window(window)
    result = grouped.agg(
        n=ps.count(),
        total=ps.sum("x"),
        least=ps.min("x"),
        average=ps.mean("y"),
        latest=ps.last("u"),
    )
    return result.with_columns(kind=ps.lit(kind)).select(*COLUMNS)


def _plain(table: pa.Table) -> list[Row]:
    return table.set_column(0, "t", table["t"].cast(pa.int64())).to_pylist()


def _recompute(kind: str, rows: Iterable[Row], size: int, slide: int) -> list[Answer]:
    groups: dict[tuple[Any, int], list[Row]] = {}
    for row in rows:
        start = row["t"] // slide * slide
        while start > row["t"] - size:
            groups.setdefault((row["k"], start), []).append(row)
            start -= slide
    return [_answer(kind, key, start, size, group) for (key, start), group in groups.items()]


def _answer(kind: str, key: str | None, start: int, size: int, group: Sequence[Row]) -> Answer:
    values = [row["x"] for row in group if row["x"] is not None]
    return (
        kind,
        key,
        start,
        start + size,
        len(group),
        sum(values),
        min(values, default=None),
        sum(row["y"] for row in group) / len(group),
        max(group, key=lambda row: row["t"])["u"],
    )


def normal(rows: Iterable[Row]) -> list[Answer]:
    """Result rows as a sink gave them back, in the form of `Workload.answer`."""
    return [tuple(_number(row[name]) for name in COLUMNS) for row in rows]


def _number(value: Any) -> Any:
    """Times, as whatever a sink keeps them, in microseconds since 1970."""
    if isinstance(value, str) and value[4:5] == "-" and value[:2] == "19":
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        delta = value.replace(tzinfo=None) - datetime(1970, 1, 1)
        return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
    return value
