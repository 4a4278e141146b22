"""The error tree: each class a PystreamError and a builtin, each bad input its own message."""

import pickle

import pyarrow as pa
import pytest

import pystream as ps
from pystream import col, errors
from pystream.errors import EventTimeError, InternalError, InvalidError, from_native

TIMES = pa.table({"t": pa.array([1, None, 3], pa.timestamp("us")), "x": [1, 2, 3]})


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.InvalidError, ValueError),
        (errors.ColumnNotFoundError, LookupError),
        (errors.TypeMismatchError, TypeError),
        (errors.DurationError, ValueError),
        (errors.WindowError, ValueError),
        (errors.EventTimeError, ValueError),
        (errors.SchemaError, ValueError),
        (errors.IntegerOverflowError, OverflowError),
        (errors.OutOfMemoryError, MemoryError),
        (errors.MemoryBudgetError, MemoryError),
        (errors.UnsupportedError, NotImplementedError),
        (errors.CorruptDataError, ValueError),
        (errors.SourceError, RuntimeError),
        (errors.SinkError, RuntimeError),
        (errors.StageError, RuntimeError),
        (errors.InternalError, RuntimeError),
    ],
)
def test_tree(kind, builtin):
    assert issubclass(kind, errors.PystreamError)
    assert issubclass(kind, builtin)
    assert str(kind("what is wrong")) == "what is wrong"


def test_errors_of_the_core():
    found = from_native(5, "project", "too large")
    assert isinstance(found, errors.IntegerOverflowError)
    assert (found.status, found.operator) == ("overflow", "project")
    assert str(found) == "too large (in project)"
    assert isinstance(from_native(1, "event_time", "null"), EventTimeError)
    assert isinstance(from_native(99, "", ""), InternalError)
    assert str(from_native(10, "", "")) == (
        "the native core failed with status 'internal' and no message"
    )


def test_errors_travel():
    found = pickle.loads(pickle.dumps(InvalidError("wrong")))
    assert isinstance(found, InvalidError)
    assert str(found) == "wrong"


def test_errors_name_the_operator():
    with pytest.raises(errors.TypeMismatchError) as caught:
        ps.read_arrow(TIMES).filter(col("x") > "text")
    assert caught.value.status == "type"
    assert caught.value.operator == "filter"


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("mode", ["never", "always"])
def test_errors_on_the_way_to_an_aggregate_are_its_own(monkeypatch, mode, shards):
    monkeypatch.setenv("PYSTREAM_PREAGGREGATE", mode)
    rows = ps.read_arrow(pa.table({"k": [1, 2] * 50, "text": ["7"] * 99 + ["seven"]}))
    number = col("text").cast("int64")
    for query in (
        rows.group_by(k=number).agg(n=ps.count()),
        rows.group_by("k").agg(n=ps.sum(number)),
    ):
        with pytest.raises(errors.PystreamError, match="'seven'") as caught:
            query.collect(parallelism=shards)
        assert caught.value.operator == "aggregate"


def test_event_time_that_is_missing():
    with pytest.raises(EventTimeError, match="no column 'tt'; did you mean 't'"):
        ps.read_arrow(TIMES).with_event_time("tt")


def test_event_time_that_is_no_timestamp():
    with pytest.raises(EventTimeError, match=r"'x' is int64, not a timestamp; cast it first"):
        ps.read_arrow(TIMES).with_event_time("x")
    cast = ps.read_arrow(TIMES).with_columns(x=col("x").cast("timestamp[us]"))
    assert cast.with_event_time("x").collect().num_rows == 3


def test_event_time_that_is_null():
    stream = ps.read_arrow(TIMES)
    with pytest.raises(EventTimeError, match="'t' has a null") as caught:
        stream.with_event_time("t").collect()
    assert str(caught.value) == (
        "event-time column 't' has a null: row 1 of what 'arrow' gives (from 0, since this run "
        "began). Filter such rows out before with_event_time, "
        '.filter(col("t").is_not_null()), or fill them'
    )
    kept = stream.filter(col("t").is_not_null()).with_event_time("t")
    assert kept.collect().num_rows == 2


TYPES = pa.schema({"t": pa.timestamp("us"), "u": pa.timestamp("us"), "x": pa.int64()})
NO_ROWS = ps.read_arrow(TYPES.empty_table(), name="none")


def passes(batch):
    return batch


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize(
    ("change", "row", "text"),
    [
        (lambda s: s, 13, "'ticks' gives"),
        (lambda s: s.select("t", "x", y=col("x") + 1), 13, "'ticks' gives"),
        (lambda s: s.filter(col("x") > 9), 3, "'ticks' gives and filters let through"),
        (lambda s: s.with_event_time("u"), 13, "'ticks' gives"),
        (lambda s: s.union(NO_ROWS), 13, "'ticks', 'none' together give"),
        (lambda s: s.union(*[NO_ROWS] * 4), 13, "'ticks', 'none', 'none', ... together give"),
        (lambda s: s.map_batches(passes), 13, "'passes' gives"),
        (lambda s: s.group_by("x").agg(t=ps.max("t")).select("t"), r"\d+", "its input gives"),
    ],
)
def test_a_null_event_time_names_source_and_row(change, row, text, shards):
    rows = [{"t": None if n == 13 else n, "u": n, "x": n} for n in range(20)]
    stream = change(ps.from_generator(lambda: rows, schema=TYPES, name="ticks", batch_rows=7))
    timed = stream.with_event_time("t").group_by("t").window(ps.tumbling("1us")).agg(n=ps.count())
    with pytest.raises(EventTimeError, match=rf"'t' has a null: row {row} of what {text} \("):
        timed.collect(parallelism=shards)


def test_a_null_event_time_names_the_partition(tmp_path):
    with ps.Topic(tmp_path / "t", schema={"t": "timestamp[us]"}, partitions=2) as topic:
        topic.append([{"t": 1}, {"t": 2}, {"t": None}], partition=1)
        for follow in (False, True):
            stream = ps.read_topic(topic, name="ticks", follow=follow).with_event_time("t")
            with pytest.raises(EventTimeError, match="row 2 of what 'ticks, partition 1' gives"):
                stream.collect()


def test_event_time_bounds():
    stream = ps.read_arrow(TIMES)
    with pytest.raises(EventTimeError, match="must not be negative, not -1s"):
        stream.with_event_time("t", out_of_orderness="-1s")
    with pytest.raises(errors.DurationError, match="out_of_orderness 5 has no unit"):
        stream.with_event_time("t", out_of_orderness=5)


def test_two_columns_of_one_name():
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(errors.SchemaError, match="source 'arrow' has two columns 'a'"):
        ps.read_arrow(table)
