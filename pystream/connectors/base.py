"""The two protocols every connector speaks: `Source` gives readers, `Sink` takes result batches.

A source is a description: it may be opened many times, by as many jobs. ``open`` answers a
`Reader`, which owns the position of one pass. The engine pulls the reader's Arrow C stream from
one thread, without Python when the stream itself is native.

A source of one partition ends when its stream ends. The protocol leaves room for sources with
several partitions and resumable positions: each partition is then a reader of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pystream._native.arrow import BatchList, InputStream
from pystream.errors import PystreamError, SchemaError
from pystream.plan.schema import Schema

__all__ = ["Reader", "Sink", "Source"]


class Reader:
    """One pass over a source: an Arrow stream, and the Python error that ended it, if one did."""

    def __init__(self, stream: InputStream, close: Callable[[], None] | None = None) -> None:
        self.stream = stream
        self.failure: BaseException | None = None
        self._close = close

    @staticmethod
    def of_capsule(capsule: object, keep: object = None) -> Reader:
        """A reader of an ``arrow_array_stream`` capsule; keep: what must live as long."""
        return Reader(InputStream(capsule, keep))

    @staticmethod
    def of_batches(schema: Any, batches: Iterable[Any]) -> Reader:
        """A reader of pyarrow record batches from Python, checked against a schema."""
        import pyarrow as pa

        arrow_schema = pa.schema(schema)
        holder: list[Reader] = []

        def checked() -> Iterator[pa.RecordBatch]:
            expected = Schema.of(arrow_schema)
            try:
                for number, batch in enumerate(batches):
                    same = batch.schema == arrow_schema
                    yield batch if same else _conform(batch, arrow_schema, expected, number)
            except BaseException as failure:  # crosses C as text, so keep the original
                holder[0].failure = failure
                raise

        source = checked()
        stream = pa.RecordBatchReader.from_batches(arrow_schema, source)
        reader = Reader(InputStream(stream.__arrow_c_stream__()), getattr(batches, "close", None))
        holder.append(reader)
        return reader

    def close(self) -> None:
        """Let go of the stream and of what stands behind it."""
        self.stream.close()
        if self._close is not None:
            self._close()
            self._close = None


def _conform(batch: Any, wanted: Any, expected: Schema, number: int) -> Any:
    """The batch if it differs in nullability or metadata only, else a SchemaError."""
    import pyarrow as pa

    difference = expected.difference(Schema.of(batch.schema))
    if difference is not None:
        raise SchemaError(
            f"schema change between batches: in batch {number}, {difference}; "
            "cast the batches alike before they enter the stream"
        )
    return pa.RecordBatch.from_arrays(batch.columns, schema=wanted)


class Source(ABC):
    """Rows from outside, as a description that can be opened.

    Attributes
    ----------
    name
        What errors and plans call it.
    live
        Whether rows arrive over time, so that results must not wait for more of them.
    prunes_columns
        Whether ``open(columns)`` reads just those.
    """

    name: str = "source"
    live: bool = False
    prunes_columns: bool = False

    @abstractmethod
    def schema(self) -> Any:
        """An object with ``__arrow_c_schema__``, before anything is read."""

    @abstractmethod
    def open(self, columns: Sequence[str] | None) -> Reader:
        """Start a pass; columns: those wanted in schema order, None for all."""

    def estimated_rows(self) -> int | None:
        """How many rows there will be, if that is cheap to know."""
        return None


class Sink(ABC):
    """Where result batches go: ``open``, ``write``..., then ``commit``, or ``abort`` on failure."""

    name: str = "sink"

    def open(self, schema: Schema) -> None:  # noqa: B027
        """Get ready for rows of this schema."""

    @abstractmethod
    def write(self, batches: BatchList) -> None:
        """Take result batches; they may be kept."""

    def commit(self) -> None:  # noqa: B027
        """The run succeeded: make the output visible."""

    def abort(self, error: BaseException) -> None:  # noqa: B027
        """The run failed: keep what was written, marked as incomplete."""


def fail_as(kind: type[PystreamError], text: str, cause: BaseException) -> PystreamError:
    """An error of a kind that tells the text and class of its cause."""
    return kind(f"{text}: {type(cause).__name__}: {cause}")
