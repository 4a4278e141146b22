"""Streams: lazy, immutable, checked at each call; columns in, columns out."""

import gc

import pyarrow as pa
import pytest

import pystream as ps
from pystream import col
from pystream.errors import ColumnNotFoundError, EventTimeError, InvalidError, SchemaError

TABLE = pa.table({"a": [1, 2, 3], "b": ["x", "y", None], "c": [0.5, 1.5, 2.5]})


@pytest.fixture
def stream():
    return ps.read_arrow(TABLE)


def test_collect_gives_everything_back(stream):
    assert stream.collect() == TABLE
    assert stream.columns == ["a", "b", "c"]
    assert stream.schema == TABLE.schema


def test_select(stream):
    found = stream.select("c", col("a").alias("z"), ["b"], double=col("a") * 2, one=1).collect()
    assert found.column_names == ["c", "z", "b", "double", "one"]
    assert found["double"].to_pylist() == [2, 4, 6]
    assert found["one"].to_pylist() == [1, 1, 1]


def test_with_columns_adds_and_replaces(stream):
    found = stream.with_columns(col("a") + 1, d=col("c") > 1).collect()
    assert found.column_names == ["a", "b", "c", "d"]
    assert found["a"].to_pylist() == [2, 3, 4]
    assert found["d"].to_pylist() == [False, True, True]


def test_arguments(stream):
    with pytest.raises(InvalidError, match=r"rename wants a mapping .*, not \['a'\]"):
        stream.rename(["a"])
    with pytest.raises(InvalidError, match="rename wants a column name, not 5"):
        stream.rename({"a": 5})
    with pytest.raises(InvalidError, match=r"key='a' would be the same key .* key=col\('x'\)"):
        stream.group_by(key="a")
    for rows in (-1, "a"):
        with pytest.raises(InvalidError, match=f"head wants a whole number .*, not {rows!r}"):
            stream.head(rows)


def test_drop_and_rename(stream):
    assert stream.drop("b").collect() == TABLE.drop_columns(["b"])
    assert stream.rename({"a": "z"}).columns == ["z", "b", "c"]


def test_filter(stream):
    assert stream.filter(col("a") > 1).collect() == TABLE.slice(1)
    assert stream.filter(col("a") > 1, col("c") < 2).collect() == TABLE.slice(1, 1)
    assert stream.filter(col("b") == "x").collect().num_rows == 1
    assert stream.filter(col("a") > 99).collect() == TABLE.slice(0, 0)


def test_union(stream):
    both = stream.union(stream.filter(col("a") == 3), stream).collect()
    assert sorted(both["a"].to_pylist()) == [1, 1, 2, 2, 3, 3, 3]
    assert stream.union() is stream


def test_union_needs_the_same_columns(stream):
    stream.select("a").union(stream.select("a"))
    with pytest.raises(SchemaError, match=r"stream 2 has other columns.*column 'b' is missing"):
        stream.select("a", "b").union(stream.select("a"))
    with pytest.raises(SchemaError, match="column 'a' was int64, is float64"):
        stream.select("a").union(stream.select(a=col("c")))
    with pytest.raises(InvalidError, match="wants streams"):
        stream.union(TABLE)


def test_union_waits_for_the_slower_watermark():
    def part(seconds, label):
        times = pa.array([s * 10**6 for s in seconds], pa.timestamp("us"))
        table = pa.table({"t": times, "k": [label] * len(seconds)})
        return ps.read_arrow(table, name=label).with_event_time("t")

    fast, slow = part(range(0, 100_000, 10), "fast"), part(range(0, 100_000, 7), "slow")
    job = fast.union(slow).group_by("k").window(ps.tumbling("1m")).agg(n=ps.count()).start()
    table = job.result()
    assert job.metrics().late_rows == 0
    counts = {}
    for row in table.to_pylist():
        counts[row["k"]] = counts.get(row["k"], 0) + row["n"]
    assert counts == {"fast": 10_000, "slow": len(range(0, 100_000, 7))}


def test_union_needs_one_event_time(stream):
    table = pa.table({"t": pa.array([1], pa.timestamp("s")), "u": pa.array([1], pa.timestamp("s"))})
    one = ps.read_arrow(table)
    with pytest.raises(EventTimeError, match="the event time of stream 1 is 't'"):
        one.with_event_time("t").union(one)


def test_streams_never_change(stream):
    before = stream.columns
    stream.select("a").filter(col("a") > 1)
    stream.with_columns(z=col("a"))
    assert stream.columns == before
    with pytest.raises(AttributeError):
        stream.something = 1


