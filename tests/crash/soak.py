"""A long run with checkpoints, kills and rescales: ``python -m tests.crash.soak --minutes 30``.

Two processes run the same kind of job. One lives as long as the soak: its jobs are stopped, made to
fail and started again with another parallelism inside it, and its memory, descriptors and threads
are what is judged. The other is killed again and again. The output of both is checked all the time
against what each row is known to be, and deleted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pystream.errors import SinkError
from tests.crash.clockwork import WINDOW_US, Clockwork, expected_window, query
from tests.crash.points import on_sink
from tests.crash.vitals import Sample, Verdict, judge, look, tree_size
from tests.crash.worker import python_with

__all__ = ["SoakReport", "main", "soak"]

_RATE = 20_000
_EVERY = "200ms"
_JOB_S = (0.5, 3.0)  # a job inside the steady process lives so long: what each leaves adds up
_LIFE_S = (2.0, 12.0)  # and so long a process that is killed
_CHECK_S = 1.0
_SETTLED_US = 2_000_000  # windows this much older than the newest are whole
_TABLE = "results"


# ---- the process with the jobs ----


def work() -> None:
    """Run jobs one after the other, forever; the parent ends it."""
    place, rate, started_s, seed = json.loads(sys.argv[1])
    rng = random.Random(seed)
    fails = [False]

    def patch(sink: Any) -> None:
        inner = sink.commit

        def commit(epoch: int, token: Any) -> None:
            if fails[0]:
                fails[0] = False
                raise OSError("made to fail")
            inner(epoch, token)

        sink.commit = commit

    on_sink(patch)
    stream = query(Clockwork(rate, started_s))
    while True:
        failing = rng.random() < 0.3
        with stream.write_sqlite(Path(place) / "out.db", _TABLE).start(
            parallelism=rng.randint(1, 3),
            checkpoint=Path(place) / "state",
            checkpoint_every=_EVERY,
            name="soak",
            guarantee="exactly-once",
        ) as job:
            job.wait(rng.uniform(*_JOB_S))
            fails[0] = failing
            with contextlib.suppress(SinkError):
                if failing:
                    job.wait()
                else:
                    job.stop()


# ---- the check of its output ----


@dataclass
class Checker:
    """Takes whole windows out of a worker's output and compares them with what they must be.

    Attributes
    ----------
    windows
        How many were right.
    complaints
        What was not.
    """

    file: Path
    rate: int
    windows: int = 0
    complaints: list[str] = field(default_factory=list)
    _next_us: int = 0

    def turn(self) -> None:
        """Check and delete the windows that are settled."""
        if not self.file.exists():
            return
        with closing(sqlite3.connect(self.file, timeout=30)) as connection:
            try:
                newest = connection.execute(f"SELECT max(window_start) FROM {_TABLE}").fetchone()[0]
            except sqlite3.OperationalError:
                return  # no table yet
            if newest is None:
                return
            self._check(connection, newest - _SETTLED_US)
            connection.execute(f"DELETE FROM {_TABLE} WHERE window_start < ?", (self._next_us,))
            connection.commit()

    def _check(self, connection: sqlite3.Connection, until_us: int) -> None:
        before = (self._next_us,)
        again = f"SELECT count(*) FROM {_TABLE} WHERE window_start < ?"
        count = connection.execute(again, before).fetchone()[0]
        if count:
            self.complaints.append(f"{count} rows of windows before {self._next_us} came again")
        while self._next_us < until_us:
            found = connection.execute(
                f"SELECT k, n, s FROM {_TABLE} WHERE window_start = ?", (self._next_us,)
            ).fetchall()
            wanted = expected_window(self.rate, self._next_us)
            if sorted(found) == sorted((k, n, s) for k, (n, s) in wanted.items()):
                self.windows += 1
            else:
                self.complaints.append(
                    f"window {self._next_us}: {len(found)} rows for {len(wanted)} keys"
                )
            self._next_us += WINDOW_US


# ---- the soak ----


@dataclass
class SoakReport:
    """What came of it.

    Attributes
    ----------
    samples
        Of the steady process.
    kills
        Of the other one.
    highest
        Most memory of each life of the other one.
    windows, complaints
        Those right, and what was wrong, of both.
    """

    samples: list[Sample] = field(default_factory=list)
    kills: int = 0
    highest: list[int] = field(default_factory=list)
    windows: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """Whether the steady process stayed flat."""
        return judge(self.samples)


class _Runner:
    """One of the two: its folder, its process, its checker."""

    def __init__(self, place: Path, rate: int, seed: int) -> None:
        place.mkdir(parents=True)
        self.place = place
        self.checker = Checker(place / "out.db", rate)
        self.highest = 0
        self._facts = [str(place), rate, time.time(), seed]
        self._process: subprocess.Popen[bytes] | None = None
        self._log = open(place / "stderr.txt", "ab")  # noqa: SIM115

    def start(self) -> None:
        self._facts[3] += 1
        command = [*python_with("tests.crash.soak", "work"), json.dumps(self._facts)]
        self._process = subprocess.Popen(command, stderr=self._log, stdin=subprocess.DEVNULL)

    def sample(self, since_s: float) -> Sample | None:
        assert self._process is not None
        found = look(self._process.pid, since_s, tree_size(self.place / "state"))
        if found is not None:
            self.highest = max(self.highest, found.rss)
        return found

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself, which it must not."""
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self.kill()
        self._log.close()


