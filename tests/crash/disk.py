"""A disk that becomes full and is given room again."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Disk", "small_disk"]

_SIZE = "48m"
_BLOCK = bytes(1 << 16)


class Disk(ABC):
    """A folder whose room can be taken away.

    Attributes
    ----------
    how
        By which means, for the report.
    """

    how: str

    @abstractmethod
    def fill(self, pid: int, left: int) -> None:
        """Leave this many bytes of room, for a process or for all."""

    @abstractmethod
    def clear(self) -> None:
        """Give the room back."""


class _Tmpfs(Disk):
    """A file system of its own with a file that takes what is free."""

    how = "a small tmpfs, filled: ENOSPC"

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fill(self, pid: int, left: int) -> None:
        size = 0
        with open(self._filler, "wb", buffering=0) as file:
            try:
                while True:
                    size += file.write(_BLOCK)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            file.truncate(max(0, size - left))

    def clear(self) -> None:
        self._filler.unlink(missing_ok=True)


class _Limit(Disk):
    """The process itself may not make files longer than that."""

    how = "a limit of the length of files: EFBIG"

    def fill(self, pid: int, left: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (left, left))

    def clear(self) -> None:
        """The next process has no limit."""


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """Make a folder a disk: a real one of its own where mounting is allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and _succeeds(mount)
    try:
        yield _Tmpfs(folder) if mounted else _Limit()
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