def test_a_stream_runs_many_times(stream):
    query = stream.filter(col("a") > 1)
    assert query.collect() == query.collect() == TABLE.slice(1)


def test_iteration_gives_record_batches(stream):
    batches = list(stream)
    assert all(isinstance(batch, pa.RecordBatch) for batch in batches)
    assert pa.Table.from_batches(batches) == TABLE


def test_iteration_can_stop_early(stream):
    big = ps.read_arrow(pa.table({"x": range(500_000)}))
    first = next(iter(big.iter_batches(parallelism=2)))
    assert 0 < first.num_rows < 500_000
    assert big.head(3).to_pydict() == {"x": [0, 1, 2]}
    assert stream.head(100) == TABLE


@pytest.mark.parametrize("parallelism", [1, 2, 3])
def test_parallel_runs_agree(parallelism):
    table = pa.table({"k": [i % 97 for i in range(20_000)], "x": range(20_000)})
    query = ps.read_arrow(table).group_by("k").agg(n=ps.count(), s=ps.sum("x"))
    found = query.collect(parallelism=parallelism).sort_by("k")
    assert found["n"].to_pylist() == [len(range(k, 20_000, 97)) for k in range(97)]
    assert found["s"].to_pylist() == [sum(range(k, 20_000, 97)) for k in range(97)]


def test_progress_is_shown_on_request(stream, capsys):
    stream.collect()
    assert capsys.readouterr().err == ""
    stream.collect(progress=True)
    assert "3 rows" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2", 1025])
def test_parallelism_is_a_number(stream, wrong):
    with pytest.raises(InvalidError, match="parallelism must be a whole number from 1 to 1024"):
        stream.collect(parallelism=wrong)


def test_unknown_columns_name_the_nearest(stream):
    for query in (
        lambda: stream.select("aa"),
        lambda: stream.filter(col("aa") > 1),
        lambda: stream.with_columns(z=col("aa") + 1),
        lambda: stream.drop("aa"),
        lambda: stream.rename({"aa": "z"}),
        lambda: stream.group_by("aa").agg(ps.count()),
    ):
        with pytest.raises(ColumnNotFoundError, match="no column 'aa'; did you mean 'a'"):
            query()
    with pytest.raises(ColumnNotFoundError, match="The stream has: a, b, c"):
        stream.select("quite other")


def test_two_columns_of_one_name(stream):
    with pytest.raises(InvalidError, match="two columns 'a'"):
        stream.select("a", a=col("c"))
    with pytest.raises(InvalidError, match="at least one column"):
        stream.drop("a", "b", "c")


def test_wrong_arguments(stream):
    with pytest.raises(InvalidError, match=r"col\('a'\)"):
        stream.filter("a")
    with pytest.raises(InvalidError, match="condition"):
        stream.filter()
    with pytest.raises(InvalidError, match="column name or an expression"):
        stream.select(5)


def test_results_copy_nothing_where_the_layout_allows():
    table = pa.table({"x": range(100_000)})
    found = ps.read_arrow(table).select(y=col("x")).collect()
    address = table["x"].chunk(0).buffers()[1].address
    assert found["y"].chunk(0).buffers()[1].address == address


def test_results_outlive_everything():
    found = ps.read_arrow(pa.table({"x": range(1000)})).select(y=col("x") + 1).collect()
    gc.collect()
    assert found["y"].to_pylist() == list(range(1, 1001))


@pytest.mark.parametrize(
    "array",
    [
        pa.array([None, None, None]),
        pa.array([[1], None, [2, 3]]),
        pa.array([{"p": 1}, {"p": 2}, None]),
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.array(["a", None, "long enough to be out of line"], pa.string_view()),
        pa.array([1, None, 3], pa.decimal128(10, 2)),
        pa.array([1, 2, None], pa.duration("ms")),
        pa.array([1, 2, None], pa.timestamp("ns", "Europe/Berlin")),
        pa.array([b"x", None, b"z"], pa.large_binary()),
        pa.array([1, None, 3], pa.float16() if hasattr(pa, "float16") else pa.float32()),
    ],
    ids=lambda array: str(array.type).replace(" ", ""),
)
def test_every_type_is_carried_through(array):
    table = pa.table({"keep": [True, False, True], "v": array})
    found = ps.read_arrow(table).filter(col("keep")).collect()
    assert found["v"].to_pylist() == [array[0].as_py(), array[2].as_py()]
    assert found.schema == table.schema
