"""Parquet, CSV and Arrow IPC files: read in sorted path order, batch by batch, memory bounded."""

from __future__ import annotations

import bisect
import contextlib
import glob
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pystream.connectors import hive
from pystream.connectors.base import Position, Reader, Source, fail_as, need_rows
from pystream.connectors.manifest import listed_files
from pystream.connectors.path_columns import HiveOptions, PathColumns, text_to_scalar
from pystream.errors import (
    InvalidError,
    PystreamError,
    SchemaError,
    SourceError,
    column_not_found,
)
from pystream.plan.schema import Schema

__all__ = ["CsvSource", "IpcSource", "ParquetSource", "find_files"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

# Two batches ahead keep the decoder busy without holding much.
_READ_AHEAD = 2


def find_files(paths: Paths, suffixes: tuple[str, ...], verb: str) -> tuple[list[str], str]:
    """Files of a path, a directory, a pattern or a list of them, each group sorted by name.

    And what to call them: the first path as it was given, which does not depend on what is found,
    so that positions are found again when files have been added.
    """
    given: list[Any] = list(paths) if isinstance(paths, Iterable) else [paths]
    if isinstance(paths, str | bytes | os.PathLike):
        given = [paths]
    found: list[str] = []
    for item in given:
        if not isinstance(item, str | os.PathLike):
            raise InvalidError(f"{verb} wants a path or a list of paths, not {item!r}")
        text = os.fspath(item)
        path = Path(text)
        if path.is_dir() and (listed := listed_files(path)) is not None:
            names = [name for name in listed if name.endswith(suffixes)]
        elif path.is_dir():
            inside = (p for p in path.rglob("*") if p.suffix in suffixes and p.is_file())
            names = sorted(str(p) for p in inside if not hive.is_hidden(p.relative_to(path)))
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
    return found, os.path.normpath(given[0])


class _ShorterError(Exception):
    """A file has so many rows less than a position says."""

    def __init__(self, missing: int) -> None:
        super().__init__(missing)
        self.missing = missing


class _Place:
    """Where a pass over several files is: which file began at which row of the pass.

    A position names a file and a row in it, so that files added behind it are read after a restart,
    whatever order they were found in then.
    """

    def __init__(self, files: Sequence[str], start: Position | None) -> None:
        self.files = list(files)
        self.skip_rows = 0
        self._rows = [0]
        self._names = [self.files[0]]
        if start is not None:
            file, self.skip_rows = start["file"], start["row"]
            if file not in self.files:
                raise SourceError(
                    f"the position to go on from is row {self.skip_rows:,} of {file!r}, and that "
                    "file is not among those to read any more"
                )
            self.files = self.files[self.files.index(file) :]
            self._rows, self._names = [-self.skip_rows], [file]

    def entered(self, file: str, rows_before: int) -> None:
        """The pass begins this file after handing out so many rows."""
        if file != self._names[-1]:
            self._rows.append(rows_before)
            self._names.append(file)

    def position(self, rows: int) -> Position:
        """Where the row after the first `rows` of this pass is."""
        at = bisect.bisect_right(self._rows, rows) - 1
        return {"file": self._names[at], "row": rows - self._rows[at]}


class _FileSource(Source):
    """Common part: files, the schema of the first, an error that names the file.

    Schemas that are read have the columns of the file; `schema` has those of its directories too.
    """

    format = "file"
    replayable = True

    def __init__(self, files: list[str], name: str, options: HiveOptions) -> None:
        self.files = files
        self.name = name
        first = self._schema_of(files[0])
        self._paths = PathColumns(files, first, options, self._schema_of, self._convert)
        self._schema = self._paths.schema(first)

    def schema(self) -> Any:
        return self._schema

    def _broken(self, file: str, failure: BaseException) -> PystreamError:
        return fail_as(SourceError, f"source {file!r} is not readable {self.format}", failure)

    def _schema_of(self, file: str) -> Any:
        try:
            return self._read_schema(file)
        except PystreamError:
            raise
        except Exception as failure:
            raise self._broken(file, failure) from failure

    def _read_schema(self, file: str) -> Any:
        raise NotImplementedError

    def _convert(self, text: str | None, type: Any) -> Any:
        """The value that a file has where the name of its directory has this text."""
        return text_to_scalar(text, type)

    def open(
        self,
        columns: Sequence[str] | None,
        *,
        partition: str = "0",
        position: Position | None = None,
    ) -> Reader:
        import pyarrow as pa

        wanted = columns if self.prunes_columns else None
        names = list(self._schema.names if wanted is None else wanted)
        fields = [self._schema.field(name) for name in names]
        place = _Place(self.files, position)
        return Reader.of_batches(
            pa.schema(fields, metadata=self._schema.metadata),
            self._batches(place, names),
            place.position,
        )

    def _batches(self, place: _Place, names: list[str]) -> Iterator[Any]:
        """Batches of one file after the other, from the place on."""
        done = 0
        for file in place.files:
            place.entered(file, done)
            skip, place.skip_rows = place.skip_rows, 0
            try:
                for batch in self._batches_of(file, names, skip):
                    done += batch.num_rows
                    yield batch
            except (PystreamError, GeneratorExit):
                raise
            except _ShorterError as shorter:
                raise SourceError(
                    f"the position to go on from is row {skip:,} of {file!r}, which has "
                    f"{skip - shorter.missing:,} rows now: it is not the file that was read"
                ) from None
            except Exception as failure:
                raise self._broken(file, failure) from failure

    def _batches_of(self, file: str, names: list[str], skip: int) -> Iterator[Any]:
        """Batches of a file without its first `skip` rows."""
        raise NotImplementedError

    def _need_same(self, file: str, schema: Any) -> None:
        found = self._paths.schema(schema)
        difference = Schema.of(self._schema).difference(Schema.of(found))
        if difference is not None:
            raise SchemaError(
                f"schema change between files: in {file!r}, {difference} "
                f"(compared with {self.files[0]!r})"
            )


class ParquetSource(_FileSource):
    """Parquet files; only the columns that the query needs are read and decoded."""

    format = "Parquet"
    prunes_columns = True

    def __init__(self, files: list[str], name: str, options: HiveOptions, batch_rows: int) -> None:
        self._batch_rows = need_rows(batch_rows)
        super().__init__(files, name, options)

    def _read_schema(self, file: str) -> Any:
        import pyarrow.parquet as pq

        return pq.read_schema(file)

    def _batches_of(self, file: str, names: list[str], skip: int) -> Iterator[Any]:
        """Batches decoded ahead by pyarrow's own threads."""
        import pyarrow.dataset as ds
        import pyarrow.parquet as pq

        schema = pq.read_schema(file)
        self._need_same(file, schema)
        dataset = ds.dataset(file, format="parquet")
        if skip:
            (fragment,) = dataset.get_fragments()
            groups, skip = _groups_behind(pq.read_metadata(file), skip)
            if not groups:
                yield from _without(skip, ())
                return
            dataset = ds.FileSystemDataset(
                [fragment.subset(row_group_ids=groups)], dataset.schema, dataset.format
            )
        scanner = dataset.scanner(
            columns=[name for name in names if name in schema.names],
            batch_size=self._batch_rows,
            batch_readahead=_READ_AHEAD,
            fragment_readahead=1,
            use_threads=True,
        )
        yield from self._paths.add_to(_without(skip, scanner.to_reader()), names, file, schema)

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
        name: str,
        options: HiveOptions,
        *,
        schema: Any,
        delimiter: str,
        null_values: Sequence[str] | None,
    ) -> None:
        self._types = dict(options.types)
        if not isinstance(delimiter, str) or len(delimiter) != 1:
            raise InvalidError(f"read_csv: delimiter must be one character, not {delimiter!r}")
        self._delimiter = delimiter
        self._null_values = null_values
        super().__init__(files, name, options)
        for column in () if schema is None else schema.names:
            if column not in self._schema.names:
                raise column_not_found(column, self._schema.names, "read_csv schema")

    def _conversion(
        self,
        types: Mapping[str, Any],
        columns: Sequence[str] | None = None,
        *,
        quoted_nulls: bool,
    ) -> Any:
        """How pyarrow makes values of texts; quoted_nulls: also of those in quotes a null."""
        from pyarrow import csv

        options = csv.ConvertOptions(
            column_types=types,
            include_columns=columns,
            strings_can_be_null=True,
            quoted_strings_can_be_null=quoted_nulls,
        )
        if self._null_values is not None:
            options.null_values = list(self._null_values)
        return options

    def _convert(self, text: str | None, type: Any) -> Any:
        """As the same text in quotes in a file: some types have more than one form."""
        import pyarrow as pa
        from pyarrow import csv

        if text is None:
            return pa.scalar(None, type)
        quoted = '"' + text.replace('"', '""') + '"'
        table = csv.read_csv(
            io.BytesIO(f"value\n{quoted}\n".encode()),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=self._conversion({"value": type}, quoted_nulls=not _is_text(type)),
        )
        return table["value"][0]

    def _open_file(
        self,
        file: str,
        types: Mapping[str, Any],
        columns: Sequence[str] | None = None,
        *,
        quoted_nulls: bool = False,
        alone: bool = False,
    ) -> Any:
        """A pyarrow reader of some columns; alone: the file has but one, whose nulls are blank."""
        from pyarrow import csv

        parse = csv.ParseOptions(delimiter=self._delimiter, ignore_empty_lines=not alone)
        read = csv.ReadOptions(skip_rows=_blank_lines_before(file) if alone else 0)
        conversion = self._conversion(types, columns, quoted_nulls=quoted_nulls)
        reader = csv.open_csv(file, read, parse, conversion)
        if columns is not None or alone or len(reader.schema) > 1:
            return reader
        reader.close()
        return self._open_file(file, types, quoted_nulls=quoted_nulls, alone=True)

    def _read_schema(self, file: str) -> Any:
        """The types of the first block; numbers may be quoted, and absent between quotes."""
        import pyarrow as pa

        with self._open_file(file, self._types, quoted_nulls=True) as reader:
            schema = reader.schema
        empty = [field.name for field in schema if pa.types.is_null(field.type)]
        if not empty:
            return schema
        with self._open_file(file, self._types, empty) as reader:
            quoted = {field.name: field for field in reader.schema}
        return pa.schema([quoted.get(field.name, field) for field in schema])

    def _batches_of(self, file: str, names: list[str], skip: int) -> Iterator[Any]:
        """Batches in which ``""`` is a value in columns of text, and null in others.

        pyarrow has one rule for all columns. That of texts is tried first, as few files have
        ``""`` for a number; where one does, its texts and its other columns are read side by side.
        """
        import pyarrow as pa

        types = {field.name: field.type for field in self._schema}
        done = skip
        try:
            with self._open_file(file, types) as reader:
                self._need_same(file, reader.schema)
                rest = _without(skip, reader)
                for batch in self._paths.add_to(rest, names, file, reader.schema):
                    done += batch.num_rows
                    yield batch
        except pa.ArrowInvalid:
            yield from self._side_by_side(file, names, types, done)  # what is wrong stays wrong

    def _side_by_side(
        self, file: str, names: list[str], types: Mapping[str, Any], skip: int
    ) -> Iterator[Any]:
        """Batches of two readers, whose columns are cut alike: at blocks of the file."""
        import pyarrow as pa

        with self._open_file(file, types, quoted_nulls=True) as reader:
            schema = reader.schema
        self._need_same(file, schema)
        texts = [field.name for field in schema if _is_text(field.type)]
        others = [field.name for field in schema if not _is_text(field.type)]

        def together(readers: Sequence[Any]) -> Iterator[Any]:
            for parts in zip(*readers, strict=True):
                found = {name: part.column(name) for part in parts for name in part.schema.names}
                yield pa.RecordBatch.from_arrays([found[n] for n in schema.names], schema=schema)

        with contextlib.ExitStack() as opened:
            readers = [
                opened.enter_context(
                    self._open_file(
                        file, types, columns, quoted_nulls=nulls, alone=len(schema) == 1
                    )
                )
                for columns, nulls in ((texts, False), (others, True))
                if columns
            ]
            rest = _without(skip, together(readers))
            yield from self._paths.add_to(rest, names, file, schema)


