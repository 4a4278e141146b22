"""A run cut anywhere, its state restored into another number of shards, gives the same answer."""

import itertools

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pystream as ps
from pystream import col
from pystream._native.arrow import BatchList, Memory
from pystream._native.engine import Engine
from pystream.plan.lower import lower
from pystream.testing import run_with_restarts

SCHEMA = pa.schema(
    [
        ("t", pa.timestamp("us")),
        ("k", pa.string()),
        ("i", pa.int64()),
        ("x", pa.float64()),
        ("b", pa.bool_()),
    ]
)
AGGREGATES = {
    "n": ps.count(),
    "valid": ps.count("i"),
    "total": ps.sum("i"),
    "lo": ps.min("i"),
    "hi": ps.max("k2"),
    "mean": ps.mean("x"),
    "std": ps.std("x"),
    "first": ps.first("k2"),
    "last": ps.last("i"),
    "some": ps.any("b"),
    "every": ps.all("b"),
}
SHAPES = {
    "tumbling": lambda s: s.group_by("k").window(ps.tumbling("10us")),
    "offset": lambda s: s.group_by("k").window(ps.tumbling("7us", offset="3us")),
    "hopping": lambda s: s.group_by("k").window(ps.hopping("10us", "3us")),
    "two keys": lambda s: s.group_by("k", (col("i") % 2).alias("odd")).window(ps.tumbling("9us")),
    "no key": lambda s: s.window(ps.hopping("12us", "4us")),
    "total": lambda s: s.group_by("k"),
}


def query(shape, bound):
    stream = ps.read_arrow(pa.Table.from_pylist([], schema=SCHEMA))
    timed = stream.with_event_time("t", out_of_orderness=f"{bound}us")
    return SHAPES[shape](timed.with_columns(k2=col("k"))).agg(**AGGREGATES)


def canonical(table):
    def plain(row):
        return {k: round(v, 9) if isinstance(v, float) else v for k, v in row.items()}

    return sorted(map(repr, map(plain, table.to_pylist())))


row = st.fixed_dictionaries(
    {
        "t": st.integers(0, 60),
        "k": st.sampled_from(["a", "b", "c", "a key that is longer than others", None]),
        "i": st.none() | st.integers(-5, 5),
        "x": st.none() | st.sampled_from([0.5, -1.25, 3.0, 1e6]),
        "b": st.none() | st.booleans(),
    }
)


@pytest.mark.parametrize("shape", SHAPES)
@given(
    rows=st.lists(row, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=3),
    counts=st.lists(st.integers(1, 3), min_size=4, max_size=4),
    bound=st.sampled_from([0, 5, 30]),
)
def test_restored_runs_agree(shape, rows, cuts, counts, bound):
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [table.slice(a, b - a) for a, b in itertools.pairwise(edges)]
    whole = query(shape, bound)
    wanted = run_with_restarts(whole, [table], [1])
    found = run_with_restarts(whole, parts, counts[: len(parts)])
    assert found.schema == wanted.schema
    assert canonical(found) == canonical(wanted)


def test_state_is_plain_arrow():
    memory = Memory()
    segment = lower(query("tumbling", 100)._node, memory)
    engine = Engine(segment.plan, memory, 1)
    rows = [{"t": 5, "k": "a", "i": 1, "x": 2.0, "b": True}]
    engine.push(0, pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
    engine.barrier(7)
    out = BatchList(memory, segment.schema)
    epoch = None
    while epoch is None:
        engine.drive(0, None, 1000, 0, 1_000_000)
        epoch, _ = engine.poll(out)
    assert epoch == 7
    pieces = []
    while (piece := engine.next_state(0)) != "end":
        if piece is None:
            engine.drive(0, None, 1000, 0, 0)
            continue
        operator_id, shard, batch = piece
        assert (operator_id, "aggregate") in engine.operators() or batch.num_rows == 1
        assert shard == 0
        pieces.append((operator_id, pa.record_batch(batch)))
    schemas = {number: engine.state_schema(number) for number, _ in engine.operators()}
    rows = [piece for number, piece in pieces if piece.schema == pa.schema(schemas[number] or [])]
    assert [piece.num_rows for piece in rows] == [1, 1]  # the event time, and one group
