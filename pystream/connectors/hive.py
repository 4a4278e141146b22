"""Directories named after column values (``shop=ams/day=2026-11-27``), and the way back.

The columns in a directory's name are not in its files, as everywhere in Hive's layout. Files that
pystream writes say in their schema's metadata which columns and values they stand for, so that they
are read back with exact types and from wherever they were moved to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from pystream.connectors.columns import plain_type
from pystream.errors import InvalidError, SchemaError, column_not_found

__all__ = [
    "Partition",
    "add_columns",
    "check_columns",
    "fields",
    "folder",
    "is_hidden",
    "split",
    "with_values",
]

_NULL = "__HIVE_DEFAULT_PARTITION__"
_METADATA = b"pystream.partition"

Partition = tuple[str | None, ...]  # values as text, in the order of the columns


def folder(columns: Sequence[str], values: Partition) -> str:
    """The directory of a partition.

    Examples
    --------
    >>> folder(["shop", "n"], ("a/b", None))
    'shop=a%2Fb/n=__HIVE_DEFAULT_PARTITION__'
    """
    return "/".join(
        f"{quote(name, safe=' ')}={_encoded(value)}"
        for name, value in zip(columns, values, strict=True)
    )


def _encoded(value: str | None) -> str:
    if value is None:
        return _NULL
    # A text that reads as null would have the directory, and the files, of null.
    return quote(value, safe=" ") if value != _NULL else value.replace("_", "%5F")


def is_hidden(path: PurePath) -> bool:
    """Whether a path below a directory is no data, as ``_staging/0.staged`` and ``.x.parquet``.

    The directory of a column is data whatever the column is called.

    Examples
    --------
    >>> [is_hidden(PurePath(p)) for p in ("_staging/0.parquet", "_x=1/0.parquet")]
    [True, False]
    """
    *folders, name = path.parts
    hidden = (".", "_")
    return name.startswith(hidden) or any(f.startswith(hidden) and "=" not in f for f in folders)


def check_columns(columns: Sequence[str], schema: Any, verb: str) -> None:
    """Refuse columns that are missing, or whose values make no names, or all of them."""
    import pyarrow as pa

    kind = pa.types
    for name in columns:
        if name not in schema.names:
            raise column_not_found(name, schema.names, f"{verb} partition_by")
        type = plain_type(schema.field(name).type)
        simple = kind.is_integer(type) or kind.is_string(type) or kind.is_boolean(type)
        if not (simple or kind.is_date(type) or kind.is_timestamp(type)):
            raise SchemaError(
                f"{verb}: column {name!r} is {type}, whose values make no directory names: "
                "partition by texts, integers, booleans, dates or timestamps"
            )
    if len(set(columns)) < len(columns):
        raise InvalidError(f"{verb}: partition_by names a column twice: {list(columns)}")
    if len(columns) == len(schema.names):
        raise InvalidError(f"{verb}: partition_by takes all columns and leaves none for the files")


def split(table: Any, columns: Sequence[str]) -> Iterator[tuple[Partition, Any]]:
    """The rows of each partition of a pyarrow Table, in their order."""
    import numpy as np
    import pyarrow as pa

    if not columns:
        yield (), table
        return
    ids = np.zeros(table.num_rows, np.int64)
    coded = []
    for name in columns:
        type = plain_type(table.schema.field(name).type)
        texts = table[name].cast(type).cast(pa.string()).combine_chunks()
        coded.append(texts.dictionary_encode(null_encoding="encode"))
        ids = ids * len(coded[-1].dictionary) + coded[-1].indices.to_numpy()
        ids = np.unique(ids, return_inverse=True)[1]  # small again, for the next column
    order = np.argsort(ids, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(ids[order])) + 1):
        if len(rows):
            values = tuple(codes[int(rows[0])].as_py() for codes in coded)
            yield values, table.take(pa.array(rows))


def with_values(schema: Any, columns: Sequence[str], values: Partition, full: Any) -> Any:
    """The schema of a file that stands for these values; full: the one with the columns."""
    if not columns:
        return schema
    types = [str(plain_type(full.field(name).type)).replace("[day]", "") for name in columns]
    stands_for = list(zip(columns, types, values, strict=True))
    metadata = {**(schema.metadata or {}), _METADATA: json.dumps(stands_for).encode()}
    return schema.with_metadata(metadata)


def _values(schema: Any) -> list[tuple[Any, Any]]:
    """(field, scalar) of each column that a file stands for."""
    import pyarrow as pa

    from pystream.connectors.generator import to_arrow_schema

    found = []
    for name, type, value in json.loads((schema.metadata or {}).get(_METADATA, b"[]")):
        field = to_arrow_schema({name: type}).field(0)
        found.append((field, pa.scalar(value, pa.string()).cast(field.type)))
    return found


def fields(schema: Any) -> Any:
    """The schema of a file with the columns of its directory behind its own."""
    found = _values(schema)
    for field, _ in found:
        schema = schema.append(field)
    if found:
        rest = {k: v for k, v in schema.metadata.items() if k != _METADATA}
        schema = schema.with_metadata(rest or None)
    return schema


def add_columns(batches: Iterable[Any], names: Sequence[str], schema: Any) -> Iterator[Any]:
    """Batches of a file with this schema, with the columns of its directory among those wanted."""
    import pyarrow as pa

    values = {field.name: value for field, value in _values(schema)}
    if not values:
        yield from batches
        return
    for batch in batches:
        arrays = [
            pa.repeat(values[n], batch.num_rows) if n in values else batch.column(n) for n in names
        ]
        yield pa.RecordBatch.from_arrays(arrays, names=list(names))
