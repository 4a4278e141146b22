"""The process that is killed: runs one job to its end, armed with one fault.

What happens is told in lines of JSON on standard output, each with a time of the monotonic clock,
which all processes of a machine share. The exit code says how it ended.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pystream.errors import FencedError, LeaseHeldError, PystreamError
from pystream.runtime.job import Job
from pystream.runtime.launch import CheckpointOptions
from tests.crash.broken import BROKEN
from tests.crash.points import Moment, arm
from tests.crash.program import python_with
from tests.crash.subjects import SINKS, SOURCES
from tests.crash.workload import Workload

__all__ = ["FAILED", "FENCED", "FINISHED", "REFUSED", "Life", "command", "main"]

FINISHED, FAILED, REFUSED, FENCED = 0, 3, 4, 5
JOB = "crash"
_LOOK_S = 0.002


@dataclass(frozen=True)
class Life:
    """What one start of the worker is to do.

    Attributes
    ----------
    folder
        Of the trial: input, checkpoints and output are below it.
    checkpoint
        Where checkpoints go.
    source, sink
        Names among `SOURCES` and `SINKS`.
    seed
        Of the workload.
    parallelism
        Shards.
    every
        Time between checkpoints.
    pause_s
        How long a piece of input takes in addition, to make a short input last.
    lease_s
        How long another instance waits for one that is silent.
    moment
        What happens to the process, if anything.
    broken
        The wrong build it runs, if one.
    """

    folder: str
    checkpoint: str
    source: str
    sink: str
    seed: int
    parallelism: int = 3
    every: str = "80ms"
    pause_s: float = 0.0
    lease_s: float = 30.0
    moment: Moment | None = None
    broken: str | None = None


def command(life: Life) -> list[str]:
    """The command line that lives it."""
    return [*python_with("tests.crash.worker"), json.dumps(asdict(life))]


def tell(event: str, **facts: Any) -> None:
    """Write a line for whoever started the process; whole, also when it dies right after."""
    line = json.dumps({"event": event, "t": time.monotonic(), **facts})
    os.write(1, line.encode() + b"\n")


def main() -> None:
    """Live the life on the command line."""
    faulthandler.register(signal.SIGUSR1)
    document = json.loads(sys.argv[1])
    moment = document.pop("moment")
    life = Life(**document, moment=None if moment is None else Moment(**moment))
    try:
        _live(life)
    except PystreamError as error:
        text = "\n".join([str(error), *getattr(error, "__notes__", ())])
        tell("failed", kind=type(error).__name__, text=text)
        codes = {LeaseHeldError: REFUSED, FencedError: FENCED}
        sys.exit(codes.get(type(error), FAILED))


def _live(life: Life) -> None:
    _set_lease(life.lease_s)
    if life.broken is not None:
        BROKEN[life.broken].break_it()
    if life.moment is not None:
        arm(life.moment, tell)
    place = Path(life.folder)
    stream = SOURCES[life.source].open(place, life.pause_s)
    pipeline = SINKS[life.sink].attach(Workload(life.seed).query(stream), place)
    tell("begun")
    with pipeline.start(
        parallelism=life.parallelism,
        checkpoint=life.checkpoint,
        checkpoint_every=life.every,
        name=JOB,
        guarantee="exactly-once",
    ) as job:
        tell("running", epoch=job.epoch)
        watcher = threading.Thread(target=_tell_first_row, args=(job,))
        watcher.start()
        try:
            job.wait()
        finally:
            watcher.join()
            tell("ended", status=job.status, epoch=job.epoch)


def _tell_first_row(job: Job) -> None:
    """Recovered: a row came in that was not counted before."""
    while job.status == "running":
        if job.metrics().rows_in > 0:
            tell("row")
            return
        time.sleep(_LOOK_S)


def _set_lease(seconds: float) -> None:
    """A lease shorter than users can ask for, so that a test need not wait for its end."""
    make = CheckpointOptions.of

    def of(*args: Any, **named: Any) -> CheckpointOptions | None:
        options = make(*args, **named)
        return None if options is None else replace(options, lease_s=seconds)

    CheckpointOptions.of = staticmethod(of)  # type: ignore[method-assign]
