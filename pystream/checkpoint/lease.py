"""Who runs a job: one record, ``lease.json``, changed by compare-and-swap.

A lease holds until its time is over, is renewed by its owner, and passes on when it has run out,
was released, or when the kernel says that its holder is dead (a lock on ``lease-locks/ID``, on
storages that have locks). Every change of hands raises the generation.

The lease keeps two healthy instances apart. What keeps a sleeping one from doing harm when it
wakes is the manifest: it is created once (store.py).
"""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self

from pystream.checkpoint.record import decode, encode
from pystream.errors import (
    CheckpointError,
    CorruptDataError,
    FencedError,
    InvalidError,
    LeaseHeldError,
)

if TYPE_CHECKING:
    from pystream.storage.base import Lock, Storage

__all__ = ["Clock", "Lease", "acquire"]

_NAME = "lease.json"
_FORMAT = 1


class Clock(Protocol):
    """Tells seconds since 1970; the module `time` is one."""

    def time(self) -> float:
        """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class _Record:
    """What ``lease.json`` says. lock: a name for `Storage.lock`, or None."""

    job: str
    owner: str
    host: str
    pid: int
    generation: int
    expires: float
    released: bool
    lock: str | None

    def encode(self) -> bytes:
        return encode({"format": _FORMAT, **asdict(self)})


class Lease:
    """The right to run a job. Thread-safe.

    Attributes
    ----------
    owner
        Who holds it.
    generation
        How often the job has changed hands.
    ttl_s
        How long it lasts after each `renew`.
    expired
        It was taken from an instance that only seems to be dead: it may be asleep.
    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        *,
        record: _Record,
        version: str,
        lock: Lock | None,
        ttl_s: float,
        expired: bool,
    ) -> None:
        self.owner = record.owner
        self.generation = record.generation
        self.ttl_s = ttl_s
        self.expired = expired
        self._storage = storage
        self._clock = clock
        self._record = record
        self._version = version
        self._lock = lock
        self._guard = threading.Lock()

    @property
    def expires(self) -> float:
        """When it ends, in seconds since 1970."""
        return self._record.expires

    def check(self) -> None:
        """Renew it if its time is over; FencedError if it has passed to another instance."""
        if self._clock.time() >= self.expires:
            self.renew()

    def renew(self) -> None:
        """Let it last `ttl_s` from now; FencedError if it has passed to another instance."""
        with self._guard:
            self._change(replace(self._record, expires=self._clock.time() + self.ttl_s))

    def release(self) -> None:
        """Give it back at once. Harmless if it has passed to another instance already.

        Where it cannot be written, because the disk is full for one, it runs out by itself; on a
        storage with locks it is free for the next instance all the same.
        """
        with self._guard:
            try:
                if not self._record.released:
                    self._change(replace(self._record, released=True))
            except (FencedError, OSError):
                pass
            finally:
                self._unlock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def _change(self, record: _Record) -> None:
        if self._record.released:
            raise InvalidError(f"the lease of job {record.job!r} has been released")
        data = record.encode()
        version = self._storage.replace(_NAME, data, self._version)
        if version is None:
            version = self._after_doubt(data)
        self._record, self._version = record, version

    def _after_doubt(self, data: bytes) -> str:
        """The version of what we wrote, if a repeated request only found itself done."""
        found = _read(self._storage)
        if found is not None and found[0] == data:
            return found[1]
        self._unlock()
        who = "nobody" if found is None else _who(_decode(found[0], self._storage))
        raise FencedError(
            f"job {self._record.job!r} at {self._storage.url} has passed to {who}: this instance "
            f"({self.owner}, generation {self.generation}) did not renew its lease in time"
        )

    def _unlock(self) -> None:
        if self._lock is not None and self._record.lock is not None:
            self._lock.release()
            self._lock = None
            self._storage.delete(self._record.lock)


