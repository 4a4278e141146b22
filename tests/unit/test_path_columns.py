"""Columns that the names of directories give: which, of what type, and what is refused."""

import datetime as dt
import threading
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import pystream as ps
from pystream.connectors import hive
from pystream.errors import ColumnNotFoundError, InvalidError, SchemaError, SourceError

READS = {"parquet": ps.read_parquet, "csv": ps.read_csv, "arrow": ps.read_ipc}


def lay(place, files, kind="parquet"):
    """Write a table under each path; x numbers the files unless tables are given."""
    if not isinstance(files, dict):
        files = {path: {"x": [number]} for number, path in enumerate(files)}
    for path, columns in files.items():
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        file = place / f"{path}.{kind}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if kind == "parquet":
            pq.write_table(table, file)
        elif kind == "csv":
            pa.csv.write_csv(table, file)
        else:
            with pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
    return place


def read(place, **options):
    return ps.read_parquet(place, **options).collect()


@pytest.mark.parametrize("kind", READS)
def test_directories_of_others_give_their_columns(tmp_path, kind):
    lay(tmp_path, ["a/k=x/n=1/0", "a/k=x/n=2/0", "a/k=y%2F%20z/n=1/raw/0"], kind)
    wanted = pa.table({"x": [0, 1, 2], "k": ["x", "x", "y/ z"], "n": [1, 2, 1]})
    reader = READS[kind]
    files = sorted(str(path) for path in (tmp_path / "a").rglob(f"*.{kind}"))
    for path in (tmp_path / "a", f"{tmp_path}/a/k=*/**/*.{kind}", files):
        assert reader(path).collect() == wanted
        assert reader(path, hive_partitioning=True).collect() == wanted
        assert reader(path, hive_partitioning=False).collect() == wanted.select(["x"])
    inner = tmp_path / "a/k=x"
    assert reader(inner).collect() == wanted.slice(0, 2)
    assert reader(files[2]).collect() == wanted.slice(2)


@pytest.mark.parametrize(
    ("names", "type", "values"),
    [
        (["1", "-02", "__HIVE_DEFAULT_PARTITION__"], pa.int64(), [1, -2, None]),
        (["9223372036854775807"], pa.int64(), [2**63 - 1]),
        (["9223372036854775808", "1"], pa.string(), ["9223372036854775808", "1"]),
        (["2026-11-27", "0001-01-01"], pa.date32(), [dt.date(2026, 11, 27), dt.date.min]),
        (["2026-02-28", "2026-02-29"], pa.string(), ["2026-02-28", "2026-02-29"]),
        (["1", "a"], pa.string(), ["1", "a"]),
        (["1", ""], pa.string(), ["1", ""]),
        (["1", "2026-11-27"], pa.string(), ["1", "2026-11-27"]),
        (["1", "0x10"], pa.string(), ["1", "0x10"]),
        (["1_0", "+1", "1.5", "true", "a=b", "NULL"], pa.string(), None),
        (["%D9%A1"], pa.string(), ["١"]),
        (["%2", "100%", "a+b"], pa.string(), None),
        (["__HIVE_DEFAULT_PARTITION__"], pa.string(), [None]),
    ],
)
def test_types_are_guessed_from_all_values(tmp_path, names, type, values):
    lay(tmp_path, [f"k={name}/{number}" for number, name in enumerate(names)])
    found = read(tmp_path).sort_by("x")
    assert found.schema == pa.schema({"x": pa.int64(), "k": type})
    assert found["k"].to_pylist() == (values or names)


