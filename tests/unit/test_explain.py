"""Plans in words."""

import pyarrow as pa
import pytest

import pystream as ps
from pystream import col


@pytest.fixture
def query():
    table = pa.table(
        {"t": pa.array([1], pa.timestamp("us")), "shop": ["a"], "usd": [1.0], "unused": [0]}
    )
    return (
        ps.read_arrow(table, name="orders")
        .with_event_time("t", out_of_orderness="5s")
        .filter(col("usd") > 0)
        .with_columns(eur=col("usd") * 0.92)
        .group_by("shop")
        .window(ps.tumbling("1m"))
        .agg(revenue=ps.sum("eur"))
    )


def test_plan(query):
    assert str(query.explain(parallelism=2)) == (
        "collect\n"
        "└─ aggregate by shop over tumbling(1m)  [native]\n"
        "     revenue = sum((usd * 0.92))\n"
        "   └─ filter (usd > 0)  [native]\n"
        "      └─ event time t, up to 5s out of order  [native]\n"
        "         └─ read orders  [native]\n"
        "              columns: t, shop, usd\n"
        "\n"
        "Watermark    the largest t of its source so far minus 5s\n"
        "Windows      a window's rows leave, final, when the watermark reaches its end\n"
        "Late rows    a row whose every window has left is dropped and counted (late_rows)\n"
        "Guarantee    within one run: every row of the sources counts once in a run that succeeds; "
        "a failed run starts again from the beginning\n"
        "Parallelism  2 shards, exchanged by shop\n"
        "Exchange     by shop: rows, because revenue = sum((usd * 0.92)) is not exact in parts"
    )


def test_what_travels():
    table = pa.table({"k": [1], "j": [1], "x": [1]})
    counted = ps.read_arrow(table).group_by("k", "j").agg(n=ps.count(), most=ps.max("x"))
    text = counted.group_by("k").agg(ps.sum("n"), mid=ps.mean("n")).explain(parallelism=2)
    assert text.endswith(
        "Exchange     by k: rows, because mid = mean(n) is not exact in parts\n"
        "             by k, j: totals of rows where keys repeat, else rows"
    )
    assert "Exchange" not in counted.explain(parallelism=1)


def test_python_stages_are_named(query):
    def enrich(batch):
        return batch

    text = query.map_batches(enrich).explain()
    assert "map_batches enrich  [Python]" in text
    assert "1 Python stage(s) run in the driving thread" in text


def test_as_written(query):
    text = query.explain(optimized=False)
    assert "unused" in text
    assert "eur = (usd * 0.92)" in text


def test_without_time():
    text = ps.read_arrow(pa.table({"x": [1]})).agg(ps.count()).explain(parallelism=3)
    assert "Watermark    none" in text
    assert "leave when the input ends" in text
    assert "nothing is keyed" in text
