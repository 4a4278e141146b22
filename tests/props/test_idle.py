"""Idle inputs of a union: what the watermark does without them, against recomputation row by row.

A script of pushes, idleness and restarts is run step by step, so that what came before what is
known. The oracle keeps the watermark of each input and applies the definition: the union's is the
least of the inputs that are not idle, it never goes back, and it stays while all are idle.
"""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pystream._native.arrow import BatchList, Memory
from pystream._native.engine import DRIVE_STATES, Engine
from pystream._native.plan import ExprForest, Plan
from pystream.plan.schema import Schema
from pystream.runtime.threads import Workers

SCHEMA = pa.schema([("t", pa.timestamp("us")), ("k", pa.int64())])
SIZE, BOUND = 10, 3
INPUTS = 3
LOWEST, DONE, STARVED = -(2**63), DRIVE_STATES.index("done"), DRIVE_STATES.index("starved")


def union_plan(memory, nested):
    plan = Plan(memory)
    timed = []
    for number in range(INPUTS):
        source = plan.source(f"part {number}", SCHEMA.__arrow_c_schema__())
        timed.append(plan.event_time(source, "t", BOUND))
    both = plan.union([plan.union(timed[:2]), timed[2]]) if nested else plan.union(timed)
    forest = ExprForest(memory)
    key = forest.column("k")
    counts = [("count", "n", -1, -1, 0)]
    last = plan.aggregate(both, forest, [key], ["k"], ("tumbling", SIZE, 0, 0), counts)
    plan.sink(last)
    return plan, last


class Union:
    """The watermark of a union: never back, also when an input wakes behind it."""

    def __init__(self):
        self.mark = LOWEST

    def settle(self, inputs):
        """inputs: (watermark, idle) of each; answers the same for the whole."""
        awake = [mark for mark, idle in inputs if not idle]
        if awake:
            self.mark = max(self.mark, min(awake))
        return self.mark, not awake


class Model:
    """What the engine must know after each step."""

    def __init__(self, nested):
        self.nested = nested
        self.largest = [None] * INPUTS
        self.counts = {}
        self.late = 0
        self.watermark = LOWEST
        self.restart()

    def restart(self):
        """Idleness and what inputs have told are not state; times and the watermark are."""
        self.told = [LOWEST] * INPUTS
        self.idle = [False] * INPUTS
        self.outer, self.inner = Union(), Union()

    def push(self, number, rows):
        self.idle[number] = False
        self.settle()
        for t, k in rows:
            largest = self.largest[number]
            own = LOWEST if largest is None else largest - BOUND
            end = t - t % SIZE + SIZE
            if end <= max(own, self.watermark):
                self.late += 1
            else:
                self.counts[k, end] = self.counts.get((k, end), 0) + 1
            self.largest[number] = t if largest is None else max(t, largest)
        self.told[number] = self.largest[number] - BOUND
        self.settle()

    def set_idle(self, number):
        self.idle[number] = True
        self.settle()

    def settle(self):
        inputs = list(zip(self.told, self.idle, strict=True))
        if self.nested:
            inputs = [self.inner.settle(inputs[:2]), inputs[2]]
        self.watermark = max(self.watermark, self.outer.settle(inputs)[0])

    def emitted(self):
        """Windows that have left by now."""
        return {key: n for key, n in self.counts.items() if key[1] <= self.watermark}


class Subject:
    """An engine that is run until it has nothing left to do after each step."""

    def __init__(self, nested, shards):
        self.memory = Memory()
        self.plan, last = union_plan(self.memory, nested)
        self.results = BatchList(self.memory, Schema(lambda: self.plan.schema(last)))
        self.late = 0
        self.start(shards, [])

    def start(self, shards, state):
        self.engine = Engine(self.plan, self.memory, shards)
        for operator, piece in state:
            self.engine.restore(operator, piece)
        self.workers = Workers(self.engine, "idle")

    def run(self, until):
        """Drive to a state, or to a barrier."""
        epoch = None
        while True:
            reached = self.engine.drive(0, None, 1 << 40, 0, 20_000_000)
            epoch, _ = self.engine.poll(self.results)
            if epoch is not None or reached == until:
                return epoch

    def restart(self, shards):
        self.engine.barrier(1)
        assert self.run(None) == 1
        state = []
        while (piece := self.engine.next_state(0)) != "end":
            if piece is None:
                self.engine.drive(0, None, 1, 0, 1_000_000)
            else:
                state.append((piece[0], piece[2]))
        self.stop()
        self.start(shards, state)

    def stop(self):
        self.late += sum(line["late_rows"] for line in self.engine.metrics())
        self.engine.cancel()
        self.workers.join()

    def counts(self):
        table = pa.table(self.results)
        ends = table["window_end"].cast(pa.int64()).to_pylist()
        keys = list(zip(table["k"].to_pylist(), ends, strict=True))
        assert len(set(keys)) == len(keys)
        return dict(zip(keys, table["n"].to_pylist(), strict=True))


def batch(rows):
    times, keys = [t for t, _ in rows], [k for _, k in rows]
    return pa.record_batch(
        [pa.array(times, pa.timestamp("us")), pa.array(keys, pa.int64())], schema=SCHEMA
    )


numbers = st.integers(0, INPUTS - 1)
rows = st.lists(st.tuples(st.integers(0, 25), st.integers(0, 2)), min_size=1, max_size=6)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), numbers, rows),
        st.tuples(st.just("push"), numbers, rows),
        st.tuples(st.just("idle"), numbers),
        st.tuples(st.just("restart"), st.integers(1, 3)),
    ),
    min_size=10,
    max_size=40,
)


@pytest.mark.parametrize("nested", [False, True])
@given(script=steps, shards=st.integers(1, 3))
def test_idle_inputs_are_left_out(nested, script, shards):
    subject, model = Subject(nested, shards), Model(nested)
    in_step = shards == 1  # with rings in between, results come when they come
    try:
        for number, (step, *arguments) in enumerate(script):
            if step == "restart":
                in_step = in_step and arguments[0] == 1
                subject.restart(arguments[0])
                model.restart()
            elif step == "idle":
                subject.engine.set_idle(arguments[0], True)
                model.set_idle(arguments[0])
            else:
                later = [(t + 4 * number, k) for t, k in arguments[1]]  # time moves on
                subject.engine.push(arguments[0], batch(later))
                model.push(arguments[0], later)
            if step != "restart":
                subject.run(STARVED)
            if in_step:
                assert subject.counts() == model.emitted()
        for number in range(INPUTS):
            subject.engine.finish_input(number)
        subject.run(DONE)
    finally:
        subject.stop()
    assert subject.counts() == model.counts
    assert subject.late == model.late


def test_without_idleness_the_quiet_one_holds_everything():
    subject = Subject(nested=False, shards=1)
    subject.engine.push(0, batch([(5, 0), (50, 0)]))
    subject.engine.push(1, batch([(50, 0)]))
    subject.run(STARVED)
    assert subject.counts() == {}
    subject.engine.set_idle(2, True)
    subject.run(STARVED)
    assert subject.counts() == {(0, 10): 1}
    subject.engine.push(2, batch([(7, 0), (44, 0)]))
    subject.run(STARVED)
    subject.stop()
    assert subject.late == 1
