"""Where checkpoints and staged output live: files under one root, with a few atomic acts.

Names are relative and ``/``-separated. Everything that answers without an error is durable: it
survives `kill -9` and, where the medium is honest, loss of power.

Atomic acts: `create` makes a file only if there is none, `replace` changes one only if it is still
the version that was read. Each either happened as a whole or not at all, also between processes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

__all__ = ["Lock", "Output", "Storage"]


class Output(ABC):
    """A file being written in parts; it appears under its name, durable, when closed.

    As a context manager it is closed on success and discarded on an error.
    """

    @abstractmethod
    def write(self, data: Any) -> int:
        """Append bytes (anything with the buffer protocol); answers how many."""

    @abstractmethod
    def close(self) -> None:
        """Make it durable, and visible under its name."""

    @abstractmethod
    def discard(self) -> None:
        """Forget what was written. Harmless after `close`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


class Lock(ABC):
    """A lock that is free as soon as its holder's process is dead."""

    @abstractmethod
    def release(self) -> None:
        """Free it. Harmless if it is free."""


class Storage(ABC):
    """Files under one root. Thread-safe.

    Attributes
    ----------
    url
        What errors call the place.
    conditional
        Whether `create` and `replace` are atomic against other processes. Without it two
        instances of a job cannot be kept apart, and the caller is to say so.
    locks
        Whether it has `lock`.
    """

    url: str
    conditional: bool = True
    locks: bool = False

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The whole file. FileNotFoundError if there is none."""

    @abstractmethod
    def read_versioned(self, name: str) -> tuple[bytes, str]:
        """The file and its version, for `replace`. FileNotFoundError if there is none."""

    @abstractmethod
    def open_input(self, name: str) -> Any:
        """A pyarrow NativeFile for random access, memory-mapped where possible."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Bytes of the file. FileNotFoundError if there is none."""

    @abstractmethod
    def open_output(self, name: str) -> Output:
        """A new file, written in parts; replaces one of that name when closed."""

    def write(self, name: str, data: Any) -> None:
        """A whole file at once; replaces one of that name."""
        with self.open_output(name) as output:
            output.write(data)

    @abstractmethod
    def create(self, name: str, data: bytes) -> bool:
        """Make the file if there is none; False, and no change, if there is one."""

    @abstractmethod
    def replace(self, name: str, data: bytes, version: str) -> str | None:
        """Change the file if it is still `version`; its new version, or None if it is not."""

    def sync(self, name: str) -> None:  # noqa: B027
        """Make durable what is there: its writer may have died between showing and syncing it."""

    @abstractmethod
    def list(self, prefix: str = "") -> list[str]:
        """Names that begin with a prefix, sorted."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove the file; no error if there is none. After a loss of power it may be back."""

    def leftovers(self, prefix: str = "") -> Sequence[str]:
        """Names, for `delete` only, of what writers left that died before they closed."""
        return []

    def lock(self, name: str) -> Lock | None:
        """Take a lock, in a file of that name; None if another has it."""
        raise NotImplementedError(f"{self.url} has no locks")
