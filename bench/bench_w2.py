"""W2: sum, count, min and max of 1 M keys per 1 s tumbling window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bench import data
from bench.measure import Measure
from bench.race import Workload
from bench.subjects import limit_subject, pystream_subject, rival_subjects


def query(ps: Any, batches: list[pa.RecordBatch]) -> Any:
    """What a user writes."""
    return (
        ps.read_arrow(batches)
        .with_event_time("ts", out_of_orderness="1s")
        .group_by("key")
        .window(ps.tumbling("1s"))
        .agg(total=ps.sum("value"), n=ps.count(), lo=ps.min("value"), hi=ps.max("value"))
    )


COLUMNS = {name: name for name in ("window_start", "key", "total", "n", "lo", "hi")}

WORKLOAD = Workload(
    name="w2",
    title="sum, count, min, max of 1 M keys per 1 s window",
    key=("window_start", "key"),
    subjects=(
        limit_subject("w2", "limit_w2_plain", name="limit: hash table", fresh=False, arena=True),
        limit_subject(
            "w2", "limit_w2_plain", name="limit: hash, fresh output", fresh=True, arena=True
        ),
        limit_subject(
            "w2",
            "limit_w2_plain",
            name="limit: hash, all memory fresh",
            fresh=True,
            arena=True,
            keep_state=False,
        ),
        limit_subject("w2", "limit_w2_radix", name="limit: partitioned", fresh=False, arena=True),
        limit_subject(
            "w2", "limit_w2_radix", name="limit: partitioned, fresh", fresh=True, arena=True
        ),
        *(pystream_subject(query, COLUMNS, batch_rows=rows) for rows in (65_536, 16_384, 1_024)),
        pystream_subject(query, COLUMNS, batch_rows=65_536, threads=2),
        *rival_subjects("w2"),
    ),
    limit="limit: hash table",
    least_of_limit=0.7,
    least_of_engines=3.0,
    pairs=(("pystream, batches of 64 Ki, 2 shards", "pystream, batches of 64 Ki", 1.6),),
)


@pytest.mark.gate
def bench_w2(turn: Any) -> None:
    """One subject in one turn."""
    turn()


KEY_BYTES = 8
ACCUMULATOR_BYTES = 32  # sum, count, min, max


def least_state(table: pa.Table) -> int:
    """Bytes of the keys seen plus the accumulators alive when the window in the middle closes."""
    key, ts = table["key"].to_numpy(), table["ts"].cast(pa.int64()).to_numpy()
    window = ts // 1_000_000
    middle = int(window.min() + window.max()) // 2
    closes = int(np.argmax(ts >= (middle + 2) * 1_000_000))
    seen, groups = key[:closes], window[:closes] >= middle
    alive = np.unique(window[:closes][groups] * 1_000_000 + seen[groups]).size
    return KEY_BYTES * np.unique(seen).size + ACCUMULATOR_BYTES * alive


@pytest.mark.gate
def bench_w2_state(measure: Measure, bench_rows: int) -> None:
    """Memory of a job whose results are dropped, beside its keys and live accumulators."""
    ps = pytest.importorskip("pystream", exc_type=ImportError)
    rows = min(bench_rows, 6_000_000)
    table = data.load("w2", rows)
    if rows < 4_000_000:
        pytest.skip("needs 4 M rows for a window with a full second on either side")
    states = []

    def look(_: pa.RecordBatch) -> None:
        states.append(sum(operator.state_bytes for operator in job.metrics().operators))

    job = query(ps, data.cut(table, 65_536)).for_each(look).start()
    job.wait()
    least = least_state(table)
    two_windows = (KEY_BYTES + 2 * ACCUMULATOR_BYTES) * pc.count_distinct(table["key"]).as_py()
    for name, size_bytes in (
        ("keys and live accumulators, computed", least),
        ("keys and two windows of all keys, computed", two_windows),
        ("state of the operators, at most", max(states)),
        ("memory of the job, at most", job.metrics().memory_peak),
    ):
        measure.note("memory of W2", f"{name}, x {size_bytes / least:.2f}", size_bytes / 1e6, "MB")
