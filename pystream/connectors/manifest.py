"""Which files of a directory are whole: ``_manifest/<job>.jsonl``, for readers to follow.

One file for each job that writes to the directory, named after it (percent-encoded). JSON lines::

    {"manifest": 1, "job": "orders"}
    {"epoch": 7, "files": [{"path": "part-orders-000007-0.parquet", "rows": 12, "bytes": 900}],
     "columns": {"shop": "string", "eur": "double"}}

The first line names the format's version and the job. Each line after it is one epoch: it appears
at once, after all its files have their final names. Paths are relative to the directory. A last
line without its newline is not there: its writer died in it, and the job's next start cuts it off.
Epochs without rows have no line. ``columns``, the names and Arrow types of all columns, stands in
the first line that has them, and holds for those after it.
"""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from pystream.errors import CorruptDataError, SinkError, UnsupportedError
from pystream.storage.flock import flock
from pystream.storage.local import sync_directory

__all__ = ["FOLDER", "Manifest", "listed_files"]

FOLDER = "_manifest"
_VERSION = 1


class Manifest:
    """The manifest of one job, for its writer.

    Attributes
    ----------
    epoch : int
        The last epoch it has; 0 if none.
    columns : dict of str to str, or None
        Those of its files, if it says so.
    """

    def __init__(self, directory: Path, job: str) -> None:
        self.path = directory / FOLDER / f"{quote(job, safe='')}.jsonl"
        self.epoch = 0
        self.columns: dict[str, str] | None = None
        self.job = job
        self._size = 0

    def load(self) -> None:
        """Read it, and cut off a line that was not finished."""
        if not self.path.exists():
            return
        with open(self.path, "rb+") as file, self._locked(file):
            self._read(file)
            file.truncate(self._size)
            os.fsync(file.fileno())

    def _locked(self, file: Any) -> AbstractContextManager[None]:
        return flock(file.fileno(), f"manifest {self.path}", SinkError)

    def _read(self, file: Any) -> None:
        file.seek(0)
        data = file.read()
        data = data[: data.rfind(b"\n") + 1]
        lines = _parse(data, self.path)
        self.epoch = lines[-1]["epoch"] if lines else 0
        known = [line["columns"] for line in lines if "columns" in line]
        self.columns = known[-1] if known else None
        self._size = len(data)

    def append(self, epoch: int, files: list[dict[str, Any]], columns: dict[str, str]) -> None:
        """Add a line for an epoch, durably, unless it is there."""
        new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "ab+", buffering=0) as file, self._locked(file):
            if os.fstat(file.fileno()).st_size != self._size:
                self._read(file)  # another process of the job was here
                file.truncate(self._size)
            if epoch <= self.epoch:
                return
            head = {"manifest": _VERSION, "job": self.job}
            lines: list[dict[str, Any]] = [] if self._size else [head]
            line: dict[str, Any] = {"epoch": epoch, "files": files}
            lines.append(line if columns == self.columns else line | {"columns": columns})
            data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
            file.write(data)
            os.fsync(file.fileno())
            self._size += len(data)
            self.epoch, self.columns = epoch, columns
        if new:
            sync_directory(self.path.parent)
            sync_directory(self.path.parent.parent)


def _parse(data: bytes, path: Path) -> list[dict[str, Any]]:
    """The epochs of a manifest's whole lines."""
    try:
        lines = [json.loads(line) for line in data.split(b"\n")[:-1]]
    except ValueError as failure:
        raise CorruptDataError(f"manifest {path} has a line that is not JSON: {failure}") from None
    if lines and lines[0].get("manifest") != _VERSION:
        raise UnsupportedError(
            f"manifest {path} has format {lines[0].get('manifest')!r}, this version reads "
            f"{_VERSION}: use the pystream that wrote it, or a newer one"
        )
    return lines[1:]


def listed_files(directory: Path) -> list[str] | None:
    """Paths of all files that the manifests of a directory list, by job and epoch.

    None if it has no manifest.
    """
    folder = directory / FOLDER
    if not folder.is_dir():
        return None
    found: dict[str, None] = {}
    for path in sorted(folder.glob("*.jsonl"), key=lambda p: unquote(p.name)):
        data = path.read_bytes()
        for line in _parse(data[: data.rfind(b"\n") + 1], path):
            found.update({str(directory / file["path"]): None for file in line["files"]})
    return list(found)
