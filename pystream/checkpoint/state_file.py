"""State files: what one operator keeps for one range of key groups, as plain Arrow.

A state file is an Arrow IPC file (the "Feather version 2" that Polars, DuckDB and others read), so
its bytes are those of the Arrow columnar format 1.x::

    0         8  magic ``ARROW1`` and two zero bytes
    8         -  schema message; then record batch messages; each is 0xFFFFFFFF, the length of its
                 metadata (int32, little endian), metadata (flatbuffer), body; 8-byte aligned
              8  end of stream: 0xFFFFFFFF, 0
              -  footer (flatbuffer: schema, place of each batch), its length (int32), ``ARROW1``

The schema's metadata says where the file belongs:

    ``pystream.format``      "2"; the manifest's format is that of its files
    ``pystream.job``         name of the job
    ``pystream.epoch``       decimal
    ``pystream.operator``    key of the operator
    ``pystream.key_groups``  "first-stop": the range [first, stop) of the 1024 key groups
    ``pystream.kind``        "full" or "increment"

Columns are the operator's; names that begin with a dot are its own, the others are keys. Those of
an aggregation are ``.slice`` and its accumulators, called after what they hold and never after an
aggregate: ``.rows``, ``.sum(price)``, ``.max(price) since 2`` (csrc/state/agg.h). No dictionaries,
no delta batches; bodies may be compressed (lz4 or zstd; each message says).

The manifest holds, for each file, its blocks: consecutive stretches ``[bytes, CRC-32C]`` that
cover every byte. A block ends at the end of a message and the footer is a block of its own, so a
reader verifies a block before it looks into it, in one pass and with the memory of one block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pystream.checkpoint.checksum import checksum
from pystream.errors import CorruptDataError

if TYPE_CHECKING:
    import pyarrow as pa

    from pystream.storage.base import Output

__all__ = ["COMPRESSIONS", "FORMAT", "Blocks", "StateFileWriter", "read_batches"]

FORMAT = 2
COMPRESSIONS = ("none", "lz4", "zstd")

_MAGIC_BYTES = 8
_BLOCK_BYTES = 1 << 20

Blocks = list[tuple[int, int]]


class StateFileWriter:
    """Streams batches of one schema into one file, summing up its blocks."""

    def __init__(
        self, output: Output, schema: pa.Schema, about: Mapping[str, str], compression: str
    ) -> None:
        import pyarrow as pa

        metadata = {f"pystream.{key}": value for key, value in about.items()}
        options = pa.ipc.IpcWriteOptions(compression=None if compression == "none" else compression)
        self.rows = 0
        self._sink = _Summing(output)
        self._schema = schema.with_metadata(metadata)
        self._file = pa.PythonFile(self._sink, mode="w")
        self._writer = pa.ipc.new_file(self._file, self._schema, options=options)

    def add(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        self._writer.write_batch(batch)
        self.rows += batch.num_rows
        if self._sink.pending_bytes >= _BLOCK_BYTES:
            self._sink.end_block()

    def close(self) -> Blocks:
        """Write the footer and make the file durable; its blocks."""
        self._sink.end_block()
        self._writer.close()
        self._sink.end_block()
        self._sink.output.close()
        return self._sink.blocks

    def discard(self) -> None:
        """Forget the file."""
        self._sink.output.discard()


class _Summing:
    """A file object for pyarrow that passes bytes on and sums them up in blocks."""

    closed = False

    def __init__(self, output: Output) -> None:
        self.output = output
        self.blocks: Blocks = []
        self.pending_bytes = 0
        self._sum = 0

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self._sum = checksum(view, self._sum)
        self.pending_bytes += view.nbytes
        return self.output.write(view)

    def end_block(self) -> None:
        if self.pending_bytes:
            self.blocks.append((self.pending_bytes, self._sum))
            self.pending_bytes, self._sum = 0, 0

    def flush(self) -> None:
        """Nothing is held back here."""

    def close(self) -> None:
        """The output is closed by the writer, after the last block."""


def read_batches(file: Any, blocks: Blocks, name: str) -> Iterator[pa.RecordBatch]:
    """The batches of a state file, each verified before it is looked into.

    Parameters
    ----------
    file
        A pyarrow NativeFile at its beginning. Memory-mapped, the batches are views of it.
    blocks
        What the manifest says of the file.
    name
        What errors call it.
    """
    import pyarrow as pa

    schema = None
    for number, (size, wanted) in enumerate(blocks):
        block = file.read_buffer(size)
        if block.size != size or checksum(block) != wanted:
            raise CorruptDataError(
                f"state file {name} is damaged: block {number} of {len(blocks)} is not what the "
                "manifest says was written"
            )
        if number == len(blocks) - 1:
            return
        stream = pa.BufferReader(block if number else block.slice(_MAGIC_BYTES))
        if schema is None:
            schema = pa.ipc.read_schema(stream)
        while stream.tell() < stream.size():
            yield pa.ipc.read_record_batch(pa.ipc.read_message(stream), schema)
