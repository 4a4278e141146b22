"""The loop that moves a query on: native segments in turn, Python stages between them.

One thread drives. A step lets every segment do a bounded piece of work, upstream first, and hands
the results of each to the stage behind it; those of the last one are the query's own.

A barrier goes into every segment that reads sources alone; where it comes out before a stage, it
waits until all the stages of the next segment have it, and goes into that one. What comes out of
the last segment before it belongs to its epoch.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pystream._native.arrow import Batch, BatchList, Memory
from pystream.connectors.base import Position
from pystream.dtypes import time_unit
from pystream.errors import CancelledError, InvalidError, MemoryBudgetError
from pystream.plan.logical import LogicalNode, MapNode
from pystream.plan.lower import Segment, lower
from pystream.plan.optimize import optimize
from pystream.plan.partition import spread
from pystream.plan.uses import find_uses, name_uses
from pystream.progress import Progress
from pystream.runtime.actor import ActorThread
from pystream.runtime.budget import explain_budget
from pystream.runtime.clock import Clock
from pystream.runtime.memory_ahead import MemoryAhead
from pystream.runtime.metrics import Metrics, OperatorMetrics, SourceMetrics, least, to_datetime
from pystream.runtime.pump import Pump
from pystream.runtime.segment import Positions, RunningSegment
from pystream.runtime.stage import Stage
from pystream.runtime.threads import Workers, interrupts_later

__all__ = ["Driver", "run_to_end"]

_WAIT_NS = 20_000_000  # short, so that a signal is seen soon
_WAIT_SEVERAL_NS = 1_000_000  # each segment has a bell of its own, and one can be slept at
_KEY_GROUPS = 1024  # PS_KEY_GROUPS
_PUMPS_MAX = 16  # more partitions share source threads
_PIECES_AHEAD = 8  # of state, 4 MB each: memory is cleared for them while others are restored


class Driver:
    """A query ready to be stepped; `close` ends its threads whatever happened.

    Parameters
    ----------
    node
        The query.
    parallelism
        Shards for keyed work.
    memory
        What the native core counts its memory in.
    name
        What threads are called after.
    track_changes
        Barriers will be sent whose state is only what changed.
    threaded
        False: no threads are started; whoever simulates turns `pumps` and the shards.
    clock
        What tells how long a partition has been quiet; None: the system's.
    """

    def __init__(
        self,
        node: LogicalNode,
        *,
        parallelism: int = 1,
        memory: Memory | None = None,
        name: str = "pystream",
        track_changes: bool = False,
        threaded: bool = True,
        clock: Clock | None = None,
    ) -> None:
        whole = isinstance(parallelism, int) and not isinstance(parallelism, bool)
        if not whole or not 1 <= parallelism <= _KEY_GROUPS:
            raise InvalidError(
                f"parallelism must be a whole number from 1 to {_KEY_GROUPS}, the number of key "
                f"groups, not {parallelism!r}"
            )
        self.memory = Memory() if memory is None else memory
        self.schema = node.schema
        self.parallelism = parallelism
        self.segments: list[RunningSegment] = []
        self.pumps: list[Pump] = []
        self._track_changes = track_changes
        self._threaded = threaded
        self._clock = Clock() if clock is None else clock
        self._wait_ns = _WAIT_NS if threaded else 0
        self._stopping = threading.Event()
        self._cancelled = threading.Event()
        self._opened = False
        self._closed = False
        self._name = name
        self._unit_ns = _unit_of(node)
        self._progress_rows = 0
        self._workers: list[Workers] = []
        self._pump_threads: list[ActorThread] = []
        self._barrier: tuple[int, bool] | None = None  # under way: epoch, and whether full
        self._barrier_positions: dict[tuple[str, str], Position] = {}
        node = name_uses(node)
        self._uses = find_uses(node)
        self._last = self._make(lower(spread(optimize(node)), self.memory))
        self.live = any(feed.source.live for s in self.segments for feed in s.feeds)

    def _make(self, spec: Segment) -> RunningSegment:
        """Make the segments that feed this one, then this one."""
        before = [(self._make(i.upstream), i) for i in spec.inputs if i.upstream is not None]
        segment = RunningSegment(
            spec,
            self.memory,
            shards=self.parallelism,
            number=len(self.segments),
            track_changes=self._track_changes,
            clock=self._clock,
        )
        self.segments.append(segment)
        for upstream, feeding in before:
            assert isinstance(feeding.node, MapNode)
            upstream.feed_into(Stage(feeding.node), segment, feeding.number)
        return segment

    def begin_at(self, positions: Positions) -> None:
        """Where partitions go on, by use of a source and partition, before `open`.

        Others begin at their beginning.
        """
        for segment in self.segments:
            for feed in segment.feeds:
                feed.begin_at(positions.get(feed.key))

    def open(self) -> None:
        """Open the sources and start the threads; state is restored before. Once."""
        self._opened = True
        for segment in self.segments:
            for feed in segment.feeds:
                feed.open()
        intakes = [f.intake for s in self.segments for f in s.feeds if f.intake is not None]
        count = min(len(intakes), _PUMPS_MAX)
        self.pumps = [Pump(intakes[i::count], self.wake) for i in range(count)]
        if self._threaded:
            with interrupts_later():
                for segment in self.segments:
                    self._workers.append(Workers(segment.engine, self._name))
                for number, pump in enumerate(self.pumps):
                    thread = ActorThread(pump, self._name, self.wake, number)
                    self._pump_threads.append(thread)

    @property
    def results(self) -> BatchList:
        """Result rows that `step` has brought; the caller clears it."""
        return self._last.results

    @property
    def done(self) -> bool:
        """Whether everything has ended and come out."""
        return self._last.done

    def step(self, output_rows: int) -> bool:
        """Move on; answers whether anything was done. Results are in `results`.

        Nothing more comes out while `at_barrier` is not taken.
        """
        if self._cancelled.is_set():
            raise CancelledError("the job was cancelled")
        if not self._opened:
            self.open()
        if self._stopping.is_set():
            for segment in self.segments:
                segment.stop_inputs()
        worked = False
        for segment in self.segments:
            if segment.done:
                continue
            last = segment is self._last
            try:
                worked = segment.advance(output_rows if last else 0, self._wait_ns) or worked
            except MemoryBudgetError as error:
                raise explain_budget(error, self.segments, self.memory.used) from None
            segment.hand_on()
            self._hand_on_barrier()
        return worked or self._last.done

    def copy_state(self) -> bool:
        """Hand out state while no input is taken; False when there is none now."""
        return any(segment.engine.copy_state() for segment in self.segments)

    def shard_steps(self) -> list[Callable[[], bool]]:
        """A step of each shard's thread, where no threads were started."""
        return [
            functools.partial(segment.engine.step, index)
            for segment in self.segments
            if self._opened
            for index in range(segment.engine.worker_count)
        ]

    @property
    def starved(self) -> bool:
        """Whether nothing but rows from source threads would give it something to do."""
        return all(segment.done or segment.starved for segment in self.segments)

    def wait(self) -> None:
        """Sleep until there may be something to do; `wake` ends it."""
        several = len(self.segments) > 1 and self.parallelism > 1
        self._last.engine.wait(_WAIT_SEVERAL_NS if several else _WAIT_NS)

    def wake(self) -> None:
        """End the driving thread's sleep, this one or the next; from any thread."""
        self._last.engine.wake()

    # ---- barriers ----

    @property
    def can_send_barrier(self) -> bool:
        """Whether a barrier would come out: not while a segment drains after its last input."""
        idle = self._barrier is None and self._opened and not self._last.done
        return idle and all(s.done or s.has_open_input for s in self.segments)

    def send_barrier(self, epoch: int, *, full: bool) -> None:
        """Begin an epoch's end: put a barrier behind everything read so far."""
        self._barrier = (epoch, full)
        self._barrier_positions = {}
        for segment in self.segments:
            if not segment.upstream and not segment.done:
                self._barrier_positions.update(segment.send_barrier(epoch, full))
        self._hand_on_barrier()

    def _hand_on_barrier(self) -> None:
        """Send the barrier into each segment whose stages all have it."""
        if self._barrier is None:
            return
        epoch, full = self._barrier
        for segment in self.segments:
            before = segment.upstream
            if not before or not any(s.at_barrier == epoch for s in before):
                continue
            if all(s.done or s.at_barrier == epoch for s in before):
                self._barrier_positions.update(segment.send_barrier(epoch, full))
                for upstream in before:
                    upstream.at_barrier = None

    @property
    def at_barrier(self) -> int | None:
        """The epoch whose results have all come out and whose barrier waits to be taken."""
        return self._last.at_barrier

    def take_barrier(self) -> dict[tuple[str, str], Position]:
        """Let results of the next epoch come; answers the positions the barrier stands for.

        Those of sources that had ended before it are among them.
        """
        self._last.at_barrier = None
        self._barrier = None
        found = {f.key: f.position(s.engine) for s in self.segments for f in s.feeds if f.finished}
        return {**found, **self._barrier_positions}

    def final_positions(self) -> dict[tuple[str, str], Position]:
        """Positions behind everything, once all has ended."""
        return {f.key: f.position(s.engine) for s in self.segments for f in s.feeds}

    def operators(self) -> list[dict[str, Any]]:
        """Descriptions of the operators with state: what a checkpoint says of them."""
        return [
            {"key": operator.key, **operator.description.details}
            for segment in self.segments
            for operator in segment.spec.stateful
        ]

    def uses(self) -> list[dict[str, Any]]:
        """Descriptions of the uses of sources: what a checkpoint says of them."""
        stateful = [o for segment in self.segments for o in segment.spec.stateful]
        return [
            {
                "id": use.id,
                "name": use.name,
                "steps": list(use.steps),
                "operators": [
                    o.key for o in stateful if o.description.use is None and use.id in o.uses
                ],
            }
            for use in self._uses
        ]

    def key_groups(self, shard: int) -> tuple[int, int]:
        """The key groups of a shard: the first, and the one behind the last."""
        count = self.parallelism
        return shard * _KEY_GROUPS // count, (shard + 1) * _KEY_GROUPS // count

    def restore(self, pieces: Callable[[str], Iterator[Any]]) -> None:
        """Give every operator its state back, before `open`; pieces: of an operator's key.

        Each piece goes to all shards, in order, in a thread each. A piece mostly belongs to one of
        them, so some are under way at a time; another thread clears memory for them.
        """
        given: deque[list[Future[None]]] = deque()
        with contextlib.ExitStack() as stack:
            ahead = stack.enter_context(MemoryAhead(f"{self._name}-memory"))
            pools = [
                stack.enter_context(ThreadPoolExecutor(1, f"{self._name}-restore-{shard}"))
                for shard in range(self.parallelism)
            ]
            for segment in self.segments:
                for operator in segment.spec.stateful:
                    for piece in pieces(operator.key):
                        ahead.want(piece.nbytes)
                        batch = Batch.from_arrow(piece, self.memory)
                        give = functools.partial(segment.engine.restore, operator.number, batch)
                        given.append([pool.submit(give, n) for n, pool in enumerate(pools)])
                        if len(given) > _PIECES_AHEAD + 2 * self.parallelism:
                            _wait_for(given.popleft())
            for futures in given:
                _wait_for(futures)

    def tell_committed(self, positions: Mapping[str, Mapping[str, Position]]) -> None:
        """Let the sources know of a decided checkpoint. From any thread."""
        for segment in self.segments:
            for feed in segment.feeds:
                source_id = feed.key[0]
                if feed.is_first_partition and source_id in positions:
                    feed.source.committed(positions[source_id])

    def limit_budget(self, rows: int) -> None:
        """Take at most so many rows a step, so that barriers need not wait long."""
        for segment in self.segments:
            segment.limit_budget(rows)

    # ---- ending ----

    @property
    def stopping(self) -> bool:
        """Whether `stop` was asked for."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Take no more input; what was read still finishes. From any thread."""
        self._stopping.set()
        self.wake()

    def cancel(self) -> None:
        """Give up soon. From any thread."""
        self._cancelled.set()
        for segment in self.segments:
            segment.engine.cancel()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was asked for."""
        return self._cancelled.is_set()

    def failure(self) -> BaseException | None:
        """What has ended a shard or a poller, though `step` has not come to it yet."""
        for workers in self._workers:
            if workers.failure is not None:
                return workers.failure
        found = (feed.failure(s.engine) for s in self.segments for feed in s.feeds)
        return next((failure for failure in found if failure is not None), None)

    def end_threads(self) -> None:
        """Let the threads end; waits for none."""
        for pump in self.pumps:
            pump.close()
        for segment in self.segments:
            if not segment.done:
                segment.engine.cancel()

    def close(self, patience_s: float | None = None) -> list[str]:
        """Stop everything and wait for the threads; harmless when done before.

        Parameters
        ----------
        patience_s
            How long to wait for all of them; None waits as long as it takes.

        Returns
        -------
        list of str
            Names of the threads that have not ended, and are left behind.
        """
        if self._closed:
            return []
        self._closed = True
        until_s = None if patience_s is None else time.monotonic() + patience_s
        self.end_threads()
        left: list[str] = []
        for workers in self._workers:
            left += workers.join(_seconds_left(until_s))
        for pump, thread in zip(self.pumps, self._pump_threads, strict=False):
            if not thread.join(_seconds_left(until_s)):
                pump.leave()
                thread.leave(pump.close_left)
                left.append(thread.name)
        for segment in self.segments:
            segment.close()
        if not left:
            # These know the driver, as it knows them: a cycle would keep what they hold.
            self._workers, self.pumps, self._pump_threads = [], [], []
            for segment in self.segments:
                segment.release()
        return left

    # ---- figures ----

    def estimated_rows(self) -> int | None:
        """How many rows the sources will give together, if they know."""
        first = [f for s in self.segments for f in s.feeds if f.is_first_partition]
        counts = [feed.source.estimated_rows() for feed in first]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def report(self, progress: Progress) -> None:
        """Tell a progress line how far the sources have come."""
        rows = sum(segment.rows_taken() for segment in self.segments)
        mark = least([m for s in self.segments for m in s.watermarks()])
        moment = to_datetime(mark, self._unit_ns)
        microseconds = None if moment is None else round(moment.timestamp() * 1e6)
        progress.update(rows - self._progress_rows, microseconds)
        self._progress_rows = rows

    def metrics(self) -> Metrics:
        """Figures of this moment. From any thread."""
        parts = [(segment, segment.metrics()) for segment in self.segments]
        operators = [line for _, lines in parts for line in lines]
        sources = {(s.number, f.spec.operator) for s in self.segments for f in s.feeds}
        read = [line for line in operators if (line.stage, line.id) in sources]
        last = [line for line in operators if line.stage == self._last.number]
        left = [line for line in last if line.name == "sink"]
        mark = least([m for s in self.segments for m in s.watermarks()])
        return Metrics(
            rows_in=sum(line.rows_out for line in read),
            rows_out=sum(line.rows_in for line in left),
            bytes_in=sum(line.bytes_in for line in read),
            bytes_out=sum(max(line.bytes_in, line.bytes_out) for line in left),
            late_rows=sum(line.late_rows for line in operators),
            future_rows=sum(line.future_rows for line in operators),
            watermark=to_datetime(mark, self._unit_ns),
            memory_used=self.memory.used,
            memory_peak=self.memory.peak,
            operators=tuple(operators),
            sources=tuple(self._source_metrics(operators)),
            hot_keys=tuple(key for segment, lines in parts for key in segment.hot_keys(lines)),
        )

    def _source_metrics(self, lines: Sequence[OperatorMetrics]) -> Iterator[SourceMetrics]:
        read_ns = {(line.stage, line.id): line.read_ns for line in lines}
        for segment in self.segments:
            for feed in segment.feeds:
                intake = feed.intake
                yield SourceMetrics(
                    name=feed.source.name,
                    partition=feed.partition,
                    waiting_bytes=0 if intake is None else intake.waiting_bytes,
                    held_s=0.0 if intake is None else intake.held_s,
                    read_s=read_ns.get((segment.number, feed.spec.operator), 0) / 1e9,
                )


def run_to_end(driver: Driver, output_rows: int) -> Iterator[None]:
    """Step a driver until everything has come out, and stop at each step for the caller."""
    while not driver.done:
        if not driver.step(output_rows):
            driver.wait()
        yield


def _wait_for(futures: list[Future[None]]) -> None:
    for future in futures:
        future.result()


def _seconds_left(until_s: float | None) -> float | None:
    return None if until_s is None else max(0.0, until_s - time.monotonic())


def _unit_of(node: LogicalNode) -> int:
    """Nanoseconds of the unit of the event time, where one is declared."""
    if node.event_time is not None:
        field = node.schema.field(node.event_time.column)
        unit = None if field is None else time_unit(field.format)
        if unit is not None:
            return unit[1]
    units = [_unit_of(upstream) for upstream in node.inputs]
    return units[0] if units else 1_000
