"""Where checkpoints live.

::

    checkpoints/000000000042.json    manifest of checkpoint 42 (manifest.py)
    savepoints/NAME.json             the same, never expired
    state/000000000042-INSTANCE-0003.OPERATOR.0000-0512.arrow    state files (state_file.py)
    lease.json                       who runs the job (lease.py)

A storage holds one job. State files are durable before their manifest is created, and creating it
is the one event that decides an epoch: `Storage.create` lets one instance win. Epochs are
consecutive, so two instances that went on from the same checkpoint meet at the same name, whatever
they missed of each other. An instance that wakes so late that this name has expired already sees
later checkpoints right after creating its own, and has lost too.

Whoever takes over a lease that ran out seals that name before looking for the latest checkpoint:
the instance before may only be asleep, anywhere between its last look at its lease and the creation
of its next manifest, and what its sink staged for that epoch is about to be thrown away.

Expiry removes manifests first and then files that no manifest names, so a crash in between leaves
only files to be found again. It looks only at files of decided epochs: those of an epoch under way,
ours or another instance's, are not its business.
"""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pystream._native.core import version
from pystream.checkpoint.checkpoint import Checkpoint, DamagedError
from pystream.checkpoint.lease import Clock, Lease, acquire
from pystream.checkpoint.manifest import (
    Manifest,
    SealedError,
    StateFile,
    decode_manifest,
    encode_manifest,
    encode_seal,
)
from pystream.checkpoint.state_file import COMPRESSIONS
from pystream.checkpoint.writer import CheckpointWriter
from pystream.errors import CheckpointError, CorruptDataError, FencedError, InvalidError

if TYPE_CHECKING:
    from pystream.storage.base import Storage

__all__ = ["CheckpointStore"]

_CHECKPOINT = re.compile(r"checkpoints/(\d{12,})\.json")
_SAVEPOINT = re.compile(r"savepoints/(.+)\.json")
_OF_EPOCH = re.compile(r"(?:state|checkpoints)/(?:\.tmp-)?(\d{12,})[-.]")
_SAVEPOINT_NAME = re.compile(r"(?!(\d+|latest|none)\Z)[A-Za-z0-9_][A-Za-z0-9_.=-]{0,99}")
_INCREMENTS_MAX = 32
_SEALED = "it is sealed"


