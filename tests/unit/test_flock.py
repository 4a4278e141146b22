"""Locks between processes: waited for, but not for ever."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from pystream.connectors.manifest import Manifest
from pystream.errors import CheckpointError, SinkError, TopicError
from pystream.storage import flock as module
from pystream.storage.flock import flock
from pystream.storage.local import LocalStorage
from pystream.topic.files import locked


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """A lock is given up soon."""
    monkeypatch.setattr(module, "TIMEOUT_S", 0.02)


def opened(path: Path) -> int:
    """A descriptor of its own, as another process has."""
    return os.open(path, os.O_RDWR | os.O_CREAT)


def test_the_next_one_waits_for_the_holder(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_S", 30.0)
    order = []

    def second():
        with flock(opened(tmp_path / "f"), "a file", SinkError):
            order.append("second")

    with flock(opened(tmp_path / "f"), "a file", SinkError):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_holder_that_sleeps_is_named(tmp_path):
    with (
        flock(opened(tmp_path / "f"), "a file", SinkError),
        pytest.raises(SinkError, match=r"held the lock of a file for 0\.02 s: is it stopped"),
        flock(opened(tmp_path / "f"), "a file", SinkError),
    ):
        pass


def test_a_manifest_is_not_waited_for_without_end(tmp_path):
    Manifest(tmp_path, "job").append(1, [], {})
    manifest = Manifest(tmp_path, "job")
    with flock(opened(manifest.path), "it", SinkError):
        with pytest.raises(SinkError, match=r"lock of manifest .*job\.jsonl"):
            manifest.load()
        with pytest.raises(SinkError, match="lock of manifest"):
            manifest.append(2, [], {})
    manifest.load()
    assert manifest.epoch == 1


def test_a_file_that_is_replaced_is_not_waited_for_without_end(tmp_path):
    storage = LocalStorage(tmp_path)
    storage.create("lease", b"a")
    _, version = storage.read_versioned("lease")
    with (
        flock(opened(tmp_path / ".lease.lock"), "it", SinkError),
        pytest.raises(CheckpointError, match="lease"),
    ):
        storage.replace("lease", b"b", version)
    assert storage.replace("lease", b"b", version) is not None


def test_a_partition_is_not_waited_for_without_end(tmp_path):
    with (
        flock(opened(tmp_path / "f"), "it", SinkError),
        pytest.raises(TopicError, match="lock of a partition"),
        locked(opened(tmp_path / "f")),
    ):
        pass
