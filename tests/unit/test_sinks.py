"""Sinks: files appear when a run succeeds, and keep what was written when it fails."""

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import pystream as ps
from pystream import col
from pystream.connectors.base import Sink
from pystream.errors import InvalidError, SinkError, SourceError, StageError

TABLE = pa.table({"a": range(1000), "b": [f"row {i}" for i in range(1000)]})
STREAM = ps.read_arrow(TABLE)


def read_ipc(path):
    with pa.memory_map(str(path)) as mapped:
        return pa.ipc.open_file(mapped).read_all()


@pytest.mark.parametrize(
    ("write", "suffix", "read"),
    [
        (ps.Stream.write_parquet, ".parquet", pq.read_table),
        (ps.Stream.write_csv, ".csv", pa.csv.read_csv),
        (ps.Stream.write_ipc, ".arrow", read_ipc),
    ],
)
def test_files(tmp_path, write, suffix, read):
    single, directory = tmp_path / f"out{suffix}", tmp_path / "deep/out"
    job = write(STREAM, single).run()
    assert job.status == "finished"
    assert read(single) == TABLE
    write(STREAM.filter(col("a") < 10), directory).run()
    assert read(directory / f"part-0{suffix}") == TABLE.slice(0, 10)
    assert [p.name for p in directory.iterdir()] == [f"part-0{suffix}"]


FRAME = pl.DataFrame(
    {
        "s": ["a", None, 'é,"x'],
        "b": [b"x", None, b"y"],
        "c": pl.Series(["u", "v", "u"], dtype=pl.Categorical),
        "x": [1, 2, 3],
        "l": [["a"], None, []],
        "r": [{"q": "w"}, {"q": None}, {"q": "w"}],
    }
)


@pytest.mark.parametrize("by", ["s", "c", ["c", "x"]])
@pytest.mark.parametrize(
    ("write", "read"),
    [(ps.Stream.write_parquet, ps.read_parquet), (ps.Stream.write_ipc, ps.read_ipc)],
)
def test_frames_of_polars(tmp_path, write, read, by):
    """They have texts as views, and dictionaries and lists of those."""
    stream = ps.read_arrow(FRAME)
    for place, options in (("out.file", {}), ("out", {}), ("by", {"partition_by": by})):
        write(stream, tmp_path / place, **options).run()
        found = pl.DataFrame(read(tmp_path / place)).select(FRAME.columns)
        wanted = FRAME.with_columns(c=pl.col("c").cast(pl.String))
        found = found.with_columns(c=pl.col("c").cast(pl.String))
        assert found.sort("x").equals(wanted)


def test_frames_of_polars_as_csv(tmp_path):
    flat = ps.read_arrow(FRAME).drop("l", "r")
    for place, options in (("out.csv", {}), ("by", {"partition_by": "c"})):
        flat.write_csv(tmp_path / place, **options).run()
        found = ps.read_csv(tmp_path / place).collect().sort_by("x")
        assert found.to_pydict() == FRAME.drop("l", "r").with_columns(
            b=pl.Series(["x", None, "y"])
        ).to_dict(as_series=False)
    for name, kind in (("l", "list"), ("r", "struct")):
        with pytest.raises(SinkError, match=f"column '{name}' is .*{kind}.* which CSV has no form"):
            ps.read_arrow(FRAME).select(name).write_csv(tmp_path / "nested.csv").run()


def test_an_empty_result_is_a_file_too(tmp_path):
    STREAM.filter(col("a") < 0).write_parquet(tmp_path / "x.parquet").run()
    assert pq.read_table(tmp_path / "x.parquet") == TABLE.slice(0, 0)


def test_what_was_written_before_a_failure_stays(tmp_path):
    def rows():
        yield from ({"x": i} for i in range(100))
        raise OSError("line cut")

    stream = ps.from_generator(rows, schema={"x": int}, name="wire", batch_rows=10)
    path = tmp_path / "out.parquet"
    with pytest.raises(SourceError, match="'wire' failed after 100 rows") as caught:
        stream.write_parquet(path).run()
    assert not path.exists()
    partial = tmp_path / ".out.parquet.partial"
    assert any(str(partial) in note for note in caught.value.__notes__)
    assert pq.read_table(partial)["x"].to_pylist() == list(range(100))


def test_for_each():
    seen = []
    job = STREAM.for_each(seen.append).run()
    assert pa.Table.from_batches(seen) == TABLE
    assert job.metrics().rows_out == 1000


def test_a_function_that_fails():
    def refuse(batch):
        raise KeyError("no")

    with pytest.raises(StageError, match="for_each refuse failed on a batch of 1000 rows"):
        STREAM.for_each(refuse).run()
    with pytest.raises(InvalidError, match="wants a function"):
        STREAM.for_each(5)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="write_parquet: cannot write"):
        STREAM.write_parquet(tmp_path / "file" / "out.parquet").run()
    with pytest.raises(InvalidError, match="one character"):
        STREAM.write_csv(tmp_path / "x.csv", delimiter="::").run()


def test_a_sink_of_ones_own():
    events = []

    class Log(Sink):
        name = "log"

        def open(self, schema, context):
            events.append(("open", schema.names))

        def write(self, batches):
            events.append(("write", pa.table(batches).num_rows))

        def commit(self, epoch, token):
            events.append(("commit",))

        def abort(self, error):
            events.append(("abort", str(error)))

    STREAM.write_to(Log()).run()
    assert events == [("open", ["a", "b"]), ("write", 1000), ("commit",)]


def test_a_sink_that_fails_is_named():
    class Full(Sink):
        name = "disk"

        def write(self, batches):
            raise OSError("no space left")

    with pytest.raises(SinkError, match="disk failed: OSError: no space left"):
        STREAM.write_to(Full()).run()


def test_explain_names_the_sink(tmp_path):
    assert "write_parquet" in STREAM.write_parquet(tmp_path / "x.parquet").explain()
