"""Shards take turns of the source side: answers stay, and nobody waits in a circle with the GIL."""

import subprocess
import sys

import pyarrow as pa
import pytest

import pystream as ps

# A batch over NumPy's memory needs the GIL to be let go: a shard does that, with the lock of the
# source side if it is not careful, while the driving thread offers the next with the GIL.
NUMPY_BATCHES = """
import numpy as np, pyarrow as pa, pystream as ps

def batches():
    for i in range(600):
        yield pa.record_batch({"k": np.arange(2_000) % 97, "v": np.ones(2_000)})

schema = pa.schema([("k", pa.int64()), ("v", pa.float64())])
if SOURCE == "generator":
    rows = ps.from_generator(batches, schema=schema)
else:
    rows = ps.read_arrow(pa.RecordBatchReader.from_batches(schema, batches()))
found = rows.group_by("k").agg(n=ps.count(), s=ps.mean("v")).collect(parallelism=2)
assert sum(found.to_pydict()["n"]) == 1_200_000
"""


@pytest.mark.parametrize("source", ["generator", "reader"])
def test_batches_that_python_owns(source, monkeypatch):
    monkeypatch.setenv("PYSTREAM_SOURCE_TURNS", "shards")
    code = f"SOURCE = {source!r}\n{NUMPY_BATCHES}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("turns", ["driver", "shards"])
def test_a_failing_row_is_told_of_whoever_meets_it(turns, monkeypatch):
    monkeypatch.setenv("PYSTREAM_SOURCE_TURNS", turns)
    table = pa.table({"k": [1] * 50_000, "v": [1] * 49_999 + [2**63 - 1]})
    rows = ps.read_arrow(table.to_batches(1_000)).with_columns(v=ps.col("v") + 1)
    with pytest.raises(ps.errors.IntegerOverflowError):
        rows.group_by("k").agg(s=ps.max("v")).collect(parallelism=2)


def test_the_choice_is_one_of_three(monkeypatch):
    monkeypatch.setenv("PYSTREAM_SOURCE_TURNS", "all")
    with pytest.raises(ps.errors.InvalidError, match="is 'all', must be auto, driver or shards"):
        ps.read_arrow(pa.table({"k": [1]})).group_by("k").agg(n=ps.count()).collect(parallelism=2)
