"""PostgreSQL tables: COPY of the rows of an epoch, and its number, in one transaction."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pystream.connectors.columns import need_calendar
from pystream.connectors.sql import SqlSink, quoted, upsert_clause
from pystream.connectors.staged import need_extra
from pystream.errors import InvalidError, SchemaError, SinkError
from pystream.storage import flock

__all__ = ["PostgresSink"]

_EPOCHS = """CREATE TABLE IF NOT EXISTS pystream_epochs (
    job text NOT NULL, target text NOT NULL, epoch bigint NOT NULL, PRIMARY KEY (job, target))"""
_RECORDED = "SELECT epoch FROM pystream_epochs WHERE job = %s AND target = %s"
_FIRST = "INSERT INTO pystream_epochs VALUES (%s, %s, 0) ON CONFLICT DO NOTHING"
# For this transaction, unless the server or the connection string has a limit.
_PATIENCE = (
    "SELECT set_config('lock_timeout', %s, true) WHERE current_setting('lock_timeout') = '0'"
)
_RECORD = "UPDATE pystream_epochs SET epoch = %s WHERE job = %s AND target = %s"
_COLUMNS = """SELECT attname, format_type(atttypid, atttypmod), attnotnull AND NOT atthasdef
        AND attidentity = '' FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
_UNIQUE = """SELECT array_agg(a.attname::text) FROM pg_index i
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = %s::regclass AND i.indisunique AND i.indpred IS NULL
        AND i.indexprs IS NULL GROUP BY i.indexrelid"""
# Types that a table which exists may have instead: each value fits and comes back the same.
_WIDER = {
    "smallint": {"integer", "bigint", "numeric"},
    "integer": {"bigint", "numeric"},
    "bigint": {"numeric"},
    "real": {"double precision"},
    "text": {"character varying"},
}
_COPY_BYTES = 1 << 20
# What a connection gets unless the connection string or its environment variable says otherwise.
_DEFAULTS = {
    "connect_timeout": ("PGCONNECT_TIMEOUT", 10),  # libpq waits as long as the kernel: minutes
    "application_name": ("PGAPPNAME", "pystream"),
}


