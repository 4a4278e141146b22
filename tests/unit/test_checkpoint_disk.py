"""A disk that is full or read-only: the job learns it, and the last epoch stays."""

import os
import subprocess

import pyarrow as pa
import pytest

from pystream.checkpoint import CheckpointStore
from pystream.errors import CheckpointError
from pystream.storage import LocalStorage


def mount(path, *options):
    command = ["mount", "-t", "tmpfs", "-o", ",".join(("size=1m", *options)), "tmpfs", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def disk(tmp_path):
    """A disk of one mebibyte."""
    path = tmp_path / "disk"
    path.mkdir()
    try:
        mounted = mount(path)
    except OSError as error:
        pytest.skip(f"there is no mount: {error}")
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def write(store, size):
    with store.begin(store.next_epoch) as writer:
        for _ in range(4):
            writer.add("agg", range(1024), pa.record_batch({"k": [os.urandom(size // 4)]}))
        return writer.commit(positions={})


def test_a_full_disk_keeps_the_last_epoch(disk):
    store = CheckpointStore(LocalStorage(disk), job="orders")
    write(store, 1000)
    with pytest.raises(CheckpointError, match=r"checkpoint 2 could not be .*: No space left on"):
        write(store, 3_000_000)
    assert [p.name for p in (disk / "state").iterdir() if "000002-" in p.name] == []
    again = CheckpointStore(LocalStorage(disk), job="orders")
    assert again.latest().epoch == 1
    again.latest().verify()
    assert write(again, 1000).epoch == 2


def test_a_disk_full_of_others_files(disk):
    store = CheckpointStore(LocalStorage(disk), job="orders")
    write(store, 1000)
    with open(disk / "other", "wb", buffering=0) as other:
        try:
            while other.write(b"x" * 4096):
                pass
        except OSError:
            pass
    with pytest.raises(CheckpointError, match="No space left on device"):
        write(store, 1000)
    (disk / "other").unlink()
    assert write(store, 1000).epoch == 2


def test_a_read_only_disk(disk):
    store = CheckpointStore(LocalStorage(disk), job="orders")
    write(store, 1000)
    assert mount(disk, "remount", "ro").returncode == 0
    with pytest.raises(CheckpointError, match=r"cannot hold the .*: Read-only file system"):
        store.acquire("me", 10)
    with pytest.raises(CheckpointError, match=r"could not be written to .*: Read-only file system"):
        write(store, 1000)
    assert store.load(1).epoch == 1
