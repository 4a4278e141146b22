"""DuckDB tables: Arrow goes in as it is, the rows of an epoch and its number in one transaction."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from pystream.connectors.sql import SqlSink, quoted, upsert_clause
from pystream.connectors.staged import need_extra
from pystream.errors import InvalidError, SchemaError

__all__ = ["DuckdbSink"]

_EPOCHS = """CREATE TABLE IF NOT EXISTS pystream_epochs (
    job VARCHAR NOT NULL, target VARCHAR NOT NULL, epoch BIGINT NOT NULL,
    PRIMARY KEY (job, target))"""
_RECORDED = "SELECT epoch FROM pystream_epochs WHERE job = ? AND target = ?"
_RECORD = """INSERT INTO pystream_epochs VALUES (?, ?, ?)
    ON CONFLICT (job, target) DO UPDATE SET epoch = excluded.epoch"""
_COLUMNS = """SELECT column_name, data_type, NOT is_nullable AND column_default IS NULL
    FROM duckdb_columns() WHERE table_oid = ? ORDER BY column_index"""
_UNIQUE = """SELECT constraint_column_names FROM duckdb_constraints()
    WHERE table_oid = ? AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')"""
_TABLE = """SELECT table_oid FROM duckdb_tables() WHERE database_name = current_database()
    AND table_name = ? AND schema_name = coalesce(?, current_schema())"""


class DuckdbSink(SqlSink):
    """Appends to, or upserts into, a table of a database file; made if missing.

    DuckDB lets one process at a time have a file open for writing. The sink opens it for each
    epoch and closes it again, so that others can read in between.
    """

    verb = "write_duckdb"

    def __init__(
        self,
        path: str | os.PathLike[str],
        table: str,
        *,
        key: str | Sequence[str] | None = None,
    ) -> None:
        self._duckdb = need_extra("duckdb", "duckdb", self.verb)
        self.path = os.fspath(path)
        if self.path in ("", ":memory:"):
            raise InvalidError(f"{self.verb} wants the path of a file; ':memory:' is gone at once")
        super().__init__(self.path, table, key)
        *schema, name = self.table.split(".", 1)
        self._found_by = [name, schema[0] if schema else None]
        self._table = ".".join(quoted(part) for part in (*schema, name))
        self._insert = ""

    def stored_type(self, type: Any) -> Any:
        import pyarrow as pa

        kind = pa.types
        if kind.is_null(type) or kind.is_decimal256(type) or kind.is_interval(type):
            return None
        if kind.is_timestamp(type) and type.tz is not None:
            return pa.timestamp("us", type.tz)
        if kind.is_time(type):
            return pa.time64("us")
        return pa.duration("us") if kind.is_duration(type) else type

    def create(self, schema: Any) -> None:
        with closing(self._connect()) as connection:
            connection.execute(_EPOCHS)
            connection.register("pystream_rows", schema.empty_table())
            described = connection.execute("DESCRIBE SELECT * FROM pystream_rows").fetchall()
            types = {name: type for name, type, *_ in described}
            lines = [f"{quoted(name)} {type}" for name, type in types.items()]
            lines += self.primary_key()
            connection.execute(f"CREATE TABLE IF NOT EXISTS {self._table} ({', '.join(lines)})")
            self._check(connection, types)
        names = ", ".join(map(quoted, schema.names))
        self._insert = (
            f"INSERT INTO {self._table} ({names}) SELECT {names} FROM pystream_rows"
            + upsert_clause(self.key, schema.names)
        )

    def _connect(self) -> Any:
        return self._duckdb.connect(self.path)

    def _check(self, connection: Any, wanted: dict[str, str]) -> None:
        (oid,) = connection.execute(_TABLE, self._found_by).fetchone()
        rows = connection.execute(_COLUMNS, [oid]).fetchall()
        types = {name: type for name, type, _ in rows}
        unique = [columns for (columns,) in connection.execute(_UNIQUE, [oid]).fetchall()]
        needed = [name for name, _, must in rows if must]
        self.check_table(list(wanted), types, needed, unique)
        for name, type in wanted.items():
            if types[name] != type:
                raise SchemaError(
                    f"{self.name}: column {name!r} of the table is {types[name]}, the stream's "
                    f"goes into {type}: cast the column before the sink, or alter the table"
                )

    def recorded_epoch(self) -> int:
        with closing(self._connect()) as connection:
            return self._recorded(connection)

    def _recorded(self, connection: Any) -> int:
        row = connection.execute(_RECORDED, [self.job, self._table]).fetchone()
        return 0 if row is None else int(row[0])

    def apply(self, batches: Iterator[Any], epoch: int) -> None:
        with closing(self._connect()) as connection:
            connection.execute("BEGIN")
            if self.job is not None:
                if self._recorded(connection) >= epoch:
                    return
                connection.execute(_RECORD, [self.job, self._table, epoch])
            for rows in self.upserts(batches) if self.key else batches:
                connection.register("pystream_rows", rows)
                connection.execute(self._insert)
            connection.execute("COMMIT")
