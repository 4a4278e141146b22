"""Rows made by a Python function: batches, dicts or tuples, gathered into record batches."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pystream.connectors.base import Poller, Position, Source, conform, need_rows
from pystream.errors import InvalidError
from pystream.plan.schema import Schema
from pystream.rows import column_of

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
        self.name = name
        self._function = function
        self._schema = to_arrow_schema(schema)
        self._batch_rows = need_rows(batch_rows)
        self._flush_ns = flush_interval_ns

    def schema(self) -> Any:
        return self._schema

    def open(
        self,
        columns: Sequence[str] | None,
        *,
        partition: str = "0",
        position: Position | None = None,
    ) -> Poller:
        return GeneratorPoller(
            self._function, self._schema, batch_rows=self._batch_rows, flush_ns=self._flush_ns
        )


class GeneratorPoller(Poller):
    """One pass over what the function yields.

    The source thread sleeps inside the generator when it has nothing to yield, so rows that were
    gathered before and have waited long enough are handed out to the driving thread (`overdue`).
    """

    def __init__(
        self, function: Callable[[], Iterable[Any]], schema: Any, *, batch_rows: int, flush_ns: int
    ) -> None:
        self._function = function
        self._schema = schema
        self._names = schema.names
        self._expected = Schema.of(schema)
        self._batch_rows = batch_rows
        self._flush_ns = flush_ns
        self._items: Iterator[Any] | None = None
        self._exhausted = False
        self._failure: BaseException | None = None  # behind the rows before it
        self._misfit: InvalidError | None = None  # a row that is none of the schema: no more come
        self._found_overdue = False  # by the driving thread, which has what came before
        self._made: deque[Any] = deque()  # batches to hand out
        self._count = 0  # of rows, for messages
        self._batches = 0
        self._lock = threading.Lock()  # of what follows
        self._rows: list[tuple[Any, ...]] = []
        self._deadline_ns = 0

    def poll(self, timeout_s: float) -> Any:
        until_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        while not self._made and not self._over:
            self._next()
            if time.monotonic_ns() >= until_ns:
                break
        if self._made:
            return self._made.popleft()
        if not self._over:
            return None
        rest = self._take_gathered(everything=True)
        if rest is not None:
            return rest
        if self._misfit is not None:
            raise self._misfit
        if self._failure is not None:
            raise self._failure
        self.ended = True
        return None

    @property
    def _over(self) -> bool:
        return self._exhausted or self._failure is not None or self._misfit is not None

    def _next(self) -> None:
        """Take one item of the iterable."""
        try:
            if self._items is None:
                self._items = iter(self._function())
            item = next(self._items)
            if isinstance(item, Mapping | tuple | list):
                self._add(self._row_of(item))
            else:
                self._add_batch(_batch_of(item))
        except StopIteration:
            self._exhausted = True
        except BaseException as failure:
            self._failure = failure

    def _row_of(self, item: Any) -> tuple[Any, ...]:
        names = self._names
        if isinstance(item, Mapping):
            self._know_keys(item, names, self._count)
            return tuple(map(item.get, names))
        if len(item) != len(names):
            raise InvalidError(
                f"row {self._count} has {len(item)} values, the schema has {len(names)} columns"
            )
        return tuple(item)

    def _add(self, row: tuple[Any, ...]) -> None:
        now_ns = time.monotonic_ns()
        with self._lock:
            if not self._rows:
                self._deadline_ns = now_ns + self._flush_ns
            self._rows.append(row)
            self._count += 1
            full = len(self._rows) >= self._batch_rows or now_ns >= self._deadline_ns
        if full:
            self._flush()

    def _add_batch(self, batch: Any) -> None:
        self._flush()
        if self._misfit is not None:
            return
        batch = conform(batch, self._schema, self._expected, self._batches)
        self._batches += 1
        self._count += batch.num_rows
        self._made.append(batch)

    def _flush(self) -> None:
        gathered = self._take_gathered(everything=True)
        if gathered is not None:
            self._made.append(gathered)

    def overdue(self, *, everything: bool = False) -> Any:
        # A misfit that the source thread has found it raises itself, behind what it hands out.
        if not self._found_overdue:
            batch = self._take_gathered(everything=everything, overdue=True)
            if batch is not None or not self._found_overdue:
                return batch
        assert self._misfit is not None
        raise self._misfit

    def _take_gathered(self, *, everything: bool, overdue: bool = False) -> Any:
        """Rows gathered so far as a batch; the first that is no row of the schema is noted."""
        with self._lock:
            due = everything or time.monotonic_ns() >= self._deadline_ns
            if not self._rows or not due or self._misfit is not None:
                return None
            rows, self._rows = self._rows, []
            number = self._count - len(rows)
        try:
            return self._gather(rows)
        except InvalidError:
            good, misfit = self._first_misfit(rows, number)
        self._misfit, self._found_overdue = misfit, overdue
        return self._gather(rows[:good]) if good else None

    def _first_misfit(self, rows: list[tuple[Any, ...]], number: int) -> tuple[int, InvalidError]:
        """How many of these rows fit the schema together, and what is wrong with the next one.

        Not one by one: pyarrow takes a struct as a dict or as a tuple, but not both in one column.
        """
        good, bad = 0, len(rows)  # so many make a batch, and so many do not
        while bad - good > 1:
            middle = (good + bad) // 2
            try:
                self._gather(rows[:middle])
                good = middle
            except InvalidError:
                bad = middle
        try:
            self._gather(rows[:bad])
        except InvalidError as failure:
            named = InvalidError(f"row {number + good}, {failure}")
            named.__cause__ = failure.__cause__
            return good, named
        raise AssertionError("rows that make no batch make none when it is tried again")

    def position(self) -> Position:
        return None

    def close(self) -> None:
        close = getattr(self._items, "close", None)
        if close is not None:
            close()

    def _know_keys(self, item: Mapping[str, Any], names: list[str], row: int) -> None:
        if len(item) > len(names) or not item.keys() <= set(names):
            unknown = sorted(item.keys() - set(names))
            raise InvalidError(f"row {row} has keys that are not in the schema: {unknown}")

    def _gather(self, rows: list[tuple[Any, ...]]) -> Any:
        import pyarrow as pa

        arrays = []
        for field, values in zip(self._schema, zip(*rows, strict=True), strict=True):
            try:
                arrays.append(column_of(values, field.type))
            except (pa.ArrowException, ValueError, TypeError, OverflowError) as failure:
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
