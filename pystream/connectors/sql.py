"""What the sinks of SQL databases share: quoting, upserts, checks of a table that exists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pystream.connectors.staged import StagedSink
from pystream.errors import InvalidError, SchemaError

__all__ = ["SqlSink", "need_name", "quoted", "upsert_clause"]


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


class SqlSink(StagedSink):
    """Appends to, or upserts into, a table of a database; made if missing.

    Parameters
    ----------
    place
        What errors call the database, without secrets.
    table
        Its table.
    key
        Columns by which rows replace earlier ones; None appends.
    """

    def __init__(self, place: str, table: str, key: str | Sequence[str] | None) -> None:
        self.table = need_name(table, "table", self.verb)
        super().__init__(f"{place} {table}", key)

    def primary_key(self) -> list[str]:
        """The line of a new table that says its key; none without one."""
        return [f"PRIMARY KEY ({', '.join(map(quoted, self.key))})"] if self.key else []

    def check_table(
        self,
        columns: Sequence[str],
        present: Iterable[str],
        needed: Iterable[str],
        unique: Iterable[Iterable[str]],
    ) -> None:
        """Refuse a table that cannot take the stream's columns.

        Parameters
        ----------
        columns
            Of the stream.
        present
            Columns of the table; each of the stream's must be there, spelled alike.
        needed
            Those that must have a value and have no default.
        unique
            The columns of each of its unique indexes.
        """
        names = list(present)
        missing = [name for name in columns if name not in names]
        if missing:
            raise SchemaError(
                f"{self.name}: the table has no column {missing[0]!r}; it has: "
                f"{', '.join(names)}. Add it to the table, or select and rename the columns of "
                "the stream"
            )
        for name in needed:
            if name not in columns:
                raise SchemaError(
                    f"{self.name}: column {name!r} of the table must not be null and has no "
                    "default, and the stream has no such column"
                )
        if self.key and set(self.key) not in [set(index) for index in unique]:
            key = ", ".join(self.key)
            raise SchemaError(
                f"{self.name}: upserts by ({key}) need a primary key or a unique index on exactly "
                f"these columns: CREATE UNIQUE INDEX ON the table ({key})"
            )
