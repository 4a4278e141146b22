"""Source threads: they ask pollers for rows and keep them, bounded, until the driver takes them."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from pystream.connectors.base import Poller, Position
from pystream.runtime.actor import Actor
from pystream.runtime.stopwatch import Stopwatch

__all__ = ["Intake", "Pump"]

# What a partition may have waiting: enough for a driver that is busy for some milliseconds.
_WAITING_BYTES = 8 << 20
_WAITING_BATCHES = 64


class Intake:
    """Rows of one partition that have been read and not yet been taken; one producer, one consumer.

    Attributes
    ----------
    ended
        The poller has ended; what waits is all there will be.
    failure
        What ended the poller, if it failed.
    left
        Its source thread has not ended in time, and closes the poller when it does.
    on_room
        Called when half of what made it full has been taken, by the taking thread.
    """

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        self.ended = False
        self.failure: BaseException | None = None
        self.left = False
        self.on_room: Callable[[], None] | None = None
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Any, int, Position]] = deque()
        self._bytes = 0
        self._was_full = False  # the pump has been told so, and nothing else since
        self._held = Stopwatch()

    @property
    def full(self) -> bool:
        """Whether the pump must wait; who asks is told by `on_room` when there is room again."""
        with self._lock:
            full = self._bytes >= _WAITING_BYTES or len(self._waiting) >= _WAITING_BATCHES
            self._was_full = full
            self._held.turn(full)
            return full

    @property
    def waiting_bytes(self) -> int:
        """What has been read and not been taken."""
        return self._bytes

    @property
    def held_s(self) -> float:
        """Seconds in which the source thread had to wait for room here."""
        return self._held.total_s()

    def put(self, batch: Any, position: Position) -> None:
        """Add rows, and the position behind them."""
        size = batch.nbytes
        with self._lock:
            self._waiting.append((batch, size, position))
            self._bytes += size

    def take(self, *, everything: bool = False) -> tuple[Any, Position] | None:
        """The next rows and the position behind them; everything: also what is still gathered."""
        with self._lock:
            waits = bool(self._waiting)
        if not waits:
            try:
                batch = self.poller.overdue(everything=everything)
            except BaseException as failure:
                self.failure, self.ended = failure, True
                return None
            return None if batch is None else (batch, self.poller.position())
        with self._lock:
            batch, size, position = self._waiting.popleft()
            self._bytes -= size
            room = self._was_full and (
                self._bytes <= _WAITING_BYTES // 2 and len(self._waiting) <= _WAITING_BATCHES // 2
            )
            if room:
                self._was_full = False
                self._held.turn(False)
        if room and self.on_room is not None:
            self.on_room()
        return batch, position

    def release(self) -> None:
        """Forget what waits; nothing puts or takes any more."""
        self.on_room = None
        with self._lock:
            self._waiting.clear()
            self._bytes = 0

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting


class Pump(Actor):
    """Asks the pollers of some partitions in turn."""

    name = "source"

    def __init__(self, intakes: Sequence[Intake], notify: Callable[[], None]) -> None:
        super().__init__()
        self._intakes = list(intakes)
        self._notify = notify
        self._closing = False
        for intake in self._intakes:
            intake.on_room = self.ring

    def step(self, wait_s: float) -> bool:
        if self._closing:
            self.ended = True
            return False
        open_ones = [intake for intake in self._intakes if not intake.ended]
        if not open_ones:
            self.ended = True
            return False
        # With several partitions none may make the others wait long.
        patience = wait_s if len(open_ones) == 1 else min(wait_s, 0.01 / len(open_ones))
        worked = False
        for intake in open_ones:
            if not intake.full:
                worked = self._ask(intake, 0.0 if worked else patience) or worked
        return worked

    def _ask(self, intake: Intake, wait_s: float) -> bool:
        poller = intake.poller
        try:
            batch = poller.poll(wait_s)
            if batch is not None and batch.num_rows:
                intake.put(batch, poller.position())
            ended = poller.ended
        except BaseException as failure:
            intake.failure = failure
            batch, ended = None, True
        if ended:
            intake.ended = True
        if batch is not None or ended:
            self._notify()
            return True
        return False

    def close(self) -> None:
        """Ask no more; from any thread."""
        self._closing = True
        self.ring()

    def leave(self) -> None:
        """Its thread will not be waited for: what it asks is not for others to close."""
        for intake in self._intakes:
            intake.left = True

    def close_left(self) -> None:
        """Close what was left to its thread, in that thread."""
        for intake in self._intakes:
            with contextlib.suppress(Exception):
                intake.poller.close()
