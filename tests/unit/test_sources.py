"""Sources: what can be read, how often, and what a broken one says."""

import sys
import threading

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

import pystream as ps
from pystream import col
from pystream import stream as stream_module
from pystream.connectors.base import Reader, Source
from pystream.errors import (
    ColumnNotFoundError,
    CorruptDataError,
    InvalidError,
    SchemaError,
    SourceError,
)

TABLE = pa.table({"a": [1, 2, 3], "b": ["x", "y", None]})


def test_anything_with_arrow_is_read():
    batch = TABLE.to_batches()[0]
    for data in (TABLE, batch, [batch], (batch,), TABLE.to_reader(), iter([batch])):
        assert ps.read_arrow(data).collect() == TABLE


def test_frames_of_other_libraries():
    wanted = TABLE.to_pydict()
    assert ps.read_arrow(pl.from_arrow(TABLE)).collect().to_pydict() == wanted
    frame = pd.DataFrame({"a": [1, 2, 3], "c": [0.5, 1.5, 2.5]})
    assert ps.read_arrow(frame).select("a", "c").collect().to_pydict() == frame.to_dict("list")
    relation = duckdb.from_arrow(TABLE)
    assert ps.read_arrow(relation).filter(col("a") > 1).collect().num_rows == 2


def test_decimals_of_duckdb():
    """Its streams call them d:18,3,128, the schema that pyarrow makes of it d:18,3."""
    relation = duckdb.sql(
        "SELECT range AS n, (range / 8)::DECIMAL(18, 3) AS d, [1::DECIMAL(4, 1)] AS l FROM range(9)"
    )
    wanted = relation.to_arrow_table()
    stream = ps.read_arrow(relation)
    assert stream.collect() == wanted
    assert stream.filter(col("n") > 6).collect() == wanted.slice(7)
    assert stream.union(ps.read_arrow(wanted)).collect().num_rows == 18
    other = wanted.set_column(1, "d", wanted["d"].cast(pa.decimal128(19, 3)))
    with pytest.raises(SchemaError, match=r"was decimal\(18,3\), is decimal\(19,3\)"):
        stream.union(ps.read_arrow(other))


def test_results_leave_as_arrow():
    stream = ps.read_arrow(TABLE).filter(col("a") > 1)
    assert pl.DataFrame(stream)["a"].to_list() == [2, 3]
    assert pa.table(stream) == TABLE.slice(1)
    reader = pa.RecordBatchReader.from_stream(stream)
    assert duckdb.from_arrow(reader).aggregate("sum(a)").fetchall() == [(5,)]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (pl.Series([1]), "cannot read this Series as a table: .* a single column is given as one"),
        (pa.array([1]), "cannot read this Int64Array as a table"),
        (pa.array([{"a": 1}, None]), "cannot read this StructArray as a table"),
        (pl.LazyFrame({"a": [1]}), r"cannot read a LazyFrame: .*; its \.collect\(\) is one"),
        (pa.dataset.dataset(TABLE), r"its \.scanner\(\)\.to_reader\(\) is one"),
        (5, "cannot read a int: give a pyarrow Table"),
    ],
)
def test_what_is_no_table(data, text):
    with pytest.raises(InvalidError, match=text):
        ps.read_arrow(data)