def test_types_that_are_given(tmp_path):
    lay(tmp_path, ["k=1/t=2026-11-27 09%3A30%3A00/0", "k=02/t=__HIVE_DEFAULT_PARTITION__/0"])
    time = dt.datetime(2026, 11, 27, 9, 30)
    for type, values in (
        (str, ["1", "02"]),
        ("int8", [1, 2]),
        (float, [1.0, 2.0]),
        (pa.decimal128(4, 1), [1, 2]),
        (pa.dictionary(pa.int8(), pa.string()), ["1", "02"]),
    ):
        found = read(tmp_path, hive_schema={"k": type}).sort_by([("x", "ascending")])
        assert found["k"].to_pylist() == values
        assert found["t"].to_pylist() == ["2026-11-27 09:30:00", None]
    found = read(tmp_path, hive_schema=pa.schema({"t": pa.timestamp("s")})).sort_by("x")
    assert found.schema.types == [pa.int64(), pa.int64(), pa.timestamp("s")]
    assert found["t"].to_pylist() == [time, None]
    csv = lay(tmp_path / "csv", ["k=1/0"], "csv")
    for types in ({"schema": {"k": str}}, {"hive_schema": {"k": str, "x": str}}):
        with_types = ps.read_csv(csv, **{**types, "hive_schema": {"k": str}}).collect()
        assert with_types.to_pylist() == [{"x": 0, "k": "1"}]
    keys = read(tmp_path, hive_schema={"k": pa.dictionary(pa.int8(), pa.string())})
    counts = ps.read_arrow(keys).group_by("k").agg(n=ps.count()).collect().to_pylist()
    assert sorted(row["k"] for row in counts) == ["02", "1"]


@pytest.mark.parametrize(
    ("schema", "error", "told"),
    [
        ({"kk": int}, ColumnNotFoundError, r"read_parquet hive_schema: no column 'kk'.* 'k'"),
        ({"x": int}, ColumnNotFoundError, "read_parquet hive_schema: no column 'x'"),
        ({"k": int}, SchemaError, r"'a' in the directories of .*k=a' is not .* 'k', int64"),
        ({"k": pa.list_(pa.int8())}, InvalidError, r"column 'k' cannot be list.*: the names of"),
        (5, InvalidError, "a schema is a mapping"),
    ],
)
def test_types_that_cannot_be(tmp_path, schema, error, told):
    lay(tmp_path, ["k=1/0", "k=a/0"])
    with pytest.raises(error, match=told):
        ps.read_parquet(tmp_path, hive_schema=schema)


def test_options_that_contradict(tmp_path):
    lay(tmp_path, ["k=1/0"], "csv")
    with pytest.raises(InvalidError, match=r"hive_partitioning is True, False, or None .* 'auto'"):
        ps.read_csv(tmp_path, hive_partitioning="auto")
    with pytest.raises(InvalidError, match=r"hive_schema wants columns, .*=False none"):
        ps.read_csv(tmp_path, hive_partitioning=False, hive_schema={"k": int})
    with pytest.raises(InvalidError, match="'k' is string in schema and int64 in hive_schema"):
        ps.read_csv(tmp_path, schema={"k": str}, hive_schema={"k": int})
    lay(tmp_path / "flat", ["0"])
    assert read(tmp_path / "flat").column_names == ["x"]
    for options in ({"hive_partitioning": True}, {"hive_schema": {"k": int}}):
        with pytest.raises(SchemaError, match=r"wants columns, .*flat/0\.parquet' name none"):
            ps.read_parquet(tmp_path / "flat", **options)


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (["k=1/0", "j=1/0"], "column 'k' is in '.*k=1', and not in '.*j=1/0.parquet'"),
        (["k=1/0", "k=1/j=1/0"], "column 'j' is in '.*j=1', and not in '.*k=1/0.parquet'"),
        (["k=1/0", "0"], "column 'k' is in '.*k=1', and not in '.*/0.parquet'"),
        (["k=1/k=2/0"], "the directories of '.*' name column 'k' twice"),
        (["k=%FF/0"], "'%FF' in the directories of '.*' is not UTF-8"),
    ],
)
def test_directories_that_do_not_agree(tmp_path, paths, told):
    lay(tmp_path, paths)
    with pytest.raises(SchemaError, match=told):
        ps.read_parquet(tmp_path)
    rows = read(tmp_path, hive_partitioning=False)["x"].to_pylist()
    assert sorted(rows) == [*range(len(paths))]


