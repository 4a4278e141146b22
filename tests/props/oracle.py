"""What the engine must answer, recomputed from raw rows in plain Python.

Rows are taken one by one in the order in which they arrive. The watermark before a row is the
largest event time of the rows before it minus the bound; a `Clock` says which times count. A row
enters each of its windows whose end lies after that watermark; a row that enters none is late.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Window:
    size: int
    slide: int
    offset: int = 0

    def starts(self, time: int) -> list[int]:
        """Starts of the windows that hold a time."""
        last = (time - self.offset) // self.slide
        first = (time - self.offset - self.size) // self.slide + 1
        return [w * self.slide + self.offset for w in range(first, last + 1)]


class Clock:
    """The watermark of one input, row by row.

    With max_future a row further ahead does not move it, until sixteen are, net of those that are
    not: then the least of them is believed. The first rows are believed in the same way.
    """

    def __init__(self, bound: int, max_future: int | None = None) -> None:
        self.bound, self.max_future = bound, max_future
        self.largest: int | None = None
        self.future_rows = 0
        self._ahead: list[int] = []  # times, and how many of them are still unanswered
        self._votes = 0

    @property
    def mark(self) -> int | None:
        """None: no watermark yet."""
        return None if self.largest is None else self.largest - self.bound

    def take(self, time: int) -> None:
        """One row."""
        known = self.largest is not None
        if self.max_future is None or (known and time <= self.largest + self.max_future):
            self.largest = max(time, self.largest) if known else time
            self._votes = max(self._votes - 1, 0)
            return
        self.future_rows += known
        self._ahead = [*self._ahead, time] if self._votes else [time]
        self._votes += 1
        if self._votes == 16:
            self.largest, self._votes = min(self._ahead), 0


def key_of(value: Any) -> Hashable:
    """Equal keys are equal here: one NaN, one zero."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value + 0.0
    return value


def windowed(
    rows: Sequence[Row], keys: Sequence[str], window: Window, time: str, clock: Clock
) -> tuple[dict[tuple[Hashable, ...], list[Row]], int]:
    """Rows of each (key..., window start), in arrival order, and the number of late rows."""
    groups: dict[tuple[Hashable, ...], list[Row]] = {}
    late = 0
    for row in rows:
        t = row[time]
        mark = clock.mark
        open_starts = [s for s in window.starts(t) if mark is None or s + window.size > mark]
        late += not open_starts
        for start in open_starts:
            group = (*(key_of(row[k]) for k in keys), start)
            groups.setdefault(group, []).append(row)
        clock.take(t)
    return groups, late


def values(rows: Sequence[Row], column: str) -> list[Any]:
    return [row[column] for row in rows if row[column] is not None]


def count(rows: Sequence[Row], column: str) -> int:
    return len(rows)


def count_valid(rows: Sequence[Row], column: str) -> int:
    return len(values(rows, column))


def total(rows: Sequence[Row], column: str) -> Any:
    return sum(values(rows, column))


def mean(rows: Sequence[Row], column: str) -> float | None:
    found = values(rows, column)
    return math.fsum(found) / len(found) if found else None


def _without_nan(found: list[Any]) -> list[Any]:
    kept = [v for v in found if not (isinstance(v, float) and math.isnan(v))]
    return kept or found[:1]


def minimum(rows: Sequence[Row], column: str) -> Any:
    found = _without_nan(values(rows, column))
    return min(found) if found else None


def maximum(rows: Sequence[Row], column: str) -> Any:
    found = _without_nan(values(rows, column))
    return max(found) if found else None


def variance(rows: Sequence[Row], column: str) -> float | None:
    found = values(rows, column)
    if len(found) < 2:
        return None
    middle = math.fsum(found) / len(found)
    return math.fsum((v - middle) ** 2 for v in found) / (len(found) - 1)


def deviation(rows: Sequence[Row], column: str) -> float | None:
    found = variance(rows, column)
    return None if found is None else math.sqrt(found)


def first(rows: Sequence[Row], column: str) -> Any:
    found = [(row["ts"], i) for i, row in enumerate(rows) if row[column] is not None]
    return rows[min(found)[1]][column] if found else None


def last(rows: Sequence[Row], column: str) -> Any:
    found = [(row["ts"], i) for i, row in enumerate(rows) if row[column] is not None]
    return rows[max(found)[1]][column] if found else None


def any_true(rows: Sequence[Row], column: str) -> bool | None:
    found = values(rows, column)
    return any(found) if found else None


def all_true(rows: Sequence[Row], column: str) -> bool | None:
    found = values(rows, column)
    return all(found) if found else None


def weighted_mean(rows: Sequence[Row], column: str, weight: str) -> float | None:
    pairs = [
        (row[column], row[weight])
        for row in rows
        if row[column] is not None and row[weight] is not None
    ]
    weights = math.fsum(w for _, w in pairs)
    return math.fsum(v * w for v, w in pairs) / weights if weights else None


AGGREGATES: dict[str, Callable[[Sequence[Row], str], Any]] = {
    "count": count,
    "count_valid": count_valid,
    "sum": total,
    "mean": mean,
    "min": minimum,
    "max": maximum,
    "var": variance,
    "std": deviation,
    "first": first,
    "last": last,
    "any": any_true,
    "all": all_true,
}


def same(got: Any, want: Any) -> bool:
    """Equal; floats to a relative 1e-9 (their order of addition may differ), NaN equals NaN."""
    if isinstance(want, float) and isinstance(got, float):
        if math.isnan(want) or math.isnan(got):
            return math.isnan(want) and math.isnan(got)
        return math.isclose(got, want, rel_tol=1e-9, abs_tol=1e-9)
    return bool(got == want)
