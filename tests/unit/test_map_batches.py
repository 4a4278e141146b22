"""Python stages between native segments."""

import threading

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import pystream as ps
from pystream import col
from pystream.errors import InvalidError, SchemaError, SourceError, StageError, WindowError

TABLE = pa.table({"a": range(1000), "b": [i % 7 for i in range(1000)]})


def double(batch):
    return pa.record_batch({"a": pc.multiply(batch["a"], 2), "b": batch["b"]})


def test_between_native_operators():
    found = (
        ps.read_arrow(TABLE)
        .filter(col("a") < 500)
        .map_batches(double)
        .filter(col("a") >= 100)
        .group_by("b")
        .agg(n=ps.count(), s=ps.sum("a"))
        .collect(parallelism=2)
    )
    kept = [(2 * i, i % 7) for i in range(500) if 2 * i >= 100]
    wanted = {b: sum(a for a, k in kept if k == b) for b in range(7)}
    assert dict(zip(found["b"].to_pylist(), found["s"].to_pylist(), strict=True)) == wanted
    assert sum(found["n"].to_pylist()) == len(kept)


def test_stages_in_a_row_and_at_the_ends():
    stream = ps.read_arrow(TABLE).map_batches(double).map_batches(double)
    assert stream.collect()["a"].to_pylist() == [4 * i for i in range(1000)]


def test_a_new_schema_and_other_frames():
    def root(batch):
        return pl.DataFrame({"root": np.sqrt(batch["a"].to_numpy())})

    stream = ps.read_arrow(TABLE).map_batches(root, schema={"root": float})
    assert stream.columns == ["root"]
    assert stream.collect()["root"].to_pylist() == [np.sqrt(i) for i in range(1000)]


def test_nothing_and_tables_as_answers():
    seen = []

    def sometimes(batch):
        seen.append(threading.current_thread())
        return None if len(seen) == 1 else pa.table(batch.to_pydict())

    batches = TABLE.to_batches(max_chunksize=250)
    assert ps.read_arrow(batches).map_batches(sometimes).collect().num_rows in (750, 0)
    assert set(seen) == {threading.main_thread()}


def test_branches_with_stages():
    left = ps.read_arrow(TABLE).map_batches(double)
    found = left.union(ps.read_arrow(TABLE)).agg(s=ps.sum("a")).collect()
    assert found["s"].to_pylist() == [3 * sum(range(1000))]


def test_event_time_passes_a_stage():
    times = pa.array([i * 10**6 for i in range(100)], pa.timestamp("us"))
    table = pa.table({"t": times, "a": range(100)})
    stream = ps.read_arrow(table).with_event_time("t").map_batches(lambda batch: batch)
    found = stream.window(ps.tumbling("10s")).agg(n=ps.count()).collect()
    assert found["n"].to_pylist() == [10] * 10


def test_event_time_is_declared_again_after_an_aggregate():
    times = pa.array([i * 10**6 for i in range(100)], pa.timestamp("us"))
    counts = (
        ps.read_arrow(pa.table({"t": times}))
        .with_event_time("t")
        .window(ps.tumbling("5s"))
        .agg(n=ps.count())
        .map_batches(lambda batch: batch)
    )
    with pytest.raises(WindowError, match="with_event_time"):
        counts.window(ps.tumbling("10s"))
    again = counts.with_event_time("window_start").window(ps.tumbling("10s"))
    assert again.agg(n=ps.sum("n")).collect()["n"].to_pylist() == [10] * 10


def test_a_function_that_fails():
    def refuse(batch):
        raise ValueError("not today")

    with pytest.raises(StageError, match=r"map_batches refuse failed on a batch of \d+ rows") as e:
        ps.read_arrow(TABLE).map_batches(refuse).collect()
    assert isinstance(e.value.__cause__, ValueError)


def test_answers_that_do_not_fit():
    def other(batch):
        return pa.record_batch({"a": batch["a"].cast(pa.float64()), "b": batch["b"]})

    with pytest.raises(SchemaError, match="column 'a' was int64, is float64"):
        ps.read_arrow(TABLE).map_batches(other).collect()
    with pytest.raises(StageError, match="answered a list"):
        ps.read_arrow(TABLE).map_batches(lambda batch: [1]).collect()
    with pytest.raises(InvalidError, match="wants a function"):
        ps.read_arrow(TABLE).map_batches("double")


def test_a_source_failure_behind_a_stage():
    def rows():
        yield from ({"x": i} for i in range(20))
        raise OSError("cut")

    stream = ps.from_generator(rows, schema={"x": int}, name="wire", batch_rows=5)
    seen = []
    copy = stream.map_batches(lambda batch: batch)
    with pytest.raises(SourceError, match="'wire' failed after 20 rows"):
        seen.extend(row["x"] for batch in copy for row in batch.to_pylist())
    assert seen == list(range(20))
