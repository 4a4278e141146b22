"""Record batches to payloads of frames and back: each payload is a whole Arrow IPC stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from pystream._native.core import crc32c
from pystream.errors import CorruptDataError, InvalidError, SchemaError, column_not_found
from pystream.plan.schema import Schema
from pystream.rows import column_of
from pystream.topic.format import FRAME_BYTES, NO_TIME, FrameHeader, aligned

__all__ = ["Codec", "Frame", "check_payload"]

# Larger batches are cut, so that readers need not hold more at once.
_FRAME_ROWS = 65_536
_FRAME_BYTES = 64 << 20
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


@dataclass(slots=True)
class Frame:
    """A payload and what its header needs to know; `offset` and times come with the append."""

    parts: list[Any]
    size: int
    crc: int
    rows: int
    event_min: int = 0
    event_max: int = NO_TIME

    @property
    def total_bytes(self) -> int:
        """Of the whole frame."""
        return aligned(FRAME_BYTES + self.size)


class Codec:
    """Encodes and decodes batches of one schema. Thread-safe.

    Parameters
    ----------
    schema
        The topic's.
    compression
        ``"lz4"``, ``"zstd"`` or None.
    event_time
        The column whose range is stored with each frame, or None.
    """

    def __init__(self, schema: pa.Schema, compression: str | None, event_time: str | None) -> None:
        self.schema = schema
        self._wanted = Schema.of(schema)
        self._options = ipc.IpcWriteOptions(compression=compression)
        # Without either, a payload is the schema's message, which never changes, and the batch's.
        self._plain = compression is None and not any("dictionary<" in str(t) for t in schema.types)
        self._start = schema.serialize()
        self._needed = [i for i, field in enumerate(schema) if not field.nullable]
        self._event_time = None if event_time is None else schema.get_field_index(event_time)

    def batches(self, data: Any, where: str) -> Iterator[pa.RecordBatch]:
        """Record batches of the topic's schema from anything that speaks Arrow, or from rows."""
        table = _to_batches(data, self.schema, where)
        for batch in table:
            conforming = self._conform(batch, where)
            self._need_values(conforming, where)
            yield conforming

    def _conform(self, batch: pa.RecordBatch, where: str) -> pa.RecordBatch:
        """The batch under the topic's schema: nullability and metadata may differ, no more."""
        if batch.schema.equals(self.schema, check_metadata=True):
            return batch
        difference = self._wanted.difference(Schema.of(batch.schema))
        if difference is not None:
            raise SchemaError(
                f"{where}: {difference}; its schema is fixed: select and cast to "
                f"({', '.join(f'{f.name}: {f.type}' for f in self.schema)})"
            )
        for field, column in zip(self.schema, batch.columns, strict=True):
            if column.type != field.type:  # inner names or nullability of nested types
                raise SchemaError(
                    f"{where}: column {field.name!r} was {field.type}, is {column.type}"
                )
        return pa.RecordBatch.from_arrays(batch.columns, schema=self.schema)

    def _need_values(self, batch: pa.RecordBatch, where: str) -> None:
        for index in self._needed:
            if batch.column(index).null_count:
                name = self.schema.field(index).name
                raise SchemaError(f"{where}: column {name!r} has nulls, and may have none")

    def encode(self, batch: pa.RecordBatch) -> list[Frame]:
        """The frames of a batch: one, unless it is very large."""
        if batch.num_rows == 0:
            return []
        if batch.num_rows > _FRAME_ROWS or batch.nbytes > _FRAME_BYTES:
            count = max(-(-batch.num_rows // _FRAME_ROWS), -(-batch.nbytes // _FRAME_BYTES))
            step = -(-batch.num_rows // min(count, batch.num_rows))
            starts = range(0, batch.num_rows, step)
            return [self._frame(batch.slice(start, step)) for start in starts]
        return [self._frame(batch)]

    def _frame(self, batch: pa.RecordBatch) -> Frame:
        parts: list[Any]
        if self._plain:
            parts = [self._start, batch.serialize(), _END_OF_STREAM]
        else:
            sink = pa.BufferOutputStream()
            with ipc.new_stream(sink, self.schema, options=self._options) as writer:
                writer.write_batch(batch)
            parts = [sink.getvalue()]
        crc, size = 0, 0
        for part in parts:
            crc = crc32c(part, crc)
            size += len(part)
        if size >= 1 << 32:
            raise InvalidError(f"a row of {size} bytes: a frame holds at most 4 GiB")
        frame = Frame(parts, size, crc, batch.num_rows)
        if self._event_time is not None:
            frame.event_min, frame.event_max = self._range(batch.column(self._event_time))
        return frame

    def _range(self, column: pa.Array) -> tuple[int, int]:
        """Least and greatest time, as integers of the column's own unit."""
        found = pc.min_max(column)
        if not found["min"].is_valid:
            return 0, NO_TIME
        if pa.types.is_temporal(column.type):
            return found["min"].value, found["max"].value
        return found["min"].as_py(), found["max"].as_py()

    def decode(self, payload: pa.Buffer, columns: Sequence[int] | None) -> pa.RecordBatch:
        """The batch of a payload, over the same memory; columns: numbers of those wanted."""
        start = self._start
        if self._plain and payload.slice(0, start.size).equals(start):
            batch = ipc.read_record_batch(payload.slice(start.size), self.schema)
            return batch if columns is None else batch.select(list(columns))
        options = ipc.IpcReadOptions(included_fields=None if columns is None else list(columns))
        with ipc.open_stream(payload, options=options) as reader:
            return reader.read_next_batch()


def check_payload(header: FrameHeader, payload: Any, path: str, position: int) -> None:
    """CorruptDataError naming file and place when a payload is not what was written."""
    if crc32c(payload) != header.crc:
        raise CorruptDataError(
            f"{path}: the checksum of the frame at byte {position} does not match (rows "
            f"{header.offset} to {header.end}): the file was damaged after it was written"
        )


def _to_batches(data: Any, schema: pa.Schema, where: str) -> Any:
    if isinstance(data, pa.RecordBatch):
        return (data,)
    if isinstance(data, pa.Table):
        return data.to_batches()
    if hasattr(data, "__arrow_c_stream__"):
        return pa.table(data).to_batches()
    if hasattr(data, "__arrow_c_array__"):
        return (pa.record_batch(data),)
    if isinstance(data, list | tuple) and all(isinstance(row, dict) for row in data):
        unknown = [name for row in data for name in row if name not in schema.names]
        if unknown:
            raise column_not_found(unknown[0], schema.names, where)
        return (_rows(data, schema, where),)
    raise InvalidError(
        f"{where} takes record batches, tables, frames with __arrow_c_stream__ or a list of "
        f"dicts, not a {type(data).__name__}"
    )


def _rows(data: Sequence[dict[str, Any]], schema: pa.Schema, where: str) -> pa.RecordBatch:
    """The batch of dicts; the error of a value that does not fit names its column."""
    columns = []
    for field in schema:
        try:
            columns.append(column_of([row.get(field.name) for row in data], field.type))
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as failure:
            raise SchemaError(
                f"{where}: column {field.name!r} is {field.type}, and a value does not fit: "
                f"{failure}"
            ) from failure
    return pa.RecordBatch.from_arrays(columns, schema=schema)
