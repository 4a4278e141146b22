"""A key that keeps one shard busy is named, with its share, as the user sees it."""

import random
from datetime import UTC, datetime

import pyarrow as pa
import pytest

import pystream as ps

ROWS = 200_000


def skewed(hot, others, share):
    """Values of keys in a fixed random order, `hot` with so much of them."""
    draw = random.Random(5)
    return [hot if draw.random() < share else draw.choice(others) for _ in range(ROWS)]


def job_over(columns, parallelism, *aggregates):
    table = pa.table(columns)
    keys = table.schema.names
    stream = ps.read_arrow(table.to_batches(max_chunksize=16_384)).group_by(*keys)
    job = stream.agg(*(aggregates or (ps.count(),))).start(parallelism=parallelism)
    job.wait()
    return job


MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KINDS = {
    "string": (pa.string(), "busy", [f"user {i}" for i in range(5000)]),
    "null": (pa.string(), None, [f"user {i}" for i in range(5000)]),
    "int": (pa.int32(), -7, list(range(5000))),
    "float": (pa.float64(), 0.5, [float(i) for i in range(1, 5000)]),
    "bool": (pa.bool_(), True, [False, None]),
    "timestamp": (pa.timestamp("ms", "UTC"), MOMENT, list(range(5000))),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), "busy", ["a", "b", "c", "d", "e", "f"]),
}


@pytest.mark.parametrize("parallelism", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_hot_key_of_every_type(kind, parallelism):
    type_, hot, others = KINDS[kind]
    metrics = job_over({"k": pa.array(skewed(hot, others, 0.7), type_)}, parallelism).metrics()
    [found] = metrics.hot_keys[:1]
    assert (found.operator, found.stage, found.columns) == ("aggregate", 0, ("k",))
    assert found.id in {line.id for line in metrics.operators if line.name == "aggregate"}
    assert found.key == hot
    assert type(found.key) is type(hot)
    assert found.share == pytest.approx(0.7, abs=0.08)
    assert str(found) in repr(metrics)
    wanted = f"'{hot}'" if isinstance(hot, str) else f"{hot}"
    assert f"hot key: k={wanted} has " in str(found)


@pytest.mark.parametrize("mode", ["never", "always", "half"])
@pytest.mark.parametrize("parallelism", [2, 3])
def test_totals_of_rows_weigh_as_much_as_rows(mode, parallelism, monkeypatch):
    monkeypatch.setenv("PYSTREAM_PREAGGREGATE", mode)
    keys = pa.array(skewed("busy", [f"user {i}" for i in range(300)], 0.4))
    [found] = job_over({"k": keys}, parallelism).metrics().hot_keys
    assert found.key == "busy"
    assert found.share == pytest.approx(0.4, abs=0.06)


def test_several_columns_are_a_tuple():
    keys = skewed(("a", None), [("b", i) for i in range(2000)], 0.8)
    columns = {"k": pa.array([k for k, _ in keys]), "n": pa.array([n for _, n in keys])}
    [found] = job_over(columns, 2).metrics().hot_keys
    assert found.columns == ("k", "n")
    assert found.key == ("a", None)
    assert "k='a', n=None has 8" in str(found)


def test_nanoseconds_are_text():
    keys = pa.array(skewed(1_000_000_001, list(range(5000)), 0.9), pa.timestamp("ns"))
    [found] = job_over({"k": keys}, 2).metrics().hot_keys
    assert str(found.key).startswith("1970-01-01 00:00:01.000000001")


@pytest.mark.parametrize("parallelism", [1, 2, 4])
def test_even_keys_are_not_hot(parallelism):
    metrics = job_over({"k": pa.array(skewed(0, list(range(5000)), 0.0))}, parallelism).metrics()
    assert metrics.hot_keys == ()
    assert "hot key" not in repr(metrics)


def test_the_limit_goes_with_the_shards():
    keys = {"k": pa.array(skewed(-1, list(range(5000)), 0.2))}
    assert job_over(keys, 2).metrics().hot_keys == ()
    [found] = job_over(keys, 4).metrics().hot_keys
    assert found.key == -1


def test_what_was_told_stays_until_there_is_news():
    job = job_over({"k": pa.array(skewed(-1, list(range(5000)), 0.9))}, 2)
    first = job.metrics().hot_keys
    assert [key.key for key in first] == [-1]
    assert job.metrics().hot_keys == first
    assert "<br>hot key: k=-1 has" in job.metrics()._repr_html_()


def test_without_keys_there_are_none():
    job = ps.read_arrow(pa.table({"x": range(ROWS)})).agg(ps.count()).start(parallelism=2)
    job.wait()
    assert job.metrics().hot_keys == ()
