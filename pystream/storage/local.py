"""Files of a local directory: fsync before rename, directories fsynced, locks by the kernel."""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pystream.errors import CheckpointError, InvalidError
from pystream.storage.base import Lock, Output, Storage
from pystream.storage.flock import flock

__all__ = ["LocalStorage"]

_TEMPORARY = ".tmp-"


class LocalStorage(Storage):
    """A directory, made when something is first written."""

    locks = True

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).absolute()
        self.url = str(self.root)

    def path(self, name: str) -> Path:
        """Where a file is."""
        if not name or name.startswith("/") or ".." in name.split("/"):
            raise InvalidError(f"names in a storage are relative and stay below it, not {name!r}")
        return self.root / name

    def read(self, name: str) -> bytes:
        return self.path(name).read_bytes()

    def read_versioned(self, name: str) -> tuple[bytes, str]:
        with open(self.path(name), "rb") as file:
            return file.read(), _version(os.fstat(file.fileno()))

    def open_input(self, name: str) -> Any:
        import pyarrow as pa

        path = self.path(name)
        return pa.memory_map(os.fspath(path)) if path.stat().st_size else pa.BufferReader(b"")

    def size(self, name: str) -> int:
        return self.path(name).stat().st_size

    def open_output(self, name: str) -> Output:
        return _LocalOutput(self._prepare(name))

    def create(self, name: str, data: bytes) -> bool:
        path = self._prepare(name)
        temporary = _write_aside(path, data)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        finally:
            os.unlink(temporary)
        sync_directory(path.parent)
        return True

    def replace(self, name: str, data: bytes, version: str) -> str | None:
        path = self._prepare(name)
        with _locked(path.with_name(f".{path.name}.lock")):
            try:
                if _version(path.stat()) != version:
                    return None
            except FileNotFoundError:
                return None
            temporary = _write_aside(path, data)
            new = _version(temporary.stat())
            os.replace(temporary, path)
            sync_directory(path.parent)
            return new

    def sync(self, name: str) -> None:
        path = self.path(name)
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        sync_directory(path.parent)

    def list(self, prefix: str = "") -> list[str]:
        folder = self.root / prefix.rpartition("/")[0]
        found = (p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
        names = (p.relative_to(self.root).as_posix() for p in found)
        return sorted(name for name in names if name.startswith(prefix))

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(name))

    def leftovers(self, prefix: str = "") -> Sequence[str]:
        folder = self.root / prefix.rpartition("/")[0]
        found = folder.rglob(f"{_TEMPORARY}*")
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def lock(self, name: str) -> Lock | None:
        descriptor = os.open(self._prepare(name), os.O_CREAT | os.O_WRONLY, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return _LocalLock(descriptor)

    def _prepare(self, name: str) -> Path:
        path = self.path(name)
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            for folder in (path.parent, *path.parent.parents):
                sync_directory(folder)
                if folder == self.root.parent:
                    break
        return path


class _LocalOutput(Output):
    """Written beside its final name, renamed when closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = _beside(path)
        self._file: Any = open(self._temporary, "xb", buffering=0)  # noqa: SIM115

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            done += self._file.write(view[done:])
        return done

    def close(self) -> None:
        if self._file is None:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError:
            self.discard()  # what a failed fsync has dropped, a second one does not bring back
            raise
        self._file.close()
        self._file = None
        os.replace(self._temporary, self._path)
        sync_directory(self._path.parent)

    def discard(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._temporary)


class _LocalLock(Lock):
    """An flock: the kernel frees it when the last copy of the open file is closed.

    A descriptor and no file object, which in a cycle of garbage may be finalized before this is,
    with a ResourceWarning.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        """Of a job that could not let go, because a sink of it slept, and is gone now."""
        self.release()


def _beside(path: Path) -> Path:
    return path.with_name(f"{_TEMPORARY}{path.name}.{uuid.uuid4().hex}")


def _write_aside(path: Path, data: bytes) -> Path:
    temporary = _beside(path)
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _version(status: os.stat_result) -> str:
    """Every replacement is a new file, so its inode and time tell versions apart."""
    return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "ab") as file, flock(file.fileno(), str(path), CheckpointError):
        yield


def sync_directory(path: str | os.PathLike[str]) -> None:
    """Make names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
