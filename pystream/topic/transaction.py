"""Transactional writes: rows staged in files, then appended to the partitions exactly once.

Rows of an epoch go to a staging file. `prepare` makes it durable; after that `commit` can be done,
or done again, by anyone who has the token: each partition gets the rows of the epoch as one group
of frames that carries the producer and the epoch, and a partition that has the epoch already is
left alone. The staging file is deleted once the partitions are durable.

A staging file has a name of its own, so that a stopped process that wakes up when another one has
taken over finds its files gone, and fails.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa

from pystream._native.core import crc32c
from pystream.errors import CorruptDataError, TopicError
from pystream.storage.local import sync_directory
from pystream.topic.codec import Frame, check_payload
from pystream.topic.files import disk_error, sync_data, write_all
from pystream.topic.format import (
    FRAME_BYTES,
    HEADER_BYTES,
    KIND_END,
    KIND_ROWS,
    STAGING,
    FrameHeader,
    pack_segment_header,
    padding,
    unpack_segment_header,
)

if TYPE_CHECKING:
    from pystream.topic.topic import Topic

__all__ = ["Transaction"]

# Small batches are gathered up to so many rows a partition.
_GATHERED_ROWS = 65_536


class Transaction:
    """Writes to a topic in epochs, each of which happens once. Made by `Topic.transaction`.

    The calls come from one thread, in the order of `pystream.connectors.base.Sink`: ``recover``,
    then ``write...``, ``prepare(1)``, ``write...``, ``commit(1, token)``, ...
    """

    def __init__(self, topic: Topic, producer: str) -> None:
        self.producer = producer
        self._topic = topic
        self._id = hashlib.sha256(producer.encode()).digest()[:16]
        self._folder = os.path.join(topic.path, "staging", quote(producer, safe=""))
        self._waiting: dict[int, list[Any]] = {}
        self._file: _StagingFile | None = None
        self._pending: list[dict[str, Any]] = []
        self._has = 0  # the last epoch that the topic is known to have

    def recorded(self) -> int:
        """The last epoch of this producer that any partition has; 0 if none."""
        return max(self._topic.epochs(self._id).values())

    def recover(self, epoch: int, token: Any = None) -> None:
        """Finish the commit of the last epoch that was decided; forget what is staged besides.

        Parameters
        ----------
        epoch, token
            The last epoch decided and what `prepare` answered for it; 0 and None when none was.

        Raises
        ------
        TopicError
            The topic has a later epoch: its rows would come twice.
        """
        recorded = self.recorded()
        if recorded > epoch:
            raise TopicError(
                f"topic {self._topic.path} has the rows of producer {self.producer!r} up to epoch "
                f"{recorded}, but epoch {epoch} is to be recovered: rows would be there twice. Go "
                "on from the latest epoch, or give the producer another name if both are wanted"
            )
        self._has = recorded
        if token is not None:
            self.commit(epoch, token)
        self._pending = []
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._folder):
                self._unlink(name)

    def write(self, data: Any, *, partition: int | None = None, by: Any = None) -> None:
        """Stage rows; takes what `Topic.append` takes."""
        for number, batches in self._topic.route(data, partition=partition, by=by):
            waiting = self._waiting.setdefault(number, [])
            waiting.extend(batches)
            if sum(batch.num_rows for batch in waiting) >= _GATHERED_ROWS:
                self._flush(number)

    def _flush(self, partition: int) -> None:
        waiting = [batch for batch in self._waiting.pop(partition, ()) if batch.num_rows]
        if not waiting:
            return
        if self._file is None:
            os.makedirs(self._folder, exist_ok=True)
            self._file = _StagingFile(self._folder, bytes.fromhex(self._topic.id))
        table = pa.Table.from_batches(waiting, schema=self._topic.schema)
        for batch in table.combine_chunks().to_batches():
            for frame in self._topic.encode(batch):
                self._file.add(partition, frame)

    def prepare(self, epoch: int) -> dict[str, Any]:
        """Make what was written since the last call durable; answers the token for `commit`."""
        for partition in list(self._waiting):
            self._flush(partition)
        if self._file is not None:
            piece = self._file.finish(epoch, sync=self._topic.syncs)
            self._file = None  # before, `close` discards it
            self._pending.append({"epoch": epoch, **piece})
        return {"pieces": list(self._pending), "has": self._has}

    def commit(self, epoch: int, token: dict[str, Any]) -> None:
        """Make an epoch that was prepared visible; harmless when it is already.

        Raises
        ------
        TopicError
            Its staging file is gone although the topic does not have its rows.
        """
        for piece in token["pieces"]:
            self._apply(piece)
            self._has = max(self._has, piece["epoch"])
        if token["pieces"] and self._topic.syncs:
            self._topic.sync()
        for piece in token["pieces"]:
            self._unlink(piece["file"])
        self._pending = [piece for piece in self._pending if piece["epoch"] > epoch]

    def _apply(self, piece: dict[str, Any]) -> None:
        epochs = self._topic.epochs(self._id)
        missing = [int(p) for p in piece["rows"] if epochs[int(p)] < piece["epoch"]]
        if not missing:
            return
        path = os.path.join(self._folder, piece["file"])
        try:
            staged = _open_staged(path, piece)
        except FileNotFoundError as failure:
            raise TopicError(
                f"{path} is gone, and partitions {missing} of topic {self._topic.path} do not have "
                f"its rows: epoch {piece['epoch']} of producer {self.producer!r} is lost; if "
                "the topic was emptied, a job begins afresh with restore='none'"
            ) from failure
        with staged as frames:
            wanted = {partition: frames[partition] for partition in missing}
            self._topic.append_frames(wanted, self._id, piece["epoch"])

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._folder, name))

    def close(self) -> None:
        """Let go; what is prepared stays for `recover`, what is not is forgotten."""
        self._waiting = {}
        if self._file is not None:
            self._file.discard()
            self._file = None


class _StagingFile:
    """The file of the epoch being written; see `pystream.topic.format`."""

    def __init__(self, folder: str, topic_id: bytes) -> None:
        self._name = f"{uuid.uuid4().hex}.tmp"
        self._folder = folder
        self._path = os.path.join(folder, self._name)
        self._topic_id = topic_id
        self._rows: dict[int, int] = {}
        self._size = HEADER_BYTES
        try:
            self._file = open(self._path, "xb", buffering=0)  # noqa: SIM115
        except OSError as failure:
            raise disk_error(failure, self._path) from failure

    def add(self, partition: int, frame: Frame) -> None:
        """Write a frame behind the others."""
        offset = self._rows.get(partition, 0)
        header = FrameHeader(
            size=frame.size,
            crc=frame.crc,
            offset=offset,
            rows=frame.rows,
            event_min=frame.event_min,
            event_max=frame.event_max,
            partition=partition,
        )
        parts = [header.pack(), *frame.parts, padding(frame.size)]
        write_all(self._file.fileno(), parts, self._size, self._path)
        self._size += header.total_bytes
        self._rows[partition] = offset + frame.rows

    def finish(self, epoch: int, *, sync: bool) -> dict[str, Any]:
        """Give the file its end and its name; answers what a token says of it."""
        rows = {str(partition): count for partition, count in sorted(self._rows.items())}
        state = json.dumps(rows).encode()
        end = FrameHeader(size=len(state), crc=crc32c(state), offset=0, rows=0, kind=KIND_END)
        descriptor = self._file.fileno()
        parts = [end.pack(), state, padding(len(state))]
        write_all(descriptor, parts, self._size, self._path)
        start = pack_segment_header(STAGING, 0, epoch, self._topic_id, 0)
        write_all(descriptor, [start], 0, self._path)
        name = f"{epoch}-{self._name.removesuffix('.tmp')}"
        try:
            if sync:
                sync_data(descriptor)
            self._file.close()
            os.rename(self._path, os.path.join(self._folder, name))
            if sync:
                sync_directory(self._folder)
                sync_directory(os.path.dirname(self._folder))
        except OSError as failure:
            raise disk_error(failure, self._path) from failure
        return {"file": name, "rows": rows}

    def discard(self) -> None:
        """Remove it."""
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


@contextlib.contextmanager
def _mapped(path: str) -> Iterator[Any]:
    with open(path, "rb") as file:
        yield mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@contextlib.contextmanager
def _reading(data: mmap.mmap, frames: dict[int, list[Frame]]) -> Iterator[dict[int, list[Frame]]]:
    try:
        yield frames
    finally:
        frames.clear()
        with contextlib.suppress(BufferError):  # an error's traceback may hold a frame
            data.close()


def _open_staged(path: str, piece: dict[str, Any]) -> Any:
    """A context with the frames of a staging file by partition, over its mapped memory."""
    with _mapped(path) as data:
        view = memoryview(data)
        _, epoch, _, _ = unpack_segment_header(data[:HEADER_BYTES], STAGING, path)
        frames: dict[int, list[Frame]] = {}
        position, complete = HEADER_BYTES, False
        while not complete:
            header = FrameHeader.unpack(view, position)
            if header is None:
                raise CorruptDataError(f"{path}: no frame at byte {position}; the file is damaged")
            payload = view[position + FRAME_BYTES :][: header.size]
            check_payload(header, payload, path, position)
            complete = header.kind == KIND_END
            if header.kind == KIND_ROWS:
                frame = Frame(
                    [payload],
                    header.size,
                    header.crc,
                    header.rows,
                    header.event_min,
                    header.event_max,
                )
                frames.setdefault(header.partition, []).append(frame)
            position += header.total_bytes
        rows = {str(p): sum(frame.rows for frame in group) for p, group in frames.items()}
        if epoch != piece["epoch"] or rows != piece["rows"]:
            raise CorruptDataError(
                f"{path} holds epoch {epoch} with rows {rows}, not epoch {piece['epoch']} with "
                f"{piece['rows']}"
            )
        return _reading(data, frames)