def acquire(
    storage: Storage, clock: Clock, *, job: str, owner: str, instance: str, ttl_s: float
) -> Lease:
    """Take the lease of a job; LeaseHeldError if another instance has it."""
    if not ttl_s > 0:
        raise InvalidError(f"a lease lasts some time: ttl_s must be above 0, not {ttl_s}")
    found = _read(storage)
    before = None if found is None else _decode(found[0], storage)
    expired = False
    if before is not None:
        if before.job != job:
            raise CheckpointError(
                f"{storage.url} belongs to job {before.job!r}, not to {job!r}: give each job a "
                "place of its own, or pass the same name="
            )
        _need_free(storage, clock, before)
        expired = not before.released and not _is_dead(storage, before)
    name = f"lease-locks/{instance}" if storage.locks else None
    lock = None if name is None else storage.lock(name)
    record = _Record(
        job=job,
        owner=owner,
        host=socket.gethostname(),
        pid=os.getpid(),
        generation=1 if before is None else before.generation + 1,
        expires=clock.time() + ttl_s,
        released=False,
        lock=name,
    )
    version = None
    try:
        version = _swap(storage, record.encode(), None if found is None else found[1])
    finally:
        if version is None and lock is not None and name is not None:
            lock.release()
            storage.delete(name)
    if version is None:
        _lost(storage, clock, job)
    if before is not None and before.lock is not None:
        storage.delete(before.lock)
    return Lease(
        storage,
        clock,
        record=record,
        version=version,
        lock=lock,
        ttl_s=ttl_s,
        expired=expired,
    )


def _swap(storage: Storage, data: bytes, version: str | None) -> str | None:
    """Create or replace the record; its new version, None if another was faster."""
    if version is not None:
        return storage.replace(_NAME, data, version)
    if not storage.create(_NAME, data):
        return None
    found = _read(storage)
    return found[1] if found is not None and found[0] == data else None


def _lost(storage: Storage, clock: Clock, job: str) -> NoReturn:
    """Another instance was faster by a moment."""
    found = _read(storage)
    if found is not None:
        _need_free(storage, clock, _decode(found[0], storage))
    raise CheckpointError(f"the lease of job {job!r} at {storage.url} is contended: try again")


def _need_free(storage: Storage, clock: Clock, record: _Record) -> None:
    left_s = record.expires - clock.time()
    if record.released or left_s <= 0 or _is_dead(storage, record):
        return
    until = datetime.fromtimestamp(record.expires, UTC).isoformat(" ", "seconds")
    raise LeaseHeldError(
        f"job {record.job!r} at {storage.url} is run by {_who(record)} until {until}: stop that "
        f"instance, or wait {left_s:.1f} s until its lease ends if it is dead",
        owner=record.owner,
        host=record.host,
        pid=record.pid,
        expires=record.expires,
    )


def _is_dead(storage: Storage, record: _Record) -> bool:
    """Whether the kernel has freed the holder's lock. Other machines' locks prove nothing."""
    if record.lock is None or not storage.locks or record.host != socket.gethostname():
        return False
    lock = storage.lock(record.lock)
    if lock is None:
        return False
    lock.release()
    return True


def _who(record: _Record) -> str:
    return f"{record.owner!r} (host {record.host}, pid {record.pid})"


def _read(storage: Storage) -> tuple[bytes, str] | None:
    try:
        return storage.read_versioned(_NAME)
    except FileNotFoundError:
        return None


def _decode(data: bytes, storage: Storage) -> _Record:
    name = f"{storage.url}/{_NAME}"
    try:
        document: dict[str, Any] = decode(data, name)
    except CorruptDataError as error:
        raise CorruptDataError(
            f"{error}: see to it that no instance of the job runs, then delete the file"
        ) from None
    written = document.pop("format", None)
    if written != _FORMAT:
        raise CheckpointError(
            f"{name} has format {written}, and this pystream reads format {_FORMAT}: upgrade it"
        )
    return _Record(**document)
