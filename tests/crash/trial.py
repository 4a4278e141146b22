"""One job through several lives of its process, and its output compared with the answer."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.crash.disk import small_disk
from tests.crash.points import STARTING, Moment
from tests.crash.process import Stuck, Worker
from tests.crash.subjects import SERVER_FILE, SINKS, SOURCES
from tests.crash.worker import FAILED, FENCED, FINISHED, REFUSED, Life
from tests.crash.workload import Workload, normal
from tests.services.postgres import postgres_server

__all__ = ["ANY", "Case", "Outcome", "run_trial"]

ANY = "any moment"
KILLED = -9
_PARALLELISM = (3, 1, 2)
_KILLS = 4  # of a trial
_LOCK_HELD = ("database is locked", "another process has held the lock")
_PAUSE_S = 0.012  # of each piece of input: about 120 of them
_LEASE_S = 1.5
_STARTUP_S = 0.6
_RUNNING_S = 0.6
_PASSAGES = 3
_SERVER_KILLS = 3
# A connection that fails, and one whose backend saw its server die and said so.
_SERVER_ERRORS = ("OperationalError", "AdminShutdown")
_SOON_S = 20.0  # to fail in once the server is gone
_LEFT_BYTES = (0, 2_000, 20_000)


@dataclass(frozen=True)
class Case:
    """What is done to the process where, and what it writes to.

    Attributes
    ----------
    fault
        ``"nothing"``, ``"kill -9"``, ``"stopped"``, ``"disk full"`` or ``"server killed"``.
    point, when
        A point and a moment of `points`, or `ANY`.
    sink, source
        Of `subjects`.
    """

    fault: str
    point: str
    when: str
    sink: str
    source: str

    @property
    def place(self) -> str:
        """Where the fault strikes, in words."""
        return self.point if self.point == ANY else f"{self.point}, {self.when}"

    def __str__(self) -> str:
        return "/".join((self.fault, self.point, self.when, self.sink, self.source))

    @staticmethod
    def parse(text: str) -> Case:
        """A case as `str` writes it."""
        return Case(*text.split("/"))


@dataclass
class Outcome:
    """What came of a trial.

    Attributes
    ----------
    kills, times
        How many processes were killed; how often the fault of the case struck.
    lost, duplicated, wrong
        Rows that are missing, that are there again, and that should not be there at all.
    recovered_s
        Of every life but the first: from the start of the process to its first new row.
    problem
        What else went wrong, in words.
    """

    case: Case
    seed: int
    folder: Path
    kills: int = 0
    times: int = 0
    lives: int = 0
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    recovered_s: list[float] = field(default_factory=list)
    problem: str | None = None

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return self.problem is None and not (self.lost or self.duplicated or self.wrong)

    @property
    def text(self) -> str:
        """What is wrong, in a line."""
        counts = f"{self.lost} lost, {self.duplicated} duplicated, {self.wrong} wrong"
        return counts if self.problem is None else f"{counts}; {self.problem}"


class _Broken(AssertionError):
    """The job did something that no fault excuses."""


def run_trial(
    case: Case, seed: int, folder: Path, *, workload: int = 0, broken: str | None = None
) -> Outcome:
    """Run a case with everything that is left to chance drawn from a seed."""
    outcome = Outcome(case, seed, folder)
    with _beside(case, folder) as victim:
        trial = _Trial(outcome, Workload(workload), broken)
        source = SOURCES[case.source]
        try:
            source.make(trial.workload, trial.place)
            with source.feed(trial.workload, trial.place):
                _FAULTS[case.fault](trial, victim)
                trial.finish()
        except (_Broken, Stuck) as problem:
            outcome.problem = str(problem)
        _compare(trial)
    return outcome


def _beside(case: Case, folder: Path) -> contextlib.AbstractContextManager[Any]:
    """What the fault strikes, where that is not the process."""
    if case.fault == "disk full":
        return small_disk(folder / "disk")
    if case.fault == "server killed":
        return postgres_server()
    return contextlib.nullcontext()


class _Trial:
    """What the lives of a trial share."""

    def __init__(self, outcome: Outcome, workload: Workload, broken: str | None) -> None:
        case, folder = outcome.case, outcome.folder
        self.case = case
        self.rng = random.Random(f"{outcome.seed} {case}")
        self.workload = workload
        self.place = folder / "disk" / "job"
        self.outcome = outcome
        self.log = folder / "stderr.txt"
        folder.mkdir(parents=True, exist_ok=True)
        self.life = Life(
            folder=str(self.place),
            checkpoint=str(self.place / "state"),
            source=case.source,
            sink=case.sink,
            seed=workload.seed,
            pause_s=_PAUSE_S,
            every=f"{self.rng.randint(50, 150)}ms",
            broken=broken,
        )

    @contextlib.contextmanager
    def worker(self, **changes: Any) -> Iterator[Worker]:
        """Start the process once more, with another parallelism than before."""
        number = self.outcome.lives
        self.outcome.lives += 1
        life = replace(self.life, parallelism=_PARALLELISM[number % 3], **changes)
        with Worker(life, self.log) as worker:
            yield worker
            if number and worker.recovered_s is not None:
                self.outcome.recovered_s.append(worker.recovered_s)

    def moment(self, signal: str) -> Moment:
        """The case's point, at a passage that is drawn."""
        case = self.case
        starting = case.point in STARTING
        passage = 1 if starting and case.when != "inside" else self.rng.randint(1, _PASSAGES)
        if case.when == "inside":
            passage = self.rng.randint(1, 1 << 30)
        return Moment(case.point, case.when, passage, signal)

    def finish(self) -> None:
        """Let the job come to its end."""
        with self.worker() as worker:
            self.need(worker, worker.join(), FINISHED)

    def need(self, worker: Worker, code: int, *codes: int) -> int:
        """The exit code, which must be one of these."""
        if code in codes:
            return code
        failed = worker.event("failed")
        why = f"{failed['kind']}: {failed['text']}" if failed else self._last_words()
        raise _Broken(f"the worker of life {self.outcome.lives} ended with code {code}: {why}")

    def _last_words(self) -> str:
        lines = self.log.read_text().strip().split("\n")
        return f"{lines[-1]} (in {self.log})"


