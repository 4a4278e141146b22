"""What the traceback of an error keeps alive."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

__all__ = ["forget_locals"]

_OURS = (str(Path(__file__).parents[1]) + os.sep, threading.__file__)


def forget_locals(error: BaseException) -> None:
    """Let go of the variables of our own functions that have ended with an error.

    A job keeps its error, the error its frames, and their variables the job: it would stay until
    Python looks for cycles. Where the error came from is still told, and functions of users keep
    theirs for a debugger.
    """
    for frame in _frames(error):
        if frame.f_code.co_filename.startswith(_OURS):
            with contextlib.suppress(RuntimeError):  # it runs
                frame.clear()


def _frames(error: BaseException) -> Iterator[FrameType]:
    """Every frame of an error and of those it came from, and their callers."""
    errors, seen = [error], {id(error)}
    while errors:
        one = errors.pop()
        for cause in (one.__cause__, one.__context__):
            if cause is not None and id(cause) not in seen:
                seen.add(id(cause))
                errors.append(cause)
        step = one.__traceback__
        while step is not None:  # one raised again in another thread has the callers of both
            frame: FrameType | None = step.tb_frame
            while frame is not None and id(frame) not in seen:
                seen.add(id(frame))
                yield frame
                frame = frame.f_back
            step = step.tb_next
