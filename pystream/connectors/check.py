"""Crashes for sinks: every point at which a process can die, recovery, and what is there then.

A scenario writes epochs of rows through a sink, dies at one point, is recovered with a new sink
object and goes on. Points are between any two calls and before every line of the sink's own
modules that runs inside a call, in order. A dead sink gets no further call, neither `close` nor
`abort`; what its connections hold is let go, as the kernel would.

After a crash the rows that follow the last decided epoch are written again, cut into other epochs:
a job that restarts does not hit its checkpoints at the same rows.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import json
import random
import sys
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

from pystream._native.arrow import Batch, BatchList, Memory
from pystream.connectors.base import Sink, SinkContext
from pystream.errors import InvalidError
from pystream.plan.schema import Schema
from pystream.storage.local import LocalStorage

__all__ = ["SinkReport", "check_sink"]

_JOB = "check"
# No sink needs so many lines for a scenario; one that does is sampled.
_MOST_POINTS = 100_000


@dataclass(frozen=True, slots=True)
class SinkReport:
    """What `check_sink` has tried.

    Attributes
    ----------
    points
        How many points the uninterrupted run has.
    crashes
        How many runs were interrupted, once or twice.
    """

    points: int
    crashes: int


def check_sink(
    make_sink: Callable[[Path], Sink],
    read_rows: Callable[[Path], Iterable[Any]],
    *,
    batches: Sequence[Any] | None = None,
    epochs: Sequence[int] = (2, 0, 3, 1),
    crashes: int | None = None,
    modules: Sequence[str] = (),
    seed: int = 0,
) -> SinkReport:
    """Crash a sink at every point and compare what it leaves with an uninterrupted run.

    Parameters
    ----------
    make_sink
        Makes the sink for a fresh place: an empty directory, whose name is also unique enough for
        a table. Called again with the same place after a crash.
    read_rows
        The rows that a reader of that place sees; anything with a ``repr``, in any order. Called
        also when there is nothing yet.
    batches
        pyarrow record batches to write, at least as many as the epochs take; six small ones if
        None.
    epochs
        How many batches each epoch has; 0 is an epoch without rows.
    crashes
        Try so many points, drawn by ``seed``; None tries every one.
    modules
        Names of modules, besides those of the sink's classes, whose lines are points too.

    Returns
    -------
    SinkReport
        How much was tried.

    Raises
    ------
    AssertionError
        Rows were lost, duplicated, or visible before their epoch was decided; tells the point.

    Examples
    --------
    >>> import pyarrow.parquet as pq
    >>> from pystream.connectors.sqlite import SqliteSink
    >>> import sqlite3
    >>> from contextlib import closing
    >>> def rows(place):
    ...     with closing(sqlite3.connect(place / "db")) as db:
    ...         made = db.execute("SELECT name FROM sqlite_master WHERE name = 'rows'").fetchone()
    ...         return db.execute("SELECT * FROM rows").fetchall() if made else []
    >>> report = check_sink(lambda place: SqliteSink(place / "db", "rows"), rows, crashes=10)
    >>> report.crashes
    10
    """
    given = _batches() if batches is None else list(batches)
    if len(given) < sum(epochs):
        raise InvalidError(f"check_sink: {len(given)} batches are too few for epochs {epochs}")
    script = _Script(given, tuple(epochs))
    with tempfile.TemporaryDirectory(prefix="pystream-check-") as folder:
        checker = _Checker(make_sink, read_rows, script, modules, Path(folder))
        with _quick_collections():
            return checker.run(crashes, random.Random(seed))


@contextmanager
def _quick_collections() -> Iterator[None]:
    """Let `gc.collect` after each crash look at what a sink left, not at all that is loaded."""
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _batches() -> list[Any]:
    import pyarrow as pa

    return [
        pa.record_batch({"id": [10 * n, 10 * n + 1, 10 * n + 2], "shop": ["ams", "ber", "ams"]})
        for n in range(6)
    ]


class Crash(BaseException):
    """The process is gone. Not an Exception, so that no sink handles it."""


@dataclass(frozen=True, slots=True)
class _Script:
    batches: list[Any]
    epochs: tuple[int, ...]

    def cuts(self, done: int, again: bool) -> Iterator[list[Any]]:
        """The batches of each epoch still to come; after a crash in other cuts."""
        rest = self.batches[done : sum(self.epochs)]
        for size in (1, 0, 2, len(rest)) if again else self.epochs:
            yield rest[:size]
            rest = rest[size:]


@dataclass(slots=True)
class _World:
    """What outlives a crash: the place, the checkpoint, how many batches are decided."""

    place: Path
    epoch: int = 0
    token: str = "null"
    decided: int = 0
    lives: int = 0


class _Points:
    """Counts the points of a run and dies at a given one; a trace function for `sys.settrace`."""

    def __init__(self, files: frozenset[str], at: int | None) -> None:
        self._files = files
        self._at = at
        self.count = 0
        self.where = ""

    def pass_by(self, where: str) -> None:
        """One point; the process may die here."""
        self.count += 1
        if self.count == self._at or self.count > _MOST_POINTS:
            self.where = where
            raise Crash(where)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in self._files:
            return None
        if event == "line":
            file = Path(frame.f_code.co_filename).name
            self.pass_by(f"{file}:{frame.f_lineno} ({frame.f_code.co_name})")
        return self


class _Checker:
    """Runs scenarios, each in a place of its own."""

    def __init__(
        self,
        make_sink: Callable[[Path], Sink],
        read_rows: Callable[[Path], Iterable[Any]],
        script: _Script,
        modules: Sequence[str],
        folder: Path,
    ) -> None:
        self._make_sink = make_sink
        self._read_rows = read_rows
        self._script = script
        self._modules = modules
        self._folder = folder
        self._places = 0
        self._repeats = self._looks = False
        self._memory = Memory()
        self._files: frozenset[str] = frozenset()

    def run(self, crashes: int | None, choose: random.Random) -> SinkReport:
        first = self._world()
        self._files = self._sources(self._make_sink(first.place))
        self._looks = True
        self._attempt(first, None)
        self._looks = False
        wanted = self._rows(first)
        self._repeats = True
        second = self._world()
        whole = self._attempt(second, None)
        _compare(wanted, self._rows(second), "no point, but commits were repeated")
        points = range(1, whole.count + 1)
        few = whole.count if crashes is None else min(crashes, whole.count)
        chosen = sorted(choose.sample(points, few))
        for at in chosen:
            self._interrupted(at, choose, wanted)
        return SinkReport(whole.count, len(chosen))

    def _world(self) -> _World:
        self._places += 1
        place = self._folder / f"place{self._places}"
        place.mkdir()
        return _World(place)

    def _sources(self, sink: Sink) -> frozenset[str]:
        """Files whose lines are points: of the sink's classes, the protocol itself left out."""
        kinds = [kind for kind in type(sink).__mro__ if kind not in Sink.__mro__]
        parts = [inspect.unwrap(part) for kind in kinds for part in vars(kind).values()]
        own = [part.__code__.co_filename for part in parts if isinstance(part, FunctionType)]
        named = [importlib.import_module(name).__file__ for name in self._modules]
        return frozenset(file for file in (*own, *named) if file is not None)

    def _rows(self, world: _World) -> Counter[str]:
        return Counter(repr(row) for row in self._read_rows(world.place))

    def _interrupted(self, at: int, choose: random.Random, wanted: Counter[str]) -> None:
        """Die at a point, perhaps once more while recovering, then finish and compare."""
        world = self._world()
        second = [choose.randrange(1, 60)] if choose.random() < 0.5 else []
        deaths = []
        for stop in (at, *second, None):
            points = self._attempt(world, stop)
            if not points.where:
                break
            deaths.append(f"{points.where}, decided epoch {world.epoch}")
        _compare(wanted, self._rows(world), " and again at ".join(deaths))

    def _attempt(self, world: _World, at: int | None) -> _Points:
        """One life of the process, on a thread of its own.

        An exception out of a trace function can leave Python's own record of the exception being
        handled, and all its frames hold, behind; it goes with the thread.
        """
        points = _Points(self._files, at)
        failures: list[BaseException] = []

        def life() -> None:
            sys.settrace(points)
            try:
                self._live(world, points)
            except Crash:
                pass
            except BaseException as failure:
                if not points.where:  # else a clean-up on the way out fails; the process is dead
                    failures.append(failure)
            finally:
                sys.settrace(None)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # a crash closes nothing itself
            thread = threading.Thread(target=life, name="check_sink")
            thread.start()
            thread.join()
            if points.where:
                gc.collect()
        if failures:
            raise failures[0]
        return points

    def _live(self, world: _World, points: _Points) -> None:
        """Open, recover, then write, prepare, decide and commit each epoch."""
        world.lives += 1
        sink = self._make_sink(world.place)
        points.pass_by("before open")
        schema = Schema.of(self._script.batches[0].schema)
        sink.open(schema, SinkContext(_JOB, LocalStorage(world.place / "checkpoints")))
        points.pass_by("between open and recover")
        sink.recover(world.epoch, json.loads(world.token))
        late: tuple[int, Any] | None = None
        for batches in self._script.cuts(world.decided, world.lives > 1):
            self._write(sink, batches[:1], points)
            if late is not None:  # rows of an epoch may come before the last one's commit
                self._commit(sink, *late, points)
            visible = self._visible(world)
            self._write(sink, batches[1:], points)
            epoch = world.epoch + 1
            points.pass_by(f"before prepare({epoch})")
            token = json.dumps(sink.prepare(epoch))
            _need_hidden(visible, self._visible(world), epoch)
            points.pass_by(f"between prepare({epoch}) and the decision")
            world.epoch, world.token = epoch, token
            world.decided += len(batches)
            points.pass_by(f"between the decision and commit({epoch})")
            late = epoch, json.loads(token)
        assert late is not None
        self._commit(sink, *late, points)
        sink.close()

    def _visible(self, world: _World) -> Counter[str]:
        """What a reader sees now, in the run that looks; reading is no point to die at."""
        if not self._looks:
            return Counter()
        points = sys.gettrace()
        sys.settrace(None)
        try:
            return self._rows(world)
        finally:
            sys.settrace(points)

    def _write(self, sink: Sink, batches: list[Any], points: _Points) -> None:
        for batch in batches:
            rows = BatchList(self._memory, Schema.of(batch.schema))
            rows.append(Batch.from_arrow(batch, self._memory))
            points.pass_by("before write")
            sink.write(rows)

    def _commit(self, sink: Sink, epoch: int, token: Any, points: _Points) -> None:
        points.pass_by(f"before commit({epoch})")
        sink.commit(epoch, token)
        points.pass_by(f"after commit({epoch})")
        if self._repeats and epoch % 2:
            sink.commit(epoch, token)
            points.pass_by(f"after a second commit({epoch})")


def _need_hidden(before: Counter[str], after: Counter[str], epoch: int) -> None:
    if before != after:
        examples = ", ".join([*(after - before), *(before - after)][:3])
        raise AssertionError(
            f"after prepare({epoch}), before the epoch is decided, a reader already sees other "
            f"rows than after the last commit: {examples}"
        )


def _compare(wanted: Counter[str], found: Counter[str], death: str) -> None:
    lost, extra = wanted - found, found - wanted
    if lost or extra:
        examples = ", ".join([*lost, *extra][:3])
        raise AssertionError(
            f"the process died at {death}; after recovery {lost.total()} rows are lost and "
            f"{extra.total()} are there that should not be: {examples}"
        )
