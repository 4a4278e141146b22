"""Reading a segment frame by frame, and finding the end of a log that was left in disorder."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass

from pystream._native.core import crc32c
from pystream.errors import CorruptDataError
from pystream.topic.files import index_name, read_synced, segment_name, segments
from pystream.topic.format import (
    FRAME_BYTES,
    HEADER_BYTES,
    NO_TIME,
    SEGMENT,
    FrameHeader,
    unpack_segment_header,
)

__all__ = ["Tail", "check_segment", "recover", "walk"]

_WINDOW_BYTES = 65_536

log = logging.getLogger("pystream.topic")


@dataclass(frozen=True, slots=True)
class Tail:
    """Where writing goes on: the active segment, its bytes, the next offset, the latest times."""

    segment: int
    size: int
    end: int
    append_ns: int = 0
    event_max: int = NO_TIME


def walk(
    descriptor: int, position: int, offset: int, limit: int, *, verify: bool
) -> Iterator[tuple[int, FrameHeader]]:
    """(position, header) of frames from a place on, up to the first that is not whole and next.

    Parameters
    ----------
    position, offset
        Where the first frame begins, and the offset of its first row.
    limit
        Bytes of the file that count.
    verify
        Whether payloads are checked too, and that the first frame begins a group.
    """
    window, start = b"", 0
    group = offset if verify else None
    while position + FRAME_BYTES <= limit:
        if not start <= position <= start + len(window) - FRAME_BYTES:
            window, start = os.pread(descriptor, _WINDOW_BYTES, position), position
        header = FrameHeader.unpack(window, position - start)
        if header is None or header.offset != offset or position + header.total_bytes > limit:
            return
        if group is not None and header.group != group:
            return  # what is left of a group that was overwritten
        if verify and not _payload_is_whole(descriptor, position, header):
            return
        yield position, header
        group = header.end if header.last else header.group
        position += header.total_bytes
        offset = header.end


def _payload_is_whole(descriptor: int, position: int, header: FrameHeader) -> bool:
    payload = os.pread(descriptor, header.size, position + FRAME_BYTES)
    return len(payload) == header.size and crc32c(payload) == header.crc


def check_segment(descriptor: int, path: str, partition: int, first: int, topic_id: bytes) -> int:
    """When a segment was made; an error unless it is this one of this topic."""
    data = os.pread(descriptor, HEADER_BYTES, 0)
    found_partition, found_first, found_id, created_ns = unpack_segment_header(data, SEGMENT, path)
    if (found_partition, found_first, found_id) != (partition, first, topic_id):
        raise CorruptDataError(
            f"{path} is a segment of partition {found_partition} from offset {found_first} of "
            f"topic {found_id.hex()}, not what its name and place say"
        )
    return created_ns


def recover(folder: str, partition: int, topic_id: bytes) -> Tail | int:
    """Find the end of a partition after a loss of power, and cut what is torn.

    What was synced is not looked at: damage there is told to those who read it. Behind it, the
    frames are checked one by one, and from the first that is not whole (or whose group is not)
    everything is cut. A number: there is no segment; the first is to begin with that offset.

    The partition's lock must be held.

    Raises
    ------
    CorruptDataError
        When what was synced is no longer there.
    """
    found = segments(folder)
    synced = read_synced(folder)
    if synced is not None and (not found or synced[0] > found[-1]):
        raise CorruptDataError(
            f"{os.path.join(folder, segment_name(synced[0]))} is missing: the log was synced up to "
            f"offset {synced[2]}"
        )
    tail: Tail | None = None
    for number, first in enumerate(found):
        if synced is not None and first < synced[0]:
            continue
        if tail is not None and first != tail.end:
            behind = first > tail.end  # else its maker died before the log went on there
            _drop(folder, found[number:] if behind else [first])
            if behind:
                break
            continue
        start = Tail(first, synced[1], synced[2]) if synced and first == synced[0] else None
        here = _recover_segment(folder, partition, first, topic_id, start)
        if here is None:
            _drop(folder, found[number:])
            break
        tail = here
    return tail if tail is not None else (found[0] if found else 0)


def _recover_segment(
    folder: str, partition: int, first: int, topic_id: bytes, synced: Tail | None
) -> Tail | None:
    """The end of one segment, cut there; None when not even its beginning was written."""
    path = os.path.join(folder, segment_name(first))
    descriptor = os.open(path, os.O_RDWR)
    try:
        size = os.fstat(descriptor).st_size
        if synced is not None and size < synced.size:
            raise CorruptDataError(
                f"{path} has {size} bytes, but {synced.size} were synced (up to offset "
                f"{synced.end}): the file was cut short afterwards"
            )
        if synced is None and size < HEADER_BYTES:
            return None
        try:
            check_segment(descriptor, path, partition, first, topic_id)
        except CorruptDataError:
            if synced is not None:
                raise
            return None
        tail = _end_of_frames(descriptor, first, size, synced)
        if tail is not None and tail.size < size:
            log.warning("%s: cut %d bytes of unfinished writes", path, size - tail.size)
            os.ftruncate(descriptor, tail.size)
        return tail
    finally:
        os.close(descriptor)


def _end_of_frames(descriptor: int, first: int, size: int, synced: Tail | None) -> Tail | None:
    append_ns, event_max = 0, NO_TIME
    good: Tail | None = None
    if synced is not None:
        for _, header in walk(descriptor, HEADER_BYTES, first, synced.size, verify=False):
            append_ns, event_max = header.append_ns, header.event_max_so_far
        good = Tail(first, synced.size, synced.end, append_ns, event_max)
    begin, offset = (HEADER_BYTES, first) if good is None else (good.size, good.end)
    for position, header in walk(descriptor, begin, offset, size, verify=True):
        if header.last:
            end = position + header.total_bytes
            good = Tail(first, end, header.end, header.append_ns, header.event_max_so_far)
    return good


def _drop(folder: str, firsts: list[int]) -> None:
    for first in firsts:
        path = os.path.join(folder, segment_name(first))
        log.warning("%s: removed, it lies behind unfinished writes", path)
        os.unlink(path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, index_name(first)))