def test_batches_of_any_size_and_names_with_percents(tmp_path):
    file = tmp_path / "a%20%3D=é/0.arrow"
    file.parent.mkdir()
    with pa.ipc.new_file(file, pa.schema({"x": pa.int64()})) as writer:
        for rows in (1, 0, 5, 3):
            writer.write_batch(pa.record_batch({"x": pa.array(range(rows), pa.int64())}))
    wanted = pa.table({"x": [0, *range(5), *range(3)], "a =": ["é"] * 9})
    assert ps.read_ipc(tmp_path).collect() == wanted


def test_names_that_are_not_utf8_on_disk():
    with pytest.raises(SchemaError, match=r"'\\udcff' in the directories of .* is not UTF-8"):
        hive.keys("lake/k=\udcff")


def test_the_order_of_keys_is_that_of_the_first_file(tmp_path):
    lay(tmp_path, ["k=1/j=2/0", "j=3/k=4/0"])
    assert read(tmp_path).to_pylist() == [{"x": 1, "j": 3, "k": 4}, {"x": 0, "j": 2, "k": 1}]


def test_hidden_directories_and_those_of_columns(tmp_path):
    lay(tmp_path, ["_x=1/0", ".y=2/0", "_temporary/x=3/0", "x=4/.0", "x=4/_0", ".z/0"])
    rows = read(tmp_path, hive_partitioning=False)["x"].to_pylist()
    assert sorted(rows) == [0, 1]


@pytest.mark.parametrize("kind", READS)
def test_a_column_that_is_in_files_too(tmp_path, kind):
    whole = {"k": ["a", "a"], "x": [1, 2]}
    lay(tmp_path, {"k=a/0": whole, "k=b/0": {"k": ["b", "c"], "x": [3, 4]}}, kind)
    reader = READS[kind]
    assert reader(tmp_path / "k=a").collect() == pa.table(whole)
    wrong = reader(tmp_path)
    with pytest.raises(SchemaError, match=r"k=b/0.*' has c in column 'k', where .* say b"):
        wrong.collect()
    assert reader(tmp_path, hive_partitioning=False).collect()["k"].to_pylist() == [*"aabc"]
    if kind == "parquet":
        assert wrong.select("x").collect()["x"].to_pylist() == [1, 2, 3, 4]


def test_types_of_a_column_that_is_in_files_too(tmp_path):
    days = pa.table({"d": pa.array([0, 0], pa.date32()), "x": [1, 2]})
    lay(tmp_path, {"d=1970-01-01/0": days})
    assert read(tmp_path) == days
    assert read(tmp_path, hive_schema={"d": pa.date64()}) == days
    with pytest.raises(SchemaError, match=r"'d' is date32.* in the files themselves, not string"):
        ps.read_parquet(tmp_path, hive_schema={"d": str})
    lay(tmp_path, {"d=19700101/0": days})
    with pytest.raises(SchemaError, match=r"'d' is date32.*, which '19700101' in .* is not; hive"):
        ps.read_parquet(tmp_path)
    lists = pa.table({"d": [[1]]})
    assert read(lay(tmp_path / "lists", {"d=[1]/0": lists})) == lists


def test_a_column_that_only_some_files_have(tmp_path):
    lay(tmp_path, {"k=1/0": {"x": [1]}, "k=2/0": {"x": [2], "k": [2]}})
    assert read(tmp_path).to_pylist() == [{"x": 1, "k": 1}, {"x": 2, "k": 2}]
    lay(tmp_path, {"k=2/0": {"x": [2], "k": [3]}})
    with pytest.raises(SchemaError, match=r"k=2/0\.parquet' has 3 in column 'k', .* say 2"):
        read(tmp_path)
    lay(tmp_path / "b", {"0": {"x": [1], "k": [1]}, "k=2/0": {"x": [2]}})
    with pytest.raises(SchemaError, match=r"k=2/0\.parquet', column 'k' is missing"):
        read(tmp_path / "b")


