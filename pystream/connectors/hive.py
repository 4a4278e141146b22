"""Directories named after column values (``shop=ams/day=2026-11-27``), and the way back.

The columns in a directory's name are not in its files, as everywhere in Hive's layout. Files that
pystream writes say in their schema's metadata which columns and values they stand for, so that they
are read back with exact types and from wherever they were moved to. Both are read in
`pystream.connectors.path_columns`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote, unquote

from pystream.connectors.columns import plain_type
from pystream.errors import InvalidError, SchemaError, column_not_found

__all__ = [
    "WITHOUT",
    "Partition",
    "check_columns",
    "folder",
    "is_hidden",
    "keys",
    "split",
    "stated",
    "with_values",
    "without_statement",
]

_NULL = "__HIVE_DEFAULT_PARTITION__"
_METADATA = b"pystream.partition"
# What every complaint about the names of directories ends with.
WITHOUT = "hive_partitioning=False reads no columns from the names of directories"

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


def keys(path: str) -> dict[str, str | None]:
    """The columns that the directories of a path name, and their values as text.

    Names and values are percent-decoded, as Spark and Arrow do; a value may have a ``=``.

    Examples
    --------
    >>> keys("lake/shop=a%2Fb/n=__HIVE_DEFAULT_PARTITION__/raw")
    {'shop': 'a/b', 'n': None}
    """
    found: dict[str, str | None] = {}
    for part in os.path.normpath(path).split(os.sep):
        key, sign, text = part.partition("=")
        if not (key and sign):
            continue
        name = _decoded(key, path)
        if name in found:
            raise SchemaError(f"the directories of {path!r} name column {name!r} twice; {WITHOUT}")
        found[name] = None if text == _NULL else _decoded(text, path)
    return found


def _decoded(text: str, path: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
        decoded.encode()  # a name that is not UTF-8 on disk has surrogates here
    except UnicodeError:
        raise SchemaError(
            f"{text!r} in the directories of {path!r} is not UTF-8 and can be no column or value; "
            f"{WITHOUT}"
        ) from None
    return decoded


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


def stated(schema: Any) -> list[tuple[Any, str | None]]:
    """(field, value as text) of each column that a file of this schema says it stands for."""
    from pystream.connectors.generator import to_arrow_schema

    found = json.loads((schema.metadata or {}).get(_METADATA, b"[]"))
    return [(to_arrow_schema({name: type}).field(0), text) for name, type, text in found]


def without_statement(schema: Any) -> Any:
    """The schema without what `stated` reads, which is not true of rows elsewhere."""
    if _METADATA not in (schema.metadata or {}):
        return schema
    rest = {k: v for k, v in schema.metadata.items() if k != _METADATA}
    return schema.with_metadata(rest or None)
