"""Failures while other parts are stuck: the first error arrives, and whatever can end has ended."""

import gc
import threading
import time
import weakref

import pyarrow as pa
import pytest

import pystream as ps
from pystream.checkpoint.record import decode, encode
from pystream.connectors.base import Poller, Sink, Source
from pystream.errors import (
    CheckpointError,
    FencedError,
    LeaseHeldError,
    SinkError,
    SourceError,
    StageError,
)
from pystream.runtime import run as run_module
from tests.unit.test_checkpoints import Disk, Ledger, Ticks, query

# How long a test that has gone wrong hangs before it fails.
SOON_S = 60


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(run_module, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(run_module, "_PROMPT_S", 0.2)


@pytest.fixture
def free():
    """What sleepers sleep at; set when the test is over, so that they end."""
    event = threading.Event()
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name.startswith("fails-"):
            thread.join(SOON_S)
            assert not thread.is_alive(), f"{thread.name} does not end"


def threads():
    return sorted(t.name for t in threading.enumerate() if t.name.startswith("fails-"))


class SleepySink(Sink):
    """Sleeps in a call until it is freed, and may fail in another thread's stead."""

    name = "sleepy"
    guarantee = "exactly-once"

    def __init__(self, free, verb="write", failure=None):
        self.free, self.verb, self.failure = free, verb, failure
        self.asleep = threading.Event()
        self.aborted = threading.Event()
        self.calls = []

    def _enter(self, verb):
        self.calls.append(verb)
        if verb == self.verb:
            self.asleep.set()
            self.free.wait(SOON_S)
            if self.failure is not None:
                raise self.failure

    def recover(self, epoch, token):
        pass

    def write(self, batches):
        self._enter("write")

    def prepare(self, epoch):
        self._enter("prepare")
        return {}

    def commit(self, epoch, token):
        self._enter("commit")

    def close(self):
        self._enter("close")

    def abort(self, error):
        self.calls.append("abort")
        self.error = error
        self.aborted.set()


class Scripted(Source):
    """Hands out rows, then waits for a signal, then fails, sleeps on or ends.

    pause: after how many rows to wait for what.
    """

    live = True
    replayable = True
    name = "scripted"

    def __init__(self, then, signal=None, rows=20, pause=None):
        self.then, self.signal, self.rows, self.pause = then, signal, rows, pause
        self.asleep, self.closed = threading.Event(), threading.Event()

    def schema(self):
        return Ticks().schema()

    def partitions(self):
        return ["0"]

    def open(self, columns, *, partition="0", position=None):
        return ScriptedPoller(self)


class ScriptedPoller(Poller):
    def __init__(self, source):
        self._source, self._at = source, 0

    def poll(self, timeout_s):
        source = self._source
        if self._at < source.rows:
            if source.pause is not None and self._at == source.pause[0]:
                source.pause[1].wait(SOON_S)
            self._at += 1
            step = pa.timestamp("us")
            return pa.record_batch(
                [
                    pa.array([self._at * 1000], step),
                    pa.array([self._at % 3]),
                    pa.array([self._at]),
                ],
                schema=source.schema(),
            )
        source.asleep.set()
        if source.signal is not None:
            source.signal.wait(SOON_S)
        if isinstance(source.then, BaseException):
            raise source.then
        self.ended = True
        return None

    def position(self):
        return self._at

    def close(self):
        self._source.closed.set()


def rows(source):
    return ps.Stream.from_source(source)


def failure_of(job):
    """The error of a job that must end by itself."""
    assert job._run.ended.wait(SOON_S), "the failure is not reported"
    assert job.status == "failed"
    with pytest.raises(Exception) as caught:  # noqa: PT011
        job.wait()
    assert caught.value is job.error
    return job.error


def notes(error):
    return "\n".join(getattr(error, "__notes__", []))


def test_a_failing_source_is_told_of_while_the_sink_sleeps(free):
    sink = SleepySink(free)
    source = Scripted(OSError("cable cut"), sink.asleep)
    job = rows(source).write_to(sink).start(name="fails")
    error = failure_of(job)
    assert isinstance(error, SourceError)
    assert "source 'scripted' failed" in str(error)
    assert error.operator == "scripted"
    assert "'fails-sink' (inside write of sleepy)" in notes(error)
    assert threads() == ["fails-sink"]
    free.set()
    assert sink.aborted.wait(SOON_S)
    assert sink.error is error
    assert sink.calls[-1] == "abort"


def test_a_source_that_fails_while_the_queue_of_the_sink_is_full(free):
    sink = SleepySink(free)
    source = Scripted(OSError("cable cut"), sink.asleep, rows=40)
    error = failure_of(rows(source).write_to(sink).start(name="fails"))
    assert isinstance(error, SourceError)
    assert "cable cut" in str(error)


def test_rows_before_a_failure_reach_a_sink_that_is_only_slow(free):
    free.set()
    taken = []

    class Slow(SleepySink):
        def write(self, batches):
            threading.Event().wait(0.01)
            taken.append(batches.num_rows)

    source = Scripted(OSError("cable cut"), rows=300)
    failure_of(rows(source).write_to(Slow(free)).start(name="fails"))
    assert sum(taken) == 300


@pytest.mark.parametrize("verb", ["write", "prepare", "commit", "close"])
def test_a_failing_sink_is_told_of_while_a_poller_sleeps(free, verb):
    source = Scripted(None, free)
    sink = SleepySink(source.asleep, verb, OSError("disk gone"))
    if verb != "write":
        source.signal = None  # the other calls come at the end of the input
    error = failure_of(rows(source).write_to(sink).start(name="fails"))
    assert isinstance(error, SinkError)
    assert "sleepy failed" in str(error)
    assert "disk gone" in str(error)
    assert sink.aborted.is_set()
    if verb == "write":
        assert "'fails-source-0' (inside a source)" in notes(error)
        assert threads() == ["fails-source-0"]
        free.set()
        assert source.closed.wait(SOON_S)
    else:
        assert threads() == []


def test_a_failing_sink_is_told_of_while_a_pulled_source_sleeps(free):
    pulled = threading.Event()
    sink = SleepySink(pulled, "write", OSError("disk gone"))
    schema = pa.schema([("x", pa.int64())])

    def batches():
        yield pa.record_batch([pa.array(range(100_000))], schema=schema)
        pulled.set()
        free.wait(SOON_S)

    reader = pa.RecordBatchReader.from_batches(schema, batches())
    job = ps.read_arrow(reader).write_to(sink).start(name="fails")
    error = failure_of(job)
    assert isinstance(error, SinkError)
    assert "'fails-driver' (inside a source or a Python function)" in notes(error)
    assert sink.aborted.wait(SOON_S)


@pytest.mark.parametrize("parallelism", [1, 2])
def test_a_failing_operator_is_told_of_while_source_and_sink_sleep(free, parallelism):
    sink = SleepySink(free)
    source = Scripted(None, free, pause=(7, sink.asleep))  # a product of the eighth is too large
    stream = rows(source).with_event_time("t").group_by("k").window(ps.tumbling("3ms"))
    grown = stream.agg(s=ps.sum("x")).select("k", s=ps.col("s") * 2**60)
    error = failure_of(grown.write_to(sink).start(name="fails", parallelism=parallelism))
    assert "does not fit int64" in str(error)
    assert error.operator == "project"


def test_a_failing_python_stage_is_told_of_while_source_and_sink_sleep(free):
    sink = SleepySink(free)
    source = Scripted(None, free, pause=(1, sink.asleep))

    def fail(batch):
        if sink.asleep.is_set():
            raise ValueError("not this one")
        return batch

    stream = rows(source).map_batches(fail, schema=source.schema())
    error = failure_of(stream.write_to(sink).start(name="fails"))
    assert "map_batches" in str(error)
    assert "not this one" in str(error)


def test_a_failing_checkpoint_is_told_of_and_the_lease_is_kept_by_a_sink_that_sleeps(
    free, tmp_path
):
    sink, storage = SleepySink(free), Disk(tmp_path)
    source = Scripted(None, free, rows=300)
    options = {"checkpoint": storage, "name": "fails"}
    job = query(source).write_to(sink).start(checkpoint_every="1h", **options)
    assert sink.asleep.wait(SOON_S)
    storage.full = True
    job._run.checkpointer.request()
    error = failure_of(job)
    assert isinstance(error, CheckpointError)
    assert "No space left" in str(error)
    assert "lease is not given back" in notes(error)
    assert "no epoch was decided" in notes(error)
    storage.full = False
    with pytest.raises(LeaseHeldError):
        query(source).write_to(Ledger()).start(**options)


def test_a_poller_that_sleeps_does_not_keep_the_lease(free, tmp_path):
    source = Scripted(None, free)
    sink = SleepySink(source.asleep, "write", OSError("disk gone"))
    job = rows(source).write_to(sink).start(checkpoint=tmp_path, name="fails")
    assert "lease" not in notes(failure_of(job))
    ledger = Ledger()
    rows(Scripted(None)).write_to(ledger).start(checkpoint=tmp_path, name="fails").wait()
    assert len(ledger.committed) == 20


def test_a_lost_lease_is_told_of_while_source_and_sink_sleep(free, tmp_path):
    sink = SleepySink(free)
    job = rows(Scripted(None, free)).write_to(sink).start(checkpoint=tmp_path, name="fails")
    assert sink.asleep.wait(SOON_S)
    lease = tmp_path / "lease.json"
    record = decode(lease.read_bytes(), "lease.json")
    lease.write_bytes(encode({**record, "owner": "another", "generation": 2}))
    job._run.checkpointer._renew_s = 0.0
    error = failure_of(job)
    assert isinstance(error, FencedError)


def test_a_storage_that_sleeps_does_not_hold_up_a_failing_sink(free, tmp_path):
    writing = threading.Event()

    class Asleep(Disk):
        def open_output(self, name):
            writing.set()
            free.wait(SOON_S)
            return super().open_output(name)

    sink = SleepySink(writing, "write", OSError("disk gone"))
    source = Ticks(gate=lambda: 1_000)
    job = (
        query(source)
        .write_to(sink)
        .start(checkpoint=Asleep(tmp_path), checkpoint_every="1ms", name="fails")
    )
    error = failure_of(job)
    assert isinstance(error, SinkError)
    assert "'fails-checkpoint' (writing a checkpoint)" in notes(error)
    assert "lease is not given back" in notes(error)


def test_the_first_of_two_failures_is_the_one(free):
    sink = SleepySink(free, "write", OSError("disk gone"))
    job = rows(Scripted(OSError("cable cut"), sink.asleep)).write_to(sink).start(name="fails")
    error = failure_of(job)
    free.set()
    assert sink.aborted.wait(SOON_S)
    assert isinstance(job.error, SourceError)
    assert sink.error is error


def test_stop_does_not_wait_for_a_poller_that_sleeps(free):
    taken = []
    source = Scripted(None, free)
    job = rows(source).for_each(lambda batch: taken.append(batch.num_rows)).start(name="fails")
    assert source.asleep.wait(SOON_S)
    with pytest.warns(RuntimeWarning, match="left behind fails-source-0"):
        job.stop(SOON_S)
    assert job.status == "stopped"
    free.set()
    assert source.closed.wait(SOON_S)


def test_cancel_does_not_wait_for_a_sink_that_sleeps(free):
    sink = SleepySink(free)
    job = rows(Scripted(None, free, rows=40)).write_to(sink).start(name="fails")
    assert sink.asleep.wait(SOON_S)
    job.cancel()
    assert job._run.ended.wait(SOON_S)
    assert job.status == "cancelled"
    free.set()
    assert sink.aborted.wait(SOON_S)
    assert sink.calls.count("write") == 1


def test_cancel_does_not_wait_for_a_pulled_source_that_sleeps(free):
    asleep = threading.Event()

    def batches():
        yield pa.record_batch({"x": [1]})
        asleep.set()
        free.wait(SOON_S)

    job = ps.read_arrow(batches()).write_to(SleepySink(free, "none")).start(name="fails")
    assert asleep.wait(SOON_S)
    job.cancel()
    assert (job.status, free.is_set()) == ("cancelled", False)
    [note] = job.error.__notes__
    assert "thread 'fails-driver' (inside a source or a Python function)" in note


def test_ctrl_c_in_wait_gives_the_lease_back(free, tmp_path, monkeypatch):
    source = Scripted(None, free)
    job = rows(source).write_to(Ledger()).start(checkpoint=tmp_path, name="fails")
    assert source.asleep.wait(SOON_S)

    def interrupted(timeout):
        monkeypatch.undo()
        monkeypatch.setattr(run_module, "_PATIENCE_S", 0.2)
        raise KeyboardInterrupt

    monkeypatch.setattr(job._run.ended, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        job.wait()
    assert job._run.ended.wait(SOON_S)
    assert job.status == "cancelled"
    ledger = Ledger()
    rows(Scripted(None)).write_to(ledger).start(checkpoint=tmp_path, name="fails").wait()
    assert len(ledger.committed) == 20


def test_metrics_say_that_the_sink_holds_up_the_job(free):
    sink = SleepySink(free)
    table = pa.table({"x": range(3_000_000)})  # 24 MB, of which 8 may wait
    with ps.read_arrow(table).write_to(sink).start(name="fails") as job:
        assert sink.asleep.wait(SOON_S)
        until = time.monotonic() + SOON_S
        metrics = job.metrics()
        while not (metrics.bottleneck or "").startswith("sink-bound"):
            assert job.wait(0.01) is False
            assert time.monotonic() < until, metrics.bottleneck
            metrics = job.metrics()
        free.set()
        job.wait()
    assert metrics.bottleneck.startswith("sink-bound: sink sleepy is busy ")
    assert metrics.bottleneck in repr(metrics)
    assert metrics.sink_held_s > 0
    assert metrics.sink_busy_s > 0
    assert metrics.sink_waiting_bytes >= 8 << 20


def test_metrics_tell_of_checkpoints(tmp_path):
    job = rows(Scripted(None)).write_to(Ledger()).start(checkpoint=tmp_path, name="fails")
    job.wait()
    assert job.metrics().epoch == job.epoch >= 1
    assert job.metrics().checkpoint_s >= 0


def test_a_failed_job_is_collected():
    def fail(_):
        raise OSError("broken")

    stream = ps.read_arrow(pa.table({"n": [1, 2, 3]}))
    job = stream.for_each(fail).start(name="fails")
    with pytest.raises(StageError, match="broken"):
        job.wait()
    for thread in threading.enumerate():
        if thread.name.startswith("fails-"):
            thread.join(SOON_S)
    gone = weakref.ref(job)
    del job
    gc.collect()
    assert gone() is None
