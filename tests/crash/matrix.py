"""Many trials, and the table: ``python -m tests.crash.matrix --kills 500``."""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from tests.crash.broken import BROKEN
from tests.crash.cases import FAULTS, endless
from tests.crash.subjects import POSTGRES, SINKS, SOURCES
from tests.crash.table import render, summary
from tests.crash.trial import ANY, Case, Outcome, run_trial
from tests.services.postgres import postgres_server

__all__ = ["Campaign", "hunt", "main"]

_WORKLOADS = 6  # each shape of query twice
_BROKEN_KILLS = 60  # within so many a wrong build must be caught


class Campaign:
    """Trials that share a folder and the runs that nothing disturbed.

    Parameters
    ----------
    folder
        Below it each trial has its own, which is kept when the trial failed.
    sinks, sources
        Names among `SINKS` and `SOURCES`.
    seed
        Decides the order of cases, and the seeds of trials.
    faults, points
        Which are tried; without points, all.
    broken
        The wrong build that runs.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sinks: Sequence[str],
        sources: Sequence[str],
        seed: int = 0,
        faults: Sequence[str] = tuple(FAULTS),
        points: Sequence[str] = (),
        broken: str | None = None,
    ) -> None:
        self.outcomes: list[Outcome] = []
        self._folder = folder
        self._broken = broken
        self._seed = seed
        rng = random.Random(seed)
        self._cases = endless(sinks, sources, rng, faults=faults, points=points)
        self._undisturbed: dict[tuple[int, str, str], Outcome] = {}
        self._lock = threading.Lock()
        self._count = 0

    @property
    def kills(self) -> int:
        """How many processes were killed so far."""
        return sum(outcome.kills for outcome in self.outcomes)

    def run(self, enough: Callable[[Campaign], bool], jobs: int) -> Iterator[Outcome]:
        """Run trials, some at a time, until there are enough."""
        with ThreadPoolExecutor(jobs) as pool:
            running: set[Future[Outcome]] = set()
            while running or not enough(self):
                while len(running) < jobs and not enough(self):
                    running.add(pool.submit(self._next))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    self.outcomes.append(future.result())
                    yield future.result()

    def _next(self) -> Outcome:
        with self._lock:
            case, number = next(self._cases), self._count
            self._count += 1
        return self.run_case(case, self._seed * 100_000 + number)

    def run_case(self, case: Case, seed: int) -> Outcome:
        """Run one case, after its workload has been run undisturbed."""
        if self._broken is None:
            calm = self._calm(case, seed % _WORKLOADS)
            if not calm.good:
                return calm
        return self._try(case, seed, f"trial-{seed}", seed % _WORKLOADS)

    def _calm(self, case: Case, workload: int) -> Outcome:
        """The outcome of the case's job without a fault; run once."""
        key = workload, case.sink, case.source
        with self._lock:
            if key not in self._undisturbed:
                name = f"calm-{workload}-{case.sink}-{case.source}"
                calm = Case("nothing", ANY, "", case.sink, case.source)
                self._undisturbed[key] = self._try(calm, 0, name, workload)
            return self._undisturbed[key]

    def _try(self, case: Case, seed: int, name: str, workload: int) -> Outcome:
        folder = self._folder / name
        shutil.rmtree(folder, ignore_errors=True)
        outcome = run_trial(case, seed, folder, workload=workload, broken=self._broken)
        if outcome.good:
            shutil.rmtree(folder)
        return outcome


def hunt(campaign: Campaign, jobs: int = 2) -> Outcome | None:
    """Run a wrong build until something is noticed; None if nothing is within many kills."""

    def enough(campaign: Campaign) -> bool:
        return campaign.kills >= _BROKEN_KILLS or any(not o.good for o in campaign.outcomes)

    for _ in campaign.run(enough, jobs):
        pass
    return next((outcome for outcome in campaign.outcomes if not outcome.good), None)


# ---- the program ----


