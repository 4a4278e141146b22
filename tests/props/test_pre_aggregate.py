"""Rows added up before the exchange change no bit of any result, and no count of late rows.

Each case runs with one shard, where there is no exchange, and on several with every row added up
(`always`) and with the rows of about half of the keys (`half`); sums are exact in Python.
"""

import itertools

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pystream as ps
from pystream.testing import run_with_restarts
from tests.props.test_restore import SCHEMA
from tests.props.test_windows import FEW, TYPES, cases, compare, run, table_of

MODES = ["always", "half"]
EXACT = {"count", "count_valid", "sum", "min", "max", "any", "all"}


def exact_aggregates(name):
    """Those of a type that merge exactly."""
    kind = TYPES[name][0]
    left_out = set()
    if pa.types.is_floating(kind):
        left_out |= {"sum"}
    if name in ("string", "large_string", "string_view", "dictionary"):
        left_out |= {"min", "max"}
    return sorted((TYPES[name][2] & EXACT) - left_out)


def bits(table):
    """Rows as text that tells -0.0 from 0.0, in an order of their own."""
    return sorted(repr(row) for row in table.to_pylist())


@pytest.fixture(params=MODES, scope="module")
def mode(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSTREAM_PREAGGREGATE", request.param)
        yield request.param


def shipped(metrics):
    lines = [line for line in metrics.operators if line.name == "exchange"]
    return sum(line.rows_out for line in lines), sum(line.rows_shipped for line in lines)


@pytest.mark.parametrize("name", TYPES)
def test_every_exact_aggregate_of_a_type(name, mode):
    value_type, values, _ = TYPES[name]

    @FEW
    @given(case=cases(values, st.none() | st.sampled_from(["a", "b", "c"])))
    def holds(case):
        case["shards"] = max(case["shards"], 2)
        table = table_of(case["rows"], case["unit"], pa.string(), value_type)
        compare(case, table, exact_aggregates(name), ["k"])

    holds()


ZEROS = st.sampled_from([0.0, -0.0, 1.5, float("nan"), -float("nan")])


@pytest.mark.parametrize("shards", [2, 3])
@given(case=cases(ZEROS, st.integers(0, 5)))
def test_bit_for_bit(shards, mode, case):
    table = table_of(case["rows"], case["unit"], pa.int64(), pa.float64())
    aggregates = {"n": ps.count(), "v": ps.count("v"), "lo": ps.min("v"), "hi": ps.max("v")}
    wanted, late = run({**case, "shards": 1}, table, aggregates, ["k"])
    found, found_late = run({**case, "shards": shards}, table, aggregates, ["k"])
    assert bits(found) == bits(wanted)
    assert found_late == late


@given(case=cases(st.integers(-5, 5), st.integers(0, 3)))
def test_several_keys_and_no_window(mode, case):
    table = table_of(case["rows"], case["unit"], pa.int64(), pa.int64())
    stream = ps.read_arrow(table.to_batches(max_chunksize=case["batch_rows"]) or table)
    totals = stream.group_by("k", "v").agg(ps.count(), ps.sum("v"), ps.max("ts"))
    assert bits(totals.collect(parallelism=3)) == bits(totals.collect())


@given(case=cases(st.integers(-5, 5), st.integers(0, 3)))
def test_an_aggregate_of_an_aggregate(mode, case):
    table = table_of(case["rows"], case["unit"], pa.int64(), pa.int64())
    unit = case["unit"]
    inner = (
        ps.read_arrow(table.to_batches(max_chunksize=case["batch_rows"]) or table)
        .with_event_time("ts", out_of_orderness=f"{case['bound']}{unit}")
        .group_by("k", "v")
        .window(ps.tumbling(f"7{unit}"))
        .agg(n=ps.count())
    )
    outer = inner.group_by("v").window(ps.hopping(f"14{unit}", f"7{unit}"))
    query = outer.agg(total=ps.sum("n"), most=ps.max("n"))
    assert bits(query.collect(parallelism=3)) == bits(query.collect())


row = st.fixed_dictionaries(
    {
        "t": st.integers(0, 60),
        "k": st.sampled_from(["a", "b", "c", "a key that is longer than others", None]),
        "i": st.none() | st.integers(-5, 5),
        "x": st.none() | st.sampled_from([0.5, -1.25, 3.0, 1e6]),
        "b": st.none() | st.booleans(),
    }
)


@given(
    rows=st.lists(row, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=3),
    counts=st.lists(st.integers(1, 3), min_size=4, max_size=4),
    clock=st.tuples(
        st.sampled_from([0, 5, 30]),
        st.sampled_from([ps.tumbling("10us"), ps.hopping("10us", "3us")]),
    ),
)
def test_restored_runs_agree(mode, rows, cuts, counts, clock):
    bound, shape = clock
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [table.slice(a, b - a) for a, b in itertools.pairwise(edges)]
    query = (
        ps.read_arrow(table[:0])
        .with_event_time("t", out_of_orderness=f"{bound}us")
        .group_by("k")
        .window(shape)
        .agg(
            n=ps.count(), total=ps.sum("i"), lo=ps.min("x"), hi=ps.max("i"), some=ps.any("b"),
            every=ps.all("b"), valid=ps.count("x"),
        )
    )  # fmt: skip
    found = run_with_restarts(query, parts, counts[: len(parts)])
    assert bits(found) == bits(run_with_restarts(query, [table], [1]))


@given(values=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=8), cut=st.integers(1, 8))
def test_a_sum_is_exact_or_an_error(mode, values, cut):
    table = pa.table(
        {"k": pa.array([1] * len(values), pa.int64()), "v": pa.array(values, pa.int64())}
    )
    stream = ps.read_arrow(table.to_batches(max_chunksize=cut) or table).group_by("k")
    query = stream.agg(total=ps.sum("v"))
    totals = list(itertools.accumulate(values))
    fits = all(-(2**63) <= total < 2**63 for total in totals)
    error = None
    try:
        found = query.collect(parallelism=2)["total"].to_pylist()
    except ps.PystreamError as caught:
        error = str(caught)
    if error is None:
        assert found == totals[-1:]
    else:
        assert not fits
        assert "aggregate 'total': the sum left the range of int64" in error


