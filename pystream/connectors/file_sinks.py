"""Result batches into Parquet, CSV or Arrow IPC files: written aside, renamed on success."""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import Any

from pystream._native.arrow import BatchList
from pystream.connectors.base import Sink, SinkContext, fail_as
from pystream.errors import InvalidError, SinkError
from pystream.plan.schema import Schema

__all__ = ["CsvSink", "IpcSink", "ParquetSink"]

# Small results are gathered into row groups of about this many rows.
_GROUP_ROWS = 131_072


class _FileSink(Sink):
    """One file: ``path`` itself if it has a suffix, else ``path/part-0.<suffix>``."""

    suffix = ""
    verb = ""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        given = Path(path)
        if given.suffix and not given.is_dir():
            self.path = given
        else:
            self.path = given / f"part-0{self.suffix}"
        self.name = f"{self.verb} {self.path}"
        self._partial = self.path.with_name(f".{self.path.name}.partial")
        self._writer: Any = None
        self._schema: Any = None
        self._waiting: list[Any] = []
        self._waiting_rows = 0

    @abstractmethod
    def _open_writer(self, path: str, schema: Any) -> Any:
        """A pyarrow writer with write_table and close."""

    def open(self, schema: Schema, context: SinkContext) -> None:
        import pyarrow as pa

        self._schema = pa.schema(schema)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._open_writer(os.fspath(self._partial), self._schema)
        except (OSError, pa.ArrowException) as failure:
            raise fail_as(SinkError, f"{self.verb}: cannot write {self.path}", failure) from failure

    def write(self, batches: BatchList) -> None:
        import pyarrow as pa

        if len(batches) == 0:
            return
        table = pa.table(batches)
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        if self._waiting_rows >= _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting_rows:
            table = pa.concat_tables(self._waiting)
            try:
                self._writer.write_table(table.combine_chunks())
            except (OSError, pa.ArrowException) as failure:
                text = f"{self.verb}: cannot write {self.path}"
                raise fail_as(SinkError, text, failure) from failure
        self._waiting, self._waiting_rows = [], 0

    def prepare(self, epoch: int) -> None:
        self._flush()
        self._writer.close()
        self._writer = None

    def commit(self, epoch: int, token: Any) -> None:
        os.replace(self._partial, self.path)

    def abort(self, error: BaseException) -> None:
        if self._writer is None:
            return
        try:
            self._flush()
        finally:
            self._writer.close()
            self._writer = None
        error.add_note(f"what {self.verb} had written so far is in {self._partial}")


class ParquetSink(_FileSink):
    """One Parquet file."""

    suffix = ".parquet"
    verb = "write_parquet"

    def __init__(self, path: str | os.PathLike[str], compression: str) -> None:
        super().__init__(path)
        self._compression = compression

    def _open_writer(self, path: str, schema: Any) -> Any:
        import pyarrow.parquet as pq

        return pq.ParquetWriter(path, schema, compression=self._compression)


class CsvSink(_FileSink):
    """One CSV file with a header."""

    suffix = ".csv"
    verb = "write_csv"

    def __init__(self, path: str | os.PathLike[str], delimiter: str) -> None:
        super().__init__(path)
        if len(delimiter) != 1:
            raise InvalidError(f"write_csv: delimiter must be one character, not {delimiter!r}")
        self._delimiter = delimiter

    def _open_writer(self, path: str, schema: Any) -> Any:
        from pyarrow import csv

        return csv.CSVWriter(
            path, schema, write_options=csv.WriteOptions(delimiter=self._delimiter)
        )


class IpcSink(_FileSink):
    """One Arrow IPC file."""

    suffix = ".arrow"
    verb = "write_ipc"

    def _open_writer(self, path: str, schema: Any) -> Any:
        import pyarrow as pa

        return pa.ipc.new_file(path, schema)
