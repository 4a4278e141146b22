"""The body of a job: what its driving thread does from the first row to the last."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable

from pystream.errors import CancelledError
from pystream.progress import Progress
from pystream.runtime.actor import ActorThread
from pystream.runtime.checkpointer import Checkpointer, Epoch
from pystream.runtime.driver import Driver
from pystream.runtime.output import Output

__all__ = ["Run"]

# Result rows gathered before a sink sees them, when the input does not arrive live.
_SINK_ROWS = 65_536


class Run:
    """Drives a query into a sink. Knows nothing of the `Job` that looks at it from outside.

    Without a checkpointer the whole run is epoch 1, prepared and committed at its end.

    Parameters
    ----------
    over
        There is nothing to do: an earlier run came to the end of the input.
    on_end
        Called when nothing runs any more.
    """

    def __init__(
        self,
        driver: Driver,
        output: Output,
        checkpointer: Checkpointer | None,
        *,
        progress: bool | None = False,
        name: str = "job",
        over: bool = False,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self.driver = driver
        self.output = output
        self.checkpointer = checkpointer
        self.status = "running"
        self.error: BaseException | None = None
        self.ended = threading.Event()
        self.started_s = time.monotonic()
        self.ended_s: float | None = None
        self._progress = progress
        self._name = name
        self._output_rows = 0 if driver.live else _SINK_ROWS
        self._last: Epoch | None = None  # behind which the run ends
        self._closing = over
        self._on_end = on_end
        self._threads: list[ActorThread] = []
        if over:
            output.close()

    def __call__(self) -> None:
        """Run to the end; never raises, see `error`."""
        try:
            self._start_threads()
            self._loop()
            self.status = "stopped" if self.driver.stopping or self._cut_short else "finished"
        except BaseException as error:
            self._fail(error)
        finally:
            try:
                self._close()
            except BaseException as error:
                self._fail_to_close(error)
            self.ended_s = time.monotonic()
            self.ended.set()

    def _start_threads(self) -> None:
        actors = [self.output] if self.checkpointer is None else [self.output, self.checkpointer]
        for actor in actors:
            self._threads.append(ActorThread(actor, self._name, self.driver.wake))

    def _loop(self) -> None:
        with Progress(self.driver.estimated_rows(), self._progress, label=self._name) as progress:
            while not self.over:
                if not self.turn():
                    self.driver.wait()
                self.driver.report(progress)

    # ---- one turn of the driving thread ----

    @property
    def over(self) -> bool:
        """Whether the sink has made its last call."""
        return self._closing and self.output.ended

    def turn(self) -> bool:
        """Do a bounded piece of work; False when there is none now."""
        self._raise_failures()
        if self._closing:
            return False
        if self._last is not None and self._last.committed.is_set():
            self._closing = True
            self.output.close()
            return True
        if self.driver.done:
            return self._finish()
        worked = self.checkpointer is not None and self.checkpointer.turn()
        if self._stopped_at_barrier or self.output.full:
            return self.driver.copy_state() or worked
        try:
            worked = self.driver.step(self._output_rows) or worked
        finally:
            if len(self.driver.results):
                self.output.write(self.driver.results.take())
        return worked

    def simulated_steps(self) -> list[Callable[[], bool]]:
        """Every step that may come next, for a scheduler of one thread."""
        actors = [self.output, *self.driver.pumps]
        if self.checkpointer is not None:
            actors.append(self.checkpointer)
        steps: list[Callable[[], bool]] = [self.turn]
        steps += [functools.partial(a.step, 0.0) for a in actors if not a.ended]
        return steps + self.driver.shard_steps()

    def end(self) -> None:
        """Let everything go, once it is over."""
        self._close()

    def _raise_failures(self) -> None:
        for actor in (self.checkpointer, self.output):
            if actor is not None and actor.failure is not None:
                raise actor.failure

    @property
    def _stopped_at_barrier(self) -> bool:
        """Whether the epoch under way is the last and all its rows are out."""
        current = None if self.checkpointer is None else self.checkpointer.current
        if current is None or not current.last or current.positions is None:
            return False
        self._last = current
        return True

    @property
    def _cut_short(self) -> bool:
        return self._last is not None and not self._last.finished

    def _finish(self) -> bool:
        """Everything has come out: end the last epoch, once."""
        if self._last is not None:
            return False
        if self.checkpointer is None:
            last = self._last = Epoch(1, last=True, finished=True)
            self.output.prepare(
                1, lambda token: self.output.commit(1, token, lambda _: last.committed.set())
            )
            return True
        if self.checkpointer.current is not None:
            return self.driver.copy_state()
        self._last = self.checkpointer.finish()
        return True

    # ---- ending ----

    def _fail(self, error: BaseException) -> None:
        self.status = "cancelled" if isinstance(error, CancelledError) else "failed"
        self.error = error
        # Rows that were final before the failure still go to the sink.
        self.output.give_up(drop=self.status == "cancelled")
        self._join(self._threads[:1])
        self.output.abort(error)
        if self.checkpointer is not None and self.status == "failed":
            error.add_note(_where_it_goes_on(self.checkpointer.epoch))

    def _fail_to_close(self, error: BaseException) -> None:
        """Letting go failed, which must not hide how the run itself ended."""
        if self.error is None:
            self.status, self.error = "failed", error
        else:
            self.error.add_note(f"letting go failed too: {type(error).__name__}: {error}")

    def _close(self) -> None:
        if self.checkpointer is not None:
            self.checkpointer.close()
        self._join(self._threads)
        self.driver.close()
        if self._on_end is not None:
            self._on_end()

    def _join(self, threads: list[ActorThread]) -> None:
        for thread in threads:
            thread.join()


def _where_it_goes_on(epoch: int) -> str:
    """What a restart does after a failure."""
    if epoch == 0:
        return "no epoch was committed: started again, the job begins at the beginning"
    return (
        f"epoch {epoch} is the last that was committed: started again with the same checkpoint=, "
        "the job goes on behind it"
    )
