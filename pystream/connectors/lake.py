"""What the sinks of Delta Lake and Iceberg share: types of a table format, checks of its schema."""

from __future__ import annotations

from typing import Any

from pystream.connectors.columns import plain_type
from pystream.errors import SchemaError

__all__ = ["check_schema", "signed_type"]


def signed_type(type: Any) -> Any:
    """The type that holds every value where there are no unsigned integers.

    Durations become their count in the column's own unit.

    Examples
    --------
    >>> import pyarrow as pa
    >>> signed_type(pa.uint32()), signed_type(pa.uint64()), signed_type(pa.int8())
    (DataType(int64), Decimal128Type(decimal128(20, 0)), DataType(int8))
    """
    import pyarrow as pa

    wider = {
        pa.uint8(): pa.int16(),
        pa.uint16(): pa.int32(),
        pa.uint32(): pa.int64(),
        pa.uint64(): pa.decimal128(20, 0),
    }
    return pa.int64() if pa.types.is_duration(type) else wider.get(type, type)


def check_schema(sink: str, wanted: Any, present: Any) -> None:
    """Every column of the stream is in the table with the same type, and every one it needs."""
    for field in wanted:
        index = present.get_field_index(field.name)
        if index < 0:
            raise SchemaError(
                f"{sink}: the table has no column {field.name!r}; it has: "
                f"{', '.join(present.names)}. Add it, or select and rename the stream's columns"
            )
        found = plain_type(present.field(index).type)
        if found != field.type and not str(field.type).startswith(
            ("list", "large_list", "struct", "map")
        ):
            raise SchemaError(
                f"{sink}: column {field.name!r} of the table is {found}, the stream's goes into "
                f"{field.type}: cast the column before the sink"
            )
    for field in present:
        if not field.nullable and field.name not in wanted.names:
            raise SchemaError(
                f"{sink}: column {field.name!r} of the table must not be null, and the stream "
                "has no such column"
            )
