"""A source that is opened at a position gives the rows that the pass before it did not."""

import itertools

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import pystream as ps
from pystream.connectors.base import Source
from pystream.errors import SourceError

ROWS = 1000
TABLE = pa.table({"x": range(ROWS), "s": [f"row {i}" for i in range(ROWS)]})
PARTS = (0, 300, 301, 700, ROWS)


def write(kind, folder, parts=PARTS):
    for number, (start, end) in enumerate(itertools.pairwise(parts)):
        part = TABLE.slice(start, end - start)
        if kind == "parquet":
            pq.write_table(part, folder / f"{number}.parquet", row_group_size=64)
        elif kind == "csv":
            pyarrow.csv.write_csv(part, folder / f"{number}.csv")
        elif kind == "file":
            with pa.ipc.new_file(folder / f"{number}.arrow", part.schema) as writer:
                writer.write_table(part, 50)
        else:
            with pa.ipc.new_stream(folder / f"{number}.arrow", part.schema) as writer:
                writer.write_table(part, 50)


def read(kind, folder):
    if kind == "table":
        return ps.read_arrow(TABLE)
    reads = {"parquet": ps.read_parquet, "csv": ps.read_csv}
    return reads.get(kind, ps.read_ipc)(folder)


def source_of(stream):
    return stream._node.source


@pytest.mark.parametrize("kind", ["table", "parquet", "csv", "file", "stream"])
@pytest.mark.parametrize("taken", [0, 1, 299, 300, 301, 650, 999, 1000])
def test_a_job_goes_on_behind_the_rows_it_took(tmp_path, kind, taken):
    if kind != "table":
        write(kind, tmp_path)
    source = source_of(read(kind, tmp_path))
    assert source.replayable
    position = source.open(None).position(taken) if kind == "table" else place(source, taken)
    again = ps.Stream.from_source(_At(source, position))
    assert again.collect()["x"].to_pylist() == list(range(taken, ROWS))


def place(source, taken):
    """The position behind some rows, as a pass that has read them all knows it."""
    seen = {}
    original = source.open

    def opened(*args, **kwargs):
        seen["reader"] = original(*args, **kwargs)
        return seen["reader"]

    source.open = opened
    ps.Stream.from_source(source).collect()
    source.open = original
    return seen["reader"].position(taken)


class _At(Source):
    """A source that begins at a position."""

    def __init__(self, source, position):
        self.name = source.name
        self._source = source
        self._position = position

    def schema(self):
        return self._source.schema()

    def open(self, columns, *, partition="0", position=None):
        return self._source.open(columns, partition=partition, position=self._position)


def test_files_that_came_later_are_read_and_a_lost_one_is_named(tmp_path):
    write("parquet", tmp_path)
    source = source_of(ps.read_parquet(tmp_path))
    position = place(source, 310)
    pq.write_table(TABLE.slice(0, 5), tmp_path / "4.parquet")
    grown = source_of(ps.read_parquet(tmp_path))
    rows = ps.Stream.from_source(_At(grown, position)).collect()["x"].to_pylist()
    assert rows == [*range(310, ROWS), 0, 1, 2, 3, 4]
    (tmp_path / "2.parquet").unlink()
    shrunk = source_of(ps.read_parquet(tmp_path))
    with pytest.raises(SourceError, match=r"row 9 of .*2\.parquet.* not among those"):
        ps.Stream.from_source(_At(shrunk, position)).collect()


def test_a_reader_that_can_be_read_once_cannot_be_replayed():
    assert not source_of(ps.read_arrow(TABLE.to_reader())).replayable
    assert not source_of(ps.read_arrow(iter(TABLE.to_batches()))).replayable


@pytest.mark.parametrize("kind", ["parquet", "csv", "file", "stream"])
@pytest.mark.parametrize("rows", [0, 100, 299])
def test_a_file_that_has_become_shorter_is_named(tmp_path, kind, rows):
    write(kind, tmp_path, (0, 300))
    [file] = tmp_path.iterdir()
    position = {"file": str(file), "row": 300}
    whole = source_of(read(kind, tmp_path))
    assert ps.Stream.from_source(_At(whole, position)).collect().num_rows == 0
    write(kind, tmp_path, (0, rows))
    shorter = source_of(read(kind, tmp_path))
    with pytest.raises(SourceError, match=rf"row 300 of '.*', which has {rows} rows now: it"):
        ps.Stream.from_source(_At(shorter, position)).collect()
