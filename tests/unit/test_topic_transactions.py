"""Topic to topic exactly once: epochs staged, committed, done again, and lost in between."""

import datetime
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import pystream as ps
from pystream._native.arrow import Batch, BatchList, Memory
from pystream.connectors.base import Poller, Reader, SinkContext
from pystream.connectors.topic import TopicSink, TopicSource
from pystream.errors import (
    CorruptDataError,
    InvalidError,
    OffsetError,
    SchemaError,
    SinkError,
    SourceError,
    TopicError,
)
from pystream.plan.schema import Schema
from pystream.storage import LocalStorage
from pystream.testing import check_sink

PARTS = [f"pystream.topic.{name}" for name in ("topic", "writer", "transaction", "scan", "files")]


@pytest.fixture
def topic(tmp_path):
    with ps.Topic(tmp_path / "t", schema={"n": int}, partitions=3, key="n") as opened:
        yield opened


def rows(start, stop):
    return pa.record_batch({"n": pa.array(range(start, stop), pa.int64())})


def found(topic):
    return sorted(topic.to_table()["n"].to_pylist())


# ---- transactions


def test_rows_are_visible_when_their_epoch_is_committed(topic):
    writer = topic.transaction("job")
    writer.recover(0)
    writer.write(rows(0, 10))
    first = writer.prepare(1)
    writer.write(rows(10, 20))
    assert found(topic) == []
    writer.commit(1, first)
    assert found(topic) == list(range(10))
    second = writer.prepare(2)
    writer.commit(2, second)
    writer.commit(2, second)
    writer.commit(1, first)
    assert found(topic) == list(range(20))
    assert writer.recorded() == 2
    assert os.listdir(os.path.join(topic.path, "staging/job")) == []
    writer.close()


def test_tokens_are_json_and_carry_epochs_that_were_not_committed(topic):
    writer = topic.transaction("job")
    writer.write(rows(0, 10))
    writer.prepare(1)
    writer.write(rows(10, 20))
    token = json.loads(json.dumps(writer.prepare(2)))
    again = topic.transaction("job")
    again.recover(2, token)
    assert found(topic) == list(range(20))


def test_recovery_finishes_the_decided_epoch_and_forgets_later_ones(topic):
    writer = topic.transaction("job")
    writer.write(rows(0, 10))
    token = writer.prepare(1)
    writer.write(rows(10, 20))
    writer.prepare(2)
    writer.write(pa.table({"n": range(20, 400_000)}))  # enough to have begun a file
    again = topic.transaction("job")
    again.recover(1, token)
    assert found(topic) == list(range(10))
    assert os.listdir(os.path.join(topic.path, "staging/job")) == []
    again.write(rows(10, 15))
    again.commit(2, again.prepare(2))
    assert found(topic) == list(range(15))
    with pytest.raises((OSError, TopicError)):  # the first one wakes up: its files are gone
        writer.prepare(3)


def test_an_epoch_that_reached_some_partitions_is_finished(topic):
    writer = topic.transaction("job")
    writer.write(rows(0, 100))
    token = writer.prepare(1)
    piece = token["pieces"][0]
    assert sorted(piece["rows"]) == ["0", "1", "2"]
    part = {**piece, "rows": {"1": piece["rows"]["1"]}}
    path = os.path.join(topic.path, "staging/job", piece["file"])
    with pytest.raises(CorruptDataError, match="holds epoch 1 with rows"):
        writer.commit(1, {"pieces": [part]})
    from pystream.topic.transaction import _open_staged

    with _open_staged(path, piece) as frames:
        topic.append_frames({1: frames[1]}, writer._id, 1)
    assert len(topic) == piece["rows"]["1"]
    writer.commit(1, token)
    assert found(topic) == list(range(100))
    assert not os.path.exists(path)
    writer.commit(1, token)  # without its file, which is no longer needed


def test_two_that_commit_the_same_epoch_at_once(topic):
    """Both have found it missing; the partition itself takes it once."""
    frames = topic.encode(rows(0, 5))
    assert topic.append_frames({0: frames}, b"p" * 16, 1) == {0: range(0, 5)}
    assert topic.append_frames({0: frames}, b"p" * 16, 1) == {}
    assert topic.append_frames({0: frames, 1: frames}, b"p" * 16, 1) == {1: range(0, 5)}
    assert topic.append_frames({0: frames}, b"q" * 16, 1) == {0: range(5, 10)}


def test_producers_do_not_see_each_other(topic):
    for name in ("a", "b/../c", "é"):
        writer = topic.transaction(name)
        writer.write(rows(0, 5))
        writer.commit(1, writer.prepare(1))
    assert len(topic) == 15