def _blank_lines_before(file: str) -> int:
    """How many lines a file has before its header."""
    with open(file, "rb") as lines:
        return next((n for n, line in enumerate(lines) if line.strip(b"\r\n")), 0)


def _is_text(type: Any) -> bool:
    import pyarrow as pa

    kind = pa.types
    plain = type.value_type if kind.is_dictionary(type) else type
    texts = (kind.is_string, kind.is_large_string, kind.is_string_view)
    return any(is_kind(plain) for is_kind in (*texts, kind.is_binary, kind.is_large_binary))


class IpcSource(_FileSource):
    """Arrow IPC files or streams, memory-mapped."""

    format = "Arrow IPC"

    def _read_schema(self, file: str) -> Any:
        import pyarrow as pa

        with pa.memory_map(file) as mapped:
            return _ipc_reader(mapped).schema

    def _batches_of(self, file: str, names: list[str], skip: int) -> Iterator[Any]:
        import pyarrow as pa

        reader = _ipc_reader(pa.memory_map(file))
        self._need_same(file, reader.schema)
        batches: Any = reader
        if isinstance(reader, pa.RecordBatchFileReader):
            batches = map(reader.get_batch, range(reader.num_record_batches))
        yield from self._paths.add_to(_without(skip, batches), names, file, reader.schema)


def _groups_behind(metadata: Any, skip: int) -> tuple[list[int], int]:
    """Row groups that hold rows behind the first `skip`, and how many to skip in the first."""
    first = 0
    while first < metadata.num_row_groups and skip >= metadata.row_group(first).num_rows:
        skip -= metadata.row_group(first).num_rows
        first += 1
    return list(range(first, metadata.num_row_groups)), skip


def _without(skip: int, batches: Iterable[Any]) -> Iterator[Any]:
    """The batches without the first `skip` rows, all of which must be there."""
    for batch in batches:
        if skip >= batch.num_rows > 0:
            skip -= batch.num_rows
            continue
        yield batch.slice(skip) if skip else batch
        skip = 0
    if skip:
        raise _ShorterError(skip)


def _ipc_reader(mapped: Any) -> Any:
    import pyarrow as pa

    magic = mapped.read(6)
    mapped.seek(0)
    return pa.ipc.open_file(mapped) if magic == b"ARROW1" else pa.ipc.open_stream(mapped)
