"""Jobs with checkpoints: what a run that was cut off leaves, the next one goes on from."""

import errno
import itertools
import os
import threading

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import pystream as ps
from pystream.checkpoint import CheckpointStore, Lease
from pystream.connectors.base import Poller, Sink, Source
from pystream.errors import CheckpointError, InvalidError, SinkError
from pystream.runtime.driver import Driver
from pystream.storage import LocalStorage

KEYS = 7


class Ledger(Sink):
    """Rows in memory that outlive a job; fails when told to."""

    name = "ledger"
    guarantee = "exactly-once"

    def __init__(self):
        self.committed = []
        self.epoch = 0
        self.staged = {}
        self.open_rows = []
        self.fail_at = None  # (verb, how many calls from now)

    def _maybe_fail(self, verb):
        if self.fail_at is not None and self.fail_at[0] == verb:
            left = self.fail_at[1] - 1
            self.fail_at = (verb, left)
            if left < 0:
                self.fail_at = None
                raise OSError(f"{verb} refused")

    def recover(self, epoch, token):
        self.open_rows = []
        if epoch and epoch > self.epoch:
            self.commit(epoch, token)
        self.staged = {}

    def write(self, batches):
        self._maybe_fail("write")
        self.open_rows += pa.table(batches).to_pylist()

    def prepare(self, epoch):
        self._maybe_fail("prepare")
        self.staged[epoch], self.open_rows = self.open_rows, []
        return {"rows": len(self.staged[epoch])}

    def commit(self, epoch, token):
        self._maybe_fail("commit")
        if epoch <= self.epoch:
            return
        rows = self.staged.pop(epoch)
        assert len(rows) == token["rows"]
        self.committed += rows
        self.epoch = epoch


class Ticks(Source):
    """Partitions whose rows come when a test lets them; row i of a partition is known."""

    live = True
    replayable = True

    def __init__(self, name="ticks", partitions=3, total=5000, gate=None):
        self.name = name
        self.total = total
        self.gate = gate
        self.told = []
        self._partitions = [str(i) for i in range(partitions)]

    def schema(self):
        return pa.schema([("t", pa.timestamp("us")), ("k", pa.int64()), ("x", pa.int64())])

    def partitions(self):
        return self._partitions

    def open(self, columns, *, partition="0", position=None):
        return TickPoller(self, int(partition), 0 if position is None else position)

    def committed(self, positions):
        self.told.append(dict(positions))