def main() -> None:
    """The command line."""
    options = _options().parse_args()
    with contextlib.ExitStack() as services:
        sinks = options.sinks or list(SINKS)
        if "postgres" in sinks:
            server = services.enter_context(postgres_server())
            os.environ[POSTGRES] = server.conninfo
        sys.exit(_run(options, sinks))


def _run(options: argparse.Namespace, sinks: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    sources = options.sources or list(SOURCES)
    if options.replay:
        campaign = Campaign(folder, sinks=sinks, sources=sources, broken=options.broken)
        outcome = campaign.run_case(Case.parse(options.replay), options.seed)
        print(f"{outcome.case}: {outcome.text} (in {outcome.folder})")
        return int(not outcome.good)
    if options.broken:
        return _show_broken(options, folder, sinks, sources)
    campaign = Campaign(
        folder, sinks=sinks, sources=sources, seed=options.seed, faults=options.faults
    )
    return _show_matrix(campaign, options)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.matrix", description=__doc__)
    add = parser.add_argument
    add("--kills", type=int, default=500, help="go on until so many processes were killed")
    add("--seed", type=int, default=0, help="of the order of cases; of the trial to replay")
    add("--jobs", type=int, default=2, help="trials at a time")
    add("--sinks", type=_names(SINKS), help=f"some of {','.join(SINKS)}")
    add("--sources", type=_names(SOURCES), help=f"some of {','.join(SOURCES)}")
    add("--faults", type=_names(FAULTS), default=list(FAULTS), help=f"some of {','.join(FAULTS)}")
    add("--replay", help="run this one case with --seed again")
    add("--broken", help=f"run a wrong build: all, or one of {', '.join(BROKEN)}")
    add("--table", type=Path, help="write the table into this file too")
    add("--folder", type=Path, default=Path("build/crash"), help="where failed trials are kept")
    return parser


def _names(known: dict[str, object]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return names

    return parse


def _show_matrix(campaign: Campaign, options: argparse.Namespace) -> int:
    """Run it, print it; the exit code."""
    started_s = time.monotonic()
    for outcome in campaign.run(lambda c: c.kills >= options.kills, options.jobs):
        verdict = "ok" if outcome.good else "FAILED"
        print(
            f"[{campaign.kills:4} kills] {outcome.case.sink:8} {outcome.case.fault}, "
            f"{outcome.case.place}: {outcome.times} times, {verdict}",
            flush=True,
        )
        if not outcome.good:
            print(_explain(outcome), flush=True)
    text = render(campaign.outcomes)
    total = summary(campaign.outcomes)
    print(f"\n{text}\n\n{total}\n{time.monotonic() - started_s:.0f} s")
    if options.table:
        options.table.write_text(f"{text}\n\n{total}\n")
    return int(not all(outcome.good for outcome in campaign.outcomes))


def _explain(outcome: Outcome) -> str:
    return (
        f"    {outcome.text}\n    kept in {outcome.folder}; again with:\n"
        f"    python -m tests.crash.matrix --replay '{outcome.case}' --seed {outcome.seed}"
    )


def _show_broken(
    options: argparse.Namespace, folder: Path, sinks: Sequence[str], sources: Sequence[str]
) -> int:
    """Run wrong builds until they are caught; the exit code says whether all were."""
    missed = 0
    for name in BROKEN if options.broken == "all" else [options.broken]:
        wrong = BROKEN[name]
        campaign = Campaign(
            folder / name,
            sinks=[sink for sink in sinks if sink in wrong.sinks],
            sources=sources,
            seed=options.seed,
            faults=wrong.faults,
            points=wrong.points,
            broken=name,
        )
        caught = hunt(campaign, options.jobs)
        kills = campaign.kills
        missed += caught is None
        how = "NOT CAUGHT" if caught is None else f"caught by {caught.case}: {caught.text}"
        print(f"{name} ({wrong.what}): {kills} kills, {how}", flush=True)
        shutil.rmtree(folder / name, ignore_errors=True)
    return int(missed > 0)


if __name__ == "__main__":
    main()