@pytest.mark.parametrize(
    "text", ["", "NA", "1.50", "0x10", 'a,"b"', "true", "12:30", " a ", "a\nb"]
)
def test_csv_files_with_the_column_read_it_as_they_do(tmp_path, text):
    table = pa.table({"k": [text, text, None], "x": [1, 2, 3]})
    for rows, schema in ((table.slice(0, 2), None), (table, {"k": str})):
        ps.read_arrow(rows).write_csv(tmp_path, partition_by="k").run()
        found, plain = (
            ps.read_csv(tmp_path, schema=schema, hive_partitioning=p).collect()
            for p in (None, False)
        )
        assert found == plain
        assert found.num_rows == rows.num_rows
        if schema is not None:
            assert found.sort_by("x").to_pydict() == rows.to_pydict()


def test_only_columns_of_directories_are_wanted(tmp_path):
    lay(tmp_path, {f"k={k}/0": {"x": [f"{n} {k}" for n in range(5000)]} for k in (1, 2)})
    whole = ps.read_parquet(tmp_path).group_by("k").agg(n=ps.count())
    for file in tmp_path.rglob("*.parquet"):
        content = bytearray(file.read_bytes())
        end = pq.read_metadata(file).row_group(0).column(0).total_compressed_size
        content[4:end] = bytes(end - 4)
        file.write_bytes(content)
    assert whole.collect().sort_by("k").to_pydict() == {"k": [1, 2], "n": [5000, 5000]}
    with pytest.raises(SourceError):
        ps.read_parquet(tmp_path).select("x").collect()


def test_only_wanted_columns_are_made(tmp_path, monkeypatch):
    lay(tmp_path, ["k=1/j=2/0"])
    made = []
    repeat = pa.repeat
    monkeypatch.setattr(pa, "repeat", lambda value, size: made.append(value) or repeat(value, size))
    assert ps.read_parquet(tmp_path).select("x").collect()["x"].to_pylist() == [0]
    assert not made
    assert ps.read_parquet(tmp_path).select("x", "j").collect()["j"].to_pylist() == [2]
    assert {value.as_py() for value in made} == {2}


def test_directories_of_ours_as_before(tmp_path):
    table = pa.table({"x": [1, 2], "k": pa.array([1, None], pa.int16())})
    ps.read_arrow(table).write_parquet(tmp_path / "a", partition_by="k").run()
    place = tmp_path / "a"
    assert read(place) == table
    assert read(place, hive_partitioning=True) == table
    assert read(place, hive_partitioning=False) == table.select(["x"])
    assert read(place, hive_schema={"k": str})["k"].to_pylist() == ["1", None]
    (place / "k=1/part-0.parquet").rename(place / "moved.parquet")
    assert sorted(read(place)["k"].to_pylist(), key=str) == [1, None]
    assert read(place / "moved.parquet", hive_schema={"k": str})["k"].to_pylist() == ["1"]
    (place / "k=7").mkdir()
    (place / "moved.parquet").rename(place / "k=7/0.parquet")
    assert sorted(read(place)["k"].to_pylist(), key=str) == [7, None]


def test_what_a_file_of_ours_stands_for_does_not_go_with_its_rows(tmp_path):
    table = pa.table({"x": [1, 2], "k": ["a", "b"]})
    ps.read_arrow(table).write_parquet(tmp_path / "ours", partition_by="k").run()
    for options in ({}, {"hive_partitioning": False}):
        ps.read_parquet(tmp_path / "ours", **options).write_parquet(tmp_path / "copy").run()
        assert read(tmp_path / "copy") == table.select(["x", "k"][: 2 - len(options)])
    both = ds.dataset(tmp_path / "ours", partitioning="hive")
    ds.write_dataset(
        both, tmp_path / "theirs", partitioning=["k"], partitioning_flavor="hive", format="parquet"
    )
    [file] = (tmp_path / "theirs/k=b").iterdir()
    assert b"pystream.partition" in pq.read_schema(file).metadata
    assert read(tmp_path / "theirs") == table


