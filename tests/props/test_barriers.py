"""Full and incremental barriers at any points, the chain restored into any number of shards.

Between two barriers any number of rows comes, and the engine may have taken them or not when the
next barrier is sent. What is restored is what a checkpoint would name: the last full state before
some barrier and every increment since.
"""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pystream._native.arrow import BatchList, Memory
from pystream._native.engine import DRIVE_STATES, Engine
from pystream.plan.lower import lower
from pystream.plan.optimize import optimize
from pystream.runtime.threads import Workers
from tests.props.test_restore import SCHEMA, SHAPES, canonical, query, row

DONE = DRIVE_STATES.index("done")
ALL_ROWS = 1 << 40
WAIT_NS = 1_000_000


class Life:
    """An engine from a restore to its death; results and state are what a job would keep."""

    def __init__(self, segment, memory, shards, pieces):
        self.engine = Engine(segment.plan, memory, shards, track_changes=True)
        for number, piece in pieces:
            self.engine.restore(number, piece)
        self.names = segment.inputs[0].node.schema.names
        self.results = BatchList(memory, segment.schema)
        self.workers = Workers(self.engine, "barriers")

    def push(self, table):
        for batch in table.select(self.names).to_batches():
            self.engine.push(0, batch)

    def drive(self, times):
        for _ in range(times):
            self.engine.drive(0, None, 3, 0, 0)
            assert self.engine.poll(self.results)[0] is None

    def barrier(self, epoch, full):
        """The state of a barrier and the rows before it."""
        self.engine.barrier(epoch, full)
        pieces, passed, written = [], False, False
        while not (passed and written):
            self.engine.drive(0, None, ALL_ROWS, 0, WAIT_NS)
            passed |= self.engine.poll(self.results)[0] == epoch
            while not written and (piece := self.engine.next_state(0)) is not None:
                written = piece == "end"
                if not written:
                    pieces.append((piece[0], piece[2]))
        return pieces, pa.table(self.results)

    def finish(self):
        self.engine.finish_input(0)
        while self.engine.drive(0, None, ALL_ROWS, 0, WAIT_NS) != DONE:
            self.engine.poll(self.results)
        self.engine.poll(self.results)
        return pa.table(self.results)

    def end(self):
        self.engine.cancel()
        self.workers.join()


barrier = st.tuples(
    st.lists(row, max_size=20),
    st.integers(0, 3),  # steps before the barrier, each of a few rows
    st.booleans(),  # whether it is full
)
life = st.tuples(
    st.integers(1, 4),  # shards
    st.lists(barrier, min_size=1, max_size=5),
    st.integers(0, 4),  # barriers that are lost with the process
    st.lists(row, max_size=10),  # rows behind the last barrier, which are lost too
)


@pytest.mark.parametrize("shape", SHAPES)
@given(lives=st.lists(life, min_size=1, max_size=3), shards=st.integers(1, 4))
def test_any_chain_restores_into_any_number_of_shards(shape, lives, shards):
    memory = Memory()
    segment = lower(optimize(query(shape, 30)._node), memory)
    pieces, kept_rows, results = [], [], []
    for count, barriers, lost, behind in lives:
        lives_on = max(1, len(barriers) - lost)  # barriers whose checkpoint is found again
        alive = Life(segment, memory, count, pieces)
        try:
            out = None
            for epoch, (rows, steps, full) in enumerate(barriers, 1):
                alive.push(pa.Table.from_pylist(rows, schema=SCHEMA))
                alive.drive(steps)
                is_full = full or epoch == 1
                state, so_far = alive.barrier(epoch, is_full)
                if epoch <= lives_on:
                    pieces = state if is_full else pieces + state
                    kept_rows += rows
                    out = so_far
            results.append(out)
            alive.push(pa.Table.from_pylist(behind, schema=SCHEMA))
            alive.drive(1)
        finally:
            alive.end()
    last = Life(segment, memory, shards, pieces)
    try:
        results.append(last.finish())
    finally:
        last.end()
    whole = Life(segment, memory, 1, [])
    try:
        whole.push(pa.Table.from_pylist(kept_rows, schema=SCHEMA))
        wanted = whole.finish()
    finally:
        whole.end()
    assert canonical(pa.concat_tables(results)) == canonical(wanted)
