"""The files of a topic, byte by byte, and the functions that pack and unpack them.

A topic is a directory::

    topic.json                       what the topic is: see `pystream.topic.metadata`
    head                             shared page (csrc/queue/log_head.h): ends, and who sleeps
    0/, 1/, ...                      one directory a partition; its lock (flock) is taken to write
      00000000000000000000.log       a segment, named by the offset of its first row
      00000000000000000000.index     places in it, to find offsets and times without reading it all
      synced                         how far the partition surely survives a loss of power
    staging/<producer>/<epoch>-...   output of transactions that is prepared but not committed
    groups/<name>/offsets/...        committed offsets: see `pystream.topic.offsets`
    groups/<name>/members/, owners/  who reads what: see `pystream.topic.consumer`

Numbers are little-endian. An offset is the number of a row within its partition, from 0.

**Segment**: a header of 64 bytes, then frames, each at a multiple of 64 bytes::

     0   8 bytes  "PSLOGSEG"
     8   u32      version of the format, 1
    12   u32      CRC-32C of bytes 16 to 64
    16   u32      partition
    20   u32      0
    24   i64      offset of the first row
    32   16 bytes id of the topic
    48   i64      when it was made, nanoseconds since 1970
    56   i64      0

**Frame**: a header of 128 bytes, the payload, zeros up to the next multiple of 64::

     0   4 bytes  "PSFR"
     4   u32      CRC-32C of bytes 8 to 128
     8   u32      bytes of the payload
    12   u32      CRC-32C of the payload
    16   i64      offset of the first row
    24   u32      rows
    28   u8       kind: 1 rows, 2 state of the producers
    29   u8       1 in the last frame of a group, else 0
    30   u16      0
    32   i64      when it was appended, nanoseconds since 1970; never less than in the frame before
    40   i64      least event time in it, in the unit of the column; greater than the next: none
    48   i64      greatest event time in it
    56   i64      greatest event time in the partition so far, this frame included
    64   16 bytes id of the producer of a transaction, or zeros
    80   i64      epoch of the transaction
    88   i64      offset of the first row of the group
    96   u32      partition
   100   28 bytes 0

The payload of a frame of rows is an Arrow IPC stream of one record batch (schema, dictionaries if
any, batch, end), so any Arrow library reads it alone. Frames of one group (one append, or one epoch
of a transaction) become visible together; a group never leaves its segment. The first frame of a
segment is the state of the producers: JSON, ``{"<id in hex>": <last epoch committed here>}``.

**Index**: records of 32 bytes, one for about every MiB of frames: offset, position of the frame in
the segment, append time, greatest event time before the frame, each an i64. It is a hint: what it
says is checked against the frame, and without it the segment is read from its start.

**synced**: first offset of a segment, bytes of it, offset of the next row, each an i64; u32 CRC-32C
of these, u32 0. Written after the files were synced to that point.

**Staging file**: a segment header with "PSLOGSTG" and the epoch in place of the first offset, then
frames as above whose offsets count from 0 in each partition; the last frame, of kind 3, says that
the file is complete.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from pystream._native.core import crc32c
from pystream.errors import CorruptDataError, UnsupportedError

__all__ = [
    "FRAME_BYTES",
    "HEADER_BYTES",
    "INDEX_ENTRY",
    "KIND_END",
    "KIND_PRODUCERS",
    "KIND_ROWS",
    "NO_PRODUCER",
    "NO_TIME",
    "SEGMENT",
    "STAGING",
    "SYNCED",
    "VERSION",
    "FrameHeader",
    "aligned",
    "pack_segment_header",
    "padding",
    "unpack_segment_header",
]

VERSION = 1
SEGMENT = b"PSLOGSEG"
STAGING = b"PSLOGSTG"
HEADER_BYTES = 64
FRAME_BYTES = 128
KIND_ROWS = 1
KIND_PRODUCERS = 2
KIND_END = 3
NO_PRODUCER = bytes(16)
NO_TIME = -(1 << 63)
INDEX_ENTRY = struct.Struct("<qqqq")
SYNCED = struct.Struct("<qqqII")

_ALIGNMENT = 64
_MAGIC = b"PSFR"
_SEGMENT = struct.Struct("<8sIIIIq16sqq")
_FRAME = struct.Struct("<4sIIIqIBBHqqqq16sqqI28x")
_START = struct.Struct("<4sI")


def aligned(size: int) -> int:
    """The next place where a frame may begin."""
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def padding(size: int) -> bytes:
    """The zeros after a payload."""
    return bytes(-size % _ALIGNMENT)


def pack_segment_header(
    kind: bytes, partition: int, first: int, topic_id: bytes, created_ns: int
) -> bytes:
    """The 64 bytes that a segment begins with."""
    whole = bytearray(_SEGMENT.pack(kind, VERSION, 0, partition, 0, first, topic_id, created_ns, 0))
    struct.pack_into("<I", whole, 12, crc32c(whole[16:]))
    return bytes(whole)


def unpack_segment_header(data: bytes, kind: bytes, path: str) -> tuple[int, int, bytes, int]:
    """(partition, first offset, topic id, created) of a segment's first bytes.

    Raises
    ------
    CorruptDataError, UnsupportedError
        Naming the file.
    """
    if len(data) < HEADER_BYTES:
        raise CorruptDataError(f"{path} is cut short: {len(data)} bytes, no header of 64")
    magic, version, crc, partition, _, first, topic_id, created_ns, _ = _SEGMENT.unpack(
        data[:HEADER_BYTES]
    )
    if magic != kind:
        raise CorruptDataError(f"{path} does not begin with {kind.decode()}: not a topic's file")
    if version != VERSION:
        raise UnsupportedError(
            f"{path} has version {version} of the format, this pystream reads {VERSION}: "
            "read it with the version that wrote it, or a newer one"
        )
    if crc != crc32c(data[16:HEADER_BYTES]):
        raise CorruptDataError(f"{path}: the header's checksum does not match (bytes 0 to 64)")
    return partition, first, topic_id, created_ns


@dataclass(slots=True)
class FrameHeader:
    """The 128 bytes before a payload."""

    size: int
    crc: int
    offset: int
    rows: int
    kind: int = KIND_ROWS
    last: bool = True
    append_ns: int = 0
    event_min: int = 0
    event_max: int = NO_TIME
    event_max_so_far: int = NO_TIME
    producer: bytes = NO_PRODUCER
    epoch: int = 0
    group: int = 0
    partition: int = 0

    @property
    def end(self) -> int:
        """Offset after the last row."""
        return self.offset + self.rows

    @property
    def total_bytes(self) -> int:
        """Of the whole frame."""
        return aligned(FRAME_BYTES + self.size)

    def pack(self) -> bytes:
        """Its bytes, checksum included."""
        whole = bytearray(
            _FRAME.pack(
                _MAGIC,
                0,
                self.size,
                self.crc,
                self.offset,
                self.rows,
                self.kind,
                self.last,
                0,
                self.append_ns,
                self.event_min,
                self.event_max,
                self.event_max_so_far,
                self.producer,
                self.epoch,
                self.group,
                self.partition,
            )
        )
        struct.pack_into("<I", whole, 4, crc32c(memoryview(whole)[8:]))
        return bytes(whole)

    @staticmethod
    def unpack(data: Any, at: int = 0) -> FrameHeader | None:
        """The header at a place of a buffer; None when these bytes are none."""
        if len(data) - at < FRAME_BYTES:
            return None
        magic, crc = _START.unpack_from(data, at)
        if magic != _MAGIC or crc != crc32c(data[at + 8 : at + FRAME_BYTES]):
            return None
        fields = _FRAME.unpack_from(data, at)
        return FrameHeader(
            size=fields[2],
            crc=fields[3],
            offset=fields[4],
            rows=fields[5],
            kind=fields[6],
            last=bool(fields[7]),
            append_ns=fields[9],
            event_min=fields[10],
            event_max=fields[11],
            event_max_so_far=fields[12],
            producer=fields[13],
            epoch=fields[14],
            group=fields[15],
            partition=fields[16],
        )