def stream_of(keys, values):
    times = pa.array(range(len(keys)), pa.int64()).cast(pa.timestamp("us"))
    table = pa.table({"ts": times, "k": keys, "v": values})
    return ps.read_arrow(table.to_batches(max_chunksize=16_384)).with_event_time("ts")


def test_totals_travel_instead_of_rows(mode):
    keys = pa.array([i % 7 for i in range(50_000)])
    query = stream_of(keys, keys).group_by("k").window(ps.tumbling("10ms")).agg(n=ps.count())
    job = query.start(parallelism=2)
    assert sum(job.result()["n"].to_pylist()) == 50_000
    rows, sent = shipped(job.metrics())
    assert rows == 50_000
    assert sent < 500 if mode == "always" else 0 < sent < 50_000
    [aggregate, other] = [line for line in job.metrics().operators if line.name == "aggregate"]
    assert aggregate.rows_in + other.rows_in == 50_000


def test_few_keys_are_found_and_many_are_left_alone(monkeypatch):
    monkeypatch.delenv("PYSTREAM_PREAGGREGATE", raising=False)
    total = 40 * 16_384
    few = pa.array([i * 7 % 100 for i in range(total)])
    many = pa.array([i * 7919 % 1_000_003 for i in range(total)])
    for keys, travels in [(few, 0.2), (many, 1.0)]:
        job = stream_of(keys, few).group_by("k").agg(ps.sum("v"), ps.count()).start(parallelism=2)
        job.wait()
        rows, sent = shipped(job.metrics())
        assert rows == total
        assert sent == total if travels == 1.0 else sent < travels * total


@pytest.mark.parametrize("inexact", [ps.mean("v"), ps.last("v"), ps.min("name"), ps.std("v")])
def test_what_does_not_merge_exactly_travels(inexact, mode):
    keys = pa.array([i % 7 for i in range(1000)])
    stream = stream_of(keys, keys).with_columns(name=ps.lit("a"))
    job = stream.group_by("k").agg(ps.count(), x=inexact).start(parallelism=2)
    job.wait()
    assert shipped(job.metrics()) == (1000, 1000)


def test_an_unknown_mode_is_refused(monkeypatch):
    monkeypatch.setenv("PYSTREAM_PREAGGREGATE", "sometimes")
    keys = pa.array([1])
    query = stream_of(keys, keys).group_by("k").agg(ps.count())
    with pytest.raises(ps.errors.InvalidError, match="PREAGGREGATE is 'sometimes', must be auto"):
        query.collect(parallelism=2)