class PostgresSink(SqlSink):
    """Appends to, or upserts into, a table; made if missing. Connects anew for every epoch."""

    verb = "write_postgres"

    def __init__(
        self, conninfo: str, table: str, *, key: str | Sequence[str] | None = None
    ) -> None:
        self._psycopg = need_extra("psycopg", "postgres", self.verb)
        self._conninfo = conninfo
        super().__init__(self._place(conninfo), table, key)
        self._chosen = self._unless_given(conninfo)
        self._table = ".".join(quoted(part) for part in table.split(".", 1))
        self._copy = self._upsert = self._select = ""

    def _place(self, conninfo: str) -> str:
        """Host and database of the connection string, never its password."""
        try:
            parts = self._psycopg.conninfo.conninfo_to_dict(conninfo)
        except Exception:
            raise InvalidError(
                f"{self.verb} wants a connection string such as "
                "'postgresql://user:password@host:5432/database' or 'host=... dbname=...'; "
                "this one cannot be read (it is not shown, as it may have a password)"
            ) from None
        host = parts.get("host") or "localhost"
        port = f":{parts['port']}" if parts.get("port") else ""
        return f"{host}{port}/{parts.get('dbname') or parts.get('user') or ''}"

    def _unless_given(self, conninfo: str) -> dict[str, Any]:
        given = self._psycopg.conninfo.conninfo_to_dict(conninfo)
        return {
            name: value
            for name, (variable, value) in _DEFAULTS.items()
            if name not in given and variable not in os.environ
        }

    def stored_type(self, type: Any) -> Any:
        import pyarrow as pa

        kind = pa.types
        small = {pa.int8(): pa.int16(), pa.uint8(): pa.int16(), pa.uint16(): pa.int32()}
        if type in small:
            return small[type]
        if type == pa.uint32():
            return pa.int64()
        if kind.is_timestamp(type):
            return pa.timestamp("us", type.tz)
        if kind.is_time(type):
            return pa.time64("us")
        if kind.is_duration(type):
            return pa.duration("us")
        return None if _sql_type(type) is None else type

    def check(self, batch: Any) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        for field, column in zip(batch.schema, batch.columns, strict=True):
            try:
                need_calendar(column)
            except pa.ArrowInvalid as failure:
                raise SinkError(f"{self.verb}: column {field.name!r}: {failure}") from failure
            if pa.types.is_string(field.type) and pc.any(pc.match_substring(column, "\0")).as_py():
                raise SinkError(
                    f"{self.verb}: a text of column {field.name!r} has the character U+0000, which "
                    "PostgreSQL cannot store"
                )

    def create(self, schema: Any) -> None:
        with self._connect() as connection:
            if connection.execute("SELECT to_regclass('pystream_epochs')").fetchone()[0] is None:
                connection.execute(_EPOCHS)
            found = connection.execute("SELECT to_regclass(%s)", (self._table,)).fetchone()
            if found[0] is None:
                connection.execute(self._table_sql(schema))
            self._check(connection, schema)
        names = ", ".join(map(quoted, schema.names))
        into = "pystream_rows" if self.key else self._table
        self._copy = f"COPY {into} ({names}) FROM STDIN (FORMAT csv)"
        self._select = f"SELECT {names} FROM {self._table}"
        self._upsert = (
            f"INSERT INTO {self._table} ({names}) SELECT {names} FROM pystream_rows"
            + upsert_clause(self.key, schema.names)
        )

    def _table_sql(self, schema: Any) -> str:
        lines = [f"{quoted(field.name)} {_sql_type(field.type)}" for field in schema]
        lines += self.primary_key()
        return f"CREATE TABLE IF NOT EXISTS {self._table} ({', '.join(lines)})"

    def _check(self, connection: Any, schema: Any) -> None:
        rows = connection.execute(_COLUMNS, (self._table,)).fetchall()
        types = {name: type for name, type, _ in rows}
        indexes = connection.execute(_UNIQUE, (self._table,)).fetchall()
        needed = [name for name, _, must in rows if must]
        self.check_table(schema.names, types, needed, [columns for (columns,) in indexes])
        for field in schema:
            wanted = str(_sql_type(field.type))
            found = types[field.name]
            if found not in _accepted(wanted):
                raise SchemaError(
                    f"{self.name}: column {field.name!r} of the table is {found}, the stream's "
                    f"is {field.type} and goes into {wanted}: cast the column before the sink, "
                    "or alter the table"
                )

    @contextmanager
    def _connect(self) -> Iterator[Any]:
        """A connection for one transaction: committed at the end, else the server undoes it."""
        connection = self._psycopg.connect(self._conninfo, **self._chosen)
        try:
            connection.execute(_PATIENCE, (f"{flock.TIMEOUT_S}s",))
            yield connection
            connection.commit()
        except self._psycopg.errors.LockNotAvailable as failure:
            raise SinkError(
                f"{self.name}: another process has held the lock of {self._table}, or of this "
                f"job's row in pystream_epochs, for {flock.TIMEOUT_S:g} s: is it stopped? Continue "
                "it, or end its session (pg_terminate_backend)"
            ) from failure
        finally:
            connection.close()

    def recorded_epoch(self) -> int:
        with self._connect() as connection:
            connection.execute(_FIRST, (self.job, self._table))
            return int(connection.execute(_RECORDED, (self.job, self._table)).fetchone()[0])

    def apply(self, batches: Iterator[Any], epoch: int) -> None:
        with self._connect() as connection:
            if self.job is not None:
                who = (self.job, self._table)
                # The lock on the row keeps two processes from writing one epoch at a time.
                if connection.execute(f"{_RECORDED} FOR UPDATE", who).fetchone()[0] >= epoch:
                    return
                connection.execute(_RECORD, (epoch, *who))
            if self.key:
                self._upsert_rows(connection, batches)
            else:
                self._copy_rows(connection, batches)

    def _copy_rows(self, connection: Any, batches: Iterator[Any]) -> None:
        with connection.cursor() as cursor, cursor.copy(self._copy) as copy:
            for batch in batches:
                for block in copy_blocks(batch):
                    copy.write(block)

    def _upsert_rows(self, connection: Any, batches: Iterator[Any]) -> None:
        connection.execute(
            f"CREATE TEMPORARY TABLE pystream_rows ON COMMIT DROP AS {self._select} WITH NO DATA"
        )
        for table in self.upserts(batches):
            self._copy_rows(connection, iter(table.to_batches()))
            connection.execute(self._upsert)
            connection.execute("TRUNCATE pystream_rows")


