"""A query running in the background: wait for it, look at it, stop it."""

from __future__ import annotations

import os
import time
import warnings
import weakref
from types import TracebackType
from typing import Any, Self

from pystream._native.arrow import Memory
from pystream.connectors.base import Sink
from pystream.connectors.callback import MemorySink
from pystream.errors import CancelledError, InvalidError
from pystream.plan.logical import LogicalNode
from pystream.runtime.checkpointer import Epoch
from pystream.runtime.frames import forget_locals
from pystream.runtime.guarantee import guarantee_of, require
from pystream.runtime.launch import CheckpointOptions, launch
from pystream.runtime.metrics import Metrics
from pystream.runtime.run import Run
from pystream.runtime.threads import interrupts_later, start_thread

__all__ = ["Job"]

_CANCEL_S = 5.0  # how long cancel() waits at most
_POLL_S = 0.1  # how often a waiting thread looks for signals


class Job:
    """A running query; a context manager that cancels what has not ended.

    Attributes
    ----------
    name
        What threads, checkpoints and errors call it.
    guarantee : Guarantee
        What the whole pipeline promises about each row, and what limits it.
    """

    def __init__(
        self,
        node: LogicalNode,
        sink: Sink | None,
        *,
        parallelism: int,
        memory: Memory,
        progress: bool | None,
        name: str,
        options: CheckpointOptions | None = None,
        guarantee: str | None = None,
    ) -> None:
        self.name = name
        self._owner = os.getpid()
        self.guarantee = guarantee_of(node, sink, checkpointed=options is not None)
        require(guarantee, self.guarantee)
        self._run = launch(
            node,
            MemorySink(memory) if sink is None else sink,
            parallelism=parallelism,
            memory=memory,
            name=name,
            options=options,
            progress=progress,
        )
        # The thread holds the run and not the job, so that a dropped job is noticed.
        self._watch = weakref.finalize(self, _abandoned, self._run, name, self._owner)
        try:
            with interrupts_later():
                self._thread = start_thread(self._run, name, "driver")
        except BaseException:
            self.cancel()
            raise

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
            What made the job fail, first of all, with the operator or sink in which it did. A note
            on it names each thread that has not ended even so. Ctrl-C cancels the job and raises
            KeyboardInterrupt.
        """
        self._need_owner()
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
        # It holds the run for ever if the run holds this job, by the frames of what is raised here.
        self._watch.detach()
        self._let_go()
        error = self.error
        if error is not None and not isinstance(error, CancelledError):
            try:
                raise error
            finally:
                del self, error  # or the frame that the error gets here would keep both
        if self._run.left and error is None:
            warnings.warn(
                f"job {self.name!r} is over, but its source does not answer: left behind "
                f"{', '.join(self._run.left)}",
                RuntimeWarning,
                stacklevel=2,
            )
        return True

    def result(self) -> Any:
        """Wait for the end and give all result rows as a pyarrow Table.

        For jobs without a sink: ``stream.start().result()``.
        """
        import pyarrow as pa

        sink = self._run.output.sink
        if not isinstance(sink, MemorySink):
            raise InvalidError(
                f"the results of this job go to {sink.name}: read them there, or start the stream "
                "without a sink"
            )
        self.wait()
        if self.error is not None:
            raise self.error
        return pa.table(sink.batches)

    def stop(self, timeout: float | None = None, *, drain: bool | None = None) -> None:
        """Take no more input and wait for the end.

        Parameters
        ----------
        timeout
            Seconds to wait; None waits as long as it takes.
        drain
            True lets windows that are still open leave as they stand, as at the end of the input.
            False, for jobs with checkpoints and their default, ends behind one more checkpoint:
            started again, the job goes on as if it had never stopped.
        """
        self._need_owner()
        checkpointer = self._run.checkpointer
        if checkpointer is None and drain is False:
            raise InvalidError("stop(drain=False) needs a job that was started with checkpoint=...")
        if checkpointer is None or drain:
            self._run.driver.stop()
        else:
            checkpointer.request(last=True)
        if not self.wait(timeout):
            raise TimeoutError(
                f"job {self.name!r} has not ended after {timeout} s: its source may be waiting; "
                "cancel() gives up"
            )

    def savepoint(self, name: str, timeout: float | None = None) -> int:
        """Make a full checkpoint that is kept until it is deleted; the job goes on.

        Parameters
        ----------
        name
            What ``start(restore=name)`` will call it: letters, digits and ``_.=-``. One that
            cannot be, or is taken, is refused, and the job goes on.
        timeout
            Seconds to wait; None waits as long as it takes.

        Returns
        -------
        int
            Its epoch.
        """
        epoch = self._checkpoint(name, timeout)
        return epoch.number

    def checkpoint(self, timeout: float | None = None) -> int:
        """Make a checkpoint now and wait until its output is visible; answers its epoch."""
        return self._checkpoint(None, timeout).number

    def _checkpoint(self, savepoint: str | None, timeout: float | None) -> Epoch:
        self._need_owner()
        checkpointer = self._run.checkpointer
        if checkpointer is None:
            raise InvalidError(f"job {self.name!r} was started without checkpoint=...")
        epoch = checkpointer.request(savepoint=savepoint)
        until = None if timeout is None else time.monotonic() + timeout
        while not epoch.committed.wait(_POLL_S):
            if self._run.ended.is_set() and not epoch.committed.is_set():
                raise self.error or InvalidError(
                    f"job {self.name!r} has ended before it made the checkpoint"
                )
            if until is not None and time.monotonic() >= until:
                raise TimeoutError(f"job {self.name!r} made no checkpoint within {timeout} s")
        return epoch

    @property
    def epoch(self) -> int:
        """The last epoch that was decided; 0 before the first and without checkpoints."""
        return 0 if self._run.checkpointer is None else self._run.checkpointer.epoch

    def cancel(self) -> None:
        """Give up soon and wait for the threads; results not yet written are lost.

        A thread that sleeps inside a source, a sink or a function of yours is left behind, and a
        note on `error` names it.
        """
        self._need_owner()
        self._run.cancel()
        if self._run.ended.wait(_CANCEL_S):
            self._let_go()

    def _let_go(self) -> None:
        """What an ended job's error keeps is let go, once the driving thread is over too."""
        if self.error is not None:
            if not self._run.left:
                self._thread.join()
            forget_locals(self.error)

    def metrics(self) -> Metrics:
        """Rows, bytes, lateness, watermark, rings and memory, in all and per operator."""
        self._need_owner()
        return self._run.metrics()

    def _need_owner(self) -> None:
        """Refuse to go on in a forked child: it has a copy of the job's memory and no threads."""
        if os.getpid() != self._owner:
            raise InvalidError(
                f"job {self.name!r} runs in process {self._owner}, not in its forked child "
                f"{os.getpid()}: use it there, or start a job of its own here"
            )

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
        if not self._run.ended.is_set() and os.getpid() == self._owner:
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
