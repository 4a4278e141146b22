"""Rows whose times are absurdly far ahead, against recomputation row by row.

Time moves on, jumps, and is told wrong by single rows and by bursts of them. How the rows are cut
into batches, runs and shards must change nothing.
"""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pystream as ps
from pystream.errors import DurationError, EventTimeError
from pystream.testing import run_with_restarts
from tests.props import oracle

SIZE, LIMIT = 10, 40


@st.composite
def histories(draw):
    """Times of rows: stretches that follow each other, with wrong ones among them."""
    now, times = draw(st.integers(0, 1000)), []
    stretch = st.tuples(
        st.sampled_from([0, 5, LIMIT + 1, 10 * LIMIT]),  # time passes, or jumps
        st.integers(0, 40),  # rows
        st.lists(st.tuples(st.integers(0, 40), st.sampled_from([-30, 41, 90, 10**6])), max_size=6),
    )
    for jump, count, wrong in draw(st.lists(stretch, max_size=6)):
        now += jump
        rows = [now + i // 4 for i in range(count)]
        for place, error in wrong:
            if place < count:
                rows[place] += error
        times += rows
    return times


def query(bound, batches):
    schema = pa.schema([("t", pa.timestamp("us"))])
    stream = ps.read_arrow(
        pa.Table.from_batches(batches, schema=schema).to_batches() or schema.empty_table()
    )
    timed = stream.with_event_time("t", out_of_orderness=f"{bound}us", max_future=f"{LIMIT}us")
    return timed.window(ps.tumbling(f"{SIZE}us")).agg(n=ps.count())


def table_of(times):
    return pa.table({"t": pa.array(times, pa.int64()).cast(pa.timestamp("us"))})


def counts(table):
    starts = table["window_start"].cast(pa.int64()).to_pylist()
    assert len(set(starts)) == len(starts)
    return dict(zip(starts, table["n"].to_pylist(), strict=True))


def expected(times, bound):
    clock = oracle.Clock(bound, LIMIT)
    rows = [{"t": t} for t in times]
    groups, late = oracle.windowed(rows, [], oracle.Window(SIZE, SIZE), "t", clock)
    return {start: len(members) for (start,), members in groups.items()}, late, clock.future_rows


@given(histories(), st.sampled_from([0, 3, 25]), st.sampled_from([1, 7, 1000]))
def test_absurd_times_close_nothing(times, bound, batch_rows):
    job = query(bound, table_of(times).to_batches(max_chunksize=batch_rows)).start()
    found, late, future = expected(times, bound)
    assert counts(job.result()) == found
    assert (job.metrics().late_rows, job.metrics().future_rows) == (late, future)


@given(histories(), st.lists(st.integers(0, 200), max_size=3), st.integers(1, 3))
def test_runs_that_are_restored_agree(times, cuts, shards):
    edges = [0, *sorted(min(cut, len(times)) for cut in cuts), len(times)]
    parts = [table_of(times[a:b]) for a, b in itertools.pairwise(edges)]
    found = run_with_restarts(query(3, []), parts, [shards] * len(parts))
    assert counts(found) == expected(times, 3)[0]


def test_one_absurd_row_costs_no_other():
    times = [*range(100), 10**9, *range(100, 200)]
    guarded = query(0, table_of(times).to_batches()).start()
    assert sum(counts(guarded.result()).values()) == 201
    assert (guarded.metrics().late_rows, guarded.metrics().future_rows) == (0, 1)
    plain = ps.read_arrow(table_of(times)).with_event_time("t").window(ps.tumbling("10us"))
    job = plain.agg(n=ps.count()).start()
    job.wait()
    assert job.metrics().late_rows == 100


def test_the_limit_passes_a_python_stage():
    stream = ps.read_arrow(table_of([*range(40), 10**9, *range(40, 80)]))
    timed = stream.with_event_time("t", max_future="40us").filter(ps.col("t").is_not_null())
    mapped = timed.map_batches(lambda batch: batch)
    job = mapped.window(ps.tumbling("10us")).agg(n=ps.count()).start()
    assert sum(counts(job.result()).values()) == 81


@pytest.mark.parametrize("name", ["idle_timeout", "max_future"])
def test_wrong_spans_are_refused(name):
    stream = ps.read_arrow(table_of([1]))
    with pytest.raises(EventTimeError, match=f"{name} must be longer than nothing, not 0"):
        stream.with_event_time("t", **{name: "0s"})
    with pytest.raises(DurationError, match=name):
        stream.with_event_time("t", **{name: "soon"})


def test_explain_tells_the_limits():
    stream = ps.read_arrow(table_of([1]))
    text = stream.with_event_time("t", idle_timeout="30s", max_future="2h").explain()
    assert "event time t, up to 0s out of order, idle after 30s, at most 2h ahead" in text
