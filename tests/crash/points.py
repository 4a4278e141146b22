"""Where in a job the worker kills or stops itself: methods of the product, wrapped from outside.

Nothing in the product knows of this. A point is a method and a moment: before it, after it, or
inside, which is a line of Python drawn by chance among those it executes, at whatever depth.
"""

from __future__ import annotations

import functools
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from pystream.checkpoint import CheckpointStore, CheckpointWriter
from pystream.runtime.driver import Driver
from pystream.runtime.output import Output

__all__ = ["MOMENTS", "POINTS", "STARTING", "Moment", "arm", "on_sink", "wrap"]

SINK = "sink."
MOMENTS = ("before", "inside", "after")
_LINES_MAX = 120  # `inside` counts on through later calls if one has fewer lines

# The owner and the method; those of the sink are found when the job has made it.
POINTS: dict[str, tuple[type, str] | None] = {
    "barrier sent": (Driver, "send_barrier"),
    "barrier out": (Output, "prepare"),
    "state written": (CheckpointWriter, "add"),
    "checkpoint files closed": (CheckpointWriter, "commit"),
    "manifest": (CheckpointStore, "decide"),
    "sink.write": None,
    "sink.prepare": None,
    "sink.commit": None,
    "source told": (Driver, "tell_committed"),
    "expire": (CheckpointStore, "expire"),
    "lease": (CheckpointStore, "acquire"),
    "restore": (Driver, "restore"),
    "sink.recover": None,
}
# Passed once, when a job starts.
STARTING = ("lease", "restore", "sink.recover")


@dataclass(frozen=True)
class Moment:
    """Something that happens to the process at a point.

    Attributes
    ----------
    point, when
        Of `POINTS` and `MOMENTS`.
    passage
        The how-manieth time it comes there; for `inside`, the seed of the line.
    signal
        ``"KILL"`` or ``"STOP"``.
    """

    point: str
    when: str
    passage: int = 1
    signal: str = "KILL"


def arm(moment: Moment, tell: Callable[..., None]) -> None:
    """Let this process die or stop at a moment; `tell` is called first."""

    def strike() -> None:
        tell("struck", point=moment.point, when=moment.when)
        os.kill(os.getpid(), signal.Signals[f"SIG{moment.signal}"])

    if moment.when == "inside":
        guard = _inside(random.Random(moment.passage).randint(1, _LINES_MAX), strike)
    else:
        guard = _beside(moment.when, moment.passage, strike)
    if moment.point.startswith(SINK):
        on_sink(lambda sink: wrap(sink, moment.point.removeprefix(SINK), guard))
    else:
        owner, method = POINTS[moment.point]  # type: ignore[misc]
        wrap(owner, method, guard)


def on_sink(act: Callable[[Any], None]) -> None:
    """Do something to the sink of the job before it is opened."""

    def opened(inner: Callable[..., Any], output: Output, *args: Any, **named: Any) -> Any:
        act(output.sink)
        return inner(output, *args, **named)

    wrap(Output, "open", opened)


def wrap(owner: Any, method: str, around: Callable[..., Any]) -> None:
    """Replace a method by ``around(inner, *args)``; it must be there."""
    inner = getattr(owner, method)

    @functools.wraps(inner)
    def replacement(*args: Any, **named: Any) -> Any:
        return around(inner, *args, **named)

    setattr(owner, method, replacement)


def _beside(when: str, passage: int, strike: Callable[[], None]) -> Callable[..., Any]:
    """Strike before or after the n-th call."""
    lock = threading.Lock()
    left = [passage]

    def around(inner: Callable[..., Any], *args: Any, **named: Any) -> Any:
        with lock:
            left[0] -= 1
            now = left[0] == 0
        if now and when == "before":
            strike()
        answer = inner(*args, **named)
        if now and when == "after":
            strike()
        return answer

    return around


def _inside(line: int, strike: Callable[[], None]) -> Callable[..., Any]:
    """Strike at the n-th line of the package that the calls execute together."""
    left = [line]

    def on_line(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                strike()
        return on_line

    def on_call(frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        return on_line if "pystream" in name or "tests/crash/controls" in name else None

    def around(inner: Callable[..., Any], *args: Any, **named: Any) -> Any:
        sys.settrace(on_call)
        try:
            return inner(*args, **named)
        finally:
            sys.settrace(None)

    return around
