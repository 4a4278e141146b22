"""Small acts on files that every part of a topic needs."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

from pystream._native.core import crc32c
from pystream.errors import TopicError
from pystream.storage.flock import flock
from pystream.topic.format import SYNCED

__all__ = [
    "boot_id",
    "index_name",
    "locked",
    "read_synced",
    "segment_name",
    "segments",
    "sync_data",
    "write_all",
    "write_synced",
]

_MOST_PARTS = 512  # of one pwritev; IOV_MAX is 1024


def segment_name(first: int) -> str:
    """Of the segment that begins with an offset."""
    return f"{first:020d}.log"


def index_name(first: int) -> str:
    """Of its index."""
    return f"{first:020d}.index"


def segments(folder: str) -> list[int]:
    """First offsets of a partition's segments, ascending."""
    with os.scandir(folder) as entries:
        return sorted(int(e.name[:20]) for e in entries if e.name.endswith(".log"))


def locked(descriptor: int) -> contextlib.AbstractContextManager[None]:
    """Hold the lock of a directory or file of a topic."""
    return flock(descriptor, "a partition", TopicError)


def write_all(descriptor: int, parts: Sequence[Any], position: int, path: str) -> None:
    """Write buffers one after the other; TopicError says what is wrong with the disk."""
    views = [memoryview(part).cast("B") for part in parts if len(part)]
    try:
        while views:
            written = os.pwritev(descriptor, views[:_MOST_PARTS], position)
            position += written
            while views and written >= len(views[0]):
                written -= len(views.pop(0))
            if written:
                views[0] = views[0][written:]
    except OSError as failure:
        raise disk_error(failure, path) from failure


def disk_error(failure: OSError, path: str) -> TopicError:
    """What an append could not do, and what to do about it."""
    cause = os.strerror(failure.errno) if failure.errno else str(failure)
    advice = ""
    if failure.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = ": free some space or lower retention; nothing of this append is visible"
    return TopicError(f"cannot write {path}: {cause}{advice}")


def sync_data(descriptor: int) -> None:
    """Put a file's data on the medium."""
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(descriptor)


def read_synced(folder: str) -> tuple[int, int, int] | None:
    """(segment, bytes, next offset) up to which a partition was synced; None: unknown."""
    try:
        with open(os.path.join(folder, "synced"), "rb") as file:
            data = file.read(SYNCED.size)
    except FileNotFoundError:
        return None
    if len(data) < SYNCED.size:
        return None
    segment, size, end, crc, _ = SYNCED.unpack(data)
    return (segment, size, end) if crc == crc32c(data[:24]) else None


def write_synced(folder: str, segment: int, size: int, end: int) -> None:
    """Note how far a partition was synced."""
    start = SYNCED.pack(segment, size, end, 0, 0)[:24]
    data = SYNCED.pack(segment, size, end, crc32c(start), 0)
    descriptor = os.open(os.path.join(folder, "synced"), os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        os.pwrite(descriptor, data, 0)
    finally:
        os.close(descriptor)


@cache
def boot_id() -> int:
    """64 bits that are others after each start of the machine."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            text = file.read()
    except OSError:
        command = ["sysctl", "-n", "kern.bootsessionuuid"]
        text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    digits = text.replace("-", "").strip()[:16]
    return int(digits, 16) or 1 if digits else 1
