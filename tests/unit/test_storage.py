"""Files under one root: whole or not at all, once or not at all."""

import pytest

from pystream.errors import InvalidError
from pystream.storage import LocalStorage, open_storage


def test_a_file_appears_when_it_is_closed(tmp_path):
    storage = LocalStorage(tmp_path / "made" / "later")
    output = storage.open_output("a/b.bin")
    output.write(b"one ")
    output.write(memoryview(b"two"))
    assert storage.list() == []
    output.close()
    assert storage.list() == ["a/b.bin"]
    assert storage.read("a/b.bin") == b"one two"
    assert storage.size("a/b.bin") == 7
    with storage.open_input("a/b.bin") as file:
        assert file.read_at(3, 4) == b"two"


def test_an_error_leaves_no_file(tmp_path):
    storage = LocalStorage(tmp_path)

    def fail() -> None:
        with storage.open_output("x") as output:
            output.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert storage.list() == []
    assert list(tmp_path.iterdir()) == []


def test_create_happens_once(tmp_path):
    storage = LocalStorage(tmp_path)
    assert storage.create("n", b"first")
    assert not storage.create("n", b"second")
    assert storage.read("n") == b"first"


def test_replace_needs_the_version_that_was_read(tmp_path):
    storage = LocalStorage(tmp_path)
    storage.write("n", b"one")
    _, version = storage.read_versioned("n")
    newer = storage.replace("n", b"two", version)
    assert newer is not None
    assert storage.replace("n", b"three", version) is None
    assert storage.read("n") == b"two"
    assert storage.replace("n", b"three", newer) is not None
    assert storage.replace("missing", b"", version) is None


def test_lists_by_prefix_and_deletes(tmp_path):
    storage = LocalStorage(tmp_path)
    for name in ("b/2", "b/1", "a"):
        storage.write(name, b"")
    assert storage.list() == ["a", "b/1", "b/2"]
    assert storage.list("b/") == ["b/1", "b/2"]
    storage.delete("b/1")
    storage.delete("b/1")
    assert storage.list("b/") == ["b/2"]
    with pytest.raises(FileNotFoundError):
        storage.read("b/1")


def test_what_is_no_place_is_refused():
    with pytest.raises(InvalidError, match="is a path, not 7"):
        open_storage(7)
