"""How the columns of a stream are stored by a system that has other types than Arrow.

A target has a rule, a function from the plain type of a column to the Arrow type in which it goes
there; None refuses it. `plain_type` has already undone what is only a matter of layout:
dictionaries are decoded, views and large types become ordinary ones. Conversion never changes a
value: one that does not fit its stored type, such as nanoseconds where there are microseconds, is
an error that names the column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pystream.errors import InvalidError, SchemaError, SinkError, column_not_found

__all__ = [
    "Columns",
    "Rule",
    "check_keys",
    "last_of_each_key",
    "need_calendar",
    "need_keys",
    "plain_type",
    "with_types",
    "without_views",
]

# Days since 1970 of 0001-01-01 and of 10000-01-01.
_FIRST_DAY, _END_DAY = -719_162, 2_932_897

Rule = Callable[[Any], Any]


def plain_type(type: Any) -> Any:
    """The type without its layout.

    Examples
    --------
    >>> import pyarrow as pa
    >>> plain_type(pa.dictionary(pa.int32(), pa.large_string())), plain_type(pa.date64())
    (DataType(string), DataType(date32[day]))
    """
    import pyarrow as pa

    kind = pa.types
    if kind.is_dictionary(type):
        return plain_type(type.value_type)
    if kind.is_large_string(type) or kind.is_string_view(type):
        return pa.string()
    if kind.is_large_binary(type) or kind.is_binary_view(type) or kind.is_fixed_size_binary(type):
        return pa.binary()
    if kind.is_date64(type):
        return pa.date32()
    if kind.is_float16(type):
        return pa.float32()
    if kind.is_timestamp(type) and type.tz is not None:
        return pa.timestamp(type.unit, "UTC")
    return type


def without_views(schema: Any, *, dictionaries_only: bool = False) -> Any:
    """The schema with large text and binary for views, which pyarrow can hardly compute with.

    Polars' frames have views everywhere. dictionaries_only: change those of views, nothing else.

    Examples
    --------
    >>> import pyarrow as pa
    >>> without_views(pa.schema({"a": pa.list_(pa.string_view()), "n": pa.int8()}))
    a: list<item: large_string>
      child 0, item: large_string
    n: int8
    """
    import pyarrow as pa

    fields = [
        field
        if dictionaries_only and not pa.types.is_dictionary(field.type)
        else field.with_type(_without_views(field.type))
        for field in schema
    ]
    return pa.schema(fields, metadata=schema.metadata)


def with_types(table: Any, schema: Any) -> Any:
    """The pyarrow Table with the types of a schema; those that it has are left alone."""
    return table if table.schema.types == schema.types else table.cast(schema)


def _without_views(type: Any) -> Any:
    import pyarrow as pa

    kind = pa.types
    if kind.is_string_view(type):
        return pa.large_string()
    if kind.is_binary_view(type):
        return pa.large_binary()
    if kind.is_dictionary(type):
        return pa.dictionary(type.index_type, _without_views(type.value_type), type.ordered)
    if kind.is_struct(type):
        return pa.struct([f.with_type(_without_views(f.type)) for f in type.fields])
    make = pa.list_ if kind.is_list(type) else pa.large_list if kind.is_large_list(type) else None
    if make is None:
        return type
    return make(type.value_field.with_type(_without_views(type.value_type)))


class Columns:
    """The columns of a stream as one target stores them.

    Parameters
    ----------
    schema
        Of the stream, for pyarrow.
    rule
        The target's rule; see the module.
    sink
        What errors call the sink.

    Attributes
    ----------
    stored : pyarrow.Schema
        The same names with the types of the target.

    Examples
    --------
    >>> import pyarrow as pa
    >>> columns = Columns(pa.schema({"x": pa.uint8()}), lambda type: pa.int64(), "write_x")
    >>> columns.convert(pa.record_batch({"x": pa.array([7], pa.uint8())})).schema
    x: int64
    """

    def __init__(self, schema: Any, rule: Rule, sink: str) -> None:
        import pyarrow as pa

        self._sink = sink
        _need_distinct(schema.names, sink)
        fields = []
        for field in schema:
            stored = rule(plain_type(field.type))
            if stored is None:
                raise SchemaError(
                    f"{sink}: column {field.name!r} is {field.type}, which the target has no type "
                    "for: drop it, or turn it into columns of simple types before the sink"
                )
            fields.append(pa.field(field.name, stored))
        self.stored = pa.schema(fields)

    def convert(self, batch: Any) -> Any:
        """A pyarrow RecordBatch with the stored types; columns that have them are not copied."""
        import pyarrow as pa

        arrays = []
        for field, array in zip(self.stored, batch.columns, strict=True):
            try:
                arrays.append(_cast(array, field.type))
            except pa.ArrowException as failure:
                raise SinkError(
                    f"{self._sink}: column {field.name!r} has a value that cannot be stored as "
                    f"{field.type}: {failure}"
                ) from failure
        return pa.RecordBatch.from_arrays(arrays, schema=self.stored)


def _cast(array: Any, stored: Any) -> Any:
    import pyarrow as pa

    if array.type == stored:
        return array
    if pa.types.is_dictionary(array.type):
        array = array.cast(_without_views(array.type)).dictionary_decode()
    if pa.types.is_duration(array.type) and pa.types.is_integer(stored):
        return array.cast(pa.int64())
    if pa.types.is_string(stored):
        need_calendar(array)
    plain = plain_type(array.type)
    if array.type != plain:
        array = array.cast(plain)
    return array if array.type == stored else array.cast(stored)


def need_calendar(array: Any) -> None:
    """Refuse dates and times outside the years 1 to 9999, which systems spell differently."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date32(array.type):
        day = 1
    elif pa.types.is_date64(array.type):
        day = 86_400_000
    elif pa.types.is_timestamp(array.type):
        day = 86_400 * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[array.type.unit]
    else:
        return
    ends = pc.min_max(array)
    least, most = ends["min"].value, ends["max"].value
    if least is not None and not _FIRST_DAY * day <= least <= most < _END_DAY * day:
        outside = most if least >= _FIRST_DAY * day else least
        raise pa.ArrowInvalid(f"{outside} as {array.type} is outside the years 1 to 9999")


