"""Files under one root: whole or not at all, once or not at all, on every kind of storage."""

import gc
import os
import warnings
from pathlib import Path
from random import Random

import fsspec
import obstore.store
import pyarrow.fs
import pytest

from pystream.errors import InvalidError, UnsupportedError
from pystream.storage import FilesystemStorage, LocalStorage, ObjectStorage, Storage, open_storage
from pystream.storage.sim import Faults, SimDisk, SimStorage, SimulatedCrash

MAKERS = {
    "local": lambda path: LocalStorage(path / "made" / "later"),
    "simulated": lambda path: SimStorage(SimDisk(Random(1))),
    "objects": lambda path: ObjectStorage(obstore.store.MemoryStore()),
    "arrow": lambda path: FilesystemStorage(pyarrow.fs.LocalFileSystem(), str(path)),
    "fsspec": lambda path: FilesystemStorage(fsspec.filesystem("local"), str(path)),
}


@pytest.fixture(params=MAKERS)
def storage(request, tmp_path):
    return MAKERS[request.param](tmp_path)


class StorageContract:
    """What every storage promises."""

    def test_a_file_appears_when_it_is_closed(self, storage):
        output = storage.open_output("a/b.bin")
        assert output.write(b"one ") == 4
        output.write(memoryview(b"two"))
        assert storage.list() == []
        output.close()
        output.close()
        output.discard()
        assert storage.list() == ["a/b.bin"]
        assert storage.read("a/b.bin") == b"one two"
        assert storage.size("a/b.bin") == 7
        with storage.open_input("a/b.bin") as file:
            assert file.read_at(3, 4) == b"two"
            file.seek(0)
            assert file.read_buffer(4).to_pybytes() == b"one "
            assert file.read_buffer(9).to_pybytes() == b"two"

    def test_a_large_file(self, storage):
        data = os.urandom(1 << 20) * 40
        storage.write("large", data)
        assert storage.size("large") == len(data)
        with storage.open_input("large") as file:
            parts = list(iter(lambda: file.read_buffer(3_000_000).to_pybytes(), b""))
        assert b"".join(parts) == data

    def test_an_empty_file(self, storage):
        storage.write("empty", b"")
        assert storage.read("empty") == b""
        with storage.open_input("empty") as file:
            assert file.read_buffer(5).size == 0

    def test_an_error_leaves_no_file(self, storage):
        with pytest.raises(ZeroDivisionError):
            half_written(storage)
        assert storage.list() == []
        assert list(storage.leftovers()) == []

    def test_a_file_is_replaced_when_closed(self, storage):
        storage.write("n", b"old")
        with storage.open_output("n") as output:
            output.write(b"new")
            assert storage.read("n") == b"old"
        assert storage.read("n") == b"new"

    def test_create_happens_once(self, storage):
        assert storage.create("n", b"first")
        assert not storage.create("n", b"second")
        assert storage.read("n") == b"first"
        storage.sync("n")

    def test_replace_needs_the_version_that_was_read(self, storage):
        storage.write("n", b"one")
        data, version = storage.read_versioned("n")
        assert data == b"one"
        newer = storage.replace("n", b"two", version)
        assert newer is not None
        assert storage.replace("n", b"three", version) is None
        assert storage.read_versioned("n") == (b"two", newer)
        assert storage.replace("n", b"three", newer) is not None
        assert storage.replace("missing", b"", version) is None
        assert storage.list() == ["n"]

    def test_lists_by_prefix_and_deletes(self, storage):
        assert storage.list() == []
        for name in ("b/2", "b/1", "a", "b/c/3"):
            storage.write(name, b"x")
        assert storage.list() == ["a", "b/1", "b/2", "b/c/3"]
        assert storage.list("b/") == ["b/1", "b/2", "b/c/3"]
        assert storage.list("b/2") == ["b/2"]
        assert storage.list("nothing/") == []
        storage.delete("b/1")
        storage.delete("b/1")
        assert storage.list("b/") == ["b/2", "b/c/3"]

    def test_what_is_not_there(self, storage):
        for act in (storage.read, storage.read_versioned, storage.size, storage.open_input):
            with pytest.raises(FileNotFoundError):
                act("missing")


def half_written(storage):
    with storage.open_output("x") as output:
        output.write(b"half")
        raise ZeroDivisionError


class TestContract(StorageContract):
    pass


# ---- local ----


def test_names_stay_below_the_root(tmp_path):
    for name in ("", "/etc/passwd", "a/../../b"):
        with pytest.raises(InvalidError, match="stay below it"):
            LocalStorage(tmp_path).write(name, b"")


def test_a_forgotten_lock_is_freed_without_a_warning(tmp_path):
    class Holder:
        pass

    holder = Holder()
    holder.itself, holder.lock = holder, LocalStorage(tmp_path).lock("locks/a")
    del holder
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        gc.collect()
    assert not seen
    assert LocalStorage(tmp_path).lock("locks/a") is not None


