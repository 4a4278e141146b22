"""Rows written aside durably until their epoch is decided: Arrow IPC files with a checksum.

A piece is what one epoch wrote: an Arrow stream in a file of a `Storage`. Its description is JSON
and goes into the sink's token::

    {"epoch": 7, "rows": 1200, "file": "staging/.../3f2a-7.arrow", "bytes": 40960, "crc32": 1234}

An epoch without rows has no file. Reading checks bytes, checksum and row count before any row is
handed out, so that a damaged piece is an error and never half applied.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pystream.checkpoint.checksum import CHECKSUM, checksum
from pystream.connectors.base import IF_EMPTIED
from pystream.errors import CorruptDataError
from pystream.storage.base import Output, Storage

__all__ = ["Staging"]

# Small results are gathered into messages of about this many rows.
_MESSAGE_ROWS = 65_536
_READ_BYTES = 1 << 22


class Staging:
    """The staged pieces of one sink.

    Parameters
    ----------
    storage
        Where the files go.
    prefix
        What their names begin with, of this sink alone.
    schema
        The pyarrow schema of the rows.
    """

    def __init__(self, storage: Storage, prefix: str, schema: Any) -> None:
        self._storage = storage
        self._prefix = prefix
        self._schema = schema
        self._run = uuid.uuid4().hex[:12]  # no file of an earlier run is ever written again
        self._count = 0
        self._file: _Piece | None = None
        self._waiting: list[Any] = []
        self._waiting_rows = 0

    def write(self, batch: Any) -> None:
        """Add rows to the current piece."""
        if batch.num_rows == 0:
            return
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        if self._waiting_rows >= _MESSAGE_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._waiting:
            return
        if self._file is None:
            self._count += 1
            name = f"{self._prefix}/{self._run}-{self._count}.arrow"
            self._file = _Piece(name, self._storage.open_output(name), self._schema)
        self._file.write(pa.Table.from_batches(self._waiting, self._schema).combine_chunks())
        self._waiting, self._waiting_rows = [], 0

    def finish(self, epoch: int) -> dict[str, Any]:
        """End the current piece durably; its description."""
        self._flush()
        if self._file is None:
            return {"epoch": epoch, "rows": 0}
        described = self._file.close()
        self._file = None  # before, `discard` takes it away
        return {"epoch": epoch, **described}

    def discard(self) -> None:
        """Forget the current piece."""
        self._waiting, self._waiting_rows = [], 0
        piece, self._file = self._file, None
        if piece is not None:
            piece.discard()

    @contextmanager
    def open(self, piece: dict[str, Any]) -> Iterator[Iterator[Any]]:
        """The record batches of a piece, checked before the first one."""
        import pyarrow as pa

        if not piece["rows"]:
            yield iter(())
            return
        name = piece["file"]
        try:
            source = self._storage.open_input(name)
        except FileNotFoundError as failure:
            raise CorruptDataError(
                f"{piece['rows']} staged rows of epoch {piece['epoch']} are gone: there is no "
                f"{name} in {self._storage.url}, so that the epoch cannot be finished; {IF_EMPTIED}"
            ) from failure
        with source:
            _check(source, piece, f"{self._storage.url}/{name}")
            with pa.ipc.open_stream(source) as reader:
                yield iter(reader)

    def remove(self, pieces: list[dict[str, Any]]) -> None:
        """Delete pieces that are not needed any more."""
        for piece in pieces:
            if piece["rows"]:
                self._storage.delete(piece["file"])

    def remove_all(self) -> None:
        """Delete everything that is staged, also by earlier runs."""
        prefix = f"{self._prefix}/"
        for name in (*self._storage.list(prefix), *self._storage.leftovers(prefix)):
            self._storage.delete(name)


class _Piece:
    """A piece being written."""

    def __init__(self, name: str, output: Output, schema: Any) -> None:
        import pyarrow as pa

        self._name = name
        self._rows = 0
        self._tap = _Tap(output)
        self._buffer = pa.BufferedOutputStream(pa.PythonFile(self._tap, mode="w"), 1 << 20)
        self._writer = pa.ipc.new_stream(self._buffer, schema)

    def write(self, table: Any) -> None:
        self._rows += table.num_rows
        self._writer.write_table(table)

    def close(self) -> dict[str, Any]:
        self._writer.close()
        self._buffer.flush()
        self._tap.output.close()
        return {
            "rows": self._rows,
            "file": self._name,
            "bytes": self._tap.bytes,
            CHECKSUM: self._tap.crc,
        }

    def discard(self) -> None:
        self._tap.discard()


class _Tap:
    """A file object for pyarrow that passes bytes on, counts them and sums them up.

    It knows nothing of its piece: a circle that leads through pyarrow is never collected.
    """

    closed = False

    def __init__(self, output: Output) -> None:
        self.output = output
        self.crc = 0
        self.bytes = 0
        self._discarded = False

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if not self._discarded:  # pyarrow writes what its buffer holds when it lets go of it
            self.crc = checksum(view, self.crc)
            self.bytes += len(view)
            self.output.write(view)
        return len(view)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def discard(self) -> None:
        self._discarded = True
        self.output.discard()


def _check(source: Any, piece: dict[str, Any], name: str) -> None:
    """Bytes and checksum of the whole file."""
    crc, size = 0, 0
    while True:
        block = source.read_buffer(_READ_BYTES)
        if not block.size:
            break
        crc = checksum(block, crc)
        size += block.size
    if size != piece["bytes"] or crc != piece[CHECKSUM]:
        raise CorruptDataError(
            f"staged rows of epoch {piece['epoch']} are damaged: {name} has {size} bytes with "
            f"checksum {crc}, wanted {piece['bytes']} with {piece[CHECKSUM]}"
        )
    source.seek(0)
