"""Aggregates come and go: each has all it could have kept, or begins empty, or is refused.

The oracle keeps, for each accumulator of the state, at which change of the query it began.
"""

import itertools

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pystream as ps
from pystream import col
from pystream._native.arrow import BatchList, Memory
from pystream.errors import InvalidError
from pystream.plan.lower import lower
from pystream.plan.optimize import optimize
from pystream.testing import _run

SCHEMA = pa.schema(
    [
        pa.field("t", pa.timestamp("us"), nullable=False),
        pa.field("k", pa.string()),
        pa.field("i", pa.int64()),
        pa.field("j", pa.int64(), nullable=False),
        pa.field("x", pa.float64()),
        pa.field("y", pa.float64(), nullable=False),
        pa.field("s", pa.string()),
    ]
)
INPUTS = {
    "i": col("i"),
    "j": col("j"),
    "x": col("x"),
    "y": col("y"),
    "i + 1": col("i") + 1,
    "s": col("s"),
}
INTEGERS = ("i", "j", "i + 1")
CERTAIN = ("j", "y")  # never null
FUNCTIONS = {
    "sum": ps.sum,
    "mean": ps.mean,
    "min": ps.min,
    "max": ps.max,
    "count": ps.count,
    "var": ps.var,
    "first": ps.first,
}
SHAPES = {
    "tumbling": lambda s: s.group_by("k").window(ps.tumbling("10us")),
    "hopping": lambda s: s.group_by("k").window(ps.hopping("9us", "3us")),
    "total": lambda s: s.group_by("k"),
}


def accumulators(function, value):
    """What holds the values of an aggregate, and what it would share to count them."""
    counter = "rows" if value in CERTAIN else f"valid({value})"
    if function == "count":
        return counter, None
    if function == "sum":
        return f"{'sum' if value in INTEGERS else 'sum_f64'}({value})", None
    if function == "mean":
        return f"sum_f64({value})", counter
    if function in ("min", "max") and value in INTEGERS:
        return f"{function}({value})", counter
    return f"{function}({value})", None


class Refused(Exception):
    pass


def restored(kept, aggregates, change):
    """The state after a change of the query, and since when each aggregate has seen rows."""
    state, since = {"rows": kept.get("rows", 0)}, {}
    for function, value in aggregates:
        main, count = accumulators(function, value)
        began = kept.get(main)
        own = f"seen:{main}"
        shared = None if count is None else kept.get(count)
        if function == "mean" and began is None and own not in kept and value in INTEGERS:
            whole = kept.get(f"sum({value})")
            began = whole if whole is not None and whole == shared else None
        if own in kept or (count is not None and began is None and shared is not None):
            began = change if began is None else began
            state[own] = kept.get(own, change)
        elif count is not None:
            if began is not None and began != shared:
                raise Refused
            began = change if began is None else began
            state[count] = began
        began = change if began is None else began
        state[main] = began
        since[function, value] = began
    return state, since


def query(shape, aggregates):
    stream = ps.read_arrow(pa.Table.from_pylist([], schema=SCHEMA))
    timed = stream.with_event_time("t", out_of_orderness="1s")
    listed = [
        FUNCTIONS[function](INPUTS[value]).alias(f"{n} {function} {value}")
        for n, (function, value) in enumerate(aggregates)
    ]
    return SHAPES[shape](timed).agg(ps.count().alias("n"), *listed)


def keys_of(row):
    return tuple((name, row[name]) for name in ("k", "window_start", "window_end") if name in row)


def run(shape, aggregates, table):
    """A query over rows, in one go: result rows by their keys."""
    memory = Memory()
    segment = lower(optimize(query(shape, aggregates)._node), memory)
    results = BatchList(memory, segment.schema)
    names = segment.inputs[0].node.schema.names
    _run(segment, memory, 1, table.select(names), state=[], results=results, last=True)
    return {keys_of(row): row for row in pa.table(results).to_pylist()}


def rounded(value):
    return round(value, 6) if isinstance(value, float) else value


aggregate_lists = st.lists(
    st.tuples(st.sampled_from(list(FUNCTIONS)), st.sampled_from(list(INPUTS))).filter(
        lambda a: a[1] != "s" or a[0] in ("min", "max", "count", "first")
    ),
    max_size=4,
)
row = st.fixed_dictionaries(
    {
        "t": st.integers(0, 30),
        "k": st.sampled_from(["a", "b", None]),
        "i": st.none() | st.integers(-5, 5),
        "j": st.integers(-5, 5),
        "x": st.none() | st.sampled_from([0.5, -1.25, 3.0]),
        "y": st.sampled_from([0.5, -1.25, 1e6]),
        "s": st.none() | st.sampled_from(["p", "q", "a longer text than others"]),
    }
)


@pytest.fixture(params=["never", "always"], autouse=True)
def totals_before_the_exchange(request):
    """Whether shards are sent rows or what rows add up to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSTREAM_PREAGGREGATE", request.param)
        yield


@pytest.mark.parametrize("shape", SHAPES)
@given(
    parts=st.lists(
        st.tuples(aggregate_lists, st.lists(row, min_size=1, max_size=12), st.integers(1, 3)),
        min_size=2,
        max_size=4,
    )
)
def test_aggregates_come_and_go_in_any_order(shape, parts):
    memory = Memory()
    state, kept, since = [], {}, {}
    rows = pa.Table.from_pylist([], schema=SCHEMA)
    edges = []
    for change, (aggregates, added, shards) in enumerate(parts):
        edges.append(rows.num_rows)
        table = pa.Table.from_pylist(added, schema=SCHEMA)
        rows = pa.concat_tables([rows, table])
        refused = False
        try:
            kept, since = restored(kept, aggregates, change)
        except Refused:
            refused = True
        segment = lower(optimize(query(shape, aggregates)._node), memory)
        results = BatchList(memory, segment.schema)
        names = segment.inputs[0].node.schema.names
        options = {"state": state, "results": results, "last": change == len(parts) - 1}
        if refused:
            with pytest.raises(InvalidError, match="without a count that goes back as far"):
                _run(segment, memory, shards, table.select(names), **options)
            return
        state = _run(segment, memory, shards, table.select(names), **options)
    found = {keys_of(r): r for r in pa.table(results).to_pylist()}
    assert found.keys() == run(shape, [], rows).keys()
    for (n, (function, value)), start in itertools.product(
        enumerate(aggregates), range(len(parts))
    ):
        if since[function, value] != start:
            continue
        name = f"{n} {function} {value}"
        wanted = run(shape, aggregates, rows.slice(edges[start]))
        for keys, row in found.items():
            empty = 0 if function in ("sum", "count") else None
            expected = wanted[keys][name] if keys in wanted else empty
            assert rounded(row[name]) == rounded(expected), (name, keys, start)
