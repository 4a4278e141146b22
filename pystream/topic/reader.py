"""Reading one partition: from an offset or a time, and on as rows are appended."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pystream.errors import CorruptDataError, InvalidError, OffsetError, TopicError
from pystream.topic.codec import check_payload
from pystream.topic.files import index_name, segment_name, segments
from pystream.topic.format import (
    FRAME_BYTES,
    HEADER_BYTES,
    INDEX_ENTRY,
    KIND_ROWS,
    NO_TIME,
    FrameHeader,
)
from pystream.topic.place import Partition
from pystream.topic.scan import check_segment, walk

__all__ = ["PartitionReader", "earliest", "find_time", "gone"]

_CHUNK_LEAST = 1 << 16
_CHUNK_MOST = 1 << 22
_ATTEMPTS = 3  # retention may delete a segment between listing and opening
# A signal ends a sleep in C; between two sleeps Python may run its handlers.
_SLEEP_NS = 3_600_000_000_000


class PartitionReader:
    """Rows of one partition in order. Made by `Topic.reader`; used by one thread at a time.

    Attributes
    ----------
    partition
        Its number.
    offset
        Of the next row that `poll` answers.
    """

    def __init__(
        self, partition: Partition, offset: int, columns: Sequence[int] | None, until: int | None
    ) -> None:
        self.partition = partition.number
        self.offset = offset
        self._at = partition
        self._columns = columns
        self._until = until
        self._file = -1
        self._path = ""
        self._position = -1  # in the file, of the frame that has the next row; -1: to be found
        self._buffer: pa.Buffer | None = None
        self._start = 0  # of the buffer in the file
        self._readable = 0  # offset up to which the buffer's frames were complete when it was read
        self._chunk = _CHUNK_LEAST

    @property
    def end(self) -> int:
        """Offset after the last row that can be read now."""
        return self._at.head.end(self.partition)

    @property
    def lag(self) -> int:
        """How many rows are there and were not read yet."""
        return self.end - self.offset

    @property
    def ended(self) -> bool:
        """Whether a reader with a limit has reached it."""
        return self._until is not None and self.offset >= self._until

    def poll(self, timeout_s: float = 0.0) -> Any:
        """The next rows as a pyarrow RecordBatch; None when none came in time.

        Waits at most ``timeout_s`` seconds for a row, asleep, and does not wait for more. Rows come
        as they were appended: what was one batch stays one.

        Raises
        ------
        OffsetError
            Retention has deleted the next row.
        CorruptDataError
            A file was damaged; names it and the place.
        """
        if self.ended or not self._wait(timeout_s):
            return None
        while True:
            header, payload = self._next_frame()
            if header.kind == KIND_ROWS and header.end > self.offset:
                break
        batch = self._at.codec.decode(payload, self._columns)
        if batch.num_rows != header.rows:
            raise CorruptDataError(
                f"{self._path}: {batch.num_rows} rows in a frame that should have {header.rows} "
                f"(offset {header.offset})"
            )
        skip, stop = self.offset - header.offset, header.rows
        if self._until is not None:
            stop = min(stop, self._until - header.offset)
        self.offset = header.offset + stop
        return batch.slice(skip, stop - skip) if (skip, stop) != (0, header.rows) else batch

    def _wait(self, timeout_s: float) -> bool:
        head, numbers = self._at.head, (self.partition,)
        if head.end(self.partition) > self.offset:
            return True
        left = limit = max(0, int(timeout_s * 1e9))
        start = time.monotonic_ns()
        while left > 0:
            if head.wait(numbers, (self.offset,), min(left, _SLEEP_NS)) is not None:
                break
            left = limit - (time.monotonic_ns() - start)
        return head.end(self.partition) > self.offset

    # ---- frames

    def _next_frame(self) -> tuple[FrameHeader, pa.Buffer]:
        """The next frame of the file, in memory and checked; there must be one below the end."""
        if self._position < 0:
            self._locate()
        header = self._header()
        if header is None:
            self._next_segment()
            header = self._header()
        if header is None or not header.offset <= self.offset <= header.end:
            raise CorruptDataError(
                f"{self._path}: no frame at byte {self._position}, where offset {self.offset} was "
                f"written (the log goes on to {self.end}): the file was damaged afterwards"
            )
        payload = self._bytes(self._position + FRAME_BYTES, header.size)
        check_payload(header, payload, self._path, self._position)
        self._position += header.total_bytes
        return header, payload

    def _header(self) -> FrameHeader | None:
        data = self._bytes(self._position, FRAME_BYTES)
        return None if data is None else FrameHeader.unpack(memoryview(data))

    def _bytes(self, position: int, size: int) -> Any:
        """A piece of the file, out of the buffer or read now; None where the file ends before."""
        buffer = self._buffer
        # Behind what was committed when it was read, the buffer may hold half a frame.
        if (
            buffer is None
            or self.offset >= self._readable
            or position < self._start
            or position + size > self._start + buffer.size
        ):
            buffer = self._fill(position, size)
        if position + size > self._start + buffer.size:
            return None
        return buffer.slice(position - self._start, size)

    def _fill(self, position: int, size: int) -> pa.Buffer:
        self._readable = self._at.head.end(self.partition)
        wanted = max(size, self._chunk)
        room = pa.allocate_buffer(wanted)
        view = memoryview(room)
        got = 0
        while got < wanted:
            read = os.preadv(self._file, [view[got:]], position + got)
            got += read
            if read == 0 or got >= size:
                break
        if got == wanted:
            self._chunk = min(2 * self._chunk, _CHUNK_MOST)
        elif got < self._chunk // 4:
            self._chunk = max(self._chunk // 2, _CHUNK_LEAST)
        self._start = position
        self._buffer = room.slice(0, got)
        return self._buffer

    # ---- places

    def _next_segment(self) -> None:
        """Go on in the segment that begins with the next offset, if there is one."""
        path = os.path.join(self._at.folder, segment_name(self.offset))
        if path != self._path and os.path.exists(path):
            self._open(self.offset)
            self._position = HEADER_BYTES

    def _open(self, first: int) -> None:
        path = os.path.join(self._at.folder, segment_name(first))
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            check_segment(file, path, self.partition, first, self._at.topic_id)
        except BaseException:
            os.close(file)
            raise
        self.close()
        self._file, self._path = file, path

    def _locate(self) -> None:
        """Find the frame that has the next row."""
        for _ in range(_ATTEMPTS):
            found = segments(self._at.folder)
            before = [first for first in found if first <= self.offset]
            if not before:
                raise gone(self.partition, self.offset, found[0] if found else self.end)
            try:
                self._open(before[-1])
                break
            except FileNotFoundError:
                continue
        else:
            raise gone(self.partition, self.offset, earliest(self._at))
        position, offset = _by_index(self._file, self._at.folder, before[-1], 0, self.offset)
        size = os.fstat(self._file).st_size
        self._position = position
        for place, header in walk(self._file, position, offset, size, verify=False):
            self._position = place
            if header.end > self.offset:
                break

    def seek(self, offset: int) -> None:
        """Go to another offset."""
        if offset < 0:
            raise InvalidError(f"an offset is a row number from 0, not {offset}")
        self.offset = offset
        self._position, self._buffer = -1, None

    def close(self) -> None:
        """Let go of the file; `poll` opens it again."""
        file, self._file = self._file, -1
        self._buffer, self._position = None, -1
        if file >= 0:
            os.close(file)

    def __enter__(self) -> PartitionReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_file", -1) >= 0:
            os.close(self._file)

    def __iter__(self) -> PartitionReader:
        return self

    def __next__(self) -> Any:
        """The next batch that is there already; ends where the log ends now."""
        batch = self.poll(0)
        if batch is None:
            raise StopIteration
        return batch


def gone(partition: int, offset: int, first: int) -> OffsetError:
    """The error of an offset that retention has deleted."""
    return OffsetError(
        f"offset {offset} of partition {partition} is gone: retention has deleted the rows before "
        f"{first}; read from 'earliest', or keep more (retention_bytes=, retention_age=)"
    )


def earliest(partition: Partition) -> int:
    """Offset of the first row there is."""
    found = segments(partition.folder)
    return found[0] if found else partition.head.end(partition.number)


def _by_index(file: int, folder: str, first: int, field: int, value: int) -> tuple[int, int]:
    """(position, offset) of the last indexed frame of a segment whose field is below or at a value.

    file: the segment, open, as retention may delete it. field: 0 offset, 2 append time, 3 event
    time so far.
    """
    place = HEADER_BYTES, first
    try:
        with open(os.path.join(folder, index_name(first)), "rb") as index:
            data = index.read()
    except FileNotFoundError:
        return place
    entries = list(INDEX_ENTRY.iter_unpack(data[: len(data) // INDEX_ENTRY.size * 32]))
    low, high = 0, len(entries)
    while low < high:
        middle = (low + high) // 2
        key = entries[middle][field]
        if key < value or (field == 0 and key == value):
            low = middle + 1
        else:
            high = middle
    for offset, position, _, _ in reversed(entries[:low]):
        if _is_frame(file, position, offset):
            return position, offset
    return place


def _is_frame(file: int, position: int, offset: int) -> bool:
    if position < HEADER_BYTES:
        return False
    header = FrameHeader.unpack(os.pread(file, FRAME_BYTES, position))
    return header is not None and header.offset == offset


def find_time(partition: Partition, value: int, *, event_time: bool) -> int:
    """Offset of the first row of the first frame appended at a time or later, or of the first frame
    with an event time at or after it; the end when there is none.
    """
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            return _find_time(partition, value, event_time)
    raise TopicError(
        f"{partition.folder}: retention deletes segments as fast as they are listed: try again, or "
        "keep more (retention_bytes=, retention_age=)"
    )


def _find_time(partition: Partition, value: int, event_time: bool) -> int:
    end = partition.head.end(partition.number)
    found = segments(partition.folder)
    low, high = 0, len(found)  # the last segment that begins before the time has the frame
    while low < high:
        middle = (low + high) // 2
        if _starts_before(partition, found[middle], value, event_time):
            low = middle + 1
        else:
            high = middle
    for first in found[max(0, low - 1) :]:
        file = os.open(
            os.path.join(partition.folder, segment_name(first)), os.O_RDONLY | os.O_CLOEXEC
        )
        try:
            place = _by_index(file, partition.folder, first, 3 if event_time else 2, value)
            size = os.fstat(file).st_size
            for _, header in walk(file, *place, size, verify=False):
                if header.offset >= end:
                    return end
                key = header.event_max_so_far if event_time else header.append_ns
                if header.kind == KIND_ROWS and key >= value:
                    return header.offset
        finally:
            os.close(file)
    return end


def _starts_before(partition: Partition, first: int, value: int, event_time: bool) -> bool:
    file = os.open(os.path.join(partition.folder, segment_name(first)), os.O_RDONLY | os.O_CLOEXEC)
    try:
        header = FrameHeader.unpack(os.pread(file, FRAME_BYTES, HEADER_BYTES))
    finally:
        os.close(file)
    if header is None:
        return True
    so_far = header.event_max_so_far
    return so_far == NO_TIME or so_far < value if event_time else header.append_ns < value
