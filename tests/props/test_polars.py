"""Expressions and unwindowed aggregates against Polars on random data."""

import math
import operator
from datetime import datetime

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import pystream as ps

SCHEMA = pa.schema(
    [
        ("a", pa.int64()),
        ("b", pa.int32()),
        ("x", pa.float64()),
        ("s", pa.string()),
        ("p", pa.bool_()),
        ("t", pa.timestamp("us")),
    ]
)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "a": st.none() | st.integers(-1000, 1000),
            "b": st.none() | st.integers(-10, 10),
            "x": st.none() | st.sampled_from([0.0, -0.0, 1.5, -2.25, 1e300, math.inf]),
            "s": st.none() | st.sampled_from(["", "a", "ab", "b", "longer than twelve bytes"]),
            "p": st.none() | st.booleans(),
            "t": st.none() | st.datetimes(min_value=datetime(1900, 1, 1)),
        }
    ),
    max_size=50,
)


@st.composite
def number_trees(draw, depth=3):
    """A pair of equal expressions, ours and Polars'."""
    if depth == 0 or draw(st.booleans()):
        which = draw(st.integers(0, 3))
        ours = [ps.col("a"), ps.col("b"), ps.lit(3), ps.lit(-7)][which]
        theirs = [pl.col("a"), pl.col("b").cast(pl.Int64), pl.lit(3), pl.lit(-7)][which]
        return ours, theirs
    left, right = draw(number_trees(depth - 1)), draw(number_trees(depth - 1))
    combine = draw(st.sampled_from([operator.add, operator.sub, operator.mul]))
    return combine(left[0], right[0]), combine(left[1], right[1])


@st.composite
def conditions(draw, depth=2):
    if depth == 0 or draw(st.booleans()):
        kind = draw(st.sampled_from(["compare", "null", "bool", "text", "in", "between"]))
        if kind == "compare":
            left, right = draw(number_trees(1)), draw(number_trees(1))
            return left[0] < right[0], left[1] < right[1]
        if kind == "null":
            name = draw(st.sampled_from(SCHEMA.names))
            return ps.col(name).is_null(), pl.col(name).is_null()
        if kind == "bool":
            return ps.col("p"), pl.col("p")
        if kind == "text":
            return ps.col("s").str.starts_with("a"), pl.col("s").str.starts_with("a")
        if kind == "in":
            return ps.col("b").is_in([1, 2, -3]), pl.col("b").is_in([1, 2, -3])
        return ps.col("a").is_between(-5, 500), pl.col("a").is_between(-5, 500)
    left, right = draw(conditions(depth - 1)), draw(conditions(depth - 1))
    kind = draw(st.sampled_from(["and", "or", "xor", "not"]))
    if kind == "and":
        return left[0] & right[0], left[1] & right[1]
    if kind == "or":
        return left[0] | right[0], left[1] | right[1]
    if kind == "xor":
        return left[0] ^ right[0], left[1] ^ right[1]
    return ~left[0], ~left[1]


def both(found):
    table = pa.Table.from_pylist(found, schema=SCHEMA)
    return ps.read_arrow(table.to_batches(max_chunksize=7) or table), pl.from_arrow(table)


@given(found=rows, tree=number_trees())
def test_arithmetic(found, tree):
    stream, frame = both(found)
    ours = stream.select(v=tree[0]).collect()["v"].to_pylist()
    theirs = frame.select(v=tree[1])["v"].to_list()
    assert ours == (theirs * len(found) if len(theirs) == 1 != len(found) else theirs)


@given(found=rows, tree=conditions(), branch=number_trees(1))
def test_conditions(found, tree, branch):
    assume(found)
    stream, frame = both(found)
    kept = stream.filter(tree[0]).select("a", "s").collect().to_pydict()
    assert kept == frame.filter(tree[1]).select("a", "s").to_dict(as_series=False)
    ours = stream.select("a", p=tree[0], w=ps.when(tree[0]).then(branch[0]).otherwise(0)).collect()
    theirs = frame.select("a", p=tree[1], w=pl.when(tree[1]).then(branch[1]).otherwise(0))
    assert ours.to_pydict() == theirs.to_dict(as_series=False)


@pytest.mark.parametrize(
    "field", ["year", "month", "day", "hour", "minute", "second", "weekday", "ordinal_day", "date"]
)
@given(found=rows)
def test_times(field, found):
    stream, frame = both(found)
    ours = stream.select(v=getattr(ps.col("t").dt, field)()).collect()["v"].to_pylist()
    assert ours == frame.select(v=getattr(pl.col("t").dt, field)())["v"].to_list()


@given(found=rows, shards=st.integers(1, 3))
def test_groups(found, shards):
    stream, frame = both(found)
    ours = stream.group_by("b", "s").agg(
        n=ps.count(), v=ps.count("a"), total=ps.sum("a"), lo=ps.min("a"), hi=ps.max("t")
    )
    theirs = frame.group_by("b", "s").agg(
        n=pl.len(),
        v=pl.col("a").count(),
        total=pl.col("a").sum(),
        lo=pl.col("a").min(),
        hi=pl.col("t").max(),
    )

    def canonical(table):
        return sorted(map(repr, table))

    assert canonical(ours.collect(parallelism=shards).to_pylist()) == canonical(theirs.to_dicts())
