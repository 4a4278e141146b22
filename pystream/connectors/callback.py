"""Sinks inside Python: a function called with each result batch, and a list in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pystream._native.arrow import BatchList, Memory
from pystream.connectors.base import Sink, SinkContext, fail_as
from pystream.errors import StageError
from pystream.plan.schema import Schema

__all__ = ["CallbackSink", "MemorySink"]


class CallbackSink(Sink):
    """Calls a function with every result batch, as a pyarrow RecordBatch."""

    def __init__(self, function: Callable[[Any], object]) -> None:
        self._function = function
        self.name = f"for_each {getattr(function, '__name__', type(function).__name__)}"

    def write(self, batches: BatchList) -> None:
        import pyarrow as pa

        for index in range(len(batches)):
            batch = pa.record_batch(batches[index])
            try:
                self._function(batch)
            except Exception as failure:
                text = f"{self.name} failed on a batch of {batch.num_rows} rows"
                raise fail_as(StageError, text, failure) from failure


class MemorySink(Sink):
    """Keeps everything for `Job.result`."""

    name = "collect"

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.batches: BatchList | None = None

    def open(self, schema: Schema, context: SinkContext) -> None:
        self.batches = BatchList(self._memory, schema)

    def write(self, batches: BatchList) -> None:
        if self.batches is not None:
            for index in range(len(batches)):
                self.batches.append(batches[index])
