"""Result batches into one Parquet, CSV or Arrow IPC file: written aside, renamed on success."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pystream._native.arrow import BatchList
from pystream.connectors.base import Sink, SinkContext, fail_as
from pystream.connectors.columns import with_types, without_views
from pystream.errors import InvalidError, SinkError
from pystream.plan.schema import Schema

__all__ = ["CsvFormat", "FileFormat", "FileSink", "FileWriter", "IpcFormat", "ParquetFormat"]

# Small results are gathered into row groups of about this many rows.
_GROUP_ROWS = 131_072


class FileFormat(ABC):
    """How rows are laid out in a file.

    Attributes
    ----------
    verb, suffix
        What errors call the sink; how names of files end.
    keeps_partition_columns
        Whether files in a directory named after values have these columns all the same.
    """

    verb = ""
    suffix = ""
    keeps_partition_columns = False

    @abstractmethod
    def open(self, path: str, schema: Any) -> Any:
        """A pyarrow writer with write_table and close."""


class ParquetFormat(FileFormat):
    """Parquet, for whatever reads it."""

    verb = "write_parquet"
    suffix = ".parquet"

    def __init__(self, compression: str) -> None:
        self._compression = compression

    def open(self, path: str, schema: Any) -> Any:
        import pyarrow.parquet as pq

        wanted = without_views(schema, dictionaries_only=True)
        return _CastingWriter(pq.ParquetWriter(path, wanted, compression=self._compression), wanted)


class CsvFormat(FileFormat):
    """CSV with a header; it has no place for metadata, so all columns are in the file."""

    verb = "write_csv"
    suffix = ".csv"
    keeps_partition_columns = True

    def __init__(self, delimiter: str) -> None:
        if not isinstance(delimiter, str) or len(delimiter) != 1:
            raise InvalidError(f"write_csv: delimiter must be one character, not {delimiter!r}")
        self._delimiter = delimiter

    def open(self, path: str, schema: Any) -> Any:
        from pyarrow import csv

        wanted = _of_csv(schema)
        options = csv.WriteOptions(delimiter=self._delimiter)
        return _CastingWriter(csv.CSVWriter(path, wanted, write_options=options), wanted)


class _CastingWriter:
    """A pyarrow writer that does not take every layout, and the schema that it does take."""

    def __init__(self, writer: Any, schema: Any) -> None:
        self._writer = writer
        self._schema = schema

    def write_table(self, table: Any) -> None:
        self._writer.write_table(with_types(table, self._schema))

    def close(self) -> None:
        self._writer.close()


def _of_csv(schema: Any) -> Any:
    """The schema in types that pyarrow writes as CSV."""
    import pyarrow as pa

    for field in schema:
        if pa.types.is_nested(field.type) or pa.types.is_interval(field.type):
            raise SinkError(
                f"write_csv: column {field.name!r} is {field.type}, which CSV has no form for: "
                "drop it, or make text of it with map_batches, or write Parquet"
            )
    return without_views(schema)


class IpcFormat(FileFormat):
    """Arrow IPC files, which are memory-mapped when read."""

    verb = "write_ipc"
    suffix = ".arrow"

    def __init__(self, compression: str | None) -> None:
        self._compression = compression

    def open(self, path: str, schema: Any) -> Any:
        import pyarrow as pa

        options = pa.ipc.IpcWriteOptions(compression=self._compression)
        return pa.ipc.new_file(path, schema, options=options)


class FileWriter:
    """A file being written, in groups of rows."""

    def __init__(self, path: Path, schema: Any, format: FileFormat) -> None:
        self.path = path
        self.rows = 0
        self._writer: Any = None
        self._waiting: list[Any] = []
        self._waiting_rows = 0
        self._verb = format.verb
        with self._failing():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = format.open(os.fspath(path), schema)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except (OSError, pa.ArrowException) as failure:
            text = f"{self._verb}: cannot write {self.path}"
            raise fail_as(SinkError, text, failure) from failure

    def write(self, table: Any) -> None:
        """Add rows; they are in the file after enough have come, or after `close`."""
        self.rows += table.num_rows
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        if self._waiting_rows >= _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting_rows:
            table = pa.concat_tables(self._waiting).combine_chunks()
            with self._failing():
                self._writer.write_table(table)
        self._waiting, self._waiting_rows = [], 0

    @property
    def bytes(self) -> int:
        """How long the file is so far."""
        return self.path.stat().st_size

    def close(self) -> None:
        """End the file durably; harmless when it has ended."""
        if self._writer is None:
            return
        try:
            self._flush()
        finally:
            writer, self._writer = self._writer, None
            with self._failing():
                writer.close()
        with self._failing(), open(self.path, "rb") as file:
            os.fsync(file.fileno())


class FileSink(Sink):
    """One file, which appears under its name when the run succeeds; without checkpoints only."""

    guarantee = "exactly-once"

    def __init__(self, path: Path, format: FileFormat) -> None:
        self.path = path
        self.name = f"{format.verb} {path}"
        self._format = format
        self._partial = path.with_name(f".{path.name}.partial")
        self._writer: FileWriter | None = None

    def open(self, schema: Schema, context: SinkContext) -> None:
        import pyarrow as pa

        if context.storage is not None:
            raise InvalidError(
                f"{self._format.verb}: {str(self.path)!r} is one file, and a job with checkpoints "
                f"adds files as it goes: give a directory, such as {self.path.stem + '/'!r}"
            )
        self._writer = FileWriter(self._partial, pa.schema(schema), self._format)

    def write(self, batches: BatchList) -> None:
        import pyarrow as pa

        assert self._writer is not None
        if len(batches):
            self._writer.write(pa.table(batches))

    def prepare(self, epoch: int) -> None:
        assert self._writer is not None
        self._writer.close()
        self._writer = None

    def commit(self, epoch: int, token: Any) -> None:
        os.replace(self._partial, self.path)

    def abort(self, error: BaseException) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            error.add_note(f"what {self._format.verb} had written so far is in {self._partial}")
