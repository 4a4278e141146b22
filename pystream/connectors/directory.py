"""Result batches into a directory of files, each epoch's at once.

With checkpoints, an epoch's files are written under ``_staging``, made durable in `prepare`, and
renamed and listed in the manifest (see `pystream.connectors.manifest`) in `commit`::

    out/_manifest/orders.jsonl                              which files are whole
    out/shop=ams/part-orders-000007-0.parquet               job, epoch, number
    out/_staging/orders/3f2a.../0.staged                    epochs that are not decided yet

Every epoch makes new files, so checkpoints decide how many there are: with one every minute and
three partitions, 180 an hour. `read_parquet` and its like follow the manifest. Programs that list
the directory see each file whole, but in the moment of a commit, or after a crash in one until the
job starts again, only some of the files of an epoch.

Without checkpoints the files are ``part-0.parquet`` and so on. They appear when the run succeeds
and replace those of the run before.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pystream._native.arrow import BatchList
from pystream.connectors import hive
from pystream.connectors.base import (
    IF_EMPTIED,
    RewoundError,
    Sink,
    SinkContext,
    fail_as,
    need_kept,
)
from pystream.connectors.columns import with_types, without_views
from pystream.connectors.file_sinks import FileFormat, FileSink, FileWriter
from pystream.connectors.manifest import FOLDER, Manifest
from pystream.durations import Duration, parse_bytes, parse_duration
from pystream.errors import InvalidError, SchemaError, SinkError
from pystream.plan.schema import Schema
from pystream.storage.local import sync_directory

__all__ = ["DirectorySink", "Rolling", "file_sink"]

_STAGING = "_staging"
# So many files are open at a time; with more partitions the one that waited longest is ended.
_MOST_OPEN = 100
_OWN_NAME = re.compile(r"part-\d+\.\w+")


@dataclass(frozen=True, slots=True)
class Rolling:
    """When a file is full and the next one begins; None is no limit."""

    rows: int | None = None
    bytes: int | None = None
    age_s: float | None = None

    @staticmethod
    def of(verb: str, rows: int | None, bytes: int | str | None, age: Duration | None) -> Rolling:
        """The limits as a user gives them."""
        if rows is not None and (not isinstance(rows, int) or rows < 1):
            raise InvalidError(f"{verb}: max_rows wants a whole number of at least 1, not {rows!r}")
        age_ns = None if age is None else parse_duration(age, "max_age")
        return Rolling(rows, parse_bytes(bytes) or None, None if age_ns is None else age_ns / 1e9)


def file_sink(
    path: str | os.PathLike[str],
    format: FileFormat,
    *,
    partition_by: str | Sequence[str] = (),
    rolling: Rolling = Rolling(),
) -> Sink:
    """The sink of a path: one file if it ends in a suffix, else a directory."""
    if not isinstance(path, str | os.PathLike):
        raise InvalidError(f"{format.verb} wants a path, not {path!r}")
    given = Path(path)
    columns = (partition_by,) if isinstance(partition_by, str) else tuple(partition_by)
    if not given.suffix or given.is_dir() or os.fspath(path).endswith("/"):
        return DirectorySink(given, format, columns, rolling)
    if columns or rolling != Rolling():
        raise InvalidError(
            f"{format.verb}: {os.fspath(path)!r} is one file; partition_by and the limits of a "
            "file's size need a directory: a path without a suffix, or with '/' at its end"
        )
    return FileSink(given, format)


@dataclass(slots=True)
class _Part:
    """A file of the current epoch."""

    values: hive.Partition
    writer: FileWriter
    opened_s: float


class DirectorySink(Sink):
    """Files of a directory; see the module."""

    guarantee = "exactly-once"
    refuses_rewind = True

    def __init__(
        self,
        path: Path,
        format: FileFormat,
        partition_by: Sequence[str] = (),
        rolling: Rolling = Rolling(),
    ) -> None:
        self.path = path
        self.name = f"{format.verb} {path}"
        self._format = format
        self._columns = tuple(partition_by)
        self._rolling = rolling
        self._open: dict[hive.Partition, _Part] = {}  # those written to last are at the end
        self._ended: list[_Part] = []
        self._pending: list[dict[str, Any]] = []
        self._made = 0
        self._schema: Any = None
        self._manifest: Manifest | None = None
        self._job = ""
        self._staging = path

    def open(self, schema: Schema, context: SinkContext) -> None:
        import pyarrow as pa

        self._schema = pa.schema(schema)
        if self._columns:  # rows are picked for each partition
            self._schema = without_views(self._schema)
        hive.check_columns(self._columns, self._schema, self._format.verb)
        self._job = quote(context.job, safe="")
        # A folder for this run: no file of an earlier one is ever written again.
        self._staging = self.path / _STAGING / self._job / uuid.uuid4().hex[:12]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            text = f"{self._format.verb}: cannot write {self.path}"
            raise fail_as(SinkError, text, failure) from failure
        if context.storage is not None:
            self._manifest = Manifest(self.path, context.job)
            self._refuse_unlisted()
        elif (self.path / FOLDER).exists():
            raise InvalidError(
                f"{self.name}: the directory has the output of a job with checkpoints; run this "
                "one with a checkpoint too, or write to another directory"
            )

    def _refuse_unlisted(self) -> None:
        """Files that no manifest lists would vanish for readers once there is one."""
        if (self.path / FOLDER).exists():
            return
        for file in _data_files(self.path, self._format.suffix):
            if not file.name.startswith(f"part-{self._job}-"):
                raise InvalidError(
                    f"{self.name}: the directory has files of something else, such as "
                    f"{file.relative_to(self.path)}, which readers would no longer see; write to "
                    "an empty directory"
                )

    def recover(self, epoch: int, token: Any) -> None:
        if self._manifest is not None:
            self._manifest.load()
            if self._manifest.epoch > epoch:
                raise RewoundError(self.name, self._manifest.job, self._manifest.epoch, epoch)
            need_kept(self.name, self._manifest.job, token, self._manifest.epoch)
            self._refuse_other_columns(self._manifest)
        if token is not None:
            self.commit(epoch, token)
        self._clear_staging()

    def _refuse_other_columns(self, manifest: Manifest) -> None:
        """Readers want one schema: with two, `read_parquet` could not read the directory at all."""
        was, now = manifest.columns, self._named_columns()
        if was is None or list(was.items()) == list(now.items()):
            return
        names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
        told = [
            f"{name!r} was {was.get(name, 'none')}, is {now.get(name, 'none')}" for name in names
        ]
        what = f"column {', '.join(told)}" if told else f"the order was {', '.join(was)}"
        raise SchemaError(
            f"{self.name}: the files of epoch {manifest.epoch} and before have other columns: "
            f"{what}. Write to another directory"
        )

    def _named_columns(self) -> dict[str, str]:
        return {field.name: str(field.type) for field in self._schema}

    def _clear_staging(self) -> None:
        shutil.rmtree(self._staging.parent, ignore_errors=True)
        with contextlib.suppress(OSError):  # other jobs stage there too
            self._staging.parent.parent.rmdir()

    def write(self, batches: BatchList) -> None:
        import pyarrow as pa

        if len(batches) == 0:
            return
        table = with_types(pa.table(batches), self._schema)
        for values, rows in hive.split(table, self._columns):
            kept = self._format.keeps_partition_columns
            self._add(values, rows if kept else rows.drop_columns(list(self._columns)))
        if self._rolling.age_s is not None:
            until = time.monotonic() - self._rolling.age_s
            for part in [part for part in self._open.values() if part.opened_s <= until]:
                self._end(part.values)

    def _add(self, values: hive.Partition, rows: Any) -> None:
        limit = self._rolling.rows
        while rows.num_rows:
            part = self._open.pop(values, None) or self._begin(values)
            self._open[values] = part
            room = rows.num_rows if limit is None else limit - part.writer.rows
            part.writer.write(rows.slice(0, room))
            rows = rows.slice(room)
            full = limit is not None and part.writer.rows >= limit
            most = self._rolling.bytes
            if full or (most is not None and part.writer.bytes >= most):
                self._end(values)

    def _begin(self, values: hive.Partition) -> _Part:
        if len(self._open) >= _MOST_OPEN:
            self._end(next(iter(self._open)))
        schema = self._schema
        if not self._format.keeps_partition_columns:
            for name in self._columns:
                schema = schema.remove(schema.get_field_index(name))
        schema = hive.with_values(schema, self._columns, values, self._schema)
        writer = FileWriter(self._staging / f"{self._made}.staged", schema, self._format)
        self._made += 1
        return _Part(values, writer, time.monotonic())

    def _end(self, values: hive.Partition) -> None:
        part = self._open.pop(values)
        part.writer.close()
        self._ended.append(part)

    def prepare(self, epoch: int) -> Any:
        if self._manifest is None and not self._made and not self._columns:
            self._open[()] = self._begin(())  # an empty result is a file too
        for values in list(self._open):
            self._end(values)
        files = [self._describe(part, path) for part, path in self._paths(epoch)]
        self._ended = []
        if files:
            _sync_up(self._staging, self.path)
        self._pending.append({"epoch": epoch, "files": files})
        has = 0 if self._manifest is None else self._manifest.epoch
        return {"pieces": list(self._pending), "has": has}

    def _paths(self, epoch: int) -> Iterator[tuple[_Part, str]]:
        """The files of an epoch and their final names, the same whenever it is done again."""
        middle = "" if self._manifest is None else f"{self._job}-{epoch:06}-"
        numbers: dict[hive.Partition, int] = {}
        for part in self._ended:
            number = numbers.get(part.values, 0)
            numbers[part.values] = number + 1
            name = f"part-{middle}{number}{self._format.suffix}"
            yield part, "/".join(filter(None, (hive.folder(self._columns, part.values), name)))

    def _describe(self, part: _Part, path: str) -> dict[str, Any]:
        staged = part.writer.path
        return {
            "staged": staged.relative_to(self.path).as_posix(),
            "path": path,
            "rows": part.writer.rows,
            "bytes": part.writer.bytes,
        }

    def commit(self, epoch: int, token: Any) -> None:
        for piece in token["pieces"]:
            if self._manifest is None:
                self._publish(piece)
                self._replace_others(piece["files"])
            elif piece["epoch"] > self._manifest.epoch and piece["files"]:
                self._publish(piece)
                files = [{k: f[k] for k in ("path", "rows", "bytes")} for f in piece["files"]]
                self._manifest.append(piece["epoch"], files, self._named_columns())
        self._pending = [piece for piece in self._pending if piece["epoch"] > epoch]

    def _publish(self, piece: dict[str, Any]) -> None:
        """Give files their final names; those that have them already stay."""
        folders = set()
        for file in piece["files"]:
            target = self.path / file["path"]
            if target.parent not in folders:
                target.parent.mkdir(parents=True, exist_ok=True)
                folders.add(target.parent)
            try:
                os.replace(self.path / file["staged"], target)
            except FileNotFoundError as failure:
                if not target.exists():
                    raise SinkError(
                        f"{self.name}: {file['rows']} rows of epoch {piece['epoch']} are gone: "
                        f"there is neither {file['staged']} nor {file['path']}; {IF_EMPTIED}"
                    ) from failure
        for folder in folders:
            _sync_up(folder, self.path)

    def _replace_others(self, files: Sequence[dict[str, Any]]) -> None:
        """Remove the parts that an earlier run without checkpoints left and this one has not."""
        kept = {self.path / file["path"] for file in files}
        for file in _data_files(self.path, self._format.suffix):
            if _OWN_NAME.fullmatch(file.name) and file not in kept:
                file.unlink()

    def close(self) -> None:
        self._clear_staging()

    def abort(self, error: BaseException) -> None:
        if self._manifest is None and self._made:
            error.add_note(f"what {self._format.verb} had written so far is in {self._staging}")
        with contextlib.ExitStack() as all_of_them:  # also when one cannot be ended
            for part in self._open.values():
                all_of_them.callback(part.writer.close)


def _data_files(directory: Path, suffix: str) -> list[Path]:
    """Files that a reader of the directory would take for data."""
    inside = (file for file in directory.rglob(f"*{suffix}") if file.is_file())
    return [file for file in inside if not hive.is_hidden(file.relative_to(directory))]


def _sync_up(folder: Path, top: Path) -> None:
    """Make the names in a folder, and its own in those above it, durable."""
    for place in (folder, *folder.parents):
        sync_directory(place)
        if place == top:
            break
