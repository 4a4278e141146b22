"""Data that Python already has: anything that speaks the Arrow PyCapsule protocol, or batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pystream._native.arrow import InputStream
from pystream.connectors.base import Position, Reader, Source
from pystream.errors import InvalidError, PystreamError, SchemaError, SourceError
from pystream.plan.schema import Schema

__all__ = ["arrow_source"]


def arrow_source(data: Any, name: str) -> Source:
    """The source of whatever `read_arrow` was given."""
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        try:
            if hasattr(data, "__arrow_c_stream__"):
                return _StreamSource(data, name)
            return _table_of([data], name)
        except ValueError as failure:
            if isinstance(failure, PystreamError):
                raise
            raise InvalidError(
                f"read_arrow cannot read this {type(data).__name__} as a table: {failure}; a "
                "single column is given as one, such as pyarrow.table({'x': column})"
            ) from failure
    if isinstance(data, list | tuple):
        return _table_of(data, name)
    if isinstance(data, Iterable):
        return _IteratorSource(iter(data), name)
    raise InvalidError(
        f"read_arrow cannot read a {type(data).__name__}: give a pyarrow Table, RecordBatch or "
        "RecordBatchReader, a Polars, pandas or DuckDB frame, or an iterable of record batches"
        f"{_hint(data)}"
    )


def _hint(data: Any) -> str:
    """How a thing that is nearly a table becomes one."""
    for method, call in (("collect", ""), ("to_reader", ""), ("scanner", ".to_reader()")):
        if hasattr(data, method):
            return f"; its .{method}(){call} is one"
    return ""


class _StreamSource(Source):
    """An object with ``__arrow_c_stream__``, asked for a stream at every pass."""

    def __init__(self, data: Any, name: str) -> None:
        self.name = name
        self._data = data
        # A pyarrow table selects columns without touching rows.
        self.prunes_columns = hasattr(data, "select") and hasattr(data, "itercolumns")
        # A reader that was read once answers an empty stream, without an error.
        self._once = hasattr(data, "read_next_batch")
        self.replayable = not self._once
        self._read = False
        self._first: InputStream | None = None
        if hasattr(data, "__arrow_c_schema__"):
            self._schema = Schema.of(data)
        elif hasattr(getattr(data, "schema", None), "__arrow_c_schema__"):
            self._schema = Schema.of(data.schema)
        else:
            self._first = InputStream(data.__arrow_c_stream__())
            self._schema = Schema(self._first.__arrow_c_schema__)
            self._schema = _detached(self._schema)

    def schema(self) -> Schema:
        return self._schema

    def open(
        self,
        columns: Sequence[str] | None,
        *,
        partition: str = "0",
        position: Position | None = None,
    ) -> Reader:
        start = 0 if position is None else int(position)
        first, self._first = self._first, None
        if first is not None and start == 0:
            return Reader(first, position=lambda rows: rows)
        data = self._data
        if columns is not None and self.prunes_columns:
            data = data.select(list(columns))
        if self._once and self._read:
            raise SourceError(
                f"source {self.name!r} is a reader that has been read; give a table, or a function "
                "to from_generator, to read it again"
            )
        self._read = True
        try:
            if start:
                data = _rows_behind(data, start)
            capsule = data.__arrow_c_stream__()
            return Reader.of_capsule(capsule, data, lambda rows: start + rows)
        except (ValueError, OSError) as failure:
            raise SourceError(f"source {self.name!r} cannot be read again: {failure}") from failure

    def estimated_rows(self) -> int | None:
        for attribute in ("num_rows", "height"):
            rows = getattr(self._data, attribute, None)
            if isinstance(rows, int):
                return rows
        return None


def _rows_behind(data: Any, start: int) -> Any:
    """The same data without its first rows."""
    import pyarrow as pa

    return (data if isinstance(data, pa.Table) else pa.table(data)).slice(start)


def _detached(schema: Schema) -> Schema:
    """The same schema, independent of the stream that gave it."""
    import pyarrow as pa

    return Schema.of(pa.schema(schema))


def _table_of(batches: Sequence[Any], name: str) -> Source:
    """Batches that are all there, as one table: no Python runs per batch later."""
    import pyarrow as pa

    if not batches:
        raise InvalidError("read_arrow: an empty list has no schema; give at least one batch")
    converted = [
        batch if isinstance(batch, pa.RecordBatch) else _to_batch(batch, number)
        for number, batch in enumerate(batches)
    ]
    try:
        table = pa.Table.from_batches(converted)
    except pa.ArrowInvalid:
        first = Schema.of(converted[0].schema)
        for number, batch in enumerate(converted):
            difference = first.difference(Schema.of(batch.schema))
            if difference is not None:
                raise SchemaError(
                    f"source {name!r}: schema change between batches: in batch {number}, "
                    f"{difference}; cast the batches alike before they enter the stream"
                ) from None
        table = pa.Table.from_batches(
            [pa.RecordBatch.from_arrays(b.columns, schema=converted[0].schema) for b in converted]
        )
    return _StreamSource(table, name)


def _to_batch(item: Any, number: int) -> Any:
    import pyarrow as pa

    if hasattr(item, "__arrow_c_array__"):
        return pa.record_batch(item)
    if hasattr(item, "__arrow_c_stream__"):
        return _one_batch(pa.table(item))
    raise InvalidError(
        f"read_arrow: item {number} is a {type(item).__name__}, not a record batch; rows as dicts "
        "or tuples go through from_generator"
    )


def _one_batch(table: Any) -> Any:
    import pyarrow as pa

    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


class _IteratorSource(Source):
    """An iterator of batches: read once, lazily; the first batch gives the schema."""

    live = True

    def __init__(self, batches: Iterator[Any], name: str) -> None:
        self.name = name
        first = next(batches, None)
        if first is None:
            raise InvalidError(f"source {name!r}: the iterator is empty, so it has no schema")
        first = _to_batch(first, 0)
        self._schema = first.schema
        self._batches: Iterator[Any] | None = itertools.chain(
            [first], (_to_batch(item, number) for number, item in enumerate(batches, 1))
        )

    def schema(self) -> Any:
        return self._schema

    def open(
        self,
        columns: Sequence[str] | None,
        *,
        partition: str = "0",
        position: Position | None = None,
    ) -> Reader:
        batches, self._batches = self._batches, None
        if batches is None:
            raise SourceError(
                f"source {self.name!r} is an iterator that has been read; give a list, or a "
                "function to from_generator, to read it again"
            )
        return Reader.of_batches(self._schema, batches)
