"""Subjects run in turns over the same rows: A B C A B C ..., so that noise meets all of them.

A workload lists its `Subject`s. Turn 0 is the warm-up: it picks a subject's fastest form and checks
its answer against the limit's; turns 1 to N are timed. What is reported is the best time of a
subject, and the median over the turns of its ratio to another subject in the same turn.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from bench import data

Run = Callable[[], Any]
Answer = dict[str, np.ndarray]


class NotThere(Exception):
    """The subject cannot run here; the message says why."""


@dataclass(frozen=True)
class Subject:
    """One contestant.

    Parameters
    ----------
    name : shown in the table
    kind : 'limit', 'pystream', 'engine' (a batch engine that sets the bar) or 'other'
    prepare : from the race to its forms by name, everything loaded; raises NotThere
    answer : from a result to the columns the workload's limit writes
    free : gives the memory of a result back, outside the clock
    batch_rows, threads : stated in the report
    """

    name: str
    kind: str
    prepare: Callable[[Race], dict[str, Run]]
    answer: Callable[[Any], Answer]
    batch_rows: int = 65_536
    threads: int = 1
    free: Callable[[Any], None] = lambda result: None


@dataclass(frozen=True)
class Workload:
    """A query and its contestants; the first limit is the reference of the checks."""

    name: str
    title: str
    key: tuple[str, ...]
    subjects: tuple[Subject, ...]
    limit: str
    least_of_limit: float
    least_of_engines: float
    pairs: tuple[tuple[str, str, float], ...] = ()
    """One subject, another, and the ratio of the two that is wanted."""


@dataclass
class Timing:
    """Seconds of each timed turn of one subject."""

    wall: dict[int, float] = field(default_factory=dict)
    cpu: dict[int, float] = field(default_factory=dict)
    form: str = ""
    notes: dict[str, Any] = field(default_factory=dict)


class Race:
    """The events of one workload in memory and what has been measured on them so far."""

    def __init__(self, workload: Workload, rows: int) -> None:
        self.workload = workload
        self.rows = rows
        self.table = data.load(workload.name, rows)
        self.timings: dict[str, Timing] = {}
        self.skipped: dict[str, str] = {}
        self._batches: dict[int, list[pa.RecordBatch]] = {}
        self._chosen: dict[str, Run] = {}
        self._expected: Answer | None = None

    def batches(self, batch_rows: int) -> list[pa.RecordBatch]:
        """Return the rows as batches of `batch_rows`, made once."""
        if batch_rows not in self._batches:
            self._batches[batch_rows] = data.cut(self.table, batch_rows)
        return self._batches[batch_rows]

    def warm_up(self, subject: Subject) -> None:
        """Prepare `subject`, pick its fastest form, check the answer of every form."""
        try:
            forms = subject.prepare(self)
        except (NotThere, ImportError) as reason:
            self.skipped[subject.name] = str(reason)
            return
        seconds = {}
        for form, run in forms.items():
            begin = time.process_time()
            result = run()
            seconds[form] = time.process_time() - begin
            self._check(subject, form, result)
            subject.free(result)
            del result
        form = min(seconds, key=seconds.__getitem__)
        self._chosen[subject.name] = forms[form]
        self.timings[subject.name] = Timing(form=form if len(forms) > 1 else "")

    def run(self, subject: Subject, turn: int) -> Any:
        """Run `subject` once and note the time of this turn; answers the result to be freed."""
        run = self._chosen[subject.name]
        timing = self.timings[subject.name]
        wall, cpu = time.perf_counter(), time.process_time()
        result = run()
        timing.cpu[turn] = time.process_time() - cpu
        timing.wall[turn] = time.perf_counter() - wall
        return result

    def let_go(self) -> None:
        """Free the events and every subject; the timings stay for the report."""
        self.table = self.table.slice(0, 0)
        self._batches.clear()
        self._chosen.clear()
        self._expected = None

    def _check(self, subject: Subject, form: str, result: Any) -> None:
        found = in_order(subject.answer(result), self.workload.key)
        if self._expected is None:
            self._expected = found
        label = f"{self.workload.name}, {subject.name} {form}".rstrip()
        assert_same(found, self._expected, label)


def in_order(answer: Answer, key: Sequence[str]) -> Answer:
    """Return the rows of `answer` sorted by its integer key columns, the first one slowest."""
    columns = [answer[name].astype(np.int64) for name in key]
    if not len(columns[0]):
        return answer
    lows = [int(values.min()) for values in columns]
    spans = [int(values.max()) - low + 1 for values, low in zip(columns, lows, strict=True)]
    if math.prod(spans) < 2**62:  # one number a row sorts several times faster
        code = np.zeros(len(columns[0]), np.int64)
        for values, low, span in zip(columns, lows, spans, strict=True):
            code = code * span + (values - low)
        order = np.argsort(code)
    else:
        order = np.lexsort(columns[::-1])
    return {name: values[order] for name, values in answer.items()}


def assert_same(found: Answer, expected: Answer, label: str) -> None:
    """Integers and flags exactly, floats to 1e-9 relative; every expected column must be there."""
    for name, wanted in expected.items():
        values = found[name]
        if len(values) != len(wanted):
            raise AssertionError(f"{label}: {len(values):,} rows, the limit has {len(wanted):,}")
        if wanted.dtype.kind == "f":
            same = np.isclose(values, wanted, rtol=1e-9, atol=0)
        else:
            same = values.astype(wanted.dtype) == wanted
        if not same.all():
            at = int(np.argmin(same))
            raise AssertionError(
                f"{label}: {name} of row {at} is {values[at]!r}, the limit has {wanted[at]!r}; "
                f"{int((~same).sum()):,} rows differ"
            )


# --- the report ---------------------------------------------------------------------------


def seconds_of(timing: Timing, clock: str) -> dict[int, float]:
    """Return the turns of `timing` by the chosen clock."""
    return timing.cpu if clock == "cpu" else timing.wall


def ratio(race: Race, name: str, other: str, clock: str) -> float | None:
    """How many times as fast as `other` is `name`: the median over the turns both ran in."""
    if name not in race.timings or other not in race.timings:
        return None
    ours = seconds_of(race.timings[name], clock)
    theirs = seconds_of(race.timings[other], clock)
    turns = ours.keys() & theirs.keys()
    return statistics.median(theirs[t] / ours[t] for t in turns) if turns else None


def best_rate(race: Race, name: str, clock: str) -> float | None:
    """Rows a second of the best turn."""
    turns = seconds_of(race.timings[name], clock) if name in race.timings else {}
    return race.rows / min(turns.values()) if turns else None


def fastest_engine(race: Race, clock: str) -> str | None:
    """The batch engine with the best single turn."""
    rates = {
        subject.name: best_rate(race, subject.name, clock) or 0.0
        for subject in race.workload.subjects
        if subject.kind == "engine"
    }
    name = max(rates, key=rates.__getitem__, default=None)
    return name if name and rates[name] > 0 else None


def report(race: Race, clock: str) -> list[str]:
    """Return the workload's table as lines."""
    workload = race.workload
    engine = fastest_engine(race, clock)
    lines = [
        f"{workload.name.upper()}  {workload.title}; {race.rows / 1e6:g} M rows",
        f"    {'':38}{'M rows/s':>10}{'of limit':>10}{'x engine':>10}{'cpu/wall':>10}",
    ]
    for subject in workload.subjects:
        rate = best_rate(race, subject.name, clock)
        if rate is None:
            lines.append(f"    {subject.name:38}{'-':>10}  {race.skipped.get(subject.name, '')}")
            continue
        timing = race.timings[subject.name]
        of_limit = ratio(race, subject.name, workload.limit, clock)
        of_engine = ratio(race, subject.name, engine, clock) if engine else None
        busy = statistics.median(timing.cpu[t] / timing.wall[t] for t in timing.wall)
        lines.append(
            f"    {subject.name:38}{rate / 1e6:10.1f}{show(of_limit):>10}{show(of_engine):>10}"
            f"{busy:10.2f}  {timing.form}"
            + "".join(f"  {name} {value}" for name, value in timing.notes.items())
        )
    lines.append(
        f"    wanted of pystream: {workload.least_of_limit} of {workload.limit}, "
        f"{workload.least_of_engines} x {engine or 'the fastest batch engine'}"
    )
    for name, other, least in workload.pairs:
        found = show(ratio(race, name, other, clock))
        lines.append(f"    {name} against {other}: {found}, wanted {least}")
    return lines


def show(value: float | None) -> str:
    """A ratio with as many digits as it deserves."""
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
