"""The smallest source and sink that keep the protocols: what the harness itself is checked with."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pystream.connectors.base import Poller, Position, Reader, Sink, SinkContext, Source
from pystream.plan.schema import Schema

__all__ = ["FolderSink", "PacedSource", "SlicesSource"]


class SlicesSource(Source):
    """Partitions of rows in Arrow files, handed out a few rows at a time.

    Parameters
    ----------
    files
        One for each partition.
    rows
        How many a poll answers.
    """

    name = "slices"
    live = True
    replayable = True

    def __init__(self, files: Sequence[Path], rows: int) -> None:
        self._tables = [_read(file) for file in files]
        self._rows = rows

    def schema(self) -> pa.Schema:
        return self._tables[0].schema

    def partitions(self) -> Sequence[str]:
        return [str(number) for number in range(len(self._tables))]

    def open(
        self,
        columns: Sequence[str] | None,
        *,
        partition: str = "0",
        position: Position | None = None,
    ) -> Poller:
        return _SlicesPoller(self._tables[int(partition)], position or 0, self._rows)


class _SlicesPoller(Poller):
    def __init__(self, table: pa.Table, at: int, rows: int) -> None:
        self._table = table
        self._at = at
        self._rows = rows

    def poll(self, timeout_s: float) -> Any:
        part = self._table.slice(self._at, self._rows).combine_chunks()
        self._at += part.num_rows
        self.ended = self._at >= self._table.num_rows
        return part.to_batches()[0] if part.num_rows else None

    def position(self) -> Position:
        return self._at


class PacedSource(Source):
    """A source of pollers slowed down, so that its rows last through several checkpoints.

    Parameters
    ----------
    inner
        The source.
    pause_s
        How long every poll that brought rows takes in addition.
    ends
        The positions at which partitions have ended, for sources that never say so.
    """

    def __init__(
        self, inner: Source, pause_s: float, ends: Sequence[Position] | None = None
    ) -> None:
        self.inner = inner
        self.name = inner.name
        self.live = inner.live
        self.replayable = inner.replayable
        self._pause_s = pause_s
        self._ends = ends

    def schema(self) -> Any:
        return self.inner.schema()

    def partitions(self) -> Sequence[str]:
        return self.inner.partitions()

    def open(
        self,
        columns: Sequence[str] | None,
        *,
        partition: str = "0",
        position: Position | None = None,
    ) -> Poller:
        opened = self.inner.open(columns, partition=partition, position=position)
        assert not isinstance(opened, Reader), f"{self.name} is pulled, not polled"
        end = None if self._ends is None else self._ends[int(partition)]
        return _PacedPoller(opened, self._pause_s, end)

    def committed(self, positions: Any) -> None:
        self.inner.committed(positions)


class _PacedPoller(Poller):
    def __init__(self, inner: Poller, pause_s: float, end: Position | None) -> None:
        self._inner = inner
        self._pause_s = pause_s
        self._end = end
        self._mark()

    def _mark(self) -> None:
        self.ended = self._inner.ended or (
            self._end is not None and self._inner.position() == self._end
        )

    def poll(self, timeout_s: float) -> Any:
        batch = None if self.ended else self._inner.poll(timeout_s)
        if batch is not None:
            time.sleep(self._pause_s)
        self._mark()
        return batch

    def position(self) -> Position:
        return self._inner.position()

    def close(self) -> None:
        self._inner.close()


class FolderSink(Sink):
    """One JSON file an epoch: written aside, renamed when the epoch is decided."""

    name = "folder"
    guarantee = "exactly-once"

    def __init__(self, place: Path) -> None:
        self.place = place
        self._rows: list[dict[str, Any]] = []

    def open(self, schema: Schema, context: SinkContext) -> None:
        (self.place / "staged").mkdir(parents=True, exist_ok=True)
        (self.place / "out").mkdir(exist_ok=True)

    def recover(self, epoch: int, token: Any) -> None:
        if epoch:
            self.commit(epoch, token)
        for file in (self.place / "staged").iterdir():
            file.unlink(missing_ok=True)

    def write(self, batches: Any) -> None:
        self._rows += pa.table(batches).to_pylist()

    def prepare(self, epoch: int) -> Any:
        rows, self._rows = self._rows, []
        name = f"{epoch:08d}-{uuid.uuid4().hex}.json"
        with open(self.place / "staged" / name, "w") as file:
            json.dump(rows, file, default=str)
            file.flush()
            os.fsync(file.fileno())
        return name

    def commit(self, epoch: int, token: Any) -> None:
        target = self.place / "out" / f"{epoch:08d}.json"
        if target.exists():
            return
        try:
            os.rename(self.place / "staged" / token, target)
        except FileNotFoundError:  # an instance that took over was faster
            if not target.exists():
                raise

    @staticmethod
    def read(place: Path) -> list[dict[str, Any]]:
        """Every row that was made visible."""
        files = sorted((place / "out").glob("*.json"))
        return [row for file in files for row in json.loads(file.read_text())]


def _read(file: Path) -> pa.Table:
    with pa.memory_map(str(file)) as mapped, pa.ipc.open_file(mapped) as reader:
        return reader.read_all()