def test_a_topic_ahead_of_the_epoch_to_recover(topic):
    writer = topic.transaction("job")
    writer.write(rows(0, 5))
    writer.commit(3, writer.prepare(3))
    with pytest.raises(TopicError, match="up to epoch 3, but epoch 2 is to be recovered"):
        topic.transaction("job").recover(2)


def test_a_staging_file_that_is_lost_or_damaged(topic):
    writer = topic.transaction("job")
    writer.write(rows(0, 5))
    token = writer.prepare(1)
    path = os.path.join(topic.path, "staging/job", token["pieces"][0]["file"])
    data = bytearray(Path(path).read_bytes())
    data[700] ^= 1
    with open(path, "wb") as file:
        file.write(data)
    with pytest.raises(CorruptDataError, match="staging/job"):
        topic.transaction("job").recover(1, token)
    os.unlink(path)
    with pytest.raises(TopicError, match=r"is gone, and partitions .* is lost"):
        topic.transaction("job").recover(1, token)
    assert len(topic) == 0


def broken_disk(descriptor):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_an_epoch_that_cannot_be_staged_leaves_no_file(topic, monkeypatch):
    writer = topic.transaction("job")
    writer.write(rows(0, 5))
    monkeypatch.setattr("pystream.topic.transaction.sync_data", broken_disk)
    with pytest.raises(TopicError, match="Input/output error"):
        writer.prepare(1)
    writer.close()
    assert os.listdir(os.path.join(topic.path, "staging/job")) == []


def test_the_state_of_producers_outlives_segments_and_their_retention(tmp_path):
    options = {"segment_bytes": "4KiB", "retention_bytes": "10KiB"}
    with ps.Topic(tmp_path / "t", schema={"n": int}, **options) as topic:
        writer = topic.transaction("job")
        writer.write(rows(0, 5))
        token = writer.prepare(7)
        writer.commit(7, token)
        for n in range(100):
            topic.append(rows(n, n + 1))
        assert topic.earliest()[0] > 10
        writer.commit(7, token)
        assert topic.end()[0] == 105
    with ps.Topic(tmp_path / "t") as topic:
        assert topic.transaction("job").recorded() == 7
    (tmp_path / "t/head").unlink()
    with ps.Topic(tmp_path / "t") as topic:
        assert topic.transaction("job").recorded() == 7


def test_another_process_sees_the_epochs(topic):
    with ps.Topic(topic.path) as other:
        one, two = topic.transaction("job"), other.transaction("job")
        for epoch in range(1, 6):
            writer = (one, two)[epoch % 2]
            writer.write(rows(10 * epoch, 10 * epoch + 10))
            token = writer.prepare(epoch)
            writer.commit(epoch, token)
            (two, one)[epoch % 2].commit(epoch, token)
            assert one.recorded() == two.recorded() == epoch
    assert found(topic) == list(range(10, 60))


# ---- sink


def topic_rows(place):
    if not (place / "out/topic.json").exists():
        return []
    with ps.Topic(place / "out") as topic:
        return topic.to_table().to_pylist()


@pytest.fixture
def in_memory(monkeypatch):
    """Thousands of fsyncs of a disk are nothing that these tests are about."""
    if os.path.isdir("/dev/shm"):
        monkeypatch.setattr("tempfile.tempdir", "/dev/shm")


@pytest.mark.parametrize("options", [{"partitions": 2, "by": "id"}, {"segment_bytes": "1KiB"}])
def test_a_sink_that_dies_at_any_line(in_memory, options):
    report = check_sink(
        lambda place: TopicSink(place / "out", **options), topic_rows, crashes=120, modules=PARTS
    )
    assert report.points > 1_000


@pytest.mark.slow
def test_a_sink_that_dies_at_every_line(in_memory):
    check_sink(
        lambda place: TopicSink(place / "out", partitions=2, by="id", segment_bytes="1KiB"),
        topic_rows,
        modules=PARTS,
    )


MEMORY = Memory()


def batch_list(batch):
    batches = BatchList(MEMORY, Schema.of(batch.schema))
    batches.append(Batch.from_arrow(batch, MEMORY))
    return batches


def test_without_checkpoints_rows_are_visible_at_once(tmp_path):
    sink = TopicSink(tmp_path / "t", partitions=2)
    sink.open(Schema.of(rows(0, 1).schema), SinkContext("job"))
    sink.recover(0, None)
    sink.write(batch_list(rows(0, 5)))
    with ps.Topic(tmp_path / "t") as topic:
        assert found(topic) == list(range(5))
        sink.commit(1, sink.prepare(1))
        sink.close()
        assert found(topic) == list(range(5))