# ---- faults; each takes the trial, and the disk of those that need one ----


def _kill(trial: _Trial, full: Any) -> None:
    """kill -9, again and again."""
    for number in range(_KILLS):
        chosen = trial.case.point != ANY
        # A process that always dies while it starts would never come further.
        if chosen and trial.case.point in STARTING and number % 2 == 0:
            chosen = False
        code = _kill_at_point(trial) if chosen else _kill_anywhere(trial)
        if code == FINISHED:
            return
        trial.outcome.kills += 1
        trial.outcome.times += 1


def _kill_at_point(trial: _Trial) -> int:
    with trial.worker(moment=trial.moment("KILL")) as worker:
        return trial.need(worker, worker.join(), FINISHED, KILLED)


def _kill_anywhere(trial: _Trial) -> int:
    rng = trial.rng
    with trial.worker() as worker:
        if rng.random() < 0.7:
            worker.wait_for("running")
            worker.run_for(rng.uniform(0.0, _RUNNING_S))
        else:
            worker.run_for(rng.uniform(0.0, _STARTUP_S))
        return trial.need(worker, worker.kill(), FINISHED, KILLED)


def _stop(trial: _Trial, full: Any) -> None:
    """SIGSTOP for longer than the lease; a second instance takes over; SIGCONT."""
    case, rng = trial.case, trial.rng
    moment = None if case.point == ANY else trial.moment("STOP")
    with trial.worker(moment=moment, lease_s=_LEASE_S) as first:
        if moment is None:
            first.wait_for("running")
            first.run_for(rng.uniform(0.0, _RUNNING_S))
            first.freeze()
        if not first.wait_frozen():
            trial.need(first, first.join(), FINISHED)
            return
        trial.outcome.times += 1
        _take_over(trial, first)


