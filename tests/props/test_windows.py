"""Every aggregate of every type over windows, against recomputation from raw rows.

Times are out of order, values and keys may be null, and the same rows are cut into other batches
and dealt to other numbers of shards; none of it may change the answer or the count of late rows.
"""

import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pystream as ps
from tests.props import oracle

UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
MAKERS = {
    "count": lambda column: ps.count(),
    "count_valid": ps.count,
    "sum": ps.sum,
    "mean": ps.mean,
    "min": ps.min,
    "max": ps.max,
    "var": ps.var,
    "std": ps.std,
    "first": ps.first,
    "last": ps.last,
    "any": ps.any,
    "all": ps.all,
}
ANY = {"count", "count_valid", "first", "last"}
ORDERED = ANY | {"min", "max"}
NUMBERS = ORDERED | {"sum", "mean", "var", "std"}

floats = st.sampled_from([0.0, 0.5, -1.25, 3.0, 1e6, math.inf, math.nan])
plain_floats = st.sampled_from([0.0, 0.5, -1.25, 3.0, 1e6])
texts = st.sampled_from(["", "a", "b", "ab", "a text that is out of line", "é"])
TYPES = {
    "int8": (pa.int8(), st.integers(-128, 127), NUMBERS),
    "int16": (pa.int16(), st.integers(-(2**15), 2**15 - 1), NUMBERS),
    "int32": (pa.int32(), st.integers(-(2**31), 2**31 - 1), NUMBERS),
    "int64": (pa.int64(), st.integers(-(2**50), 2**50), NUMBERS - {"var", "std"}),
    "uint8": (pa.uint8(), st.integers(0, 255), NUMBERS),
    "uint64": (pa.uint64(), st.integers(0, 2**50), NUMBERS - {"var", "std"}),
    "float32": (pa.float32(), plain_floats, NUMBERS),
    "float64": (pa.float64(), plain_floats, NUMBERS),
    "float64 with NaN": (pa.float64(), floats, ORDERED),
    "bool": (pa.bool_(), st.booleans(), ORDERED | {"any", "all", "sum", "mean"}),
    "string": (pa.string(), texts, ORDERED),
    "large_string": (pa.large_string(), texts, ORDERED),
    "string_view": (pa.string_view(), texts, ORDERED),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), texts, ORDERED),
    "date": (pa.date32(), st.dates(), ORDERED),
    "timestamp": (pa.timestamp("ms"), st.integers(-1000, 1000), ORDERED),
    "duration": (pa.duration("s"), st.integers(-1000, 1000), ORDERED | {"sum"}),
}
KEYS = {
    "int": (pa.int64(), st.integers(-2, 2) | st.just(2**62)),
    "string": (pa.string(), texts),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), texts),
    "bool": (pa.bool_(), st.booleans()),
    "float": (pa.float64(), st.sampled_from([0.0, -0.0, 1.5, math.nan])),
}
# Many types, so fewer examples of each.
FEW = settings(max_examples=min(40, settings().max_examples))
WINDOWS = [(10, 10, 0), (7, 7, 3), (10, 3, 0), (12, 4, -1), (5, 1, 0)]


@st.composite
def cases(draw, value, key):
    rows = draw(
        st.lists(
            st.fixed_dictionaries(
                {"ts": st.integers(-20, 60), "k": st.none() | key, "v": st.none() | value}
            ),
            max_size=80,
        )
    )
    size, slide, offset = draw(st.sampled_from(WINDOWS))
    return {
        "rows": rows,
        "window": oracle.Window(size, slide, offset),
        "bound": draw(st.sampled_from([0, 3, 15, 100])),
        "unit": draw(st.sampled_from(list(UNIT_NS))),
        "batch_rows": draw(st.sampled_from([1, 2, 7, 1000])),
        "shards": draw(st.sampled_from([1, 1, 2, 3])),
        "turns": draw(st.sampled_from(["driver", "shards"])),
    }


