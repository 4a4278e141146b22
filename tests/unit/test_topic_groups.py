"""Consumer groups: one owner a partition, whoever comes, goes or dies."""

import os
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pytest

import pystream as ps
from pystream.errors import ColumnNotFoundError, InvalidError, OffsetError


@pytest.fixture
def topic(tmp_path):
    schema = {"n": int, "text": str}
    with ps.Topic(tmp_path / "t", schema=schema, partitions=4, key="n") as opened:
        opened.append(pa.table({"n": range(100), "text": [str(n) for n in range(100)]}))
        yield opened


def drain(consumer):
    got = []
    while (polled := consumer.poll()) is not None:
        assert polled.batch.num_rows > 0
        got += polled.batch["n"].to_pylist()
    return got


def poll_until(condition, *consumers):
    """Members share when they poll."""
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        for consumer in consumers:
            consumer.poll(0.01)


def test_one_member_has_everything_and_goes_on_where_it_committed(topic):
    with topic.consumer("g") as consumer:
        assert sorted(drain(consumer)) == list(range(100))
        assert consumer.partitions == [0, 1, 2, 3]
        consumer.commit()
    assert topic.committed("g") == topic.end()
    topic.append([{"n": 100, "text": "late"}])
    with topic.consumer("g") as consumer:
        assert drain(consumer) == [100]
    with topic.consumer("g") as consumer:  # it was not committed
        assert drain(consumer) == [100]
    with topic.consumer("other", start="latest") as consumer:
        assert drain(consumer) == []
    with pytest.raises(InvalidError, match="was closed"):
        consumer.poll()
    with pytest.raises(InvalidError, match="start is"):
        topic.consumer("g", start="middle")
    with topic.consumer("h", columns=["text"]) as consumer:
        assert consumer.poll().batch.schema.names == ["text"]
    with topic.consumer("i", columns=["no"]) as consumer, pytest.raises(ColumnNotFoundError):
        consumer.poll()


def test_a_partition_that_cannot_be_read_is_not_left_aside(topic):
    topic.commit("g", {2: 4_000})
    with topic.consumer("g") as consumer:
        for _ in range(2):
            with pytest.raises(OffsetError, match=r"offset 4000 of partition 2 .* does not exist"):
                poll_until(lambda: False, consumer)
        topic.commit("g", {2: 0})
        poll_until(lambda: consumer.partitions == [0, 1, 2, 3], consumer)


def test_members_share_and_take_over(topic):
    with topic.consumer("g") as first, topic.consumer("g") as second:
        poll_until(lambda: len(first.partitions) == len(second.partitions) == 2, first, second)
        assert sorted(first.partitions + second.partitions) == [0, 1, 2, 3]
        first.commit()
        second.commit()
        first.close()
        poll_until(lambda: len(second.partitions) == 4, second)


def test_more_members_than_partitions(topic):
    members = [topic.consumer("g") for _ in range(6)]
    poll_until(lambda: sum(len(m.partitions) == 1 for m in members) == 4, *members)
    assert sorted(p for m in members for p in m.partitions) == [0, 1, 2, 3]
    for member in members:
        member.close()


def test_a_member_is_woken_for_any_of_its_partitions(topic):
    with topic.consumer("g") as consumer:
        drain(consumer)
        for partition in range(4):
            topic.append([{"n": partition, "text": ""}], partition=partition)
            polled = consumer.poll(60)
            assert (polled.partition, polled.batch["n"].to_pylist()) == (partition, [partition])
            assert polled.offset == topic.end()[partition] - 1


MEMBER = """
import sys, pystream as ps
consumer = ps.Topic(sys.argv[1]).consumer("g")
while True:
    polled = consumer.poll(1)
    if polled:
        print(polled.partition, flush=True)
        consumer.commit()
"""


def test_a_killed_member_loses_its_partitions_at_once_and_a_stopped_one_keeps_them(topic):
    child = subprocess.Popen(
        [sys.executable, "-c", MEMBER, topic.path], stdout=subprocess.PIPE, text=True
    )
    owned = {int(child.stdout.readline()) for _ in range(4)}
    assert owned == {0, 1, 2, 3}
    os.kill(child.pid, signal.SIGSTOP)
    with topic.consumer("g") as consumer:
        for _ in range(5):
            consumer.poll(0.01)
        assert consumer.partitions == []
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        poll_until(lambda: consumer.partitions == [0, 1, 2, 3], consumer)
        assert set(drain(consumer)) <= set(range(100))
