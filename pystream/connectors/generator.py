"""Rows made by a Python function: batches, dicts or tuples, gathered into record batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pystream.connectors.base import Position, Reader, Source
from pystream.errors import InvalidError

__all__ = ["GeneratorSource", "to_arrow_schema"]


def to_arrow_schema(schema: Any) -> Any:
    """A pyarrow schema from one, or from a mapping of names to types."""
    import pyarrow as pa

    from pystream.dtypes import to_format

    if isinstance(schema, Mapping):
        return pa.schema([pa.field(name, _arrow_type(dtype)) for name, dtype in schema.items()])
    if hasattr(schema, "__arrow_c_schema__"):
        return pa.schema(schema)
    to_format("int64")
    raise InvalidError(
        f"a schema is a mapping such as {{'ts': 'timestamp[us]', 'x': float}} or a pyarrow "
        f"schema, not {schema!r}"
    )


def _arrow_type(dtype: Any) -> Any:
    import pyarrow as pa

    from pystream.dtypes import to_format

    if isinstance(dtype, pa.DataType):
        return dtype
    format = to_format(dtype)
    if format.startswith("ts"):
        unit = {"s": "s", "m": "ms", "u": "us", "n": "ns"}[format[2]]
        return pa.timestamp(unit, format[4:] or None)
    if format.startswith("tD"):
        return pa.duration({"s": "s", "m": "ms", "u": "us", "n": "ns"}[format[2]])
    from pystream.dtypes import describe_format

    return pa.type_for_alias(describe_format(format))


class GeneratorSource(Source):
    """Calls a function for an iterable at every pass and gathers what it yields."""

    live = True

    def __init__(
        self,
        function: Callable[[], Iterable[Any]],
        schema: Any,
        name: str,
        batch_rows: int,
        flush_interval_ns: int,
    ) -> None:
        if not callable(function):
            raise InvalidError(
                "from_generator wants a function that answers an iterable, not "
                f"{type(function).__name__}: write from_generator(lambda: rows, schema=...)"
            )
        if batch_rows < 1:
            raise InvalidError(f"batch_rows must be at least 1, not {batch_rows}")
        self.name = name
        self._function = function
        self._schema = to_arrow_schema(schema)
        self._batch_rows = batch_rows
        self._flush_ns = flush_interval_ns

    def schema(self) -> Any:
        return self._schema

    def open(
        self,
        columns: Sequence[str] | None,
        *,
        partition: str = "0",
        position: Position | None = None,
    ) -> Reader:
        return Reader.of_batches(self._schema, self._batches())

    def _batches(self) -> Iterator[Any]:
        """Batches as they come; single rows gathered up to a size or an age."""
        import pyarrow as pa

        rows: list[tuple[Any, ...]] = []
        names = self._schema.names
        deadline = 0
        done = 0
        try:
            for item in self._function():
                if isinstance(item, Mapping):
                    rows.append(tuple(map(item.get, names)))
                    self._know_keys(item, names, done + len(rows) - 1)
                elif isinstance(item, tuple | list):
                    if len(item) != len(names):
                        raise InvalidError(
                            f"row {done + len(rows)} has {len(item)} values, the schema has "
                            f"{len(names)} columns"
                        )
                    rows.append(tuple(item))
                else:
                    if rows:
                        yield self._gather(rows)
                        done, rows = done + len(rows), []
                    batch = _batch_of(item)
                    done += batch.num_rows
                    yield batch
                    continue
                now = time.monotonic_ns()
                if len(rows) == 1:
                    deadline = now + self._flush_ns
                if len(rows) >= self._batch_rows or now >= deadline:
                    yield self._gather(rows)
                    done, rows = done + len(rows), []
        except GeneratorExit:
            raise
        except BaseException:
            if rows:  # rows before the failure still count
                yield self._gather(rows)
            raise
        if rows:
            yield self._gather(rows)
        elif done == 0:
            yield pa.RecordBatch.from_pylist([], schema=self._schema)

    def _know_keys(self, item: Mapping[str, Any], names: list[str], row: int) -> None:
        if len(item) > len(names) or not item.keys() <= set(names):
            unknown = sorted(item.keys() - set(names))
            raise InvalidError(f"row {row} has keys that are not in the schema: {unknown}")

    def _gather(self, rows: list[tuple[Any, ...]]) -> Any:
        import pyarrow as pa

        arrays = []
        for field, values in zip(self._schema, zip(*rows, strict=True), strict=True):
            try:
                arrays.append(pa.array(values, type=field.type))
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as failure:
                raise InvalidError(f"column {field.name!r} ({field.type}): {failure}") from failure
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)


def _batch_of(item: Any) -> Any:
    import pyarrow as pa

    if isinstance(item, pa.RecordBatch):
        return item
    if hasattr(item, "__arrow_c_array__"):
        return pa.record_batch(item)
    raise InvalidError(
        f"the generator gave a {type(item).__name__}: yield dicts, tuples or record batches"
    )
