"""The places that sinks write to, each with a sink and a reader, for the tests of all of them."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pystream._native.arrow import Batch, BatchList, Memory
from pystream.connectors.base import SinkContext
from pystream.connectors.delta import DeltaSink
from pystream.connectors.duckdb import DuckdbSink
from pystream.connectors.iceberg import IcebergSink
from pystream.connectors.postgres import PostgresSink
from pystream.connectors.sqlite import SqliteSink
from pystream.plan.schema import Schema
from pystream.storage import LocalStorage

JOB = "orders"
NAMES = ["sqlite", "duckdb", "postgres", "delta", "iceberg"]


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


@dataclass
class Target:
    """One table of one system; `place` is a directory that outlives sinks."""

    server: Any = None

    def table(self, place: Path) -> str:
        return f"{place.parent.name}-{place.name}"


class Sqlite(Target):
    def sink(self, place, **options):
        return SqliteSink(place / "db", self.table(place), **options)

    def read(self, place):
        with closing(sqlite3.connect(place / "db")) as db:
            found = db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (self.table(place),))
            if found.fetchone() is None:
                return []
            rows = db.execute(f"SELECT * FROM {quoted(self.table(place))}")
            names = [column[0] for column in rows.description]
            return [dict(zip(names, row, strict=True)) for row in rows]


class Duckdb(Target):
    def sink(self, place, **options):
        return DuckdbSink(place / "db", self.table(place), **options)

    def read(self, place):
        duckdb = pytest.importorskip("duckdb")
        if not (place / "db").exists():
            return []
        with duckdb.connect(str(place / "db")) as db:
            db.execute("SET TimeZone = 'UTC'")
            try:
                rows = db.sql(f"SELECT * FROM {quoted(self.table(place))}")
            except duckdb.CatalogException:
                return []
            return rows.to_arrow_table().to_pylist()


class Postgres(Target):
    def sink(self, place, **options):
        return PostgresSink(self.server.conninfo, self.table(place), **options)

    def read(self, place):
        psycopg = pytest.importorskip("psycopg")
        with psycopg.connect(self.server.conninfo) as db:
            name = quoted(self.table(place))
            if db.execute("SELECT to_regclass(%s)", (name,)).fetchone()[0] is None:
                return []
            rows = db.execute(f"SELECT * FROM {name}")
            names = [column.name for column in rows.description]
            return [dict(zip(names, row, strict=True)) for row in rows]


class Delta(Target):
    def sink(self, place, **options):
        return DeltaSink(place / "table", **options)

    def read(self, place):
        deltalake = pytest.importorskip("deltalake")
        if not deltalake.DeltaTable.is_deltatable(str(place / "table")):
            return []
        return deltalake.DeltaTable(place / "table").to_pyarrow_table().to_pylist()


class Iceberg(Target):
    def catalog(self, place):
        sql = pytest.importorskip("pyiceberg.catalog.sql")
        return sql.SqlCatalog("tests", uri=f"sqlite:///{place}/db", warehouse=f"file://{place}")

    def sink(self, place, **options):
        return IcebergSink(self.catalog(place), "shop.rows", **options)

    def read(self, place):
        catalog = self.catalog(place)
        try:
            if not catalog.table_exists("shop.rows"):
                return []
            return catalog.load_table("shop.rows").scan().to_arrow().to_pylist()
        finally:
            catalog.close()


KINDS = dict(zip(NAMES, [Sqlite, Duckdb, Postgres, Delta, Iceberg], strict=True))
PACKAGES = {"duckdb": "duckdb", "postgres": "psycopg", "delta": "deltalake", "iceberg": "pyiceberg"}


def make_target(name, request):
    """A target by its name; skips what is not installed or cannot be started."""
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    return KINDS[name](request.getfixturevalue("postgres") if name == "postgres" else None)


def opened(sink, schema, place, *, job=JOB, checkpoints=True):
    """The sink, opened for rows of a pyarrow schema."""
    storage = LocalStorage(place / "checkpoints") if checkpoints else None
    sink.open(Schema.of(schema), SinkContext(job, storage))
    return sink


def write(sink, *batches):
    """Hand pyarrow record batches to a sink as the engine does."""
    memory = Memory()
    for batch in batches:
        rows = BatchList(memory, Schema.of(batch.schema))
        rows.append(Batch.from_arrow(batch, memory))
        sink.write(rows)


def run_once(sink, batch, place):
    """A run without checkpoints, from open to close."""
    try:
        opened(sink, batch.schema, place, checkpoints=False)
        sink.recover(0, None)
        write(sink, batch)
        sink.commit(1, sink.prepare(1))
        sink.close()
    except BaseException as error:
        sink.abort(error)
        raise
