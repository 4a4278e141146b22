"""The sources and sinks that are put to the test: how a worker uses them, how the rows are read."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import pystream as ps
from pystream.connectors.files import ParquetSource
from pystream.connectors.topic import TopicSource
from pystream.pipeline import Pipeline
from pystream.runtime.driver import Driver
from pystream.stream import Stream
from tests.crash.controls import FolderSink, PacedSource, SlicesSource
from tests.crash.points import wrap
from tests.crash.producer import producer
from tests.crash.workload import SCHEMA, Workload

__all__ = ["POSTGRES", "SERVER_FILE", "SINKS", "SOURCES", "SinkSubject", "SourceSubject"]

_PIECE_ROWS = 20
_FILES = 8
_TABLE = "results"
# Where the harness tells its workers the address of the server that it started,
POSTGRES = "PYSTREAM_CRASH_POSTGRES"
# and the file beside the input that says it of a server which a trial has for itself.
SERVER_FILE = "server"

Rows = list[dict[str, Any]]


def _nothing(workload: Workload, place: Path) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class SourceSubject:
    """A source.

    Attributes
    ----------
    make
        Write the rows of a workload below a folder.
    open
        The stream of a worker; the pause says how long each piece of rows takes in addition.
    feed
        What goes on beside all lives of the job.
    """

    make: Callable[[Workload, Path], None]
    open: Callable[[Path, float], Stream]
    feed: Callable[[Workload, Path], AbstractContextManager[None]] = _nothing


@dataclass(frozen=True)
class SinkSubject:
    """A sink.

    Attributes
    ----------
    attach
        A stream with this sink behind it, whose output is below a folder.
    read
        Every row that is visible, read as a user would.
    """

    attach: Callable[[Stream, Path], Pipeline]
    read: Callable[[Path], Rows]


# ---- sources ----


def _make_slices(workload: Workload, place: Path) -> None:
    (place / "input").mkdir(parents=True)
    for number, table in enumerate(workload.tables()):
        with pa.ipc.new_file(place / "input" / f"{number}.arrow", table.schema) as writer:
            writer.write_table(table)


def _open_slices(place: Path, pause_s: float) -> Stream:
    source = SlicesSource(sorted((place / "input").glob("*.arrow")), _PIECE_ROWS)
    return Stream.from_source(PacedSource(source, pause_s))


def _make_parquet(workload: Workload, place: Path) -> None:
    (place / "input").mkdir(parents=True)
    table = workload.merged()
    rows = -(-table.num_rows // _FILES)
    for number in range(_FILES):
        part = table.slice(number * rows, rows)
        pq.write_table(part, place / "input" / f"{number}.parquet", row_group_size=3 * _PIECE_ROWS)


def _open_parquet(place: Path, pause_s: float) -> Stream:
    def paced(inner: Callable[..., Iterator[Any]], *args: Any) -> Iterator[Any]:
        for batch in inner(*args):
            yield batch
            time.sleep(pause_s)

    def bounded(inner: Callable[..., None], driver: Driver, rows: int) -> None:
        inner(driver, _PIECE_ROWS)  # the driving thread looks up after each piece

    if pause_s:
        wrap(ParquetSource, "_batches_of", paced)
        wrap(Driver, "limit_budget", bounded)
    return ps.read_parquet(place / "input", batch_rows=_PIECE_ROWS)


def _make_topic(workload: Workload, place: Path) -> None:
    place.mkdir(parents=True)
    with ps.Topic(place / "input", schema=SCHEMA, partitions=workload.partitions) as topic:
        for number, table in enumerate(workload.tables()):
            for start in range(0, table.num_rows, _PIECE_ROWS):
                topic.append(table.slice(start, _PIECE_ROWS), partition=number)


def _open_topic(place: Path, pause_s: float) -> Stream:
    topic = ps.Topic(place / "input")  # as long as the process
    source = TopicSource(topic)
    ends = [source.position_at(topic.end()[number]) for number in range(topic.partitions)]
    return Stream.from_source(PacedSource(source, pause_s, ends))


def _make_live(workload: Workload, place: Path) -> None:
    place.mkdir(parents=True)
    ps.Topic(place / "input", schema=SCHEMA, partitions=workload.partitions).close()


def _open_live(place: Path, pause_s: float) -> Stream:
    topic = ps.Topic(place / "input")
    source = TopicSource(topic)
    ends = [source.position_at(Workload(0).rows)] * topic.partitions  # more is never written
    return Stream.from_source(PacedSource(source, pause_s, ends))


def _feed_live(workload: Workload, place: Path) -> AbstractContextManager[None]:
    return producer(workload, place / "input")


SOURCES = {
    "slices": SourceSubject(_make_slices, _open_slices),
    "topic": SourceSubject(_make_topic, _open_topic),
    "parquet": SourceSubject(_make_parquet, _open_parquet),
    "live": SourceSubject(_make_live, _open_live, _feed_live),
}

# ---- sinks ----


def _attach_folder(stream: Stream, place: Path) -> Pipeline:
    return stream.write_to(FolderSink(place / "output"))


def _read_folder(place: Path) -> Rows:
    return FolderSink.read(place / "output")


def _attach_topic(stream: Stream, place: Path) -> Pipeline:
    return stream.write_topic(place / "output", partitions=2, by="k")


def _read_topic(place: Path) -> Rows:
    with ps.Topic(place / "output") as topic:
        return topic.to_table().to_pylist()


def _attach_parquet(stream: Stream, place: Path) -> Pipeline:
    return stream.write_parquet(f"{place / 'output'}/")


def _read_parquet(place: Path) -> Rows:
    return ps.read_parquet(place / "output").collect().to_pylist()


def _attach_sqlite(stream: Stream, place: Path) -> Pipeline:
    return stream.write_sqlite(place / "output.db", _TABLE)


def _read_sqlite(place: Path) -> Rows:
    with closing(sqlite3.connect(place / "output.db")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {_TABLE}")]


def _conninfo(place: Path) -> str:
    own = place / SERVER_FILE
    return own.read_text() if own.exists() else os.environ[POSTGRES]


def _postgres_table(place: Path) -> str:
    """A table for each trial, as all share a server."""
    return f"results_{hashlib.sha256(str(place).encode()).hexdigest()[:16]}"


def _attach_postgres(stream: Stream, place: Path) -> Pipeline:
    return stream.write_postgres(_conninfo(place), _postgres_table(place))


def _read_postgres(place: Path) -> Rows:
    import psycopg
    from psycopg.rows import dict_row

    with psycopg.connect(_conninfo(place), row_factory=dict_row) as connection:
        return connection.execute(f"SELECT * FROM {_postgres_table(place)}").fetchall()


SINKS = {
    "folder": SinkSubject(_attach_folder, _read_folder),
    "topic": SinkSubject(_attach_topic, _read_topic),
    "parquet": SinkSubject(_attach_parquet, _read_parquet),
    "sqlite": SinkSubject(_attach_sqlite, _read_sqlite),
    "postgres": SinkSubject(_attach_postgres, _read_postgres),
}
