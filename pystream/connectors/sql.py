"""What the sinks of SQL databases share: quoting, upserts, checks of a table that exists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pystream.errors import InvalidError, SchemaError

__all__ = ["check_filled", "check_names", "need_name", "no_unique_index", "quoted", "upsert_clause"]


def quoted(name: str) -> str:
    """A name as SQL takes it whatever is in it.

    Examples
    --------
    >>> print(quoted('a "b" c'))
    "a ""b"" c"
    """
    return '"' + name.replace('"', '""') + '"'


def upsert_clause(key: Sequence[str], columns: Sequence[str]) -> str:
    """What follows an INSERT so that a row replaces the one with its key; empty without a key.

    Examples
    --------
    >>> upsert_clause(["k"], ["k", "x"])
    ' ON CONFLICT ("k") DO UPDATE SET "x" = excluded."x"'
    """
    if not key:
        return ""
    others = [quoted(name) for name in columns if name not in key]
    changes = ", ".join(f"{name} = excluded.{name}" for name in others)
    act = f"UPDATE SET {changes}" if changes else "NOTHING"
    return f" ON CONFLICT ({', '.join(map(quoted, key))}) DO {act}"


def need_name(name: object, what: str, verb: str) -> str:
    """A name of something in a database."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise InvalidError(f"{verb}: {what} wants a name, not {name!r}")
    return name


def check_names(sink: str, columns: Sequence[str], present: Iterable[str]) -> None:
    """Every column of the stream is in the table, spelled alike."""
    names = list(present)
    missing = [name for name in columns if name not in names]
    if missing:
        raise SchemaError(
            f"{sink}: the table has no column {missing[0]!r}; it has: {', '.join(names)}. "
            "Add it to the table, or select and rename the columns of the stream"
        )


def check_filled(sink: str, columns: Sequence[str], needed: Iterable[str]) -> None:
    """Every column that the table must have a value for is in the stream."""
    for name in needed:
        if name not in columns:
            raise SchemaError(
                f"{sink}: column {name!r} of the table must not be null and has no default, and "
                "the stream has no such column"
            )


def no_unique_index(sink: str, key: Sequence[str]) -> SchemaError:
    """The error of a table whose rows cannot be found by the key."""
    names = ", ".join(key)
    return SchemaError(
        f"{sink}: upserts by ({names}) need a primary key or a unique index on exactly these "
        f"columns: CREATE UNIQUE INDEX ON the table ({names})"
    )
