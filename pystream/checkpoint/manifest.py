"""The manifest: what a checkpoint is, in one record. Its creation decides the epoch.

``checkpoints/000000000042.json`` is checkpoint 42, ``savepoints/NAME.json`` a savepoint; both are
records (record.py) with these members:

    ``format``       4; readers refuse 1, which called columns of state after aggregates, and
                     what is newer
    ``pystream``     version that wrote it
    ``job``          name of the job
    ``epoch``        number of the checkpoint; consecutive
    ``savepoint``    its name, or null
    ``created``      seconds since 1970
    ``instance``     which run of the job wrote it
    ``parallelism``  shards that wrote the state
    ``finished``     whether the input had ended
    ``positions``    use of a source -> partition -> position, any JSON
    ``uses``         of sources, described (uses.py); not in format 2
    ``sink``         what the sink was called, or null; not in formats 2 and 3
    ``sink_token``   what the sink's ``prepare`` answered, any JSON
    ``operators``    descriptors of the stateful operators (migration.py)
    ``files``        state files, in the order in which they are restored:
                     ``name``, ``operator``, ``key_groups`` [first, stop), ``kind`` full|increment,
                     ``epoch``, ``rows``, ``bytes``, ``blocks`` [[bytes, CRC-32C], ...]

A seal has the name of a checkpoint and is none: the epoch will never be decided. It has ``format``,
``pystream``, ``job``, ``epoch``, and ``sealed``, the instance that made it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pystream.checkpoint.record import decode, encode
from pystream.errors import CheckpointError, CorruptDataError

__all__ = [
    "FORMAT",
    "Manifest",
    "SealedError",
    "StateFile",
    "decode_manifest",
    "encode_manifest",
    "encode_seal",
]

FORMAT = 4
_OLDEST = 2  # that is read


@dataclass(frozen=True, slots=True)
class StateFile:
    """One file of a checkpoint, and all that is needed to verify it."""

    name: str
    operator: str
    key_groups: tuple[int, int]
    kind: str
    epoch: int
    rows: int
    bytes: int
    blocks: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The members of a manifest; see the module."""

    job: str
    epoch: int
    created: float
    instance: str
    parallelism: int
    finished: bool
    positions: Mapping[str, Mapping[str, Any]]
    sink_token: Any
    operators: Sequence[Mapping[str, Any]]
    files: Sequence[StateFile]
    savepoint: str | None = None
    pystream: str = ""
    uses: Sequence[Mapping[str, Any]] = ()
    sink: str | None = None


class SealedError(FileNotFoundError):
    """The epoch is sealed: there is no checkpoint of it, and never will be."""


def encode_seal(job: str, epoch: int, instance: str, pystream: str) -> bytes:
    """The record of a seal."""
    return encode(
        {"format": FORMAT, "pystream": pystream, "job": job, "epoch": epoch, "sealed": instance}
    )


def encode_manifest(manifest: Manifest) -> bytes:
    """The record of a manifest."""
    document = {name: getattr(manifest, name) for name in Manifest.__slots__ if name != "files"}
    files = [asdict(file) for file in manifest.files]
    return encode({"format": FORMAT, **document, "files": files})


def decode_manifest(data: bytes, name: str, job: str | None) -> Manifest:
    """The manifest of a record.

    Raises
    ------
    CorruptDataError
        It is damaged.
    CheckpointError
        It is whole, and of another job, or of another format.
    SealedError
        It is a seal.
    """
    document = decode(data, name)
    written = document.pop("format", None)
    if not isinstance(written, int):
        raise CorruptDataError(f"{name} does not say its format")
    if written > FORMAT:
        raise CheckpointError(
            f"{name} has format {written}, written by pystream {document.get('pystream')}; this "
            f"pystream reads format {FORMAT}: upgrade it"
        )
    if written < _OLDEST:
        raise CheckpointError(
            f"{name} has the older format {written}, written by pystream "
            f"{document.get('pystream')}; this pystream reads formats {_OLDEST} to {FORMAT}: "
            "end the job with the pystream that wrote it, then start with another place for "
            "checkpoints"
        )
    if job is not None and document.get("job") != job:
        raise CheckpointError(
            f"{name} is a checkpoint of job {document.get('job')!r}, not of {job!r}: give each job "
            "a place of its own, or pass the same name="
        )
    if "sealed" in document:
        raise SealedError(f"epoch {document['epoch']} was sealed by instance {document['sealed']}")
    try:
        files = [_file(entry) for entry in document.pop("files")]
        return Manifest(**document, files=files)
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptDataError(f"{name} is no manifest of format {written}: {error}") from None


def _file(entry: dict[str, Any]) -> StateFile:
    first, stop = entry.pop("key_groups")
    blocks = tuple((int(size), int(value)) for size, value in entry.pop("blocks"))
    return StateFile(**entry, key_groups=(first, stop), blocks=blocks)
