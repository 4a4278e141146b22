"""Appending to one partition: one writer a process, taking turns with those of other processes."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pystream._native.core import crc32c
from pystream.errors import CorruptDataError, InvalidError, TopicError
from pystream.storage.local import sync_directory
from pystream.topic.codec import Frame
from pystream.topic.files import (
    boot_id,
    disk_error,
    index_name,
    locked,
    read_synced,
    segment_name,
    segments,
    sync_data,
    write_all,
    write_synced,
)
from pystream.topic.format import (
    FRAME_BYTES,
    HEADER_BYTES,
    INDEX_ENTRY,
    KIND_PRODUCERS,
    NO_PRODUCER,
    SEGMENT,
    FrameHeader,
    pack_segment_header,
    padding,
)
from pystream.topic.place import Partition
from pystream.topic.scan import Tail, check_segment, recover, walk

__all__ = ["PartitionWriter", "Policy"]

_INDEX_EVERY_BYTES = 1 << 20
_CLOSE_TIMEOUT_S = 1.0

log = logging.getLogger("pystream.topic")


@dataclass(frozen=True, slots=True)
class Policy:
    """How a topic is kept; times in nanoseconds, None for no limit.

    fsync: ``"always"``, ``"never"``, or the time between two.
    """

    segment_bytes: int = 128 << 20
    segment_age_ns: int | None = None
    retention_bytes: int | None = None
    retention_age_ns: int | None = None
    fsync: int | Literal["always", "never"] = 1_000_000_000


class PartitionWriter:
    """Appends to a partition. Thread-safe; not to be carried over a fork.

    Parameters
    ----------
    place
        The partition.
    policy
        How the topic is kept.
    """

    def __init__(self, place: Partition, policy: Policy) -> None:
        self.folder = place.folder
        self.partition = place.number
        self._topic_id = place.topic_id
        self._head = place.head
        self._head_path = place.head_path  # a head that was replaced must not be trusted
        self._head_file = os.stat(place.head_path).st_ino
        self._policy = policy
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._syncing = threading.Lock()
        self._lock = _open(place.folder, os.O_RDONLY)
        self._file = -1
        self._segment = -1
        self._created_ns = 0
        self._index = -1
        self._index_size = 0
        self._indexed = 0  # position of the last frame in the index
        self._producers: dict[str, int] = {}
        self._producers_at: tuple[int, int, int] | None = None  # segment, position, offset
        self._unsynced: set[int] = set()  # sealed segments
        self._unsynced_names = False  # of segments made since the directory was synced
        self._synced_size = 0
        self._failure: BaseException | None = None

    # ---- appending

    def append(
        self, frames: Sequence[Frame], producer: bytes = NO_PRODUCER, epoch: int = 0
    ) -> range | None:
        """Append frames as one group: visible together, or not at all.

        Answers the offsets of the rows; None when the partition has this epoch of this producer (or
        a later one) already.

        Raises
        ------
        TopicError
            The disk is full or broken; nothing was appended.
        """
        if os.getpid() != self._pid:
            raise InvalidError("a topic cannot be written after a fork: open it in the child")
        retire = False
        with self._mutex, locked(self._need_lock()):
            if self._failure is not None:
                raise TopicError(f"{self.folder} can no longer be synced") from self._failure
            tail = self._adopt()
            if producer != NO_PRODUCER and self._epoch_of(producer, tail) >= epoch:
                return None
            now = max(time.time_ns(), tail.append_ns)
            if self._must_roll(tail, sum(frame.total_bytes for frame in frames), now):
                tail = self._roll(tail, now)
                retire = True
            first, tail = tail.end, self._write(frames, tail, now, producer, epoch)
        if retire:
            try:
                self.apply_retention()
            except OSError:  # the rows are there all the same; the next segment tries again
                log.exception("%s: retention failed", self.folder)
        return range(first, tail.end)

    def _write(
        self, frames: Sequence[Frame], tail: Tail, now: int, producer: bytes, epoch: int
    ) -> Tail:
        before, entries = tail, b""
        parts: list[object] = []
        for number, frame in enumerate(frames):
            header = FrameHeader(
                size=frame.size,
                crc=frame.crc,
                offset=tail.end,
                rows=frame.rows,
                last=number == len(frames) - 1,
                append_ns=now,
                event_min=frame.event_min,
                event_max=frame.event_max,
                event_max_so_far=max(tail.event_max, frame.event_max),
                producer=producer,
                epoch=epoch,
                group=before.end,
                partition=self.partition,
            )
            if tail.size - self._indexed >= _INDEX_EVERY_BYTES:
                entries += INDEX_ENTRY.pack(tail.end, tail.size, now, tail.event_max)
                self._indexed = tail.size
            parts += [header.pack(), *frame.parts, padding(frame.size)]
            tail = Tail(
                tail.segment,
                tail.size + header.total_bytes,
                header.end,
                now,
                header.event_max_so_far,
            )
        self._put(parts, before)
        self._add_to_index(entries)
        self._publish(tail)
        known = self._producers_at
        if known is not None and known[1:] == (before.size, before.end):
            self._producers_at = (tail.segment, tail.size, tail.end)
            if producer != NO_PRODUCER:
                self._producers[producer.hex()] = epoch
        return tail

    def _put(self, parts: list[object], tail: Tail) -> None:
        path = self._path(tail.segment)
        try:
            write_all(self._file, parts, tail.size, path)
            if self._policy.fsync == "always":
                sync_data(self._file)
        except (TopicError, OSError) as failure:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, tail.size)
            if isinstance(failure, TopicError):
                raise
            raise disk_error(failure, path) from failure

    def _publish(self, tail: Tail) -> None:
        self._head.publish(
            self.partition,
            boot_id(),
            tail.segment,
            tail.size,
            tail.end,
            tail.append_ns,
            tail.event_max,
        )

    def _path(self, segment: int) -> str:
        return os.path.join(self.folder, segment_name(segment))

    def _need_lock(self) -> int:
        if self._lock < 0:
            raise InvalidError(f"{self.folder}: this topic was closed")
        return self._lock

    # ---- going on where somebody left off

    def open(self) -> Tail:
        """Make sure that the partition's end is known; recovers it if need be."""
        with self._mutex, locked(self._need_lock()):
            return self._adopt()

    def _adopt(self) -> Tail:
        """The tail as the last writer left it, with its segment open and what is behind it cut."""
        found = self._head.tail(self.partition, boot_id())
        if found is None:
            tail = self._recover()
        else:
            tail = Tail(*found)
            if tail.segment != self._segment:
                self._switch(tail)
        size = os.fstat(self._file).st_size
        if size != tail.size:
            self._cut(size, tail)
        if tail.end != tail.segment and os.access(self._path(tail.end), os.F_OK):
            os.unlink(self._path(tail.end))  # its maker died before the log went on there
        return tail

    def _recover(self) -> Tail:
        found = recover(self.folder, self.partition, self._topic_id)
        self._producers_at = None
        if isinstance(found, int):
            tail = self._begin_segment(Tail(found, 0, found), time.time_ns())
        else:
            tail = found
            self._switch(tail)
        self._publish(tail)
        return tail

    def _cut(self, size: int, tail: Tail) -> None:
        """Remove what a writer left that died before it published."""
        path = self._path(tail.segment)
        if os.stat(self._head_path).st_ino != self._head_file:
            raise TopicError(f"{self._head_path} was replaced by another file: open the topic anew")
        if size < tail.size:
            raise CorruptDataError(
                f"{path} has {size} bytes, {tail.size} were written (up to offset {tail.end}): "
                "the file was cut short afterwards"
            )
        os.ftruncate(self._file, tail.size)

    def _switch(self, tail: Tail) -> None:
        """Open the segment that others, or an earlier run, made the active one."""
        path = self._path(tail.segment)
        file = _open(path, os.O_RDWR)
        try:
            created = check_segment(file, path, self.partition, tail.segment, self._topic_id)
        except BaseException:
            os.close(file)
            raise
        first = self._first_unsynced()
        self._unsynced.update(s for s in segments(self.folder) if first <= s < tail.segment)
        self._take(file, tail.segment, created)
        self._open_index(tail)

    def _first_unsynced(self) -> int:
        if self._segment >= 0:
            return self._segment
        synced = read_synced(self.folder)
        return 0 if synced is None else synced[0]

    def _take(self, file: int, segment: int, created_ns: int) -> None:
        if self._file >= 0:
            self._unsynced.add(self._segment)
        # Forgotten before it is closed: an interrupt between the two must not close it again.
        old, self._file = self._file, file
        self._segment, self._created_ns, self._synced_size = segment, created_ns, 0
        _close(old)

    # ---- segments

    def _must_roll(self, tail: Tail, more: int, now: int) -> bool:
        if tail.end == tail.segment:
            return False  # it has no rows yet
        if tail.size + more > self._policy.segment_bytes:
            return True
        age = self._policy.segment_age_ns
        return age is not None and now - self._created_ns >= age

    def _roll(self, tail: Tail, now: int) -> Tail:
        """Seal the active segment and begin the next."""
        self._learn_producers(tail)
        os.ftruncate(self._file, tail.size)  # readers go on to the next file at its very end
        new = self._begin_segment(tail, now)
        self._publish(new)
        return new

    def _begin_segment(self, tail: Tail, now: int) -> Tail:
        path = self._path(tail.end)
        state = json.dumps(self._producers, separators=(",", ":")).encode()
        header = FrameHeader(
            size=len(state),
            crc=crc32c(state),
            offset=tail.end,
            rows=0,
            kind=KIND_PRODUCERS,
            append_ns=max(now, tail.append_ns),
            event_min=0,
            event_max_so_far=tail.event_max,
            group=tail.end,
            partition=self.partition,
        )
        start = pack_segment_header(SEGMENT, self.partition, tail.end, self._topic_id, now)
        file = _open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            write_all(file, [start, header.pack(), state, padding(len(state))], 0, path)
            if self._policy.fsync == "always":
                sync_directory(self.folder)
            else:
                self._unsynced_names = True  # a sync here would hold the append up for the disk
        except BaseException:
            os.close(file)
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise
        self._take(file, tail.end, now)
        new = replace(tail, segment=tail.end, size=HEADER_BYTES + header.total_bytes)
        self._producers_at = (new.segment, new.size, new.end)
        self._open_index(new)
        return new

    # ---- the state of producers

    def epoch_of(self, producer: bytes) -> int:
        """The last epoch of a producer that this partition has; 0 when none."""
        with self._mutex, locked(self._need_lock()):
            return self._epoch_of(producer, self._adopt())

    def _epoch_of(self, producer: bytes, tail: Tail) -> int:
        self._learn_producers(tail)
        return self._producers.get(producer.hex(), 0)

    def _learn_producers(self, tail: Tail) -> None:
        """Read what others have written into the active segment since we last looked."""
        known = self._producers_at
        if known is None or known[0] != tail.segment:
            known = (tail.segment, HEADER_BYTES, tail.segment)
        reached = known[1:]
        for position, header in walk(self._file, known[1], known[2], tail.size, verify=False):
            if header.kind == KIND_PRODUCERS:
                state = os.pread(self._file, header.size, position + FRAME_BYTES)
                if crc32c(state) != header.crc:
                    break
                self._producers = json.loads(state)
            elif header.producer != NO_PRODUCER:
                self._producers[header.producer.hex()] = header.epoch
            reached = (position + header.total_bytes, header.end)
        if reached != (tail.size, tail.end):
            raise CorruptDataError(
                f"{self._path(tail.segment)}: the frame at byte {reached[0]} (offset {reached[1]}) "
                "was damaged after it was written; which epochs were committed cannot be told"
            )
        self._producers_at = (tail.segment, tail.size, tail.end)

    # ---- index

    def _open_index(self, tail: Tail) -> None:
        old, self._index = self._index, -1
        _close(old)
        path = os.path.join(self.folder, index_name(tail.segment))
        self._index = _open(path, os.O_RDWR | os.O_CREAT)
        size = os.fstat(self._index).st_size // INDEX_ENTRY.size * INDEX_ENTRY.size
        self._indexed = HEADER_BYTES
        while size:
            entry = os.pread(self._index, INDEX_ENTRY.size, size - INDEX_ENTRY.size)
            position = INDEX_ENTRY.unpack(entry)[1]
            if position < tail.size:
                self._indexed = position
                break
            size -= INDEX_ENTRY.size
        os.ftruncate(self._index, size)
        self._index_size = size

    def _add_to_index(self, entries: bytes) -> None:
        """An index that cannot be written is only slower."""
        if entries:
            with contextlib.suppress(OSError):
                self._index_size = max(self._index_size, os.fstat(self._index).st_size)
                self._index_size += os.pwrite(self._index, entries, self._index_size)

    # ---- sync and retention

    def sync(self) -> None:
        """Put everything appended so far on the medium."""
        with self._syncing:  # the note of one sync must not run ahead of the files of another
            with self._mutex:
                plan = self._plan_sync()
            if plan is not None:
                self._carry_out(*plan)

    def _plan_sync(self) -> tuple[set[int], tuple[int, int, int] | None] | None:
        """Segments to sync, and the place to note afterwards; None when nothing is new."""
        if self._failure is not None or self._file < 0:
            return None
        found = self._head.tail(self.partition, boot_id())
        if found is None or found[0] != self._segment:  # another process is further
            place = None
        elif not self._unsynced and found[1] == self._synced_size:
            return None
        else:
            place = found[:3]
        sealed, self._unsynced = self._unsynced, set()
        return sealed | {self._segment}, place

    def _carry_out(self, plan: set[int], place: tuple[int, int, int] | None) -> None:
        try:
            for first in sorted(plan):
                self._sync_file(first)
            if self._unsynced_names:
                self._unsynced_names = False
                sync_directory(self.folder)
            if place is not None:
                write_synced(self.folder, *place)
                self._synced_size = place[1]
        except OSError as failure:
            self._failure = failure
            raise TopicError(
                f"{self.folder} cannot be synced: {failure}; rows appended since the last sync may "
                "not survive a loss of power"
            ) from failure

    def _sync_file(self, segment: int) -> None:
        try:
            file = os.open(self._path(segment), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # retention took it
        try:
            sync_data(file)
        finally:
            os.close(file)

    def apply_retention(self) -> None:
        """Delete the oldest segments that are too many or too old; never the active one."""
        size_limit, age_limit = self._policy.retention_bytes, self._policy.retention_age_ns
        if size_limit is None and age_limit is None:
            return
        found = segments(self.folder)
        sizes = [_size(self._path(first)) for first in found]
        total = sum(sizes)
        for first, following, size in zip(found, found[1:], sizes, strict=False):
            too_big = size_limit is not None and total > size_limit
            too_old = age_limit is not None and time.time_ns() - self._made(following) > age_limit
            if not (too_big or too_old):
                break
            for name in (segment_name(first), index_name(first)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self.folder, name))
            total -= size

    def _made(self, segment: int) -> int:
        """When a segment was made: its predecessor has nothing younger."""
        path = self._path(segment)
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0  # another process has deleted it meanwhile, behind those before it
        try:
            return check_segment(file, path, self.partition, segment, self._topic_id)
        finally:
            os.close(file)

    def close(self) -> None:
        """Sync (unless the policy is never) and let go."""
        if os.getpid() != self._pid:
            return
        # A thread that was killed inside an append may have left it locked.
        held = self._mutex.acquire(timeout=_CLOSE_TIMEOUT_S)
        plan = self._plan_sync() if held and self._policy.fsync != "never" else None
        old = self._file, self._index, self._lock
        self._file = self._index = self._lock = -1
        if held:
            self._mutex.release()
        for file in old:
            _close(file)
        if plan is not None:
            self._carry_out(*plan)


def _open(path: str, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o666)
    except OSError as failure:
        raise TopicError(f"cannot open {path}: {os.strerror(failure.errno or 0)}") from failure


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