def table_of(rows, unit, key_type, value_type):
    def column(name, type):
        return pa.array([row[name] for row in rows], type)

    times = pa.array([row["ts"] for row in rows], pa.int64()).cast(pa.timestamp(unit))
    return pa.table({"ts": times, "k": column("k", key_type), "v": column("v", value_type)})


def run(case, table, aggregates, keys):
    unit, window = case["unit"], case["window"]

    def length(count):
        return f"{count}{unit}"

    offset = length(window.offset)
    shape = (
        ps.tumbling(length(window.size), offset=offset)
        if window.size == window.slide
        else ps.hopping(length(window.size), length(window.slide), offset=offset)
    )
    batches = table.to_batches(max_chunksize=case["batch_rows"]) or [
        pa.RecordBatch.from_pylist([], schema=table.schema)
    ]
    stream = ps.read_arrow(batches).with_event_time("ts", out_of_orderness=length(case["bound"]))
    grouped = stream.group_by(*keys).window(shape) if keys else stream.window(shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSTREAM_SOURCE_TURNS", case["turns"])
        job = grouped.agg(**aggregates).start(parallelism=case["shards"])
        return job.result(), job.metrics().late_rows


def compare(case, table, aggregates, keys):
    # Values as Arrow keeps them: float32 is rounded, timestamps are dates.
    rows = table.to_pylist()
    for row, plain in zip(rows, case["rows"], strict=True):
        row["ts"] = plain["ts"]
    groups, late = oracle.windowed(rows, keys, case["window"], "ts", oracle.Clock(case["bound"]))
    found, found_late = run(case, table, {n: MAKERS[n]("v") for n in aggregates}, keys)
    assert found_late == late
    starts = found["window_start"].cast(pa.int64()).to_pylist()
    ends = found["window_end"].cast(pa.int64()).to_pylist()
    plain_rows = found.select([*keys, *aggregates]).to_pylist()
    seen = set()
    for start, end, row in zip(starts, ends, plain_rows, strict=True):
        group = (*(oracle.key_of(row[k]) for k in keys), start)
        assert end - start == case["window"].size
        assert group in groups
        assert group not in seen
        seen.add(group)
        for name in aggregates:
            if name == "sum":  # durations do not start at 0
                present = oracle.values(groups[group], "v")
                wanted = sum(present[1:], present[0]) if present else type(row[name])(0)
            else:
                wanted = oracle.AGGREGATES[name](groups[group], "v")
            assert oracle.same(row[name], wanted), (name, group, row[name], wanted)
    assert len(seen) == len(groups)


@pytest.mark.parametrize("name", TYPES)
def test_every_aggregate_of_a_type(name):
    value_type, values, aggregates = TYPES[name]

    @FEW
    @given(case=cases(values, st.sampled_from(["a", "b", "c"])))
    def holds(case):
        table = table_of(case["rows"], case["unit"], pa.string(), value_type)
        compare(case, table, sorted(aggregates), ["k"])

    holds()


@pytest.mark.parametrize("name", KEYS)
def test_every_key_type(name):
    key_type, keys = KEYS[name]

    @FEW
    @given(case=cases(st.integers(-5, 5), keys))
    def holds(case):
        table = table_of(case["rows"], case["unit"], key_type, pa.int64())
        compare(case, table, ["count", "sum", "max", "last"], ["k"])

    holds()


@given(case=cases(st.integers(-5, 5), st.integers(0, 3)))
def test_several_keys(case):
    table = table_of(case["rows"], case["unit"], pa.int64(), pa.int64())
    compare(case, table, ["count", "min", "first"], ["k", "v"])


@given(case=cases(st.integers(-5, 5), st.none()))
def test_without_keys(case):
    table = table_of(case["rows"], case["unit"], pa.int64(), pa.int64())
    compare(case, table, ["count", "sum", "mean", "last"], [])