class CheckpointStore:
    """Checkpoints of one job on a storage. Make one for each run.

    Parameters
    ----------
    storage
        Where they live.
    job
        Name of the job; checkpoints of another are refused. None: read any.
    clock
        Tells seconds since 1970.
    instance
        What tells files of this run from those of others; random if None.
    compression
        Of state files: ``"none"``, ``"lz4"`` or ``"zstd"``.

    Attributes
    ----------
    warnings
        What a person should know: checkpoints that were passed over, and why.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        job: str | None,
        clock: Clock = time,
        instance: str | None = None,
        compression: str = "none",
    ) -> None:
        if compression not in COMPRESSIONS:
            raise InvalidError(f"compression is one of {COMPRESSIONS}, not {compression!r}")
        self.storage = storage
        self.clock = clock
        self.instance = instance or uuid.uuid4().hex
        self.compression = compression
        self.warnings: list[str] = []
        self._job = job
        self._seen: int | None = None  # newest epoch that this run goes on from
        self._own: Checkpoint | None = None  # newest that this run decided
        self._writer: CheckpointWriter | None = None
        self._lease: Lease | None = None
        self._sealed: dict[int, bool] = {}  # what is known of the numbers that are there
        self._passed_over: dict[int, str] = {}  # by epoch: why it cannot be restored

    @property
    def job(self) -> str:
        """Name of the job."""
        if self._job is None:
            raise InvalidError("a store without a job only reads")
        return self._job

    # ---- reading ----

    def epochs(self) -> list[int]:
        """The decided epochs that have not expired, ascending."""
        known, numbers = self._sealed, self._numbers()
        self._sealed = {n: known[n] if n in known else self._is_sealed(n) for n in numbers}
        return [number for number in numbers if not self._sealed[number]]

    def _numbers(self) -> list[int]:
        """The epochs that cannot be decided any more: decided or sealed."""
        return sorted(int(m[1]) for m in self._names("checkpoints/", _CHECKPOINT))

    def _is_sealed(self, epoch: int) -> bool:
        try:
            self._open(_manifest_name(epoch))
        except SealedError:
            return True
        except (FileNotFoundError, CorruptDataError, CheckpointError):
            pass
        return False

    def savepoints(self) -> list[str]:
        """Names of the savepoints, sorted."""
        return sorted(m[1] for m in self._names("savepoints/", _SAVEPOINT))

    @property
    def next_epoch(self) -> int:
        """The epoch that the next `begin` is for."""
        if self._seen is None:
            self._seen = max(self._numbers(), default=0)
        return self._seen + 1

    def latest(self) -> Checkpoint | None:
        """The newest whole checkpoint; None if there is none at all.

        One that is damaged, or lacks a file, is passed over, and `warnings` says so; so is one
        that `pass_over` was told of. This is where a run starts: the epoch that follows the newest
        one, whole or not, is its next.

        Raises
        ------
        CheckpointError
            It is of another job or of a newer pystream; or there are checkpoints, and none whole.
        """
        for epoch in self._newest_first():
            if epoch in self._passed_over:
                continue
            name = _manifest_name(epoch)
            checkpoint, problem = self._try(name)
            if problem == _SEALED:
                continue
            if checkpoint is not None:
                self.storage.sync(name)  # what is built on it must not outlast it
                return checkpoint
            self.pass_over(epoch, problem)
        if self._passed_over:
            raise CheckpointError(
                "none of the checkpoints can be restored:\n  "
                + "\n  ".join(self._passed_over.values())
            )
        return None

    def _newest_first(self) -> list[int]:
        """The numbers that are there when a run begins: it goes on behind all of them."""
        epochs = self._numbers()
        if self._own is None:
            self._seen = max(epochs, default=0)
        return epochs[::-1]

    def pass_over(self, epoch: int, problem: str) -> None:
        """Let `latest` go on to the one before this checkpoint, which turned out to be damaged."""
        text = f"checkpoint {epoch} at {self.storage.url} passed over: {problem}"
        self._passed_over[epoch] = text
        self.warnings.append(text)

    @property
    def passed_over(self) -> Sequence[str]:
        """Why `latest` did not answer the checkpoints after the one that it did, newest first."""
        return list(self._passed_over.values())

    def newest_manifest(self) -> Checkpoint | None:
        """The newest decided epoch whose manifest can be read, whatever became of its state."""
        for epoch in self._newest_first():
            try:
                return self._open(_manifest_name(epoch))
            except (FileNotFoundError, CorruptDataError):
                continue
        return None

    def newest_intact(self) -> int | None:
        """The newest epoch whose files are all as they were written. Reads them."""
        for epoch in reversed(self._numbers()):
            with contextlib.suppress(FileNotFoundError, CorruptDataError):
                self._open(_manifest_name(epoch)).verify()
                return epoch
        return None

    def load(self, which: int | str) -> Checkpoint:
        """The checkpoint of an epoch, or a savepoint by name, if it is whole.

        Raises
        ------
        CheckpointError
            There is none of that name, or it is of another job or a newer pystream.
        DamagedError
            It lacks files.
        CorruptDataError
            Its manifest is damaged.
        """
        is_epoch = isinstance(which, int) or which.isdecimal()
        name = _manifest_name(int(which)) if is_epoch else f"savepoints/{which}.json"
        try:
            checkpoint = self._open(name)
        except FileNotFoundError:
            raise self._no_such(which) from None
        problem = checkpoint.missing()
        if problem is not None:
            raise DamagedError(
                f"checkpoint {which} at {self.storage.url} cannot be restored: {problem}"
            )
        self.storage.sync(name)
        return checkpoint

    def _no_such(self, which: int | str) -> CheckpointError:
        there = [str(epoch) for epoch in self.epochs()] + self.savepoints()
        listed = ", ".join(there) or "nothing"
        return CheckpointError(
            f"there is no checkpoint or savepoint {which!r} at {self.storage.url}; there is "
            f"{listed}"
        )

    def _names(self, prefix: str, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        for name in self.storage.list(prefix):
            found = pattern.fullmatch(name)
            if found is not None:
                yield found

    def _open(self, name: str) -> Checkpoint:
        data = self.storage.read(name)
        return Checkpoint(
            self.storage, decode_manifest(data, f"{self.storage.url}/{name}", self._job)
        )

    def _try(self, name: str) -> tuple[Checkpoint | None, str]:
        """A whole checkpoint, or why it is none."""
        try:
            checkpoint = self._open(name)
        except SealedError:
            return None, _SEALED
        except FileNotFoundError:
            return None, "it expired while it was looked for"
        except CorruptDataError as error:
            return None, str(error)
        problem = checkpoint.missing()
        return (checkpoint, "") if problem is None else (None, problem)

    # ---- writing ----

    def begin(
        self, epoch: int, *, full: bool = True, savepoint: str | None = None
    ) -> CheckpointWriter:
        """Start to write a checkpoint.

        Parameters
        ----------
        epoch
            `next_epoch`.
        full
            Whether all state will be added, or only what changed since the checkpoint that this
            run decided before.
        savepoint
            Keep it under this name too.
        """
        if self._writer is not None:
            raise InvalidError(f"checkpoint {self._writer.epoch} is still being written")
        if epoch != self.next_epoch:
            raise InvalidError(
                f"epochs are consecutive: the next is {self.next_epoch}, not {epoch}"
            )
        if savepoint is not None:
            self.need_free_name(savepoint)
        if not full and self._own is None:
            raise InvalidError("the first checkpoint of a run is a full one: begin(full=True)")
        base = None if full or self._own is None else self._own.files
        self._writer = CheckpointWriter(self, epoch, base, savepoint)
        return self._writer

    def full_due(self) -> bool:
        """Whether the next checkpoint should be full.

        It must be for the first of a run. It should be when the increments since the last full
        one take as much room as that one, or are many: restoring reads them all.
        """
        if self._own is None:
            return True
        files = self._own.files
        base = sum(file.bytes for file in files if file.kind == "full")
        grown = sum(file.bytes for file in files if file.kind == "increment")
        increments = {file.epoch for file in files if file.kind == "increment"}
        return grown > base or len(increments) >= _INCREMENTS_MAX

    def decide(self, manifest: Manifest) -> Checkpoint:
        """Create the manifest; for `CheckpointWriter.commit` only."""
        self._writer = None
        name = _manifest_name(manifest.epoch)
        data = encode_manifest(manifest)
        if not self._create(name, data):
            self._delete_quietly(_written_by(manifest))
            raise self._fenced(manifest.epoch, f"it was decided by another: {self._by(name)}")
        newest = max(self._numbers())
        if newest > manifest.epoch:
            raise self._fenced(manifest.epoch, f"checkpoint {newest} is there already")
        self._seen = manifest.epoch
        self._own = Checkpoint(self.storage, manifest)
        return self._own

    def forget(self, writer: CheckpointWriter) -> None:
        """Let the next one begin; for `CheckpointWriter.abort` only."""
        if self._writer is writer:
            self._writer = None

    def _create(self, name: str, data: bytes) -> bool:
        """Whether what is there now is ours, even if the answer to our request was lost."""
        if self.storage.create(name, data):
            return True
        try:
            if self.storage.read(name) != data:
                return False
            self.storage.sync(name)
        except FileNotFoundError:
            return False
        return True

    def _by(self, name: str) -> str:
        try:
            return f"instance {self._open(name).manifest.instance}"
        except SealedError as seal:
            return str(seal)
        except (FileNotFoundError, CorruptDataError, CheckpointError):
            return "it cannot be read"

    def _fenced(self, epoch: int, why: str) -> FencedError:
        return FencedError(
            f"checkpoint {epoch} of job {self._job!r} at {self.storage.url} is not ours "
            f"(instance {self.instance}): {why}; another instance of the job is running"
        )

    # ---- keeping ----

    def savepoint(self, name: str, checkpoint: Checkpoint | None = None) -> Checkpoint:
        """Keep a checkpoint under a name, until someone deletes it.

        Parameters
        ----------
        name
            Letters, digits and ``_.=-``; not only digits.
        checkpoint
            Which; that which this run decided last if None.
        """
        self.need_free_name(name)
        kept = checkpoint or self._own
        if kept is None:
            raise CheckpointError("there is no checkpoint yet to make a savepoint of")
        manifest = replace(kept.manifest, savepoint=name)
        path = f"savepoints/{name}.json"
        if not self._create(path, encode_manifest(manifest)):
            raise CheckpointError(f"there is a savepoint {name!r} at {self.storage.url} already")
        made = Checkpoint(self.storage, manifest)
        problem = made.missing()
        if problem is not None:
            self.storage.delete(path)
            raise CheckpointError(f"savepoint {name!r} came too late: {problem}")
        return made

    def expire(self, keep: int = 3) -> list[str]:
        """Remove all but the newest checkpoints, and files that nothing refers to any more.

        Never savepoints. Answers the names of the removed files.
        """
        if keep < 1:
            raise InvalidError(f"at least one checkpoint is kept, not {keep}")
        self.check_lease()
        epochs = self.epochs()
        oldest = epochs[-keep] if len(epochs) > keep else 0
        removed = [_manifest_name(number) for number in self._numbers() if number < oldest]
        for name in removed:
            self.storage.delete(name)
        used = self._used()
        if used is None or not epochs:
            return removed
        torn = [*self.storage.leftovers("state/"), *self.storage.leftovers("checkpoints/")]
        for name in [*self.storage.list("state/"), *torn]:
            found = _OF_EPOCH.match(name)
            if found is not None and int(found[1]) <= epochs[-1] and name not in used:
                self.storage.delete(name)
                removed.append(name)
        return removed

    def _used(self) -> set[str] | None:
        """Files that manifests refer to; None if one cannot be read, and so nothing is known."""
        used: set[str] = set()
        manifests = [m[0] for m in self._names("checkpoints/", _CHECKPOINT)]
        manifests += [m[0] for m in self._names("savepoints/", _SAVEPOINT)]
        for name in manifests:
            try:
                used.update(file.name for file in self._open(name).files)
            except FileNotFoundError:
                continue
            except CorruptDataError as error:
                self.warnings.append(f"no state files are removed while {error}; delete it")
                return None
        return used

    def need_free_name(self, name: str) -> None:
        """Refuse a name that no savepoint can have, or one has."""
        if not isinstance(name, str) or not _SAVEPOINT_NAME.fullmatch(name):
            raise InvalidError(
                "a savepoint's name is up to 100 letters, digits and _.=-, not only digits and "
                f"neither latest nor none: {name!r}"
            )
        if name in self.savepoints():
            raise CheckpointError(f"there is a savepoint {name!r} at {self.storage.url} already")

    def _delete_quietly(self, files: Sequence[StateFile]) -> None:
        for file in files:
            try:
                self.storage.delete(file.name)
            except OSError:
                return

    # ---- who runs the job ----

    def acquire(self, owner: str, ttl_s: float) -> Lease:
        """Become the instance that runs the job.

        From now on `commit` and `expire` see to it that the lease still holds. Whoever owns it
        renews it at least every third of `ttl_s`.

        Raises
        ------
        LeaseHeldError
            Another instance runs it. Its lease passes on when it was released, has run out, or on
            a local disk as soon as its process is dead.
        """
        try:
            self._lease = acquire(
                self.storage,
                self.clock,
                job=self.job,
                owner=owner,
                instance=self.instance,
                ttl_s=ttl_s,
            )
            if self._lease.expired:
                self._seal()
        except OSError as error:
            raise CheckpointError(
                f"{self.storage.url} cannot hold the checkpoints of job {self.job!r}: "
                f"{error.strerror or error}"
            ) from error
        if not self.storage.conditional:
            self.warnings.append(
                f"{self.storage.url} cannot create files exclusively: two instances of job "
                f"{self.job!r} that start at the same moment are not kept apart"
            )
        return self._lease

    def _seal(self) -> None:
        """Take the next epoch from an instance that may still wake and decide it."""
        sealed = False
        while not sealed:
            epoch = max(self._numbers(), default=0) + 1
            seal = encode_seal(self.job, epoch, self.instance, version())
            sealed = self._create(_manifest_name(epoch), seal)

    def check_lease(self) -> None:
        """FencedError if a lease was taken and another instance has it now."""
        if self._lease is not None:
            self._lease.check()


def _manifest_name(epoch: int) -> str:
    return f"checkpoints/{epoch:012d}.json"


def _written_by(manifest: Manifest) -> list[StateFile]:
    return [file for file in manifest.files if file.epoch == manifest.epoch]
