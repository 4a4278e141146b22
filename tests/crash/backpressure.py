"""A sink that sleeps 10 ms a batch at full source speed: ``python -m tests.crash.backpressure``.

Sources of both kinds, one that the engine pulls and one that is polled by a thread of its own, give
rows as fast as they are taken. The peak of the process's memory must stay within 64 MB of what it
was before the job started.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pystream.connectors.base import Poller, Position, Reader, Sink, Source
from pystream.expr import col
from pystream.stream import Stream
from tests.crash.vitals import look
from tests.crash.worker import python_with

__all__ = ["LIMIT_MB", "Pressure", "main", "press"]

LIMIT_MB = 64
_SLEEP_S = 0.010
_BATCH_ROWS = 65_536
_LOOK_S = 0.1
_KINDS = ("pulled", "polled")


class Flood(Source):
    """The same rows for ever, as fast as they are taken."""

    name = "flood"
    replayable = True

    def __init__(self, polled: bool) -> None:
        self.live = polled
        rows = np.arange(_BATCH_ROWS)
        columns = {"x": rows, "y": rows * 0.5, "z": rows % 7, "u": rows * 3}
        self._batch = pa.record_batch({name: pa.array(data) for name, data in columns.items()})

    def schema(self) -> pa.Schema:
        return self._batch.schema

    def open(
        self,
        columns: Sequence[str] | None,
        *,
        partition: str = "0",
        position: Position | None = None,
    ) -> Reader | Poller:
        if self.live:
            return _FloodPoller(self._batch, position or 0)
        start = position or 0
        return Reader.of_batches(self._batch.schema, self._forever(), lambda rows: start + rows)

    def _forever(self) -> Iterator[Any]:
        while True:
            yield _fresh(self._batch)


def _fresh(batch: Any) -> Any:
    """A copy, since a source that keeps its rows would not be felt."""
    return pa.record_batch([pa.array(c.to_numpy().copy()) for c in batch.columns], batch.schema)


class _FloodPoller(Poller):
    def __init__(self, batch: Any, at: int) -> None:
        self._batch = batch
        self._at = at

    def poll(self, timeout_s: float) -> Any:
        self._at += self._batch.num_rows
        return _fresh(self._batch)

    def position(self) -> Position:
        return self._at


class SlowSink(Sink):
    """Sleeps for every batch, and keeps nothing."""

    name = "slow"

    def write(self, batches: Any) -> None:
        for _ in range(len(batches)):
            time.sleep(_SLEEP_S)


@dataclass(frozen=True)
class Pressure:
    """What a run under pressure took.

    Attributes
    ----------
    kind
        Of source.
    start_mb, peak_mb
        Resident memory before the job, and at most while it ran.
    rows
        Taken from the source.
    """

    kind: str
    start_mb: float
    peak_mb: float
    rows: int

    @property
    def grown_mb(self) -> float:
        """By how much the peak is above the start."""
        return self.peak_mb - self.start_mb

    def __str__(self) -> str:
        return (
            f"{self.kind}: {self.rows:,} rows, memory {self.start_mb:.1f} MB at the start, "
            f"{self.peak_mb:.1f} MB at the peak: {self.grown_mb:+.1f} MB of {LIMIT_MB} allowed"
        )


def press(kind: str, seconds: float, tell: Any = print) -> Pressure:
    """Run one kind of source into the slow sink, in a process of its own."""
    command = [*python_with("tests.crash.backpressure", "work"), kind, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            facts = json.loads(line)
            if "peak_mb" in facts:
                result = Pressure(kind, **facts)
            else:
                tell(f"{kind}  {facts['t_s']:6.1f} s  {facts['rss_mb']:8.1f} MB")
    if process.returncode:
        raise RuntimeError(f"the {kind} run ended with code {process.returncode}")
    return result


def work(kind: str, seconds: float) -> None:
    """The process under pressure; tells its memory in lines of JSON."""
    import os

    stream = Stream.from_source(Flood(kind == "polled")).filter(col("z") < 6)
    _settle()
    pid, began_s = os.getpid(), time.monotonic()
    start = look(pid, began_s)
    assert start is not None
    peak, tells_s = start.rss, 0.0
    with (
        tempfile.TemporaryDirectory() as state,
        stream.write_to(SlowSink()).start(
            parallelism=2, checkpoint=state, checkpoint_every="1s", name="pressure"
        ) as job,
    ):
        while time.monotonic() - began_s < seconds and not job.wait(_LOOK_S):
            now = look(pid, began_s)
            assert now is not None
            peak = max(peak, now.rss)
            if now.t_s >= tells_s:
                tells_s += seconds / 20
                print(json.dumps({"t_s": now.t_s, "rss_mb": now.rss / 1e6}), flush=True)
        rows = job.metrics().rows_in
        job.cancel()
    facts = {"start_mb": start.rss / 1e6, "peak_mb": peak / 1e6, "rows": rows}
    print(json.dumps(facts), flush=True)


def _settle() -> None:
    """Load what any job loads, so that the start is that of a process at work."""
    Stream.from_source(Flood(True)).head(1)


def main() -> None:
    """The command line."""
    if sys.argv[1:2] == ["work"]:
        work(sys.argv[2], float(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(prog="python -m tests.crash.backpressure", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="for each kind of source")
    options = parser.parse_args()
    results = [press(kind, options.minutes * 60) for kind in _KINDS]
    for result in results:
        print(result)
    sys.exit(int(any(result.grown_mb > LIMIT_MB for result in results)))


if __name__ == "__main__":
    main()
