"""Parquet, CSV and Arrow IPC files: read in sorted path order, batch by batch, memory bounded."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pystream.connectors.base import Position, Reader, Source, fail_as
from pystream.errors import InvalidError, PystreamError, SchemaError, SourceError
from pystream.plan.schema import Schema

__all__ = ["CsvSource", "IpcSource", "ParquetSource", "find_files"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

# Two batches ahead keep the decoder busy without holding much.
_READ_AHEAD = 2


def find_files(paths: Paths, suffixes: tuple[str, ...], verb: str) -> list[str]:
    """Files of a path, a directory, a pattern or a list of them, each group sorted by name."""
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found: list[str] = []
    for item in given:
        text = os.fspath(item)
        path = Path(text)
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.suffix in suffixes and p.is_file())
            names = sorted(str(p) for p in inside if not p.name.startswith((".", "_")))
        elif path.exists() or not glob.has_magic(text):
            names = [text]
        else:
            names = sorted(glob.glob(text, recursive=True))
        if not names:
            raise SourceError(f"{verb}: no file matches {text!r}")
        found += names
    for name in found:
        if not os.path.isfile(name):
            raise SourceError(f"{verb}: there is no file {name!r}")
    if not found:
        raise InvalidError(f"{verb}: an empty list of paths")
    return found


def _title(files: Sequence[str]) -> str:
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"


class _FileSource(Source):
    """Common part: files, the schema of the first, an error that names the file."""

    format = "file"

    def __init__(self, files: list[str]) -> None:
        self.files = files
        self.name = _title(files)
        try:
            self._schema = self._read_schema(files[0])
        except PystreamError:
            raise
        except Exception as failure:
            raise self._broken(files[0], failure) from failure

    def schema(self) -> Any:
        return self._schema

    def _broken(self, file: str, failure: BaseException) -> PystreamError:
        return fail_as(SourceError, f"source {file!r} is not readable {self.format}", failure)

    def _read_schema(self, file: str) -> Any:
        raise NotImplementedError

    def _need_same(self, file: str, schema: Any) -> None:
        difference = Schema.of(self._schema).difference(Schema.of(schema))
        if difference is not None:
            raise SchemaError(
                f"schema change between files: in {file!r}, {difference} "
                f"(compared with {self.files[0]!r})"
            )


class ParquetSource(_FileSource):
    """Parquet files; only the columns that the query needs are read and decoded."""

    format = "Parquet"
    prunes_columns = True

    def __init__(self, files: list[str], batch_rows: int) -> None:
        self._batch_rows = batch_rows
        super().__init__(files)

    def _read_schema(self, file: str) -> Any:
        import pyarrow.parquet as pq

        return pq.read_schema(file)

    def open(
        self,
        columns: Sequence[str] | None,
        *,
        partition: str = "0",
        position: Position | None = None,
    ) -> Reader:
        import pyarrow as pa

        names = list(self._schema.names if columns is None else columns)
        fields = [self._schema.field(name) for name in names]
        return Reader.of_batches(
            pa.schema(fields, metadata=self._schema.metadata), self._batches(names)
        )

    def _batches(self, names: list[str]) -> Iterator[Any]:
        """Batches of one file after the other, decoded ahead by pyarrow's own threads."""
        import pyarrow.dataset as ds
        import pyarrow.parquet as pq

        for file in self.files:
            try:
                self._need_same(file, pq.read_schema(file))
                scanner = ds.dataset(file, format="parquet").scanner(
                    columns=names,
                    batch_size=self._batch_rows,
                    batch_readahead=_READ_AHEAD,
                    fragment_readahead=1,
                    use_threads=True,
                )
                yield from scanner.to_reader()
            except (PystreamError, GeneratorExit):
                raise
            except Exception as failure:
                raise self._broken(file, failure) from failure

    def estimated_rows(self) -> int | None:
        import pyarrow.parquet as pq

        try:
            return sum(int(pq.read_metadata(file).num_rows) for file in self.files)
        except Exception:
            return None


class CsvSource(_FileSource):
    """CSV files; types are inferred from the first block of the first file, or given."""

    format = "CSV"

    def __init__(
        self,
        files: list[str],
        schema: Any,
        delimiter: str,
        null_values: Sequence[str] | None,
    ) -> None:
        self._types = schema
        self._delimiter = delimiter
        self._null_values = null_values
        super().__init__(files)

    def _open_file(self, file: str, types: Any) -> Any:
        from pyarrow import csv

        convert = csv.ConvertOptions(column_types=types, strings_can_be_null=True)
        if self._null_values is not None:
            convert.null_values = list(self._null_values)
        parse = csv.ParseOptions(delimiter=self._delimiter)
        return csv.open_csv(file, parse_options=parse, convert_options=convert)

    def _read_schema(self, file: str) -> Any:
        with self._open_file(file, self._types) as reader:
            return reader.schema

    def open(
        self,
        columns: Sequence[str] | None,
        *,
        partition: str = "0",
        position: Position | None = None,
    ) -> Reader:
        return Reader.of_batches(self._schema, self._batches())

    def _batches(self) -> Iterator[Any]:
        types = {field.name: field.type for field in self._schema}
        for file in self.files:
            try:
                with self._open_file(file, types) as reader:
                    self._need_same(file, reader.schema)
                    yield from reader
            except (PystreamError, GeneratorExit):
                raise
            except Exception as failure:
                raise self._broken(file, failure) from failure


class IpcSource(_FileSource):
    """Arrow IPC files or streams, memory-mapped."""

    format = "Arrow IPC"

    def _read_schema(self, file: str) -> Any:
        import pyarrow as pa

        with pa.memory_map(file) as mapped:
            return _ipc_reader(mapped).schema

    def open(
        self,
        columns: Sequence[str] | None,
        *,
        partition: str = "0",
        position: Position | None = None,
    ) -> Reader:
        return Reader.of_batches(self._schema, self._batches())

    def _batches(self) -> Iterator[Any]:
        import pyarrow as pa

        for file in self.files:
            try:
                reader = _ipc_reader(pa.memory_map(file))
                self._need_same(file, reader.schema)
                if isinstance(reader, pa.RecordBatchFileReader):
                    for index in range(reader.num_record_batches):
                        yield reader.get_batch(index)
                else:
                    yield from reader
            except (PystreamError, GeneratorExit):
                raise
            except Exception as failure:
                raise self._broken(file, failure) from failure


def _ipc_reader(mapped: Any) -> Any:
    import pyarrow as pa

    magic = mapped.read(6)
    mapped.seek(0)
    return pa.ipc.open_file(mapped) if magic == b"ARROW1" else pa.ipc.open_stream(mapped)
