"""Aggregates: their names, their types and their values against plain Python."""

import statistics

import pyarrow as pa
import pytest

import pystream as ps
from pystream import col
from pystream.errors import (
    ColumnNotFoundError,
    IntegerOverflowError,
    InvalidError,
    TypeMismatchError,
)

TABLE = pa.table(
    {
        "k": ["a", "b", "a", "b", "a", None],
        "i": pa.array([1, 2, None, 4, 5, 6], pa.int32()),
        "x": [0.5, 1.5, 2.5, None, 4.5, 5.5],
        "w": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "b": [True, False, True, None, False, True],
        "s": ["p", "q", None, "z", "c", "d"],
    }
)


def groups():
    found = {}
    for row in TABLE.to_pylist():
        found.setdefault(row["k"], []).append(row)
    return found


def values(key, name):
    return [row[name] for row in groups()[key] if row[name] is not None]


def by_key(**aggs):
    table = ps.read_arrow(TABLE).group_by("k").agg(**aggs).collect()
    return {row.pop("k"): row for row in table.to_pylist()}


def test_counts_sums_and_extremes():
    found = by_key(
        rows=ps.count(), n=ps.count("i"), total=ps.sum("i"), lo=ps.min("x"), hi=ps.max("s")
    )
    assert found == {
        key: {
            "rows": len(rows),
            "n": len(values(key, "i")),
            "total": sum(values(key, "i")),
            "lo": min(values(key, "x")),
            "hi": max(values(key, "s")),
        }
        for key, rows in groups().items()
    }


def test_moments():
    found = by_key(m=ps.mean("w"), v=ps.var("w"), p=ps.var("w", ddof=0), sd=ps.std("w"))
    for key in ("a", "b"):
        ws = values(key, "w")
        assert found[key]["m"] == pytest.approx(statistics.mean(ws))
        assert found[key]["v"] == pytest.approx(statistics.variance(ws))
        assert found[key]["p"] == pytest.approx(statistics.pvariance(ws))
        assert found[key]["sd"] == pytest.approx(statistics.stdev(ws))
    assert found[None]["v"] is None


def test_weighted_mean():
    found = by_key(m=ps.mean("x", weight="w"))
    pairs = [(r["x"], r["w"]) for r in groups()["a"] if r["x"] is not None]
    assert found["a"]["m"] == pytest.approx(sum(x * w for x, w in pairs) / sum(w for _, w in pairs))


def test_truth():
    found = by_key(some=ps.any("b"), every=ps.all("b"))
    assert found["a"] == {"some": True, "every": False}
    assert found["b"] == {"some": False, "every": False}


def test_first_and_last_by_event_time():
    times = pa.array([30, 10, 20, 10], pa.timestamp("s"))
    table = pa.table({"t": times, "v": [1, 2, 3, 4]})
    stream = ps.read_arrow(table).with_event_time("t", out_of_orderness="1m")
    found = stream.window(ps.tumbling("1m")).agg(f=ps.first("v"), z=ps.last("v")).collect()
    assert found.select(["f", "z"]).to_pylist() == [{"f": 2, "z": 1}]


def test_expressions_as_inputs_and_keys():
    stream = ps.read_arrow(TABLE)
    grouped = stream.group_by((col("i") % 2).alias("odd"), big=col("w") > 3)
    table = grouped.agg(ps.sum(col("i") * 10).alias("tens")).collect()
    assert table.column_names == ["odd", "big", "tens"]
    found = {(r["odd"], r["big"]): r["tens"] for r in table.to_pylist()}
    assert found == {
        (1, False): 10,
        (0, False): 20,
        (None, False): 0,
        (0, True): 100,
        (1, True): 50,
    }


def test_names():
    assert ps.count().name == "count"
    assert ps.sum("i").name == "i_sum"
    assert ps.count("i").name == "i_count"
    assert ps.mean("x", weight="w").name == "x_mean"
    assert ps.sum("i").alias("total").name == "total"
    table = ps.read_arrow(TABLE).agg(ps.sum("i"), [ps.min("x"), ps.max("x")], n=ps.count())
    assert table.columns == ["i_sum", "x_min", "x_max", "n"]


def test_without_rows_or_values():
    empty = TABLE.slice(0, 0)
    aggs = {"n": ps.count(), "s": ps.sum("i"), "m": ps.mean("x"), "hi": ps.max("x")}
    assert ps.read_arrow(empty).group_by("k").agg(**aggs).collect().num_rows == 0
    nulls = pa.table({"x": pa.array([None, None], pa.float64())})
    found = ps.read_arrow(nulls).agg(s=ps.sum("x"), m=ps.mean("x"), hi=ps.max("x")).collect()
    assert found.to_pylist() == [{"s": 0.0, "m": None, "hi": None}]


def test_overflow_raises():
    table = pa.table({"x": [2**63 - 1, 1]})
    with pytest.raises(IntegerOverflowError):
        ps.read_arrow(table).agg(ps.sum("x")).collect()


def test_wrong_aggregates_are_refused():
    stream = ps.read_arrow(TABLE)
    with pytest.raises(TypeMismatchError, match="sum"):
        stream.agg(ps.sum("s"))
    with pytest.raises(TypeMismatchError):
        stream.agg(ps.any("i"))
    with pytest.raises(ColumnNotFoundError, match="agg \\(ii_sum\\): no column 'ii'"):
        stream.agg(ps.sum("ii"))
    with pytest.raises(InvalidError, match="two columns 'k'"):
        stream.group_by("k").agg(k=ps.count())
    with pytest.raises(InvalidError, match=r"ps\.sum\(col"):
        stream.agg(col("i"))
    with pytest.raises(InvalidError, match="at least one aggregate"):
        stream.agg()
    with pytest.raises(InvalidError, match="at least one key"):
        stream.group_by()
    with pytest.raises(InvalidError, match="ddof"):
        ps.var("x", ddof=-1)
