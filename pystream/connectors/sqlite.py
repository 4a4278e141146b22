"""SQLite tables: the rows of an epoch and its number in one transaction."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import repeat
from typing import Any

from pystream.connectors.sql import SqlSink, quoted, upsert_clause
from pystream.errors import InvalidError

__all__ = ["SqliteSink"]

_EPOCHS = """CREATE TABLE IF NOT EXISTS pystream_epochs (
    job TEXT NOT NULL, target TEXT NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (job, target))"""
_RECORDED = "SELECT epoch FROM pystream_epochs WHERE job = ? AND target = ?"
_TABLE_COLUMNS = 'SELECT name, "notnull", dflt_value FROM pragma_table_info(?)'
_RECORD = "INSERT OR REPLACE INTO pystream_epochs VALUES (?, ?, ?)"


class SqliteSink(SqlSink):
    """Appends to, or upserts into, a table of a database file; made if missing."""

    verb = "write_sqlite"

    def __init__(
        self,
        path: str | os.PathLike[str],
        table: str,
        *,
        key: str | Sequence[str] | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        self.path = os.fspath(path)
        if self.path == ":memory:":
            raise InvalidError(f"{self.verb} wants the path of a file; ':memory:' is gone at once")
        self._timeout_s = timeout_s
        self._insert = ""
        super().__init__(self.path, table, key)

    def stored_type(self, type: Any) -> Any:
        import pyarrow as pa

        kind = pa.types
        if kind.is_integer(type) or kind.is_boolean(type) or kind.is_duration(type):
            return pa.int64()
        if kind.is_floating(type):
            return pa.float64()
        if kind.is_binary(type):
            return pa.binary()
        if kind.is_nested(type) or kind.is_null(type) or kind.is_interval(type):
            return None
        return pa.string()

    def create(self, schema: Any) -> None:
        with closing(self._connect()) as connection:
            connection.execute(_EPOCHS)
            connection.execute(self._table_sql(schema))
            self._check(connection, schema)
        names = ", ".join(map(quoted, schema.names))
        marks = ", ".join(repeat("?", len(schema.names)))
        into = f"INSERT INTO {quoted(self.table)} ({names}) VALUES ({marks})"
        self._insert = into + upsert_clause(self.key, schema.names)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=self._timeout_s, isolation_level=None)

    def _table_sql(self, schema: Any) -> str:
        import pyarrow as pa

        names = {pa.int64(): "INTEGER", pa.float64(): "REAL", pa.binary(): "BLOB"}
        lines = [
            f"{quoted(field.name)} {names.get(field.type, 'TEXT')}"
            + (" NOT NULL" if field.name in self.key else "")
            for field in schema
        ]
        lines += self.primary_key()
        return f"CREATE TABLE IF NOT EXISTS {quoted(self.table)} ({', '.join(lines)})"

    def _check(self, connection: sqlite3.Connection, schema: Any) -> None:
        """Columns by name, as SQLite does not hold values to types; and the key's index."""
        rows = connection.execute(_TABLE_COLUMNS, (self.table,)).fetchall()
        needed = [name for name, not_null, default in rows if not_null and default is None]
        unique = self._unique(connection)
        self.check_table(schema.names, [name for name, _, _ in rows], needed, unique)

    def _unique(self, connection: sqlite3.Connection) -> list[list[str]]:
        """The columns of the primary key and of each unique index."""
        primary = "SELECT name FROM pragma_table_info(?) WHERE pk"
        found = [[name for (name,) in connection.execute(primary, (self.table,))]]
        indexes = connection.execute(
            'SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial', (self.table,)
        )
        for (index,) in indexes.fetchall():
            columns = connection.execute("SELECT name FROM pragma_index_info(?)", (index,))
            found.append([name for (name,) in columns])
        return found

    def recorded_epoch(self) -> int:
        with closing(self._connect()) as connection:
            return self._recorded(connection)

    def _recorded(self, connection: sqlite3.Connection) -> int:
        row = connection.execute(_RECORDED, (self.job, self.table)).fetchone()
        return 0 if row is None else int(row[0])

    def apply(self, batches: Iterator[Any], epoch: int) -> None:
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            if self.job is not None:
                if self._recorded(connection) >= epoch:
                    return
                connection.execute(_RECORD, (self.job, self.table, epoch))
            for batch in batches:
                columns = [column.to_pylist() for column in batch.columns]
                connection.executemany(self._insert, zip(*columns, strict=True))
            connection.execute("COMMIT")