def tick_batch(partition, start, count, schema):
    rows = range(start, start + count)
    columns = [
        pa.array([r * 1000 + partition for r in rows], pa.timestamp("us")),
        pa.array([(r * 31 + partition) % KEYS for r in rows]),
        pa.array([r + partition for r in rows]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class TickPoller(Poller):
    def __init__(self, source, partition, at):
        self._source, self._partition, self._at = source, partition, at

    def poll(self, timeout_s):
        source = self._source
        limit = source.total if source.gate is None else min(source.total, source.gate())
        count = min(50, limit - self._at)
        if count <= 0:
            self.ended = self._at >= source.total
            if not self.ended:
                threading.Event().wait(min(timeout_s, 0.002))
            return None
        batch = tick_batch(self._partition, self._at, count, source.schema())
        self._at += count
        return batch

    def position(self):
        return self._at


def query(source):
    stream = ps.Stream.from_source(source).with_event_time("t", out_of_orderness="1ms")
    return stream.group_by("k").window(ps.tumbling("100ms")).agg(n=ps.count(), s=ps.sum("x"))


def expected(partitions=3, total=5000):
    rows = pa.Table.from_batches(
        [tick_batch(p, 0, total, Ticks().schema()) for p in range(partitions)]
    )
    stream = ps.read_arrow(rows).with_event_time("t", out_of_orderness="1h")
    result = stream.group_by("k").window(ps.tumbling("100ms")).agg(n=ps.count(), s=ps.sum("x"))
    return ordered(result.collect().to_pylist())


def ordered(rows):
    return sorted(rows, key=lambda row: (row["window_start"], row["k"]))


def test_a_run_with_checkpoints_gives_what_one_without_gives(tmp_path):
    ledger = Ledger()
    job = (
        query(Ticks())
        .write_to(ledger)
        .start(checkpoint=tmp_path, checkpoint_every="5ms", name="plain")
    )
    job.wait()
    assert job.status == "finished"
    assert ordered(ledger.committed) == expected()
    assert ledger.epoch == job.epoch >= 1


@pytest.mark.parametrize("verb", ["write", "prepare", "commit"])
@pytest.mark.parametrize("parallelism", [1, 3])
def test_a_failed_run_goes_on_where_it_was(tmp_path, verb, parallelism):
    ledger = Ledger()
    failures = 0
    for attempt in range(40):
        ledger.fail_at = (verb, attempt % 3) if attempt < 6 else None
        pipeline = query(Ticks()).write_to(ledger)
        try:
            job = pipeline.start(
                checkpoint=tmp_path,
                checkpoint_every="5ms",
                parallelism=(parallelism + attempt - 1) % 3 + 1,
                name="restarted",
            )
            job.wait()
            break
        except SinkError:
            failures += 1
    assert job.status == "finished"
    assert failures >= 1
    assert ordered(ledger.committed) == expected()


def test_a_finished_job_has_nothing_more_to_do(tmp_path):
    ledger = Ledger()
    for _ in range(2):
        job = query(Ticks()).write_to(ledger).start(checkpoint=tmp_path, name="over")
        job.wait()
        assert job.status == "finished"
    assert ordered(ledger.committed) == expected()
    assert job.metrics().rows_in == 0


def test_stop_ends_behind_a_checkpoint_and_open_windows_stay_open(tmp_path):
    gate = threading.Event()
    ledger = Ledger()
    source = Ticks(gate=lambda: 5000 if gate.is_set() else 1777)
    job = query(source).write_to(ledger).start(checkpoint=tmp_path, name="stopped")
    while job.metrics().rows_in < 3 * 1777:
        assert job.wait(0.01) is False
    job.stop()
    assert job.status == "stopped"
    done = len(ledger.committed)
    assert 0 < done < len(expected())
    assert source.told[-1] == {"0": 1777, "1": 1777, "2": 1777}
    gate.set()
    query(source).write_to(ledger).start(checkpoint=tmp_path, name="stopped").wait()
    assert ordered(ledger.committed) == expected()


def test_a_savepoint_and_an_older_epoch_can_be_gone_back_to(tmp_path):
    gate = [1000]
    source = Ticks(gate=lambda: gate[0])
    ledger = Ledger()
    with (
        query(source)
        .write_to(ledger)
        .start(checkpoint=tmp_path, checkpoint_every="1h", name="saved") as job
    ):
        while job.metrics().rows_in < 3000:
            assert job.wait(0.01) is False
        assert job.savepoint("first") == 1
        gate[0] = 2000
        while job.metrics().rows_in < 6000:
            assert job.wait(0.01) is False
        assert job.checkpoint() == 2
    gate[0] = 5000
    again = Ledger()
    again.epoch = ledger.epoch
    with pytest.warns(RuntimeWarning, match="ledger does not tell whether it has rows behind"):
        job = (
            query(source).write_to(again).start(checkpoint=tmp_path, name="saved", restore="first")
        )
    job.wait()
    before = [row for row in ledger.committed if row not in again.committed]
    assert ordered(before + again.committed) == expected()


def test_a_savepoint_that_cannot_have_its_name_is_refused_and_the_job_goes_on(tmp_path):
    gate = threading.Event()
    job = (
        query(Ticks(gate=lambda: 5000 if gate.is_set() else 1000))
        .write_to(Ledger())
        .start(checkpoint=tmp_path, checkpoint_every="1h", name="named")
    )
    with job:
        for name in ("a/b", "..", "", "12", "latest", "none", 5, "x" * 101):
            with pytest.raises(InvalidError, match="a savepoint's name is up to 100 letters"):
                job.savepoint(name)
        assert job.savepoint("kept") == 1
        with pytest.raises(CheckpointError, match="there is a savepoint 'kept' at"):
            job.savepoint("kept")
        assert job.status == "running"
        assert job.checkpoint() == 2
        gate.set()
        job.wait()


def test_savepoints_that_wait_when_the_input_ends_are_all_made(tmp_path):
    more, go_on = threading.Event(), threading.Event()

    class Slow(Ledger):
        def prepare(self, epoch):
            go_on.wait()
            return super().prepare(epoch)

    ticks = ps.Stream.from_source(Ticks(gate=lambda: 5000 if more.is_set() else 1000))
    totals = ticks.group_by("k").agg(n=ps.count()).write_to(Slow())
    job = totals.start(checkpoint=tmp_path, checkpoint_every="1h", name="ending")
    with job:
        checkpointer = job._run.checkpointer
        asked = [checkpointer.request(savepoint=name) for name in (None, "a", "b")]
        with pytest.raises(CheckpointError, match="savepoint 'b' is being made already"):
            checkpointer.request(savepoint="b")
        more.set()
        while not job._run.driver.done:
            assert job.wait(0.01) is False
        go_on.set()
        job.wait()
    assert all(epoch.committed.is_set() for epoch in asked)
    assert job.epoch == 2
    assert CheckpointStore(LocalStorage(tmp_path), job="ending").savepoints() == ["a", "b"]


def test_a_barrier_does_not_wait_for_the_rows_of_a_budget(tmp_path):
    decided = threading.Event()

    def batches():
        for n in itertools.count():
            yield pa.record_batch({"x": [n]})
            if decided.wait(0.01):
                return

    stream = ps.read_arrow(batches(), name="slow").agg(n=ps.count())
    with stream.write_to(Ledger()).start(checkpoint=tmp_path, checkpoint_every="1h") as job:
        assert job.checkpoint(timeout=30) == 1
        decided.set()
        job.wait()


def test_a_barrier_does_not_wait_for_a_generator_that_sleeps(tmp_path):
    decided = threading.Event()

    def rows():
        yield {"x": 1}
        assert decided.wait(30)
        yield {"x": 2}

    ledger = Ledger()
    stream = ps.from_generator(rows, schema={"x": int}, flush_interval="1h")
    with stream.write_to(ledger).start(checkpoint=tmp_path, checkpoint_every="1h") as job:
        assert job.checkpoint(timeout=30) == 1
        decided.set()
        job.wait()
    assert ledger.committed == [{"x": 1}, {"x": 2}]


@pytest.mark.parametrize("restore", [None, True, 1.5, ["latest"]])
def test_what_restore_cannot_be(tmp_path, restore):
    pipeline = ps.read_arrow(pa.table({"x": [1]})).for_each(print)
    with pytest.raises(
        InvalidError, match="restore is 'latest', 'none', the number of an epoch or"
    ):
        pipeline.start(checkpoint=tmp_path, restore=restore)


def test_a_source_that_cannot_be_read_again_is_told_beside_state_that_goes_on(tmp_path):
    lines = ps.from_generator(lambda: [{"x": 1}], schema={"x": int}, name="wire").write_to(Ledger())
    text = str(lines.explain(checkpoint=tmp_path))
    assert (
        "Guarantee    within one run: every row of the sources counts once in a run that suc"
        in text
    )
    assert "state goes on from the last checkpoint and the sources with what they give then" in text
    assert "source 'wire' cannot be read again from a position" in text
    assert "again from the beginning" not in text
    assert "a failed run starts again from the beginning" in str(lines.explain())


def test_what_cannot_be_exactly_once_is_refused(tmp_path):
    lines = ps.from_generator(lambda: [{"x": 1}], schema={"x": int}, name="wire")
    with pytest.raises(InvalidError, match="source 'wire' cannot be read again"):
        lines.write_to(Ledger()).start(checkpoint=tmp_path, guarantee="exactly-once")
    table = ps.read_arrow(pa.table({"x": [1]}))
    with pytest.raises(InvalidError, match=r"only at-least-once: for_each .* cannot take back"):
        table.for_each(print).start(checkpoint=tmp_path, guarantee="exactly-once")
    with pytest.raises(InvalidError, match=r"start it with checkpoint="):
        table.write_to(Ledger()).start(guarantee="exactly-once")
    with pytest.raises(InvalidError, match="must be one of exactly-once, at-least-once"):
        table.write_to(Ledger()).start(guarantee="twice")
    job = table.write_to(Ledger()).start(checkpoint=tmp_path, guarantee="exactly-once")
    job.wait()
    assert job.guarantee.level == "exactly-once"


def test_python_stages_pass_barriers_on(tmp_path):
    ledger = Ledger()
    attempts = 0

    def doubled(batch):
        return batch.set_column(2, "x", pa.compute.multiply(batch["x"], 2))

    stream = ps.Stream.from_source(Ticks()).map_batches(doubled)
    stream = stream.with_event_time("t", out_of_orderness="1h").group_by("k")
    stream = stream.window(ps.tumbling("100ms")).agg(n=ps.count(), s=ps.sum("x"))
    job = None
    while job is None or job.status != "finished":
        ledger.fail_at = ("commit", 0) if attempts < 3 else None
        try:
            job = stream.write_to(ledger).start(
                checkpoint=tmp_path, checkpoint_every="5ms", parallelism=2, name="staged"
            )
            job.wait()
        except SinkError:
            attempts += 1
    assert attempts >= 1
    wanted = [{**row, "s": row["s"] * 2} for row in expected()]
    assert ordered(ledger.committed) == wanted


class Disk(LocalStorage):
    """A local directory on a disk that can be full."""

    full = False

    def _need_room(self):
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def open_output(self, name):
        self._need_room()
        return super().open_output(name)

    def create(self, name, data):
        self._need_room()
        return super().create(name, data)

    def replace(self, name, data, version):
        self._need_room()
        return super().replace(name, data, version)


class SmallDisk(Disk):
    """A disk with room for so many files of state."""

    room = 2

    def open_output(self, name):
        self.full = self.room == 0
        self.room -= 1
        return super().open_output(name)


def test_what_a_full_disk_has_of_a_checkpoint_is_taken_away(tmp_path):
    job = (
        query(Ticks(gate=lambda: 1000))
        .write_to(Ledger())
        .start(checkpoint=SmallDisk(tmp_path), checkpoint_every="1h", name="small")
    )
    with job, pytest.raises(CheckpointError, match="No space left on device"):
        job.checkpoint()
    job.cancel()
    assert os.listdir(tmp_path / "state") == []


def test_a_full_disk_ends_the_job_and_says_what_was_committed(tmp_path):
    gate = [1000]
    ledger, storage = Ledger(), Disk(tmp_path)
    source = Ticks(gate=lambda: gate[0])
    with (
        query(source)
        .write_to(ledger)
        .start(checkpoint=storage, checkpoint_every="1h", name="full") as job
    ):
        while job.metrics().rows_in < 3000:
            assert job.wait(0.01) is False
        assert job.checkpoint() == 1
        storage.full = True
        with pytest.raises(CheckpointError, match="No space left on device") as failed:
            job.checkpoint()
        with pytest.raises(CheckpointError):
            job.wait()
    assert job.status == "failed"
    assert any("epoch 1 is the last that was decided" in n for n in failed.value.__notes__)
    storage.full = False
    gate[0] = 5000
    query(source).write_to(ledger).start(checkpoint=storage, name="full").wait()
    assert ordered(ledger.committed) == expected()


def test_a_job_that_cannot_let_go_ends_as_failed_and_does_not_hang(tmp_path, monkeypatch):
    def release(lease):
        inner(lease)
        raise RuntimeError("the hand is stuck")

    inner = Lease.release
    monkeypatch.setattr(Lease, "release", release)
    job = query(Ticks()).write_to(Ledger()).start(checkpoint=tmp_path, name="stuck")
    with pytest.raises(RuntimeError, match="the hand is stuck"):
        job.wait()
    assert job.status == "failed"


def changed(source, **aggregates):
    stream = ps.Stream.from_source(source).with_event_time("t", out_of_orderness="1ms")
    return stream.group_by("k").window(ps.tumbling("100ms")).agg(**aggregates)


def test_state_follows_a_change_of_the_query_or_refuses_it(tmp_path):
    gate = [1777]
    source = Ticks(gate=lambda: gate[0])
    ledger = Ledger()
    job = query(source).write_to(ledger).start(checkpoint=tmp_path, name="changed")
    while job.metrics().rows_in < 3 * 1777:
        assert job.wait(0.01) is False
    job.stop()
    other = ps.Stream.from_source(source).with_event_time("t").group_by("x")
    other = other.window(ps.tumbling("100ms")).agg(n=ps.count())
    with pytest.raises(CheckpointError, match=r"aggregate +refused +keys were k int64, are x"):
        other.write_to(Ledger()).start(checkpoint=tmp_path, name="changed")
    gate[0] = 5000
    wider = changed(source, n=ps.count(), top=ps.max("x"))  # without s
    wider.write_to(ledger).start(checkpoint=tmp_path, name="changed").wait()
    rows = ordered(ledger.committed)
    wanted = expected()
    assert [(r["k"], r["window_start"], r["n"]) for r in rows] == [
        (r["k"], r["window_start"], r["n"]) for r in wanted
    ]
    late = [row for row in rows if row["window_start"] == wanted[-1]["window_start"]]
    assert all(row["top"] is not None for row in late)


def test_rows_that_were_read_before_a_stop_still_count():
    stream = ps.Stream.from_source(Ticks(partitions=1)).agg(n=ps.count())
    driver = Driver(stream._node, threaded=False)
    driver.open()
    for _ in range(4):
        driver.pumps[0].step(0.0)
    driver.stop()
    while not driver.done:
        driver.step(0)
    assert pa.table(driver.results)["n"].to_pylist() == [200]
    driver.close()


def test_a_folder_goes_on_where_it_was_when_a_file_has_been_added(tmp_path):
    folder, ledger = tmp_path / "rows", Ledger()
    folder.mkdir()
    pq.write_table(pa.table({"x": range(50_000)}), folder / "a.parquet")
    slow = threading.Event()

    def slowly(batch):
        slow.wait(0.01)
        return batch

    def count(path):
        rows = ps.read_parquet(path, batch_rows=500).map_batches(slowly).agg(n=ps.count())
        return rows.write_to(ledger)

    job = count(folder).start(checkpoint=tmp_path / "state", name="grow", checkpoint_every="20ms")
    while job.epoch < 1:
        assert not job.wait(0.005)
    job.stop()
    assert 0 < job.metrics().rows_in < 50_000
    pq.write_table(pa.table({"x": range(1000)}), folder / "b.parquet")
    slow.set()
    count(f"{folder}/").start(checkpoint=tmp_path / "state", name="grow").wait()
    assert ledger.committed == [{"n": 51_000}]


def test_sources_are_called_as_they_are_told(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    pa.csv.write_csv(pa.table({"x": [1]}), tmp_path / "a.csv")
    with pa.ipc.new_file(tmp_path / "a.arrow", pa.schema([("x", pa.int64())])):
        pass
    ps.Topic(tmp_path / "topic", schema={"x": int}).close()
    reads = {
        ps.read_parquet: tmp_path / "a.parquet",
        ps.read_csv: [tmp_path / "a.csv"],
        ps.read_ipc: f"{tmp_path}/*.arrow",
        ps.read_topic: tmp_path / "topic",
    }
    for read, path in reads.items():
        first = path[0] if isinstance(path, list) else path
        whole = "topic topic" if read is ps.read_topic else str(first)
        assert read(path)._node.source.name == whole
        assert read(path, name="mine")._node.source.name == "mine"
