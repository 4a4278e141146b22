"""A query running in the background: wait for it, look at it, stop it."""

from __future__ import annotations

import os
import threading
import time
import warnings
import weakref
from types import TracebackType
from typing import Any, Self

from pystream._native.arrow import Memory
from pystream.connectors.base import Sink, SinkContext
from pystream.connectors.callback import MemorySink
from pystream.errors import CancelledError, InvalidError
from pystream.plan.logical import LogicalNode
from pystream.runtime.driver import Driver
from pystream.runtime.metrics import Metrics
from pystream.runtime.run import Run

__all__ = ["Job"]

_POLL_S = 0.1  # how often a waiting thread looks for signals


class Job:
    """A running query; a context manager that cancels what has not ended.

    Attributes
    ----------
    guarantee : str
        What the whole pipeline promises about each row.
    """

    guarantee = "exactly once within a run that finishes; a failed run starts again"

    def __init__(
        self,
        node: LogicalNode,
        sink: Sink | None,
        *,
        parallelism: int,
        memory: Memory,
        progress: bool | None,
        name: str,
    ) -> None:
        self.name = name
        driver = Driver(node, parallelism=parallelism, memory=memory, name=name)
        self._run = Run(driver, MemorySink(memory) if sink is None else sink, progress, name)
        try:
            self._run.sink.open(driver.schema, SinkContext(name))
            self._run.sink.recover(0, None)
        except BaseException:
            driver.close()
            raise
        # The thread holds the run and not the job, so that a dropped job is noticed.
        self._thread = threading.Thread(target=self._run, name=f"{name}-driver", daemon=True)
        self._watch = weakref.finalize(self, _abandoned, self._run, name, os.getpid())
        self._thread.start()

    @property
    def status(self) -> str:
        """``running``, ``finished``, ``stopped`` (drained), ``failed`` or ``cancelled``."""
        return self._run.status

    @property
    def error(self) -> BaseException | None:
        """What made the job fail, if it did."""
        return self._run.error

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end.

        Parameters
        ----------
        timeout
            Seconds; None waits as long as it takes.

        Returns
        -------
        bool
            True when the job has ended, False when the time was up first.

        Raises
        ------
        PystreamError
            What made the job fail. Ctrl-C cancels the job and raises KeyboardInterrupt.
        """
        until = None if timeout is None else time.monotonic() + timeout
        try:
            while not self._run.ended.is_set():
                left = _POLL_S if until is None else min(_POLL_S, until - time.monotonic())
                if left <= 0:
                    return False
                self._run.ended.wait(left)
        except BaseException:
            self.cancel()
            raise
        if self.error is not None and not isinstance(self.error, CancelledError):
            raise self.error
        return True

    def result(self) -> Any:
        """Wait for the end and give all result rows as a pyarrow Table.

        For jobs without a sink: ``stream.start().result()``.
        """
        import pyarrow as pa

        if not isinstance(self._run.sink, MemorySink):
            raise InvalidError(f"the results of this job go to {self._run.sink.name}")
        self.wait()
        if self.error is not None:
            raise self.error
        return pa.table(self._run.sink.batches)

    def stop(self, timeout: float | None = None) -> None:
        """Take no more input, let what was read finish, and wait for that.

        Windows that are still open leave as they stand.
        """
        self._run.driver.stop()
        if not self.wait(timeout):
            raise TimeoutError(
                f"job {self.name!r} has not drained after {timeout} s: its source may be waiting; "
                "cancel() gives up"
            )

    def cancel(self) -> None:
        """Give up soon and wait for the threads; results not yet written are lost."""
        self._run.driver.cancel()
        self._run.ended.wait(5.0)

    def metrics(self) -> Metrics:
        """Rows, bytes, lateness, watermark, rings and memory, in all and per operator."""
        return self._run.driver.metrics()

    @property
    def seconds(self) -> float:
        """How long the job has run."""
        return (self._run.ended_s or time.monotonic()) - self._run.started_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._run.ended.is_set():
            self.cancel()

    def __repr__(self) -> str:
        return f"<Job {self.name!r} {self.status} {self.seconds:.1f} s>"


def _abandoned(run: Run, name: str, owner: int) -> None:
    """The job object is gone, or the interpreter ends."""
    if run.ended.is_set() or os.getpid() != owner:
        return  # over, or a forked child, which has none of the threads
    run.driver.cancel()
    warnings.warn(
        f"job {name!r} was still running when it was dropped: use `with stream.start() as job`, "
        "job.wait() or job.stop()",
        ResourceWarning,
        stacklevel=2,
    )
    run.ended.wait(5.0)