def _take_over(trial: _Trial, first: Worker) -> None:
    """Start a second instance until the lease is free; wake the first while it runs, or after."""
    while True:
        with trial.worker(lease_s=_LEASE_S) as second:
            if not second.wait_for("running"):
                if trial.need(second, second.join(), REFUSED, FAILED) == FAILED:
                    words = _need_lock_held(trial, second)
                    first.wake()  # nothing else lets go of it
                    # Asleep while it renewed its lease, it still has it.
                    still = [FINISHED] if ".lease" in words else []
                    trial.need(first, first.join(), FENCED, FAILED, *still)
                    return
                second.run_for(_LEASE_S / 4)
                continue
            wakes_after = trial.rng.random() < 0.3
            second.run_for(60.0 if wakes_after else trial.rng.uniform(0.0, _RUNNING_S))
            first.wake()
            first_code = first.join()
            trial.need(second, second.join(), FINISHED)
            # A first one that slept behind its last manifest had no more to decide; one that
            # slept while it wrote may find that its files are gone before it sees its lease is.
            over = second.epoch_of("running") == second.epoch_of("ended")
            trial.need(first, first_code, FENCED, FAILED, *([FINISHED] if over else []))
            return


def _need_lock_held(trial: _Trial, second: Worker) -> str:
    """A file that a sleeping process has locked is one reason not to take over; the words of it."""
    failed = second.event("failed")
    words = "" if failed is None else str(failed["text"])
    if not any(held in words for held in _LOCK_HELD):
        trial.need(second, FAILED, REFUSED)
    return words


def _fill(trial: _Trial, full: Any) -> None:
    """The disk of checkpoints and output is full; the job must say so and stop, and go on later."""
    for _ in range(2):
        with trial.worker() as worker:
            worker.wait_for("running")
            worker.run_for(trial.rng.uniform(0.0, _RUNNING_S))
            full.fill(worker.pid, trial.rng.choice(_LEFT_BYTES))
            code = trial.need(worker, worker.join(), FINISHED, FAILED)
            full.clear()
            if code == FINISHED:
                return
            trial.outcome.times += 1
            _need_last_epoch(worker)


def _kill_server(trial: _Trial, server: Any) -> None:
    """kill -9 of the database server under the job, which must say so and stop, and go on later."""
    (trial.place / SERVER_FILE).write_text(server.conninfo)
    for number in range(_SERVER_KILLS):
        moment = None if trial.case.point == ANY else trial.moment("STOP")
        with trial.worker(moment=moment) as worker:
            if moment is None:
                worker.wait_for("running")
                worker.run_for(trial.rng.uniform(0.0, _RUNNING_S))
            elif not worker.wait_frozen():
                trial.need(worker, worker.join(), FINISHED)
                return
            server.kill()
            trial.outcome.kills += 1
            worker.wake()
            code = trial.need(worker, worker.join(_SOON_S), FINISHED, FAILED)
            trial.outcome.times += 1
            if code == FAILED:
                _need_words(worker, server)
                if worker.event("ended"):
                    _need_last_epoch(worker)
        if number == 0:
            with trial.worker() as worker:  # refused at once while there is no server
                trial.need(worker, worker.join(_SOON_S), FAILED)
                _need_words(worker, server)
        server.start()
        if code == FINISHED:
            return


def _need_words(worker: Worker, server: Any) -> None:
    """The error names the table and says what happened, without the password."""
    failed = worker.event("failed")
    assert failed is not None
    named = "results_" in failed["text"]
    explained = any(f"{kind}: " in failed["text"] for kind in _SERVER_ERRORS)
    if not named or not explained or server.password in failed["text"]:
        raise _Broken(f"the error says too little or too much: {failed['text']}")


def _need_last_epoch(worker: Worker) -> None:
    failed, epoch = worker.event("failed"), worker.epoch_of("ended")
    assert failed is not None
    named = f"epoch {epoch}" if epoch else "no epoch was decided"
    if named not in failed["text"]:
        raise _Broken(f"the error does not say '{named}': {failed['text']}")


_FAULTS: dict[str, Callable[[_Trial, Any], None]] = {
    "nothing": lambda trial, full: None,
    "kill -9": _kill,
    "stopped": _stop,
    "disk full": _fill,
    "server killed": _kill_server,
}

# ---- the comparison ----


def _compare(trial: _Trial) -> None:
    outcome = trial.outcome
    wanted = Counter(trial.workload.answer())
    try:
        rows = SINKS[trial.case.sink].read(trial.place)
    except Exception as failure:
        outcome.problem = outcome.problem or f"the output cannot be read: {failure!r}"
        return
    found = Counter(normal(rows))
    outcome.lost = (wanted - found).total()
    extra = found - wanted
    outcome.duplicated = sum(count for row, count in extra.items() if row in wanted)
    outcome.wrong = extra.total() - outcome.duplicated
