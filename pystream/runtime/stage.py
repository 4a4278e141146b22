"""A Python function between two native segments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pystream._native.arrow import BatchList
from pystream._native.engine import Engine
from pystream.connectors.base import fail_as
from pystream.errors import SchemaError, StageError
from pystream.plan.logical import MapNode
from pystream.plan.schema import Schema

__all__ = ["Stage"]


class Stage:
    """Calls the function of a `MapNode` on each batch and hands on what it answers."""

    def __init__(self, node: MapNode) -> None:
        self._node = node
        self._schema: Any = None

    def run(self, batches: BatchList, engine: Engine, number: int) -> None:
        """Push the function's answers into an input of the next engine; empties `batches`."""
        import pyarrow as pa

        for index in range(len(batches)):
            batch = pa.record_batch(batches[index])
            if batch.num_rows == 0:
                continue
            try:
                answer = self._node.function(batch)
            except Exception as failure:
                text = f"map_batches {self._node.label} failed on a batch of {batch.num_rows} rows"
                raise fail_as(StageError, text, failure) from failure
            for made in self._batches_of(answer):
                engine.push(number, made)
        batches.clear()

    def _batches_of(self, answer: Any) -> Iterator[Any]:
        import pyarrow as pa

        if answer is None:
            return
        if self._schema is None:
            self._schema = pa.schema(self._node.output)
        if isinstance(answer, pa.RecordBatch):
            yield self._checked(answer)
        elif isinstance(answer, pa.Table) or hasattr(answer, "__arrow_c_stream__"):
            for batch in pa.table(answer).to_batches():
                yield self._checked(batch)
        elif hasattr(answer, "__arrow_c_array__"):
            yield self._checked(pa.record_batch(answer))
        else:
            raise StageError(
                f"map_batches {self._node.label} answered a {type(answer).__name__}: return a "
                "RecordBatch, a Table, a frame or None"
            )

    def _checked(self, batch: Any) -> Any:
        import pyarrow as pa

        if batch.schema == self._schema:
            return batch
        difference = self._node.schema.difference(Schema.of(batch.schema))
        if difference is not None:
            raise SchemaError(
                f"map_batches {self._node.label} answered other columns than its schema: "
                f"{difference}; give map_batches(fn, schema=...) what the function returns"
            )
        return pa.RecordBatch.from_arrays(batch.columns, schema=self._schema)
