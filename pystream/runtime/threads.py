"""Threads of a job: named for whoever looks at the process, and the shards' among them."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from pystream._native.core import name_thread
from pystream._native.engine import Engine
from pystream.errors import CancelledError

__all__ = ["Workers", "interrupts_later", "start_thread"]

# What 15 characters have room for in top, beside the name of the job.
_SHORT = {"driver": "drv", "shard": "s", "source": "src", "checkpoint": "ckpt"}


def start_thread(
    body: Callable[[], object], job: str, role: str, number: int | None = None
) -> threading.Thread:
    """A running thread that does not keep the process alive.

    Python knows it as ``orders-shard-0``; top, py-spy and debuggers as ``ps-orders-s0``.
    """
    suffix = "" if number is None else str(number)
    short = _SHORT.get(role, role) + suffix
    name = f"{job}-{role}" if number is None else f"{job}-{role}-{number}"
    thread = threading.Thread(target=_named, args=(body, job, short), name=name, daemon=True)
    thread.start()
    return thread


def _named(body: Callable[[], object], job: str, role: str) -> None:
    name_thread(job, role)
    body()


@contextlib.contextmanager
def interrupts_later() -> Iterator[None]:
    """Ctrl-C waits until the end of the block.

    Within `Thread.start` it would leave a thread behind that runs and that nobody knows, or become
    another error there. Python calls handlers in the main thread only: elsewhere there is nothing
    to do.
    """
    old = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(old):
        yield
        return
    caught: list[tuple[int, Any]] = []
    signal.signal(signal.SIGINT, lambda number, frame: caught.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)
        for number, frame in caught[:1]:
            old(number, frame)


class Workers:
    """The threads of one engine, each inside one native call; none with a single shard.

    Attributes
    ----------
    failure
        What ended the first of them that failed.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self.failure: BaseException | None = None
        self._engine = engine
        self._threads = [
            start_thread(functools.partial(self._work, index), name, "shard", index)
            for index in range(engine.worker_count)
        ]

    def _work(self, index: int) -> None:
        try:
            self._engine.work(index)
        except Exception as failure:  # the driving thread meets the same error and raises it
            if self.failure is None and not isinstance(failure, CancelledError):
                self.failure = failure
            self._engine.cancel()

    def join(self, timeout: float | None = None) -> list[str]:
        """Wait until every thread has returned; the names of those that did not in time."""
        for thread in self._threads:
            thread.join(timeout)
        return [thread.name for thread in self._threads if thread.is_alive()]
