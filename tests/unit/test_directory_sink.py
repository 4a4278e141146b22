"""Directories of files: names, manifests, partitions, rolling, and what readers see."""

import datetime as dt
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pystream as ps
from pystream.connectors import directory
from pystream.connectors.directory import Rolling, file_sink
from pystream.connectors.file_sinks import ParquetFormat
from pystream.errors import (
    ColumnNotFoundError,
    CorruptDataError,
    DurationError,
    InvalidError,
    SchemaError,
    SinkError,
    SourceError,
    UnsupportedError,
)
from tests.unit.sink_targets import opened, write

ROWS = pa.record_batch({"shop": ["ams", "ber", "ams"], "n": [1, 2, 3]})
TABLE = pa.Table.from_batches([ROWS])
STREAM = ps.read_arrow(TABLE)


def sink(place, partition_by=(), **limits):
    return file_sink(
        place / "out", ParquetFormat("zstd"), partition_by=partition_by, rolling=Rolling(**limits)
    )


def started(place, partition_by=(), *, job="orders", **limits):
    made = opened(sink(place, partition_by, **limits), ROWS.schema, place, job=job)
    made.recover(0, None)
    return made


def commit(made, epoch, *batches):
    write(made, *batches)
    token = made.prepare(epoch)
    made.commit(epoch, token)
    return token


def files(place):
    found = (p for p in (place / "out").rglob("*") if p.is_file())
    return sorted(p.relative_to(place / "out").as_posix() for p in found)


def read(place):
    return ps.read_parquet(place / "out").collect()


def test_an_epoch_is_files_and_a_line(tmp_path):
    made = started(tmp_path, "shop", job="a/b")
    commit(made, 1, ROWS, ROWS)
    commit(made, 2)
    commit(made, 3, ROWS.slice(1, 1))
    made.close()
    assert files(tmp_path) == [
        "_manifest/a%2Fb.jsonl",
        "shop=ams/part-a%2Fb-000001-0.parquet",
        "shop=ber/part-a%2Fb-000001-0.parquet",
        "shop=ber/part-a%2Fb-000003-0.parquet",
    ]
    lines = (tmp_path / "out/_manifest/a%2Fb.jsonl").read_text().splitlines()
    head, first, third = map(json.loads, lines)
    assert head == {"manifest": 1, "job": "a/b"}
    assert (first["epoch"], third["epoch"]) == (1, 3)
    assert sum(file["rows"] for file in first["files"]) == 6
    path = tmp_path / "out" / third["files"][0]["path"]
    assert path.stat().st_size == third["files"][0]["bytes"]
    assert read(tmp_path).column_names == ["n", "shop"]
    assert sorted(read(tmp_path)["n"].to_pylist()) == [1, 1, 2, 2, 2, 3, 3]


def test_readers_see_whole_epochs_only(tmp_path):
    made = started(tmp_path)
    commit(made, 1, ROWS)
    write(made, ROWS)
    token = made.prepare(2)
    assert len(read(tmp_path)) == 3
    (tmp_path / "out/part-orders-000002-0.parquet").write_bytes(b"renamed, not listed yet")
    assert len(read(tmp_path)) == 3
    made.commit(2, token)
    assert len(read(tmp_path)) == 6
    polars = pytest.importorskip("polars")
    assert polars.read_parquet(tmp_path / "out/*.parquet").height == 6


def test_two_jobs_share_a_directory(tmp_path):
    one, two = started(tmp_path), started(tmp_path, job="two")
    commit(one, 1, ROWS)
    commit(two, 1, ROWS)
    two.close()
    commit(one, 2, ROWS)
    one.close()
    assert len(read(tmp_path)) == 9
    assert not (tmp_path / "out/_staging").exists()


def test_rolling_by_rows_and_bytes(tmp_path):
    made = started(tmp_path, "shop", rows=2)
    commit(made, 1, *[ROWS] * 4)
    sizes = {f: pq.read_metadata(tmp_path / "out" / f).num_rows for f in files(tmp_path)[1:]}
    assert sizes == {
        **{f"shop=ams/part-orders-000001-{n}.parquet": 2 for n in range(4)},
        **{f"shop=ber/part-orders-000001-{n}.parquet": 2 for n in range(2)},
    }
    made = started(tmp_path / "b", bytes=1)
    commit(made, 1, ROWS, ROWS)
    assert len(files(tmp_path / "b")) == 3


