"""Directories that others write come back row by row, with the types that Polars finds."""

import datetime as dt
import re
import tempfile
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from hypothesis import assume, given
from hypothesis import strategies as st

import pystream as ps
from tests.unit.test_positions import _At, place, source_of

NULL = "__HIVE_DEFAULT_PARTITION__"
texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from("=/%+ _.-0127:\\é'\""),
    max_size=8,
)
values = {
    "text": (pa.string(), texts | st.sampled_from(["007", "2026-11-27", "NULL", "", " 1", "1.5"])),
    "digits": (
        pa.string(),
        st.from_regex(r"-?[0-9]{1,20}", fullmatch=True, alphabet="-0123456789"),
    ),
    "int": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "small": (pa.int64(), st.integers(-3, 3)),
    "date": (pa.date32(), st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31))),
}


@st.composite
def tables(draw):
    """Rows with x, their number, and one or two columns to partition by; and these columns."""
    kinds = draw(st.lists(st.sampled_from([*values]), min_size=1, max_size=2))
    rows = draw(st.integers(1, 12))
    table = pa.table({"x": range(rows)})
    keys = []
    for number, kind in enumerate(kinds):
        type, strategy = values[kind]
        few = draw(st.lists(st.none() | strategy, min_size=1, max_size=3))
        column = draw(st.lists(st.sampled_from(few), min_size=rows, max_size=rows))
        keys.append(f"k{number}")
        table = table.append_column(keys[-1], pa.array(column, type))
    return table, keys


def with_pyarrow(table, keys, folder):
    ds.write_dataset(table, folder, format="parquet", partitioning=keys, partitioning_flavor="hive")


def with_polars(table, keys, folder):
    pl.DataFrame(table).write_parquet(
        pl.PartitionBy(folder, key=keys, include_key=False), mkdir=True
    )


def with_polars_keys_inside(table, keys, folder):
    pl.DataFrame(table).write_parquet(
        pl.PartitionBy(folder, key=keys, include_key=True), mkdir=True
    )


def with_duckdb(table, keys, folder):
    with duckdb.connect() as db:
        db.register("rows", table)
        db.execute(f"COPY rows TO '{folder}' (FORMAT parquet, PARTITION_BY ({', '.join(keys)}))")


def with_duckdb_keys_inside(table, keys, folder):
    with duckdb.connect() as db:
        db.register("rows", table)
        db.execute(
            f"COPY rows TO '{folder}' (FORMAT parquet, PARTITION_BY ({', '.join(keys)}), "
            "WRITE_PARTITION_COLUMNS)"
        )


WRITERS = [
    with_pyarrow,
    with_polars,
    with_polars_keys_inside,
    with_duckdb,
    with_duckdb_keys_inside,
]


def files_of(folder):
    return sorted(str(path) for path in Path(folder).rglob("*.parquet"))


@given(tables(), st.sampled_from(WRITERS))
def test_rows_come_back_with_declared_types(made, writer):
    table, keys = made
    with tempfile.TemporaryDirectory() as top:
        folder = f"{top}/rows"
        writer(table, keys, folder)
        inside = keys[0] in pq.read_schema(files_of(folder)[0]).names
        declared = None if inside else pa.schema([table.schema.field(key) for key in keys])
        found = ps.read_parquet(folder, hive_schema=declared).collect()
        order = [x for file in files_of(folder) for x in pq.ParquetFile(file).read(["x"])["x"]]
        assert found["x"].to_pylist() == [x.as_py() for x in order]
        found = found.sort_by("x").select(table.column_names)
        assert found.cast(table.schema) == table


@given(tables(), st.sampled_from(WRITERS))
def test_guessed_types_are_those_of_polars(made, writer):
    table, keys = made
    with tempfile.TemporaryDirectory() as top:
        folder = f"{top}/rows"
        writer(table, keys, folder)
        assume(keys[0] not in pq.read_schema(files_of(folder)[0]).names)
        found = ps.read_parquet(folder).collect().sort_by("x")
        for key in keys:
            same_as_polars(table[key].cast(pa.string()), found[key], folder, key)


def same_as_polars(written, found, folder, key):
    """Integers and dates where Polars has them, else the texts that were written."""
    if "" in written.to_pylist():  # null for Polars, where other values are numbers
        assert found == written
        return
    try:
        theirs = pl.read_parquet(f"{folder}/").sort("x")[key]
    except pl.exceptions.ComputeError:  # digits that are not of ASCII
        theirs = pl.Series(["text"])
    if theirs.dtype == pl.Int64:
        assert found.type == pa.int64()
    elif theirs.dtype == pl.Date and found.type != pa.string():
        assert found.type == pa.date32()
    else:
        assert found == written
        known = [text for text in written.to_pylist() if text is not None]
        assert not known or not all(re.fullmatch("-?[0-9]{1,18}", text) for text in known)
        return
    assert found.to_pylist() == theirs.to_list()


@given(tables(), st.sampled_from(WRITERS), st.integers(1, 5), st.data())
def test_a_pass_goes_on_at_any_row(made, writer, batch_rows, data):
    table, keys = made
    with tempfile.TemporaryDirectory() as top:
        writer(table, keys, f"{top}/rows")
        stream = ps.read_parquet(f"{top}/rows", batch_rows=batch_rows)
        whole = stream.collect()
        source = source_of(stream)
        taken = data.draw(st.integers(0, len(whole)))
        position = place(source, taken)
        assert set(position) == {"file", "row"}
        assert position["file"] in files_of(f"{top}/rows")
        assert ps.Stream.from_source(_At(source, position)).collect() == whole.slice(taken)
        plain = source_of(ps.read_parquet(f"{top}/rows", hive_partitioning=False))
        assert place(plain, taken) == position
        subset = data.draw(st.lists(st.sampled_from(table.column_names), min_size=1, unique=True))
        assert stream.select(*subset).collect() == whole.select(subset)
