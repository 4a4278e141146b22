"""The body of a job: what its driving thread does from the first row to the last."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from pystream.errors import CancelledError
from pystream.progress import Progress
from pystream.runtime.actor import Actor, ActorThread
from pystream.runtime.checkpointer import Checkpointer, Epoch
from pystream.runtime.driver import Driver
from pystream.runtime.metrics import Metrics
from pystream.runtime.output import Output
from pystream.runtime.stopwatch import Stopwatch

__all__ = ["Run"]

# Result rows gathered before a sink sees them, when the input does not arrive live.
_SINK_ROWS = 65_536

# How long a part that sleeps where nothing can wake it may hold up the report of a failure.
_PATIENCE_S = 3.0
_LOOK_S = 0.1
# A driving thread that has not noticed a cancellation by then sleeps in a source or a function.
_PROMPT_S = 1.0


class Run:
    """Drives a query into a sink. Knows nothing of the `Job` that looks at it from outside.

    The first failure of any part is the run's. It is told soon, even if some part sleeps where
    nothing can wake it: a thread that has not ended after some seconds is left behind.

    Without a checkpointer the whole run is epoch 1, prepared and committed at its end.

    Parameters
    ----------
    over
        There is nothing to do: an earlier run came to the end of the input.
    on_end
        Called when nothing can write any more; not at all if the run ends with a thread that can.

    Attributes
    ----------
    left
        Names of the threads that had not ended when the run did.
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
        self.left: list[str] = []
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
        self._lock = threading.Lock()  # of error and status
        self._held = Stopwatch()  # rows had to wait for the sink
        self._starved_s = 0.0  # nothing to do but wait for rows
        self._failing = threading.Event()  # the driving thread sees to the failure
        if over:
            output.close()

    def __call__(self) -> None:
        """Run to the end; never raises, see `error`."""
        try:
            self._start_threads()
            self._loop()
            self._raise_failures()
            self._succeed()
        except BaseException as error:
            self._fail(error)
        finally:
            try:
                self._close()
            except BaseException as error:
                self._fail_to_close(error)
            self._end()

    def _start_threads(self) -> None:
        actors = [self.output] if self.checkpointer is None else [self.output, self.checkpointer]
        for actor in actors:
            on_end = functools.partial(self._on_end_of, actor)
            self._threads.append(ActorThread(actor, self._name, on_end))

    def _loop(self) -> None:
        with Progress(self.driver.estimated_rows(), self._progress, label=self._name) as progress:
            while not self.over:
                if not self.turn():
                    self._wait()
                self.driver.report(progress)

    def _wait(self) -> None:
        """Sleep until there may be something to do."""
        since_s = time.monotonic()
        starved = not self._held.running and not self.driver.done and self.driver.starved
        self.driver.wait()
        if starved:
            self._starved_s += time.monotonic() - since_s

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
        full = self.output.full
        self._held.turn(full)
        if self._stopped_at_barrier or full:
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
        stuck = self.output.doing[1] > _PATIENCE_S
        if self.driver.cancelled and (stuck or not self._closing):
            raise CancelledError("the job was cancelled")
        # Normally a failure waits its turn behind the rows before it.
        failure = self.driver.failure() if stuck else None
        if failure is not None:
            raise failure

    def metrics(self) -> Metrics:
        """Figures of this moment. From any thread."""
        now_s = time.monotonic() if self.ended_s is None else self.ended_s
        checkpointer = self.checkpointer
        durations_s = [] if checkpointer is None else checkpointer.durations_s
        return replace(
            self.driver.metrics(),
            seconds=now_s - self.started_s,
            starved_s=self._starved_s,
            sink=self.output.sink.name,
            sink_waiting_bytes=self.output.waiting_bytes,
            sink_busy_s=self.output.busy_s,
            sink_held_s=self._held.total_s(now_s),
            epoch=0 if checkpointer is None else checkpointer.epoch,
            checkpoint_s=durations_s[-1] if durations_s else None,
        )

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

    def _succeed(self) -> None:
        with self._lock:
            if self.error is None:
                stopped = self.driver.stopping or self._cut_short
                self.status = "stopped" if stopped else "finished"

    def _declare(self, error: BaseException) -> BaseException:
        """The run fails, if it has not before; answers the first error."""
        with self._lock:
            if self.error is None:
                self.error = error
                self.status = "cancelled" if isinstance(error, CancelledError) else "failed"
            return self.error

    def _on_end_of(self, actor: Actor) -> None:
        """In the thread of the sink or the checkpoints, which is about to end."""
        self.driver.wake()
        if actor.failure is None:
            return
        error = self._declare(actor.failure)
        if not self._failing.wait(_PATIENCE_S):
            self._end_without_driver(error)
        if actor is self.output:
            self.output.abort(error)

    def _end_without_driver(self, error: BaseException) -> None:
        """The driving thread sleeps in a source that it pulls: it lets go when it comes back."""
        if self.checkpointer is not None:
            self.checkpointer.close()
        self.driver.cancel()
        self.output.give_up(error, drop=True)
        self.left = [f"{self._name}-driver"]
        error.add_note(self._explain_left())
        self._end()

    def cancel(self) -> None:
        """Give up soon. From any thread but those of the run."""
        self.driver.cancel()
        if self.ended.wait(_PROMPT_S) or self._failing.is_set() or self._closing:
            return
        self._end_without_driver(self._declare(CancelledError("the job was cancelled")))

    def _fail(self, error: BaseException) -> None:
        error = self._declare(error)
        self._failing.set()
        if self.checkpointer is not None:
            self.checkpointer.close()
        self.driver.end_threads()
        # Rows that were final before the failure still go to the sink.
        self.output.give_up(error, drop=self.status == "cancelled")

    def _fail_to_close(self, error: BaseException) -> None:
        """Letting go failed, which must not hide how the run itself ended."""
        if self.error is None:
            self.status, self.error = "failed", error
        else:
            self.error.add_note(f"letting go failed too: {type(error).__name__}: {error}")

    def _close(self) -> None:
        """Let everything go; the job passes on once nothing of it can write any more."""
        self._failing.set()
        if self.checkpointer is not None:
            self.checkpointer.close()
        writers = self._join_writers()
        if not writers:
            self.output.release()
        left = writers + self.driver.close(_PATIENCE_S)
        if not self.ended.is_set():
            self.left = left
            if left and self.error is not None:
                self.error.add_note(self._explain_left())
        if self.checkpointer is not None and self.status == "failed" and self.error is not None:
            self.error.add_note(_where_it_goes_on(self.checkpointer.epoch))
        if self._on_end is not None and not writers:
            self._on_end()

    def _join_writers(self) -> list[str]:
        """Wait for the threads that write; the names of those that do not come to an end."""
        left: list[str] = []
        for thread in self._threads:
            until_s = time.monotonic() + _PATIENCE_S
            while not thread.join(_LOOK_S):
                sink = thread is self._threads[0]
                stuck = self.output.doing[1] > _PATIENCE_S if sink else time.monotonic() > until_s
                if stuck and self.error is not None:
                    self.output.drop()
                    left.append(thread.name)
                    break
        self._threads = []  # they know the run, as it knows them
        return left

    def _explain_left(self) -> str:
        """What the threads that were left behind mean, for the note on an error."""
        names = ", ".join(f"{name!r} ({self._whereabouts(name)})" for name in self.left)
        text = f"left behind, for it has not ended within {_PATIENCE_S:g} s: thread {names}"
        roles = {name.rpartition("-")[2] for name in self.left}
        if self.checkpointer is None or not roles & {"sink", "checkpoint", "driver"}:
            return text
        return (
            f"{text}; as it might still write, the job's lease is not given back: another "
            "instance can start when the lease has run out"
        )

    def _whereabouts(self, thread: str) -> str:
        role = thread.removeprefix(f"{self._name}-")
        if role == "sink":
            return f"inside {self.output.doing[0] or 'a call'} of {self.output.sink.name}"
        if role == "checkpoint":
            return "writing a checkpoint"
        if role == "driver":
            return "inside a source or a Python function"
        return "inside a source" if role.startswith("source") else "inside a function"

    def _end(self) -> None:
        self.ended_s = time.monotonic()
        self.ended.set()


def _where_it_goes_on(epoch: int) -> str:
    """What a restart does after a failure."""
    if epoch == 0:
        return "no epoch was decided: started again, the job begins at the beginning"
    return (
        f"epoch {epoch} is the last that was decided: started again with the same checkpoint=, the "
        "job makes sure that its rows are visible and goes on behind it"
    )