def test_rolling_by_age(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(directory.time, "monotonic", lambda: now[0])
    made = started(tmp_path, age_s=10)
    for now[0] in (0.0, 9.0, 10.0, 11.0):
        write(made, ROWS)
    token = made.prepare(1)
    assert [file["rows"] for file in token["pieces"][0]["files"]] == [9, 3]


def test_many_partitions(tmp_path, monkeypatch):
    monkeypatch.setattr(directory, "_MOST_OPEN", 3)
    made = opened(sink(tmp_path, ["d", "k"]), SCHEMA, tmp_path)
    made.recover(0, None)
    batch = pa.record_batch(
        {
            "d": [dt.date(2026, 1, 1 + n % 10) for n in range(40)],
            "k": [n % 2 for n in range(40)],
            "x": range(40),
        },
        schema=SCHEMA,
    )
    commit(made, 1, batch.slice(0, 20), batch.slice(20))
    found = read(tmp_path).select(["d", "k", "x"]).sort_by("x")
    assert found.equals(pa.Table.from_batches([batch]))


SCHEMA = pa.schema({"d": pa.date32(), "k": pa.int16(), "x": pa.int64()})


def test_values_of_partitions_come_back_with_their_types(tmp_path):
    table = pa.table(
        {
            "x": [1, 2, 3],
            "s": ["a/b=c", None, "é %"],
            "i": pa.array([1, None, 3], pa.uint8()),
            "b": [True, None, False],
            "t": pa.array([1_000, None, -1], pa.timestamp("ms", "UTC")),
        }
    )
    columns = ["s", "i", "b", "t"]
    for write_files, reader in (
        (ps.Stream.write_parquet, ps.read_parquet),
        (ps.Stream.write_ipc, ps.read_ipc),
    ):
        place = tmp_path / write_files.__name__
        write_files(ps.read_arrow(table), place, partition_by=columns).run()
        assert reader(place).collect().sort_by("x").equals(table)
        assert reader(place).select("i").collect().column_names == ["i"]


def test_a_text_that_reads_as_null_has_a_directory_of_its_own(tmp_path):
    table = pa.table({"n": [1, 2], "k": ["__HIVE_DEFAULT_PARTITION__", None]})
    ps.read_arrow(table).write_parquet(tmp_path / "out", partition_by="k").run()
    assert read(tmp_path).sort_by("n") == table


@pytest.mark.parametrize("name", ["_k", ".k"])
def test_a_column_whose_name_looks_hidden(tmp_path, name):
    table = pa.table({"n": [1, 2], name: ["a", "b"]})
    for rows in (table, table.slice(1)):
        ps.read_arrow(rows).write_parquet(tmp_path / "out", partition_by=name).run()
        assert read(tmp_path).sort_by("n") == rows


def test_csv_keeps_all_columns(tmp_path):
    STREAM.write_csv(tmp_path, partition_by="shop").run()
    assert ps.read_csv(tmp_path).collect().to_pylist() == [
        {"shop": "ams", "n": 1},
        {"shop": "ams", "n": 3},
        {"shop": "ber", "n": 2},
    ]


def test_a_run_without_checkpoints_replaces_the_one_before(tmp_path):
    STREAM.write_parquet(tmp_path / "out", max_rows=1).run()
    (tmp_path / "out/part-of-mine.parquet").write_bytes(b"")
    assert files(tmp_path) == [*(f"part-{n}.parquet" for n in range(3)), "part-of-mine.parquet"]
    STREAM.write_parquet(tmp_path / "out").run()
    assert files(tmp_path) == ["part-0.parquet", "part-of-mine.parquet"]


def test_a_failed_run_says_where_its_rows_are(tmp_path):
    def rows():
        yield {"n": 1}
        raise OSError("line cut")

    stream = ps.from_generator(rows, schema={"n": int})
    with pytest.raises(SourceError) as caught:
        stream.write_parquet(tmp_path / "out").run()
    (note,) = caught.value.__notes__
    (staged,) = files(tmp_path)
    assert staged.rpartition("/")[0] in note
    assert pq.read_table(tmp_path / "out" / staged)["n"].to_pylist() == [1]
    STREAM.write_parquet(tmp_path / "out").run()
    assert files(tmp_path) == ["part-0.parquet"]


def test_one_file_that_cannot_be_ended_does_not_keep_the_others_from_it(tmp_path):
    made = opened(sink(tmp_path, "shop"), ROWS.schema, tmp_path, checkpoints=False)
    made.recover(0, None)
    write(made, ROWS)
    broken, whole = (part.writer for part in made._open.values())
    broken._writer.close()
    broken._writer = None

    def failing():
        raise SinkError("the disk is gone")

    broken.close = failing
    error = ValueError("first")
    with pytest.raises(SinkError, match="the disk is gone"):
        made.abort(error)
    assert error.__notes__ == [f"what write_parquet had written so far is in {made._staging}"]
    assert pq.read_table(whole.path)["n"].to_pylist() == [2]


def test_a_torn_line_is_not_there(tmp_path):
    made = started(tmp_path)
    commit(made, 1, ROWS)
    path = tmp_path / "out/_manifest/orders.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"epoch": 2, "files": [{"pa')
    assert len(read(tmp_path)) == 3
    again = opened(sink(tmp_path), ROWS.schema, tmp_path)
    again.recover(1, None)
    assert path.read_bytes() == whole
    commit(again, 2, ROWS)
    assert len(read(tmp_path)) == 6
    path.write_bytes(whole + b"not json\n")
    with pytest.raises(CorruptDataError, match="a line that is not JSON"):
        ps.read_parquet(tmp_path / "out")
    path.write_bytes(b'{"manifest": 9, "job": "orders"}\n')
    with pytest.raises(UnsupportedError, match="has format 9, this version reads 1"):
        ps.read_parquet(tmp_path / "out")


def test_an_instance_that_was_taken_over_lists_nothing_twice(tmp_path):
    old = started(tmp_path)
    write(old, ROWS)
    token = old.prepare(1)
    new = opened(sink(tmp_path), ROWS.schema, tmp_path)
    new.recover(1, token)
    old.commit(1, token)
    assert len((tmp_path / "out/_manifest/orders.jsonl").read_text().splitlines()) == 2
    assert len(read(tmp_path)) == 3


def test_what_is_lost_or_older_is_an_error(tmp_path):
    made = started(tmp_path)
    write(made, ROWS)
    token = made.prepare(1)
    for path in (tmp_path / "out/_staging").rglob("*.staged"):
        path.unlink()
    with pytest.raises(SinkError, match="3 rows of epoch 1 are gone: there is neither"):
        opened(sink(tmp_path), ROWS.schema, tmp_path).recover(1, token)
    commit(started(tmp_path), 1, ROWS)
    with pytest.raises(SinkError, match="job 'orders' up to epoch 1, but the job starts from the"):
        started(tmp_path)


def test_one_file_has_no_epochs(tmp_path):
    single = file_sink(tmp_path / "x.parquet", ParquetFormat("zstd"))
    with pytest.raises(InvalidError, match=r"is one file.*give a directory, such as 'x/'"):
        opened(single, ROWS.schema, tmp_path)
    with pytest.raises(InvalidError, match="is one file; partition_by and the limits"):
        STREAM.write_parquet(tmp_path / "x.parquet", max_rows=5).run()


def test_files_of_others_are_not_hidden(tmp_path):
    STREAM.write_parquet(tmp_path / "out").run()
    with pytest.raises(InvalidError, match=r"files of something else, such as part-0.parquet"):
        started(tmp_path)
    commit(started(tmp_path / "b"), 1, ROWS)
    with pytest.raises(InvalidError, match="the output of a job with checkpoints"):
        STREAM.write_parquet(tmp_path / "b/out").run()


def test_options_that_are_refused(tmp_path):
    with pytest.raises(ColumnNotFoundError, match="partition_by: no column 'shp'"):
        STREAM.write_parquet(tmp_path, partition_by="shp").run()
    with pytest.raises(InvalidError, match="takes all columns"):
        STREAM.write_parquet(tmp_path, partition_by=["n", "shop"]).run()
    with pytest.raises(InvalidError, match="names a column twice"):
        STREAM.write_parquet(tmp_path, partition_by=["n", "n"]).run()
    floats = ps.read_arrow(pa.table({"x": [0.5], "y": [1]}))
    with pytest.raises(SchemaError, match="'x' is double, whose values make no directory names"):
        floats.write_parquet(tmp_path, partition_by="x").run()
    with pytest.raises(InvalidError, match="max_rows wants a whole number"):
        STREAM.write_parquet(tmp_path, max_rows=0)
    with pytest.raises(DurationError):
        STREAM.write_parquet(tmp_path, max_age="ten")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (ROWS.append_column("m", pa.array([1.5] * 3)), "column 'm' was none, is double"),
        (ROWS.select(["shop"]), "column 'n' was int64, is none"),
        (
            ROWS.rename_columns(["shop", "x"]),
            "column 'n' was int64, is none, 'x' was none, is int64",
        ),
        (ROWS.set_column(1, "n", pa.array([0.5] * 3)), "column 'n' was int64, is double"),
        (ROWS.select(["n", "shop"]), "the order was shop, n"),
    ],
)
def test_other_columns_are_refused(tmp_path, rows, told):
    made = started(tmp_path)
    commit(made, 1, ROWS)
    token = commit(made, 2, ROWS)
    made.close()
    other = opened(sink(tmp_path), rows.schema, tmp_path)
    with pytest.raises(SchemaError, match=f"the files of epoch 2 and before have other .*{told}"):
        other.recover(2, token)
    lines = (tmp_path / "out/_manifest/orders.jsonl").read_text().splitlines()
    assert [json.loads(line).get("columns") for line in lines[1:]] == [
        {"shop": "string", "n": "int64"},
        None,
    ]
    again = opened(sink(tmp_path), ROWS.schema, tmp_path)
    again.recover(2, token)
    commit(again, 3, ROWS)
    assert read(tmp_path).num_rows == 9
