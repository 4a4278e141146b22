"""Any filesystem of pyarrow or fsspec: HDFS, SFTP, SMB and whatever else speaks through them.

These have no act that only one of two processes can win. `create` looks and then writes, so two
instances that start at the same moment are not kept apart (``conditional`` is False); one instance
at a time, as a supervisor or scheduler sees to, is as safe as elsewhere. Files are written aside
and moved; whether that, and what was written, survives a loss of power is up to the filesystem.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence
from typing import Any

from pystream.errors import InvalidError, UnsupportedError
from pystream.storage.base import Output, Storage

__all__ = ["FilesystemStorage"]

_TEMPORARY = ".tmp-"


class FilesystemStorage(Storage):
    """Files below a path of a filesystem.

    Parameters
    ----------
    filesystem
        A `pyarrow.fs.FileSystem`, or one of fsspec.
    path
        Where they are in it.
    """

    conditional = False

    def __init__(self, filesystem: Any, path: str) -> None:
        self._filesystem = _arrow(filesystem)
        self._path = path.rstrip("/")
        self.url = f"{self._filesystem.type_name}:{self._path}"

    @classmethod
    def from_url(cls, url: str, **options: Any) -> FilesystemStorage:
        """The filesystem of an fsspec URL such as ``sftp://host/path``."""
        try:
            import fsspec
        except ImportError:
            raise UnsupportedError(
                f"{url!r} needs the package fsspec: pip install 'pystream[fsspec]'"
            ) from None
        try:
            filesystem, path = fsspec.core.url_to_fs(url, **options)
        except (ValueError, ImportError) as error:
            raise InvalidError(f"{url!r} is no place fsspec knows: {error}") from None
        return cls(filesystem, path)

    def read(self, name: str) -> bytes:
        with self._filesystem.open_input_stream(self._at(name)) as file:
            return bytes(file.read())

    def read_versioned(self, name: str) -> tuple[bytes, str]:
        data = self.read(name)
        return data, _version(data)

    def open_input(self, name: str) -> Any:
        return self._filesystem.open_input_file(self._at(name))

    def size(self, name: str) -> int:
        [info] = self._filesystem.get_file_info([self._at(name)])
        if not info.is_file:
            raise FileNotFoundError(2, "No such file", self._at(name))
        return int(info.size)

    def open_output(self, name: str) -> Output:
        folder, _, last = self._at(name).rpartition("/")
        self._filesystem.create_dir(folder, recursive=True)
        return _FilesystemOutput(self._filesystem, f"{folder}/{last}")

    def create(self, name: str, data: bytes) -> bool:
        try:
            self.size(name)
        except FileNotFoundError:
            self.write(name, data)
            return True
        return False

    def replace(self, name: str, data: bytes, version: str) -> str | None:
        try:
            if self.read_versioned(name)[1] != version:
                return None
        except FileNotFoundError:
            return None
        self.write(name, data)
        return _version(data)

    def list(self, prefix: str = "") -> list[str]:
        return [name for name in self._all(prefix) if not _is_temporary(name)]

    def leftovers(self, prefix: str = "") -> Sequence[str]:
        return [name for name in self._all(prefix) if _is_temporary(name)]

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._filesystem.delete_file(self._at(name))

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"

    def _all(self, prefix: str) -> Sequence[str]:
        from pyarrow.fs import FileSelector

        folder = self._at(prefix).rpartition("/")[0]
        selector = FileSelector(folder, recursive=True, allow_not_found=True)
        infos = self._filesystem.get_file_info(selector)
        start = len(self._path) + 1
        names = (info.path[start:] for info in infos if info.is_file)
        return sorted(name for name in names if name.startswith(prefix))


class _FilesystemOutput(Output):
    """Written beside its final name and moved when closed."""

    def __init__(self, filesystem: Any, path: str) -> None:
        folder, _, last = path.rpartition("/")
        self._filesystem = filesystem
        self._path = path
        self._temporary = f"{folder}/{_TEMPORARY}{last}.{uuid.uuid4().hex}"
        self._file = filesystem.open_output_stream(self._temporary)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._file.write(view)
        return len(view)

    def close(self) -> None:
        if self._file is None:
            return
        self._file.close()
        self._file = None
        self._filesystem.move(self._temporary, self._path)

    def discard(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            with contextlib.suppress(FileNotFoundError):
                self._filesystem.delete_file(self._temporary)


def _is_temporary(name: str) -> bool:
    return name.rpartition("/")[2].startswith(_TEMPORARY)


def _version(data: bytes) -> str:
    """What the file says; without conditional writes an opaque version would promise no more."""
    return data.hex()


def _arrow(filesystem: Any) -> Any:
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    if isinstance(filesystem, FileSystem):
        return filesystem
    if hasattr(filesystem, "open") and hasattr(filesystem, "protocol"):
        return PyFileSystem(FSSpecHandler(filesystem))
    raise InvalidError(f"a filesystem is one of pyarrow or fsspec, not {filesystem!r}")
