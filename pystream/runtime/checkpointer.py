"""Checkpoints of a running job: when, what, and in which order it becomes true.

    driving thread   sends a barrier behind what was read; when it comes out of the last operator,
                     the epoch's rows have gone to the sink, and the sink is to prepare
    shards           freeze at the barrier and hand out their state in pieces while rows go on
    this thread      writes the pieces; when they, the sink's token and the positions are there, it
                     writes the manifest, which alone decides that the epoch happened
    sink's thread    prepares before, commits after

Nothing is in doubt after a crash: a manifest is there or not. If it is, the sink is made to finish
its commit; if not, everything since the manifest before it is done again.
One epoch is under way at a time, so a slow disk stretches the interval instead of piling up work.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pystream.checkpoint import CheckpointStore, Lease
from pystream.connectors.base import Position
from pystream.errors import CheckpointError
from pystream.runtime.actor import Actor
from pystream.runtime.clock import Clock
from pystream.runtime.driver import Driver
from pystream.runtime.output import Output
from pystream.runtime.segment import RunningSegment

__all__ = ["Checkpointer", "Epoch"]


@dataclass(eq=False, slots=True)
class Epoch:
    """An epoch under way, and what is known of it so far.

    Attributes
    ----------
    number
        Counts up from 1 over all runs of the job.
    savepoint, also
        The name it is kept under, where one was asked for, and further ones.
    last
        The run ends behind it.
    finished
        It ends because its input has.
    full
        All state is written, not just what changed since the epoch before.
    decided, committed
        Its manifest is written; the sink has made it visible.
    """

    number: int
    savepoint: str | None = None
    also: tuple[str, ...] = ()
    last: bool = False
    finished: bool = False
    full: bool = True
    positions: dict[tuple[str, str], Position] | None = None
    token: Any = None
    prepared: bool = False
    states: list[RunningSegment] = field(default_factory=list)
    writer: Any = None
    started_s: float = 0.0
    decided: threading.Event = field(default_factory=threading.Event)
    committed: threading.Event = field(default_factory=threading.Event)


class Checkpointer(Actor):
    """Begins epochs from the driving thread (`turn`), and writes and decides them in its own.

    Attributes
    ----------
    epoch
        The last one that was decided.
    """

    name = "checkpoint"

    def __init__(
        self,
        store: CheckpointStore,
        lease: Lease,
        driver: Driver,
        output: Output,
        *,
        epoch: int,
        every_s: float,
        keep: int,
        clock: Clock,
    ) -> None:
        super().__init__()
        self.epoch = epoch
        self.durations_s: list[float] = []
        self._store = store
        self._lease = lease
        self._driver = driver
        self._output = output
        self._every_s = every_s
        self._keep = keep
        self._clock = clock
        self._due_s = clock.monotonic() + every_s
        self._renew_s = clock.monotonic() + lease.ttl_s / 3
        self._wanted: list[Epoch] = []
        self._lock = threading.Lock()
        self._claimed: set[str | None] = set()  # names of savepoints that are not there yet
        self._naming = threading.Lock()
        self._current: Epoch | None = None
        self._base = False  # a full checkpoint of this run is there to add to
        self._closing = False

    # ---- from any thread ----

    def request(self, *, savepoint: str | None = None, last: bool = False) -> Epoch:
        """Ask for an epoch to end soon; answers what will be known of it.

        Raises
        ------
        PystreamError
            The savepoint cannot have this name: told to the one who asks, the run goes on.
        """
        if savepoint is not None:
            self._claim(savepoint)
        wanted = Epoch(0, savepoint=savepoint, last=last)
        with self._lock:
            self._wanted.append(wanted)
        self._driver.wake()
        return wanted

    def _claim(self, name: str) -> None:
        """Two who ask for the same name at a time must not both get it."""
        with self._naming:
            if name in self._claimed:
                raise CheckpointError(f"savepoint {name!r} is being made already")
            self._store.need_free_name(name)
            self._claimed.add(name)

    def close(self) -> None:
        """End; an epoch that is not decided yet is given up. From any thread."""
        self._closing = True
        self.ring()

    # ---- in the driving thread ----

    @property
    def current(self) -> Epoch | None:
        """The epoch under way."""
        return self._current

    def turn(self) -> bool:
        """Begin an epoch when it is time, and end it when its barrier has come out."""
        current = self._current
        if current is not None:
            if current.positions is not None or self._driver.at_barrier != current.number:
                return False
            self._come_out(current, self._driver.take_barrier())
            return True
        if not self._driver.can_send_barrier:
            return False
        wanted = self._next_wanted()
        if wanted is None:
            return False
        self._begin(wanted, [s for s in self._driver.segments if not s.done])
        self._driver.send_barrier(wanted.number, full=wanted.full)
        self.ring()
        return True

    def finish(self) -> Epoch:
        """Begin the last epoch, of a job whose input has ended and come out; none is under way."""
        last = Epoch(0, last=True, finished=True)
        with self._lock:
            asked, self._wanted = self._wanted, []
        names = [wanted.savepoint for wanted in asked if wanted.savepoint is not None]
        last.savepoint, last.also = next(iter(names), None), tuple(names[1:])
        self._begin(last, [])
        self._come_out(last, self._driver.final_positions())
        for wanted in asked:  # whoever asked waits for this one
            wanted.decided, wanted.committed = last.decided, last.committed
        self.ring()
        return last

    def _next_wanted(self) -> Epoch | None:
        with self._lock:
            if self._wanted:
                return self._wanted.pop(0)
        return Epoch(0) if self._clock.monotonic() >= self._due_s else None

    def _begin(self, epoch: Epoch, segments: Sequence[RunningSegment]) -> None:
        epoch.number = self._store.next_epoch
        epoch.started_s = self._clock.monotonic()
        epoch.states = list(segments)
        epoch.full = not self._base or epoch.savepoint is not None or self._store.full_due()
        self._due_s = epoch.started_s + self._every_s
        self._current = epoch

    def _come_out(self, epoch: Epoch, positions: dict[tuple[str, str], Position]) -> None:
        """Everything of the epoch has left the engines."""

        def prepared(token: Any) -> None:
            epoch.token = token
            epoch.prepared = True
            self.ring()

        epoch.positions = positions
        self._output.prepare(epoch.number, prepared)

    # ---- in the writer's thread ----

    def step(self, wait_s: float) -> bool:
        if self._closing:
            self._give_up()
            self.ended = True
            return False
        try:
            return self._work(wait_s)
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        """What is written of an epoch that is not decided takes room that somebody may need."""
        epoch = self._current
        if epoch is not None and epoch.writer is not None:
            epoch.writer.abort()

    def _work(self, wait_s: float) -> bool:
        epoch = self._current
        self._renew()
        if epoch is None:
            return False
        if epoch.writer is None:
            epoch.writer = self._store.begin(
                epoch.number, full=epoch.full, savepoint=epoch.savepoint
            )
        if epoch.states:
            return self._write_some(epoch, wait_s)
        if epoch.prepared and epoch.positions is not None:
            self._decide(epoch)
            return True
        return False

    def _write_some(self, epoch: Epoch, wait_s: float) -> bool:
        """Write the next piece of state; False when there is none now."""
        segment = epoch.states[0]
        piece = segment.next_state(wait_s)
        if piece is None:
            return False
        if piece == "end":
            epoch.states.pop(0)
            return True
        number, shard, batch = piece
        epoch.writer.add(segment.state_keys[number], self._driver.key_groups(shard), batch)
        return True

    def _decide(self, epoch: Epoch) -> None:
        """Write the manifest: from here on the epoch has happened."""
        positions: dict[str, dict[str, Position]] = {}
        for (source, partition), position in (epoch.positions or {}).items():
            positions.setdefault(source, {})[partition] = position
        epoch.writer.commit(
            positions=positions,
            sink_token=epoch.token,
            operators=self._driver.operators(),
            uses=self._driver.uses(),
            parallelism=self._driver.parallelism,
            finished=epoch.finished,
            sink=self._output.sink.name,
        )
        epoch.writer = None
        for name in epoch.also:
            self._store.savepoint(name)
        with self._naming:
            self._claimed.difference_update((epoch.savepoint, *epoch.also))
        self._base = True
        self.epoch = epoch.number
        self.durations_s.append(self._clock.monotonic() - epoch.started_s)
        self._output.commit(epoch.number, epoch.token, lambda _: epoch.committed.set())
        self._driver.tell_committed(positions)
        self._store.expire(self._keep)
        epoch.decided.set()
        self._current = None
        self._driver.wake()

    def _renew(self) -> None:
        now = self._clock.monotonic()
        if now >= self._renew_s:
            self._lease.renew()
            self._renew_s = now + self._lease.ttl_s / 3
