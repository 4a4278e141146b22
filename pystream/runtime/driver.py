"""The loop that moves a query on: native segments in turn, Python stages between them.

One thread drives. A step lets every segment do a bounded piece of work, upstream first, and hands
the results of each to the stage behind it; those of the last one are the query's own.
"""

from __future__ import annotations

import threading

from pystream._native.arrow import BatchList, Memory
from pystream.dtypes import time_unit
from pystream.errors import CancelledError, InvalidError
from pystream.plan.logical import LogicalNode, MapNode
from pystream.plan.lower import Segment, lower
from pystream.plan.optimize import optimize
from pystream.progress import Progress
from pystream.runtime.metrics import Metrics, least, to_datetime
from pystream.runtime.segment import RunningSegment
from pystream.runtime.stage import Stage

__all__ = ["Driver"]


class Driver:
    """A query ready to be stepped; `close` ends its threads whatever happened."""

    def __init__(
        self,
        node: LogicalNode,
        *,
        parallelism: int = 1,
        memory: Memory | None = None,
        name: str = "pystream",
    ) -> None:
        if isinstance(parallelism, bool) or not isinstance(parallelism, int) or parallelism < 1:
            raise InvalidError(f"parallelism must be a whole number of at least 1: {parallelism!r}")
        self.memory = Memory() if memory is None else memory
        self.schema = node.schema
        self.segments: list[RunningSegment] = []
        self._stopping = threading.Event()
        self._cancelled = threading.Event()
        self._closed = False
        self._parallelism = parallelism
        self._name = name
        self._unit_ns = _unit_of(node)
        self._progress_rows = 0
        try:
            self._last = self._start(lower(optimize(node), self.memory))
        except BaseException:
            self.close()
            raise
        feeds = [feed for segment in self.segments for feed in segment.feeds]
        self.live = any(feed.source.live for feed in feeds)

    def _start(self, spec: Segment) -> RunningSegment:
        """Start the segments that feed this one, then this one."""
        before = [(self._start(i.upstream), i) for i in spec.inputs if i.upstream is not None]
        segment = RunningSegment(
            spec, self.memory, self._parallelism, len(self.segments), self._name
        )
        self.segments.append(segment)
        for upstream, feeding in before:
            assert isinstance(feeding.node, MapNode)
            upstream.feed_into(Stage(feeding.node), segment, feeding.number)
        return segment

    @property
    def results(self) -> BatchList:
        """Result rows that `step` has brought; the caller clears it."""
        return self._last.results

    def step(self, output_rows: int) -> bool:
        """Move on; answers whether everything has ended. Results are in `results`."""
        if self._cancelled.is_set():
            raise CancelledError("the job was cancelled")
        if self._stopping.is_set():
            self._drain_sources()
        for segment in self.segments:
            if segment.done:
                continue
            segment.advance(output_rows if segment is self._last else 0)
            segment.hand_on()
        return self._last.done

    def _drain_sources(self) -> None:
        for segment in self.segments:
            for feed in segment.feeds:
                feed.finish(segment.engine)

    @property
    def stopping(self) -> bool:
        """Whether `stop` was asked for."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Take no more input; what was read still finishes. From any thread."""
        self._stopping.set()

    def cancel(self) -> None:
        """Give up soon. From any thread."""
        self._cancelled.set()
        for segment in self.segments:
            segment.engine.cancel()

    def close(self) -> None:
        """Stop everything and wait for the threads; harmless when done before."""
        if not self._closed:
            self._closed = True
            for segment in self.segments:
                segment.close()

    def estimated_rows(self) -> int | None:
        """How many rows the sources will give together, if they know."""
        counts = [f.source.estimated_rows() for s in self.segments for f in s.feeds]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def report(self, progress: Progress) -> None:
        """Tell a progress line how far the sources have come."""
        rows = sum(s.rows_of(feed) for s in self.segments for feed in s.feeds)
        mark = least([m for s in self.segments for m in s.watermarks()])
        moment = to_datetime(mark, self._unit_ns)
        microseconds = None if moment is None else round(moment.timestamp() * 1e6)
        progress.update(rows - self._progress_rows, microseconds)
        self._progress_rows = rows

    def metrics(self) -> Metrics:
        """Figures of this moment. From any thread."""
        operators = [line for segment in self.segments for line in segment.metrics()]
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
            watermark=to_datetime(mark, self._unit_ns),
            memory_used=self.memory.used,
            memory_peak=self.memory.peak,
            operators=tuple(operators),
        )


def _unit_of(node: LogicalNode) -> int:
    """Nanoseconds of the unit of the event time, where one is declared."""
    if node.event_time is not None:
        field = node.schema.field(node.event_time.column)
        unit = None if field is None else time_unit(field.format)
        if unit is not None:
            return unit[1]
    units = [_unit_of(upstream) for upstream in node.inputs]
    return units[0] if units else 1_000
