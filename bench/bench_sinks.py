"""Exactly-once sinks: rows a second of a job with checkpoints that does nothing else.

An epoch a second and one at the end: what a row costs is formatting, staging with fsync and, for
databases, the insert.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bench.measure import Measure

ROWS_MAX = 1_000_000
BATCH_ROWS = 65_536


def table(rows: int) -> pa.Table:
    """A timestamp, a key, a price and a short word."""
    random = np.random.default_rng(3)
    words = pa.array(["view", "click", "buy", "return"])
    return pa.table(
        {
            "t": pa.array(np.arange(rows).astype("datetime64[us]")),
            "key": random.integers(0, 1 << 40, rows),
            "price": random.uniform(1, 100, rows).round(2),
            "event": words.take(pa.array(random.integers(0, 4, rows))),
        }
    )


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory on the disk of the working directory, not on a tmpfs."""
    path = Path(tempfile.mkdtemp(prefix="bench-sinks-", dir=".")).absolute()
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a server with fsync off, as in the tests."""
    from tests.services.postgres import Unavailable, postgres_server

    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(postgres_server())
        except Unavailable as reason:
            pytest.skip(str(reason))
        yield server.conninfo


def iceberg(stream: Any, place: Path) -> Any:
    """Into a table of a catalog in SQLite."""
    sql = pytest.importorskip("pyiceberg.catalog.sql")
    catalog = sql.SqlCatalog("bench", uri=f"sqlite:///{place}/db", warehouse=f"file://{place}")
    return stream.write_iceberg(catalog, "bench.rows")


SINKS: dict[str, Callable[[Any, Path], Any]] = {
    "Parquet directory": lambda s, p: s.write_parquet(f"{p}/out/"),
    "IPC directory": lambda s, p: s.write_ipc(f"{p}/out/"),
    "CSV directory": lambda s, p: s.write_csv(f"{p}/out/"),
    "topic": lambda s, p: s.write_topic(p / "topic"),
    "SQLite": lambda s, p: s.write_sqlite(p / "db", "rows"),
    "SQLite, upsert": lambda s, p: s.write_sqlite(p / "db", "rows", key="t"),
    "DuckDB": lambda s, p: s.write_duckdb(p / "db", "rows"),
    "Delta Lake": lambda s, p: s.write_delta(p / "delta"),
    "Iceberg": iceberg,
}
PACKAGES = {"DuckDB": "duckdb", "Delta Lake": "deltalake"}


def rate(pipeline: Any, place: Path, rows: int) -> float:
    """Rows a second from the start of the job to its end."""
    job = pipeline.start(
        checkpoint=place / "state", checkpoint_every="1s", guarantee="exactly-once", name="bench"
    )
    job.wait()
    assert job.metrics().rows_out == rows
    return rows / float(job.seconds)


@pytest.mark.info
@pytest.mark.parametrize("name", SINKS)
def bench_sink(measure: Measure, bench_rows: int, place: Path, name: str) -> None:
    """Files and embedded databases."""
    ps = pytest.importorskip("pystream")
    pytest.importorskip(PACKAGES.get(name, "pystream"))
    rows = min(bench_rows, ROWS_MAX)
    stream = ps.read_arrow(table(rows).to_batches(BATCH_ROWS), name="rows")
    found = rate(SINKS[name](stream, place), place, rows)
    measure.note("sinks", name, found / 1e6, "M rows/s")


@pytest.mark.info
@pytest.mark.parametrize("key", [None, "t"])
def bench_postgres(
    measure: Measure, bench_rows: int, place: Path, postgres: str, key: str | None
) -> None:
    """COPY; upserts by way of a temporary table."""
    ps = pytest.importorskip("pystream")
    pytest.importorskip("psycopg")
    rows = min(bench_rows, ROWS_MAX)
    stream = ps.read_arrow(table(rows).to_batches(BATCH_ROWS), name="rows")
    name = "rows" if key is None else "rows_by_key"
    found = rate(stream.write_postgres(postgres, name, key=key), place, rows)
    title = "PostgreSQL" if key is None else "PostgreSQL, upsert"
    measure.note("sinks", title, found / 1e6, "M rows/s")
