"""One native engine at work inside a job, with what feeds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, cast

from pystream._native.arrow import Batch, BatchList, Memory
from pystream._native.engine import DRIVE_STATES, Engine
from pystream.connectors.base import Position
from pystream.errors import SourceError
from pystream.plan.logical import MapNode, SourceNode
from pystream.plan.lower import Segment
from pystream.runtime.clock import Clock
from pystream.runtime.feed import Feed
from pystream.runtime.finished import FinishedEngine
from pystream.runtime.hot_keys import HotKeys
from pystream.runtime.metrics import HotKey, OperatorMetrics
from pystream.runtime.stage import Stage

__all__ = ["Positions", "RunningSegment", "StatePiece"]

Positions = Mapping[tuple[str, str], Position]  # by source id and partition
StatePiece = tuple[int, int, Batch] | Literal["end"]  # operator, shard and rows

# Rows a call of drive may take: many when one source feeds it, few when sources must keep pace.
_BUDGET_ROWS = 4_000_000
_BUDGET_ROWS_SHARED = 65_536
_STARVED = DRIVE_STATES.index("starved")
_SOURCE_END = DRIVE_STATES.index("source_end")
_FULL = DRIVE_STATES.index("full")
_DONE = DRIVE_STATES.index("done")
_NO_WATERMARK = -(2**63)


class RunningSegment:
    """Drives one engine in bounded steps; its results wait in `results`.

    Attributes
    ----------
    at_barrier
        The epoch whose barrier has come out; nothing more comes out until it is taken away.
    starved
        It had nothing to do when it was last asked.
    """

    def __init__(
        self,
        spec: Segment,
        memory: Memory,
        *,
        shards: int,
        number: int,
        track_changes: bool,
        clock: Clock,
    ) -> None:
        self.number = number
        self.spec = spec
        self.engine = Engine(spec.plan, memory, shards, track_changes)
        self.results = BatchList(memory, spec.schema)
        self._hot_keys = HotKeys()
        self.done = False
        self.at_barrier: int | None = None
        self.feeds: list[Feed] = []
        for item in spec.inputs:
            if isinstance(item.node, SourceNode):
                self.feeds.append(Feed(item, item.node, clock))
        self.upstream: list[RunningSegment] = []
        self.state_keys = {operator.number: operator.key for operator in spec.stateful}
        # The Python stage behind it, and the input of the segment that takes what it makes.
        self._stage: Stage | None = None
        self._follower: tuple[RunningSegment, int] | None = None
        shared = len(spec.inputs) > 1
        staged = any(isinstance(i.node, MapNode) for i in spec.inputs)
        self._budget = _BUDGET_ROWS_SHARED if shared or staged else _BUDGET_ROWS
        self.starved = False
        self._hungry = True  # the engine has used what was pushed, or should be given more ahead

    def feed_into(self, stage: Stage, follower: RunningSegment, number: int) -> None:
        """Hand results to a Python stage; steps get small, for it keeps what one makes."""
        self._stage, self._follower = stage, (follower, number)
        self._budget = _BUDGET_ROWS_SHARED
        follower.upstream.append(self)

    def limit_budget(self, rows: int) -> None:
        """Take at most so many rows a step, so that barriers need not wait long."""
        self._budget = min(self._budget, rows)

    @property
    def has_open_input(self) -> bool:
        """Whether anything may still come in."""
        return any(not f.finished for f in self.feeds) or any(not u.done for u in self.upstream)

    def hand_on(self) -> None:
        """Run the stage on the results, and tell the follower when there will be no more."""
        if self._stage is None or self._follower is None:
            return
        follower, number = self._follower
        self._stage.run(self.results, follower.engine, number)
        if self.done:
            follower.engine.finish_input(number)

    @property
    def _follower_is_full(self) -> bool:
        """Whether what the stage makes would only pile up."""
        if self._follower is None:
            return False
        follower, number = self._follower
        return follower.engine.input_full(number)

    def advance(self, output_rows: int, wait_ns: int) -> bool:
        """Work until there is something to do for the caller; results are in `results` after.

        Answers whether anything may be left to do at once. wait_ns: how long rings may stay full
        before this returns all the same.
        """
        if self.at_barrier is not None or self._follower_is_full:
            self.starved = False
            return self.engine.copy_state()
        pushed = self._push_waiting()
        feed = self._next_pulled()
        if any(f.intake is not None and not f.finished for f in self.feeds):
            wait_ns = 0  # rows may come any time: the caller sleeps where they wake it
        try:
            if feed is None or feed.reader is None:
                state = self.engine.drive(0, None, self._budget, output_rows, wait_ns)
            else:
                feed.turn += 1
                number, stream = feed.spec.number, feed.reader.stream
                state = self.engine.drive(number, stream, self._budget, output_rows, wait_ns)
        except SourceError as error:
            self.engine.poll(self.results)
            if feed is None:
                raise
            named = feed.explain(error, self.engine)
            raise named from named.__cause__
        except BaseException:
            self.engine.poll(self.results)
            raise
        self.at_barrier, _ = self.engine.poll(self.results)
        if state == _SOURCE_END and feed is not None:
            feed.finish(self.engine)
        self.done = state == _DONE
        self.starved = state == _STARVED
        self._hungry = self.starved or (state == _FULL and self.engine.wants_input())
        return pushed or state not in (_STARVED, _FULL)

    def _push_waiting(self) -> bool:
        """Push what source threads have gathered, once what was pushed before is used up."""
        if not self._hungry:
            return False
        pushed = False
        for feed in self.feeds:
            if feed.intake is not None and not feed.finished:
                pushed = feed.push_waiting(self.engine) or pushed
        return pushed

    def _next_pulled(self) -> Feed | None:
        """The unfinished pulled source whose watermark is least, so that they advance together."""
        waiting = [feed for feed in self.feeds if not feed.finished and feed.reader is not None]
        if len(waiting) < 2:
            return waiting[0] if waiting else None
        marks = {line["id"]: line["watermark"] for line in self.engine.metrics()}

        def place(feed: Feed) -> tuple[int, int]:
            mark = feed.spec.watermark
            return (_NO_WATERMARK if mark is None else marks.get(mark, _NO_WATERMARK), feed.turn)

        return min(waiting, key=place)

    def send_barrier(self, epoch: int, full: bool) -> dict[tuple[str, str], Position]:
        """Put a barrier behind everything the engine was given; the positions it stands for."""
        positions = {feed.key: feed.position(self.engine) for feed in self.feeds}
        self.engine.barrier(epoch, full)
        self._hungry = False
        return positions

    def next_state(self, wait_s: float) -> StatePiece | None:
        """The next piece of a barrier's state; None when none has come within the time."""
        return self.engine.next_state(round(wait_s * 1e9))

    def stop_inputs(self) -> None:
        """Take no more from the sources."""
        for feed in self.feeds:
            if feed.intake is not None and not feed.finished:
                while feed.push_waiting(self.engine, all_rows=True):  # what was read still counts
                    pass
            feed.finish(self.engine)

    def watermarks(self) -> list[int]:
        """Watermarks of the sources that have event time."""
        marks = {line["id"]: line["watermark"] for line in self.engine.metrics()}
        wanted = [f.spec.watermark for f in self.feeds if f.spec.watermark is not None]
        return [marks.get(number, _NO_WATERMARK) for number in wanted]

    def rows_taken(self) -> int:
        """Rows that the engine was given by its sources."""
        return sum(self.engine.input_rows(feed.spec.number) for feed in self.feeds)

    def metrics(self) -> list[OperatorMetrics]:
        """One line per operator and shard."""
        lines = []
        for line in self.engine.metrics():
            mark = line["watermark"]
            known = {**line, "watermark": None if mark == _NO_WATERMARK else mark}
            lines.append(OperatorMetrics(stage=self.number, **known))  # type: ignore[arg-type]
        return lines

    def hot_keys(self, lines: Sequence[OperatorMetrics]) -> list[HotKey]:
        """Keys that keep their shard busy; lines: what `metrics` gave."""
        return self._hot_keys.find(self.engine, lines)

    def close(self) -> None:
        """Let go of the sources; nothing runs any more."""
        for feed in self.feeds:
            feed.close()

    def release(self) -> None:
        """Give the engine's memory back, once its threads have ended; its figures stay."""
        self.engine = cast(Engine, FinishedEngine(self.engine, len(self.spec.inputs)))
        self._follower = None  # which knows this one too
        for feed in self.feeds:
            feed.release()
