"""One native engine at work inside a job, with what feeds it."""

from __future__ import annotations

from pystream._native.arrow import BatchList, Memory
from pystream._native.engine import DRIVE_STATES, Engine
from pystream.errors import SourceError
from pystream.plan.logical import MapNode, SourceNode
from pystream.plan.lower import Segment
from pystream.runtime.feed import Feed
from pystream.runtime.metrics import OperatorMetrics
from pystream.runtime.stage import Stage
from pystream.runtime.threads import Workers

__all__ = ["RunningSegment"]

# Rows a call of drive may take: many when one source feeds it, few when sources must keep pace.
_BUDGET_ROWS = 4_000_000
_BUDGET_ROWS_SHARED = 65_536
_WAIT_NS = 20_000_000  # short, so that a signal is seen soon
_SOURCE_END = DRIVE_STATES.index("source_end")
_DONE = DRIVE_STATES.index("done")
_NO_WATERMARK = -(2**63)


class RunningSegment:
    """Drives one engine in bounded steps; its results wait in `results`."""

    def __init__(self, spec: Segment, memory: Memory, shards: int, number: int, name: str) -> None:
        self.number = number
        self.engine = Engine(spec.plan, memory, shards)
        self.results = BatchList(memory, spec.schema)
        self.done = False
        self.feeds = [Feed(i, i.node) for i in spec.inputs if isinstance(i.node, SourceNode)]
        # The Python stage behind it, and the input of the segment that takes what it makes.
        self.stage: Stage | None = None
        self.follower: tuple[RunningSegment, int] | None = None
        self.workers = Workers(self.engine, name)
        shared = len(spec.inputs) > 1
        staged = any(isinstance(i.node, MapNode) for i in spec.inputs)
        self._budget = _BUDGET_ROWS_SHARED if shared or staged else _BUDGET_ROWS

    def feed_into(self, stage: Stage, follower: RunningSegment, number: int) -> None:
        """Hand results to a Python stage; steps get small, for it keeps what one makes."""
        self.stage, self.follower = stage, (follower, number)
        self._budget = _BUDGET_ROWS_SHARED

    def hand_on(self) -> None:
        """Run the stage on the results, and tell the follower when there will be no more."""
        if self.stage is None or self.follower is None:
            return
        follower, number = self.follower
        self.stage.run(self.results, follower.engine, number)
        if self.done:
            follower.engine.finish_input(number)

    def advance(self, output_rows: int) -> None:
        """Work until there is something to do for the caller; results are in `results` after."""
        feed = self._next_feed()
        try:
            if feed is None:
                state = self.engine.drive(0, None, self._budget, output_rows, _WAIT_NS)
            else:
                feed.turn += 1
                number, stream = feed.spec.number, feed.open().stream
                state = self.engine.drive(number, stream, self._budget, output_rows, _WAIT_NS)
        except SourceError as error:
            self.engine.poll(self.results)
            if feed is None:
                raise
            named = feed.explain(error, self.rows_of(feed))
            raise named from named.__cause__
        except BaseException:
            self.engine.poll(self.results)
            raise
        self.engine.poll(self.results)
        if state == _SOURCE_END and feed is not None:
            feed.finish(self.engine)
        self.done = state == _DONE

    def _next_feed(self) -> Feed | None:
        """The unfinished source whose watermark is least, so that they advance together."""
        waiting = [feed for feed in self.feeds if not feed.finished]
        if len(waiting) < 2:
            return waiting[0] if waiting else None
        marks = {line["id"]: line["watermark"] for line in self.engine.metrics()}

        def place(feed: Feed) -> tuple[int, int]:
            mark = feed.spec.watermark
            return (_NO_WATERMARK if mark is None else marks.get(mark, _NO_WATERMARK), feed.turn)

        return min(waiting, key=place)

    def rows_of(self, feed: Feed) -> int:
        """Rows the engine has taken from a source."""
        return sum(
            line["rows_out"] for line in self.engine.metrics() if line["id"] == feed.spec.operator
        )

    def watermarks(self) -> list[int]:
        """Watermarks of the sources that have event time."""
        marks = {line["id"]: line["watermark"] for line in self.engine.metrics()}
        wanted = [f.spec.watermark for f in self.feeds if f.spec.watermark is not None]
        return [marks.get(number, _NO_WATERMARK) for number in wanted]

    def metrics(self) -> list[OperatorMetrics]:
        """One line per operator and shard."""
        lines = []
        for line in self.engine.metrics():
            mark = line["watermark"]
            known = {**line, "watermark": None if mark == _NO_WATERMARK else mark}
            lines.append(OperatorMetrics(stage=self.number, **known))  # type: ignore[arg-type]
        return lines

    def close(self) -> None:
        """Stop what still runs and let go of the sources."""
        if not self.done:
            self.engine.cancel()
        self.workers.join()
        for feed in self.feeds:
            feed.close()
