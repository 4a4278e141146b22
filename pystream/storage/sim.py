"""A storage in memory that crashes on demand, for simulations: deterministic, for one thread.

A `SimDisk` is the medium; each `SimStorage` is what one process sees of it. Every act asks the
process's `Faults` before it begins and after it took effect, and those may raise: an OSError, after
which the process goes on, or `SimulatedCrash`, after which all acts raise it until `crash` has
settled what is left:

- files that were open are gone, but for a leftover,
- its locks are free,
- and if power was lost too: an act that took effect and yet raised may be undone, and a deleted
  file may be back.

What answered without an error stays, as `Storage` promises.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

from pystream.storage.base import Lock, Output, Storage

__all__ = ["Faults", "SimDisk", "SimStorage", "SimulatedCrash"]

_TEMPORARY = ".tmp-"

_Content = tuple[bytes, int]  # and its version


class SimulatedCrash(BaseException):
    """The process has died. Not an Exception, so that nothing handles it."""


class Faults:
    """What goes wrong: nothing. Subclasses raise, or move their clock to be slow.

    The acts are ``read``, ``size``, ``list``, ``open``, ``write``, ``close``, ``create``,
    ``replace``, ``sync``, ``delete`` and ``lock``.
    """

    def before(self, act: str, name: str) -> None:
        """An act is about to happen; what is raised here keeps it from happening."""

    def after(self, act: str, name: str) -> None:
        """An act has happened; what is raised here is all that its caller learns."""


class SimDisk:
    """Files that survive processes."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.files: dict[str, _Content] = {}
        self.leftovers: set[str] = set()
        self.deleted: dict[str, _Content] = {}
        self.doubtful: dict[str, _Content | None] = {}
        self.locked: set[str] = set()
        self._version = 0

    def put(self, name: str, data: bytes) -> str:
        """Set the content of a file; its version."""
        self._version += 1
        self.files[name] = data, self._version
        self.deleted.pop(name, None)
        self.doubtful.pop(name, None)
        return str(self._version)

    def lose_power(self) -> None:
        """Settle what was not durable."""
        for name, before in sorted(self.doubtful.items()):
            if self.random.random() < 0.5:
                self.files.pop(name, None)
                if before is not None:
                    self.files[name] = before
        for name, content in sorted(self.deleted.items()):
            if self.random.random() < 0.5:
                self.files[name] = content
        self.doubtful.clear()
        self.deleted.clear()


class SimStorage(Storage):
    """What one process sees of a disk.

    Parameters
    ----------
    disk
        The medium; storages of one disk are processes beside each other.
    faults
        What goes wrong in this process.
    """

    url = "sim:"
    locks = True

    def __init__(self, disk: SimDisk, faults: Faults | None = None) -> None:
        self.disk = disk
        self.faults = faults or Faults()
        self._down = False
        self._outputs: list[_SimOutput] = []
        self._locks: list[_SimLock] = []

    def crash(self, *, power: bool = False) -> None:
        """Let the process be dead and the storage ready for its next one.

        A loss of power is one for all processes: crash the other storages of the disk too.
        """
        for output in self._outputs:
            output.tear()
        for lock in self._locks:
            lock.release()
        if power:
            self.disk.lose_power()
        self._outputs, self._locks = [], []
        self._down = False

    @contextmanager
    def act(self, act: str, name: str) -> Iterator[None]:
        """Ask the faults around an act on a file."""
        if self._down:
            raise SimulatedCrash(f"{act} {name} after the crash")
        before = self.disk.files.get(name)
        try:
            self.faults.before(act, name)
            yield
        except SimulatedCrash:
            self._down = True
            raise
        try:
            self.faults.after(act, name)
        except BaseException as error:
            self._down = isinstance(error, SimulatedCrash)
            if self.disk.files.get(name) != before:
                self.disk.doubtful[name] = before
            raise

    def read(self, name: str) -> bytes:
        with self.act("read", name):
            return self._content(name)[0]

    def read_versioned(self, name: str) -> tuple[bytes, str]:
        with self.act("read", name):
            data, version = self._content(name)
        return data, str(version)

    def open_input(self, name: str) -> Any:
        import pyarrow as pa

        return pa.BufferReader(self.read(name))

    def size(self, name: str) -> int:
        with self.act("size", name):
            return len(self._content(name)[0])

    def open_output(self, name: str) -> Output:
        with self.act("open", name):
            output = _SimOutput(self, name)
            self._outputs.append(output)
        return output

    def create(self, name: str, data: bytes) -> bool:
        with self.act("create", name):
            absent = name not in self.disk.files
            if absent:
                self.disk.put(name, bytes(data))
        return absent

    def replace(self, name: str, data: bytes, version: str) -> str | None:
        new = None
        with self.act("replace", name):
            found = self.disk.files.get(name)
            if found is not None and str(found[1]) == version:
                new = self.disk.put(name, bytes(data))
        return new

    def sync(self, name: str) -> None:
        with self.act("sync", name):
            self.disk.doubtful.pop(name, None)

    def list(self, prefix: str = "") -> list[str]:
        with self.act("list", prefix):
            return sorted(name for name in self.disk.files if name.startswith(prefix))

    def delete(self, name: str) -> None:
        with self.act("delete", name):
            self.disk.leftovers.discard(name)
            content = self.disk.files.pop(name, None)
            if content is not None:
                self.disk.deleted[name] = content

    def leftovers(self, prefix: str = "") -> Sequence[str]:
        with self.act("list", prefix):
            return sorted(name for name in self.disk.leftovers if name.startswith(prefix))

    def lock(self, name: str) -> Lock | None:
        with self.act("lock", name):
            if name in self.disk.locked:
                return None
            lock = _SimLock(self.disk, name)
            self._locks.append(lock)
        return lock

    def _content(self, name: str) -> _Content:
        try:
            return self.disk.files[name]
        except KeyError:
            raise FileNotFoundError(2, "No such file", name) from None


class _SimOutput(Output):
    """Collected in memory; on the disk when closed."""

    def __init__(self, storage: SimStorage, name: str) -> None:
        self._storage = storage
        self._name = name
        self._data: bytearray | None = bytearray()

    def write(self, data: Any) -> int:
        part = bytes(data)
        with self._storage.act("write", self._name):
            if self._data is None:
                raise ValueError(f"{self._name} has been closed")
            self._data += part
        return len(part)

    def close(self) -> None:
        if self._data is not None:
            with self._storage.act("close", self._name):
                self._storage.disk.put(self._name, bytes(self._data))
                self._data = None

    def discard(self) -> None:
        self._data = None

    def tear(self) -> None:
        """What a crash leaves of an open file."""
        if self._data is not None:
            folder, _, last = self._name.rpartition("/")
            self._storage.disk.leftovers.add(f"{folder}/{_TEMPORARY}{last}".lstrip("/"))
            self._data = None


class _SimLock(Lock):
    def __init__(self, disk: SimDisk, name: str) -> None:
        self._disk = disk
        self._name: str | None = name
        disk.locked.add(name)

    def release(self) -> None:
        if self._name is not None:
            self._disk.locked.discard(self._name)
            self._name = None