def test_arguments_of_files(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(TABLE, path)
    for read, given in ((ps.read_parquet, 5), (ps.read_csv, [path, None]), (ps.read_ipc, b"x")):
        with pytest.raises(InvalidError, match="wants a path or a list of paths, not"):
            read(given)
    for rows in (0, 2.5):
        with pytest.raises(InvalidError, match=f"batch_rows must be .*, not {rows}"):
            ps.read_parquet(path, batch_rows=rows)
    table = tmp_path / "t.csv"
    pa.csv.write_csv(TABLE, table)
    with pytest.raises(InvalidError, match="delimiter must be one character, not 'ab'"):
        ps.read_csv(table, delimiter="ab")
    with pytest.raises(ColumnNotFoundError, match=r"read_csv schema: no column 'aa'; .* 'a'"):
        ps.read_csv(table, schema={"aa": int})
    with pytest.raises(InvalidError, match="write_csv: delimiter must be one character, not 5"):
        ps.read_csv(table).write_csv(tmp_path / "o.csv", delimiter=5)
    with pytest.raises(InvalidError, match="write_csv wants a path, not 5"):
        ps.read_csv(table).write_csv(5).run()


def test_small_batches_are_not_lost():
    batches = pa.table({"x": range(10_000)}).to_batches(max_chunksize=7)
    assert ps.read_arrow(batches).collect()["x"].to_pylist() == list(range(10_000))


def test_no_python_runs_per_input_batch():
    batches = pa.table({"x": range(200_000)}).to_batches(max_chunksize=100)
    query = ps.read_arrow(batches).agg(n=ps.sum("x"))
    calls = []
    sys.setprofile(lambda frame, event, arg: calls.append(event))
    try:
        query.collect()
    finally:
        sys.setprofile(None)
    assert len(calls) < len(batches)


def test_what_cannot_be_read():
    with pytest.raises(InvalidError, match="read_arrow cannot read a int"):
        ps.read_arrow(5)
    with pytest.raises(InvalidError, match="an empty list has no schema"):
        ps.read_arrow([])
    with pytest.raises(InvalidError, match=r"item 0 is a dict.*from_generator"):
        ps.read_arrow([{"a": 1}])
    with pytest.raises(InvalidError, match="the iterator is empty"):
        ps.read_arrow(iter([]))


def test_readers_and_iterators_are_read_once():
    for data in (TABLE.to_reader(), iter(TABLE.to_batches())):
        stream = ps.read_arrow(data, name="once")
        assert stream.collect() == TABLE
        with pytest.raises(SourceError, match="once"):
            assert stream.collect() == TABLE


def test_schema_change_between_batches():
    changed = pa.record_batch({"a": [1.5], "b": ["x"]})
    batches = [*TABLE.to_batches(), changed]
    text = "in batch 1, column 'a' was int64, is float64"
    with pytest.raises(SchemaError, match=text):
        ps.read_arrow(batches)
    with pytest.raises(SchemaError, match=text):
        ps.read_arrow(iter(batches)).collect()
    more = pa.record_batch({"a": [1], "b": ["x"], "c": [1]})
    with pytest.raises(SchemaError, match="batch 1, column 'c' is new"):
        ps.read_arrow([*TABLE.to_batches(), more])


def test_nullability_may_differ_between_batches():
    strict = pa.schema([pa.field("a", pa.int64(), nullable=False)])
    batches = [pa.record_batch({"a": [1]}), pa.record_batch({"a": [2]}).cast(strict)]
    for data in (batches, iter(batches)):
        assert ps.read_arrow(data).collect()["a"].to_pylist() == [1, 2]


def failing(rows, error):
    def generate():
        yield from ({"x": i} for i in range(rows))
        raise error

    return ps.from_generator(generate, schema={"x": int}, name="clicks", batch_rows=10)


def test_a_source_that_raises_half_way():
    cause = ZeroDivisionError("boom")
    stream = failing(25, cause)
    with pytest.raises(SourceError, match=r"source 'clicks' failed after 25 rows.*boom") as caught:
        stream.collect()
    assert caught.value.__cause__ is cause
    seen = []
    with pytest.raises(SourceError):
        seen.extend(row["x"] for batch in stream for row in batch.to_pylist())
    assert seen == list(range(25))


def test_generators_yield_dicts_tuples_and_batches():
    batch = pa.record_batch({"a": [5], "b": ["z"]})

    def rows():
        yield {"a": 1, "b": "x"}
        yield {"b": "only"}
        yield (2, None)
        yield batch
        yield [3, "y"]

    stream = ps.from_generator(rows, schema={"a": int, "b": str})
    assert stream.collect().to_pylist() == [
        {"a": 1, "b": "x"},
        {"a": None, "b": "only"},
        {"a": 2, "b": None},
        {"a": 5, "b": "z"},
        {"a": 3, "b": "y"},
    ]
    assert ps.from_generator(lambda: [], schema={"a": int}).collect().num_rows == 0


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ((1,), "row 0 has 1 values, the schema has 2 columns"),
        ({"a": 1, "z": 2}, r"row 0 has keys that are not in the schema: \['z'\]"),
        ({"a": "text"}, r"row 0, column 'a' \(int64\): Could not convert 'text'"),
        ({"a": 0.5}, r"row 0, column 'a' \(int64\): 0.5 has a fraction"),
        ({"a": 2**63}, r"row 0, column 'a' \(int64\)"),
        (5, "yield dicts, tuples or record batches"),
        (pa.record_batch({"a": [0.5]}), "schema change between batches: in batch 0"),
    ],
)
def test_rows_that_do_not_fit(row, text):
    """The error names the source, and what came before them stays."""
    with pytest.raises(InvalidError, match=f"^source 'wire': .*{text}"):
        ps.from_generator(lambda: [row], schema={"a": int, "b": str}, name="wire").collect()
    good = [{"a": n} for n in range(5)]
    later = ps.from_generator(lambda: [*good, row], schema={"a": int, "b": str}, name="wire")
    batches = later.iter_batches()
    assert next(batches)["a"].to_pylist() == list(range(5))
    with pytest.raises(InvalidError, match=text.replace("row 0", "row 5")):
        next(batches)


