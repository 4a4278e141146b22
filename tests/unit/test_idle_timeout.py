"""A partition that has gone quiet holds the others no longer than idle_timeout."""

import queue
import threading

import pyarrow as pa

import pystream as ps
from pystream.connectors.base import Poller, Source
from pystream.stream import Stream

SCHEMA = pa.schema([("t", pa.timestamp("us"))])


class Lines(Source):
    """Two partitions, fed by a test: a list of times, or None for the end."""

    name = "lines"
    live = True

    def __init__(self):
        self.lines = {"0": queue.Queue(), "1": queue.Queue()}

    def schema(self):
        return SCHEMA

    def partitions(self):
        return tuple(self.lines)

    def open(self, columns, *, partition="0", position=None):
        return LinePoller(self.lines[partition])

    def end(self):
        for line in self.lines.values():
            line.put(None)


class LinePoller(Poller):
    def __init__(self, line):
        self._line = line

    def poll(self, timeout_s):
        try:
            times = self._line.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if times is None:
            self.ended = True
            return None
        return pa.record_batch([pa.array(times, pa.timestamp("us"))], schema=SCHEMA)

    def position(self):
        return None


def counts(source, idle_timeout, take):
    stream = Stream.from_source(source).with_event_time("t", idle_timeout=idle_timeout)
    pipeline = stream.window(ps.tumbling("10us")).agg(n=ps.count()).for_each(take)
    return pipeline.start()


def test_a_quiet_partition_is_not_waited_for():
    source, first, found = Lines(), threading.Event(), []

    def take(batch):
        found.extend(batch["n"].to_pylist())
        first.set()

    with counts(source, "50ms", take) as job:
        source.lines["0"].put([1, 2, 25])
        assert first.wait(30)
        assert found == [2]
        source.lines["1"].put([3])  # behind what the other has closed
        source.lines["1"].put([26])
        source.end()
        job.wait()
    assert found == [2, 2]
    assert job.metrics().late_rows == 1


def test_without_it_the_other_waits():
    source, found = Lines(), []
    with counts(source, None, lambda batch: found.extend(batch["n"].to_pylist())) as job:
        source.lines["0"].put([1, 2, 25])
        source.lines["1"].put([3])
        source.end()
        job.wait()
    assert found == [3, 1]
    assert job.metrics().late_rows == 0
