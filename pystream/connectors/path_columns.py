"""Columns that the names of directories give to the files below them: ``day=2026-11-27/``.

All directories of a path count, those that were given and those that were found below. The value
of a file is what its path says; where the path says nothing, what the file itself says it stands
for, which the files that pystream wrote do (`pystream.connectors.hive`). A column that is in the
file too stays the file's, and its values must be that of the path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pystream.connectors import hive
from pystream.connectors.columns import plain_type
from pystream.connectors.generator import to_arrow_schema
from pystream.errors import InvalidError, SchemaError, column_not_found

__all__ = ["HiveOptions", "PathColumns", "text_to_scalar"]

_INTEGER = re.compile(r"-?[0-9]+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Convert = Callable[[str | None, Any], Any]  # text and type of a value to a pyarrow Scalar


@dataclass(frozen=True, slots=True)
class HiveOptions:
    """What a user says about the columns of directories.

    Attributes
    ----------
    verb
        Who asks.
    partitioning
        False: there are none; True: there must be some; None: there may be.
    types
        Those that are not to be guessed.
    named
        Columns that must be among them.
    """

    verb: str
    partitioning: bool | None = None
    types: Mapping[str, Any] = field(default_factory=dict)
    named: Sequence[str] = ()

    @staticmethod
    def of(verb: str, partitioning: bool | None, schema: Any, others: Any = None) -> HiveOptions:
        """The options as they were given; others: types of columns that may be in directories."""
        if partitioning is not None and not isinstance(partitioning, bool):
            raise InvalidError(
                f"{verb}: hive_partitioning is True, False, or None for columns where there are "
                f"some, not {partitioning!r}"
            )
        types = {} if others is None else {f.name: f.type for f in others}
        if schema is None:
            return HiveOptions(verb, partitioning, types)
        if partitioning is False:
            raise InvalidError(f"{verb}: hive_schema wants columns, hive_partitioning=False none")
        given = {f.name: f.type for f in to_arrow_schema(schema)}
        for name, type in given.items():
            if types.get(name, type) != type:
                raise InvalidError(
                    f"{verb}: column {name!r} is {types[name]} in schema and {type} in "
                    "hive_schema: leave it out of one"
                )
        return HiveOptions(verb, True, types | given, tuple(given))


class PathColumns:
    """The columns that directories give to some files.

    Parameters
    ----------
    files
        Their paths.
    first
        The schema of the first, with its metadata.
    options
        What the user says.
    read_schema
        Gives the schema of any of the files.
    convert
        Makes a value for a column that files have themselves.
    """

    def __init__(
        self,
        files: Sequence[str],
        first: Any,
        options: HiveOptions,
        read_schema: Callable[[str], Any],
        convert: Convert,
    ) -> None:
        self._options = options
        self._folders: dict[str, dict[str, str | None]] = {}
        self._types: dict[str, Any] = {}  # of those that the first file does not have itself
        self._values: dict[str, dict[str | None, Any]] = {}  # by column and text
        if options.partitioning is False:
            return
        for folder in dict.fromkeys(map(os.path.dirname, files)):
            self._folders[folder] = hive.keys(folder)
        stated = {name: type for name, (type, _) in self._stated(first).items()}
        names = list(dict.fromkeys([*stated, *(k for f in self._folders.values() for k in f)]))
        self._need_names(names, files)
        self._need_agreement(names, files, read_schema)
        for name in names:
            texts = {f[name]: folder for folder, f in self._folders.items() if name in f}
            if name in first.names:
                self._compare_with(name, first.field(name).type, texts, convert)
            else:
                self._types[name] = stated.get(name) or options.types.get(name) or _guess(texts)
                self._make(name, self._types[name], texts)

    def _need_names(self, names: Sequence[str], files: Sequence[str]) -> None:
        verb = self._options.verb
        if self._options.partitioning and not names:
            raise SchemaError(
                f"{verb}: hive_partitioning or hive_schema wants columns, but the directories of "
                f"{files[0]!r} name none, as 'day=2026-11-27/' does"
            )
        for name in self._options.named:
            if name not in names:
                raise column_not_found(name, names, f"{verb} hive_schema")

    def _need_agreement(
        self, names: Sequence[str], files: Sequence[str], read_schema: Callable[[str], Any]
    ) -> None:
        """Refuse files that have a column neither from their directories nor themselves."""
        for file in files:
            lacking = [name for name in names if name not in self._keys(file)]
            if not lacking:
                continue
            schema = read_schema(file)
            for name in lacking:
                if name not in schema.names and name not in self._stated(schema):
                    other = next((p for p, f in self._folders.items() if name in f), files[0])
                    raise SchemaError(
                        f"{self._options.verb}: the directories of files do not agree: column "
                        f"{name!r} is in {other!r}, and not in {file!r}; {hive.WITHOUT}"
                    )

    def _keys(self, file: str) -> dict[str, str | None]:
        return self._folders.get(os.path.dirname(file), {})

    def _stated(self, schema: Any) -> dict[str, tuple[Any, str | None]]:
        """Type and text of what a file of this schema says it stands for."""
        if self._options.partitioning is False:
            return {}
        types = self._options.types
        return {f.name: (types.get(f.name, f.type), text) for f, text in hive.stated(schema)}

    def _make(self, name: str, type: Any, texts: Mapping[str | None, str]) -> None:
        """Values of a column that files do not have."""
        import pyarrow as pa

        self._values[name] = {}
        for text, folder in texts.items():
            try:
                self._values[name][text] = text_to_scalar(text, type)
            except pa.ArrowNotImplementedError:
                raise InvalidError(
                    f"{self._options.verb}: column {name!r} cannot be {type}: the names of "
                    "directories are numbers, booleans, texts, dates or timestamps"
                ) from None
            except pa.ArrowInvalid:
                raise SchemaError(
                    f"{self._options.verb}: {text!r} in the directories of {folder!r} is not of "
                    f"the type of column {name!r}, {type}; hive_schema={{{name!r}: str}} takes "
                    "every text"
                ) from None

    def _compare_with(
        self, name: str, type: Any, texts: Mapping[str | None, str], convert: Convert
    ) -> None:
        """Values of a column that files have too; none for types that have no text of their own."""
        import pyarrow as pa

        wanted = self._options.types.get(name, type)
        if plain_type(wanted) != plain_type(type):
            raise SchemaError(
                f"{self._options.verb}: column {name!r} is {type} in the files themselves, not "
                f"{wanted}: leave it out of hive_schema, and cast it behind the read"
            )
        self._values[name] = {}
        if isinstance(type, pa.BaseExtensionType) or pa.types.is_binary(plain_type(type)):
            return  # whoever wrote the directory chose how to spell bytes
        for text, folder in texts.items():
            try:
                self._values[name][text] = convert(text, plain_type(type))
            except pa.ArrowNotImplementedError:
                return
            except pa.ArrowInvalid:
                raise SchemaError(
                    f"{self._options.verb}: column {name!r} is {type} in the files themselves, "
                    f"which {text!r} in the directories of {folder!r} is not; {hive.WITHOUT}"
                ) from None

    def schema(self, schema: Any) -> Any:
        """That of a file, with these columns behind its own."""
        import pyarrow as pa

        stated = {name: type for name, (type, _) in self._stated(schema).items()}
        for name, type in (self._types | stated).items():
            if name not in schema.names:
                schema = schema.append(pa.field(name, type))
        return hive.without_statement(schema)

    def add_to(
        self, batches: Iterable[Any], names: Sequence[str], file: str, schema: Any
    ) -> Iterator[Any]:
        """Batches of a file of this schema, with the wanted columns in their order."""
        import pyarrow as pa

        values = {}
        for name, (type, text) in self._stated(schema).items():
            if name not in schema.names:
                values[name] = text_to_scalar(text, type)
        for name, text in self._keys(file).items():
            if text in self._values[name]:
                values[name] = self._values[name][text]
        shared = [name for name in names if name in values and name in schema.names]
        made = {n: pa.repeat(values[n], 0) for n in names if n not in schema.names}
        for batch in batches:
            for name in shared:
                _need_value(batch.column(name), values[name], name, file)
            if not made:
                yield batch
                continue
            rows = batch.num_rows
            for name, array in made.items():
                if len(array) < rows:
                    made[name] = pa.repeat(values[name], rows)
            arrays = [made[n].slice(0, rows) if n in made else batch.column(n) for n in names]
            yield pa.RecordBatch.from_arrays(arrays, names=list(names))


def text_to_scalar(text: str | None, type: Any) -> Any:
    """A value from its text in the name of a directory."""
    import pyarrow as pa

    return pa.array([text], pa.string()).cast(type)[0]


def _guess(texts: Iterable[str | None]) -> Any:
    """The type of values whose texts are these: what Polars and DuckDB agree on."""
    import pyarrow as pa

    known = [text for text in texts if text is not None]
    for pattern, type in ((_INTEGER, pa.int64()), (_DATE, pa.date32())):
        if known and all(pattern.fullmatch(text) for text in known):
            try:
                pa.array(known).cast(type)
            except pa.ArrowInvalid:
                continue
            return type
    return pa.string()


def _need_value(column: Any, value: Any, name: str, file: str) -> None:
    """Refuse a column of a file that has another value than its path says."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):  # those of views cannot be cast as they are
        plain = column.dictionary.cast(value.type).take(column.indices)
    else:
        plain = column.cast(value.type)
    same = pc.is_in(plain, value_set=pa.repeat(value, 1))  # null is null, and NaN is NaN
    if same.false_count:
        found = plain.filter(pc.invert(same))[0]
        raise SchemaError(
            f"{file!r} has {found} in column {name!r}, where its directories say {value}; "
            "hive_partitioning=False reads what the file has"
        )