def test_nothing_comes_behind_a_row_that_does_not_fit():
    batch = pa.record_batch({"a": [7]})
    stream = ps.from_generator(lambda: [{"a": 1}, {"a": "x"}, batch, batch], schema={"a": int})
    batches = stream.iter_batches()
    assert next(batches)["a"].to_pylist() == [1]
    with pytest.raises(InvalidError, match="row 1, column 'a'"):
        next(batches)


def test_a_row_that_does_not_fit_is_told_while_the_generator_sleeps():
    awake = threading.Event()

    def rows():
        yield from ({"a": 1}, {"a": "text"}, {"a": 3})
        awake.wait(60)

    batches = ps.from_generator(rows, schema={"a": int}, flush_interval="1ms").iter_batches()
    try:
        assert next(batches)["a"].to_pylist() == [1]
        with pytest.raises(InvalidError, match="row 1, column 'a'"):
            next(batches)
        assert not awake.is_set()
    finally:
        awake.set()


def test_generator_arguments():
    with pytest.raises(InvalidError, match="lambda: rows"):
        ps.from_generator([{"a": 1}], schema={"a": int})
    with pytest.raises(InvalidError, match="a schema is a mapping"):
        ps.from_generator(list, schema=5)
    for rows in (0, -1, 2.5, "a"):
        with pytest.raises(InvalidError, match=f"batch_rows .* not {rows!r}"):
            ps.from_generator(list, schema={"a": int}, batch_rows=rows)


def test_schema_of_generators():
    types = {"t": "timestamp[ms, UTC]", "d": "duration[s]", "x": float, "n": pa.int8(), "s": "str"}
    found = ps.from_generator(list, schema=types).schema
    assert found == pa.schema(
        [
            ("t", pa.timestamp("ms", "UTC")),
            ("d", pa.duration("s")),
            ("x", pa.float64()),
            ("n", pa.int8()),
            ("s", pa.string()),
        ]
    )


def test_live_results_do_not_wait_for_more_rows():
    arrived = threading.Event()
    in_time = []

    def rows():
        yield {"x": 0}
        in_time.append(arrived.wait(30))
        yield {"x": 1}

    stream = ps.from_generator(rows, schema={"x": int}, flush_interval="0s")
    batches = stream.iter_batches()
    assert next(batches)["x"].to_pylist() == [0]
    arrived.set()
    assert [batch["x"].to_pylist() for batch in batches] == [[1]]
    assert in_time == [True]


def test_few_and_slow_rows_of_a_generator_leave_by_age():
    seen = threading.Event()
    in_time = []

    def rows():
        yield {"x": 0}
        yield {"x": 1}
        in_time.append(seen.wait(30))
        yield pa.record_batch({"x": [2]})

    stream = ps.from_generator(rows, schema={"x": int}, flush_interval="20ms")
    found = []
    for batch in stream:
        found += batch["x"].to_pylist()
        if 1 in found:
            seen.set()
    assert (found, in_time) == ([0, 1, 2], [True])


def test_whatever_a_generator_raises_ends_the_run():
    def rows(error):
        yield {"x": 1}
        raise error

    for error in (SystemExit(3), KeyboardInterrupt()):
        stream = ps.from_generator(lambda error=error: rows(error), schema={"x": int})
        with pytest.raises(type(error)):
            stream.collect()
    stream = ps.from_generator(lambda: rows(), schema={"x": int}, name="wire")  # noqa: PLW0108
    with pytest.raises(SourceError, match="source 'wire' failed after 0 rows: TypeError"):
        stream.collect()


def test_head_does_not_wait_for_a_generator_that_sleeps(monkeypatch):
    monkeypatch.setattr(stream_module, "_PATIENCE_S", 0.05)
    free, ended = threading.Event(), threading.Event()

    def rows():
        try:
            yield {"x": 0}
            free.wait(30)
            yield {"x": 1}
        finally:
            ended.set()

    stream = ps.from_generator(rows, schema={"x": int}, flush_interval="0s")
    assert stream.head(1)["x"].to_pylist() == [0]
    assert not ended.is_set()
    free.set()
    assert ended.wait(30)  # the thread that was left closes it


def test_rows_that_a_generator_had_yielded_at_a_stop_count():
    asleep, free = threading.Event(), threading.Event()

    def rows():
        yield from ({"x": i} for i in range(5))
        asleep.set()
        free.wait(30)

    stream = ps.from_generator(rows, schema={"x": int}, flush_interval="1h")
    job = stream.agg(n=ps.count()).start()
    assert asleep.wait(30)
    driver = job._run.driver
    driver.stop()
    job._run.ended.wait(0.05)
    free.set()
    assert job.result().to_pylist() == [{"n": 5}]


