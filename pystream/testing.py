"""Helpers for tests: queries that are interrupted and restored, sinks that crash at every point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pystream._native.arrow import BatchList, Memory
from pystream._native.engine import DRIVE_STATES, Engine
from pystream.connectors.check import SinkReport, check_sink
from pystream.errors import InvalidError, UnsupportedError
from pystream.plan.logical import SourceNode
from pystream.plan.lower import Segment, lower
from pystream.plan.optimize import optimize
from pystream.runtime.threads import Workers
from pystream.stream import Stream

__all__ = ["SinkReport", "check_sink", "run_with_restarts"]

_ALL_ROWS = 1 << 40
_WAIT_NS = 20_000_000
_DONE = DRIVE_STATES.index("done")


def run_with_restarts(stream: Stream, parts: Sequence[Any], shards: Sequence[int]) -> Any:
    """Run a query over parts of its input, each in an engine of its own, state handed on.

    After each part but the last a barrier is sent, the state it wrote is taken, the engine thrown
    away, and the next one, perhaps with another number of shards, is restored from that state.

    Parameters
    ----------
    stream
        A query over one source, without Python stages; the source gives the columns only.
    parts
        What arrives: one pyarrow Table for each run, with all columns of the source.
    shards
        Number of shards of each run, as many as parts.

    Returns
    -------
    pyarrow.Table
        The results of all runs, one after the other.

    Examples
    --------
    >>> import pyarrow as pa, pystream as ps
    >>> table = pa.table({"k": ["a", "b", "a"], "x": [1, 2, 3]})
    >>> sums = ps.read_arrow(table).group_by("k").agg(ps.sum("x"))
    >>> run_with_restarts(sums, [table[:1], table[1:]], [1, 2]).sort_by("k").to_pydict()
    {'k': ['a', 'b'], 'x_sum': [4, 2]}
    """
    import pyarrow as pa

    if len(parts) != len(shards) or not parts:
        raise InvalidError("run_with_restarts wants as many shard counts as parts, at least one")
    memory = Memory()
    segment = lower(optimize(stream._node), memory)
    if len(segment.inputs) != 1 or not isinstance(segment.inputs[0].node, SourceNode):
        raise UnsupportedError("run_with_restarts takes queries over one source, all native")
    names = segment.inputs[0].node.schema.names
    results = BatchList(memory, segment.schema)
    state: list[tuple[int, Any]] = []
    for number, (part, count) in enumerate(zip(parts, shards, strict=True)):
        last = number == len(parts) - 1
        state = _run(
            segment, memory, count, part.select(names), state=state, results=results, last=last
        )
    return pa.table(results)


def _run(
    segment: Segment,
    memory: Memory,
    shards: int,
    part: Any,
    *,
    state: Sequence[tuple[int, Any]],
    results: BatchList,
    last: bool,
) -> list[tuple[int, Any]]:
    """One engine's life: restore, all rows of the part, then a barrier or the end."""
    engine = Engine(segment.plan, memory, shards, track_changes=True)
    for operator_id, piece in state:
        engine.restore(operator_id, piece)
    workers = Workers(engine, "testing")
    try:
        for batch in part.to_batches():
            engine.push(0, batch)
        if last:
            engine.finish_input(0)
        else:
            engine.barrier(1)
        pieces: list[tuple[int, Any]] = []
        passed = written = last
        while not (passed and written):
            engine.drive(0, None, _ALL_ROWS, 0, _WAIT_NS)
            passed |= engine.poll(results)[0] is not None
            written |= _take_state(engine, pieces)
        while last and engine.drive(0, None, _ALL_ROWS, 0, _WAIT_NS) != _DONE:
            engine.poll(results)
        return pieces
    finally:
        engine.cancel()
        workers.join()


def _take_state(engine: Engine, pieces: list[tuple[int, Any]]) -> bool:
    """Take what state there is now; answers whether that was all."""
    while (piece := engine.next_state(0)) is not None:
        if piece == "end":
            return True
        operator_id, _, batch = piece
        pieces.append((operator_id, batch))
    return False
