"""Memory for restored state: another thread clears as much as there is state, in whole pages."""

import threading
import time
from concurrent.futures import Future
from pathlib import Path

import pyarrow as pa
import pytest

import pystream as ps
from pystream import memory
from pystream.runtime import memory_ahead
from pystream.runtime.memory_ahead import MemoryAhead

MIB = 1 << 20


def wait_for(ahead: MemoryAhead) -> None:
    ahead._pool.submit(int).result()  # it stands in line behind what was asked for


def test_small_wants_add_up_to_pages(monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr(memory_ahead, "make_memory_ready", asked.append)
    with MemoryAhead("test") as ahead:
        ahead.want(MIB)
        wait_for(ahead)
        assert asked == []
        ahead.want(4 * MIB)
        ahead.want(MIB)
        wait_for(ahead)
    assert asked == [4 * MIB, 2 * MIB]


def test_wanted_memory_is_kept_for_blocks_to_come():
    memory.release()
    before = memory.kept()
    with MemoryAhead("test") as ahead:
        ahead.want(6 * MIB)
        wait_for(ahead)
        assert memory.kept() == before + 6 * MIB
    memory.release()


def test_what_has_not_begun_is_left_undone(monkeypatch):
    begun = threading.Event()
    later: list[Future[int]] = []

    def wait(size_bytes: int) -> None:
        begun.set()
        while not later or not later[0].done():
            time.sleep(0.001)

    monkeypatch.setattr(memory_ahead, "make_memory_ready", wait)
    with MemoryAhead("test") as ahead:
        ahead.want(2 * MIB)
        assert begun.wait(60)
        later.append(ahead._pool.submit(int))
    assert later[0].cancelled()


@pytest.mark.parametrize("parallelism", [1, 2])
@pytest.mark.parametrize("rows", [1_000, 200_000])
def test_a_restore_wants_as_much_as_it_restores(tmp_path: Path, monkeypatch, rows, parallelism):
    wanted: list[int] = []
    monkeypatch.setattr(MemoryAhead, "want", lambda _, size_bytes: wanted.append(size_bytes))
    topic = ps.Topic(tmp_path / "topic", schema={"key": int, "x": float})
    with topic:
        topic.append(pa.table({"key": range(rows), "x": [0.5] * rows}))
    pipeline = (
        ps.read_topic(topic)
        .group_by("key")
        .agg(n=ps.count(), total=ps.sum("x"))
        .write_parquet(tmp_path / "out")
    )
    options = {"checkpoint": tmp_path / "state", "checkpoint_every": "1h", "name": "test"}
    job = pipeline.start(parallelism=parallelism, **options)
    while job.metrics().rows_in < rows:
        assert job.status == "running", job.error
    job.checkpoint(60)
    job.cancel()
    assert wanted == []
    pipeline.start(parallelism=parallelism, **options).cancel()
    assert rows * 32 <= sum(wanted) < rows * 32 + 1000  # key, slice, count, sum; progress
