"""The sink's side of a job: a bounded queue, and the one thread that speaks to the sink."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pystream._native.arrow import BatchList
from pystream.connectors.base import RewoundError, Sink, SinkContext, fail_as
from pystream.errors import PystreamError, SinkError
from pystream.plan.schema import Schema
from pystream.runtime.actor import Actor
from pystream.runtime.stopwatch import Stopwatch

__all__ = ["Output"]

# What may wait for a slow sink, beside the list that it is writing.
_WAITING_BYTES = 8 << 20
_WAITING_LISTS = 16


@dataclass(frozen=True, slots=True)
class _Call:
    """One thing for the sink to do."""

    verb: str  # write, prepare, commit, close or abort
    batches: BatchList | None = None
    size_bytes: int = 0
    epoch: int = 0
    token: Any = None
    then: Callable[[Any], None] | None = None
    error: BaseException | None = None


class Output(Actor):
    """Makes the calls of a sink in order.

    Rows are taken while there is room (`full`); epochs are always taken. Whatever a call raises
    ends the actor.
    """

    name = "sink"

    def __init__(self, sink: Sink, notify: Callable[[], None]) -> None:
        super().__init__()
        self.sink = sink
        self.rows = 0
        self._busy = Stopwatch()
        self._notify = notify
        self._lock = threading.Lock()
        self._calls: deque[_Call] = deque()
        self._bytes = 0
        self._lists = 0
        self._doing = ""

    def open(
        self,
        schema: Schema,
        context: SinkContext,
        epoch: int,
        token: Any,
        *,
        may_forget: bool = False,
        ahead: tuple[int, Any] | None = None,
    ) -> None:
        """Open the sink where the last decided epoch left it. In the caller's thread.

        may_forget: a token that is not of this sink may be left alone. ahead: where to open it
        if the target has later epochs than the one given, as their rows may come twice; None: not.
        """
        try:
            with _naming(self.sink):
                self.sink.open(schema, context)
                try:
                    self.sink.recover(epoch, token)
                except RewoundError:
                    if ahead is None:
                        raise
                    self.sink.recover(*ahead)
                except Exception:
                    if not may_forget:
                        raise
                    self.sink.recover(epoch, None)
        except BaseException as error:
            self.abort(error)
            raise

    # ---- from the driving thread ----

    @property
    def full(self) -> bool:
        """Whether rows must wait."""
        with self._lock:
            return self._bytes >= _WAITING_BYTES or self._lists >= _WAITING_LISTS

    def write(self, batches: BatchList) -> None:
        """Rows for the sink; the list is the sink's from now on."""
        self._add(_Call("write", batches, batches.nbytes))

    def prepare(self, epoch: int, then: Callable[[Any], None]) -> None:
        """End an epoch; `then` is called with its token, in the sink's thread."""
        self._add(_Call("prepare", epoch=epoch, then=then))

    def commit(self, epoch: int, token: Any, then: Callable[[Any], None]) -> None:
        """An epoch was decided; `then` is called when it is visible, in the sink's thread."""
        self._add(_Call("commit", epoch=epoch, token=token, then=then))

    def close(self) -> None:
        """Nothing more comes; the actor ends behind everything before."""
        self._add(_Call("close"))

    def give_up(self, error: BaseException, *, drop: bool) -> None:
        """End with `abort` instead of `close`. drop: what waits is not written."""
        if drop:
            self.drop()
        self._add(_Call("abort", error=error))

    def drop(self) -> None:
        """Forget what waits, but not that the run has failed."""
        with self._lock:
            self._calls = deque(call for call in self._calls if call.verb == "abort")

    def release(self) -> None:
        """Forget what waits, once the sink's thread has ended."""
        with self._lock:
            self._calls.clear()
            self._bytes = self._lists = 0

    @property
    def doing(self) -> tuple[str, float]:
        """The call that the sink is in, and for how many seconds; an empty name when in none."""
        with self._lock:
            return self._doing, self._busy.stretch_s

    @property
    def busy_s(self) -> float:
        """Seconds the sink has spent in calls, the one under way among them."""
        return self._busy.total_s()

    @property
    def waiting_bytes(self) -> int:
        """Rows that wait for the sink, and those it is writing."""
        return self._bytes

    def _add(self, call: _Call) -> None:
        with self._lock:
            self._calls.append(call)
            self._bytes += call.size_bytes
            self._lists += call.verb == "write"
        self.ring()

    # ---- in the sink's thread ----

    def step(self, wait_s: float) -> bool:
        with self._lock:
            if not self._calls:
                return False
            call = self._calls.popleft()
            self._doing = call.verb
            self._busy.turn(True)
        try:
            self._make(call)
        finally:
            with self._lock:
                self._doing = ""
                self._busy.turn(False)
                self._bytes -= call.size_bytes
                self._lists -= call.verb == "write"
            self._notify()
        return True

    def _make(self, call: _Call) -> None:
        answer = None
        with _naming(self.sink):
            if call.verb == "write":
                assert call.batches is not None
                self.sink.write(call.batches)
                self.rows += call.batches.num_rows
            elif call.verb == "prepare":
                answer = self.sink.prepare(call.epoch)
            elif call.verb == "commit":
                self.sink.commit(call.epoch, call.token)
            elif call.verb == "close":
                self.sink.close()
        if call.error is not None:
            self.abort(call.error)
        if call.then is not None:
            call.then(answer)
        self.ended = call.verb in ("close", "abort")

    def abort(self, error: BaseException) -> None:
        """Tell the sink that the run failed; no other call is under way."""
        try:
            self.sink.abort(error)
        except Exception as second:
            error.add_note(f"closing {self.sink.name} failed too: {second}")


@contextlib.contextmanager
def _naming(sink: Sink) -> Iterator[None]:
    """Errors of a sink that are not pystream's own become a `SinkError` with its name."""
    try:
        yield
    except PystreamError:
        raise
    except Exception as failure:
        raise fail_as(SinkError, f"{sink.name} failed", failure) from failure
