"""What a job has done so far, per operator and in all."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["HotKey", "Metrics", "OperatorMetrics", "SourceMetrics"]

_NONE, _END = -(2**63), 2**63 - 1
_HELD_UP = 0.1  # of the time: less is no matter
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OperatorMetrics:
    """One operator on one shard.

    Attributes
    ----------
    rows_in, rows_out
        Rows that came and rows that left. One that was added up with others before an exchange
        counts on both sides of it.
    rows_shipped
        Rows an exchange has sent, totals of several rows as one; 0 for other operators.
    watermark
        Last watermark passed on, in the unit of the event time; None before the first.
    late_rows
        Rows dropped because their every window had left.
    future_rows
        Rows too far ahead (``max_future``) to move the watermark by themselves.
    keys, state_bytes
        Live keys and memory of an operator with state.
    blocked_ns
        Time its output ring was full.
    idle_ns
        Time the shard waited for its input; 0 for operators that are not the first of theirs.
    read_ns
        Of a source that the driving thread reads by itself: the time that took.
    ring_used, ring_capacity
        Messages in the rings that feed it, and how many fit; of a sink on a shard, in the ring to
        the driving thread. 0 without a ring.
    ring_bytes, ring_max_bytes
        Bytes of the batches among them, and how many may be in flight beside one batch a ring.
    barrier_ns
        How long the last barrier held its thread.
    snapshot_rows, snapshot_bytes
        State written for barriers, in all.
    """

    name: str
    stage: int
    id: int
    shard: int
    rows_in: int
    rows_out: int
    rows_shipped: int
    batches_in: int
    batches_out: int
    bytes_in: int
    bytes_out: int
    late_rows: int
    future_rows: int
    watermark: int | None
    keys: int
    state_bytes: int
    blocked_ns: int
    idle_ns: int
    read_ns: int
    ring_used: int
    ring_capacity: int
    ring_bytes: int
    ring_max_bytes: int
    barrier_ns: int
    snapshot_rows: int
    snapshot_bytes: int


def _cells(line: OperatorMetrics) -> list[str]:
    return [
        line.name,
        str(line.shard),
        f"{line.rows_in:,}",
        f"{line.rows_out:,}",
        f"{line.late_rows:,}",
        f"{line.keys:,}",
        f"{line.ring_used}/{line.ring_capacity}" if line.ring_capacity else "-",
        f"{line.blocked_ns / 1e6:.1f} ms",
    ]


@dataclass(frozen=True, slots=True)
class HotKey:
    """A key with so many of the rows that its shard has half as much again to do as the others.

    Attributes
    ----------
    operator, stage, id
        The aggregate, as in `OperatorMetrics`.
    columns
        Names of its key columns.
    key
        The value of the key, a tuple for several columns; None for null.
    share
        Of the rows of that aggregate, from a sample of the recent past.
    """

    operator: str
    stage: int
    id: int
    columns: tuple[str, ...]
    key: Any
    share: float

    def __str__(self) -> str:
        values = self.key if len(self.columns) > 1 else (self.key,)
        texts = [repr(value) if isinstance(value, str) else str(value) for value in values]
        named = ", ".join(f"{n}={text}" for n, text in zip(self.columns, texts, strict=True))
        return (
            f"hot key: {named} has {self.share:.0%} of the rows of {self.operator} {self.id} of "
            f"stage {self.stage}"
        )


@dataclass(frozen=True, slots=True)
class SourceMetrics:
    """One partition of a source.

    Attributes
    ----------
    waiting_bytes
        Read by its source thread and not yet taken.
    held_s
        How long its source thread had to wait for room.
    read_s
        How long the driving thread was busy reading it; 0 for sources with threads of their own.
    """

    name: str
    partition: str
    waiting_bytes: int
    held_s: float
    read_s: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures of a job at one moment.

    Attributes
    ----------
    rows_in, bytes_in
        Read from the sources.
    rows_out, bytes_out
        Result rows that left.
    late_rows
        Rows dropped as late, over all operators.
    future_rows
        Rows too far ahead (``max_future``) to move the watermark by themselves; none is dropped.
    watermark
        Event time that all sources have reached; None before the first row, without event time
        and after the end of the input.
    memory_used, memory_peak
        Bytes the native core holds for this job now, and at most so far.
    seconds
        How long the job has run.
    sources
        One line per partition of a source.
    hot_keys
        Keys with more than 5% of the rows of an aggregate, and more than half of what a shard has
        when all have alike; hottest first. Known some ten thousand rows after the start.
    starved_s
        How long the driving thread had nothing to do but wait for source threads.
    sink, sink_busy_s, sink_held_s, sink_waiting_bytes
        Name of the sink, the time it has spent in its calls, for how much of it the job had to
        wait, because as many rows as may wait for the sink did, and the bytes that wait now.
    epoch, checkpoint_s
        The last epoch that was decided, and how long it took from its barrier to its manifest.
    """

    rows_in: int
    rows_out: int
    bytes_in: int
    bytes_out: int
    late_rows: int
    future_rows: int
    watermark: datetime | None
    memory_used: int
    memory_peak: int
    operators: tuple[OperatorMetrics, ...]
    sources: tuple[SourceMetrics, ...] = ()
    hot_keys: tuple[HotKey, ...] = ()
    seconds: float = 0.0
    starved_s: float = 0.0
    sink: str = ""
    sink_busy_s: float = 0.0
    sink_held_s: float = 0.0
    sink_waiting_bytes: int = 0
    epoch: int = 0
    checkpoint_s: float | None = None

    @property
    def bottleneck(self) -> str | None:
        """What the speed of the job is bound by; None where nobody waits for a tenth of the time.

        ``sink-bound``, ``operator-bound`` or ``source-bound``, with figures. A sink comes first:
        what it holds up in turn holds up the operators and sources before it.
        """
        if self.seconds <= 0:
            return None
        held = self._share(self.sink_held_s)
        if held >= _HELD_UP:
            return (
                f"sink-bound: sink {self.sink} is busy {self._share(self.sink_busy_s):.0%} of the "
                f"time and holds up everything before it for {held:.0%}"
            )
        share, text = max(self._by_operators(), self._by_sources())
        return text if share >= _HELD_UP else None

    def _share(self, seconds: float) -> float:
        return min(1.0, seconds / self.seconds)

    def _by_operators(self) -> tuple[float, str]:
        """For how much of the time something waited for operators, and for which."""
        found = (0.0, "")
        for line in self.operators:
            share = self._share(line.blocked_ns / 1e9)
            behind = [o for o in self.operators if (o.stage, o.id) == (line.stage, line.id)]
            idle = min((self._share(o.idle_ns / 1e9) for o in behind if o.idle_ns), default=0.0)
            text = (
                f"operator-bound: the operators behind {line.name} {line.id} of stage {line.stage} "
                f"hold it up for {share:.0%} of the time: their rings are full, and the busiest "
                f"shard waits for input {idle:.0%} of the time"
            )
            found = max(found, (share, text))
        for source in self.sources:
            share = self._share(source.held_s)
            text = (
                f"operator-bound: source {source.name!r} waits for the driving thread for "
                f"{share:.0%} of the time, which waits for sources for "
                f"{self._share(self.starved_s):.0%}"
            )
            found = max(found, (share, text))
        return found

    def _by_sources(self) -> tuple[float, str]:
        """For how much of the time the driving thread waited for rows."""
        read = max(self.sources, key=lambda source: source.read_s, default=None)
        reading_s = sum(source.read_s for source in self.sources)
        share = self._share(self.starved_s + reading_s)
        text = f"source-bound: the job waits for its sources {share:.0%} of the time"
        if read is not None and reading_s > 0:
            text += f", {self._share(read.read_s):.0%} in reading {read.name!r}"
        return share, text

    def __repr__(self) -> str:
        lines = [
            f"rows in {self.rows_in:,}  out {self.rows_out:,}  late {self.late_rows:,}  "
            f"watermark {self.watermark or '-'}  memory {self.memory_used / 1e6:,.1f} MB "
            f"(peak {self.memory_peak / 1e6:,.1f})"
        ]
        if self.bottleneck is not None:
            lines.append(self.bottleneck)
        lines += map(str, self.hot_keys)
        widths = [max(map(len, column)) for column in zip(*self._table(), strict=True)]
        for row in self._table():
            cells = [
                cell.ljust(width) if index == 0 else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head, *rows = self._table()
        cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in rows
        )
        summary = html.escape(repr(self).splitlines()[0])
        summary += "".join(f"<br>{html.escape(str(key))}" for key in self.hot_keys)
        return f"<p>{summary}</p><table><tr>{cells}</tr>{body}</table>"

    def _table(self) -> list[list[str]]:
        head = ["operator", "shard", "rows in", "rows out", "late", "keys", "ring", "blocked"]
        return [head, *map(_cells, self.operators)]


def to_datetime(watermark: int | None, unit_ns: int) -> datetime | None:
    """A watermark as a date; None where it is not a moment in the calendar."""
    if watermark is None or watermark in (_NONE, _END):
        return None
    try:
        return _EPOCH + timedelta(microseconds=watermark * unit_ns // 1_000)
    except OverflowError:
        return None


def least(watermarks: Sequence[int | None]) -> int | None:
    """The watermark of inputs together; None while one has none."""
    known = [value for value in watermarks if value is not None]
    return min(known) if known and len(known) == len(watermarks) else None