def test_a_sink_that_is_not_transactional(tmp_path):
    sink = TopicSink(tmp_path / "t", transactional=False)
    assert sink.guarantee == "at-least-once"
    assert TopicSink(tmp_path / "t").guarantee == "exactly-once"
    storage = LocalStorage(tmp_path / "state")
    sink.open(Schema.of(rows(0, 1).schema), SinkContext("job", storage))
    sink.write(batch_list(rows(0, 5)))
    sink.abort(ValueError("stop"))
    with ps.Topic(tmp_path / "t") as topic:
        assert found(topic) == list(range(5))


def test_a_sink_with_another_schema(topic):
    sink = TopicSink(topic.path)
    with pytest.raises(SchemaError, match="column 'n' was int64, is string"):
        sink.open(Schema.of(pa.schema({"n": pa.string()})), SinkContext("job"))
    with pytest.raises(SchemaError, match="'m' was found"):
        TopicSink(topic).open(Schema.of(pa.schema({"m": pa.int64()})), SinkContext("job"))


def test_a_sink_that_restarts_from_an_older_checkpoint(topic, tmp_path):
    context = SinkContext("job", LocalStorage(tmp_path / "state"))
    schema = Schema.of(topic.schema)
    sink = TopicSink(topic)
    sink.open(schema, context)
    sink.recover(0, None)
    sink.write(batch_list(rows(0, 5)))
    sink.commit(1, sink.prepare(1))
    sink.close()
    again = TopicSink(topic)
    again.open(schema, context)
    with pytest.raises(SinkError, match="up to epoch 1, but the job starts from the beginning"):
        again.recover(0, None)
    assert found(topic) == list(range(5))  # the topic given is not the sink's to close


# Commits epochs one after the other, deciding each in a file; its rows follow from the epoch.
PRODUCER = """
import json, os, sys
import pyarrow as pa, pystream as ps

path, decided = sys.argv[1], sys.argv[2]
topic = ps.Topic(path, fsync="never", segment_bytes="200KiB")
writer = topic.transaction("job")
state = json.load(open(decided))
writer.recover(state["epoch"], state["token"])
while True:
    epoch, start = state["epoch"] + 1, state["rows"]
    count = 1 + (epoch * 7919) % 2_000
    for first in range(start, start + count, 300):
        last = min(first + 300, start + count)
        writer.write(pa.table({"n": range(first, last), "twice": range(2 * first, 2 * last, 2)}))
    state = {"epoch": epoch, "token": writer.prepare(epoch), "rows": start + count}
    with open(decided + ".new", "w") as file:
        json.dump(state, file)
    os.rename(decided + ".new", decided)
    writer.commit(epoch, state["token"])
    print(epoch, flush=True)
"""