def soak(folder: Path, seconds: float, *, rate: int = _RATE, tell: Any = print) -> SoakReport:
    """Run both processes for a time and look at them."""
    report = SoakReport()
    steady, killed = (_Runner(folder / name, rate, 1) for name in ("steady", "killed"))
    try:
        _watch(report, steady, killed, seconds, tell)
        for runner in (steady, killed):
            if runner.ended:
                report.complaints.append(f"a worker ended by itself: {runner.place}/stderr.txt")
            runner.kill()
            runner.checker.turn()
            report.windows += runner.checker.windows
            report.complaints += runner.checker.complaints
    finally:
        steady.close()
        killed.close()
    return report


def _watch(report: SoakReport, steady: _Runner, killed: _Runner, seconds: float, tell: Any) -> None:
    rng = random.Random(0)
    start_s = time.monotonic()
    steady.start()
    killed.start()
    dies_s = start_s + rng.uniform(*_LIFE_S)
    tells_s = start_s
    while time.monotonic() - start_s < seconds and not (steady.ended or killed.ended):
        time.sleep(min(_CHECK_S, seconds))
        sample = steady.sample(start_s)
        killed.sample(start_s)
        steady.checker.turn()
        killed.checker.turn()
        now_s = time.monotonic()
        if sample is not None:
            report.samples.append(sample)
            if now_s >= tells_s:
                tell(f"{sample}  {report.kills:4} kills")
                tells_s = now_s + seconds / 30
        if now_s >= dies_s:
            killed.kill()
            report.kills += 1
            report.highest.append(killed.highest)
            killed.highest = 0
            killed.start()
            dies_s = now_s + rng.uniform(*_LIFE_S)


def main() -> None:
    """The command line."""
    if sys.argv[1:2] == ["work"]:
        del sys.argv[1]
        work()
        return
    parser = argparse.ArgumentParser(prog="python -m tests.crash.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--folder", type=Path, default=Path(f"build/soak-{os.getpid()}"))
    options = parser.parse_args()
    report = soak(options.folder.absolute(), options.minutes * 60)
    verdict = report.verdict
    print(f"\nlast quarter beside the second:\n{verdict.text}")
    if report.highest:
        lives = ", ".join(f"{rss >> 20}" for rss in report.highest[:: max(1, report.kills // 20)])
        print(f"most memory of processes that were killed, MB: {lives}")
    print(f"{report.windows} windows right, {report.kills} kills, {len(report.complaints)} wrong")
    for complaint in report.complaints[:20]:
        print(f"    {complaint}")
    sys.exit(int(not verdict.flat or bool(report.complaints)))


if __name__ == "__main__":
    main()