def _need_distinct(names: Sequence[str], sink: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SchemaError(f"{sink}: two columns are called {name!r}: rename one")


def check_keys(keys: Sequence[str], schema: Any, sink: str) -> None:
    """Refuse keys that are no columns, or of types that do not compare alike everywhere."""
    import pyarrow as pa

    for number, name in enumerate(keys):
        if name not in schema.names:
            raise column_not_found(name, schema.names, sink)
        if name in keys[:number]:
            raise InvalidError(f"{sink}: key names the column {name!r} twice")
        type = plain_type(schema.field(name).type)
        if pa.types.is_floating(type) or pa.types.is_nested(type):
            raise SchemaError(
                f"{sink}: key column {name!r} is {type}: a key is made of integers, texts, "
                "booleans, dates, times or decimals"
            )


def need_keys(batch: Any, keys: Sequence[str], sink: str) -> None:
    """Refuse rows that no key tells from others."""
    for name in keys:
        if batch.column(name).null_count:
            raise SinkError(f"{sink}: key column {name!r} is null in a row, and null is no key")


def last_of_each_key(table: Any, keys: Sequence[str]) -> Any:
    """The rows of a pyarrow Table that an upsert leaves: of those with one key the last.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"k": ["a", "b", "a"], "x": [1, 2, 3]})
    >>> last_of_each_key(table, ["k"]).to_pydict()
    {'k': ['b', 'a'], 'x': [2, 3]}
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    renamed = [f"key{number}" for number in range(len(keys))]
    numbered = table.select(list(keys)).rename_columns(renamed)
    numbered = numbered.append_column("row", pa.array(np.arange(table.num_rows)))
    last = numbered.group_by(renamed).aggregate([("row", "max")])["row_max"]
    if len(last) == table.num_rows:
        return table
    return table.take(last.take(pc.sort_indices(last)))