def test_a_lock_is_for_one(tmp_path):
    lock = LocalStorage(tmp_path).lock("locks/a")
    assert LocalStorage(tmp_path).lock("locks/a") is None
    lock.release()
    LocalStorage(tmp_path).lock("locks/a").release()
    with pytest.raises(NotImplementedError):
        ObjectStorage(obstore.store.MemoryStore()).lock("a")


@pytest.mark.parametrize("act", ["close", "create"])
def test_a_failed_fsync_leaves_nothing(tmp_path, monkeypatch, act):
    storage = LocalStorage(tmp_path)

    def fail(descriptor):
        raise OSError(5, "Input/output error")

    output = storage.open_output("a")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output error"):
            output.close() if act == "close" else storage.create("b", b"x")
    output.discard()
    assert list(tmp_path.iterdir()) == []


# ---- places ----


def test_places(tmp_path):
    for place in (str(tmp_path), tmp_path, f"file://{tmp_path}"):
        found = open_storage(place)
        assert isinstance(found, LocalStorage)
        assert found.root == tmp_path
        assert open_storage(found) is found
    pair = open_storage((pyarrow.fs.LocalFileSystem(), tmp_path))
    assert isinstance(pair, LocalStorage)
    assert isinstance(open_storage("state"), LocalStorage)
    memory = open_storage("memory://state/of/job")
    memory.write("a", b"x")
    assert open_storage((fsspec.filesystem("memory"), "/state/of/job")).list() == ["a"]
    assert not memory.conditional
    bucket = open_storage("s3://bucket/prefix", region="eu-central-1", skip_signature=True)
    assert isinstance(bucket, ObjectStorage)
    assert bucket.conditional
    assert isinstance(open_storage(obstore.store.MemoryStore()), Storage)


def test_what_is_no_place_is_refused():
    for place in (7, "", ("a", "b", "c")):
        with pytest.raises(InvalidError, match="a place for checkpoints is a path"):
            open_storage(place)
    with pytest.raises(InvalidError, match="of pyarrow or fsspec, not 'x'"):
        open_storage(("x", "path"))
    with pytest.raises(InvalidError, match="no place fsspec knows"):
        open_storage("nonsense://x")


@pytest.mark.parametrize(
    ("package", "url", "extra"),
    [("obstore", "s3://bucket/x", "objects"), ("fsspec", "sftp://host/x", "fsspec")],
)
def test_a_missing_package_is_named(monkeypatch, package, url, extra):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(UnsupportedError, match=rf"pip install 'pystream\[{extra}\]'"):
        open_storage(url)


# ---- simulated ----


class At(Faults):
    """Raises at one act."""

    def __init__(self, act, when, error):
        self.wanted, self.error = (when, act), error

    def before(self, act, name):
        if self.wanted == ("before", act):
            raise self.error

    def after(self, act, name):
        if self.wanted == ("after", act):
            raise self.error


def outcomes(act, when, error, *, power):
    """What may be on the disk after one fault and a crash, over many seeds."""
    found = set()
    for seed in range(20):
        disk = SimDisk(Random(seed))
        SimStorage(disk).write("old", b"old")
        storage = SimStorage(disk, At(act, when, error))
        with pytest.raises(type(error)):
            storage.write("n", b"x") if act == "close" else (
                storage.create("n", b"x") if act == "create" else storage.delete("old")
            )
        if isinstance(error, SimulatedCrash):
            with pytest.raises(SimulatedCrash):
                storage.list()
        storage.crash(power=power)
        found.add(tuple(SimStorage(disk).list()))
    return found


@pytest.mark.parametrize("error", [SimulatedCrash(), OSError(5, "EIO")], ids=["crash", "error"])
def test_what_a_crash_may_leave(error):
    for power in (False, True):
        for act in ("create", "close", "delete"):
            assert outcomes(act, "before", error, power=power) == {("old",)}
    for act in ("create", "close"):
        assert outcomes(act, "after", error, power=False) == {("n", "old")}
        assert outcomes(act, "after", error, power=True) == {("n", "old"), ("old",)}
    assert outcomes("delete", "after", error, power=False) == {()}
    assert outcomes("delete", "after", error, power=True) == {(), ("old",)}


def test_what_was_synced_survives_all():
    for seed in range(20):
        disk = SimDisk(Random(seed))
        storage = SimStorage(disk, At("create", "after", OSError(5, "EIO")))
        with pytest.raises(OSError, match="EIO"):
            storage.create("n", b"x")
        storage.sync("n")
        storage.crash(power=True)
        assert SimStorage(disk).list() == ["n"]


def test_a_crash_frees_locks_and_tears_files():
    disk = SimDisk(Random(1))
    first, second = SimStorage(disk), SimStorage(disk)
    output = first.open_output("state/x")
    output.write(b"half")
    assert first.lock("l") is not None
    assert second.lock("l") is None
    first.crash()
    assert second.lock("l") is not None
    assert second.list() == []
    assert second.leftovers("state/") == ["state/.tmp-x"]
    second.delete("state/.tmp-x")
    assert second.leftovers() == []


def test_path_like_places():
    assert isinstance(open_storage(Path("state")), LocalStorage)
