"""Threads of a job carry its name, for Python and for the system."""

import signal
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest

import pystream as ps
from pystream.connectors.base import Poller, Source
from pystream.stream import Stream

SCHEMA = pa.schema([("k", pa.int64())])


class Quiet(Source):
    """A live source that shows it was asked and never has a row."""

    name = "quiet"
    live = True

    def __init__(self):
        self.asked = threading.Event()

    def schema(self):
        return SCHEMA

    def open(self, columns, *, partition="0", position=None):
        return QuietPoller(self.asked)


class QuietPoller(Poller):
    def __init__(self, asked):
        self._asked, self._never = asked, threading.Event()

    def poll(self, timeout_s):
        self._asked.set()
        self._never.wait(timeout_s)

    def position(self):
        return None


def system_names():
    return {path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_threads_are_named(tmp_path):
    source = Quiet()
    query = Stream.from_source(source).group_by("k").agg(n=ps.count())
    pipeline = query.for_each(print)
    with pipeline.start(parallelism=2, name="orders", checkpoint=tmp_path / "state"):
        assert source.asked.wait(30)
        python = {thread.name for thread in threading.enumerate()}
        roles = ["driver", "shard-0", "shard-1", "source-0", "sink", "checkpoint"]
        assert {f"orders-{role}" for role in roles} <= python
        wanted = {f"ps-orders-{short}" for short in ["drv", "s0", "s1", "src0", "sink", "ckpt"]}
        threads = [t for t in threading.enumerate() if t.name.startswith("orders-")]
        assert len(threads) == len(wanted)
        until = time.monotonic() + 30
        while not wanted <= system_names() and time.monotonic() < until:
            time.sleep(0.01)  # a thread names itself, soon after it has started
        assert wanted <= system_names()


@pytest.mark.parametrize(
    ("way", "number"),
    [("start", 0), *((way, n) for way in ("collect", "iter_batches") for n in range(4))],
)
def test_ctrl_c_while_threads_are_started_leaves_none_behind(way, number, monkeypatch):
    plain, started, before = threading.Thread.start, [], set(threading.enumerate())

    def start(thread):
        if len(started) == number and threading.current_thread() is threading.main_thread():
            signal.raise_signal(signal.SIGINT)
        started.append(thread)
        plain(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    stream = Stream.from_source(Quiet()).group_by("k").agg(n=ps.count())
    runs = {
        "collect": lambda: stream.collect(parallelism=3, progress=False),
        "iter_batches": lambda: list(stream.iter_batches(parallelism=3)),
        "start": lambda: stream.for_each(print).start(parallelism=3).wait(),
    }
    with pytest.raises(KeyboardInterrupt):
        runs[way]()
    assert [t.name for t in set(threading.enumerate()) - before if t.is_alive()] == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert way == "start" or len(started) == 4  # three shards and the source