def kill_producers(tmp_path, kills):
    random.seed(kills)
    path, decided = tmp_path / "t", tmp_path / "decided"
    schema = {"n": int, "twice": int}
    with ps.Topic(path, schema=schema, partitions=3, key="n"):
        decided.write_text(json.dumps({"epoch": 0, "token": None, "rows": 0}))
        for kill in range(kills):
            child = subprocess.Popen(
                [sys.executable, "-c", PRODUCER, str(path), str(decided)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(random.randrange(1, 12)):
                child.stdout.readline()
            os.kill(child.pid, signal.SIGKILL)
            child.stdout.close()
            child.wait()
            if kill % 5 == 4:
                (path / "head").unlink()
        state = json.loads(decided.read_text())
        with ps.Topic(path) as again:
            again.transaction("job").recover(state["epoch"], state["token"])
            table = again.to_table().sort_by("n")
    assert table["n"].to_pylist() == list(range(state["rows"]))
    assert table["twice"].to_pylist() == list(range(0, 2 * state["rows"], 2))
    assert state["epoch"] >= kills


def test_killed_producers(tmp_path):
    kill_producers(tmp_path, 6)


@pytest.mark.slow
def test_many_killed_producers(tmp_path):
    kill_producers(tmp_path, 150)


# ---- source


def poll_all(poller):
    return [n for batch in iter(lambda: poller.poll(0), None) for n in batch["n"].to_pylist()]


def test_a_source_has_the_topics_partitions_and_offsets_as_positions(topic):
    topic.append(rows(0, 100))
    source = TopicSource(topic)
    assert source.live
    assert source.replayable
    assert source.partitions() == ["0", "1", "2"]
    assert source.schema().names == ["n"]
    seen = []
    for partition in source.partitions():
        poller = source.open(None, partition=partition)
        assert isinstance(poller, Poller)
        assert poller.position() == source.position_at(0)
        values = poll_all(poller)
        end = json.loads(json.dumps(poller.position()))
        assert end == {"offset": len(values), "topic": topic.id}
        for position in (5, end | {"offset": 5}):
            again = source.open(None, partition=partition, position=position)
            assert poll_all(again) == values[5:]
            assert not again.ended
            again.close()
        poller.close()
        seen += values
    assert sorted(seen) == list(range(100))
    with pytest.raises(OffsetError, match="does not exist yet"):
        source.open(None, partition="0", position=1_000)
    for bad in ("x", {"offset": None}, {}):
        with pytest.raises(SourceError, match="a position has an offset and a topic"):
            source.open(None, partition="0", position=bad)


def test_a_topic_made_anew_does_not_go_on_at_the_offset_of_the_old_one(tmp_path):
    def read(size):
        shutil.rmtree(tmp_path / "t", ignore_errors=True)
        with ps.Topic(tmp_path / "t", schema={"n": int}) as topic:
            topic.append(rows(0, size))
        numbers = ps.read_topic(tmp_path / "t").write_sqlite(tmp_path / "db", "numbers")
        return numbers.start(checkpoint=tmp_path / "state", checkpoint_every="1h")

    with read(10) as job:
        while job.metrics().rows_in < 10:
            assert job.wait(0.01) is False
        job.stop()
    with (
        pytest.raises(
            SourceError, match=r"topic t: the topic at .* is not the one that was read up"
        ),
        read(20) as job,
    ):
        job.wait()


def test_a_source_that_does_not_follow_ends_where_the_topic_ended(topic):
    topic.append(rows(0, 100))
    source = TopicSource(topic.path, follow=False)
    assert not source.live
    assert source.estimated_rows() == 100
    reader = source.open(["n"], partition="1")
    topic.append(rows(100, 200))
    assert isinstance(reader, Reader)
    assert reader.position(3) == {"offset": 3, "topic": topic.id}
    reader.close()
    assert len(ps.read_topic(topic, follow=False).collect()) == 200


def test_where_a_source_starts(topic):
    topic.append(rows(0, 50))
    moment = datetime.datetime.now(datetime.UTC)
    assert poll_all(TopicSource(topic, start="latest").open(None)) == []
    assert poll_all(TopicSource(topic, start=moment).open(None)) == []
    topic.append(rows(50, 100))
    later = TopicSource(topic, start=moment)
    got = [n for p in later.partitions() for n in poll_all(later.open(None, partition=p))]
    assert sorted(got) == list(range(50, 100))
    with pytest.raises(InvalidError, match="start is 'earliest'"):
        TopicSource(topic, start=5)


def test_a_group_goes_on_where_its_checkpoints_ended(topic):
    topic.append(rows(0, 100))
    source = TopicSource(topic, group="g")
    pollers = {p: source.open(None, partition=p) for p in source.partitions()}
    for poller in pollers.values():
        poller.poll(0)
    source.committed({p: poller.position() for p, poller in pollers.items()})
    assert topic.committed("g") == topic.end()
    topic.append(rows(100, 110))
    again = TopicSource(topic, group="g")
    got = [n for p in again.partitions() for n in poll_all(again.open(None, partition=p))]
    assert sorted(got) == list(range(100, 110))
    assert topic.committed("other") == {}


def test_offsets_of_groups(topic):
    topic.commit("a/b", {0: 3, 2: 9})
    topic.commit("a/b", {2: 10})
    with ps.Topic(topic.path) as other:
        assert other.committed("a/b") == {0: 3, 2: 10}
    for bad in ({7: 1}, {0: -1}, {0: "x"}):
        with pytest.raises(InvalidError):
            topic.commit("a/b", bad)
    with pytest.raises(InvalidError, match="wants a name"):
        topic.commit("", {0: 1})
    path = os.path.join(topic.path, "groups/a%2Fb/offsets/0")
    with open(path, "w") as file:
        file.write("{")
    with pytest.raises(CorruptDataError, match="is no committed offset"):
        topic.committed("a/b")


# ---- through the engine


def test_topic_to_topic(topic, tmp_path):
    topic.append(rows(0, 1_000), partition=0)
    stream = ps.read_topic(topic, follow=False).filter(ps.col("n") % 2 == 0)
    stream.write_topic(tmp_path / "out", partitions=2, by="n").run()
    with ps.Topic(tmp_path / "out") as out:
        assert out.key == ("n",)
        assert found(out) == list(range(0, 1_000, 2))
        assert all(out.end().values())
