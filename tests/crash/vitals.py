"""Memory, descriptors and threads of a process over time, and whether they stay flat."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Sample", "Verdict", "judge", "look", "tree_size"]

_MB = 1 << 20
_RSS_SLACK = 8 * _MB
_RSS_SHARE = 0.03
_SLACK = 2  # descriptors and threads that may be open in one moment and not in another


@dataclass(frozen=True)
class Sample:
    """A process at a moment.

    Attributes
    ----------
    t_s
        Since the start of the series.
    rss
        Resident bytes.
    fds, threads
        How many.
    stored
        Bytes of its checkpoints.
    """

    t_s: float
    rss: int
    fds: int
    threads: int
    stored: int = 0

    def __str__(self) -> str:
        return (
            f"{self.t_s:7.0f} s  {self.rss / _MB:8.1f} MB  {self.fds:4} files  "
            f"{self.threads:4} threads  {self.stored / _MB:7.2f} MB stored"
        )


def look(pid: int, since_s: float, stored: int = 0) -> Sample | None:
    """A sample of a process; None if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        fds = len(os.listdir(f"/proc/{pid}/fd"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    facts = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    if "VmRSS" not in facts:
        return None  # a zombie
    rss = int(facts["VmRSS"].split()[0]) * 1024
    return Sample(time.monotonic() - since_s, rss, fds, int(facts["Threads"]), stored)


def tree_size(folder: Path) -> int:
    """Bytes of all files below a folder, whatever comes and goes meanwhile."""
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


@dataclass(frozen=True)
class Verdict:
    """Whether a series is flat, and the figures that say so."""

    flat: bool
    text: str


def judge(samples: Sequence[Sample]) -> Verdict:
    """Compare the last quarter of a series with the second; the first one warms up.

    Memory may be larger by 8 MB or 3%, whichever is more, in the median and at most; descriptors
    and threads by 2 at most.
    """
    quarter = len(samples) // 4
    if quarter < 2:
        return Verdict(True, "too short a series to judge")
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    checks = []
    for name, of in (("median", statistics.median), ("highest", max)):
        before, after = of([s.rss for s in early]), of([s.rss for s in late])
        fits = after - before <= max(_RSS_SLACK, _RSS_SHARE * before)
        text = f"memory, {name}: {before / _MB:.1f} MB, then {after / _MB:.1f} MB"
        checks.append((fits, text))
    for name in ("fds", "threads"):
        before, after = (max(getattr(s, name) for s in part) for part in (early, late))
        checks.append((after - before <= _SLACK, f"most {name}: {before}, then {after}"))
    lines = [f"{'flat' if fits else 'GROWS'}  {text}" for fits, text in checks]
    return Verdict(all(fits for fits, _ in checks), "\n".join(lines))