def _sql_type(type: Any) -> str | None:
    """The PostgreSQL type in which an Arrow type is stored."""
    import pyarrow as pa

    kind = pa.types
    names = {
        pa.bool_(): "boolean",
        pa.int16(): "smallint",
        pa.int32(): "integer",
        pa.int64(): "bigint",
        pa.uint64(): "numeric(20,0)",
        pa.float32(): "real",
        pa.float64(): "double precision",
        pa.string(): "text",
        pa.binary(): "bytea",
        pa.date32(): "date",
    }
    if kind.is_decimal(type):
        return f"numeric({type.precision},{type.scale})"
    if kind.is_timestamp(type):
        return f"timestamp {'without' if type.tz is None else 'with'} time zone"
    if kind.is_time(type):
        return "time without time zone"
    if kind.is_duration(type):
        return "interval"
    return names.get(type)


def _accepted(wanted: str) -> set[str]:
    """Types that a column of a table may have."""
    wider = {"numeric"} if wanted.startswith("numeric") else _WIDER.get(wanted, set())
    return {wanted, *wider}


def copy_blocks(batch: Any) -> Iterator[Any]:
    r"""The rows as CSV that COPY reads: null is nothing, the empty text is ``""``.

    Examples
    --------
    >>> import pyarrow as pa
    >>> batch = pa.record_batch({"x": [1, None], "t": ["", None], "b": [b"ab", b""]})
    >>> [bytes(block) for block in copy_blocks(batch)]
    [b'1,"","\\x6162"\n,,"\\x"\n']
    """
    import io

    import pyarrow as pa
    from pyarrow import csv

    arrays = [_as_text(column) for column in batch.columns]
    plain = pa.RecordBatch.from_arrays(arrays, names=[str(n) for n in range(len(arrays))])
    out = io.BytesIO()
    csv.write_csv(plain, out, csv.WriteOptions(include_header=False))
    view = out.getbuffer()
    for start in range(0, len(view), _COPY_BYTES):
        yield view[start : start + _COPY_BYTES]


def _as_text(column: Any) -> Any:
    """Columns that the CSV writer has no form for, or another one than PostgreSQL reads."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_binary(column.type):
        start, end = pa.scalar("\\x", pa.large_string()), pa.scalar("", pa.large_string())
        return pc.binary_join_element_wise(start, _hex(column), end)
    if pa.types.is_duration(column.type):
        return pc.binary_join_element_wise(
            column.cast(pa.int64()).cast(pa.string()), " microseconds", ""
        )
    return column


def _hex(column: Any) -> Any:
    """Two hexadecimal digits for every byte of a binary column."""
    import binascii

    import numpy as np
    import pyarrow as pa

    validity, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[: column.offset + len(column) + 1]
    return pa.Array.from_buffers(
        pa.large_string(),
        len(column),
        [
            validity,
            pa.py_buffer(ends.astype(np.int64) * 2),
            pa.py_buffer(binascii.hexlify(data or b"")),
        ],
        offset=column.offset,
    )
