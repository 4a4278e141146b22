"""Locks of files between processes: waited for, but not for a holder that was stopped."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator

from pystream.errors import PystreamError

__all__ = ["TIMEOUT_S", "flock"]

TIMEOUT_S = 30.0


@contextlib.contextmanager
def flock(descriptor: int, what: str, error: type[PystreamError]) -> Iterator[None]:
    """Hold the lock of an open file or directory; the kernel frees it when its holder dies.

    Parameters
    ----------
    what, error
        What is locked, in the words of the error after `TIMEOUT_S`, and its class.
    """
    _take(descriptor, what, error)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _take(descriptor: int, what: str, error: type[PystreamError]) -> None:
    """Holders are quick, so waiting is a short sleep; a blocking call could not be given up."""
    pause_s, waited_s = 20e-6, 0.0
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if waited_s >= TIMEOUT_S:
                raise error(
                    f"another process has held the lock of {what} for {TIMEOUT_S:g} s: is it "
                    "stopped? Continue it, or kill it"
                ) from None
            time.sleep(pause_s)
            waited_s += pause_s
            pause_s = min(1.5 * pause_s, 2e-3)
