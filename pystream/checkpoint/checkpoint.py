"""One decided checkpoint, open for reading."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pystream.checkpoint.manifest import Manifest, StateFile
from pystream.checkpoint.state_file import read_batches
from pystream.errors import CheckpointError, CorruptDataError

if TYPE_CHECKING:
    import pyarrow as pa

    from pystream.storage.base import Storage

__all__ = ["Checkpoint", "DamagedError"]


class DamagedError(CheckpointError):
    """A checkpoint that lacks a state file, or has one that is not what was written."""


class Checkpoint:
    """What one manifest says, and the state that it names.

    Attributes
    ----------
    epoch
        Its number.
    savepoint
        Its name if it is a savepoint.
    positions
        Use of a source, then partition, to the position after this epoch's input.
    uses
        Descriptions of the uses of sources.
    sink
        What the sink was called, if that is known.
    sink_token
        What the sink needs to finish this epoch's commit.
    operators
        Descriptors of the stateful operators.
    parallelism
        How many shards wrote it.
    created
        When, in UTC.
    finished
        Whether the input had ended.
    files
        Its state files, in the order in which they are restored.
    """

    def __init__(self, storage: Storage, manifest: Manifest) -> None:
        self._storage = storage
        self.manifest = manifest
        self.job = manifest.job
        self.epoch = manifest.epoch
        self.savepoint = manifest.savepoint
        self.positions: Mapping[str, Mapping[str, Any]] = manifest.positions
        self.uses: Sequence[Mapping[str, Any]] = manifest.uses
        self.sink = manifest.sink
        self.sink_token = manifest.sink_token
        self.operators: Sequence[Mapping[str, Any]] = manifest.operators
        self.parallelism = manifest.parallelism
        self.created = datetime.fromtimestamp(manifest.created, UTC)
        self.finished = manifest.finished
        self.files: Sequence[StateFile] = manifest.files

    def __repr__(self) -> str:
        name = f" savepoint {self.savepoint!r}" if self.savepoint else ""
        return f"<Checkpoint {self.epoch}{name} of job {self.job!r}, {self.bytes:,} bytes>"

    @property
    def bytes(self) -> int:
        """Size of its state files."""
        return sum(file.bytes for file in self.files)

    def pieces(self, operator: str) -> Iterator[pa.RecordBatch]:
        """The state of one operator: full files first, then increments, oldest first.

        Files of one epoch are of different key groups and take turns: shards that restore them are
        busy at the same time.

        Raises
        ------
        CorruptDataError
            A file is not what was written. Raised before anything of the damaged block is handed
            out; what came before it was verified.
        """
        files = [file for file in self.files if file.operator == operator]
        for _, together in itertools.groupby(files, lambda file: (file.kind, file.epoch)):
            reading = [self.read(file) for file in together]
            try:
                while reading:
                    for reader in tuple(reading):
                        piece = next(reader, None)
                        if piece is None:
                            reading.remove(reader)
                        else:
                            yield piece
            finally:
                for reader in reading:
                    reader.close()

    def read(self, file: StateFile) -> Generator[pa.RecordBatch, None, None]:
        """The batches of one of its files, verified."""
        name = f"{self._storage.url}/{file.name}"
        try:
            opened = self._storage.open_input(file.name)
        except FileNotFoundError:
            raise CorruptDataError(f"state file {name} is missing") from None
        with opened:
            yield from read_batches(opened, list(file.blocks), name)

    def missing(self) -> str | None:
        """Why it cannot be restored, as far as names and sizes tell; None if they are right."""
        for file in self.files:
            try:
                size = self._storage.size(file.name)
            except FileNotFoundError:
                return f"its state file {file.name} is missing"
            if size != file.bytes:
                return f"its state file {file.name} has {size} bytes instead of {file.bytes}"
        return None

    def verify(self) -> None:
        """Read every file; CorruptDataError if one is not what was written."""
        for file in self.files:
            for _ in self.read(file):
                pass