def test_parquet(tmp_path):
    for number in (2, 0, 1):
        table = pa.table({"n": [number] * 3, "unused": ["x"] * 3})
        pq.write_table(table, tmp_path / f"part{number}.parquet")
    wanted = [0] * 3 + [1] * 3 + [2] * 3
    files = [tmp_path / f"part{n}.parquet" for n in range(3)]
    for path in (tmp_path, str(tmp_path / "*.parquet"), files):
        assert ps.read_parquet(path).collect()["n"].to_pylist() == wanted
    stream = ps.read_parquet(tmp_path).select("n")
    assert "columns: n\n" in stream.explain() + "\n"
    assert stream.collect()["n"].to_pylist() == wanted


def test_parquet_in_batches(tmp_path):
    pq.write_table(pa.table({"x": range(1000)}), tmp_path / "x.parquet", row_group_size=300)
    batches = list(ps.read_parquet(tmp_path / "x.parquet", batch_rows=100))
    assert max(batch.num_rows for batch in batches) <= 100
    assert pa.Table.from_batches(batches)["x"].to_pylist() == list(range(1000))


def test_truncated_parquet(tmp_path):
    whole = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": range(10_000)}), whole)
    cut = tmp_path / "b.parquet"
    cut.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(SourceError, match=r"b\.parquet' is not readable Parquet"):
        ps.read_parquet(cut)
    stream = ps.read_parquet([whole, cut])
    rows = []
    with pytest.raises(SourceError, match=r"b\.parquet' is not readable Parquet"):
        rows.extend(batch.num_rows for batch in stream)
    assert sum(rows) == 10_000


def test_damaged_parquet_pages(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [f"row {i}" for i in range(5000)]}), path, compression="snappy")
    content = bytearray(path.read_bytes())
    content[100:1000] = bytes(900)
    path.write_bytes(content)
    with pytest.raises((SourceError, CorruptDataError), match=r"a\.parquet"):
        ps.read_parquet(path).collect()


def test_files_with_other_columns(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": ["text"]}), tmp_path / "b.parquet")
    with pytest.raises(SchemaError, match=r"b\.parquet', column 'x' was int64, is string"):
        ps.read_parquet(tmp_path).collect()


def test_missing_files(tmp_path):
    with pytest.raises(SourceError, match="there is no file"):
        ps.read_parquet(tmp_path / "nothing.parquet")
    with pytest.raises(SourceError, match="no file matches"):
        ps.read_parquet(str(tmp_path / "*.parquet"))
    with pytest.raises(SourceError, match="no file matches"):
        ps.read_csv(tmp_path)


def test_csv(tmp_path):
    (tmp_path / "a.csv").write_text("k,x,t\na,1,2026-01-01 00:00:00\nb,,2026-01-01 00:00:01\n")
    (tmp_path / "b.csv").write_text("k,x,t\nc,3,2026-01-01 00:00:02\n")
    found = ps.read_csv(tmp_path).collect()
    assert found["x"].to_pylist() == [1, None, 3]
    assert pa.types.is_timestamp(found.schema.field("t").type)
    found = ps.read_csv(tmp_path / "a.csv", schema={"x": float}).collect()
    assert found["x"].to_pylist() == [1.0, None]


def test_broken_csv(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("k,x\na,1\nb,2,3\n")
    with pytest.raises(SourceError, match=r"a\.csv' is not readable CSV"):
        ps.read_csv(path).collect()


@pytest.mark.parametrize("maker", [pa.ipc.new_file, pa.ipc.new_stream])
def test_ipc(tmp_path, maker):
    path = str(tmp_path / "a.arrow")
    with maker(path, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=2)
    assert ps.read_ipc(path).collect() == TABLE
    (tmp_path / "b.arrow").write_bytes(b"not arrow at all")
    with pytest.raises(SourceError, match=r"b\.arrow' is not readable Arrow IPC"):
        ps.read_ipc(tmp_path / "b.arrow")


def test_a_source_of_ones_own():
    class Numbers(Source):
        name = "numbers"

        def schema(self):
            return pa.schema([("x", pa.int64())])

        def open(self, columns, *, partition="0", position=None):
            batches = (pa.record_batch({"x": [i]}) for i in range(3))
            return Reader.of_batches(self.schema(), batches)

    assert ps.Stream.from_source(Numbers()).collect().to_pydict() == {"x": [0, 1, 2]}


def test_a_source_that_cannot_open():
    class Closed(Source):
        name = "closed"

        def schema(self):
            return pa.schema([("x", pa.int64())])

        def open(self, columns, *, partition="0", position=None):
            raise PermissionError("no entry")

    with pytest.raises(SourceError, match="'closed' cannot be opened: PermissionError: no entry"):
        ps.Stream.from_source(Closed()).collect()