@pytest.mark.parametrize("kind", ["parquet", "ipc"])
@pytest.mark.parametrize(
    ("values", "type"),
    [
        (["a", None, ""], pl.String),
        (["a", "b", None], pl.Categorical),
        (["a", "b", "a"], pl.Enum(["a", "b"])),
        ([1.5, float("nan"), None], pl.Float64),
        ([0.1, 1e30, -0.0], pl.Float32),
        ([2**64 - 1, 0, None], pl.UInt64),
        ([True, False, None], pl.Boolean),
        ([b"a", b"b", None], pl.Binary),
        ([dt.time(1, 2, 3), None, dt.time(0)], pl.Time),
        ([Decimal("1.50"), Decimal(2), None], pl.Decimal(10, 2)),
        (
            [dt.datetime(2026, 1, 1, 2, 3, 4, 5000), dt.datetime(1969, 1, 1), None],
            pl.Datetime("ms"),
        ),
        (
            [dt.datetime(2026, 1, 1), dt.datetime(2026, 7, 1), None],
            pl.Datetime("ns", "Europe/Rome"),
        ),
    ],
)
def test_polars_has_the_columns_in_its_files(tmp_path, kind, values, type):
    frame = pl.DataFrame({"n": [1, 2, 3], "k": pl.Series(values, dtype=type, strict=False)})
    target = pl.PartitionBy(tmp_path / "rows", key="k", include_key=True)
    if kind == "parquet":
        frame.lazy().sink_parquet(target, mkdir=True)
        stream = ps.read_parquet(tmp_path / "rows")
    else:
        frame.lazy().sink_ipc(target, mkdir=True)
        stream = ps.read_ipc(tmp_path / "rows")
    found = pl.DataFrame(stream).sort("n")
    assert found["k"].equals(frame["k"].cast(found["k"].dtype), null_equal=True)
    assert found["n"].equals(frame["n"])


@pytest.mark.parametrize(
    "value",
    [
        r"'\xFFa'::BLOB",
        "uuid()",
        "INTERVAL 1 DAY",
        "'-2'::HUGEINT",
        "TIMESTAMPTZ '2026-01-01 01:02:03.5+00'",
        "TIMESTAMP_NS '2026-01-01 01:02:03.5'",
        "1e300::DOUBLE",
        "1.50::DECIMAL(10, 2)",
        "TIME '01:02:03'",
        "'x'::ENUM ('x', 'y')",
        "NULL::DATE",
    ],
)
def test_duckdb_can_have_the_columns_in_its_files(tmp_path, value):
    query = f"SELECT {value} AS k, 1 AS n"
    options = "FORMAT parquet, PARTITION_BY (k), WRITE_PARTITION_COLUMNS"
    with duckdb.connect() as db:
        db.execute(f"COPY ({query}) TO '{tmp_path / 'rows'}' ({options})")
    found, plain = (read(tmp_path / "rows", hive_partitioning=p) for p in (None, False))
    assert found == plain
    assert found.num_rows == 1


def test_a_job_goes_on_in_the_middle_of_a_directory(tmp_path):
    rows = 2_000
    parts = {f"k={k}/{n}": {"x": [*range(rows)]} for k in ("a", "b%3D", "c") for n in range(2)}
    lay(tmp_path / "in", parts)
    fast = threading.Event()

    def slowly(batch):
        fast.wait(0.01)
        return batch

    def start():
        stream = ps.read_parquet(tmp_path / "in", batch_rows=100).map_batches(slowly)
        pipeline = stream.write_parquet(tmp_path / "out", partition_by="k")
        return pipeline.start(checkpoint=tmp_path / "state", checkpoint_every="5ms", name="hive")

    job = start()
    while job.epoch < 2:
        assert not job.wait(0.005)
    job.stop()
    read_first = job.metrics().rows_in
    assert 0 < read_first < 6 * rows
    fast.set()
    job = start()
    job.wait()
    assert 6 * rows - read_first <= job.metrics().rows_in < 6 * rows
    found = read(tmp_path / "out").sort_by([("k", "ascending"), ("x", "ascending")])
    assert found["k"].to_pylist() == [k for k in ("a", "b=", "c") for _ in range(2 * rows)]
    assert found["x"].to_pylist() == [x for _ in range(3) for x in range(rows) for _ in range(2)]
