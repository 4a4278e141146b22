"""Writers killed at random moments: every row that a reader ever sees is right, none is torn, and
what an append answered for is there."""

import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest

import pystream as ps

SCHEMA = {"n": int, "hash": int, "half": float, "text": str}

# Appends batches whose rows follow from their number alone; tells each append when it is done.
WRITER = """
import sys
import numpy as np, pyarrow as pa, pystream as ps

topic = ps.Topic(sys.argv[1], segment_bytes="300KiB", fsync="20ms")
rng = np.random.default_rng(int(sys.argv[2]))
while True:
    start = topic.end()[0]
    n = np.arange(start, start + int(rng.integers(1, 3_000)))
    batch = pa.record_batch({
        "n": n,
        "hash": n * 2654435761 % 1000003,
        "half": n / 2,
        "text": [str(i) for i in n.tolist()],
    })
    print(topic.append(batch)[0].stop, flush=True)
"""


def check(batch, offset):
    """Every row is what its offset says."""
    n = np.arange(offset, offset + batch.num_rows)
    assert np.array_equal(batch["n"], n)
    assert np.array_equal(batch["hash"], n * 2654435761 % 1000003)
    assert np.array_equal(batch["half"], n / 2)
    assert batch["text"].to_pylist() == [str(i) for i in n.tolist()]


def read_on(reader):
    while True:
        offset = reader.offset
        batch = reader.poll()
        if batch is None:
            return
        check(batch, offset)


def kill_writers(tmp_path, kills, forget_head):
    random.seed(kills)
    path = tmp_path / "t"
    ps.Topic(path, schema=SCHEMA).close()
    topic = ps.Topic(path)
    tail = topic.reader(0)
    for kill in range(kills):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(kill)], stdout=subprocess.PIPE, text=True
        )
        told = 0
        for _ in range(random.randrange(1, 40)):
            told = int(writer.stdout.readline())
            read_on(tail)
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().split("\n")[:-1]
        writer.stdout.close()
        writer.wait()
        told = int(rest[-1]) if rest else told
        if forget_head:  # as after a start of the machine
            tail.close()
            topic.close()
            (path / "head").unlink()
            topic = ps.Topic(path)
            tail = topic.reader(0, offset=tail.offset)
        assert topic.end()[0] >= told
        read_on(tail)
        assert tail.offset == topic.end()[0]
    offset = 0
    for batch in topic:
        check(batch, offset)
        offset += batch.num_rows
    assert offset == topic.end()[0]
    assert len(list((path / "0").glob("*.log"))) > 1
    tail.close()
    topic.close()


@pytest.mark.parametrize("forget_head", [False, True])
def test_killed_writers(tmp_path, forget_head):
    kill_writers(tmp_path, 6, forget_head)


@pytest.mark.slow
@pytest.mark.parametrize("forget_head", [False, True])
def test_many_killed_writers(tmp_path, forget_head):
    kill_writers(tmp_path, 100, forget_head)
